/**
 * Regular expressions of a configuration. They are data that anybody with access to the repository may have written, so
 * they run on an engine whose time is linear in the text, whatever the expression. Loaded where there are some.
 *
 * Icechunk writes them for Rust's `regex`, whose syntax is RE2's but for details: classes such as `\d` are
 * ASCII here, and set operations inside of brackets are not known.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/**
 * An expression, ready to be used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compiled {
  readonly find: (text: string) => boolean
}

/** Longer expressions are not compiled: what one costs is its length times that of the text. */
const maxLength = 1000

/**
 * Each expression, compiled, or a sentence that says why it is not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = /*#__PURE__*/ Effect.fnUntraced(function* (
  expressions: ReadonlySet<string>
): Effect.fn.Return<ReadonlyMap<string, Compiled | string>> {
  const compiled = new Map<string, Compiled | string>()
  const { RE2JS, RE2JSException } = yield* Effect.promise(() => import("re2js"))
  for (const expression of expressions) {
    if (expression.length > maxLength) {
      compiled.set(expression, `it has ${expression.length} characters, more than ${maxLength}`)
      continue
    }
    try {
      const pattern = RE2JS.compile(expression)
      compiled.set(expression, { find: (text) => pattern.matcher(text).find() })
    } catch (error) {
      if (!(error instanceof RE2JSException)) throw error
      compiled.set(expression, error.message.replace(/^error parsing regexp: /, ""))
    }
    yield* Effect.yieldNow
  }
  return compiled
})
