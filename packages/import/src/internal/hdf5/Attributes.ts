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
import { Cursor, known, parsing } from "./Cursor.ts"
import * as Datatype from "./Datatype.ts"
import * as FractalHeap from "./FractalHeap.ts"
import type * as Heaps from "./Heaps.ts"
import type { Sizes } from "./Layout.ts"
import * as Messages from "./Messages.ts"
import { type Message, Type } from "./ObjectHeader.ts"
import * as SharedMessages from "./SharedMessages.ts"

export interface Attribute {
  readonly name: string
  readonly type: Datatype.Datatype
  /** `undefined` when there is no value. */
  readonly shape: ReadonlyArray<number> | undefined
  readonly data: Cursor
}

/** An attribute whose type and shape may be kept elsewhere. */
interface Raw {
  readonly name: string
  readonly type: SharedMessages.Part
  readonly space: SharedMessages.Part
  readonly data: Cursor
}

const aligned = (cursor: Cursor, length: number, version: number): Uint8Array => {
  const bytes = cursor.take(length)
  if (version === 1) cursor.skip((8 - (length % 8)) % 8)
  return bytes
}

const parse = (cursor: Cursor): Raw => {
  const version = cursor.version("an attribute", 1, 2, 3)
  const byte = cursor.u8()
  const flags = version === 1 ? 0 : byte
  const nameSize = cursor.u16()
  const typeSize = cursor.u16()
  const spaceSize = cursor.u16()
  if (version === 3) cursor.skip(1)
  const name = Values.text(aligned(cursor, nameSize, version))
  const part = (type: number, size: number, bit: number): SharedMessages.Part => {
    const at = cursor.start + cursor.at
    return { type, isShared: (flags & bit) !== 0, bytes: aligned(cursor, size, version), at }
  }
  const type = part(Type.datatype, typeSize, 1)
  const space = part(Type.dataspace, spaceSize, 2)
  const at = cursor.start + cursor.at
  return { name, type, space, data: new Cursor(cursor.take(cursor.left), at, cursor.sizes) }
}

/** An attribute of which only the name is known, and why. */
const nameless = (name: string, data: Cursor, what: string): Attribute => ({
  name,
  type: { _tag: "Other", size: 0, what },
  shape: [],
  data
})

const described = ({ data, name, space, type }: Raw): Attribute => {
  if (type.isShared || space.isShared)
    return nameless(name, data, "of a type or a shape that is kept nowhere in the file")
  const { sizes } = data
  const parts = known(() => ({
    type: Datatype.parse(new Cursor(type.bytes, type.at, sizes)),
    shape: Messages.dataspace(new Cursor(space.bytes, space.at, sizes)).shape
  }))
  return "unknown" in parts ? nameless(name, data, `of a kind of which ${parts.unknown}`) : { name, data, ...parts }
}

/** Where the attributes of an object are that are not in its header. */
const dense = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  table: SharedMessages.Table,
  info: Message
): Effect.fn.Return<ReadonlyArray<Cursor | undefined>, ImportError> {
  const { heap, names } = yield* parsing(source, () => {
    const cursor = new Cursor(info.bytes, info.at, sizes)
    cursor.version("the place of attributes", 0)
    if ((cursor.u8() & 1) !== 0) cursor.skip(2)
    return { heap: cursor.address(), names: cursor.address() }
  })
  if (heap === undefined || names === undefined) return []
  const { nodes, recordSize } = yield* BTree2.read(source, sizes, names)
  const ids = nodes.flatMap(({ bytes, count, start }) =>
    Array.from({ length: count }, (_, i) => ({
      bytes: bytes.subarray(i * recordSize, i * recordSize + Math.min(8, recordSize)),
      // Which of them are messages that several objects share, the flags after the id say.
      isShared: recordSize > 8 && (bytes[i * recordSize + 8]! & 2) !== 0,
      at: start + i * recordSize
    }))
  )
  const [own, shared] = [ids.filter(({ isShared }) => !isShared), ids.filter(({ isShared }) => isShared)]
  return [
    ...(yield* FractalHeap.read(source, sizes, heap, own)),
    ...(yield* SharedMessages.inHeap(source, sizes, table, Type.attribute, shared))
  ]
})

/** Objects whose attributes are read at the same time. */
const concurrency = 16

