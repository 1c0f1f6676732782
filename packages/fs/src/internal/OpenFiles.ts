/**
 * How many files this process works on at once, all stores together. Whoever comes when there are enough waits,
 * in order, and can be interrupted meanwhile.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { codeOf } from "../FileError.ts"
import { FilePool } from "./FilePool.ts"

/** Node works on four files at a time (`UV_THREADPOOL_SIZE`); the usual limit of a process is 256 or 1,024. */
export const limit = 64

/** Who has a place, or waits for one. */
export interface Turn {
  /** Whether one of the free places is this one's. */
  readonly hasCome: boolean
}
interface Waiting extends Turn {
  hasCome: boolean
  readonly start: (turn: Turn) => void
}

let free = limit
const waiting = new Set<Turn & Waiting>()

/** Calls `start` when there is a place, at once if there is one now. It must be given back with `leave`. */
export const enter = (start: (turn: Turn) => void): Turn => {
  const turn = { hasCome: free > 0, start }
  if (turn.hasCome) {
    free--
    start(turn)
  } else {
    waiting.add(turn)
  }
  return turn
}

/** Gives the place of a turn to the next one, or ends the wait for it. */
export const leave = (turn: Turn): void => {
  if (!turn.hasCome) {
    waiting.delete(turn as Waiting)
    return
  }
  for (const next of waiting) {
    waiting.delete(next)
    next.hasCome = true
    next.start(next)
    return
  }
  free++
}

const place: Effect.Effect<void, never, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
  Effect.suspend(() => {
    let onCome = (): void => undefined
    const turn = enter(() => onCome())
    const left = Effect.sync(() => leave(turn))
    const release = Effect.addFinalizer(() => left)
    if (turn.hasCome) return release
    const wait = Effect.callback<void>((resume) => {
      if (turn.hasCome) return resume(Effect.void)
      onCome = () => resume(Effect.void)
    })
    return restore(wait).pipe(
      Effect.onInterrupt(() => left),
      Effect.andThen(release)
    )
  })
)

/** Other parts of the program, or of the machine, may have used up what there is, and close files again. */
const whenExhausted = Schedule.exponential("10 millis").pipe(Schedule.jittered)

type Options = Parameters<FileSystem.FileSystem["open"]>[1]

const openWhenPossible = (
  fs: FileSystem.FileSystem,
  path: string,
  options: Options
): Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope> =>
  fs.open(path, options).pipe(
    Effect.tapError((error) =>
      isExhausted(error) ? Effect.map(FilePool, (pool) => void pool.relieve()) : Effect.void
    ),
    Effect.retry({ while: isExhausted, times: 6, schedule: whenExhausted })
  )

const isExhausted = (error: PlatformError.PlatformError): boolean =>
  codeOf(error) === "EMFILE" || codeOf(error) === "ENFILE"

/** Opens a file for as long as the Scope. Never open a second one in the same Scope: both would wait for each other. */
export const open = (
  fs: FileSystem.FileSystem,
  path: string,
  options?: Options
): Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope> =>
  Effect.andThen(place, openWhenPossible(fs, path, options))

/** An open file that may stay open when its Scope is closed. */
export interface Lease {
  readonly file: FileSystem.File
  /** Leaves it open; from then on `close` closes it. */
  readonly keep: () => void
  readonly close: () => void
}

/** Opens a file for as long as the Scope, or longer. */
export const lease = (
  fs: FileSystem.FileSystem,
  path: string,
  options?: Options
): Effect.Effect<Lease, PlatformError.PlatformError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* place
    const scope = yield* Scope.make()
    let isKept = false
    yield* Effect.addFinalizer((exit) => (isKept ? Effect.void : Scope.close(scope, exit)))
    return {
      file: yield* Scope.provide(openWhenPossible(fs, path, options), scope),
      keep: () => {
        isKept = true
      },
      close: () => void Effect.runFork(Scope.close(scope, Exit.void))
    }
  })
