/** What goes over the wire, and what the store makes of what comes back. */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as S3Connection from "../src/S3Connection.ts"
import * as S3Error from "../src/S3Error.ts"
import type * as S3Server from "./support/S3Server.ts"
import { accessKey, bytes, fast, open, put, text } from "./support/TestStores.ts"

describe("a read", () => {
  it.live("that is cut in the middle of its body is repeated", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      put(server, "key", bytes("0123456789"))
      let cuts = 2
      server.faults = () => (cuts-- > 0 ? { _tag: "Cut", after: 4 } : undefined)
      expect(text((yield* store.get("key")).bytes)).toBe("0123456789")
      expect(server.requests).toHaveLength(3)
    })
  )

  it.live("that is always cut fails with Unavailable, never with fewer bytes", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { retry: { ...fast, times: 2 } })
      put(server, "key", bytes("0123456789"))
      server.faults = () => ({ _tag: "Cut", after: 4 })
      const error = yield* Effect.flip(store.get("key", { range: ByteRange.bounded(0, 8) }))
      expect(error).toMatchObject({ reason: { _tag: "Unavailable" } })
      expect(server.requests).toHaveLength(3)
    })
  )

  it.live.each([408, 429, 499, 500, 502, 503, 504])("that is answered with %i is repeated, and only by us", (status) =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { retry: { ...fast, times: 2 } })
      server.faults = () => ({ _tag: "Answer", status })
      const error = yield* Effect.flip(store.get("key"))
      expect(error.isRetryable).toBe(true)
      expect(server.requests).toHaveLength(3)
    })
  )

  it.live.each([
    ["a status of 200 for a range", 200, undefined],
    ["another range than was asked for", 206, "bytes 1-4/10"],
    ["no Content-Range", 206, ""]
  ] as const)("that is answered with %s fails with InvalidResponse", ([, status, range]) =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      put(server, "key", bytes("0123456789"))
      server.faults = () => ({
        _tag: "Rewrite",
        rewrite: (answer) => ({
          ...answer,
          status,
          headers: { ...answer.headers, ...(range === undefined ? {} : { "content-range": range }) }
        })
      })
      const error = yield* Effect.flip(store.get("key", { range: ByteRange.bounded(0, 4) }))
      expect(error).toMatchObject({ reason: { _tag: "InvalidResponse" } })
      expect(server.requests).toHaveLength(1)
    })
  )

  it.live("sends its conditions, and verifies them where the store ignores them", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ ignores: ["get"] })
      put(server, "key", bytes("0123456789"))
      server.service.buckets.get("bucket")!.objects.set("key", {
        ...server.service.buckets.get("bucket")!.objects.get("key")!,
        lastModified: 5_000
      })
      for (const conditions of [{ ifMatch: "other" }, { ifUnmodifiedSince: 4_999 }]) {
        const error = yield* Effect.flip(store.get("key", { ...conditions, range: ByteRange.bounded(0, 4) }))
        expect(error).toMatchObject({ reason: { _tag: "PreconditionFailed" } })
      }
      const etag = server.service.buckets.get("bucket")!.objects.get("key")!.etag
      const unmodified = yield* Effect.flip(store.get("key", { ifNoneMatch: etag }))
      expect(unmodified).toMatchObject({ reason: { _tag: "NotModified" } })
      const [first, second, third] = server.requests
      expect(third?.headers["if-none-match"]).toMatch(/^"[^"]+"$/)
      expect(first?.headers).toMatchObject({ "if-match": '"other"', range: "bytes=0-3" })
      expect(second?.headers["if-unmodified-since"]).toBe("Thu, 01 Jan 1970 00:00:05 GMT")
    })
  )

  it.live("of a HEAD that is refused tells why, as a GET would", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { credentials: accessKey("test", "wrong") })
      put(server, "key", bytes("0123456789"))
      const error = yield* Effect.flip(store.head("key"))
      expect(error).toMatchObject({ operation: "head", reason: { _tag: "Unauthenticated" } })
      expect(error.message).toContain("SignatureDoesNotMatch")
      expect(server.requests.map(({ operation }) => operation)).toEqual(["HeadObject", "GetObject"])
    })
  )
})

