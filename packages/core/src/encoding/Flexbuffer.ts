/**
 * JSON values as flexbuffers: snapshot metadata and the configuration in a repo object (spec 2).
 *
 * Own code and not the `flexbuffers` of the package `flatbuffers`, which throws texts, has no bounds on
 * what it visits, and orders keys by UTF-16.
 *
 * Source: "FlexBuffers internals" of the FlatBuffers documentation.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import { type Json, type JsonObject, maxDepth, problem } from "../values/Json.ts"
import * as NodePath from "../values/NodePath.ts"
import { attempt } from "./Attempt.ts"
import { FormatError } from "./FormatError.ts"

export { maxDepth, problem }

const Type = {
  Null: 0,
  Int: 1,
  Uint: 2,
  Float: 3,
  Key: 4,
  String: 5,
  IndirectInt: 6,
  IndirectUint: 7,
  IndirectFloat: 8,
  Map: 9,
  Vector: 10,
  VectorInt: 11,
  VectorString: 15,
  VectorInt2: 16,
  VectorFloat4: 24,
  Bool: 26,
  VectorBool: 36
} as const

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Reads one value; every method checks before it reads. */
class Reader {
  private readonly file: string
  private readonly field: string
  private readonly bytes: Uint8Array
  private readonly view: DataView
  /** Memory that may still be built, roughly in bytes: values that share parts cannot unfold without bound. */
  private budget: number
  /** Keys by their position, because the objects of a list usually share them. */
  private readonly keys = new Map<number, string>()

  constructor(file: string, field: string, bytes: Uint8Array) {
    this.file = file
    this.field = field
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.budget = 16 * bytes.length + 4096
  }

  fail(problem: string): never {
    throw new FormatError({ file: this.file, field: this.field, problem: `as a flexbuffer, ${problem}` })
  }

  root(): Json {
    const size = this.bytes.length
    if (size < 3) this.fail(`it has ${size} bytes, too few for any value`)
    const width = this.bytes[size - 1]!
    if (width !== 1 && width !== 2 && width !== 4 && width !== 8) this.fail(`its root takes ${width} bytes`)
    return this.value(size - 2 - width, width, this.bytes[size - 2]!, 0)
  }

  private check(position: number, size: number): void {
    if (position < 0 || position + size > this.bytes.length) this.fail("a value lies outside of it")
  }

  private spend(amount: number): void {
    if ((this.budget -= amount) < 0) this.fail("it unfolds to more than its size allows")
  }

  private uint(position: number, width: number): number {
    this.check(position, width)
    switch (width) {
      case 1:
        return this.bytes[position]!
      case 2:
        return this.view.getUint16(position, true)
      case 4:
        return this.view.getUint32(position, true)
      default:
        return Number(this.view.getBigUint64(position, true))
    }
  }

  private int(position: number, width: number): number {
    this.check(position, width)
    switch (width) {
      case 1:
        return this.view.getInt8(position)
      case 2:
        return this.view.getInt16(position, true)
      case 4:
        return this.view.getInt32(position, true)
      default:
        return Number(this.view.getBigInt64(position, true))
    }
  }

  private float(position: number, width: number): number {
    this.check(position, width)
    if (width === 8) return this.view.getFloat64(position, true)
    if (width === 4) return this.view.getFloat32(position, true)
    return this.fail(`it has a float of ${width} bytes`)
  }

  /** Offsets point backwards; an empty vector may end, that is begin, right where its offset is. */
  private indirect(position: number, width: number): number {
    const offset = this.uint(position, width)
    if (offset > position) this.fail("an offset points outside of it")
    return position - offset
  }

  private text(start: number, length: number): string {
    this.check(start, length)
    this.spend(length)
    try {
      return utf8.decode(this.bytes.subarray(start, start + length))
    } catch {
      return this.fail("a text is not UTF-8")
    }
  }

  private key(start: number): string {
    let key = this.keys.get(start)
    if (key === undefined) {
      const end = this.bytes.indexOf(0, start)
      if (end < 0) this.fail("a key does not end")
      key = this.text(start, end - start)
      this.keys.set(start, key)
    }
    return key
  }

  /** Number of elements of `width` bytes at `start`, each with `extra` more bytes behind them. */
  private length(start: number, width: number, extra: number): number {
    const length = this.uint(start - width, width)
    if (length * (width + extra) > this.bytes.length - start) this.fail("a vector reaches beyond it")
    return length
  }

  private elements(length: number, element: (index: number) => Json): Array<Json> {
    this.spend(16 * length)
    const result: Array<Json> = []
    for (let i = 0; i < length; i++) result.push(element(i))
    return result
  }

