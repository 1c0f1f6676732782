/**
 * Tigris as the platform of virtual chunk containers.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as UnusableStore from "@effect-icechunk/core/store/UnusableStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import { MissingCredentials, type Platform, type StoreRequest } from "@effect-icechunk/core/Platform"
import * as TigrisObjectStore from "./TigrisObjectStore.ts"
import * as TigrisOptions from "./TigrisOptions.ts"

/**
 * What a program may say about all containers on Tigris; the rest comes from each container.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Pick<
  TigrisOptions.TigrisOptions,
  "connectTimeout" | "requestTimeout" | "concurrency" | "retry" | "readHeaders"
>

/** Tigris's own endpoints. Names below them are its customers' buckets. */
const ownEndpoints = /^https:\/\/(t3\.storage\.dev|fly\.storage\.tigris\.dev)$/

/** Why the stores of containers are never written. */
const readOnlyBecause =
  "it belongs to a virtual chunk container, and objects that chunks were referenced in are not changed; write through a store of your own"

/**
 * The bucket that a container reads instead of the one in its locations: `fork_bucket` of its `cloud_client_config`.
 *
 * Refs with a protocol that Icechunk knows hold whole locations, as `tigris://source/key`. Where their bucket was forked,
 * a container for `source` with `fork_bucket: "fork"` reads them from the fork; see `ForkRebinding`. Other Icechunk
 * clients do not know the field and read the source.
 *
 * @category accessors
 * @since 0.1.0
 */
export const forkBucket = (container: Container.VirtualChunkContainer): string | undefined => {
  const bucket = container.cloud_client_config?.fork_bucket
  return bucket === "" ? undefined : bucket
}

/**
 * The options of a container's store: `endpoint_url`, `force_path_style`, `anonymous`, `unsafe_use_distributed_reads` and
 * `fork_bucket` of its `cloud_client_config`, its bucket, and the region and credentials that were chosen for it. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const optionsFor = (request: StoreRequest, options: Options = {}): TigrisOptions.TigrisOptions => {
  const client = request.container.cloud_client_config ?? {}
  return {
    ...options,
    bucket: forkBucket(request.container) ?? request.bucket,
    endpoint: client.endpoint_url,
    forcePathStyle: client.force_path_style,
    anonymous: client.anonymous,
    region: request.region,
    unsafeUseDistributedReads: client.unsafe_use_distributed_reads,
    credentials: request.credentials,
    readOnlyBecause
  }
}

const whatToDo = (error: TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion): string =>
  error._tag === "MissingRegion"
    ? "it has no `region`, which consistent reads need; set it in the container, or `unsafe_use_distributed_reads` in its `cloud_client_config`"
    : error.message

/**
 * The platform with options of the program.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = (options: Options): Effect.Effect<Platform> =>
  Effect.succeed({
    name: "tigris",
    defaultRegion: undefined,
    ownEndpoints,
    accepts: ["AccessKey", "Anonymous", "Environment"],
    hasBuckets: true,
    isBucketInPath: (container, bucket) => {
      const { endpoint_url: endpoint, force_path_style: forcePathStyle } = container.cloud_client_config ?? {}
      return TigrisOptions.usesPathStyle({ endpoint, forcePathStyle }) || !/^[a-z0-9-]+$/.test(bucket)
    },
    sharesCredentials: true,
    pathOf: (container, path) => {
      const fork = forkBucket(container)
      const slash = path.indexOf("/")
      return fork === undefined ? path : slash < 0 ? fork : fork + path.slice(slash)
    },
    open: (request) =>
      Effect.catch(TigrisObjectStore.make(optionsFor(request, options)), (error) => {
        const container = request.container.name
        return error._tag === "InvalidTigrisOptions" && error.option === "credentials"
          ? Effect.fail(
              new MissingCredentials({ container, platform: "tigris", because: `those given ${error.problem}` })
            )
          : Effect.succeed(
              UnusableStore.make(
                {
                  description: `tigris://${request.bucket}`,
                  origin: {
                    platform: "tigris",
                    endpoint: request.container.cloud_client_config?.endpoint_url,
                    region: request.region
                  },
                  readOnlyBecause
                },
                `container \`${container}\`: ${whatToDo(error)}`
              )
            )
      })
  })

/**
 * The platform `tigris`, for `Platform.layer`. A container has a region, or takes that of a repository that is on Tigris
 * itself, or says `unsafe_use_distributed_reads`; else its reads fail with reason `Unsupported`, which says what is missing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Platform> = makeWith({})
