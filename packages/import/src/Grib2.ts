/**
 * GRIB 2 files. A field is a chunk: those of one parameter, statistic and kind of level are an array
 * `/<name>/<statistic>/<kind of level>/<name>`, over time, step and level, with coordinates beside it.
 *
 * Chunks have the codec `gribberish`, which Python's package of that name reads. `codecs/Grib2` reads simple packing in zarrita.
 *
 * @since 0.1.0
 */
import { Location } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Chunks, Dataset, Group, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import type { ImportError } from "./ImportError.ts"
import * as ByteSource from "./internal/ByteSource.ts"
import type * as Field from "./internal/grib2/Field.ts"
import * as Index from "./internal/grib2/Index.ts"
import * as Messages from "./internal/grib2/Messages.ts"
import * as Numbers from "./internal/Numbers.ts"
import * as Paths from "./internal/Paths.ts"
import * as Pieces from "./internal/Pieces.ts"
import type { ReadOptions, SourceFile } from "./SourceFile.ts"

/**
 * How a file is imported.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ReadOptions {
  /**
   * The text of an index of the file, as wgrib2 (`.idx`) or ECMWF (`.index`) write it: its messages are then read together, and
   * only those. Without one they are read one after the other.
   */
  readonly index?: string | undefined
}

const distinct = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  [...new Set(values)].toSorted((a, b) => a - b)

const coordinate = (
  path: string,
  dimension: string,
  values: ReadonlyArray<number> | Float64Array,
  attributes: JsonObject,
  isInteger = false
): VirtualArray => {
  const dataType = isInteger ? "int64" : "float64"
  return {
    path,
    shape: [values.length],
    chunkShape: [values.length],
    dataType,
    fillValue: isInteger ? 0 : "NaN",
    codecs: [{ name: "bytes", configuration: { endian: "little" } }],
    dimensionNames: [dimension],
    attributes,
    chunks: Stream.sync((): Chunks => ({ _tag: "Bytes", index: [0], bytes: Numbers.encode(dataType, values) }))
  }
}

/** An axis of fields: which place along it a field has, and its coordinates. */
interface Axis {
  readonly name: string
  readonly size: number
  readonly place: (field: Messages.Located) => number
  readonly arrays: (base: string) => ReadonlyArray<VirtualArray>
}

const axis = (
  name: string,
  fields: ReadonlyArray<Messages.Located>,
  valueOf: (field: Messages.Located) => number,
  attributes: JsonObject,
  isInteger = false
): Axis => {
  const values = distinct(fields.map(valueOf))
  const places = new Map(values.map((value, i) => [value, i]))
  return {
    name,
    size: values.length,
    place: (field) => places.get(valueOf(field))!,
    arrays: (base) => [coordinate(`${base}/${name}`, name, values, attributes, isInteger)]
  }
}

const levelAxis = (name: string, fields: ReadonlyArray<Messages.Located>): Axis => {
  const keyOf = ({ product }: Messages.Located) => product.levels.join(" ")
  const levels = [...new Map(fields.map((field) => [keyOf(field), field.product.levels])).values()].toSorted(
    (a, b) => a[0] - b[0] || a[1] - b[1]
  )
  const places = new Map(levels.map((pair, i) => [pair.join(" "), i]))
  const units = name.startsWith("isobaric") ? { units: "hPa" } : name.includes("height") ? { units: "m" } : {}
  const column = (base: string, path: string, at: 0 | 1) =>
    coordinate(
      `${base}/${path}`,
      name,
      levels.map((pair) => pair[at]),
      units
    )
  return {
    name,
    size: levels.length,
    place: (field) => places.get(keyOf(field))!,
    arrays: (base) => [column(base, name, 0), ...(name.includes("Layer") ? [column(base, `${name}_bottom`, 1)] : [])]
  }
}

const gridArrays = (base: string, { axes }: Field.Grid): ReadonlyArray<VirtualArray> =>
  axes === undefined
    ? []
    : [
        coordinate(`${base}/latitude`, "latitude", axes.latitude, {
          standard_name: "latitude",
          units: "degrees_north"
        }),
        coordinate(`${base}/longitude`, "longitude", axes.longitude, {
          standard_name: "longitude",
          units: "degrees_east"
        })
      ]

