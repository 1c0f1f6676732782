/**
 * Operations that may have led to a repository of spec version 1, which keeps no log of them. Pure.
 *
 * What each snapshot says of itself is the time of its commit; a branch or tag was made right after the snapshot that it is
 * at. Source: what the official engine writes when it migrates.
 *
 * @since 0.1.0
 */
import type { RepoInfo, SnapshotInfo, UpdateEntry } from "../../format/RepoInfo.ts"
import { Update } from "../../format/RepoUpdate.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"

/** A branch or tag is made so long after its snapshot, in microseconds. */
const after = 1000

type Timed = Omit<UpdateEntry, "backupPath">

/** The snapshots from one down to the first that is `seen`, oldest first; from then on they are seen. */
const unseen = (
  info: Pick<RepoInfo, "snapshots">,
  tip: SnapshotId,
  seen: Set<SnapshotId>
): ReadonlyArray<SnapshotInfo> => {
  const found: Array<SnapshotInfo> = []
  for (let next: SnapshotId | undefined = tip; next !== undefined && !seen.has(next);) {
    const snapshot: SnapshotInfo | undefined = info.snapshots.get(next)
    if (snapshot === undefined) break
    seen.add(next)
    found.push(snapshot)
    next = snapshot.parentId
  }
  return found.toReversed()
}

/**
 * The operations, latest first. Each has a time of its own. `deletedTags` says where those were, as far as it is known.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  info: Pick<RepoInfo, "branches" | "tags" | "snapshots">,
  deletedTags: ReadonlyMap<string, SnapshotId | undefined>
): ReadonlyArray<UpdateEntry> => {
  const main = info.branches.get("main")
  if (main === undefined) return []
  const seen = new Set<SnapshotId>()
  const [first, ...commits] = unseen(info, main, seen)
  const begin = first?.flushedAt ?? 0
  const timeOf = (id: SnapshotId): number => info.snapshots.get(id)?.flushedAt ?? begin
  const byName = <A>(map: ReadonlyMap<string, A>): ReadonlyArray<readonly [string, A]> =>
    Array.from(map).toSorted(([a], [b]) => NodePath.compare(a, b))
  const committed = (branch: string, { flushedAt, id }: SnapshotInfo): Timed => ({
    update: Update.NewCommit({ branch, newSnapshotId: id }),
    updatedAt: flushedAt
  })
  const branched = (name: string, tip: SnapshotId): ReadonlyArray<Timed> => {
    const created: Timed = { update: Update.BranchCreated({ name }), updatedAt: timeOf(tip) + after }
    const its = unseen(info, tip, seen).map((snapshot) => committed(name, snapshot))
    return name === "main" ? [] : [created, ...its]
  }
  const entries: ReadonlyArray<Timed> = [
    { update: Update.RepoInitialized(), updatedAt: begin },
    ...commits.map((snapshot) => committed("main", snapshot)),
    ...byName(info.branches).flatMap(([name, tip]) => branched(name, tip)),
    ...byName(info.tags).map(([name, id]): Timed => ({
      update: Update.TagCreated({ name }),
      updatedAt: timeOf(id) + after
    })),
    ...byName(deletedTags).flatMap(([name, id]): ReadonlyArray<Timed> =>
      id === undefined
        ? []
        : [
            { update: Update.TagCreated({ name }), updatedAt: timeOf(id) + after },
            { update: Update.TagDeleted({ name, previousSnapshotId: id }), updatedAt: timeOf(id) + 2 * after }
          ]
    )
  ]
  let latest = -1
  return entries
    .toSorted((a, b) => a.updatedAt - b.updatedAt)
    .map(({ update, updatedAt }): UpdateEntry => {
      latest = Math.max(updatedAt, latest + 1)
      return { update, updatedAt: latest, backupPath: undefined }
    })
    .toReversed()
}
