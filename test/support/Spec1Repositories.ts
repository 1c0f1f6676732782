/**
 * Repositories of Icechunk spec version 1, which this library does not write: the official engine does, and there are
 * some that Python wrote.
 */
import type icechunk from "@earthmover/icechunk"
import { MemoryObjectStore, ObjectId, ObjectStore, Platform, type Repository, ZarrStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as Interop from "./InteropSuite.ts"
import * as Engine from "./OfficialEngine.ts"
import * as StorageOverStore from "./StorageOverStore.ts"

const shared = path.resolve(import.meta.dirname, "../../../shared/data/icechunk-repositories")

/** Whether the repositories that Python wrote are at hand. */
export const arePresent: boolean = fs.existsSync(shared)

/** A copy of a repository that Python wrote, in memory. */
export const copyOf = Effect.fnUntraced(function* (name: string) {
  const store = yield* MemoryObjectStore.make()
  const directory = path.join(shared, name)
  for (const entry of fs.readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const key = path.relative(directory, file).replaceAll(path.sep, "/")
    yield* store.put(key, new Uint8Array(fs.readFileSync(file)))
  }
  return store
})

/** A copy of all that is in a store. */
export const copy = Effect.fnUntraced(function* (store: ObjectStore.ObjectStoreShape) {
  const copied = yield* MemoryObjectStore.make()
  for (const { key } of yield* Stream.runCollect(store.list(""))) {
    yield* copied.put(key, (yield* store.get(key)).bytes)
  }
  return copied
})

/** The keys in a store, in order. */
export const keysOf = (store: ObjectStore.ObjectStoreShape) =>
  Effect.map(Stream.runCollect(store.list("")), (found) => found.map(({ key }) => key).toSorted())

/**
 * The same store, of whose configuration the official engine sees nothing: its WebAssembly build refuses the containers
 * that the repositories of Python have.
 */
export const withoutConfig = (store: ObjectStore.ObjectStoreShape): ObjectStore.ObjectStoreShape => ({
  ...store,
  get: (key, options) =>
    key === "config.yaml"
      ? store.get("none", options)
      : key !== "repo"
        ? store.get(key, options)
        : Effect.gen(function* () {
            const found = yield* store.get(key)
            const { payload } = yield* IcechunkFile.decode(key, found.bytes, "RepoInfo")
            const info = yield* Effect.fromResult(RepoInfo.decode(key, payload))
            const bytes = yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode({ ...info, config: undefined }))
            return { ...found, bytes }
          }).pipe(Effect.provide(NodeZstd.layer), Effect.orDie)
})

/** Writes another id in the place of one in a snapshot. */
export const replaceId = Effect.fnUntraced(
  function* (store: ObjectStore.ObjectStoreShape, file: string, from: ObjectId.SnapshotId, to: ObjectId.SnapshotId) {
    const { bytes } = yield* store.get(file)
    const { payload } = yield* IcechunkFile.decode(file, bytes, "Snapshot")
    const changed = Buffer.from(payload)
    changed.set(ObjectId.bytes12(to), changed.indexOf(ObjectId.bytes12(from)))
    yield* store.put(file, yield* IcechunkFile.encode("Snapshot", changed, { specVersion: 1 }))
  },
  Effect.provide(NodeZstd.layer),
  Effect.orDie
)

/** Opens a repository with the official engine. */
export const theirs = (store: ObjectStore.ObjectStoreShape): Promise<icechunk.Repository> =>
  Engine.Repository.open(StorageOverStore.over(store))

/** Runs an effect as a program would whose repository is in this store. */
export const within =
  (store: ObjectStore.ObjectStoreShape) =>
  <A, E>(effect: Effect.Effect<A, E, Effect.Services<ReturnType<typeof Repository.open>>>): Effect.Effect<A, E> =>
    Effect.scoped(effect).pipe(
      Effect.provide(Layer.mergeAll(Layer.succeed(ObjectStore.ObjectStore, store), Platform.layerNone, NodeZstd.layer))
    )

