/**
 * The stores of containers: one client per (container, bucket), made when it is first needed and
 * released when idle.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as RcMap from "effect/RcMap"
import type * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import type { ObjectStoreShape, Origin } from "../store/ObjectStore.ts"
import * as RequestMetrics from "../store/RequestMetrics.ts"
import type * as Credentials from "../values/Credentials.ts"
import * as Location from "../values/Location.ts"
import type * as Container from "../values/VirtualChunkContainer.ts"
import type { Resolved, Source } from "./ContainerMatch.ts"
import * as CredentialsPolicy from "./CredentialsPolicy.ts"
import { type MissingCredentials, MissingPlatform, type Platform } from "./Platform.ts"

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
 * Why the store of a container could not be had.
 *
 * @category errors
 * @since 0.1.0
 */
export type OpenError =
  | MissingCredentials
  | MissingPlatform
  | Location.InvalidLocation
  | Credentials.CredentialsUnavailable

/**
 * The stores of a repository's containers.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContainerStores {
  /** A sentence that says why a resolved location cannot be that of an object, or `undefined`. Makes no request. */
  readonly problem: (resolved: Resolved) => string | undefined
  readonly platforms: ReadonlyMap<string, Platform>
  /** Where what is done with the stores runs; they are closed with it. */
  readonly scope: Scope.Scope
  /** Where the object of a resolved location is. Makes no request. */
  readonly address: (resolved: Resolved) => Address
  /** The store of an address. It stays open as long as the Scope. */
  readonly openStore: (address: Address) => Effect.Effect<Opened, OpenError, Scope.Scope>
  /** Why the object at an address may not be read with the credentials of its store, or `undefined`. */
  readonly refusal: (opened: Opened, address: Address) => MissingCredentials | undefined
  /** The store and key of a resolved location. The store stays open as long as the Scope. */
  readonly open: (resolved: Resolved) => Effect.Effect<Place, OpenError, Scope.Scope>
}

/**
 * The store of a container and bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened {
  readonly store: ObjectStoreShape
  /** What its credentials are for, if that is not everything. */
  readonly prefixes: ReadonlyArray<string> | undefined
}

/**
 * Where an object is: what names its store, the same text for the same store, its key there, and who opens it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Address {
  readonly stores: Pick<ContainerStores, "openStore" | "refusal">
  readonly resolved: Resolved
  readonly store: string
  readonly key: string
}

/** Buckets of a container whose names are remembered. */
const maxIds = 4096

const keyProblem = (
  platform: Platform | undefined,
  container: Container.VirtualChunkContainer,
  { bucket, key }: { readonly bucket: string; readonly key: string }
): string | undefined => {
  const hasBuckets = platform?.hasBuckets ?? container.platform !== "fs"
  if (hasBuckets && bucket === "") return "it names no bucket"
  if (key === "") return "it names a bucket but no object in it"
  if (platform?.isBucketInPath?.(container, bucket) === true && Location.hasDotSegment(key)) {
    return "its key has a `.` or `..` segment, which could lead to another bucket at an endpoint that has the bucket in the path"
  }
  return undefined
}

/**
 * Makes the cache of container stores. Closing the Scope closes every store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly platforms: ReadonlyMap<string, Platform>
  readonly policy: CredentialsPolicy.CredentialsPolicy
  /** How long an unused client is kept (default one minute). */
  readonly idleTimeToLive?: Duration.Input | undefined
}): Effect.fn.Return<ContainerStores, never, Scope.Scope> {
  const { platforms, policy } = options
  // The key is the whole container, so that an edited one gets a client of its own.
  const stores = yield* RcMap.make({
    idleTimeToLive: options.idleTimeToLive ?? "1 minute",
    lookup: (id: string): Effect.Effect<Opened, OpenError, Scope.Scope> =>
      Effect.gen(function* () {
        const [container, source, bucket] = JSON.parse(id) as [Container.VirtualChunkContainer, Source, string]
        const platform = platforms.get(container.platform)
        if (platform === undefined) {
          return yield* new MissingPlatform({
            container: container.name,
            platform: container.platform,
            known: [...platforms.keys()]
          })
        }
        const { credentials, prefixes } = yield* Effect.fromResult(
          CredentialsPolicy.credentialsFor(policy, platform, { container, source }, bucket)
        )
        const region = regionFor(policy.repository, platform, container)
        const store = yield* platform.open({ container, bucket, region, credentials })
        return { store: RequestMetrics.counted(store), prefixes }
      })
  })

  const locate = ({
    container,
    path
  }: Resolved): { readonly platform: Platform | undefined; readonly bucket: string; readonly key: string } => {
    const platform = platforms.get(container.platform)
    const hasBuckets = platform?.hasBuckets ?? container.platform !== "fs"
    return { platform, ...(hasBuckets ? Location.bucketAndKey(path) : { bucket: "", key: path }) }
  }
  const problem = (resolved: Resolved): string | undefined => {
    const { platform, ...place } = locate(resolved)
    return keyProblem(platform, resolved.container, place)
  }

  // The text of a container is made once, not for every object in it.
  const ids = new WeakMap<Container.VirtualChunkContainer, Map<string, string>>()
  const idOf = ({ container, source }: Resolved, bucket: string): string => {
    let known = ids.get(container)
    if (known === undefined) ids.set(container, (known = new Map()))
    const name = `${source} ${bucket}`
    let id = known.get(name)
    if (id === undefined) {
      if (known.size >= maxIds) known.clear()
      known.set(name, (id = JSON.stringify([container, source, bucket])))
    }
    return id
  }

  const address: ContainerStores["address"] = (resolved) => {
    const { bucket, key } = locate(resolved)
    return { stores: opening, resolved, store: idOf(resolved, bucket), key }
  }
  // A failure is not kept: what is missing may be there at the next read.
  const openStore: ContainerStores["openStore"] = ({ store }) =>
    Effect.tapError(RcMap.get(stores, store), () => RcMap.invalidate(stores, store))
  const refusal: ContainerStores["refusal"] = ({ prefixes }, { resolved: { container, path } }) => {
    if (prefixes === undefined) return undefined
    const platform = platforms.get(container.platform)
    const at = platform?.pathOf?.(container, path) ?? path
    const place =
      platform?.urlOf?.(container, path) ??
      (container.platform === "fs" ? `file://${at}` : `${container.platform}://${at}`)
    return CredentialsPolicy.isWithin(place, prefixes)
      ? undefined
      : CredentialsPolicy.outside(container, place, prefixes)
  }

  const opening = { openStore, refusal }

  return {
    ...opening,
    platforms,
    problem,
    scope: yield* Effect.scope,
    address,
    open: Effect.fnUntraced(function* (resolved) {
      const wrong = problem(resolved)
      if (wrong !== undefined) {
        const location = `${resolved.container.protocol}://${resolved.path}`
        return yield* new Location.InvalidLocation({ location: Location.shown(location), problem: wrong })
      }
      const at = address(resolved)
      const opened = yield* openStore(at)
      const refused = refusal(opened, at)
      if (refused !== undefined) return yield* refused
      return { store: opened.store, key: at.key }
    })
  }
})
