/**
 * The history of a repository: its snapshots and how they descend from each other, what changed between two of them, and
 * what was done to the repository.
 *
 * What the repository object says can be asked also while the repository is offline; `manifests` and `diff` read other files
 * too, and then fail with `RepositoryOffline`.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Metadata from "../format/Metadata.ts"
import type * as RepoInfo from "../format/RepoInfo.ts"
import * as SnapshotTable from "../format/SnapshotTable.ts"
import { isNotFound } from "../store/ObjectStoreError.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import type * as NodePath from "../values/NodePath.ts"
import type { ManifestId, SnapshotId } from "../values/ObjectId.ts"
import type { AssetError } from "./Assets.ts"
import * as Internals from "./Internals.ts"
import type { Opened } from "./Opening.ts"
import type { ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"
import type { RepositoryOffline } from "./RepositoryError.ts"
import * as Diffs from "./versions/Diff.ts"
import * as OperationsLog from "./versions/OperationsLog.ts"
import * as RepoChange from "./versions/RepoChange.ts"
import * as RepoObject from "./versions/RepoObject.ts"
import * as SnapshotGraph from "./versions/SnapshotGraph.ts"
import * as Time from "./versions/Time.ts"
import * as TransactionLogs from "./versions/TransactionLogs.ts"
import * as Version from "./versions/Version.ts"

/**
 * Which version of a repository is meant.
 *
 * @category models
 * @since 0.1.0
 */
export type VersionRef = Version.VersionRef

/**
 * What the repository object knows of a snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotInfo {
  readonly id: SnapshotId
  /** Only the first snapshot has none. */
  readonly parentId: SnapshotId | undefined
  readonly writtenAt: DateTime.Utc
  /** The same time exactly, in microseconds since 1970. */
  readonly flushedAt: number
  readonly message: string
  readonly metadata: Metadata.Metadata
  /** Transaction logs of ancestors that expired between this snapshot and its parent, oldest first. */
  readonly prunedAncestorTxLogs: ReadonlyArray<SnapshotId>
}

const described = (info: RepoInfo.SnapshotInfo): SnapshotInfo => ({ ...info, writtenAt: Time.ofMicros(info.flushedAt) })

/** Snapshots that are made at once: whoever takes ten of a hundred thousand does not wait for more than these. */
const atOnce = { chunkSize: 64 }

/** Why a version cannot be found. */
type NotFound = RepoChange.RefNotFound | Version.NoSnapshotAsOf

const find = (
  { readRepo }: Opened,
  version: VersionRef
): Effect.Effect<{ readonly info: RepoInfo.RepoInfo; readonly id: SnapshotId }, NotFound | AssetError> =>
  Effect.flatMap(readRepo, ({ info }) =>
    Effect.map(Effect.fromResult(Version.find(info, version)), (id) => ({ info, id }))
  )

/**
 * A version and those before it, newest first. What is known of a snapshot is made when the stream comes to it.
 *
 * @example
 * ```ts
 * const latest = yield* History.ancestry(repository, { branch: "main" }).pipe(Stream.take(10), Stream.runCollect)
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const ancestry = (
  repository: ReadonlyRepositoryShape,
  version: VersionRef
): Stream.Stream<SnapshotInfo, NotFound | AssetError> =>
  Stream.unwrap(
    Effect.map(
      Effect.suspend(() => find(Internals.reading(repository), version)),
      ({ id, info }) => Stream.map(Stream.fromIterable(SnapshotTable.ancestors(info.snapshots, id), atOnce), described)
    )
  )

/**
 * What is known of one version.
 *
 * @category reading
 * @since 0.1.0
 */
export const snapshot = (
  repository: ReadonlyRepositoryShape,
  version: VersionRef
): Effect.Effect<SnapshotInfo, NotFound | AssetError> =>
  Effect.map(
    Effect.suspend(() => find(Internals.reading(repository), version)),
    ({ id, info }) => described(info.snapshots.get(id)!)
  )

/**
 * The snapshot that a branch is at.
 *
 * @category reading
 * @since 0.1.0
 */
export const branch = (
  repository: ReadonlyRepositoryShape,
  name: string
): Effect.Effect<SnapshotId, RepoChange.RefNotFound | AssetError> =>
  Effect.suspend(() => Internals.reading(repository).readRepo).pipe(
    Effect.flatMap(({ info }) => Effect.fromResult(RepoChange.branchTip(info, name)))
  )

/**
 * The snapshot of a tag.
 *
 * @category reading
 * @since 0.1.0
 */
export const tag = (
  repository: ReadonlyRepositoryShape,
  name: string
): Effect.Effect<SnapshotId, RepoChange.RefNotFound | AssetError> =>
  Effect.suspend(() => Internals.reading(repository).readRepo).pipe(
    Effect.flatMap(({ info }) => Effect.fromResult(RepoChange.tagTarget(info, name)))
  )

/** As `find`, for what reads more than the repository object. */
const findReadable = (opened: Opened, version: VersionRef) =>
  Effect.tap(find(opened, version), ({ info }) =>
    Effect.fromResult(Version.ensureReadable(opened.store.description, info))
  )

/**
 * A manifest file of a snapshot: the size of the file in bytes, and how many chunk refs are in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ManifestFile {
  readonly id: ManifestId
  readonly sizeBytes: number
  readonly numChunkRefs: number
}

/**
 * The manifest files of a version, as its snapshot file lists them.
 *
 * @category reading
 * @since 0.1.0
 */
