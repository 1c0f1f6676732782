/**
 * The fields of a configuration, from its shape: which are known, and where others are kept. Pure.
 *
 * In a file a field of a later version, or of another program, stands beside the known ones. In memory those are in
 * `additional_fields` of the object that they belong to, so that a mistyped field can be told from one that is meant.
 *
 * @since 0.1.0
 */
import { nearestName } from "./NearestName.ts"
import type { Form, Shape } from "./Shape.ts"

/**
 * The field that holds the fields which this version does not know.
 *
 * @category constants
 * @since 0.1.0
 */
export const additional = "additional_fields"

type Fields = Readonly<Record<string, unknown>>

/**
 * Whether a value is an object with fields: no list and not null.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The shapes that a value may have, none of them a union. */
const alternatives = (shape: Form): ReadonlyArray<Form> => {
  switch (shape._tag) {
    case "Later":
      return alternatives(shape.shape())
    case "Optional":
      return alternatives(shape.shape)
    case "Union":
      return shape.members.flatMap(alternatives)
    default:
      return [shape]
  }
}

/** The known fields of an object; of a union those of all its members. `undefined` where any field may be. */
const knownFields = (shape: Shape): ReadonlyMap<string, Shape> | undefined => {
  const forms = alternatives(shape)
  const objects = forms.filter((form) => form._tag === "Fields")
  if (objects.length === 0 || forms.some(({ _tag }) => _tag === "Record")) return undefined
  return new Map(objects.flatMap(({ fields }) => Object.entries(fields)))
}

/** The shape of the item of a list, or of a tuple, at a position. */
const itemAt = (shape: Shape, index: number): Shape | undefined => {
  for (const form of alternatives(shape)) {
    const item = form._tag === "List" ? form.item : form._tag === "Tuple" ? form.items[index] : undefined
    if (item !== undefined) return item
  }
  return undefined
}

/** A value with `change` applied to every object in it whose fields are known, from the inside out. */
const mapObjects = (
  shape: Shape,
  value: unknown,
  change: (fields: Fields, known: ReadonlyMap<string, Shape>) => Fields
): unknown => {
  if (Array.isArray(value)) {
    return value.map((item: unknown, i) => {
      const inner = itemAt(shape, i)
      return inner === undefined ? item : mapObjects(inner, item, change)
    })
  }
  const known = isFields(value) ? knownFields(shape) : undefined
  if (!isFields(value) || known === undefined) return value
  // Not by assignment: fields may have names of `Object.prototype`.
  const inner = Object.entries(value).map(([name, field]) => {
    const type = known.get(name)
    return [name, type === undefined || name === additional ? field : mapObjects(type, field, change)] as const
  })
  return change(Object.fromEntries(inner), known)
}

/**
 * A value as a file has it, with what the shape does not have in `additional_fields`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromFile = (shape: Shape, value: unknown): unknown =>
  mapObjects(shape, value, (fields, known) => {
    if (!known.has(additional)) return fields
    const isKnown = ([name]: readonly [string, unknown]): boolean => name !== additional && known.has(name)
    const entries = Object.entries(fields)
    const unknown = entries.filter((entry) => !isKnown(entry))
    return unknown.length === 0
      ? fields
      : Object.fromEntries([...entries.filter(isKnown), [additional, Object.fromEntries(unknown)]])
  })

/**
 * A value as a file has it, from one in memory: what is in `additional_fields` stands beside the known fields.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toFile = (shape: Shape, value: unknown): unknown =>
  mapObjects(shape, value, (fields, known) => {
    const others = known.has(additional) ? fields[additional] : undefined
    if (others === undefined) return fields
    const kept = Object.entries(fields).filter(([name]) => name !== additional)
    return Object.fromEntries([...kept, ...(isFields(others) ? Object.entries(others) : [])])
  })

/**
 * A field that should not be where it is, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Misplaced {
  readonly path: ReadonlyArray<string | number>
  readonly problem: string
}

/**
 * The first field of a value in memory that the shape does not have, or that is known and stands in
 * `additional_fields` all the same.
 *
 * @category predicates
 * @since 0.1.0
 */
export const misplaced = (
  shape: Shape,
  value: unknown,
  path: ReadonlyArray<string | number> = []
): Misplaced | undefined => {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const inner = itemAt(shape, i)
      const found = inner === undefined ? undefined : misplaced(inner, item, [...path, i])
      if (found !== undefined) return found
    }
    return undefined
  }
  const known = isFields(value) ? knownFields(shape) : undefined
  if (!isFields(value) || known === undefined) return undefined
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue
    const type = known.get(name)
    if (type === undefined) return { path: [...path, name], problem: unknownProblem(name, known) }
    if (name !== additional) {
      const found = misplaced(type, field, [...path, name])
      if (found !== undefined) return found
    } else if (isFields(field)) {
      const clash = Object.keys(field).find((inner) => inner !== additional && known.has(inner))
      if (clash !== undefined) {
        return {
          path: [...path, name, clash],
          problem: `\`${clash}\` is a known field; set it outside of \`${additional}\``
        }
      }
    }
  }
  return undefined
}

const unknownProblem = (name: string, known: ReadonlyMap<string, unknown>): string => {
  const meant = nearestName(
    snakeCase(name),
    [...known.keys()].filter((field) => field !== additional)
  )
  const guess = meant === undefined ? "" : ` Did you mean \`${meant}\`?`
  const place = known.has(additional)
    ? ` A field that only other versions or programs know goes into \`${additional}\`.`
    : ""
  return `there is no such field.${guess}${place}`
}

/**
 * `bucketPrefix`, `Bucket-Prefix` and `BUCKET_PREFIX` as `bucket_prefix`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const snakeCase = (name: string): string =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/[\s-]+/g, "_")
    .toLowerCase()