  private map(start: number, width: number, depth: number): JsonObject {
    const length = this.length(start, width, 1)
    const keys = this.indirect(start - 3 * width, width)
    const keyWidth = this.uint(start - 2 * width, width)
    if (keyWidth !== 1 && keyWidth !== 2 && keyWidth !== 4 && keyWidth !== 8) this.fail("a map's keys are malformed")
    this.check(keys, length * keyWidth)
    this.spend(16 * length)
    const types = start + length * width
    const entries: Array<[string, Json]> = []
    for (let i = 0; i < length; i++) {
      const name = this.key(this.indirect(keys + i * keyWidth, keyWidth))
      entries.push([name, this.value(start + i * width, width, this.bytes[types + i]!, depth + 1)])
    }
    // Not by assignment: a key may be `__proto__`.
    return Object.fromEntries(entries)
  }

  private value(position: number, parentWidth: number, packed: number, depth: number): Json {
    if (depth > maxDepth) this.fail(`values are nested deeper than ${maxDepth}`)
    const type = packed >> 2
    const width = 1 << (packed & 3)
    switch (type) {
      case Type.Null:
        return null
      case Type.Int:
        return this.int(position, parentWidth)
      case Type.Uint:
        return this.uint(position, parentWidth)
      case Type.Float:
        return this.float(position, parentWidth)
      case Type.Bool:
        return this.uint(position, parentWidth) !== 0
      default: {
        const start = this.indirect(position, parentWidth)
        switch (type) {
          case Type.Key:
            return this.key(start)
          case Type.String:
            return this.text(start, this.uint(start - width, width))
          case Type.IndirectInt:
            return this.int(start, width)
          case Type.IndirectUint:
            return this.uint(start, width)
          case Type.IndirectFloat:
            return this.float(start, width)
          case Type.Map:
            return this.map(start, width, depth)
          case Type.Vector: {
            const length = this.length(start, width, 1)
            const types = start + length * width
            return this.elements(length, (i) => this.value(start + i * width, width, this.bytes[types + i]!, depth + 1))
          }
          default:
            return this.typedVector(type, start, width, depth)
        }
      }
    }
  }

  private typedVector(type: number, start: number, width: number, depth: number): Json {
    const fixed = type >= Type.VectorInt2 && type <= Type.VectorFloat4
    const typed = type >= Type.VectorInt && type <= Type.VectorString
    if (!fixed && !typed && type !== Type.VectorBool) this.fail(`it has a value of type ${type}, which is not JSON`)
    const length = fixed ? Math.floor((type - Type.VectorInt2) / 3) + 2 : this.length(start, width, 0)
    const element = fixed
      ? ((type - Type.VectorInt2) % 3) + Type.Int
      : type === Type.VectorBool
        ? Type.Bool
        : // A deprecated vector of strings is read as keys, as the format's own library does.
          Math.min(type - Type.VectorInt + Type.Int, Type.Key)
    return this.elements(length, (i) => this.value(start + i * width, width, element << 2, depth + 1))
  }
}

/**
 * The JSON value in a flexbuffer. `file` and `field` are where the bytes come from, for the error.
 *
 * Whole numbers beyond 2^53 are rounded, as `JSON.parse` rounds them. Blobs are no JSON and fail.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (file: string, field: string, bytes: Uint8Array): Result.Result<Json, FormatError> =>
  attempt(() => new Reader(file, field, bytes).root())

const uintWidth = (value: number): number => (value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffff_ffff ? 4 : 8)

const intWidth = (value: number): number => (value >= -0x80 ? 1 : value >= -0x8000 ? 2 : value >= -0x8000_0000 ? 4 : 8)

/**
 * A value on its way into a vector: an inline `number` with the least width it needs, or the position of
 * what has been written already, with the width that its own parts take.
 */
interface Slot {
  readonly type: number
  readonly width: number
  readonly number: number
  readonly position: number
}

const inline = (type: number, width: number, number: number): Slot => ({ type, width, number, position: -1 })

class Writer {
  private bytes = new Uint8Array(256)
  private view = new DataView(this.bytes.buffer)
  private end = 0
  private readonly keys = new Map<string, number>()
  private readonly encoder = new TextEncoder()

