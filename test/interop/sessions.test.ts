/**
 * Amended and anonymous snapshots, moved nodes and shifted arrays, by one engine and read by the other.
 */
import type icechunk from "@earthmover/icechunk"
import { MemoryObjectStore, type Repository } from "@effect-icechunk/core"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Interop from "../support/InteropSuite.ts"
import { buffer, bytes, inRepository, json, placeOn } from "../support/InteropSuite.ts"
import * as Engine from "../support/OfficialEngine.ts"

const arrayJson = (attributes = {}) => Interop.arrayJson([8], attributes)
const groupJson = json({ zarr_format: 3, node_type: "group" })

/** A group with an array that has two chunks, committed. */
const begun = Effect.gen(function* () {
  const place = placeOn(yield* MemoryObjectStore.make())
  const ours = <A, E>(work: (repository: Repository.RepositoryShape) => Effect.Effect<A, E>) =>
    inRepository(place)(work)
  const theirs = <A>(work: (repository: icechunk.Repository) => Promise<A>) =>
    Effect.promise(async () => work(await Engine.Repository.open(await place.storage())))
  const first = yield* ours((repository) =>
    Effect.gen(function* () {
      const session = yield* repository.writableSession("main")
      yield* session.setMetadata("/", groupJson)
      yield* session.setMetadata("/g", groupJson)
      yield* session.setMetadata("/g/a", arrayJson())
      yield* session.setChunk("/g/a", [0], bytes(700, 0))
      yield* session.setChunk("/g/a", [1], bytes(9, 1))
      return yield* session.commit("first")
    })
  )
  return { first, ours, theirs }
})

const messages = async (repository: icechunk.Repository) =>
  (await repository.ancestry({ branch: "main" })).map(({ message }) => message)

const sorted = (moved: ReadonlyArray<{ readonly from: string; readonly to: string }>) =>
  moved.map(({ from, to }) => `${from} ${to}`).toSorted()

it.live("the official engine reads what ours amended: history, difference and data", () =>
  Effect.gen(function* () {
    const { first, ours, theirs } = yield* begun
    const [old, amended] = yield* ours((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.setMetadata("/h", groupJson)
        yield* session.setChunk("/g/a", [2], bytes(9, 2))
        const old = yield* session.commit("second")
        yield* session.setChunk("/g/a", [3], bytes(700, 3))
        yield* session.deleteNode("/h")
        yield* session.setMetadata("/i", groupJson)
        return [old, yield* session.amend("second, better")] as const
      })
    )
    yield* theirs(async (repository) => {
      assert.deepStrictEqual(await messages(repository), ["second, better", "first", "Repository initialized"])
      const diff = await repository.diff({ fromSnapshotId: first, toBranch: "main" })
      assert.deepStrictEqual([diff.newGroups, diff.deletedGroups, diff.newArrays], [["/i"], [], []])
      assert.deepStrictEqual(JSON.parse(JSON.stringify(diff.updatedChunks)), { "/g/a": [[2], [3]] })
      const { store } = await repository.readonlySession({ branch: "main" })
      for (const [i, length] of [700, 9, 9, 700].entries()) {
        assert.deepStrictEqual(buffer(await store.get(`g/a/c/${i}`)), buffer(bytes(length, i)))
      }
      // The replaced one can be looked at, and the engine amends ours.
      assert.strictEqual((await repository.readonlySession({ snapshotId: old })).snapshotId, old)
      const session = await repository.writableSession("main")
      assert.strictEqual(session.snapshotId, amended)
      await session.store.set("g/a/c/4", Buffer.from("theirs"))
      await session.amend("by them")
      assert.deepStrictEqual(await messages(repository), ["by them", "first", "Repository initialized"])
    })
    yield* ours((repository) =>
      Effect.gen(function* () {
        const history = yield* repository.history({ branch: "main" })
        assert.deepStrictEqual(
          history.map(({ message }) => message),
          ["by them", "first", "Repository initialized"]
        )
        const session = yield* repository.writableSession("main")
        assert.deepStrictEqual(buffer(yield* session.chunk("/g/a", [4])), Buffer.from("theirs"))
        assert.deepStrictEqual(buffer(yield* session.chunk("/g/a", [3])), buffer(bytes(700, 3)))
        yield* session.setChunk("/g/a", [5], bytes(9, 5))
        yield* session.amend("by us")
      })
    )
    yield* theirs(async (repository) => {
      const diff = await repository.diff({ fromSnapshotId: first, toBranch: "main" })
      assert.deepStrictEqual(JSON.parse(JSON.stringify(diff.updatedChunks)), { "/g/a": [[2], [3], [4], [5]] })
    })
  })
)

