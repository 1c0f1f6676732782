/**
 * Manifests and transaction logs against the official engine: it writes, we read; we write again, it reads
 * and writes on top of ours.
 */
import * as ChunkRef from "../../packages/core/src/format/manifest/ChunkRef.ts"
import { ChunkRefColumns } from "../../packages/core/src/format/manifest/ChunkRefColumns.ts"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as Msgpack from "../../packages/core/src/encoding/Msgpack.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as Manifest from "../../packages/core/src/format/manifest/Manifest.ts"
import * as ManifestWriter from "../../packages/core/src/format/manifest/ManifestWriter.ts"
import * as MergedRefs from "../../packages/core/src/format/manifest/MergedRefs.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as Snapshot from "../../packages/core/src/format/Snapshot.ts"
import * as TransactionLog from "../../packages/core/src/format/TransactionLog.ts"
import { Zstd } from "@effect-icechunk/core/Zstd"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Checksum from "@effect-icechunk/core/Checksum"
import type { JsonObject } from "../../packages/core/src/values/Json.ts"
import type { NodePath } from "@effect-icechunk/core/NodePath"
import * as ObjectId from "@effect-icechunk/core/ObjectId"
import type * as Icechunk from "@earthmover/icechunk"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { arrayDocument, groupDocument } from "./documents.ts"
import { Objects, Repository, storage } from "./engine.ts"

type Program<A> = Effect.Effect<A, unknown, Zstd>

const readSnapshot = (objects: Objects, id: string): Program<Snapshot.Snapshot> =>
  Effect.gen(function* () {
    const file = `snapshots/${id}`
    const { header, payload } = yield* IcechunkFile.decode(file, objects.get(file), "Snapshot")
    return yield* Effect.fromResult(
      Snapshot.decode(file, header.specVersion === 1 ? Msgpack.decode : Flexbuffer.decode, payload)
    )
  })

const readManifest = (objects: Objects, id: string): Program<Manifest.Manifest> =>
  Effect.gen(function* () {
    const file = `manifests/${id}`
    const { payload } = yield* IcechunkFile.decode(file, objects.get(file), "Manifest")
    return yield* Effect.fromResult(Manifest.decode(file, payload, (yield* Zstd).dictionary))
  })

const readLog = (objects: Objects, id: string): Program<TransactionLog.TransactionLog> =>
  Effect.gen(function* () {
    const file = `transactions/${id}`
    const { payload } = yield* IcechunkFile.decode(file, objects.get(file), "TransactionLog")
    return yield* Effect.fromResult(TransactionLog.decode(file, payload))
  })

interface ArrayAt {
  readonly snapshot: string
  readonly node: ObjectId.NodeId
  readonly gridShape: ReadonlyArray<number>
  readonly manifests: ReadonlyArray<Snapshot.ManifestRef>
}

/** The array at a path of a snapshot. */
const arrayAt = (objects: Objects, snapshot: string, path: string): Program<ArrayAt> =>
  Effect.map(readSnapshot(objects, snapshot), (snapshot) => {
    const node = Snapshot.find(snapshot, path as NodePath)!
    if (node.data._tag === "Group") throw new Error(`\`${path}\` is a group`)
    return {
      snapshot: snapshot.id,
      node: node.id,
      gridShape: node.data.shape.map(({ numChunks }) => numChunks),
      manifests: node.data.manifests
    }
  })

const whole = (gridShape: ReadonlyArray<number>): Manifest.Extents => gridShape.map((to) => ({ from: 0, to }))

/** All refs of an array in a manifest, by the text of their index. */
const refsOf = (manifest: Manifest.Manifest, node: ObjectId.NodeId): ReadonlyMap<string, ChunkRef.ChunkRef> => {
  const rows = manifest.rows(node)!
  return new Map(
    Array.from({ length: rows.count }, (_, row) => {
      rows.seek(row)
      return [rows.index().join("/"), rows.ref()] as const
    })
  )
}

