/**
 * What a repository depends on: which virtual objects its refs name, through which containers, and whether
 * those still are what the refs say. Design, section 4.
 *
 * Refs are counted where they lie in their manifests, a batch at a time; what is kept grows with the number of
 * distinct objects, not of refs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FlatTable from "../encoding/FlatTable.ts"
import type { ManifestRows } from "../format/manifest/ManifestRows.ts"
import type { Origin } from "../store/ObjectStore.ts"
import * as Checksum from "../values/Checksum.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import * as Location from "../values/Location.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import * as Container from "../values/VirtualChunkContainer.ts"
import type { ChunkResolver, VirtualReadError } from "../virtual/ChunkResolver.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"
import * as ContainerStores from "../virtual/ContainerStores.ts"
import * as CredentialsPolicy from "../virtual/CredentialsPolicy.ts"
import type { Platform } from "../virtual/Platform.ts"
import type { AssetError } from "./Assets.ts"

/**
 * Which locations to list; all conditions that are given must hold. `prefix` and `glob` are compared with the
 * location as it is stored and as `protocol://path`. In a glob `*` and `?` stop at `/`, and `**` does not.
 *
 * @category models
 * @since 0.1.0
 */
export interface LocationQuery {
  /** Name of the container that the location belongs to. */
  readonly container?: string | undefined
  /** Protocol of the location, or of its container. */
  readonly protocol?: string | undefined
  readonly prefix?: string | undefined
  readonly glob?: string | undefined
  /** Each location once, instead of once for each chunk (default `false`). */
  readonly distinct?: boolean | undefined
}

const globExpression = (glob: string): RegExp =>
  new RegExp(
    `^${glob.replaceAll(/\*\*|[*?]|[\\^$.|+()[\]{}]/g, (part) =>
      part === "**" ? ".*" : part === "*" ? "[^/]*" : part === "?" ? "[^/]" : `\\${part}`
    )}$`,
    "su"
  )

const resolve = (
  containers: ContainerMatch.ContainerSet,
  location: string
): Result.Result<ContainerMatch.Resolved, ContainerMatch.MissingContainer | Location.InvalidLocation> =>
  Result.flatMap(Location.parse(location), (parsed) => ContainerMatch.resolve(containers, parsed))

/**
 * Whether a location is wanted. Pure; each distinct location is looked at once.
 *
 * @category predicates
 * @since 0.1.0
 */
export const matcher = (
  containers: ContainerMatch.ContainerSet,
  query: LocationQuery
): ((location: string) => boolean) => {
  const glob = query.glob === undefined ? undefined : globExpression(query.glob)
  const protocol = query.protocol === undefined ? undefined : Location.canonicalProtocol(query.protocol)
  if (query.container === undefined && protocol === undefined && query.prefix === undefined && glob === undefined) {
    return () => true
  }
  const holds = (location: string): boolean => {
    const found = Result.getOrUndefined(resolve(containers, location))
    const whole = found === undefined ? location : `${found.container.protocol}://${found.path}`
    const texts = [location, whole]
    if (query.container !== undefined && found?.container.name !== query.container) return false
    if (protocol !== undefined && !texts.some((text) => text.startsWith(`${protocol}://`))) return false
    const { prefix } = query
    if (prefix !== undefined && !texts.some((text) => text.startsWith(prefix))) return false
    return glob === undefined || texts.some((text) => glob.test(text))
  }
  const known = new Map<string, boolean>()
  return (location) => {
    let wanted = known.get(location)
    if (wanted === undefined) known.set(location, (wanted = holds(location)))
    return wanted
  }
}

/** What the refs say of one location. */
interface Entry {
  chunks: number
  bytes: number
  /** Entity tags, and times in seconds, that refs have; made when there is one, for there may be millions of entries. */
  etags: Set<string> | undefined
  seconds: Set<number> | undefined
}

/**
 * Counts refs by location.
 *
 * @category models
 * @since 0.1.0
 */
export class Tally {
  readonly #entries = new Map<string, Entry>()

