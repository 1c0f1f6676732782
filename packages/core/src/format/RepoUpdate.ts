/**
 * The operations log of a repository: what happened to it, and where the repo object of before is.
 *
 * Source: Icechunk spec 2, `Update` and `UpdateType`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as ObjectId from "../values/ObjectId.ts"
import type { SnapshotId } from "../values/ObjectId.ts"
import { FlatBuilder } from "../encoding/FlatBuilder.ts"
import { type Field, fields, type FlatTable } from "../encoding/FlatTable.ts"
import * as RepoStatus from "./RepoStatus.ts"

/**
 * One operation on a repository.
 *
 * @category models
 * @since 0.1.0
 */
export type Update = Data.TaggedEnum<{
  readonly RepoInitialized: {}
  readonly RepoMigrated: { readonly fromVersion: number; readonly toVersion: number }
  readonly RepoStatusChanged: { readonly status: RepoStatus.RepoStatus }
  readonly ConfigChanged: {}
  readonly MetadataChanged: {}
  readonly TagCreated: { readonly name: string }
  readonly TagDeleted: { readonly name: string; readonly previousSnapshotId: SnapshotId }
  readonly BranchCreated: { readonly name: string }
  readonly BranchDeleted: { readonly name: string; readonly previousSnapshotId: SnapshotId }
  readonly BranchReset: { readonly name: string; readonly previousSnapshotId: SnapshotId }
  readonly NewCommit: { readonly branch: string; readonly newSnapshotId: SnapshotId }
  readonly CommitAmended: {
    readonly branch: string
    readonly previousSnapshotId: SnapshotId
    readonly newSnapshotId: SnapshotId
  }
  readonly NewDetachedSnapshot: { readonly newSnapshotId: SnapshotId }
  readonly GCRan: {}
  readonly ExpirationRan: {}
  /** `isSet`: whether the flag has a value of its own; else it is at its default and `newValue` says nothing. */
  readonly FeatureFlagChanged: { readonly id: number; readonly newValue: boolean; readonly isSet: boolean }
}>

/**
 * Constructors and pattern matching.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Update: Data.TaggedEnum.Constructor<Update> = Data.taggedEnum<Update>()

/**
 * An operation, when it happened (microseconds since 1970), and the name of the copy of the repo object
 * that it replaced (below `overwritten/`; the latest operation has none yet).
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdateEntry {
  readonly update: Update
  readonly updatedAt: number
  readonly backupPath: string | undefined
}

/** In the order of the union in the schema, whose codes start with 1. */
const tags = [
  "RepoInitialized",
  "RepoMigrated",
  "ConfigChanged",
  "MetadataChanged",
  "TagCreated",
  "TagDeleted",
  "BranchCreated",
  "BranchDeleted",
  "BranchReset",
  "NewCommit",
  "CommitAmended",
  "NewDetachedSnapshot",
  "GCRan",
  "ExpirationRan",
  "FeatureFlagChanged",
  "RepoStatusChanged"
] as const satisfies ReadonlyArray<Update["_tag"]>

const Entry = fields("update_type_type", "update_type", "updated_at", "backup_path")
const Migrated = fields("from_version", "to_version")
const StatusChanged = fields("status")
const Named = fields("name", "previous_snap_id")
const Commit = fields("branch", "new_snap_id")
const Amended = fields("branch", "previous_snap_id", "new_snap_id")
const Detached = fields("new_snap_id")
const Flag = fields("id", "new_value", "is_set")

const snapshotId = (table: FlatTable, field: Field): SnapshotId => ObjectId.snapshotId(table.struct(field, 12))

const empty =
  (update: Update): ((table: FlatTable) => Update) =>
  () =>
    update

const name = (table: FlatTable): string => table.string(Named.name)

const previous = (table: FlatTable): SnapshotId => snapshotId(table, Named.previous_snap_id)

const decoders: { readonly [Tag in Update["_tag"]]: (table: FlatTable) => Update } = {
  RepoInitialized: empty(Update.RepoInitialized()),
  RepoMigrated: (table) =>
    Update.RepoMigrated({ fromVersion: table.u8(Migrated.from_version), toVersion: table.u8(Migrated.to_version) }),
  RepoStatusChanged: (table) =>
    Update.RepoStatusChanged({ status: RepoStatus.decode(table.table(StatusChanged.status)) }),
  ConfigChanged: empty(Update.ConfigChanged()),
  MetadataChanged: empty(Update.MetadataChanged()),
  TagCreated: (table) => Update.TagCreated({ name: name(table) }),
  TagDeleted: (table) => Update.TagDeleted({ name: name(table), previousSnapshotId: previous(table) }),
  BranchCreated: (table) => Update.BranchCreated({ name: name(table) }),
  BranchDeleted: (table) => Update.BranchDeleted({ name: name(table), previousSnapshotId: previous(table) }),
  BranchReset: (table) => Update.BranchReset({ name: name(table), previousSnapshotId: previous(table) }),
  NewCommit: (table) =>
    Update.NewCommit({
      branch: table.string(Commit.branch),
      newSnapshotId: snapshotId(table, Commit.new_snap_id)
    }),
  CommitAmended: (table) =>
    Update.CommitAmended({
      branch: table.string(Amended.branch),
      previousSnapshotId: snapshotId(table, Amended.previous_snap_id),
      newSnapshotId: snapshotId(table, Amended.new_snap_id)
    }),
  NewDetachedSnapshot: (table) =>
    Update.NewDetachedSnapshot({ newSnapshotId: snapshotId(table, Detached.new_snap_id) }),
  GCRan: empty(Update.GCRan()),
  ExpirationRan: empty(Update.ExpirationRan()),
  FeatureFlagChanged: (table) =>
    Update.FeatureFlagChanged({
      id: table.u16(Flag.id),
      newValue: table.u8(Flag.new_value) !== 0,
      isSet: table.u8(Flag.is_set) !== 0
    })
}

