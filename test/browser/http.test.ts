/**
 * `http` in a real Chromium, in a page of another origin: what CORS shows and hides, what the browser asks first, what its
 * cache answers.
 */
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as WebServer from "../../packages/http/test/support/WebServer.ts"
import { bundle, explain } from "./Bundle.ts"
import * as Chromium from "./Chromium.ts"
import * as PageServer from "./PageServer.ts"

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)

const hex = (start: number, end: number): string => Buffer.from(bytes.subarray(start, end)).toString("hex")

type Outcomes = Readonly<Record<string, string>>

const allow = { "access-control-allow-origin": "*" }
const expose = { "access-control-expose-headers": "ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges" }

/** A server for each way in which one may be met. */
const servers = Effect.gen(function* () {
  const of = (headers: Readonly<Record<string, string>>, fault?: WebServer.Fault) =>
    Effect.map(WebServer.make, (server) => {
      server.find = () => ({ bytes, etag: '"one"', lastModified: Date.UTC(2026, 0, 2) })
      server.headers = headers
      server.fault = ({ method }) => (method === "OPTIONS" ? undefined : fault)
      return server
    })
  const open = yield* of({ ...allow, ...expose })
  const redirect: WebServer.Fault = { _tag: "Status", status: 302, headers: { location: `${open.url}/a` } }
  return {
    open,
    hidden: yield* of(allow),
    trusted: yield* of(allow),
    closed: yield* of({}),
    secret: yield* of({ ...allow, ...expose, "access-control-allow-headers": "authorization" }),
    gzip: yield* of({ ...allow, ...expose }, { _tag: "Gzip" }),
    ignoring: yield* of({ ...allow, ...expose }, { _tag: "IgnoreRanges" }),
    truncated: yield* of({ ...allow, ...expose }, { _tag: "Truncate" }),
    redirected: yield* of({ ...allow, ...expose }, redirect),
    followed: yield* of({ ...allow, ...expose }, redirect),
    secretFollowed: yield* of({ ...allow, ...expose, "access-control-allow-headers": "authorization" }, redirect)
  }
})

describe("http in a browser", () => {
  const { chromium } = Chromium
  if (chromium === undefined) console.log("Skipped: `http` in a browser. There is no Chromium; CHROME_PATH says where.")
  it.live.skipIf(chromium === undefined)(
    "is told what CORS lets it see, and says what it does not (needs Chromium; CHROME_PATH says where)",
    () =>
      Effect.gen(function* () {
        const all = yield* servers
        const { origin, outcomes } = yield* Effect.promise(async () => {
          const { code, nodeImports } = await bundle({ file: path.join(import.meta.dirname, "httpPage.ts") })
          if (nodeImports.length > 0) assert.fail(explain(nodeImports))
          const setup = Object.fromEntries(Object.entries(all).map(([name, { url }]) => [name, url]))
          await using page = await PageServer.serve<Outcomes>({ code, setup })
          await using browser = Chromium.open(chromium!, page.origin)
          return { outcomes: await Promise.race([page.report, browser.ended]), origin: page.origin }
        })
        assert.notProperty(outcomes, "error", outcomes["error"])
        const is = (name: string, expected: string): void => assert.strictEqual(outcomes[name], expected, name)
        const says = (name: string, ...texts: ReadonlyArray<string>): void =>
          texts.forEach((text) => assert.include(outcomes[name], text, name))
        const part = `${hex(100, 150)} of 1000, "one"`
        const whole = `${hex(0, 1000)} of 1000, "one"`

        for (const key of ["a", "chunks/A"]) {
          for (const name of ["open", "secret", "ignoring"]) {
            is(`${name} whole ${key}`, whole)
            is(`${name} checked ${key}`, part)
            is(`${name} range ${key}`, part)
            says(`${name} changed ${key}`, "PreconditionFailed", 'its ETag is now `"one"`')
            says(`${name} known ${key}`, "NotModified")
            says(`${name} beyond ${key}`, "InvalidRange")
            is(`${name} head`, "1000")
          }
          // The browser asks first whether it may ask for the last bytes, and these servers do not say so.
          says(`open suffix ${key}`, "Unavailable", "it is CORS")
          says(`hidden range ${key}`, "InvalidResponse", "Access-Control-Expose-Headers: ETag, Content-Range")
          says(`hidden checked ${key}`, "no `ETag` can be seen")
          is(`hidden whole ${key}`, `${hex(0, 1000)} of 1000, undefined`)
          is(`trusted range ${key}`, `${hex(100, 150)} of 150, undefined`)
          for (const what of ["whole", "range", "checked"]) {
            says(`closed ${what} ${key}`, "Unavailable", `a page of \`${origin}\` may see`, "it is CORS")
            says(`truncated ${what} ${key}`, "InvalidResponse", "the connection broke")
            says(`redirected ${what} ${key}`, "InvalidResponse", "the server redirects; give the URL")
            says(`secretFollowed ${what} ${key}`, "InvalidResponse", "a browser does not say where")
          }
          is(`followed range ${key}`, part)
          is(`gzip whole ${key}`, whole)
          // Some of them the browser itself takes for a broken answer.
          assert.match(outcomes[`gzip range ${key}`]!, /^(?:InvalidResponse|Unavailable): /)
        }
        const asked = (name: keyof typeof all) => all[name].asked
        // Nobody is asked first for what a page may send, nothing is conditional, and what never changes is sent once.
        const preflights = asked("open").filter(({ method }) => method === "OPTIONS")
        assert.isTrue(preflights.every(({ headers }) => headers["access-control-request-headers"] === "range"))
        assert.strictEqual(
          asked("open").filter(
            ({ headers, method, url }) => method === "GET" && url === "/chunks/A" && headers.range === undefined
          ).length,
          1
        )
        // What may have changed is asked for anew, with the browser's own condition.
        const anew = asked("open").filter(
          ({ headers, method, url }) => method === "GET" && url === "/a" && headers.range === undefined
        )
        assert.isAbove(anew.length, 1)
        assert.strictEqual(anew.at(-1)?.headers["if-none-match"], '"one"')
        assert.isTrue(asked("open").every(({ headers }) => headers.cookie === undefined))
      }),
    120_000
  )
})
