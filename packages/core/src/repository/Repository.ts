/**
 * Creates and opens repositories. The store comes from the context, as a Layer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Zstd } from "../encoding/Zstd.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import * as RequestMetrics from "../store/RequestMetrics.ts"
import type { JsonObject } from "../values/Json.ts"
import type * as ObjectId from "../values/ObjectId.ts"
import * as ZarrMetadata from "../values/ZarrMetadata.ts"
import * as Config from "../values/RepositoryConfig.ts"
import * as ChunkResolver from "../virtual/ChunkResolver.ts"
import * as ContainerMatch from "../virtual/ContainerMatch.ts"
import * as ContainerStores from "../virtual/ContainerStores.ts"
import type { Platforms } from "../virtual/Platform.ts"
import type * as Assets from "./Assets.ts"
import * as AssetWrites from "./AssetWrites.ts"
import * as BranchWriter from "./changes/BranchWriter.ts"
import type * as Rebase from "./changes/Rebase.ts"
import * as ContainerAccess from "./ContainerAccess.ts"
import * as ConfigControl from "./config/ConfigControl.ts"
import * as Creation from "./Creation.ts"
import * as Internals from "./Internals.ts"
import * as Layout from "./Layout.ts"
import * as Opening from "./Opening.ts"
import type { OpenError, OpenOptions as ReadOptions, ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"
import type { NothingToCommit } from "./SessionError.ts"
import * as SplitExpressions from "./SplitExpressions.ts"
import * as Origin from "./versions/Origin.ts"
import * as RepoChange from "./versions/RepoChange.ts"
import * as RepoObject from "./versions/RepoObject.ts"
import type * as Virtual from "./Virtual.ts"
import * as WritableSession from "./WritableSession.ts"

export { exists, type OpenError, type VersionRef } from "./ReadonlyRepository.ts"

/**
 * How a repository is opened that is written to. Nothing of this is persisted.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenOptions extends ReadOptions {
  /** Metadata of every commit, under what the commit says itself; see `setDefaultCommitMetadata`. */
  readonly commitMetadata?: JsonObject | undefined
}

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
 * Why no session can be opened on a branch.
 *
 * @category errors
 * @since 0.1.0
 */
export type SessionOpenError =
  | RepoChange.RefNotFound
  | Config.InvalidConfig
  | ObjectStore.WriteForbidden
  | Assets.AssetError

/**
 * An open repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepositoryShape extends ReadonlyRepositoryShape {
  readonly config: ConfigControl.ConfigControl
  /**
   * Opens the tip of a branch to read and write, with the configuration as it is now.
   *
   * @example
   * ```ts
   * const session = yield* repository.writableSession("main")
   * yield* session.createGroup("/", { title: "Forecasts" })
   * yield* session.commit("a group")
   * ```
   */
  readonly writableSession: (branch: string) => Effect.Effect<WritableSession.WritableSession, SessionOpenError>
  /**
   * Opens a session on a branch, runs `f` with it, and commits what it has done with `message`, on top of whatever others
   * commit meanwhile; see `rebase` of `WritableSession.commit`, which is `{}` unless given. What `f` has read may have
   * changed by then: where that matters, let it conflict, or commit without `rebase`. Nothing is committed when `f` fails.
   *
   * @example
   * ```ts
   * const { snapshotId } = yield* repository.transact("main", "hour 7", (session) =>
   *   session.setChunk("/wind", [7], bytes)
   * )
   * ```
   */
  readonly transact: <A, E, R>(
    branch: string,
    message: string,
    f: (session: WritableSession.WritableSession) => Effect.Effect<A, E, R>,
    options?: WritableSession.CommitOptions & { readonly rebase?: Rebase.Solver | undefined }
  ) => Effect.Effect<
    { readonly value: A; readonly snapshotId: ObjectId.SnapshotId },
    E | SessionOpenError | WritableSession.RebasingCommitError | NothingToCommit,
    R
  >
  /** What `setDefaultCommitMetadata`, or `commitMetadata` when the repository was opened, has said last. */
  readonly defaultCommitMetadata: Effect.Effect<JsonObject>
  /**
   * Metadata of every commit from now on, also of sessions that are open: who writes, and with what. What a commit says
   * itself wins, name by name. Not persisted.
   */
  readonly setDefaultCommitMetadata: (metadata: JsonObject) => Effect.Effect<void, ZarrMetadata.InvalidMetadata>
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

/** What opening needs from the context. */
type Services = ObjectStore.ObjectStore | Platforms | Zstd

/**
 * Opens the repository of the store in the context. Clients of containers are released with the Scope.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function* () {
 *   const repository = yield* Repository.open()
 *   const session = yield* repository.readonlySession({ branch: "main" })
 *   return yield* session.nodes()
 * })
 *
 * const services = Layer.mergeAll(
 *   S3ObjectStore.layer({ bucket: "repositories", prefix: "geoid", region: "us-east-1" }),
 *   Platform.layer([S3Platform.make]),
 *   NodeZstd.layer
 * )
 * const nodes = program.pipe(Effect.scoped, Effect.provide(services))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const open: (options?: OpenOptions) => Effect.Effect<RepositoryShape, OpenError, Services | Scope.Scope> =
  Effect.fn("Repository.open")(function* (options = {}) {
    return yield* connect(options, yield* Opening.read)
  })

const checkMetadata = ({ commitMetadata = {} }: OpenOptions): Result.Result<JsonObject, Config.InvalidConfig> =>
  Result.mapError(
    ZarrMetadata.ofCommit(commitMetadata),
    ({ field, problem }) => new Config.InvalidConfig({ source: "option `commitMetadata`", field, problem })
  )

/** What those who only read load when they need it. Not the module that does so: a bundler would say that it is here anyhow. */
const virtual: typeof Virtual = { ChunkResolver, ContainerAccess, ContainerMatch, ContainerStores }

