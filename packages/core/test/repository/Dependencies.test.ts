import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Dependencies from "../../src/repository/Dependencies.ts"
import type * as LocationQuery from "../../src/repository/LocationQuery.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as Errors from "../../src/store/ObjectStoreError.ts"
import * as Checksum from "../../src/values/Checksum.ts"
import * as Credentials from "../../src/values/Credentials.ts"
import { inWorld, pattern, worldInMemory } from "./Fixture.ts"

const containers = [
  { name: "model", protocol: "model", platform: "s3", bucket_prefix: "models/runs" },
  { name: "obs", protocol: "s3", platform: "s3", bucket_prefix: "observations" }
]
const credentials = { model: Credentials.anonymous, obs: Credentials.anonymous, s3: Credentials.anonymous }

/** Five objects: some checked, one that no container matches; heads are counted. */
const prepared = Effect.gen(function* () {
  const inner = yield* worldInMemory
  const heads: Array<string> = []
  const denied = new Set<string>()
  const objects: ObjectStore.ObjectStoreShape = {
    ...inner.objects,
    head: (key) => {
      heads.push(key)
      return denied.has(key)
        ? Effect.fail(
            new Errors.ObjectStoreError({
              store: "memory",
              operation: "head",
              key,
              reason: new Errors.PermissionDenied({})
            })
          )
        : inner.objects.head(key)
    }
  }
  for (const key of ["models/runs/a.nc", "models/runs/deep/b.nc", "observations/c.nc", "observations/d.nc"]) {
    yield* inner.objects.put(key, pattern(100))
  }
  const at = { ...inner, objects }
  yield* inWorld(at)(
    Effect.gen(function* () {
      const repository = yield* Repository.create({
        credentials,
        persist: { virtual_chunk_containers: containers }
      })
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/v", { shape: [100], chunkShape: [1], dataType: "uint8", fillValue: 0 })
      const set = (rows: ReadonlyArray<number>, location: string, options?: object) =>
        session.setVirtualRefs(
          "/v",
          {
            indices: Uint32Array.from(rows),
            offsets: rows,
            lengths: rows.map(() => 2),
            locations: location
          },
          options
        )
      yield* set([0, 1, 2], "model://models/runs/a.nc", { capture: true })
      yield* set([3, 4], "model://models/runs/deep/b.nc", { capture: true })
      yield* set([5], "s3://observations/c.nc", { capture: true })
      yield* session.commit("first")
      yield* session.deleteChunk("/v", [3])
      yield* session.deleteChunk("/v", [4])
      yield* set([6, 7], "s3://observations/d.nc")
      yield* set([8], "nowhere://x/y", { validateContainers: false })
      yield* session.commit("second")
    })
  )
  heads.length = 0
  return { at, heads, denied, inner }
})

const withSession = <A, E>(
  at: Parameters<typeof inWorld>[0],
  f: (session: Dependencies.DependencyQueries, repository: Repository.RepositoryShape) => Effect.Effect<A, E>
) =>
  inWorld(at)(
    Effect.gen(function* () {
      const repository = yield* Repository.open({ credentials })
      return yield* f(yield* repository.readonlySession({ branch: "main" }), repository)
    })
  )

describe("the dependencies of a snapshot", () => {
  it.effect("are objects, chunks and bytes by container, and locations that belong to none", () =>
    Effect.gen(function* () {
      const { at, heads } = yield* prepared
      const found = yield* withSession(at, (session) => session.dependencies)
      assert.deepStrictEqual(found, {
        containers: [
          { container: "model", objects: 1, chunks: 3, bytes: 6 },
          { container: "obs", objects: 2, chunks: 3, bytes: 6 }
        ],
        unresolved: [{ location: "nowhere://x/y", chunks: 1, bytes: 2 }]
      })
      assert.deepStrictEqual(heads, [], "counting asks no store")
    })
  )

  it.effect("count uncommitted changes too", () =>
    Effect.gen(function* () {
      const { at } = yield* prepared
      const found = yield* inWorld(at)(
        Effect.gen(function* () {
          const repository = yield* Repository.open({ credentials })
          const session = yield* repository.writableSession("main")
          yield* session.deleteChunk("/v", [0])
          yield* session.setVirtualRef("/v", [1], { location: "s3://observations/e.nc", offset: 0, length: 50 })
          return yield* session.dependencies
        })
      )
      assert.deepStrictEqual(found.containers, [
        { container: "model", objects: 1, chunks: 1, bytes: 2 },
        { container: "obs", objects: 3, chunks: 4, bytes: 56 }
      ])
    })
  )

  it.effect("of the whole history include objects that only an old snapshot refers to", () =>
    Effect.gen(function* () {
      const { at } = yield* prepared
      const found = yield* withSession(at, (_, repository) => repository.wholeHistory.dependencies)
      assert.strictEqual(found.containers.find(({ container }) => container === "model")?.objects, 2)
      const locations = yield* withSession(at, (_, repository) =>
        Stream.runCollect(repository.wholeHistory.virtualLocations({ distinct: true }))
      )
      assert.deepStrictEqual(locations.toSorted(), [
        "nowhere://x/y",
        "s3://observations/c.nc",
        "s3://observations/d.nc",
        "vcc://model/a.nc",
        "vcc://model/deep/b.nc"
      ])
    })
  )
})

