/**
 * Repositories of Icechunk spec version 1, migrated by this library: what both engines read of them before and after,
 * what a fault at any request leaves, and what becomes of the commits of older clients that are made meanwhile.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { MemoryObjectStore, Migration, type ObjectStore, ObjectStoreError, Repository } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { RepoInfo } from "../../packages/core/src/format/RepoInfo.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfoFile from "../../packages/core/src/format/RepoInfo.ts"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as RepoObject from "../../packages/core/src/repository/versions/RepoObject.ts"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { services } from "../support/FsServices.ts"
import * as Interop from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"
import * as Spec1 from "../support/Spec1Repositories.ts"
import * as StorageOverStore from "../support/StorageOverStore.ts"

const migrate = (store: ObjectStore.ObjectStoreShape, options?: Migration.Options) =>
  Spec1.within(store)(Migration.migrate(options))

const repoOf = (store: ObjectStore.ObjectStoreShape): Effect.Effect<RepoInfo> =>
  Effect.map(RepoObject.read(store), ({ info }) => info).pipe(Effect.provide(NodeZstd.layer), Effect.orDie)

/** All that both engines read of some versions. */
const contents = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  versions: ReadonlyArray<Repository.VersionRef>
) {
  const engine = yield* Effect.promise(() => Spec1.theirs(store))
  return yield* Spec1.within(store)(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      return yield* Effect.forEach(versions, (version) =>
        Effect.gen(function* () {
          const ours = yield* Spec1.readOurs(repository, version)
          const theirs = yield* Effect.promise(() => Interop.readTheirs(engine, version))
          Interop.assertSame(ours, theirs as ReadonlyMap<string, Buffer>, JSON.stringify(version))
          const ancestry = yield* Effect.promise(() => engine.ancestry(version))
          return { version, ours, ancestry, history: yield* repository.history(version) }
        })
      )
    })
  )
})

const oldKeys = (keys: ReadonlyArray<string>): ReadonlyArray<string> =>
  keys.filter((key) => key.startsWith("refs/") || key === "config.yaml")

