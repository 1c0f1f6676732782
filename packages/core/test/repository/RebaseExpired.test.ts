/**
 * Sessions that go on top of commits which have expired meanwhile: their transaction logs tell what they did.
 */
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import type * as Rebase from "../../src/repository/changes/Rebase.ts"
import * as Repository from "../../src/repository/Repository.ts"
import { inWorld, text, type World, worldInMemory } from "./Fixture.ts"
import { begin, elsewhere, type Operation, operation, perform, stateAt, stateOf } from "./Sessions.ts"

/** Puts everything that is in one place into another, and takes away what is not. */
const copy = Effect.fnUntraced(function* (from: World, to: World) {
  const keysOf = (world: World) =>
    Effect.map(Stream.runCollect(world.store.list("")), (all) => all.map(({ key }) => key))
  const keys = yield* keysOf(from)
  for (const key of keys) yield* to.store.put(key, (yield* from.store.get(key)).bytes)
  yield* to.store.delete((yield* keysOf(to)).filter((key) => !keys.includes(key)))
})

/** All snapshots but those that refs are at expire, and their files go, as another program does it. */
const prune = (world: World, collect: boolean) =>
  inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      yield* TestClock.adjust("1 day")
      const { released } = yield* Maintenance.expire(repository, { olderThan: "1 hour" })
      if (!collect) return released
      // Sessions of this process are other programs here.
      const { store } = world
      yield* store.delete(released.map((id) => `snapshots/${id}`))
      return released
    })
  )

/** A session that has done something, over each of two places that are the same. */
const race = Effect.fnUntraced(function* (options: {
  /** Whether the session is on a snapshot that expires, or on the first of the repository. */
  readonly from: "expired" | "first"
  readonly ours: ReadonlyArray<Operation>
  readonly theirs: ReadonlyArray<ReadonlyArray<Operation>>
  readonly solver: Rebase.Solver
  readonly collect: boolean
}) {
  const [plain, other] = [yield* worldInMemory, yield* worldInMemory]
  const { from, ours, solver, theirs } = options
  yield* inWorld(plain)(Repository.create())
  if (from === "expired") yield* elsewhere(plain, begin)
  yield* copy(plain, other)
  return yield* inWorld(plain)(
    Effect.gen(function* () {
      const session = yield* (yield* Repository.open()).writableSession("main")
      return yield* inWorld(other)(
        Effect.gen(function* () {
          const onExpired = yield* (yield* Repository.open()).writableSession("main")
          for (const one of [session, onExpired]) {
            for (const step of ours) yield* Effect.exit(perform(one, step, "us"))
          }
          if (from === "first") yield* elsewhere(plain, begin)
          for (const steps of theirs) {
            yield* elsewhere(plain, (s) => Effect.forEach(steps, (step) => Effect.exit(perform(s, step, "them"))))
          }
          yield* copy(plain, other)
          const released = yield* prune(other, options.collect)
          const ends = []
          for (const [one, world] of [
            [session, plain],
            [onExpired, other]
          ] as const) {
            const result = yield* Effect.result(one.commit("ours", { rebase: solver }))
            const outcome = Result.isSuccess(result)
              ? "in"
              : result.failure._tag === "RebaseConflict"
                ? result.failure.conflicts.map(({ _tag, path }) => `${_tag} ${path}`).toSorted()
                : result.failure._tag
            ends.push({ outcome, sees: yield* stateOf(one), state: yield* stateAt(world) })
          }
          return { released, ends }
        })
      )
    })
  )
})

describe("a session on top of commits that have expired", () => {
  for (const from of ["first", "expired"] as const) {
    for (const solver of [{}, () => "ours" as const, () => "theirs" as const] as ReadonlyArray<Rebase.Solver>) {
      const name = typeof solver === "object" ? "conflicts" : solver({} as never)
      it(`ends as without the expiration (on the ${from} snapshot, ${name as string})`, () =>
        fc.assert(
          fc.asyncProperty(
            fc.array(operation, { minLength: 1, maxLength: 6 }),
            fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
            fc.boolean(),
            (ours, theirs, collect) =>
              Effect.gen(function* () {
                const { ends, released } = yield* race({ from, ours, theirs, solver, collect })
                assert.isAbove(released.length, 0)
                assert.deepStrictEqual(ends[1], ends[0])
              }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
          ),
          { numRuns: 40 }
        ))
    }
  }

  it.effect("is refused where one of the logs is missing, and nothing is changed", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* elsewhere(world, begin)
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/b", [0], text("ours"))
          const first = yield* elsewhere(world, (s) => s.setChunk("/b", [1], text("theirs")))
          yield* elsewhere(world, (s) => s.setChunk("/b", [2], text("theirs")))
          const released = yield* prune(world, true)
          assert.include(released, first)
          yield* world.store.delete([`transactions/${first}`])
          const state = yield* stateAt(world)
          for (const solver of [{}, () => "ours" as const] as ReadonlyArray<Rebase.Solver>) {
            for (const attempt of [session.commit("ours", { rebase: solver }), session.rebase(solver)]) {
              const error = yield* Effect.flip(attempt)
              assert(error._tag === "RebaseImpossible", error._tag)
              assert.include(error.because, `transactions/${first}`)
            }
          }
          assert.deepStrictEqual(yield* stateAt(world), state)
          // What it did is still there.
          assert.deepStrictEqual(yield* session.chunk("/b", [0]), text("ours"))
          // Others' arrays need no log.
          yield* session.discard
          yield* session.setChunk("/g/a", [3], text("ours"))
          assert.isTrue(Exit.isSuccess(yield* Effect.exit(session.commit("ours", { rebase: {} }))))
        })
      )
    })
  )

  it.effect("is refused where the snapshot is not known any more", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* elsewhere(world, begin)
          yield* repository.createBranch("dev", (yield* repository.branches).get("main")!)
          const tip = yield* elsewhere(world, (s) => s.setChunk("/b", [1], text("theirs")))
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/b", [0], text("ours"))
          yield* repository.resetBranch("main", (yield* repository.branches).get("dev")!)
          yield* elsewhere(world, (s) => s.setChunk("/b", [2], text("theirs")))
          assert.deepStrictEqual(yield* prune(world, true), [tip])
          const error = yield* Effect.flip(session.commit("ours", { rebase: {} }))
          assert.strictEqual(error._tag, "RebaseImpossible")
        })
      )
    })
  )
})
