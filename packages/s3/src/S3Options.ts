/**
 * What an S3 store is made from, its defaults, and what is wrong with given options.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Duration from "effect/Duration"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as S3Dialect from "./S3Dialect.ts"

/**
 * How requests are repeated that the store answered with 408, 429, 499 or 5xx, or not at all. Delays grow
 * exponentially and are jittered by a fifth; a `Retry-After` of the store is waited for, up to 30 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions {
  /** Repetitions after the first attempt (default 8). */
  readonly times?: number | undefined
  /** The first delay (default 100 ms). */
  readonly baseDelay?: Duration.Input | undefined
  /** The longest delay (default 10 seconds). */
  readonly maxDelay?: Duration.Input | undefined
  /** No further attempt is begun after this time (default 3 minutes). */
  readonly budget?: Duration.Input | undefined
}

/**
 * Requests at the same time, unless `concurrency` says otherwise. As many as keep a machine busy while answers take 50 ms,
 * and as other Icechunk clients make.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultConcurrency = 256

/**
 * What all S3 stores have in common, however their client is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreOptions {
  readonly bucket: string
  /** Keys of the store are under this prefix; a slash is put between unless it ends with one (default none). */
  readonly prefix?: string | undefined
  /** The requester pays for requests and transfer (default false). */
  readonly requesterPays?: boolean | undefined
  /** Further headers of every get, head and list. No conditions, ranges or headers of the signature. */
  readonly readHeaders?: Readonly<Record<string, string>> | undefined
  /** Further headers of every put, delete and copy, as `x-amz-storage-class`. */
  readonly writeHeaders?: Readonly<Record<string, string>> | undefined
  /**
   * Longest time in which nothing of an answer comes (default 2 minutes). An object may take as long as it keeps coming,
   * at 1 KiB a second or more; an upload is given a second more for each 64 KiB.
   */
  readonly requestTimeout?: Duration.Input | undefined
  /** Requests at the same time, each on a connection of its own (default 256). */
  readonly concurrency?: number | undefined
  readonly retry?: RetryOptions | undefined
  /** Spelling of ETags in conditional puts (default: by the endpoint, else found out by asking). */
  readonly conditionalEtag?: S3Dialect.ConditionalEtag | undefined
  /** Whether the service enforces conditional puts, which many emulators do not (default: by the endpoint, else found out by asking). */
  readonly conditionalPut?: boolean | "ask" | undefined
  /** Whether the service enforces conditions on the source of a copy (default: AWS does). */
  readonly conditionalCopy?: boolean | undefined
  /** Whether the service enforces conditions on the completion of multipart uploads (default: AWS does). */
  readonly conditionalMultipart?: boolean | undefined
  /** Objects of at least so many bytes are uploaded in parts (default 64 MiB). */
  readonly multipartThreshold?: number | undefined
  /** Bytes of a part (default 16 MiB, and more when an object would have over 10,000 parts). */
  readonly partSize?: number | undefined
  /** Keys in one answer to a list (default 1,000, which is also the most). */
  readonly listPageSize?: number | undefined
  /** A sentence that says why the store may not be written; every write then fails with `WriteForbidden`. */
  readonly readOnlyBecause?: string | undefined
}

/**
 * Options of an S3 store.
 *
 * @category models
 * @since 0.1.0
 */
export interface S3Options extends StoreOptions {
  /** Default: that of environment and profile, else `us-east-1`. A redirect to another region is followed. */
  readonly region?: string | undefined
  /** Base URL of an S3-compatible service; without it AWS, whatever the environment says. */
  readonly endpoint?: string | undefined
  /** The bucket is the first segment of the path, not a host name (default: with an `endpoint`). */
  readonly forcePathStyle?: boolean | undefined
  /** Requests are not signed; the same as `credentials: Credentials.anonymous` (default false). */
  readonly anonymous?: boolean | undefined
  /** Access key, anonymous, environment, or an Effect that is run again before they expire (default environment). */
  readonly credentials?: Credentials.Source | undefined
  /** Longest time until a connection stands (default 5 seconds). */
  readonly connectTimeout?: Duration.Input | undefined
}

