/**
 * Many chunks of an array as a stream: planned together, in the order in which they arrive, and no faster than they are
 * taken.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { FormatError } from "../encoding/FormatError.ts"
import type { ChunkRef } from "../format/manifest/ChunkRef.ts"
import type { Passenger, RequestGate } from "../store/RequestGate.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import { Line } from "../values/Line.ts"
import type { ManifestId } from "../values/ObjectId.ts"
import type { Entrance, Wanted } from "../virtual/ObjectReads.ts"
import type { VirtualReadError } from "../virtual/VirtualReadError.ts"
import type { AssetError } from "./Assets.ts"
import * as ChunkReads from "./ChunkReads.ts"
import type { SnapshotView } from "./SnapshotView.ts"

/**
 * A chunk and its encoded bytes, `undefined` for one that was never written.
 *
 * @category models
 * @since 0.1.0
 */
export interface IndexedChunk {
  readonly index: ChunkIndex
  readonly bytes: Uint8Array | undefined
}

/** Chunks that are planned together. */
const windowSize = 1 << 17

/** Chunks without a request that are passed on at once. */
const batchSize = 1024

/** The largest part of the bytes that one request may be. */
const requestShare = 4

type ReadError = AssetError | VirtualReadError

/** Lets requests through to the gate as long as there is room for what they bring. */
class Valve implements Entrance {
  readonly #gate: RequestGate
  readonly #maxBytes: number
  readonly #waiting = new Line<Passenger>()
  /** Bytes of requests that are under way, and of chunks that were not taken. */
  #held = 0

  constructor(gate: RequestGate, maxBytes: number) {
    this.#gate = gate
    this.#maxBytes = maxBytes
  }

  enter(passenger: Passenger): void {
    this.#waiting.add(passenger)
    this.admit()
  }

  leave(passenger: Passenger): void {
    this.#gate.leave(passenger)
    this.#held -= passenger.bytes
    // By then what came is held.
    queueMicrotask(() => this.admit())
  }

