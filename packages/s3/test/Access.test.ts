/** Who asks, where, and with which client and headers. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { S3Client } from "@aws-sdk/client-s3"
import * as S3Dialect from "../src/S3Dialect.ts"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import * as S3Server from "./support/S3Server.ts"
import { accessKey, bytes, open, optionsFor, put, text } from "./support/TestStores.ts"

describe("who may not", () => {
  const restricted = {
    credentials: [
      { accessKeyId: "test", secretAccessKey: "secret", deny: ["list"] },
      { accessKeyId: "old", secretAccessKey: "secret", sessionToken: "token", expired: true },
      { accessKeyId: "session", secretAccessKey: "secret", sessionToken: "token" }
    ]
  } as const

  it.live("list gets PermissionDenied for a missing key, not NotFound", () =>
    Effect.gen(function* () {
      const { store } = yield* open(restricted)
      yield* store.put("key", bytes("x"))
      for (const request of [store.get("missing"), store.head("missing"), Stream.runDrain(store.list(""))]) {
        expect(yield* Effect.flip(request)).toMatchObject({ reason: { _tag: "PermissionDenied" } })
      }
      expect(text((yield* store.get("key")).bytes)).toBe("x")
    })
  )

  it.live.each([
    ["an unknown access key", accessKey("nobody", "secret"), "InvalidAccessKeyId"],
    ["a wrong secret", accessKey("test", "wrong"), "SignatureDoesNotMatch"],
    ["an expired session", accessKey("old", "secret", "token"), "ExpiredToken"],
    ["a wrong session token", accessKey("session", "secret", "other"), "InvalidToken"],
    ["no session token", accessKey("session", "secret"), "InvalidToken"]
  ] as const)("with %s get Unauthenticated from every request", ([, credentials, code]) =>
    Effect.gen(function* () {
      const { store } = yield* open(restricted, { credentials })
      const requests: ReadonlyArray<Effect.Effect<unknown, { readonly message: string }>> = [
        store.get("key"),
        store.head("key"),
        store.put("key", bytes("x")),
        store.put("key", bytes("x"), { mode: ObjectStore.create }),
        Stream.runDrain(store.list("")),
        store.delete(["key"]),
        store.delete(["key", "other"]),
        store.copy("key", "other")
      ]
      for (const request of requests) {
        const error = yield* Effect.flip(request)
        expect(error).toMatchObject({ reason: { _tag: "Unauthenticated" }, isRetryable: false })
        expect(error.message).toContain(code)
      }
    })
  )

  it.live("sign at all read public buckets only", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open(
        { buckets: { bucket: { isPublic: true }, private: {} } },
        { credentials: Credentials.anonymous }
      )
      put(server, "key", bytes("x"))
      put(server, "key", bytes("x"), "private")
      expect(text((yield* store.get("key")).bytes)).toBe("x")
      expect(server.requests[0]?.headers["authorization"]).toBeUndefined()
      const closed = yield* S3ObjectStore.make({ ...optionsFor(server), bucket: "private", anonymous: true })
      expect(yield* Effect.flip(closed.get("key"))).toMatchObject({ reason: { _tag: "PermissionDenied" } })
    })
  )

  it.live("find a bucket that does not exist", () =>
    Effect.gen(function* () {
      const { store } = yield* open({}, { bucket: "nowhere" })
      for (const request of [store.get("key"), store.head("key"), Stream.runDrain(store.list(""))]) {
        expect(yield* Effect.flip(request)).toMatchObject({ reason: { _tag: "NotFound" } })
      }
      const created = yield* Effect.flip(store.put("key", bytes("x"), { mode: ObjectStore.create }))
      expect(created).toMatchObject({ reason: { _tag: "NotFound" } })
      expect(created.message).toContain("NoSuchBucket")
      const updated = yield* Effect.flip(store.put("key", bytes("x"), { mode: ObjectStore.update({ etag: '"a"' }) }))
      expect(updated).toMatchObject({ reason: { _tag: "NotFound" } })
    })
  )
})

describe("a bucket in another region", () => {
  it.live.each([301, 400] as const)("is found by the %i that names it, once for the store", (wrongRegion) =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ buckets: { bucket: { region: "eu-west-1" } }, wrongRegion })
      const version = yield* store.put("key", bytes("x"), { mode: ObjectStore.create })
      yield* store.put("key", bytes("y"), { mode: ObjectStore.update(version) })
      expect(text((yield* store.get("key")).bytes)).toBe("y")
      expect(server.requests.map(({ status }) => status)).toEqual([wrongRegion, 200, 200, 200])
      expect(server.requests[1]?.headers["authorization"]).toContain("/eu-west-1/s3/")
    })
  )

  it.live("that the store names wrongly is not looked for again and again", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      let asked = 0
      server.faults = () => ({ _tag: "Answer", status: 301, headers: { "x-amz-bucket-region": `r-${asked++}` } })
      const error = yield* Effect.flip(store.get("key"))
      expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
      expect(server.requests).toHaveLength(2)
    })
  )

  it.live("is not followed to a name that is no region", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      server.faults = () => ({ _tag: "Answer", status: 301, headers: { "x-amz-bucket-region": "evil.example/" } })
      yield* Effect.flip(store.get("key"))
      expect(server.requests).toHaveLength(1)
    })
  )
})

describe("headers", () => {
  it.live("of the user go with reads or writes; those of the dialect win; all are signed", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const store = yield* S3ObjectStore.makeWith(
        {
          ...optionsFor(server),
          requesterPays: true,
          readHeaders: { "X-Mine": "read", "x-required": "user", "Cache-Control": "max-age=1" },
          writeHeaders: { "X-Mine": "write", "X-REQUIRED": "user" }
        },
        {
          ...S3Dialect.forEndpoint(server.endpoint),
          readHeaders: { "X-Required": "dialect", "cache-control": "no-cache" },
          writeHeaders: { "X-Required": "dialect" }
        }
      )
      yield* store.put("key", bytes("x"), { mode: ObjectStore.create, contentType: "text/x" })
      yield* store.get("key")
      yield* store.head("key")
      yield* Stream.runDrain(store.list(""))
      yield* store.copy("key", "other")
      yield* store.delete(["key"])
      yield* store.delete(["key", "other"])
      for (const { headers, operation } of server.requests) {
        const isRead = ["GetObject", "HeadObject", "ListObjectsV2"].includes(operation)
        expect(headers).toMatchObject({
          "x-mine": isRead ? "read" : "write",
          "x-required": "dialect",
          "x-amz-request-payer": "requester"
        })
        expect(headers["authorization"]).toMatch(/SignedHeaders=[^,]*x-mine;x-required/)
        if (isRead) expect(headers["cache-control"]).toBe("no-cache")
      }
      expect(server.requests).toHaveLength(7)
      expect(server.requests[0]?.headers["content-type"]).toBe("text/x")
    })
  )
})

describe("S3ObjectStore.layerConfig", () => {
  it.live("makes a store of what Config says", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const env = {
        S3_BUCKET: "bucket",
        S3_PREFIX: "p",
        AWS_REGION: "us-east-1",
        AWS_ENDPOINT_URL: server.endpoint,
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "secret"
      }
      const write = Effect.flatMap(ObjectStore.ObjectStore, (store) => store.put("key", bytes("x")))
      const provider = ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
      yield* write.pipe(Effect.provide(Layer.provide(S3ObjectStore.layerConfig(), provider)))
      const custom = S3ObjectStore.layerConfig({
        bucket: Config.String("S3_BUCKET"),
        endpoint: Config.String("AWS_ENDPOINT_URL"),
        region: Config.succeed("us-east-1"),
        credentials: Config.succeed(accessKey("test", "secret"))
      })
      yield* write.pipe(Effect.provide(Layer.provide(custom, provider)))
      expect([...server.service.buckets.get("bucket")!.objects.keys()]).toEqual(["p/key", "key"])
    })
  )
})

describe("a client that exists already", () => {
  it.live("is used without its repetitions, and stays open", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const client = new S3Client({
        endpoint: server.endpoint,
        region: "us-east-1",
        forcePathStyle: true,
        maxAttempts: 5,
        credentials: { accessKeyId: "test", secretAccessKey: "secret" }
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => client.destroy()))
      const use = Effect.gen(function* () {
        const store = yield* ObjectStore.ObjectStore
        yield* store.put("key", bytes("x"), { mode: ObjectStore.create })
        server.faults = () => ({ _tag: "Answer", status: 500 })
        yield* Effect.flip(store.get("key"))
        server.faults = () => undefined
        return store
      }).pipe(
        Effect.provide(
          S3ObjectStore.layerClient(client, { bucket: "bucket", conditionalPut: true, retry: { times: 0 } })
        )
      )
      const store = yield* use
      expect(server.requests).toHaveLength(2)
      expect(store.origin).toMatchObject({ platform: "s3", endpoint: server.endpoint, region: "us-east-1" })
      yield* use.pipe(Effect.flip)
      expect(server.requests).toHaveLength(4)
    })
  )

  it.live("for Tigris is refused", () =>
    Effect.gen(function* () {
      const client = new S3Client({ endpoint: "https://t3.storage.dev", region: "auto" })
      const error = yield* Effect.flip(
        Effect.provide(ObjectStore.ObjectStore, S3ObjectStore.layerClient(client, { bucket: "bucket" }))
      )
      expect(error._tag).toBe("TigrisEndpoint")
    })
  )
})
