/**
 * What a commit writes, as the files say.
 */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Flexbuffer from "../../src/encoding/Flexbuffer.ts"
import { ChunkRefColumns } from "../../src/format/manifest/ChunkRefColumns.ts"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as ManifestWriter from "../../src/format/manifest/ManifestWriter.ts"
import * as MergedRefs from "../../src/format/manifest/MergedRefs.ts"
import * as Snapshot from "../../src/format/Snapshot.ts"
import * as TransactionLog from "../../src/format/TransactionLog.ts"
import * as Layout from "../../src/repository/Layout.ts"
import * as Repository from "../../src/repository/Repository.ts"
import type * as ObjectStore from "../../src/store/ObjectStore.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as ZarrMetadata from "../../src/values/ZarrMetadata.ts"
import * as ZarrStore from "../../src/zarr/ZarrStore.ts"
import { inWorld, pattern, text, worldInMemory as world } from "./Fixture.ts"
import { array } from "./Sessions.ts"

const payload = (store: ObjectStore.ObjectStoreShape, key: string, kind: IcechunkFile.FileType) =>
  Effect.gen(function* () {
    const { bytes } = yield* store.get(key)
    return (yield* IcechunkFile.decode(key, bytes, kind)).payload
  }).pipe(Effect.provide(NodeZstd.layer))

const write = (store: ObjectStore.ObjectStoreShape, key: string, kind: IcechunkFile.FileType, payload: Uint8Array) =>
  Effect.gen(function* () {
    yield* store.put(key, yield* IcechunkFile.encode(kind, payload, { level: 3 }))
  }).pipe(Effect.provide(NodeZstd.layer))

const snapshotOf = (store: ObjectStore.ObjectStoreShape, id: ObjectId.SnapshotId) =>
  Effect.gen(function* () {
    const key = Layout.snapshot(id)
    return yield* Effect.fromResult(Snapshot.decode(key, Flexbuffer.decode, yield* payload(store, key, "Snapshot")))
  })

const logOf = (store: ObjectStore.ObjectStoreShape, id: ObjectId.SnapshotId) =>
  Effect.gen(function* () {
    const key = Layout.transaction(id)
    return yield* Effect.fromResult(TransactionLog.decode(key, yield* payload(store, key, "TransactionLog")))
  })

const manifestsOf = (node: Snapshot.NodeSnapshot | undefined) =>
  node?.data._tag === "Array" ? node.data.manifests : []

it.effect("its log lists the chunks of new arrays, and of no array that was deleted again", () =>
  Effect.gen(function* () {
    const at = yield* world
    yield* inWorld(at)(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", array([4, 4]))
        yield* session.setChunk("/a", [3, 1], text("x"))
        yield* session.setChunk("/a", [0, 2], text("y"))
        yield* session.createArray("/gone", array([4]))
        yield* session.setChunk("/gone", [0], text("z"))
        yield* session.deleteNode("/gone")
        const log = yield* logOf(at.store, yield* session.commit("new"))
        const { id } = yield* session.node("/a")
        assert.deepStrictEqual(log.newArrays, [id])
        assert.deepStrictEqual(log.updatedChunks, [{ node: id, rank: 2, count: 2, coords: Uint32Array.of(0, 2, 3, 1) }])
      })
    )
  })
)

it.effect("its log lists nothing that was written over the same", () =>
  Effect.gen(function* () {
    const at = yield* world
    const virtual = { location: "s3://bucket/a.nc", offset: 1, length: 2 }
    const json = Result.getOrThrow(ZarrMetadata.array("/", array([4])))
    yield* inWorld(at)(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createGroup("/g", { title: "g" })
        yield* session.setMetadata("/a", json)
        yield* session.setChunk("/a", [0], text("x"))
        yield* session.setVirtualRef("/a", [1], virtual)
        yield* session.commit("base")
        const same = Effect.gen(function* () {
          yield* session.setMetadata("/g", Result.getOrThrow(ZarrMetadata.group("/", { title: "another" })))
          yield* session.setMetadata("/g", Result.getOrThrow(ZarrMetadata.group("/", { title: "g" })))
          yield* session.setMetadata("/a", json)
          yield* session.setChunk("/a", [0], text("x"))
          yield* session.setVirtualRef("/a", [1], virtual)
          yield* session.deleteChunk("/a", [2])
        })
        yield* same
        assert.deepStrictEqual(yield* session.status, {
          newGroups: [],
          newArrays: [],
          updatedGroups: [],
          updatedArrays: [],
          deletedGroups: [],
          deletedArrays: [],
          movedNodes: [],
          updatedChunks: new Map()
        })
        assert.strictEqual((yield* Effect.flip(session.commit("nothing")))._tag, "NothingToCommit")
        const before = manifestsOf((yield* session.nodes())[0])
        const empty = yield* session.commit("empty", { allowEmpty: true })
        assert.deepStrictEqual(yield* logOf(at.store, empty), TransactionLog.empty(empty))
        assert.deepStrictEqual(manifestsOf((yield* session.nodes())[0]), before)
        yield* same
        yield* session.setChunk("/a", [3], text("new"))
        const log = yield* logOf(at.store, yield* session.commit("one chunk"))
        const { id } = yield* session.node("/a")
        assert.deepStrictEqual(log, {
          ...TransactionLog.empty(log.id),
          updatedChunks: [{ node: id, rank: 1, count: 1, coords: Uint32Array.of(3) }]
        })
      })
    )
  })
)

