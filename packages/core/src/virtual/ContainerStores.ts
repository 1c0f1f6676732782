/**
 * The stores of containers: one client per (container, bucket), made when it is first needed and
 * released when idle.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as RcMap from "effect/RcMap"
import * as Result from "effect/Result"
import type * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import type { ObjectStoreShape, Origin } from "../store/ObjectStore.ts"
import type * as Credentials from "../values/Credentials.ts"
import * as Location from "../values/Location.ts"
import type * as Container from "../values/VirtualChunkContainer.ts"
import type { Resolved } from "./ContainerMatch.ts"
import { MissingCredentials, MissingPlatform, type Platform } from "./Platform.ts"

/**
 * Whose credentials a container gets.
 *
 * @category models
 * @since 0.1.0
 */
export interface CredentialsPolicy {
  /** By container name. */
  readonly byContainer: Readonly<Record<string, Credentials.Source>>
  /** `strict` turns the fallback to the repository's own credentials off (default `same-endpoint`). */
  readonly fallback: "same-endpoint" | "strict"
  readonly repository: Origin
}

/**
 * The credentials of a container. Pure.
 *
 * Given ones always; else the repository's own, and only on the repository's platform **and** endpoint: a
 * persisted container is data that anybody may have written, and must not be able to send credentials to
 * an endpoint of its choice.
 *
 * @category combinators
 * @since 0.1.0
 */
export const credentialsFor = (
  policy: CredentialsPolicy,
  platform: Pick<Platform, "name" | "sharesCredentials" | "defaultEndpoint">,
  container: Container.VirtualChunkContainer
): Result.Result<Credentials.Source, MissingCredentials> => {
  if (Object.hasOwn(policy.byContainer, container.name)) return Result.succeed(policy.byContainer[container.name]!)
  const missing = (because: string): Result.Result<never, MissingCredentials> =>
    Result.fail(new MissingCredentials({ container: container.name, platform: container.platform, because }))
  if (!platform.sharesCredentials) return missing("access to this platform is always granted explicitly")
  if (policy.repository.platform !== platform.name) return missing("the repository itself is on another platform")
  const endpointOf = (endpoint: string | undefined): string => normalEndpoint(endpoint ?? platform.defaultEndpoint)
  if (endpointOf(policy.repository.endpoint) !== endpointOf(container.cloud_client_config?.endpoint_url)) {
    return missing("its endpoint is not the repository's, which alone receives the repository's credentials")
  }
  if (policy.fallback === "strict") return missing("the fallback to the repository's credentials is turned off")
  return policy.repository.credentials === undefined
    ? missing("the repository's store has no credentials to share")
    : Result.succeed(policy.repository.credentials)
}

/** Scheme and host have no case; a path has, and may belong to somebody else. */
const normalEndpoint = (endpoint = ""): string =>
  endpoint.replace(/\/+$/, "").replace(/^[^/]*\/\/[^/]*/, (schemeAndHost) => schemeAndHost.toLowerCase())

/**
 * The region of a container that names none: on the repository's own platform the repository's, elsewhere
 * the platform's default. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const regionFor = (
  repository: Origin,
  platform: Pick<Platform, "name" | "defaultRegion">,
  container: Container.VirtualChunkContainer
): string | undefined =>
  container.region ?? (repository.platform === platform.name ? repository.region : undefined) ?? platform.defaultRegion

/**
 * A store and the key of an object in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly store: ObjectStoreShape
  readonly key: string
}

/**
 * The stores of a repository's containers.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContainerStores {
  readonly platforms: ReadonlyMap<string, Platform>
  /** The store and key of a resolved location. The store stays open as long as the Scope. */
  readonly open: (
    resolved: Resolved
  ) => Effect.Effect<Place, MissingCredentials | MissingPlatform | Location.InvalidLocation, Scope.Scope>
}

/**
 * Makes the cache of container stores. Closing the Scope closes every store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly platforms: ReadonlyMap<string, Platform>
  readonly policy: CredentialsPolicy
  /** How long an unused client is kept (default one minute). */
  readonly idleTimeToLive?: Duration.Input | undefined
}): Effect.fn.Return<ContainerStores, never, Scope.Scope> {
  const { platforms, policy } = options
  // The key is the whole container, so that an edited one gets a client of its own.
  const stores = yield* RcMap.make({
    idleTimeToLive: options.idleTimeToLive ?? "1 minute",
    lookup: (id: string) =>
      Effect.gen(function* () {
        const [container, bucket] = JSON.parse(id) as [Container.VirtualChunkContainer, string]
        const platform = platforms.get(container.platform)
        if (platform === undefined) {
          return yield* new MissingPlatform({
            container: container.name,
            platform: container.platform,
            known: [...platforms.keys()]
          })
        }
        const credentials = yield* Effect.fromResult(credentialsFor(policy, platform, container))
        const region = regionFor(policy.repository, platform, container)
        return yield* platform.open({ container, bucket, region, credentials })
      })
  })
  return {
    platforms,
    open: Effect.fnUntraced(function* ({ container, path }) {
      const hasBuckets = platforms.get(container.platform)?.hasBuckets ?? true
      const { bucket, key } = hasBuckets ? Location.bucketAndKey(path) : { bucket: "", key: path }
      if (key === "" || (hasBuckets && bucket === "")) {
        return yield* new Location.InvalidLocation({
          location: `${container.protocol}://${path}`,
          problem: bucket === "" ? "it names no bucket" : "it names a bucket but no object in it"
        })
      }
      const id = JSON.stringify([container, bucket])
      // A failure is not kept: what is missing may be there at the next read.
      const store = yield* Effect.tapError(RcMap.get(stores, id), () => RcMap.invalidate(stores, id))
      return { store, key }
    })
  }
})
