/**
 * Removes objects, each under its lock.
 */
import type * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as Path from "effect/Path"
import * as FileIdentity from "../FileIdentity.ts"
import type { Confinement } from "./Confinement.ts"
import * as Directories from "./Directories.ts"
import type * as FileLock from "./FileLock.ts"
import * as FileReader from "./FileReader.ts"
import type { StagedFiles } from "./StagedFiles.ts"

export interface FileRemoval {
  /** Removes files; a missing one counts as removed. Fails with the first that could not be removed, and why. */
  readonly remove: (files: ReadonlyArray<string>) => Effect.Effect<void, Failure>
}

interface Failure {
  /** Position of the file. */
  readonly at: number
  readonly reason: Errors.Reason
}

export const make = (options: {
  readonly path: Path.Path
  readonly root: string
  readonly lock: FileLock.FileLock
  readonly confine: Confinement["confine"]
  readonly directories: Directories.Directories
  readonly stagedFiles: StagedFiles
}): FileRemoval => {
  const { confine, directories, path, root, stagedFiles } = options
  const { withLock } = options.lock

  const removeFile = (file: string): Effect.Effect<boolean, Errors.Reason> =>
    FileIdentity.ofPathNoFollow(file).pipe(
      FileReader.asReason("read"),
      Effect.tap(() => confine(path.dirname(file))),
      Effect.flatMap((identity) =>
        identity.type === "Directory"
          ? Effect.succeed(false)
          : withLock(file)((held) =>
              FileIdentity.ofPathNoFollow(file).pipe(
                Effect.andThen(held.remove(file)),
                Effect.as(true),
                FileReader.asReason("read"),
                Effect.catchIf(
                  (reason) => reason._tag === "NotFound",
                  (reason) =>
                    FileIdentity.ofPathNoFollow(file).pipe(
                      Effect.matchEffect({
                        onFailure: () => Effect.fail<Errors.Reason>(reason),
                        onSuccess: () => Effect.fail(held.lost())
                      })
                    )
                )
              )
            )
      ),
      Effect.catchIf(
        (reason) => reason._tag === "NotFound",
        () => Effect.succeed(false)
      )
    )

  const removeAll = Effect.fnUntraced(function* (files: ReadonlyArray<string>): Effect.fn.Return<void, Failure> {
    const changed = new Set<string>()
    yield* Effect.forEach(
      files,
      (file, at) =>
        removeFile(file).pipe(
          Effect.map((removed) => {
            const directory = path.dirname(file)
            if (removed) directories.doubt(file)
            if (removed || directories.isInDoubt(directory)) changed.add(directory)
          }),
          Effect.mapError((reason) => ({ at, reason }))
        ),
      { concurrency: 8, discard: true }
    )
    yield* Effect.forEach(changed, directories.flush, { discard: true }).pipe(
      Effect.mapError((reason) => ({ at: 0, reason: Directories.inDoubt(files[0]!, reason) }))
    )
  })

  return {
    remove: (files) =>
      files.every((file) => path.dirname(file) === root) ? removeAll(files) : stagedFiles.announced(removeAll(files))
  }
}
