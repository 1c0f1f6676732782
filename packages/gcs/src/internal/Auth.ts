/**
 * Credentials as headers of a request.
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { JWT, type GoogleAuth } from "google-auth-library"
import type { Target } from "./Requests.ts"

/** What of Google's library knows how to get tokens. */
export type TokenClient = Pick<GoogleAuth, "getRequestHeaders">

/** Names in lower case. */
export type Headers = Readonly<Record<string, string>>

/** What tokens are for. A store that is only read gets tokens that can only read, where they are made here. */
export interface Use {
  readonly audience: string
  readonly readOnly: boolean
}

/** Credentials in use. */
export interface Auth {
  readonly headers: Effect.Effect<Headers, ObjectStoreError.Reason>
  /**
   * Says that the store refused these headers as wrong or expired: whether others can be had by asking
   * again.
   */
  readonly refused: (headers: Headers) => Effect.Effect<boolean>
}

/** How long before their expiry credentials are refreshed: enough for a request that is on its way. */
const margin = 60_000

const unauthenticated = (detail: string): ObjectStoreError.Reason => new ObjectStoreError.Unauthenticated({ detail })

const static_ = (headers: Auth["headers"]): Auth => ({ headers, refused: () => Effect.succeed(false) })

/** No credentials are sent. */
export const none: Auth = static_(Effect.succeed({}))

const statusOf = (cause: unknown): number | undefined => {
  const status = typeof cause === "object" && cause !== null && "status" in cause ? cause.status : undefined
  return typeof status === "number" ? status : undefined
}

/** Why Google's library could not get a token. Its messages may name files and hold parts of keys. */
const failure = (cause: unknown): ObjectStoreError.Reason => {
  const status = statusOf(cause)
  if (status !== undefined) {
    const detail = `the request for an access token was answered with HTTP ${status}`
    return status >= 500 || status === 429 ? new ObjectStoreError.Unavailable({ detail }) : unauthenticated(detail)
  }
  if (cause instanceof Error) {
    const { code } = cause as NodeJS.ErrnoException
    if (typeof code === "string" && /^E[A-Z]+$/.test(code) && code !== "ENOENT" && code !== "EACCES") {
      return new ObjectStoreError.Unavailable({ detail: `the request for an access token failed with ${code}` })
    }
    if (cause.message.startsWith("Could not load the default credentials")) {
      return unauthenticated(
        "no application default credentials were found: set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or pass other credentials"
      )
    }
  }
  return unauthenticated("no access token could be made from the credentials; check the key")
}

/** The headers that Google's library adds to a request to `audience`. */
export const fromGoogle = (auth: TokenClient, audience: string): Auth =>
  static_(
    Effect.tryPromise({
      try: async () => Object.fromEntries((await auth.getRequestHeaders(audience)).entries()),
      catch: failure
    })
  )

/** Tokens of a client of Google's library, as a source for other stores at the same endpoint. */
export const sourceOf = (
  auth: TokenClient,
  audience: string
): Effect.Effect<Credentials.Credentials, Credentials.CredentialsUnavailable> =>
  Effect.gen(function* () {
    const headers = yield* fromGoogle(auth, audience).headers.pipe(
      Effect.mapError(({ detail = "there is none" }) => new Credentials.CredentialsUnavailable({ problem: detail }))
    )
    const token = secretOf(headers)
    if (token === undefined) return Credentials.anonymous
    // The library renews tokens five minutes before they expire: ask it again earlier than that.
    const now = yield* Clock.currentTimeMillis
    return Credentials.bearerToken({ token: Redacted.make(token), expiresAt: now + 4 * 60_000 })
  })

const Key = Schema.fromJsonString(
  Schema.Struct({
    type: Schema.optional(Schema.String),
    client_email: Schema.optional(Schema.String),
    private_key: Schema.optional(Schema.String),
    private_key_id: Schema.optional(Schema.String)
  })
)

const decodeKey = Schema.decodeUnknownResult(Key)

interface ServiceAccount {
  readonly email: string
  readonly key: string
  readonly keyId: string | undefined
}

