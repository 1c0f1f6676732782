/**
 * What is written while something else waits: for a store, or for a commit that is under way.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Repository from "../../src/repository/Repository.ts"
import type * as WritableSession from "../../src/repository/WritableSession.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as ZarrMetadata from "../../src/values/ZarrMetadata.ts"
import { inWorld, pattern, worldInMemory as world } from "./Fixture.ts"

const array = (shape: ReadonlyArray<number>) => ({
  shape,
  chunkShape: shape.map(() => 1),
  dataType: "uint8",
  fillValue: 0
})

/** A store whose requests wait at a gate, when it is closed and they are for a key of this kind. */
const gated = (inner: ObjectStore.ObjectStoreShape) => {
  const gate: {
    closedFor: string | undefined
    reached: Deferred.Deferred<void>
    readonly opened: Deferred.Deferred<void>
  } = { closedFor: undefined, reached: Deferred.makeUnsafe(), opened: Deferred.makeUnsafe() }
  const pass = <A, E>(key: string, request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() =>
      gate.closedFor !== undefined && key.startsWith(gate.closedFor)
        ? Effect.andThen(
            Effect.andThen(Deferred.succeed(gate.reached, undefined), Deferred.await(gate.opened)),
            request
          )
        : request
    )
  const store: ObjectStore.ObjectStoreShape = {
    ...inner,
    put: (key, bytes, options) => pass(key, inner.put(key, bytes, options)),
    head: (key) => pass(key, inner.head(key))
  }
  return {
    store,
    /** Requests for keys that start so wait from now on. */
    close: (prefix: string) => {
      gate.closedFor = prefix
    },
    reached: Deferred.await(gate.reached),
    open: Effect.suspend(() => {
      gate.closedFor = undefined
      return Deferred.succeed(gate.opened, undefined)
    })
  }
}

const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

const native = pattern(1000)
const virtual = { location: "s3://bucket/a.nc", offset: 3, length: 4 }

/** Operations that wait for the store before they set anything. */
const waiting: ReadonlyArray<
  readonly [string, string, (session: WritableSession.WritableSession) => Effect.Effect<void, { readonly _tag: string }>]
> = [
  ["a native chunk", "chunks/", (session) => session.setChunk("/a", [2], native)],
  ["a virtual ref", "bucket/", (session) => session.setVirtualRef("/a", [2], virtual, { capture: true })],
  [
    "virtual refs",
    "bucket/",
    (session) =>
      session.setVirtualRefs(
        "/a",
        { indices: Uint32Array.of(2), offsets: [3], lengths: [4], locations: virtual.location },
        { capture: true }
      )
  ]
]

describe("a chunk that waits for its store", () => {
  const meanwhile = (
    prefix: string,
    set: (session: WritableSession.WritableSession) => Effect.Effect<void, { readonly _tag: string }>,
    change: (session: WritableSession.WritableSession) => Effect.Effect<unknown, unknown>
  ) =>
    Effect.gen(function* () {
      const at = yield* world
      yield* at.objects.put("bucket/a.nc", pattern(20))
      const own = gated(at.store)
      const others = gated(at.objects)
      const gate = prefix === "bucket/" ? others : own
      return yield* inWorld({ store: own.store, objects: others.store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ credentialsFallback: "same-endpoint" })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4]))
          yield* session.commit("base")
          gate.close(prefix)
          const fiber = yield* Effect.forkChild(Effect.result(set(session)))
          yield* gate.reached
          yield* Effect.orDie(change(session))
          yield* gate.open
          const result = yield* Fiber.join(fiber)
          return {
            tag: result._tag === "Failure" ? result.failure._tag : undefined,
            ref: yield* Effect.orElseSucceed(session.chunkRef("/a", [2]), () => undefined),
            session,
            committed: yield* Effect.result(session.commit("after"))
          }
        })
      )
    })

  for (const [name, prefix, set] of waiting.slice(0, 1)) {
    it.effect(`is not written into another array that takes the place of its own: ${name}`, () =>
      Effect.gen(function* () {
        const { ref, tag } = yield* meanwhile(prefix, set, (session) =>
          Effect.andThen(session.deleteNode("/a"), session.createArray("/a", array([4])))
        )
        assert.strictEqual(tag, "NodeNotFound")
        assert.isUndefined(ref)
      })
    )

    it.effect(`is refused when its array has shrunk: ${name}`, () =>
      Effect.gen(function* () {
        const { tag } = yield* meanwhile(prefix, set, (session) =>
          session.setMetadata("/a", ZarrMetadata.array(array([2])))
        )
        assert.strictEqual(tag, "InvalidIndex")
      })
    )
  }
})

void settle
