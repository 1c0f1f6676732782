/** What is sent, and where. */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Credentials from "@effect-icechunk/core/Credentials"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Observed from "../../core/test/Observed.ts"
import { Fetch } from "../src/Fetch.ts"
import * as HttpObjectStore from "../src/HttpObjectStore.ts"
import type * as HttpOptions from "../src/HttpOptions.ts"
import { files, open, pattern, reasonOf, retry } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

const bytes = pattern(100)

const serving = Effect.gen(function* () {
  const server = yield* WebServer.make
  server.find = () => ({ bytes, etag: '"one"' })
  return server
})

describe("a URL", () => {
  it.live("is kept as it is written: port, escapes and query; keys are escaped by segment", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const store = yield* open({ url: `${server.url}/a%2Fb/c%20d/?X-Signature=s%2Be+c&x=1` })
      assert.strictEqual(store.description, `${server.url}/a%2Fb/c%20d`)
      for (const key of ["repo", "x/y z", "ä?#%+&", "a//b"]) yield* store.get(key)
      assert.deepStrictEqual(
        server.asked.map(({ url }) => url),
        ["repo", "x/y%20z", "%C3%A4%3F%23%25%2B%26", "a//b"].map((key) => `/a%2Fb/c%20d/${key}?X-Signature=s%2Be+c&x=1`)
      )
      server.fault = () => ({ _tag: "Status", status: 403 })
      assert.notInclude((yield* reasonOf(store.get("repo"))).message, "Signature")
    })
  )

  it.effect.each([
    ["ftp://example.org/", "url"],
    ["example.org/repository", "url"],
    ["https://anna:secret@example.org/", "url"],
    ["https://example.org/#part", "url"],
    ["https://", "url"],
    ["https:\\\\example.org", "url"]
  ])("%s is refused, and no secret of it shown", ([url, option]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(HttpObjectStore.make({ url: url! }))
      assert.strictEqual(error._tag, "InvalidHttpOptions")
      assert.strictEqual(error.option, option)
      assert.notInclude(error.message, "secret")
    })
  )

  it.effect.each<readonly [string, Partial<HttpOptions.HttpOptions>]>([
    ["concurrency", { concurrency: 0 }],
    ["wholeBodyLimit", { wholeBodyLimit: -1 }],
    ["retry.times", { retry: { times: 1.5 } }],
    ["headers", { headers: { "a b": "c" } }],
    ["headers", { headers: { "x-key": "a\nb" } }],
    ["headers", { headers: { Range: "bytes=0-1" } }],
    ["credentials", { credentials: Credentials.environment() }],
    ["credentials", { url: "http://example.org", credentials: Credentials.bearerToken({ token: Redacted.make("t") }) }],
    ["credentials", { url: "http://example.org", credentials: Effect.succeed(Credentials.anonymous) }]
  ])("an unusable option, %s, is named", ([option, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(HttpObjectStore.make({ url: "https://example.org", ...options }))
      assert.strictEqual(error.option, option)
    })
  )

  it.live("with `.` and `..` in a key leads nowhere else, whatever the spelling", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const store = yield* open(server)
      for (const key of ["..", "a/../b", "./a", "a/.", "%2e%2e/a", "a/.%2E", "a\\..\\b", ""]) {
        const { reason } = yield* reasonOf(store.get(key))
        assert.strictEqual(reason._tag, "Unsupported", key)
      }
      assert.strictEqual(server.asked.length, 0)
      yield* store.get("a..b/...")
      assert.strictEqual(server.asked[0]?.url, "/a..b/...")
    })
  )
})

