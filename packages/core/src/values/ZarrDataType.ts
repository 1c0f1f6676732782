/**
 * Zarr's data types: their configuration and their fill values. Pure. Source: Zarr 3 core specification, "Data types"
 * and "Fill value", and the registry `zarr-extensions`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject } from "./Json.ts"
import { isObject, type Named, named, type Problem, unknownProblem } from "./ZarrExtension.ts"

/**
 * A data type as far as the rest of an array's metadata depends on it.
 *
 * @category models
 * @since 0.1.0
 */
export interface DataType {
  readonly name: string
  /** Whether its elements are numbers of several bytes, which have an order. */
  readonly hasEndianness: boolean
  /** A sentence that says why a value cannot be the fill value. */
  readonly fillProblem: (value: Json) => string | undefined
}

type Fill = DataType["fillProblem"]

const anything: Fill = () => undefined

const boolean: Fill = (value) => (typeof value === "boolean" ? undefined : "it is neither true nor false")

const text: Fill = (value) => (typeof value === "string" ? undefined : "it is not a text")

const show = (value: Json): string => JSON.stringify(value).slice(0, 60)

/** Bounds are compared as the nearest numbers: JSON in JavaScript rounds what is beyond 2^53. */
const integer =
  (least: number, most: number): Fill =>
  (value) =>
    typeof value === "number" && Number.isInteger(value) && least <= value && value <= most
      ? undefined
      : `${show(value)} is not a whole number from ${least} to ${most}`

const float =
  (bytes: number): Fill =>
  (value) =>
    typeof value === "number" ||
    value === "NaN" ||
    value === "Infinity" ||
    value === "-Infinity" ||
    (typeof value === "string" && new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`).test(value))
      ? undefined
      : `${show(value)} is not a number, \`NaN\`, \`Infinity\`, \`-Infinity\` or \`0x\` with ${2 * bytes} digits`

const complex =
  (bytes: number): Fill =>
  (value) => {
    if (!Array.isArray(value) || value.length !== 2) return "it is not a list of the real and the imaginary part"
    return float(bytes)(value[0] as Json) ?? float(bytes)(value[1] as Json)
  }

/** A list of bytes, or their base 64. */
const byteList =
  (length: number | undefined): Fill =>
  (value) => {
    if (typeof value === "string") {
      return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)
        ? undefined
        : "it is not base 64"
    }
    const isByte = (byte: unknown): boolean => Number.isInteger(byte) && 0 <= Number(byte) && Number(byte) <= 255
    return Array.isArray(value) && (length === undefined || value.length === length) && value.every(isByte)
      ? undefined
      : `it is not a list of ${length ?? ""} bytes`.replace("  ", " ")
  }

const time: Fill = (value) => (value === "NaT" ? undefined : integer(-(2 ** 63), 2 ** 63)(value))

const simple = new Map<string, readonly [bytes: number, fill: Fill]>([
  ["bool", [1, boolean]],
  ["int2", [1, integer(-2, 1)]],
  ["int4", [1, integer(-8, 7)]],
  ["int8", [1, integer(-(2 ** 7), 2 ** 7 - 1)]],
  ["int16", [2, integer(-(2 ** 15), 2 ** 15 - 1)]],
  ["int32", [4, integer(-(2 ** 31), 2 ** 31 - 1)]],
  ["int64", [8, integer(-(2 ** 63), 2 ** 63)]],
  ["uint2", [1, integer(0, 3)]],
  ["uint4", [1, integer(0, 15)]],
  ["uint8", [1, integer(0, 2 ** 8 - 1)]],
  ["uint16", [2, integer(0, 2 ** 16 - 1)]],
  ["uint32", [4, integer(0, 2 ** 32 - 1)]],
  ["uint64", [8, integer(0, 2 ** 64)]],
  ["float16", [2, float(2)]],
  ["float32", [4, float(4)]],
  ["float64", [8, float(8)]],
  ["bfloat16", [2, float(2)]],
  ["complex64", [4, complex(4)]],
  ["complex128", [8, complex(8)]],
  ["complex_bfloat16", [2, complex(2)]],
  ["complex_float16", [2, complex(2)]],
  ["complex_float32", [4, complex(4)]],
  ["complex_float64", [8, complex(8)]],
  ["string", [1, text]],
  ["bytes", [1, byteList(undefined)]],
  ["variable_length_bytes", [1, byteList(undefined)]],
  // Registered, with fill values and configurations of their own.
  ...[
    "float4_e2m1fn",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "optional",
    "struct",
    "structured"
  ].map((name): [string, readonly [number, Fill]] => [name, [1, anything]])
])

