/** The two modes of a store: what is sent, and what never is. */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Repository from "@effect-icechunk/core/Repository"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Platform from "@effect-icechunk/core/Platform"
import * as S3ObjectStore from "@effect-icechunk/s3/S3ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TigrisObjectStore from "../src/TigrisObjectStore.ts"
import * as TigrisOptions from "../src/TigrisOptions.ts"
import { accessKey, bytes, storeIn, text } from "./support/TestTigris.ts"
import * as TigrisSimulator from "./support/TigrisSimulator.ts"

/** One request of each kind. */
const everything = (store: ObjectStore.ObjectStoreShape): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
  store.put("a", bytes("1")),
  store.put("b", bytes("1"), { mode: ObjectStore.create }),
  Effect.flatMap(store.head("b"), ({ version }) => store.put("b", bytes("2"), { mode: ObjectStore.update(version) })),
  store.put("large", new Uint8Array(1500)),
  store.get("a"),
  store.get("a", { range: { _tag: "Suffix", length: 1 } }),
  store.copy("a", "c"),
  Stream.runCollect(store.list("")),
  store.delete(["a"]),
  store.delete(["b", "c", "large"])
]

const isRead = (operation: string): boolean => /^(?:Get|Head|List)/.test(operation)

const inParts = { multipartThreshold: 1024, partSize: 1000 }

