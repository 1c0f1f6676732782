/** Credentials that run out while a store is open. */
import * as Credentials from "@effect-icechunk/core/Credentials"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import * as S3Server from "./support/S3Server.ts"
import { accessKey, optionsFor } from "./support/TestStores.ts"

const minute = 60_000

/** A server that knows the session tokens `token-0`, `token-1` and so on, while they are valid. */
const sessions = Effect.gen(function* () {
  const valid = new Set(["token-0"])
  const credentials = Array.from({ length: 10 }, (_, i) => ({
    accessKeyId: `key-${i}`,
    secretAccessKey: `secret-${i}`,
    sessionToken: `token-${i}`,
    get expired() {
      return !valid.has(`token-${i}`)
    }
  }))
  const server = yield* S3Server.start({ credentials })
  let fetched = 0
  /** The next credentials, valid for `life` minutes from now on the clock of the test. */
  const source = (life: number | undefined): Effect.Effect<Credentials.Credentials> =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const i = fetched++
        valid.add(`token-${i}`)
        return Credentials.accessKey({
          accessKeyId: `key-${i}`,
          secretAccessKey: Redacted.make(`secret-${i}`),
          sessionToken: Redacted.make(`token-${i}`),
          expiresAt: life === undefined ? undefined : clock.currentTimeMillisUnsafe() + life * minute
        })
      })
    )
  const open = (credentials: Credentials.Source) => S3ObjectStore.make({ ...optionsFor(server), credentials })
  return { server, valid, source, open, fetched: () => fetched }
})

const write = new Uint8Array([1])

describe("refreshing credentials", () => {
  it.effect("are fetched when first needed, and again five minutes before they expire", () =>
    Effect.gen(function* () {
      const { fetched, open, server, source } = yield* sessions
      const store = yield* open(source(60))
      expect(fetched()).toBe(0)
      yield* store.put("key", write)
      yield* TestClock.adjust("54 minutes")
      yield* store.get("key")
      expect(fetched()).toBe(1)
      yield* TestClock.adjust("1 minute")
      yield* store.get("key")
      expect(fetched()).toBe(2)
      expect(server.requests.map(({ headers }) => headers["x-amz-security-token"])).toEqual([
        "token-0",
        "token-0",
        "token-1"
      ])
    })
  )

  it.effect("of a short life are fetched again in the second half of it", () =>
    Effect.gen(function* () {
      const { fetched, open, source } = yield* sessions
      const store = yield* open(source(4))
      yield* store.put("key", write)
      yield* TestClock.adjust("119 seconds")
      yield* store.get("key")
      expect(fetched()).toBe(1)
      yield* TestClock.adjust("1 second")
      yield* store.get("key")
      expect(fetched()).toBe(2)
    })
  )

  it.effect("are fetched once for requests that begin together", () =>
    Effect.gen(function* () {
      const { fetched, open, source } = yield* sessions
      const store = yield* open(Effect.andThen(Effect.yieldNow, source(60)))
      yield* Effect.forEach([1, 2, 3, 4], (i) => store.put(`key-${i}`, write), { concurrency: "unbounded" })
      expect(fetched()).toBe(1)
    })
  )

  it.effect("that the store refuses early are fetched again, once for a request", () =>
    Effect.gen(function* () {
      const { fetched, open, server, source, valid } = yield* sessions
      const store = yield* open(source(undefined))
      yield* store.put("key", write)
      valid.delete("token-0")
      expect((yield* store.get("key")).bytes).toEqual(write)
      expect(fetched()).toBe(2)
      valid.delete("token-1")
      yield* store.head("key")
      expect(fetched()).toBe(3)

      const stubborn = yield* open(Effect.succeed(accessKey("key-9", "secret-9", "token-9")))
      const before = server.requests.length
      const error = yield* Effect.flip(stubborn.get("key"))
      expect(error).toMatchObject({ reason: { _tag: "Unauthenticated" } })
      expect(server.requests.length - before).toBe(2)
    })
  )

  it.effect("are not fetched again because something is denied", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({
        credentials: [{ accessKeyId: "key", secretAccessKey: "secret", deny: ["list"] }]
      })
      let fetched = 0
      const source = Effect.sync(() => {
        fetched += 1
        return accessKey("key", "secret")
      })
      const store = yield* S3ObjectStore.make({ ...optionsFor(server), credentials: source })
      for (const request of [Effect.asVoid(store.get("missing")), Effect.asVoid(store.head("missing"))]) {
        expect(yield* Effect.flip(request)).toMatchObject({ reason: { _tag: "PermissionDenied" } })
      }
      expect(fetched).toBe(1)
    })
  )

  it.effect("that cannot be fetched fail with Unauthenticated, and are asked for again", () =>
    Effect.gen(function* () {
      const { open, source } = yield* sessions
      let broken = true
      const store = yield* open(
        Effect.suspend(() =>
          broken ? Effect.fail(new Credentials.CredentialsUnavailable({ problem: "the vault is closed" })) : source(60)
        )
      )
      const error = yield* Effect.flip(store.put("key", write))
      expect(error).toMatchObject({ reason: { _tag: "Unauthenticated" } })
      expect(error.message).toContain("the vault is closed")
      broken = false
      yield* store.put("key", write)
    })
  )

  it.effect("that cannot be fetched anew are used as long as they are valid", () =>
    Effect.gen(function* () {
      const { open, source } = yield* sessions
      let broken = false
      const store = yield* open(
        Effect.suspend(() =>
          broken ? Effect.fail(new Credentials.CredentialsUnavailable({ problem: "the vault is closed" })) : source(60)
        )
      )
      yield* store.put("key", write)
      broken = true
      yield* TestClock.adjust("59 minutes")
      yield* store.get("key")
      yield* TestClock.adjust("1 minute")
      expect(yield* Effect.flip(store.get("key"))).toMatchObject({ reason: { _tag: "Unauthenticated" } })
    })
  )
})

describe("credentials of another platform", () => {
  it.effect("are refused when the store is made, or when they come", () =>
    Effect.gen(function* () {
      const { open } = yield* sessions
      const token = Credentials.bearerToken({ token: Redacted.make("t0ken") })
      const refused = yield* Effect.flip(open(token))
      expect(refused).toMatchObject({ _tag: "InvalidS3Options", option: "credentials" })
      const store = yield* open(Effect.succeed(token))
      const late = yield* Effect.flip(store.get("key"))
      expect(late).toMatchObject({ reason: { _tag: "Unauthenticated" } })
      expect(`${refused.message}${late.message}`).not.toContain("t0ken")
    })
  )
})
