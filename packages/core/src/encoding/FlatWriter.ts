/**
 * Writing flatbuffers from their root to their leaves, into one buffer: for payloads with millions of
 * tables, where a builder that remembers each of them is too slow. Tables of the same shape share their
 * vtable.
 *
 * Source: the FlatBuffers internals document, "Format Details".
 *
 * @since 0.1.0
 */
import { type Field, fileIdentifier } from "./FlatTable.ts"

/**
 * The shape of a table: which fields it has, and where.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  /** Bytes of the table, a multiple of 4. */
  readonly size: number
  /** Where each field is in the table, by its slot; 0 for an absent one. */
  readonly at: ReadonlyArray<number>
}

/**
 * A shape with these fields, in this order, each with its size in bytes; a table starts with 4 bytes of its
 * own. Fields of 8 bytes come first, and their table must start 4 bytes after a multiple of 8. `slots` is
 * the number of fields that the schema has.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shape = (slots: number, fields: ReadonlyArray<readonly [field: Field, size: number]>): Shape => {
  const at = new Array<number>(slots).fill(0)
  let size = 4
  for (const [{ slot }, bytes] of fields) {
    at[slot] = size
    size += bytes
  }
  return { size: (size + 3) & ~3, at }
}

const utf8 = new TextEncoder()

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

const shortText = 128

/**
 * One payload. Positions are bytes from its start; `at` is where writing goes on.
 *
 * @category models
 * @since 0.1.0
 */
export class FlatWriter {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView<ArrayBuffer>
  at = 8

  /** `room`: bytes that the payload takes at most; or where to write it, from the start of a buffer. */
  constructor(room: number | Uint8Array<ArrayBuffer>) {
    this.bytes = typeof room === "number" ? new Uint8Array(room) : room
    this.view = new DataView(this.bytes.buffer)
    for (let i = 0; i < 4; i++) this.bytes[4 + i] = fileIdentifier.charCodeAt(i)
  }

  /** The payload as words, where the machine has their bytes in the order of flatbuffers; `undefined` elsewhere. */
  get words(): Uint32Array<ArrayBuffer> | undefined {
    return isLittleEndian ? new Uint32Array(this.bytes.buffer, 0, this.bytes.length >>> 2) : undefined
  }

  /** Goes on at the next position that is `offset` bytes after a multiple of `size`. */
  align(size: number, offset = 0): void {
    while (this.at % size !== offset) this.at++
  }

  /** Writes a vtable and returns its position. */
  vtable(shape: Shape): number {
    this.align(2)
    const position = this.at
    this.view.setUint16(position, 4 + 2 * shape.at.length, true)
    this.view.setUint16(position + 2, shape.size, true)
    shape.at.forEach((offset, slot) => this.view.setUint16(position + 4 + 2 * slot, offset, true))
    this.at += 4 + 2 * shape.at.length
    return position
  }

  /** Starts a table, leaves room for its fields, and returns its position. Aligned to 4 bytes. */
  table(shape: Shape, vtable: number): number {
    this.align(4)
    const position = this.at
    this.view.setInt32(position, position - vtable, true)
    this.at += shape.size
    return position
  }

  /** Starts a vector, leaves room for `length` elements of `size` bytes, and returns its position. */
  vector(length: number, size: number): number {
    this.align(4)
    const position = this.at
    this.view.setUint32(position, length, true)
    this.at += 4 + length * size
    return position
  }

  /** A vector of bytes. */
  vectorOf(bytes: Uint8Array): number {
    const position = this.vector(bytes.length, 1)
    this.bytes.set(bytes, position + 4)
    return position
  }

  /** A text: its bytes in UTF-8, and a zero. There is room for 3 bytes for each of its units of UTF-16. */
  text(text: string): number {
    this.align(4)
    const position = this.at
    const start = position + 4
    const { bytes } = this
    let length = text.length
    // A call for each of many short texts takes longer than all of their bytes.
    if (length < shortText) {
      for (let i = 0; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) {
          length = utf8.encodeInto(text, bytes.subarray(start)).written
          break
        }
        bytes[start + i] = code
      }
    } else length = utf8.encodeInto(text, bytes.subarray(start)).written
    this.view.setUint32(position, length, true)
    bytes[start + length] = 0
    this.at = start + length + 1
    return position
  }

  /** A text that is in UTF-8 already. */
  textOf(utf8: Uint8Array): number {
    const position = this.vectorOf(utf8)
    this.bytes[this.at++] = 0
    return position
  }

  /** Writes a whole number up to 2^53 - 1 in 64 bits. */
  u64(position: number, value: number): void {
    this.view.setUint32(position, value, true)
    this.view.setUint32(position + 4, value / 0x1_0000_0000, true)
  }

  /** Makes the field or element at `position` refer to `target`, which lies behind it. */
  refer(position: number, target: number): void {
    this.view.setUint32(position, target - position, true)
  }

  /** The payload, with the table at `root` as its root. */
  finish(root: number): Uint8Array<ArrayBuffer> {
    this.view.setUint32(0, root, true)
    return this.bytes.subarray(0, this.at)
  }
}