  private reserve(size: number): number {
    const start = this.end
    this.end += size
    if (this.end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.end, 2 * this.bytes.length))
      grown.set(this.bytes)
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    return start
  }

  private align(width: number): void {
    this.reserve(-this.end & (width - 1))
  }

  private number(type: number, value: number, width: number): void {
    const at = this.reserve(width)
    if (type === Type.Float) this.view.setFloat64(at, value, true)
    else if (width === 1) this.view.setUint8(at, value)
    else if (width === 2) this.view.setUint16(at, value, true)
    else if (width === 4) this.view.setUint32(at, value, true)
    else this.view.setBigInt64(at, BigInt(value), true)
  }

  private string(value: string): Slot {
    const text = this.encoder.encode(value)
    const width = uintWidth(text.length)
    this.align(width)
    this.number(Type.Uint, text.length, width)
    const position = this.reserve(text.length + 1)
    this.bytes.set(text, position)
    return { type: Type.String, width, number: 0, position }
  }

  private key(value: string): Slot {
    let position = this.keys.get(value)
    if (position === undefined) {
      const text = this.encoder.encode(value)
      position = this.reserve(text.length + 1)
      this.bytes.set(text, position)
      this.keys.set(value, position)
    }
    return { type: Type.Key, width: 1, number: 0, position }
  }

  /** The least width at which the length, the prefix and all elements fit. */
  private vectorWidth(slots: ReadonlyArray<Slot>, prefix: ReadonlyArray<Slot>): number {
    let width = uintWidth(slots.length)
    for (const slots_ of [prefix, slots]) {
      for (const slot of slots_) if (slot.position < 0 && slot.width > width) width = slot.width
    }
    for (; width < 8; width *= 2) {
      const start = this.end + (-this.end & (width - 1))
      const last = start + (prefix.length + 1 + slots.length) * width
      const lowest = [...prefix, ...slots].reduce(
        (least, slot) => (slot.position < 0 ? least : Math.min(least, slot.position)),
        last
      )
      if (uintWidth(last - lowest) <= width) return width
    }
    return width
  }

  private slot(slot: Slot, width: number): void {
    if (slot.position < 0) this.number(slot.type, slot.number, width)
    else this.number(Type.Uint, this.end - slot.position, width)
  }

  private vector(type: number, slots: ReadonlyArray<Slot>, prefix: ReadonlyArray<Slot>): Slot {
    const width = this.vectorWidth(slots, prefix)
    this.align(width)
    for (const slot of prefix) this.slot(slot, width)
    this.number(Type.Uint, slots.length, width)
    const position = this.end
    for (const slot of slots) this.slot(slot, width)
    if (type === Type.Map || type === Type.Vector) {
      for (const slot of slots) {
        this.number(Type.Uint, (slot.type << 2) | Math.log2(slot.position < 0 ? width : slot.width), 1)
      }
    }
    return { type, width, number: 0, position }
  }

  private value(value: Json): Slot {
    switch (typeof value) {
      case "boolean":
        return inline(Type.Bool, 1, value ? 1 : 0)
      case "string":
        return this.string(value)
      case "number":
        if (Number.isNaN(value)) return inline(Type.Null, 1, 0)
        if (!Number.isSafeInteger(value) || Object.is(value, -0)) return inline(Type.Float, 8, value)
        return value < 0 ? inline(Type.Int, intWidth(value), value) : inline(Type.Uint, uintWidth(value), value)
      default:
        if (value === null) return inline(Type.Null, 1, 0)
        if (Array.isArray(value)) {
          return this.vector(
            Type.Vector,
            value.map((item: Json) => this.value(item)),
            []
          )
        }
        return this.map(value as JsonObject)
    }
  }

  private map(value: JsonObject): Slot {
    const names = Object.keys(value)
      .filter((name) => (value[name] as unknown) !== undefined)
      .toSorted(NodePath.compare)
    const slots = names.map((name) => this.value(value[name]!))
    const keys = this.vector(
      Type.VectorInt + Type.Key - Type.Int,
      names.map((name) => this.key(name)),
      []
    )
    return this.vector(Type.Map, slots, [keys, inline(Type.Uint, uintWidth(keys.width), keys.width)])
  }

  encode(value: Json): Uint8Array {
    const problem_ = problem(value)
    if (problem_ !== undefined) throw new TypeError(`This value cannot be written as a flexbuffer: ${problem_}`)
    const root = this.value(value)
    const width = root.position < 0 ? root.width : this.rootWidth(root.position)
    this.align(width)
    this.slot(root, width)
    this.number(Type.Uint, (root.type << 2) | Math.log2(root.position < 0 ? width : root.width), 1)
    this.number(Type.Uint, width, 1)
    return this.bytes.slice(0, this.end)
  }

  private rootWidth(position: number): number {
    let width = 1
    while (width < 8 && uintWidth(this.end + (-this.end & (width - 1)) - position) > width) width *= 2
    return width
  }
}

/**
 * A JSON value as a flexbuffer, with the keys of objects in order. Whole numbers up to 2^53 are written
 * as integers, others as floats of 64 bits; NaN becomes null, and fields that are `undefined` are left
 * out, both as in `JSON.stringify`. A value for which `problem` has a sentence is a defect.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (value: Json): Uint8Array => new Writer().encode(value)
