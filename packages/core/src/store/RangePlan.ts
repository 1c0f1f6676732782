/**
 * Which requests to make for many ranges of one object. Pure.
 *
 * Adjacent and overlapping ranges are always read together; ranges with a gap between them when the gap
 * is small enough to be cheaper than another request, the smallest gaps first. What is read together is then cut again
 * where parts side by side are there sooner.
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
  /**
   * Largest gap that is read along. Default: what costs as much time as another request would, by what was seen of the
   * store, see `RequestCost`; 64 KiB where nothing is known of it.
   */
  readonly maxGap?: number | undefined
  /** Largest share of a request that may be gap (default 0.8: at most five times what is wanted is read). */
  readonly maxOverRead?: number | undefined
  /** Largest request that is made by merging (default 16 MiB); a larger single range is read whole. */
  readonly maxRequest?: number | undefined
  /**
   * Requests into which what is read at once is cut, about, when fewer of them would be slower (default: what was seen of the
   * store, see `RequestCost`; 1 where nothing is known of it, and on local files). Never cuts a range.
   */
  readonly parallel?: number | undefined
  /** The smallest request that is made by cutting (default: what was seen of the store; 1 MiB where nothing is known of it). */
  readonly minPart?: number | undefined
  /** Bytes that may be asked for at once (default: unbounded): so many are divided among the `parallel` requests. */
  readonly maxBytesInFlight?: number | undefined
}

/**
 * One request and the positions in the input of the ranges that it serves, in ascending order of their starts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group extends Span {
  readonly members: ReadonlyArray<number>
}

/**
 * The largest request that is made by merging, unless an option says otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultMaxRequest: number = 16 * 1024 * 1024

/** The smallest request that is made by cutting, unless an option says otherwise. */
const defaultMinPart = 1024 * 1024

/** Ranges without a gap between them: those at positions `from` to before `to` in the order of their starts. */
interface Run {
  readonly start: number
  end: number
  readonly from: number
  to: number
  /** Bytes that no range wants. */
  gaps: number
}

/** The ranges that touch each other, together up to a size; overlapping ones together whatever their size. */
const runsOf = (ranges: ReadonlyArray<Span>, order: Uint32Array, maxRequest: number): Array<Run> => {
  const runs: Array<Run> = []
  const limits = sizesOfParts(ranges, order, maxRequest)
  let stretch = -1
  let reached = Number.NEGATIVE_INFINITY
  let last: Run | undefined
  for (let i = 0; i < order.length; i++) {
    const { end, start } = ranges[order[i]!]!
    if (start > reached) stretch++
    if (
      last !== undefined &&
      (start < last.end || (start === last.end && Math.max(end, last.end) - last.start <= limits[stretch]!))
    ) {
      last.end = Math.max(last.end, end)
      last.to = i + 1
    } else {
      last = { start, end, from: i, to: i + 1, gaps: 0 }
      runs.push(last)
    }
    reached = Math.max(reached, end)
  }
  return runs
}

/** For each stretch without a gap, how large its requests are made: about the same size, that they end together. */
const sizesOfParts = (ranges: ReadonlyArray<Span>, order: Uint32Array, maxRequest: number): Array<number> => {
  const sizes: Array<number> = []
  let start = 0
  let end = Number.NEGATIVE_INFINITY
  let largest = 0
  const close = (): void => {
    if (end === Number.NEGATIVE_INFINITY) return
    const parts = Math.ceil((end - start) / maxRequest)
    sizes.push(parts <= 1 ? maxRequest : Math.min(maxRequest, Math.ceil((end - start) / parts) + largest))
  }
  for (const i of order) {
    const range = ranges[i]!
    if (range.start > end) {
      close()
      start = range.start
      largest = 0
    }
    end = Math.max(end, range.end)
    largest = Math.max(largest, range.end - range.start)
  }
  close()
  return sizes
}

/** The positions of the ranges by their starts, and of those with the same start by their ends. */
const inOrder = (ranges: ReadonlyArray<Span>): Uint32Array => {
  const starts = Float64Array.from(ranges, ({ start }) => start)
  const order = Uint32Array.from(ranges, (_, i) => i)
  const compare = (a: number, b: number): number => starts[a]! - starts[b]! || ranges[a]!.end - ranges[b]!.end
  for (let i = 1; i < order.length; i++) if (compare(i - 1, i) > 0) return order.toSorted(compare)
  return order
}

