import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as RepoObject from "../../src/repository/versions/RepoObject.ts"

describe("RepoObject.backOff", () => {
  it.effect("takes its share of the delay from the random service of the context", () =>
    Effect.gen(function* () {
      let asked = 0
      const random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => ((asked += 1), 0) }
      yield* Effect.provideService(RepoObject.backOff(2, RepoObject.defaultRetry), Random.Random, random)
      assert.strictEqual(asked, 1)
    })
  )
})
