/**
 * Object headers: the messages of groups and data sets. Source: HDF5 File Format Specification 3.0, IV.A.1.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import { Cursor, parsing } from "./Cursor.ts"
import type { Sizes } from "./Layout.ts"

/** Types of messages. */
export const Type = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  externalFiles: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  sharedTable: 0x0f,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15
} as const

export interface Message {
  readonly type: number
  readonly isShared: boolean
  readonly bytes: Uint8Array
  /** Where the bytes are in the file. */
  readonly at: number
}

/** Part of a header that is elsewhere. */
interface Block {
  readonly start: number
  readonly length: number
}

/** What is known of a header so far. */
interface Partial {
  readonly messages: Array<Message>
  readonly pending: Array<Block>
  version: 1 | 2
  hasOrder: boolean
  blocks: number
}

/** Bytes of a header that are read at first. */
const firstRead = 512
/** Blocks of a header, at most: each is pointed to by a message of another. */
const maxBlocks = 4096

const messagesV1 = (cursor: Cursor, header: Partial): void => {
  while (cursor.left >= 8) {
    const type = cursor.u16()
    const size = cursor.u16()
    const flags = cursor.u8()
    cursor.skip(3)
    push(cursor, header, { type, flags, size })
  }
}

const messagesV2 = (cursor: Cursor, header: Partial): void => {
  const prefix = header.hasOrder ? 6 : 4
  while (cursor.left >= prefix) {
    const type = cursor.u8()
    const size = cursor.u16()
    const flags = cursor.u8()
    if (header.hasOrder) cursor.skip(2)
    push(cursor, header, { type, flags, size })
  }
}

const push = (
  cursor: Cursor,
  header: Partial,
  { flags, size, type }: { readonly type: number; readonly flags: number; readonly size: number }
): void => {
  const at = cursor.start + cursor.at
  const bytes = cursor.take(size)
  if (type !== Type.continuation) {
    header.messages.push({ type, isShared: (flags & 2) !== 0, bytes, at })
    return
  }
  const block = new Cursor(bytes, at, cursor.sizes)
  header.pending.push({ start: block.place("a continuation"), length: block.length() })
}

/** How many bytes the first block has, its prefix included. */
const firstSize = (bytes: Uint8Array, start: number, sizes: Sizes): number => {
  const cursor = new Cursor(bytes, start, sizes)
  if (cursor.bytes[0] === 1) {
    cursor.skip(8)
    return 16 + cursor.u32()
  }
  cursor.signature("OHDR")
  cursor.version("an object header", 2)
  const flags = cursor.u8()
  cursor.skip((flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0))
  const size = cursor.uint(1 << (flags & 3))
  return cursor.at + size + 4
}

const first = (bytes: Uint8Array, start: number, sizes: Sizes): Partial => {
  const header: Partial = { messages: [], pending: [], version: 1, hasOrder: false, blocks: 1 }
  const cursor = new Cursor(bytes, start, sizes)
  if (bytes[0] === 1) {
    cursor.skip(16)
    messagesV1(cursor, header)
    return header
  }
  header.version = 2
  const flags = bytes[5]!
  header.hasOrder = (flags & 4) !== 0
  cursor.skip(6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0) + (1 << (flags & 3)))
  const inside = new Cursor(bytes.subarray(0, bytes.length - 4), start, sizes)
  inside.at = cursor.at
  messagesV2(inside, header)
  cursor.at = bytes.length - 4
  cursor.checksum()
  return header
}

const next = (bytes: Uint8Array, start: number, sizes: Sizes, header: Partial): void => {
  const cursor = new Cursor(bytes, start, sizes)
  if (++header.blocks > maxBlocks) cursor.fail("an object header goes on and on")
  if (header.version === 1) return messagesV1(cursor, header)
  cursor.signature("OCHK")
  const inside = new Cursor(bytes.subarray(0, Math.max(4, bytes.length - 4)), start, sizes)
  inside.at = 4
  messagesV2(inside, header)
  cursor.at = Math.max(4, bytes.length - 4)
  cursor.checksum()
}

/** The messages of many objects: their first blocks together, then what those continue in. */
export const readMany = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  addresses: ReadonlyArray<number>
): Effect.fn.Return<ReadonlyArray<ReadonlyArray<Message>>, ImportError> {
  const spans = addresses.map((start) => ({
    start,
    end: Math.max(start + 16, Math.min(start + firstRead, source.size))
  }))
  const beginnings = yield* source.readMany(spans)
  const wanted = yield* parsing(source, () =>
    beginnings.map((bytes, i) => {
      const start = addresses[i]!
      const end = start + firstSize(bytes, start, sizes)
      if (end > source.size)
        new Cursor(bytes, start, sizes).fail(`an object header ends at ${end}, the file at ${source.size}`)
      return { start, end }
    })
  )
  const blocks = yield* source.readMany(wanted)
  const headers = yield* parsing(source, () => blocks.map((bytes, i) => first(bytes, addresses[i]!, sizes)))
  for (;;) {
    const pending = headers.flatMap((header) =>
      header.pending.splice(0).map(({ length, start }) => ({ header, length, start }))
    )
    if (pending.length === 0) break
    const more = yield* source.readMany(pending.map(({ length, start }) => ({ start, end: start + length })))
    yield* parsing(source, () => {
      for (const [i, { header, start }] of pending.entries()) next(more[i]!, start, sizes, header)
    })
  }
  return headers.map(({ messages }) => messages)
})
