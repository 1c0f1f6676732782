/**
 * What a reference file says, version 0 and 1, with its templates filled in and its generators run. Pure. Source: kerchunk, "References
 * specification".
 *
 * @since 0.1.0
 */
import { isObject } from "@effect-icechunk/core/values/Json"
import * as Result from "effect/Result"
import type { Json, JsonObject } from "../../Dataset.ts"
import * as Values from "../Values.ts"
import * as Expression from "./Expression.ts"

/** Where a key's bytes are, as it is written. */
type Reference = Json

export interface Options {
  readonly templates: Readonly<Record<string, string>>
  readonly maxGenerated: number
}

export interface References {
  /** Keys and what they refer to; none twice. */
  readonly entries: Iterable<readonly [key: string, reference: Reference]>
  /** A URL with its templates filled in. Throws a `Refused`. */
  readonly url: (written: string) => string
}

type Found<A> = Result.Result<A, string>

const attempt = Expression.attempt

const templatesOf = (given: Json | undefined, overrides: Options["templates"]): Found<Expression.Variables> =>
  Result.gen(function* () {
    if (given !== undefined && !isObject(given)) return yield* Result.fail("its `templates` are not an object")
    const variables = new Map<string, Expression.Value>()
    for (const [name, text] of Object.entries({ ...given, ...overrides })) {
      if (typeof text !== "string") return yield* Result.fail(`its template \`${name}\` is not a text`)
      if (!text.includes("{{")) variables.set(name, text)
      else {
        const call = yield* Result.mapError(
          attempt(() => Expression.compile(text)),
          (problem) => `its template \`${name}\`: ${problem}`
        )
        variables.set(name, { call })
      }
    }
    return variables
  })

/** URLs repeat: those that were filled in lately are kept. */
const filler = (variables: Expression.Variables): ((written: string) => string) => {
  const known = new Map<string, string>()
  return (written) => {
    if (variables.size === 0 || !written.includes("{{")) return written
    const before = known.get(written)
    if (before !== undefined) return before
    const url = Expression.compile(written)(variables)
    if (known.size > 4096) known.clear()
    known.set(written, url)
    return url
  }
}

type Values = ReadonlyArray<bigint | string> | { readonly start: number; readonly step: number; readonly count: number }

const isWhole = (value: Json | undefined): value is number => Number.isSafeInteger(value)

const dimensionOf = (given: Json): Values | undefined => {
  if (Array.isArray(given)) {
    const list = given as ReadonlyArray<Json>
    return list.every((one) => isWhole(one) || typeof one === "string")
      ? list.map((one) => (typeof one === "string" ? one : BigInt(one)))
      : undefined
  }
  if (!isObject(given)) return undefined
  const { start = 0, step = 1, stop } = given
  if (!isWhole(start) || !isWhole(stop) || !isWhole(step) || step === 0) return undefined
  return { start, step, count: Math.max(0, Math.ceil((stop - start) / step)) }
}

const countOf = (values: Values): number => ("count" in values ? values.count : values.length)

const valueAt = (values: Values, i: number): bigint | string =>
  "count" in values ? BigInt(values.start + i * values.step) : values[i]!

interface Generator {
  readonly names: ReadonlyArray<string>
  readonly values: ReadonlyArray<Values>
  readonly count: number
  readonly make: (variables: Expression.Variables) => readonly [string, Reference]
}

const integerOf = (text: string): number => {
  const number = /^\s*[-+]?\d{1,20}\s*$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(number)) throw new Expression.Refused(`\`${text.slice(0, 40)}\` is not an integer`)
  return number
}

