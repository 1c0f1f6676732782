/**
 * Any object store as the storage of the official engine, so that it reads and writes repositories through the stores
 * of this library.
 */
import type icechunk from "@earthmover/icechunk"
import { ByteRange, ObjectStore, ObjectStoreError } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { callbacks, Storage } from "./OfficialEngine.ts"

type StoreError = ObjectStoreError.ObjectStoreError | ObjectStore.WriteForbidden

/** The engine knows a missing object by a word. */
const run = <A>(key: string, effect: Effect.Effect<A, StoreError>): Promise<A> =>
  Effect.runPromise(effect).catch((error: unknown) => {
    throw ObjectStoreError.isNotFound(error as StoreError)
      ? new Error(`ObjectNotFound: ${key}`, { cause: error })
      : error
  })

const versionOf = ({ etag }: ObjectStore.Version): icechunk.StorageVersionInfo => (etag === undefined ? {} : { etag })

/** A write that may lose against another one. */
const written = (key: string, write: Effect.Effect<ObjectStore.Version, StoreError>) =>
  run(
    key,
    write.pipe(
      Effect.map((version) => ({ kind: "updated", newVersion: versionOf(version) })),
      Effect.catchIf(ObjectStoreError.isConflict, () => Effect.succeed({ kind: "not_on_latest_version" }))
    )
  )

const rangeOf = ({ rangeEnd, rangeStart = 0 }: icechunk.StorageGetObjectRangeArgs): ByteRange.ByteRange | undefined => {
  if (rangeEnd !== undefined) return ByteRange.bounded(rangeStart, rangeEnd - rangeStart)
  return rangeStart === 0 ? undefined : ByteRange.from(rangeStart)
}

/** A previous version without an ETag asks for an object that does not exist yet. */
const modeOf = (previous: icechunk.StorageVersionInfo | undefined): ObjectStore.PutMode => {
  if (previous === undefined) return ObjectStore.overwrite
  return previous.etag === undefined ? ObjectStore.create : ObjectStore.update({ etag: previous.etag })
}

const below = (prefix: string): string => (prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`)

/** A storage of the engine over `store`. */
export const over = (store: ObjectStore.ObjectStoreShape): icechunk.Storage =>
  Storage.newCustom(
    callbacks({
      canWrite: async () => store.readOnlyBecause === undefined,
      getObjectRange: (args) =>
        run(
          args.path,
          Effect.map(store.get(args.path, { range: rangeOf(args) }), ({ bytes, meta }) => ({
            data: Buffer.from(bytes),
            version: versionOf(meta.version)
          }))
        ),
      getObjectConditional: ({ path, previousVersion }) =>
        run(
          path,
          Effect.map(store.get(path), ({ bytes, meta: { version } }) =>
            previousVersion?.etag !== undefined && previousVersion.etag === version.etag
              ? { kind: "on_latest_version" }
              : { kind: "modified", data: Buffer.from(bytes), newVersion: versionOf(version) }
          )
        ),
      getObjectLastModified: (path) =>
        run(
          path,
          Effect.map(store.head(path), ({ lastModified = 0 }) => new Date(lastModified))
        ),
      putObject: ({ contentType, data, metadata, path, previousVersion }) =>
        written(
          path,
          // The engine uses the memory of `data` again before the put is over.
          store.put(path, Uint8Array.from(data), {
            mode: modeOf(previousVersion),
            contentType,
            metadata: store.capabilities.metadata
              ? Object.fromEntries(metadata.map(({ key, value }) => [key, value]))
              : undefined
          })
        ),
      copyObject: ({ from, to, version: { etag } }) =>
        written(
          from,
          store
            .copy(from, to, etag === undefined ? undefined : { ifMatch: { etag } })
            .pipe(Effect.andThen(Effect.map(store.head(to), ({ version }) => version)))
        ),
      listObjects: (prefix) =>
        run(
          prefix,
          Effect.map(Stream.runCollect(store.list(below(prefix))), (found) =>
            found.map(({ key, lastModified = 0, size }) => ({
              id: key.slice(below(prefix).length),
              createdAt: new Date(lastModified),
              sizeBytes: size
            }))
          )
        ),
      deleteBatch: ({ batch, prefix }) =>
        run(
          prefix,
          Effect.as(store.delete(batch.map(({ id }) => below(prefix) + id)), {
            deletedObjects: batch.length,
            deletedBytes: batch.reduce((sum, { size }) => sum + size, 0)
          })
        )
    })
  )
