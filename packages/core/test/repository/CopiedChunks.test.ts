/**
 * What a session has copied from a version, or moved within an array, when that version expires and is collected before the
 * commit: all of it is there afterwards, or the commit is refused.
 */
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Pieces from "../../src/repository/changes/Pieces.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import { inWorld, pattern, type World, worldInMemory } from "./Fixture.ts"
import { array, elsewhere } from "./Sessions.ts"

/** Chunks of this size are files of their own. */
const large = (seed: number) => pattern(1000, seed)

/** What another program does: old snapshots expire, and what is older than a day is collected. */
const maintained = (world: World, collect = true) =>
  // Another store: that of a program which does not know the sessions of this one.
  inWorld({ ...world, store: { ...world.store } })(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      yield* Maintenance.expire(repository, { olderThan: "1 day" })
      return collect ? yield* Maintenance.collectGarbage(repository, { olderThan: "1 day" }) : undefined
    })
  )

/** An old version with a chunk that no later one has, and two more commits. */
const begun = Effect.fnUntraced(function* <A, E>(
  use: (world: World, repository: Repository.RepositoryShape, old: string) => Effect.Effect<A, E>
) {
  const world = yield* worldInMemory
  return yield* inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const old = yield* elsewhere(world, (session) =>
        Effect.andThen(session.createArray("/a", array()), session.setChunk("/a", [0], large(1)))
      )
      yield* elsewhere(world, (session) => session.setChunk("/a", [0], large(2)))
      yield* TestClock.adjust("10 days")
      return yield* use(world, repository, old)
    })
  )
})

const chunkOf = (world: World, path: string, index: number) =>
  inWorld(world)(
    Effect.gen(function* () {
      const session = yield* (yield* Repository.open()).readonlySession({ branch: "main" })
      return yield* session.chunk(path, [index])
    })
  )

const copying = Effect.fnUntraced(function* (repository: Repository.RepositoryShape, old: string) {
  const session = yield* repository.writableSession("main")
  yield* session.copyFrom(yield* repository.readonlySession({ snapshotId: old }), "/a", { to: "/old" })
  return session
})

const refused = (
  attempt: Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>,
  source: string
) =>
  Effect.map(Effect.flip(attempt), (error) => {
    assert.strictEqual(error._tag, "RebaseImpossible")
    assert.include(error.message, source)
  })

const ways: Readonly<
  Record<string, (session: WritableSession) => Effect.Effect<unknown, { _tag: string; message: string }>>
> = {
  commit: (session) => session.commit("with the old"),
  "commit with rebase": (session) => session.commit("with the old", { rebase: {} }),
  amend: (session) => session.amend("with the old", { force: true }),
  flush: (session) => session.flush("with the old")
}

describe("what was copied from a version that expires before the commit", () => {
  for (const [name, attempt] of Object.entries(ways)) {
    for (const collect of [true, false]) {
      it.effect(`is refused (${name}, ${collect ? "collected" : "not collected yet"}), and the session can go on`, () =>
        begun((world, repository, old) =>
          Effect.gen(function* () {
            const session = yield* copying(repository, old)
            yield* maintained(world, collect)
            yield* refused(attempt(session), old)
            assert.deepStrictEqual(yield* chunkOf(world, "/a", 0), large(2))
            yield* session.discard
            yield* session.setChunk("/a", [1], large(3))
            yield* attempt(session)
          })
        )
      )
    }
  }

  it.effect("stays whole when the commit came first", () =>
    begun((world, repository, old) =>
      Effect.gen(function* () {
        yield* (yield* copying(repository, old)).commit("with the old")
        yield* TestClock.adjust("10 days")
        yield* maintained(world)
        assert.deepStrictEqual(yield* chunkOf(world, "/old", 0), large(1))
      })
    )
  )

  it.effect("is there when the version expires while the commit is written: the one is before the other", () =>
    begun((world, _, old) =>
      Effect.gen(function* () {
        let isFirst = true
        const store = {
          ...world.store,
          put: (key: string, ...rest: [Uint8Array, never]) =>
            Effect.suspend(() => {
              const put = world.store.put(key, ...rest)
              if (key !== "repo" || !isFirst) return put
              isFirst = false
              return Effect.andThen(Effect.orDie(maintained(world)), put)
            })
        }
        yield* inWorld({ ...world, store: store as never })(
          Effect.gen(function* () {
            const session = yield* copying(yield* Repository.open(), old)
            yield* refused(session.commit("with the old"), old)
          })
        )
        assert.isFalse(isFirst)
      })
    )
  )

  it.effect("as is what was shifted, when others have replaced it and its version is gone", () =>
    begun((world, repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.shift("/a", [1])
        const base = yield* session.snapshotId
        yield* elsewhere(world, (s) => s.setChunk("/a", [0], large(5)))
        yield* maintained(world)
        yield* refused(session.commit("shifted", { rebase: () => "ours" as const }), base)
      })
    )
  )
})

describe("what a worker has written for a piece", () => {
  it.effect("is too young for a collection of another program, and cannot be collected by the session's own", () =>
    begun((world, repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        const [piece] = yield* Pieces.split(session, 1)
        const writer = yield* Pieces.fill(repository, piece!)
        yield* writer.setChunk("/a", [1], large(7))
        const filled = yield* writer.finish
        yield* TestClock.adjust("1 hour")
        const { deleted } = (yield* maintained(world))!
        assert.isAbove(deleted.total.files, 0)
        yield* TestClock.adjust("2 days")
        const error = yield* Effect.flip(Maintenance.collectGarbage(repository, { olderThan: "1 day" }))
        assert.strictEqual(error._tag, "InvalidCutoff")
        yield* Pieces.merge(session, filled)
        yield* session.commit("filled")
        yield* maintained(world)
        assert.deepStrictEqual(yield* chunkOf(world, "/a", 1), large(7))
      })
    )
  )
})
