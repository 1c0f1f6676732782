import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import type { Resolved } from "@effect-icechunk/core/ContainerMatch"
import * as ContainerStores from "../../src/virtual/ContainerStores.ts"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { container, origin, own } from "./Places.ts"

const at = (endpoint_url: string): Partial<Container.VirtualChunkContainer> => ({
  cloud_client_config: { endpoint_url }
})

describe("ContainerStores.regionFor", () => {
  it.each([
    ["the container's own", origin(), { region: "us-west-2" }, "us-west-2"],
    ["the container's own, elsewhere", origin({ platform: "gcs" }), { region: "us-west-2" }, "us-west-2"],
    ["the repository's, on its platform", origin(), {}, "eu-central-1"],
    ["the repository's, also at another endpoint", origin(), at("http://other"), "eu-central-1"],
    ["the platform's default, elsewhere", origin({ platform: "tigris" }), {}, "us-east-1"],
    ["the platform's default, when the repository has none", origin({ region: undefined }), {}, "us-east-1"]
  ] as const)("is %s", (_, repository, change, expected) => {
    assert.strictEqual(
      ContainerStores.regionFor(repository, { name: "s3", defaultRegion: "us-east-1" }, container(change)),
      expected
    )
  })

  it("is none when nobody names one", () => {
    const platform = { name: "fs", defaultRegion: undefined }
    assert.isUndefined(ContainerStores.regionFor(origin(), platform, container({ platform: "fs" })))
  })
})

/** A platform that notes what is opened and released. */
const recording = (name: string, hasBuckets = true) => {
  const events: Array<string> = []
  const requests: Array<Platform.StoreRequest> = []
  const platform: Platform.Platform = {
    name,
    defaultRegion: "default-region",
    hasBuckets,
    sharesCredentials: true,
    open: (request) =>
      Effect.acquireRelease(
        Effect.gen(function* () {
          requests.push(request)
          events.push(`open ${request.container.name} ${request.bucket}`)
          // As slow as a client that has to log in.
          yield* Effect.yieldNow
          return yield* MemoryObjectStore.make({ description: `${name}://${request.bucket}` })
        }),
        () => Effect.sync(() => events.push(`release ${request.container.name} ${request.bucket}`))
      )
  }
  return { events, platform, requests }
}

const make = (platforms: ReadonlyArray<Platform.Platform>, options?: { readonly fallback?: "strict" }) =>
  ContainerStores.make({
    platforms: new Map(platforms.map((platform) => [platform.name, platform])),
    policy: { byContainer: {}, fallback: options?.fallback ?? "same-endpoint", repository: origin() }
  })

const resolved = (path: string, change?: Partial<Container.VirtualChunkContainer>): Resolved => ({
  container: container(change),
  source: "persisted",
  path
})

