/**
 * A repository of spec version 1, to be read: loaded when there is one.
 *
 * It has no repository object, so that what others read in it is found in other files: a branch or tag by its name, the
 * configuration in `config.yaml`, and the history in the snapshots, which are read only for who asks for them. When
 * somebody migrates the repository while it is open, the repository object counts from then on.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { hasReason, isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { Json } from "../../values/Json.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import type * as ConfigState from "../config/ConfigState.ts"
import * as ConfigYaml from "../config/ConfigYaml.ts"
import * as Layout from "../Layout.ts"
import type { RefNotFound } from "./RepoChange.ts"
import type { Versioned } from "./RepoObject.ts"
import * as Spec1History from "./Spec1History.ts"
import * as Spec1Refs from "./Spec1Refs.ts"
import type * as Version from "./Version.ts"
import type * as Versions from "./Versions.ts"

/**
 * What whoever opens a repository has anyhow. It is passed: what two parts of a program both import is bundled apart from
 * both, and a page that loads only one of them is larger by it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parts {
  readonly readRepo: (store: ObjectStore.ObjectStoreShape) => Effect.Effect<Versioned, AssetError>
  readonly heading: Spec1History.Options["read"]
  readonly carried: typeof ConfigState.carried
  readonly find: typeof Version.find
  readonly inRepoObject: typeof Versions.inRepoObject
}

/**
 * A repository of spec version 1, as it is opened.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spec1 {
  /** A store that refuses to write. */
  readonly store: ObjectStore.ObjectStoreShape
  readonly versions: Versions.Versions
  /** What `config.yaml` said when this was read; in a repository object, what that says. */
  readonly carried: (info: RepoInfo) => Result.Result<Json, FormatError>
}

/**
 * The same store, which is not written.
 *
 * @category combinators
 * @since 0.1.0
 */
export const readOnly = (store: ObjectStore.ObjectStoreShape): ObjectStore.ObjectStoreShape => {
  const readOnlyBecause =
    "it is a repository of Icechunk spec version 1, which is only read. Migrate it to version 2 with `Migration.migrate`, then open it again."
  const refuse = () =>
    Effect.fail(new ObjectStore.WriteForbidden({ target: store.description, because: readOnlyBecause }))
  return { ...store, readOnlyBecause, put: refuse, delete: refuse, copy: refuse }
}

/**
 * What was read of `config.yaml`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigRead {
  readonly json: Json | undefined
  readonly version: ObjectStore.Version | undefined
}

/**
 * The configuration in `config.yaml`, `undefined` where there is none, with the version of the file. When it still is
 * what is `known`, it is not sent again.
 *
 * @category reading
 * @since 0.1.0
 */
export const readConfig = (
  store: ObjectStore.ObjectStoreShape,
  known?: ConfigRead
): Effect.Effect<ConfigRead, AssetError> =>
  store.get(Layout.spec1Config, { maxBytes: ConfigYaml.maxBytes, ifNoneMatch: known?.version?.etag }).pipe(
    Effect.flatMap(({ bytes, meta: { version } }) =>
      Effect.map(ConfigYaml.parse(bytes), (json): ConfigRead => ({ json: json ?? undefined, version }))
    ),
    Effect.catchIf(isNotFound, () => Effect.succeed<ConfigRead>({ json: undefined, version: undefined })),
    Effect.catchIf(hasReason("NotModified"), (error) =>
      known === undefined ? Effect.fail<AssetError>(error as ObjectStoreError) : Effect.succeed(known)
    )
  )

/** A repository object without anything in it. */
const nothing: RepoInfo = {
  specVersion: 1,
  tags: new Map(),
  branches: new Map(),
  deletedTags: new Set(),
  snapshots: new Map(),
  status: { availability: "Online", setAt: 0, reason: undefined },
  metadata: {},
  latestUpdates: [],
  repoBeforeUpdates: undefined,
  config: undefined,
  enabledFeatureFlags: undefined,
  disabledFeatureFlags: undefined,
  extra: undefined
}

/**
 * All branches, tags and snapshots, as a repository object of spec version 1 would have them. Without the configuration,
 * and without operations, of which spec version 1 keeps no log.
 */
const readAll = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  read: Parts["heading"]
): Effect.fn.Return<RepoInfo, AssetError> {
  const refs = yield* Spec1Refs.all(store)
  const snapshots = yield* Spec1History.reachable(store, Spec1Refs.tips(refs), { read })
  return {
    ...nothing,
    branches: Spec1Refs.ids(refs.branches),
    tags: Spec1Refs.ids(refs.tags),
    deletedTags: new Set(refs.deletedTags.keys()),
    snapshots
  }
})

