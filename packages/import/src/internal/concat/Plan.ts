/**
 * How sources become one: what each array is, and all that stands in the way.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Json } from "../../Dataset.ts"
import * as Compare from "./Compare.ts"
import * as Times from "./Times.ts"
import * as Numbers from "../Numbers.ts"
import * as Values from "./Values.ts"

/** A file, or what is in a session already. */
export interface Source<E> {
  readonly location: string
  readonly arrays: ReadonlyArray<Compare.Described>
  readonly bytes: (path: string, maxBytes: number) => Effect.Effect<Values.ChunkBytes | Values.Unread, E>
}

export interface Options {
  readonly dimension: string
  readonly isNew: boolean
  readonly recode: boolean
  readonly maxBytes: number
  readonly concurrency: number
}

/** What becomes of an array. */
export type Part =
  | { readonly _tag: "Joined"; readonly path: string; readonly axis: number; readonly lengths: ReadonlyArray<number> }
  | {
      readonly _tag: "Recoded"
      readonly path: string
      readonly lengths: ReadonlyArray<number>
      readonly values: ReadonlyArray<ReadonlyArray<number | bigint>>
    }
  | { readonly _tag: "Raised"; readonly path: string }
  | { readonly _tag: "Constant"; readonly path: string }

export interface Plan {
  readonly parts: ReadonlyArray<Part>
  readonly differences: ReadonlyArray<Compare.Difference>
}

type Difference = Compare.Difference

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

const groupOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1)

/** Arrays that say where others are: they are one for all files when a dimension is new. */
const coordinates = (arrays: ReadonlyArray<Compare.Described>): ReadonlySet<string> => {
  const found = new Set<string>()
  for (const { attributes, dimensionNames, path } of arrays) {
    if (dimensionNames?.length === 1 && dimensionNames[0] === nameOf(path)) found.add(path)
    for (const field of ["coordinates", "grid_mapping", "bounds"]) {
      const names = attributes[field]
      if (typeof names !== "string") continue
      for (const name of names.split(/[\s:]+/)) if (name !== "") found.add(`${groupOf(path)}${name}`)
    }
  }
  return found
}

