/**
 * Writers of both engines on one branch, each going on from what the other has committed.
 */
import type icechunk from "@earthmover/icechunk"
import { Maintenance, MemoryObjectStore } from "@effect-icechunk/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Interop from "../support/InteropSuite.ts"
import {
  buffer,
  bytes,
  assertSame,
  inRepository,
  placeOn,
  readOurs,
  readTheirs,
  writeOurs
} from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const arrayJson = (attributes = {}) => Interop.arrayJson([40], attributes)

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

for (const from of ["first", "expired"] as const) {
  it.live(`both go on top of commits that have expired, from the ${from} snapshot, and see the same conflict`, () =>
    Effect.gen(function* () {
      const store = yield* MemoryObjectStore.make()
      const place = placeOn(store)
      const theirs = (work: (session: icechunk.Session) => Promise<unknown>) =>
        Effect.promise(async () => {
          const session = await (await Engine.Repository.open(await place.storage())).writableSession("main")
          await work(session)
          return session
        })
      const key = (path: string): string => (from === "first" ? `${path}/zarr.json` : `a/c/${path.charCodeAt(0) % 40}`)
      /** Writes what only one of them has: a new array, or a chunk. */
      const value = (path: string): Uint8Array =>
        from === "first" ? arrayJson({ path }) : bytes(700, path.charCodeAt(0))
      yield* inRepository(place)((repository) =>
        Effect.gen(function* () {
          if (from === "expired")
            yield* repository.transact("main", "a", (session) => session.setMetadata("/a", arrayJson()))
          const ours = (path: string) =>
            Effect.gen(function* () {
              const session = yield* repository.writableSession("main")
              yield* writeOurs(session, [[key(path), value(path)]])
              return session
            })
          const ourSessions = [yield* ours("m"), yield* ours("p")]
          const theirSessions = [
            yield* theirs((one) => one.store.set(key("n"), Buffer.from(value("n")))),
            yield* theirs((one) => one.store.set(key("q"), Buffer.from(value("q"))))
          ]
          // Ours and theirs, of which but the last one expire.
          for (const path of ["p", "r"]) yield* (yield* ours(path)).commit(`ours ${path}`)
          for (const path of ["q", "s"]) {
            const session = yield* theirs((one) => one.store.set(key(path), Buffer.from(value(path))))
            yield* Effect.promise(() => session.commit(`theirs ${path}`))
          }
          yield* Effect.sleep("20 millis")
          const { released } = yield* Maintenance.expire(repository, { olderThan: 0 })
          assert.lengthOf(released, from === "first" ? 3 : 4)
          yield* store.delete(released.map((id) => `snapshots/${id}`))
          // What does not conflict goes in, with both engines.
          yield* ourSessions[0]!.commit("ours m", { rebase: {} })
          yield* Effect.promise(async () => {
            await theirSessions[0]!.rebase()
            await theirSessions[0]!.commit("theirs n")
          })
          const error = yield* Effect.flip(ourSessions[1]!.commit("ours p again", { rebase: {} }))
          assert.strictEqual(error._tag, "RebaseConflict")
          const refused = yield* Effect.promise(() => theirSessions[1]!.rebase().then(() => "rebased", String))
          assert.notStrictEqual(refused, "rebased")
          const expected = new Map(["m", "n", "p", "q", "r", "s"].map((path) => [key(path), value(path)]))
          if (from === "expired") expected.set("a/zarr.json", arrayJson())
          assertSame(yield* readOurs(repository), expected, "as we read it")
          const engine = yield* Effect.promise(async () => Engine.Repository.open(await place.storage()))
          assertSame(yield* Effect.promise(() => readTheirs(engine)), expected, "as the engine reads it")
        })
      )
    })
  )
}
