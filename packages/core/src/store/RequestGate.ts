/**
 * How many requests are under way at once, and for how many bytes: as many as their store takes, and within a bound for
 * all stores together. Who has to wait is admitted in the order of arrival.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Line } from "../values/Line.ts"
import type { ObjectStoreShape } from "./ObjectStore.ts"
import type * as RangePlan from "./RangePlan.ts"
import * as RequestCost from "./RequestCost.ts"
import * as RequestMetrics from "./RequestMetrics.ts"

/**
 * Requests that a store takes at once when it does not say.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultConcurrentRequests = 64

/**
 * What is under way at once, of all stores together.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly requests: number
  /** Bytes that were asked for; a single request for more passes alone. */
  readonly bytes: number
}

/**
 * A request that wants to pass.
 *
 * @category models
 * @since 0.1.0
 */
export interface Passenger {
  readonly lane: Lane
  readonly bytes: number
  /** Whose metrics are counted. */
  readonly context: Context.Context<never>
  /** Starts the request. Whoever passed leaves again, once. */
  readonly pass: () => void
  /** Where it stands among those that wait; the gate's own. */
  ticket?: number | undefined
  /** When it came; the gate's own. */
  since?: number | undefined
}

/**
 * The requests to one store.
 *
 * @category models
 * @since 0.1.0
 */
export class Lane {
  readonly store: ObjectStoreShape
  readonly places: number
  /** Requests under way. */
  active = 0
  cost: RequestCost.RequestCost = RequestCost.initial
  readonly metrics: RequestMetrics.StoreMetrics
  readonly waiting = new Line<Passenger>()

  constructor(store: ObjectStoreShape) {
    this.store = store
    this.metrics = RequestMetrics.of(store)
    this.places = Math.max(1, store.maxConcurrentRequests ?? defaultConcurrentRequests)
  }

  /** The largest gap between two ranges that is cheaper to read along than to leave out. */
  get worthwhileGap(): number {
    return this.store.isLocal === true ? RequestCost.localGap : RequestCost.worthwhileGap(this.cost, this.places)
  }
}

/**
 * The bounds of one repository's requests.
 *
 * @category models
 * @since 0.1.0
 */
export class RequestGate {
  /** What holds from now on. */
  limits: Limits
  readonly #lanes = new WeakMap<ObjectStoreShape, Lane>()
  /** Those where somebody waits. */
  readonly #busy = new Set<Lane>()
  #requests = 0
  #bytes = 0
  #tickets = 0
  #isAdmitting = false

  constructor(limits: Limits) {
    this.limits = limits
  }

  /** The requests to a store; always the same for the same store. */
  lane(store: ObjectStoreShape): Lane {
    let lane = this.#lanes.get(store)
    if (lane === undefined) this.#lanes.set(store, (lane = new Lane(store)))
    return lane
  }

  /** How a read of many bytes is cut, by what is free now; what passes no wire comes no sooner in parts. */
  cutting(lane: Lane): Pick<RangePlan.Options, "parallel" | "minPart" | "maxBytesInFlight"> {
    if (lane.store.isLocal === true) return { parallel: 1 }
    const free = Math.min(lane.places - lane.active, this.limits.requests - this.#requests) - lane.waiting.size
    return { ...RequestCost.parts(lane.cost, free), maxBytesInFlight: this.limits.bytes }
  }

  /** Lets a request pass as soon as there is room: at once, or when others have left. */
  enter(passenger: Passenger): void {
    passenger.ticket = this.#tickets++
    passenger.since = undefined
    passenger.lane.waiting.add(passenger)
    this.#busy.add(passenger.lane)
    this.#admit()
    if (passenger.ticket !== undefined) passenger.since = performance.now()
  }

  /** Gives the place back of a request that had passed. */
  leave({ bytes, lane }: Passenger): void {
    lane.active--
    this.#requests--
    this.#bytes -= bytes
    this.#admit()
  }

  /** Takes somebody out who no longer wants to pass. Whether it was still waiting. */
  withdraw(passenger: Passenger): boolean {
    const { lane } = passenger
    if (!lane.waiting.delete(passenger)) return false
    if (lane.waiting.size === 0) this.#busy.delete(lane)
    this.#admit()
    return true
  }

  /** Who is next: of those whose store has a place, the one that came first. */
  #next(): Passenger | undefined {
    let next: Passenger | undefined
    for (const lane of this.#busy) {
      if (lane.active >= lane.places) continue
      const first = lane.waiting.first()
      if (first !== undefined && (next === undefined || first.ticket! < next.ticket!)) next = first
    }
    return next
  }

  #admit(): void {
    // Who passes may be done at once, and bring others.
    if (this.#isAdmitting) return
    this.#isAdmitting = true
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const { bytes, lane } = next
        if (this.#requests >= this.limits.requests) return
        if (this.#requests > 0 && this.#bytes + bytes > this.limits.bytes) return
        lane.waiting.delete(next)
        if (lane.waiting.size === 0) this.#busy.delete(lane)
        next.ticket = undefined
        if (next.since !== undefined) {
          lane.metrics.secondsWaited.updateUnsafe((performance.now() - next.since) / 1000, next.context)
        }
        lane.active++
        this.#requests++
        this.#bytes += bytes
        next.pass()
      }
    } finally {
      this.#isAdmitting = false
    }
  }

  /** Runs a request for `bytes` bytes when there is room for it. */
  through<A, E>(lane: Lane, bytes: number, request: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) => {
      let resume: (() => void) | undefined
      let hasPassed = false
      const passenger: Passenger = {
        lane,
        bytes,
        context: Fiber.getCurrent()!.context,
        pass: () => {
          hasPassed = true
          resume?.()
        }
      }
      this.enter(passenger)
      const run = Effect.onExit(restore(request), () => {
        this.leave(passenger)
        return Effect.void
      })
      if (hasPassed) return run
      const turn = Effect.callback<void>((done) => {
        if (hasPassed) return done(Effect.void)
        resume = () => done(Effect.void)
      })
      return Effect.flatMap(
        Effect.onInterrupt(restore(turn), () =>
          Effect.sync(() => {
            if (!this.withdraw(passenger)) this.leave(passenger)
          })
        ),
        () => run
      )
    })
  }
}