  #entry(location: string): Entry {
    let entry = this.#entries.get(location)
    if (entry === undefined) {
      entry = { chunks: 0, bytes: 0, etags: undefined, seconds: undefined }
      this.#entries.set(location, entry)
    }
    return entry
  }

  /** Adds one ref. */
  addRef({ checksum, length, location }: VirtualChunkRef): void {
    const entry = this.#entry(location)
    entry.chunks++
    entry.bytes += length
    if (checksum?._tag === "ETag") (entry.etags ??= new Set()).add(checksum.etag)
    if (checksum?._tag === "LastModified") (entry.seconds ??= new Set()).add(checksum.seconds)
  }

  /** Adds the virtual refs among rows `from` to `to` of a manifest, or those whose index is `wanted`. */
  addRows(
    rows: ManifestRows,
    from: number,
    to: number,
    wanted: ((index: ChunkIndex) => boolean) | undefined
  ): ReturnType<typeof FlatTable.attempt<void>> {
    return FlatTable.attempt(() => {
      for (let row = from; row < to; row++) {
        rows.seek(row)
        if (rows.kind !== "Virtual" || wanted?.(rows.index()) === false) continue
        const entry = this.#entry(rows.locations[rows.locationId()]!)
        entry.chunks++
        entry.bytes += rows.length
        const { etag, lastModified } = rows
        if (etag !== undefined) (entry.etags ??= new Set()).add(etag)
        else if (lastModified > 0) (entry.seconds ??= new Set()).add(lastModified)
      }
    })
  }

  /** The distinct locations with what refs say of each. */
  objects(): ReadonlyArray<{
    readonly location: string
    readonly chunks: number
    readonly bytes: number
    readonly checksums: ReadonlyArray<Checksum.Checksum>
  }> {
    return Array.from(this.#entries, ([location, { bytes, chunks, etags, seconds }]) => ({
      location,
      chunks,
      bytes,
      checksums: [
        ...Array.from(etags ?? [], (etag) => Checksum.etag(etag)),
        ...Array.from(seconds ?? [], (one) => Checksum.lastModified(one * 1000))
      ]
    }))
  }
}

/**
 * How much of a container is referred to. Bytes are those of the refs, so a byte that two refs name counts twice.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContainerUse {
  readonly container: string
  /** Distinct objects. */
  readonly objects: number
  readonly chunks: number
  readonly bytes: number
}

/**
 * What refs depend on: by container, in the order of names, and locations that belong to none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dependencies {
  readonly containers: ReadonlyArray<ContainerUse>
  readonly unresolved: ReadonlyArray<{ readonly location: string; readonly chunks: number; readonly bytes: number }>
}

/**
 * Sums a tally up by container. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const summarise = (containers: ContainerMatch.ContainerSet, tally: Tally): Dependencies => {
  const uses = new Map<string, { objects: Set<string>; chunks: number; bytes: number }>()
  const unresolved: Array<{ location: string; chunks: number; bytes: number }> = []
  for (const { bytes, chunks, location } of tally.objects()) {
    const found = Result.getOrUndefined(resolve(containers, location))
    if (found === undefined) {
      unresolved.push({ location, chunks, bytes })
      continue
    }
    const { name } = found.container
    const use = uses.get(name) ?? { objects: new Set(), chunks: 0, bytes: 0 }
    // Several spellings of a location may name one object.
    use.objects.add(found.path)
    use.chunks += chunks
    use.bytes += bytes
    uses.set(name, use)
  }
  return {
    containers: Array.from(uses, ([container, { bytes, chunks, objects }]) => ({
      container,
      objects: objects.size,
      chunks,
      bytes
    })).toSorted((a, b) => (a.container < b.container ? -1 : 1)),
    unresolved
  }
}

/**
 * What became of an object:
 *
 * - `unchanged`: it agrees with all checksums of its refs;
 * - `modified`: it disagrees with one;
 * - `unchecked`: it is there, and no ref has a checksum;
 * - `missing`: it does not exist;
 * - `forbidden`: credentials are absent, wrong or not allowed to look;
 * - `unresolved`: no container matches, or its platform is not provided;
 * - `unavailable`: its store did not answer.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "unchanged" | "modified" | "unchecked" | "missing" | "forbidden" | "unresolved" | "unavailable"

/**
 * The verdict on one object; `done` of `total` objects have one.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectCheck {
  readonly location: string
  readonly chunks: number
  readonly bytes: number
  readonly verdict: Verdict
  /** Why there is no better verdict. */
  readonly error: VirtualReadError | undefined
  readonly done: number
  readonly total: number
}

const verdictOf = (error: VirtualReadError): Verdict => {
  switch (error._tag) {
    case "VirtualObjectNotFound":
      return "missing"
    case "ChecksumMismatch":
      return "modified"
    case "MissingCredentials":
    case "CredentialsUnavailable":
      return "forbidden"
    case "MissingContainer":
    case "MissingPlatform":
    case "InvalidLocation":
      return "unresolved"
    case "ObjectStoreError":
      return error.reason._tag === "PermissionDenied" || error.reason._tag === "Unauthenticated"
        ? "forbidden"
        : "unavailable"
  }
}

/** One object for all spellings of its location. */
const distinctObjects = (containers: ContainerMatch.ContainerSet, tally: Tally): ReturnType<Tally["objects"]> => {
  const byPlace = new Map<string, ReturnType<Tally["objects"]>[number]>()
  for (const one of tally.objects()) {
    const found = Result.getOrUndefined(resolve(containers, one.location))
    const place = found === undefined ? one.location : `${found.container.name}/${found.path}`
    const known = byPlace.get(place)
    byPlace.set(
      place,
      known === undefined
        ? one
        : {
            location: known.location,
            chunks: known.chunks + one.chunks,
            bytes: known.bytes + one.bytes,
            checksums: [...known.checksums, ...one.checksums]
          }
    )
  }
  return [...byPlace.values()]
}

