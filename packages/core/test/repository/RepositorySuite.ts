/**
 * What a repository must do on every store, as tests: memory, directories, buckets.
 */
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type * as NodePath from "@effect-icechunk/core/NodePath"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import { assert, describe, layer, type Vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { inWorld, pattern, text, world } from "./Fixture.ts"

export const array = (shape: ReadonlyArray<number>, chunkShape: ReadonlyArray<number>) => ({
  shape,
  chunkShape,
  dataType: "uint8",
  fillValue: 0
})

const keys = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Stream.runCollect(store.list("")), (all) => all.map(({ key }) => key).toSorted())

/** A store whose puts are refused, or done with their answers lost. */
const failingPuts = (
  store: ObjectStore.ObjectStoreShape,
  fate: (key: string) => "done" | "lost" | "refused"
): ObjectStore.ObjectStoreShape => ({
  ...store,
  put: (key, bytes, options) => {
    const reason = new Errors.Unavailable({})
    const error = new Errors.ObjectStoreError({ store: store.description, operation: "put", key, reason })
    const what = fate(key)
    if (what === "refused") return Effect.fail(error)
    const put = store.put(key, bytes, options)
    return what === "done" ? put : Effect.andThen(put, Effect.fail(error))
  }
})

type Tests = Vitest.MethodsNonLive<ObjectStore.ObjectStore>

