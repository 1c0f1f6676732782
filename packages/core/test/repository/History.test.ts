import * as History from "@effect-icechunk/core/History"
import * as ReadonlyRepository from "@effect-icechunk/core/ReadonlyRepository"
import * as Repository from "@effect-icechunk/core/Repository"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import * as IcechunkFile from "../../src/format/IcechunkFile.ts"
import * as RepoInfo from "../../src/format/RepoInfo.ts"
import * as TransactionLog from "../../src/format/TransactionLog.ts"
import { ChangedChunks } from "../../src/repository/versions/ChangedChunks.ts"
import * as Diff from "../../src/repository/versions/Diff.ts"
import * as OperationsLog from "../../src/repository/versions/OperationsLog.ts"
import * as SnapshotGraph from "../../src/repository/versions/SnapshotGraph.ts"
import * as Version from "../../src/repository/versions/Version.ts"
import type { ObjectStoreShape } from "../../src/store/ObjectStore.ts"
import * as ChunkIndex from "../../src/values/ChunkIndex.ts"
import * as NodePath from "../../src/values/NodePath.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import { inWorld, text, worldInMemory } from "./Fixture.ts"
import { array } from "./RepositorySuite.ts"

const minute = 60_000

/** A branch with three commits, at minutes 1, 2 and 3, on top of the first snapshot at minute 0. */
const threeCommits = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  const ids: Array<ObjectId.SnapshotId> = []
  for (const name of ["one", "two", "three"]) {
    yield* TestClock.adjust(minute)
    yield* session.createGroup(`/${name}`)
    ids.push(yield* session.commit(name, { metadata: { name } }))
  }
  return { repository, ids }
})

const at = (milliseconds: number) => DateTime.makeUnsafe(milliseconds)

