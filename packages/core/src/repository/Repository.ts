/**
 * Creates and opens repositories. The store comes from the context, as a Layer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { FormatError } from "../encoding/FormatError.ts"
import type * as RepoInfo from "../format/RepoInfo.ts"
import * as SnapshotTable from "../format/SnapshotTable.ts"
import type * as Snapshot from "../format/Snapshot.ts"
import { Zstd } from "../encoding/Zstd.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../store/ObjectStoreError.ts"
import type * as RangePlan from "../store/RangePlan.ts"
import * as RequestMetrics from "../store/RequestMetrics.ts"
import { type Limits, RequestGate } from "../store/RequestGate.ts"
import type * as Credentials from "../values/Credentials.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as Config from "../values/RepositoryConfig.ts"
import * as ChunkResolver from "../virtual/ChunkResolver.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"
import * as ContainerStores from "../virtual/ContainerStores.ts"
import { ObjectReads } from "../virtual/ObjectReads.ts"
import * as CredentialsPolicy from "../virtual/CredentialsPolicy.ts"
import { Platforms } from "../virtual/Platform.ts"
import * as Assets from "./Assets.ts"
import { ChangedSnapshot } from "./changes/ChangedSnapshot.ts"
import type * as Commit from "./changes/Commit.ts"
import * as ConfigControl from "./config/ConfigControl.ts"
import * as ConfigFile from "./config/ConfigFile.ts"
import * as Creation from "./Creation.ts"
import * as Dependencies from "./Dependencies.ts"
import * as History from "./versions/History.ts"
import * as Layout from "./Layout.ts"
import { NativeChunks } from "./NativeChunks.ts"
import * as RepoChange from "./versions/RepoChange.ts"
import * as RepoObject from "./versions/RepoObject.ts"
import { RepositoryNotFound, UnsupportedSpecVersion } from "./RepositoryError.ts"
import * as Session from "./Session.ts"
import * as SplitExpressions from "./SplitExpressions.ts"
import * as WritableSession from "./WritableSession.ts"

/**
 * Which version of a repository to read: the tip of a branch, a tag, or any snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export type VersionRef = { readonly branch: string } | { readonly tag: string } | { readonly snapshotId: string }

/**
 * How a repository is opened. Nothing of this is persisted.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenOptions {
  /**
   * By container name: credentials, for containers at their platform's own endpoint or the repository's; or a
   * `Credentials.grant` that names further endpoints, or fewer places. Every name is that of a container.
   */
  readonly credentials?: Readonly<Record<string, Credentials.Entry>> | undefined
  /**
   * Whether containers on the repository's own platform and endpoint may be read with the repository's
   * credentials (default `same-endpoint`), or need an entry of their own (`strict`).
   */
  readonly credentialsFallback?: "same-endpoint" | "strict" | undefined
  /** Wins over the persisted configuration, field by field and container by container. */
  readonly config?: Config.RepositoryConfig | undefined
  /** Names of containers that this program does not read. */
  readonly withoutContainers?: ReadonlyArray<string> | undefined
  /** What a changed object does to a read (default `fail`). */
  readonly checks?: ChunkResolver.ChecksumPolicy | undefined
  /** How reads of one object are merged. */
  readonly rangePlan?: RangePlan.Options | undefined
  /** Bytes of chunks that are asked for at once (default 64 MiB); a single larger chunk is read alone. */
  readonly maxBytesInFlight?: number | undefined
  /** How long an unused client of a container is kept (default one minute). */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/**
 * Why a repository could not be opened.
 *
 * @category errors
 * @since 0.1.0
 */
export type OpenError =
  | RepositoryNotFound
  | UnsupportedSpecVersion
  | Config.InvalidConfig
  | ContainerMatch.UnknownContainer
  | ObjectStoreError
  | FormatError

/**
 * Why an update of the configuration can fail.
 *
 * @category errors
 * @since 0.1.0
 */
export type ConfigUpdateError = ConfigControl.UpdateError

/**
 * Why a branch or tag could not be changed.
 *
 * @category errors
 * @since 0.1.0
 */
export type RefError = RepoChange.RefNotFound | RepoChange.RefForbidden | RepoObject.UpdateError

