/**
 * Repeating what failed, at no cost for what succeeds: a schedule takes longer to make than most requests take the processor.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** The longest `Retry-After` that is waited for, in milliseconds. */
const maxRetryAfter = 30_000

/**
 * `Retry-After`, seconds or a date (RFC 9110, section 10.2.3), in milliseconds from `now`. Pure.
 *
 * @category parsing
 * @since 0.1.0
 */
export const retryAfter = (header: string | null | undefined, now: number): number | undefined => {
  if (header === null || header === undefined) return undefined
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(wait) && wait > 0 ? wait : undefined
}

/**
 * Delays that grow exponentially up to a longest one, jittered by a fifth, and are at least what the store has asked for, in
 * milliseconds, up to 30 seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const delays = <E>(options: {
  readonly firstDelay: Duration.Input
  readonly maxDelay: Duration.Input
  readonly asked?: ((failure: E) => number | undefined) | undefined
}): Schedule.Schedule<Duration.Duration, E> => {
  const longest = Duration.fromInputUnsafe(options.maxDelay)
  return Schedule.exponential(Duration.fromInputUnsafe(options.firstDelay)).pipe(
    Schedule.setInputType<E>(),
    Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longest))),
    Schedule.jittered,
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.succeed(Duration.max(duration, Duration.millis(Math.min(maxRetryAfter, options.asked?.(input) ?? 0))))
    )
  )
}

/**
 * Runs an effect, and hands it to `repeat` when it fails: the first run there fails at once with the same failure, so that
 * a schedule sees what it would have seen.
 *
 * @category combinators
 * @since 0.1.0
 */
export const afterFailure = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  repeat: (effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.catch(effect, (failure) => {
    let isFirst = true
    return repeat(
      Effect.suspend(() => {
        if (!isFirst) return effect
        isFirst = false
        return Effect.fail(failure)
      })
    )
  })
