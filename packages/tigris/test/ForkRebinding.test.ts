/** A repository and its data in one bucket, forked. */
import type * as Zstd from "@effect-icechunk/core/Zstd"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Repository from "@effect-icechunk/core/Repository"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Platform from "@effect-icechunk/core/Platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ForkRebinding from "../src/ForkRebinding.ts"
import * as TigrisPlatform from "../src/TigrisPlatform.ts"
import { bytes, fast, open, text } from "./support/TestTigris.ts"

const container = (
  name: string,
  more: Partial<Container.VirtualChunkContainer> = {}
): Container.VirtualChunkContainer => ({ name, protocol: name, platform: "tigris", ...more })

const fork = { source: "source", fork: "alice" }

describe("the plan", () => {
  it.each<readonly [string, Container.VirtualChunkContainer, Partial<Container.VirtualChunkContainer>]>([
    ["a prefix", container("m", { bucket_prefix: "source/a/b" }), { bucket_prefix: "alice/a/b" }],
    ["a whole bucket", container("m", { bucket_prefix: "source", region: "fra" }), { bucket_prefix: "alice" }],
    [
      "whole locations",
      container("t", { protocol: "tigris", bucket_prefix: "source/a", cloud_client_config: { anonymous: false } }),
      { bucket_prefix: "source/a", cloud_client_config: { anonymous: false, fork_bucket: "alice" } }
    ],
    [
      "whole locations that are read from the source of a fork of a fork",
      container("t", { protocol: "tigris", bucket_prefix: "first", cloud_client_config: { fork_bucket: "source" } }),
      { bucket_prefix: "first", cloud_client_config: { fork_bucket: "alice" } }
    ],
    [
      "whole locations that come home",
      container("t", { protocol: "tigris", bucket_prefix: "alice", cloud_client_config: { fork_bucket: "source" } }),
      { bucket_prefix: "alice", cloud_client_config: {} }
    ],
    [
      "the endpoint of Tigris by name",
      container("m", {
        bucket_prefix: "source",
        cloud_client_config: { endpoint_url: "https://t3.storage.dev/" }
      }),
      { bucket_prefix: "alice" }
    ]
  ])("points at the fork: %s", (_, before, after) => {
    expect(ForkRebinding.plan([before], fork)).toEqual({
      ...fork,
      unchanged: [],
      edits: [{ name: before.name, before, after: { ...before, ...after } }]
    })
  })

  it.each<readonly [string, Container.VirtualChunkContainer, string]>([
    ["another bucket", container("m", { bucket_prefix: "source-2/a" }), "points at `source-2`"],
    ["the fork", container("m", { bucket_prefix: "alice" }), "points at `alice`"],
    ["any bucket", container("m"), "no bucket of its own"],
    ["another platform", container("m", { platform: "s3", bucket_prefix: "source" }), "on `s3`"],
    [
      "another endpoint",
      container("m", { bucket_prefix: "source", cloud_client_config: { endpoint_url: "http://localhost:9000" } }),
      "another endpoint"
    ]
  ])("leaves alone what points at %s", (_, before, because) => {
    const { edits, unchanged } = ForkRebinding.plan([before], fork)
    expect(edits).toEqual([])
    expect(unchanged).toEqual([{ name: "m", because: expect.stringContaining(because) as string }])
  })
})

/** A bucket `source` with objects, and a repository whose chunks refer to them in both ways. */
const world = Effect.gen(function* () {
  const { buckets, simulator } = yield* open({ buckets: { source: { snapshots: true } } })
  const inBucket =
    (bucket: string) =>
    <A, E>(effect: Effect.Effect<A, E, ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope>) =>
      Effect.scoped(
        Effect.flatMap(buckets.store(bucket, { prefix: "repository" }), (store) =>
          Effect.provide(
            effect,
            Layer.mergeAll(
              Layer.succeed(ObjectStore.ObjectStore, store),
              Platform.layer([TigrisPlatform.makeWith({ retry: fast })]),
              NodeZstd.layer
            )
          )
        )
      )
  const at = { cloud_client_config: { endpoint_url: simulator.endpoint } }
  const production = yield* buckets.store("source")
  yield* production.put("data/a", bytes("aaaa"))
  yield* production.put("data/b", bytes("bbbb"))
  yield* inBucket("source")(
    Effect.gen(function* () {
      const repository = yield* Repository.create({
        persist: {
          virtual_chunk_containers: [
            container("model", { bucket_prefix: "source/data", ...at }),
            container("whole", { protocol: "tigris", bucket_prefix: "source", ...at }),
            container("elsewhere", { bucket_prefix: "source/data" })
          ]
        }
      })
      const session = yield* repository.writableSession("main")
      yield* session.createGroup("/")
      yield* session.createArray("/v", { shape: [8], chunkShape: [4], dataType: "uint8", fillValue: 0 })
      yield* session.setVirtualRef("/v", [0], { location: "model://source/data/a", offset: 0, length: 4 })
      yield* session.setVirtualRef("/v", [1], { location: "tigris://source/data/b", offset: 0, length: 4 })
      yield* session.commit("refs of both kinds")
    })
  )
  /** Both chunks, by a program that opens the repository anew. */
  const chunks = (bucket: string) =>
    inBucket(bucket)(
      Effect.gen(function* () {
        const repository = yield* Repository.open()
        const session = yield* repository.readonlySession({ branch: "main" })
        const read = yield* Effect.forEach([[0], [1]], (index) => session.chunk("/v", index))
        return read.map((bytes) => text(bytes ?? new Uint8Array()))
      })
    )
  return { buckets, simulator, inBucket, chunks, production }
})

