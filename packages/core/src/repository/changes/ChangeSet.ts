/**
 * What a session did and has not committed, by node id: plain data that knows nothing of the snapshot below it, so that
 * a node keeps its changes wherever it moves, and whatever others commit meanwhile. Pure.
 *
 * @since 0.1.0
 */
import type { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import type * as TransactionLog from "../../format/TransactionLog.ts"
import type { NodePath } from "../../values/NodePath.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { NodeId, SnapshotId } from "../../values/ObjectId.ts"
import type { ZarrMetadata } from "../../values/ZarrMetadata.ts"

/**
 * The kinds of nodes.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeType = ZarrMetadata["_tag"]

/**
 * A node's `zarr.json`, and what the engine has read in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeMetadata {
  readonly userData: Uint8Array
  readonly metadata: ZarrMetadata
}

/**
 * A node that the session made, and where it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewNode extends NodeMetadata {
  readonly path: NodePath
}

/**
 * The changes of one session. New nodes are only in `created` and `chunks`; the rest is about nodes of the snapshot that
 * the session was opened on. A deleted node has no other changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangeSet {
  readonly created: ReadonlyMap<NodeId, NewNode>
  /** With the path that the node had in the snapshot. */
  readonly deleted: ReadonlyMap<NodeId, { readonly path: NodePath; readonly type: NodeType }>
  /** From the path in the snapshot to the one that the node has now. */
  readonly moved: ReadonlyMap<NodeId, { readonly from: NodePath; readonly to: NodePath; readonly type: NodeType }>
  readonly updated: ReadonlyMap<NodeId, NodeMetadata>
  /** Refs that were set and tombstones of those that were deleted, of new arrays too. */
  readonly chunks: ReadonlyMap<NodeId, ChunkRefColumns>
}

/**
 * No changes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty: ChangeSet = {
  created: new Map(),
  deleted: new Map(),
  moved: new Map(),
  updated: new Map(),
  chunks: new Map()
}

/**
 * The changes as they are now, whatever is done afterwards.
 *
 * @category combinators
 * @since 0.1.0
 */
export const copy = ({ chunks, created, deleted, moved, updated }: ChangeSet): ChangeSet => ({
  created: new Map(created),
  deleted: new Map(deleted),
  moved: new Map(moved),
  updated: new Map(updated),
  chunks: new Map([...chunks].map(([id, columns]) => [id, columns.frozen()]))
})

/**
 * Whether nothing was done.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isEmpty = ({ chunks, created, deleted, moved, updated }: ChangeSet): boolean =>
  created.size === 0 &&
  deleted.size === 0 &&
  moved.size === 0 &&
  updated.size === 0 &&
  [...chunks.values()].every(({ size }) => size === 0)

/**
 * What the changes did, for other writers to compare with.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transactionLog = (id: SnapshotId, changes: ChangeSet): TransactionLog.TransactionLog => {
  const ids = <A>(
    nodes: ReadonlyMap<NodeId, A>,
    type: NodeType,
    typeOf: (change: A) => NodeType
  ): ReadonlyArray<NodeId> =>
    [...nodes]
      .filter(([, change]) => typeOf(change) === type)
      .map(([node]) => node)
      .toSorted(ObjectId.compare)
  const ofMetadata = ({ metadata }: NodeMetadata): NodeType => metadata._tag
  const ofDeleted = ({ type }: { readonly type: NodeType }): NodeType => type
  return {
    id,
    newGroups: ids(changes.created, "Group", ofMetadata),
    newArrays: ids(changes.created, "Array", ofMetadata),
    deletedGroups: ids(changes.deleted, "Group", ofDeleted),
    deletedArrays: ids(changes.deleted, "Array", ofDeleted),
    updatedGroups: ids(changes.updated, "Group", ofMetadata),
    updatedArrays: ids(changes.updated, "Array", ofMetadata),
    updatedChunks: [...changes.chunks]
      .flatMap(([node, columns]) => {
        const { count, indices } = columns.indicesInOrder()
        return count === 0 ? [] : [{ node, rank: columns.rank, count, coords: indices }]
      })
      .toSorted((a, b) => ObjectId.compare(a.node, b.node)),
    movedNodes: [...changes.moved].map(([node, { from, to, type }]) => ({ node, type, from, to })),
    extra: undefined
  }
}
