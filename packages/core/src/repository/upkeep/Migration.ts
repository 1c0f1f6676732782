/**
 * Migrates repositories of Icechunk spec version 1 to version 2.
 *
 * Snapshots, manifests and chunks stay as they are: version 2 reads them. What is written is one file, the repository
 * object, with all that the branches and tags lead to; until it is there the repository is one of version 1, from then on
 * one of version 2. Then the files of the branches and tags are deleted, so that older clients cannot go on with them.
 *
 * Source: Icechunk spec 2, "Repo Info File", and what the official engine does.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Zstd } from "../../encoding/Zstd.ts"
import * as IcechunkFile from "../../format/IcechunkFile.ts"
import * as RepoInfo from "../../format/RepoInfo.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isConflict, isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as RequestMetrics from "../../store/RequestMetrics.ts"
import * as ByteRange from "../../values/ByteRange.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as Assets from "../Assets.ts"
import * as IcechunkConfig from "../config/IcechunkConfig.ts"
import * as Layout from "../Layout.ts"
import {
  NothingToMigrate,
  OutcomeUnknown,
  RepositoryBusy,
  RepositoryNotFound,
  UnsupportedSpecVersion
} from "../RepositoryError.ts"
import type { Changed } from "../versions/RepoChange.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as Spec1 from "../versions/Spec1.ts"
import * as Spec1History from "../versions/Spec1History.ts"
import * as Spec1Refs from "../versions/Spec1Refs.ts"
import * as MigrationPlan from "./MigrationPlan.ts"

export { MigrationDiverged, type MigrationPlan } from "./MigrationPlan.ts"

/**
 * How a repository is migrated.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Only tell what would be done (default `false`). */
  readonly dryRun?: boolean | undefined
  /**
   * What becomes of the branches, tags and `config.yaml` of version 1 (default `delete`, as the official engine does). As
   * long as they are there, older clients read and write them, and nobody who opens version 2 sees what they write.
   */
  readonly oldFiles?: "delete" | "keep" | undefined
  /** Called with the number of snapshots that have been found so far. */
  readonly onProgress?: ((snapshots: number) => Effect.Effect<void>) | undefined
}

/**
 * What was done, or would be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Migrated {
  /** What is in the repository object; `undefined` when a run before this one has written it. */
  readonly plan: MigrationPlan.MigrationPlan | undefined
  /** What older clients did during the migration, or after the run before this one, and was taken over. */
  readonly takenOver: ReadonlyArray<RepoInfo.Update>
  /** The files of version 1 that are deleted, in this order. */
  readonly deleted: ReadonlyArray<string>
}

/**
 * Why a repository could not be migrated.
 *
 * @category errors
 * @since 0.1.0
 */
export type MigrationError =
  | RepositoryNotFound
  | NothingToMigrate
  | UnsupportedSpecVersion
  | MigrationPlan.MigrationDiverged
  | Config.InvalidConfig
  | RepoObject.UpdateError

const isSealed = ({ snapshotId }: Spec1Refs.Target): boolean => snapshotId === Spec1Refs.sealId

/** How often is begun again when others write in the meantime. */
const attempts = 10

/** The repository object, if there is one. Fails with `UnsupportedSpecVersion` when it is of a later version. */
const readRepo = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape
): Effect.fn.Return<RepoObject.Versioned | undefined, Assets.AssetError | UnsupportedSpecVersion, Zstd> {
  const unsupported = (version: number) => new UnsupportedSpecVersion({ store: store.description, version })
  const found = yield* RepoObject.read(store).pipe(
    Effect.catchIf(isNotFound, () => Effect.succeed(undefined)),
    Effect.catchIf(
      (error) => error._tag === "FormatError" && error.field === "header.spec_version",
      Effect.fnUntraced(function* (error) {
        const { bytes } = yield* store.get(Layout.repo, { range: ByteRange.bounded(0, IcechunkFile.headerSize) })
        const version = IcechunkFile.specVersionOf(bytes)
        return yield* version > 2 ? unsupported(version) : Effect.fail(error)
      })
    )
  )
  if (found !== undefined && found.info.specVersion !== 2) return yield* unsupported(found.info.specVersion)
  return found
})

