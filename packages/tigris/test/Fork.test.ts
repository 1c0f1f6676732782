/** Commits of a fork that come home, and those of its source that come into it. */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type { Session } from "@effect-icechunk/core/Session"
import type { WritableSession } from "@effect-icechunk/core/WritableSession"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as BucketError from "../src/BucketError.ts"
import * as Environments from "../src/Environments.ts"
import * as Fork from "../src/Fork.ts"
import * as ForkRebinding from "../src/ForkRebinding.ts"
import * as TigrisBuckets from "../src/TigrisBuckets.ts"
import * as TigrisPlatform from "../src/TigrisPlatform.ts"
import { bytes, fast, open, text } from "./support/TestTigris.ts"

const prefix = "repository"

const large = (seed: number): Uint8Array => Uint8Array.from({ length: 2000 }, (_, i) => (i * 31 + seed) % 251)

type Work = (session: WritableSession) => Effect.Effect<unknown, unknown>

/** A bucket `home` with a repository of three commits, and its fork `alice`. */
const world = Effect.gen(function* () {
  const { buckets, simulator } = yield* open({ buckets: { home: { snapshots: true } } })
  const services = Layer.mergeAll(
    Layer.succeed(TigrisBuckets.TigrisBuckets, buckets),
    Platform.layer([TigrisPlatform.makeWith({ retry: fast })]),
    NodeZstd.layer
  )
  const inBucket =
    (bucket: string) =>
    <A, E>(
      use: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>,
      start: () => ReturnType<typeof Repository.create> = Repository.open
    ) =>
      Effect.scoped(
        Effect.gen(function* () {
          const store = yield* buckets.store(bucket, { prefix })
          const repository = yield* Effect.provide(start(), Layer.succeed(ObjectStore.ObjectStore, store))
          return yield* use(repository)
        })
      ).pipe(Effect.provide(services))
  const commit = (bucket: string, message: string, work: Work, metadata = {}) =>
    inBucket(bucket)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* work(session)
        return yield* session.commit(message, { metadata })
      })
    )
  const at = { cloud_client_config: { endpoint_url: simulator.endpoint } }
  const container: Container.VirtualChunkContainer = {
    name: "model",
    protocol: "model",
    platform: "tigris",
    bucket_prefix: "home/data",
    ...at
  }
  yield* inBucket("home")(
    (repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        for (const path of ["/a", "/b", "/v"]) {
          yield* session.createArray(path, { shape: [16], chunkShape: [1], dataType: "uint8", fillValue: 0 })
        }
        yield* session.setChunk("/a", [0], large(0))
        yield* session.commit("begin")
      }),
    () => Repository.create({ persist: { virtual_chunk_containers: [container] } })
  )
  yield* buckets.fork("home", "alice")
  const chunksOf = (session: Session, path: string) =>
    Effect.gen(function* () {
      const found: Record<number, string> = {}
      for (let i = 0; i < 16; i++) {
        const chunk = yield* session.chunk(path, [i])
        if (chunk !== undefined) found[i] = Buffer.from(chunk).toString("latin1")
      }
      return found
    })
  const state = (bucket: string) =>
    inBucket(bucket)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.readonlySession({ branch: "main" })
        return {
          a: yield* chunksOf(session, "/a"),
          b: yield* chunksOf(session, "/b"),
          v: yield* chunksOf(session, "/v")
        }
      })
    )
  const history = (bucket: string) =>
    inBucket(bucket)((repository) =>
      Effect.map(repository.history({ branch: "main" }), (all) =>
        all.map(({ id, message, metadata }) => ({ id, message, by: metadata["by"] })).toReversed()
      )
    )
  const merge = (options: Fork.Options = {}) =>
    Fork.merge("alice", { prefix, ...options }).pipe(Effect.provide(services))
  const refresh = (options: Fork.Options = {}) =>
    Fork.refresh("alice", { prefix, ...options }).pipe(Effect.provide(services))
  const keys = (bucket: string): ReadonlyArray<string> => [...simulator.buckets.get(bucket)!.latest.keys()].toSorted()
  return { buckets, simulator, services, inBucket, commit, state, history, merge, refresh, keys, container }
})