  withdraw(passenger: Passenger): boolean {
    if (this.#waiting.delete(passenger)) return true
    if (!this.#gate.withdraw(passenger)) return false
    this.#held -= passenger.bytes
    this.admit()
    return true
  }

  hold(bytes: number): void {
    this.#held += bytes
  }

  release(bytes: number): void {
    this.#held -= bytes
    this.admit()
  }

  admit(): void {
    for (let passenger = this.#waiting.first(); passenger !== undefined; passenger = this.#waiting.first()) {
      if (this.#held > 0 && this.#held + passenger.bytes > this.#maxBytes) return
      this.#waiting.delete(passenger)
      this.#held += passenger.bytes
      this.#gate.enter(passenger)
    }
  }
}

/** Chunks of which it is known where they are. */
interface Window {
  /** Those without a request: inline, or never written. */
  readonly present: ReadonlyArray<{ readonly index: ChunkIndex; readonly ref: ChunkRef | undefined }>
  readonly indices: ReadonlyArray<ChunkIndex>
  /** What has to be read, of each of `indices`. */
  readonly wanted: ReadonlyArray<Wanted>
}

const locate = Effect.fnUntraced(function* (
  context: ChunkReads.ReadContext,
  changes: Pick<SnapshotView, "base" | "chunks">,
  array: ChunkReads.ArrayNode,
  chunks: ReadonlyArray<ChunkIndex>
): Effect.fn.Return<Window, ReadError> {
  const window = {
    present: [] as Array<{ readonly index: ChunkIndex; readonly ref: ChunkRef | undefined }>,
    indices: [] as Array<ChunkIndex>,
    wanted: [] as Array<Wanted>
  }
  let resolver = context.virtual.known
  const place = (index: ChunkIndex, ref: ChunkRef | undefined): ReadError | undefined => {
    if (ref === undefined || ref._tag === "Inline") {
      window.present.push({ index, ref })
      return undefined
    }
    const wanted =
      ref._tag === "Native" ? context.native.wanted(ref) : resolver!.wanted(ref.ref, { checks: context.checks })
    if (!("target" in wanted)) return wanted
    window.indices.push(index)
    window.wanted.push(wanted)
    return undefined
  }
  const manifests = new Set<ManifestId>()
  const later: Array<ChunkIndex> = []
  for (const index of chunks) {
    const ref = ChunkReads.find(context, changes, array, index)
    if (ref instanceof ChunkReads.Unloaded) {
      manifests.add(ref.manifest)
      later.push(index)
      continue
    }
    if (ref?._tag === "Virtual") resolver ??= yield* context.virtual.resolver
    const problem = ref instanceof FormatError ? ref : place(index, ref)
    if (problem !== undefined) return yield* Effect.fail(problem)
  }
  yield* Effect.forEach(manifests, (id) => context.assets.manifest(id), { concurrency: 8, discard: true })
  for (const index of later) {
    const known = ChunkReads.find(context, changes, array, index)
    const ref =
      known instanceof ChunkReads.Unloaded || known instanceof FormatError
        ? yield* ChunkReads.lookUp(context, changes, array, index)
        : known
    if (ref?._tag === "Virtual") resolver ??= yield* context.virtual.resolver
    const problem = place(index, ref)
    if (problem !== undefined) return yield* Effect.fail(problem)
  }
  return window
})

/** The chunks of a window that need requests, as they come. */
class Arrivals {
  readonly #valve: Valve
  readonly #window: Window
  #left: number
  #ready: Array<IndexedChunk> = []
  /** Bytes of what was passed on last. */
  #taken = 0
  #failure: Exit.Exit<never, VirtualReadError> | undefined
  #wake: (() => void) | undefined
  readonly stop: () => void

  constructor(
    { native }: ChunkReads.ReadContext,
    window: Window,
    fiberContext: Context.Context<never>,
    maxBytes: number
  ) {
    this.#window = window
    this.#left = window.wanted.length
    this.#valve = new Valve(native.reads.gate, maxBytes)
    this.stop = native.reads.readAll(window.wanted, {
      context: fiberContext,
      entrance: this.#valve,
      maxRequest: Math.max(1, Math.floor(maxBytes / requestShare)),
      onAnswer: (position, exit) => this.#answer(position, exit)
    })
  }

  #answer(position: number, exit: Exit.Exit<Uint8Array, VirtualReadError>): void {
    this.#left--
    if (Exit.isSuccess(exit)) {
      this.#valve.hold(exit.value.length)
      this.#ready.push({ index: this.#window.indices[position]!, bytes: exit.value })
    } else this.#failure ??= Exit.failCause(exit.cause)
    const wake = this.#wake
    this.#wake = undefined
    // All chunks of a request are passed on together.
    if (wake !== undefined) queueMicrotask(wake)
  }

  readonly pull: Pull.Pull<readonly [IndexedChunk, ...Array<IndexedChunk>], VirtualReadError> = Effect.suspend(() => {
    this.#valve.release(this.#taken)
    this.#taken = 0
    return this.#next()
  })

  #next(): Pull.Pull<readonly [IndexedChunk, ...Array<IndexedChunk>], VirtualReadError> {
    if (this.#failure !== undefined) return this.#failure
    const [first, ...others] = this.#ready
    if (first !== undefined) {
      this.#taken = this.#ready.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0)
      this.#ready = []
      return Effect.succeed([first, ...others])
    }
    if (this.#left === 0) return Cause.done()
    return Effect.callback((resume) => {
      this.#wake = () => resume(Effect.suspend(() => this.#next()))
      return Effect.sync(() => {
        this.#wake = undefined
      })
    })
  }
}

const present = (window: Window): Stream.Stream<IndexedChunk> =>
  Stream.fromIterable(batchesOf(window.present)).pipe(
    Stream.flatMap((batch) =>
      Stream.fromArray(
        batch.map(({ index, ref }): IndexedChunk => {
          const bytes = ref?._tag === "Inline" ? ChunkReads.copied(ref.bytes) : undefined
          return { index, bytes }
        })
      )
    )
  )

function* batchesOf<A>(all: ReadonlyArray<A>): Generator<ReadonlyArray<A>> {
  for (let from = 0; from < all.length; from += batchSize) yield all.slice(from, from + batchSize)
}

const arriving = (
  context: ChunkReads.ReadContext,
  window: Window,
  maxBytes: number
): Stream.Stream<IndexedChunk, VirtualReadError> =>
  window.wanted.length === 0
    ? Stream.empty
    : Stream.unwrap(
        Effect.withFiber((fiber) =>
          Effect.map(
            Effect.acquireRelease(
              Effect.sync(() => new Arrivals(context, window, fiber.context, maxBytes)),
              ({ stop }) => Effect.sync(stop)
            ),
            ({ pull }) => Stream.fromPull(Effect.succeed(pull))
          )
        )
      )

/**
 * The chunks at some indices, which lie in the array's grid. `changes` stay as they are.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  context: ChunkReads.ReadContext,
  changes: Pick<SnapshotView, "base" | "chunks">,
  array: ChunkReads.ArrayNode,
  indices: ReadonlyArray<ChunkIndex>,
  maxBytes: number
): Stream.Stream<IndexedChunk, ReadError> => {
  const windows: Array<ReadonlyArray<ChunkIndex>> = []
  for (let from = 0; from < indices.length; from += windowSize) windows.push(indices.slice(from, from + windowSize))
  return Stream.flatMap(Stream.fromArray(windows), (chunks) =>
    Stream.unwrap(
      Effect.map(locate(context, changes, array, chunks), (window) =>
        Stream.concat(present(window), arriving(context, window, maxBytes))
      )
    )
  )
}
