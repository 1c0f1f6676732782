import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Passenger, RequestGate } from "../../src/store/RequestGate.ts"

const context = Context.empty()

const two = Effect.all([MemoryObjectStore.make(), MemoryObjectStore.make()])

describe("RequestGate", () => {
  it.effect("lets those in first who came first, whichever their stores are", () =>
    Effect.gen(function* () {
      const [a, b] = yield* two
      const gate = new RequestGate({ requests: 1, bytes: 100 })
      const passed: Array<string> = []
      const passengers = ["a1", "b2", "a3", "b4"].map((name): Passenger => ({
        lane: gate.lane(name.startsWith("a") ? a : b),
        bytes: 1,
        context,
        pass: () => passed.push(name)
      }))
      for (const passenger of passengers) gate.enter(passenger)
      for (const passenger of passengers) gate.leave(passenger)
      assert.deepStrictEqual(passed, ["a1", "b2", "a3", "b4"])
    })
  )

  it.effect("does not let a store without a place hold up another one", () =>
    Effect.gen(function* () {
      const [one, b] = yield* two
      const a = { ...one, maxConcurrentRequests: 1 }
      const gate = new RequestGate({ requests: 10, bytes: 100 })
      const passed: Array<string> = []
      for (const name of ["a1", "a2", "a3", "b4"]) {
        gate.enter({ lane: gate.lane(name.startsWith("a") ? a : b), bytes: 1, context, pass: () => passed.push(name) })
      }
      assert.deepStrictEqual(passed, ["a1", "b4"])
    })
  )

  it.effect("cuts reads into as many requests as there are places for, and none where no wire is passed", () =>
    Effect.gen(function* () {
      const [one] = yield* two
      const store = { ...one, isLocal: false, maxConcurrentRequests: 4 }
      const gate = new RequestGate({ requests: 6, bytes: 100 })
      const lane = gate.lane(store)
      const other = gate.lane({ ...store })
      const parallel = (): number | undefined => gate.cutting(lane).parallel
      assert.deepStrictEqual(gate.cutting(lane), { parallel: 4, minPart: 1_000_000, maxBytesInFlight: 100 })
      lane.cost = { ...lane.cost, line: 2 * lane.cost.alone }
      assert.strictEqual(parallel(), 2)
      lane.cost = { ...lane.cost, line: 9 * lane.cost.alone }
      const enter = (lane: Passenger["lane"], bytes = 1): Passenger => {
        const passenger: Passenger = { lane, bytes, context, pass: () => undefined }
        gate.enter(passenger)
        return passenger
      }
      const first = enter(lane)
      assert.strictEqual(parallel(), 3)
      for (let i = 0; i < 3; i++) enter(other)
      assert.strictEqual(parallel(), 2, "of all places")
      enter(lane, 1000)
      assert.strictEqual(parallel(), 1, "others wait already")
      gate.leave(first)
      assert.strictEqual(parallel(), 2)
      assert.deepStrictEqual(gate.cutting(gate.lane({ ...store, isLocal: true })), { parallel: 1 })
    })
  )

  it.effect("goes on when somebody who stood in the way withdraws", () =>
    Effect.gen(function* () {
      const [store] = yield* two
      const gate = new RequestGate({ requests: 10, bytes: 10 })
      const lane = gate.lane(store)
      const passed: Array<number> = []
      const passengers = [5, 100, 5].map((bytes, i): Passenger => ({
        lane,
        bytes,
        context,
        pass: () => passed.push(i)
      }))
      for (const passenger of passengers) gate.enter(passenger)
      assert.deepStrictEqual(passed, [0])
      assert.isTrue(gate.withdraw(passengers[1]!))
      assert.isFalse(gate.withdraw(passengers[1]!))
      assert.deepStrictEqual(passed, [0, 2])
    })
  )

  it.effect("gives the place back of an Effect that fails, dies or is interrupted, before and after it passed", () =>
    Effect.gen(function* () {
      const [store] = yield* two
      const gate = new RequestGate({ requests: 1, bytes: 100 })
      const lane = gate.lane(store)
      const run = <A, E>(effect: Effect.Effect<A, E>) => gate.through(lane, 1, effect)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(run(Effect.fail("no")))))
      assert.isTrue(Exit.hasDies(yield* Effect.exit(run(Effect.die("no")))))
      const hold = yield* Deferred.make<void>()
      const passed = yield* Effect.forkChild(run(Deferred.await(hold)))
      const waiting = yield* Effect.forkChild(run(Effect.die("it never runs")))
      const next = yield* Effect.forkChild(run(Effect.succeed("next")))
      for (let i = 0; i < 5; i++) yield* Effect.yieldNow
      assert.strictEqual(lane.active, 1)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(lane.active, 1)
      yield* Fiber.interrupt(passed)
      assert.strictEqual(yield* Fiber.join(next), "next")
      assert.strictEqual(lane.active, 0)
      assert.strictEqual(lane.waiting.size, 0)
    })
  )

  it.effect("costs the same for each however many wait", () =>
    Effect.gen(function* () {
      const [store] = yield* two
      const gate = new RequestGate({ requests: 1, bytes: 100 })
      const lane = gate.lane(store)
      let passed = 0
      const passengers = Array.from({ length: 200_000 }, (): Passenger => ({
        lane,
        bytes: 1,
        context,
        pass: () => passed++
      }))
      const started = performance.now()
      for (const passenger of passengers) gate.enter(passenger)
      for (const passenger of passengers.slice(1).filter((_, i) => i % 3 === 0)) assert.isTrue(gate.withdraw(passenger))
      for (const [i, passenger] of passengers.entries()) if (i % 3 !== 1) gate.leave(passenger)
      assert.strictEqual(passed, passengers.length - Math.ceil((passengers.length - 1) / 3))
      assert.strictEqual(lane.active, 0)
      // In a Map it took minutes.
      assert.isBelow(performance.now() - started, 20_000)
    })
  )
})
