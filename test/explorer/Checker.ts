/**
 * Whether one order of the operations explains what they answered and what is there afterwards. Pure.
 */
import * as Model from "./Model.ts"

/**
 * What an operation came to:
 *
 * - `done`: it was acknowledged, with an answer to each of its steps;
 * - `failed`: it failed for a reason that the model knows (a ref that is not there, a conflict);
 * - `nothing`: it failed for a reason outside (the store), and says that nothing has happened;
 * - `unknown`: it was interrupted, or says that it does not know: all, some or none of it may have happened.
 */
export type Outcome =
  | { readonly _tag: "done"; readonly answers: ReadonlyArray<string> }
  | { readonly _tag: "failed"; readonly error: string }
  | { readonly _tag: "nothing" }
  | { readonly _tag: "unknown" }

export interface Operation {
  readonly actions: ReadonlyArray<Model.Action>
  readonly outcome: Outcome
}

/** Which of two operations was over before the other one started; `free` when neither was. */
export type Order = "free" | "first before second" | "second before first"

interface Progress {
  readonly next: number
  readonly memory: Model.Memory
  readonly ended: boolean
}

/** The states after one step of an operation that its outcome allows; `undefined` when there is none. */
const advance = (
  { actions, outcome }: Operation,
  { ended, memory, next }: Progress,
  state: Model.State
): { readonly state: Model.State; readonly progress: Progress } | undefined => {
  const action = actions[next]
  if (action === undefined || ended) return undefined
  const made = action(state, memory)
  const progress = { next: next + 1, memory: made.memory, ended: false }
  switch (outcome._tag) {
    case "nothing":
      return undefined
    case "done":
      return made.answer === outcome.answers[next] ? { state: made.state, progress } : undefined
    case "failed":
      if (made.answer === outcome.error) return { state, progress: { ...progress, ended: true } }
      return !Model.isError(made.answer) && next + 1 < actions.length ? { state: made.state, progress } : undefined
    case "unknown":
      return { state: made.state, progress: { ...progress, ended: Model.isError(made.answer) } }
  }
}

const mayEnd = ({ actions, outcome }: Operation, { ended, next }: Progress): boolean => {
  switch (outcome._tag) {
    case "done":
      return next === actions.length
    case "failed":
      return ended
    default:
      return true
  }
}

/** Whether some order of the steps of two operations leads from one state to the other. */
export const explains = (
  before: Model.State,
  after: Model.State,
  operations: readonly [Operation, Operation],
  order: Order
): boolean => {
  const wanted = Model.print(after)
  const [first, second] = operations
  const search = (state: Model.State, a: Progress, b: Progress): boolean => {
    if (mayEnd(first, a) && mayEnd(second, b) && Model.print(state) === wanted) return true
    if (!(order === "second before first" && !mayEnd(second, b))) {
      const made = advance(first, a, state)
      // What may still happen of the other one, happens before.
      const other = order === "second before first" ? { ...b, ended: true } : b
      if (made !== undefined && search(made.state, made.progress, other)) return true
    }
    if (!(order === "first before second" && !mayEnd(first, a))) {
      const made = advance(second, b, state)
      const other = order === "first before second" ? { ...a, ended: true } : a
      if (made !== undefined && search(made.state, other, made.progress)) return true
    }
    return false
  }
  const start: Progress = { next: 0, memory: undefined, ended: false }
  return search(before, start, start)
}
