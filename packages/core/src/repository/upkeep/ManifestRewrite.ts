/**
 * Rewriting manifests: what the configuration says of splitting is done to the refs that are there already.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ManifestTooLarge } from "../../format/manifest/ManifestWriter.ts"
import type { Snapshot } from "../../format/Snapshot.ts"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import type { JsonObject } from "../../values/Json.ts"
import type { NodePath } from "../../values/NodePath.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { InvalidConfig, RepositoryConfig } from "../../values/RepositoryConfig.ts"
import * as ZarrMetadata from "../../values/ZarrMetadata.ts"
import { Deferred } from "../AssetWrites.ts"
import { ChangedSnapshot } from "../changes/ChangedSnapshot.ts"
import * as Commit from "../changes/Commit.ts"
import * as ManifestSplit from "../changes/ManifestSplit.ts"
import * as Uploads from "../changes/Uploads.ts"
import { gridShape } from "../ChunkReads.ts"
import * as Internals from "../Internals.ts"
import type { RepositoryShape } from "../Repository.ts"
import { RepositoryBusy } from "../RepositoryError.ts"
import * as SplitExpressions from "../SplitExpressions.ts"
import * as RepoChange from "../versions/RepoChange.ts"
import * as RepoObject from "../versions/RepoObject.ts"

/**
 * How manifests are rewritten.
 *
 * @category models
 * @since 0.1.0
 */
export interface RewriteOptions {
  /** Default `main`. */
  readonly branch?: string | undefined
  /** Default `Rewrite manifests`. */
  readonly message?: string | undefined
  readonly metadata?: JsonObject | undefined
  /** Rewrites also the manifests that are as the configuration has them (default `false`). */
  readonly all?: boolean | undefined
  /** Changes nothing. */
  readonly dryRun?: boolean | undefined
}

/**
 * An array some of whose manifests are rewritten: how many.
 *
 * @category models
 * @since 0.1.0
 */
export interface RewrittenArray {
  readonly path: NodePath
  /** Manifests that are written anew. */
  readonly rewritten: number
  /** Manifests that stay as they are. */
  readonly kept: number
}

/**
 * What a rewrite did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rewrite {
  /** The tip of the branch: a new snapshot when there was something to rewrite. */
  readonly snapshotId: SnapshotId
  readonly arrays: ReadonlyArray<RewrittenArray>
}

/**
 * Why manifests cannot be rewritten.
 *
 * @category errors
 * @since 0.1.0
 */
export type RewriteError =
  | RepoChange.RefNotFound
  | ManifestTooLarge
  | InvalidConfig
  | ZarrMetadata.InvalidMetadata
  | RepoObject.UpdateError

/**
 * Plans a rewrite: the arrays that have manifests which are not as the configuration has them, or all with `all`. Pure.
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan = (
  { nodes }: Pick<Snapshot, "nodes">,
  config: RepositoryConfig,
  expressions: SplitExpressions.Expressions,
  rewrite: "all" | "unfit"
): ReadonlyArray<RewrittenArray> =>
  nodes.flatMap(({ data, path }) => {
    if (data._tag === "Group") return []
    const grid = gridShape(data)
    const sizes = ManifestSplit.boxSizes(config, expressions, {
      path,
      gridShape: grid,
      dimensionNames: data.dimensionNames
    })
    const { kept, replaced } = ManifestSplit.rewritePlan({ manifests: data.manifests, gridShape: grid, sizes }, rewrite)
    return replaced.length === 0 ? [] : [{ path, rewritten: replaced.length, kept: kept.length }]
  })

/** How often the branch may move meanwhile. */
const maxRounds = 20

/**
 * Writes the refs of a branch into manifests as the configuration now divides them, and commits that. Chunks stay where they
 * are, and what is read is the same. Where everything is as it should be nothing is written. Commits that others make
 * meanwhile stay: the rewrite begins anew on top of them.
 *
 * @category maintenance
 * @since 0.1.0
 */
export const rewriteManifests = /*#__PURE__*/ Effect.fn("Maintenance.rewriteManifests")(function* (
  repository: RepositoryShape,
  options: RewriteOptions = {}
): Effect.fn.Return<Rewrite, RewriteError> {
  const { assets, change, config, newest, store } = Internals.writing(repository)
  const { branch = "main", message = "Rewrite manifests" } = options
  const rewrite = options.all === true ? "all" : "unfit"
  const metadata = yield* Effect.fromResult(ZarrMetadata.ofCommit(options.metadata ?? {}))
  if (options.dryRun !== true) yield* ObjectStore.ensureWritable(store)
  for (let round = 1; ; round++) {
    const { snapshot } = yield* newest((info) =>
      Effect.andThen(
        options.dryRun === true ? Effect.void : RepoObject.ensureOnline(store, info),
        Effect.fromResult(RepoChange.branchTip(info, branch))
      )
    )
    const current = config.current()
    const arrays = plan(snapshot, current, yield* SplitExpressions.load(current), rewrite)
    if (arrays.length === 0 || options.dryRun === true) return { snapshotId: snapshot.id, arrays }
    const files = DeferredWrites.make()
    const now = yield* Clock.currentTimeMillis
    const written = yield* Uploads.during((uploads: Commit.CommitUploads) =>
      Commit.flush(assets, uploads, new ChangedSnapshot(snapshot), {
        config: current,
        message,
        metadata,
        rewrite,
        made: new Map(),
        flushedAt: Commit.flushedAt(now, snapshot)
      })
    ).pipe(Effect.provideService(Deferred, files))
    const { id } = written.snapshot
    const commit = RepoChange.commit(branch, [RepoChange.newSnapshot(written.snapshot, snapshot.id)])
    const isIn = yield* change(commit, {
      after: DeferredWrites.settleAll(files),
      isWrittenIn: ({ snapshots }) => snapshots.has(id)
    }).pipe(
      Effect.as(true),
      Effect.catchTag("CommitConflict", () => Effect.succeed(false))
    )
    if (isIn) return { snapshotId: id, arrays }
    if (round >= maxRounds) return yield* new RepositoryBusy({ store: store.description, attempts: round })
  }
})
