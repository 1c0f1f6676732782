/**
 * Which rows of changed refs change anything: a ref that is there already, and a tombstone where there is nothing to
 * hide, do not.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import { attempt } from "../../encoding/Attempt.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import * as Bytes from "../../values/Bytes.ts"
import { type Columns, Kind } from "./ChunkRefColumns.ts"
import { type ManifestRows, Ref } from "./ManifestRows.ts"
import type { ArraySources } from "./MergedRefs.ts"

/** The refs of an array in one manifest, asked for by ascending index. */
class Cursor {
  readonly #rows: ManifestRows
  /** No row before this one has the next index. */
  #low = 0
  #etagAt = -1
  #etag = ""

  constructor(rows: ManifestRows) {
    this.#rows = rows
  }

  /** Goes to the row of an index that comes after those before; false when there is none. */
  seek(index: ArrayLike<number>): boolean {
    const rows = this.#rows
    const isBefore = (row: number): boolean => {
      rows.seek(row)
      return rows.compare(index) < 0
    }
    // In steps that double, so that few refs among many are found fast, and many one after the other.
    let step = 1
    let low = this.#low
    let high = low
    while (high < rows.count && isBefore(high)) {
      low = high + 1
      high += step
      step *= 2
    }
    high = Math.min(high, rows.count)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(middle)) low = middle + 1
      else high = middle
    }
    this.#low = low
    if (low === rows.count) return false
    rows.seek(low)
    return rows.compare(index) === 0
  }

  /** Whether the ref is the one in a row of the columns. */
  is(columns: Columns, row: number): boolean {
    const rows = this.#rows
    const kind = columns.kinds[row]!
    if (kind === Kind.Deleted) return false
    const offset = columns.offsets[row]!
    const length = columns.lengths[row]!
    const target = columns.targets[row]!
    if (kind === Kind.Inline) {
      return (
        rows.kind === "Inline" &&
        Bytes.equals(rows.bytes(Ref.inline)!, columns.inline.subarray(offset, offset + length))
      )
    }
    if (rows.kind === "Inline" || rows.offset !== offset || rows.length !== length) return false
    if (kind === Kind.Native) {
      return rows.kind === "Native" && Bytes.equals(rows.chunkId, columns.ids.subarray(target, target + 12))
    }
    return (
      rows.kind === "Virtual" &&
      this.#hasChecksum(columns, row, kind) &&
      rows.locations[rows.locationId()] === columns.locations[target]
    )
  }

  #hasChecksum(columns: Columns, row: number, kind: number): boolean {
    const rows = this.#rows
    const hasEtag = rows.has(Ref.checksum_etag)
    if (kind !== Kind.VirtualETag) {
      return !hasEtag && rows.lastModified === (kind === Kind.VirtualLastModified ? columns.checksums[row]! : 0)
    }
    if (!hasEtag) return false
    // Refs of one object share their tag in the file.
    const at = rows.vector(Ref.checksum_etag)
    if (at !== this.#etagAt) {
      this.#etag = rows.etag!
      this.#etagAt = at
    }
    return this.#etag === columns.etags[columns.checksums[row]!]
  }
}

/** The first of `rows`, which ascend, whose index does not start with less than `from`. */
const firstFrom = (indices: Uint32Array, rank: number, rows: Uint32Array, from: number): number => {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (indices[rows[middle]! * rank]! < from) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Whether the index that starts at `at` is in a box.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isWithin = (
  indices: ArrayLike<number>,
  at: number,
  box: ReadonlyArray<{ readonly from: number; readonly to: number }>
): boolean => {
  for (let axis = 0; axis < box.length; axis++) {
    const number = indices[at + axis]!
    if (number < box[axis]!.from || number >= box[axis]!.to) return false
  }
  return true
}

/**
 * The rows of the changes, by ascending index, that lie in the grid and change anything; the same array as
 * `changes.rowsInOrder()` when all do. Fails about a damaged ref of a manifest that is looked at.
 *
 * @category combinators
 * @since 0.1.0
 */
export const effectiveRows = (
  sources: ArraySources & { readonly changes: NonNullable<ArraySources["changes"]> }
): Result.Result<Uint32Array<ArrayBuffer>, FormatError> =>
  attempt(() => {
    const { bases, changes, gridShape, node } = sources
    const columns = changes.columns()
    const { indices, kinds } = columns
    const { rank } = changes
    const rows = changes.rowsInOrder()
    if (bases.length === 0 && changes.areRefsWithin(gridShape)) return rows
    const grid = gridShape.map((to) => ({ from: 0, to }))
    /** For each row 1 when a manifest has the same, 2 when the first that has its index has something else. */
    const found = new Uint8Array(rows.length)
    for (const { extents, manifest } of bases) {
      const refs = manifest.rows(node)
      if (refs === undefined || refs.count === 0) continue
      const cursor = new Cursor(refs)
      const from = rank === 0 ? 0 : firstFrom(indices, rank, rows, extents[0]!.from)
      const to = rank === 0 ? rows.length : firstFrom(indices, rank, rows, extents[0]!.to)
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (found[i] !== 0 || !isWithin(indices, row * rank, extents)) continue
        if (cursor.seek(indices.subarray(row * rank, (row + 1) * rank))) found[i] = cursor.is(columns, row) ? 1 : 2
      }
    }
    let kept: Uint32Array<ArrayBuffer> | undefined
    let count = 0
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      const changesNothing = found[i] === 1 || (found[i] === 0 && kinds[row] === Kind.Deleted)
      const wanted = !changesNothing && isWithin(indices, row * rank, grid)
      // Copied only when a row is left out.
      if (kept === undefined && !wanted) {
        kept = rows.slice()
        count = i
      } else if (kept !== undefined && wanted) kept[count++] = row
    }
    return kept === undefined ? rows : kept.subarray(0, count)
  })

/**
 * Whether one of the rows lies in a part of the grid.
 *
 * @category predicates
 * @since 0.1.0
 */
export const touches = (
  { indices }: Columns,
  rank: number,
  rows: Uint32Array,
  box: ReadonlyArray<{ readonly from: number; readonly to: number }>
): boolean => {
  const from = rank === 0 ? 0 : firstFrom(indices, rank, rows, box[0]!.from)
  for (let i = from; i < rows.length; i++) {
    const at = rows[i]! * rank
    if (rank > 0 && indices[at]! >= box[0]!.to) return false
    if (isWithin(indices, at, box)) return true
  }
  return false
}