/**
 * An open repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepositoryShape {
  /** The store, as it names itself. */
  readonly description: string
  readonly config: ConfigControl.ConfigControl
  /** The containers in the order in which they are matched, with where each came from. */
  readonly containers: Effect.Effect<ReadonlyArray<ContainerMatch.SourcedContainer>>
  /**
   * Where each container is, and whether credentials have to be passed for it. Needs no credentials and makes no
   * request.
   */
  readonly containerAccess: Effect.Effect<ReadonlyArray<Dependencies.ContainerAccess>>
  /** What all snapshots together depend on; a session has the same of its snapshot alone. */
  readonly wholeHistory: Dependencies.DependencyQueries
  /**
   * Opens a version to read, with the configuration as it is now. Fails with `InvalidConfig` when `config.json` is
   * damaged: which bytes a virtual chunk is read from depends on it.
   */
  readonly readonlySession: (
    version: VersionRef
  ) => Effect.Effect<Session.Session, RepoChange.RefNotFound | Config.InvalidConfig | Assets.AssetError>
  /** Opens the tip of a branch to read and write, with the configuration as it is now. */
  readonly writableSession: (
    branch: string
  ) => Effect.Effect<
    WritableSession.WritableSession,
    RepoChange.RefNotFound | Config.InvalidConfig | ObjectStore.WriteForbidden | Assets.AssetError
  >
  readonly branches: Effect.Effect<ReadonlyMap<string, ObjectId.SnapshotId>, Assets.AssetError>
  readonly tags: Effect.Effect<ReadonlyMap<string, ObjectId.SnapshotId>, Assets.AssetError>
  /** A version and those before it, newest first. */
  readonly history: (
    version: VersionRef
  ) => Effect.Effect<ReadonlyArray<RepoInfo.SnapshotInfo>, RepoChange.RefNotFound | Assets.AssetError>
  readonly createBranch: (name: string, at: string) => Effect.Effect<void, RefError>
  readonly deleteBranch: (name: string) => Effect.Effect<void, RefError>
  /** Points a branch at another snapshot; with `from`, only when it is still at that one. */
  readonly resetBranch: (
    name: string,
    to: string,
    options?: { readonly from?: string | undefined }
  ) => Effect.Effect<void, RefError | RepoChange.CommitConflict>
  readonly createTag: (name: string, at: string) => Effect.Effect<void, RefError>
  readonly deleteTag: (name: string) => Effect.Effect<void, RefError>
}

/**
 * An open repository, for programs that take it from the context.
 *
 * @category services
 * @since 0.1.0
 */
export class Repository extends Context.Service<Repository, RepositoryShape>()("@effect-icechunk/core/Repository") {}

const defaultBytesInFlight = 64 * 1024 * 1024

/** What opening needs from the context. */
type Services = ObjectStore.ObjectStore | Platforms | Zstd

/**
 * Whether the store holds a repository.
 *
 * @category reading
 * @since 0.1.0
 */
export const exists: Effect.Effect<boolean, ObjectStoreError, ObjectStore.ObjectStore> = Effect.flatMap(
  ObjectStore.ObjectStore,
  (store) => ObjectStore.exists(store, Layout.repo)
)

const parseSnapshotId = (text: string): Result.Result<ObjectId.SnapshotId, RepoChange.RefNotFound> =>
  Result.mapError(
    ObjectId.parseSnapshotId(text),
    () => new RepoChange.RefNotFound({ kind: "snapshot", name: text, known: [] })
  )

const findVersion = (
  info: RepoInfo.RepoInfo,
  version: VersionRef
): Result.Result<ObjectId.SnapshotId, RepoChange.RefNotFound> => {
  if ("branch" in version) return RepoChange.branchTip(info, version.branch)
  if ("tag" in version) return RepoChange.tagTarget(info, version.tag)
  return Result.flatMap(parseSnapshotId(version.snapshotId), (id) =>
    info.snapshots.has(id)
      ? Result.succeed(id)
      : Result.fail(new RepoChange.RefNotFound({ kind: "snapshot", name: id, known: [] }))
  )
}

/** A branch has moved already, by an earlier commit of the same session. */
interface HasMoved {
  readonly _tag: "HasMoved"
  readonly to: Commit.Flushed
}

/** Which of some commits is in the repository: the one at the tip of the branch before others. */
const committed = (
  { branches, snapshots }: RepoInfo.RepoInfo,
  branch: string,
  tried: ReadonlyMap<ObjectId.SnapshotId, Commit.Flushed>
): Commit.Flushed | undefined => {
  const tip = branches.get(branch)
  const atTip = tip === undefined ? undefined : tried.get(tip)
  return atTip ?? [...tried].find(([id]) => snapshots.has(id))?.[1]
}

const checkOverride = ({ config }: OpenOptions): Result.Result<Config.RepositoryConfig, Config.InvalidConfig> =>
  Config.fromInput("run-time override", config ?? {})

