/**
 * What a migration from spec version 1 to 2 writes, and what it adds to it when others go on writing version 1 in the
 * meantime. Pure.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Flexbuffer from "../../encoding/Flexbuffer.ts"
import type { RepoInfo, SnapshotInfo, UpdateEntry } from "../../format/RepoInfo.ts"
import { Update } from "../../format/RepoUpdate.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
import * as Bytes from "../../values/Bytes.ts"
import type { Json } from "../../values/Json.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { Changed } from "../versions/RepoChange.ts"
import * as Spec1Refs from "../versions/Spec1Refs.ts"
import * as SyntheticLog from "./SyntheticLog.ts"

/**
 * A branch was moved by a client of spec version 1 after the repository had been migrated, and by one of version 2, too.
 * Nothing of it was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class MigrationDiverged
  extends /*#__PURE__*/ Data.TaggedError("MigrationDiverged")<{
    readonly store: string
    readonly branch: string
    /** Where the file of spec version 1 has it. */
    readonly spec1: string
    /** Where the repository object has it. */
    readonly spec2: string
  }>
{
  override get message(): string {
    return `Branch \`${this.branch}\` of the repository in \`${this.store}\` has moved twice since the repository was migrated: to \`${this.spec1}\` by a client of Icechunk spec version 1, and to \`${this.spec2}\` by one of version 2. Stop the older clients, and apply again what is only in \`${this.spec1}\`; then delete \`refs/branch.${this.branch}/ref.json\` and run the migration again.`
  }
}

/**
 * What a migration puts into the repository object.
 *
 * @category models
 * @since 0.1.0
 */
export interface MigrationPlan {
  readonly branches: ReadonlyMap<string, SnapshotId>
  readonly tags: ReadonlyMap<string, SnapshotId>
  /** Names that no tag may get again. */
  readonly deletedTags: ReadonlySet<string>
  /** Every snapshot that a branch or tag leads to. */
  readonly snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>
  /** The operations log, latest first: the migration, and what may have led to the repository. */
  readonly operations: ReadonlyArray<UpdateEntry>
  /** Icechunk's own configuration, as `config.yaml` has it; `undefined` without that file. */
  readonly config: Json | undefined
}

/** As many operations as the repository object may list, those that come later included. */
const maxOperations = 0xffff

/**
 * A repository of spec version 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spec1Files {
  readonly refs: Spec1Refs.Refs
  /** Every snapshot that a branch or tag leads to. */
  readonly snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>
  /** What `config.yaml` says; `undefined` without that file. */
  readonly config: Json | undefined
  /** Operations that the repository object is to list from now on, before older ones are left to its copies. */
  readonly updatesPerObject: number
}

/**
 * The plan for a repository as it was found. `now` is in microseconds since 1970.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ config, refs, snapshots, updatesPerObject }: Spec1Files, now: number): MigrationPlan => {
  const branches = Spec1Refs.ids(refs.branches)
  const tags = Spec1Refs.ids(refs.tags)
  const before = SyntheticLog.make({ branches, tags, snapshots }, refs.deletedTags)
  const migrated: UpdateEntry = {
    update: Update.RepoMigrated({ fromVersion: 1, toVersion: 2 }),
    updatedAt: Math.max(now, (before[0]?.updatedAt ?? 0) + 1),
    backupPath: undefined
  }
  return {
    branches,
    tags,
    deletedTags: new Set(refs.deletedTags.keys()),
    snapshots,
    // No copy has those that are left out, and all stay until the migration itself is left to one.
    operations: [migrated, ...before.slice(0, Math.max(0, maxOperations - updatesPerObject))],
    config
  }
}

/**
 * The repository object of a plan.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toRepoInfo = (plan: MigrationPlan): RepoInfo => ({
  specVersion: 2,
  tags: plan.tags,
  branches: plan.branches,
  deletedTags: plan.deletedTags,
  snapshots: SnapshotTable.of(plan.snapshots),
  status: { availability: "Online", setAt: plan.operations.at(-1)?.updatedAt ?? 0, reason: undefined },
  metadata: {},
  latestUpdates: plan.operations,
  repoBeforeUpdates: undefined,
  config: encodeConfig(plan.config),
  enabledFeatureFlags: undefined,
  disabledFeatureFlags: undefined,
  extra: undefined
})

/**
 * Snapshots that the files of spec version 1 lead to and the repository object does not know.
 *
 * @category accessors
 * @since 0.1.0
 */
export const unknownTips = (info: RepoInfo, { branches, tags }: Spec1Refs.Refs): ReadonlyArray<SnapshotId> =>
  [...branches.values(), ...tags.values()]
    .map(({ snapshotId }) => snapshotId)
    .filter((id) => id !== Spec1Refs.sealId && !info.snapshots.has(id))

