/**
 * Mutual exclusion between processes for one file, where Node has no `flock`.
 *
 * ## The protocol
 *
 * Beside the file `name` there is, while anyone wants its lock, a directory `.name.icechunk-lock` with one
 * directory for each contender, its entry. An entry's name is unique, never used again, and says who the contender
 * is; so an entry appears with all that is to be known of it or not at all, in one system call that every file
 * system has (no links, no file that is half written).
 *
 * 1. A contender makes its entry, then lists the directory.
 * 2. It holds the lock when its own entry is in that listing and no other one of a contender that may live.
 * 3. Otherwise it waits and tries again: in place when its entry comes first by name, else after it has removed
 *    its entry.
 * 4. While its entry is there, a contender touches it again and again: its heartbeat.
 * 5. What the holder does to the file is a rename out of its entry (a write) or into it (a removal).
 * 6. The holder removes its entry when it is done. Anyone removes entries of the dead: first what is in them, then
 *    the entry itself.
 *
 * Dead is a contender whose process can be seen to have ended (see `LockOwner`), at once; one of this very process
 * that is known to be finished with, which is an entry whose removal failed; and any other whose heartbeat has not
 * changed for the limit, as measured on the clock of who waits. The clocks of two machines are never compared.
 *
 * ## Why it excludes
 *
 * Suppose that A and B hold the lock at once, and that the entries of both are there. Both existed from before
 * their owner's listing until now. Of the two listings, take the later one to begin: it began when both entries
 * existed, and a listing contains every entry that exists from its beginning to its end (POSIX, `readdir`). So its
 * owner saw the other's entry, and did not take the lock: contradiction.
 *
 * So if both believe that they hold it, the entry of one, say A, was removed: A was paused, or cut off, for so long
 * that it was taken for dead. Then A's next rename out of its entry or into it finds no such directory and fails:
 * the file system itself refuses what comes too late, however long A slept and wherever between two instructions
 * it did, because a check before the rename could itself be followed by a pause. A fails with an error that says so,
 * and nothing of it was written. Before the entry is removed A's rename may still come through; who removes it
 * looks at the file after that, and sees what A wrote. No window is left on a file system whose renames are atomic.
 *
 * - *Two that break one dead lock:* breaking is removing things by unique names; the second removal finds nothing.
 *   There is no moment at which a decision about one lock is applied to another one (ABA), because a name never comes
 *   back.
 * - *A process killed at any point:* it leaves at most an empty directory or an entry, which the next one passes.
 * - *The directory is removed when empty:* by `rmdir`, which fails while it has an entry. So as long as a
 *   contender's entry exists, the path leads all others to the same directory. Who finds the directory gone when it
 *   makes its entry makes the directory again.
 *
 * ## Why it moves on
 *
 * Of the contenders in the directory, the one whose entry comes first by name stays, and the others go out until
 * they see it empty. Names begin with the time at which the waiting began, so who has waited longest stays. Clocks
 * matter for that fairness only. Who is not let in for as long as the timeout gives up, with an error that is not
 * worth a retry. What was seen of heartbeats is remembered, so that a limit longer than the timeout ends too.
 *
 * Within a process, waiting is done at a semaphore first.
 *
 * ## Limits
 *
 * The file system must be one whose directories look the same to all processes at once. On a network file system
 * with cached listings processes of *different* machines may both take the lock. Programs that do not know this
 * protocol, Icechunk on Python among them, do not respect it.
 */
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import { randomBytes } from "node:crypto"
import { codeOf, reasonOf } from "../FileError.ts"
import * as FileIdentity from "../FileIdentity.ts"
import { lockName } from "./FileKey.ts"
import * as LockOwner from "./LockOwner.ts"
import { NodeCalls } from "./NodeCalls.ts"

