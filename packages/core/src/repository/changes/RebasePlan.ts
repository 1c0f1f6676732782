/**
 * Changes of a session put on top of commits that were faster. Pure: what is read for it is given, what comes out is the
 * conflicts, and the changes as they are on the new base.
 *
 * A change set is keyed by node id, so that what was done to a node is done to it wherever others moved it. Chunks and
 * attributes of one node are independent of each other, and so are different chunks of one array.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog, UpdatedChunks } from "../../format/TransactionLog.ts"
import * as Bytes from "../../values/Bytes.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import * as ZarrMetadata from "../../values/ZarrMetadata.ts"
import { gridShape } from "../ChunkReads.ts"
import { type Node, nodesBelow, nodesFrom } from "../SnapshotView.ts"
import * as ChangeSet from "./ChangeSet.ts"
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
 * A `zarr.json` in the place of two that were in conflict, with the names of extensions that it means to use.
 *
 * @category models
 * @since 0.1.0
 */
export interface MergedMetadata extends ZarrMetadata.WriteOptions {
  readonly zarrJson: Uint8Array
}

/**
 * How a conflict ends: with what the session did, with what the others did, not at all, or with another `zarr.json`, which
 * is possible for `ZarrMetadataDoubleUpdate`. A conflict about a node that was deleted, and one about a move, can only end
 * with what the others did.
 *
 * @category models
 * @since 0.1.0
 */
export type Resolution = "ours" | "theirs" | "fail" | MergedMetadata

/**
 * A conflict and how it ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decision {
  readonly conflict: Conflict.Conflict
  readonly resolution: Resolution
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
 * The start of a rebase.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (input: Input): Progress => ({ ...input, settled: new Set(), writtenAs: new Map() })

const keyOf = ({ _tag, node }: Conflict.Conflict): string => `${_tag} ${node}`

/** The nodes with some ids. */
const pick = (snapshot: Snapshot.Snapshot, ids: ReadonlySet<NodeId>): ReadonlyMap<NodeId, Node> => {
  const found = new Map<NodeId, Node>()
  if (ids.size > 0) for (const node of snapshot.nodes) if (ids.has(node.id)) found.set(node.id, node)
  return found
}

const touchedBy = ({ adopted, chunks, deleted, moved, updated }: ChangeSet.ChangeSet): Set<NodeId> =>
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

const rankOf = (metadata: ZarrMetadata.ZarrMetadata): number => (metadata._tag === "Array" ? metadata.shape.length : 0)

const compareAt = (a: Uint32Array, i: number, b: Uint32Array, j: number, rank: number): number => {
  for (let axis = 0; axis < rank; axis++) {
    const difference = a[i * rank + axis]! - b[j * rank + axis]!
    if (difference !== 0) return difference
  }
  return 0
}

/** The rows, among those in order, that others have changed, too. */
const commonRows = (ours: ChunkRefColumns, theirs: ReadonlyArray<UpdatedChunks>): ReadonlyArray<number> => {
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

/** The paths above a path, nearest first, without the root. */
const above = (path: NodePath.NodePath): ReadonlyArray<NodePath.NodePath> => {
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
          ? `\`${problem.above}\` is there no more`
          : `\`${problem.above}\` is an array now`
      }
      const [first] = type === "Group" ? putBelow(now.path) : []
      return first === undefined ? undefined : `others put \`${first.path}\` into it`
    })()
    if (problem !== undefined) found.push({ _tag: "MoveOperationCannotBeRebased", path: to, node, problem })
  }

  return found.filter((conflict) => !settled.has(keyOf(conflict))).toSorted((a, b) => NodePath.compare(a.path, b.path))
}

/** Whether a conflict can end with what the session did. */
const canBeOurs = ({ _tag }: Conflict.Conflict): boolean =>
  _tag !== "ZarrMetadataUpdateOfDeletedArray" &&
  _tag !== "ZarrMetadataUpdateOfDeletedGroup" &&
  _tag !== "ChunksUpdatedInDeletedArray" &&
  _tag !== "MoveOperationCannotBeRebased"

