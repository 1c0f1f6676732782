/** What a page is told that may not see everything. */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Credentials from "@effect-icechunk/core/Credentials"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as HttpOptions from "../src/HttpOptions.ts"
import * as Browser from "./support/Browser.ts"
import { files, inBrowser, open, pattern, reasonOf } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

const origin = "https://app.example"
const bytes = pattern(1000)
const time = Date.UTC(2026, 0, 2, 3, 4, 5)
const range = ByteRange.bounded(100, 50)
const allow = { "access-control-allow-origin": "*" }
const expose = { "access-control-expose-headers": "ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges" }

const serving = Effect.fnUntraced(function* (
  headers: Readonly<Record<string, string>>,
  options?: Partial<HttpOptions.HttpOptions>
) {
  const server = yield* WebServer.make
  server.headers = headers
  server.find = files({
    "/a": { bytes, etag: '"one"', lastModified: time },
    "/chunks/A": { bytes, etag: '"chunk"' },
    "/repo": { bytes, etag: '"repo"' }
  })
  const inits: Array<RequestInit> = []
  const browser = Browser.make(origin)
  const recorded: Browser.Browser = {
    ...browser,
    fetch: (url, init) => {
      inits.push(init)
      return browser.fetch(url, init)
    }
  }
  const store = yield* inBrowser(recorded)(open(server, options))
  return { server, store, browser, inits }
})