const units = ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "μs", "µs", "ns", "ps", "fs", "as", "generic"]

const timeProblem = ({ scale_factor: scale, unit }: JsonObject): Problem | undefined => {
  if (typeof unit !== "string" || !units.includes(unit)) {
    return { path: ["configuration", "unit"], problem: `it is not one of ${units.join(", ")}` }
  }
  const problem = integer(1, 2 ** 31 - 1)(scale ?? null)
  return problem === undefined ? undefined : { path: ["configuration", "scale_factor"], problem }
}

const lengthProblem =
  (multiple: number) =>
  ({ length_bytes: length }: JsonObject): Problem | undefined =>
    typeof length === "number" && Number.isInteger(length) && length >= 0 && length < 2 ** 31 && length % multiple === 0
      ? undefined
      : {
          path: ["configuration", "length_bytes"],
          problem: `it is not a number of bytes${multiple === 1 ? "" : `, a multiple of ${multiple}`}`
        }

interface Configured {
  readonly problem: (configuration: JsonObject) => Problem | undefined
  readonly hasEndianness: boolean
  readonly fill: Fill
}

const configured = new Map<string, Configured>([
  ["numpy.datetime64", { problem: timeProblem, hasEndianness: true, fill: time }],
  ["numpy.timedelta64", { problem: timeProblem, hasEndianness: true, fill: time }],
  ["fixed_length_utf32", { problem: lengthProblem(4), hasEndianness: true, fill: text }],
  ["null_terminated_bytes", { problem: lengthProblem(1), hasEndianness: false, fill: byteList(undefined) }],
  ["raw_bytes", { problem: lengthProblem(1), hasEndianness: false, fill: byteList(undefined) }]
])

const knownNames: ReadonlyArray<string> = [...simple.keys(), ...configured.keys()]

/**
 * The data type that a `data_type` names.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (value: Json | undefined, extensions: ReadonlySet<string>): Result.Result<DataType, Problem> =>
  Result.flatMap(named(value), (type) => ofName(type, isObject(value), extensions))

const ofName = (type: Named, isNested: boolean, extensions: ReadonlySet<string>): Result.Result<DataType, Problem> => {
  const { configuration, name } = type
  const known = simple.get(name)
  if (known !== undefined) {
    return Result.succeed({ name, hasEndianness: known[0] > 1, fillProblem: known[1] })
  }
  const withConfiguration = configured.get(name)
  if (withConfiguration !== undefined) {
    const problem = withConfiguration.problem(configuration)
    return problem === undefined
      ? Result.succeed({
          name,
          hasEndianness: withConfiguration.hasEndianness,
          fillProblem: withConfiguration.fill
        })
      : Result.fail(problem)
  }
  const bits = /^r([1-9][0-9]*)$/.exec(name)?.[1]
  if (bits !== undefined && Number(bits) % 8 === 0) {
    return Result.succeed({ name, hasEndianness: false, fillProblem: byteList(Number(bits) / 8) })
  }
  if (bits !== undefined) {
    return Result.fail({ path: isNested ? ["name"] : [], problem: `\`${name}\` is not a whole number of bytes` })
  }
  const problem = unknownProblem("data type", type, knownNames, extensions)
  return problem === undefined
    ? Result.succeed({ name, hasEndianness: false, fillProblem: anything })
    : Result.fail({ path: isNested ? ["name"] : [], problem })
}
