/** Stores on the test server, and on a real one when the environment names it. */
import * as http from "node:http"
import { CreateBucketCommand, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3"
import type { ObjectStore, ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreService from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as S3ObjectStore from "../../src/S3ObjectStore.ts"
import type * as S3Options from "../../src/S3Options.ts"
import * as S3Server from "./S3Server.ts"

/** Delays of repetitions that a test need not wait for. */
export const fast: S3Options.RetryOptions = { baseDelay: 1, maxDelay: 5, times: 10 }

export const accessKey = (accessKeyId: string, secret: string, sessionToken?: string): Credentials.Credentials =>
  Credentials.accessKey({
    accessKeyId,
    secretAccessKey: Redacted.make(secret),
    sessionToken: sessionToken === undefined ? undefined : Redacted.make(sessionToken)
  })

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Puts an object into a bucket of a test server behind the store's back. */
export const put = (server: S3Server.S3Server, key: string, content: Uint8Array, bucket = "bucket"): void => {
  server.service.buckets.get(bucket)!.objects.set(key, {
    bytes: content,
    etag: '"etag"',
    lastModified: 0,
    contentType: "text/plain",
    metadata: {}
  })
}

/** Options for the bucket of a test server. */
export const optionsFor = (server: { readonly endpoint: string }): S3Options.S3Options => ({
  bucket: "bucket",
  endpoint: server.endpoint,
  region: "us-east-1",
  credentials: accessKey("test", "secret"),
  // What is found out by asking has tests of its own.
  conditionalPut: true,
  retry: fast
})

/** A store on a test server of its own. */
export const open = (
  serverOptions: S3Server.Options = {},
  options: Partial<S3Options.S3Options> = {}
): Effect.Effect<{ readonly server: S3Server.S3Server; readonly store: ObjectStoreShape }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* S3Server.start(serverOptions)
    const store = yield* Effect.orDie(S3ObjectStore.make({ ...optionsFor(server), ...options }))
    return { server, store }
  })

export const layerFake = (
  serverOptions: S3Server.Options = {},
  options: Partial<S3Options.S3Options> = {}
): Layer.Layer<ObjectStore> =>
  Layer.effect(
    ObjectStoreService.ObjectStore,
    Effect.map(open(serverOptions, options), ({ store }) => store)
  )

/** A client whose buckets are names of hosts, all of which are the test server. */
export const hostStyleClient = (
  server: { readonly endpoint: string },
  config: S3ClientConfig = {}
): Effect.Effect<S3Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new S3Client({
          endpoint: `http://s3.test:${new URL(server.endpoint).port}`,
          region: "us-east-1",
          credentials: { accessKeyId: "test", secretAccessKey: "secret" },
          requestHandler: {
            httpAgent: new http.Agent({
              keepAlive: true,
              lookup: (_host, _options, found) => found(null, [{ address: "127.0.0.1", family: 4 }])
            })
          },
          ...config
        })
    ),
    (client) => Effect.sync(() => client.destroy())
  )

/** A store whose bucket is the name of a host. */
export const layerHostStyle = (options: Partial<S3Options.StoreOptions> = {}): Layer.Layer<ObjectStore> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const server = yield* S3Server.start()
      const client = yield* hostStyleClient(server)
      return Layer.orDie(
        S3ObjectStore.layerClient(client, { bucket: "bucket", conditionalPut: true, retry: fast, ...options })
      )
    })
  )

/**
 * The real server: `TEST_S3_ENDPOINT` (as `http://127.0.0.1:13380`), `TEST_S3_ACCESS_KEY`, `TEST_S3_SECRET_KEY`,
 * and `TEST_S3_REGION` (default `us-east-1`). Buckets are made, with names that start with `effect-icechunk-`.
 */
export const real = {
  endpoint: process.env["TEST_S3_ENDPOINT"],
  accessKeyId: process.env["TEST_S3_ACCESS_KEY"] ?? "",
  secretAccessKey: process.env["TEST_S3_SECRET_KEY"] ?? "",
  region: process.env["TEST_S3_REGION"] ?? "us-east-1"
}

/** A new bucket on the real server, and options for it. */
export const realOptions: Effect.Effect<S3Options.S3Options> = Effect.promise(async () => {
  const { accessKeyId, endpoint = "", region, secretAccessKey } = real
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey }
  })
  const bucket = `effect-icechunk-${globalThis.crypto.randomUUID()}`
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
  return { bucket, endpoint, region, credentials: accessKey(accessKeyId, secretAccessKey) }
})

export const layerReal = (options: Partial<S3Options.S3Options> = {}): Layer.Layer<ObjectStore> =>
  Layer.effect(
    ObjectStoreService.ObjectStore,
    Effect.flatMap(realOptions, (found) => Effect.orDie(S3ObjectStore.make({ ...found, ...options })))
  )
