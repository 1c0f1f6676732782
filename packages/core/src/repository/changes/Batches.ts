/**
 * Work that waits for other work of its kind, and is then done together with all that waits.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/**
 * Does work: at once when no other is being done, else with the next batch. Whoever is interrupted takes its work back
 * when it has not begun. What has begun is dropped at the next step (`isWanted`), or interrupted when nobody wants
 * anything of the batch any more; the interruption waits for that.
 *
 * @category models
 * @since 0.1.0
 */
export type Batches<A, B, E> = (work: A) => Effect.Effect<B, E>

/**
 * A piece of work in a batch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Piece<A> {
  readonly work: A
  /** Whether somebody still waits for it. */
  readonly isWanted: () => boolean
}

interface Waiting<A, B, E> extends Piece<A> {
  readonly done: Deferred.Deferred<B, E>
  isLeft: boolean
}

interface Running<A, B, E> {
  readonly batch: ReadonlyArray<Waiting<A, B, E>>
  /** None for a moment, in which it may already be over. */
  fiber: Fiber.Fiber<void> | undefined
}

/**
 * Batches of at most `limit` pieces that `run` does one after another. It answers for each piece of work, in their order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, B, E>(
  run: (batch: ReadonlyArray<Piece<A>>) => Effect.Effect<ReadonlyArray<Exit.Exit<B, E>>>,
  limit: number
): Batches<A, B, E> => {
  let waiting: Array<Waiting<A, B, E>> = []
  let running: Running<A, B, E> | undefined

  /**
   * Begins with all that waits, unless others have done so, in a fiber of its own: nobody's interruption ends the work of
   * others.
   */
  const begin: Effect.Effect<void> = Effect.suspend(() => {
    if (running !== undefined || waiting.length === 0) return Effect.void
    const batch = waiting.slice(0, limit)
    waiting = waiting.slice(limit)
    const begun: Running<A, B, E> = { batch, fiber: undefined }
    running = begun
    const answer = (exit: Exit.Exit<ReadonlyArray<Exit.Exit<B, E>>>): Effect.Effect<void> =>
      Effect.forEach(
        batch,
        // A defect, or that nobody was left to wait, reaches all.
        ({ done }, i) => Deferred.done(done, Exit.isSuccess(exit) ? exit.value[i]! : Exit.failCause(exit.cause)),
        { discard: true }
      )
    const work = Effect.onExit(Effect.interruptible(run(batch)), (exit) => Effect.andThen(answer(exit), goOn))
    // A fiber that is interrupted before it has begun would go on with nothing.
    return Effect.map(Effect.forkDetach(Effect.asVoid(work), { uninterruptible: true }), (fiber) => {
      begun.fiber = fiber
    })
  })

  const goOn: Effect.Effect<void> = Effect.suspend(() => {
    running = undefined
    return begin
  })

  const leave = (mine: Waiting<A, B, E>): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      mine.isLeft = true
      const at = waiting.indexOf(mine)
      if (at >= 0) {
        waiting.splice(at, 1)
        return Effect.void
      }
      const { batch = [], fiber } = running ?? {}
      return fiber !== undefined && batch.includes(mine) && batch.every(({ isLeft }) => isLeft)
        ? Fiber.interrupt(fiber)
        : Effect.exit(Deferred.await(mine.done))
    })

  return (work) =>
    Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
        const mine: Waiting<A, B, E> = {
          work,
          done: yield* Deferred.make<B, E>(),
          isLeft: false,
          isWanted: () => !mine.isLeft
        }
        waiting.push(mine)
        yield* begin
        return yield* Effect.onInterrupt(restore(Deferred.await(mine.done)), () => leave(mine))
      })
    )
}
