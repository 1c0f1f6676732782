/**
 * What of the changes of a session does not go together with what others committed meanwhile. Pure.
 *
 * A change set is keyed by node id, so that what was done to a node is done to it wherever others moved it. Chunks and
 * attributes of one node are independent of each other, and so are different chunks of one array.
 *
 * @since 0.1.0
 */
import type { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog, UpdatedChunks } from "../../format/TransactionLog.ts"
import * as Bytes from "../../values/Bytes.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import { gridShape } from "../ChunkReads.ts"
import { type Node, nodesBelow } from "../SnapshotView.ts"
import type * as ChangeSet from "./ChangeSet.ts"
import type * as Conflict from "./Conflict.ts"
import * as TheirChanges from "./TheirChanges.ts"

/**
 * What is rebased: changes of a snapshot, and what happened to that snapshot meanwhile.
 *
 * @category models
 * @since 0.1.0
 */
export interface Input {
  readonly changes: ChangeSet.ChangeSet
  readonly base: Snapshot.Snapshot
  readonly onto: Snapshot.Snapshot
  readonly theirs: TheirChanges.TheirChanges
  /** Transaction logs of all commits after `base` up to `onto`; may be left out unless `TheirChanges.needsLogs`. */
  readonly logs: ReadonlyArray<TransactionLog>
}

/**
 * A rebase that has come so far. What was decided is in its changes, or in `settled` where the session's way was chosen.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress extends Input {
  /** Conflicts that are none any more, by `keyOf`. */
  readonly settled: ReadonlySet<string>
  /** How the chunks that the session wrote are encoded where its metadata gave way to that of others. */
  readonly writtenAs: ReadonlyMap<NodeId, Uint8Array>
}

/**
 * What tells one conflict from another of the same session.
 *
 * @category accessors
 * @since 0.1.0
 */
export const keyOf = ({ _tag, node }: Conflict.Conflict): string => `${_tag} ${node}`

/**
 * The nodes of a snapshot with some ids.
 *
 * @category accessors
 * @since 0.1.0
 */
export const pick = (snapshot: Snapshot.Snapshot, ids: ReadonlySet<NodeId>): ReadonlyMap<NodeId, Node> => {
  const found = new Map<NodeId, Node>()
  if (ids.size > 0) for (const node of snapshot.nodes) if (ids.has(node.id)) found.set(node.id, node)
  return found
}

/**
 * The nodes that changes are of, other than those that they create.
 *
 * @category accessors
 * @since 0.1.0
 */
export const touchedBy = ({ adopted, chunks, deleted, moved, updated }: ChangeSet.ChangeSet): Set<NodeId> =>
  new Set([...adopted.keys(), ...chunks.keys(), ...deleted.keys(), ...moved.keys(), ...updated.keys()])

/** What of an array's `zarr.json` says how its chunks are found and decoded: all but shape, names and attributes. */
const chunkMeaning = (userData: Uint8Array): string => {
  const json: unknown = JSON.parse(new TextDecoder().decode(userData))
  const sorted = (value: unknown): unknown =>
    typeof value !== "object" || value === null
      ? value
      : Array.isArray(value)
        ? value.map(sorted)
        : Object.entries(value)
            .toSorted(([a], [b]) => NodePath.compare(a, b))
            .map(([key, value]) => [key, sorted(value)])
  const { attributes: _1, dimension_names: _2, shape: _3, ...rest } = json as Record<string, unknown>
  return JSON.stringify(sorted(rest))
}

/**
 * Whether refs mean the same in another version of their array, and are all in its grid.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isSameArray = (
  from: Uint8Array,
  to: Uint8Array,
  grid: ReadonlyArray<number>,
  refs: ReadonlyArray<Pick<UpdatedChunks, "rank" | "count" | "coords">>
): boolean =>
  chunkMeaning(from) === chunkMeaning(to) &&
  refs.every(({ coords, count, rank }) => {
    for (let i = 0; i < count * rank; i++) if (coords[i]! >= grid[i % rank]!) return false
    return true
  })

const gridOf = ({ data }: Pick<Node, "data">): ReadonlyArray<number> => (data._tag === "Array" ? gridShape(data) : [])

const compareAt = (a: Uint32Array, i: number, b: Uint32Array, j: number, rank: number): number => {
  for (let axis = 0; axis < rank; axis++) {
    const difference = a[i * rank + axis]! - b[j * rank + axis]!
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * The rows, among those in order, that others have changed, too.
 *
 * @category accessors
 * @since 0.1.0
 */
