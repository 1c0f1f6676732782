import { assert, describe, it } from "@effect/vitest"
import type { ManifestRef } from "../../src/format/Snapshot.ts"
import * as ManifestSplit from "../../src/repository/changes/ManifestSplit.ts"
import * as NodePath from "@effect-icechunk/core/NodePath"
import * as ObjectId from "@effect-icechunk/core/ObjectId"
import type { RepositoryConfig, SplitCondition, SplitDimension } from "@effect-icechunk/core/RepositoryConfig"
import * as SplitExpressions from "../../src/repository/SplitExpressions.ts"
import * as Effect from "effect/Effect"
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

/** The smallest sets of boxes and of manifests that are written anew, cell by cell. */
const bruteForce = ({ changed, gridShape, manifests, sizes }: Case) => {
  const all = cells(gridShape)
  const boxes = new Set(changed.filter((index) => inGrid(gridShape, index)).map((index) => boxOf(sizes, index)))
  // An array in one box is written anew with any change, also one outside of the grid.
  const whole = changed.length > 0 && sizes.every((size, i) => size >= gridShape[i]!)
  if (whole) boxes.add(gridShape.map(() => 0).join())
  const replaced = new Set<ManifestRef>()
  for (let size = -1; size !== replaced.size;) {
    size = replaced.size
    for (const manifest of manifests) {
      const held = all.filter((index) => holds(manifest.extents, index))
      const outside = manifest.extents.some(({ to }, i) => to > gridShape[i]!)
      if (!outside && !held.some((index) => boxes.has(boxOf(sizes, index)))) continue
      replaced.add(manifest)
      for (const index of held) boxes.add(boxOf(sizes, index))
    }
  }
  return {
    kept: manifests.filter((manifest) => !replaced.has(manifest)),
    replaced: manifests.filter((manifest) => replaced.has(manifest)),
    sizes,
    writes: boxes.size > 0 || replaced.size > 0
  }
}

