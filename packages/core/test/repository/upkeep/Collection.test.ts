import { assert, describe, it } from "@effect/vitest"
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Repository from "@effect-icechunk/core/Repository"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as IcechunkFile from "../../../src/format/IcechunkFile.ts"
import * as RepoInfo from "../../../src/format/RepoInfo.ts"
import { inWorld, pattern, type World } from "../Fixture.ts"
import { array } from "../RepositorySuite.ts"
import { assertWhole, contents, copied, keys, littered, type Littered, opened } from "./World.ts"

const week = { olderThan: "7 days" } as const

/** Names of files by kind. */
const namesOf = (plan: Maintenance.CollectionPlan) => ({
  snapshots: [...Maintenance.namesOf(plan.snapshots)].toSorted(),
  transactionLogs: [...Maintenance.namesOf(plan.transactionLogs)].toSorted(),
  manifests: [...Maintenance.namesOf(plan.manifests)].toSorted(),
  chunks: [...Maintenance.namesOf(plan.chunks)].toSorted()
})

describe("collectGarbage", () => {
  it.effect("deletes what nothing leads to, and only that; a dry run says so and deletes nothing", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const before = yield* keys(world.store)
      const had = yield* opened(world)(contents)
      const { left: plan } = yield* opened(world)((repository) =>
        Maintenance.collectGarbage(repository, { ...week, dryRun: true })
      )
      assert.deepStrictEqual(yield* keys(world.store), before)
      assert.deepStrictEqual<ReadonlyArray<string>>(plan.dropped, [world.orphan])
      const names = namesOf(plan)
      assert.deepStrictEqual(names.snapshots, [world.orphan])
      assert.deepStrictEqual(names.transactionLogs, [world.orphan])
      assert.strictEqual(names.manifests.length, 1)
      assert.strictEqual(names.chunks.length, 3)
      const done = yield* opened(world)((repository) => Maintenance.collectGarbage(repository, week))
      const gone = new Set([
        ...names.chunks.map((name) => `chunks/${name}`),
        ...names.manifests.map((name) => `manifests/${name}`),
        `snapshots/${world.orphan}`,
        `transactions/${world.orphan}`
      ])
      assert.deepStrictEqual(
        yield* keys(world.store),
        before.filter((key) => !gone.has(key))
      )
      assert.deepStrictEqual(done.deleted.total, {
        files: 6,
        bytes: plan.snapshots.sizes[0]! + plan.transactionLogs.sizes[0]! + plan.manifests.sizes[0]! + 2077
      })
      assert.deepStrictEqual(done.deleted.chunks, { files: 3, bytes: 2077 })
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* contents(repository), had)
          yield* assertWhole(repository)
          const error = yield* Effect.flip(repository.createTag("late", world.orphan))
          assert.strictEqual(error._tag, "RefNotFound")
          // Again there is nothing to do, and nothing is written.
          const { etag } = (yield* world.store.head("repo")).version
          const again = yield* Maintenance.collectGarbage(repository, week)
          assert.deepStrictEqual(again.deleted.total, { files: 0, bytes: 0 })
          assert.strictEqual((yield* world.store.head("repo")).version.etag, etag)
        })
      )
    })
  )

  it.effect("after an expiration keeps the logs that others have taken over", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/a", [1], pattern(1000, 99))
          const tip = yield* session.commit("late")
          const expired = yield* Maintenance.expire(repository, { olderThan: "1 day" })
          assert.includeMembers<string>([...expired.released], [world.first, world.second])
          yield* Maintenance.collectGarbage(repository, { olderThan: "1 day" })
          const left = yield* keys(world.store)
          assert.notInclude(left, `snapshots/${world.first}`)
          assert.include(left, `transactions/${world.first}`)
          assert.include(left, `transactions/${world.second}`)
          assert.notInclude(left, `transactions/${world.orphan}`)
          const at = yield* repository.readonlySession({ snapshotId: tip })
          assert.deepStrictEqual(yield* at.chunk("/a", [0]), pattern(1000, 30))
          assert.deepStrictEqual(yield* at.chunk("/a", [2]), pattern(1000, 12))
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("keeps what is not old, whatever leads to it", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const before = yield* keys(world.store)
      const done = yield* opened(world)((repository) =>
        Maintenance.collectGarbage(repository, { olderThan: "11 days" })
      )
      assert.strictEqual(done.deleted.total.files, 0)
      assert.deepStrictEqual(yield* keys(world.store), before)
    })
  )

  it.effect("goes on where its time was over, again and again, and comes to the same", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const expected = yield* opened(world)((repository) =>
        Maintenance.collectGarbage(repository, { ...week, dryRun: true })
      )
      const had = yield* opened(world)(contents)
      // Every look at the clock that follows a file takes a second.
      const slow: ObjectStore.ObjectStoreShape = {
        ...world.store,
        get: (key, options) =>
          key.startsWith("snapshots/") || key.startsWith("manifests/")
            ? Effect.tap(world.store.get(key, options), () => TestClock.adjust("1 second"))
            : world.store.get(key, options),
        delete: (batch) =>
          batch[0]!.startsWith("overwritten/")
            ? world.store.delete(batch)
            : Effect.tap(world.store.delete(batch), () => TestClock.adjust("1 second"))
      }
      let step = yield* opened({ ...world, store: slow })((repository) =>
        Maintenance.collectGarbage(repository, { ...week, timeLimit: 0 })
      )
      let deleted = step.deleted.total.files
      let steps = 1
      for (; !step.isComplete; steps++) {
        // A plan is plain data.
        const from = structuredClone(step.left)
        step = yield* opened({ ...world, store: slow })((repository) =>
          Maintenance.collectGarbage(repository, { from, timeLimit: 0 })
        )
        deleted += step.deleted.total.files
      }
      assert.isAbove(steps, 3)
      assert.strictEqual(deleted, expected.deleted.total.files)
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* contents(repository), had)
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("does what was planned, and less when something has come to be needed since", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          const { left: plan } = yield* Maintenance.collectGarbage(repository, { ...week, dryRun: true })
          yield* repository.createTag("saved", world.orphan)
          const done = yield* Maintenance.collectGarbage(repository, { from: plan })
          assert.deepStrictEqual(done.deleted.total, { files: 1, bytes: 77 })
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("tells of its progress", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const seen: Array<string> = []
      yield* opened(world)((repository) =>
        Maintenance.collectGarbage(repository, {
          ...week,
          onProgress: ({ files, kind, of, phase }) =>
            Effect.sync(() => void seen.push(`${phase} ${kind} ${files}/${of}`))
        })
      )
      assert.deepStrictEqual(seen, [
        "listing snapshots 5/5",
        "listing transactionLogs 5/5",
        "listing manifests 4/4",
        "listing chunks 7/7",
        "reading snapshots 4/4",
        "deleting snapshots 1/1",
        "deleting transactionLogs 1/1",
        "deleting manifests 1/1",
        "deleting chunks 3/3"
      ])
    })
  )

  it.effect("reads each manifest once, and none when no chunk is old", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const read: Array<string> = []
      const counting: ObjectStore.ObjectStoreShape = {
        ...world.store,
        get: (key, options) => {
          read.push(key)
          return world.store.get(key, options)
        }
      }
      const within = opened({ ...world, store: counting })
      yield* within((repository) => Maintenance.collectGarbage(repository, { ...week, dryRun: true }))
      const manifests = read.filter((key) => key.startsWith("manifests/"))
      assert.strictEqual(manifests.length, 3)
      assert.strictEqual(new Set(manifests).size, 3)
      read.length = 0
      yield* within((repository) => Maintenance.collectGarbage(repository, { olderThan: "20 days", dryRun: true }))
      assert.deepStrictEqual(
        read.filter((key) => key.startsWith("manifests/")),
        []
      )
    })
  )
})

