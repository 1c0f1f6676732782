import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Repository from "@effect-icechunk/core/Repository"
import type { WritableSession } from "@effect-icechunk/core/WritableSession"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { RepoInfo } from "../../src/format/RepoInfo.ts"
import * as Layout from "../../src/repository/Layout.ts"
import * as OwnWrite from "../../src/repository/versions/OwnWrite.ts"
import * as RepoChange from "../../src/repository/versions/RepoChange.ts"
import * as RepoObject from "../../src/repository/versions/RepoObject.ts"
import { inWorld, pattern, worldInMemory as world } from "./Fixture.ts"
import { array } from "./RepositorySuite.ts"
import { repoInfo } from "./RepoInfos.ts"

const failed = (operation: Errors.Operation, key: string, reason: Errors.Reason): Errors.ObjectStoreError =>
  new Errors.ObjectStoreError({ store: "memory://", operation, key, reason })

/**
 * A store whose next put of `repo`, once armed, is done or not, is not answered, and after which `others` do
 * something; as long as it is `blind`, `repo` cannot be read.
 */
const lossy = (inner: ObjectStore.ObjectStoreShape) => {
  const state = {
    others: undefined as Effect.Effect<unknown, unknown> | undefined,
    reaches: true,
    blind: false
  }
  const store: ObjectStore.ObjectStoreShape = {
    ...inner,
    get: (key, options) =>
      state.blind && key === "repo"
        ? Effect.fail(failed("get", key, new Errors.PermissionDenied({})))
        : inner.get(key, options),
    put: (key, bytes, options) =>
      Effect.suspend(() => {
        const { others, reaches } = state
        if (others === undefined || key !== "repo") return inner.put(key, bytes, options)
        state.others = undefined
        const lost = Effect.fail(failed("put", key, new Errors.Unavailable({})))
        return (reaches ? inner.put(key, bytes, options) : Effect.void).pipe(
          Effect.andThen(Effect.orDie(others)),
          Effect.andThen(lost)
        )
      })
  }
  return { state, store }
}

const commit = (repository: Repository.RepositoryShape, branch: string, group: string) =>
  Effect.gen(function* () {
    const session = yield* repository.writableSession(branch)
    yield* session.createGroup(group)
    return yield* session.commit(group)
  })

/** A repository with two commits on `main`, a client whose answers are lost, and one that gets all of them. */
const withTwoClients = <A, E>(
  limit: number,
  run: (world: {
    readonly ours: Repository.RepositoryShape
    readonly others: Repository.RepositoryShape
    readonly state: ReturnType<typeof lossy>["state"]
    readonly store: ObjectStore.ObjectStoreShape
    readonly one: string
    readonly two: string
  }) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const { objects, store: inner } = yield* world
    const { state, store } = lossy(inner)
    return yield* inWorld({ objects, store: inner })(
      Effect.gen(function* () {
        const others = yield* Repository.create({ persist: { num_updates_per_repo_info_file: limit } })
        const one = yield* commit(others, "main", "/one")
        const two = yield* commit(others, "main", "/two")
        return yield* inWorld({ objects, store })(
          Effect.flatMap(Repository.open(), (ours) => run({ ours, others, state, store: inner, one, two }))
        )
      })
    )
  })