describe("ManifestSplit.plan", () => {
  it("writes the boxes of changed chunks, and what shares a box with them or reaches out of the grid, and no more", () => {
    fc.assert(
      fc.property(cases, (one) => {
        assert.deepStrictEqual(planOf(one), bruteForce(one))
      }),
      { numRuns: 2000 }
    )
  })

  it("changes nothing when nothing changed", () => {
    const manifests = [manifest(1, [{ from: 0, to: 5 }]), manifest(2, [{ from: 5, to: 10 }])]
    assert.deepStrictEqual(planOf({ gridShape: [10], sizes: [5], manifests, changed: [] }), {
      kept: manifests,
      replaced: [],
      sizes: [5],
      writes: false
    })
  })

  it("rewrites only the box of the change", () => {
    const manifests = [manifest(1, [{ from: 0, to: 5 }]), manifest(2, [{ from: 5, to: 10 }])]
    const plan = planOf({ gridShape: [10], sizes: [5], manifests, changed: [[7], [9]] })
    assert.deepStrictEqual(plan, { kept: [manifests[0]!], replaced: [manifests[1]!], sizes: [5], writes: true })
  })

  it("writes a scalar's only chunk", () => {
    const before = manifest(1, [])
    const plan = planOf({ gridShape: [], sizes: [], manifests: [before], changed: [[]] })
    assert.deepStrictEqual(plan, { kept: [], replaced: [before], sizes: [], writes: true })
  })

  it("keeps a manifest whose refs have no place in the grid until something changes, and leaves it out then", () => {
    const odd: ManifestRef = { ...manifest(1, [{ from: 0, to: 9 }]), problem: "it has 1 dimension(s)" }
    const good = manifest(2, [
      { from: 0, to: 2 },
      { from: 0, to: 2 }
    ])
    const options = { gridShape: [4, 4], sizes: [2, 2], manifests: [odd, good] }
    const idle = planOf({ ...options, changed: [] })
    assert.deepStrictEqual([idle.kept, idle.replaced, idle.writes], [[odd, good], [], false])
    const changed = planOf({ ...options, changed: [[3, 3]] })
    assert.deepStrictEqual([changed.kept, changed.replaced, changed.writes], [[good], [], true])
  })

  // Each of these ran out of memory or took minutes when boxes were enumerated or compared one by one.
  it("does not look at boxes that hold nothing", () => {
    const corners = manifest(1, [
      { from: 0, to: 4_000_000_000 },
      { from: 0, to: 4_000_000_000 }
    ])
    const plan = planOf({
      gridShape: [4_000_000_000, 4_000_000_000],
      sizes: [1, 1],
      manifests: [corners],
      changed: [
        [0, 0],
        [3_999_999_999, 3_999_999_999]
      ]
    })
    assert.deepStrictEqual(plan.replaced, [corners])
  })

  it("finds the manifests of many touched boxes among many that stay", () => {
    const side = 400
    const manifests = Array.from({ length: side * side }, (_, n) =>
      manifest(n % 256, [
        { from: Math.floor(n / side), to: Math.floor(n / side) + 1 },
        { from: n % side, to: (n % side) + 1 }
      ])
    )
    // Every other row.
    const indices = Uint32Array.from({ length: side * side }, (_, i) =>
      i % 2 === 0 ? 2 * Math.floor(i / 2 / side) : (i >> 1) % side
    )
    const plan = ManifestSplit.plan({
      manifests,
      gridShape: [side, side],
      sizes: [1, 1],
      changed: { count: indices.length / 2, indices }
    })
    assert.deepStrictEqual(
      plan.replaced,
      manifests.filter((_, n) => Math.floor(n / side) % 2 === 0)
    )
  })

  it("takes steps, between which it can be stopped", () => {
    const count = 1_000_000
    const indices = Uint32Array.from({ length: count * 2 }, (_, i) =>
      i % 2 === 0 ? Math.floor(i / 2000) : (i >> 1) % 1000
    )
    const steps = ManifestSplit.planSteps({
      manifests: [],
      gridShape: [1000, 1000],
      sizes: [10, 1000],
      changed: { count, indices }
    })
    let yielded = 0
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) yielded++
    assert.isAbove(yielded, 50)
    assert.isTrue(step.value.writes)
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
  const sizesOf = (config: RepositoryConfig, of: ReturnType<typeof array>): Effect.Effect<ReadonlyArray<number>> =>
    Effect.map(SplitExpressions.load(config), (expressions) => ManifestSplit.boxSizes(config, expressions, of))
  const any = (num_chunks: number): ReadonlyArray<SplitDimension> => [{ condition: "Any", num_chunks }]

  it.effect("is the whole grid without a rule", () =>
    Effect.gen(function* () {
      for (const config of [
        {},
        { manifest: null },
        { manifest: { splitting: null } },
        rules(),
        rules(["any_array", []])
      ]) {
        assert.deepStrictEqual(yield* sizesOf(config, array("/a", [7, 3])), [7, 3])
      }
      assert.deepStrictEqual(yield* sizesOf({}, array("/a", [])), [])
      assert.deepStrictEqual(yield* sizesOf({}, array("/a", [0])), [1], "a size is at least one")
    })
  )

  it.effect("takes the first rule that is for the array and its dimension", () =>
    Effect.gen(function* () {
      const config = rules(
        [{ path_matches: { regex: "^/ocean/" } }, any(2)],
        [{ name_matches: { regex: "^temp" } }, any(3)],
        [{ and: [{ name_matches: { regex: "^s" } }, { or: [{ path_matches: { regex: "ice" } }] }] }, any(4)],
        [{ or: [] }, any(99)],
        [{ name_matches: { regex: "^$" } }, any(99)],
        ["any_array", any(5)],
        ["any_array", any(99)]
      )
      const size = (path: string) => Effect.map(sizesOf(config, array(path, [10])), ([size]) => size)
      assert.strictEqual(yield* size("/ocean/temp"), 2)
      assert.strictEqual(yield* size("/air/temperature"), 3)
      assert.strictEqual(yield* size("/temp/x"), 5, "a name is the last part of a path")
      assert.strictEqual(yield* size("/ice/salt"), 4)
      assert.strictEqual(yield* size("/air/salt"), 5)
      assert.strictEqual(yield* size("/"), 5, "the root has no name")
    })
  )

  const byDimension: ReadonlyArray<SplitDimension> = [
    { condition: { DimensionName: "time" }, num_chunks: 2 },
    { condition: { Axis: 1 }, num_chunks: 3 },
    { condition: { Axis: 0 }, num_chunks: 4 }
  ]
  it.effect("takes for each dimension the first part of the rule that is for it, by number or by name", () =>
    Effect.gen(function* () {
      const config = rules(["any_array", byDimension])
      const sizes = (names?: ReadonlyArray<string | undefined>) => sizesOf(config, array("/a", [9, 9, 9], names))
      assert.deepStrictEqual(yield* sizes(["x", undefined, "time"]), [4, 3, 2])
      assert.deepStrictEqual(yield* sizes(["time", "datetime", "y"]), [2, 2, 9], "a name is an expression too")
      assert.deepStrictEqual(yield* sizes(), [4, 3, 9])
    })
  )

  it.effect("takes for each dimension what the first rule for it says, as Icechunk does", () =>
    Effect.gen(function* () {
      const config = rules(
        ["any_array", [{ condition: { Axis: 0 }, num_chunks: 2 }]],
        [{ path_matches: { regex: "b" } }, any(9)],
        ["any_array", any(3)]
      )
      assert.deepStrictEqual(yield* sizesOf(config, array("/a", [10, 10])), [2, 3])
    })
  )

  it.effect("is never larger than the grid", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sizesOf(rules(["any_array", any(100)]), array("/a", [7, 200])), [7, 100])
    })
  )

  const size = (regex: string, path: string) =>
    Effect.map(
      sizesOf(rules([{ path_matches: { regex } }, any(2)], ["any_array", any(3)]), array(path, [10])),
      ([size]) => size
    )

  it.effect("does not match by an expression that RE2 does not know, or by a very long one", () =>
    Effect.gen(function* () {
      for (const regex of ["(?=/a)", "(", "(a{1000}){1000}", `/a|${"b".repeat(1000)}`]) {
        assert.strictEqual(yield* size(regex, "/a"), 3, regex)
      }
      assert.strictEqual(yield* size("(?i)/A", "/a"), 2)
    })
  )

  it.effect("is not held up by an expression that a backtracking engine would need years for", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* size("^/(a+)+$", `/${"a".repeat(100_000)}!`), 3)
      assert.strictEqual(yield* size("^/(a|aa)*b", `/${"a".repeat(100_000)}`), 3)
    })
  )
})
