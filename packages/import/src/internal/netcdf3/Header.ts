/**
 * The header of a NetCDF-3 file: dimensions, attributes, and where variables are. Pure. Source: NetCDF classic format
 * specification, "CDF-1", "CDF-2" and "CDF-5".
 *
 * @since 0.1.0
 */
import { text } from "../Values.ts"

/** Types of values by their number in the file. */
const types = {
  1: { name: "int8", bytes: 1 },
  2: { name: "char", bytes: 1 },
  3: { name: "int16", bytes: 2 },
  4: { name: "int32", bytes: 4 },
  5: { name: "float32", bytes: 4 },
  6: { name: "float64", bytes: 8 },
  7: { name: "uint8", bytes: 1 },
  8: { name: "uint16", bytes: 2 },
  9: { name: "uint32", bytes: 4 },
  10: { name: "int64", bytes: 8 },
  11: { name: "uint64", bytes: 8 }
} as const

type Type = (typeof types)[keyof typeof types]

interface Dimension {
  readonly name: string
  /** 0 for the record dimension, whose length is the number of records. */
  readonly length: number
}

/** Values of an attribute: a text, or numbers. */
export interface Attribute {
  readonly name: string
  readonly type: Type
  readonly value: string | ReadonlyArray<number | bigint>
}

export interface Variable {
  readonly name: string
  /** Positions among the dimensions. */
  readonly dimensions: ReadonlyArray<number>
  readonly attributes: ReadonlyArray<Attribute>
  readonly type: Type
  /** Byte of the file where its first value is. */
  readonly begin: number
}

export interface Header {
  /** `undefined` when the writer did not know it: as many as the file has. */
  readonly records: number | undefined
  readonly dimensions: ReadonlyArray<Dimension>
  readonly attributes: ReadonlyArray<Attribute>
  readonly variables: ReadonlyArray<Variable>
}

/** What is wrong at a byte of the file. */
export interface Problem {
  readonly _tag: "Problem"
  readonly offset: number
  readonly problem: string
}

/** More of the file is needed. */
interface More {
  readonly _tag: "More"
}

/** Thrown and caught in this module. */
class Stop {
  readonly why: Problem | More
  constructor(why: Problem | More) {
    this.why = why
  }
}

const problem = (offset: number, problem: string): never => {
  throw new Stop({ _tag: "Problem", offset, problem })
}

const named: Readonly<Record<number, Type>> = types

const valueOf = (view: DataView, at: number, type: Type): number | bigint => {
  switch (type.name) {
    case "int8":
      return view.getInt8(at)
    case "uint8":
    case "char":
      return view.getUint8(at)
    case "int16":
      return view.getInt16(at)
    case "uint16":
      return view.getUint16(at)
    case "int32":
      return view.getInt32(at)
    case "uint32":
      return view.getUint32(at)
    case "int64":
      return view.getBigInt64(at)
    case "uint64":
      return view.getBigUint64(at)
    case "float32":
      return view.getFloat32(at)
    case "float64":
      return view.getFloat64(at)
  }
}

/** Reads one thing after another. */
class Reader {
  at = 0
  isWide = false
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Bytes of the whole file, of which `bytes` are the first. */
  readonly size: number

