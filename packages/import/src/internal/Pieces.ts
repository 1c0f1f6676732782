/**
 * Grids of chunks and batches of refs, and arrays whose elements lie in one piece.
 *
 * @since 0.1.0
 */
import type { Checksum } from "@effect-icechunk/core"
import * as Stream from "effect/Stream"
import type { Chunks, RefColumns } from "../Dataset.ts"

/** Rows of a batch of refs, at most. */
export const batchRows = 65_536

/** Chunks along each dimension. */
export const counts = (shape: ReadonlyArray<number>, chunkShape: ReadonlyArray<number>): ReadonlyArray<number> =>
  shape.map((length, axis) => Math.ceil(length / chunkShape[axis]!))

/** Writes the place of a chunk in a grid into `into`, from `at` on, by its number row by row. */
export const place = (
  number: number,
  counts: ReadonlyArray<number>,
  into: Uint32Array | Array<number>,
  at = 0
): void => {
  let rest = number
  for (let axis = counts.length - 1; axis >= 0; axis--) {
    into[at + axis] = rest % counts[axis]!
    rest = Math.floor(rest / counts[axis]!)
  }
}

/** Some rows of many: from which to before which. */
interface Batch {
  readonly from: number
  readonly to: number
}

/** Rows in batches, in their order. */
export const batches = (rows: number, size: number = batchRows): Stream.Stream<Batch> =>
  rows === 0
    ? Stream.empty
    : Stream.map(Stream.range(0, Math.ceil(rows / size) - 1), (number) => ({
        from: number * size,
        to: Math.min(rows, (number + 1) * size)
      }))

/** The largest divisor of `length` up to `most`. */
const divisor = (length: number, most: number): number => {
  for (let parts = Math.ceil(length / Math.max(1, most)); parts <= length; parts++) {
    if (length % parts === 0) return length / parts
    if (parts > 100_000) break
  }
  return 1
}

/**
 * The chunk shape of an array in one piece whose chunks have at most `maxBytes`, where its shape can be divided so. Each is in one
 * piece again: whole along all dimensions but the first ones.
 */
export const chunkShape = (
  shape: ReadonlyArray<number>,
  elementSize: number,
  maxBytes: number
): ReadonlyArray<number> => {
  const chunk = shape.map((length) => Math.max(1, length))
  for (let axis = 0; axis < chunk.length; axis++) {
    const rest = chunk.slice(axis + 1).reduce((a, b) => a * b, elementSize)
    if (chunk[axis]! * rest <= maxBytes) break
    chunk[axis] = divisor(chunk[axis]!, Math.floor(maxBytes / rest))
  }
  return chunk
}

/** Refs of one file. */
export const refs = (
  { checksum, location }: { readonly location: string; readonly checksum: Checksum.Checksum | undefined },
  columns: Pick<RefColumns, "indices" | "offsets" | "lengths">
): Chunks => ({ _tag: "Refs", refs: { ...columns, locations: location, checksums: checksum } })

/** The refs of a grid whose chunks are at distances that `offsetOf` tells by the number of a chunk, row by row. */
export const grid = (
  file: { readonly location: string; readonly checksum: Checksum.Checksum | undefined },
  shape: ReadonlyArray<number>,
  chunk: ReadonlyArray<number>,
  options: { readonly length: number; readonly offsetOf: (number: number) => number }
): Stream.Stream<Chunks> => {
  const along = counts(shape, chunk)
  const rank = shape.length
  return Stream.map(batches(along.reduce((a, b) => a * b, 1)), ({ from, to }) => {
    const rows = to - from
    const indices = new Uint32Array(rows * rank)
    const offsets = new Float64Array(rows)
    for (let row = 0; row < rows; row++) {
      place(from + row, along, indices, row * rank)
      offsets[row] = options.offsetOf(from + row)
    }
    return refs(file, { indices, offsets, lengths: new Float64Array(rows).fill(options.length) })
  })
}
