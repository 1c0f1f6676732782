import { assert, describe, it } from "@effect/vitest"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import type * as RangePlan from "@effect-icechunk/core/RangePlan"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type { VirtualChunkRef } from "@effect-icechunk/core/VirtualChunkRef"
import * as ChunkResolver from "@effect-icechunk/core/ChunkResolver"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as ContainerStores from "../../src/virtual/ContainerStores.ts"
import { ObjectReads } from "../../src/virtual/ObjectReads.ts"
import { RequestGate } from "../../src/store/RequestGate.ts"
import type * as Platform from "@effect-icechunk/core/Platform"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"

const object = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31 + (i >> 8)) % 251)

interface Request {
  readonly operation: "get" | "head"
  readonly key: string
  readonly options: ObjectStore.GetOptions | undefined
}

/** A resolver over one store for all buckets, which notes the requests that it gets. */
const world = Effect.fnUntraced(function* (options?: {
  readonly plan?: RangePlan.Options
  /** What a store that is not as it should be answers. */
  readonly wrap?: (store: ObjectStore.ObjectStoreShape) => Partial<ObjectStore.ObjectStoreShape>
}) {
  const objects = yield* MemoryObjectStore.make({ description: "memory://objects" })
  const wrapped: ObjectStore.ObjectStoreShape = { ...objects, ...options?.wrap?.(objects) }
  const requests: Array<Request> = []
  const recording: ObjectStore.ObjectStoreShape = {
    ...wrapped,
    get: (key, options) => {
      requests.push({ operation: "get", key, options })
      return wrapped.get(key, options)
    },
    head: (key) => {
      requests.push({ operation: "head", key, options: undefined })
      return wrapped.head(key)
    }
  }
  const platform: Platform.Platform = {
    name: "s3",
    defaultRegion: undefined,
    hasBuckets: true,
    sharesCredentials: true,
    open: ({ bucket }) => Effect.succeed(ObjectStore.prefixed(recording, bucket))
  }
  const stores = yield* ContainerStores.make({
    platforms: new Map([["s3", platform]]),
    policy: {
      byContainer: {},
      fallback: "same-endpoint",
      repository: { platform: "s3", credentials: Credentials.anonymous }
    }
  })
  const containers = ContainerMatch.make({
    persisted: [{ name: "model", protocol: "models", platform: "s3", bucket_prefix: "bucket/out" }],
    without: ["gcs"]
  })
  const resolver = ChunkResolver.make({
    containers,
    stores,
    reads: new ObjectReads(stores.scope, new RequestGate({ requests: 256, bytes: 64 * 1024 * 1024 }), options?.plan)
  })
  const { etag } = yield* objects.put("bucket/out/a", object)
  yield* objects.put("bucket/out/b", object.toReversed())
  return { etag: etag!, objects, requests, resolver }
})

const ref = (offset: number, length: number, change?: Partial<VirtualChunkRef>): VirtualChunkRef => ({
  location: "models://bucket/out/a",
  offset,
  length,
  ...change
})

const fail = { checks: "fail" } as const

/** Bytes that a request asks for. */
const asked = ({ options }: Request): number => (options?.range?._tag === "Bounded" ? options.range.length : Number.NaN)

/** Reads at the same time, each with its own result. */
const readAll = (
  resolver: ChunkResolver.ChunkResolver,
  refs: ReadonlyArray<VirtualChunkRef>,
  options: Parameters<ChunkResolver.ChunkResolver["read"]>[1] = fail
) => Effect.forEach(refs, (ref) => Effect.exit(resolver.read(ref, options)), { concurrency: "unbounded" })

