/**
 * What it costs to have the library: the time to import it, and the size of a page's script.
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { root } from "../Bench.ts"
import type { Family } from "../Work.ts"
import * as Commits from "./commits.ts"

/** An inline chunk of the history that `commits` makes. */
export const chunkIndex = 1
export const isChunk = (bytes: Uint8Array | null | undefined): boolean =>
  bytes !== null && bytes !== undefined && Commits.chunk(chunkIndex).equals(bytes)

export const family: Family = {
  name: "load",
  rows: [
    { id: "import", title: "import core and fs; the peer's addon", unit: "ms", goal: { ours: 120 } },
    { id: "import-read", title: "import, open, and read one small chunk", unit: "ms", goal: { ours: 150 } },
    {
      id: "bundle",
      title: "a page that reads, minified and compressed, without `effect` and zarrita",
      unit: "kB",
      goal: { ours: 40 }
    }
  ],
  run: async (bench) => {
    if (bench.wants("import", "import-read")) {
      // Programs load what is published, not TypeScript.
      for (const args of [["scripts/tsc.ts", "packages/core", "packages/fs"], ["scripts/bundle.ts"]]) {
        await promisify(execFile)(process.execPath, args, { cwd: root })
      }
      const directory = await Commits.history(bench, Commits.lengths["10"]!)
      await bench.rounded(async (side) => {
        bench.note(side, await bench.run(side, "load", "import", { directory }))
      })
    }
    if (bench.wants("bundle")) {
      for (const side of ["ours", "peer"] as const) {
        bench.note(side, await bench.run(side, "load", "bundle", { directory: root }))
      }
    }
  }
}
