/**
 * A body that answers several ranges, divided among those who wait for them. Pure.
 *
 * @since 0.1.0
 */
import type { Span } from "../values/ByteRange.ts"

/** A view keeps its whole body in memory: at most this many times its own bytes. */
const mostKept = 8

/** Readers of numbers make their typed arrays over what they get, which needs this alignment in the buffer. */
const alignment = 8

/**
 * The bytes of each range; `undefined` for those that nobody waits for any more. Ranges are in ascending order of their
 * starts, and `body` begins at position `base`.
 *
 * Each part is its owner's, to change at will: a part that shares bytes with another is a copy. A small part of a large body
 * is one too, so that it does not keep the body in memory, and so is a part that numbers could not be read from in place.
 * The others are views of the one buffer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const divide = (
  body: Uint8Array,
  base: number,
  ranges: ReadonlyArray<Span>,
  isWanted: (range: number) => boolean
): Array<Uint8Array | undefined> => {
  if (ranges.length === 1) return [isWanted(0) ? body : undefined]
  const parts: Array<Uint8Array | undefined> = []
  let reached = Number.NEGATIVE_INFINITY
  for (let i = 0; i < ranges.length; i++) {
    const { end, start } = ranges[i]!
    const isAlone = start >= reached && !(i + 1 < ranges.length && ranges[i + 1]!.start < end)
    reached = Math.max(reached, end)
    if (!isWanted(i)) {
      parts.push(undefined)
      continue
    }
    const view = body.subarray(start - base, end - base)
    const isView =
      isAlone && view.length * mostKept >= body.buffer.byteLength && view.byteOffset % alignment === 0 && end > start
    parts.push(isView ? view : new Uint8Array(view))
  }
  return parts
}
