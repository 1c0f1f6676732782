/** What becomes of conditional puts whose answers are lost, wrong or late. Design, section 7. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Readback from "@effect-icechunk/core/Readback"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Fault, S3Server } from "./support/S3Server.ts"
import { fast, open } from "./support/TestStores.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Gives the faults, one for each request to an operation, then none. */
const script = (server: S3Server, operation: string, ...faults: ReadonlyArray<Fault | undefined>): void => {
  const left = [...faults]
  server.faults = (request) => (request.operation === operation ? left.shift() : undefined)
}

const log = (server: S3Server): ReadonlyArray<string> => server.requests.map(({ operation }) => operation)

describe("the answer to a conditional put is lost", () => {
  it.live.each<readonly [string, Fault]>([
    ["a reset after the write", { _tag: "Reset", apply: true }],
    ["500 after the write", { _tag: "Answer", status: 500, code: "InternalError", apply: true }],
    ["502 without a body after the write", { _tag: "Answer", status: 502, apply: true }],
    ["408 after the write", { _tag: "Answer", status: 408, apply: true }],
    ["499 after the write", { _tag: "Answer", status: 499, apply: true }]
  ])("%s: the object is recognised, and not written again", ([, fault]) =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      script(server, "PutObject", fault)
      const version = yield* store.put("key", bytes("mine"), { mode: ObjectStore.create })
      expect(log(server)).toEqual(["PutObject", "HeadObject"])
      expect(version.etag).toBe((yield* store.head("key")).version.etag)

      script(server, "PutObject", fault)
      const next = yield* store.put("key", bytes("mine too"), { mode: ObjectStore.update(version) })
      expect(log(server).slice(3)).toEqual(["PutObject", "HeadObject"])
      expect(next).not.toEqual(version)
    })
  )

  it.live.each<readonly [string, Fault]>([
    ["429", { _tag: "Answer", status: 429, code: "TooManyRequests", apply: true }],
    ["503 SlowDown", { _tag: "Answer", status: 503, code: "SlowDown", apply: true }]
  ])("%s after the write: the next attempt is refused, and the object recognised", ([, fault]) =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      script(server, "PutObject", fault)
      yield* store.put("key", bytes("mine"), { mode: ObjectStore.create })
      expect(log(server)).toEqual(["PutObject", "PutObject", "HeadObject"])
    })
  )

  it.live("and somebody else has replaced the object: a conflict, which says that there is doubt", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      const version = yield* store.put("key", bytes("start"))
      script(server, "PutObject", { _tag: "Reset", apply: true })
      server.onRequest = ({ operation }) => {
        if (operation === "HeadObject") {
          server.service.buckets.get("bucket")?.objects.set("key", {
            bytes: bytes("theirs"),
            etag: '"theirs"',
            lastModified: 0,
            contentType: "",
            metadata: {}
          })
        }
      }
      const error = yield* Effect.flip(store.put("key", bytes("mine"), { mode: ObjectStore.update(version) }))
      expect(error).toMatchObject({ _tag: "ObjectStoreError", reason: { _tag: "PreconditionFailed" } })
      expect(error.message).toContain("an earlier attempt of this write was not answered")
    })
  )
})

