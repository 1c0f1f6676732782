/**
 * Commits to a store that defers durability: nothing is visible before everything is durable.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Repository from "../../src/repository/Repository.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as Errors from "../../src/store/ObjectStoreError.ts"
import { inWorld, pattern, worldInMemory as world } from "./Fixture.ts"

/** A store in which a loss of power takes all that was deferred and not settled. */
const deferring = (inner: ObjectStore.ObjectStoreShape) => {
  const unsettled = new Set<string>()
  const faults = { lose: (_key: string): boolean => false }
  /** When a version of `repo` was written, what was not durable then. */
  const moves: Array<ReadonlyArray<string>> = []
  const remainder = (key: string, defer: ObjectStore.PutOptions["defer"]): void => {
    if (defer === undefined) return
    unsettled.add(key)
    const isLost = faults.lose(key)
    const reason = new Errors.Unavailable({ because: "it is lost", isLasting: true })
    defer({
      isShared: false,
      settle: Effect.suspend(() => {
        if (isLost) {
          const { description: store } = inner
          return Effect.fail(new Errors.ObjectStoreError({ store, operation: "put", key, reason }))
        }
        unsettled.delete(key)
        return Effect.void
      })
    })
  }
  const store: ObjectStore.ObjectStoreShape = {
    ...inner,
    put: (key, bytes, { after = Effect.void, defer, ...options } = {}) =>
      Effect.andThen(after, () => {
        if (key === "repo") moves.push([...unsettled])
        return Effect.tap(inner.put(key, bytes, options), () => Effect.sync(() => remainder(key, defer)))
      }),
    copy: (from, to, { defer, ...options } = {}) =>
      Effect.tap(inner.copy(from, to, options), () => Effect.sync(() => remainder(to, defer)))
  }
  return { store, unsettled, moves, faults }
}

const array = { shape: [4000], chunkShape: [1000], dataType: "uint8", fillValue: 0 }

describe("a commit to a store that defers durability", () => {
  it.effect("settles chunks, files and the copy of the former object before the branch moves", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const { moves, store, unsettled } = deferring(inner)
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array)
          yield* session.setChunk("/a", [0], pattern(1000))
          yield* session.setChunk("/a", [0], pattern(1000, 1))
          assert.lengthOf([...unsettled], 2, "chunks are not waited for")
          yield* session.commit("first")
          yield* session.setChunk("/a", [1], pattern(1000))
          yield* session.commit("second")
          yield* repository.createTag("v1", yield* session.snapshotId)
          assert.deepStrictEqual(moves, [[], [], [], []])
          assert.deepStrictEqual([...unsettled], [])
        })
      )
    })
  )

  it.effect.each([undefined, 2])(
    "settles all that goes out together, and what is lost of one (%s) is lost for it alone",
    (lost) =>
      Effect.gen(function* () {
        const { objects, store: inner } = yield* world
        const { faults, moves, store } = deferring(inner)
        yield* inWorld({ objects, store })(
          Effect.gen(function* () {
            const repository = yield* Repository.create()
            const first = yield* repository.writableSession("main")
            yield* first.createArray("/a", array)
            yield* first.commit("array")
            const sessions = yield* Effect.forEach([0, 1, 2, 3], (i) =>
              Effect.gen(function* () {
                const session = yield* repository.writableSession("main")
                faults.lose = (key) => i === lost && key.startsWith("chunks/")
                yield* session.setChunk("/a", [i], pattern(1000, i))
                return session
              })
            )
            faults.lose = () => false
            const results = yield* Effect.forEach(
              sessions,
              (session, i) => Effect.result(session.commit(`${i}`, { rebase: {} })),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual(
              results.map(({ _tag }) => _tag),
              sessions.map((_, i) => (i === lost ? "Failure" : "Success"))
            )
            if (lost === undefined) assert.deepStrictEqual(moves.at(-1), [])
            const session = yield* repository.readonlySession({ branch: "main" })
            for (const i of [0, 1, 2, 3]) {
              assert.deepStrictEqual(yield* session.chunk("/a", [i]), i === lost ? undefined : pattern(1000, i))
            }
          })
        )
      })
  )

  it.effect("fails when a chunk is lost, as often as it is tried, until that chunk is set again or deleted", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const { faults, store } = deferring(inner)
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array)
          yield* session.commit("array")
          for (const repair of [session.setChunk("/a", [1], pattern(1000, 7)), session.deleteChunk("/a", [1])]) {
            const before = yield* repository.branches
            yield* session.setChunk("/a", [0], pattern(1000))
            faults.lose = (key) => key.startsWith("chunks/")
            yield* session.setChunk("/a", [1], pattern(1000))
            faults.lose = () => false
            for (let i = 0; i < 2; i++) {
              const error = yield* Effect.flip(session.commit("lost"))
              assert.strictEqual(error._tag, "ObjectStoreError")
              assert.include(error.message, "the chunk `[1]` of `/a` may not be on the disk; set it again")
              assert.include(error.message, "it is lost")
              assert.deepStrictEqual(yield* repository.branches, before, "nothing is visible")
            }
            yield* repair
            yield* session.commit("whole")
          }
        })
      )
    })
  )

  it.effect("a chunk that was lost before its ref was set is not forgotten by a commit or by discarding", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const { faults, store } = deferring(inner)
      const slow: ObjectStore.ObjectStoreShape = {
        ...store,
        put: (key, bytes, options) =>
          Effect.tap(store.put(key, bytes, options), () => (key.startsWith("chunks/") ? afterChunk : Effect.void))
      }
      let afterChunk: Effect.Effect<unknown> = Effect.void
      yield* inWorld({ objects, store: slow })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array)
          yield* session.commit("array")
          // Between the put of the chunk and its ref.
          for (const between of [
            Effect.andThen(session.createGroup("/g"), session.commit("meanwhile")),
            session.discard
          ]) {
            faults.lose = (key) => key.startsWith("chunks/")
            afterChunk = Effect.orDie(between)
            yield* session.setChunk("/a", [2], pattern(1000))
            faults.lose = () => false
            afterChunk = Effect.void
            assert.include((yield* Effect.flip(session.commit("lost"))).message, "the chunk `[2]` of `/a`")
            yield* session.deleteChunk("/a", [2])
          }
        })
      )
    })
  )

  it.effect("fails when one of its own files is lost, and writes all of them anew the next time", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const { faults, moves, store } = deferring(inner)
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array)
          yield* session.commit("array")
          for (const [i, kind] of ["manifests/", "snapshots/", "transactions/", "overwritten/"].entries()) {
            const before = yield* repository.branches
            yield* session.setChunk("/a", [i], pattern(1000, i))
            faults.lose = (key) => key.startsWith(kind)
            const error = yield* Effect.flip(session.commit("lost"))
            assert.strictEqual(error._tag, "ObjectStoreError", kind)
            assert.deepStrictEqual(yield* repository.branches, before, "nothing is visible")
            faults.lose = () => false
            yield* session.commit("whole")
            assert.deepStrictEqual(
              moves.at(-1)?.filter((key) => key.startsWith("chunks/")),
              []
            )
          }
          const [latest] = yield* repository.history({ branch: "main" })
          assert.strictEqual(latest?.message, "whole")
        })
      )
    })
  )
})
