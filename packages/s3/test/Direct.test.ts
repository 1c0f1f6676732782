/** Requests past the SDK's layers are those that the SDK makes, and mean the same. */
import { S3Client } from "@aws-sdk/client-s3"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Route from "../src/internal/Route.ts"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import type * as S3Options from "../src/S3Options.ts"
import * as S3Server from "./support/S3Server.ts"
import { fast, optionsFor } from "./support/TestStores.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Ways {
  readonly server: S3Server.S3Server
  readonly direct: ObjectStore.ObjectStoreShape
  readonly sdk: ObjectStore.ObjectStoreShape
}

/** The same store twice, with a client of its own and through one of the user's. */
const bothWays = (options: Partial<S3Options.StoreOptions> = {}): Effect.Effect<Ways, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* S3Server.start()
    const given = { ...optionsFor(server), retry: { ...fast, times: 1 }, ...options }
    const direct = yield* Effect.orDie(S3ObjectStore.make(given))
    const client = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new S3Client({
            endpoint: server.endpoint,
            region: "us-east-1",
            forcePathStyle: true,
            credentials: { accessKeyId: "test", secretAccessKey: "secret" },
            requestChecksumCalculation: "WHEN_REQUIRED",
            responseChecksumValidation: "WHEN_REQUIRED"
          })
      ),
      (client) => Effect.sync(() => client.destroy())
    )
    const context = yield* Effect.orDie(Layer.build(S3ObjectStore.layerClient(client, given)))
    return { server, direct, sdk: Context.get(context, ObjectStore.ObjectStore) }
  })

/** Headers that only the SDK sends, or that say who sends it and when. */
const own = /^(?:amz-sdk-.*|x-amz-user-agent|user-agent|authorization|x-amz-date|connection|x-amz-meta-icechunk.*)$/

const sent = ({ body, headers, method, url }: S3Server.Recorded): object => ({
  method,
  path: url.replace(/\?x-id=\w+$/, ""),
  body: Buffer.from(body).toString(),
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !own.test(name)))
})

const isDirect = ({ headers }: S3Server.Recorded): boolean => headers["user-agent"] === "effect-icechunk"

type Requests = (store: ObjectStore.ObjectStoreShape) => Effect.Effect<unknown, unknown>

