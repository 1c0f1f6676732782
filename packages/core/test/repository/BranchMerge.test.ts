/**
 * Commits of a fork that are brought home, and those of the source that come into the fork.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as BranchMerge from "../../src/repository/changes/BranchMerge.ts"
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import * as Repository from "../../src/repository/Repository.ts"
import { inWorld, pattern, text, type World, worldInMemory } from "./Fixture.ts"
import { all, array, elsewhere, stateAt, type Work } from "./Sessions.ts"

/** Larger than what is kept in a manifest. */
const large = (seed: number): Uint8Array => pattern(1000, seed)

const commit = (world: World, message: string, work: Work, metadata = {}) => elsewhere(world, work, message, metadata)

const keysOf = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Stream.runCollect(store.list("")), (all) => all.map(({ key }) => key).toSorted())

/** A bucket that begins as another. */
const forked = Effect.fnUntraced(function* (world: World) {
  const fork = yield* worldInMemory
  for (const key of yield* keysOf(world.store)) {
    const { bytes, meta } = yield* world.store.get(key)
    yield* fork.store.put(key, bytes, { metadata: meta.metadata })
  }
  return fork
})

const source = Effect.gen(function* () {
  const world = yield* worldInMemory
  yield* inWorld(world)(Repository.create())
  yield* commit(
    world,
    "begin",
    all(
      (session) => session.createArray("/a", array()),
      (session) => session.createArray("/b", array()),
      (session) => session.setChunk("/a", [0], large(1)),
      (session) => session.setChunk("/b", [0], text("b0"))
    )
  )
  return world
})

const merge = (into: World, from: World, options?: BranchMerge.MergeOptions) =>
  inWorld(into)(
    Effect.gen(function* () {
      const ours = yield* Repository.open()
      return yield* inFork(from, (theirs) => BranchMerge.merge(ours, theirs, options))
    })
  )

const inFork = <A, E>(from: World, use: (repository: Repository.RepositoryShape) => Effect.Effect<A, E, Scope.Scope>) =>
  inWorld(from)(Effect.flatMap(Repository.open(), use))

const historyOf = (world: World) =>
  inWorld(world)(
    Effect.gen(function* () {
      return yield* (yield* Repository.open()).history({ branch: "main" })
    })
  )

/** Long enough that whoever waits goes on. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Stops a merge at one of its requests, as an interruption of the program does; says whether it came so far. */
const interruptedAt = Effect.fnUntraced(function* (
  into: World,
  from: World,
  at: number,
  options?: BranchMerge.MergeOptions
) {
  const stopped = yield* Deferred.make<void>()
  let requests = 0
  const counted = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      requests++
      return requests === at
        ? Effect.andThen(Deferred.succeed(stopped, undefined), Effect.andThen(turn, effect))
        : effect
    })
  const { store } = into
  const watched: ObjectStore.ObjectStoreShape = {
    ...store,
    get: (key, options) => counted(store.get(key, options)),
    head: (key) => counted(store.head(key)),
    put: (key, bytes, options) => counted(store.put(key, bytes, options)),
    copy: (from, to, options) => counted(store.copy(from, to, options))
  }
  const work = merge({ ...into, store: watched }, from, options)
  yield* Effect.raceFirst(Effect.exit(work), Deferred.await(stopped))
  return requests >= at
})

