/**
 * Repeating what failed, at no cost for what succeeds: a schedule takes longer to make than most requests take the processor.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

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