describe.each([1, 2, 1000])("a lost answer, with a log of %d", (limit) => {
  it.effect("does not reset a branch again, from which a commit of somebody else would drop off", () =>
    withTwoClients(
      limit,
      Effect.fnUntraced(function* ({ one, others, ours, state }) {
        state.others = commit(others, "main", "/three")
        yield* ours.resetBranch("main", one)
        const messages = (yield* others.history({ branch: "main" })).map(({ message }) => message)
        assert.deepStrictEqual(messages, ["/three", "/one", "Repository initialized"])
      })
    )
  )

  it.effect("does not delete a branch that somebody else has created anew", () =>
    withTwoClients(
      limit,
      Effect.fnUntraced(function* ({ one, others, ours, state, two }) {
        yield* others.createBranch("dev", one)
        state.others = others.createBranch("dev", two)
        yield* ours.deleteBranch("dev")
        assert.strictEqual((yield* others.branches).get("dev"), two)
      })
    )
  )

  it.effect("does not refuse a tag or a branch that was made, or deleted, by this very call", () =>
    withTwoClients(
      limit,
      Effect.fnUntraced(function* ({ one, others, ours, state, two }) {
        const busy = (names: ReadonlyArray<string>) => Effect.forEach(names, (name) => others.createTag(name, two))
        state.others = busy(["a", "b", "c"])
        yield* ours.createTag("v1", one)
        state.others = busy(["d", "e", "f"])
        yield* ours.createBranch("dev", one)
        state.others = busy(["g", "h", "i"])
        yield* ours.deleteTag("v1")
        assert.strictEqual((yield* others.branches).get("dev"), one)
        assert.deepStrictEqual([...(yield* others.tags).keys()].join(""), "abcdefghi")
      })
    )
  )

  it.effect("makes a change that did not happen, once", () =>
    withTwoClients(
      limit,
      Effect.fnUntraced(function* ({ one, others, ours, state, two }) {
        state.reaches = false
        state.others = others.createTag("a", two)
        yield* ours.resetBranch("main", one)
        assert.strictEqual((yield* others.branches).get("main"), one)
      })
    )
  )
})

it.effect("when a page of the log that has to be looked at is missing, the outcome is unknown", () =>
  withTwoClients(
    1,
    Effect.fnUntraced(function* ({ one, others, ours, state, store }) {
      state.others = Effect.gen(function* () {
        yield* others.createTag("a", one)
        yield* others.createTag("b", one)
        const copies = yield* Stream.runCollect(store.list("overwritten/"))
        yield* store.delete(copies.map(({ key }) => key))
      })
      const error = yield* Effect.flip(ours.resetBranch("main", one))
      assert.strictEqual(error._tag, "OutcomeUnknown")
      assert.include(error.message, "It is not known whether")
      assert.include(error.message, "overwritten/")
    })
  )
)

it.effect("when what is there cannot be read, the outcome is unknown", () =>
  withTwoClients(
    1000,
    Effect.fnUntraced(function* ({ one, ours, state }) {
      state.others = Effect.sync(() => {
        state.blind = true
      })
      assert.strictEqual((yield* Effect.flip(ours.createTag("v1", one)))._tag, "OutcomeUnknown")
    })
  )
)

describe("OwnWrite.find", () => {
  const entry = (updatedAt: number, backupPath?: string) => ({
    update: { _tag: "ConfigChanged" as const },
    updatedAt,
    backupPath
  })
  const info = (latestUpdates: RepoInfo["latestUpdates"], repoBeforeUpdates: string | undefined): RepoInfo =>
    repoInfo({ latestUpdates, repoBeforeUpdates })
  const sought: OwnWrite.Sought = { replaced: info([entry(5)], "old"), copies: new Set(["ours"]) }

  it.each<readonly [string, RepoInfo, boolean, OwnWrite.Finding["_tag"]]>([
    ["is pending while the object is the one to replace", info([entry(5)], "old"), true, "Pending"],
    ["is found at the entry that it replaced", info([entry(6), entry(5, "ours")], "old"), true, "Written"],
    ["is found where the log goes on in its copy", info([entry(6)], "ours"), true, "Written"],
    ["is lost when another name is there", info([entry(6), entry(5, "theirs")], "old"), true, "Lost"],
    ["is lost when the copy of what it was to replace is another's", info([entry(5)], "old"), false, "Lost"],
    ["is looked for in older pages", info([entry(7)], "older"), true, "Before"],
    ["is not to be told where the log misses the entry", info([entry(7), entry(4, "x")], "old"), true, "Broken"],
    ["is not to be told where the log ends too early", info([entry(7)], undefined), true, "Broken"],
    ["is not looked for outside of the copies", info([entry(7)], "../chunks/x"), true, "Broken"]
  ])("%s", (_, page, isNewest, tag) => {
    assert.strictEqual(OwnWrite.find(page, sought, isNewest)._tag, tag)
  })

  it("tells writes over an empty log, too", () => {
    const empty = { replaced: info([], undefined), copies: new Set(["ours"]) }
    const written = RepoChange.log(Result.getOrThrow(RepoChange.setConfig(Uint8Array.of(1))(empty.replaced)), {
      now: 5,
      backup: "ours",
      limit: 1
    })
    assert.strictEqual(OwnWrite.find(written, empty, true)._tag, "Written")
    assert.strictEqual(OwnWrite.find({ ...written, repoBeforeUpdates: undefined }, empty, true)._tag, "Lost")
    assert.strictEqual(OwnWrite.find(empty.replaced, empty, true)._tag, "Pending")
  })
})

