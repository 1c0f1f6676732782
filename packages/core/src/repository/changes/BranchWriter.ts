/**
 * Moves branches: the changes of sessions become snapshots at the tip of a branch, one session's after another's, with one
 * write of the repository object for all that wait for it at the same time. Design, section 3.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as ManifestWriter from "../../format/manifest/ManifestWriter.ts"
import type * as RepoInfo from "../../format/RepoInfo.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type * as SnapshotTable from "../../format/SnapshotTable.ts"
import type * as ObjectStore from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import * as AssetWrites from "../AssetWrites.ts"
import type * as Internals from "../Internals.ts"
import { type OutcomeUnknown, RepositoryBusy } from "../RepositoryError.ts"
import type { NothingToCommit } from "../SessionError.ts"
import * as RepoChange from "../versions/RepoChange.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as Batches from "./Batches.ts"
import * as Pace from "./Pace.ts"
import type { ChangedSnapshot } from "./ChangedSnapshot.ts"
import type * as Commit from "./Commit.ts"
import { type RebaseError, RebaseImpossible } from "./Rebase.ts"
import { type History, logsOf } from "./Rebasing.ts"
import * as Uploads from "./Uploads.ts"

/**
 * Why the changes of a session did not get into a branch. Nothing of them is visible then, except that with
 * `CommitOutcomeUnknown` it may be.
 *
 * @category errors
 * @since 0.1.0
 */
export type MoveError =
  | RepoChange.CommitConflict
  | RepoChange.CommitOutcomeUnknown
  | RepoChange.RefNotFound
  | RepoChange.RefForbidden
  | RepoChange.AmendRefused
  | RebaseError
  | NothingToCommit
  | ManifestWriter.ManifestTooLarge
  | Exclude<RepoObject.UpdateError, OutcomeUnknown>

/**
 * What a session wants to get into its branch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wanted {
  /** The snapshot that the changes are of. */
  readonly parent: SnapshotId
  /** Whether the changes may be put on another snapshot. */
  readonly rebases: boolean
  /** Whether the parent is replaced: then its own parent is that of the new snapshot. */
  readonly amends?: { readonly force: boolean } | undefined
  /** Whether the changes move nodes. */
  readonly moves: boolean
  /** Earlier commits of the session that failed, and that may have happened all the same. */
  readonly tried: ReadonlyMap<SnapshotId, Commit.Flushed>
  /** The changes on a snapshot of the branch. Fails when they cannot be put there. */
  readonly onto: (snapshot: Snapshot.Snapshot, history: History) => Effect.Effect<ChangedSnapshot, MoveError>
  /** Starts to write the files of what `onto` has returned. Nothing of them is visible yet. */
  readonly flush: (
    assets: AssetWrites.WritableAssets,
    uploads: Commit.CommitUploads,
    changed: ChangedSnapshot
  ) => Effect.Effect<Commit.Flushed, AssetError | ManifestWriter.ManifestTooLarge>
  /** Makes durable what the commit refers to, its files and its chunks; before the branch is moved. */
  readonly durable: Effect.Effect<void, ObjectStoreError>
  /** Runs as soon as the branch has moved, whatever interrupts the rest. */
  readonly onMoved: (flushed: Commit.Flushed) => void
}

/**
 * Moves the branches of a repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface BranchWriter {
  /** Moves a branch from the parent of the changes; fails with `CommitConflict` when it is not there. */
  readonly move: (branch: string, wanted: Wanted) => Effect.Effect<Commit.Flushed, MoveError>
  /** Fails when a snapshot is not the tip of a branch, or cannot be replaced as such; before anything is written for it. */
  readonly checkAmend: (
    branch: string,
    tip: SnapshotId,
    force: boolean
  ) => Effect.Effect<
    void,
    | RepoChange.AmendRefused
    | RepoChange.CommitConflict
    | RepoChange.RefNotFound
    | ObjectStore.WriteForbidden
    | AssetError
  >
  /** Adds a snapshot that no branch points at. */
  readonly detach: (
    branch: string,
    parent: SnapshotId,
    flushed: Commit.Flushed,
    options: Pick<Wanted, "moves" | "durable">
  ) => Effect.Effect<void, RepoChange.RefNotFound | RepoChange.RefForbidden | RepoObject.UpdateError>
  /** Puts the changes on whatever the branch has come to, again and again until they are in. */
  readonly rebase: (branch: string, wanted: Wanted) => Effect.Effect<Commit.Flushed, MoveError>
  /** The tip of a branch as it is now, and how to find what was committed before it. */
  readonly tip: (
    branch: string
  ) => Effect.Effect<
    { readonly snapshot: Snapshot.Snapshot; readonly history: History },
    RepoChange.RefNotFound | ObjectStore.WriteForbidden | AssetError
  >
}

