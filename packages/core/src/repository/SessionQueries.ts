/**
 * What can be asked of all chunks of a session: which are written, and what the virtual ones depend on. Read from the
 * manifests, a batch of rows at a time.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { FormatError } from "../encoding/FormatError.ts"
import type { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ManifestRows } from "../format/manifest/ManifestRows.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import type { AssetError } from "./Assets.ts"
import type { ChunkResolver } from "../virtual/ChunkResolver.ts"
import { type ArrayNode, gridShape, type ReadContext } from "./ChunkReads.ts"
import * as Dependencies from "./Dependencies.ts"
import type { SnapshotView } from "./SnapshotView.ts"

/** Rows of a manifest that a stream passes on at once. */
const batchSize = 1 << 14

/**
 * What `read` finds in the rows of a manifest, a batch at a time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rowBatches = <A>(
  { count }: ManifestRows,
  read: (from: number, to: number) => Result.Result<ReadonlyArray<A>, FormatError>
): Stream.Stream<A, FormatError> =>
  Stream.paginate(0, (from) =>
    Effect.map(Effect.fromResult(read(from, Math.min(from + batchSize, count))), (batch) => [
      batch,
      from + batchSize < count ? Option.some(from + batchSize) : Option.none()
    ])
  )

/** Whether a chunk is in none of the manifests that count before one; `undefined` where those are elsewhere in the grid. */
const notBefore = Effect.fnUntraced(function* (
  { assets }: ReadContext,
  { data, id: node }: ArrayNode,
  number: number
): Effect.fn.Return<((index: ChunkIndex.ChunkIndex) => boolean) | undefined, AssetError> {
  const { extents } = data.manifests[number]!
  const meeting = data.manifests
    .slice(0, number)
    .filter((one) => one.extents.every(({ from, to }, axis) => from < extents[axis]!.to && extents[axis]!.from < to))
  if (meeting.length === 0) return undefined
  const manifests = yield* Effect.forEach(meeting, ({ id }) => assets.manifest(id))
  // A damaged ref fails where it is met itself.
  return (index) => manifests.every((manifest) => Result.getOrUndefined(manifest.get(node, index)) === undefined)
})

/** The refs of an array in its manifests, a batch of rows at a time, and which of them count. */
const batches = <A>(
  context: ReadContext,
  array: ArrayNode,
  read: (
    rows: ManifestRows,
    from: number,
    to: number,
    counts: ((index: ChunkIndex.ChunkIndex) => boolean) | undefined
  ) => Result.Result<ReadonlyArray<A>, FormatError>
): Stream.Stream<A, AssetError> =>
  Stream.flatMap(Stream.fromIterable(array.data.manifests.entries()), ([number, { id }]) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const rows = (yield* context.assets.manifest(id)).rows(array.id)
        if (rows === undefined) return Stream.empty
        const counts = yield* notBefore(context, array, number)
        return rowBatches(rows, (from, to) => read(rows, from, to, counts))
      })
    )
  )

/** What holds where both hold. */
const both = <A>(a: ((of: A) => boolean) | undefined, b: ((of: A) => boolean) | undefined) =>
  a === undefined ? b : b === undefined ? a : (of: A): boolean => a(of) && b(of)

/**
 * Indices of the chunks of an array that are written: those of the manifests, with the changes applied, which stay as they
 * are.
 *
 * @category constructors
 * @since 0.1.0
 */
export const indicesOf = (
  context: ReadContext,
  array: ArrayNode,
  columns: ChunkRefColumns | undefined
): Stream.Stream<ChunkIndex.ChunkIndex, AssetError> => {
  const grid = gridShape(array.data)
  const stored = batches(context, array, (rows, from, to, counts) =>
    Result.map(rows.indices(from, to), (indices) =>
      indices.filter(
        (index) =>
          ChunkIndex.problem(index, grid) === undefined &&
          columns?.get(index) === undefined &&
          counts?.(index) !== false
      )
    )
  )
  return columns === undefined ? stored : Stream.concat(stored, Stream.fromIterable(changedIndices(columns, grid)))
}

