/** Servers that are no S3, or mean harm: what they answer is neither believed nor read without end. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { S3Client } from "@aws-sdk/client-s3"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Transfer from "@effect-icechunk/core/node/Transfer"
import * as Clients from "../src/S3Client.ts"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import * as S3Options from "../src/S3Options.ts"
import * as S3Server from "./support/S3Server.ts"
import { fast, hostStyleClient, open, optionsFor } from "./support/TestStores.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const page = "<!DOCTYPE html><html><body><form>Please log in</form></body></html>"

/** Bodies of answers with status 200 that no S3 gives. */
const pages: ReadonlyArray<readonly [what: string, type: string, body: string]> = [
  ["an HTML page", "text/html; charset=utf-8", page],
  ["nothing", "text/plain", ""],
  ["JSON", "application/json", '{"ok":true}'],
  ["XML that is cut off", "application/xml", "<?xml version='1.0'?><ListBucketResult><Name>bucket</Name><IsTruncated>"],
  ["other XML", "application/xml", "<html><body>hello</body></html>"]
]

const answerWith = (type: string, body: string, apply = false): S3Server.Fault => ({
  _tag: "Answer",
  status: 200,
  headers: { "content-type": type },
  body,
  apply
})

/** A server that does as it likes; it ends with the Scope. */
const hostile = (
  handle: (request: http.IncomingMessage, response: http.ServerResponse) => void
): Effect.Effect<{ readonly endpoint: string }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = http.createServer((request, response) => {
        response.on("error", () => {})
        request.resume()
        handle(request, response)
      })
      await new Promise<void>((resolve) => {
        server.listen(0, "127.0.0.1", resolve)
      })
      return { server, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    }),
    ({ server }) =>
      Effect.promise(
        () =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            server.closeAllConnections()
          })
      )
  )

const storeOn = (
  server: { readonly endpoint: string },
  options: Partial<S3Options.S3Options> = {}
): Effect.Effect<ObjectStore.ObjectStoreShape, never, Scope.Scope> =>
  Effect.orDie(S3ObjectStore.make({ ...optionsFor(server), ...options }))

/** Writes as long as anybody reads, and says how much that was. */
const pour = (response: http.ServerResponse, ended: (written: number) => void): void => {
  const block = Buffer.alloc(64 * 1024, "x")
  let written = 0
  const more = (): void => {
    while (!response.destroyed) {
      written += block.length
      if (!response.write(block)) {
        response.once("drain", more)
        return
      }
    }
  }
  response.on("close", () => ended(written))
  more()
}

describe("a page with status 200", () => {
  describe.each(pages)("%s", (_, type, body) => {
    it.live("in answer to a conditional put is not a success: the put is made again", () =>
      Effect.gen(function* () {
        const { server, store } = yield* open()
        let left = 2
        server.faults = ({ operation }) =>
          operation === "PutObject" && left-- > 0 ? answerWith(type, body) : undefined
        const version = yield* store.put("key", bytes("mine"), { mode: ObjectStore.create })
        expect((yield* store.get("key")).bytes).toEqual(bytes("mine"))
        expect((yield* store.head("key")).version).toEqual(version)
      })
    )

    it.live("in answer to a conditional put that was applied: the object is recognised", () =>
      Effect.gen(function* () {
        const { server, store } = yield* open()
        const before = yield* store.put("key", bytes("old"))
        server.faults = ({ operation }) => (operation === "PutObject" ? answerWith(type, body, true) : undefined)
        const version = yield* store.put("key", bytes("mine"), { mode: ObjectStore.update(before) })
        expect((yield* store.head("key")).version).toEqual(version)
        expect(server.requests.filter(({ operation }) => operation === "PutObject")).toHaveLength(2)
      })
    )

    it.live("in answer to everything: nothing succeeds", () =>
      Effect.gen(function* () {
        const { server, store } = yield* open({}, { multipartThreshold: 1000 })
        server.faults = () => answerWith(type, body)
        const failing: ReadonlyArray<
          Effect.Effect<unknown, { readonly _tag: string; readonly reason?: { readonly _tag: string } }>
        > = [
          store.put("key", bytes("x")),
          store.put("key", bytes("x"), { mode: ObjectStore.create }),
          store.put("key", bytes("x"), { mode: ObjectStore.update({ etag: '"a"' }) }),
          store.put("key", new Uint8Array(2000)),
          store.get("key"),
          store.get("key", { range: ByteRange.bounded(0, 4) }),
          store.get("key", { ifMatch: '"a"' }),
          store.head("key"),
          Stream.runDrain(store.list("")),
          store.delete(["key"]),
          store.delete(["key", "other"]),
          store.copy("key", "other")
        ]
        for (const [i, operation] of failing.entries()) {
          const error = yield* Effect.flip(operation)
          // An empty answer to a copy is one that the store gave up.
          const tag = body === "" && i === failing.length - 1 ? /InvalidResponse|Unavailable/ : /InvalidResponse/
          expect(error.reason?._tag, `operation ${i}`).toMatch(tag)
        }
      })
    )

    it.live("in answer to the probe for conditions is not believed, in either direction", () =>
      Effect.gen(function* () {
        const { server, store } = yield* open({}, { conditionalPut: "ask" })
        let puts = 0
        server.faults = ({ operation }) => {
          if (operation !== "PutObject") return undefined
          puts += 1
          return puts === 2 ? answerWith(type, body) : undefined
        }
        yield* store.put("a", bytes("x"), { mode: ObjectStore.create })
        expect(puts).toBe(2)
        // Asked again, and answered.
        yield* store.put("b", bytes("x"), { mode: ObjectStore.create })
        expect(puts).toBe(4)
        yield* store.put("c", bytes("x"), { mode: ObjectStore.create })
        expect(puts).toBe(5)
      })
    )
  })

  it.live("412 without the store's error code does not tell that conditions are enforced", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ ignores: ["put"] }, { conditionalPut: "ask" })
      let puts = 0
      server.faults = ({ operation }) => {
        if (operation !== "PutObject") return undefined
        puts += 1
        return puts === 2
          ? { _tag: "Answer", status: 412, headers: { "content-type": "text/html" }, body: page }
          : undefined
      }
      yield* store.put("a", bytes("x"), { mode: ObjectStore.create })
      const error = yield* Effect.flip(store.put("b", bytes("x"), { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
    })
  )
})