/**
 * Groups of ranges, each to be read with one request, in ascending order.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plan = (ranges: ReadonlyArray<Span>, options?: Options): ReadonlyArray<Group> => {
  const maxGap = options?.maxGap ?? 64 * 1024
  const maxOverRead = options?.maxOverRead ?? 0.8
  const maxRequest = options?.maxRequest ?? defaultMaxRequest
  const [only] = ranges
  if (only === undefined) return []
  if (ranges.length === 1) return [{ start: only.start, end: only.end, members: [0] }]
  const order = inOrder(ranges)
  const runs = runsOf(ranges, order, maxRequest)
  // The head of the run that one was merged into, itself for a head.
  const heads = Uint32Array.from(runs, (_, i) => i)
  const headOf = (run: number): number => {
    while (heads[run] !== run) run = heads[run] = heads[heads[run]!]!
    return run
  }
  const gapAfter = (run: number): number => runs[run + 1]!.start - runs[run]!.end
  const gaps = Float64Array.from({ length: runs.length - 1 }, (_, run) => gapAfter(run))
  const candidates: Array<number> = []
  for (let run = 0; run < gaps.length; run++) if (gaps[run]! > 0 && gaps[run]! <= maxGap) candidates.push(run)
  for (const run of candidates.toSorted((a, b) => gaps[a]! - gaps[b]!)) {
    const before = runs[headOf(run)]!
    const after = runs[run + 1]!
    const size = after.end - before.start
    const overRead = before.gaps + gaps[run]! + after.gaps
    if (size > maxRequest || overRead > maxOverRead * size) continue
    before.end = after.end
    before.to = after.to
    before.gaps = overRead
    heads[run + 1] = headOf(run)
  }
  const groups: Array<Group> = []
  for (const [i, { end, from, start, to }] of runs.entries()) {
    if (heads[i] === i) groups.push({ start, end, members: Array.from(order.subarray(from, to)) })
  }
  return cut(ranges, groups, options)
}

/** Cuts large groups, so that about as many requests as help are under way at once, each with a share of what may be. */
const cut = (
  ranges: ReadonlyArray<Span>,
  groups: ReadonlyArray<Group>,
  options: Options | undefined
): ReadonlyArray<Group> => {
  const parallel = options?.parallel ?? 1
  if (!(parallel > 1)) return groups
  const minPart = Math.max(1, options?.minPart ?? defaultMinPart)
  const bytes = groups.reduce((sum, { end, start }) => sum + end - start, 0)
  const fair = Math.min(bytes, options?.maxBytesInFlight ?? bytes) / parallel
  return groups.flatMap((group) => {
    const size = group.end - group.start
    const parts = Math.min(Math.round(size / fair), Math.floor(size / minPart))
    return !(parts > 1) ? [group] : cutInto(ranges, group, parts, minPart)
  })
}

/** Cuts a group between ranges, into so many parts of about the same size, or fewer where ranges are large. */
const cutInto = (
  ranges: ReadonlyArray<Span>,
  { end, members, start }: Group,
  count: number,
  minPart: number
): ReadonlyArray<Group> => {
  const size = (end - start) / count
  const parts: Array<Group> = []
  let part = { start, end: start, from: 0 }
  for (const [i, member] of members.entries()) {
    const range = ranges[member]!
    const reached = part.end - part.start
    const next = range.end - part.start
    // As near to the size as ranges allow, and what is left is worth a request.
    const isNearest = reached + next >= 2 * size
    const isBetween = i > 0 && range.start >= part.end
    if (isBetween && isNearest && reached >= minPart && end - range.start >= minPart && parts.length < count - 1) {
      parts.push({ start: part.start, end: part.end, members: members.slice(part.from, i) })
      part = { start: range.start, end: range.end, from: i }
    } else part.end = Math.max(part.end, range.end)
  }
  parts.push({ start: part.start, end, members: members.slice(part.from) })
  return parts
}
