/**
 * The chunk refs of an array as they are after its changes: those of manifests, with the changed ones in
 * their place and the deleted ones gone, in order. Nothing is copied but which ref is where.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type { NodeId } from "../../values/ObjectId.ts"
import * as ChunkOrder from "./ChunkOrder.ts"
import { type ChunkRefColumns, type Columns, Kind } from "./ChunkRefColumns.ts"
import { attempt } from "../../encoding/Attempt.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { Extents, Manifest } from "./Manifest.ts"
import type { ManifestRows } from "./ManifestRows.ts"

/**
 * Where the refs of an array come from.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArraySources {
  readonly node: NodeId
  /** Chunks along each dimension: refs outside are left out. */
  readonly gridShape: ReadonlyArray<number>
  /**
   * Manifests that may have refs of the array, and the part of the grid that each is for. Of those that have
   * the same index the first one counts.
   */
  readonly bases: ReadonlyArray<{ readonly manifest: Manifest; readonly extents: Extents }>
  /** Changes, which count before the manifests. */
  readonly changes: ChunkRefColumns | undefined
}

/**
 * A manifest and a cursor over its refs of the array.
 *
 * @category models
 * @since 0.1.0
 */
export interface Base {
  readonly manifest: Manifest
  readonly extents: Extents
  readonly rows: ManifestRows
}

/**
 * The refs that remain, by ascending index: which row of which source each is.
 *
 * @category models
 * @since 0.1.0
 */
export interface MergedRefs {
  readonly node: NodeId
  readonly rank: number
  readonly count: number
  /** The row of each ref in its source. */
  readonly rows: Uint32Array
  /** For each ref 0 for the changes, `n` for `bases[n - 1]`; `undefined` when all are changes. */
  readonly sources: Uint32Array | undefined
  readonly bases: ReadonlyArray<Base>
  readonly changes: Columns | undefined
}

const noRows = new Uint32Array(0)

const isInGrid = (indices: Uint32Array, at: number, gridShape: ReadonlyArray<number>): boolean => {
  for (let axis = 0; axis < gridShape.length; axis++) if (indices[at + axis]! >= gridShape[axis]!) return false
  return true
}

/** Changes that lie in the grid, by index; tombstones only where there is something for them to hide. */
const changedRows = (
  changes: ChunkRefColumns | undefined,
  gridShape: ReadonlyArray<number>,
  tombstones: boolean
): Uint32Array => {
  if (changes === undefined) return noRows
  const { indices, kinds } = changes.columns()
  const rows = changes.rowsInOrder()
  if (changes.areRefsWithin(gridShape)) return rows
  let kept: Uint32Array | undefined
  let count = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    const wanted = (tombstones || kinds[row] !== Kind.Deleted) && isInGrid(indices, row * changes.rank, gridShape)
    // Copied only when a row is left out.
    if (kept === undefined && !wanted) {
      kept = rows.slice()
      count = i
    } else if (kept !== undefined && wanted) kept[count++] = row
  }
  return kept === undefined ? rows : kept.subarray(0, count)
}