describe("credentials", () => {
  it.live("are sent as headers", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const secret = Redacted.make("s3cret")
      const sent = Effect.fnUntraced(function* (options: Partial<HttpOptions.HttpOptions>) {
        server.asked.length = 0
        yield* (yield* open(server, options)).get("a")
        return server.asked[0]!.headers
      })
      assert.isUndefined((yield* sent({})).authorization)
      assert.strictEqual(
        (yield* sent({ credentials: Credentials.bearerToken({ token: secret }) })).authorization,
        "Bearer s3cret"
      )
      const basic = Credentials.basic({ username: "anna", password: secret })
      assert.strictEqual((yield* sent({ credentials: basic })).authorization, "Basic YW5uYTpzM2NyZXQ=")
      const keyed = yield* sent({
        credentials: Credentials.headers({ "X-Api-Key": secret }),
        headers: { "x-client": "me" }
      })
      assert.deepStrictEqual([keyed["x-api-key"], keyed["x-client"]], ["s3cret", "me"])
    })
  )

  it.live(
    "that an Effect fetches are fetched once, again before they expire, and once more when they are refused",
    () =>
      Effect.gen(function* () {
        const server = yield* serving
        let fetched = 0
        let life = 3600_000
        const credentials = Effect.sync(() =>
          Credentials.bearerToken({ token: Redacted.make(`t${++fetched}`), expiresAt: Date.now() + life })
        )
        const store = yield* open(server, { credentials })
        yield* Effect.forEach([1, 2, 3], () => store.get("a"), { concurrency: 3 })
        assert.strictEqual(fetched, 1)
        life = -1
        server.fault = ({ headers }) =>
          headers.authorization === "Bearer t1" ? { _tag: "Status", status: 401 } : undefined
        yield* store.get("a")
        assert.strictEqual(fetched, 2)
        yield* store.get("a")
        assert.strictEqual(fetched, 3, "what has expired is fetched again")
        server.fault = () => ({ _tag: "Status", status: 401 })
        assert.strictEqual((yield* reasonOf(store.get("a"))).reason._tag, "Unauthenticated")
      })
  )

  it.live("that cannot be fetched are said to be", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const problem = "the token service is closed"
      const store = yield* open(server, {
        credentials: Effect.fail(new Credentials.CredentialsUnavailable({ problem }))
      })
      const { message, reason } = yield* reasonOf(store.get("a"))
      assert.strictEqual(reason._tag, "Unauthenticated")
      assert.include(message, problem)
      const wrong = yield* open(server, { credentials: Effect.succeed(Credentials.environment()) })
      assert.include((yield* reasonOf(wrong.get("a"))).message, "`Environment`")
      assert.strictEqual(server.asked.length, 0)
    })
  )

  it.live("of a signing hook are made for each attempt, with a URL or headers", () =>
    Effect.gen(function* () {
      const server = yield* serving
      let times = 0
      const store = yield* open(server, {
        sign: ({ container, headers, method, url }) =>
          Effect.succeed({
            url: `${url}?sig=${++times}`,
            headers: { "x-signed": [method, headers["range"], container].join() }
          })
      })
      server.fault = (_, nth) => (nth === 1 ? { _tag: "Status", status: 503 } : undefined)
      yield* store.get("a", { range: ByteRange.bounded(0, 10) })
      assert.deepStrictEqual(
        server.asked.map(({ headers, url }) => [url, headers["x-signed"]]),
        [
          ["/a?sig=1", "GET,bytes=0-9,"],
          ["/a?sig=2", "GET,bytes=0-9,"]
        ]
      )
      const failing = yield* open(server, {
        sign: () => Effect.fail(new Credentials.CredentialsUnavailable({ problem: "no key" }))
      })
      assert.include((yield* reasonOf(failing.get("a"))).message, "no key")
    })
  )
})

describe("redirects", () => {
  const token = Credentials.bearerToken({ token: Redacted.make("s3cret") })

  it.live("are followed where that is allowed, and no secret goes to another origin", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const other = yield* serving
      server.fault = ({ url }) => {
        if (url === "/a") return { _tag: "Status", status: 302, headers: { location: "/b" } }
        return url === "/b" ? { _tag: "Status", status: 307, headers: { location: `${other.url}/c?d` } } : undefined
      }
      const store = yield* open(server, { redirects: "follow", credentials: token })
      assert.deepStrictEqual((yield* store.get("a", { range: ByteRange.bounded(0, 10) })).bytes, bytes.slice(0, 10))
      assert.deepStrictEqual(
        [...server.asked, ...other.asked].map(({ headers, url }) => [url, headers.authorization, headers.range]),
        [
          ["/a", "Bearer s3cret", "bytes=0-9"],
          ["/b", "Bearer s3cret", "bytes=0-9"],
          ["/c?d", undefined, "bytes=0-9"]
        ]
      )
    })
  )

  it.live("end after a few, and never lead to plain http or to cloud metadata", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const cases: ReadonlyArray<readonly [location: string, says: string]> = [
        ["/again", "more than 5 times"],
        ["http://169.254.169.254/latest/meta-data", "an address of cloud metadata"],
        ["ftp://example.org/a", "the server redirects; give"]
      ]
      for (const [location, says] of cases) {
        server.fault = () => ({ _tag: "Status", status: 301, headers: { location } })
        const store = yield* open(server, { redirects: "follow" })
        const { message, reason } = yield* reasonOf(store.get("a"))
        assert.strictEqual(reason._tag, "InvalidResponse")
        assert.include(message, says)
      }
      const downgrade = yield* HttpObjectStore.make({ url: "https://data.example", redirects: "follow", retry }).pipe(
        Effect.provideService(
          Fetch,
          async () => new Response(null, { status: 301, headers: { location: "http://data.example/a" } })
        )
      )
      assert.include(
        (yield* reasonOf(downgrade.get("a"))).message,
        "from https to `http://data.example`, which is never followed"
      )
    })
  )
})

