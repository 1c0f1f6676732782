/** Writing: conditions, metadata, deleting and copying, interruption. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import * as Errors from "../../store/ObjectStoreError.ts"
import { assertBytes, assertSameVersion, counting, expectReason, MiB, pattern, text, type Test } from "./Space.ts"

/** Create and Update, or their refusal. */
export const conditionalWrites = (test: Test, expected: ObjectStore.Capabilities): void => {
  if (expected.conditionalCreate) {
    test("Create fails with AlreadyExists when there is an object", ({ key, store }) =>
      Effect.gen(function* () {
        const version = yield* store.put(key, text("first"), { mode: ObjectStore.create })
        yield* expectReason(store.put(key, text("second"), { mode: ObjectStore.create }), "AlreadyExists")
        const { bytes, meta } = yield* store.get(key)
        assertBytes(bytes, text("first"))
        assertSameVersion(meta.version, version)
        yield* store.delete([key])
        yield* store.put(key, text("third"), { mode: ObjectStore.create })
        assertBytes((yield* store.get(key)).bytes, text("third"))
      }))

    test("of 20 concurrent Creates exactly one wins", ({ key, store }) =>
      race(store, key, ObjectStore.create, "AlreadyExists"))
  } else {
    test("Create is refused with Unsupported and writes nothing", ({ key, store }) =>
      Effect.gen(function* () {
        yield* expectReason(store.put(key, text("new"), { mode: ObjectStore.create }), "Unsupported")
        assert.isFalse(yield* ObjectStore.exists(store, key))
        yield* store.put(key, text("old"))
        yield* expectReason(store.put(key, text("new"), { mode: ObjectStore.create }), "Unsupported")
        assertBytes((yield* store.get(key)).bytes, text("old"))
      }))
  }

  if (expected.conditionalUpdate) {
    test("Update replaces the version that it names", ({ key, store }) =>
      Effect.gen(function* () {
        const first = yield* store.put(key, text("first"))
        const second = yield* store.put(key, text("second"), { mode: ObjectStore.update(first) })
        assertBytes((yield* store.get(key)).bytes, text("second"))
        yield* store.put(key, text("third"), { mode: ObjectStore.update(second) })
        const { bytes, meta } = yield* store.get(key)
        assertBytes(bytes, text("third"))
        yield* store.put(key, text("fourth"), { mode: ObjectStore.update(meta.version) })
        const head = yield* store.head(key)
        yield* store.put(key, text("fifth"), { mode: ObjectStore.update(head.version) })
        assertBytes((yield* store.get(key)).bytes, text("fifth"))
      }))

    test("Update of another version fails with PreconditionFailed and writes nothing", ({ key, store }) =>
      Effect.gen(function* () {
        const first = yield* store.put(key, text("first"))
        const second = yield* store.put(key, text("second"))
        for (const version of [first, { ...first, etag: '"0000"' }]) {
          yield* expectReason(
            store.put(key, text("third"), { mode: ObjectStore.update(version) }),
            "PreconditionFailed"
          )
        }
        const { bytes, meta } = yield* store.get(key)
        assertBytes(bytes, text("second"))
        assertSameVersion(meta.version, second)
      }))

    test("Update of a missing object fails with PreconditionFailed and writes nothing", ({ key, store }) =>
      Effect.gen(function* () {
        const version = yield* store.put(key, text("first"))
        yield* store.delete([key])
        yield* expectReason(store.put(key, text("second"), { mode: ObjectStore.update(version) }), "PreconditionFailed")
        assert.isFalse(yield* ObjectStore.exists(store, key))
      }))

    test("Update with a version that names nothing never overwrites", ({ key, store }) =>
      Effect.gen(function* () {
        yield* store.put(key, text("first"))
        const nothing = ObjectStore.update({ etag: undefined })
        const error = yield* Effect.flip(store.put(key, text("second"), { mode: nothing }))
        assert.isTrue(Errors.hasReason("PreconditionFailed")(error) || Errors.hasReason("Unsupported")(error))
        assertBytes((yield* store.get(key)).bytes, text("first"))
      }))

    test("of 20 concurrent Updates of one version exactly one wins", ({ key, store }) =>
      Effect.gen(function* () {
        const version = yield* store.put(key, text("start"))
        yield* race(store, key, ObjectStore.update(version), "PreconditionFailed")
      }))

    test("a counter that many fibers increment with get and Update loses no increment", ({ key, store }) =>
      Effect.gen(function* () {
        yield* store.put(key, text("0"))
        const increment = Effect.gen(function* () {
          const { bytes, meta } = yield* store.get(key)
          const next = Number(new TextDecoder().decode(bytes)) + 1
          yield* store.put(key, text(`${next}`), { mode: ObjectStore.update(meta.version) })
        }).pipe(Effect.retry({ while: Errors.hasReason("PreconditionFailed") }))
        yield* Effect.forEach(counting(6), () => Effect.repeat(increment, { times: 3 }), {
          concurrency: "unbounded"
        })
        assertBytes((yield* store.get(key)).bytes, text("24"))
      }))
  } else {
    test("Update is refused with Unsupported and writes nothing", ({ key, store }) =>
      Effect.gen(function* () {
        const version = yield* store.put(key, text("old"))
        yield* expectReason(store.put(key, text("new"), { mode: ObjectStore.update(version) }), "Unsupported")
        assertBytes((yield* store.get(key)).bytes, text("old"))
        yield* store.delete([key])
        yield* expectReason(store.put(key, text("new"), { mode: ObjectStore.update(version) }), "Unsupported")
        assert.isFalse(yield* ObjectStore.exists(store, key))
      }))
  }
}

