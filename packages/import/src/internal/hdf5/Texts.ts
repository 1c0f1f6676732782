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
import * as Attributes from "./Attributes.ts"
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

const plain = (source: ByteSource, array: ArrayLayout, chunkBytes: number): Stream.Stream<Plain, ImportError> => {
  const planned = Filters.plan(array.filters, array)
  if (Result.isFailure(planned)) return Stream.empty
  const rank = array.shape.length
  const decoded = (bytes: Uint8Array, at: number, index: ReadonlyArray<number>) =>
    Reencode.chunk(bytes, planned.success, { chunk: 0, array: 0xffff_ffff }, chunkBytes).pipe(
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
          decoded(found, offset, index)
        ),
      { concurrency }
    )
  )
}

/** The texts of one chunk. */
const textsOf = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: GlobalHeaps,
  array: ArrayLayout,
  type: Extract<Datatype, { readonly _tag: "Text" | "VariableText" }>,
  { at, bytes }: Plain
): Effect.fn.Return<ReadonlyArray<string>, ImportError> {
  const count = Math.floor(bytes.length / type.size)
  if (type._tag === "Text") {
    return Array.from({ length: count }, (_, i) =>
      Attributes.fixedText(bytes.subarray(i * type.size, (i + 1) * type.size), type.isSpacePadded)
    )
  }
  const ids = yield* parsing(source, () => {
    const cursor = new Cursor(bytes, at, array.sizes)
    return Array.from({ length: count }, () => {
      const from = cursor.at
      const { id } = Attributes.globalId(cursor)
      cursor.skip(Math.max(0, from + type.size - cursor.at))
      return id
    })
  })
  yield* heaps.load(ids.filter((id) => id !== undefined))
  return yield* parsing(source, () =>
    ids.map((id) => {
      if (id === undefined) return ""
      const found = heaps.get(id)
      return found === undefined
        ? new Cursor(bytes, at, array.sizes).fail(`the heap at byte ${id.address} has no object ${id.index}`)
        : Values.text(found)
    })
  )
})

/** All texts of an array, as one chunk of the codec `vlen-utf8`. */
export const chunk = (
  source: ByteSource,
  heaps: GlobalHeaps,
  array: ArrayLayout,
  type: Extract<Datatype, { readonly _tag: "Text" | "VariableText" }>
): Stream.Stream<Chunks, ImportError> => {
  const { shape } = array
  if (shape.includes(0)) return Stream.empty
  const chunkShape = ChunkStream.chunkShape(array)
  const chunkBytes = chunkShape.reduce((a, b) => a * b, type.size)
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
      yield* plain(source, array, chunkBytes).pipe(
        Stream.runForEach((one) =>
          Effect.map(textsOf(source, heaps, array, type, one), (texts) => place(one.index, texts))
        )
      )
      return { _tag: "Bytes", index: shape.map(() => 0), bytes: Values.encodeTexts(all) } as const
    })
  )
}
