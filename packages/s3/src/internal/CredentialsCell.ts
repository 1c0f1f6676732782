/** Credentials that are fetched when first needed and again before they expire. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import type * as Credentials from "@effect-icechunk/core/Credentials"
import { Unauthenticated } from "@effect-icechunk/core/ObjectStoreError"
import * as S3Error from "../S3Error.ts"

export interface CredentialsCell {
  readonly get: Effect.Effect<Credentials.Credentials, S3Error.S3Failure>
  /** Whether new credentials can be had, because the store refused `used`. */
  readonly refused: (used: Credentials.Credentials) => boolean
  /** Texts that must not leave: of the credentials in use. */
  readonly secrets: () => ReadonlyArray<string>
}

/** Fetch again so long before the end, or in the last half of a shorter life. Milliseconds. */
const margin = 5 * 60 * 1000

const secretsOf = (credentials: Credentials.Credentials): ReadonlyArray<string> =>
  credentials._tag === "AccessKey"
    ? [
        Redacted.value(credentials.secretAccessKey),
        ...(credentials.sessionToken === undefined ? [] : [Redacted.value(credentials.sessionToken)]),
        credentials.accessKeyId
      ]
    : []

/** S3 has no use for credentials of this kind: the sentence that says so, or `undefined`. */
export const kindProblem = (credentials: Credentials.Credentials): string | undefined =>
  ["AccessKey", "Anonymous", "Environment"].includes(credentials._tag)
    ? undefined
    : `are of kind \`${credentials._tag}\`; S3 takes \`AccessKey\`, \`Anonymous\` and \`Environment\``

export const make = (source: Credentials.Source): CredentialsCell => {
  if (!Effect.isEffect(source)) {
    return { get: Effect.succeed(source), refused: () => false, secrets: () => secretsOf(source) }
  }
  let current: Credentials.Credentials | undefined
  let refreshAt = Number.POSITIVE_INFINITY
  let expiresAt = Number.POSITIVE_INFINITY
  const lock = Semaphore.makeUnsafe(1)
  // Of the last two credentials: a request made with the ones before may still fail.
  let secrets: ReadonlyArray<string> = []
  const isFresh = (now: number): boolean => current !== undefined && now < refreshAt

  const fetch = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    // Another fiber may have fetched while this one waited for the lock.
    if (isFresh(now)) return current!
    const fetched = yield* Effect.result(source)
    if (fetched._tag === "Failure") {
      if (current !== undefined && now < expiresAt) return current
      const { problem } = fetched.failure
      const reason = new Unauthenticated({ detail: problem, unavailable: problem })
      return yield* new S3Error.S3Failure({ reason, isRetryable: false, mayBeApplied: false })
    }
    const problem = kindProblem(fetched.success)
    if (problem !== undefined) return yield* S3Error.failure("Unauthenticated", `the credentials ${problem}`)
    secrets = [...secretsOf(fetched.success), ...secrets.slice(0, 3)]
    current = fetched.success
    expiresAt = (current._tag === "AccessKey" ? current.expiresAt : undefined) ?? Number.POSITIVE_INFINITY
    refreshAt = expiresAt - Math.min(margin, Math.max(0, expiresAt - now) / 2)
    return current
  })

  return {
    get: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      isFresh(now) ? Effect.succeed(current!) : lock.withPermits(1)(fetch)
    ),
    refused: (used) => {
      if (used === current) {
        current = undefined
        refreshAt = Number.POSITIVE_INFINITY
        expiresAt = Number.POSITIVE_INFINITY
      }
      return true
    },
    secrets: () => secrets
  }
}
