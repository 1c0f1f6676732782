/**
 * Taking snapshots out of the middle of a history. Pure. Source: Icechunk spec 2.1, `pruned_ancestor_tx_logs`.
 *
 * @since 0.1.0
 */
import type { SnapshotInfo } from "../../format/RepoInfo.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"

/**
 * The snapshots of a repository by id, each looked at once.
 *
 * @category models
 * @since 0.1.0
 */
export type Infos = ReadonlyMap<SnapshotId, SnapshotInfo>

/**
 * A snapshot with the nearest ancestor that is a `boundary` as its parent, and the transaction logs of those in between,
 * oldest first, each behind the logs that it had taken over itself. When no ancestor is a boundary, its root is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reparented = (
  infos: Infos,
  edited: SnapshotInfo,
  isBoundary: (ancestor: SnapshotInfo) => boolean
): SnapshotInfo => {
  const between: Array<SnapshotInfo> = []
  let parentId = edited.parentId
  while (parentId !== undefined) {
    const ancestor = infos.get(parentId)!
    if (isBoundary(ancestor) || ancestor.parentId === undefined) break
    between.push(ancestor)
    parentId = ancestor.parentId
  }
  const pruned: Array<SnapshotId> = []
  for (const { id, prunedAncestorTxLogs } of between.toReversed()) pruned.push(...prunedAncestorTxLogs, id)
  return { ...edited, parentId, prunedAncestorTxLogs: [...pruned, ...edited.prunedAncestorTxLogs] }
}

/**
 * The snapshots that these descend from, and themselves.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withAncestors = (infos: Infos, ids: Iterable<SnapshotId>): Set<SnapshotId> => {
  const found = new Set<SnapshotId>()
  for (const tip of ids) {
    for (let id: SnapshotId | undefined = tip; id !== undefined && !found.has(id); id = infos.get(id)?.parentId) {
      found.add(id)
    }
  }
  return found
}
