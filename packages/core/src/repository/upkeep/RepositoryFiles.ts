/**
 * The files of a repository for those who look at all of them: each is read once, and none is kept. What an open repository
 * keeps for its sessions stays as it is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Flexbuffer from "../../encoding/Flexbuffer.ts"
import { Zstd } from "../../encoding/Zstd.ts"
import * as IcechunkFile from "../../format/IcechunkFile.ts"
import * as Manifest from "../../format/manifest/Manifest.ts"
import * as RepoInfo from "../../format/RepoInfo.ts"
import * as Snapshot from "../../format/Snapshot.ts"
import * as TransactionLog from "../../format/TransactionLog.ts"
import type { ObjectMeta, ObjectStoreShape } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as Layout from "../Layout.ts"
import * as OnDemand from "../OnDemand.ts"
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

const read = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  file: string,
  type: IcechunkFile.FileType
) {
  const { bytes } = yield* store.get(file, { maxBytes: IcechunkFile.maxFileBytes(type) })
  return yield* IcechunkFile.decode(file, bytes, type)
})

/**
 * Reads a snapshot.
 *
 * @category reading
 * @since 0.1.0
 */
export const snapshot = (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.Effect<Snapshot.Snapshot, Assets.AssetError, Zstd> =>
  Effect.map(versionedSnapshot(store, id), ({ snapshot }) => snapshot)

/**
 * Reads a snapshot, with the version of the specification that its file follows.
 *
 * @category reading
 * @since 0.1.0
 */
export const versionedSnapshot = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.fn.Return<{ readonly snapshot: Snapshot.Snapshot; readonly specVersion: 1 | 2 }, Assets.AssetError, Zstd> {
  const file = Layout.snapshot(id)
  const { header, maxHeld, payload } = yield* read(store, file, "Snapshot")
  const decodeValue = header.specVersion === 1 ? yield* OnDemand.decodeSpec1Value : Flexbuffer.decode
  const decoded = yield* Effect.fromResult(Snapshot.decode(file, decodeValue, payload, { maxHeld }))
  yield* Assets.ensureId(file, id, decoded.id)
  return { snapshot: decoded, specVersion: header.specVersion }
})

/**
 * Reads a manifest.
 *
 * @category reading
 * @since 0.1.0
 */
export const manifest = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  id: ManifestId
): Effect.fn.Return<Manifest.Manifest, Assets.AssetError, Zstd> {
  const file = Layout.manifest(id)
  const { maxHeld, payload } = yield* read(store, file, "Manifest")
  const { dictionary } = yield* Zstd
  const decoded = yield* Effect.fromResult(Manifest.decode(file, payload, dictionary, { maxHeld }))
  yield* Assets.ensureId(file, id, decoded.id)
  return decoded
})

/**
 * Reads the transaction log of a snapshot.
 *
 * @category reading
 * @since 0.1.0
 */
export const transactionLog = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.fn.Return<TransactionLog.TransactionLog, Assets.AssetError, Zstd> {
  const file = Layout.transaction(id)
  const { maxHeld, payload } = yield* read(store, file, "TransactionLog")
  const decoded = yield* Effect.fromResult(TransactionLog.decode(file, payload, { maxHeld }))
  yield* Assets.ensureId(file, id, decoded.id)
  return decoded
})

/**
 * Reads a former repository object, by the name that the operations log gives it.
 *
 * @category reading
 * @since 0.1.0
 */
export const formerRepo = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  name: string
): Effect.fn.Return<RepoInfo.RepoInfo, Assets.AssetError, Zstd> {
  const file = Layout.overwritten(name)
  const { maxHeld, payload } = yield* read(store, file, "RepoInfo")
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
