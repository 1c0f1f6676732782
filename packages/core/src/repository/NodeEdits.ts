/**
 * What a session does to nodes as a whole: moves them, changes their attributes and shapes, and copies them from other
 * versions.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import type { JsonObject } from "../values/Json.ts"
import * as NodePath from "../values/NodePath.ts"
import type { NodeId, SnapshotId } from "../values/ObjectId.ts"
import * as ZarrMetadata from "../values/ZarrMetadata.ts"
import type { AssetError, Assets } from "./Assets.ts"
import * as Attributes from "./Attributes.ts"
import type { ChangedSnapshot } from "./changes/ChangedSnapshot.ts"
import * as RefCopies from "./changes/RefCopies.ts"
import * as Reindex from "./changes/Reindex.ts"
import * as OpenSessions from "./OpenSessions.ts"
import * as RandomId from "./RandomId.ts"
import * as Session from "./Session.ts"
import {
  InvalidIndex,
  InvalidMove,
  type InvalidPath,
  type InvalidReindex,
  NodeAlreadyExists,
  NodeNotFound,
  OtherRepository,
  UnsupportedChunkGrid
} from "./SessionError.ts"
import { gridShape } from "./ChunkReads.ts"
import { type Node, unchanged } from "./SnapshotView.ts"

/**
 * What can be done to nodes as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeEdits {
  /** Whether there is no node at a path or below it; the whole hierarchy unless given. */
  readonly isEmpty: (path?: string) => Effect.Effect<boolean, InvalidPath>
  /** Deletes all nodes. */
  readonly clear: Effect.Effect<void>
  /**
   * Gives a node, and all that is below it, another path, in the same group or in another one, which must be there. Their
   * changes go with them, and nothing of them is written again.
   */
  readonly move: (
    from: string,
    to: string
  ) => Effect.Effect<void, NodeNotFound | NodeAlreadyExists | InvalidMove | InvalidPath>
  /**
   * Replaces the attributes of a node, or makes new ones of those that it has. All else of its `zarr.json` stays as it was
   * written.
   */
  readonly setAttributes: (
    path: string,
    attributes: JsonObject | ((now: JsonObject) => JsonObject)
  ) => Effect.Effect<void, NodeNotFound | InvalidPath | ZarrMetadata.InvalidMetadata>
  /**
   * Gives an array another shape, in elements, with as many dimensions. Chunks outside of it are deleted: they do not come
   * back when it grows again. All else of its `zarr.json` stays as it was written.
   */
  readonly resize: (
    path: string,
    shape: ReadonlyArray<number>
  ) => Effect.Effect<void, NodeNotFound | InvalidPath | ZarrMetadata.InvalidMetadata | AssetError>
  /**
   * Puts every chunk of an array where `f` says that it goes; `undefined` drops it. Where no chunk goes is none afterwards,
   * and two cannot go to one place. Needs a `regular` chunk grid. Refs are moved, no bytes are read or written; refs that
   * were not committed move too.
   */
  readonly reindex: (
    path: string,
    f: (index: ChunkIndex.ChunkIndex) => ChunkIndex.ChunkIndex | undefined
  ) => Effect.Effect<void, ReindexError | InvalidReindex>
  /**
   * Moves all chunks of an array by as many chunks along each dimension. Those that leave the grid are dropped (`resize`
   * first to keep them), and places that they leave are empty. Needs a `regular` chunk grid; see `reindex`.
   */
  readonly shift: (path: string, offsets: ReadonlyArray<number>) => Effect.Effect<void, ReindexError>
  /**
   * Copies a node, and all below it, from another version of the same repository, or from this session; `to` is the same
   * path unless given, and nothing is there yet. Chunks are not copied but referred to. Of another session what it was
   * opened on or has last committed is copied, without its uncommitted changes.
   */
  readonly copyFrom: (
    source: Session.Session,
    path: string,
    options?: { readonly to?: string | undefined }
  ) => Effect.Effect<void, NodeNotFound | NodeAlreadyExists | InvalidPath | OtherRepository | AssetError>
}

/**
 * Why chunks could not be given other indices. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReindexError = NodeNotFound | InvalidPath | InvalidIndex | UnsupportedChunkGrid | AssetError

/**
 * A session that is changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Editing {
  readonly store: ObjectStoreShape
  readonly assets: Assets
  readonly current: () => ChangedSnapshot
  /** Runs a change while no other is made, and notes it when it succeeds. */
  readonly exclusive: <A, E>(change: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Refs of a snapshot become changes of the session: their chunks have to be there when it commits. */
  readonly copied: (from: SnapshotId) => void
}

