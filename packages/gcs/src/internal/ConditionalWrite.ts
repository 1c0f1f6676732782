/** A conditional write whose answer may be lost, carried to an end that is known. Design, section 7. */
import type { ObjectMeta, PutMode, Version } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Readback from "@effect-icechunk/core/Readback"
import * as Effect from "effect/Effect"

type Reason = ObjectStoreError.Reason

const isConflict = ({ _tag }: Reason): boolean => _tag === "PreconditionFailed" || _tag === "AlreadyExists"

/** Attempts that may have been applied although they failed: all but those turned away at the door. */
const mayBeApplied = ({ _tag, isRetryable }: Reason): boolean => isRetryable && _tag !== "RateLimited"

const lost = (tag: "AlreadyExists" | "PreconditionFailed", { detail }: Reason): Reason =>
  tag === "AlreadyExists"
    ? new ObjectStoreError.AlreadyExists({ detail })
    : new ObjectStoreError.PreconditionFailed({ detail })

/**
 * One attempt of a write, to be repeated under the same write id while its failure may pass. It reads back
 * what is stored before it calls a failure a conflict, and at once, before others can build on a write
 * whose answer was lost.
 *
 * - Ours is stored: the write succeeded.
 * - Another writer's object is: a conflict.
 * - The condition still holds: the failure is what it is.
 * - It cannot be read back: a refusal is believed unless an earlier attempt may have been applied; then the
 *   error of reading back says that the outcome is not known.
 */
export const settling = (options: {
  readonly writeId: string
  readonly mode: PutMode
  readonly submit: Effect.Effect<Version, Reason>
  /** What is stored now; `undefined` for nothing. One request. */
  readonly readBack: Effect.Effect<ObjectMeta | undefined, Reason>
  /** Repeats a request while its failure may pass. */
  readonly retry: (request: Effect.Effect<ObjectMeta | undefined, Reason>) => typeof request
}): Effect.Effect<Version, Reason> => {
  const { mode, readBack, retry, submit, writeId } = options
  let inDoubt = false
  return Effect.catch(submit, (failure) => {
    const refused = isConflict(failure)
    if (!refused && !mayBeApplied(failure)) return Effect.fail(failure)
    if (!refused) inDoubt = true
    // Without a refusal the whole attempt is repeated.
    return Effect.matchEffect(refused && inDoubt ? retry(readBack) : readBack, {
      onFailure: (unread) => Effect.fail(refused && inDoubt ? unread : failure),
      onSuccess: (stored) => {
        const verdict = Readback.judge(writeId, mode, stored)
        if (verdict._tag === "Ours") return Effect.succeed(verdict.version)
        return Effect.fail(verdict._tag === "Lost" ? lost(verdict.reason, failure) : failure)
      }
    })
  })
}
