/**
 * Which commits of another repository are brought in, and on what, also when either has let old ones expire.
 */
import type { RepoInfo } from "../../src/format/RepoInfo.ts"
import * as MergePlan from "../../src/repository/changes/MergePlan.ts"
import * as Expiration from "../../src/repository/upkeep/Expiration.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { id, repoInfo, snapshot, snapshots } from "./RepoInfos.ts"

/** A repository whose `main` has these snapshots, committed at the times of their numbers. */
const repository = (...ids: ReadonlyArray<number>): RepoInfo =>
  repoInfo({
    branches: new Map([["main", id(ids.at(-1)!)]]),
    snapshots: snapshots(...ids.map((n, i) => snapshot(n, ids[i - 1]))),
    extra: Uint8Array.of()
  })

const expired = (info: RepoInfo, before: number): RepoInfo => Expiration.apply(info, Expiration.plan(info, before)).info

const plan = (into: RepoInfo, other: RepoInfo) =>
  MergePlan.plan(into, other, { branch: "main", from: "main", into: "home", other: "fork" })

describe("a plan of a merge", () => {
  it("fails when the two have no snapshot in common, and names both", () => {
    const error = Result.getOrThrow(Result.flip(plan(repository(1, 2), repository(3, 4))))
    assert(error._tag === "MergeImpossible")
    assert.deepStrictEqual([error.into, error.from], ["home", "fork"])
    assert.include(error.message, "`fork` cannot be merged into `home`")
    assert.include(error.message, "Nothing was changed")
  })

  it("fails so, too, when what they had in common is on another branch only", () => {
    const home = repository(1, 2)
    const other = { ...repository(3, 4), branches: new Map([["main", id(4)]]) }
    const mixed: RepoInfo = { ...other, snapshots: new Map([...home.snapshots, ...other.snapshots]) }
    assert.isTrue(Result.isFailure(plan(home, mixed)))
  })

  it("takes a name of a commit only where it is an id", () => {
    const names = (value: unknown) => MergePlan.namesOf({ id: id(1), metadata: { ic_merged_from: value as never } })
    assert.deepStrictEqual(names([id(2), 3, "no id", id(4)]), [id(1), id(2), id(4)])
    assert.deepStrictEqual(names(id(2)), [id(1)])
    assert.deepStrictEqual(names(undefined), [id(1)])
  })

  it("has the same changes to bring in, and the same to compare them with, whatever has expired on either side", () =>
    fc.assert(
      fc.property(
        fc.record({
          trunk: fc.integer({ min: 0, max: 4 }),
          home: fc.integer({ min: 0, max: 4 }),
          fork: fc.integer({ min: 0, max: 4 }),
          // As numbers of snapshots: what is older has expired.
          homeCut: fc.integer({ min: 0, max: 60 }),
          forkCut: fc.integer({ min: 0, max: 60 })
        }),
        ({ fork, forkCut, home, homeCut, trunk }) => {
          const common = Array.from({ length: trunk + 1 }, (_, i) => 1 + i)
          const mine = Array.from({ length: home }, (_, i) => 20 + i)
          const theirs = Array.from({ length: fork }, (_, i) => 40 + i)
          const into = expired(repository(...common, ...mine), homeCut)
          const from = expired(repository(...common, ...theirs), forkCut)
          const { commits, isFastForward, tip } = Result.getOrThrow(plan(into, from))
          assert.strictEqual(tip, id([...common, ...mine].at(-1)!))
          assert.deepStrictEqual(
            commits.flatMap(({ logs }) => logs),
            theirs.map(id)
          )
          const history = [...common, ...theirs].map(id)
          for (const { base, commit, logs, unknown } of commits) {
            assert.strictEqual(logs.at(-1), commit.id)
            assert.strictEqual(base, history[history.indexOf(logs[0]!) - 1])
            assert.deepStrictEqual(unknown, mine.map(id))
          }
          // Files that go in as they are say what was before them.
          if (isFastForward) {
            assert.strictEqual(home, 0)
            for (const { base, commit } of commits) assert.strictEqual(base, commit.parentId)
          } else if (homeCut === 0 && forkCut === 0) assert.isAbove(home, 0)
        }
      ),
      { numRuns: 1000 }
    ))
})
