/**
 * Writing the files of a repository that never change. What was written is kept as if it had been read.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Zstd } from "../encoding/Zstd.ts"
import * as IcechunkFile from "../format/IcechunkFile.ts"
import * as Manifest from "../format/manifest/Manifest.ts"
import * as Snapshot from "../format/Snapshot.ts"
import * as TransactionLog from "../format/TransactionLog.ts"
import type { DeferredWrites } from "../store/DeferredWrites.ts"
import type { ObjectStoreShape, WriteForbidden } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../values/ObjectId.ts"
import * as Assets from "./Assets.ts"
import * as Layout from "./Layout.ts"
import * as TransactionLogs from "./versions/TransactionLogs.ts"

/**
 * A manifest and its file.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodedManifest {
  readonly id: ManifestId
  readonly payload: Uint8Array
  readonly bytes: Uint8Array
}

/**
 * The immutable metadata files of a repository that is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface WritableAssets extends Assets.Assets {
  readonly writeSnapshot: (snapshot: Snapshot.Snapshot) => Effect.Effect<void, ObjectStoreError | WriteForbidden>
  /** The file of a manifest, to be written. The payload must not change afterwards. */
  readonly encodeManifest: (id: ManifestId, payload: Uint8Array) => Effect.Effect<EncodedManifest>
  /** With `keep: false` it is not kept in memory. */
  readonly writeManifest: (
    manifest: EncodedManifest,
    options?: { readonly keep?: boolean | undefined }
  ) => Effect.Effect<void, ObjectStoreError | WriteForbidden>
  /** A manifest that is looked through once, and is not kept. */
  readonly scannedManifest: (id: ManifestId) => Effect.Effect<Manifest.Manifest, Assets.AssetError>
  readonly writeTransactionLog: (
    log: TransactionLog.TransactionLog
  ) => Effect.Effect<void, ObjectStoreError | WriteForbidden>
  /** The transaction log of a snapshot. */
  readonly transactionLog: (id: SnapshotId) => Effect.Effect<TransactionLog.TransactionLog, Assets.AssetError>
}

/**
 * Where files that are written leave what makes them durable. A commit has one, which it settles before it is visible;
 * without, they are durable as soon as they are written.
 *
 * @category context
 * @since 0.1.0
 */
export const Deferred: Context.Reference<DeferredWrites | undefined> = /*#__PURE__*/ Context.Reference<
  DeferredWrites | undefined
>("@effect-icechunk/core/AssetWrites/Deferred", { defaultValue: () => undefined })

/**
 * The same files, to be written with a zstd level.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  assets: Assets.Assets,
  level: () => number
): Effect.fn.Return<WritableAssets, never, Zstd> {
  const zstd = yield* Zstd
  const withZstd = Effect.provideService(Zstd, zstd)

  const put = (key: string, bytes: Uint8Array): Effect.Effect<void, ObjectStoreError | WriteForbidden> =>
    Effect.flatMap(Deferred, (deferred) =>
      Effect.asVoid(
        store.put(key, bytes, {
          contentType: "application/octet-stream",
          defer: deferred?.defer(key),
          isUnique: true
        })
      )
    )

  return {
    ...assets,
    writeSnapshot: Effect.fn("Assets.writeSnapshot")(function* (snapshot) {
      const bytes = yield* withZstd(IcechunkFile.encode("Snapshot", Snapshot.encode(snapshot), { level: level() }))
      yield* Assets.describeSpan(Layout.snapshot(snapshot.id), "Snapshot", bytes)
      yield* put(Layout.snapshot(snapshot.id), bytes)
      yield* assets.keep(snapshot)
    }),
    encodeManifest: Effect.fn("Assets.encodeManifest")((id, payload) =>
      Effect.map(withZstd(IcechunkFile.encode("Manifest", payload, { level: level() })), (bytes) => ({
        id,
        payload,
        bytes
      }))
    ),
    writeManifest: Effect.fn("Assets.writeManifest")(function* ({ bytes, id, payload }, options) {
      const file = Layout.manifest(id)
      yield* Assets.describeSpan(file, "Manifest", bytes)
      yield* put(file, bytes)
      if (options?.keep === false) return
      const manifest = Result.getOrThrow(Manifest.decode(file, payload, zstd.dictionary))
      yield* assets.keepManifest(manifest)
    }),
    scannedManifest: Effect.fn("Assets.scannedManifest")(function* (id) {
      const known = assets.cachedManifest(id)
      if (known !== undefined) return known
      return yield* withZstd(Assets.readManifest(store, id))
    }),
    writeTransactionLog: Effect.fn("Assets.writeTransactionLog")(function* (log) {
      const bytes = yield* withZstd(
        IcechunkFile.encode("TransactionLog", TransactionLog.encode(log), { level: level() })
      )
      yield* Assets.describeSpan(Layout.transaction(log.id), "TransactionLog", bytes)
      yield* put(Layout.transaction(log.id), bytes)
    }),
    transactionLog: (id) => withZstd(TransactionLogs.read(store, id))
  }
})

/**
 * The same files for commits that go on from each other before they are written: the manifests of one are there for the
 * next.
 *
 * @category combinators
 * @since 0.1.0
 */
export const chained = /*#__PURE__*/ Effect.map(Zstd, (zstd) => (assets: WritableAssets): WritableAssets => {
  const encoded = new Map<ManifestId, EncodedManifest>()
  return {
    ...assets,
    encodeManifest: (id, payload) =>
      Effect.tap(assets.encodeManifest(id, payload), (manifest) => Effect.sync(() => encoded.set(id, manifest))),
    writeManifest: (manifest) =>
      Effect.tap(assets.writeManifest(manifest), () => Effect.sync(() => encoded.delete(manifest.id))),
    manifest: (id) => {
      const payload = encoded.get(id)?.payload
      return payload === undefined
        ? assets.manifest(id)
        : Effect.fromResult(Manifest.decode(Layout.manifest(id), payload, zstd.dictionary))
    }
  }
})