describe("a commit whose outcome is not known", () => {
  const messagesOf = (repository: Repository.RepositoryShape) =>
    Effect.map(repository.history({ branch: "main" }), (all) => all.map(({ message }) => message))

  /** A session whose commit was not answered, nor the look at what became of it. */
  const inDoubt = <A, E>(
    reaches: boolean,
    run: (world: {
      readonly session: WritableSession
      readonly snapshotId: string
      readonly others: Repository.RepositoryShape
    }) => Effect.Effect<A, E>
  ) =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ others, ours, state }) {
        const session = yield* ours.writableSession("main")
        yield* session.createArray("/a", array([4], [1]))
        yield* session.setChunk("/a", [0], pattern(1, 1))
        yield* session.createGroup("/g")
        state.reaches = reaches
        state.others = Effect.sync(() => {
          state.blind = true
        })
        const error = yield* Effect.flip(session.commit("in doubt"))
        assert.strictEqual(error._tag, "CommitOutcomeUnknown")
        if (error._tag !== "CommitOutcomeUnknown") return
        assert.include(error.message, "Call `commit` of the same session again")
        assert.strictEqual((yield* session.status).newArrays.length, 1, "the session keeps its changes")
        state.blind = false
        yield* run({ session, snapshotId: error.snapshotId, others })
      })
    )

  it.effect("is a success of the next commit, with the same id, when it happened", () =>
    inDoubt(
      true,
      Effect.fnUntraced(function* ({ others, session, snapshotId }) {
        assert.strictEqual(yield* session.commit("again"), snapshotId)
        assert.strictEqual(yield* session.snapshotId, snapshotId)
        assert.strictEqual((yield* messagesOf(others))[0], "in doubt")
        assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
      })
    )
  )

  it.effect("is made by the next commit when it did not happen", () =>
    inDoubt(
      false,
      Effect.fnUntraced(function* ({ others, session, snapshotId }) {
        assert.notStrictEqual(yield* session.commit("again"), snapshotId)
        assert.deepStrictEqual((yield* messagesOf(others)).slice(0, 2), ["again", "/two"])
        assert.deepStrictEqual(yield* session.chunk("/a", [0]), pattern(1, 1))
      })
    )
  )

  it.effect("has later changes committed on top when it happened, and only those", () =>
    inDoubt(
      true,
      Effect.fnUntraced(function* ({ others, session, snapshotId }) {
        yield* session.setChunk("/a", [0], pattern(1, 2))
        yield* session.setChunk("/a", [1], pattern(1, 3))
        yield* session.deleteNode("/g")
        yield* session.createGroup("/h", { title: "h" })
        const top = yield* session.commit("on top")
        assert.deepStrictEqual((yield* messagesOf(others)).slice(0, 3), ["on top", "in doubt", "/two"])
        const at = (snapshot: string) => others.readonlySession({ snapshotId: snapshot })
        const paths = (snapshot: string) =>
          Effect.map(
            Effect.flatMap(at(snapshot), (opened) => opened.nodes()),
            (nodes) => nodes.map(({ path }) => String(path))
          )
        assert.deepStrictEqual(yield* paths(snapshotId), ["/a", "/g", "/one", "/two"])
        assert.deepStrictEqual(yield* paths(top), ["/a", "/h", "/one", "/two"])
        assert.deepStrictEqual(yield* (yield* at(snapshotId)).chunk("/a", [0]), pattern(1, 1))
        assert.deepStrictEqual(yield* (yield* at(top)).chunk("/a", [0]), pattern(1, 2))
        assert.deepStrictEqual(yield* (yield* at(top)).chunk("/a", [1]), pattern(1, 3))
      })
    )
  )

  it.effect("is a success when it happened and others have committed since, and later changes conflict", () =>
    inDoubt(
      true,
      Effect.fnUntraced(function* ({ others, session, snapshotId }) {
        yield* commit(others, "main", "/theirs")
        yield* session.createGroup("/h")
        const error = yield* Effect.flip(session.commit("on top"))
        assert.strictEqual(error._tag, "CommitConflict")
        assert.include(error, { expected: snapshotId })
        assert.deepStrictEqual((yield* session.status).newGroups.map(String), ["/h"])
      })
    )
  )

  it.effect.each([true, false])("is settled by the next `amend`, of an amendment that happened: %s", (reaches) =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ one, others, ours, state }) {
        const session = yield* ours.writableSession("main")
        yield* session.createGroup("/g")
        state.reaches = reaches
        state.others = Effect.sync(() => {
          state.blind = true
        })
        const error = yield* Effect.flip(session.amend("in doubt"))
        assert.strictEqual(error._tag, "CommitOutcomeUnknown")
        if (error._tag !== "CommitOutcomeUnknown") return
        state.blind = false
        const id = yield* session.amend("again")
        assert.strictEqual(id === error.snapshotId, reaches)
        assert.deepStrictEqual(yield* messagesOf(others), [
          reaches ? "in doubt" : "again",
          "/one",
          "Repository initialized"
        ])
        yield* session.createGroup("/h")
        yield* session.amend("last")
        const history = yield* others.history({ branch: "main" })
        assert.strictEqual(history[0]!.parentId, one)
        assert.strictEqual(history[0]!.message, "last")
        const reader = yield* others.readonlySession({ branch: "main" })
        assert.deepStrictEqual(
          (yield* reader.nodes()).map(({ path }) => String(path)),
          ["/g", "/h", "/one", "/two"]
        )
      })
    )
  )

  it.effect("of an amendment has later changes in another one", () =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ others, ours, state }) {
        const session = yield* ours.writableSession("main")
        yield* session.createGroup("/g")
        state.others = Effect.sync(() => {
          state.blind = true
        })
        yield* Effect.flip(session.amend("in doubt"))
        state.blind = false
        yield* session.createGroup("/h")
        yield* session.amend("all of it")
        assert.deepStrictEqual(yield* messagesOf(others), ["all of it", "/one", "Repository initialized"])
        const reader = yield* others.readonlySession({ branch: "main" })
        assert.deepStrictEqual(
          (yield* reader.nodes()).map(({ path }) => String(path)),
          ["/g", "/h", "/one", "/two"]
        )
      })
    )
  )

  it.effect("is a success of the next commit when it only happens while that one is written", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const failure = failed("put", "repo", new Errors.Unavailable({}))
      let isArmed = false
      let isBlind = false
      // The first put is under way for long; it arrives just before the second one.
      let late: Effect.Effect<unknown, unknown> | undefined
      const store: ObjectStore.ObjectStoreShape = {
        ...inner,
        get: (key, options) =>
          isBlind && key === "repo"
            ? Effect.fail(failed("get", key, new Errors.PermissionDenied({})))
            : inner.get(key, options),
        put: (key, bytes, options) =>
          Effect.suspend(() => {
            const put = inner.put(key, bytes, options)
            if (!isArmed || key !== "repo") return put
            if (late !== undefined) return Effect.andThen(Effect.orDie(late), put)
            late = put
            isBlind = true
            return Effect.fail(failure)
          })
      }
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          isArmed = true
          const error = yield* Effect.flip(session.commit("late"))
          isBlind = false
          assert.strictEqual(error._tag, "CommitOutcomeUnknown")
          const id = yield* session.commit("again")
          assert.include(error, { snapshotId: id })
          assert.deepStrictEqual(yield* messagesOf(repository), ["late", "Repository initialized"])
        })
      )
    })
  )

  it.effect("is nothing to the session any more after discard", () =>
    inDoubt(
      false,
      Effect.fnUntraced(function* ({ session }) {
        yield* session.discard
        assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
      })
    )
  )
})

