/**
 * Where the chunks of an HDF5 array are, read from its index as they are asked for.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Chunks, Skipped } from "../../Dataset.ts"
import { type DamagedFile, type ImportError, WrongFormat } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Pieces from "../Pieces.ts"
import * as BTree1 from "./BTree1.ts"
import * as BTree2Chunks from "./BTree2Chunks.ts"
import type { Context, Next } from "./ChunkIndices.ts"
import * as ExtensibleArray from "./ExtensibleArray.ts"
import * as Filters from "./Filters.ts"
import * as FixedArray from "./FixedArray.ts"
import * as Grid from "./Grid.ts"
import type { ArrayLayout, Layout } from "./Layout.ts"
import * as Reencode from "./Reencode.ts"

/** How chunks are found. */
export interface Options {
  /** Filters that are known beside the usual ones, or otherwise. */
  readonly filters?: Filters.Table | undefined
  /** The filter mask that the array's codecs follow (default 0: all filters), see `commonMask`. */
  readonly mask?: number | undefined
  /**
   * What becomes of chunks that were written with other filters than the array's, such as those that compression did not make
   * smaller, or unfiltered ones at the edges: `decode`, the default, reads them when their turn comes and gives their bytes as the
   * array's codecs have them; `skip` leaves them missing, and reports how many.
   */
  readonly maskedChunks?: "decode" | "skip" | undefined
  /** Bytes of a chunk of an array in one piece, at most, where its shape can be divided so (default 64 MiB). */
  readonly maxChunkBytes?: number | undefined
}

/** What is reported of an array; the caller knows its path. */
export type Report = Omit<Skipped, "location" | "path">

type Chunked = Extract<Layout, { readonly _tag: "Chunked" }>

const mebibyte = 1024 * 1024

/** Chunks with other filters that are read and decoded at the same time. */
const decodedTogether = 8

const isEmpty = ({ shape }: ArrayLayout): boolean => shape.includes(0)

/** The chunk shape in Zarr. Arrays in one piece are one chunk, or several where they are large. */
export const chunkShape = ({ elementSize, layout, shape }: ArrayLayout, options: Options = {}): ReadonlyArray<number> =>
  layout._tag === "Chunked"
    ? layout.chunkShape
    : layout._tag === "Compact"
      ? shape.map((length) => Math.max(1, length))
      : Pieces.chunkShape(shape, elementSize, options.maxChunkBytes ?? 64 * mebibyte)

const implicit = ({ grid, rows, source }: Context, address: number): Next => {
  const { chunkBytes, counts, maxCounts, rank } = grid
  const position = counts.map(() => 0)
  let isDone = counts.includes(0)
  const steps = maxCounts.map((_, axis) => maxCounts.slice(axis + 1).reduce((a, b) => a * b, chunkBytes))
  return Effect.suspend((): Next => {
    for (let i = 0; i < Pieces.batchRows && !isDone; i++) {
      let at = address
      for (let axis = 0; axis < rank; axis++) {
        rows.position[axis] = position[axis]!
        at += position[axis]! * steps[axis]!
      }
      const wrong = rows.add(at, chunkBytes, 0)
      if (wrong !== undefined) return Effect.fail(source.damaged(wrong.offset, wrong.problem))
      let axis = rank - 1
      for (; axis >= 0; axis--) {
        position[axis] = position[axis]! + 1
        if (position[axis]! < counts[axis]!) break
        position[axis] = 0
      }
      isDone = axis < 0
    }
    return Effect.succeed(!isDone)
  })
}

const nothing: Next = Effect.succeed(false)

const indexOf = (context: Context, { index }: Chunked): Next => {
  if (index.address === undefined) return nothing
  switch (index._tag) {
    case "BTree1":
      return BTree1.read(context, index.address)
    case "BTree2":
      return BTree2Chunks.read(context, index.address)
    case "ExtensibleArray":
      return ExtensibleArray.read(context, index.address)
    case "FixedArray":
      return FixedArray.read(context, index.address)
    case "Implicit":
      return implicit(context, index.address)
    case "Single":
      return Effect.suspend((): Next => {
        const { grid, rows, source } = context
        rows.position.fill(0)
        const wrong = rows.add(index.address!, index.size ?? grid.chunkBytes, index.mask)
        return wrong === undefined ? nothing : Effect.fail(source.damaged(wrong.offset, wrong.problem))
      })
  }
}

const contextOf = (
  source: ByteSource,
  array: ArrayLayout,
  layout: Chunked,
  plan: Filters.Plan,
  mask: number
): Context | DamagedFile => {
  const grid = Grid.make(array, layout)
  if (typeof grid === "string") return source.damaged(layout.index.address, grid)
  return { source, sizes: array.sizes, grid, rows: new Grid.Rows(grid, source, plan, mask) }
}

/** An array in one piece. */
const piece = (
  source: ByteSource,
  array: ArrayLayout,
  at: number | undefined,
  size: number,
  options: Options
): Stream.Stream<Chunks, ImportError> => {
  const { elementSize, shape } = array
  if (at === undefined) return Stream.empty
  const bytes = shape.reduce((a, b) => a * b, elementSize)
  if (size > 0 && size < bytes) {
    return Stream.fail(source.damaged(at, `an array of ${bytes} bytes is expected there, and has ${size}`))
  }
  if (!(bytes >= 1) || at + bytes > source.size) {
    return Stream.fail(
      source.damaged(at, `an array of ${bytes} bytes is expected there, and the file ends at ${source.size}`)
    )
  }
  const chunk = chunkShape(array, options)
  const length = chunk.reduce((a, b) => a * b, elementSize)
  return Pieces.grid(source, shape, chunk, { length, offsetOf: (number) => at + number * length })
}

