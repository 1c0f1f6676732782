/**
 * What a request to a store costs, from what was seen of it. Pure.
 *
 * A request waits for its first byte, and then its bytes come as fast as they do. Requests wait side by side, as many as
 * the store takes at once, so that one more among many costs only its share of the wait, or what the program itself has to
 * do for it, whichever is more. Bytes come through one line, whatever the requests that they are of; but a store, or a
 * connection over a long way, may send those of one request slower than the line could take them, and then several
 * requests fill it.
 *
 * @since 0.1.0
 */

/**
 * An estimate for one store.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestCost {
  /** Milliseconds to the first byte. */
  readonly latency: number
  /** Bytes in a millisecond, of all requests together. */
  readonly throughput: number
  /** Bytes in a millisecond of a request that has the line for itself. */
  readonly alone: number
  /** Bytes in a millisecond that the line takes when there are requests enough; `undefined` before there were several. */
  readonly line: number | undefined
}

/**
 * What is assumed of a store before any request: 20 ms, and 200 MB in a second, a quarter of them for one request.
 *
 * @category constants
 * @since 0.1.0
 */
export const initial: RequestCost = { latency: 20, throughput: 200_000, alone: 50_000, line: undefined }

/** Milliseconds that a request costs the program itself. */
const ownCost = 0.3

/** An answer of fewer bytes says nothing of the throughput, a longer one little of the latency. */
const decisiveBytes = 256 * 1024

/** Share of a new observation in the estimate. */
const share = 0.2

/** The same of what parts depend on: a large read is rare, and says much. */
const largeShare = 0.5

/** How soon a line is believed to take more again while reads have it for themselves, so that it is tried. */
const forgotten = 0.02

/** Requests that are believed to fill a line before several were seen. */
const few = 4

/** The largest part that is asked for: a longer wait is worth no larger ones. */
const largestPart = 8 * 1024 * 1024

/** Requests side by side that come at this share of the speed of one alone do not fill the line. */
const unhindered = 0.8

/** How much more such a line is believed to take than was seen: it is tried. */
const growth = 1.25

/** Bytes in a millisecond; more is not believed. */
const fastest = 5_000_000

const bounded = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

/**
 * The estimate after one more answer: its bytes, the milliseconds until all of them were there, and the requests to the
 * store that were under way at once, this one among them.
 *
 * A latency is at most what a short answer took: the estimate follows quick answers at once and slow ones, which may have
 * waited for something else, slowly.
 *
 * @category combinators
 * @since 0.1.0
 */
export const observe = (
  cost: RequestCost,
  answer: { readonly bytes: number; readonly milliseconds: number; readonly underWay: number }
): RequestCost => {
  const { bytes, milliseconds, underWay } = answer
  if (!(milliseconds >= 0)) return cost
  if (bytes < decisiveBytes) {
    const latency = Math.min(milliseconds, cost.latency + share * (milliseconds - cost.latency))
    return { ...cost, latency: bounded(latency, 0.01, 10_000) }
  }
  const latency = Math.min(cost.latency, milliseconds / 2)
  const requests = Math.max(1, underWay)
  const own = bytes / Math.max(0.01, milliseconds - latency)
  const together = bounded(own * requests, 100, fastest)
  const throughput = cost.throughput + share * (together - cost.throughput)
  if (requests === 1) {
    const alone = cost.alone + largeShare * (together - cost.alone)
    const line = cost.line === undefined ? undefined : cost.line + forgotten * (few * alone - cost.line)
    return { latency, throughput, alone, line }
  }
  // One of many is no faster than it would be alone.
  const alone = Math.max(cost.alone, Math.min(own, fastest))
  const known = cost.line ?? few * alone
  const line =
    own >= unhindered * alone
      ? Math.max(known, Math.min(fastest, growth * together))
      : known + largeShare * (together - known)
  return { latency, throughput, alone, line }
}

/**
 * Into how many requests a read of many bytes is cut, at most, and how large each is, at least, that the parts side by side
 * are there sooner than the whole. A part is worth its request when its bytes take longer than the wait for the first, and
 * than what the program has to do for the requests.
 *
 * @category combinators
 * @since 0.1.0
 */
export const parts = (
  { alone, latency, line }: RequestCost,
  places: number
): { readonly parallel: number; readonly minPart: number } => {
  const parallel = bounded(Math.round((line ?? few * alone) / alone), 1, Math.max(1, places))
  return { parallel, minPart: Math.min(largestPart, Math.ceil(alone * Math.max(latency, ownCost * parallel))) }
}

/**
 * The largest gap, in bytes, that takes no longer to read along than another request would, where `places` requests are
 * under way at once: from 4 KiB to 256 KiB.
 *
 * @category combinators
 * @since 0.1.0
 */
export const worthwhileGap = ({ latency, throughput }: RequestCost, places: number): number =>
  Math.round(bounded(throughput * Math.max(ownCost, latency / Math.max(1, places)), 4 * 1024, 256 * 1024))

/**
 * The largest such gap in a store whose reads pass no wire (files, memory).
 *
 * @category constants
 * @since 0.1.0
 */
export const localGap: number = 4 * 1024
