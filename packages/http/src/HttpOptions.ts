/**
 * What a store over HTTP is made from, its defaults, and what is wrong with given options.
 *
 * @since 0.1.0
 */
import type * as Credentials from "@effect-icechunk/core/Credentials"
import * as Endpoint from "@effect-icechunk/core/values/Endpoint"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { PageShape } from "./Fetch.ts"
import * as Url from "./internal/Url.ts"

/**
 * How requests are repeated that were answered with 408, 429 or 5xx, not at all, or with a broken body. Delays grow
 * exponentially and are jittered by a fifth; a `Retry-After` of the server is waited for, up to 30 seconds, where CORS does not
 * hide it from a page.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions {
  /** Repetitions after the first attempt (default 5). */
  readonly times?: number | undefined
  /** The first delay (default 200 ms). */
  readonly baseDelay?: Duration.Input | undefined
  /** The longest delay (default 10 seconds). */
  readonly maxDelay?: Duration.Input | undefined
}

/**
 * A request that is to be signed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unsigned {
  readonly method: "GET" | "HEAD"
  readonly url: string
  /** Names in lower case; `range` is among them. */
  readonly headers: Readonly<Record<string, string>>
  /** The container that is read, where it is one. */
  readonly container: string | undefined
}

/**
 * What signing changes about a request: another URL, as a signed one, or further headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signed {
  readonly url?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * Signs a request. Runs before each attempt.
 *
 * @category models
 * @since 0.1.0
 */
export type Sign = (request: Unsigned) => Effect.Effect<Signed, Credentials.CredentialsUnavailable>

/**
 * How requests are made, wherever they go.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /** Further headers of each request, which are no secrets (default none). In a page they make the browser ask the server first. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Signs each request (default none). */
  readonly sign?: Sign | undefined
  /**
   * What is done when the server redirects (default `refuse`: the error names the new origin). With `follow`, secrets go
   * to no other origin, and nothing goes from `https` to `http`.
   */
  readonly redirects?: "refuse" | "follow" | undefined
  /**
   * Whether a range is believed when CORS hides its `Content-Range` (default false). Its length is checked all the same;
   * where it is in the object, and how large that is, is not.
   */
  readonly trustHiddenRanges?: boolean | undefined
  /** Bytes of the largest object that is read as a whole when the server ignores ranges (default 16 MiB). */
  readonly wholeBodyLimit?: number | undefined
  /** Requests at the same time (default 64). */
  readonly concurrency?: number | undefined
  /** Longest time in which nothing of an answer comes (default 30 seconds). */
  readonly idleTimeout?: Duration.Input | undefined
  readonly retry?: RetryOptions | undefined
}

/**
 * Options of a store: where it is, and who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpOptions extends RequestOptions {
  /**
   * The directory of the repository, as `https://bucket.s3.eu-west-1.amazonaws.com/path` or the website of a bucket. A
   * query, as that of a signed URL, is sent with each request and shown nowhere.
   */
  readonly url: string
  /** `Anonymous` (the default), `BearerToken` or `Headers`. An Effect is run again before what it returned expires, and when the server refuses it. */
  readonly credentials?: Credentials.Source | undefined
  /** Whether secrets may travel over plain `http` to another machine (default false). */
  readonly allowHttp?: boolean | undefined
}

/**
 * Requests at the same time, unless `concurrency` says otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultConcurrency = 64

/**
 * Bytes of the largest object that is read as a whole when the server ignores ranges, unless `wholeBodyLimit` says
 * otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultWholeBodyLimit: number = 16 * 1024 * 1024

/**
 * An option is unusable.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidHttpOptions
  extends /*#__PURE__*/ Data.TaggedError("InvalidHttpOptions")<{
    readonly option: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `The HTTP store cannot be made: \`${this.option}\` ${this.problem}`
  }
}

const kinds: ReadonlyArray<Credentials.Credentials["_tag"]> = ["Anonymous", "BearerToken", "Headers"]

/**
 * Kinds of credentials that HTTP has.
 *
 * @category constants
 * @since 0.1.0
 */
export const accepts: ReadonlyArray<Credentials.Credentials["_tag"]> = kinds

const countProblem = (n: number | undefined, min: number, max: number): string | undefined =>
  n === undefined || (Number.isSafeInteger(n) && n >= min && n <= max)
    ? undefined
    : `is ${n}; it is a whole number from ${min} to ${max}`

/** Names that `fetch` would not send, or that are this package's own. */
const ownHeaders = /^(?:range|host|connection|content-length|cookie|if-.*|accept-encoding)$/i

const headersProblem = (headers: Readonly<Record<string, string>> = {}): string | undefined => {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `has \`${name}\`, which is not the name of a header`
    if (ownHeaders.test(name)) return `has \`${name}\`, which is not for programs to set`
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) return `has a value for \`${name}\` that no header can hold`
  }
  return undefined
}

/**
 * Which option is wrong and why, or `undefined`, for a program that runs in `page`. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (
  options: RequestOptions & Pick<HttpOptions, "url" | "credentials" | "allowHttp">,
  page: PageShape | undefined
): InvalidHttpOptions | undefined => {
  const { credentials, url } = options
  const base = Url.parse(url)
  const isPlain = typeof base !== "string" && Endpoint.isExposed(base.origin)
  const isAnonymous = credentials === undefined || (!Effect.isEffect(credentials) && credentials._tag === "Anonymous")
  const isKnown = credentials === undefined || Effect.isEffect(credentials) || kinds.includes(credentials._tag)
  const problems: ReadonlyArray<readonly [option: string, problem: string | undefined]> = [
    ["url", typeof base === "string" ? base : undefined],
    ["url", isPlain && page?.origin.startsWith("https:") === true ? Url.mixedContent : undefined],
    [
      "credentials",
      isKnown
        ? undefined
        : `are \`${credentials._tag}\`, and HTTP takes ${kinds.map((kind) => `\`${kind}\``).join(", ")}. For \`AccessKey\` use the package \`s3\`, for \`ServiceAccount\` the package \`gcs\``
    ],
    [
      "credentials",
      isPlain && !isAnonymous && options.allowHttp !== true
        ? "would travel over plain http, for everybody between to read. Use `https`, or say `allowHttp: true`"
        : undefined
    ],
    ["headers", headersProblem(options.headers)],
    ["concurrency", countProblem(options.concurrency, 1, 10_000)],
    ["wholeBodyLimit", countProblem(options.wholeBodyLimit, 0, 2 ** 31 - 1)],
    ["retry.times", countProblem(options.retry?.times, 0, 1000)]
  ]
  for (const [option, problem] of problems) {
    if (problem !== undefined) return new InvalidHttpOptions({ option, problem })
  }
  return undefined
}
