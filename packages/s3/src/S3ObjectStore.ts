/**
 * An `ObjectStore` on Amazon S3 and the services that speak its protocol: AWS, Ceph, MinIO, R2, DigitalOcean.
 * Tigris has a package of its own.
 *
 * @since 0.1.0
 */
import type { S3Client } from "@aws-sdk/client-s3"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { type Operation, ObjectStoreError } from "@effect-icechunk/core/ObjectStoreError"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as BatchDelete from "./internal/BatchDelete.ts"
import * as Keys from "./internal/Keys.ts"
import * as Reads from "./internal/Reads.ts"
import type { Target } from "./internal/Target.ts"
import * as Writes from "./internal/Writes.ts"
import * as Client from "./S3Client.ts"
import * as S3Connection from "./S3Connection.ts"
import * as S3Dialect from "./S3Dialect.ts"
import * as S3Error from "./S3Error.ts"
import * as S3Options from "./S3Options.ts"

const description = (platform: string, { bucket, prefix }: S3Options.StoreOptions): string =>
  `${platform}://${bucket}/${Keys.base(prefix)}`.replace(/\/$/, "")

/** Options that say otherwise than the dialect. */
const adjusted = (dialect: S3Dialect.S3Dialect, options: S3Options.StoreOptions): S3Dialect.S3Dialect => ({
  ...dialect,
  conditionalEtag: options.conditionalEtag ?? dialect.conditionalEtag,
  conditionalPut: options.conditionalPut ?? dialect.conditionalPut,
  conditionalCopy: options.conditionalCopy ?? dialect.conditionalCopy,
  conditionalMultipart: options.conditionalMultipart ?? dialect.conditionalMultipart
})

/** The first key that could not be deleted, and in the detail every other, up to twenty. */
const deletionError = (
  store: string,
  [first, ...others]: ReadonlyArray<BatchDelete.KeyFailure>
): ObjectStoreError | undefined => {
  if (first === undefined) return undefined
  const { reason } = first.failure
  const told = others.slice(0, 20).map(({ failure, key }) => `\`${key}\`: ${failure.reason.detail}`)
  const untold = others.length > told.length ? [`and ${others.length - told.length} more`] : []
  const detail = [reason.detail, ...told, ...untold].join("; ")
  return new ObjectStoreError({
    store,
    operation: "delete",
    key: first.key,
    reason: S3Error.reason(reason._tag, detail)
  })
}

/** The store over a connection. */
const over = (
  connection: S3Connection.S3Connection,
  options: S3Options.StoreOptions,
  dialect: S3Dialect.S3Dialect,
  origin: ObjectStore.Origin,
  isPathStyle: boolean
): ObjectStore.ObjectStoreShape => {
  const base = Keys.base(options.prefix)
  const name = description(dialect.platform, options)
  const request = options.requesterPays === true ? ({ RequestPayer: "requester" } as const) : {}
  const target: Target = { connection, base, dialect, options, request }
  const reads = Reads.make(target)
  const writes = Writes.make(target, reads)

  /** Refuses what is not a key, and says where a failure happened. */
  const on = <A>(
    operation: Operation,
    key: string,
    effect: Effect.Effect<A, S3Error.S3Failure>
  ): Effect.Effect<A, ObjectStoreError> =>
    Effect.suspend(() => {
      const problem = Keys.problem(key, base, isPathStyle)
      return problem === undefined ? effect : Effect.fail(problem)
    }).pipe(Effect.mapError(({ reason }) => new ObjectStoreError({ store: name, operation, key, reason })))

  const writable: Effect.Effect<void, ObjectStore.WriteForbidden> =
    options.readOnlyBecause === undefined
      ? Effect.void
      : Effect.fail(new ObjectStore.WriteForbidden({ target: name, because: options.readOnlyBecause }))

  const remove = (keys: ReadonlyArray<string>): Effect.Effect<void, ObjectStoreError> =>
    Effect.forEach(keys, (key) => on("delete", key, Effect.void), { discard: true }).pipe(
      Effect.andThen(BatchDelete.deleteAll({ connection, base, keys, request })),
      Effect.flatMap((failed) => {
        const error = deletionError(name, failed)
        return error === undefined ? Effect.void : Effect.fail(error)
      })
    )

  return {
    description: name,
    origin,
    capabilities: {
      conditionalCreate: dialect.conditionalPut !== false,
      conditionalUpdate: dialect.conditionalPut !== false,
      conditionalGet: true,
      metadata: true,
      opaqueKeys: !isPathStyle
    },
    readOnlyBecause: options.readOnlyBecause,
    maxConcurrentRequests: options.concurrency ?? S3Options.defaultConcurrency,
    get: (key, options) =>
      on(
        "get",
        key,
        Effect.suspend(() => reads.get(key, options))
      ),
    put: (key, bytes, options) => Effect.andThen(writable, on("put", key, writes.put(key, bytes, options))),
    head: (key) => on("head", key, reads.head(key, "head")),
    list: (prefix) =>
      Stream.mapError(
        reads.list(prefix),
        ({ reason }) => new ObjectStoreError({ store: name, operation: "list", key: prefix, reason })
      ),
    delete: (keys) => Effect.andThen(writable, remove(keys)),
    copy: (from, to, options) =>
      Effect.andThen(
        writable,
        Effect.andThen(
          on("copy", to, Effect.void),
          on(
            "copy",
            from,
            Effect.suspend(() => writes.copy(from, to, options?.ifMatch))
          )
        )
      )
  }
}

