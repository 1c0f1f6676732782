import { assert, describe, it } from "@effect/vitest"
import * as Repository from "@effect-icechunk/core/Repository"
import * as Maintenance from "@effect-icechunk/core/Maintenance"
import type * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import type { RepoInfo, SnapshotInfo } from "../../../src/format/RepoInfo.ts"
import * as Expiration from "../../../src/repository/upkeep/Expiration.ts"
import * as CollectionPlan from "../../../src/repository/upkeep/CollectionPlan.ts"
import * as ObjectId from "../../../src/values/ObjectId.ts"
import type { SnapshotId } from "../../../src/values/ObjectId.ts"
import { inWorld, worldInMemory } from "../Fixture.ts"
import { repoInfo } from "../RepoInfos.ts"

const idOf = (n: number): SnapshotId =>
  ObjectId.snapshotId(Uint8Array.from({ length: 12 }, (_, i) => (i === 11 ? n : 7)))

/** A history of which each snapshot descends from one before it, with refs anywhere. */
const histories = fc
  .record({
    parents: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 14 }),
    branches: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 4 }),
    tags: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 3 })
  })
  .map(({ branches, parents, tags }) => {
    const size = parents.length + 1
    const infos = new Map<SnapshotId, SnapshotInfo>()
    const nameOf = (n: number): SnapshotId => (n === 0 ? ObjectId.initialSnapshotId : idOf(n))
    for (let n = 0; n < size; n++) {
      infos.set(nameOf(n), {
        id: nameOf(n),
        parentId: n === 0 ? undefined : nameOf(Math.floor(parents[n - 1]! * n)),
        flushedAt: n * 1000,
        message: `${n}`,
        metadata: {},
        prunedAncestorTxLogs: []
      })
    }
    const at = (share: number): SnapshotId => nameOf(Math.floor(share * size))
    return repoInfo({
      snapshots: infos,
      branches: new Map(branches.map((share, i) => [i === 0 ? "main" : `b${i}`, at(share)])),
      tags: new Map(tags.map((share, i) => [`t${i}`, at(share)])),
      latestUpdates: []
    })
  })

const policies = fc.record({
  expiredBranches: fc.constantFrom("keep" as const, "delete" as const),
  expiredTags: fc.constantFrom("keep" as const, "delete" as const)
})

/** All logs that lead from the first snapshot to one, oldest first. */
const logsTo = (info: RepoInfo, id: SnapshotId): ReadonlyArray<SnapshotId> => {
  const snapshot = info.snapshots.get(id)!
  const before = snapshot.parentId === undefined ? [] : logsTo(info, snapshot.parentId)
  return [...before, ...snapshot.prunedAncestorTxLogs, id]
}

const ancestors = (info: RepoInfo, id: SnapshotId): ReadonlyArray<SnapshotId> => {
  const parent = info.snapshots.get(id)!.parentId
  return parent === undefined ? [id] : [id, ...ancestors(info, parent)]
}

/**
 * What `expire_v2` of Icechunk 2.2 does, said in its own order: roots of the refs first, then what is old, what is kept
 * by refs, which snapshots are edited, and which refs are deleted.
 */
