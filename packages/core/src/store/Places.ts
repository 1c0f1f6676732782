/**
 * How many requests a store has under way at once: each takes a place, further ones wait in line. Thousands may wait:
 * what a place costs does not depend on how many do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Line } from "../values/Line.ts"

/**
 * Places of one store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Places {
  /** Runs an effect in a place of its own; who is interrupted while waiting leaves the line. */
  readonly within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface Waiter {
  readonly resume: (effect: Effect.Effect<void>) => void
}

/**
 * So many places, given in the order in which they are asked for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (count: number): Places => {
  let free = count
  const line = new Line<Waiter>()

  /** A place that becomes free is handed over, so that nobody who comes later gets it. */
  const leave = Effect.sync(() => {
    const next = line.first()
    if (next === undefined) {
      free += 1
      return
    }
    line.delete(next)
    next.resume(Effect.void)
  })

  const wait: Effect.Effect<void> = Effect.suspend(() => {
    let waiter: Waiter | undefined
    return Effect.onInterrupt(
      Effect.callback<void>((resume) => {
        waiter = { resume }
        line.add(waiter)
      }),
      // Who has been handed a place already passes it on.
      () => (waiter === undefined || line.delete(waiter) ? Effect.void : leave)
    )
  })

  return {
    within: (effect) =>
      Effect.uninterruptibleMask((restore) => {
        const taken = restore(effect)
        if (free > 0) {
          free -= 1
          return Effect.onExit(taken, () => leave)
        }
        return Effect.flatMap(restore(wait), () => Effect.onExit(taken, () => leave))
      })
  }
}
