/**
 * Changes of single chunks in a session.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import type { Editing } from "./NodeEdits.ts"
import * as Session from "./Session.ts"
import { type InvalidIndex, type InvalidPath, NodeNotFound } from "./SessionError.ts"

/**
 * How chunks of a session are changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunkChanges {
  /** The array as it is now, unless it is gone, also where another one has its path. */
  readonly stillThere: (array: Session.ArrayNode) => Effect.Effect<Session.ArrayNode, NodeNotFound | InvalidPath>
  /**
   * Prepares a change of a chunk and makes it. It may have to wait, and is about the array and the index that were
   * there when it began: both are looked at before anything is prepared, and again when the change is made.
   */
  readonly changeChunk: <E>(
    path: string,
    given: ChunkIndex,
    prepare: (at: {
      readonly array: Session.ArrayNode
      readonly index: ChunkIndex
    }) => Effect.Effect<(columns: ChunkRefColumns) => void, E>
  ) => Effect.Effect<void, NodeNotFound | InvalidPath | InvalidIndex | E>
}

/**
 * The changes of a session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ current, exclusive }: Pick<Editing, "current" | "exclusive">): ChunkChanges => {
  const stillThere = (array: Session.ArrayNode): Effect.Effect<Session.ArrayNode, NodeNotFound | InvalidPath> =>
    Effect.filterOrFail(
      Session.findArray(current(), array.path),
      ({ id }) => id === array.id,
      () => new NodeNotFound({ path: array.path, wanted: "array" })
    )

  const changeChunk = Effect.fnUntraced(function* <E>(
    path: string,
    given: ChunkIndex,
    prepare: (at: {
      readonly array: Session.ArrayNode
      readonly index: ChunkIndex
    }) => Effect.Effect<(columns: ChunkRefColumns) => void, E>
  ): Effect.fn.Return<void, NodeNotFound | InvalidPath | InvalidIndex | E> {
    const index = Array.from(given)
    const array = yield* Session.findArray(current(), path)
    yield* Session.checkIndex(array, index)
    const set = yield* prepare({ array, index })
    yield* exclusive(
      Effect.gen(function* () {
        yield* Session.checkIndex(yield* stillThere(array), index)
        set(current().chunksForWriting(array.id, () => new ChunkRefColumns(index.length)))
      })
    )
  })

  return { stillThere, changeChunk }
}
