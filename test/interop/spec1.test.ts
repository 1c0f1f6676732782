/**
 * Repositories of Icechunk spec version 1, read by this library as by the official engine.
 */
import { type Errors, type ObjectStore, ObjectStoreError, ReadonlyRepository, Repository } from "@effect-icechunk/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Interop from "../support/InteropSuite.ts"
import * as Spec1 from "../support/Spec1Repositories.ts"

/** A store that notes what it is asked for. */
const recorded = (inner: ObjectStore.ObjectStoreShape) => {
  const asked: Array<string> = []
  const note = <A>(call: string, request: A): A => {
    asked.push(call)
    return request
  }
  const store: ObjectStore.ObjectStoreShape = {
    ...inner,
    get: (key, options) => Effect.suspend(() => note(`get ${key}`, inner.get(key, options))),
    head: (key) => Effect.suspend(() => note(`head ${key}`, inner.head(key))),
    list: (prefix) => Stream.suspend(() => note(`list ${prefix}`, inner.list(prefix)))
  }
  return { store, asked }
}

const notListed = (inner: ObjectStore.ObjectStoreShape): ObjectStore.ObjectStoreShape => ({
  ...inner,
  list: (key) =>
    Stream.fail(
      new ObjectStoreError.ObjectStoreError({
        store: inner.description,
        operation: "list",
        key,
        reason: new ObjectStoreError.Unsupported({ detail: "it does not list" })
      })
    )
})

const put = (store: ObjectStore.ObjectStoreShape, key: string, text: string) =>
  store.put(key, new TextEncoder().encode(text))

/** Everything both engines say of a repository. */
const assertRead = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  versions: ReadonlyArray<Repository.VersionRef>
) {
  const engine = yield* Effect.promise(() => Spec1.theirs(store))
  yield* Spec1.within(store)(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      for (const version of versions) {
        const theirs = yield* Effect.promise(() => Interop.readTheirs(engine, version))
        Interop.assertSame(yield* Interop.readOurs(repository, version), theirs as ReadonlyMap<string, Buffer>, "")
        const theirHistory = yield* Effect.promise(() => engine.ancestry(version))
        assert.deepStrictEqual(
          (yield* repository.history(version)).map(({ flushedAt, id, message, parentId }) => ({
            id,
            parentId,
            message,
            at: Math.floor(flushedAt / 1000)
          })),
          theirHistory.map(({ id, message, parentId, writtenAt }) => ({
            id,
            parentId,
            message,
            at: new Date(writtenAt).getTime()
          })) as never
        )
      }
      const named = async (names: ReadonlyArray<string>, find: (name: string) => Promise<string>) =>
        new Map(await Promise.all(names.map(async (name) => [name, await find(name)] as const)))
      assert.deepStrictEqual(
        new Map(yield* repository.branches),
        yield* Effect.promise(async () => named(await engine.listBranches(), (name) => engine.lookupBranch(name)))
      )
      assert.deepStrictEqual(
        new Map(yield* repository.tags),
        yield* Effect.promise(async () => named(await engine.listTags(), (name) => engine.lookupTag(name)))
      )
    })
  )
})

