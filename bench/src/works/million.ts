/**
 * Virtual refs by the million: an array of rows of 1,000 chunks, in files of 100 chunks each, or in a file for each
 * chunk. Each side writes a repository of its own and reads that.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type Family, type Row, type Samples, sized } from "../Work.ts"

export const columns = 1000
export const chunkBytes = 65_536
export const million: number = sized(1_000_000, 10_000)

/** What is measured of a repository. */
export interface Data {
  readonly refs: number
  readonly rows: number
  readonly refsPerFile: number
  readonly files: number
  readonly repository: string
  readonly data: string
}

export const dataOf = (directory: string, refs: number, refsPerFile: number): Data => ({
  refs,
  rows: refs / columns,
  refsPerFile,
  files: Math.ceil(refs / refsPerFile),
  repository: path.join(directory, "repository"),
  data: path.join(directory, "data")
})

export const offsetOf = ({ refsPerFile }: Data, ref: number): number => 4096 + (ref % refsPerFile) * chunkBytes
export const fileOf = ({ refsPerFile }: Data, ref: number): number => Math.floor(ref / refsPerFile)
const fileName = (file: number): string =>
  `reanalysis_hourly_${String(1950 + (file % 75))}_${String(file).padStart(6, "0")}.nc`
export const locationOf = ({ data }: Data, file: number): string => `file://${data}/${fileName(file)}`

/** The chunk that is read. */
export const readIndex = ({ rows }: Data): readonly [number, number] => [Math.floor(rows / 2), 333]
export const isChunk = (bytes: Uint8Array | null | undefined): boolean =>
  bytes?.length === chunkBytes && bytes[0] === 7 && bytes.at(-1) === 7

/** Writes the one file of which a chunk is read. */
export const writeFile = (data: Data): void => {
  fs.mkdirSync(data.data, { recursive: true })
  const [row, column] = readIndex(data)
  const ref = row * columns + column
  const name = fileName(fileOf(data, ref))
  fs.writeFileSync(path.join(data.data, name), Buffer.alloc(offsetOf(data, ref) + chunkBytes, 7))
}

/** The array's metadata; more rows are appended than there are refs at first. */
export const arrayJson = (rows: number): string =>
  JSON.stringify({
    zarr_format: 3,
    node_type: "array",
    shape: [rows * 128, columns * 128],
    data_type: "float32",
    chunk_grid: { name: "regular", configuration: { chunk_shape: [128, 128] } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes", configuration: { endian: "little" } }],
    attributes: {}
  })

/** A manifest for each so many rows of the array: `split-100`. */
export const splitRows = (variant: string | undefined): number | undefined =>
  variant?.startsWith("split-") === true ? Number(variant.slice("split-".length)) : undefined

const of = (id: string, title: string, unit: Row["unit"], ratio: number): Row => ({ id, title, unit, goal: { ratio } })

export const family: Family = {
  name: "million",
  rows: [
    of("set-1m", "set a million virtual refs in 10,000 files", "s", 0.05),
    of("commit-1m", "commit them", "s", 0.2),
    of("first-chunk-1m", "open and read one chunk, cold", "s", 0.25),
    of("locations-1m", "stream all locations", "s", 0.1),
    of("memory-write-1m", "peak memory while writing", "MB", 0.2),
    of("memory-stream-1m", "peak memory while streaming", "MB", 0.2),
    { id: "append-1m", title: "1,000 refs onto a million, one manifest", unit: "s" },
    of("append-1m-split", "the same, both sides with a manifest for each 100,000 refs", "s", 0.1),
    of("files-1m", "set a million refs to a million objects", "s", 0.4),
    of("files-1m-commit", "commit them", "s", 0.4)
  ],
  run: async (bench) => {
    const size = million
    /** Memory is a row of its own. */
    const noteMemory = (samples: Samples | null, from: string, id: string): Samples | null => {
      const peakMemory = samples?.[from]?.peakMemory
      return peakMemory === undefined ? null : { [id]: { value: peakMemory, peakMemory } }
    }
    await bench.rounded(async (side) => {
      if (
        bench.wants("set-1m", "commit-1m", "first-chunk-1m", "locations-1m", "append-1m") ||
        bench.wants("memory-write-1m", "memory-stream-1m")
      ) {
        const directory = bench.directory(`million-${side}`)
        writeFile(dataOf(directory, size, 100))
        const written = await bench.run(side, "million", "write", { directory, size })
        if (written !== null) {
          const bytes = bench.sizeOf(dataOf(directory, size, 100).repository)
          bench.note(side, { "set-1m": written["set"]!, "commit-1m": { ...written["commit"]!, bytes } })
          bench.note(side, noteMemory(written, "set", "memory-write-1m"))
          if (bench.wants("first-chunk-1m")) {
            const read = await bench.run(side, "million", "first", { directory, size })
            bench.note(side, read && { "first-chunk-1m": read["first"]! })
          }
          if (bench.wants("locations-1m", "memory-stream-1m")) {
            const streamed = await bench.run(side, "million", "locations", { directory, size })
            bench.note(side, streamed && { "locations-1m": streamed["locations"]! })
            bench.note(side, noteMemory(streamed, "locations", "memory-stream-1m"))
          }
          if (bench.wants("append-1m")) {
            const appended = await bench.run(side, "million", "append", { directory, size })
            bench.note(side, appended && { "append-1m": appended["append"]! })
          }
        }
        bench.remove(directory)
      }
      if (bench.wants("append-1m-split")) {
        const directory = bench.directory(`split-${side}`)
        writeFile(dataOf(directory, size, 100))
        const written = await bench.run(side, "million", "write", { directory, size, variant: "split-100" })
        const appended = written && (await bench.run(side, "million", "append", { directory, size }))
        bench.note(side, appended && { "append-1m-split": appended["append"]! })
        bench.remove(directory)
      }
      if (bench.wants("files-1m", "files-1m-commit")) {
        const directory = bench.directory(`files-${side}`)
        const written = await bench.run(side, "million", "write", { directory, size, variant: "files" })
        if (written !== null) {
          const bytes = bench.sizeOf(dataOf(directory, size, 1).repository)
          bench.note(side, { "files-1m": written["set"]!, "files-1m-commit": { ...written["commit"]!, bytes } })
        }
        bench.remove(directory)
      }
    })
  }
}
