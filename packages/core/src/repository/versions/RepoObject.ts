/**
 * Reads and changes the repository object, the only mutable file of Icechunk.
 *
 * Every change is one conditional write. A lost answer is recognised: the copy made before each write has
 * a name of its own, which the operations log leads to from every later version.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { FormatError } from "../../encoding/FormatError.ts"
import * as IcechunkFile from "../../format/IcechunkFile.ts"
import * as RepoInfo from "../../format/RepoInfo.ts"
import type { Zstd } from "../../encoding/Zstd.ts"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { hasReason, isConflict, ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { RepositoryConfig } from "../../values/RepositoryConfig.ts"
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

/**
 * Reads the repository object, or the copy of an older one, from a key.
 *
 * @category reading
 * @since 0.1.0
 */
export const readAt = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  key: string,
  known?: Versioned
): Effect.fn.Return<Versioned, ObjectStoreError | FormatError, Zstd> {
  const { bytes, meta } = yield* store.get(key, {
    maxBytes: IcechunkFile.maxFileBytes("RepoInfo"),
    ifNoneMatch: known?.version.etag
  })
  const { maxHeld, payload } = yield* IcechunkFile.decode(key, bytes, "RepoInfo")
  const info = yield* Effect.fromResult(RepoInfo.decode(key, payload, { maxHeld }))
  return { info, version: meta.version }
})

/** What this program has read or written last in each store. */
const latest = new WeakMap<ObjectStore.ObjectStoreShape, Versioned>()

/**
 * The repository object as this program has read or written it last. Others may have changed it since: what it says is a
 * guess that a read or a conditional write has to confirm.
 *
 * @category accessors
 * @since 0.1.0
 */
export const known = (store: ObjectStore.ObjectStoreShape): Versioned | undefined => latest.get(store)

/**
 * Notes what was just written to a store by other means than `update`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const remember = (store: ObjectStore.ObjectStoreShape, written: Versioned): void => {
  latest.set(store, written)
}

/**
 * Reads the repository object. When it still is what is known, it is not sent again.
 *
 * @category reading
 * @since 0.1.0
 */
