/**
 * Fills a piece of a session, at a worker: chunks are written to the store, and what refers to them is kept, in manifests of
 * the worker's own when there is much of it, to be sent back.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { FormatError } from "../../encoding/FormatError.ts"
import { ChunkRefColumns, Kind } from "../../format/manifest/ChunkRefColumns.ts"
import * as IndexRuns from "../../format/manifest/IndexRuns.ts"
import * as ManifestWriter from "../../format/manifest/ManifestWriter.ts"
import * as MergedRefs from "../../format/manifest/MergedRefs.ts"
import * as PlainRefs from "../../format/manifest/PlainRefs.ts"
import { WriteForbidden } from "../../store/ObjectStore.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { ChunkIndex } from "../../values/ChunkIndex.ts"
import * as ChunkIndices from "../../values/ChunkIndex.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import type { VirtualChunkRef } from "../../values/VirtualChunkRef.ts"
import type { AssetError } from "../Assets.ts"
import { gridShape } from "../ChunkReads.ts"
import * as Internals from "../Internals.ts"
import * as RandomId from "../RandomId.ts"
import type { RepositoryShape } from "../Repository.ts"
import * as Session from "../Session.ts"
import type { InvalidChunk, InvalidIndex, InvalidPath, NodeNotFound } from "../SessionError.ts"
import * as SessionInternals from "../SessionInternals.ts"
import * as SplitExpressions from "../SplitExpressions.ts"
import * as Origin from "../versions/Origin.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import type * as VirtualRefs from "../VirtualRefs.ts"
import * as WritableSession from "../WritableSession.ts"
import type * as Adopted from "./Adopted.ts"
import type { BranchWriter } from "./BranchWriter.ts"
import * as ManifestSplit from "./ManifestSplit.ts"
import { OutsidePiece, PieceMismatch } from "./PieceError.ts"
import type { Filled, FilledArray, Piece } from "./Pieces.ts"

/**
 * How much a worker keeps in memory and sends.
 *
 * @category models
 * @since 0.1.0
 */
export interface FillOptions {
  /**
   * Chunk refs that are held at most, before those of the array that has the most become manifests (default 1,000,000, which
   * take about 50 MB). Deletions are held whatever their number, because a manifest cannot say them.
   */
  readonly refsHeld?: number | undefined
  /** Chunk refs that are sent at most; more become manifests (default 50,000). */
  readonly refsSent?: number | undefined
}

/**
 * Why what a worker has written cannot be kept. Nothing of it is lost by that: the next call tries again.
 *
 * @category errors
 * @since 0.1.0
 */
export type FillError = ObjectStoreError | WriteForbidden | ManifestWriter.ManifestTooLarge

/** Why a chunk of a piece cannot be written. */
type ChunkError = NodeNotFound | InvalidPath | InvalidIndex | OutsidePiece | FillError

/**
 * A piece that is being filled: reads as a session does, and writes chunks as one does.
 *
 * @category models
 * @since 0.1.0
 */
export interface PieceWriter extends Session.Session {
  readonly piece: Piece
  /** As `WritableSession.setChunk`, to the regions of the piece. */
  readonly setChunk: (
    path: string,
    index: ChunkIndex,
    bytes: Uint8Array
  ) => Effect.Effect<void, ChunkError | InvalidChunk>
  /** As `WritableSession.deleteChunk`. */
  readonly deleteChunk: (path: string, index: ChunkIndex) => Effect.Effect<void, ChunkError>
  /** As `WritableSession.setVirtualRef`. */
  readonly setVirtualRef: (
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions
  ) => Effect.Effect<void, ChunkError | WritableSession.SetVirtualRefError | VirtualRefs.CaptureError>
  /** As `WritableSession.setVirtualRefs`. */
  readonly setVirtualRefs: (
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions
  ) => Effect.Effect<void, ChunkError | WritableSession.SetVirtualRefError | VirtualRefs.CaptureError>
  /**
   * Waits for what is being written, makes all of it durable, and says what there is. Nothing can be written afterwards;
   * asked again, it answers the same.
   */
  readonly finish: Effect.Effect<Filled, FillError>
}

/** Inline chunks that are held, in bytes. */
const inlineHeld = 32 * 1024 * 1024
/** The same that are sent. */
const inlineSent = 4 * 1024 * 1024
/** Arrays with fewer refs get no manifest of their own. */
const worthwhile = 256
/** As many may write at the same time as like to. */
const everyone = 2 ** 30