const versions = (it: Tests): void => {
  it.effect("is created, committed to, opened anew and read", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      const id = yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/", { title: "all" })
          yield* session.createArray("/small", array([4], [2]))
          yield* session.createArray("/large", array([2000, 2], [1000, 1]))
          yield* session.createArray("/scalar", array([], []))
          yield* session.setChunk("/small", [1], pattern(2))
          yield* session.setChunk("/large", [1, 0], pattern(1000, 1))
          yield* session.setChunk("/scalar", [], pattern(1, 2))
          return yield* session.commit("first")
        })
      )
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const session = yield* repository.readonlySession({ branch: "main" })
          assert.strictEqual(yield* session.snapshotId, id)
          assert.deepStrictEqual(
            (yield* session.nodes()).map(({ path }) => path),
            ["/", "/large", "/scalar", "/small"]
          )
          assert.strictEqual(yield* session.chunk("/small", [0]), undefined)
          assert.deepStrictEqual(yield* session.chunk("/small", [1]), pattern(2))
          assert.deepStrictEqual(yield* session.chunk("/large", [1, 0]), pattern(1000, 1))
          assert.deepStrictEqual(yield* session.chunk("/scalar", []), pattern(1, 2))
          assert.strictEqual((yield* session.chunkRef("/small", [1]))?._tag, "Inline")
          assert.strictEqual((yield* session.chunkRef("/large", [1, 0]))?._tag, "Native")
          const [latest, first] = yield* repository.history({ branch: "main" })
          assert.strictEqual(latest?.message, "first")
          assert.strictEqual(first?.id, "1CECHNKREP0F1RSTCMT0")
        })
      )
    })
  )

  it.effect("shows nothing of a session before its commit, and everything after it", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const writer = yield* repository.writableSession("main")
          yield* writer.createArray("/a", array([4], [1]))
          yield* writer.setChunk("/a", [0], text("x"))
          const before = yield* repository.readonlySession({ branch: "main" })
          assert.deepStrictEqual(yield* before.nodes(), [])
          yield* writer.commit("one")
          assert.deepStrictEqual(yield* before.nodes(), [])
          const after = yield* repository.readonlySession({ branch: "main" })
          assert.deepStrictEqual(yield* after.chunk("/a", [0]), text("x"))
        })
      )
    })
  )

  it.effect("keeps versions: by branch, by tag, by snapshot id", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([4], [1]))
          yield* session.setChunk("/a", [0], text("1"))
          const one = yield* session.commit("one")
          yield* repository.createTag("v1", one)
          yield* repository.createBranch("next", one)
          yield* session.setChunk("/a", [0], text("2"))
          yield* session.setChunk("/a", [1], text("3"))
          yield* session.deleteChunk("/a", [1])
          const two = yield* session.commit("two")
          const at = (version: Repository.VersionRef) =>
            Effect.flatMap(repository.readonlySession(version), (opened) => opened.chunk("/a", [0]))
          assert.deepStrictEqual(yield* at({ tag: "v1" }), text("1"))
          assert.deepStrictEqual(yield* at({ branch: "next" }), text("1"))
          assert.deepStrictEqual(yield* at({ snapshotId: one }), text("1"))
          assert.deepStrictEqual(yield* at({ snapshotId: two }), text("2"))
          assert.deepStrictEqual(yield* at({ branch: "main" }), text("2"))
          const error = yield* Effect.flip(repository.readonlySession({ branch: "nope" }))
          assert.strictEqual(error._tag, "RefNotFound")
          assert.include(error.message, "`main`")
          yield* repository.deleteTag("v1")
          assert.strictEqual((yield* Effect.flip(repository.createTag("v1", two)))._tag, "RefForbidden")
        })
      )
    })
  )

  it.effect("refuses a commit to a branch that moved, and keeps the session's changes", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const a = yield* repository.writableSession("main")
          const b = yield* repository.writableSession("main")
          yield* a.createGroup("/a")
          yield* b.createGroup("/b")
          const tip = yield* a.commit("a")
          const error = yield* Effect.flip(b.commit("b"))
          assert.strictEqual(error._tag, "CommitConflict")
          assert.include(error.message, tip)
          assert.deepStrictEqual((yield* b.status).newGroups.map(String), ["/b"])
          assert.deepStrictEqual((yield* repository.branches).get("main"), tip)
        })
      )
    })
  )

  it.effect("reports what changed, and forgets it on discard", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          yield* session.createArray("/g/a", array([4], [1]))
          yield* session.createArray("/g/b", array([4], [1]))
          yield* session.setChunk("/g/b", [1], text("x"))
          yield* session.commit("base")
          yield* session.deleteNode("/g/a")
          yield* session.createArray("/g/a", array([8], [1]))
          yield* session.setChunk("/g/b", [0], text("x"))
          yield* session.setChunk("/g/b", [0], text("y"))
          yield* session.createGroup("/h")
          const status = yield* session.status
          assert.deepStrictEqual(status.newGroups.map(String), ["/h"])
          assert.deepStrictEqual(status.newArrays.map(String), ["/g/a"])
          assert.deepStrictEqual(status.deletedArrays.map(String), ["/g/a"])
          assert.deepStrictEqual([...status.updatedChunks], [["/g/b", 1]])
          yield* session.discard
          assert.strictEqual((yield* session.status).newGroups.length, 0)
          assert.strictEqual(yield* session.chunk("/g/b", [0]), undefined)
          assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
        })
      )
    })
  )

  it.effect("drops chunks outside of an array that shrank, and keeps those inside", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          const zarrJson = (length: number): Uint8Array =>
            text(
              JSON.stringify({
                zarr_format: 3,
                node_type: "array",
                shape: [length],
                data_type: "uint8",
                chunk_grid: { name: "regular", configuration: { chunk_shape: [1] } },
                chunk_key_encoding: { name: "default" },
                fill_value: 0,
                codecs: [{ name: "bytes" }]
              })
            )
          yield* session.setMetadata("/a", zarrJson(10))
          for (let i = 0; i < 10; i++) yield* session.setChunk("/a", [i], text(String(i)))
          yield* session.commit("ten")
          yield* session.setMetadata("/a", zarrJson(3))
          yield* session.commit("three")
          yield* session.setMetadata("/a", zarrJson(10))
          yield* session.commit("ten again")
          const indices = yield* Stream.runCollect(session.chunkIndices("/a"))
          assert.deepStrictEqual(indices, [[0], [1], [2]])
          assert.deepStrictEqual(yield* session.chunk("/a", [2]), text("2"))
          assert.strictEqual(yield* session.chunk("/a", [3]), undefined)
        })
      )
    })
  )

  it.effect("splits manifests as configured, and rewrites only those with changes", () =>
    Effect.gen(function* () {
      const at = yield* world
      const within = inWorld(at)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.create({
            persist: {
              manifest: { splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks: 4 }]]] } }
            }
          })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", array([10], [1]))
          for (let i = 0; i < 10; i++) yield* session.setChunk("/a", [i], text(String(i)))
          yield* session.commit("ten")
          const manifests = () =>
            Effect.map(session.node("/a"), ({ data }) => (data._tag === "Array" ? data.manifests : []))
          const before = yield* manifests()
          assert.deepStrictEqual(
            before.map(({ extents }) => extents),
            [[{ from: 0, to: 4 }], [{ from: 4, to: 8 }], [{ from: 8, to: 10 }]]
          )
          yield* session.setChunk("/a", [5], text("five"))
          yield* session.commit("one changed")
          const after = yield* manifests()
          const kept = after.filter(({ id }) => before.some((one) => one.id === id))
          assert.deepStrictEqual(
            kept.map(({ extents }) => extents),
            [[{ from: 0, to: 4 }], [{ from: 8, to: 10 }]]
          )
          for (let i = 0; i < 10; i++) {
            assert.deepStrictEqual(yield* session.chunk("/a", [i]), text(i === 5 ? "five" : String(i)))
          }
        })
      )
    })
  )
}

