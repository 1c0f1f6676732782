/**
 * Attributes of groups and arrays: where they are, and their values as JSON. Source: HDF5 File Format Specification 3.0,
 * IV.A.2.m and IV.A.2.v.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Json, Skipped } from "../../Dataset.ts"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Values from "../Values.ts"
import * as BTree2 from "./BTree2.ts"
import { Cursor, parsing } from "./Cursor.ts"
import * as Datatype from "./Datatype.ts"
import * as Heaps from "./Heaps.ts"
import type { Sizes } from "./Layout.ts"
import * as Messages from "./Messages.ts"
import { type Message, Type } from "./ObjectHeader.ts"

export interface Attribute {
  readonly name: string
  readonly type: Datatype.Datatype
  /** `undefined` when there is no value. */
  readonly shape: ReadonlyArray<number> | undefined
  readonly data: Cursor
  /** Its type is described elsewhere. */
  readonly sharedType: number | undefined
}

const aligned = (cursor: Cursor, length: number, version: number): Uint8Array => {
  const bytes = cursor.take(length)
  if (version === 1) cursor.skip((8 - (length % 8)) % 8)
  return bytes
}

const parse = (cursor: Cursor): Attribute => {
  const version = cursor.version("an attribute", 1, 2, 3)
  const flags = cursor.u8()
  const nameSize = cursor.u16()
  const typeSize = cursor.u16()
  const spaceSize = cursor.u16()
  if (version === 3) cursor.skip(1)
  const name = Values.text(aligned(cursor, nameSize, version))
  const typeAt = cursor.start + cursor.at
  const typeBytes = aligned(cursor, typeSize, version)
  const spaceAt = cursor.start + cursor.at
  const space = Messages.dataspace(new Cursor(aligned(cursor, spaceSize, version), spaceAt, cursor.sizes))
  const isShared = version > 1 && (flags & 1) !== 0
  const shared = isShared ? Messages.shared(typeBytes, typeAt, cursor.sizes) : undefined
  const type: Datatype.Datatype = isShared
    ? { _tag: "Other", size: 0, what: "a type of the file's own" }
    : Datatype.parse(new Cursor(typeBytes, typeAt, cursor.sizes))
  const at = cursor.start + cursor.at
  return {
    name,
    type,
    shape: space.shape,
    data: new Cursor(cursor.take(cursor.left), at, cursor.sizes),
    sharedType: shared?._tag === "Object" ? shared.address : undefined
  }
}

/** The attributes that the messages of an object hold or lead to. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  messages: ReadonlyArray<Message>
): Effect.fn.Return<ReadonlyArray<Attribute>, ImportError> {
  const inHeader = yield* parsing(source, () =>
    messages
      .filter(({ isShared, type }) => type === Type.attribute && !isShared)
      .map(({ at, bytes }) => parse(new Cursor(bytes, at, sizes)))
  )
  const info = messages.find(({ type }) => type === Type.attributeInfo)
  const dense =
    info === undefined
      ? undefined
      : yield* parsing(source, () => {
          const cursor = new Cursor(info.bytes, info.at, sizes)
          cursor.version("the place of attributes", 0)
          if ((cursor.u8() & 1) !== 0) cursor.skip(2)
          return { heap: cursor.address(), names: cursor.address() }
        })
  if (dense?.heap === undefined || dense.names === undefined) return inHeader
  const { nodes, recordSize } = yield* BTree2.read(source, sizes, dense.names)
  const ids = nodes.flatMap(({ bytes, count, start }) =>
    Array.from({ length: count }, (_, i) => ({
      bytes: bytes.subarray(i * recordSize, i * recordSize + Math.min(8, recordSize)),
      // Which of them are messages that several objects share, the flags after the id say.
      isShared: ((bytes[i * recordSize + 8] ?? 0) & 2) !== 0,
      at: start + i * recordSize
    }))
  )
  const objects = yield* Heaps.readFractal(
    source,
    sizes,
    dense.heap,
    ids.filter(({ isShared }) => !isShared)
  )
  const found = yield* parsing(source, () => objects.map(parse))
  return [...inHeader, ...found]
})

/** Elements of an attribute, at most, that become JSON. */
const maxElements = 100_000

/** Whether values of a type refer to a global heap, and where. */
const heapIds = ({ data, shape, type }: Attribute): ReadonlyArray<Heaps.GlobalId> => {
  if (shape === undefined || (type._tag !== "VariableText" && type._tag !== "Sequence")) return []
  const count = shape.reduce((a, b) => a * b, 1)
  const cursor = new Cursor(data.bytes, data.start, data.sizes)
  const ids: Array<Heaps.GlobalId> = []
  for (let i = 0; i < count; i++) {
    const { id } = globalId(cursor)
    if (id !== undefined) ids.push(id)
  }
  return ids
}

/** A length, and where that much is; nothing when it is empty. */
export const globalId = (cursor: Cursor): { readonly length: number; readonly id: Heaps.GlobalId | undefined } => {
  const length = cursor.u32()
  const address = cursor.address()
  const index = cursor.u32()
  const isNone = length === 0 || address === undefined || address === cursor.sizes.base || index === 0
  return { length, id: isNone ? undefined : { address, index } }
}

