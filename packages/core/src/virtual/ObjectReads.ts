/**
 * Reads of parts of objects. Those that begin in the same turn and want the same version of the same object are answered
 * with as few requests as the range plan allows, each as soon as its own request is.
 *
 * What is done for a read is done without an Effect: it is noted, and resumed. Effects are what is done for a request.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Body from "../store/Body.ts"
import type { GetOptions, GetResult, ObjectMeta } from "../store/ObjectStore.ts"
import {
  hasReason,
  InvalidRange,
  InvalidResponse,
  ObjectStoreError,
  PreconditionFailed,
  type Reason
} from "../store/ObjectStoreError.ts"
import * as RangePlan from "../store/RangePlan.ts"
import * as RequestCost from "../store/RequestCost.ts"
import type { Lane, Passenger, RequestGate } from "../store/RequestGate.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as Checksum from "../values/Checksum.ts"
import type { Address, Opened } from "./ContainerStores.ts"
import type { ChecksumMismatch, VirtualReadError } from "./VirtualReadError.ts"

/**
 * One version of an object, and what its answers mean. Reads of the same target are merged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  /** Where the object is: in a container's store, which is opened when it is needed, or in one that is open. */
  readonly place: Address | Lane
  readonly key: string
  readonly conditions: Omit<GetOptions, "range"> | undefined
  /** What an error of the store means for those who read `location`. */
  readonly failure: (error: ObjectStoreError, store: string, location: string) => VirtualReadError
  /** What is wrong with the version of an answer; absent where none is. */
  readonly mismatch: ((meta: ObjectMeta, location: string) => ChecksumMismatch | undefined) | undefined
  /** Whether a mismatch is only logged. */
  readonly warns: boolean
  /** Whether what is read together must be of one version, also where there is nothing to compare it with. */
  readonly isOneVersion?: boolean | undefined
  /** The reads of this turn; theirs who collect them. */
  batch: Batch | undefined
}

/**
 * A range of a target; `location` is how its reader spells where it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wanted extends ByteRange.Span {
  readonly target: Target
  readonly location: string
}

/**
 * Where requests come in: a gate, or what is before it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entrance {
  readonly enter: (passenger: Passenger) => void
  readonly leave: (passenger: Passenger) => void
  readonly withdraw: (passenger: Passenger) => boolean
}

/** How a batch is read, where that is not as the others are. */
interface Manner {
  readonly entrance: Entrance
  readonly plan: RangePlan.Options | undefined
}

/** Somebody who waits for a range. */
class Reader implements ByteRange.Span {
  readonly start: number
  readonly end: number
  readonly resume: (exit: Exit.Exit<Uint8Array, VirtualReadError>) => void
  readonly context: Context.Context<never>
  /** What this reader is one of: the reads of a turn, then those of a request. */
  readers: Readers
  isGone = false

  constructor(
    start: number,
    end: number,
    resume: (exit: Exit.Exit<Uint8Array, VirtualReadError>) => void,
    context: Context.Context<never>,
    readers: Readers
  ) {
    this.start = start
    this.end = end
    this.resume = resume
    this.context = context
    this.readers = readers
  }

  leave(): void {
    if (this.isGone) return
    this.isGone = true
    this.readers.leave()
  }
}

interface Readers {
  /** One of them no longer waits. */
  readonly leave: () => void
}

/** The reads of a turn that have the same target. */
class Batch implements Readers {
  readonly target: Target
  /** As the first reader spelled it. */
  readonly location: string
  /** Until they are those of requests. */
  readers: Array<Reader> = []
  readonly manner: Manner
  lease: Lease | undefined
  /** Readers that wait and are not part of a request yet. */
  waiting = 0
  /** Requests that are not done. */
  outstanding = 0
  hasWarned = false
  /** Of the first answer. */
  etag: string | undefined
  readonly #onAbandoned: (batch: Batch) => void

  constructor(target: Target, location: string, manner: Manner, onAbandoned: (batch: Batch) => void) {
    this.target = target
    this.location = location
    this.manner = manner
    this.#onAbandoned = onAbandoned
  }

  add(reader: Reader): void {
    this.readers.push(reader)
    this.waiting++
  }

  leave(): void {
    if (--this.waiting === 0) this.#onAbandoned(this)
  }
}

/** A container's store while it is in use. */
interface Lease {
  readonly id: string
  /** Batches that need it. */
  users: number
  waiting: Array<Batch>
  opened: { readonly lane: Lane; readonly store: Opened } | undefined
  /** Lets the store go. */
  close: (() => void) | undefined
  fiber: Fiber.Fiber<void, VirtualReadError> | undefined
}