export interface FileLock {
  /**
   * Runs an effect while no other process runs one for the same file. The directory of the file must exist.
   * Waiting can be interrupted, the effect can not: what it has begun, such as a rename, must not happen after
   * the lock is released.
   */
  readonly withLock: (
    file: string
  ) => <A>(use: (held: Held) => Effect.Effect<A, Errors.Reason>) => Effect.Effect<A, Errors.Reason>
  /** Removes what dead contenders have left in a lock's directory, and the directory when it is empty. */
  readonly tidy: (directory: string) => Effect.Effect<void, PlatformError.PlatformError>
}

/** A lock that is held, and the two ways to change its file. */
export interface Held {
  /** Moves a file in, to be put in the place of the locked one; its path meanwhile. */
  readonly stage: (from: string) => Effect.Effect<string, Errors.Reason>
  /** Moves the locked file out of its place, for good. */
  readonly remove: (file: string) => Effect.Effect<void, PlatformError.PlatformError>
  /** The error when the lock turns out to have been lost. */
  readonly lost: () => Errors.Reason
}

export interface Options {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
  /** This process. */
  readonly here: LockOwner.LockOwner
  /** How long to wait for other processes. */
  readonly timeout: Duration.Input
  /** How long the heartbeat of a process that cannot be seen may pause. */
  readonly heartbeatLimit: Duration.Input
}

/** The entries of this process that are in use; another one that says to be of this process was left behind. */
const inUse = new Set<string>()

/** What is in an entry: a file on its way to its place, or on its way out. */
const contents = ["new", "old"] as const

