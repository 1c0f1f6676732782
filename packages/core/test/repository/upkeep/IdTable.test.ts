import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as ObjectId from "../../../src/values/ObjectId.ts"
import * as IdTable from "../../../src/repository/upkeep/IdTable.ts"

/** Ids, of which many are the same and many share their first bytes. */
const ids = fc.array(
  fc
    .uint8Array({ minLength: 3, maxLength: 3, max: 3 })
    .map((few) => Uint8Array.from({ length: 12 }, (_, i) => few[i % 3]!)),
  { maxLength: 300 }
)

const text = (bytes: Uint8Array): ObjectId.ChunkId => ObjectId.chunkId(bytes)

describe("IdTable", () => {
  it("has what a set of texts would have, in the order in which it was added", () => {
    fc.assert(
      fc.property(ids, ids, (added, asked) => {
        const table = new IdTable.IdTable()
        const set = new Set<string>()
        for (const bytes of added) {
          assert.strictEqual(table.add(bytes), !set.has(text(bytes)))
          set.add(text(bytes))
        }
        assert.strictEqual(table.size, set.size)
        assert.deepStrictEqual(
          Array.from({ length: table.size }, (_, row) => table.idOf(row)),
          [...set]
        )
        for (const bytes of asked) {
          assert.strictEqual(table.has(text(bytes)), set.has(text(bytes)))
          assert.strictEqual(table.find(Uint8Array.of(9, ...bytes), 1), [...set].indexOf(text(bytes)))
        }
        assert.deepStrictEqual(IdTable.fromBytes(table.toBytes()).toBytes(), table.toBytes())
      })
    )
  })

  it("knows 100,000 random ids, at some 30 bytes each", () => {
    const table = new IdTable.IdTable()
    const bytes = new Uint8Array(12 * 100_000)
    for (let at = 0; at < bytes.length; at += 60_000) crypto.getRandomValues(bytes.subarray(at, at + 60_000))
    for (let at = 0; at < bytes.length; at += 12) table.add(bytes, at)
    assert.strictEqual(table.size, 100_000)
    let found = 0
    for (let at = 0; at < bytes.length; at += 12) if (table.find(bytes, at) === at / 12) found++
    assert.strictEqual(found, 100_000)
    assert.isBelow(table.byteLength, 32 * 100_000)
  })

  it("takes the names of Icechunk's files, and no others", () => {
    assert.isTrue(IdTable.isId("1CECHNKREP0F1RSTCMT0"))
    for (const name of [
      "",
      "1cechnkrep0f1rstcmt0",
      "1CECHNKREP0F1RSTCMT1",
      "1CECHNKREP0F1RSTCMT",
      "a/1CECHNKREP0F1RSTCMT0"
    ]) {
      assert.isFalse(IdTable.isId(name), name)
    }
    fc.assert(fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), (bytes) => IdTable.isId(text(bytes))))
  })
})

describe("FileTable", () => {
  it("has what was not taken out, and is the same from its columns", () => {
    fc.assert(
      fc.property(ids, ids, (added, taken) => {
        const table = new IdTable.FileTable()
        const map = new Map<string, number>()
        added.forEach((bytes, i) => {
          table.add(text(bytes), i)
          if (!map.has(text(bytes))) map.set(text(bytes), i)
        })
        for (const bytes of taken) {
          table.takeOut(bytes)
          map.delete(text(bytes))
        }
        const bytes = [...map.values()].reduce((sum, size) => sum + size, 0)
        for (const one of [table, IdTable.fromColumns(table.columns())]) {
          assert.deepStrictEqual(one.count, { files: map.size, bytes })
          assert.deepStrictEqual([...IdTable.namesOf(one.columns())], [...map.keys()])
          assert.deepStrictEqual([...one.columns().sizes], [...map.values()])
          assert.deepStrictEqual(
            one.firstLeft(5).map(({ name }) => name),
            [...map.keys()].slice(0, 5)
          )
        }
        for (const one of added) assert.strictEqual(table.hasId(text(one)), map.has(text(one)))
      })
    )
  })
})
