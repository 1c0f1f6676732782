/**
 * A reader of flatbuffers that trusts nothing: every offset, length and vtable is checked before it is
 * used, and what a file can make us build is bounded by its own size.
 *
 * Tables are read where they lie. Methods throw a `FormatError` that names the file and the path of the
 * field; `decode` turns it into a `Result`, so call them only inside of it.
 *
 * Source: the FlatBuffers internals document, "Format Details".
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import { attempt } from "./Attempt.ts"
import { FormatError } from "./FormatError.ts"

/**
 * A field of a table: its name in the schema and its place there, from zero. A union has two places, the
 * type first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Field {
  readonly slot: number
  readonly name: string
}

/**
 * The fields of a table by name, in the order of the schema.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fields = <const Names extends ReadonlyArray<string>>(
  ...names: Names
): { readonly [Name in Names[number]]: Field } =>
  Object.fromEntries(names.map((name, slot) => [name, { slot, name }])) as { [Name in Names[number]]: Field }

/** Longer strings are refused: no name, path or message of a repository comes near. */
const maxStringBytes = 64 * 1024 * 1024

/**
 * What a file may make us build, in bytes of memory as estimated here: so many for each byte of the payload
 * and some to start with. Files that are what they seem need up to ten for each byte; more comes of tables
 * that share their parts, such as dimensions that share their names.
 */
const maxAmplification = 24
const freeBytes = 4 * 1024 * 1024

/** Memory that a table or text, and an element of a vector, take beyond their bytes. */
const objectOverhead = 64
const elementOverhead = 24

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** What all tables of one payload share. */
interface Payload {
  readonly file: string
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Bytes that may still be built; parts that several tables share count each time. */
  budget: number
}

/** Where a table or vector hangs, for the paths in errors. */
interface Place {
  readonly payload: Payload
  readonly parent: Place | undefined
  readonly name: string
  /** Index in the vector `name`, or -1. */
  readonly index: number
}

const pathOf = (place: Place | undefined, leaf: string): string => {
  let path = leaf
  for (let at = place; at !== undefined && at.name !== ""; at = at.parent) {
    const step = at.index < 0 ? at.name : `${at.name}[${at.index}]`
    path = path === "" ? step : `${step}.${path}`
  }
  return path === "" ? "payload" : path
}

const fail = (place: Place, leaf: string, problem: string): never => {
  throw new FormatError({ file: place.payload.file, field: pathOf(place, leaf), problem })
}

const spend = (place: Place, leaf: string, bytes: number): void => {
  if ((place.payload.budget -= bytes) < 0) fail(place, leaf, "the file says more than its size allows")
}

const readU64 = (place: Place, leaf: string, position: number): number => {
  const { view } = place.payload
  const high = view.getUint32(position + 4, true)
  if (high > 0x1f_ffff) fail(place, leaf, "the number is larger than 2^53 - 1")
  return high * 0x1_0000_0000 + view.getUint32(position, true)
}

/** Follows the unsigned offset at `position`, which has been checked to lie in the payload. */
const follow = (place: Place, leaf: string, position: number): number => {
  const { bytes, view } = place.payload
  const target = position + view.getUint32(position, true)
  if (target === position || target + 4 > bytes.length) fail(place, leaf, "its offset points outside of the payload")
  return target
}

/** The bytes of the text that the offset at `position` points at, unchecked. */
const textBytes = (place: Place, leaf: string, position: number): Uint8Array => {
  const { bytes, view } = place.payload
  const start = follow(place, leaf, position) + 4
  const length = view.getUint32(start - 4, true)
  if (length > bytes.length - start) fail(place, leaf, "the text reaches beyond the payload")
  if (length > maxStringBytes) fail(place, leaf, `the text has ${length} bytes, more than ${maxStringBytes}`)
  spend(place, leaf, objectOverhead + length)
  return bytes.subarray(start, start + length)
}

const decodeText = (place: Place, leaf: string, bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return fail(place, leaf, "the text is not UTF-8")
  }
}

const readString = (place: Place, leaf: string, position: number): string => {
  const bytes = textBytes(place, leaf, position)
  return readShortAscii(bytes, 0, bytes.length) ?? decodeText(place, leaf, bytes)
}

/** Character codes of a short text, an array for each length. */
const shortCodes = Array.from({ length: 64 }, (_, length) => Array.from({ length }, () => 0))

