import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as ChunkOrder from "../../src/format/manifest/ChunkOrder.ts"
import * as ChunkRef from "../../src/format/manifest/ChunkRef.ts"
import { type BulkVirtualRefs, ChunkRefColumns } from "../../src/format/manifest/ChunkRefColumns.ts"
import * as Checksum from "../../src/values/Checksum.ts"
import * as ChunkIndex from "../../src/values/ChunkIndex.ts"
import * as ObjectId from "../../src/values/ObjectId.ts"
import * as chunkRefs from "./chunkRefs.ts"
import * as damage from "./damage.ts"

const virtual = (offset: number) => ({ location: "s3://b/k", offset, length: 1, checksum: undefined })

const bulk: BulkVirtualRefs = {
  indices: Uint32Array.of(0, 0, 0, 1, 1, 0),
  offsets: [10, 20, 30],
  lengths: Uint32Array.of(1, 2, 3),
  locations: { values: ["s3://b/x", "s3://b/y"], ids: Uint32Array.of(1, 0, 1) },
  checksums: [Checksum.etag("e"), undefined]
}

const expectSame = (columns: ChunkRefColumns, model: chunkRefs.Model): void => {
  const expected = model.inOrder()
  const rows = columns.rowsInOrder()
  expect(Array.from(rows, (row) => columns.indexAt(row))).toStrictEqual(expected.map(({ index }) => index))
  expect(Array.from(rows, (row) => columns.at(row))).toStrictEqual(expected.map(({ ref }) => ref))
  const { count, indices } = columns.indicesInOrder()
  expect(count).toBe(expected.length)
  expect(Array.from(indices)).toStrictEqual(expected.flatMap(({ index }) => index))
}

