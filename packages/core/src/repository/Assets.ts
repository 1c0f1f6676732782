/**
 * Snapshots and manifests: each is fetched once at a time and kept while there is room, and so is what was written.
 * They never change, so what is kept is always right.
 *
 * @since 0.1.0
 */
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Flexbuffer from "../encoding/Flexbuffer.ts"
import { FormatError } from "../encoding/FormatError.ts"
import * as IcechunkFile from "../format/IcechunkFile.ts"
import type { DecodeValue } from "../format/Metadata.ts"
import * as Manifest from "../format/manifest/Manifest.ts"
import * as Snapshot from "../format/Snapshot.ts"
import { Zstd } from "../encoding/Zstd.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../values/ObjectId.ts"
import * as Layout from "./Layout.ts"
import * as OnDemand from "./OnDemand.ts"

/**
 * A metadata file could not be had.
 *
 * @category errors
 * @since 0.1.0
 */
export type AssetError = ObjectStoreError | FormatError

/**
 * The immutable metadata files of a repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface Assets {
  readonly snapshot: (id: SnapshotId) => Effect.Effect<Snapshot.Snapshot, AssetError>
  readonly manifest: (id: ManifestId) => Effect.Effect<Manifest.Manifest, AssetError>
  /** A manifest that is there already. */
  readonly cachedManifest: (id: ManifestId) => Manifest.Manifest | undefined
  /** Keeps a snapshot that was just written. */
  readonly keep: (snapshot: Snapshot.Snapshot) => Effect.Effect<void>
  /** Keeps a manifest that was just written. */
  readonly keepManifest: (manifest: Manifest.Manifest) => Effect.Effect<void>
}

/** What the cached manifests may take, in bytes; the newest is kept whatever its size. */
const manifestBudget = 512 * 1024 * 1024

/** How many manifests are cached. */
const maxManifests = 4096

/** Evicts the manifests that were used longest ago when all together exceed the budget. */
class Budget {
  readonly #manifests = new Map<ManifestId, Manifest.Manifest>()
  #newest: ManifestId | undefined
  #total = 0

  /** Notes a use and returns the manifests to forget. */
  use(manifest: Manifest.Manifest): ReadonlyArray<ManifestId> {
    const { byteLength, id } = manifest
    this.#total += byteLength - (this.#manifests.get(id)?.byteLength ?? 0)
    this.#manifests.delete(id)
    this.#manifests.set(id, manifest)
    this.#newest = id
    const forgotten: Array<ManifestId> = []
    for (const [oldest, { byteLength }] of this.#manifests) {
      if ((this.#total <= manifestBudget && this.#manifests.size <= maxManifests) || oldest === id) break
      this.#manifests.delete(oldest)
      this.#total -= byteLength
      forgotten.push(oldest)
    }
    return forgotten
  }

  /** Notes a use of a manifest that is there. */
  get(id: ManifestId): Manifest.Manifest | undefined {
    const manifest = this.#manifests.get(id)
    if (manifest !== undefined && this.#newest !== id) {
      this.#manifests.delete(id)
      this.#manifests.set(id, manifest)
      this.#newest = id
    }
    return manifest
  }
}

/**
 * Fails unless a file is the one that it should be: one in the place of another of its kind would be read as other data,
 * or as fill values.
 *
 * @category predicates
 * @since 0.1.0
 */
export const ensureId = (file: string, wanted: string, found: string): Effect.Effect<void, FormatError> =>
  wanted === found
    ? Effect.void
    : Effect.fail(new FormatError({ file, field: "id", problem: `it is \`${found}\`: another file is in its place` }))

/**
 * Notes in the span of a file where it is, what it is, and its bytes as they are stored.
 *
 * @category tracing
 * @since 0.1.0
 */
export const describeSpan = (path: string, kind: string, { length }: Uint8Array): Effect.Effect<void> =>
  Effect.annotateCurrentSpan({ path, kind, bytes: length })

/**
 * Reads a file of Icechunk. It is not kept.
 *
 * @category reading
 * @since 0.1.0
 */
export const readFile = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  file: string,
  type: IcechunkFile.FileType
): Effect.fn.Return<IcechunkFile.IcechunkFile, AssetError, Zstd> {
  const { bytes } = yield* store.get(file, { maxBytes: IcechunkFile.maxFileBytes(type) })
  yield* describeSpan(file, type, bytes)
  return yield* IcechunkFile.decode(file, bytes, type)
})

