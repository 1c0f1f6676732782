/**
 * What every object store must do, as tests: the promises of `ObjectStoreShape`, one test for each.
 *
 * ```ts
 * import * as ObjectStoreConformance from "@effect-icechunk/core/testing/ObjectStoreConformance"
 *
 * ObjectStoreConformance.suite("MyObjectStore", MyObjectStore.layer({ bucket: "test" }))
 * ```
 *
 * Needs the optional peer dependency `@effect/vitest`. Every test writes below a prefix of its own and
 * deletes what it wrote, so that one bucket serves all tests, also at the same time. Tests run with the
 * real clock.
 *
 * @since 0.1.0
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ObjectStore from "../store/ObjectStore.ts"
import * as Errors from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"

/**
 * Registers the tests of a store that may be written. `capabilities` names what the store lacks, as in
 * `{ metadata: false }`; the store must declare exactly that, and must refuse what it lacks.
 *
 * @category testing
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  store: Layer.Layer<ObjectStore.ObjectStore, E>,
  capabilities?: Partial<ObjectStore.Capabilities>
): void => {
  const expected: ObjectStore.Capabilities = {
    conditionalCreate: true,
    conditionalUpdate: true,
    conditionalGet: true,
    metadata: true,
    opaqueKeys: true,
    ...capabilities
  }

  layer(store, { excludeTestServices: true, timeout: "60 seconds" })(name, (it) => {
    const test = (behaviour: string, body: (space: Space) => Effect.Effect<void, unknown, Scope.Scope>): void =>
      it.effect(behaviour, () => Effect.flatMap(openSpace, body), 60_000)

    test("it declares what it can do, and that it may be written", ({ store }) =>
      Effect.sync(() => {
        assert.deepStrictEqual({ ...store.capabilities }, { ...expected })
        assert.isUndefined(store.readOnlyBecause)
        assert.isNotEmpty(store.description)
        assert.isNotEmpty(store.origin.platform)
      }))

    // Whole objects

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

    // Ranges

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

    // Missing objects

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

    // Conditional writes

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
          yield* expectReason(
            store.put(key, text("second"), { mode: ObjectStore.update(version) }),
            "PreconditionFailed"
          )
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

    // Conditional reads

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

    // Metadata

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

    // Listing

    test("list finds the keys that start with a text, also within a segment", ({ prefix, store }) =>
      Effect.gen(function* () {
        const names = ["a.b", "a/b.c", "a/b/c", "a/bc", "ab/c", "b/a", ...(expected.opaqueKeys ? ["a", "a/b"] : [])]
        yield* Effect.forEach(names, (name, i) => store.put(prefix + name, pattern(i)), { concurrency: 4 })
        const listed = (text: string): Effect.Effect<ReadonlyArray<string>, Errors.ObjectStoreError> =>
          Effect.map(Stream.runCollect(store.list(prefix + text)), (found) =>
            found.map(({ key }) => key.slice(prefix.length)).toSorted()
          )
        for (const text of [
          "",
          "a",
          "a/",
          "a/b",
          "a/b/",
          "a.",
          "ab",
          "b",
          "b/a",
          "c",
          "a/b/c/",
          "a/b/cd",
          "a//",
          ".."
        ]) {
          assert.deepStrictEqual(
            yield* listed(text),
            names.filter((name) => name.startsWith(text)).toSorted(),
            `keys with prefix \`${text}\``
          )
        }
      }))

    test("list tells size, version and time of each object", ({ prefix, store }) =>
      Effect.gen(function* () {
        const version = yield* store.put(`${prefix}a`, pattern(12))
        const found = yield* Stream.runCollect(store.list(prefix))
        assert.lengthOf(found, 1)
        const head = yield* store.head(`${prefix}a`)
        assert.strictEqual(found[0]!.size, 12)
        assertSameVersion(found[0]!.version, version)
        const drift = Math.abs((found[0]!.lastModified ?? Number.NaN) - (head.lastModified ?? Number.NaN))
        assert.isBelow(drift, 1000, "the time is that of head")
      }))

    test("the empty prefix lists the whole store", ({ key, store }) =>
      Effect.gen(function* () {
        yield* store.put(key, text("bytes"))
        const found = yield* store.list("").pipe(
          Stream.filter((meta) => meta.key === key),
          Stream.take(1),
          Stream.runCollect
        )
        assert.lengthOf(found, 1)
      }))

    test("more than 1,000 objects are listed once each, and deleted at once", ({ prefix, store }) =>
      Effect.gen(function* () {
        const keys = counting(1050).map((i) => `${prefix}${i % 7}/${i}`)
        yield* Effect.forEach(keys, (key) => store.put(key, text("x")), { concurrency: 24, discard: true })
        const found = yield* Stream.runCollect(store.list(prefix))
        assert.deepStrictEqual(found.map(({ key }) => key).toSorted(), [...keys].toSorted())
        const some = yield* store.list(prefix).pipe(Stream.take(3), Stream.runCollect)
        assert.lengthOf(some, 3)
        yield* store.delete(keys)
        assert.lengthOf(yield* Stream.runCollect(store.list(prefix)), 0)
      }))

    // Deleting and copying

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

    // Keys

    for (const [what, name] of oddKeys) {
      test(`a key may hold ${what}`, ({ prefix, store }) =>
        roundTrip(store, prefix, prefix + name).pipe(
          Effect.andThen(store.copy(prefix + name, `${prefix}copy`)),
          Effect.andThen(store.get(`${prefix}copy`)),
          Effect.andThen(store.delete([prefix + name])),
          Effect.andThen(ObjectStore.exists(store, prefix + name)),
          Effect.map((exists) => assert.isFalse(exists))
        ))
    }

    test("keys that decode or normalise to the same text are different keys", ({ prefix, store }) =>
      Effect.gen(function* () {
        const names = [
          "A",
          "%41",
          "%2541",
          "a b",
          "a+b",
          "a%20b",
          "b%2Fc",
          "b/c",
          "caf\u00e9",
          "cafe\u0301",
          "e?x",
          "e"
        ]
        yield* Effect.forEach(names, (name) => store.put(prefix + name, text(name)))
        for (const name of names) assertBytes((yield* store.get(prefix + name)).bytes, text(name))
        const found = yield* Stream.runCollect(store.list(prefix))
        assert.deepStrictEqual(found.map(({ key }) => key.slice(prefix.length)).toSorted(), [...names].toSorted())
      }))

    if (expected.opaqueKeys) {
      test("empty, `.` and `..` segments, a first and a last `/` are ordinary in keys", ({ prefix, store }) =>
        Effect.gen(function* () {
          const names = ["a/b", "a//b", "a/./b", "a/../b", "./a/b", "../a/b", "b", "a/b/", "a/b//", "a/b/.", "a/b/.."]
          yield* Effect.forEach(names, (name) => store.put(prefix + name, text(name)))
          for (const name of names) assertBytes((yield* store.get(prefix + name)).bytes, text(name))
          const found = yield* Stream.runCollect(store.list(prefix))
          assert.deepStrictEqual(found.map(({ key }) => key.slice(prefix.length)).toSorted(), [...names].toSorted())
          const absolute = `/${prefix}a`
          yield* store.put(absolute, text("absolute"))
          assertBytes((yield* store.get(absolute)).bytes, text("absolute"))
          assert.isFalse(yield* ObjectStore.exists(store, `${prefix}a`))
          yield* store.delete([absolute])
        }))
    } else {
      test("a key with an empty, `.` or `..` segment is refused or is a key of its own", ({ prefix, store }) =>
        Effect.gen(function* () {
          yield* store.put(`${prefix}a/b`, text("plain"))
          yield* store.put(`${prefix}b`, text("plain"))
          const names = ["a//b", "a/./b", "a/../b", "./a/b", "a/b/", "a/b/."].map((name) => prefix + name)
          for (const key of [...names, `/${prefix}a/b`, `${prefix}../${prefix}a/b`]) {
            const written = yield* Effect.result(store.put(key, text(key)))
            if (Result.isFailure(written)) {
              assert.isTrue(Errors.hasReason("Unsupported")(written.failure), `put of \`${key}\` fails as Unsupported`)
              assert.isTrue(Exit.isFailure(yield* Effect.exit(store.get(key))))
              assert.isTrue(Exit.isFailure(yield* Effect.exit(store.copy(`${prefix}b`, key))))
              // Whether a key that cannot exist counts as deleted is up to the store.
              yield* Effect.exit(store.delete([key]))
            } else {
              assertBytes((yield* store.get(key)).bytes, text(key))
              yield* store.delete([key])
            }
            assertBytes((yield* store.get(`${prefix}a/b`)).bytes, text("plain"))
            assertBytes((yield* store.get(`${prefix}b`)).bytes, text("plain"))
          }
        }))
    }

    test("the empty key is refused with Unsupported by every request", ({ key, store }) =>
      Effect.gen(function* () {
        yield* store.put(key, text("bytes"))
        yield* expectReason(store.get(""), "Unsupported")
        yield* expectReason(store.put("", text("bytes")), "Unsupported")
        yield* expectReason(store.head(""), "Unsupported")
        yield* expectReason(store.delete([""]), "Unsupported")
        yield* expectReason(store.copy("", key), "Unsupported")
        yield* expectReason(store.copy(key, ""), "Unsupported")
        assertBytes((yield* store.get(key)).bytes, text("bytes"))
      }))

    // Interruption and errors

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
  })
}

/**
 * Registers the tests of a store that is read-only: every write fails with `WriteForbidden`, which says why,
 * before any request. Give it a store whose backend is unreachable to see that the latter holds.
 *
 * @category testing
 * @since 0.1.0
 */
