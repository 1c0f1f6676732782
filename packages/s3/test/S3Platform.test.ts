/** Virtual chunks on S3. */
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as ChunkResolver from "@effect-icechunk/core/ChunkResolver"
import * as ContainerStores from "../../core/src/virtual/ContainerStores.ts"
import { ObjectReads } from "../../core/src/virtual/ObjectReads.ts"
import { RequestGate } from "../../core/src/store/RequestGate.ts"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import * as S3Platform from "../src/S3Platform.ts"
import * as S3Server from "./support/S3Server.ts"
import { accessKey, fast, optionsFor } from "./support/TestStores.ts"

const platform = S3Platform.makeWith({ retry: fast })

const containerAt = (
  server: { readonly endpoint: string },
  more: Partial<Container.VirtualChunkContainer> = {}
): Container.VirtualChunkContainer => ({
  name: "data",
  protocol: "s3",
  platform: "s3",
  cloud_client_config: { endpoint_url: server.endpoint },
  ...more
})

const open = (
  container: Container.VirtualChunkContainer,
  credentials: Credentials.Source = accessKey("test", "secret"),
  bucket = "bucket"
) =>
  Effect.flatMap(platform, (platform) =>
    platform.open({ container, bucket, region: container.region ?? "us-east-1", credentials })
  )

const object = { bytes: new Uint8Array([1, 2, 3, 4]), etag: '"etag"', lastModified: 0, contentType: "", metadata: {} }

describe("S3Platform", () => {
  it.live("opens a container's bucket with the container's options, read-only", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      server.service.buckets.get("bucket")!.objects.set("a//b?", object)
      const store = yield* open(
        containerAt(server, {
          cloud_client_config: { endpoint_url: server.endpoint, force_path_style: true, requester_pays: true }
        })
      )
      expect((yield* store.get("a//b?")).bytes).toEqual(object.bytes)
      expect(server.requests[0]?.headers["x-amz-request-payer"]).toBe("requester")
      expect(store.origin).toMatchObject({ platform: "s3", endpoint: server.endpoint, region: "us-east-1" })
      const error = yield* Effect.flip(store.put("key", object.bytes))
      expect(error._tag).toBe("WriteForbidden")
      expect(server.requests).toHaveLength(1)
    })
  )

  it.live("sends no signature where the container is anonymous", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ buckets: { bucket: { isPublic: true } } })
      server.service.buckets.get("bucket")!.objects.set("key", object)
      const store = yield* open(
        containerAt(server, { cloud_client_config: { endpoint_url: server.endpoint, anonymous: true } })
      )
      yield* store.get("key")
      expect(server.requests[0]?.headers["authorization"]).toBeUndefined()
    })
  )

  it.live("finds a container's bucket in another region", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ buckets: { bucket: { region: "us-east-2" } }, wrongRegion: 301 })
      server.service.buckets.get("bucket")!.objects.set("key", object)
      const store = yield* open(containerAt(server))
      expect((yield* store.get("key")).bytes).toEqual(object.bytes)
    })
  )

  it.live.each<readonly [string, Partial<Container.VirtualChunkContainer>, string, string]>([
    ["on a Tigris endpoint", { cloud_client_config: { endpoint_url: "https://t3.storage.dev" } }, "bucket", "Tigris"],
    ["with a region that is none", { region: "evil.example/#" }, "bucket", "`region`"],
    ["with a bucket that is none", {}, "..", "`bucket`"]
  ])("says with each read of a container %s what is wrong", ([, container, bucket, problem]) =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const store = yield* open(containerAt(server, container), undefined, bucket)
      for (const request of [Effect.asVoid(store.get("key")), Effect.asVoid(store.head("key"))]) {
        const error = yield* Effect.flip(request)
        expect(error).toMatchObject({ _tag: "ObjectStoreError", reason: { _tag: "Unsupported" } })
        expect(error.message).toContain(problem)
        expect(error.message).toContain("`data`")
      }
      expect(server.requests).toHaveLength(0)
    })
  )

  it.live("wants credentials that S3 has a use for", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const error = yield* Effect.flip(open(containerAt(server), Credentials.directory("/")))
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "data", platform: "s3" })
      expect(error.message).toContain("`Directory`")
    })
  )
})

describe("virtual chunks on S3", () => {
  const resolver = (
    server: S3Server.S3Server,
    containers: ReadonlyArray<Container.VirtualChunkContainer>,
    byContainer: Readonly<Record<string, Credentials.Entry>> = {}
  ): Effect.Effect<ChunkResolver.ChunkResolver, never, Scope.Scope> =>
    Effect.gen(function* () {
      const repository = yield* Effect.orDie(S3ObjectStore.make(optionsFor(server)))
      const stores = yield* ContainerStores.make({
        platforms: new Map([["s3", yield* platform]]),
        policy: { byContainer, fallback: "same-endpoint", repository: repository.origin }
      })
      return ChunkResolver.make({
        containers: ContainerMatch.make({ persisted: containers }),
        stores,
        reads: new ObjectReads(stores.scope, new RequestGate({ requests: 256, bytes: 64 * 1024 * 1024 }), undefined)
      })
    })

  it.live("are read with the repository's credentials at the repository's endpoint, and checked", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ buckets: { bucket: {}, other: { region: "us-east-2" } } })
      server.service.buckets.get("other")!.objects.set("dir/a.nc", object)
      const chunks = yield* resolver(server, [containerAt(server, { name: "s3", region: "us-east-2" })])
      const ref = { location: "s3://other/dir/a.nc", offset: 1, length: 2, checksum: Checksum.etag('"etag"') }
      expect(yield* chunks.read(ref, { checks: "fail" })).toEqual(new Uint8Array([2, 3]))
      expect(server.requests.map(({ headers, status }) => [status, headers["range"], headers["if-match"]])).toEqual([
        [206, "bytes=1-2", '"etag"']
      ])
      const changed = yield* Effect.flip(
        chunks.read({ ...ref, checksum: Checksum.etag('"older"') }, { checks: "fail" })
      )
      expect(changed._tag).toBe("ChecksumMismatch")
      const newer = { ...ref, checksum: Checksum.lastModified(1000) }
      server.service.buckets.get("other")!.objects.set("dir/a.nc", { ...object, lastModified: 2000 })
      expect((yield* Effect.flip(chunks.read(newer, { checks: "fail" })))._tag).toBe("ChecksumMismatch")
      const missing = yield* Effect.flip(chunks.read({ ...ref, location: "s3://other/none" }, { checks: "fail" }))
      expect(missing._tag).toBe("VirtualObjectNotFound")
    })
  )

  it.live("are not read with the repository's credentials anywhere else", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const elsewhere = yield* S3Server.start({ credentials: [{ accessKeyId: "other", secretAccessKey: "other" }] })
      elsewhere.service.buckets.get("bucket")!.objects.set("key", object)
      const container = containerAt(elsewhere, { name: "elsewhere", bucket_prefix: "bucket" })
      const ref = { location: "s3://bucket/key", offset: 0, length: 4, checksum: undefined }
      const without = yield* resolver(server, [container])
      const error = yield* Effect.flip(without.read(ref, { checks: "fail" }))
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "elsewhere" })
      expect(elsewhere.requests).toHaveLength(0)
      const granted = yield* resolver(server, [container], {
        elsewhere: Credentials.grant({ credentials: accessKey("other", "other"), endpoints: [elsewhere.endpoint] })
      })
      expect(yield* granted.read(ref, { checks: "fail" })).toEqual(object.bytes)
    })
  )
})
