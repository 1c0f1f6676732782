/** What the tests of the conformance suite are made of. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ObjectStore from "../../store/ObjectStore.ts"
import type * as Errors from "../../store/ObjectStoreError.ts"

export const MiB = 1024 * 1024

/** The store, a prefix that no other test uses, and a key below it. */
export interface Space {
  readonly store: ObjectStore.ObjectStoreShape
  readonly prefix: string
  readonly key: string
}

/** Registers a test, in a space of its own. */
export type Test = (behaviour: string, body: (space: Space) => Effect.Effect<void, unknown, Scope.Scope>) => void

/** Opens a space, and deletes what is left in it when the test is over. */
export const openSpace: Effect.Effect<Space, never, ObjectStore.ObjectStore | Scope.Scope> = Effect.gen(function* () {
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

export const expectReason = <A>(
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

export const assertBytes = (actual: Uint8Array, expected: Uint8Array): void => {
  assert.strictEqual(actual.length, expected.length, "number of bytes")
  const at = actual.findIndex((byte, i) => byte !== expected[i])
  if (at >= 0) assert.fail(`byte ${at} is ${actual[at]}, not ${expected[at]}`)
}

export const assertSameVersion = (actual: ObjectStore.Version, expected: ObjectStore.Version): void => {
  assert.isTrue(actual.etag !== undefined || actual.generation !== undefined, "the version names something")
  assert.strictEqual(actual.etag, expected.etag)
  if (actual.generation !== undefined && expected.generation !== undefined) {
    assert.strictEqual(actual.generation, expected.generation)
  }
}

export const text = (text: string): Uint8Array => new TextEncoder().encode(text)

export const counting = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** Bytes without a short period. */
export const pattern = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 255
  return bytes
}