const sameTargets = (a: ReadonlyMap<string, Spec1Refs.Target>, b: ReadonlyMap<string, Spec1Refs.Target>): boolean =>
  a.size === b.size && Array.from(a).every(([name, { snapshotId }]) => b.get(name)?.snapshotId === snapshotId)

/** Whether branches and tags are where they were. */
const same = (a: Spec1Refs.Refs, b: Spec1Refs.Refs): boolean =>
  sameTargets(a.branches, b.branches) &&
  sameTargets(a.tags, b.tags) &&
  a.deletedTags.size === b.deletedTags.size &&
  Array.from(a.deletedTags.keys()).every((name) => b.deletedTags.has(name))

const heading: Effect.Effect<Spec1History.Options["read"], never, Zstd> = Effect.map(
  Effect.service(Zstd),
  (zstd) => (store, id) => Effect.provideService(Assets.heading(store, id), Zstd, zstd)
)

/** What is there, read until nobody changed anything while it was. */
const findPlan = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  onFound: Options["onProgress"]
): Effect.fn.Return<
  { readonly plan: MigrationPlan.MigrationPlan; readonly refs: Spec1Refs.Refs },
  Assets.AssetError | Config.InvalidConfig | RepositoryBusy | RepositoryNotFound,
  Zstd
> {
  let refs = yield* Spec1Refs.all(store)
  let known: MigrationPlan.MigrationPlan["snapshots"] = new Map()
  for (let attempt = 1; attempt <= attempts; attempt++) {
    // Somebody else is migrating.
    if (Array.from(refs.branches.values()).some(isSealed)) break
    if (!refs.branches.has("main")) return yield* new RepositoryNotFound({ store: store.description })
    known = yield* Spec1History.reachable(store, Spec1Refs.tips(refs), { read: yield* heading, known, onFound })
    const { json } = yield* Spec1.readConfig(store)
    const config = yield* Effect.fromResult(
      IcechunkConfig.toConfig(`${store.description}/${Layout.spec1Config}`, json ?? {})
    )
    const now = (yield* Clock.currentTimeMillis) * 1000
    const again = yield* Spec1Refs.all(store)
    if (same(refs, again)) {
      const found = { refs, snapshots: known, config: json, updatesPerObject: Config.updatesPerRepoObject(config) }
      return { plan: MigrationPlan.make(found, now), refs }
    }
    refs = again
  }
  return yield* new RepositoryBusy({ store: store.description, attempts })
})

/** Puts the repository object where there is none. That of somebody else who migrates at the same time serves as well. */
const putRepo = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  plan: MigrationPlan.MigrationPlan
): Effect.fn.Return<void, Assets.AssetError | ObjectStore.WriteForbidden | OutcomeUnknown, Zstd> {
  const bytes = yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(MigrationPlan.toRepoInfo(plan)), { level: 1 })
  yield* store.put(Layout.repo, bytes, { mode: ObjectStore.create }).pipe(
    Effect.catchTag("ObjectStoreError", (error) => {
      if (!RepoObject.mayHaveHappened(error)) return Effect.fail(error)
      return RepoObject.patiently(ObjectStore.exists(store, Layout.repo)).pipe(
        Effect.mapError((cause) => new OutcomeUnknown({ store: store.description, problem: cause.message, cause })),
        Effect.flatMap((isThere) => (isThere ? Effect.void : Effect.fail(error)))
      )
    })
  )
})

/** Takes over, one by one, what the files of version 1 say and the repository object does not. */
const catchUp = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  planned: MigrationPlan.MigrationPlan | undefined
): Effect.fn.Return<
  { readonly refs: Spec1Refs.Refs; readonly takenOver: ReadonlyArray<RepoInfo.Update> },
  RepoObject.UpdateError | MigrationPlan.MigrationDiverged,
  Zstd
