/**
 * The pure part of a migration, on histories of any shape.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as FastCheck from "fast-check"
import type { RepoInfo, SnapshotInfo } from "../../src/format/RepoInfo.ts"
import * as RepoInfoFile from "../../src/format/RepoInfo.ts"
import * as MigrationPlan from "../../src/repository/upkeep/MigrationPlan.ts"
import * as Spec1Refs from "../../src/repository/versions/Spec1Refs.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import type { SnapshotId } from "../../src/values/ObjectId.ts"

const idOf = (n: number): SnapshotId =>
  ObjectId.snapshotId(
    Uint8Array.from({ length: 12 }, (_, i) => (i < 8 ? (n * 7 + i) % 256 : (n >>> (8 * (11 - i))) & 255))
  )

const target = (snapshotId: SnapshotId): Spec1Refs.Target => ({ snapshotId, version: { etag: undefined } })

/** A repository: of each snapshot but the first the one that it descends from, when they were written, and refs to them. */
const repositories = FastCheck.record({
  parents: FastCheck.array(FastCheck.nat(), { minLength: 0, maxLength: 30 }),
  times: FastCheck.array(FastCheck.nat(50_000), { minLength: 31, maxLength: 31 }),
  main: FastCheck.nat(),
  branches: FastCheck.dictionary(FastCheck.string({ minLength: 1, maxLength: 3 }), FastCheck.nat(), { maxKeys: 5 }),
  tags: FastCheck.dictionary(FastCheck.string({ minLength: 1, maxLength: 3 }), FastCheck.nat(), { maxKeys: 5 }),
  deletedTags: FastCheck.dictionary(
    FastCheck.string({ minLength: 4, maxLength: 5 }),
    FastCheck.option(FastCheck.nat()),
    {
      maxKeys: 3
    }
  )
}).map(({ branches, deletedTags, main, parents, tags, times }) => {
  const count = parents.length + 1
  const all = Array.from({ length: count }, (_, i): SnapshotInfo => ({
    id: idOf(i),
    parentId: i === 0 ? undefined : idOf(parents[i - 1]! % i),
    flushedAt: times[i]!,
    message: `snapshot ${i}`,
    metadata: { i },
    prunedAncestorTxLogs: []
  }))
  const byId = new Map(all.map((info) => [info.id, info]))
  const targets = (refs: Readonly<Record<string, number>>) =>
    new Map(Object.entries(refs).map(([name, n]) => [name, target(idOf(n % count))] as const))
  const refs: Spec1Refs.Refs = {
    branches: targets({ ...branches, main }),
    tags: targets(tags),
    deletedTags: new Map(
      Object.entries(deletedTags).map(([name, n]) => [name, n === null ? undefined : idOf(n % count)] as const)
    )
  }
  return { byId, refs, snapshots: reachable(byId, refs) }
})

const reachable = (byId: ReadonlyMap<SnapshotId, SnapshotInfo>, { branches, tags }: Spec1Refs.Refs) => {
  const found = new Map<SnapshotId, SnapshotInfo>()
  for (const { snapshotId } of [...branches.values(), ...tags.values()]) {
    for (let next: SnapshotId | undefined = snapshotId; next !== undefined; next = byId.get(next)!.parentId) {
      found.set(next, byId.get(next)!)
    }
  }
  return found
}

const now = 1_000_000
const make = (files: { readonly refs: Spec1Refs.Refs; readonly snapshots: ReadonlyMap<SnapshotId, SnapshotInfo> }) =>
  MigrationPlan.make({ ...files, config: { a: 1 }, updatesPerObject: 1000 }, now)

const apply = (info: RepoInfo, found: MigrationPlan.Found): RepoInfo => {
  let at = info
  for (let steps = 0; steps < 100; steps++) {
    const changed = Result.getOrThrow(MigrationPlan.catchUp(at, found))
    if (changed === undefined) return at
    at = changed.info
  }
  throw new Error("it does not end")
}

const ids = (targets: ReadonlyMap<string, Spec1Refs.Target>) =>
  new Map(Array.from(targets, ([name, { snapshotId }]) => [name, snapshotId] as const))
const sorted = <A>(map: ReadonlyMap<string, A>) => Array.from(map).toSorted(([a], [b]) => (a < b ? -1 : 1))

