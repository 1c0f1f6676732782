/**
 * Credentials as headers of a request.
 */
import * as Credentials from "@effect-icechunk/core/values/Credentials"
import * as ObjectStoreError from "@effect-icechunk/core/store/ObjectStoreError"
import type { Storage } from "@google-cloud/storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import type { Target } from "./Requests.ts"

/** The part of Google's client that knows how to get tokens. */
export type GoogleAuth = Pick<Storage["authClient"], "getRequestHeaders" | "getAccessToken">

/** Makes a client of Google's library: from the JSON of a key, or from the environment. */
export type MakeGoogleAuth = (json: Readonly<Record<string, unknown>> | undefined) => GoogleAuth

/** Names in lower case. */
export type Headers = Readonly<Record<string, string>>

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
export const fromGoogle = (auth: GoogleAuth, audience: string): Auth =>
  static_(
    Effect.tryPromise({
      try: async () => Object.fromEntries((await auth.getRequestHeaders(audience)).entries()),
      catch: failure
    })
  )

/** Tokens of a client of Google's library, as a source for other stores at the same endpoint. */
export const sourceOf = (
  auth: GoogleAuth
): Effect.Effect<Credentials.Credentials, Credentials.CredentialsUnavailable> =>
  Effect.gen(function* () {
    const token = yield* Effect.tryPromise({
      try: () => auth.getAccessToken(),
      catch: () => new Credentials.CredentialsUnavailable({ problem: "Google's client has no access token" })
    })
    if (typeof token !== "string") {
      return yield* Effect.fail(
        new Credentials.CredentialsUnavailable({ problem: "Google's client has no access token" })
      )
    }
    // The client renews tokens five minutes before they expire: ask it again earlier than that.
    const now = yield* Clock.currentTimeMillis
    return Credentials.bearerToken({ token: Redacted.make(token), expiresAt: now + 4 * 60_000 })
  })

const parseKey = (key: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const json: unknown = JSON.parse(key)
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

/** A sentence that says why credentials cannot be used on this platform, or `undefined`. */
export const problem = (credentials: Credentials.Credentials): string | undefined =>
  Credentials.match(credentials, {
    Anonymous: () => undefined,
    Environment: () => undefined,
    BearerToken: () => undefined,
    ServiceAccount: ({ key }) =>
      parseKey(Redacted.value(key)) === undefined ? "the service account key is no JSON object" : undefined,
    AccessKey: () => "access keys are for S3; use a service account, a token or the environment",
    Directory: () => "a directory is for files; use a service account, a token or the environment"
  })

const fromCredentials = (credentials: Credentials.Credentials, google: MakeGoogleAuth, audience: string): Auth => {
  const wrong = problem(credentials)
  if (wrong !== undefined) return static_(Effect.fail(unauthenticated(wrong)))
  return Credentials.match(credentials, {
    Anonymous: () => none,
    Environment: () => fromGoogle(google(undefined), audience),
    BearerToken: ({ token }) => static_(Effect.succeed({ authorization: `Bearer ${Redacted.value(token).trim()}` })),
    ServiceAccount: ({ key }) => fromGoogle(google(parseKey(Redacted.value(key))), audience),
    AccessKey: () => none,
    Directory: () => none
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
  google: MakeGoogleAuth,
  audience: string
): Effect.fn.Return<Auth> {
  if (!Effect.isEffect(source)) return fromCredentials(source, google, audience)
  const lock = yield* Semaphore.make(1)
  let current: { readonly auth: Auth; readonly expiresAt: number } | undefined
  let sent: Headers | undefined

  const fresh = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (current !== undefined && now < current.expiresAt - margin) return current.auth
    const credentials = yield* Effect.mapError(source, ({ problem }) => unauthenticated(problem))
    const auth = fromCredentials(credentials, google, audience)
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
