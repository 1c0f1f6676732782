/**
 * The directories of a store: made, and on the disk before anything is said to be in them.
 *
 * ## What is in doubt
 *
 * When the flush of a directory fails after a file got its name there, the file is to be seen and may yet be gone
 * after a loss of power. The write fails with an error that says so. Whoever then looks what became of it must not
 * take it for done: the file is in doubt, and a read of it flushes first and fails as long as that fails. A process
 * that ends in between has acknowledged nothing.
 */
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import { codeOf } from "../FileError.ts"
import * as FileIdentity from "../FileIdentity.ts"
import { isWithin } from "./Confinement.ts"
import { asReason, reasonOfWrite } from "./FileReader.ts"
import type { LocalDirectories } from "./LocalDirectories.ts"
import * as OpenFiles from "./OpenFiles.ts"

export interface Directories {
  /** Makes a directory of the store and those above it. A new one is there for good once the one above is flushed. */
  readonly settle: (directory: string) => Effect.Effect<void, Errors.Reason>
  /** Forgets that a directory is known to exist; whether it was. */
  readonly forget: (directory: string) => boolean
  /** Puts on the disk which files are in a directory. */
  readonly flush: (directory: string) => Effect.Effect<void, Errors.Reason>
  /** Remembers that what a path leads to may not be on the disk. */
  readonly doubt: (file: string) => void
  /** Forgets it: somebody else sees to it. */
  readonly undoubt: (file: string) => void
  /** Whether anything in a directory is in doubt. */
  readonly isInDoubt: (directory: string) => boolean
  /** Flushes what a path leads to if it is in doubt. */
  readonly settleDoubt: (file: string) => Effect.Effect<void, Errors.Reason>
}

/** By directory, of all stores of this process. */
const doubts = new Map<string, Set<string>>()

/** What a file system says that does not flush directories, as some network file systems do not. */
const unflushable: ReadonlySet<string> = new Set(["EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"])

/** The error of a write that is to be seen but may not be on the disk. */
export const inDoubt = (file: string, { cause, detail }: Errors.Reason): Errors.Reason =>
  new Errors.Unavailable({
    because: `\`${file}\` may or may not be on the disk: it was not possible to make sure of it; try again`,
    detail,
    cause
  })

export const make = (options: {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  readonly root: string
  /** Whether to flush at all. */
  readonly isFlushed: boolean
  readonly confine: (directory: string) => Effect.Effect<void, Errors.Reason>
  readonly locals: LocalDirectories
}): Directories => {
  const { confine, fs, isFlushed, locals, path, root } = options
  /** Those that are known to exist and to be on the disk, with all above them. */
  const settled = new Set<string>()
  /** Windows opens no directory, and needs no flush of it. */
  const isOpenable = path.sep !== "\\"

  const flush = (directory: string): Effect.Effect<void, Errors.Reason> =>
    Effect.suspend(() => {
      if (!isFlushed || !isOpenable) return Effect.void
      // What comes while this goes on is not settled by it.
      const before = [...(doubts.get(directory) ?? [])]
      return OpenFiles.open(fs, directory).pipe(
        Effect.flatMap(({ sync }) =>
          Effect.catchIf(
            sync,
            (error) => unflushable.has(codeOf(error) ?? ""),
            () => Effect.void
          )
        ),
        Effect.scoped,
        Effect.uninterruptible,
        Effect.andThen(Effect.sync(() => settleDoubts(directory, before))),
        asReason("write")
      )
    })

  const settleDoubts = (directory: string, files: ReadonlyArray<string>): void => {
    const left = doubts.get(directory)
    if (left === undefined) return
    for (const file of files) left.delete(file)
    if (left.size === 0) doubts.delete(directory)
  }

  /** Fails where a directory cannot be flushed because it cannot be opened, before anything is put there. */
  const ensureOpenable = (directory: string): Effect.Effect<void, Errors.Reason> =>
    isFlushed && isOpenable
      ? Effect.scoped(OpenFiles.open(fs, directory)).pipe(
          Effect.uninterruptible,
          Effect.asVoid,
          asReason("write"),
          Effect.mapError((reason) =>
            reason._tag === "PermissionDenied"
              ? new Errors.PermissionDenied({
                  detail: `\`${directory}\` must be readable, so that what is written there can be flushed`,
                  cause: reason.cause
                })
              : reason
          )
        )
      : Effect.void

  const isDirectory = (directory: string): Effect.Effect<boolean> =>
    FileIdentity.ofPath(directory).pipe(
      Effect.map(({ type }) => type === "Directory"),
      Effect.orElseSucceed(() => false)
    )

  /**
   * Makes one directory, unless it is there; whether it was made. Those above it are not left to Node, which tries
   * for ever where none can be made, as in `/proc`.
   */
  const makeDirectory = (directory: string): Effect.Effect<boolean, Errors.Reason> =>
    fs.makeDirectory(directory).pipe(
      Effect.as(true),
      Effect.uninterruptible,
      Effect.catch((error) =>
        Effect.flatMap(isDirectory(directory), (isThere) => (isThere ? Effect.succeed(false) : Effect.fail(error)))
      ),
      Effect.mapError((error) =>
        codeOf(error) === "EEXIST" || codeOf(error) === "ENOTDIR"
          ? new Errors.Unsupported({ detail: `a part of the key is an object already`, cause: error })
          : reasonOfWrite(error)
      )
    )

  const settle = (directory: string): Effect.Effect<void, Errors.Reason> =>
    Effect.suspend(() => {
      if (settled.has(directory)) {
        return Effect.catchIf(Effect.andThen(locals.learn(directory), confine(directory)), isMissing, () => {
          settled.delete(directory)
          return settle(directory)
        })
      }
      const above = path.dirname(directory)
      const isOurs = isWithin(path, root, directory)
      return Effect.gen(function* () {
        if (isOurs) yield* settle(above)
        const isNew = yield* makeDirectory(directory).pipe(
          // The one above it is missing, or somebody has removed it since.
          Effect.catchIf(
            (reason) => isMissing(reason) && above !== directory,
            () => {
              settled.delete(above)
              return Effect.andThen(settle(above), makeDirectory(directory))
            }
          )
        )
        if (isOurs || directory === root) {
          yield* confine(directory)
          yield* ensureOpenable(directory)
        }
        yield* flush(above).pipe(
          // The directory of the store was there, in one that only others may read.
          Effect.catchIf(
            (reason) => reason._tag === "PermissionDenied" && !isOurs && !isNew,
            () => Effect.void
          )
        )
        if (settled.size >= 10_000) settled.clear()
        settled.add(directory)
      })
    })

  return {
    settle,
    forget: (directory) => settled.delete(directory),
    flush,
    doubt: (file) => {
      if (!isFlushed || !isOpenable) return
      const directory = path.dirname(file)
      doubts.set(directory, (doubts.get(directory) ?? new Set()).add(file))
    },
    undoubt: (file) => settleDoubts(path.dirname(file), [file]),
    isInDoubt: (directory) => doubts.has(directory),
    settleDoubt: (file) => {
      if (doubts.size === 0) return Effect.void
      const directory = path.dirname(file)
      if (doubts.get(directory)?.has(file) !== true) return Effect.void
      return Effect.mapError(flush(directory), (reason) => inDoubt(file, reason))
    }
  }
}

/** The file system found no directory to write into. */
export const isMissing = (reason: Errors.Reason): boolean =>
  PlatformError.isPlatformError(reason.cause) && codeOf(reason.cause) === "ENOENT"