/** Commits with the official engine. */
export const commit = async (
  repository: icechunk.Repository,
  branch: string,
  message: string,
  entries: Iterable<readonly [string, Uint8Array]>
): Promise<string> => {
  const session = await repository.writableSession(branch)
  for (const [key, value] of entries) await session.store.set(key, Buffer.from(value))
  return session.commit(message)
}

/** What `write` wrote. */
export interface Written {
  readonly store: ObjectStore.ObjectStoreShape
  /** Every version that has a name, and each snapshot. */
  readonly versions: ReadonlyArray<Repository.VersionRef>
}

/**
 * A repository with two branches, a tag on a branch that was deleted, a deleted tag and a saved configuration, which the
 * official engine writes.
 */
export const write: Effect.Effect<Written> = Effect.gen(function* () {
  const store = yield* MemoryObjectStore.make()
  const ids = yield* Effect.promise(async () => {
    const repository = await Engine.Repository.create(
      StorageOverStore.over(store),
      {
        inlineChunkThresholdBytes: 100,
        manifest: {
          preload: { max_total_refs: 7, preload_if: { or: ["true", { name_matches: { regex: "t.*" } }] } },
          splitting: {
            split_sizes: [
              [{ path_matches: { regex: "/ocean/.*" } }, [{ condition: { Axis: 0 }, num_chunks: 1 }]],
              ["any_array", [{ condition: "Any", num_chunks: 1000 }]]
            ]
          }
        }
      },
      1
    )
    await repository.saveConfig()
    const one = await commit(repository, "main", "one", Interop.contents)
    await repository.createTag("v1", one)
    await repository.createTag("gone", one)
    await repository.deleteTag("gone")
    await repository.createBranch("dev ünï", one)
    await repository.createBranch("left", one)
    const two = await commit(repository, "main", "two", [["ocean/temp/c/2/0", Interop.bytes(1600, 55)]])
    const dev = await commit(repository, "dev ünï", "dev", [["bools/c/1", Interop.bytes(3, 9)]])
    const left = await commit(repository, "left", "left", [["bools/c/1", Interop.bytes(3, 11)]])
    await repository.createTag("only here", left)
    await repository.deleteBranch("left")
    const three = await commit(repository, "main", "three", [["scalar/c", Interop.bytes(8, 77)]])
    return [one, two, dev, left, three]
  })
  // Its JavaScript interface does not save containers.
  const saved = new TextDecoder().decode((yield* store.get("config.yaml")).bytes)
  const containers = `virtual_chunk_containers:
  https://data.example/here/:
    name: data
    url_prefix: https://data.example/here/
    store: !http {}
`
  yield* store.put(
    "config.yaml",
    new TextEncoder().encode(saved.replace("virtual_chunk_containers: null\n", containers))
  )
  return {
    store,
    versions: [
      { branch: "main" },
      { branch: "dev ünï" },
      { tag: "v1" },
      { tag: "only here" },
      ...ids.map((snapshotId) => ({ snapshotId }))
    ]
  }
}).pipe(Effect.orDie)

/** Keys and values of a version, as this library reads them; of a virtual chunk, its ref. */
export const readOurs = Effect.fnUntraced(function* (
  repository: Repository.RepositoryShape,
  version: Repository.VersionRef
) {
  const session = yield* repository.readonlySession(version)
  const store = ZarrStore.make(session)
  const found = new Map<string, Buffer | undefined>()
  for (const key of yield* Stream.runCollect(store.list)) {
    const [at, index] = key.split("/c/")
    const ref =
      index === undefined && !key.endsWith("/c")
        ? undefined
        : yield* session.chunkRef(`/${(at ?? "").replace(/\/c$/, "")}`, index?.split("/").map(Number) ?? [])
    found.set(
      key,
      ref?._tag === "Virtual" ? Buffer.from(`virtual ${JSON.stringify(ref)}`) : Interop.buffer(yield* store.get(key))
    )
  }
  return found
})
