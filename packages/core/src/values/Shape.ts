/**
 * What JSON that comes from outside must look like, as plain data, and values read by it. A shape says the types, ranges
 * and fields that a configuration or a `zarr.json` may have; `ConfigSchema` makes a schema of it, for programs that want
 * one. Opening a repository reads a configuration, and loading `effect/Schema` for that takes longer than all the rest.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"

/**
 * What a value may be.
 *
 * @category models
 * @since 0.1.0
 */
export type Form =
  | { readonly _tag: "Any" }
  | { readonly _tag: "Text" }
  | { readonly _tag: "Flag" }
  /** A whole number in a range with both ends. */
  | { readonly _tag: "Whole"; readonly least: number; readonly most: number }
  /** One of these values and no other. */
  | { readonly _tag: "OneOf"; readonly values: ReadonlyArray<Literal> }
  | { readonly _tag: "List"; readonly item: Shape }
  /** As many items as there are shapes. */
  | { readonly _tag: "Tuple"; readonly items: ReadonlyArray<Shape> }
  /** An object with these fields. Others are left out when it is read. */
  | { readonly _tag: "Fields"; readonly fields: Readonly<Record<string, Shape>> }
  /** An object with any fields. */
  | { readonly _tag: "Record" }
  /** The first that fits. */
  | { readonly _tag: "Union"; readonly members: ReadonlyArray<Shape> }
  /** A field that may be absent or `undefined`. */
  | { readonly _tag: "Optional"; readonly shape: Shape }
  /** A shape that contains itself. */
  | { readonly _tag: "Later"; readonly shape: () => Shape }

type Literal = string | number | null

/**
 * The shape of values of a type.
 *
 * @category models
 * @since 0.1.0
 */
export type Shape<A = unknown> = Form & { readonly "~type"?: A }

/**
 * The type of the values of a shape.
 *
 * @category models
 * @since 0.1.0
 */
export type TypeOf<S> = S extends { readonly "~type"?: infer A } ? A : never

/** @category constructors @since 0.1.0 */
export const any: Shape = { _tag: "Any" }

/** @category constructors @since 0.1.0 */
export const text: Shape<string> = { _tag: "Text" }

/** @category constructors @since 0.1.0 */
export const flag: Shape<boolean> = { _tag: "Flag" }

/** @category constructors @since 0.1.0 */
export const record: Shape<Readonly<Record<string, unknown>>> = { _tag: "Record" }

/**
 * Whole numbers from `least` to `most`, which is one of the whole numbers that a double holds exactly.
 *
 * @category constructors
 * @since 0.1.0
 */
export const whole = (least: number, most: number = Number.MAX_SAFE_INTEGER): Shape<number> => ({
  _tag: "Whole",
  least,
  most
})

/** @category constructors @since 0.1.0 */
export const oneOf = <const L extends ReadonlyArray<Literal>>(...values: L): Shape<L[number]> => ({
  _tag: "OneOf",
  values
})

/** @category constructors @since 0.1.0 */
export const list = <A>(item: Shape<A>): Shape<ReadonlyArray<A>> => ({ _tag: "List", item })

/** @category constructors @since 0.1.0 */
export const tuple = <const S extends ReadonlyArray<Shape>>(
  ...items: S
): Shape<{ readonly [I in keyof S]: TypeOf<S[I]> }> => ({ _tag: "Tuple", items })

/** @category constructors @since 0.1.0 */
export const union = <S extends ReadonlyArray<Shape>>(...members: S): Shape<TypeOf<S[number]>> => ({
  _tag: "Union",
  members
})

/** @category constructors @since 0.1.0 */
export const optional = <A>(shape: Shape<A>): Optional<A> => ({ _tag: "Optional", shape })

/**
 * The shape of a field that may be absent.
 *
 * @category models
 * @since 0.1.0
 */
export type Optional<A> = Extract<Form, { readonly _tag: "Optional" }> & { readonly "~type"?: A | undefined }

/** @category constructors @since 0.1.0 */
export const nullable = <A>(shape: Shape<A>): Shape<A | null> => union(shape, oneOf(null))

/** @category constructors @since 0.1.0 */
export const later = <A>(shape: () => Shape<A>): Shape<A> => ({ _tag: "Later", shape })

/**
 * The type of an object with these fields.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldsOf<F> = { readonly [K in keyof F as F[K] extends Optional<unknown> ? never : K]: TypeOf<F[K]> } & {
  readonly [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: TypeOf<F[K]>
}

/** @category constructors @since 0.1.0 */
export const fields = <F extends Readonly<Record<string, Shape>>>(fields: F): Shape<FieldsOf<F>> => ({
  _tag: "Fields",
  fields
})