/** A request, and the readers that it answers, by ascending start. */
class Request implements Passenger, Readers {
  readonly batch: Batch
  readonly lane: Lane
  readonly start: number
  readonly end: number
  readonly readers: ReadonlyArray<Reader>
  /** Made because another one was refused. */
  readonly isRepetition: boolean
  readonly context: Context.Context<never>
  readonly pass: () => void
  ticket: number | undefined
  since: number | undefined
  waiting: number
  fiber: Fiber.Fiber<GetResult, VirtualReadError> | undefined
  readonly #onAbandoned: (request: Request) => void

  constructor(
    batch: Batch,
    lane: Lane,
    span: ByteRange.Span,
    readers: ReadonlyArray<Reader>,
    isRepetition: boolean,
    on: { readonly pass: (request: Request) => void; readonly abandoned: (request: Request) => void }
  ) {
    this.batch = batch
    this.lane = lane
    this.start = span.start
    this.end = span.end
    this.readers = readers
    this.waiting = readers.length
    this.context = readers[0]!.context
    this.isRepetition = isRepetition
    this.pass = () => on.pass(this)
    this.#onAbandoned = on.abandoned
    for (const reader of readers) reader.readers = this
  }

  get bytes(): number {
    return this.end - this.start
  }

  leave(): void {
    if (--this.waiting === 0) this.#onAbandoned(this)
  }
}

const isAddress = (place: Address | Lane): place is Address => "resolved" in place

const isRange = ({ end, start }: ByteRange.Span): boolean =>
  start >= 0 && end >= start && Number.isSafeInteger(start) && Number.isSafeInteger(end)

const firstWaiting = (readers: ReadonlyArray<Reader>): Reader | undefined => readers.find(({ isGone }) => !isGone)

const answer = (readers: ReadonlyArray<Reader>, exit: Exit.Exit<Uint8Array, VirtualReadError>): void => {
  for (const reader of readers) {
    if (reader.isGone) continue
    reader.isGone = true
    reader.resume(exit)
  }
}

/**
 * The reads of one repository. Requests and stores live no longer than `scope`; who waits then is interrupted.
 *
 * @category models
 * @since 0.1.0
 */