/** Attempts to get changes in before the repository is said to be too busy. */
const maxAttempts = 100

/** Sessions whose commits go out together at most. */
const maxTogether = 64

/** Which of some commits is in the repository: the one at the tip of the branch before others. */
const committed = (
  { branches, snapshots }: RepoInfo.RepoInfo,
  branch: string,
  tried: ReadonlyMap<SnapshotId, Commit.Flushed>
): Commit.Flushed | undefined => {
  const tip = branches.get(branch)
  const atTip = tip === undefined ? undefined : tried.get(tip)
  return atTip ?? [...tried].find(([id]) => snapshots.has(id))?.[1]
}

/**
 * Ids of the logs of what was committed after a snapshot, oldest first; `undefined` when it is none of the ancestors. One
 * that has expired is still known by its log, which the snapshot after it has taken over.
 */
const logIds = (info: RepoInfo.RepoInfo, tip: SnapshotId, since: SnapshotId): ReadonlyArray<SnapshotId> | undefined => {
  const ids: Array<SnapshotId> = []
  for (let at: SnapshotId | undefined = tip; at !== since;) {
    const snapshot: SnapshotTable.SnapshotInfo | undefined = at === undefined ? undefined : info.snapshots.get(at)
    if (snapshot === undefined) return undefined
    const pruned: ReadonlyArray<SnapshotId> = snapshot.prunedAncestorTxLogs
    const expired = pruned.lastIndexOf(since)
    ids.push(snapshot.id, ...pruned.slice(expired + 1).toReversed())
    at = expired < 0 ? snapshot.parentId : since
  }
  return ids.toReversed()
}

/** Changes of a session, put on a snapshot, whose files are being written. */
interface Placed {
  readonly wanted: Wanted
  readonly flushed: Commit.Flushed
  readonly parentId: SnapshotId
}

/** An attempt has found that the branch is somewhere else than it was thought to be. */
interface HasMoved {
  readonly _tag: "HasMoved"
}

type Outcome = Exit.Exit<Commit.Flushed, MoveError>

/** What an attempt begins with; `isCertain` when it need not be looked whether it still is so. */
interface Start {
  readonly known: RepoObject.Versioned
  readonly isCertain: boolean
}

