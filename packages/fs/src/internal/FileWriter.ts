/**
 * Writes whole objects: a temporary file is filled and flushed, takes its place in one step, and its directory is
 * flushed.
 *
 * ## Flushes that are deferred
 *
 * A new object may be there before it is flushed, where its writer says so: then its file is flushed in the background
 * (see `Flushes`) and its directory once, when all is settled. What replaces an object is flushed before in any case,
 * so that a loss of power never takes both.
 *
 * A file whose flush fails is lost: the system may have dropped what it could not write, and the next flush of the
 * file would succeed without it. So its remainder fails for good. A directory whose flush fails is flushed again the
 * next time; what is in it is in doubt as long, like after any other write.
 */
import type * as DeferredWrites from "@effect-icechunk/core/DeferredWrites"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as FileIdentity from "../FileIdentity.ts"
import type { Confinement } from "./Confinement.ts"
import * as Directories from "./Directories.ts"
import type { LocalCalls } from "./FileCalls.ts"
import * as FileFill from "./FileFill.ts"
import * as FileReader from "./FileReader.ts"
import * as Flushes from "./Flushes.ts"
import type { LocalDirectories } from "./LocalDirectories.ts"
import { NodeCalls, type NodeCallsShape } from "./NodeCalls.ts"
import * as OpenFiles from "./OpenFiles.ts"
import { isElsewhere, isVersion, type Placement } from "./Placement.ts"
import type { StagedFiles } from "./StagedFiles.ts"

export interface FileWriter {
  /** Makes a file of bytes. */
  readonly write: (
    file: string,
    bytes: Uint8Array,
    options: WriteOptions
  ) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason | Errors.ObjectStoreError>
  /** Makes a file of another one, with `ifMatch` of this version only. */
  readonly copy: (
    from: string,
    file: string,
    options: { readonly ifMatch: ObjectStore.Version | undefined; readonly defer: DeferredWrites.Defer | undefined }
  ) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason | Errors.ObjectStoreError>
}

/** A temporary file with its bytes in it, and how to flush it as long as it is open. */
interface Filled {
  readonly identity: FileIdentity.FileIdentity
  readonly flush: Effect.Effect<void, PlatformError.PlatformError>
}

type Fill = (temporary: string) => Effect.Effect<Filled, Errors.Reason, Scope.Scope>

/** Makes a copy of a file; its identity, or `undefined` when the file was replaced meanwhile. */
type Copy = (
  source: string,
  before: FileIdentity.FileIdentity,
  temporary: string
) => Effect.Effect<FileIdentity.FileIdentity | undefined, Errors.Reason>

/** What is still open may outlive the Scope. */
interface Handle {
  readonly scope: Scope.Scope
  readonly keep: () => void
  readonly close: Effect.Effect<void>
}

const handle: Effect.Effect<Handle, never, Scope.Scope> = Effect.gen(function* () {
  const scope = yield* Scope.make()
  let isKept = false
  yield* Effect.addFinalizer((exit) => (isKept ? Effect.void : Scope.close(scope, exit)))
  return {
    scope,
    keep: () => {
      isKept = true
    },
    close: Scope.close(scope, Exit.void)
  }
})

interface WriteOptions {
  readonly mode: ObjectStore.PutMode
  readonly defer: DeferredWrites.Defer | undefined
  readonly after?: Effect.Effect<void, Errors.ObjectStoreError> | undefined
  /** Nobody else writes the file. */
  readonly isUnique?: boolean | undefined
}

const asWrite = FileReader.asReason("write")

