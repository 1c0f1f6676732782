/**
 * A cache of chunks that an application puts beside its repositories: in memory, or as a Layer of its own, on disk or at an
 * edge. There is none unless it is provided.
 *
 * What is kept can never be wrong: chunk files never change, and of virtual chunks only those are kept that have a checksum
 * and were read with `checks: "fail"`. They are served also when the object has changed since, or is gone, because they are
 * what the ref was written for. Chunks of local stores (files, memory) are not kept.
 *
 * A repository asks its rules of access before it asks the cache: what it may not read it does not get. Whether the
 * credentials may still be used is only known to the store, so share a cache among those who may read the same.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/**
 * A place where bytes are kept by key. It may forget any of them at any time. Keys are texts of any length, and hold no
 * secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunkCacheShape {
  /** Bytes that were kept, as a copy which is the caller's to change; `undefined` when there are none. */
  readonly get: (key: string) => Effect.Effect<Uint8Array | undefined>
  /** Keeps bytes, which nobody else has or changes. */
  readonly set: (key: string, bytes: Uint8Array) => Effect.Effect<void>
}

/**
 * The cache of a program, `undefined` (the default) for none.
 *
 * @category services
 * @since 0.1.0
 */
export const ChunkCache: Context.Reference<ChunkCacheShape | undefined> = /*#__PURE__*/ Context.Reference<
  ChunkCacheShape | undefined
>("@effect-icechunk/core/ChunkCache", { defaultValue: () => undefined })

interface Entry {
  readonly key: string
  readonly bytes: Uint8Array
  /** Used before and after this one. */
  before: Entry
  after: Entry
}

/** What an entry costs beside its bytes, about. */
const entryBytes = 256

/**
 * A cache in memory that holds at most `maxBytes`, keys and bookkeeping included. What was used longest ago is forgotten
 * first; a chunk of more than a quarter of it is not kept.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory = (options: { readonly maxBytes: number }): ChunkCacheShape => {
  const { maxBytes } = options
  const kept = new Map<string, Entry>()
  // A ring: after its start comes what was used longest ago, before it what was used last.
  const ring = { key: "", bytes: new Uint8Array(0) } as Entry
  ring.before = ring.after = ring
  let held = 0
  const cost = ({ bytes, key }: Pick<Entry, "bytes" | "key">): number =>
    bytes.buffer.byteLength + 2 * key.length + entryBytes
  const unlink = ({ after, before }: Entry): void => {
    before.after = after
    after.before = before
  }
  const append = (entry: Entry): void => {
    entry.before = ring.before
    entry.after = ring
    ring.before.after = entry
    ring.before = entry
  }
  const forget = (entry: Entry | undefined): void => {
    if (entry === undefined) return
    kept.delete(entry.key)
    unlink(entry)
    held -= cost(entry)
  }
  const makeRoom = (size: number): void => {
    for (let entry = ring.after; entry !== ring; entry = entry.after) {
      if (held + size <= maxBytes) return
      forget(entry)
    }
  }
  return {
    get: (key) =>
      Effect.sync(() => {
        const entry = kept.get(key)
        if (entry === undefined) return undefined
        unlink(entry)
        append(entry)
        return new Uint8Array(entry.bytes)
      }),
    set: (key, bytes) =>
      Effect.sync(() => {
        forget(kept.get(key))
        const size = cost({ key, bytes })
        if (size > maxBytes / 4) return
        makeRoom(size)
        const entry: Entry = { key, bytes, before: ring, after: ring }
        kept.set(key, entry)
        append(entry)
        held += size
      })
  }
}

/**
 * A cache in memory for all repositories of a program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options: { readonly maxBytes: number }): Layer.Layer<never> =>
  Layer.sync(ChunkCache, () => makeMemory(options))

/** A read that several may wait for. */
interface Flight<E> {
  readonly waiting: Set<(exit: Exit.Exit<Uint8Array, E>) => void>
  fiber: Fiber.Fiber<Uint8Array, E> | undefined
}

/**
 * Reads of one repository through a cache: what several want at once is read once, and no longer when the last of them
 * leaves.
 *
 * @category models
 * @since 0.1.0
 */
export class CachedReads<E> {
  readonly #cache: ChunkCacheShape
  readonly #scope: Scope.Scope
  readonly #flights = new Map<string, Flight<E>>()

  constructor(cache: ChunkCacheShape, scope: Scope.Scope) {
    this.#cache = cache
    this.#scope = scope
  }

  /** The bytes under a key, by `read` where the cache has none. */
  get(key: string, read: Effect.Effect<Uint8Array, E>): Effect.Effect<Uint8Array, E> {
    return Effect.callback((resume) => {
      const flight = this.#flights.get(key) ?? this.#start(key, read, Fiber.getCurrent()!.context)
      const answer = (exit: Exit.Exit<Uint8Array, E>): void => resume(exit)
      flight.waiting.add(answer)
      return Effect.sync(() => {
        if (!flight.waiting.delete(answer) || flight.waiting.size > 0) return
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        flight.fiber?.interruptUnsafe()
      })
    })
  }

  #start(key: string, read: Effect.Effect<Uint8Array, E>, context: Context.Context<never>): Flight<E> {
    const flight: Flight<E> = { waiting: new Set(), fiber: undefined }
    this.#flights.set(key, flight)
    const readAndKeep = Effect.tap(read, (bytes) => this.#cache.set(key, new Uint8Array(bytes)))
    const through = Effect.flatMap(this.#cache.get(key), (bytes) =>
      bytes === undefined ? readAndKeep : Effect.succeed(bytes)
    )
    // The readers are noted before the first of them is answered.
    const fiber = Effect.runForkWith(context)(Effect.andThen(Effect.yieldNow, through))
    flight.fiber = fiber
    Fiber.runIn(fiber, this.#scope).addObserver((exit) => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      const waiting = [...flight.waiting]
      flight.waiting.clear()
      // All copies before anybody is answered, who may do anything to its bytes.
      const exits = waiting.map((_, i) =>
        i > 0 && Exit.isSuccess(exit) ? Exit.succeed(new Uint8Array(exit.value)) : exit
      )
      for (const [i, answer] of waiting.entries()) answer(exits[i]!)
    })
    return flight
  }
}