describe("a collection that would be dangerous is refused", () => {
  const refused = (
    world: World,
    options: Maintenance.CollectOptions,
    prepare: (repository: Repository.RepositoryShape) => Effect.Effect<unknown, unknown> = () => Effect.void
  ) =>
    opened(world)((repository) =>
      Effect.gen(function* () {
        yield* Effect.orDie(prepare(repository))
        const before = yield* keys(world.store)
        const error = yield* Effect.flip(Maintenance.collectGarbage(repository, options))
        assert.deepStrictEqual(yield* keys(world.store), before)
        return error
      })
    )

  it.effect("with a cutoff that is none, or younger than commits that may be under way", () =>
    Effect.gen(function* () {
      const world = yield* littered
      for (const options of [
        { olderThan: "59 minutes" },
        { olderThan: "-1 day" },
        { olderThan: "soon" as never },
        { olderThan: "1 day", minimumAge: "2 days" },
        { before: DateTime.makeUnsafe(86_400_000 * 11) }
      ] as const) {
        const error = yield* refused(world, options)
        assert.strictEqual(error._tag, "InvalidCutoff", error.message)
      }
      const allowed = yield* opened(world)((repository) =>
        Maintenance.collectGarbage(repository, { olderThan: "59 minutes", minimumAge: 0 })
      )
      assert.isAbove(allowed.deleted.total.files, 0)
    })
  )

  it.effect("while a session of this process may have written something older", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/a", [5], pattern(1000, 5))
          yield* TestClock.adjust("8 days")
          const error = yield* Effect.flip(Maintenance.collectGarbage(repository, week))
          assert.strictEqual(error._tag, "InvalidCutoff")
          assert.include(error.message, "`main`")
          // Before that it may.
          yield* Maintenance.collectGarbage(repository, { olderThan: "9 days" })
          yield* session.commit("at last")
          yield* Maintenance.collectGarbage(repository, week)
          yield* assertWhole(repository)
          // It goes on: what it writes from now on counts.
          yield* session.setChunk("/a", [6], pattern(1000, 6))
          yield* TestClock.adjust("8 days")
          assert.strictEqual((yield* Effect.flip(Maintenance.collectGarbage(repository, week)))._tag, "InvalidCutoff")
          yield* session.discard
          const done = yield* Maintenance.collectGarbage(repository, week)
          assert.deepStrictEqual(done.deleted.chunks, { files: 1, bytes: 1000 })
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("while a chunk is on its way, also when a commit has been made since it began", () =>
    Effect.gen(function* () {
      const world = yield* littered
      let meanwhile: Effect.Effect<unknown> = Effect.void
      const store: ObjectStore.ObjectStoreShape = {
        ...world.store,
        put: (key, bytes, options) =>
          Effect.suspend(() => {
            const before = key.startsWith("chunks/") ? meanwhile : Effect.void
            if (key.startsWith("chunks/")) meanwhile = Effect.void
            return Effect.andThen(before, world.store.put(key, bytes, options))
          })
      }
      yield* opened({ ...world, store })((repository) =>
        Effect.gen(function* () {
          const refused = Effect.gen(function* () {
            yield* TestClock.adjust("8 days")
            const error = yield* Effect.flip(Maintenance.collectGarbage(repository, week))
            assert.strictEqual(error._tag, "InvalidCutoff")
          }).pipe(Effect.orDie)
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          yield* session.commit("a group")
          meanwhile = refused
          yield* session.setChunk("/a", [5], pattern(1000, 5))
          yield* session.commit("a chunk")
          meanwhile = Effect.orDie(Effect.andThen(session.createGroup("/h"), session.commit("another group")))
          yield* session.setChunk("/a", [6], pattern(1000, 6))
          yield* refused
          yield* session.commit("another chunk")
          yield* Maintenance.collectGarbage(repository, week)
          yield* assertWhole(repository)
        })
      )
    })
  )

  it.effect("where the repository or the store is read-only; a dry run is not", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const readOnly = { ...world, store: { ...world.store, readOnlyBecause: "it is a copy" } }
      const error = yield* refused(readOnly, week)
      assert.strictEqual(error._tag, "WriteForbidden")
      const dry = yield* opened(readOnly)((repository) =>
        Maintenance.collectGarbage(repository, { ...week, dryRun: true })
      )
      assert.strictEqual(dry.deleted.total.files, 6)
    })
  )
})

