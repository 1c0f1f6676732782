/**
 * Files that stay open between reads: how many there may be in this process, and which of them are closed first.
 */
import * as Context from "effect/Context"
import * as NodeFs from "node:fs"

/** A file that is open. */
export interface Member {
  /** When its last reader left; milliseconds, as `performance.now()` has them. */
  restedAt: number
  /** Closes the file, which nobody reads. */
  readonly close: () => void
}

export interface FilePool {
  /** Takes in a file that nobody reads yet, if need be in place of one; `false` if there is no place. */
  readonly admit: (member: Member) => boolean
  /** A file is read from now on, and stays open. */
  readonly use: (member: Member) => void
  /** Nobody reads a file any more. */
  readonly rest: (member: Member) => void
  /** A file is closed. */
  readonly remove: (member: Member) => void
  /**
   * Closes files that nobody reads, and keeps fewer from now on, because some other part of the program can open
   * none; whether there were any.
   */
  readonly relieve: () => boolean
}

/** How many files this process may have open. */
const processLimit = (): number => {
  // Node raises the limit of Linux and macOS to what the system allows; only Linux tells how many that is.
  if (process.platform !== "linux") return 4096
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(NodeFs.readFileSync("/proc/self/limits", "latin1")) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return 1024
  }
}

/** What a small program has open besides, and those of these stores that are being worked on. */
const others = 128

/** A part of what there is; sockets and the files of others need the rest. */
const share = (): number => Math.max(0, Math.min(4096, Math.floor((processLimit() - others) / 4)))

/** What the program's other parts have to leave. */
const fewest = 16

export const make = (options?: {
  /** How many files may be open (default a quarter of what the process may open beyond 128, 4,096 at most). */
  readonly limit?: number | undefined
  /** After how many milliseconds without a reader a file is closed (default 10 seconds). */
  readonly idleLimit?: number | undefined
}): FilePool => {
  const idleLimit = options?.idleLimit ?? 10_000
  let limit = options?.limit
  const members = new Set<Member>()
  /** Those that nobody reads, the one that rests longest first. */
  const resting = new Set<Member>()
  let timer: NodeJS.Timeout | undefined

  const close = (member: Member): void => {
    resting.delete(member)
    members.delete(member)
    member.close()
  }

  const sweep = (): void => {
    timer = undefined
    const now = performance.now()
    for (const member of resting) {
      const left = member.restedAt + idleLimit - now
      // A timer may be early by a millisecond.
      if (left > 1) {
        wake(left)
        return
      }
      close(member)
    }
  }
  const wake = (milliseconds: number): void => {
    timer ??= setTimeout(sweep, milliseconds)
    // A program that has nothing else to do ends.
    timer.unref()
  }

  const rest = (member: Member): void => {
    member.restedAt = performance.now()
    resting.add(member)
    if (timer === undefined) wake(idleLimit)
  }

  return {
    admit: (member) => {
      limit ??= share()
      if (members.size >= limit) {
        const [oldest] = resting
        if (oldest === undefined) return false
        close(oldest)
      }
      members.add(member)
      rest(member)
      return true
    },
    use: (member) => void resting.delete(member),
    rest,
    remove: (member) => {
      resting.delete(member)
      members.delete(member)
    },
    relieve: () => {
      if (resting.size === 0) return false
      const kept = Math.floor(members.size / 2)
      limit = Math.max(kept, fewest)
      for (const member of resting) {
        if (members.size <= kept) break
        close(member)
      }
      return true
    }
  }
}

/** The one of this process, unless a test has its own. */
export const FilePool: Context.Reference<FilePool> = Context.Reference<FilePool>("@effect-icechunk/fs/FilePool", {
  defaultValue: () => ours
})
const ours = make()
