import { assert, describe, it } from "@effect/vitest"
import type { RepoInfo, SnapshotInfo } from "../../src/format/RepoInfo.ts"
import * as RepoChange from "../../src/repository/versions/RepoChange.ts"
import type { SnapshotId } from "@effect-icechunk/core/ObjectId"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as RepoInfos from "./RepoInfos.ts"
import { id } from "./RepoInfos.ts"

const snapshot = (n: number, parent: number): SnapshotInfo & { readonly parentId: SnapshotId } => ({
  ...RepoInfos.snapshot(n),
  parentId: id(parent)
})

/** `main` at 2, which descends from 1; `dev` and the tag `v1` at 1; the tag `gone` was deleted. */
const info: RepoInfo = RepoInfos.repoInfo({
  tags: new Map([["v1", id(1)]]),
  branches: new Map([
    ["main", id(2)],
    ["dev", id(1)]
  ]),
  deletedTags: new Set(["gone"]),
  snapshots: RepoInfos.snapshots(RepoInfos.snapshot(1), snapshot(2, 1)),
  extra: Uint8Array.of(7)
})

const success = <A>(result: Result.Result<A, { readonly message: string }>): A => Result.getOrThrow(result)
const failure = <E>(result: Result.Result<unknown, E>): E => Result.getOrThrow(Result.flip(result))

/** A change touches what it is about, and nothing else. */
const assertOnlyChanged = (changed: RepoInfo, ...fields: ReadonlyArray<keyof RepoInfo>): void => {
  for (const field of Object.keys(info) as ReadonlyArray<keyof RepoInfo>) {
    if (!fields.includes(field)) assert.strictEqual(changed[field], info[field], field)
  }
}

describe("RepoChange.commit", () => {
  it("adds the snapshot and moves the branch, and no other", () => {
    const { info: next, update } = success(RepoChange.commit("main", [snapshot(3, 2)])(info))
    assert.strictEqual(next.branches.get("main"), id(3))
    assert.strictEqual(next.branches.get("dev"), id(1))
    assert.deepStrictEqual(next.snapshots.get(id(3)), snapshot(3, 2))
    assert.strictEqual(next.snapshots.size, 3)
    assert.deepStrictEqual(update, { _tag: "NewCommit", branch: "main", newSnapshotId: id(3) })
    assertOnlyChanged(next, "snapshots", "branches")
    assert.strictEqual(info.branches.get("main"), id(2), "what was given is unchanged")
    assert.strictEqual(info.snapshots.size, 2)
  })

  it("is refused with both snapshots when the branch has moved", () => {
    const error = failure(RepoChange.commit("main", [snapshot(3, 1)])(info))
    assert.strictEqual(error._tag, "CommitConflict")
    assert.include(error, { branch: "main", expected: id(1), actual: id(2) })
    assert.include(error.message, `has moved from \`${id(1)}\` to \`${id(2)}\``)
  })

  it("never falls back to `main` for an unknown branch", () => {
    for (const branch of ["mian", "Main", "", "v1", "toString"]) {
      const error = failure(RepoChange.commit(branch, [snapshot(3, 2)])(info))
      assert.strictEqual(error._tag, "RefNotFound", branch)
      assert.include(error.message, `There is no branch \`${branch}\`. There are: \`main\`, \`dev\`.`)
    }
  })
})