/**
 * Whether a resolution ends a conflict.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isResolved = ({ conflict, resolution }: Decision): boolean =>
  resolution === "theirs" ||
  (resolution === "ours" && canBeOurs(conflict)) ||
  (typeof resolution === "object" && conflict._tag === "ZarrMetadataDoubleUpdate")

/**
 * Puts decisions, all of which are resolved, into the changes. What they lead to may be in conflict again. Fails when a
 * given `zarr.json` is none of the node.
 *
 * @category decisions
 * @since 0.1.0
 */
export const decide = (
  progress: Progress,
  decisions: ReadonlyArray<Decision>
): Result.Result<Progress, ZarrMetadata.InvalidMetadata> =>
  Result.gen(function* () {
    const { changes, onto } = progress
    const draft = ChangeSet.draft(changes)
    const settled = new Set(progress.settled)
    const writtenAs = new Map(progress.writtenAs)

    /** Leaves out a node that the session created. Those below it are in conflict themselves where they cannot stay. */
    const dropCreated = (node: NodeId): void => {
      draft.created.delete(node)
      draft.chunks.delete(node)
      draft.adopted.delete(node)
    }
    /** Deletes what others have at a path, with all below it. */
    const deleteTheirs = (path: NodePath.NodePath): void => {
      for (const { data, id, path: at } of nodesFrom(onto, path)) {
        if (draft.moved.has(id)) continue
        draft.updated.delete(id)
        draft.chunks.delete(id)
        draft.adopted.delete(id)
        draft.deleted.set(id, { path: at, type: data._tag })
        for (const _tag of ["DeleteOfUpdatedArray", "DeleteOfUpdatedGroup", "DeleteOfGroupWithNewNodes"]) {
          settled.add(`${_tag} ${id}`)
        }
      }
    }
    /** Deletes neither a node nor the groups above it. */
    const keepTheirs = (path: NodePath.NodePath): void => {
      for (const at of [path, ...above(path)]) {
        const node = Snapshot.find(onto, at)
        if (node !== undefined) draft.deleted.delete(node.id)
      }
    }
    const dropUpdate = (node: NodeId): void => {
      const update = draft.updated.get(node)
      if (update !== undefined && (draft.chunks.has(node) || draft.adopted.has(node)))
        writtenAs.set(node, update.userData)
      draft.updated.delete(node)
    }

    const takeTheirs = (conflict: Conflict.Conflict): void => {
      const { node } = conflict
      switch (conflict._tag) {
        case "NewNodeConflictsWithExistingNode":
        case "NewNodeInInvalidGroup":
          return dropCreated(node)
        case "ZarrMetadataDoubleUpdate":
        case "ZarrMetadataUpdateOfDeletedArray":
        case "ZarrMetadataUpdateOfDeletedGroup":
        case "ZarrMetadataUpdateOfWrittenArray":
          return dropUpdate(node)
        case "ChunkDoubleUpdate": {
          const columns = draft.chunks.get(node)
          if (columns === undefined) return
          const common = new Set(commonRows(columns, [{ ...conflict, node }]))
          // Others of their own: a session that is rebased goes on writing to them.
          const kept = new ChunkRefColumns(columns.rank)
          kept.append(
            columns,
            columns.rowsInOrder().filter((_, i) => !common.has(i))
          )
          draft.chunks.set(node, kept)
          return
        }
        case "ChunksUpdatedInDeletedArray":
        case "ChunksUpdatedInUpdatedArray":
          draft.chunks.delete(node)
          draft.adopted.delete(node)
          return
        case "DeleteOfUpdatedArray":
        case "DeleteOfUpdatedGroup": {
          const now = pick(onto, new Set([node])).get(node)
          if (now !== undefined) keepTheirs(now.path)
          return
        }
        case "DeleteOfGroupWithNewNodes":
          for (const { path } of conflict.created) keepTheirs(path)
          return
        case "MoveOperationCannotBeRebased": {
          const from = draft.moved.get(node)?.from
          if (from === undefined) return
          for (const [id, one] of draft.moved) {
            if (id === node || NodePath.isBelow(one.from, from)) draft.moved.delete(id)
          }
        }
      }
    }

    for (const { conflict, resolution } of decisions) {
      const { node, path } = conflict
      if (resolution === "theirs") takeTheirs(conflict)
      else settled.add(keyOf(conflict))
      if (resolution === "ours" && conflict._tag === "NewNodeConflictsWithExistingNode") deleteTheirs(path)
      if (resolution === "ours" && conflict._tag === "NewNodeInInvalidGroup" && conflict.array !== undefined) {
        deleteTheirs(conflict.above)
        settled.delete(keyOf(conflict))
      }
      if (typeof resolution === "object") {
        const zarrJson = new Uint8Array(resolution.zarrJson)
        const metadata = yield* ZarrMetadata.parse(path, zarrJson, resolution)
        const known = draft.updated.get(node)
        if (known === undefined) continue
        if (known.metadata._tag !== metadata._tag || rankOf(known.metadata) !== rankOf(metadata)) {
          const problem = "it is to replace the metadata of a node of the same kind, with as many dimensions"
          return yield* Result.fail(new ZarrMetadata.InvalidMetadata({ path, field: "node_type", problem }))
        }
        draft.updated.set(node, { userData: zarrJson, metadata })
      }
    }
    return { ...progress, changes: draft, settled, writtenAs }
  })