> {
  const refs = yield* Spec1Refs.all(store)
  const { info } = yield* RepoObject.read(store)
  const later = yield* Spec1History.reachable(store, MigrationPlan.unknownTips(info, refs), {
    read: yield* heading,
    known: planned?.snapshots
  })
  const config = planned === undefined ? undefined : (yield* Spec1.readConfig(store)).json
  const found: MigrationPlan.Found = { store: store.description, refs, later, config, planned }
  const takenOver: Array<RepoInfo.Update> = []
  let next = yield* Effect.fromResult(MigrationPlan.catchUp(info, found))
  while (next !== undefined) {
    next = undefined
    const change = (now: RepoInfo.RepoInfo) =>
      Effect.map(Effect.fromResult(MigrationPlan.catchUp(now, found)), (changed) => (next = changed))
    yield* RepoObject.update(store, change, { updatesPerObject: Config.updatesPerRepoObject(Config.defaults) })
    if (next !== undefined) takenOver.push((next as Changed).update)
  }
  return { refs, takenOver }
})

const seal = new TextEncoder().encode(JSON.stringify({ snapshot: Spec1Refs.sealId }))

/**
 * Makes the branches unusable for older clients, on the condition that each is where it was. Tells whether all of them are
 * by now; else somebody has moved one.
 */
const sealBranches = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  branches: Spec1Refs.Refs["branches"]
): Effect.fn.Return<boolean, ObjectStoreError | ObjectStore.WriteForbidden> {
  // `main` first: without it older clients do not open the repository.
  const open = Array.from(branches).filter(([, target]) => !isSealed(target))
  for (const [name, { version }] of open.toSorted(([a], [b]) => Number(b === "main") - Number(a === "main"))) {
    const isDone = yield* store
      .put(Layout.spec1Branch(name), seal, { mode: ObjectStore.update(version), contentType: "application/json" })
      .pipe(
        Effect.as(true),
        // Whether it was this write, an earlier one of it, or somebody's commit is seen when the branches are read again.
        Effect.catchIf(
          (error) => isConflict(error) || isNotFound(error),
          () => Effect.succeed(false)
        )
      )
    if (!isDone) return false
  }
  return true
})

/** The files of version 1, in the order in which they are deleted. */
const filesOf = ({ branches, deletedTags, tags }: Spec1Refs.Refs, hasConfig: boolean): ReadonlyArray<string> => [
  ...(branches.has("main") ? [Layout.spec1Main] : []),
  ...Array.from(branches.keys())
    .filter((name) => name !== "main")
    .map(Layout.spec1Branch),
  ...Array.from(tags.keys(), Layout.spec1Tag),
  // A tag without its tombstone would be one again.
  ...Array.from(deletedTags.keys(), Layout.spec1Tag),
  ...Array.from(deletedTags.keys(), Layout.spec1Tombstone),
  ...(hasConfig ? [Layout.spec1Config] : [])
]

/** Deletes them, where they say nothing that the repository object does not. */
const deleteOld = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  planned: MigrationPlan.MigrationPlan | undefined
): Effect.fn.Return<
  Pick<Migrated, "deleted" | "takenOver">,
  RepoObject.UpdateError | MigrationPlan.MigrationDiverged,
  Zstd
> {
  const takenOver: Array<RepoInfo.Update> = []
  const deleted = new Set<string>()
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const before = yield* catchUp(store, planned)
    takenOver.push(...before.takenOver)
    if (!(yield* sealBranches(store, before.refs.branches))) continue
    // From now on only branches and tags that are new, and deletions, can have been missed.
    const sealed = yield* catchUp(store, planned)
    takenOver.push(...sealed.takenOver)
    if (!Array.from(sealed.refs.branches.values()).every(isSealed)) continue
    const files = filesOf(sealed.refs, yield* ObjectStore.exists(store, Layout.spec1Config))
    yield* deleteInTurn(store, files)
    for (const file of files) deleted.add(file)
    // What was missed is still there.
    if (filesOf(yield* Spec1Refs.all(store), false).length === 0) return { deleted: [...deleted], takenOver }
  }
  return yield* new RepositoryBusy({ store: store.description, attempts })
})

