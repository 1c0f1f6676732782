/** Conditional puts through a proxy that loses answers: nothing lost, nothing twice, no conflict that is none. */
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import type * as S3Options from "../src/S3Options.ts"
import * as LossyProxy from "./support/LossyProxy.ts"
import * as S3Server from "./support/S3Server.ts"
import { optionsFor, real, realOptions } from "./support/TestStores.ts"

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const decode = (bytes: Uint8Array): ReadonlyArray<string> =>
  JSON.parse(new TextDecoder().decode(bytes)) as ReadonlyArray<string>

const patient: S3Options.RetryOptions = { times: 40, baseDelay: 1, maxDelay: 5 }

interface Lossy {
  readonly proxy: LossyProxy.LossyProxy
  /** Through the proxy. */
  readonly store: ObjectStore.ObjectStoreShape
  /** Straight to the server. */
  readonly direct: ObjectStore.ObjectStoreShape
}

const openFake = (dialect: "quoted" | "bare", seed: number): Effect.Effect<Lossy, never, Scope.Scope> =>
  Effect.flatMap(S3Server.start({ dialect }), (server) => open(optionsFor(server), seed))

const open = (options: S3Options.S3Options, seed: number): Effect.Effect<Lossy, never, Scope.Scope> =>
  Effect.orDie(
    Effect.gen(function* () {
      const proxy = yield* LossyProxy.start({ target: options.endpoint ?? "", seed })
      const direct = yield* S3ObjectStore.make(options)
      const store = yield* S3ObjectStore.make({ ...options, endpoint: proxy.endpoint, retry: patient })
      return { proxy, store, direct }
    })
  )

/** One writer, many updates: there is nobody to conflict with. */
const oneWriter = Effect.fnUntraced(function* ({ direct, proxy, store }: Lossy, updates: number) {
  let version = yield* store.put("chain", encode(["start"]), { mode: ObjectStore.create })
  for (let i = 0; i < updates; i++) {
    version = yield* store.put("chain", encode([`${i}`]), { mode: ObjectStore.update(version) })
  }
  yield* proxy.heal
  const { bytes, meta } = yield* direct.get("chain")
  expect(decode(bytes)).toEqual([`${updates - 1}`])
  expect(meta.version).toEqual(version)
  for (const kind of LossyProxy.kinds) if (kind !== "cut") expect(proxy.counts[kind]).toBeGreaterThan(0)
})

/**
 * Many writers add a word each to one object. Who is told of a conflict looks first whether the own word is there,
 * as an engine must: between a lost answer and the next attempt somebody may have built on the own write.
 */
const manyWriters = Effect.fnUntraced(function* ({ direct, proxy, store }: Lossy, writers: number, each: number) {
  yield* direct.put("words", encode([]))
  const add = (word: string): Effect.Effect<void, ObjectStoreError.ObjectStoreError | ObjectStore.WriteForbidden> =>
    Effect.gen(function* () {
      const { bytes, meta } = yield* store.get("words")
      const words = decode(bytes)
      if (words.includes(word)) return
      yield* store.put("words", encode([...words, word]), { mode: ObjectStore.update(meta.version) })
    }).pipe(Effect.retry({ while: ObjectStoreError.hasReason("PreconditionFailed") }))
  const all = Array.from({ length: writers }, (_, writer) => Array.from({ length: each }, (_, i) => `${writer}.${i}`))
  yield* Effect.forEach(all, (words) => Effect.forEach(words, add), { concurrency: "unbounded" })
  yield* proxy.heal
  const words = decode((yield* direct.get("words")).bytes)
  expect(words.toSorted()).toEqual(all.flat().toSorted())
  // Each writer's words stand in the order in which it wrote them.
  for (const own of all) expect(words.filter((word) => own.includes(word))).toEqual(own)
})

/** Many fibers want the same keys; each key has one winner, and the winner knows it. */
const creators = Effect.fnUntraced(function* ({ direct, proxy, store }: Lossy, keys: number) {
  for (let i = 0; i < keys; i++) {
    const results = yield* Effect.forEach(
      [0, 1, 2, 3],
      (writer) => Effect.result(store.put(`key-${i}`, encode([`${writer}`]), { mode: ObjectStore.create })),
      { concurrency: "unbounded" }
    )
    const winners = results.flatMap((result, writer) => (result._tag === "Success" ? [writer] : []))
    expect(winners).toHaveLength(1)
    for (const result of results) {
      if (result._tag === "Failure") expect(result.failure).toMatchObject({ reason: { _tag: "AlreadyExists" } })
    }
    expect(decode((yield* direct.get(`key-${i}`)).bytes)).toEqual([`${winners[0]}`])
  }
  yield* proxy.heal
})

describe.each(["quoted", "bare"] as const)("through a lossy proxy to a server that wants %s ETags", (dialect) => {
  it.live(
    "one writer never conflicts with itself",
    () => Effect.flatMap(openFake(dialect, 1), (lossy) => oneWriter(lossy, 200)),
    60_000
  )
  it.live(
    "of many writers none loses a write or writes twice",
    () => Effect.flatMap(openFake(dialect, 2), (lossy) => manyWriters(lossy, 8, 10)),
    60_000
  )
  it.live(
    "each key has one creator, who knows it",
    () => Effect.flatMap(openFake(dialect, 3), (lossy) => creators(lossy, 30)),
    60_000
  )
})

describe.skipIf(real.endpoint === undefined)("through a lossy proxy to the real server of TEST_S3_ENDPOINT", () => {
  const openReal = (seed: number): Effect.Effect<Lossy, never, Scope.Scope> =>
    Effect.flatMap(realOptions, (options) => open(options, seed))
  it.live(
    "one writer never conflicts with itself",
    () => Effect.flatMap(openReal(4), (lossy) => oneWriter(lossy, 200)),
    60_000
  )
  it.live(
    "of many writers none loses a write or writes twice",
    () => Effect.flatMap(openReal(5), (lossy) => manyWriters(lossy, 8, 10)),
    120_000
  )
  it.live(
    "each key has one creator, who knows it",
    () => Effect.flatMap(openReal(6), (lossy) => creators(lossy, 30)),
    60_000
  )
})
