/**
 * Writing flatbuffers from their leaves to their root, the few shapes that Icechunk's files are made of. The buffer is
 * filled from its end to its start; what is written already is known by its offset, which counts from the end.
 *
 * Writes the bytes that the builder of the package `flatbuffers` writes, whose CommonJS modules Node would have to load before
 * any program that only reads can start.
 *
 * Source: the FlatBuffers internals document, "Format Details".
 *
 * @since 0.1.0
 */
import { type Field, fileIdentifier } from "./FlatTable.ts"

/**
 * Sets the fields of one table. Fields with their default value, zero or `undefined`, are left out.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableFields {
  readonly u8: (field: Field, value: number) => void
  readonly u16: (field: Field, value: number) => void
  readonly u32: (field: Field, value: number) => void
  readonly i32: (field: Field, value: number) => void
  /** A whole number, as a `bigint` when it is beyond 2^53 - 1. */
  readonly u64: (field: Field, value: number | bigint) => void
  /** A struct that consists of bytes. */
  readonly struct: (field: Field, bytes: Uint8Array | undefined) => void
  /** Anything that has been written already. */
  readonly offset: (field: Field, offset: number | undefined) => void
}

const encoder = new TextEncoder()

/** Offsets are numbers of 32 bits, with a sign where a table refers to its vtable. */
const maxBytes = 0x7fff_ffff

/**
 * Writes one payload.
 *
 * @category models
 * @since 0.1.0
 */
