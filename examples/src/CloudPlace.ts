/**
 * Where the examples across clouds run: on small servers in this process, without a network, or in buckets that the
 * environment names. For the place `home`, these are `EXAMPLE_HOME_BUCKET`, `EXAMPLE_HOME_ENDPOINT` (default the
 * cloud's own), and on S3 `EXAMPLE_HOME_ACCESS_KEY`, `EXAMPLE_HOME_SECRET_KEY` and `EXAMPLE_HOME_REGION`, on GCS
 * `EXAMPLE_HOME_TOKEN` (default anonymous access, as emulators want it). Objects are put below a prefix that is
 * made up for the run, and removed after it.
 */
import { Credentials, type ObjectStore, type VirtualChunkContainer } from "@effect-icechunk/core"
import { GcsObjectStore } from "@effect-icechunk/gcs"
import { S3ObjectStore } from "@effect-icechunk/s3"
import { Effect, Redacted, type Scope, Stream } from "effect"
import * as GcsServer from "../../packages/gcs/test/support/GcsServer.ts"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import * as Unexpected from "./Unexpected.ts"

export interface CloudPlace {
  readonly description: string
  /** Bucket and prefix. */
  readonly path: string
  /** What a container here says of it. */
  readonly container: Pick<
    VirtualChunkContainer.VirtualChunkContainer,
    "platform" | "region" | "bucket_prefix" | "cloud_client_config"
  >
  /** The entry for such a container, which names the endpoint where that is not the cloud's own. */
  readonly access: Credentials.Grant
  readonly store: ObjectStore.ObjectStoreShape
  /** Who made requests here, each once: access key ids and tokens. A real cloud does not tell. */
  readonly askedBy: () => ReadonlyArray<string> | undefined
}

interface Cloud {
  readonly bucket: string
  readonly endpoint: string | undefined
  readonly region?: string
  readonly credentials: Credentials.Credentials
  readonly askedBy: CloudPlace["askedBy"]
}

const setting = (place: string, name: string): string | undefined => {
  const value = process.env[`EXAMPLE_${place.toUpperCase().replaceAll("-", "_")}_${name}`]
  return value === "" ? undefined : value
}

const distinct = (identities: ReadonlyArray<string | undefined>): ReadonlyArray<string> => [
  ...new Set(identities.map((identity) => identity ?? "nobody"))
]

const remove = (store: ObjectStore.ObjectStoreShape) =>
  Effect.gen(function* () {
    const objects = yield* Stream.runCollect(store.list(""))
    yield* store.delete(objects.map(({ key }) => key))
  }).pipe(Effect.ignore)

const unusable = (cause: Error): Unexpected.Unexpected => new Unexpected.Unexpected({ what: cause.message, cause })

const at = Effect.fnUntraced(function* (
  platform: "s3" | "gcs",
  { askedBy, bucket, credentials, endpoint, region }: Cloud
): Effect.fn.Return<CloudPlace, Unexpected.Unexpected, Scope.Scope> {
  const prefix = `example-${globalThis.crypto.randomUUID().slice(0, 8)}`
  const options = { bucket, prefix, endpoint, credentials, retry: { times: 2 } }
  const opened: Effect.Effect<ObjectStore.ObjectStoreShape, Error, Scope.Scope> =
    platform === "s3" ? S3ObjectStore.make({ ...options, region }) : GcsObjectStore.make(options)
  const store = yield* Effect.mapError(opened, unusable)
  yield* Effect.addFinalizer(() => remove(store))
  const path = `${bucket}/${prefix}`
  const where =
    askedBy() === undefined ? (endpoint ?? "the cloud's own endpoint") : `${endpoint}, a server in this process`
  return {
    description: `${platform}://${path} at ${where}`,
    path,
    container: {
      platform,
      ...(region === undefined ? {} : { region }),
      bucket_prefix: path,
      ...(endpoint === undefined ? {} : { cloud_client_config: { endpoint_url: endpoint } })
    },
    access: Credentials.grant({ credentials, endpoints: endpoint === undefined ? [] : [endpoint] }),
    store,
    askedBy
  }
})

/** A place on S3: the bucket that the environment names, else one on a server of its own. */
export const s3 = (name: string, region: string): Effect.Effect<CloudPlace, Unexpected.Unexpected, Scope.Scope> =>
  Effect.gen(function* () {
    const bucket = setting(name, "BUCKET")
    if (bucket !== undefined) {
      const accessKeyId = setting(name, "ACCESS_KEY")
      const secretAccessKey = Redacted.make(setting(name, "SECRET_KEY") ?? "")
      return yield* at("s3", {
        bucket,
        endpoint: setting(name, "ENDPOINT"),
        region: setting(name, "REGION") ?? region,
        credentials:
          accessKeyId === undefined
            ? Credentials.environment()
            : Credentials.accessKey({ accessKeyId, secretAccessKey }),
        askedBy: () => undefined
      })
    }
    const accessKeyId = `key-of-${name}`
    const secretAccessKey: string = globalThis.crypto.randomUUID()
    const server = yield* S3Server.start({
      buckets: { [name]: { region } },
      credentials: [{ accessKeyId, secretAccessKey }]
    })
    return yield* at("s3", {
      bucket: name,
      endpoint: server.endpoint,
      region,
      credentials: Credentials.accessKey({ accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }),
      askedBy: () =>
        distinct(server.requests.map(({ headers }) => /Credential=([^/]+)/.exec(headers["authorization"] ?? "")?.[1]))
    })
  })

/** Places on GCS: the buckets that the environment names, else buckets on one server, each with a token of its own. */
export const gcs = (
  ...names: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<CloudPlace>, Unexpected.Unexpected, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* GcsServer.make
    return yield* Effect.forEach(names, (name) => {
      const bucket = setting(name, "BUCKET")
      if (bucket !== undefined) {
        const token = setting(name, "TOKEN")
        return at("gcs", {
          bucket,
          endpoint: setting(name, "ENDPOINT"),
          credentials:
            token === undefined ? Credentials.anonymous : Credentials.bearerToken({ token: Redacted.make(token) }),
          askedBy: () => undefined
        })
      }
      const token = `token-of-${name}`
      server.addBucket(name)
      server.addToken(token)
      return at("gcs", {
        bucket: name,
        endpoint: server.endpoint,
        credentials: Credentials.bearerToken({ token: Redacted.make(token) }),
        askedBy: () =>
          distinct(
            server.requests
              .filter(({ path }) => path.includes(name))
              .map(({ headers }) => headers["authorization"]?.replace("Bearer ", ""))
          )
      })
    })
  })