describe("an endless answer", () => {
  it.live.each<
    readonly [
      what: string,
      status: number,
      headers: http.OutgoingHttpHeaders,
      read: ByteRange.ByteRange | "list" | undefined
    ]
  >([
    ["to a range", 206, { etag: '"a"', "content-range": "bytes 0-9/100" }, ByteRange.bounded(0, 10)],
    ["to a get of the whole", 200, { etag: '"a"' }, undefined],
    ["to a list", 200, { "content-type": "application/xml" }, "list"],
    ["of an error", 403, { "content-type": "application/xml" }, ByteRange.bounded(0, 10)],
    ["of an error to a list", 404, { "content-type": "application/xml" }, "list"]
  ])("%s is not read on", ([, status, headers, read]) =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<number>()
      const server = yield* hostile((_, response) => {
        response.writeHead(status, headers)
        pour(response, (written) => Deferred.doneUnsafe(ended, Effect.succeed(written)))
      })
      const store = yield* storeOn(server, { retry: { times: 0 } })
      const error = yield* Effect.flip(
        read === "list" ? Stream.runDrain(store.list("")) : Effect.asVoid(store.get("key", { range: read }))
      )
      expect(error.reason._tag).toBe(
        status === 403 ? "PermissionDenied" : status === 404 ? "NotFound" : "InvalidResponse"
      )
      // What was asked for, and what the buffers of the connection hold.
      expect(yield* Deferred.await(ended)).toBeLessThan(32 * 1024 ** 2)
    })
  )
})

describe("an upload in parts that fails", () => {
  it.live("tries again to be rid of the parts when the store does not abort it at once", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { multipartThreshold: 1000, partSize: 500 })
      let aborts = 0
      server.faults = ({ operation }) => {
        if (operation === "UploadPart") return { _tag: "Answer", status: 403, code: "AccessDenied" }
        if (operation !== "AbortMultipartUpload") return undefined
        aborts += 1
        return aborts < 3 ? { _tag: "Answer", status: 503, code: "SlowDown" } : undefined
      }
      yield* Effect.flip(store.put("key", new Uint8Array(2000)))
      expect(aborts).toBe(3)
      expect(server.service.buckets.get("bucket")!.uploads.size).toBe(0)
    })
  )
})

describe("a slow answer", () => {
  it.effect("that keeps coming is not given up, however long it takes", () =>
    Effect.gen(function* () {
      const chunk = Buffer.alloc(100_000, "x")
      const begun = yield* Deferred.make<http.ServerResponse>()
      const server = yield* hostile((_, response) => {
        response.writeHead(200, { etag: '"a"', "content-length": 10 * chunk.length })
        response.flushHeaders()
        Deferred.doneUnsafe(begun, Effect.succeed(response))
      })
      const store = yield* storeOn(server, { requestTimeout: "30 seconds", retry: { times: 0 } })
      const fiber = yield* Effect.forkChild(store.get("key"))
      const response = yield* Deferred.await(begun)
      for (let i = 0; i < 10; i++) {
        // The bytes have come when the client has taken them from the connection.
        yield* Effect.promise(() => new Promise<void>((resolve) => void response.write(chunk, () => resolve())))
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve))))
        yield* TestClock.adjust("20 seconds")
      }
      response.end()
      expect((yield* Fiber.join(fiber)).bytes).toHaveLength(10 * chunk.length)
    })
  )

  it("is given up after silence, or below 1 KiB a second, and uploads have time for their bytes", () => {
    const start = { timeout: 30_000, startedAt: 0, sent: 0, at: 0, received: 0 }
    expect(Transfer.deadline(start)).toBe(30_000)
    expect(Transfer.deadline({ ...start, sent: 64 * 1024 * 100 })).toBe(130_000)
    expect(Transfer.deadline({ ...start, at: 500_000, received: 1024 * 1000 })).toBe(530_000)
    expect(Transfer.deadline({ ...start, at: 500_000, received: 1024 * 10 })).toBe(70_000)
  })
})