describe("a conditional put that was not applied", () => {
  it.live.each<readonly [string, Fault, ReadonlyArray<string>]>([
    ["a reset", { _tag: "Reset" }, ["PutObject", "HeadObject", "PutObject"]],
    [
      "500 UnknownError, as of Ceph",
      { _tag: "Answer", status: 500, code: "UnknownError" },
      ["PutObject", "HeadObject", "PutObject"]
    ],
    [
      "409 ConditionalRequestConflict",
      { _tag: "Answer", status: 409, code: "ConditionalRequestConflict" },
      ["PutObject", "PutObject"]
    ],
    ["429", { _tag: "Answer", status: 429 }, ["PutObject", "PutObject"]],
    ["503 SlowDown", { _tag: "Answer", status: 503, code: "SlowDown" }, ["PutObject", "PutObject"]]
  ])("%s: is tried again with the same id", ([, fault, requests]) =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      script(server, "PutObject", fault)
      yield* store.put("key", bytes("mine"), { mode: ObjectStore.create })
      expect(log(server)).toEqual(requests)
      const ids = server.requests.flatMap(({ headers }) => headers["x-amz-meta-icechunk_write_id"] ?? [])
      expect(ids).toHaveLength(2)
      expect(new Set(ids).size).toBe(1)
    })
  )

  it.live("because its condition failed: a conflict, after a look at the object", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open()
      yield* store.put("key", bytes("theirs"), { mode: ObjectStore.create })
      const created = yield* Effect.flip(store.put("key", bytes("mine"), { mode: ObjectStore.create }))
      expect(created).toMatchObject({ reason: { _tag: "AlreadyExists" }, operation: "put", key: "key" })
      const updated = yield* Effect.flip(store.put("key", bytes("mine"), { mode: ObjectStore.update({ etag: '"0"' }) }))
      expect(updated).toMatchObject({ reason: { _tag: "PreconditionFailed" } })
      expect(log(server)).toEqual(["PutObject", "PutObject", "HeadObject", "PutObject", "HeadObject"])
      expect(updated.message).not.toContain("earlier attempt")
    })
  )

  it.live("and a store that keeps failing: Unavailable, after as many attempts as are allowed", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { retry: { ...fast, times: 3 } })
      server.faults = ({ operation }) => (operation === "PutObject" ? { _tag: "Answer", status: 500 } : undefined)
      const error = yield* Effect.flip(store.put("key", bytes("mine"), { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "Unavailable" }, isRetryable: true })
      expect(log(server).filter((operation) => operation === "PutObject")).toHaveLength(4)
    })
  )
})

describe("the object cannot be read back", () => {
  const noReading = { credentials: [{ accessKeyId: "test", secretAccessKey: "secret", deny: ["get"] as const }] }

  it.live("a refusal by the condition is believed when nothing was lost before", () =>
    Effect.gen(function* () {
      const { store } = yield* open(noReading)
      yield* store.put("key", bytes("theirs"))
      const error = yield* Effect.flip(store.put("key", bytes("mine"), { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "AlreadyExists" } })
    })
  )

  it.live("in doubt, it is no conflict: the failure to read is reported", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open(noReading)
      script(server, "PutObject", { _tag: "Reset", apply: true })
      const error = yield* Effect.flip(store.put("key", bytes("mine"), { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "PermissionDenied" } })
    })
  )
})

describe("write ids", () => {
  it.live("each conditional put has its own, whatever metadata the caller has read somewhere", () =>
    Effect.gen(function* () {
      const { store } = yield* open()
      const version = yield* store.put("key", bytes("one"), { mode: ObjectStore.create, metadata: { kept: "yes" } })
      const { metadata } = yield* store.head("key")
      const id = Readback.writeIdOf(metadata)
      expect(id).toBeDefined()
      expect(metadata).toMatchObject({ kept: "yes" })
      yield* store.put("key", bytes("two"), { mode: ObjectStore.update(version), metadata })
      const next = (yield* store.head("key")).metadata
      expect(Readback.writeIdOf(next)).not.toBe(id)
      expect(next).toMatchObject({ kept: "yes" })

      const stale = yield* Effect.flip(store.put("key", bytes("three"), { mode: ObjectStore.create, metadata: next }))
      expect(stale).toMatchObject({ reason: { _tag: "AlreadyExists" } })
    })
  )

  it.live("puts without condition have none", () =>
    Effect.gen(function* () {
      const { store } = yield* open()
      yield* store.put("key", bytes("one"))
      expect((yield* store.head("key")).metadata).toEqual({})
    })
  )
})