describe("a migration", () => {
  it.live("leaves every version as it was, for both engines, which go on with it", () =>
    Effect.gen(function* () {
      const { store, versions } = yield* Spec1.write
      const before = yield* contents(store, versions)
      const config = yield* Effect.promise(() => Engine.Repository.fetchConfig(StorageOverStore.over(store)))
      const { deleted, plan, takenOver } = yield* migrate(store)
      assert.deepStrictEqual(takenOver, [])
      assert.deepStrictEqual(yield* contents(store, versions), before)
      const engine = yield* Effect.promise(() => Spec1.theirs(store))
      assert.strictEqual(engine.specVersion, 2)
      assert.deepStrictEqual(
        yield* Effect.promise(() => Engine.Repository.fetchConfig(StorageOverStore.over(store))),
        config
      )
      assert.deepStrictEqual((yield* Effect.promise(() => engine.listBranches())).toSorted(), ["dev ünï", "main"])
      assert.deepStrictEqual((yield* Effect.promise(() => engine.listTags())).toSorted(), ["only here", "v1"])
      assert.deepStrictEqual([...plan!.branches.keys()], ["dev ünï", "main"])
      assert.strictEqual(plan!.snapshots.size, 6)
      assert.strictEqual(deleted[0], "refs/branch.main/ref.json")
      assert.strictEqual(deleted.at(-1), "config.yaml")
      assert.deepStrictEqual(oldKeys(yield* Spec1.keysOf(store)), [])
      // A deleted tag stays deleted, and both go on.
      yield* Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const id = plan!.branches.get("main")!
          assert.strictEqual((yield* Effect.flip(repository.createTag("gone", id)))._tag, "RefForbidden")
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/bools", [1], Interop.bytes(3, 42))
          yield* session.commit("ours")
        })
      )
      yield* Effect.promise(async () => {
        await Spec1.commit(await Spec1.theirs(store), "main", "theirs", [["bools/c/2", Interop.bytes(3, 43)]])
      })
      const [after] = yield* contents(store, [{ branch: "main" }])
      assert.deepStrictEqual(
        after!.history.map(({ message }) => message),
        ["theirs", "ours", "three", "two", "one", "Repository initialized"]
      )
      const expected = new Map(before[0]!.ours)
      expected.set("bools/c/1", Buffer.from(Interop.bytes(3, 42)))
      expected.set("bools/c/2", Buffer.from(Interop.bytes(3, 43)))
      assert.deepStrictEqual(after!.ours, expected)
    })
  )

  it.live("leaves a branch as of a time where it was", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      const read = Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const history = yield* repository.history({ branch: "main" })
          const times = history.flatMap(({ flushedAt }) => [flushedAt, flushedAt - 1000, flushedAt + 1000])
          return yield* Effect.forEach(times, (micros) => {
            const version = { branch: "main", asOf: DateTime.makeUnsafe(Math.floor(micros / 1000)) }
            return Effect.all({
              session: Effect.flatMap(repository.readonlySession(version), ({ snapshotId }) => snapshotId),
              messages: Effect.map(repository.history(version), (found) => found.map(({ message }) => message))
            }).pipe(Effect.catchTag("NoSnapshotAsOf", (error) => Effect.succeed(error.message)))
          })
        })
      )
      const before = yield* read
      yield* migrate(store)
      assert.deepStrictEqual(yield* read, before)
      assert.isTrue(before.some((found) => typeof found === "string"))
      assert.isAtLeast(new Set(before.map((found) => JSON.stringify(found))).size, 3)
    })
  )

  it.live("does so in a directory, too", () =>
    Effect.gen(function* () {
      const { store, versions } = yield* Spec1.write
      const before = yield* contents(store, versions)
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-migration-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true })))
      for (const key of yield* Spec1.keysOf(store)) {
        const file = path.join(directory, key)
        fs.mkdirSync(path.dirname(file), { recursive: true })
        fs.writeFileSync(file, (yield* store.get(key)).bytes)
      }
      const within = <A, E>(use: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>) =>
        Effect.scoped(Effect.flatMap(Repository.open(), use)).pipe(Effect.provide(services(directory)))
      const read = within((repository) => Effect.forEach(versions, (version) => Spec1.readOurs(repository, version)))
      const ours = before.map((version) => version.ours)
      assert.deepStrictEqual(yield* read, ours)
      const { deleted } = yield* Migration.migrate().pipe(Effect.provide(services(directory)))
      assert.isAbove(deleted.length, 5)
      for (const key of deleted) assert.isFalse(fs.existsSync(path.join(directory, key)), key)
      assert.deepStrictEqual(yield* read, ours)
      const engine = yield* Effect.promise(async () => Engine.Repository.open(await Engine.storage(directory)))
      assert.strictEqual(engine.specVersion, 2)
      for (const [i, version] of versions.entries()) {
        const theirs = yield* Effect.promise(() => Interop.readTheirs(engine, version))
        Interop.assertSame(ours[i]!, theirs as ReadonlyMap<string, Buffer>, JSON.stringify(version))
      }
    })
  )

  it.live("is planned first, if wanted, which changes nothing", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      const before = yield* Spec1.keysOf(store)
      const readOnly = { ...store, readOnlyBecause: "a test reads it" }
      const seen: Array<number> = []
      const planned = yield* migrate(readOnly, {
        dryRun: true,
        onProgress: (snapshots) => Effect.sync(() => seen.push(snapshots))
      })
      assert.deepStrictEqual(yield* Spec1.keysOf(store), before)
      assert.deepStrictEqual(seen, [1, 2, 3, 4, 5, 6])
      assert.deepStrictEqual(planned.deleted.toSorted(), oldKeys(before))
      assert.deepStrictEqual([...planned.plan!.deletedTags], ["gone"])
      assert.strictEqual(
        (planned.plan!.config as { inline_chunk_threshold_bytes: number }).inline_chunk_threshold_bytes,
        100
      )
      const done = yield* migrate(store)
      assert.deepStrictEqual(done.deleted, planned.deleted)
      assert.deepStrictEqual(
        { ...done.plan!, operations: done.plan!.operations.slice(1) },
        { ...planned.plan!, operations: planned.plan!.operations.slice(1) }
      )
      const info = yield* repoOf(store)
      assert.deepStrictEqual(info.latestUpdates, done.plan!.operations)
      assert.deepStrictEqual(info.latestUpdates[0]!.update, {
        _tag: "RepoMigrated",
        fromVersion: 1,
        toVersion: 2
      })
      assert.deepStrictEqual(
        [...info.snapshots.values()].toSorted(byId),
        [...done.plan!.snapshots.values()].toSorted(byId)
      )
      const operations = info.latestUpdates.map(({ update }) => update._tag).toReversed()
      assert.deepStrictEqual(operations.slice(0, 2), ["RepoInitialized", "NewCommit"])
      assert.deepStrictEqual(
        Object.entries(Object.groupBy(operations, (tag) => tag))
          .map(([tag, all]) => `${all.length} ${tag}`)
          .toSorted(),
        ["1 BranchCreated", "1 RepoInitialized", "1 RepoMigrated", "1 TagDeleted", "3 TagCreated", "4 NewCommit"]
      )
    })
  )

  it.live("keeps the files of version 1 where that is wanted, and deletes them when it runs again", () =>
    Effect.gen(function* () {
      const { store, versions } = yield* Spec1.write
      const before = yield* contents(store, versions)
      const keys = oldKeys(yield* Spec1.keysOf(store))
      const first = yield* migrate(store, { oldFiles: "keep" })
      assert.deepStrictEqual(first.deleted, [])
      assert.deepStrictEqual(oldKeys(yield* Spec1.keysOf(store)), keys)
      assert.deepStrictEqual(yield* contents(store, versions), before)
      assert.strictEqual((yield* Effect.flip(migrate(store, { oldFiles: "keep" })))._tag, "NothingToMigrate")
      const dry = yield* migrate(store, { dryRun: true })
      assert.isUndefined(dry.plan)
      assert.deepStrictEqual(dry.deleted.toSorted(), keys)
      const second = yield* migrate(store)
      assert.isUndefined(second.plan)
      assert.deepStrictEqual(second.takenOver, [])
      assert.deepStrictEqual(oldKeys(yield* Spec1.keysOf(store)), [])
      assert.deepStrictEqual(yield* contents(store, versions), before)
      assert.strictEqual((yield* Effect.flip(migrate(store)))._tag, "NothingToMigrate")
    })
  )

  it.live("is seen by whoever has the repository open", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      yield* Spec1.within(store)(
        Effect.gen(function* () {
          const early = yield* Repository.open()
          const before = yield* early.branches
          yield* Migration.migrate()
          assert.deepStrictEqual(yield* early.branches, before)
          const now = yield* Repository.open()
          const session = yield* now.writableSession("main")
          yield* session.createGroup("/new")
          const id = yield* session.commit("after")
          const read = yield* early.readonlySession({ branch: "main" })
          assert.strictEqual(yield* read.snapshotId, id)
          assert.strictEqual((yield* early.history({ branch: "main" }))[0]!.message, "after")
          assert.strictEqual((yield* early.branches).get("main"), id)
          const error = yield* Effect.flip(early.writableSession("main"))
          assert.include(error.message, "open it again")
        })
      )
    })
  )
})

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1)