describe("where a client sends its requests", () => {
  const env = (variables: Readonly<Record<string, string>>): Effect.Effect<void, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
        Object.assign(process.env, variables)
        return before
      }),
      (before) =>
        Effect.sync(() => {
          for (const [name, value] of before) {
            if (value === undefined) delete process.env[name]
            else process.env[name] = value
          }
        })
    ).pipe(Effect.asVoid)

  const client = (
    config: ConstructorParameters<typeof S3Client>[0] = {}
  ): Effect.Effect<S3Client, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => new S3Client({ region: "us-east-1", ...config })),
      (made) => Effect.sync(() => made.destroy())
    )

  it.live("is seen when the environment tells it: creators of one key do not all win", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ ignores: ["put", "copy", "multipart"] })
      yield* env({ AWS_ENDPOINT_URL_S3: server.endpoint })
      const made = yield* client({
        forcePathStyle: true,
        credentials: { accessKeyId: "test", secretAccessKey: "secret" }
      })
      const store = yield* Effect.provide(
        ObjectStore.ObjectStore,
        S3ObjectStore.layerClient(made, { bucket: "bucket", retry: fast })
      )
      expect(store.origin.endpoint).toBe(server.endpoint)
      const error = yield* Effect.flip(store.put("key", bytes("x"), { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
    })
  )

  it.live("is refused when the environment tells that it is Tigris", () =>
    Effect.gen(function* () {
      yield* env({ AWS_ENDPOINT_URL: "https://t3.storage.dev" })
      const error = yield* Effect.flip(
        Effect.provide(ObjectStore.ObjectStore, S3ObjectStore.layerClient(yield* client(), { bucket: "bucket" }))
      )
      expect(error._tag).toBe("TigrisEndpoint")
    })
  )

  it.live("is AWS without an endpoint, and needs no credentials to be known", () =>
    Effect.gen(function* () {
      const layer = S3ObjectStore.layerClient(yield* client(), { bucket: "bucket" })
      const store = yield* Effect.provide(ObjectStore.ObjectStore, layer)
      expect(store.origin).toMatchObject({ endpoint: undefined, region: "us-east-1" })
      expect(store.capabilities.opaqueKeys).toBe(true)
    })
  )

  it.live.each<readonly [string, Pick<S3Options.S3Options, "bucket" | "endpoint" | "forcePathStyle">]>([
    ["AWS", { bucket: "bucket" }],
    ["AWS with a dotted bucket", { bucket: "my.bucket" }],
    ["AWS in path style", { bucket: "bucket", forcePathStyle: true }],
    ["an endpoint", { bucket: "bucket", endpoint: "https://s3.example.org" }],
    ["an endpoint in host style", { bucket: "bucket", endpoint: "https://s3.example.org:99/", forcePathStyle: false }],
    ["an address", { bucket: "bucket", endpoint: "http://127.0.0.1:9000", forcePathStyle: false }],
    ["capitals", { bucket: "Bucket", endpoint: "https://s3.example.org", forcePathStyle: false }]
  ])("%s: the options say the same of the bucket's place as the client", ([, options]) =>
    Effect.gen(function* () {
      const isPathStyle = S3Options.usesPathStyle(options)
      const made = yield* client({
        forcePathStyle: options.forcePathStyle ?? options.endpoint !== undefined,
        ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint })
      })
      const found = yield* Effect.promise(() => Clients.destination(made, options.bucket))
      expect(found.isPathStyle).toBe(isPathStyle)
      if (options.endpoint !== undefined)
        expect(`${found.endpoint}/`.replace(/\/+$/, "/")).toContain(new URL(options.endpoint).host)
    })
  )
})

describe("a key with a segment `.` or `..`", () => {
  it.live("is refused before a request where the bucket is in the path, and opaque in the name of the host", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      for (const operation of [
        store.get("a/../b"),
        store.head("../b"),
        store.put("./b", bytes("x")),
        store.copy("a/..", "b"),
        store.copy("b", "a/.."),
        store.delete(["b", "a/./b"])
      ]) {
        const error = yield* Effect.flip(Effect.asVoid(operation))
        expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
      }
      expect(server.requests).toHaveLength(0)
      const other = yield* S3Server.start()
      const hosted = yield* Effect.provide(
        ObjectStore.ObjectStore,
        S3ObjectStore.layerClient(yield* hostStyleClient(other), { bucket: "bucket", conditionalPut: true })
      )
      yield* hosted.put("a/../b", bytes("x"))
      expect([...other.service.buckets.get("bucket")!.objects.keys()]).toEqual(["a/../b"])
    })
  )

  it.live("is refused in the prefix of a store", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        S3ObjectStore.make({ ...optionsFor({ endpoint: "http://127.0.0.1:9" }), prefix: "a/../b" })
      )
      expect(error).toMatchObject({ _tag: "InvalidS3Options", option: "prefix" })
      yield* S3ObjectStore.make({ bucket: "bucket", region: "us-east-1", prefix: "a/../b" })
    })
  )
})
