/**
 * Virtual refs one by one, from a stream or an iterable, gathered in columns as they come.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Checksum from "../values/Checksum.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import * as VirtualChunkRefs from "../values/VirtualChunkRef.ts"
import { InvalidIndex, InvalidVirtualRef } from "./SessionError.ts"
import type { VirtualRefs } from "./VirtualRefs.ts"

/**
 * A virtual ref, and the chunk that it is for.
 *
 * @category models
 * @since 0.1.0
 */
export interface IndexedVirtualRef extends VirtualChunkRef {
  readonly index: ChunkIndex.ChunkIndex
}

/**
 * Where refs come from. They are taken one after the other, and none is kept.
 *
 * @category models
 * @since 0.1.0
 */
export type Source<E, R> = Iterable<IndexedVirtualRef> | Stream.Stream<IndexedVirtualRef, E, R>

const keyOf = ({ checksum, location }: VirtualChunkRef): string =>
  checksum === undefined
    ? location
    : `${location}\0${Checksum.match(checksum, {
        ETag: ({ etag }) => `e${etag}`,
        LastModified: ({ seconds }) => `t${seconds}`
      })}`

/** Columns that grow by one row at a time. */
class Columns {
  readonly rank: number
  count = 0
  indices: Uint32Array = new Uint32Array(0)
  offsets: Float64Array = new Float64Array(0)
  lengths: Float64Array = new Float64Array(0)
  ids: Uint32Array = new Uint32Array(0)
  readonly values: Array<string> = []
  readonly checksums: Array<Checksum.Checksum | undefined> = []
  readonly #known = new Map<string, number>()

  constructor(rank: number) {
    this.rank = rank
  }

  push(ref: IndexedVirtualRef): void {
    const row = this.count++
    if (row === this.offsets.length) this.#grow(Math.max(1024, 2 * row))
    for (let axis = 0; axis < this.rank; axis++) this.indices[row * this.rank + axis] = ref.index[axis]!
    this.offsets[row] = ref.offset
    this.lengths[row] = ref.length
    const key = keyOf(ref)
    let id = this.#known.get(key)
    if (id === undefined) {
      id = this.values.push(ref.location) - 1
      this.checksums.push(ref.checksum)
      this.#known.set(key, id)
    }
    this.ids[row] = id
  }

  #grow(rows: number): void {
    const larger = <A extends Uint32Array | Float64Array>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    this.indices = larger(this.indices, new Uint32Array(rows * this.rank))
    this.offsets = larger(this.offsets, new Float64Array(rows))
    this.lengths = larger(this.lengths, new Float64Array(rows))
    this.ids = larger(this.ids, new Uint32Array(rows))
  }

  refs(): VirtualRefs {
    const { checksums, count, ids, indices, lengths, offsets, rank, values } = this
    return {
      indices: indices.subarray(0, count * rank),
      offsets: offsets.subarray(0, count),
      lengths: lengths.subarray(0, count),
      locations: { values, ids: ids.subarray(0, count) },
      checksums
    }
  }
}

/**
 * All refs of a source in columns. Fails at the first one that addresses no bytes, or is for no chunk of the grid.
 *
 * @category combinators
 * @since 0.1.0
 */
export const gather = Effect.fnUntraced(function* <E, R>(
  path: string,
  grid: ReadonlyArray<number>,
  source: Source<E, R>
): Effect.fn.Return<VirtualRefs, E | InvalidIndex | InvalidVirtualRef, R> {
  const columns = new Columns(grid.length)
  /** Adds a ref, or says what is wrong with it. */
  const add = (ref: IndexedVirtualRef): InvalidIndex | InvalidVirtualRef | undefined => {
    const outside = ChunkIndex.problem(ref.index, grid)
    const problem = outside ?? VirtualChunkRefs.problem(ref.offset, ref.length)
    if (problem !== undefined) {
      const at = `${ChunkIndex.format(ref.index)} in row ${columns.count}`
      return outside === undefined
        ? new InvalidVirtualRef({ path, at, problem })
        : new InvalidIndex({ path, index: at, problem })
    }
    columns.push(ref)
    return undefined
  }
  const stream = Stream.isStream(source) ? source : Stream.fromIterable(source)
  yield* Stream.runForEachArray(stream, (refs) => {
    for (const ref of refs) {
      const problem = add(ref)
      if (problem !== undefined) return Effect.fail(problem)
    }
    return Effect.void
  })
  return columns.refs()
})