/**
 * An option is unusable.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidS3Options extends Schema.TaggedError<InvalidS3Options>()("InvalidS3Options", {
  option: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `The S3 store cannot be made: \`${this.option}\` ${this.problem}`
  }
}

/**
 * The endpoint is Tigris, which plain S3 requests do not read consistently.
 *
 * @category errors
 * @since 0.1.0
 */
export class TigrisEndpoint extends Schema.TaggedError<TigrisEndpoint>()("TigrisEndpoint", {
  /** Host name. */
  endpoint: Schema.String
}) {
  override get message(): string {
    return `\`${this.endpoint}\` is Tigris, where plain S3 requests may read objects that are no longer current. Use \`TigrisObjectStore.layer\` of \`@effect-icechunk/tigris\`, and platform \`tigris\` for containers.`
  }
}

/** Headers that requests are made or signed with; others must not set them. */
const reserved =
  /^(?:authorization|host|content-length|content-md5|connection|transfer-encoding|expect|range|if-.*|x-amz-date|x-amz-security-token|x-amz-content-sha256|x-amz-copy-source.*|x-amz-meta-.*)$/

const headerProblem = (headers: Readonly<Record<string, string>> | undefined): string | undefined => {
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      return `has a header with an impossible name: ${JSON.stringify(name)}`
    if (reserved.test(name.toLowerCase())) return `may not set \`${name}\`, which the store itself sets`
    if (!/^[\t\x20-\x7e]*$/.test(value)) return `has characters in \`${name}\` that a header cannot hold`
  }
  return undefined
}

const countProblem = (n: number | undefined, min: number, max: number): string | undefined =>
  n === undefined || (Number.isSafeInteger(n) && n >= min && n <= max)
    ? undefined
    : `is ${n}; it is a whole number from ${min} to ${max}`

/**
 * Which option is wrong and why, or `undefined`. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (options: S3Options): InvalidS3Options | undefined => {
  const problems: ReadonlyArray<readonly [option: string, problem: string | undefined]> = [
    [
      "bucket",
      /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,254}|arn:[A-Za-z0-9:/._-]+)$/.test(options.bucket)
        ? undefined
        : "is not the name of a bucket: letters, digits, `.`, `-` and `_`, or an access point's ARN"
    ],
    ["prefix", (options.prefix ?? "").isWellFormed() ? undefined : "is not well-formed Unicode"],
    [
      "region",
      options.region === undefined || isRegion(options.region) ? undefined : "is not a region: letters, digits and `-`"
    ],
    [
      "endpoint",
      options.endpoint === undefined || isEndpoint(options.endpoint)
        ? undefined
        : "is not an http or https URL without user information, query and fragment"
    ],
    ["readHeaders", headerProblem(options.readHeaders)],
    ["writeHeaders", headerProblem(options.writeHeaders)],
    ["concurrency", countProblem(options.concurrency, 1, 10_000)],
    ["multipartThreshold", countProblem(options.multipartThreshold, 1, 5 * 1024 ** 3)],
    ["partSize", countProblem(options.partSize, 1, 5 * 1024 ** 3)],
    ["listPageSize", countProblem(options.listPageSize, 1, 1000)],
    ["retry.times", countProblem(options.retry?.times, 0, 1000)]
  ]
  for (const [option, problem] of problems) {
    if (problem !== undefined) return new InvalidS3Options({ option, problem })
  }
  return undefined
}

/**
 * Whether a text can be the name of a region, and does not lead to another host.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isRegion = (region: string): boolean => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(region)

/**
 * Whether the bucket is in the path of requests: where that is asked for, and where no host can have the bucket's name.
 * Pure.
 *
 * @category accessors
 * @since 0.1.0
 */
