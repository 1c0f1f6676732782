import { assert, describe, it } from "@effect/vitest"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as ChunkResolver from "@effect-icechunk/core/ChunkResolver"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import type * as Platform from "@effect-icechunk/core/Platform"
import * as RequestMetrics from "@effect-icechunk/core/RequestMetrics"
import type * as RangePlan from "@effect-icechunk/core/RangePlan"
import type * as RequestCost from "../../src/store/RequestCost.ts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { RequestGate } from "../../src/store/RequestGate.ts"
import * as ContainerStores from "../../src/virtual/ContainerStores.ts"
import { ObjectReads } from "../../src/virtual/ObjectReads.ts"

const size = 4000
const object = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) % 251)

/** A request that the store has not answered. */
interface Pending {
  readonly key: string
  readonly start: number
  readonly end: number
  readonly answer: (exit?: Exit.Exit<never, ObjectStoreError.ObjectStoreError>) => void
}

const storeError = (reason: ObjectStoreError.Reason): ObjectStoreError.ObjectStoreError =>
  new ObjectStoreError.ObjectStoreError({ store: "scripted", operation: "get", key: "a", reason })

/** A store that answers when and in the order in which a test wants it to. */
const scripted = (options: { readonly maxConcurrentRequests?: number } = {}) => {
  const pending: Array<Pending> = []
  const log = { asked: [] as Array<readonly [number, number]>, aborted: 0 }
  let etag = '"1"'
  const unused = (): never => assert.fail("only gets are expected")
  const store: ObjectStore.ObjectStoreShape = {
    description: "scripted",
    origin: { platform: "s3" },
    capabilities: {
      conditionalCreate: true,
      conditionalUpdate: true,
      conditionalGet: true,
      metadata: true,
      opaqueKeys: true
    },
    readOnlyBecause: undefined,
    ...options,
    get: (key, get) =>
      Effect.callback((resume) => {
        const range = get?.range
        assert.strictEqual(range?._tag, "Bounded")
        const { length, offset } = range as { readonly length: number; readonly offset: number }
        const request: Pending = {
          key,
          start: offset,
          end: offset + length,
          answer: (exit) => {
            pending.splice(pending.indexOf(request), 1)
            if (exit !== undefined) return resume(exit)
            if (offset + length > size) {
              return resume(Effect.fail(storeError(new ObjectStoreError.InvalidRange({ size }))))
            }
            resume(
              Effect.succeed({
                bytes: object.slice(offset, offset + length),
                span: { start: offset, end: offset + length },
                meta: { key, size, lastModified: 0, version: { etag } }
              })
            )
          }
        }
        pending.push(request)
        log.asked.push([offset, offset + length])
        return Effect.sync(() => {
          log.aborted++
          pending.splice(pending.indexOf(request), 1)
        })
      }),
    put: unused,
    head: unused,
    list: unused,
    delete: unused,
    copy: unused
  }
  const change = (): void => {
    etag = '"2"'
  }
  return { store, pending, log, change }
}

const world = Effect.fnUntraced(function* (options?: {
  readonly plan?: RangePlan.Options
  readonly maxConcurrentRequests?: number
  readonly limits?: { readonly requests: number; readonly bytes: number }
}) {
  const script = scripted(
    options?.maxConcurrentRequests === undefined ? {} : { maxConcurrentRequests: options.maxConcurrentRequests }
  )
  const platform: Platform.Platform = {
    name: "s3",
    defaultRegion: undefined,
    hasBuckets: true,
    sharesCredentials: true,
    open: () => Effect.succeed(script.store)
  }
  const stores = yield* ContainerStores.make({
    platforms: new Map([["s3", platform]]),
    policy: {
      byContainer: {},
      fallback: "same-endpoint",
      repository: { platform: "s3", credentials: Credentials.anonymous }
    }
  })
  const gate = new RequestGate(options?.limits ?? { requests: 256, bytes: 1e9 })
  const reads = new ObjectReads(stores.scope, gate, options?.plan)
  const resolver = ChunkResolver.make({ containers: ContainerMatch.make({}), stores, reads })
  return { ...script, gate, resolver }
})

const settle = Effect.forEach(Array.from({ length: 6 }), () => Effect.yieldNow, { discard: true })

const read = (
  resolver: ChunkResolver.ChunkResolver,
  offset: number,
  length: number,
  options: {
    readonly checks?: ChunkResolver.ChecksumPolicy
    readonly checksum?: Checksum.Checksum
    readonly key?: string
  } = {}
) =>
  resolver.read(
    { location: `s3://bucket/${options.key ?? "a"}`, offset, length, checksum: options.checksum },
    { checks: options.checks ?? "fail" }
  )

const apart = { maxGap: 0 }

/** One of the readers of a script: when it begins and, if so, when it leaves. */
interface Scripted {
  readonly offset: number
  readonly length: number
  readonly begins: number
  readonly leaves: number | undefined
}

