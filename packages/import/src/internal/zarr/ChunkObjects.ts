/**
 * The objects of an array's chunks as refs: from a listing, by a question for each, or by the grid alone.
 *
 * @since 0.1.0
 */
import { type Checksum, type ObjectStore, ObjectStoreError } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Chunks } from "../../Dataset.ts"
import type { ImportError } from "../../ImportError.ts"
import type { ReadOptions, SourceFile } from "../../SourceFile.ts"
import * as ByteSource from "../ByteSource.ts"
import * as Pieces from "../Pieces.ts"
import * as ChunkKeys from "./ChunkKeys.ts"
import type { Keys } from "./Zarr3.ts"

/** An array whose chunks are looked for. */
export interface Place {
  readonly root: SourceFile
  /** Its directory in the store, with a `/` at the end unless it is the whole store. */
  readonly prefix: string
  /** The same, as locations have it. */
  readonly location: string
  readonly keys: Keys
  readonly shape: ReadonlyArray<number>
  readonly chunkShape: ReadonlyArray<number>
  readonly checksum: ReadOptions["checksum"]
  readonly onEmpty: (key: string) => void
}

const columns = (place: Place, grid: ReadonlyArray<number>, objects: ReadonlyArray<ObjectStore.ObjectMeta>): Chunks => {
  const { checksum, keys, location, prefix, root } = place
  const rank = grid.length
  const indices = new Uint32Array(objects.length * rank)
  const lengths = new Float64Array(objects.length)
  const values: Array<string> = []
  const checksums: Array<Checksum.Checksum | undefined> = []
  for (const object of objects) {
    const row = values.length
    if (!ChunkKeys.parse(keys, object.key, prefix.length, grid, indices, row * rank)) continue
    if (object.size < 1) {
      place.onEmpty(object.key)
      continue
    }
    lengths[row] = object.size
    values.push(`${location}${object.key.slice(prefix.length)}`)
    checksums.push(ByteSource.checksumOf(object, root.store.origin.platform, checksum))
  }
  const rows = values.length
  return {
    _tag: "Refs",
    refs: {
      indices: indices.subarray(0, rows * rank),
      offsets: new Float64Array(rows),
      lengths: lengths.subarray(0, rows),
      locations: { values, ids: Uint32Array.from({ length: rows }, (_, i) => i) },
      checksums: checksum === false ? undefined : checksums
    }
  }
}

/** One listing of the array's directory. */
export const listed = (place: Place): Stream.Stream<Chunks, ImportError> => {
  const grid = Pieces.counts(place.shape, place.chunkShape)
  return place.root.store.list(place.prefix).pipe(
    Stream.grouped(Pieces.batchRows),
    Stream.map((objects) => columns(place, grid, objects))
  )
}

const numbers = (place: Place, size: number) => {
  const grid = Pieces.counts(place.shape, place.chunkShape)
  const index = grid.map(() => 0)
  const keyOf = (number: number) => {
    Pieces.place(number, grid, index)
    return `${place.prefix}${ChunkKeys.format(place.keys, index)}`
  }
  return {
    grid,
    keyOf,
    batches: Pieces.batches(
      grid.reduce((a, b) => a * b, 1),
      size
    )
  }
}

/** A question for each chunk of the grid; those that are missing stay so. */
export const asked = (place: Place): Stream.Stream<Chunks, ImportError> => {
  const { batches, grid, keyOf } = numbers(place, 4096)
  const { store } = place.root
  return batches.pipe(
    Stream.mapEffect(({ from, to }) =>
      Effect.forEach(
        Array.from({ length: to - from }, (_, i) => keyOf(from + i)),
        (key) =>
          store.head(key).pipe(
            // Some stores name the object otherwise than they were asked.
            Effect.map((meta) => ({ ...meta, key })),
            Effect.catchIf(ObjectStoreError.isNotFound, () => Effect.succeed(undefined))
          ),
        { concurrency: store.maxConcurrentRequests ?? 64 }
      )
    ),
    Stream.map((all) =>
      columns(
        place,
        grid,
        all.filter((meta) => meta !== undefined)
      )
    )
  )
}

/** All chunks of the grid, each of the same length: nobody looks whether they are there. */
export const supposed = (place: Place, length: number): Stream.Stream<Chunks> => {
  const { batches, grid, keyOf } = numbers(place, Pieces.batchRows)
  return Stream.map(batches, ({ from, to }): Chunks => {
    const metas = Array.from({ length: to - from }, (_, i) => ({
      key: keyOf(from + i),
      size: length,
      lastModified: undefined,
      version: { etag: undefined }
    }))
    return columns({ ...place, checksum: false }, grid, metas)
  })
}
