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
const rateLimited: Reason = (fields) => new Errors.RateLimited(fields)
const invalidResponse: Reason = (fields) => new Errors.InvalidResponse(fields)

const explained = (because: string | undefined, detail: string | undefined): string | undefined =>
  because === undefined ? detail : `${because}${detail === undefined ? "" : `: ${detail}`}`

const denied =
  (because?: string): Reason =>
  ({ cause, detail }) =>
    new Errors.PermissionDenied({ detail: explained(because, detail), cause })
const unsupported =
  (because?: string): Reason =>
  ({ cause, detail }) =>
    new Errors.Unsupported({ detail: explained(because, detail), cause })

/** May work when it is tried again. */
const passing =
  (because: string): Reason =>
  (fields) =>
    new Errors.Unavailable({ ...fields, because })
/** Does not work again until somebody does something about it. */
const lasting =
  (because: string): Reason =>
  (fields) =>
    new Errors.Unavailable({ ...fields, because, isLasting: true })

const removed = passing("a directory was removed while it was written to; try again")
const busy = passing("another program has the file in use; try again")
const silent = passing("the file system did not answer in time; check the network or the disk that it is on")
const isFull = lasting("the disk is full; free some space and try again")
const isUnknown = passing("the file system reported an error that is not known here")

/** By code; a pair is for reading and writing. */
const byCode: Readonly<Record<string, Reason | readonly [read: Reason, write: Reason]>> = {
  ENOENT: [notFound, removed],
  // Below a key that is an object there can be no other object, and over other keys no object.
  ENOTDIR: [notFound, unsupported()],
  EISDIR: [notFound, unsupported()],
  ERR_FS_EISDIR: [notFound, unsupported()],
  ENOTEMPTY: unsupported(),
  EEXIST: alreadyExists,

  EACCES: denied(),
  EPERM: denied(),
  EROFS: denied("the file system is mounted read-only"),

  EAGAIN: rateLimited,

  EBUSY: busy,
  EMFILE: passing("this program has too many files open; raise its limit (`ulimit -n`) or do less at once"),
  ENFILE: passing("the machine has too many files open; close some or raise its limit"),
  ENOMEM: passing("the system is short of memory; free some and try again"),
  ESTALE: passing("the file system lost track of a file, as network file systems do when it is replaced; try again"),
  ETIMEDOUT: silent,

  EDQUOT: lasting("the disk quota is used up; free some space or ask for a larger quota, and try again"),
  EIO: lasting("the disk could not read or write; check the disk and the log of the system"),
  ENOSPC: isFull,

  EFBIG: unsupported("the file would be larger than the file system or the limits of this program allow"),
  EILSEQ: unsupported("the file system does not have such names"),
  EINVAL: unsupported(),
  ELOOP: unsupported("its symbolic links lead in a circle"),
  EMLINK: unsupported(),
  ENAMETOOLONG: unsupported("the file system does not have names that long"),
  ENOSYS: unsupported(),
  ENOTSUP: unsupported(),
  EOPNOTSUPP: unsupported(),
  ENXIO: unsupported(),
  EXDEV: unsupported()
}

/** For a `FileSystem` that tells no code. */
const byTag: Readonly<Record<PlatformError.SystemErrorTag | "BadArgument", Reason | readonly [Reason, Reason]>> = {
  AlreadyExists: alreadyExists,
  BadArgument: unsupported(),
  BadResource: [notFound, unsupported()],
  Busy: busy,
  InvalidData: invalidResponse,
  NotFound: [notFound, removed],
  PermissionDenied: denied(),
  TimedOut: silent,
  UnexpectedEof: invalidResponse,
  Unknown: isUnknown,
  WouldBlock: rateLimited,
  WriteZero: isFull
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
