/**
 * What a Tigris store is made from, and what is wrong with given options.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as S3Dialect from "@effect-icechunk/s3/S3Dialect"
import * as S3Options from "@effect-icechunk/s3/S3Options"
import type { BucketLocations } from "./BucketLocations.ts"
import * as TigrisHeaders from "./TigrisHeaders.ts"

/**
 * The endpoint unless one is given.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultEndpoint = "https://t3.storage.dev"

/**
 * The way to Tigris, whatever the bucket.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionOptions = Pick<
  S3Options.S3Options,
  | "endpoint"
  | "forcePathStyle"
  | "anonymous"
  | "credentials"
  | "connectTimeout"
  | "requestTimeout"
  | "concurrency"
  | "retry"
>

/**
 * How objects are read and written. Exactly one of these holds:
 *
 * - safe, the default: a `region` is required, all requests go there, and a read sees every earlier write;
 * - `unsafeUseDistributedReads`: reads go to the nearest region, which may not have the latest writes yet; nothing
 *   can be written; `region` is ignored.
 *
 * Where `locations` are known to be strong everywhere, no region is needed, and distributed reads are as safe as any:
 * then such a store can be written too. `consistency` says what holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsistencyOptions {
  /** A region of Tigris, as `iad`, `fra` or `sin`. */
  readonly region?: string | undefined
  /** Fast reads of data that was written minutes ago at least (default false). */
  readonly unsafeUseDistributedReads?: boolean | undefined
  /** Where the data of the bucket is, as `TigrisBuckets.locations` tells (default: not known). */
  readonly locations?: BucketLocations | undefined
}

/**
 * What a read sees.
 *
 * @category models
 * @since 0.1.0
 */
export interface Consistency {
  /** `strong`: every earlier write. `eventual`: it may miss the latest ones. */
  readonly reads: "strong" | "eventual"
  /** Why, as a sentence without its end. */
  readonly because: string
}

/**
 * Whether every read sees every earlier write, whichever region answers: of buckets in one region, and in several of one
 * part of the world. In two regions and everywhere that holds only within a region. Pure. Source: Tigris documentation,
 * "Consistency".
 *
 * @category predicates
 * @since 0.1.0
 */
export const isStrongAnywhere = ({ locations }: ConsistencyOptions): boolean =>
  locations?.type === "multi" || locations?.type === "single"

/**
 * What the reads of a store with these options see. Pure.
 *
 * @category accessors
 * @since 0.1.0
 */
export const consistency = (options: ConsistencyOptions): Consistency => {
  const { locations, region, unsafeUseDistributedReads } = options
  if (isStrongAnywhere(options)) {
    const place = locations?.type === "single" ? `in region \`${locations.region}\`` : "in several regions of one area"
    return { reads: "strong", because: `the bucket is kept ${place}, where every region knows of every write` }
  }
  return unsafeUseDistributedReads === true
    ? { reads: "eventual", because: "reads go to the nearest region, which hears of writes elsewhere later" }
    : { reads: "strong", because: `all requests go to region \`${region}\`` }
}

/**
 * Options of a store. Those of `S3ObjectStore` mean the same here; headers that consistency needs win over
 * `readHeaders` and `writeHeaders`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TigrisOptions extends ConsistencyOptions, Omit<S3Options.S3Options, "region"> {
  /** Reads from this snapshot of the bucket; the store is read-only then (default: from now). */
  readonly snapshotVersion?: string | undefined
}

/**
 * An option is unusable.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidTigrisOptions extends Schema.TaggedError<InvalidTigrisOptions>()("InvalidTigrisOptions", {
  option: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `Tigris cannot be used like this: \`${this.option}\` ${this.problem}`
  }
}

/**
 * Consistent reads and writes need a region, and none was given.
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingRegion extends Schema.TaggedError<MissingRegion>()("MissingRegion", {
  /** The store, as `tigris://bucket`. */
  target: Schema.String
}) {
  override get message(): string {
    return `\`${this.target}\` needs a \`region\`, as \`iad\`: reads and writes are consistent only when they go to the same region. Name the one nearest to the writers. Or read without any such promise: \`unsafeUseDistributedReads: true\`, and nothing can be written then.`
  }
}

/** What clients are told to sign with, and no region at all. */
const noRegions: ReadonlySet<string> = new Set(["auto", "global"])

/**
 * What is wrong with a region, to follow its name, or `undefined`. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const regionProblem = (region: string): string | undefined => {
  if (noRegions.has(region.toLowerCase())) {
    return `is \`${region}\`, which leaves the choice to Tigris; name one region, as \`iad\``
  }
  return S3Options.isRegion(region) ? undefined : "is not a region: letters, digits and `-`, and only one"
}

/**
 * Which option is wrong and why, or `undefined`. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (options: TigrisOptions): InvalidTigrisOptions | MissingRegion | undefined => {
  const { region, snapshotVersion } = options
  const hasRegion = region !== undefined && region !== ""
  if (options.unsafeUseDistributedReads !== true && (hasRegion || !isStrongAnywhere(options))) {
    if (!hasRegion) return new MissingRegion({ target: `tigris://${options.bucket}` })
    const wrong = regionProblem(region)
    if (wrong !== undefined) return new InvalidTigrisOptions({ option: "region", problem: wrong })
  }
  if (snapshotVersion !== undefined && !TigrisHeaders.isSnapshotVersion(snapshotVersion)) {
    return new InvalidTigrisOptions({
      option: "snapshotVersion",
      problem: "is not the version of a snapshot: digits, as `TigrisBuckets` lists them"
    })
  }
  const found = S3Options.problem({ ...options, region: undefined })
  return found === undefined ? undefined : fromS3(found)
}

/**
 * The same complaint, about Tigris.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromS3 = ({ option, problem }: S3Options.InvalidS3Options): InvalidTigrisOptions =>
  new InvalidTigrisOptions({ option, problem })

/** Whether an endpoint is Tigris's own. */
const isDefault = (endpoint: string | undefined): boolean =>
  endpoint === undefined || endpoint.replace(/\/+$/, "").toLowerCase() === defaultEndpoint

