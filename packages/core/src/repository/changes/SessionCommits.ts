/**
 * How the changes of a session get into its branch: commits, amendments, snapshots without a branch, and rebases.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TransactionLog } from "../../format/TransactionLog.ts"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import { isNotFound } from "../../store/ObjectStoreError.ts"
import type { JsonObject } from "../../values/Json.ts"
import type { RepositoryConfig } from "../../values/RepositoryConfig.ts"
import * as ZarrMetadata from "../../values/ZarrMetadata.ts"
import { Deferred, type WritableAssets } from "../AssetWrites.ts"
import * as Layout from "../Layout.ts"
import { NothingToCommit } from "../SessionError.ts"
import { AmendRefused, CommitConflict } from "../versions/RepoChange.ts"
import type { CommitOptions, WritableSession } from "../WritableSession.ts"
import type { BranchWriter, MoveError, Wanted } from "./BranchWriter.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import * as ChangeSet from "./ChangeSet.ts"
import * as Commit from "./Commit.ts"
import * as Continued from "./Continued.ts"
import * as NativeChunks from "./NativeChunks.ts"
import * as Rebase from "./Rebase.ts"
import * as Rebasing from "./Rebasing.ts"
import type { Uncommitted } from "./Uncommitted.ts"
import * as Uploads from "./Uploads.ts"

/**
 * What commits need of the repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommitContext {
  readonly assets: WritableAssets
  readonly config: () => RepositoryConfig
  readonly branches: BranchWriter
  /** What each commit has that does not say otherwise. */
  readonly commitMetadata: () => JsonObject
}

/** How a branch is moved to changes. */
interface MoveOptions extends Pick<CommitOptions, "allowEmpty"> {
  readonly rebase?: Rebase.Solver | undefined
  /** The log of the tip that is replaced. */
  readonly amends?: { readonly force: boolean; readonly log: TransactionLog } | undefined
}

/** Whether a commit that fails with this error knows that it has not happened. */
const isDecided = (tag: MoveError["_tag"]): boolean =>
  tag === "RebaseConflict" ||
  tag === "RebaseImpossible" ||
  tag === "NothingToCommit" ||
  tag === "CommitConflict" ||
  tag === "RefNotFound"

