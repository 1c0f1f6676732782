/**
 * Sequences of what sessions of two programs do on one branch: commits, with and without rebase, alone and at the same
 * time, and transactions, beside a model in plain maps. A failure prints the commands and a seed that repeats them.
 * `TEST_MODEL_RUNS` says how many sequences are run (default 300).
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { worldInMemory } from "../../packages/core/test/repository/Fixture.ts"
import { commands, runAll } from "./BranchCommands.ts"

const numRuns = Number(process.env["TEST_MODEL_RUNS"] ?? 300)

it.live(
  `sessions on one branch do as the model does, in ${numRuns} sequences`,
  () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.commands(commands, { maxCommands: 30, size: "max" }), (sequence) =>
          Effect.runPromise(Effect.scoped(Effect.flatMap(worldInMemory, (world) => runAll(world, sequence))))
        ),
        { numRuns }
      )
    ),
  3_600_000
)
