/**
 * Gives complete files their names: new ones by a link, which fails where there is one already, or by a rename where it
 * is known that there is none; others under the lock of the file that they replace.
 */
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import { codeOf } from "../FileError.ts"
import * as FileIdentity from "../FileIdentity.ts"
import * as Directories from "./Directories.ts"
import type * as FileLock from "./FileLock.ts"
import * as FileReader from "./FileReader.ts"
import type { LocalDirectories } from "./LocalDirectories.ts"
import { NodeCalls } from "./NodeCalls.ts"
import type { StagedFiles } from "./StagedFiles.ts"

/** A complete file under a temporary name. */
interface Staged {
  readonly path: string
  readonly identity: FileIdentity.FileIdentity
  /** Runs before the file gets its name under a lock. */
  readonly settle: Effect.Effect<void, Errors.Reason>
  /** Nobody else writes the file that it becomes. */
  readonly isUnique: boolean
}

export interface Placement {
  /** Puts a complete file in its place; what is there then. */
  readonly place: (
    staged: Staged,
    file: string,
    mode: ObjectStore.PutMode
  ) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason>
}

export const isVersion = (identity: FileIdentity.FileIdentity, version: ObjectStore.Version): boolean =>
  version.etag !== undefined && Checksum.opaqueTag(version.etag) === FileIdentity.etag(identity)

/** What systems say of a rename to the name of a directory. */
const isTaken: ReadonlySet<string> = new Set(["EISDIR", "EEXIST", "ENOTEMPTY"])

/** The file cannot be moved there, because that is another file system. */
export const isElsewhere = (reason: Errors.Reason): boolean =>
  PlatformError.isPlatformError(reason.cause) && codeOf(reason.cause) === "EXDEV"

