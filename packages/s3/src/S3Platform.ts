/**
 * S3 and compatible services as the platform of virtual chunk containers.
 *
 * @since 0.1.0
 */
import { MissingCredentials, type Platform, type StoreRequest } from "@effect-icechunk/core/Platform"
import * as UnusableStore from "@effect-icechunk/core/store/UnusableStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Effect from "effect/Effect"
import * as S3ObjectStore from "./S3ObjectStore.ts"
import type * as S3Options from "./S3Options.ts"

/**
 * What a program may say about all containers on S3; the rest comes from each container.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Pick<
  S3Options.S3Options,
  "connectTimeout" | "requestTimeout" | "concurrency" | "retry" | "readHeaders"
>

/** AWS's own endpoints for S3: by region, dual stack, FIPS, accelerated. Other names below `amazonaws.com` are its customers'. */
const ownEndpoints =
  /^https:\/\/(s3|s3-accelerate(\.dualstack)?|s3(-fips)?(\.dualstack)?\.[a-z0-9-]+|s3-[a-z0-9-]+)\.amazonaws\.com(\.cn)?$/

/** Buckets whose names cannot be part of a host name, or of none that a certificate covers, are in the path everywhere. */
const isHostName = (bucket: string): boolean => /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)

/**
 * Whether requests for a bucket of a container have it in their path. Pure.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isBucketInPath = (container: Container.VirtualChunkContainer, bucket: string): boolean => {
  const { endpoint_url: endpoint, force_path_style: forced } = container.cloud_client_config ?? {}
  return (forced ?? endpoint !== undefined) || !isHostName(bucket)
}

/** Why the stores of containers are never written. */
const readOnlyBecause =
  "it belongs to a virtual chunk container, and objects that chunks were referenced in are not changed; write through a store of your own"

/**
 * The options of a container's store: `endpoint_url`, `force_path_style`, `anonymous` and `requester_pays` of its
 * `cloud_client_config`, its bucket, and the region and credentials that were chosen for it. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const optionsFor = (request: StoreRequest, options: Options = {}): S3Options.S3Options => {
  const client = request.container.cloud_client_config ?? {}
  return {
    ...options,
    bucket: request.bucket,
    endpoint: client.endpoint_url,
    forcePathStyle: client.force_path_style,
    anonymous: client.anonymous,
    requesterPays: client.requester_pays,
    region: request.region,
    credentials: request.credentials,
    readOnlyBecause
  }
}

/**
 * The platform with options of the program.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = (options: Options): Effect.Effect<Platform> =>
  Effect.succeed({
    name: "s3",
    defaultRegion: "us-east-1",
    ownEndpoints,
    accepts: ["AccessKey", "Anonymous", "Environment"],
    hasBuckets: true,
    isBucketInPath,
    sharesCredentials: true,
    open: (request) =>
      Effect.catch(S3ObjectStore.make(optionsFor(request, options)), (error) => {
        const container = request.container.name
        return error._tag === "InvalidS3Options" && error.option === "credentials"
          ? Effect.fail(new MissingCredentials({ container, platform: "s3", because: `those given ${error.problem}` }))
          : Effect.succeed(
              UnusableStore.make(
                {
                  description: `s3://${request.bucket}`,
                  origin: {
                    platform: "s3",
                    endpoint: request.container.cloud_client_config?.endpoint_url,
                    region: request.region
                  },
                  readOnlyBecause
                },
                `container \`${container}\`: ${error.message}`
              )
            )
      })
  })

/**
 * The platform `s3`, for `Platform.layer`. Containers without region that are not on the repository's platform are
 * looked for in `us-east-1`; a redirect to another region is followed. Containers that cannot be opened, as on
 * a Tigris endpoint, fail on the first read with reason `Unsupported`, which says why.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Platform> = makeWith({})
