import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as assert from "node:assert"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import * as FlatTable from "../../src/encoding/FlatTable.ts"
import * as RepoInfo from "../../src/format/RepoInfo.ts"
import { Update } from "../../src/format/RepoUpdate.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import type { SnapshotId } from "../../src/values/ObjectId.ts"
import * as arbitraries from "./arbitraries.ts"
import * as damage from "./damage.ts"

/** With snapshots in a map, to be compared. */
const decode = (payload: Uint8Array) =>
  Result.map(RepoInfo.decode("repo", payload), (info) => ({ ...info, snapshots: new Map(info.snapshots) }))

const id = (n: number): SnapshotId => ObjectId.snapshotId(new Uint8Array(12).fill(n))

const snapshot = (n: number, parent?: number): [SnapshotId, RepoInfo.SnapshotInfo] => [
  id(n),
  {
    id: id(n),
    parentId: parent === undefined ? undefined : id(parent),
    flushedAt: n,
    message: `commit ${n}`,
    metadata: { author: "Ada", n, nested: { list: [1, 2.5, null] } },
    prunedAncestorTxLogs: []
  }
]

const info: RepoInfo.RepoInfo = {
  specVersion: 2,
  tags: new Map([["v1", id(2)]]),
  branches: new Map([
    ["dev", id(3)],
    ["main", id(2)]
  ]),
  deletedTags: new Set(["old"]),
  snapshots: new Map([snapshot(1), snapshot(2, 3), snapshot(3, 1)]),
  status: { availability: "Online", setAt: 1, reason: undefined },
  metadata: { about: "a test" },
  latestUpdates: [
    { update: Update.NewCommit({ branch: "main", newSnapshotId: id(2) }), updatedAt: 3, backupPath: undefined },
    { update: Update.RepoInitialized(), updatedAt: 1, backupPath: "repo.1.A" }
  ],
  repoBeforeUpdates: undefined,
  config: Uint8Array.of(1, 2, 3),
  enabledFeatureFlags: undefined,
  disabledFeatureFlags: [5],
  extra: undefined
}

/** A repo object with the snapshots and branches that are asked for, right or wrong. */
const forged = (options: {
  readonly parents?: ReadonlyArray<number>
  readonly ids?: ReadonlyArray<number>
  readonly branches?: ReadonlyArray<readonly [string, number]>
  readonly deletedTags?: ReadonlyArray<string>
  readonly availability?: number
  readonly update?: number
}): Uint8Array => {
  const builder = new FlatBuilder()
  const field = (slot: number) => ({ slot, name: "" })
  const text = builder.string("text")
  const parents = options.parents ?? [-1]
  const snapshots = builder.offsets(
    parents.map((parent, i) =>
      builder.table(6, (table) => {
        table.struct(field(0), new Uint8Array(12).fill(options.ids?.[i] ?? i))
        table.i32(field(1), parent)
        table.offset(field(3), text)
      })
    )
  )
  const refs = (entries: ReadonlyArray<readonly [string, number]>) =>
    builder.offsets(
      entries.map(([ref, index]) => {
        const name = builder.string(ref)
        return builder.table(2, (table) => {
          table.offset(field(0), name)
          table.u32(field(1), index)
        })
      })
    )
  const none = refs([])
  const branches = refs(options.branches ?? [["main", 0]])
  const deletedTags = builder.offsets((options.deletedTags ?? []).map((name) => builder.string(name)))
  const status = builder.table(3, (table) => table.u8(field(0), options.availability ?? 0))
  const nothing = builder.table(0, () => {})
  const entry = builder.table(4, (table) => {
    table.u8(field(0), options.update ?? 1)
    table.offset(field(1), nothing)
  })
  const updates = builder.offsets([entry])
  return builder.finish(
    builder.table(13, (table) => {
      table.u8(field(0), 2)
      table.offset(field(1), none)
      table.offset(field(2), branches)
      table.offset(field(3), deletedTags)
      table.offset(field(4), snapshots)
      table.offset(field(5), status)
      table.offset(field(7), updates)
    })
  )
}

