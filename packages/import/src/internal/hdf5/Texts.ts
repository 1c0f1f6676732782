/**
 * Texts of an array, decoded: those of any length lie in heaps, and no Zarr reader finds them there.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Chunks } from "../../Dataset.ts"
import { type ImportError, WrongFormat } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Values from "../Values.ts"
import { fixedText, globalId } from "./Attributes.ts"
import * as ChunkStream from "./ChunkStream.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Datatype } from "./Datatype.ts"
import * as Filters from "./Filters.ts"
import type { GlobalHeaps } from "./Heaps.ts"
import type { ArrayLayout } from "./Layout.ts"
import * as Reencode from "./Reencode.ts"

/** A chunk's bytes without its filters, and where it is in the grid. */
interface Plain {
  readonly index: ReadonlyArray<number>
  readonly bytes: Uint8Array
  readonly at: number
}

/** A chunk in the file, or its bytes. */
interface Placed {
  readonly index: ReadonlyArray<number>
  readonly offset: number
  readonly length: number
  readonly bytes: Uint8Array | undefined
}

/** Chunks that are decoded at once. */
const concurrency = 16

/** An array of texts, and how its chunks are decoded. */
export interface Decoded {
  readonly array: ArrayLayout
  readonly type: Extract<Datatype, { readonly _tag: "Text" | "VariableText" }>
  readonly plan: Filters.Plan
}

/** How the texts of an array are decoded, or nothing where its filters cannot be undone here. */
export const decoded = (array: ArrayLayout, type: Decoded["type"]): Decoded | undefined => {
  const plan = Filters.plan(array.filters, array)
  return Result.isSuccess(plan) && Reencode.isDecodable(plan.success) ? { array, type, plan: plan.success } : undefined
}

const plain = (source: ByteSource, { array, plan, type }: Decoded): Stream.Stream<Plain, ImportError> => {
  const chunkBytes = ChunkStream.chunkShape(array).reduce((a, b) => a * b, type.size)
  const rank = array.shape.length
  const undone = (bytes: Uint8Array, at: number, index: ReadonlyArray<number>) =>
    Reencode.chunk(bytes, plan, { chunk: 0, array: 0xffff_ffff }, chunkBytes).pipe(
      Effect.mapBoth({
        onSuccess: (bytes): Plain => ({ bytes, index, at }),
        onFailure: (problem) =>
          new WrongFormat({
            location: source.location,
            expected: "HDF5",
            problem: `the texts at byte ${at} could not be decoded: ${problem}. Write the file again with other filters`
          })
      })
    )
  const placed = (chunks: Chunks): ReadonlyArray<Placed> =>
    chunks._tag === "Bytes"
      ? [{ index: chunks.index, offset: 0, length: 0, bytes: chunks.bytes }]
      : Array.from(chunks.refs.offsets, (offset, row) => ({
          index: [...chunks.refs.indices.subarray(row * rank, (row + 1) * rank)],
          offset,
          length: chunks.refs.lengths[row]!,
          bytes: undefined
        }))
  return ChunkStream.make(source, array, () => undefined, { maskedChunks: "decode" }).pipe(
    Stream.flatMap((chunks) => Stream.fromIterable(placed(chunks))),
    Stream.mapEffect(
      ({ bytes, index, length, offset }) =>
        Effect.flatMap(bytes === undefined ? source.read(offset, length) : Effect.succeed(bytes), (found) =>
          undone(found, offset, index)
        ),
      { concurrency }
    )
  )
}

/** Where each text of any length in a chunk is, and its bytes. Throws as parsers do. */
const idsOf = (
  { array: { sizes }, type }: Decoded,
  { at, bytes }: Plain
): ReadonlyArray<ReturnType<typeof globalId>> => {
  const cursor = new Cursor(bytes, at, sizes)
  return Array.from({ length: Math.floor(bytes.length / type.size) }, () => {
    const from = cursor.at
    const id = globalId(cursor)
    cursor.skip(Math.max(0, from + type.size - cursor.at))
    return id
  })
}

/**
 * Bytes that the texts of an array have together, as far as `most`; or why they cannot be had. Reads the chunks of the array, and of
 * texts of any length nothing but where they are.
 */
export const weigh = (
  source: ByteSource,
  one: Decoded,
  most: number
): Effect.Effect<number | { readonly problem: string }, ImportError> =>
  plain(source, one).pipe(
    Stream.mapEffect((part) =>
      parsing(source, () =>
        one.type._tag === "Text"
          ? part.bytes.length
          : idsOf(one, part).reduce((sum, { id, length }) => sum + (id === undefined ? 0 : length), 0)
      )
    ),
    Stream.scan(
      () => 0,
      (sum: number, bytes) => sum + bytes
    ),
    Stream.takeUntil((sum) => sum > most),
    Stream.runFold(
      () => 0,
      (_: number, sum) => sum
    ),
    Effect.catchTag("WrongFormat", ({ problem }) => Effect.succeed({ problem }))
  )

/** The texts of one chunk. */
const textsOf = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: GlobalHeaps,
  one: Decoded,
  part: Plain
): Effect.fn.Return<ReadonlyArray<string>, ImportError> {
  const { type } = one
  const { at, bytes } = part
  const count = Math.floor(bytes.length / type.size)
  if (type._tag === "Text") {
    return Array.from({ length: count }, (_, i) =>
      fixedText(bytes.subarray(i * type.size, (i + 1) * type.size), type.isSpacePadded)
    )
  }
  const ids = yield* parsing(source, () => idsOf(one, part))
  const heap = yield* heaps.load(ids.flatMap(({ id }) => (id === undefined ? [] : [id])))
  return yield* parsing(source, () =>
    ids.map(({ id }) => {
      if (id === undefined) return ""
      const found = heap(id)
      return found === undefined
        ? new Cursor(bytes, at, one.array.sizes).fail(`the heap at byte ${id.address} has no object ${id.index}`)
        : Values.text(found)
    })
  )
})

/** All texts of an array, as one chunk of the codec `vlen-utf8`. */
export const chunk = (source: ByteSource, heaps: GlobalHeaps, one: Decoded): Stream.Stream<Chunks, ImportError> => {
  const { array } = one
  const { shape } = array
  if (shape.includes(0)) return Stream.empty
  const chunkShape = ChunkStream.chunkShape(array)
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1))
  const all: Array<string> = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => "")
  const place = (index: ReadonlyArray<number>, texts: ReadonlyArray<string>): void => {
    for (const [i, text] of texts.entries()) {
      let rest = i
      let at = 0
      let isInside = true
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const position = index[axis]! * chunkShape[axis]! + (rest % chunkShape[axis]!)
        rest = Math.floor(rest / chunkShape[axis]!)
        if (position >= shape[axis]!) isInside = false
        at += position * strides[axis]!
      }
      if (isInside && rest === 0) all[at] = text
    }
  }
  return Stream.fromEffect(
    Effect.gen(function* () {
      yield* plain(source, one).pipe(
        Stream.runForEach((part) => Effect.map(textsOf(source, heaps, one, part), (texts) => place(part.index, texts)))
      )
      return { _tag: "Bytes", index: shape.map(() => 0), bytes: Values.encodeTexts(all) } as const
    })
  )
}
