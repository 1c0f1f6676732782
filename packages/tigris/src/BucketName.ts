/**
 * Names of buckets. They are shared by all users of Tigris. Pure.
 *
 * Source: Tigris documentation, "Bucket naming rules".
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A text that cannot be the name of a bucket.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidBucketName extends Schema.TaggedError<InvalidBucketName>()("InvalidBucketName", {
  name: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `\`${this.name}\` is not the name of a bucket: it ${this.problem}. Names have 3 to 63 lower-case letters, digits, \`-\` and \`.\`, and begin and end with a letter or digit.`
  }
}

/**
 * What is wrong with a name, to follow "it", or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (name: string): string | undefined => {
  if (name.length < 3) return "has fewer than 3 characters"
  if (name.length > 63) return `has ${name.length} characters, more than 63`
  const odd = /[^a-z0-9.-]/u.exec(name)
  if (odd !== null) return `contains ${JSON.stringify(odd[0])}`
  if (!/^[a-z0-9]/.test(name)) return `begins with \`${name[0]}\``
  if (!/[a-z0-9]$/.test(name)) return `ends with \`${name.at(-1)}\``
  if (name.includes("..")) return "contains `..`"
  if (name.startsWith("xn--")) return "begins with `xn--`, which is reserved"
  if (name.endsWith("-s3alias")) return "ends with `-s3alias`, which is reserved"
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name)) return "is an IP address"
  return undefined
}

/**
 * Fails with `InvalidBucketName` unless the text can be a bucket's name.
 *
 * @category combinators
 * @since 0.1.0
 */
export const validate = (name: string): Effect.Effect<void, InvalidBucketName> => {
  const found = problem(name)
  return found === undefined ? Effect.void : Effect.fail(new InvalidBucketName({ name, problem: found }))
}
