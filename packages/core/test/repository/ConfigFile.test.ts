import { assert, describe, it } from "@effect/vitest"
import * as ConfigFile from "../../src/repository/config/ConfigFile.ts"
import * as StoredConfig from "../../src/repository/config/StoredConfig.ts"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Config from "@effect-icechunk/core/RepositoryConfig"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"

const file = "config.json"
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const container = (name: string): Container.VirtualChunkContainer => ({
  name,
  protocol: "s3",
  platform: "s3",
  bucket_prefix: name
})

/** Lets the clock run until the effect is done. */
const inTime = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(effect)
  while (fiber.pollUnsafe() === undefined) {
    yield* TestClock.adjust("10 millis")
    yield* Effect.yieldNow
  }
  return yield* Fiber.join(fiber)
})

/** Repeatable random numbers from 0 to 1. */
const random = (seed: number): (() => number) => {
  let state = seed + 1
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9
    state ^= state >>> 12
    return (state >>> 0) / 2 ** 32
  }
}

const failed = (operation: "get" | "put", reason: ObjectStoreError.Reason): ObjectStoreError.ObjectStoreError =>
  new ObjectStoreError.ObjectStoreError({ store: "memory://", operation, key: file, reason })

const unavailable = (operation: "get" | "put") => failed(operation, new ObjectStoreError.Unavailable({}))

/**
 * A store in which requests of different writers interleave at random, which loses a share of its answers
 * after the work is done, and a share of the requests before.
 */
const unreliable = Effect.fnUntraced(function* (options: {
  readonly seed: number
  readonly lostAnswers?: number
  readonly lostRequests?: number
}) {
  const store = yield* MemoryObjectStore.make()
  const next = random(options.seed)
  const pause = Effect.suspend(() => Effect.repeat(Effect.yieldNow, { times: Math.floor(next() * 5) }))
  const counts = { lost: 0, puts: 0, refused: 0, written: 0 }
  const wrapped: ObjectStore.ObjectStoreShape = {
    ...store,
    get: (key, options) => Effect.andThen(pause, store.get(key, options)),
    put: (key, bytes, putOptions) =>
      Effect.gen(function* () {
        counts.puts++
        yield* pause
        if (next() < (options.lostRequests ?? 0)) return yield* unavailable("put")
        const version = yield* Effect.tapError(store.put(key, bytes, putOptions), () =>
          Effect.sync(() => counts.refused++)
        )
        counts.written++
        yield* pause
        if (next() < (options.lostAnswers ?? 0)) {
          counts.lost++
          return yield* unavailable("put")
        }
        return version
      })
  }
  return { counts, store: wrapped, underlying: store }
})

const counterOf = (config: Config.RepositoryConfig): unknown => config.additional_fields?.["counter"]

const addOne = (config: Config.RepositoryConfig): Config.RepositoryConfig => ({
  ...config,
  additional_fields: { ...config.additional_fields, counter: Number(counterOf(config) ?? 0) + 1 }
})

const thirtyTwo = <A>(value: A): ReadonlyArray<A> => Array.from({ length: 32 }, () => value)

const stored = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(store.get(file), ({ bytes }) => JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)

describe("ConfigFile.read", () => {
  it.effect("gives an empty configuration where there is none", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      assert.deepStrictEqual(yield* ConfigFile.read(store), { config: {}, version: undefined })
    })
  )

  it.effect("gives the configuration with its version, and not who wrote it", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const version = yield* store.put(file, text({ from_the_future: [1], recent_writes: ["id"] }))
      assert.deepStrictEqual(yield* ConfigFile.read(store), {
        config: { additional_fields: { from_the_future: [1] } },
        version
      })
    })
  )

  it.effect.each<readonly [string, Uint8Array, string]>([
    ["no JSON", new TextEncoder().encode("{"), "(whole file)"],
    ["an empty file", new Uint8Array(0), "(whole file)"],
    ["no UTF-8", Uint8Array.of(0x22, 0xff, 0x22), "(whole file)"],
    ["no object", text([]), "(whole file)"],
    ["a wrong type", text({ compression: { level: "high" } }), "compression.level"],
    ["ids of writes that are no list", text({ recent_writes: "id" }), "recent_writes"],
    ["ids of writes that are no texts", text({ recent_writes: [5] }), "recent_writes"]
  ])("fails with InvalidConfig, which names file and field: %s", ([, bytes, field]) =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ description: "memory://repository" })
      yield* store.put(file, bytes)
      const error = yield* Effect.flip(ConfigFile.read(store))
      assert.strictEqual(error._tag, "InvalidConfig")
      assert.include(error.message, "`memory://repository/config.json` is not a valid configuration at")
      assert.include(error, { field })
      const update = yield* Effect.flip(ConfigFile.update(store, addOne))
      assert.strictEqual(update._tag, "InvalidConfig")
      assert.deepStrictEqual((yield* store.get(file)).bytes, bytes)
    })
  )

  it.effect("passes failures of the store on", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const denied = failed("get", new ObjectStoreError.PermissionDenied({}))
      const error = yield* Effect.flip(ConfigFile.read({ ...store, get: () => Effect.fail(denied) }))
      assert.strictEqual(error, denied)
    })
  )
})

