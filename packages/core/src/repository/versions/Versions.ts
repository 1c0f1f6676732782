/**
 * Where the versions of a repository are looked up. In spec version 2 that is the repository object; in spec version 1,
 * files of their own (`Spec1`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { RepoInfo, SnapshotInfo } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import type { RefNotFound } from "./RepoChange.ts"
import type { Versioned } from "./RepoObject.ts"
import { find, type NoSnapshotAsOf, type VersionRef } from "./Version.ts"

/**
 * What is read to find a version, and where it is then.
 *
 * @category models
 * @since 0.1.0
 */
export interface Search {
  readonly info: Effect.Effect<Versioned, AssetError>
  readonly find: (info: RepoInfo) => Effect.Effect<SnapshotId, RefNotFound | NoSnapshotAsOf | AssetError>
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
  readonly history: (
    version: VersionRef
  ) => Effect.Effect<ReadonlyArray<SnapshotInfo>, RefNotFound | NoSnapshotAsOf | AssetError>
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