it.live("both engines refuse to amend the first snapshot", () =>
  Effect.gen(function* () {
    const place = placeOn(yield* MemoryObjectStore.make())
    yield* inRepository(place)((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.setMetadata("/", groupJson)
        assert.strictEqual((yield* Effect.flip(session.amend("no")))._tag, "AmendRefused")
      })
    )
    const refused = yield* Effect.promise(async () => {
      const session = await (await Engine.Repository.open(await place.storage())).writableSession("main")
      await session.store.set("zarr.json", Buffer.from(groupJson))
      return session.amend("no").then(
        () => "amended",
        (error: unknown) => String(error)
      )
    })
    assert.include(refused, "first commit")
  })
)

it.live("snapshots without a branch, of both engines, are read by the other, and can become branches", () =>
  Effect.gen(function* () {
    const { first, ours, theirs } = yield* begun
    const byUs = yield* ours((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.setChunk("/g/a", [2], bytes(700, 2))
        const id = yield* session.flush("by us")
        yield* session.setChunk("/g/a", [3], bytes(9, 3))
        yield* session.commit("all of it")
        return id
      })
    )
    const byThem = yield* theirs(async (repository) => {
      assert.deepStrictEqual(await messages(repository), ["all of it", "first", "Repository initialized"])
      const diff = await repository.diff({ fromSnapshotId: first, toBranch: "main" })
      assert.deepStrictEqual(JSON.parse(JSON.stringify(diff.updatedChunks)), { "/g/a": [[2], [3]] })
      const ancestry = await repository.ancestry({ snapshotId: byUs })
      assert.deepStrictEqual(
        ancestry.map(({ message }) => message),
        ["by us", "first", "Repository initialized"]
      )
      const { store } = await repository.readonlySession({ snapshotId: byUs })
      assert.deepStrictEqual(buffer(await store.get("g/a/c/2")), buffer(bytes(700, 2)))
      assert.isTrue((await store.get("g/a/c/3")) === null || (await store.get("g/a/c/3")) === undefined)
      await repository.createBranch("kept", byUs)
      const session = await repository.writableSession("kept")
      await session.store.set("g/a/c/4", Buffer.from("theirs"))
      return session.flush("by them")
    })
    yield* ours((repository) =>
      Effect.gen(function* () {
        const history = yield* repository.history({ snapshotId: byThem })
        assert.deepStrictEqual(
          history.map(({ message }) => message),
          ["by them", "by us", "first", "Repository initialized"]
        )
        const session = yield* repository.readonlySession({ snapshotId: byThem })
        assert.deepStrictEqual(buffer(yield* session.chunk("/g/a", [4])), Buffer.from("theirs"))
        assert.deepStrictEqual(buffer(yield* session.chunk("/g/a", [2])), buffer(bytes(700, 2)))
        const kept = yield* repository.writableSession("kept")
        yield* kept.setChunk("/g/a", [5], bytes(9, 5))
        const refused = yield* Effect.flip(kept.amend("no"))
        assert.strictEqual(refused._tag, "AmendRefused")
        assert.include(refused.message, byThem)
      })
    )
  })
)

