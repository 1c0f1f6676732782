/**
 * How long writers of one object wait for each other.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import * as Pace from "../../src/repository/changes/Pace.ts"

/** How long a pace waits now, in milliseconds, when so much of the wait is taken. */
const paced = () => {
  let share = 1
  let asked = 0
  const pace = Pace.make(
    Effect.sync(() => {
      asked++
      return share
    })
  )
  const waits = (taken = 1) =>
    Effect.gen(function* () {
      share = taken
      const start = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.forkChild(Effect.andThen(pace.wait, Clock.currentTimeMillis))
      yield* TestClock.adjust("1 minute")
      return (yield* Fiber.join(fiber)) - start
    })
  return { pace, waits, asked: () => asked }
}

describe("a pace", () => {
  it.effect("waits for nobody until somebody was faster", () =>
    Effect.gen(function* () {
      const { asked, pace, waits } = paced()
      assert.strictEqual(yield* waits(), 0)
      assert.isFalse(pace.isContended())
      pace.won(true)
      pace.won(false)
      assert.strictEqual(yield* waits(), 0)
      assert.strictEqual(asked(), 0)
    })
  )

  it.effect("waits at first as long as two attempts take, then twice as long with each loss, up to four seconds", () =>
    Effect.gen(function* () {
      const { pace, waits } = paced()
      const seen: Array<number> = []
      for (let i = 0; i < 9; i++) {
        pace.lost(20)
        seen.push(yield* waits())
      }
      assert.deepStrictEqual(seen, [40, 80, 160, 320, 640, 1280, 2560, 4000, 4000])
      assert.isTrue(pace.isContended())
    })
  )

  it.effect("takes the random share of it", () =>
    Effect.gen(function* () {
      const { pace, waits } = paced()
      for (let i = 0; i < 3; i++) pace.lost(50)
      for (const share of [0, 0.25, 0.5, 1]) assert.strictEqual(yield* waits(share), 400 * share)
    })
  )

  it.effect("waits half as long with each commit that met nobody, and then not at all", () =>
    Effect.gen(function* () {
      const { pace, waits } = paced()
      for (let i = 0; i < 4; i++) pace.lost(20)
      const seen: Array<number> = []
      for (let i = 0; i < 5; i++) {
        // One that was in at a later attempt is no sign of others being gone.
        pace.won(false)
        seen.push(yield* waits())
        pace.won(true)
      }
      assert.deepStrictEqual(seen, [320, 160, 80, 40, 0])
      assert.isFalse(pace.isContended())
    })
  )

  it("is never longer than four seconds or twice what it was, and ends when nobody is met any more", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.record({ what: fc.constant("lost" as const), took: fc.nat(5000) }),
            fc.record({ what: fc.constant("won" as const), atOnce: fc.boolean() })
          ),
          { maxLength: 30 }
        ),
        (events) =>
          Effect.gen(function* () {
            const { pace, waits } = paced()
            let before = 0
            for (const event of events) {
              if (event.what === "lost") pace.lost(event.took)
              else pace.won(event.atOnce)
              const now = yield* waits()
              assert.strictEqual(pace.isContended(), now > 0)
              assert.isAtMost(now, 4000)
              if (event.what === "lost") {
                assert.isAtLeast(now, Math.min(4000, 2 * before, 2 * event.took))
                assert.isAtLeast(now, before)
                assert.isAtMost(now, Math.max(2 * before, 2 * event.took))
              } else assert.include(event.atOnce ? [0, before / 2] : [before], now)
              before = now
            }
            for (let i = 0; i < 13; i++) pace.won(true)
            assert.strictEqual(yield* waits(), 0)
          }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
      ),
      { numRuns: 300 }
    ))
})