describe("the safe mode", () => {
  it.live("sends its headers, signed, with each request, and wins over headers of the user", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start()
      const hostile = {
        "X-TIGRIS-REGIONS": "sin",
        "x-tigris-consistent": "false",
        "cache-control": "max-age=3600",
        "x-amz-meta": "kept",
        "x-mine": "kept"
      }
      const store = yield* storeIn(simulator, "fra", {
        ...inParts,
        readHeaders: hostile,
        writeHeaders: { "X-Tigris-Regions": "sin", "X-Tigris-Consistent": "false", "x-mine": "kept" }
      })
      for (const request of everything(store)) yield* request
      const operations = new Set(simulator.requests.map(({ operation }) => operation))
      expect([...operations].toSorted()).toEqual(
        [
          "GetObject HeadObject ListObjectsV2 PutObject CopyObject DeleteObject DeleteObjects",
          "CreateMultipartUpload UploadPart CompleteMultipartUpload"
        ]
          .join(" ")
          .split(" ")
          .toSorted()
      )
      for (const { headers, operation, signed, status } of simulator.requests) {
        expect(status).toBeLessThan(300)
        expect(headers).toMatchObject({ "x-tigris-regions": "iad", "x-tigris-consistent": "true", "x-mine": "kept" })
        // On a write it would become a property of the object.
        expect([operation, headers["cache-control"]]).toEqual([operation, isRead(operation) ? "no-cache" : undefined])
        expect(signed).toEqual(expect.arrayContaining(["x-tigris-regions", "x-tigris-consistent"]))
        if (isRead(operation)) expect(signed).toContain("cache-control")
      }
    })
  )

  it.effect.each<readonly [string, string | undefined]>([
    ["without a region", undefined],
    ["with an empty one", ""]
  ])("%s cannot be had", ([, region]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(TigrisObjectStore.make({ bucket: "bucket", region }))
      expect(error._tag).toBe("MissingRegion")
      expect(error.message).toContain("`tigris://bucket`")
      expect(error.message).toContain("unsafeUseDistributedReads")
      const inLayer = yield* Effect.flip(Effect.scoped(Layer.build(TigrisObjectStore.layer({ bucket: "bucket" }))))
      expect(inLayer._tag).toBe("MissingRegion")
    })
  )

  it.effect.each<readonly [string, Partial<TigrisOptions.TigrisOptions>, string]>([
    ["`auto`", { region: "auto" }, "`region` is `auto`"],
    ["several regions", { region: "iad,fra" }, "`region` is not a region"],
    ["a header in the region", { region: "iad\r\nx-evil: 1" }, "`region` is not a region"],
    ["a bucket that is none", { bucket: "../other" }, "`bucket`"],
    ["an endpoint that is none", { endpoint: "ftp://t3.storage.dev" }, "`endpoint`"],
    ["a snapshot that is none", { snapshotVersion: "latest" }, "`snapshotVersion`"],
    ["credentials for a directory", { credentials: { _tag: "Directory", path: "/" } }, "`credentials`"]
  ])("refuses %s", ([, options, problem]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(TigrisObjectStore.make({ bucket: "bucket", region: "iad", ...options }))
      expect(error._tag).toBe("InvalidTigrisOptions")
      expect(error.message).toContain(problem)
    })
  )

  it.effect("names its place and endpoint for containers", () =>
    Effect.gen(function* () {
      const own = yield* TigrisObjectStore.make({ bucket: "bucket", prefix: "p", region: "iad" })
      expect(own.description).toBe("tigris://bucket/p")
      expect(own.origin).toMatchObject({ platform: "tigris", region: "iad", endpoint: undefined })
      expect(own.readOnlyBecause).toBeUndefined()
      const written = yield* TigrisObjectStore.make({
        bucket: "bucket",
        region: "iad",
        endpoint: `${TigrisOptions.defaultEndpoint}/`
      })
      expect(written.origin.endpoint).toBeUndefined()
      const other = yield* TigrisObjectStore.make({ bucket: "bucket", region: "iad", endpoint: "http://127.0.0.1:9" })
      expect(other.origin.endpoint).toBe("http://127.0.0.1:9")
    })
  )

  it("addresses buckets by host on Tigris, by path elsewhere, unless told otherwise", () => {
    const style = TigrisOptions.usesPathStyle
    expect(style({})).toBe(false)
    expect(style({ endpoint: "https://fly.storage.tigris.dev" })).toBe(false)
    expect(style({ endpoint: "http://localhost:9000" })).toBe(true)
    expect(style({ forcePathStyle: true })).toBe(true)
    expect(style({ endpoint: "http://localhost:9000", forcePathStyle: false })).toBe(false)
  })

  it.live("reads options from the environment", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start({ credentials: [{ accessKeyId: "tid", secretAccessKey: "tsec" }] })
      const variables = {
        TIGRIS_STORAGE_BUCKET: "bucket",
        TIGRIS_STORAGE_PREFIX: "p",
        TIGRIS_STORAGE_REGION: "fra",
        TIGRIS_STORAGE_ENDPOINT: simulator.endpoint,
        TIGRIS_STORAGE_ACCESS_KEY_ID: "tid",
        TIGRIS_STORAGE_SECRET_ACCESS_KEY: "tsec",
        AWS_REGION: "auto"
      }
      const put = (variables: Record<string, string>) =>
        Effect.flatMap(ObjectStore.ObjectStore, (store) => store.put("key", bytes("1"))).pipe(
          Effect.provide(TigrisObjectStore.layerConfig()),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(variables))
        )
      yield* put(variables)
      expect(simulator.requests.map(({ headers, key }) => [key, headers["x-tigris-regions"]])).toEqual([
        ["p/key", "fra"]
      ])
      const { TIGRIS_STORAGE_REGION: _, ...incomplete } = variables
      expect((yield* Effect.flip(put(incomplete)))._tag).toBe("MissingRegion")
      const { TIGRIS_STORAGE_ENDPOINT: endpoint, ...others } = variables
      yield* put({ ...others, AWS_ENDPOINT_URL: endpoint })
      yield* put({ ...others, AWS_ENDPOINT_URL_S3: endpoint, AWS_ENDPOINT_URL: "http://127.0.0.1:9" })
      expect(simulator.requests).toHaveLength(3)
    })
  )

  it.effect("the plain S3 store refuses Tigris and names this one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        S3ObjectStore.make({ bucket: "bucket", endpoint: TigrisOptions.defaultEndpoint })
      )
      expect(error._tag).toBe("TigrisEndpoint")
      expect(error.message).toContain("@effect-icechunk/tigris")
    })
  )
})