const asIcechunkDoes = (
  info: RepoInfo,
  before: number,
  policy: Required<Expiration.RefPolicy>
): Expiration.ExpirationPlan => {
  const rootOf = new Map<SnapshotId, SnapshotId>()
  for (const tip of [...info.tags.values(), ...info.branches.values()]) {
    const path = ancestors(info, tip)
    for (const id of path.slice(0, -1)) rootOf.set(id, path.at(-1)!)
  }
  const all = [...info.snapshots.values()]
  const old = all.filter(({ flushedAt, parentId }) => flushedAt < before && parentId !== undefined)
  const isTagTip = new Set(info.tags.values())
  const isBranchTip = new Set(info.branches.values())
  const main = info.branches.get("main")!
  const released = old
    .map(({ id }) => id)
    .filter(
      (id) =>
        !(
          (policy.expiredTags === "keep" && isTagTip.has(id)) ||
          ((policy.expiredBranches === "keep" || id === main) && isBranchTip.has(id))
        )
    )
  const edited = all
    .filter(({ id, parentId }) => !released.includes(id) && parentId !== undefined && released.includes(parentId))
    .map(({ id, prunedAncestorTxLogs }) => ({
      id,
      parentId: rootOf.get(id) ?? ObjectId.initialSnapshotId,
      prunedAncestorTxLogs: [
        ancestors(info, id)
          .slice(1, -1)
          .toReversed()
          .map((one) => [info.snapshots.get(one)!.prunedAncestorTxLogs, one]),
        prunedAncestorTxLogs
      ].flat(3) as ReadonlyArray<SnapshotId>
    }))
  const expired = new Set(old.map(({ id }) => id))
  const names = (refs: ReadonlyMap<string, SnapshotId>) =>
    [...refs].filter(([name, id]) => name !== "main" && expired.has(id)).map(([name]) => name)
  return {
    released,
    edited,
    deletedBranches: policy.expiredBranches === "delete" ? names(info.branches) : [],
    deletedTags: policy.expiredTags === "delete" ? names(info.tags) : []
  }
}

describe("a planned expiration", () => {
  it("is what Icechunk does", () => {
    fc.assert(
      fc.property(histories, fc.nat({ max: 16_000 }), policies, (info, before, policy) => {
        assert.deepStrictEqual(Expiration.plan(info, before, policy), asIcechunkDoes(info, before, policy))
      }),
      { numRuns: 500 }
    )
  })

  it("keeps every log of what stays reachable, in the same order, however often it is done", () => {
    fc.assert(
      fc.property(
        histories,
        fc.array(fc.nat({ max: 16_000 }), { maxLength: 4 }),
        policies,
        (first, cutoffs, policy) => {
          let info = first
          for (const before of cutoffs.toSorted((a, b) => a - b)) {
            info = Expiration.apply(info, Expiration.plan(info, before, policy)).info
            for (const tip of [...info.branches.values(), ...info.tags.values()]) {
              assert.deepStrictEqual(logsTo(info, tip), logsTo(first, tip))
            }
            assert.isTrue(info.branches.has("main"))
            // Again with the same cutoff nothing is left to do.
            assert.isTrue(Expiration.isEmpty(Expiration.plan(info, before, policy)))
          }
        }
      ),
      { numRuns: 300 }
    )
  })

  it("and what a collection drops after it, leave the same logs to what stays", () => {
    fc.assert(
      fc.property(histories, fc.nat({ max: 16_000 }), fc.nat({ max: 2 ** 14 }), (first, before, old) => {
        const info = Expiration.apply(first, Expiration.plan(first, before)).info
        const isOld = (id: SnapshotId): boolean => ((old >> (ObjectId.bytes12(id)[11]! % 15)) & 1) === 1
        const decision = CollectionPlan.decide(info, isOld)
        const after = CollectionPlan.apply(info, decision).info
        for (const id of after.snapshots.keys()) {
          assert.deepStrictEqual(logsTo(after, id), logsTo(info, id))
          for (const log of logsTo(after, id)) assert.isTrue(CollectionPlan.neededLogs(after).has(log))
        }
        for (const tip of [...info.branches.values(), ...info.tags.values()]) assert.isTrue(after.snapshots.has(tip))
        for (const id of decision.dropped) assert.isTrue(isOld(id))
      }),
      { numRuns: 300 }
    )
  })
})

/** Commits one a day. */
const commits = (repository: Repository.RepositoryShape, branch: string, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    Effect.fnUntraced(function* (i) {
      yield* TestClock.adjust("1 day")
      const session = yield* repository.writableSession(branch)
      yield* session.createGroup(`/${branch}${i}`)
      return yield* session.commit(`${branch} ${i}`)
    })
  )