export const make = (options: {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  readonly root: string
  readonly isFlushed: boolean
  readonly confinement: Confinement
  readonly directories: Directories.Directories
  readonly placement: Placement
  readonly stagedFiles: StagedFiles
  readonly locals: LocalDirectories
  /** The error about a file or a directory of which something was deferred. */
  readonly failed: (file: string, reason: Errors.Reason) => Errors.ObjectStoreError
}): FileWriter => {
  const { directories, failed, fs, isFlushed, locals, path, root, stagedFiles } = options
  const { confine, find } = options.confinement
  const { place } = options.placement
  /** Directories that files of the store's own cannot be moved to, because they are on another file system. */
  const elsewhere = new Set<string>()
  /** What is left to be done for a directory, one for all that is in it. */
  const remainders = new Map<string, DeferredWrites.Remainder>()
  // Windows may refuse to rename or remove a file that is open.
  const mayDefer = isFlushed && path.sep !== "\\"
  let mayLink = true

  const localOf = (file: string, calls: NodeCallsShape): LocalCalls | undefined => locals.of(path.dirname(file), calls)

  const filled =
    (bytes: Uint8Array): Fill =>
    (temporary) =>
      asWrite(
        Effect.gen(function* () {
          const file = yield* OpenFiles.open(fs, temporary, { flag: "wx" })
          const isLocal = localOf(temporary, yield* NodeCalls) !== undefined
          return { identity: yield* FileFill.fill(file, bytes, isLocal), flush: file.sync }
        })
      )

  /** Copies with `make`. */
  const copied =
    (from: string, ifMatch: ObjectStore.Version | undefined, make: Copy): Fill =>
    (temporary) =>
      Effect.gen(function* () {
        for (let attempt = 0; attempt < 10; attempt++) {
          const { identity, path: source } = yield* find(from)
          yield* confine(path.dirname(from))
          if (ifMatch !== undefined && !isVersion(identity, ifMatch)) return yield* new Errors.PreconditionFailed({})
          const copy = yield* make(source, identity, temporary)
          if (copy === undefined) continue
          if (!isFlushed) return { identity: copy, flush: Effect.void }
          const { sync } = yield* asWrite(OpenFiles.open(fs, temporary))
          return { identity: copy, flush: sync }
        }
        return yield* new Errors.Unavailable({ detail: "the file was changed again and again while it was copied" })
      })

  const copyBytes =
    (from: string): Copy =>
    (_, before, temporary) =>
      Effect.gen(function* () {
        yield* asWrite(Effect.uninterruptible(fs.copyFile(from, temporary)))
        const isSame = FileIdentity.equals(before, (yield* find(from)).identity)
        return isSame ? yield* asWrite(FileIdentity.ofPathNoFollow(temporary)) : undefined
      })

  /**
   * Another name for the same file. It is a copy because files of a store are never written to again: whoever changes
   * an object puts another file in its place, and so does Rust's `object_store`.
   */
  const link: Copy = (source, before, temporary) =>
    Effect.gen(function* () {
      yield* asWrite(Effect.uninterruptible(fs.link(source, temporary))).pipe(
        Effect.tapError((reason) =>
          Effect.sync(() => {
            if (reason._tag === "Unsupported" || reason._tag === "PermissionDenied") mayLink = false
          })
        )
      )
      const now =
        localOf(temporary, yield* NodeCalls)?.identityAt(temporary) ??
        (yield* asWrite(FileIdentity.ofPathNoFollow(temporary)))
      if (FileIdentity.equals(before, now)) return now
      yield* asWrite(Effect.flatMap(NodeCalls, ({ unlink }) => Effect.uninterruptible(unlink(temporary))))
      if (now.type === "File") return undefined
      return yield* new Errors.Unsupported({ detail: `\`${source}\` is not a regular file` })
    })

  const remainderOf = (directory: string): DeferredWrites.Remainder => {
    const known = remainders.get(directory)
    if (known !== undefined) return known
    const settle = Effect.mapError(directories.flush(directory), (reason) =>
      failed(directory, Directories.isMissing(reason) ? lost(directory, reason) : reason)
    )
    const remainder = { settle, isShared: true }
    if (remainders.size >= 10_000) remainders.clear()
    remainders.set(directory, remainder)
    return remainder
  }

  /** Flushes a file that is in its place in the background, and leaves its directory to be flushed. */
  const flushLater = (
    file: string,
    flush: Filled["flush"],
    handle: Handle,
    defer: DeferredWrites.Defer
  ): Effect.Effect<void> =>
    Flushes.begin({ flush, close: handle.close }, (isFlushed) => {
      handle.keep()
      directories.undoubt(file)
      defer(remainderOf(path.dirname(file)))
      const settle = Effect.mapError(isFlushed, (reason) => failed(file, lost(file, reason)))
      return defer({ settle, isShared: false })
    })

  /** Fills a temporary file and puts it in its place. */
  const writeTo = (
    file: string,
    fill: Fill,
    { after, defer, isUnique = false, mode }: WriteOptions
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason | Errors.ObjectStoreError> => {
    const directory = path.dirname(file)

    /** It is to be seen, so what fails here is not a failure to write it. */
    const settled = directories.flush(directory).pipe(
      Effect.mapError((reason) => {
        directories.doubt(file)
        return Directories.inDoubt(file, reason)
      })
    )

    const now = Effect.fnUntraced(function* (temporary: string) {
      const whole = fill(temporary).pipe(
        Effect.tap(({ flush }) => (isFlushed ? asWrite(Effect.uninterruptible(flush)) : Effect.void)),
        Effect.scoped
      )
      const [{ identity }] = yield* after === undefined
        ? Effect.map(whole, (filled) => [filled] as const)
        : Effect.all([whole, after], { concurrency: 2 })
      const placed = yield* place({ path: temporary, identity, settle: Effect.void, isUnique }, file, mode)
      yield* settled
      return placed
    })

    const later = Effect.fnUntraced(function* (temporary: string, defer: DeferredWrites.Defer) {
      if (after !== undefined) yield* after
      const open = yield* handle
      const { flush, identity } = yield* Scope.provide(fill(temporary), open.scope)
      let isOpen = true
      // What needs a lock is not deferred: it may replace an object, and the lock needs files of its own.
      const settle = asWrite(Effect.uninterruptible(flush)).pipe(
        Effect.andThen(open.close),
        Effect.andThen(
          Effect.sync(() => {
            isOpen = false
          })
        )
      )
      const placed = yield* place({ path: temporary, identity, settle, isUnique }, file, mode)
      yield* isOpen ? flushLater(file, flush, open, defer) : settled
      return placed
    })

    const attempt = Effect.suspend(() =>
      Effect.gen(function* () {
        yield* directories.settle(directory)
        yield* stagedFiles.sweep
        const staging = elsewhere.has(directory) ? directory : root
        yield* locals.learn(staging)
        const temporary = yield* stagedFiles.stage(staging)
        return yield* defer !== undefined && mayDefer && mode._tag !== "Update"
          ? later(temporary, defer)
          : now(temporary)
      }).pipe(Effect.scoped)
    )
    return attempt.pipe(
      // Somebody has removed a directory that was known to exist.
      Effect.catchIf(
        (error) =>
          error._tag !== "ObjectStoreError" &&
          Directories.isMissing(error) &&
          [directories.forget(directory), directories.forget(root)].includes(true),
        () => attempt
      ),
      Effect.catchIf(
        (error) => error._tag !== "ObjectStoreError" && isElsewhere(error) && !elsewhere.has(directory),
        () => {
          elsewhere.add(directory)
          return Effect.andThen(stagedFiles.sweepDirectory(directory), attempt)
        }
      )
    )
  }

  return {
    write: (file, bytes, options) => writeTo(file, filled(bytes), options),
    copy: (from, file, { defer, ifMatch }) => {
      const whole = Effect.suspend(() =>
        writeTo(file, copied(from, ifMatch, copyBytes(from)), { mode: ObjectStore.overwrite, defer })
      )
      return Effect.suspend(() =>
        mayLink && from !== file
          ? // A link must not take the place of another object: it would be given the time of a new version, and with it the
            // file that it is a copy of.
            writeTo(file, copied(from, ifMatch, link), { mode: ObjectStore.create, defer }).pipe(
              Effect.catchIf(
                ({ _tag }) => _tag === "AlreadyExists" || _tag === "Unsupported" || _tag === "PermissionDenied",
                () => whole
              )
            )
          : whole
      )
    }
  }
}

/** The bytes are gone, for all that can be known. */
const lost = (file: string, { cause, detail, message }: Errors.Reason): Errors.Reason =>
  new Errors.Unavailable({
    because: `\`${file}\` may not be on the disk: flushing it ${message}. What was written may be lost, so write it again`,
    detail,
    cause,
    isLasting: true
  })
