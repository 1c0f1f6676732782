/**
 * Google Cloud Storage as a platform of virtual chunk containers: `gcs://bucket/key`, and `gs://`, which
 * is an alias.
 *
 * @since 0.1.0
 */
import * as Platform from "@effect-icechunk/core/Platform"
import * as UnusableStore from "@effect-icechunk/core/store/UnusableStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Effect from "effect/Effect"
import * as GcsObjectStore from "./GcsObjectStore.ts"
import type * as GcsOptions from "./GcsOptions.ts"
import * as Auth from "./internal/Auth.ts"

/**
 * How the stores of containers are made. What says where and as whom to read comes from the container
 * and its credentials.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<
  GcsOptions.BucketOptions,
  "concurrency" | "idleTimeout" | "requestTimeout" | "retry" | "readApi" | "userProject"
> {}

/** Google's own endpoints, also those of one region. */
const ownEndpoints = /^https:\/\/storage(\.[a-z0-9-]+\.rep)?\.googleapis\.com$/

const userProjectOf = (config: Container.CloudClientConfig | undefined): string | undefined => {
  const project = config?.user_project
  return project !== undefined && /^[a-z0-9.:-]+$/i.test(project) ? project : undefined
}

/**
 * The platform, with options for its stores.
 *
 * Of a container's `cloud_client_config` it reads `endpoint_url`, `anonymous`, and `user_project`: the
 * project that pays for a requester pays bucket. Its stores are read-only, and so are the access tokens that are made from
 * a service account's key for them. There is no default region, because requests to Google Cloud Storage name none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = (options: Options): Effect.Effect<Platform.Platform> =>
  Effect.succeed({
    name: "gcs",
    defaultRegion: undefined,
    ownEndpoints,
    accepts: ["BearerToken", "ServiceAccount", "Anonymous", "Environment"],
    hasBuckets: true,
    isBucketInPath: () => true,
    sharesCredentials: true,
    open: Effect.fnUntraced(function* ({ bucket, container, credentials: given }: Platform.StoreRequest) {
      const config = container.cloud_client_config
      const credentials = config?.anonymous === true ? Credentials.anonymous : given
      const because = Effect.isEffect(credentials) ? undefined : Auth.problem(credentials)
      if (because !== undefined) {
        return yield* new Platform.MissingCredentials({
          container: container.name,
          platform: container.platform,
          because
        })
      }
      const endpoint = config?.endpoint_url
      const readOnlyBecause = `container \`${container.name}\` holds virtual chunks, which are only read; open a store of your own to write there`
      return yield* Effect.catchTag(
        GcsObjectStore.make({
          ...options,
          bucket,
          credentials,
          endpoint,
          userProject: userProjectOf(config) ?? options.userProject,
          readOnlyBecause
        }),
        "InvalidGcsOptions",
        ({ message }) =>
          Effect.succeed(
            UnusableStore.make(
              { description: `gcs://${bucket}`, origin: { platform: "gcs", endpoint }, readOnlyBecause },
              message
            )
          )
      )
    })
  })

/**
 * The platform, for `Platform.layer([GcsPlatform.make, ...])`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Platform.Platform> = makeWith({})
