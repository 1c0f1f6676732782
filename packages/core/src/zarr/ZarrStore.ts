/**
 * A session as a Zarr 3 store: keys and bytes. Source: Zarr 3 core specification, "Abstract store
 * interface".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { WriteForbidden } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as ChunkRef from "../format/manifest/ChunkRef.ts"
import * as NodePath from "../values/NodePath.ts"
import type { InvalidMetadata } from "../values/ZarrMetadata.ts"
import type { AssetError } from "../repository/Assets.ts"
import type { Session } from "../repository/Session.ts"
import type { Node } from "../repository/SnapshotView.ts"
import type {
  InvalidChunk,
  InvalidIndex,
  InvalidPath,
  NodeAlreadyExists,
  NodeNotFound
} from "../repository/SessionError.ts"
import type { WritableSession } from "../repository/WritableSession.ts"
import * as ZarrKey from "./ZarrKey.ts"
import * as ZarrReads from "./ZarrReads.ts"

/**
 * Why a key could not be read.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReadError = ZarrReads.ReadError

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
  | ObjectStoreError

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
  readonly get: ZarrReads.Get
  readonly exists: (key: string) => Effect.Effect<boolean, ReadError>
  readonly set: (key: string, value: Uint8Array) => Effect.Effect<void, WriteError>
  /** Sets a key that has no value; answers whether it did. Of several at the same time one does. */
  readonly setIfNotExists: (key: string, value: Uint8Array) => Effect.Effect<boolean, WriteError | ReadError>
  /** Bytes of the value of a key, `undefined` for one that has none. No chunk is read. */
  readonly getSize: (key: string) => Effect.Effect<number | undefined, ReadError>
  /** Bytes of the values of all keys that start with a prefix. No chunk is read. */
  readonly getSizeOfPrefix: (prefix: string) => Effect.Effect<number, ReadError>
  /** Whether no key starts with a prefix. */
  readonly isEmpty: (prefix?: string) => Effect.Effect<boolean, AssetError>
  /** Deletes all keys. */
  readonly clear: Effect.Effect<void, WriteForbidden>
  /** Deletes a key; deleting the `zarr.json` of a node deletes all that is below it. A missing key counts as deleted. */
  readonly delete: (key: string) => Effect.Effect<void, ZarrKey.InvalidKey | WriteForbidden>
  /** Deletes all keys that start with a prefix, which may end in the middle of a name; see `delete`. */
  readonly deletePrefix: (prefix: string) => Effect.Effect<void, AssetError | WriteForbidden>
  /** Deletes all keys in a directory and below it. */
  readonly deleteDir: (directory: string) => Effect.Effect<void, AssetError | WriteForbidden>
  /** All keys. */
  readonly list: Stream.Stream<string, AssetError>
  /** All keys that start with a prefix, which may end in the middle of a name. */
  readonly listPrefix: (prefix: string) => Stream.Stream<string, AssetError>
  /** Names directly below a directory: keys, and directories without their slash, each once. */
  readonly listDir: (directory: string) => Stream.Stream<string, AssetError>
}

const absent = Effect.succeed(undefined)

