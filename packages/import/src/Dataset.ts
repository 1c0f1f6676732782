/**
 * What an importer finds in files: groups, arrays, where their chunks are, and what could not be virtualised. Nothing of the
 * chunks themselves is read.
 *
 * @since 0.1.0
 */
import type { Checksum } from "@effect-icechunk/core"
import type { Json, JsonObject } from "@effect-icechunk/core/values/Json"
import type * as Stream from "effect/Stream"
import type { ImportError } from "./ImportError.ts"

export type { Json, JsonObject }

/**
 * A group. The root is a group at `/`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group {
  /** As in `/` and `/a/b`. */
  readonly path: string
  readonly attributes: JsonObject
}

/**
 * Where chunks are, in columns of `n` rows: what `setVirtualRefs` of a session takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface RefColumns {
  /** `n` times the array's rank, row-major. */
  readonly indices: Uint32Array
  /** Bytes from the start of the object. */
  readonly offsets: Float64Array
  /** Bytes, at least 1. */
  readonly lengths: Float64Array
  /** One location for all rows; or the distinct locations, and the position of each row's in them. */
  readonly locations: string | { readonly values: ReadonlyArray<string>; readonly ids: Uint32Array }
  /** One checksum for all rows, or one for each of the distinct locations. */
  readonly checksums?: Checksum.Checksum | ReadonlyArray<Checksum.Checksum | undefined> | undefined
}

/**
 * Some chunks of an array: refs, or bytes of those that have no range of a file of their own, such as decoded text.
 *
 * @category models
 * @since 0.1.0
 */
export type Chunks =
  | { readonly _tag: "Refs"; readonly refs: RefColumns }
  | { readonly _tag: "Bytes"; readonly index: ReadonlyArray<number>; readonly bytes: Uint8Array }

/**
 * An array, as `createArray` of a session takes it, and where its chunks are. `fillValue` is what missing chunks read as;
 * what stands for a missing value is the attribute `_FillValue`, as xarray encodes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface VirtualArray {
  /** As in `/a/b`. */
  readonly path: string
  /** In elements. */
  readonly shape: ReadonlyArray<number>
  /** In elements, at least 1 along each dimension. */
  readonly chunkShape: ReadonlyArray<number>
  /** A Zarr 3 data type. */
  readonly dataType: string | JsonObject
  /** An integer beyond 2^53 is a `bigint`. */
  readonly fillValue: Json | bigint
  /** Zarr 3 codecs. */
  readonly codecs: ReadonlyArray<JsonObject>
  readonly dimensionNames: ReadonlyArray<string | null> | undefined
  readonly attributes: JsonObject
  /**
   * Its chunks, read from the index of the file as they are asked for, in batches of at most some 64,000. Each chunk comes once;
   * a chunk that does not come is missing.
   */
  readonly chunks: Stream.Stream<Chunks, ImportError>
}

/**
 * What could not be virtualised, and why. The rest of the file goes on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Skipped {
  readonly location: string
  /** Of the array, group or attribute (`/a/b@units`) in the file. */
  readonly path: string
  readonly kind: "array" | "group" | "attribute" | "link" | "chunk" | "field"
  /** What stands in the way. */
  readonly reason:
    | "data type"
    | "filter"
    | "layout"
    | "link"
    | "name"
    | "codec"
    | "value"
    | "external storage"
    | "format"
  /** A sentence: what it is, and what to do where something can be done. */
  readonly problem: string
}

/**
 * A virtual data set.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dataset {
  /** Parents before what is in them; the first is the root. */
  readonly groups: ReadonlyArray<Group>
  readonly arrays: ReadonlyArray<VirtualArray>
  readonly skipped: ReadonlyArray<Skipped>
}

/**
 * The array at a path.
 *
 * @category combinators
 * @since 0.1.0
 */
export const array = (dataset: Dataset, path: string): VirtualArray | undefined =>
  dataset.arrays.find((one) => one.path === path)