const unavailable = (operation: ObjectStoreError.Operation, key: string) =>
  new ObjectStoreError.ObjectStoreError({
    store: "memory://",
    operation,
    key,
    reason: new ObjectStoreError.Unavailable({})
  })

/** What happens at one of the requests of a store: before it is done, or after, in place of its answer. */
interface Fault {
  readonly at: number
  readonly when: "before" | "after"
  /** `fails`: the request is not answered; `ends`: the program ends there; else it happens and the request goes on. */
  readonly what: "fails" | "ends" | Effect.Effect<void>
}

/** A store with a fault, and how many requests it has got. */
const faulty = (inner: ObjectStore.ObjectStoreShape, fault: Fault | undefined) => {
  const state = { requests: 0, calls: [] as Array<string> }
  const around = <A, E>(operation: ObjectStoreError.Operation, key: string, request: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const isIt = state.requests++ === fault?.at
      state.calls.push(`${operation} ${key}`)
      if (!isIt || fault === undefined) return request
      const happen: Effect.Effect<void, ObjectStoreError.ObjectStoreError> =
        fault.what === "fails"
          ? Effect.fail(unavailable(operation, key))
          : fault.what === "ends"
            ? Effect.die("the program ends here")
            : fault.what
      return fault.when === "before" ? Effect.andThen(happen, request) : Effect.tap(request, () => happen)
    })
  const store: ObjectStore.ObjectStoreShape = {
    ...inner,
    get: (key, options) => around("get", key, inner.get(key, options)),
    head: (key) => around("head", key, inner.head(key)),
    put: (key, bytes, options) => around("put", key, inner.put(key, bytes, options)),
    copy: (from, to, options) => around("copy", from, inner.copy(from, to, options)),
    delete: (keys) => around("delete", keys.join(" "), inner.delete(keys)),
    list: (prefix) =>
      Stream.unwrap(
        Effect.map(around("list", prefix, Stream.runCollect(inner.list(prefix))), (found) => Stream.fromIterable(found))
      )
  }
  return { state, store }
}

