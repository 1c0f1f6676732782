/**
 * Counts round trips: the calls of a store wait until no more come, and are then done and answered together.
 */
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as Platform from "@effect-icechunk/core/Platform"
import { Zstd, ZstdError } from "@effect-icechunk/core/Zstd"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { inWorld, type World } from "./Fixture.ts"

interface Waiting {
  readonly call: string
  /** Rounds until it is answered. */
  left: number
  readonly go: () => void
}

/** What happens while an effect runs. */
export interface Options {
  /** Runs when the calls of a round have been made, and before they are answered; rounds count from 1. */
  readonly between?: ((round: number) => Effect.Effect<unknown, unknown>) | undefined
  /** Rounds that a call takes (default 1). */
  readonly takes?: ((call: string) => number) | undefined
}

/** Where a key is: its directory, or the key of a file that has none. */
const room = (key: string): string => key.split("/")[0]!

/** Compression that is done at once, so that whoever waits waits for the store. */
export const plainZstd: Zstd["Service"] = {
  compress: (bytes) => Effect.succeed(bytes.slice()),
  decompress: (bytes, maxBytes) =>
    bytes.length > maxBytes
      ? Effect.fail(new ZstdError({ problem: "more bytes than allowed" }))
      : Effect.succeed(bytes.slice()),
  dictionary: () => (bytes) => bytes.slice()
}

type Services = ObjectStore.ObjectStore | Platform.Platforms | Zstd | Scope.Scope

/** Runs effects over the objects of a world, each as the program that began with the first. */
export const make = (world: World) => {
  let waiting: Array<Waiting> = []
  let isDirect = true
  /** The calls of this round. */
  let made: Array<string> = []

  let takes: (call: string) => number = () => 1

  const held = <A, E>(call: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (isDirect) return effect
      return Effect.andThen(
        Effect.callback<void>((resume) => {
          const one: Waiting = { call, left: takes(call), go: () => resume(Effect.void) }
          waiting.push(one)
          made.push(call)
          return Effect.sync(() => {
            waiting = waiting.filter((other) => other !== one)
          })
        }),
        effect
      )
    })

  const inner = world.store
  const store: ObjectStore.ObjectStoreShape = {
    ...inner,
    get: (key, options) => held(`get ${room(key)}`, inner.get(key, options)),
    put: (key, bytes, options) => held(`put ${room(key)}`, inner.put(key, bytes, options)),
    head: (key) => held(`head ${room(key)}`, inner.head(key)),
    list: (prefix) => Stream.unwrap(held(`list ${prefix}`, Effect.succeed(inner.list(prefix)))),
    delete: (keys) => held(`delete ${keys.map(room).join(" ")}`, inner.delete(keys)),
    copy: (from, to, options) => held(`copy ${room(from)} ${room(to)}`, inner.copy(from, to, options))
  }

  /** Waits until nothing happens any more but by an answer. */
  const settle = Effect.gen(function* () {
    for (let quiet = 0, seen = -1; quiet < 50; quiet++) {
      if (seen !== made.length) {
        seen = made.length
        quiet = 0
      }
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
  })

  /** The calls of an effect, a list for each round, and its result; `undefined` when it was interrupted. */
  const rounds = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>, options: Options = {}) {
    isDirect = false
    takes = options.takes ?? (() => 1)
    made = []
    const fiber = yield* Effect.forkChild(Effect.result(effect))
    const calls: Array<ReadonlyArray<string>> = []
    yield* settle
    while (waiting.length > 0) {
      calls.push(made.toSorted())
      made = []
      if (options.between !== undefined) {
        isDirect = true
        yield* Effect.orDie(options.between(calls.length))
        isDirect = false
      }
      for (const one of waiting.slice()) {
        if (--one.left > 0 || !waiting.includes(one)) continue
        waiting = waiting.filter((other) => other !== one)
        one.go()
      }
      yield* settle
    }
    isDirect = true
    return { calls, result: yield* Fiber.join(fiber) }
  })

  const within = <A, E>(effect: Effect.Effect<A, E, Services>): Effect.Effect<A, E> =>
    inWorld({ ...world, store })(Effect.provideService(effect, Zstd, plainZstd))

  return { rounds, store, within }
}