describe("RepoChange of branches", () => {
  it("creates one at any snapshot", () => {
    const { info: next, update } = success(RepoChange.createBranch("new", id(1))(info))
    assert.strictEqual(next.branches.get("new"), id(1))
    assert.deepStrictEqual(update, { _tag: "BranchCreated", name: "new" })
    assertOnlyChanged(next, "branches")
  })

  it.each([
    ["", "not be empty"],
    ["\ud800", "well-formed"],
    ["dev", "exists already"],
    ["main", "exists already"]
  ])("creates none with the name `%s`", (name, because) => {
    const error = failure(RepoChange.createBranch(name, id(1))(info))
    assert.strictEqual(error._tag, "RefForbidden")
    assert.include(error.message, because)
  })

  it("creates and resets none at an unknown snapshot", () => {
    for (const error of [
      failure(RepoChange.createBranch("new", id(9))(info)),
      failure(RepoChange.resetBranch("main", id(9))(info)),
      failure(RepoChange.createTag("new", id(9))(info))
    ]) {
      assert.strictEqual(error._tag, "RefNotFound")
      assert.strictEqual(error.message, `There is no snapshot \`${id(9)}\`.`)
    }
  })

  it("deletes one, remembers where it was, and keeps its snapshots", () => {
    const { info: next, update } = success(RepoChange.deleteBranch("dev")(info))
    assert.isFalse(next.branches.has("dev"))
    assert.deepStrictEqual(update, { _tag: "BranchDeleted", name: "dev", previousSnapshotId: id(1) })
    assertOnlyChanged(next, "branches")
    assert.isTrue(Result.isSuccess(RepoChange.createBranch("dev", id(2))(next)), "its name is free again")
  })

  it("never deletes `main`", () => {
    const error = failure(RepoChange.deleteBranch("main")(info))
    assert.strictEqual(error._tag, "RefForbidden")
    assert.include(error.message, "every repository has a branch `main`")
    const without = { ...info, branches: new Map([["dev", id(1)]]) }
    assert.strictEqual(failure(RepoChange.deleteBranch("main")(without))._tag, "RefNotFound")
  })

  it("resets one, if it still is where it is expected", () => {
    const { info: next, update } = success(RepoChange.resetBranch("main", id(1), id(2))(info))
    assert.strictEqual(next.branches.get("main"), id(1))
    assert.deepStrictEqual(update, { _tag: "BranchReset", name: "main", previousSnapshotId: id(2) })
    assertOnlyChanged(next, "branches")
    assert.isTrue(Result.isSuccess(RepoChange.resetBranch("main", id(1))(info)))
    const error = failure(RepoChange.resetBranch("main", id(1), id(1))(info))
    assert.strictEqual(error._tag, "CommitConflict")
  })

  it("deletes and resets none that does not exist", () => {
    assert.strictEqual(failure(RepoChange.deleteBranch("mian")(info))._tag, "RefNotFound")
    assert.strictEqual(failure(RepoChange.resetBranch("mian", id(1))(info))._tag, "RefNotFound")
    assert.strictEqual(failure(RepoChange.branchTip(info, "v1"))._tag, "RefNotFound", "a tag is no branch")
    assert.strictEqual(failure(RepoChange.tagTarget(info, "main"))._tag, "RefNotFound", "a branch is no tag")
  })
})

describe("RepoChange of tags", () => {
  it("creates one, which never moves", () => {
    const { info: next, update } = success(RepoChange.createTag("v2", id(2))(info))
    assert.strictEqual(success(RepoChange.tagTarget(next, "v2")), id(2))
    assert.deepStrictEqual(update, { _tag: "TagCreated", name: "v2" })
    assertOnlyChanged(next, "tags")
    const error = failure(RepoChange.createTag("v2", id(1))(next))
    assert.strictEqual(error._tag, "RefForbidden")
    assert.include(error.message, "tags do not move")
  })

  it("deletes one for good: its name never returns, at whatever snapshot", () => {
    const { info: next, update } = success(RepoChange.deleteTag("v1")(info))
    assert.deepStrictEqual(update, { _tag: "TagDeleted", name: "v1", previousSnapshotId: id(1) })
    assert.deepStrictEqual([...next.deletedTags], ["gone", "v1"])
    assertOnlyChanged(next, "tags", "deletedTags")
    for (const name of ["v1", "gone"]) {
      const error = failure(RepoChange.createTag(name, id(1))(next))
      assert.strictEqual(error._tag, "RefForbidden")
      assert.include(error.message, "is not used again")
    }
    assert.strictEqual(failure(RepoChange.deleteTag("v1")(next))._tag, "RefNotFound")
    assert.isTrue(Result.isSuccess(RepoChange.createBranch("v1", id(1))(next)), "branches have names of their own")
  })

  it("is refused when the repository's feature flags say so", () => {
    const off = { ...info, disabledFeatureFlags: [4, 5] }
    assert.include(failure(RepoChange.createTag("v2", id(1))(off)).message, "`create_tag` is off")
    assert.include(failure(RepoChange.deleteTag("v1")(off)).message, "`delete_tag` is off")
  })

  it.each(["", "\ud800"])("creates none with the name `%s`", (name) => {
    assert.strictEqual(failure(RepoChange.createTag(name, id(1))(info))._tag, "RefForbidden")
  })

  // All of them made by Icechunk 2.2.2 without a word.
  it.each(["a/b", "/", "a//b", "..", " ", "a\nb", "\0", "\u{10ffff}", "x".repeat(5000)])(
    "takes the name `%s`",
    (name) => {
      assert.strictEqual(success(RepoChange.createTag(name, id(1))(info)).info.tags.get(name), id(1))
      assert.strictEqual(success(RepoChange.createBranch(name, id(1))(info)).info.branches.get(name), id(1))
    }
  )
})