/** Files that lack an array, and files that have more. */
const lists = (sources: ReadonlyArray<Source<unknown>>): ReadonlyArray<Difference> => {
  const [first, ...others] = sources
  const wanted = new Set(first!.arrays.map(({ path }) => path))
  return others.flatMap(({ arrays, location }) => {
    const found = new Set(arrays.map(({ path }) => path))
    const line = (path: string, expected: boolean): Difference => ({
      location,
      array: path,
      field: "array",
      expected: expected ? path : undefined,
      found: expected ? undefined : path
    })
    const lacks = [...wanted].filter((path) => !found.has(path)).map((path) => line(path, true))
    return lacks.concat([...found].filter((path) => !wanted.has(path)).map((path) => line(path, false)))
  })
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/** The chunk length of an array that is written again: all files but the last have whole chunks of it. */
export const chunkLength = (lengths: ReadonlyArray<number>): number =>
  Math.max(1, lengths.length > 1 ? lengths.slice(0, -1).reduce(gcd, 0) : lengths[0]!)

/** Files that end within a chunk, though others follow. */
const misaligned = (
  sources: ReadonlyArray<Source<unknown>>,
  arrays: ReadonlyArray<Compare.Described>,
  axis: number
): ReadonlyArray<Difference> => {
  const chunk = arrays[0]!.chunkShape[axis]!
  return arrays.slice(0, -1).flatMap(({ path, shape }, i) =>
    shape[axis]! % chunk === 0
      ? []
      : [
          {
            location: sources[i]!.location,
            array: path,
            field: `shape[${axis}]`,
            expected: `a multiple of the chunk length ${chunk}`,
            found: shape[axis]!
          }
        ]
  )
}

const elements = ({ shape }: Compare.Described): number => shape.reduce((a, b) => a * b, 1)

const valueLine = (location: string, array: string, expected: string, found: string): Difference => ({
  location,
  array,
  field: "values",
  expected,
  found
})

const loaded = <E>(source: Source<E>, described: Compare.Described, maxBytes: number) =>
  elements(described) * 8 > maxBytes ? Effect.succeed("too large" as const) : source.bytes(described.path, maxBytes)

/** Compares the values of an array that is not concatenated. */
const constant = Effect.fnUntraced(function* <E>(
  sources: ReadonlyArray<Source<E>>,
  arrays: ReadonlyArray<Compare.Described>,
  { concurrency, maxBytes }: Options
) {
  const { path } = arrays[0]!
  if (sources.length === 1) return []
  const first = yield* loaded(sources[0]!, arrays[0]!, maxBytes)
  if (typeof first === "string")
    return [valueLine(sources[0]!.location, path, `values within ${maxBytes} bytes`, first)]
  let decoded: Values.Numbers | undefined
  const lines = yield* Effect.forEach(
    sources.slice(1),
    Effect.fnUntraced(function* (source, i) {
      const other = yield* loaded(source, arrays[i + 1]!, maxBytes)
      const { location } = source
      if (typeof other === "string") return valueLine(location, path, "the first file's", other)
      if (Values.sameBytes(first, other)) return undefined
      decoded ??= yield* Values.decode(arrays[0]!, first)
      const values = yield* Values.decode(arrays[i + 1]!, other)
      if (decoded === undefined || values === undefined) {
        return valueLine(location, path, "the first file's bytes", "others, which zarrita does not decode")
      }
      return Values.sameValues(decoded, values) ? undefined : valueLine(location, path, "the first file's", "others")
    }),
    { concurrency }
  )
  return lines.filter((line) => line !== undefined)
})

const unitsField = "attributes.units"

/** What may differ in an array that is written again. */
const recodable: ReadonlySet<string> = new Set([unitsField, "chunkShape", "codecs"])

/** Values of a coordinate in the units of the first file. */
const recoded = Effect.fnUntraced(function* <E>(
  sources: ReadonlyArray<Source<E>>,
  arrays: ReadonlyArray<Compare.Described>,
  { concurrency, maxBytes }: Options
) {
  const [first] = arrays
  const { dataType, path } = first!
  const units = first!.attributes["units"]
  const each = yield* Effect.forEach(
    sources,
    Effect.fnUntraced(function* (source, i) {
      const array = arrays[i]!
      const line = (field: string, expected: Json, found: Json): Difference => ({
        location: source.location,
        array: path,
        field,
        expected,
        found
      })
      const bytes = yield* loaded(source, array, maxBytes / sources.length)
      if (typeof bytes === "string") return line("values", `values within ${maxBytes} bytes in all files`, bytes)
      const values = yield* Values.decode(array, bytes)
      if (values === undefined) return line("values", "a coordinate that zarrita decodes", "not decoded")
      const numbers = Array.from(values as ArrayLike<number | bigint>)
      const own = array.attributes["units"]
      if (Compare.same(own, units)) return numbers
      const { _FillValue: fill, calendar = "standard" } = array.attributes
      const isPacked = "scale_factor" in array.attributes || "add_offset" in array.attributes
      const how =
        typeof own === "string" && typeof units === "string" && typeof calendar === "string" && !isPacked
          ? Times.conversion(own, units, calendar)
          : undefined
      if (how === undefined) return line(unitsField, units ?? null, own ?? null)
      const converted = numbers.map((value): number | bigint | undefined => {
        if (Number(value) === fill) return value
        const number = Number(value) * how.factor + how.shift
        if (!Values.fits(dataType as string, number)) return undefined
        return typeof value === "bigint" ? BigInt(number) : number
      })
      return converted.includes(undefined)
        ? line("values", `whole numbers of \`${units as string}\``, own as string)
        : (converted as ReadonlyArray<number | bigint>)
    }),
    { concurrency }
  )
  const differences = each.filter((one) => !Array.isArray(one)) as ReadonlyArray<Difference>
  const part: Part = {
    _tag: "Recoded",
    path,
    lengths: arrays.map(({ shape }) => shape[0]!),
    values: differences.length === 0 ? (each as ReadonlyArray<ReadonlyArray<number | bigint>>) : []
  }
  return { differences, part }
})

const joined = Effect.fnUntraced(function* <E>(
  sources: ReadonlyArray<Source<E>>,
  arrays: ReadonlyArray<Compare.Described>,
  axis: number,
  options: Options
) {
  const [first] = arrays
  const against = (ignore?: ReadonlySet<string>) =>
    arrays.slice(1).flatMap((other, i) => Compare.arrays(sources[i + 1]!.location, first!, other, { axis, ignore }))
  const differences = [...against(), ...misaligned(sources, arrays, axis)]
  const { path } = first!
  const lengths = arrays.map(({ shape }) => shape[axis]!)
  const mayRecode = options.recode && first!.shape.length === 1 && Numbers.isWritable(first!.dataType)
  if (differences.length > 0 && mayRecode && against(recodable).length === 0) {
    return yield* recoded(sources, arrays, options)
  }
  return { differences, part: { _tag: "Joined", path, axis, lengths } satisfies Part }
})

/** Arrays of one source that have other lengths along the dimension than the first of them. */
const unevenLengths = <E>(
  sources: ReadonlyArray<Source<E>>,
  parts: ReadonlyArray<Part>,
  dimension: string
): ReadonlyArray<Difference> => {
  const long = parts.filter((part) => part._tag === "Joined" || part._tag === "Recoded")
  return sources.flatMap(({ location }, i) =>
    long
      .filter(({ lengths }) => lengths[i] !== long[0]!.lengths[i])
      .map(({ lengths, path }) => ({
        location,
        array: path,
        field: `length along \`${dimension}\``,
        expected: long[0]!.lengths[i]!,
        found: lengths[i]!
      }))
  )
}

/** Looks at all arrays of all sources, and gathers what stands in the way. */
export const make = Effect.fnUntraced(function* <E>(
  sources: ReadonlyArray<Source<E>>,
  options: Options
): Effect.fn.Return<Plan, E> {
  const { dimension, isNew } = options
  const listed = lists(sources)
  const first = sources[0]!
  const byPath = sources.map(({ arrays }) => new Map(arrays.map((one) => [one.path, one])))
  const shared = first.arrays.filter(({ path }) => byPath.every((arrays) => arrays.has(path)))
  const has = ({ dimensionNames }: Compare.Described) => dimensionNames?.includes(dimension) === true
  const line = (field: string, expected: string, found: Json | undefined): Difference => ({
    location: first.location,
    array: "/",
    field,
    expected,
    found
  })
  if (!isNew && !first.arrays.some(has)) {
    const names = [...new Set(first.arrays.flatMap(({ dimensionNames }) => dimensionNames ?? []))]
    return { parts: [], differences: [...listed, line("dimension", dimension, names)] }
  }
  if (isNew && first.arrays.some((one) => has(one) || one.path === `/${dimension}`)) {
    return { parts: [], differences: [...listed, line("dimension", `a new one, unlike \`${dimension}\``, dimension)] }
  }
  const kept = coordinates(first.arrays)
  const each = yield* Effect.forEach(
    shared,
    Effect.fnUntraced(function* (one) {
      const arrays = byPath.map((all) => all.get(one.path)!)
      const axis = one.dimensionNames?.indexOf(dimension) ?? -1
      if (!isNew && axis >= 0) return yield* joined(sources, arrays, axis, options)
      // The bytes of a constant may be encoded otherwise: its values count.
      const isConstant = !isNew || kept.has(one.path)
      const ignore = isConstant ? new Set(["codecs", "chunkShape"]) : undefined
      const differences = arrays
        .slice(1)
        .flatMap((other, i) => Compare.arrays(sources[i + 1]!.location, one, other, { axis: undefined, ignore }))
      if (!isConstant) return { differences, part: { _tag: "Raised", path: one.path } satisfies Part }
      const part = { _tag: "Constant", path: one.path } satisfies Part
      return { differences: differences.length > 0 ? differences : yield* constant(sources, arrays, options), part }
    })
  )
  return {
    parts: each.map(({ part }) => part),
    differences: [
      ...listed,
      ...each.flatMap(({ differences }) => differences),
      ...unevenLengths(
        sources,
        each.map(({ part }) => part),
        dimension
      )
    ]
  }
})
