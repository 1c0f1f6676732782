/**
 * One bucket and prefix, or one directory, on one platform.
 *
 * The service has few primitives and the rest is derived from them, so that a new store has little to
 * write and every store passes the same conformance suite (`testing/ObjectStoreConformance`).
 *
 * Keys are opaque text relative to the store: never empty, never normalised.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ByteRange from "../values/ByteRange.ts"
import type * as Credentials from "../values/Credentials.ts"
import type * as DeferredWrites from "./DeferredWrites.ts"
import * as ObjectStoreError from "./ObjectStoreError.ts"
import * as RangePlan from "./RangePlan.ts"

/**
 * What identifies one version of an object: an ETag as the store sent it, on Google Cloud Storage a
 * generation too.
 *
 * @category models
 * @since 0.1.0
 */
export interface Version {
  readonly etag: string | undefined
  readonly generation?: string | undefined
}

/**
 * What a store says of an object.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectMeta {
  readonly key: string
  /** Bytes in the whole object. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly lastModified: number | undefined
  readonly version: Version
  /** Other ETags by which the platform's other APIs know the same version. */
  readonly alternateEtags?: ReadonlyArray<string> | undefined
  /** User metadata, keys in lower case; only from `get` and `head`, where the store keeps any. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

/**
 * How a put treats an object that is there already.
 *
 * - `Overwrite`: replaces it;
 * - `Create`: fails with `AlreadyExists`;
 * - `Update`: replaces exactly this version, else fails with `PreconditionFailed`.
 *
 * @category models
 * @since 0.1.0
 */
export type PutMode =
  | { readonly _tag: "Overwrite" }
  | { readonly _tag: "Create" }
  | { readonly _tag: "Update"; readonly version: Version }

/**
 * Replaces whatever is there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const overwrite: PutMode = { _tag: "Overwrite" }

/**
 * Only when nothing is there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const create: PutMode = { _tag: "Create" }

/**
 * Only when the object still is this version.
 *
 * @category constructors
 * @since 0.1.0
 */
export const update = (version: Version): PutMode => ({ _tag: "Update", version })

/**
 * Options of `get`. `ifMatch` and `ifUnmodifiedSince` fail with `PreconditionFailed`; `ifNoneMatch`, the ETag of a version
 * that the reader has already, with `NotModified`, which is not worth a retry. They are sent to the store where it has
 * them (`capabilities.conditionalGet`) and must be checked on the response in any case, in this order and before the
 * range.
 *
 * @category models
 * @since 0.1.0
 */
export interface GetOptions {
  readonly range?: ByteRange.ByteRange | undefined
  readonly ifMatch?: string | undefined
  /** Milliseconds since 1970. */
  readonly ifUnmodifiedSince?: number | undefined
  readonly ifNoneMatch?: string | undefined
  /** More bytes than these are not read: the get fails with `Unsupported` when the store says how many there are. */
  readonly maxBytes?: number | undefined
}

/**
 * Bytes, where they stand in the object, and the metadata of that same response.
 *
 * @category models
 * @since 0.1.0
 */
export interface GetResult {
  readonly bytes: Uint8Array
  readonly span: ByteRange.Span
  readonly meta: ObjectMeta
}

/**
 * Options of `put`. The mode is `Overwrite` unless given.
 *
 * @category models
 * @since 0.1.0
 */
export interface PutOptions {
  readonly mode?: PutMode | undefined
  readonly contentType?: string | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /**
   * Takes what is left to be done until the object is durable; without, it is durable when the put returns. For objects
   * on which nothing depends yet: until then a loss of power may take the object away, or a part of its bytes.
   */
  readonly defer?: DeferredWrites.Defer | undefined
  /**
   * Succeeds before the object is visible, or the put fails with its error and writes nothing: it settles what this
   * object depends on. A store that never defers anything need not run it, and one that does may run it beside other
   * work. Who wraps a store passes on both, or neither.
   */
  readonly after?: Effect.Effect<void, ObjectStoreError.ObjectStoreError> | undefined
  /**
   * Nobody else writes this key, as where it is a random id: a store that would have to look for an object to overwrite
   * need not.
   */
  readonly isUnique?: boolean | undefined
}

/**
 * Options of `copy`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyOptions {
  /** Only this version. */
  readonly ifMatch?: Version | undefined
  /** As in `PutOptions`. */
  readonly defer?: DeferredWrites.Defer | undefined
}

/**
 * What a store can do. A condition that a store ignores is declared as lacking, never assumed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** `put` with `Create` is enforced. */
  readonly conditionalCreate: boolean
  /** `put` with `Update` is enforced. */
  readonly conditionalUpdate: boolean
  /** The conditions of `get` are evaluated by the store, in the same request as the read. */
  readonly conditionalGet: boolean
  /** User metadata is kept. */
  readonly metadata: boolean
  /**
   * Keys with empty, `.` and `..` segments or a leading or trailing `/` are ordinary keys, and there may be
   * objects `a` and `a/b` at once.
   */
  readonly opaqueKeys: boolean
}