/** The rows that are no tombstones, and the tombstones. */
const byKind = (columns: ChunkRefColumns) => {
  const { kinds } = columns.columns()
  const rows = columns.rowsInOrder()
  return {
    refs: rows.filter((row) => kinds[row] !== Kind.Deleted),
    tombstones: rows.filter((row) => kinds[row] === Kind.Deleted)
  }
}

/**
 * How many of the rows, which ascend, come before the last line of the grid that has some: whoever writes line by line is
 * about to add to that one, and manifests are not to overlap.
 */
const wholeLines = (indices: Uint32Array, rank: number, rows: Uint32Array): number => {
  const last = rows.length - 1
  if (last < 1) return rows.length
  let axis = 0
  while (axis < rank && indices[rows[0]! * rank + axis] === indices[rows[last]! * rank + axis]) axis++
  if (axis >= rank - 1) return rows.length
  const line = indices[rows[last]! * rank + axis]
  let end = last
  while (end > 0 && indices[rows[end - 1]! * rank + axis] === line) end--
  return end < rows.length / 2 ? rows.length : end
}

const neverCommits: BranchWriter = {
  move: () => Effect.die("A piece is not committed"),
  rebase: () => Effect.die("A piece is not committed"),
  tip: () => Effect.die("A piece is not committed"),
  checkAmend: () => Effect.die("A piece is not committed"),
  detach: () => Effect.die("A piece is not committed")
}