describe("ancestry", () => {
  it.effect("is what a version descends from, newest first, with times as DateTime", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const { ids, repository } = yield* threeCommits
          yield* repository.createTag("v2", ids[1]!)
          const all = yield* Stream.runCollect(History.ancestry(repository, { branch: "main" }))
          assert.deepStrictEqual(
            all.map(({ message, writtenAt }) => [message, DateTime.formatIso(writtenAt)]),
            [
              ["three", "1970-01-01T00:03:00.000Z"],
              ["two", "1970-01-01T00:02:00.000Z"],
              ["one", "1970-01-01T00:01:00.000Z"],
              ["Repository initialized", "1970-01-01T00:00:00.000Z"]
            ]
          )
          assert.deepStrictEqual(
            all.map(({ parentId }) => parentId),
            [ids[1]!, ids[0]!, ObjectId.initialSnapshotId, undefined]
          )
          const tagged = yield* Stream.runCollect(History.ancestry(repository, { tag: "v2" }))
          assert.deepStrictEqual(tagged, all.slice(1))
          const two = yield* History.snapshot(repository, { tag: "v2" })
          assert.deepStrictEqual(two, all[1])
          assert.deepStrictEqual(two.metadata, { name: "two" })
          assert.strictEqual(yield* History.tag(repository, "v2"), ids[1])
          assert.strictEqual(yield* History.branch(repository, "main"), ids[2])
          for (const wrong of [{ branch: "v2" }, { tag: "main" }, { snapshotId: "nonsense" }]) {
            const error = yield* Effect.flip(Stream.runCollect(History.ancestry(repository, wrong)))
            assert.strictEqual(error._tag, "RefNotFound")
          }
          assert.include((yield* Effect.flip(History.tag(repository, "v3"))).message, "`v2`")
          assert.include((yield* Effect.flip(History.branch(repository, "v2"))).message, "`main`")
        })
      )
    })
  )

  it.effect("as of a time begins with the newest snapshot of the branch that is not later", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const { ids, repository } = yield* threeCommits
          const asOf = (time: number) => ({ branch: "main", asOf: at(time) })
          const found = (time: number) => Effect.map(History.snapshot(repository, asOf(time)), ({ id }) => id)
          assert.strictEqual(yield* found(0), ObjectId.initialSnapshotId)
          assert.strictEqual(yield* found(minute - 1), ObjectId.initialSnapshotId)
          assert.strictEqual(yield* found(minute), ids[0])
          assert.strictEqual(yield* found(2 * minute), ids[1])
          assert.strictEqual(yield* found(3 * minute - 1), ids[1])
          assert.strictEqual(yield* found(99 * minute), ids[2])
          const zoned = DateTime.makeZonedUnsafe(2 * minute, { timeZone: "Asia/Tokyo" })
          const session = yield* repository.readonlySession({ branch: "main", asOf: zoned })
          assert.strictEqual(yield* session.snapshotId, ids[1])
          assert.isUndefined(session.branch)
          assert.deepStrictEqual(
            (yield* session.nodes()).map(({ path }) => path),
            ["/one", "/two"] as never
          )
          const history = yield* repository.history(asOf(2 * minute))
          assert.deepStrictEqual(
            history.map(({ id }) => id),
            [ids[1]!, ids[0]!, ObjectId.initialSnapshotId]
          )
          const error = yield* Effect.flip(repository.readonlySession(asOf(-1)))
          assert.strictEqual(error._tag, "NoSnapshotAsOf")
          assert.include(error.message, "`1970-01-01T00:00:00.000Z`")
          assert.include(error.message, "`1969-12-31T23:59:59.999Z`")
          assert.strictEqual(
            (yield* Effect.flip(repository.readonlySession({ branch: "x", asOf: at(0) })))._tag,
            "RefNotFound"
          )
          const never = yield* Effect.flip(
            repository.readonlySession({ branch: "main", asOf: { epochMilliseconds: Number.NaN } as never })
          )
          assert.strictEqual(never._tag, "NoSnapshotAsOf")
          // A branch and no time is its tip.
          assert.strictEqual((yield* repository.readonlySession({ branch: "main", asOf: undefined })).branch, "main")
        })
      )
    })
  )

  it("finds a snapshot by its own time, which has no microseconds any more", () => {
    const id = ObjectId.initialSnapshotId
    const snapshot = { id, parentId: undefined, flushedAt: 1_700_000_000_123_456, message: "", metadata: {} }
    const info = {
      branches: new Map([["main", id]]),
      tags: new Map(),
      snapshots: new Map([[id, { ...snapshot, prunedAncestorTxLogs: [] }]])
    } as unknown as RepoInfo.RepoInfo
    const find = (time: number) => Version.find(info, { branch: "main", asOf: at(time) })
    assert.deepStrictEqual(find(1_700_000_000_123), Result.succeed(id))
    assert.isTrue(Result.isFailure(find(1_700_000_000_122)))
  })
})

const tagsOf = (all: ReadonlyArray<History.Operation>) => all.map(({ update: { _tag } }) => _tag).toReversed()

const rewrite = (store: ObjectStoreShape, key: string, f: (info: RepoInfo.RepoInfo) => RepoInfo.RepoInfo) =>
  Effect.gen(function* () {
    const { bytes } = yield* store.get(key)
    const { payload } = yield* IcechunkFile.decode(key, bytes, "RepoInfo")
    const info = yield* Effect.fromResult(RepoInfo.decode(key, payload))
    yield* store.put(key, yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(f(info))))
  }).pipe(Effect.provide(NodeZstd.layer))