/** What is kept beside the bytes. */
export const metadata = (test: Test, expected: ObjectStore.Capabilities): void => {
  test(
    expected.metadata ? "user metadata is kept, with names in lower case" : "user metadata is declared as not kept",
    ({ key, store }) =>
      Effect.gen(function* () {
        const metadata = { icechunk_write_id: "1CECHNKREP0F1RSTCMT0", "X-Mixed": "a value, with = and spaces" }
        const kept = { icechunk_write_id: metadata.icechunk_write_id, "x-mixed": metadata["X-Mixed"] }
        yield* store.put(key, text("bytes"), { metadata, contentType: "application/json" })
        const { bytes, meta } = yield* store.get(key)
        assertBytes(bytes, text("bytes"))
        const head = yield* store.head(key)
        for (const seen of [meta, head]) {
          assert.deepStrictEqual({ ...seen.metadata }, expected.metadata ? kept : {})
        }
        yield* store.put(key, text("bytes"))
        assert.deepStrictEqual({ ...(yield* store.head(key)).metadata }, {}, "a put replaces the metadata too")
      })
  )
}

/** Delete and copy. */
export const deletingAndCopying = (test: Test, expected: ObjectStore.Capabilities): void => {
  test("delete removes objects, and a missing one counts as deleted", ({ prefix, store }) =>
    Effect.gen(function* () {
      const keys = ["a", "b", "c/d"].map((name) => prefix + name)
      yield* Effect.forEach(keys, (key) => store.put(key, text("bytes")))
      yield* store.delete([])
      yield* store.delete([keys[0]!, `${prefix}missing`, `${prefix}missing/too`, keys[2]!])
      yield* store.delete([keys[0]!])
      assert.isFalse(yield* ObjectStore.exists(store, keys[0]!))
      assert.isFalse(yield* ObjectStore.exists(store, keys[2]!))
      assertBytes((yield* store.get(keys[1]!)).bytes, text("bytes"))
    }))

  test("copy makes a second object, and replaces one that is there", ({ prefix, store }) =>
    Effect.gen(function* () {
      const from = `${prefix}from`
      const metadata = { icechunk_write_id: "abc" }
      yield* store.put(from, pattern(100), { metadata })
      yield* store.put(`${prefix}old`, text("old"))
      for (const to of [`${prefix}new/place`, `${prefix}old`]) {
        yield* store.copy(from, to)
        const { bytes, meta } = yield* store.get(to)
        assertBytes(bytes, pattern(100))
        assert.deepStrictEqual({ ...meta.metadata }, expected.metadata ? metadata : {})
      }
      yield* store.put(from, text("changed"))
      assertBytes((yield* store.get(`${prefix}old`)).bytes, pattern(100))
    }))

  test("copy with ifMatch copies this version only", ({ prefix, store }) =>
    Effect.gen(function* () {
      const [from, to] = [`${prefix}from`, `${prefix}to`]
      const first = yield* store.put(from, text("first"))
      const second = yield* store.put(from, text("second"))
      yield* expectReason(store.copy(from, to, { ifMatch: first }), "PreconditionFailed")
      assert.isFalse(yield* ObjectStore.exists(store, to))
      yield* store.copy(from, to, { ifMatch: second })
      assertBytes((yield* store.get(to)).bytes, text("second"))
    }))
}