/** Messages that are logged meanwhile. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const messages: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      messages.push(`${logLevel}: ${String(Array.isArray(message) ? message[0] : message)}`)
    })
    return Effect.map(Effect.provide(effect, Logger.layer([logger])), (value) => ({ messages, value }))
  })

const unavailable = (key: string): ObjectStoreError.ObjectStoreError =>
  new ObjectStoreError.ObjectStoreError({
    store: "memory://objects",
    operation: "get",
    key,
    reason: new ObjectStoreError.Unavailable({})
  })

describe("ChunkResolver.read", () => {
  it.effect("gives the bytes of a ref, and of a part of it", () =>
    Effect.gen(function* () {
      const { requests, resolver } = yield* world()
      assert.deepStrictEqual(yield* resolver.read(ref(1000, 50), fail), object.slice(1000, 1050))
      const part = yield* resolver.read(ref(1000, 50), { ...fail, part: { start: 10, end: 30 } })
      assert.deepStrictEqual(part, object.slice(1010, 1030))
      assert.deepStrictEqual(requests.map(asked), [50, 20])
      assert.deepStrictEqual(
        requests.map(({ key }) => key),
        ["bucket/out/a", "bucket/out/a"]
      )
    })
  )

  it.effect("reads adjacent chunks that are wanted at the same time with one request", () =>
    Effect.gen(function* () {
      const { etag, requests, resolver } = yield* world()
      const refs = Array.from({ length: 1000 }, (_, i) =>
        ref(((i * 7) % 1000) * 100, 100, { checksum: Checksum.etag(etag) })
      )
      const results = yield* readAll(resolver, refs)
      for (const [i, { length, offset }] of refs.entries()) {
        assert.deepStrictEqual(results[i], Exit.succeed(object.slice(offset, offset + length)))
      }
      assert.deepStrictEqual(requests.map(asked), [100_000])
      assert.strictEqual(requests[0]!.options?.ifMatch, etag)
    })
  )

  it.effect("merges across small gaps only, so that the bytes that are read along stay bounded", () =>
    Effect.gen(function* () {
      const { requests, resolver } = yield* world({ plan: { maxGap: 50, maxOverRead: 0.5 } })
      const refs = [0, 120, 240, 5000, 5110, 90_000].map((offset) => ref(offset, 100))
      const results = yield* readAll(resolver, refs)
      for (const [i, { offset }] of refs.entries()) {
        assert.deepStrictEqual(results[i], Exit.succeed(object.slice(offset, offset + 100)))
      }
      assert.deepStrictEqual(requests.map(asked), [340, 210, 100])
    })
  )

  it.effect("merges the same chunk wanted many times", () =>
    Effect.gen(function* () {
      const { requests, resolver } = yield* world()
      const results = yield* readAll(resolver, Array<VirtualChunkRef>(50).fill(ref(10, 20)))
      for (const result of results) assert.deepStrictEqual(result, Exit.succeed(object.slice(10, 30)))
      assert.deepStrictEqual(requests.map(asked), [20])
    })
  )

  it.effect("merges locations that are spelled differently but mean the same object", () =>
    Effect.gen(function* () {
      const { requests, resolver } = yield* world()
      const locations = ["models://bucket/out/a", "vcc://model/a", "MODELS://bucket/out/a"]
      const results = yield* readAll(
        resolver,
        locations.map((location, i) => ref(i * 10, 10, { location }))
      )
      for (const [i, result] of results.entries()) {
        assert.deepStrictEqual(result, Exit.succeed(object.slice(i * 10, i * 10 + 10)))
      }
      assert.deepStrictEqual(requests.map(asked), [30])
    })
  )

  it.effect("asks once for each object, container and checksum, for they may be different versions", () =>
    Effect.gen(function* () {
      const { etag, objects, requests, resolver } = yield* world()
      const { lastModified } = yield* objects.head("bucket/out/a")
      const refs = [
        ref(0, 10),
        ref(10, 10, { location: "models://bucket/out/b" }),
        ref(20, 10, { location: "s3://bucket/out/a" }),
        ref(30, 10, { checksum: Checksum.etag(etag) }),
        ref(40, 10, { checksum: Checksum.etag('"other"') }),
        ref(50, 10, { checksum: Checksum.lastModified(lastModified!) })
      ]
      const results = yield* readAll(resolver, refs)
      assert.lengthOf(requests, 6)
      assert.deepStrictEqual(
        results.map((result) => Exit.isSuccess(result)),
        [true, true, true, true, false, true]
      )
      assert.deepStrictEqual(results[1], Exit.succeed(object.toReversed().slice(10, 20)))
    })
  )

  it.effect("does not mix reads with different policies", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world()
      const changed = ref(0, 10, { checksum: Checksum.etag("of another version") })
      const [failing, ignoring] = yield* Effect.all(
        [Effect.exit(resolver.read(changed, fail)), Effect.exit(resolver.read(changed, { checks: "off" }))],
        { concurrency: "unbounded" }
      )
      assert.isTrue(Exit.isFailure(failing))
      assert.isTrue(Exit.isSuccess(ignoring))
    })
  )

  it.effect("lets a range past the end fail alone, and still merges nothing away", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world()
      const good = [ref(0, 10), ref(10, 10), ref(99_990, 10)]
      const bad = [
        ref(99_990, 11),
        ref(100_000, 1),
        ref(1e12, 5),
        ref(Number.MAX_SAFE_INTEGER, 5),
        ref(-5, 3),
        ref(0.5, 1)
      ]
      const results = yield* readAll(resolver, [...good, ...bad])
      for (const [i, { length, offset }] of good.entries()) {
        assert.deepStrictEqual(results[i], Exit.succeed(object.slice(offset, offset + length)))
      }
      for (const { length, offset } of bad) {
        const error = yield* Effect.flip(resolver.read(ref(offset, length), fail))
        assert.isTrue(ObjectStoreError.hasReason("InvalidRange")(error), `${offset}`)
      }
      assert.isTrue(results.slice(good.length).every(Exit.isFailure))
    })
  )

  it.effect("reports a missing object as VirtualObjectNotFound, to each of its readers and to no other", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world()
      const missing = ref(0, 10, { location: "models://bucket/out/missing" })
      const results = yield* readAll(resolver, [missing, ref(0, 10), missing])
      assert.deepStrictEqual(results.map(Exit.isSuccess), [false, true, false])
      const error = yield* Effect.flip(resolver.read(missing, fail))
      assert.strictEqual(error._tag, "VirtualObjectNotFound")
      assert.strictEqual(
        error.message,
        "`models://bucket/out/missing` does not exist in `memory://objects/bucket` (container `model`). Restore the object, or correct the container's configuration."
      )
    })
  )

  it.effect("passes other failures of the store on, and asks it again at the next read", () =>
    Effect.gen(function* () {
      let failures = 1
      const { resolver } = yield* world({
        wrap: (store) => ({
          get: (key, options) => (failures-- > 0 ? Effect.fail(unavailable(key)) : store.get(key, options))
        })
      })
      const error = yield* Effect.flip(resolver.read(ref(0, 10), fail))
      assert.isTrue(ObjectStoreError.hasReason("Unavailable")(error))
      assert.deepStrictEqual(yield* resolver.read(ref(0, 10), fail), object.slice(0, 10))
    })
  )

  it.effect("does not hang when the store has a bug", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world({ wrap: () => ({ get: () => Effect.die("a bug") }) })
      const results = yield* readAll(resolver, [ref(0, 10), ref(10, 10)])
      for (const result of results) assert.isTrue(Exit.hasDies(result))
    })
  )

  it.effect("stops the request when its last reader is interrupted, and not before", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const { requests, resolver } = yield* world({
        wrap: () => ({ get: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)) })
      })
      const first = yield* Effect.forkChild(resolver.read(ref(0, 10), fail))
      const second = yield* Effect.forkChild(resolver.read(ref(10, 10), fail))
      while (requests.length === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      assert.strictEqual(interrupted, 0)
      yield* Fiber.interrupt(second)
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      assert.strictEqual(interrupted, 1)
      assert.lengthOf(requests, 1)
    })
  )

  it.effect("fails without any request for a malformed location, and for one without a container", () =>
    Effect.gen(function* () {
      const { requests, resolver } = yield* world()
      const read = (location: string) => Effect.flip(resolver.read(ref(0, 10, { location }), fail))
      assert.strictEqual((yield* read("no location"))._tag, "InvalidLocation")
      assert.strictEqual((yield* read("gcs://bucket/key"))._tag, "MissingContainer")
      assert.strictEqual((yield* read("vcc://unknown/key"))._tag, "MissingContainer")
      assert.strictEqual((yield* read("tigris://bucket/key"))._tag, "MissingPlatform")
      assert.strictEqual((yield* read("s3://bucket"))._tag, "InvalidLocation")
      assert.lengthOf(requests, 0)
    })
  )
})

describe("ChunkResolver and checksums", () => {
  const stale = Checksum.etag('"of another version"')

  it.effect("sends the precondition with the read, never a HEAD beside it", () =>
    Effect.gen(function* () {
      const { etag, objects, requests, resolver } = yield* world()
      const { lastModified } = yield* objects.head("bucket/out/a")
      yield* resolver.read(ref(0, 10, { checksum: Checksum.etag(etag) }), fail)
      yield* resolver.read(ref(0, 10, { checksum: Checksum.lastModified(lastModified! + 400) }), fail)
      yield* resolver.read(ref(0, 10), fail)
      assert.deepStrictEqual(
        requests.map(({ operation, options }) => [operation, options?.ifMatch, options?.ifUnmodifiedSince]),
        [
          ["get", etag, undefined],
          ["get", undefined, 1000],
          ["get", undefined, undefined]
        ]
      )
    })
  )

  it.effect("fails with ChecksumMismatch when the store refuses the precondition", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world()
      const error = yield* Effect.flip(resolver.read(ref(0, 10, { checksum: stale }), fail))
      assert.strictEqual(error._tag, "ChecksumMismatch")
      assert.strictEqual(
        error.message,
        '`models://bucket/out/a` has changed since its chunks were referenced: expected ETag `"of another version"`, and its store says that this is no longer so. Restore the object, or write new refs for it.'
      )
    })
  )

  const ignoring = (store: ObjectStore.ObjectStoreShape): Partial<ObjectStore.ObjectStoreShape> => ({
    get: (key, options) => store.get(key, { range: options?.range })
  })

  it.effect("checks the metadata of that same response when the store ignores conditions", () =>
    Effect.gen(function* () {
      const { etag, objects, requests, resolver } = yield* world({ wrap: ignoring })
      const error = yield* Effect.flip(resolver.read(ref(0, 10, { checksum: stale }), fail))
      assert.strictEqual(error._tag, "ChecksumMismatch")
      assert.include(error.message, `expected ETag \`"of another version"\`, but it has ETag \`${etag}\`.`)
      assert.lengthOf(requests, 1)

      yield* TestClock.setTime(1_600_000_000_000)
      yield* objects.put("bucket/out/a", object)
      const newer = yield* Effect.flip(
        resolver.read(ref(0, 10, { checksum: Checksum.lastModified(1_599_999_999_000) }), fail)
      )
      assert.include(
        newer.message,
        "expected not modified since 2020-09-13T12:26:39.000Z, but it was modified at 2020-09-13T12:26:40.000Z."
      )
      const same = ref(0, 10, { checksum: Checksum.lastModified(1_600_000_000_000) })
      assert.deepStrictEqual(yield* resolver.read(same, fail), object.slice(0, 10))
    })
  )

  it.effect("fails when the response does not carry what the checksum needs", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world({
        wrap: (store) => ({
          get: (key, options) =>
            Effect.map(store.get(key, { range: options?.range }), (result) => ({
              ...result,
              meta: { ...result.meta, version: { etag: undefined }, lastModified: undefined }
            }))
        })
      })
      const noTag = yield* Effect.flip(resolver.read(ref(0, 10, { checksum: stale }), fail))
      assert.include(noTag.message, "but it has no ETag.")
      const noTime = yield* Effect.flip(resolver.read(ref(0, 10, { checksum: Checksum.lastModified(1) }), fail))
      assert.include(noTime.message, "but it has no time of change.")
    })
  )

  it.effect("accepts the ETag of another of the platform's APIs", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world({
        wrap: (store) => ({
          get: (key, options) =>
            Effect.map(store.get(key, { range: options?.range }), (result) => ({
              ...result,
              meta: { ...result.meta, alternateEtags: ["d41d8cd98f00b204"] }
            }))
        })
      })
      const checksum = Checksum.etag('"d41d8cd98f00b204"')
      assert.deepStrictEqual(yield* resolver.read(ref(0, 10, { checksum }), fail), object.slice(0, 10))
    })
  )

  it.effect("serves nothing of a group of which a later response is of another version", () =>
    Effect.gen(function* () {
      let gets = 0
      const { etag, resolver } = yield* world({
        plan: { maxGap: 0 },
        wrap: (store) => ({
          get: (key, options) =>
            Effect.map(store.get(key, { range: options?.range }), (result) =>
              ++gets === 1 ? result : { ...result, meta: { ...result.meta, version: { etag: '"overwritten"' } } }
            )
        })
      })
      const checksum = Checksum.etag(etag)
      const results = yield* readAll(resolver, [ref(0, 10, { checksum }), ref(50_000, 10, { checksum })])
      assert.deepStrictEqual(results.map(Exit.isSuccess), [true, false])
    })
  )

  it.effect("with `warn` logs what changed, once for a group, and serves the bytes", () =>
    Effect.gen(function* () {
      const { etag, requests, resolver } = yield* world()
      const refs = [ref(0, 10, { checksum: stale }), ref(50_000, 10, { checksum: stale })]
      const { messages, value } = yield* logged(readAll(resolver, refs, { checks: "warn" }))
      assert.deepStrictEqual(value, [Exit.succeed(object.slice(0, 10)), Exit.succeed(object.slice(50_000, 50_010))])
      assert.lengthOf(messages, 1)
      assert.include(messages[0], "Warn: `models://bucket/out/a` has changed since its chunks were referenced")
      assert.include(messages[0], `it has ETag \`${etag}\``)
      for (const { options } of requests) assert.isUndefined(options?.ifMatch)
    })
  )

  it.effect("with `warn` logs also when only a later response is of another version", () =>
    Effect.gen(function* () {
      let gets = 0
      const { etag, resolver } = yield* world({
        plan: { maxGap: 0 },
        wrap: (store) => ({
          get: (key, options) =>
            Effect.map(store.get(key, options), (result) =>
              ++gets === 1 ? result : { ...result, meta: { ...result.meta, version: { etag: '"overwritten"' } } }
            )
        })
      })
      const checksum = Checksum.etag(etag)
      const refs = [ref(0, 10, { checksum }), ref(50_000, 10, { checksum })]
      const { messages } = yield* logged(readAll(resolver, refs, { checks: "warn" }))
      assert.lengthOf(messages, 1)
    })
  )

  it.effect("with `warn` says nothing of an object that is the same", () =>
    Effect.gen(function* () {
      const { etag, resolver } = yield* world()
      const { messages } = yield* logged(
        resolver.read(ref(0, 10, { checksum: Checksum.etag(etag) }), { checks: "warn" })
      )
      assert.lengthOf(messages, 0)
    })
  )

  it.effect("with `off` serves the bytes, without conditions and without a word", () =>
    Effect.gen(function* () {
      const { requests, resolver } = yield* world()
      const read = resolver.read(ref(0, 10, { checksum: stale }), { checks: "off" })
      const { messages, value } = yield* logged(read)
      assert.deepStrictEqual(value, object.slice(0, 10))
      assert.lengthOf(messages, 0)
      assert.isUndefined(requests[0]!.options?.ifMatch)
    })
  )
})

describe("ChunkResolver.head", () => {
  it.effect("says what the store knows, with one request", () =>
    Effect.gen(function* () {
      const { etag, requests, resolver } = yield* world()
      const meta = yield* resolver.head("vcc://model/a")
      assert.strictEqual(meta.size, object.length)
      assert.strictEqual(meta.version.etag, etag)
      assert.deepStrictEqual(
        requests.map(({ operation }) => operation),
        ["head"]
      )
    })
  )

  it.effect("fails as a read does", () =>
    Effect.gen(function* () {
      const { resolver } = yield* world()
      assert.strictEqual((yield* Effect.flip(resolver.head("vcc://model/missing")))._tag, "VirtualObjectNotFound")
      assert.strictEqual((yield* Effect.flip(resolver.head("nonsense")))._tag, "InvalidLocation")
      assert.strictEqual((yield* Effect.flip(resolver.head("gcs://b/k")))._tag, "MissingContainer")
    })
  )
})