describe("the spelling of ETags", () => {
  it.live("is found out once on a server that wants them bare", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ dialect: "bare" })
      const first = yield* store.put("key", bytes("1"))
      const second = yield* store.put("key", bytes("2"), { mode: ObjectStore.update(first) })
      expect(log(server)).toEqual(["PutObject", "PutObject", "HeadObject", "PutObject"])
      const third = yield* store.put("key", bytes("3"), { mode: ObjectStore.update(second) })
      expect(log(server).slice(4)).toEqual(["PutObject"])
      const lost = yield* Effect.flip(store.put("key", bytes("4"), { mode: ObjectStore.update(second) }))
      expect(lost).toMatchObject({ reason: { _tag: "PreconditionFailed" } })
      expect((yield* store.head("key")).version).toEqual(third)
    })
  )

  it.live("of a lost race tells nothing, and is asked for again", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ dialect: "bare" })
      const first = yield* store.put("key", bytes("1"))
      yield* store.put("key", bytes("theirs"))
      yield* Effect.flip(store.put("key", bytes("2"), { mode: ObjectStore.update(first) }))
      const { version } = yield* store.head("key")
      yield* store.put("key", bytes("3"), { mode: ObjectStore.update(version) })
      const sent = server.requests.flatMap(({ headers }) => headers["if-match"] ?? [])
      expect(sent.map((etag) => etag.startsWith('"'))).toEqual([true, true, false])
    })
  )

  it.live("that is configured wrongly is named in the error", () =>
    Effect.gen(function* () {
      const { store } = yield* open({ dialect: "bare" }, { conditionalEtag: "quoted" })
      const first = yield* store.put("key", bytes("1"))
      const error = yield* Effect.flip(store.put("key", bytes("2"), { mode: ObjectStore.update(first) }))
      expect(error).toMatchObject({ reason: { _tag: "PreconditionFailed" } })
      expect(error.message).toContain("`conditionalEtag`")
    })
  )

  it.live("that is configured rightly costs no question", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ dialect: "bare" }, { conditionalEtag: "bare" })
      const first = yield* store.put("key", bytes("1"))
      yield* store.put("key", bytes("2"), { mode: ObjectStore.update(first) })
      expect(log(server)).toEqual(["PutObject", "PutObject"])
    })
  )
})

describe("an object in parts", () => {
  const inParts = { multipartThreshold: 10, partSize: 4 }
  const large = bytes("0123456789ab")

  it.live("whose completion is not answered is recognised", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, inParts)
      script(server, "CompleteMultipartUpload", { _tag: "Reset", apply: true })
      const { etag } = yield* store.put("key", large)
      expect(etag).toMatch(/-3"$/)
      expect(log(server).filter((operation) => operation === "CompleteMultipartUpload")).toHaveLength(1)
    })
  )

  it.live("whose completion was answered with 429 all the same is recognised by the upload that is gone", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, inParts)
      script(server, "CompleteMultipartUpload", { _tag: "Answer", status: 429, apply: true })
      yield* store.put("key", large)
      expect((yield* store.get("key")).bytes).toEqual(large)
    })
  )

  it.live("has its parts sent again when they fail", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, inParts)
      script(server, "UploadPart", { _tag: "Reset" }, { _tag: "Answer", status: 503, code: "SlowDown" })
      yield* store.put("key", large)
      expect((yield* store.get("key")).bytes).toEqual(large)
      expect(log(server).filter((operation) => operation === "UploadPart")).toHaveLength(5)
    })
  )

  it.live("leaves no parts behind when it is interrupted", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, inParts)
      const begun = yield* Deferred.make<void>()
      server.faults = ({ operation }) => (operation === "UploadPart" ? { _tag: "Hang" } : undefined)
      server.onRequest = ({ operation }) => {
        if (operation === "UploadPart") Deferred.doneUnsafe(begun, Effect.void)
      }
      const fiber = yield* Effect.forkChild(store.put("key", large))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      expect(server.service.buckets.get("bucket")?.uploads.size).toBe(0)
      expect(log(server).at(-1)).toBe("AbortMultipartUpload")
    })
  )

  it.live("leaves no parts behind when it fails", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, inParts)
      script(server, "UploadPart", { _tag: "Answer", status: 403, code: "AccessDenied" })
      const error = yield* Effect.flip(store.put("key", large))
      expect(error).toMatchObject({ reason: { _tag: "PermissionDenied" } })
      expect(server.service.buckets.get("bucket")?.uploads.size).toBe(0)
      expect(log(server)).toContain("AbortMultipartUpload")
    })
  )

  it.live("with a condition is completed with it where the service enforces that, else sent whole", () =>
    Effect.gen(function* () {
      const enforced = yield* open({}, { ...inParts, conditionalMultipart: true })
      yield* enforced.store.put("key", large, { mode: ObjectStore.create })
      const error = yield* Effect.flip(enforced.store.put("key", large, { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "AlreadyExists" } })
      expect(log(enforced.server)).not.toContain("PutObject")
      expect(enforced.server.service.buckets.get("bucket")?.uploads.size).toBe(0)

      const ignored = yield* open({ ignores: ["multipart"] }, inParts)
      yield* ignored.store.put("key", large, { mode: ObjectStore.create })
      const refused = yield* Effect.flip(ignored.store.put("key", large, { mode: ObjectStore.create }))
      expect(refused).toMatchObject({ reason: { _tag: "AlreadyExists" } })
      expect(log(ignored.server)).not.toContain("CompleteMultipartUpload")
    })
  )
})

