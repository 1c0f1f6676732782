/**
 * What a virtual chunk ref remembers of its object, and whether a response still agrees with it.
 *
 * Sources: Icechunk spec 2, `ChunkRef.checksum_etag` and `checksum_last_modified`; RFC 9110, section
 * 8.8.3.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * - `ETag`: the entity tag, stored as the store reported it;
 * - `LastModified`: whole seconds since 1970-01-01T00:00:00Z; the object must not be newer.
 *
 * @category models
 * @since 0.1.0
 */
export type Checksum = Data.TaggedEnum<{
  readonly ETag: { readonly etag: string }
  readonly LastModified: { readonly seconds: number }
}>

const Constructors: Data.TaggedEnum.Constructor<Checksum> = Data.taggedEnum<Checksum>()

/**
 * A checksum by entity tag.
 *
 * @category constructors
 * @since 0.1.0
 */
export const etag = (etag: string): Checksum => Constructors.ETag({ etag })

/** Largest time that Icechunk's unsigned 32-bit seconds can hold: 2106-02-07T06:28:15Z. */
const maxSeconds = 0xffff_ffff

/**
 * A checksum by time of last change, in milliseconds since 1970. Icechunk stores whole seconds, and
 * zero means "none": the time is rounded up, because an object changed at 10.4 s is not newer than 11 s.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lastModified = (milliseconds: number): Checksum =>
  Constructors.LastModified({ seconds: Math.min(maxSeconds, Math.max(1, Math.ceil(milliseconds / 1000))) })

/**
 * A sentence that says why a checksum cannot be stored, or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (checksum: Checksum): string | undefined =>
  Constructors.$match(checksum, {
    ETag: ({ etag }) => (etag === "" ? "the ETag is empty" : undefined),
    LastModified: ({ seconds }) =>
      Number.isInteger(seconds) && seconds >= 1 && seconds <= maxSeconds
        ? undefined
        : `the time of change is ${seconds}, not a whole number of seconds from 1 to ${maxSeconds}`
  })

/**
 * Pattern matching over the two kinds of checksum.
 *
 * @category combinators
 * @since 0.1.0
 */
export const match: typeof Constructors.$match = Constructors.$match

/**
 * The part of an entity tag that is compared: without `W/` and without quotes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const opaqueTag = (etag: string): string => {
  const strong = etag.startsWith("W/") ? etag.slice(2) : etag
  return strong.length >= 2 && strong.startsWith('"') && strong.endsWith('"') ? strong.slice(1, -1) : strong
}

/**
 * What a response says about the object it came from. A store whose object has several entity tags
 * (Google Cloud Storage: one in each of its APIs) lists the others in `alternateEtags`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observed {
  readonly etag: string | undefined
  readonly alternateEtags?: ReadonlyArray<string> | undefined
  /** Milliseconds since 1970. */
  readonly lastModified: number | undefined
}

/**
 * Which checksum is taken of an object: `either` prefers the entity tag.
 *
 * @category models
 * @since 0.1.0
 */
export type Capture = "etag" | "last-modified" | "either"

/**
 * What is taken of objects of a platform when nobody says. Files have a time of change that other programs see too; what stands for
 * an entity tag of theirs does not.
 *
 * @category combinators
 * @since 0.1.0
 */
export const defaultCapture = (platform: string | undefined): Capture =>
  platform === "fs" ? "last-modified" : "either"

/**
 * The checksum of an object as a response describes it; `undefined` when the response does not carry it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const capture = (observed: Observed, how: Capture): Checksum | undefined => {
  if (how !== "last-modified" && observed.etag !== undefined) return etag(observed.etag)
  return how === "etag" || observed.lastModified === undefined ? undefined : lastModified(observed.lastModified)
}

/**
 * Whether the object is still the one the checksum was taken of. A response that does not carry what
 * the checksum needs does not agree.
 *
 * @category predicates
 * @since 0.1.0
 */
export const agrees = (checksum: Checksum, observed: Observed): boolean =>
  Constructors.$match(checksum, {
    ETag: ({ etag }) => {
      const expected = opaqueTag(etag)
      return [observed.etag, ...(observed.alternateEtags ?? [])].some(
        (candidate) => candidate !== undefined && opaqueTag(candidate) === expected
      )
    },
    // Times of files and of some stores have fractions; the checksum was rounded up.
    LastModified: ({ seconds }) =>
      observed.lastModified !== undefined && Math.ceil(observed.lastModified / 1000) <= seconds
  })

/**
 * As messages show it.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format: (checksum: Checksum) => string = Constructors.$match({
  ETag: ({ etag }) => `ETag \`${etag}\``,
  LastModified: ({ seconds }) => `not modified since ${new Date(seconds * 1000).toISOString()}`
})