describe("ChunkRefColumns", () => {
  it("are as a map of refs, whatever the order of changes", () => {
    fc.assert(
      fc.property(
        chunkRefs.grid.chain((grid) =>
          fc.tuple(
            fc.constant(grid),
            fc.array(fc.tuple(chunkRefs.step(grid), chunkRefs.index(grid), fc.boolean()), { maxLength: 40 })
          )
        ),
        ([grid, steps]) => {
          const columns = new ChunkRefColumns(grid.length)
          const model = new chunkRefs.Model()
          for (const [step, index, look] of steps) {
            chunkRefs.apply(step, columns, model)
            // Looks between changes: the table of indices catches up with later rows.
            if (!look) continue
            expect(columns.get(index)).toStrictEqual(model.get(index))
            if (index.length === 2) expectSame(columns, model)
          }
          expectSame(columns, model)
          for (const { index, ref } of model.inOrder()) expect(columns.get(index)).toStrictEqual(ref)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("may be copied and written to on both sides", () => {
    fc.assert(
      fc.property(
        chunkRefs.grid.chain((grid) => {
          const steps = fc.array(fc.tuple(chunkRefs.step(grid), chunkRefs.index(grid)), { maxLength: 20 })
          return fc.tuple(fc.constant(grid), steps, steps, steps)
        }),
        ([grid, before, here, there]) => {
          const one = new ChunkRefColumns(grid.length)
          const [model, other] = [new chunkRefs.Model(), new chunkRefs.Model()]
          for (const [step] of before) {
            chunkRefs.apply(step, one, model)
            chunkRefs.apply(step, new ChunkRefColumns(grid.length), other)
          }
          const two = one.frozen()
          for (let i = 0; i < Math.max(here.length, there.length); i++) {
            if (i < here.length) chunkRefs.apply(here[i]![0], one, model)
            if (i < there.length) chunkRefs.apply(there[i]![0], two, other)
          }
          expectSame(one, model)
          expectSame(two, other)
          for (const [, index] of [...here, ...there]) expect(two.get(index)).toStrictEqual(other.get(index))
        }
      ),
      { numRuns: 300 }
    )
  })

  it("of some rows do without the others, also when they are written to", () => {
    const all = new ChunkRefColumns(1)
    for (let i = 0; i < 4; i++) all.setInline([i], Uint8Array.of(i, i))
    const some = all.only(all.rowsInOrder().filter((row) => row % 2 === 0))
    expect(some.get([1])).toBeUndefined()
    some.setInline([3], Uint8Array.of(9))
    expect(Array.from(some.rowsInOrder(), (row) => some.indexAt(row))).toStrictEqual([[0], [2], [3]])
    expect([0, 1, 2, 3].map((i) => some.get([i]))).toStrictEqual([
      ChunkRef.inline(Uint8Array.of(0, 0)),
      undefined,
      ChunkRef.inline(Uint8Array.of(2, 2)),
      ChunkRef.inline(Uint8Array.of(9))
    ])
    expect(all.get([0])).toStrictEqual(ChunkRef.inline(Uint8Array.of(0, 0)))
  })

  it("know whether all rows are refs in a grid, also when one is added", () => {
    const columns = new ChunkRefColumns(2)
    expect(columns.areRefsWithin([0, 0])).toBe(true)
    columns.setInline([4, 1], Uint8Array.of(1))
    columns.setInline([0, 2], Uint8Array.of(1))
    expect(columns.areRefsWithin([5, 3])).toBe(true)
    expect(columns.areRefsWithin([4, 3])).toBe(false)
    expect(columns.areRefsWithin([5, 2])).toBe(false)
    const frozen = columns.frozen()
    columns.setInline([5, 0], Uint8Array.of(1))
    expect(columns.areRefsWithin([5, 3])).toBe(false)
    expect(columns.areRefsWithin([6, 3])).toBe(true)
    columns.setVirtualBulk({ indices: Uint32Array.of(0, 3), offsets: [0], lengths: [1], locations: "s3://b/k" })
    expect(columns.areRefsWithin([6, 3])).toBe(false)
    columns.setDeleted([0, 0])
    expect(columns.areRefsWithin([6, 4])).toBe(false)
    columns.clear()
    columns.setInline([1, 1], Uint8Array.of(1))
    expect(columns.areRefsWithin([2, 2])).toBe(true)
    expect(frozen.areRefsWithin([5, 3])).toBe(true)
  })

  it("keep all of each row when rows that no longer count are cleared away", () => {
    const kinds: ReadonlyArray<(n: number) => ChunkRef.ChunkRef> = [
      (n) => ChunkRef.virtual({ location: `s3://b/${n}`, offset: n, length: 1, checksum: Checksum.etag(`"${n}"`) }),
      (n) => ChunkRef.virtual({ location: `s3://b/${n}`, offset: n, length: 1, checksum: undefined }),
      (n) => ChunkRef.inline(Uint8Array.of(n, n >> 8)),
      (n) => ChunkRef.native(ObjectId.chunkId(Uint8Array.from({ length: 12 }, (_, i) => n >> i)), n, 2)
    ]
    for (let first = 0; first < kinds.length; first++) {
      const ref = (n: number) => kinds[(n + first) % kinds.length]!(n)
      const columns = new ChunkRefColumns(1)
      const model = new chunkRefs.Model()
      let compacted = 0
      for (let n = 0, size = 0; n < 20_000; n++) {
        chunkRefs.apply({ index: [n % 97], ref: ref(n) }, columns, model)
        if (columns.size < size) {
          compacted++
          // Before others take their places: texts, ids and bytes have other ones now.
          for (let last = n - 96; last <= n; last++) expect(columns.get([last % 97])).toStrictEqual(ref(last))
        }
        size = columns.size
      }
      expect(compacted).toBeGreaterThan(0)
    }
  })

  it("know nothing of indices that were never set, or of another rank", () => {
    const columns = new ChunkRefColumns(2)
    expect(columns.get([0, 0])).toBeUndefined()
    columns.setDeleted([0, 1])
    expect(columns.get([0, 1])).toBe("Deleted")
    expect(columns.get([1, 0])).toBeUndefined()
    expect(columns.get([0])).toBeUndefined()
    expect(columns.get([0, 1, 0])).toBeUndefined()
  })

  it("hold a scalar array's one ref", () => {
    const columns = new ChunkRefColumns(0)
    columns.setInline([], Uint8Array.of(1))
    columns.setVirtual([], virtual(7))
    expect(columns.get([])).toStrictEqual(ChunkRef.virtual(virtual(7)))
    expect(columns.rowsInOrder()).toHaveLength(1)
    expect(columns.indicesInOrder()).toMatchObject({ count: 1, indices: new Uint32Array(0) })
  })

  it("take refs in bulk from typed arrays of any kind", () => {
    const columns = new ChunkRefColumns(2)
    columns.setVirtualBulk(bulk)
    columns.setVirtualBulk({
      ...bulk,
      indices: Uint32Array.of(5, 0, 5, 1, 5, 2),
      offsets: BigUint64Array.of(1n, 2n, 3n)
    })
    expect(columns.size).toBe(6)
    expect(columns.get([0, 1])).toStrictEqual(
      ChunkRef.virtual({ location: "s3://b/x", offset: 20, length: 2, checksum: Checksum.etag("e") })
    )
    expect(columns.get([5, 2])).toStrictEqual(
      ChunkRef.virtual({ location: "s3://b/y", offset: 3, length: 3, checksum: undefined })
    )
  })

  it("take all refs of a bulk or none", () => {
    const columns = new ChunkRefColumns(2)
    columns.setInline([0, 0], Uint8Array.of(1))
    const wrong: ReadonlyArray<Partial<BulkVirtualRefs>> = [
      { indices: Uint32Array.of(0, 0, 0, 1) },
      { offsets: [1, 2] },
      { lengths: Uint32Array.of(1, 2, 3, 4) },
      { locations: { values: ["a", "b"], ids: Uint32Array.of(0, 1) } },
      { locations: { values: ["a", "b"], ids: Uint32Array.of(0, 1, 2) } },
      { checksums: [undefined] },
      { checksums: Uint32Array.of(1, 2) }
    ]
    for (const part of wrong) {
      expect(() => columns.setVirtualBulk({ ...bulk, ...part })).toThrow(RangeError)
      expect(columns.size).toBe(1)
      expect(columns.get([0, 0])).toStrictEqual(ChunkRef.inline(Uint8Array.of(1)))
    }
    expect(columns.columns().locations).toStrictEqual([])
  })

  it("keep one text for refs of the same object", () => {
    const columns = new ChunkRefColumns(2)
    columns.setVirtualBulk(bulk)
    columns.setVirtualBulk(bulk)
    columns.setVirtual([0, 0], { location: "s3://b/y", offset: 0, length: 1, checksum: Checksum.etag("e") })
    expect(columns.columns()).toMatchObject({ locations: ["s3://b/x", "s3://b/y"], etags: ["e"] })
  })

  it("keep one text for refs of the same object, also where the first bulk has it twice", () => {
    const columns = new ChunkRefColumns(2)
    const twice = { values: ["s3://b/y", "s3://b/x", "s3://b/y"], ids: Uint32Array.of(0, 1, 2) }
    columns.setVirtualBulk({ ...bulk, checksums: undefined, locations: twice })
    expect(columns.columns().areLocationsDistinct()).toBe(false)
    columns.setVirtualBulk(bulk)
    columns.setVirtual([0, 0], { location: "s3://b/y", offset: 0, length: 1, checksum: undefined })
    expect(columns.columns().locations).toStrictEqual(twice.values)
    expect(columns.columns().areLocationsDistinct()).toBe(false)
    expect(columns.get([0, 0])).toMatchObject({ ref: { location: "s3://b/y" } })
  })

  it("know that locations are distinct which ascend, or which were looked for", () => {
    const columns = new ChunkRefColumns(2)
    columns.setVirtualBulk(bulk)
    expect(columns.columns().areLocationsDistinct()).toBe(true)
    columns.setVirtual([0, 0], { location: "s3://b/a", offset: 0, length: 1, checksum: undefined })
    expect(columns.columns().locations).toStrictEqual(["s3://b/x", "s3://b/y", "s3://b/a"])
    expect(columns.columns().areLocationsDistinct()).toBe(true)
  })

  it("copy the columns of a bulk unless they may keep them", () => {
    for (const keep of [false, true]) {
      const columns = new ChunkRefColumns(1)
      const given = {
        indices: Uint32Array.of(0, 1),
        offsets: Float64Array.of(5, 6),
        lengths: Float64Array.of(7, 8),
        locations: { values: ["s3://b/x", "s3://b/y"], ids: Uint32Array.of(1, 0) }
      }
      columns.setVirtualBulk(given, { keep })
      expect(columns.columns().indices === given.indices).toBe(keep)
      columns.setVirtual([2], virtual(1))
      given.indices.fill(9)
      given.offsets.fill(9)
      given.lengths.fill(9)
      given.locations.ids.fill(0)
      given.locations.values.fill("s3://b/z")
      expect(columns.get([1])).toStrictEqual(
        keep ? columns.get([1]) : ChunkRef.virtual({ location: "s3://b/x", offset: 6, length: 8, checksum: undefined })
      )
      expect(columns.columns().locations.slice(0, 2)).toStrictEqual(["s3://b/x", "s3://b/y"])
    }
  })

  it("copy what they are given, and leave alone what they gave", () => {
    const columns = new ChunkRefColumns(1)
    const bytes = Uint8Array.of(1, 2, 3)
    columns.setInline([0], bytes)
    bytes.fill(9)
    const given = columns.get([0])
    const { indices } = columns.indicesInOrder()
    for (let i = 1; i < 10_000; i++) columns.setInline([i], Uint8Array.of(i, i))
    columns.clear()
    columns.setInline([7], Uint8Array.of(8, 8, 8, 8))
    expect(given).toStrictEqual(ChunkRef.inline(Uint8Array.of(1, 2, 3)))
    expect(indices).toStrictEqual(Uint32Array.of(0))
    expect(columns.size).toBe(1)
    expect(columns.get([0])).toBeUndefined()
  })

  it("do not grow when the same chunks are written again and again", () => {
    const columns = new ChunkRefColumns(1)
    const model = new chunkRefs.Model()
    const next = damage.random(1)
    for (let i = 0; i < 100_000; i++) {
      const index = [Math.floor(next() * 50)]
      const kinds = [
        "Deleted" as const,
        ChunkRef.inline(new Uint8Array(100).fill(i)),
        ChunkRef.virtual({ ...virtual(i), location: `s3://b/${i}`, checksum: Checksum.etag(`${i}`) })
      ]
      chunkRefs.apply({ index, ref: kinds[i % 3]! }, columns, model)
    }
    expectSame(columns, model)
    for (const { index, ref } of model.inOrder()) expect(columns.get(index)).toStrictEqual(ref)
    const { etags, inline, kinds, locations } = columns.columns()
    expect(kinds.length).toBeLessThan(20_000)
    expect(inline.length).toBeLessThan(2_000_000)
    expect(locations.length).toBeLessThan(20_000)
    expect(etags.length).toBeLessThan(20_000)
  })
})

describe("ChunkOrder.sort", () => {
  const anyIndices = fc
    .record({
      rank: fc.integer({ min: 0, max: 4 }),
      values: fc.constantFrom(3, 2000, 70_000, 0xffff_ffff),
      base: fc.constantFrom(0, 0xffff_0000),
      count: fc.nat(60),
      seed: fc.integer()
    })
    .map(({ base, count, rank, seed, values }) => {
      const next = damage.random(seed)
      const value = () => Math.min(0xffff_ffff, base + Math.floor(next() * (values + 1)))
      return { rank, count, indices: Uint32Array.from({ length: rank * count + 5 }, value) }
    })

  it("orders indices as ChunkIndex.compare does and keeps the last of equal ones", () => {
    fc.assert(
      fc.property(anyIndices, ({ count, indices, rank }) => {
        const all = Array.from({ length: count }, (_, row) => ({
          row,
          index: Array.from(indices.subarray(row * rank, (row + 1) * rank))
        }))
        const expected = all
          .toSorted((a, b) => ChunkIndex.compare(a.index, b.index) || a.row - b.row)
          .filter(({ index }, i, sorted) => i + 1 === sorted.length || !ChunkIndex.equals(index, sorted[i + 1]!.index))
        expect(Array.from(ChunkOrder.sort(indices, rank, count))).toStrictEqual(expected.map(({ row }) => row))
      }),
      { numRuns: 1000 }
    )
  })

  it("leaves indices that ascend where they are", () => {
    const indices = Uint32Array.of(0, 5, 1, 0, 1, 1, 0xffff_ffff, 0)
    expect(ChunkOrder.sort(indices, 2, 4)).toStrictEqual(Uint32Array.of(0, 1, 2, 3))
  })
})
