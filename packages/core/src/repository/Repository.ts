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
import type * as RepoInfo from "../format/RepoInfo.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import * as RequestMetrics from "../store/RequestMetrics.ts"
import type * as ObjectId from "../values/ObjectId.ts"
import * as Config from "../values/RepositoryConfig.ts"
import type { Platforms } from "../virtual/Platform.ts"
import type * as Assets from "./Assets.ts"
import * as AssetWrites from "./AssetWrites.ts"
import type * as Commit from "./changes/Commit.ts"
import * as ConfigControl from "./config/ConfigControl.ts"
import * as Creation from "./Creation.ts"
import * as Internals from "./Internals.ts"
import * as Layout from "./Layout.ts"
import * as Opening from "./Opening.ts"
import type { OpenError, OpenOptions, ReadonlyRepositoryShape } from "./ReadonlyRepository.ts"
import * as SplitExpressions from "./SplitExpressions.ts"
import * as RepoChange from "./versions/RepoChange.ts"
import * as RepoObject from "./versions/RepoObject.ts"
import * as WritableSession from "./WritableSession.ts"

export { exists, type OpenError, type OpenOptions, type VersionRef } from "./ReadonlyRepository.ts"

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
export interface RepositoryShape extends ReadonlyRepositoryShape {
  readonly config: ConfigControl.ConfigControl
  /** Opens the tip of a branch to read and write, with the configuration as it is now. */
  readonly writableSession: (
    branch: string
  ) => Effect.Effect<
    WritableSession.WritableSession,
    RepoChange.RefNotFound | Config.InvalidConfig | ObjectStore.WriteForbidden | Assets.AssetError
  >
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

/**
 * Opens the repository of the store in the context. Clients of containers are released with the Scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open: (options?: OpenOptions) => Effect.Effect<RepositoryShape, OpenError, Services | Scope.Scope> =
  Effect.fn("Repository.open")(function* (options = {}) {
    return yield* connect(options, yield* Opening.read)
  })

/** A repository whose files were just read or written. */
const connect: (
  options: OpenOptions,
  known: Opening.ReadTogether
) => Effect.Effect<RepositoryShape, OpenError, Services | Scope.Scope> = Effect.fnUntraced(function* (options, known) {
  const opened = yield* Opening.connect(options, known)
  const { assets, config: state, newest, readRepo, shape, store, withZstd } = opened
  const written = yield* AssetWrites.make(store, assets, () => Config.compressionLevel(state.current()))
  const config = ConfigControl.make(store, state, withZstd)

  const change: Internals.Writing["change"] = (change, options) =>
    RepoObject.update(store, (info) => Effect.flatMap(Effect.fromResult(change(info)), config.publishAlong), {
      updatesPerObject: Config.updatesPerRepoObject(state.current()),
      check: (info) =>
        Effect.andThen(
          options?.whenLimited === true ? Effect.void : RepoObject.ensureOnline(store, info),
          Effect.asVoid(Effect.fromResult(change(info)))
        ),
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

  const changeAt = <E>(at: string, make: (id: ObjectId.SnapshotId) => RepoChange.Change<E>) =>
    Effect.flatMap(Effect.fromResult(Opening.parseSnapshotId(at)), (id) => change(make(id)))

  const repository: RepositoryShape = {
    ...shape,
    config: config.control,
    writableSession: Effect.fn("Repository.writableSession")(function* (branch) {
      yield* ObjectStore.ensureWritable(store)
      const { context, snapshot } = yield* newest((info) =>
        Effect.andThen(RepoObject.ensureOnline(store, info), Effect.fromResult(RepoChange.branchTip(info, branch)))
      )
      return yield* WritableSession.make(
        { ...context, assets: written, config: state.current, moveBranch },
        branch,
        snapshot
      )
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
  Internals.rememberWriting(repository, { ...opened, assets: written, change })
  return repository
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
  yield* Effect.fromResult(Opening.checkOverride(options))
  yield* Opening.checkNames(options, persist ?? {})
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