describe("the operations log", () => {
  /** Ten operations, of which the repository object has the last three. */
  const tenOperations = Effect.gen(function* () {
    const repository = yield* Repository.create({ config: { num_updates_per_repo_info_file: 3 } })
    const session = yield* repository.writableSession("main")
    for (let i = 0; i < 3; i++) {
      yield* TestClock.adjust(minute)
      yield* session.createGroup(`/${i}`)
      const id = yield* session.commit(String(i))
      yield* repository.createTag(`v${i}`, id)
    }
    yield* repository.createBranch("other", ObjectId.initialSnapshotId)
    yield* repository.deleteTag("v0")
    yield* repository.deleteBranch("other")
    return repository
  })
  const expected = [
    "RepoInitialized",
    "NewCommit",
    "TagCreated",
    "NewCommit",
    "TagCreated",
    "NewCommit",
    "TagCreated",
    "BranchCreated",
    "TagDeleted",
    "BranchDeleted"
  ]

  it.effect("has all operations, latest first, over all its pages, with the file that each left", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* tenOperations
          const all = yield* Stream.runCollect(History.operations(repository))
          assert.deepStrictEqual(tagsOf(all), expected)
          assert.isTrue(all.every(({ updatedAt }, i) => i === 0 || updatedAt < all[i - 1]!.updatedAt))
          assert.deepStrictEqual(
            all.map(({ at, updatedAt }) => at.epochMilliseconds - Math.floor(updatedAt / 1000)),
            all.map(() => 0)
          )
          assert.strictEqual(all[0]!.file, "repo")
          assert.strictEqual(new Set(all.map(({ file }) => file)).size, all.length)
          for (const { file, updatedAt } of all) {
            const { bytes } = yield* world.store.get(file!)
            const { payload } = yield* Effect.provide(IcechunkFile.decode(file!, bytes, "RepoInfo"), NodeZstd.layer)
            const info = yield* Effect.fromResult(RepoInfo.decode(file!, payload))
            assert.strictEqual(info.latestUpdates[0]!.updatedAt, updatedAt)
          }
          const [latest] = yield* Stream.runCollect(Stream.take(History.operations(repository), 1))
          assert.deepStrictEqual(latest!.update, {
            _tag: "BranchDeleted",
            name: "other",
            previousSnapshotId: ObjectId.initialSnapshotId
          })
        })
      )
    })
  )

  it.effect("that goes on in a file that is gone passes on what there is, and then names that file", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* tenOperations
          const all = yield* Stream.runCollect(History.operations(repository))
          const missing = all[6]!.file!
          yield* world.store.delete([missing])
          const found: Array<History.Operation> = []
          const error = yield* History.operations(repository).pipe(
            Stream.runForEach((one) => Effect.sync(() => found.push(one))),
            Effect.flip
          )
          assert.deepStrictEqual(found, all.slice(0, 6))
          assert.strictEqual(error._tag, "OperationsLogIncomplete")
          assert.include(error.message, missing)
        })
      )
    })
  )

  it.effect("that leads round in a circle, to another place, or to a later time is refused", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* tenOperations
          const all = yield* Stream.runCollect(History.operations(repository))
          const page = all[3]!.file!
          const failure = Effect.flip(Stream.runDrain(History.operations(repository)))
          const before = yield* world.store.get(page)
          const wrongs: ReadonlyArray<
            readonly [change: (info: RepoInfo.RepoInfo) => RepoInfo.RepoInfo, field: string, problem: string]
          > = [
            [(info) => ({ ...info, repoBeforeUpdates: page.slice(12) }), "repo_before_updates", "comes after it"],
            [(info) => ({ ...info, repoBeforeUpdates: "../repo" }), "repo_before_updates", "not the name of a file"],
            [(info) => ({ ...info, repoBeforeUpdates: "" }), "repo_before_updates", "not the name of a file"],
            [
              (info) => ({ ...info, latestUpdates: info.latestUpdates.map((one) => ({ ...one, updatedAt: 2e15 })) }),
              "latest_updates[0].updated_at",
              "later than"
            ]
          ]
          for (const [change, field, problem] of wrongs) {
            yield* rewrite(world.store, page, change)
            const error = yield* failure
            assert.strictEqual(error._tag, "FormatError")
            assert.include(error.message, page)
            assert.include(error.message, field)
            assert.include(error.message, problem)
            yield* world.store.put(page, before.bytes)
          }
          yield* world.store.put(page, text("no file of Icechunk"))
          assert.strictEqual((yield* failure)._tag, "FormatError")
        })
      )
    })
  )

  it("of operations that a migration noted knows no file", () => {
    const entry = (updatedAt: number, backupPath: string | undefined) => ({
      update: { _tag: "ConfigChanged" } as const,
      updatedAt,
      backupPath
    })
    const page = OperationsLog.page(
      {
        latestUpdates: [entry(9, undefined), entry(5, undefined), entry(5, "repo.1.A")],
        repoBeforeUpdates: "repo.2.B"
      },
      "repo",
      new Set(),
      Infinity
    )
    const { before, operations } = Result.getOrThrow(page)
    assert.deepStrictEqual(
      operations.map(({ file }) => file),
      ["repo", undefined, "overwritten/repo.1.A"]
    )
    assert.strictEqual(before, "overwritten/repo.2.B")
  })

  it("of pages without operations that lead to each other is refused", () => {
    const empty = { latestUpdates: [], repoBeforeUpdates: "repo.1.A" }
    const page = OperationsLog.page(empty, "overwritten/repo.2.B", new Set(["repo", "overwritten/repo.1.A"]), 5)
    assert.isTrue(Result.isFailure(page))
    assert.isTrue(Result.isFailure(OperationsLog.page(empty, "overwritten/repo.1.A", new Set(["repo"]), 5)))
    assert.isTrue(Result.isSuccess(OperationsLog.page(empty, "overwritten/repo.2.B", new Set(["repo"]), 5)))
  })

  it.effect("of a repository that is gone is no log that is incomplete", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const repository = yield* Repository.create()
          yield* world.store.delete(["repo"])
          const error = yield* Effect.flip(Stream.runDrain(History.operations(repository)))
          assert.strictEqual(error._tag, "ObjectStoreError")
        })
      )
    })
  )
})

