/**
 * What is written while something else waits: for a store, or for a commit that is under way.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Fiber from "effect/Fiber"
import * as Repository from "../../src/repository/Repository.ts"
import type * as WritableSession from "../../src/repository/WritableSession.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as ZarrMetadata from "../../src/values/ZarrMetadata.ts"
import * as Credentials from "../../src/values/Credentials.ts"
import { inWorld, pattern, worldInMemory as world } from "./Fixture.ts"
import { array } from "./Sessions.ts"

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
  readonly [
    string,
    string,
    (session: WritableSession.WritableSession) => Effect.Effect<void, { readonly _tag: string }>
  ]
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
          const repository = yield* Repository.create({ credentials: { s3: Credentials.anonymous } })
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

  for (const [name, prefix, set] of waiting) {
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
          session.setMetadata("/a", Result.getOrThrow(ZarrMetadata.array("/", array([2]))))
        )
        assert.strictEqual(tag, "InvalidIndex")
      })
    )
  }
})

it.effect("columns and bytes that are given are copied before anything waits", () =>
  Effect.gen(function* () {
    const at = yield* world
    yield* at.objects.put("bucket/a.nc", pattern(20))
    const others = gated(at.objects)
    const own = gated(at.store)
    yield* inWorld({ store: own.store, objects: others.store })(
      Effect.gen(function* () {
        const repository = yield* Repository.create({ credentials: { s3: Credentials.anonymous } })
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", array([4]))
        const refs = {
          indices: Uint32Array.of(0, 1),
          offsets: Float64Array.of(3, 4),
          lengths: Uint32Array.of(4, 5),
          locations: { values: [virtual.location], ids: Uint32Array.of(0, 0) }
        }
        others.close("bucket/")
        const bulk = yield* Effect.forkChild(session.setVirtualRefs("/a", refs, { capture: true }))
        yield* others.reached
        for (const column of [refs.indices, refs.offsets, refs.lengths, refs.locations.ids]) column.fill(3)
        refs.locations.values[0] = "s3://bucket/other.nc"
        yield* others.open
        yield* Fiber.join(bulk)
        own.close("manifests/")
        const commit = yield* Effect.forkChild(session.commit("refs"))
        yield* own.reached
        const bytes = Buffer.from([1, 2])
        const index = [2]
        const set = yield* Effect.forkChild(session.setChunk("/a", index, bytes))
        yield* settle
        bytes.fill(9)
        index.fill(3)
        yield* own.open
        yield* Fiber.join(commit)
        yield* Fiber.join(set)
        assert.deepStrictEqual(yield* session.chunk("/a", [0]), pattern(20).subarray(3, 7))
        assert.deepStrictEqual(yield* session.chunk("/a", [1]), pattern(20).subarray(4, 9))
        assert.deepStrictEqual(yield* session.chunk("/a", [2]), Uint8Array.of(1, 2))
        assert.isUndefined(yield* session.chunk("/a", [3]))
      })
    )
  })
)

describe("what is written during a commit", () => {
  /** Runs changes while a commit waits to put a file of this kind, and commits again. */
  const during = (prefix: string) =>
    Effect.gen(function* () {
      const at = yield* world
      const gate = gated(at.store)
      yield* inWorld({ ...at, store: gate.store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ credentials: { s3: Credentials.anonymous } })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([8]))
          for (const i of [0, 1, 6]) yield* session.setChunk("/a", [i], Uint8Array.of(i))
          yield* session.commit("base")
          yield* session.setChunk("/a", [0], Uint8Array.of(100))
          gate.close(prefix)
          const commit = yield* Effect.forkChild(session.commit("first"))
          yield* gate.reached
          const writes: ReadonlyArray<Effect.Effect<void, unknown>> = [
            session.setChunk("/a", [0], Uint8Array.of(101)),
            session.setChunk("/a", [2], native),
            session.deleteChunk("/a", [1]),
            session.setVirtualRef("/a", [3], virtual),
            session.setVirtualRefs("/a", {
              indices: Uint32Array.of(4, 5),
              offsets: [0, 1],
              lengths: [1, 1],
              locations: virtual.location
            }),
            session.createGroup("/g"),
            session.setMetadata(
              "/a",
              Result.getOrThrow(ZarrMetadata.array("/", { ...array([8]), attributes: { later: true } }))
            )
          ]
          const fibers = yield* Effect.forEach(writes, (write) => Effect.forkChild(Effect.orDie(write)))
          yield* settle
          // Nobody writes to changes that a commit has taken.
          for (const fiber of fibers) assert.isUndefined(fiber.pollUnsafe())
          yield* gate.open
          const first = yield* Fiber.join(commit)
          yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
          const second = yield* session.commit("second")
          const seen = (snapshotId: string) =>
            Effect.gen(function* () {
              const version = yield* repository.readonlySession({ snapshotId })
              const refs = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6], (i) => version.chunkRef("/a", [i]))
              return {
                refs: refs.map((ref) => (ref?._tag === "Inline" ? ref.bytes[0] : ref?._tag)),
                nodes: (yield* version.nodes()).map(({ path }) => String(path)),
                isLater: new TextDecoder().decode((yield* version.node("/a")).userData).includes("later")
              }
            })
          assert.deepStrictEqual(yield* seen(first), {
            refs: [100, 1, undefined, undefined, undefined, undefined, 6],
            nodes: ["/a"],
            isLater: false
          })
          assert.deepStrictEqual(yield* seen(second), {
            refs: [101, undefined, "Native", "Virtual", "Virtual", "Virtual", 6],
            nodes: ["/a", "/g"],
            isLater: true
          })
        })
      )
    })

  for (const prefix of ["manifests/", "transactions/", "snapshots/", "repo"]) {
    it.effect(`is in the next one, while it writes \`${prefix}\``, () => during(prefix))
  }

  it.effect("a native chunk whose object was under way when it began is in the next one", () =>
    Effect.gen(function* () {
      const at = yield* world
      const gate = gated(at.store)
      yield* inWorld({ ...at, store: gate.store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4]))
          gate.close("chunks/")
          const set = yield* Effect.forkChild(session.setChunk("/a", [1], native))
          yield* gate.reached
          yield* session.commit("without it")
          yield* gate.open
          yield* Fiber.join(set)
          const id = yield* session.commit("with it")
          const version = yield* repository.readonlySession({ snapshotId: id })
          assert.deepStrictEqual(yield* version.chunk("/a", [1]), native)
        })
      )
    })
  )
})
