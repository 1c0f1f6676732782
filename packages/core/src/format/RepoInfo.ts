/**
 * The repo object: branches, tags, the snapshots and how they descend from each other, the repository's
 * configuration and the log of what happened to it. The only file that changes.
 *
 * Source: Icechunk spec 2, "Repo Info File".
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import * as NodePath from "../values/NodePath.ts"
import * as ObjectId from "../values/ObjectId.ts"
import type { SnapshotId } from "../values/ObjectId.ts"
import { FlatBuilder } from "../encoding/FlatBuilder.ts"
import * as FlatTable from "../encoding/FlatTable.ts"
import type { FormatError } from "../encoding/FormatError.ts"
import * as Metadata from "./Metadata.ts"
import * as RepoStatus from "./RepoStatus.ts"
import * as RepoUpdate from "./RepoUpdate.ts"

export type { Update, UpdateEntry } from "./RepoUpdate.ts"

/**
 * What the repo object knows of a snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotInfo {
  readonly id: SnapshotId
  /** Only the first snapshot has none. */
  readonly parentId: SnapshotId | undefined
  /** Microseconds since 1970. */
  readonly flushedAt: number
  readonly message: string
  readonly metadata: Metadata.Metadata
  /** Transaction logs of ancestors that expired between this snapshot and its parent, oldest first. */
  readonly prunedAncestorTxLogs: ReadonlyArray<SnapshotId>
}

/**
 * The repo object.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepoInfo {
  readonly specVersion: number
  readonly tags: ReadonlyMap<string, SnapshotId>
  readonly branches: ReadonlyMap<string, SnapshotId>
  /** Names that no tag may get again. */
  readonly deletedTags: ReadonlySet<string>
  readonly snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>
  readonly status: RepoStatus.RepoStatus
  readonly metadata: Metadata.Metadata
  /** Latest first. */
  readonly latestUpdates: ReadonlyArray<RepoUpdate.UpdateEntry>
  /** Name of the copy of the repo object (below `overwritten/`) that has the operations before these. */
  readonly repoBeforeUpdates: string | undefined
  /** Icechunk's configuration as a flexbuffer. */
  readonly config: Uint8Array | undefined
  readonly enabledFeatureFlags: ReadonlyArray<number> | undefined
  readonly disabledFeatureFlags: ReadonlyArray<number> | undefined
  /** Kept for versions that know what it is. */
  readonly extra: Uint8Array | undefined
}

const Repo = FlatTable.fields(
  "spec_version",
  "tags",
  "branches",
  "deleted_tags",
  "snapshots",
  "status",
  "metadata",
  "latest_updates",
  "repo_before_updates",
  "config",
  "enabled_feature_flags",
  "disabled_feature_flags",
  "extra"
)
const Ref = FlatTable.fields("name", "snapshot_index")
const Info = FlatTable.fields("id", "parent_offset", "flushed_at", "message", "metadata", "pruned_ancestor_tx_logs")

const noMetadata: Metadata.Metadata = {}

/** A flag is a number of 16 bits. So is the number of updates that a repo object lists, and the oldest of all may stay with them. */
const maxFlags = 0xffff
const maxUpdates = 0xffff + 1

const decodeSnapshots = (file: string, root: FlatTable.FlatTable): ReadonlyMap<SnapshotId, SnapshotInfo> => {
  const vector = root.vector(Repo.snapshots, 4)
  const seen = new Set<SnapshotId>()
  // Before more is built: as many elements as one likes may share one table.
  const tables = vector.mapTables((table) => {
    const id = ObjectId.snapshotId(table.struct(Info.id, 12))
    if (seen.has(id)) table.fail(Info.id, "another snapshot has the same id")
    seen.add(id)
    return table
  })
  const ids = [...seen]
  const parents = tables.map((table) => {
    const parent = table.i32(Info.parent_offset)
    if (parent < -1 || parent >= ids.length) {
      table.fail(Info.parent_offset, `it is ${parent}, there are ${ids.length} snapshots`)
    }
    return parent
  })
  const loop = findLoop(parents)
  if (loop !== undefined) tables[loop]!.fail(Info.parent_offset, "the snapshot descends from itself")
  const snapshots = new Map<SnapshotId, SnapshotInfo>()
  for (const [i, table] of tables.entries()) {
    const id = ids[i]!
    const metadata = table.optionalVector(Info.metadata, 4)
    const pruned = table.optionalVector(Info.pruned_ancestor_tx_logs, 12)
    snapshots.set(id, {
      id,
      parentId: ids[parents[i]!],
      flushedAt: table.u64(Info.flushed_at),
      message: table.string(Info.message),
      metadata: metadata === undefined ? noMetadata : Metadata.decode(file, `snapshots[${i}].metadata`, 2, metadata),
      prunedAncestorTxLogs: Array.from({ length: pruned?.length ?? 0 }, (_, k) =>
        ObjectId.snapshotId(pruned!.struct(k))
      )
    })
  }
  return snapshots
}

