/**
 * An `ObjectStore` in a bucket of Google Cloud Storage.
 *
 * Versions are generations, which the store compares in the same step as it writes. Google's own client,
 * `@google-cloud/storage`, finds credentials and endpoint; the requests are this module's, so that each is
 * sent once, is read from the metadata of its own response, and ends on the wire when it is interrupted.
 *
 * @since 0.1.0
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Credentials from "@effect-icechunk/core/Credentials"
import { Storage } from "@google-cloud/storage"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as GcsOptions from "./GcsOptions.ts"
import * as Auth from "./internal/Auth.ts"
import * as Bucket from "./internal/Bucket.ts"
import { readKeyFile } from "./internal/KeyFile.ts"

/** Google's client, which knows the endpoint and the application default credentials; its retries are off. */
const makeClient = (endpoint: string | undefined): Storage => {
  const client = new Storage({
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint, useAuthWithCustomEndpoint: true }),
    retryOptions: { autoRetry: false }
  })
  // A service account of the environment signs its tokens itself, too.
  client.authClient.useJWTAccessWithScope = true
  return client
}

/** Where a client sends its requests. An endpoint that only the environment names is not part of the origin. */
const placeOf = (client: Storage, auth: Auth.Auth, credentials: Credentials.Source): Bucket.Place => {
  const endpoint = endpointOf(client)
  const configured = client.customEndpoint && endpoint !== endpointOf(makeClient(undefined))
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
 * A store of options that are known to be usable, or whose problem shows in the first request.
 */
const open = Effect.fnUntraced(function* (
  options: GcsOptions.GcsOptions
): Effect.fn.Return<ObjectStore.ObjectStoreShape, never, Scope.Scope> {
  const credentials =
    options.credentials ?? (options.keyFile === undefined ? Credentials.environment() : readKeyFile(options.keyFile))
  const client = makeClient(options.endpoint)
  const auth = isAuthenticated(client)
    ? yield* Auth.make(credentials, () => client.authClient, {
        audience: endpointOf(client),
        readOnly: options.readOnlyBecause !== undefined
      })
    : Auth.none
  return yield* Bucket.open(placeOf(client, auth, credentials), options)
})

const validate = (options: GcsOptions.GcsOptions): Effect.Effect<void, GcsOptions.InvalidGcsOptions> => {
  const problem = GcsOptions.problem(options)
  return problem === undefined ? Effect.void : Effect.fail(problem)
}

/**
 * A store; its connections are closed with the Scope. No request is made: wrong credentials and an
 * unreachable endpoint show in the first one. Fails with `InvalidGcsOptions`, which names the option.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: GcsOptions.GcsOptions
): Effect.Effect<ObjectStore.ObjectStoreShape, GcsOptions.InvalidGcsOptions, Scope.Scope> =>
  Effect.andThen(validate(options), open(options))

/**
 * A store with the credentials and the endpoint of a client of Google's. The client's other settings, as
 * its repetitions, are not used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromClient: (
  client: Storage,
  options: GcsOptions.BucketOptions
) => Effect.Effect<ObjectStore.ObjectStoreShape, GcsOptions.InvalidGcsOptions, Scope.Scope> = Effect.fnUntraced(
  function* (client: Storage, options: GcsOptions.BucketOptions) {
    yield* validate(options)
    const auth = isAuthenticated(client) ? Auth.fromGoogle(client.authClient, endpointOf(client)) : Auth.none
    return yield* Bucket.open(placeOf(client, auth, Auth.sourceOf(client.authClient, endpointOf(client))), options)
  }
)

/**
 * The store of the options.
 *
 * @example
 * ```ts
 * const store = GcsObjectStore.layer({ bucket: "repositories", prefix: "geoid" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: GcsOptions.GcsOptions
): Layer.Layer<ObjectStore.ObjectStore, GcsOptions.InvalidGcsOptions> =>
  Layer.effect(ObjectStore.ObjectStore, make(options))

/**
 * The store of options that are read from Config; by default from the environment, see
 * `GcsOptions.environment`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<GcsOptions.GcsOptions> = GcsOptions.environment
): Layer.Layer<ObjectStore.ObjectStore, GcsOptions.InvalidGcsOptions | Config.ConfigError> =>
  Layer.effect(ObjectStore.ObjectStore, Effect.flatMap(Config.unwrap(options), make))

/**
 * The store over a client of Google's that exists already, see `fromClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  client: Storage,
  options: GcsOptions.BucketOptions
): Layer.Layer<ObjectStore.ObjectStore, GcsOptions.InvalidGcsOptions> =>
  Layer.effect(ObjectStore.ObjectStore, fromClient(client, options))
