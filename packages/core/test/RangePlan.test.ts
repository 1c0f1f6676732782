import { assert, describe, it } from "@effect/vitest"
import * as RangePlan from "@effect-icechunk/core/RangePlan"
import type { Span } from "@effect-icechunk/core/ByteRange"
import * as fc from "fast-check"

const span: fc.Arbitrary<Span> = fc
  .tuple(fc.nat({ max: 5000 }), fc.oneof(fc.constant(0), fc.nat({ max: 400 })))
  .map(([start, length]) => ({ start, end: start + length }))
const spans = fc.array(span, { maxLength: 60 })
const options = fc.record({
  maxGap: fc.nat({ max: 500 }),
  maxOverRead: fc.constantFrom(0, 0.1, 0.5, 1),
  maxRequest: fc.integer({ min: 1, max: 3000 }),
  parallel: fc.integer({ min: 0, max: 8 }),
  minPart: fc.nat({ max: 500 }),
  maxBytesInFlight: fc.option(fc.integer({ min: 1, max: 5000 }), { nil: undefined })
})

/** Lengths of the gaps between ranges, in ascending order, once overlapping ones are merged. */
const gapsOf = (ranges: ReadonlyArray<Span>): ReadonlyArray<number> => {
  const gaps: Array<number> = []
  let end: number | undefined
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    if (end !== undefined && range.start > end) gaps.push(range.start - end)
    end = Math.max(end ?? 0, range.end)
  }
  return gaps
}

