import { assert, describe, it } from "@effect/vitest"
import * as ChunkCache from "@effect-icechunk/core/ChunkCache"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as Session from "@effect-icechunk/core/Session"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Counted, countedWorld, expected, object, setUp } from "./CountedWorld.ts"
import { inWorld, pattern } from "./Fixture.ts"

const credentials = { data: Credentials.anonymous }
const mebibyte = 1024 * 1024

/** A repository whose chunks 0 and 1 are virtual, the first with a checksum. */
const world = Effect.gen(function* () {
  const made = yield* countedWorld
  yield* setUp(made)
  const { version } = yield* made.objects.head("bucket/a")
  yield* inWorld(made)(
    Effect.gen(function* () {
      const session = yield* (yield* Repository.open({ credentials })).writableSession("main")
      const checksum = { _tag: "ETag", etag: version.etag! } as const
      yield* session.setVirtualRef("/array", [0], { location: "s3://bucket/a", offset: 0, length: 1000, checksum })
      yield* session.commit("a checksum")
    })
  )
  return made
})

const withSession = <A, E>(
  made: Parameters<typeof inWorld>[0],
  cache: ChunkCache.ChunkCacheShape,
  use: (session: Session.Session) => Effect.Effect<A, E>,
  options?: Repository.OpenOptions
) =>
  inWorld(made)(
    Effect.gen(function* () {
      const repository = yield* Repository.open({ credentials, ...options })
      return yield* use(yield* repository.readonlySession({ branch: "main" }))
    })
  ).pipe(Effect.provideService(ChunkCache.ChunkCache, cache))

const asked = ({ native, virtual }: Counted): number => native.asked.length + virtual.asked.length