const readers: fc.Arbitrary<ReadonlyArray<Scripted>> = fc.array(
  fc.record({
    offset: fc.oneof({ weight: 9, arbitrary: fc.nat({ max: size }) }, { weight: 1, arbitrary: fc.constant(size + 5) }),
    length: fc.integer({ min: 1, max: 300 }),
    begins: fc.nat({ max: 3 }),
    leaves: fc.option(fc.nat({ max: 12 }), { nil: undefined, freq: 3 })
  }),
  { minLength: 1, maxLength: 25 }
)

const plans: fc.Arbitrary<RangePlan.Options> = fc.record({
  maxGap: fc.constantFrom(0, 20, 500),
  maxOverRead: fc.constantFrom(0.5, 0.9),
  maxRequest: fc.constantFrom(100, 800, 1e6),
  parallel: fc.constantFrom(1, 2, 5),
  minPart: fc.constantFrom(1, 100)
})

describe("reads of many ranges at once", () => {
  /** Readers that begin, leave and are answered in the order of a script. */
  const play = Effect.fnUntraced(function* (script: {
    readonly readers: ReadonlyArray<Scripted>
    readonly plan: RangePlan.Options
    readonly places: number
    readonly choices: ReadonlyArray<{ readonly which: number; readonly fails: number }>
  }) {
    const { choices, places, plan, readers } = script

    const { log, pending, resolver } = yield* world({ plan, maxConcurrentRequests: places })
    const failed: Array<readonly [number, number]> = []
    const got = new Map<number, Uint8Array>()
    const fibers = new Map<number, Fiber.Fiber<Uint8Array, ChunkResolver.VirtualReadError>>()
    const left = new Set<number>()
    let most = 0
    for (let step = 0; step < 14 || pending.length > 0; step++) {
      for (const [i, { begins, length, offset }] of readers.entries()) {
        if (begins !== step) continue
        const one = Effect.map(read(resolver, offset, length), (bytes) => {
          assert.deepStrictEqual(Array.from(bytes), Array.from(object.subarray(offset, offset + length)))
          // The bytes are the reader's own: what it does to them changes nobody else's.
          bytes.fill(i)
          got.set(i, bytes)
          return bytes
        })
        fibers.set(i, yield* Effect.forkChild(one))
      }
      yield* settle
      most = Math.max(most, pending.length)
      for (const [i, { leaves }] of readers.entries()) {
        if (leaves !== step || !fibers.has(i) || fibers.get(i)!.pollUnsafe() !== undefined) continue
        left.add(i)
        yield* Fiber.interrupt(fibers.get(i)!)
      }
      yield* settle
      const choice = choices[step % choices.length]!
      const request = pending[choice.which % Math.max(1, pending.length)]
      if (request === undefined) continue
      if (choice.fails === 0) {
        failed.push([request.start, request.end])
        request.answer(Exit.fail(storeError(new ObjectStoreError.Unavailable({}))))
      } else request.answer()
      yield* settle
    }
    assert.isAtMost(most, places)
    for (const [i, { length, offset }] of readers.entries()) {
      const exit = yield* Fiber.await(fibers.get(i)!)
      if (left.has(i)) {
        assert.isTrue(Exit.hasInterrupts(exit), `${i}`)
      } else if (Exit.isSuccess(exit)) {
        assert.isTrue(got.get(i)!.every((byte) => byte === i % 256))
        assert.lengthOf(got.get(i)!, length)
      } else if (offset + length > size) {
        assert.isTrue(Exit.isFailure(exit))
      } else {
        const covers = ([start, end]: readonly [number, number]): boolean => start <= offset && offset + length <= end
        assert.isTrue(failed.some(covers), `${i} failed although no request for it did`)
      }
    }
    // Nothing is asked for that nobody waits for.
    assert.lengthOf(pending, 0)
    if (left.size === 0) assert.strictEqual(log.aborted, 0)
  })

  it("give exactly the bytes of separate reads to exactly those who still wait", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          readers,
          plan: plans,
          places: fc.constantFrom(1, 3, 64),
          choices: fc.array(fc.record({ which: fc.nat({ max: 100 }), fails: fc.nat({ max: 5 }) }), {
            minLength: 60,
            maxLength: 60
          })
        }),
        (script) => Effect.runPromise(Effect.scoped(play(script)))
      ),
      { numRuns: 150 }
    ))

  it.effect("are answered each as soon as its own request is, in any order", () =>
    Effect.gen(function* () {
      const { pending, resolver } = yield* world({ plan: apart })
      const first = yield* Effect.forkChild(read(resolver, 0, 10))
      const second = yield* Effect.forkChild(read(resolver, 1000, 10))
      yield* settle
      assert.lengthOf(pending, 2)
      pending[1]!.answer()
      assert.deepStrictEqual(yield* Fiber.join(second), object.slice(1000, 1010))
      assert.isUndefined(first.pollUnsafe())
      pending[0]!.answer()
      assert.deepStrictEqual(yield* Fiber.join(first), object.slice(0, 10))
    })
  )

  it.effect("are cut by what was seen of the store, and are never larger than what may be asked for at once", () =>
    Effect.gen(function* () {
      const asked = Effect.fnUntraced(function* (cost: RequestCost.RequestCost, bytes: number) {
        const { gate, log, pending, resolver, store } = yield* world({ limits: { requests: 256, bytes } })
        gate.lane(RequestMetrics.counted(store)).cost = cost
        const offsets = Array.from({ length: 40 }, (_, i) => i * 100)
        const fibers = yield* Effect.forEach(offsets, (offset) => Effect.forkChild(read(resolver, offset, 100)))
        yield* settle
        while (pending.length > 0) {
          pending[0]!.answer()
          yield* settle
        }
        for (const fiber of fibers) yield* Fiber.join(fiber)
        return log.asked.map(([start, end]) => end - start)
      })
      const quick = { latency: 0.01, throughput: 4000, alone: 1000, line: 4000 }
      assert.deepStrictEqual(yield* asked(quick, 1e9), [1300, 1300, 1400])
      assert.deepStrictEqual(yield* asked({ ...quick, line: 1000 }, 1e9), [4000])
      assert.deepStrictEqual(yield* asked({ ...quick, latency: 10 }, 1e9), [4000])
      assert.deepStrictEqual(yield* asked({ ...quick, line: 1000 }, 2000), [2000, 2000])
    })
  )

  it.effect("fail with their own request only", () =>
    Effect.gen(function* () {
      const { pending, resolver } = yield* world({ plan: apart })
      const fibers = yield* Effect.forEach([0, 10, 1000], (offset) =>
        Effect.forkChild(Effect.exit(read(resolver, offset, 10)))
      )
      yield* settle
      pending[0]!.answer(Exit.fail(storeError(new ObjectStoreError.Unavailable({}))))
      pending[0]!.answer()
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, false, true])
    })
  )

  it.effect("past the end fail alone: the others are asked for again together", () =>
    Effect.gen(function* () {
      const { log, pending, resolver } = yield* world({ plan: { maxGap: 500 } })
      const fibers = yield* Effect.forEach([3900, 3920, 3995], (offset) =>
        Effect.forkChild(Effect.exit(read(resolver, offset, 10)))
      )
      yield* settle
      while (pending.length > 0) pending[0]!.answer()
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false])
      assert.deepStrictEqual(log.asked, [
        [3900, 4005],
        [3900, 3930],
        [3995, 4005]
      ])
    })
  )

  it.effect("that were withdrawn while they waited for a place are never made", () =>
    Effect.gen(function* () {
      const { log, pending, resolver } = yield* world({ plan: apart, maxConcurrentRequests: 1 })
      const first = yield* Effect.forkChild(read(resolver, 0, 10))
      const second = yield* Effect.forkChild(read(resolver, 1000, 10))
      const third = yield* Effect.forkChild(read(resolver, 2000, 10))
      yield* settle
      yield* Fiber.interrupt(second)
      pending[0]!.answer()
      yield* settle
      pending[0]!.answer()
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      assert.deepStrictEqual(log.asked, [
        [0, 10],
        [2000, 2010]
      ])
    })
  )

  it.effect("log a warning before anybody who is concerned goes on", () =>
    Effect.gen(function* () {
      const { change, pending, resolver } = yield* world({ plan: apart })
      const events: Array<string> = []
      const logger = Logger.make<unknown, void>(() => {
        events.push("warning")
      })
      change()
      const one = (offset: number) =>
        Effect.tap(read(resolver, offset, 10, { checks: "warn", checksum: Checksum.etag('"1"') }), () =>
          Effect.sync(() => events.push("bytes"))
        )
      const reading = yield* Effect.forkChild(
        Effect.provide(Effect.all([one(0), one(1000)], { concurrency: "unbounded" }), Logger.layer([logger]))
      )
      yield* settle
      pending[1]!.answer()
      pending[0]!.answer()
      yield* Fiber.join(reading)
      assert.deepStrictEqual(events, ["warning", "bytes", "bytes"])
    })
  )

  it.effect("have a span below the span of their first reader", () =>
    Effect.gen(function* () {
      const { resolver, store } = yield* world()
      const parents: Array<string | undefined> = []
      const get: ObjectStore.ObjectStoreShape["get"] = () =>
        Effect.flatMap(Effect.currentParentSpan, (span) => {
          parents.push(span._tag === "Span" ? span.name : undefined)
          return Effect.fail(storeError(new ObjectStoreError.Unavailable({})))
        }).pipe(Effect.catchTag("NoSuchElementError", () => Effect.die("no span")))
      Object.assign(store, { get })
      yield* Effect.ignore(Effect.withSpan(read(resolver, 0, 10), "a reader"))
      assert.deepStrictEqual(parents, ["a reader"])
    })
  )

  it.effect("are interrupted, not left waiting, when the scope of the repository is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { log, pending, resolver } = yield* Scope.provide(world({ plan: apart, maxConcurrentRequests: 1 }), scope)
      const fibers = yield* Effect.forEach([0, 1000, 2000], (offset) => Effect.forkChild(read(resolver, offset, 10)))
      yield* settle
      assert.lengthOf(pending, 1)
      const late = yield* Effect.forkChild(read(resolver, 3000, 10))
      yield* Scope.close(scope, Exit.void)
      for (const fiber of [...fibers, late, yield* Effect.forkChild(read(resolver, 0, 10))]) {
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      }
      assert.strictEqual(log.aborted, 1)
      assert.lengthOf(log.asked, 1)
    })
  )

  it.effect("are counted by what they saved", () =>
    Effect.gen(function* () {
      const { pending, resolver } = yield* world()
      const fibers = yield* Effect.forEach([0, 10, 20], (offset) => Effect.forkChild(read(resolver, offset, 10)))
      yield* settle
      pending[0]!.answer()
      yield* Effect.forEach(fibers, Fiber.join)
      const metrics = yield* Metric.snapshot
      const count = (id: string) =>
        metrics.filter((metric) => metric.id === id).map(({ state }) => (state as { readonly count: number }).count)
      assert.deepStrictEqual(count(RequestMetrics.names.rangesMerged), [2])
      assert.deepStrictEqual(count(RequestMetrics.names.requests), [1])
      assert.deepStrictEqual(count(RequestMetrics.names.bytesReceived), [30])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("fail when the store gives fewer bytes than it was asked for", () =>
    Effect.gen(function* () {
      const { resolver, store } = yield* world()
      const get: ObjectStore.ObjectStoreShape["get"] = (key) =>
        Effect.succeed({
          bytes: new Uint8Array(5),
          span: { start: 0, end: 5 },
          meta: { key, size, lastModified: 0, version: { etag: undefined } }
        })
      Object.assign(store, { get })
      const error = yield* Effect.flip(read(resolver, 0, 10))
      assert.isTrue(ObjectStoreError.hasReason("InvalidResponse")(error))
    })
  )
})

describe("the bounds of what is under way", () => {
  const ask = Effect.fnUntraced(function* (
    options: Parameters<typeof world>[0],
    ranges: ReadonlyArray<readonly [offset: number, length: number, key?: string]>
  ) {
    const made = yield* world({ plan: apart, ...options })
    yield* Effect.forEach(ranges, ([offset, length, key]) =>
      Effect.forkChild(read(made.resolver, offset, length, key === undefined ? {} : { key }))
    )
    yield* settle
    return made
  })
  const many = Array.from({ length: 100 }, (_, i) => [i * 20, 10, `key${i % 7}`] as const)

  it.effect("are those of the store, whatever the objects", () =>
    Effect.gen(function* () {
      const { pending } = yield* ask({ maxConcurrentRequests: 40 }, many)
      assert.lengthOf(pending, 40)
    })
  )

  it.effect("are 64 requests where the store does not say", () =>
    Effect.gen(function* () {
      const { pending } = yield* ask({}, many)
      assert.lengthOf(pending, 64)
    })
  )

  it.effect("are those of the configuration, too", () =>
    Effect.gen(function* () {
      const { pending } = yield* ask({ limits: { requests: 5, bytes: 1e9 } }, many)
      assert.lengthOf(pending, 5)
    })
  )

  it.effect("hold for bytes, but for a single request", () =>
    Effect.gen(function* () {
      const { pending } = yield* ask({ limits: { requests: 100, bytes: 35 } }, many)
      assert.lengthOf(pending, 3)
      const large = yield* ask({ limits: { requests: 100, bytes: 35 } }, [
        [0, 1000],
        [2000, 10]
      ])
      assert.lengthOf(large.pending, 1)
      large.pending[0]!.answer()
      yield* settle
      assert.lengthOf(large.pending, 1)
      large.pending[0]!.answer()
    })
  )

  it.effect("let everybody in who came first, first", () =>
    Effect.gen(function* () {
      const { log, pending } = yield* ask({ maxConcurrentRequests: 2 }, [
        [0, 10, "a"],
        [100, 10, "b"],
        [200, 10, "c"],
        [300, 10, "d"]
      ])
      while (pending.length > 0) {
        pending[0]!.answer()
        yield* settle
      }
      assert.deepStrictEqual(
        log.asked.map(([start]) => start),
        [0, 100, 200, 300]
      )
    })
  )
})