/**
 * Faster than TextDecoder for names and paths, and a flat string where appending would leave a rope of 500
 * bytes; `undefined` when it is long or there is other than ASCII.
 */
const readShortAscii = (bytes: Uint8Array, start: number, length: number): string | undefined => {
  const codes = shortCodes[length]
  if (codes === undefined) return undefined
  for (let i = 0; i < length; i++) {
    const byte = bytes[start + i]!
    if (byte > 127) return undefined
    codes[i] = byte
  }
  return String.fromCharCode.apply(null, codes)
}

/**
 * A table of a payload.
 *
 * Each kind of field has two methods: `u32`, `string`, ... give the field's value, where scalars that are
 * absent are their default and everything else must be present; `optionalString`, ... give `undefined`
 * for an absent field.
 *
 * @category models
 * @since 0.1.0
 */
export class FlatTable implements Place {
  readonly payload: Payload
  readonly parent: Place | undefined
  readonly name: string
  readonly index: number
  /** Where the table starts in the payload, in bytes. */
  readonly position: number
  private readonly vtable: number
  private readonly vtableSize: number
  private readonly size: number

  constructor(payload: Payload, parent: Place | undefined, name: string, index: number, position: number) {
    this.payload = payload
    this.parent = parent
    this.name = name
    this.index = index
    this.position = position
    const { bytes, view } = payload
    if (position + 4 > bytes.length) fail(this, "", "the table reaches beyond the payload")
    const vtable = position - view.getInt32(position, true)
    if (vtable < 0 || vtable + 4 > bytes.length) fail(this, "", "its vtable lies outside of the payload")
    const vtableSize = view.getUint16(vtable, true)
    if (vtableSize < 4 || vtableSize % 2 !== 0 || vtable + vtableSize > bytes.length) {
      fail(this, "", "its vtable is malformed")
    }
    const size = view.getUint16(vtable + 2, true)
    if (size < 4 || position + size > bytes.length) fail(this, "", "the table reaches beyond the payload")
    this.vtable = vtable
    this.vtableSize = vtableSize
    this.size = size
    spend(this, "", objectOverhead + size)
  }

  /** Throws a `FormatError` about a field of this table. */
  fail(field: Field, problem: string): never {
    return fail(this, field.name, problem)
  }

  /** Whether the field is present. */
  has(field: Field): boolean {
    return this.at(field, 0) !== 0
  }

  /** Position of the field's `width` bytes, checked; 0 when it is absent. */
  private at(field: Field, width: number): number {
    const entry = 4 + 2 * field.slot
    if (entry >= this.vtableSize) return 0
    const offset = this.payload.view.getUint16(this.vtable + entry, true)
    if (offset === 0) return 0
    if (offset < 4 || offset + width > this.size) fail(this, field.name, "the field lies outside of its table")
    return this.position + offset
  }

  private missing(field: Field): never {
    return fail(this, field.name, "the field is required and absent")
  }

  /** An unsigned byte. */
  u8(field: Field, absent = 0): number {
    const position = this.at(field, 1)
    return position === 0 ? absent : this.payload.bytes[position]!
  }

  /** An unsigned number of 16 bits. */
  u16(field: Field, absent = 0): number {
    const position = this.at(field, 2)
    return position === 0 ? absent : this.payload.view.getUint16(position, true)
  }

  /** An unsigned number of 32 bits. */
  u32(field: Field, absent = 0): number {
    const position = this.at(field, 4)
    return position === 0 ? absent : this.payload.view.getUint32(position, true)
  }

  /** A signed number of 32 bits. */
  i32(field: Field, absent = 0): number {
    const position = this.at(field, 4)
    return position === 0 ? absent : this.payload.view.getInt32(position, true)
  }

  /** An unsigned number of 64 bits, which must not be larger than 2^53 - 1. */
  u64(field: Field, absent = 0): number {
    const position = this.at(field, 8)
    return position === 0 ? absent : readU64(this, field.name, position)
  }

  /** An unsigned number of 64 bits, exactly. */
  exactU64(field: Field): bigint {
    const position = this.at(field, 8)
    return position === 0 ? 0n : this.payload.view.getBigUint64(position, true)
  }

