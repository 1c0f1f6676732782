/**
 * Whole repositories, written by one engine and read by the other, in turns: a suite for each place where a
 * repository can be.
 */
import type icechunk from "@earthmover/icechunk"
import { ObjectStore, Platform, Repository, type WritableSession, ZarrStore } from "@effect-icechunk/core"
import type * as Zstd from "@effect-icechunk/core/Zstd"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as StorageOverStore from "./StorageOverStore.ts"
import * as Engine from "./OfficialEngine.ts"

/** Where a repository is, for both engines. */
export interface Place {
  readonly services: Layer.Layer<ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd>
  /** A new storage of the official engine. */
  readonly storage: () => Promise<icechunk.Storage>
}

/** A place in `store`, through which the official engine goes too. */
export const placeOn = (store: ObjectStore.ObjectStoreShape): Place => ({
  services: Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layer([]), NodeZstd.layer),
  storage: async () => StorageOverStore.over(store)
})

export const bytes = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + 5) % 251)

export const buffer = (value: Uint8Array | null | undefined): Buffer | undefined =>
  value === null || value === undefined ? undefined : Buffer.from(value)

interface ArrayCase {
  readonly path: string
  readonly dataType: string
  readonly itemSize: number
  readonly fillValue: number | string | boolean
  readonly shape: ReadonlyArray<number>
  readonly chunkShape: ReadonlyArray<number>
  /** Chunks that are written; every other place stays empty. */
  readonly written: ReadonlyArray<ReadonlyArray<number>>
}

export const cases: ReadonlyArray<ArrayCase> = [
  { path: "/scalar", dataType: "float64", itemSize: 8, fillValue: 0, shape: [], chunkShape: [], written: [[]] },
  { path: "/bools", dataType: "bool", itemSize: 1, fillValue: false, shape: [9], chunkShape: [3], written: [[0], [2]] },
  {
    path: "/ocean/temp",
    dataType: "float32",
    itemSize: 4,
    fillValue: "NaN",
    shape: [60, 40],
    chunkShape: [20, 20],
    written: [
      [0, 0],
      [0, 1],
      [2, 1]
    ]
  },
  {
    path: "/ocean/deep/ints",
    dataType: "int64",
    itemSize: 8,
    fillValue: -1,
    shape: [4, 4, 4],
    chunkShape: [2, 2, 2],
    written: [
      [1, 0, 1],
      [0, 0, 0]
    ]
  },
  {
    path: "/ocean/four",
    dataType: "uint16",
    itemSize: 2,
    fillValue: 7,
    shape: [10, 2, 40, 3],
    chunkShape: [5, 1, 40, 3],
    written: [
      [0, 0, 0, 0],
      [1, 1, 0, 0]
    ]
  },
  {
    path: "/ünïcødé/海/🧊 ice",
    dataType: "uint8",
    itemSize: 1,
    fillValue: 0,
    shape: [2000],
    chunkShape: [1000],
    written: [[0], [1]]
  },
  { path: "/empty", dataType: "int8", itemSize: 1, fillValue: 0, shape: [0], chunkShape: [1], written: [] }
]

const groups = ["/", "/ocean", "/ocean/deep", "/ünïcødé", "/ünïcødé/海"]

const chunkLength = ({ chunkShape, itemSize }: ArrayCase): number => chunkShape.reduce((n, one) => n * one, itemSize)

