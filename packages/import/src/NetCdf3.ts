/**
 * NetCDF-3 files: classic (CDF-1), with 64-bit offsets (CDF-2) and with 64-bit data (CDF-5).
 *
 * A variable is an array. One without the record dimension is one chunk, or several where it is large; one with it has a chunk
 * for each record, since the records of all variables lie interleaved. Its numbers are big-endian, which the codec `bytes` says.
 *
 * @since 0.1.0
 */
import { Location } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Chunks, Dataset, Json, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import { type ImportError, WrongFormat } from "./ImportError.ts"
import * as ByteSource from "./internal/ByteSource.ts"
import * as Header from "./internal/netcdf3/Header.ts"
import * as Layout from "./internal/netcdf3/Layout.ts"
import * as Paths from "./internal/Paths.ts"
import * as Pieces from "./internal/Pieces.ts"
import * as Values from "./internal/Values.ts"
import type { ReadOptions, SourceFile } from "./SourceFile.ts"

/**
 * How a file is imported.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ReadOptions {
  /**
   * Bytes of a chunk, at most, where a variable can be divided so (default 64 MiB): readers load whole chunks. Record variables
   * have a chunk for each record.
   */
  readonly maxChunkBytes?: number | undefined
  /**
   * Bytes of a text variable that is decoded and written, at most (default 8 MiB). It becomes an array of the data type `string`,
   * without the dimension of its characters. Of larger ones refs are made, as `null_terminated_bytes`, which zarr-python reads and
   * zarrita does not.
   */
  readonly maxTextBytes?: number | undefined
}

const mebibyte = 1024 * 1024

const ints: ReadonlySet<string> = new Set(["int8", "int16", "int32", "uint8", "uint16", "uint32", "int64", "uint64"])

/** What missing values are by default. Source: `netcdf.h`, `NC_FILL_*`. */
const defaultFill: Readonly<Record<string, bigint | number>> = {
  int8: -127,
  int16: -32_767,
  int32: -2_147_483_647,
  float32: 9.969_209_968_386_869e36,
  float64: 9.969_209_968_386_869e36,
  uint8: 255,
  uint16: 65_535,
  uint32: 4_294_967_295,
  int64: -9_223_372_036_854_775_806n,
  uint64: 18_446_744_073_709_551_614n
}

const attributesOf = (
  attributes: ReadonlyArray<Header.Attribute>,
  onSkipped: (name: string, why: Pick<Skipped, "reason" | "problem">) => void
): JsonObject => {
  const json: Record<string, Json> = {}
  for (const { name, type, value } of attributes) {
    if (name in json) {
      onSkipped(name, { reason: "name", problem: "there are two of this name; the first counts" })
      continue
    }
    if (typeof value === "string") {
      json[name] = value
      continue
    }
    const values = value.map((one) =>
      ints.has(type.name)
        ? Values.integerJson(one)
        : name === "_FillValue"
          ? Values.floatFillJson(Number(one))
          : Values.numberJson(Number(one))
    )
    if (values.includes(undefined)) {
      onSkipped(name, Values.beyond)
      continue
    }
    json[name] = values.length === 1 ? values[0]! : (values as ReadonlyArray<Json>)
  }
  return json
}

/** What chunks that are missing would read as: none is. */
const fillOf = ({ attributes, type }: Header.Variable): Json | bigint => {
  const own = attributes.find(({ name }) => name === "_FillValue")
  const [value] = Array.isArray(own?.value) ? (own.value as ReadonlyArray<bigint | number>) : []
  const fallback = defaultFill[type.name] ?? 0
  if (!ints.has(type.name)) return Values.numberJson(Number(value ?? fallback))
  if (value === undefined || (typeof value === "number" && !Number.isSafeInteger(value))) return fallback
  const fill = Values.integer(value)
  // One of another type may be beyond those of the variable.
  return typeof fill === "number" || own?.type === type ? fill : fallback
}

/** Bytes of each value of a text: those of the last dimension, unless that is the one of records. */
const widthOf = ({ isRecord, shape }: Layout.Placed): number =>
  shape.length > (isRecord ? 1 : 0) ? Math.max(1, shape.at(-1)!) : 1

/** A file, read as far as its header. */
interface Opened {
  readonly source: ByteSource.ByteSource
  readonly options: Options
}

/** All bytes of a text variable, record by record. */
const textBytes = ({ source }: Opened, { bytes, isRecord, shape, stride, variable }: Layout.Placed) => {
  const pieces = isRecord ? shape[0]! : 1
  return source.readMany(
    Array.from({ length: pieces }, (_, record) => {
      const start = variable.begin + record * stride
      return { start, end: start + bytes }
    })
  )
}

