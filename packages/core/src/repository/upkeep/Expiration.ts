/**
 * Expiration: old snapshots leave the history. One write of the repository object; files are left to the garbage
 * collection.
 *
 * Source: Icechunk spec 2.1, and what Icechunk 2.2 does where the specification is silent.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { RepoInfo, SnapshotInfo } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import * as Internals from "../Internals.ts"
import type { RepositoryShape } from "../Repository.ts"
import type { Change, Changed } from "../versions/RepoChange.ts"
import type { UpdateError } from "../versions/RepoObject.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as Cutoff from "./Cutoff.ts"
import * as Reparenting from "./Reparenting.ts"

/**
 * What becomes of branches and tags that are at an expired snapshot: those that stay keep it from expiring, the others
 * are deleted with it. `main` stays in any case.
 *
 * @category models
 * @since 0.1.0
 */
export interface RefPolicy {
  /** Default `keep`. */
  readonly expiredBranches?: "keep" | "delete" | undefined
  /** Default `keep`. The name of a deleted tag is not used again. */
  readonly expiredTags?: "keep" | "delete" | undefined
}

/**
 * What an expiration does to a repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExpirationPlan {
  /** Snapshots that leave the history. */
  readonly released: ReadonlyArray<SnapshotId>
  /** Snapshots that stay and get another parent, with the logs that they take over. */
  readonly edited: ReadonlyArray<Pick<SnapshotInfo, "id" | "parentId" | "prunedAncestorTxLogs">>
  readonly deletedBranches: ReadonlyArray<string>
  readonly deletedTags: ReadonlyArray<string>
}

const namesAt = (
  refs: ReadonlyMap<string, SnapshotId>,
  ids: ReadonlySet<SnapshotId>,
  keep?: string
): ReadonlyArray<string> => [...refs].filter(([name, id]) => name !== keep && ids.has(id)).map(([name]) => name)

/**
 * Plans an expiration. Snapshots that were committed before a time, in microseconds since 1970, expire, but not those
 * without a parent. One whose parent expires gets its root as the parent, and takes over the logs of all in between, those
 * that a tag or a branch keeps included. Pure.
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan = (info: RepoInfo, before: number, policy: RefPolicy = {}): ExpirationPlan => {
  const infos = new Map(info.snapshots)
  const expired = new Set<SnapshotId>()
  for (const { flushedAt, id, parentId } of infos.values()) {
    if (flushedAt < before && parentId !== undefined) expired.add(id)
  }
  const kept = new Set<SnapshotId>()
  if (policy.expiredTags !== "delete") for (const id of info.tags.values()) kept.add(id)
  for (const [name, id] of info.branches) if (policy.expiredBranches !== "delete" || name === "main") kept.add(id)
  const released = [...expired].filter((id) => !kept.has(id))
  const isReleased = new Set(released)
  const edited = [...infos.values()]
    .filter(({ id, parentId }) => !isReleased.has(id) && parentId !== undefined && isReleased.has(parentId))
    .map((snapshot) => {
      const { id, parentId, prunedAncestorTxLogs } = Reparenting.reparented(infos, snapshot, () => false)
      return { id, parentId, prunedAncestorTxLogs }
    })
  return {
    released,
    edited,
    deletedBranches: policy.expiredBranches === "delete" ? namesAt(info.branches, expired, "main") : [],
    deletedTags: policy.expiredTags === "delete" ? namesAt(info.tags, expired) : []
  }
}

/**
 * Whether a plan changes nothing.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isEmpty = ({ deletedBranches, deletedTags, released }: ExpirationPlan): boolean =>
  released.length + deletedBranches.length + deletedTags.length === 0

const without = <A>(map: ReadonlyMap<string, A>, names: ReadonlyArray<string>): ReadonlyMap<string, A> => {
  const gone = new Set(names)
  return new Map([...map].filter(([name]) => !gone.has(name)))
}

/**
 * The repository object after an expiration that was planned for it. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply = (info: RepoInfo, { deletedBranches, deletedTags, edited, released }: ExpirationPlan): Changed => {
  const snapshots = new Map(info.snapshots)
  for (const id of released) snapshots.delete(id)
  for (const edit of edited) snapshots.set(edit.id, { ...snapshots.get(edit.id)!, ...edit })
  return {
    info: {
      ...info,
      snapshots: SnapshotTable.of(snapshots),
      branches: without(info.branches, deletedBranches),
      tags: without(info.tags, deletedTags),
      deletedTags: new Set([...info.deletedTags, ...deletedTags])
    },
    update: { _tag: "ExpirationRan" }
  }
}

/**
 * Since when snapshots have expired, by the time of their commit, and what becomes of branches and tags.
 *
 * @category models
 * @since 0.1.0
 */
export type ExpireOptions = Cutoff.Age & RefPolicy & { /** Changes nothing. */ readonly dryRun?: boolean | undefined }

/** Others did it meanwhile, or refs that keep what would expire. */
class NothingExpired extends /*#__PURE__*/ Data.TaggedError("NothingExpired")<{}> {}

/**
 * Takes old snapshots out of the history, in one write. A history that had them goes on from its first snapshot, and the
 * transaction logs of those in between stay with the next one. Returns what was done; where nothing has expired nothing is
 * written.
 *
 * Fails with `InvalidCutoff` for a time that is none or lies in the future.
 *
 * @example
 * ```ts
 * yield* Maintenance.expire(repository, { olderThan: "30 days", expiredTags: "keep" })
 * ```
 *
 * @category maintenance
 * @since 0.1.0
 */
export const expire = /*#__PURE__*/ Effect.fn("Maintenance.expire")(function* (
  repository: RepositoryShape,
  options: ExpireOptions
): Effect.fn.Return<ExpirationPlan, Cutoff.InvalidCutoff | UpdateError> {
  const { change, readRepo, store } = Internals.writing(repository)
  const now = yield* Clock.currentTimeMillis
  const cutoff = yield* Effect.fromResult(Cutoff.resolve(options, now))
  yield* Effect.fromResult(Cutoff.check(cutoff, { now, minimumAge: 0, sessions: [] }))
  const planFor = (info: RepoInfo): ExpirationPlan => plan(info, cutoff * 1000, options)
  if (options.dryRun === true) return planFor((yield* readRepo).info)
  yield* ObjectStore.ensureWritable(store)
  const { info } = yield* readRepo
  yield* RepoObject.ensureOnline(store, info)
  let done = planFor(info)
  if (isEmpty(done)) return done
  const planned: Change<NothingExpired> = (now) => {
    done = planFor(now)
    return isEmpty(done) ? Result.fail(new NothingExpired()) : Result.succeed(apply(now, done))
  }
  yield* Effect.catchTag(change(planned), "NothingExpired", () => Effect.void)
  return done
})
