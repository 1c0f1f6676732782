/**
 * Zarr 2 and 3 hierarchies in a store, consolidated or not.
 *
 * The object of a chunk is a ref, also where it is a shard. What it has is read from a listing of the array's directory; stores that
 * list nothing are read through consolidated metadata. Metadata of Zarr 2 becomes that of Zarr 3, its codecs too.
 *
 * @since 0.1.0
 */
import { ZarrMetadata } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Dataset, Group, JsonObject, Skipped, VirtualArray } from "./Dataset.ts"
import type { ImportError } from "./ImportError.ts"
import * as Paths from "./internal/Paths.ts"
import * as ChunkObjects from "./internal/zarr/ChunkObjects.ts"
import * as Documents from "./internal/zarr/Documents.ts"
import * as Zarr2 from "./internal/zarr/Zarr2.ts"
import * as Zarr3 from "./internal/zarr/Zarr3.ts"
import type { ReadOptions, SourceFile } from "./SourceFile.ts"

/**
 * How a hierarchy is imported.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<ReadOptions, "checksum"> {
  /**
   * How chunks are found. `list`, the default, lists the directory of each array, and `grid` is what it falls back to where the store
   * lists nothing. `head` asks for every chunk of the grid. `grid` asks for none: all chunks are taken to be there, their refs have
   * no checksum, and arrays whose chunks have not all one length, as compressed ones, are skipped.
   */
  readonly chunks?: "list" | "head" | "grid" | undefined
  /** Data types and codecs that are meant although nobody knows them; arrays with others are skipped. */
  readonly extensions?: ReadonlyArray<string> | undefined
}

/** An array, and how its chunks' keys are made. */
interface Found {
  readonly path: string
  readonly array: Zarr2.Translated
  readonly keys: Zarr3.Keys
}

const read2 = (zarray: JsonObject, zattrs: JsonObject) =>
  Result.map(Zarr2.translate(zarray, zattrs), (array) => ({
    array,
    keys: { isDefault: false, separator: Zarr2.separator(zarray) ?? "." } as const
  }))

/** Bytes of each chunk, where all have the same. */
const chunkBytes = ({ array: { chunkShape, codecs, dataType } }: Found): number | undefined => {
  const bits = typeof dataType === "string" ? /^(?:u?int|float|complex)(\d+)$/.exec(dataType)?.[1] : undefined
  const size = dataType === "bool" ? 1 : Number(bits ?? Number.NaN) / 8
  const isPlain = codecs.every(({ name }) => name === "bytes" || name === "transpose")
  return isPlain && Number.isFinite(size) ? chunkShape.reduce((a, b) => a * b, size) : undefined
}

/**
 * The virtual data set of a hierarchy. `root` is its directory: its key is the prefix of the hierarchy in the store, empty for all of
 * it. Reads metadata; chunks are listed when they are taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataset: (root: SourceFile, options?: Options) => Effect.Effect<Dataset, ImportError> = Effect.fn(
  "ZarrHierarchy.dataset"
)(function* (root: SourceFile, options: Options = {}) {
  const documents = yield* Documents.read(root)
  const how =
    options.chunks === "list" || options.chunks === undefined
      ? (yield* Documents.canList(root))
        ? "list"
        : "grid"
      : options.chunks
  const skipped: Array<Skipped> = []
  const base = Documents.prefixOf(root.key)
  const location = Documents.prefixOf(root.location)
  const skip = (path: string, kind: Skipped["kind"], { problem, reason }: Zarr2.Problem) =>
    void skipped.push({ location: `${location}${path.slice(1)}`, path, kind, reason, problem })
  const groups: Array<Group> = []
  const found: Array<Found> = []
  for (const [path, document] of documents) {
    const names = path.split("/").filter((name) => name !== "")
    const problem = names.map(Paths.nameProblem).find((problem) => problem !== undefined)
    const kind = document._tag === "Group" ? "group" : "array"
    if (problem !== undefined) {
      skip(path, kind, { reason: "name", problem: `it cannot be the name of a node: ${problem}` })
      continue
    }
    if (document._tag === "Group") {
      groups.push({ path, attributes: document.attributes })
      continue
    }
    const read = document._tag === "Array2" ? read2(document.zarray, document.attributes) : Zarr3.read(document.json)
    if (Result.isFailure(read)) {
      skip(path, kind, read.failure)
      continue
    }
    const one = { path, ...read.success }
    const { extensions } = options
    const invalid = Result.flatMap(ZarrMetadata.array(path, { ...one.array, extensions }), (bytes) =>
      ZarrMetadata.parse(path, bytes, { extensions })
    )
    if (Result.isFailure(invalid)) {
      const { field, problem } = invalid.failure
      const reason = field.startsWith("data_type") ? "data type" : field.startsWith("codecs") ? "codec" : "format"
      skip(path, kind, { reason, problem: `its \`${field}\` cannot be: ${problem}` })
      continue
    }
    found.push(one)
  }
  const arrays: Array<VirtualArray> = []
  for (const one of found) {
    const { array, keys, path } = one
    const below = path === "/" ? "" : `${path.slice(1)}/`
    const place: ChunkObjects.Place = {
      root,
      prefix: `${base}${below}`,
      location: `${location}${below}`,
      keys,
      shape: array.shape,
      chunkShape: array.chunkShape,
      checksum: options.checksum,
      onEmpty: (key) =>
        skip(path, "chunk", { reason: "value", problem: `\`${key}\` is an empty object; it is left out` })
    }
    const length = chunkBytes(one)
    if (how === "grid" && length === undefined) {
      const problem = 'its store lists nothing, and its chunks may be of any length: ask for each by `chunks: "head"`'
      skip(path, "array", { reason: "layout", problem })
      continue
    }
    const chunks = array.shape.includes(0)
      ? Stream.empty
      : how === "list"
        ? ChunkObjects.listed(place)
        : how === "head"
          ? ChunkObjects.asked(place)
          : ChunkObjects.supposed(place, length!)
    arrays.push({ ...array, path, chunks })
  }
  return { groups, arrays, skipped }
})
