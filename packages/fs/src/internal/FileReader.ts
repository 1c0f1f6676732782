/**
 * Reads a file, or a part of it, as one version.
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type { GetOptions, GetResult, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import { constants } from "node:buffer"
import { reasonOf } from "../FileError.ts"
import * as FileIdentity from "../FileIdentity.ts"
import * as FileBytes from "./FileBytes.ts"
import type { Looks } from "./HeldFile.ts"
import type { HeldFiles } from "./HeldFiles.ts"
import * as OpenFiles from "./OpenFiles.ts"

/** A file that may be opened, once it is known to be a regular one. */
export interface Source {
  readonly path: string
  readonly identity: FileIdentity.FileIdentity
  /** Opens the file that `identity` was taken of; another one in its place is noticed. */
  readonly noFollow: boolean
  /** A last look at the open file, before anything of it is read: where it really is. */
  readonly inspect?: ((file: FileSystem.File) => Effect.Effect<string, Errors.Reason>) | undefined
  /** What a later read of the open file has to look at again, given where the file really is. */
  readonly again: (real: string | undefined) => Looks
}

/** The metadata of a file as an object. */
export const metaOf = (key: string, identity: FileIdentity.FileIdentity): ObjectMeta => ({
  key,
  size: identity.size,
  lastModified: FileIdentity.milliseconds(identity),
  version: { etag: FileIdentity.etag(identity) }
})

/** Fails a request with the reason for an error of the file system. */
export const asReason =
  (access: "read" | "write") =>
  <A, R>(effect: Effect.Effect<A, PlatformError.PlatformError, R>): Effect.Effect<A, Errors.Reason, R> =>
    Effect.mapError(effect, (error) => reasonOf(access, error))

/** Why a write failed. */
export const reasonOfWrite = (error: PlatformError.PlatformError): Errors.Reason => reasonOf("write", error)

/** How often a read begins again because the file was replaced or changed under it. */
const attempts = 10

/**
 * Reads a file that is still open from an earlier read, or finds it, reads, and compares the open file with what was
 * found: when both are the same, the bytes and the metadata are of one version. The file is looked at before it is
 * opened, for opening a FIFO would hang and opening a device may do anything.
 */
export const read = (
  fs: FileSystem.FileSystem,
  held: HeldFiles,
  key: string,
  find: () => Effect.Effect<Source, Errors.Reason>,
  options: GetOptions | undefined
): Effect.Effect<GetResult, Errors.Reason> =>
  Effect.suspend(() => {
    const file = held.get(key)
    const anew = Effect.suspend(() => readAnew(fs, held, key, find(), options))
    if (file === undefined) return anew
    const span = spanOf(file.checked.meta, options)
    // What does not fit the file as it was may fit it as it is.
    return Result.isSuccess(span) ? file.read(span.success, anew) : anew
  })

const readAnew = (
  fs: FileSystem.FileSystem,
  held: HeldFiles,
  key: string,
  find: Effect.Effect<Source, Errors.Reason>,
  options: GetOptions | undefined
): Effect.Effect<GetResult, Errors.Reason> =>
  Effect.gen(function* () {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const source = yield* find
      const meta = metaOf(key, source.identity)
      const span = yield* Effect.fromResult(spanOf(meta, options))
      const bytes = yield* readSpan(fs, held, source, meta, span)
      if (bytes !== undefined) return { bytes, span, meta }
    }
    return yield* new Errors.Unavailable({ detail: `the file was changed ${attempts} times while it was read` })
  })

/** What a reader wants of a version of a file, or why it gets nothing. Pure. */
const spanOf = (meta: ObjectMeta, options: GetOptions | undefined): Result.Result<ByteRange.Span, Errors.Reason> => {
  const { ifMatch, ifNoneMatch, ifUnmodifiedSince } = options ?? {}
  const matches = ifMatch === undefined || Checksum.opaqueTag(ifMatch) === meta.version.etag
  const unmodified = ifUnmodifiedSince === undefined || meta.lastModified! <= ifUnmodifiedSince
  if (!matches || !unmodified) return Result.fail(new Errors.PreconditionFailed({}))
  if (ifNoneMatch !== undefined && Checksum.opaqueTag(ifNoneMatch) === meta.version.etag) {
    return Result.fail(new Errors.NotModified({}))
  }
  const span = ByteRange.resolve(options?.range, meta.size)
  if (span === undefined) return Result.fail(new Errors.InvalidRange({ size: meta.size }))
  const excess = ObjectStore.excess(span.end - span.start, options)
  return excess === undefined ? Result.succeed(span) : Result.fail(excess)
}

/** The bytes, or `undefined` when they may not be of the version that was found. */
const readSpan = (
  fs: FileSystem.FileSystem,
  held: HeldFiles,
  { again, identity, inspect, noFollow, path }: Source,
  meta: ObjectMeta,
  { end, start }: ByteRange.Span
): Effect.Effect<Uint8Array | undefined, Errors.Reason> =>
  Effect.gen(function* () {
    const bytes = yield* allocate(end - start)
    if (bytes.length === 0 && inspect === undefined) return bytes
    const lease = yield* asReason("read")(OpenFiles.lease(fs, path, { noFollow }))
    const { file } = lease
    const real = inspect === undefined ? undefined : yield* inspect(file)
    let filled = 0
    while (filled < bytes.length) {
      const part = bytes.subarray(filled, filled + largestRead)
      const count = yield* asReason("read")(
        // An abandoned read would go on in the background, on a descriptor that may be another file by then.
        Effect.uninterruptible(file.read(part, { position: BigInt(start + filled) }))
      )
      if (count === 0) break
      filled += count
    }
    const now = yield* asReason("read")(FileIdentity.ofHandle(file))
    if (!FileIdentity.equals(now, identity)) return undefined
    if (filled === bytes.length) {
      yield* held.hold(lease, { identity: now, meta, ...again(real) })
      return bytes
    }
    const detail = `the file has ${identity.size} bytes, but only ${filled} of ${bytes.length} came`
    return yield* new Errors.InvalidResponse({ detail })
  }).pipe(Effect.scoped)

/** Between two reads there may be an interruption. */
const largestRead = 8 * 1024 * 1024

const allocate = (length: number): Effect.Effect<Uint8Array, Errors.Reason> =>
  length > constants.MAX_LENGTH
    ? Effect.fail(new Errors.Unsupported({ detail: `${length} bytes do not fit into memory; read them in ranges` }))
    : Effect.try({
        try: () => FileBytes.allocate(length),
        catch: (cause) => new Errors.Unsupported({ detail: `${length} bytes do not fit into memory`, cause })
      })
