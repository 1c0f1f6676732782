/** The programs of `docs/testing.md`. */
import { ObjectStoreError } from "@effect-icechunk/core/ObjectStoreError"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import { assert, describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"

/** What is to be tested: takes the repository from the context. */
const record = Effect.fn("record")(function* (hour: number, value: number) {
  const repository = yield* Repository.Repository
  yield* repository.transact("main", `hour ${hour}`, (session) =>
    Effect.gen(function* () {
      const nodes = yield* session.nodes()
      if (nodes.length === 0) {
        yield* session.createArray("/wind", { shape: [24], chunkShape: [1], dataType: "uint8", fillValue: 0 })
      }
      yield* session.setChunk("/wind", [hour], Uint8Array.of(value))
    })
  )
})

/** An empty repository in memory, made anew for each test. */
const empty = Repository.layerOpenOrCreate().pipe(
  Layer.provide(Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer))
)

describe("record", () => {
  it.effect("commits each hour", () =>
    Effect.gen(function* () {
      yield* record(0, 12)
      yield* record(1, 14)
      const repository = yield* Repository.Repository
      const session = yield* repository.readonlySession({ branch: "main" })
      assert.deepStrictEqual(yield* session.chunk("/wind", [1]), Uint8Array.of(14))
      assert.strictEqual((yield* repository.history({ branch: "main" })).length, 3)
    }).pipe(Effect.provide(empty))
  )

  it.effect("keeps what was there a day ago", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(DateTime.makeUnsafe("2026-11-01T00:00:00Z").epochMilliseconds)
      const repository = yield* Repository.Repository
      yield* record(0, 12)
      const asOf = yield* DateTime.now
      yield* TestClock.adjust("1 day")
      yield* record(0, 99)
      const past = yield* repository.readonlySession({ branch: "main", asOf })
      assert.deepStrictEqual(yield* past.chunk("/wind", [0]), Uint8Array.of(12))
    }).pipe(Effect.provide(empty))
  )
})

describe("virtual chunks", () => {
  const clouds = Platform.layerMemory({ "s3://model-output/run-1.bin": Uint8Array.of(1, 2, 3, 4) })

  it.effect("are read from memory", () =>
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", { shape: [2], chunkShape: [2], dataType: "uint8", fillValue: 0 })
      yield* session.setVirtualRef("/a", [0], { location: "s3://model-output/run-1.bin", offset: 2, length: 2 })
      assert.deepStrictEqual(yield* session.chunk("/a", [0]), Uint8Array.of(3, 4))
    }).pipe(Effect.provide(Layer.mergeAll(MemoryObjectStore.layer(), clouds, NodeZstd.layer)))
  )
})

/** A store in memory whose writes are refused for a while. */
const refusing = (times: number) =>
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      let left = times
      return {
        ...store,
        put: (key, bytes, options) =>
          left-- > 0
            ? Effect.fail(
                new ObjectStoreError({
                  store: store.description,
                  operation: "put",
                  key,
                  reason: new Errors.RateLimited({})
                })
              )
            : store.put(key, bytes, options)
      } satisfies ObjectStore.ObjectStoreShape
    })
  )

it.effect("a store that is rate limited fails with a typed error", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Repository.create())
    assert.isTrue(Errors.hasReason("RateLimited")(error))
    yield* Repository.create()
  }).pipe(Effect.provide(Layer.mergeAll(refusing(1), Platform.layerNone, NodeZstd.layer)))
)

ObjectStoreConformance.suite("a store of your own", MemoryObjectStore.layer({ capabilities: { metadata: false } }), {
  metadata: false
})

it("the guide has these programs", () => {
  const unindented = (text: string): string => text.replaceAll(/\s+/g, "")
  const guide = fs.readFileSync(`${import.meta.dirname}/../../docs/testing.md`, "utf8")
  const here = unindented(fs.readFileSync(import.meta.filename, "utf8"))
  const programs = Array.from(guide.matchAll(/```ts\n([^]*?)```/g), ([, program]) => program!)
  expect(programs.length).toBeGreaterThan(4)
  for (const program of programs) expect(here).toContain(unindented(program))
})