/** An index from which following parents never ends. */
const findLoop = (parents: ReadonlyArray<number>): number | undefined => {
  // For each snapshot, the walk that came along first; a walk that meets itself is in a loop.
  const walks = new Int32Array(parents.length)
  for (let start = 0; start < parents.length; start++) {
    let at = start
    while (at >= 0 && walks[at] === 0) {
      walks[at] = start + 1
      at = parents[at]!
    }
    if (at >= 0 && walks[at] === start + 1) return at
  }
  return undefined
}

const decodeRefs = (
  root: FlatTable.FlatTable,
  field: FlatTable.Field,
  ids: ReadonlyArray<SnapshotId>
): ReadonlyMap<string, SnapshotId> => {
  const refs = new Map<string, SnapshotId>()
  root.vector(field, 4).mapTables((table) => {
    const name = table.string(Ref.name)
    if (refs.has(name)) table.fail(Ref.name, "the name occurs twice")
    const index = table.u32(Ref.snapshot_index)
    refs.set(name, ids[index] ?? table.fail(Ref.snapshot_index, `it is ${index}, there are ${ids.length} snapshots`))
  })
  return refs
}

const decodeNames = (root: FlatTable.FlatTable, field: FlatTable.Field): ReadonlySet<string> => {
  const vector = root.vector(field, 4)
  const names = new Set<string>()
  for (let i = 0; i < vector.length; i++) {
    const name = vector.string(i)
    if (names.has(name)) vector.fail(i, "the name occurs twice")
    names.add(name)
  }
  return names
}

const decodeFlags = (root: FlatTable.FlatTable, field: FlatTable.Field): ReadonlyArray<number> | undefined => {
  const vector = root.optionalVector(field, 2, maxFlags)
  return vector === undefined ? undefined : Array.from({ length: vector.length }, (_, i) => vector.u16(i))
}

