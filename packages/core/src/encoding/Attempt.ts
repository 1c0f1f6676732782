/**
 * What may throw a `FormatError`, apart from the readers of files that do: it is needed without them, too.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { FormatError } from "./FormatError.ts"

/**
 * Turns a `FormatError` that `f` throws into a failure. Anything else that it throws is a bug and passes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const attempt = <A>(f: () => A): Result.Result<A, FormatError> => {
  try {
    return Result.succeed(f())
  } catch (error) {
    if (error instanceof FormatError) return Result.fail(error)
    throw error
  }
}