/**
 * Fails because a node is where another is to be.
 *
 * @category predicates
 * @since 0.1.0
 */
export const existing = (path: NodePath.NodePath, node: Node): Effect.Effect<never, NodeAlreadyExists> =>
  Effect.fail(new NodeAlreadyExists({ path, found: node.data._tag === "Group" ? "group" : "array" }))

/**
 * Fails when a part of the path above a new node is an array.
 *
 * @category predicates
 * @since 0.1.0
 */
export const checkAncestors = (
  changes: ChangedSnapshot,
  path: NodePath.NodePath
): Effect.Effect<void, NodeAlreadyExists> => {
  for (let above = NodePath.parent(path); above !== undefined; above = NodePath.parent(above)) {
    const node = changes.node(above)
    if (node?.data._tag === "Array") return existing(above, node)
  }
  return Effect.void
}

/** Fails when there is a node at a path, or below it. */
const checkFree = (changes: ChangedSnapshot, path: NodePath.NodePath): Effect.Effect<void, NodeAlreadyExists> => {
  const there = changes.node(path)
  if (there !== undefined) return existing(path, there)
  return changes.hasBelow(path)
    ? Effect.fail(new NodeAlreadyExists({ path: changes.nodes(path)[0]!.path, found: "node" }))
    : Effect.void
}

/** The path of a node of one tree in another tree. */
const replanted = (path: NodePath.NodePath, from: NodePath.NodePath, to: NodePath.NodePath): NodePath.NodePath => {
  if (path === from) return to
  const rest = from === NodePath.root ? path : path.slice(from.length)
  return (to === NodePath.root ? rest : to + rest) as NodePath.NodePath
}

const metadataOf = ({ data }: Node): ZarrMetadata.ZarrMetadata =>
  data._tag === "Group" ? { _tag: "Group" } : { _tag: "Array", shape: data.shape, dimensionNames: data.dimensionNames }

const isOutside = (index: ChunkIndex.ChunkIndex, grid: ReadonlyArray<number>): boolean =>
  index.some((number, axis) => number >= grid[axis]!)