describe("unsafeUseDistributedReads", () => {
  it.live("ignores the region and sends none of the headers", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start()
      yield* Effect.flatMap(storeIn(simulator, "iad"), (store) => store.put("key", bytes("1")))
      simulator.settle()
      const before = simulator.requests.length
      const store = yield* storeIn(simulator, "fra", { unsafeUseDistributedReads: true, region: "not/a region" })
      expect(text((yield* store.get("key")).bytes)).toBe("1")
      yield* store.head("key")
      yield* Stream.runCollect(store.list(""))
      const sent = simulator.requests.slice(before)
      expect(sent).toHaveLength(3)
      for (const { headers, servedBy } of sent) {
        expect(servedBy).toBe("fra")
        expect(Object.keys(headers).filter((name) => /tigris|cache-control/.test(name))).toEqual([])
      }
      expect(store.origin.region).toBeUndefined()
    })
  )

  it.live("may read what is old, which the safe mode never does", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start()
      const writer = yield* storeIn(simulator, "sin")
      yield* writer.put("key", bytes("old"))
      simulator.settle()
      const distributed = yield* storeIn(simulator, "fra", { unsafeUseDistributedReads: true })
      expect(text((yield* distributed.get("key")).bytes)).toBe("old")
      yield* writer.put("key", bytes("new"))
      expect(text((yield* distributed.get("key")).bytes)).toBe("old")
      const safe = yield* storeIn(simulator, "fra")
      expect(text((yield* safe.get("key")).bytes)).toBe("new")
      simulator.settle()
      expect(text((yield* distributed.get("key")).bytes)).toBe("new")
    })
  )

  it.live("forbids every write before a request is made, and says why and what to do", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start()
      const services = (store: ObjectStore.ObjectStoreShape) =>
        Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, NodeZstd.layer)
      yield* Effect.provide(Repository.create(), services(yield* storeIn(simulator, "iad")))
      simulator.settle()
      const store = yield* storeIn(simulator, "fra", { unsafeUseDistributedReads: true })
      const repository = yield* Effect.provide(Repository.open(), services(store))
      const session = yield* repository.readonlySession({ branch: "main" })
      expect(yield* session.nodes()).toEqual([])
      const before = simulator.requests.length
      const writes: ReadonlyArray<
        readonly [string, Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>]
      > = [
        ["put", store.put("key", bytes("1"))],
        ["create", store.put("key", bytes("1"), { mode: ObjectStore.create })],
        ["delete", store.delete(["repo"])],
        ["copy", store.copy("repo", "other")],
        ["session", repository.writableSession("main")],
        ["config.update", repository.config.update((config) => config)],
        ["branch", repository.createBranch("b", "1CECHNKREP0F1RSTCMT0")],
        ["repository", Effect.scoped(Effect.provide(Repository.create(), services(store)))]
      ]
      for (const [what, write] of writes) {
        const error = yield* Effect.flip(write)
        expect([what, error._tag]).toEqual([what, "WriteForbidden"])
        expect(error.message).toContain("`tigris://bucket`")
        expect(error.message).toContain("unsafeUseDistributedReads")
        expect(error.message).toContain("`region`")
      }
      expect(simulator.requests.length).toBe(before)
    })
  )
})

describe("bad credentials and buckets", () => {
  it.live.each<readonly [string, Partial<TigrisOptions.TigrisOptions>, string]>([
    ["a wrong secret", { credentials: accessKey("test", "wrong") }, "Unauthenticated"],
    ["an unknown access key", { credentials: accessKey("nobody", "secret") }, "Unauthenticated"],
    ["an expired session token", { credentials: accessKey("expired", "secret", "token") }, "Unauthenticated"],
    ["no credentials at all", { anonymous: true }, "PermissionDenied"],
    ["a bucket that is missing", { bucket: "missing" }, "NotFound"]
  ])("%s is told with every read and write", ([, options, reason]) =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start({
        credentials: [
          { accessKeyId: "test", secretAccessKey: "secret" },
          { accessKeyId: "expired", secretAccessKey: "secret", sessionToken: "token", expired: true }
        ]
      })
      const store = yield* storeIn(simulator, "fra", options)
      const requests: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        store.get("key"),
        store.head("key"),
        Stream.runCollect(store.list("")),
        store.put("key", bytes("1"))
      ]
      for (const request of requests) {
        expect(yield* Effect.flip(request)).toMatchObject({ _tag: "ObjectStoreError", reason: { _tag: reason } })
      }
    })
  )

  it.live("a missing key that may not be listed is denied, not missing", () =>
    Effect.gen(function* () {
      const simulator = yield* TigrisSimulator.start({
        credentials: [{ accessKeyId: "test", secretAccessKey: "secret", deny: ["list"] }]
      })
      const store = yield* storeIn(simulator, "fra")
      for (const request of [
        Effect.asVoid(store.get("key")),
        Effect.asVoid(store.head("key")),
        Stream.runDrain(store.list(""))
      ]) {
        expect((yield* Effect.flip(request)).reason._tag).toBe("PermissionDenied")
      }
    })
  )
})