export const make = (options: Options): FileLock => {
  const { fs, here, path } = options
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
  const limit = Duration.toMillis(Duration.fromInputUnsafe(options.heartbeatLimit))
  const turns = makeTurns()
  const owner = LockOwner.encode(here)
  const sights: Sights = new Map()

  const rmdir = (directory: string): Effect.Effect<void, PlatformError.PlatformError> =>
    Effect.flatMap(NodeCalls, (calls) => Effect.uninterruptible(calls.rmdir(directory)))

  /** Fails when the directory is a link: what is in it is removed, so it must not lead anywhere. */
  const ensureDirectory = (directory: string): Effect.Effect<void, PlatformError.PlatformError | Errors.Reason> =>
    Effect.flatMap(FileIdentity.ofPathNoFollow(directory), ({ type }) =>
      type === "Directory"
        ? Effect.void
        : Effect.fail(new Errors.PermissionDenied({ detail: `\`${directory}\` is not a directory; remove it` }))
    )

  const enter = (directory: string, name: string): Effect.Effect<void, PlatformError.PlatformError | Errors.Reason> =>
    fs.makeDirectory(directory).pipe(
      Effect.catchIf(
        (error) => codeOf(error) === "EEXIST",
        () => ensureDirectory(directory)
      ),
      Effect.andThen(fs.makeDirectory(path.join(directory, name))),
      // The last one to leave has removed the directory in between.
      Effect.retry({ while: (error) => error._tag === "PlatformError" && codeOf(error) === "ENOENT", times: 100 }),
      Effect.uninterruptible
    )

  /** Removes an entry with what is in it, after which its owner can do no more. */
  const breakUp = (entry: string): Effect.Effect<void, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      const { type } = yield* FileIdentity.ofPathNoFollow(entry)
      if (type !== "Directory") return yield* fs.remove(entry, { force: true })
      for (const name of contents) yield* fs.remove(path.join(entry, name), { force: true })
      yield* rmdir(entry)
    }).pipe(
      // Its owner has moved a file in at the last moment.
      Effect.retry({ while: isNotEmpty, times: 3 }),
      Effect.catchIf(isGone, () => Effect.void),
      Effect.uninterruptible
    )

  const leave = (directory: string, name: string): Effect.Effect<void> => {
    const entry = path.join(directory, name)
    return rmdir(entry).pipe(
      Effect.catchIf(isNotEmpty, () => breakUp(entry)),
      Effect.catchIf(isGone, () => Effect.void),
      Effect.catch((error) =>
        Effect.logWarning(
          `The lock \`${entry}\` could not be removed and is passed by when it is met: ${error.message}`
        )
      ),
      Effect.andThen(Effect.ignore(rmdir(directory))),
      Effect.ensuring(Effect.sync(() => inUse.delete(name))),
      Effect.uninterruptible
    )
  }

  const isDead = (name: string, owner: LockOwner.LockOwner | undefined): Effect.Effect<boolean> => {
    if (owner === undefined) return Effect.succeed(false)
    return LockOwner.equals(owner, here) ? Effect.succeed(!inUse.has(name)) : LockOwner.isDead(fs, here, owner)
  }

  /** Whether the entry has not changed for the limit. */
  const isSilent = (
    entry: string,
    before: Sight | undefined,
    seen: Map<string, Sight>
  ): Effect.Effect<boolean, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      const { inode, modified, size } = yield* FileIdentity.ofPathNoFollow(entry)
      const heartbeat = `${inode}-${modified}-${size}`
      const now = yield* millis
      const sight = before?.heartbeat === heartbeat ? before : { heartbeat, since: now }
      seen.set(path.basename(entry), sight)
      return now - sight.since >= limit
    })

  /** Who is in the directory and may live; who is dead is removed. */
  const look = (directory: string, own?: string): Effect.Effect<View, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      const names = yield* Effect.catchIf(fs.readDirectory(directory), isGone, () => Effect.succeed<Array<string>>([]))
      const before = sights.get(directory)
      const seen = new Map<string, Sight>()
      const others: Array<Contender> = []
      for (const name of names) {
        if (name === own) continue
        const entry = path.join(directory, name)
        const owner = ownerOf(name)
        const isOver = yield* Effect.flatMap(isDead(name, owner), (dead) =>
          dead
            ? Effect.succeed(true)
            : // It has left since.
              Effect.catchIf(isSilent(entry, before?.get(name), seen), isGone, () => Effect.undefined)
        )
        if (isOver === undefined) continue
        const isBroken =
          isOver && (yield* Effect.match(breakUp(entry), { onFailure: () => false, onSuccess: () => true }))
        if (!isBroken) others.push({ name, entry, owner })
      }
      if (seen.size === 0) sights.delete(directory)
      else sights.set(directory, seen)
      return { isInside: own !== undefined && names.includes(own), others }
    })

  const beat = (entry: string): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.ignore(Effect.uninterruptible(fs.utimes(entry, now / 1000, now / 1000)))
    )

  /** Keeps the heart beating while the lock is held. */
  const beating =
    (entry: string) =>
    <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.acquireUseRelease(
        Effect.forkChild(Effect.interruptible(Effect.forever(Effect.andThen(Effect.sleep(limit / 5), beat(entry))))),
        () => effect,
        Fiber.interrupt
      )

  /** Gets the lock; `place` has the name of the entry whenever there is one, so that it is left in any case. */
  const acquire = (
    file: string,
    directory: string,
    since: { readonly time: number; readonly start: number },
    place: { name: string | undefined }
  ): Effect.Effect<string, Errors.Reason> =>
    Effect.gen(function* () {
      const first = since.time.toString(36).padStart(11, "0")
      let beaten = since.start
      for (let delay = 1; ; delay = Math.min(delay * 2, 20)) {
        // Who was sent out looks before it comes in again.
        let others = place.name !== undefined || delay === 1 ? [] : (yield* look(directory)).others
        if (others.length === 0) {
          if (place.name === undefined) {
            const name = `${first}-${randomBytes(6).toString("hex")}+${owner}`
            inUse.add(name)
            place.name = name
            yield* enter(directory, name)
            beaten = yield* millis
          }
          const { name } = place
          const view = yield* look(directory, name)
          others = view.others
          if (view.isInside && others.length === 0) return name
          if (!view.isInside || others.some((other) => other.name < name)) {
            yield* leave(directory, name)
            place.name = undefined
          }
        }
        const now = yield* millis
        if (now - since.start >= timeout && others[0] !== undefined) {
          return yield* new Errors.Unavailable({ because: stuck(file, others[0], { timeout, limit }), isLasting: true })
        }
        if (place.name !== undefined && now - beaten >= limit / 5) {
          yield* beat(path.join(directory, place.name))
          beaten = now
        }
        yield* Effect.sleep(Math.min(delay, limit / 5) * (0.5 + Math.random()))
      }
    }).pipe(Effect.mapError((error) => (error._tag === "PlatformError" ? reasonOf("write", error) : error)))

  const lost = (file: string): Errors.Reason =>
    new Errors.Unavailable({
      because: `this process was paused or cut off for more than ${limit / 1000} s while it held the lock of \`${file}\`, and another one took over; nothing was written, try again`
    })

  const held = (file: string, entry: string): Held => {
    return {
      lost: () => lost(file),
      stage: (from) => {
        const staged = path.join(entry, "new")
        return fs.rename(from, staged).pipe(
          Effect.as(staged),
          Effect.mapError((error) => (codeOf(error) === "ENOENT" ? lost(file) : reasonOf("write", error))),
          Effect.uninterruptible
        )
      },
      remove: (file) => {
        const removed = path.join(entry, "old")
        return Effect.uninterruptible(
          Effect.andThen(fs.rename(file, removed), Effect.ignore(fs.remove(removed, { force: true })))
        )
      }
    }
  }

  return {
    withLock: (file) => (use) => {
      const directory = path.join(path.dirname(file), lockName(path.basename(file)))
      return Effect.gen(function* () {
        const since = { time: yield* Clock.currentTimeMillis, start: yield* millis }
        return yield* turns(directory)(
          Effect.uninterruptibleMask((restore) =>
            Effect.suspend(() => {
              const place: { name: string | undefined } = { name: undefined }
              const left = Effect.suspend(() => (place.name === undefined ? Effect.void : leave(directory, place.name)))
              return restore(acquire(file, directory, since, place)).pipe(
                Effect.onExit((exit) => (Exit.isFailure(exit) ? left : Effect.void)),
                Effect.flatMap((name) => {
                  const entry = path.join(directory, name)
                  return Effect.ensuring(beating(entry)(use(held(file, entry))), left)
                })
              )
            })
          )
        )
      })
    },
    tidy: (directory) =>
      Effect.andThen(
        Effect.flatMap(FileIdentity.ofPathNoFollow(directory), ({ type }) =>
          type === "Directory" ? look(directory) : Effect.void
        ),
        Effect.ignore(rmdir(directory))
      )
  }
}

