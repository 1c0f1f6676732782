/**
 * Which pieces a session was split into, and which of them were merged.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as RandomId from "../RandomId.ts"
import type { WritableSession } from "../WritableSession.ts"
import type { ChangedSnapshot } from "./ChangedSnapshot.ts"

/**
 * What is known of the pieces of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface PieceBook {
  readonly session: string
  readonly given: Set<string>
  readonly merged: Set<string>
  /** Which were merged into the changes; other changes have taken their place when they were committed or discarded. */
  readonly mergedInto: WeakMap<ChangedSnapshot, Set<string>>
  /** When the session was split first, in milliseconds since 1970. */
  readonly since: number
}

const known = new WeakMap<WritableSession, PieceBook>()

/**
 * What is known of a session's pieces, from the first split on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const begin = Effect.fnUntraced(function* (session: WritableSession) {
  const found = known.get(session)
  if (found !== undefined) return found
  const pieces: PieceBook = {
    session: yield* RandomId.writeId,
    given: new Set(),
    merged: new Set(),
    mergedInto: new WeakMap(),
    since: yield* Clock.currentTimeMillis
  }
  known.set(session, pieces)
  return pieces
})

/**
 * What is known of a session's pieces; `undefined` before it is split.
 *
 * @category accessors
 * @since 0.1.0
 */
export const of = (session: WritableSession): PieceBook | undefined => known.get(session)
