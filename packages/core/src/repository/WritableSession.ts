/**
 * A session that changes a branch: nothing is visible before `commit`, everything after it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ManifestTooLarge } from "../format/manifest/ManifestWriter.ts"
import * as DeferredWrites from "../store/DeferredWrites.ts"
import type { WriteForbidden } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import type { JsonObject } from "../values/Json.ts"
import * as NodePath from "../values/NodePath.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as Config from "../values/RepositoryConfig.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import * as VirtualChunkRefs from "../values/VirtualChunkRef.ts"
import * as ZarrMetadata from "../values/ZarrMetadata.ts"
import * as ChunkIndices from "../values/ChunkIndex.ts"
import type { InvalidLocation } from "../values/Location.ts"
import type { MissingContainer } from "../virtual/ContainerMatch.ts"
import type { AssetError } from "./Assets.ts"
import { Deferred, type WritableAssets } from "./AssetWrites.ts"
import { ChangedSnapshot, type Status } from "./changes/ChangedSnapshot.ts"
import * as ChangeSet from "./changes/ChangeSet.ts"
import * as Commit from "./changes/Commit.ts"
import * as Continued from "./changes/Continued.ts"
import * as NativeChunks from "./changes/NativeChunks.ts"
import * as Layout from "./Layout.ts"
import * as OpenSessions from "./OpenSessions.ts"
import * as RandomId from "./RandomId.ts"
import type { OutcomeUnknown } from "./RepositoryError.ts"
import type { CommitConflict, CommitOutcomeUnknown, RefNotFound } from "./versions/RepoChange.ts"
import type { UpdateError } from "./versions/RepoObject.ts"
import * as Session from "./Session.ts"
import {
  InvalidChunk,
  type InvalidIndex,
  type InvalidPath,
  InvalidVirtualRef,
  NodeAlreadyExists,
  NodeNotFound,
  NothingToCommit
} from "./SessionError.ts"
import { gridShape, type Node } from "./SnapshotView.ts"
import * as VirtualRefs from "./VirtualRefs.ts"

/**
 * What commits need of the repository: a branch is moved from one snapshot to the next.
 *
 * @category models
 * @since 0.1.0
 */
export type MoveBranch = (options: {
  readonly branch: string
  readonly flush: Effect.Effect<Commit.Flushed, AssetError | ManifestTooLarge | WriteForbidden>
  /** Makes durable what the commit refers to, its files and its chunks; before the branch is moved. */
  readonly durable: Effect.Effect<void, ObjectStoreError>
  readonly parent: ObjectId.SnapshotId
  /** Earlier commits from the same parent that failed, and that may have happened all the same. */
  readonly tried: ReadonlyMap<ObjectId.SnapshotId, Commit.Flushed>
  /** Runs as soon as the branch has moved, whatever interrupts the rest. */
  readonly onMoved: (flushed: Commit.Flushed) => void
}) => Effect.Effect<Commit.Flushed, CommitError>

/**
 * Why a commit can fail. Nothing of it is visible then, except that with `CommitOutcomeUnknown` it may be, and the
 * session keeps its changes.
 *
 * @category errors
 * @since 0.1.0
 */
export type CommitError =
  | CommitConflict
  | CommitOutcomeUnknown
  | RefNotFound
  | ManifestTooLarge
  | Exclude<UpdateError, OutcomeUnknown>

/**
 * Why virtual refs can be refused. Nothing was set then.
 *
 * @category errors
 * @since 0.1.0
 */
export type SetVirtualRefError =
  | NodeNotFound
  | InvalidPath
  | InvalidIndex
  | InvalidVirtualRef
  | InvalidLocation
  | MissingContainer