const node = (number: number): ObjectId.NodeId => ObjectId.nodeId(new Uint8Array(8).fill(number + 1))
const snapshotId = (number: number): ObjectId.SnapshotId => ObjectId.snapshotId(new Uint8Array(12).fill(number + 1))

/** Indices as the columns of a log. */
const columns = (id: ObjectId.NodeId, indices: ReadonlyArray<ChunkIndex.ChunkIndex>): TransactionLog.UpdatedChunks => {
  const sorted = indices.toSorted(ChunkIndex.compare)
  const distinct = sorted.filter((index, i) => i === 0 || !ChunkIndex.equals(index, sorted[i - 1]!))
  return { node: id, rank: indices[0]?.length ?? 0, count: distinct.length, coords: Uint32Array.from(distinct.flat()) }
}

describe("changed chunks", () => {
  const coordinate = fc.oneof(fc.nat(5), fc.nat(2 ** 32 - 1))
  const log = fc.record({
    array: fc.nat(2),
    indices: fc
      .nat(3)
      .chain((rank) => fc.array(fc.array(coordinate, { minLength: rank, maxLength: rank }), { maxLength: 12 }))
  })

  it("are those of all logs, each once and in order, whatever the order of the logs", () => {
    fc.assert(
      fc.property(fc.array(log, { maxLength: 40 }), (logs) => {
        const chunks = new ChangedChunks()
        for (const { array, indices } of logs) chunks.add(columns(node(array), indices))
        for (let array = 0; array < 3; array++) {
          const all = logs.flatMap((one) => (one.array === array ? one.indices : []))
          const sorted = all.toSorted((a, b) => a.length - b.length || ChunkIndex.compare(a, b))
          const distinct = sorted.filter((index, i) => i === 0 || !ChunkIndex.equals(index, sorted[i - 1]!))
          assert.deepStrictEqual([...chunks.indices(node(array))], distinct)
          assert.strictEqual(chunks.count(node(array)), distinct.length)
        }
      })
    )
  })

  it("do not change what a log said", () => {
    const one = columns(node(0), [[1], [5]])
    const chunks = new ChangedChunks()
    chunks.add(one)
    chunks.add(columns(node(0), [[3]]))
    assert.deepStrictEqual([...chunks.indices(node(0))], [[1], [3], [5]])
    assert.deepStrictEqual(one.coords, Uint32Array.of(1, 5))
  })
})