export class FlatBuilder {
  #bytes: Uint8Array
  #view: DataView
  /** Where in the buffer what is written starts. */
  #start: number
  #largestAlignment = 1
  /** Offsets of the vtables, which tables with the same fields share. */
  readonly #vtables: Array<number> = []
  /** Offsets of the fields of the table that is being written, by slot; 0 for an absent one. */
  #slots: Array<number> = []
  readonly #shared = new Map<string, number>()
  readonly #fields: TableFields = {
    u8: ({ slot }, value) => {
      if (value === 0) return
      this.#room(1)
      this.#view.setUint8((this.#start -= 1), value)
      this.#slots[slot] = this.#offset
    },
    u16: ({ slot }, value) => {
      if (value === 0) return
      this.#room(2)
      this.#put16(value)
      this.#slots[slot] = this.#offset
    },
    u32: ({ slot }, value) => this.#field32(slot, value),
    i32: ({ slot }, value) => this.#field32(slot, value),
    u64: ({ slot }, value) => {
      const exact = BigInt(value)
      if (exact === 0n) return
      this.#room(8)
      this.#view.setBigUint64((this.#start -= 8), exact, true)
      this.#slots[slot] = this.#offset
    },
    struct: ({ slot }, bytes) => {
      if (bytes === undefined) return
      this.#room(1, bytes.length)
      this.#put(bytes)
      this.#slots[slot] = this.#offset
    },
    offset: ({ slot }, offset) => {
      if (offset === undefined) return
      this.#refer(offset)
      this.#slots[slot] = this.#offset
    }
  }

  /** `sizeHint`: bytes that the payload will take, roughly. */
  constructor(sizeHint = 4096) {
    this.#start = Math.max(sizeHint, 64)
    this.#bytes = new Uint8Array(this.#start)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** What was written last. */
  get #offset(): number {
    return this.#bytes.length - this.#start
  }

  /** Makes room for `size` bytes and others behind them, such that the former are aligned; `size` is a power of 2. */
  #room(size: number, behind = 0): void {
    if (size > this.#largestAlignment) this.#largestAlignment = size
    const padding = -(this.#offset + behind) & (size - 1)
    const needed = padding + size + behind
    if (needed > this.#start) this.#grow(needed)
    // The buffer is zero where nothing was written, but for vtables that were taken back.
    this.#bytes.fill(0, this.#start - padding, this.#start)
    this.#start -= padding
  }

  #grow(needed: number): void {
    const written = this.#bytes.subarray(this.#start)
    if (written.length + needed > maxBytes) throw new RangeError("a payload has at most 2 GiB")
    const size = Math.min(2 * Math.max(this.#bytes.length, written.length + needed), maxBytes)
    this.#bytes = new Uint8Array(size)
    this.#view = new DataView(this.#bytes.buffer)
    this.#start = size - written.length
    this.#bytes.set(written, this.#start)
  }

  #put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, (this.#start -= bytes.length))
  }

  #put16(value: number): void {
    this.#view.setUint16((this.#start -= 2), value, true)
  }

  #put32(value: number): void {
    this.#view.setUint32((this.#start -= 4), value, true)
  }

  /** Refers to what was written at an offset. */
  #refer(offset: number): void {
    this.#room(4)
    this.#put32(this.#offset - offset + 4)
  }

  #field32(slot: number, value: number): void {
    if (value === 0) return
    this.#room(4)
    this.#put32(value)
    this.#slots[slot] = this.#offset
  }

  /** Makes room for a vector, whose elements are written next, and then their number. */
  #vector(size: number, length: number, alignment: number): void {
    this.#room(4, size * length)
    this.#room(alignment, size * length)
  }

  /** The number of the elements that were just written. */
  #length(length: number): number {
    this.#put32(length)
    return this.#offset
  }

  /** A text. */
  string(text: string): number {
    const utf8 = encoder.encode(text)
    this.#room(1)
    this.#view.setUint8((this.#start -= 1), 0)
    return this.bytes(utf8)
  }

  /** A text that other tables may have too: it is written once. */
  sharedString(text: string): number {
    let offset = this.#shared.get(text)
    if (offset === undefined) this.#shared.set(text, (offset = this.string(text)))
    return offset
  }

  /** A vector of bytes. */
  bytes(bytes: Uint8Array): number {
    this.#vector(1, bytes.length, 1)
    this.#put(bytes)
    return this.#length(bytes.length)
  }

  /** A vector of bytes, unless there are none to write. */
  optionalBytes(bytes: Uint8Array | undefined): number | undefined {
    return bytes === undefined ? undefined : this.bytes(bytes)
  }

  /**
   * Tables and vectors that are written already, with all that they refer to; positions are counted from the start of the
   * block. What is at a position is known by what is returned less the position.
   */
  block(bytes: Uint8Array): number {
    this.#room(8, bytes.length)
    return this.bytes(bytes) - 4
  }

  /** A vector of tables or texts. */
  offsets(offsets: ReadonlyArray<number>): number {
    this.#vector(4, offsets.length, 4)
    for (let i = offsets.length - 1; i >= 0; i--) this.#refer(offsets[i]!)
    return this.#length(offsets.length)
  }

  /** A vector of unsigned numbers of 16 bits. */
  u16s(numbers: ReadonlyArray<number>): number {
    this.#vector(2, numbers.length, 2)
    for (let i = numbers.length - 1; i >= 0; i--) this.#put16(numbers[i]!)
    return this.#length(numbers.length)
  }

  /** A vector of unsigned numbers of 32 bits, or of structs that consist of `group` of them. */
  u32s(numbers: ReadonlyArray<number>, group = 1): number {
    this.#vector(4 * group, numbers.length / group, 4)
    for (let i = numbers.length - 1; i >= 0; i--) this.#put32(numbers[i]!)
    return this.#length(numbers.length / group)
  }

  /** A vector of structs of `size` bytes each, in bytes as the schema lays them out. */
  structs(size: number, structs: ReadonlyArray<Uint8Array>, alignment = 1): number {
    this.#vector(size, structs.length, alignment)
    for (let i = structs.length - 1; i >= 0; i--) this.#put(structs[i]!)
    return this.#length(structs.length)
  }

  /** A table with room for `size` fields. What they refer to must have been written before. */
  table(size: number, set: (fields: TableFields) => void): number {
    const slots = (this.#slots = new Array<number>(size).fill(0))
    const end = this.#offset
    set(this.#fields)
    this.#room(4)
    this.#put32(0)
    const table = this.#offset
    let used = size
    while (used > 0 && slots[used - 1] === 0) used--
    const length = 4 + 2 * used
    this.#room(2, length)
    for (let slot = used - 1; slot >= 0; slot--) this.#put16(slots[slot] === 0 ? 0 : table - slots[slot]!)
    this.#put16(table - end)
    this.#put16(length)
    const known = this.#vtables.find((other) => this.#isSame(this.#start, this.#bytes.length - other, length))
    const vtable = known ?? this.#offset
    if (known === undefined) this.#vtables.push(vtable)
    else this.#start = this.#bytes.length - table
    this.#view.setInt32(this.#bytes.length - table, vtable - table, true)
    return table
  }

  #isSame(a: number, b: number, length: number): boolean {
    for (let i = 0; i < length; i += 2) {
      if (this.#view.getUint16(a + i, true) !== this.#view.getUint16(b + i, true)) return false
    }
    return true
  }

  /** The whole payload. */
  finish(root: number): Uint8Array {
    this.#room(this.#largestAlignment, 4 + fileIdentifier.length)
    this.#put(encoder.encode(fileIdentifier))
    this.#refer(root)
    return this.#bytes.subarray(this.#start)
  }
}
