/**
 * "Did one of my writes of the repository object happen?" Pure.
 *
 * Before each write the object is copied under a new name, and whoever replaces an object records that name
 * in the operations log, at the entry that was the latest one until then. A writer whose answer was lost
 * looks for that entry: if the name there is one of its own the write happened, if it is another the race is
 * lost. The log of the newest object may be too short to have the entry; the copies that it points at
 * continue it.
 *
 * @since 0.1.0
 */
import type { RepoInfo } from "../../format/RepoInfo.ts"

/**
 * The writes that are looked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sought {
  /** The object that each of them was to replace. */
  readonly replaced: RepoInfo
  /** The names of the copies that were made before them. */
  readonly copies: ReadonlySet<string>
}

/**
 * - `Written`: one of the writes happened;
 * - `Pending`: the object that was to be replaced is still there; the write may be tried again;
 * - `Lost`: another writer replaced that object, so none of the writes can happen any more;
 * - `Before`: the log goes on in this copy of an older object;
 * - `Broken`: the log does not lead back to the object that was to be replaced.
 *
 * @category models
 * @since 0.1.0
 */
export type Finding =
  | { readonly _tag: "Written" }
  | { readonly _tag: "Pending" }
  | { readonly _tag: "Lost" }
  | { readonly _tag: "Before"; readonly copy: string }
  | { readonly _tag: "Broken"; readonly problem: string }

/**
 * What a page of the log says: the newest object (`isNewest`), or the copy that a later page pointed at.
 *
 * @category combinators
 * @since 0.1.0
 */
export const find = (page: RepoInfo, { copies, replaced }: Sought, isNewest: boolean): Finding => {
  const { latestUpdates, repoBeforeUpdates } = page
  // Times strictly increase, so that they identify entries.
  const since = replaced.latestUpdates[0]?.updatedAt
  if (isNewest && latestUpdates[0]?.updatedAt === since) return { _tag: "Pending" }
  for (const { backupPath, updatedAt } of latestUpdates) {
    if (backupPath !== undefined && copies.has(backupPath)) return { _tag: "Written" }
    if (updatedAt === since) return { _tag: "Lost" }
    if (since !== undefined && updatedAt < since) {
      return { _tag: "Broken", problem: "the operations log lacks the version that was to be replaced" }
    }
  }
  if (repoBeforeUpdates === undefined) {
    return since === undefined
      ? { _tag: "Lost" }
      : { _tag: "Broken", problem: "the operations log ends after the version that was to be replaced" }
  }
  if (copies.has(repoBeforeUpdates)) return { _tag: "Written" }
  // Whoever replaced an object with an empty log has a page that ends where that object did.
  if (since === undefined && repoBeforeUpdates === replaced.repoBeforeUpdates) return { _tag: "Lost" }
  return repoBeforeUpdates.includes("/")
    ? { _tag: "Broken", problem: `the operations log goes on in \`${repoBeforeUpdates}\`, which is not a name` }
    : { _tag: "Before", copy: repoBeforeUpdates }
}
