/**
 * The contract of zarrita's stores, for each that a session can be: what zarrita's own tests ask of its stores, its
 * consolidated metadata, and its extensions of stores.
 */
import {
  Errors,
  MemoryObjectStore,
  NodePath,
  ObjectStore,
  Platform,
  Repository,
  ZarritaStore
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Consolidated from "../packages/core/src/zarr/Consolidated.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import * as zarr from "zarrita"

const services = Layer.mergeAll(MemoryObjectStore.layer(), Platform.layerNone, NodeZstd.layer)

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

const group = (attributes: unknown): string => JSON.stringify({ zarr_format: 3, node_type: "group", attributes })

const bytesArray = (length: number, chunk: number): string =>
  JSON.stringify({
    zarr_format: 3,
    node_type: "array",
    shape: [length],
    data_type: "uint8",
    chunk_grid: { name: "regular", configuration: { chunk_shape: [chunk] } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes" }],
    attributes: { units: "m" }
  })

const long = Uint8Array.from({ length: 5000 }, (_, i) => i % 251)

/** Keys and values: a chunk that is kept inline, one that is a file, and names with spaces and of other scripts. */
const values: Readonly<Record<string, Uint8Array>> = Object.fromEntries(
  Object.entries({
    "/zarr.json": group({ title: "all" }),
    "/greeting/zarr.json": bytesArray(13, 13),
    "/greeting/c/0": "Hello, World!",
    "/a group with spaces/zarr.json": group({}),
    "/a group with spaces/größe/zarr.json": bytesArray(15_000, 5000),
    "/a group with spaces/größe/c/1": long
  }).map(([key, value]) => [key, typeof value === "string" ? new TextEncoder().encode(value) : value])
)

const missing = ["/nothing", "/none/zarr.json", "/greeting/c/1", "/a group with spaces/größe/c/2", "/.zattrs"] as const

/** How often the store under the session was asked. */
interface Asked {
  count: number
}

const sessions = Effect.gen(function* () {
  const asked: Asked = { count: 0 }
  const store = yield* Effect.map(ObjectStore.ObjectStore, (store) => ({
    ...store,
    get: (key: string, options?: ObjectStore.GetOptions) => {
      asked.count++
      return store.get(key, options)
    }
  }))
  const repository = yield* Effect.provideService(Repository.create(), ObjectStore.ObjectStore, store)
  const writing = yield* repository.writableSession("main")
  const mutable = yield* ZarritaStore.makeWritable(writing)
  yield* ZarritaStore.useWritable(async () => {
    for (const [key, value] of Object.entries(values)) await mutable.set(key as "/", value)
  })
  yield* writing.commit("all")
  const reading = yield* repository.readonlySession({ branch: "main" })
  return { asked, mutable, reading, repository, writing }
})

type Sessions = Effect.Success<typeof sessions>

type AnyStore = ZarritaStore.Readable | ZarritaStore.SyncReadable

const stores: ReadonlyArray<readonly [string, (sessions: Sessions) => Effect.Effect<AnyStore, unknown, Scope.Scope>]> =
  [
    ["make", ({ reading }) => ZarritaStore.make(reading)],
    ["fromSession", ({ reading }) => Effect.succeed(ZarritaStore.fromSession(reading))],
    ["makeWritable", ({ mutable }) => Effect.succeed(mutable)],
    ["fromWritableSession", ({ writing }) => Effect.succeed(ZarritaStore.fromWritableSession(writing))],
    ["load", ({ reading }) => ZarritaStore.load(reading)]
  ]

/** What a store answers, or throws or rejects with. */
const answer = async (ask: () => Uint8Array | undefined | Promise<Uint8Array | undefined>): Promise<unknown> => {
  try {
    return await ask()
  } catch (error) {
    return error
  }
}

describe.each(stores)("zarrita's contract of a store: %s", (name, open) => {
  /** Runs a test of the store in memory. */
  const inStore = (test: (store: AnyStore) => Promise<void>) =>
    Effect.gen(function* () {
      const store = yield* Effect.orDie(open(yield* sessions))
      yield* Effect.promise(() => test(store))
    }).pipe(Effect.scoped, Effect.provide(services))

  it.effect("reads what was written, at keys with spaces and of any script", () =>
    inStore(async (store) => {
      for (const [key, value] of Object.entries(values)) assert.deepStrictEqual(await store.get(key as "/"), value, key)
    })
  )

  it.effect("has fill values of 64 bits exactly, which JSON in JavaScript rounds", () =>
    Effect.gen(function* () {
      const all = yield* sessions
      const fills = [-(2n ** 63n), -(2n ** 63n) + 2n, 2n ** 53n + 1n, 2n ** 63n - 1n, -7n, 2n ** 64n - 2n]
      for (const [i, fill] of fills.entries()) {
        yield* all.writing.createArray(`/fill-${i}`, {
          shape: [3],
          chunkShape: [2],
          dataType: fill >= 2n ** 63n ? "uint64" : "int64",
          fillValue: fill,
          // A text that only looks like it stays.
          attributes: { text: '"fill_value":12345678901234567890', fill_value: 2 ** 60 }
        })
      }
      yield* all.writing.commit("fills")
      const reading = yield* all.repository.readonlySession({ branch: "main" })
      const writing = yield* all.repository.writableSession("main")
      const mutable = yield* ZarritaStore.makeWritable(writing)
      const store = (yield* Effect.orDie(open({ ...all, mutable, reading, writing }))) as zarr.AsyncReadable
      const consolidated = yield* Effect.promise(() => zarr.withMaybeConsolidatedMetadata(store))
      for (const root of [store, consolidated]) {
        for (const [i, fill] of fills.entries()) {
          const array = yield* Effect.promise(() =>
            zarr.open.v3(zarr.root(root).resolve(`/fill-${i}`), { kind: "array" })
          )
          const { data } = yield* Effect.promise(() => zarr.get(array as zarr.Array<"int64" | "uint64">))
          assert.deepStrictEqual([...data], [fill, fill, fill])
          assert.deepStrictEqual(array.attrs, { text: '"fill_value":12345678901234567890', fill_value: 2 ** 60 })
        }
      }
    }).pipe(Effect.scoped, Effect.orDie, Effect.provide(services))
  )

  it.effect("answers `undefined` for what is not there, also for a part of it", () =>
    inStore(async (store) => {
      for (const key of missing) {
        assert.strictEqual(await store.get(key), undefined, key)
        assert.strictEqual(await store.getRange(key, { suffixLength: 5 }), undefined, key)
        assert.strictEqual(await store.getRange(key, { offset: 1, length: 2 }), undefined, key)
      }
    })
  )

  it.effect("reads parts, from the start and from the end, of metadata and chunks", () =>
    inStore(async (store) => {
      assert.strictEqual(text(await store.getRange("/greeting/c/0", { offset: 7, length: 5 })), "World")
      assert.strictEqual(text(await store.getRange("/greeting/c/0", { suffixLength: 6 })), "World!")
      assert.strictEqual(text(await store.getRange("/greeting/c/0", { suffixLength: 99 })), "Hello, World!")
      assert.strictEqual(text(await store.getRange("/zarr.json", { offset: 1, length: 13 })), '"zarr_format"')
    })
  )

  it.effect("reads any part as the same part of the whole, and no other", () =>
    inStore((store) =>
      fc.assert(
        fc.asyncProperty(
          fc.constantFrom("/greeting/c/0" as const, "/a group with spaces/größe/c/1" as const),
          fc.oneof(
            fc.record({ offset: fc.integer({ min: -2, max: 5100 }), length: fc.integer({ min: -2, max: 5100 }) }),
            fc.record({ suffixLength: fc.integer({ min: -2, max: 5100 }) })
          ),
          async (key, range) => {
            const whole = values[key]!
            const [start, end] =
              "suffixLength" in range
                ? [Math.max(0, whole.length - range.suffixLength), whole.length]
                : [range.offset, range.offset + range.length]
            const found = await answer(() => store.getRange(key, range))
            if (start < 0 || end < start || end > whole.length || start > whole.length) {
              assert.instanceOf(found, Errors.ObjectStoreError)
              assert.strictEqual(found.reason._tag, "InvalidRange")
            } else {
              assert.deepStrictEqual(found, whole.slice(start, end))
            }
          }
        ),
        { numRuns: 60 }
      )
    )
  )

  it.effect("gives bytes away that are the caller's to change", () =>
    inStore(async (store) => {
      for (const key of ["/greeting/c/0", "/zarr.json", "/a group with spaces/größe/c/1"] as const) {
        const bytes = (await store.get(key))!
        bytes.fill(0)
        ;(await store.getRange(key, { offset: 0, length: 3 }))!.fill(0)
        assert.deepStrictEqual(await store.get(key), values[key], key)
      }
    })
  )

  it.effect("lists groups and arrays, without a request", () =>
    Effect.gen(function* () {
      const all = yield* sessions
      const store = yield* Effect.orDie(open(all))
      all.asked.count = 0
      assert.deepStrictEqual(store.contents(), [
        { path: "/", kind: "group" },
        { path: "/a group with spaces", kind: "group" },
        { path: "/a group with spaces/größe", kind: "array" },
        { path: "/greeting", kind: "array" }
      ])
      assert.strictEqual(all.asked.count, 0)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("is opened and read by zarrita", () =>
    inStore(async (store) => {
      const root = await zarr.open(store as zarr.Readable, { kind: "group" })
      assert.deepStrictEqual(root.attrs, { title: "all" })
      const array = await zarr.open(root.resolve("a group with spaces/größe"), { kind: "array" })
      const { data } = await zarr.get(array, [zarr.slice(4998, 10_001)])
      assert.deepStrictEqual(data, Uint8Array.of(0, 0, ...long, 0))
      if (name === "load") return
      const reason = new Error("the user left")
      const aborted = await answer(() =>
        (store as ZarritaStore.Readable).get("/greeting/c/0", { signal: AbortSignal.abort(reason) })
      )
      assert.strictEqual(aborted, reason)
    })
  )
})

describe("consolidated metadata", () => {
  it.effect("is there for zarrita, which then opens every node without a request", () =>
    Effect.gen(function* () {
      const { asked, reading } = yield* sessions
      const store = yield* ZarritaStore.make(reading)
      asked.count = 0
      yield* ZarritaStore.use(async () => {
        const consolidated = await zarr.withConsolidatedMetadata(store)
        assert.deepStrictEqual(consolidated.contents(), store.contents())
        for (const { kind, path } of consolidated.contents()) {
          const node = await zarr.open(zarr.root(consolidated).resolve(path))
          assert.strictEqual(node.kind, kind)
        }
        const array = await zarr.open(zarr.root(consolidated).resolve("/greeting"), { kind: "array" })
        assert.deepStrictEqual(array.attrs, { units: "m" })
        assert.strictEqual(asked.count, 0)
        assert.strictEqual(text((await zarr.get(array)).data as Uint8Array), "Hello, World!")
        assert.isTrue("contents" in (await zarr.withMaybeConsolidatedMetadata(store)))
      })
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("is not there for a store that is written to, whose nodes change", () =>
    Effect.gen(function* () {
      const { mutable, writing } = yield* sessions
      const kind = yield* ZarritaStore.use(() => zarr.withConsolidatedMetadata(mutable)).pipe(
        Effect.as("found"),
        Effect.catchTag("ZarritaError", ({ kind }) => Effect.succeed(kind))
      )
      assert.strictEqual(kind, "InvalidMetadataError")
      yield* writing.createGroup("/new")
      assert.include(
        mutable.contents().map(({ path }) => path),
        "/new"
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("leaves out what is no JSON, which other clients may have written", () =>
    Effect.gen(function* () {
      const encoder = new TextEncoder()
      const bytes = Consolidated.document([
        { path: NodePath.root, userData: encoder.encode(group({ a: 1 })) },
        { path: "/odd" as NodePath.NodePath, userData: encoder.encode("{") },
        { path: '/"quoted"' as NodePath.NodePath, userData: encoder.encode(group({})) }
      ])
      const { metadata } = JSON.parse(text(bytes)) as { readonly metadata: Record<string, unknown> }
      assert.deepStrictEqual(Object.keys(metadata), ["zarr.json", '"quoted"/zarr.json'])
    })
  )
})

describe("zarrita's extensions of stores", () => {
  it.effect(
    "wrap a store in any order: consolidated metadata, a cache of bytes, merged ranges, one of the user's own",
    () =>
      Effect.gen(function* () {
        const { reading } = yield* sessions
        const store = yield* ZarritaStore.make(reading)
        const seen: Array<string> = []
        const watching = zarr.defineStoreExtension((inner) => ({
          get: (key, options) => {
            seen.push(key)
            return inner.get(key, options)
          }
        }))
        yield* ZarritaStore.use(async (signal) => {
          const cache = new Map<string, Uint8Array | undefined>()
          const extended = await zarr.extendStore(
            store,
            (inner) => watching(inner),
            (inner) => zarr.withRangeCoalescing(inner),
            (inner) => zarr.withByteCaching(inner, { cache }),
            (inner) => zarr.withConsolidatedMetadata(inner)
          )
          const array = await zarr.open.v3(zarr.root(extended).resolve("/greeting"), { kind: "array" })
          for (const _ of [1, 2]) {
            const { data } = await zarr.get(array, null, { signal })
            assert.strictEqual(text(data as Uint8Array), "Hello, World!")
          }
          assert.deepStrictEqual(seen, ["/.zmetadata", "/greeting/c/0"])
          const parts = await Promise.all(
            [0, 7].map((offset) => extended.getRange("/greeting/c/0", { offset, length: 5 }, { signal }))
          )
          assert.deepStrictEqual(parts.map(text), ["Hello", "World"])
        })
      }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a loaded part of a session", () => {
  it.effect("needs neither requests nor the repository afterwards", () =>
    Effect.gen(function* () {
      const { asked, store } = yield* Effect.scoped(
        Effect.gen(function* () {
          const { asked, reading } = yield* sessions
          return { asked, store: yield* ZarritaStore.load(reading, { path: "/a group with spaces" }) }
        })
      )
      asked.count = 0
      assert.deepStrictEqual(
        store.contents().map(({ path }) => path),
        ["/a group with spaces", "/a group with spaces/größe"]
      )
      assert.deepStrictEqual(store.get("/a group with spaces/größe/c/1"), long)
      assert.strictEqual(store.get("/greeting/c/0"), undefined)
      assert.strictEqual(asked.count, 0)
    }).pipe(Effect.provide(services))
  )

  it.effect("fails before it reads chunks of more than is allowed, and at a path that nothing is at", () =>
    Effect.gen(function* () {
      const { asked, reading } = yield* sessions
      yield* ZarritaStore.load(reading, { path: "/greeting" })
      asked.count = 0
      const large = yield* Effect.flip(ZarritaStore.load(reading, { maxBytes: 4000 }))
      assert.instanceOf(large, Errors.StoreTooLarge)
      assert.include(large.message, "4000 may be loaded")
      assert.isAtMost(asked.count, 1)
      assert.instanceOf(yield* Effect.flip(ZarritaStore.load(reading, { path: "/none" })), Errors.NodeNotFound)
      assert.instanceOf(yield* Effect.flip(ZarritaStore.load(reading, { path: "a//b" })), Errors.InvalidPath)
      assert.strictEqual((yield* ZarritaStore.load(reading, { maxBytes: 1e6 })).contents().length, 4)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
