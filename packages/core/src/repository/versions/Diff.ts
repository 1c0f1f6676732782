/**
 * What changed between a snapshot and one that descends from it: from the transaction logs in between, and from the nodes of
 * the two. Pure.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import type { NodeSnapshot } from "../../format/Snapshot.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import type { TransactionLog } from "../../format/TransactionLog.ts"
import type { ChunkIndex } from "../../values/ChunkIndex.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId, SnapshotId } from "../../values/ObjectId.ts"
import { ChangedChunks } from "./ChangedChunks.ts"

/**
 * Two snapshots of which the second does not descend from the first.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAnAncestor
  extends /*#__PURE__*/ Data.TaggedError("NotAnAncestor")<{
    readonly from: string
    readonly to: string
    /** Whether it is the other way round. */
    readonly isDescendant: boolean
  }>
{
  override get message(): string {
    const remedy = this.isDescendant
      ? "it is the other way round, so swap the two"
      : "compare two versions of one branch, or each with an ancestor that they share"
    return `Snapshot \`${this.to}\` does not descend from \`${this.from}\`: ${remedy}.`
  }
}

/**
 * A transaction log that tells of the way from one snapshot to another.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogOnTheWay {
  readonly id: SnapshotId
  /** Whether its snapshot has expired: clients before Icechunk 2.1 delete the logs of those. */
  readonly isPruned: boolean
}

/**
 * The logs on the way from a snapshot to one that descends from it, oldest first. Those of snapshots that have expired since
 * are among them.
 *
 * Source: Icechunk spec 2.1, `pruned_ancestor_tx_logs`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const logs = (
  { snapshots }: Pick<RepoInfo, "snapshots">,
  from: SnapshotId,
  to: SnapshotId
): Result.Result<ReadonlyArray<LogOnTheWay>, NotAnAncestor> => {
  const steps: Array<ReadonlyArray<LogOnTheWay>> = []
  for (const { id, prunedAncestorTxLogs } of SnapshotTable.ancestors(snapshots, to)) {
    if (id === from) return Result.succeed(steps.toReversed().flat())
    steps.push([...prunedAncestorTxLogs.map((pruned) => ({ id: pruned, isPruned: true })), { id, isPruned: false }])
  }
  let isDescendant = false
  for (const { id } of SnapshotTable.ancestors(snapshots, from)) {
    if (id === to) isDescendant = true
  }
  return Result.fail(new NotAnAncestor({ from, to, isDescendant }))
}

/**
 * What logs say together, by node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Collected {
  readonly updated: Set<NodeId>
  readonly chunks: ChangedChunks
}

/**
 * Nothing yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const collected = (): Collected => ({ updated: new Set(), chunks: new ChangedChunks() })

/**
 * Adds what a log says.
 *
 * @category combinators
 * @since 0.1.0
 */
export const collect = ({ chunks, updated }: Collected, log: TransactionLog): void => {
  for (const id of log.updatedGroups) updated.add(id)
  for (const id of log.updatedArrays) updated.add(id)
  for (const array of log.updatedChunks) chunks.add(array)
}

/**
 * A node that has another path than before. When a group was moved, so were those below it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Moved {
  readonly from: NodePath.NodePath
  readonly to: NodePath.NodePath
  readonly type: "Group" | "Array"
}

/**
 * Chunks of an array that were written or deleted.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArrayChunks {
  readonly path: NodePath.NodePath
  readonly count: number
  readonly indices: () => Iterable<ChunkIndex>
}

/**
 * The net effect of what happened between two snapshots. Each list is in the order of paths.
 *
 * @category models
 * @since 0.1.0
 */
export interface Net {
  readonly newGroups: ReadonlyArray<NodePath.NodePath>
  readonly newArrays: ReadonlyArray<NodePath.NodePath>
  readonly deletedGroups: ReadonlyArray<NodePath.NodePath>
  readonly deletedArrays: ReadonlyArray<NodePath.NodePath>
  readonly updatedGroups: ReadonlyArray<NodePath.NodePath>
  readonly updatedArrays: ReadonlyArray<NodePath.NodePath>
  readonly movedNodes: ReadonlyArray<Moved>
  readonly updatedChunks: ReadonlyArray<ArrayChunks>
}

type Nodes = ReadonlyArray<Pick<NodeSnapshot, "id" | "path" | "data">>

/**
 * What is different in the end: a node that came and went is not mentioned, one that was moved to and fro was not moved, and
 * what was changed of a node that is new or gone is part of that. Paths of deleted nodes are those that they had, all others
 * those that they have now.
 *
 * @category combinators
 * @since 0.1.0
 */
export const net = (from: Nodes, to: Nodes, { chunks, updated }: Collected): Net => {
  const before = new Map(from.map((node) => [node.id, node]))
  const after = new Map(to.map((node) => [node.id, node]))
  const paths = (nodes: Nodes, type: "Group" | "Array", isWanted: (id: NodeId) => boolean) =>
    nodes
      .filter(({ data, id }) => data._tag === type && isWanted(id))
      .map(({ path }) => path)
      .toSorted(NodePath.compare)
  const isNew = (id: NodeId): boolean => !before.has(id)
  const isGone = (id: NodeId): boolean => !after.has(id)
  const isUpdated = (id: NodeId): boolean => updated.has(id) && before.has(id)
  return {
    newGroups: paths(to, "Group", isNew),
    newArrays: paths(to, "Array", isNew),
    deletedGroups: paths(from, "Group", isGone),
    deletedArrays: paths(from, "Array", isGone),
    updatedGroups: paths(to, "Group", isUpdated),
    updatedArrays: paths(to, "Array", isUpdated),
    movedNodes: to
      .flatMap(({ data, id, path }): ReadonlyArray<Moved> => {
        const old = before.get(id)
        return old === undefined || old.path === path ? [] : [{ from: old.path, to: path, type: data._tag }]
      })
      .toSorted((a, b) => NodePath.compareSegments(a.to, b.to)),
    updatedChunks: Array.from(chunks.nodes())
      .flatMap((id): ReadonlyArray<ArrayChunks> => {
        const node = after.get(id)
        return node === undefined
          ? []
          : [{ path: node.path, count: chunks.count(id), indices: () => chunks.indices(id) }]
      })
      .toSorted((a, b) => NodePath.compare(a.path, b.path))
  }
}