/**
 * A store in a given dialect, for packages that build on this one (as for Tigris). Does not refuse any endpoint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = Effect.fnUntraced(function* (
  options: S3Options.S3Options,
  dialect: S3Dialect.S3Dialect
): Effect.fn.Return<ObjectStore.ObjectStoreShape, S3Options.InvalidS3Options, Scope.Scope> {
  const problem = S3Options.problem(options)
  if (problem !== undefined) return yield* problem
  const actual = adjusted(dialect, options)
  const isPathStyle = S3Options.usesPathStyle(options)
  if (isPathStyle && Keys.hasDotSegment(options.prefix ?? "")) return yield* S3Options.dottedPrefix
  const connection = yield* S3Connection.make(options, actual, description(actual.platform, options))
  const credentials =
    options.anonymous === true ? Credentials.anonymous : (options.credentials ?? Credentials.environment())
  return over(
    connection,
    options,
    actual,
    { platform: actual.platform, endpoint: options.endpoint, region: connection.region, credentials },
    isPathStyle
  )
})

/**
 * A store; its connections are closed with the Scope. No request is made. Fails with `InvalidS3Options`, which
 * names the option, and with `TigrisEndpoint`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: S3Options.S3Options
): Effect.Effect<ObjectStore.ObjectStoreShape, S3Options.InvalidS3Options | S3Options.TigrisEndpoint, Scope.Scope> =>
  Effect.andThen(S3Options.validate(options), makeWith(options, S3Dialect.forEndpoint(options.endpoint)))

/**
 * The store of the options.
 *
 * @example
 * ```ts
 * const store = S3ObjectStore.layer({
 *   bucket: "repositories",
 *   prefix: "geoid",
 *   region: "eu-central-1",
 *   credentials: Credentials.accessKey({ accessKeyId, secretAccessKey })
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: S3Options.S3Options
): Layer.Layer<ObjectStore.ObjectStore, S3Options.InvalidS3Options | S3Options.TigrisEndpoint> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

/**
 * The store of options that are read from Config; by default from the environment, see `S3Options.environment`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<S3Options.S3Options> = S3Options.environment
): Layer.Layer<ObjectStore.ObjectStore, S3Options.InvalidS3Options | S3Options.TigrisEndpoint | Config.ConfigError> =>
  Layer.effect(ObjectStore.ObjectStore, Effect.flatMap(Config.unwrap(options), make))

/**
 * The store over a client that exists already: its credentials, region, endpoint and connections are used, its
 * repetitions are not. The client stays open. It is asked where it sends its requests, whoever told it: conditions are
 * relied upon as on that endpoint, and Tigris is refused. `endpoint` and `region` tell containers on S3 what the client
 * is for; they change nothing about it. Containers do not share its credentials.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  client: S3Client,
  options: S3Options.StoreOptions & { readonly endpoint?: string | undefined; readonly region?: string | undefined }
): Layer.Layer<ObjectStore.ObjectStore, S3Options.InvalidS3Options | S3Options.TigrisEndpoint> =>
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.gen(function* () {
      yield* S3Options.validate(options)
      const { endpoint: actual, isPathStyle } = yield* Effect.tryPromise({
        try: () => Client.destination(client, options.bucket),
        catch: (error) =>
          new S3Options.InvalidS3Options({
            option: "client",
            problem: `cannot say where it sends requests: ${S3Error.classify(error).reason.detail}`
          })
      })
      const endpoint = options.endpoint ?? (S3Dialect.isAws(actual) ? undefined : actual)
      yield* S3Options.validate({ ...options, endpoint: actual })
      if (isPathStyle && Keys.hasDotSegment(options.prefix ?? "")) return yield* S3Options.dottedPrefix
      const region = options.region ?? (yield* Effect.promise(() => client.config.region().catch(() => undefined)))
      const dialect = adjusted(S3Dialect.forEndpoint(actual), options)
      const connection = S3Connection.fromClient(client, { ...options, region }, dialect, description("s3", options))
      return over(connection, options, dialect, { platform: "s3", endpoint, region }, isPathStyle)
    })
  )