describe("virtual locations", () => {
  it.effect("are listed by container, protocol, prefix and glob, once or for each chunk", () =>
    Effect.gen(function* () {
      const { at } = yield* prepared
      const list = (query: LocationQuery.LocationQuery) =>
        withSession(at, (_, repository) => Stream.runCollect(repository.wholeHistory.virtualLocations(query)))
      const distinct = (query: LocationQuery.LocationQuery) =>
        Effect.map(list({ ...query, distinct: true }), (found) => found.toSorted())
      assert.deepStrictEqual(yield* distinct({ container: "model" }), ["vcc://model/a.nc", "vcc://model/deep/b.nc"])
      assert.deepStrictEqual(yield* distinct({ protocol: "s3" }), ["s3://observations/c.nc", "s3://observations/d.nc"])
      assert.deepStrictEqual(yield* distinct({ protocol: "model" }), ["vcc://model/a.nc", "vcc://model/deep/b.nc"])
      assert.deepStrictEqual(yield* distinct({ prefix: "model://models/runs/deep/" }), ["vcc://model/deep/b.nc"])
      assert.deepStrictEqual(yield* distinct({ glob: "vcc://model/*.nc" }), ["vcc://model/a.nc"])
      assert.deepStrictEqual(yield* distinct({ glob: "**/?.nc", protocol: "model" }), [
        "vcc://model/a.nc",
        "vcc://model/deep/b.nc"
      ])
      const each = yield* withSession(at, (session) =>
        Stream.runCollect(session.virtualLocations({ container: "obs" }))
      )
      assert.deepStrictEqual(each.toSorted(), [
        "s3://observations/c.nc",
        "s3://observations/d.nc",
        "s3://observations/d.nc"
      ])
    })
  )

  it.effect("are found by the place of their object, however a ref or the query spells it", () =>
    Effect.gen(function* () {
      const { at } = yield* prepared
      const found = yield* inWorld(at)(
        Effect.gen(function* () {
          const repository = yield* Repository.open({ credentials })
          const session = yield* repository.writableSession("main")
          // The object of `vcc://model/a.nc`, past its container.
          yield* session.setVirtualRef("/v", [30], { location: "s3://models/runs/a.nc", offset: 0, length: 1 })
          const distinct = (query: LocationQuery.LocationQuery) =>
            Effect.map(Stream.runCollect(session.virtualLocations({ ...query, distinct: true })), (list) =>
              list.toSorted()
            )
          return {
            prefixes: yield* Effect.forEach(
              ["s3://models/runs/", "S3://models/runs/a", "model://models/runs/", "vcc://model/", "vcc://s3/models/"],
              (prefix) => distinct({ prefix })
            ),
            globs: yield* Effect.forEach(
              ["s3://models/**", "**/runs/[ab].nc", "vcc://model/{a,b}.nc", "model://*/runs/?.nc"],
              (glob) => distinct({ glob })
            ),
            dependencies: yield* session.dependencies
          }
        })
      )
      const both = ["s3://models/runs/a.nc", "vcc://model/a.nc"]
      assert.deepStrictEqual(found.prefixes, [both, both, both, both, both])
      assert.deepStrictEqual(found.globs, [both, both, both, both])
      assert.deepStrictEqual(
        found.dependencies.containers.find(({ container }) => container === "model"),
        { container: "model", objects: 1, chunks: 4, bytes: 7 },
        "the object counts once, under the container with the longer prefix"
      )
      assert.isUndefined(found.dependencies.containers.find(({ container }) => container === "s3"))
    })
  )

  it.effect("cannot be listed by a container that there is not, or a glob that is malformed", () =>
    Effect.gen(function* () {
      const { at } = yield* prepared
      const problem = (query: LocationQuery.LocationQuery) =>
        withSession(at, (session) => Effect.flip(Stream.runCollect(session.virtualLocations(query))))
      const unknown = yield* problem({ container: "modle" })
      assert.strictEqual(unknown._tag, "InvalidLocationQuery")
      assert.include(unknown.message, "`modle`: there is no container of this name, only `obs`, `model`")
      for (const glob of ["s3://a/{b", "s3://a/[b", "s3://a/b}", "s3://a/\\", "s3://a/[z-a]", "*.nc", ""]) {
        assert.deepInclude(yield* problem({ glob }), { _tag: "InvalidLocationQuery", field: "glob", value: glob })
      }
      for (const prefix of ["", "models/runs", "s3:/models"]) {
        assert.deepInclude(yield* problem({ prefix }), { _tag: "InvalidLocationQuery", field: "prefix" })
      }
      assert.deepInclude(yield* problem({ protocol: "s3://" }), { _tag: "InvalidLocationQuery", field: "protocol" })
    })
  )
})