function* changedIndices(columns: ChunkRefColumns, grid: ReadonlyArray<number>): Generator<ChunkIndex.ChunkIndex> {
  for (const row of columns.rowsInOrder()) {
    const index = columns.indexAt(row)
    if (columns.at(row) !== "Deleted" && ChunkIndex.problem(index, grid) === undefined) yield index
  }
}

function* changedLocations(columns: ChunkRefColumns): Generator<string> {
  for (const row of columns.rowsInOrder()) {
    const ref = columns.at(row)
    if (ref !== "Deleted" && ref._tag === "Virtual") yield ref.ref.location
  }
}

/** Locations of the virtual chunks of an array. */
const locationsOf = (
  context: ReadContext,
  changes: SnapshotView,
  array: ArrayNode,
  distinct: boolean
): Stream.Stream<string, AssetError> => {
  const columns = changes.chunks(array.id)?.frozen()
  const unchanged =
    columns === undefined ? undefined : (index: ChunkIndex.ChunkIndex) => columns.get(index) === undefined
  const stored = batches(context, array, (rows, from, to, counts) =>
    rows.virtualLocations(from, to, { wanted: both(unchanged, counts), distinct })
  )
  return columns === undefined ? stored : Stream.concat(stored, Stream.fromIterable(changedLocations(columns)))
}

const arraysOf = (changes: SnapshotView): ReadonlyArray<ArrayNode> =>
  changes.nodes().filter((node): node is ArrayNode => node.data._tag === "Array")

/**
 * Adds the virtual refs of manifest rows to a tally, a batch at a time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const countRows = (
  rows: ManifestRows,
  tally: Dependencies.Tally,
  wanted?: (index: ChunkIndex.ChunkIndex) => boolean
): Effect.Effect<void, FormatError> =>
  Effect.forEach(
    Array.from({ length: Math.ceil(rows.count / batchSize) }, (_, batch) => batch * batchSize),
    (from) => Effect.fromResult(tally.addRows(rows, from, Math.min(from + batchSize, rows.count), wanted)),
    { discard: true }
  )

/** Adds the virtual refs of an array, with the changes applied, to a tally. */
const countRefs = Effect.fnUntraced(function* (
  context: ReadContext,
  changes: SnapshotView,
  array: ArrayNode,
  tally: Dependencies.Tally
): Effect.fn.Return<void, AssetError> {
  const columns = changes.chunks(array.id)?.frozen()
  const wanted = columns === undefined ? undefined : (index: ChunkIndex.ChunkIndex) => columns.get(index) === undefined
  for (const [number, { id }] of array.data.manifests.entries()) {
    const rows = (yield* context.assets.manifest(id)).rows(array.id)
    if (rows === undefined) continue
    yield* countRows(rows, tally, both(wanted, yield* notBefore(context, array, number)))
  }
  for (const row of columns?.rowsInOrder() ?? []) {
    const ref = columns!.at(row)
    if (ref !== "Deleted" && ref._tag === "Virtual") tally.addRef(ref.ref)
  }
})

/**
 * What the virtual chunks of a session depend on. `currentChanges` is asked for at every query.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dependencies = (
  context: ReadContext,
  resolver: ChunkResolver,
  currentChanges: () => SnapshotView
): Dependencies.DependencyQueries =>
  Dependencies.queries({
    resolver,
    locations: (distinct) =>
      Stream.suspend(() => {
        const changes = currentChanges()
        return Stream.flatMap(Stream.fromIterable(arraysOf(changes)), (array) =>
          locationsOf(context, changes, array, distinct)
        )
      }),
    count: (tally) =>
      Effect.suspend(() => {
        const changes = currentChanges()
        return Effect.forEach(arraysOf(changes), (array) => countRefs(context, changes, array, tally), {
          discard: true
        })
      })
  })