/**
 * A session with a branch to write to. After a commit it goes on from the new snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface WritableSession extends Session.Session {
  readonly branch: string
  /** Creates a group; attributes are JSON. */
  readonly createGroup: (
    path: string,
    attributes?: JsonObject
  ) => Effect.Effect<void, NodeAlreadyExists | InvalidPath | ZarrMetadata.InvalidMetadata>
  /** Creates an array. Data types and codecs that are not known here have to be meant as extensions. */
  readonly createArray: (
    path: string,
    options: ZarrMetadata.ArrayOptions
  ) => Effect.Effect<void, NodeAlreadyExists | InvalidPath | ZarrMetadata.InvalidMetadata>
  /**
   * Creates a node, or replaces the metadata of one of the same kind, from the bytes of a `zarr.json`. An array
   * that gets another number of dimensions is a new one, without the chunks of the old. Data types and codecs that
   * are not known here have to be meant as extensions.
   */
  readonly setMetadata: (
    path: string,
    zarrJson: Uint8Array,
    options?: ZarrMetadata.WriteOptions
  ) => Effect.Effect<void, NodeAlreadyExists | InvalidPath | ZarrMetadata.InvalidMetadata>
  /** Deletes a node and everything below it. */
  readonly deleteNode: (path: string) => Effect.Effect<void, NodeNotFound | InvalidPath>
  /**
   * Writes the encoded bytes of a chunk, at least 1: into the manifest when they are few, else as an object. They are
   * not copied on their way to the store: leave them as they are until the effect has ended. The object is durable when
   * the chunk is committed, not earlier; when the store could not make it so the commit fails with an
   * `ObjectStoreError` that names the chunk, which is then to be set again.
   */
  readonly setChunk: (
    path: string,
    index: ChunkIndex,
    bytes: Uint8Array
  ) => Effect.Effect<void, NodeNotFound | InvalidPath | InvalidIndex | InvalidChunk | ObjectStoreError | WriteForbidden>
  /** Deletes a chunk, which is then read as missing. */
  readonly deleteChunk: (
    path: string,
    index: ChunkIndex
  ) => Effect.Effect<void, NodeNotFound | InvalidPath | InvalidIndex>
  /** Points a chunk at bytes outside the repository. Makes a request only to capture a checksum. */
  readonly setVirtualRef: {
    (
      path: string,
      index: ChunkIndex,
      ref: VirtualChunkRef,
      options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
    ): Effect.Effect<void, SetVirtualRefError>
    (
      path: string,
      index: ChunkIndex,
      ref: VirtualChunkRef,
      options?: VirtualRefs.SetOptions
    ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  }
  /**
   * Points many chunks of an array at bytes outside the repository: all of them or none. The columns are copied.
   * Makes requests only to capture checksums.
   */
  readonly setVirtualRefs: {
    (
      path: string,
      refs: VirtualRefs.VirtualRefs,
      options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
    ): Effect.Effect<void, SetVirtualRefError>
    (
      path: string,
      refs: VirtualRefs.VirtualRefs,
      options?: VirtualRefs.SetOptions
    ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  }
  /**
   * What changed since the session was opened or last committed. Metadata and refs that were written over the same do
   * not count; to tell, the manifests are read that cover changed chunks.
   */
  readonly status: Effect.Effect<Status, AssetError>
  /** Forgets all uncommitted changes. */
  readonly discard: Effect.Effect<void>
  /**
   * Makes the changes a snapshot at the tip of the branch. When it is interrupted the session is as after a
   * commit that succeeded or as before it, whichever happened.
   *
   * After `CommitOutcomeUnknown` the next call finds out. If the earlier commit happened the session goes on from it:
   * what was changed since is committed on top, and without such changes its id is the answer. If it did not happen
   * all changes are committed.
   */
  readonly commit: (
    message: string,
    options?: { readonly metadata?: JsonObject | undefined; readonly allowEmpty?: boolean | undefined }
  ) => Effect.Effect<ObjectId.SnapshotId, CommitError | NothingToCommit | ZarrMetadata.InvalidMetadata>
}

const rankOf = (data: Node["data"] | ZarrMetadata.ZarrMetadata): number =>
  data._tag === "Array" ? data.shape.length : 0

/**
 * Opens a writable session on a snapshot that is the tip of `branch`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  context: Session.SessionContext & {
    readonly assets: WritableAssets
    readonly config: () => Config.RepositoryConfig
    readonly moveBranch: MoveBranch
  },
  branch: string,
  snapshot: ChangedSnapshot["base"]
): Effect.fn.Return<WritableSession> {
  const { resolver, store } = context
  const open = OpenSessions.register(store, branch, yield* Clock.currentTimeMillis)
  let changes = new ChangedSnapshot(snapshot)
  // A commit takes the changes as they stand; whoever changes something meanwhile waits for it.
  const lock = yield* Semaphore.make(1)
  const alone = lock.withPermits(1)
  // How often something was changed: tells whether a commit that was tried has all changes.
  let revision = 0
  const exclusive = <A, E>(change: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    alone(
      Effect.tap(change, () =>
        Effect.sync(() => {
          revision++
        })
      )
    )
  // Commits of these changes that failed, with the revision that each has; see `MoveBranch`.
  const tried = new Map<ObjectId.SnapshotId, Commit.Flushed & { readonly revision: number }>()
  // Chunks need to be durable when a commit makes them visible, not earlier. One that could not be made so stays here,
  // and no commit that refers to it succeeds: its bytes may be lost.
  const chunks = DeferredWrites.make()

  const existing = (path: NodePath.NodePath, node: Node): Effect.Effect<never, NodeAlreadyExists> =>
    Effect.fail(new NodeAlreadyExists({ path, found: node.data._tag === "Group" ? "group" : "array" }))

  /** Fails when a part of the path above the node is an array. */
  const checkAncestors = (path: NodePath.NodePath): Effect.Effect<void, NodeAlreadyExists> => {
    for (let above = NodePath.parent(path); above !== undefined; above = NodePath.parent(above)) {
      const node = changes.node(above)
      if (node?.data._tag === "Array") return existing(above, node)
    }
    return Effect.void
  }

  const create = Effect.fnUntraced(function* (
    path: string,
    encode: (path: NodePath.NodePath) => Result.Result<Uint8Array, ZarrMetadata.InvalidMetadata>,
    options: ZarrMetadata.WriteOptions | undefined,
    replace: boolean
  ) {
    const parsed = yield* Session.parsePath(path)
    const zarrJson = yield* Effect.fromResult(encode(parsed))
    const metadata = yield* Effect.fromResult(ZarrMetadata.parse(parsed, zarrJson, options))
    const id = yield* RandomId.nodeId
    yield* exclusive(
      Effect.gen(function* () {
        const node = changes.node(parsed)
        if (node !== undefined) {
          if (!replace || node.data._tag !== metadata._tag) return yield* existing(parsed, node)
          if (rankOf(node.data) === rankOf(metadata)) return changes.setMetadata(node, zarrJson, metadata)
          // Its chunks have no place in the new grid.
          changes.delete(node)
        }
        yield* checkAncestors(parsed)
        if (metadata._tag === "Array" && changes.hasBelow(parsed)) {
          return yield* new NodeAlreadyExists({ path: changes.nodes(parsed)[0]!.path, found: "node" })
        }
        changes.create(parsed, id, zarrJson, metadata)
      })
    )
  })

  /** The array as it is now, unless it is gone, also where another one has its path. */
  const stillThere = (array: Session.ArrayNode): Effect.Effect<Session.ArrayNode, NodeNotFound | InvalidPath> =>
    Effect.filterOrFail(
      Session.findArray(changes, array.path),
      ({ id }) => id === array.id,
      () => new NodeNotFound({ path: array.path, wanted: "array" })
    )

  /**
   * Prepares a change of a chunk and makes it. It may have to wait, and is about the array and the index that were
   * there when it began: both are looked at before anything is prepared, and again when the change is made.
   */
  const changeChunk = Effect.fnUntraced(function* <E>(
    path: string,
    given: ChunkIndex,
    prepare: (at: {
      readonly array: Session.ArrayNode
      readonly index: ChunkIndex
    }) => Effect.Effect<(columns: ChunkRefColumns) => void, E>
  ): Effect.fn.Return<void, NodeNotFound | InvalidPath | InvalidIndex | E> {
    const index = Array.from(given)
    const array = yield* Session.findArray(changes, path)
    yield* Session.checkIndex(array, index)
    const set = yield* prepare({ array, index })
    yield* exclusive(
      Effect.gen(function* () {
        yield* Session.checkIndex(yield* stillThere(array), index)
        set(changes.chunksForWriting(array.id, () => new ChunkRefColumns(index.length)))
      })
    )
  })

  function setVirtualRef(
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
  ): Effect.Effect<void, SetVirtualRefError>
  function setVirtualRef(
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  function setVirtualRef(
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError> {
    return changeChunk(
      path,
      index,
      Effect.fnUntraced(function* ({ array, index }) {
        const { checksum: given, length, location: wanted, offset } = ref
        const problem = VirtualChunkRefs.problem(offset, length)
        if (problem !== undefined) {
          return yield* new InvalidVirtualRef({ path: array.path, at: ChunkIndices.format(index), problem })
        }
        const { checksum, location } = yield* VirtualRefs.prepare(resolver, array.path, wanted, given, options)
        return (columns: ChunkRefColumns) => columns.setVirtual(index, { location, offset, length, checksum })
      })
    )
  }

  function setVirtualRefs(
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
  ): Effect.Effect<void, SetVirtualRefError>
  function setVirtualRefs(
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  function setVirtualRefs(
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError> {
    return Effect.gen(function* () {
      const array = yield* Session.findArray(changes, path)
      const grid = gridShape(array.data)
      const prepared = yield* VirtualRefs.prepareAll(resolver, array.path, refs, grid, options)
      yield* exclusive(
        Effect.gen(function* () {
          const now = gridShape((yield* stillThere(array)).data)
          const problem = now.every((chunks, axis) => chunks >= grid[axis]!)
            ? undefined
            : VirtualRefs.indexProblem(array.path, prepared.indices, now)
          if (problem !== undefined) return yield* problem
          changes
            .chunksForWriting(array.id, () => new ChunkRefColumns(grid.length))
            .setVirtualBulk(prepared, { keep: true })
        })
      )
    }).pipe(Effect.withSpan("Session.setVirtualRefs"))
  }

  const session: WritableSession = {
    ...Session.make(context, branch, () => changes),
    branch,
    createGroup: (path, attributes) => create(path, (path) => ZarrMetadata.group(path, attributes), undefined, false),
    createArray: (path, options) => create(path, (path) => ZarrMetadata.array(path, options), options, false),
    setMetadata: (path, zarrJson, options) =>
      Effect.suspend(() => {
        const copy = new Uint8Array(zarrJson)
        return create(path, () => Result.succeed(copy), options, true)
      }),
    deleteNode: Effect.fnUntraced(function* (path) {
      const parsed = yield* Session.parsePath(path)
      yield* exclusive(
        Effect.suspend(() => {
          const node = changes.node(parsed)
          if (node === undefined) return Effect.fail(new NodeNotFound({ path: parsed, wanted: "node" }))
          changes.delete(node)
          return Effect.void
        })
      )
    }),
    setChunk: Effect.fn("Session.setChunk")((path, index, bytes) =>
      changeChunk(
        path,
        index,
        Effect.fnUntraced(function* ({ array, index }) {
          if (bytes.length === 0) {
            const problem = "it has no bytes; to record a missing chunk, delete it instead"
            return yield* new InvalidChunk({ path: array.path, index: ChunkIndices.format(index), problem })
          }
          if (bytes.length <= Config.inlineThreshold(context.config())) {
            const copy = new Uint8Array(bytes)
            return (columns: ChunkRefColumns) => columns.setInline(index, copy)
          }
          const { length } = bytes
          const since = yield* Clock.currentTimeMillis
          open.changed(since)
          const id = yield* RandomId.chunkId
          const defer = chunks.defer(id)
          yield* store.put(Layout.chunk(id), bytes, { contentType: "application/octet-stream", defer })
          return (columns: ChunkRefColumns) => {
            // A commit may have been made since.
            open.changed(since)
            columns.setNative(index, ObjectId.bytes12(id), 0, length)
          }
        })
      )
    ),
    deleteChunk: (path, index) =>
      changeChunk(path, index, ({ index }) => Effect.succeed((columns: ChunkRefColumns) => columns.setDeleted(index))),
    setVirtualRef,
    setVirtualRefs,
    status: Effect.suspend(() => Effect.map(Commit.settle(context.assets, changes), (settled) => settled.status())),
    discard: alone(
      Effect.sync(() => {
        tried.clear()
        changes = new ChangedSnapshot(changes.base)
        open.settled()
      })
    ),
    commit: Effect.fn("Session.commit")(function* (message, options) {
      const metadata = yield* Effect.fromResult(ZarrMetadata.ofCommit(options?.metadata ?? {}))
      /** Moves the branch to the changes, or finds that an earlier commit has moved it. */
      const move = Effect.fnUntraced(function* (settled: ChangedSnapshot) {
        const before = new Set(tried.keys())
        const files = DeferredWrites.make()
        const now = yield* Clock.currentTimeMillis
        open.changed(now)
        const { snapshot } = yield* context.moveBranch({
          branch,
          parent: changes.base.id,
          tried,
          durable: Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled)),
          flush: Commit.flush(context.assets, settled, {
            config: context.config(),
            message,
            metadata,
            // Icechunk commits only on top of what is older, whatever the clocks of others say.
            flushedAt: Math.max(now * 1000, changes.base.flushedAt + 1)
          }).pipe(
            Effect.provideService(Deferred, files),
            Effect.tap((flushed) => Effect.sync(() => tried.set(flushed.snapshot.id, { ...flushed, revision })))
          ),
          onMoved: ({ snapshot }) => {
            const isWhole = tried.get(snapshot.id)?.revision === revision
            changes = isWhole ? new ChangedSnapshot(snapshot) : Continued.onTopOf(changes, snapshot)
            if (isWhole) open.settled()
            tried.clear()
          }
        })
        return { id: snapshot.id, isEarlier: before.has(snapshot.id) }
      })
      return yield* alone(
        Effect.gen(function* () {
          const settled = yield* Commit.settle(context.assets, changes)
          if (ChangeSet.isEmpty(settled.changes) && tried.size === 0 && options?.allowEmpty !== true)
            return yield* new NothingToCommit({ branch })
          const moved = yield* move(settled)
          if (!moved.isEarlier) return moved.id
          const since = yield* Commit.settle(context.assets, changes)
          return ChangeSet.isEmpty(since.changes) ? moved.id : (yield* move(since)).id
        })
      )
    })
  }
  open.is(session)
  return session
})
