/**
 * Which snapshot is meant by a version, and whether it may be read. Pure.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import { RepositoryOffline } from "../RepositoryError.ts"
import { branchTip, RefNotFound, tagTarget } from "./RepoChange.ts"

/**
 * Which version of a repository to read: the tip of a branch, a branch as it was at a time, a tag, or any snapshot.
 *
 * `asOf` means the newest snapshot of the branch that was not written later. Times count in milliseconds, as a `DateTime`
 * has them: a snapshot is found by its own time.
 *
 * @category models
 * @since 0.1.0
 */
export type VersionRef =
  | { readonly branch: string; readonly asOf?: DateTime.DateTime | undefined }
  | { readonly tag: string }
  | { readonly snapshotId: string }

/**
 * A branch has no snapshot that is as old as what was asked for.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSnapshotAsOf
  extends /*#__PURE__*/ Data.TaggedError("NoSnapshotAsOf")<{
    readonly branch: string
    /** What was asked for, in milliseconds since 1970. */
    readonly asOf: number
    /** When the oldest snapshot of the branch was written, in milliseconds since 1970. */
    readonly oldest: number
  }>
{
  override get message(): string {
    const time = (value: number): string => `\`${new Date(value).toJSON()}\``
    return `Branch \`${this.branch}\` has no snapshot as of ${time(this.asOf)}: its oldest one is of ${time(this.oldest)}. Ask for that time or a later one.`
  }
}

/**
 * A snapshot's id from a user's text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseSnapshotId = (text: string): Result.Result<ObjectId.SnapshotId, RefNotFound> =>
  Result.mapError(ObjectId.parseSnapshotId(text), () => new RefNotFound({ kind: "snapshot", name: text, known: [] }))

/** Milliseconds of a time in microseconds. */
const milliseconds = (micros: number): number => Math.floor(micros / 1000)

const asOf = (
  info: RepoInfo,
  branch: string,
  time: number
): Result.Result<ObjectId.SnapshotId, RefNotFound | NoSnapshotAsOf> =>
  Result.flatMap(branchTip(info, branch), (tip) => {
    let oldest = 0
    for (const { flushedAt, id } of SnapshotTable.ancestors(info.snapshots, tip)) {
      oldest = milliseconds(flushedAt)
      if (oldest <= time) return Result.succeed(id)
    }
    return Result.fail(new NoSnapshotAsOf({ branch, asOf: time, oldest }))
  })

/**
 * The snapshot that a version is.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (
  info: RepoInfo,
  version: VersionRef
): Result.Result<ObjectId.SnapshotId, RefNotFound | NoSnapshotAsOf> => {
  if ("branch" in version) {
    return version.asOf === undefined
      ? branchTip(info, version.branch)
      : asOf(info, version.branch, version.asOf.epochMilliseconds)
  }
  if ("tag" in version) return tagTarget(info, version.tag)
  return Result.flatMap(parseSnapshotId(version.snapshotId), (id) =>
    info.snapshots.has(id)
      ? Result.succeed(id)
      : Result.fail(new RefNotFound({ kind: "snapshot", name: id, known: [] }))
  )
}

/**
 * Fails when the repository has been set offline. `store` is how the store names itself.
 *
 * @category predicates
 * @since 0.1.0
 */
export const ensureReadable = (store: string, { status }: RepoInfo): Result.Result<void, RepositoryOffline> =>
  status.availability === "Offline" ? Result.fail(new RepositoryOffline({ store, reason: status.reason })) : Result.void