interface Contender {
  readonly name: string
  readonly entry: string
  readonly owner: LockOwner.LockOwner | undefined
}

interface View {
  /** Whether the own entry is there. */
  readonly isInside: boolean
  readonly others: ReadonlyArray<Contender>
}

/** A heartbeat, and since when it is known, in milliseconds. */
interface Sight {
  readonly heartbeat: string
  readonly since: number
}

/** By directory and name of the entry. */
type Sights = Map<string, ReadonlyMap<string, Sight>>

const ownerOf = (name: string): LockOwner.LockOwner | undefined => LockOwner.decode(name.slice(name.indexOf("+") + 1))

const millis: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const isGone = (error: PlatformError.PlatformError): boolean => codeOf(error) === "ENOENT"

/** Some systems say that a directory which is not empty exists. */
const isNotEmpty = (error: PlatformError.PlatformError): boolean =>
  codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST"

const stuck = (
  file: string,
  { entry, owner }: Contender,
  { limit, timeout }: { readonly timeout: number; readonly limit: number }
): string => {
  const who = owner === undefined ? "a program unknown to this one" : `process ${owner.pid} on host \`${owner.host}\``
  return `\`${file}\` has been locked by ${who} for more than ${timeout / 1000} s; try again when it has finished. A process that was killed holds a lock for ${limit / 1000} s at most. The lock is \`${entry}\``
}

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
