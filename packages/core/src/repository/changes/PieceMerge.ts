/**
 * Merges what workers have filled into the session that it was split from.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ChunkRefColumns, Kind } from "../../format/manifest/ChunkRefColumns.ts"
import * as EffectiveRows from "../../format/manifest/EffectiveRows.ts"
import * as IndexRuns from "../../format/manifest/IndexRuns.ts"
import * as PlainRefs from "../../format/manifest/PlainRefs.ts"
import { isNotFound } from "../../store/ObjectStoreError.ts"
import * as ChunkIndices from "../../values/ChunkIndex.ts"
import type { NodePath } from "../../values/NodePath.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import { gridShape } from "../ChunkReads.ts"
import * as Layout from "../Layout.ts"
import type * as Session from "../Session.ts"
import { InvalidIndex, NodeNotFound } from "../SessionError.ts"
import * as SessionInternals from "../SessionInternals.ts"
import type { WritableSession } from "../WritableSession.ts"
import * as Adopted from "./Adopted.ts"
import * as PieceBook from "./PieceBook.ts"
import { InvalidPiece, PieceAlreadyMerged, PieceMismatch, PieceOverlap } from "./PieceError.ts"
import type { Filled, FilledArray, MergeError, MergeOptions } from "./Pieces.ts"

const formatted = (rank: number, indices: Uint32Array): ReadonlyArray<string> =>
  Array.from({ length: rank === 0 ? 1 : indices.length / rank }, (_, i) =>
    ChunkIndices.format(indices.subarray(i * rank, (i + 1) * rank))
  )

/** Chunks that an error names. */
const named = 10

/** Changes of one array. */
interface Changes {
  readonly columns: ChunkRefColumns | undefined
  readonly adopted: ReadonlyArray<Adopted.Adopted>
}

/** The chunks that are in both, in any order, some more than once. */
const overlaps = (a: Changes, b: Changes, rank: number): ReadonlyArray<IndexRuns.IndexRuns> => {
  const found: Array<IndexRuns.IndexRuns> = []
  const one = (indices: Uint32Array, at: number): void => {
    found.push(IndexRuns.of(rank, 1, indices.subarray(at, at + rank)))
  }
  const inRuns = (columns: ChunkRefColumns, { extents, runs }: Adopted.Adopted): void => {
    const rows = columns.rowsInOrder()
    const plain = columns.columns()
    if (!EffectiveRows.touches(plain, rank, rows, extents)) return
    for (const row of rows) {
      const at = row * rank
      if (IndexRuns.has(runs, plain.indices, at)) one(plain.indices, at)
    }
  }
  if (a.columns !== undefined && b.columns !== undefined) {
    const [few, many] = a.columns.size < b.columns.size ? [a.columns, b.columns] : [b.columns, a.columns]
    const { indices } = few.columns()
    for (const row of few.rowsInOrder()) {
      if (many.has(indices, row * rank)) one(indices, row * rank)
    }
  }
  for (const manifest of b.adopted) if (a.columns !== undefined) inRuns(a.columns, manifest)
  for (const manifest of a.adopted) {
    if (b.columns !== undefined) inRuns(b.columns, manifest)
    for (const other of b.adopted) {
      if (!Adopted.meet(manifest.extents, other.extents)) continue
      const common = IndexRuns.common(manifest.runs, other.runs)
      if (common.count > 0) found.push(common)
    }
  }
  return found
}

/** Both, of which `later` counts. What is in the columns of `before` may have been added to. */
const onTop = (before: Changes, later: Changes): Changes => {
  const { rank } = before.columns ?? { rank: 0 }
  let { columns } = before
  if (columns !== undefined && later.adopted.length > 0) {
    const { indices } = columns.columns()
    const rows = columns.rowsInOrder()
    const kept = rows.filter((row) => !later.adopted.some(({ runs }) => IndexRuns.has(runs, indices, row * rank)))
    if (kept.length < rows.length) {
      const rest = new ChunkRefColumns(rank)
      rest.append(columns, kept)
      columns = rest
    }
  }
  if (columns === undefined) columns = later.columns
  else if (later.columns !== undefined) columns.append(later.columns)
  return { columns, adopted: [...later.adopted, ...before.adopted] }
}

const outside = (path: NodePath, grid: ReadonlyArray<number>, indices: ArrayLike<number>): InvalidIndex | undefined => {
  const index = Array.from(indices)
  const problem = ChunkIndices.problem(index, grid)
  return problem === undefined ? undefined : new InvalidIndex({ path, index: ChunkIndices.format(index), problem })
}

