/**
 * The repository object as JSON, with the names that Icechunk's own inspection has. Pure.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Flexbuffer from "../../encoding/Flexbuffer.ts"
import type { RepoInfo, SnapshotInfo, Update, UpdateEntry } from "../../format/RepoInfo.ts"
import type { RepoStatus } from "../../format/RepoStatus.ts"
import type { JsonObject } from "../../values/Json.ts"
import { type Budget, field, time } from "./Shown.ts"

const statusJson = ({ availability, reason, setAt }: RepoStatus): JsonObject => ({
  availability,
  set_at: time(setAt),
  limited_availability_reason: reason ?? null
})

/** The names of Icechunk, where they are not ours with `Update` at the end. */
const typeName = ({ _tag }: Update): string => (_tag === "FeatureFlagChanged" ? _tag : `${_tag}Update`)

const details = (update: Update): JsonObject => {
  switch (update._tag) {
    case "RepoMigrated":
      return { from_version: `${update.fromVersion}.0`, to_version: `${update.toVersion}.0` }
    case "RepoStatusChanged":
      return { status: statusJson(update.status) }
    case "TagCreated":
    case "BranchCreated":
      return { name: update.name }
    case "TagDeleted":
    case "BranchDeleted":
    case "BranchReset":
      return { name: update.name, previous_snap_id: update.previousSnapshotId }
    case "NewCommit":
      return { branch: update.branch, new_snap_id: update.newSnapshotId }
    case "CommitAmended":
      return {
        branch: update.branch,
        previous_snap_id: update.previousSnapshotId,
        new_snap_id: update.newSnapshotId
      }
    case "NewDetachedSnapshot":
      return { new_snap_id: update.newSnapshotId }
    case "FeatureFlagChanged":
      return { id: update.id, new_value: update.isSet ? update.newValue : null }
    case "RepoInitialized":
    case "ConfigChanged":
    case "MetadataChanged":
    case "GCRan":
    case "ExpirationRan":
      return {}
  }
}

const updateJson = ({ backupPath, update, updatedAt }: UpdateEntry): JsonObject => ({
  update_type: { type: typeName(update), ...details(update) },
  updated_at: time(updatedAt),
  ...field("backup_path", backupPath)
})

const snapshotJson =
  (budget: Budget) =>
  (info: SnapshotInfo): JsonObject => ({
    id: info.id,
    ...field("parent_id", info.parentId),
    flushed_at: time(info.flushedAt),
    message: info.message,
    metadata: budget.json("snapshots.metadata", info.metadata),
    ...(info.prunedAncestorTxLogs.length === 0
      ? {}
      : {
          pruned_ancestor_tx_logs: budget.list(
            "snapshots.pruned_ancestor_tx_logs",
            info.prunedAncestorTxLogs,
            (id) => id
          )
        })
  })

/** The first of the snapshots: no object is made of the others. */
const firstOf = (snapshots: RepoInfo["snapshots"], count: number): ReadonlyArray<SnapshotInfo> => {
  const found: Array<SnapshotInfo> = []
  if (count === 0) return found
  for (const info of snapshots.values()) {
    found.push(info)
    if (found.length === count) break
  }
  return found
}

const configJson = (file: string, config: Uint8Array, budget: Budget): JsonObject => {
  const json = Flexbuffer.decode(file, "config", config)
  if (Result.isFailure(json)) return budget.bytes(config)
  return { size_bytes: config.length, ...budget.json("config", { json: json.success }) }
}

/**
 * The repository object, or the copy of an older one, from the file `file`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const repoJson = (file: string, info: RepoInfo, budget: Budget): JsonObject => ({
  spec_version: `${info.specVersion}.0`,
  branches: budget.entries("branches", info.branches, (id) => id),
  tags: budget.entries("tags", info.tags, (id) => id),
  deleted_tags: budget.list("deleted_tags", Array.from(info.deletedTags), (name) => name),
  snapshots: firstOf(info.snapshots, budget.take("snapshots", info.snapshots.size)).map(snapshotJson(budget)),
  num_snapshots: info.snapshots.size,
  metadata: budget.json("metadata", info.metadata),
  latest_updates: budget.list("latest_updates", info.latestUpdates, updateJson),
  ...field("repo_before_updates", info.repoBeforeUpdates),
  status: statusJson(info.status),
  enabled_feature_flags: info.enabledFeatureFlags ?? null,
  disabled_feature_flags: info.disabledFeatureFlags ?? null,
  ...(info.config === undefined ? {} : { config: configJson(file, info.config, budget) }),
  ...(info.extra === undefined ? {} : { extra: budget.bytes(info.extra) })
})
