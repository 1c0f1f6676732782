/**
 * What there is of an open repository before anything is written: its files, its configuration, its containers, and the
 * sessions that read it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as RepoInfo from "../format/RepoInfo.ts"
import type * as Snapshot from "../format/Snapshot.ts"
import { Zstd } from "../encoding/Zstd.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../store/ObjectStoreError.ts"
import { type Limits, RequestGate } from "../store/RequestGate.ts"
import * as RequestMetrics from "../store/RequestMetrics.ts"
import type * as ObjectId from "../values/ObjectId.ts"
import * as EffectiveConfig from "../values/EffectiveConfig.ts"
import type * as Config from "../values/RepositoryConfig.ts"
import type { ChunkResolver } from "../virtual/ChunkResolver.ts"
import type { ContainerStores } from "../virtual/ContainerStores.ts"
import { ObjectReads } from "../virtual/ObjectReads.ts"
import type * as CredentialsPolicy from "../virtual/CredentialsPolicy.ts"
import { Platforms } from "../virtual/Platform.ts"
import type { VirtualReadError } from "../virtual/VirtualReadError.ts"
import * as Assets from "./Assets.ts"
import { CachedReads, ChunkCache } from "./ChunkCache.ts"
import * as StoredConfig from "./config/StoredConfig.ts"
import * as ConfigState from "./config/ConfigState.ts"
import type { VirtualAccess } from "./ChunkReads.ts"
import * as Internals from "./Internals.ts"
import * as Layout from "./Layout.ts"
import { NativeChunks } from "./NativeChunks.ts"
import * as OnDemand from "./OnDemand.ts"
import type { OpenError, OpenOptions, ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"
import { RepositoryNotFound, UnsupportedSpecVersion } from "./RepositoryError.ts"
import * as Session from "./Session.ts"
import * as SnapshotView from "./SnapshotView.ts"
import * as RepoObject from "./versions/RepoObject.ts"
import type { Spec1 } from "./versions/Spec1.ts"
import * as Version from "./versions/Version.ts"
import * as Versions from "./versions/Versions.ts"
import type * as Virtual from "./Virtual.ts"

export { parseSnapshotId } from "./versions/Version.ts"

/**
 * The run-time override, checked.
 *
 * @category decoding
 * @since 0.1.0
 */
export const checkOverride = ({ config }: OpenOptions): Effect.Effect<Config.RepositoryConfig, Config.InvalidConfig> =>
  config === undefined
    ? Effect.succeed({})
    : Effect.flatMap(OnDemand.configs, ({ ConfigJson }) =>
        Effect.fromResult(ConfigJson.fromInput("run-time override", config))
      )

/**
 * The repository object and `config.json`, whose problems come after those of the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadTogether {
  readonly repo: RepoObject.Versioned
  /** `undefined`: still to be read. */
  readonly config: Result.Result<StoredConfig.Stored, ObjectStoreError | Config.InvalidConfig> | undefined
  /** The snapshot that was written with them. */
  readonly snapshot?: Snapshot.Snapshot | undefined
  /** What is used in place of the repository object, when the repository is of spec version 1. */
  readonly spec1?: Spec1 | undefined
}

/**
 * Whether there is a repository of spec version 1, which has no repository object. Lists nothing.
 *
 * @category reading
 * @since 0.1.0
 */
export const hasSpec1 = (store: ObjectStore.ObjectStoreShape): Effect.Effect<boolean, ObjectStoreError> =>
  ObjectStore.exists(store, Layout.spec1Main)

/**
 * Reads both at once; fails with `RepositoryNotFound` where there is no repository object.
 *
 * @category reading
 * @since 0.1.0
 */
export const readExisting: Effect.Effect<
  ReadTogether,
  RepositoryNotFound | Assets.AssetError,
  ObjectStore.ObjectStore | Zstd
> = /*#__PURE__*/ Effect.flatMap(ObjectStore.ObjectStore, (uncounted) => {
  const store = RequestMetrics.counted(uncounted)
  return Effect.all(
    {
      repo: Effect.catchIf(RepoObject.read(store), isNotFound, () =>
        Effect.fail(new RepositoryNotFound({ store: store.description }))
      ),
      config: Effect.result(StoredConfig.readStored(store))
    },
    { concurrency: 2 }
  )
})

/**
 * As `readExisting`, and also where there is a repository of spec version 1.
 *
 * @category reading
 * @since 0.1.0
 */
