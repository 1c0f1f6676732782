/**
 * The same field in several resolutions: which is fine enough for a view, and which of its chunks are in view.
 */
import type { Bounds, View } from "./View.ts"

/** An array on a regular grid, row by row from south to north, all around the Earth. */
export interface Level {
  readonly rows: number
  readonly columns: number
  readonly chunkRows: number
  readonly chunkColumns: number
  /** Degrees. */
  readonly south: number
  readonly west: number
  readonly step: number
}

/** A chunk of a level: its row and column in the grid of chunks. */
export type ChunkIndex = readonly [row: number, column: number]

/** CSS pixels between two points of the grid at which a finer level is wanted. */
const coarse = 1.75

/** The first and the last level are the finest and the coarsest; which one is just fine enough for this view. */
export const fineEnough = (levels: ReadonlyArray<Level>, { scale }: View): number => {
  const pixels = ({ step }: Level): number => ((step * Math.PI) / 180) * scale
  return Math.max(
    0,
    levels.findLastIndex((level) => pixels(level) <= coarse)
  )
}

export const chunkGrid = ({ chunkColumns, chunkRows, columns, rows }: Level): ChunkIndex => [
  Math.ceil(rows / chunkRows),
  Math.ceil(columns / chunkColumns)
]

/**
 * The chunks that are needed to draw what is in these bounds: with the neighbours of each point, between which colours are
 * interpolated, and theirs, which the light on a slope depends on.
 */
export const chunksInView = (level: Level, bounds: Bounds): ReadonlyArray<ChunkIndex> => {
  const { chunkColumns, chunkRows, columns, rows, south, step, west } = level
  const firstRow = Math.max(0, Math.floor((bounds.south - south) / step) - 1)
  const lastRow = Math.min(rows - 1, Math.floor((bounds.north - south) / step) + 2)
  const firstColumn = Math.floor((bounds.west - west) / step) - 1
  const lastColumn = Math.floor((bounds.east - west) / step) + 2
  const chunkColumnsInView = new Set<number>()
  for (let column = firstColumn; column <= lastColumn; column++) {
    chunkColumnsInView.add(Math.floor((((column % columns) + columns) % columns) / chunkColumns))
  }
  const found: Array<ChunkIndex> = []
  for (let row = Math.floor(firstRow / chunkRows); row <= Math.floor(lastRow / chunkRows); row++) {
    for (const column of [...chunkColumnsInView].toSorted((a, b) => a - b)) found.push([row, column])
  }
  return found
}