export const readOnlySuite = <E>(name: string, store: Layer.Layer<ObjectStore.ObjectStore, E>): void =>
  layer(store, { excludeTestServices: true, timeout: "60 seconds" })(name, (it) => {
    it.effect("every write fails with WriteForbidden, which says why", () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore.ObjectStore
        const because = store.readOnlyBecause ?? assert.fail("a read-only store says why")
        const writes: ReadonlyArray<Effect.Effect<unknown, Errors.ObjectStoreError | ObjectStore.WriteForbidden>> = [
          store.put("key", text("bytes")),
          store.put("key", text("bytes"), { mode: ObjectStore.create }),
          store.put("key", text("bytes"), { mode: ObjectStore.update({ etag: '"0"' }) }),
          store.delete(["key"]),
          store.copy("key", "other")
        ]
        for (const write of writes) {
          const error = yield* Effect.flip(write)
          assert.instanceOf(error, ObjectStore.WriteForbidden)
          if (error._tag === "WriteForbidden") {
            assert.strictEqual(error.target, store.description)
            assert.strictEqual(error.because, because)
            assert.include(error.message, because)
          }
        }
      })
    )
  })

// -----------------------------------------------------------------------------
// What the tests are made of
// -----------------------------------------------------------------------------

const MiB = 1024 * 1024