const decodeValueOf = ({ specVersion }: IcechunkFile.Header): Effect.Effect<DecodeValue> =>
  specVersion === 1 ? OnDemand.decodeSpec1Value : Effect.succeed(Flexbuffer.decode)

/**
 * What a snapshot says of itself, without its nodes. It is not kept.
 *
 * @category reading
 * @since 0.1.0
 */
export const heading = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.fn.Return<Snapshot.Heading, AssetError, Zstd> {
  const file = Layout.snapshot(id)
  const { header, maxHeld, payload } = yield* readFile(store, file, "Snapshot")
  const decodeValue = yield* decodeValueOf(header)
  const found = yield* Effect.fromResult(Snapshot.decodeHeading(file, decodeValue, payload, { maxHeld }))
  yield* ensureId(file, id, found.id)
  return found
})

/**
 * The snapshot in a file, of either version of the specification.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeSnapshot = /*#__PURE__*/ Effect.fnUntraced(function* (
  file: string,
  { header, maxHeld, payload }: IcechunkFile.IcechunkFile
): Effect.fn.Return<Snapshot.Snapshot, FormatError> {
  const decodeValue = yield* decodeValueOf(header)
  return yield* Effect.fromResult(Snapshot.decode(file, decodeValue, payload, { maxHeld }))
})

/**
 * Reads a snapshot. It is not kept.
 *
 * @category reading
 * @since 0.1.0
 */
export const readSnapshot = /*#__PURE__*/ Effect.fn("Assets.snapshot")(function* (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.fn.Return<Snapshot.Snapshot, AssetError, Zstd> {
  const file = Layout.snapshot(id)
  const snapshot = yield* decodeSnapshot(file, yield* readFile(store, file, "Snapshot"))
  yield* ensureId(file, id, snapshot.id)
  return snapshot
})

/**
 * Reads a manifest. It is not kept.
 *
 * @category reading
 * @since 0.1.0
 */
export const readManifest = /*#__PURE__*/ Effect.fn("Assets.manifest")(function* (
  store: ObjectStoreShape,
  id: ManifestId
): Effect.fn.Return<Manifest.Manifest, AssetError, Zstd> {
  const file = Layout.manifest(id)
  const { maxHeld, payload } = yield* readFile(store, file, "Manifest")
  const { dictionary } = yield* Zstd
  const manifest = yield* Effect.fromResult(Manifest.decode(file, payload, dictionary, { maxHeld }))
  yield* ensureId(file, id, manifest.id)
  return manifest
})

/**
 * The files of the repository in `store`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape
): Effect.fn.Return<Assets, never, Zstd> {
  const withZstd = Effect.provideService(Zstd, yield* Zstd)

  // A failure is not kept: the next reader asks again.
  const timeToLive = (exit: Exit.Exit<unknown, unknown>): Duration.Duration =>
    Exit.isSuccess(exit) ? Duration.infinity : Duration.zero
  const snapshots = yield* Cache.makeWith((id: SnapshotId) => withZstd(readSnapshot(store, id)), {
    capacity: 16,
    timeToLive
  })
  const manifests = yield* Cache.makeWith((id: ManifestId) => withZstd(readManifest(store, id)), {
    capacity: maxManifests,
    timeToLive
  })
  const budget = new Budget()
  const noteUse = (manifest: Manifest.Manifest): Effect.Effect<void> =>
    Effect.suspend(() =>
      Effect.forEach(budget.use(manifest), (old) => Cache.invalidate(manifests, old), { discard: true })
    )

  const keep: Assets["keep"] = (snapshot) => Cache.set(snapshots, snapshot.id, snapshot)

  return {
    snapshot: (id) => Cache.get(snapshots, id),
    manifest: (id) => Effect.tap(Cache.get(manifests, id), noteUse),
    cachedManifest: (id) => budget.get(id),
    keep,
    keepManifest: (manifest) => Effect.andThen(Cache.set(manifests, manifest.id, manifest), noteUse(manifest))
  }
})
