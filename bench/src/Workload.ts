/**
 * What is measured: an array of 1,000 x 1,000 virtual chunks in 10,000 files, 100 chunks in each.
 */
import * as fs from "node:fs"
import * as path from "node:path"

export const gridSize = Number(process.env["BENCH_GRID"] ?? 1000)
export const rows = gridSize * gridSize
export const files = Math.ceil(rows / 100)
export const chunkBytes = 65_536

/** The chunk that is read. */
export const readIndex = [Math.floor(gridSize / 2), Math.floor(gridSize / 3)] as const

export const rowOf = (index: readonly [number, number]): number => index[0] * gridSize + index[1]
export const fileOf = (row: number): number => Math.floor(row / 100)
export const offsetOf = (row: number): number => 4096 + (row % 100) * chunkBytes

export interface Places {
  readonly directory: string
  readonly repository: string
  readonly data: string
}

export const places = (directory: string): Places => ({
  directory,
  repository: path.join(directory, "repository"),
  data: path.join(directory, "data")
})

export const fileName = (file: number): string =>
  `reanalysis_hourly_${String(1950 + (file % 75))}_${String(file).padStart(6, "0")}.nc`

export const location = ({ data }: Places, file: number): string => `file://${data}/${fileName(file)}`

/** Writes the one file of which a chunk is read. */
export const writeData = (at: Places): void => {
  fs.mkdirSync(at.data, { recursive: true })
  const row = rowOf(readIndex)
  const bytes = Buffer.alloc(offsetOf(row) + chunkBytes, 7)
  fs.writeFileSync(path.join(at.data, fileName(fileOf(row))), bytes)
}

export const zarrJson = JSON.stringify({
  zarr_format: 3,
  node_type: "array",
  shape: [gridSize * 128, gridSize * 128],
  data_type: "float32",
  chunk_grid: { name: "regular", configuration: { chunk_shape: [128, 128] } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [{ name: "bytes", configuration: { endian: "little" } }],
  attributes: {}
})

/** What a measured process prints: seconds, and bytes of memory at the peak. */
export type Measured = Readonly<Record<string, number>>

export const peakMemory = (): number => process.resourceUsage().maxRSS * 1024

/** Runs `work` and returns its seconds. */
export const timed = async <A>(work: () => Promise<A>): Promise<readonly [A, number]> => {
  const start = performance.now()
  const value = await work()
  return [value, (performance.now() - start) / 1000]
}
