/**
 * An `ObjectStore` in a bucket of Google Cloud Storage.
 *
 * Versions are generations, which the store compares in the same step as it writes. Google's own client,
 * `@google-cloud/storage`, finds credentials and endpoint; the requests are this module's, so that each is
 * sent once, is read from the metadata of its own response, and ends on the wire when it is interrupted.
 *
 * @since 0.1.0
 */
import * as ObjectStore from "@effect-icechunk/core/store/ObjectStore"
import * as Credentials from "@effect-icechunk/core/values/Credentials"
import { Storage } from "@google-cloud/storage"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Auth from "./internal/Auth.ts"
import * as Bucket from "./internal/Bucket.ts"
import { readKeyFile } from "./internal/KeyFile.ts"

/**
 * How the store uses its bucket, whoever its client is.
 *
 * @category models
 * @since 0.1.0
 */
export interface BucketOptions {
  readonly bucket: string
  /** Keys are below this prefix; a slash is put between them unless it ends with one (default: none). */
  readonly prefix?: string | undefined
  /** The project that pays for requests to a requester pays bucket. */
  readonly userProject?: string | undefined
  /** Refuses writes before any request; a sentence says why, and what to do (default false). */
  readonly readOnly?: boolean | string | undefined
  /** Requests under way at once (default 64). */
  readonly concurrency?: number | undefined
  readonly timeouts?:
    | {
        /** Without a byte in either direction (default one minute). */
        readonly idle?: Duration.Input | undefined
        /** For a whole request and its answer (default none). */
        readonly request?: Duration.Input | undefined
      }
    | undefined
  /** Of requests that were rate limited, not answered, or failed on the store's side. */
  readonly retry?:
    | {
        /** Further attempts after the first (default 5). */
        readonly times?: number | undefined
        /** Before the second attempt; doubled for each further one, with jitter (default 100 ms). */
        readonly firstDelay?: Duration.Input | undefined
        /** Default 10 seconds. */
        readonly maxDelay?: Duration.Input | undefined
      }
    | undefined
  /**
   * Through which API objects are read: `xml`, which reports the ETags that other Icechunk clients record,
   * or `json`, which emulators have (default: `xml` at Google's endpoint, `json` at a custom one).
   */
  readonly readApi?: "xml" | "json" | undefined
}

/**
 * Where the bucket is and who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends BucketOptions {
  /**
   * `Environment` (the default) are Google's application default credentials; `ServiceAccount` the JSON of
   * a key; `BearerToken` an access token; `Anonymous` none. An Effect is run again a minute before what it
   * returned expires, and when the store refuses it.
   */
  readonly credentials?: Credentials.Source | undefined
  /** Path of a file with the JSON of a key, instead of `credentials`. */
  readonly keyFile?: string | undefined
  /**
   * Base URL of an emulator or a private endpoint. Without it `STORAGE_EMULATOR_HOST` counts, which never
   * receives credentials, then Google's own endpoint.
   */
  readonly endpoint?: string | undefined
}

/** Google's client, which knows the endpoint and how to get tokens; its retries are off. */
const makeClient = (endpoint: string | undefined, json: Readonly<Record<string, unknown>> | undefined): Storage => {
  const client = new Storage({
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: true }),
    ...(json === undefined ? {} : { credentials: json }),
    retryOptions: { autoRetry: false }
  })
  // A service account signs its tokens itself, as in other Icechunk clients: no request, no token endpoint.
  client.authClient.useJWTAccessWithScope = true
  return client
}

/** Where a client sends its requests. An endpoint that only the environment names is not part of the origin. */
const placeOf = (client: Storage, auth: Auth.Auth, credentials: Credentials.Source): Bucket.Place => {
  const endpoint = endpointOf(client)
  const configured = client.customEndpoint && endpoint !== endpointOf(makeClient(undefined, undefined))
  return {
    endpoint,
    custom: client.customEndpoint,
    auth,
    origin: { platform: "gcs", endpoint: configured ? endpoint : undefined, credentials }
  }
}

const endpointOf = (client: Storage): string => client.apiEndpoint.replace(/\/+$/, "")

/** What the client itself does: an emulator that only the environment names gets no credentials. */
const isAuthenticated = (client: Storage): boolean =>
  !client.customEndpoint || client.useAuthWithCustomEndpoint === true

/**
 * Opens a store. Its connections are closed with the Scope.
 *
 * Wrong credentials and an unreachable endpoint show in the first request, as an `ObjectStoreError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<ObjectStore.ObjectStoreShape, never, Scope.Scope> =
  Effect.fnUntraced(function* (options: Options) {
    const credentials =
      options.credentials ?? (options.keyFile === undefined ? Credentials.environment() : readKeyFile(options.keyFile))
    const client = makeClient(options.endpoint, undefined)
    const auth = isAuthenticated(client)
      ? yield* Auth.make(credentials, (json) => makeClient(options.endpoint, json).authClient, endpointOf(client))
      : Auth.none
    return yield* Bucket.open(placeOf(client, auth, credentials), options)
  })

/**
 * Opens a store with the credentials and the endpoint of a client of Google's. Its other settings, as its
 * retries, are not used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromClient: (
  client: Storage,
  options: BucketOptions
) => Effect.Effect<ObjectStore.ObjectStoreShape, never, Scope.Scope> = Effect.fnUntraced(function* (
  client: Storage,
  options: BucketOptions
) {
  const auth = isAuthenticated(client) ? Auth.fromGoogle(client.authClient, endpointOf(client)) : Auth.none
  return yield* Bucket.open(placeOf(client, auth, Auth.sourceOf(client.authClient)), options)
})

/**
 * Provides a bucket as the `ObjectStore`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ObjectStore.ObjectStore> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

/**
 * Provides a bucket as the `ObjectStore`, with options from the program's configuration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<ObjectStore.ObjectStore, Config.ConfigError> =>
  Layer.effect(ObjectStore.ObjectStore, Effect.flatMap(Config.unwrap(options), make))

/**
 * Provides a bucket as the `ObjectStore`, over a client of Google's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (client: Storage, options: BucketOptions): Layer.Layer<ObjectStore.ObjectStore> =>
  Layer.effect(ObjectStore.ObjectStore, fromClient(client, options))