export const commonRows = (ours: ChunkRefColumns, theirs: ReadonlyArray<UpdatedChunks>): ReadonlyArray<number> => {
  const { rank } = ours
  const { count, indices } = ours.indicesInOrder()
  const common = new Set<number>()
  for (const they of theirs) {
    // An empty list has no rank.
    if (they.count === 0 || they.rank !== rank) continue
    for (let i = 0, j = 0; i < count && j < they.count;) {
      const order = compareAt(indices, i, they.coords, j, rank)
      if (order === 0) common.add(i)
      if (order <= 0) i++
      if (order >= 0) j++
    }
  }
  return [...common].toSorted((a, b) => a - b)
}

/**
 * The paths above a path, nearest first, without the root.
 *
 * @category accessors
 * @since 0.1.0
 */
export const above = (path: NodePath.NodePath): ReadonlyArray<NodePath.NodePath> => {
  const paths: Array<NodePath.NodePath> = []
  for (let at = NodePath.parent(path); at !== undefined && at !== NodePath.root; at = NodePath.parent(at))
    paths.push(at)
  return paths
}

/**
 * All conflicts between the changes and what others did that are not settled, by path.
 *
 * @category decisions
 * @since 0.1.0
 */
export const conflicts = ({
  base,
  changes,
  logs,
  onto,
  settled,
  theirs,
  writtenAs
}: Progress): ReadonlyArray<Conflict.Conflict> => {
  const chunks = TheirChanges.chunks(theirs, logs)
  const touched = touchedBy(changes)
  const before = pick(base, touched)
  const after = pick(onto, touched)
  const found: Array<Conflict.Conflict> = []
  const pathOf = (id: NodeId): NodePath.NodePath => changes.moved.get(id)?.to ?? before.get(id)!.path

  // What the others have at a path, unless it is deleted or moved away here.
  const ontoByPath = new Map<NodePath.NodePath, Node | undefined>()
  const theirsAt = (path: NodePath.NodePath): Node | undefined => {
    if (!ontoByPath.has(path)) ontoByPath.set(path, Snapshot.find(onto, path))
    const node = ontoByPath.get(path)
    return node === undefined || changes.deleted.has(node.id) || changes.moved.has(node.id) ? undefined : node
  }
  /** The first path above one that cannot lead to a node now, though it did where the session began. */
  const obstacle = (
    path: NodePath.NodePath
  ): { readonly above: NodePath.NodePath; readonly array?: NodeId } | undefined => {
    for (const one of above(path)) {
      const node = theirsAt(one)
      if (node?.data._tag === "Array") return { above: one, array: node.id }
      const was = Snapshot.find(base, one)
      const isGone =
        was !== undefined && was.data._tag === "Group" && node === undefined && Snapshot.find(onto, one) === undefined
      // What the session itself took away is no obstacle: it knew.
      if (isGone && !changes.deleted.has(was.id) && !changes.moved.has(was.id)) return { above: one }
    }
    return undefined
  }

  /** What others have below a path, where an array is to be. */
  const theirsBelow = (path: NodePath.NodePath): Node | undefined => {
    for (const node of nodesBelow(onto, path)) {
      if (!changes.deleted.has(node.id) && !changes.moved.has(node.id)) return node
    }
    return undefined
  }

  for (const [node, { metadata, path }] of changes.created) {
    const existing = theirsAt(path) ?? (metadata._tag === "Array" ? theirsBelow(path) : undefined)
    if (existing !== undefined) {
      found.push({ _tag: "NewNodeConflictsWithExistingNode", path, node, existing: existing.id })
      continue
    }
    const problem = obstacle(path)
    if (problem !== undefined) found.push({ _tag: "NewNodeInInvalidGroup", path, node, ...problem })
  }

  for (const [node, { metadata, userData }] of changes.updated) {
    const was = before.get(node)
    if (was === undefined) continue
    const path = pathOf(node)
    const now = after.get(node)
    if (now === undefined) {
      found.push({
        _tag: was.data._tag === "Array" ? "ZarrMetadataUpdateOfDeletedArray" : "ZarrMetadataUpdateOfDeletedGroup",
        path,
        node
      })
      continue
    }
    if (theirs.updated.has(node) && !Bytes.equals(now.userData, userData)) {
      found.push({
        _tag: "ZarrMetadataDoubleUpdate",
        path,
        node,
        // They are the caller's: what is done with them changes no cached snapshot, nor the session.
        base: new Uint8Array(was.userData),
        ours: new Uint8Array(userData),
        theirs: new Uint8Array(now.userData)
      })
    }
    const written = chunks.get(node)
    const grid = metadata._tag === "Array" ? metadata.shape.map(({ numChunks }) => numChunks) : []
    const keepsChunks = [was, now].every((theirs) => isSameArray(theirs.userData, userData, grid, written ?? []))
    if (written !== undefined && !keepsChunks) {
      found.push({ _tag: "ZarrMetadataUpdateOfWrittenArray", path, node })
    }
  }

  for (const [node, columns] of changes.chunks) {
    if (changes.created.has(node) || columns.rowsInOrder().length === 0) continue
    const was = before.get(node)
    if (was === undefined) continue
    const path = pathOf(node)
    const now = after.get(node)
    if (now === undefined) {
      found.push({ _tag: "ChunksUpdatedInDeletedArray", path, node })
      continue
    }
    const { count, indices } = columns.indicesInOrder()
    const ours = { rank: columns.rank, count, coords: indices }
    const encoded = writtenAs.get(node) ?? was.userData
    const isOwn = changes.updated.has(node) || !(theirs.updated.has(node) || writtenAs.has(node))
    if (!isOwn && !isSameArray(encoded, now.userData, gridOf(now), [ours])) {
      found.push({ _tag: "ChunksUpdatedInUpdatedArray", path, node })
    }
    const common = commonRows(columns, chunks.get(node) ?? [])
    if (common.length > 0) {
      const coords = new Uint32Array(common.length * columns.rank)
      common.forEach((row, i) =>
        coords.set(indices.subarray(row * columns.rank, (row + 1) * columns.rank), i * columns.rank)
      )
      found.push({ _tag: "ChunkDoubleUpdate", path, node, rank: columns.rank, count: common.length, coords })
    }
  }

  const placed = theirs.placed.filter(({ id }) => !changes.deleted.has(id))
  const isPlaced = new Set(theirs.placed.map(({ id }) => id))
  /** What others put below a path, and the session did not take away from there. */
  const putBelow = (path: NodePath.NodePath): ReadonlyArray<Node> =>
    placed.filter((node) => NodePath.isBelow(node.path, path) && !changes.moved.has(node.id))

  for (const [node, { path, type }] of changes.deleted) {
    const now = after.get(node)
    if (now === undefined) continue
    if (theirs.updated.has(node) || chunks.has(node) || now.path !== path) {
      found.push({ _tag: type === "Array" ? "DeleteOfUpdatedArray" : "DeleteOfUpdatedGroup", path, node })
    }
    const created = type === "Group" ? putBelow(now.path) : []
    if (created.length > 0) {
      found.push({
        _tag: "DeleteOfGroupWithNewNodes",
        path,
        node,
        created: created.map(({ id, path }) => ({ path, node: id }))
      })
    }
  }

  for (const [node, { from, to, type }] of changes.moved) {
    const now = after.get(node)
    const problem = ((): string | undefined => {
      if (now === undefined) return "others deleted it"
      if (now.path !== from && now.path !== to && isPlaced.has(node)) return `others moved it to \`${now.path}\``
      const there = now.path === to ? undefined : theirsAt(to)
      if (there !== undefined && there.id !== node) return "others have a node there"
      if (now.path !== to && theirsBelow(to) !== undefined) return "others have nodes below that path"
      const problem = obstacle(to)
      if (problem !== undefined) {
        return problem.array === undefined
          ? `\`${problem.above}\` is no longer there`
          : `\`${problem.above}\` is an array now`
      }
      const [first] = type === "Group" ? putBelow(now.path) : []
      return first === undefined ? undefined : `others put \`${first.path}\` into it`
    })()
    if (problem !== undefined) found.push({ _tag: "MoveOperationCannotBeRebased", path: to, node, problem })
  }

  return found.filter((conflict) => !settled.has(keyOf(conflict))).toSorted((a, b) => NodePath.compare(a.path, b.path))
}
