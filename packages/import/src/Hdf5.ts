/**
 * HDF5 and NetCDF-4 files, read by ranges: superblocks 0 to 3, groups and attributes old and new, every layout and every index of
 * chunks.
 *
 * A dataset is an array, and each of its chunks a ref. Filters are codecs, where Zarr has them. Dimensions have the names that netCDF
 * gives them, or `phony_dim_n`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Stream from "effect/Stream"
import type { Chunks, Dataset, Group, Json, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import type { ImportError } from "./ImportError.ts"
import * as ByteSource from "./internal/ByteSource.ts"
import * as Attributes from "./internal/hdf5/Attributes.ts"
import * as ChunkStream from "./internal/hdf5/ChunkStream.ts"
import { Cursor, parsing } from "./internal/hdf5/Cursor.ts"
import type { Datatype } from "./internal/hdf5/Datatype.ts"
import * as Dimensions from "./internal/hdf5/Dimensions.ts"
import * as Filters from "./internal/hdf5/Filters.ts"
import * as Heaps from "./internal/hdf5/Heaps.ts"
import type { ArrayLayout, Sizes } from "./internal/hdf5/Layout.ts"
import * as Messages from "./internal/hdf5/Messages.ts"
import { Type } from "./internal/hdf5/ObjectHeader.ts"
import * as Objects from "./internal/hdf5/Objects.ts"
import * as Superblock from "./internal/hdf5/Superblock.ts"
import * as Texts from "./internal/hdf5/Texts.ts"
import * as Values from "./internal/Values.ts"
import type { ReadOptions, SourceFile } from "./SourceFile.ts"

export type { Table as FilterTable } from "./internal/hdf5/Filters.ts"

/**
 * How a file is imported.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ReadOptions {
  /** Filters that readers of yours decode, beside deflate, shuffle, zstd and Blosc. */
  readonly filters?: Filters.Table | undefined
  /**
   * What becomes of chunks that were written with other filters than most of their array, such as unfiltered ones at its edges:
   * `decode`, the default, writes them into the repository as the array's codecs have them; `skip` leaves them out, and reports them.
   */
  readonly maskedChunks?: "decode" | "skip" | undefined
  /** Bytes of a chunk of an array in one piece, at most, where its shape can be divided so (default 64 MiB). */
  readonly maxChunkBytes?: number | undefined
  /**
   * Bytes of an array of texts that is decoded and written, at most (default 8 MiB). Larger ones of a fixed length are referred to, as
   * `null_terminated_bytes`, which zarr-python reads and zarrita does not; larger ones of any length are left out.
   */
  readonly maxTextBytes?: number | undefined
}

const mebibyte = 1024 * 1024

/** A data type of Zarr, and whether its elements have several bytes, the first of which is the highest. */
interface Element {
  readonly dataType: string | JsonObject
  readonly isBig: boolean
  readonly size: number
}

const elementOf = (type: Datatype): Element | string => {
  switch (type._tag) {
    case "Integer":
      return { dataType: `${type.isSigned ? "int" : "uint"}${8 * type.size}`, isBig: type.isBig, size: type.size }
    case "Float":
      return { dataType: `float${8 * type.size}`, isBig: type.isBig, size: type.size }
    case "Enumeration":
      return type.isBoolean ? { dataType: "bool", isBig: false, size: 1 } : elementOf(type.of)
    case "Text":
      return {
        dataType: { name: "null_terminated_bytes", configuration: { length_bytes: type.size } },
        isBig: false,
        size: type.size
      }
    case "VariableText":
      return "texts of any length, more than `maxTextBytes` allows to decode"
    case "Sequence":
      return "a list in each element"
    case "Reference":
      return "references to other objects"
    case "Other":
      return type.what
  }
}

/** A file, as far as all arrays need it. */
interface Context {
  readonly source: ByteSource.ByteSource
  readonly sizes: Sizes
  readonly heaps: Heaps.GlobalHeaps
  readonly options: Options
  readonly dimensions: Dimensions.Named
  readonly types: ReadonlyMap<number, Datatype>
  readonly skip: (skipped: Omit<Skipped, "location">) => void
}