describe("a request", () => {
  it.live("is the one that the SDK makes: keys, conditions, metadata and further headers", () =>
    Effect.gen(function* () {
      const { direct, sdk, server } = yield* bothWays({
        prefix: "p é",
        requesterPays: true,
        readHeaders: { "Cache-Control": "no-cache", "X-Amz-Expected-Bucket-Owner": "1" },
        writeHeaders: { "x-amz-storage-class": "STANDARD" }
      })
      const keys = ["a", "//", "a//b/", "%2F", "a b+c", "é/名/🧊", "?#&=;:@$,", "!'()*~", "\u0001\n\t", "__proto__"]
      const requests: ReadonlyArray<Requests> = [
        ...keys.flatMap((key): ReadonlyArray<Requests> => [
          (store) => store.put(key, bytes(key)),
          (store) => store.get(key),
          (store) => store.head(key)
        ]),
        (store) =>
          store.put("m", bytes("x"), { contentType: "text/x", metadata: { a: "b c", Upper: "Case", empty: "" } }),
        (store) => store.put("e", new Uint8Array(0)),
        (store) => store.put("e", bytes("y"), { mode: ObjectStore.create }),
        (store) => store.put("e", bytes("y"), { mode: ObjectStore.update({ etag: '"nobodys"' }) }),
        (store) => store.get("m", { range: ByteRange.bounded(0, 1), ifMatch: "x", ifUnmodifiedSince: 1234 }),
        (store) => store.get("m", { range: ByteRange.from(1) }),
        (store) => store.get("m", { range: ByteRange.suffix(1), ifNoneMatch: "abc" })
      ]
      for (const request of requests) {
        const outcomes: Array<unknown> = []
        const wires: Array<unknown> = []
        for (const store of [direct, sdk]) {
          const before = server.requests.length
          const exit = yield* Effect.exit(request(store))
          outcomes.push(Exit.isSuccess(exit) ? exit.value : exit.cause.reasons.map(String))
          const made = server.requests.slice(before)
          expect(made.map(isDirect)).toEqual(made.map(() => store === direct))
          wires.push(made.map(sent))
        }
        expect(wires[0]).toEqual(wires[1])
        expect(outcomes[0]).toEqual(outcomes[1])
      }
    })
  )

  const html = { "content-type": "text/html" }
  const answers: ReadonlyArray<Extract<S3Server.Fault, { _tag: "Answer" }>> = [
    ...[301, 302, 304, 307, 400, 401, 403, 404, 405, 408, 409, 411, 412, 416, 418, 429, 499, 500, 501, 503].map(
      (status) => ({ _tag: "Answer", status }) as const
    ),
    ...[
      [301, "PermanentRedirect"],
      [400, "ExpiredToken"],
      [400, "AuthorizationHeaderMalformed"],
      [403, "AccessDenied"],
      [403, "SignatureDoesNotMatch"],
      [404, "NoSuchBucket"],
      [404, "NoSuchKey"],
      [409, "ConditionalRequestConflict"],
      [412, "PreconditionFailed"],
      [503, "SlowDown"],
      [500, "Who knows"]
    ].map(([status, code]) => ({ _tag: "Answer", status: status as number, code: code as string }) as const),
    { _tag: "Answer", status: 200, body: "<html></html>", headers: html },
    { _tag: "Answer", status: 200, body: "" },
    { _tag: "Answer", status: 200, body: "<Error><Code>InternalError</Code></Error>" },
    { _tag: "Answer", status: 200, body: "<Error><Code>Novel</Code></Error>" },
    { _tag: "Answer", status: 403, body: "<html>Error</html>", headers: html },
    { _tag: "Answer", status: 500, body: "<Error><Code>Slow" },
    { _tag: "Answer", status: 404, body: "<Error><Message>a &lt;b&gt; &amp;#60; &quot;</Message></Error>" },
    { _tag: "Answer", status: 500, body: "x".repeat(100_000) },
    { _tag: "Answer", status: 503, code: "SlowDown", headers: { "retry-after": "0" } },
    { _tag: "Answer", status: 400, code: "Elsewhere", headers: { "x-amz-bucket-region": "us-east-1" } },
    { _tag: "Answer", status: 206, body: "abc", headers: { etag: '"a"', "content-range": "bytes 0-2/9" } },
    {
      _tag: "Answer",
      status: 200,
      body: "abc",
      headers: { etag: '"a"', "last-modified": "Thu, 01 Jan 1970 00:00:05 GMT" }
    }
  ]
  const operations: ReadonlyArray<readonly [string, Requests]> = [
    ["get", (store) => store.get("key")],
    ["a range", (store) => store.get("key", { range: ByteRange.bounded(0, 3) })],
    ["head", (store) => store.head("key")],
    ["put", (store) => store.put("key", bytes("x"))],
    ["create", (store) => store.put("key", bytes("x"), { mode: ObjectStore.create })],
    ["update", (store) => store.put("key", bytes("x"), { mode: ObjectStore.update({ etag: '"b"' }) })]
  ]

  it.live.each(operations)("%s has the same outcome as through the SDK, whatever the answer", ([, operation]) =>
    Effect.gen(function* () {
      const { direct, sdk, server } = yield* bothWays()
      for (const answer of answers) {
        server.faults = () => answer
        const outcomes: Array<unknown> = []
        for (const store of [direct, sdk]) {
          const before = server.requests.length
          const result = yield* Effect.result(operation(store))
          outcomes.push({
            answer,
            requests: server.requests.slice(before).map(({ method }) => method),
            result:
              result._tag === "Success"
                ? result.success
                : { text: String(result.failure), reason: (result.failure as { readonly reason: unknown }).reason }
          })
        }
        expect(outcomes[0]).toEqual(outcomes[1])
      }
    })
  )
})