describe("whether conditions on puts are enforced", () => {
  it.live("is found out once for each kind, with the same bytes", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { conditionalPut: "ask" })
      const first = yield* store.put("key", bytes("1"), { mode: ObjectStore.create })
      const second = yield* store.put("key", bytes("2"), { mode: ObjectStore.update(first) })
      expect(server.requests.map(({ status }) => status)).toEqual([200, 412, 200, 412])
      for (const i of [0, 2]) expect(server.requests[i]?.body).toEqual(server.requests[i + 1]?.body)
      yield* store.put("key", bytes("3"), { mode: ObjectStore.update(second) })
      yield* store.put("other", bytes("1"), { mode: ObjectStore.create })
      expect(server.requests).toHaveLength(6)
    })
  )

  it.live("stays open where the answer says nothing", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({}, { conditionalPut: "ask" })
      script(server, "PutObject", undefined, { _tag: "Reset" })
      yield* store.put("key", bytes("1"), { mode: ObjectStore.create })
      yield* store.put("other", bytes("1"), { mode: ObjectStore.create })
      expect(server.requests.map(({ status }) => status)).toEqual([200, undefined, 200, 412])
    })
  )

  it.live("and they are not: the first conditional put says so, and no other is sent", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ ignores: ["put"] }, { conditionalPut: "ask" })
      const version = yield* store.put("key", bytes("0"))
      for (const mode of [ObjectStore.create, ObjectStore.update(version)]) {
        const error = yield* Effect.flip(store.put("new", bytes("1"), { mode }))
        expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
        expect(error.message).toContain("silently overwrite each other")
        const sent = server.requests.length
        expect(yield* Effect.flip(store.put("new", bytes("2"), { mode }))).toMatchObject({
          reason: { _tag: "Unsupported" }
        })
        expect(server.requests).toHaveLength(sent)
      }
    })
  )

  it.live("and it is declared that they are not: no conditional put is sent", () =>
    Effect.gen(function* () {
      const { server, store } = yield* open({ ignores: ["put"] }, { conditionalPut: false })
      expect(store.capabilities).toMatchObject({ conditionalCreate: false, conditionalUpdate: false })
      const error = yield* Effect.flip(store.put("key", bytes("1"), { mode: ObjectStore.create }))
      expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
      expect(server.requests).toHaveLength(0)
    })
  )
})
