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
  /** Whether others have been met lately: then it is worth while to look before anything is written. */
  readonly isContended: () => boolean
  /** Another writer was faster than an attempt that took so many milliseconds. */
  readonly lost: (took: number) => void
  /** An attempt has succeeded, the first one (`atOnce`) or a later one. */
  readonly won: (atOnce: boolean) => void
}

/** The longest wait of all, in milliseconds. */
const longest = 4000

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (randomShare: Effect.Effect<number>): Pace => {
  let window = 0
  /** A wait that is no longer than an attempt changes nothing. */
  let least = 0
  return {
    wait: Effect.suspend(() =>
      window === 0 ? Effect.void : Effect.flatMap(randomShare, (share) => Effect.sleep(share * window))
    ),
    isContended: () => window > 0,
    lost: (took) => {
      least = 2 * took
      window = Math.min(longest, Math.max(least, 2 * window))
    },
    won: (atOnce) => {
      // Less than a millisecond is no wait: an attempt may take none.
      if (atOnce) window = window <= Math.max(least, 1) ? 0 : window / 2
    }
  }
}