/** A smaller repository than that of the support, because it is migrated many times. */
const small = Effect.gen(function* () {
  const store = yield* MemoryObjectStore.make()
  yield* Effect.promise(async () => {
    const repository = await Engine.Repository.create(StorageOverStore.over(store), { inlineChunkThresholdBytes: 2 }, 1)
    await repository.saveConfig()
    const json = Interop.json(Interop.zarrJson(Interop.cases[1]!))
    const one = await Spec1.commit(repository, "main", "one", [
      ["zarr.json", Interop.json({ zarr_format: 3, node_type: "group" })],
      ["bools/zarr.json", json],
      ["bools/c/0", Interop.bytes(3, 1)]
    ])
    await repository.createTag("v1", one)
    await repository.createTag("gone", one)
    await repository.deleteTag("gone")
    await repository.createBranch("dev", one)
    await Spec1.commit(repository, "dev", "dev", [["bools/c/1", Interop.bytes(3, 2)]])
    await Spec1.commit(repository, "main", "two", [["bools/c/0", Interop.bytes(3, 3)]])
  })
  return store
})

const versions: ReadonlyArray<Repository.VersionRef> = [{ branch: "main" }, { branch: "dev" }, { tag: "v1" }]

/** What a repository object says, but for times. */
const said = (info: RepoInfo) => ({
  branches: info.branches,
  tags: info.tags,
  deletedTags: info.deletedTags,
  snapshots: new Map(info.snapshots),
  updates: info.latestUpdates.map(({ update }) => update),
  config: info.config === undefined ? undefined : Flexbuffer.decode("repo", "config", info.config)
})

describe("a fault at each request of a migration", () => {
  for (const [what, when] of [
    ["fails", "before"],
    ["fails", "after"],
    ["ends", "before"],
    ["ends", "after"]
  ] as const) {
    it.live(`leaves a repository of one version or the other, and the next run ends it: ${what} ${when} it`, () =>
      Effect.gen(function* () {
        const whole = yield* small
        const before = yield* contents(whole, versions)
        const clean = yield* Spec1.copy(whole)
        yield* migrate(clean)
        const expected = said(yield* repoOf(clean))
        const keys = yield* Spec1.keysOf(clean)
        const versionsLeft = { 1: 0, 2: 0 }
        for (let at = 0; ; at++) {
          const store = yield* Spec1.copy(whole)
          const { state, store: broken } = faulty(store, { at, what, when })
          const exit = yield* Effect.exit(migrate(broken))
          if (state.requests <= at) {
            assert.isTrue(Exit.isSuccess(exit))
            break
          }
          const where = `request ${at}: ${state.calls[at]}`
          assert.deepStrictEqual(yield* contents(store, versions), before, where)
          const engine = yield* Effect.promise(() => Spec1.theirs(store))
          versionsLeft[engine.specVersion as 1 | 2]++
          const again = yield* Effect.exit(migrate(store))
          if (Exit.isFailure(again)) assert.include(String(again.cause), "NothingToMigrate", where)
          assert.deepStrictEqual(said(yield* repoOf(store)), expected, where)
          assert.deepStrictEqual(yield* Spec1.keysOf(store), keys, where)
          assert.deepStrictEqual(yield* contents(store, versions), before, where)
        }
        assert.isAbove(versionsLeft[1], 10)
        assert.isAbove(versionsLeft[2], 10)
      })
    )
  }

  it.live("is no loss when the program is interrupted there", () =>
    Effect.gen(function* () {
      const whole = yield* small
      const before = yield* contents(whole, versions)
      for (let at = 0; ; at += 3) {
        const store = yield* Spec1.copy(whole)
        const { state, store: broken } = faulty(store, { at, what: Effect.never, when: "after" })
        const fiber = yield* Effect.forkChild(migrate(broken))
        yield* Effect.repeat(Effect.yieldNow, { times: 300 })
        yield* Effect.sleep("5 millis")
        yield* Fiber.interrupt(fiber)
        if (state.requests <= at) break
        yield* Effect.exit(migrate(store))
        assert.deepStrictEqual(oldKeys(yield* Spec1.keysOf(store)), [], `request ${at}`)
        assert.deepStrictEqual(yield* contents(store, versions), before, `request ${at}`)
      }
    })
  )
})

