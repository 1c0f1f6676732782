/**
 * The world of two programs: a store whose calls wait until they are released, a clock that only sleeping and
 * calls move, and random numbers that are the same in each run. Nothing in it depends on time, and everything
 * runs synchronously, so that a schedule is a list of decisions and gives the same result each time.
 *
 * A call takes effect and is answered in one step: what a program does between an effect and its answer touches
 * nothing that others see, so letting others go first there shows nothing new.
 */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as Errors from "@effect-icechunk/core/ObjectStoreError"
import * as Platform from "@effect-icechunk/core/Platform"
import { Zstd, ZstdError } from "@effect-icechunk/core/Zstd"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Layer from "effect/Layer"
import * as Objects from "./Objects.ts"

// What is loaded when it is needed is there from now on: in a world nothing waits but for calls to the store.
await Effect.runPromise(
  Effect.scoped(
    Effect.andThen(Repository.create({ persist: { get_partial_values_concurrency: 1 } }), Repository.open())
  ).pipe(Effect.provide(Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)))
)

/** What programs in a world may need. */
export type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd | Scope.Scope

/**
 * What becomes of a call:
 *
 * - `ok`: it takes effect and is answered;
 * - `error`: it does not reach the store, which could not be reached;
 * - `refused`: the store refuses it, for good;
 * - `lost`: it takes effect, and the answer is lost;
 * - `interrupt`: the program is interrupted before it takes effect;
 * - `interrupt-after`: the program is interrupted when it has taken effect, before the answer;
 * - `cut`: the network goes before it takes effect, and does not come back for this program;
 * - `cut-after`: the same, after it took effect.
 */
export type Kind = "ok" | Fault

export type Fault = "error" | "refused" | "lost" | "interrupt" | "interrupt-after" | "cut" | "cut-after"

export const allFaults: ReadonlyArray<Fault> = [
  "error",
  "refused",
  "lost",
  "interrupt",
  "interrupt-after",
  "cut",
  "cut-after"
]

/** Errors in the store that the explorer must find; nothing of the product knows of them. */
export type Seed = "unconditional put" | "lost answer ignored" | "interruptible put" | "stale read"

export interface Call {
  readonly actor: number
  /** Counts the calls of the actor, sleeping included. */
  readonly number: number
  /** `undefined`: the program sleeps. */
  readonly request: Objects.Request | undefined
  readonly millis: number
  readonly footprint: Objects.Footprint
  /** Whether an interruption ends it; else it is waited for. */
  readonly interruptible: boolean
  readonly resume: (answer: Effect.Effect<unknown, Errors.ObjectStoreError>) => void
}

/** A decision: this call, and what becomes of it. */
export interface Step {
  readonly actor: number
  readonly number: number
  readonly kind: Kind
  readonly footprint: Objects.Footprint
}

/** What was done by a decision, for traces and for the order of operations in time. */
export interface Event extends Step {
  readonly request: Objects.Request | undefined
  readonly answer: string
}

export interface Actor {
  readonly index: number
  readonly services: Context.Context<Services>
  pending: Array<Call>
  calls: number
  now: number
  randoms: number
  bytes: number
  isCut: boolean
  interrupted: boolean
  faulty: boolean
  /** How many listings of it that show new files are still to come at most. */
  listings: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  exit: Exit.Exit<unknown, unknown> | undefined
}

export const startOfTime = Date.UTC(2026, 0, 1)

const firstSnapshot = "1CECHNKREP0F1RSTCMT0"

/** Keys that hold a random id: no other program writes them, and none reads them before it was told of them. */
const isFresh = (key: string): boolean =>
  freshRooms.some((room) => key.startsWith(room)) && !key.endsWith(firstSnapshot)

const freshRooms = ["snapshots/", "manifests/", "transactions/", "chunks/", "overwritten/"]

/** Whether a listing could show such keys. */
const listsFresh = (prefix: string): boolean =>
  freshRooms.some((room) => room.startsWith(prefix) || prefix.startsWith(room))

const unchanged: Zstd["Service"] = {
  compress: (bytes) => Effect.succeed(bytes.slice()),
  decompress: (bytes, maxBytes) =>
    bytes.length > maxBytes
      ? Effect.fail(new ZstdError({ problem: "more bytes than allowed" }))
      : Effect.succeed(bytes.slice()),
  dictionary: () => (bytes) => bytes.slice()
}

const noPlatforms: ReadonlyMap<string, Platform.Platform> = new Map()

const capabilities: ObjectStore.Capabilities = {
  conditionalCreate: true,
  conditionalUpdate: true,
  conditionalGet: true,
  metadata: true,
  opaqueKeys: true
}

