/**
 * What a store on Google Cloud Storage is made from, its defaults, and what is wrong with given options.
 *
 * @since 0.1.0
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Duration from "effect/Duration"

/**
 * How requests are repeated that the store answered with 408, 429 or 5xx, not at all, or with a broken
 * body. Delays grow exponentially and are jittered by a fifth.
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
}

/**
 * Requests at the same time, unless `concurrency` says otherwise; as on S3.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultConcurrency = 256

/**
 * How a store uses its bucket, whoever its client is.
 *
 * @category models
 * @since 0.1.0
 */
export interface BucketOptions {
  readonly bucket: string
  /** Keys of the store are under this prefix; a slash is put between unless it ends with one (default none). */
  readonly prefix?: string | undefined
  /** The project that pays for requests to a requester pays bucket (default none). */
  readonly userProject?: string | undefined
  /** A sentence that says why the store may not be written; every write then fails with `WriteForbidden`. */
  readonly readOnlyBecause?: string | undefined
  /** Requests at the same time, each on a connection of its own (default 256). */
  readonly concurrency?: number | undefined
  /** Longest time in which nothing of an answer comes (default one minute); an upload is given a second more for each 64 KiB. */
  readonly idleTimeout?: Duration.Input | undefined
  /** Longest time of one attempt, with its body (default none: large bodies take their time). */
  readonly requestTimeout?: Duration.Input | undefined
  readonly retry?: RetryOptions | undefined
  /** Objects in one answer to a list (default 1,000, which is also the most). */
  readonly listPageSize?: number | undefined
  /**
   * Through which API objects are read: `xml`, which reports the ETags that other Icechunk clients record,
   * or `json`, which emulators have (default: `xml` at Google's endpoint, `json` at a custom one).
   */
  readonly readApi?: "xml" | "json" | undefined
}

/**
 * Options of a store: its bucket, where that is, and who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface GcsOptions extends BucketOptions {
  /**
   * `Environment` (the default) are Google's application default credentials (there are no profiles),
   * `ServiceAccount` the JSON of a key, `BearerToken` an access token, `Anonymous` none. An Effect is run again a minute before what it
   * returned expires, and when the store refuses it.
   */
  readonly credentials?: Credentials.Source | undefined
  /** Path of a file with the JSON of a key; `credentials` wins. It is read when the first request needs it. */
  readonly keyFile?: string | undefined
  /**
   * Base URL of an emulator or a private endpoint. Without it `STORAGE_EMULATOR_HOST` counts, which never
   * receives credentials, else Google's own endpoint.
   */
  readonly endpoint?: string | undefined
}

/**
 * An option is unusable.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidGcsOptions extends Schema.TaggedError<InvalidGcsOptions>()("InvalidGcsOptions", {
  option: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `The GCS store cannot be made: \`${this.option}\` ${this.problem}`
  }
}

const countProblem = (n: number | undefined, min: number, max: number): string | undefined =>
  n === undefined || (Number.isSafeInteger(n) && n >= min && n <= max)
    ? undefined
    : `is ${n}; it is a whole number from ${min} to ${max}`

const isEndpoint = (endpoint: string): boolean => {
  const url = URL.parse(endpoint)
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === "" && !/[?#]/.test(endpoint)
}

/**
 * Which option is wrong and why, or `undefined`. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (options: GcsOptions): InvalidGcsOptions | undefined => {
  const { bucket, endpoint, prefix = "", userProject } = options
  const problems: ReadonlyArray<readonly [option: string, problem: string | undefined]> = [
    // "Bucket names": with dots up to 222 characters.
    [
      "bucket",
      /^[a-z0-9][a-z0-9._-]{0,221}$/i.test(bucket)
        ? undefined
        : "is not the name of a bucket: letters, digits, `.`, `-` and `_`"
    ],
    ["prefix", prefix.isWellFormed() && !/[\r\n]/.test(prefix) ? undefined : "is not well-formed or has line breaks"],
    [
      "endpoint",
      endpoint === undefined || isEndpoint(endpoint)
        ? undefined
        : "is not an http or https URL without user information, query and fragment"
    ],
    [
      "userProject",
      userProject === undefined || /^[a-z0-9.:-]+$/i.test(userProject)
        ? undefined
        : "is not a project: letters, digits, `-`, `.` and `:`"
    ],
    ["concurrency", countProblem(options.concurrency, 1, 10_000)],
    ["listPageSize", countProblem(options.listPageSize, 1, 1000)],
    ["retry.times", countProblem(options.retry?.times, 0, 1000)]
  ]
  for (const [option, problem] of problems) {
    if (problem !== undefined) return new InvalidGcsOptions({ option, problem })
  }
  return undefined
}

const text = (name: string): Config.Config<string | undefined> =>
  Config.map(Config.option(Config.String(name)), (value) =>
    Option.getOrUndefined(Option.filter(value, (s) => s !== ""))
  )

/**
 * Options from the environment: `GCS_BUCKET`, `GCS_PREFIX`, `GCS_ENDPOINT`, `GCS_USER_PROJECT`, and for the
 * credentials the first of `GCS_ANONYMOUS`, `GCS_BEARER_TOKEN`, `GCS_SERVICE_ACCOUNT` (the JSON of a key) and
 * `GCS_SERVICE_ACCOUNT_FILE`, else what Google's own tools find, as with `GOOGLE_APPLICATION_CREDENTIALS`.
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<GcsOptions> = Config.all({
  bucket: Config.String("GCS_BUCKET"),
  prefix: text("GCS_PREFIX"),
  endpoint: text("GCS_ENDPOINT"),
  userProject: text("GCS_USER_PROJECT"),
  keyFile: text("GCS_SERVICE_ACCOUNT_FILE"),
  anonymous: Config.withDefault(Config.Boolean("GCS_ANONYMOUS"), false),
  token: Config.map(Config.option(Config.Redacted("GCS_BEARER_TOKEN")), Option.getOrUndefined),
  key: Config.map(Config.option(Config.Redacted("GCS_SERVICE_ACCOUNT")), Option.getOrUndefined)
}).pipe(
  Config.map(({ anonymous, key, token, ...options }): GcsOptions => {
    const given = (secret: Redacted.Redacted | undefined): secret is Redacted.Redacted =>
      secret !== undefined && Redacted.value(secret) !== ""
    const credentials = anonymous
      ? Credentials.anonymous
      : given(token)
        ? Credentials.bearerToken({ token })
        : given(key)
          ? Credentials.serviceAccount(key)
          : undefined
    return Object.assign(options, { credentials })
  })
)