/** A service account from the JSON of its key, or what is wrong with it. */
const parseKey = (json: Redacted.Redacted): Result.Result<ServiceAccount, string> => {
  const decoded = decodeKey(Redacted.value(json))
  if (Result.isFailure(decoded)) return Result.fail("the service account key is not a JSON object")
  const { client_email: email, private_key: key, private_key_id: keyId, type = "service_account" } = decoded.success
  if (type !== "service_account") {
    return Result.fail(
      "the key is not of a service account; let GOOGLE_APPLICATION_CREDENTIALS name its file and use the environment"
    )
  }
  return email === undefined || key === undefined
    ? Result.fail("the service account key has no `client_email` or no `private_key`")
    : Result.succeed({ email, key, keyId })
}

/**
 * A service account signs its tokens itself, as in other Icechunk clients: that needs no request and no
 * token endpoint.
 */
const fromServiceAccount = ({ email, key, keyId }: ServiceAccount, { audience, readOnly }: Use): Auth => {
  const client = new JWT({
    email,
    key,
    ...(keyId === undefined ? {} : { keyId }),
    scopes: [`https://www.googleapis.com/auth/devstorage.${readOnly ? "read_only" : "full_control"}`]
  })
  client.useJWTAccessWithScope = true
  return fromGoogle(client, audience)
}

/** A sentence that says why credentials cannot be used on this platform, or `undefined`. */
export const problem = (credentials: Credentials.Credentials): string | undefined =>
  Credentials.match(credentials, {
    Anonymous: () => undefined,
    Environment: () => undefined,
    BearerToken: () => undefined,
    ServiceAccount: ({ key }) =>
      Result.match(parseKey(key), { onFailure: (wrong) => wrong, onSuccess: () => undefined }),
    AccessKey: () => "access keys are for S3; use a service account, a token or the environment",
    Directory: () => "a directory is for files; use a service account, a token or the environment",
    Headers: () => "headers are for HTTP; use a service account, a token or the environment"
  })

const fromCredentials = (credentials: Credentials.Credentials, environment: () => TokenClient, use: Use): Auth => {
  const unusable = (wrong: string): Auth => static_(Effect.fail(unauthenticated(wrong)))
  const wrong = problem(credentials)
  if (wrong !== undefined) return unusable(wrong)
  return Credentials.match(credentials, {
    Anonymous: () => none,
    Environment: () => fromGoogle(environment(), use.audience),
    BearerToken: ({ token }) => static_(Effect.succeed({ authorization: `Bearer ${Redacted.value(token).trim()}` })),
    ServiceAccount: ({ key }) =>
      Result.match(parseKey(key), {
        onFailure: unusable,
        onSuccess: (account) => fromServiceAccount(account, use)
      }),
    AccessKey: () => none,
    Directory: () => none,
    Headers: () => none
  })
}

const expiry = (credentials: Credentials.Credentials): number =>
  (credentials._tag === "BearerToken" ? credentials.expiresAt : undefined) ?? Infinity

/**
 * Credentials from a source. An Effect is run when the first request needs it, again a minute before what
 * it returned expires, and once more when the store refuses it; requests that wait share one run.
 */
export const make = Effect.fnUntraced(function* (
  source: Credentials.Source,
  environment: () => TokenClient,
  use: Use
): Effect.fn.Return<Auth> {
  if (!Effect.isEffect(source)) return fromCredentials(source, environment, use)
  const lock = yield* Semaphore.make(1)
  let current: { readonly auth: Auth; readonly expiresAt: number } | undefined
  let sent: Headers | undefined

  const fresh = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (current !== undefined && now < current.expiresAt - margin) return current.auth
    const credentials = yield* Effect.mapError(
      source,
      ({ problem }) => new ObjectStoreError.Unauthenticated({ detail: problem, unavailable: problem })
    )
    const auth = fromCredentials(credentials, environment, use)
    current = { auth, expiresAt: expiry(credentials) }
    return auth
  })

  return {
    headers: lock.withPermits(1)(
      Effect.gen(function* () {
        const auth = yield* fresh
        sent = yield* auth.headers
        return sent
      })
    ),
    refused: (headers) =>
      Effect.sync(() => {
        // Others may have renewed them since.
        if (sent?.["authorization"] === headers["authorization"]) current = undefined
        return true
      })
  }
})

/** The secret part of the headers, to be kept out of messages. */
export const secretOf = (headers: Headers): string | undefined => headers["authorization"]?.replace(/^Bearer\s+/i, "")

/** The headers for a project that pays: it goes into the query on the JSON API. */
export const withPayer = (headers: Headers, { userProject }: Target): Headers => {
  if (userProject === undefined) return headers
  const { "x-goog-user-project": _, ...rest } = headers
  return rest
}
