/**
 * Data types of Zarr 2, as numpy writes them, and their fill values in Zarr 3. Pure. Source: Zarr 2 specification, "Data type
 * encoding" and "Fill value encoding"; the registry `zarr-extensions`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject, Skipped } from "../../Dataset.ts"
import * as Values from "../Values.ts"

/** Why an array cannot be virtualised. */
export interface Problem {
  readonly reason: Skipped["reason"]
  readonly problem: string
}

/** A type of Zarr 2. */
export interface DataType2 {
  /** In Zarr 3. `undefined` for objects, whose type is that of their filter. */
  readonly dataType: string | JsonObject | undefined
  /** As numpy has them, in one letter. */
  readonly kind: "b" | "i" | "u" | "f" | "c" | "S" | "U" | "V" | "M" | "m" | "O" | "struct"
  /** Bytes of an element. */
  readonly itemSize: number
  /** `undefined` where elements have no order of bytes. */
  readonly endian: "little" | "big" | undefined
}

const fail = (reason: Problem["reason"], problem: string): Result.Result<never, Problem> =>
  Result.fail({ reason, problem })

const names: Readonly<Record<string, string>> = {
  b1: "bool",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  f2: "float16",
  f4: "float32",
  f8: "float64",
  c8: "complex64",
  c16: "complex128"
}

const maxItem = 2 ** 31 - 1

const simple = (text: string): Result.Result<DataType2, Problem> => {
  const unknown = fail("data type", `\`${text.slice(0, 40)}\` is not a data type of Zarr 2 that Zarr 3 has`)
  const match = /^([<>|])([biufcSUVOMm])(\d{0,10})(?:\[(\d{0,10})([A-Za-zμµ]+)\])?$/.exec(text)
  if (match === null) return unknown
  const [, order, letter, digits, scale, unit] = match as unknown as [
    string,
    string,
    DataType2["kind"],
    string,
    ...Array<string>
  ]
  const count = Number(digits)
  const swapped = order === "<" ? "little" : order === ">" ? "big" : undefined
  if ((unit !== undefined) !== (letter === "M" || letter === "m")) return unknown
  if (letter === "O") {
    return Result.succeed({ dataType: undefined, kind: letter, itemSize: 1, endian: undefined })
  }
  if (count < 1 || count * 4 > maxItem) return unknown
  if (letter === "S" || letter === "V") {
    const name = letter === "S" ? "null_terminated_bytes" : "raw_bytes"
    const dataType = { name, configuration: { length_bytes: count } }
    return Result.succeed({ dataType, kind: letter, itemSize: count, endian: undefined })
  }
  if (letter === "U") {
    if (swapped === undefined) return unknown
    const dataType = { name: "fixed_length_utf32", configuration: { length_bytes: 4 * count } }
    return Result.succeed({ dataType, kind: letter, itemSize: 4 * count, endian: swapped })
  }
  if (letter === "M" || letter === "m") {
    if (count !== 8 || swapped === undefined) return unknown
    const configuration = { unit: unit!, scale_factor: scale === "" || scale === undefined ? 1 : Number(scale) }
    const dataType = { name: letter === "M" ? "numpy.datetime64" : "numpy.timedelta64", configuration }
    return Result.succeed({ dataType, kind: letter, itemSize: 8, endian: swapped })
  }
  const name = names[`${letter}${count}`]
  if (name === undefined || (count > 1 && swapped === undefined)) return unknown
  return Result.succeed({ dataType: name, kind: letter, itemSize: count, endian: count > 1 ? swapped : undefined })
}

const structured = (fields: ReadonlyArray<Json>): Result.Result<DataType2, Problem> => {
  const parts: Array<readonly [string, string | JsonObject]> = []
  const orders = new Set<string>()
  let itemSize = 0
  if (fields.length === 0 || fields.length > 10_000) return fail("data type", "it has no fields, or more than 10,000")
  for (const field of fields) {
    const [name, type, ...shape] = Array.isArray(field) ? (field as ReadonlyArray<Json>) : []
    if (typeof name !== "string" || typeof type !== "string" || shape.length > 0) {
      return fail("data type", "a field of its structure is not a name and a simple type")
    }
    const parsed = simple(type)
    if (Result.isFailure(parsed)) return parsed
    const { dataType, endian, itemSize: size } = parsed.success
    if (dataType === undefined) return fail("data type", `the field \`${name}\` holds objects`)
    if (endian !== undefined) orders.add(endian)
    parts.push([name, dataType])
    itemSize += size
  }
  if (orders.size > 1) return fail("data type", "some fields of its structure are little-endian, others big-endian")
  return Result.succeed({
    dataType: { name: "structured", configuration: { fields: parts } },
    kind: "struct",
    itemSize,
    endian: orders.has("big") ? "big" : orders.has("little") ? "little" : undefined
  })
}