/** Durability that is paid later, where the store has it. */
export const deferring = (test: Test, expected: ObjectStore.Capabilities): void => {
  test("what is deferred is there at once, and can be settled at any time", ({ prefix, store }) =>
    Effect.gen(function* () {
      const writes = DeferredWrites.make()
      const [a, b, c] = ["a", "b/c", "copy"].map((name) => prefix + name) as [string, string, string]
      yield* store.put(a, text("a"), { defer: writes.defer(a) })
      const create = expected.conditionalCreate ? ObjectStore.create : ObjectStore.overwrite
      const version = yield* store.put(b, text("b"), { mode: create, defer: writes.defer(b) })
      yield* store.copy(a, c, { defer: writes.defer(c) })
      assertSameVersion((yield* store.head(b)).version, version)
      for (const [key, bytes] of [
        [a, "a"],
        [b, "b"],
        [c, "a"]
      ] as const) {
        assertBytes((yield* store.get(key)).bytes, text(bytes))
      }
      yield* DeferredWrites.settleAll(writes)
      yield* store.put(a, text("other"), { defer: writes.defer(a) })
      const update = expected.conditionalUpdate ? ObjectStore.update(version) : ObjectStore.overwrite
      yield* store.put(b, text("other"), { mode: update, defer: writes.defer(b) })
      yield* store.copy(a, c, { defer: writes.defer(c) })
      yield* store.delete([b])
      yield* DeferredWrites.settleAll(writes, writes)
      assertBytes((yield* store.get(c)).bytes, text("other"))
    }))

  test("where anything is deferred, a put comes after what it depends on, or not at all", ({ key, prefix, store }) =>
    Effect.gen(function* () {
      let deferred = 0
      const defer: DeferredWrites.Defer = () => {
        deferred++
        return () => undefined
      }
      const old = yield* store.put(`${prefix}old`, text("old"), { defer })
      if (deferred === 0) return
      const reason = new Errors.Unavailable({ because: "the test says so", isLasting: true })
      const error = new Errors.ObjectStoreError({ store: store.description, operation: "put", key: "other", reason })
      const modes = [
        ObjectStore.overwrite,
        ...(expected.conditionalCreate ? [ObjectStore.create] : []),
        ...(expected.conditionalUpdate ? [ObjectStore.update(old)] : [])
      ]
      for (const mode of modes) {
        const into = mode._tag === "Update" ? `${prefix}old` : key
        const before = yield* Effect.result(store.get(into))
        const refused = yield* Effect.flip(store.put(into, text("new"), { mode, after: Effect.fail(error) }))
        assert.strictEqual(refused._tag === "ObjectStoreError" && refused.reason.message, reason.message)
        const seen: Array<boolean> = []
        const look = Effect.map(Effect.result(store.get(into)), (now) => {
          seen.push(
            Result.isSuccess(now) && Result.isSuccess(before)
              ? now.success.meta.version.etag === before.success.meta.version.etag
              : Result.isFailure(now) && Result.isFailure(before)
          )
        })
        yield* look
        yield* store.put(into, text("new"), { mode, after: Effect.andThen(Effect.sleep(20), look) })
        assert.deepStrictEqual(seen, [true, true], `${mode._tag}: as before until then`)
        assertBytes((yield* store.get(into)).bytes, text("new"))
        if (into === key) yield* store.delete([key])
      }
    }))
}

