/**
 * How long a writer waits before it tries, so that many writers of one object do not waste their work on each other: each
 * lost race doubles the wait, of which a random part is taken, and each commit that meets nobody halves it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/**
 * @category models
 * @since 0.1.0
 */
export interface Pace {
  /** Waits before an attempt. */
  readonly wait: Effect.Effect<void>
  /** Another writer was faster. */
  readonly lost: Effect.Effect<void>
  /** Nobody was met from the first attempt on. */
  readonly met: (others: boolean) => Effect.Effect<void>
}

/** Longest waits after the first lost race, and after any, in milliseconds. */
const first = 25
const longest = 2000

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (randomShare: Effect.Effect<number>): Pace => {
  let window = 0
  return {
    wait: Effect.suspend(() =>
      window === 0 ? Effect.void : Effect.flatMap(randomShare, (share) => Effect.sleep(share * window))
    ),
    lost: Effect.sync(() => {
      window = Math.min(longest, Math.max(first, 2 * window))
    }),
    met: (others) =>
      Effect.sync(() => {
        if (!others) window = window < 2 * first ? 0 : window / 2
      })
  }
}