/** The repository object with a snapshot and all before it that it does not know. */
const including = (
  info: RepoInfo,
  tip: SnapshotId,
  later: ReadonlyMap<SnapshotId, SnapshotInfo>
): { readonly info: RepoInfo; readonly base: SnapshotId | undefined } => {
  const missing: Array<SnapshotInfo> = []
  let base: SnapshotId | undefined = tip
  while (base !== undefined && !info.snapshots.has(base)) {
    const snapshot: SnapshotInfo = later.get(base)!
    missing.push(snapshot)
    base = snapshot.parentId
  }
  const snapshots = missing.reduceRight(
    (all: RepoInfo["snapshots"], snapshot) => SnapshotTable.including(all, snapshot),
    info.snapshots
  )
  return { info: { ...info, snapshots }, base }
}

const descends = (info: RepoInfo, id: SnapshotId | undefined, from: SnapshotId): boolean => {
  for (let next = id; next !== undefined; next = info.snapshots.get(next)?.parentId) if (next === from) return true
  return false
}

const withEntry = (refs: ReadonlyMap<string, SnapshotId>, name: string, id: SnapshotId) => new Map(refs).set(name, id)

const withoutEntry = (refs: ReadonlyMap<string, SnapshotId>, name: string) =>
  new Map(Array.from(refs).filter(([other]) => other !== name))

/**
 * What clients of spec version 1 have done that the repository object does not say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Found {
  /** Names the store in errors. */
  readonly store: string
  /** The files as they are now. */
  readonly refs: Spec1Refs.Refs
  /** Every snapshot that they lead to and the repository object does not know. */
  readonly later: ReadonlyMap<SnapshotId, SnapshotInfo>
  /** What `config.yaml` says now; `undefined` without that file. */
  readonly config: Json | undefined
  /** What was migrated by this very run; without it, what is another was changed by clients of version 2. */
  readonly planned: Pick<MigrationPlan, "branches" | "config"> | undefined
}

/**
 * The next thing that the repository object is to take over from the files of spec version 1; `undefined` when it says
 * all that they say.
 *
 * A branch is taken over where it only went on from where the repository object has it. A snapshot that the repository
 * object knows is none of a later commit. What has no file any more stays: others may be migrating, too, and deleted it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const catchUp = (
  info: RepoInfo,
  { config, later, planned, refs, store }: Found
): Result.Result<Changed | undefined, MigrationDiverged> => {
  // A migration deletes `main` first, so that what is there without it came later.
  const isNew = !refs.branches.has("main")
  for (const [name, { snapshotId: tip }] of refs.branches) {
    const here = info.branches.get(name)
    if (tip === Spec1Refs.sealId || here === tip) continue
    const isOurs = planned === undefined ? isNew && here === undefined : planned.branches.get(name) === here
    if (info.snapshots.has(tip)) {
      if (!isOurs) continue
      return Result.succeed({
        info: { ...info, branches: withEntry(info.branches, name, tip) },
        update:
          here === undefined ? Update.BranchCreated({ name }) : Update.BranchReset({ name, previousSnapshotId: here })
      })
    }
    const { base, info: next } = including(info, tip, later)
    if (here !== undefined && !isOurs && !descends(info, base, here)) {
      return Result.fail(new MigrationDiverged({ store, branch: name, spec1: tip, spec2: here }))
    }
    return Result.succeed({
      info: { ...next, branches: withEntry(next.branches, name, tip) },
      update:
        here === undefined
          ? Update.BranchCreated({ name })
          : descends(next, tip, here)
            ? Update.NewCommit({ branch: name, newSnapshotId: tip })
            : Update.BranchReset({ name, previousSnapshotId: here })
    })
  }
  for (const [name, { snapshotId: target }] of refs.tags) {
    if (info.tags.has(name) || info.deletedTags.has(name)) continue
    const { info: next } = including(info, target, later)
    return Result.succeed({
      info: { ...next, tags: withEntry(next.tags, name, target) },
      update: Update.TagCreated({ name })
    })
  }
  for (const [name, was] of refs.deletedTags) {
    const previousSnapshotId = info.tags.get(name) ?? was
    if (info.deletedTags.has(name) || previousSnapshotId === undefined) continue
    const deletedTags = new Set([...info.deletedTags, name].toSorted(NodePath.compare))
    return Result.succeed({
      info: { ...info, tags: withoutEntry(info.tags, name), deletedTags },
      update: Update.TagDeleted({ name, previousSnapshotId })
    })
  }
  const written = encodeConfig(config)
  const isNow = (other: Uint8Array | undefined): boolean =>
    other === undefined || info.config === undefined ? other === info.config : Bytes.equals(other, info.config)
  return Result.succeed(
    planned === undefined || written === undefined || isNow(written) || !isNow(encodeConfig(planned.config))
      ? undefined
      : { info: { ...info, config: written }, update: Update.ConfigChanged() }
  )
}

const encodeConfig = (config: Json | undefined): Uint8Array | undefined =>
  config === undefined ? undefined : Flexbuffer.encode(config)