describe("an older client that writes while a repository is migrated", () => {
  const writes: ReadonlyArray<{
    readonly what: string
    readonly write: (client: Awaited<ReturnType<typeof Spec1.theirs>>) => Promise<string>
    readonly found: (info: RepoInfo, id: string) => boolean
  }> = [
    {
      what: "commits to main",
      write: (client) => Spec1.commit(client, "main", "late", [["bools/c/2", Interop.bytes(3, 9)]]),
      found: (info, id) => info.branches.get("main") === id
    },
    {
      what: "commits to another branch twice",
      write: async (client) => {
        await Spec1.commit(client, "dev", "late", [["bools/c/2", Interop.bytes(3, 9)]])
        return Spec1.commit(client, "dev", "later", [["bools/c/2", Interop.bytes(3, 8)]])
      },
      found: (info, id) => info.branches.get("dev") === id
    },
    {
      what: "creates a tag",
      write: async (client) => {
        const id = await client.lookupBranch("dev")
        await client.createTag("late", id)
        return id
      },
      found: (info, id) => info.tags.get("late") === id
    },
    {
      what: "deletes a tag",
      write: async (client) => {
        await client.deleteTag("v1")
        return ""
      },
      found: (info) => !info.tags.has("v1") && info.deletedTags.has("v1")
    },
    {
      what: "creates a branch and commits to it",
      write: async (client) => {
        await client.createBranch("late", await client.lookupTag("v1"))
        return Spec1.commit(client, "late", "late", [["bools/c/2", Interop.bytes(3, 9)]])
      },
      found: (info, id) => info.branches.get("late") === id
    }
  ]
  for (const { found, what, write } of writes) {
    it.live(`is told that it failed, or what it wrote is there: it ${what}, at each request`, () =>
      Effect.gen(function* () {
        const whole = yield* small
        const outcomes = { made: 0, refused: 0 }
        for (let at = 0; ; at++) {
          const store = yield* Spec1.copy(whole)
          const client = yield* Effect.promise(() => Spec1.theirs(store))
          let made: string | undefined
          const late = Effect.promise(async () => {
            try {
              made = await write(client)
            } catch {
              outcomes.refused++
            }
          })
          const { state, store: shared } = faulty(store, { at, what: late, when: "before" })
          const exit = yield* Effect.exit(migrate(shared))
          const where = `request ${at} of ${state.requests}: ${state.calls[at]}`
          assert.isTrue(Exit.isSuccess(exit), `${where}: ${String(exit)}`)
          if (state.requests <= at) break
          if (made === undefined) continue
          outcomes.made++
          const info = yield* repoOf(store)
          assert.isTrue(found(info, made), where)
          assert.deepStrictEqual(oldKeys(yield* Spec1.keysOf(store)), [], where)
          yield* contents(store, [{ branch: "main" }, { branch: "dev" }])
        }
        assert.isAbove(outcomes.made, 10)
      })
    )
  }

  it.live("may go on when its files are kept, and the next run takes over what it did, if that is all", () =>
    Effect.gen(function* () {
      const store = yield* small
      const client = yield* Effect.promise(() => Spec1.theirs(store))
      yield* migrate(store, { oldFiles: "keep" })
      const late = yield* Effect.promise(() =>
        Spec1.commit(client, "main", "late", [["bools/c/2", Interop.bytes(3, 9)]])
      )
      const { takenOver } = yield* migrate(store)
      assert.deepStrictEqual(
        takenOver.map(({ _tag }) => _tag),
        ["NewCommit"]
      )
      const [main] = yield* contents(store, [{ branch: "main" }])
      assert.strictEqual<string>(main!.history[0]!.id, late)
    })
  )

  it.live("may make branches and tags when it still has the repository open, which the next run takes over", () =>
    Effect.gen(function* () {
      const store = yield* small
      const client = yield* Effect.promise(() => Spec1.theirs(store))
      const { plan } = yield* migrate(store)
      const one = plan!.tags.get("v1")!
      const late = yield* Effect.promise(async () => {
        await client.createTag("late", one)
        await client.createBranch("still", one)
        await client.createBranch("late", one)
        return Spec1.commit(client, "late", "late", [["bools/c/2", Interop.bytes(3, 9)]])
      })
      const { deleted, takenOver } = yield* migrate(store)
      assert.deepStrictEqual(
        takenOver.map(({ _tag }) => _tag),
        ["BranchCreated", "BranchCreated", "TagCreated"]
      )
      assert.strictEqual(deleted.length, 3)
      const info = yield* repoOf(store)
      assert.strictEqual<string | undefined>(info.branches.get("late"), late)
      assert.strictEqual(info.branches.get("still"), one)
      assert.strictEqual(info.tags.get("late"), one)
      yield* contents(store, [{ branch: "late" }, { tag: "late" }, ...versions])
      assert.strictEqual((yield* Effect.flip(migrate(store)))._tag, "NothingToMigrate")
    })
  )

  it.live("is a conflict when a branch has moved in both versions, which names both and deletes nothing", () =>
    Effect.gen(function* () {
      const store = yield* small
      const client = yield* Effect.promise(() => Spec1.theirs(store))
      yield* migrate(store, { oldFiles: "keep" })
      const late = yield* Effect.promise(() =>
        Spec1.commit(client, "main", "late", [["bools/c/2", Interop.bytes(3, 9)]])
      )
      const ours = yield* Spec1.within(store)(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.open()).writableSession("main")
          yield* session.createGroup("/ours")
          return yield* session.commit("ours")
        })
      )
      const keys = yield* Spec1.keysOf(store)
      const error = yield* Effect.flip(migrate(store))
      assert.deepInclude(error, { _tag: "MigrationDiverged", branch: "main", spec1: late, spec2: ours })
      assert.deepStrictEqual(yield* Spec1.keysOf(store), keys)
    })
  )

  it.live("is no obstacle to two who migrate at the same time", () =>
    Effect.gen(function* () {
      const whole = yield* small
      const before = yield* contents(whole, versions)
      for (let at = 0; ; at++) {
        const store = yield* Spec1.copy(whole)
        const other = Effect.asVoid(Effect.exit(migrate(store)))
        const { state, store: shared } = faulty(store, { at, what: other, when: "before" })
        const exit = yield* Effect.exit(migrate(shared))
        if (state.requests <= at) break
        if (Exit.isFailure(exit)) {
          assert.match(String(exit.cause), /NothingToMigrate|RepositoryNotFound|RepositoryBusy/, `request ${at}`)
        }
        assert.deepStrictEqual(oldKeys(yield* Spec1.keysOf(store)), [], `request ${at}`)
        assert.deepStrictEqual(yield* contents(store, versions), before, `request ${at}`)
      }
    })
  )
})

