/**
 * Streams of many chunks, and reads of many chunks at once, over stores that count.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Session from "@effect-icechunk/core/Session"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Observed from "../Observed.ts"
import { countedWorld, credentials, expected, inSession, setUp } from "./CountedWorld.ts"
import { inWorld, pattern } from "./Fixture.ts"

const all = Array.from({ length: 100 }, (_, i) => [i])

describe("Session.chunks", () => {
  it.effect(
    "gives every chunk that was asked for, with its index, and reads those that are adjacent with one request",
    () =>
      Effect.gen(function* () {
        const world = yield* countedWorld
        const chunks = yield* inSession(world, (session) => Stream.runCollect(session.chunks("/array", all)))
        assert.deepStrictEqual(
          chunks.map(({ index: [i] }) => i!).toSorted((a, b) => a - b),
          all.map(([i]) => i!)
        )
        for (const { bytes, index } of chunks) assert.deepStrictEqual(bytes, expected(index[0]!))
        assert.deepStrictEqual(world.virtual.asked, [50_000])
        assert.lengthOf(world.native.asked, 30)
      })
  )

  it.effect("takes indices as one typed array, and the same index any number of times", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const chunks = yield* inSession(world, (session) =>
        Stream.runCollect(session.chunks("/array", Uint32Array.of(7, 95, 7)))
      )
      assert.deepStrictEqual(
        chunks.map(({ index }) => index),
        [[95], [7], [7]]
      )
      const [, first, second] = chunks
      assert.deepStrictEqual(first!.bytes, expected(7))
      first!.bytes!.fill(0)
      assert.deepStrictEqual(second!.bytes, expected(7))
    })
  )

  it.effect("gives nothing for no indices", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      assert.deepStrictEqual(yield* inSession(world, (session) => Stream.runCollect(session.chunks("/array", []))), [])
    })
  )

  it.effect("fails before any request when an index is not in the grid, or there is no such array", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const [outside, short, missing] = yield* inSession(world, (session) =>
        Effect.all([
          Effect.flip(Stream.runDrain(session.chunks("/array", [[0], [100]]))),
          Effect.flip(Stream.runDrain(session.chunks("/array", [[0], []]))),
          Effect.flip(Stream.runDrain(session.chunks("/none", [[0]])))
        ])
      )
      assert.strictEqual(outside._tag, "InvalidIndex")
      assert.strictEqual(short._tag, "InvalidIndex")
      assert.strictEqual(missing._tag, "NodeNotFound")
      assert.lengthOf(world.virtual.asked, 0)
    })
  )

  it.effect("fails with the typed error of a chunk, and asks for no more", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const error = yield* inSession(world, (session) =>
        Effect.andThen(
          world.objects.delete(["bucket/a"]),
          Effect.flip(Stream.runDrain(session.chunks("/array", all, { maxBytes: 4000 })))
        )
      )
      assert.strictEqual(error._tag, "VirtualObjectNotFound")
      assert.isBelow(world.virtual.asked.length, 6)
    })
  )

  it.effect("asks for no more than `maxBytes` until what came is taken", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const virtual = all.slice(0, 50)
      let taken = 0
      yield* inSession(world, (session) =>
        Stream.runForEach(session.chunks("/array", virtual, { maxBytes: 8000 }), ({ bytes }) =>
          Effect.gen(function* () {
            // Time enough for all others, if they were asked for.
            for (let i = 0; i < 20; i++) yield* Effect.yieldNow
            const asked = world.virtual.asked.reduce((sum, length) => sum + length, 0)
            assert.isAtMost(asked - taken, 8000)
            taken += bytes!.length
          })
        )
      )
      assert.strictEqual(taken, 50_000)
      assert.isAtMost(world.virtual.mostBytes, 8000)
      for (const length of world.virtual.asked) assert.isAtMost(length, 2000)
    })
  )

  it.effect("stops its requests when nobody takes from it any more", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const hold = yield* Deferred.make<void>()
      yield* inSession(world, (session) =>
        Effect.gen(function* () {
          world.native.hold = hold
          const taken = yield* Stream.runCollect(Stream.take(session.chunks("/array", [[99], ...all.slice(50, 80)]), 1))
          assert.lengthOf(taken, 1)
          const reading = yield* Effect.forkChild(Stream.runDrain(session.chunks("/array", all.slice(50, 80))))
          while (world.native.underWay === 0) yield* Effect.yieldNow
          yield* Fiber.interrupt(reading)
          for (let i = 0; i < 20; i++) yield* Effect.yieldNow
          assert.strictEqual(world.native.underWay, 0)
          // There is room for others.
          world.native.hold = undefined
          assert.deepStrictEqual(yield* session.chunk("/array", [50]), expected(50))
        })
      )
    })
  )

  it.effect("shows the session as it is when the stream starts", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUp(world)
      const seen = yield* inWorld(world)(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.open({ credentials })).writableSession("main")
          yield* session.setChunk("/array", [99], pattern(10))
          const chunks = session.chunks("/array", [[99], [3]])
          return yield* Stream.runCollect(Stream.tap(chunks, () => Effect.orDie(session.deleteChunk("/array", [3]))))
        })
      )
      assert.deepStrictEqual(
        seen.map(({ bytes }) => bytes),
        [pattern(10), expected(3)]
      )
    })
  )

  it.effect("shows no change that is made while what it needs is loaded, nor do the indices of written chunks", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUp(world)
      const [chunks, indices] = yield* inWorld(world)(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.open({ credentials })).writableSession("main")
          yield* session.setChunk("/array", [99], pattern(10))
          const start = { startImmediately: true }
          const chunks = yield* Effect.forkChild(Stream.runCollect(session.chunks("/array", [[99]])), start)
          const indices = yield* Effect.forkChild(Stream.runCollect(session.chunkIndices("/array")), start)
          yield* session.deleteChunk("/array", [99])
          return [yield* Fiber.join(chunks), yield* Fiber.join(indices)] as const
        })
      )
      assert.deepStrictEqual(chunks, [{ index: [99], bytes: pattern(10) }])
      assert.deepInclude(indices, [99])
    })
  )
})

describe("Session.chunks of more than are planned together", () => {
  it.effect("shows the session as it was when the stream started, to the end", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUp(world)
      const count = (1 << 17) + 1
      const seen = yield* inWorld(world)(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.open({ credentials })).writableSession("main")
          yield* session.setChunk("/array", [99], pattern(10))
          const seen = { chunks: 0, bytes: 0 }
          yield* Stream.runForEachArray(session.chunks("/array", new Uint32Array(count).fill(99)), (chunks) =>
            Effect.suspend(() => {
              for (const { bytes } of chunks) {
                seen.chunks++
                seen.bytes += bytes?.length ?? 0
              }
              return Effect.orDie(session.deleteChunk("/array", [99]))
            })
          )
          return seen
        })
      )
      assert.deepStrictEqual(seen, { chunks: count, bytes: 10 * count })
    })
  )
})

describe("chunks that are read at once", () => {
  const readAll = (session: Session.Session, indices: ReadonlyArray<ReadonlyArray<number>>) =>
    Effect.forEach(indices, (index) => session.chunk("/array", index), { concurrency: "unbounded" })

  it.effect("are asked for at once when they are objects of their own", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* inSession(world, (session) => readAll(session, all.slice(50, 80)))
      assert.strictEqual(world.native.most, 30)
    })
  )

  it.effect("are bounded by `max_concurrent_requests` of the configuration", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* inSession(world, (session) => readAll(session, all.slice(50, 80)), {
        config: { max_concurrent_requests: 4 }
      })
      assert.strictEqual(world.native.most, 4)
    })
  )

  it.effect("are bounded in bytes", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* inSession(world, (session) => readAll(session, all.slice(50, 80)), { maxBytesInFlight: 2500 })
      assert.strictEqual(world.native.most, 2)
    })
  )

  it.effect("give their places back when they fail and when they are interrupted", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const hold = yield* Deferred.make<void>()
      yield* inSession(
        world,
        (session) =>
          Effect.gen(function* () {
            world.native.hold = hold
            const waiting = yield* Effect.forkChild(readAll(session, all.slice(50, 80)))
            while (world.native.underWay < 2) yield* Effect.yieldNow
            yield* Fiber.interrupt(waiting)
            world.native.hold = undefined
            assert.lengthOf(yield* readAll(session, all.slice(50, 60)), 10)
          }),
        { config: { max_concurrent_requests: 2 } }
      )
    })
  )

  it.effect("are read together when they are parts of one chunk file, as of a shard", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const parts = yield* inSession(world, (session) =>
        Effect.forEach(
          [0, 100, 200],
          (offset) => session.chunk("/array", [60], { range: { _tag: "Bounded", offset, length: 100 } }),
          { concurrency: "unbounded" }
        )
      )
      for (const [i, part] of parts.entries())
        assert.deepStrictEqual(part, pattern(1000, 60).slice(i * 100, i * 100 + 100))
      assert.deepStrictEqual(world.native.asked, [300])
    })
  )
})

describe("Session.ChunkSpans", () => {
  it.effect("gives every chunk a span, which it has not otherwise", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      const { spans, tracer } = Observed.recording()
      const names = () => spans.map(({ name }) => name)
      yield* inSession(world, (session) =>
        Effect.gen(function* () {
          spans.length = 0
          yield* session.chunk("/array", [1])
          assert.notInclude(names(), "Session.chunk")
          assert.include(names(), "ObjectStore.get")
          yield* Effect.provideService(session.chunk("/array", [1]), Session.ChunkSpans, true)
          assert.include(names(), "Session.chunk")
        }).pipe(Effect.withTracer(tracer))
      )
    })
  )
})
