/** The configuration of open repositories: what sessions see, what is published, and what is left after a failure. */
import * as Config from "@effect-icechunk/core/RepositoryConfig"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Flexbuffer from "../../src/encoding/Flexbuffer.ts"
import * as RepoChange from "../../src/repository/versions/RepoChange.ts"
import * as RepoObject from "../../src/repository/versions/RepoObject.ts"
import type { JsonObject } from "../../src/values/Json.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { inWorld, text, type World, worldInMemory } from "./Fixture.ts"

const model = { name: "m", protocol: "m", platform: "s3", bucket_prefix: "bucket/runs" }

const carriedBy = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Effect.provide(RepoObject.read(store), NodeZstd.layer), ({ info }) =>
    info.config === undefined ? {} : (Result.getOrThrow(Flexbuffer.decode("repo", "config", info.config)) as JsonObject)
  )

/** Another client saves its configuration. */
const save = (store: ObjectStore.ObjectStoreShape, change: (config: JsonObject) => JsonObject) =>
  Effect.gen(function* () {
    const next = change(yield* carriedBy(store))
    yield* RepoObject.update(store, (info) => Effect.fromResult(RepoChange.setConfig(Flexbuffer.encode(next))(info)), {
      updatesPerObject: 1000
    })
  }).pipe(Effect.provide(NodeZstd.layer))

const file = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(store.get("config.json"), ({ bytes }) => JSON.parse(new TextDecoder().decode(bytes)) as JsonObject)

interface Request {
  readonly operation: "get" | "put"
  readonly key: string
  readonly outcome: string
}

/** A world whose requests are recorded, and fail where `fails` says so. */
const recorded = (world: World, fails: (request: Omit<Request, "outcome">) => boolean = () => false) => {
  const requests: Array<Request> = []
  const within = <A, E>(operation: "get" | "put", key: string, effect: Effect.Effect<A, E>) =>
    Effect.suspend((): Effect.Effect<A, E | Errors.ObjectStoreError> => {
      if (!fails({ operation, key })) return effect
      const reason = new Errors.PermissionDenied({})
      return Effect.fail(new Errors.ObjectStoreError({ store: world.store.description, operation, key, reason }))
    }).pipe(
      Effect.tap(() => Effect.sync(() => requests.push({ operation, key, outcome: "done" }))),
      Effect.tapError((error) =>
        Effect.sync(() =>
          requests.push({
            operation,
            key,
            outcome: error instanceof Errors.ObjectStoreError ? error.reason._tag : "WriteForbidden"
          })
        )
      )
    )
  const store: ObjectStore.ObjectStoreShape = {
    ...world.store,
    get: (key, options) => within("get", key, world.store.get(key, options)),
    put: (key, bytes, options) => within("put", key, world.store.put(key, bytes, options))
  }
  return { requests, world: { ...world, store } }
}

const commit = (repository: Repository.RepositoryShape, name: string) =>
  Effect.gen(function* () {
    const session = yield* repository.writableSession("main")
    yield* session.createGroup(`/${name}`)
    return yield* session.commit(name)
  })

describe("a session", () => {
  it.effect("sees what others have configured since the repository was opened", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* world.objects.put("bucket/runs/a", text("0123"))
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ credentials: {} })
          const before = yield* repository.writableSession("main")
          yield* inWorld(world)(
            Effect.flatMap(Repository.open(), ({ config }) => config.update(Config.setContainer(model)))
          )
          const ref = { location: "m://bucket/runs/a", offset: 1, length: 2 }
          const array = { shape: [1], chunkShape: [1], dataType: "uint16", fillValue: 0 }
          yield* before.createArray("/a", array)
          const missing = yield* Effect.flip(before.setVirtualRef("/a", [0], ref, { validateContainers: true }))
          assert.strictEqual(missing._tag, "MissingContainer")
          const after = yield* repository.writableSession("main")
          yield* after.createArray("/a", array)
          yield* after.setVirtualRef("/a", [0], ref, { validateContainers: true })
          yield* repository.readonlySession({ branch: "main" })
          assert.include(
            (yield* repository.containers).map(({ container }) => container.name),
            "m"
          )
        })
      )
    })
  )

  it.effect("sees what other clients have saved in the repository object", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* save(world.store, (config) => ({ ...config, inline_chunk_threshold_bytes: 7 }))
          yield* repository.readonlySession({ branch: "main" })
          assert.strictEqual(Config.inlineThreshold(yield* repository.config.effective), 7)
        })
      )
    })
  )

  it.effect("asks for what has not changed once, and gets no body", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      const { requests, world } = recorded(inner)
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: { max_concurrent_requests: 5 } })
          requests.length = 0
          yield* repository.readonlySession({ branch: "main" })
          assert.deepStrictEqual(
            requests.filter(({ key }) => !key.startsWith("snapshots")).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
            [
              { operation: "get", key: "config.json", outcome: "NotModified" },
              { operation: "get", key: "repo", outcome: "NotModified" }
            ]
          )
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          requests.length = 0
          yield* session.commit("g")
          assert.notInclude(
            requests.map(({ key }) => key),
            "config.json",
            "a commit does not ask for it again"
          )
        })
      )
    })
  )

  it.effect("asks for no config.json at a commit where there is none", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      const { requests, world } = recorded(inner)
      yield* inWorld(world)(
        Effect.gen(function* () {
          const session = yield* (yield* Repository.create()).writableSession("main")
          yield* session.createGroup("/g")
          requests.length = 0
          yield* session.commit("g")
          assert.isEmpty(requests.filter(({ key }) => key === "config.json"))
        })
      )
    })
  )

  it.effect("does not open on a config.json that is damaged, and open ones go on", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          yield* world.store.put("config.json", text("{"))
          assert.strictEqual((yield* Effect.flip(repository.writableSession("main")))._tag, "InvalidConfig")
          const read = yield* Effect.flip(repository.readonlySession({ branch: "main" }))
          assert.strictEqual(read._tag, "InvalidConfig")
          yield* session.commit("g")
        })
      )
    })
  )
})

