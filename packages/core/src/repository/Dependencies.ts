/**
 * What a repository depends on: which virtual objects its refs name, through which containers, and whether
 * those still are what the refs say.
 *
 * Refs are counted where they lie in their manifests, a batch at a time; what is kept grows with the number of
 * distinct objects, not of refs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { attempt } from "../encoding/Attempt.ts"
import type { ManifestRows } from "../format/manifest/ManifestRows.ts"
import * as Checksum from "../values/Checksum.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import * as Location from "../values/Location.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import type { ChunkResolver, VirtualReadError } from "../virtual/ChunkResolver.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"
import * as ObjectPlace from "../virtual/ObjectPlace.ts"
import type { AssetError } from "./Assets.ts"
import * as LocationQuery from "./LocationQuery.ts"

export { access } from "./ContainerAccess.ts"

/** What the refs say of one location. */
interface Entry {
  chunks: number
  bytes: number
  /** Entity tags, and times in seconds, that refs have; made when there is one, because there may be millions of entries. */
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
  ): ReturnType<typeof attempt<void>> {
    return attempt(() => {
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

/** A location with its object's place; locations that belong to no container are places of their own. */
const placeOf = (
  { containers, placeOf }: Pick<ChunkResolver, "containers" | "placeOf">,
  location: string
): { readonly key: string; readonly container: string | undefined } => {
  const found = Result.getOrUndefined(
    Result.flatMap(Location.parse(location), (parsed) => ContainerMatch.resolve(containers, parsed))
  )
  return found === undefined
    ? { key: location, container: undefined }
    : { key: ObjectPlace.key(placeOf(found)), container: found.container.name }
}

/** An object outside the repository, with what all refs to it say, however they spell its location. */
interface ReferredObject {
  /** One of its spellings. */
  readonly location: string
  /** The container that reads it, of several the one that is tried first; `undefined` when there is none. */
  readonly container: string | undefined
  readonly chunks: number
  readonly bytes: number
  readonly checksums: ReadonlyArray<Checksum.Checksum>
}

/** The objects of a tally, each once. Pure. */
const distinctObjects = (
  resolver: Pick<ChunkResolver, "containers" | "placeOf">,
  tally: Tally
): ReadonlyArray<ReferredObject> => {
  const order = new Map(resolver.containers.inOrder.map(({ container: { name } }, i) => [name, i]))
  const byPlace = new Map<string, ReferredObject>()
  for (const one of tally.objects()) {
    const { container, key } = placeOf(resolver, one.location)
    const known = byPlace.get(key)
    if (known === undefined) {
      byPlace.set(key, { ...one, container })
      continue
    }
    const comesFirst =
      container !== undefined && known.container !== undefined && order.get(container)! < order.get(known.container)!
    byPlace.set(key, {
      location: comesFirst ? one.location : known.location,
      container: comesFirst ? container : known.container,
      chunks: known.chunks + one.chunks,
      bytes: known.bytes + one.bytes,
      checksums: [...known.checksums, ...one.checksums]
    })
  }
  return [...byPlace.values()]
}

/**
 * Sums a tally up by container. An object counts once, under the container that reads it: of several, the one that is tried
 * first. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const summarise = (resolver: Pick<ChunkResolver, "containers" | "placeOf">, tally: Tally): Dependencies => {
  const uses = new Map<string, { container: string; objects: number; chunks: number; bytes: number }>()
  const unresolved: Array<{ location: string; chunks: number; bytes: number }> = []
  for (const { bytes, chunks, container, location } of distinctObjects(resolver, tally)) {
    if (container === undefined) {
      unresolved.push({ location, chunks, bytes })
      continue
    }
    const use = uses.get(container) ?? { container, objects: 0, chunks: 0, bytes: 0 }
    use.objects++
    use.chunks += chunks
    use.bytes += bytes
    uses.set(container, use)
  }
  return {
    containers: [...uses.values()].toSorted((a, b) => (a.container < b.container ? -1 : 1)),
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
    const objects = distinctObjects(resolver, tally)
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

/**
 * Everything that can be asked of refs: those of a session, or of a repository's whole history.
 *
 * @category models
 * @since 0.1.0
 */
export interface DependencyQueries<E = never> {
  /** The location of each virtual chunk, as it is stored; with `distinct` each location once. */
  readonly virtualLocations: (
    query?: LocationQuery.LocationQuery
  ) => Stream.Stream<string, AssetError | LocationQuery.InvalidLocationQuery | E>
  /** How much of each container is referred to, and which locations belong to none. */
  readonly dependencies: Effect.Effect<Dependencies, AssetError | E>
  /** Asks each distinct object once whether it still is what its refs say. */
  readonly verifyVirtualChunks: (options?: {
    readonly concurrency?: number | undefined
  }) => Stream.Stream<ObjectCheck, AssetError | E>
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
  const { resolver } = options
  const counted = Effect.suspend(() => {
    const tally = new Tally()
    return Effect.as(options.count(tally), tally)
  })
  return {
    virtualLocations: (query = {}) =>
      Stream.unwrap(
        Effect.map(Effect.fromResult(LocationQuery.matcher(resolver, query)), (isWanted) => {
          const all = options.locations(query.distinct === true)
          const wanted = isWanted === undefined ? all : Stream.filter(all, isWanted)
          if (query.distinct !== true) return wanted
          const seen = new Set<string>()
          return Stream.filter(wanted, (location) => !seen.has(location) && seen.add(location) !== undefined)
        })
      ),
    dependencies: Effect.map(counted, (tally) => summarise(resolver, tally)),
    verifyVirtualChunks: (options) => Stream.unwrap(Effect.map(counted, (tally) => verify(resolver, tally, options)))
  }
}
