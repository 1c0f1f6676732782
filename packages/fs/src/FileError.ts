/**
 * What the errors of a file system mean for an object store: one table, pure.
 *
 * @since 0.1.0
 */
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import type * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"

/**
 * Whether the file system was asked to find something or to make a change.
 *
 * @category models
 * @since 0.1.0
 */
export type Access = "read" | "write"

/**
 * The error code of the operating system, as in `ENOENT`; `undefined` for other errors.
 *
 * @category accessors
 * @since 0.1.0
 */
export const codeOf = ({ reason }: PlatformError.PlatformError): string | undefined =>
  Predicate.hasProperty(reason.cause, "code") && Predicate.isString(reason.cause.code) ? reason.cause.code : undefined

type Reason = (fields: { readonly detail?: string; readonly cause: unknown }) => Errors.Reason

const notFound: Reason = ({ cause }) => new Errors.NotFound({ cause })
const alreadyExists: Reason = ({ cause }) => new Errors.AlreadyExists({ cause })
const permissionDenied: Reason = (fields) => new Errors.PermissionDenied(fields)
const rateLimited: Reason = (fields) => new Errors.RateLimited(fields)
const unavailable: Reason = (fields) => new Errors.Unavailable(fields)
const invalidResponse: Reason = (fields) => new Errors.InvalidResponse(fields)
const unsupported: Reason = (fields) => new Errors.Unsupported(fields)

/** By code; a pair is for reading and writing. */
const byCode: Readonly<Record<string, Reason | readonly [read: Reason, write: Reason]>> = {
  // Writing into a directory that somebody is removing.
  ENOENT: [notFound, unavailable],
  // Below a key that is an object there can be no other object, and over other keys no object.
  ENOTDIR: [notFound, unsupported],
  EISDIR: [notFound, unsupported],
  ERR_FS_EISDIR: [notFound, unsupported],
  ENOTEMPTY: unsupported,
  EEXIST: alreadyExists,

  EACCES: permissionDenied,
  EPERM: permissionDenied,
  EROFS: permissionDenied,

  EAGAIN: rateLimited,
  EMFILE: rateLimited,
  ENFILE: rateLimited,

  EBUSY: unavailable,
  EDQUOT: unavailable,
  EIO: unavailable,
  ENOMEM: unavailable,
  ENOSPC: unavailable,
  ESTALE: unavailable,
  ETIMEDOUT: unavailable,

  EFBIG: unsupported,
  EILSEQ: unsupported,
  EINVAL: unsupported,
  ELOOP: unsupported,
  ENAMETOOLONG: unsupported,
  ENOSYS: unsupported,
  ENOTSUP: unsupported,
  EOPNOTSUPP: unsupported,
  ENXIO: unsupported,
  EXDEV: unsupported
}

/** For a `FileSystem` that tells no code. */
const byTag: Readonly<Record<PlatformError.SystemErrorTag | "BadArgument", Reason | readonly [Reason, Reason]>> = {
  AlreadyExists: alreadyExists,
  BadArgument: unsupported,
  BadResource: [notFound, unsupported],
  Busy: unavailable,
  InvalidData: invalidResponse,
  NotFound: [notFound, unavailable],
  PermissionDenied: permissionDenied,
  TimedOut: unavailable,
  UnexpectedEof: invalidResponse,
  Unknown: unavailable,
  WouldBlock: rateLimited,
  WriteZero: unavailable
}

/**
 * Why a request failed, from the error of the file system.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reasonOf = (access: Access, error: PlatformError.PlatformError): Errors.Reason => {
  const code = codeOf(error)
  const entry = (code === undefined ? undefined : byCode[code]) ?? byTag[error.reason._tag]
  const reason = Predicate.isFunction(entry) ? entry : entry[access === "read" ? 0 : 1]
  return reason({
    detail: error.cause instanceof Error ? error.cause.message : error.message,
    cause: error
  })
}
