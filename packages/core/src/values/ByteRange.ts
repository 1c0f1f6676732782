/**
 * A part of an object, in bytes.
 *
 * Ends are exclusive and offsets count from the first byte, as in zarrita and in Icechunk. The pure
 * functions here turn a requested range into absolute positions once the size of the object is known.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * - `Bounded`: `length` bytes from `offset`;
 * - `From`: everything from `offset` on;
 * - `Suffix`: the last `length` bytes (all of them when the object is shorter).
 *
 * @category models
 * @since 0.1.0
 */
export type ByteRange = Data.TaggedEnum<{
  readonly Bounded: { readonly offset: number; readonly length: number }
  readonly From: { readonly offset: number }
  readonly Suffix: { readonly length: number }
}>

const Range: Data.TaggedEnum.Constructor<ByteRange> = Data.taggedEnum<ByteRange>()

/**
 * `length` bytes from `offset`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bounded = (offset: number, length: number): ByteRange => Range.Bounded({ offset, length })

/**
 * Everything from `offset` to the end of the object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const from = (offset: number): ByteRange => Range.From({ offset })

/**
 * The last `length` bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suffix = (length: number): ByteRange => Range.Suffix({ length })

/**
 * Pattern matching over the three shapes of a range.
 *
 * @category combinators
 * @since 0.1.0
 */
export const match: typeof Range.$match = Range.$match

/**
 * Absolute positions in an object: `start` inclusive, `end` exclusive, both in bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Span {
  readonly start: number
  readonly end: number
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0

/**
 * Whether offset and length are whole, non-negative and exactly representable.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isValid = (range: ByteRange): boolean => {
  switch (range._tag) {
    case "Bounded":
      return isCount(range.offset) && isCount(range.length) && isCount(range.offset + range.length)
    case "From":
      return isCount(range.offset)
    case "Suffix":
      return isCount(range.length)
  }
}

const spanOf = (range: ByteRange, size: number): Span => {
  switch (range._tag) {
    case "Bounded":
      return { start: range.offset, end: range.offset + range.length }
    case "From":
      return { start: range.offset, end: size }
    case "Suffix":
      return { start: Math.max(0, size - range.length), end: size }
  }
}

/**
 * The positions that a range means in an object of `size` bytes, or `undefined` when the range is
 * malformed or reaches past the end. A suffix longer than the object means the whole object
 * (RFC 9110, section 14.1.2); a `Bounded` range must lie inside it, because a short chunk is a damaged
 * chunk.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolve = (range: ByteRange | undefined, size: number): Span | undefined => {
  if (range === undefined) return { start: 0, end: size }
  if (!isValid(range)) return undefined
  const span = spanOf(range, size)
  return span.start <= span.end && span.end <= size ? span : undefined
}

/**
 * The value of an HTTP `Range` header for a range that is not empty (RFC 9110, section 14.1.2).
 *
 * @category combinators
 * @since 0.1.0
 */
export const toHttpHeader: (range: ByteRange) => string = Range.$match({
  Bounded: ({ offset, length }) => `bytes=${offset}-${offset + length - 1}`,
  From: ({ offset }) => `bytes=${offset}-`,
  Suffix: ({ length }) => `bytes=-${length}`
})
