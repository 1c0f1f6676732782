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
import type * as Layer from "effect/Layer"
import * as KeyTests from "../internal/conformance/KeyTests.ts"
import * as ReadTests from "../internal/conformance/ReadTests.ts"
import { openSpace, type Test } from "../internal/conformance/Space.ts"
import * as WriteTests from "../internal/conformance/WriteTests.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import type * as Errors from "../store/ObjectStoreError.ts"

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
    const test: Test = (behaviour, body) => it.effect(behaviour, () => Effect.flatMap(openSpace, body), 60_000)

    test("it declares what it can do, and that it may be written", ({ store }) =>
      Effect.sync(() => {
        assert.deepStrictEqual({ ...store.capabilities }, { ...expected })
        assert.isUndefined(store.readOnlyBecause)
        assert.isNotEmpty(store.description)
        assert.isNotEmpty(store.origin.platform)
      }))
    ReadTests.wholeObjects(test)
    ReadTests.ranges(test)
    ReadTests.missingObjects(test)
    ReadTests.conditionalReads(test)
    WriteTests.conditionalWrites(test, expected)
    WriteTests.metadata(test, expected)
    WriteTests.deletingAndCopying(test, expected)
    WriteTests.deferring(test, expected)
    WriteTests.interruptionAndErrors(test)
    KeyTests.listing(test, expected)
    KeyTests.keys(test, expected)
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
          store.put("key", new Uint8Array(1)),
          store.put("key", new Uint8Array(1), { mode: ObjectStore.create }),
          store.put("key", new Uint8Array(1), { mode: ObjectStore.update({ etag: '"0"' }) }),
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
