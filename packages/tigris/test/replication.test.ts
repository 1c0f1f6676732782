/** A repository that is created, written and read from several regions, while replication takes its time. */
import type * as Zstd from "@effect-icechunk/core/Zstd"
import * as Repository from "@effect-icechunk/core/Repository"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as S3ObjectStore from "@effect-icechunk/s3/S3ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TigrisHeaders from "../src/TigrisHeaders.ts"
import * as TigrisObjectStore from "../src/TigrisObjectStore.ts"
import { connectionTo, storeIn } from "./support/TestTigris.ts"
import * as TigrisSimulator from "./support/TigrisSimulator.ts"

const regions = ["iad", "fra", "sin", "syd"]
/** Bytes of a chunk, too many to be part of a manifest. */
const size = 1000

type OpenStore = (
  simulator: TigrisSimulator.TigrisSimulator,
  region: string,
  prefix: string
) => Effect.Effect<ObjectStore.ObjectStoreShape, unknown, Scope.Scope>

/**
 * One program after the other, each in another region: opens the repository and does one thing. In a round a repository
 * is created, written three times, configured once, and read five times.
 */
const schedule = Effect.fnUntraced(function* (
  simulator: TigrisSimulator.TigrisSimulator,
  openStore: OpenStore,
  rounds: number
) {
  const failures: Array<string> = []
  let operations = 0

  const program = (
    round: number,
    what: string,
    body: Effect.Effect<unknown, unknown, ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd | Scope.Scope>
  ): Effect.Effect<void> => {
    const region = regions[(operations * 7 + round) % regions.length]!
    operations += 1
    return Effect.scoped(
      Effect.flatMap(openStore(simulator, region, `repository-${round}`), (store) =>
        Effect.provide(
          body,
          Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, NodeZstd.layer)
        )
      )
    ).pipe(
      Effect.exit,
      Effect.map((exit) => {
        if (Exit.isFailure(exit)) failures.push(`${what} from ${region}: ${String(exit.cause)}`)
      })
    )
  }

  const write = (value: number) =>
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      const session = yield* repository.writableSession("main")
      yield* session.setChunk("/a", [0], new Uint8Array(size).fill(value))
      yield* session.commit(`value ${value}`)
    })
  const read = (value: number) =>
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      const session = yield* repository.readonlySession({ branch: "main" })
      const chunk = yield* session.chunk("/a", [0])
      expect(chunk).toEqual(new Uint8Array(size).fill(value))
    })
  const containers = (count: number) =>
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      const { virtual_chunk_containers: all } = yield* repository.config.persisted
      expect(all ?? []).toHaveLength(count)
    })

  for (let round = 0; round < rounds; round++) {
    yield* program(
      round,
      "create",
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/")
        yield* session.createArray("/a", { shape: [size], chunkShape: [size], dataType: "uint8", fillValue: 0 })
        yield* session.commit("an array")
      })
    )
    for (let value = 1; value <= 3; value++) {
      yield* program(round, "write", write(value))
      yield* program(round, "read", read(value))
    }
    yield* program(
      round,
      "configure",
      Effect.flatMap(Repository.open(), (repository) =>
        repository.config.update((config) => ({
          ...config,
          virtual_chunk_containers: [{ name: "data", protocol: "tigris", platform: "tigris", bucket_prefix: "data" }]
        }))
      )
    )
    yield* program(round, "read the configuration", containers(1))
    yield* program(round, "read", read(3))
  }
  return { operations, failures }
})

/** A write arrives elsewhere after 0 to 39 requests; what was read is cached for 60, which are a few programs. */
const simulate = TigrisSimulator.start({ regions, delay: (write) => (write * 13) % 40, cacheFor: 60 })

const safely: OpenStore = (simulator, region, prefix) => storeIn(simulator, region, { prefix })

const plainly: OpenStore = (simulator, region, prefix) =>
  S3ObjectStore.make({
    ...connectionTo(simulator.endpoints[region]!),
    bucket: "bucket",
    prefix,
    region: "us-east-1",
    conditionalPut: true
  })

/** As in the safe mode, but for some headers. */
const without =
  (...names: ReadonlyArray<string>): OpenStore =>
  (simulator, region, prefix) => {
    const options = { ...connectionTo(simulator.endpoints[region]!), bucket: "bucket", region: "iad", prefix }
    const { readHeaders, writeHeaders, ...dialect } = TigrisObjectStore.dialect(options)
    const left = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
      Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
    return S3ObjectStore.makeWith(options, {
      ...dialect,
      readHeaders: left(readHeaders),
      writeHeaders: left(writeHeaders)
    })
  }

const isRead = (operation: string): boolean => /^(?:Get|Head|List)/.test(operation)

describe("1,000 operations on repositories, each from another region than the one before", () => {
  it.live(
    "in the safe mode none fails, and each request carries its headers in its signature",
    () =>
      Effect.gen(function* () {
        const simulator = yield* simulate
        const { failures, operations } = yield* schedule(simulator, safely, 100)
        expect(operations).toBe(1000)
        expect(failures).toEqual([])
        expect(simulator.requests.filter(({ stale }) => stale)).toEqual([])
        const kinds = new Map<string, number>()
        for (const { from, headers, operation, servedBy, signed } of simulator.requests) {
          const required = ["x-tigris-regions", "x-tigris-consistent", ...(isRead(operation) ? ["cache-control"] : [])]
          expect({
            servedBy,
            regions: headers["x-tigris-regions"],
            consistent: headers["x-tigris-consistent"],
            cache: headers["cache-control"],
            unsigned: required.filter((name) => !signed.includes(name))
          }).toEqual({
            servedBy: "iad",
            regions: "iad",
            consistent: "true",
            cache: isRead(operation) ? "no-cache" : undefined,
            unsigned: []
          })
          for (const kind of [operation, from]) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
        }
        for (const kind of ["GetObject", "PutObject", "CopyObject", "ListObjectsV2", ...regions]) {
          expect([kind, kinds.get(kind) ?? 0]).toEqual([kind, expect.toSatisfy((count) => Number(count) >= 100)])
        }
      }),
    // Twenty seconds on an idle machine.
    180_000
  )

  it.live(
    "with the plain S3 protocol hundreds do, on the same schedule",
    () =>
      Effect.gen(function* () {
        const simulator = yield* simulate
        const { failures, operations } = yield* schedule(simulator, plainly, 100)
        expect(operations).toBe(1000)
        expect(failures.length).toBeGreaterThan(300)
        expect(simulator.requests.filter(({ stale }) => stale).length).toBeGreaterThan(300)
        expect(failures.filter((failure) => failure.includes("RepositoryNotFound")).length).toBeGreaterThan(10)
        expect(failures.filter((failure) => failure.includes("AssertionError")).length).toBeGreaterThan(10)
      }),
    // Twenty seconds on an idle machine.
    180_000
  )
})

describe("the headers are all needed: some operations fail", () => {
  it.live.each<readonly [string, ReadonlyArray<string>]>([
    ["the region and the wish for consistency", [TigrisHeaders.names.regions, TigrisHeaders.names.consistent]],
    ["the way past caches", [TigrisHeaders.names.cacheControl]]
  ])("without %s", ([, names]) =>
    Effect.gen(function* () {
      const simulator = yield* simulate
      const { failures } = yield* schedule(simulator, without(...names), 10)
      expect(failures.length).toBeGreaterThan(0)
    })
  )
})
