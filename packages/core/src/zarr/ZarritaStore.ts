/**
 * A Zarr store in the shape that zarrita expects: promises, `undefined` for a missing key, and an
 * `AbortSignal`. The shape is structural; zarrita is not imported.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Session } from "../repository/Session.ts"
import type { WritableSession } from "../repository/WritableSession.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as ZarrReads from "./ZarrReads.ts"
import * as ZarrStore from "./ZarrStore.ts"

/**
 * zarrita's range of bytes.
 *
 * @category models
 * @since 0.1.0
 */
export type RangeQuery = { readonly offset: number; readonly length: number } | { readonly suffixLength: number }

/**
 * Options of a read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined
}

/**
 * What zarrita reads from. Promises reject with the typed errors of `ZarrStore`, or with the signal's reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface Readable {
  get(key: `/${string}`, options?: ReadOptions): Promise<Uint8Array | undefined>
  getRange(key: `/${string}`, range: RangeQuery, options?: ReadOptions): Promise<Uint8Array | undefined>
}

/**
 * What zarrita writes to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mutable extends Readable {
  set(key: `/${string}`, value: Uint8Array): Promise<void>
}

const run = <A, E>(effect: Effect.Effect<A, E>, signal?: AbortSignal): Promise<A> =>
  signal?.aborted === true
    ? Promise.reject(signal.reason)
    : Effect.runPromiseExit(effect, signal === undefined ? {} : { signal }).then((exit) => {
        if (Exit.isSuccess(exit)) return exit.value
        throw signal?.aborted === true && Cause.hasInterrupts(exit.cause) ? signal.reason : Cause.squash(exit.cause)
      })

const readable = (read: ZarrReads.Get): Readable => ({
  get: (key, options) => run(read(key), options?.signal),
  getRange: (key, range, options) =>
    run(
      read(key, {
        range:
          "suffixLength" in range ? ByteRange.suffix(range.suffixLength) : ByteRange.bounded(range.offset, range.length)
      }),
      options?.signal
    )
})

/**
 * A session for zarrita to read.
 *
 * @example
 * ```ts
 * const root = zarr.root(ZarritaStore.fromSession(session))
 * const array = yield* Effect.promise(() => zarr.open(root.resolve("/heights"), { kind: "array" }))
 * const height = yield* Effect.promise(() => zarr.get(array, [360, 0]))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSession = (session: Session): Readable => readable(ZarrReads.get(session))

/**
 * A writable session for zarrita to read and write. Nothing is visible to others before the session is
 * committed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromWritableSession = (session: WritableSession): Mutable => {
  const store = ZarrStore.make(session)
  return { ...readable(store.get), set: (key, value) => run(store.set(key, value)) }
}
