/**
 * Google's own client on the test server, beside our store: each reads what the other wrote.
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Readback from "@effect-icechunk/core/Readback"
import { Storage } from "@google-cloud/storage"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { OAuth2Client } from "google-auth-library"
import { bytes, make, text, token } from "./support/Harness.ts"

const peer = (endpoint: string): Storage => {
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: token })
  return new Storage({
    apiEndpoint: endpoint,
    useAuthWithCustomEndpoint: true,
    authClient,
    retryOptions: { autoRetry: false }
  })
}

const refusal = (promise: () => Promise<unknown>): Effect.Effect<unknown> =>
  Effect.promise(() =>
    promise().then(
      () => "accepted",
      (error: { readonly code?: unknown }) => error.code
    )
  )

describe("Google's client", () => {
  it.live("reads what we wrote, bytes checked by their hash, with its metadata", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const bucket = peer(server.endpoint).bucket("data")
      const version = yield* store.put("a/b c", bytes("hello"), {
        mode: ObjectStore.create,
        contentType: "text/plain",
        metadata: { mine: "yes" }
      })
      const file = bucket.file("a/b c")
      const [read] = yield* Effect.promise(() => file.download())
      expect(text(read)).toBe("hello")
      const [metadata] = yield* Effect.promise(() => file.getMetadata())
      expect(metadata).toMatchObject({
        generation: version.generation,
        contentType: "text/plain",
        metadata: { mine: "yes", [Readback.metadataKey]: expect.any(String) }
      })
      const { alternateEtags } = yield* store.head("a/b c")
      expect(alternateEtags).toEqual([metadata.etag])
    })
  )

  it.live("writes what we read, and keeps to our versions as we to its", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const bucket = peer(server.endpoint).bucket("data")
      const save = (text: string, ifGenerationMatch: number | string): Promise<void> =>
        bucket.file("a").save(text, {
          resumable: false,
          metadata: { metadata: { theirs: "yes" } },
          preconditionOpts: { ifGenerationMatch }
        })
      yield* Effect.promise(() => save("one", 0))
      const { bytes: read, meta } = yield* store.get("a")
      expect([text(read), meta.metadata]).toEqual(["one", { theirs: "yes" }])
      expect(yield* refusal(() => save("two", 0))).toBe(412)
      yield* store.put("a", bytes("two"), { mode: ObjectStore.update(meta.version) })
      expect(yield* refusal(() => save("three", meta.version.generation!))).toBe(412)
      yield* Effect.promise(async () => save("three", (await bucket.file("a").getMetadata())[0].generation!))
      const stale = yield* Effect.flip(store.put("a", bytes("four"), { mode: ObjectStore.update(meta.version) }))
      expect(stale).toMatchObject({ reason: { _tag: "PreconditionFailed" } })
      expect(text((yield* store.get("a")).bytes)).toBe("three")
    })
  )

  it.live("lists, copies, reads ranges and deletes as we do", () =>
    Effect.gen(function* () {
      const { open, server } = yield* make
      const store = yield* open()
      const bucket = peer(server.endpoint).bucket("data")
      for (let i = 0; i < 1100; i++) server.seed("data", `many/${i}`, String(i))
      const [files] = yield* Effect.promise(() => bucket.getFiles({ prefix: "many/" }))
      const listed = yield* Stream.runCollect(store.list("many/"))
      expect(files.map(({ name }) => name)).toEqual(listed.map(({ key }) => key))
      yield* store.put("source", bytes("0123456789"))
      yield* Effect.promise(() => bucket.file("source").copy(bucket.file("copy")))
      expect(text((yield* store.get("copy")).bytes)).toBe("0123456789")
      const [part] = yield* Effect.promise(() => bucket.file("copy").download({ start: 2, end: 4 }))
      expect(text(part)).toBe("234")
      yield* Effect.promise(() => bucket.file("copy").delete())
      expect(yield* ObjectStore.exists(store, "copy")).toBe(false)
      expect(yield* refusal(() => bucket.file("copy").download())).toBe(404)
      expect(yield* refusal(() => bucket.file("copy").delete())).toBe(404)
    })
  )
})
