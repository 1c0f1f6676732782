/**
 * A store that says with each read what is wrong, and asks nothing: for platforms, where a container is configured wrongly.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ObjectStore from "./ObjectStore.ts"
import { ObjectStoreError, type Operation, Unsupported } from "./ObjectStoreError.ts"

/**
 * The store. Reads fail with `Unsupported`, and writes with `WriteForbidden`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  store: { readonly description: string; readonly origin: ObjectStore.Origin; readonly readOnlyBecause: string },
  problem: string
): ObjectStore.ObjectStoreShape => {
  const fail = (operation: Operation, key: string): Effect.Effect<never, ObjectStoreError> =>
    Effect.fail(
      new ObjectStoreError({ store: store.description, operation, key, reason: new Unsupported({ detail: problem }) })
    )
  const forbidden = Effect.fail(
    new ObjectStore.WriteForbidden({ target: store.description, because: store.readOnlyBecause })
  )
  return {
    ...store,
    capabilities: {
      conditionalCreate: false,
      conditionalUpdate: false,
      conditionalGet: false,
      metadata: false,
      opaqueKeys: false
    },
    get: (key) => fail("get", key),
    head: (key) => fail("head", key),
    list: (prefix) => Stream.fromEffect(fail("list", prefix)),
    put: () => forbidden,
    delete: () => forbidden,
    copy: () => forbidden
  }
}