export const read: Effect.Effect<ReadTogether, RepositoryNotFound | Assets.AssetError, ObjectStore.ObjectStore | Zstd> =
  /*#__PURE__*/ Effect.catchTag(
    readExisting,
    "RepositoryNotFound",
    /*#__PURE__*/ Effect.fnUntraced(function* () {
      const store = RequestMetrics.counted(yield* ObjectStore.ObjectStore)
      // It may have been migrated just now.
      if (!(yield* hasSpec1(store))) return yield* readExisting
      const zstd = yield* Zstd
      const withZstd = Effect.provideService(Zstd, zstd)
      const opened = yield* OnDemand.openSpec1(store, {
        readRepo: (store) => withZstd(RepoObject.read(store)),
        heading: (store, id) => withZstd(Assets.heading(store, id)),
        carried: ConfigState.carried,
        find: Version.find,
        inRepoObject: Versions.inRepoObject
      })
      return { ...opened, config: undefined }
    })
  )

const saysOfContainers = ({ credentials, withoutContainers }: OpenOptions): boolean =>
  Object.keys(credentials ?? {}).length > 0 || (withoutContainers ?? []).length > 0

const hasContainers = ({ virtual_chunk_containers }: Config.RepositoryConfig): boolean =>
  (virtual_chunk_containers ?? []).length > 0

const defaultBytesInFlight = 64 * 1024 * 1024

/**
 * An open repository, with what is needed to write to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened {
  readonly store: ObjectStore.ObjectStoreShape
  /** Provides zstd, as it was when the repository was opened. */
  readonly withZstd: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Zstd>>
  readonly assets: Assets.Assets
  readonly config: ConfigState.ConfigState
  /** The repository object as it is now; of spec version 1, one that is made of all its refs and snapshots. */
  readonly readRepo: Effect.Effect<RepoObject.Versioned, Assets.AssetError>
  /**
   * The newest snapshot that `find` finds, and what is read with it. The one that is known is fetched while it is asked
   * whether it still is the newest. `read` reads what `find` needs (default: all).
   */
  readonly newest: <E>(
    find: (info: RepoInfo.RepoInfo) => Effect.Effect<ObjectId.SnapshotId, E>,
    read?: Effect.Effect<RepoObject.Versioned, Assets.AssetError>
  ) => Effect.Effect<
    { readonly context: Session.SessionContext; readonly snapshot: Snapshot.Snapshot },
    E | Config.InvalidConfig | Assets.AssetError
  >
  /** What a program that reads gets. */
  readonly shape: ReadonlyRepositoryShape
}

/** What is between a ref in a container and its bytes, and the stores that are open. */
interface VirtualParts {
  readonly modules: typeof Virtual
  readonly stores: ContainerStores
}