/** The node path of a directory, given as the start of keys; `undefined` for one that no user can ask for. */
const directoryOf = (base: string): NodePath.NodePath | undefined =>
  base === ""
    ? NodePath.root
    : base === "/"
      ? undefined
      : Result.getOrUndefined(NodePath.parse(`/${base.slice(0, -1)}`))

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
  const get = ZarrReads.get(session)
  const inTurn = Semaphore.makeUnsafe(1)

  /** Keys of an array's chunks. */
  const chunkKeys = (path: NodePath.NodePath): Stream.Stream<string, AssetError> =>
    session.chunkIndices(path).pipe(
      Stream.map((index) => ZarrKey.chunk(path, index)),
      Stream.catchTag(["NodeNotFound", "InvalidPath"], () => Stream.empty)
    )

  /** The keys of nodes' metadata, and those of chunks of the arrays that are asked for; `base` starts an array's keys. */
  const keysOf = (
    nodes: ReadonlyArray<Node>,
    isWanted: (base: string) => boolean
  ): ReadonlyArray<Stream.Stream<string, AssetError>> => {
    const streams: Array<Stream.Stream<string, AssetError>> = []
    let metadata: Array<string> = []
    for (const { data, path } of nodes) {
      metadata.push(ZarrKey.metadata(path))
      if (data._tag === "Group" || !isWanted(path === NodePath.root ? "" : `${path.slice(1)}/`)) continue
      streams.push(Stream.fromIterable(metadata), chunkKeys(path))
      metadata = []
    }
    return [...streams, Stream.fromIterable(metadata)]
  }

  const nodeAt = (path: NodePath.NodePath): Effect.Effect<Node | undefined> =>
    Effect.catchTag(session.node(path), ["NodeNotFound", "InvalidPath"], () => absent)

  /** Chunks of the array, if there is one, whose keys are in a directory that is not of nodes: `path/c` or below. */
  const chunksAround = Effect.fnUntraced(function* (
    directory: NodePath.NodePath
  ): Effect.fn.Return<Array<Stream.Stream<string, AssetError>>> {
    const found: Array<Stream.Stream<string, AssetError>> = []
    for (
      let at = directory, above = NodePath.parent(at);
      above !== undefined;
      at = above, above = NodePath.parent(above)
    ) {
      if (NodePath.name(at) === "c" && (yield* nodeAt(above))?.data._tag === "Array") found.push(chunkKeys(above))
    }
    return found
  })

  /** All keys below a directory, a slash at its end, and some more; chunks where their keys can start with `wanted`. */
  const keysBelow = Effect.fnUntraced(function* (
    base: string,
    wanted: string
  ): Effect.fn.Return<Stream.Stream<string, AssetError>> {
    // Other clients write paths with empty and `.` segments.
    const directory = directoryOf(base) ?? NodePath.root
    const nodes = yield* Effect.orDie(session.nodes(directory))
    const canHave = (array: string): boolean => `${array}c/`.startsWith(wanted) || wanted.startsWith(`${array}c/`)
    return Stream.flatten(Stream.fromIterable([...(yield* chunksAround(directory)), ...keysOf(nodes, canHave)]))
  })

  const listPrefix = (prefix: string): Stream.Stream<string, AssetError> => {
    const wanted = prefix.startsWith("/") ? prefix.slice(1) : prefix
    return Stream.filter(Stream.unwrap(keysBelow(wanted.slice(0, wanted.lastIndexOf("/") + 1), wanted)), (key) =>
      key.startsWith(wanted)
    )
  }

  /** The names in a directory that keys start with, each once. */
  const namesOf = (keys: Stream.Stream<string, AssetError>, base: string, known: ReadonlyArray<string>) => {
    const seen = new Set(known)
    return keys.pipe(
      Stream.filter((key) => key.startsWith(base)),
      Stream.map((key) => key.slice(base.length).split("/", 1)[0]!),
      Stream.filter((name) => !seen.has(name) && seen.add(name) !== undefined)
    )
  }

  /** The names in a directory that nodes can be in, looking only at what is directly in it. */
  const namesIn = Effect.fnUntraced(function* (
    base: string,
    directory: NodePath.NodePath
  ): Effect.fn.Return<Stream.Stream<string, AssetError>> {
    const below = yield* Effect.orDie(session.names(directory))
    const node = yield* nodeAt(directory)
    const names = node === undefined ? below : [...new Set([ZarrKey.metadataName, ...below])]
    const chunks = yield* chunksAround(directory)
    // One chunk shows that there are some.
    if (node?.data._tag === "Array") chunks.push(Stream.take(chunkKeys(directory), 1))
    const listed = Stream.fromIterable(names)
    return chunks.length === 0
      ? listed
      : Stream.concat(listed, namesOf(Stream.flatten(Stream.fromIterable(chunks)), base, names))
  })

  const listDir = (directory: string): Stream.Stream<string, AssetError> => {
    const wanted = directory.startsWith("/") ? directory.slice(1) : directory
    const base = wanted === "" || wanted.endsWith("/") ? wanted : `${wanted}/`
    const path = directoryOf(base)
    return Stream.unwrap(
      path === undefined ? Effect.map(keysBelow(base, base), (keys) => namesOf(keys, base, [])) : namesIn(base, path)
    )
  }

  const set: ZarrStore["set"] = Effect.fnUntraced(function* (key, value) {
    if (writable === undefined) return yield* forbidden
    const parsed = yield* ZarrReads.parse(key)
    switch (parsed._tag) {
      case "Metadata":
        return yield* writable.setMetadata(parsed.path, value)
      case "Chunk":
        return yield* writable.setChunk(parsed.path, parsed.index, value)
      case "Other":
        return yield* new ZarrKey.InvalidKey({ key, problem: "it names neither metadata nor a chunk" })
    }
  })

  const getSize = Effect.fnUntraced(function* (key: string): Effect.fn.Return<number | undefined, ReadError> {
    const parsed = yield* ZarrReads.parse(key)
    if (parsed._tag !== "Chunk") return (yield* get(key))?.length
    const ref = yield* Effect.catchTag(
      session.chunkRef(parsed.path, parsed.index),
      ["NodeNotFound", "InvalidPath", "InvalidIndex"],
      () => absent
    )
    return ref === undefined ? undefined : ChunkRef.byteLength(ref)
  })

  /** Deletes keys that were listed, in the session as it was then. */
  const deleteListed = (prefix: string): Effect.Effect<void, AssetError | WriteForbidden> =>
    writable === undefined
      ? forbidden
      : // A key that is listed is one.
        Stream.runForEach(listPrefix(prefix), (key) => Effect.catchTag(remove(key), "InvalidKey", Effect.die))

  const remove: ZarrStore["delete"] = Effect.fnUntraced(function* (key) {
    if (writable === undefined) return yield* forbidden
    const parsed = yield* ZarrReads.parse(key)
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
  })

  return {
    writable: writable !== undefined,
    get,
    getSize,
    getSizeOfPrefix: (prefix) =>
      Stream.runFoldEffect(
        listPrefix(prefix),
        () => 0,
        (sum, key) => Effect.map(getSize(key), (size = 0) => sum + size)
      ),
    setIfNotExists: (key, value) =>
      inTurn.withPermits(1)(
        Effect.gen(function* () {
          if (writable === undefined) return yield* forbidden
          if ((yield* getSize(key)) !== undefined) return false
          yield* set(key, value)
          return true
        })
      ),
    isEmpty: (prefix = "") =>
      Effect.map(Stream.runCollect(Stream.take(listPrefix(prefix), 1)), ({ length }) => length === 0),
    clear: writable === undefined ? forbidden : writable.clear,
    deletePrefix: deleteListed,
    deleteDir: (directory) =>
      deleteListed(directory === "" || directory === "/" || directory.endsWith("/") ? directory : `${directory}/`),
    exists: (key) =>
      Effect.flatMap(ZarrReads.parse(key), (parsed) =>
        parsed._tag === "Chunk"
          ? session.chunkRef(parsed.path, parsed.index).pipe(
              Effect.map((ref) => ref !== undefined),
              Effect.catchTag(["NodeNotFound", "InvalidPath", "InvalidIndex"], () => Effect.succeed(false))
            )
          : Effect.map(get(key), (value) => value !== undefined)
      ),
    set,
    delete: remove,
    list: listPrefix(""),
    listPrefix,
    listDir
  }
}
