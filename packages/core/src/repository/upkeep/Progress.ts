/**
 * How far work on a whole repository is.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/**
 * What is being done, how many files it was done to, of how many where that is known, and their bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  readonly phase: "listing" | "reading" | "deleting"
  readonly kind: "snapshots" | "transactionLogs" | "manifests" | "chunks" | "overwritten"
  readonly files: number
  readonly of: number | undefined
  readonly bytes: number
}

/**
 * Options of work that takes its time.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProgressOptions {
  /** Runs now and then; the work waits for it. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * Tells of progress.
 *
 * @category combinators
 * @since 0.1.0
 */
export const tell = (options: ProgressOptions, progress: Progress): Effect.Effect<void> =>
  options.onProgress?.(progress) ?? Effect.void

/**
 * A time limit. It is not over before something was done: so work that is gone on with again and again comes to an end,
 * however short its time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Deadline {
  readonly isOver: Effect.Effect<boolean>
  /** Something was done that will not be done again. */
  readonly progressed: () => void
}

/**
 * A time limit that begins now.
 *
 * @category constructors
 * @since 0.1.0
 */
export const deadline = (limit: Duration.Input | undefined): Effect.Effect<Deadline> => {
  if (limit === undefined) return Effect.succeed({ isOver: Effect.succeed(false), progressed: () => {} })
  const millis = Duration.toMillis(Duration.fromInputUnsafe(limit))
  return Effect.map(Clock.currentTimeMillis, (start): Deadline => {
    let hasProgressed = false
    return {
      isOver: Effect.map(Clock.currentTimeMillis, (now) => hasProgressed && now - start >= millis),
      progressed: () => {
        hasProgressed = true
      }
    }
  })
}
