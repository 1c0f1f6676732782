/**
 * Answers of public servers as those who met them have printed them: `fixtures/answers.json` names where, and when. Names of
 * buckets and ids of requests are replaced.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import answers from "./fixtures/answers.json" with { type: "json" }
import * as Browser from "./support/Browser.ts"
import { inBrowser, open, pattern, reasonOf } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

const bytes = pattern(1000)

const withoutUndefined = (headers: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))

describe("an answer that was recorded", () => {
  it.live.each(answers)("$name", (answer) =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      server.fault = () => ({
        _tag: "Status",
        status: answer.status,
        headers: withoutUndefined(answer.headers),
        body: answer.body
      })
      const store = yield* open(server)
      const { message, reason } = yield* reasonOf(store.get("chunks/a"))
      assert.strictEqual(reason._tag, answer.reason, message)
      assert.strictEqual(server.asked.length, answer.requests)
      assert.notInclude(message, "<")
    })
  )

  // https://github.com/source-cooperative/data.source.coop/pull/93 (2025-10-09), before and after.
  it.live("Source Cooperative, a range, in a page: read where its place in the object is shown, else named", () =>
    Effect.gen(function* () {
      const server = yield* WebServer.make
      server.find = () => ({ bytes, etag: '"one"' })
      const browser = Browser.make("https://app.example")
      const store = yield* inBrowser(browser)(open(server))
      const range = { _tag: "Bounded", offset: 0, length: 101 } as const
      server.headers = { "access-control-allow-origin": "*" }
      const hidden = yield* reasonOf(store.get("chunks/a", { range }))
      assert.include(hidden.message, "Access-Control-Expose-Headers")
      assert.include(hidden.message, "Content-Range")
      server.headers = { "access-control-allow-origin": "*", "access-control-expose-headers": "Content-Range" }
      const shown = yield* store.get("chunks/a", { range })
      assert.deepStrictEqual(shown.bytes, bytes.subarray(0, 101))
      const unknown = yield* reasonOf(store.get("chunks/a", { range, ifMatch: '"one"' }))
      assert.include(unknown.message, "ETag")
    })
  )
})
