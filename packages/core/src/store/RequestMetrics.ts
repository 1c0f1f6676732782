/**
 * Counts of the requests to each store, as metrics with the attribute `store`. They count what the library asks a store for;
 * what a store repeats of its own accord is in its spans.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Lately } from "../values/Lately.ts"
import * as Stream from "effect/Stream"
import type { ObjectStoreShape } from "./ObjectStore.ts"
import type { Operation } from "./ObjectStoreError.ts"

/**
 * Names of the metrics. All are counters; that of requests has the attribute `operation`, too.
 *
 * @category constants
 * @since 0.1.0
 */
export const names = {
  requests: "icechunk_requests",
  bytesAsked: "icechunk_bytes_asked",
  bytesReceived: "icechunk_bytes_received",
  rangesMerged: "icechunk_ranges_merged",
  secondsWaited: "icechunk_seconds_waited"
} as const

/**
 * The metrics of one store.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreMetrics {
  /** Requests, by operation. */
  readonly requests: Readonly<Record<Operation, Metric.Counter<number>>>
  /** Bytes that ranges were asked for, what is read along between them included. */
  readonly bytesAsked: Metric.Counter<number>
  /** Bytes that came. */
  readonly bytesReceived: Metric.Counter<number>
  /** Ranges that were read along with others, and so needed no request of their own. */
  readonly rangesMerged: Metric.Counter<number>
  /** Seconds that requests waited for a place among those that are under way. */
  readonly secondsWaited: Metric.Counter<number>
}

/** Stores whose metrics are kept at hand. */
const maxStores = 1024

const known = /*#__PURE__*/ new Lately<StoreMetrics>(maxStores)

/**
 * The metrics of a store; the same for the same description.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = ({ description: store }: { readonly description: string }): StoreMetrics => {
  let metrics = known.get(store)
  if (metrics === undefined) {
    const counter = (name: string, description: string): Metric.Counter<number> =>
      Metric.counter(name, { description, attributes: { store } })
    const requests = (operation: Operation): Metric.Counter<number> =>
      Metric.counter(names.requests, { description: "Requests", attributes: { store, operation } })
    metrics = {
      requests: {
        get: requests("get"),
        put: requests("put"),
        head: requests("head"),
        list: requests("list"),
        delete: requests("delete"),
        copy: requests("copy")
      },
      bytesAsked: counter(names.bytesAsked, "Bytes of the ranges that were asked for"),
      bytesReceived: counter(names.bytesReceived, "Bytes that came"),
      rangesMerged: counter(names.rangesMerged, "Ranges that were read along with others"),
      secondsWaited: counter(names.secondsWaited, "Seconds that requests waited for a place")
    }
    known.set(store, metrics)
  }
  return metrics
}

const countedStores = new WeakMap<ObjectStoreShape, ObjectStoreShape>()

/**
 * The same store, whose requests are counted. Counting one that is counted changes nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const counted = (store: ObjectStoreShape): ObjectStoreShape => {
  const made = countedStores.get(store)
  if (made !== undefined) return made
  const metrics = of(store)
  const counting =
    (operation: Operation) =>
    <A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.withFiber(({ context }) => {
        metrics.requests[operation].updateUnsafe(1, context)
        return request
      })
  const wrapped: ObjectStoreShape = {
    ...store,
    get: (key, options) =>
      Effect.withFiber(({ context }) => {
        metrics.requests.get.updateUnsafe(1, context)
        if (options?.range?._tag === "Bounded") metrics.bytesAsked.updateUnsafe(options.range.length, context)
        return Effect.map(store.get(key, options), (result) => {
          metrics.bytesReceived.updateUnsafe(result.bytes.length, context)
          return result
        })
      }),
    put: (key, bytes, options) => counting("put")(store.put(key, bytes, options)),
    head: (key) => counting("head")(store.head(key)),
    list: (prefix) => Stream.unwrap(counting("list")(Effect.sync(() => store.list(prefix)))),
    delete: (keys) => counting("delete")(store.delete(keys)),
    copy: (from, to, options) => counting("copy")(store.copy(from, to, options))
  }
  countedStores.set(store, wrapped)
  countedStores.set(wrapped, wrapped)
  return wrapped
}
