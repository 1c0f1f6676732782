/**
 * The names of data types, codecs and chunk key encodings, at Zarr's extension points: which are known, and which are
 * meant to be unknown here. Pure. Source: Zarr 3 core specification, "Extensions", and the registry `zarr-extensions`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Json, JsonObject } from "./Json.ts"
import { nearestName } from "./NearestName.ts"

/**
 * What is wrong, and where: the keys below the value that was looked at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  readonly path: ReadonlyArray<string | number>
  readonly problem: string
}

/**
 * A name with its configuration, as `"float32"` or `{ "name": "gzip", "configuration": { "level": 5 } }` says it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Named {
  readonly name: string
  readonly configuration: JsonObject
  /** Who does not know the name may go on without it. */
  readonly optional: boolean
}

/**
 * Whether a value is an object with fields.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const wrong = (problem: string, ...path: ReadonlyArray<string | number>): Result.Result<never, Problem> =>
  Result.fail({ path, problem })

/**
 * The name and configuration in a value.
 *
 * @category decoding
 * @since 0.1.0
 */
export const named = (value: Json | undefined): Result.Result<Named, Problem> => {
  if (value === undefined) return wrong("it is missing")
  if (typeof value === "string") {
    return value === ""
      ? wrong("a name must not be empty")
      : Result.succeed({ name: value, configuration: {}, optional: false })
  }
  if (!isObject(value)) return wrong("it is neither a name nor an object with a `name`")
  const { configuration = {}, must_understand: mustUnderstand = true, name } = value
  if (typeof name !== "string" || name === "") return wrong("it is not a name", "name")
  if (!isObject(configuration)) return wrong("it is not an object", "configuration")
  if (typeof mustUnderstand !== "boolean") return wrong("it is neither true nor false", "must_understand")
  return Result.succeed({ name, configuration, optional: !mustUnderstand })
}

/**
 * A sentence about a name that nobody knows, unless it is meant as an extension: it has a namespace (`acme.lossy`) or
 * is a URI (`https://acme.example/lossy`), says that it need not be understood, or is one of `extensions`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const unknownProblem = (
  kind: string,
  { name, optional }: Named,
  known: Iterable<string>,
  extensions: ReadonlySet<string>
): string | undefined => {
  if (optional || extensions.has(name) || /[./:]/.test(name)) return undefined
  const meant = nearestName(name, known)
  const guess = meant === undefined ? "" : ` Did you mean \`${meant}\`?`
  return `there is no ${kind} \`${name.slice(0, 100)}\`.${guess} If it is an extension, give it a namespace, as in \`acme.${name.slice(0, 100)}\`, or list it in \`extensions\`.`
}
