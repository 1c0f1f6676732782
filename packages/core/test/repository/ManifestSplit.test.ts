import { assert, describe, it } from "@effect/vitest"
import type { ManifestRef } from "../../src/format/Snapshot.ts"
import * as ManifestSplit from "../../src/repository/changes/ManifestSplit.ts"
import * as NodePath from "@effect-icechunk/core/NodePath"
import * as ObjectId from "@effect-icechunk/core/ObjectId"
import type { RepositoryConfig, SplitCondition, SplitDimension } from "@effect-icechunk/core/RepositoryConfig"
import * as Result from "effect/Result"
import * as fc from "fast-check"

type Index = ReadonlyArray<number>

interface Case {
  readonly gridShape: Index
  readonly sizes: Index
  readonly manifests: ReadonlyArray<ManifestRef>
  readonly changed: ReadonlyArray<Index>
}

const manifest = (n: number, extents: ManifestSplit.Box): ManifestRef => ({
  id: ObjectId.manifestId(new Uint8Array(12).fill(n)),
  extents
})

const extent = fc
  .tuple(fc.nat({ max: 8 }), fc.integer({ min: 1, max: 4 }))
  .map(([from, length]) => ({ from, to: from + length }))

/** Grids of up to three dimensions, with manifests and changes that may lie outside, as after a resize. */
const cases: fc.Arbitrary<Case> = fc.nat({ max: 3 }).chain((rank) => {
  const perAxis = <A>(one: fc.Arbitrary<A>): fc.Arbitrary<ReadonlyArray<A>> =>
    fc.array(one, { minLength: rank, maxLength: rank })
  return fc.tuple(perAxis(fc.nat({ max: 8 })), perAxis(fc.integer({ min: 1, max: 9 }))).chain(([gridShape, wanted]) =>
    fc.record({
      gridShape: fc.constant(gridShape),
      sizes: fc.constant(wanted.map((size, i) => Math.max(1, Math.min(size, gridShape[i]!)))),
      manifests: fc
        .array(perAxis(extent), { maxLength: 6 })
        .map((all) => all.map((extents, i) => manifest(i + 1, extents))),
      changed: fc.array(perAxis(fc.nat({ max: 8 })), { maxLength: 6 })
    })
  )
})

const planOf = ({ changed, gridShape, manifests, sizes }: Case): ManifestSplit.Plan =>
  ManifestSplit.plan({
    manifests,
    gridShape,
    sizes,
    changed: { count: changed.length, indices: Uint32Array.from(changed.flat()) }
  })

/** Every index of the grid. */
const cells = (gridShape: Index): ReadonlyArray<Index> =>
  gridShape.reduce<ReadonlyArray<Index>>(
    (all, length) => all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
    [[]]
  )

const holds = (box: ManifestSplit.Box, index: Index): boolean =>
  box.every(({ from, to }, i) => from <= index[i]! && index[i]! < to)
const inGrid = (gridShape: Index, index: Index): boolean => index.every((at, i) => at < gridShape[i]!)
const boxOf = (sizes: Index, index: Index): string => index.map((at, i) => Math.floor(at / sizes[i]!)).join()

describe("ManifestSplit.plan", () => {
  it("accounts for every manifest once", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { kept, replaced } = planOf(one)
        assert.lengthOf(new Set([...kept, ...replaced]), one.manifests.length)
        assert.lengthOf([...kept, ...replaced], one.manifests.length)
        assert.deepStrictEqual(
          kept,
          one.manifests.filter((manifest) => kept.includes(manifest)),
          "in their order"
        )
      })
    )
  })

  it("writes each box once, so that boxes are disjoint", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { boxes, sizes } = planOf(one)
        assert.deepStrictEqual(sizes, one.sizes)
        assert.lengthOf(new Set(boxes.map((numbers) => numbers.join())), boxes.length)
        for (const numbers of boxes) assert.lengthOf(numbers, one.gridShape.length)
      })
    )
  })

  it("writes the boxes of all changed chunks that are in the grid", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const boxes = new Set(planOf(one).boxes.map((numbers) => numbers.join()))
        for (const index of one.changed.filter((index) => inGrid(one.gridShape, index))) {
          assert.include([...boxes], boxOf(one.sizes, index))
        }
      })
    )
  })

  it("keeps no manifest that holds a changed chunk, shares a box with what is written, or reaches out of the grid", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { boxes, kept } = planOf(one)
        const written = new Set(boxes.map((numbers) => numbers.join()))
        for (const { extents } of kept) {
          assert.isTrue(extents.every(({ to }, i) => to <= one.gridShape[i]!))
          for (const index of cells(one.gridShape).filter((index) => holds(extents, index))) {
            assert.isFalse(written.has(boxOf(one.sizes, index)))
            assert.notDeepInclude(one.changed, index)
          }
        }
      })
    )
  })

  it("writes all that the replaced manifests hold within the grid", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { boxes, replaced } = planOf(one)
        const written = new Set(boxes.map((numbers) => numbers.join()))
        for (const { extents } of replaced) {
          for (const index of cells(one.gridShape).filter((index) => holds(extents, index))) {
            assert.isTrue(written.has(boxOf(one.sizes, index)))
          }
        }
      })
    )
  })

  it("writes no more than that", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { gridShape, sizes } = one
        const all = cells(gridShape)
        // The smallest set of boxes with the properties above, cell by cell.
        const needed = new Set(
          one.changed.filter((index) => inGrid(gridShape, index)).map((index) => boxOf(sizes, index))
        )
        for (let size = -1; size !== needed.size;) {
          size = needed.size
          for (const { extents } of one.manifests) {
            const held = all.filter((index) => holds(extents, index))
            const outside = extents.some(({ to }, i) => to > gridShape[i]!)
            if (!outside && !held.some((index) => needed.has(boxOf(sizes, index)))) continue
            for (const index of held) needed.add(boxOf(sizes, index))
          }
        }
        const { boxes } = planOf(one)
        // An array in one box is written anew with any change, also one outside of the grid.
        const whole = one.changed.length > 0 && sizes.every((size, i) => size >= gridShape[i]!)
        if (whole) needed.add(gridShape.map(() => 0).join())
        assert.deepStrictEqual(new Set(boxes.map((numbers) => numbers.join())), needed)
      })
    )
  })

  it("changes nothing when nothing changed", () => {
    const manifests = [manifest(1, [{ from: 0, to: 5 }]), manifest(2, [{ from: 5, to: 10 }])]
    assert.deepStrictEqual(planOf({ gridShape: [10], sizes: [5], manifests, changed: [] }), {
      kept: manifests,
      replaced: [],
      boxes: [],
      sizes: [5]
    })
  })

  it("rewrites only the box of the change", () => {
    const manifests = [manifest(1, [{ from: 0, to: 5 }]), manifest(2, [{ from: 5, to: 10 }])]
    const plan = planOf({ gridShape: [10], sizes: [5], manifests, changed: [[7], [9]] })
    assert.deepStrictEqual(plan, { kept: [manifests[0]!], replaced: [manifests[1]!], boxes: [[1]], sizes: [5] })
  })

  it("writes a scalar's only chunk", () => {
    const before = manifest(1, [])
    const plan = planOf({ gridShape: [], sizes: [], manifests: [before], changed: [[]] })
    assert.deepStrictEqual(plan, { kept: [], replaced: [before], boxes: [[]], sizes: [] })
  })

  it("is quick for a million changes in a row", () => {
    const count = 1_000_000
    const indices = Uint32Array.from({ length: count * 2 }, (_, i) =>
      i % 2 === 0 ? Math.floor(i / 2000) : (i >> 1) % 1000
    )
    const plan = ManifestSplit.plan({
      manifests: [],
      gridShape: [1000, 1000],
      sizes: [10, 1000],
      changed: { count, indices }
    })
    assert.lengthOf(plan.boxes, 100)
  })
})

