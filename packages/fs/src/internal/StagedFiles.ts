/**
 * Files that are being written, and what killed writers have left of them.
 *
 * They are in the store's own directory, which is small, and their names say who writes them: so a later writer
 * finds what was left by listing one directory, once, and needs no list of a million chunks. A writer of another
 * directory on the way to it leaves such a file too for the time that it holds a lock there. What is left by a
 * process that can be seen to have ended is removed at once, of any other after a day in which nothing was written
 * to it. Should its writer live, its next step finds nothing and fails, and nothing is lost but that write.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import * as FileIdentity from "../FileIdentity.ts"
import type * as FileLock from "./FileLock.ts"
import * as FileKey from "./FileKey.ts"
import * as LockOwner from "./LockOwner.ts"
import { NodeCalls } from "./NodeCalls.ts"
import * as OpenFiles from "./OpenFiles.ts"

export interface StagedFiles {
  /** A path for a new file in a directory. The file is removed with the Scope, unless it is no longer there. */
  readonly stage: (directory: string) => Effect.Effect<string, never, Scope.Scope>
  /** A staged file has got another name instead of its own: it need not be removed. */
  readonly moved: (file: string) => void
  /** Leaves word, for as long as an effect runs, that there may be locks anywhere in the store. */
  readonly announced: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Removes what killed writers have left in the store, the first time. */
  readonly sweep: Effect.Effect<void>
  /** Removes what killed writers have left in one directory. */
  readonly sweepDirectory: (directory: string) => Effect.Effect<unknown>
  /** Removes what killed writers have left anywhere in the store, whether one is known to have died or not. */
  readonly sweepAll: Effect.Effect<Swept>
}

/** Files that were removed, and their bytes. */
interface Swept {
  readonly files: number
  readonly bytes: number
}

/** Milliseconds. */
const day = 24 * 60 * 60 * 1000

/** The names that are in use in this process. */
const inUse = new Set<string>()

export const make = (options: {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  readonly root: string
  readonly here: LockOwner.LockOwner
  readonly lock: FileLock.FileLock
}): StagedFiles => {
  const { fs, here, lock, path, root } = options
  const owner = LockOwner.encode(here)
  let isSwept = false

  const stage = (directory: string): Effect.Effect<string, never, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const name = FileKey.stagedName(`${randomBytes(6).toString("hex")}+${owner}`)
          inUse.add(name)
          return name
        }),
        (name) =>
          Effect.suspend(() =>
            inUse.has(name)
              ? Effect.ensuring(
                  Effect.ignore(
                    Effect.flatMap(NodeCalls, ({ unlink }) =>
                      Effect.uninterruptible(unlink(path.join(directory, name)))
                    )
                  ),
                  Effect.sync(() => inUse.delete(name))
                )
              : Effect.void
          )
      ),
      (name) => path.join(directory, name)
    )

  /** Whether the writer is dead, as far as can be seen. */
  const isDead = (name: string): Effect.Effect<boolean> => {
    const owner = LockOwner.decode(FileKey.stagedNonce(name).replace(/^[^+]*\+/, ""))
    if (owner === undefined) return Effect.succeed(false)
    return LockOwner.equals(owner, here) ? Effect.succeed(!inUse.has(name)) : LockOwner.isDead(fs, here, owner)
  }

  /** Removes a staged file that was left; whether its writer died. */
  const sweepFile = (
    directory: string,
    name: string,
    swept?: (size: number) => void
  ): Effect.Effect<boolean, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      const file = path.join(directory, name)
      const died = yield* isDead(name)
      if (!died && inUse.has(name)) return false
      const { modified, size, type } = yield* FileIdentity.ofPathNoFollow(file)
      const age = (yield* Clock.currentTimeMillis) - FileIdentity.milliseconds({ modified })
      if (type !== "File" || !(died || age > day)) return false
      yield* fs.remove(file, { force: true })
      swept?.(size)
      return died
    })

  /** Whether the process of anything that was left is known to have died. */
  const sweepNames = (
    directory: string,
    names: ReadonlyArray<string>,
    swept?: (size: number) => void
  ): Effect.Effect<boolean> =>
    Effect.map(
      Effect.forEach(names, (name) => {
        if (FileKey.isStaged(name)) return Effect.orElseSucceed(sweepFile(directory, name, swept), () => false)
        if (!FileKey.isLock(name)) return Effect.succeed(false)
        return Effect.as(Effect.ignore(lock.tidy(path.join(directory, name))), false)
      }),
      (died) => died.includes(true)
    )

  const sweepDirectory = (directory: string): Effect.Effect<boolean> =>
    Effect.flatMap(
      Effect.orElseSucceed(fs.readDirectory(directory), () => []),
      (names) => sweepNames(directory, names)
    )

  /** All directories below, which are looked through only after a writer has died. */
  const sweepBelow = (directory: string, swept?: (size: number) => void): Effect.Effect<void> =>
    Effect.gen(function* () {
      const entries = yield* Effect.orElseSucceed(fs.readDirectoryEntries(directory), () => [])
      for (const { name, type } of entries) {
        if (type !== "Directory" || FileKey.isLock(name)) continue
        yield* sweepBelow(path.join(directory, name), swept)
      }
      if (directory === root) return
      yield* sweepNames(
        directory,
        entries.map(({ name }) => name),
        swept
      )
    })

  return {
    stage,
    moved: (file) => void inUse.delete(path.basename(file)),
    announced: (effect) =>
      Effect.gen(function* () {
        const file = yield* stage(root)
        // Only what is left after a kill depends on it.
        yield* Effect.ignore(Effect.scoped(OpenFiles.open(fs, file, { flag: "wx" })))
        return yield* effect
      }).pipe(Effect.scoped),
    sweep: Effect.suspend(() => {
      if (isSwept) return Effect.void
      isSwept = true
      return Effect.flatMap(sweepDirectory(root), (died) => (died ? sweepBelow(root) : Effect.void))
    }),
    sweepDirectory,
    sweepAll: Effect.suspend(() => {
      let files = 0
      let bytes = 0
      const swept = (size: number): void => {
        files++
        bytes += size
      }
      return Effect.orElseSucceed(fs.readDirectory(root), () => []).pipe(
        Effect.flatMap((names) => sweepNames(root, names, swept)),
        Effect.andThen(sweepBelow(root, swept)),
        Effect.map(() => ({ files, bytes }))
      )
    })
  }
}
