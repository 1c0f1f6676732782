import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Repository from "../../src/repository/Repository.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as Errors from "../../src/store/ObjectStoreError.ts"
import type * as NodePath from "../../src/values/NodePath.ts"
import * as ZarrMetadata from "../../src/values/ZarrMetadata.ts"
import { inWorld, pattern, worldInMemory as world } from "./Fixture.ts"
import { array } from "./RepositorySuite.ts"

const path = (text: string) => text as NodePath.NodePath

describe("an array whose metadata is replaced", () => {
  const rows = Result.getOrThrow(ZarrMetadata.array("/", array([4], [2])))

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
            movedNodes: [],
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

  it.effect("leaves a session that knows of it when the answer was lost", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const reason = new Errors.Unavailable({})
      const lost = new Errors.ObjectStoreError({ store: inner.description, operation: "put", key: "repo", reason })
      const reached = yield* Deferred.make<void>()
      let armed = false
      const store: ObjectStore.ObjectStoreShape = {
        ...inner,
        put: (key, bytes, options) => {
          const put = inner.put(key, bytes, options)
          return armed && key === "repo"
            ? put.pipe(Effect.andThen(Deferred.succeed(reached, undefined)), Effect.andThen(Effect.fail(lost)))
            : put
        }
      }
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/a")
          armed = true
          const commit = yield* Effect.forkChild(session.commit("interrupted while it waits"))
          yield* Deferred.await(reached)
          // The clock stands still: the interruption does not wait for the next attempt.
          yield* Fiber.interrupt(commit)
          assert.strictEqual((yield* repository.branches).get("main"), yield* session.snapshotId)
        })
      )
    })
  )

  it.effect("leaves a session that can commit when the write was just being sent", () => interrupted("before"))
})

it.effect("snapshots are newer than their parents, whatever the clock says", () =>
  Effect.gen(function* () {
    const within = inWorld(yield* world)
    yield* within(
      Effect.gen(function* () {
        yield* TestClock.setTime(Date.UTC(2026, 0, 1))
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/a")
        yield* session.commit("at the same time")
        yield* TestClock.setTime(Date.UTC(2025, 0, 1))
        yield* session.createGroup("/b")
        yield* session.commit("a clock that is behind")
        const times = (yield* repository.history({ branch: "main" })).map(({ flushedAt }) => flushedAt)
        assert.deepStrictEqual(
          times,
          [2, 1, 0].map((later) => Date.UTC(2026, 0, 1) * 1000 + later)
        )
      })
    )
  })
)

it.effect("a listing shows the chunks as they were when it began, whatever is written meanwhile", () =>
  Effect.gen(function* () {
    const within = inWorld(yield* world)
    const rows = 5000
    const refs = (indices: ReadonlyArray<number>) => ({
      indices: Uint32Array.from(indices),
      offsets: indices,
      lengths: indices.map(() => 1),
      locations: "s3://bucket/a.nc"
    })
    yield* within(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", array([rows + 1], [1]))
        yield* session.setVirtualRefs("/a", refs(Array.from({ length: rows }, (_, i) => rows - 1 - i)))
        const seen: Array<number> = []
        yield* Stream.runForEach(session.chunkIndices("/a"), ([index]) =>
          Effect.gen(function* () {
            seen.push(index!)
            if (seen.length > 1) return
            yield* session.setVirtualRef("/a", [rows], { location: "s3://bucket/a.nc", offset: 0, length: 1 })
            // Enough rows that no longer count to be cleared away.
            yield* session.setVirtualRefs("/a", refs(Array.from({ length: 2 * rows }, () => 0)))
            for (let i = 0; i < 2 * rows; i++) yield* session.deleteChunk("/a", [1])
          })
        )
        assert.deepStrictEqual(
          seen,
          Array.from({ length: rows }, (_, i) => i)
        )
      })
    )
  })
)

it.effect("an array has nothing below it, in the session or in its snapshot", () =>
  Effect.gen(function* () {
    const within = inWorld(yield* world)
    yield* within(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        // Sorts between `/a` and what is below it.
        yield* session.createGroup("/a-b")
        yield* session.createGroup("/a/b")
        const refused = () => Effect.map(Effect.flip(session.createArray("/a", array([4], [2]))), ({ _tag }) => _tag)
        assert.strictEqual(yield* refused(), "NodeAlreadyExists")
        yield* session.commit("groups")
        assert.strictEqual(yield* refused(), "NodeAlreadyExists")
        yield* session.deleteNode("/a/b")
        yield* session.createArray("/a", array([4], [2]))
        const root = yield* Effect.flip(session.createArray("/", array([4], [2])))
        assert.strictEqual(root._tag, "NodeAlreadyExists")
      })
    )
  })
)

it.live("a commit whose answer is lost is recognised when the log has no room for it", () =>
  Effect.gen(function* () {
    const { objects, store: inner } = yield* world
    const reason = new Errors.Unavailable({})
    const lost = new Errors.ObjectStoreError({ store: inner.description, operation: "put", key: "repo", reason })
    yield* inWorld({ objects, store: inner })(
      Effect.gen(function* () {
        const other = yield* Repository.create({ persist: { num_updates_per_repo_info_file: 1 } })
        const at = (yield* other.branches).get("main")!
        let armed = false
        const store: ObjectStore.ObjectStoreShape = {
          ...inner,
          put: (key, bytes, options) => {
            const put = inner.put(key, bytes, options)
            if (!armed || key !== "repo") return put
            armed = false
            const others = Effect.orDie(other.createTag("of another writer", at))
            return put.pipe(Effect.andThen(others), Effect.andThen(Effect.fail(lost)))
          }
        }
        yield* inWorld({ objects, store })(
          Effect.gen(function* () {
            const session = yield* (yield* Repository.open()).writableSession("main")
            yield* session.createGroup("/a")
            armed = true
            assert.strictEqual(yield* session.commit("answer lost"), (yield* other.branches).get("main"))
          })
        )
      })
    )
  })
)
