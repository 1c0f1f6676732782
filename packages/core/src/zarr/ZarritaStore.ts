/**
 * A Zarr store in the shape that zarrita expects: promises, `undefined` for a missing key, and an
 * `AbortSignal`. The shape is structural; zarrita is not imported.
 *
 * zarrita calls a store from promises, where no Effect is around. A store therefore remembers the context that it was made
 * in: the tracer and the span, loggers, annotations and references. A read has, over that, the context of the program that
 * asks for it, where this is known: in `use`, and for what zarrita asks of the store at once when an Effect calls it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Session } from "../repository/Session.ts"
import type { WritableSession } from "../repository/WritableSession.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as Consolidated from "./Consolidated.ts"
import * as LoadedStore from "./LoadedStore.ts"
import * as ZarritaDocument from "./ZarritaDocument.ts"
import { ofZarrita, StoreClosed, type ZarritaError } from "./ZarritaError.ts"
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
 * What zarrita reads from. Promises reject with the typed errors of `ZarrStore`, with `StoreClosed`, or with the signal's
 * reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface Readable {
  get(key: `/${string}`, options?: ReadOptions): Promise<Uint8Array | undefined>
  getRange(key: `/${string}`, range: RangeQuery, options?: ReadOptions): Promise<Uint8Array | undefined>
  /** All groups and arrays by path, as zarrita lists them for a store with consolidated metadata. No request is made. */
  contents(): Array<{ path: `/${string}`; kind: "array" | "group" }>
}

/**
 * The shape of zarrita's stores that are in memory: what is asked for is there at once. Both methods throw where those of
 * `Readable` reject.
 *
 * @category models
 * @since 0.1.0
 */
export interface SyncReadable {
  get(key: `/${string}`): Uint8Array | undefined
  getRange(key: `/${string}`, range: RangeQuery): Uint8Array | undefined
  /** All groups and arrays that were loaded, by path. */
  contents(): Array<{ path: `/${string}`; kind: "array" | "group" }>
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

/**
 * Why a read through zarrita failed.
 *
 * @category errors
 * @since 0.1.0
 */
export type UseError = ZarrReads.ReadError | StoreClosed | ZarritaError

/**
 * Why a read or a write through zarrita failed.
 *
 * @category errors
 * @since 0.1.0
 */
export type UseWritableError = UseError | ZarrStore.WriteError

/** The contexts of programs that wait for zarrita, by the signals that they gave it. */
const readers = new WeakMap<AbortSignal, Context.Context<never>>()

/** Why promises of stores were rejected, by the errors that zarrita saw. */
const failedReads = new WeakMap<WeakKey, Cause.Cause<ZarrReads.ReadError | StoreClosed>>()
const failedWrites = new WeakMap<WeakKey, Cause.Cause<ZarrStore.WriteError | StoreClosed>>()

type Run = <A, E>(
  effect: Effect.Effect<A, E>,
  failed: WeakMap<WeakKey, Cause.Cause<E | StoreClosed>>,
  key: string,
  signal?: AbortSignal
) => Promise<A>

/** Runs what zarrita asks for; what runs ends with the scope. */
const runner = (made: Context.Context<never>, scope: Scope.Scope | undefined): Run => {
  // Most reads are of the reader before.
  let last: { readonly reader: Context.Context<never>; readonly both: Context.Context<never> } | undefined

  const contextFor = (signal: AbortSignal | undefined): Context.Context<never> => {
    const reader = (signal === undefined ? undefined : readers.get(signal)) ?? Fiber.getCurrent()?.context
    if (reader === undefined || reader === made) return made
    if (last?.reader !== reader) last = { reader, both: Context.merge(made, reader) }
    return last.both
  }

  const problemOf = <E>(
    cause: Cause.Cause<E>,
    failed: WeakMap<WeakKey, Cause.Cause<E | StoreClosed>>,
    key: string
  ): unknown => {
    if (Cause.hasInterruptsOnly(cause)) {
      const closed = new StoreClosed({ key })
      failed.set(closed, Cause.fail(closed))
      return closed
    }
    const problem = Cause.squash(cause)
    if (typeof problem === "object" && problem !== null) failed.set(problem, cause)
    return problem
  }

  return (effect, failed, key, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      if (scope?.state._tag === "Closed") return reject(problemOf(Cause.interrupt(), failed, key))
      const fiber = Effect.runForkWith(contextFor(signal))(effect, signal === undefined ? {} : { signal })
      if (scope !== undefined) Fiber.runIn(fiber, scope)
      fiber.addObserver((exit) => {
        if (Exit.isSuccess(exit)) return resolve(exit.value)
        const isAborted = signal?.aborted === true && Cause.hasInterrupts(exit.cause)
        reject(isAborted ? signal.reason : problemOf(exit.cause, failed, key))
      })
    })
}

const rangeOf = (range: RangeQuery): ByteRange.ByteRange =>
  "suffixLength" in range ? ByteRange.suffix(range.suffixLength) : ByteRange.bounded(range.offset, range.length)

/**
 * The bytes at the start of a buffer: chunks that were read together share one, and zarrita's `vlen-utf8` reads that from its
 * start, wherever the chunk is in it.
 */
