import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Repository from "../../src/repository/Repository.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import type * as NodePath from "../../src/values/NodePath.ts"
import * as ZarrMetadata from "../../src/values/ZarrMetadata.ts"
import * as MemoryObjectStore from "../../src/store/MemoryObjectStore.ts"
import * as Fixture from "./Fixture.ts"
import { inWorld, pattern } from "./Fixture.ts"

const world = Effect.provide(Fixture.world, MemoryObjectStore.layer())

const array = (shape: ReadonlyArray<number>, chunkShape: ReadonlyArray<number>) => ({
  shape,
  chunkShape,
  dataType: "uint8",
  fillValue: 0
})

const path = (text: string) => text as NodePath.NodePath

describe("an array whose metadata is replaced", () => {
  const rows = ZarrMetadata.array(array([4], [2]))

  it.effect("with another number of dimensions is a new one, without the chunks of the old", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4, 4], [2, 2]))
          yield* session.setChunk("/a", [0, 1], pattern(4))
          yield* session.commit("two dimensions")
          yield* session.setMetadata("/a", rows)
          assert.deepStrictEqual(yield* session.status, {
            newGroups: [],
            newArrays: [path("/a")],
            updatedGroups: [],
            updatedArrays: [],
            deletedGroups: [],
            deletedArrays: [path("/a")],
            updatedChunks: new Map()
          })
          assert.isUndefined(yield* session.chunk("/a", [0]))
          yield* session.setChunk("/a", [1], pattern(2))
          yield* session.commit("one dimension")
          assert.deepStrictEqual(yield* Stream.runCollect(session.chunkIndices("/a")), [[1]])
        })
      )
    })
  )

  it.effect("before the first commit too", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4, 4], [2, 2]))
          yield* session.setChunk("/a", [0, 1], pattern(4))
          yield* session.setMetadata("/a", rows)
          yield* session.setChunk("/a", [1], pattern(2, 1))
          assert.deepStrictEqual(yield* session.chunk("/a", [1]), pattern(2, 1))
          yield* session.commit("one dimension")
          assert.deepStrictEqual(yield* Stream.runCollect(session.chunkIndices("/a")), [[1]])
          assert.deepStrictEqual(yield* session.chunk("/a", [1]), pattern(2, 1))
        })
      )
    })
  )
})

describe("a commit that is interrupted", () => {
  /** Interrupts a commit when a put of `repo` has reached the store, before or after it took effect. */
  const interrupted = (when: "before" | "after") =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const reached = yield* Deferred.make<void>()
      let armed = false
      const store: ObjectStore.ObjectStoreShape = {
        ...inner,
        put: (key, bytes, options) => {
          const put = inner.put(key, bytes, options)
          if (!armed || key !== "repo") return put
          const pause = Effect.andThen(Deferred.succeed(reached, undefined), Effect.yieldNow)
          return when === "before" ? Effect.andThen(pause, put) : Effect.tap(put, () => pause)
        }
      }
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/a")
          armed = true
          const commit = yield* Effect.forkChild(session.commit("interrupted"))
          yield* Deferred.await(reached)
          yield* Fiber.interrupt(commit)
          armed = false
          assert.strictEqual((yield* repository.branches).get("main"), yield* session.snapshotId)
          yield* session.createGroup("/b")
          assert.deepStrictEqual((yield* session.status).newGroups.at(-1), path("/b"))
          yield* session.commit("next")
          const [latest] = yield* repository.history({ branch: "main" })
          assert.strictEqual(latest?.message, "next")
          assert.strictEqual((yield* session.nodes()).length, 2)
        })
      )
    })

  it.effect("leaves a session that knows of it when the write happened", () => interrupted("after"))

  it.effect("leaves a session that can commit when the write was just being sent", () => interrupted("before"))
})