describe("a repository of spec version 1 that the official engine writes", () => {
  it.live("is read in each of its versions, byte for byte, with its history, branches and tags", () =>
    Effect.gen(function* () {
      const { store, versions } = yield* Spec1.write
      assert.notInclude(yield* Spec1.keysOf(store), "repo")
      yield* assertRead(store, versions)
    })
  )

  it.live("has the configuration of its `config.yaml`, over which `config.json` counts", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      const effective = Spec1.within(store)(Effect.flatMap(Repository.open(), ({ config }) => config.effective))
      const found = yield* effective
      assert.strictEqual(found.inline_chunk_threshold_bytes, 100)
      assert.deepStrictEqual(found.manifest?.preload?.preload_if, {
        or: ["true", { name_matches: { regex: "t.*" } }]
      })
      assert.deepStrictEqual(found.manifest?.splitting?.split_sizes, [
        [{ path_matches: { regex: "/ocean/.*" } }, [{ condition: { Axis: 0 }, num_chunks: 1 }]],
        ["any_array", [{ condition: "Any", num_chunks: 1000 }]]
      ])
      assert.deepInclude(
        found.virtual_chunk_containers?.find(({ name }) => name === "data"),
        { protocol: "https", platform: "http", bucket_prefix: "data.example/here" }
      )
      yield* put(store, "config.json", `{ "inline_chunk_threshold_bytes": 3 }`)
      assert.strictEqual((yield* effective).inline_chunk_threshold_bytes, 3)
    })
  )

  it.live("is seen as it is when a session is opened", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      yield* Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const engine = yield* Effect.promise(() => Spec1.theirs(store))
          const id = yield* Effect.promise(() =>
            Spec1.commit(engine, "main", "later", [["scalar/c", Interop.bytes(8, 1)]])
          )
          yield* put(store, "config.yaml", "inline_chunk_threshold_bytes: 5")
          const session = yield* repository.readonlySession({ branch: "main" })
          assert.strictEqual<string>(yield* session.snapshotId, id)
          assert.strictEqual((yield* repository.config.effective).inline_chunk_threshold_bytes, 5)
        })
      )
    })
  )

  it.live("is opened by name: nothing is listed, and of its history only one snapshot is read", () =>
    Effect.gen(function* () {
      const { store: inner, versions } = yield* Spec1.write
      const { asked, store } = recorded(inner)
      yield* Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* ReadonlyRepository.open()
          for (const version of versions) yield* repository.readonlySession(version)
        })
      )
      assert.deepStrictEqual(
        asked.filter((call) => call.startsWith("list")),
        []
      )
      const snapshots = asked.filter((call) => call.startsWith("get snapshots/"))
      assert.isAtMost(snapshots.length, new Set(snapshots).size)
      asked.length = 0
      yield* Spec1.within(store)(
        Effect.flatMap(ReadonlyRepository.open(), (repository) => repository.readonlySession({ branch: "main" }))
      )
      assert.deepStrictEqual(asked.map((call) => call.replace(/snapshots\/.*/, "snapshots/ID")).toSorted(), [
        "get config.json",
        "get config.json",
        "get config.yaml",
        "get config.yaml",
        "get refs/branch.main/ref.json",
        "get repo",
        "get repo",
        "get snapshots/ID",
        "head refs/branch.main/ref.json"
      ])
    })
  )

  it.live("is read from a store that cannot list, but for its lists of branches and tags", () =>
    Effect.gen(function* () {
      const { store: inner, versions } = yield* Spec1.write
      yield* Spec1.within(notListed(inner))(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          for (const version of versions) yield* repository.readonlySession(version)
          assert.deepStrictEqual(
            (yield* repository.history({ branch: "main" })).map(({ message }) => message),
            ["three", "two", "one", "Repository initialized"]
          )
          assert.strictEqual((yield* Effect.flip(repository.branches))._tag, "ObjectStoreError")
          const error = yield* Effect.flip(repository.readonlySession({ branch: "none" }))
          assert.deepInclude(error, { _tag: "RefNotFound", kind: "branch", name: "none", known: [] })
        })
      )
    })
  )

  it.live("has no branch, tag or snapshot that it has not", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      yield* Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const refused: ReadonlyArray<readonly [Repository.VersionRef, ReadonlyArray<string>]> = [
            [{ branch: "left" }, ["dev ünï", "main"]],
            [{ branch: "" }, ["dev ünï", "main"]],
            [{ branch: "../branch.main" }, ["dev ünï", "main"]],
            [{ tag: "gone" }, ["only here", "v1"]],
            [{ tag: "main" }, ["only here", "v1"]],
            [{ snapshotId: "VY76P925PRY57WFEK410" }, []],
            [{ snapshotId: "no id" }, []]
          ]
          for (const [version, known] of refused) {
            const error = yield* Effect.flip(repository.readonlySession(version))
            assert.strictEqual(error._tag, "RefNotFound", JSON.stringify(version))
            assert.deepStrictEqual((error as Errors.RefNotFound).known, known)
            assert.strictEqual((yield* Effect.flip(repository.history(version)))._tag, "RefNotFound")
          }
        })
      )
    })
  )

  it.live("is not written: everything that would says to migrate it, and nothing is changed", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      const before = yield* Spec1.keysOf(store)
      yield* Spec1.within(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.openOrCreate()
          const [tip] = yield* repository.history({ branch: "main" })
          const id = tip!.id
          for (const write of [
            repository.writableSession("main"),
            repository.transact("main", "m", (session) => session.createGroup("/new")),
            repository.createBranch("b", id),
            repository.deleteBranch("dev ünï"),
            repository.resetBranch("main", id),
            repository.createTag("t", id),
            repository.deleteTag("v1"),
            repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: 1 })),
            repository.config.publish
          ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>>) {
            const error = yield* Effect.flip(write)
            assert.strictEqual(error._tag, "WriteForbidden")
            assert.include(error.message, "spec version 1")
            assert.include(error.message, "`Migration.migrate`")
          }
          const error = yield* Effect.flip(Repository.create())
          assert.strictEqual(error._tag, "RepositoryAlreadyExists")
          assert.include(error.message, "Open it")
          assert.isTrue(yield* Repository.exists)
        })
      )
      assert.deepStrictEqual(yield* Spec1.keysOf(store), before)
    })
  )

  it.live("is refused where a file is damaged, by its name and field", () =>
    Effect.gen(function* () {
      const { store: whole } = yield* Spec1.write
      const tip = yield* Spec1.within(whole)(
        Effect.flatMap(Repository.open(), ({ history }) => Effect.map(history({ branch: "main" }), (all) => all[0]!.id))
      )
      const main = "refs/branch.main/ref.json"
      const damages = [
        [main, "", main, "(whole file)"],
        [main, "[]", main, "(whole file)"],
        [main, "{}", main, "snapshot"],
        [main, `{"snapshot":"short"}`, main, "snapshot"],
        ["config.yaml", "a: [b", "config.yaml", "(whole file)"],
        [`snapshots/${tip}`, "ICE", `snapshots/${tip}`, "header.magic"]
      ] as const
      for (const [key, content, file, field] of damages) {
        const store = yield* Spec1.copy(whole)
        yield* put(store, key, content)
        const error = yield* Spec1.within(store)(
          Effect.flip(Effect.flatMap(Repository.open(), (one) => one.readonlySession({ branch: "main" })))
        )
        assert.deepInclude(error, { _tag: "FormatError", file, field }, `${key} ${content}`)
      }
    })
  )

  it.live("of which a snapshot descends from itself is refused", () =>
    Effect.gen(function* () {
      const { store } = yield* Spec1.write
      const history = Spec1.within(store)(Effect.flatMap(Repository.open(), (one) => one.history({ branch: "main" })))
      const [tip, , second] = yield* history
      const file = `snapshots/${second!.id}`
      yield* Spec1.replaceId(store, file, second!.parentId!, tip!.id)
      assert.deepInclude(yield* Effect.flip(history), { _tag: "FormatError", file, field: "parent_id" })
    })
  )
})