/**
 * The endpoint that tells stores apart: `undefined` for Tigris's own, however it was written.
 *
 * @category accessors
 * @since 0.1.0
 */
export const originEndpoint = (endpoint: string | undefined): string | undefined =>
  isDefault(endpoint) ? undefined : endpoint

/**
 * Whether buckets are the first segment of the path: on an endpoint that is not Tigris, unless told otherwise.
 *
 * @category accessors
 * @since 0.1.0
 */
export const usesPathStyle = (options: Pick<ConnectionOptions, "endpoint" | "forcePathStyle">): boolean =>
  options.forcePathStyle ?? !(isDefault(options.endpoint) || S3Dialect.isTigris(options.endpoint ?? ""))

/**
 * What Tigris is signed with; `X-Tigris-Regions` says which region is meant.
 *
 * @category constants
 * @since 0.1.0
 */
export const signingRegion = "auto"

/**
 * Connection options as those of S3.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toS3 = (
  options: ConnectionOptions
): Omit<S3Options.S3Options, "bucket"> & { readonly endpoint: string; readonly region: string } => ({
  endpoint: options.endpoint ?? defaultEndpoint,
  forcePathStyle: usesPathStyle(options),
  region: signingRegion,
  anonymous: options.anonymous,
  credentials: options.credentials,
  connectTimeout: options.connectTimeout,
  requestTimeout: options.requestTimeout,
  concurrency: options.concurrency,
  retry: options.retry
})

const text = (name: string): Config.Config<string | undefined> =>
  Config.map(Config.option(Config.String(name)), (value) =>
    Option.getOrUndefined(Option.filter(value, (s) => s !== ""))
  )

const firstOf = (names: ReadonlyArray<string>): Config.Config<string | undefined> =>
  Config.map(Config.all(names.map(text)), (values) => values.find((value) => value !== undefined))

const secret = (name: string): Config.Config<Option.Option<Redacted.Redacted>> => Config.option(Config.Redacted(name))

/**
 * The way to Tigris from the environment, in the variables of Tigris's own client and of the AWS tools:
 * `TIGRIS_STORAGE_ENDPOINT`, else `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`; `TIGRIS_STORAGE_ACCESS_KEY_ID` with
 * `TIGRIS_STORAGE_SECRET_ACCESS_KEY` and `TIGRIS_SESSION_TOKEN`, else whatever the AWS SDK finds.
 *
 * @category config
 * @since 0.1.0
 */
export const connectionEnvironment: Config.Config<ConnectionOptions> = Config.all({
  endpoint: firstOf(["TIGRIS_STORAGE_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
  accessKeyId: text("TIGRIS_STORAGE_ACCESS_KEY_ID"),
  secretAccessKey: secret("TIGRIS_STORAGE_SECRET_ACCESS_KEY"),
  sessionToken: secret("TIGRIS_SESSION_TOKEN")
}).pipe(
  Config.map(({ accessKeyId, endpoint, secretAccessKey, sessionToken }): ConnectionOptions => ({
    endpoint,
    credentials:
      accessKeyId !== undefined && Option.isSome(secretAccessKey)
        ? Credentials.accessKey({
            accessKeyId,
            secretAccessKey: secretAccessKey.value,
            sessionToken: Option.getOrUndefined(sessionToken)
          })
        : Credentials.environment()
  }))
)

/**
 * `TIGRIS_STORAGE_REGION` and `TIGRIS_UNSAFE_USE_DISTRIBUTED_READS` (default false). `AWS_REGION` is not read: Tigris
 * has its users set it to `auto`.
 *
 * @category config
 * @since 0.1.0
 */
export const consistencyEnvironment: Config.Config<ConsistencyOptions> = Config.all({
  region: text("TIGRIS_STORAGE_REGION"),
  unsafeUseDistributedReads: Config.withDefault(Config.Boolean("TIGRIS_UNSAFE_USE_DISTRIBUTED_READS"), false)
})

/**
 * Options from the environment: `TIGRIS_STORAGE_BUCKET`, `TIGRIS_STORAGE_PREFIX`, and those of
 * `connectionEnvironment` and `consistencyEnvironment`.
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<TigrisOptions> = Config.all({
  place: Config.all({ bucket: Config.String("TIGRIS_STORAGE_BUCKET"), prefix: text("TIGRIS_STORAGE_PREFIX") }),
  connection: connectionEnvironment,
  consistency: consistencyEnvironment
}).pipe(Config.map(({ connection, consistency, place }) => Object.assign({}, place, connection, consistency)))