describe("verifying virtual chunks", () => {
  it.effect("asks each object once and tells what became of it", () =>
    Effect.gen(function* () {
      const { at, denied, heads, inner } = yield* prepared
      yield* inner.objects.put("models/runs/a.nc", pattern(100, 1))
      yield* inner.objects.delete(["models/runs/deep/b.nc"])
      denied.add("observations/c.nc")
      const checks = yield* withSession(at, (_, repository) =>
        Stream.runCollect(repository.wholeHistory.verifyVirtualChunks({ concurrency: 2 }))
      )
      assert.deepStrictEqual(
        new Map(checks.map(({ location, verdict }) => [location, verdict])),
        new Map<string, Dependencies.Verdict>([
          ["vcc://model/a.nc", "modified"],
          ["vcc://model/deep/b.nc", "missing"],
          ["s3://observations/c.nc", "forbidden"],
          ["s3://observations/d.nc", "unchecked"],
          ["nowhere://x/y", "unresolved"]
        ])
      )
      assert.deepStrictEqual(heads.toSorted(), [
        "models/runs/a.nc",
        "models/runs/deep/b.nc",
        "observations/c.nc",
        "observations/d.nc"
      ])
      assert.deepStrictEqual(
        checks.map(({ done, total }) => [done, total]),
        [1, 2, 3, 4, 5].map((done) => [done, 5])
      )
      assert.strictEqual(checks.find(({ verdict }) => verdict === "missing")?.error?._tag, "VirtualObjectNotFound")
    })
  )

  it.effect("asks once for an object that is spelled in two ways, and holds it against the checksums of both", () =>
    Effect.gen(function* () {
      const { at, heads } = yield* prepared
      const checks = yield* inWorld(at)(
        Effect.gen(function* () {
          const repository = yield* Repository.open({ credentials })
          const session = yield* repository.writableSession("main")
          yield* session.setVirtualRef("/v", [20], {
            location: "vcc://obs/c.nc",
            offset: 0,
            length: 1,
            checksum: Checksum.etag('"another"')
          })
          return yield* Stream.runCollect(session.verifyVirtualChunks())
        })
      )
      const found = checks.filter(({ location }) => location.endsWith("c.nc"))
      assert.deepStrictEqual(
        found.map(({ chunks, verdict }) => [chunks, verdict]),
        [[2, "modified"]]
      )
      assert.strictEqual(heads.filter((key) => key === "observations/c.nc").length, 1)
    })
  )

  it.effect("finds objects unchanged that are", () =>
    Effect.gen(function* () {
      const { at } = yield* prepared
      const checks = yield* withSession(at, (session) => Stream.runCollect(session.verifyVirtualChunks()))
      const verdict = (location: string) => checks.find((one) => one.location === location)?.verdict
      assert.strictEqual(verdict("vcc://model/a.nc"), "unchanged")
      assert.strictEqual(verdict("s3://observations/c.nc"), "unchanged")
    })
  )

  it.effect("keeps to its concurrency", () =>
    Effect.gen(function* () {
      const { at, inner } = yield* prepared
      let now = 0
      let most = 0
      const counting: ObjectStore.ObjectStoreShape = {
        ...inner.objects,
        head: (key) =>
          Effect.acquireUseRelease(
            Effect.sync(() => (most = Math.max(most, ++now))),
            () => Effect.andThen(Effect.yieldNow, inner.objects.head(key)),
            () => Effect.sync(() => void now--)
          )
      }
      yield* withSession({ ...at, objects: counting }, (_, repository) =>
        Stream.runDrain(repository.wholeHistory.verifyVirtualChunks({ concurrency: 2 }))
      )
      assert.strictEqual(most, 2)
    })
  )
})

describe("a repository that nothing is known of", () => {
  it.effect("tells its containers and which credentials it needs, before any are given", () =>
    Effect.gen(function* () {
      const { at, heads } = yield* prepared
      const access = yield* inWorld(at)(Effect.flatMap(Repository.open(), (repository) => repository.containerAccess))
      const own = access.filter(({ source }) => source === "persisted")
      assert.deepStrictEqual(
        own.map(({ bucketPrefix, credentials, name }) => [name, bucketPrefix, credentials]),
        [
          ["obs", "observations", "needed"],
          ["model", "models/runs", "needed"]
        ]
      )
      assert.include(own[0]!.because, "another platform")
      assert.strictEqual(access.find(({ name }) => name === "gcs")?.credentials, "needed")
      assert.deepStrictEqual(heads, [])
      const given = yield* inWorld(at)(
        Effect.flatMap(Repository.open({ credentials }), (repository) => repository.containerAccess)
      )
      assert.strictEqual(given.find(({ name }) => name === "model")?.credentials, "given")
    })
  )
})
