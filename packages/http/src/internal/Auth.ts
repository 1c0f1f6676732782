/** The headers that prove who asks; fetched when they are first needed, and again before they expire. */
import type * as Credentials from "@effect-icechunk/core/Credentials"
import { type Reason, Unauthenticated } from "@effect-icechunk/core/ObjectStoreError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"

export type AuthHeaders = Readonly<Record<string, string>>

export interface Auth {
  readonly headers: Effect.Effect<AuthHeaders, Reason>
  /** Whether other headers can be had, because the server refused these. */
  readonly refused: (used: AuthHeaders) => boolean
}

const none: AuthHeaders = {}

/** `undefined` for credentials that HTTP has no place for. */
const headersOf = (credentials: Credentials.Credentials): AuthHeaders | undefined => {
  switch (credentials._tag) {
    case "Anonymous":
      return none
    case "BearerToken":
      return { authorization: `Bearer ${Redacted.value(credentials.token)}` }
    case "Headers":
      return Object.fromEntries(
        Object.entries(credentials.headers).map(([name, value]) => [name.toLowerCase(), Redacted.value(value)])
      )
    default:
      return undefined
  }
}

/** Fetch again so long before the end, or in the last half of a shorter life. Milliseconds. */
const margin = 60_000

export const make = (source: Credentials.Source | undefined): Auth => {
  if (source === undefined || !Effect.isEffect(source)) {
    const headers = source === undefined ? none : headersOf(source)
    const wrong = `the credentials are of a kind that HTTP does not have, \`${source?._tag}\``
    return {
      headers: headers === undefined ? Effect.fail(new Unauthenticated({ detail: wrong })) : Effect.succeed(headers),
      refused: () => false
    }
  }
  let current: AuthHeaders | undefined
  let refreshAt = Number.POSITIVE_INFINITY
  const isFresh = (now: number): boolean => current !== undefined && now < refreshAt
  const lock = Semaphore.makeUnsafe(1)
  const fetch = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    // Another fiber may have fetched while this one waited for the lock.
    if (isFresh(now)) return current!
    const credentials = yield* Effect.mapError(
      source,
      ({ problem }) => new Unauthenticated({ detail: problem, unavailable: problem })
    )
    const headers = headersOf(credentials)
    if (headers === undefined) {
      const detail = `the credentials are of a kind that HTTP does not have, \`${credentials._tag}\``
      return yield* new Unauthenticated({ detail })
    }
    const expiresAt = ("expiresAt" in credentials ? credentials.expiresAt : undefined) ?? Number.POSITIVE_INFINITY
    refreshAt = expiresAt - Math.min(margin, Math.max(0, expiresAt - now) / 2)
    return (current = headers)
  })
  return {
    headers: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      isFresh(now) ? Effect.succeed(current!) : lock.withPermits(1)(fetch)
    ),
    refused: (used) => {
      if (used === current) current = undefined
      return true
    }
  }
}