/** Deletes `main` first, tombstones after their tags, and `config.yaml` last. */
const deleteInTurn = (
  store: ObjectStore.ObjectStoreShape,
  files: ReadonlyArray<string>
): Effect.Effect<void, ObjectStoreError | ObjectStore.WriteForbidden> => {
  const turn = (file: string): number =>
    file === Layout.spec1Main ? 0 : file === Layout.spec1Config ? 3 : file.endsWith(".deleted") ? 2 : 1
  return Effect.forEach(
    [0, 1, 2, 3].map((n) => files.filter((file) => turn(file) === n)),
    (keys) => (keys.length === 0 ? Effect.void : store.delete(keys)),
    { discard: true }
  )
}

/** What a run before this one has left to be done. */
const leftOf = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  { info }: RepoObject.Versioned
): Effect.fn.Return<ReadonlyArray<string>, Assets.AssetError> {
  const refs = yield* Spec1Refs.all(store)
  const files = filesOf(refs, yield* ObjectStore.exists(store, Layout.spec1Config))
  // In a repository that never was of version 1 a file of this name is somebody's.
  const wasMigrated = info.latestUpdates.some(({ update }) => update._tag === "RepoMigrated")
  return wasMigrated || files.some((key) => key !== Layout.spec1Config) ? files : []
})

/**
 * Migrates the repository of spec version 1 in the store of the context to version 2, as a whole or not at all.
 *
 * Wherever a run ends, the repository can be read: as one of version 1 until the repository object is written, then as
 * one of version 2. Running it again finishes what is left. Branches that somebody moves in the meantime make it begin again,
 * or are taken over: no commit of an older client is lost. Once `main` is gone such a client cannot open the repository
 * any more; one that still has it open can make branches and tags, which another run takes over. With `oldFiles: "keep"`
 * older clients may go on with everything.
 *
 * Nothing else must expire or collect snapshots at the same time.
 *
 * Fails with `RepositoryNotFound` when the store is empty, with `NothingToMigrate` when the repository has been migrated,
 * with `UnsupportedSpecVersion` when its version is later than 2, with `WriteForbidden` when the store is read-only, with
 * `RepositoryBusy` when others move branches all the time, and with `FormatError` or `InvalidConfig` when a file is damaged: then nothing was
 * written. Fails with `MigrationDiverged` when a branch was moved in both versions.
 *
 * @category writing
 * @since 0.1.0
 */
export const migrate: (options?: Options) => Effect.Effect<Migrated, MigrationError, ObjectStore.ObjectStore | Zstd> =
  Effect.fn("Migration.migrate")(function* (options = {}) {
    const store = RequestMetrics.counted(yield* ObjectStore.ObjectStore)
    const deletes = options.oldFiles !== "keep"
    if (options.dryRun !== true) yield* ObjectStore.ensureWritable(store)
    const migrated = yield* readRepo(store)
    if (migrated !== undefined) {
      const left = yield* leftOf(store, migrated)
      if (left.length === 0 || !deletes) return yield* new NothingToMigrate({ store: store.description })
      if (options.dryRun === true) return { plan: undefined, takenOver: [], deleted: left }
      return { plan: undefined, ...(yield* deleteOld(store, undefined)) }
    }
    if (!(yield* ObjectStore.exists(store, Layout.spec1Main))) {
      return yield* new RepositoryNotFound({ store: store.description })
    }
    const { plan, refs } = yield* findPlan(store, options.onProgress)
    if (options.dryRun === true) {
      const deleted = deletes ? filesOf(refs, plan.config !== undefined) : []
      return { plan, takenOver: [], deleted }
    }
    yield* putRepo(store, plan)
    if (deletes) return { plan, ...(yield* deleteOld(store, plan)) }
    const { takenOver } = yield* catchUp(store, plan)
    return { plan, takenOver, deleted: [] }
  })