describe("the logs between two snapshots", () => {
  it("are oldest first, those of expired snapshots before the one that took them over", () => {
    const info = (id: number, parentId: number | undefined, pruned: ReadonlyArray<number>) => ({
      id: snapshotId(id),
      parentId: parentId === undefined ? undefined : snapshotId(parentId),
      flushedAt: id,
      message: "",
      metadata: {},
      prunedAncestorTxLogs: pruned.map(snapshotId)
    })
    const infos = [info(0, undefined, []), info(3, 0, [1, 2]), info(4, 3, []), info(9, 4, [5, 6])]
    const snapshots = new Map(infos.map((one) => [one.id, one]))
    const logs = (from: number, to: number) =>
      Result.getOrThrow(Diff.logs({ snapshots }, snapshotId(from), snapshotId(to)))
    const entry = (id: number, isPruned: boolean) => ({ id: snapshotId(id), isPruned })
    assert.deepStrictEqual(logs(0, 9), [
      entry(1, true),
      entry(2, true),
      entry(3, false),
      entry(4, false),
      entry(5, true),
      entry(6, true),
      entry(9, false)
    ])
    assert.deepStrictEqual(logs(3, 4), [entry(4, false)])
    assert.deepStrictEqual(logs(4, 4), [])
  })
})

describe("the net effect of logs", () => {
  const path = (value: string) => Result.getOrThrow(NodePath.parse(value))
  const group = (id: number, at: string) => ({ id: node(id), path: path(at), data: { _tag: "Group" } as const })
  const arrayAt = (id: number, at: string) => ({
    id: node(id),
    path: path(at),
    data: { _tag: "Array", shape: [], dimensionNames: undefined, manifests: [] } as const
  })
  const plain = (net: Diff.Net) => ({
    ...net,
    updatedChunks: net.updatedChunks.map(({ count, indices, path }) => [path, count, [...indices()]] as const)
  })
  const nothing = {
    newGroups: [],
    newArrays: [],
    deletedGroups: [],
    deletedArrays: [],
    updatedGroups: [],
    updatedArrays: [],
    movedNodes: [],
    updatedChunks: []
  }

  it("leaves out what came and went, and what was moved to and fro", () => {
    const all = Diff.collected()
    const log = TransactionLog.empty(snapshotId(0))
    const moved = { node: node(1), type: "Array" as const }
    Diff.collect(all, { ...log, newArrays: [node(2)], updatedChunks: [columns(node(2), [[0]])] })
    Diff.collect(all, { ...log, movedNodes: [{ ...moved, from: path("/a"), to: path("/b") }] })
    Diff.collect(all, {
      ...log,
      updatedArrays: [node(2)],
      movedNodes: [{ ...moved, from: path("/b"), to: path("/a") }]
    })
    Diff.collect(all, { ...log, deletedArrays: [node(2)] })
    const nodes = [group(0, "/"), arrayAt(1, "/a")]
    assert.deepStrictEqual(plain(Diff.net(nodes, nodes, all)), nothing)
  })

  it("says of a node that is new or gone no more than that, and of one in its place that it is another", () => {
    const all = Diff.collected()
    const log = TransactionLog.empty(snapshotId(0))
    Diff.collect(all, {
      ...log,
      updatedArrays: [node(1), node(2), node(3)],
      updatedGroups: [node(0), node(4)],
      updatedChunks: [columns(node(1), [[0]]), columns(node(2), [[1]]), columns(node(3), [[2]])]
    })
    const before = [group(0, "/"), arrayAt(1, "/a"), arrayAt(3, "/kept")]
    const after = [group(0, "/"), arrayAt(2, "/a"), group(4, "/g"), arrayAt(3, "/g/kept")]
    assert.deepStrictEqual(plain(Diff.net(before, after, all)), {
      newGroups: ["/g"],
      newArrays: ["/a"],
      deletedGroups: [],
      deletedArrays: ["/a"],
      updatedGroups: ["/"],
      updatedArrays: ["/g/kept"],
      movedNodes: [{ from: "/kept", to: "/g/kept", type: "Array" }],
      updatedChunks: [
        ["/a", 1, [[1]]],
        ["/g/kept", 1, [[2]]]
      ]
    } as never)
  })

  it.effect("is asked for between versions of which one descends from the other", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const { ids, repository } = yield* threeCommits
          yield* repository.createBranch("other", ids[0]!)
          const session = yield* repository.writableSession("other")
          yield* session.createArray("/a", array([4, 4], [1, 1]))
          yield* session.setChunk("/a", [3, 0], text("x"))
          yield* session.setChunk("/a", [0, 1], text("y"))
          const other = yield* session.commit("on other")
          const { updatedChunks, ...diff } = yield* History.diff(
            repository,
            { snapshotId: ids[0]! },
            { branch: "other" }
          )
          const { updatedChunks: _updatedChunks, ...lists } = nothing
          assert.deepStrictEqual(diff, {
            ...lists,
            newArrays: ["/a"],
            from: ids[0]!,
            to: other,
            missingLogs: []
          } as never)
          assert.deepStrictEqual(
            updatedChunks.map(({ count, path }) => [path, count] as const),
            [["/a", 2]] as never
          )
          const indices = yield* Stream.runCollect(updatedChunks[0]!.indices)
          assert.deepStrictEqual(indices, [
            [0, 1],
            [3, 0]
          ])
          const same = yield* History.diff(repository, { branch: "main" }, { snapshotId: ids[2]! })
          assert.deepStrictEqual([same.newGroups, same.updatedChunks, same.from], [[], [], ids[2]] as never)

          const error = yield* Effect.flip(History.diff(repository, { branch: "main" }, { branch: "other" }))
          assert.strictEqual(error._tag, "NotAnAncestor")
          assert.include(error.message, "an ancestor that they share")
          const swapped = yield* Effect.flip(History.diff(repository, { branch: "main" }, { snapshotId: ids[0]! }))
          assert.strictEqual(swapped._tag, "NotAnAncestor")
          assert.include(swapped.message, "swap")
          assert.strictEqual(
            (yield* Effect.flip(History.diff(repository, { tag: "nope" }, { branch: "main" })))._tag,
            "RefNotFound"
          )
        })
      )
    })
  )
})

