/**
 * Chunks of an array under other indices: refs move, no bytes do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as ChunkOrder from "../../format/manifest/ChunkOrder.ts"
import { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as ChunkIndex from "../../values/ChunkIndex.ts"
import type { AssetError, Assets } from "../Assets.ts"
import { type ArrayNode, gridShape } from "../ChunkReads.ts"
import { InvalidReindex } from "../SessionError.ts"
import type { SnapshotView } from "../SnapshotView.ts"
import * as RefCopies from "./RefCopies.ts"

/**
 * Where a chunk goes; `undefined` drops it.
 *
 * @category models
 * @since 0.1.0
 */
export type Mapping = (index: ChunkIndex.ChunkIndex) => ChunkIndex.ChunkIndex | undefined

/**
 * A mapping that adds to each number of an index, and drops what leaves the grid.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shifted =
  (offsets: ReadonlyArray<number>, grid: ReadonlyArray<number>): Mapping =>
  (index) => {
    const to = new Array<number>(index.length)
    for (let axis = 0; axis < index.length; axis++) {
      const at = index[axis]! + offsets[axis]!
      if (at < 0 || at >= grid[axis]!) return undefined
      to[axis] = at
    }
    return to
  }

/** Indices in one array, as many as come. */
class IndexList {
  readonly rank: number
  count = 0
  coords = new Uint32Array(64)

  constructor(rank: number) {
    this.rank = rank
  }

  push(index: ChunkIndex.ChunkIndex): void {
    const at = this.count++ * this.rank
    if (at + this.rank > this.coords.length) {
      const larger = new Uint32Array(2 * (at + this.rank))
      larger.set(this.coords)
      this.coords = larger
    }
    for (let axis = 0; axis < this.rank; axis++) this.coords[at + axis] = index[axis]!
  }

  at(row: number): ChunkIndex.ChunkIndex {
    return Array.from(this.coords.subarray(row * this.rank, (row + 1) * this.rank))
  }
}

const compare = (a: Uint32Array, i: number, b: Uint32Array, j: number, rank: number): number => {
  for (let axis = 0; axis < rank; axis++) {
    const difference = a[i * rank + axis]! - b[j * rank + axis]!
    if (difference !== 0) return difference
  }
  return 0
}

/** Two chunks with one new index, if there are some. A ref that two manifests have is one chunk. */
const collision = (path: string, refs: ChunkRefColumns, origins: IndexList): InvalidReindex | undefined => {
  if (refs.rowsInOrder().length === refs.size) return undefined
  const { indices } = refs.columns()
  const first = new Map<string, number>()
  for (let row = 0; row < refs.size; row++) {
    const to = ChunkIndex.format(indices.subarray(row * refs.rank, (row + 1) * refs.rank))
    const other = first.get(to) ?? row
    first.set(to, other)
    if (compare(origins.coords, other, origins.coords, row, refs.rank) === 0) continue
    const problem = `chunk \`${ChunkIndex.format(origins.at(other))}\` becomes that, too`
    return new InvalidReindex({ path, from: ChunkIndex.format(origins.at(row)), to, problem })
  }
  return undefined
}

/** Deletes what is in a manifest and has no ref any more. */
const vacate = (refs: ChunkRefColumns, stored: IndexList): void => {
  const { rank } = refs
  const { count, indices } = refs.indicesInOrder()
  const vacated: Array<number> = []
  let i = 0
  for (const row of ChunkOrder.sort(stored.coords, rank, stored.count)) {
    while (i < count && compare(indices, i, stored.coords, row, rank) < 0) i++
    if (i === count || compare(indices, i, stored.coords, row, rank) > 0) vacated.push(row)
  }
  for (const row of vacated) refs.setDeleted(stored.at(row))
}

/**
 * The changed refs of an array in which each of its chunks is where the mapping puts it, and none anywhere else. The array
 * has a regular grid.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reindexed = Effect.fnUntraced(function* (
  assets: Assets,
  view: Pick<SnapshotView, "base" | "chunks">,
  array: ArrayNode,
  mapping: Mapping
): Effect.fn.Return<ChunkRefColumns, AssetError | InvalidReindex> {
  const grid = gridShape(array.data)
  const refs = new ChunkRefColumns(grid.length)
  const stored = new IndexList(grid.length)
  const origins = new IndexList(grid.length)
  const failures: Array<InvalidReindex> = []
  yield* RefCopies.into(
    refs,
    assets,
    view,
    array,
    (index) => {
      if (failures.length > 0) return undefined
      // Noted before: the index is the function's own.
      origins.push(index)
      const to = mapping(index)
      const problem = to === undefined ? undefined : ChunkIndex.problem(to, grid)
      if (to !== undefined && problem !== undefined) {
        const from = ChunkIndex.format(origins.at(origins.count - 1))
        failures.push(new InvalidReindex({ path: array.path, from, to: ChunkIndex.format(to), problem }))
      }
      if (to !== undefined && problem === undefined) return to
      origins.count--
      return undefined
    },
    (index) => stored.push(index)
  )
  const failure = failures[0] ?? collision(array.path, refs, origins)
  if (failure !== undefined) return yield* failure
  vacate(refs, stored)
  return refs
})
