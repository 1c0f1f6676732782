/** When attempts are given up that nothing comes for. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Transfer from "../../src/node/Transfer.ts"

const watched = Effect.clockWith((clock) => {
  const watch = Transfer.watch(clock)
  const givenUp: Array<string> = []
  const add = (name: string, timeout: number): Transfer.Transfer => {
    const transfer = Transfer.begin(timeout, 0, clock.currentTimeMillisUnsafe())
    watch.add(transfer, () => givenUp.push(name))
    return transfer
  }
  return Effect.succeed({ add, givenUp, watch })
})

describe("a watch", () => {
  it.effect("gives each up at its own time", () =>
    Effect.gen(function* () {
      const { add, givenUp } = yield* watched
      add("a", 1000)
      add("b", 2000)
      add("c", 3000)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(givenUp, ["a"])
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(givenUp, ["a", "b"])
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(givenUp, ["a", "b", "c"])
    })
  )

  it.effect("looks after those that begin when all others have ended", () =>
    Effect.gen(function* () {
      const { add, givenUp, watch } = yield* watched
      watch.remove(add("a", 1000))
      yield* TestClock.adjust(500)
      add("b", 1000)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(givenUp, ["b"])
    })
  )
})