const unavailable = (request: Objects.Request): Errors.ObjectStoreError =>
  Objects.failure(request, new Errors.Unavailable({ detail: "a fault of the explorer" }))

const refused = (request: Objects.Request): Errors.ObjectStoreError =>
  Objects.failure(request, new Errors.PermissionDenied({ detail: "a fault of the explorer" }))

/** Random numbers for ids: the platform's are replaced while a world runs. */
let running: { readonly world: World; readonly actor: Actor } | undefined

const platformRandom = globalThis.crypto.getRandomValues.bind(globalThis.crypto)

const worldRandom = <T extends ArrayBufferView | null>(array: T): T => {
  if (running === undefined) return platformRandom(array as never)
  if (!(array instanceof Uint8Array)) throw new Error("The explorer gives random numbers as bytes only.")
  const { actor } = running
  let state = (actor.index + 1) * 0x9e3779b1 + ++actor.bytes * 0x85ebca6b
  for (let i = 0; i < array.length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39
    array[i] = state >>> 24
  }
  // Of two ids in a world, none is the other by chance.
  array[array.length - 1] = actor.index
  array[array.length - 2] = actor.bytes & 0xff
  return array
}

Object.defineProperty(globalThis.crypto, "getRandomValues", { value: worldRandom, configurable: true })

export class World {
  readonly objects: Map<string, Objects.Entry>
  readonly actors: ReadonlyArray<Actor>
  readonly events: Array<Event> = []
  /** While it is set, calls take effect at once: for what is prepared before a schedule, and looked at after it. */
  direct = true
  /** Whether some program may write `config.json`, to change it or to note what was published. */
  configChanges = true
  /** Whether some program deletes files. */
  collects = false
  readonly #tasks: Array<() => void> = []
  readonly #seed: Seed | undefined
  /** What was replaced last, and by whom, for a store that reads stale objects. */
  readonly #former = new Map<string, { readonly entry: Objects.Entry; readonly writer: number }>()