export const usesPathStyle = (options: Pick<S3Options, "bucket" | "endpoint" | "forcePathStyle">): boolean => {
  if (options.forcePathStyle ?? options.endpoint !== undefined) return !options.bucket.startsWith("arn:")
  const host = options.endpoint === undefined ? "" : S3Dialect.hostOf(options.endpoint)
  if (/^\[|^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) return true
  return !options.bucket.startsWith("arn:") && !/^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/.test(options.bucket)
}

/**
 * What a prefix may not have where the bucket is in the path of requests.
 *
 * @category errors
 * @since 0.1.0
 */
export const dottedPrefix: InvalidS3Options = new InvalidS3Options({
  option: "prefix",
  problem:
    "has a segment `.` or `..`, which is not safe where the bucket is in the path of requests, because a server on the way may take it for another path"
})

const isEndpoint = (endpoint: string): boolean => {
  const url = URL.parse(endpoint)
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "" && !/[?#]/.test(endpoint)
}

const text = (name: string): Config.Config<string | undefined> =>
  Config.map(Config.option(Config.String(name)), (value) =>
    Option.getOrUndefined(Option.filter(value, (s) => s !== ""))
  )

const flag = (name: string): Config.Config<boolean> => Config.withDefault(Config.Boolean(name), false)

const firstOf = (names: ReadonlyArray<string>): Config.Config<string | undefined> =>
  Config.map(Config.all(names.map(text)), (values) => values.find((value) => value !== undefined))

/**
 * Options from the environment: `S3_BUCKET`, `S3_PREFIX`, `S3_FORCE_PATH_STYLE`, `S3_ANONYMOUS` and
 * `S3_REQUESTER_PAYS`, and as all AWS tools read them `AWS_REGION` (or `AWS_DEFAULT_REGION`),
 * `AWS_ENDPOINT_URL_S3` (or `AWS_ENDPOINT_URL`), `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and
 * `AWS_SESSION_TOKEN`, else `AWS_PROFILE` or whatever the AWS SDK finds.
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<S3Options> = Config.all({
  bucket: Config.String("S3_BUCKET"),
  prefix: text("S3_PREFIX"),
  region: firstOf(["AWS_REGION", "AWS_DEFAULT_REGION"]),
  endpoint: firstOf(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
  forcePathStyle: Config.map(Config.option(Config.Boolean("S3_FORCE_PATH_STYLE")), Option.getOrUndefined),
  anonymous: flag("S3_ANONYMOUS"),
  requesterPays: flag("S3_REQUESTER_PAYS"),
  accessKeyId: text("AWS_ACCESS_KEY_ID"),
  secretAccessKey: Config.map(Config.option(Config.Redacted("AWS_SECRET_ACCESS_KEY")), Option.getOrUndefined),
  sessionToken: Config.map(Config.option(Config.Redacted("AWS_SESSION_TOKEN")), Option.getOrUndefined),
  profile: text("AWS_PROFILE")
}).pipe(
  Config.map(({ accessKeyId, profile, secretAccessKey, sessionToken, ...options }): S3Options => {
    const credentials =
      accessKeyId !== undefined && secretAccessKey !== undefined
        ? Credentials.accessKey({ accessKeyId, secretAccessKey, sessionToken })
        : Credentials.environment({ profile })
    return Object.assign(options, { credentials })
  })
)

/**
 * Fails unless the options are usable and the endpoint is one that plain S3 requests suit.
 *
 * @category combinators
 * @since 0.1.0
 */
export const validate = (options: S3Options): Effect.Effect<void, InvalidS3Options | TigrisEndpoint> => {
  if (options.endpoint !== undefined && S3Dialect.isTigris(options.endpoint)) {
    return Effect.fail(new TigrisEndpoint({ endpoint: S3Dialect.hostOf(options.endpoint) }))
  }
  const found = problem(options)
  return found === undefined ? Effect.void : Effect.fail(found)
}
