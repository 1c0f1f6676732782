/**
 * Why a request to an object store failed: one error, one closed set of reasons.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

interface ReasonFields {
  /** What the platform said, without secrets and query strings. */
  readonly detail?: string | undefined
  readonly cause?: unknown
}

interface Waiting {
  /** How long the store asks to wait before the next request, in milliseconds, where it says so. */
  readonly retryAfter?: number | undefined
}

/**
 * No object has this key, or the bucket does not exist.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotFound extends /*#__PURE__*/ Data.TaggedError("NotFound")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return "failed because it does not exist"
  }
}

/**
 * A put that creates found an object under the key.
 *
 * @category reasons
 * @since 0.1.0
 */
export class AlreadyExists extends /*#__PURE__*/ Data.TaggedError("AlreadyExists")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return "failed because it exists already"
  }
}

/**
 * The object is not the version that the request was made for.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PreconditionFailed extends /*#__PURE__*/ Data.TaggedError("PreconditionFailed")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return "failed because it was changed in the meantime"
  }
}

/**
 * The object still is the version that the reader has already (`ifNoneMatch` of a get): its bytes were not sent.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotModified extends /*#__PURE__*/ Data.TaggedError("NotModified")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return "found it unchanged"
  }
}

/**
 * The range reaches past the end of the object or is malformed.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidRange
  extends /*#__PURE__*/ Data.TaggedError("InvalidRange")<
    ReasonFields & {
      /** Bytes in the object, when known. */
      readonly size?: number | undefined
    }
  >
{
  readonly isRetryable = false
  override get message(): string {
    return this.size === undefined
      ? "failed because it has no such range"
      : `failed because it has ${this.size} bytes, and the range reaches beyond them`
  }
}

/**
 * The store does not accept the credentials: wrong, expired or absent.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unauthenticated
  extends /*#__PURE__*/ Data.TaggedError("Unauthenticated")<
    ReasonFields & {
      /** Why, where it is not the credentials themselves, as with a wrong clock. */
      readonly because?: string | undefined
      /** Why there are no credentials to ask with; absent when the store refused them. */
      readonly unavailable?: string | undefined
    }
  >
{
  readonly isRetryable = false
  override get message(): string {
    if (this.unavailable !== undefined) return "was not sent because the credentials could not be fetched"
    return `was refused because ${this.because ?? "the credentials are wrong, expired or absent; check them"}`
  }
}

/**
 * The credentials are known, and may not do this.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PermissionDenied extends /*#__PURE__*/ Data.TaggedError("PermissionDenied")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return "was denied; check that the credentials in use may do this (some stores also answer so for a missing key)"
  }
}

/**
 * The store asks for fewer requests.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RateLimited extends /*#__PURE__*/ Data.TaggedError("RateLimited")<ReasonFields & Waiting> {
  readonly isRetryable = true
  override get message(): string {
    return "was rate limited; try again later or with less concurrency"
  }
}

/**
 * The store did not answer, broke the connection, or failed on its side.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unavailable
  extends /*#__PURE__*/ Data.TaggedError("Unavailable")<
    ReasonFields &
      Waiting & {
        /** What is the matter and what to do about it, where the store knows. */
        readonly because?: string | undefined
        /** Nothing was changed, and the same request fails again until somebody acts: a full disk, a lock that is not released. */
        readonly isLasting?: boolean | undefined
      }
  >
{
  get isRetryable(): boolean {
    return this.isLasting !== true
  }
  override get message(): string {
    return this.because === undefined
      ? "could not be reached or failed on the store's side; check endpoint and network"
      : `failed: ${this.because}`
  }
}

/**
 * The store answered with something that HTTP or its own protocol does not allow: a short body, a whole
 * object for a range, a wrong `Content-Range`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidResponse
  extends /*#__PURE__*/ Data.TaggedError("InvalidResponse")<
    ReasonFields & {
      /** The same request would be answered in the same way, as by a redirect. */
      readonly isFinal?: boolean | undefined
      /** A web page came where a file was asked for, as that of a login. */
      readonly isPage?: boolean | undefined
    }
  >
{
  get isRetryable(): boolean {
    return this.isFinal !== true
  }
  override get message(): string {
    return "was answered with an invalid response"
  }
}

/**
 * The store cannot do this at all, or not with this key.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unsupported extends /*#__PURE__*/ Data.TaggedError("Unsupported")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return "is not supported by this store"
  }
}

/**
 * Every way in which a request can fail.
 *
 * @category reasons
 * @since 0.1.0
 */
export type Reason =
  | NotFound
  | AlreadyExists
  | PreconditionFailed
  | NotModified
  | InvalidRange
  | Unauthenticated
  | PermissionDenied
  | RateLimited
  | Unavailable
  | InvalidResponse
  | Unsupported

/**
 * The primitives of `ObjectStore`, as spans and errors name them.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = "get" | "put" | "head" | "list" | "delete" | "copy"

/**
 * A request to an object store failed. `reason` says why and whether the same request may succeed later.
 *
 * @category errors
 * @since 0.1.0
 */
export class ObjectStoreError
  extends /*#__PURE__*/ Data.TaggedError("ObjectStoreError")<{
    /** The store, as its `description` names it. */
    readonly store: string
    readonly operation: Operation
    /** Key or prefix within the store. */
    readonly key: string
    readonly reason: Reason
  }>
{
  /** Whether the same request may succeed later. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
  override get message(): string {
    const detail = this.reason.detail === undefined ? "" : ` (${this.reason.detail})`
    return `${this.operation} of \`${this.key}\` in \`${this.store}\` ${this.reason.message}${detail}`
  }
}

/**
 * Whether an error is an `ObjectStoreError` for a certain reason.
 *
 * @category predicates
 * @since 0.1.0
 */
export const hasReason =
  <Tag extends Reason["_tag"]>(tag: Tag) =>
  (error: {
    readonly _tag: string
  }): error is ObjectStoreError & { readonly reason: Extract<Reason, { readonly _tag: Tag }> } =>
    error instanceof ObjectStoreError && error.reason._tag === tag

/**
 * The object does not exist.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isNotFound: (error: {
  readonly _tag: string
}) => error is ObjectStoreError & { readonly reason: NotFound } = hasReason("NotFound")

/**
 * A conditional put lost: the object was created or changed by another writer.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isConflict = (error: { readonly _tag: string }): boolean =>
  hasReason("PreconditionFailed")(error) || hasReason("AlreadyExists")(error)
