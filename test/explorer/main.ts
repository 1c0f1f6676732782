/**
 * Explores all schedules: `pnpm explore [--only text] [--faults n] [--failures n] [--seed name]`, and one of them
 * again: `pnpm explore --replay <scenario> <schedule>`.
 */
import { parseArgs } from "node:util"
import * as Scenario from "./Scenario.ts"
import * as Scenarios from "./Scenarios.ts"
import type { Seed } from "./World.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "" },
    faults: { type: "string", default: "1" },
    failures: { type: "string", default: "3" },
    seed: { type: "string" },
    replay: { type: "boolean", default: false },
    reduced: { type: "boolean", default: false }
  }
})

const seed = values.seed as Seed | undefined

if (values.replay) {
  const [name = "", ...schedule] = positionals
  const scenario = Scenarios.all.find((scenario) => Scenario.nameOf(scenario) === name)
  if (scenario === undefined) throw new Error(`There is no scenario \`${name}\`.`)
  const { problems, trace } = Scenario.replay(scenario, schedule.join(" "), seed)
  for (const line of trace) console.log(line)
  for (const problem of problems) console.log(`! ${problem}`)
  process.exitCode = problems.length === 0 ? 0 : 1
} else {
  const start = performance.now()
  let schedules = 0
  let runs = 0
  let failed = 0
  for (const scenario of values.reduced ? Scenarios.reduced : Scenarios.all) {
    const name = Scenario.nameOf(scenario)
    if (!name.includes(values.only)) continue
    const begun = performance.now()
    const explored = Scenario.explore(scenario, {
      faults: Number(values.faults),
      failures: Number(values.failures),
      ...(values.reduced ? { kinds: Scenarios.reducedFaults } : {}),
      seed
    })
    schedules += explored.schedules
    runs += explored.runs
    failed += explored.failures.length
    const millis = performance.now() - begun
    console.log(
      `${explored.failures.length === 0 ? "ok  " : "FAIL"} ${name}: ${explored.schedules} schedules (${explored.runs} runs) in ${millis.toFixed(0)} ms`
    )
    for (const { problems, schedule } of explored.failures) {
      console.log(`     --replay '${name}' '${schedule}'`)
      for (const problem of problems) console.log(`       ${problem}`)
    }
  }
  const seconds = (performance.now() - start) / 1000
  console.log(
    `${schedules} schedules (${runs} runs) in ${seconds.toFixed(1)} s, ${(runs / seconds).toFixed(0)} runs a second; ${failed} failures`
  )
  process.exitCode = failed === 0 ? 0 : 1
}
