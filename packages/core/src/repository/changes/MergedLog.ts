/**
 * What two commits did, one after the other, as the log of one that does both. Pure.
 *
 * Of nodes it says what doing both at once would. Of metadata and chunks it may say more: a log does not tell whether the
 * second commit put back what the first one had found.
 *
 * @since 0.1.0
 */
import * as ChunkOrder from "../../format/manifest/ChunkOrder.ts"
import type { MovedNode, TransactionLog, UpdatedChunks } from "../../format/TransactionLog.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { NodeId, SnapshotId } from "../../values/ObjectId.ts"

type Ids = ReadonlyArray<NodeId>

/** The ids of both that are in none of `without`, in order. */
const union = (first: Ids, second: Ids, ...without: ReadonlyArray<ReadonlySet<NodeId>>): Ids =>
  [...new Set([...first, ...second])].filter((id) => !without.some((some) => some.has(id))).toSorted(ObjectId.compare)

/** The indices of both, each once. An empty list has no rank. */
const indices = (first: UpdatedChunks, second: UpdatedChunks): UpdatedChunks => {
  if (first.count === 0) return second
  if (second.count === 0) return first
  const { node, rank } = first
  const both = new Uint32Array(first.coords.length + second.coords.length)
  both.set(first.coords)
  both.set(second.coords, first.coords.length)
  const rows = ChunkOrder.sort(both, rank, first.count + second.count)
  const coords = new Uint32Array(rows.length * rank)
  rows.forEach((row, i) => coords.set(both.subarray(row * rank, (row + 1) * rank), i * rank))
  return { node, rank, count: rows.length, coords }
}

const chunks = (
  first: ReadonlyArray<UpdatedChunks>,
  second: ReadonlyArray<UpdatedChunks>,
  gone: ReadonlySet<NodeId>
): ReadonlyArray<UpdatedChunks> => {
  const all = new Map<NodeId, UpdatedChunks>()
  for (const one of [...first, ...second]) {
    const known = all.get(one.node)
    all.set(one.node, known === undefined ? one : indices(known, one))
  }
  return [...all.values()].filter(({ node }) => !gone.has(node)).toSorted((a, b) => ObjectId.compare(a.node, b.node))
}

/** From where a node was first to where it is last, unless that is the same. */
const moves = (
  first: ReadonlyArray<MovedNode>,
  second: ReadonlyArray<MovedNode>,
  without: ReadonlyArray<ReadonlySet<NodeId>>
): ReadonlyArray<MovedNode> => {
  const all = new Map<NodeId, MovedNode>()
  for (const one of [...first, ...second]) {
    const known = all.get(one.node)
    all.set(one.node, known === undefined ? one : { ...known, to: one.to })
  }
  return [...all.values()].filter(({ from, node, to }) => from !== to && !without.some((some) => some.has(node)))
}

/**
 * The log of a snapshot that does what two snapshots did, one on top of the other.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (id: SnapshotId, first: TransactionLog, second: TransactionLog): TransactionLog => {
  const created = new Set([...first.newGroups, ...first.newArrays])
  const deleted = new Set([...second.deletedGroups, ...second.deletedArrays])
  const isNew = new Set([...created, ...second.newGroups, ...second.newArrays])
  return {
    id,
    newGroups: union(first.newGroups, second.newGroups, deleted),
    newArrays: union(first.newArrays, second.newArrays, deleted),
    deletedGroups: union(
      first.deletedGroups,
      second.deletedGroups.filter((node) => !created.has(node))
    ),
    deletedArrays: union(
      first.deletedArrays,
      second.deletedArrays.filter((node) => !created.has(node))
    ),
    updatedGroups: union(first.updatedGroups, second.updatedGroups, isNew, deleted),
    updatedArrays: union(first.updatedArrays, second.updatedArrays, isNew, deleted),
    updatedChunks: chunks(first.updatedChunks, second.updatedChunks, deleted),
    movedNodes: moves(first.movedNodes, second.movedNodes, [isNew, deleted]),
    extra: first.extra
  }
}
