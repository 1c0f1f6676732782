/**
 * What proves to a platform that one may read, and for which places that is granted. Given by container name when a
 * repository is opened, never persisted, secrets always `Redacted`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/**
 * - `Directory`: `fs`; files below this absolute directory may be read, nothing else;
 * - `Anonymous`: requests without a signature;
 * - `Environment`: whatever the platform's client finds around it (variables, profile, instance);
 * - `AccessKey`: S3 and Tigris, with a session token for temporary keys;
 * - `BearerToken`: Google Cloud Storage and HTTP;
 * - `ServiceAccount`: Google Cloud Storage, the JSON of a service account key;
 * - `Headers`: HTTP, further headers of each request, as that of `basic`.
 *
 * @category models
 * @since 0.1.0
 */
export type Credentials = Data.TaggedEnum<{
  readonly Directory: { readonly path: string }
  readonly Anonymous: {}
  readonly Environment: { readonly profile?: string | undefined }
  readonly AccessKey: {
    readonly accessKeyId: string
    readonly secretAccessKey: Redacted.Redacted
    readonly sessionToken?: Redacted.Redacted | undefined
    /** Milliseconds since 1970; a refreshing Effect is asked again before this time. */
    readonly expiresAt?: number | undefined
  }
  readonly BearerToken: { readonly token: Redacted.Redacted; readonly expiresAt?: number | undefined }
  readonly ServiceAccount: { readonly key: Redacted.Redacted }
  readonly Headers: {
    readonly headers: Readonly<Record<string, Redacted.Redacted>>
    /** Milliseconds since 1970; a refreshing Effect is asked again before this time. */
    readonly expiresAt?: number | undefined
  }
}>

const Constructors: Data.TaggedEnum.Constructor<Credentials> = Data.taggedEnum<Credentials>()

/**
 * Files below `path`, an absolute directory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const directory = (path: string): Credentials => Constructors.Directory({ path })

/**
 * Requests without a signature.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anonymous: Credentials = Constructors.Anonymous()

/**
 * Whatever the platform's own client finds in the environment.
 *
 * @category constructors
 * @since 0.1.0
 */
export const environment = (options?: { readonly profile?: string | undefined }): Credentials =>
  Constructors.Environment(options ?? {})

/**
 * An access key of S3 or Tigris.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accessKey: (key: Omit<Extract<Credentials, { readonly _tag: "AccessKey" }>, "_tag">) => Credentials =
  Constructors.AccessKey

/**
 * A token for Google Cloud Storage, or for a server that takes one over HTTP.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bearerToken: (token: Omit<Extract<Credentials, { readonly _tag: "BearerToken" }>, "_tag">) => Credentials =
  Constructors.BearerToken

/**
 * The JSON text of a Google service account key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serviceAccount = (key: Redacted.Redacted): Credentials => Constructors.ServiceAccount({ key })

/**
 * Headers that a server wants to see, as `{ "x-api-key": key }`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const headers = (
  headers: Readonly<Record<string, Redacted.Redacted>>,
  options?: { readonly expiresAt?: number | undefined }
): Credentials => Constructors.Headers({ headers, ...options })

/**
 * User and password for a server that takes them over HTTP (RFC 7617), in UTF-8.
 *
 * @category constructors
 * @since 0.1.0
 */
export const basic = (options: { readonly username: string; readonly password: Redacted.Redacted }): Credentials => {
  const pair = new TextEncoder().encode(`${options.username}:${Redacted.value(options.password)}`)
  const text = btoa(String.fromCharCode(...pair))
  return Constructors.Headers({ headers: { authorization: Redacted.make(`Basic ${text}`) } })
}

/**
 * Pattern matching over the kinds of credentials.
 *
 * @category combinators
 * @since 0.1.0
 */
export const match: typeof Constructors.$match = Constructors.$match

/**
 * Credentials as they are, or an Effect that fetches them and is run again before they expire.
 *
 * @category models
 * @since 0.1.0
 */
export type Source = Credentials | Effect.Effect<Credentials, CredentialsUnavailable>

/**
 * Credentials for the places that a program trusts.
 *
 * A container is data that somebody else may have written. So credentials are sent to its endpoint only when that is the
 * platform's own, or the repository's, or one of `endpoints`, or when the program's own run-time override says where the
 * container is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Grant {
  readonly _tag: "Grant"
  readonly credentials: Source
  /** Base URLs that may be asked, besides the platform's own and the repository's. */
  readonly endpoints: ReadonlyArray<string>
  /** Places that may be read, as `s3://bucket/data/`; `undefined` for all that the credentials open. */
  readonly prefixes: ReadonlyArray<string> | undefined
  /** Whether secrets may travel over plain `http` to another machine. */
  readonly allowHttp: boolean
}

/**
 * What is given for a container: credentials plainly, or a `grant` that says more about the place.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry = Source | Grant

/**
 * Credentials for a place, as an entry of `credentials` when a repository is opened:
 *
 * ```ts
 * Repository.open({
 *   credentials: {
 *     recent: Credentials.grant({
 *       credentials: Credentials.accessKey({ accessKeyId, secretAccessKey }),
 *       endpoints: ["https://minio.example.org"],
 *       prefixes: ["s3://data/recent/"]
 *     })
 *   }
 * })
 * ```
 *
 * - `endpoints` (default none): further base URLs that may be asked with these credentials;
 * - `prefixes` (default all): nothing outside of them is asked for. They begin with the platform, whatever the protocol of
 *   the container: `s3://bucket/data/`, `gs://bucket/`, `tigris://bucket/`, `file:///data/`; without a slash at the end
 *   they match whole segments;
 * - `allowHttp` (default false): secrets may travel over plain `http` to another machine than this one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const grant = (options: {
  readonly credentials: Source
  readonly endpoints?: ReadonlyArray<string> | undefined
  readonly prefixes?: ReadonlyArray<string> | undefined
  readonly allowHttp?: boolean | undefined
}): Grant => ({
  _tag: "Grant",
  credentials: options.credentials,
  endpoints: options.endpoints ?? [],
  prefixes: options.prefixes,
  allowHttp: options.allowHttp ?? false
})

/**
 * An entry as a grant: plain credentials are for the platform's own endpoint and the repository's.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toGrant = (entry: Entry): Grant =>
  "_tag" in entry && entry._tag === "Grant" ? entry : grant({ credentials: entry })

/**
 * Credentials could not be fetched. `problem` must hold no secret. What caused it may, so the library passes on the
 * problem alone, with the name of the container that was to be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class CredentialsUnavailable
  extends /*#__PURE__*/ Data.TaggedError("CredentialsUnavailable")<{
    readonly problem: string
    readonly container?: string | undefined
    readonly cause?: unknown
  }>
{
  override get message(): string {
    const whose = this.container === undefined ? "" : ` for container \`${this.container}\``
    return `The credentials${whose} could not be fetched: ${this.problem}`
  }
}