describe("ConfigFile.update", () => {
  it.effect("creates the file, then changes it, and keeps fields that it does not know", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const others = { additional_fields: { from_the_future: { a: [null] } } }
      const first = yield* ConfigFile.update(store, () => ({ ...others, max_concurrent_requests: 5 }))
      assert.deepStrictEqual(first.config, { ...others, max_concurrent_requests: 5 })
      assert.deepStrictEqual((yield* stored(store))["from_the_future"], { a: [null] })
      const second = yield* ConfigFile.update(store, Config.setContainer(container("a")))
      assert.deepStrictEqual(second.config, { ...first.config, virtual_chunk_containers: [container("a")] })
      assert.deepStrictEqual(yield* ConfigFile.readStored(store), second)
    })
  )

  it.effect("remembers a bounded number of writes, the latest first", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* Effect.repeat(ConfigFile.update(store, addOne), { times: 149 })
      const { counter, recent_writes } = yield* stored(store)
      assert.strictEqual(counter, 150)
      assert.lengthOf(recent_writes as ReadonlyArray<string>, 100)
      assert.lengthOf(new Set(recent_writes as ReadonlyArray<string>), 100)
    })
  )

  it.effect.each(["recent_writes", "published"])("refuses a function that meddles with `%s`", (field) =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* ConfigFile.update(store, addOne)
      const meddled = { additional_fields: { [field]: [] } }
      const error = yield* Effect.flip(ConfigFile.update(store, () => meddled))
      assert.include(error, { _tag: "InvalidConfig", field: `additional_fields.${field}` })
      assert.lengthOf((yield* stored(store))["recent_writes"] as ReadonlyArray<string>, 1)
    })
  )

  it.effect("writes nothing when nothing changes, whatever the order of fields", () =>
    Effect.gen(function* () {
      const { counts, store } = yield* unreliable({ seed: 1 })
      yield* ConfigFile.update(store, () => ({ max_concurrent_requests: 5, inline_chunk_threshold_bytes: 1 }))
      yield* ConfigFile.update(store, (config) => config)
      yield* ConfigFile.update(store, () => ({ inline_chunk_threshold_bytes: 1, max_concurrent_requests: 5 }))
      assert.strictEqual(counts.puts, 1)
    })
  )

  it.effect("says that it is not known whether it is saved when neither the write nor the look at it is answered", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ description: "memory://far" })
      let isCut = false
      const cut: ObjectStore.ObjectStoreShape = {
        ...store,
        get: (key, options) => (isCut ? Effect.fail(unavailable("get")) : store.get(key, options)),
        put: (key, bytes, options) =>
          Effect.suspend(() => {
            isCut = true
            return Effect.andThen(store.put(key, bytes, options), Effect.fail(unavailable("put")))
          })
      }
      const error = yield* inTime(Effect.flip(ConfigFile.update(cut, addOne)))
      assert.strictEqual(error._tag, "ConfigOutcomeUnknown")
      assert.include(error.message, "It is not known whether the update of `config.json` in `memory://far` was saved")
      assert.strictEqual((yield* stored(store))["counter"], 1)
    })
  )

  it.effect("passes the failure of a look on after a conflict, because then nothing was written", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      let isCut = false
      const cut: ObjectStore.ObjectStoreShape = {
        ...store,
        get: (key, options) => (isCut ? Effect.fail(unavailable("get")) : store.get(key, options)),
        put: () =>
          Effect.suspend(() => {
            isCut = true
            return Effect.fail(failed("put", new ObjectStoreError.AlreadyExists({})))
          })
      }
      const error = yield* inTime(Effect.flip(ConfigFile.update(cut, addOne)))
      assert.isTrue(ObjectStoreError.hasReason("Unavailable")(error))
    })
  )

  it.effect.each([1, 2, 3, 4, 5])("puts every one of 32 concurrent updates in, none twice (%d)", (seed) =>
    Effect.gen(function* () {
      const { counts, store } = yield* unreliable({ seed })
      yield* inTime(Effect.all(thirtyTwo(ConfigFile.update(store, addOne)), { concurrency: "unbounded" }))
      assert.strictEqual((yield* stored(store))["counter"], 32)
      assert.strictEqual(counts.written, 32)
      assert.isAbove(counts.refused, 0, "writers did collide")
    })
  )

  it.effect.each([1, 2, 3, 4, 5, 6, 7, 8])("does so when half of the answers are lost after the write (%d)", (seed) =>
    Effect.gen(function* () {
      const { counts, store } = yield* unreliable({ seed, lostAnswers: 0.5, lostRequests: 0.1 })
      const results = yield* inTime(
        Effect.all(thirtyTwo(Effect.exit(ConfigFile.update(store, addOne))), { concurrency: "unbounded" })
      )
      for (const result of results) assert.isTrue(Exit.isSuccess(result))
      assert.strictEqual((yield* stored(store))["counter"], 32)
      assert.strictEqual(counts.written, 32)
      assert.isAbove(counts.lost, 5)
    })
  )

  it.effect("recognises its own write although others have written since", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      let lose = true
      const losing: ObjectStore.ObjectStoreShape = {
        ...store,
        put: (key, bytes, options) =>
          Effect.gen(function* () {
            const version = yield* store.put(key, bytes, options)
            if (!lose) return version
            lose = false
            yield* Effect.orDie(Effect.repeat(ConfigFile.update(store, addOne), { times: 49 }))
            return yield* unavailable("put")
          })
      }
      const { config } = yield* inTime(ConfigFile.update(losing, addOne))
      assert.strictEqual(counterOf(config), 51, "it returns what is stored by then")
      assert.strictEqual((yield* stored(store))["counter"], 51)
    })
  )

  it.effect("recognises its own write when even the last attempt's answer is lost", () =>
    Effect.gen(function* () {
      const { counts, store } = yield* unreliable({ seed: 1, lostAnswers: 1 })
      const retry = { attempts: 1, initialDelay: 20, maxDelay: 2000 }
      const { config } = yield* inTime(ConfigFile.update(store, addOne, { retry }))
      assert.deepStrictEqual(config, { additional_fields: { counter: 1 } })
      assert.strictEqual(counts.puts, 1)
    })
  )

  it.effect("fails with the store's own error when no attempt gets through", () =>
    Effect.gen(function* () {
      const { counts, store, underlying } = yield* unreliable({ seed: 1, lostRequests: 1 })
      const retry = { attempts: 4, initialDelay: 20, maxDelay: 2000 }
      const error = yield* inTime(Effect.flip(ConfigFile.update(store, addOne, { retry })))
      assert.isTrue(ObjectStoreError.hasReason("Unavailable")(error))
      assert.strictEqual(counts.puts, 4)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(underlying.get(file))))
    })
  )

  it.effect("fails with ConfigConflict when others are always faster, after a bounded time", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ description: "memory://busy" })
      let puts = 0
      const busy: ObjectStore.ObjectStoreShape = {
        ...store,
        put: (key, bytes, options) =>
          Effect.gen(function* () {
            puts++
            yield* Effect.orDie(
              ConfigFile.update(store, (config) => ({ ...config, additional_fields: { others: puts } }))
            )
            return yield* store.put(key, bytes, options)
          })
      }
      const retry = { attempts: 10, initialDelay: 20, maxDelay: 100 }
      const error = yield* inTime(Effect.flip(ConfigFile.update(busy, addOne, { retry })))
      assert.strictEqual(error._tag, "ConfigConflict")
      assert.strictEqual(
        error.message,
        "`config.json` of `memory://busy` was changed by others during each of 10 attempts to update it. Try again when fewer writers are at work."
      )
      assert.strictEqual(puts, 10)
      assert.isUndefined((yield* stored(store))["counter"])
      assert.isAtMost(yield* Clock.currentTimeMillis, 10_000)
    })
  )

  it.effect("does not try again what cannot succeed", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      let puts = 0
      const denied = failed("put", new ObjectStoreError.PermissionDenied({}))
      const denying: ObjectStore.ObjectStoreShape = {
        ...store,
        put: () =>
          Effect.suspend(() => {
            puts++
            return Effect.fail(denied)
          })
      }
      assert.strictEqual(yield* Effect.flip(ConfigFile.update(denying, addOne)), denied)
      assert.strictEqual(puts, 1)
    })
  )

  it.effect("refuses a change that deletes a container, and writes nothing", () =>
    Effect.gen(function* () {
      const { counts, store } = yield* unreliable({ seed: 1 })
      yield* ConfigFile.update(store, () => ({ virtual_chunk_containers: [container("a"), container("b")] }))
      const before = yield* store.get(file)
      for (const next of [{}, { virtual_chunk_containers: [container("b")] }]) {
        const error = yield* Effect.flip(ConfigFile.update(store, () => next))
        assert.strictEqual(error._tag, "InvalidConfig")
        assert.include(error.message, "container `a` is missing")
      }
      assert.deepStrictEqual(yield* store.get(file), before)
      assert.strictEqual(counts.puts, 1)
    })
  )

  it.effect.each<readonly [string, unknown]>([
    ["a container twice", { virtual_chunk_containers: [container("a"), container("a")] }],
    ["a container without a name", { virtual_chunk_containers: [container("")] }],
    ["a container with a slash in its name", { virtual_chunk_containers: [container("a/b")] }],
    ["a wrong type", { max_concurrent_requests: "many" }],
    ["a field that does not exist", { maxConcurrentRequests: 5 }],
    ["nothing at all", undefined],
    ["containers that are no list", { virtual_chunk_containers: {} }]
  ])("refuses a change that returns %s, and writes nothing", ([, next]) =>
    Effect.gen(function* () {
      const { counts, store } = yield* unreliable({ seed: 1 })
      const error = yield* Effect.flip(ConfigFile.update(store, () => next as Config.RepositoryConfig))
      assert.strictEqual(error._tag, "InvalidConfig")
      assert.strictEqual(counts.puts, 0)
    })
  )

  it.effect("fails with WriteForbidden on a store that may not be written, before it reads", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ readOnlyBecause: "it is a fork" })
      const error = yield* Effect.flip(ConfigFile.update({ ...store, get: () => Effect.die("it is not read") }, addOne))
      assert.strictEqual(error._tag, "WriteForbidden")
      assert.include(error.message, "it is a fork")
    })
  )

  it.effect("fails on a store without conditional writes, rather than to lose updates", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({
        capabilities: { conditionalCreate: false, conditionalUpdate: false }
      })
      const error = yield* Effect.flip(ConfigFile.update(store, addOne))
      assert.isTrue(ObjectStoreError.hasReason("Unsupported")(error))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(store.get(file))))
    })
  )
})