/**
 * A repository whose files were just read or written. `virtual` loads what virtual chunks need: when one is read, when
 * containers are asked for, and when the options say something of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect: (
  options: OpenOptions,
  known: ReadTogether,
  virtual: Effect.Effect<typeof Virtual>
) => Effect.Effect<Opened, OpenError, ObjectStore.ObjectStore | Platforms | Zstd | Scope.Scope> =
  /*#__PURE__*/ Effect.fnUntraced(function* (options, known, virtual) {
    const { spec1 } = known
    const store = spec1?.store ?? RequestMetrics.counted(yield* ObjectStore.ObjectStore)
    const platforms = yield* Platforms
    const zstd = yield* Zstd
    const withZstd = Effect.provideService(Zstd, zstd)
    const versions = spec1?.versions ?? Versions.inRepoObject(withZstd(RepoObject.read(store)))
    const readRepo = versions.all
    const { info } = known.repo
    if (spec1 === undefined && info.specVersion !== 2) {
      return yield* new UnsupportedSpecVersion({ store: store.description, version: info.specVersion })
    }
    const override = yield* checkOverride(options)
    const stored =
      known.config === undefined ? yield* StoredConfig.readStored(store) : yield* Effect.fromResult(known.config)
    const config = yield* ConfigState.make(store, { info, stored }, override, spec1?.carried)
    const policy: CredentialsPolicy.CredentialsPolicy = {
      byContainer: options.credentials ?? {},
      fallback: options.credentialsFallback ?? "same-endpoint",
      repository: store.origin
    }
    const scope = yield* Effect.scope
    let parts: VirtualParts | undefined
    const virtualParts = yield* Effect.cached(
      Effect.gen(function* () {
        const modules = yield* virtual
        const { idleTimeToLive } = options
        const stores = yield* Scope.provide(modules.ContainerStores.make({ platforms, policy, idleTimeToLive }), scope)
        return (parts = { modules, stores })
      })
    )
    if (saysOfContainers(options)) {
      const { modules } = yield* virtualParts
      yield* modules.ContainerAccess.checkNames(options, config.persisted())
    } else if ([config.persisted(), config.override].some(hasContainers)) {
      // It will be needed, and comes while the session is opened.
      yield* Effect.forkIn(virtualParts, scope)
    }
    const assets = yield* Assets.make(store)
    if (known.snapshot !== undefined) yield* assets.keep(known.snapshot)

    /** The containers as they are now. */
    const containers = () => ({
      persisted: config.persisted().virtual_chunk_containers ?? [],
      overrides: config.override.virtual_chunk_containers ?? [],
      without: options.withoutContainers
    })
    const containerSet = Effect.map(virtualParts, ({ modules }) => modules.ContainerMatch.make(containers()))
    const limits = (): Limits => ({
      requests: EffectiveConfig.maxConcurrentRequests(config.current()),
      bytes: options.maxBytesInFlight ?? defaultBytesInFlight
    })
    const gate = new RequestGate(limits())
    const reads = new ObjectReads(scope, gate, options.rangePlan)
    const native = new NativeChunks(store, reads)
    const cache = yield* ChunkCache
    const cached = cache === undefined ? undefined : new CachedReads<VirtualReadError>(cache, scope)
    const virtualAccess = (): VirtualAccess => {
      const asNow = containers()
      let made: ChunkResolver | undefined
      const of = ({ modules, stores }: VirtualParts): ChunkResolver =>
        (made ??= modules.ChunkResolver.make({ containers: modules.ContainerMatch.make(asNow), stores, reads }))
      return {
        get known() {
          return made ?? (parts === undefined ? undefined : of(parts))
        },
        resolver: Effect.map(virtualParts, of)
      }
    }
    const sessionContext = (): Session.SessionContext => {
      gate.limits = limits()
      return {
        store,
        native,
        cached,
        assets,
        checks: options.checks ?? "fail",
        virtual: virtualAccess()
      }
    }

    let preloaded: ObjectId.SnapshotId | undefined
    /** Begins to read what sessions on a snapshot are likely to ask for. Nobody waits for it, and it never fails. */
    const preload = (snapshot: Snapshot.Snapshot): Effect.Effect<void> => {
      const current = config.current()
      const settings = current.manifest?.preload
      const isWanted = settings?.max_total_refs !== 0 && settings?.preload_if !== "false"
      // What is in a local store is there when it is asked for.
      if (store.isLocal === true || !isWanted || preloaded === snapshot.id) return Effect.void
      preloaded = snapshot.id
      return Effect.asVoid(Effect.forkIn(OnDemand.preload(assets, snapshot, current), scope))
    }

    const newest: Opened["newest"] = Effect.fnUntraced(function* <E>(
      find: (info: RepoInfo.RepoInfo) => Effect.Effect<ObjectId.SnapshotId, E>,
      read = readRepo
    ) {
      const known = RepoObject.known(store)
      const guess = known === undefined ? Option.none() : yield* Effect.option(find(known.info))
      const early = Option.isNone(guess) ? undefined : yield* Effect.forkScoped(assets.snapshot(guess.value))
      const { info } = yield* config.beside(read)
      const id = yield* find(info)
      const context = sessionContext()
      const isGuessed = early !== undefined && Option.contains(guess, id)
      const snapshot = yield* isGuessed ? Fiber.join(early) : assets.snapshot(id)
      yield* preload(snapshot)
      return { context, snapshot }
    }, Effect.scoped)

    const opened: Opened = {
      store,
      withZstd,
      assets,
      config,
      readRepo,
      newest,
      shape: {
        description: store.description,
        config: config.view,
        containers: Effect.map(containerSet, ({ inOrder }) => inOrder),
        containerAccess: Effect.map(Effect.all([virtualParts, containerSet]), ([{ modules }, set]) =>
          modules.ContainerAccess.access(set, policy, platforms)
        ),
        wholeHistory: OnDemand.historyDependencies(
          sessionContext(),
          Effect.tap(readRepo, ({ info }) => Effect.fromResult(Version.ensureReadable(store.description, info)))
        ),
        readonlySession: Effect.fn("Repository.readonlySession")(function* (version) {
          const { find, info } = versions.search(version)
          const { context, snapshot } = yield* newest(
            (now) =>
              Effect.andThen(
                Effect.fromResult(Version.ensureReadable(store.description, now)),
                Effect.suspend(() => find(now))
              ),
            info
          )
          const view = SnapshotView.unchanged(snapshot)
          const branch = "branch" in version && version.asOf === undefined ? version.branch : undefined
          return Session.make(context, branch, () => view)
        }),
        branches: versions.branches,
        tags: versions.tags,
        history: versions.history
      }
    }
    Internals.rememberReading(opened.shape, opened)
    return opened
  })