const attributesOf = Effect.fnUntraced(function* (
  { heaps, skip, source }: Pick<Context, "source" | "heaps" | "skip">,
  { attributes, path }: Objects.Found
): Effect.fn.Return<JsonObject, ImportError> {
  const json: Record<string, Json> = {}
  for (const attribute of attributes.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (Dimensions.own.has(attribute.name)) continue
    const value = yield* Attributes.toJson(source, heaps, attribute)
    if ("json" in value) json[attribute.name] = value.json
    else skip({ path: `${path}@${attribute.name}`, kind: "attribute", ...value })
  }
  return json
})

/** What the messages of an array say. */
interface Described {
  readonly type: Datatype
  readonly array: ArrayLayout
  readonly fill: Uint8Array | undefined
}

/** What an array is, or why it is none that Zarr has. */
const describe = ({ sizes, types }: Context, found: Objects.Found): Described | Pick<Skipped, "reason" | "problem"> => {
  const cursorOf = (type: number): Cursor | undefined => {
    const message = Objects.message(found, type)
    return message === undefined || message.isShared ? undefined : new Cursor(message.bytes, message.at, sizes)
  }
  const typed = Objects.typeOf(found, sizes)
  const type = typeof typed === "number" ? types.get(typed) : typed
  const space = cursorOf(Type.dataspace)
  const laid = cursorOf(Type.layout)
  if (type === undefined || space === undefined || laid === undefined) {
    return {
      reason: "format",
      problem: "its shape, type or layout is kept in a table of shared messages, which is not read"
    }
  }
  if (Objects.message(found, Type.externalFiles) !== undefined) {
    return { reason: "external storage", problem: "its data is in other files; import those by `setVirtualRef`" }
  }
  const { maxShape, shape } = Messages.dataspace(space)
  if (shape === undefined) return { reason: "layout", problem: "it has no elements and no shape" }
  const layout = Messages.layout(laid)
  if (layout._tag === "Virtual") {
    return { reason: "layout", problem: "it is a view of arrays in other files; import those and concatenate them" }
  }
  const filters = cursorOf(Type.filters)
  const [fill, oldFill] = [cursorOf(Type.fill), cursorOf(Type.oldFill)]
  return {
    type,
    array: {
      sizes,
      shape,
      maxShape,
      elementSize: type.size,
      layout,
      filters: filters === undefined ? [] : Messages.filters(filters)
    },
    fill:
      (fill === undefined ? undefined : Messages.fill(fill)) ??
      (oldFill === undefined ? undefined : Messages.oldFill(oldFill))
  }
}

/** What missing chunks read as; a sentence when JSON has no such number. */
const fillOf = (type: Datatype, bytes: Uint8Array | undefined): { readonly json: Json; readonly problem?: string } => {
  const number = type._tag === "Enumeration" ? type.of : type
  if (number._tag !== "Integer" && number._tag !== "Float") return { json: "" }
  const view = bytes === undefined ? undefined : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = view === undefined || view.byteLength < number.size ? 0 : Attributes.numberAt(view, 0, number)
  if (type._tag === "Enumeration" && type.isBoolean) return { json: Number(value) === 1 }
  if (number._tag === "Float") return { json: Values.numberJson(Number(value)) }
  const exact = Values.integerJson(value)
  return exact === undefined
    ? {
        json: 0,
        problem: `its fill value ${value} is beyond 2^53, which not all readers of JSON have; missing chunks read as 0`
      }
    : { json: exact }
}

const isText = (type: Datatype): type is Extract<Datatype, { readonly _tag: "Text" | "VariableText" }> =>
  type._tag === "Text" || type._tag === "VariableText"

