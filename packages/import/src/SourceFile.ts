/**
 * A file that is imported: an object of any store, and the location by which the repository's readers will find it.
 *
 * @since 0.1.0
 */
import type { ObjectStore } from "@effect-icechunk/core"

/**
 * An object of a store. `location` is what its refs say, as in `s3://bucket/runs/1.nc`: the repository needs a container for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SourceFile {
  readonly store: ObjectStore.ObjectStoreShape
  readonly key: string
  readonly location: string
}

/**
 * How files are read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadOptions {
  /**
   * What refs remember of the file, from the answers that its header came in: no request of its own. `true`, the default, is
   * the ETag, or the time of change where there is none, and on `fs`, as `capture` of `setVirtualRefs`.
   */
  readonly checksum?: boolean | "etag" | "last-modified" | undefined
  /** Files up to this size are read at once, in bytes (default 1 MiB). */
  readonly wholeBelow?: number | undefined
  /** Bytes that a request for a part of a larger file reads at least (default 64 KiB). */
  readonly blockSize?: number | undefined
  /** Bytes of a larger file that are held at most while it is read (default 32 MiB). */
  readonly cacheBytes?: number | undefined
}

/**
 * An object of a store, at the location that the store's description gives it unless another is given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (store: ObjectStore.ObjectStoreShape, key: string, location?: string): SourceFile => ({
  store,
  key,
  location: location ?? `${store.description.replace(/\/$/, "")}/${key}`
})
