/**
 * Sessions that commit to one branch at the same time, in one program and in several.
 */
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Repository from "../../src/repository/Repository.ts"
import type { WritableSession } from "../../src/repository/WritableSession.ts"
import { inWorld, text, type World, worldInMemory } from "./Fixture.ts"

const array = { shape: [64], chunkShape: [1], dataType: "uint8", fillValue: 0 }

/** A world that counts writes, and lets a test into each of the repository object, or of others. */
const counted = Effect.fnUntraced(function* (before: Effect.Effect<void> = Effect.void, at: string = "repo") {
  const world = yield* worldInMemory
  const puts: Array<string> = []
  const store: ObjectStore.ObjectStoreShape = {
    ...world.store,
    put: (key, bytes, options) =>
      Effect.suspend(() => {
        puts.push(key)
        return key.startsWith(at)
          ? Effect.andThen(before, world.store.put(key, bytes, options))
          : world.store.put(key, bytes, options)
      })
  }
  return { world: { ...world, store }, puts }
})

const seed = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/a", array)
  yield* session.commit("first")
  return repository
})

/** Chunks of `/a`, and messages of the branch, latest first. */
const seen = (world: World) =>
  inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      const session = yield* repository.readonlySession({ branch: "main" })
      const chunks: Array<string | undefined> = []
      for (let i = 0; i < 64; i++) {
        const chunk = yield* session.chunk("/a", [i])
        chunks.push(chunk === undefined ? undefined : new TextDecoder().decode(chunk))
      }
      const history = yield* repository.history({ branch: "main" })
      return { chunks, messages: history.map(({ message }) => message) }
    })
  )

const write = (i: number) => (session: WritableSession) => session.setChunk("/a", [i], text(`by ${i}`))

it.effect("in one program go out together, each with its own snapshot", () =>
  Effect.gen(function* () {
    const { puts, world } = yield* counted()
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* seed
        const before = puts.filter((key) => key === "repo").length
        const committed = yield* Effect.forEach(
          Array.from({ length: 32 }, (_, i) => i),
          (i) => repository.transact("main", `commit ${i}`, write(i)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(committed.map(({ snapshotId }) => snapshotId)).size, 32)
        assert.isAtMost(puts.filter((key) => key === "repo").length - before, 3)
        // A manifest follows from what was committed before; log and snapshot are of each commit.
        assert.isAtMost(puts.filter((key) => key.startsWith("snapshots/")).length, 32 + 3)
        // Each is readable as of its own commit, with the ones before it.
        for (const { snapshotId } of committed.slice(0, 4)) {
          const session = yield* repository.readonlySession({ snapshotId })
          const history = yield* repository.history({ snapshotId })
          for (const { message } of history) {
            const i = Number(message.split(" ")[1])
            if (message.startsWith("commit")) assert.isDefined(yield* session.chunk("/a", [i]))
          }
        }
      })
    )
    const { chunks, messages } = yield* seen(world)
    assert.deepStrictEqual(
      chunks.slice(0, 32),
      Array.from({ length: 32 }, (_, i) => `by ${i}`)
    )
    assert.lengthOf(messages, 34)
  })
)

it.effect("one that is in conflict fails alone", () =>
  Effect.gen(function* () {
    const { world } = yield* counted()
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* seed
        const sessions = yield* Effect.forEach([0, 1, 1, 2], (i) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* session.setChunk("/a", [i], text(`by ${i}`))
            return session
          })
        )
        const exits = yield* Effect.forEach(
          sessions,
          (session, i) => Effect.exit(session.commit(`commit ${i}`, { rebase: {} })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, true])
        const error = yield* Effect.flip(exits[2]!)
        assert.strictEqual(error._tag, "RebaseConflict")
        // And can be committed after all.
        yield* sessions[2]!.commit("again", { rebase: { ChunkDoubleUpdate: "ours" } })
      })
    )
    assert.deepStrictEqual((yield* seen(world)).messages, [
      "again",
      "commit 3",
      "commit 1",
      "commit 0",
      "first",
      "Repository initialized"
    ])
  })
)

it.effect("one that is interrupted while it waits takes nothing with it", () =>
  Effect.gen(function* () {
    const isWriting = yield* Deferred.make<void>()
    const mayWrite = yield* Deferred.make<void>()
    let holds = false
    const { world } = yield* counted(
      Effect.suspend(() =>
        holds ? Effect.andThen(Deferred.succeed(isWriting, undefined), Deferred.await(mayWrite)) : Effect.void
      )
    )
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* seed
        const sessions = yield* Effect.forEach([0, 1, 2], (i) =>
          Effect.tap(repository.writableSession("main"), (session) => session.setChunk("/a", [i], text(`by ${i}`)))
        )
        holds = true
        const fibers = [yield* Effect.forkChild(sessions[0]!.commit("commit 0", { rebase: {} }))]
        yield* Deferred.await(isWriting)
        for (const i of [1, 2]) fibers.push(yield* Effect.forkChild(sessions[i]!.commit(`commit ${i}`, { rebase: {} })))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fibers[1]!)
        holds = false
        yield* Deferred.succeed(mayWrite, undefined)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fibers[0]!)))
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fibers[2]!)))
        // The interrupted one has its changes still.
        yield* sessions[1]!.commit("commit 1 again", { rebase: {} })
      })
    )
    const { chunks, messages } = yield* seen(world)
    assert.deepStrictEqual(chunks.slice(0, 3), ["by 0", "by 1", "by 2"])
    assert.deepStrictEqual(messages.slice(0, 3), ["commit 1 again", "commit 2", "commit 0"])
  })
)

