/**
 * Messages of object headers that describe an array: its shape, fill value, layout and filters; and links. Pure. Source: HDF5 File
 * Format Specification 3.0, IV.A.2.
 *
 * @since 0.1.0
 */
import { text } from "../Values.ts"
import { Cursor } from "./Cursor.ts"
import type { ChunkIndex, Filter, Layout, Sizes } from "./Layout.ts"

export interface Dataspace {
  /** `undefined` when there are no elements at all. */
  readonly shape: ReadonlyArray<number> | undefined
  /** Infinity where it may grow without a limit. */
  readonly maxShape: ReadonlyArray<number>
}

export type Link =
  | { readonly _tag: "Hard"; readonly name: string; readonly address: number }
  | { readonly _tag: "Soft"; readonly name: string; readonly target: string }
  | { readonly _tag: "External"; readonly name: string; readonly target: string }
  | { readonly _tag: "UserDefined"; readonly name: string; readonly type: number }

const maxRank = 32

const rankOf = (cursor: Cursor, most: number): number => {
  const at = cursor.at
  const rank = cursor.u8()
  return rank <= most ? rank : cursor.fail(`there are no arrays of ${rank} dimensions`, at)
}

const lengths = (cursor: Cursor, rank: number): ReadonlyArray<number> =>
  Array.from({ length: rank }, () => {
    const at = cursor.at
    if (cursor.take(cursor.sizes.lengthSize).every((byte) => byte === 0xff)) return Number.POSITIVE_INFINITY
    cursor.at = at
    const length = cursor.length()
    return Number.isSafeInteger(length) ? length : cursor.fail(`a dimension has ${length} elements`, at)
  })

export const dataspace = (cursor: Cursor): Dataspace => {
  const version = cursor.version("a data space", 1, 2)
  const rank = rankOf(cursor, maxRank)
  const flags = cursor.u8()
  const type = cursor.u8()
  if (version === 1) cursor.skip(4)
  const at = cursor.at
  const shape = lengths(cursor, rank)
  if (shape.includes(Number.POSITIVE_INFINITY)) cursor.fail("a dimension has no length", at)
  const maxShape = (flags & 1) !== 0 ? lengths(cursor, rank) : shape
  return { shape: version === 2 && type === 2 ? undefined : shape, maxShape }
}

/** The bytes of the fill value; `undefined` for zeros. */
export const fill = (cursor: Cursor): Uint8Array | undefined => {
  const version = cursor.version("a fill value", 1, 2, 3)
  if (version === 3) {
    const flags = cursor.u8()
    if ((flags & 0x20) === 0) return undefined
  } else {
    cursor.skip(2)
    if (cursor.u8() === 0) return undefined
  }
  const size = cursor.u32()
  return size === 0 || size > 0x7fff_ffff ? undefined : cursor.take(size)
}

/** The same in an old message. */
export const oldFill = (cursor: Cursor): Uint8Array | undefined => {
  const size = cursor.u32()
  return size === 0 ? undefined : cursor.take(size)
}

/** The layout of an array, or what it is instead. */
export type Described = Layout | { readonly _tag: "Virtual" }

/** The lengths of a chunk, and the size of an element, which comes last. */
const chunkLengths = (cursor: Cursor, rank: number, size: number) => {
  if (rank < 1) cursor.fail("a chunk has no dimensions")
  const all = Array.from({ length: rank }, () => cursor.uint(size))
  const at = all.findIndex((length) => !(length >= 1 && length <= 0xffff_ffff))
  if (at >= 0) cursor.fail(`a chunk has ${all[at]} elements along dimension ${at}`)
  return { chunkShape: all.slice(0, -1), elementSize: all.at(-1)! }
}

/** An index, as far as it does not depend on the address that follows. */
const indexOf = (cursor: Cursor, flags: number): ((address: number | undefined) => ChunkIndex) => {
  const at = cursor.at
  switch (cursor.u8()) {
    case 1: {
      const [size, mask] = (flags & 2) === 0 ? [undefined, 0] : [cursor.length(), cursor.u32()]
      return (address) => ({ _tag: "Single", address, size, mask })
    }
    case 2:
      return (address) => ({ _tag: "Implicit", address })
    case 3: {
      const pageBits = cursor.u8()
      return (address) => ({ _tag: "FixedArray", address, pageBits })
    }
    case 4: {
      const fields = {
        maxBits: cursor.u8(),
        indexElements: cursor.u8(),
        minPointers: cursor.u8(),
        minElements: cursor.u8(),
        pageBits: cursor.u8()
      }
      return (address) => ({ _tag: "ExtensibleArray", address, ...fields })
    }
    case 5:
      cursor.skip(6)
      return (address) => ({ _tag: "BTree2", address })
    default:
      return cursor.unknown("the index of its chunks is of no known type", at)
  }
}

