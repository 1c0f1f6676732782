import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import type * as VirtualChunkContainer from "@effect-icechunk/core/VirtualChunkContainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import * as VirtualRefs from "../../src/repository/VirtualRefs.ts"
import type { Checksum } from "../../src/values/Checksum.ts"
import * as Checksums from "../../src/values/Checksum.ts"
import * as ChunkResolver from "../../src/virtual/ChunkResolver.ts"
import * as ContainerMatch from "../../src/virtual/ContainerMatch.ts"
import * as ContainerStores from "../../src/virtual/ContainerStores.ts"
import { ObjectReads } from "../../src/virtual/ObjectReads.ts"
import { RequestGate } from "../../src/store/RequestGate.ts"
import { platform } from "./Fixture.ts"

const containers: ReadonlyArray<VirtualChunkContainer.VirtualChunkContainer> = [
  { name: "model", protocol: "model", platform: "s3", bucket_prefix: "bucket/runs" },
  // For a single object, in a directory that other containers have too.
  { name: "one", protocol: "s3", platform: "tigris", bucket_prefix: "bucket/runs/a.nc" },
  { name: "one-file", protocol: "other", platform: "fs", bucket_prefix: "/data/a.nc" },
  { name: "top", protocol: "file", platform: "fs", bucket_prefix: "/a.nc" },
  { name: "spaced", protocol: "file", platform: "fs", bucket_prefix: "/da ta/a.nc" },
  { name: "disk", protocol: "disk", platform: "fs", bucket_prefix: "/data" },
  { name: "whole", protocol: "whole", platform: "s3" }
]

const resolver = (without: ReadonlyArray<string>): Effect.Effect<ChunkResolver.ChunkResolver, never, Scope.Scope> =>
  Effect.gen(function* () {
    const objects = yield* MemoryObjectStore.make()
    // A server that has the bucket in the path resolves `..` in it.
    const inPath = { ...platform("s3", objects), isBucketInPath: () => true }
    const stores = yield* ContainerStores.make({
      platforms: new Map([["s3", inPath]]),
      policy: { repository: { platform: "s3" } } as never
    })
    return ChunkResolver.make({
      containers: ContainerMatch.make({ persisted: containers, without }),
      stores,
      reads: new ObjectReads(stores.scope, new RequestGate({ requests: 256, bytes: 64 * 1024 * 1024 }), undefined)
    })
  })

const directories = [
  "s3://bucket/",
  "s3://bucket/runs/",
  "s3://bucket/../",
  "s3://",
  "S3://bucket/runs/",
  "gs://b/c/",
  "gcs://b/c/",
  "model://bucket/runs/",
  "model://bucket/",
  "model://other/runs/",
  "other:///data/",
  "nobody://x/y/",
  "whole://",
  "whole://b/",
  "file:///",
  "file:///data/",
  "file:///data/é/",
  "file:///da%20ta/",
  "file:///a/../data/",
  "fs:///data/",
  "file://C:/d/",
  "disk:///data/",
  "disk:///",
  "vcc://model/",
  "vcc://model/x/",
  "vcc://whole/",
  "vcc://whole/b/",
  "vcc://disk/",
  "vcc://none/",
  "",
  "/data/",
  `s3://bucket/${"d".repeat(990)}/`,
  `s3://bucket/${"é".repeat(490)}/`
]

const names = [
  "a.nc",
  "b.nc",
  "c",
  ".",
  "..",
  ".hidden",
  "a b",
  "a%20b",
  "%2e%2e",
  "é",
  "𝄞",
  "\ud800",
  "",
  "a/b",
  "a//b",
  "../a",
  "a?b#c",
  "2020-01-01T00:00:00.nc",
  "~x+y@z,(1)!$&'*;=-_",
  "n".repeat(40),
  "\0",
  "\\"
]

const location = fc
  .tuple(fc.constantFrom(...directories), fc.constantFrom(...names))
  .map(([directory, name]) => directory + name)

/** Many of one directory beside each other, as in practice. */
const locations = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom(...directories), fc.array(fc.constantFrom(...names), { maxLength: 4 }))
        .map(([directory, names]) => ["a.nc", "b.nc", ...names].map((name) => directory + name)),
      location.map((one) => [one])
    ),
    { minLength: 1, maxLength: 5 }
  )
  .map((lists) => lists.flat())

