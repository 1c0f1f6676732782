import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as FlatTable from "../../src/encoding/FlatTable.ts"
import { FlatBuilder } from "../../src/encoding/FlatBuilder.ts"
import * as SnapshotTable from "../../src/format/SnapshotTable.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import type { SnapshotId } from "../../src/values/ObjectId.ts"

type Infos = ReadonlyArray<SnapshotTable.SnapshotInfo>

const id = (bytes: Uint8Array): SnapshotId => ObjectId.snapshotId(bytes)

const json = fc.oneof(fc.string({ unit: "grapheme" }), fc.integer(), fc.boolean(), fc.array(fc.string()))

/** Snapshots each of which descends from one before it, in random order of their ids. */
const history: fc.Arbitrary<Infos> = fc
  .uniqueArray(
    fc.record({
      bytes: fc.uint8Array({ minLength: 12, maxLength: 12 }),
      parent: fc.double({ min: 0, max: 0.999, noNaN: true }),
      flushedAt: fc.maxSafeNat(),
      message: fc.string({ unit: "grapheme", maxLength: 200 }),
      metadata: fc.dictionary(fc.string({ unit: "grapheme" }), json, { maxKeys: 3, noNullPrototype: true }),
      pruned: fc.array(fc.uint8Array({ minLength: 12, maxLength: 12 }), { maxLength: 3 })
    }),
    { selector: ({ bytes }) => id(bytes), minLength: 1, maxLength: 40 }
  )
  .map((all) =>
    all.map(({ bytes, flushedAt, message, metadata, parent, pruned }, i) => ({
      id: id(bytes),
      parentId: i === 0 ? undefined : id(all[Math.floor(parent * i)]!.bytes),
      flushedAt,
      message,
      metadata,
      prunedAncestorTxLogs: pruned.map(id)
    }))
  )

const mapOf = (infos: Infos) => new Map(infos.map((info) => [info.id, info]))

const snapshots = { slot: 0, name: "snapshots" }

const reread = (table: SnapshotTable.SnapshotTable): SnapshotTable.SnapshotTable => {
  const builder = new FlatBuilder()
  const vector = table.encode(builder)
  const payload = builder.finish(builder.table(1, (fields) => fields.offset(snapshots, vector)))
  return Result.getOrThrow(
    FlatTable.decode("repo", payload, (root) => SnapshotTable.decode("repo", root, snapshots).snapshots)
  )
}

const assertSame = (table: SnapshotTable.SnapshotTable, infos: Infos): void => {
  const sorted = infos.toSorted((a, b) => ObjectId.compare(a.id, b.id))
  assert.strictEqual(table.size, infos.length)
  assert.deepStrictEqual(Array.from(table.values()), sorted)
  assert.deepStrictEqual(Array.from(table), sorted.map((info) => [info.id, info] as const) as never)
  for (const info of infos) assert.deepStrictEqual(table.get(info.id), info)
}

describe("SnapshotTable", () => {
  it("has the snapshots that it was made of, one by one or all at once, and those that were written", () => {
    fc.assert(
      fc.property(history, (infos) => {
        const [first, ...others] = infos
        let grown = SnapshotTable.of(mapOf([first!]))
        for (const info of others) grown = SnapshotTable.including(grown, info)
        const whole = SnapshotTable.of(mapOf(infos))
        for (const table of [grown, whole, reread(grown), reread(whole), reread(reread(grown))])
          assertSame(table, infos)
      })
    )
  })

  it("goes on from what was read as from what was made, and leaves it as it was", () => {
    fc.assert(
      fc.property(history, (infos) => {
        const before = reread(SnapshotTable.of(mapOf(infos.slice(0, 1))))
        let grown = before
        for (const info of infos.slice(1)) grown = reread(SnapshotTable.including(grown, info))
        assertSame(grown, infos)
        assertSame(before, infos.slice(0, 1))
      })
    )
  })

  it("walks from a snapshot to the first", () => {
    fc.assert(
      fc.property(history, (infos) => {
        const all = mapOf(infos)
        const expected: Array<SnapshotTable.SnapshotInfo> = []
        for (let at = infos.at(-1); at !== undefined; at = at.parentId && all.get(at.parentId)) expected.push(at)
        assert.deepStrictEqual(SnapshotTable.ancestry(SnapshotTable.of(all), infos.at(-1)!.id), expected)
      })
    )
  })

  it("has nothing of a snapshot that is not in it", () => {
    const table = SnapshotTable.of(new Map())
    const other = id(new Uint8Array(12).fill(7))
    assert.isFalse(table.has(other))
    assert.isUndefined(table.get(other))
    assert.deepStrictEqual(SnapshotTable.ancestry(table, other), [])
  })

  it("sorts what another client has not sorted, and knows the numbers that the file gives", () => {
    const [a, b, c] = [3, 1, 2].map((n) => new Uint8Array(12).fill(n))
    const builder = new FlatBuilder()
    const text = builder.string("")
    const field = (slot: number) => ({ slot, name: "" })
    const vector = builder.offsets(
      [a!, b!, c!].map((bytes, i) =>
        builder.table(6, (table) => {
          table.struct(field(0), bytes)
          table.i32(field(1), i - 1)
          table.offset(field(3), text)
        })
      )
    )
    const payload = builder.finish(builder.table(1, (fields) => fields.offset(snapshots, vector)))
    const { numbered, snapshots: table } = Result.getOrThrow(
      FlatTable.decode("repo", payload, (root) => SnapshotTable.decode("repo", root, snapshots))
    )
    assert.deepStrictEqual([0, 1, 2, 3].map(numbered), [id(a!), id(b!), id(c!), undefined])
    assert.deepStrictEqual(Array.from(table.keys()), [id(b!), id(c!), id(a!)])
    assert.deepStrictEqual(
      SnapshotTable.ancestry(table, id(c!)).map((info) => info.id),
      [id(c!), id(b!), id(a!)]
    )
  })

  it("does not grow with each look or with each commit by more than the commit", () => {
    let table = SnapshotTable.of(new Map())
    let parentId: SnapshotId | undefined
    const sizes: Array<number> = []
    for (let i = 0; i < 300; i++) {
      const bytes = new Uint8Array(12)
      new DataView(bytes.buffer).setUint32(0, Math.imul(i + 1, 0x9e37_79b1))
      const info = { flushedAt: i, message: "commit", metadata: {}, prunedAncestorTxLogs: [] }
      table = SnapshotTable.including(table, { ...info, id: id(bytes), parentId })
      parentId = id(bytes)
      sizes.push(table.byteLength)
    }
    assert.isAtMost(sizes[299]! - sizes[298]!, 96)
  })
})
