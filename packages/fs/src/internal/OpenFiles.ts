/**
 * How many files this process has open at once, all stores together. Whoever comes when there are enough waits,
 * in order, and can be interrupted meanwhile.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { codeOf } from "../FileError.ts"

/** Node works on four files at a time (`UV_THREADPOOL_SIZE`); the usual limit of a process is 256 or 1,024. */
export const limit = 64

interface Turn {
  /** Whether one of the free places is this one's. */
  hasCome: boolean
  resume: () => void
}

let free = limit
const waiting = new Set<Turn>()

const wait = (turn: Turn): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (free > 0) {
      free--
      turn.hasCome = true
      resume(Effect.void)
    } else {
      turn.resume = () => resume(Effect.void)
      waiting.add(turn)
    }
  })

const leave = (turn: Turn): void => {
  if (!turn.hasCome) {
    waiting.delete(turn)
    return
  }
  const [next] = waiting
  if (next === undefined) {
    free++
    return
  }
  waiting.delete(next)
  next.hasCome = true
  next.resume()
}

const place: Effect.Effect<void, never, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
  Effect.suspend(() => {
    const turn: Turn = { hasCome: false, resume: () => undefined }
    const left = Effect.sync(() => leave(turn))
    return restore(wait(turn)).pipe(
      Effect.onInterrupt(() => left),
      Effect.andThen(Effect.addFinalizer(() => left))
    )
  })
)

/** Other parts of the program, or of the machine, may have used up what there is, and close files again. */
const whenExhausted = Schedule.exponential("10 millis").pipe(Schedule.jittered)

/** Opens a file for as long as the Scope. Never open a second one in the same Scope: both would wait for each other. */
export const open = (
  fs: FileSystem.FileSystem,
  path: string,
  options?: Parameters<FileSystem.FileSystem["open"]>[1]
): Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope> =>
  Effect.andThen(
    place,
    fs.open(path, options).pipe(
      Effect.retry({
        while: (error) => codeOf(error) === "EMFILE" || codeOf(error) === "ENFILE",
        times: 6,
        schedule: whenExhausted
      })
    )
  )