const checksum: fc.Arbitrary<Checksum | undefined> = fc.constantFrom(
  undefined,
  undefined,
  Checksums.etag("x"),
  Checksums.lastModified(5000),
  Checksums.lastModified(-1)
)

describe("VirtualRefs.prepareAll", () => {
  it.effect("stores many locations as it does one by one, and fails where one does", () =>
    Effect.gen(function* () {
      const resolvers = [yield* resolver([]), yield* resolver(["s3", "file", "model"])]
      let accepted = 0
      let refused = 0
      const check = (
        which: number,
        values: ReadonlyArray<string>,
        checksums: ReadonlyArray<Checksum | undefined>,
        options: { readonly validateContainers: boolean; readonly capture: false }
      ) =>
        Effect.gen(function* () {
          const resolver = resolvers[which]!
          const each = yield* Effect.result(
            Effect.forEach(values, (one, i) => VirtualRefs.prepare(resolver, "/a", one, checksums[i], options))
          )
          const rows = values.length
          const all = yield* Effect.result(
            VirtualRefs.prepareAll(
              resolver,
              "/a",
              {
                indices: Uint32Array.from(values, (_, i) => i),
                offsets: new Float64Array(rows),
                lengths: new Float64Array(rows).fill(1),
                locations: { values, ids: Uint32Array.from(values, (_, i) => i) },
                checksums
              },
              [rows],
              options
            )
          )
          if (Result.isFailure(each)) {
            refused++
            assert.deepStrictEqual<unknown>(all, each)
            return
          }
          accepted++
          const { checksums: stored, locations } = Result.getOrThrow(all)
          assert.deepStrictEqual(
            { locations: (locations as { readonly values: ReadonlyArray<string> }).values, checksums: stored },
            {
              locations: each.success.map(({ location }) => location),
              checksums: each.success.map((one) => one.checksum)
            }
          )
        })
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.constantFrom(0, 1),
            locations.chain((values) =>
              fc.tuple(fc.constant(values), fc.array(checksum, { minLength: values.length, maxLength: values.length }))
            ),
            fc.boolean(),
            fc.boolean(),
            (which, [values, checksums], validateContainers, areGood) => {
              const good = checksums.map((one) =>
                areGood && one !== undefined && Checksums.problem(one) ? undefined : one
              )
              // Without what is refused one by one most lists are taken.
              return Effect.runPromise(
                Effect.gen(function* () {
                  const options = { validateContainers, capture: false } as const
                  yield* check(which, values, good, options)
                  const results = yield* Effect.forEach(values, (one) =>
                    Effect.result(VirtualRefs.prepare(resolvers[which]!, "/a", one, undefined, options))
                  )
                  const left = values.filter((_, i) => Result.isSuccess(results[i]!))
                  if (areGood && left.length > 0) yield* check(which, left, good.slice(0, left.length), options)
                })
              )
            }
          ),
          { numRuns: 2000 }
        )
      )
      assert.isAbove(accepted, 500)
      assert.isAbove(refused, 500)
    })
  )

  it.effect("does not look at objects one by one that are beside each other", () =>
    Effect.gen(function* () {
      const real = yield* resolver([])
      let looks = 0
      const counting: ChunkResolver.ChunkResolver = {
        ...real,
        resolve: (location) => {
          looks++
          return real.resolve(location)
        }
      }
      const values = Array.from({ length: 100_000 }, (_, i) => `s3://bucket/year ${i >> 14}/${i}.nc`)
      const rows = values.length
      const prepared = yield* VirtualRefs.prepareAll(
        counting,
        "/a",
        {
          indices: Uint32Array.from(values, (_, i) => i),
          offsets: new Float64Array(rows),
          lengths: new Float64Array(rows).fill(1),
          locations: { values, ids: Uint32Array.from(values, (_, i) => i) }
        },
        [rows],
        {}
      )
      assert.deepStrictEqual(prepared.locations, { values, ids: Uint32Array.from(values, (_, i) => i) })
      assert.strictEqual(looks, 7)
    })
  )
})
