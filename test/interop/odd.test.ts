/**
 * Arrays that the official engine leaves odd: one of them must not make the others unreadable. And what it writes
 * beyond regular grids.
 */
import { ZarrStore } from "@effect-icechunk/core"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Interop from "../support/InteropSuite.ts"
import { bytes, json } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const arrayJson = (shape: ReadonlyArray<number>, chunk_shape: ReadonlyArray<number>) => ({
  zarr_format: 3,
  node_type: "array",
  shape,
  data_type: "uint8",
  chunk_grid: { name: "regular", configuration: { chunk_shape } },
  chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
  fill_value: 0,
  codecs: [{ name: "bytes" }],
  attributes: {}
})

/** Written by the official engine: a good array, and three odd ones. */
const written = Effect.gen(function* () {
  const place = Interop.placeOn(yield* MemoryObjectStore.make())
  yield* Effect.promise(async () => {
    const repository = await Engine.Repository.create(await place.storage())
    const first = await repository.writableSession("main")
    const set = (key: string, value: Uint8Array) => first.store.set(key, Buffer.from(value))
    await set("zarr.json", json({ zarr_format: 3, node_type: "group" }))
    await set("good/zarr.json", json(arrayJson([6], [2])))
    await set("rank/zarr.json", json(arrayJson([6], [2])))
    await set("a//g/zarr.json", json(arrayJson([6], [2])))
    await set("big/zarr.json", json(arrayJson([2 ** 60], [2 ** 55])))
    for (const key of ["good/c/0", "rank/c/0", "rank/c/1", "a//g/c/1", "big/c/31"]) await set(key, bytes(2, key.length))
    await first.commit("first")
    const second = await repository.writableSession("main")
    await second.store.set("rank/zarr.json", Buffer.from(json(arrayJson([4, 4], [2, 2]))))
    await second.commit("another rank")
  })
  return place
})

const everyKey = (place: Interop.Place) =>
  Effect.promise(async () => {
    const repository = await Engine.Repository.open(await place.storage())
    const { store } = await repository.readonlySession({ branch: "main" })
    const found = new Map<string, string>()
    for (const key of await store.listPrefix("")) found.set(key, Buffer.from((await store.get(key))!).toString("hex"))
    return found
  })

describe("a snapshot with arrays that the official engine left odd", () => {
  it.live("is listed and read but for the chunks that have no place in their grid", () =>
    Effect.gen(function* () {
      const place = yield* written
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.readonlySession({ branch: "main" })
          const nodes = yield* session.nodes()
          assert.deepStrictEqual(
            nodes.map(({ path }) => path as string),
            ["/", "/a//g", "/big", "/good", "/rank"]
          )
          assert.deepStrictEqual(yield* session.chunk("/good", [0]), bytes(2, 8))
          assert.deepStrictEqual(yield* session.chunk("/big", [31]), bytes(2, 8))
          const error = yield* Effect.flip(session.chunk("/rank", [0, 0]))
          assert.strictEqual(error._tag, "FormatError")
          assert.include(error.message, `snapshots/${yield* session.snapshotId}`)
          assert.include(error.message, "/rank manifests[0]")
          assert.include(error.message, "1 dimension(s), the array has 2")
          assert.strictEqual((yield* Effect.flip(session.chunk("/a//g", [1])))._tag, "InvalidPath")
          const keys = yield* Stream.runCollect(ZarrStore.make(session).list)
          assert.includeMembers([...keys], ["a//g/zarr.json", "good/c/0", "big/c/31", "rank/zarr.json"])
        })
      )
    })
  )

  it.live("is committed on top of, and every odd array stays as it was for its own client", () =>
    Effect.gen(function* () {
      const place = yield* written
      const before = yield* everyKey(place)
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/good", [1], bytes(2, 99))
          yield* session.commit("on top")
        })
      )
      const after = yield* everyKey(place)
      assert.strictEqual(after.get("good/c/1"), Buffer.from(bytes(2, 99)).toString("hex"))
      after.delete("good/c/1")
      assert.deepStrictEqual(after, before)
      assert.isTrue(before.has("a//g/c/1") && before.has("rank/c/1") && before.has("big/c/31"))
    })
  )

  it.live("gets its array of another rank into order when that is written to", () =>
    Effect.gen(function* () {
      const place = yield* written
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/rank", [1, 1], bytes(4, 7))
          yield* session.commit("mended")
          assert.deepStrictEqual(yield* session.chunk("/rank", [1, 1]), bytes(4, 7))
          assert.strictEqual(yield* session.chunk("/rank", [0, 0]), undefined)
        })
      )
      assert.strictEqual((yield* everyKey(place)).get("rank/c/1/1"), Buffer.from(bytes(4, 7)).toString("hex"))
    })
  )

  it.live("has branches with slashes in their names, and ids in lower case, as there", () =>
    Effect.gen(function* () {
      const place = yield* written
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const tip = (yield* repository.branches).get("main")!
          yield* repository.createBranch("feature/ours", tip.toLowerCase())
          yield* repository.createTag("v/1", tip)
        })
      )
      yield* Effect.promise(async () => {
        const repository = await Engine.Repository.open(await place.storage())
        assert.sameMembers(await repository.listBranches(), ["main", "feature/ours"])
        await repository.createBranch("theirs/x", await repository.lookupTag("v/1"))
      })
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          assert.isTrue((yield* repository.branches).has("theirs/x"))
          yield* repository.readonlySession({ branch: "theirs/x" })
        })
      )
    })
  )
})