/** The type that a `dtype` names. */
export const parse = (dtype: Json | undefined): Result.Result<DataType2, Problem> =>
  typeof dtype === "string"
    ? simple(dtype)
    : Array.isArray(dtype)
      ? structured(dtype as ReadonlyArray<Json>)
      : fail("data type", "its `dtype` is neither a text nor a list of fields")

const ranges: Readonly<Record<string, readonly [bigint | number, bigint | number]>> = {
  i1: [-128, 127],
  i2: [-32_768, 32_767],
  i4: [-2_147_483_648, 2_147_483_647],
  i8: [-(2n ** 63n), 2n ** 63n - 1n],
  u1: [0, 255],
  u2: [0, 65_535],
  u4: [0, 4_294_967_295],
  u8: [0n, 2n ** 64n - 1n]
}

const isFloat = (value: Json | bigint | undefined): boolean =>
  typeof value === "number" || value === "NaN" || value === "Infinity" || value === "-Infinity"

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const zeros = (bytes: number): string => btoa("\0".repeat(Math.min(bytes, 65_536)))

/** What missing chunks read as. Zarr 2's `null` leaves it open, and is zero here, as readers have it. */
export const fillValue = (type: DataType2, value: Json | bigint): Result.Result<Json | bigint, Problem> => {
  const { itemSize, kind } = type
  const wrong = fail("value", `its fill value ${Values.shown(value)} is not one of its data type`)
  switch (kind) {
    case "b":
      return value === null || value === 0 || value === false
        ? Result.succeed(false)
        : value === 1 || value === true
          ? Result.succeed(true)
          : wrong
    case "i":
    case "u": {
      if (value === null) return Result.succeed(0)
      const [least, most] = ranges[`${kind}${itemSize}`]!
      const number = typeof value === "boolean" ? Number(value) : value
      const isWhole = typeof number === "bigint" || (typeof number === "number" && Number.isSafeInteger(number))
      return isWhole && least <= number && number <= most ? Result.succeed(number) : wrong
    }
    case "f":
      return value === null ? Result.succeed(0) : isFloat(value) ? Result.succeed(value) : wrong
    case "c": {
      if (value === null || value === 0) return Result.succeed([0, 0])
      const parts = Array.isArray(value) ? (value as ReadonlyArray<Json>) : []
      return parts.length === 2 && parts.every(isFloat) ? Result.succeed(parts) : wrong
    }
    case "M":
    case "m":
      if (value === null) return Result.succeed(kind === "M" ? "NaT" : 0)
      // What numpy has for NaT, also where JSON rounds it.
      if (value === "NaT" || value === -(2 ** 63)) return Result.succeed("NaT")
      return typeof value === "number" && Number.isSafeInteger(value) ? Result.succeed(value) : wrong
    case "U":
      return value === null || value === 0
        ? Result.succeed("")
        : typeof value === "string"
          ? Result.succeed(value)
          : wrong
    case "S":
      return value === null || value === 0
        ? Result.succeed("")
        : typeof value === "string" && base64.test(value)
          ? Result.succeed(value)
          : wrong
    case "V":
    case "struct":
      return value === null || value === 0
        ? Result.succeed(zeros(itemSize))
        : typeof value === "string" && base64.test(value)
          ? Result.succeed(value)
          : wrong
    case "O":
      return typeof value === "string" ? Result.succeed(value) : Result.succeed("")
  }
}

/**
 * The attribute `_FillValue` that xarray takes from the fill value of an array of Zarr 2, and wants to be given for one of Zarr 3.
 */
export const fillAttribute = ({ kind }: DataType2, fill: Json | bigint): Json | undefined => {
  // Attributes have no integers beyond 2^53.
  if (typeof fill === "bigint") return undefined
  if (kind === "f") return Values.floatFillJson(Number(fill === "NaN" ? Number.NaN : fill))
  return kind === "i" || kind === "u" || kind === "b" || kind === "U" || kind === "S" ? fill : undefined
}
