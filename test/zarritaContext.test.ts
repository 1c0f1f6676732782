/**
 * What zarrita reads belongs to the program that asks: its spans, log lines, references and interruption reach the requests.
 */
import {
  Errors,
  MemoryObjectStore,
  ObjectStore,
  ObjectStoreError,
  Platform,
  Repository,
  Session,
  ZarritaStore
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import * as Observed from "../packages/core/test/Observed.ts"
import * as zarr from "zarrita"

const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)

const numbers = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i / 3)

/** Four chunks of 4 kB, and two shards of four of those, each too large to be kept inline. */
const write = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  const store = yield* ZarritaStore.makeWritable(session)
  yield* ZarritaStore.useWritable(async () => {
    const root = zarr.root(store)
    await zarr.create(root)
    const array = await zarr.create(root.resolve("/heights"), {
      shape: [4000],
      chunkShape: [1000],
      dtype: "float32",
      codecs: [{ name: "bytes", configuration: { endian: "little" } }]
    })
    await zarr.set(array, null, { data: numbers(4000), shape: [4000], stride: [1] })
  })
  yield* session.setMetadata(
    "/sharded",
    new TextEncoder().encode(
      JSON.stringify({
        zarr_format: 3,
        node_type: "array",
        shape: [8],
        data_type: "float32",
        chunk_grid: { name: "regular", configuration: { chunk_shape: [4] } },
        chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
        fill_value: 0,
        codecs: [
          {
            name: "sharding_indexed",
            configuration: {
              chunk_shape: [2],
              codecs: [{ name: "bytes", configuration: { endian: "little" } }],
              index_codecs: [{ name: "bytes", configuration: { endian: "little" } }]
            }
          }
        ],
        attributes: {}
      })
    )
  )
  for (const shard of [0, 1]) {
    // Two chunks of 8 bytes, padding so that the shard is a file, then the index of offsets and lengths.
    const bytes = new Uint8Array(4096)
    bytes.set(new Uint8Array(numbers(8).slice(shard * 4, shard * 4 + 4).buffer))
    bytes.set(new Uint8Array(BigUint64Array.of(0n, 8n, 8n, 8n).buffer), 4096 - 32)
    yield* session.setChunk("/sharded", [shard], bytes)
  }
  yield* session.commit("by zarrita")
})

/** What goes around each request of chunks, for tests that look at it or hold it up. */
type Around = <A, E>(request: Effect.Effect<A, E>, key: string) => Effect.Effect<A, E>

/** The committed session, opened anew, with nothing of it kept in memory. */
const session = (around: Around = (request) => request) =>
  Effect.gen(function* () {
    yield* write
    const store = yield* ObjectStore.ObjectStore
    const observed = {
      ...store,
      get: (key: string, options?: ObjectStore.GetOptions) =>
        key.startsWith("chunks/") ? around(store.get(key, options), key) : store.get(key, options)
    }
    const repository = yield* Effect.provideService(Repository.open(), ObjectStore.ObjectStore, observed)
    return yield* repository.readonlySession({ branch: "main" })
  })

const namesAbove = (span: Tracer.AnySpan): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (let at: Tracer.AnySpan | undefined = span; at?._tag === "Span"; at = Option.getOrUndefined(at.parent)) {
    names.push(at.name)
  }
  return names.slice(1)
}

const readAll = (store: zarr.Readable, name: string, signal?: AbortSignal) =>
  zarr
    .open(zarr.root(store).resolve(name), { kind: "array", ...(signal && { signal }) })
    .then((array) => zarr.get(array, null, signal && { signal }))

