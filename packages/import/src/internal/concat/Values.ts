/**
 * Bytes and values of small arrays, to compare them and to write them again.
 *
 * @since 0.1.0
 */
import { ByteRange, Checksum, ZarrMetadata } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { VirtualArray } from "../../Dataset.ts"
import { FileChanged, type ImportError } from "../../ImportError.ts"
import type { SourceFile } from "../../SourceFile.ts"
import type { Described } from "./Compare.ts"
import type * as Zarrita from "zarrita"

/** Encoded chunks by their numbers, as in `0/1`. */
export type ChunkBytes = ReadonlyMap<string, Uint8Array>

/** Where an object of a location is; `undefined` where nobody knows. */
export type Resolve = (location: string) => Pick<SourceFile, "store" | "key"> | undefined

/** Why the values of an array are not to be had. */
export type Unread = "too large" | "unknown location" | "not decoded"

/** Reads all chunks of an array, unless they are more than `maxBytes`. */
export const bytesOf = Effect.fnUntraced(function* (
  array: VirtualArray,
  resolve: Resolve,
  maxBytes: number
): Effect.fn.Return<ChunkBytes | Unread, ImportError> {
  const chunks = new Map<string, Uint8Array>()
  const wanted: Array<{
    key: string
    location: string
    offset: number
    length: number
    checksum: Checksum.Checksum | undefined
  }> = []
  let sum = 0
  const isWhole = yield* array.chunks.pipe(
    Stream.takeWhile((some) => {
      if (some._tag === "Bytes") {
        sum += some.bytes.length
        chunks.set(some.index.join("/"), some.bytes)
        return sum <= maxBytes
      }
      const { checksums, indices, lengths, locations, offsets } = some.refs
      const rank = array.shape.length
      for (let row = 0; row < offsets.length; row++) {
        // What a chunk costs beside its bytes.
        sum += lengths[row]! + 64
        if (sum > maxBytes) return false
        const id = typeof locations === "string" ? 0 : locations.ids[row]!
        wanted.push({
          key: indices.subarray(row * rank, (row + 1) * rank).join("/"),
          location: typeof locations === "string" ? locations : locations.values[id]!,
          offset: offsets[row]!,
          length: lengths[row]!,
          checksum: Array.isArray(checksums)
            ? (checksums as ReadonlyArray<Checksum.Checksum | undefined>)[id]
            : (checksums as Checksum.Checksum | undefined)
        })
      }
      return true
    }),
    Stream.runDrain,
    Effect.map(() => sum <= maxBytes)
  )
  if (!isWhole) return "too large"
  for (const { location } of wanted) if (resolve(location) === undefined) return "unknown location"
  yield* Effect.forEach(
    wanted,
    ({ checksum, key, length, location, offset }) => {
      const { key: object, store } = resolve(location)!
      return store.get(object, { range: ByteRange.bounded(offset, length) }).pipe(
        Effect.flatMap(({ bytes, meta }): Effect.Effect<void, ImportError> => {
          const seen = { etag: meta.version.etag, alternateEtags: meta.alternateEtags, lastModified: meta.lastModified }
          if (checksum !== undefined && !Checksum.agrees(checksum, seen))
            return Effect.fail(new FileChanged({ location }))
          chunks.set(key, bytes)
          return Effect.void
        })
      )
    },
    { concurrency: 16, discard: true }
  )
  return chunks
})

/** Whether all chunks have the same bytes. */
export const sameBytes = (a: ChunkBytes, b: ChunkBytes): boolean =>
  a.size === b.size &&
  [...a].every(([key, bytes]) => {
    const other = b.get(key)
    return other !== undefined && other.length === bytes.length && bytes.every((byte, i) => byte === other[i])
  })

export type Numbers = ArrayLike<number> | ArrayLike<bigint> | ArrayLike<string> | ArrayLike<boolean>

/** Loaded when values have to be compared that are encoded otherwise. */
const zarrita: Effect.Effect<typeof Zarrita> = Effect.promise(() => import("zarrita"))

/** The values of chunks, decoded by zarrita, row by row; `undefined` for what it does not read. */
export const decode = (described: Described, chunks: ChunkBytes): Effect.Effect<Numbers | undefined> =>
  Effect.flatMap(zarrita, (zarr) => decodeWith(zarr, described, chunks))

const decodeWith = (
  zarr: typeof Zarrita,
  described: Described,
  chunks: ChunkBytes
): Effect.Effect<Numbers | undefined> =>
  Effect.tryPromise(async () => {
    const json = Result.getOrThrow(ZarrMetadata.array("/", described))
    const store = {
      get: (key: string): Promise<Uint8Array | undefined> =>
        Promise.resolve(
          key === "/zarr.json"
            ? json
            : key === "/c"
              ? chunks.get("")
              : key.startsWith("/c/")
                ? chunks.get(key.slice(3))
                : undefined
        )
    }
    const array = await zarr.open.v3(zarr.root(store), { kind: "array" })
    if (described.shape.length === 0) return [await zarr.get(array)] as unknown as Numbers
    // In rows, whatever order the chunks have.
    const { data, shape, stride } = (await zarr.get(array)) as unknown as {
      data: ArrayLike<unknown> & { readonly get?: (i: number) => unknown }
      shape: ReadonlyArray<number>
      stride: ReadonlyArray<number>
    }
    const total = shape.reduce((a, b) => a * b, 1)
    const index = shape.map(() => 0)
    const out: Array<unknown> = []
    for (let n = 0; n < total; n++) {
      let at = 0
      for (let axis = 0; axis < index.length; axis++) at += index[axis]! * stride[axis]!
      out.push(data.get === undefined ? data[at] : data.get(at))
      for (let axis = index.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0
    }
    return out as unknown as Numbers
  }).pipe(Effect.catch(() => Effect.succeed(undefined)))

/** Whether values are the same; NaN is NaN. */
export const sameValues = (a: Numbers, b: Numbers): boolean =>
  a.length === b.length &&
  Array.from({ length: a.length }, (_, i) => i).every((i) => Object.is(a[i], b[i]) || a[i] === b[i])

const bits: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-(2 ** 7), 2 ** 7 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 53), 2 ** 53],
  uint8: [0, 2 ** 8 - 1],
  uint16: [0, 2 ** 16 - 1],
  uint32: [0, 2 ** 32 - 1],
  uint64: [0, 2 ** 53]
}

/** Whether a number is one of a data type. */
export const fits = (dataType: string, value: number | bigint): boolean => {
  const range = bits[dataType]
  if (typeof value === "bigint" || range === undefined) return true
  return Number.isInteger(value) && range[0] <= value && value <= range[1]
}