/** The refs that are in a grid: the array may have become smaller. */
const inGrid = (columns: ChunkRefColumns, grid: ReadonlyArray<number>): ChunkRefColumns => {
  const { rank } = columns
  const { indices } = columns.indicesInOrder()
  const rows = columns.rowsInOrder()
  const inside = rows.filter((_, i) => grid.every((chunks, axis) => indices[i * rank + axis]! < chunks))
  return inside.length === rows.length ? columns : columns.only(inside)
}

/**
 * The changes as changes of the new base, when no conflict is left.
 *
 * @category decisions
 * @since 0.1.0
 */
export const finish = ({ changes, onto }: Progress): ChangeSet.ChangeSet => {
  const now = pick(onto, touchedBy(changes))
  const here = <A>(some: ReadonlyMap<NodeId, A>): ReadonlyArray<readonly [NodeId, A, Node]> =>
    [...some].flatMap(([id, change]) => {
      const node = now.get(id)
      return node === undefined ? [] : [[id, change, node] as const]
    })
  return {
    created: changes.created,
    deleted: new Map(here(changes.deleted).map(([id, { type }, { path }]) => [id, { path, type }])),
    moved: new Map(
      here(changes.moved)
        .filter(([, { to }, { path }]) => to !== path)
        .map(([id, { to, type }, { path }]) => [id, { from: path, to, type }])
    ),
    updated: new Map(
      here(changes.updated)
        .filter(([, { userData }, node]) => !Bytes.equals(userData, node.userData))
        .map(([id, update]) => [id, update])
    ),
    chunks: new Map(
      [...changes.chunks].flatMap(([id, columns]) => {
        const metadata = (changes.created.get(id) ?? changes.updated.get(id))?.metadata
        const node = now.get(id)
        const data = metadata ?? node?.data
        if (data?._tag !== "Array" || (node === undefined && !changes.created.has(id))) return []
        const grid = data.shape.map(({ numChunks }) => numChunks)
        const inside = inGrid(columns, grid)
        return inside.rowsInOrder().length === 0 ? [] : [[id, inside] as const]
      })
    ),
    adopted: new Map([...changes.adopted].filter(([id]) => now.has(id) || changes.created.has(id)))
  }
}