/**
 * The entry in a table. Throws a `FormatError`, as the methods of `FlatTable` do.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (table: FlatTable): UpdateEntry => {
  const code = table.u8(Entry.update_type_type)
  const tag = tags[code - 1] ?? table.fail(Entry.update_type_type, `no operation has the code ${code}`)
  return {
    update: decoders[tag](table.table(Entry.update_type)),
    updatedAt: table.u64(Entry.updated_at),
    backupPath: table.optionalString(Entry.backup_path)
  }
}

const encodeUpdate = (builder: FlatBuilder, update: Update): number => {
  const empty = () => builder.table(0, () => {})
  const named = (ref: { readonly name: string; readonly previousSnapshotId?: SnapshotId }) => {
    const name = builder.sharedString(ref.name)
    const previous = ref.previousSnapshotId
    return builder.table(2, (table) => {
      table.offset(Named.name, name)
      table.struct(Named.previous_snap_id, previous === undefined ? undefined : ObjectId.bytes12(previous))
    })
  }
  return Update.$match(update, {
    RepoInitialized: empty,
    RepoMigrated: ({ fromVersion, toVersion }) =>
      builder.table(2, (table) => {
        table.u8(Migrated.from_version, fromVersion)
        table.u8(Migrated.to_version, toVersion)
      }),
    RepoStatusChanged: (changed) => {
      const status = RepoStatus.encode(builder, changed.status)
      return builder.table(1, (table) => table.offset(StatusChanged.status, status))
    },
    ConfigChanged: empty,
    MetadataChanged: empty,
    TagCreated: named,
    TagDeleted: named,
    BranchCreated: named,
    BranchDeleted: named,
    BranchReset: named,
    NewCommit: (commit) => {
      const branch = builder.sharedString(commit.branch)
      return builder.table(2, (table) => {
        table.offset(Commit.branch, branch)
        table.struct(Commit.new_snap_id, ObjectId.bytes12(commit.newSnapshotId))
      })
    },
    CommitAmended: (amended) => {
      const branch = builder.sharedString(amended.branch)
      return builder.table(3, (table) => {
        table.offset(Amended.branch, branch)
        table.struct(Amended.previous_snap_id, ObjectId.bytes12(amended.previousSnapshotId))
        table.struct(Amended.new_snap_id, ObjectId.bytes12(amended.newSnapshotId))
      })
    },
    NewDetachedSnapshot: ({ newSnapshotId }) =>
      builder.table(1, (table) => table.struct(Detached.new_snap_id, ObjectId.bytes12(newSnapshotId))),
    GCRan: empty,
    ExpirationRan: empty,
    FeatureFlagChanged: ({ id, isSet, newValue }) =>
      builder.table(3, (table) => {
        table.u16(Flag.id, id)
        table.u8(Flag.new_value, newValue ? 1 : 0)
        table.u8(Flag.is_set, isSet ? 1 : 0)
      })
  })
}

const encodeEntry = (builder: FlatBuilder, entry: UpdateEntry): number => {
  const update = encodeUpdate(builder, entry.update)
  const backupPath = entry.backupPath === undefined ? undefined : builder.string(entry.backupPath)
  return builder.table(4, (table) => {
    table.u8(Entry.update_type_type, tags.indexOf(entry.update._tag) + 1)
    table.offset(Entry.update_type, update)
    table.u64(Entry.updated_at, entry.updatedAt)
    table.offset(Entry.backup_path, backupPath)
  })
}

/** Entries as they were written first: each change writes all of them again, and none of them changes. */
const written = new WeakMap<UpdateEntry, Uint8Array>()

const alone = (entry: UpdateEntry): Uint8Array => {
  const known = written.get(entry)
  if (known !== undefined) return known
  const builder = new FlatBuilder(256)
  const bytes = new Uint8Array(builder.finish(encodeEntry(builder, entry)))
  written.set(entry, bytes)
  return bytes
}

/**
 * Writes the entries as a vector of tables.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeAll = (builder: FlatBuilder, entries: ReadonlyArray<UpdateEntry>): number => {
  const parts = entries.map(alone)
  const start = 8 * Math.ceil((4 + 4 * parts.length) / 8)
  // The length of a payload is a multiple of 8, as its numbers of 8 bytes need.
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, start))
  const view = new DataView(bytes.buffer)
  const vector = start - 4 * parts.length - 4
  view.setUint32(vector, parts.length, true)
  let at = start
  for (const [i, part] of parts.entries()) {
    bytes.set(part, at)
    const element = vector + 4 + 4 * i
    // A payload begins with the position of its root.
    view.setUint32(element, at + view.getUint32(at, true) - element, true)
    at += part.length
  }
  return builder.block(bytes) - vector
}
