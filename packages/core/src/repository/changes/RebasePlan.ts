/**
 * Changes of a session put on top of commits that were faster. Pure: what is read for it is given, conflicts are found by
 * `ConflictDetector`, and what comes out is the changes as they are on the new base.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as Snapshot from "../../format/Snapshot.ts"
import * as Bytes from "../../values/Bytes.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import * as ZarrMetadata from "../../values/ZarrMetadata.ts"
import { type Node, nodesFrom } from "../SnapshotView.ts"
import * as ChangeSet from "./ChangeSet.ts"
import type * as Conflict from "./Conflict.ts"
import { above, commonRows, type Input, keyOf, pick, type Progress, touchedBy } from "./ConflictDetector.ts"

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
 * The start of a rebase.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (input: Input): Progress => ({ ...input, settled: new Set(), writtenAs: new Map() })

const rankOf = (metadata: ZarrMetadata.ZarrMetadata): number => (metadata._tag === "Array" ? metadata.shape.length : 0)

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
          const problem = "it has to describe a node of the same kind, with as many dimensions"
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