/** Replaces a manifest, under its id, by what our writer makes of it and of `changes`. */
const rewrite = (objects: Objects, id: ObjectId.ManifestId, array: ArrayAt, changes?: ChunkRefColumns): Program<void> =>
  Effect.gen(function* () {
    const manifest = yield* readManifest(objects, id)
    const arrays = manifest.nodes.map(({ node }) => {
      // Other arrays of the same manifest stay as they are.
      const gridShape = node === array.node ? array.gridShape : manifestGrid(manifest, node)
      const bases = [{ manifest, extents: whole(gridShape) }]
      const own = node === array.node ? changes : undefined
      return { refs: Result.getOrThrow(MergedRefs.merge({ node, gridShape, bases, changes: own })) }
    })
    const encoded = yield* Effect.fromResult(ManifestWriter.encode({ id, arrays }))
    const file = yield* IcechunkFile.encode("Manifest", encoded!.payload)
    objects.put(`manifests/${id}`, file)
    // The engine asks for as many bytes as the snapshot says that the manifest has.
    const snapshot = yield* readSnapshot(objects, array.snapshot)
    const manifestFiles = snapshot.manifestFiles.map((info) =>
      info.id === id ? Object.assign({}, info, { sizeBytes: file.length, numChunkRefs: encoded!.count }) : info
    )
    const payload = Snapshot.encode({ ...snapshot, manifestFiles })
    objects.put(`snapshots/${snapshot.id}`, yield* IcechunkFile.encode("Snapshot", payload))
  })

const manifestGrid = (manifest: Manifest.Manifest, node: ObjectId.NodeId): ReadonlyArray<number> => {
  const rows = manifest.rows(node)!
  rows.seek(0)
  return rows.index().map(() => 0xffff_ffff)
}

const prefix = "https://data.example/files/"

const config: Icechunk.RepositoryConfig = { inlineChunkThresholdBytes: 8 }

/** Adds a container to the repo object: the WebAssembly build takes one from there, not from its API. */
const addContainer = (objects: Objects): Program<void> =>
  Effect.gen(function* () {
    const { payload } = yield* IcechunkFile.decode("repo", objects.get("repo"), "RepoInfo")
    const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
    const known = yield* Effect.fromResult(Flexbuffer.decode("repo", "config", info.config!))
    const containers = { [prefix]: { name: "data", url_prefix: prefix, store: { http: {} } } }
    const config = Flexbuffer.encode({ ...(known as JsonObject), virtual_chunk_containers: containers })
    objects.put("repo", yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode({ ...info, config })))
  })

/** What was asked for, and the bytes that answer it. */
const answer = ({ rangeEnd, rangeStart, url }: Icechunk.HttpVirtualChunkRequest): Uint8Array =>
  Buffer.from(`${url}@${rangeStart}`.padEnd(rangeEnd - rangeStart).slice(0, rangeEnd - rangeStart))

const etagOf = (url: string) => `"etag of ${url.slice(-6)}"`
const changedAt = 1_700_000_000

/** The engine over our manifests; its requests for virtual chunks go into `requests`. */
const open = async (objects: Objects, requests: Array<Icechunk.HttpVirtualChunkRequest> = []) => {
  const repository = await Repository.open(storage(objects), undefined, { [prefix]: { type: "HttpAccess" } })
  await repository.setHttpVirtualChunkFetcher(async (_, request) => {
    requests.push(request)
    return { data: answer(request), etag: etagOf(request.url), lastModified: changedAt }
  })
  return repository
}

/** All chunks of the array `a`, as the engine reads them. */
const readChunks = async (repository: Icechunk.Repository, path = "a") => {
  const { store } = await repository.readonlySession({ branch: "main" })
  const keys = (await store.list()).filter((key) => key.startsWith(`${path}/c`)).toSorted()
  const chunks = new Map<string, string>()
  for (const key of keys) {
    chunks.set(key.slice(path.length + 3), Buffer.from((await store.get(key))!).toString("base64"))
  }
  return chunks
}

