/** Reading: whole objects, ranges, missing objects, conditions. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ObjectStore from "../../store/ObjectStore.ts"
import * as ByteRange from "../../values/ByteRange.ts"
import { assertBytes, assertSameVersion, counting, expectReason, MiB, pattern, text, type Test } from "./Space.ts"

/** What is put is what get and head return. */
export const wholeObjects = (test: Test): void => {
  test("get and head return what was put", ({ key, store }) =>
    Effect.gen(function* () {
      const bytes = pattern(1000)
      const version = yield* store.put(key, bytes)
      const { bytes: read, meta, span } = yield* store.get(key)
      assertBytes(read, bytes)
      assert.deepStrictEqual({ ...span }, { start: 0, end: 1000 })
      const head = yield* store.head(key)
      for (const seen of [meta, head]) {
        assert.strictEqual(seen.key, key)
        assert.strictEqual(seen.size, 1000)
        assertSameVersion(seen.version, version)
        assert.isBelow(Math.abs((seen.lastModified ?? 0) - Date.now()), 24 * 3600 * 1000, "lastModified is about now")
      }
    }))

  test("an empty object is an object", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, new Uint8Array(0))
      const { bytes, meta, span } = yield* store.get(key)
      assert.strictEqual(bytes.length, 0)
      assert.strictEqual(meta.size, 0)
      assert.deepStrictEqual({ ...span }, { start: 0, end: 0 })
      assert.strictEqual((yield* store.head(key)).size, 0)
    }))

  test("an object of 5 MiB comes back whole and in parts", ({ key, store }) =>
    Effect.gen(function* () {
      const bytes = pattern(5 * MiB + 17)
      yield* store.put(key, bytes)
      assertBytes((yield* store.get(key)).bytes, bytes)
      const part = yield* store.get(key, { range: ByteRange.bounded(3 * MiB - 5, MiB + 9) })
      assertBytes(part.bytes, bytes.subarray(3 * MiB - 5, 4 * MiB + 4))
      assert.strictEqual(part.meta.size, bytes.length)
    }))

  test("a put replaces the object and changes its version", ({ key, store }) =>
    Effect.gen(function* () {
      const first = yield* store.put(key, pattern(10))
      const second = yield* store.put(key, text("second"), { mode: ObjectStore.overwrite })
      const { bytes, meta } = yield* store.get(key)
      assertBytes(bytes, text("second"))
      assertSameVersion(meta.version, second)
      assert.notDeepEqual(second, first)
    }))

  test("stored bytes are not those of the caller's buffers", ({ key, store }) =>
    Effect.gen(function* () {
      const bytes = text("kept")
      yield* store.put(key, bytes)
      bytes.fill(0)
      const { bytes: read } = yield* store.get(key)
      assertBytes(read, text("kept"))
      read.fill(0)
      assertBytes((yield* store.get(key)).bytes, text("kept"))
    }))

  test("a view into a larger buffer is stored as the view", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, text("before|view|after").subarray(7, 11))
      assertBytes((yield* store.get(key)).bytes, text("view"))
    }))

  test("readers see the old object or the new one, never a mixture", ({ key, store }) =>
    Effect.gen(function* () {
      const size = MiB
      yield* store.put(key, new Uint8Array(size).fill(0))
      const writer = yield* Effect.forkChild(
        Effect.forEach(counting(8), (i) => store.put(key, new Uint8Array(size).fill(i + 1)))
      )
      yield* Effect.forEach(counting(12), () =>
        Effect.map(store.get(key), ({ bytes, meta }) => {
          assert.strictEqual(bytes.length, size)
          assert.strictEqual(meta.size, size)
          assert.isTrue(bytes.every((byte) => byte === bytes[0]))
        })
      )
      yield* Fiber.join(writer)
      assert.strictEqual((yield* store.get(key)).bytes[0], 8)
    }))
}

