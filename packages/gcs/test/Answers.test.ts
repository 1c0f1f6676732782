import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as Stream from "effect/Stream"
import type { ApiAnswer, ApiRequest } from "./support/GcsApi.ts"
import type { Fault } from "./support/GcsServer.ts"
import { bytes, make, reason, text } from "./support/Harness.ts"

/** What something between the store and us may answer with 200. */
const pages: ReadonlyArray<readonly [what: string, type: string, body: string]> = [
  ["a login page", "text/html", "<!doctype html><title>Sign in</title>"],
  ["other JSON", "application/json", '{"message":"sign in"}'],
  ["nothing", "text/plain", ""]
]

const answer = (type: string, body: string): ApiAnswer => ({
  status: 200,
  headers: { "content-type": type, "content-length": String(body.length), etag: '"page"' },
  body: Buffer.from(body)
})

const page = (type: string, body: string): Fault => ({ _tag: "Instead", answer: answer(type, body) })

const tamper = (change: (answer: ApiAnswer) => Partial<ApiAnswer>): Fault => ({
  _tag: "Tamper",
  answer: (answer) => ({ ...answer, ...change(answer) })
})

const flipped = tamper(({ body }) => ({ body: body.map((byte, i) => (i === 3 ? byte ^ 1 : byte)) }))

describe("an answer that does not come from the store", () => {
  it.live.each(pages)("is neither bytes nor metadata nor a list: %s", ([, type, body]) =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0123456789")
      for (const readApi of ["xml", "json"] as const) {
        const store = yield* open({ readApi })
        server.plan(page(type, body), { times: 1000 })
        expect(yield* reason(store.get("a"))).toMatchObject({ _tag: "InvalidResponse" })
        expect(yield* reason(store.head("a"))).toMatchObject({ _tag: "InvalidResponse" })
        expect(yield* reason(Stream.runCollect(store.list("")))).toMatchObject({ _tag: "InvalidResponse" })
        expect(yield* reason(store.copy("a", "b"))).toMatchObject({ _tag: "InvalidResponse" })
        server.clearPlans()
      }
    })
  )

  it.live.each(pages)("to a put leaves it in doubt until it is read back: %s", ([, type, body]) =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const isPut = ({ method }: ApiRequest): boolean => method === "POST"
      server.plan(
        tamper(() => answer(type, body)),
        { when: isPut }
      )
      yield* store.put("a", bytes("one"), { mode: ObjectStore.create })
      expect(text(server.settings.buckets.get("data")!.objects.get("a")!.bytes)).toBe("one")
      server.plan(page(type, body), { when: isPut, times: 1000 })
      expect(yield* reason(store.put("b", bytes("two"), { mode: ObjectStore.create }))).toMatchObject({
        _tag: "InvalidResponse"
      })
      expect(server.settings.buckets.get("data")!.objects.has("b")).toBe(false)
    })
  )

  it.live("is no deletion when it is a page", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0")
      server.plan(page("text/html", "<p>Sign in"), { times: 1000 })
      expect(yield* reason((yield* open()).delete(["a"]))).toMatchObject({ _tag: "InvalidResponse" })
    })
  )
})

describe("a download of a whole object", () => {
  it.live("is compared with the hash that came with it, and repeated when it does not agree", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "whole", "0123456789")
      server.seed("data", "composed", "0123456789", { componentCount: 2 })
      const store = yield* open()
      for (const key of ["whole", "composed"]) {
        server.plan(flipped)
        expect(text((yield* store.get(key)).bytes)).toBe("0123456789")
        server.plan(flipped, { times: 1000 })
        expect(yield* reason(store.get(key))).toMatchObject({ _tag: "InvalidResponse" })
        server.clearPlans()
      }
      // Without a CRC32C the MD5 counts.
      const md5 = createHash("md5").update("0123456789").digest("base64")
      for (const [hash, tag] of [
        [`md5=${md5}`, "Success"],
        ["md5=AAAA", "Failure"]
      ] as const) {
        server.plan(
          tamper(({ headers }) => ({ headers: { ...headers, "x-goog-hash": hash } })),
          { times: 1000 }
        )
        expect((yield* Effect.result(store.get("whole")))._tag).toBe(tag)
        server.clearPlans()
      }
    })
  )
})

describe("an answer that will not change", () => {
  it.live.each([
    ["a redirect", tamper(() => ({ status: 308 }))],
    ["another Content-Range", tamper(({ headers }) => ({ headers: { ...headers, "content-range": "bytes 0-3/10" } }))],
    ["a whole object for a range", tamper(() => ({ status: 200 }))]
  ] as const)("is asked for once more, and not again: %s", ([, fault]) =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "0123456789")
      server.plan(fault, { times: 1000 })
      const store = yield* open()
      const before = server.requests.length
      expect(yield* reason(store.get("a", { range: { _tag: "Bounded", offset: 2, length: 4 } }))).toMatchObject({
        _tag: "InvalidResponse",
        isFinal: true
      })
      expect(server.requests.length).toBe(before + 2)
    })
  )
})
