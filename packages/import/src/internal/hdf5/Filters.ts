/**
 * Filters of HDF5 as codecs of Zarr. Pure. Source: HDF5 File Format Specification, "Data Storage - Filter Pipeline", and the
 * registry of filter plugins.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { JsonObject } from "../../Dataset.ts"
import * as Fletcher32 from "./Fletcher32.ts"
import type { Filter } from "./Layout.ts"

/** What the filters are applied to. */
export interface About {
  /** Bytes of an element. */
  readonly elementSize: number
  /** Bytes that the filters before put behind those of the elements. */
  readonly extraBytes?: number | undefined
}

/**
 * What stands for a filter: a codec; or a function of the filter's values that returns one, several, or the sentence that says why
 * there is none.
 */
type Registered =
  | JsonObject
  | ((values: ReadonlyArray<number>, about: About) => JsonObject | ReadonlyArray<JsonObject> | string)

/**
 * What stands for filters of HDF5, by their numbers.
 *
 * @category models
 * @since 0.1.0
 */
export type Table = Readonly<Record<number, Registered>>

/** Why chunks cannot be read by Zarr. */
export interface Problem {
  readonly reason: "filter" | "codec"
  readonly problem: string
}

/** A filter of the pipeline, as Zarr has it. */
interface Step {
  readonly filter: Filter
  /** The bit of a chunk's filter mask that says that it was skipped. */
  readonly bit: number
  /** None when the filter changes nothing. */
  readonly codecs: ReadonlyArray<JsonObject>
}

/** A pipeline: the steps that stay, and the checksum at its end that is dropped with its bytes. */
export interface Plan {
  readonly steps: ReadonlyArray<Step>
  /** The bit of the checksum at the end, or 0. */
  readonly tailBit: number
  /** Bits of a mask that make a difference to who decodes a chunk. */
  readonly bits: number
}

export const deflate = 1
export const shuffle = 2
export const fletcher32 = 3
export const blosc = 32_001
export const zstd = 32_015

const names: Readonly<Record<number, string>> = {
  [deflate]: "deflate",
  [shuffle]: "shuffle",
  [fletcher32]: "fletcher32",
  4: "szip",
  5: "nbit",
  6: "scale-offset",
  307: "bzip2",
  32_000: "lzf",
  [blosc]: "blosc",
  32_004: "lz4",
  32_008: "bitshuffle",
  32_013: "zfp",
  [zstd]: "zstd",
  32_026: "blosc2"
}

const label = ({ id, name }: Pick<Filter, "id" | "name">): string => {
  const known = names[id] ?? name
  return known === undefined ? `the filter ${id}` : `the filter \`${known}\` (${id})`
}

const compressors = ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"] as const
const shuffles = ["noshuffle", "shuffle", "bitshuffle"] as const

const within = (value: number | undefined, least: number, most: number, otherwise: number): number =>
  value !== undefined && Number.isInteger(value) && least <= value && value <= most ? value : otherwise

const builtIn: Table = {
  [deflate]: ([level]) => ({ name: "numcodecs.zlib", configuration: { level: within(level, 0, 9, 1) } }),
  [shuffle]: ([size], { elementSize, extraBytes = 0 }) => {
    const elements = size ?? elementSize
    if (elements === 1) return []
    if (extraBytes % elements !== 0) {
      return `it comes after a checksum of ${extraBytes} bytes, and neither zarrita nor numcodecs undoes it in chunks of no multiple of ${elements} bytes; write the file again without \`fletcher32\``
    }
    // zarrita takes the size of the data type, whatever the configuration says.
    return elements === elementSize
      ? { name: "numcodecs.shuffle", configuration: { elementsize: elements } }
      : `it is of elements of ${elements} bytes, the array has elements of ${elementSize}`
  },
  [fletcher32]: { name: "numcodecs.fletcher32", configuration: {} },
  [zstd]: ([level]) => ({
    name: "zstd",
    configuration: { level: within(level === undefined ? undefined : level | 0, -131_072, 22, 3), checksum: false }
  }),
  [blosc]: (values, { elementSize }) => ({
    name: "blosc",
    configuration: {
      cname: compressors[within(values[6], 0, 5, 0)]!,
      clevel: within(values[4], 0, 9, 5),
      shuffle: shuffles[within(values[5], 0, 2, 1)]!,
      typesize: within(values[2], 1, 255, Math.min(elementSize, 255)),
      blocksize: 0
    }
  })
}

