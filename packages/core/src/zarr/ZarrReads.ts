/**
 * Reads the keys of a Zarr store from a session: all of it that a program needs which only reads.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { AssetError } from "../repository/Assets.ts"
import type { Session } from "../repository/Session.ts"
import * as ObjectStoreErrors from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as NodePath from "../values/NodePath.ts"
import type { VirtualReadError } from "../virtual/ChunkResolver.ts"
import * as ZarrKey from "./ZarrKey.ts"

/**
 * Why a key could not be read.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReadError = ZarrKey.InvalidKey | AssetError | VirtualReadError

/**
 * Reads a key, or a range of it.
 *
 * @category models
 * @since 0.1.0
 */
export type Get = (
  key: string,
  options?: { readonly range?: ByteRange.ByteRange | undefined }
) => Effect.Effect<Uint8Array | undefined, ReadError>

const absent = Effect.succeed(undefined)

/**
 * A key from a user's text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (key: string): Effect.Effect<ZarrKey.ZarrKey, ZarrKey.InvalidKey> =>
  Effect.fromResult(ZarrKey.parse(key))

const ranged = (
  key: string,
  bytes: Uint8Array,
  range: ByteRange.ByteRange | undefined
): Effect.Effect<Uint8Array, ObjectStoreErrors.ObjectStoreError> => {
  const span = ByteRange.resolve(range, bytes.length)
  if (span !== undefined) return Effect.succeed(bytes.subarray(span.start, span.end))
  const reason = new ObjectStoreErrors.InvalidRange({ size: bytes.length })
  return Effect.fail(new ObjectStoreErrors.ObjectStoreError({ store: "session", operation: "get", key, reason }))
}

/** Fails for a chunk of an array in another key encoding, which would be read as one that was never written. */
const refuseForeignChunk = Effect.fnUntraced(function* (
  session: Pick<Session, "node">,
  key: string
): Effect.fn.Return<void, ZarrKey.InvalidKey> {
  const named = NodePath.parse(key)
  if (Result.isFailure(named)) return
  for (let path = NodePath.parent(named.success); path !== undefined; path = NodePath.parent(path)) {
    const node = yield* Effect.catchTag(session.node(path), ["NodeNotFound", "InvalidPath"], () => absent)
    if (node?.data._tag !== "Array") continue
    const below = named.success.slice(path === NodePath.root ? 1 : path.length + 1)
    if (!ZarrKey.isForeignChunk(below)) return
    const problem = `chunks of \`${path}\` have keys as \`c/0/1\` here, whatever its chunk key encoding is`
    return yield* new ZarrKey.InvalidKey({ key, problem })
  }
})

/**
 * The values of a session's keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const get =
  (session: Pick<Session, "node" | "chunk">): Get =>
  (key, options) =>
    Effect.flatMap(
      parse(key),
      ZarrKey.match({
        Metadata: ({ path }): Effect.Effect<Uint8Array | undefined, ReadError> =>
          session.node(path).pipe(
            Effect.flatMap(({ userData }) => ranged(key, userData, options?.range)),
            Effect.catchTag(["NodeNotFound", "InvalidPath"], () => absent)
          ),
        Chunk: ({ index, path }) =>
          Effect.catchTag(
            session.chunk(path, index, options),
            ["NodeNotFound", "InvalidPath", "InvalidIndex"],
            () => absent
          ),
        Other: ({ key }) => Effect.andThen(refuseForeignChunk(session, key), absent)
      })
    )
