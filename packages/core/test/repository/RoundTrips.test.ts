import { assert, describe, it } from "@effect/vitest"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { ObjectStore as ObjectStoreService } from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Repository from "@effect-icechunk/core/Repository"
import * as RequestMetrics from "@effect-icechunk/core/RequestMetrics"
import { Zstd } from "@effect-icechunk/core/Zstd"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { inWorld, pattern, type World, worldInMemory } from "./Fixture.ts"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as RepoInfo from "../../src/format/RepoInfo.ts"
import type * as Snapshot from "../../src/format/Snapshot.ts"
import * as Assets from "../../src/repository/Assets.ts"
import * as AssetWrites from "../../src/repository/AssetWrites.ts"
import * as Layout from "../../src/repository/Layout.ts"
import * as RandomId from "../../src/repository/RandomId.ts"
import * as RepoObject from "../../src/repository/versions/RepoObject.ts"
import { array } from "./RepositorySuite.ts"
import * as Rounds from "./Rounds.ts"

/** Another program over the same objects, which keeps nothing between its calls. */
const elsewhere = <A, E>(
  { objects, store }: World,
  run: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>
) =>
  inWorld({ objects, store: { ...store } })(
    Effect.flatMap(Repository.open(), run).pipe(Effect.provideService(Zstd, Rounds.plainZstd))
  )

/** A repository with an array `/a`, whose chunks are objects, and a chunk in it. */
const repositoryIn = (world: World) =>
  inWorld(world)(
    Effect.gen(function* () {
      const repository = yield* Repository.create({ persist: { inline_chunk_threshold_bytes: 0 } })
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", array([4], [1]))
      yield* session.setChunk("/a", [0], pattern(1))
      return yield* session.commit("first")
    }).pipe(Effect.provideService(Zstd, Rounds.plainZstd))
  )

const commitElsewhere = (world: World, path: string) =>
  elsewhere(
    world,
    Effect.fnUntraced(function* ({ writableSession }) {
      const session = yield* writableSession("main")
      yield* session.createGroup(path)
      return yield* session.commit(path)
    })
  )

const messages = (repository: Repository.RepositoryShape) =>
  Effect.map(repository.history({ branch: "main" }), (all) => all.map(({ message }) => message))

const copies = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Stream.runCollect(store.list("overwritten/")), (all) => all.length)

/** Each operation but the latest names a copy, and that is the object that it was the latest of. */
const checkCopies = Effect.fnUntraced(
  function* (store: ObjectStore.ObjectStoreShape) {
    const [, ...older] = (yield* RepoObject.read(store)).info.latestUpdates
    for (const { backupPath, updatedAt } of older) {
      const { bytes } = yield* store.get(Layout.overwritten(backupPath!))
      const { payload } = yield* IcechunkFile.decode(backupPath!, bytes, "RepoInfo")
      const copy = Result.getOrThrow(RepoInfo.decode(backupPath!, payload))
      assert.strictEqual(copy.latestUpdates[0]!.updatedAt, updatedAt)
    }
    return older.length
  },
  Effect.provideService(Zstd, Rounds.plainZstd)
)

const withProgram = <A, E>(
  run: (
    world: World,
    program: ReturnType<typeof Rounds.make>,
    first: string
  ) => Effect.Effect<A, E, Repository.Repository>
) =>
  Effect.gen(function* () {
    const world = yield* worldInMemory
    const first = yield* repositoryIn(world)
    const program = Rounds.make(world)
    return yield* program.within(Effect.provide(run(world, program, first), Repository.layer()))
  })

