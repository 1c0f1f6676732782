/**
 * Messages that several objects share: types that are objects of their own, and those that the file keeps once in a heap. Source: HDF5
 * File Format Specification 3.0, III.I, IV.A.2.d to p and "Shared Message".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import * as FractalHeap from "./FractalHeap.ts"
import type { Sizes } from "./Layout.ts"
import * as Messages from "./Messages.ts"
import * as ObjectHeader from "./ObjectHeader.ts"
import { type Message, Type } from "./ObjectHeader.ts"

/** The heap in which messages of a type are kept, by the type. */
export type Table = ReadonlyMap<number, number>

/** Kinds of messages that may be kept in heaps; a file has an index for each at most. */
const kinds = [Type.dataspace, Type.datatype, Type.fill, Type.filters, Type.attribute] as const

/** The table of shared messages that a superblock's extension leads to. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  extension: number | undefined
): Effect.fn.Return<Table, ImportError> {
  const heaps = new Map<number, number>()
  if (extension === undefined) return heaps
  const [messages] = yield* ObjectHeader.readMany(source, sizes, [extension])
  const message = messages?.find(({ type }) => type === Type.sharedTable)
  if (message === undefined) return heaps
  const { count, start } = yield* parsing(source, () => {
    const cursor = new Cursor(message.bytes, message.at, sizes)
    cursor.version("the place of shared messages", 0)
    const start = cursor.place("the table of shared messages")
    const at = cursor.at
    const count = cursor.u8()
    return count <= 8 ? { start, count } : cursor.fail(`there are ${count} tables of shared messages`, at)
  })
  const bytes = yield* source.read(start, 4 + count * (14 + 2 * sizes.offsetSize) + 4)
  yield* parsing(source, () => {
    const cursor = new Cursor(bytes, start, sizes)
    cursor.signature("SMTB")
    for (let i = 0; i < count; i++) {
      cursor.version("a table of shared messages", 0)
      cursor.skip(1)
      const flags = cursor.u16()
      cursor.skip(4 + 2 + 2 + 2)
      cursor.address()
      const heap = cursor.address()
      if (heap !== undefined) for (const kind of kinds) if ((flags & (1 << kind)) !== 0) heaps.set(kind, heap)
    }
    cursor.checksum()
  })
  return heaps
})

/** Something that is a message, or says where it is. */
export interface Part {
  readonly type: number
  readonly isShared: boolean
  readonly bytes: Uint8Array
  readonly at: number
}

/** Messages by their ids in the heap of their type. */
export const inHeap = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  table: Table,
  type: number,
  ids: ReadonlyArray<{ readonly bytes: Uint8Array; readonly at: number }>
): Effect.fn.Return<ReadonlyArray<Cursor | undefined>, ImportError> {
  const heap = table.get(type === Type.oldFill ? Type.fill : type)
  return heap === undefined || ids.length === 0
    ? ids.map(() => undefined)
    : yield* FractalHeap.read(source, sizes, heap, ids)
})

/**
 * The same parts, with those that are kept elsewhere in place of what leads there. What leads to nothing that is read stays as it is.
 */
export const resolve = Effect.fnUntraced(function* <A extends Part>(
  source: ByteSource,
  sizes: Sizes,
  table: Table,
  parts: ReadonlyArray<A>
): Effect.fn.Return<ReadonlyArray<A>, ImportError> {
  if (!parts.some(({ isShared }) => isShared)) return parts
  const places = yield* parsing(source, () =>
    parts.map(({ at, bytes, isShared }) => (isShared ? Messages.shared(bytes, at, sizes) : undefined))
  )
  const found = new Map<number, Pick<Message, "bytes" | "at">>()
  for (const type of new Set(parts.map((part) => part.type))) {
    const wanted = places.flatMap((place, i) =>
      place?._tag === "Heap" && parts[i]!.type === type ? [{ i, bytes: place.id, at: place.at }] : []
    )
    const messages = yield* inHeap(source, sizes, table, type, wanted)
    for (const [n, { i }] of wanted.entries()) {
      const message = messages[n]
      if (message !== undefined) found.set(i, { bytes: message.bytes, at: message.start })
    }
  }
  const addresses = [...new Set(places.flatMap((place) => (place?._tag === "Object" ? [place.address] : [])))]
  if (addresses.length > 0) {
    const headers = yield* ObjectHeader.readMany(source, sizes, addresses)
    const byAddress = new Map(addresses.map((address, i) => [address, headers[i]!]))
    for (const [i, place] of places.entries()) {
      if (place?._tag !== "Object") continue
      const message = byAddress.get(place.address)!.find((one) => one.type === parts[i]!.type && !one.isShared)
      if (message !== undefined) found.set(i, message)
    }
  }
  return parts.map((part, i) => {
    const message = found.get(i)
    return message === undefined ? part : { ...part, isShared: false, bytes: message.bytes, at: message.at }
  })
})
