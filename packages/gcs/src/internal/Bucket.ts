/**
 * The store itself: the operations of `ObjectStore` over a connection to one bucket.
 */
import type * as Http from "@effect-icechunk/core/node/HttpPool"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Readback from "@effect-icechunk/core/Readback"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type BucketOptions, defaultConcurrency } from "../GcsOptions.ts"
import type * as Auth from "./Auth.ts"
import * as ConditionalWrite from "./ConditionalWrite.ts"
import * as Connection from "./Connection.ts"
import * as Etags from "./Etags.ts"
import * as Media from "./Media.ts"
import * as Metadata from "./Metadata.ts"
import * as Requests from "./Requests.ts"
import * as ResumableUpload from "./ResumableUpload.ts"

const capabilities = (readApi: Etags.Api): ObjectStore.Capabilities => ({
  conditionalCreate: true,
  conditionalUpdate: true,
  conditionalGet: readApi === "xml",
  metadata: true,
  opaqueKeys: true
})

const lift = <A>(result: Result.Result<A, ObjectStoreError.Reason>): Effect.Effect<A, ObjectStoreError.Reason> =>
  Effect.fromResult(result)

const invalid = (detail: string): Effect.Effect<never, ObjectStoreError.Reason> =>
  Effect.fail(new ObjectStoreError.InvalidResponse({ detail }))

/** Where the bucket is and how requests are authenticated. */
export interface Place {
  /** Base URL without slashes at its end. */
  readonly endpoint: string
  /** It is not Google's. */
  readonly custom: boolean
  readonly auth: Auth.Auth
  readonly origin: ObjectStore.Origin
}

