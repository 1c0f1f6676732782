/**
 * All schedules of a scenario, depth first. Programs cannot be copied, so each schedule is run from its start.
 *
 * Of schedules that differ only in the order of calls that do not touch the same objects one is run (sleep sets:
 * Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996). That holds for calls of one
 * program too, when it has several under way at once. Faults are exchanged only with calls of the other program.
 */
import * as Objects from "./Objects.ts"
import type { Step } from "./World.ts"

/** One run of a scenario. */
export interface Run {
  /** What can be decided now; nothing when it is over. */
  readonly steps: () => ReadonlyArray<Step>
  readonly step: (step: Step) => void
}

interface Frame {
  readonly steps: ReadonlyArray<Step>
  /** Steps that lead to nothing new, because they were tried before what was decided since. */
  readonly asleep: ReadonlyArray<Step>
  at: number
}

const same = (a: Step, b: Step): boolean => a.actor === b.actor && a.number === b.number && a.kind === b.kind

/** Whether the order of two steps that can be decided at once may make a difference. */
const dependent = (a: Step, b: Step): boolean => {
  const faults = (a.kind === "ok" ? 0 : 1) + (b.kind === "ok" ? 0 : 1)
  // A fault ends or changes what its program does, and leaves no room for another one.
  if (faults === 2 || (a.actor === b.actor && (faults === 1 || a.number === b.number))) return true
  return Objects.dependent(a.footprint, b.footprint)
}

const nextAwake = ({ asleep, at, steps }: Frame): number => {
  let next = at + 1
  while (next < steps.length && asleep.some((step) => same(step, steps[next]!))) next++
  return next
}

/** What sleeps after the decision of a frame: what sleeps there and what was tried there, unless it is touched. */
const asleepAfter = ({ asleep, at, steps }: Frame): ReadonlyArray<Step> => {
  const decided = steps[at]!
  return [...asleep, ...steps.slice(0, at)].filter((step) => !dependent(step, decided))
}

/** More decisions than any schedule that ends: programs that try for ever are found by this. */
const longest = 2000

/**
 * Runs all schedules, until `visit` returns `false`. `visit` gets each that was run to its end, with its decisions.
 * Returns how many runs were made, those included that turned out to be repetitions.
 */
export const search = <R extends Run>(
  start: () => R,
  visit: (run: R, schedule: ReadonlyArray<Step>) => boolean
): number => {
  const frames: Array<Frame> = []
  for (let runs = 1; ; runs++) {
    const run = start()
    for (const { at, steps } of frames) run.step(steps[at]!)
    let isNew = true
    for (let steps = run.steps(); steps.length > 0; steps = run.steps()) {
      const before = frames.at(-1)
      const frame: Frame = { steps, asleep: before === undefined ? [] : asleepAfter(before), at: -1 }
      frame.at = nextAwake(frame)
      if (frame.at === steps.length) {
        isNew = false
        break
      }
      frames.push(frame)
      run.step(steps[frame.at]!)
      if (frames.length > longest) throw new Error("A schedule does not end.")
    }
    if (
      isNew &&
      !visit(
        run,
        frames.map(({ at, steps }) => steps[at]!)
      )
    )
      return runs
    for (;;) {
      const last = frames.at(-1)
      if (last === undefined) return runs
      last.at = nextAwake(last)
      if (last.at < last.steps.length) break
      frames.pop()
    }
  }
}
