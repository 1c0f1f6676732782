/** S3 and GCS servers, the requests that they saw, and repositories over them. */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Repository from "@effect-icechunk/core/Repository"
import type * as Session from "@effect-icechunk/core/Session"
import { ObjectStore, type ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Platform from "@effect-icechunk/core/Platform"
import { GcsObjectStore, GcsPlatform } from "@effect-icechunk/gcs"
import { S3ObjectStore, S3Platform } from "@effect-icechunk/s3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as GcsServer from "../../packages/gcs/test/support/GcsServer.ts"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"

/** One request, as a server saw it. */
export interface Sent {
  /** `bucket/key`. */
  readonly object: string
  /** Access key id, bearer token, or `nobody`. */
  readonly as: string
  /** That an S3 request was signed for. */
  readonly region?: string
  readonly status: number | undefined
}

export interface Cloud {
  readonly endpoint: string
  /** Puts an object there without a request. */
  readonly seed: (bucket: string, key: string, bytes: Uint8Array) => void
  /** Requests so far, to one bucket where that is given. */
  readonly sent: (bucket?: string) => ReadonlyArray<Sent>
}

/** The secret of an access key, on every server that knows the key. */
const secretOf = (accessKeyId: string): string => `secret-of-${accessKeyId}`

export const accessKey = (accessKeyId: string, more: { readonly expiresAt?: number } = {}): Credentials.Credentials =>
  Credentials.accessKey({ accessKeyId, secretAccessKey: Redacted.make(secretOf(accessKeyId)), ...more })

/** Credentials for a container that somebody may have put anywhere: for this cloud, and the platform's own endpoint. */
export const grant = (
  { endpoint }: { readonly endpoint: string },
  credentials: Credentials.Source
): Credentials.Grant => Credentials.grant({ credentials, endpoints: [endpoint] })

export const token = (token: string, more: { readonly expiresAt?: number } = {}): Credentials.Credentials =>
  Credentials.bearerToken({ token: Redacted.make(token), ...more })

const within =
  (bucket: string | undefined) =>
  ({ object }: Sent): boolean =>
    bucket === undefined || object.startsWith(`${bucket}/`)

/** An S3 server with these buckets (by region) for these access keys. */
export const s3 = (options: {
  readonly buckets: Readonly<Record<string, string>>
  readonly accessKeys: ReadonlyArray<string>
}): Effect.Effect<Cloud & { readonly server: S3Server.S3Server }, never, Scope.Scope> =>
  Effect.map(
    S3Server.start({
      buckets: Object.fromEntries(Object.entries(options.buckets).map(([name, region]) => [name, { region }])),
      credentials: options.accessKeys.map((accessKeyId) => ({ accessKeyId, secretAccessKey: secretOf(accessKeyId) }))
    }),
    (server) => ({
      server,
      endpoint: server.endpoint,
      seed: (bucket, key, bytes) => {
        const { buckets } = server.service
        buckets.get(bucket)!.objects.set(key, { bytes, etag: '"e"', lastModified: 0, contentType: "", metadata: {} })
      },
      sent: (bucket) =>
        server.requests
          .map(({ headers, status, ...to }): Sent => {
            const [, as = "nobody", region = ""] =
              /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(headers["authorization"] ?? "") ?? []
            return { object: `${to.bucket}/${to.key}`, as, region, status }
          })
          .filter(within(bucket))
    })
  )

/** A GCS server with these buckets for these tokens. */
export const gcs = (options: {
  readonly buckets: ReadonlyArray<string>
  readonly tokens: ReadonlyArray<string>
}): Effect.Effect<Cloud & { readonly server: GcsServer.GcsServer }, never, Scope.Scope> =>
  Effect.map(GcsServer.make, (server) => {
    for (const bucket of options.buckets) server.addBucket(bucket)
    for (const token of options.tokens) server.addToken(token)
    return {
      server,
      endpoint: server.endpoint,
      seed: (bucket, key, bytes) => void server.seed(bucket, key, bytes),
      sent: (bucket) =>
        server.requests
          .map(({ headers, path, status }): Sent => {
            // .../b/<bucket>/o/<object> on the JSON API.
            const at = path.indexOf("b")
            const object = `${path[at + 1]}/${path[at + 3] ?? ""}`
            return { object, as: (headers["authorization"] ?? "nobody").replace(/^Bearer /, ""), status }
          })
          .filter(within(bucket))
    }
  })

/** Stores of containers that were made and released, as `container bucket`. */
export interface Clients {
  readonly opened: Array<string>
  readonly closed: Array<string>
}

const counted =
  (clients: Clients) =>
  (platform: Platform.Platform): Platform.Platform => ({
    ...platform,
    open: (request) => {
      const client = `${request.container.name} ${request.bucket}`
      return Effect.tap(platform.open(request), () => {
        clients.opened.push(client)
        return Effect.addFinalizer(() => Effect.sync(() => void clients.closed.push(client)))
      })
    }
  })

/** Delays of repetitions that a test need not wait for. */
const retry = { times: 3, baseDelay: 1, maxDelay: 5 }

/** S3 and GCS as platforms, with a count of the clients that they made. */
export const platforms = (clients: Clients = { opened: [], closed: [] }): Layer.Layer<Platform.Platforms> =>
  Platform.layer([
    Effect.map(S3Platform.makeWith({ retry }), counted(clients)),
    Effect.map(GcsPlatform.makeWith({ retry }), counted(clients))
  ])

/** A store for a repository: a bucket on an S3 server. */
export const storeOnS3 = (
  { endpoint }: { readonly endpoint: string },
  bucket: string,
  credentials: Credentials.Source,
  region = "us-east-1"
): Effect.Effect<ObjectStoreShape, never, Scope.Scope> =>
  Effect.orDie(S3ObjectStore.make({ bucket, endpoint, region, credentials, conditionalPut: true, retry }))

/** A store for a repository: a bucket on a GCS server. */
export const storeOnGcs = (
  { endpoint }: { readonly endpoint: string },
  bucket: string,
  credentials: Credentials.Source
): Effect.Effect<ObjectStoreShape, never, Scope.Scope> =>
  Effect.orDie(GcsObjectStore.make({ bucket, endpoint, credentials, retry }))

/** Runs an effect with a store and platforms. */
export const on =
  (store: ObjectStoreShape, clients?: Clients) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, Layer.mergeAll(Layer.succeed(ObjectStore, store), platforms(clients), NodeZstd.layer))