describe("round trips", () => {
  it.effect("opening, a session and its first chunk take four", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* repositoryIn(world)
      const program = Rounds.make(world)
      const { calls, result } = yield* program.within(
        program.rounds(
          Effect.gen(function* () {
            const repository = yield* Repository.open()
            const session = yield* repository.readonlySession({ branch: "main" })
            return yield* session.chunk("/a", [0])
          })
        )
      )
      assert.deepStrictEqual(Result.getOrThrow(result), pattern(1))
      assert.deepStrictEqual(calls, [
        ["get config.json", "get repo"],
        ["get config.json", "get repo", "get snapshots"],
        ["get manifests"],
        ["get chunks"]
      ])
    })
  )

  it.effect("a session that opens after others have committed shows what they did, for one more", () =>
    withProgram(
      Effect.fnUntraced(function* (world, { rounds }) {
        const repository = yield* Repository.Repository
        const theirs = yield* commitElsewhere(world, "/theirs")
        const { calls, result } = yield* rounds(repository.readonlySession({ branch: "main" }))
        const session = Result.getOrThrow(result)
        assert.strictEqual(yield* session.snapshotId, theirs)
        assert.deepStrictEqual(
          (yield* session.nodes()).map(({ path }) => String(path)),
          ["/a", "/theirs"]
        )
        assert.deepStrictEqual(calls, [["get config.json", "get repo", "get snapshots"], ["get snapshots"]])
      })
    )
  )

  it.effect("a commit takes two, the next does not look before it writes, and nothing is asked for again", () =>
    withProgram(
      Effect.fnUntraced(function* (world, { rounds }) {
        const repository = yield* Repository.Repository
        const session = yield* repository.writableSession("main")
        yield* session.chunk("/a", [0])
        for (const seed of [1, 2]) {
          yield* session.setChunk("/a", [1], pattern(1, seed))
          const { calls, result } = yield* rounds(session.commit("ours"))
          assert.isTrue(Result.isSuccess(result))
          const looks = seed === 1 ? ["get repo"] : []
          assert.deepStrictEqual(calls, [
            ["copy repo overwritten", ...looks, "put manifests", "put snapshots", "put transactions"],
            ["put repo"]
          ])
        }
        const { calls } = yield* rounds(
          Effect.flatMap(repository.readonlySession({ branch: "main" }), ({ chunk }) => chunk("/a", [1]))
        )
        assert.deepStrictEqual(calls, [["get config.json", "get repo"], ["get chunks"]])
        assert.deepStrictEqual(yield* elsewhere(world, messages), ["ours", "ours", "first", "Repository initialized"])
      })
    )
  )

  it.effect("a commit beside one of others, to another branch, takes one more", () =>
    withProgram(
      Effect.fnUntraced(function* (world, { rounds }, first) {
        const repository = yield* Repository.Repository
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/ours")
        yield* elsewhere(world, ({ createTag }) => createTag("theirs", first))
        const { calls, result } = yield* rounds(session.commit("ours"))
        assert.isTrue(Result.isSuccess(result))
        assert.deepStrictEqual(calls, [
          ["copy repo overwritten", "get repo", "put snapshots", "put transactions"],
          ["copy repo overwritten"],
          ["put repo"]
        ])
        assert.deepStrictEqual(yield* elsewhere(world, messages), ["ours", "first", "Repository initialized"])
        assert.isTrue((yield* repository.tags).has("theirs"))
        assert.strictEqual(yield* checkCopies({ ...world.store }), 3)
      })
    )
  )

  it.effect("creating a repository takes three, and its first session only asks whether something is new", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      const program = Rounds.make(world)
      yield* program.within(
        Effect.gen(function* () {
          const created = yield* program.rounds(Repository.create({ persist: { inline_chunk_threshold_bytes: 0 } }))
          assert.deepStrictEqual(created.calls, [
            ["list "],
            ["put config.json", "put snapshots", "put transactions"],
            ["put repo"]
          ])
          const repository = Result.getOrThrow(created.result)
          const { calls } = yield* program.rounds(repository.writableSession("main"))
          assert.deepStrictEqual(calls, [["get config.json", "get repo"]])
        })
      )
    })
  )

  it.effect("a first snapshot that another creator has left is read as it is there", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(Effect.provideService(Repository.create(), Zstd, Rounds.plainZstd))
      yield* world.store.delete([Layout.repo])
      const program = Rounds.make(world)
      yield* program.within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const { calls } = yield* program.rounds(repository.writableSession("main"))
          assert.deepStrictEqual(calls, [["get config.json", "get repo", "get snapshots"]])
        })
      )
    })
  )

  it.effect("creating, deleting or resetting a tag or branch takes two", () =>
    withProgram(
      Effect.fnUntraced(function* (_, { rounds }, first) {
        const repository = yield* Repository.Repository
        const changes = [
          repository.createTag("v1", first),
          repository.deleteTag("v1"),
          repository.createBranch("dev", first),
          repository.resetBranch("dev", first),
          repository.deleteBranch("dev")
        ]
        for (const change of changes) {
          const { calls, result } = yield* rounds(change)
          assert.isTrue(Result.isSuccess(result))
          assert.deepStrictEqual(calls, [["copy repo overwritten", "get repo"], ["put repo"]])
        }
      })
    )
  )

  it.effect("what cannot be done copies nothing", () =>
    withProgram(
      Effect.fnUntraced(function* ({ store }, { rounds }, first) {
        const repository = yield* Repository.Repository
        yield* repository.createTag("v1", first)
        const before = yield* copies(store)
        const { calls, result } = yield* rounds(repository.createTag("v1", first))
        assert.isTrue(Result.isFailure(result))
        assert.deepStrictEqual(calls, [["get repo"]])
        assert.strictEqual(yield* copies(store), before)
      })
    )
  )
})