export const read: (
  store: ObjectStore.ObjectStoreShape
) => Effect.Effect<Versioned, ObjectStoreError | FormatError, Zstd> = /*#__PURE__*/ Effect.fn("RepoObject.read")(
  (store) =>
    Effect.suspend(() => {
      const before = known(store)
      return readAt(store, Layout.repo, before).pipe(
        Effect.tap((read) => Effect.sync(() => remember(store, read))),
        Effect.catchIf(hasReason("NotModified"), (error) =>
          before === undefined ? Effect.fail(error) : Effect.succeed(before)
        )
      )
    })
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

/**
 * The same as a configuration has it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const retryOf = (config: RepositoryConfig): RetryOptions => {
  const {
    initial_backoff_ms: initial,
    max_backoff_ms: max,
    max_tries: tries
  } = config.repo_update_retries?.default ?? {}
  return {
    attempts: tries ?? defaultRetry.attempts,
    initialDelay: initial ?? defaultRetry.initialDelay,
    maxDelay: max ?? defaultRetry.maxDelay
  }
}

/**
 * The random numbers of the context. It is the service of `effect/Random`, by its key: that module also loads what makes
 * secure ones, which takes a program longer than reading a chunk.
 */
const Random = /*#__PURE__*/ Context.Reference<{ readonly nextDoubleUnsafe: () => number }>("effect/Random", {
  defaultValue: () => ({ nextDoubleUnsafe: () => Math.random() })
})

/**
 * A random number from 0 to 1, exclusive.
 *
 * @category combinators
 * @since 0.1.0
 */
export const randomShare: Effect.Effect<number> = /*#__PURE__*/ Random.useSync((random) => random.nextDoubleUnsafe())

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
  Effect.flatMap(randomShare, (share) =>
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
const isWritten = /*#__PURE__*/ Effect.fnUntraced(function* (
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

/** A copy of the repository object: its name, and what is left to be done until it is durable. */
interface Copy {
  readonly name: string
  readonly writes: DeferredWrites.DeferredWrites
}

/**
 * The repository object, and a copy of exactly this version, if there is one already.
 *
 * @category models
 * @since 0.1.0
 */
export interface Prepared extends Versioned {
  readonly copy?: Copy | undefined
}

const copyTo = (
  store: ObjectStore.ObjectStoreShape,
  name: string,
  writes: DeferredWrites.DeferredWrites
): Effect.Effect<void, ObjectStoreError | ObjectStore.WriteForbidden> =>
  store.copy(Layout.repo, Layout.overwritten(name), { defer: writes.defer(name) })

/** Versions that this program wrote itself, and when, in milliseconds since 1970. */
const ownWrites = new WeakMap<Versioned, number>()

/** How long nobody else is expected to have written after this program. */
const quiet = 1000

/**
 * Whether this program wrote a version just now. It is likely to be there still: a write on that condition need not be
 * preceded by a look.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isJustWritten = (version: Versioned): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const writtenAt = ownWrites.get(version)
    return writtenAt !== undefined && now - writtenAt < quiet
  })

/**
 * A version that was just read or written, with a copy; see `prepare`.
 *
 * @category reading
 * @since 0.1.0
 */
export const withCopy = (store: ObjectStore.ObjectStoreShape, version: Versioned): Effect.Effect<Prepared> =>
  // What is wrong with a copy is said by the one that the update then makes itself.
  Effect.map(Effect.option(copied(store)), (copy) => ({ ...version, copy: Option.getOrUndefined(copy) }))

/** Copies the repository object under a new name. */
const copied = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape
): Effect.fn.Return<Copy, ObjectStoreError | ObjectStore.WriteForbidden> {
  const name = Layout.backupName(yield* Clock.currentTimeMillis, yield* RandomId.writeId)
  const writes = DeferredWrites.make()
  yield* copyTo(store, name, writes)
  return { name, writes }
})

/**
 * Whether `check` passes for the object as it is known, so that it is worth while to begin before it is read.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isForeseen = (store: ObjectStore.ObjectStoreShape, check: Check<unknown>): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const before = known(store)
    return before === undefined ? Effect.succeed(false) : Effect.isSuccess(check(before.info))
  })

/**
 * Fails when a change cannot be made to an object. Makes no request.
 *
 * @category models
 * @since 0.1.0
 */
export type Check<E> = (info: RepoInfo.RepoInfo) => Effect.Effect<void, E>

/**
 * Reads the repository object, fails unless `check` passes for it, and copies it: at the same time when it passes for
 * what is known. No copy is made of an object that does not pass, and none is waited for.
 *
 * The copy that comes with an object is of that version. It was made between two moments at which `repo` was this
 * version: when it was read or written first, and when a write on the condition that it still is has succeeded.
 * In between it was no other one, because no version comes back: a generation, or an ETag, names one write or one
 * content. Where that write is refused, the copy is nobody's.
 *
 * @category reading
 * @since 0.1.0
 */
export const prepare = /*#__PURE__*/ Effect.fnUntraced(function* <E>(
  store: ObjectStore.ObjectStoreShape,
  check: Check<E> | undefined
): Effect.fn.Return<Prepared, E | ObjectStoreError | FormatError, Zstd> {
  if (check === undefined) return yield* read(store)
  // What is wrong with a copy is said by the one that the update then makes itself.
  const copy = Effect.option(copied(store))
  const before = known(store)
  const checked = Effect.tap(read(store), ({ info }) => check(info))
  const [now, early] = (yield* isForeseen(store, check))
    ? yield* Effect.all([checked, copy], { concurrency: 2 })
    : [yield* checked, Option.none<Copy>()]
  const made = now === before && Option.isSome(early) ? early : yield* copy
  return { ...now, copy: Option.getOrUndefined(made) }
})

/**
 * How a change is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdateOptions {
  /** Operations that the object lists. */
  readonly updatesPerObject: number
  /** The object to begin with, unless this program knows a later one (default: it is read). */
  readonly from?: Prepared | undefined
  readonly retry?: RetryOptions | undefined
  readonly onWritten?: (() => void) | undefined
  /** Makes durable what the change refers to; see `PutOptions`. */
  readonly after?: Effect.Effect<void, ObjectStoreError> | undefined
  /** Tells the write by what it wrote, which saves the search in the log where it is. */
  readonly isWrittenIn?: ((info: RepoInfo.RepoInfo) => boolean) | undefined
  /** Whether to write also while the repository is read-only or offline (default `false`): to bring it back online. */
  readonly whenLimited?: boolean | undefined
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
  options: UpdateOptions & {
    /** Whether the change can be made; with it the object is copied while it is read. */
    readonly check?: Check<E | ObjectStore.WriteForbidden> | undefined
  }
) => Effect.Effect<Versioned, E | UpdateError, Zstd> = /*#__PURE__*/ Effect.fn("RepoObject.update")(
  (store, change, options) =>
    Effect.andThen(
      ObjectStore.ensureWritable(store),
      Turns.inTurn(store, Layout.repo)(Effect.suspend(() => updateInTurn(store, change, options)))
    )
)

/**
 * The zstd level: the lowest, whatever that of other files is. Each change compresses the whole object, most of which are
 * ids, so that a higher level gains a twentieth and costs twice the time.
 */
const level = 1

/** When the latest operation happened. */
const timeOf = ({ info }: Versioned): number => info.latestUpdates[0]?.updatedAt ?? 0

/** What this program knows when that is later: a write over the earlier one would be refused. */
const orLater = (store: ObjectStore.ObjectStoreShape, from: Prepared): Prepared => {
  const now = known(store)
  return now !== undefined && timeOf(now) > timeOf(from) ? now : from
}

const updateInTurn = /*#__PURE__*/ Effect.fnUntraced(function* <E>(
  store: ObjectStore.ObjectStoreShape,
  change: (info: RepoInfo.RepoInfo) => Effect.Effect<Changed | undefined, E>,
  options: Parameters<typeof update<E>>[2]
): Effect.fn.Return<Versioned, E | UpdateError, Zstd> {
  const retry = options.retry ?? defaultRetry
  // A write that was not answered may happen as long as its object is there, so that all attempts count.
  const copies = new Set<string>()
  let current: Prepared =
    options.from === undefined ? yield* prepare(store, options.check) : orLater(store, options.from)
  for (let attempt = 1; ; attempt++) {
    if (options.whenLimited !== true) yield* ensureOnline(store, current.info)
    const changed = yield* change(current.info)
    if (changed === undefined) return current
    const writtenAt = yield* Clock.currentTimeMillis
    const { copy } = current
    const backup = copy?.name ?? Layout.backupName(writtenAt, yield* RandomId.writeId)
    const next = log(changed, { now: writtenAt * 1000, backup, limit: options.updatesPerObject })
    if (!Number.isSafeInteger(next.latestUpdates[0]!.updatedAt)) {
      return yield* new ClockSkew({ store: store.description, latest: current.info.latestUpdates[0]!.updatedAt })
    }
    const bytes = yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(next), { level })
    copies.add(backup)
    const replaced = current.info
    const copying = copy?.writes ?? DeferredWrites.make()
    // Nothing is visible before all of it is durable, and the copy is what a later reader of the log needs.
    const after = Effect.all([DeferredWrites.settleAll(copying), options.after ?? Effect.void], {
      concurrency: 2,
      discard: true
    })
    const settled: Settled = yield* Effect.uninterruptibleMask(
      Effect.fnUntraced(function* (restore) {
        // As in `prepare`, a copy of another object than `current` does no harm: the put that follows is refused.
        const written = yield* (copy === undefined ? restore(copyTo(store, backup, copying)) : Effect.void).pipe(
          Effect.andThen(store.put(Layout.repo, bytes, { mode: ObjectStore.update(current.version), after })),
          Effect.map(Result.succeed),
          Effect.catchTag("ObjectStoreError", (error) =>
            mayHaveHappened(error) ? Effect.succeed(Result.fail(error)) : Effect.fail(error)
          )
        )
        if (Result.isSuccess(written)) {
          options.onWritten?.()
          const now: Versioned = { info: next, version: written.success }
          remember(store, now)
          ownWrites.set(now, writtenAt)
          return { now, failure: undefined }
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
