/**
 * Changes of the repository object, as functions from one to the next. Pure: who reads, retries and
 * writes is `RepoObject`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import type { RepoInfo, SnapshotInfo, Update } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import { RefNotFound } from "./RefNotFound.ts"
import * as FeatureFlags from "./FeatureFlags.ts"

export { RefNotFound }

/**
 * A branch or tag cannot get this name.
 *
 * @category errors
 * @since 0.1.0
 */
export class RefForbidden
  extends /*#__PURE__*/ Data.TaggedError("RefForbidden")<{
    readonly kind: "branch" | "tag"
    readonly name: string
    readonly because: string
  }>
{
  override get message(): string {
    return `The ${this.kind} \`${this.name}\` was not changed: ${this.because}`
  }
}

/**
 * The branch has moved since the session was opened. Nothing of the session's changes is visible.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommitConflict
  extends /*#__PURE__*/ Data.TaggedError("CommitConflict")<{
    readonly branch: string
    /** The snapshot that the session was opened on. */
    readonly expected: string
    /** The snapshot that the branch is at now. */
    readonly actual: string
  }>
{
  override get message(): string {
    return `Branch \`${this.branch}\` has moved from \`${this.expected}\` to \`${this.actual}\` since the session was opened. Open a new session on the branch, apply the changes again and commit.`
  }
}

/**
 * The tip of a branch is not replaced by another snapshot: it is the first one, or something would be lost. Nothing was
 * changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class AmendRefused
  extends /*#__PURE__*/ Data.TaggedError("AmendRefused")<{
    readonly branch: string
    /** The tip that was to be replaced. */
    readonly snapshotId: string
    readonly because: string
    /** Whether `force: true` would replace it all the same. */
    readonly canBeForced: boolean
  }>
{
  override get message(): string {
    const what = this.canBeForced
      ? "Commit on top of it instead, or pass `force: true` when that does not matter."
      : "Commit on top of it instead."
    return `Snapshot \`${this.snapshotId}\`, the tip of branch \`${this.branch}\`, was not amended: ${this.because}. ${what}`
  }
}

/**
 * It is not known whether a commit succeeded: the store did not answer, and what is there now could not be read.
 * The session keeps its changes, and its next `commit` finds out.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommitOutcomeUnknown
  extends /*#__PURE__*/ Data.TaggedError("CommitOutcomeUnknown")<{
    readonly branch: string
    /** The snapshot that the branch is at if the commit succeeded. */
    readonly snapshotId: string
    readonly problem: string
    readonly cause: unknown
  }>
{
  override get message(): string {
    return `It is not known whether snapshot \`${this.snapshotId}\` was committed to branch \`${this.branch}\`: the answer of the store was lost, and what is there now could not be found out (${this.problem}). Call \`commit\` of the same session again: it settles this and never commits twice.`
  }
}

/**
 * One change: the new repository object without its new entry in the operations log, and what that entry
 * says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changed {
  readonly info: RepoInfo
  readonly update: Update
  /** What else was done along with it, before it: oldest first, an entry each. */
  readonly earlier?: ReadonlyArray<Update> | undefined
}

/**
 * A change that is tried on each version of the repository object that is met.
 *
 * @category models
 * @since 0.1.0
 */
export type Change<E> = (info: RepoInfo) => Result.Result<Changed, E>

/**
 * The snapshot at the tip of a branch.
 *
 * @category accessors
 * @since 0.1.0
 */
export const branchTip = (info: RepoInfo, branch: string): Result.Result<SnapshotId, RefNotFound> => {
  const tip = info.branches.get(branch)
  return tip === undefined
    ? Result.fail(new RefNotFound({ kind: "branch", name: branch, known: [...info.branches.keys()] }))
    : Result.succeed(tip)
}

/**
 * The snapshot of a tag.
 *
 * @category accessors
 * @since 0.1.0
 */
export const tagTarget = (info: RepoInfo, tag: string): Result.Result<SnapshotId, RefNotFound> => {
  const target = info.tags.get(tag)
  return target === undefined
    ? Result.fail(new RefNotFound({ kind: "tag", name: tag, known: [...info.tags.keys()] }))
    : Result.succeed(target)
}