const changed = (store: ObjectStore.ObjectStoreShape, key: string, change: (bytes: Uint8Array) => Uint8Array) =>
  Effect.flatMap(store.get(key), ({ bytes }) => store.put(key, change(bytes)))

/** A file of Icechunk whose payload is cut: it can be decompressed, and is wrong inside. */
const cutPayload =
  (type: IcechunkFile.FileType, key: string, at: (length: number) => number) => (store: ObjectStore.ObjectStoreShape) =>
    Effect.gen(function* () {
      const { bytes } = yield* store.get(key)
      const { payload } = yield* IcechunkFile.decode(key, bytes, type)
      yield* store.put(key, yield* IcechunkFile.encode(type, payload.slice(0, at(payload.length))))
    }).pipe(Effect.provide(NodeZstd.layer))

describe("a damaged file in the way ends a collection, and nothing is deleted", () => {
  const filesOf = (world: Littered) =>
    opened(world)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.readonlySession({ snapshotId: world.first })
        const { data } = yield* session.node("/a")
        return {
          snapshot: `snapshots/${world.first}`,
          manifest: `manifests/${data._tag === "Array" ? data.manifests[0]!.id : ""}`
        }
      })
    )
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i > 60 && i % 7 === 0 ? byte ^ 0x55 : byte))

  for (const kind of ["snapshot", "manifest"] as const) {
    const type = kind === "snapshot" ? "Snapshot" : "Manifest"
    const damages: Readonly<
      Record<string, (store: ObjectStore.ObjectStoreShape, key: string) => Effect.Effect<unknown, unknown>>
    > = {
      "is missing": (store, key) => store.delete([key]),
      "is empty": (store, key) => changed(store, key, () => new Uint8Array(0)),
      "is cut": (store, key) => changed(store, key, (bytes) => bytes.slice(0, bytes.length - 20)),
      "has wrong bytes": (store, key) => changed(store, key, flip),
      "is another file of its kind": (store, key) =>
        Effect.gen(function* () {
          const all = yield* Stream.runCollect(store.list(key.split("/")[0]!))
          yield* store.copy(all.find((other) => other.key !== key)!.key, key)
        }),
      "is another kind of file": (store, key) => store.copy("repo", key),
      "ends within its refs": (store, key) => cutPayload(type, key, (length) => length - 30)(store)
    }
    for (const [name, damage] of Object.entries(damages)) {
      it.effect(`a ${kind} that ${name}`, () =>
        Effect.gen(function* () {
          const world = yield* littered
          const files = yield* filesOf(world)
          yield* Effect.orDie(damage(world.store, files[kind]))
          const before = yield* keys(world.store)
          const { etag } = (yield* world.store.head("repo")).version
          const error = yield* Effect.flip(opened(world)((repository) => Maintenance.collectGarbage(repository, week)))
          assert.include(["FormatError", "ObjectStoreError"], error._tag)
          assert.include(error.message, files[kind])
          assert.deepStrictEqual(yield* keys(world.store), before)
          assert.strictEqual((yield* world.store.head("repo")).version.etag, etag)
        })
      )
    }
  }

  it.effect("a repository object that has wrong bytes", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const before = yield* keys(world.store)
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          yield* changed(world.store, "repo", flip)
          const error = yield* Effect.flip(Maintenance.collectGarbage(repository, week))
          assert.strictEqual(error._tag, "FormatError")
          assert.include(error.message, "`repo`")
        })
      )
      assert.deepStrictEqual(yield* keys(world.store), before)
    })
  )

  it.effect("but not the file of a snapshot that nothing leads to and that is gone", () =>
    Effect.gen(function* () {
      const world = yield* littered
      yield* world.store.delete([`snapshots/${world.orphan}`])
      yield* opened(world)((repository) =>
        Effect.gen(function* () {
          yield* Maintenance.collectGarbage(repository, week)
          yield* assertWhole(repository)
        })
      )
    })
  )
})

