/**
 * What can go wrong between a virtual chunk ref and its bytes.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { ObjectMeta } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as Checksum from "../values/Checksum.ts"
import { CredentialsUnavailable } from "../values/Credentials.ts"
import * as Location from "../values/Location.ts"
import type * as ContainerMatch from "./ContainerMatch.ts"
import type { MissingCredentials, MissingPlatform } from "./Platform.ts"

/**
 * The object is not the one that the ref was written for. Its bytes are not served.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChecksumMismatch
  extends /*#__PURE__*/ Data.TaggedError("ChecksumMismatch")<{
    readonly location: string
    readonly container: string
    /** What the ref says, in words. */
    readonly expected: string
    /** What the store says, in words that follow "it"; absent when the store refused the read without saying. */
    readonly observed?: string | undefined
  }>
{
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
export class VirtualObjectNotFound
  extends /*#__PURE__*/ Data.TaggedError("VirtualObjectNotFound")<{
    readonly location: string
    readonly container: string
    readonly store: string
  }>
{
  override get message(): string {
    return `\`${this.location}\` does not exist in \`${this.store}\` (container \`${this.container}\`). Restore the object, or correct the container's configuration.`
  }
}

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

const observed = (meta: ObjectMeta): Checksum.Observed => ({
  etag: meta.version.etag,
  alternateEtags: meta.alternateEtags,
  lastModified: meta.lastModified
})

const describe = (checksum: Checksum.Checksum, meta: ObjectMeta): string =>
  Checksum.match(checksum, {
    ETag: () => (meta.version.etag === undefined ? "has no ETag" : `has ETag \`${meta.version.etag}\``),
    LastModified: () =>
      meta.lastModified === undefined
        ? "has no time of change"
        : `was modified at ${new Date(meta.lastModified).toISOString()}`
  })

/**
 * `undefined` when the response agrees with the checksum.
 *
 * @category predicates
 * @since 0.1.0
 */
export const mismatch = (
  location: string,
  container: string,
  checksum: Checksum.Checksum | undefined,
  meta: ObjectMeta
): ChecksumMismatch | undefined =>
  checksum === undefined || Checksum.agrees(checksum, observed(meta))
    ? undefined
    : new ChecksumMismatch({
        location: Location.shown(location),
        container,
        expected: Checksum.format(checksum),
        observed: describe(checksum, meta)
      })

/**
 * What an error of the container's store means for a reader of the chunk.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromStore = (
  error: ObjectStoreError,
  store: string,
  {
    checksum,
    container,
    location: exact
  }: {
    readonly checksum: Checksum.Checksum | undefined
    readonly container: string
    readonly location: string
  }
): VirtualReadError => {
  const location = Location.shown(exact)
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
