/**
 * Durability that is paid later, once for many writes.
 *
 * A put with `defer` may return as soon as its object is visible, before a loss of power cannot undo it any more. What
 * is left to be done the store hands over, and `settle` does it: for a commit, when everything is written and before
 * it becomes visible. A store that hands nothing over has made every object durable when its put returns.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ObjectStoreError } from "./ObjectStoreError.ts"

/**
 * What is left to be done until a write is durable.
 *
 * @category models
 * @since 0.1.0
 */
export interface Remainder {
  /**
   * Does it; may run several times, also at once. Where the bytes of the object may be lost after a failure, it fails
   * for good: a later success would say nothing of them.
   */
  readonly settle: Effect.Effect<void, ObjectStoreError>
  /** It is that of many writes, as the flush of a directory is: one remainder, handed over with each. */
  readonly isShared: boolean
}

/**
 * Takes over what is left to be done. The store calls the result when it has done it meanwhile.
 *
 * @category models
 * @since 0.1.0
 */
export type Defer = (remainder: Remainder) => () => void

/**
 * Why a write could not be made durable.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unsettled {
  /** The object, as `defer` named it; `undefined` where it is something of many objects. */
  readonly object: string | undefined
  readonly error: ObjectStoreError
}

/**
 * Writes that are not known to be durable.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeferredWrites {
  /** For the put of one object, with any name for it. */
  readonly defer: (object: string) => Defer
  /**
   * Makes durable what was deferred until now. Everything is tried; what fails is tried again the next time. A failure
   * counts only where `isNeeded` says so (default: always), and always where it is of many objects.
   */
  readonly settle: (isNeeded?: (object: string) => boolean) => Effect.Effect<void, Unsettled>
}

/** Most of them wait for what is under way. */
const concurrency = 16

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (): DeferredWrites => {
  const left = new Map<Remainder, { readonly object: string | undefined }>()
  return {
    defer: (object) => (remainder) => {
      const entry = { object: remainder.isShared ? undefined : object }
      left.set(remainder, entry)
      return () => settled(remainder, entry)
    },
    settle: (isNeeded = () => true) =>
      Effect.suspend(() =>
        Effect.forEach(
          [...left],
          ([remainder, entry]) =>
            Effect.map(Effect.result(remainder.settle), (result): Unsettled | undefined => {
              if (Result.isFailure(result)) return { object: entry.object, error: result.failure }
              settled(remainder, entry)
              return undefined
            }),
          { concurrency }
        )
      ).pipe(
        Effect.flatMap((results) => {
          const needed = results.find(
            (failure) => failure !== undefined && (failure.object === undefined || isNeeded(failure.object))
          )
          return needed === undefined ? Effect.void : Effect.fail(needed)
        })
      )
  }

  /** Unless it was handed over again meanwhile: then there may be more to do. */
  function settled(remainder: Remainder, entry: { readonly object: string | undefined }): void {
    if (left.get(remainder) === entry) left.delete(remainder)
  }
}

/**
 * Does all of it, and fails with the error of the first write that could not be made durable.
 *
 * @category combinators
 * @since 0.1.0
 */
export const settleAll = (...writes: ReadonlyArray<DeferredWrites>): Effect.Effect<void, ObjectStoreError> =>
  Effect.forEach(writes, (some) => Effect.mapError(some.settle(), ({ error }) => error), {
    concurrency: "unbounded",
    discard: true
  })
