/**
 * Messages of object headers that describe an array: its shape, fill value, layout and filters; and links. Pure. Source: HDF5 File
 * Format Specification 3.0, IV.A.2.
 *
 * @since 0.1.0
 */
import { text } from "../Values.ts"
import { Cursor, type Sizes } from "./Cursor.ts"

export interface Dataspace {
  /** `undefined` when there are no elements at all. */
  readonly shape: ReadonlyArray<number> | undefined
  /** Infinity where it may grow without a limit. */
  readonly maxShape: ReadonlyArray<number>
}

export type ChunkIndex =
  | { readonly _tag: "BTree1" }
  | { readonly _tag: "Single"; readonly size: number | undefined; readonly mask: number }
  | { readonly _tag: "Implicit" }
  | { readonly _tag: "FixedArray" }
  | { readonly _tag: "ExtensibleArray" }
  | { readonly _tag: "BTree2" }

/** Where the elements of an array are. Nothing is where an address is `undefined`. */
export type Layout =
  | { readonly _tag: "Compact"; readonly address: number; readonly size: number }
  | { readonly _tag: "Contiguous"; readonly address: number | undefined; readonly size: number }
  | {
      readonly _tag: "Chunked"
      readonly address: number | undefined
      /** In elements. */
      readonly chunkShape: ReadonlyArray<number>
      readonly index: ChunkIndex
      /** Chunks that reach beyond the array are not filtered. */
      readonly edgesUnfiltered: boolean
    }
  | { readonly _tag: "Virtual" }

export interface Filter {
  readonly id: number
  readonly values: ReadonlyArray<number>
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

const chunkLengths = (cursor: Cursor, rank: number, size: number): ReadonlyArray<number> => {
  if (rank < 1) cursor.fail("a chunk has no dimensions")
  // The last one is the size of an element.
  const all = Array.from({ length: rank }, () => cursor.uint(size))
  const at = all.findIndex((length) => !(length >= 1 && length <= 0xffff_ffff))
  return at < 0 ? all.slice(0, -1) : cursor.fail(`a chunk has ${all[at]} elements along dimension ${at}`)
}

const indexOf = (cursor: Cursor, flags: number): ChunkIndex => {
  const at = cursor.at
  switch (cursor.u8()) {
    case 1:
      return (flags & 2) === 0
        ? { _tag: "Single", size: undefined, mask: 0 }
        : { _tag: "Single", size: cursor.length(), mask: cursor.u32() }
    case 2:
      return { _tag: "Implicit" }
    case 3:
      cursor.skip(1)
      return { _tag: "FixedArray" }
    case 4:
      cursor.skip(5)
      return { _tag: "ExtensibleArray" }
    case 5:
      cursor.skip(6)
      return { _tag: "BTree2" }
    default:
      return cursor.fail("the index of the chunks is of no known type", at)
  }
}

/** Versions 1 and 2, whose dimensions come after the class. */
const oldLayout = (cursor: Cursor): Layout => {
  const rank = rankOf(cursor, maxRank + 1)
  const at = cursor.at
  const kind = cursor.u8()
  cursor.skip(5)
  const address = kind === 0 ? undefined : cursor.address()
  if (kind === 2) {
    const chunkShape = chunkLengths(cursor, rank, 4)
    return { _tag: "Chunked", address, chunkShape, index: { _tag: "BTree1" }, edgesUnfiltered: false }
  }
  const sizes = Array.from({ length: rank }, () => cursor.u32())
  if (kind === 1) return { _tag: "Contiguous", address, size: sizes.reduce((a, b) => a * b, 1) }
  if (kind !== 0) cursor.fail(`there is no layout ${kind}`, at)
  const size = cursor.u32()
  return { _tag: "Compact", address: cursor.start + cursor.skip(size), size }
}

export const layout = (cursor: Cursor): Layout => {
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
  if (kind !== 2) return cursor.fail(`there is no layout ${kind}`, at)
  if (version === 3) {
    const rank = rankOf(cursor, maxRank + 1)
    const address = cursor.address()
    const chunkShape = chunkLengths(cursor, rank, 4)
    return { _tag: "Chunked", address, chunkShape, index: { _tag: "BTree1" }, edgesUnfiltered: false }
  }
  const flags = cursor.u8()
  const rank = rankOf(cursor, maxRank + 1)
  const sizeAt = cursor.at
  const size = cursor.u8()
  if (size < 1 || size > 8) cursor.fail(`lengths of chunks have ${size} bytes`, sizeAt)
  const chunkShape = chunkLengths(cursor, rank, size)
  const index = indexOf(cursor, flags)
  return { _tag: "Chunked", address: cursor.address(), chunkShape, index, edgesUnfiltered: (flags & 1) !== 0 }
}

export const filters = (cursor: Cursor): ReadonlyArray<Filter> => {
  const version = cursor.version("a list of filters", 1, 2)
  const count = cursor.u8()
  if (count > 32) cursor.fail(`there are ${count} filters`)
  if (version === 1) cursor.skip(6)
  return Array.from({ length: count }, () => {
    const id = cursor.u16()
    const nameLength = version === 1 || id >= 256 ? cursor.u16() : 0
    cursor.skip(2)
    const values = cursor.u16()
    cursor.skip(version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength)
    const filter = { id, values: Array.from({ length: values }, () => cursor.u32()) }
    if (version === 1 && values % 2 === 1) cursor.skip(4)
    return filter
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
export type Shared = { readonly _tag: "Object"; readonly address: number } | { readonly _tag: "Heap" }

export const shared = (bytes: Uint8Array, at: number, sizes: Sizes): Shared => {
  const cursor = new Cursor(bytes, at, sizes)
  const version = cursor.version("a shared message", 1, 2, 3)
  const type = cursor.u8()
  if (version === 3 && type === 1) return { _tag: "Heap" }
  if (version === 1) cursor.skip(6)
  return { _tag: "Object", address: cursor.place("a shared message") }
}