const byBTree1 = (address: number | undefined, lengths: ReturnType<typeof chunkLengths>): Layout => ({
  _tag: "Chunked",
  version: 3,
  ...lengths,
  index: { _tag: "BTree1", address },
  edgeChunksUnfiltered: false
})

/** Versions 1 and 2, whose dimensions come after the class. */
const oldLayout = (cursor: Cursor): Layout => {
  const rank = rankOf(cursor, maxRank + 1)
  const at = cursor.at
  const kind = cursor.u8()
  cursor.skip(5)
  const address = kind === 0 ? undefined : cursor.address()
  if (kind === 2) return byBTree1(address, chunkLengths(cursor, rank, 4))
  cursor.skip(4 * rank)
  // Writers disagreed whether these lengths count elements or bytes; the shape and the type say what is there.
  if (kind === 1) return { _tag: "Contiguous", address, size: 0 }
  if (kind !== 0) cursor.unknown(`the layout ${kind} is not known`, at)
  const size = cursor.u32()
  return { _tag: "Compact", address: cursor.start + cursor.skip(size), size }
}

export const layout = (cursor: Cursor): Described => {
  const version = cursor.version("a layout", 1, 2, 3, 4, 5)
  if (version < 3) return oldLayout(cursor)
  const at = cursor.at
  const kind = cursor.u8()
  if (kind === 0) {
    const size = cursor.u16()
    return { _tag: "Compact", address: cursor.start + cursor.skip(size), size }
  }
  if (kind === 1) return { _tag: "Contiguous", address: cursor.address(), size: cursor.length() }
  if (kind === 3) return { _tag: "Virtual" }
  if (kind !== 2) return cursor.unknown(`the layout ${kind} is not known`, at)
  if (version === 3) {
    const rank = rankOf(cursor, maxRank + 1)
    const address = cursor.address()
    return byBTree1(address, chunkLengths(cursor, rank, 4))
  }
  const flags = cursor.u8()
  const rank = rankOf(cursor, maxRank + 1)
  const sizeAt = cursor.at
  const size = cursor.u8()
  if (size < 1 || size > 8) cursor.fail(`lengths of chunks have ${size} bytes`, sizeAt)
  const lengths = chunkLengths(cursor, rank, size)
  const index = indexOf(cursor, flags)(cursor.address())
  return { _tag: "Chunked", version: 4, ...lengths, index, edgeChunksUnfiltered: (flags & 1) !== 0 }
}

export const filters = (cursor: Cursor): ReadonlyArray<Filter> => {
  const version = cursor.version("a list of filters", 1, 2)
  const count = cursor.u8()
  if (count > 32) cursor.fail(`there are ${count} filters`)
  if (version === 1) cursor.skip(6)
  return Array.from({ length: count }, () => {
    const id = cursor.u16()
    const nameLength = version === 1 || id >= 256 ? cursor.u16() : 0
    const flags = cursor.u16()
    const count = cursor.u16()
    const name = cursor.take(version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength)
    const values = Array.from({ length: count }, () => cursor.u32())
    if (version === 1 && count % 2 === 1) cursor.skip(4)
    return { id, name: name.length === 0 ? undefined : text(name), flags, values }
  })
}

export const link = (cursor: Cursor): Link => {
  cursor.version("a link", 1)
  const flags = cursor.u8()
  const type = (flags & 8) === 0 ? 0 : cursor.u8()
  if ((flags & 4) !== 0) cursor.skip(8)
  if ((flags & 0x10) !== 0) cursor.skip(1)
  const name = text(cursor.take(cursor.uint(1 << (flags & 3))))
  if (type === 0) return { _tag: "Hard", name, address: cursor.place(`the object \`${name}\``) }
  const value = cursor.take(cursor.u16())
  if (type === 1) return { _tag: "Soft", name, target: text(value) }
  return type === 64 ? { _tag: "External", name, target: text(value.subarray(1)) } : { _tag: "UserDefined", name, type }
}

/** What a message says that is kept elsewhere: the address of the object whose message it is, or its id in a heap. */
export type Shared =
  | { readonly _tag: "Object"; readonly address: number }
  | { readonly _tag: "Heap"; readonly id: Uint8Array; readonly at: number }

export const shared = (bytes: Uint8Array, at: number, sizes: Sizes): Shared => {
  const cursor = new Cursor(bytes, at, sizes)
  const version = cursor.version("a shared message", 1, 2, 3)
  const type = cursor.u8()
  if (version === 3 && type === 1) {
    const id = cursor.take(8)
    return { _tag: "Heap", id, at: at + cursor.at - 8 }
  }
  if (version === 1) cursor.skip(6)
  return { _tag: "Object", address: cursor.place("a shared message") }
}
