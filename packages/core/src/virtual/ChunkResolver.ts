/**
 * From a virtual chunk ref to bytes: parse, match, open, read, verify.
 *
 * Reads that wait at the same time for the same version of the same object are answered with as few
 * requests as the range plan allows.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as ObjectStore from "../store/ObjectStore.ts"
import { isNotFound } from "../store/ObjectStoreError.ts"
import type { Span } from "../values/ByteRange.ts"
import { Lately } from "../values/Lately.ts"
import * as Checksum from "../values/Checksum.ts"
import * as Location from "../values/Location.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import * as ContainerMatch from "./ContainerMatch.ts"
import type { Address, ContainerStores } from "./ContainerStores.ts"
import * as ObjectPlace from "./ObjectPlace.ts"
import type { ObjectReads, Target, Wanted } from "./ObjectReads.ts"
import {
  type ChecksumMismatch,
  fromStore,
  mismatch,
  VirtualObjectNotFound,
  type VirtualReadError
} from "./VirtualReadError.ts"

export { ChecksumMismatch, VirtualObjectNotFound, type VirtualReadError } from "./VirtualReadError.ts"

/**
 * What happens when a checksum does not agree: the read fails, a warning is logged, or nothing is checked.
 *
 * @category models
 * @since 0.1.0
 */
export type ChecksumPolicy = "fail" | "warn" | "off"

/**
 * Resolves virtual chunks of one repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunkResolver {
  readonly containers: ContainerMatch.ContainerSet
  /** The container and path of a location that can be that of an object. Makes no request. */
  readonly resolve: (
    location: Location.Location
  ) => Result.Result<ContainerMatch.Resolved, ContainerMatch.MissingContainer | Location.InvalidLocation>
  /** The bytes of a ref, or of a part of it: positions relative to the ref's first byte. */
  readonly read: (
    ref: VirtualChunkRef,
    options: { readonly part?: Span | undefined; readonly checks: ChecksumPolicy }
  ) => Effect.Effect<Uint8Array, VirtualReadError>
  /** What `read` reads, for those who read many at once. */
  readonly wanted: (
    ref: VirtualChunkRef,
    options: { readonly part?: Span | undefined; readonly checks: ChecksumPolicy }
  ) => Wanted | ContainerMatch.MissingContainer | Location.InvalidLocation
  /**
   * The text of the object's place and version, the same for the same bytes, where these may be kept: when the ref has a
   * checksum, and the store is not local. Fails like `read` when the object may not be read.
   */
  readonly cacheKey: (ref: VirtualChunkRef) => Effect.Effect<string | undefined, VirtualReadError>
  /** Where the object of a location is. */
  readonly placeOf: (resolved: ContainerMatch.Resolved) => ObjectPlace.ObjectPlace
  /** All locations of the same object. */
  readonly spellings: (resolved: ContainerMatch.Resolved) => ReadonlyArray<string>
  /** What the store says now of the object at a location, without reading it. */
  readonly head: (
    location: string
  ) => Effect.Effect<ObjectStore.ObjectMeta, Exclude<VirtualReadError, ChecksumMismatch>>
}

const conditions = (checksum: Checksum.Checksum): Omit<ObjectStore.GetOptions, "range"> =>
  Checksum.match(checksum, {
    ETag: ({ etag }): Omit<ObjectStore.GetOptions, "range"> => ({ ifMatch: etag }),
    LastModified: ({ seconds }) => ({ ifUnmodifiedSince: seconds * 1000 })
  })

const same = (a: Checksum.Checksum | undefined, b: Checksum.Checksum | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    (a._tag === "ETag" ? b._tag === "ETag" && a.etag === b.etag : b._tag === "LastModified" && a.seconds === b.seconds))

const versionKey = (checksum: Checksum.Checksum | undefined, checks: ChecksumPolicy): string =>
  checksum === undefined
    ? checks
    : `${checks} ${checksum._tag === "ETag" ? `"${checksum.etag}` : String(checksum.seconds)}`

/** Versions of an object, and objects, that are remembered; any number may be read. */
const maxVersions = 64
const maxObjects = 8192

/** An object of a container and the versions of it that were read lately. */
class KnownObject {
  readonly address: Address
  readonly #targets = new Map<string, Target>()
  #last:
    | { readonly checksum: Checksum.Checksum | undefined; readonly checks: ChecksumPolicy; readonly target: Target }
    | undefined

  constructor(address: Address) {
    this.address = address
  }

