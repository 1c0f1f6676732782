/**
 * The distinct chunks that some transaction logs say were written or deleted, by array: in columns, and never more in memory
 * than twice the distinct ones, however many logs there are. Pure.
 *
 * @since 0.1.0
 */
import type { UpdatedChunks } from "../../format/TransactionLog.ts"
import type { ChunkIndex } from "../../values/ChunkIndex.ts"
import type { NodeId } from "../../values/ObjectId.ts"

/** Chunk numbers one after the other, in lexicographic order, each index once. */
type Run = Pick<UpdatedChunks, "count" | "coords">

/** Two runs as one. */
const merged = (rank: number, a: Run, b: Run): Run => {
  if (rank === 0) return a
  const coords = new Uint32Array((a.count + b.count) * rank)
  const endA = a.count * rank
  const endB = b.count * rank
  let atA = 0
  let atB = 0
  let to = 0
  while (atA < endA && atB < endB) {
    let axis = 0
    while (axis < rank && a.coords[atA + axis] === b.coords[atB + axis]) axis++
    const takesA = axis === rank || a.coords[atA + axis]! < b.coords[atB + axis]!
    const from = takesA ? a.coords : b.coords
    const at = takesA ? atA : atB
    for (let i = 0; i < rank; i++) coords[to++] = from[at + i]!
    if (takesA) atA += rank
    if (!takesA || axis === rank) atB += rank
  }
  coords.set(a.coords.subarray(atA, endA), to)
  to += endA - atA
  coords.set(b.coords.subarray(atB, endB), to)
  to += endB - atB
  return { count: to / rank, coords: to === coords.length ? coords : coords.slice(0, to) }
}

/**
 * Runs of one array, each at least twice as long as the one that was added after it, so that every index is looked at only as
 * often as the logarithm of their number.
 */
class Runs {
  readonly rank: number
  readonly #runs: Array<Run> = []

  constructor(rank: number) {
    this.rank = rank
  }

  add(run: Run): void {
    let last = run
    for (let before = this.#runs.at(-1); before !== undefined && before.count < 2 * last.count;) {
      this.#runs.pop()
      last = merged(this.rank, before, last)
      before = this.#runs.at(-1)
    }
    this.#runs.push(last)
  }

  /** All of them, as one run. */
  whole(): Run {
    while (this.#runs.length > 1) {
      const last = this.#runs.pop()!
      this.#runs.push(merged(this.rank, this.#runs.pop()!, last))
    }
    return this.#runs[0] ?? { count: 0, coords: new Uint32Array(0) }
  }
}

/**
 * Chunks of arrays.
 *
 * @category models
 * @since 0.1.0
 */
export class ChangedChunks {
  /** By array, and by the number of its dimensions, which may have changed in between. */
  readonly #arrays = new Map<NodeId, Map<number, Runs>>()

  /** Adds what a log says of an array. The numbers are copied before they are changed. */
  add({ coords, count, node, rank }: UpdatedChunks): void {
    if (count === 0) return
    let ranks = this.#arrays.get(node)
    if (ranks === undefined) this.#arrays.set(node, (ranks = new Map()))
    let runs = ranks.get(rank)
    if (runs === undefined) ranks.set(rank, (runs = new Runs(rank)))
    runs.add({ coords, count })
  }

  /** The arrays that have any. */
  nodes(): Iterable<NodeId> {
    return this.#arrays.keys()
  }

  /** How many chunks of an array there are. */
  count(node: NodeId): number {
    return Array.from(this.#arrays.get(node)?.values() ?? []).reduce((sum, runs) => sum + runs.whole().count, 0)
  }

  /** The chunks of an array in lexicographic order; of one that had another number of dimensions, by that number first. */
  *indices(node: NodeId): Generator<ChunkIndex> {
    const ranks = Array.from(this.#arrays.get(node)?.values() ?? []).toSorted((a, b) => a.rank - b.rank)
    for (const runs of ranks) {
      const { coords, count } = runs.whole()
      for (let i = 0; i < count; i++) yield Array.from(coords.subarray(i * runs.rank, (i + 1) * runs.rank))
    }
  }
}
