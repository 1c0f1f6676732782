/**
 * Random small reads of a million virtual chunks in local files. One repository, which this library writes, is read by
 * both.
 */
import * as path from "node:path"
import * as Random from "../Random.ts"
import { type Family, sized } from "../Work.ts"

export const rows: number = sized(1_000_000, 20_000)
export const reads: number = sized(20_000, 500)
export const chunkBytes = 16

/** How many files the chunks are in. */
export const filesOf = (variant: string | undefined): number => (variant === "files" ? sized(2000, 40) : 1)

export const rowsPerFile = (files: number): number => rows / files
export const fileName = (file: number): string => `part-${String(file).padStart(5, "0")}.bin`

export interface Places {
  readonly repository: string
  readonly data: string
}
export const places = (directory: string): Places => ({
  repository: path.join(directory, "repository"),
  data: path.join(directory, "data")
})

/** The rows that are read, and others before them, so that all is warm. */
export const wanted: ReadonlyArray<number> = Random.integers(reads, rows, 1)
export const before: ReadonlyArray<number> = Random.integers(Math.floor(reads / 4), rows, 2)

/** Each chunk begins with its row. */
export const bytesOf = (row: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length * chunkBytes)
  for (let i = 0; i < length; i++) bytes.writeUInt32LE(row + i, i * chunkBytes)
  return bytes
}
export const isChunk = (row: number, bytes: Uint8Array | null | undefined): boolean =>
  bytes?.length === chunkBytes && bytes[0]! + bytes[1]! * 256 + bytes[2]! * 65536 + bytes[3]! * 16777216 === row

export const family: Family = {
  name: "lookup",
  rows: [
    {
      id: "lookup-64",
      title: "a random 16-byte chunk of a million, one local file, warm, 64 at a time",
      unit: "us",
      goal: { ratio: 0.35 }
    },
    { id: "lookup-1", title: "the same, one after another", unit: "us", goal: { ratio: 0.6 } },
    { id: "lookup-files", title: "the same over 2,000 files, 64 at a time", unit: "us", goal: { ratio: 1.2 } }
  ],
  run: async (bench) => {
    const prepared = (variant: string): Promise<string> =>
      bench.once(`lookup ${variant}`, async () => {
        const directory = bench.directory(`lookup-${variant}`)
        await bench.run("ours", "lookup", "prepare", { directory, variant })
        return directory
      })
    for (const [id, variant] of [
      ["lookup-64", "one"],
      ["lookup-1", "one"],
      ["lookup-files", "files"]
    ] as const) {
      if (!bench.wants(id)) continue
      const directory = await prepared(variant)
      await bench.rounded(async (side) => {
        bench.note(side, await bench.run(side, "lookup", id, { directory, variant }))
      })
    }
  }
}
