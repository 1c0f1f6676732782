/**
 * Filters and compressors of Zarr 2 as codecs of Zarr 3. Pure. Source: Zarr 2 specification, "Filters" and "Compressors"; numcodecs.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject } from "../../Dataset.ts"
import * as Values from "../Values.ts"
import * as DataType2 from "./DataType2.ts"

type Problem = DataType2.Problem

/** What a chunk is at a step. */
interface State {
  readonly codecs: ReadonlyArray<JsonObject>
  /** The type of its elements; `undefined` when it is bytes already. */
  readonly type: DataType2.DataType2 | undefined
}

const fail = (problem: string): Result.Result<never, Problem> => Result.fail({ reason: "filter", problem })

const object = (value: Json | undefined): JsonObject | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined

const whole = (value: Json | undefined, least: number, most: number, otherwise: number): number =>
  typeof value === "number" && Number.isInteger(value) && least <= value && value <= most ? value : otherwise

const shuffles = ["noshuffle", "shuffle", "bitshuffle"] as const

const blosc = (configuration: JsonObject, itemSize: number): Result.Result<JsonObject, Problem> => {
  const { cname = "lz4", shuffle = 1 } = configuration
  // Blosc takes larger elements for bytes.
  const typesize = itemSize > 255 ? 1 : itemSize
  // -1 chooses by the size of the elements.
  const kind = shuffle === -1 ? (itemSize === 1 ? 2 : 1) : shuffle
  if (kind !== 0 && kind !== 1 && kind !== 2) return fail(`Blosc has no shuffle ${Values.shown(shuffle)}`)
  return Result.succeed({
    name: "blosc",
    configuration: {
      cname,
      clevel: whole(configuration["clevel"], 0, 9, 5),
      shuffle: shuffles[kind],
      typesize,
      blocksize: whole(configuration["blocksize"], 0, maxBlock, 0)
    }
  })
}

const maxBlock = 2 ** 31 - 1

const plain: ReadonlySet<string> = new Set([
  "adler32",
  "bz2",
  "crc32",
  "crc32c",
  "fletcher32",
  "jenkins_lookup3",
  "lz4",
  "lzma"
])

/** A codec of bytes. `itemSize` is that of the elements that became the bytes. */
const ofBytes = (
  id: string,
  configuration: JsonObject,
  itemSize: number,
  shuffleSize: number
): Result.Result<JsonObject, Problem> | undefined => {
  if (id === "zlib") {
    return Result.succeed({ name: "numcodecs.zlib", configuration: { level: whole(configuration["level"], 0, 9, 1) } })
  }
  if (id === "gzip") {
    return Result.succeed({ name: "gzip", configuration: { level: whole(configuration["level"], 0, 9, 1) } })
  }
  if (id === "zstd") {
    const level = whole(configuration["level"], -131_072, 22, 0)
    return Result.succeed({ name: "zstd", configuration: { level, checksum: configuration["checksum"] === true } })
  }
  if (id === "blosc") return blosc(configuration, itemSize)
  if (id === "shuffle") {
    const size = whole(configuration["elementsize"], 1, maxBlock, 4)
    // zarrita takes the size of the data type, whatever the configuration says.
    return size === shuffleSize
      ? Result.succeed({ name: "numcodecs.shuffle", configuration: { elementsize: size } })
      : fail(`its shuffle is of elements of ${size} bytes, the array has elements of ${shuffleSize}`)
  }
  return plain.has(id) ? Result.succeed({ name: `numcodecs.${id}`, configuration }) : undefined
}

/** The chunk as bytes, with the order that its elements have. */
const toBytes = ({ codecs, type }: State): ReadonlyArray<JsonObject> =>
  type === undefined
    ? codecs
    : [
        ...codecs,
        type.endian === undefined ? { name: "bytes" } : { name: "bytes", configuration: { endian: type.endian } }
      ]

const retyped = (
  id: string,
  configuration: JsonObject,
  type: DataType2.DataType2
): Result.Result<DataType2.DataType2, Problem> => {
  if (id === "packbits") {
    return Result.succeed({ dataType: "uint8", kind: "u", itemSize: 1, endian: undefined })
  }
  const name = id === "astype" ? configuration["encode_dtype"] : (configuration["astype"] ?? configuration["dtype"])
  return name === undefined || name === null ? Result.succeed(type) : DataType2.parse(name)
}

