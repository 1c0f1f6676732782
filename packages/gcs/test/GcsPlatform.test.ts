import type { ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type { CloudClientConfig } from "@effect-icechunk/core/VirtualChunkContainer"
import * as ChunkResolver from "@effect-icechunk/core/ChunkResolver"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as ContainerStores from "../../core/src/virtual/ContainerStores.ts"
import { ObjectReads } from "../../core/src/virtual/ObjectReads.ts"
import { RequestGate } from "../../core/src/store/RequestGate.ts"
import type * as Platform from "@effect-icechunk/core/Platform"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as GcsPlatform from "../src/GcsPlatform.ts"
import * as GcsState from "./support/GcsState.ts"
import { bearer, bytes, make, reason, text, token } from "./support/Harness.ts"

const open = (
  config: CloudClientConfig,
  credentials: Credentials.Source = bearer,
  bucket = "data"
): Effect.Effect<ObjectStoreShape, Platform.MissingCredentials | Credentials.CredentialsUnavailable, Scope.Scope> =>
  Effect.flatMap(GcsPlatform.make, (platform) =>
    platform.open({
      container: { name: "model", protocol: "gcs", platform: "gcs", cloud_client_config: config },
      bucket,
      region: undefined,
      credentials
    })
  )

describe("GcsPlatform", () => {
  it.effect("is gcs, has buckets and no regions, and may share the repository's credentials", () =>
    Effect.gen(function* () {
      const platform = yield* GcsPlatform.make
      expect(platform).toMatchObject({
        name: "gcs",
        defaultRegion: undefined,
        hasBuckets: true,
        sharesCredentials: true,
        accepts: ["BearerToken", "ServiceAccount", "Anonymous", "Environment"]
      })
    })
  )

  it.live("opens read-only stores at the container's endpoint", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      server.seed("data", "a", "hello")
      const store = yield* open({ endpoint_url: server.endpoint })
      expect(store.description).toBe("gcs://data")
      expect(store.origin).toEqual({ platform: "gcs", endpoint: server.endpoint, credentials: bearer })
      expect(text((yield* store.get("a", { range: ByteRange.bounded(1, 2) })).bytes)).toBe("el")
      for (const write of [store.put("a", bytes("")), store.delete(["a"]), store.copy("a", "b")]) {
        expect(yield* Effect.flip(write)).toMatchObject({
          _tag: "WriteForbidden",
          because: expect.stringContaining("container `model` holds virtual chunks")
        })
      }
      expect(server.requests.length).toBe(1)
    })
  )

  it.live("lets the project of the container pay", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      server.addBucket("data", { requesterPays: true })
      server.seed("data", "a", "x")
      const unpaid = yield* open({ endpoint_url: server.endpoint, requester_pays: true })
      expect((yield* reason(unpaid.get("a")))._tag).toBe("PermissionDenied")
      const store = yield* open({ endpoint_url: server.endpoint, user_project: "payer" })
      yield* store.get("a")
      expect(server.requests.at(-1)!.query.get("userProject")).toBe("payer")
      // What is no project is not sent.
      yield* reason((yield* open({ endpoint_url: server.endpoint, user_project: "a\nb" })).get("a"))
      expect(server.requests.slice(-1).every(({ query }) => query.get("userProject") === null)).toBe(true)
    })
  )

  it.live("sends no credentials for an anonymous container", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      server.addBucket("data", { isPublic: true })
      server.seed("data", "a", "x")
      const store = yield* open({ endpoint_url: server.endpoint, anonymous: true })
      yield* store.get("a")
      expect(server.requests[0]!.headers["authorization"]).toBeUndefined()
    })
  )

  it.live("names the container whose credentials are of another platform", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        open({}, Credentials.accessKey({ accessKeyId: "a", secretAccessKey: Redacted.make("b") }))
      )
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "model", platform: "gcs" })
      expect(error.message).toContain("access keys are for S3")
    })
  )

  it.live("a container that is configured wrongly fails when it is read, not before", () =>
    Effect.gen(function* () {
      for (const [config, bucket] of [
        [{ endpoint_url: "http://user:secret@example.com" }, "data"],
        [{}, "no bucket"],
        [{}, "\ud800"]
      ] as const) {
        const store = yield* open(config, bearer, bucket)
        const operations: ReadonlyArray<Effect.Effect<unknown, Error>> = [
          store.get("a"),
          store.head("a"),
          Stream.runCollect(store.list(""))
        ]
        for (const operation of operations) {
          const error = yield* Effect.flip(operation)
          expect(error).toMatchObject({ reason: { _tag: "Unsupported" } })
          expect(error.message).not.toContain("secret")
        }
      }
    })
  )

  it.live("virtual chunks are read with a request each, gs:// as gcs://, whichever API's ETag their refs have", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      const simple = server.seed("data", "a/b.nc", "0123456789")
      const parts = server.seed("data", "c.nc", "abcdefghij", { partsEtag: '"7fc8f92280ac3c975f300cb64412c16f-9"' })
      const platform = yield* GcsPlatform.make
      const containers = ContainerMatch.make({
        persisted: [
          { name: "gcs", protocol: "gcs", platform: "gcs", cloud_client_config: { endpoint_url: server.endpoint } }
        ]
      })
      const stores = yield* ContainerStores.make({
        platforms: new Map([["gcs", platform]]),
        policy: {
          byContainer: {
            gcs: Credentials.grant({
              credentials: Credentials.bearerToken({ token: Redacted.make(token) }),
              endpoints: [server.endpoint]
            })
          },
          fallback: "strict",
          repository: { platform: "fs" }
        }
      })
      const resolver = ChunkResolver.make({
        containers,
        stores,
        reads: new ObjectReads(stores.scope, new RequestGate({ requests: 256, bytes: 64 * 1024 * 1024 }), undefined)
      })
      const cases = [
        ["gs://data/a/b.nc", Checksum.etag(GcsState.xmlEtag(simple)), "234"],
        ["gcs://data/a/b.nc", Checksum.etag(GcsState.jsonEtag(simple)), "234"],
        ["gcs://data/a/b.nc", Checksum.lastModified(simple.updated), "234"],
        ["gcs://data/a/b.nc", undefined, "234"],
        ["gcs://data/c.nc", Checksum.etag(GcsState.xmlEtag(parts)), "cde"],
        ["gcs://data/c.nc", Checksum.etag(GcsState.jsonEtag(parts)), "cde"]
      ] as const
      for (const [location, checksum, expected] of cases) {
        const ref = { location, offset: 2, length: 3, checksum }
        expect(text(yield* resolver.read(ref, { checks: "fail" }))).toBe(expected)
      }
      expect(server.requests.length).toBe(cases.length)
      server.seed("data", "a/b.nc", "9876543210")
      for (const checksum of [Checksum.etag(GcsState.xmlEtag(simple)), Checksum.etag(GcsState.jsonEtag(simple))]) {
        const ref = { location: "gcs://data/a/b.nc", offset: 2, length: 3, checksum }
        expect((yield* Effect.flip(resolver.read(ref, { checks: "fail" })))._tag).toBe("ChecksumMismatch")
      }
    })
  )
})