/** A chunk with other filters, as the array's codecs have it. */
const decoded = (
  { grid, source }: Context,
  plan: Filters.Plan,
  mask: number,
  { address, index, length, mask: own }: Grid.Odd
): Effect.Effect<Chunks, ImportError> =>
  Effect.gen(function* () {
    const stored = yield* source.read(address, length)
    const bytes = yield* Reencode.chunk(stored, plan, { chunk: own, array: mask }, grid.chunkBytes).pipe(
      Effect.mapError(
        (problem) =>
          new WrongFormat({
            location: source.location,
            expected: "HDF5",
            problem: `the chunk ${index.join("/")} at byte ${address} has other filters than its array, and ${problem}. Leave such chunks out by \`maskedChunks: "skip"\`, or write the file again`
          })
      )
    )
    return { _tag: "Bytes", index, bytes }
  })

const chunked = (
  source: ByteSource,
  array: ArrayLayout,
  layout: Chunked,
  onSkipped: (report: Report) => void,
  options: Options
): Stream.Stream<Chunks, ImportError> =>
  Stream.suspend((): Stream.Stream<Chunks, ImportError> => {
    const { mask = 0, maskedChunks = "decode" } = options
    const parsed = Filters.plan(array.filters, array, options.filters, mask)
    if (Result.isFailure(parsed)) {
      onSkipped({ kind: "array", ...parsed.failure })
      return Stream.empty
    }
    const plan = parsed.success
    const context = contextOf(source, array, layout, plan, mask)
    if ("_tag" in context) return Stream.fail(context)
    const next = indexOf(context, layout)
    let skipped = 0
    const part = Effect.map(next, (more) => {
      const found = context.rows.take(!more)
      if (maskedChunks === "decode") return [found, more ? Option.some(undefined) : Option.none()] as const
      const kept = found.filter(({ _tag }) => _tag !== "Odd")
      skipped += found.length - kept.length
      if (!more && skipped > 0) {
        onSkipped({
          kind: "chunk",
          reason: "filter",
          problem: `${skipped} chunks have other filters than their array, and are left out as if they were missing`
        })
      }
      return [kept, more ? Option.some(undefined) : Option.none()] as const
    })
    return Stream.paginate(undefined, () => part).pipe(
      Stream.mapEffect((one) => (one._tag === "Odd" ? decoded(context, plan, mask, one) : Effect.succeed(one)), {
        concurrency: decodedTogether
      })
    )
  })

/**
 * The chunks of an array. `onSkipped` is told what cannot be had of it, as the chunks are taken.
 *
 * A chunk that lies outside of the file, an index that leads in circles, names more chunks than there are or has another checksum
 * than its bytes: `DamagedFile`. Chunks that are not allocated do not come.
 */
export const make = (
  source: ByteSource,
  array: ArrayLayout,
  onSkipped: (report: Report) => void,
  options: Options = {}
): Stream.Stream<Chunks, ImportError> => {
  const { layout } = array
  if (isEmpty(array)) return Stream.empty
  return layout._tag === "Chunked"
    ? chunked(source, array, layout, onSkipped, options)
    : Stream.suspend(() => piece(source, array, layout.address, layout.size, options))
}

/**
 * The filter mask that most chunks of an array have, as far as the first part of its index says: 0 where all filters were applied.
 * What a writer's compression did not make smaller it stores without, often all chunks alike: codecs of this mask then make refs of
 * chunks that had to be copied otherwise.
 *
 * A filter without a codec is left out only where no chunk of the whole index went through it.
 */
export const commonMask: (
  source: ByteSource,
  array: ArrayLayout,
  table?: Filters.Table
) => Effect.Effect<number, ImportError> = Effect.fnUntraced(function* (
  source: ByteSource,
  array: ArrayLayout,
  table?: Filters.Table
) {
  const { filters, layout } = array
  if (layout._tag !== "Chunked" || filters.length === 0 || isEmpty(array)) return 0
  const parsed = Filters.plan(filters, array, {}, 0xffff_ffff)
  if (Result.isFailure(parsed)) return 0
  const plan = parsed.success
  const context = contextOf(source, array, layout, plan, 0)
  if ("_tag" in context) return yield* context
  const next = indexOf(context, layout)
  const counts = new Map<number, number>([[0, 0]])
  const count = (found: ReadonlyArray<Chunks | Grid.Odd>): void => {
    for (const one of found) {
      if (one._tag === "Bytes") continue
      const mask = one._tag === "Odd" ? (one.mask & plan.bits) >>> 0 : 0
      counts.set(mask, (counts.get(mask) ?? 0) + (one._tag === "Refs" ? one.refs.offsets.length : 1))
    }
  }
  let more = true
  for (let found: ReadonlyArray<Chunks | Grid.Odd> = []; more && found.length === 0; count(found)) {
    more = yield* next
    found = context.rows.take(true)
  }
  const [common] = [...counts].reduce((best, one) => (one[1] > best[1] ? one : best))
  const lacking = (common & Filters.lacking(filters, array, table)) >>> 0
  if (lacking === 0) return common
  const isLeftOut = () => [...counts].every(([mask, chunks]) => chunks === 0 || (mask & lacking) >>> 0 === lacking)
  while (more && isLeftOut()) {
    more = yield* next
    count(context.rows.take(true))
  }
  return isLeftOut() ? common : 0
})