/** What is said of containers is said of such as there are. */
const checkNames = (
  { config, credentials, withoutContainers }: OpenOptions,
  persisted: Config.RepositoryConfig
): Effect.Effect<void, ContainerMatch.UnknownContainer | Config.InvalidConfig> => {
  const containers = ContainerMatch.make({
    persisted: persisted.virtual_chunk_containers ?? [],
    overrides: config?.virtual_chunk_containers ?? []
  })
  const problem =
    CredentialsPolicy.problem(credentials ?? {}) ??
    ContainerMatch.unknown(containers, { credentials, withoutContainers })
  return problem === undefined ? Effect.void : Effect.fail(problem)
}

/** The repository object and `config.json`, whose problems come after those of the other. */
interface ReadTogether {
  readonly repo: RepoObject.Versioned
  /** `undefined`: still to be read. */
  readonly config: Result.Result<ConfigFile.Stored, ObjectStoreError | Config.InvalidConfig> | undefined
  /** The snapshot that was written with them. */
  readonly snapshot?: Snapshot.Snapshot | undefined
}

/** Reads both at once; fails with `RepositoryNotFound` where there is no repository object. */
const readExisting: Effect.Effect<
  ReadTogether,
  RepositoryNotFound | Assets.AssetError,
  ObjectStore.ObjectStore | Zstd
> = Effect.flatMap(Effect.map(ObjectStore.ObjectStore, RequestMetrics.counted), (store) =>
  Effect.all(
    {
      repo: Effect.catchIf(RepoObject.read(store), isNotFound, () =>
        Effect.fail(new RepositoryNotFound({ store: store.description }))
      ),
      config: Effect.result(ConfigFile.readStored(store))
    },
    { concurrency: 2 }
  )
)

