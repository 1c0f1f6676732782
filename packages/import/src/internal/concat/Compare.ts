/**
 * Whether arrays of different files can be one array. Pure.
 *
 * @since 0.1.0
 */
import type { Json, JsonObject, VirtualArray } from "../../Dataset.ts"

/** Where two files do not agree. */
export interface Difference {
  /** The file that is unlike the first. */
  readonly location: string
  /** The path of the array in it. */
  readonly array: string
  /** What differs, as in `codecs` and `attributes.scale_factor`. */
  readonly field: string
  /** What the first file has, or what is needed; `undefined` for nothing. */
  readonly expected: Json | undefined
  readonly found: Json | undefined
}

/** An array, as far as it is compared. */
export type Described = Omit<VirtualArray, "chunks">

/** Attributes that say what the numbers mean: they belong to the values, and cannot differ. */
const meaning = ["scale_factor", "add_offset", "_FillValue", "missing_value", "units", "calendar", "_Unsigned", "dtype"]

const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, one]) => [name, canonical(one)]))
}

/** Whether two JSON values are the same, whatever the order of their fields. */
export const same = (a: Json | undefined, b: Json | undefined): boolean =>
  JSON.stringify(canonical(a)) === JSON.stringify(canonical(b))

/** Numbers that JSON does not have, or not exactly, as texts. */
const json = (value: Json | bigint | undefined): Json | undefined =>
  typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)) ? String(value) : value

/** All that differs between an array and the first file's. The length along `axis` may. */
export const arrays = (
  location: string,
  first: Described,
  other: Described,
  options: { readonly axis: number | undefined; readonly ignore?: ReadonlySet<string> | undefined }
): ReadonlyArray<Difference> => {
  const { axis, ignore } = options
  const found: Array<Difference> = []
  const compare = (field: string, a: Json | bigint | undefined, b: Json | bigint | undefined): void => {
    if (ignore?.has(field) !== true && !same(json(a), json(b))) {
      found.push({ location, array: other.path, field, expected: json(a), found: json(b) })
    }
  }
  const lengths = ({ shape }: Described) => shape.map((length, i) => (i === axis ? -1 : length))
  compare("dataType", first.dataType, other.dataType)
  compare("chunkShape", first.chunkShape, other.chunkShape)
  compare("codecs", first.codecs, other.codecs)
  compare("fillValue", first.fillValue, other.fillValue)
  compare("dimensionNames", first.dimensionNames, other.dimensionNames)
  if (!same(lengths(first), lengths(other))) compare("shape", first.shape, other.shape)
  for (const name of meaning) compare(`attributes.${name}`, first.attributes[name], other.attributes[name])
  return found
}

/** Attributes of several files: what all have. What differs is dropped, kept from the first, or a difference. */
export const attributes = (
  all: ReadonlyArray<{ readonly location: string; readonly attributes: JsonObject }>,
  array: string,
  how: "drop" | "first" | "identical"
): { readonly attributes: JsonObject; readonly differences: ReadonlyArray<Difference> } => {
  const first = all[0]?.attributes ?? {}
  if (how === "first") return { attributes: first, differences: [] }
  const kept: Record<string, Json> = { ...first }
  const differences: Array<Difference> = []
  for (const { attributes, location } of all.slice(1)) {
    for (const name of new Set([...Object.keys(first), ...Object.keys(attributes)])) {
      if (same(first[name], attributes[name])) continue
      delete kept[name]
      if (how === "identical") {
        const values = { expected: first[name], found: attributes[name] }
        differences.push({ location, array, field: `attributes.${name}`, ...values })
      }
    }
  }
  return { attributes: kept, differences }
}

/** Codecs of an array that gets one dimension more, before the others and in chunks of 1. */
export const raised = (codecs: ReadonlyArray<JsonObject>, rank: number): ReadonlyArray<JsonObject> =>
  codecs.map((codec) => {
    const configuration = codec["configuration"] as JsonObject | undefined
    if (codec["name"] === "transpose") {
      const order = configuration?.["order"]
      if (order === "C") return codec
      const axes = Array.isArray(order)
        ? (order as ReadonlyArray<number>)
        : Array.from({ length: rank }, (_, i) => rank - 1 - i)
      return { ...codec, configuration: { ...configuration, order: [0, ...axes.map((axis) => axis + 1)] } }
    }
    if (codec["name"] !== "sharding_indexed") return codec
    const shape = configuration?.["chunk_shape"] as ReadonlyArray<number>
    const inner = configuration?.["codecs"] as ReadonlyArray<JsonObject>
    return { ...codec, configuration: { ...configuration, chunk_shape: [1, ...shape], codecs: raised(inner, rank) } }
  })
