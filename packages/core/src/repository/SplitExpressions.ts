/**
 * The regular expressions in the configuration: in rules of manifest splitting, and where it is written those of
 * preloading too. What compiles them is loaded only where there are some.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Config from "../values/RepositoryConfig.ts"
import type { Compiled } from "./Expressions.ts"

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

function* inCondition(condition: Config.SplitCondition): Generator<string> {
  if (condition === "any_array") return
  if ("path_matches" in condition) yield condition.path_matches.regex
  else if ("name_matches" in condition) yield condition.name_matches.regex
  else for (const one of "or" in condition ? condition.or : condition.and) yield* inCondition(one)
}

function* expressionsOf(config: Config.RepositoryConfig): Generator<string> {
  for (const [condition, dimensions] of config.manifest?.splitting?.split_sizes ?? []) {
    yield* inCondition(condition)
    for (const { condition } of dimensions) {
      if (condition !== "Any" && "DimensionName" in condition) yield condition.DimensionName
    }
  }
}

/** Each expression, compiled, or a sentence that says why it is not. */
const compile = /*#__PURE__*/ Effect.fnUntraced(function* (
  expressions: Iterable<string>
): Effect.fn.Return<ReadonlyMap<string, Compiled | string>> {
  const wanted = new Set(expressions)
  if (wanted.size === 0) return new Map()
  const { compile } = yield* Effect.promise(() => import("./Expressions.ts"))
  return yield* compile(wanted)
})

/**
 * The expressions of the rules of splitting, ready to be used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = (config: Config.RepositoryConfig): Effect.Effect<Expressions> =>
  Effect.map(compile(expressionsOf(config)), (compiled) => ({
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
  const preload = config.manifest?.preload?.preload_if
  const inPreload =
    preload === undefined || preload === null
      ? []
      : (yield* Effect.promise(() => import("./Preload.ts"))).expressionsIn(preload)
  const fields: ReadonlyArray<readonly [field: string, expressions: Iterable<string>]> = [
    ["manifest.splitting.split_sizes", expressionsOf(config)],
    ["manifest.preload.preload_if", inPreload]
  ]
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
