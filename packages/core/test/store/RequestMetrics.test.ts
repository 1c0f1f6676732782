import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as RequestMetrics from "@effect-icechunk/core/RequestMetrics"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { RequestGate } from "../../src/store/RequestGate.ts"

/** Counts by name, and by operation for requests, of the store with a description. */
const counts = (description: string) =>
  Effect.map(Metric.snapshot, (metrics) =>
    Object.fromEntries(
      metrics.flatMap(({ attributes, id, state }) =>
        attributes?.["store"] === description
          ? [[[id, attributes["operation"]].filter(Boolean).join(" "), (state as { readonly count: number }).count]]
          : []
      )
    )
  )

const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

describe("RequestMetrics", () => {
  it.effect("count the requests to a store and what came, each store apart", () =>
    Effect.gen(function* () {
      const make = (description: string) => Effect.map(MemoryObjectStore.make({ description }), RequestMetrics.counted)
      const [store, other] = yield* Effect.all([make("memory://one"), make("memory://two")])
      yield* store.put("a", new Uint8Array(100))
      yield* store.get("a")
      yield* store.get("a", { range: { _tag: "Bounded", offset: 0, length: 10 } })
      yield* Effect.ignore(store.get("a", { range: { _tag: "Bounded", offset: 95, length: 10 } }))
      yield* store.head("a")
      yield* Stream.runDrain(store.list(""))
      yield* store.copy("a", "b")
      yield* store.delete(["a"])
      yield* Effect.ignore(other.head("a"))
      assert.deepStrictEqual(yield* counts("memory://one"), {
        "icechunk_requests put": 1,
        "icechunk_requests get": 3,
        icechunk_bytes_received: 110,
        icechunk_bytes_asked: 20,
        "icechunk_requests head": 1,
        "icechunk_requests list": 1,
        "icechunk_requests copy": 1,
        "icechunk_requests delete": 1
      })
      assert.deepStrictEqual(yield* counts("memory://two"), { "icechunk_requests head": 1 })
    }).pipe(apart)
  )

  it.effect("count nothing twice", () =>
    Effect.gen(function* () {
      const plain = yield* MemoryObjectStore.make({ description: "memory://once" })
      const store: ObjectStore.ObjectStoreShape = RequestMetrics.counted(RequestMetrics.counted(plain))
      assert.strictEqual(store, RequestMetrics.counted(plain))
      yield* store.list("").pipe(Stream.runDrain)
      assert.deepStrictEqual(yield* counts("memory://once"), { "icechunk_requests list": 1 })
    }).pipe(apart)
  )

  it.effect("say how long requests waited for a place", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ description: "memory://crowded" })
      const gate = new RequestGate({ requests: 1, bytes: 100 })
      const one = gate.through(gate.lane(store), 1, Effect.yieldNow)
      yield* one
      assert.deepStrictEqual(yield* counts("memory://crowded"), {})
      yield* Effect.all([one, one], { concurrency: 2 })
      const { icechunk_seconds_waited: waited } = yield* counts("memory://crowded")
      assert.isAbove(waited!, 0)
    }).pipe(apart)
  )
})