/** A container at a server's endpoint. */
export const container = (
  { endpoint }: { readonly endpoint: string },
  options: Omit<Container.VirtualChunkContainer, "cloud_client_config">
): Container.VirtualChunkContainer => ({ ...options, cloud_client_config: { endpoint_url: endpoint } })

/**
 * Creates a repository with containers and arrays, which are given by the locations of their chunks: bytes 2 to 6 of
 * each object.
 */
export const write = Effect.fnUntraced(function* (
  containers: ReadonlyArray<Container.VirtualChunkContainer>,
  arrays: Readonly<Record<string, ReadonlyArray<string>>>
) {
  const repository = yield* Repository.create({ persist: { virtual_chunk_containers: containers } })
  const session = yield* repository.writableSession("main")
  yield* session.createGroup("/")
  for (const [path, locations] of Object.entries(arrays)) {
    yield* session.createArray(path, {
      shape: [locations.length * 4],
      chunkShape: [4],
      dataType: "uint8",
      fillValue: 0
    })
    for (const [i, location] of locations.entries()) {
      yield* session.setVirtualRef(path, [i], { location, offset: 2, length: 4 })
    }
  }
  yield* session.commit("refs")
})

/** Ten bytes: 2 to 6 are `n`, `n + 1`, `n + 2`, `n + 3`. */
export const object = (n: number): Uint8Array => Uint8Array.from({ length: 10 }, (_, i) => n + i - 2)

/** What is read of such an object. */
export const chunkOf = (n: number): Uint8Array => object(n).slice(2, 6)

/** Opens the tip of `main` to read. */
export const open = (options?: Repository.OpenOptions) =>
  Effect.flatMap(Repository.open(options), (repository) => repository.readonlySession({ branch: "main" }))

/** Reads one chunk through a session that is closed after it. */
export const read = (path: string, chunk: number, options?: Repository.OpenOptions) =>
  Effect.scoped(Effect.flatMap(open(options), (session: Session.Session) => session.chunk(path, [chunk])))

/** Opens the tip of `main` to write. */
export const openToWrite = Effect.flatMap(Repository.open(), (repository) => repository.writableSession("main"))