  constructor(image: Objects.Image, actors: number, seed?: Seed) {
    this.objects = new Map(image)
    this.#seed = seed
    this.actors = Array.from({ length: actors }, (_, index) => this.#makeActor(index))
  }

  #makeActor(index: number): Actor {
    const actor: Actor = {
      index,
      services: Context.empty() as Context.Context<Services>,
      pending: [],
      calls: 0,
      now: startOfTime,
      randoms: 0,
      bytes: 0,
      isCut: false,
      interrupted: false,
      faulty: false,
      listings: 0,
      fiber: undefined,
      exit: undefined
    }
    const services = Context.empty().pipe(
      Context.add(ObjectStore.ObjectStore, this.#store(actor)),
      Context.add(Platform.Platforms, noPlatforms),
      Context.add(Zstd, unchanged),
      Context.add(Scope.Scope, Scope.makeUnsafe()),
      Context.add(Clock.Clock, this.#clock(actor)),
      Context.add(Random.Random, {
        nextIntUnsafe: () => 1000 * (index + 1) + ++actor.randoms,
        nextDoubleUnsafe: () => ((index + 1) * 0.137 + ++actor.randoms * 0.618) % 1
      }),
      Context.add(Scheduler.Scheduler, {
        executionMode: "sync" as const,
        shouldYield: () => false,
        makeDispatcher: () => ({
          scheduleTask: (task: () => void) => void this.#tasks.push(task),
          flush: () => this.#drain()
        })
      }),
      Context.add(References.TracerEnabled, false)
    )
    return Object.assign(actor, { services })
  }

  #clock(actor: Actor): Clock.Clock {
    const nanos = (): bigint => BigInt(actor.now) * 1_000_000n
    return {
      currentTimeMillisUnsafe: () => actor.now,
      currentTimeMillis: Effect.sync(() => actor.now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.asVoid(Effect.orDie(this.#wait(actor, undefined, Math.ceil(Duration.toMillis(duration)))))
    }
  }

  #wait(
    actor: Actor,
    request: Objects.Request | undefined,
    millis: number
  ): Effect.Effect<unknown, Errors.ObjectStoreError> {
    return Effect.withFiber((fiber) => {
      if (request === undefined && (this.direct || actor.isCut)) {
        actor.now += millis
        return Effect.void
      }
      if (request !== undefined && this.direct) return Effect.fromResult(this.#apply(actor, request))
      if (request !== undefined && actor.isCut) return Effect.fail(unavailable(request))
      const { interruptible } = fiber as unknown as { readonly interruptible: boolean }
      return Effect.callback<unknown, Errors.ObjectStoreError>((resume) => {
        const call: Call = {
          actor: actor.index,
          number: actor.calls++,
          request,
          millis,
          footprint: request === undefined ? Objects.noFootprint : Objects.footprint(request),
          interruptible,
          resume
        }
        if (request?.op === "list" && listsFresh(request.prefix) && actor.listings-- === 0) {
          throw new Error("An operation lists that was not expected to.")
        }
        actor.pending.push(call)
        return Effect.sync(() => {
          actor.pending = actor.pending.filter((other) => other !== call)
        })
      })
    })
  }

  #apply(actor: Actor, request: Objects.Request): Result.Result<unknown, Errors.ObjectStoreError> {
    if (this.#seed !== undefined && !this.direct) return this.#applySeeded(this.#seed, actor, request)
    return Objects.apply(this.objects, request, actor.now)
  }

  #applySeeded(seed: Seed, actor: Actor, request: Objects.Request): Result.Result<unknown, Errors.ObjectStoreError> {
    if (seed === "unconditional put" && request.op === "put") {
      return Objects.apply(
        this.objects,
        { ...request, options: { ...request.options, mode: ObjectStore.overwrite } },
        actor.now
      )
    }
    if (seed === "stale read") {
      if (request.op === "put") {
        const before = this.objects.get(request.key)
        const answer = Objects.apply(this.objects, request, actor.now)
        if (Result.isSuccess(answer) && before !== undefined) {
          this.#former.set(request.key, { entry: before, writer: actor.index })
        }
        return answer
      }
      const former = request.op === "get" ? this.#former.get(request.key) : undefined
      if (former !== undefined && former.writer !== actor.index) {
        return Objects.apply(new Map([[Objects.keyOf(request), former.entry]]), request, actor.now)
      }
    }
    return Objects.apply(this.objects, request, actor.now)
  }

  #store(actor: Actor): ObjectStore.ObjectStoreShape {
    const ask = <A>(request: Objects.Request): Effect.Effect<A, Errors.ObjectStoreError> =>
      this.#wait(actor, request, 0) as Effect.Effect<A, Errors.ObjectStoreError>
    const put = (key: string, bytes: Uint8Array, options?: ObjectStore.PutOptions) =>
      ask<ObjectStore.Version>({ op: "put", key, bytes, options })
    return {
      description: Objects.description,
      origin: { platform: "memory" },
      capabilities,
      readOnlyBecause: undefined,
      get: (key, options) => ask({ op: "get", key, options }),
      head: (key) => ask({ op: "head", key }),
      list: (prefix) =>
        Stream.unwrap(
          Effect.map(ask<ReadonlyArray<ObjectStore.ObjectMeta>>({ op: "list", prefix }), Stream.fromIterable)
        ),
      put:
        this.#seed === "interruptible put"
          ? (key, bytes, options) => Effect.interruptible(put(key, bytes, options))
          : put,
      delete: (keys) => ask({ op: "delete", keys }),
      copy: (from, to, options) => ask({ op: "copy", from, to, ifMatch: options?.ifMatch })
    }
  }

  /** Runs `body` as this actor, and whatever it left to be done. */
  #as(actor: Actor, body: () => void): void {
    const { stackTraceLimit } = Error
    running = { world: this, actor }
    // Stack traces take a third of the time of a run, and say nothing that a schedule does not.
    Error.stackTraceLimit = 0
    try {
      body()
      this.#drain()
    } finally {
      running = undefined
      Error.stackTraceLimit = stackTraceLimit
    }
  }

  #drain(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task()
  }