describe("the plan of a migration", () => {
  it("is a repository object that can be written and read", () => {
    FastCheck.assert(
      FastCheck.property(repositories, (files) => {
        const plan = make(files)
        const info = Result.getOrThrow(RepoInfoFile.decode("repo", RepoInfoFile.encode(MigrationPlan.toRepoInfo(plan))))
        assert.deepStrictEqual(sorted(info.branches), sorted(ids(files.refs.branches)))
        assert.deepStrictEqual(sorted(info.tags), sorted(ids(files.refs.tags)))
        assert.deepStrictEqual([...info.deletedTags].toSorted(), [...files.refs.deletedTags.keys()].toSorted())
        assert.deepStrictEqual(sorted(new Map(info.snapshots)), sorted(files.snapshots))
        assert.deepStrictEqual(info.latestUpdates, plan.operations)
      })
    )
  })

  it("has operations that lead to it: each commit of a branch once, in time, and each ref", () => {
    FastCheck.assert(
      FastCheck.property(repositories, (files) => {
        const { operations } = make(files)
        const [migrated, ...before] = operations
        assert.deepInclude(migrated!.update, { _tag: "RepoMigrated", fromVersion: 1, toVersion: 2 })
        assert.isTrue(migrated!.updatedAt >= now)
        assert.isTrue(operations.every(({ updatedAt }, i) => i === 0 || updatedAt < operations[i - 1]!.updatedAt))
        const tags = before.map(({ update }) => update)
        assert.strictEqual(tags.filter(({ _tag }) => _tag === "RepoInitialized").length, 1)
        const commits = tags.flatMap((update) => (update._tag === "NewCommit" ? [update.newSnapshotId] : []))
        const onBranches = reachable(files.byId, { ...files.refs, tags: new Map() })
        assert.strictEqual(new Set(commits).size, commits.length)
        assert.deepStrictEqual(commits.toSorted(), [...onBranches.keys()].filter((id) => id !== idOf(0)).toSorted())
        const named = (tag: string) =>
          tags.flatMap((update) => (update._tag === tag && "name" in update ? [update.name] : [])).toSorted()
        const known = Array.from(files.refs.deletedTags).flatMap(([name, id]) => (id === undefined ? [] : [name]))
        assert.deepStrictEqual(
          named("BranchCreated"),
          [...files.refs.branches.keys()].filter((name) => name !== "main").toSorted()
        )
        assert.deepStrictEqual(named("TagCreated"), [...files.refs.tags.keys(), ...known].toSorted())
        assert.deepStrictEqual(named("TagDeleted"), known.toSorted())
      })
    )
  })

  it("leaves room for the operations to come", () => {
    const snapshots = new Map(
      Array.from({ length: 70_000 }, (_, i): readonly [SnapshotId, SnapshotInfo] => [
        idOf(i),
        {
          id: idOf(i),
          parentId: i === 0 ? undefined : idOf(i - 1),
          flushedAt: i,
          message: "",
          metadata: {},
          prunedAncestorTxLogs: []
        }
      ])
    )
    const refs = { branches: new Map([["main", target(idOf(69_999))]]), tags: new Map(), deletedTags: new Map() }
    const { operations } = make({ refs, snapshots })
    assert.strictEqual(operations.length, 0xffff - 1000 + 1)
    assert.deepInclude(operations[1]!.update, { _tag: "NewCommit", newSnapshotId: idOf(69_999) })
  })
})

describe("what older clients did in the meantime", () => {
  it("is taken over, whatever it is, so that the repository object says what the files say", () => {
    FastCheck.assert(
      FastCheck.property(repositories, repositories, ({ refs: before, snapshots }, later) => {
        // Both are of one tree of snapshots, that of the later one, where ids are the same.
        const common = { ...before, ...restrict(before, later.byId) }
        const first = reachable(later.byId, common)
        const plan = MigrationPlan.make({ refs: common, snapshots: first, config: undefined, updatesPerObject: 9 }, now)
        const found = { store: "", refs: later.refs, later: later.snapshots, config: undefined, planned: plan }
        const info = apply(MigrationPlan.toRepoInfo(plan), found)
        for (const [name, { snapshotId }] of later.refs.branches)
          assert.strictEqual(info.branches.get(name), snapshotId)
        for (const [name, { snapshotId }] of later.refs.tags) {
          assert.strictEqual(info.tags.get(name), common.tags.get(name)?.snapshotId ?? snapshotId)
        }
        for (const [name, id] of later.refs.deletedTags) {
          assert.isTrue(info.deletedTags.has(name) || id === undefined)
          assert.isFalse(info.tags.has(name) && info.deletedTags.has(name))
        }
        // A tag does not move.
        const tags = new Map(Array.from(later.refs.tags).filter(([name]) => !common.tags.has(name)))
        for (const id of reachable(later.byId, { ...later.refs, tags }).keys()) assert.isTrue(info.snapshots.has(id))
        assert.isTrue(snapshots.size > 0)
        RepoInfoFile.encode(info)
      })
    )
  })

  it("is nothing when nothing was done, and a sealed branch is none that was moved", () => {
    FastCheck.assert(
      FastCheck.property(repositories, FastCheck.boolean(), (files, inThisRun) => {
        const plan = make(files)
        const info = MigrationPlan.toRepoInfo(plan)
        const planned = inThisRun ? plan : undefined
        const sealed = {
          ...files.refs,
          branches: new Map(Array.from(files.refs.branches, ([name]) => [name, target(Spec1Refs.sealId)] as const))
        }
        for (const refs of [files.refs, sealed]) {
          const found = { store: "", refs, later: new Map(), config: undefined, planned }
          const changed = Result.getOrThrow(MigrationPlan.catchUp(info, found))
          // A tag whose target is not known was not listed among those that were deleted.
          assert.isUndefined(changed)
        }
        assert.isUndefined(info.snapshots.get(Spec1Refs.sealId))
      })
    )
  })

  it("does not undo what clients of version 2 did since", () => {
    FastCheck.assert(
      FastCheck.property(repositories, FastCheck.nat(), (files, n) => {
        const plan = make(files)
        const all = [...plan.snapshots.keys()]
        const elsewhere = all[n % all.length]!
        const info = { ...MigrationPlan.toRepoInfo(plan), branches: new Map([["main", elsewhere]]), tags: new Map() }
        const found = {
          store: "",
          refs: { ...files.refs, tags: new Map() },
          later: new Map(),
          config: undefined,
          planned: undefined
        }
        assert.deepStrictEqual(apply(info, found).branches, info.branches)
      })
    )
  })
})

/** Refs that are among the snapshots of another tree. */
const restrict = (
  refs: Spec1Refs.Refs,
  byId: ReadonlyMap<SnapshotId, SnapshotInfo>
): Pick<Spec1Refs.Refs, "branches" | "tags"> => {
  const known = (targets: ReadonlyMap<string, Spec1Refs.Target>) =>
    new Map(Array.from(targets).filter(([, { snapshotId }]) => byId.has(snapshotId)))
  const branches = known(refs.branches)
  return {
    branches: branches.has("main") ? branches : new Map([...branches, ["main", target(idOf(0))]]),
    tags: known(refs.tags)
  }
}
