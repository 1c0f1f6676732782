/** Keys: listing them, and which there may be. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as ObjectStore from "../../store/ObjectStore.ts"
import * as Errors from "../../store/ObjectStoreError.ts"
import * as ByteRange from "../../values/ByteRange.ts"
import { assertBytes, assertSameVersion, counting, expectReason, pattern, text, type Test } from "./Space.ts"

/** Which keys list finds. */
export const listing = (test: Test, expected: ObjectStore.Capabilities): void => {
  test("list finds the keys that start with a text, also within a segment", ({ prefix, store }) =>
    Effect.gen(function* () {
      const names = ["a.b", "a/b.c", "a/b/c", "a/bc", "ab/c", "b/a", ...(expected.opaqueKeys ? ["a", "a/b"] : [])]
      yield* Effect.forEach(names, (name, i) => store.put(prefix + name, pattern(i)), { concurrency: 4 })
      const listed = (text: string): Effect.Effect<ReadonlyArray<string>, Errors.ObjectStoreError> =>
        Effect.map(Stream.runCollect(store.list(prefix + text)), (found) =>
          found.map(({ key }) => key.slice(prefix.length)).toSorted()
        )
      for (const text of ["", "a", "a/", "a/b", "a/b/", "a.", "ab", "b", "b/a", "c", "a/b/c/", "a/b/cd", "a//", ".."]) {
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
}

/** Unusual keys. */
export const keys = (test: Test, expected: ObjectStore.Capabilities): void => {
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
      const names = ["A", "%41", "%2541", "a b", "a+b", "a%20b", "b%2Fc", "b/c", "caf\u00e9", "cafe\u0301", "e?x", "e"]
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
}

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