/**
 * Opens the repository of the store in the context. Clients of containers are released with the Scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open: (options?: OpenOptions) => Effect.Effect<RepositoryShape, OpenError, Services | Scope.Scope> =
  Effect.fn("Repository.open")(function* (options = {}) {
    const known = yield* Effect.catchTag(
      readExisting,
      "RepositoryNotFound",
      Effect.fnUntraced(function* (error): Effect.fn.Return<never, OpenError, ObjectStore.ObjectStore> {
        const store = yield* ObjectStore.ObjectStore
        if (!(yield* Creation.hasSpec1(store))) return yield* error
        return yield* new UnsupportedSpecVersion({ store: store.description, version: 1 })
      })
    )
    return yield* connect(options, known)
  })

/** A repository whose files were just read or written. */
const connect: (
  options: OpenOptions,
  known: ReadTogether
) => Effect.Effect<RepositoryShape, OpenError, Services | Scope.Scope> = Effect.fnUntraced(function* (options, known) {
  const store = RequestMetrics.counted(yield* ObjectStore.ObjectStore)
  const platforms = yield* Platforms
  const zstd = yield* Zstd
  const withZstd = Effect.provideService(Zstd, zstd)
  const readRepo = withZstd(RepoObject.read(store))
  const { info } = known.repo
  if (info.specVersion !== 2) {
    return yield* new UnsupportedSpecVersion({ store: store.description, version: info.specVersion })
  }
  const override = yield* Effect.fromResult(checkOverride(options))
  const stored =
    known.config === undefined ? yield* ConfigFile.readStored(store) : yield* Effect.fromResult(known.config)
  const config = yield* ConfigControl.make(store, { info, stored }, override)
  const policy: CredentialsPolicy.CredentialsPolicy = {
    byContainer: options.credentials ?? {},
    fallback: options.credentialsFallback ?? "same-endpoint",
    repository: store.origin
  }
  yield* checkNames(options, config.persisted())
  const stores = yield* ContainerStores.make({ platforms, policy, idleTimeToLive: options.idleTimeToLive })
  const assets = yield* Assets.make(store, () => Config.compressionLevel(config.current()))
  if (known.snapshot !== undefined) yield* assets.keep(known.snapshot)

  const containerSet = (): ContainerMatch.ContainerSet =>
    ContainerMatch.make({
      persisted: config.persisted().virtual_chunk_containers ?? [],
      overrides: config.override.virtual_chunk_containers ?? [],
      without: options.withoutContainers
    })
  const limits = (): Limits => ({
    requests: Config.maxConcurrentRequests(config.current()),
    bytes: options.maxBytesInFlight ?? defaultBytesInFlight
  })
  const gate = new RequestGate(limits())
  const reads = new ObjectReads(stores, gate, options.rangePlan)
  const native = new NativeChunks(store, reads)
  const sessionContext = (): Session.SessionContext => {
    gate.limits = limits()
    return {
      store,
      native,
      assets,
      checks: options.checks ?? "fail",
      resolver: ChunkResolver.make({ containers: containerSet(), stores, reads })
    }
  }

  /** Applies a pure change, and publishes the configuration along when that is still to be done. */
  const change = <E>(
    change: RepoChange.Change<E>,
    options?: Pick<RepoObject.UpdateOptions, "after" | "from" | "onWritten" | "isWrittenIn">
  ): Effect.Effect<void, E | RepoObject.UpdateError> =>
    RepoObject.update(store, (info) => Effect.flatMap(Effect.fromResult(change(info)), config.publishAlong), {
      updatesPerObject: Config.updatesPerRepoObject(config.current()),
      check: (info) =>
        Effect.andThen(RepoObject.ensureOnline(store, info), Effect.asVoid(Effect.fromResult(change(info)))),
      ...options
    }).pipe(Effect.andThen(config.published), withZstd)

  const moveBranch: WritableSession.MoveBranch = Effect.fnUntraced(function* ({
    branch,
    durable,
    flush,
    onMoved,
    parent,
    tried
  }) {
    yield* ObjectStore.ensureWritable(store)
    /** Fails when nothing is to be written any more: known before anything is written, or soon after. */
    const check = Effect.fnUntraced(function* (info: RepoInfo.RepoInfo) {
      const done = committed(info, branch, tried)
      if (done !== undefined) return yield* Effect.fail<HasMoved>({ _tag: "HasMoved", to: done })
      yield* RepoObject.ensureOnline(store, info)
      const tip = yield* Effect.fromResult(RepoChange.branchTip(info, branch))
      if (tip !== parent) return yield* new RepoChange.CommitConflict({ branch, expected: parent, actual: tip })
    })
    // While the files are written it is found out whether the branch still is where the session began; when it is not,
    // no more of them are. What is known to have moved, or may have by an earlier commit, is looked at first.
    const isForeseen = tried.size === 0 && (yield* RepoObject.isForeseen(store, check))
    const both = yield* Effect.result(
      Effect.all([withZstd(RepoObject.prepare(store, check)), flush], { concurrency: isForeseen ? 2 : 1 })
    )
    if (Result.isFailure(both)) {
      const { failure } = both
      if (failure._tag !== "HasMoved") return yield* Effect.fail(failure)
      onMoved(failure.to)
      return failure.to
    }
    const [from, flushed] = both.success
    const { flushedAt, id, message, metadata } = flushed.snapshot
    return yield* change(
      RepoChange.commit(branch, { id, parentId: parent, flushedAt, message, metadata, prunedAncestorTxLogs: [] }),
      {
        from,
        after: durable,
        onWritten: () => onMoved(flushed),
        isWrittenIn: ({ snapshots }) => snapshots.has(id)
      }
    ).pipe(
      Effect.as(flushed),
      Effect.catchTag("OutcomeUnknown", ({ cause, problem }) =>
        Effect.fail(new RepoChange.CommitOutcomeUnknown({ branch, snapshotId: id, problem, cause }))
      ),
      Effect.catchTag(
        "CommitConflict",
        Effect.fnUntraced(function* (error): Effect.fn.Return<
          Commit.Flushed,
          RepoChange.CommitConflict | Assets.AssetError
        > {
          if (tried.size < 2) return yield* error
          // Beside this one: an earlier commit of the session may have been under way all the time.
          const done = committed((yield* readRepo).info, branch, tried)
          if (done === undefined) return yield* error
          onMoved(done)
          return done
        })
      )
    )
  })

  /**
   * The newest snapshot that `find` finds, and what is read with it. The one that is known is fetched while it is asked
   * whether it still is the newest.
   */
  const newest = Effect.fnUntraced(function* <E>(
    find: (info: RepoInfo.RepoInfo) => Effect.Effect<ObjectId.SnapshotId, E>
  ) {
    const known = RepoObject.known(store)
    const guess = known === undefined ? Option.none() : yield* Effect.option(find(known.info))
    const early = Option.isNone(guess) ? undefined : yield* Effect.forkScoped(assets.snapshot(guess.value))
    const { info } = yield* config.beside(readRepo)
    const id = yield* find(info)
    const context = sessionContext()
    const isGuessed = early !== undefined && Option.contains(guess, id)
    return { context, snapshot: yield* isGuessed ? Fiber.join(early) : assets.snapshot(id) }
  }, Effect.scoped)

  const changeAt = <E>(at: string, make: (id: ObjectId.SnapshotId) => RepoChange.Change<E>) =>
    Effect.flatMap(Effect.fromResult(parseSnapshotId(at)), (id) => change(make(id)))

  return {
    description: store.description,
    config: config.control,
    containers: Effect.sync(() => containerSet().inOrder),
    containerAccess: Effect.sync(() => Dependencies.access(containerSet(), policy, platforms)),
    wholeHistory: History.queries(sessionContext(), readRepo),
    readonlySession: Effect.fn("Repository.readonlySession")(function* (version) {
      const { context, snapshot } = yield* newest((info) => Effect.fromResult(findVersion(info, version)))
      const changes = new ChangedSnapshot(snapshot)
      return Session.make(context, "branch" in version ? version.branch : undefined, () => changes)
    }),
    writableSession: Effect.fn("Repository.writableSession")(function* (branch) {
      yield* ObjectStore.ensureWritable(store)
      const { context, snapshot } = yield* newest((info) =>
        Effect.andThen(RepoObject.ensureOnline(store, info), Effect.fromResult(RepoChange.branchTip(info, branch)))
      )
      return yield* WritableSession.make({ ...context, config: config.current, moveBranch }, branch, snapshot)
    }),
    // What is known is kept; each caller gets a map of its own.
    branches: Effect.map(readRepo, ({ info }) => new Map(info.branches)),
    tags: Effect.map(readRepo, ({ info }) => new Map(info.tags)),
    history: Effect.fnUntraced(function* (version) {
      const { info } = yield* readRepo
      return SnapshotTable.of(info.snapshots).ancestry(yield* Effect.fromResult(findVersion(info, version)))
    }),
    createBranch: (name, at) => changeAt(at, (id) => RepoChange.createBranch(name, id)),
    deleteBranch: (name) => change(RepoChange.deleteBranch(name)),
    resetBranch: Effect.fnUntraced(function* (name, to, options) {
      const expected = options?.from === undefined ? undefined : yield* Effect.fromResult(parseSnapshotId(options.from))
      yield* changeAt(to, (id) => RepoChange.resetBranch(name, id, expected))
    }),
    createTag: (name, at) => changeAt(at, (id) => RepoChange.createTag(name, id)),
    deleteTag: (name) => change(RepoChange.deleteTag(name))
  }
})