const own =
  "nothing that reads Zarr decodes it; write the file again with another filter, or name a codec of yours in `filters`"

const reasons: Readonly<Record<number, string>> = {
  307: "zarrita has no codec for it; where all readers have one, name `numcodecs.bz2` in `filters`",
  32_004: "its blocks are framed otherwise than those of Zarr's `lz4`; write the file again with another filter"
}

const codecsOf = (filter: Filter, about: About, table: Table): ReadonlyArray<JsonObject> | Problem => {
  const found = Object.hasOwn(table, filter.id)
    ? table[filter.id]
    : Object.hasOwn(builtIn, filter.id)
      ? builtIn[filter.id]
      : undefined
  if (found === undefined) return { reason: "filter", problem: `${label(filter)}: ${reasons[filter.id] ?? own}` }
  const codecs = typeof found === "function" ? found(filter.values, about) : found
  if (typeof codecs === "string") return { reason: "filter", problem: `${label(filter)}: ${codecs}` }
  return Array.isArray(codecs) ? (codecs as ReadonlyArray<JsonObject>) : [codecs as JsonObject]
}

/** The bits of a mask whose filters have no codec. */
export const lacking = (filters: ReadonlyArray<Filter>, about: About, table: Table = {}): number =>
  filters.reduce((bits, filter, i) => ("problem" in codecsOf(filter, about, table) ? (bits | (1 << i)) >>> 0 : bits), 0)

/**
 * The steps of a pipeline. A checksum at its end is dropped; chunks are then shorter by its four bytes. Of what `mask` skips only
 * what it does not skip needs a codec.
 */
export const plan = (
  filters: ReadonlyArray<Filter>,
  about: About,
  table: Table = {},
  mask = 0
): Result.Result<Plan, Problem> => {
  if (filters.length > 32) return Result.fail({ reason: "filter", problem: `it has ${filters.length} filters` })
  const dropped = filters.at(-1)?.id === fletcher32 && !Object.hasOwn(table, fletcher32)
  const steps: Array<Step> = []
  let bits = 0
  let extraBytes = 0
  for (const [i, filter] of (dropped ? filters.slice(0, -1) : filters).entries()) {
    const bit = (1 << i) >>> 0
    const codecs = (mask & bit) !== 0 ? [] : codecsOf(filter, { ...about, extraBytes }, table)
    if ("problem" in codecs) return Result.fail(codecs)
    if (codecs.length === 0 && (mask & bit) === 0) continue
    steps.push({ filter, bit, codecs })
    if (filter.id === fletcher32 && (mask & bit) === 0) extraBytes += Fletcher32.size
    bits = (bits | bit) >>> 0
  }
  return Result.succeed({ steps, tailBit: dropped ? (1 << (filters.length - 1)) >>> 0 : 0, bits })
}

/** The codecs that follow `bytes`, and how many bytes at the end of each chunk they do not read. */
export const codecs = (
  filters: ReadonlyArray<Filter>,
  about: About & { readonly table?: Table | undefined; readonly mask?: number | undefined }
): Result.Result<{ readonly codecs: ReadonlyArray<JsonObject>; readonly dropTail: number }, Problem> =>
  Result.map(plan(filters, about, about.table, about.mask), ({ steps, tailBit }) => ({
    codecs: steps.flatMap(({ codecs }) => codecs),
    dropTail: tailBit === 0 ? 0 : 4
  }))
