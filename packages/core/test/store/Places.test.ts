import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Places from "../../src/store/Places.ts"

describe("places", () => {
  it.live("are no more than there are, given in order, and all are free in the end", () =>
    Effect.gen(function* () {
      const places = Places.make(3)
      let inside = 0
      let most = 0
      const order: Array<number> = []
      const visit = (i: number): Effect.Effect<void> =>
        places.within(
          Effect.gen(function* () {
            order.push(i)
            most = Math.max(most, ++inside)
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            inside -= 1
          })
        )
      const all = Array.from({ length: 50 }, (_, i) => i)
      yield* Effect.forEach(all, visit, { concurrency: "unbounded" })
      expect(most).toBe(3)
      expect(order).toEqual(all)
      yield* Effect.forEach(all, visit, { concurrency: "unbounded" })
      expect(most).toBe(3)
    })
  )

  it.effect("are passed on by who fails, and by who is interrupted, waiting or inside", () =>
    Effect.gen(function* () {
      const places = Places.make(1)
      yield* Effect.flip(places.within(Effect.fail("no")))
      const inside = yield* Effect.forkChild(places.within(Effect.never), { startImmediately: true })
      const waiting = yield* Effect.forkChild(places.within(Effect.never), { startImmediately: true })
      const last = yield* Effect.forkChild(places.within(Effect.succeed("in")), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      expect(last.pollUnsafe()).toBe(undefined)
      yield* Fiber.interrupt(inside)
      expect(yield* Fiber.join(last)).toBe("in")
      expect(yield* places.within(Effect.succeed("free"))).toBe("free")
    })
  )

  it.effect("are not lost when who gets one is interrupted in the same turn", () =>
    Effect.gen(function* () {
      const places = Places.make(1)
      for (let i = 0; i < 20; i++) {
        const done = yield* Deferred.make<void>()
        const first = yield* Effect.forkChild(places.within(Deferred.await(done)), { startImmediately: true })
        const second = yield* Effect.forkChild(places.within(Effect.void), { startImmediately: true })
        second.interruptUnsafe()
        Deferred.doneUnsafe(done, Effect.void)
        if (i % 2 === 0) second.interruptUnsafe()
        yield* Fiber.await(first)
        yield* Fiber.await(second)
        const third = yield* Effect.forkChild(places.within(Deferred.await(yield* Deferred.make<void>())), {
          startImmediately: true
        })
        const fourth = yield* Effect.forkChild(places.within(Effect.void), { startImmediately: true })
        third.interruptUnsafe()
        fourth.interruptUnsafe()
        yield* Fiber.await(third)
        yield* Fiber.await(fourth)
      }
      expect(yield* places.within(Effect.succeed("free"))).toBe("free")
    })
  )

  it.live("cost the same however many wait", () =>
    Effect.gen(function* () {
      const places = Places.make(1)
      const time = (count: number): Effect.Effect<number> =>
        Effect.gen(function* () {
          const start = process.cpuUsage()
          yield* Effect.forEach(Array.from({ length: count }), () => places.within(Effect.yieldNow), {
            concurrency: "unbounded"
          })
          const { user } = process.cpuUsage(start)
          return user / count
        })
      yield* time(500)
      const few = yield* time(500)
      const many = yield* time(10_000)
      expect(many).toBeLessThan(10 * few)
    })
  )
})