describe("a reader", () => {
  const all = (repository: Repository.RepositoryShape) =>
    Effect.all({
      branches: Effect.map(repository.branches, (found) => new Map(found)),
      tags: Effect.map(repository.tags, (found) => new Map(found)),
      history: Effect.map(repository.history({ branch: "dev" }), (found) => found.map(({ message }) => message)),
      dependencies: repository.wholeHistory.dependencies,
      main: Spec1.readOurs(repository, { branch: "main" }),
      v1: Spec1.readOurs(repository, { tag: "v1" })
    })

  it.live("sees the whole repository at each request of a migration", () =>
    Effect.gen(function* () {
      const whole = yield* small
      const expected = yield* Spec1.within(whole)(Effect.flatMap(Repository.open(), all))
      for (let at = 0; ; at++) {
        const store = yield* Spec1.copy(whole)
        const requests = yield* Spec1.within(store)(
          Effect.gen(function* () {
            const early = yield* Repository.open()
            const read = Effect.gen(function* () {
              assert.deepStrictEqual(yield* all(early), expected, `request ${at}`)
              assert.deepStrictEqual(yield* all(yield* Repository.open()), expected, `request ${at}`)
            })
            const { state, store: shared } = faulty(store, {
              at,
              what: Spec1.within(store)(Effect.orDie(read)),
              when: "before"
            })
            yield* migrate(shared)
            return state.requests
          })
        )
        if (requests <= at) break
      }
    })
  )

  it.live("sees the whole repository when a migration happens at one of its own requests", () =>
    Effect.gen(function* () {
      const whole = yield* small
      const expected = yield* Spec1.within(whole)(Effect.flatMap(Repository.open(), all))
      for (let at = 0; ; at++) {
        const store = yield* Spec1.copy(whole)
        const { state, store: shared } = faulty(store, {
          at,
          what: Effect.asVoid(Effect.orDie(migrate(store))),
          when: "before"
        })
        const found = yield* Spec1.within(shared)(Effect.flatMap(Repository.open(), all))
        if (state.requests <= at) break
        assert.deepStrictEqual(found, expected, `request ${at}: ${state.calls[at]}`)
      }
    })
  )
})