describe("spans of what zarrita reads", () => {
  it.effect("are below that of the Effect that waits for it, from the first request to the last", () =>
    Effect.gen(function* () {
      const { spans, tracer } = Observed.recording()
      const opened = yield* session()
      yield* Effect.gen(function* () {
        const store = yield* ZarritaStore.make(opened).pipe(Effect.withSpan("setup"))
        spans.length = 0
        const plain = yield* ZarritaStore.use((signal) => readAll(store, "/heights", signal)).pipe(
          Effect.withSpan("draw")
        )
        assert.deepStrictEqual(plain.data, numbers(4000))
        const sharded = yield* ZarritaStore.use((signal) => readAll(store, "/sharded", signal)).pipe(
          Effect.withSpan("shards")
        )
        assert.deepStrictEqual(sharded.data, numbers(8))
      }).pipe(Effect.withTracer(tracer))
      const requests = spans.filter(({ name }) => name === "ObjectStore.get")
      const below = (name: string) => requests.filter((span) => namesAbove(span).includes(name)).length
      // A manifest and four chunks; a manifest, two indices, and the chunks of each shard together.
      assert.deepStrictEqual([requests.length, below("draw"), below("shards")], [10, 5, 5])
      assert.isTrue(spans.every((span) => span.status._tag === "Ended"))
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("are so also for a plain Effect.promise, which zarrita asks in at once", () =>
    Effect.gen(function* () {
      const { spans, tracer } = Observed.recording()
      const opened = yield* session()
      yield* Effect.gen(function* () {
        const store = yield* ZarritaStore.make(opened)
        const array = yield* Effect.promise(() => zarr.open(zarr.root(store).resolve("/heights"), { kind: "array" }))
        spans.length = 0
        yield* Effect.promise((signal) => zarr.get(array, null, { signal })).pipe(Effect.withSpan("draw"))
      }).pipe(Effect.withTracer(tracer))
      const requests = spans.filter(({ name }) => name === "ObjectStore.get")
      assert.deepStrictEqual(
        requests.map((span) => namesAbove(span).includes("draw")),
        [true, true, true, true, true]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("are below that in which the store was made, where nobody else is known", () =>
    Effect.gen(function* () {
      const { spans, tracer } = Observed.recording()
      const opened = yield* session()
      const store = yield* ZarritaStore.make(opened).pipe(Effect.withSpan("page"), Effect.withTracer(tracer))
      spans.length = 0
      yield* Effect.promise(async () => {
        await Promise.resolve()
        await readAll(store, "/heights")
      })
      const requests = spans.filter(({ name }) => name === "ObjectStore.get")
      assert.strictEqual(requests.length, 5)
      assert.isTrue(requests.every((span) => namesAbove(span).includes("page")))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("the context of what zarrita reads", () => {
  const Tenant = Context.Reference<string>("test/Tenant", { defaultValue: () => "nobody" })

  it.effect("has the loggers, annotations and references of who reads, over those of who made the store", () =>
    Effect.gen(function* () {
      const lines: Array<readonly [unknown, Record<string, unknown>, string]> = []
      const logger = Logger.make(({ fiber, message }) => {
        lines.push([message, fiber.getRef(References.CurrentLogAnnotations), fiber.getRef(Tenant)])
      })
      const opened = yield* session((request) => Effect.andThen(Effect.log("asked"), request))
      const store = yield* ZarritaStore.make(opened).pipe(
        Effect.provideService(Tenant, "maker"),
        Effect.annotateLogs({ page: "map" }),
        Effect.provide(Logger.layer([logger]))
      )
      yield* ZarritaStore.use((signal) => readAll(store, "/heights", signal)).pipe(
        Effect.annotateLogs({ page: "map", tile: 7 }),
        Effect.provideService(Tenant, "reader")
      )
      assert.deepStrictEqual(
        lines,
        Array.from({ length: 4 }, () => [["asked"], { page: "map", tile: 7 }, "reader"] as const)
      )
      lines.length = 0
      yield* Effect.promise(() => Promise.resolve().then(() => readAll(store, "/heights")))
      assert.deepStrictEqual(lines[0], [["asked"], { page: "map" }, "maker"])
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("has the references of this library: a span for each chunk", () =>
    Effect.gen(function* () {
      const { spans, tracer } = Observed.recording()
      const opened = yield* session()
      const store = yield* ZarritaStore.make(opened)
      const chunks = (isOn: boolean) =>
        ZarritaStore.use((signal) => readAll(store, "/heights", signal)).pipe(
          Effect.provideService(Session.ChunkSpans, isOn),
          Effect.withTracer(tracer),
          Effect.map(() => spans.splice(0).filter(({ name }) => name === "Session.chunk").length)
        )
      assert.deepStrictEqual([yield* chunks(false), yield* chunks(true)], [0, 4])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

/** Holds every request up, tells when there are so many, and counts those that were interrupted. */
const held = Effect.fnUntraced(function* (requests: number) {
  const asked = yield* Deferred.make<void>()
  const gone = yield* Deferred.make<void>()
  let isAsked = 0
  let areGone = 0
  const around: Around = () =>
    Effect.suspend(() => {
      const isLast = ++isAsked === requests
      return Effect.andThen(isLast ? Deferred.succeed(asked, undefined) : Effect.void, Effect.never)
    }).pipe(
      Effect.onInterrupt(() =>
        Effect.suspend(() => (++areGone === requests ? Deferred.succeed(gone, undefined) : Effect.void))
      )
    )
  return { asked: Deferred.await(asked), gone: Deferred.await(gone), around }
})

describe("interruption", () => {
  it.effect("of an Effect.promise around zarrita ends its requests", () =>
    Effect.gen(function* () {
      const { around, asked, gone } = yield* held(4)
      const store = yield* ZarritaStore.make(yield* session(around))
      const fiber = yield* Effect.forkChild(Effect.promise((signal) => readAll(store, "/heights", signal)))
      yield* asked
      yield* Fiber.interrupt(fiber)
      yield* gone
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("of `use` does, and it is an interruption for who waits", () =>
    Effect.gen(function* () {
      const { around, asked, gone } = yield* held(2)
      const store = yield* ZarritaStore.make(yield* session(around))
      const fiber = yield* Effect.forkChild(ZarritaStore.use((signal) => readAll(store, "/sharded", signal)))
      yield* asked
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      yield* gone
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("of the scope of a store ends what is being read through it, and nothing can be read afterwards", () =>
    Effect.gen(function* () {
      const { around, asked, gone } = yield* held(6)
      const opened = yield* session(around)
      const scope = yield* Scope.make()
      const store = yield* Scope.provide(ZarritaStore.make(opened), scope)
      const reading = readAll(store, "/heights").catch((error: unknown) => error)
      const waiting = yield* Effect.forkChild(Effect.flip(ZarritaStore.use(() => readAll(store, "/sharded"))))
      yield* asked
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.promise(() => reading)
      assert.instanceOf(error, Errors.StoreClosed)
      assert.include(String(error), "/heights/c/")
      assert.instanceOf(yield* Fiber.join(waiting), Errors.StoreClosed)
      yield* gone
      // What is in memory neither.
      assert.instanceOf(yield* Effect.flip(ZarritaStore.use(() => store.get("/zarr.json"))), Errors.StoreClosed)
      const later = yield* Effect.flip(ZarritaStore.use((signal) => readAll(store, "/heights", signal)))
      assert.instanceOf(later, Errors.StoreClosed)
      // The session is as it was.
      assert.strictEqual((yield* opened.names()).length, 2)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("of the repository's scope is told from an aborted signal", () =>
    Effect.gen(function* () {
      const { around, asked } = yield* held(2)
      const scope = yield* Scope.make()
      const store = ZarritaStore.fromSession(yield* Scope.provide(session(around), scope))
      const reading = readAll(store, "/sharded").catch((error: unknown) => error)
      yield* asked
      yield* Scope.close(scope, Exit.void)
      assert.instanceOf(yield* Effect.promise(() => reading), Errors.StoreClosed)
    }).pipe(Effect.provide(services))
  )
})

describe("errors through `use`", () => {
  const refusing: Around = (_, key) =>
    Effect.fail(
      new Errors.ObjectStoreError({
        store: "memory://",
        operation: "get",
        key,
        reason: new ObjectStoreError.PermissionDenied({ detail: "the policy has changed" })
      })
    ) as Effect.Effect<never>

  it.effect("are those of the store, typed", () =>
    Effect.gen(function* () {
      const store = yield* ZarritaStore.make(yield* session(refusing))
      const reason = yield* ZarritaStore.use((signal) => readAll(store, "/heights", signal)).pipe(
        Effect.as("read"),
        Effect.catchTag("ObjectStoreError", ({ reason }) => Effect.succeed(reason._tag))
      )
      assert.strictEqual(reason, "PermissionDenied")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("are those of zarrita, with its kind and what to do", () =>
    Effect.gen(function* () {
      const store = yield* ZarritaStore.make(yield* session())
      const array = yield* ZarritaStore.use(() => zarr.open(zarr.root(store).resolve("/heights"), { kind: "array" }))
      const missing = yield* Effect.flip(ZarritaStore.use((signal) => readAll(store, "/none", signal)))
      const selection = yield* Effect.flip(ZarritaStore.use((signal) => zarr.get(array, [1, 2], { signal })))
      const all = [missing, selection]
      assert.isTrue(all.every((error) => error instanceof Errors.ZarritaError && zarr.isZarritaError(error.cause)))
      assert.deepStrictEqual(
        all.map((error) => error._tag === "ZarritaError" && error.kind),
        ["NotFoundError", "InvalidSelectionError"]
      )
      assert.include(missing.message, "`contents()`")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("are defects when they are of the program, thrown or rejected with", () =>
    Effect.gen(function* () {
      const bug = new TypeError("a bug")
      for (const f of [
        () => Promise.reject(bug),
        (): Promise<never> =>
          void (() => {
            throw bug
          })() as never
      ]) {
        const exit = yield* Effect.exit(ZarritaStore.use(f))
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === bug && Cause.hasDies(exit.cause))
      }
    })
  )

  it.effect("are typed in `useWritable` when a write fails, and defects in `use`", () =>
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const store = yield* ZarritaStore.makeWritable(yield* repository.writableSession("main"))
      const write = () => store.set("/nowhere/c/0", Uint8Array.of(1))
      assert.instanceOf(yield* Effect.flip(ZarritaStore.useWritable(write)), Errors.NodeNotFound)
      const exit = yield* Effect.exit(ZarritaStore.use(write))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