describe("what is in force", () => {
  it.effect("shows the defaults, and the run-time override wins", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      const effective = yield* inWorld(world)(
        Effect.flatMap(
          Repository.create({ persist: { compression: { level: 9 } }, config: { max_concurrent_requests: 3 } }),
          ({ config }) => config.effective
        )
      )
      assert.deepStrictEqual(effective, {
        ...Config.defaults,
        compression: { algorithm: "zstd", level: 9 },
        max_concurrent_requests: 3
      })
    })
  )
})

describe("publication", () => {
  it.effect("takes off what an update leaves out: a setting and a prefix", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* repository.config.update((config) => ({
            ...Config.setContainer(model)(config),
            inline_chunk_threshold_bytes: 9
          }))
          assert.hasAllKeys(yield* carriedBy(world.store), ["inline_chunk_threshold_bytes", "virtual_chunk_containers"])
          const { bucket_prefix: _, ...everywhere } = model
          yield* repository.config.update(() => ({ virtual_chunk_containers: [everywhere] }))
          assert.deepStrictEqual((yield* carriedBy(world.store))["virtual_chunk_containers"], {})
          assert.notProperty(yield* carriedBy(world.store), "inline_chunk_threshold_bytes")
          assert.strictEqual(Config.inlineThreshold(yield* repository.config.effective), 512)
          yield* repository.readonlySession({ branch: "main" })
          assert.strictEqual(Config.inlineThreshold(yield* repository.config.effective), 512)
        })
      )
    })
  )

  it.effect("leaves what another client saved since, through commits, until an update changes it here", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: { inline_chunk_threshold_bytes: 1 } })
          yield* save(world.store, (config) => ({
            ...config,
            inline_chunk_threshold_bytes: 2,
            caching: { num_chunk_refs: 3 }
          }))
          yield* commit(repository, "a")
          yield* repository.config.publish
          yield* repository.config.update((config) => ({ ...config, max_concurrent_requests: 4 }))
          assert.deepStrictEqual(yield* carriedBy(world.store), {
            inline_chunk_threshold_bytes: 2,
            caching: { num_chunk_refs: 3 },
            max_concurrent_requests: 4
          })
          yield* repository.config.update((config) => ({ ...config, inline_chunk_threshold_bytes: 5 }))
          assert.strictEqual((yield* carriedBy(world.store))["inline_chunk_threshold_bytes"], 5)
        })
      )
    })
  )

  it.effect("that failed is done along with the next commit of another program, and noted", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      let isCut = false
      const { world } = recorded(inner, ({ key, operation }) => isCut && operation === "put" && key === "repo")
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          isCut = true
          const error = yield* Effect.flip(repository.config.update(() => ({ inline_chunk_threshold_bytes: 9 })))
          assert.strictEqual(error._tag, "ConfigNotPublished")
          assert.include(error.message, "is saved")
          assert.include(error.message, "`config.publish`")
        })
      )
      assert.deepStrictEqual(yield* carriedBy(inner.store), {})
      yield* inWorld(inner)(Effect.flatMap(Repository.open(), (repository) => commit(repository, "a")))
      assert.deepStrictEqual(yield* carriedBy(inner.store), { inline_chunk_threshold_bytes: 9 })
      assert.deepStrictEqual((yield* file(inner.store))["published"], [{ inline_chunk_threshold_bytes: 9 }])
    })
  )

  it.effect("that failed is done along with the next commit of the same program", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      let isCut = false
      const { world } = recorded(inner, ({ key, operation }) => isCut && operation === "put" && key === "repo")
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          isCut = true
          yield* Effect.flip(repository.config.update(() => ({ inline_chunk_threshold_bytes: 9 })))
          isCut = false
          yield* session.commit("g")
          assert.deepStrictEqual(yield* carriedBy(inner.store), { inline_chunk_threshold_bytes: 9 })
        })
      )
    })
  )

  it.effect("that was interrupted before the repository object is written is done with the next branch", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      yield* inWorld(inner)(Repository.create())
      let isCut = false
      const store: ObjectStore.ObjectStoreShape = {
        ...inner.store,
        put: (key, bytes, options) =>
          Effect.suspend(() => (isCut && key === "repo" ? Effect.interrupt : inner.store.put(key, bytes, options)))
      }
      yield* inWorld({ ...inner, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          isCut = true
          yield* Effect.exit(repository.config.update(() => ({ inline_chunk_threshold_bytes: 9 })))
          isCut = false
          yield* repository.createBranch("next", (yield* repository.branches).get("main")!)
        })
      )
      assert.deepStrictEqual(yield* carriedBy(inner.store), { inline_chunk_threshold_bytes: 9 })
    })
  )

  it.effect("of an update that was interrupted after its write is done with a commit of an open session", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      let isCut = false
      const store: ObjectStore.ObjectStoreShape = {
        ...inner.store,
        put: (key, bytes, options) =>
          isCut && key === "config.json"
            ? Effect.andThen(inner.store.put(key, bytes, options), Effect.interrupt)
            : inner.store.put(key, bytes, options)
      }
      yield* inWorld({ ...inner, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/g")
          isCut = true
          yield* Effect.exit(repository.config.update(() => ({ inline_chunk_threshold_bytes: 9 })))
          isCut = false
          yield* session.commit("g")
        })
      )
      assert.deepStrictEqual(yield* carriedBy(inner.store), { inline_chunk_threshold_bytes: 9 })
    })
  )

  it.effect("that is done but was not noted is noted by the next commit, which takes nothing back", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      let puts = 0
      const { world } = recorded(
        inner,
        ({ key, operation }) => operation === "put" && key === "config.json" && ++puts === 2
      )
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* repository.config.update(() => ({ inline_chunk_threshold_bytes: 9 }))
          assert.notDeepEqual((yield* file(inner.store))["published"], [{ inline_chunk_threshold_bytes: 9 }])
          yield* save(inner.store, (config) => ({ ...config, inline_chunk_threshold_bytes: 10 }))
          yield* commit(repository, "a")
          assert.deepStrictEqual(yield* carriedBy(inner.store), { inline_chunk_threshold_bytes: 10 })
          assert.deepStrictEqual((yield* file(inner.store))["published"], [{ inline_chunk_threshold_bytes: 9 }])
        })
      )
    })
  )

  it.effect("is not tried, and config.json not written, by an update that changes nothing", () =>
    Effect.gen(function* () {
      const inner = yield* worldInMemory
      const { requests, world } = recorded(inner)
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create({ persist: { inline_chunk_threshold_bytes: 9 } })
          requests.length = 0
          yield* repository.config.update((config) => config)
          assert.isEmpty(requests.filter(({ operation }) => operation === "put"))
        })
      )
    })
  )
})

describe("the type of an update", () => {
  it.effect("has no fields that there are not", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          // @ts-expect-error -- a field that does not exist
          yield* Effect.flip(Repository.create({ persist: { inlineChunkThresholdBytes: 1 } }))
          const repository = yield* Repository.create()
          const error = yield* Effect.flip(
            // @ts-expect-error -- a field that does not exist
            repository.config.update((config) => ({ ...config, virtualChunkContainers: [] }))
          )
          assert.strictEqual(error._tag, "InvalidConfig")
          assert.include(error.message, "Did you mean `virtual_chunk_containers`?")
          // @ts-expect-error -- a field that does not exist
          const set = Config.setContainer({ name: "x", protocol: "x", platform: "s3", bucketPrefix: "b" })
          const mistyped = yield* Effect.flip(repository.config.update(set))
          assert.include(mistyped.message, "`virtual_chunk_containers[0].bucketPrefix`")
          assert.include(mistyped.message, "Did you mean `bucket_prefix`?")
        })
      )
    })
  )
})
