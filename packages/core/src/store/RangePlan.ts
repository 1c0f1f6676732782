/**
 * Which requests to make for many ranges of one object. Pure.
 *
 * Adjacent and overlapping ranges are always read together; ranges with a gap between them when the gap
 * is small enough to be cheaper than another request.
 *
 * @since 0.1.0
 */
import type { Span } from "../values/ByteRange.ts"

/**
 * Bounds of the plan, in bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Largest gap that is read along (default 64 KiB). */
  readonly maxGap?: number | undefined
  /** Largest share of a request that may be gap (default 0.5). */
  readonly maxOverRead?: number | undefined
  /** Largest request that is made by merging (default 16 MiB); a larger single range is read whole. */
  readonly maxRequest?: number | undefined
}

/**
 * One request and the positions in the input of the ranges that it serves.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group extends Span {
  readonly members: ReadonlyArray<number>
}

/**
 * Groups of ranges, each to be read with one request, in ascending order.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plan = (ranges: ReadonlyArray<Span>, options?: Options): ReadonlyArray<Group> => {
  const maxGap = options?.maxGap ?? 64 * 1024
  const maxOverRead = options?.maxOverRead ?? 0.5
  const maxRequest = options?.maxRequest ?? 16 * 1024 * 1024
  const order = ranges
    .map((_, i) => i)
    .toSorted((a, b) => ranges[a]!.start - ranges[b]!.start || ranges[a]!.end - ranges[b]!.end)
  const groups: Array<{ start: number; end: number; wanted: number; readonly members: Array<number> }> = []
  for (const member of order) {
    const { end, start } = ranges[member]!
    const last = groups.at(-1)
    if (last !== undefined) {
      const gap = start - last.end
      const merged = Math.max(end, last.end) - last.start
      const wanted = last.wanted + Math.max(0, end - Math.max(start, last.end))
      if (
        gap < 0 ||
        (merged <= maxRequest && (gap === 0 || (gap <= maxGap && merged - wanted <= maxOverRead * merged)))
      ) {
        last.end = Math.max(last.end, end)
        last.wanted = wanted
        last.members.push(member)
        continue
      }
    }
    groups.push({ start, end, wanted: end - start, members: [member] })
  }
  return groups.map(({ end, members, start }) => ({ start, end, members }))
}
