/** A store that says with each read why it cannot be used. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { ObjectStoreError, type Operation, Unsupported } from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export const make = (options: {
  readonly description: string
  readonly origin: ObjectStore.Origin
  readonly problem: string
  readonly readOnlyBecause: string
}): ObjectStore.ObjectStoreShape => {
  const { description, origin, problem, readOnlyBecause } = options
  const fail = (operation: Operation, key: string): Effect.Effect<never, ObjectStoreError> =>
    Effect.fail(
      new ObjectStoreError({ store: description, operation, key, reason: new Unsupported({ detail: problem }) })
    )
  const forbidden = Effect.fail(new ObjectStore.WriteForbidden({ target: description, because: readOnlyBecause }))
  return {
    description,
    origin,
    capabilities: {
      conditionalCreate: false,
      conditionalUpdate: false,
      conditionalGet: false,
      metadata: false,
      opaqueKeys: false
    },
    readOnlyBecause,
    get: (key) => fail("get", key),
    head: (key) => fail("head", key),
    list: (prefix) => Stream.fromEffect(fail("list", prefix)),
    put: () => forbidden,
    delete: () => forbidden,
    copy: () => forbidden
  }
}