describe("a commit, while its files are written", () => {
  /** A session with a change, of a program that does not know what others have done since. */
  const begun = <A, E>(
    run: (
      world: World,
      program: ReturnType<typeof Rounds.make>,
      commit: Effect.Effect<string, { readonly _tag: string }>
    ) => Effect.Effect<A, E>
  ) =>
    withProgram(
      Effect.fnUntraced(function* (world, program) {
        const session = yield* (yield* Repository.Repository).writableSession("main")
        yield* session.chunk("/a", [0])
        yield* session.setChunk("/a", [1], pattern(1))
        return yield* run(world, program, session.commit("ours"))
      })
    )

  const isPut = (call: string): boolean => call.startsWith("put")
  const firstRound = ["copy repo overwritten", "get repo", "put manifests", "put snapshots", "put transactions"]

  const files = (world: World) =>
    Effect.map(Stream.runCollect(world.store.list("")), (all) =>
      all.map(({ key }) => key).filter((key) => !key.startsWith("overwritten/"))
    )

  it.effect("finds that the branch has moved, says so at once, and writes no more", () =>
    begun(
      Effect.fnUntraced(function* (world, { rounds }, commit) {
        yield* commitElsewhere(world, "/theirs")
        const before = yield* files(world)
        const { calls, result } = yield* rounds(commit, { takes: (call) => (isPut(call) ? 3 : 1) })
        assert.strictEqual(Result.isFailure(result) && result.failure._tag, "CommitConflict")
        assert.deepStrictEqual(calls, [firstRound])
        assert.deepStrictEqual(yield* files(world), before)
      })
    )
  )

  it.effect("does not begin to write once it is known that the branch has moved", () =>
    begun(
      Effect.fnUntraced(function* (world, { rounds, store }, commit) {
        yield* commitElsewhere(world, "/theirs")
        // The repository counts its requests, in a store of its own over this one.
        yield* Effect.provideService(RepoObject.read(RequestMetrics.counted(store)), Zstd, Rounds.plainZstd)
        const { calls, result } = yield* rounds(commit)
        assert.strictEqual(Result.isFailure(result) && result.failure._tag, "CommitConflict")
        assert.deepStrictEqual(calls, [["get repo"]])
      })
    )
  )

  it.effect("finds that the repository was set read-only", () =>
    begun(
      Effect.fnUntraced(function* (world, { rounds }, commit) {
        yield* RepoObject.update(
          { ...world.store },
          (info) =>
            Effect.succeed({
              info: { ...info, status: { availability: "ReadOnly" as const, setAt: 2, reason: "it moves" } },
              update: { _tag: "ConfigChanged" as const }
            }),
          { updatesPerObject: 1000 }
        ).pipe(Effect.provideService(Zstd, Rounds.plainZstd))
        const before = yield* files(world)
        const { result } = yield* rounds(commit, { takes: (call) => (isPut(call) ? 3 : 1) })
        assert.strictEqual(Result.isFailure(result) && result.failure._tag, "WriteForbidden")
        assert.deepStrictEqual(yield* files(world), before)
      })
    )
  )

  it.effect("fails with the error of the first file that cannot be written, and is made by the next call", () =>
    withProgram(
      Effect.fnUntraced(function* (world, { rounds, store, within }) {
        const refuses = { on: true }
        const refused = new Errors.ObjectStoreError({
          store: "memory://",
          operation: "put",
          key: "manifests/",
          reason: new Errors.PermissionDenied({})
        })
        const refusing: ObjectStore.ObjectStoreShape = {
          ...store,
          put: (key, bytes, options) =>
            Effect.flatMap(refuses.on && key.startsWith("manifests/") ? Effect.fail(refused) : Effect.void, () =>
              store.put(key, bytes, options)
            )
        }
        const session = yield* within(
          Effect.provideService(
            Effect.flatMap(Repository.open(), ({ writableSession }) => writableSession("main")),
            ObjectStoreService,
            refusing
          )
        )
        yield* session.setChunk("/a", [1], pattern(1))
        const { calls, result } = yield* rounds(session.commit("ours"), { takes: (call) => (isPut(call) ? 3 : 1) })
        assert.isTrue(Result.isFailure(result) && result.failure === refused)
        assert.isFalse(calls.flat().includes("put repo"))
        refuses.on = false
        yield* session.commit("again")
        assert.deepStrictEqual(yield* elsewhere(world, messages), ["again", "first", "Repository initialized"])
      })
    )
  )

  it.effect("leaves nothing under way when it is interrupted, and nothing visible", () =>
    begun(
      Effect.fnUntraced(function* (world, { rounds }, commit) {
        const stop = yield* Deferred.make<void>()
        const interrupted = Effect.raceFirst(commit, Deferred.await(stop))
        const { calls } = yield* rounds(interrupted, {
          between: () => Deferred.succeed(stop, undefined),
          takes: () => 3
        })
        assert.deepStrictEqual(calls, [firstRound])
        assert.deepStrictEqual(yield* elsewhere(world, messages), ["first", "Repository initialized"])
      })
    )
  )

  it.effect.each(firstRound)("waits for its `%s` before it makes anything visible", (slow) =>
    begun(
      Effect.fnUntraced(function* (_, { rounds }, commit) {
        const { calls, result } = yield* rounds(commit, { takes: (call) => (call === slow ? 4 : 1) })
        assert.isTrue(Result.isSuccess(result))
        assert.deepStrictEqual(calls, [firstRound, [], [], [], ["put repo"]])
      })
    )
  )
})

