/**
 * Commits on top of what others commit, beside all that others can do meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Operation from "./Operation.ts"
import * as Scenario from "./Scenario.ts"
import * as Scenarios from "./Scenarios.ts"
import type { Seed } from "./World.ts"

const { commit, commitOnTop, createTag, reader } = Operation

describe("explorer of commits with rebase", () => {
  it.each<readonly [Seed, Operation.Operation, RegExp]>([
    ["unconditional put", createTag("new"), /no order.* explains/],
    ["lost answer ignored", commit("main"), /failed, nothing happened/],
    ["stale read", reader("main"), /no order.* explains/]
  ])("catches %s", (seed, other, problem) => {
    const scenario: Scenario.Scenario = {
      place: "repository",
      log: "short",
      operations: [commitOnTop("main"), other]
    }
    const { failures } = Scenario.explore(scenario, { seed, failures: 10 })
    assert.match(failures.map(({ problems }) => problems.join()).join(), problem)
  })

  it.each(
    Scenarios.reduced
      .map(({ kinds, scenario }) => [Scenario.nameOf(scenario), scenario, kinds] as const)
      .filter(([name]) => name.includes("commit.rebase"))
  )(
    "%s: one order of the operations explains each schedule",
    (_, scenario, kinds) => {
      const { failures, schedules } = Scenario.explore(scenario, { failures: 1, kinds })
      assert.deepStrictEqual(failures, [])
      assert.isAbove(schedules, 0)
    },
    120_000
  )
})
