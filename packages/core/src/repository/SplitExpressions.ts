/**
 * The regular expressions in rules of manifest splitting and preloading. They are data that anybody with access to the
 * repository may have written, so they run on an engine whose time is linear in the text, whatever the
 * expression; it is loaded only where there are rules with expressions.
 *
 * Icechunk writes them for Rust's `regex`, whose syntax is RE2's but for details: classes such as `\d` are
 * ASCII here, and set operations inside of brackets are not known.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PreloadCondition } from "../values/IcechunkSettings.ts"
import * as Config from "../values/RepositoryConfig.ts"

/**
 * The compiled expressions of a configuration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Expressions {
  /** Whether an expression of the configuration occurs in a text. One that cannot be compiled occurs in none. */
  readonly occurs: (expression: string, text: string) => boolean
}

/** Longer expressions are not compiled: what one costs is its length times that of the text. */
const maxLength = 1000

function* inCondition(condition: Config.SplitCondition): Generator<string> {
  if (condition === "any_array") return
  if ("path_matches" in condition) yield condition.path_matches.regex
  else if ("name_matches" in condition) yield condition.name_matches.regex
  else for (const one of "or" in condition ? condition.or : condition.and) yield* inCondition(one)
}

/**
 * The expressions in a condition of preloading.
 *
 * @category accessors
 * @since 0.1.0
 */
export function* inPreload(condition: PreloadCondition): Generator<string> {
  if (typeof condition === "string" || "num_refs" in condition) return
  if ("path_matches" in condition) yield condition.path_matches.regex
  else if ("name_matches" in condition) yield condition.name_matches.regex
  else for (const one of "or" in condition ? condition.or : condition.and) yield* inPreload(one)
}

function* expressionsOf(config: Config.RepositoryConfig): Generator<string> {
  for (const [condition, dimensions] of config.manifest?.splitting?.split_sizes ?? []) {
    yield* inCondition(condition)
    for (const { condition } of dimensions) {
      if (condition !== "Any" && "DimensionName" in condition) yield condition.DimensionName
    }
  }
}

interface Compiled {
  readonly find: (text: string) => boolean
}

/** Each expression, compiled, or a sentence that says why it is not. */
const compile = /*#__PURE__*/ Effect.fnUntraced(function* (
  expressions: Iterable<string>
): Effect.fn.Return<ReadonlyMap<string, Compiled | string>> {
  const compiled = new Map<string, Compiled | string>()
  const wanted = new Set(expressions)
  if (wanted.size === 0) return compiled
  const { RE2JS, RE2JSException } = yield* Effect.promise(() => import("re2js"))
  for (const expression of wanted) {
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

/**
 * The expressions of the rules of splitting, ready to be used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = (config: Config.RepositoryConfig): Effect.Effect<Expressions> => compileAll(expressionsOf(config))

/**
 * Some expressions, ready to be used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compileAll = (expressions: Iterable<string>): Effect.Effect<Expressions> =>
  Effect.map(compile(expressions), (compiled) => ({
    occurs: (expression, text) => {
      const one = compiled.get(expression)
      return one !== undefined && typeof one !== "string" && one.find(text)
    }
  }))

/**
 * Fails with `InvalidConfig` when an expression of a configuration cannot be compiled. Read configurations may
 * have such expressions; what is written must not.
 *
 * @category predicates
 * @since 0.1.0
 */
export const check = /*#__PURE__*/ Effect.fnUntraced(function* (
  source: string,
  config: Config.RepositoryConfig
): Effect.fn.Return<void, Config.InvalidConfig> {
  const fields = [
    ["manifest.splitting.split_sizes", expressionsOf(config)],
    ["manifest.preload.preload_if", inPreload(config.manifest?.preload?.preload_if ?? "false")]
  ] as const
  for (const [field, expressions] of fields) {
    for (const [expression, problem] of yield* compile(expressions)) {
      if (typeof problem !== "string") continue
      return yield* new Config.InvalidConfig({
        source,
        field,
        problem: `\`${expression.slice(0, 100)}\` is not a regular expression in the syntax of RE2: ${problem}`
      })
    }
  }
})