describe("a diff over a damaged transaction log", () => {
  it.effect("fails, names the log, and leaves the others as they are", () =>
    Effect.gen(function* () {
      const world = yield* worldInMemory
      yield* inWorld(world)(
        Effect.gen(function* () {
          const { ids, repository } = yield* threeCommits
          const diff = History.diff(repository, { snapshotId: ids[0]! }, { branch: "main" })
          yield* diff
          const [two, three] = [`transactions/${ids[1]!}`, `transactions/${ids[2]!}`]
          const { bytes } = yield* world.store.get(two)
          const other = yield* world.store.get(three)
          for (const wrong of [bytes.subarray(0, bytes.length - 3), text("nothing of Icechunk"), other.bytes]) {
            yield* world.store.put(two, wrong)
            const error = yield* Effect.flip(diff)
            assert.strictEqual(error._tag, "FormatError")
            assert.include(error.message, two)
          }
          // Only logs of expired snapshots may be missing.
          yield* world.store.delete([two])
          const missing = yield* Effect.flip(diff)
          assert.strictEqual(missing._tag, "ObjectStoreError")
          assert.include(missing.message, two)
          // Nothing else needs it.
          yield* repository.readonlySession({ branch: "main" })
          yield* world.store.put(two, bytes)
          yield* diff
        })
      )
    })
  )
})

