import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { Storage } from "@google-cloud/storage"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { OAuth2Client } from "google-auth-library"
import * as ResumableUpload from "../src/internal/ResumableUpload.ts"
import type { ApiRequest } from "./support/GcsApi.ts"
import type { Fault } from "./support/GcsServer.ts"
import { bytes, make, reason, text, token } from "./support/Harness.ts"

const large = new Uint8Array(2 * ResumableUpload.partBytes + 12_345).map((_, i) => (i * 31 + (i >> 12)) % 251)

const isPart = ({ method, query }: ApiRequest): boolean => method === "PUT" && query.has("upload_id")

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe("uploads of large objects", () => {
  it.live("are made in parts, under the same conditions as small ones", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const version = yield* store.put("a", large, { mode: ObjectStore.create, metadata: { mine: "yes" } })
      expect(server.requests.filter(({ method }) => method === "PUT").map(({ bodyLength }) => bodyLength)).toEqual([
        ResumableUpload.partBytes,
        ResumableUpload.partBytes,
        12_345
      ])
      const { bytes: read, meta } = yield* store.get("a")
      expect([sameBytes(read, large), meta.version.generation, meta.metadata?.["mine"]]).toEqual([
        true,
        version.generation,
        "yes"
      ])
      expect(yield* reason(store.put("a", large, { mode: ObjectStore.create }))).toMatchObject({
        _tag: "AlreadyExists"
      })
      yield* store.put("a", bytes("changed"))
      expect(yield* reason(store.put("a", large, { mode: ObjectStore.update(version) }))).toMatchObject({
        _tag: "PreconditionFailed"
      })
      expect(text((yield* store.get("a")).bytes)).toBe("changed")
    })
  )

  it.live("go on from what has arrived when answers are lost, connections break, or a part was kept in part", () =>
    Effect.gen(function* () {
      const faults: ReadonlyArray<Fault> = [
        { _tag: "DropAfter" },
        { _tag: "Reset" },
        { _tag: "RefuseAfter", status: 503 },
        { _tag: "Refuse", status: 500 }
      ]
      for (const fault of faults) {
        const { open, server } = yield* make
        const store = yield* open()
        server.plan(fault, { when: isPart, times: 2 })
        yield* store.put("a", large, { mode: ObjectStore.create })
        expect(sameBytes(server.settings.buckets.get("data")!.objects.get("a")!.bytes, large)).toBe(true)
        expect(server.requests.some(({ headers }) => headers["content-range"] === `bytes */${large.length}`)).toBe(true)
      }
      const { open, server } = yield* make
      server.settings.keptBytes = 12 * 1024 * 1024
      yield* (yield* open()).put("a", large)
      expect(sameBytes(server.settings.buckets.get("data")!.objects.get("a")!.bytes, large)).toBe(true)
    })
  )

  it.live("of which the last answer was lost are not taken for a conflict", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const isLast = (request: ApiRequest): boolean =>
        isPart(request) && request.headers["content-range"]?.includes(`-${large.length - 1}/`) === true
      server.plan({ _tag: "DropAfter" }, { when: isLast })
      const version = yield* (yield* open()).put("a", large, { mode: ObjectStore.create })
      const stored = server.settings.buckets.get("data")!.objects.get("a")!
      expect(version.generation).toBe(String(stored.generation))
    })
  )

  it.live("are given up when the store takes nothing, and when they are interrupted", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      server.settings.keptBytes = 0
      expect(yield* reason(store.put("a", large))).toMatchObject({ _tag: "InvalidResponse", isFinal: true })
      expect(server.settings.uploads.size).toBe(0)
      server.settings.keptBytes = Infinity
      server.plan({ _tag: "Hang" }, { when: isPart })
      const asked = server.next(({ method }) => method === "PUT")
      const waiting = yield* Effect.forkChild(asked, { startImmediately: true })
      const fiber = yield* Effect.forkChild(store.put("b", large), { startImmediately: true })
      yield* Fiber.join(waiting)
      yield* Fiber.interrupt(fiber)
      expect(server.settings.uploads.size).toBe(0)
      expect(server.settings.buckets.get("data")!.objects.has("b")).toBe(false)
    })
  )

  it.live("are sent to the endpoint alone, and to a session", () =>
    Effect.gen(function* () {
      expect(ResumableUpload.sessionPath({ headers: { location: "https://other/u?upload_id=1" } }, "http://here")).toBe(
        "/u?upload_id=1"
      )
      expect(ResumableUpload.sessionPath({ headers: { location: "/login" } }, "http://here")).toBeUndefined()
      expect(ResumableUpload.received({ headers: {} }, 10)).toBe(0)
      expect(ResumableUpload.received({ headers: { range: "bytes=0-9" } }, 10)).toBe(10)
      expect(ResumableUpload.received({ headers: { range: "bytes=0-10" } }, 10)).toBeUndefined()
      expect(ResumableUpload.received({ headers: { range: "bytes=1-9" } }, 10)).toBeUndefined()
    })
  )

  it.live("are read by Google's own client, which finds their hash right", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      yield* (yield* open()).put("a", large)
      const authClient = new OAuth2Client()
      authClient.setCredentials({ access_token: token })
      const peer = new Storage({ apiEndpoint: server.endpoint, useAuthWithCustomEndpoint: true, authClient })
      const [read] = yield* Effect.promise(() => peer.bucket("data").file("a").download())
      expect(sameBytes(read, large)).toBe(true)
    })
  )
})
