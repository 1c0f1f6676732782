/**
 * Uploads that go on while what comes after them is prepared.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"

/**
 * Takes uploads.
 *
 * @category models
 * @since 0.1.0
 */
export interface Uploads<E> {
  /** Starts an upload of this many bytes, once there is room for them, and does not wait for its end. */
  readonly start: (bytes: number, upload: Effect.Effect<void, E>) => Effect.Effect<void>
}

/** Bytes that may be under way, and what each upload counts at least: what is encoded waits in memory. */
const room = 64 * 1024 * 1024
const least = 2 * 1024 * 1024

/**
 * Runs `body`, and waits for the uploads that it started. The first upload that fails ends the body, and whatever ends it
 * ends all uploads.
 *
 * @category combinators
 * @since 0.1.0
 */
export const during = Effect.fnUntraced(function* <A, E, F>(body: (uploads: Uploads<F>) => Effect.Effect<A, E>) {
  const places = yield* Semaphore.make(room)
  const failed = yield* Deferred.make<never, F>()
  const scope = yield* Effect.scope
  const started: Array<Fiber.Fiber<void, F>> = []
  const start: Uploads<F>["start"] = Effect.fnUntraced(function* (bytes, upload) {
    const size = Math.min(room, Math.max(least, bytes))
    yield* Semaphore.take(places, size)
    started.push(
      yield* upload.pipe(
        Effect.tapCause((cause) => Deferred.failCause(failed, cause)),
        Effect.ensuring(Semaphore.release(places, size)),
        Effect.forkIn(scope)
      )
    )
  })
  const all = Effect.tap(body({ start }), () => Effect.suspend(() => Fiber.joinAll(started)))
  return yield* Effect.raceFirst(all, Deferred.await(failed))
}, Effect.scoped)