/** Requests that nobody waits for any more, and what errors say. */
export const interruptionAndErrors = (test: Test): void => {
  test("an interrupted get leaves the store usable", ({ key, store }) =>
    Effect.gen(function* () {
      const bytes = pattern(5 * MiB)
      yield* store.put(key, bytes)
      for (const delay of [0, 0, 1, 2, 4, 8]) {
        const fiber = yield* Effect.forkChild(store.get(key))
        yield* delay === 0 ? Effect.yieldNow : Effect.sleep(delay)
        yield* Fiber.interrupt(fiber)
      }
      assertBytes((yield* store.get(key)).bytes, bytes)
    }))

  test("an interrupted put leaves the old object or the new one", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, new Uint8Array(MiB).fill(0))
      for (const [i, delay] of [0, 0, 1, 2, 4, 8, 16].entries()) {
        const fiber = yield* Effect.forkChild(store.put(key, new Uint8Array(MiB).fill(i + 1)))
        yield* delay === 0 ? Effect.yieldNow : Effect.sleep(delay)
        yield* Fiber.interrupt(fiber)
        const { bytes } = yield* store.get(key)
        assert.strictEqual(bytes.length, MiB)
        assert.isTrue(bytes.every((byte) => byte === bytes[0] && byte <= i + 1))
      }
      const version = yield* store.put(key, text("after"))
      const { bytes, meta } = yield* store.get(key)
      assertBytes(bytes, text("after"))
      assertSameVersion(meta.version, version)
    }))

  test("errors name the store, the operation and the key", ({ key, store }) =>
    Effect.gen(function* () {
      const get = yield* expectReason(store.get(key), "NotFound")
      const head = yield* expectReason(store.head(key), "NotFound")
      const copy = yield* expectReason(store.copy(key, `${key}-copy`), "NotFound")
      const put = yield* expectReason(store.put("", text("bytes")), "Unsupported")
      assert.deepStrictEqual(
        [get, head, copy, put].map(({ operation, store }) => ({ operation, store })),
        (["get", "head", "copy", "put"] as const).map((operation) => ({ operation, store: store.description }))
      )
      assert.deepStrictEqual([get.key, head.key, copy.key, put.key], [key, key, key, ""])
      assert.include(get.message, `\`${key}\``)
      assert.isFalse(get.isRetryable)
    }))
}

/** 20 puts at once, of which one wins, and its bytes are what is stored. */
const race = (
  store: ObjectStore.ObjectStoreShape,
  key: string,
  mode: ObjectStore.PutMode,
  losers: Errors.Reason["_tag"]
): Effect.Effect<void, Errors.ObjectStoreError> =>
  Effect.gen(function* () {
    const results = yield* Effect.forEach(
      counting(20),
      (i) => Effect.result(store.put(key, text(`writer ${i}`), { mode })),
      { concurrency: "unbounded" }
    )
    const winners = results.flatMap((result, i) => (Result.isSuccess(result) ? [{ i, version: result.success }] : []))
    assert.lengthOf(winners, 1)
    for (const result of results) {
      if (Result.isFailure(result)) {
        const lost = Errors.hasReason(losers)(result.failure)
        assert.isTrue(lost, `the others fail with ${losers}: ${result.failure.message}`)
      }
    }
    const { bytes, meta } = yield* store.get(key)
    assertBytes(bytes, text(`writer ${winners[0]!.i}`))
    assertSameVersion(meta.version, winners[0]!.version)
  })
