/**
 * Reads and changes the repository object, the only mutable file of Icechunk.
 *
 * Every change is one conditional write. A lost answer is recognised: the copy made before each write has
 * a name of its own, and that name is in the operations log of every later version.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { FormatError } from "../../encoding/FormatError.ts"
import * as IcechunkFile from "../../format/IcechunkFile.ts"
import * as RepoInfo from "../../format/RepoInfo.ts"
import type { Zstd } from "../../encoding/Zstd.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isConflict, ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as Layout from "../Layout.ts"
import * as RandomId from "../RandomId.ts"
import { type Changed, log } from "./RepoChange.ts"

/**
 * The repository object with the version it was read at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Versioned {
  readonly info: RepoInfo.RepoInfo
  readonly version: ObjectStore.Version
}

/**
 * Reads the repository object.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = Effect.fn("RepoObject.read")(function* (
  store: ObjectStore.ObjectStoreShape
): Effect.fn.Return<Versioned, ObjectStoreError | FormatError, Zstd> {
  const { bytes, meta } = yield* store.get(Layout.repo)
  const { maxHeld, payload } = yield* IcechunkFile.decode(Layout.repo, bytes, "RepoInfo")
  const info = yield* Effect.fromResult(RepoInfo.decode(Layout.repo, payload, { maxHeld }))
  return { info, version: meta.version }
})

/**
 * Fails with `WriteForbidden` when the repository has been set read-only or offline.
 *
 * @category predicates
 * @since 0.1.0
 */
export const ensureOnline = (
  store: ObjectStore.ObjectStoreShape,
  info: RepoInfo.RepoInfo
): Effect.Effect<void, ObjectStore.WriteForbidden> =>
  info.status.availability === "Online"
    ? Effect.void
    : Effect.fail(
        new ObjectStore.WriteForbidden({
          target: store.description,
          because: `the repository's status is ${info.status.availability === "ReadOnly" ? "read-only" : "offline"}${info.status.reason === undefined ? "" : `: ${info.status.reason}`}`
        })
      )

/**
 * How often and how fast a write that lost a race is tried again.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions {
  /** Writes in all (default 100). */
  readonly attempts: number
  /** Longest delay before the second write, in milliseconds; it doubles from write to write (default 20). */
  readonly initialDelay: number
  /** Longest delay at all, in milliseconds (default 2,000). */
  readonly maxDelay: number
}

/**
 * @category constants
 * @since 0.1.0
 */
export const defaultRetry: RetryOptions = { attempts: 100, initialDelay: 20, maxDelay: 2000 }

/**
 * Waits before write number `attempt` (from 2): a random part of an exponentially growing delay, so that
 * writers that collided do not collide again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const backOff = (attempt: number, options: RetryOptions): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (share) =>
    Effect.sleep(share * Math.min(options.maxDelay, options.initialDelay * 2 ** Math.min(attempt - 2, 30)))
  )

/**
 * Retries a read a few times: whether a write happened is only known from what is there after it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const patiently = <A, E extends { readonly _tag: string }, R>(
  read: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.retry(read, {
    times: 5,
    while: (error) => error instanceof ObjectStoreError && error.isRetryable,
    schedule: Schedule.exponential("100 millis").pipe(Schedule.jittered)
  })

const copiesNamedIn = (info: RepoInfo.RepoInfo): ReadonlyArray<string> =>
  [...info.latestUpdates.map(({ backupPath }) => backupPath), info.repoBeforeUpdates].filter(
    (name) => name !== undefined
  )

/** What a write has come to: the object as it is now, and why it is not the one that was written. */
interface Settled {
  readonly now: Versioned
  readonly failure: ObjectStoreError | undefined
}

/**
 * Whether a write may have happened although this was its answer.
 *
 * @category predicates
 * @since 0.1.0
 */
export const mayHaveHappened = (error: ObjectStoreError): boolean => isConflict(error) || error.isRetryable

/**
 * Applies `change` to the newest repository object until it is written. `from` saves the first read.
 *
 * The former object is copied to `overwritten/` before it is replaced. `change` may run several times; when
 * it returns `undefined` there is nothing to write.
 *
 * While the write is under way an interruption waits until it is known what became of it; `onWritten` runs
 * before the interruption does.
 *
 * @category writing
 * @since 0.1.0
 */
export const update = Effect.fn("RepoObject.update")(function* <E>(
  store: ObjectStore.ObjectStoreShape,
  change: (info: RepoInfo.RepoInfo) => Effect.Effect<Changed | undefined, E>,
  options: {
    readonly level: number
    readonly updatesPerObject: number
    readonly from?: Versioned | undefined
    readonly retry?: RetryOptions | undefined
    readonly onWritten?: (() => void) | undefined
    /** Tells the write by what it wrote, where the log is so short that others have pushed its entry out. */
    readonly isWrittenIn?: ((info: RepoInfo.RepoInfo) => boolean) | undefined
  }
): Effect.fn.Return<Versioned, E | ObjectStoreError | ObjectStore.WriteForbidden | FormatError, Zstd> {
  yield* ObjectStore.ensureWritable(store)
  const retry = options.retry ?? defaultRetry
  const ours = new Set<string>()
  let current = options.from ?? (yield* read(store))
  for (let attempt = 1; ; attempt++) {
    yield* ensureOnline(store, current.info)
    const changed = yield* change(current.info)
    if (changed === undefined) return current
    const now = yield* Clock.currentTimeMillis
    const backup = Layout.backupName(now, yield* RandomId.writeId)
    const next = log(changed, { now: now * 1000, backup, limit: options.updatesPerObject })
    const bytes = yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(next), { level: options.level })
    ours.add(backup)
    const settled: Settled = yield* Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
        // A copy of a newer object than `current` does no harm: the put that follows is refused.
        const written = yield* restore(store.copy(Layout.repo, Layout.overwritten(backup))).pipe(
          Effect.andThen(store.put(Layout.repo, bytes, { mode: ObjectStore.update(current.version) })),
          Effect.map(Result.succeed),
          Effect.catchTag("ObjectStoreError", (error) =>
            mayHaveHappened(error) ? Effect.succeed(Result.fail(error)) : Effect.fail(error)
          )
        )
        if (Result.isSuccess(written)) {
          options.onWritten?.()
          return { now: { info: next, version: written.success }, failure: undefined }
        }
        // Whoever is interrupted does not wait longer, and still looks.
        yield* Effect.exit(restore(backOff(attempt + 1, retry)))
        const now = yield* patiently(read(store))
        const isOurs =
          copiesNamedIn(now.info).some((name) => ours.has(name)) || options.isWrittenIn?.(now.info) === true
        if (!isOurs) return { now, failure: written.failure }
        options.onWritten?.()
        return { now, failure: undefined }
      })
    )
    if (settled.failure === undefined) return settled.now
    if (attempt >= retry.attempts) return yield* settled.failure
    current = settled.now
  }
})