/**
 * Where a store is, for the rules of credentials and regions, and which credentials it uses.
 *
 * @category models
 * @since 0.1.0
 */
export interface Origin {
  readonly platform: string
  /** Base URL; `undefined` is the platform's own. */
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly credentials?: Credentials.Source | undefined
}

/**
 * Something may not be written, and why.
 *
 * @category errors
 * @since 0.1.0
 */
export class WriteForbidden
  extends /*#__PURE__*/ Data.TaggedError("WriteForbidden")<{
    /** What refused: a store, a session, a repository. */
    readonly target: string
    readonly because: string
  }>
{
  override get message(): string {
    return `\`${this.target}\` cannot be written: ${this.because}`
  }
}

/**
 * The primitives that a store implements.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectStoreShape {
  /** Names the store in errors and spans, as in `s3://bucket/prefix`; without secrets. */
  readonly description: string
  readonly origin: Origin
  readonly capabilities: Capabilities
  /** `undefined` when the store may be written, else a sentence that says why not and what to do. */
  readonly readOnlyBecause: string | undefined
  /**
   * Requests that the store takes at once (default 64): as many reads of chunks are made, and further ones wait without
   * being asked for. A bound of its own that the store has, such as its sockets, should be at least as large.
   */
  readonly maxConcurrentRequests?: number | undefined
  /** Reads pass no wire: a request costs about as much as reading 4 KiB, and nothing is worth a cache (files, memory). */
  readonly isLocal?: boolean | undefined
  /**
   * Reads an object or a part of it. Fails with `NotFound`, `InvalidRange` (never a shorter answer),
   * `PreconditionFailed` and `NotModified`.
   */
  readonly get: (key: string, options?: GetOptions) => Effect.Effect<GetResult, ObjectStoreError.ObjectStoreError>
  /** Writes a whole object, visible at once or not at all. */
  readonly put: (
    key: string,
    bytes: Uint8Array,
    options?: PutOptions
  ) => Effect.Effect<Version, ObjectStoreError.ObjectStoreError | WriteForbidden>
  readonly head: (key: string) => Effect.Effect<ObjectMeta, ObjectStoreError.ObjectStoreError>
  /** All objects whose keys start with `prefix`, as text, in no particular order; the empty prefix lists all. */
  readonly list: (prefix: string) => Stream.Stream<ObjectMeta, ObjectStoreError.ObjectStoreError>
  /** Deletes objects; a missing one counts as deleted. Fails with the first key that could not be deleted. */
  readonly delete: (
    keys: ReadonlyArray<string>
  ) => Effect.Effect<void, ObjectStoreError.ObjectStoreError | WriteForbidden>
  /** Copies within the store. The copy does not change with what it was made of. */
  readonly copy: (
    from: string,
    to: string,
    options?: CopyOptions
  ) => Effect.Effect<void, ObjectStoreError.ObjectStoreError | WriteForbidden>
  /**
   * Removes what killed writers left that is not an object, and says how much it was; for stores that have such things.
   * What a writer that may live is at work on stays.
   */
  readonly removeLeftovers?:
    | Effect.Effect<
        { readonly files: number; readonly bytes: number },
        ObjectStoreError.ObjectStoreError | WriteForbidden
      >
    | undefined
}

/**
 * The store of the repository, or of a container.
 *
 * @category services
 * @since 0.1.0
 */
export class ObjectStore extends Context.Service<ObjectStore, ObjectStoreShape>()(
  "@effect-icechunk/core/ObjectStore"
) {}

/**
 * Fails with `WriteForbidden` when the store is read-only, before any request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ensureWritable = (store: ObjectStoreShape): Effect.Effect<void, WriteForbidden> =>
  store.readOnlyBecause === undefined
    ? Effect.void
    : Effect.fail(new WriteForbidden({ target: store.description, because: store.readOnlyBecause }))

/**
 * Why a get of this many bytes is refused, or `undefined`: for stores, when they know how many there are.
 *
 * @category combinators
 * @since 0.1.0
 */
export const excess = (bytes: number, options: GetOptions | undefined): ObjectStoreError.Unsupported | undefined =>
  options?.maxBytes === undefined || bytes <= options.maxBytes
    ? undefined
    : new ObjectStoreError.Unsupported({
        detail: `it has ${bytes} bytes, more than the ${options.maxBytes} that are read of an object of its kind`
      })

/**
 * Whether an object exists.
 *
 * @category combinators
 * @since 0.1.0
 */
export const exists = (
  store: ObjectStoreShape,
  key: string
): Effect.Effect<boolean, ObjectStoreError.ObjectStoreError> =>
  store.head(key).pipe(
    Effect.as(true),
    Effect.catchIf(ObjectStoreError.isNotFound, () => Effect.succeed(false))
  )

/**
 * Reads many ranges of one object with as few requests as the plan allows. The results are in the order of
 * `ranges`, and each has bytes of its own, also where ranges overlap. Fails with `InvalidRange`, before any request, when a range is
 * malformed. When the object may change between requests, give `conditions` or compare the versions.
 *
 * @category combinators
 * @since 0.1.0
 */