/**
 * Opens the repository of spec version 1 in a store, which is there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function* (
  written: ObjectStore.ObjectStoreShape,
  { carried, find, heading, inRepoObject, readRepo }: Parts
): Effect.fn.Return<{ readonly repo: Versioned; readonly spec1: Spec1 }, AssetError> {
  const store = readOnly(written)
  const configs = new WeakMap<RepoInfo, Json>()
  let known: ConfigRead | undefined

  const findInFiles = Effect.fnUntraced(function* (
    version: Version.VersionRef
  ): Effect.fn.Return<SnapshotId, RefNotFound | Version.NoSnapshotAsOf | AssetError> {
    const id = yield* Spec1Refs.find(store, version)
    if (!("branch" in version) || version.asOf === undefined) return id
    const { branch } = version
    const asOf = version.asOf.epochMilliseconds * 1000 + 999
    const snapshots = yield* Spec1History.reachable(store, [id], {
      read: heading,
      until: ({ flushedAt }) => flushedAt <= asOf
    })
    return yield* Effect.fromResult(find({ ...nothing, branches: new Map([[branch, id]]), snapshots }, version))
  })

  const unmigrated: Effect.Effect<Versioned, AssetError> = Effect.map(readConfig(store, known), (read) => {
    known = read
    const info = { ...nothing }
    configs.set(info, read.json ?? {})
    return { info, version: { etag: undefined } }
  })
  const migrated: Effect.Effect<Versioned | undefined, AssetError> = Effect.catchIf(readRepo(store), isNotFound, () =>
    Effect.succeed(undefined)
  )
  /** The repository object when there is one by now, else the configuration. */
  const current = Effect.map(
    Effect.all([migrated, Effect.result(Effect.suspend(() => unmigrated))], { concurrency: 2 }),
    ([repo, config]) => (repo === undefined ? config : Result.succeed(repo))
  ).pipe(Effect.flatMap(Effect.fromResult))
  /**
   * What there is of it in the repository object when there is one by now, else in other files. Those may be deleted while
   * they are read, so that it is asked again afterwards, unless what was found proves that they were there.
   */
  const whichever = Effect.fnUntraced(function* <A, E>(
    inRepoObject: Effect.Effect<A, E>,
    inFiles: Effect.Effect<A, E>,
    isProof: (found: Result.Result<A, E>) => boolean = () => false
  ): Effect.fn.Return<A, E | AssetError> {
    if ((yield* migrated) !== undefined) return yield* inRepoObject
    const found = yield* Effect.result(inFiles)
    if (!isProof(found) && (yield* migrated) !== undefined) return yield* inRepoObject
    return yield* Effect.fromResult(found)
  })

  const later = inRepoObject(readRepo(store))
  const versions: Versions.Versions = {
    all: whichever(
      later.all,
      Effect.map(readAll(store, heading), (info) => ({ info, version: { etag: undefined } }))
    ),
    search: (version: Version.VersionRef) => {
      let found: Result.Result<SnapshotId, RefNotFound | Version.NoSnapshotAsOf | AssetError> | undefined
      return {
        info: Effect.map(
          Effect.all([current, Effect.result(findInFiles(version))], { concurrency: 2 }),
          ([repo, result]) => {
            found = result
            return repo
          }
        ),
        find: Effect.fnUntraced(function* (info) {
          const isFound = info.specVersion !== 1 || found === undefined || Result.isSuccess(found)
          const repo = isFound ? undefined : yield* migrated
          if (repo !== undefined) return yield* Effect.fromResult(find(repo.info, version))
          return yield* Effect.fromResult(info.specVersion !== 1 || found === undefined ? find(info, version) : found)
        })
      }
    },
    branches: whichever(
      later.branches,
      Effect.map(
        Effect.suspend(() => Spec1Refs.branches(store)),
        Spec1Refs.ids
      )
    ),
    tags: whichever(
      later.tags,
      Effect.map(
        Effect.suspend(() => Spec1Refs.tags(store)),
        Spec1Refs.ids
      )
    ),
    history: (version) =>
      whichever(
        later.history(version),
        Effect.flatMap(findInFiles(version), (id) => Spec1History.ancestry(store, id, { read: heading })),
        Result.isSuccess
      )
  }
  return {
    repo: yield* unmigrated,
    spec1: {
      store,
      versions,
      carried: (info) => {
        const config = configs.get(info)
        return config === undefined ? carried(info) : Result.succeed(config)
      }
    }
  }
})
