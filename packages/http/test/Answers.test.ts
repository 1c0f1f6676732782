/** What servers answer that they should not, and what a reader is told. */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import type { GetOptions } from "@effect-icechunk/core/ObjectStore"
import type { Reason } from "@effect-icechunk/core/ObjectStoreError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Fetch, type FetchFunction } from "../src/Fetch.ts"
import type * as HttpOptions from "../src/HttpOptions.ts"
import { files, open, pattern, reasonOf } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

const bytes = pattern(1000)
const time = Date.UTC(2026, 0, 2, 3, 4, 5)
const range = ByteRange.bounded(100, 50)

const serving = Effect.fnUntraced(function* (options?: Partial<HttpOptions.HttpOptions>) {
  const server = yield* WebServer.make
  server.find = files({ "/data/a": { bytes, etag: '"one"', lastModified: time } })
  const store = yield* open({ url: `${server.url}/data` }, options)
  return { server, store }
})

interface Row {
  readonly name: string
  readonly fault: WebServer.Fault
  readonly get?: GetOptions
  readonly tag: Reason["_tag"]
  /** Requests that are made. */
  readonly times: number
  readonly says: string
}

const status = (
  status: number,
  others?: { readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
): WebServer.Fault => ({
  _tag: "Status",
  status,
  ...others
})

const headers = (headers: Readonly<Record<string, string | null>>): WebServer.Fault => ({ _tag: "Headers", headers })

const html = { "content-type": "text/html; charset=utf-8" }
const xml = { "content-type": "application/xml" }

const rows: ReadonlyArray<Row> = [
  { name: "401", fault: status(401), tag: "Unauthenticated", times: 1, says: "HTTP status 401" },
  {
    name: "403 with the code of S3",
    fault: status(403, { body: "<Error><Code>AccessDenied</Code></Error>", headers: xml }),
    tag: "PermissionDenied",
    times: 1,
    says: "403 `AccessDenied`"
  },
  { name: "404", fault: status(404), tag: "NotFound", times: 1, says: "does not exist" },
  { name: "410", fault: status(410), tag: "NotFound", times: 1, says: "does not exist" },
  { name: "412", fault: status(412), tag: "PreconditionFailed", times: 1, says: "changed" },
  { name: "429", fault: status(429), tag: "RateLimited", times: 3, says: "rate limited" },
  { name: "500", fault: status(500), tag: "Unavailable", times: 3, says: "HTTP status 500" },
  { name: "503", fault: status(503), tag: "Unavailable", times: 3, says: "HTTP status 503" },
  { name: "501", fault: status(501), tag: "Unsupported", times: 1, says: "HTTP status 501" },
  { name: "418", fault: status(418), tag: "Unsupported", times: 1, says: "HTTP status 418" },
  { name: "204", fault: status(204), tag: "InvalidResponse", times: 1, says: "HTTP status 204" },
  {
    name: "a web page where a file is asked for",
    fault: status(200, { body: "<!doctype html>", headers: html }),
    get: {},
    tag: "InvalidResponse",
    times: 1,
    says: "a web page came"
  },
  {
    name: "a web page where a range is asked for",
    fault: status(200, { body: "<!doctype html>", headers: html }),
    tag: "InvalidResponse",
    times: 1,
    says: "a web page came"
  },
  {
    name: "206 where the whole is asked for",
    fault: status(206, { body: "some", headers: { "content-range": "bytes 0-3/10" } }),
    get: {},
    tag: "InvalidResponse",
    times: 1,
    says: "206 where a whole object"
  },
  {
    name: "another `Content-Range`",
    fault: headers({ "content-range": "bytes 0-49/1000" }),
    tag: "InvalidResponse",
    times: 1,
    says: "`bytes 0-49/1000` where `bytes=100-149`"
  },
  {
    name: "a `Content-Range` in other units",
    fault: headers({ "content-range": "items 100-149/1000" }),
    tag: "InvalidResponse",
    times: 1,
    says: "`items 100-149/1000`"
  },
  {
    name: "a `Content-Range` without the size",
    fault: headers({ "content-range": "bytes 100-149/*" }),
    tag: "InvalidResponse",
    times: 1,
    says: "`bytes 100-149/*`"
  },
  {
    name: "no `Content-Range`",
    fault: headers({ "content-range": null }),
    tag: "InvalidResponse",
    times: 1,
    says: "`Content-Range` is absent"
  },
  {
    name: "a range in parts",
    fault: headers({ "content-range": null, "content-type": "multipart/byteranges; boundary=x" }),
    tag: "InvalidResponse",
    times: 1,
    says: "multipart/byteranges"
  },
  {
    name: "a compressed range",
    fault: { _tag: "Gzip" },
    tag: "InvalidResponse",
    times: 1,
    says: "`Content-Encoding: gzip`"
  },
  {
    name: "half a body of a range",
    fault: { _tag: "Truncate" },
    tag: "InvalidResponse",
    times: 3,
    says: "the connection broke"
  },
  {
    name: "half a body",
    fault: { _tag: "Truncate" },
    get: {},
    tag: "InvalidResponse",
    times: 3,
    says: "the connection broke"
  },
  {
    name: "a body that is shorter than its range",
    fault: { _tag: "Length", by: -1 },
    tag: "InvalidResponse",
    times: 3,
    says: "49 of 50 bytes"
  },
  {
    name: "a body that is longer than its range",
    fault: { _tag: "Length", by: 1 },
    tag: "InvalidResponse",
    times: 3,
    says: "more than the 50 bytes"
  },
  {
    name: "an endless body of a range",
    fault: { _tag: "Endless" },
    tag: "InvalidResponse",
    times: 3,
    says: "more than the 50 bytes"
  },
  {
    name: "an endless body",
    fault: { _tag: "Endless" },
    get: { maxBytes: 100_000 },
    tag: "Unsupported",
    times: 1,
    says: "more than the 100000 bytes"
  },
  {
    name: "no answer",
    fault: { _tag: "Drop" },
    tag: "Unavailable",
    times: 3,
    says: "could not be reached. Check its name"
  },
  {
    name: "a redirect",
    fault: status(302, { headers: { location: "https://elsewhere.example/data/a?token=secret" } }),
    tag: "InvalidResponse",
    times: 1,
    says: "the server redirects to `https://elsewhere.example`; give a URL there"
  },
  {
    name: "an object whose ETag is another one",
    fault: status(200, { body: "new", headers: { etag: '"two"' } }),
    get: { range, ifMatch: '"one"' },
    tag: "PreconditionFailed",
    times: 1,
    says: 'its ETag is now `"two"`'
  },
  {
    name: "an object that was modified",
    fault: headers({ "last-modified": new Date(time + 60_000).toUTCString() }),
    get: { range, ifUnmodifiedSince: time },
    tag: "PreconditionFailed",
    times: 1,
    says: "it was modified at"
  },
  {
    name: "an object without the ETag to check it by",
    fault: headers({ etag: null }),
    get: { range, ifMatch: '"one"' },
    tag: "InvalidResponse",
    times: 1,
    says: "the server sends none"
  },
  {
    name: "an object without the time to check it by",
    fault: headers({ "last-modified": null }),
    get: { range, ifUnmodifiedSince: time },
    tag: "InvalidResponse",
    times: 1,
    says: "no `Last-Modified`"
  }
]

describe("an answer", () => {
  for (const { fault, get, name, says, tag, times } of rows) {
    it.live(`with ${name} is ${tag}, after ${times} ${times === 1 ? "request" : "requests"}`, () =>
      Effect.gen(function* () {
        const { server, store } = yield* serving()
        server.fault = () => fault
        const { message, reason } = yield* reasonOf(store.get("a", get ?? { range }))
        assert.strictEqual(reason._tag, tag, message)
        assert.include(message, says)
        assert.include(message, `\`${server.url}/data\``)
        assert.notInclude(message, "secret")
        assert.strictEqual(server.asked.length, times)
        assert.isBelow(server.sent(), 64_000_000, "an endless body is not read to its end")
      })
    )
  }

  it.live("that comes late or stops coming is given up, and its connection closed", () =>
    Effect.gen(function* () {
      for (const fault of [{ _tag: "Hang" }, { _tag: "Stall" }] as const) {
        const { server, store } = yield* serving({ idleTimeout: "50 millis", retry: { times: 0 } })
        server.fault = () => fault
        const { message, reason } = yield* reasonOf(store.get("a", { range }))
        assert.strictEqual(reason._tag, "Unavailable")
        assert.include(message, fault._tag === "Hang" ? "no answer came for 50ms" : "after 25 bytes for 50ms")
        while (server.underWay() > 0) yield* Effect.sleep("5 millis")
      }
    })
  )

  it.live("that nobody waits for is ended", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      server.fault = () => ({ _tag: "Stall" })
      const fiber = yield* Effect.forkChild(store.get("a", { range }))
      while (server.underWay() === 0) yield* Effect.sleep("5 millis")
      yield* Fiber.interrupt(fiber)
      while (server.underWay() > 0) yield* Effect.sleep("5 millis")
      assert.strictEqual(server.asked.length, 1)
    })
  )

  it.live("after a failure that passes is read", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      const faults: ReadonlyArray<WebServer.Fault> = [status(503), { _tag: "Drop" }]
      server.fault = (_, nth) => faults[nth - 1]
      assert.deepStrictEqual((yield* store.get("a", { range })).bytes, bytes.slice(100, 150))
      assert.strictEqual(server.asked.length, 3)
    })
  )

  it.live("that was compressed is read as a whole", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      server.fault = () => ({ _tag: "Gzip" })
      const { bytes: read, meta } = yield* store.get("a")
      assert.deepStrictEqual(read, bytes)
      assert.strictEqual(meta.size, 1000)
    })
  )

  it.live("of a server without HEAD is asked for by its first byte", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      for (const fault of [status(405), status(403), headers({ "content-length": null })]) {
        server.asked.length = 0
        server.fault = ({ method }) => (method === "HEAD" ? fault : undefined)
        const { lastModified, size, version } = yield* store.head("a")
        assert.deepStrictEqual([size, lastModified, version.etag], [1000, time, '"one"'])
        assert.deepStrictEqual(
          server.asked.map(({ headers, method }) => [method, headers.range]),
          [
            ["HEAD", undefined],
            ["GET", "bytes=0-0"]
          ]
        )
      }
    })
  )
})

