/**
 * Reads and changes the repository object, the only mutable file of Icechunk.
 *
 * Every change is one conditional write. A lost answer is recognised: the copy made before each write has
 * a name of its own, which the operations log leads to from every later version.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { FormatError } from "../../encoding/FormatError.ts"
import * as IcechunkFile from "../../format/IcechunkFile.ts"
import * as RepoInfo from "../../format/RepoInfo.ts"
import type { Zstd } from "../../encoding/Zstd.ts"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isConflict, ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as Layout from "../Layout.ts"
import * as RandomId from "../RandomId.ts"
import * as Turns from "../Turns.ts"
import { ClockSkew, OutcomeUnknown, RepositoryBusy } from "../RepositoryError.ts"
import * as OwnWrite from "./OwnWrite.ts"
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

const readAt = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  key: string
): Effect.fn.Return<Versioned, ObjectStoreError | FormatError, Zstd> {
  const { bytes, meta } = yield* store.get(key, { maxBytes: IcechunkFile.maxFileBytes("RepoInfo") })
  const { maxHeld, payload } = yield* IcechunkFile.decode(key, bytes, "RepoInfo")
  const info = yield* Effect.fromResult(RepoInfo.decode(key, payload, { maxHeld }))
  return { info, version: meta.version }
})

/**
 * Reads the repository object.
 *
 * @category reading
 * @since 0.1.0
 */
export const read: (
  store: ObjectStore.ObjectStoreShape
) => Effect.Effect<Versioned, ObjectStoreError | FormatError, Zstd> = Effect.fn("RepoObject.read")((store) =>
  readAt(store, Layout.repo)
)

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

/** Writes that are tried again without waiting for the clock. */
const promptAttempts = 8

/**
 * Waits before write number `attempt` (from 2): a random part of an exponentially growing delay, so that
 * writers that collided do not collide again.
 *
 * The first times only the other fibers of this process get their turns: writers of one process settle so among
 * themselves, also where nobody moves the clock, and on a remote store the requests of a round take longer than
 * a delay would.
 *
 * @category combinators
 * @since 0.1.0
 */
export const backOff = (attempt: number, options: RetryOptions): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (share) =>
    attempt <= promptAttempts
      ? Effect.repeat(Effect.yieldNow, { times: Math.floor(share * 2 ** attempt) })
      : Effect.sleep(
          share * Math.min(options.maxDelay, options.initialDelay * 2 ** Math.min(attempt - 1 - promptAttempts, 30))
        )
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

/** Copies of older objects that the search for an own write reads at most. */
const maxPages = 1000

/** Looks for an own write in the log of `now`, and in the copies that continue it. */
const isWritten = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  now: RepoInfo.RepoInfo,
  sought: OwnWrite.Sought
): Effect.fn.Return<boolean, ObjectStoreError | FormatError, Zstd> {
  let page = now
  let file: string = Layout.repo
  for (let pages = 0; ; pages++) {
    const found = OwnWrite.find(page, sought, pages === 0)
    if (found._tag !== "Before" && found._tag !== "Broken") return found._tag === "Written"
    if (found._tag === "Broken" || pages === maxPages) {
      const problem = found._tag === "Broken" ? found.problem : `it goes on in more than ${maxPages} older copies`
      return yield* new FormatError({ file, field: "latest_updates", problem })
    }
    file = Layout.overwritten(found.copy)
    page = (yield* patiently(readAt(store, file))).info
  }
})

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
 * Why the repository object could not be changed.
 *
 * @category errors
 * @since 0.1.0
 */
export type UpdateError =
  | ObjectStoreError
  | ObjectStore.WriteForbidden
  | FormatError
  | RepositoryBusy
  | OutcomeUnknown
  | ClockSkew

/**
 * How a change is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdateOptions {
  /** The zstd level. */
  readonly level: number
  /** Operations that the object lists. */
  readonly updatesPerObject: number
  /** The object as it was read last, which saves a read unless this program has written since. */
  readonly from?: Versioned | undefined
  readonly retry?: RetryOptions | undefined
  readonly onWritten?: (() => void) | undefined
  /** Makes durable what the change refers to; see `PutOptions`. */
  readonly after?: Effect.Effect<void, ObjectStoreError> | undefined
  /** Tells the write by what it wrote, which saves the search in the log where it is. */
  readonly isWrittenIn?: ((info: RepoInfo.RepoInfo) => boolean) | undefined
}