/**
 * Creates a repository in the store of the context and opens it. `persist` becomes its `config.json`.
 *
 * Fails with `RepositoryAlreadyExists` when the store is not empty; of several creators one wins, and what it persists
 * is in force. What a creator left that was stopped half-way is no obstacle. Fails with `OutcomeUnknown` when the
 * answer of the store was lost and it could not be found out what became of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const create: (
  options?: OpenOptions & { readonly persist?: Config.RepositoryConfig | undefined }
) => Effect.Effect<RepositoryShape, Creation.CreationError | OpenError, Services | Scope.Scope> = Effect.fn(
  "Repository.create"
)(function* (options = {}) {
  const store = RequestMetrics.counted(yield* ObjectStore.ObjectStore)
  yield* ObjectStore.ensureWritable(store)
  // What would be refused later is refused before anything is written.
  const persist =
    options.persist === undefined
      ? undefined
      : yield* Effect.fromResult(Config.validateUpdate("new configuration", {}, options.persist))
  yield* SplitExpressions.check("new configuration", persist ?? {})
  yield* Effect.fromResult(checkOverride(options))
  yield* checkNames(options, persist ?? {})
  const { config, repo, snapshot } = yield* Creation.create(store, persist)
  return yield* connect(options, { repo, config: Result.succeed(config), snapshot })
})

/**
 * Opens the repository, or creates it where there is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openOrCreate: (options?: Parameters<typeof create>[0]) => ReturnType<typeof create> = Effect.fn(
  "Repository.openOrCreate"
)(function* (options = {}) {
  const known = yield* Effect.catchTag(readExisting, "RepositoryNotFound", () => Effect.succeed(undefined))
  if (known !== undefined) return yield* connect(options, known)
  return yield* Effect.catchIf(
    create(options),
    // Somebody else was faster.
    (error) => error._tag === "RepositoryAlreadyExists" && error.found === Layout.repo,
    () => open(options)
  )
})

/**
 * Opens the repository as a service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: OpenOptions): Layer.Layer<Repository, OpenError, Services> =>
  Layer.effect(Repository, open(options))

/**
 * Opens the repository as a service, or creates it where there is none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOpenOrCreate = (
  options?: Parameters<typeof create>[0]
): Layer.Layer<Repository, Effect.Error<ReturnType<typeof create>>, Services> =>
  Layer.effect(Repository, openOrCreate(options))
