/**
 * What others see of a program: its spans, its log lines, and how it ends.
 */
import { inspect } from "node:util"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Logger from "effect/Logger"
import * as Tracer from "effect/Tracer"

export interface Recording {
  readonly spans: Array<Tracer.NativeSpan>
  readonly tracer: Tracer.Tracer
}

/** A tracer that keeps its spans. */
export const recording = (): Recording => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

/** All texts by which a value may be shown. */
export const shown = (value: unknown): string =>
  [inspect(value, { depth: 20, showHidden: true }), String(value), Inspectable.toStringUnknown(value)].join("\n")

export interface Witness {
  readonly spans: ReadonlyArray<Tracer.NativeSpan>
  /** Keeps what is logged and traced meanwhile. */
  readonly watch: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** All that was told, and how requests have ended. */
  readonly told: (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>) => string
}

export const witness = (): Witness => {
  const { spans, tracer } = recording()
  const logs: Array<string> = []
  const logger = Logger.make((entry) => {
    logs.push(shown(entry.message), Cause.pretty(entry.cause))
  })
  return {
    spans,
    watch: (effect) => effect.pipe(Effect.withTracer(tracer), Effect.provide(Logger.layer([logger]))),
    told: (exits) =>
      [
        ...exits.map(shown),
        ...exits.flatMap((exit) => (Exit.isFailure(exit) ? [Cause.pretty(exit.cause)] : [])),
        ...logs,
        ...spans.map(
          ({ attributes, name, status }) => `${name} ${shown(Object.fromEntries(attributes))} ${shown(status)}`
        )
      ].join("\n")
  }
}

/** Runs requests one after the other, and logs why they fail. */
export const exitsOf = Effect.fnUntraced(function* (requests: ReadonlyArray<Effect.Effect<unknown, unknown>>) {
  const exits: Array<Exit.Exit<unknown, unknown>> = []
  for (const request of requests) {
    const exit = yield* Effect.exit(request)
    exits.push(exit)
    if (Exit.isFailure(exit)) yield* Effect.logError("failed", exit.cause)
  }
  return exits
})

/** Fails with what is around a secret. */
export const assertHidden = (texts: string, secrets: ReadonlyArray<string>): void => {
  for (const secret of secrets) {
    const at = texts.indexOf(secret)
    assert.strictEqual(at < 0 ? "" : texts.slice(Math.max(0, at - 200), at + 50), "")
  }
}
