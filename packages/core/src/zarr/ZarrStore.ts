/**
 * A session as a Zarr 3 store: keys and bytes. Source: Zarr 3 core specification, "Abstract store
 * interface".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { WriteForbidden } from "../store/ObjectStore.ts"
import * as ObjectStoreErrors from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as NodePath from "../values/NodePath.ts"
import type { InvalidMetadata } from "../values/ZarrMetadata.ts"
import type { VirtualReadError } from "../virtual/ChunkResolver.ts"
import type { AssetError } from "../repository/Assets.ts"
import type { Session } from "../repository/Session.ts"
import type {
  InvalidChunk,
  InvalidIndex,
  InvalidPath,
  NodeAlreadyExists,
  NodeNotFound
} from "../repository/SessionError.ts"
import type { WritableSession } from "../repository/WritableSession.ts"
import * as ZarrKey from "./ZarrKey.ts"

/**
 * Why a key could not be read.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReadError = ZarrKey.InvalidKey | InvalidIndex | AssetError | VirtualReadError

/**
 * Why a key could not be written or deleted.
 *
 * @category errors
 * @since 0.1.0
 */
export type WriteError =
  | ZarrKey.InvalidKey
  | InvalidIndex
  | InvalidChunk
  | InvalidMetadata
  | InvalidPath
  | NodeNotFound
  | NodeAlreadyExists
  | WriteForbidden
  | ObjectStoreErrors.ObjectStoreError

/**
 * A Zarr store. A key that has no value is read as `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ZarrStore {
  readonly writable: boolean
  /** The value of a key, or a range of it. A range past the end of the value fails with `InvalidRange`. */
  readonly get: (
    key: string,
    options?: { readonly range?: ByteRange.ByteRange | undefined }
  ) => Effect.Effect<Uint8Array | undefined, ReadError>
  readonly exists: (key: string) => Effect.Effect<boolean, ReadError>
  readonly set: (key: string, value: Uint8Array) => Effect.Effect<void, WriteError>
  /** Deletes a key; deleting the `zarr.json` of a node deletes all that is below it. A missing key counts as deleted. */
  readonly delete: (key: string) => Effect.Effect<void, WriteError>
  /** All keys. */
  readonly list: Stream.Stream<string, AssetError>
  /** All keys that start with a prefix, which is empty or ends with `/`. */
  readonly listPrefix: (prefix: string) => Stream.Stream<string, ZarrKey.InvalidKey | AssetError>
  /** Names directly below a prefix: keys, and prefixes without their slash, each once. */
  readonly listDir: (prefix: string) => Stream.Stream<string, ZarrKey.InvalidKey | AssetError>
}

const absent = Effect.succeed(undefined)

/**
 * A session as a Zarr store. Writing through a read-only session fails with `WriteForbidden`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (session: Session | WritableSession): ZarrStore => {
  const writable = "commit" in session ? session : undefined
  const forbidden = Effect.fail(
    new WriteForbidden({
      target: "session",
      because: "it is read-only; open one with `writableSession(branch)`"
    })
  )
  const parse = (key: string): Effect.Effect<ZarrKey.ZarrKey, ZarrKey.InvalidKey> =>
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

  const get: ZarrStore["get"] = (key, options) =>
    Effect.flatMap(
      parse(key),
      ZarrKey.match({
        Metadata: ({ path }): Effect.Effect<Uint8Array | undefined, ReadError> =>
          session.node(path).pipe(
            Effect.flatMap(({ userData }) => ranged(key, userData, options?.range)),
            Effect.catchTag(["NodeNotFound", "InvalidPath"], () => absent)
          ),
        Chunk: ({ index, path }) =>
          Effect.catchTag(session.chunk(path, index, options), ["NodeNotFound", "InvalidPath"], () => absent),
        Other: () => absent
      })
    )

  const listPrefix = (prefix: string): Stream.Stream<string, ZarrKey.InvalidKey | AssetError> => {
    if (prefix !== "" && !prefix.endsWith("/")) {
      return Stream.fail(new ZarrKey.InvalidKey({ key: prefix, problem: "a prefix is empty or ends with `/`" }))
    }
    const wanted = prefix.startsWith("/") ? prefix.slice(1) : prefix
    return Stream.unwrap(
      Effect.map(Effect.orDie(session.nodes()), (nodes) =>
        Stream.flatMap(Stream.fromIterable(nodes), (node) => {
          const keys: Stream.Stream<string, AssetError> = Stream.succeed(ZarrKey.metadata(node.path))
          const base = node.path === NodePath.root ? "" : `${node.path.slice(1)}/`
          // Chunks are only asked for where one of them can start with the prefix.
          const related =
            `${base}c/`.startsWith(wanted) || wanted.startsWith(`${base}c/`) || `${base}c`.startsWith(wanted)
          if (node.data._tag === "Group" || !related) return keys
          const chunks = Stream.map(session.chunkIndices(node.path), (index) => ZarrKey.chunk(node.path, index))
          return Stream.concat(
            keys,
            Stream.catchTag(chunks, ["NodeNotFound", "InvalidPath"], () => Stream.empty)
          )
        })
      )
    ).pipe(Stream.filter((key) => key.startsWith(wanted)))
  }

  return {
    writable: writable !== undefined,
    get,
    exists: (key) =>
      Effect.flatMap(parse(key), (parsed) =>
        parsed._tag === "Chunk"
          ? session.chunkRef(parsed.path, parsed.index).pipe(
              Effect.map((ref) => ref !== undefined),
              Effect.catchTag(["NodeNotFound", "InvalidPath"], () => Effect.succeed(false))
            )
          : Effect.map(get(key), (value) => value !== undefined)
      ),
    set: Effect.fnUntraced(function* (key, value) {
      if (writable === undefined) return yield* forbidden
      const parsed = yield* parse(key)
      switch (parsed._tag) {
        case "Metadata":
          return yield* writable.setMetadata(parsed.path, value)
        case "Chunk":
          return yield* writable.setChunk(parsed.path, parsed.index, value)
        case "Other":
          return yield* new ZarrKey.InvalidKey({ key, problem: "it names neither metadata nor a chunk" })
      }
    }),
    delete: Effect.fnUntraced(function* (key) {
      if (writable === undefined) return yield* forbidden
      const parsed = yield* parse(key)
      const missing = (): Effect.Effect<void> => Effect.void
      switch (parsed._tag) {
        case "Metadata":
          return yield* Effect.catchTag(writable.deleteNode(parsed.path), "NodeNotFound", missing)
        case "Chunk":
          return yield* Effect.catchTag(writable.deleteChunk(parsed.path, parsed.index), "NodeNotFound", missing)
        case "Other":
          return
      }
    }),
    list: Stream.catchTag(listPrefix(""), "InvalidKey", Stream.die),
    listPrefix,
    listDir: (prefix) => {
      const wanted = prefix.startsWith("/") ? prefix.slice(1) : prefix
      const base = wanted === "" || wanted.endsWith("/") ? wanted : `${wanted}/`
      const seen = new Set<string>()
      return listPrefix(base).pipe(
        Stream.map((key) => key.slice(base.length).split("/", 1)[0]!),
        Stream.filter((name) => !seen.has(name) && seen.add(name) !== undefined)
      )
    }
  }
}
