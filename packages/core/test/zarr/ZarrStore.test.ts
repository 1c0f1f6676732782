import { assert, describe, it } from "@effect/vitest"
import * as Repository from "@effect-icechunk/core/Repository"
import type { WritableSession } from "@effect-icechunk/core/WritableSession"
import * as ZarrStore from "@effect-icechunk/core/ZarrStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ChunkRefColumns } from "../../src/format/manifest/ChunkRefColumns.ts"
import type * as Snapshot from "../../src/format/Snapshot.ts"
import { ChangedSnapshot } from "../../src/repository/changes/ChangedSnapshot.ts"
import * as Session from "../../src/repository/Session.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as Fixture from "../repository/Fixture.ts"
import { array } from "../repository/RepositorySuite.ts"

/** A session with nodes and chunks, some of them committed. */
const withStore = <A, E>(f: (store: ZarrStore.ZarrStore, session: WritableSession) => Effect.Effect<A, E>) =>
  Effect.flatMap(Fixture.worldInMemory, (world) =>
    Fixture.inWorld(world)(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/")
        yield* session.createGroup("/ocean")
        yield* session.createArray("/ocean/temp", array([4, 4], [2, 2]))
        yield* session.createArray("/ocean/temperature", array([4], [2]))
        yield* session.createArray("/scalar", array([], []))
        yield* session.setChunk("/ocean/temp", [0, 1], Uint8Array.of(1))
        yield* session.setChunk("/ocean/temp", [1, 0], Uint8Array.of(2))
        yield* session.commit("first")
        yield* session.setChunk("/ocean/temperature", [1], Uint8Array.of(3))
        yield* session.setChunk("/scalar", [], Uint8Array.of(4))
        return yield* f(ZarrStore.make(session), session)
      })
    )
  )

const keys = [
  "ocean/temp/c/0/1",
  "ocean/temp/c/1/0",
  "ocean/temp/zarr.json",
  "ocean/temperature/c/1",
  "ocean/temperature/zarr.json",
  "ocean/zarr.json",
  "scalar/c",
  "scalar/zarr.json",
  "zarr.json"
]

