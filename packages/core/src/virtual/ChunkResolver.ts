/**
 * From a virtual chunk ref to bytes: parse, match, open, read, verify.
 *
 * Reads that wait at the same time for the same version of the same object are answered with as few
 * requests as the range plan allows.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as ObjectStore from "../store/ObjectStore.ts"
import { hasReason, isNotFound, type ObjectStoreError } from "../store/ObjectStoreError.ts"
import type * as RangePlan from "../store/RangePlan.ts"
import type { Span } from "../values/ByteRange.ts"
import * as Checksum from "../values/Checksum.ts"
import { CredentialsUnavailable } from "../values/Credentials.ts"
import * as Location from "../values/Location.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import * as ContainerMatch from "./ContainerMatch.ts"
import * as ObjectPlace from "./ObjectPlace.ts"
import type { ContainerStores } from "./ContainerStores.ts"
import type { MissingCredentials, MissingPlatform } from "./Platform.ts"

/**
 * The object is not the one that the ref was written for. Its bytes are not served.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChecksumMismatch extends Data.TaggedError("ChecksumMismatch")<{
  readonly location: string
  readonly container: string
  /** What the ref says, in words. */
  readonly expected: string
  /** What the store says, in words that follow "it"; absent when the store refused the read without saying. */
  readonly observed?: string | undefined
}> {
  override get message(): string {
    const observed =
      this.observed === undefined ? "and its store says that this is no longer so" : `but it ${this.observed}`
    return `\`${this.location}\` has changed since its chunks were referenced: expected ${this.expected}, ${observed}. Restore the object, or write new refs for it.`
  }
}

/**
 * The object that a ref points at does not exist. It is never read as fill values.
 *
 * @category errors
 * @since 0.1.0
 */
export class VirtualObjectNotFound extends Data.TaggedError("VirtualObjectNotFound")<{
  readonly location: string
  readonly container: string
  readonly store: string
}> {
  override get message(): string {
    return `\`${this.location}\` does not exist in \`${this.store}\` (container \`${this.container}\`). Restore the object, or correct the container's configuration.`
  }
}

/**
 * What happens when a checksum does not agree: the read fails, a warning is logged, or nothing is checked.
 *
 * @category models
 * @since 0.1.0
 */
export type ChecksumPolicy = "fail" | "warn" | "off"

/**
 * All that can go wrong between a ref and its bytes.
 *
 * @category errors
 * @since 0.1.0
 */
export type VirtualReadError =
  | ContainerMatch.MissingContainer
  | Location.InvalidLocation
  | MissingCredentials
  | MissingPlatform
  | CredentialsUnavailable
  | ChecksumMismatch
  | VirtualObjectNotFound
  | ObjectStoreError

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
  /** Where the object of a location is. */
  readonly placeOf: (resolved: ContainerMatch.Resolved) => ObjectPlace.ObjectPlace
  /** All locations of the same object. */
  readonly spellings: (resolved: ContainerMatch.Resolved) => ReadonlyArray<string>
  /** What the store says now of the object at a location, without reading it. */
  readonly head: (
    location: string
  ) => Effect.Effect<ObjectStore.ObjectMeta, Exclude<VirtualReadError, ChecksumMismatch>>
}

class ReadPart extends Request.Class<
  {
    readonly resolved: ContainerMatch.Resolved
    readonly location: string
    readonly checksum: Checksum.Checksum | undefined
    readonly checks: ChecksumPolicy
    readonly span: Span
  },
  Uint8Array,
  VirtualReadError
> {
  /** Tells the requests to the store that this reader has gone; set while they are under way. */
  leave: (() => void) | undefined = undefined
}

/** Requests with the same text go to the same version of the same object. */
const groupKey = ({ checks, checksum, resolved }: ReadPart): string =>
  JSON.stringify([
    resolved.container.name,
    resolved.path,
    checks,
    checksum === undefined ? "" : Checksum.format(checksum)
  ])

const conditions = (checksum: Checksum.Checksum): Omit<ObjectStore.GetOptions, "range"> =>
  Checksum.match(checksum, {
    ETag: ({ etag }): Omit<ObjectStore.GetOptions, "range"> => ({ ifMatch: etag }),
    LastModified: ({ seconds }) => ({ ifUnmodifiedSince: seconds * 1000 })
  })

const observed = (meta: ObjectStore.ObjectMeta): Checksum.Observed => ({
  etag: meta.version.etag,
  alternateEtags: meta.alternateEtags,
  lastModified: meta.lastModified
})

const describe = (checksum: Checksum.Checksum, meta: ObjectStore.ObjectMeta): string =>
  Checksum.match(checksum, {
    ETag: () => (meta.version.etag === undefined ? "has no ETag" : `has ETag \`${meta.version.etag}\``),
    LastModified: () =>
      meta.lastModified === undefined
        ? "has no time of change"
        : `was modified at ${new Date(meta.lastModified).toISOString()}`
  })

/** `undefined` when the response agrees with the checksum. Pure. */
const mismatch = (
  location: string,
  container: string,
  checksum: Checksum.Checksum | undefined,
  meta: ObjectStore.ObjectMeta
): ChecksumMismatch | undefined =>
  checksum === undefined || Checksum.agrees(checksum, observed(meta))
    ? undefined
    : new ChecksumMismatch({
        location,
        container,
        expected: Checksum.format(checksum),
        observed: describe(checksum, meta)
      })