const alone = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
  bytes === undefined || bytes.byteOffset === 0 ? bytes : new Uint8Array(bytes)

const readable = (session: Session, read: ZarrReads.Get, run: Run): Readable => {
  const whole = (key: string) => Effect.map(read(key), (bytes) => ZarritaDocument.value(key, alone(bytes)))
  const part = (key: string, range: RangeQuery) => Effect.map(read(key, { range: rangeOf(range) }), alone)
  return {
    get: (key, options) => run(whole(key), failedReads, key, options?.signal),
    getRange: (key, range, options) => run(part(key, range), failedReads, key, options?.signal),
    contents: () => Consolidated.contents(Consolidated.nodesOf(session))
  }
}

const reading = (session: Session, run: Run): Readable =>
  readable(session, Consolidated.reading(session, ZarrReads.get(session)), run)

const writing = (session: WritableSession, run: Run): Mutable => {
  const store = ZarrStore.make(session)
  return { ...readable(session, store.get, run), set: (key, value) => run(store.set(key, value), failedWrites, key) }
}

const runHere = /*#__PURE__*/ Effect.zipWith(/*#__PURE__*/ Effect.context(), Effect.scope, runner)

/**
 * A session for zarrita to read, in the context of the program that makes it. When the scope closes, reads that are not done
 * are interrupted and fail with `StoreClosed`, and so do later ones.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (session: Session): Effect.Effect<Readable, never, Scope.Scope> =>
  Effect.map(runHere, (run) => reading(session, run))

/**
 * A writable session for zarrita to read and write, in the context of the program that makes it; see `make`. Nothing is
 * visible to others before the session is committed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWritable = (session: WritableSession): Effect.Effect<Mutable, never, Scope.Scope> =>
  Effect.map(runHere, (run) => writing(session, run))

const nowhere = (): Run => runner(Context.empty(), undefined)

/**
 * A session for zarrita to read, for programs without an Effect around them.
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
export const fromSession = (session: Session): Readable => reading(session, nowhere())

/**
 * A writable session for zarrita to read and write, for programs without an Effect around them. Nothing is visible to others
 * before the session is committed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromWritableSession = (session: WritableSession): Mutable => writing(session, nowhere())

/**
 * Reads a part of a session into memory: a node (the root unless given) and all below it, such as the coordinates of a data
 * set. What zarrita then reads of it takes no request, and needs neither the scope nor the repository. Chunks are planned
 * together, so that there are few requests; none is made for them if all together have more than `maxBytes` (default 64 MiB).
 *
 * Fails with `StoreTooLarge` then, with `NodeNotFound` for a path that nothing is at, and as reading a chunk does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load: (
  session: Session,
  options?: { readonly path?: string | undefined; readonly maxBytes?: number | undefined }
) => Effect.Effect<SyncReadable, LoadedStore.LoadError> = /*#__PURE__*/ Effect.fn("ZarritaStore.load")(function* (
  session,
  options = {}
) {
  const { nodes, values } = yield* LoadedStore.read(session, options.path ?? "/", options.maxBytes)
  return {
    get: (key) =>
      key === Consolidated.key
        ? Consolidated.document(nodes)
        : ZarritaDocument.value(key, LoadedStore.valueOf(values, key, undefined)),
    getRange: (key, range) => LoadedStore.valueOf(values, key, rangeOf(range)),
    contents: () => Consolidated.contents(nodes)
  }
})

/** Waits for zarrita. What it was rejected with is looked up in `failed`, by its error. */
const waiting = <A, E>(
  f: (signal: AbortSignal) => PromiseLike<A>,
  failed: (problem: WeakKey) => Cause.Cause<E> | undefined
): Effect.Effect<A, E | ZarritaError> =>
  Effect.callback((resume, signal) => {
    readers.set(signal, Fiber.getCurrent()!.context)
    const fail = (problem: unknown): void => {
      const known = typeof problem === "object" && problem !== null ? failed(problem) : undefined
      if (known !== undefined) return resume(Effect.failCause(known))
      const error = ofZarrita(problem)
      resume(error === undefined ? Effect.die(problem) : Effect.fail(error))
    }
    try {
      f(signal).then((value) => resume(Effect.succeed(value)), fail)
    } catch (problem) {
      fail(problem)
    }
  })

/**
 * Waits for zarrita: `use((signal) => zarr.get(array, null, { signal }))`. The signal ends zarrita's reads when the Effect is
 * interrupted, and reads that are given it have the context of this Effect: its span, loggers and references.
 *
 * Errors of the store come back typed, as the store failed with them, and those of zarrita as `ZarritaError`; anything else
 * that is thrown is a defect, and so are failed writes, which are typed in `useWritable`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const use = <A>(f: (signal: AbortSignal) => PromiseLike<A>): Effect.Effect<A, UseError> =>
  waiting(f, (problem) => failedReads.get(problem))

/**
 * As `use`, for what also writes. zarrita gives no signal to its writes: one that has begun is done when the Effect is
 * interrupted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const useWritable = <A>(f: (signal: AbortSignal) => PromiseLike<A>): Effect.Effect<A, UseWritableError> =>
  waiting(
    f,
    (problem): Cause.Cause<UseWritableError> | undefined => failedReads.get(problem) ?? failedWrites.get(problem)
  )
