/**
 * Repo objects for tests of what is decided about them.
 */
import * as ObjectId from "@effect-icechunk/core/ObjectId"
import type { SnapshotId } from "@effect-icechunk/core/ObjectId"
import type { RepoInfo, SnapshotInfo } from "../../src/format/RepoInfo.ts"

export const id = (n: number): SnapshotId => ObjectId.snapshotId(new Uint8Array(12).fill(n))

/** A snapshot that was committed at the time of its number. */
export const snapshot = (n: number, parent?: number): SnapshotInfo => ({
  id: id(n),
  parentId: parent === undefined ? undefined : id(parent),
  flushedAt: n,
  message: `commit ${n}`,
  metadata: {},
  prunedAncestorTxLogs: []
})

export const snapshots = (...infos: ReadonlyArray<SnapshotInfo>): ReadonlyMap<SnapshotId, SnapshotInfo> =>
  new Map(infos.map((info) => [info.id, info]))

/** A repository with nothing in it but what is given. */
export const repoInfo = (given: Partial<RepoInfo> = {}): RepoInfo => ({
  specVersion: 2,
  tags: new Map(),
  branches: new Map(),
  deletedTags: new Set(),
  snapshots: new Map(),
  status: { availability: "Online", setAt: 1, reason: undefined },
  metadata: {},
  latestUpdates: [{ update: { _tag: "RepoInitialized" }, updatedAt: 1000, backupPath: undefined }],
  repoBeforeUpdates: undefined,
  config: undefined,
  enabledFeatureFlags: undefined,
  disabledFeatureFlags: undefined,
  extra: undefined,
  ...given
})