/** The store, a prefix that no other test uses, and a key below it. */
interface Space {
  readonly store: ObjectStore.ObjectStoreShape
  readonly prefix: string
  readonly key: string
}

/** Opens a space, and deletes what is left in it when the test is over. */
const openSpace: Effect.Effect<Space, never, ObjectStore.ObjectStore | Scope.Scope> = Effect.gen(function* () {
  const store = yield* ObjectStore.ObjectStore
  const prefix = `conformance-${globalThis.crypto.randomUUID()}/`
  yield* Effect.addFinalizer(() =>
    Stream.runCollect(store.list(prefix)).pipe(
      Effect.flatMap((left) => store.delete(left.map(({ key }) => key))),
      Effect.ignore
    )
  )
  return { store, prefix, key: `${prefix}key` }
})

const oddKeys: ReadonlyArray<readonly [what: string, name: string]> = [
  ["spaces", "a key with  spaces"],
  ["letters beyond ASCII", "\u00fcn\u00efc\u00f6d\u00e9/\u96ea/\u{1f9ca}"],
  ["`%`", "100%/%zz/%2F/%"],
  ["`?`", "a?b=c&d=e"],
  ["`#`", "a#b/c#d"],
  ["`+`", "1+1=2"],
  ["punctuation", "it's (a) [key], {so}; to: $peak! @~^`|*&=<\">"],
  ["a dot in front", ".hidden/.key"],
  ["three dots", ".../..a/b.."],
  [
    "900 bytes",
    `${"long-".repeat(30)}/${"\u00e9".repeat(100)}/${"x".repeat(200)}/${"y".repeat(200)}/${"z".repeat(145)}`
  ]
]

const roundTrip = (
  store: ObjectStore.ObjectStoreShape,
  prefix: string,
  key: string
): Effect.Effect<void, Errors.ObjectStoreError | ObjectStore.WriteForbidden> =>
  Effect.gen(function* () {
    const version = yield* store.put(key, text(key))
    const { bytes, meta } = yield* store.get(key)
    assertBytes(bytes, text(key))
    assert.strictEqual(meta.key, key)
    assertSameVersion((yield* store.head(key)).version, version)
    const part = yield* store.get(key, { range: ByteRange.bounded(0, 5) })
    assertBytes(part.bytes, text(key).subarray(0, 5))
    for (const start of [prefix, key]) {
      const found = yield* Stream.runCollect(store.list(start))
      assert.deepStrictEqual(
        found.map((meta) => meta.key),
        [key]
      )
    }
  })

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

const expectReason = <A>(
  request: Effect.Effect<A, Errors.ObjectStoreError | ObjectStore.WriteForbidden>,
  tag: Errors.Reason["_tag"]
): Effect.Effect<Errors.ObjectStoreError> =>
  Effect.map(Effect.result(request), (result) => {
    if (Result.isSuccess(result)) return assert.fail(`expected ${tag}, got an answer`)
    const error = result.failure
    if (error._tag !== "ObjectStoreError") return assert.fail(`expected ${tag}, got ${error._tag}: ${error.message}`)
    assert.strictEqual(error.reason._tag, tag, error.message)
    return error
  })

const assertBytes = (actual: Uint8Array, expected: Uint8Array): void => {
  assert.strictEqual(actual.length, expected.length, "number of bytes")
  const at = actual.findIndex((byte, i) => byte !== expected[i])
  if (at >= 0) assert.fail(`byte ${at} is ${actual[at]}, not ${expected[at]}`)
}

const assertSameVersion = (actual: ObjectStore.Version, expected: ObjectStore.Version): void => {
  assert.isTrue(actual.etag !== undefined || actual.generation !== undefined, "the version names something")
  assert.strictEqual(actual.etag, expected.etag)
  if (actual.generation !== undefined && expected.generation !== undefined) {
    assert.strictEqual(actual.generation, expected.generation)
  }
}

const text = (text: string): Uint8Array => new TextEncoder().encode(text)

const counting = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** Bytes without a short period. */
const pattern = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 255
  return bytes
}
