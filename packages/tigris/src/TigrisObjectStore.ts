/**
 * An `ObjectStore` on Tigris, safe by default: every read sees every earlier write, in all regions. Design, section 8.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as S3Dialect from "@effect-icechunk/s3/S3Dialect"
import * as S3ObjectStore from "@effect-icechunk/s3/S3ObjectStore"
import * as TigrisHeaders from "./TigrisHeaders.ts"
import * as TigrisOptions from "./TigrisOptions.ts"

/**
 * Why a store of distributed reads cannot be written, and what to do.
 *
 * @category constants
 * @since 0.1.0
 */
export const distributedReadsBecause =
  "it was opened with `unsafeUseDistributedReads`, where a read may miss the latest writes, so that a write would be decided on old data; open it with a `region` instead"

/**
 * Why a store of a snapshot cannot be written, and what to do.
 *
 * @category constants
 * @since 0.1.0
 */
export const snapshotBecause =
  "it reads a snapshot of the bucket, which never changes; fork the bucket from this snapshot with `TigrisBuckets.fork` and write there"

/**
 * The dialect of a store: what its requests carry. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const dialect = (options: TigrisOptions.TigrisOptions): S3Dialect.S3Dialect => {
  const region = options.unsafeUseDistributedReads === true ? undefined : options.region || undefined
  const known = TigrisOptions.isStrongAnywhere(options) ? TigrisHeaders.uncachedRead : {}
  return {
    platform: "tigris",
    conditionalEtag: "ask",
    conditionalPut: true,
    conditionalCopy: false,
    conditionalMultipart: false,
    readHeaders: {
      ...(region === undefined ? known : TigrisHeaders.consistentRead(region)),
      ...(options.snapshotVersion === undefined ? {} : TigrisHeaders.atSnapshot(options.snapshotVersion))
    },
    writeHeaders: region === undefined ? {} : TigrisHeaders.consistentWrite(region),
    signedHeaders: [TigrisHeaders.names.cacheControl.toLowerCase()]
  }
}

/**
 * A store; its connections are closed with the Scope. No request is made. Fails with `MissingRegion` in the safe mode,
 * and with `InvalidTigrisOptions`, which names the option.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: TigrisOptions.TigrisOptions
): Effect.fn.Return<
  ObjectStore.ObjectStoreShape,
  TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion,
  Scope.Scope
> {
  const problem = TigrisOptions.problem(options)
  if (problem !== undefined) return yield* problem
  const isDistributed = options.unsafeUseDistributedReads === true
  const readOnlyBecause =
    TigrisOptions.consistency(options).reads === "eventual"
      ? distributedReadsBecause
      : options.snapshotVersion === undefined
        ? options.readOnlyBecause
        : snapshotBecause
  const store = yield* S3ObjectStore.makeWith(
    { ...options, ...TigrisOptions.toS3(options), readOnlyBecause },
    dialect(options)
  ).pipe(Effect.mapError(TigrisOptions.fromS3))
  return {
    ...store,
    origin: {
      ...store.origin,
      endpoint: TigrisOptions.originEndpoint(options.endpoint),
      region: isDistributed ? undefined : options.region
    }
  }
})

/**
 * The store of the options.
 *
 * @example
 * ```ts
 * const store = TigrisObjectStore.layer({
 *   bucket: "repositories",
 *   prefix: "geoid",
 *   region: "fra",
 *   credentials: Credentials.accessKey({ accessKeyId, secretAccessKey })
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: TigrisOptions.TigrisOptions
): Layer.Layer<ObjectStore.ObjectStore, TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

/**
 * The store of options that are read from Config; by default from the environment, see `TigrisOptions.environment`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<TigrisOptions.TigrisOptions> = TigrisOptions.environment
): Layer.Layer<
  ObjectStore.ObjectStore,
  TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion | Config.ConfigError
> => Layer.effect(ObjectStore.ObjectStore, Effect.flatMap(Config.unwrap(options), make))