it.live("of several programs all get in, and none twice", () =>
  Effect.gen(function* () {
    const { world } = yield* counted()
    yield* inWorld(world)(seed)
    const programs = 8
    const commits = 6
    yield* Effect.forEach(
      Array.from({ length: programs }, (_, program) => program),
      (program) =>
        inWorld({ ...world, store: { ...world.store } })(
          Effect.gen(function* () {
            const session = yield* (yield* Repository.open()).writableSession("main")
            for (let i = 0; i < commits; i++) {
              yield* write(program * commits + i)(session)
              yield* session.commit(`${program} ${i}`, { rebase: {} })
            }
          })
        ),
      { concurrency: "unbounded" }
    )
    const { chunks, messages } = yield* seen(world)
    assert.deepStrictEqual(
      chunks.slice(0, programs * commits),
      Array.from({ length: programs * commits }, (_, i) => `by ${i}`)
    )
    const own = messages.filter((message) => /^\d/.test(message)).toReversed()
    assert.strictEqual(new Set(own).size, programs * commits)
    assert.lengthOf(own, programs * commits)
    for (let program = 0; program < programs; program++) {
      const order = own.filter((message) => message.startsWith(`${program} `))
      assert.deepStrictEqual(
        order,
        Array.from({ length: commits }, (_, i) => `${program} ${i}`)
      )
    }
  })
)

it.live("one that loses a race and then is in conflict can be rebased", () =>
  Effect.gen(function* () {
    // Another program commits just before the branch is moved, once.
    let meanwhile: Effect.Effect<unknown> | undefined
    const { world } = yield* counted(
      Effect.suspend(() => {
        const now = meanwhile ?? Effect.void
        meanwhile = undefined
        return Effect.asVoid(now)
      })
    )
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* seed
        const session = yield* repository.writableSession("main")
        yield* session.setChunk("/a", [0], text("ours"))
        meanwhile = inWorld({ ...world, store: { ...world.store } })(
          Effect.gen(function* () {
            const other = yield* (yield* Repository.open()).writableSession("main")
            yield* other.setChunk("/a", [0], text("theirs"))
            return yield* other.commit("theirs")
          })
        ).pipe(Effect.orDie)
        const error = yield* Effect.flip(session.commit("ours", { rebase: {} }))
        assert.strictEqual(error._tag, "RebaseConflict")
        yield* session.rebase({ ChunkDoubleUpdate: "ours" })
        yield* session.commit("ours")
      })
    )
    const { chunks, messages } = yield* seen(world)
    assert.strictEqual(chunks[0], "ours")
    assert.deepStrictEqual(messages.slice(0, 2), ["ours", "theirs"])
  })
)

it.effect("one that is given up while it is written takes nothing with it", () =>
  Effect.gen(function* () {
    const isWriting = yield* Deferred.make<void>()
    const mayWrite = yield* Deferred.make<void>()
    let puts = 0
    // The first snapshot is of the one that goes alone, the second of the two that go together.
    const { world } = yield* counted(
      Effect.suspend(() =>
        ++puts === 4 ? Effect.andThen(Deferred.succeed(isWriting, undefined), Deferred.await(mayWrite)) : Effect.void
      ),
      "snapshots/"
    )
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* seed
        assert.strictEqual(puts, 2)
        const fibers = yield* Effect.forEach([0, 1, 2], (i) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* write(i)(session)
            return yield* Effect.forkChild(session.commit(`commit ${i}`, { rebase: {} }))
          })
        )
        yield* Deferred.await(isWriting)
        const interrupted = yield* Effect.forkChild(Fiber.interrupt(fibers[1]!))
        yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        yield* Deferred.succeed(mayWrite, undefined)
        yield* Fiber.join(interrupted)
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fibers[0]!)))
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fibers[2]!)))
      })
    )
    const { chunks, messages } = yield* seen(world)
    assert.deepStrictEqual([chunks[0], chunks[2]], ["by 0", "by 2"])
    assert.include(messages, "commit 2")
  })
)

it.live("a manifest that a lost round did not get written is written in the next one", () =>
  Effect.gen(function* () {
    const isWriting = yield* Deferred.make<void>()
    let first = true
    const { puts, world } = yield* counted(
      Effect.suspend(() => {
        const isFirst = first
        first = false
        return isFirst ? Effect.andThen(Deferred.succeed(isWriting, undefined), Effect.never) : Effect.void
      }),
      "manifests/"
    )
    let holds = false
    // The branch is looked at when a manifest is being written.
    const store: ObjectStore.ObjectStoreShape = {
      ...world.store,
      get: (key, options) =>
        holds && key === "repo"
          ? Effect.andThen(Deferred.await(isWriting), world.store.get(key, options))
          : world.store.get(key, options)
    }
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* seed
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/theirs")
        yield* inWorld({ ...world, store })(
          Effect.gen(function* () {
            const ours = yield* (yield* Repository.open()).writableSession("main")
            yield* write(0)(ours)
            yield* session.commit("theirs")
            holds = true
            yield* ours.commit("ours", { rebase: {} })
          })
        )
      })
    )
    assert.lengthOf(
      puts.filter((key) => key.startsWith("manifests/")),
      2
    )
    assert.strictEqual((yield* seen(world)).chunks[0], "by 0")
  })
)
