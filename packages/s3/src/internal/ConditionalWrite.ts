/** A write whose answer may be lost, carried to an end that is known. Design, section 7. */
import * as Effect from "effect/Effect"
import type { ObjectMeta, PutMode, Version } from "@effect-icechunk/core/ObjectStore"
import * as Readback from "@effect-icechunk/core/Readback"
import type { S3Connection } from "../S3Connection.ts"
import * as S3Error from "../S3Error.ts"
import type { ConditionalEtag } from "../S3Dialect.ts"
import { conditionEtag } from "./Response.ts"

/** How the store wants ETags, as far as is known by now. */
export interface Spelling {
  known: ConditionalEtag
}

/** Headers of a condition. */
export interface Condition {
  readonly IfNoneMatch?: string
  readonly IfMatch?: string
}

/** Refusals although the condition holds, before it is believed that the store will not have it. */
const maxRefusals = 3

/** Answers from something that is not the store, before a write is given up. */
const maxStrange = 3

/** Lets a write be submitted again that was answered by something that is not the store, a few times. */
export const askedAgain = (): ((failure: S3Error.S3Failure) => S3Error.S3Failure) => {
  let met = 0
  return (failure) => {
    if (failure.reason._tag !== "InvalidResponse") return failure
    met += 1
    return new S3Error.S3Failure({ ...failure, isRetryable: met < maxStrange })
  }
}

/**
 * Submits a write until its outcome is known:
 *
 * - accepted: done;
 * - refused by its condition, or no answer that says whether it was applied: read back. Ours: done. Somebody
 *   else's: a conflict. Neither: submitted again, under the same id, so that even an attempt that arrives late
 *   is recognised;
 * - 409, 429 and the like: submitted again.
 */
export const settle = (options: {
  readonly connection: S3Connection
  readonly writeId: string
  readonly mode: PutMode
  readonly spelling: Spelling
  readonly submit: (condition: Condition) => Effect.Effect<Version, S3Error.S3Failure>
  /** What is stored now; `undefined` for nothing. */
  readonly readBack: Effect.Effect<ObjectMeta | undefined, S3Error.S3Failure>
}): Effect.Effect<Version, S3Error.S3Failure> => {
  const { connection, mode, readBack, spelling, writeId } = options
  const again = askedAgain()
  const submit = (condition: Condition): Effect.Effect<Version, S3Error.S3Failure> =>
    Effect.mapError(options.submit(condition), again)
  let inDoubt = false
  let refusals = 0
  let tryBare = false

  const condition = (): Condition | S3Error.S3Failure => {
    if (mode._tag === "Overwrite") return {}
    if (mode._tag === "Create") return { IfNoneMatch: "*" }
    const { etag } = mode.version
    if (etag === undefined) return S3Error.failure("Unsupported", "an update needs the ETag of the version it replaces")
    const wanted = conditionEtag(etag, spelling.known === "bare" || tryBare ? "bare" : "quoted")
    return wanted === undefined ? S3Error.failure("PreconditionFailed", "no object has this ETag") : { IfMatch: wanted }
  }

  /** A refusal by the condition. An update of a missing object is 404 on AWS. */
  const isRefusedByCondition = (failure: S3Error.S3Failure): boolean =>
    failure.reason._tag === "PreconditionFailed" || (mode._tag === "Update" && failure.code === "NoSuchKey")

  const lost = (reason: "AlreadyExists" | "PreconditionFailed", failure: S3Error.S3Failure): S3Error.S3Failure =>
    S3Error.failure(
      reason,
      `${failure.reason.detail ?? ""}${inDoubt ? "; an earlier attempt of this write was not answered" : ""}`
    )

  const conclude = (failure: S3Error.S3Failure): Effect.Effect<Version, S3Error.S3Failure> => {
    const refused = isRefusedByCondition(failure)
    // The parts of an upload are gone when it was completed before.
    const isGone = failure.code === "NoSuchUpload"
    if (!refused && !failure.mayBeApplied && !isGone) return Effect.fail(failure)
    if (!refused) inDoubt = true
    return Effect.matchEffect(readBack, {
      onFailure: (unread) => {
        if (!refused) return Effect.fail(failure)
        // Never in doubt: the refusal can be believed.
        if (!inDoubt) return Effect.fail(lost(mode._tag === "Create" ? "AlreadyExists" : "PreconditionFailed", failure))
        return Effect.fail(unread)
      },
      onSuccess: (stored) => {
        const verdict = Readback.judge(writeId, mode, stored)
        if (verdict._tag === "Ours") return Effect.succeed(verdict.version)
        if (verdict._tag === "Lost") return Effect.fail(lost(verdict.reason, failure))
        if (!refused) return Effect.fail(failure)
        return refusedThoughUnchanged(failure)
      }
    })
  }

  /** The object came and went, is back at the version we want, or the store wants ETags spelled otherwise. */
  const refusedThoughUnchanged = (failure: S3Error.S3Failure): Effect.Effect<Version, S3Error.S3Failure> => {
    refusals += 1
    if (mode._tag === "Update" && spelling.known === "ask" && !tryBare) {
      tryBare = true
      return attempt
    }
    const detail =
      mode._tag === "Update"
        ? "the store refuses `If-Match` although the object has this ETag; see the option `conditionalEtag`"
        : "the store refuses `If-None-Match` although there is no object"
    return Effect.fail(
      S3Error.failure(
        mode._tag === "Create" ? "AlreadyExists" : "PreconditionFailed",
        `${failure.reason.detail}; ${detail}`,
        {
          isRetryable: refusals < maxRefusals
        }
      )
    )
  }

  const attempt: Effect.Effect<Version, S3Error.S3Failure> = Effect.suspend(() => {
    const wanted = condition()
    if (wanted instanceof S3Error.S3Failure) return Effect.fail(wanted)
    return submit(wanted).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          if (mode._tag === "Update" && spelling.known === "ask") spelling.known = tryBare ? "bare" : "quoted"
        })
      ),
      Effect.catch(conclude)
    )
  })

  return connection.retrying(attempt)
}

/** No object has this ETag. */
const impossible = "00000000000000000000000000000000"

/**
 * Whether the store enforces the condition of a put that has just succeeded, by putting the same bytes again under
 * one that cannot hold; `ask` when there was no clear answer. Only the store's own error code is one: a bare 412 may come
 * from anything on the way.
 */
export const isEnforced = (
  mode: PutMode,
  spelling: Spelling,
  submit: (condition: Condition) => Effect.Effect<Version, S3Error.S3Failure>
): Effect.Effect<boolean | "ask"> =>
  Effect.match(
    submit(
      mode._tag === "Create"
        ? { IfNoneMatch: "*" }
        : { IfMatch: spelling.known === "bare" ? impossible : `"${impossible}"` }
    ),
    {
      onSuccess: () => false,
      onFailure: ({ code }) => (code === "PreconditionFailed" || code === "NoSuchKey" ? true : "ask")
    }
  )