describe("a migration that cannot be", () => {
  const refused = Effect.fnUntraced(function* (
    store: ObjectStore.ObjectStoreShape,
    expected: Readonly<Record<string, unknown>>,
    says: string,
    options?: Migration.Options
  ) {
    const before = yield* Spec1.keysOf(store)
    const error = yield* Effect.flip(migrate(store, options))
    assert.deepInclude(error, expected)
    assert.include(error.message, says)
    assert.deepStrictEqual(yield* Spec1.keysOf(store), before)
  })

  it.live("is refused: an empty store, a read-only one, a repository of version 2, one of a later version", () =>
    Effect.gen(function* () {
      const empty = yield* MemoryObjectStore.make()
      yield* refused(empty, { _tag: "RepositoryNotFound" }, "no Icechunk repository")
      const readOnly: ObjectStore.ObjectStoreShape = {
        ...(yield* small),
        readOnlyBecause: "it is a mirror. Write to the original.",
        get: () => Effect.die("nothing is asked"),
        head: () => Effect.die("nothing is asked")
      }
      yield* refused(readOnly, { _tag: "WriteForbidden" }, "it is a mirror")
      const two = yield* MemoryObjectStore.make()
      yield* Spec1.within(two)(Repository.create())
      yield* refused(two, { _tag: "NothingToMigrate" }, "version 2 already")
      // A `config.yaml` of somebody's in it is not ours to delete.
      yield* two.put("config.yaml", Interop.json({}))
      yield* refused(two, { _tag: "NothingToMigrate" }, "version 2 already")
      const { bytes } = yield* two.get("repo")
      const header = bytes.slice()
      header[36] = 3
      yield* two.put("repo", header)
      yield* refused(two, { _tag: "UnsupportedSpecVersion", version: 3 }, "version 3")
      const info = { ...(yield* repoOf(yield* Effect.tap(MemoryObjectStore.make(), (one) => one.put("repo", bytes)))) }
      yield* two.put(
        "repo",
        yield* IcechunkFile.encode("RepoInfo", RepoInfoFile.encode({ ...info, specVersion: 3 })).pipe(
          Effect.provide(NodeZstd.layer)
        )
      )
      yield* refused(two, { _tag: "UnsupportedSpecVersion", version: 3 }, "version 3")
      const error = yield* Effect.flip(Spec1.within(two)(Repository.open()))
      assert.deepInclude(error, { _tag: "UnsupportedSpecVersion", version: 3 })
    })
  )

  it.live("is refused where a file is damaged, by its name and field, and nothing is written", () =>
    Effect.gen(function* () {
      const whole = yield* small
      const history = yield* Spec1.within(whole)(
        Effect.flatMap(Repository.open(), (one) => one.history({ branch: "main" }))
      )
      const [tip, one, root] = history.map(({ id }) => `snapshots/${id}`) as [string, string, string]
      const text = (value: string) => new TextEncoder().encode(value)
      const damages: ReadonlyArray<readonly [string, Uint8Array, string]> = [
        ["refs/branch.main/ref.json", text("{}"), "snapshot"],
        ["refs/branch.dev/ref.json", text(""), "(whole file)"],
        ["refs/tag.v1/ref.json", text(`{"snapshot":3}`), "snapshot"],
        ["config.yaml", text("a: [b"), "(whole file)"],
        [tip, text("not a snapshot"), "header.magic"],
        [one, (yield* whole.get(one)).bytes.subarray(0, 60), "payload"],
        [root, (yield* whole.get(tip)).bytes, "id"]
      ]
      for (const [file, bytes, field] of damages) {
        const store = yield* Spec1.copy(whole)
        yield* store.put(file, bytes)
        yield* refused(store, { _tag: "FormatError", file, field }, file)
        yield* refused(store, { _tag: "FormatError", file, field }, file, { dryRun: true })
      }
      const wrong = yield* Spec1.copy(whole)
      yield* wrong.put("config.yaml", text("inline_chunk_threshold_bytes: many"))
      yield* refused(wrong, { _tag: "InvalidConfig", field: "inline_chunk_threshold_bytes" }, "config.yaml")
      const gone = yield* Spec1.copy(whole)
      yield* gone.delete([one])
      yield* refused(gone, { _tag: "ObjectStoreError", key: one }, one)
      // What nobody refers to may be as it is.
      const garbage = yield* Spec1.copy(whole)
      yield* garbage.put("snapshots/VY76P925PRY57WFEK410", text("nothing"))
      yield* garbage.put("refs/notes", text("nothing"))
      yield* migrate(garbage)
      assert.include(yield* Spec1.keysOf(garbage), "refs/notes")
    })
  )

  it.live("is refused while somebody moves branches all the time", () =>
    Effect.gen(function* () {
      const inner = yield* small
      const [tip, before] = yield* Spec1.within(inner)(
        Effect.flatMap(Repository.open(), (one) => one.history({ branch: "main" }))
      )
      const main = "refs/branch.main/ref.json"
      let turn = 0
      const store: ObjectStore.ObjectStoreShape = {
        ...inner,
        get: (key, options) =>
          key === main
            ? Effect.andThen(
                inner.put(main, Interop.json({ snapshot: (turn++ % 2 === 0 ? tip : before)!.id })).pipe(Effect.orDie),
                inner.get(key, options)
              )
            : inner.get(key, options)
      }
      yield* refused(store, { _tag: "RepositoryBusy" }, "Nothing was changed")
    })
  )
})