describe("ZarrStore", () => {
  it.effect("lists the keys with any prefix, also one that ends in the middle of a name", () =>
    withStore((store) =>
      Effect.gen(function* () {
        assert.sameMembers([...(yield* Stream.runCollect(store.list))], keys)
        const prefixes = new Set(["nope", "ocean//", "ocean/temp/c/9", "zarr.jsonx"])
        for (const key of keys) for (let end = 0; end <= key.length; end++) prefixes.add(key.slice(0, end))
        for (const prefix of prefixes) {
          const expected = keys.filter((key) => key.startsWith(prefix))
          assert.sameMembers([...(yield* Stream.runCollect(store.listPrefix(prefix)))], expected, `\`${prefix}\``)
          assert.sameMembers([...(yield* Stream.runCollect(store.listPrefix(`/${prefix}`)))], expected)
        }
      })
    )
  )

  it.effect("tells sizes without reading a chunk, sets what is not there, and says what is empty", () =>
    withStore((store, session) =>
      Effect.gen(function* () {
        yield* session.setVirtualRef(
          "/ocean/temperature",
          [0],
          { location: "s3://nowhere/x", offset: 5, length: 1000 },
          { validateContainers: false }
        )
        yield* session.setChunk("/ocean/temp", [0, 0], new Uint8Array(700))
        assert.strictEqual(yield* store.getSize("ocean/temp/c/0/0"), 700)
        assert.strictEqual(yield* store.getSize("ocean/temp/c/0/1"), 1)
        assert.strictEqual(yield* store.getSize("ocean/temperature/c/0"), 1000)
        assert.isUndefined(yield* store.getSize("ocean/temp/c/1/1"))
        assert.isUndefined(yield* store.getSize("ocean/temp/c/9/9"))
        assert.isUndefined(yield* store.getSize("nope/zarr.json"))
        const metadata = (yield* store.get("ocean/temp/zarr.json"))!.length
        assert.strictEqual(yield* store.getSize("ocean/temp/zarr.json"), metadata)
        assert.strictEqual(yield* store.getSizeOfPrefix("ocean/temp/"), metadata + 700 + 1 + 1)
        assert.isFalse(yield* store.setIfNotExists("ocean/temp/c/0/1", Uint8Array.of(9)))
        assert.deepStrictEqual(yield* store.get("ocean/temp/c/0/1"), Uint8Array.of(1))
        const set = yield* Effect.forEach(
          [7, 8, 9],
          (value) => store.setIfNotExists("ocean/temp/c/1/1", Uint8Array.of(value)),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(
          set.filter((one) => one),
          1
        )
        assert.isFalse(yield* store.isEmpty())
        assert.isFalse(yield* store.isEmpty("ocean/temp/c/1"))
        assert.isTrue(yield* store.isEmpty("ocean/temp/c/3"))
        yield* store.clear
        assert.isTrue(yield* store.isEmpty())
      })
    )
  )

  const deletions: ReadonlyArray<readonly ["deletePrefix" | "deleteDir", string, (key: string) => boolean]> = [
    ["deletePrefix", "ocean/temp/c/1", (key) => key === "ocean/temp/c/1/0"],
    ["deletePrefix", "ocean/temp", (key) => key.startsWith("ocean/temp")],
    ["deletePrefix", "nope", () => false],
    ["deleteDir", "ocean/temp", (key) => key.startsWith("ocean/temp/")],
    ["deleteDir", "ocean/temp/c", (key) => key.startsWith("ocean/temp/c/")],
    ["deleteDir", "/ocean/", (key) => key.startsWith("ocean/")],
    ["deleteDir", "oce", () => false],
    ["deleteDir", "", () => true]
  ]
  it.effect.each(deletions)("%s of `%s` deletes the keys that start so", ([how, what, goes]) =>
    withStore((store) =>
      Effect.gen(function* () {
        yield* store[how](what)
        assert.sameMembers(
          [...(yield* Stream.runCollect(store.list))],
          keys.filter((key) => !goes(key))
        )
      })
    )
  )

  it.effect("of a session that only reads refuses to delete and to set", () =>
    Effect.flatMap(Fixture.worldInMemory, (world) =>
      Fixture.inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const store = ZarrStore.make(yield* repository.readonlySession({ branch: "main" }))
          const group = Fixture.text('{"zarr_format":3,"node_type":"group"}')
          const attempts: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
            store.clear,
            store.deletePrefix("a"),
            store.deleteDir("a"),
            store.setIfNotExists("zarr.json", group)
          ]
          for (const attempt of attempts) assert.strictEqual((yield* Effect.flip(attempt))._tag, "WriteForbidden")
          assert.isTrue(yield* store.isEmpty())
        })
      )
    )
  )

  it.effect("lists the names below a directory, each once, with or without its slash", () =>
    withStore((store) =>
      Effect.gen(function* () {
        for (const directory of ["", "ocean", "ocean/temp", "ocean/temp/c", "ocean/temp/c/1", "scalar", "oce", "x"]) {
          const base = directory === "" ? "" : `${directory}/`
          const names = keys.filter((key) => key.startsWith(base)).map((key) => key.slice(base.length).split("/")[0]!)
          for (const written of [directory, base, `/${base}`]) {
            const found = yield* Stream.runCollect(store.listDir(written))
            assert.sameMembers([...found], [...new Set(names)], `\`${written}\``)
          }
        }
      })
    )
  )

  it.effect("lists nodes at paths that only other clients write, and chunks below groups that are called `c`", () =>
    Effect.gen(function* () {
      const paths = ["/", "//", "//x", "/c", "/c/c", "/c/c-/c", "/g", "/g//h", "/g/./h", "/g/h/i", "/g/h-"]
      const arrays = new Set(["/c/c", "/c/c-/c", "/g/h/i", "/g//h"])
      const nodes = paths.toSorted(NodePath.compare).map((path, i): Snapshot.NodeSnapshot => ({
        id: ObjectId.nodeId(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, i)),
        path: path as NodePath.NodePath,
        userData: new Uint8Array(0),
        data: arrays.has(path)
          ? { _tag: "Array", shape: [{ length: 4, numChunks: 4 }], dimensionNames: undefined, manifests: [] }
          : { _tag: "Group" },
        extra: undefined
      }))
      const changes = new ChangedSnapshot({
        id: ObjectId.initialSnapshotId,
        parentId: undefined,
        nodes,
        flushedAt: 0,
        message: "",
        metadata: {},
        manifestFiles: [],
        extra: undefined
      })
      // No chunk can be asked for at a path that no user can write.
      const readable = ["/c/c", "/c/c-/c", "/g/h/i"]
      for (const path of readable)
        changes
          .chunksForWriting(changes.node(path as NodePath.NodePath)!.id, () => new ChunkRefColumns(1))
          .setDeleted([1])
      for (const path of readable) {
        changes.chunks(changes.node(path as NodePath.NodePath)!.id)!.setInline([3], Uint8Array.of(1))
      }
      const store = ZarrStore.make(Session.make({} as never, undefined, () => changes))
      const all = [
        ...paths.map((path) => (path === "/" ? "zarr.json" : `${path.slice(1)}/zarr.json`)),
        ...readable.map((path) => `${path.slice(1)}/c/3`)
      ]
      assert.sameMembers([...(yield* Stream.runCollect(store.list))], all)
      const prefixes = new Set(
        all.flatMap((key) => Array.from({ length: key.length + 1 }, (_, end) => key.slice(0, end)))
      )
      for (const prefix of prefixes) {
        const expected = all.filter((key) => key.startsWith(prefix))
        // One slash at the start is taken away.
        assert.sameMembers([...(yield* Stream.runCollect(store.listPrefix(`/${prefix}`)))], expected, `\`${prefix}\``)
        const base = prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`
        const names = all.filter((key) => key.startsWith(base)).map((key) => key.slice(base.length).split("/")[0]!)
        const found = [...(yield* Stream.runCollect(store.listDir(`/${prefix}`)))]
        assert.sameMembers(found, [...new Set(names)], `\`${prefix}\``)
      }
    })
  )

  it.effect("returns metadata that is the caller's to change", () =>
    withStore((store) =>
      Effect.gen(function* () {
        const before = (yield* store.get("ocean/zarr.json"))!.slice()
        ;(yield* store.get("ocean/zarr.json"))!.fill(0)
        assert.deepStrictEqual(yield* store.get("ocean/zarr.json"), before)
      })
    )
  )
})