it.live("moves of both engines, beside other changes in ours, are moves for the other", () =>
  Effect.gen(function* () {
    const { first, ours, theirs } = yield* begun
    const moved = yield* ours((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.move("/g", "/h")
        yield* session.setChunk("/h/a", [2], bytes(9, 2))
        yield* session.setMetadata("/h/a", arrayJson({ by: "us" }))
        return yield* session.commit("moved by us")
      })
    )
    const id = yield* theirs(async (repository) => {
      const diff = await repository.diff({ fromSnapshotId: first, toSnapshotId: moved })
      assert.deepStrictEqual(sorted(diff.movedNodes), ["/g /h", "/g/a /h/a"])
      assert.deepStrictEqual([diff.newGroups, diff.deletedGroups, diff.newArrays, diff.deletedArrays], [[], [], [], []])
      assert.deepStrictEqual(diff.updatedArrays, ["/h/a"])
      const reader = await repository.readonlySession({ branch: "main" })
      for (const [i, length] of [700, 9, 9].entries()) {
        assert.deepStrictEqual(buffer(await reader.store.get(`h/a/c/${i}`)), buffer(bytes(length, i)))
      }
      assert.isFalse(await reader.store.exists("g/zarr.json"))
      const session = await repository.rearrangeSession("main")
      const id = await session.getNodeId("/h/a")
      await session.moveNode("/h/a", "/b")
      await session.moveNode("/h", "/x")
      await session.commit("moved by them")
      return id
    })
    yield* ours((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        const nodes = yield* session.nodes()
        assert.deepStrictEqual(
          nodes.map(({ path }) => String(path)),
          ["/", "/b", "/x"]
        )
        assert.strictEqual(String((yield* session.node("/b")).id), id)
        assert.deepStrictEqual(buffer(yield* session.chunk("/b", [0])), buffer(bytes(700, 0)))
        // An amendment of a move of theirs: from where the node was first to where it is last.
        yield* session.move("/b", "/x/c")
        yield* session.amend("moved by both")
      })
    )
    yield* theirs(async (repository) => {
      const diff = await repository.diff({ fromSnapshotId: moved, toBranch: "main" })
      assert.deepStrictEqual(sorted(diff.movedNodes), ["/h /x", "/h/a /x/c"])
      const { store } = await repository.readonlySession({ branch: "main" })
      assert.deepStrictEqual(buffer(await store.get("x/c/c/0")), buffer(bytes(700, 0)))
    })
  })
)

it.live("both engines refuse the same moves", () =>
  Effect.gen(function* () {
    const { ours, theirs } = yield* begun
    yield* ours((repository) =>
      repository.transact("main", "another", (session) => session.setMetadata("/other", groupJson))
    )
    const moves = [
      ["/g", "/g"],
      ["/g", "/g/a/b"],
      ["/g", "/other"],
      ["/g", "/missing/g"],
      ["/other", "/g/a/other"],
      ["/missing", "/x"]
    ] as const
    const refused = yield* theirs(async (repository) => {
      const tried: Array<boolean> = []
      for (const [from, to] of moves) {
        const session = await repository.rearrangeSession("main")
        tried.push(
          await session.moveNode(from, to).then(
            () => false,
            () => true
          )
        )
      }
      return tried
    })
    assert.deepStrictEqual(
      refused,
      moves.map(() => true)
    )
    yield* ours((repository) =>
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        for (const [from, to] of moves) yield* Effect.flip(session.move(from, to))
        assert.strictEqual((yield* session.status).movedNodes.length, 0)
      })
    )
  })
)

it.live(
  "the official engine reads what ours shifted and copied, and where it wrote the refs nobody copied a chunk",
  () =>
    Effect.gen(function* () {
      const { first, ours, theirs } = yield* begun
      yield* ours((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.setChunk("/g/a", [2], bytes(9, 2))
          yield* session.shift("/g/a", [5])
          yield* session.copyFrom(yield* repository.readonlySession({ snapshotId: first }), "/g", { to: "/copy" })
          yield* session.commit("shifted")
        })
      )
      yield* theirs(async (repository) => {
        const { store } = await repository.readonlySession({ branch: "main" })
        for (const [i, length] of [700, 9, 9].entries()) {
          assert.deepStrictEqual(buffer(await store.get(`g/a/c/${i + 5}`)), buffer(bytes(length, i)))
          assert.isFalse(await store.exists(`g/a/c/${i}`))
        }
        assert.deepStrictEqual(buffer(await store.get("copy/a/c/0")), buffer(bytes(700, 0)))
        assert.deepStrictEqual(buffer(await store.get("copy/a/c/1")), buffer(bytes(9, 1)))
        const diff = await repository.diff({ fromSnapshotId: first, toBranch: "main" })
        const chunks = JSON.parse(JSON.stringify(diff.updatedChunks))
        assert.deepStrictEqual(chunks["/g/a"], [[0], [1], [5], [6], [7]])
        assert.deepStrictEqual(diff.newArrays, ["/copy/a"])
      })
    })
)