describe("ChunkCache", () => {
  it.effect("serves chunk files and virtual chunks with a checksum, also to another repository object, as copies", () =>
    Effect.gen(function* () {
      const made = yield* world
      const cache = ChunkCache.makeMemory({ maxBytes: mebibyte })
      for (let round = 0; round < 3; round++) {
        yield* withSession(made, cache, (session) =>
          Effect.gen(function* () {
            for (const index of [0, 50]) {
              const bytes = yield* session.chunk("/array", [index])
              assert.deepStrictEqual(bytes, expected(index))
              bytes!.fill(0)
            }
          })
        )
      }
      assert.strictEqual(asked(made), 2)
    })
  )

  it.effect("does not keep virtual chunks without a checksum, nor those whose checksums are not insisted on", () =>
    Effect.gen(function* () {
      const made = yield* world
      const cache = ChunkCache.makeMemory({ maxBytes: mebibyte })
      const twice = (index: number) => (session: Session.Session) =>
        Effect.andThen(session.chunk("/array", [index]), session.chunk("/array", [index]))
      yield* withSession(made, cache, twice(1))
      assert.strictEqual(asked(made), 2)
      yield* withSession(made, cache, twice(0), { checks: "off" })
      yield* withSession(made, cache, twice(0), { checks: "warn" })
      assert.strictEqual(asked(made), 6)
      yield* made.objects.put("bucket/a", object.toReversed())
      assert.deepStrictEqual(
        yield* withSession(made, cache, (session) => session.chunk("/array", [1])),
        object.toReversed().slice(1000, 2000)
      )
    })
  )

  it.effect("keeps nothing of local stores", () =>
    Effect.gen(function* () {
      const counted = yield* world
      const keys: Array<string> = []
      const cache: ChunkCache.ChunkCacheShape = {
        get: () => Effect.succeed(undefined),
        set: (key) => Effect.sync(() => void keys.push(key))
      }
      const remote = {
        ...counted,
        store: { ...counted.store, isLocal: true },
        objects: { ...counted.objects, isLocal: true }
      }
      yield* withSession(remote, cache, (session) =>
        Effect.andThen(session.chunk("/array", [0]), session.chunk("/array", [50]))
      )
      assert.deepStrictEqual(keys, [])
    })
  )

  it.effect("asks the rules of access before it serves", () =>
    Effect.gen(function* () {
      const made = yield* world
      const cache = ChunkCache.makeMemory({ maxBytes: mebibyte })
      const read = (session: Session.Session) => session.chunk("/array", [0])
      yield* withSession(made, cache, read)
      const without = yield* Effect.flip(withSession(made, cache, read, { credentials: {} }))
      assert.strictEqual(without._tag, "MissingCredentials")
      const elsewhere = Credentials.grant({ credentials: Credentials.anonymous, prefixes: ["s3://bucket/other/"] })
      const outside = yield* Effect.flip(withSession(made, cache, read, { credentials: { data: elsewhere } }))
      assert.strictEqual(outside._tag, "MissingCredentials")
    })
  )

  it.effect("reads once what several want, whoever of them leaves, and stops with the last", () =>
    Effect.gen(function* () {
      const made = yield* world
      const cache = ChunkCache.makeMemory({ maxBytes: mebibyte })
      yield* withSession(made, cache, (session) =>
        Effect.gen(function* () {
          const hold = yield* Deferred.make<void>()
          made.native.hold = hold
          const one = Effect.forkChild(session.chunk("/array", [60]))
          const first = yield* one
          while (made.native.underWay === 0) yield* Effect.yieldNow
          const others = [yield* one, yield* one]
          for (let i = 0; i < 5; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(first)
          yield* Deferred.succeed(hold, undefined)
          const [second, third] = yield* Effect.forEach(others, Fiber.join)
          second!.fill(0)
          assert.deepStrictEqual(third, pattern(1000, 60))
          assert.lengthOf(made.native.asked, 1)

          made.native.hold = yield* Deferred.make<void>()
          const alone = yield* Effect.forkChild(session.chunk("/array", [61]))
          while (made.native.underWay === 0) yield* Effect.yieldNow
          yield* Fiber.interrupt(alone)
          for (let i = 0; i < 5; i++) yield* Effect.yieldNow
          assert.strictEqual(made.native.underWay, 0)
        })
      )
    })
  )

  it.effect("does not keep a failure", () =>
    Effect.gen(function* () {
      const made = yield* world
      const cache = ChunkCache.makeMemory({ maxBytes: mebibyte })
      yield* made.objects.delete(["bucket/a"])
      const read = (session: Session.Session) => session.chunk("/array", [0])
      for (let i = 0; i < 2; i++) {
        assert.strictEqual((yield* Effect.flip(withSession(made, cache, read)))._tag, "VirtualObjectNotFound")
      }
      assert.strictEqual(asked(made), 2)
    })
  )
})

describe("ChunkCache.makeMemory", () => {
  const has = (cache: ChunkCache.ChunkCacheShape, key: string) =>
    Effect.map(cache.get(key), (bytes) => bytes !== undefined)

  it.effect("forgets what was used longest ago when it is full", () =>
    Effect.gen(function* () {
      const cache = ChunkCache.makeMemory({ maxBytes: 10_000 })
      for (const key of ["a", "b", "c", "d"]) yield* cache.set(key, new Uint8Array(2000))
      yield* cache.get("a")
      yield* cache.set("e", new Uint8Array(2000))
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b", "c", "d", "e"], (key) => has(cache, key)), [
        true,
        false,
        true,
        true,
        true
      ])
    })
  )

  it.effect(
    "counts the same key once, keys themselves, and buffers behind views; keeps nothing that is too large",
    () =>
      Effect.gen(function* () {
        const cache = ChunkCache.makeMemory({ maxBytes: 10_000 })
        for (let i = 0; i < 20; i++) yield* cache.set("a", new Uint8Array(2000))
        yield* cache.set("b", new Uint8Array(2000))
        assert.isTrue(yield* has(cache, "a"))
        yield* cache.set("large", new Uint8Array(9000))
        assert.isFalse(yield* has(cache, "large"))
        yield* cache.set("view", new Uint8Array(new ArrayBuffer(9000), 0, 10))
        assert.isFalse(yield* has(cache, "view"))
        yield* cache.set("k".repeat(5000), new Uint8Array(1))
        assert.isFalse(yield* has(cache, "k".repeat(5000)))
        assert.isTrue(yield* has(cache, "a"))
      })
  )
})
