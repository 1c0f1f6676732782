/**
 * Chunks of a change set that are objects of their own, by the ids of those.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Kind } from "../../format/manifest/ChunkRefColumns.ts"
import type { DeferredWrites } from "../../store/DeferredWrites.ts"
import { ObjectStoreError, Unavailable } from "../../store/ObjectStoreError.ts"
import * as ChunkIndices from "../../values/ChunkIndex.ts"
import type { NodePath } from "../../values/NodePath.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { ChangedSnapshot } from "./ChangedSnapshot.ts"

interface Place {
  readonly path: NodePath
  readonly index: string
}

/** Where the chunks are that the changes refer to, by id. */
const places = (changed: ChangedSnapshot): ReadonlyMap<string, Place> => {
  const found = new Map<string, Place>()
  for (const { id: node, path } of changed.nodes()) {
    const refs = changed.changes.chunks.get(node)
    if (refs === undefined) continue
    const { ids, indices, kinds, targets } = refs.columns()
    for (const row of refs.rowsInOrder()) {
      if (kinds[row] !== Kind.Native) continue
      const id = ObjectId.chunkId(ids.subarray(targets[row]))
      const index = ChunkIndices.format(indices.subarray(row * refs.rank, (row + 1) * refs.rank))
      found.set(id, { path, index })
    }
  }
  return found
}

/**
 * Makes the chunks durable that the changes refer to. `chunks` names them by their ids, and may have others, which were
 * set anew since or are about to be set.
 *
 * @category writing
 * @since 0.1.0
 */
export const settle = (chunks: DeferredWrites, changed: ChangedSnapshot): Effect.Effect<void, ObjectStoreError> =>
  Effect.suspend(() => {
    let known: ReadonlyMap<string, Place> | undefined
    // Asked for after a failure only.
    const find = (id: string): Place | undefined => (known ??= places(changed)).get(id)
    return Effect.mapError(
      chunks.settle((id) => find(id) !== undefined),
      ({ error, object }) => {
        const place = object === undefined ? undefined : find(object)
        if (place === undefined || error.isRetryable) return error
        const because = `the chunk \`${place.index}\` of \`${place.path}\` may not be on the disk; set it again, then commit again`
        const reason = new Unavailable({ because, detail: error.message, cause: error, isLasting: true })
        return new ObjectStoreError({ store: error.store, operation: error.operation, key: error.key, reason })
      }
    )
  })
