/**
 * What a session did and has not committed, by node id: plain data that knows nothing of the snapshot below it, so that
 * a node keeps its changes wherever it moves, and whatever others commit meanwhile. Pure.
 *
 * @since 0.1.0
 */
import type { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as IndexRuns from "../../format/manifest/IndexRuns.ts"
import type * as TransactionLog from "../../format/TransactionLog.ts"
import type { NodePath } from "../../values/NodePath.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { NodeId, SnapshotId } from "../../values/ObjectId.ts"
import type { ZarrMetadata } from "../../values/ZarrMetadata.ts"
import type { Adopted } from "./Adopted.ts"

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
  /** Manifests that workers have written, the last one first: `chunks` count before them, and each before those after it. */
  readonly adopted: ReadonlyMap<NodeId, ReadonlyArray<Adopted>>
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
  chunks: new Map(),
  adopted: new Map()
}

/**
 * A change set that is edited.
 *
 * @category models
 * @since 0.1.0
 */
export type Draft = {
  readonly [K in keyof ChangeSet]: ChangeSet[K] extends ReadonlyMap<infer Id, infer A> ? Map<Id, A> : never
}

/**
 * The same changes, to be edited. Columns of refs are shared.
 *
 * @category combinators
 * @since 0.1.0
 */
export const draft = ({ adopted, chunks, created, deleted, moved, updated }: ChangeSet): Draft => ({
  created: new Map(created),
  deleted: new Map(deleted),
  moved: new Map(moved),
  updated: new Map(updated),
  chunks: new Map(chunks),
  adopted: new Map(adopted)
})

/**
 * The changes as they are now, whatever is done afterwards.
 *
 * @category combinators
 * @since 0.1.0
 */
export const copy = (changes: ChangeSet): ChangeSet => ({
  ...draft(changes),
  chunks: new Map([...changes.chunks].map(([id, columns]) => [id, columns.frozen()]))
})

/**
 * Whether nothing was done.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isEmpty = ({ adopted, chunks, created, deleted, moved, updated }: ChangeSet): boolean =>
  adopted.size === 0 &&
  created.size === 0 &&
  deleted.size === 0 &&
  moved.size === 0 &&
  updated.size === 0 &&
  [...chunks.values()].every(({ size }) => size === 0)

/**
 * The chunks of an array that were set or deleted, by ascending index.
 *
 * @category accessors
 * @since 0.1.0
 */
export const changedChunks = (
  { adopted, chunks }: ChangeSet,
  node: NodeId
): { readonly rank: number; readonly count: number; readonly indices: Uint32Array } => {
  const columns = chunks.get(node)
  const manifests = adopted.get(node) ?? []
  const rank = columns?.rank ?? manifests[0]?.runs.rank ?? 0
  const sets = manifests.map(({ runs }) => runs)
  return { rank, ...IndexRuns.union(rank, sets, columns?.indicesInOrder()) }
}

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
    updatedChunks: [...new Set([...changes.chunks.keys(), ...changes.adopted.keys()])]
      .flatMap((node) => {
        const { count, indices, rank } = changedChunks(changes, node)
        return count === 0 ? [] : [{ node, rank, count, coords: indices }]
      })
      .toSorted((a, b) => ObjectId.compare(a.node, b.node)),
    movedNodes: [...changes.moved].map(([node, { from, to, type }]) => ({ node, type, from, to })),
    extra: undefined
  }
}