describe("what a program keeps", () => {
  it.effect("is right after another commit of the same program, which the next one goes on from", () =>
    withProgram(
      Effect.fnUntraced(function* (world, { rounds }, first) {
        const repository = yield* Repository.Repository
        yield* repository.createBranch("dev", first)
        const commits = yield* Effect.forEach(["main", "dev"], (branch) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession(branch)
            yield* session.createGroup(`/${branch}`)
            return session.commit(branch)
          })
        )
        const { calls, result } = yield* rounds(Effect.all(commits, { concurrency: 2 }))
        assert.isTrue(Result.isSuccess(result))
        assert.deepStrictEqual(calls.slice(1), [["put repo"], ["copy repo overwritten"], ["put repo"]])
        assert.strictEqual(yield* checkCopies({ ...world.store }), 4)
      })
    )
  )

  it.effect("is not the caller's to change", () =>
    withProgram(
      Effect.fnUntraced(function* (_, __, first) {
        const repository = yield* Repository.Repository
        const branches = (yield* repository.branches) as Map<string, unknown>
        branches.clear()
        assert.strictEqual((yield* repository.branches).get("main"), first)
      })
    )
  )

  it.effect("names in the order of the file, whoever wrote it", () =>
    withProgram(
      Effect.fnUntraced(function* (world, _, first) {
        const repository = yield* Repository.Repository
        for (const name of ["b", "\u{10000}", "\uffff", "a"]) {
          yield* repository.createTag(name, first)
          yield* repository.createBranch(name, first)
        }
        const names = (of: ReadonlyMap<string, unknown>) => [...of.keys()]
        const [tags, branches] = yield* elsewhere(world, (other) => Effect.all([other.tags, other.branches]))
        assert.deepStrictEqual(names(yield* repository.tags), names(tags))
        assert.deepStrictEqual(names(yield* repository.branches), names(branches))
      })
    )
  )

  it.effect("does not hold files that were not written", () =>
    Effect.gen(function* () {
      const { store: inner } = yield* worldInMemory
      const full = new Errors.ObjectStoreError({
        store: "memory://",
        operation: "put",
        key: "",
        reason: new Errors.Unavailable({})
      })
      const failing = { ...inner, put: () => Effect.fail(full) }
      const assets = yield* AssetWrites.make(failing, yield* Assets.make(failing), () => 1)
      const id = yield* RandomId.snapshotId
      const snapshot: Snapshot.Snapshot = {
        id,
        parentId: undefined,
        nodes: [],
        flushedAt: 1,
        message: "",
        metadata: {},
        manifestFiles: [],
        extra: undefined
      }
      yield* Effect.flip(assets.writeSnapshot(snapshot))
      const error = yield* Effect.flip(assets.snapshot(id))
      assert.isTrue(error._tag === "ObjectStoreError" && Errors.isNotFound(error))
    }).pipe(Effect.provideService(Zstd, Rounds.plainZstd))
  )
})
