/** How long is waited between two requests. */
import * as Repetition from "@effect-icechunk/core/store/Repetition"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Fetch } from "../src/Fetch.ts"
import * as HttpObjectStore from "../src/HttpObjectStore.ts"
import { reasonOf } from "./support/Harness.ts"

const start = Date.parse("2026-12-01T10:00:00Z")

describe("Retry-After", () => {
  it.each([
    ["7", 7000],
    ["0", undefined],
    ["-3", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["Tue, 01 Dec 2026 10:00:20 GMT", 20_000],
    ["Tue, 01 Dec 2026 09:00:00 GMT", undefined],
    [null, undefined]
  ] as const)("`%s` is a wait of %s ms", (header, wait) => {
    assert.strictEqual(Repetition.retryAfter(header, start), wait)
  })

  /** The store of a server that refuses twice, and when it was asked. */
  const refusing = Effect.fnUntraced(function* (status: number, header: string | undefined) {
    const asked: Array<number> = []
    yield* TestClock.setTime(start)
    const clock = yield* TestClock.testClockWith(Effect.succeed)
    const fetch = () => {
      asked.push(clock.currentTimeMillisUnsafe() - start)
      return Promise.resolve(
        asked.length > 2
          ? new Response("abc", { headers: { "content-length": "3" } })
          : new Response("", { status, headers: header === undefined ? {} : { "retry-after": header } })
      )
    }
    const store = yield* HttpObjectStore.make({
      url: "https://data.example/r",
      retry: { baseDelay: "10 millis" }
    }).pipe(Effect.provideService(Fetch, fetch))
    return { asked, store }
  })

  /** Goes on until the fiber has ended. */
  const elapse = Effect.fnUntraced(function* <A, E>(fiber: Fiber.Fiber<A, E>) {
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("100 millis")
    }
    return yield* Fiber.join(fiber)
  })

  it.effect.each([
    [429, "7", 7000],
    [503, "7", 7000],
    [503, "3600", 30_000],
    [503, "Tue, 01 Dec 2026 10:00:05 GMT", 5000]
  ] as const)("of an answer %s is waited for: %s, up to 30 seconds", ([status, header, wait]) =>
    Effect.gen(function* () {
      const { asked, store } = yield* refusing(status, header)
      const fiber = yield* Effect.forkChild(store.get("repo"))
      const { bytes } = yield* elapse(fiber)
      assert.strictEqual(bytes.length, 3)
      assert.strictEqual(asked.length, 3)
      // A date is reached once.
      assert.isAtLeast(asked[1]!, wait)
      assert.isBelow(asked[1]!, wait + 1000)
    })
  )

  it.effect("is not needed: without it the delays grow as they do", () =>
    Effect.gen(function* () {
      const { asked, store } = yield* refusing(503, undefined)
      yield* elapse(yield* Effect.forkChild(store.get("repo")))
      assert.isBelow(asked[2]!, 1000)
    })
  )

  it.effect("is in the reason, for those who repeat themselves", () =>
    Effect.gen(function* () {
      const fetch = () => Promise.resolve(new Response("", { status: 429, headers: { "retry-after": "12" } }))
      const store = yield* HttpObjectStore.make({ url: "https://data.example/r", retry: { times: 0 } }).pipe(
        Effect.provideService(Fetch, fetch)
      )
      const { reason } = yield* reasonOf(store.get("repo"))
      assert.deepInclude(reason, { _tag: "RateLimited", retryAfter: 12_000 })
    })
  )
})
