import { assert, describe, it } from "@effect/vitest"
import * as Repository from "@effect-icechunk/core/Repository"
import type { RepositoryConfig, SplitCondition } from "@effect-icechunk/core/RepositoryConfig"
import * as Effect from "effect/Effect"
import * as SplitExpressions from "../../src/repository/SplitExpressions.ts"
import * as Fixture from "./Fixture.ts"

const rules = (condition: SplitCondition): RepositoryConfig => ({
  manifest: {
    splitting: {
      split_sizes: [
        ["any_array", []],
        [condition, [{ condition: { DimensionName: "^t$" }, num_chunks: 1 }]]
      ]
    }
  }
})

const unknown: ReadonlyArray<readonly [SplitCondition, string]> = [
  [{ path_matches: { regex: "(" } }, "missing closing )"],
  [{ name_matches: { regex: "[z-a]" } }, "invalid character class range"],
  [{ name_matches: { regex: "(a)\\1" } }, "invalid escape sequence"],
  [{ or: ["any_array", { and: [{ path_matches: { regex: "(?=a)" } }] }] }, "invalid or unsupported"],
  [{ path_matches: { regex: "a".repeat(1001) } }, "1001 characters"]
]

describe("SplitExpressions.check", () => {
  for (const [condition, problem] of unknown) {
    it.effect(`refuses ${JSON.stringify(condition).slice(0, 60)}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(SplitExpressions.check("config.json", rules(condition)))
        assert.strictEqual(error.field, "manifest.splitting.split_sizes")
        assert.include(error.problem, "is not a regular expression in the syntax of RE2")
        assert.include(error.problem, problem)
      })
    )
  }

  it.effect("looks at the names of dimensions", () =>
    Effect.gen(function* () {
      const config: RepositoryConfig = {
        manifest: {
          splitting: { split_sizes: [["any_array", [{ condition: { DimensionName: "(t" }, num_chunks: 1 }]]] }
        }
      }
      assert.include((yield* Effect.flip(SplitExpressions.check("c", config))).problem, "`(t`")
    })
  )

  it.effect("accepts what Rust and RE2 know and JavaScript does not", () =>
    SplitExpressions.check("config.json", rules({ path_matches: { regex: "(?i)^/(?P<part>ocean)\\z" } }))
  )
})

describe("a rule whose expression cannot be compiled", () => {
  it.effect("is refused by create and update, which change nothing", () =>
    Effect.gen(function* () {
      const world = yield* Fixture.worldInMemory
      yield* Fixture.inWorld(world)(
        Effect.gen(function* () {
          const config = rules({ path_matches: { regex: "(" } })
          assert.strictEqual((yield* Effect.flip(Repository.create({ persist: config })))._tag, "InvalidConfig")
          assert.isFalse(yield* Repository.exists)
          const repository = yield* Repository.create()
          const before = yield* repository.config.persisted
          const error = yield* Effect.flip(repository.config.update(() => config))
          assert.strictEqual(error._tag, "InvalidConfig")
          assert.deepStrictEqual(yield* repository.config.persisted, before)
        })
      )
    })
  )
})
