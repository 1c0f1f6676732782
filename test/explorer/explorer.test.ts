import { assert, describe, it } from "@effect/vitest"
import * as Operation from "./Operation.ts"
import * as Scenario from "./Scenario.ts"
import * as Scenarios from "./Scenarios.ts"
import type { Seed } from "./World.ts"

const onRepository = (...operations: readonly [Operation.Operation, Operation.Operation]): Scenario.Scenario => ({
  place: "repository",
  log: "short",
  operations
})

const { amend, commit, createBranch, createTag, reader, tagTip } = Operation

describe("explorer", () => {
  it.each<readonly [Seed, Scenario.Scenario, RegExp]>([
    ["unconditional put", onRepository(createBranch("new"), createTag("new")), /no order.* explains/],
    ["lost answer ignored", onRepository(createBranch("new"), createTag("new")), /failed, nothing happened/],
    ["unconditional put", onRepository(amend("main"), tagTip("new")), /no order.* explains/],
    ["interruptible put", onRepository(commit("main"), createTag("new")), /does not know that it has committed/],
    ["stale read", onRepository(commit("main"), reader("main")), /no order.* explains/]
  ])("catches %s, and shows the schedule again", (seed, scenario, problem) => {
    const { failures } = Scenario.explore(scenario, { seed })
    const failure = failures.find(({ problems }) => problem.test(problems.join()))
    assert.isDefined(failure)
    assert.deepStrictEqual(Scenario.replay(scenario, failure.schedule, seed).problems, failure.problems)
    assert.deepStrictEqual(
      Scenario.replay(scenario, failure.schedule.replace(/ [ab]\d+:.*/, "")).trace.length > 0,
      true
    )
  })

  it.each(
    Scenarios.reduced
      .map(({ kinds, scenario }) => [Scenario.nameOf(scenario), scenario, kinds] as const)
      .filter(([name]) => !name.includes("commit.rebase"))
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
