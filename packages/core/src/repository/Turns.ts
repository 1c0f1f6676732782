/**
 * Writers of one program take turns at an object that changes, which is cheaper than losing races against each other,
 * and needs no clock.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"

const turns = new WeakMap<ObjectStoreShape, Map<string, Semaphore.Semaphore>>()

/**
 * Runs an effect when no other in this program writes `key` through the same store.
 *
 * @category combinators
 * @since 0.1.0
 */
export const inTurn = (
  store: ObjectStoreShape,
  key: string
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  const ofStore = turns.get(store) ?? new Map<string, Semaphore.Semaphore>()
  turns.set(store, ofStore)
  const turn = ofStore.get(key) ?? Semaphore.makeUnsafe(1)
  ofStore.set(key, turn)
  return turn.withPermits(1)
}