describe("a store over HTTP", () => {
  it.live("sends conditions where nobody has to be asked first, and asks anew for what changes", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const store = yield* open(server)
      yield* store.get("repo", { ifMatch: "one", ifUnmodifiedSince: 999 }).pipe(Effect.flip)
      yield* reasonOf(store.get("repo", { ifNoneMatch: 'W/"one"' }))
      yield* store.get("chunks/A")
      const [repo, known, chunk] = server.asked.map(({ headers }) => headers)
      assert.deepStrictEqual(
        [repo!["if-match"], repo!["if-unmodified-since"], repo!["cache-control"]],
        ['"one"', "Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"]
      )
      assert.strictEqual(known!["if-none-match"], 'W/"one"')
      assert.notInclude(chunk!["cache-control"] ?? "", "no-cache")
    })
  )

  it.live("compares weak ETags as the others do", () =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      server.find = () => ({ bytes, etag: 'W/"one"' })
      const store = yield* open(server)
      for (const ifMatch of ['W/"one"']) assert.deepStrictEqual((yield* store.get("a", { ifMatch })).bytes, bytes)
      assert.isUndefined(server.asked[0]?.headers["if-match"])
      assert.strictEqual((yield* reasonOf(store.get("a", { ifMatch: 'W/"two"' }))).reason._tag, "PreconditionFailed")
    })
  )

  it.live("has as many requests under way as it is told", () =>
    Effect.gen(function* () {
      const server = yield* serving
      let most = 0
      server.find = async () => {
        most = Math.max(most, server.underWay())
        await new Promise((resolve) => setTimeout(resolve, 5))
        return { bytes }
      }
      const store = yield* open(server, { concurrency: 3 })
      yield* Effect.forEach(Array.from({ length: 20 }), (_, i) => store.get(`${i}`), { concurrency: "unbounded" })
      assert.strictEqual(most, 3)
      assert.strictEqual(store.maxConcurrentRequests, 3)
    })
  )

  it.live("lists nothing and says so", () =>
    Effect.gen(function* () {
      const store = yield* open({ url: "http://127.0.0.1:1" })
      const { message, reason } = yield* reasonOf(Stream.runCollect(store.list("refs/")))
      assert.strictEqual(reason._tag, "Unsupported")
      assert.include(message, "by name")
    })
  )

  it.live("has a span for each attempt, in which no query shows", () =>
    Effect.gen(function* () {
      const server = yield* serving
      const { spans, tracer } = Observed.recording()
      const store = yield* open({ url: `${server.url}/data?token=s3cret` })
      server.fault = (_, nth) => (nth === 1 ? { _tag: "Status", status: 503 } : undefined)
      yield* Effect.provideService(store.get("a"), Tracer.Tracer, tracer)
      assert.deepStrictEqual(
        spans.map(({ attributes, name }) => [name, Object.fromEntries(attributes)]),
        [503, 200].map((status) => [
          "ObjectStore.get",
          {
            store: `${server.url}/data`,
            operation: "get",
            key: "a",
            "http.request.method": "GET",
            "http.response.status_code": status,
            bytes: status === 200 ? 100 : 0
          }
        ])
      )
      assert.notInclude(JSON.stringify(spans.flatMap(({ attributes }) => Array.from(attributes))), "s3cret")
    })
  )

  it.live("in a bucket that may not be listed lacks what is refused and may be missing", () =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      server.find = files({ "/refs/branch.main/ref.json": { bytes } })
      server.fault = ({ url }) =>
        url.startsWith("/refs/branch.main/ref.json") && !url.endsWith(".deleted")
          ? undefined
          : { _tag: "Status", status: 403 }
      const store = yield* open(server)
      for (const key of ["config.json", "config.yaml", "refs/tag.v1/ref.json.deleted", "repo"]) {
        assert.strictEqual((yield* reasonOf(store.get(key))).reason._tag, "NotFound", key)
        assert.strictEqual((yield* reasonOf(store.head(key))).reason._tag, "NotFound", key)
      }
      assert.strictEqual((yield* reasonOf(store.get("snapshots/A"))).reason._tag, "PermissionDenied")
      server.fault = () => ({ _tag: "Status", status: 403 })
      assert.strictEqual((yield* reasonOf(store.get("repo"))).reason._tag, "PermissionDenied")
    })
  )
})