describe("RepoInfo", () => {
  it("gives back what it encoded", () => {
    expect(Result.getOrThrow(decode(RepoInfo.encode(info)))).toStrictEqual(info)
    fc.assert(
      fc.property(arbitraries.repoInfo, (value) =>
        assert.deepStrictEqual(Result.getOrThrow(decode(RepoInfo.encode(value))), value)
      ),
      { numRuns: 500 }
    )
  })

  it("sorts snapshots by id, names by their UTF-8 bytes and flags by number", () => {
    const shuffled: RepoInfo.RepoInfo = {
      ...info,
      snapshots: new Map([snapshot(3, 1), snapshot(1), snapshot(2, 3)]),
      branches: new Map([
        ["\u{10000}", id(1)],
        ["\uffff", id(1)],
        ["main", id(2)]
      ]),
      deletedTags: new Set(["b", "\u{10000}", "\uffff", "a"]),
      enabledFeatureFlags: [300, 2, 10]
    }
    const back = Result.getOrThrow(decode(RepoInfo.encode(shuffled)))
    expect(Array.from(back.snapshots.keys())).toStrictEqual([id(1), id(2), id(3)])
    expect(back.snapshots).toStrictEqual(info.snapshots)
    expect(Array.from(back.branches.keys())).toStrictEqual(["main", "\uffff", "\u{10000}"])
    expect(Array.from(back.deletedTags)).toStrictEqual(["a", "b", "\uffff", "\u{10000}"])
    expect(back.enabledFeatureFlags).toStrictEqual([2, 10, 300])
  })

  it("writes metadata that nobody changed as it was, integers beyond 2^53 included", () => {
    // 2^60 + 1 as a flexbuffer: an unsigned number of eight bytes, its type, its width.
    const exact = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0x10, (2 << 2) | 3, 8])
    const rounded = RepoInfo.encode({ ...info, metadata: { n: 2 ** 60 } })
    const field = Result.getOrThrow(
      FlatTable.decode("repo", rounded, (root) =>
        root.vector({ slot: 6, name: "metadata" }, 4).table(0).bytes({ slot: 1, name: "value" })
      )
    )
    expect(field).toHaveLength(exact.length)
    field.set(exact)
    const once = Result.getOrThrow(decode(rounded))
    expect(once.metadata).toStrictEqual({ n: 2 ** 60 })
    const again = RepoInfo.encode({ ...once, tags: new Map() })
    expect(Buffer.from(again).includes(exact)).toBe(true)
    const changed = RepoInfo.encode({ ...once, metadata: { ...once.metadata, other: 1 } })
    expect(Buffer.from(changed).includes(exact)).toBe(false)
  })

  it("keeps the bytes that it returns when the payload is used for something else", () => {
    const payload = RepoInfo.encode(info)
    const back = Result.getOrThrow(decode(payload))
    payload.fill(0)
    expect(back).toStrictEqual(info)
  })

  it("treats a parent that is not among the snapshots as a bug of the caller", () => {
    expect(() => RepoInfo.encode({ ...info, snapshots: new Map([...info.snapshots, snapshot(4, 9)]) })).toThrow(id(9))
    expect(() => RepoInfo.encode({ ...info, tags: new Map([["v", id(9)]]) })).toThrow(id(9))
  })

  it.each([
    ["snapshots[1].parent_offset", { parents: [-1, 2] }, "it is 2, there are 2 snapshots"],
    ["snapshots[0].parent_offset", { parents: [-2] }, "it is -2"],
    ["snapshots[0].parent_offset", { parents: [0] }, "descends from itself"],
    ["snapshots[1].parent_offset", { parents: [-1, 2, 3, 1] }, "descends from itself"],
    ["snapshots[1].id", { parents: [-1, 0], ids: [7, 7] }, "the same id"],
    ["branches[0].snapshot_index", { branches: [["main", 1]] }, "it is 1, there are 1 snapshots"],
    ["branches[0].snapshot_index", { branches: [["main", 0xffff_ffff]] }, "it is 4294967295"],
    [
      "branches[1].name",
      {
        branches: [
          ["main", 0],
          ["main", 0]
        ]
      },
      "occurs twice"
    ],
    ["deleted_tags[1]", { deletedTags: ["a", "a"] }, "occurs twice"],
    ["status.availability", { availability: 3 }, "code 3"],
    ["latest_updates[0].update_type_type", { update: 17 }, "code 17"],
    ["latest_updates[0].update_type_type", { update: 0 }, "code 0"],
    ["latest_updates[0].update_type.name", { update: 5 }, "required and absent"]
  ] as const)("names %s when it is wrong: %j", (field, options, problem) => {
    const result = decode(forged(options))
    expect(Result.isFailure(result) && result.failure).toMatchObject({ _tag: "FormatError", file: "repo", field })
    expect(Result.isFailure(result) && result.failure.problem).toMatch(problem)
  })

  it("bounds flags and updates by what the format can mean", () => {
    const flags = (count: number): Uint8Array =>
      RepoInfo.encode({ ...info, enabledFeatureFlags: Array.from({ length: count }, () => 7) })
    expect(Result.isSuccess(decode(flags(65_535)))).toBe(true)
    const problem = (payload: Uint8Array): unknown => {
      const result = decode(payload)
      return Result.isFailure(result) && result.failure.message
    }
    expect(problem(flags(65_536))).toMatch("`enabled_feature_flags`")
    const updates = (count: number): Uint8Array =>
      RepoInfo.encode({ ...info, latestUpdates: Array.from({ length: count }, () => info.latestUpdates[1]!) })
    expect(Result.isSuccess(decode(updates(65_536)))).toBe(true)
    expect(problem(updates(65_537))).toMatch("65537 elements, more than 65536")
  })

  it("stops at the second snapshot of an id, before it builds what comes after", () => {
    const parents = Array.from({ length: 100_000 }, () => -1)
    const result = RepoInfo.decode("repo", forged({ parents, ids: parents.map(() => 7) }), { maxHeld: 20_000_000 })
    expect(Result.isFailure(result) && result.failure.field).toBe("snapshots[1].id")
  })

  it("reads forged objects that are right", () => {
    const parents = [-1, 0, 1, 2, 2, 0]
    const back = Result.getOrThrow(decode(forged({ parents, branches: [["main", 5]] })))
    const ids = Array.from(back.snapshots.keys())
    expect(
      Array.from(back.snapshots.values(), ({ parentId }) => ids.findIndex((other) => other === parentId))
    ).toStrictEqual(parents)
  })

  it("fails with a FormatError on damaged payloads", () => {
    const payload = RepoInfo.encode({
      ...info,
      extra: Uint8Array.of(1),
      enabledFeatureFlags: [1, 2],
      repoBeforeUpdates: "repo.0.A",
      latestUpdates: [
        ...info.latestUpdates,
        { update: Update.TagDeleted({ name: "old", previousSnapshotId: id(1) }), updatedAt: 1, backupPath: "b" },
        { update: Update.RepoStatusChanged({ status: info.status }), updatedAt: 1, backupPath: "b" }
      ]
    }).slice()
    expect(damage.truncations(payload, decode)).toBeGreaterThan(payload.length - 8)
    expect(damage.flips(payload, 20_000, 4, decode)).toBeGreaterThan(5000)
  })
})