describe("a server that ignores ranges", () => {
  const ignoring: WebServer.Fault = { _tag: "IgnoreRanges" }

  it.live("sends an object once for many ranges at the same time", () =>
    Effect.gen(function* () {
      for (const chunked of [false, true]) {
        const { server, store } = yield* serving()
        server.fault = () => ({ _tag: "IgnoreRanges", chunked })
        const read = yield* Effect.forEach(
          [0, 1, 2, 3, 4],
          (i) => store.get("a", { range: ByteRange.bounded(i * 100, 50) }),
          { concurrency: "unbounded" }
        )
        read.forEach(({ bytes: part, meta, span }, i) => {
          assert.deepStrictEqual(part, bytes.slice(i * 100, i * 100 + 50))
          assert.deepStrictEqual({ ...span }, { start: i * 100, end: i * 100 + 50 })
          assert.strictEqual(meta.size, 1000)
          part.fill(0)
        })
        const { bytes: again } = yield* store.get("a", { range: ByteRange.suffix(10) })
        assert.deepStrictEqual(again, bytes.slice(990))
      }
    })
  )

  it.live("has its body read by one of those that ask at the same time, and by no other", () =>
    Effect.gen(function* () {
      let answers = 0
      let read = 0
      const fetch: FetchFunction = async () => {
        answers++
        const body = new ReadableStream<Uint8Array>(
          {
            pull: (controller) => {
              read++
              controller.enqueue(bytes.slice())
              controller.close()
            }
          },
          { highWaterMark: 0 }
        )
        return new Response(body)
      }
      const store = yield* Effect.provideService(open({ url: "https://data.example" }), Fetch, fetch)
      yield* Effect.forEach([1, 2, 3], () => store.get("a", { range }), { concurrency: 3 })
      assert.deepStrictEqual([answers, read], [3, 1])
    })
  )

  it.live("is asked whether an object still is the same, and for a file that never changes not at all", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      server.find = files({
        "/data/a": { bytes, etag: '"one"' },
        "/data/chunks/A": { bytes, etag: '"chunk"' }
      })
      server.fault = () => ignoring
      for (const key of ["a", "chunks/A"]) {
        server.asked.length = 0
        yield* store.get(key, { range })
        const first = server.sent()
        assert.deepStrictEqual((yield* store.get(key, { range })).bytes, bytes.slice(100, 150))
        assert.strictEqual(server.sent(), first, "no byte of it comes again")
        assert.deepStrictEqual(
          server.asked.map(({ headers }) => headers["if-none-match"]),
          key === "a" ? [undefined, '"one"'] : [undefined]
        )
      }
      server.find = files({ "/data/a": { bytes: pattern(1000, 1), etag: '"two"' } })
      const { bytes: changed, meta } = yield* store.get("a", { range })
      assert.deepStrictEqual(changed, pattern(1000, 1).slice(100, 150))
      assert.strictEqual(meta.version.etag, '"two"')
    })
  )

  it.live("is not read where the object is large, and the error says how large one may be", () =>
    Effect.gen(function* () {
      for (const chunked of [false, true]) {
        const { server, store } = yield* serving({ wholeBodyLimit: 999 })
        server.fault = () => ({ _tag: "IgnoreRanges", chunked })
        const { message, reason } = yield* reasonOf(store.get("a", { range }))
        assert.strictEqual(reason._tag, "Unsupported")
        assert.include(message, chunked ? "more than 999 bytes" : "has 1000 bytes")
        assert.include(message, "`wholeBodyLimit`")
        assert.strictEqual(server.asked.length, 1)
      }
    })
  )

  it.live("whose answer breaks is asked again by those that waited for it", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      let broken = 0
      server.fault = () => ({ _tag: "IgnoreRanges", broken: broken++ === 0 })
      const read = yield* Effect.forEach([0, 1], () => store.get("a", { range }), { concurrency: 2 })
      for (const { bytes: part } of read) assert.deepStrictEqual(part, bytes.slice(100, 150))
    })
  )

  it.live("is read by the others when the one that reads is interrupted", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving()
      const release: Array<() => void> = []
      server.find = async (_, { headers }) => {
        if (headers.range === "bytes=0-0") await new Promise<void>((resolve) => release.push(resolve))
        return { bytes, etag: '"one"' }
      }
      server.fault = () => ignoring
      const leader = yield* Effect.forkChild(store.get("a", { range: ByteRange.bounded(0, 1) }))
      while (release.length === 0) yield* Effect.sleep("1 millis")
      const other = yield* Effect.forkChild(store.get("a", { range }))
      yield* Fiber.interrupt(leader)
      assert.deepStrictEqual((yield* Fiber.join(other)).bytes, bytes.slice(100, 150))
      release.forEach((resolve) => resolve())
    })
  )
})
