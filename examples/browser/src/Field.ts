/**
 * What has been read of a level.
 */
import * as Relief from "../../src/Relief.ts"
import { type ChunkIndex, chunkGrid, type Level } from "./Level.ts"

export type ChunkState = "absent" | "reading" | "ready" | "failed"

export interface Extreme {
  readonly height: number
  readonly latitude: number
  readonly longitude: number
}

/** Heights are `NaN` where nothing was read, and where the array has no chunk. */
export class Field implements Relief.Field {
  readonly level: Level
  readonly rows: number
  readonly columns: number
  readonly south: number
  readonly west: number
  readonly step: number
  readonly heights: Float32Array
  readonly light: Float32Array
  readonly #states: Array<ChunkState>
  readonly #chunkColumns: number

  constructor(level: Level) {
    this.level = level
    this.rows = level.rows
    this.columns = level.columns
    this.south = level.south
    this.west = level.west
    this.step = level.step
    this.heights = new Float32Array(level.rows * level.columns).fill(Number.NaN)
    this.light = new Float32Array(level.rows * level.columns)
    const [chunkRows, chunkColumns] = chunkGrid(level)
    this.#chunkColumns = chunkColumns
    this.#states = Array.from({ length: chunkRows * chunkColumns }, () => "absent")
  }

  /** Of all chunks, row by row from the south. */
  get states(): ReadonlyArray<ChunkState> {
    return this.#states
  }

  stateOf([row, column]: ChunkIndex): ChunkState {
    return this.#states[row * this.#chunkColumns + column] ?? "absent"
  }

  setState([row, column]: ChunkIndex, state: ChunkState): void {
    this.#states[row * this.#chunkColumns + column] = state
  }

  /** Takes in the elements of a chunk, which at the edges of the array is larger than what there is. */
  put(index: ChunkIndex, data: ArrayLike<number>): void {
    const { chunkColumns, chunkRows, columns, rows } = this.level
    const [top, left] = [index[0] * chunkRows, index[1] * chunkColumns]
    const bottom = Math.min(rows, top + chunkRows)
    const right = Math.min(columns, left + chunkColumns)
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        this.heights[row * columns + column] = data[(row - top) * chunkColumns + column - left]!
      }
    }
    Relief.lightRows(this, this.light, Math.max(0, top - 1), Math.min(rows, bottom + 1))
    this.setState(index, "ready")
  }

  heightAt(latitude: number, longitude: number): number {
    return Relief.sample(this, this.heights, { latitude, longitude })
  }
}

/** The lowest and the highest point that is known between two parallels, and on each between two meridians. */
export const extremes = (
  { columns, heights, rows, south, step, west }: Field,
  options: {
    readonly south: number
    readonly north: number
    readonly meridians: (latitude: number) => readonly [west: number, east: number]
  }
): { readonly lowest: Extreme; readonly highest: Extreme } | undefined => {
  let [low, high] = [-1, -1]
  const lastRow = Math.min(rows - 1, Math.floor((options.north - south) / step))
  for (let row = Math.max(0, Math.ceil((options.south - south) / step)); row <= lastRow; row++) {
    const [left, right] = options.meridians(south + row * step)
    const lastColumn = Math.min(columns - 1, Math.floor((right - west) / step))
    for (let column = Math.max(0, Math.ceil((left - west) / step)); column <= lastColumn; column++) {
      const at = row * columns + column
      const height = heights[at]!
      if (Number.isNaN(height)) continue
      if (low === -1 || height < heights[low]!) low = at
      if (high === -1 || height > heights[high]!) high = at
    }
  }
  if (low === -1) return undefined
  const extreme = (at: number): Extreme => ({
    height: heights[at]!,
    latitude: south + Math.floor(at / columns) * step,
    longitude: west + (at % columns) * step
  })
  return { lowest: extreme(low), highest: extreme(high) }
}