describe("a page of another origin", () => {
  it.live("reads ranges, ETags and times that are exposed, without asking the server first", () =>
    Effect.gen(function* () {
      const { browser, store } = yield* serving({ ...allow, ...expose })
      const { bytes: part, meta } = yield* store.get("a", { range, ifMatch: '"one"', ifUnmodifiedSince: time })
      assert.deepStrictEqual(part, bytes.slice(100, 150))
      assert.deepStrictEqual({ ...meta }, { key: "a", size: 1000, lastModified: time, version: { etag: '"one"' } })
      const known = yield* reasonOf(store.get("a", { ifNoneMatch: '"one"' }))
      assert.strictEqual(known.reason._tag, "NotModified")
      assert.strictEqual((yield* store.head("a")).size, 1000)
      assert.deepStrictEqual(browser.preflights, [])
    })
  )

  it.live("sends no cookies, and uses the browser's cache for what never changes only", () =>
    Effect.gen(function* () {
      const { inits, server, store } = yield* serving({ ...allow, ...expose })
      server.fault = (_, nth) => (nth === 4 ? { _tag: "Status", status: 503, headers: allow } : undefined)
      for (const key of ["a", "repo", "chunks/A", "chunks/A"]) yield* store.get(key)
      for (const key of ["a", "chunks/A"]) yield* store.get(key, { range })
      assert.deepStrictEqual(
        inits.map(({ cache, credentials, headers }) => [cache, credentials, Object.keys(headers as object).length]),
        [
          ["no-cache", "omit", 0],
          ["no-cache", "omit", 0],
          ["force-cache", "omit", 0],
          ["force-cache", "omit", 0],
          // What came before may be in the cache.
          ["reload", "omit", 0],
          // The browser may put parts of two versions together.
          ["no-store", "omit", 1],
          ["force-cache", "omit", 1]
        ]
      )
    })
  )

  it.live(
    "that may see no `Content-Range` is told which headers to expose, and may say that it trusts the server",
    () =>
      Effect.gen(function* () {
        const { store } = yield* serving(allow)
        const { message, reason } = yield* reasonOf(store.get("a", { range }))
        assert.strictEqual(reason._tag, "InvalidResponse")
        assert.include(
          message,
          "Access-Control-Expose-Headers: ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges"
        )
        assert.include(message, "`trustHiddenRanges: true`")

        const { server, store: trusting } = yield* serving(allow, { trustHiddenRanges: true })
        assert.deepStrictEqual((yield* trusting.get("a", { range })).bytes, bytes.slice(100, 150))
        const rest = yield* trusting.get("a", { range: ByteRange.from(900) })
        assert.deepStrictEqual([rest.bytes.length, rest.meta.size], [100, 1000])
        const last = yield* reasonOf(trusting.get("a", { range: ByteRange.suffix(10) }))
        assert.strictEqual(last.reason._tag, "Unavailable", "the browser asks first, and the server does not allow it")
        server.headers = { ...allow, "access-control-allow-headers": "range" }
        const hidden = yield* reasonOf(trusting.get("a", { range: ByteRange.suffix(10) }))
        assert.include(hidden.message, "`Content-Range` is hidden")
        server.fault = () => ({ _tag: "Length", by: -1 })
        assert.include((yield* reasonOf(trusting.get("a", { range }))).message, "49 of 50 bytes")
      })
  )

  it.live("that is to check an ETag it may not see is told which headers to expose", () =>
    Effect.gen(function* () {
      const { store } = yield* serving({ ...allow, "access-control-expose-headers": "Content-Range" })
      const { message, reason } = yield* reasonOf(store.get("a", { range, ifMatch: '"one"' }))
      assert.strictEqual(reason._tag, "InvalidResponse")
      assert.include(message, "no `ETag` can be seen")
      assert.include(message, "Access-Control-Expose-Headers: ETag,")
      // Times are always shown.
      assert.strictEqual((yield* store.get("a", { range, ifUnmodifiedSince: time })).bytes.length, 50)
    })
  )

  it.live("whose origin is not allowed is told that it may be CORS, and what to send", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving({})
      const { message, reason } = yield* reasonOf(store.get("a", { range }))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.strictEqual(server.asked.length, 3, "it may pass, and is tried again")
      assert.include(message, `\`${server.url}\` gave no answer that a page of \`${origin}\` may see`)
      assert.include(message, `Access-Control-Allow-Origin: ${origin}`)
      assert.notInclude(message, "Allow-Headers")
    })
  )

  it.live("whose credentials are not allowed is told which headers to allow", () =>
    Effect.gen(function* () {
      const credentials = Credentials.basic({ username: "anna", password: Redacted.make("pä$s") })
      const { browser, server, store } = yield* serving({ ...allow, ...expose }, { credentials })
      const { message } = yield* reasonOf(store.get("a"))
      assert.include(message, "`Access-Control-Allow-Headers: authorization`")
      assert.deepStrictEqual(browser.preflights, ["authorization", "authorization", "authorization"])
      server.headers = { ...allow, ...expose, "access-control-allow-headers": "Authorization" }
      assert.deepStrictEqual((yield* store.get("a")).bytes, bytes)
      const sent = server.asked.at(-1)?.headers.authorization ?? ""
      assert.strictEqual(Buffer.from(sent.replace("Basic ", ""), "base64").toString(), "anna:pä$s")
    })
  )

  it.live("reads through an error without CORS headers that passes", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving({ ...allow, ...expose })
      server.fault = (_, nth) => {
        server.headers = nth === 1 ? {} : { ...allow, ...expose }
        return nth === 1 ? { _tag: "Status", status: 503 } : undefined
      }
      assert.deepStrictEqual((yield* store.get("a")).bytes, bytes)
      assert.strictEqual(server.asked.length, 2)
    })
  )

  it.live("that is offline is told so", () =>
    Effect.gen(function* () {
      const { browser, store } = yield* serving({ ...allow, ...expose })
      browser.isOnline = false
      const { message, reason } = yield* reasonOf(store.get("a"))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(message, "the browser is offline")
      browser.isOnline = true
      assert.deepStrictEqual((yield* store.get("a")).bytes, bytes)
    })
  )

  it.live("reads a body that was compressed on the way, which it is not told", () =>
    Effect.gen(function* () {
      const { server, store } = yield* serving({ ...allow, ...expose })
      server.fault = () => ({ _tag: "Gzip" })
      assert.deepStrictEqual((yield* store.get("a")).bytes, bytes)
    })
  )

  it.live("does not load plain http from another machine when it came over https", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(inBrowser(Browser.make(origin))(open({ url: "http://data.example/repository" })))
      assert.strictEqual(error._tag, "InvalidHttpOptions")
      assert.include(
        error.message,
        "`url` is plain http, which a browser does not load into a page that came over https"
      )
      yield* inBrowser(Browser.make(origin))(open({ url: "http://localhost:8080/" }))
      yield* inBrowser(Browser.make("http://app.example"))(open({ url: "http://data.example/repository" }))
    })
  )

  it.live("is redirected only where that is allowed, and with credentials not at all", () =>
    Effect.gen(function* () {
      const target = yield* WebServer.make
      target.find = files({ "/there": { bytes } })
      target.headers = { ...allow, ...expose }
      const redirect: WebServer.Fault = { _tag: "Status", status: 307, headers: { location: `${target.url}/there` } }

      const refusing = yield* serving({ ...allow, ...expose })
      refusing.server.fault = () => redirect
      const refused = yield* reasonOf(refusing.store.get("a"))
      assert.strictEqual(refused.reason._tag, "InvalidResponse")
      assert.include(
        refused.message,
        'the server redirects; give the URL that it redirects to, or make the store with `redirects: "follow"`'
      )

      const following = yield* serving({ ...allow, ...expose }, { redirects: "follow" })
      following.server.fault = () => redirect
      for (let i = 0; i < 2; i++) assert.deepStrictEqual((yield* following.store.get("a")).bytes, bytes)
      assert.deepStrictEqual(
        following.inits.map((init) => init.redirect),
        ["manual", "follow", "follow"]
      )

      const credentials = Credentials.bearerToken({ token: Redacted.make("secret") })
      const secret = yield* serving(
        { ...allow, ...expose, "access-control-allow-headers": "authorization" },
        { redirects: "follow", credentials }
      )
      secret.server.fault = ({ method }) => (method === "OPTIONS" ? undefined : redirect)
      target.asked.length = 0
      const withSecret = yield* reasonOf(secret.store.get("a"))
      assert.include(withSecret.message, "a browser does not say where")
      assert.strictEqual(target.asked.length, 0)
    })
  )
})