describe.skipIf(!Spec1.arePresent)("repositories that Python wrote", () => {
  it.live("are the same after a migration, chunk by chunk, for both engines", () =>
    Effect.gen(function* () {
      const store = yield* Spec1.copyOf("test-repo-v1")
      const read = Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const tips: ReadonlyArray<Repository.VersionRef> = [
            ...Array.from((yield* repository.branches).keys(), (branch) => ({ branch })),
            ...Array.from((yield* repository.tags).keys(), (tag) => ({ tag }))
          ]
          const ids = new Set<string>()
          for (const tip of tips) for (const { id } of yield* repository.history(tip)) ids.add(id)
          return yield* Effect.forEach([...tips, ...Array.from(ids, (snapshotId) => ({ snapshotId }))], (version) =>
            Effect.gen(function* () {
              const history = yield* repository.history(version)
              return { version, history, ours: yield* Spec1.readOurs(repository, version) }
            })
          )
        })
      )
      const before = yield* read
      const containers = Spec1.within(store)(Effect.flatMap(Repository.open(), (one) => one.containers))
      const containersBefore = yield* containers
      const dependencies = Spec1.within(store)(
        Effect.flatMap(Repository.open(), ({ wholeHistory }) => wholeHistory.dependencies)
      )
      const dependenciesBefore = yield* dependencies
      assert.isNotEmpty(dependenciesBefore)
      yield* migrate(store)
      const after = yield* read
      assert.deepStrictEqual(after, before)
      assert.deepStrictEqual(yield* containers, containersBefore)
      assert.deepStrictEqual(yield* dependencies, dependenciesBefore)
      const engine = yield* Effect.promise(() => Spec1.theirs(Spec1.withoutConfig(store)))
      assert.strictEqual(engine.specVersion, 2)
      let chunks = 0
      for (const { history, ours, version } of after) {
        const session = yield* Effect.promise(() => engine.readonlySession(version))
        for (const [key, value] of ours) {
          if (key.endsWith("zarr.json") || value?.toString().startsWith("virtual ") === true) continue
          chunks++
          assert.deepStrictEqual(Interop.buffer(yield* Effect.promise(() => session.store.get(key))), value, key)
        }
        assert.deepStrictEqual(
          (yield* Effect.promise(() => engine.ancestry(version))).map(({ id }) => id),
          history.map(({ id }): string => id)
        )
      }
      assert.isAbove(chunks, 50)
      // Deleted tags stay so.
      assert.isTrue((yield* repoOf(store)).deletedTags.has("deleted"))
    })
  )
})