describe("a list", () => {
  const fill = (server: S3Server.S3Server, count: number): ReadonlyArray<string> => {
    const keys = Array.from({ length: count }, (_, i) => `${i % 3 === 0 ? "a b+c/" : "é%/"}${i}`)
    for (const key of keys) put(server, key, bytes("x"))
    return keys
  }

  it.live("of more than 1,000 keys comes page by page, as it is asked for", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { listPageSize: 100 })
      const keys = fill(server, 1234)
      const found = yield* Stream.runCollect(store.list(""))
      expect(found.map(({ key }) => key).toSorted()).toEqual(keys.toSorted())
      expect(server.requests).toHaveLength(13)
      yield* store.list("").pipe(Stream.take(150), Stream.runDrain)
      expect(server.requests).toHaveLength(15)
      expect(yield* Stream.runCount(store.list("a b+c/"))).toBe(412)
    })
  )

  it.live("that fails on a later page repeats that page only", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { listPageSize: 10 })
      fill(server, 30)
      const tokens: Array<string | undefined> = []
      server.faults = ({ query }) => {
        tokens.push(query.get("continuation-token"))
        return tokens.length === 2 ? { _tag: "Reset" } : undefined
      }
      expect(yield* Stream.runCount(store.list(""))).toBe(30)
      expect(tokens).toHaveLength(4)
      expect(tokens[1]).toBe(tokens[2])
    })
  )

  it.live("that never ends, or leaves the prefix, or is no XML, fails with InvalidResponse", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { listPageSize: 10, prefix: "p" })
      for (let i = 0; i < 30; i++) put(server, `p/${i}`, bytes("x"))
      const edits: ReadonlyArray<(xml: string) => string> = [
        (xml) => xml.replace(/<NextContinuationToken>[^<]*<\/NextContinuationToken>/, ""),
        (xml) => xml.replace(/<Key>p\/0/, "<Key>q/0"),
        () => "this is no XML"
      ]
      for (const edit of edits) {
        server.faults = () => ({
          _tag: "Rewrite",
          rewrite: (answer) => ({ ...answer, body: edit(String(answer.body)) })
        })
        const error = yield* Effect.flip(Stream.runDrain(store.list("")))
        expect(error).toMatchObject({ operation: "list", reason: { _tag: "InvalidResponse" } })
      }
    })
  )

  it.live("leaves out an object that is named like the store's prefix", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { prefix: "p/" })
      for (const key of ["p/", "p/a", "p", "q/a"]) put(server, key, bytes("x"))
      const found = yield* Stream.runCollect(store.list(""))
      expect(found.map(({ key }) => key)).toEqual(["a"])
    })
  )
})

describe("a deletion of many", () => {
  it.live("is made in batches of 1,000, odd keys one by one", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      const keys = [...Array.from({ length: 2300 }, (_, i) => `key <&> ${i}.`), "\u0001", " a", "b\n"]
      for (const key of keys) put(server, key, bytes("x"))
      yield* store.delete(keys)
      expect(server.service.buckets.get("bucket")?.objects.size).toBe(0)
      const operations = server.requests.map(({ operation }) => operation)
      expect(operations.filter((operation) => operation === "DeleteObjects")).toHaveLength(3)
      expect(operations.filter((operation) => operation === "DeleteObject")).toHaveLength(3)
    })
  )

  it.live("reports each key that could not be deleted, and deletes the others", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { prefix: "p" })
      for (const key of ["a", "b", "c", "d\u0001"]) put(server, `p/${key}`, bytes("x"))
      for (const key of ["p/b", "p/c", "p/d\u0001"]) server.service.undeletable.add(key)
      const error = yield* Effect.flip(store.delete(["a", "b", "c", "d\u0001"]))
      expect(error).toMatchObject({ operation: "delete", reason: { _tag: "PermissionDenied" } })
      expect(error._tag === "ObjectStoreError" && ["b", "c", "d\u0001"].includes(error.key)).toBe(true)
      for (const key of ["b", "c", "d\u0001"]) expect(error.message).toContain(`\`${key}\``)
      expect([...server.service.buckets.get("bucket")!.objects.keys()]).toEqual(["p/b", "p/c", "p/d\u0001"])
    })
  )

  it.live("repeats only the keys that failed for the moment", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      for (const key of ["a", "b", "c"]) put(server, key, bytes("x"))
      let first = true
      server.faults = () => {
        if (!first) return undefined
        first = false
        return {
          _tag: "Rewrite",
          rewrite: (answer) => ({
            ...answer,
            body: String(answer.body).replace(
              "</DeleteResult>",
              "<Error><Key>b</Key><Code>InternalError</Code></Error></DeleteResult>"
            )
          })
        }
      }
      yield* store.delete(["a", "b", "c"])
      expect(server.requests).toHaveLength(2)
      expect(text(server.requests[1]!.body)).toContain("<Key>b</Key>")
      expect(text(server.requests[1]!.body)).not.toContain("<Key>a</Key>")
    })
  )
})

describe("a copy", () => {
  it.live.each([true, false])(
    "under a condition keeps type and metadata (enforced by the service: %s)",
    (conditionalCopy) =>
      Effect.gen(function* () {
        const ignores = conditionalCopy ? [] : (["copy"] as const)
        const { server, store } = yield* open({ ignores }, { conditionalCopy })
        const version = yield* store.put("from", bytes("x"), { contentType: "text/x", metadata: { a: "b" } })
        yield* store.copy("from", "to", { ifMatch: version })
        expect(server.service.buckets.get("bucket")?.objects.get("to")).toMatchObject({
          contentType: "text/x",
          metadata: { a: "b" }
        })
        for (const ifMatch of [{ etag: '"other"' }, { etag: "no\r\nheader" }]) {
          const error = yield* Effect.flip(store.copy("from", "new", { ifMatch }))
          expect(error).toMatchObject({ operation: "copy", key: "from", reason: { _tag: "PreconditionFailed" } })
        }
        expect(yield* ObjectStore.exists(store, "new")).toBe(false)
        expect(server.requests.some(({ operation }) => operation === "CopyObject")).toBe(conditionalCopy)
      })
  )
})