/** Fields of one array, each at a place of its own; and those that would take the place of another. */
const arraysOf = (source: ByteSource.ByteSource, base: string, all: ReadonlyArray<Messages.Located>) => {
  const { grid, product } = all[0]!
  const [name, longName, units] = product.name
  const axes: ReadonlyArray<Axis> = [
    ...(product.member === undefined ? [] : [axis("number", all, (one) => one.product.member!, {}, true)]),
    axis(
      "time",
      all,
      (one) => one.time,
      { standard_name: "forecast_reference_time", units: "seconds since 1970-01-01", calendar: "proleptic_gregorian" },
      true
    ),
    axis("step", all, (one) => one.product.step, { standard_name: "forecast_period", units: "hours" }),
    levelAxis(product.typeOfLevel, all)
  ]
  const taken = new Set<string>()
  const fields: Array<Messages.Located> = []
  const twice: Array<Messages.Located> = []
  for (const field of all) {
    const place = axes.map((one) => one.place(field)).join(" ")
    ;(taken.has(place) ? twice : fields).push(field)
    taken.add(place)
  }
  const rank = axes.length + 2
  const batch = (rows: ReadonlyArray<Messages.Located>): Chunks => {
    const indices = new Uint32Array(rows.length * rank)
    for (const [row, field] of rows.entries()) {
      for (const [i, one] of axes.entries()) indices[row * rank + i] = one.place(field)
    }
    return Pieces.refs(source, {
      indices,
      offsets: Float64Array.from(rows, ({ start }) => start),
      lengths: Float64Array.from(rows, ({ end, start }) => end - start)
    })
  }
  const main: VirtualArray = {
    path: `${base}/${name}`,
    shape: [...axes.map(({ size }) => size), grid.ny, grid.nx],
    chunkShape: [...axes.map(() => 1), grid.ny, grid.nx],
    dataType: "float64",
    fillValue: "NaN",
    codecs: [{ name: "gribberish", configuration: { var: name } }],
    dimensionNames: [...axes.map((one) => one.name), ...(grid.axes ? ["latitude", "longitude"] : ["y", "x"])],
    attributes: {
      long_name: longName,
      units,
      GRIB_stepType: product.stepType,
      GRIB_typeOfLevel: product.typeOfLevel,
      GRIB_gridDefinitionTemplateNumber: grid.template
    },
    chunks: Stream.map(Pieces.batches(fields.length), ({ from, to }) => batch(fields.slice(from, to)))
  }
  return { arrays: [main, ...axes.flatMap((one) => one.arrays(base)), ...gridArrays(base, grid)], twice }
}

/** Messages of which the first bytes are asked for together. */
const together = 256

const readAll = Effect.fnUntraced(function* (
  source: ByteSource.ByteSource,
  index: string | undefined
): Effect.fn.Return<ReadonlyArray<Messages.Message>, ImportError> {
  const grids = new Map<string, Field.Grid>()
  const messages: Array<Messages.Message> = []
  if (index === undefined) {
    let at = 0
    do {
      const message: Messages.Message = yield* Messages.read(source, at, grids)
      messages.push(message)
      at = message.end
    } while (at < source.size)
    return messages
  }
  const entries = Index.parse(index)
  if ("_tag" in entries) {
    return yield* source.damaged(undefined, `line ${entries.line} of its index ${entries.problem}`)
  }
  for (let from = 0; from < entries.length; from += together) {
    const some = entries.slice(from, from + together)
    const beyond = some.find(({ offset }) => offset + 16 > source.size)
    if (beyond !== undefined) {
      return yield* source.damaged(beyond.offset, `its index has a message there, and the file ends at ${source.size}`)
    }
    yield* source.readMany(some.map(({ offset }) => ({ start: offset, end: offset + 16 })))
    for (const [i, { length, offset }] of some.entries()) {
      const message = yield* Messages.read(source, offset, grids)
      const next = entries[from + i + 1]?.offset ?? Number.POSITIVE_INFINITY
      if ((length !== undefined && offset + length !== message.end) || next < message.end) {
        return yield* source.damaged(
          offset,
          `its index does not agree with the message there, which has ${message.end - offset} bytes. Make the index again`
        )
      }
      messages.push(message)
    }
  }
  return messages
})

/**
 * The virtual data set of a GRIB 2 file. Reads what is between the data of its fields.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataset: (file: SourceFile, options?: Options) => Effect.Effect<Dataset, ImportError> = Effect.fn(
  "Grib2.dataset"
)(function* (file: SourceFile, options: Options = {}) {
  const source = yield* ByteSource.open(file, options)
  if (source.size < 20) return yield* source.damaged(source.size, "it is too short for a message")
  const messages = yield* readAll(source, options.index)
  const skipped: Array<Skipped> = []
  const skip = (path: string, start: number, problem: string) =>
    void skipped.push({
      location: Location.shown(file.location),
      path,
      kind: "field",
      reason: "format",
      problem: `the field at byte ${start}: ${problem}`
    })
  for (const { start, problem } of messages.flatMap(({ unread }) => unread)) skip("/", start, problem)
  /** By path, then by what cannot be in one array. */
  const kinds = new Map<string, Map<string, Array<Messages.Located>>>()
  for (const field of messages.flatMap(({ fields }) => fields)) {
    const { grid, product } = field
    const path = `/${product.name[0]}/${product.stepType}/${product.typeOfLevel}`
    const variants = kinds.get(path) ?? new Map<string, Array<Messages.Located>>()
    kinds.set(path, variants)
    const key = `${product.member === undefined} ${grid.key}`
    const fields = variants.get(key)
    if (fields === undefined) variants.set(key, [field])
    else fields.push(field)
  }
  const arrays: Array<VirtualArray> = []
  const groups = new Map<string, Group>([["/", { path: "/", attributes: {} }]])
  for (const [path, variants] of kinds) {
    for (const [i, fields] of [...variants.values()].entries()) {
      const base = i === 0 ? path : `${path}/variant_${i + 1}`
      for (const one of [...Paths.above(base), base]) groups.set(one, { path: one, attributes: {} })
      const found = arraysOf(source, base, fields)
      arrays.push(...found.arrays)
      for (const { start } of found.twice)
        skip(found.arrays[0]!.path, start, "another one has the same time, step and level")
    }
  }
  return { groups: [...groups.values()], arrays, skipped }
})