  target(checksum: Checksum.Checksum | undefined, checks: ChecksumPolicy): Target {
    const last = this.#last
    if (last !== undefined && last.checks === checks && same(last.checksum, checksum)) return last.target
    const key = versionKey(checksum, checks)
    let target = this.#targets.get(key)
    if (target === undefined) {
      if (this.#targets.size >= maxVersions) this.#targets.clear()
      this.#targets.set(key, (target = this.#version(checksum, checks)))
    }
    this.#last = { checksum, checks, target }
    return target
  }

  #version(checksum: Checksum.Checksum | undefined, checks: ChecksumPolicy): Target {
    const container = this.address.resolved.container.name
    return {
      place: this.address,
      key: this.address.key,
      conditions: checks === "fail" && checksum !== undefined ? conditions(checksum) : undefined,
      failure: (error, store, location) => fromStore(error, store, { checksum, container, location }),
      mismatch:
        checks === "off" || checksum === undefined
          ? undefined
          : (meta, location) => mismatch(location, container, checksum, meta),
      warns: checks === "warn",
      isOneVersion: checks === "fail",
      batch: undefined
    }
  }
}

/**
 * A resolver over a set of containers and their stores. Resolvers with the same `reads` share the bounds of requests.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly containers: ContainerMatch.ContainerSet
  readonly stores: ContainerStores
  readonly reads: ObjectReads
}): ChunkResolver => {
  const { containers, reads, stores } = options

  const resolve: ChunkResolver["resolve"] = (location) =>
    Result.flatMap(ContainerMatch.resolve(containers, location), (resolved) => {
      const problem = stores.problem(resolved)
      return problem === undefined
        ? Result.succeed(resolved)
        : Result.fail(new Location.InvalidLocation({ location: Location.shown(Location.format(location)), problem }))
    })

  const resolveText = (
    location: string
  ): Result.Result<ContainerMatch.Resolved, ContainerMatch.MissingContainer | Location.InvalidLocation> =>
    Result.flatMap(Location.parse(location), resolve)

  // Locations that are spelled differently may be of the same object.
  const byLocation = new Lately<KnownObject>(maxObjects)
  const byPath = new Lately<KnownObject>(maxObjects)
  const objectAt = (location: string): KnownObject | ContainerMatch.MissingContainer | Location.InvalidLocation => {
    const known = byLocation.get(location)
    if (known !== undefined) return known
    const resolved = resolveText(location)
    if (Result.isFailure(resolved)) return resolved.failure
    const path = `${resolved.success.container.name}\n${resolved.success.path}`
    const object = byPath.get(path) ?? new KnownObject(stores.address(resolved.success))
    byPath.set(path, object)
    byLocation.set(location, object)
    return object
  }

  const platformOf = ({ container }: ContainerMatch.Resolved) => stores.platforms.get(container.platform)
  const placeOf = (resolved: ContainerMatch.Resolved) => ObjectPlace.make(resolved, platformOf(resolved))

  const wanted: ChunkResolver["wanted"] = ({ checksum, length, location, offset }, { checks, part }) => {
    const object = objectAt(location)
    if (!(object instanceof KnownObject)) return object
    const start = offset + (part?.start ?? 0)
    return { target: object.target(checksum, checks), location, start, end: offset + (part?.end ?? length) }
  }

  return {
    containers,
    resolve,
    placeOf,
    spellings: (resolved) => ObjectPlace.spellings(placeOf(resolved), containers, platformOf(resolved)),
    wanted,
    cacheKey: ({ checksum, location }) => {
      if (checksum === undefined) return Effect.succeed(undefined)
      const object = objectAt(location)
      if (!(object instanceof KnownObject)) return Effect.fail(object)
      const { address } = object
      return Effect.scoped(
        Effect.flatMap(stores.openStore(address), (opened) => {
          const refused = stores.refusal(opened, address)
          if (refused !== undefined) return Effect.fail(refused)
          if (opened.store.isLocal === true) return Effect.succeed(undefined)
          return Effect.succeed(`${ObjectPlace.key(placeOf(address.resolved))}\n${versionKey(checksum, "fail")}`)
        })
      )
    },
    read: (ref, options) => {
      const what = wanted(ref, options)
      return "target" in what ? reads.read(what.target, what.location, what.start, what.end) : Effect.fail(what)
    },
    head: (location) =>
      Effect.scoped(
        Effect.gen(function* () {
          const resolved = yield* Effect.fromResult(resolveText(location))
          const { key, store } = yield* stores.open(resolved)
          return yield* Effect.mapError(store.head(key), (error) =>
            isNotFound(error)
              ? new VirtualObjectNotFound({
                  location: Location.shown(location),
                  container: resolved.container.name,
                  store: store.description
                })
              : error
          )
        })
      )
  }
}
