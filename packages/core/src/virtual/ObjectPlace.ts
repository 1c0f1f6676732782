/**
 * Where a virtual chunk's object is, however its location is spelled. Pure.
 *
 * One object has many spellings: `model://bucket/runs/a.nc` and `vcc://model/a.nc` of a container, `s3://bucket/runs/a.nc` of
 * its platform, and those of every other container that reaches it.
 *
 * @since 0.1.0
 */
import * as Endpoint from "../values/Endpoint.ts"
import * as Location from "../values/Location.ts"
import * as Container from "../values/VirtualChunkContainer.ts"
import { type ContainerSet, isUnderPrefix, type Resolved } from "./ContainerMatch.ts"
import type { Platform } from "./Platform.ts"

/**
 * An object's one place.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectPlace {
  readonly platform: Container.PlatformName
  /** Base URL in its one spelling; empty for the platform's own. */
  readonly endpoint: string
  /** Bucket and key, or an absolute file path. */
  readonly path: string
}

/** What the place of an object depends on besides its container. */
type PlaceOptions = Pick<Platform, "ownEndpoints" | "pathOf" | "urlOf"> | undefined

const endpointOf = (container: Container.VirtualChunkContainer, path: string, platform: PlaceOptions): string => {
  const { bucket } = Location.bucketAndKey(path)
  const given = container.cloud_client_config?.endpoint_url ?? platform?.urlOf?.(container, bucket) ?? ""
  const endpoint = Endpoint.normalise(given) ?? given
  return platform?.ownEndpoints?.test(endpoint) === true ? "" : endpoint
}

/**
 * The place of the object at a location. `platform` is that of its container, where the program provides it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ container, path }: Resolved, platform: PlaceOptions): ObjectPlace => ({
  platform: container.platform,
  endpoint: endpointOf(container, path, platform),
  path: platform?.pathOf?.(container, path) ?? path
})

/**
 * The same text for the same place.
 *
 * @category accessors
 * @since 0.1.0
 */
export const key = ({ endpoint, path, platform }: ObjectPlace): string => `${platform}\n${endpoint}\n${path}`

/**
 * All locations of the object at a place: by its platform's own protocol, and of each container that reaches it there, by
 * protocol and relative to the container. Paths of files are spelled plainly and percent-encoded.
 *
 * The platform's own protocol says nothing of an endpoint: it spells objects at all endpoints.
 *
 * @category combinators
 * @since 0.1.0
 */
export const spellings = (
  place: ObjectPlace,
  containers: ContainerSet,
  platform: PlaceOptions
): ReadonlyArray<string> => {
  const texts = new Set<string>()
  const add = (start: string, path: string): void => {
    texts.add(start + path)
    if (place.platform === "fs") texts.add(start + Location.encodeFilePath(path))
  }
  for (const own of Container.defaults) {
    if (own.platform === place.platform) add(`${own.protocol}://`, place.path)
  }
  for (const { container } of containers.inOrder) {
    if (container.platform !== place.platform || endpointOf(container, place.path, platform) !== place.endpoint)
      continue
    const prefix = Container.prefix(container)
    if (!isUnderPrefix(place.path, prefix)) continue
    add(`${container.protocol}://`, place.path)
    if (place.path === prefix) continue
    const isWhole = prefix === "" && place.platform !== "fs"
    add(`vcc://${container.name}/`, isWhole ? place.path : place.path.slice(prefix.length + 1))
  }
  return [...texts]
}