/** Parts of objects. */
export const ranges = (test: Test): void => {
  test("ranges are exact: bounded, from an offset, and suffix", ({ key, store }) =>
    Effect.gen(function* () {
      const bytes = pattern(300)
      yield* store.put(key, bytes)
      const ranges: ReadonlyArray<readonly [ByteRange.ByteRange, number, number]> = [
        [ByteRange.bounded(0, 300), 0, 300],
        [ByteRange.bounded(0, 1), 0, 1],
        [ByteRange.bounded(299, 1), 299, 300],
        [ByteRange.bounded(17, 200), 17, 217],
        [ByteRange.from(0), 0, 300],
        [ByteRange.from(299), 299, 300],
        [ByteRange.suffix(1), 299, 300],
        [ByteRange.suffix(300), 0, 300]
      ]
      for (const [range, start, end] of ranges) {
        const { bytes: part, meta, span } = yield* store.get(key, { range })
        assertBytes(part, bytes.subarray(start, end))
        assert.deepStrictEqual({ ...span }, { start, end })
        assert.strictEqual(meta.size, 300, "the size is that of the whole object")
      }
    }))

  test("a suffix longer than the object is the whole object", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, pattern(30))
      const { bytes, span } = yield* store.get(key, { range: ByteRange.suffix(1000) })
      assertBytes(bytes, pattern(30))
      assert.deepStrictEqual({ ...span }, { start: 0, end: 30 })
    }))

  test("a range of no bytes within the object is empty", ({ key, store }) =>
    Effect.gen(function* () {
      const version = yield* store.put(key, pattern(30))
      const ranges: ReadonlyArray<readonly [ByteRange.ByteRange, number]> = [
        [ByteRange.bounded(0, 0), 0],
        [ByteRange.bounded(10, 0), 10],
        [ByteRange.bounded(30, 0), 30],
        [ByteRange.from(30), 30],
        [ByteRange.suffix(0), 30]
      ]
      for (const [range, at] of ranges) {
        const { bytes, meta, span } = yield* store.get(key, { range })
        assert.strictEqual(bytes.length, 0)
        assert.deepStrictEqual({ ...span }, { start: at, end: at })
        assert.strictEqual(meta.size, 30)
        assertSameVersion(meta.version, version)
      }
    }))

  test("an empty object has its empty ranges and no others", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, new Uint8Array(0))
      for (const range of [ByteRange.bounded(0, 0), ByteRange.from(0), ByteRange.suffix(0), ByteRange.suffix(5)]) {
        const { bytes, meta } = yield* store.get(key, { range })
        assert.strictEqual(bytes.length, 0)
        assert.strictEqual(meta.size, 0)
      }
      yield* expectReason(store.get(key, { range: ByteRange.bounded(0, 1) }), "InvalidRange")
    }))

  test("a range past the end fails with InvalidRange, never a shorter answer", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, pattern(30))
      for (const range of [
        ByteRange.bounded(0, 31),
        ByteRange.bounded(29, 2),
        ByteRange.bounded(30, 1),
        ByteRange.bounded(31, 0),
        ByteRange.bounded(1000, 10),
        ByteRange.from(31),
        ByteRange.from(1000)
      ]) {
        const error = yield* expectReason(store.get(key, { range }), "InvalidRange")
        if (error.reason._tag === "InvalidRange" && error.reason.size !== undefined) {
          assert.strictEqual(error.reason.size, 30)
        }
      }
    }))

  test("a malformed range fails with InvalidRange", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, pattern(30))
      for (const range of [
        ByteRange.bounded(-1, 2),
        ByteRange.bounded(1, -1),
        ByteRange.bounded(0.5, 2),
        ByteRange.bounded(Number.NaN, 2),
        ByteRange.bounded(Number.MAX_SAFE_INTEGER, 2),
        ByteRange.from(-1),
        ByteRange.from(Number.POSITIVE_INFINITY),
        ByteRange.suffix(-1),
        ByteRange.suffix(1.5)
      ]) {
        yield* expectReason(store.get(key, { range }), "InvalidRange")
      }
    }))
}

/** What is not there. */
export const missingObjects = (test: Test): void => {
  test("a missing object fails with NotFound", ({ key, store }) =>
    Effect.gen(function* () {
      yield* expectReason(store.get(key), "NotFound")
      yield* expectReason(store.get(key, { range: ByteRange.bounded(0, 10) }), "NotFound")
      yield* expectReason(store.get(key, { range: ByteRange.bounded(5, 0) }), "NotFound")
      yield* expectReason(store.get(key, { range: ByteRange.suffix(10) }), "NotFound")
      yield* expectReason(store.head(key), "NotFound")
      yield* expectReason(store.copy(key, `${key}-copy`), "NotFound")
      assert.isFalse(yield* ObjectStore.exists(store, key))
      assert.isFalse(yield* ObjectStore.exists(store, `${key}-copy`))
    }))

  test("a part of a key is no object", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(`${key}/child`, text("child"))
      yield* expectReason(store.get(key), "NotFound")
      yield* expectReason(store.head(key), "NotFound")
      yield* expectReason(store.get(`${key}/chil`), "NotFound")
      yield* expectReason(store.get(`${key}/child/grandchild`), "NotFound")
      yield* store.delete([key])
      assert.isTrue(yield* ObjectStore.exists(store, `${key}/child`))
    }))
}