/**
 * The repo object in a payload. `file` is its key, for the error.
 *
 * Fails with `FormatError` also when names or ids occur twice, when a ref or a parent is no snapshot of
 * the list, and when a snapshot descends from itself.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  file: string,
  payload: Uint8Array,
  bounds?: FlatTable.Bounds
): Result.Result<RepoInfo, FormatError> =>
  FlatTable.decode(
    file,
    payload,
    (root) => {
      const snapshots = decodeSnapshots(file, root)
      const ids = Array.from(snapshots.keys())
      const metadata = root.optionalVector(Repo.metadata, 4)
      return {
        specVersion: root.u8(Repo.spec_version),
        tags: decodeRefs(root, Repo.tags, ids),
        branches: decodeRefs(root, Repo.branches, ids),
        deletedTags: decodeNames(root, Repo.deleted_tags),
        snapshots,
        status: RepoStatus.decode(root.table(Repo.status)),
        metadata: metadata === undefined ? noMetadata : Metadata.decode(file, Repo.metadata.name, 2, metadata),
        latestUpdates: root.vector(Repo.latest_updates, 4, maxUpdates).mapTables(RepoUpdate.decode),
        repoBeforeUpdates: root.optionalString(Repo.repo_before_updates),
        config: root.optionalCopy(Repo.config),
        enabledFeatureFlags: decodeFlags(root, Repo.enabled_feature_flags),
        disabledFeatureFlags: decodeFlags(root, Repo.disabled_feature_flags),
        extra: root.optionalCopy(Repo.extra)
      }
    },
    bounds
  )

const encodeRefs = (
  builder: FlatBuilder,
  refs: ReadonlyMap<string, SnapshotId>,
  indexOf: (id: SnapshotId) => number
): number =>
  builder.offsets(
    Array.from(refs)
      .toSorted(([a], [b]) => NodePath.compare(a, b))
      .map(([ref, target]) => {
        const name = builder.sharedString(ref)
        return builder.table(2, (table) => {
          table.offset(Ref.name, name)
          table.u32(Ref.snapshot_index, indexOf(target))
        })
      })
  )

const encodeSnapshot = (builder: FlatBuilder, info: SnapshotInfo, indexOf: (id: SnapshotId) => number): number => {
  const message = builder.string(info.message)
  const metadata = Metadata.encode(builder, info.metadata)
  // Never an empty vector: a snapshot that did not come from an expiration has none.
  const pruned =
    info.prunedAncestorTxLogs.length === 0
      ? undefined
      : builder.structs(12, info.prunedAncestorTxLogs.map(ObjectId.bytes12))
  return builder.table(6, (table) => {
    table.struct(Info.id, ObjectId.bytes12(info.id))
    table.i32(Info.parent_offset, info.parentId === undefined ? -1 : indexOf(info.parentId))
    table.u64(Info.flushed_at, info.flushedAt)
    table.offset(Info.message, message)
    table.offset(Info.metadata, metadata)
    table.offset(Info.pruned_ancestor_tx_logs, pruned)
  })
}

const encodeFlags = (builder: FlatBuilder, flags: ReadonlyArray<number> | undefined): number | undefined =>
  flags === undefined ? undefined : builder.u16s(flags.toSorted((a, b) => a - b))

/**
 * The payload of a repo object: snapshots by id, with parents as places in that list, names by their
 * UTF-8 bytes, flags by number. A parent or target that is not among the snapshots is a defect.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (info: RepoInfo): Uint8Array => {
  const builder = new FlatBuilder(4096 + 256 * info.snapshots.size)
  const infos = Array.from(info.snapshots.values()).toSorted((a, b) => ObjectId.compare(a.id, b.id))
  const indices = new Map(infos.map(({ id }, index) => [id, index]))
  const indexOf = (id: SnapshotId): number => {
    const index = indices.get(id)
    if (index === undefined) throw new TypeError(`Snapshot ${id} is not among the snapshots of the repo object`)
    return index
  }
  const tags = encodeRefs(builder, info.tags, indexOf)
  const branches = encodeRefs(builder, info.branches, indexOf)
  const deletedTags = builder.offsets(
    Array.from(info.deletedTags)
      .toSorted(NodePath.compare)
      .map((name) => builder.string(name))
  )
  const snapshots = builder.offsets(infos.map((snapshot) => encodeSnapshot(builder, snapshot, indexOf)))
  const status = RepoStatus.encode(builder, info.status)
  const metadata = Metadata.encode(builder, info.metadata)
  const enabled = encodeFlags(builder, info.enabledFeatureFlags)
  const disabled = encodeFlags(builder, info.disabledFeatureFlags)
  const updates = builder.offsets(info.latestUpdates.map((entry) => RepoUpdate.encode(builder, entry)))
  const before = info.repoBeforeUpdates === undefined ? undefined : builder.string(info.repoBeforeUpdates)
  const config = builder.optionalBytes(info.config)
  const extra = builder.optionalBytes(info.extra)
  return builder.finish(
    builder.table(13, (table) => {
      table.u8(Repo.spec_version, info.specVersion)
      table.offset(Repo.tags, tags)
      table.offset(Repo.branches, branches)
      table.offset(Repo.deleted_tags, deletedTags)
      table.offset(Repo.snapshots, snapshots)
      table.offset(Repo.status, status)
      table.offset(Repo.metadata, metadata)
      table.offset(Repo.latest_updates, updates)
      table.offset(Repo.repo_before_updates, before)
      table.offset(Repo.config, config)
      table.offset(Repo.enabled_feature_flags, enabled)
      table.offset(Repo.disabled_feature_flags, disabled)
      table.offset(Repo.extra, extra)
    })
  )
}