const textArray = (opened: Opened, placed: Layout.Placed, path: string, attributes: JsonObject): VirtualArray => {
  const width = widthOf(placed)
  const folds = placed.shape.length > (placed.isRecord ? 1 : 0)
  const shape = folds ? placed.shape.slice(0, -1) : placed.shape
  const texts = Effect.map(textBytes(opened, placed), (records): Chunks => {
    const all: Array<string> = []
    for (const record of records) {
      for (let at = 0; at < record.length; at += width) all.push(Values.text(record.subarray(at, at + width)))
    }
    return { _tag: "Bytes", index: shape.map(() => 0), bytes: Values.encodeTexts(all) }
  })
  return {
    path,
    shape,
    chunkShape: shape.map((length) => Math.max(1, length)),
    dataType: "string",
    fillValue: "",
    codecs: [{ name: "vlen-utf8" }],
    dimensionNames: folds ? placed.dimensionNames.slice(0, -1) : placed.dimensionNames,
    attributes,
    chunks: placed.shape.includes(0) ? Stream.empty : Stream.fromEffect(texts)
  }
}

const numbers = (opened: Opened, placed: Layout.Placed, path: string, attributes: JsonObject): VirtualArray => {
  const { options, source } = opened
  const { bytes, isRecord, shape: all, stride, variable } = placed
  const isText = variable.type.name === "char"
  const width = isText ? widthOf(placed) : variable.type.bytes
  const folds = isText && all.length > (isRecord ? 1 : 0)
  const shape = folds ? all.slice(0, -1) : all
  const inRecord = isRecord ? shape.slice(1) : shape
  const part = Pieces.chunkShape(inRecord, width, options.maxChunkBytes ?? 64 * mebibyte)
  const chunk = isRecord ? [1, ...part] : part
  const length = part.reduce((a, b) => a * b, width)
  const parts = inRecord.reduce((count, size, axis) => count * Math.ceil(size / part[axis]!), 1)
  return {
    path,
    shape,
    chunkShape: chunk,
    dataType: isText ? { name: "null_terminated_bytes", configuration: { length_bytes: width } } : variable.type.name,
    fillValue: isText ? "" : fillOf(variable),
    codecs: [variable.type.bytes > 1 ? { name: "bytes", configuration: { endian: "big" } } : { name: "bytes" }],
    dimensionNames: folds ? placed.dimensionNames.slice(0, -1) : placed.dimensionNames,
    attributes,
    chunks:
      all.includes(0) || bytes === 0
        ? Stream.empty
        : Pieces.grid(source, shape, chunk, {
            length,
            offsetOf: isRecord
              ? (number) => variable.begin + Math.floor(number / parts) * stride + (number % parts) * length
              : (number) => variable.begin + number * length
          })
  }
}

const readHeader = Effect.fnUntraced(function* (
  source: ByteSource.ByteSource
): Effect.fn.Return<Header.Header, ImportError> {
  for (let length = Math.min(source.size, 64 * 1024); ; length = Math.min(source.size, 4 * length)) {
    const bytes = yield* source.read(0, length)
    if (!Header.isNetCdf3(bytes)) {
      const isHdf5 = bytes[0] === 0x89 && bytes[1] === 0x48
      return yield* new WrongFormat({
        location: source.location,
        expected: "NetCDF-3",
        problem: isHdf5
          ? "it is NetCDF-4 or HDF5; import it with `Hdf5`"
          : "it does not begin with `CDF` and a known version"
      })
    }
    const header = Header.parse(bytes, source.size)
    if (!("_tag" in header)) return header
    if (header._tag === "Problem") return yield* source.damaged(header.offset, header.problem)
  }
})

/**
 * The virtual data set of a NetCDF-3 file. Reads its header, and the text variables when their chunks are taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataset: (file: SourceFile, options?: Options) => Effect.Effect<Dataset, ImportError> = Effect.fn(
  "NetCdf3.dataset"
)(function* (file: SourceFile, options: Options = {}) {
  const source = yield* ByteSource.open(file, options)
  const header = yield* readHeader(source)
  const placed = Layout.place(header, source.size)
  if ("_tag" in placed) return yield* source.damaged(placed.offset, placed.problem)
  const skipped: Array<Skipped> = []
  const skip = (path: string, kind: Skipped["kind"], why: Pick<Skipped, "reason" | "problem">) =>
    void skipped.push({ location: Location.shown(file.location), path, kind, ...why })
  const named = (path: string) => (name: string, why: Pick<Skipped, "reason" | "problem">) =>
    skip(`${path}@${name}`, "attribute", why)
  const { maxTextBytes = 8 * mebibyte } = options
  const opened = { source, options }
  const arrays: Array<VirtualArray> = []
  const taken = new Set<string>()
  for (const one of placed) {
    const { name, type } = one.variable
    const path = `/${name}`
    const problem =
      Paths.nameProblem(name) ?? (taken.has(name) ? "there are two of this name; the first counts" : undefined)
    if (problem !== undefined) {
      skip(path, "array", { reason: "name", problem })
      continue
    }
    taken.add(name)
    const attributes = attributesOf(one.variable.attributes, named(path))
    const isDecoded = type.name === "char" && one.bytes * (one.isRecord ? one.shape[0]! : 1) <= maxTextBytes
    arrays.push((isDecoded ? textArray : numbers)(opened, one, path, attributes))
  }
  return {
    groups: [{ path: "/", attributes: attributesOf(header.attributes, named("/")) }],
    arrays,
    skipped
  }
})