const virtualChunks = (it: Tests): void => {
  const container = { name: "model", protocol: "model", platform: "s3", bucket_prefix: "bucket/runs" }
  const open = { credentials: { model: Credentials.anonymous, s3: Credentials.anonymous } }

  const prepared = Effect.gen(function* () {
    const at = yield* world
    yield* at.objects.put("bucket/runs/a.nc", pattern(1000))
    yield* inWorld(at)(
      Effect.gen(function* () {
        const repository = yield* Repository.create({ ...open, persist: { virtual_chunk_containers: [container] } })
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/v", array([1000], [100]))
        yield* session.setVirtualRefs(
          "/v",
          {
            indices: Uint32Array.from({ length: 10 }, (_, i) => i),
            offsets: Array.from({ length: 10 }, (_, i) => i * 100),
            lengths: Array.from({ length: 10 }, () => 100),
            locations: "model://bucket/runs/a.nc"
          },
          { capture: true }
        )
        yield* session.commit("virtual")
      })
    )
    return at
  })

  it.effect("are stored relative to a container with a protocol of its own, and read", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* prepared)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.open(open)
          const session = yield* repository.readonlySession({ branch: "main" })
          const ref = yield* session.chunkRef("/v", [3])
          assert.strictEqual(ref?._tag, "Virtual")
          if (ref?._tag !== "Virtual") return
          assert.strictEqual(ref.ref.location, "vcc://model/a.nc")
          assert.strictEqual(ref.ref.checksum?._tag, "ETag")
          assert.deepStrictEqual(yield* session.chunk("/v", [3]), pattern(1000).subarray(300, 400))
          const all = yield* Stream.runCollect(session.virtualLocations())
          assert.strictEqual(all.length, 10)
          assert.deepStrictEqual(yield* Stream.runCollect(session.virtualLocations({ distinct: true })), [
            "vcc://model/a.nc"
          ])
        })
      )
    })
  )

  it.effect("fail with ChecksumMismatch when the object changed, and are not served", () =>
    Effect.gen(function* () {
      const at = yield* prepared
      yield* at.objects.put("bucket/runs/a.nc", pattern(1000, 1))
      yield* inWorld(at)(
        Effect.gen(function* () {
          const repository = yield* Repository.open(open)
          const session = yield* repository.readonlySession({ branch: "main" })
          const error = yield* Effect.flip(session.chunk("/v", [3]))
          assert.strictEqual(error._tag, "ChecksumMismatch")
          assert.include(error.message, "vcc://model/a.nc")
        })
      )
    })
  )

  it.effect("fail with MissingContainer and MissingCredentials that name what to configure", () =>
    Effect.gen(function* () {
      const at = yield* prepared
      yield* inWorld(at)(
        Effect.gen(function* () {
          const without = yield* Repository.open({ ...open, withoutContainers: ["model"] })
          const session = yield* without.readonlySession({ branch: "main" })
          const missing = yield* Effect.flip(session.chunk("/v", [3]))
          assert.strictEqual(missing._tag, "MissingContainer")
          assert.include(missing.message, "`model`")
          const closed = yield* Repository.open({ credentialsFallback: "strict" })
          const reader = yield* closed.readonlySession({ branch: "main" })
          const credentials = yield* Effect.flip(reader.chunk("/v", [3]))
          assert.strictEqual(credentials._tag, "MissingCredentials")
          assert.include(credentials.message, "model")
        })
      )
    })
  )

  it.effect("are set all or none", () =>
    Effect.gen(function* () {
      const at = yield* world
      yield* inWorld(at)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ credentials: { s3: Credentials.anonymous } })
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/v", array([1000], [100]))
          const rows = {
            indices: Uint32Array.of(0, 1, 2),
            offsets: [0, 100, 200],
            lengths: [100, 100, 100],
            locations: "s3://bucket/a.nc"
          }
          const tag = (refs: Parameters<typeof session.setVirtualRefs>[1]) =>
            Effect.map(Effect.flip(session.setVirtualRefs("/v", refs)), ({ _tag }) => _tag)
          assert.strictEqual(yield* tag({ ...rows, indices: Uint32Array.of(0, 1, 10) }), "InvalidIndex")
          assert.strictEqual(yield* tag({ ...rows, indices: Uint32Array.of(0, 1) }), "InvalidVirtualRef")
          assert.strictEqual(yield* tag({ ...rows, lengths: [100, 100, 0] }), "InvalidVirtualRef")
          assert.strictEqual(yield* tag({ ...rows, offsets: [0, 100, 0.5] }), "InvalidVirtualRef")
          assert.strictEqual(yield* tag({ ...rows, offsets: [0, 100, -1] }), "InvalidVirtualRef")
          assert.strictEqual(yield* tag({ ...rows, locations: "nonsense" }), "InvalidLocation")
          assert.strictEqual(yield* tag({ ...rows, locations: "other://bucket/a" }), "MissingContainer")
          assert.strictEqual((yield* session.status).updatedChunks.size, 0)
          yield* session.setVirtualRefs("/v", { ...rows, locations: "other://bucket/a" }, { validateContainers: false })
          assert.strictEqual((yield* session.status).updatedChunks.get("/v" as NodePath.NodePath), 3)
          const one = { location: "s3://b/k", offset: 0, length: 1, checksum: Checksum.lastModified(1500) }
          yield* session.setVirtualRef("/v", [9], one)
          assert.deepStrictEqual(yield* session.chunkRef("/v", [9]), {
            _tag: "Virtual",
            ref: { ...one, checksum: Checksum.lastModified(2000) }
          } as never)
        })
      )
    })
  )
}

