/**
 * Writing with many machines: a session is split into pieces, plain values that workers fill and send back, and what they
 * have written is merged into the session, which commits all of it at once.
 *
 * Pieces are about chunks. Groups, arrays and attributes are the session's: it makes them before it is split, and workers
 * see them as it does.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Extents } from "../../format/manifest/Manifest.ts"
import type * as PlainRefs from "../../format/manifest/PlainRefs.ts"
import * as ChunkIndices from "../../values/ChunkIndex.ts"
import type { NodePath } from "../../values/NodePath.ts"
import type { ManifestId, NodeId, SnapshotId } from "../../values/ObjectId.ts"
import type { RepositoryConfig } from "../../values/RepositoryConfig.ts"
import type { ZarrMetadata } from "../../values/ZarrMetadata.ts"
import type { AssetError } from "../Assets.ts"
import { gridShape } from "../ChunkReads.ts"
import * as RandomId from "../RandomId.ts"
import * as Session from "../Session.ts"
import type { InvalidIndex, InvalidPath, NodeNotFound } from "../SessionError.ts"
import * as SessionInternals from "../SessionInternals.ts"
import * as SplitExpressions from "../SplitExpressions.ts"
import type { WritableSession } from "../WritableSession.ts"
import * as Adopted from "./Adopted.ts"
import type { ChangedSnapshot } from "./ChangedSnapshot.ts"
import type * as ChangeSet from "./ChangeSet.ts"
import * as ManifestSplit from "./ManifestSplit.ts"
import * as PieceBook from "./PieceBook.ts"
import { InvalidPiece, type PieceAlreadyMerged, type PieceMismatch, PieceOverlap } from "./PieceError.ts"

export { InvalidPiece, OutsidePiece, PieceAlreadyMerged, PieceMismatch, PieceOverlap } from "./PieceError.ts"
export type { PlainRefs } from "../../format/manifest/PlainRefs.ts"
export { merge } from "./PieceMerge.ts"
export { type FillError, fill, type FillOptions, type PieceWriter } from "./PieceWriter.ts"

/**
 * A part of an array: chunk numbers for each dimension, `to` exclusive; all of it without `extents`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Region {
  readonly path: string
  readonly extents?: Extents | undefined
}

/**
 * A region of an array that is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface PieceRegion {
  readonly node: NodeId
  readonly path: NodePath
  readonly extents: Extents
}

/**
 * A piece of a session, for one worker: plain data, which `PieceSchema` can send anywhere. It may be given to another worker
 * when the first is lost; of all that fill it one is merged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Piece {
  readonly _tag: "Piece"
  readonly id: string
  /** Which session it is of. */
  readonly session: string
  readonly repositoryId: string
  readonly branch: string
  /** The snapshot that the session was on. */
  readonly base: SnapshotId
  /** Where chunks may be written; anywhere when `undefined`. */
  readonly regions: ReadonlyArray<PieceRegion> | undefined
  /** Nodes that are not as in the snapshot; with `regions` only the arrays of those. */
  readonly nodes: {
    readonly created: ReadonlyArray<{
      readonly node: NodeId
      readonly path: NodePath
      readonly zarrJson: Uint8Array
      readonly metadata: ZarrMetadata
    }>
    readonly updated: ReadonlyArray<{
      readonly node: NodeId
      readonly zarrJson: Uint8Array
      readonly metadata: ZarrMetadata
    }>
    readonly moved: ReadonlyArray<{
      readonly node: NodeId
      readonly from: NodePath
      readonly to: NodePath
      readonly type: ChangeSet.NodeType
    }>
    readonly deleted: ReadonlyArray<{
      readonly node: NodeId
      readonly path: NodePath
      readonly type: ChangeSet.NodeType
    }>
  }
  /** What chunks and manifests are written by, as it is for the session. */
  readonly config: Pick<RepositoryConfig, "inline_chunk_threshold_bytes" | "manifest">
}

/**
 * A manifest that a worker has written.
 *
 * @category models
 * @since 0.1.0
 */
export interface FilledManifest {
  readonly id: ManifestId
  readonly extents: Extents
  /** Chunk refs in it. */
  readonly refs: number
  /** Bytes of its file. */
  readonly sizeBytes: number
}