export const getRanges = (
  store: ObjectStoreShape,
  key: string,
  ranges: ReadonlyArray<ByteRange.Span>,
  options?: {
    readonly conditions?: Omit<GetOptions, "range"> | undefined
    readonly plan?: RangePlan.Options | undefined
    readonly concurrency?: number | undefined
  }
): Effect.Effect<
  ReadonlyArray<{ readonly bytes: Uint8Array; readonly meta: ObjectMeta }>,
  ObjectStoreError.ObjectStoreError
> => {
  const malformed = ranges.find(({ end, start }) => !ByteRange.isValid(ByteRange.bounded(start, end - start)))
  if (malformed !== undefined) {
    const detail = `bytes ${malformed.start} to ${malformed.end} are not a range`
    const reason = new ObjectStoreError.InvalidRange({ detail })
    return Effect.fail(
      new ObjectStoreError.ObjectStoreError({ store: store.description, operation: "get", key, reason })
    )
  }
  const groups = RangePlan.plan(ranges, options?.plan)
  return Effect.map(
    Effect.forEach(
      groups,
      (group) =>
        store.get(key, { ...options?.conditions, range: ByteRange.bounded(group.start, group.end - group.start) }),
      { concurrency: options?.concurrency ?? store.maxConcurrentRequests ?? 64 }
    ),
    (fetched) => {
      const results: Array<{ readonly bytes: Uint8Array; readonly meta: ObjectMeta }> = Array.from({
        length: ranges.length
      })
      groups.forEach((group, i) => {
        const { bytes, meta } = fetched[i]!
        // A body that answers one range is its reader's; of one that answers several each gets a copy.
        const isShared = group.members.length > 1
        for (const member of group.members) {
          const { end, start } = ranges[member]!
          results[member] = {
            bytes: isShared ? new Uint8Array(bytes.subarray(start - group.start, end - group.start)) : bytes,
            meta
          }
        }
      })
      return results
    }
  )
}

/**
 * The part of a store whose keys start with `prefix`, as a store of its own, which its errors name. A slash
 * is put between prefix and keys unless the prefix ends with one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const prefixed = (store: ObjectStoreShape, prefix: string): ObjectStoreShape => {
  if (prefix === "") return store
  const base = prefix.endsWith("/") ? prefix : `${prefix}/`
  const description = `${store.description.replace(/\/$/, "")}/${base.slice(0, -1)}`
  const inner = (meta: ObjectMeta): ObjectMeta => ({ ...meta, key: meta.key.slice(base.length) })
  const innerError = <E extends ObjectStoreError.ObjectStoreError | WriteForbidden>(
    error: E
  ): ObjectStoreError.ObjectStoreError | Exclude<E, ObjectStoreError.ObjectStoreError> =>
    error instanceof ObjectStoreError.ObjectStoreError
      ? new ObjectStoreError.ObjectStoreError({
          store: description,
          operation: error.operation,
          key: error.key.startsWith(base) ? error.key.slice(base.length) : error.key,
          reason: error.reason
        })
      : (error as Exclude<E, ObjectStoreError.ObjectStoreError>)
  // With the prefix in front, the empty key would be a key.
  const request = <A, E extends ObjectStoreError.ObjectStoreError | WriteForbidden>(
    operation: ObjectStoreError.Operation,
    keys: ReadonlyArray<string>,
    run: () => Effect.Effect<A, E>
  ): Effect.Effect<A, ObjectStoreError.ObjectStoreError | Exclude<E, ObjectStoreError.ObjectStoreError>> =>
    keys.includes("")
      ? Effect.fail(
          new ObjectStoreError.ObjectStoreError({
            store: description,
            operation,
            key: "",
            reason: new ObjectStoreError.Unsupported({ detail: "a key is never empty" })
          })
        )
      : Effect.mapError(Effect.suspend(run), innerError)
  const self: ObjectStoreShape = {
    ...store,
    description,
    // Those of the whole store are not ours alone.
    removeLeftovers: undefined,
    get: (key, options) =>
      request("get", [key], () =>
        Effect.map(store.get(base + key, options), (result) => ({ ...result, meta: inner(result.meta) }))
      ),
    put: (key, bytes, options) =>
      Effect.andThen(
        ensureWritable(self),
        request("put", [key], () => store.put(base + key, bytes, options))
      ),
    head: (key) => request("head", [key], () => Effect.map(store.head(base + key), inner)),
    list: (keys) => Stream.mapError(Stream.map(store.list(base + keys), inner), innerError),
    delete: (keys) =>
      Effect.andThen(
        ensureWritable(self),
        request("delete", keys, () => store.delete(keys.map((key) => base + key)))
      ),
    copy: (from, to, options) =>
      Effect.andThen(
        ensureWritable(self),
        request("copy", [from, to], () => store.copy(base + from, base + to, options))
      )
  }
  return self
}