/** The store over an endpoint with credentials. */
export const open = Effect.fnUntraced(function* (
  { auth, custom, endpoint, origin }: Place,
  options: BucketOptions
): Effect.fn.Return<ObjectStore.ObjectStoreShape, never, Scope.Scope> {
  const { bucket, requestTimeout, retry, userProject } = options
  const readApi = options.readApi ?? (custom ? "json" : "xml")
  const target: Requests.Target = { bucket, userProject }
  const prefix = options.prefix ?? ""
  const base = prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`
  const description = `gcs://${bucket}/${base.replace(/\/$/, "")}`.replace(/\/$/, "")
  const concurrency = options.concurrency ?? defaultConcurrency
  const connection = yield* Connection.make({
    endpoint,
    auth,
    target,
    concurrency,
    idleTimeout: Duration.fromInputUnsafe(options.idleTimeout ?? "1 minute"),
    requestTimeout: requestTimeout === undefined ? undefined : Duration.fromInputUnsafe(requestTimeout),
    retries: retry?.times ?? 8,
    firstDelay: Duration.fromInputUnsafe(retry?.baseDelay ?? "100 millis"),
    maxDelay: Duration.fromInputUnsafe(retry?.maxDelay ?? "10 seconds")
  })

  const failing =
    (operation: ObjectStoreError.Operation, key: string) =>
    <A, R>(
      self: Effect.Effect<A, ObjectStoreError.Reason, R>
    ): Effect.Effect<A, ObjectStoreError.ObjectStoreError, R> =>
      Effect.mapError(
        self,
        (reason) => new ObjectStoreError.ObjectStoreError({ store: description, operation, key, reason })
      )

  const purpose = (
    operation: ObjectStoreError.Operation,
    key: string,
    limit?: (head: Http.Head) => number
  ): Connection.Purpose => ({ store: description, operation, key, limit })

  /** The whole name of an object. */
  const named = (key: string): Effect.Effect<string, ObjectStoreError.Reason> => {
    const problem = key === "" ? Requests.nameProblem("") : Requests.nameProblem(base + key)
    return problem === undefined
      ? Effect.succeed(base + key)
      : Effect.fail(new ObjectStoreError.Unsupported({ detail: problem }))
  }

  const metaOnce = Effect.fnUntraced(function* (
    operation: ObjectStoreError.Operation,
    key: string,
    api: Etags.Api = readApi
  ): Effect.fn.Return<ObjectStore.ObjectMeta, ObjectStoreError.Reason> {
    const name = yield* named(key)
    const answer = yield* connection.send(Requests.head(target, api, name), purpose(operation, key))
    return yield* lift(
      api === "xml"
        ? Metadata.fromHeaders(api, key, answer)
        : Result.flatMap(Metadata.decodeResource(name, answer.body), (resource) => Metadata.fromResource(key, resource))
    )
  })

  const metaOf = (...args: Parameters<typeof metaOnce>): ReturnType<typeof metaOnce> =>
    connection.retry(metaOnce(...args))

  /** Answers without bytes: for ranges that HTTP cannot ask for, and to judge a refused one. */
  const readNothing = Effect.fnUntraced(function* (
    api: Etags.Api,
    key: string,
    options: ObjectStore.GetOptions
  ): Effect.fn.Return<ObjectStore.GetResult, ObjectStoreError.Reason> {
    const meta = yield* metaOf("get", key, api)
    yield* lift(Media.checkConditions(meta, options))
    const span = yield* lift(Media.resolve(options.range, meta.size))
    if (span.start !== span.end) {
      return yield* invalid("a range inside the object was refused")
    }
    return { bytes: new Uint8Array(), span, meta }
  })

  const readThrough = (
    api: Etags.Api,
    name: string,
    key: string,
    options: ObjectStore.GetOptions
  ): Effect.Effect<ObjectStore.GetResult, ObjectStoreError.Reason> => {
    if (Media.isEmpty(options.range)) return readNothing(api, key, options)
    const wire = Requests.read(target, api, name, options)
    const attempt = Effect.suspend(() => {
      let checked: ReturnType<typeof Media.check> | undefined
      // Bytes of an answer that fails the check are not even read.
      const limit = (head: Http.Head): number => {
        checked = Media.check(api, key, options, head)
        return Result.isSuccess(checked) ? checked.success.span.end - checked.success.span.start : 0
      }
      return Effect.flatMap(connection.send(wire, purpose("get", key, limit)), (answer) => {
        const media = checked ?? Media.check(api, key, options, answer)
        if (Result.isFailure(media)) return Effect.fail(media.failure)
        const body = Media.checkBody(media.success, answer)
        if (Result.isFailure(body)) return Effect.fail(body.failure)
        return Effect.succeed({ bytes: answer.body, ...media.success })
      })
    })
    return connection.retry(attempt).pipe(
      // The range may be empty in this object, or the object may be another one.
      Effect.catchTag("InvalidRange", (reason) =>
        reason.size === undefined ? readNothing(api, key, options) : Effect.fail(reason)
      )
    )
  }

  const get = Effect.fnUntraced(function* (
    key: string,
    given: ObjectStore.GetOptions
  ): Effect.fn.Return<ObjectStore.GetResult, ObjectStoreError.Reason> {
    const options = { ...given, range: Media.normalize(given.range) }
    const name = yield* named(key)
    yield* lift(Media.checkRange(options.range))
    const api = Etags.apiFor(options.ifMatch, readApi)
    if (api === readApi) return yield* readThrough(api, name, key, options)
    return yield* readThrough(api, name, key, options).pipe(
      // Emulators have one of the APIs: the ETag is not that one's, but it can say so.
      Effect.catchTag(["NotFound", "Unsupported"], () => readThrough(readApi, name, key, options))
    )
  })

  /** The generation of a version: other writers and platforms may know it by ETag alone. */
  const generationOf = Effect.fnUntraced(function* (
    operation: ObjectStoreError.Operation,
    key: string,
    { etag, generation }: ObjectStore.Version
  ): Effect.fn.Return<string, ObjectStoreError.Reason> {
    if (generation !== undefined) return generation
    const meta = yield* metaOf(operation, key).pipe(
      Effect.catchTag("NotFound", () => Effect.fail(new ObjectStoreError.PreconditionFailed({})))
    )
    yield* lift(Media.checkConditions(meta, { ifMatch: etag ?? "" }))
    return meta.version.generation ?? (yield* new ObjectStoreError.Unsupported({ detail: "it has no generation" }))
  })

  const put = Effect.fnUntraced(function* (
    key: string,
    bytes: Uint8Array,
    { contentType = "application/octet-stream", metadata, mode = ObjectStore.overwrite }: ObjectStore.PutOptions
  ): Effect.fn.Return<ObjectStore.Version, ObjectStoreError.Reason> {
    const name = yield* named(key)
    const inPut = { ...purpose("put", key), create: mode._tag === "Create" }
    const send = (
      ifGenerationMatch: string | undefined,
      stamped: Readonly<Record<string, string>> | undefined
    ): Effect.Effect<Http.Answer, ObjectStoreError.Reason> => {
      const described = { contentType, metadata: stamped, ifGenerationMatch }
      return bytes.length > ResumableUpload.partBytes
        ? ResumableUpload.upload(connection, {
            endpoint,
            start: Requests.start(target, name, { ...described, size: bytes.length }),
            bytes,
            purpose: inPut
          })
        : connection.send(Requests.insert(target, name, bytes, { ...described, boundary: crypto.randomUUID() }), inPut)
    }
    const insert = (
      ...described: Parameters<typeof send>
    ): Effect.Effect<ObjectStore.Version, ObjectStoreError.Reason> =>
      send(...described).pipe(
        Effect.flatMap(({ body }) => lift(Metadata.decodeResource(name, body))),
        Effect.flatMap((resource) => lift(Metadata.fromResource(key, resource))),
        Effect.filterOrFail(
          ({ size }) => size === bytes.length,
          ({ size }) =>
            new ObjectStoreError.InvalidResponse({ detail: `${bytes.length} bytes were sent, ${size} are stored` })
        ),
        Effect.map(({ version }) => version)
      )
    if (mode._tag === "Overwrite") return yield* connection.retry(insert(undefined, metadata))
    const generation = mode._tag === "Create" ? "0" : yield* generationOf("put", key, mode.version)
    const writeId = Readback.writeIdOf(metadata) ?? crypto.randomUUID()
    // Attempts whose answers are lost and further ones cannot both apply: the precondition sees to it.
    return yield* connection.retry(
      ConditionalWrite.settling({
        writeId,
        mode,
        submit: insert(generation, { ...metadata, [Readback.metadataKey]: writeId }),
        readBack: metaOnce("put", key).pipe(Effect.catchTag("NotFound", () => Effect.undefined)),
        retry: connection.retry
      })
    )
  })

  const list = (listed: string): Stream.Stream<ObjectStore.ObjectMeta, ObjectStoreError.ObjectStoreError> =>
    Stream.paginate<string | undefined, ObjectStore.ObjectMeta, ObjectStoreError.ObjectStoreError>(
      undefined,
      (pageToken) =>
        Effect.gen(function* () {
          if (!listed.isWellFormed()) {
            return yield* new ObjectStoreError.Unsupported({ detail: "the prefix is not well-formed Unicode" })
          }
          const attempt = connection
            .send(
              Requests.list(target, base + listed, options.listPageSize ?? 1000, pageToken),
              purpose("list", listed)
            )
            .pipe(Effect.flatMap(({ body }) => lift(Metadata.decodePage(body))))
          const page = yield* connection.retry(attempt)
          const next = page.nextPageToken === "" ? undefined : page.nextPageToken
          if (next !== undefined && next === pageToken) return yield* invalid("a page that names itself as the next")
          const metas: Array<ObjectStore.ObjectMeta> = []
          for (const resource of page.items ?? []) {
            if (!resource.name.startsWith(base + listed)) return yield* invalid("an object without the prefix")
            // What has the name of the prefix itself is no object of this store.
            if (resource.name === base) continue
            metas.push(yield* lift(Metadata.fromListed(resource.name.slice(base.length), resource)))
          }
          return [metas, Option.fromUndefinedOr(next)] as const
        }).pipe(failing("list", listed))
    )

  const remove = Effect.fnUntraced(function* (key: string): Effect.fn.Return<void, ObjectStoreError.Reason> {
    const name = yield* named(key)
    const attempt = connection.send(Requests.remove(target, name), purpose("delete", key)).pipe(
      Effect.filterOrFail(
        // Nothing is said of what is gone; a page is.
        ({ body }) => body.length === 0,
        () => new ObjectStoreError.InvalidResponse({ detail: "a deletion was answered with a body" })
      )
    )
    yield* connection.retry(attempt).pipe(Effect.catchTag("NotFound", () => Effect.void))
  })

  const copy = Effect.fnUntraced(function* (
    from: string,
    destination: string,
    ifMatch: ObjectStore.Version | undefined
  ): Effect.fn.Return<void, ObjectStoreError.Reason> {
    const source = yield* named(from)
    const ifSourceGenerationMatch = ifMatch === undefined ? undefined : yield* generationOf("copy", from, ifMatch)
    let rewriteToken: string | undefined
    // Large objects, and those that change place or class, are copied in several calls.
    for (;;) {
      const wire = Requests.rewrite(target, source, destination, { ifSourceGenerationMatch, rewriteToken })
      const { body } = yield* connection.retry(connection.send(wire, purpose("copy", from)))
      const state = yield* lift(Metadata.decodeRewrite(body))
      if (state.done) return
      rewriteToken = state.rewriteToken ?? (yield* invalid("a copy that is not done has no rewrite token"))
    }
  })

  const store: ObjectStore.ObjectStoreShape = {
    description,
    origin,
    capabilities: capabilities(readApi),
    readOnlyBecause: options.readOnlyBecause,
    maxConcurrentRequests: concurrency,
    get: (key, options) => get(key, options ?? {}).pipe(failing("get", key)),
    head: (key) => metaOf("head", key).pipe(failing("head", key)),
    list,
    put: (key, bytes, options) =>
      Effect.andThen(ObjectStore.ensureWritable(store), put(key, bytes, options ?? {}).pipe(failing("put", key))),
    delete: (keys) =>
      Effect.andThen(
        ObjectStore.ensureWritable(store),
        Effect.forEach(keys, (key) => remove(key).pipe(failing("delete", key)), {
          concurrency,
          discard: true
        })
      ),
    copy: (from, to, options) =>
      ObjectStore.ensureWritable(store).pipe(
        Effect.andThen(named(to).pipe(failing("copy", to))),
        Effect.flatMap((destination) => copy(from, destination, options?.ifMatch).pipe(failing("copy", from)))
      )
  }
  return store
})