/** What a worker has written to an array, checked. */
const read = Effect.fnUntraced(function* (
  { assets, store }: SessionInternals.SessionInternals,
  filled: Filled,
  one: FilledArray,
  array: Session.ArrayNode
): Effect.fn.Return<Changes, MergeError> {
  const { piece } = filled
  const grid = gridShape(array.data)
  const rank = grid.length
  const field = `arrays of \`${one.path}\``
  const invalid = (problem: string) => new InvalidPiece({ piece, field, problem })
  const elsewhere = (key: string) =>
    new PieceMismatch({ piece, of: "repository", because: `\`${key}\`, which its worker has written, is not here` })
  const columns =
    one.refs === undefined ? undefined : yield* Effect.fromResult(Result.mapError(PlainRefs.columns(one.refs), invalid))
  if (columns !== undefined) {
    if (columns.rank !== rank) {
      return yield* invalid(`its refs have ${columns.rank} dimension(s), the array has ${rank}`)
    }
    const { ids, indices, kinds, targets } = columns.columns()
    for (const row of columns.rowsInOrder()) {
      const problem = outside(array.path, grid, indices.subarray(row * rank, (row + 1) * rank))
      if (problem !== undefined) return yield* problem
    }
    // One of them tells whether the worker had the same store.
    const native = kinds.subarray(0, columns.size).indexOf(Kind.Native)
    if (native >= 0) {
      const key = Layout.chunk(ObjectId.chunkId(ids.subarray(targets[native], targets[native]! + 12)))
      yield* Effect.catchIf(store.head(key), isNotFound, () => Effect.fail(elsewhere(key)))
    }
  }
  const adopted = yield* Effect.forEach(
    one.manifests,
    Effect.fnUntraced(function* ({ id, sizeBytes }) {
      const key = Layout.manifest(id)
      const manifest = yield* Effect.catchIf(assets.scannedManifest(id), isNotFound, () => Effect.fail(elsewhere(key)))
      const rows = manifest.rows(array.id)
      if (rows === undefined || manifest.nodes.length !== 1) {
        return yield* invalid(`\`${key}\` does not have refs of this array, and of no other`)
      }
      if (array.data.manifests.some((known) => known.id === id)) return yield* invalid(`\`${key}\` is there already`)
      const runs = yield* Effect.fromResult(IndexRuns.ofRows(rows, rank))
      const extents = runs === undefined ? undefined : IndexRuns.extents(runs)
      if (runs === undefined || extents === undefined) return yield* invalid(`the refs of \`${key}\` are not in order`)
      const last = extents.map(({ to }) => to - 1)
      const problem = outside(array.path, grid, last)
      if (problem !== undefined) return yield* problem
      return { id, extents, sizeBytes, runs }
    })
  )
  return { columns, adopted }
})

/**
 * Merges what workers have filled into the session that it was split from, all of it or nothing. What overlaps is refused
 * unless the options say otherwise. Reads the manifests that workers have written, and no chunk; the session commits
 * everything at once then.
 *
 * Answers with the ids of the pieces that were merged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge: (
  session: WritableSession,
  filled: Filled | ReadonlyArray<Filled>,
  options?: MergeOptions
) => Effect.Effect<ReadonlyArray<string>, MergeError> = Effect.fn("Pieces.merge")(function* (
  session: WritableSession,
  filled: Filled | ReadonlyArray<Filled>,
  options?: MergeOptions
) {
  const internals = SessionInternals.of(session)
  const pieces = PieceBook.of(session)
  const all: ReadonlyArray<Filled> = "_tag" in filled ? [filled] : filled
  return yield* internals.exclusive(
    Effect.gen(function* () {
      const changed = internals.changed()
      const inThese = pieces?.mergedInto.get(changed) ?? new Set<string>()
      const wanted = new Map<string, Filled>()
      for (const one of all) {
        const { base, piece } = one
        if (pieces === undefined || one.session !== pieces.session || !pieces.given.has(piece)) {
          const because = "this session did not split it off"
          return yield* new PieceMismatch({ piece, of: "session", because })
        }
        const isOther = base !== changed.base.id
        if (inThese.has(piece) || wanted.has(piece) || (isOther && pieces.merged.has(piece))) {
          if (options?.again === "ignore") continue
          return yield* new PieceAlreadyMerged({ piece })
        }
        if (isOther) {
          const because = `it is of snapshot \`${base}\`, and the session is on \`${changed.base.id}\``
          return yield* new PieceMismatch({ piece, of: "base", because })
        }
        wanted.set(piece, one)
      }
      const nodes = new Map(changed.nodes().map((node) => [node.id, node]))
      const added = new Map<NodeId, Changes>()
      for (const one of wanted.values()) {
        const own = new Map<NodeId, Changes>()
        for (const part of one.arrays) {
          const array = nodes.get(part.node)
          if (array === undefined || array.data._tag !== "Array") {
            return yield* new NodeNotFound({ path: part.path, wanted: "array" })
          }
          if (own.has(array.id)) {
            const field = `arrays of \`${part.path}\``
            return yield* new InvalidPiece({ piece: one.piece, field, problem: "the array is there twice" })
          }
          const { path } = array
          const now = yield* read(internals, one, part, array as Session.ArrayNode)
          own.set(array.id, now)
          if (options?.overlap === "last") continue
          const rank = array.data.shape.length
          const here = { columns: changed.chunks(array.id), adopted: changed.changes.adopted.get(array.id) ?? [] }
          const found = [here, added.get(array.id)].flatMap((before) =>
            before === undefined ? [] : overlaps(before, now, rank)
          )
          if (found.length === 0) continue
          const { count, indices } = IndexRuns.union(rank, found)
          const first = formatted(rank, indices.subarray(0, named * rank))
          return yield* new PieceOverlap({ path, indices: first, count, piece: one.piece })
        }
        for (const [id, now] of own) {
          const before = added.get(id)
          added.set(id, before === undefined ? now : onTop(before, now))
        }
      }
      for (const [id, now] of added) {
        const node = nodes.get(id)!
        const { columns } = onTop({ columns: changed.chunks(id), adopted: [] }, now)
        changed.setChunks(id, columns)
        if (now.adopted.length > 0) changed.adopt(node, now.adopted)
      }
      // They may have been discarded since the session was split.
      if (pieces !== undefined && wanted.size > 0) internals.hasFilesSince(pieces.since)
      for (const piece of wanted.keys()) {
        pieces!.merged.add(piece)
        inThese.add(piece)
      }
      pieces?.mergedInto.set(changed, inThese)
      return [...wanted.keys()]
    })
  )
})
