import { assert, describe, it } from "@effect/vitest"
import * as DeferredWrites from "@effect-icechunk/core/DeferredWrites"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

const failure = (key: string): Errors.ObjectStoreError =>
  new Errors.ObjectStoreError({
    store: "memory",
    operation: "put",
    key,
    reason: new Errors.Unavailable({ isLasting: true })
  })

/** Something to be done that counts how often it was, and fails as often as it is told to. */
const work = (key: string, options?: { readonly isShared?: boolean; readonly failures?: number }) => {
  const state = { runs: 0, failures: options?.failures ?? 0 }
  const remainder: DeferredWrites.Remainder = {
    isShared: options?.isShared ?? false,
    settle: Effect.suspend(() => {
      state.runs++
      return state.failures-- > 0 ? Effect.fail(failure(key)) : Effect.void
    })
  }
  return { state, remainder }
}

describe("DeferredWrites", () => {
  it.effect("settles what was deferred, once", () =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      const [a, b] = [work("a"), work("b")]
      writes.defer("a")(a.remainder)
      writes.defer("b")(b.remainder)
      yield* writes.settle()
      yield* writes.settle()
      assert.deepStrictEqual([a.state.runs, b.state.runs], [1, 1])
    })
  )

  it.effect("does not settle what the store has done meanwhile", () =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      const { remainder, state } = work("a")
      writes.defer("a")(remainder)()
      yield* writes.settle()
      assert.strictEqual(state.runs, 0)
    })
  )

  it.effect("what failed is left, fails again as long as it does, and does not keep the rest from being settled", () =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      const [a, b] = [work("a", { failures: 2 }), work("b")]
      writes.defer("a")(a.remainder)
      writes.defer("b")(b.remainder)
      for (let i = 0; i < 2; i++) {
        const { error, object } = yield* Effect.flip(writes.settle())
        assert.deepStrictEqual([error.key, object], ["a", "a"])
      }
      assert.strictEqual(b.state.runs, 1)
      yield* writes.settle()
      yield* writes.settle()
      assert.strictEqual(a.state.runs, 3)
    })
  )

  it.effect("a failure of an object that is not needed is none, and is left for who needs it", () =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      const [a, shared] = [work("a", { failures: 9 }), work("directory", { isShared: true, failures: 1 })]
      writes.defer("a")(a.remainder)
      yield* writes.settle(() => false)
      assert.strictEqual((yield* Effect.flip(writes.settle((object) => object === "a"))).object, "a")
      writes.defer("a")(shared.remainder)
      assert.isUndefined((yield* Effect.flip(writes.settle(() => false))).object, "what many need is needed")
      yield* writes.settle(() => false)
    })
  )

  it.effect("what is handed over again while it is settled is settled again", () =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      const [reached, opened] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let runs = 0
      const remainder: DeferredWrites.Remainder = {
        isShared: true,
        settle: Effect.suspend(() => {
          runs++
          return Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(opened))
        })
      }
      const done = writes.defer("a")(remainder)
      const first = yield* Effect.forkChild(writes.settle())
      yield* Deferred.await(reached)
      writes.defer("b")(remainder)
      // What was done for the first is not for the second.
      done()
      yield* Deferred.succeed(opened, undefined)
      yield* Fiber.join(first)
      assert.strictEqual(runs, 1)
      yield* writes.settle()
      assert.strictEqual(runs, 2)
    })
  )

  it.effect("an interruption leaves what was not settled", () =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      let runs = 0
      writes.defer("a")({
        isShared: false,
        settle: Effect.suspend(() => (runs++ === 0 ? Effect.never : Effect.void))
      })
      const fiber = yield* Effect.forkChild(writes.settle())
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* writes.settle()
      assert.strictEqual(runs, 2)
    })
  )
})