describe.skipIf(!Spec1.arePresent)("repositories that Python wrote", () => {
  for (const name of ["test-repo-v1", "test-repo-v2", "split-repo-v2"]) {
    it.live(`are read completely: ${name}`, () =>
      Effect.gen(function* () {
        const store = yield* Spec1.copyOf(name)
        const engine = yield* Effect.promise(() => Spec1.theirs(Spec1.withoutConfig(store)))
        let keys = 0
        let refs = 0
        yield* Spec1.within(store)(
          Effect.gen(function* () {
            const repository = yield* Repository.open()
            const tips: ReadonlyArray<Repository.VersionRef> = [
              ...Array.from((yield* repository.branches).keys(), (branch) => ({ branch })),
              ...Array.from((yield* repository.tags).keys(), (tag) => ({ tag }))
            ]
            const ids = new Set<string>()
            for (const tip of tips) for (const { id } of yield* repository.history(tip)) ids.add(id)
            for (const version of [...tips, ...Array.from(ids, (snapshotId) => ({ snapshotId }))]) {
              const session = yield* Effect.promise(() => engine.readonlySession(version))
              const ours = yield* Spec1.readOurs(repository, version)
              assert.deepStrictEqual(
                [...ours.keys()].toSorted(),
                (yield* Effect.promise(() => session.store.list())).toSorted()
              )
              for (const [key, value] of ours) {
                keys++
                const isVirtual = value?.toString().startsWith("virtual ") === true
                if (isVirtual) refs++
                if (isVirtual || key.endsWith("zarr.json")) continue
                assert.deepStrictEqual(value, Interop.buffer(yield* Effect.promise(() => session.store.get(key))), key)
              }
            }
          })
        )
        assert.isAbove(keys, 50)
        if (name.startsWith("test")) assert.isAbove(refs, 0)
      })
    )
  }

  it.live("have containers whose prefix is a protocol, as Icechunk had them before 1.0", () =>
    Effect.gen(function* () {
      const store = yield* Spec1.copyOf("test-repo-v1")
      const containers = yield* Spec1.within(store)(Effect.flatMap(Repository.open(), (one) => one.containers))
      const named = (wanted: string) => containers.find(({ container: { name } }) => name === wanted)
      assert.deepInclude(named("tigris"), { source: "persisted" })
      assert.deepInclude(named("tigris")?.container, {
        protocol: "tigris",
        platform: "tigris",
        bucket_prefix: "",
        cloud_client_config: { endpoint_url: "https://fly.storage.tigris.dev" }
      })
      assert.deepInclude(named("s3")?.container, { protocol: "s3", platform: "s3", bucket_prefix: "testbucket" })
      assert.deepInclude(named("az")?.container, { protocol: "az", platform: "azure" })
    })
  )
})
