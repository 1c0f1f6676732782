/**
 * What a request to a store costs, from what was seen of it. Pure.
 *
 * A request waits for its first byte, and then its bytes come as fast as they do. Requests wait side by side, as many as
 * the store takes at once, so that one more among many costs only its share of the wait, or what the program itself has to
 * do for it, whichever is more. Bytes come through one line, whatever the requests that they are of.
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
}

/**
 * What is assumed of a store before any request: 20 ms, and 200 MB in a second.
 *
 * @category constants
 * @since 0.1.0
 */
export const initial: RequestCost = { latency: 20, throughput: 200_000 }

/** Milliseconds that a request costs the program itself. */
const ownCost = 0.3

/** An answer of fewer bytes says nothing of the throughput, a longer one little of the latency. */
const decisiveBytes = 256 * 1024

/** Share of a new observation in the estimate. */
const share = 0.2

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
  const seen = bounded((bytes * Math.max(1, underWay)) / Math.max(0.01, milliseconds - latency), 100, 5_000_000)
  return { latency, throughput: cost.throughput + share * (seen - cost.throughput) }
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
