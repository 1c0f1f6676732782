/**
 * Zarr 2 and 3 hierarchies in a store, consolidated or not.
 *
 * The object of a chunk is a ref, also where it is a shard. What it has is read from a listing of the array's directory; stores that
 * list nothing are read through consolidated metadata. Metadata of Zarr 2 becomes that of Zarr 3, its codecs too.
 *
 * @since 0.1.0
 */
import { Location } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Dataset, Skipped, VirtualArray } from "./Dataset.ts"
import type { ImportError } from "./ImportError.ts"
import * as Pieces from "./internal/Pieces.ts"
import * as ChunkObjects from "./internal/zarr/ChunkObjects.ts"
import * as Documents from "./internal/zarr/Documents.ts"
import * as Nodes from "./internal/zarr/Nodes.ts"
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
  /** Chunks of an array that `head` asks for and `grid` takes to be there, at most (default 10,000,000); others are skipped. */
  readonly maxChunks?: number | undefined
  /** Data types and codecs that are meant although nobody knows them; arrays with others are skipped. */
  readonly extensions?: ReadonlyArray<string> | undefined
}

/** Bytes of each chunk, where all have the same. */
const chunkBytes = ({ array: { chunkShape, codecs, dataType } }: Nodes.ArrayNode): number | undefined => {
  const bits = typeof dataType === "string" ? /^(?:u?int|float|complex)(\d+)$/.exec(dataType)?.[1] : undefined
  const size = dataType === "bool" ? 1 : Number(bits ?? Number.NaN) / 8
  const isPlain = codecs.every(({ name }) => name === "bytes" || name === "transpose")
  const bytes = chunkShape.reduce((a, b) => a * b, size)
  return isPlain && Number.isSafeInteger(bytes) ? bytes : undefined
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
  const { documents, isListed } = yield* Documents.read(root)
  const how =
    options.chunks === "list" || options.chunks === undefined
      ? isListed || (yield* Documents.canList(root))
        ? "list"
        : "grid"
      : options.chunks
  const skipped: Array<Skipped> = []
  const base = Documents.prefixOf(root.key)
  const location = Documents.prefixOf(root.location)
  const skip = (path: string, kind: Skipped["kind"], { problem, reason }: Nodes.Problem) =>
    void skipped.push({ location: Location.shown(`${location}${path.slice(1)}`), path, kind, reason, problem })
  const { arrays: found, groups } = Nodes.read(documents, options.extensions, skip)
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
    const { maxChunks = 10_000_000 } = options
    const count = Pieces.counts(array.shape, array.chunkShape).reduce((a, b) => a * b, 1)
    if (how !== "list" && count > maxChunks) {
      const problem = `its grid has ${count} chunks, which are too many without a listing; raise \`maxChunks\` if they should be tried`
      skip(path, "array", { reason: "layout", problem })
      continue
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