const knownSnapshot = (info: RepoInfo, id: SnapshotId): Result.Result<SnapshotInfo, RefNotFound> => {
  const snapshot = info.snapshots.get(id)
  return snapshot === undefined
    ? Result.fail(new RefNotFound({ kind: "snapshot", name: id, known: [] }))
    : Result.succeed(snapshot)
}

/** As in Icechunk, a name is any text, also with `/`; one that is empty cannot be asked for in most places. */
const nameProblem = (name: string): string | undefined =>
  name === ""
    ? "a name must not be empty"
    : name.isWellFormed()
      ? undefined
      : "a name must be well-formed Unicode, this one has an unpaired surrogate"

/** In the order of the file, which is that of the names. */
const withEntry = <A>(map: ReadonlyMap<string, A>, name: string, value: A): ReadonlyMap<string, A> =>
  map.has(name)
    ? new Map(map).set(name, value)
    : new Map([...map, [name, value] as const].toSorted(([a], [b]) => NodePath.compare(a, b)))

const withoutEntry = <A>(map: ReadonlyMap<string, A>, name: string): ReadonlyMap<string, A> =>
  new Map([...map].filter(([key]) => key !== name))

/**
 * New snapshots at the tip of a branch, each the parent of the next. The branch must still be at the parent of the first.
 *
 * @category changes
 * @since 0.1.0
 */
export function commit(
  branch: string,
  snapshots: readonly [NewSnapshot, ...ReadonlyArray<NewSnapshot>]
): Change<RefNotFound | CommitConflict>
export function commit(
  branch: string,
  snapshots: readonly [NewSnapshot, ...ReadonlyArray<NewSnapshot>],
  options: CommitOptions
): Change<RefNotFound | RefForbidden | CommitConflict>
export function commit(
  branch: string,
  snapshots: readonly [NewSnapshot, ...ReadonlyArray<NewSnapshot>],
  options?: CommitOptions
): Change<RefNotFound | RefForbidden | CommitConflict> {
  return (info) =>
    Result.flatMap(branchTip(info, branch), (tip): Result.Result<Changed, RefForbidden | CommitConflict> => {
      const [{ parentId }] = snapshots
      if (tip !== parentId) return Result.fail(new CommitConflict({ branch, expected: parentId, actual: tip }))
      const forbidden = forbiddenMove(info, branch, options)
      if (forbidden !== undefined) return Result.fail(forbidden)
      const updates = snapshots.map(({ id }): Update => ({ _tag: "NewCommit", branch, newSnapshotId: id }))
      return Result.succeed({
        info: {
          ...info,
          snapshots: snapshots.reduce(SnapshotTable.including, info.snapshots),
          branches: withEntry(info.branches, branch, snapshots.at(-1)!.id)
        },
        update: updates.at(-1)!,
        earlier: updates.slice(0, -1)
      })
    })
}

/**
 * What is new in snapshots, as far as a repository can forbid it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommitOptions {
  /** Whether nodes are moved. */
  readonly moves?: boolean | undefined
}

/**
 * Why nodes cannot be moved in a branch, if they are and cannot.
 *
 * @category predicates
 * @since 0.1.0
 */
export const forbiddenMove = (
  info: RepoInfo,
  branch: string,
  options: CommitOptions | undefined
): RefForbidden | undefined => {
  const because = options?.moves === true ? FeatureFlags.problem(info, "move_node") : undefined
  return because === undefined ? undefined : new RefForbidden({ kind: "branch", name: branch, because })
}

/** What goes on from a snapshot, in words, beside the branch of which it is the tip. */
const userOf = (info: RepoInfo, branch: string, tip: SnapshotId): string | undefined => {
  for (const [name, at] of info.branches) if (at === tip && name !== branch) return `branch \`${name}\` is at it, too`
  for (const [name, at] of info.tags) if (at === tip) return `tag \`${name}\` is at it`
  for (const { id, parentId } of info.snapshots.values()) {
    if (parentId === tip) return `snapshot \`${id}\` was made on top of it`
  }
  return undefined
}

/**
 * Why the tip of a branch cannot be amended, if it cannot.
 *
 * @category predicates
 * @since 0.1.0
 */
export const amendProblem = (
  info: RepoInfo,
  branch: string,
  tip: SnapshotId,
  force: boolean
): AmendRefused | undefined => {
  const refused = (because: string, canBeForced: boolean): AmendRefused =>
    new AmendRefused({ branch, snapshotId: tip, because, canBeForced })
  if (info.snapshots.get(tip)?.parentId === undefined) {
    return refused("it is the first snapshot of the repository", false)
  }
  const user = force ? undefined : userOf(info, branch, tip)
  return user === undefined ? undefined : refused(user, true)
}