export const manifests: (
  repository: ReadonlyRepositoryShape,
  version: VersionRef
) => Effect.Effect<ReadonlyArray<ManifestFile>, NotFound | RepositoryOffline | AssetError> = /*#__PURE__*/ Effect.fn(
  "History.manifests"
)(function* (repository, version) {
  const opened = Internals.reading(repository)
  const { id } = yield* findReadable(opened, version)
  const { manifestFiles } = yield* opened.assets.snapshot(id)
  return manifestFiles.map(({ id, numChunkRefs, sizeBytes }) => ({ id, numChunkRefs, sizeBytes }))
})

/**
 * A snapshot of the graph: with those that were made on top of it, and with the branches and tags that are at it.
 *
 * @category models
 * @since 0.1.0
 */
export interface GraphNode extends SnapshotInfo {
  readonly children: ReadonlyArray<SnapshotId>
  readonly branches: ReadonlyArray<string>
  readonly tags: ReadonlyArray<string>
  /** Whether a branch or tag leads to it; others are collected as garbage one day. */
  readonly isReachable: boolean
}

/**
 * All snapshots of the repository, newest first, each before its parent, also where no branch or tag leads to them.
 *
 * @category reading
 * @since 0.1.0
 */
export const graph = (repository: ReadonlyRepositoryShape): Stream.Stream<GraphNode, AssetError> =>
  Stream.unwrap(
    Effect.map(
      Effect.suspend(() => Internals.reading(repository).readRepo),
      ({ info }) =>
        Stream.map(Stream.fromIterable(SnapshotGraph.nodes(info), atOnce), ({ snapshot, ...place }) => ({
          ...described(snapshot),
          ...place
        }))
    )
  )

/**
 * What was done to a repository.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = OperationsLog.Operation

/**
 * What was done to the repository, latest first: the repository object has the latest operations, older ones are in copies in
 * `overwritten/`, which are read when the stream comes to them. Fails with `OperationsLogIncomplete`, after what was found,
 * when one of those is not there.
 *
 * @category reading
 * @since 0.1.0
 */
export const operations = (
  repository: ReadonlyRepositoryShape
): Stream.Stream<Operation, OperationsLog.OperationsLogIncomplete | AssetError> =>
  Stream.suspend(() => {
    const { readRepo, store, withZstd } = Internals.reading(repository)
    return OperationsLog.operations(store.description, (file) =>
      Effect.map(file === "repo" ? readRepo : withZstd(RepoObject.readAt(store, file)), ({ info }) => info)
    )
  })

/**
 * Chunks of an array that were written or deleted.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdatedChunks {
  readonly path: NodePath.NodePath
  /** How many there are. */
  readonly count: number
  /** Each once, in lexicographic order. */
  readonly indices: Stream.Stream<ChunkIndex>
}

/**
 * What changed from one snapshot to another, each list in the order of paths. Those of deleted nodes are the paths that they
 * had, all others those that nodes have in the later snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface Diff extends Omit<Diffs.Net, "updatedChunks"> {
  readonly from: SnapshotId
  readonly to: SnapshotId
  /** By array, of those that are still there; also chunks of new arrays. */
  readonly updatedChunks: ReadonlyArray<UpdatedChunks>
  /**
   * Transaction logs of expired snapshots that are not there any more, oldest first: clients before Icechunk 2.1 delete them.
   * What they said is missing in the lists of what was updated.
   */
  readonly missingLogs: ReadonlyArray<SnapshotId>
}

/** Logs that are read side by side. */
const concurrency = 8

/**
 * What changed between a version and one that descends from it: the net effect. A node that came and went is not mentioned,
 * one that was moved to and fro was not moved, and what was done to a node that is new or gone is part of that.
 *
 * Made from the transaction logs in between, also those of snapshots that have expired since, and from the nodes of both
 * versions. In memory are the numbers of the distinct chunks that changed. Fails with `NotAnAncestor` when `to` does not
 * descend from `from`.
 *
 * @example
 * ```ts
 * const diff = yield* History.diff(repository, { tag: "v1" }, { branch: "main" })
 * for (const { count, path } of diff.updatedChunks) yield* Console.log(`${path}: ${count} chunks`)
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const diff: (
  repository: ReadonlyRepositoryShape,
  from: VersionRef,
  to: VersionRef
) => Effect.Effect<Diff, NotFound | Diffs.NotAnAncestor | RepositoryOffline | AssetError> = /*#__PURE__*/ Effect.fn(
  "History.diff"
)(function* (repository, from, to) {
  const opened = Internals.reading(repository)
  const { id: toId, info } = yield* findReadable(opened, to)
  const fromId = yield* Effect.fromResult(Version.find(info, from))
  const logs = yield* Effect.fromResult(Diffs.logs(info, fromId, toId))
  const missing = new Set<SnapshotId>()
  const all = Diffs.collected()
  const [before, after] = yield* Effect.all(
    [
      opened.assets.snapshot(fromId),
      opened.assets.snapshot(toId),
      Effect.forEach(
        logs,
        ({ id, isPruned }) =>
          opened.withZstd(TransactionLogs.read(opened.store, id)).pipe(
            Effect.map((log) => Diffs.collect(all, log)),
            Effect.catchIf(
              (error) => isPruned && error._tag === "ObjectStoreError" && isNotFound(error),
              () => Effect.sync(() => missing.add(id))
            )
          ),
        { concurrency, discard: true }
      )
    ],
    { concurrency: 3 }
  )
  const net = Diffs.net(before.nodes, after.nodes, all)
  return {
    ...net,
    from: fromId,
    to: toId,
    updatedChunks: net.updatedChunks.map(({ count, indices, path }) => ({
      path,
      count,
      indices: Stream.suspend(() => Stream.fromIterable(indices()))
    })),
    missingLogs: logs.flatMap(({ id }) => (missing.has(id) ? [id] : []))
  }
})
