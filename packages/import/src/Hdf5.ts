/**
 * HDF5 and NetCDF-4 files, read by ranges: superblocks 0 to 3, groups and attributes old and new, every layout and every index of
 * chunks.
 *
 * A dataset is an array, and each of its chunks a ref. Filters are codecs, where Zarr has them. Dimensions have the names that netCDF
 * gives them, or `phony_dim_n`.
 *
 * @since 0.1.0
 */
import { Location } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Stream from "effect/Stream"
import type { Chunks, Dataset, Group, Json, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import type { ImportError } from "./ImportError.ts"
import * as ByteSource from "./internal/ByteSource.ts"
import * as Attributes from "./internal/hdf5/Attributes.ts"
import * as ChunkStream from "./internal/hdf5/ChunkStream.ts"
import { Cursor, known, parsing } from "./internal/hdf5/Cursor.ts"
import * as Datatype from "./internal/hdf5/Datatype.ts"
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
  /**
   * The filters that an array's codecs leave out, as the filter mask of HDF5 has them: bit `n` for the `n`-th filter. By default those
   * that most chunks in the first part of an array's index were written without. Files that are to become one array need the same:
   * 0 keeps all filters.
   */
  readonly filterMask?: number | undefined
  /** Bytes of a chunk of an array in one piece, at most, where its shape can be divided so (default 64 MiB). */
  readonly maxChunkBytes?: number | undefined
  /**
   * Bytes of an array of texts that is decoded and written, at most (default 8 MiB). Larger ones of a fixed length are referred to, as
   * `null_terminated_bytes`, which zarr-python reads and zarrita does not; larger ones of any length are left out. The same goes for
   * those whose filters cannot be undone here.
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

const elementOf = (type: Datatype.Datatype): Element | string => {
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
  readonly skip: (skipped: Omit<Skipped, "location">) => void
}

/** Objects whose attributes are decoded at the same time. */
const batch = 512

/** The attributes of objects as JSON. */
const attributesOf = Effect.fnUntraced(function* (
  { dimensions, heaps, skip, source }: Context,
  objects: ReadonlyArray<Objects.Found>
): Effect.fn.Return<ReadonlyMap<Objects.Found, JsonObject>, ImportError> {
  const all = new Map<Objects.Found, JsonObject>()
  for (let from = 0; from < objects.length; from += batch) {
    const some = objects.slice(from, from + batch).map((found) => ({
      found,
      attributes: found.attributes
        .filter(({ name }) => !dimensions.isOwn(found, name))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    }))
    const heap = yield* Attributes.load(
      source,
      heaps,
      some.flatMap(({ attributes }) => attributes)
    )
    yield* parsing(source, () => {
      for (const { attributes, found } of some) {
        const json: Record<string, Json> = {}
        for (const attribute of attributes) {
          const value = Attributes.toJson(attribute, heap)
          if ("json" in value) json[attribute.name] = value.json
          else skip({ path: `${Dimensions.shownPath(found.path)}@${attribute.name}`, kind: "attribute", ...value })
        }
        all.set(found, json)
      }
    })
  }
  return all
})

/** What the messages of an array say. */
interface Described {
  readonly found: Objects.Found
  readonly type: Datatype.Datatype
  readonly array: ArrayLayout
  readonly fill: Uint8Array | undefined
}

/** Why an array is not one of Zarr. */
type Problem = Pick<Skipped, "reason" | "problem">

/** What an array is, or why it is not one that Zarr has. */
const describe = (sizes: Sizes, found: Objects.Found): Described | Problem => {
  const cursorOf = (type: number): Cursor | undefined => {
    const message = Objects.message(found, type)
    return message === undefined || message.isShared ? undefined : new Cursor(message.bytes, message.at, sizes)
  }
  const [typed, space, laid] = [cursorOf(Type.datatype), cursorOf(Type.dataspace), cursorOf(Type.layout)]
  if (typed === undefined || space === undefined || laid === undefined) {
    return { reason: "format", problem: "its shape, type or layout is kept nowhere in the file" }
  }
  if (Objects.message(found, Type.externalFiles) !== undefined) {
    return { reason: "external storage", problem: "its data is in other files; import those by `setVirtualRef`" }
  }
  const pipeline = cursorOf(Type.filters)
  const parsed = known(() => ({
    type: Datatype.parse(typed),
    space: Messages.dataspace(space),
    layout: Messages.layout(laid),
    filters: pipeline === undefined ? [] : Messages.filters(pipeline)
  }))
  if ("unknown" in parsed) return { reason: "format", problem: `it is of a kind that is not read: ${parsed.unknown}` }
  const { filters, layout, type } = parsed
  const { maxShape, shape } = parsed.space
  if (shape === undefined) return { reason: "layout", problem: "it has no elements and no shape" }
  if (layout._tag === "Virtual") {
    return { reason: "layout", problem: "it is a view of arrays in other files; import those and concatenate them" }
  }
  if (Objects.message(found, Type.filters)?.isShared === true) {
    return { reason: "format", problem: "its filters are kept nowhere in the file" }
  }
  const [fill, oldFill] = [cursorOf(Type.fill), cursorOf(Type.oldFill)]
  return {
    found,
    type,
    array: { sizes, shape, maxShape, elementSize: type.size, layout, filters },
    fill:
      (fill === undefined ? undefined : Messages.fill(fill)) ??
      (oldFill === undefined ? undefined : Messages.oldFill(oldFill))
  }
}

/** What missing chunks read as. */
const fillOf = (type: Datatype.Datatype, bytes: Uint8Array | undefined): Json | bigint => {
  const number = type._tag === "Enumeration" ? type.of : type
  if (number._tag !== "Integer" && number._tag !== "Float") return ""
  const view = bytes === undefined ? undefined : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const value = view === undefined || view.byteLength < number.size ? 0 : Attributes.numberAt(view, 0, number)
  if (type._tag === "Enumeration" && type.isBoolean) return Number(value) === 1
  return number._tag === "Float" ? Values.numberJson(Number(value)) : Values.integer(value)
}

const isText = (
  type: Datatype.Datatype
): type is Extract<Datatype.Datatype, { readonly _tag: "Text" | "VariableText" }> =>
  type._tag === "Text" || type._tag === "VariableText"

/** How an array of texts is written decoded, or why it is not. */
const textsOf = Effect.fnUntraced(function* (
  { options, source }: Context,
  { array, type }: Described
): Effect.fn.Return<Texts.Decoded | string | undefined, ImportError> {
  const most = options.maxTextBytes ?? 8 * mebibyte
  if (!isText(type) || array.shape.reduce((a, b) => a * b, Math.max(type.size, 4)) > most) return undefined
  const decoded = Texts.decoded(array, type)
  if (decoded === undefined || type._tag === "Text") return decoded
  const bytes = yield* Texts.weigh(source, decoded, most)
  if (typeof bytes !== "number") return bytes.problem
  return bytes <= most ? decoded : undefined
})

/** An array of Zarr, or why it is not one. */
const arrayOf = Effect.fnUntraced(function* (
  context: Context,
  described: Described,
  { dimensionNames, shape }: Pick<VirtualArray, "dimensionNames" | "shape">,
  attributes: JsonObject
): Effect.fn.Return<VirtualArray | Problem, ImportError> {
  const { heaps, options, skip, source } = context
  const { array, fill, found, type } = described
  const path = Dimensions.shownPath(found.path)
  const texts = yield* textsOf(context, described)
  if (typeof texts === "string") return { reason: "value", problem: texts }
  const isDecoded = texts !== undefined
  const mask = isDecoded ? 0 : (options.filterMask ?? (yield* ChunkStream.commonMask(source, array, options.filters)))
  const filters = Filters.codecs(array.filters, { elementSize: array.elementSize, table: options.filters, mask })
  const element = isDecoded ? undefined : elementOf(type)
  const lacking = isDecoded || Result.isSuccess(filters) ? undefined : filters.failure
  // Where filters are why texts of any length are not decoded, that is what is said.
  if (lacking !== undefined && (typeof element !== "string" || type._tag === "VariableText")) return lacking
  if (typeof element === "string") {
    return { reason: "data type", problem: `its elements are ${element}, which no Zarr data type is for` }
  }
  const { filters: table, maskedChunks, maxChunkBytes } = options
  const chunkOptions: ChunkStream.Options = { filters: table, mask, maskedChunks, maxChunkBytes }
  const chunks: Stream.Stream<Chunks, ImportError> = isDecoded
    ? Texts.chunk(source, heaps, texts)
    : ChunkStream.make(source, array, (report) => skip({ path, ...report }), chunkOptions)
  const isWide = element !== undefined && element.size > 1 && typeof element.dataType === "string"
  return {
    path,
    shape,
    chunkShape: isDecoded
      ? array.shape.map((length) => Math.max(1, length))
      : ChunkStream.chunkShape(array, chunkOptions),
    dataType: element?.dataType ?? "string",
    fillValue: isDecoded ? "" : fillOf(type, fill),
    codecs:
      element === undefined
        ? [{ name: "vlen-utf8" }]
        : [
            isWide ? { name: "bytes", configuration: { endian: element.isBig ? "big" : "little" } } : { name: "bytes" },
            ...(Result.isSuccess(filters) ? filters.success.codecs : [])
          ],
    dimensionNames,
    attributes,
    chunks
  }
})

/** Arrays that are described at the same time. */
const concurrency = 16

/**
 * The virtual data set of an HDF5 or NetCDF-4 file: reads its groups, headers and attributes. Of arrays of texts of any
 * length it reads also where these are, to know how large they are. The indices of other chunks are read when the chunks of an array are taken; what is found wrong with single chunks then is added to `skipped`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataset: (file: SourceFile, options?: Options) => Effect.Effect<Dataset, ImportError> = Effect.fn(
  "Hdf5.dataset"
)(function* (file: SourceFile, options: Options = {}) {
  const source = yield* ByteSource.open(file, options)
  const superblock = yield* Superblock.read(source)
  const { sizes } = superblock
  const skipped: Array<Skipped> = []
  const skip = (one: Omit<Skipped, "location">) =>
    void skipped.push({ location: Location.shown(file.location), ...one })
  const objects = yield* Objects.read(source, sizes, superblock, skip)
  const heaps = new Heaps.GlobalHeaps(source, sizes)
  const dimensions = yield* Dimensions.read(source, heaps, objects.arrays)
  const context: Context = { source, sizes, heaps, options, dimensions, skip }
  const shown = objects.arrays.filter((found) => !dimensions.hidden.has(found))
  const reported = (found: Objects.Found, problem: Problem) =>
    skip({ path: Dimensions.shownPath(found.path), kind: "array", ...problem })
  const taken = new Set<string>(objects.groups.map(({ path }) => path))
  const described = yield* parsing(source, () =>
    shown.flatMap((found) => {
      const path = Dimensions.shownPath(found.path)
      const one: Described | Problem = taken.has(path)
        ? { reason: "name", problem: `there is another \`${path}\`` }
        : describe(sizes, found)
      if ("problem" in one) reported(found, one)
      else taken.add(path)
      return "problem" in one ? [] : [one]
    })
  )
  const shaped = described.map(({ array, found }) => ({ found, ...array }))
  const [names, shapes] = [dimensions.of(shaped), dimensions.shapes(shaped)]
  const attributes = yield* attributesOf(context, [...objects.groups, ...described.map(({ found }) => found)])
  const groups = objects.groups.map((found): Group => ({ path: found.path, attributes: attributes.get(found)! }))
  const arrays = yield* Effect.forEach(
    described,
    (one, i) => arrayOf(context, one, { dimensionNames: names[i]!, shape: shapes[i]! }, attributes.get(one.found)!),
    { concurrency }
  )
  const isArray = (one: VirtualArray | Problem): one is VirtualArray => "chunks" in one
  for (const [i, one] of arrays.entries()) if (!isArray(one)) reported(described[i]!.found, one)
  return { groups, arrays: arrays.filter(isArray), skipped }
})