/**
 * The edits of a session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ assets, copied, current, exclusive, store }: Editing): NodeEdits => {
  const found = (path: NodePath.NodePath): Effect.Effect<Node, NodeNotFound> =>
    Effect.suspend(() => {
      const node = current().node(path)
      return node === undefined ? Effect.fail(new NodeNotFound({ path, wanted: "node" })) : Effect.succeed(node)
    })

  /** Deletes chunks that a grid has no place for, those included that an earlier one had none for. */
  const cutOff = Effect.fnUntraced(function* (array: Session.ArrayNode, grid: ReadonlyArray<number>) {
    const gone: Array<ChunkIndex.ChunkIndex> = []
    yield* RefCopies.eachStored(
      assets,
      current().base,
      array,
      (extents) => extents.some(({ to }, axis) => to > grid[axis]!),
      (rows) => {
        const index = rows.index()
        if (isOutside(index, grid)) gone.push(index)
      }
    )
    const changed = current().chunks(array.id)
    for (const row of changed?.rowsInOrder() ?? []) {
      const index = changed!.indexAt(row)
      if (isOutside(index, grid)) gone.push(index)
    }
    if (gone.length === 0) return
    const columns = current().chunksForWriting(array.id, () => new ChunkRefColumns(grid.length))
    for (const index of gone) columns.setDeleted(index)
  })

  const rearranged = Effect.fnUntraced(function* <E>(
    path: string,
    refs: (array: Session.ArrayNode) => Effect.Effect<ChunkRefColumns, E>
  ) {
    yield* exclusive(
      Effect.gen(function* () {
        const array = yield* Session.findArray(current(), path)
        const grid = ZarrMetadata.chunkGridName(array.userData)
        if (grid !== "regular") return yield* new UnsupportedChunkGrid({ path: array.path, grid: grid ?? "unknown" })
        copied(current().base.id)
        current().setChunks(array.id, yield* refs(array))
      })
    )
  })

  return {
    isEmpty: (path = "/") =>
      Effect.map(Session.parsePath(path), (parsed) => {
        const changes = current()
        return changes.node(parsed) === undefined && !changes.hasBelow(parsed)
      }),
    clear: exclusive(
      Effect.sync(() => {
        const changes = current()
        for (const node of changes.nodes()) if (changes.node(node.path)?.id === node.id) changes.delete(node)
      })
    ),
    move: Effect.fn("Session.move")(function* (from, to) {
      const source = yield* Session.parsePath(from)
      const target = yield* Session.parsePath(to)
      yield* exclusive(
        Effect.gen(function* () {
          const changes = current()
          const node = yield* found(source)
          const problem =
            source === NodePath.root
              ? "the root stays where it is"
              : target === source
                ? "that is where it is"
                : NodePath.isBelow(target, source)
                  ? "a node cannot be below itself"
                  : target === NodePath.root
                    ? "nothing takes the place of the root"
                    : undefined
          if (problem !== undefined) return yield* new InvalidMove({ from: source, to: target, problem })
          yield* checkFree(changes, target)
          const group = NodePath.parent(target)!
          const above = changes.node(group)
          // A hierarchy may have no root group.
          if (above?.data._tag !== "Group" && (above !== undefined || group !== NodePath.root)) {
            const what = above === undefined ? {} : { found: "array" as const }
            return yield* new NodeNotFound({ path: group, wanted: "group", ...what })
          }
          changes.move(node, target)
        })
      )
    }),
    setAttributes: Effect.fn("Session.setAttributes")(function* (path, attributes) {
      const parsed = yield* Session.parsePath(path)
      yield* exclusive(
        Effect.gen(function* () {
          const node = yield* found(parsed)
          const wanted =
            typeof attributes === "function"
              ? attributes(yield* Effect.fromResult(Attributes.of(parsed, node.userData)))
              : attributes
          const zarrJson = yield* Effect.fromResult(ZarrMetadata.withAttributes(parsed, node.userData, wanted))
          current().setMetadata(node, zarrJson, metadataOf(node))
        })
      )
    }),
    resize: Effect.fn("Session.resize")(function* (path, shape) {
      yield* exclusive(
        Effect.gen(function* () {
          const array = yield* Session.findArray(current(), path)
          const { metadata, zarrJson } = yield* Effect.fromResult(
            ZarrMetadata.withShape(array.path, array.userData, shape)
          )
          yield* cutOff(
            array,
            metadata.shape.map(({ numChunks }) => numChunks)
          )
          current().setMetadata(array, zarrJson, metadata)
        })
      )
    }),
    reindex: Effect.fn("Session.reindex")((path, f) =>
      rearranged(path, (array) => Reindex.reindexed(assets, current(), array, f))
    ),
    shift: Effect.fn("Session.shift")((path, offsets) =>
      rearranged(
        path,
        Effect.fnUntraced(function* (array) {
          const grid = gridShape(array.data)
          const given = Array.from(offsets)
          const problem =
            given.length !== grid.length
              ? `there are ${given.length} offset(s), the array has ${grid.length} dimension(s)`
              : given.every((offset) => Number.isSafeInteger(offset))
                ? undefined
                : "an offset is a whole number of chunks"
          if (problem !== undefined) {
            return yield* new InvalidIndex({ path: array.path, index: ChunkIndex.format(given), problem })
          }
          return yield* Effect.catchTag(
            Reindex.reindexed(assets, current(), array, Reindex.shifted(given, grid)),
            "InvalidReindex",
            // What leaves the grid is dropped, and no two meet.
            Effect.die
          )
        })
      )
    ),
    copyFrom: Effect.fn("Session.copyFrom")(function* (source, path, options) {
      const from = yield* Session.parsePath(path)
      const to = yield* Session.parsePath(options?.to ?? path)
      const other = Session.viewOf(source)
      if (!OpenSessions.isSameStore(other.store, store)) {
        return yield* new OtherRepository({ store: store.description, other: other.store.description })
      }
      yield* exclusive(
        Effect.gen(function* () {
          const changes = current()
          const seen = other.current()
          const isOwn = seen === changes
          const view = isOwn ? changes : unchanged(seen.base)
          const top = view.node(from)
          if (top === undefined) return yield* new NodeNotFound({ path: from, wanted: "node" })
          yield* checkFree(changes, to)
          yield* checkAncestors(changes, to)
          const copies: Array<readonly [Node, NodeId, ChunkRefColumns | undefined]> = []
          for (const node of view.nodes(from)) {
            const id = yield* RandomId.nodeId
            const refs = node.data._tag === "Array" ? new ChunkRefColumns(node.data.shape.length) : undefined
            if (refs !== undefined) {
              yield* RefCopies.into(refs, assets, view, node as Session.ArrayNode, (index) => index)
            }
            copies.push([node, id, refs])
          }
          copied(view.base.id)
          for (const [node, id, refs] of copies) {
            changes.create(replanted(node.path, from, to), id, new Uint8Array(node.userData), metadataOf(node))
            if (refs !== undefined && refs.size > 0) changes.setChunks(id, refs)
          }
        })
      )
    })
  }
}