/** A repository whose files were just read or written. */
const connect: (
  options: OpenOptions,
  known: Opening.ReadTogether
) => Effect.Effect<RepositoryShape, OpenError, Services | Scope.Scope> = Effect.fnUntraced(function* (options, known) {
  let commitMetadata = yield* Effect.fromResult(checkMetadata(options))
  const opened = yield* Opening.connect(options, known, Effect.succeed(virtual))
  const { assets, config: state, newest, shape, store, withZstd } = opened
  const written = yield* AssetWrites.make(store, assets, () => Config.compressionLevel(state.current()))
  const config = ConfigControl.make(store, state, withZstd)

  const change: Internals.Writing["change"] = (change, options) =>
    RepoObject.update(store, (info) => Effect.flatMap(Effect.fromResult(change(info)), config.publishAlong), {
      updatesPerObject: Config.updatesPerRepoObject(state.current()),
      retry: RepoObject.retryOf(state.current()),
      check: (info) =>
        Effect.andThen(
          options?.whenLimited === true ? Effect.void : RepoObject.ensureOnline(store, info),
          Effect.asVoid(Effect.fromResult(change(info)))
        ),
      ...options
    }).pipe(Effect.andThen(config.published), withZstd)

  const internals: Internals.Writing = { ...opened, assets: written, change }
  const branches = BranchWriter.make(internals)

  const changeAt = <E>(at: string, make: (id: ObjectId.SnapshotId) => RepoChange.Change<E>) =>
    Effect.flatMap(Effect.fromResult(Opening.parseSnapshotId(at)), (id) => change(make(id)))

  const writableSession: RepositoryShape["writableSession"] = Effect.fn("Repository.writableSession")(
    function* (branch) {
      yield* ObjectStore.ensureWritable(store)
      const { context, snapshot } = yield* newest((info) =>
        Effect.andThen(RepoObject.ensureOnline(store, info), Effect.fromResult(RepoChange.branchTip(info, branch)))
      )
      return yield* WritableSession.make(
        {
          ...context,
          assets: written,
          config: state.current,
          branches,
          commitMetadata: () => commitMetadata,
          repositoryId: Origin.identify(known.repo.info)
        },
        branch,
        snapshot
      )
    }
  )

  const repository: RepositoryShape = {
    ...shape,
    config: config.control,
    writableSession,
    transact: Effect.fn("Repository.transact")(function* (branch, message, f, options) {
      const session = yield* writableSession(branch)
      // A session that was given up stands in nobody's way.
      const value = yield* Effect.onError(f(session), () => session.discard)
      return { value, snapshotId: yield* session.commit(message, { rebase: {}, ...options }) }
    }),
    defaultCommitMetadata: Effect.sync(() => structuredClone(commitMetadata)),
    setDefaultCommitMetadata: (metadata) =>
      Effect.map(Effect.fromResult(ZarrMetadata.ofCommit(metadata)), (copy) => {
        commitMetadata = copy
      }),
    createBranch: (name, at) => changeAt(at, (id) => RepoChange.createBranch(name, id)),
    deleteBranch: (name) => change(RepoChange.deleteBranch(name)),
    resetBranch: Effect.fnUntraced(function* (name, to, options) {
      const expected =
        options?.from === undefined ? undefined : yield* Effect.fromResult(Opening.parseSnapshotId(options.from))
      yield* changeAt(to, (id) => RepoChange.resetBranch(name, id, expected))
    }),
    createTag: (name, at) => changeAt(at, (id) => RepoChange.createTag(name, id)),
    deleteTag: (name) => change(RepoChange.deleteTag(name))
  }
  Internals.rememberWriting(repository, internals)
  return repository
})

/**
 * Creates a repository in the store of the context and opens it. `persist` becomes its `config.json`.
 *
 * Fails with `RepositoryAlreadyExists` when the store is not empty; of several creators one wins, and what it persists
 * is in force. What a creator that was stopped half-way left is not in the way. Fails with `OutcomeUnknown` when the
 * answer of the store was lost and it could not be found out what became of it.
 *
 * @example
 * ```ts
 * const repository = yield* Repository.create({
 *   persist: {
 *     virtual_chunk_containers: [{ name: "model", protocol: "model", platform: "s3", bucket_prefix: "model-output/runs" }]
 *   }
 * })
 * ```
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
  yield* Opening.checkOverride(options)
  yield* Effect.fromResult(checkMetadata(options))
  yield* ContainerAccess.checkNames(options, persist ?? {})
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
  const known = yield* Effect.catchTag(Opening.readExisting, "RepositoryNotFound", () => Effect.succeed(undefined))
  if (known !== undefined) return yield* connect(options, known)
  return yield* Effect.catchIf(
    create(options),
    // Somebody else was faster, or it is of spec version 1.
    (error) =>
      error._tag === "RepositoryAlreadyExists" && (error.found === Layout.repo || error.found === Layout.spec1Main),
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
