/**
 * Creates repositories: what is written first, and how it is known who has made one.
 *
 * Creators only create: each of the files is put on the condition that there is none. So they cannot take anything
 * from each other, nor from a repository that came to be in the meantime, and whoever is stopped half-way leaves only
 * files that the next one may leave where they are. The write of `repo`, the last one, decides who has made the
 * repository. By then its configuration is there: in the repository object itself, which names the creator (see
 * `Origin`), and, unless another creator was there first, in `config.json`.
 *
 * Three rounds of requests: a listing, the files, and `repo`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FormatError } from "../encoding/FormatError.ts"
import * as Flexbuffer from "../encoding/Flexbuffer.ts"
import type { Zstd } from "../encoding/Zstd.ts"
import * as IcechunkFile from "../format/IcechunkFile.ts"
import * as RepoInfo from "../format/RepoInfo.ts"
import * as Snapshot from "../format/Snapshot.ts"
import * as TransactionLog from "../format/TransactionLog.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import { hasReason, isNotFound, type ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as Config from "../values/RepositoryConfig.ts"
import * as ConfigFile from "./config/ConfigFile.ts"
import * as IcechunkConfig from "./config/IcechunkConfig.ts"
import * as Publication from "./config/Publication.ts"
import * as Layout from "./Layout.ts"
import * as Opening from "./Opening.ts"
import * as RandomId from "./RandomId.ts"
import { OutcomeUnknown, RepositoryAlreadyExists } from "./RepositoryError.ts"
import * as Origin from "./versions/Origin.ts"
import * as RepoObject from "./versions/RepoObject.ts"

const id = ObjectId.initialSnapshotId

/** What is written before the repository object: the same names in every repository. */
const initialFiles: ReadonlySet<string> = new Set([Layout.snapshot(id), Layout.transaction(id), Layout.config])

/**
 * Why a repository cannot be created.
 *
 * @category errors
 * @since 0.1.0
 */
export type CreationError = RepositoryAlreadyExists | OutcomeUnknown | ObjectStore.WriteForbidden | ObjectStoreError

/** Fails unless there is nothing but what creators leave that were stopped half-way. */
const ensureEmpty = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape
): Effect.fn.Return<void, CreationError> {
  const alreadyExists = (found: string): RepositoryAlreadyExists =>
    new RepositoryAlreadyExists({ store: store.description, found })
  let hasConfig = false
  const [found] = yield* store.list("").pipe(
    Stream.filter(({ key }) => {
      hasConfig ||= key === Layout.config
      return !initialFiles.has(key)
    }),
    Stream.take(1),
    Stream.runCollect
  )
  if (found !== undefined) {
    if (yield* ObjectStore.exists(store, Layout.repo)) return yield* alreadyExists(Layout.repo)
    if (yield* Opening.hasSpec1(store)) return yield* alreadyExists(Layout.spec1Main)
    return yield* alreadyExists(found.key)
  }
  if (hasConfig) yield* creators(store)
})

/** The `config.json` that a creator wrote. Fails when it was written by hand: then it is somebody's. */
const creators = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape
): Effect.fn.Return<ConfigFile.Stored, RepositoryAlreadyExists | ObjectStoreError> {
  const stored = yield* ConfigFile.readCreators(store)
  return stored ?? (yield* new RepositoryAlreadyExists({ store: store.description, found: Layout.config }))
})

/** Puts a file of which there may be one already, from another creator: any serves. Tells whether it is this one. */
const putInitial = (
  store: ObjectStore.ObjectStoreShape,
  key: string,
  bytes: Uint8Array
): Effect.Effect<boolean, ObjectStoreError | ObjectStore.WriteForbidden> =>
  store.put(key, bytes, { mode: ObjectStore.create, contentType: "application/octet-stream" }).pipe(
    Effect.as(true),
    Effect.catchIf(hasReason("AlreadyExists"), () => Effect.succeed(false))
  )

/**
 * The repository object as it was written, and `config.json`, our own or the one that another creator left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Created {
  readonly repo: RepoObject.Versioned
  readonly config: ConfigFile.Stored
  /** The first snapshot, unless it is the file of another creator. */
  readonly snapshot: Snapshot.Snapshot | undefined
}