/**
 * What a worker has written to an array: refs of chunks, and ids of manifests with more of them, the last one first. The
 * refs count before the manifests.
 *
 * @category models
 * @since 0.1.0
 */
export interface FilledArray {
  readonly node: NodeId
  readonly path: NodePath
  readonly refs: PlainRefs.PlainRefs | undefined
  readonly manifests: ReadonlyArray<FilledManifest>
}

/**
 * A piece that a worker has filled: plain data again. All chunks that it refers to are durable.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filled {
  readonly _tag: "Filled"
  /** The id of the piece. */
  readonly piece: string
  readonly session: string
  readonly base: SnapshotId
  readonly arrays: ReadonlyArray<FilledArray>
}

/**
 * Why a session cannot be split.
 *
 * @category errors
 * @since 0.1.0
 */
export type SplitError = InvalidPiece | PieceOverlap | NodeNotFound | InvalidPath | InvalidIndex

/** The region of an array that is there. */
const placed = Effect.fnUntraced(function* (changed: ChangedSnapshot, region: Region, number: number) {
  const array = yield* Session.findArray(changed, region.path)
  const grid = gridShape(array.data)
  const extents = region.extents?.map(({ from, to }) => ({ from, to })) ?? grid.map((to) => ({ from: 0, to }))
  const problem =
    extents.length !== grid.length
      ? `it has ${extents.length} dimension(s), the array has ${grid.length}`
      : extents
          .map(({ from, to }, axis) =>
            Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= grid[axis]!
              ? undefined
              : `chunks ${from} to ${to} of dimension ${axis} are not all in the grid, which has ${grid[axis]}`
          )
          .find((problem) => problem !== undefined)
  if (problem !== undefined) {
    return yield* new InvalidPiece({ field: `regions[${number}] of \`${array.path}\``, problem })
  }
  return { node: array.id, path: array.path, extents }
})

/** What is in two boxes. */
const shared = (a: Extents, b: Extents): Extents =>
  a.map(({ from, to }, axis) => ({ from: Math.max(from, b[axis]!.from), to: Math.min(to, b[axis]!.to) }))

/** Two pieces that have chunks in common. */
const overlapOf = (pieces: ReadonlyArray<ReadonlyArray<PieceRegion>>): PieceOverlap | undefined => {
  const seen = new Map<NodeId, Array<{ readonly piece: number; readonly extents: Extents }>>()
  for (const [piece, regions] of pieces.entries()) {
    for (const { extents, node, path } of regions) {
      const others = seen.get(node) ?? []
      seen.set(node, others)
      const other = others.find((one) => one.piece !== piece && Adopted.meet(one.extents, extents))
      if (other !== undefined) {
        const box = shared(other.extents, extents)
        const first = ChunkIndices.format(box.map(({ from }) => from))
        const count = box.reduce((count, { from, to }) => count * (to - from), 1)
        return new PieceOverlap({ path, indices: [first], count })
      }
      others.push({ piece, extents })
    }
  }
  return undefined
}

const most = 1_000_000