/**
 * Opens a piece, in a repository that may be open on another machine than the session is. Fails with `PieceMismatch` when
 * the repository is another one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fill: (
  repository: RepositoryShape,
  piece: Piece,
  options?: FillOptions
) => Effect.Effect<PieceWriter, PieceMismatch | WriteForbidden | Config.InvalidConfig | AssetError> = Effect.fn(
  "Pieces.fill"
)(function* (repository: RepositoryShape, piece: Piece, options?: FillOptions) {
  const internals = Internals.writing(repository)
  const { assets, config, newest, store } = internals
  yield* ObjectStore.ensureWritable(store)
  const { context, snapshot } = yield* newest(
    Effect.fnUntraced(function* (info) {
      yield* RepoObject.ensureOnline(store, info)
      const mismatch = (because: string) => new PieceMismatch({ piece: piece.id, of: "repository", because })
      if (Origin.identify(info) !== piece.repositoryId) {
        return yield* mismatch(`${store.description} was created at another time, or by another program`)
      }
      if (!info.snapshots.has(piece.base)) {
        return yield* mismatch(`${store.description} has no snapshot \`${piece.base}\``)
      }
      return piece.base
    })
  )
  const { nodes } = piece
  const merged = (): Config.RepositoryConfig => Config.merge(config.current(), piece.config)
  const session = yield* WritableSession.make(
    {
      ...context,
      assets,
      config: merged,
      branches: neverCommits,
      commitMetadata: () => ({}),
      repositoryId: piece.repositoryId
    },
    piece.branch,
    snapshot,
    {
      created: new Map(
        nodes.created.map(({ metadata, node, path, zarrJson }) => [node, { path, userData: zarrJson, metadata }])
      ),
      updated: new Map(nodes.updated.map(({ metadata, node, zarrJson }) => [node, { userData: zarrJson, metadata }])),
      moved: new Map(nodes.moved.map(({ from, node, to, type }) => [node, { from, to, type }])),
      deleted: new Map(nodes.deleted.map(({ node, path, type }) => [node, { path, type }])),
      chunks: new Map(),
      adopted: new Map()
    }
  )
  const { changed, durable, exclusive } = SessionInternals.of(session)
  const expressions = yield* SplitExpressions.load(merged())
  const refsHeld = Math.max(1, options?.refsHeld ?? 1_000_000)
  const refsSent = Math.max(0, options?.refsSent ?? 50_000)

  /** Writes refs of an array into manifests, as a commit would split them. */
  const toManifests = Effect.fnUntraced(function* (
    array: Session.ArrayNode,
    refs: ChunkRefColumns
  ): Effect.fn.Return<ReadonlyArray<Adopted.Adopted>, FillError | AssetError> {
    const grid = gridShape(array.data)
    const { dimensionNames } = array.data
    const sizes = ManifestSplit.boxSizes(merged(), expressions, { path: array.path, gridShape: grid, dimensionNames })
    const all = yield* Effect.fromResult(
      MergedRefs.merge({ node: array.id, gridShape: grid, bases: [], changes: refs })
    )
    const { indices } = refs.columns()
    const written: Array<Adopted.Adopted> = []
    for (const positions of yield* Effect.fromResult(MergedRefs.byBox(all, grid, sizes))) {
      const id = yield* RandomId.manifestId
      const encoded = yield* Effect.fromResult(ManifestWriter.encode({ id, arrays: [{ refs: all, positions }] }))
      const extents = encoded?.extents[0]
      if (encoded === undefined || extents === undefined) continue
      const manifest = yield* assets.encodeManifest(id, encoded.payload)
      yield* assets.writeManifest(manifest, { keep: false })
      const own = new Uint32Array(positions.length * grid.length)
      for (const [i, position] of positions.entries()) {
        const at = all.rows[position]! * grid.length
        own.set(indices.subarray(at, at + grid.length), i * grid.length)
      }
      const runs = IndexRuns.of(grid.length, positions.length, own)
      written.push({ id, extents, sizeBytes: manifest.bytes.length, runs })
    }
    return written
  })

  const arrayOf = (id: NodeId): Session.ArrayNode =>
    changed()
      .nodes()
      .find((node) => node.id === id) as Session.ArrayNode

  /** Moves the refs of an array out of memory; those of the last line stay unless `whole`. */
  const spill = Effect.fnUntraced(function* (
    id: NodeId,
    whole: boolean
  ): Effect.fn.Return<void, FillError | AssetError> {
    const columns = changed().chunks(id)
    if (columns === undefined) return
    const { refs, tombstones } = byKind(columns)
    const { indices } = columns.columns()
    left.set(id, { rows: columns.size, bytes: columns.inlineBytes })
    const count = whole ? refs.length : wholeLines(indices, columns.rank, refs)
    if (count === 0) return
    // A chunk that is not durable is named, and can be set again, only as long as its ref is here.
    yield* durable
    const gone = new ChunkRefColumns(columns.rank)
    gone.append(columns, refs.subarray(0, count))
    const array = arrayOf(id)
    const written = yield* toManifests(array, gone)
    const rest = new ChunkRefColumns(columns.rank)
    rest.append(columns, refs.subarray(count))
    rest.append(columns, tombstones)
    changed().adopt(array, written)
    changed().setChunks(id, rest.size === 0 ? undefined : rest)
    left.set(id, { rows: rest.size, bytes: rest.inlineBytes })
  })

  /** What was left of an array's columns when refs of it were moved out last: it is not looked at again soon. */
  const left = new Map<NodeId, { readonly rows: number; readonly bytes: number }>()

  interface Held {
    readonly refs: number
    readonly bytes: number
  }

  /** The array that has the most in memory, where there is too much. */
  const largest = (limit: Held, sizeOf: (id: NodeId, columns: ChunkRefColumns) => Held): NodeId | undefined => {
    const arrays = [...changed().changes.chunks].map(([id, columns]) => {
      const { bytes, refs } = sizeOf(id, columns)
      return { id, bytes, refs }
    })
    if (arrays.length === 0) return undefined
    const most = (of: (one: Held) => number) => arrays.reduce((a, b) => (of(b) > of(a) ? b : a))
    const sum = (of: (one: Held) => number): number => arrays.reduce((all, one) => all + of(one), 0)
    const byRefs = most(({ refs }) => refs)
    if (sum(({ refs }) => refs) > limit.refs && byRefs.refs > Math.min(worthwhile, limit.refs)) return byRefs.id
    return sum(({ bytes }) => bytes) > limit.bytes ? most(({ bytes }) => bytes).id : undefined
  }

  const tooMuch = (): NodeId | undefined =>
    largest({ refs: refsHeld, bytes: inlineHeld }, (id, { inlineBytes, size }) => ({
      refs: Math.max(0, size - (left.get(id)?.rows ?? 0)),
      bytes: Math.max(0, inlineBytes - (left.get(id)?.bytes ?? 0))
    }))

  /** A manifest that was just written is not damaged. */
  const written = <A, E>(effect: Effect.Effect<A, E | FormatError>): Effect.Effect<A, Exclude<E, FormatError>> =>
    Effect.catchIf(
      effect,
      (error): error is Extract<E | FormatError, FormatError> => error instanceof FormatError,
      Effect.die
    ) as Effect.Effect<A, Exclude<E, FormatError>>

  // Many write at the same time, and whoever finishes waits for them.
  const gate = yield* Semaphore.make(everyone)
  let finished: Filled | undefined

  const writing = <E>(path: string, at: () => ArrayLike<number>, change: Effect.Effect<void, E>) =>
    gate.withPermits(1)(
      Effect.gen(function* () {
        if (finished !== undefined) {
          const because = "it was finished, and what it was filled with may have been sent"
          return yield* new WriteForbidden({ target: `piece \`${piece.id}\``, because })
        }
        if (piece.regions !== undefined) {
          const array = yield* Session.findArray(changed(), path)
          const rank = array.data.shape.length
          const own = piece.regions.filter(({ node }) => node === array.id)
          const indices = at()
          const count = rank === 0 ? 1 : Math.floor(indices.length / rank)
          for (let i = 0; i < count; i++) {
            const isIn = own.some(({ extents }) =>
              extents.every(({ from, to }, axis) => indices[i * rank + axis]! >= from && indices[i * rank + axis]! < to)
            )
            if (isIn) continue
            const index = Array.from(indices).slice(i * rank, (i + 1) * rank)
            // An index that is none is refused as such.
            yield* Session.checkIndex(array, index)
            return yield* new OutsidePiece({ piece: piece.id, path: array.path, index: ChunkIndices.format(index) })
          }
        }
        yield* change
        if (tooMuch() === undefined) return
        yield* exclusive(
          Effect.suspend(() => {
            const one = tooMuch()
            return one === undefined ? Effect.void : spill(one, false)
          })
        ).pipe(written)
      })
    )

  const filledArray = (id: NodeId): FilledArray => {
    const columns = changed().chunks(id)
    const adopted = changed().changes.adopted.get(id) ?? []
    return {
      node: id,
      path: arrayOf(id).path,
      refs: columns === undefined || columns.rowsInOrder().length === 0 ? undefined : PlainRefs.of(columns),
      manifests: adopted.map(({ extents, id, runs, sizeBytes }) => ({ id, extents, refs: runs.count, sizeBytes }))
    }
  }

  const finish = gate
    .withPermits(everyone)(
      exclusive(
        Effect.gen(function* () {
          if (finished !== undefined) return finished
          for (;;) {
            const one = largest({ refs: refsSent, bytes: inlineSent }, (_, columns) => ({
              refs: byKind(columns).refs.length,
              bytes: columns.inlineBytes
            }))
            if (one === undefined) break
            yield* spill(one, true)
          }
          yield* durable
          const ids = new Set([...changed().changes.chunks.keys(), ...changed().changes.adopted.keys()])
          finished = {
            _tag: "Filled",
            piece: piece.id,
            session: piece.session,
            base: piece.base,
            arrays: [...ids]
              .map(filledArray)
              .filter(({ manifests, refs }) => refs !== undefined || manifests.length > 0)
          }
          return finished
        })
      )
    )
    .pipe(written, Effect.withSpan("Pieces.finish"))

  const reads: Session.Session = {
    mode: session.mode,
    branch: session.branch,
    snapshotId: session.snapshotId,
    attributes: session.attributes,
    node: session.node,
    nodes: session.nodes,
    names: session.names,
    chunkRef: session.chunkRef,
    chunk: session.chunk,
    chunks: session.chunks,
    chunkIndices: session.chunkIndices,
    virtualLocations: session.virtualLocations,
    dependencies: session.dependencies,
    verifyVirtualChunks: session.verifyVirtualChunks
  }
  return {
    ...reads,
    piece,
    setChunk: (path, index, bytes) => writing(path, () => index, session.setChunk(path, index, bytes)),
    deleteChunk: (path, index) => writing(path, () => index, session.deleteChunk(path, index)),
    setVirtualRef: (path, index, ref, options) =>
      writing(path, () => index, session.setVirtualRef(path, index, ref, options)),
    setVirtualRefs: (path, refs, options) =>
      writing(path, () => refs.indices, session.setVirtualRefs(path, refs, options)),
    finish
  }
})
