/**
 * Our codecs against the official engine: it writes, we read; we write again, it reads.
 */
import * as BrowserZstd from "@effect-icechunk/core/browser/BrowserZstd"
import * as Msgpack from "../../packages/core/src/encoding/Msgpack.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import type { Metadata } from "../../packages/core/src/format/Metadata.ts"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as Snapshot from "../../packages/core/src/format/Snapshot.ts"
import type { Zstd } from "@effect-icechunk/core/Zstd"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import type { Json } from "../../packages/core/src/values/Json.ts"
import * as NodePath from "@effect-icechunk/core/NodePath"
import * as ObjectId from "@effect-icechunk/core/ObjectId"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { arrayDocument, groupDocument } from "./documents.ts"
import { Objects, Repository, storage } from "./engine.ts"

type Program<A> = Effect.Effect<A, unknown, Zstd>

const readRepo = (objects: Objects): Program<RepoInfo.RepoInfo> =>
  Effect.gen(function* () {
    const { payload } = yield* IcechunkFile.decode("repo", objects.get("repo"), "RepoInfo")
    return yield* Effect.fromResult(RepoInfo.decode("repo", payload))
  })

const readSnapshot = (objects: Objects, id: string): Program<Snapshot.Snapshot> =>
  Effect.gen(function* () {
    const file = `snapshots/${id}`
    const { header, payload } = yield* IcechunkFile.decode(file, objects.get(file), "Snapshot")
    return yield* Effect.fromResult(
      Snapshot.decode(file, header.specVersion === 1 ? Msgpack.decode : Flexbuffer.decode, payload)
    )
  })

const writeRepo = (objects: Objects, info: RepoInfo.RepoInfo): Program<void> =>
  Effect.map(IcechunkFile.encode("RepoInfo", RepoInfo.encode(info)), (file) => void objects.put("repo", file))

/** Replaces the repo object and all snapshots by what our encoders make of them. */
const rewrite = (objects: Objects): Program<void> =>
  Effect.gen(function* () {
    for (const file of objects.keys("snapshots/")) {
      const snapshot = yield* readSnapshot(objects, file.slice("snapshots/".length))
      objects.put(file, yield* IcechunkFile.encode("Snapshot", Snapshot.encode(snapshot)))
    }
    yield* writeRepo(objects, yield* readRepo(objects))
  })

const group = groupDocument({ title: "grüße" })

/** Names whose order differs between UTF-8, UTF-16 and segments. */
const names = ["a", "a-b", "a\u{10000}", "a\uffff", "ab", "é"]

/** A repository with all that the engine's API can put into its repo object and its snapshots. */
const build = async (objects: Objects) => {
  const repository = await Repository.create(storage(objects), {
    inlineChunkThresholdBytes: 4,
    manifest: {
      splitting: { split_sizes: [[{ path_matches: { regex: ".*" } }, [{ condition: "Any", num_chunks: 100 }]]] }
    }
  })
  const session = await repository.writableSession("main")
  await session.store.set("zarr.json", group)
  for (const name of names) {
    await session.store.set(`${name}/zarr.json`, group)
    await session.store.set(`${name}/x/zarr.json`, arrayDocument([10, 7], [4, 3], ["lat", null]))
  }
  await session.store.set("scalar/zarr.json", arrayDocument([], []))
  await session.store.set("empty/zarr.json", arrayDocument([0], [5]))
  await session.store.set("scalar/c", Buffer.from([9]))
  await session.store.set("a/x/c/0/0", Buffer.from([1, 2]))
  await session.store.set("a/x/c/2/2", Buffer.from("a native chunk"))
  const first = await session.commit("first 🧊")
  await repository.createTag("v1", first)
  await repository.createTag("gone", first)
  await repository.deleteTag("gone")
  await repository.createBranch("dev", first)
  await repository.createBranch("\u{10000}", first)
  await repository.createBranch("\uffff", first)
  await repository.deleteBranch("\uffff")
  const more = await repository.writableSession("dev")
  await more.store.set("a/x/c/0/0", Buffer.from("now native, not inline"))
  await more.store.deleteDir("é")
  const second = await more.commit("second")
  const amending = await repository.writableSession("dev")
  await amending.store.set("b/zarr.json", group)
  const amended = await amending.amend("second, amended")
  await repository.resetBranch("main", amended)
  await repository.setFeatureFlag("move_node", false)
  const detached = await repository.writableSession("main")
  await detached.store.set("detached/zarr.json", group)
  await detached.flush("detached")
  return { repository, first, second, amended }
}