/**
 * Another snapshot in the place of the tip of a branch, which must still be there, with the same parent. The old one stays
 * in the list until it is collected. Unless forced, nothing else goes on from the old one.
 *
 * @category changes
 * @since 0.1.0
 */
export const amend =
  (
    branch: string,
    tip: SnapshotId,
    snapshot: Omit<SnapshotInfo, "parentId" | "prunedAncestorTxLogs">,
    options: CommitOptions & { readonly force: boolean }
  ): Change<RefNotFound | RefForbidden | CommitConflict | AmendRefused> =>
  (info) =>
    Result.flatMap(
      branchTip(info, branch),
      (actual): Result.Result<Changed, CommitConflict | RefForbidden | AmendRefused> => {
        if (actual !== tip) return Result.fail(new CommitConflict({ branch, expected: tip, actual }))
        const problem = forbiddenMove(info, branch, options) ?? amendProblem(info, branch, tip, options.force)
        if (problem !== undefined) return Result.fail(problem)
        const { parentId, prunedAncestorTxLogs } = info.snapshots.get(tip)!
        return Result.succeed({
          info: {
            ...info,
            snapshots: SnapshotTable.including(info.snapshots, { ...snapshot, parentId, prunedAncestorTxLogs }),
            branches: withEntry(info.branches, branch, snapshot.id)
          },
          update: { _tag: "CommitAmended", branch, previousSnapshotId: tip, newSnapshotId: snapshot.id }
        })
      }
    )

/**
 * A new snapshot that no branch points at.
 *
 * @category changes
 * @since 0.1.0
 */
export const detached =
  (branch: string, snapshot: NewSnapshot, options?: CommitOptions): Change<RefNotFound | RefForbidden> =>
  (info) =>
    Result.flatMap(knownSnapshot(info, snapshot.parentId), (): Result.Result<Changed, RefForbidden> => {
      const forbidden = forbiddenMove(info, branch, options)
      if (forbidden !== undefined) return Result.fail(forbidden)
      return Result.succeed({
        info: { ...info, snapshots: SnapshotTable.including(info.snapshots, snapshot) },
        update: { _tag: "NewDetachedSnapshot", newSnapshotId: snapshot.id }
      })
    })

/**
 * A snapshot that is not the first.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewSnapshot extends SnapshotInfo {
  readonly parentId: SnapshotId
}

/**
 * What the repository object says of a snapshot that was just written.
 *
 * @category constructors
 * @since 0.1.0
 */
export const newSnapshot = (
  { flushedAt, id, message, metadata }: Pick<NewSnapshot, "flushedAt" | "id" | "message" | "metadata">,
  parentId: SnapshotId
): NewSnapshot => ({ id, parentId, flushedAt, message, metadata, prunedAncestorTxLogs: [] })

/**
 * A new branch at a snapshot.
 *
 * @category changes
 * @since 0.1.0
 */
export const createBranch =
  (name: string, target: SnapshotId): Change<RefNotFound | RefForbidden> =>
  (info) =>
    Result.flatMap(knownSnapshot(info, target), (): Result.Result<Changed, RefForbidden> => {
      const because = nameProblem(name) ?? (info.branches.has(name) ? "it exists already" : undefined)
      if (because !== undefined) return Result.fail(new RefForbidden({ kind: "branch", name, because }))
      return Result.succeed({
        info: { ...info, branches: withEntry(info.branches, name, target) },
        update: { _tag: "BranchCreated", name }
      })
    })

/**
 * Removes a branch; `main` stays.
 *
 * @category changes
 * @since 0.1.0
 */
export const deleteBranch =
  (name: string): Change<RefNotFound | RefForbidden> =>
  (info) =>
    Result.flatMap(branchTip(info, name), (previousSnapshotId): Result.Result<Changed, RefForbidden> => {
      if (name === "main") {
        return Result.fail(new RefForbidden({ kind: "branch", name, because: "every repository has a branch `main`" }))
      }
      return Result.succeed({
        info: { ...info, branches: withoutEntry(info.branches, name) },
        update: { _tag: "BranchDeleted", name, previousSnapshotId }
      })
    })