/**
 * Merges the sources of an array. Fails about a damaged ref of a manifest. Changes of another rank than the
 * grid's are a defect.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (sources: ArraySources): Result.Result<MergedRefs, FormatError> =>
  attempt(() => {
    const { changes, gridShape, node } = sources
    const rank = gridShape.length
    if (changes !== undefined && changes.rank !== rank) {
      throw new RangeError(`Array ${node} has ${rank} dimension(s), its changed refs have ${changes.rank}`)
    }
    const bases = sources.bases.flatMap(({ extents, manifest }) => {
      const rows = manifest.rows(node)
      return rows === undefined || rows.count === 0 ? [] : [{ manifest, extents, rows }]
    })
    const changed = changedRows(changes, gridShape, bases.length > 0)
    const columns = changes?.columns()
    if (bases.length === 0) {
      return { node, rank, count: changed.length, rows: changed, sources: undefined, bases, changes: columns }
    }
    const capacity = bases.reduce((sum, { rows }) => sum + rows.count, changed.length)
    const indices = new Uint32Array(capacity * rank)
    const rowOf = new Uint32Array(capacity)
    const sourceOf = new Uint32Array(capacity)
    let count = 0
    // Of rows with the same index the sort keeps the last.
    for (let source = bases.length; source > 0; source--) {
      const { extents, rows } = bases[source - 1]!
      for (let row = 0; row < rows.count; row++) {
        rows.seek(row)
        if (!rows.isWithin(extents)) continue
        const at = count * rank
        for (let axis = 0; axis < rank; axis++) indices[at + axis] = rows.coordinate(axis)
        if (!isInGrid(indices, at, gridShape)) continue
        rowOf[count] = row
        sourceOf[count++] = source
      }
    }
    for (let i = 0; i < changed.length; i++) {
      const row = changed[i]!
      for (let axis = 0; axis < rank; axis++) indices[count * rank + axis] = columns!.indices[row * rank + axis]!
      rowOf[count++] = row
    }
    const order = ChunkOrder.sort(indices, rank, count)
    const rows = new Uint32Array(order.length)
    const sourcesInOrder = new Uint32Array(order.length)
    let kept = 0
    for (let i = 0; i < order.length; i++) {
      const at = order[i]!
      const source = sourceOf[at]!
      if (source === 0 && columns!.kinds[rowOf[at]!] === Kind.Deleted) continue
      rows[kept] = rowOf[at]!
      sourcesInOrder[kept++] = source
    }
    return { node, rank, count: kept, rows, sources: sourcesInOrder, bases, changes: columns }
  })

/** Reads the index of the ref at `position` into `index`. */
const readIndex = (refs: MergedRefs, position: number, index: Uint32Array): void => {
  const { rank } = refs
  const row = refs.rows[position]!
  const source = refs.sources === undefined ? 0 : refs.sources[position]!
  if (source === 0) {
    const { indices } = refs.changes!
    for (let axis = 0; axis < rank; axis++) index[axis] = indices[row * rank + axis]!
    return
  }
  const { rows } = refs.bases[source - 1]!
  rows.seek(row)
  for (let axis = 0; axis < rank; axis++) index[axis] = rows.coordinate(axis)
}

/**
 * The refs of each box of a grid that is cut into boxes of `sizes` chunks: their positions in the merged
 * order, ascending. Only boxes with refs; one pass whatever their number.
 *
 * @category combinators
 * @since 0.1.0
 */
export const byBox = (
  refs: MergedRefs,
  gridShape: ReadonlyArray<number>,
  sizes: ReadonlyArray<number>
): Result.Result<ReadonlyArray<Uint32Array>, FormatError> =>
  attempt(() => {
    if (refs.count === 0) return []
    const { rank } = refs
    if (sizes.every((size, axis) => size >= gridShape[axis]!)) {
      const all = new Uint32Array(refs.count)
      for (let position = 0; position < refs.count; position++) all[position] = position
      return [all]
    }
    const index = new Uint32Array(rank)
    // The number of each ref's box, in the order in which boxes are met.
    const boxOf = new Uint32Array(refs.count)
    const counts: Array<number> = []
    const numbers = new Map<string, number>()
    const lastBox = new Float64Array(rank).fill(-1)
    let number = 0
    for (let position = 0; position < refs.count; position++) {
      readIndex(refs, position, index)
      let moved = position === 0
      for (let axis = 0; axis < rank; axis++) {
        const at = sizes[axis]! >= gridShape[axis]! ? 0 : Math.floor(index[axis]! / sizes[axis]!)
        if (at === lastBox[axis]) continue
        lastBox[axis] = at
        moved = true
      }
      if (moved) {
        const key = lastBox.join()
        const known = numbers.get(key)
        number = known ?? counts.push(0) - 1
        if (known === undefined) numbers.set(key, number)
      }
      boxOf[position] = number
      counts[number]!++
    }
    const boxes = counts.map((count) => new Uint32Array(count))
    const filled = new Uint32Array(counts.length)
    for (let position = 0; position < refs.count; position++) {
      const box = boxOf[position]!
      boxes[box]![filled[box]!++] = position
    }
    return boxes
  })
