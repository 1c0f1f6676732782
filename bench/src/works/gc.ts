/**
 * Garbage collection of a repository in a directory: 1,000 snapshots that share a million virtual refs in 100 manifests,
 * each with a native chunk of its own. The JavaScript builds of the official engine collect no garbage, so that only ours is
 * measured.
 */
import { type Family, sized } from "../Work.ts"

export const commits: number = sized(1000, 30)
export const refs: number = sized(1_000_000, 10_000)
export const refsPerManifest: number = sized(10_000, 1000)

/** Snapshots that stay when the others expire. */
export const kept = 10

export const family: Family = {
  name: "gc",
  rows: [
    {
      id: "gc-1k-dry",
      title: "look for garbage among 1,000 snapshots and 1,000,000 refs, fs; there is none",
      unit: "s"
    },
    { id: "gc-1k", title: "expire 990 of the snapshots, and delete what only they needed", unit: "s" },
    { id: "gc-1k-memory", title: "peak memory meanwhile", unit: "MB" }
  ],
  run: async (bench) => {
    if (!bench.wants("gc-1k-dry", "gc-1k", "gc-1k-memory")) return
    const prepared = bench.directory("gc")
    if ((await bench.run("ours", "gc", "prepare", { directory: prepared })) === null) return
    await bench.rounded(async (side) => {
      const directory = bench.copy(prepared, "gc")
      const samples = await bench.run(side, "gc", "collect", { directory })
      if (samples !== null) {
        const { peakMemory = 0 } = samples["collect"]!
        bench.note(side, {
          "gc-1k-dry": samples["dry"]!,
          "gc-1k": samples["collect"]!,
          "gc-1k-memory": { value: peakMemory, peakMemory }
        })
      }
      bench.remove(directory)
    })
  }
}