describe("rebinding", () => {
  it.live("makes a forked repository read the fork's data, in one call", () =>
    Effect.gen(function* () {
      const { buckets, chunks, inBucket, production, simulator } = yield* world
      yield* buckets.fork("source", "alice")
      const alice = yield* buckets.store("alice")
      yield* alice.put("data/a", bytes("AAAA"))
      yield* alice.put("data/b", bytes("BBBB"))
      // Before, the fork's repository reads the source.
      expect(yield* chunks("alice")).toEqual(["aaaa", "bbbb"])

      const dry = yield* inBucket("alice")(
        Effect.flatMap(Repository.open(), (repository) => {
          const before = simulator.requests.length
          return Effect.map(ForkRebinding.rebind(repository, { ...fork, dryRun: true }), (plan) => {
            const made = simulator.requests.slice(before).map(({ operation }) => operation)
            expect(new Set(made)).toEqual(new Set(["GetObject"]))
            return plan
          })
        })
      )
      expect(dry.edits.map(({ name }) => name)).toEqual(["model", "whole"])
      expect(dry.unchanged).toEqual([{ name: "elsewhere", because: "it is at another endpoint" }])
      expect(yield* chunks("alice")).toEqual(["aaaa", "bbbb"])

      const rebind = inBucket("alice")(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          return yield* ForkRebinding.rebind(repository, fork)
        })
      )
      expect(yield* rebind).toEqual(dry)
      expect(yield* chunks("alice")).toEqual(["AAAA", "BBBB"])
      const persisted = yield* inBucket("alice")(Effect.flatMap(Repository.open(), ({ config }) => config.persisted))
      expect(persisted.virtual_chunk_containers).toMatchObject([
        { name: "model", bucket_prefix: "alice/data" },
        { name: "whole", bucket_prefix: "source", cloud_client_config: { fork_bucket: "alice" } },
        { name: "elsewhere", bucket_prefix: "source/data" }
      ])

      // The source is as it was, and what happens there no longer matters.
      expect(yield* chunks("source")).toEqual(["aaaa", "bbbb"])
      yield* production.delete(["data/a", "data/b"])
      expect(yield* chunks("alice")).toEqual(["AAAA", "BBBB"])

      // Again: nothing to do, nothing is written.
      const before = simulator.requests.length
      expect((yield* rebind).edits).toEqual([])
      expect(simulator.requests.slice(before).some(({ operation }) => operation === "PutObject")).toBe(false)
    })
  )

  it.live("goes on from a fork to a fork of it", () =>
    Effect.gen(function* () {
      const { buckets, chunks, inBucket } = yield* world
      const rebind = (options: ForkRebinding.Fork) =>
        inBucket(options.fork)(
          Effect.flatMap(Repository.open(), (repository) => ForkRebinding.rebind(repository, options))
        )
      yield* buckets.fork("source", "alice")
      yield* rebind({ source: "source", fork: "alice" })
      yield* buckets.fork("alice", "bob")
      yield* rebind({ source: "alice", fork: "bob" })
      const bob = yield* buckets.store("bob")
      yield* bob.put("data/a", bytes("1111"))
      yield* bob.put("data/b", bytes("2222"))
      expect(yield* chunks("bob")).toEqual(["1111", "2222"])
      expect(yield* chunks("alice")).toEqual(["aaaa", "bbbb"])
    })
  )

  it.live("is forbidden through a store that is read-only, and possible as a dry run", () =>
    Effect.gen(function* () {
      const { buckets } = yield* world
      yield* buckets.fork("source", "alice")
      const { version } = yield* buckets.createSnapshot("alice")
      const store = yield* buckets.snapshotStore("alice", version, { prefix: "repository" })
      const services = Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, NodeZstd.layer)
      const attempt = (dryRun: boolean) =>
        Effect.provide(
          Effect.flatMap(Repository.open(), (repository) => ForkRebinding.rebind(repository, { ...fork, dryRun })),
          services
        )
      expect((yield* Effect.flip(attempt(false)))._tag).toBe("WriteForbidden")
      expect((yield* attempt(true)).edits).toHaveLength(2)
    })
  )
})