describe("ContainerStores.open", () => {
  it.effect("gives the store of the bucket and the key in it, untouched", () =>
    Effect.gen(function* () {
      const { platform, requests } = recording("s3")
      const stores = yield* make([platform])
      const { key, store } = yield* stores.open(resolved("bucket//a/../b%20?#/"))
      assert.strictEqual(key, "/a/../b%20?#/")
      assert.strictEqual(store.description, "s3://bucket")
      assert.deepStrictEqual(requests, [
        { container: container(), bucket: "bucket", region: "eu-central-1", credentials: own }
      ])
    })
  )

  it.effect("gives the whole path as the key where there are no buckets", () =>
    Effect.gen(function* () {
      const { platform, requests } = recording("fs", false)
      const stores = yield* make([{ ...platform, name: "s3" }])
      assert.strictEqual((yield* stores.open(resolved("/data/a/b"))).key, "/data/a/b")
      yield* stores.open(resolved("/other"))
      assert.deepStrictEqual(
        requests.map(({ bucket }) => bucket),
        [""]
      )
    })
  )

  it.effect("makes one client for each container and bucket, also for many readers at once", () =>
    Effect.gen(function* () {
      const { events, platform } = recording("s3")
      const stores = yield* make([platform])
      const paths = Array.from({ length: 60 }, (_, i) =>
        resolved(`bucket-${i % 3}/key-${i}`, { name: `model-${i % 2}` })
      )
      const places = yield* Effect.forEach(paths, stores.open, { concurrency: "unbounded" })
      assert.lengthOf(events, 6)
      assert.lengthOf(new Set(places.map(({ store }) => store)), 6)
      assert.strictEqual(places[0]!.store, places[6]!.store)
      assert.deepStrictEqual(
        places.map(({ key }) => key),
        paths.map((_, i) => `key-${i}`)
      )
    })
  )

  it.effect("gives an edited container a client of its own, and keeps the former one's for its readers", () =>
    Effect.gen(function* () {
      const { events, platform, requests } = recording("s3")
      const stores = yield* make([platform])
      const before = yield* stores.open(resolved("bucket/key"))
      const after = yield* stores.open(resolved("bucket/key", { region: "moved" }))
      assert.notStrictEqual(before.store, after.store)
      assert.deepStrictEqual(
        requests.map(({ region }) => region),
        ["eu-central-1", "moved"]
      )
      assert.lengthOf(events, 2)
    })
  )

  it.effect("releases a client a minute after its last reader is done, and not before", () =>
    Effect.gen(function* () {
      const { events, platform } = recording("s3")
      const stores = yield* make([platform])
      const reader = yield* Scope.make()
      yield* Scope.provide(stores.open(resolved("bucket/key")), reader)
      yield* Effect.scoped(stores.open(resolved("bucket/key")))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(events, ["open model bucket"], "it has a reader")
      yield* Scope.close(reader, Exit.void)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(events, ["open model bucket"])
      yield* Effect.scoped(stores.open(resolved("bucket/key")))
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(events, ["open model bucket"], "the minute starts anew with each reader")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(events, ["open model bucket", "release model bucket"])
      yield* Effect.scoped(stores.open(resolved("bucket/key")))
      assert.deepStrictEqual(events, ["open model bucket", "release model bucket", "open model bucket"])
    })
  )

  it.effect("releases every client with the Scope", () =>
    Effect.gen(function* () {
      const { events, platform } = recording("s3")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const stores = yield* make([platform])
          yield* Effect.scoped(stores.open(resolved("a/key")))
          yield* stores.open(resolved("b/key"))
          assert.deepStrictEqual(events, ["open model a", "open model b"])
        })
      )
      assert.deepStrictEqual(events.slice(2).toSorted(), ["release model a", "release model b"])
    })
  )

  it.effect("fails with MissingPlatform, which names the platform and those that there are", () =>
    Effect.gen(function* () {
      const stores = yield* make([recording("s3").platform, recording("gcs").platform])
      const error = yield* Effect.flip(stores.open(resolved("bucket/key", { platform: "azure" })))
      assert.strictEqual(
        error.message,
        "Container `model` is on platform `azure`, which this program does not provide. Add it to `Platform.layer`. Platforms now: `s3`, `gcs`."
      )
      assert.strictEqual(error._tag, "MissingPlatform")
    })
  )

  it.effect("fails with MissingCredentials before any client is made", () =>
    Effect.gen(function* () {
      const { events, platform } = recording("s3")
      const stores = yield* make([platform], { fallback: "strict" })
      const error = yield* Effect.flip(stores.open(resolved("bucket/key")))
      assert.strictEqual(error._tag, "MissingCredentials")
      assert.lengthOf(events, 0)
    })
  )

  it.effect("asks the platform again after it failed", () =>
    Effect.gen(function* () {
      const { platform } = recording("s3")
      let attempts = 0
      const stores = yield* make([
        {
          ...platform,
          open: (request) =>
            ++attempts === 1
              ? Effect.fail(
                  new Platform.MissingCredentials({ container: "model", platform: "s3", because: "of a test" })
                )
              : platform.open(request)
        }
      ])
      const error = yield* Effect.flip(Effect.scoped(stores.open(resolved("bucket/key"))))
      assert.strictEqual(error._tag, "MissingCredentials")
      assert.strictEqual((yield* stores.open(resolved("bucket/key"))).key, "key")
    })
  )

  it.effect.each(["bucket", "bucket/", "", "/key"])("refuses the path `%s`, which lacks a bucket or a key", (path) =>
    Effect.gen(function* () {
      const { events, platform } = recording("s3")
      const stores = yield* make([platform])
      const error = yield* Effect.flip(stores.open(resolved(path)))
      assert.strictEqual(error._tag, "InvalidLocation")
      assert.include(error.message, `models://${path}`)
      assert.lengthOf(events, 0)
    })
  )
})