const creating = (it: Tests): void => {
  it.effect("fails with typed errors and changes nothing", () =>
    Effect.gen(function* () {
      const at = yield* world
      const within = inWorld(at)
      assert.strictEqual((yield* Effect.flip(within(Repository.open())))._tag, "RepositoryNotFound")
      assert.isFalse(yield* within(Repository.exists))
      yield* within(Repository.create())
      assert.isTrue(yield* within(Repository.exists))
      const before = yield* keys(at.store)
      const error = yield* Effect.flip(within(Repository.create()))
      assert.strictEqual(error._tag, "RepositoryAlreadyExists")
      assert.deepStrictEqual(yield* keys(at.store), before)
    })
  )

  it.effect("of two creators at once, one wins", () =>
    Effect.gen(function* () {
      const at = yield* world
      const results = yield* Effect.all(
        Array.from({ length: 8 }, () => Effect.result(inWorld(at)(Repository.create()))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 1)
    })
  )

  it.effect("openOrCreate does either", () =>
    Effect.gen(function* () {
      const within = inWorld(yield* world)
      yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.openOrCreate()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          yield* session.commit("g")
        })
      )
      const nodes = yield* within(
        Effect.gen(function* () {
          const repository = yield* Repository.openOrCreate()
          return yield* (yield* repository.readonlySession({ branch: "main" })).nodes()
        })
      )
      assert.strictEqual(nodes.length, 1)
    })
  )

  it.effect("openOrCreate opens what somebody else was faster to create", () =>
    Effect.gen(function* () {
      const at = yield* world
      yield* Effect.all(
        Array.from({ length: 8 }, () => inWorld(at)(Repository.openOrCreate())),
        { concurrency: "unbounded" }
      )
    })
  )

  it.effect("goes on where a creator was stopped half-way", () =>
    Effect.gen(function* () {
      const at = yield* world
      const stopped = {
        ...at,
        store: failingPuts(at.store, (key) => (key === "repo" ? "refused" : "done"))
      }
      assert.strictEqual((yield* Effect.flip(inWorld(stopped)(Repository.create())))._tag, "ObjectStoreError")
      assert.isNotEmpty(yield* keys(at.store))
      yield* inWorld(at)(Repository.create())
    })
  )

  it.effect("recognises its own creation when somebody built on it before the answer was missed", () =>
    Effect.gen(function* () {
      const at = yield* world
      const buildOn = Effect.gen(function* () {
        const repository = yield* Repository.open()
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/")
        yield* session.commit("somebody else's")
      })
      const reason = new Errors.AlreadyExists({ detail: "an earlier attempt of this write was not answered" })
      const store: ObjectStore.ObjectStoreShape = {
        ...at.store,
        put: (key, bytes, options) =>
          key === "repo" && options?.mode?._tag === "Create"
            ? at.store
                .put(key, bytes, options)
                .pipe(
                  Effect.andThen(Effect.orDie(inWorld(at)(buildOn))),
                  Effect.andThen(new Errors.ObjectStoreError({ store: "s3://bucket", operation: "put", key, reason }))
                )
            : at.store.put(key, bytes, options)
      }
      const messages = yield* inWorld({ ...at, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          return (yield* repository.history({ branch: "main" })).map(({ message }) => message)
        })
      )
      assert.deepStrictEqual(messages, ["somebody else's", "Repository initialized"])
    })
  )

  it.effect("recognises its own creation when the answer is lost", () =>
    Effect.gen(function* () {
      const at = yield* world
      const lossy = { ...at, store: failingPuts(at.store, (key) => (key === "repo" ? "lost" : "done")) }
      yield* inWorld(lossy)(Repository.create())
      assert.strictEqual((yield* Effect.flip(inWorld(lossy)(Repository.create())))._tag, "RepositoryAlreadyExists")
    })
  )
}

/**
 * Registers the tests of repositories on a store. Each is below a prefix of its own, so that one bucket serves them
 * all.
 */
export const suite = <E>(name: string, store: Layer.Layer<ObjectStore.ObjectStore, E>): void =>
  layer(store, { excludeTestServices: true, timeout: "60 seconds" })(name, (it) => {
    describe("a repository", () => {
      versions(it)
    })
    describe("virtual chunks of a repository", () => {
      virtualChunks(it)
    })
    describe("creating and opening", () => {
      creating(it)
    })
  })
