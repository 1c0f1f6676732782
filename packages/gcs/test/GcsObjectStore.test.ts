import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { hasReason, isNotFound } from "@effect-icechunk/core/ObjectStoreError"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { bytes, make, reason, text, token } from "./support/Harness.ts"

describe("GcsObjectStore", () => {
  it.live("writes with one request and reads with one", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      yield* store.put("a/b", bytes("hello"), { metadata: { Origin: "grüße" } })
      const { bytes: read, meta, span } = yield* store.get("a/b")
      expect(text(read)).toBe("hello")
      expect(span).toEqual({ start: 0, end: 5 })
      expect(meta).toMatchObject({ key: "a/b", size: 5, metadata: { origin: "grüße" } })
      expect(server.requests.map(({ method, path }) => `${method} /${path.join("/")}`)).toEqual([
        "POST /upload/storage/v1/b/data/o",
        "GET /storage/v1/b/data/o/a/b"
      ])
      expect(server.requests[0]!.query.get("uploadType")).toBe("multipart")
      expect(server.requests[1]!.headers["accept-encoding"]).toBe("gzip")
    })
  )

  it.live("sends bytes without metadata as they are", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      yield* store.put("a", bytes("hello"), { contentType: "text/plain" })
      expect(server.requests[0]!.query.get("uploadType")).toBe("media")
      expect(server.requests[0]!.bodyLength).toBe(5)
      expect(server.settings.buckets.get("data")!.objects.get("a")!.contentType).toBe("text/plain")
    })
  )

  it.live("reports the same version from put, get, head and list", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      for (const readApi of ["xml", "json"] as const) {
        const store = yield* open({ readApi })
        const version = yield* store.put("a", bytes("hello"))
        expect(version).toEqual({ etag: '"5d41402abc4b2a76b9719d911017c592"', generation: expect.any(String) })
        const read = (yield* store.get("a")).meta
        const head = yield* store.head("a")
        const [listed] = yield* Stream.runCollect(store.list(""))
        expect([read.version, head.version, listed!.version]).toEqual([version, version, version])
        expect(read.alternateEtags).toEqual(head.alternateEtags)
        expect(listed!.alternateEtags).toEqual(head.alternateEtags)
        // HTTP dates are whole seconds.
        expect(Math.floor(listed!.lastModified! / 1000)).toBe(Math.floor(read.lastModified! / 1000))
      }
    })
  )

  it.live("keeps keys as they are below its prefix", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const keys = ["a//b", "../x", "./y", "z/", "100%", "a?b#c", "ä/日本", "a b+c", "(x)'!*", "%2e%2e"]
      for (const readApi of ["xml", "json"] as const) {
        const store = yield* open({ readApi, prefix: `p/${readApi}` })
        for (const key of keys) {
          yield* store.put(key, bytes(key))
          expect(text((yield* store.get(key)).bytes)).toBe(key)
          expect((yield* store.head(key)).key).toBe(key)
        }
        const listed = yield* Stream.runCollect(store.list(""))
        expect(listed.map(({ key }) => key).toSorted()).toEqual(keys.toSorted())
        expect(server.settings.buckets.get("data")!.objects.has(`p/${readApi}/a//b`)).toBe(true)
        yield* store.copy("../x", "copied//")
        expect(text((yield* store.get("copied//")).bytes)).toBe("../x")
        yield* store.delete(keys)
        expect((yield* Stream.runCollect(store.list(""))).map(({ key }) => key)).toEqual(["copied//"])
      }
    })
  )

  it.live("refuses names that no object can have, without a request", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      for (const key of ["", ".", "..", "a\nb", "a\rb", "\ud800", "x".repeat(1025)]) {
        expect((yield* reason(store.get(key)))._tag).toBe("Unsupported")
        expect((yield* reason(store.put(key, bytes(""))))._tag).toBe("Unsupported")
      }
      expect((yield* reason(Stream.runCollect(store.list("\ud800"))))._tag).toBe("Unsupported")
      expect(server.requests).toEqual([])
    })
  )

  it.live("lists more than a page, in pages", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      for (let i = 0; i < 2500; i++) server.seed("data", `many/${i}`, "x", { metadata: { big: "x".repeat(100) } })
      server.seed("data", "manyother", "x")
      const store = yield* open({ prefix: "many" })
      const listed = yield* Stream.runCollect(store.list(""))
      expect(new Set(listed.map(({ key }) => key)).size).toBe(2500)
      expect(server.requests.length).toBe(3)
      expect(listed[0]!.metadata).toBeUndefined()
      expect((yield* Stream.runCollect(store.list("24"))).length).toBe(111)
    })
  )

  it.live("asks for no more pages than are taken", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      for (let i = 0; i < 50; i++) server.seed("data", String(i), "x")
      const store = yield* open({ listPageSize: 10 })
      expect((yield* Stream.runCollect(Stream.take(store.list(""), 15))).length).toBe(15)
      expect(server.requests.length).toBe(2)
    })
  )

  it.live("a listing that names an object outside the prefix is invalid", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a/x", "x")
      const store = yield* open({ prefix: "a", retry: { times: 0 } })
      server.plan({
        _tag: "Tamper",
        answer: (answer) => {
          const body = Buffer.from(Buffer.from(answer.body).toString().replace("a/x", "b/x"))
          return { ...answer, body }
        }
      })
      expect((yield* reason(Stream.runCollect(store.list(""))))._tag).toBe("InvalidResponse")
    })
  )

  it.live("a listing that does not end is invalid", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      for (let i = 0; i < 3; i++) server.seed("data", String(i), "x")
      const store = yield* open({ listPageSize: 1, retry: { times: 0 } })
      server.plan(
        {
          _tag: "Tamper",
          answer: (answer) => {
            const page = JSON.parse(Buffer.from(answer.body).toString()) as object
            const body = Buffer.from(JSON.stringify({ ...page, nextPageToken: "again" }))
            return { ...answer, body, headers: { ...answer.headers, "content-length": String(body.length) } }
          }
        },
        { times: 10 }
      )
      expect((yield* reason(Stream.runCollect(store.list(""))))._tag).toBe("InvalidResponse")
      expect(server.requests.length).toBe(2)
    })
  )

  it.live("an object that has the name of the prefix is not of the store", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "p/", "")
      server.seed("data", "p/a", "x")
      const store = yield* open({ prefix: "p" })
      expect((yield* Stream.runCollect(store.list(""))).map(({ key }) => key)).toEqual(["a"])
    })
  )

  it.live("a copy to a key that cannot be names that key", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.seed("data", "a", "x")
      const store = yield* open()
      const error = yield* Effect.flip(store.copy("a", "b\n"))
      expect(error).toMatchObject({ operation: "copy", key: "b\n", reason: { _tag: "Unsupported" } })
    })
  )

  it.live("deletes many at a time, and a missing object counts as deleted", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
      for (const key of keys) server.seed("data", key, "x")
      const store = yield* open({ concurrency: 8 })
      const eighth = Effect.runPromise(server.next(() => server.requests.length === 8))
      server.plan({ _tag: "Wait", until: eighth }, { times: 8 })
      yield* store.delete([...keys, "missing"])
      expect(server.settings.buckets.get("data")!.objects.size).toBe(0)
      expect(server.mostAtOnce()).toBe(8)
    })
  )

  it.live("a delete that fails names the key", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      for (const key of ["a", "b", "c"]) server.seed("data", key, "x")
      server.plan({ _tag: "Refuse", status: 403, reason: "forbidden" }, { when: ({ path }) => path.at(-1) === "b" })
      const store = yield* open()
      const error = yield* Effect.flip(store.delete(["a", "b", "c"]))
      expect(error).toMatchObject({ operation: "delete", key: "b", reason: { _tag: "PermissionDenied" } })
      expect(error.message).toContain("delete of `b` in `gcs://data` was denied")
    })
  )

  it.live("copies exactly one version", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const first = yield* store.put("a", bytes("one"), { metadata: { kept: "yes" } })
      const second = yield* store.put("a", bytes("two"), { metadata: { kept: "yes" } })
      expect((yield* reason(store.copy("a", "b", { ifMatch: first })))._tag).toBe("PreconditionFailed")
      yield* store.copy("a", "b", { ifMatch: second })
      expect(server.requests.at(-1)!.query.get("ifSourceGenerationMatch")).toBe(second.generation)
      const copied = yield* store.get("b")
      expect([text(copied.bytes), copied.meta.metadata]).toEqual(["two", { kept: "yes" }])
      expect((yield* reason(store.copy("missing", "c")))._tag).toBe("NotFound")
    })
  )

  it.live("copies a version that it knows by ETag alone", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      const store = yield* open()
      const { etag } = yield* store.put("a", bytes("one"))
      yield* store.copy("a", "b", { ifMatch: { etag } })
      expect(text((yield* store.get("b")).bytes)).toBe("one")
      expect((yield* reason(store.copy("a", "b", { ifMatch: { etag: '"other"' } })))._tag).toBe("PreconditionFailed")
    })
  )

  it.live("finishes a copy that takes several calls", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.settings.rewriteBytes = 10
      const store = yield* open()
      yield* store.put("a", new Uint8Array(35))
      yield* store.copy("a", "b")
      expect(server.requests.filter(({ path }) => path.includes("rewriteTo")).length).toBe(4)
      expect((yield* store.head("b")).size).toBe(35)
    })
  )

  it.live("a read-only store refuses to write, without a request", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open({ readOnlyBecause: "the tests say so" })
      for (const write of [store.put("a", bytes("")), store.delete(["a"]), store.copy("a", "b")]) {
        const error = yield* Effect.flip(write)
        expect(error).toMatchObject({ _tag: "WriteForbidden", because: "the tests say so" })
      }
      expect(server.requests).toEqual([])
    })
  )

  it.live("a missing object and a missing bucket are not found", () =>
    Effect.gen(function* () {
      const { open } = yield* make
      for (const readApi of ["xml", "json"] as const) {
        const store = yield* open({ readApi })
        expect(isNotFound(yield* Effect.flip(store.get("missing")))).toBe(true)
        expect(isNotFound(yield* Effect.flip(store.head("missing")))).toBe(true)
        expect(yield* ObjectStore.exists(store, "missing")).toBe(false)
        const other = yield* open({ readApi, bucket: "nowhere" })
        expect(isNotFound(yield* Effect.flip(other.get("a")))).toBe(true)
        expect(isNotFound(yield* Effect.flip(other.put("a", bytes(""))))).toBe(true)
        const error = yield* Effect.flip(Stream.runCollect(other.list("")))
        expect(isNotFound(error)).toBe(true)
        expect(error.message).toContain("The specified bucket does not exist")
      }
    })
  )

  it.live("what a token may not do is denied", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.addToken(token, { permissions: ["get"] })
      server.seed("data", "a", "x")
      const store = yield* open()
      expect(text((yield* store.get("a")).bytes)).toBe("x")
      const denied = hasReason("PermissionDenied")
      expect(denied(yield* Effect.flip(Stream.runCollect(store.list(""))))).toBe(true)
      expect(denied(yield* Effect.flip(store.put("b", bytes("x"))))).toBe(true)
      expect(denied(yield* Effect.flip(store.put("b", bytes("x"), { mode: ObjectStore.create })))).toBe(true)
      expect(denied(yield* Effect.flip(store.delete(["a"])))).toBe(true)
    })
  )

  it.live("a requester pays bucket is read at the cost of the user's project", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      server.addBucket("paid", { requesterPays: true })
      server.seed("paid", "a", "x")
      for (const readApi of ["xml", "json"] as const) {
        const poor = yield* open({ bucket: "paid", readApi })
        const refused = yield* reason(poor.get("a"))
        expect(refused._tag).toBe("PermissionDenied")
        expect(refused.detail).toContain("set `userProject`")
        const store = yield* open({ bucket: "paid", readApi, userProject: "my-project" })
        expect(text((yield* store.get("a")).bytes)).toBe("x")
        yield* store.head("a")
        yield* store.put("b", bytes("y"))
        yield* store.copy("b", "c")
        yield* store.delete(["b", "c"])
        expect((yield* Stream.runCollect(store.list(""))).length).toBe(1)
      }
    })
  )
})