  constructor(bytes: Uint8Array, size: number) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.size = size
  }

  skip(length: number, what: string): number {
    const { at } = this
    if (at + length > this.size) problem(at, `${what} needs ${length} bytes, and the file ends at ${this.size}`)
    if (at + length > this.bytes.length) throw new Stop({ _tag: "More" })
    this.at += length
    return at
  }

  word(what: string): number {
    return this.view.getUint32(this.skip(4, what))
  }

  /** A count: 32 bits, in CDF-5 64. */
  count(what: string): number {
    const at = this.at
    if (!this.isWide) {
      const count = this.word(what)
      return count > 0x7fff_ffff ? problem(at, `${what} is negative`) : count
    }
    const count = Number(this.view.getBigInt64(this.skip(8, what)))
    return count < 0 || !Number.isSafeInteger(count) ? problem(at, `${what} cannot be ${count}`) : count
  }

  /** The number of entries of a list, each of which takes at least so many bytes. */
  entries(what: string, least: number): number {
    const at = this.at
    const count = this.count(what)
    return count * least > this.size - this.at
      ? problem(at, `${what} is ${count}, for which the file is too short`)
      : count
  }

  list<A>(tag: number, what: string, least: number, one: () => A): ReadonlyArray<A> {
    const at = this.at
    const found = this.word(`the list of ${what}`)
    const count = this.entries(`the number of ${what}`, least)
    if (found !== tag && (found !== 0 || count !== 0)) problem(at, `the list of ${what} does not begin there`)
    return Array.from({ length: count }, one)
  }

  padded(length: number, what: string): number {
    return this.skip(Math.ceil(length / 4) * 4, what)
  }

  name(): string {
    const length = this.entries("the length of a name", 1)
    const at = this.padded(length, "a name")
    return text(this.bytes.subarray(at, at + length))
  }

  type(): Type {
    const at = this.at
    const number = this.word("a type")
    return named[number] ?? problem(at, `there is no type ${number}`)
  }

  attribute(): Attribute {
    const name = this.name()
    const type = this.type()
    const count = this.entries(`the number of values of \`${name}\``, type.bytes)
    const at = this.padded(count * type.bytes, `the values of \`${name}\``)
    if (type.name === "char") return { name, type, value: text(this.bytes.subarray(at, at + count)) }
    const value = Array.from({ length: count }, (_, i) => valueOf(this.view, at + i * type.bytes, type))
    return { name, type, value }
  }

  attributes(): ReadonlyArray<Attribute> {
    return this.list(0x0c, "attributes", 12, () => this.attribute())
  }
}

/** Whether a file begins as one of these. */
export const isNetCdf3 = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x43 && bytes[1] === 0x44 && bytes[2] === 0x46 && (bytes[3] === 1 || bytes[3] === 2 || bytes[3] === 5)

const recordsOf = (reader: Reader): number | undefined => {
  const at = reader.skip(reader.isWide ? 8 : 4, "the number of records")
  const words = reader.isWide ? [at, at + 4] : [at]
  if (words.every((word) => reader.view.getUint32(word) === 0xffff_ffff)) return undefined
  reader.at = at
  return reader.count("the number of records")
}

/** The header, from the first bytes of a file of `size` bytes. */
export const parse = (bytes: Uint8Array, size: number): Header | Problem | More => {
  try {
    const reader = new Reader(bytes, size)
    reader.skip(4, "the first word")
    const version = bytes[3]!
    reader.isWide = version === 5
    const records = recordsOf(reader)
    const dimensions = reader.list(0x0a, "dimensions", 8, (): Dimension => {
      const name = reader.name()
      return { name, length: reader.count(`the length of \`${name}\``) }
    })
    const attributes = reader.attributes()
    const variables = reader.list(0x0b, "variables", 28, (): Variable => {
      const name = reader.name()
      const rank = reader.entries(`the number of dimensions of \`${name}\``, 4)
      const own = Array.from({ length: rank }, (_, axis) => {
        const at = reader.at
        const dimension = reader.count("a dimension")
        const found = dimensions[dimension]
        if (found === undefined) return problem(at, `\`${name}\` has dimension ${dimension} of ${dimensions.length}`)
        if (axis > 0 && found.length === 0) problem(at, `the record dimension is not the first of \`${name}\``)
        return dimension
      })
      const attributes = reader.attributes()
      const type = reader.type()
      // The size that is written here is wrong for large variables, and follows from the rest.
      reader.skip(reader.isWide ? 8 : 4, "the size of a variable")
      const at = reader.at
      const begin =
        version === 1 ? reader.word("an offset") : Number(reader.view.getBigUint64(reader.skip(8, "an offset")))
      // What has no records begins where the file may end before.
      const isWithoutRecords = records === 0 && dimensions[own[0] ?? -1]?.length === 0
      if (begin > size && !isWithoutRecords)
        problem(at, `the values of \`${name}\` begin at ${begin}, and the file ends at ${size}`)
      return { name, dimensions: own, attributes, type, begin }
    })
    return { records, dimensions, attributes, variables }
  } catch (error) {
    if (error instanceof Stop) return error.why
    throw error
  }
}