describe("the way past the SDK", () => {
  it.live("signs with the store's clock once the store says that this one is wrong, if it says its time", () =>
    Effect.gen(function* () {
      const { direct, server } = yield* bothWays()
      const dates = Effect.fnUntraced(function* (date: string) {
        const before = server.requests.length
        server.faults = () =>
          server.requests.length > before + 1
            ? undefined
            : { _tag: "Answer", status: 403, code: "RequestTimeTooSkewed", headers: { date } }
        yield* Effect.result(direct.get("key"))
        return server.requests.slice(before).map(({ headers }) => headers["x-amz-date"]!.slice(0, 4))
      })
      const now = String(new Date().getUTCFullYear())
      expect(yield* dates("no date")).toEqual([now, now])
      expect(yield* dates("Sat, 06 Nov 2094 08:49:37 GMT")).toEqual([now, "2094"])
    })
  )

  it.live("is that of the endpoint that the SDK resolves, found once", () =>
    Effect.gen(function* () {
      const route = (
        bucket: string,
        config: ConstructorParameters<typeof S3Client>[0] = {}
      ): Effect.Effect<Route.Route | undefined> =>
        Effect.promise(() => Route.find(new S3Client({ region: "eu-central-1", ...config }), bucket))
      const purpose = { region: "eu-central-1", service: "s3" }
      expect(yield* route("bucket")).toEqual({
        origin: "https://bucket.s3.eu-central-1.amazonaws.com",
        host: "bucket.s3.eu-central-1.amazonaws.com",
        base: "/",
        purpose
      })
      expect(yield* route("my.bucket")).toMatchObject({
        origin: "https://s3.eu-central-1.amazonaws.com",
        base: "/my.bucket/"
      })
      expect(yield* route("bucket", { useDualstackEndpoint: true, useFipsEndpoint: true })).toMatchObject({
        origin: "https://bucket.s3-fips.dualstack.eu-central-1.amazonaws.com"
      })
      const endpoint = "http://127.0.0.1:9000/below/"
      expect(yield* route("bucket", { endpoint, forcePathStyle: true })).toEqual({
        origin: "http://127.0.0.1:9000",
        host: "127.0.0.1:9000",
        base: "/below/bucket/",
        purpose
      })
    })
  )

  it.live("is not taken where the SDK does more: access points, and directory buckets with their sessions", () =>
    Effect.gen(function* () {
      for (const bucket of [
        "arn:aws:s3:eu-central-1:123456789012:accesspoint/name",
        "arn:aws:s3::123456789012:accesspoint/name.mrap",
        "bucket--euc1-az1--x-s3"
      ]) {
        const client = new S3Client({ region: "eu-central-1", useArnRegion: true })
        expect(yield* Effect.promise(() => Route.find(client, bucket))).toBe(undefined)
      }
    })
  )

  it.live("is closed with the store, after which nothing is asked again and again", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const scope = yield* Scope.make()
      const store = yield* Scope.provide(
        S3ObjectStore.make({ ...optionsFor(server), retry: { baseDelay: "1 hour" } }),
        scope
      )
      yield* store.put("key", bytes("x"))
      expect(server.openConnections()).toBe(1)
      yield* Effect.all([server.oneClosed, Scope.close(scope, Exit.void)], { concurrency: 2 })
      const error = yield* Effect.flip(store.get("key"))
      expect(error).toMatchObject({ reason: { _tag: "Unavailable" } })
      expect(server.requests).toHaveLength(1)
    })
  )

  it.live("takes the credentials that the SDK finds in the environment", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      yield* Effect.acquireRelease(
        Effect.sync(() => Object.assign(process.env, { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "secret" })),
        () =>
          Effect.sync(() => {
            delete process.env["AWS_ACCESS_KEY_ID"]
            delete process.env["AWS_SECRET_ACCESS_KEY"]
          })
      )
      const store = yield* S3ObjectStore.make({ ...optionsFor(server), credentials: Credentials.environment() })
      yield* store.put("key", bytes("x"))
      expect(server.requests.map(isDirect)).toEqual([true])
      expect(server.requests[0]?.headers["authorization"]).toContain("Credential=test/")
    })
  )
})