describe("RepoChange.log", () => {
  /** A repository over time: each state by the name of its copy, as `overwritten/` has them. */
  const live = (steps: ReadonlyArray<{ readonly now: number; readonly limit: number }>) => {
    const copies = new Map<string, RepoInfo>()
    let current = info
    for (const [i, { limit, now }] of steps.entries()) {
      const backup = `repo.${i}`
      copies.set(backup, current)
      const changed = success(RepoChange.createBranch(`branch-${i}`, id(1))(current))
      current = RepoChange.log(changed, { now, backup, limit })
    }
    return { copies, current }
  }
  const clock = fc.integer({ min: 0, max: 5000 })
  const steps = fc.array(fc.record({ now: clock, limit: fc.integer({ min: 1, max: 5 }) }), {
    minLength: 1,
    maxLength: 30
  })

  it("has strictly increasing times, whatever the clock says", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const { copies, current } = live(steps)
        for (const { latestUpdates } of [...copies.values(), current]) {
          const times = latestUpdates.map(({ updatedAt }) => updatedAt)
          for (let i = 1; i < times.length; i++) assert.isBelow(times[i]!, times[i - 1]!)
        }
        assert.isAtLeast(current.latestUpdates[0]!.updatedAt, steps.at(-1)!.now)
      })
    )
  })

  it("keeps at most as many entries as it may, and no fewer when there are", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const { copies, current } = live(steps)
        const before = [...copies.values()].at(-1)!
        assert.lengthOf(current.latestUpdates, Math.min(steps.at(-1)!.limit, before.latestUpdates.length + 1))
      })
    )
  })

  it("names for each entry but the latest the copy in which it was the latest", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const { copies, current } = live(steps)
        const [latest, ...older] = current.latestUpdates
        assert.isUndefined(latest!.backupPath)
        for (const { backupPath, update, updatedAt } of older) {
          assert.deepStrictEqual(copies.get(backupPath!)!.latestUpdates[0], {
            update,
            updatedAt,
            backupPath: undefined
          })
        }
      })
    )
  })

  it("leads through the copies to every operation there ever was, each once and in order", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const { copies, current } = live(steps)
        const operations: Array<unknown> = []
        for (let at: RepoInfo | undefined = current; at !== undefined;) {
          operations.push(...at.latestUpdates.map(({ update }) => update))
          at = at.repoBeforeUpdates === undefined ? undefined : copies.get(at.repoBeforeUpdates)!
        }
        assert.deepStrictEqual(operations, [
          ...steps.map((_, i) => ({ _tag: "BranchCreated", name: `branch-${i}` })).toReversed(),
          { _tag: "RepoInitialized" }
        ])
      })
    )
  })

  it("keeps everything else as the change left it", () => {
    const changed = success(RepoChange.setConfig(Uint8Array.of(1))(info))
    const next = RepoChange.log(changed, { now: 5, backup: "repo.0", limit: 1000 })
    assert.deepStrictEqual({ ...next, latestUpdates: [] }, { ...info, latestUpdates: [], config: Uint8Array.of(1) })
    assert.deepStrictEqual(next.latestUpdates, [
      { update: { _tag: "ConfigChanged" }, updatedAt: 1001, backupPath: undefined },
      { update: { _tag: "RepoInitialized" }, updatedAt: 1000, backupPath: "repo.0" }
    ])
  })

  it("begins a log that was empty", () => {
    const changed = success(RepoChange.setConfig(Uint8Array.of(1))({ ...info, latestUpdates: [] }))
    const next = RepoChange.log(changed, { now: 5, backup: "repo.0", limit: 1 })
    assert.deepStrictEqual(next.latestUpdates, [
      { update: { _tag: "ConfigChanged" }, updatedAt: 5, backupPath: undefined }
    ])
  })
})
