/**
 * What proves to a platform that one may read. Given by container name when a repository is opened,
 * never persisted, secrets always `Redacted`. Design, section 4.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * - `Directory`: `fs`; files below this absolute directory may be read, nothing else;
 * - `Anonymous`: requests without a signature;
 * - `Environment`: whatever the platform's client finds around it (variables, profile, instance);
 * - `AccessKey`: S3 and Tigris, with a session token for temporary keys;
 * - `BearerToken`: Google Cloud Storage;
 * - `ServiceAccount`: Google Cloud Storage, the JSON of a service account key.
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
 * A token for Google Cloud Storage.
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
 * A refreshing Effect could not get credentials. `problem` must hold no secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class CredentialsUnavailable extends Data.TaggedError("CredentialsUnavailable")<{
  readonly problem: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Credentials could not be refreshed: ${this.problem}`
  }
}