describe("RangePlan.plan", () => {
  it("serves every range exactly once, by a group that covers it", () => {
    fc.assert(
      fc.property(spans, options, (ranges, options) => {
        const groups = RangePlan.plan(ranges, options)
        const served = groups.flatMap(({ members }) => members)
        assert.deepStrictEqual(
          served.toSorted((a, b) => a - b),
          ranges.map((_, i) => i)
        )
        for (const group of groups) {
          const members = group.members.map((i) => ranges[i]!)
          assert.strictEqual(group.start, Math.min(...members.map(({ start }) => start)))
          assert.strictEqual(group.end, Math.max(...members.map(({ end }) => end)))
        }
      })
    )
  })

  it("reads no byte twice and asks in ascending order", () => {
    fc.assert(
      fc.property(spans, options, (ranges, options) => {
        const groups = RangePlan.plan(ranges, options)
        for (let i = 1; i < groups.length; i++) assert.isAtLeast(groups[i]!.start, groups[i - 1]!.end)
      })
    )
  })

  it("respects the bounds on gaps, over-read and merged requests", () => {
    fc.assert(
      fc.property(spans, options, (ranges, options) => {
        for (const { end, members, start } of RangePlan.plan(ranges, options)) {
          const gaps = gapsOf(members.map((i) => ranges[i]!))
          const overRead = gaps.reduce((sum, gap) => sum + gap, 0)
          for (const gap of gaps) assert.isAtMost(gap, options.maxGap)
          assert.isAtMost(overRead, options.maxOverRead * (end - start) + 1e-9)
          // Overlapping ranges are one however long they are; nothing else grows beyond the bound.
          if (end - start > options.maxRequest) {
            const last = members.map((i) => ranges[i]!).toSorted((a, b) => a.start - b.start)
            let reached = last[0]!.end
            for (const range of last.slice(1)) {
              if (reached > start + options.maxRequest) assert.isBelow(range.start, reached)
              reached = Math.max(reached, range.end)
            }
          }
        }
      })
    )
  })

  it("reads adjacent ranges together, up to the largest request", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 50 }), (lengths) => {
        let at = 0
        const ranges = lengths.map((length) => ({ start: at, end: (at += length) }))
        assert.lengthOf(RangePlan.plan(ranges, { maxGap: 0, maxOverRead: 0 }), 1)
        for (const group of RangePlan.plan(ranges, { maxRequest: 100 })) assert.isAtMost(group.end - group.start, 100)
      })
    )
  })

  it("keeps a range that is larger than the largest request whole", () => {
    const [group, ...others] = RangePlan.plan([{ start: 5, end: 1005 }], { maxRequest: 10 })
    assert.deepStrictEqual(group, { start: 5, end: 1005, members: [0] })
    assert.lengthOf(others, 0)
  })

  it("reads along a small gap and not a large one", () => {
    const ranges = [
      { start: 200, end: 300 },
      { start: 0, end: 100 },
      { start: 110, end: 190 }
    ]
    assert.deepStrictEqual(RangePlan.plan(ranges), [{ start: 0, end: 300, members: [1, 2, 0] }])
    assert.deepStrictEqual(RangePlan.plan(ranges, { maxGap: 9 }), [
      { start: 0, end: 100, members: [1] },
      { start: 110, end: 190, members: [2] },
      { start: 200, end: 300, members: [0] }
    ])
    assert.lengthOf(RangePlan.plan([]), 0)
  })

  it("joins all of many ranges between which there are the same gaps, not pairs of them", () => {
    const ranges = Array.from({ length: 5000 }, (_, i) => ({ start: i * 3 * 4096, end: i * 3 * 4096 + 4096 }))
    assert.isAtMost(RangePlan.plan(ranges).length, 4)
    assert.lengthOf(RangePlan.plan(ranges, { maxOverRead: 0.5 }), 2500)
    assert.lengthOf(RangePlan.plan(ranges, { maxGap: 8191 }), 5000)
  })

  it("closes the smallest gaps first when not all may be closed", () => {
    const ranges = [
      { start: 0, end: 10 },
      { start: 40, end: 50 },
      { start: 55, end: 65 }
    ]
    assert.deepStrictEqual(
      RangePlan.plan(ranges, { maxOverRead: 0.4 }).map(({ members }) => members),
      [[0], [1, 2]]
    )
  })

  it("divides a long stretch into requests of about the same size", () => {
    const ranges = Array.from({ length: 10_000 }, (_, i) => ({ start: i * 4096, end: i * 4096 + 4096 }))
    const sizes = RangePlan.plan(ranges).map(({ end, start }) => end - start)
    assert.lengthOf(sizes, 3)
    assert.isAtMost(Math.max(...sizes) - Math.min(...sizes), 3 * 4096)
  })

  it("cuts what is read together only between ranges, into parts worth a request, and as many as help", () => {
    fc.assert(
      fc.property(spans, options, (ranges, options) => {
        const { maxBytesInFlight, minPart, parallel } = options
        const whole = RangePlan.plan(ranges, { ...options, parallel: 1 })
        const cut = RangePlan.plan(ranges, options)
        const bytes = whole.reduce((sum, { end, start }) => sum + end - start, 0)
        const fair = Math.min(bytes, maxBytesInFlight ?? bytes) / parallel
        for (const { end, members, start } of whole) {
          const parts = cut.filter((part) => part.members.some((i) => members.includes(i)))
          assert.deepStrictEqual(
            parts.flatMap((part) => part.members),
            members
          )
          assert.strictEqual(parts[0]!.start, start)
          assert.strictEqual(Math.max(...parts.map((part) => part.end)), end)
          if (parts.length === 1) continue
          for (const part of parts) assert.isAtLeast(part.end - part.start, minPart)
          assert.isAtMost(parts.length, Math.round((end - start) / fair))
        }
        if (parallel <= 1) assert.deepStrictEqual(cut, whole)
      })
    )
  })

  it("cuts a long stretch into as many parts as are read at once, of about the same size", () => {
    const ranges = Array.from({ length: 1024 }, (_, i) => ({ start: i * 4096, end: i * 4096 + 4096 }))
    const sizes = (options: RangePlan.Options) =>
      RangePlan.plan(ranges, options).map(({ end, start }) => (end - start) / 4096)
    assert.deepStrictEqual(sizes({}), [1024])
    assert.deepStrictEqual(sizes({ parallel: 4 }), [256, 256, 256, 256])
    assert.deepStrictEqual(sizes({ parallel: 64 }), [256, 256, 256, 256], "no part below a MiB")
    assert.deepStrictEqual(sizes({ parallel: 4, minPart: 2 * 1024 * 1024 }), [512, 512])
    assert.deepStrictEqual(sizes({ parallel: 4, minPart: 3 * 1024 * 1024 }), [1024])
    assert.deepStrictEqual(sizes({ parallel: 64, minPart: 292 * 4096 }), [341, 341, 342], "even ones")
    const large = Array.from({ length: 5 }, (_, i) => ({ start: i * 8, end: i * 8 + 8 }))
    const parts = RangePlan.plan(large, { parallel: 4, minPart: 1 })
    assert.deepStrictEqual(
      parts.map(({ members }) => members.length),
      [1, 1, 1, 2]
    )
    assert.lengthOf(
      RangePlan.plan(
        [
          { start: 5, end: 5 },
          { start: 5, end: 5 }
        ],
        { parallel: 4 }
      ),
      1
    )
    // Of what may be asked for at once, each gets a share.
    assert.lengthOf(sizes({ parallel: 2, minPart: 1, maxBytesInFlight: 1024 * 1024 }), 8)
  })

  it("cuts nothing where there are requests enough already, and no range", () => {
    const apart = Array.from({ length: 8 }, (_, i) => ({ start: i * 1e9, end: i * 1e9 + 8e6 }))
    assert.lengthOf(RangePlan.plan(apart, { parallel: 8 }), 8)
    const stretches = apart
      .slice(0, 3)
      .flatMap(({ start }) =>
        Array.from({ length: 1000 }, (_, i) => ({ start: start + i * 4096, end: start + (i + 1) * 4096 }))
      )
    assert.lengthOf(RangePlan.plan(stretches, { parallel: 4 }), 3, "a third more would not be there sooner")
    assert.lengthOf(RangePlan.plan([{ start: 0, end: 1e9 }], { parallel: 8 }), 1)
    const overlapping = Array.from({ length: 20 }, (_, i) => ({ start: i, end: i + 1e7 }))
    assert.lengthOf(RangePlan.plan(overlapping, { parallel: 8 }), 1)
    const long = { start: 0, end: 1e7 }
    const around = [long, { start: 1, end: 2 }, { start: 1e7, end: 2e7 }, { start: 9e6, end: 9e6 + 1 }]
    assert.deepStrictEqual(
      RangePlan.plan(around, { parallel: 2, maxRequest: 1e9 }).map(({ members }) => members),
      [[0, 1, 3], [2]]
    )
  })

  it("does not read the gap at which it cuts", () => {
    const ranges = [0, 1, 2, 3].map((i) => ({ start: i * 1010, end: i * 1010 + 1000 }))
    assert.deepStrictEqual(
      RangePlan.plan(ranges, { parallel: 2, minPart: 1 }).map(({ end, start }) => [start, end]),
      [
        [0, 2010],
        [2020, 4030]
      ]
    )
  })

  it("plans hundreds of thousands of ranges in any order", () => {
    const count = 200_000
    const ranges = Array.from({ length: count }, (_, i) => {
      const at = ((i * 7919) % count) * 100
      return { start: at, end: at + 60 }
    })
    const groups = RangePlan.plan(ranges)
    assert.strictEqual(
      groups.reduce((sum, { members }) => sum + members.length, 0),
      count
    )
    assert.isAtMost(groups.length, 3)
  })
})
