/**
 * What a garbage collection deletes. Pure: who reads, writes and deletes is `Collection`.
 *
 * @since 0.1.0
 */
import type { RepoInfo } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { Changed } from "../versions/RepoChange.ts"
import type { FileColumns } from "./IdTable.ts"
import * as Reparenting from "./Reparenting.ts"

/**
 * A collection that was planned, or is half done, as plain data: it can be looked at, stored, and gone on with. It has
 * twenty bytes for each file.
 *
 * @category models
 * @since 0.1.0
 */
export interface CollectionPlan {
  /** Nothing younger than this is deleted: milliseconds since 1970, by the clock of the store. */
  readonly before: number
  /**
   * Whether everything that is to stay has been read. Until then the files below are those that are old enough, and
   * further ones will turn out to be needed.
   */
  readonly isComplete: boolean
  /** Snapshots that leave the repository object. */
  readonly dropped: ReadonlyArray<SnapshotId>
  /** Files to delete. */
  readonly snapshots: FileColumns
  readonly transactionLogs: FileColumns
  readonly manifests: FileColumns
  readonly chunks: FileColumns
  /** What has been read already: ids of twelve bytes, one after the other. */
  readonly read: { readonly snapshots: Uint8Array; readonly manifests: Uint8Array }
}

/**
 * Which snapshots of a repository stay.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decision {
  readonly kept: ReadonlySet<SnapshotId>
  /** Those of the kept that a branch or a tag leads to. */
  readonly reachable: ReadonlySet<SnapshotId>
  readonly dropped: ReadonlyArray<SnapshotId>
}

/**
 * Decides which snapshots stay: those that a branch or a tag leads to, those that are not old, and what such a one began
 * with. The first snapshot of the repository stays in any case.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decide = (info: RepoInfo, isOld: (id: SnapshotId) => boolean): Decision => {
  const infos: Reparenting.Infos = new Map(info.snapshots)
  const reachable = Reparenting.withAncestors(infos, [...info.branches.values(), ...info.tags.values()])
  const kept = new Set(reachable)
  if (infos.has(ObjectId.initialSnapshotId)) kept.add(ObjectId.initialSnapshotId)
  const young = [...infos.keys()].filter((id) => !kept.has(id) && !isOld(id))
  for (const id of Reparenting.withAncestors(infos, young)) if (infos.get(id)?.parentId === undefined) kept.add(id)
  for (const id of young) kept.add(id)
  return { kept, reachable, dropped: [...infos.keys()].filter((id) => !kept.has(id)) }
}

/**
 * The repository object without the dropped snapshots. One that stays and whose parent is dropped gets its next ancestor
 * that stays as the parent, and takes over the logs of those in between.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply = (info: RepoInfo, { dropped, kept }: Pick<Decision, "dropped" | "kept">): Changed => {
  const update = { _tag: "GCRan" } as const
  if (dropped.length === 0) return { info, update }
  const infos: Reparenting.Infos = new Map(info.snapshots)
  const snapshots = new Map<SnapshotId, SnapshotTable.SnapshotInfo>()
  for (const snapshot of infos.values()) {
    if (!kept.has(snapshot.id)) continue
    const isOrphan = snapshot.parentId !== undefined && !kept.has(snapshot.parentId)
    snapshots.set(
      snapshot.id,
      isOrphan ? Reparenting.reparented(infos, snapshot, (ancestor) => kept.has(ancestor.id)) : snapshot
    )
  }
  return { info: { ...info, snapshots: SnapshotTable.of(snapshots) }, update }
}

/**
 * The snapshots whose transaction logs are needed: those of the repository, and those whose logs others have taken over.
 *
 * @category accessors
 * @since 0.1.0
 */
export const neededLogs = (info: RepoInfo): ReadonlySet<SnapshotId> => {
  const needed = new Set<SnapshotId>()
  for (const { id, prunedAncestorTxLogs } of info.snapshots.values()) {
    needed.add(id)
    for (const pruned of prunedAncestorTxLogs) needed.add(pruned)
  }
  return needed
}
