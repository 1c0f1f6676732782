/** Programs that only read load what virtual chunks need when there are some. */
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
import * as Repository from "@effect-icechunk/core/Repository"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Zstd from "@effect-icechunk/core/Zstd"
import * as Opening from "../../src/repository/Opening.ts"
import * as Virtual from "../../src/repository/Virtual.ts"
import { type Counted, countedWorld, expected, object, setUp } from "./CountedWorld.ts"
import { pattern } from "./Fixture.ts"

type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope

/** A platform whose containers need no credentials. */
const within =
  ({ objects, store }: Counted) =>
  <A, E>(effect: Effect.Effect<A, E, Services>): Effect.Effect<A, E> =>
    Effect.scoped(effect).pipe(
      Effect.provide(
        Layer.mergeAll(
          Layer.succeed(ObjectStore.ObjectStore, store),
          Platform.layer([Effect.succeed(Platform.fromStore("s3", objects))]),
          NodeZstd.layer
        )
      )
    )

/** Refs to the objects of a container that every repository has, in a repository that has no others. */
const setUpWithoutContainers = (world: Counted) =>
  within(world)(
    Effect.gen(function* () {
      yield* world.objects.put("bucket/a", object)
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/array", { shape: [100], chunkShape: [1], dataType: "uint8", fillValue: 0 })
      yield* session.setVirtualRefs("/array", {
        indices: Uint32Array.from({ length: 50 }, (_, i) => i),
        offsets: Array.from({ length: 50 }, (_, i) => i * 1000),
        lengths: Array.from({ length: 50 }, () => 1000),
        locations: "s3://bucket/a"
      })
      for (let i = 50; i < 60; i++) yield* session.setChunk("/array", [i], pattern(1000, i))
      yield* session.commit("chunks")
    })
  )

/** A repository of which it is known how often what virtual chunks need was loaded. */
const opened = Effect.fnUntraced(function* (options: {
  readonly open?: ReadonlyRepository.OpenOptions
  readonly until?: Deferred.Deferred<void>
}) {
  const loads = { count: 0 }
  const load = Effect.suspend(() => {
    loads.count++
    return Effect.as(options.until === undefined ? Effect.yieldNow : Deferred.await(options.until), Virtual)
  })
  const { shape } = yield* Opening.connect(options.open ?? {}, yield* Opening.read, load)
  return { loads, repository: shape, session: yield* shape.readonlySession({ branch: "main" }) }
})

const indices = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => [from + i])

describe("ReadonlyRepository", () => {
  it.effect("reads native chunks and none without loading what virtual ones need", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUpWithoutContainers(world)
      yield* within(world)(
        Effect.gen(function* () {
          const { loads, session } = yield* opened({})
          assert.deepStrictEqual(yield* session.chunk("/array", [52]), expected(52))
          assert.isUndefined(yield* session.chunk("/array", [99]))
          const streamed = yield* Stream.runCollect(session.chunks("/array", indices(50, 60)))
          assert.strictEqual(streamed.length, 10)
          assert.strictEqual(loads.count, 0)
        })
      )
    })
  )

  it.effect("loads it once when many virtual chunks are read at first, and reads them with one request", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUpWithoutContainers(world)
      yield* within(world)(
        Effect.gen(function* () {
          const until = yield* Deferred.make<void>()
          const { loads, session } = yield* opened({ until })
          yield* session.chunk("/array", [99])
          const reads = yield* Effect.forkChild(
            Effect.forEach(indices(0, 50), (index) => session.chunk("/array", index), { concurrency: "unbounded" })
          )
          yield* Effect.yieldNow
          yield* Deferred.succeed(until, undefined)
          const chunks = yield* Fiber.join(reads)
          for (const [i, bytes] of chunks.entries()) assert.deepStrictEqual(bytes, expected(i))
          assert.strictEqual(loads.count, 1)
          assert.deepStrictEqual(world.virtual.asked, [50_000])
        })
      )
    })
  )

  it.effect("loads it for a stream in which a chunk is virtual", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUpWithoutContainers(world)
      yield* within(world)(
        Effect.gen(function* () {
          const { loads, session } = yield* opened({})
          const streamed = yield* Stream.runCollect(session.chunks("/array", indices(45, 55)))
          for (const { bytes, index } of streamed) assert.deepStrictEqual(bytes, expected(index[0]!))
          assert.deepStrictEqual([streamed.length, loads.count], [10, 1])
        })
      )
    })
  )

  it.effect("loads it while it is opened where there are containers, without waiting for it", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUp(world)
      yield* within(world)(
        Effect.gen(function* () {
          const until = yield* Deferred.make<void>()
          const { loads, session } = yield* opened({ until })
          assert.deepStrictEqual(yield* session.chunk("/array", [52]), expected(52))
          assert.strictEqual(loads.count, 1)
          yield* Deferred.succeed(until, undefined)
          assert.deepStrictEqual(yield* session.chunk("/array", [2]), expected(2))
          assert.strictEqual(loads.count, 1)
        })
      )
    })
  )

  it.effect("checks names of containers when it is opened", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUp(world)
      for (const options of [{ credentials: { other: Credentials.anonymous } }, { withoutContainers: ["other"] }]) {
        const error = yield* Effect.flip(within(world)(ReadonlyRepository.open(options)))
        assert.strictEqual(error._tag, "UnknownContainer")
      }
    })
  )

  it.effect("tells of its containers, and what it depends on", () =>
    Effect.gen(function* () {
      const world = yield* countedWorld
      yield* setUp(world)
      yield* within(world)(
        Effect.gen(function* () {
          const repository = yield* ReadonlyRepository.open()
          const { inOrder } = Virtual.ContainerMatch.make({
            persisted: [{ name: "data", protocol: "s3", platform: "s3" }]
          })
          assert.deepStrictEqual(
            (yield* repository.containers).map(({ container: { name } }) => name),
            inOrder.map(({ container: { name } }) => name)
          )
          const access = (yield* repository.containerAccess).find(({ name }) => name === "data")
          assert.strictEqual(access?.credentials, "none")
          const { containers } = yield* repository.wholeHistory.dependencies
          assert.deepStrictEqual(
            containers.map(({ chunks, container }) => [container, chunks]),
            [["data", 50]]
          )
        })
      )
    })
  )
})