describe("a fork that is brought home", () => {
  it.effect("goes in as it is where nothing was committed since", () =>
    Effect.gen(function* () {
      const home = yield* source
      const fork = yield* forked(home)
      const first = yield* commit(fork, "one", (session) => session.setChunk("/a", [1], large(2)), { by: "alice" })
      const second = yield* commit(fork, "two", (session) => session.createArray("/c", array()))
      const merged = yield* merge(home, fork)
      assert.isTrue(merged.isFastForward)
      assert.deepStrictEqual(merged.commits, [
        { from: first, to: first },
        { from: second, to: second }
      ])
      assert.deepStrictEqual(merged.chunks, { count: 1, bytes: 1000 })
      assert.deepStrictEqual(yield* stateAt(home), yield* stateAt(fork))
      assert.deepStrictEqual(yield* historyOf(home), yield* historyOf(fork))
    })
  )

  it.effect("gets one commit for each of its own, with message and metadata, and its chunks once", () =>
    Effect.gen(function* () {
      const home = yield* source
      const fork = yield* forked(home)
      yield* commit(fork, "one", (session) => session.setChunk("/a", [1], large(2)), { by: "alice" })
      yield* commit(
        fork,
        "two",
        all(
          (session) => session.setChunk("/a", [2], large(3)),
          (session) => session.deleteChunk("/b", [0])
        )
      )
      yield* commit(fork, "nothing", () => Effect.void)
      yield* commit(home, "theirs", (session) => session.setChunk("/b", [1], text("b1")))
      const before = new Set(yield* keysOf(home.store))
      const merged = yield* merge(home, fork)
      assert.isFalse(merged.isFastForward)
      assert.strictEqual(merged.chunks.count, 2)
      const state = yield* stateAt(home)
      assert.deepStrictEqual(Object.keys((state["/a"] as { chunks: object }).chunks), ["0", "1", "2"])
      assert.deepStrictEqual((state["/b"] as { chunks: object }).chunks, { 1: "b1" })
      const history = yield* historyOf(home)
      assert.deepStrictEqual(
        history
          .map(({ message }) => message)
          .toReversed()
          .slice(1),
        ["begin", "theirs", "one", "two", "nothing"]
      )
      assert.strictEqual(history.find(({ message }) => message === "one")!.metadata["by"], "alice")
      const added = (yield* keysOf(home.store)).filter((key) => !before.has(key))
      assert.strictEqual(added.filter((key) => key.startsWith("chunks/")).length, 2)
      assert.strictEqual(added.filter((key) => key.startsWith("snapshots/")).length, 3)
      // Once more: nothing is left to be done.
      const again = yield* merge(home, fork)
      assert.deepStrictEqual(again.commits, [])
      assert.deepStrictEqual(yield* historyOf(home), history)
    })
  )

  it.effect("and refreshed, and brought home again, meets each commit once", () =>
    Effect.gen(function* () {
      const home = yield* source
      const fork = yield* forked(home)
      yield* commit(fork, "f1", (session) => session.setChunk("/a", [1], large(2)))
      yield* commit(home, "h1", (session) => session.setChunk("/a", [2], large(3)))
      const refreshed = yield* merge(fork, home)
      assert.strictEqual(refreshed.commits.length, 1)
      // The same chunk as one that came in with the refresh: the fork has seen it, so that this is no conflict.
      yield* commit(fork, "f2", (session) => session.setChunk("/a", [2], large(4)))
      const home1 = yield* merge(home, fork)
      assert.strictEqual(home1.commits.length, 2)
      assert.deepStrictEqual(yield* stateAt(home), yield* stateAt(fork))
      yield* commit(home, "h2", (session) => session.setChunk("/b", [3], text("h2")))
      assert.strictEqual((yield* merge(fork, home)).commits.length, 1)
      assert.deepStrictEqual(yield* stateAt(home), yield* stateAt(fork))
      assert.deepStrictEqual((yield* merge(home, fork)).commits, [])
      assert.deepStrictEqual((yield* merge(fork, home)).commits, [])
    })
  )

  it.effect("is refused with the conflicts of rebase, and changes nothing then", () =>
    Effect.gen(function* () {
      const home = yield* source
      const fork = yield* forked(home)
      yield* commit(fork, "fine", (session) => session.setChunk("/b", [3], text("fine")))
      yield* commit(fork, "mine", (session) => session.setChunk("/a", [1], large(2)))
      yield* commit(home, "theirs", (session) => session.setChunk("/a", [1], large(3)))
      const [state, history] = [yield* stateAt(home), yield* historyOf(home)]
      const error = yield* Effect.flip(merge(home, fork))
      assert(error._tag === "RebaseConflict")
      assert.deepStrictEqual(
        error.conflicts.map(({ _tag, path }) => [_tag, path]),
        [["ChunkDoubleUpdate", "/a"]]
      )
      assert.deepStrictEqual(yield* stateAt(home), state)
      assert.deepStrictEqual(yield* historyOf(home), history)
      for (const [winner, seed] of [
        ["theirs", 3],
        ["ours", 2]
      ] as const) {
        const copy = yield* forked(home)
        yield* merge(copy, fork, { rebase: { ChunkDoubleUpdate: winner } })
        const { chunks } = (yield* stateAt(copy))["/a"] as { chunks: Record<string, string> }
        assert.strictEqual(chunks[1], Buffer.from(large(seed)).toString("latin1"), winner)
        assert.deepStrictEqual((yield* merge(copy, fork)).commits, [])
      }
    })
  )

  it.effect("comes through an interruption at each of its requests", () =>
    Effect.gen(function* () {
      const home = yield* source
      const fork = yield* forked(home)
      yield* commit(fork, "one", (session) => session.setChunk("/a", [1], large(2)))
      yield* commit(fork, "two", (session) => session.setChunk("/a", [3], large(4)))
      const moved = yield* forked(home)
      yield* commit(moved, "theirs", (session) => session.setChunk("/b", [1], text("b1")))
      for (const original of [home, moved]) {
        const whole = yield* forked(original)
        yield* merge(whole, fork)
        const [state, messages] = [yield* stateAt(whole), (yield* historyOf(whole)).map(({ message }) => message)]
        let points = 0
        for (let at = 1; ; at++) {
          const copy = yield* forked(original)
          const [before, length] = [yield* stateAt(copy), (yield* historyOf(copy)).length]
          const reached = yield* interruptedAt(copy, fork, at)
          if (!reached) break
          points++
          // All of it is visible, or none.
          const now = yield* historyOf(copy)
          assert.include([length, length + 2], now.length)
          assert.deepStrictEqual(yield* stateAt(copy), now.length === length ? before : state)
          yield* merge(copy, fork)
          assert.deepStrictEqual(yield* stateAt(copy), state)
          assert.deepStrictEqual(
            (yield* historyOf(copy)).map(({ message }) => message),
            messages
          )
          const chunks = (yield* keysOf(copy.store)).filter((key) => key.startsWith("chunks/"))
          assert.strictEqual(chunks.length, 3)
        }
        assert.isAbove(points, 10)
      }
    })
  )

  it.effect("of a branch that is not there is refused", () =>
    Effect.gen(function* () {
      const home = yield* source
      const fork = yield* forked(home)
      const error = yield* Effect.flip(merge(home, fork, { from: "nope" }))
      assert.strictEqual(error._tag, "RefNotFound")
    })
  )

  it.effect("that was made apart begins with the same empty snapshot: all of its commits go on top", () =>
    Effect.gen(function* () {
      const home = yield* source
      const other = yield* worldInMemory
      yield* inWorld(other)(Repository.create())
      yield* commit(other, "other", (session) => session.createArray("/other", array()))
      const merged = yield* merge(home, other)
      assert.lengthOf(merged.commits, 1)
      assert.deepStrictEqual(Object.keys(yield* stateAt(home)), ["/a", "/b", "/other"])
      // What both have made is in conflict.
      yield* commit(other, "the same", (session) => session.createArray("/a", array()))
      const error = yield* Effect.flip(merge(home, other))
      assert.strictEqual(error._tag, "RebaseConflict")
    })
  )

  /** Old snapshots expire, and are collected. */
  const pruned = Effect.fnUntraced(function* (world: World, collect = true) {
    yield* inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* Repository.open()
        yield* Maintenance.expire(repository, { olderThan: 0 })
        if (collect) yield* Maintenance.collectGarbage(repository, { olderThan: "1 minute", minimumAge: 0 })
      })
    )
  })

  const diverged = Effect.gen(function* () {
    const home = yield* source
    yield* commit(home, "shared", (session) => session.setChunk("/a", [3], large(9)))
    const fork = yield* forked(home)
    yield* TestClock.adjust("1 hour")
    yield* commit(fork, "one", (session) => session.setChunk("/a", [1], large(2)))
    yield* commit(
      fork,
      "two",
      all(
        (session) => session.setChunk("/a", [2], large(3)),
        (session) => session.deleteChunk("/b", [0])
      )
    )
    yield* commit(home, "theirs", (session) => session.setChunk("/b", [1], text("b1")))
    yield* commit(home, "theirs too", (session) => session.setChunk("/b", [2], text("b2")))
    yield* TestClock.adjust("1 hour")
    const whole = yield* forked(home)
    yield* merge(whole, fork)
    return { home, fork, state: yield* stateAt(whole) }
  })

  for (const [name, sides] of [
    ["home", [true, false]],
    ["the fork", [false, true]]
  ] as const) {
    it.effect(`comes home the same after what was old in ${name} has expired and was collected`, () =>
      Effect.gen(function* () {
        const { fork, home, state } = yield* diverged
        const [homeHas, forkHas] = sides
        if (homeHas) yield* pruned(home)
        if (forkHas) yield* pruned(fork)
        const merged = yield* merge(home, fork)
        assert.isFalse(merged.isFastForward)
        // Expired commits come with the one that took them over.
        assert.lengthOf(merged.commits, forkHas ? 1 : 2)
        assert.deepStrictEqual(yield* stateAt(home), state)
        assert.deepStrictEqual((yield* merge(home, fork)).commits, [])
        yield* merge(fork, home)
        assert.deepStrictEqual(yield* stateAt(fork), state)
      })
    )
  }

  it.effect("of which the common past has expired in both comes home while it is not collected in both", () =>
    Effect.gen(function* () {
      for (const [homeCollects, forkCollects] of [
        [false, false],
        [true, false],
        [false, true]
      ] as const) {
        const { fork, home, state } = yield* diverged
        yield* pruned(home, homeCollects)
        yield* pruned(fork, forkCollects)
        yield* merge(home, fork)
        assert.deepStrictEqual(yield* stateAt(home), state)
      }
    })
  )

  it.effect("of which it was collected in both is refused: on what its changes were made is not known", () =>
    Effect.gen(function* () {
      const { fork, home } = yield* diverged
      yield* pruned(home)
      yield* pruned(fork)
      const [state, history, files] = [yield* stateAt(home), yield* historyOf(home), yield* keysOf(home.store)]
      const error = yield* Effect.flip(merge(home, fork))
      assert(error._tag === "MergeImpossible", error._tag)
      assert.match(error.because, /of snapshot `\w+`, which has expired in both/)
      assert.deepStrictEqual(yield* stateAt(home), state)
      assert.deepStrictEqual(yield* historyOf(home), history)
      assert.deepStrictEqual(yield* keysOf(home.store), files)
    })
  )

  it.effect("without one of the transaction logs that it needs is refused, whosever it is", () =>
    Effect.gen(function* () {
      for (const whose of ["home", "fork"] as const) {
        const { fork, home } = yield* diverged
        yield* commit(fork, "both", (session) => session.setChunk("/b", [3], text("f3")))
        const world = whose === "home" ? home : fork
        yield* TestClock.adjust("1 hour")
        const expired = (yield* historyOf(world))[1]!.id
        if (whose === "fork") yield* pruned(world)
        const history = yield* historyOf(home)
        yield* world.store.delete([`transactions/${expired}`])
        const error = yield* Effect.flip(merge(home, fork))
        assert(error._tag === "RebaseImpossible", error._tag)
        assert.include(error.because, expired)
        assert.deepStrictEqual(yield* historyOf(home), history)
      }
    })
  )

  it("says the same of all nodes and chunks, whatever was done", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.array(
            fc.record({
              what: fc.constantFrom("create", "chunk", "big", "delete", "attributes", "remove", "resize", "group"),
              node: fc.integer({ min: 0, max: 3 }),
              index: fc.integer({ min: 0, max: 3 }),
              value: fc.integer({ min: 1, max: 200 })
            }),
            { maxLength: 6 }
          ),
          { minLength: 1, maxLength: 4 }
        ),
        (commits) =>
          Effect.gen(function* () {
            const home = yield* source
            const fork = yield* forked(home)
            for (const steps of commits) {
              yield* commit(fork, "fork", (session) =>
                Effect.forEach(steps, ({ index, node, value, what }) => {
                  const path = `/${"abcd"[node]!}`
                  const json = (length: number) =>
                    text(
                      JSON.stringify({
                        zarr_format: 3,
                        node_type: "array",
                        shape: [length],
                        data_type: "uint8",
                        chunk_grid: { name: "regular", configuration: { chunk_shape: [1] } },
                        chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
                        fill_value: 0,
                        codecs: [{ name: "bytes" }],
                        attributes: { value }
                      })
                    )
                  const step: Effect.Effect<unknown, unknown> =
                    what === "create"
                      ? session.createArray(path, array())
                      : what === "chunk"
                        ? session.setChunk(path, [index], text(`v${value}`))
                        : what === "big"
                          ? session.setChunk(path, [index], large(value))
                          : what === "delete"
                            ? session.deleteChunk(path, [index])
                            : what === "attributes"
                              ? session.setMetadata(path, json(4))
                              : what === "resize"
                                ? session.setMetadata(path, json(1 + index))
                                : what === "group"
                                  ? session.createGroup(`/g${value % 3}`)
                                  : session.deleteNode(path)
                  return Effect.ignore(step)
                })
              )
            }
            // So that the commits cannot go in as they are.
            yield* commit(home, "nothing", () => Effect.void)
            const merged = yield* merge(home, fork)
            assert.isFalse(merged.isFastForward)
            assert.strictEqual(merged.commits.length, commits.length)
            assert.deepStrictEqual(yield* stateAt(home), yield* stateAt(fork))
          }).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 60 }
    ))
})
