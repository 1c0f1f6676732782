/**
 * Files that are flushed soon, beside whatever else the program does: each stays open until then, because of a file
 * that was closed a system may forget that it could not write it. So many of all stores together, and whoever comes
 * with another one waits: a program cannot write faster than the disk for longer than that.
 */
import type * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as PlatformError from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import { asReason } from "./FileReader.ts"

/** Fewer than the places of `OpenFiles`, which they take too: writing goes on meanwhile. */
const limit = 32

/** Node works on four files at a time (`UV_THREADPOOL_SIZE`), and one of them is left to others. */
const atOnce = 3

const places = Semaphore.makeUnsafe(limit)
const turns = Semaphore.makeUnsafe(atOnce)

/** An open file. */
export interface Unflushed {
  readonly flush: Effect.Effect<void, PlatformError.PlatformError>
  readonly close: Effect.Effect<void>
}

/**
 * Begins to flush a file, and closes it then. `onBegun` gets what waits for it, with the same result however often it
 * is asked for: once a flush has failed, a later one would say nothing of the bytes that were to be flushed. What
 * `onBegun` returns runs when the file was flushed.
 *
 * This can be interrupted while it waits; then nothing has begun, and the file is still the caller's.
 */
export const begin = (
  file: Unflushed,
  onBegun: (flushed: Effect.Effect<void, Errors.Reason>) => () => void
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(places.take(1))
      let onFlushed = (): void => undefined
      const fiber = yield* turns.withPermit(Effect.uninterruptible(file.flush)).pipe(
        asReason("write"),
        Effect.ensuring(Effect.andThen(file.close, places.release(1))),
        Effect.tap(() => Effect.sync(onFlushed)),
        Effect.forkDetach
      )
      onFlushed = onBegun(Effect.flatten(Fiber.await(fiber)))
    })
  )
