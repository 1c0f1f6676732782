/**
 * zarrita reads and writes through sessions.
 */
import { Errors, MemoryObjectStore, ObjectStore, Platform, Repository, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as zarr from "zarrita"

const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)

const shape = [30, 40]
const values = Float32Array.from({ length: 1200 }, (_, i) => Math.sin(i / 7) * 100)

/** Written through zarrita. */
const write = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  yield* Effect.promise(async () => {
    const root = zarr.root(ZarritaStore.fromWritableSession(session))
    await zarr.create(root, { attributes: { title: "waves" } })
    const array = await zarr.create(root.resolve("/heights"), {
      shape,
      chunkShape: [10, 20],
      dtype: "float32",
      fillValue: -1,
      codecs: [{ name: "bytes", configuration: { endian: "big" } }],
      attributes: { units: "m" }
    })
    await zarr.set(array, null, { data: values, shape, stride: [40, 1] })
  })
  yield* session.commit("by zarrita")
  return repository
})

const opened = Effect.gen(function* () {
  const repository = yield* write
  return ZarritaStore.fromSession(yield* repository.readonlySession({ branch: "main" }))
})

describe("zarrita", () => {
  it.effect("writes groups, attributes and chunks, and reads them back", () =>
    Effect.gen(function* () {
      const store = yield* opened
      yield* Effect.promise(async () => {
        const group = await zarr.open(zarr.root(store), { kind: "group" })
        assert.deepStrictEqual(group.attrs, { title: "waves" })
        const array = await zarr.open(group.resolve("heights"), { kind: "array" })
        assert.deepStrictEqual(array.shape, shape)
        assert.deepStrictEqual(array.attrs, { units: "m" })
        const all = await zarr.get(array)
        assert.deepStrictEqual(all.data, values)
        const part = await zarr.get(array, [zarr.slice(5, 7), 39])
        assert.deepStrictEqual([...(part.data as Float32Array)], [values[5 * 40 + 39], values[6 * 40 + 39]])
      })
    }).pipe(Effect.provide(services))
  )

  it.effect("finds nothing at keys without a value", () =>
    Effect.gen(function* () {
      const store = yield* opened
      yield* Effect.promise(async () => {
        for (const key of ["/zarr.json.bak", "/none/zarr.json", "/none/c/0", "/.zattrs", "/heights/.zarray"] as const) {
          assert.strictEqual(await store.get(key), undefined, key)
        }
        assert.strictEqual(await store.getRange("/none/c/0", { suffixLength: 4 }), undefined)
      })
    }).pipe(Effect.provide(services))
  )

  it.effect("gets ranges by offset and by suffix", () =>
    Effect.gen(function* () {
      const store = yield* opened
      yield* Effect.promise(async () => {
        const whole = (await store.get("/heights/c/0/0"))!
        assert.deepStrictEqual(await store.getRange("/heights/c/0/0", { offset: 3, length: 9 }), whole.subarray(3, 12))
        assert.deepStrictEqual(await store.getRange("/heights/c/0/0", { suffixLength: 8 }), whole.subarray(-8))
        const error = await store
          .getRange("/heights/c/0/0", { offset: whole.length, length: 1 })
          .catch((e: unknown) => e)
        assert.instanceOf(error, Errors.ObjectStoreError)
      })
    }).pipe(Effect.provide(services))
  )

  it.effect("rejects with the reason of its AbortSignal, before and while it reads", () =>
    Effect.gen(function* () {
      const repository = yield* write
      const never = yield* Effect.map(ObjectStore.ObjectStore, (store) => ({
        ...store,
        get: (key: string, options?: ObjectStore.GetOptions) =>
          key.startsWith("chunks/") ? Effect.never : store.get(key, options)
      }))
      const slow = yield* Effect.provideService(Repository.open(), ObjectStore.ObjectStore, never)
      const stuck = ZarritaStore.fromSession(yield* slow.readonlySession({ branch: "main" }))
      const store = ZarritaStore.fromSession(yield* repository.readonlySession({ branch: "main" }))
      yield* Effect.promise(async () => {
        const reason = new Error("the user left")
        const aborted = await store
          .get("/heights/c/0/0", { signal: AbortSignal.abort(reason) })
          .catch((e: unknown) => e)
        assert.strictEqual(aborted, reason)
        const controller = new AbortController()
        const reading = stuck.get("/heights/c/0/0", { signal: controller.signal }).catch((e: unknown) => e)
        controller.abort(reason)
        assert.strictEqual(await reading, reason)
      })
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("cannot write through a read-only session", () =>
    Effect.gen(function* () {
      const store = yield* opened
      assert.isFalse("set" in store)
    }).pipe(Effect.provide(services))
  )
})