const generatorOf = (given: Json, templates: Expression.Variables): Found<Generator> => {
  const { dimensions, key, length, offset, url } = isObject(given) ? given : {}
  if (typeof key !== "string" || typeof url !== "string") return Result.fail("its `key` or `url` is not a text")
  if (!isObject(dimensions)) return Result.fail("its `dimensions` are not an object")
  const part = (value: Json | undefined) => (isWhole(value) ? String(value) : value)
  const [from, size] = [part(offset), part(length)]
  const isRange = typeof from === "string" && typeof size === "string"
  if (!isRange && (from !== undefined || size !== undefined)) {
    return Result.fail("it has one of `offset` and `length`, or they are not texts")
  }
  const values: Array<Values> = []
  for (const [name, one] of Object.entries(dimensions)) {
    if (templates.has(name)) return Result.fail(`its dimension \`${name}\` has the name of a template`)
    const dimension = dimensionOf(one)
    if (dimension === undefined)
      return Result.fail(`its dimension \`${name}\` is neither a range nor a list of integers`)
    values.push(dimension)
  }
  return attempt(() => {
    const [keyOf, urlOf] = [Expression.compile(key), Expression.compile(url)]
    const rangeOf = isRange ? ([Expression.compile(from), Expression.compile(size)] as const) : undefined
    return {
      names: Object.keys(dimensions),
      values,
      count: values.reduce((product, one) => product * countOf(one), 1),
      make: (variables) => [
        keyOf(variables),
        rangeOf === undefined
          ? [urlOf(variables)]
          : [urlOf(variables), integerOf(rangeOf[0](variables)), integerOf(rangeOf[1](variables))]
      ]
    }
  })
}

const generate = (
  { count, make, names, values }: Generator,
  templates: Expression.Variables,
  into: Map<string, Reference>
): void => {
  for (let number = 0; number < count; number++) {
    const own = values.map((): bigint | string => 0n)
    let rest = number
    for (let i = values.length - 1; i >= 0; i--) {
      const length = countOf(values[i]!)
      own[i] = valueAt(values[i]!, rest % length)
      rest = Math.floor(rest / length)
    }
    const variables = new Map(templates)
    for (const [i, name] of names.entries()) variables.set(name, own[i]!)
    const [key, reference] = make(variables)
    into.set(key, reference)
  }
}

/** The entries that are generated, and that count more than those that are written out. */
const generated = (
  given: Json | undefined,
  templates: Expression.Variables,
  { maxGenerated }: Options
): Found<ReadonlyMap<string, Reference>> => {
  const into = new Map<string, Reference>()
  if (given === undefined) return Result.succeed(into)
  if (!Array.isArray(given)) return Result.fail("its `gen` is not a list")
  let total = 0
  for (const [i, one] of (given as ReadonlyArray<Json>).entries()) {
    const generator = generatorOf(one, templates)
    if (Result.isFailure(generator)) return Result.fail(`generator ${i}: ${generator.failure}`)
    total += generator.success.count
    if (!(total <= maxGenerated)) {
      return Result.fail(
        `its generators make more than ${maxGenerated} references; raise \`maxGenerated\` if they should`
      )
    }
    const made = attempt(() => generate(generator.success, templates, into))
    if (Result.isFailure(made)) return Result.fail(`generator ${i}: ${made.failure}`)
  }
  return Result.succeed(into)
}

const merged = function* (refs: JsonObject, over: ReadonlyMap<string, Reference>): Generator_ {
  for (const key of Object.keys(refs)) if (!over.has(key)) yield [key, refs[key]!]
  yield* over
}

type Generator_ = globalThis.Generator<readonly [string, Reference]>

/** What a reference file says. */
export const read = (json: JsonObject, options: Options): Found<References> => {
  const { version } = json
  if (version === undefined) {
    return Result.succeed({ entries: Object.entries(json), url: (written: string) => written })
  }
  if (version !== 1) return Result.fail(`references of version ${Values.shown(version)} are not read`)
  const { gen, refs = {} } = json
  if (!isObject(refs)) return Result.fail("its `refs` are not an object")
  return Result.gen(function* () {
    const templates = yield* templatesOf(json["templates"], options.templates)
    const over = yield* generated(gen, templates, options)
    return {
      entries: over.size === 0 ? Object.entries(refs) : { [Symbol.iterator]: () => merged(refs, over) },
      url: filler(templates)
    }
  })
}