describe("history of a repository that is only read", () => {
  it.effect("is the same", () =>
    Effect.gen(function* () {
      yield* inWorld(yield* worldInMemory)(
        Effect.gen(function* () {
          const { ids, repository } = yield* threeCommits
          const readonly = yield* ReadonlyRepository.open()
          const graph = yield* Stream.runCollect(History.graph(readonly))
          assert.deepStrictEqual(graph, yield* Stream.runCollect(History.graph(repository)))
          const log = yield* Stream.runCollect(History.operations(readonly))
          assert.deepStrictEqual(log, yield* Stream.runCollect(History.operations(repository)))
          const { newGroups } = yield* History.diff(readonly, { snapshotId: ids[0]! }, { branch: "main" })
          assert.deepStrictEqual(newGroups.map(String), ["/three", "/two"])
          const asOf = yield* readonly.readonlySession({ branch: "main", asOf: at(minute) })
          assert.strictEqual(yield* asOf.snapshotId, ids[0])
        })
      )
    })
  )

  it("is asked of the repository itself", () => {
    assert.throws(() => Effect.runSync(History.branch({} as never, "main")), "pass the object itself")
  })
})

describe("the graph of snapshots", () => {
  const graph = fc
    .array(fc.record({ parent: fc.nat(), flushedAt: fc.nat(5) }), { minLength: 1, maxLength: 30 })
    .map((all) =>
      all.map(({ flushedAt, parent }, i) => ({
        id: snapshotId(i),
        parentId: i === 0 ? undefined : snapshotId(parent % i),
        flushedAt,
        message: String(i),
        metadata: {},
        prunedAncestorTxLogs: []
      }))
    )

  it("has each snapshot once, before its parent, with its children and refs, and whether a ref leads to it", () => {
    fc.assert(
      fc.property(graph, fc.array(fc.nat(), { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 4 }), (all, b, t) => {
        const refs = (name: string, at: ReadonlyArray<number>) =>
          new Map(at.map((number, i) => [`${name}${i}`, all[number % all.length]!.id]))
        const [branches, tags] = [refs("b", b), refs("t", t)]
        const found = [
          ...SnapshotGraph.nodes({ branches, tags, snapshots: new Map(all.map((info) => [info.id, info])) })
        ]
        assert.deepStrictEqual(found.map(({ snapshot }) => snapshot.id).toSorted(), all.map(({ id }) => id).toSorted())
        const place = new Map(found.map(({ snapshot }, i) => [snapshot.id, i]))
        const targets = new Set([...branches.values(), ...tags.values()])
        const leadsTo = (id: ObjectId.SnapshotId): boolean =>
          targets.has(id) || all.some((child) => child.parentId === id && leadsTo(child.id))
        for (const { branches: own, children, isReachable, snapshot, tags: ownTags } of found) {
          if (snapshot.parentId !== undefined) {
            assert.isBelow(place.get(snapshot.id)!, place.get(snapshot.parentId)!)
          }
          assert.deepStrictEqual(
            children,
            all.flatMap(({ id, parentId }) => (parentId === snapshot.id ? [id] : [])).toSorted(ObjectId.compare)
          )
          const namesAt = (all: ReadonlyMap<string, ObjectId.SnapshotId>) =>
            [...all].flatMap(([name, id]) => (id === snapshot.id ? [name] : []))
          assert.deepStrictEqual(own, namesAt(branches))
          assert.deepStrictEqual(ownTags, namesAt(tags))
          assert.strictEqual(isReachable, leadsTo(snapshot.id))
        }
      })
    )
  })
})