/**
 * The commits of a session that writes to `branch`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { assets, branches, commitMetadata, config }: CommitContext,
  branch: string,
  { alone, chunks, current, exclusive, goOn, open, revision, sources, startOver, tried }: Uncommitted
): Pick<WritableSession, "commit" | "amend" | "flush" | "rebase"> => {
  const metadataOf = (metadata: JsonObject | undefined): Effect.Effect<JsonObject, ZarrMetadata.InvalidMetadata> =>
    Effect.suspend(() =>
      Effect.map(Effect.fromResult(ZarrMetadata.ofCommit(metadata ?? {})), (own) => ({
        ...commitMetadata(),
        ...own
      }))
    )

  /** Moves the branch to the changes, or finds that an earlier commit has moved it. */
  const move = Effect.fnUntraced(function* (
    settled: ChangedSnapshot,
    message: string,
    metadata: JsonObject,
    { allowEmpty, amends, rebase: solver }: MoveOptions
  ) {
    const before = new Set(tried.keys())
    const files = DeferredWrites.make()
    const made: Commit.Manifests = new Map()
    const parent = current().base.id
    const now = yield* Clock.currentTimeMillis
    open.changed(now)
    let placed = Rebasing.inPlace(settled)
    const wanted: Wanted = {
      parent,
      rebases: solver !== undefined,
      amends,
      moves: settled.changes.moved.size > 0,
      sources,
      tried,
      onto: Effect.fnUntraced(function* (snapshot, history) {
        placed = Rebasing.inPlace(settled)
        if (snapshot.id === parent) return settled
        if (solver === undefined) return yield* new CommitConflict({ branch, expected: parent, actual: snapshot.id })
        placed = yield* Rebasing.rebase({
          assets,
          branch,
          changed: settled,
          onto: snapshot,
          history,
          solver
        })
        // Others did the same, or won everywhere.
        if (ChangeSet.isEmpty(placed.changed.changes) && allowEmpty !== true)
          return yield* new NothingToCommit({ branch })
        return placed.changed
      }),
      flush: (assets, uploads, changed) =>
        Commit.flush(assets, uploads, changed, {
          config: config(),
          message,
          metadata,
          made,
          amends: amends?.log,
          flushedAt: Commit.flushedAt(now, changed.base)
        }).pipe(
          Effect.provideService(Deferred, files),
          Effect.tap((flushed) =>
            Effect.sync(() => tried.set(flushed.snapshot.id, { ...flushed, again: placed.again, revision: revision() }))
          )
        ),
      durable: Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled)),
      onMoved: ({ snapshot }) => {
        const mine = tried.get(snapshot.id)
        if (mine?.revision === revision()) startOver(snapshot)
        else goOn(Continued.onTopOf(mine?.again(current()) ?? current(), snapshot, mine?.adopted))
        tried.clear()
      }
    }
    const moved = solver === undefined ? branches.move(branch, wanted) : branches.rebase(branch, wanted)
    const { snapshot } = yield* Effect.tapError(moved, ({ _tag }) =>
      Effect.sync(() => {
        // The rounds before were lost for certain.
        if (isDecided(_tag)) for (const id of tried.keys()) if (!before.has(id)) tried.delete(id)
      })
    )
    return { id: snapshot.id, isEarlier: before.has(snapshot.id) }
  })

  const commitAs = Effect.fn("Session.commit")(function* (
    message: string,
    options: CommitOptions & { readonly rebase?: Rebase.Solver | undefined } = {}
  ) {
    const metadata = yield* metadataOf(options.metadata)
    return yield* alone(
      Effect.gen(function* () {
        const settled = yield* Commit.settle(assets, current())
        if (ChangeSet.isEmpty(settled.changes) && tried.size === 0 && options.allowEmpty !== true)
          return yield* new NothingToCommit({ branch })
        const moved = yield* move(settled, message, metadata, options)
        if (!moved.isEarlier) return moved.id
        const since = yield* Commit.settle(assets, current())
        return ChangeSet.isEmpty(since.changes) ? moved.id : (yield* move(since, message, metadata, options)).id
      })
    )
  })
  // Without `rebase` nothing is rebased, with it no commit fails because the branch has moved.
  const commit = commitAs as WritableSession["commit"]

  /** What the tip that is to be replaced did. `isKnown`: whether it is clear which one that is. */
  const logOfTip = Effect.fnUntraced(function* (force: boolean, isKnown: boolean) {
    const { id } = current().base
    const refused = (because: string, canBeForced: boolean): AmendRefused =>
      new AmendRefused({ branch, snapshotId: id, because, canBeForced })
    if (isKnown) {
      yield* branches.checkAmend(branch, id, force)
      if (!force && open.others().length > 0) {
        return yield* refused("another session of this program is on it, and has not committed", true)
      }
    }
    return yield* Effect.catchIf(assets.transactionLog(id), isNotFound, () =>
      Effect.fail(refused(`its transaction log \`${Layout.transaction(id)}\` is missing`, false))
    )
  })

  const amendAs = Effect.fn("Session.amend")(function* (
    message: string,
    options: Parameters<WritableSession["amend"]>[1] = {}
  ) {
    const metadata = yield* metadataOf(options.metadata)
    const force = options.force ?? false
    const replaceTip = Effect.fnUntraced(function* (settled: ChangedSnapshot) {
      const log = yield* logOfTip(force, tried.size === 0)
      return yield* move(settled, message, metadata, { amends: { force, log } })
    })
    return yield* alone(
      Effect.gen(function* () {
        const moved = yield* replaceTip(yield* Commit.settle(assets, current()))
        if (!moved.isEarlier) return moved.id
        const since = yield* Commit.settle(assets, current())
        return ChangeSet.isEmpty(since.changes) ? moved.id : (yield* replaceTip(since)).id
      })
    )
  })
  // Nothing is rebased, and the message alone is something to commit.
  const amend = amendAs as WritableSession["amend"]

  const flush = Effect.fn("Session.flush")(function* (message: string, options: CommitOptions = {}) {
    const metadata = yield* metadataOf(options.metadata)
    return yield* alone(
      Effect.gen(function* () {
        const settled = yield* Commit.settle(assets, current())
        if (ChangeSet.isEmpty(settled.changes) && options.allowEmpty !== true)
          return yield* new NothingToCommit({ branch })
        const now = yield* Clock.currentTimeMillis
        open.changed(now)
        const files = DeferredWrites.make()
        const flushed = yield* Uploads.during((uploads: Commit.CommitUploads) =>
          Commit.flush(assets, uploads, settled, {
            config: config(),
            message,
            metadata,
            made: new Map(),
            flushedAt: Commit.flushedAt(now, settled.base)
          })
        ).pipe(Effect.provideService(Deferred, files))
        yield* branches.detach(branch, settled.base.id, flushed, {
          moves: settled.changes.moved.size > 0,
          sources,
          durable: Effect.andThen(DeferredWrites.settleAll(files), NativeChunks.settle(chunks, settled))
        })
        return flushed.snapshot.id
      })
    )
  })

  return {
    commit,
    amend,
    flush,
    rebase: Effect.fn("Session.rebase")((solver = {}) =>
      exclusive(
        Effect.gen(function* () {
          const { id } = current().base
          const { history, snapshot } = yield* branches.tip(branch)
          if (tried.size > 0) {
            const because =
              "it is not known yet what became of an earlier `commit`; call `commit` again, which finds out"
            return yield* new Rebase.RebaseImpossible({ branch, expected: id, actual: snapshot.id, because })
          }
          if (snapshot.id === id) return id
          const changed = yield* Commit.settle(assets, current())
          // Where there is nothing to rebase nobody has to know what others did.
          goOn(
            ChangeSet.isEmpty(changed.changes)
              ? new ChangedSnapshot(snapshot)
              : (yield* Rebasing.rebase({ assets, branch, changed, onto: snapshot, history, solver })).changed
          )
          return snapshot.id
        })
      )
    )
  }
}