describe("a file that configures nothing", () => {
  it.effect("is told from others, so that what decodes configurations need not be loaded for it", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* ConfigFile.create(store, {}, { id: "A", persisted: "{}" })
      const { bytes } = yield* store.get(file)
      const written: unknown = JSON.parse(new TextDecoder().decode(bytes))
      assert.deepStrictEqual(
        [
          written,
          {},
          { creation: 7 },
          { ...Object(written), compression: {} },
          { published: [{ a: 1 }] },
          [],
          null
        ].map(StoredConfig.isUnconfigured),
        [true, true, true, false, false, false, false]
      )
      assert.deepStrictEqual((yield* ConfigFile.read(store)).config, {})
      const { creation, published, recentWrites } = yield* ConfigFile.readStored(store)
      assert.deepStrictEqual([creation, published, recentWrites.length], ["A", [{}], 1])
    })
  )

  it.effect("is still refused when its notes are not what they should be", () =>
    Effect.gen(function* () {
      for (const notes of [{ creation: 7 }, { recent_writes: "x" }, { recent_writes: [1] }, { published: [1] }]) {
        const store = yield* MemoryObjectStore.make()
        yield* store.put(file, text(notes))
        const error = yield* Effect.flip(ConfigFile.read(store))
        assert.instanceOf(error, Config.InvalidConfig)
        assert.strictEqual(error.field, Object.keys(notes)[0])
      }
    })
  )
})