const chunk =
  (path: string, index: number, value: Uint8Array): Work =>
  (session) =>
    session.setChunk(path, [index], value)

describe("a fork", () => {
  it.live("comes home as it is where its source has not moved, its objects copied by Tigris", () =>
    Effect.gen(function* () {
      const { commit, history, merge, simulator, state } = yield* world
      const first = yield* commit("alice", "one", chunk("/a", 1, large(1)), { by: "alice" })
      const second = yield* commit("alice", "two", chunk("/b", 2, large(2)))
      const before = simulator.requests.length
      const merged = yield* merge()
      expect(merged).toMatchObject({ into: "home", isFastForward: true, tip: second, chunks: { count: 2 } })
      expect(merged.commits).toEqual([first, second].map((id) => ({ from: id, to: id })))
      expect(yield* state("home")).toEqual(yield* state("alice"))
      expect(yield* history("home")).toEqual(yield* history("alice"))
      const made = simulator.requests
        .slice(before)
        .filter(({ bucket, key }) => bucket === "home" && key.includes("/chunks/"))
      expect(made.filter(({ operation }) => operation === "CopyObject")).toHaveLength(2)
      expect(made.filter(({ operation }) => operation === "PutObject")).toHaveLength(0)
    })
  )

  it.live("comes home on top of what was committed there, a commit for a commit, and again without effect", () =>
    Effect.gen(function* () {
      const { commit, history, keys, merge, refresh, state } = yield* world
      yield* commit("alice", "one", chunk("/a", 1, large(1)), { by: "alice" })
      yield* commit("alice", "two", chunk("/b", 2, large(2)))
      yield* commit("home", "theirs", chunk("/b", 3, large(3)))
      const merged = yield* merge()
      expect(merged.isFastForward).toBe(false)
      expect(merged.chunks.count).toBe(2)
      expect((yield* history("home")).map(({ by, message }) => [message, by]).slice(1)).toEqual([
        ["begin", undefined],
        ["theirs", undefined],
        ["one", "alice"],
        ["two", undefined]
      ])
      const { a, b } = yield* state("home")
      expect([Object.keys(a), Object.keys(b)]).toEqual([
        ["0", "1"],
        ["2", "3"]
      ])
      expect(keys("home").filter((key) => key.includes("/chunks/"))).toHaveLength(4)
      expect((yield* merge()).commits).toEqual([])
      // And the other way.
      const refreshed = yield* refresh()
      expect(refreshed.into).toBe("alice")
      expect(refreshed.commits).toHaveLength(1)
      expect(yield* state("alice")).toEqual(yield* state("home"))
      expect([(yield* refresh()).commits, (yield* merge()).commits]).toEqual([[], []])
    })
  )

  it.live("is refused with the conflicts of rebase, and comes home as a policy says", () =>
    Effect.gen(function* () {
      const { commit, history, merge, state } = yield* world
      yield* commit("alice", "mine", chunk("/a", 1, large(1)))
      yield* commit("home", "theirs", chunk("/a", 1, large(2)))
      const before = yield* history("home")
      const error = yield* Effect.flip(merge())
      expect(error).toMatchObject({ _tag: "RebaseConflict", conflicts: [{ _tag: "ChunkDoubleUpdate", path: "/a" }] })
      expect(yield* history("home")).toEqual(before)
      yield* merge({ rebase: { ChunkDoubleUpdate: "ours" } })
      expect((yield* state("home")).a[1]).toBe(Buffer.from(large(1)).toString("latin1"))
    })
  )

  it.live(
    "comes home whole, or not yet, whichever request a program stops at",
    () =>
      Effect.gen(function* () {
        let points = 0
        for (const moves of [false, true]) {
          const { commit, inBucket, keys, merge, simulator } = yield* world
          const look = inBucket("home")((repository) =>
            Effect.gen(function* () {
              const session = yield* repository.readonlySession({ branch: "main" })
              const chunks = yield* Effect.forEach([0, 1, 2, 3], (i) => session.chunk("/a", [i]))
              const history = yield* repository.history({ branch: "main" })
              return {
                chunks,
                messages: history
                  .map(({ message }) => message)
                  .toReversed()
                  .slice(1)
              }
            })
          )
          yield* commit("alice", "one", chunk("/a", 1, large(1)))
          yield* commit("alice", "two", chunk("/a", 2, large(2)))
          if (moves) yield* commit("home", "theirs", chunk("/b", 3, large(3)))
          const before = yield* look
          const after = {
            chunks: [large(0), large(1), large(2), undefined],
            messages: [...before.messages, "one", "two"]
          }
          const objects = [...simulator.buckets.get("home")!.latest]
          for (let at = 1; ; at++) {
            // The bucket as it was.
            const replica = simulator.createBucket("home", { snapshots: true }).replicas.get("iad")!
            for (const [key, object] of objects) replica.set(key, object)
            const start = simulator.requests.length
            const fiber = yield* Effect.forkChild(Effect.exit(merge()))
            const isRunning = (): boolean => fiber.pollUnsafe() === undefined
            while (isRunning() && simulator.requests.length < start + at)
              yield* Effect.promise(() => new Promise(setImmediate))
            const reached = isRunning()
            yield* Fiber.interrupt(fiber)
            const now = yield* look
            if (now.messages.length > before.messages.length) expect(now).toEqual(after)
            else expect(now).toEqual(before)
            yield* merge()
            expect(yield* look).toEqual(after)
            expect(keys("home").filter((key) => key.includes("/chunks/"))).toHaveLength(moves ? 4 : 3)
            if (!reached) break
            points++
          }
        }
        expect(points).toBeGreaterThan(20)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("brings the virtual objects along that only it has", () =>
    Effect.gen(function* () {
      const { buckets, commit, inBucket, keys, merge, state } = yield* world
      yield* inBucket("alice")((repository) =>
        Effect.scoped(
          Effect.flatMap(buckets.store("alice", { prefix }), (store) =>
            Effect.provideService(
              ForkRebinding.rebind(repository, { source: "home", fork: "alice" }),
              ObjectStore.ObjectStore,
              store
            )
          )
        )
      )
      const alice = yield* buckets.store("alice")
      yield* alice.put("data/new", bytes("new!"))
      const { version } = yield* alice.head("data/new")
      const ref = { location: "model://alice/data/new", offset: 0, length: 4 }
      yield* commit("alice", "virtual", (session) =>
        session.setVirtualRef("/v", [0], { ...ref, checksum: { _tag: "ETag", etag: version.etag! } as never })
      )
      const merged = yield* merge()
      expect(merged.virtualObjects).toBe(1)
      expect(keys("home")).toContain("data/new")
      expect((yield* state("home")).v).toEqual({ 0: "new!" })

      // Another object of the same key: what would be read is not what was committed.
      yield* alice.put("data/same", bytes("mine"))
      yield* (yield* buckets.store("home")).put("data/same", bytes("they"))
      yield* commit("alice", "same", (session) =>
        session.setVirtualRef("/v", [1], { ...ref, location: "model://alice/data/same" })
      )
      const error = yield* Effect.flip(merge())
      expect(error).toMatchObject({ _tag: "VirtualObjectConflict", from: "alice/data/same", to: "home/data/same" })
      expect(Object.keys((yield* state("home")).v)).toEqual(["0"])
    })
  )

  it.live("is an environment, which is merged and refreshed by its name", () =>
    Effect.gen(function* () {
      const { buckets } = yield* open({ buckets: {} })
      const services = Layer.mergeAll(NodeServices.layer, Platform.layerNone, NodeZstd.layer)
      yield* Effect.gen(function* () {
        const environments = yield* Effect.provideService(
          Environments.make({ project: "shop" }),
          TigrisBuckets.TigrisBuckets,
          buckets
        )
        const commit = (name: string, path: string) =>
          Effect.gen(function* () {
            const store = yield* environments.store(name, { prefix })
            const repository = yield* Effect.provideService(Repository.openOrCreate(), ObjectStore.ObjectStore, store)
            yield* repository.transact("main", path, (session) => session.createGroup(path))
          })
        yield* environments.create("production")
        yield* commit("production", "/begin")
        yield* environments.create("alice", { from: { environment: "production" } })
        yield* commit("alice", "/mine")
        yield* commit("production", "/theirs")
        expect(yield* environments.refresh("alice", { prefix })).toMatchObject({ into: "shop-bucket-alice" })
        const merged = yield* environments.merge("alice", { prefix })
        expect(merged).toMatchObject({ into: "shop-bucket-production", commits: [{}] })
        const store = yield* environments.store("production", { prefix })
        const repository = yield* Effect.provideService(Repository.open(), ObjectStore.ObjectStore, store)
        const nodes = yield* (yield* repository.readonlySession({ branch: "main" })).nodes()
        expect(nodes.map(({ path }) => path)).toEqual(["/begin", "/mine", "/theirs"])
        const error = yield* Effect.flip(environments.merge("production", { prefix }))
        expect(error._tag).toBe("NotAFork")
      }).pipe(Effect.provide(services))
    })
  )

  it.live("is a bucket that was forked", () =>
    Effect.gen(function* () {
      const { services } = yield* world
      const error = yield* Effect.flip(Fork.merge("home", { prefix }).pipe(Effect.provide(services)))
      expect(error).toMatchObject({ _tag: "NotAFork", bucket: "home" })
    })
  )
})

describe("Tigris's own merge", () => {
  it.live("is refused where there is a repository, and nothing is asked of Tigris", () =>
    Effect.gen(function* () {
      const { buckets, commit, simulator, state } = yield* world
      yield* commit("alice", "mine", chunk("/a", 1, large(1)))
      yield* commit("home", "theirs", chunk("/b", 1, large(2)))
      const before = [yield* state("home"), yield* state("alice")]
      for (const attempt of [buckets.mergeFork("alice"), buckets.rebaseFork("alice")]) {
        const from = simulator.requests.length
        const error = yield* Effect.flip(attempt)
        expect(BucketError.hasReason("HoldsRepository")(error)).toBe(true)
        expect(error.message).toContain("Fork.merge")
        expect(simulator.requests.slice(from).map(({ operation }) => operation)).not.toContain("CreateBucket")
      }
      expect([yield* state("home"), yield* state("alice")]).toEqual(before)
    })
  )

  it.live("is made of other buckets", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: { plain: { snapshots: true } } })
      yield* (yield* buckets.store("plain")).put("repository.txt", bytes("no repo"))
      yield* buckets.fork("plain", "copy")
      yield* (yield* buckets.store("copy")).put("new", bytes("new"))
      expect(yield* buckets.mergeFork("copy")).toMatch(/^\d+$/)
      expect([...simulator.buckets.get("plain")!.latest.keys()]).toContain("new")
      yield* (yield* buckets.store("plain")).put("later", bytes("later"))
      yield* buckets.rebaseFork("copy")
      expect([...simulator.buckets.get("copy")!.latest.keys()]).toContain("later")
      const error = yield* Effect.flip(buckets.mergeFork("plain"))
      expect(error.message).toContain("not a fork")
    })
  )
})

