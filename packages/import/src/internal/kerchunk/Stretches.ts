/**
 * References in Parquet: a directory for each array, in it a file for each stretch of its chunks, in their order row by row. Source:
 * kerchunk, "References specification", "Parquet references"; fsspec, `LazyReferenceMapper`.
 *
 * @since 0.1.0
 */
import { ObjectStoreError } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Chunks } from "../../Dataset.ts"
import { DamagedFile, type ImportError, WrongFormat } from "../../ImportError.ts"
import type { SourceFile } from "../../SourceFile.ts"
import * as References from "../parquet/References.ts"
import * as Pieces from "../Pieces.ts"
import * as ChunkKeys from "../zarr/ChunkKeys.ts"
import type { ArrayNode } from "../zarr/Nodes.ts"
import { type Resolve, Rows, type Whole } from "./Rows.ts"

/** The references of an array. */
export interface Stretches {
  readonly node: ArrayNode
  /** References in a file. */
  readonly recordSize: number
  /** Its key and location end with `/`. */
  readonly directory: SourceFile
  readonly maxBytes: number
  readonly resolve: Resolve
  readonly whole: Whole
  /** Told of rows when they are complete, with what was left out. */
  readonly onRows: (rows: Rows) => void
  readonly onProblem: (key: string, problem: string) => void
}

/** Files that are asked for one by one where the store lists nothing. */
const maxAsked = 10_000

/** Rows of files that are held at the same time, about: 20 bytes each. */
const rowsAtOnce = 1_000_000

/** Which files there are. One is asked for; of more a listing says which, for those of missing chunks are not written. */
const numbers = (
  { directory: { key, location, store } }: Stretches,
  count: number
): Effect.Effect<ReadonlyArray<number>, ImportError> => {
  if (count <= 1) return Effect.succeed([0])
  return Stream.suspend(() => store.list(key)).pipe(
    Stream.map((object) => /^refs\.(0|[1-9]\d{0,15})\.parq$/.exec(object.key.slice(key.length))?.[1]),
    Stream.filter((number) => number !== undefined && Number(number) < count),
    Stream.runCollect,
    Effect.map((found) => [...new Set(found.map(Number))].toSorted((a, b) => a - b)),
    Effect.catchIf(ObjectStoreError.hasReason("Unsupported"), () =>
      count <= maxAsked
        ? Effect.succeed(Array.from({ length: count }, (_, i) => i))
        : Effect.fail(
            new WrongFormat({
              location,
              expected: "kerchunk",
              problem: `its references may be in ${count} files, and its store does not list which of them there are`
            })
          )
    )
  )
}

/** The rows of a table from `from` to before `to`, of which row 0 is the chunk with the number `first`. */
const rowsOf = (
  { node, resolve }: Stretches,
  grid: ReadonlyArray<number>,
  table: References.Table,
  range: { readonly first: number; readonly from: number; readonly to: number }
): Rows => {
  const { offsets, pathIds, paths, raw, sizes } = table
  const rows = new Rows(grid.length, resolve)
  const index = new Uint32Array(Math.max(1, grid.length))
  const prefix = node.path === "/" ? "" : `${node.path.slice(1)}/`
  const key = () => `${prefix}${ChunkKeys.format(node.keys, [...index.subarray(0, grid.length)])}`
  for (let row = range.from; row < range.to; row++) {
    const bytes = raw.size === 0 ? undefined : raw.get(row)
    const path = pathIds[row]!
    if (bytes === undefined && path === 0) continue
    Pieces.place(range.first + row, grid, index)
    if (bytes !== undefined) rows.bytes(key, index, bytes)
    else if (offsets[row] === 0 && sizes[row] === 0) rows.ref(key, index, paths[path - 1]!, 0, 0)
    else rows.range(key, index, paths[path - 1]!, offsets[row], sizes[row])
  }
  return rows
}

/** The chunks of an array: a file is read when it is its turn, with one request. One that is not there has missing chunks only. */
export const chunks = (stretches: Stretches): Stream.Stream<Chunks, ImportError> => {
  const { directory, maxBytes, node, onProblem, onRows, recordSize, whole } = stretches
  const grid = Pieces.counts(node.array.shape, node.array.chunkShape)
  const total = grid.reduce((a, b) => a * b, 1)
  if (total === 0) return Stream.empty

  const file = Effect.fnUntraced(function* (number: number) {
    const name = `refs.${number}.parq`
    const location = `${directory.location}${name}`
    const bytes = yield* directory.store.get(`${directory.key}${name}`, { maxBytes }).pipe(
      Effect.map(({ bytes }) => bytes),
      Effect.catchIf(ObjectStoreError.isNotFound, () => Effect.succeed(undefined))
    )
    if (bytes === undefined) return Stream.empty
    const table = yield* References.read(location, bytes, { maxRows: recordSize, maxBytes })
    const first = number * recordSize
    const wanted = Math.min(recordSize, total - first)
    if (table.rows < wanted) {
      const problem = `it has ${table.rows} rows, where \`record_size\` and the array's grid make ${wanted}`
      return yield* new DamagedFile({ location, offset: bytes.length - 8, problem })
    }
    return Stream.flatMap(Pieces.batches(wanted), ({ from, to }) =>
      Stream.suspend(() => {
        const rows = rowsOf(stretches, grid, table, { first, from, to })
        onRows(rows)
        return rows.chunks(whole, onProblem)
      })
    )
  })

  const concurrency = Math.max(1, Math.min(4, Math.floor(rowsAtOnce / recordSize)))
  return Stream.fromIterableEffect(numbers(stretches, Math.ceil(total / recordSize))).pipe(
    Stream.mapEffect(file, { concurrency }),
    Stream.flatMap((chunks) => chunks)
  )
}
