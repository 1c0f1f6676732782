/**
 * A session that changes a branch: nothing is visible before `commit`, everything after it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type * as ManifestWriter from "../format/manifest/ManifestWriter.ts"
import type { WriteForbidden } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import type { JsonObject } from "../values/Json.ts"
import type * as NodePath from "../values/NodePath.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as Config from "../values/RepositoryConfig.ts"
import * as ZarrMetadata from "../values/ZarrMetadata.ts"
import * as ChunkIndices from "../values/ChunkIndex.ts"
import type { AssetError } from "./Assets.ts"
import { ChangedSnapshot, type Status } from "./changes/ChangedSnapshot.ts"
import type * as ChangeSet from "./changes/ChangeSet.ts"
import type { MoveError } from "./changes/BranchWriter.ts"
import type * as Rebase from "./changes/Rebase.ts"
import * as Commit from "./changes/Commit.ts"
import * as NativeChunks from "./changes/NativeChunks.ts"
import * as SessionCommits from "./changes/SessionCommits.ts"
import * as Uncommitted from "./changes/Uncommitted.ts"
import * as ChunkChanges from "./ChunkChanges.ts"
import * as Layout from "./Layout.ts"
import * as OpenSessions from "./OpenSessions.ts"
import * as RandomId from "./RandomId.ts"
import * as NodeEdits from "./NodeEdits.ts"
import type { AmendRefused, CommitConflict, RefForbidden, RefNotFound } from "./versions/RepoChange.ts"
import type * as RepoObject from "./versions/RepoObject.ts"
import * as Session from "./Session.ts"
import * as SessionInternals from "./SessionInternals.ts"
import {
  InvalidChunk,
  type InvalidIndex,
  type InvalidPath,
  NodeAlreadyExists,
  NodeNotFound,
  type NothingToCommit
} from "./SessionError.ts"
import type { Node } from "./SnapshotView.ts"
import * as VirtualRefEdits from "./VirtualRefEdits.ts"

/**
 * Why virtual refs can be refused. Nothing was set then.
 *
 * @category errors
 * @since 0.1.0
 */
export type SetVirtualRefError = VirtualRefEdits.SetVirtualRefError

/**
 * Why a commit can fail. Nothing of it is visible then, except that with `CommitOutcomeUnknown` it may be, and the
 * session keeps its changes.
 *
 * @category errors
 * @since 0.1.0
 */
export type CommitError = Exclude<
  MoveError,
  NothingToCommit | AmendRefused | Rebase.RebaseConflict | ZarrMetadata.InvalidMetadata
>

/**
 * Why a commit can fail that is put on top of what others have committed.
 *
 * @category errors
 * @since 0.1.0
 */
export type RebasingCommitError = Exclude<MoveError, NothingToCommit | AmendRefused | CommitConflict>

/**
 * Why a snapshot without a branch could not be made.
 *
 * @category errors
 * @since 0.1.0
 */
export type FlushError =
  | RefNotFound
  | RefForbidden
  | Rebase.RebaseImpossible
  | RepoObject.UpdateError
  | AssetError
  | ManifestWriter.ManifestTooLarge

/**
 * How a commit is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommitOptions {
  readonly metadata?: JsonObject | undefined
  /** Whether a snapshot is recorded that changes nothing (default `false`). */
  readonly allowEmpty?: boolean | undefined
}