/** An array of Zarr, or nothing where it is reported. */
const arrayOf = Effect.fnUntraced(function* (
  context: Context,
  found: Objects.Found
): Effect.fn.Return<VirtualArray | undefined, ImportError> {
  const { dimensions, heaps, options, skip, source } = context
  const described = yield* parsing(source, () => describe(context, found))
  const { path } = found
  if ("problem" in described) {
    skip({ path, kind: "array", ...described })
    return undefined
  }
  const { array, fill, type } = described
  const { shape } = array
  const count = shape.reduce((a, b) => a * b, 1)
  const isDecoded = isText(type) && count * Math.max(type.size, 4) <= (options.maxTextBytes ?? 8 * mebibyte)
  const element = isDecoded ? undefined : elementOf(type)
  if (typeof element === "string") {
    skip({
      path,
      kind: "array",
      reason: "data type",
      problem: `its elements are ${element}, which no Zarr data type is for`
    })
    return undefined
  }
  const mask = isDecoded ? 0 : yield* ChunkStream.commonMask(source, array)
  const about = { elementSize: array.elementSize, table: options.filters, mask }
  const filters = Filters.codecs(array.filters, about)
  if (Result.isFailure(filters)) {
    skip({ path, kind: "array", ...filters.failure })
    return undefined
  }
  const attributes = yield* attributesOf(context, found)
  const fillValue = isDecoded ? { json: "" } : fillOf(type, fill)
  if (fillValue.problem !== undefined) skip({ path, kind: "array", reason: "value", problem: fillValue.problem })
  const { filters: table, maskedChunks, maxChunkBytes } = options
  const chunkOptions: ChunkStream.Options = { filters: table, mask, maskedChunks, maxChunkBytes }
  const chunks: Stream.Stream<Chunks, ImportError> = isDecoded
    ? Texts.chunk(source, heaps, array, type)
    : ChunkStream.make(source, array, (report) => skip({ path, ...report }), chunkOptions)
  const isWide = element !== undefined && element.size > 1 && typeof element.dataType === "string"
  return {
    path: Dimensions.shownPath(path),
    shape,
    chunkShape: isDecoded ? shape.map((length) => Math.max(1, length)) : ChunkStream.chunkShape(array, chunkOptions),
    dataType: element?.dataType ?? "string",
    fillValue: fillValue.json,
    codecs:
      element === undefined
        ? [{ name: "vlen-utf8" }]
        : [
            isWide ? { name: "bytes", configuration: { endian: element.isBig ? "big" : "little" } } : { name: "bytes" },
            ...filters.success.codecs
          ],
    dimensionNames: dimensions.of(found, shape),
    attributes,
    chunks
  }
})

/** Arrays that are described at the same time. */
const concurrency = 16

/**
 * The virtual data set of an HDF5 or NetCDF-4 file: reads its groups, headers and attributes. The indices of its chunks are read when
 * the chunks of an array are taken; what is found wrong with single chunks then is added to `skipped`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataset: (file: SourceFile, options?: Options) => Effect.Effect<Dataset, ImportError> = Effect.fn(
  "Hdf5.dataset"
)(function* (file: SourceFile, options: Options = {}) {
  const source = yield* ByteSource.open(file, options)
  const { root, sizes } = yield* Superblock.read(source)
  const skipped: Array<Skipped> = []
  const skip = (one: Omit<Skipped, "location">) => void skipped.push({ location: file.location, ...one })
  const objects = yield* Objects.read(source, sizes, root, skip)
  const heaps = new Heaps.GlobalHeaps(source, sizes)
  const dimensions = yield* Dimensions.read(source, heaps, objects.arrays)
  const named = yield* parsing(source, () =>
    objects.arrays.flatMap((found) => {
      const type = Objects.typeOf(found, sizes)
      return typeof type === "number" ? [type] : []
    })
  )
  const types = yield* Objects.types(source, sizes, named)
  const context: Context = { source, sizes, heaps, options, dimensions, types, skip }
  const groups = yield* Effect.forEach(objects.groups, (found) =>
    Effect.map(attributesOf(context, found), (attributes): Group => ({ path: found.path, attributes }))
  )
  const shown = objects.arrays.filter((found) => !dimensions.hidden.has(found))
  const arrays = yield* Effect.forEach(shown, (found) => arrayOf(context, found), { concurrency })
  return { groups, arrays: arrays.filter((array) => array !== undefined), skipped }
})