describe("ManifestSplit.boxSizes", () => {
  const array = (path: string, gridShape: Index, dimensionNames?: ReadonlyArray<string | undefined>) => ({
    path: Result.getOrThrow(NodePath.parse(path)),
    gridShape,
    dimensionNames
  })
  const rules = (
    ...split_sizes: ReadonlyArray<readonly [SplitCondition, ReadonlyArray<SplitDimension>]>
  ): RepositoryConfig => ({ manifest: { splitting: { split_sizes } } })
  const any = (num_chunks: number): ReadonlyArray<SplitDimension> => [{ condition: "Any", num_chunks }]

  it("is the whole grid without a rule", () => {
    for (const config of [
      {},
      { manifest: null },
      { manifest: { splitting: null } },
      rules(),
      rules(["any_array", []])
    ]) {
      assert.deepStrictEqual(ManifestSplit.boxSizes(config, array("/a", [7, 3])), [7, 3])
    }
    assert.deepStrictEqual(ManifestSplit.boxSizes({}, array("/a", [])), [])
    assert.deepStrictEqual(ManifestSplit.boxSizes({}, array("/a", [0])), [1], "a size is at least one")
  })

  it("takes the first rule that is for the array", () => {
    const config = rules(
      [{ path_matches: { regex: "^/ocean/" } }, any(2)],
      [{ name_matches: { regex: "^temp" } }, any(3)],
      [{ and: [{ name_matches: { regex: "^s" } }, { or: [{ path_matches: { regex: "ice" } }] }] }, any(4)],
      [{ or: [] }, any(99)],
      ["any_array", any(5)],
      ["any_array", any(99)]
    )
    const size = (path: string) => ManifestSplit.boxSizes(config, array(path, [10]))[0]
    assert.strictEqual(size("/ocean/temp"), 2)
    assert.strictEqual(size("/air/temperature"), 3)
    assert.strictEqual(size("/temp/x"), 5, "a name is the last part of a path")
    assert.strictEqual(size("/ice/salt"), 4)
    assert.strictEqual(size("/air/salt"), 5)
  })

  it("takes for each dimension the first part of the rule that is for it, by number or by name", () => {
    const config = rules([
      "any_array",
      [
        { condition: { DimensionName: "time" }, num_chunks: 2 },
        { condition: { Axis: 1 }, num_chunks: 3 },
        { condition: { Axis: 0 }, num_chunks: 4 }
      ]
    ])
    assert.deepStrictEqual(ManifestSplit.boxSizes(config, array("/a", [9, 9, 9], ["x", undefined, "time"])), [4, 3, 2])
    assert.deepStrictEqual(ManifestSplit.boxSizes(config, array("/a", [9, 9, 9], ["time", "time", "y"])), [2, 2, 9])
    assert.deepStrictEqual(ManifestSplit.boxSizes(config, array("/a", [9, 9, 9])), [4, 3, 9])
  })

  it("is never larger than the grid", () => {
    assert.deepStrictEqual(ManifestSplit.boxSizes(rules(["any_array", any(100)]), array("/a", [7, 200])), [7, 100])
  })

  it("does not match by an expression that JavaScript does not know", () => {
    const config = rules([{ path_matches: { regex: "(?i)a" } }, any(2)], ["any_array", any(3)])
    assert.deepStrictEqual(ManifestSplit.boxSizes(config, array("/a", [10])), [3])
  })
})