/**
 * A session with a branch to write to. After a commit it goes on from the new snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface WritableSession extends Session.Session, NodeEdits.NodeEdits, VirtualRefEdits.VirtualRefEdits {
  readonly branch: string
  /** Creates a group; attributes are JSON. */
  readonly createGroup: (
    path: string,
    attributes?: JsonObject
  ) => Effect.Effect<void, NodeAlreadyExists | InvalidPath | ZarrMetadata.InvalidMetadata>
  /**
   * Creates an array. Data types and codecs that are not known here have to be meant as extensions.
   *
   * @example
   * ```ts
   * yield* session.createArray("/wind", { shape: [24, 721], chunkShape: [1, 721], dataType: "float32", fillValue: 0 })
   * ```
   */
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
   * With `rebase` the changes are put on top of what others have committed since the session was opened, as often as that
   * happens, and a conflict between the two ends as `rebase` says: `{}` lets each of them fail. What can be used again is
   * not written twice, and sessions of this program that commit to one branch at the same time do so together.
   *
   * After `CommitOutcomeUnknown` the next call finds out. If the earlier commit happened the session goes on from it:
   * what was changed since is committed on top, and without such changes its id is the answer. If it did not happen
   * all changes are committed.
   *
   * Fails with `RebaseImpossible` when chunks were copied, or moved within an array, from a snapshot that has expired
   * meanwhile: they may have been collected.
   *
   * @example
   * ```ts
   * yield* session.commit("seven hours more", { rebase: { ChunkDoubleUpdate: "ours" } })
   * ```
   */
  readonly commit: {
    (
      message: string,
      options?: CommitOptions & { readonly rebase?: undefined }
    ): Effect.Effect<ObjectId.SnapshotId, CommitError | NothingToCommit | ZarrMetadata.InvalidMetadata>
    (
      message: string,
      options: CommitOptions & { readonly rebase: Rebase.Solver | undefined }
    ): Effect.Effect<ObjectId.SnapshotId, RebasingCommitError | NothingToCommit>
  }
  /**
   * Makes the changes part of the snapshot at the tip of the branch, on which the session is: a new snapshot takes its
   * place, with `message`, its own parent, and a log of what both did. Without changes the message alone is new.
   *
   * Fails with `AmendRefused` for the first snapshot of a repository, and, unless `force` is set, when something goes on
   * from the one that is replaced, and could not be rebased any more: another branch, a tag, a snapshot, or another session
   * of this program. Other programs are not known of: a session there that is on the old snapshot meets `RebaseImpossible`.
   * Fails with `CommitConflict` when the branch has moved.
   */
  readonly amend: (
    message: string,
    options?: { readonly metadata?: JsonObject | undefined; readonly force?: boolean | undefined }
  ) => Effect.Effect<ObjectId.SnapshotId, CommitError | AmendRefused | ZarrMetadata.InvalidMetadata>
  /**
   * Makes the changes a snapshot that no branch points at, and answers with its id: to look at, to be tagged, or for a
   * branch of its own. It goes with the next garbage collection unless a tag or a branch leads to it.
   *
   * The session is as it was, with its changes, so that a later `commit` has all of them, on the parent that the session
   * has; nothing that is committed ever hangs on a snapshot that may be collected.
   */
  readonly flush: (
    message: string,
    options?: CommitOptions
  ) => Effect.Effect<ObjectId.SnapshotId, FlushError | NothingToCommit | ZarrMetadata.InvalidMetadata>
  /**
   * Puts the uncommitted changes on the tip that the branch has now. Conflicts end as the solver says (default: each of
   * them fails, and the session is as it was). Answers with the snapshot that the session is on then.
   */
  readonly rebase: (
    solver?: Rebase.Solver
  ) => Effect.Effect<ObjectId.SnapshotId, Rebase.RebaseError | RefNotFound | WriteForbidden>
}

const rankOf = (data: Node["data"] | ZarrMetadata.ZarrMetadata): number =>
  data._tag === "Array" ? data.shape.length : 0

/**
 * Opens a writable session on a snapshot that is the tip of `branch`, with changes that are made already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  context: Session.SessionContext &
    SessionCommits.CommitContext & {
      /** As `Origin.identify` says. */
      readonly repositoryId: string
    },
  branch: string,
  snapshot: ChangedSnapshot["base"],
  begun?: ChangeSet.ChangeSet
): Effect.fn.Return<WritableSession> {
  const { store, virtual } = context
  const open = OpenSessions.register(store, branch, snapshot.id, yield* Clock.currentTimeMillis)
  const uncommitted = yield* Uncommitted.make(new ChangedSnapshot(snapshot, begun), open)
  const { alone, chunks, current, exclusive, sources, startOver, tried } = uncommitted

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
        const changes = current()
        const node = changes.node(parsed)
        if (node !== undefined) {
          if (!replace || node.data._tag !== metadata._tag) return yield* NodeEdits.existing(parsed, node)
          if (rankOf(node.data) === rankOf(metadata)) return changes.setMetadata(node, zarrJson, metadata)
          // Its chunks have no place in the new grid.
          changes.delete(node)
        }
        yield* NodeEdits.checkAncestors(changes, parsed)
        if (metadata._tag === "Array" && changes.hasBelow(parsed)) {
          return yield* new NodeAlreadyExists({ path: changes.nodes(parsed)[0]!.path, found: "node" })
        }
        changes.create(parsed, id, zarrJson, metadata)
      })
    )
  })

  const editing = {
    store,
    assets: context.assets,
    current,
    exclusive,
    copied: (from: ObjectId.SnapshotId) => void sources.add(from)
  }
  const { changeChunk } = ChunkChanges.make(editing)

  const session: WritableSession = {
    ...Session.make(context, branch, current),
    ...NodeEdits.make(editing),
    ...VirtualRefEdits.make(editing, virtual),
    branch,
    mode: "writable",
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
          const node = current().node(parsed)
          if (node === undefined) return Effect.fail(new NodeNotFound({ path: parsed, wanted: "node" }))
          current().delete(node)
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
          yield* store.put(Layout.chunk(id), bytes, { contentType: "application/octet-stream", defer, isUnique: true })
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
    status: Effect.suspend(() => Effect.map(Commit.settle(context.assets, current()), (settled) => settled.status())),
    discard: alone(
      Effect.sync(() => {
        startOver(current().base)
        tried.clear()
      })
    ),
    ...SessionCommits.make(context, branch, uncommitted)
  }
  open.is(session)
  SessionInternals.remember(session, {
    repositoryId: context.repositoryId,
    store,
    assets: context.assets,
    config: context.config,
    changed: current,
    hasFilesSince: open.changed,
    exclusive,
    durable: Effect.suspend(() => NativeChunks.settle(chunks, current()))
  })
  return Session.remember(session, { store, current })
})