/** All that the engine says of a repository. */
const describeRepository = async (objects: Objects) => {
  const repository = await Repository.open(storage(objects))
  const branches = (await repository.listBranches()).toSorted()
  const tags = (await repository.listTags()).toSorted()
  const versions = [...branches.map((branch) => ({ branch })), ...tags.map((tag) => ({ tag }))]
  const contents = []
  for (const options of versions) {
    const session = await repository.readonlySession(options)
    const keys = (await session.store.list()).toSorted()
    const values = []
    for (const key of keys) {
      values.push([key, Buffer.from((await session.store.get(key))!).toString("base64")])
    }
    contents.push({
      options,
      keys,
      values,
      ancestry: await repository.ancestry(options),
      manifests: (await repository.lookupManifestFiles(session.snapshotId)).toSorted((a, b) => (a.id < b.id ? -1 : 1))
    })
  }
  return { branches, tags, contents, config: repository.config, flags: await repository.featureFlags() }
}

describe("the official engine", () => {
  it.layer(NodeZstd.layer)((it) => {
    it.effect("writes repo objects and snapshots that we read", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { amended, first, repository, second } = yield* Effect.promise(() => build(objects))
        const info = yield* readRepo(objects)
        expect(info.specVersion).toBe(2)
        expect(Object.fromEntries(info.branches)).toStrictEqual({ main: amended, dev: amended, "\u{10000}": first })
        expect(Object.fromEntries(info.tags)).toStrictEqual({ v1: first })
        expect(info.deletedTags).toStrictEqual(new Set(["gone"]))
        expect(info.snapshots.get(amended as ObjectId.SnapshotId)).toMatchObject({
          parentId: first,
          message: "second, amended"
        })
        expect(info.snapshots.get(ObjectId.initialSnapshotId)!.metadata).toStrictEqual({
          __icechunk: { is_root: true }
        })
        expect(info.status.availability).toBe("Online")
        expect(info.disabledFeatureFlags).toHaveLength(1)
        expect(info.latestUpdates.map(({ update }) => update._tag)).toStrictEqual([
          "NewDetachedSnapshot",
          "FeatureFlagChanged",
          "BranchReset",
          "CommitAmended",
          "NewCommit",
          "BranchDeleted",
          "BranchCreated",
          "BranchCreated",
          "BranchCreated",
          "TagDeleted",
          "TagCreated",
          "TagCreated",
          "NewCommit",
          "RepoInitialized"
        ])
        expect(info.latestUpdates[3]!.update).toMatchObject({
          branch: "dev",
          previousSnapshotId: second,
          newSnapshotId: amended
        })
        const config = yield* Effect.fromResult(Flexbuffer.decode("repo", "config", info.config!))
        expect(config).toMatchObject({
          inline_chunk_threshold_bytes: 4,
          manifest: { splitting: { split_sizes: [{}] } }
        })
        const ancestry = yield* Effect.promise(() => repository.ancestry({ branch: "main" }))
        for (const { id, message, writtenAt } of ancestry) {
          const { flushedAt, ...ours } = info.snapshots.get(id as ObjectId.SnapshotId)!
          expect(ours.message).toBe(message)
          expect(Math.floor(flushedAt / 1000)).toBe(new Date(writtenAt).getTime())
          const snapshot = yield* readSnapshot(objects, id)
          expect(snapshot).toMatchObject({ id, message, parentId: undefined, flushedAt })
        }
      })
    )

    it.effect("orders nodes as we look them up", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { first } = yield* Effect.promise(() => build(objects))
        const { payload } = yield* IcechunkFile.decode("s", objects.get(`snapshots/${first}`), "Snapshot")
        const snapshot = yield* Effect.fromResult(Snapshot.decode("s", Flexbuffer.decode, payload))
        // In the order of the file, not sorted by us.
        const text = Buffer.from(payload).toString("latin1")
        const places = snapshot.nodes.map(({ path }) => text.lastIndexOf(`\0${Buffer.from(path).toString("latin1")}\0`))
        expect(places.every((place) => place >= 0)).toBe(true)
        for (const name of names) {
          for (const path of [`/${name}`, `/${name}/x`]) {
            const node = Snapshot.find(snapshot, Result.getOrThrow(NodePath.parse(path)))
            expect(node).toMatchObject({ path })
          }
        }
        const array = Snapshot.find(snapshot, "/a/x" as NodePath.NodePath)!.data
        expect(array).toMatchObject({
          _tag: "Array",
          shape: [
            { length: 10, numChunks: 3 },
            { length: 7, numChunks: 3 }
          ],
          dimensionNames: ["lat", undefined]
        })
        const scalar = Snapshot.find(snapshot, "/scalar" as NodePath.NodePath)!.data
        expect(scalar).toMatchObject({ shape: [], dimensionNames: undefined })
      })
    )

    it.effect("reads the repo objects and snapshots that we write, and goes on from there", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        yield* Effect.promise(() => build(objects))
        const before = yield* Effect.promise(() => describeRepository(objects))
        expect(before.contents).toHaveLength(4)
        yield* rewrite(objects)
        expect(yield* Effect.promise(() => describeRepository(objects))).toStrictEqual(before)
        const committed = yield* Effect.promise(async () => {
          const repository = await Repository.open(storage(objects))
          const session = await repository.writableSession("main")
          await session.store.set("after/zarr.json", group)
          await session.store.set("a/x/c/1/1", Buffer.from("another native chunk"))
          return session.commit("after")
        })
        const info = yield* readRepo(objects)
        expect(info.branches.get("main")).toBe(committed)
        expect(info.latestUpdates[0]!.update).toMatchObject({ _tag: "NewCommit", newSnapshotId: committed })
        const snapshot = yield* readSnapshot(objects, committed)
        expect(Snapshot.find(snapshot, "/after" as NodePath.NodePath)).toBeDefined()
        expect(Snapshot.find(snapshot, "/a/x" as NodePath.NodePath)!.data).toMatchObject({ _tag: "Array" })
      })
    )

    it.effect("reads what a browser writes, which is not compressed", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        yield* Effect.promise(() => build(objects))
        const before = yield* Effect.promise(() => describeRepository(objects))
        yield* Effect.provide(rewrite(objects), BrowserZstd.layer)
        expect(yield* Effect.promise(() => describeRepository(objects))).toStrictEqual(before)
        yield* Effect.provide(rewrite(objects), BrowserZstd.layer)
      })
    )

    it.effect("reads commit metadata that we write: any JSON", () =>
      Effect.gen(function* () {
        const objects = new Objects()
        const { amended } = yield* Effect.promise(() => build(objects))
        const info = yield* readRepo(objects)
        const check = (metadata: Metadata): Program<void> =>
          Effect.gen(function* () {
            const id = amended as ObjectId.SnapshotId
            const snapshots = new Map(info.snapshots).set(id, { ...info.snapshots.get(id)!, metadata })
            yield* writeRepo(objects, { ...info, snapshots, metadata })
            const read = yield* Effect.promise(async () => {
              const repository = await Repository.open(storage(objects))
              return (await repository.lookupSnapshot(amended)).metadata as Json
            })
            expect(JSON.parse(JSON.stringify(read))).toStrictEqual(JSON.parse(JSON.stringify(metadata)))
          })
        yield* check({})
        yield* check({
          null: null,
          yes: true,
          no: false,
          integers: [
            0,
            1,
            -1,
            127,
            128,
            -128,
            -129,
            255,
            256,
            65_535,
            65_536,
            -32_769,
            2 ** 31,
            2 ** 32,
            -(2 ** 31) - 1
          ],
          large: [2 ** 40, -(2 ** 40), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
          floats: [0.5, -1.25, Math.PI, 1e300, 5e-324],
          text: ["", "a", "grüße 🧊", "x".repeat(300)],
          nested: { a: { b: { c: [[], [[]], {}] } } },
          "": "empty",
          "\u{10000}": 1,
          "\uffff": 2,
          many: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${i}`, i]))
        })
        const value = fc.letrec<{ readonly json: Json }>((tie) => ({
          json: fc.oneof(
            { maxDepth: 4 },
            fc.constant(null),
            fc.boolean(),
            fc.maxSafeInteger(),
            fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }),
            fc.string({ unit: "binary" }),
            fc.array(tie("json"), { maxLength: 5 }),
            fc.dictionary(
              fc.string({ unit: "binary", maxLength: 8 }).map((key) => key.replaceAll("\0", "")),
              tie("json"),
              { maxKeys: 5, noNullPrototype: true }
            )
          )
        })).json
        const samples = fc.sample(fc.dictionary(fc.string(), value, { noNullPrototype: true }), {
          numRuns: 100,
          seed: 1
        })
        for (const sample of samples) {
          // The engine's JavaScript side assigns keys, which `__proto__` does not survive.
          if (!JSON.stringify(sample).includes("__proto__")) yield* check(sample)
        }
      })
    )
  })
})
