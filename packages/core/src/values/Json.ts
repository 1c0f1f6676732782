/**
 * JSON values, as metadata and configuration hold them.
 *
 * @since 0.1.0
 */

/**
 * Any JSON value.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

/**
 * A JSON object.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonObject {
  readonly [key: string]: Json
}

/**
 * How deep values may be nested, when read and when written.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxDepth = 128

/**
 * Whether a value is an object with fields: no list and not null.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * Text that is equal for equal JSON, whatever the order of fields; fields that are `undefined` count as absent.
 *
 * @category formatting
 * @since 0.1.0
 */
export const canonical = (json: unknown): string =>
  JSON.stringify(json, (_, value: unknown) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value
  ) ?? ""

/**
 * A sentence that says why `value` cannot be stored as JSON, or `undefined`: it is nested too deep, is no JSON,
 * or has a key with the character U+0000, which ends a key of a flexbuffer. Fields that are `undefined` are left
 * out when it is stored, and so are no problem.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (value: unknown, depth = 0): string | undefined => {
  if (value === null || typeof value === "boolean" || typeof value === "string" || typeof value === "number") {
    return undefined
  }
  if (typeof value !== "object") return `it has a value of type \`${typeof value}\`, which is not JSON`
  if (depth >= maxDepth) return `its values are nested deeper than ${maxDepth}`
  for (const [key, item] of Object.entries(value)) {
    if (key.includes("\0")) return "it has a key with the character U+0000"
    const inner = item === undefined ? undefined : problem(item, depth + 1)
    if (inner !== undefined) return inner
  }
  return undefined
}