export const zarrJson = (array: ArrayCase) => ({
  zarr_format: 3,
  node_type: "array",
  shape: array.shape,
  data_type: array.dataType,
  chunk_grid: { name: "regular", configuration: { chunk_shape: array.chunkShape } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: array.fillValue,
  codecs: [{ name: "bytes", configuration: { endian: "little" } }],
  attributes: { units: "°C", nested: { list: [1, 2.5, null, "x"], of: array.path } },
  ...(array.shape.length === 2 ? { dimension_names: ["y", null] } : {})
})

/** The `zarr.json` of an array of bytes, each of which is a chunk. */
export const arrayJson = (shape: ReadonlyArray<number>, attributes = {}): Uint8Array =>
  json({
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: "uint8",
    chunk_grid: { name: "regular", configuration: { chunk_shape: shape.map(() => 1) } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes" }],
    attributes
  })

const groupJson = (at: string) => ({ zarr_format: 3, node_type: "group", attributes: { title: at } })

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

const key = (at: string, ...rest: ReadonlyArray<string | number>): string =>
  [at.slice(1), ...rest].filter((part) => part !== "").join("/")

/** Everything that the cases hold, by Zarr key. */
export const contents: ReadonlyMap<string, Uint8Array> = new Map([
  ...groups.map((at) => [key(at, "zarr.json"), json(groupJson(at))] as const),
  ...cases.map((array) => [key(array.path, "zarr.json"), json(zarrJson(array))] as const),
  ...cases.flatMap((array, seed) =>
    array.written.map((index, i) => [key(array.path, "c", ...index), bytes(chunkLength(array), seed * 10 + i)] as const)
  )
])

/** Runs an effect with the repository at a place, opened anew; it is created where there is none. */
export const inRepository =
  (place: Pick<Place, "services">, options?: Repository.OpenOptions) =>
  <A, E>(f: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.flatMap(Repository.openOrCreate(options), f)).pipe(Effect.provide(place.services))

/** All keys and values of a version, as this library reads them. */
export const readOurs = (repository: Repository.RepositoryShape, version: Repository.VersionRef = { branch: "main" }) =>
  Effect.gen(function* () {
    const store = ZarrStore.make(yield* repository.readonlySession(version))
    const keys = yield* Stream.runCollect(store.list)
    const values = yield* Effect.forEach(keys, (one) => store.get(one), { concurrency: 8 })
    return new Map(keys.map((one, i) => [one, buffer(values[i])]))
  })

/** All keys and values, as the official engine reads them. */
export const readTheirs = async (
  repository: icechunk.Repository,
  version: { branch?: string; tag?: string; snapshotId?: string } = { branch: "main" }
) => {
  const { store } = await repository.readonlySession(version)
  const keys = await store.list()
  return new Map(await Promise.all(keys.map(async (one) => [one, buffer(await store.get(one))] as const)))
}

export const assertSame = (
  found: ReadonlyMap<string, Buffer | undefined>,
  expected: ReadonlyMap<string, Uint8Array>,
  what: string
): void => {
  assert.deepStrictEqual([...found.keys()].toSorted(), [...expected.keys()].toSorted(), `keys ${what}`)
  for (const [one, value] of expected) {
    const actual = found.get(one)
    // The engines store metadata as they please; what it says has to be the same.
    if (one.endsWith("zarr.json")) {
      assert.deepStrictEqual(JSON.parse(String(actual)), JSON.parse(Buffer.from(value).toString()), `${one} ${what}`)
    } else assert.deepStrictEqual(actual, Buffer.from(value), `${one} ${what}`)
  }
}

export const writeOurs = (
  session: WritableSession.WritableSession,
  entries: Iterable<readonly [string, Uint8Array]>
) => {
  const store = ZarrStore.make(session)
  return Effect.forEach([...entries], ([one, value]) => store.set(one, value), { discard: true })
}

const open = async (at: Place): Promise<icechunk.Repository> => Engine.Repository.open(await at.storage())

const ours = (at: Place, version?: Repository.VersionRef) =>
  inRepository(at)((repository) => readOurs(repository, version))

const theirs = (at: Place, version?: Parameters<typeof readTheirs>[1]) =>
  Effect.promise(async () => readTheirs(await open(at), version))

/** Registers the tests; each gets a place of its own, which its Scope cleans up. */
export const suite = (name: string, newPlace: Effect.Effect<Place, never, Scope.Scope>): void => {
  describe(`a repository ${name} that this library writes`, () => {
    it.live("is read by the official engine, in each of its versions, byte for byte", () =>
      Effect.gen(function* () {
        const at = yield* newPlace
        const changed = new Map([
          ...contents,
          ["ocean/temp/c/0/0", bytes(1600, 99)],
          ["bools/c/1", bytes(3, 98)]
        ] as const)
        const [one, two] = yield* inRepository(at)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* writeOurs(session, contents)
            const one = yield* session.commit("one", {
              metadata: { author: "ünï", n: 1, deep: { list: [true, null] } }
            })
            yield* repository.createTag("v1", one)
            yield* writeOurs(session, [
              ["ocean/temp/c/0/0", bytes(1600, 99)],
              ["bools/c/1", bytes(3, 98)]
            ])
            const two = yield* session.commit("two")
            yield* session.deleteNode("/ocean/deep")
            yield* session.deleteChunk("/bools", [0])
            yield* session.commit("three")
            yield* repository.createBranch("other", two)
            return [one, two] as const
          })
        )
        const without = new Map([...changed].filter(([one]) => !one.startsWith("ocean/deep/") && one !== "bools/c/0"))
        assertSame(yield* theirs(at, { tag: "v1" }), contents, "at the tag")
        assertSame(yield* theirs(at, { snapshotId: one }), contents, "at one")
        assertSame(yield* theirs(at, { snapshotId: two }), changed, "at two")
        assertSame(yield* theirs(at, { branch: "other" }), changed, "on the branch")
        assertSame(yield* theirs(at), without, "on main")
        assertSame(yield* ours(at), without, "on main, by ourselves")
        const repository = yield* Effect.promise(() => open(at))
        const ancestry = yield* Effect.promise(() => repository.ancestry({ branch: "main" }))
        assert.deepStrictEqual(
          ancestry.map(({ message }) => message),
          ["three", "two", "one", "Repository initialized"]
        )
        assert.deepStrictEqual(ancestry[2]?.metadata, { author: "ünï", n: 1, deep: { list: [true, null] } })
        const diff = yield* Effect.promise(() => repository.diff({ fromSnapshotId: one, toBranch: "main" }))
        assert.deepStrictEqual(diff.deletedGroups, ["/ocean/deep"])
        assert.deepStrictEqual(diff.deletedArrays, ["/ocean/deep/ints"])
      })
    )

    it.live("is written on by the official engine, and by us again", () =>
      Effect.gen(function* () {
        const at = yield* newPlace
        const expected = new Map(contents)
        yield* inRepository(at)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* writeOurs(session, contents)
            yield* session.commit("ours")
          })
        )
        for (let turn = 0; turn < 4; turn++) {
          const value = bytes(1600, 200 + turn)
          const index = `ocean/temp/c/${turn % 3}/${turn % 2}`
          expected.set(index, value)
          expected.set("bools/c/1", bytes(3, turn))
          yield* Effect.promise(async () => {
            const repository = await open(at)
            const session = await repository.writableSession("main")
            await session.store.set(index, Buffer.from(value))
            await session.store.set("bools/c/1", Buffer.from(bytes(3, turn)))
            await session.commit(`theirs ${turn}`)
          })
          const scalar = bytes(8, 100 + turn)
          expected.set("scalar/c", scalar)
          yield* inRepository(at)((repository) =>
            Effect.gen(function* () {
              const session = yield* repository.writableSession("main")
              yield* writeOurs(session, [["scalar/c", scalar]])
              yield* session.commit(`ours ${turn}`)
            })
          )
          assertSame(yield* ours(at), expected, `after turn ${turn}, by us`)
          assertSame(yield* theirs(at), expected, `after turn ${turn}, by them`)
        }
      })
    )
  })

  describe(`a repository ${name} that the official engine writes`, () => {
    it.live("is read in each of its versions, byte for byte", () =>
      Effect.gen(function* () {
        const at = yield* newPlace
        const tag = yield* Effect.promise(async () => {
          const repository = await Engine.Repository.create(await at.storage())
          const session = await repository.writableSession("main")
          for (const [one, value] of contents) await session.store.set(one, Buffer.from(value))
          const first = await session.commit("one")
          await repository.createTag("v1", first)
          const next = await repository.writableSession("main")
          await next.store.set("ocean/temp/c/2/0", Buffer.from(bytes(1600, 55)))
          await next.store.delete("bools/c/2")
          await next.commit("two")
          return first
        })
        assertSame(yield* ours(at, { tag: "v1" }), contents, "at the tag")
        assertSame(yield* ours(at, { snapshotId: tag }), contents, "at the snapshot")
        const changed = new Map(contents)
        changed.set("ocean/temp/c/2/0", bytes(1600, 55))
        changed.delete("bools/c/2")
        assertSame(yield* ours(at), changed, "on main")
      })
    )
  })
}

