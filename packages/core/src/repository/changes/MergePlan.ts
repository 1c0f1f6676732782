/**
 * Which commits of another repository, as of a fork, are not in a branch yet, and what each of them did not know of. Pure.
 *
 * A commit that was put on another snapshot has another id. Its metadata names the commits that it was made of, under
 * `ic_merged_from`, so that each is brought in once, whichever way and however often two repositories are merged.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Metadata from "../../format/Metadata.ts"
import type * as RepoInfo from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import type { SnapshotInfo } from "../../format/SnapshotTable.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import * as RepoChange from "../versions/RepoChange.ts"

/**
 * Two branches have no snapshot in common from which one could be merged into the other, or none whose file is still there.
 *
 * @category errors
 * @since 0.1.0
 */
export class MergeImpossible
  extends /*#__PURE__*/ Data.TaggedError("MergeImpossible")<{
    /** The repository and branch that was to be merged into. */
    readonly into: string
    /** Where the commits are. */
    readonly from: string
    readonly because: string
  }>
{
  override get message(): string {
    return `\`${this.from}\` cannot be merged into \`${this.into}\`: ${this.because}. Nothing was changed.`
  }
}

/** The item of a commit's metadata that names the commits that it was made of. */
const mergedFrom = "ic_merged_from"

/**
 * The ids under which a commit is known: its own, and those of the commits that it was made of.
 *
 * @category accessors
 * @since 0.1.0
 */
export const namesOf = ({ id, metadata }: Pick<SnapshotInfo, "id" | "metadata">): ReadonlyArray<SnapshotId> => {
  const names = metadata[mergedFrom]
  const others = (Array.isArray(names) ? names : []).flatMap((name) => {
    const parsed = typeof name === "string" ? ObjectId.parseSnapshotId(name) : undefined
    return parsed === undefined || Result.isFailure(parsed) ? [] : [parsed.success]
  })
  return [id, ...others]
}

/**
 * The metadata of a commit that is made of another.
 *
 * @category combinators
 * @since 0.1.0
 */
export const metadataFrom = (commit: SnapshotInfo): Metadata.Metadata =>
  Metadata.including(commit.metadata, mergedFrom, [...namesOf(commit)])

/**
 * A commit that is to be brought in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Incoming {
  readonly commit: SnapshotInfo
  /** The snapshot that its changes are of. */
  readonly base: SnapshotId
  /** The transaction logs of its changes, oldest first. */
  readonly logs: ReadonlyArray<SnapshotId>
  /** The transaction logs of what the branch has, and the commit did not know of, oldest first. */
  readonly unknown: ReadonlyArray<SnapshotId>
}

/**
 * What a merge does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan {
  readonly branch: string
  /** The tip that the commits are put on. */
  readonly tip: SnapshotId
  /** The last snapshot that both branches have. */
  readonly base: SnapshotId
  /** Oldest first. */
  readonly commits: ReadonlyArray<Incoming>
  /**
   * Nothing was committed to the branch since the base: the commits go in as they are, with their ids. Else their changes
   * are put on its tip, and get ids of their own.
   */
  readonly isFastForward: boolean
}

/** The ids of the logs of a commit: those that were kept of expired ones before it, and its own. */
const logsOf = ({ id, prunedAncestorTxLogs }: SnapshotInfo): ReadonlyArray<SnapshotId> => [...prunedAncestorTxLogs, id]

/**
 * Plans a merge of a branch of `other` into a branch of `into`.
 *
 * @category decisions
 * @since 0.1.0
 */
export const plan = (
  into: RepoInfo.RepoInfo,
  other: RepoInfo.RepoInfo,
  options: { readonly branch: string; readonly from: string; readonly into: string; readonly other: string }
): Result.Result<Plan, RepoChange.RefNotFound | MergeImpossible> =>
  Result.gen(function* () {
    const { branch } = options
    const tip = yield* RepoChange.branchTip(into, branch)
    const theirTip = yield* RepoChange.branchTip(other, options.from)
    const ours = SnapshotTable.ancestry(into.snapshots, tip)
    const theirs = SnapshotTable.ancestry(other.snapshots, theirTip)
    const ids = new Set(ours.map(({ id }) => id))
    const common = theirs.findIndex(({ id }) => ids.has(id))
    if (common < 0) {
      return yield* Result.fail(
        new MergeImpossible({
          into: options.into,
          from: options.other,
          because: `branch \`${branch}\` has none of the snapshots of their branch \`${options.from}\`; either is not made from the other, or what they had in common has expired`
        })
      )
    }
    const base = theirs[common]!.id
    const since = ours.slice(
      0,
      ours.findIndex(({ id }) => id === base)
    )
    /** By each name that it has here, what is in the branch since the base. */
    const known = new Set(since.flatMap((commit) => [...namesOf(commit), ...commit.prunedAncestorTxLogs]))
    /** What of it the commits have seen so far. */
    const seen = new Set<SnapshotId>()
    let unknown = since.toReversed().flatMap((commit) => {
      const names = namesOf(commit)
      return logsOf(commit).map((log) => ({ log, names: log === commit.id ? names : [log] }))
    })
    const commits: Array<Incoming> = []
    const incoming = theirs.slice(0, common).toReversed()
    for (const commit of incoming) {
      const before = unknown
      // Logs that were kept of expired commits may be of some that the branch has.
      const pruned = commit.prunedAncestorTxLogs
      const last = pruned.findLastIndex((id) => known.has(id))
      const shared = pruned.slice(0, last + 1)
      for (const id of shared) seen.add(id)
      const names = namesOf(commit)
      const isKnown = names.some((name) => known.has(name))
      unknown = unknown.filter(({ names }) => !names.some((name) => seen.has(name)))
      if (!isKnown) {
        commits.push({
          commit,
          base: last < 0 ? commit.parentId! : pruned[last]!,
          logs: [...pruned.slice(last + 1), commit.id],
          unknown: (unknown.length === before.length ? before : unknown).map(({ log }) => log)
        })
      }
      for (const name of names) seen.add(name)
      for (const id of pruned) seen.add(id)
      unknown = unknown.filter(({ names }) => !names.some((name) => seen.has(name)))
    }
    const isFastForward =
      tip === base &&
      commits.length === incoming.length &&
      commits.every(({ base, commit }) => base === commit.parentId && !into.snapshots.has(commit.id))
    return { branch, tip, base, commits, isFastForward }
  })
