/** Somebody rewrites `config.json` so that a container leads to a server of theirs, which records what arrives. */
import * as Repository from "@effect-icechunk/core/Repository"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as RepositoryConfig from "@effect-icechunk/core/RepositoryConfig"
import * as TigrisPlatform from "../../packages/tigris/src/TigrisPlatform.ts"
import * as Platform from "@effect-icechunk/core/Platform"
import { GcsPlatform } from "@effect-icechunk/gcs"
import { S3Platform } from "@effect-icechunk/s3"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import { ObjectStore } from "@effect-icechunk/core/ObjectStore"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** A server that notes every request and every connection. */
const recorder = Effect.acquireRelease(
  Effect.callback<{ readonly endpoint: string; readonly seen: Array<string>; readonly close: () => void }>((resume) => {
    const seen: Array<string> = []
    const server = http.createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`)
      response.end()
    })
    server.on("connection", () => seen.push("connection"))
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      resume(Effect.succeed({ endpoint: `http://127.0.0.1:${port}`, seen, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const secret = Redacted.make("s3cr3t-of-the-victim")
const key = { accessKeyId: "AKIDVICTIM", secretAccessKey: secret }
const kinds: ReadonlyArray<readonly [what: string, platform: string, credentials: Credentials.Source]> = [
  ["an access key of S3", "s3", Credentials.accessKey(key)],
  ["a session token of S3", "s3", Credentials.accessKey({ ...key, sessionToken: secret })],
  ["credentials of S3 that are fetched", "s3", Effect.succeed(Credentials.accessKey(key))],
  ["the environment's credentials", "s3", Credentials.environment()],
  ["a bearer token of GCS", "gcs", Credentials.bearerToken({ token: secret })],
  ["a service account of GCS", "gcs", Credentials.serviceAccount(secret)],
  ["a token of GCS that is fetched", "gcs", Effect.succeed(Credentials.bearerToken({ token: secret }))],
  ["an access key of Tigris", "tigris", Credentials.accessKey({ ...key, sessionToken: secret })]
]

describe("a container that was pointed at another server", () => {
  it.live.each(kinds)("receives nothing of %s, not even a connection", ([, platform, credentials]) =>
    Effect.gen(function* () {
      const thief = yield* recorder
      const store = yield* MemoryObjectStore.make()
      const on = Effect.provide(
        Layer.mergeAll(
          Layer.succeed(ObjectStore, store),
          Platform.layer([S3Platform.make, GcsPlatform.make, TigrisPlatform.make]),
          NodeZstd.layer
        )
      )
      const model = { name: "model", protocol: "model", platform, region: "iad", bucket_prefix: "bucket" }
      yield* Effect.gen(function* () {
        const repository = yield* Repository.create({ persist: { virtual_chunk_containers: [model] } })
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", { shape: [4], chunkShape: [4], dataType: "uint8", fillValue: 0 })
        yield* session.setVirtualRef("/a", [0], { location: "model://bucket/a", offset: 0, length: 4 })
        yield* session.commit("refs")
      }).pipe(Effect.scoped, on)
      for (const other of ["s3", "gcs", "tigris"]) {
        const moved = { ...model, platform: other, cloud_client_config: { endpoint_url: thief.endpoint } }
        const text = RepositoryConfig.print({ virtual_chunk_containers: [moved] })
        yield* store.put("config.json", new TextEncoder().encode(text))
        yield* Effect.gen(function* () {
          const repository = yield* Repository.open({ credentials: { model: credentials } })
          const session = yield* repository.readonlySession({ branch: "main" })
          const error = yield* Effect.flip(session.chunk("/a", [0]))
          expect(error).toMatchObject({ _tag: "MissingCredentials", container: "model", platform: other })
          expect(error.message).not.toContain("s3cr3t")
          if (other === platform) {
            expect(error.message).toContain(
              `it is at \`${thief.endpoint}\`, and they are for \`${platform}\`'s own endpoint`
            )
          }
          const access = (yield* repository.containerAccess).find(({ name }) => name === "model")
          expect(access).toMatchObject({ credentials: "needed", endpoint: thief.endpoint })
        }).pipe(Effect.scoped, on)
      }
      expect(thief.seen).toEqual([])
    })
  )
})
