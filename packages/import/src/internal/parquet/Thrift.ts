/**
 * Structs of Thrift's compact protocol, as Parquet has its metadata in. Pure. Source: Apache Thrift, "Thrift compact protocol".
 *
 * Everything is bounded: a list has no more elements than bytes are left, depth and number of values have a limit.
 *
 * @since 0.1.0
 */

/** What is wrong at a byte. Thrown and caught in this directory. */
export class Damage {
  readonly offset: number
  readonly problem: string
  constructor(offset: number, problem: string) {
    this.offset = offset
    this.problem = problem
  }
}

export const damage = (offset: number, problem: string): never => {
  throw new Damage(offset, problem)
}

/** Fields by their numbers. */
export type Struct = ReadonlyMap<number, Value>

type Value = boolean | number | Uint8Array | ReadonlyArray<Value> | Struct

const maxDepth = 12

/** Values of one struct, with those inside of it: a row group of four columns has some 150. */
const maxValues = 65_536

/** Numbers of the types that are read: those of JSON, so to say. */
const types = { true: 1, false: 2, byte: 3, i16: 4, i32: 5, i64: 6, double: 7, binary: 8, list: 9, set: 10, struct: 12 }

/** Reads from `at` to before `end` of the bytes of a file. */
class Reader {
  at: number
  #values = 0
  readonly #bytes: Uint8Array
  readonly #end: number

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes
    this.at = at
    this.#end = end
  }

  byte(): number {
    if (this.at >= this.#end) damage(this.at, "its metadata ends too early")
    return this.#bytes[this.at++]!
  }

  /** An unsigned integer; those of 64 bits that no number has exactly are damage. */
  varint(): number {
    const start = this.at
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER || scale > 2 ** 56) damage(start, "it has an integer that cannot be")
      if (byte < 0x80) return value
    }
  }

  integer(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  #skip(count: number): Uint8Array {
    if (count > this.#end - this.at) damage(this.at, `${count} bytes are expected there, and its metadata ends before`)
    this.at += count
    return this.#bytes.subarray(this.at - count, this.at)
  }

  #value(type: number, depth: number): Value {
    if (++this.#values > maxValues || depth > maxDepth) damage(this.at, "its metadata is too large")
    if (type === types.byte) return this.byte()
    if (type === types.i16 || type === types.i32 || type === types.i64) return this.integer()
    if (type === types.double) return this.#skip(8)
    if (type === types.binary) return this.#skip(this.varint())
    if (type === types.list || type === types.set) return this.#list(depth)
    if (type === types.struct) return this.struct(depth + 1)
    return damage(this.at, `its metadata has a value of type ${type}, which Parquet does not have`)
  }

  #list(depth: number): ReadonlyArray<Value> {
    const head = this.byte()
    const count = head >> 4 === 15 ? this.varint() : head >> 4
    if (count > this.#end - this.at) damage(this.at, `a list has ${count} elements, which are more than bytes are left`)
    const type = head & 15
    const list: Array<Value> = []
    for (let i = 0; i < count; i++) {
      list.push(type === types.true || type === types.false ? this.byte() === types.true : this.#value(type, depth + 1))
    }
    return list
  }

  struct(depth: number): Struct {
    const fields = new Map<number, Value>()
    let field = 0
    for (;;) {
      const head = this.byte()
      if (head === 0) return fields
      field = head >> 4 === 0 ? this.integer() : field + (head >> 4)
      const type = head & 15
      const isBoolean = type === types.true || type === types.false
      fields.set(field, isBoolean ? type === types.true : this.#value(type, depth))
    }
  }
}

/** The struct at a byte, and where it ends. */
export const struct = (
  bytes: Uint8Array,
  at: number,
  end: number
): { readonly fields: Struct; readonly end: number } => {
  const reader = new Reader(bytes, at, end)
  const fields = reader.struct(0)
  return { fields, end: reader.at }
}

/** A field that is a number from 0 on. */
export const count = (fields: Struct, field: number): number | undefined => {
  const value = fields.get(field)
  return typeof value === "number" && value >= 0 ? value : undefined
}

/** A field that is a struct. */
export const inner = (fields: Struct, field: number): Struct | undefined => {
  const value = fields.get(field)
  return value instanceof Map ? value : undefined
}

/** A field that is a list, without what is not a struct. */
export const structs = (fields: Struct, field: number): ReadonlyArray<Struct> => {
  const value = fields.get(field)
  return Array.isArray(value) ? value.filter((one): one is Struct => one instanceof Map) : []
}

/** Texts of a field that is one, or a list of them. */
export const texts = (fields: Struct, field: number): ReadonlyArray<string> => {
  const value = fields.get(field)
  const list: ReadonlyArray<Value> = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return list.filter((one) => one instanceof Uint8Array).map((one) => new TextDecoder().decode(one))
}