/** A store that does something before the request of a number, counted from 1. */
const interrupted = (store: ObjectStore.ObjectStoreShape) => {
  const state = { requests: 0, at: 0, meanwhile: Effect.void as Effect.Effect<unknown> }
  const before = <A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => (++state.requests === state.at ? Effect.andThen(state.meanwhile, request) : request))
  const wrapped: ObjectStore.ObjectStoreShape = {
    ...store,
    get: (key, options) => before(store.get(key, options)),
    put: (key, bytes, options) => before(store.put(key, bytes, options)),
    head: (key) => before(store.head(key)),
    list: (prefix) => Stream.unwrap(before(Effect.sync(() => store.list(prefix)))),
    delete: (batch) => before(store.delete(batch)),
    copy: (from, to, options) => before(store.copy(from, to, options))
  }
  return { state, store: wrapped }
}

describe("what others do while garbage is collected survives whole, wherever it comes", () => {
  type Other = (
    world: Littered,
    repository: Repository.RepositoryShape
  ) => Effect.Effect<unknown, { readonly _tag: string }>
  const others: Readonly<Record<string, Other>> = {
    "a commit on main": (_, repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.setChunk("/a", [7], pattern(1000, 70))
        yield* session.createArray("/b", array([10], [1]))
        yield* session.commit("meanwhile")
      }),
    "a tag on what would be dropped": (world, repository) => repository.createTag("saved", world.orphan),
    "a branch on what would be dropped, and a commit on it": (world, repository) =>
      Effect.gen(function* () {
        yield* repository.createBranch("saved", world.orphan)
        const session = yield* repository.writableSession("saved")
        yield* session.setChunk("/a", [8], pattern(1000, 80))
        yield* session.commit("on it")
      }),
    "main set back to what would be dropped": (world, repository) => repository.resetBranch("main", world.orphan),
    "another collection": (_, repository) => Maintenance.collectGarbage(repository, week),
    "an expiration": (_, repository) => Maintenance.expire(repository, { olderThan: "1 day" })
  }
  for (const [name, other] of Object.entries(others)) {
    it.effect(
      name,
      () =>
        Effect.gen(function* () {
          const template = yield* littered
          const had = yield* opened(template)(contents)
          let refusals = 0
          let at = 0
          for (let isOver = false; !isOver;) {
            at++
            const world = yield* copied(template)
            const { state, store } = interrupted(world.store)
            isOver = yield* opened({ ...world, store })((repository) =>
              Effect.gen(function* () {
                state.requests = 0
                state.at = at
                state.meanwhile = opened(world)((another) => other(world, another)).pipe(
                  Effect.catch((error) =>
                    error._tag === "RefNotFound" ? Effect.sync(() => void refusals++) : Effect.die(error)
                  )
                )
                yield* Maintenance.collectGarbage(repository, week)
                return state.requests < at
              })
            )
            yield* opened(world)((repository) =>
              Effect.gen(function* () {
                yield* assertWhole(repository)
                const has = yield* contents(repository)
                for (const [key, value] of has) if (had.has(key)) assert.strictEqual(value, had.get(key))
                // What is left is no garbage, but for what a later collection finds.
                yield* Maintenance.collectGarbage(repository, week)
                yield* assertWhole(repository)
                assert.deepStrictEqual(yield* contents(repository), has)
              })
            )
          }
          assert.isAbove(at, 15)
          if (name.includes("dropped")) assert.isAbove(refusals, 0)
        }),
      60_000
    )
  }
})

