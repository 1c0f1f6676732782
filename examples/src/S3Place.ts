/**
 * Where the examples on S3 run: on a small S3 server in this process, without a network, or on a real one
 * that the environment names in `EXAMPLE_S3_ENDPOINT`, `EXAMPLE_S3_ACCESS_KEY`, `EXAMPLE_S3_SECRET_KEY` and
 * `EXAMPLE_S3_REGION` (default `us-east-1`). Buckets are made for the run and removed after it.
 */
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from "@aws-sdk/client-s3"
import { Credentials } from "@effect-icechunk/core"
import { S3ObjectStore } from "@effect-icechunk/s3"
import { Effect, Redacted, type Scope, Stream } from "effect"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as Unexpected from "./Unexpected.ts"

/** A bucket of the run, and the region that it is in. */
export interface Bucket {
  readonly name: string
  readonly region: string
}

/** What was asked of a bucket. */
export interface Traffic {
  readonly requests: number
  /** Access keys that signed, and regions that was signed for, each once, in order. */
  readonly accessKeys: ReadonlyArray<string>
  readonly regions: ReadonlyArray<string>
  /** Requests that were refused. */
  readonly refused: number
}

export interface S3Place {
  readonly description: string
  readonly endpoint: string
  readonly region: string
  readonly credentials: Credentials.Credentials
  /** A new bucket, in this region where the server has regions; its name is made up unless given. */
  readonly bucket: (
    purpose: string,
    options?: { readonly region?: string; readonly name?: string }
  ) => Effect.Effect<Bucket, Unexpected.Unexpected, Scope.Scope>
  /** Runs an effect, and says what it asked of a bucket; a real server does not tell. */
  readonly watch: <A, E, R>(
    bucket: Bucket,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<readonly [result: A, traffic: Traffic | undefined], E, R>
}

interface Server {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly hasRegions: boolean
  readonly requests: ReadonlyArray<S3Server.Recorded> | undefined
}

const trafficOf = (requests: ReadonlyArray<S3Server.Recorded>): Traffic => {
  const scopes = requests.map(
    ({ headers }) => /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(headers["authorization"] ?? "") ?? []
  )
  const distinct = (part: number) => [...new Set(scopes.map((scope) => scope[part] ?? "unsigned"))]
  return {
    requests: requests.length,
    accessKeys: distinct(1),
    regions: distinct(2),
    refused: requests.filter(({ status = 0 }) => status >= 400 || status === 301).length
  }
}

const unexpectedly =
  (what: string) =>
  (cause: unknown): Unexpected.Unexpected =>
    new Unexpected.Unexpected({ what: `${what}: ${String(cause)}`, cause })

const at = (server: Server): S3Place => {
  const { accessKeyId, endpoint, hasRegions, region, requests, secretAccessKey } = server
  const credentials = Credentials.accessKey({ accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) })

  const withClient = (region: string, use: (client: S3Client) => Promise<unknown>) =>
    Effect.acquireUseRelease(
      Effect.sync(
        () =>
          new S3Client({
            endpoint,
            region,
            forcePathStyle: true,
            maxAttempts: 1,
            credentials: { accessKeyId, secretAccessKey }
          })
      ),
      (client) => Effect.tryPromise({ try: () => use(client), catch: unexpectedly(`the bucket at ${endpoint}`) }),
      (client) => Effect.sync(() => client.destroy())
    )

  const remove = (bucket: Bucket) =>
    Effect.gen(function* () {
      const store = yield* S3ObjectStore.make({ bucket: bucket.name, endpoint, region: bucket.region, credentials })
      const objects = yield* Stream.runCollect(store.list(""))
      yield* store.delete(objects.map(({ key }) => key))
      yield* withClient(bucket.region, (client) => client.send(new DeleteBucketCommand({ Bucket: bucket.name })))
    }).pipe(Effect.scoped, Effect.orDie)

  return {
    description: requests === undefined ? endpoint : `${endpoint}, a server in this process`,
    endpoint,
    region,
    credentials,
    bucket: (purpose, options = {}) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const bucket = {
            name: options.name ?? `example-${purpose}-${globalThis.crypto.randomUUID().slice(0, 8)}`,
            region: hasRegions ? (options.region ?? region) : region
          }
          const location =
            bucket.region === region
              ? {}
              : { CreateBucketConfiguration: { LocationConstraint: bucket.region as never } }
          return Effect.as(
            withClient(bucket.region, (client) =>
              client.send(new CreateBucketCommand({ Bucket: bucket.name, ...location }))
            ),
            bucket
          )
        }),
        remove
      ),
    watch: (bucket, effect) =>
      Effect.suspend(() => {
        const before = requests?.length ?? 0
        return Effect.map(
          effect,
          (result) =>
            [
              result,
              requests === undefined
                ? undefined
                : trafficOf(requests.slice(before).filter((request) => request.bucket === bucket.name))
            ] as const
        )
      })
  }
}

/** A server in this process, with an access key of its own. */
export const inProcess = (accessKeyId: string): Effect.Effect<S3Place, never, Scope.Scope> => {
  const secretAccessKey = globalThis.crypto.randomUUID()
  return Effect.map(
    S3Server.start({ buckets: {}, credentials: [{ accessKeyId, secretAccessKey }] }),
    ({ endpoint, requests }) =>
      at({ endpoint, accessKeyId, secretAccessKey, region: "us-east-1", hasRegions: true, requests })
  )
}

/** The server that the environment names, else one in this process. */
export const make: Effect.Effect<S3Place, never, Scope.Scope> = Effect.suspend(() => {
  const {
    EXAMPLE_S3_ACCESS_KEY: accessKeyId = "",
    EXAMPLE_S3_ENDPOINT: endpoint = "",
    EXAMPLE_S3_REGION: region = "us-east-1",
    EXAMPLE_S3_SECRET_KEY: secretAccessKey = ""
  } = process.env
  return endpoint === ""
    ? inProcess("example")
    : Effect.succeed(at({ endpoint, accessKeyId, secretAccessKey, region, hasRegions: false, requests: undefined }))
})
