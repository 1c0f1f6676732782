/**
 * Mutual exclusion between processes for one file, where Node has no `flock`.
 *
 * ## The protocol
 *
 * Beside the file `name` there is, while anyone wants its lock, a directory `.name.icechunk-lock` with one
 * symbolic link for each contender. A link's name is unique and never used by another process; its target is
 * no path but the text that says who the contender is. A link appears with its text or not at all, in one
 * system call, so it is never seen half written.
 *
 * 1. A contender makes its link, then lists the directory.
 * 2. It holds the lock when every other link in that listing belongs to a process that is dead.
 * 3. Otherwise it waits and tries again: in place when its link comes first by name, else after it has removed
 *    its link.
 * 4. The holder removes its link when it is done. Anyone removes links of the dead.
 *
 * ## Why it excludes
 *
 * Suppose that A and B hold the lock at once. Both links then existed from before their owner's listing until
 * now. Of the two listings, take the later one to begin: it began when both links existed, and a listing
 * contains every entry that exists from its beginning to its end (POSIX, `readdir`). So its owner saw the
 * other's link, whose process is alive, and did not take the lock: contradiction.
 *
 * - *Two that break one dead lock:* breaking is nothing but removing a link by its unique name; the second
 *   removal finds nothing. There is no moment at which a decision about one lock is applied to another one
 *   (ABA), for a name never comes back: its owner is dead, and nobody else makes it.
 * - *A paused process that wakes up:* nothing ever expires. A live process keeps its lock however long it
 *   sleeps, and others give up waiting with an error; a dead process does not wake up.
 * - *A process killed at any point:* it leaves at most an empty directory or a link that says it is dead.
 * - *The directory is removed when empty:* by `rmdir`, which fails while it has a link. So as long as a
 *   contender's link exists, the path leads all others to the same directory. Who finds the directory gone
 *   when it makes its link makes the directory again.
 * - *Process ids that are used again, zombies, containers, restarts:* see `LockOwner`. What cannot be known
 *   counts as alive.
 *
 * ## Why it moves on
 *
 * Of the contenders in the directory, the one whose link comes first by name stays, and the others go out
 * until they see it empty. Names begin with the time at which the waiting began, so who has waited longest
 * stays. Clocks matter for that fairness only.
 *
 * Within a process, waiting is done at a semaphore first.
 *
 * ## Limits
 *
 * The file system must be one whose directories look the same to all processes at once: a local one. On a
 * network file system with cached listings processes of *different* machines may both take the lock. Programs
 * that do not know this protocol, Icechunk on Python among them, do not respect it.
 */
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"
import { randomBytes } from "node:crypto"
import * as NodeFs from "node:fs"
import { codeOf, reasonOf } from "../FileError.ts"
import { lockName } from "./FileKey.ts"
import * as LockOwner from "./LockOwner.ts"

export interface FileLock {
  /**
   * Runs an effect while no other process runs one for the same file. The directory of the file must exist.
   * Waiting can be interrupted, the effect can not: what it has begun, such as a rename, must not happen after
   * the lock is released.
   */
  readonly withLock: (file: string) => <A>(effect: Effect.Effect<A, Errors.Reason>) => Effect.Effect<A, Errors.Reason>
}

