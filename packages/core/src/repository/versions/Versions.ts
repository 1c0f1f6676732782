/**
 * Where the versions of a repository are looked up. In spec version 2 that is the repository object; in spec version 1,
 * files of their own (`Spec1`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { RepoInfo, SnapshotInfo } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import type { VersionRef } from "../ReadonlyRepository.ts"
import { branchTip, RefNotFound, tagTarget } from "./RepoChange.ts"
import type { Versioned } from "./RepoObject.ts"

/**
 * A snapshot's id from a user's text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseSnapshotId = (text: string): Result.Result<SnapshotId, RefNotFound> =>
  Result.mapError(ObjectId.parseSnapshotId(text), () => new RefNotFound({ kind: "snapshot", name: text, known: [] }))

/**
 * The snapshot of a version, as the repository object has it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (info: RepoInfo, version: VersionRef): Result.Result<SnapshotId, RefNotFound> => {
  if ("branch" in version) return branchTip(info, version.branch)
  if ("tag" in version) return tagTarget(info, version.tag)
  return Result.flatMap(parseSnapshotId(version.snapshotId), (id) =>
    info.snapshots.has(id)
      ? Result.succeed(id)
      : Result.fail(new RefNotFound({ kind: "snapshot", name: id, known: [] }))
  )
}

/**
 * What is read to find a version, and where it is then.
 *
 * @category models
 * @since 0.1.0
 */
export interface Search {
  readonly info: Effect.Effect<Versioned, AssetError>
  readonly find: (info: RepoInfo) => Effect.Effect<SnapshotId, RefNotFound | AssetError>
}

/**
 * The versions of a repository, each time as they are then.
 *
 * @category models
 * @since 0.1.0
 */
export interface Versions {
  /** The repository object; in spec version 1 one that is made of all branches, tags and snapshots. */
  readonly all: Effect.Effect<Versioned, AssetError>
  readonly search: (version: VersionRef) => Search
  readonly branches: Effect.Effect<ReadonlyMap<string, SnapshotId>, AssetError>
  readonly tags: Effect.Effect<ReadonlyMap<string, SnapshotId>, AssetError>
  readonly history: (version: VersionRef) => Effect.Effect<ReadonlyArray<SnapshotInfo>, RefNotFound | AssetError>
}

/**
 * Those in the repository object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inRepoObject = (all: Versions["all"]): Versions => ({
  all,
  search: (version) => ({ info: all, find: (info) => Effect.fromResult(find(info, version)) }),
  // What is known is kept; each caller gets a map of its own.
  branches: Effect.map(all, ({ info }) => new Map(info.branches)),
  tags: Effect.map(all, ({ info }) => new Map(info.tags)),
  history: Effect.fnUntraced(function* (version) {
    const { info } = yield* all
    return SnapshotTable.ancestry(info.snapshots, yield* Effect.fromResult(find(info, version)))
  })
})