/** One number, as JavaScript has it. */
export const numberAt = (
  view: DataView,
  at: number,
  type: Extract<Datatype.Datatype, { readonly _tag: "Integer" | "Float" }>
): number | bigint => {
  const isLittle = !type.isBig
  if (type._tag === "Float") {
    if (type.size === 8) return view.getFloat64(at, isLittle)
    return type.size === 4 ? view.getFloat32(at, isLittle) : half(view.getUint16(at, isLittle))
  }
  switch (type.size) {
    case 1:
      return type.isSigned ? view.getInt8(at) : view.getUint8(at)
    case 2:
      return type.isSigned ? view.getInt16(at, isLittle) : view.getUint16(at, isLittle)
    case 4:
      return type.isSigned ? view.getInt32(at, isLittle) : view.getUint32(at, isLittle)
    default:
      return type.isSigned ? view.getBigInt64(at, isLittle) : view.getBigUint64(at, isLittle)
  }
}

/** A number of IEEE 754 in 16 bits. */
const half = (bits: number): number => {
  const sign = (bits & 0x8000) === 0 ? 1 : -1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Text of a fixed length, without what fills it up. */
export const fixedText = (bytes: Uint8Array, isSpacePadded: boolean): string => {
  const text = Values.text(bytes)
  return isSpacePadded ? text.replace(/ +$/, "") : text
}

/** Why a value is none of JSON. */
type Problem = Pick<Skipped, "reason" | "problem">

const untyped = (problem: string): Problem => ({ reason: "data type", problem })

/** A value, or why it is none. */
type One = { readonly json: Json } | Problem

const orBeyond = (value: number | undefined): One => (value === undefined ? Values.beyond : { json: value })

const one = ({ data, name, type }: Attribute, cursor: Cursor, heaps: Heaps.GlobalHeaps, view: DataView): One => {
  switch (type._tag) {
    case "Integer":
      return orBeyond(Values.integerJson(numberAt(view, cursor.skip(type.size), type)))
    case "Float": {
      const value = Number(numberAt(view, cursor.skip(type.size), type))
      return { json: name === "_FillValue" ? Values.floatFillJson(value) : Values.numberJson(value) }
    }
    case "Enumeration": {
      if (type.of._tag !== "Integer") return untyped("it is an enumeration of no integers")
      const value = numberAt(view, cursor.skip(type.size), type.of)
      return type.isBoolean ? { json: Number(value) === 1 } : orBeyond(Values.integerJson(value))
    }
    case "Text":
      return { json: fixedText(cursor.take(type.size), type.isSpacePadded) }
    case "VariableText": {
      const { id } = globalId(cursor)
      if (id === undefined) return { json: "" }
      const bytes = heaps.get(id)
      return bytes === undefined
        ? data.fail(`the heap at byte ${id.address} has no object ${id.index}`, 0)
        : { json: Values.text(bytes) }
    }
    case "Reference":
      return untyped("it refers to another object")
    case "Sequence":
      return untyped("it has a list in each element")
    case "Other":
      return untyped(`it is ${type.what}`)
  }
}

/** An attribute as JSON, or a sentence that says why it is none. */
export const toJson = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: Heaps.GlobalHeaps,
  attribute: Attribute
): Effect.fn.Return<One, ImportError> {
  const { data, shape } = attribute
  if (shape === undefined) return untyped("it has no value")
  const count = shape.reduce((a, b) => a * b, 1)
  if (count > maxElements) return untyped(`it has ${count} elements`)
  yield* heaps.load(yield* parsing(source, () => heapIds(attribute)))
  return yield* parsing(source, (): One => {
    const cursor = new Cursor(data.bytes, data.start, data.sizes)
    const values: Array<Json> = []
    for (let i = 0; i < count; i++) {
      const value = one(attribute, cursor, heaps, cursor.view)
      if ("problem" in value) return value
      values.push(value.json)
    }
    return { json: shape.length === 0 ? values[0]! : values.length === 1 ? values[0]! : nested(values, shape) }
  })
})

/** Values in lists of lists, as the shape has them. */
const nested = (values: ReadonlyArray<Json>, shape: ReadonlyArray<number>): Json => {
  if (shape.length <= 1) return values
  const inner = shape.slice(1).reduce((a, b) => a * b, 1)
  return Array.from({ length: shape[0]! }, (_, i) => nested(values.slice(i * inner, (i + 1) * inner), shape.slice(1)))
}

/** For each element of an attribute of lists of references, the address that its first one refers to. */
export const references = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: Heaps.GlobalHeaps,
  attribute: Attribute
): Effect.fn.Return<ReadonlyArray<number | undefined>, ImportError> {
  const { data, shape, type } = attribute
  const count = shape?.reduce((a, b) => a * b, 1) ?? 0
  if (type._tag !== "Sequence" || type.of._tag !== "Reference" || !type.of.isObject || count > 32) return []
  yield* heaps.load(yield* parsing(source, () => heapIds(attribute)))
  return yield* parsing(source, () => {
    const cursor = new Cursor(data.bytes, data.start, data.sizes)
    return Array.from({ length: count }, () => {
      const { id } = globalId(cursor)
      const bytes = id === undefined ? undefined : heaps.get(id)
      return bytes === undefined || bytes.length < data.sizes.offsetSize
        ? undefined
        : new Cursor(bytes, data.start, data.sizes).address()
    })
  })
})