export const make = (options: {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  /** This process. */
  readonly here: LockOwner.LockOwner
  /** How long to wait for other processes. */
  readonly timeout: Duration.Input
}): FileLock => {
  const { fs, here, path } = options
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
  const turns = makeTurns()
  const text = LockOwner.encode(here)

  const enter = (directory: string, link: string): Effect.Effect<void, PlatformError.PlatformError> =>
    fs.makeDirectory(directory).pipe(
      Effect.catchIf(
        (error) => codeOf(error) === "EEXIST",
        () => Effect.void
      ),
      Effect.andThen(fs.symlink(text, link)),
      // The last one to leave has removed the directory in between.
      Effect.retry({ while: (error) => codeOf(error) === "ENOENT", times: 100 }),
      Effect.uninterruptible
    )

  const leave = (directory: string, link: string): Effect.Effect<void> =>
    fs.remove(link, { force: true }).pipe(
      Effect.catch((error) => Effect.logWarning(`The lock \`${link}\` could not be removed: ${error.message}`)),
      Effect.andThen(removeEmpty(directory)),
      Effect.uninterruptible
    )

  /** The other contenders that may be alive. */
  const others = (
    directory: string,
    own: string
  ): Effect.Effect<ReadonlyArray<Contender>, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      const alive: Array<Contender> = []
      const names = yield* fs.readDirectory(directory).pipe(
        Effect.catchIf(
          (error) => codeOf(error) === "ENOENT",
          () => Effect.succeed([])
        )
      )
      for (const name of names) {
        if (name === own) continue
        const link = path.join(directory, name)
        const text = yield* fs.readLink(link).pipe(
          Effect.catchIf(
            (error) => codeOf(error) === "ENOENT" || codeOf(error) === "EINVAL",
            (error) => Effect.succeed(codeOf(error) === "ENOENT" ? undefined : "not a link")
          )
        )
        if (text === undefined) continue
        const owner = LockOwner.decode(text)
        if (owner !== undefined && (yield* LockOwner.isDead(fs, here, owner))) {
          yield* Effect.uninterruptible(fs.remove(link, { force: true }))
        } else {
          alive.push({ name, link, owner })
        }
      }
      return alive
    })

  const acquire = (file: string, directory: string, name: string, since: number): Effect.Effect<void, Errors.Reason> =>
    Effect.gen(function* () {
      const link = path.join(directory, name)
      let inside = false
      for (let delay = 1; ; delay = Math.min(delay * 2, 20)) {
        // Who was sent out looks before it comes in again.
        let alive = inside || delay === 1 ? [] : yield* others(directory, name)
        if (alive.length === 0) {
          if (!inside) yield* enter(directory, link)
          inside = true
          alive = yield* others(directory, name)
          if (alive.length === 0) return
          if (alive.some((other) => other.name < name)) {
            yield* leave(directory, link)
            inside = false
          }
        }
        if ((yield* Clock.currentTimeMillis) - since >= timeout) {
          return yield* new Errors.Unavailable({ detail: stuck(file, alive[0]!, timeout) })
        }
        yield* Effect.sleep(delay * (0.5 + (yield* Random.next)))
      }
    }).pipe(Effect.mapError((error) => (error._tag === "PlatformError" ? reasonOf("write", error) : error)))

  return {
    withLock: (file) => (effect) => {
      const directory = path.join(path.dirname(file), lockName(path.basename(file)))
      return turns(directory)(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            const since = yield* Clock.currentTimeMillis
            const name = `${since.toString(36).padStart(11, "0")}-${randomBytes(8).toString("hex")}`
            const link = path.join(directory, name)
            yield* restore(acquire(file, directory, name, since)).pipe(
              Effect.onExit((exit) => (Exit.isFailure(exit) ? leave(directory, link) : Effect.void))
            )
            return yield* Effect.ensuring(effect, leave(directory, link))
          })
        )
      )
    }
  }
}

interface Contender {
  readonly name: string
  readonly link: string
  readonly owner: LockOwner.LockOwner | undefined
}

const stuck = (file: string, { link, owner }: Contender, timeout: number): string => {
  const who = owner === undefined ? "a program unknown to this one" : `process ${owner.pid} on host \`${owner.host}\``
  return `\`${file}\` has been locked by ${who} for more than ${timeout / 1000} s; if that no longer runs, remove \`${link}\``
}

/** Removes a directory that is empty and leaves another one; Effect's FileSystem has no `rmdir`. */
const removeEmpty = (directory: string): Effect.Effect<void> =>
  Effect.callback((resume) => NodeFs.rmdir(directory, () => resume(Effect.void)))

/** One permit for each key that is in use. */
const makeTurns = (): ((key: string) => <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) => {
  const inUse = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  return (key) => (effect) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const turn = inUse.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
        turn.users++
        inUse.set(key, turn)
        return turn
      }),
      ({ semaphore }) => semaphore.withPermit(effect),
      (turn) =>
        Effect.sync(() => {
          if (--turn.users === 0) inUse.delete(key)
        })
    )
}