  /** A struct of `size` bytes, as a view into the payload. */
  struct(field: Field, size: number): Uint8Array {
    return this.optionalStruct(field, size) ?? this.missing(field)
  }

  /** As `struct`; `undefined` when the field is absent. */
  optionalStruct(field: Field, size: number): Uint8Array | undefined {
    const position = this.at(field, size)
    return position === 0 ? undefined : this.payload.bytes.subarray(position, position + size)
  }

  /** A text. */
  string(field: Field): string {
    return this.optionalString(field) ?? this.missing(field)
  }

  /** As `string`; `undefined` when the field is absent. */
  optionalString(field: Field): string | undefined {
    const position = this.at(field, 4)
    return position === 0 ? undefined : readString(this, field.name, position)
  }

  /** The bytes of a text, checked to be UTF-8, as a view into the payload. */
  text(field: Field): Uint8Array {
    const position = this.at(field, 4)
    if (position === 0) return this.missing(field)
    const bytes = textBytes(this, field.name, position)
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i]! < 128) continue
      decodeText(this, field.name, bytes)
      break
    }
    return bytes
  }

  /** A table, or the table of a union whose type has been looked at. */
  table(field: Field): FlatTable {
    return this.optionalTable(field) ?? this.missing(field)
  }

  /** As `table`; `undefined` when the field is absent. */
  optionalTable(field: Field): FlatTable | undefined {
    const position = this.at(field, 4)
    if (position === 0) return undefined
    return new FlatTable(this.payload, this, field.name, -1, follow(this, field.name, position))
  }

  /** A vector whose elements take `elementSize` bytes each; strings and tables take 4, their offset. */
  vector(field: Field, elementSize: number, maxLength?: number): FlatVector {
    return this.optionalVector(field, elementSize, maxLength) ?? this.missing(field)
  }

  /** As `vector`; `undefined` when the field is absent. More than `maxLength` elements are refused before any is read. */
  optionalVector(field: Field, elementSize: number, maxLength?: number): FlatVector | undefined {
    const position = this.at(field, 4)
    if (position === 0) return undefined
    return new FlatVector(this, field.name, follow(this, field.name, position), elementSize, maxLength)
  }

  /** A vector of bytes, as a view into the payload. Tables may share it: `copy` what is to be decoded further. */
  bytes(field: Field): Uint8Array {
    return this.vector(field, 1).bytes()
  }

  /** As `bytes`; `undefined` when the field is absent. */
  optionalBytes(field: Field): Uint8Array | undefined {
    return this.optionalVector(field, 1)?.bytes()
  }

  /** A copy of a vector of bytes. It counts fourfold, because what is decoded from it takes memory too. */
  copy(field: Field): Uint8Array {
    return this.optionalCopy(field) ?? this.missing(field)
  }

  /** As `copy`; `undefined` when the field is absent. */
  optionalCopy(field: Field): Uint8Array | undefined {
    const bytes = this.optionalBytes(field)
    if (bytes === undefined) return undefined
    spend(this, field.name, objectOverhead + 4 * bytes.length)
    return new Uint8Array(bytes)
  }
}

/**
 * A vector of a payload. Its elements have been checked to lie in the payload; indices must be whole
 * numbers from 0 below `length`.
 *
 * @category models
 * @since 0.1.0
 */
export class FlatVector {
  readonly length: number
  /** Where the first element starts in the payload, in bytes. */
  readonly start: number
  readonly elementSize: number
  private readonly table_: FlatTable
  private readonly name: string

  constructor(
    table: FlatTable,
    name: string,
    position: number,
    elementSize: number,
    maxLength = Number.POSITIVE_INFINITY
  ) {
    const { bytes, view } = table.payload
    this.table_ = table
    this.name = name
    this.start = position + 4
    this.length = view.getUint32(position, true)
    this.elementSize = elementSize
    if (this.length > (bytes.length - this.start) / elementSize) {
      fail(table, name, `its ${this.length} elements reach beyond the payload`)
    }
    if (this.length > maxLength) fail(table, name, `it has ${this.length} elements, more than ${maxLength}`)
    if (elementSize > 1) spend(table, name, objectOverhead + this.length * (elementOverhead + elementSize))
  }

  /** Throws a `FormatError` about an element, or about a `field` of it. */
  fail(index: number, problem: string, field?: Field): never {
    return fail(this.place(index), field?.name ?? "", problem)
  }