describe("interruption", () => {
  it.live.each<readonly [string, S3Server.Fault]>([
    ["before the answer", { _tag: "Hang" }],
    ["in the middle of the body", { _tag: "Stall", after: 1000 }]
  ])("%s closes the connection", ([, fault]) =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      put(server, "key", new Uint8Array(100_000))
      const begun = yield* Deferred.make<void>()
      const aborted = yield* Deferred.make<string>()
      server.faults = () => fault
      server.onRequest = () => Deferred.doneUnsafe(begun, Effect.void)
      server.onAborted = ({ operation }) => Deferred.doneUnsafe(aborted, Effect.succeed(operation))
      const fiber = yield* Effect.forkChild(store.get("key"))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      expect(yield* Deferred.await(aborted)).toBe("GetObject")
      expect(server.requests).toHaveLength(1)
    })
  )

  it.live("of a put closes the connection", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      const begun = yield* Deferred.make<void>()
      const aborted = yield* Deferred.make<string>()
      server.faults = () => ({ _tag: "Hang" })
      server.onRequest = () => Deferred.doneUnsafe(begun, Effect.void)
      server.onAborted = ({ operation }) => Deferred.doneUnsafe(aborted, Effect.succeed(operation))
      const fiber = yield* Effect.forkChild(store.put("key", bytes("x"), { mode: ObjectStore.create }))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      expect(yield* Deferred.await(aborted)).toBe("PutObject")
      expect(server.requests).toHaveLength(1)
    })
  )
})

describe("time", () => {
  it.effect("an attempt that takes too long is given up, and the connection closed", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { requestTimeout: "30 seconds", retry: { times: 0 } })
      const begun = yield* Deferred.make<void>()
      const aborted = yield* Deferred.make<void>()
      server.faults = () => ({ _tag: "Hang" })
      server.onRequest = () => Deferred.doneUnsafe(begun, Effect.void)
      server.onAborted = () => Deferred.doneUnsafe(aborted, Effect.void)
      const fiber = yield* Effect.forkChild(Effect.flip(store.get("key")))
      yield* Deferred.await(begun)
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(fiber)
      expect(error).toMatchObject({ reason: { _tag: "Unavailable" } })
      expect(error.message).toContain("30s")
      yield* Deferred.await(aborted)
    })
  )

  it.effect("delays grow, are jittered and bounded, and end with the budget", () =>
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(
        S3Connection.schedule({ times: 100, baseDelay: 100, maxDelay: 1000, budget: "10 seconds" })
      )
      const failure = S3Error.failure("Unavailable", "")
      let now = 0
      const delays: Array<number> = []
      const run = Effect.gen(function* () {
        while (true) {
          const [, delay] = yield* step(now, failure)
          delays.push(Duration.toMillis(delay))
          now += Duration.toMillis(delay)
        }
      })
      yield* Effect.exit(run)
      for (const [i, delay] of delays.entries()) {
        const middle = Math.min(1000, 100 * 2 ** i)
        expect(delay).toBeGreaterThanOrEqual(middle * 0.8)
        expect(delay).toBeLessThanOrEqual(middle * 1.2)
      }
      expect(new Set(delays).size).toBe(delays.length)
      expect(now).toBeGreaterThanOrEqual(10_000)
      expect(now).toBeLessThan(10_000 + 1200)
    })
  )

  it.effect("a Retry-After is waited for, up to 30 seconds", () =>
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(S3Connection.schedule({ baseDelay: 1 }))
      const asked = (retryAfter: number): S3Error.S3Failure =>
        new S3Error.S3Failure({ ...S3Error.failure("RateLimited", ""), retryAfter })
      const [, short] = yield* step(0, asked(7_000))
      expect(Duration.toMillis(short)).toBe(7_000)
      const [, long] = yield* step(0, asked(3_600_000))
      expect(Duration.toMillis(long)).toBe(30_000)
    })
  )

  it.live("at most as many requests as are allowed are under way", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { concurrency: 3 })
      let most = 0
      put(server, "key", bytes("x"))
      server.onRequest = () => {
        most = Math.max(most, server.requests.filter(({ status }) => status === undefined).length)
      }
      yield* Effect.forEach(Array.from({ length: 40 }), () => store.get("key"), { concurrency: "unbounded" })
      expect(most).toBeLessThanOrEqual(3)
    })
  )
})
