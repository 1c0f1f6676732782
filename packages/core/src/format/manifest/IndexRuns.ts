/**
 * A set of chunk indices as runs along the last dimension: where many neighbours are written, as workers do, a million of
 * them are a few numbers. Pure.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import { attempt } from "../../encoding/Attempt.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import * as ChunkOrder from "./ChunkOrder.ts"
import type { Extents } from "./Manifest.ts"
import type { ManifestRows } from "./ManifestRows.ts"

/**
 * Indices, each once. A run is the `rank` numbers of its first index, and how many follow each other along the last
 * dimension; runs are in order and do not overlap. A scalar has one run of one.
 *
 * @category models
 * @since 0.1.0
 */
export interface IndexRuns {
  readonly rank: number
  /** Indices in all runs. */
  readonly count: number
  /** `rank + 1` numbers a run. */
  readonly runs: Uint32Array
}

/** Takes indices one after another, in ascending order. */
class Collector {
  readonly #rank: number
  readonly #last: Uint32Array
  #runs = new Uint32Array(64)
  #size = 0
  #count = 0

  constructor(rank: number) {
    this.#rank = rank
    this.#last = new Uint32Array(rank)
  }

  /** Adds the index whose numbers `coordinate` gives; false when it is not after the one before. */
  add(coordinate: (axis: number) => number): boolean {
    const rank = this.#rank
    const last = this.#last
    if (this.#count > 0) {
      let axis = 0
      while (axis < rank && coordinate(axis) === last[axis]) axis++
      if (axis === rank || coordinate(axis) < last[axis]!) return false
      if (axis === rank - 1 && coordinate(axis) === last[axis]! + 1) {
        this.#runs[this.#size - 1]!++
        last[axis]!++
        this.#count++
        return true
      }
    }
    if (this.#size + rank + 1 > this.#runs.length) {
      const larger = new Uint32Array(2 * this.#runs.length + rank + 1)
      larger.set(this.#runs)
      this.#runs = larger
    }
    for (let axis = 0; axis < rank; axis++) this.#runs[this.#size++] = last[axis] = coordinate(axis)
    this.#runs[this.#size++] = 1
    this.#count++
    return true
  }

  done(): IndexRuns {
    return { rank: this.#rank, count: this.#count, runs: this.#runs.slice(0, this.#size) }
  }
}

/**
 * The runs of indices that ascend, `rank` numbers each.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (rank: number, count: number, indices: Uint32Array): IndexRuns => {
  const collector = new Collector(rank)
  for (let i = 0; i < count; i++) collector.add((axis) => indices[i * rank + axis]!)
  return collector.done()
}

/**
 * The runs of the refs of an array in a manifest; `undefined` when they do not ascend. Fails about a damaged ref.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofRows = (rows: ManifestRows, rank: number): Result.Result<IndexRuns | undefined, FormatError> =>
  attempt(() => {
    const collector = new Collector(rank)
    for (let row = 0; row < rows.count; row++) {
      rows.seek(row)
      rows.checkRank(rank)
      if (!collector.add((axis) => rows.coordinate(axis))) return undefined
    }
    return collector.done()
  })

/** Compares all numbers but the last. */
const comparePrefix = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, rank: number): number => {
  for (let axis = 0; axis < rank - 1; axis++) {
    const difference = a[i + axis]! - b[j + axis]!
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * Whether an index is among them.
 *
 * @category predicates
 * @since 0.1.0
 */
export const has = ({ rank, runs }: IndexRuns, indices: ArrayLike<number>, at = 0): boolean => {
  if (rank === 0) return runs.length > 0
  const step = rank + 1
  const number = indices[at + rank - 1]!
  // The last run that does not begin after the index.
  let low = 0
  let high = runs.length / step
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = comparePrefix(runs, middle * step, indices, at, rank) || runs[middle * step + rank - 1]! - number
    if (order <= 0) low = middle + 1
    else high = middle
  }
  if (low === 0) return false
  const run = (low - 1) * step
  return comparePrefix(runs, run, indices, at, rank) === 0 && number - runs[run + rank - 1]! < runs[run + rank]!
}

/**
 * The indices that two sets have in common.
 *
 * @category combinators
 * @since 0.1.0
 */
export const common = (a: IndexRuns, b: IndexRuns): IndexRuns => {
  const { rank } = a
  if (rank === 0) return a.count === 0 ? a : b
  const step = rank + 1
  const found: Array<number> = []
  let count = 0
  for (let i = 0, j = 0; i < a.runs.length && j < b.runs.length;) {
    const order = comparePrefix(a.runs, i, b.runs, j, rank)
    const endA = a.runs[i + rank - 1]! + a.runs[i + rank]!
    const endB = b.runs[j + rank - 1]! + b.runs[j + rank]!
    if (order === 0) {
      const from = Math.max(a.runs[i + rank - 1]!, b.runs[j + rank - 1]!)
      const to = Math.min(endA, endB)
      if (from < to) {
        for (let axis = 0; axis < rank - 1; axis++) found.push(a.runs[i + axis]!)
        found.push(from, to - from)
        count += to - from
      }
    }
    if (order < 0 || (order === 0 && endA <= endB)) i += step
    else j += step
  }
  return { rank, count, runs: Uint32Array.from(found) }
}

/** Writes the indices, one by one, as far as there is room. */
const write = ({ rank, runs }: IndexRuns, to: Uint32Array): void => {
  for (let run = 0, at = 0; run < runs.length && at < to.length; run += rank + 1) {
    for (let i = 0; i < runs[run + rank]! && at < to.length; i++) {
      for (let axis = 0; axis < rank; axis++) to[at++] = runs[run + axis]!
      to[at - 1]! += i
    }
  }
}

/**
 * The indices one by one, or the first `limit` of them: `rank` numbers each.
 *
 * @category accessors
 * @since 0.1.0
 */
export const indices = (runs: IndexRuns, limit = runs.count): Uint32Array => {
  const found = new Uint32Array(Math.min(limit, runs.count) * runs.rank)
  write(runs, found)
  return found
}

/** Compares indices, all numbers of them. */
const compare = (a: Uint32Array, i: number, b: Uint32Array, j: number, rank: number): number =>
  rank === 0 ? 0 : comparePrefix(a, i, b, j, rank) || a[i + rank - 1]! - b[j + rank - 1]!

/**
 * The indices of several sets and of a list that ascends, each once, in order. Where one ends before the next begins, as
 * those of workers do, nothing is sorted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const union = (
  rank: number,
  sets: ReadonlyArray<IndexRuns>,
  list: { readonly count: number; readonly indices: Uint32Array } = { count: 0, indices: new Uint32Array(0) }
): { readonly count: number; readonly indices: Uint32Array } => {
  const some = sets.filter(({ count }) => count > 0).toSorted((a, b) => compare(a.runs, 0, b.runs, 0, rank))
  if (some.length === 0) return list
  const count = some.reduce((sum, set) => sum + set.count, list.count)
  if (rank === 0) return { count: Math.min(1, count), indices: list.indices }
  const all = new Uint32Array(count * rank)
  let at = 0
  let isInOrder = true
  const add = (size: number, put: (to: Uint32Array) => void): void => {
    put(all.subarray(at, at + size))
    isInOrder &&= at === 0 || size === 0 || compare(all, at - rank, all, at, rank) < 0
    at += size
  }
  for (const set of some) add(set.count * rank, (to) => write(set, to))
  add(list.count * rank, (to) => to.set(list.indices))
  if (isInOrder) return { count, indices: all }
  const order = ChunkOrder.sort(all, rank, count)
  const sorted = new Uint32Array(order.length * rank)
  for (let i = 0; i < order.length; i++) {
    for (let axis = 0; axis < rank; axis++) sorted[i * rank + axis] = all[order[i]! * rank + axis]!
  }
  return { count: order.length, indices: sorted }
}

/**
 * The smallest box around them; `undefined` where there are none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const extents = ({ count, rank, runs }: IndexRuns): Extents | undefined => {
  if (count === 0) return undefined
  return Array.from({ length: rank }, (_, axis) => {
    let from = 0xffff_ffff
    let to = 0
    for (let run = 0; run < runs.length; run += rank + 1) {
      const first = runs[run + axis]!
      from = Math.min(from, first)
      to = Math.max(to, first + (axis === rank - 1 ? runs[run + rank]! : 1))
    }
    return { from, to }
  })
}