it.effect("its snapshot lists the manifests that are used and no others, and keeps what it does not know", () =>
  Effect.gen(function* () {
    const at = yield* world
    yield* inWorld(at)(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", array([4]))
        yield* session.createArray("/b", array([4]))
        yield* session.createArray("/c", array([4]))
        for (const path of ["/a", "/b", "/c"]) yield* session.setChunk(path, [0], text("x"))
        const first = yield* session.commit("first")
        const before = yield* snapshotOf(at.store, first)
        assert.lengthOf(before.manifestFiles, 3)
        // As a later version of Icechunk may write it.
        const later = {
          ...before,
          extra: Uint8Array.of(1, 2),
          nodes: before.nodes.map((node, i) => ({ ...node, extra: Uint8Array.of(3, i) })),
          manifestFiles: before.manifestFiles.map(({ id, numChunkRefs, sizeBytes }, i) => ({
            id,
            numChunkRefs,
            sizeBytes,
            extra: Uint8Array.of(4, i)
          }))
        }
        yield* write(at.store, Layout.snapshot(first), "Snapshot", Snapshot.encode(later))
      })
    )
    yield* inWorld(at)(
      Effect.gen(function* () {
        const session = yield* (yield* Repository.open()).writableSession("main")
        const before = yield* snapshotOf(at.store, yield* session.snapshotId)
        yield* session.setChunk("/a", [1], text("y"))
        yield* session.deleteNode("/b")
        yield* session.setMetadata(
          "/c",
          Result.getOrThrow(ZarrMetadata.array("/", { ...array([4]), attributes: { n: 1 } }))
        )
        const after = yield* snapshotOf(at.store, yield* session.commit("second"))
        assert.deepStrictEqual(after.extra, Uint8Array.of(1, 2))
        assert.deepStrictEqual(
          after.nodes.map(({ extra, path }) => [String(path), extra]),
          [
            ["/a", Uint8Array.of(3, 0)],
            ["/c", Uint8Array.of(3, 2)]
          ]
        )
        const used = after.nodes.flatMap((node) => manifestsOf(node).map(({ id }) => id))
        assert.deepStrictEqual(after.manifestFiles.map(({ id }) => id).toSorted(), used.toSorted())
        const [kept] = manifestsOf(before.nodes[2])
        assert.deepStrictEqual(
          after.manifestFiles.find(({ id }) => id === kept!.id),
          before.manifestFiles.find(({ id }) => id === kept!.id)
        )
      })
    )
  })
)

it.effect("a native chunk is read from its offset in the chunk file", () =>
  Effect.gen(function* () {
    const at = yield* world
    const bytes = pattern(1000)
    yield* inWorld(at)(
      Effect.gen(function* () {
        const repository = yield* Repository.create()
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", array([4]))
        yield* session.setChunk("/a", [1], bytes)
        yield* session.commit("a chunk")
        // Another writer has several chunks in one file.
        const node = yield* session.node("/a")
        const ref = yield* session.chunkRef("/a", [1])
        assert.strictEqual(ref?._tag, "Native")
        if (ref?._tag !== "Native") return
        const changes = new ChunkRefColumns(1)
        changes.setNative([1], ObjectId.bytes12(ref.id), 300, 50)
        const [{ id }] = manifestsOf(node) as [Snapshot.ManifestRef]
        const refs = yield* Effect.fromResult(MergedRefs.merge({ node: node.id, gridShape: [4], bases: [], changes }))
        const encoded = yield* Effect.fromResult(ManifestWriter.encode({ id, arrays: [{ refs }] }))
        yield* write(at.store, Layout.manifest(id), "Manifest", encoded!.payload)
      })
    )
    yield* inWorld(at)(
      Effect.gen(function* () {
        const session = yield* (yield* Repository.open()).readonlySession({ branch: "main" })
        assert.deepStrictEqual(yield* session.chunk("/a", [1]), bytes.slice(300, 350))
        const range = { _tag: "Bounded", offset: 7, length: 3 } as const
        assert.deepStrictEqual(yield* session.chunk("/a", [1], { range }), bytes.slice(307, 310))
      })
    )
  })
)

it.effect("chunks without bytes are refused before a request, by a session and by a Zarr store", () =>
  Effect.gen(function* () {
    const at = yield* world
    yield* inWorld(at)(
      Effect.gen(function* () {
        const repository = yield* Repository.create({ persist: { inline_chunk_threshold_bytes: 0 } })
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/a", array([4]))
        yield* session.commit("base")
        const before = yield* Stream.runCount(at.store.list(""))
        const error = yield* Effect.flip(session.setChunk("/a", [1], new Uint8Array(0)))
        assert.strictEqual(error._tag, "InvalidChunk")
        assert.strictEqual(
          error.message,
          "Chunk `[1]` of `/a` cannot be stored: it has no bytes; to record a missing chunk, delete it instead."
        )
        const zarr = yield* Effect.flip(ZarrStore.make(session).set("a/c/1", new Uint8Array(0)))
        assert.strictEqual(zarr._tag, "InvalidChunk")
        assert.strictEqual((yield* session.status).updatedChunks.size, 0)
        assert.strictEqual(yield* Stream.runCount(at.store.list("")), before)
      })
    )
  })
)
