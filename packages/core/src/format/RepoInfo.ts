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
import type { SnapshotId } from "../values/ObjectId.ts"
import { FlatBuilder } from "../encoding/FlatBuilder.ts"
import * as FlatTable from "../encoding/FlatTable.ts"
import * as Flexbuffer from "../encoding/Flexbuffer.ts"
import type { FormatError } from "../encoding/FormatError.ts"
import * as Metadata from "./Metadata.ts"
import * as RepoStatus from "./RepoStatus.ts"
import * as RepoUpdate from "./RepoUpdate.ts"
import * as SnapshotTable from "./SnapshotTable.ts"

export type { Update, UpdateEntry } from "./RepoUpdate.ts"
export type { SnapshotInfo } from "./SnapshotTable.ts"

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
  /** From a file, in a table, which makes an object of a snapshot whenever it is looked at. */
  readonly snapshots: ReadonlyMap<SnapshotId, SnapshotTable.SnapshotInfo>
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

const noMetadata: Metadata.Metadata = {}

/** A flag is a number of 16 bits. So is the number of updates that a repo object lists, and the oldest of all may stay with them. */
const maxFlags = 0xffff
const maxUpdates = 0xffff + 1

const decodeRefs = (
  root: FlatTable.FlatTable,
  field: FlatTable.Field,
  { numbered, snapshots }: SnapshotTable.Decoded
): ReadonlyMap<string, SnapshotId> => {
  const refs = new Map<string, SnapshotId>()
  root.vector(field, 4).mapTables((table) => {
    const name = table.string(Ref.name)
    if (refs.has(name)) table.fail(Ref.name, "the name occurs twice")
    const index = table.u32(Ref.snapshot_index)
    const id = numbered(index)
    refs.set(name, id ?? table.fail(Ref.snapshot_index, `it is ${index}, there are ${snapshots.size} snapshots`))
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
 * Fails with `FormatError` also when names or ids occur twice, when a ref or a parent is not a snapshot of
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
      const listed = SnapshotTable.decode(file, root, Repo.snapshots)
      const metadata = root.optionalVector(Repo.metadata, 4)
      return {
        specVersion: root.u8(Repo.spec_version),
        tags: decodeRefs(root, Repo.tags, listed),
        branches: decodeRefs(root, Repo.branches, listed),
        deletedTags: decodeNames(root, Repo.deleted_tags),
        snapshots: listed.snapshots,
        status: RepoStatus.decode(root.table(Repo.status)),
        metadata:
          metadata === undefined ? noMetadata : Metadata.decode(file, Repo.metadata.name, Flexbuffer.decode, metadata),
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
  const table = SnapshotTable.of(info.snapshots)
  const builder = new FlatBuilder(4096 + 2 * table.byteLength + 256 * info.latestUpdates.length)
  const indexOf = (id: SnapshotId): number => {
    const place = table.placeOf(id)
    if (place < 0) throw new TypeError(`Snapshot ${id} is not among the snapshots of the repo object`)
    return place
  }
  const tags = encodeRefs(builder, info.tags, indexOf)
  const branches = encodeRefs(builder, info.branches, indexOf)
  const deletedTags = builder.offsets(
    Array.from(info.deletedTags)
      .toSorted(NodePath.compare)
      .map((name) => builder.string(name))
  )
  const snapshots = table.encode(builder)
  const status = RepoStatus.encode(builder, info.status)
  const metadata = Metadata.encode(builder, info.metadata)
  const enabled = encodeFlags(builder, info.enabledFeatureFlags)
  const disabled = encodeFlags(builder, info.disabledFeatureFlags)
  const updates = RepoUpdate.encodeAll(builder, info.latestUpdates)
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