describe("RepoObject.update", () => {
  const options = { updatesPerObject: 1000 }
  const tag = (name: string) => (info: RepoInfo) =>
    Effect.fromResult(RepoChange.createTag(name, info.branches.get("main")!)(info))

  it.effect("says that too many write at once when others are faster each time", () =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ store }) {
        let others = 0
        const busy: ObjectStore.ObjectStoreShape = {
          ...store,
          put: (key, bytes, putOptions) =>
            key === "repo"
              ? RepoObject.update(store, tag(`other-${others++}`), options).pipe(
                  Effect.orDie,
                  Effect.provide(NodeZstd.layer),
                  Effect.andThen(store.put(key, bytes, putOptions))
                )
              : store.put(key, bytes, putOptions)
        }
        const retry = { ...RepoObject.defaultRetry, attempts: 5 }
        const error = yield* Effect.flip(RepoObject.update(busy, tag("ours"), { ...options, retry }))
        assert.strictEqual(error._tag, "RepositoryBusy")
        assert.include(error, { attempts: 5 })
        assert.include(error.message, "too many writers at once")
        assert.strictEqual(others, 5)
        assert.isFalse((yield* RepoObject.read(store)).info.tags.has("ours"))
      }, Effect.provide(NodeZstd.layer))
    )
  )

  it.effect("looks at the status before each attempt", () =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ one, ours, state, store }) {
        state.reaches = false
        state.others = RepoObject.update(
          store,
          (info) =>
            Effect.succeed({
              info: { ...info, status: { availability: "ReadOnly" as const, setAt: 2, reason: "it moves" } },
              update: { _tag: "ConfigChanged" as const }
            }),
          options
        ).pipe(Effect.provide(NodeZstd.layer))
        const error = yield* Effect.flip(ours.createTag("v1", one))
        assert.strictEqual(error._tag, "WriteForbidden")
        assert.include(error.message, "it moves")
        assert.isFalse((yield* ours.tags).has("v1"))
      })
    )
  )

  it.effect("refuses to date a change after one that is in the far future, and says that it is a clock", () =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ store }) {
        const far = (info: RepoInfo) =>
          Effect.succeed({
            info: { ...info, latestUpdates: [{ ...info.latestUpdates[0]!, updatedAt: Number.MAX_SAFE_INTEGER - 1 }] },
            update: { _tag: "ConfigChanged" as const }
          })
        yield* RepoObject.update(store, far, options)
        const error = yield* Effect.flip(RepoObject.update(store, tag("v1"), options))
        assert.strictEqual(error._tag, "ClockSkew")
        assert.include(error.message, "is dated 2255-06-05")
        assert.include(error.message, "clock")
      }, Effect.provide(NodeZstd.layer))
    )
  )

  it.effect("goes on from what another writer's clock has dated years ahead", () =>
    withTwoClients(
      1000,
      Effect.fnUntraced(function* ({ one, others, ours }) {
        yield* TestClock.setTime(Date.UTC(2040, 0, 1))
        yield* commit(others, "main", "/ahead")
        yield* TestClock.setTime(Date.UTC(2026, 0, 1))
        yield* commit(ours, "main", "/behind")
        yield* ours.createTag("v1", one)
        const [latest, before] = yield* ours.history({ branch: "main" })
        assert.isAbove(latest!.flushedAt, before!.flushedAt)
      })
    )
  )

  it.effect("writes the files of a commit, and the copy of what it replaces, before the object", () =>
    Effect.gen(function* () {
      const { objects, store: inner } = yield* world
      const calls: Array<string> = []
      let replaced: Uint8Array | undefined
      const recorded = <A, E>(call: string, effect: Effect.Effect<A, E>) =>
        Effect.tap(effect, () => Effect.sync(() => void calls.push(call)))
      const room = (key: string) => key.split("/")[0]!
      const store: ObjectStore.ObjectStoreShape = {
        ...inner,
        put: (key, bytes, putOptions) =>
          Effect.gen(function* () {
            if (key === "repo") replaced = yield* Effect.map(Effect.orDie(inner.get(key)), (got) => got.bytes)
            return yield* recorded(`put ${room(key)} ${putOptions?.mode?._tag}`, inner.put(key, bytes, putOptions))
          }),
        copy: (from, to, copyOptions) => recorded(`copy ${from} ${room(to)}`, inner.copy(from, to, copyOptions))
      }
      yield* inWorld({ objects, store: inner })(Repository.create())
      yield* inWorld({ objects, store })(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.open()).writableSession("main")
          yield* session.createArray("/a", array([1000], [1000]))
          yield* session.setChunk("/a", [0], pattern(1000))
          yield* session.commit("recorded")
        })
      )
      assert.strictEqual(calls.at(-1), "put repo Update")
      assert.deepStrictEqual(calls.slice(0, -1).toSorted(), [
        "copy repo overwritten",
        "put chunks undefined",
        "put manifests undefined",
        "put snapshots undefined",
        "put transactions undefined"
      ])
      const [copy] = yield* Stream.runCollect(inner.list("overwritten/"))
      assert.deepStrictEqual((yield* inner.get(copy!.key)).bytes, replaced)
      assert.notDeepEqual((yield* inner.get(Layout.repo)).bytes, replaced)
    })
  )
})