describe("grids and chunk key encodings", () => {
  const forms: ReadonlyArray<readonly [string, object, chunks: ReadonlyArray<number>]> = [
    ["v2", { chunk_key_encoding: { name: "v2", configuration: { separator: "." } } }, [3]],
    ["dots", { chunk_key_encoding: { name: "default", configuration: { separator: "." } } }, [3]],
    [
      "rectilinear",
      {
        shape: [6, 6, 6],
        chunk_grid: {
          name: "rectilinear",
          configuration: { kind: "inline", chunk_shapes: [[1, 2, 3], [[2, 3]], [[1, 4], 2]] }
        }
      },
      [3, 3, 5]
    ],
    [
      "without elements",
      { shape: [0], chunk_grid: { name: "rectilinear", configuration: { kind: "inline", chunk_shapes: [[0]] } } },
      [1]
    ]
  ]
  for (const [name, changes, numChunks] of forms) {
    const zarrJson = json({ ...arrayJson([6], [2]), ...changes })
    const last = numChunks.map((count) => count - 1)
    const key = ["a", "c", ...last].join("/")
    const outside = ["a", "c", ...numChunks].join("/")

    it.live(`of another kind are written as the official engine writes them: ${name}`, () =>
      Effect.gen(function* () {
        const ours = Interop.placeOn(yield* MemoryObjectStore.make())
        const theirs = Interop.placeOn(yield* MemoryObjectStore.make())
        yield* Effect.promise(async () => {
          const repository = await Engine.Repository.create(await theirs.storage())
          const session = await repository.writableSession("main")
          await session.store.set("a/zarr.json", Buffer.from(zarrJson))
          await session.store.set(key, Buffer.from(bytes(3, 1)))
          await session.commit("theirs")
        })
        yield* Interop.inRepository(ours)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            const store = ZarrStore.make(session)
            yield* store.set("a/zarr.json", zarrJson)
            yield* store.set(key, bytes(3, 1))
            assert.isFalse(yield* store.exists(outside))
            assert.strictEqual((yield* Effect.flip(store.set(outside, bytes(3, 1))))._tag, "InvalidIndex")
            yield* session.commit("ours")
          })
        )
        const found = yield* everyKey(ours)
        assert.deepStrictEqual(found, yield* everyKey(theirs))
        assert.strictEqual(found.get(key), Buffer.from(bytes(3, 1)).toString("hex"))
        const node = (place: Interop.Place) =>
          Interop.inRepository(place)((repository) =>
            Effect.gen(function* () {
              const session = yield* repository.readonlySession({ branch: "main" })
              assert.deepStrictEqual(yield* session.chunk("/a", last), bytes(3, 1))
              const { data } = yield* session.node("/a")
              return data._tag === "Array" ? data.shape : []
            })
          )
        assert.deepStrictEqual(yield* node(ours), yield* node(theirs))
        assert.deepStrictEqual(
          (yield* node(ours)).map(({ numChunks }) => numChunks),
          numChunks
        )
      })
    )
  }

  it.live("are made from what an array is created of", () =>
    Effect.gen(function* () {
      const place = Interop.placeOn(yield* MemoryObjectStore.make())
      yield* Interop.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", {
            shape: [6, 7],
            chunkShape: [[1, [2, 2], 1], 3],
            dataType: { name: "numpy.datetime64", configuration: { unit: "s", scale_factor: 1 } },
            fillValue: "NaT",
            chunkKeyEncoding: { name: "v2", configuration: { separator: "." } }
          })
          yield* session.setChunk("/a", [3, 2], bytes(24, 2))
          yield* session.commit("created")
        })
      )
      const found = yield* everyKey(place)
      assert.strictEqual(found.get("a/c/3/2"), Buffer.from(bytes(24, 2)).toString("hex"))
      const { chunk_grid } = JSON.parse(Buffer.from(found.get("a/zarr.json")!, "hex").toString()) as Record<
        string,
        unknown
      >
      assert.deepStrictEqual(chunk_grid, {
        name: "rectilinear",
        configuration: { kind: "inline", chunk_shapes: [[1, [2, 2], 1], [[3, 3]]] }
      })
    })
  )
})