  /** Runs an effect to its end, calls and all. */
  now<A, E>(index: number, effect: Effect.Effect<A, E, Services>): Exit.Exit<A, E> {
    const actor = this.actors[index]!
    let exit: Exit.Exit<A, E> | undefined
    this.#as(actor, () => {
      Effect.runForkWith(actor.services)(effect).addObserver((done) => {
        exit = done
      })
    })
    if (exit === undefined) throw new Error("What should run at once waits for something that is no call.")
    return exit
  }

  /** Starts a program; from now on its calls wait. */
  start(index: number, effect: Effect.Effect<unknown, unknown, Services>): void {
    const actor = this.actors[index]!
    this.#as(actor, () => {
      actor.fiber = Effect.runForkWith(actor.services)(effect)
      actor.fiber.addObserver((exit) => {
        actor.exit = exit
      })
    })
  }

  /** The decisions to choose from. Those of `faults` are among them. */
  steps(faults: ReadonlyArray<Fault>): ReadonlyArray<Step> {
    for (const actor of this.actors) {
      const call = actor.pending.find((call) => this.#isPrivate(call))
      if (call !== undefined) return kinds(call, faults, true)
    }
    return this.actors.flatMap(({ pending }) => pending.flatMap((call) => kinds(call, faults, false)))
  }

  /** Whether it makes no difference for others when this call takes effect: then it does so first. */
  #isPrivate({ actor, footprint }: Call): boolean {
    const { lists, reads, writes } = footprint
    const others = this.actors.filter(({ index }) => index !== actor)
    return (
      lists === undefined &&
      (writes.length === 0 || others.every(({ listings }) => listings === 0)) &&
      reads.every((key) => this.#isOwn(key) || (key === "config.json" && !this.configChanges)) &&
      writes.every((key) => this.#isOwn(key))
    )
  }

  /** Whether no other program has to do with a key. Copies of the repository object are not collected. */
  #isOwn(key: string): boolean {
    return isFresh(key) && (!this.collects || key.startsWith("overwritten/"))
  }

  /** Does what was decided. */
  step({ actor: index, footprint, kind, number }: Step): void {
    const actor = this.actors[index]!
    const call = actor.pending.find((call) => call.number === number)
    if (call === undefined)
      throw new Error(`There is no call ${number} of program ${index}: the schedule is of another program.`)
    const { request } = call
    const event = (answer: string, isEffective: boolean): void => {
      this.events.push({
        actor: index,
        number,
        kind,
        request,
        answer,
        footprint: isEffective ? footprint : Objects.onlyReads(footprint)
      })
    }
    const take = (answer: Effect.Effect<unknown, Errors.ObjectStoreError>): void => {
      actor.pending = actor.pending.filter((other) => other !== call)
      call.resume(answer)
    }
    if (kind !== "ok") actor.faulty = true
    if (request === undefined) {
      actor.now += call.millis
      event("slept", false)
      this.#as(actor, () => (kind === "interrupt" ? this.#interrupt(actor) : take(Effect.void)))
      return
    }
    actor.now += 1
    const effective = kind === "ok" || kind === "lost" || kind === "interrupt-after" || kind === "cut-after"
    const answer = effective ? this.#apply(actor, request) : Result.fail(unavailable(request))
    event(
      effective ? (Result.isSuccess(answer) ? "done" : answer.failure.reason._tag) : "no effect",
      Result.isSuccess(answer)
    )
    this.#as(actor, () => {
      switch (kind) {
        case "ok":
          return take(Effect.fromResult(answer))
        case "error":
          return take(Effect.fail(unavailable(request)))
        case "refused":
          return take(Effect.fail(refused(request)))
        case "lost":
          return take(Effect.fail(this.#seed === "lost answer ignored" ? refused(request) : unavailable(request)))
        case "interrupt":
          return this.#interrupt(actor)
        case "interrupt-after":
          this.#interrupt(actor)
          // What cannot be interrupted is answered.
          return actor.pending.includes(call) ? take(Effect.fromResult(answer)) : undefined
        default: {
          actor.isCut = true
          const { pending } = actor
          actor.pending = []
          for (const { millis, request, resume } of pending) {
            if (request === undefined) actor.now += millis
            resume(request === undefined ? Effect.void : Effect.fail(unavailable(request)))
          }
        }
      }
    })
  }

  #interrupt(actor: Actor): void {
    actor.interrupted = true
    actor.fiber?.interruptUnsafe()
  }
}

/** What can become of a call. Faults that leave the same behind and tell the program the same are listed once. */
const kinds = (call: Call, faults: ReadonlyArray<Fault>, isPrivate: boolean): ReadonlyArray<Step> => {
  const { actor, footprint, interruptible, number, request } = call
  const effective = (kind: Kind): Step => ({ actor, number, kind, footprint })
  const ineffective = (kind: Kind): Step => ({ actor, number, kind, footprint: Objects.noFootprint })
  const possible = new Set<Kind>(faults)
  if (possible.size === 0) return [effective("ok")]
  if (request === undefined) return [effective("ok"), ...(possible.has("interrupt") ? [ineffective("interrupt")] : [])]
  const before = (["error", "refused", "interrupt", "cut"] as const).filter((kind) => possible.has(kind))
  const after = (["lost", "cut-after", "interrupt-after"] as const).filter(
    (kind) =>
      possible.has(kind) &&
      footprint.writes.length > 0 &&
      (kind === "lost" || !isPrivate) &&
      (kind !== "interrupt-after" || interruptible)
  )
  return [effective("ok"), ...before.map(ineffective), ...after.map(effective)]
}
