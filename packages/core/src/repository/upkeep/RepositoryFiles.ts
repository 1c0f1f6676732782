/**
 * The files of a repository for those who look at all of them: each is read once, and none is kept. What an open repository
 * keeps for its sessions stays as it is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Zstd } from "../../encoding/Zstd.ts"
import * as RepoInfo from "../../format/RepoInfo.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { ObjectMeta, ObjectStoreShape } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as Layout from "../Layout.ts"
import * as IdTable from "./IdTable.ts"

/**
 * The kinds of files that have an id for a name and never change.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "snapshots" | "transactionLogs" | "manifests" | "chunks"

/**
 * Where the files of a kind are.
 *
 * @category keys
 * @since 0.1.0
 */
export const directories: Readonly<Record<Kind, string>> = {
  snapshots: "snapshots/",
  transactionLogs: "transactions/",
  manifests: "manifests/",
  chunks: "chunks/"
}

/**
 * Lists the files of a kind. What has another name than an id is none of Icechunk's, and left out.
 *
 * @category reading
 * @since 0.1.0
 */
export const list = (
  store: ObjectStoreShape,
  kind: Kind,
  each: (name: string, meta: ObjectMeta) => void
): Effect.Effect<void, ObjectStoreError> => {
  const directory = directories[kind]
  return Stream.runForEachArray(store.list(directory), (metas) =>
    Effect.sync(() => {
      for (const meta of metas) {
        const name = meta.key.slice(directory.length)
        if (IdTable.isId(name)) each(name, meta)
      }
    })
  )
}

/**
 * Reads a snapshot, with the version of the specification that its file follows.
 *
 * @category reading
 * @since 0.1.0
 */
export const versionedSnapshot = /*#__PURE__*/ Effect.fn("Assets.snapshot")(function* (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.fn.Return<{ readonly snapshot: Snapshot.Snapshot; readonly specVersion: 1 | 2 }, Assets.AssetError, Zstd> {
  const file = Layout.snapshot(id)
  const stored = yield* Assets.readFile(store, file, "Snapshot")
  const snapshot = yield* Assets.decodeSnapshot(file, stored)
  yield* Assets.ensureId(file, id, snapshot.id)
  return { snapshot, specVersion: stored.header.specVersion }
})

/**
 * Reads a former repository object, by the name that the operations log gives it.
 *
 * @category reading
 * @since 0.1.0
 */
export const formerRepo = /*#__PURE__*/ Effect.fn("Assets.formerRepo")(function* (
  store: ObjectStoreShape,
  name: string
): Effect.fn.Return<RepoInfo.RepoInfo, Assets.AssetError, Zstd> {
  const file = Layout.overwritten(name)
  const { maxHeld, payload } = yield* Assets.readFile(store, file, "RepoInfo")
  return yield* Effect.fromResult(RepoInfo.decode(file, payload, { maxHeld }))
})

/**
 * The manifests that a snapshot refers to, with the sizes of their files as far as it says them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const manifestsOf = (snapshot: Snapshot.Snapshot): ReadonlyMap<ManifestId, number | undefined> => {
  const found = new Map<ManifestId, number | undefined>()
  for (const { id, sizeBytes } of snapshot.manifestFiles) found.set(id, sizeBytes)
  for (const { data } of snapshot.nodes) {
    if (data._tag !== "Array") continue
    for (const { id } of data.manifests) if (!found.has(id)) found.set(id, undefined)
  }
  return found
}

/** Bytes of files that are decoded at once, as they are in the store, and what each counts at least. */
const room = 64 * 1024 * 1024
const least = 512 * 1024

/**
 * Runs effects on files of a size so that only as many bytes are in memory as there is room for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRoom: Effect.Effect<
  (size: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
> = /*#__PURE__*/ Effect.map(
  /*#__PURE__*/ Effect.suspend(() => Semaphore.make(room)),
  (semaphore) => (size) => semaphore.withPermits(Math.min(room, Math.max(least, size)))
)

/**
 * How many files are read at once.
 *
 * @category constants
 * @since 0.1.0
 */
export const concurrency = (store: ObjectStoreShape): number =>
  store.isLocal === true ? 4 : Math.min(32, store.maxConcurrentRequests ?? 32)