describe("a collection looks again", () => {
  it.effect("before it writes: what others have come to need, and cannot be read, ends it", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const before = yield* keys(world.store)
      // Before the write of the repository object, the only put of it.
      let isFirst = true
      const store: ObjectStore.ObjectStoreShape = {
        ...world.store,
        put: (key, bytes, options) =>
          Effect.suspend(() => {
            if (key !== "repo" || !isFirst) return world.store.put(key, bytes, options)
            isFirst = false
            return opened(world)((repository) =>
              Effect.gen(function* () {
                yield* repository.createTag("saved", world.orphan)
                const at = yield* repository.readonlySession({ tag: "saved" })
                const { data } = yield* at.node("/a")
                const manifest = data._tag === "Array" ? data.manifests[0]!.id : ""
                yield* changed(world.store, `manifests/${manifest}`, (one) => one.slice(0, 60))
              })
            ).pipe(Effect.orDie, Effect.andThen(world.store.put(key, bytes, options)))
          })
      }
      const error = yield* Effect.flip(
        opened({ ...world, store })((repository) => Maintenance.collectGarbage(repository, week))
      )
      assert.strictEqual(error._tag, "FormatError")
      assert.deepStrictEqual(yield* keys(world.store), before)
      const { bytes } = yield* world.store.get("repo")
      const { payload } = yield* IcechunkFile.decode("repo", bytes, "RepoInfo").pipe(Effect.provide(NodeZstd.layer))
      const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
      assert.deepStrictEqual(info.latestUpdates[0]!.update, { _tag: "TagCreated", name: "saved" })
    })
  )

  it.effect("before each deletion: of a repository object that somebody puts back, all files stay", () =>
    Effect.gen(function* () {
      const world = yield* littered
      const former = yield* world.store.get("repo")
      let isFirst = true
      const store: ObjectStore.ObjectStoreShape = {
        ...world.store,
        // It is read once more when it has been written.
        get: (key, options) =>
          Effect.suspend(() => {
            const isAfter = isFirst && key === "repo" && isWritten
            if (!isAfter) return world.store.get(key, options)
            isFirst = false
            return Effect.andThen(Effect.orDie(world.store.put("repo", former.bytes)), world.store.get(key, options))
          }),
        put: (key, bytes, options) =>
          Effect.tap(world.store.put(key, bytes, options), () =>
            Effect.sync(() => {
              if (key === "repo") isWritten = true
            })
          )
      }
      let isWritten = false
      yield* opened({ ...world, store })((repository) =>
        Effect.gen(function* () {
          const done = yield* Maintenance.collectGarbage(repository, week)
          // But what nothing has ever led to.
          assert.deepStrictEqual(done.deleted.total, { files: 1, bytes: 77 })
          yield* assertWhole(repository)
        })
      )
      assert.isFalse(isFirst)
    })
  )
})
