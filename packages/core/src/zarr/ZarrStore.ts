/**
 * A session as a Zarr 3 store: keys and bytes. Source: Zarr 3 core specification, "Abstract store
 * interface".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
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
export type ReadError = ZarrKey.InvalidKey | AssetError | VirtualReadError

/**
 * Why a key could not be written.
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
 * A Zarr store. A key that has no value is read as `undefined`, also where it could have none: below no array, or
 * outside of the array's chunk grid.
 *
 * Chunks have keys as `path/c/0/1`, whatever `chunk_key_encoding` their array names: so does Icechunk. Reading a
 * key in another encoding below an array fails with `InvalidKey`, because a reader would take it for a fill value.
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
  readonly delete: (key: string) => Effect.Effect<void, ZarrKey.InvalidKey | WriteForbidden>
  /** All keys. */
  readonly list: Stream.Stream<string, AssetError>
  /** All keys that start with a prefix, which may end in the middle of a name. */
  readonly listPrefix: (prefix: string) => Stream.Stream<string, AssetError>
  /** Names directly below a directory: keys, and directories without their slash, each once. */
  readonly listDir: (directory: string) => Stream.Stream<string, AssetError>
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

  /** Fails for a chunk of an array in another key encoding, which would be read as one that was never written. */
  const refuseForeignChunk = Effect.fnUntraced(function* (key: string): Effect.fn.Return<void, ZarrKey.InvalidKey> {
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
          Effect.catchTag(
            session.chunk(path, index, options),
            ["NodeNotFound", "InvalidPath", "InvalidIndex"],
            () => absent
          ),
        Other: ({ key }) => Effect.andThen(refuseForeignChunk(key), absent)
      })
    )

  /** Keys of an array's chunks. */
  const chunkKeys = (path: NodePath.NodePath): Stream.Stream<string, AssetError> =>
    session.chunkIndices(path).pipe(
      Stream.map((index) => ZarrKey.chunk(path, index)),
      Stream.catchTag(["NodeNotFound", "InvalidPath"], () => Stream.empty)
    )

  /** The key of each node's metadata, and what `chunks` has to say of the arrays; `base` starts an array's keys. */
  const keys = (
    chunks: (array: NodePath.NodePath, base: string) => Stream.Stream<string, AssetError>
  ): Stream.Stream<string, AssetError> =>
    Stream.unwrap(
      Effect.map(Effect.orDie(session.nodes()), (nodes) =>
        Stream.flatMap(Stream.fromIterable(nodes), ({ data, path }) => {
          const metadata = Stream.succeed(ZarrKey.metadata(path))
          if (data._tag === "Group") return metadata
          return Stream.concat(metadata, chunks(path, path === NodePath.root ? "" : `${path.slice(1)}/`))
        })
      )
    )

  const listPrefix = (prefix: string): Stream.Stream<string, AssetError> => {
    const wanted = prefix.startsWith("/") ? prefix.slice(1) : prefix
    // Chunks are only asked for where one of them can start with the prefix.
    return keys((array, base) =>
      `${base}c/`.startsWith(wanted) || wanted.startsWith(`${base}c/`) ? chunkKeys(array) : Stream.empty
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
              Effect.catchTag(["NodeNotFound", "InvalidPath", "InvalidIndex"], () => Effect.succeed(false))
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
          return yield* Effect.catchTag(writable.deleteNode(parsed.path), ["NodeNotFound", "InvalidPath"], missing)
        case "Chunk":
          return yield* Effect.catchTag(
            writable.deleteChunk(parsed.path, parsed.index),
            ["NodeNotFound", "InvalidPath", "InvalidIndex"],
            missing
          )
        case "Other":
          return
      }
    }),
    list: listPrefix(""),
    listPrefix,
    listDir: (directory) => {
      const wanted = directory.startsWith("/") ? directory.slice(1) : directory
      const base = wanted === "" || wanted.endsWith("/") ? wanted : `${wanted}/`
      const seen = new Set<string>()
      return keys((array, below) =>
        // The name of an array that is deeper is known by its metadata, and one chunk shows that there are some.
        below === base
          ? Stream.take(chunkKeys(array), 1)
          : base.startsWith(`${below}c/`)
            ? chunkKeys(array)
            : Stream.empty
      ).pipe(
        Stream.filter((key) => key.startsWith(base)),
        Stream.map((key) => key.slice(base.length).split("/", 1)[0]!),
        Stream.filter((name) => !seen.has(name) && seen.add(name) !== undefined)
      )
    }
  }
}