describe("where the data is", () => {
  it.live("says that unsafe reads are safe: of one region, and of one area", () =>
    Effect.gen(function* () {
      const { buckets, simulator } = yield* open({ buckets: {}, delay: () => 1000 })
      for (const [name, locations, reads] of [
        ["single", { type: "single", region: "fra" }, "strong"],
        ["multi", { type: "multi", area: "eur" }, "strong"],
        ["dual", { type: "dual", regions: ["fra", "iad"] }, "eventual"],
        ["everywhere", { type: "global" }, "eventual"]
      ] as const) {
        yield* buckets.create(name, { locations })
        const unsafe = { unsafeUseDistributedReads: true, region: undefined }
        const far = yield* TigrisBuckets.make({
          endpoint: simulator.endpoints["sin"]!,
          credentials: (yield* buckets.store(name)).origin.credentials!,
          retry: fast,
          ...unsafe
        })
        const said = yield* far.consistency(name)
        expect([name, said.reads]).toEqual([name, reads])
        expect(said.because).not.toBe("")
        const store = yield* far.store(name, { locations })
        expect(store.readOnlyBecause === undefined).toBe(reads === "strong")
        const near = yield* buckets.store(name)
        for (const value of ["one", "two"]) {
          yield* near.put("key", bytes(value))
          const found = yield* Effect.option(Effect.map(store.get("key"), ({ bytes }) => text(bytes)))
          if (reads === "strong") expect(found).toMatchObject({ _tag: "Some", value })
        }
      }
    })
  )
})
