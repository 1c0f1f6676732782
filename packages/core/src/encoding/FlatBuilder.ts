/**
 * Writing flatbuffers: the builder of the package `flatbuffers` with the few shapes that Icechunk's
 * files are made of. A flatbuffer is written from its leaves to its root; what is written already is
 * known by its offset.
 *
 * @since 0.1.0
 */
import { Builder } from "flatbuffers"
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

/**
 * Writes one payload.
 *
 * @category models
 * @since 0.1.0
 */
export class FlatBuilder {
  private readonly builder: Builder
  private readonly shared = new Map<string, number>()
  private readonly fields: TableFields

  /** `sizeHint`: bytes that the payload will take, roughly. */
  constructor(sizeHint = 4096) {
    const builder = new Builder(sizeHint)
    this.builder = builder
    this.fields = {
      u8: ({ slot }, value) => builder.addFieldInt8(slot, value, 0),
      u16: ({ slot }, value) => builder.addFieldInt16(slot, value, 0),
      u32: ({ slot }, value) => builder.addFieldInt32(slot, value, 0),
      i32: ({ slot }, value) => builder.addFieldInt32(slot, value, 0),
      u64: ({ slot }, value) => builder.addFieldInt64(slot, BigInt(value), 0n),
      struct: ({ slot }, bytes) => {
        if (bytes !== undefined) builder.addFieldStruct(slot, this.inline(bytes), 0)
      },
      offset: ({ slot }, offset) => {
        if (offset !== undefined) builder.addFieldOffset(slot, offset, 0)
      }
    }
  }

  private inline(bytes: Uint8Array): number {
    this.builder.prep(1, bytes.length)
    for (let i = bytes.length - 1; i >= 0; i--) this.builder.writeInt8(bytes[i]!)
    return this.builder.offset()
  }

  /** A text. */
  string(text: string): number {
    return this.builder.createString(text)
  }

  /** A text that other tables may have too: it is written once. */
  sharedString(text: string): number {
    let offset = this.shared.get(text)
    if (offset === undefined) this.shared.set(text, (offset = this.string(text)))
    return offset
  }

  /** A vector of bytes. */
  bytes(bytes: Uint8Array): number {
    return this.builder.createByteVector(bytes)
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
    this.builder.prep(8, bytes.length)
    return this.builder.createByteVector(bytes) - 4
  }

  /** A vector of tables or texts. */
  offsets(offsets: ReadonlyArray<number>): number {
    this.builder.startVector(4, offsets.length, 4)
    for (let i = offsets.length - 1; i >= 0; i--) this.builder.addOffset(offsets[i]!)
    return this.builder.endVector()
  }

  /** A vector of unsigned numbers of 16 bits. */
  u16s(numbers: ReadonlyArray<number>): number {
    this.builder.startVector(2, numbers.length, 2)
    for (let i = numbers.length - 1; i >= 0; i--) this.builder.writeInt16(numbers[i]!)
    return this.builder.endVector()
  }

  /** A vector of unsigned numbers of 32 bits, or of structs that consist of `group` of them. */
  u32s(numbers: ReadonlyArray<number>, group = 1): number {
    this.builder.startVector(4 * group, numbers.length / group, 4)
    for (let i = numbers.length - 1; i >= 0; i--) this.builder.writeInt32(numbers[i]!)
    return this.builder.endVector()
  }

  /** A vector of structs of `size` bytes each, in bytes as the schema lays them out. */
  structs(size: number, structs: ReadonlyArray<Uint8Array>, alignment = 1): number {
    this.builder.startVector(size, structs.length, alignment)
    for (let i = structs.length - 1; i >= 0; i--) this.inline(structs[i]!)
    return this.builder.endVector()
  }

  /** A table with room for `size` fields. What they refer to must have been written before. */
  table(size: number, set: (fields: TableFields) => void): number {
    this.builder.startObject(size)
    set(this.fields)
    return this.builder.endObject()
  }

  /** The whole payload. */
  finish(root: number): Uint8Array {
    this.builder.finish(root, fileIdentifier)
    return this.builder.asUint8Array()
  }
}