describe("expire", () => {
  it.effect("shortens the history, keeps what refs are at, and is in the operations log", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const ids = yield* commits(repository, "main", 5)
          yield* repository.createTag("old", ids[1]!)
          yield* repository.createBranch("dev", ids[0]!)
          const dry = yield* Maintenance.expire(repository, { olderThan: "36 hours", dryRun: true })
          assert.strictEqual((yield* repository.history({ branch: "main" })).length, 6)
          const done = yield* Maintenance.expire(repository, { olderThan: "36 hours" })
          assert.deepStrictEqual(done, dry)
          assert.deepStrictEqual(done.released.toSorted(), [ids[2]!].toSorted())
          const history = yield* repository.history({ branch: "main" })
          assert.deepStrictEqual(
            history.map(({ id }) => id),
            [ids[4]!, ids[3]!, ObjectId.initialSnapshotId]
          )
          assert.deepStrictEqual(history[1]!.prunedAncestorTxLogs, [ids[0]!, ids[1]!, ids[2]!])
          assert.strictEqual((yield* repository.readonlySession({ tag: "old" })).branch, undefined)
          // Nothing more is old: nothing is written.
          const again = yield* Maintenance.expire(repository, { before: DateTime.makeUnsafe(86_400_000 * 3.5) })
          assert.strictEqual(again.released.length, 0)
        })
      )
    })
  )

  it.effect("deletes refs at expired snapshots when it is told to, but never `main`", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const ids = yield* commits(repository, "main", 2)
          yield* repository.createTag("t", ids[0]!)
          yield* repository.createBranch("b", ids[1]!)
          yield* TestClock.adjust("10 days")
          const done = yield* Maintenance.expire(repository, {
            olderThan: "1 day",
            expiredBranches: "delete",
            expiredTags: "delete"
          })
          assert.deepStrictEqual([done.deletedBranches, done.deletedTags], [["b"], ["t"]])
          assert.deepStrictEqual([...(yield* repository.branches).keys()], ["main"])
          assert.strictEqual((yield* repository.branches).get("main"), ids[1])
          const error = yield* Effect.flip(repository.createTag("t", ids[1]!))
          assert.strictEqual(error._tag, "RefForbidden")
        })
      )
    })
  )

  it.effect("keeps what others have tagged meanwhile, and writes nothing when nothing is left to expire", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      const ids = yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const ids = yield* commits(repository, "main", 2)
          yield* TestClock.adjust("10 days")
          return ids
        })
      )
      let isFirst = true
      const store: ObjectStore.ObjectStoreShape = {
        ...world.store,
        put: (key, bytes, options) =>
          Effect.suspend(() => {
            if (key !== "repo" || !isFirst) return world.store.put(key, bytes, options)
            isFirst = false
            return inWorld(world)(
              Effect.flatMap(Repository.open(), (repository) => repository.createTag("saved", ids[0]!))
            ).pipe(Effect.orDie, Effect.andThen(world.store.put(key, bytes, options)))
          })
      }
      yield* inWorld({ ...world, store })(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const done = yield* Maintenance.expire(repository, { olderThan: "1 day" })
          assert.deepStrictEqual(done.released, [])
          assert.strictEqual((yield* repository.history({ branch: "main" })).length, 3)
          assert.strictEqual((yield* repository.tags).get("saved"), ids[0])
        })
      )
      assert.isFalse(isFirst)
    })
  )

  it.effect("refuses times that are none, and those to come, before any request", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          const before = yield* Stream.runCollect(world.store.list(""))
          for (const age of [
            { olderThan: "-1 day" },
            { olderThan: "a while" },
            { olderThan: Number.NaN },
            { before: DateTime.makeUnsafe(86_400_000) }
          ] as ReadonlyArray<Maintenance.Age>) {
            const error = yield* Effect.flip(Maintenance.expire(repository, age))
            assert.strictEqual(error._tag, "InvalidCutoff", JSON.stringify(age))
          }
          assert.deepStrictEqual(yield* Stream.runCollect(world.store.list("")), before)
        })
      )
    })
  )
})