/**
 * Where a value does not fit its shape, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  readonly path: ReadonlyArray<string | number>
  readonly problem: string
}

type Read<A> = Result.Result<A, Problem>

const refuse = (path: Problem["path"], problem: string): Read<never> => Result.fail({ path, problem })

const named = (values: ReadonlyArray<Literal>): string => values.map((value) => `\`${value}\``).join(" or ")

/** What a value must be, to be said after "it is not". */
const expected = (form: Form): string => {
  switch (form._tag) {
    case "Any":
      return "a value"
    case "Text":
      return "a text"
    case "Flag":
      return "`true` or `false`"
    case "Whole":
      return form.most === Number.MAX_SAFE_INTEGER
        ? `a whole number, ${form.least} or more`
        : `a whole number from ${form.least} to ${form.most}`
    case "OneOf":
      return named(form.values)
    case "List":
      return "a list"
    case "Tuple":
      return `a list of ${form.items.length}`
    case "Fields":
      return Object.values(form.fields).some(({ _tag }) => _tag !== "Optional")
        ? `an object with ${Object.entries(form.fields)
            .filter(([, { _tag }]) => _tag !== "Optional")
            .map(([name]) => `\`${name}\``)
            .join(" and ")}`
        : "an object"
    case "Record":
      return "an object"
    case "Union":
      return form.members.map(expected).join(" or ")
    case "Optional":
      return expected(form.shape)
    case "Later":
      return expected(form.shape())
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Items one by one, up to the first that does not fit. */
const items = (values: ReadonlyArray<unknown>, shapeOf: (i: number) => Shape, path: Problem["path"]): Read<unknown> => {
  const read: Array<unknown> = []
  for (const [i, value] of values.entries()) {
    const item = at(shapeOf(i), value, [...path, i])
    if (Result.isFailure(item)) return item
    read.push(item.success)
  }
  return Result.succeed(read)
}

const object = (
  known: Readonly<Record<string, Shape>>,
  value: Readonly<Record<string, unknown>>,
  path: Problem["path"]
): Read<unknown> => {
  const read: Array<readonly [string, unknown]> = []
  for (const [name, shape] of Object.entries(known)) {
    const isOptional = shape._tag === "Optional"
    if (!Object.hasOwn(value, name)) {
      if (!isOptional) return refuse([...path, name], "it is missing")
      continue
    }
    const field = value[name]
    const inner: Read<unknown> =
      isOptional && field === undefined ? Result.succeed(undefined) : at(shape, field, [...path, name])
    if (Result.isFailure(inner)) return inner
    read.push([name, inner.success])
  }
  return Result.succeed(Object.fromEntries(read))
}

/** The problem of the member that fits best, which is the one whose problem lies below the value itself. */
const union_ = (
  form: Extract<Form, { readonly _tag: "Union" }>,
  value: unknown,
  path: Problem["path"]
): Read<unknown> => {
  let inside: Problem | undefined
  for (const member of form.members) {
    const read = at(member, value, path)
    if (Result.isSuccess(read)) return read
    const isInside = read.failure.path.length > path.length && !isMissing(value, read.failure.path[path.length]!)
    if (isInside) inside ??= read.failure
  }
  return inside === undefined ? refuse(path, `it is not ${expected(form)}`) : Result.fail(inside)
}

const isMissing = (value: unknown, field: string | number): boolean =>
  typeof field === "string" && isObject(value) && !Object.hasOwn(value, field)

const at = (shape: Shape, value: unknown, path: Problem["path"]): Read<unknown> => {
  const form: Form = shape
  const fits = (does: boolean): Read<unknown> =>
    does ? Result.succeed(value) : refuse(path, `it is not ${expected(form)}`)
  switch (form._tag) {
    case "Any":
      return Result.succeed(value)
    case "Text":
      return fits(typeof value === "string")
    case "Flag":
      return fits(typeof value === "boolean")
    case "Whole":
      return fits(Number.isSafeInteger(value) && form.least <= (value as number) && (value as number) <= form.most)
    case "OneOf":
      return fits(form.values.some((literal) => literal === value))
    case "List":
      return Array.isArray(value) ? items(value, () => form.item, path) : fits(false)
    case "Tuple":
      return Array.isArray(value) && value.length === form.items.length
        ? items(value, (i) => form.items[i]!, path)
        : fits(false)
    case "Fields":
      return isObject(value) ? object(form.fields, value, path) : fits(false)
    case "Record":
      return isObject(value) ? Result.succeed({ ...value }) : fits(false)
    case "Union":
      return union_(form, value, path)
    case "Optional":
      return at(form.shape, value, path)
    case "Later":
      return at(form.shape(), value, path)
  }
}

/**
 * A value of this shape, or where it does not fit. Objects and lists whose shape is known are copied.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = <A>(shape: Shape<A>, value: unknown): Result.Result<A, Problem> =>
  at(shape, value, []) as Result.Result<A, Problem>
