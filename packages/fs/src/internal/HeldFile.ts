/**
 * A file that stays open between reads. A read of it is one `read` and then one `stat`, and reads at the same time
 * share the `stat`.
 *
 * The file was found where it may be, was opened, and was the one that was found (`FileReader`). What is read later is
 * served when afterwards
 *
 * - the path of the key leads to the same file, unchanged: same device, inode, size, time of modification, and time
 *   of any change, so that one whose permissions were taken away is opened anew as well. No other file can have the
 *   inode while this one is open;
 * - and it is still where it was when it was checked, so that a directory which was moved out and left a symbolic link
 *   behind is no way around that check.
 *
 * If not, the file is closed and the read begins anew on the way with all checks, which also knows what the error is.
 */
import type { GetResult, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import type * as ByteRange from "@effect-icechunk/core/ByteRange"
import type * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import type * as FileIdentity from "../FileIdentity.ts"
import * as FileBytes from "./FileBytes.ts"
import type { FileCalls } from "./FileCalls.ts"
import type { FilePool, Member } from "./FilePool.ts"
import type { NearBytes } from "./NearBytes.ts"
import * as OpenFiles from "./OpenFiles.ts"
import type { Check } from "./TurnChecks.ts"

/** What was found out about an open file. */
export interface Checked extends Looks {
  readonly identity: FileIdentity.FileIdentity
  readonly meta: ObjectMeta
}

/** What has to be looked at again before more is served of an open file. */
export interface Looks {
  /** The path that the key names. */
  readonly named: string
  /** Whether symbolic links at the end of that path are followed. */
  readonly followsLinks: boolean
  /** Paths that must go on leading where they led. */
  readonly links: ReadonlyArray<Link>
}

/** A path, and where it led. */
interface Link {
  readonly named: string
  readonly real: string
}

export interface HeldFile extends Member {
  readonly checked: Checked
  /** Reads a part of the file; `otherwise` runs when it is not what it was any more. */
  readonly read: (
    span: ByteRange.Span,
    otherwise: Effect.Effect<GetResult, Errors.Reason>
  ) => Effect.Effect<GetResult, Errors.Reason>
  /** Whoever has not begun to read it does not read it any more; it is closed when the others have ended. */
  readonly drop: () => void
}

/** How parts of a file are read that the system has in memory. */
export interface Near {
  readonly bytes: NearBytes
  /** Reads into all of `bytes`, and says how many came. */
  readonly read: (bytes: Uint8Array, position: number) => number | undefined
}

/** Between two reads there may be an interruption. */
const largestRead = 8 * 1024 * 1024

export const make = (options: {
  readonly calls: FileCalls
  readonly pool: FilePool
  readonly lease: OpenFiles.Lease
  readonly checked: Checked
  /** Whether the file that is open is still the one that the key names, asked from then on. */
  readonly isSame: Check
  /** Reads what is in memory at once, where that is known. */
  readonly near: Near | undefined
  /** The file is not to be found any more. */
  readonly onDrop: (self: HeldFile) => void
}): HeldFile => {
  const { calls, checked, isSame, lease, near, pool } = options
  const mannerOf = near?.bytes.ofFile(checked.identity.size)
  const readPart = calls.reads(lease.file)
  let readers = 0
  let isDropped = false

  const close = (): void => {
    if (!isDropped) options.onDrop(self)
    isDropped = true
    lease.close()
  }
  const drop = (): void => {
    if (isDropped) return
    isDropped = true
    options.onDrop(self)
    if (readers === 0) end()
  }
  const end = (): void => {
    pool.remove(self)
    lease.close()
  }
  const enter = (): void => {
    if (readers++ === 0) pool.use(self)
  }
  const leave = (): void => {
    if (--readers > 0) return
    if (isDropped) end()
    else pool.rest(self)
  }

  const read: HeldFile["read"] = (span, otherwise) =>
    Effect.callback<GetResult, Errors.Reason>((resume) => {
      if (isDropped) {
        resume(otherwise)
        return
      }
      const length = span.end - span.start
      let isAbandoned = false
      enter()
      const finish = (outcome: Effect.Effect<GetResult, Errors.Reason>): void => {
        leave()
        if (!isAbandoned) resume(outcome)
      }
      const check = (bytes: Uint8Array): void =>
        isSame((isSo) => {
          if (!isSo) drop()
          finish(isSo ? Effect.succeed({ bytes, span, meta: checked.meta }) : otherwise)
        })
      const fail = (): void => {
        drop()
        finish(otherwise)
      }
      const manner = mannerOf?.(span)
      if (manner?._tag === "Here") {
        const bytes = FileBytes.allocate(length)
        const since = performance.now()
        const count = near!.read(bytes, span.start)
        near!.bytes.took(performance.now() - since)
        if (count === length) check(bytes)
        else fail()
        return Effect.sync(() => {
          isAbandoned = true
        })
      }
      // More than what is wanted may be read along.
      const along = manner?._tag === "Along" ? manner : undefined
      const { end, start } = along?.span ?? span
      const begin = (turn: OpenFiles.Turn): void => {
        let bytes: Uint8Array
        try {
          bytes = FileBytes.allocate(end - start)
        } catch {
          OpenFiles.leave(turn)
          along?.done(false)
          finish(otherwise)
          return
        }
        const part = (filled: number): void => {
          if (filled === bytes.length) {
            OpenFiles.leave(turn)
            along?.done(true)
            check(along === undefined ? bytes : new Uint8Array(bytes.subarray(span.start - start, span.end - start)))
          } else if (isAbandoned) {
            OpenFiles.leave(turn)
            along?.done(false)
            leave()
          } else {
            const wanted = Math.min(bytes.length - filled, largestRead)
            readPart(bytes, filled, wanted, start + filled, (count) => {
              if (count !== undefined && count > 0) {
                part(filled + count)
                return
              }
              OpenFiles.leave(turn)
              along?.done(false)
              fail()
            })
          }
        }
        part(0)
      }
      const turn = OpenFiles.enter(begin)
      return Effect.sync(() => {
        isAbandoned = true
        if (turn.hasCome) return
        OpenFiles.leave(turn)
        along?.done(false)
        leave()
      })
    })

  const self: HeldFile = { restedAt: 0, checked, close, read, drop }
  return self
}