/**
 * Registers the test of both engines at work at the same time, for places where both leave it to the store who wins.
 * A directory is none: there the engine's native build writes without a lock.
 */
export const suiteAtOnce = (name: string, newPlace: Effect.Effect<Place, never, Scope.Scope>): void => {
  describe(`a repository ${name} that both engines write at once`, () => {
    it.live("has every commit of both, once, and each on the tip that it was made for", () =>
      Effect.gen(function* () {
        const at = yield* newPlace
        const each = 5
        yield* inRepository(at)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            yield* session.createArray("/log", { shape: [100], chunkShape: [1], dataType: "uint8", fillValue: 0 })
            yield* session.commit("array")
          })
        )
        const oursAt = (who: number) =>
          inRepository(at)((repository) =>
            Effect.forEach(
              Array.from({ length: each }, (_, i) => i),
              (i) =>
                Effect.gen(function* () {
                  const session = yield* repository.writableSession("main")
                  yield* session.setChunk("/log", [who * each + i], Uint8Array.of(who * each + i + 1))
                  yield* session.commit(`${who}.${i}`)
                }).pipe(Effect.retry({ while: ({ _tag }) => _tag === "CommitConflict" }))
            )
          )
        const theirsAt = (who: number) =>
          Effect.promise(async () => {
            const repository = await open(at)
            for (let i = 0; i < each;) {
              const session = await repository.writableSession("main")
              await session.store.set(`log/c/${who * each + i}`, Buffer.of(who * each + i + 1))
              try {
                await session.commit(`${who}.${i}`)
                i++
              } catch (error) {
                if (!/conflict/i.test(String(error))) throw error
              }
            }
          })
        yield* Effect.all([oursAt(0), theirsAt(1), oursAt(2), theirsAt(3)], { concurrency: "unbounded" })
        const { chunks, messages } = yield* inRepository(at)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.readonlySession({ branch: "main" })
            const chunks = yield* Effect.forEach(
              Array.from({ length: each * 4 }, (_, i) => i),
              (i) => session.chunk("/log", [i])
            )
            const history = yield* repository.history({ branch: "main" })
            return {
              chunks,
              messages: history
                .map(({ message }) => message)
                .toReversed()
                .slice(2)
            }
          })
        )
        assert.deepStrictEqual(
          chunks.map(buffer),
          Array.from(chunks, (_, i) => Buffer.of(i + 1))
        )
        const all = [0, 1, 2, 3].map((who) => Array.from({ length: each }, (_, i) => `${who}.${i}`))
        assert.deepStrictEqual(messages.toSorted(), all.flat())
        for (const [who, own] of all.entries()) {
          assert.deepStrictEqual(
            messages.filter((message) => message.startsWith(`${who}.`)),
            own
          )
        }
      })
    )
  })
}