/**
 * Creates a repository with the configuration `persist`.
 *
 * Fails with `RepositoryAlreadyExists` when the store is not empty; of several creators one wins. What creators left
 * that were stopped half-way is no obstacle.
 *
 * @category writing
 * @since 0.1.0
 */
export const create = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  persist: Config.RepositoryConfig | undefined
): Effect.fn.Return<Created, CreationError, Zstd> {
  yield* ensureEmpty(store)
  const config = persist ?? {}
  const level = Config.compressionLevel(config)
  const now = (yield* Clock.currentTimeMillis) * 1000
  const origin: Origin.Origin = { id: yield* RandomId.writeId, persisted: JSON.stringify(config) }
  const message = "Repository initialized"
  const metadata = Origin.metadata(origin)
  const snapshot: Snapshot.Snapshot = {
    id,
    parentId: undefined,
    nodes: [],
    flushedAt: now,
    message,
    metadata,
    manifestFiles: [],
    extra: undefined
  }
  const bytes = yield* IcechunkFile.encode("Snapshot", Snapshot.encode(snapshot), { level })
  const log = yield* IcechunkFile.encode("TransactionLog", TransactionLog.encode(TransactionLog.empty(id)), { level })
  // Whatever is there is read now: once there is a repository, nothing more must be able to fail.
  const stored: Effect.Effect<ConfigFile.Stored, CreationError> =
    persist === undefined
      ? Effect.succeed(ConfigFile.nothing)
      : ConfigFile.create(store, config, origin).pipe(Effect.catchIf(hasReason("AlreadyExists"), () => creators(store)))
  const [written, isOurs] = yield* Effect.all(
    [stored, putInitial(store, Layout.snapshot(id), bytes), putInitial(store, Layout.transaction(id), log)],
    { concurrency: "unbounded" }
  )
  const published = Publication.publication([], IcechunkConfig.publishable(config), {})
  const info: RepoInfo.RepoInfo = {
    specVersion: 2,
    tags: new Map(),
    branches: new Map([["main", id]]),
    deletedTags: new Set(),
    snapshots: new Map([
      [id, { id, parentId: undefined, flushedAt: now, message, metadata, prunedAncestorTxLogs: [] }]
    ]),
    status: { availability: "Online", setAt: now, reason: undefined },
    metadata: {},
    latestUpdates: [{ update: { _tag: "RepoInitialized" }, updatedAt: now, backupPath: undefined }],
    repoBeforeUpdates: undefined,
    config: Object.keys(published).length === 0 ? undefined : Flexbuffer.encode(published),
    enabledFeatureFlags: undefined,
    disabledFeatureFlags: undefined,
    extra: undefined
  }
  const repo = yield* putRepo(store, info, level, origin)
  return { repo, config: written, snapshot: isOurs ? snapshot : undefined }
})

/** Puts the repository object where there is none. */
const putRepo = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  info: RepoInfo.RepoInfo,
  level: number,
  origin: Origin.Origin
): Effect.fn.Return<RepoObject.Versioned, CreationError, Zstd> {
  const bytes = yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(info), { level })
  return yield* store.put(Layout.repo, bytes, { mode: ObjectStore.create }).pipe(
    Effect.map((version): RepoObject.Versioned => ({ info, version })),
    Effect.tap((written) => Effect.sync(() => RepoObject.remember(store, written))),
    // The answer may be lost, and the client's own retry then meets what it has written itself. What tells is in the
    // object: not every store keeps metadata, and others may have built on it already.
    Effect.catchTag(
      "ObjectStoreError",
      Effect.fnUntraced(function* (error): Effect.fn.Return<RepoObject.Versioned, CreationError, Zstd> {
        if (!RepoObject.mayHaveHappened(error)) return yield* error
        const found = yield* RepoObject.patiently(RepoObject.read(store)).pipe(
          Effect.catchIf(isNotFound, () => Effect.fail(error)),
          Effect.mapError((cause: ObjectStoreError | FormatError) =>
            cause === error ? error : new OutcomeUnknown({ store: store.description, problem: cause.message, cause })
          )
        )
        return Origin.of(found.info)?.id === origin.id
          ? found
          : yield* new RepositoryAlreadyExists({ store: store.description, found: Layout.repo })
      })
    )
  )
})