/** An array of 6 by 8 chunks, all written but for those of the first row, half of them inline. */
const build = async (objects: Objects) => {
  const repository = await Repository.create(storage(objects), config)
  const session = await repository.writableSession("main")
  await session.store.set("zarr.json", groupDocument())
  await session.store.set("a/zarr.json", arrayDocument([60, 1600], [10, 200]))
  await session.store.set("scalar/zarr.json", arrayDocument([], []))
  await session.store.set("scalar/c", Buffer.from([9]))
  const chunks = new Map<string, string>()
  for (let i = 1; i < 6; i++) {
    for (let j = 0; j < 8; j++) {
      const index = `${i}/${j}`
      const content = Buffer.from((i + j) % 2 === 0 ? index : `a native chunk ${index}`)
      await session.store.set(`a/c/${index}`, content)
      chunks.set(index, content.toString("base64"))
    }
  }
  await session.store.set("a/c/0/3", Buffer.from("0/3"))
  chunks.set("0/3", Buffer.from("0/3").toString("base64"))
  return { snapshot: await session.commit("built"), chunks }
}

describe("the official engine", () => {
  it.layer(NodeZstd.layer)((it) => {
    it.effect("writes manifests with inline and native chunks that we read", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { chunks, snapshot } = yield* Effect.promise(() => build(objects))
        const { manifests, node } = yield* arrayAt(objects, snapshot, "/a")
        expect(manifests).toHaveLength(1)
        const manifest = yield* readManifest(objects, manifests[0]!.id)
        const refs = refsOf(manifest, node)
        expect([...refs.keys()]).toStrictEqual([...chunks.keys()].toSorted())
        for (const [index, content] of chunks) {
          const ref = refs.get(index)!
          expect(manifest.get(node, index.split("/").map(Number))).toStrictEqual(Result.succeed(ref))
          const bytes =
            ref._tag === "Inline"
              ? ref.bytes
              : ref._tag === "Native"
                ? objects.get(`chunks/${ref.id}`).subarray(ref.offset, ref.offset + ref.length)
                : new Uint8Array(0)
          expect(Buffer.from(bytes).toString("base64")).toBe(content)
        }
        expect(new Set(Array.from(refs.values(), ({ _tag }) => _tag))).toStrictEqual(new Set(["Inline", "Native"]))
      })
    )

    it.effect("reads the same chunks from manifests that we wrote again, and writes on top of them", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { chunks, snapshot } = yield* Effect.promise(() => build(objects))
        for (const path of ["/a", "/scalar"]) {
          const array = yield* arrayAt(objects, snapshot, path)
          const before = refsOf(yield* readManifest(objects, array.manifests[0]!.id), array.node)
          yield* rewrite(objects, array.manifests[0]!.id, array)
          expect(refsOf(yield* readManifest(objects, array.manifests[0]!.id), array.node)).toStrictEqual(before)
        }
        const repository = yield* Effect.promise(() => open(objects))
        expect(yield* Effect.promise(() => readChunks(repository))).toStrictEqual(chunks)
        expect(yield* Effect.promise(() => readChunks(repository, "scalar"))).toHaveLength(1)
        const next = yield* Effect.promise(async () => {
          const session = await repository.writableSession("main")
          await session.store.set("a/c/0/0", Buffer.from("new"))
          await session.store.delete("a/c/5/7")
          return session.commit("on top")
        })
        const array = yield* arrayAt(objects, next, "/a")
        const refs = refsOf(yield* readManifest(objects, array.manifests[0]!.id), array.node)
        expect(refs.size).toBe(chunks.size)
        expect(refs.get("0/0")).toStrictEqual(ChunkRef.inline(new Uint8Array(Buffer.from("new"))))
        expect(refs.has("5/7")).toBe(false)
      })
    )

    it.effect("reads the virtual chunks of manifests that we wrote, with their checksums", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { chunks, snapshot } = yield* Effect.promise(() => build(objects))
        yield* addContainer(objects)
        const array = yield* arrayAt(objects, snapshot, "/a")
        const changes = new ChunkRefColumns(2)
        const urls = ["a.nc", "b c/é.nc", "d.nc"].map((key) => `${prefix}${key}`)
        const expected = new Map(chunks)
        const asked = new Map<string, object>()
        for (let i = 1; i < 6; i++) {
          for (let j = 0; j < 8; j += 2) {
            const location = urls[(i + j) % 3]!
            const offset = j === 4 ? 2 ** 40 + i : 1000 * i + j
            const length = 50 + i
            const etag = etagOf(new URL(location).href)
            const checksum = [undefined, Checksum.etag(etag), Checksum.lastModified(changedAt * 1000)][i % 3]
            changes.setVirtual([i, j], { location, offset, length, checksum })
            const request = { url: new URL(location).href, rangeStart: offset, rangeEnd: offset + length }
            asked.set(`${i}/${j}`, {
              ...request,
              ...(i % 3 === 1 ? { etag } : i % 3 === 2 ? { lastModified: changedAt } : {})
            })
            const content = answer({ ...request, headers: {}, options: {} })
            expected.set(`${i}/${j}`, Buffer.from(content).toString("base64"))
          }
        }
        changes.setDeleted([1, 1])
        expected.delete("1/1")
        yield* rewrite(objects, array.manifests[0]!.id, array, changes)
        const requests: Array<Icechunk.HttpVirtualChunkRequest> = []
        const repository = yield* Effect.promise(() => open(objects, requests))
        expect(yield* Effect.promise(() => readChunks(repository))).toStrictEqual(expected)
        expect(requests).toHaveLength(asked.size)
        const inOrder = [...asked.keys()].toSorted().map((index) => asked.get(index))
        expect(requests).toMatchObject(inOrder)
      })
    )

    it.effect(
      "compresses the locations of a manifest that we wrote when it writes on top of it, and we read those",
      () =>
        Effect.gen(function* () {
          const objects = new Objects()
          const count = 3000
          const first = yield* Effect.promise(async () => {
            const repository = await Repository.create(storage(objects), config)
            const session = await repository.writableSession("main")
            await session.store.set("zarr.json", groupDocument())
            await session.store.set("a/zarr.json", arrayDocument([count], [1]))
            await session.store.set("a/c/0", Buffer.from("x"))
            await session.store.set(`a/c/${count - 1}`, Buffer.from("y"))
            return session.commit("corners")
          })
          yield* addContainer(objects)
          const array = yield* arrayAt(objects, first, "/a")
          const changes = new ChunkRefColumns(1)
          const values = Array.from({ length: 100 }, (_, i) => `${prefix}model-outputs/member-${i % 7}/file-${i}.nc`)
          const ids = Uint32Array.from({ length: count - 2 }, (_, i) => Math.floor(i / 30))
          changes.setVirtualBulk({
            indices: Uint32Array.from(ids, (_, i) => i + 1),
            offsets: Float64Array.from(ids, (_, i) => 100 * i),
            lengths: new Uint32Array(ids.length).fill(40),
            locations: { values, ids },
            checksums: values.map((url) => Checksum.etag(etagOf(url)))
          })
          yield* rewrite(objects, array.manifests[0]!.id, array, changes)
          const ours = refsOf(yield* readManifest(objects, array.manifests[0]!.id), array.node)
          const second = yield* Effect.promise(async () => {
            const session = await (await open(objects)).writableSession("main")
            await session.store.set("a/c/0", Buffer.from("changed"))
            return session.commit("on top")
          })
          const next = yield* arrayAt(objects, second, "/a")
          const theirs = yield* readManifest(objects, next.manifests[0]!.id)
          expect(theirs.id).not.toBe(array.manifests[0]!.id)
          expect(theirs.locationDictionary).toBeDefined()
          const changed = new Map(ours).set("0", ChunkRef.inline(new Uint8Array(Buffer.from("changed"))))
          expect(refsOf(theirs, next.node)).toStrictEqual(changed)
          const rows = theirs.rows(next.node)!
          const distinct = rows.virtualLocations(0, rows.count, { distinct: true })
          expect(Result.getOrThrow(distinct).toSorted()).toStrictEqual(values.toSorted())
          // And back: we keep what is compressed, and the engine reads it.
          const more = new ChunkRefColumns(1)
          more.setVirtual([7], { location: `${prefix}plain.nc`, offset: 3, length: 20 })
          yield* rewrite(objects, theirs.id, next, more)
          const mixed = yield* readManifest(objects, theirs.id)
          expect(mixed.locationDictionary).toStrictEqual(theirs.locationDictionary)
          const repository = yield* Effect.promise(() => open(objects))
          const { store } = yield* Effect.promise(() => repository.readonlySession({ branch: "main" }))
          for (const [index, ref] of refsOf(mixed, next.node)) {
            if (Number(index) % 50 !== 7 || ref._tag !== "Virtual") continue
            const { length, location, offset } = ref.ref
            const request = { url: location, rangeStart: offset, rangeEnd: offset + length, headers: {}, options: {} }
            const chunk = yield* Effect.promise(() => store.get(`a/c/${index}`))
            expect(Buffer.from(chunk!).toString()).toBe(Buffer.from(answer(request)).toString())
          }
        })
    )

    it.effect("writes transaction logs that we read, and reads what we make of them", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { chunks, snapshot } = yield* Effect.promise(() => build(objects))
        const built = yield* readLog(objects, snapshot)
        const array = yield* arrayAt(objects, snapshot, "/a")
        expect(built).toMatchObject({ id: snapshot, movedNodes: [], extra: undefined })
        expect(built.newArrays).toHaveLength(2)
        const updated = built.updatedChunks.find(({ node }) => node === array.node)!
        expect(updated).toMatchObject({ rank: 2, count: chunks.size })
        const indices = Array.from({ length: updated.count }, (_, i) =>
          updated.coords.subarray(2 * i, 2 * i + 2).join("/")
        )
        expect(indices).toStrictEqual([...chunks.keys()].toSorted())
        const ids = yield* Effect.promise(async () => {
          const repository = await open(objects)
          const session = await repository.writableSession("main")
          await session.store.set("b/zarr.json", groupDocument())
          await session.store.set("b/c/zarr.json", groupDocument())
          await session.store.set("a/c/0/0", Buffer.from("0/0"))
          await session.store.deleteDir("scalar")
          const changed = await session.commit("changed")
          const arranging = await repository.rearrangeSession("main")
          await arranging.moveNode("/b", "/moved-b")
          await arranging.moveNode("/a", "/moved")
          const moved = await arranging.commit("moved")
          return [snapshot, changed, moved]
        })
        const moves = (yield* readLog(objects, ids[2]!)).movedNodes
        expect(moves.map(({ from, to, type }) => [from, to, type])).toStrictEqual([
          ["/a", "/moved", "Array"],
          ["/b", "/moved-b", "Group"],
          ["/b/c", "/moved-b/c", "Group"]
        ])
        const initial = ObjectId.initialSnapshotId
        const diffs = async () => {
          const repository = await open(objects)
          return Promise.all(
            ids.map((toSnapshotId, i) => repository.diff({ fromSnapshotId: ids[i - 1] ?? initial, toSnapshotId }))
          )
        }
        const before = yield* Effect.promise(diffs)
        for (const id of ids) {
          const payload = TransactionLog.encode(yield* readLog(objects, id))
          objects.put(`transactions/${id}`, yield* IcechunkFile.encode("TransactionLog", payload))
        }
        expect(yield* Effect.promise(diffs)).toStrictEqual(before)
        expect(before[1]!.deletedArrays).toStrictEqual(["/scalar"])
        expect(before[2]!.movedNodes).toHaveLength(3)
      })
    )
  })
})
