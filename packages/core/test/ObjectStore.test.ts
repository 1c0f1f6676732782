import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)

/** A store that counts its gets. */
const counting = Effect.gen(function* () {
  const store = yield* MemoryObjectStore.make()
  const ranges: Array<ObjectStore.GetOptions | undefined> = []
  const counted: ObjectStore.ObjectStoreShape = {
    ...store,
    get: (key, options) => {
      ranges.push(options)
      return store.get(key, options)
    }
  }
  return { store: counted, ranges }
})

describe("ObjectStore.getRanges", () => {
  it.effect("returns the ranges in their order, with few requests", () =>
    Effect.gen(function* () {
      const { ranges, store } = yield* counting
      yield* store.put("key", bytes)
      const wanted = [
        { start: 900, end: 910 },
        { start: 0, end: 10 },
        { start: 10, end: 20 },
        { start: 5, end: 15 },
        { start: 900, end: 900 }
      ]
      const found = yield* ObjectStore.getRanges(store, "key", wanted, { plan: { maxGap: 0 } })
      assert.deepStrictEqual(
        found.map(({ bytes }) => Array.from(bytes)),
        wanted.map(({ end, start }) => Array.from(bytes.subarray(start, end)))
      )
      assert.lengthOf(ranges, 2)
      for (const { meta } of found) assert.strictEqual(meta.size, 1000)
      for (const { bytes } of found) bytes.fill(0xee)
      assert.deepStrictEqual((yield* store.get("key")).bytes, bytes)
      assert.lengthOf(new Set(found.map(({ bytes }) => bytes.buffer)), found.length, "each has bytes of its own")
    })
  )

  it.effect("makes no request for no ranges", () =>
    Effect.gen(function* () {
      const { ranges, store } = yield* counting
      assert.lengthOf(yield* ObjectStore.getRanges(store, "key", []), 0)
      assert.lengthOf(ranges, 0)
    })
  )

  it.effect("sends the conditions with every request", () =>
    Effect.gen(function* () {
      const { ranges, store } = yield* counting
      const { etag } = yield* store.put("key", bytes)
      const wanted = [
        { start: 0, end: 1 },
        { start: 999, end: 1000 }
      ]
      const conditions = { ifMatch: etag, ifUnmodifiedSince: 1e15 }
      yield* ObjectStore.getRanges(store, "key", wanted, { conditions, plan: { maxGap: 0 } })
      for (const sent of ranges) assert.include(sent, conditions)
      yield* store.put("key", bytes)
      const error = yield* Effect.flip(ObjectStore.getRanges(store, "key", wanted, { conditions }))
      assert.strictEqual(error.reason._tag, "PreconditionFailed")
    })
  )

  it.effect("fails with InvalidRange for a range past the end, and before any request for a malformed one", () =>
    Effect.gen(function* () {
      const { ranges, store } = yield* counting
      yield* store.put("key", bytes)
      const past = yield* Effect.flip(ObjectStore.getRanges(store, "key", [{ start: 990, end: 1001 }]))
      assert.strictEqual(past.reason._tag, "InvalidRange")
      ranges.length = 0
      for (const wrong of [
        { start: 5, end: 4 },
        { start: -1, end: 4 },
        { start: Number.NaN, end: 4 },
        { start: 0, end: 2 ** 53 }
      ]) {
        const error = yield* Effect.flip(ObjectStore.getRanges(store, "key", [{ start: 0, end: 10 }, wrong]))
        assert.strictEqual(error.reason._tag, "InvalidRange")
      }
      assert.lengthOf(ranges, 0)
    })
  )
})

describe("ObjectStore.prefixed", () => {
  it.effect("reads and writes below the prefix, with or without a last slash", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ description: "s3://bucket" })
      yield* store.put("repository", bytes)
      yield* store.put("repo/a", bytes)
      for (const prefix of ["repo", "repo/"]) {
        const below = ObjectStore.prefixed(store, prefix)
        assert.strictEqual(below.description, "s3://bucket/repo")
        assert.deepStrictEqual(
          (yield* Stream.runCollect(below.list(""))).map(({ key }) => key),
          ["a"]
        )
        assert.strictEqual((yield* below.get("a")).meta.key, "a")
        assert.strictEqual((yield* below.head("a")).key, "a")
      }
      assert.strictEqual(ObjectStore.prefixed(store, ""), store)
    })
  )

  it.effect("names itself in errors, not the store that it is a part of", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make({ description: "s3://bucket", readOnlyBecause: "of this test" })
      const below = ObjectStore.prefixed(store, "repo")
      const missing = yield* Effect.flip(below.get("a"))
      assert.strictEqual(missing.message, "get of `a` in `s3://bucket/repo` failed because it does not exist")
      assert.strictEqual(missing.reason._tag, "NotFound")
      const forbidden = yield* Effect.flip(below.put("a", bytes))
      assert.strictEqual(forbidden.message, "`s3://bucket/repo` cannot be written: of this test")
    })
  )
})

describe("ObjectStore.exists", () => {
  it.effect("passes other failures on", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const reason = new ObjectStoreError.PermissionDenied({})
      const error = new ObjectStoreError.ObjectStoreError({ store: "s", operation: "head", key: "k", reason })
      const denied = yield* Effect.flip(ObjectStore.exists({ ...store, head: () => Effect.fail(error) }, "k"))
      assert.strictEqual(denied, error)
    })
  )
})

describe("MemoryObjectStore", () => {
  it.effect("takes the time of changes from the Clock", () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* TestClock.setTime(123_456)
      yield* store.put("key", bytes)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* store.head("key")).lastModified, 123_456)
      yield* store.copy("key", "copy")
      assert.strictEqual((yield* store.head("copy")).lastModified, 124_456)
    })
  )
})

ObjectStoreConformance.suite(
  "ObjectStore.prefixed",
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.map(MemoryObjectStore.make(), (store) => ObjectStore.prefixed(store, "some/prefix"))
  )
)