/**
 * Applies `change` to the newest repository object until it is written.
 *
 * The former object is copied to `overwritten/` before it is replaced. `change` may run several times; when
 * it returns `undefined` there is nothing to write.
 *
 * While the write is under way an interruption waits until it is known what became of it; `onWritten` runs
 * before the interruption does. Fails with `OutcomeUnknown` when that cannot be known.
 *
 * @category writing
 * @since 0.1.0
 */
export const update: <E>(
  store: ObjectStore.ObjectStoreShape,
  change: (info: RepoInfo.RepoInfo) => Effect.Effect<Changed | undefined, E>,
  options: UpdateOptions
) => Effect.Effect<Versioned, E | UpdateError, Zstd> = Effect.fn("RepoObject.update")((store, change, options) =>
  Effect.andThen(
    ObjectStore.ensureWritable(store),
    Turns.inTurn(store, Layout.repo)(Effect.suspend(() => updateInTurn(store, change, options)))
  )
)

/** When the latest operation happened. */
const timeOf = ({ info }: Versioned): number => info.latestUpdates[0]?.updatedAt ?? 0

/** The time of what this program wrote last. */
const lastWritten = new WeakMap<ObjectStore.ObjectStoreShape, number>()

const updateInTurn = Effect.fnUntraced(function* <E>(
  store: ObjectStore.ObjectStoreShape,
  change: (info: RepoInfo.RepoInfo) => Effect.Effect<Changed | undefined, E>,
  options: UpdateOptions
): Effect.fn.Return<Versioned, E | UpdateError, Zstd> {
  const retry = options.retry ?? defaultRetry
  // A write that was not answered may happen as long as its object is there, so that all attempts count.
  const copies = new Set<string>()
  const { from } = options
  let current = from === undefined || timeOf(from) < (lastWritten.get(store) ?? 0) ? yield* read(store) : from
  for (let attempt = 1; ; attempt++) {
    yield* ensureOnline(store, current.info)
    const changed = yield* change(current.info)
    if (changed === undefined) return current
    const now = yield* Clock.currentTimeMillis
    const backup = Layout.backupName(now, yield* RandomId.writeId)
    const next = log(changed, { now: now * 1000, backup, limit: options.updatesPerObject })
    if (!Number.isSafeInteger(next.latestUpdates[0]!.updatedAt)) {
      return yield* new ClockSkew({ store: store.description, latest: current.info.latestUpdates[0]!.updatedAt })
    }
    const bytes = yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(next), { level: options.level })
    copies.add(backup)
    const replaced = current.info
    const copying = DeferredWrites.make()
    // Nothing is visible before all of it is durable, and the copy is what a later reader of the log needs.
    const after = Effect.all([DeferredWrites.settleAll(copying), options.after ?? Effect.void], {
      concurrency: 2,
      discard: true
    })
    const settled: Settled = yield* Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
        // A copy of a newer object than `current` does no harm: the put that follows is refused.
        const written = yield* restore(
          store.copy(Layout.repo, Layout.overwritten(backup), { defer: copying.defer(backup) })
        ).pipe(
          Effect.andThen(store.put(Layout.repo, bytes, { mode: ObjectStore.update(current.version), after })),
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
        const unknown = (cause: ObjectStoreError | FormatError): OutcomeUnknown =>
          new OutcomeUnknown({ store: store.description, problem: cause.message, cause })
        const now = yield* Effect.mapError(patiently(read(store)), unknown)
        const isOurs =
          options.isWrittenIn?.(now.info) === true ||
          (yield* Effect.mapError(restore(isWritten(store, now.info, { replaced, copies })), unknown))
        if (!isOurs) return { now, failure: written.failure }
        options.onWritten?.()
        return { now, failure: undefined }
      })
    )
    if (settled.failure === undefined) {
      lastWritten.set(store, timeOf(settled.now))
      return settled.now
    }
    if (attempt >= retry.attempts) {
      return yield* isConflict(settled.failure)
        ? new RepositoryBusy({ store: store.description, attempts: attempt })
        : settled.failure
    }
    current = settled.now
  }
})
