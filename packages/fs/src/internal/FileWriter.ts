/**
 * Writes whole objects: a temporary file is filled and flushed, takes its place in one step, and its directory is
 * flushed.
 */
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as FileIdentity from "../FileIdentity.ts"
import type { Confinement } from "./Confinement.ts"
import * as Directories from "./Directories.ts"
import * as FileReader from "./FileReader.ts"
import * as OpenFiles from "./OpenFiles.ts"
import { isElsewhere, isVersion, type Placement } from "./Placement.ts"
import type { StagedFiles } from "./StagedFiles.ts"

export interface FileWriter {
  /** Makes a file of bytes. */
  readonly write: (
    file: string,
    mode: ObjectStore.PutMode,
    bytes: Uint8Array
  ) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason>
  /** Makes a file of another one, with `ifMatch` of this version only. */
  readonly copy: (
    from: string,
    file: string,
    mode: ObjectStore.PutMode,
    ifMatch: ObjectStore.Version | undefined
  ) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason>
}

/** Between two writes there may be an interruption. */
const largestWrite = 8 * 1024 * 1024

export const make = (options: {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  readonly root: string
  readonly isFlushed: boolean
  readonly confinement: Confinement
  readonly directories: Directories.Directories
  readonly placement: Placement
  readonly stagedFiles: StagedFiles
}): FileWriter => {
  const { directories, fs, isFlushed, path, root, stagedFiles } = options
  const { confine, find } = options.confinement
  const { place } = options.placement
  /** Directories that files of the store's own cannot be moved to, for they are on another file system. */
  const elsewhere = new Set<string>()

  /** Writes and flushes a new file. */
  const fill = (temporary: string, bytes: Uint8Array): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> =>
    Effect.gen(function* () {
      const handle = yield* OpenFiles.open(fs, temporary, { flag: "wx" })
      for (let at = 0; at < bytes.length; at += largestWrite) {
        // An abandoned write would go on in the background, on a descriptor that may be another file by then.
        yield* Effect.uninterruptible(handle.writeAll(bytes.subarray(at, at + largestWrite)))
      }
      if (isFlushed) yield* Effect.uninterruptible(handle.sync)
      return yield* FileIdentity.ofHandle(handle)
    }).pipe(Effect.scoped, FileReader.asReason("write"))

  const copyFile = (
    from: string,
    temporary: string,
    ifMatch: ObjectStore.Version | undefined
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> =>
    Effect.gen(function* () {
      for (let attempt = 0; attempt < 10; attempt++) {
        const { identity: before } = yield* find(from)
        yield* confine(path.dirname(from))
        if (ifMatch !== undefined && !isVersion(before, ifMatch)) return yield* new Errors.PreconditionFailed({})
        yield* FileReader.asReason("write")(Effect.uninterruptible(fs.copyFile(from, temporary)))
        const after = (yield* find(from)).identity
        if (!FileIdentity.equals(before, after)) continue
        return yield* OpenFiles.open(fs, temporary).pipe(
          Effect.tap((handle) => (isFlushed ? Effect.uninterruptible(handle.sync) : Effect.void)),
          Effect.flatMap(FileIdentity.ofHandle),
          Effect.scoped,
          FileReader.asReason("write")
        )
      }
      return yield* new Errors.Unavailable({ detail: "the file was changed again and again while it was copied" })
    })

  /** Writes a temporary file with `write`, and puts it in its place. */
  const writeTo = (
    file: string,
    mode: ObjectStore.PutMode,
    write: (temporary: string) => Effect.Effect<FileIdentity.FileIdentity, Errors.Reason>
  ): Effect.Effect<FileIdentity.FileIdentity, Errors.Reason> => {
    const directory = path.dirname(file)
    const attempt = Effect.suspend(() =>
      Effect.gen(function* () {
        yield* directories.settle(directory)
        yield* stagedFiles.sweep
        const temporary = yield* stagedFiles.stage(elsewhere.has(directory) ? directory : root)
        const identity = yield* write(temporary)
        const placed = yield* place(temporary, identity, file, mode)
        // It is to be seen, so this is not a failure to write it.
        yield* directories.flush(directory).pipe(
          Effect.mapError((reason) => {
            directories.doubt(file)
            return Directories.inDoubt(file, reason)
          })
        )
        return placed
      }).pipe(Effect.scoped)
    )
    return attempt.pipe(
      // Somebody has removed a directory that was known to exist.
      Effect.catchIf(
        (reason) =>
          Directories.isMissing(reason) && [directories.forget(directory), directories.forget(root)].includes(true),
        () => attempt
      ),
      Effect.catchIf(
        (reason) => isElsewhere(reason) && !elsewhere.has(directory),
        () => {
          elsewhere.add(directory)
          return Effect.andThen(stagedFiles.sweepDirectory(directory), attempt)
        }
      )
    )
  }

  return {
    write: (file, mode, bytes) => writeTo(file, mode, (temporary) => fill(temporary, bytes)),
    copy: (from, file, mode, ifMatch) => writeTo(file, mode, (temporary) => copyFile(from, temporary, ifMatch))
  }
}