/** Reads of a certain version only. */
export const conditionalReads = (test: Test): void => {
  test("get with ifMatch reads this ETag only, with and without quotes and `W/`", ({ key, store }) =>
    Effect.gen(function* () {
      const first = yield* store.put(key, text("first"))
      const second = yield* store.put(key, text("second"))
      const etag = second.etag ?? assert.fail("put returns an ETag")
      const opaque = etag.replace(/^W\//, "").replace(/^"(.*)"$/, "$1")
      for (const ifMatch of [etag, opaque, `"${opaque}"`, `W/"${opaque}"`]) {
        assertBytes((yield* store.get(key, { ifMatch })).bytes, text("second"))
        const part = yield* store.get(key, { ifMatch, range: ByteRange.bounded(1, 2) })
        assertBytes(part.bytes, text("ec"))
      }
      for (const ifMatch of [first.etag ?? "0000", '"0000"', "0000"]) {
        yield* expectReason(store.get(key, { ifMatch }), "PreconditionFailed")
        yield* expectReason(store.get(key, { ifMatch, range: ByteRange.bounded(1, 2) }), "PreconditionFailed")
        yield* expectReason(store.get(key, { ifMatch, range: ByteRange.bounded(1, 0) }), "PreconditionFailed")
      }
    }))

  test("get with ifNoneMatch fails with NotModified for this ETag, with and without quotes and `W/`", ({
    key,
    store
  }) =>
    Effect.gen(function* () {
      const first = yield* store.put(key, text("first"))
      const second = yield* store.put(key, text("second"))
      const etag = second.etag ?? assert.fail("put returns an ETag")
      const opaque = etag.replace(/^W\//, "").replace(/^"(.*)"$/, "$1")
      for (const ifNoneMatch of [etag, opaque, `"${opaque}"`, `W/"${opaque}"`]) {
        const error = yield* expectReason(store.get(key, { ifNoneMatch }), "NotModified")
        assert.isFalse(error.isRetryable)
        yield* expectReason(store.get(key, { ifNoneMatch, range: ByteRange.bounded(1, 2) }), "NotModified")
        yield* expectReason(store.get(key, { ifNoneMatch, range: ByteRange.bounded(1, 0) }), "NotModified")
      }
      for (const ifNoneMatch of [first.etag ?? "0000", '"0000"', "0000"]) {
        const { bytes, meta } = yield* store.get(key, { ifNoneMatch })
        assertBytes(bytes, text("second"))
        assertSameVersion(meta.version, second)
        assertBytes((yield* store.get(key, { ifNoneMatch, range: ByteRange.bounded(1, 2) })).bytes, text("ec"))
      }
      yield* expectReason(store.get(key, { ifNoneMatch: etag, ifMatch: '"0000"' }), "PreconditionFailed")
      yield* store.delete([key])
      yield* expectReason(store.get(key, { ifNoneMatch: etag }), "NotFound")
    }))

  test("get with maxBytes reads no more, and says how many bytes there are", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, text("bytes"))
      assertBytes((yield* store.get(key, { maxBytes: 5 })).bytes, text("bytes"))
      assertBytes((yield* store.get(key, { maxBytes: 2, range: ByteRange.bounded(1, 2) })).bytes, text("yt"))
      const error = yield* expectReason(store.get(key, { maxBytes: 4 }), "Unsupported")
      assert.include(error.message, "5 bytes")
      yield* expectReason(store.get(key, { maxBytes: 2, range: ByteRange.bounded(1, 3) }), "Unsupported")
    }))

  test("get with ifUnmodifiedSince reads objects that are not newer", ({ key, store }) =>
    Effect.gen(function* () {
      yield* store.put(key, text("bytes"))
      const { lastModified = assert.fail("head returns the time of the last change") } = yield* store.head(key)
      const second = Math.ceil(lastModified / 1000) * 1000
      for (const ifUnmodifiedSince of [second, second + 60_000]) {
        assertBytes((yield* store.get(key, { ifUnmodifiedSince })).bytes, text("bytes"))
      }
      yield* expectReason(store.get(key, { ifUnmodifiedSince: second - 60_000 }), "PreconditionFailed")
      yield* expectReason(
        store.get(key, { ifUnmodifiedSince: second - 60_000, range: ByteRange.suffix(2) }),
        "PreconditionFailed"
      )
    }))
}