/** The attributes that the messages of each of many objects hold or lead to. */
export const readMany = Effect.fnUntraced(function* (
  source: ByteSource,
  sizes: Sizes,
  table: SharedMessages.Table,
  objects: ReadonlyArray<ReadonlyArray<Message>>
): Effect.fn.Return<ReadonlyArray<ReadonlyArray<Attribute>>, ImportError> {
  const places = yield* Effect.forEach(
    objects,
    (messages) => {
      const inHeader = messages
        .filter(({ type }) => type === Type.attribute)
        .map(({ at, bytes, isShared }) => (isShared ? undefined : new Cursor(bytes, at, sizes)))
      const info = messages.find(({ type }) => type === Type.attributeInfo)
      return info === undefined
        ? Effect.succeed(inHeader)
        : Effect.map(dense(source, sizes, table, info), (found) => [...inHeader, ...found])
    },
    { concurrency }
  )
  const none = new Cursor(new Uint8Array(0), 0, sizes)
  const raw = yield* parsing(source, () =>
    places.map((cursors) =>
      cursors.map((cursor): Raw | Attribute => {
        if (cursor === undefined) return nameless("?", none, "kept nowhere in the file")
        const found = known(() => parse(cursor))
        return "unknown" in found ? nameless("?", none, `of a kind of which ${found.unknown}`) : found
      })
    )
  )
  const parts = raw.flat().flatMap((one) => ("space" in one ? [one.type, one.space] : []))
  const resolved = yield* SharedMessages.resolve(source, sizes, table, parts)
  let next = 0
  return yield* parsing(source, () =>
    raw.map((attributes) =>
      attributes.map((one) =>
        "space" in one ? described({ ...one, type: resolved[next++]!, space: resolved[next++]! }) : one
      )
    )
  )
})

/** Elements of an attribute, at most, that become JSON, and their bytes. */
const maxElements = 100_000
const maxBytes = 4 * 1024 * 1024

const countOf = ({ shape }: Attribute): number => shape?.reduce((a, b) => a * b, 1) ?? 0

/** Why an attribute is not read, if it is not. */
const sizeProblem = (attribute: Attribute): string | undefined => {
  const { shape, type } = attribute
  const count = countOf(attribute)
  if (shape === undefined) return "it has no value"
  if (count > maxElements) return `it has ${count} elements`
  return count * type.size > maxBytes ? `it has ${count * type.size} bytes` : undefined
}

/** Where the values of an attribute are in global heaps. */
const heapIds = (attribute: Attribute): ReadonlyArray<Heaps.GlobalId> => {
  const { data, type } = attribute
  if ((type._tag !== "VariableText" && type._tag !== "Sequence") || sizeProblem(attribute) !== undefined) return []
  const cursor = new Cursor(data.bytes, data.start, data.sizes)
  const ids: Array<Heaps.GlobalId> = []
  for (let i = countOf(attribute); i > 0; i--) {
    const { id } = globalId(cursor)
    if (id !== undefined) ids.push(id)
  }
  return ids
}

/** Fetches what the values of attributes lead to, for all of them at once. */
export const load = Effect.fnUntraced(function* (
  source: ByteSource,
  heaps: Heaps.GlobalHeaps,
  attributes: ReadonlyArray<Attribute>
): Effect.fn.Return<Heaps.Lookup, ImportError> {
  return yield* heaps.load(yield* parsing(source, () => attributes.flatMap(heapIds)))
})

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

const one = ({ data, name, type }: Attribute, cursor: Cursor, heap: Heaps.Lookup, view: DataView): One => {
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
      const bytes = heap(id)
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

/** An attribute as JSON, or a sentence that says why it is none. Throws as parsers do. */
export const toJson = (attribute: Attribute, heap: Heaps.Lookup): One => {
  const { data, shape } = attribute
  const problem = sizeProblem(attribute)
  if (problem !== undefined || shape === undefined) return untyped(problem ?? "it has no value")
  const cursor = new Cursor(data.bytes, data.start, data.sizes)
  const values: Array<Json> = []
  for (let i = countOf(attribute); i > 0; i--) {
    const value = one(attribute, cursor, heap, cursor.view)
    if ("problem" in value) return value
    values.push(value.json)
  }
  return { json: values.length === 1 ? values[0]! : nested(values, shape) }
}

/** Values in lists of lists, as the shape has them. */
const nested = (values: ReadonlyArray<Json>, shape: ReadonlyArray<number>): Json => {
  if (shape.length <= 1) return values
  const inner = shape.slice(1).reduce((a, b) => a * b, 1)
  return Array.from({ length: shape[0]! }, (_, i) => nested(values.slice(i * inner, (i + 1) * inner), shape.slice(1)))
}

/** For each element of an attribute of lists of references, the address that its first one refers to. Throws as parsers do. */
export const references = (attribute: Attribute, heap: Heaps.Lookup): ReadonlyArray<number | undefined> => {
  const { data, type } = attribute
  const count = countOf(attribute)
  if (type._tag !== "Sequence" || type.of._tag !== "Reference" || !type.of.isObject || count > 32) return []
  const cursor = new Cursor(data.bytes, data.start, data.sizes)
  return Array.from({ length: count }, () => {
    const { id } = globalId(cursor)
    const bytes = id === undefined ? undefined : heap(id)
    return bytes === undefined || bytes.length < data.sizes.offsetSize
      ? undefined
      : new Cursor(bytes, data.start, data.sizes).address()
  })
}