/**
 * Splits a session into pieces: as many as are asked for, each of which may write anywhere, or one for each region or list
 * of regions, to which it is bound. Regions of different pieces do not overlap.
 *
 * Workers see the nodes of the session, with all that it has not committed, and the chunks of the snapshot below it. The
 * session can go on meanwhile; pieces are merged before it commits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const split: (
  session: WritableSession,
  into: number | ReadonlyArray<Region | ReadonlyArray<Region>>
) => Effect.Effect<ReadonlyArray<Piece>, SplitError> = Effect.fn("Pieces.split")(function* (
  session: WritableSession,
  into: number | ReadonlyArray<Region | ReadonlyArray<Region>>
) {
  const internals = SessionInternals.of(session)
  if (typeof into === "number" ? !(Number.isInteger(into) && into >= 1 && into <= most) : into.length === 0) {
    const problem = `${typeof into === "number" ? into : 0} pieces cannot be made of a session; ask for one or more`
    return yield* new InvalidPiece({ field: "into", problem })
  }
  const changed = internals.changed()
  const { base, changes } = changed
  const regions =
    typeof into === "number"
      ? undefined
      : yield* Effect.forEach(into, (one, i) =>
          Effect.forEach("path" in one ? [one] : one, (region) => placed(changed, region, i))
        )
  const overlap = regions === undefined ? undefined : overlapOf(regions)
  if (overlap !== undefined) return yield* overlap
  // What workers write is no garbage, for a collection of this program.
  internals.hasFilesSince(yield* Clock.currentTimeMillis)
  const pieces = yield* PieceBook.begin(session)
  const config = internals.config()
  const created = [...changes.created].map(([node, { metadata, path, userData }]) => ({
    node,
    path,
    zarrJson: new Uint8Array(userData),
    metadata
  }))
  const updated = [...changes.updated].map(([node, { metadata, userData }]) => ({
    node,
    zarrJson: new Uint8Array(userData),
    metadata
  }))
  const moved = [...changes.moved].map(([node, { from, to, type }]) => ({ node, from, to, type }))
  const deleted = [...changes.deleted].map(([node, { path, type }]) => ({ node, path, type }))
  return yield* Effect.forEach(regions ?? Array.from({ length: into as number }, () => undefined), (own) =>
    Effect.map(RandomId.writeId, (id): Piece => {
      const nodes = own === undefined ? undefined : new Set(own.map(({ node }) => node))
      const isWanted = ({ node }: { readonly node: NodeId }): boolean => nodes === undefined || nodes.has(node)
      pieces.given.add(id)
      return {
        _tag: "Piece",
        id,
        session: pieces.session,
        repositoryId: internals.repositoryId,
        branch: session.branch,
        base: base.id,
        regions: own,
        nodes: { created: created.filter(isWanted), updated: updated.filter(isWanted), moved, deleted },
        config: {
          inline_chunk_threshold_bytes: config.inline_chunk_threshold_bytes,
          manifest: { splitting: { split_sizes: config.manifest?.splitting?.split_sizes ?? [] } }
        }
      }
    })
  )
})

/**
 * An array cut into at most `count` regions along the dimension that has the most chunks: at the borders of its manifests,
 * where the configuration splits those, so that what workers write need not be written again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cut: (
  session: WritableSession,
  path: string,
  count: number
) => Effect.Effect<ReadonlyArray<Region>, NodeNotFound | InvalidPath | InvalidPiece> = Effect.fnUntraced(
  function* (session, path, count) {
    const internals = SessionInternals.of(session)
    const array = yield* Session.findArray(internals.changed(), path)
    if (!(Number.isInteger(count) && count >= 1 && count <= most)) {
      return yield* new InvalidPiece({ field: "count", problem: `an array cannot be cut into ${count}` })
    }
    const config = internals.config()
    const grid = gridShape(array.data)
    const expressions = yield* SplitExpressions.load(config)
    const { dimensionNames } = array.data
    const sizes = ManifestSplit.boxSizes(config, expressions, { path: array.path, gridShape: grid, dimensionNames })
    const axis = grid.indexOf(Math.max(...grid))
    if (axis < 0) return [{ path: array.path, extents: [] }]
    const chunks = grid[axis]!
    const size = sizes[axis]!
    // An array that is not split may be cut anywhere.
    const step = size >= chunks ? 1 : size
    const border = (i: number): number =>
      i === count ? chunks : Math.min(chunks, Math.round((i * chunks) / count / step) * step)
    return Array.from({ length: count }, (_, i) => ({ from: border(i), to: border(i + 1) }))
      .filter(({ from, to }) => from < to)
      .map((part) => ({
        path: array.path,
        extents: grid.map((to, at) => (at === axis ? part : { from: 0, to }))
      }))
  }
)

/**
 * How pieces are merged.
 *
 * @category models
 * @since 0.1.0
 */
export interface MergeOptions {
  /**
   * What becomes of chunks that the session, or another piece, has changed, too: `"error"` merges nothing (the default),
   * `"last"` takes what is merged last.
   */
  readonly overlap?: "error" | "last" | undefined
  /** What becomes of a piece that was merged before: `"error"` merges nothing (the default), `"ignore"` leaves it out. */
  readonly again?: "error" | "ignore" | undefined
}

/**
 * Why nothing was merged.
 *
 * @category errors
 * @since 0.1.0
 */
export type MergeError =
  | InvalidPiece
  | PieceAlreadyMerged
  | PieceMismatch
  | PieceOverlap
  | NodeNotFound
  | InvalidIndex
  | AssetError