describe("many writers in memory, where nobody moves the clock", () => {
  const repositories = (count: number) =>
    Effect.gen(function* () {
      const first = yield* Repository.create()
      const more = yield* Effect.forEach(Array.from({ length: count - 1 }), () => Repository.open())
      return [first, ...more]
    })

  it.effect.each([1, 16])("all settle, over %d open repositories", (count) =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      yield* inWorld({ store, objects: store })(
        Effect.gen(function* () {
          const open = yield* repositories(count)
          const at = (yield* open[0]!.branches).get("main")!
          const each = 48
          yield* Effect.forEach(
            Array.from({ length: each }, (_, i) => i),
            (i) =>
              Effect.gen(function* () {
                const repository = open[i % count]!
                yield* repository.createBranch(`b${i}`, at)
                yield* Effect.all(
                  [
                    commit(repository, `b${i}`, `/g${i}`),
                    repository.createTag(`t${i}`, at),
                    repository.config.update((config) => ({
                      ...config,
                      max_concurrent_requests: (config.max_concurrent_requests ?? 0) + 1
                    }))
                  ],
                  { concurrency: "unbounded" }
                )
              }),
            { concurrency: "unbounded" }
          )
          assert.strictEqual((yield* open[0]!.tags).size, each)
          assert.strictEqual((yield* open[0]!.config.persisted).max_concurrent_requests, each)
          for (const [name, tip] of yield* open[0]!.branches) if (name !== "main") assert.notStrictEqual(tip, at, name)
        })
      )
    })
  )
})
