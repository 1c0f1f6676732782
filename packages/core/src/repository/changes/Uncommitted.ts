/**
 * What a session has changed and not committed, and who waits for whom: a commit takes the changes as they stand, and whoever
 * changes something meanwhile waits for it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { OpenSession } from "../OpenSessions.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import type * as Commit from "./Commit.ts"
import type { Rebased } from "./Rebasing.ts"

/**
 * A commit that failed and may have happened: the revision that it has, and what put the changes where they were committed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tried extends Commit.Flushed, Pick<Rebased, "again"> {
  readonly revision: number
}

/**
 * The changes of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Uncommitted {
  /** The changes as they are now; another object after a commit, a rebase, and when they are discarded. */
  readonly current: () => ChangedSnapshot
  /** How often something was changed: tells whether a commit that was tried has all changes. */
  readonly revision: () => number
  /** Waits until nobody else changes the session or commits it, and keeps the others waiting. */
  readonly alone: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Runs a change in the same way, and counts it. */
  readonly exclusive: <A, E>(change: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** The session goes on from other changes, with what is left of them to be committed. */
  readonly goOn: (changes: ChangedSnapshot) => void
  /** The session goes on from a snapshot, and nothing is left to be committed. */
  readonly startOver: (base: ChangedSnapshot["base"]) => void
  /** Commits of these changes that failed and may have happened. */
  readonly tried: Map<SnapshotId, Tried>
  /** Snapshots whose chunks the changes refer to. */
  readonly sources: Set<SnapshotId>
  /**
   * Chunks need to be durable when a commit makes them visible, not earlier. One that could not be made so stays here, and
   * no commit that refers to it succeeds: its bytes may be lost.
   */
  readonly chunks: DeferredWrites.DeferredWrites
  readonly open: OpenSession
}

/**
 * The changes that a session begins with.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  begun: ChangedSnapshot,
  open: OpenSession
): Effect.fn.Return<Uncommitted> {
  const lock = yield* Semaphore.make(1)
  const alone = lock.withPermits(1)
  const sources = new Set<SnapshotId>()
  let changes = begun
  let revision = 0
  const goOn = (next: ChangedSnapshot): void => {
    changes = next
    open.on(next.base.id)
  }
  return {
    current: () => changes,
    revision: () => revision,
    alone,
    exclusive: (change) =>
      alone(
        Effect.tap(change, () =>
          Effect.sync(() => {
            revision++
            open.used()
          })
        )
      ),
    goOn,
    startOver: (base) => {
      goOn(new ChangedSnapshot(base))
      sources.clear()
      open.settled()
    },
    tried: new Map(),
    sources,
    chunks: DeferredWrites.make(),
    open
  }
})