/**
 * Moves the branches of an open repository.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ assets, change, readRepo, store, withZstd }: Internals.Writing): BranchWriter => {
  const pace = Pace.make(RepoObject.randomShare)
  const historyOf =
    (branch: string, info: RepoInfo.RepoInfo, tip: SnapshotId, together: ReadonlyArray<Placed>): History =>
    (since) => {
      const about = { branch, expected: since, actual: tip }
      const ids = logIds(info, tip, since)
      if (ids === undefined) {
        const because = `snapshot \`${since}\`, on which the session was opened, is not among those before it: the branch was reset, or the snapshot was amended, or has expired without a trace`
        return Result.fail(new RebaseImpossible({ ...about, because }))
      }
      return Result.succeed(
        logsOf(assets.transactionLog, ids, about).pipe(
          Effect.map((logs) => [...logs, ...together.map(({ flushed }) => flushed.log)])
        )
      )
    }

  const tipOf = Effect.fnUntraced(function* (branch: string, info: RepoInfo.RepoInfo) {
    yield* RepoObject.ensureOnline(store, info)
    return yield* Effect.fromResult(RepoChange.branchTip(info, branch))
  })

  /** The changes of all that can be put there one on the other, and why the others cannot. */
  const place = Effect.fnUntraced(function* (
    branch: string,
    info: RepoInfo.RepoInfo,
    tip: SnapshotId,
    all: ReadonlyArray<Wanted>
  ) {
    const snapshot = yield* assets.snapshot(tip)
    const failed = new Map<Wanted, MoveError>()
    const own = all.length === 1 ? assets : (yield* withZstd(AssetWrites.chained))(assets)
    const placed = yield* Uploads.during(
      Effect.fnUntraced(function* (uploads: Commit.CommitUploads) {
        const placed: Array<Placed> = []
        for (const wanted of all) {
          const below = placed.at(-1)?.flushed.snapshot ?? snapshot
          const one = yield* wanted.onto(below, historyOf(branch, info, tip, [...placed])).pipe(
            Effect.flatMap((changed) => wanted.flush(own, uploads, changed)),
            Effect.result
          )
          if (Result.isFailure(one)) failed.set(wanted, one.failure)
          else placed.push({ wanted, flushed: one.success, parentId: below.id })
        }
        return placed
      })
    )
    return { placed, failed }
  })

  /** Makes what was placed the tip of the branch. */
  const write = (branch: string, from: RepoObject.Prepared, placed: readonly [Placed, ...ReadonlyArray<Placed>]) => {
    const infos = placed.map(({ flushed, parentId }) => RepoChange.newSnapshot(flushed.snapshot, parentId))
    const last = infos.at(-1)!.id
    const moves = placed.some(({ wanted }) => wanted.moves)
    const [{ parentId, wanted }] = placed
    const written =
      wanted.amends === undefined
        ? RepoChange.commit(branch, [infos[0]!, ...infos.slice(1)], { moves })
        : RepoChange.amend(branch, parentId, infos[0]!, { moves, force: wanted.amends.force })
    return change<
      RepoChange.CommitConflict | RepoChange.RefNotFound | RepoChange.RefForbidden | RepoChange.AmendRefused
    >(written, {
      from,
      after: Effect.forEach(placed, ({ wanted }) => wanted.durable, { concurrency: "unbounded", discard: true }),
      onWritten: () => {
        for (const { flushed, wanted } of placed) wanted.onMoved(flushed)
      },
      isWrittenIn: ({ snapshots }) => snapshots.has(last)
    })
  }

  /**
   * Tries once to get changes in, on top of the snapshot at which the branch is in `known`. What has no outcome then is to
   * be tried again.
   */
  const attempt = Effect.fnUntraced(function* (
    branch: string,
    all: ReadonlyArray<Wanted>,
    { isCertain, known }: Start,
    done: Map<Wanted, Outcome>
  ): Effect.fn.Return<void, Exclude<MoveError, RepoChange.CommitOutcomeUnknown | RepoChange.CommitConflict>> {
    const tip = yield* tipOf(branch, known.info)
    /** Fails when nothing is to be written any more: known before anything is written, or soon after. */
    const check = Effect.fnUntraced(function* (info: RepoInfo.RepoInfo) {
      for (const wanted of all) {
        const earlier = committed(info, branch, wanted.tried)
        if (earlier === undefined) continue
        wanted.onMoved(earlier)
        done.set(wanted, Exit.succeed(earlier))
      }
      const actual = yield* tipOf(branch, info)
      for (const wanted of all) {
        const { parent, rebases } = wanted
        if (rebases || parent === actual || done.has(wanted)) continue
        done.set(wanted, Exit.fail(new RepoChange.CommitConflict({ branch, expected: parent, actual })))
      }
      for (const wanted of all) {
        const { amends, parent } = wanted
        const problem =
          RepoChange.forbiddenMove(info, branch, wanted) ??
          (amends === undefined ? undefined : RepoChange.amendProblem(info, branch, parent, amends.force))
        if (problem !== undefined && !done.has(wanted)) done.set(wanted, Exit.fail(problem))
      }
      if (actual !== tip || all.some((wanted) => done.has(wanted))) {
        return yield* Effect.fail<HasMoved>({ _tag: "HasMoved" })
      }
    })
    // While the files are written it is found out whether the branch still is there; when it is not, no more of them are.
    const prepare = isCertain ? RepoObject.withCopy(store, known) : withZstd(RepoObject.prepare(store, check))
    const both = yield* (isCertain ? check(known.info) : Effect.void).pipe(
      Effect.andThen(Effect.all([prepare, place(branch, known.info, tip, all)], { concurrency: 2 })),
      Effect.catchTag("HasMoved", () => Effect.succeed(undefined))
    )
    if (both === undefined) return
    const [from, { failed, placed }] = both
    for (const [wanted, error] of failed) done.set(wanted, Exit.fail(error))
    const [first, ...rest] = placed
    if (first === undefined) return
    yield* write(branch, from, [first, ...rest]).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          for (const { flushed, wanted } of placed) done.set(wanted, Exit.succeed(flushed))
        })
      ),
      Effect.catchTag("CommitConflict", () => Effect.void),
      Effect.catchTag("OutcomeUnknown", ({ cause, problem }) =>
        Effect.sync(() => {
          for (const { flushed, wanted } of placed) {
            const snapshotId = flushed.snapshot.id
            done.set(wanted, Exit.fail(new RepoChange.CommitOutcomeUnknown({ branch, snapshotId, problem, cause })))
          }
        })
      )
    )
  })

  /** What the first attempt begins with: what is known, where it is likely to be right. */
  const first = Effect.fnUntraced(function* (branch: string, all: ReadonlyArray<Wanted>) {
    const known = RepoObject.known(store)
    if (known === undefined || all.some(({ tried }) => tried.size > 0))
      return { known: yield* readRepo, isCertain: true }
    // A session that does not begin there is not told so by what may have changed since.
    const isThere = all.every(({ parent }) => parent === known.info.branches.get(branch))
    if (isThere && (yield* RepoObject.isJustWritten(known))) return { known, isCertain: true }
    return isThere && (yield* Effect.isSuccess(RepoObject.ensureOnline(store, known.info)))
      ? { known, isCertain: false }
      : { known: yield* readRepo, isCertain: true }
  })

  /** Gets all in that can be got in. */
  const moveAll: (
    branch: string,
    pieces: ReadonlyArray<Batches.Piece<Wanted>>
  ) => Effect.Effect<ReadonlyArray<Outcome>> = Effect.fn("BranchWriter.move")(function* (branch, pieces) {
    const done = new Map<Wanted, Outcome>()
    let lost = 0
    for (;;) {
      const open = pieces.filter(({ isWanted, work }) => !done.has(work) && isWanted()).map(({ work }) => work)
      if (open.length === 0) break
      if (lost === maxAttempts) {
        const busy = new RepositoryBusy({ store: store.description, attempts: lost })
        for (const wanted of open) done.set(wanted, Exit.fail(busy))
        break
      }
      if (open.some(({ rebases }) => rebases)) yield* pace.wait
      const begun = yield* Clock.currentTimeMillis
      const tried = yield* Effect.gen(function* () {
        const meetsOthers = lost > 0 || (open.some(({ rebases }) => rebases) && pace.isContended())
        const start = meetsOthers ? { known: yield* readRepo, isCertain: true } : yield* first(branch, open)
        yield* attempt(branch, open, start, done)
      }).pipe(Effect.exit)
      if (Exit.isFailure(tried)) {
        // What one of them cannot write is no failure of the others.
        if (open.length === 1) done.set(open[0]!, Exit.failCause(tried.cause))
        for (const wanted of open.length === 1 ? [] : open) {
          const [outcome] = yield* moveAll(branch, [{ work: wanted, isWanted: () => true }])
          done.set(wanted, outcome!)
        }
        break
      }
      // Those that are in already, or can never be, are no others that were faster.
      if (open.some((wanted) => done.has(wanted))) continue
      lost++
      pace.lost((yield* Clock.currentTimeMillis) - begun)
    }
    pace.won(lost === 0)
    return pieces.map(({ work }) => done.get(work) ?? Exit.interrupt())
  })

  const queues = new Map<string, Batches.Batches<Wanted, Commit.Flushed, MoveError>>()
  const queue = (branch: string): Batches.Batches<Wanted, Commit.Flushed, MoveError> => {
    const known = queues.get(branch) ?? Batches.make((batch) => moveAll(branch, batch), maxTogether)
    queues.set(branch, known)
    return known
  }

  return {
    move: (branch, wanted) =>
      Effect.flatMap(moveAll(branch, [{ work: wanted, isWanted: () => true }]), ([outcome]) => outcome!),
    checkAmend: Effect.fnUntraced(function* (branch, tip, force) {
      const { info } = yield* readRepo
      const actual = yield* tipOf(branch, info)
      if (actual !== tip) return yield* new RepoChange.CommitConflict({ branch, expected: tip, actual })
      const problem = RepoChange.amendProblem(info, branch, tip, force)
      if (problem !== undefined) return yield* problem
    }),
    detach: (branch, parentId, flushed, { durable, moves }) =>
      change(RepoChange.detached(branch, RepoChange.newSnapshot(flushed.snapshot, parentId), { moves }), {
        after: durable,
        isWrittenIn: ({ snapshots }) => snapshots.has(flushed.snapshot.id)
      }),
    rebase: (branch, wanted) => Effect.suspend(() => queue(branch)(wanted)),
    tip: Effect.fnUntraced(function* (branch) {
      const { info } = yield* readRepo
      const tip = yield* tipOf(branch, info)
      return { snapshot: yield* assets.snapshot(tip), history: historyOf(branch, info, tip, []) }
    })
  }
}
