/**
 * Writers of both engines on one branch, each going on from what the other has committed.
 */
import type icechunk from "@earthmover/icechunk"
import { MemoryObjectStore } from "@effect-icechunk/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { buffer, bytes, inRepository, json, placeOn } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const length = 40
const arrayJson = (attributes = {}) =>
  json({
    zarr_format: 3,
    node_type: "array",
    shape: [length],
    data_type: "uint8",
    chunk_grid: { name: "regular", configuration: { chunk_shape: [1] } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: 0,
    codecs: [{ name: "bytes" }],
    attributes
  })

/** The arrays `/a` and `/b`, committed. */
const begun = Effect.gen(function* () {
  const place = placeOn(yield* MemoryObjectStore.make())
  yield* inRepository(place)((repository) =>
    Effect.gen(function* () {
      const session = yield* repository.writableSession("main")
      for (const path of ["/a", "/b"]) yield* session.setMetadata(path, arrayJson())
      yield* session.commit("first")
    })
  )
  const theirs = (work: (session: icechunk.Session) => Promise<unknown>) =>
    Effect.promise(async () => {
      const repository = await Engine.Repository.open(await place.storage())
      const session = await repository.writableSession("main")
      await work(session)
      return session
    })
  return { place, theirs }
})

it.live("commits that go out together are commits for the official engine, in the order of their history", () =>
  Effect.gen(function* () {
    const { place } = yield* begun
    const written = yield* inRepository(place)((repository) =>
      Effect.forEach(
        Array.from({ length: 12 }, (_, i) => i),
        (i) =>
          repository.transact("main", `commit ${i}`, (session) =>
            session.setChunk(i % 2 === 0 ? "/a" : "/b", [i], bytes(700, i))
          ),
        { concurrency: "unbounded" }
      )
    )
    const repository = yield* Effect.promise(async () => Engine.Repository.open(await place.storage()))
    const ancestry = yield* Effect.promise(() => repository.ancestry({ branch: "main" }))
    assert.lengthOf(ancestry, 14)
    assert.deepStrictEqual(
      new Set(ancestry.slice(0, 12).map(({ id }) => id)),
      new Set(written.map(({ snapshotId }) => String(snapshotId)))
    )
    yield* Effect.promise(async () => {
      const { store } = await repository.readonlySession({ branch: "main" })
      for (let i = 0; i < 12; i++) {
        assert.deepStrictEqual(buffer(await store.get(`${i % 2 === 0 ? "a" : "b"}/c/${i}`)), buffer(bytes(700, i)))
      }
      // And it goes on from them.
      const session = await repository.writableSession("main")
      await session.store.set("a/c/30", Buffer.from("theirs"))
      await session.commit("theirs")
    })
    yield* inRepository(place)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(buffer(yield* session.chunk("/a", [30])), Buffer.from("theirs"))
        assert.lengthOf(yield* repository.history({ branch: "main" }), 15)
      })
    )
  })
)

it.live("ours goes on top of what the official engine has committed, and the other way round", () =>
  Effect.gen(function* () {
    const { place, theirs } = yield* begun
    yield* inRepository(place)((repository) =>
      Effect.gen(function* () {
        const ours = yield* repository.writableSession("main")
        const waiting = yield* theirs((session) => session.store.set("b/c/1", Buffer.from("theirs 1")))
        yield* ours.setChunk("/a", [0], bytes(700, 0))
        yield* ours.setMetadata("/a", arrayJson({ by: "us" }))
        const other = yield* theirs((session) => session.store.set("a/c/2", Buffer.from("theirs 2")))
        yield* Effect.promise(() => other.commit("theirs 2"))
        yield* ours.commit("ours", { rebase: {} })
        yield* Effect.promise(async () => {
          await waiting.rebase()
          await waiting.commit("theirs 1")
        })
        const session = yield* repository.readonlySession({ branch: "main" })
        assert.deepStrictEqual(buffer(yield* session.chunk("/a", [0])), buffer(bytes(700, 0)))
        assert.deepStrictEqual(buffer(yield* session.chunk("/a", [2])), Buffer.from("theirs 2"))
        assert.deepStrictEqual(buffer(yield* session.chunk("/b", [1])), Buffer.from("theirs 1"))
        const { userData } = yield* session.node("/a")
        assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(userData)).attributes, { by: "us" })
        assert.deepStrictEqual(
          (yield* repository.history({ branch: "main" })).map(({ message }) => message).slice(0, 3),
          ["theirs 1", "ours", "theirs 2"]
        )
      })
    )
  })
)

it.live("both engines see the same conflict", () =>
  Effect.gen(function* () {
    const { place, theirs } = yield* begun
    yield* inRepository(place)((repository) =>
      Effect.gen(function* () {
        const ours = yield* repository.writableSession("main")
        yield* ours.setChunk("/a", [3], bytes(9, 1))
        const waiting = yield* theirs((session) => session.store.set("a/c/3", Buffer.from("late")))
        const other = yield* theirs((session) => session.store.set("a/c/3", Buffer.from("first")))
        yield* Effect.promise(() => other.commit("first"))
        const error = yield* Effect.flip(ours.commit("ours", { rebase: {} }))
        assert.strictEqual(error._tag, "RebaseConflict")
        const refused = yield* Effect.promise(() =>
          waiting.rebase().then(
            () => "rebased",
            (error: unknown) => String(error)
          )
        )
        assert.notStrictEqual(refused, "rebased")
        yield* ours.commit("ours", { rebase: { ChunkDoubleUpdate: "ours" } })
        const { store } = yield* Effect.promise(async () =>
          (await Engine.Repository.open(await place.storage())).readonlySession({ branch: "main" })
        )
        assert.deepStrictEqual(buffer(yield* Effect.promise(() => store.get("a/c/3"))), buffer(bytes(9, 1)))
      })
    )
  })
)