/**
 * Points a branch at another snapshot; with `expected`, only when it still is at that one.
 *
 * @category changes
 * @since 0.1.0
 */
export const resetBranch =
  (name: string, target: SnapshotId, expected?: SnapshotId): Change<RefNotFound | CommitConflict> =>
  (info) =>
    Result.flatMap(knownSnapshot(info, target), () =>
      Result.flatMap(branchTip(info, name), (previousSnapshotId): Result.Result<Changed, CommitConflict> => {
        if (expected !== undefined && expected !== previousSnapshotId) {
          return Result.fail(new CommitConflict({ branch: name, expected, actual: previousSnapshotId }))
        }
        return Result.succeed({
          info: { ...info, branches: withEntry(info.branches, name, target) },
          update: { _tag: "BranchReset", name, previousSnapshotId }
        })
      })
    )

/**
 * A new tag; tags never move, and a deleted one does not return.
 *
 * @category changes
 * @since 0.1.0
 */
export const createTag =
  (name: string, target: SnapshotId): Change<RefNotFound | RefForbidden> =>
  (info) =>
    Result.flatMap(knownSnapshot(info, target), (): Result.Result<Changed, RefForbidden> => {
      const because =
        nameProblem(name) ??
        (info.tags.has(name)
          ? "it exists already, and tags do not move"
          : info.deletedTags.has(name)
            ? "a tag of this name was deleted, and its name is not used again"
            : FeatureFlags.problem(info, "create_tag"))
      if (because !== undefined) return Result.fail(new RefForbidden({ kind: "tag", name, because }))
      return Result.succeed({
        info: { ...info, tags: withEntry(info.tags, name, target) },
        update: { _tag: "TagCreated", name }
      })
    })

/**
 * Removes a tag for good.
 *
 * @category changes
 * @since 0.1.0
 */
export const deleteTag =
  (name: string): Change<RefNotFound | RefForbidden> =>
  (info) =>
    Result.flatMap(tagTarget(info, name), (previousSnapshotId): Result.Result<Changed, RefForbidden> => {
      const because = FeatureFlags.problem(info, "delete_tag")
      if (because !== undefined) return Result.fail(new RefForbidden({ kind: "tag", name, because }))
      return Result.succeed({
        info: {
          ...info,
          tags: withoutEntry(info.tags, name),
          deletedTags: new Set([...info.deletedTags, name].toSorted(NodePath.compare))
        },
        update: { _tag: "TagDeleted", name, previousSnapshotId }
      })
    })

/**
 * Replaces the configuration that Icechunk itself carries.
 *
 * @category changes
 * @since 0.1.0
 */
export const setConfig =
  (config: Uint8Array): Change<never> =>
  (info) =>
    Result.succeed({ info: { ...info, config }, update: { _tag: "ConfigChanged" } })

/**
 * Adds the entry of a change to the operations log: `backup` names the copy of the object that is
 * replaced; times strictly increase; the log keeps at most `limit` entries and then points at the copy
 * that holds the older ones. Source: Icechunk spec 2, "Update".
 *
 * The name of the copy is always in the result: by it a writer recognises its own work (`OwnWrite`).
 *
 * @category changes
 * @since 0.1.0
 */
export const log = (
  changed: Changed,
  options: { readonly now: number; readonly backup: string; readonly limit: number }
): RepoInfo => {
  const [latest, ...older] = changed.info.latestUpdates
  const since = Math.max(options.now, latest === undefined ? 0 : latest.updatedAt + 1)
  // Only of what was replaced there is a copy: not of what lies between two changes that were made at once.
  const now = [...(changed.earlier ?? []), changed.update]
    .map((update, i) => ({ update, updatedAt: since + i, backupPath: undefined }))
    .toReversed()
  if (latest === undefined) return { ...changed.info, latestUpdates: now, repoBeforeUpdates: options.backup }
  const entries = [...now, { ...latest, backupPath: options.backup }, ...older]
  // The chain continues at the first entry that is left out and has a copy to point at.
  const overflow = entries.findIndex(({ backupPath }, i) => i >= options.limit && backupPath !== undefined)
  return overflow < 0
    ? { ...changed.info, latestUpdates: entries }
    : {
        ...changed.info,
        latestUpdates: entries.slice(0, overflow),
        repoBeforeUpdates: entries[overflow]!.backupPath
      }
}
