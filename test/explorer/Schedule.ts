/**
 * Schedules as text, to be run again: `a0 b0 a1:lost` releases the first call of each program, then loses the
 * answer to the second call of the first one.
 */
import * as Objects from "./Objects.ts"
import type { Event, Step } from "./World.ts"

const letters = "abc"

const printStep = ({ actor, kind, number }: Step): string =>
  `${letters[actor]}${number}${kind === "ok" ? "" : `:${kind}`}`

export const print = (steps: ReadonlyArray<Step>): string => steps.map(printStep).join(" ")

export interface Decision {
  readonly text: string
}

export const parse = (text: string): ReadonlyArray<Decision> =>
  text
    .split(" ")
    .filter((word) => word !== "")
    .map((text) => ({ text }))

export const matches = ({ text }: Decision, step: Step): boolean => printStep(step) === text

/** A line of a trace. */
export const printEvent = (event: Event): string => {
  const { answer, request } = event
  const call = request === undefined ? "sleep" : `${request.op} ${Objects.keyOf(request)}`
  const to = request?.op === "copy" ? ` to ${request.to}` : ""
  const mode = request?.op === "put" && request.options?.mode !== undefined ? ` (${request.options.mode._tag})` : ""
  return `${printStep(event).padEnd(20)} ${call}${to}${mode}: ${answer}`
}