export class ObjectReads {
  readonly #scope: Scope.Scope
  readonly gate: RequestGate
  readonly #manner: Manner
  #collected: Array<Batch> = []
  readonly #leases = new Map<string, Lease>()
  readonly #onRequest = {
    pass: (request: Request): void => this.#run(request),
    abandoned: (request: Request): void => this.#abandon(request)
  }

  constructor(scope: Scope.Scope, gate: RequestGate, plan: RangePlan.Options | undefined) {
    this.#scope = scope
    this.gate = gate
    this.#manner = { entrance: gate, plan }
  }

  /** The bytes of a target from `start` to before `end`; `location` is how the reader spells where it is. */
  read(target: Target, location: string, start: number, end: number): Effect.Effect<Uint8Array, VirtualReadError> {
    return Effect.callback((resume) => {
      const fiber = Fiber.getCurrent()!
      let batch = target.batch
      if (batch === undefined) {
        batch = new Batch(target, location, this.#manner, this.#onAbandonedBatch)
        target.batch = batch
        if (this.#collected.push(batch) === 1) fiber.currentDispatcher.scheduleTask(this.#flush, 0)
      }
      const reader = new Reader(start, end, resume, fiber.context, batch)
      batch.add(reader)
      return Effect.sync(() => reader.leave())
    })
  }

  /**
   * Reads many ranges, planned at once; `onAnswer` gets what became of each, with its position. The context is that of the
   * requests. What is returned gives up what is not answered yet.
   */
  readAll(
    wanted: ReadonlyArray<Wanted>,
    options: {
      readonly context: Context.Context<never>
      readonly entrance: Entrance
      readonly maxRequest: number
      readonly onAnswer: (position: number, exit: Exit.Exit<Uint8Array, VirtualReadError>) => void
    }
  ): () => void {
    const { context, entrance, maxRequest, onAnswer } = options
    const { plan } = this.#manner
    const manner = {
      entrance,
      plan: { ...plan, maxRequest: Math.min(maxRequest, plan?.maxRequest ?? RangePlan.defaultMaxRequest) }
    }
    const batches = new Map<Target, Batch>()
    const readers: Array<Reader> = []
    for (const [i, { end, location, start, target }] of wanted.entries()) {
      let batch = batches.get(target)
      if (batch === undefined) {
        batches.set(target, (batch = new Batch(target, location, manner, this.#onAbandonedBatch)))
      }
      const reader = new Reader(start, end, (exit) => onAnswer(i, exit), context, batch)
      readers.push(reader)
      batch.add(reader)
    }
    for (const batch of batches.values()) if (batch.waiting > 0) this.#dispatch(batch)
    return () => {
      for (const reader of readers) reader.leave()
    }
  }

  readonly #flush = (): void => {
    const batches = this.#collected
    this.#collected = []
    for (const batch of batches) {
      batch.target.batch = undefined
      if (batch.waiting > 0) this.#dispatch(batch)
    }
  }

  #dispatch(batch: Batch): void {
    const { place } = batch.target
    if (!isAddress(place)) return this.#start(batch, place)
    let lease = this.#leases.get(place.store)
    if (lease === undefined) {
      lease = { id: place.store, users: 0, waiting: [], opened: undefined, close: undefined, fiber: undefined }
      this.#leases.set(lease.id, lease)
    }
    lease.users++
    batch.lease = lease
    if (lease.opened !== undefined) return this.#startIn(batch, place, lease.opened)
    lease.waiting.push(batch)
    if (lease.waiting.length === 1) this.#open(lease, place, firstWaiting(batch.readers)!.context)
  }

  /** Opens a store for those who wait for it, and keeps it open until nobody needs it. */
  #open(lease: Lease, place: Address, context: Context.Context<never>): void {
    const inUse = (store: Opened): Effect.Effect<void> =>
      Effect.callback((resume) => {
        const opened = { lane: this.gate.lane(store.store), store }
        lease.opened = opened
        lease.close = () => resume(Effect.void)
        const { waiting } = lease
        lease.waiting = []
        for (const batch of waiting) this.#startIn(batch, batch.target.place as Address, opened)
      })
    const fiber = Effect.runForkWith(context)(Effect.scoped(Effect.flatMap(place.stores.openStore(place), inUse)))
    lease.fiber = fiber
    Fiber.runIn(fiber, this.#scope).addObserver((exit) => {
      if (this.#leases.get(lease.id) === lease) this.#leases.delete(lease.id)
      lease.opened = undefined
      lease.close = undefined
      const { waiting } = lease
      lease.waiting = []
      if (Exit.isFailure(exit)) for (const batch of waiting) answer(batch.readers, Exit.failCause(exit.cause))
    })
  }

  /** A batch needs its store no longer. */
  #release({ lease }: Batch): void {
    if (lease === undefined || --lease.users > 0) return
    if (this.#leases.get(lease.id) === lease) this.#leases.delete(lease.id)
    if (lease.close === undefined) lease.fiber?.interruptUnsafe()
    else lease.close()
  }

  readonly #onAbandonedBatch = (batch: Batch): void => {
    const { lease } = batch
    const position = lease?.waiting.indexOf(batch) ?? -1
    if (position < 0) return
    lease!.waiting.splice(position, 1)
    this.#release(batch)
  }

  #startIn(batch: Batch, place: Address, opened: NonNullable<Lease["opened"]>): void {
    const refused = place.stores.refusal(opened.store, place)
    if (refused === undefined) return this.#start(batch, opened.lane)
    answer(batch.readers, Exit.fail(refused))
    this.#release(batch)
  }

  #start(batch: Batch, lane: Lane): void {
    batch.outstanding = 1
    const readers = batch.readers.filter(({ isGone }) => !isGone)
    batch.readers = []
    const ranges = readers.every(isRange) ? readers : readers.filter(isRange)
    this.#request(batch, lane, ranges, false)
    if (ranges !== readers) for (const reader of readers) if (!isRange(reader)) this.#refuse(batch, lane, reader)
    this.#finish(batch)
  }

  #refuse(batch: Batch, lane: Lane, reader: Reader): void {
    const error = new ObjectStoreError({
      store: lane.store.description,
      operation: "get",
      key: batch.target.key,
      reason: new InvalidRange({ detail: `bytes ${reader.start} to ${reader.end} are no range` })
    })
    answer([reader], Exit.fail(batch.target.failure(error, lane.store.description, batch.location)))
  }

  /** Makes the requests for ranges of a target. */
  #request(batch: Batch, lane: Lane, readers: ReadonlyArray<Reader>, isRepetition: boolean): void {
    const { plan } = batch.manner
    const groups = RangePlan.plan(readers, {
      maxGap: lane.worthwhileGap,
      ...this.gate.cutting(lane),
      ...plan,
      // One for more would wait until all others are done.
      maxRequest: Math.min(plan?.maxRequest ?? RangePlan.defaultMaxRequest, this.gate.limits.bytes)
    })
    batch.outstanding += groups.length
    // All of them before the first is made: who is answered at once may make others leave.
    const requests = groups.map((group) => {
      const members = group.members.map((i) => readers[i]!)
      return new Request(batch, lane, group, members, isRepetition, this.#onRequest)
    })
    for (const request of requests) batch.manner.entrance.enter(request)
  }

  /** A request of a batch, or its start, is done. */
  #finish(batch: Batch): void {
    if (--batch.outstanding === 0) this.#release(batch)
  }

  #abandon(request: Request): void {
    if (request.batch.manner.entrance.withdraw(request)) this.#finish(request.batch)
    else request.fiber?.interruptUnsafe()
  }

  #run(request: Request): void {
    const { batch, end, lane, start } = request
    const { store } = lane
    const reader = firstWaiting(request.readers)
    if (reader === undefined || this.#scope.state._tag === "Closed") {
      return this.#settle(request, Exit.interrupt())
    }
    const { conditions, failure, key, mismatch, warns } = batch.target
    let get: Effect.Effect<GetResult, VirtualReadError> = Effect.mapError(
      store.get(key, { ...conditions, range: ByteRange.bounded(start, end - start) }),
      (error) => failure(error, store.description, batch.location)
    )
    if (warns && mismatch !== undefined) {
      get = Effect.tap(get, ({ meta }) => {
        const changed = batch.hasWarned ? undefined : mismatch(meta, batch.location)
        if (changed === undefined) return Effect.void
        batch.hasWarned = true
        return Effect.logWarning(changed.message)
      })
    }
    if (request.readers.length > 1) {
      lane.metrics.rangesMerged.updateUnsafe(request.readers.length - 1, reader.context)
    }
    const since = performance.now()
    // With what the first reader has in its context: its span is the parent of the request's.
    const fiber = Effect.runForkWith(reader.context)(get)
    request.fiber = Fiber.runIn(fiber, this.#scope)
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) {
        const milliseconds = performance.now() - since
        lane.cost = RequestCost.observe(lane.cost, { bytes: end - start, milliseconds, underWay: lane.active })
      }
      this.#settle(request, exit)
    })
    // Everybody may have left while it started.
    if (request.waiting === 0) fiber.interruptUnsafe()
  }

  /** Passes on what became of a request that had a place. */
  #settle(request: Request, exit: Exit.Exit<GetResult, VirtualReadError>): void {
    request.fiber = undefined
    request.batch.manner.entrance.leave(request)
    if (Exit.isSuccess(exit)) this.#deliver(request, exit.value)
    else if (!this.#repeat(request, exit.cause)) answer(request.readers, Exit.failCause(exit.cause))
    this.#finish(request.batch)
  }

  #deliver(request: Request, { bytes, meta }: GetResult): void {
    const { batch, end, lane, readers, start } = request
    const { failure, isOneVersion, key, mismatch, warns } = batch.target
    const changed = warns ? undefined : mismatch?.(meta, batch.location)
    if (changed !== undefined) return answer(readers, Exit.fail(changed))
    const refuse = (reason: Reason): void => {
      const { description: store } = lane.store
      const error = new ObjectStoreError({ store, operation: "get", key, reason })
      answer(readers, Exit.fail(failure(error, store, batch.location)))
    }
    if (bytes.length !== end - start) {
      return refuse(new InvalidResponse({ detail: `${bytes.length} bytes for a range of ${end - start}` }))
    }
    const { etag } = meta.version
    if (isOneVersion === true && etag !== undefined) {
      batch.etag ??= etag
      if (Checksum.opaqueTag(etag) !== Checksum.opaqueTag(batch.etag)) {
        const detail = `its ETag was \`${batch.etag}\` when other parts were read, and is now \`${etag}\`; read them again`
        return refuse(new PreconditionFailed({ detail }))
      }
    }
    // All of them first: who is resumed may do anything to its bytes, and to their buffer.
    const parts = Body.divide(bytes, start, readers, (i) => !readers[i]!.isGone)
    for (let i = 0; i < readers.length; i++) {
      const reader = readers[i]!
      if (reader.isGone) continue
      reader.isGone = true
      reader.resume(Exit.succeed(parts[i]!))
    }
  }

  /**
   * A range past the end fails alone, not with those that were read together with it: those that lie in the object, as far
   * as its size is known, are asked for again, and each of the others on its own.
   */
  #repeat({ batch, isRepetition, lane, readers }: Request, cause: Cause.Cause<VirtualReadError>): boolean {
    const error = Cause.findError(cause)
    if (readers.length === 1 || Result.isFailure(error) || error.success._tag !== "ObjectStoreError") return false
    if (!hasReason("InvalidRange")(error.success)) return false
    const { size } = error.success.reason
    const isInside = ({ end }: Reader): boolean => !isRepetition && size !== undefined && end <= size
    const waiting = readers.filter(({ isGone }) => !isGone)
    const inside = waiting.filter(isInside)
    const outside = waiting.filter((reader) => !isInside(reader))
    if (inside.length > 0) this.#request(batch, lane, inside, true)
    for (const reader of outside) if (!reader.isGone) this.#request(batch, lane, [reader], true)
    return true
  }
}