const arrayFilters: ReadonlySet<string> = new Set([
  "astype",
  "bitround",
  "delta",
  "fixedscaleoffset",
  "packbits",
  "quantize"
])

/**
 * A field of GRIB as kerchunk refers to it, by the codec that `Grib2.dataset` names. It decodes values in double precision, and no
 * coordinates.
 */
const grib = (configuration: JsonObject, { codecs, type }: State): Result.Result<State, Problem> => {
  const { dtype = "float64", var: name } = configuration
  if (codecs.length > 0 || type?.dataType !== "float64" || dtype !== "float64" || typeof name !== "string") {
    return fail("its fields of GRIB are not read as float64 and without other filters before")
  }
  if (name === "latitude" || name === "longitude") {
    return fail(`its ${name}s are computed from a message of GRIB, for which Zarr 3 has no codec`)
  }
  return Result.succeed({ codecs: [{ name: "gribberish", configuration: { var: name } }], type: undefined })
}

const step = (state: State, filter: Json, array: DataType2.DataType2): Result.Result<State, Problem> => {
  const { id, ...configuration } = object(filter) ?? {}
  if (typeof id !== "string") return fail("a filter has no `id`")
  const { codecs, type } = state
  if (type?.kind === "O") {
    return id === "vlen-utf8" || id === "vlen-bytes"
      ? Result.succeed({ codecs: [...codecs, { name: id }], type: undefined })
      : fail(
          `its objects are encoded by \`${id.slice(0, 40)}\`, which Zarr 3 does not have; \`vlen-utf8\` and \`vlen-bytes\` it has`
        )
  }
  if (arrayFilters.has(id)) {
    if (type === undefined) return fail(`\`${id}\` works on elements, and follows a filter that makes bytes of them`)
    const next = retyped(id, configuration, type)
    if (Result.isFailure(next)) return Result.fail(next.failure)
    if (id === "delta" && next.success.dataType !== type.dataType) {
      // zarrita would read other values, without a word.
      return fail("its filter `delta` changes the data type, which zarrita does not do")
    }
    return Result.succeed({ codecs: [...codecs, { name: `numcodecs.${id}`, configuration }], type: next.success })
  }
  if (id === "grib") return grib(configuration, state)
  const found = ofBytes(id, configuration, type?.itemSize ?? 1, array.itemSize)
  if (found === undefined) return fail(`the filter \`${id.slice(0, 40)}\` has no codec in Zarr 3`)
  return Result.map(found, (codec) => ({ codecs: [...toBytes(state), codec], type: undefined }))
}

/** The codecs of an array, and the data type that its filter gives to objects. */
export const translate = (
  array: DataType2.DataType2,
  options: { readonly rank: number; readonly order: "C" | "F"; readonly filters: Json; readonly compressor: Json }
): Result.Result<{ readonly codecs: ReadonlyArray<JsonObject>; readonly objects: string | undefined }, Problem> => {
  const { compressor, filters, order, rank } = options
  const transpose = {
    name: "transpose",
    configuration: { order: Array.from({ length: rank }, (_, i) => rank - 1 - i) }
  }
  let state: State = { codecs: order === "F" && rank > 1 ? [transpose] : [], type: array }
  if (filters !== null && !Array.isArray(filters)) return fail("its `filters` are not a list")
  const list = (filters ?? []) as ReadonlyArray<Json>
  if (list.length > 64) return fail(`it has ${list.length} filters`)
  for (const filter of list) {
    const next = step(state, filter, array)
    if (Result.isFailure(next)) return Result.fail(next.failure)
    state = next.success
  }
  if (state.type?.kind === "O") {
    return fail("its elements are objects, and no filter says how they are encoded")
  }
  const objects =
    array.kind !== "O" ? undefined : state.codecs.some(({ name }) => name === "vlen-utf8") ? "string" : "bytes"
  const bytes = toBytes(state)
  if (compressor === null) return Result.succeed({ codecs: bytes, objects })
  const { id, ...configuration } = object(compressor) ?? {}
  const found =
    typeof id === "string" ? ofBytes(id, configuration, state.type?.itemSize ?? 1, array.itemSize) : undefined
  if (found === undefined) return fail(`the compressor ${Values.shown(id)} has no codec in Zarr 3`)
  return Result.map(found, (codec) => ({ codecs: [...bytes, codec], objects }))
}
