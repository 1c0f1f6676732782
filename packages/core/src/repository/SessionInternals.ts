/**
 * What a writable session is beside what it shows to its users: for the modules of functions that take one.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import type { RepositoryConfig } from "../values/RepositoryConfig.ts"
import type { WritableAssets } from "./AssetWrites.ts"
import type { ChangedSnapshot } from "./changes/ChangedSnapshot.ts"
import type { WritableSession } from "./WritableSession.ts"

/**
 * What a session is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionInternals {
  readonly repositoryId: string
  readonly store: ObjectStoreShape
  readonly assets: WritableAssets
  readonly config: () => RepositoryConfig
  /** The changes as they are now; another object after a commit, a rebase, and when they are discarded. */
  readonly changed: () => ChangedSnapshot
  /** Notes that files of the session may have been written from a time on, in milliseconds since 1970. */
  readonly hasFilesSince: (since: number) => void
  /** Runs a change while nothing else changes the session. */
  readonly exclusive: <A, E>(change: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Makes the chunks durable that the changes refer to. */
  readonly durable: Effect.Effect<void, ObjectStoreError>
}

const known = new WeakMap<WritableSession, SessionInternals>()

/**
 * Notes what a session is made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const remember = (session: WritableSession, internals: SessionInternals): void => {
  known.set(session, internals)
}

/**
 * What a session is made of. Throws when it is none of ours.
 *
 * @category accessors
 * @since 0.1.0
 */
export const of = (session: WritableSession): SessionInternals => {
  const found = known.get(session)
  if (found === undefined) {
    throw new TypeError("This session was not opened by a `Repository`, or it is a copy: pass the object itself.")
  }
  return found
}
