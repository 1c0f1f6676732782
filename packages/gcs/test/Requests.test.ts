import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Observed from "../../core/test/Observed.ts"
import * as Auth from "../src/internal/Auth.ts"
import * as Connection from "../src/internal/Connection.ts"
import { bytes, make, reason, text, token } from "./support/Harness.ts"

describe("requests", () => {
  it.live("interruption of a read that is waited for closes the connection", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.plan({ _tag: "Hang" })
      const arrived = yield* Effect.forkChild(
        server.next(() => true),
        { startImmediately: true }
      )
      const fiber = yield* Effect.forkChild(store.get("a"))
      const request = yield* Fiber.join(arrived)
      yield* Fiber.interrupt(fiber)
      expect(yield* Effect.promise(() => request.ended)).toBe("aborted")
    })
  )

  it.live("interruption of a read in the middle of the body closes the connection", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.seed("data", "a", new Uint8Array(100_000))
      server.plan({ _tag: "Stall", after: 50_000 })
      const arrived = yield* Effect.forkChild(
        server.next(() => true),
        { startImmediately: true }
      )
      const fiber = yield* Effect.forkChild(store.get("a"))
      const request = yield* Fiber.join(arrived)
      yield* Fiber.interrupt(fiber)
      expect(yield* Effect.promise(() => request.ended)).toBe("aborted")
    })
  )

  it.live("interruption of a write closes the connection", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.plan({ _tag: "Hang" })
      const arrived = yield* Effect.forkChild(
        server.next(() => true),
        { startImmediately: true }
      )
      const fiber = yield* Effect.forkChild(store.put("a", new Uint8Array(1_000_000)))
      const request = yield* Fiber.join(arrived)
      yield* Fiber.interrupt(fiber)
      expect(yield* Effect.promise(() => request.ended)).toBe("aborted")
    })
  )

  it.live("a failure among many deletes ends the others on the wire", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.plan({ _tag: "Hang" }, { when: ({ path }) => path.at(-1) === "slow" })
      const slow = yield* Effect.forkChild(
        server.next(({ path }) => path.at(-1) === "slow"),
        { startImmediately: true }
      )
      const seen = Effect.runPromise(Fiber.join(slow))
      // Refused when the other one is under way.
      server.addToken(token, { permissions: ["get"] })
      server.plan({ _tag: "Wait", until: seen }, { when: ({ path }) => path.at(-1) === "denied" })
      const error = yield* Effect.flip(store.delete(["slow", "denied"]))
      expect(error).toMatchObject({ key: "denied" })
      expect(yield* Effect.promise(async () => (await seen).ended)).toBe("aborted")
    })
  )

  it.live("silence fails after the idle timeout", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ idleTimeout: "300 millis", retry: { times: 0 } })
      server.seed("data", "a", new Uint8Array(100_000))
      server.plan({ _tag: "Hang" })
      expect(yield* reason(store.get("a"))).toMatchObject({ _tag: "Unavailable", detail: "ETIMEDOUT" })
      server.plan({ _tag: "Stall", after: 50_000 })
      expect((yield* reason(store.get("a")))._tag).toBe("InvalidResponse")
    })
  )

  it.effect("a request that takes too long fails, and ends on the wire", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ requestTimeout: "5 seconds", retry: { times: 0 } })
      server.plan({ _tag: "Hang" })
      const arrived = yield* Effect.forkChild(
        server.next(() => true),
        { startImmediately: true }
      )
      const fiber = yield* Effect.forkChild(reason(store.get("a")))
      const request = yield* Fiber.join(arrived)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Unavailable", detail: "no answer within 5s" })
      expect(yield* Effect.promise(() => request.ended)).toBe("aborted")
    })
  )

  it.effect("repetitions wait longer each time, up to the limit", () =>
    Effect.gen(function* () {
      const connection = yield* Connection.make({
        endpoint: "http://127.0.0.1:1",
        auth: Auth.none,
        target: { bucket: "data", userProject: undefined },
        concurrency: 1,
        idleTimeout: Duration.minutes(1),
        requestTimeout: undefined,
        retries: 4,
        firstDelay: Duration.seconds(1),
        maxDelay: Duration.seconds(3)
      })
      const times: Array<number> = []
      const attempt = Effect.andThen(
        Effect.tap(Clock.currentTimeMillis, (now) => Effect.sync(() => times.push(now))),
        Effect.fail(new ObjectStoreError.RateLimited({}))
      )
      const fiber = yield* Effect.forkChild(Effect.flip(connection.retry(attempt)))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber))._tag).toBe("RateLimited")
      expect(times.length).toBe(5)
      for (const [i, expected] of [1000, 2000, 3000, 3000].entries()) {
        const waited = times[i + 1]! - times[i]!
        // With a jitter of a fifth.
        expect(waited).toBeGreaterThanOrEqual(expected * 0.8)
        expect(waited).toBeLessThanOrEqual(expected * 1.2)
      }
    })
  )

  it.live("connections are used again, and closed with the store", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* open()
          for (let i = 0; i < 10; i++) yield* store.get("a", { range: ByteRange.bounded(0, 1) })
          // A request that follows at once may find the connection of the last one still busy.
          expect(server.connections()).toBeLessThanOrEqual(2)
          expect(server.openConnections()).toBe(server.connections())
        })
      )
      yield* server.allClosed
      expect(server.openConnections()).toBe(0)
    })
  )

  it.live("each request has a span that says what it was and how large", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const { spans, tracer } = Observed.recording()
      server.plan({ _tag: "Refuse", status: 503 })
      yield* store.put("a", bytes("hello")).pipe(Effect.andThen(store.get("a")), Effect.withTracer(tracer))
      const seen = spans.map(({ attributes, kind, name }) =>
        Object.assign(Object.fromEntries(attributes), { kind, name })
      )
      expect(seen).toMatchObject([
        { name: "ObjectStore.put", kind: "client", "http.response.status_code": 503, bytes: 5 },
        { name: "ObjectStore.put", operation: "put", "http.response.status_code": 200 },
        { name: "ObjectStore.get", store: "gcs://data", key: "a", "http.response.status_code": 200, bytes: 5 }
      ])
    })
  )

  it.live("an endpoint that nobody serves is unavailable", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      const store = yield* open({ endpoint: "http://127.0.0.1:1", retry: { times: 0 } })
      const error = yield* Effect.flip(store.get("a"))
      expect(error).toMatchObject({ reason: { _tag: "Unavailable", detail: "ECONNREFUSED" } })
      expect(text(bytes(error.message))).toContain("check endpoint and network")
    })
  )
})
