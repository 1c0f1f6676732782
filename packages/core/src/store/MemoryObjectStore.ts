/**
 * An object store in memory, with everything that a store can do: for tests, for scratch repositories, and
 * as the shortest example of how a store is written.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as ByteRange from "../values/ByteRange.ts"
import * as Checksum from "../values/Checksum.ts"
import * as ObjectStore from "./ObjectStore.ts"
import * as Errors from "./ObjectStoreError.ts"
import * as RequestSpan from "./RequestSpan.ts"

/**
 * What may differ from a writable store that can do everything.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the store in errors and spans (default `memory://`). */
  readonly description?: string | undefined
  /** Makes the store read-only, for this reason. */
  readonly readOnlyBecause?: string | undefined
  /** Where the store pretends to be (default: platform `memory`). */
  readonly origin?: ObjectStore.Origin | undefined
  /** What the store lacks: it refuses that, as a real one must. */
  readonly capabilities?: Partial<ObjectStore.Capabilities> | undefined
}

interface Entry {
  readonly bytes: Uint8Array
  readonly etag: string
  readonly lastModified: number
  readonly metadata: Readonly<Record<string, string>> | undefined
}

/**
 * Makes an empty store. Bytes are copied on their way in and out, so that neither a caller's buffer nor a
 * result can change what is stored. ETags are quoted counters that never repeat within a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): Effect.Effect<ObjectStore.ObjectStoreShape> =>
  Effect.sync(() => {
    const description = options?.description ?? "memory://"
    const capabilities: ObjectStore.Capabilities = {
      conditionalCreate: true,
      conditionalUpdate: true,
      conditionalGet: true,
      metadata: true,
      opaqueKeys: true,
      ...options?.capabilities
    }
    const objects = new Map<string, Entry>()
    let versions = 0

    const fail = (operation: Errors.Operation, key: string, reason: Errors.Reason): Errors.ObjectStoreError =>
      new Errors.ObjectStoreError({ store: description, operation, key, reason })

    const usable = (operation: Errors.Operation, key: string): Effect.Effect<void, Errors.ObjectStoreError> => {
      const problem = keyProblem(key, capabilities.opaqueKeys)
      return problem === undefined
        ? Effect.void
        : Effect.fail(fail(operation, key, new Errors.Unsupported({ detail: problem })))
    }

    const find = (operation: Errors.Operation, key: string): Effect.Effect<Entry, Errors.ObjectStoreError> =>
      Effect.suspend(() => {
        const entry = objects.get(key)
        return entry === undefined ? Effect.fail(fail(operation, key, new Errors.NotFound({}))) : Effect.succeed(entry)
      })

    const store: ObjectStore.ObjectStoreShape = {
      description,
      origin: options?.origin ?? { platform: "memory" },
      capabilities,
      readOnlyBecause: options?.readOnlyBecause,
      isLocal: true,

      get: (key, conditions) =>
        Effect.gen(function* () {
          yield* usable("get", key)
          const entry = yield* find("get", key)
          const { bytes, etag, lastModified } = entry
          if (
            (conditions?.ifMatch !== undefined && !sameTag(conditions.ifMatch, etag)) ||
            (conditions?.ifUnmodifiedSince !== undefined && lastModified > conditions.ifUnmodifiedSince)
          ) {
            return yield* fail("get", key, new Errors.PreconditionFailed({}))
          }
          if (conditions?.ifNoneMatch !== undefined && sameTag(conditions.ifNoneMatch, etag)) {
            return yield* fail("get", key, new Errors.NotModified({}))
          }
          const span = ByteRange.resolve(conditions?.range, bytes.length)
          if (span === undefined) return yield* fail("get", key, new Errors.InvalidRange({ size: bytes.length }))
          const excess = ObjectStore.excess(span.end - span.start, conditions)
          if (excess !== undefined) return yield* fail("get", key, excess)
          yield* RequestSpan.bytes(span.end - span.start)
          return { bytes: bytes.slice(span.start, span.end), span, meta: metaOf(key, entry) }
        }).pipe(RequestSpan.within(store, "get", key)),

      put: (key, bytes, putOptions) =>
        Effect.gen(function* () {
          yield* ObjectStore.ensureWritable(store)
          yield* usable("put", key)
          const mode = putOptions?.mode ?? ObjectStore.overwrite
          const lacking = lackingMode(mode, capabilities)
          if (lacking !== undefined) return yield* fail("put", key, new Errors.Unsupported({ detail: lacking }))
          const now = yield* Clock.currentTimeMillis
          const current = objects.get(key)
          if (mode._tag === "Create" && current !== undefined) {
            return yield* fail("put", key, new Errors.AlreadyExists({}))
          }
          if (mode._tag === "Update") {
            const { etag } = mode.version
            if (current === undefined || etag === undefined || !sameTag(etag, current.etag)) {
              return yield* fail("put", key, new Errors.PreconditionFailed({}))
            }
          }
          const entry: Entry = {
            // Not by `slice`, which makes no copy of a Buffer.
            bytes: new Uint8Array(bytes),
            etag: `"${++versions}"`,
            lastModified: now,
            metadata: capabilities.metadata ? lowerCased(putOptions?.metadata) : undefined
          }
          objects.set(key, entry)
          yield* RequestSpan.bytes(bytes.length)
          return { etag: entry.etag }
        }).pipe(RequestSpan.within(store, "put", key)),

      head: (key) =>
        usable("head", key).pipe(
          Effect.andThen(find("head", key)),
          Effect.map((entry) => metaOf(key, entry)),
          RequestSpan.within(store, "head", key)
        ),

      list: (prefix) =>
        Stream.suspend(() =>
          Stream.fromIterable(
            [...objects]
              .filter(([key]) => key.startsWith(prefix))
              .map(([key, entry]) => metaOf(key, { ...entry, metadata: undefined }))
          )
        ).pipe(RequestSpan.listing(store, prefix)),

      delete: (keys) =>
        Effect.gen(function* () {
          yield* ObjectStore.ensureWritable(store)
          for (const key of keys) {
            yield* usable("delete", key)
            objects.delete(key)
          }
        }).pipe(RequestSpan.within(store, "delete", keys[0] ?? "")),

      copy: (from, to, copyOptions) =>
        Effect.gen(function* () {
          yield* ObjectStore.ensureWritable(store)
          yield* usable("copy", from)
          yield* usable("copy", to)
          const now = yield* Clock.currentTimeMillis
          const expected = copyOptions?.ifMatch
          const entry = yield* Effect.filterOrFail(
            find("copy", from),
            ({ etag }) => expected === undefined || (expected.etag !== undefined && sameTag(expected.etag, etag)),
            () => fail("copy", from, new Errors.PreconditionFailed({}))
          )
          objects.set(to, { ...entry, etag: `"${++versions}"`, lastModified: now })
        }).pipe(RequestSpan.within(store, "copy", from))
    }
    return store
  })

/**
 * Provides an empty store.
 *
 * @example
 * ```ts
 * const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<ObjectStore.ObjectStore> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

const sameTag = (a: string, b: string): boolean => Checksum.opaqueTag(a) === Checksum.opaqueTag(b)

const metaOf = (key: string, { bytes, etag, lastModified, metadata }: Entry): ObjectStore.ObjectMeta => ({
  key,
  size: bytes.length,
  lastModified,
  version: { etag },
  metadata
})

const lowerCased = (
  metadata: Readonly<Record<string, string>> | undefined
): Readonly<Record<string, string>> | undefined =>
  metadata && Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), value]))

const keyProblem = (key: string, opaque: boolean): string | undefined => {
  if (key === "") return "a key is never empty"
  return !opaque && key.split("/").some((segment) => segment === "" || segment === "." || segment === "..")
    ? "its keys have no empty, `.` or `..` segments"
    : undefined
}

const lackingMode = (mode: ObjectStore.PutMode, capabilities: ObjectStore.Capabilities): string | undefined => {
  if (mode._tag === "Create" && !capabilities.conditionalCreate) return "it cannot put only when nothing is there"
  if (mode._tag === "Update" && !capabilities.conditionalUpdate) return "it cannot put only over a certain version"
  return undefined
}