export const make = (options: {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  readonly root: string
  readonly lock: FileLock.FileLock
  readonly directories: Directories.Directories
  readonly stagedFiles: StagedFiles
  readonly locals: LocalDirectories
}): Placement => {
  const { directories, fs, locals, path, root, stagedFiles } = options
  const { withLock } = options.lock

  /** Where symbolic links lead, which may be to another machine. */
  const identityOf = (file: string): Effect.Effect<FileIdentity.FileIdentity, PlatformError.PlatformError> =>
    Effect.flatMap(NodeCalls, (calls) => {
      const identity = locals.of(path.dirname(file), calls)?.identityAt(file)
      return identity === undefined || identity.type === "SymbolicLink"
        ? FileIdentity.ofPath(file)
        : Effect.succeed(identity)
    })

  /** What is at a path now; `undefined` for nothing. */
  const current = (file: string): Effect.Effect<FileIdentity.FileIdentity | undefined, Errors.Reason> =>
    identityOf(file).pipe(
      Effect.catchIf(
        (error) => codeOf(error) === "ENOENT",
        () => Effect.undefined
      ),
      FileReader.asReason("write"),
      Effect.filterOrFail(
        (identity) => identity?.type !== "Directory",
        () => new Errors.Unsupported({ detail: "the key is a directory: there are objects below it" })
      )
    )

  /**
   * A step that gives a file its name. When it fails although it was done, as a network file system may say, it has
   * succeeded; when that cannot be told, the file is in doubt.
   */
  const named = (
    step: Effect.Effect<void, PlatformError.PlatformError>,
    file: string,
    identity: FileIdentity.FileIdentity
  ): Effect.Effect<void, PlatformError.PlatformError | Errors.Reason> =>
    step.pipe(
      Effect.catch((error) =>
        FileIdentity.ofPathNoFollow(file).pipe(
          Effect.map((found) => FileIdentity.equals(found, identity)),
          Effect.catch((unknown) => {
            const reason = FileReader.reasonOfWrite(error)
            return codeOf(unknown) === "ENOENT" || reason._tag !== "Unavailable"
              ? Effect.succeed(false)
              : Effect.fail(Directories.inDoubt(file, reason))
          }),
          Effect.flatMap((isDone) => (isDone ? Effect.void : Effect.fail(error)))
        )
      ),
      // Until the directory is flushed.
      Effect.onExit((exit) =>
        Exit.isSuccess(exit) || Exit.findErrorOption(exit).pipe(Option.exists(({ _tag }) => _tag === "Unavailable"))
          ? Effect.sync(() => directories.doubt(file))
          : Effect.void
      ),
      Effect.uninterruptible
    )

  const asWrite = Effect.mapError((error: PlatformError.PlatformError | Errors.Reason) =>
    error._tag === "PlatformError" ? FileReader.reasonOfWrite(error) : error
  )

  /**
   * Puts a complete file in the place of another one, under the lock. The times of one key's versions strictly
   * increase, so that no ETag comes back: inode numbers are used again, and a file system's clock may stand
   * still for milliseconds.
   */
  const replace = (
    held: FileLock.Held,
    temporary: string,
    staged: FileIdentity.FileIdentity,
    file: string,
    old: FileIdentity.FileIdentity | undefined
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> =>
    Effect.gen(function* () {
      let identity = staged
      // In steps, because there are file systems that keep whole milliseconds or seconds only.
      for (const step of [2, 2000, 2_000_000]) {
        if (old === undefined || FileIdentity.microseconds(identity) > FileIdentity.microseconds(old)) break
        const seconds = (Number(FileIdentity.microseconds(old)) + step) / 1e6
        yield* fs.utimes(temporary, seconds, seconds)
        identity = yield* FileIdentity.ofPath(temporary)
      }
      const inside = yield* held.stage(temporary)
      stagedFiles.moved(temporary)
      yield* named(fs.rename(inside, file), file, identity).pipe(
        Effect.mapError((error) => (error._tag === "PlatformError" && codeOf(error) === "ENOENT" ? held.lost() : error))
      )
      return identity
    }).pipe(asWrite)

  /** Gives a new file its name if nobody has it; `false` if somebody has. */
  const claim = (
    temporary: string,
    identity: FileIdentity.FileIdentity,
    file: string
  ): Effect.Effect<boolean, Errors.Reason> =>
    named(fs.link(temporary, file), file, identity).pipe(
      Effect.as(true),
      Effect.catchIf(
        (error) => error._tag === "PlatformError" && codeOf(error) === "EEXIST",
        () => Effect.succeed(false)
      ),
      asWrite
    )

  /** Gives a file a name that nobody else gives, in one step instead of two; `false` if there is a directory. */
  const move = (
    temporary: string,
    identity: FileIdentity.FileIdentity,
    file: string
  ): Effect.Effect<boolean, Errors.Reason> =>
    named(
      Effect.tap(
        fs.rename(temporary, file),
        Effect.sync(() => stagedFiles.moved(temporary))
      ),
      file,
      identity
    ).pipe(
      Effect.as(true),
      Effect.catchIf(
        (error) => error._tag === "PlatformError" && isTaken.has(codeOf(error) ?? ""),
        () => Effect.succeed(false)
      ),
      asWrite
    )

  /** Creation without hard links, which some file systems do not have: under the lock, by renaming. */
  const claimByName = (
    temporary: string,
    identity: FileIdentity.FileIdentity,
    file: string
  ): Effect.Effect<boolean, Errors.Reason> =>
    withLock(file)((held) =>
      Effect.flatMap(current(file), (old) =>
        old === undefined ? Effect.as(replace(held, temporary, identity, file, old), true) : Effect.succeed(false)
      )
    )

  /** Locks outside of the store's own directory are announced there. */
  const announced = (
    directory: string
  ): (<A>(effect: Effect.Effect<A, Errors.Reason>) => Effect.Effect<A, Errors.Reason>) =>
    directory === root ? (effect) => effect : stagedFiles.announced

  const place = (
    { identity, isUnique, path: temporary, settle }: Staged,
    file: string,
    mode: ObjectStore.PutMode
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> => {
    const locked = Effect.andThen(
      settle,
      withLock(file)((held) =>
        Effect.flatMap(current(file), (old) =>
          mode._tag !== "Update" ||
          (old !== undefined && mode.version.etag !== undefined && isVersion(old, mode.version))
            ? replace(held, temporary, identity, file, old)
            : Effect.fail(new Errors.PreconditionFailed({}))
        )
      ).pipe(announced(path.dirname(file)))
    )
    if (mode._tag === "Update") return locked
    // A new key needs no lock.
    const claimed = (isUnique && mode._tag === "Overwrite" ? move : claim)(temporary, identity, file).pipe(
      Effect.catchIf(
        (reason) => (reason._tag === "Unsupported" && !isElsewhere(reason)) || reason._tag === "PermissionDenied",
        () => Effect.andThen(settle, announced(path.dirname(file))(claimByName(temporary, identity, file)))
      )
    )
    return Effect.flatMap(claimed, (isNew) => {
      if (isNew) return Effect.succeed(identity)
      return mode._tag === "Overwrite"
        ? locked
        : Effect.flatMap(current(file), () => Effect.fail(new Errors.AlreadyExists({})))
    })
  }

  return { place }
}
