/**
 * From which age on something counts as old, and by whose clock.
 *
 * The age of a file is what its store says of it, so it is compared with the store's own clock: the clock of this
 * machine may be wrong by any amount. A store does not tell its time, but it stamps what is written: a small object is
 * written, looked at and deleted again.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { ObjectStoreShape, WriteForbidden } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as Layout from "../Layout.ts"
import * as RandomId from "../RandomId.ts"

/**
 * A cutoff that is not a time, or by which what is in use could be deleted. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidCutoff
  extends /*#__PURE__*/ Data.TaggedError("InvalidCutoff")<{
    /** As it was asked for. */
    readonly cutoff: string
    /** The latest cutoff that would be taken, in milliseconds since 1970, where there is one. */
    readonly latest: number | undefined
    readonly problem: string
  }>
{
  override get message(): string {
    return `What is older than ${this.cutoff} cannot be removed: ${this.problem}`
  }
}

/**
 * Since when something is old: for so long, or since before a time.
 *
 * @category models
 * @since 0.1.0
 */
export type Age =
  | { readonly olderThan: Duration.Input; readonly before?: undefined }
  | { readonly before: DateTime.DateTime; readonly olderThan?: undefined }

const show = (cutoff: number): string =>
  Math.abs(cutoff) <= 8.64e15 ? `\`${new Date(cutoff).toISOString()}\`` : `\`${cutoff}\``

/**
 * A length of time in milliseconds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toMillis = (length: Duration.Input): Result.Result<number, InvalidCutoff> => {
  // Not a number would be no time at all.
  const duration = Number.isNaN(length) ? Option.none() : Duration.fromInput(length)
  const millis = Option.isSome(duration) ? Duration.toMillis(duration.value) : Number.NaN
  return Number.isFinite(millis) && millis >= 0
    ? Result.succeed(millis)
    : Result.fail(
        new InvalidCutoff({
          cutoff: `\`${typeof length === "object" ? JSON.stringify(length) : length}\``,
          latest: undefined,
          problem: "it is not a length of time, as in `30 days`"
        })
      )
}

/**
 * The time before which something is old, in milliseconds since 1970.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolve = (age: Age, now: number): Result.Result<number, InvalidCutoff> => {
  if (age.before !== undefined) {
    const { epochMilliseconds } = age.before
    return Number.isFinite(epochMilliseconds)
      ? Result.succeed(epochMilliseconds)
      : Result.fail(
          new InvalidCutoff({ cutoff: String(epochMilliseconds), latest: undefined, problem: "it is not a time" })
        )
  }
  return Result.map(toMillis(age.olderThan), (millis) => now - millis)
}

/**
 * What stands in the way of a cutoff.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** The time of the store, in milliseconds since 1970. */
  readonly now: number
  /** What is younger than so many milliseconds is never removed. */
  readonly minimumAge: number
  /** The branches of sessions of this process that have uncommitted changes or may get some, and since when. */
  readonly sessions: ReadonlyArray<{ readonly branch: string; readonly since: number }>
}

/**
 * Fails when something that is in use may be older than the cutoff.
 *
 * @category combinators
 * @since 0.1.0
 */
export const check = (cutoff: number, { minimumAge, now, sessions }: Limits): Result.Result<number, InvalidCutoff> => {
  const refused = (latest: number, problem: string) =>
    Result.fail(new InvalidCutoff({ cutoff: show(cutoff), latest, problem }))
  if (cutoff > now - minimumAge) {
    return refused(
      now - minimumAge,
      `files of commits that are under way would be among it. It has to be at least ${minimumAge / 1000} s ago by the clock of the store, which says ${show(now)}. Where nobody else writes, say so with a shorter \`minimumAge\``
    )
  }
  const open = sessions.filter(({ since }) => since <= cutoff).toSorted((a, b) => a.since - b.since)[0]
  return open === undefined
    ? Result.succeed(cutoff)
    : refused(
        open.since - 1,
        `a session of this process on branch \`${open.branch}\` has been open since ${show(open.since)}, and what it wrote would be among it. Commit it or discard its changes, or choose an earlier time`
      )
}

/**
 * The time of a store, and how far it is ahead of this machine's at least, in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreTime {
  readonly now: number
  readonly ahead: number
}

/**
 * Asks a store for its time. Of one that may not be written to, or that says no times, it is this machine's.
 *
 * @category reading
 * @since 0.1.0
 */
export const storeTime = /*#__PURE__*/ Effect.fn("Cutoff.storeTime")(function* (
  store: ObjectStoreShape
): Effect.fn.Return<StoreTime, ObjectStoreError | WriteForbidden> {
  const here = yield* Clock.currentTimeMillis
  if (store.readOnlyBecause !== undefined) return { now: here, ahead: 0 }
  // There it is nobody's, and taken away with other copies should it be left.
  const probe = Layout.overwritten(`clock.${yield* RandomId.writeId}`)
  const { lastModified } = yield* Effect.acquireUseRelease(
    store.put(probe, new Uint8Array(1), { contentType: "application/octet-stream" }),
    () => store.head(probe),
    () => Effect.ignore(store.delete([probe]))
  )
  if (lastModified === undefined) return { now: here, ahead: 0 }
  // The stamp may be cut to whole seconds, and is of a moment before the answer: at least so far ahead.
  return { now: lastModified, ahead: lastModified - (yield* Clock.currentTimeMillis) }
})