  private place(index: number): Place {
    return { payload: this.table_.payload, parent: this.table_, name: this.name, index }
  }

  private at(index: number, offset: number): number {
    return this.start + index * this.elementSize + offset
  }

  /** The unsigned 16-bit number, `offset` bytes into the element. */
  u16(index: number, offset = 0): number {
    return this.table_.payload.view.getUint16(this.at(index, offset), true)
  }

  /** The unsigned 32-bit number, `offset` bytes into the element. */
  u32(index: number, offset = 0): number {
    return this.table_.payload.view.getUint32(this.at(index, offset), true)
  }

  /** The unsigned 64-bit number, `offset` bytes into the element; not larger than 2^53 - 1. */
  u64(index: number, offset = 0): number {
    return readU64(this.place(index), "", this.at(index, offset))
  }

  /** The unsigned 64-bit number, `offset` bytes into the element, exactly. */
  exactU64(index: number, offset = 0): bigint {
    return this.table_.payload.view.getBigUint64(this.at(index, offset), true)
  }

  /** `size` bytes of the element from `offset`, as a view into the payload; the whole struct unless given. */
  struct(index: number, offset = 0, size: number = this.elementSize): Uint8Array {
    const position = this.at(index, offset)
    return this.table_.payload.bytes.subarray(position, position + size)
  }

  /** The text that is the element. */
  string(index: number): string {
    return readString(this.place(index), "", this.at(index, 0))
  }

  /** The table that is the element. */
  table(index: number): FlatTable {
    const { payload } = this.table_
    const position = this.at(index, 0)
    const target = position + payload.view.getUint32(position, true)
    return new FlatTable(payload, this.table_, this.name, index, target)
  }

  /** All elements as bytes, as a view into the payload. */
  bytes(): Uint8Array {
    return this.table_.payload.bytes.subarray(this.start, this.start + this.length * this.elementSize)
  }

  /** One value for each table. */
  mapTables<A>(f: (table: FlatTable, index: number) => A): Array<A> {
    const result: Array<A> = []
    for (let i = 0; i < this.length; i++) result.push(f(this.table(i), i))
    return result
  }
}

/**
 * A text from its bytes, or `length` of them from `start` on, which were checked to be UTF-8.
 *
 * @category decoding
 * @since 0.1.0
 */
export const text = (bytes: Uint8Array, start = 0, length: number = bytes.length): string =>
  readShortAscii(bytes, start, length) ?? utf8.decode(bytes.subarray(start, start + length))

/**
 * The identifier in every payload of Icechunk.
 *
 * @category constants
 * @since 0.1.0
 */
export const fileIdentifier = "Ichk"

/**
 * How much may be built from a payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounds {
  /** Bytes in memory, as estimated here. */
  readonly maxHeld: number
}

/**
 * The root table of `payload`, which is the content of `file`. Throws a `FormatError`: call it inside of
 * `decode`, or when a payload that `decode` has accepted is read again.
 *
 * All that is read counts towards a bound: 24 times the payload and 4 MiB, so that a file whose tables share their parts
 * cannot unfold into a large value, and the `bounds` that are given, because a payload may itself have
 * unfolded from a small file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const root = (file: string, payload: Uint8Array, bounds?: Bounds): FlatTable => {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (payload.length < 12) {
    throw new FormatError({ file, field: "payload", problem: `it has ${payload.length} bytes, too few for any table` })
  }
  for (let i = 0; i < 4; i++) {
    if (payload[4 + i] !== fileIdentifier.charCodeAt(i)) {
      throw new FormatError({ file, field: "payload", problem: `its identifier is not \`${fileIdentifier}\`` })
    }
  }
  const budget = Math.min(maxAmplification * payload.length + freeBytes, bounds?.maxHeld ?? Number.POSITIVE_INFINITY)
  return new FlatTable({ file, bytes: payload, view, budget }, undefined, "", -1, view.getUint32(0, true))
}

/**
 * Runs a decoder over the root table of `payload`; the `FormatError` that it throws becomes the failure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decode = <A>(
  file: string,
  payload: Uint8Array,
  f: (root: FlatTable) => A,
  bounds?: Bounds
): Result.Result<A, FormatError> => attempt(() => f(root(file, payload, bounds)))