/** What an error of the container's store means for a reader of the chunk. Pure. */
const readError = (
  error: ObjectStoreError,
  store: string,
  { checksum, location, resolved }: Pick<ReadPart, "checksum" | "location" | "resolved">
): VirtualReadError => {
  const container = resolved.container.name
  if (error.reason._tag === "NotFound") return new VirtualObjectNotFound({ location, container, store })
  if (error.reason._tag === "PreconditionFailed" && checksum !== undefined) {
    // What the store says along with it is how it says no, not what the object is.
    return new ChecksumMismatch({ location, container, expected: Checksum.format(checksum) })
  }
  if (error.reason._tag === "Unauthenticated" && error.reason.unavailable !== undefined) {
    return new CredentialsUnavailable({ container, problem: error.reason.unavailable })
  }
  return error
}

/**
 * A resolver over a set of containers and their stores.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly containers: ContainerMatch.ContainerSet
  readonly stores: ContainerStores
  readonly plan?: RangePlan.Options | undefined
}): ChunkResolver => {
  const { containers, plan, stores } = options

  /** Answers requests for one version of one object. */
  const readGroup = Effect.fnUntraced(function* (
    entries: ReadonlyArray<Request.Entry<ReadPart>>
  ): Effect.fn.Return<void, VirtualReadError> {
    const [{ request: first }] = entries as readonly [Request.Entry<ReadPart>]
    const { checks, checksum, location, resolved } = first
    yield* Effect.scoped(
      Effect.gen(function* () {
        const { key, store } = yield* stores.open(resolved)
        const results = yield* ObjectStore.getRanges(
          store,
          key,
          entries.map(({ request }) => request.span),
          { conditions: checks === "fail" && checksum !== undefined ? conditions(checksum) : undefined, plan }
        ).pipe(Effect.mapError((error) => readError(error, store.description, first)))
        let warned = false
        for (const [i, { bytes, meta }] of results.entries()) {
          const changed = checks === "off" ? undefined : mismatch(location, resolved.container.name, checksum, meta)
          if (changed !== undefined && checks === "warn" && !warned) {
            warned = true
            yield* Effect.logWarning(changed.message)
          }
          entries[i]!.completeUnsafe(
            changed !== undefined && checks === "fail" ? Exit.fail(changed) : Exit.succeed(bytes)
          )
        }
      })
    ).pipe(
      // A range past the end fails alone, not with those that were read together with it.
      Effect.catchIf(
        (error): error is ObjectStoreError => entries.length > 1 && hasReason("InvalidRange")(error),
        () => Effect.forEach(entries, (entry) => answer([entry]), { concurrency: 8, discard: true })
      )
    )
  })

  const answer = (entries: ReadonlyArray<Request.Entry<ReadPart>>): Effect.Effect<void> =>
    Effect.suspend(() => {
      // A batch that runs is not interrupted with its readers; it stops here when the last one has gone.
      const abandoned = Deferred.makeUnsafe<void>()
      let readers = entries.length
      for (const { request } of entries) {
        request.leave = () => {
          if (--readers === 0) Deferred.doneUnsafe(abandoned, Exit.void)
        }
      }
      return Effect.raceFirst(readGroup(entries), Deferred.await(abandoned))
    }).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          for (const entry of entries) entry.completeUnsafe(Exit.fail(error))
        })
      )
    )

  const resolver = RequestResolver.makeGrouped<ReadPart, string>({
    key: ({ request }) => groupKey(request),
    resolver: answer
  })

  const resolve: ChunkResolver["resolve"] = (location) =>
    Result.flatMap(ContainerMatch.resolve(containers, location), (resolved) => {
      const problem = stores.problem(resolved)
      return problem === undefined
        ? Result.succeed(resolved)
        : Result.fail(new Location.InvalidLocation({ location: Location.format(location), problem }))
    })

  const resolveText = (
    location: string
  ): Effect.Effect<ContainerMatch.Resolved, ContainerMatch.MissingContainer | Location.InvalidLocation> =>
    Effect.fromResult(Result.flatMap(Location.parse(location), resolve))

  const platformOf = ({ container }: ContainerMatch.Resolved) => stores.platforms.get(container.platform)
  const placeOf = (resolved: ContainerMatch.Resolved) => ObjectPlace.make(resolved, platformOf(resolved))

  return {
    containers,
    resolve,
    placeOf,
    spellings: (resolved) => ObjectPlace.spellings(placeOf(resolved), containers, platformOf(resolved)),
    read: ({ checksum, length, location, offset }, { checks, part }) =>
      Effect.flatMap(resolveText(location), (resolved) => {
        const span = { start: offset + (part?.start ?? 0), end: offset + (part?.end ?? length) }
        const request = new ReadPart({ resolved, location, checksum, checks, span })
        return Effect.onInterrupt(Effect.request(request, resolver), () => Effect.sync(() => request.leave?.()))
      }),
    head: (location) =>
      Effect.scoped(
        Effect.gen(function* () {
          const resolved = yield* resolveText(location)
          const { key, store } = yield* stores.open(resolved)
          return yield* Effect.mapError(store.head(key), (error) =>
            isNotFound(error)
              ? new VirtualObjectNotFound({
                  location,
                  container: resolved.container.name,
                  store: store.description
                })
              : error
          )
        })
      )
  }
}
