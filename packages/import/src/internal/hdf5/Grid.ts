/**
 * The grid of an array's chunks, and the chunks that an index has named so far, in columns. Pure.
 *
 * @since 0.1.0
 */
import type { Chunks } from "../../Dataset.ts"
import { batchRows } from "../Pieces.ts"
import * as Pieces from "../Pieces.ts"
import type * as Filters from "./Filters.ts"
import type { ArrayLayout, Layout } from "./Layout.ts"

/** Chunks of a file in a grid. */
export interface Grid {
  readonly rank: number
  readonly shape: ReadonlyArray<number>
  readonly chunkShape: ReadonlyArray<number>
  /** Chunks along each dimension, as many as the array has now, and at most. */
  readonly counts: ReadonlyArray<number>
  readonly maxCounts: ReadonlyArray<number>
  /** Of a chunk without filters. */
  readonly chunkBytes: number
  readonly isFiltered: boolean
  readonly edgeChunksUnfiltered: boolean
}

const most = 2 ** 32

/** The grid of a chunked array, or a sentence: why it cannot be. */
export const make = (array: ArrayLayout, layout: Extract<Layout, { readonly _tag: "Chunked" }>): Grid | string => {
  const { filters, maxShape, shape } = array
  const { chunkShape } = layout
  const rank = shape.length
  if (rank === 0 || rank > 32) return `it is chunked and has ${rank} dimensions`
  if (chunkShape.length !== rank) return `its chunks have ${chunkShape.length} dimensions, and the array has ${rank}`
  if (chunkShape.some((length) => !Number.isSafeInteger(length) || length < 1)) {
    return `chunks of ${chunkShape.join(" x ")} elements cannot be`
  }
  const counts = Pieces.counts(shape, chunkShape)
  if (counts.some((count) => !(count < most))) return `it has ${counts.join(" x ")} chunks, more than refs count`
  const chunkBytes = chunkShape.reduce((a, b) => a * b, layout.elementSize)
  if (!(chunkBytes >= 1 && Number.isSafeInteger(chunkBytes))) return `chunks of ${chunkBytes} bytes cannot be`
  return {
    rank,
    shape,
    chunkShape,
    counts,
    maxCounts: chunkShape.map((length, axis) =>
      Math.ceil(Math.max(maxShape[axis] ?? shape[axis]!, shape[axis]!) / length)
    ),
    chunkBytes,
    isFiltered: filters.length > 0,
    edgeChunksUnfiltered: layout.edgeChunksUnfiltered && filters.length > 0
  }
}

/** A chunk whose filters are others than those of the array. */
export interface Odd {
  readonly _tag: "Odd"
  readonly index: ReadonlyArray<number>
  readonly address: number
  readonly length: number
  readonly mask: number
}

const all = 0xffff_ffff

/** What is wrong with a chunk. */
export interface Wrong {
  readonly offset: number | undefined
  readonly problem: string
}

/** Collects chunks as an index names them. */
export class Rows {
  /** The chunk to add, in chunks along each dimension. */
  readonly position: Float64Array
  odd: Array<Odd> = []
  count = 0
  private total = 0
  private indices: Uint32Array
  private offsets: Float64Array
  private lengths: Float64Array
  private full: Array<Chunks> = []
  private readonly most: number
  private readonly grid: Grid
  private readonly file: Parameters<typeof Pieces.refs>[0] & { readonly size: number }
  private readonly filters: Filters.Plan
  private readonly mask: number

  constructor(
    grid: Grid,
    file: Parameters<typeof Pieces.refs>[0] & { readonly size: number },
    filters: Filters.Plan,
    mask: number
  ) {
    this.grid = grid
    this.file = file
    this.filters = filters
    this.mask = (mask & filters.bits) >>> 0
    this.position = new Float64Array(grid.rank)
    const chunks = grid.counts.reduce((a, b) => a * b, 1)
    this.most = chunks
    const room = Math.min(batchRows, Math.max(1, chunks), 1024)
    this.indices = new Uint32Array(room * grid.rank)
    this.offsets = new Float64Array(room)
    this.lengths = new Float64Array(room)
  }

  private grow(): void {
    const { rank } = this.grid
    const room = Math.min(batchRows, 4 * this.offsets.length)
    const indices = new Uint32Array(room * rank)
    const offsets = new Float64Array(room)
    const lengths = new Float64Array(room)
    indices.set(this.indices)
    offsets.set(this.offsets)
    lengths.set(this.lengths)
    this.indices = indices
    this.offsets = offsets
    this.lengths = lengths
  }

  private cut(): void {
    const { rank } = this.grid
    const { count } = this
    if (count === 0) return
    this.full.push(
      Pieces.refs(this.file, {
        indices: this.indices.slice(0, count * rank),
        offsets: this.offsets.slice(0, count),
        lengths: this.lengths.slice(0, count)
      })
    )
    this.count = 0
  }

  /** Adds the chunk at `position`, unless it lies outside of the array. What comes back is wrong with it. */
  add(address: number, size: number, mask: number): Wrong | undefined {
    const { counts, rank } = this.grid
    const { position } = this
    let isEdge = false
    for (let axis = 0; axis < rank; axis++) {
      const at = position[axis]!
      if (at >= counts[axis]!) return undefined
      if (this.grid.edgeChunksUnfiltered && (at + 1) * this.grid.chunkShape[axis]! > this.grid.shape[axis]!) {
        isEdge = true
      }
    }
    if (++this.total > this.most) {
      return { offset: undefined, problem: `its index names more chunks than the ${this.most} that it has` }
    }
    const skips = isEdge ? all : mask
    const length = this.filters.tailBit === 0 || (skips & this.filters.tailBit) !== 0 ? size : size - 4
    if (length < 1) return { offset: address, problem: `a chunk of ${size} bytes is too short for its filters` }
    if (!this.grid.isFiltered && length !== this.grid.chunkBytes) {
      return {
        offset: address,
        problem: `a chunk of ${size} bytes is there, and chunks of this array have ${this.grid.chunkBytes}`
      }
    }
    if (address < 0 || address + size > this.file.size) {
      return {
        offset: address,
        problem: `a chunk of ${size} bytes is expected there, and the file ends at ${this.file.size}`
      }
    }
    if ((skips & this.filters.bits) >>> 0 !== this.mask) {
      this.odd.push({ _tag: "Odd", index: [...position], address, length, mask: skips })
      return undefined
    }
    if (this.count === this.offsets.length) {
      if (this.count < batchRows) this.grow()
      else this.cut()
    }
    const row = this.count++
    for (let axis = 0; axis < rank; axis++) this.indices[row * rank + axis] = position[axis]!
    this.offsets[row] = address
    this.lengths[row] = length
    return undefined
  }

  /** What is complete; all of it when the index ends. */
  take(ends: boolean): ReadonlyArray<Chunks | Odd> {
    if (ends) this.cut()
    const { full, odd } = this
    this.full = []
    this.odd = []
    return [...full, ...odd]
  }
}