/**
 * Asks the store of each distinct object once, `concurrency` at a time (default 16), and tells as it goes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verify = (
  resolver: ChunkResolver,
  tally: Tally,
  options?: { readonly concurrency?: number | undefined }
): Stream.Stream<ObjectCheck> =>
  Stream.suspend(() => {
    const objects = distinctObjects(resolver.containers, tally)
    let done = 0
    return Stream.mapEffect(
      Stream.fromIterable(objects),
      ({ bytes, checksums, chunks, location }) =>
        Effect.map(Effect.result(resolver.head(location)), (answer): ObjectCheck => {
          const result = (verdict: Verdict, error?: VirtualReadError): ObjectCheck => ({
            location,
            chunks,
            bytes,
            verdict,
            error,
            done: ++done,
            total: objects.length
          })
          if (Result.isFailure(answer)) return result(verdictOf(answer.failure), answer.failure)
          const { alternateEtags, lastModified, version } = answer.success
          const observed = { etag: version.etag, alternateEtags, lastModified }
          if (checksums.length === 0) return result("unchecked")
          return result(checksums.every((one) => Checksum.agrees(one, observed)) ? "unchanged" : "modified")
        }),
      { concurrency: options?.concurrency ?? 16, unordered: true }
    )
  })

/**
 * A container, where it is and whose credentials would read it: known before any request, and without any
 * secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface ContainerAccess {
  readonly name: string
  readonly protocol: string
  readonly platform: string
  /** Bucket and prefix, or a directory; empty for a container that matches every path. */
  readonly bucketPrefix: string
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly source: ContainerMatch.Source
  /**
   * `given`: passed for this container, and for the place where it is; `repository`: the repository's own serve it;
   * `none`: it is read without any; `needed`: pass them by the container's name, or correct what was passed; `no platform`:
   * this program does not provide the container's platform.
   */
  readonly credentials: "given" | "repository" | "none" | "needed" | "no platform"
  /** Why credentials are needed, or why those that were passed do not serve. */
  readonly because: string | undefined
}

const accessName = { entry: "given", repository: "repository", nobody: "none" } as const

/** Platforms whose containers always need credentials of their own, also where the platform is not provided. */
const noSharing: ReadonlySet<string> = new Set(["fs", "http"])

/**
 * How the containers of a set would be read. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const access = (
  containers: ContainerMatch.ContainerSet,
  policy: CredentialsPolicy.CredentialsPolicy,
  platforms: ReadonlyMap<string, Platform>
): ReadonlyArray<ContainerAccess> =>
  containers.inOrder.map(({ container, source }) => {
    const provided = platforms.get(container.platform)
    const platform = provided ?? {
      name: container.platform,
      defaultRegion: undefined,
      sharesCredentials: !noSharing.has(container.platform)
    }
    const origin: Origin = policy.repository
    const found = CredentialsPolicy.credentialsFor(policy, platform, { container, source })
    return {
      name: container.name,
      protocol: container.protocol,
      platform: container.platform,
      bucketPrefix: Container.prefix(container),
      endpoint: container.cloud_client_config?.endpoint_url,
      region: ContainerStores.regionFor(origin, platform, container),
      source,
      credentials: Result.isFailure(found)
        ? "needed"
        : provided === undefined
          ? "no platform"
          : accessName[found.success.from],
      because: Result.isFailure(found) ? found.failure.because : undefined
    }
  })

/**
 * Everything that can be asked of refs: those of a session, or of a repository's whole history.
 *
 * @category models
 * @since 0.1.0
 */
export interface DependencyQueries {
  /** The location of each virtual chunk, as it is stored; with `distinct` each location once. */
  readonly virtualLocations: (query?: LocationQuery) => Stream.Stream<string, AssetError>
  /** How much of each container is referred to, and which locations belong to none. */
  readonly dependencies: Effect.Effect<Dependencies, AssetError>
  /** Asks each distinct object once whether it still is what its refs say. */
  readonly verifyVirtualChunks: (options?: {
    readonly concurrency?: number | undefined
  }) => Stream.Stream<ObjectCheck, AssetError>
}

/**
 * The queries over a way to list locations and a way to count refs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const queries = (options: {
  readonly resolver: ChunkResolver
  readonly locations: (distinct: boolean) => Stream.Stream<string, AssetError>
  readonly count: (tally: Tally) => Effect.Effect<void, AssetError>
}): DependencyQueries => {
  const { containers } = options.resolver
  const counted = Effect.suspend(() => {
    const tally = new Tally()
    return Effect.as(options.count(tally), tally)
  })
  return {
    virtualLocations: (query = {}) =>
      Stream.suspend(() => {
        const wanted = Stream.filter(options.locations(query.distinct === true), matcher(containers, query))
        if (query.distinct !== true) return wanted
        const seen = new Set<string>()
        return Stream.filter(wanted, (location) => !seen.has(location) && seen.add(location) !== undefined)
      }),
    dependencies: Effect.map(counted, (tally) => summarise(containers, tally)),
    verifyVirtualChunks: (options_) =>
      Stream.unwrap(Effect.map(counted, (tally) => verify(options.resolver, tally, options_)))
  }
}
