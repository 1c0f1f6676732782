/**
 * Types of values. Pure. Source: HDF5 File Format Specification 3.0, IV.A.2.d.
 *
 * @since 0.1.0
 */
import type { Cursor } from "./Cursor.ts"

export type Datatype =
  | { readonly _tag: "Integer"; readonly size: number; readonly isSigned: boolean; readonly isBig: boolean }
  | { readonly _tag: "Float"; readonly size: number; readonly isBig: boolean }
  | { readonly _tag: "Text"; readonly size: number; readonly isSpacePadded: boolean }
  | { readonly _tag: "VariableText"; readonly size: number }
  | { readonly _tag: "Sequence"; readonly size: number; readonly of: Datatype }
  | { readonly _tag: "Enumeration"; readonly size: number; readonly of: Datatype; readonly isBoolean: boolean }
  | { readonly _tag: "Reference"; readonly size: number; readonly isObject: boolean }
  /** What no Zarr data type that is widely read is like; `what` says it. */
  | { readonly _tag: "Other"; readonly size: number; readonly what: string }

const maxDepth = 32

/** Skips a name: up to its NUL, padded to eight bytes before version 3. */
const name = (cursor: Cursor, version: number): Uint8Array => {
  const from = cursor.at
  let length = 0
  while (cursor.u8() !== 0) length++
  if (version < 3) cursor.skip((8 - ((cursor.at - from) % 8)) % 8)
  return cursor.bytes.subarray(from, from + length)
}

const isName = (bytes: Uint8Array, text: string): boolean =>
  bytes.length === text.length && bytes.every((byte, i) => byte === text.charCodeAt(i))

/** Layouts of IEEE 754 by their size: exponent location and size, mantissa location and size. */
const ieee: Readonly<Record<number, string>> = { 2: "10 5 0 10", 4: "23 8 0 23", 8: "52 11 0 52" }

const fixed = (cursor: Cursor, bits: number, size: number): Datatype => {
  const offset = cursor.u16()
  const precision = cursor.u16()
  if (offset !== 0 || precision !== 8 * size || ![1, 2, 4, 8].includes(size)) {
    return { _tag: "Other", size, what: `an integer of ${precision} bits in ${size} bytes` }
  }
  return { _tag: "Integer", size, isSigned: (bits & 8) !== 0, isBig: (bits & 1) !== 0 }
}

const floating = (cursor: Cursor, bits: number, size: number): Datatype => {
  const offset = cursor.u16()
  const precision = cursor.u16()
  const layout = Array.from({ length: 4 }, () => cursor.u8()).join(" ")
  cursor.skip(4)
  const isVax = (bits & 0x40) !== 0
  if (offset !== 0 || precision !== 8 * size || ieee[size] !== layout || isVax) {
    return { _tag: "Other", size, what: `a floating point number of ${precision} bits that is not of IEEE 754` }
  }
  return { _tag: "Float", size, isBig: (bits & 1) !== 0 }
}

const compound = (cursor: Cursor, version: number, bits: number, size: number, depth: number): Datatype => {
  const members = bits & 0xffff
  const names: Array<string> = []
  for (let i = 0; i < members; i++) {
    const bytes = name(cursor, version)
    if (names.length < 4) names.push(new TextDecoder("latin1").decode(bytes))
    if (version >= 3) {
      let width = 1
      while (width < 4 && size >= 2 ** (8 * width)) width++
      cursor.skip(width)
    } else cursor.skip(version === 1 ? 4 + 1 + 3 + 4 + 4 + 16 : 4)
    parse(cursor, depth + 1)
  }
  return {
    _tag: "Other",
    size,
    what: `a compound of ${members} members (${names.join(", ")}${members > 4 ? ", …" : ""})`
  }
}

const enumeration = (cursor: Cursor, version: number, bits: number, size: number, depth: number): Datatype => {
  const members = bits & 0xffff
  const of = parse(cursor, depth + 1)
  const names = Array.from({ length: members }, () => name(cursor, version))
  const values = cursor.take(members * of.size)
  const isBoolean =
    members === 2 &&
    of.size === 1 &&
    isName(names[0]!, "FALSE") &&
    isName(names[1]!, "TRUE") &&
    values[0] === 0 &&
    values[1] === 1
  return { _tag: "Enumeration", size, of, isBoolean }
}

export const parse = (cursor: Cursor, depth = 0): Datatype => {
  const at = cursor.at
  if (depth > maxDepth) cursor.fail("types are nested too deep")
  const first = cursor.u8()
  const version = first >> 4
  const bits = cursor.uint(3)
  const size = cursor.u32()
  if (version < 1 || version > 5) cursor.unknown(`version ${version} of a type is not known`, at)
  switch (first & 0x0f) {
    case 0:
      return fixed(cursor, bits, size)
    case 1:
      return floating(cursor, bits, size)
    case 2:
      cursor.skip(2)
      return { _tag: "Other", size, what: "a time" }
    case 3:
      return { _tag: "Text", size, isSpacePadded: (bits & 0x0f) === 2 }
    case 4:
      cursor.skip(4)
      return { _tag: "Other", size, what: "a bit field" }
    case 5:
      cursor.skip(Math.min(cursor.left, bits & 0xff))
      return { _tag: "Other", size, what: "opaque" }
    case 6:
      return compound(cursor, version, bits, size, depth)
    case 7:
      return { _tag: "Reference", size, isObject: (bits & 0x0f) === 0 }
    case 8:
      return enumeration(cursor, version, bits, size, depth)
    case 9: {
      const of = parse(cursor, depth + 1)
      return (bits & 0x0f) === 1 ? { _tag: "VariableText", size } : { _tag: "Sequence", size, of }
    }
    case 10: {
      const rank = cursor.u8()
      cursor.skip((version < 3 ? 3 + 4 * rank : 0) + 4 * rank)
      parse(cursor, depth + 1)
      return { _tag: "Other", size, what: "an array in each element" }
    }
    default:
      return cursor.unknown(`types of class ${first & 0x0f} are not known`, at)
  }
}
