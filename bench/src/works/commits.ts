/**
 * Commits of one inline chunk to a directory, on top of a short and of a long history; and the walk along the long one.
 * The history is made once and copied, so that both sides have the same.
 */
import type { Bench } from "../Bench.ts"
import { type Family, type Row, type Side, sized } from "../Work.ts"

/** Commits before the measured ones. */
export const lengths: Readonly<Record<string, number>> = { "10": 10, "10k": sized(10_000, 60) }

/** Measured commits in one process: the first tells how it is on a cold start, the middle one how it is in a loop. */
export const commits: number = sized(100, 3)

export const chunk = (seed: number): Buffer => Buffer.alloc(64, seed % 251)
export const arrayJson: string = JSON.stringify({
  zarr_format: 3,
  node_type: "array",
  shape: [64_000_000],
  data_type: "uint8",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [64] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [{ name: "bytes" }],
  attributes: {}
})

const small = (length: string, isFlushed: boolean): Row => ({
  id: `commit-small-${length}${isFlushed ? "" : "-noflush"}`,
  title: `a commit of one inline chunk after ${length === "10k" ? "10,000" : length} others, fs, ${isFlushed ? "with flushes (the peer has none)" : "without flushes"}`,
  unit: "ms",
  goal: { ratio: isFlushed ? 3 : 1.5 }
})

/** A directory with so many commits, by the peer where it loads: it is the faster one without flushes. */
export const history = (bench: Bench, commits: number): Promise<string> =>
  bench.once(`history ${commits}`, async () => {
    const directory = bench.directory(`history-${commits}`)
    const made = await bench.run("peer", "commits", "prepare", { directory, size: commits })
    if (made === null) await bench.run("ours", "commits", "prepare", { directory, size: commits })
    return directory
  })

export const family: Family = {
  name: "commits",
  rows: [
    small("10", true),
    small("10", false),
    small("10k", true),
    small("10k", false),
    { id: "history", title: "walk 10,000 commits of an open repository", unit: "ms", goal: { ratio: 0.5 } }
  ],
  run: async (bench) => {
    for (const [length, commits] of Object.entries(lengths)) {
      const ids = { flush: `commit-small-${length}`, noflush: `commit-small-${length}-noflush` }
      if (!bench.wants(ids.flush, ids.noflush)) continue
      const prepared = await history(bench, commits)
      const measure = async (side: Side, variant: "flush" | "noflush"): Promise<void> => {
        if (!bench.wants(ids[variant])) return
        const directory = bench.copy(prepared, "commits")
        const samples = await bench.run(side, "commits", "commit", { directory, variant })
        if (samples !== null) bench.note(side, { [ids[variant]]: samples["commit"]! })
        bench.remove(directory)
      }
      await bench.rounded(async (side) => {
        await measure(side, "flush")
        await measure(side, "noflush")
      })
    }
    if (bench.wants("history")) {
      const directory = await history(bench, lengths["10k"]!)
      await bench.rounded(async (side) => {
        bench.note(side, await bench.run(side, "commits", "history", { directory, size: lengths["10k"]! }))
      })
    }
  }
}
