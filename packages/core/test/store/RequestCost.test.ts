import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as RequestCost from "../../src/store/RequestCost.ts"

const MiB = 1024 * 1024

const after = (
  answers: ReadonlyArray<{ readonly bytes: number; readonly milliseconds: number; readonly underWay: number }>
): RequestCost.RequestCost => answers.reduce(RequestCost.observe, RequestCost.initial)

const times = <A>(count: number, answer: A): ReadonlyArray<A> => Array.from({ length: count }, () => answer)

describe("RequestCost", () => {
  it("weighs gaps of some tens of KiB against a request before anything is known", () => {
    const gap = RequestCost.worthwhileGap(RequestCost.initial, 64)
    assert.isAtLeast(gap, 32 * 1024)
    assert.isAtMost(gap, 128 * 1024)
  })

  it("follows a quick answer at once and a slow one slowly", () => {
    assert.strictEqual(after([{ bytes: 100, milliseconds: 2, underWay: 1 }]).latency, 2)
    const slow = after([{ bytes: 100, milliseconds: 1000, underWay: 1 }])
    assert.isAbove(slow.latency, RequestCost.initial.latency)
    assert.isBelow(slow.latency, 250)
    assert.closeTo(after(times(60, { bytes: 100, milliseconds: 50, underWay: 1 })).latency, 50, 1)
  })

  it("counts the throughput of all requests together, and reads less along over a thin line", () => {
    const thin = after(times(40, { bytes: MiB, milliseconds: 1000, underWay: 1 }))
    assert.isBelow(thin.throughput, 2000)
    assert.strictEqual(RequestCost.worthwhileGap(thin, 64), 4096)
    const shared = after(times(40, { bytes: MiB, milliseconds: 1000, underWay: 100 }))
    assert.isAbove(shared.throughput, 50_000)
    assert.isAbove(RequestCost.worthwhileGap(shared, 64), 15_000)
  })

  it("reads more along where a request waits longer, and where fewer of them wait side by side", () => {
    const near = after(times(60, { bytes: 100, milliseconds: 1, underWay: 1 }))
    const far = after(times(60, { bytes: 100, milliseconds: 100, underWay: 1 }))
    assert.isAbove(RequestCost.worthwhileGap(far, 64), RequestCost.worthwhileGap(near, 64))
    assert.isAbove(RequestCost.worthwhileGap(near, 1), RequestCost.worthwhileGap(near, 64))
  })

  it("cuts reads of many MiB into a few parts before anything is known", () => {
    const { minPart, parallel } = RequestCost.parts(RequestCost.initial, 64)
    assert.strictEqual(parallel, 4)
    assert.strictEqual(minPart, 1_000_000)
    assert.strictEqual(RequestCost.parts(RequestCost.initial, 3).parallel, 3)
    for (const places of [1, 0, -5]) assert.strictEqual(RequestCost.parts(RequestCost.initial, places).parallel, 1)
  })

  /** A line that takes so many bytes in a millisecond, and gives a request at most `each` of them. */
  const over = (line: number, each: number, latency: number) => {
    let cost = after(times(50, { bytes: 100, milliseconds: latency, underWay: 1 }))
    const read = (underWay: number, count = 1): void => {
      const milliseconds = latency + MiB / Math.min(each, line / underWay)
      for (let i = 0; i < count; i++) cost = RequestCost.observe(cost, { bytes: MiB, milliseconds, underWay })
    }
    /** Reads as many at once as is thought best, again and again, with single reads between. */
    const settle = (places = 64): number => {
      for (let i = 0; i < 40; i++) {
        read(1)
        const { parallel } = RequestCost.parts(cost, places)
        read(parallel, parallel)
      }
      return RequestCost.parts(cost, places).parallel
    }
    return { settle, cost: () => cost }
  }

  it("cuts nothing where one request fills the line", () => {
    assert.isAtMost(over(2000, 2000, 10).settle(), 1)
    assert.isAtMost(over(1_000_000, 1_000_000, 1).settle(), 1)
  })

  it("finds out how many requests fill a line of which each gets a part", () => {
    for (const requests of [2, 4, 12]) {
      const found = over(requests * 50_000, 50_000, 20).settle()
      assert.isAtLeast(found, requests * 0.75)
      assert.isAtMost(found, requests * 1.5)
    }
    assert.strictEqual(over(1_000_000, 10_000, 20).settle(16), 16, "as many as there are places")
  })

  it("makes no part smaller than what could come while a request waits, or is made", () => {
    const far = over(200_000, 20_000, 40)
    far.settle()
    const { alone } = far.cost()
    assert.closeTo(alone, 20_000, 1000)
    assert.closeTo(RequestCost.parts(far.cost(), 64).minPart, 40 * alone, 2000)
    const near = { ...far.cost(), latency: 0.01, alone: 1000, line: 10_000 }
    assert.strictEqual(RequestCost.parts(near, 64).minPart, 3000)
    assert.strictEqual(RequestCost.parts({ ...near, latency: 10_000, alone: 1e6 }, 64).minPart, 8 * MiB)
  })

  it("counts what a request of many gets as no more than it would get alone", () => {
    const { alone } = after(times(5, { bytes: MiB, milliseconds: 4, underWay: 4 }))
    assert.closeTo(alone, MiB / 2, 1)
    // Slow because of the others.
    const cost = after(times(50, { bytes: MiB, milliseconds: 1000, underWay: 10 }))
    assert.strictEqual(cost.alone, RequestCost.initial.alone)
    assert.isBelow(cost.line!, 12_000)
    // And short answers say nothing of it.
    const { alone: still, line } = after(times(50, { bytes: 1000, milliseconds: 1000, underWay: 10 }))
    assert.deepStrictEqual([still, line], [RequestCost.initial.alone, undefined])
  })

  it("stays within bounds whatever is observed", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            bytes: fc.nat(),
            milliseconds: fc.oneof(fc.double(), fc.constantFrom(0, Number.NaN, Infinity)),
            underWay: fc.nat()
          })
        ),
        fc.nat(),
        (answers, places) => {
          const gap = RequestCost.worthwhileGap(after(answers), places)
          assert.isAtLeast(gap, 4096)
          assert.isAtMost(gap, 256 * 1024)
          const { minPart, parallel } = RequestCost.parts(after(answers), places)
          assert.isTrue(Number.isInteger(parallel) && parallel >= 1 && parallel <= Math.max(1, places), `${parallel}`)
          assert.isTrue(Number.isInteger(minPart) && minPart >= 1 && minPart <= 8 * MiB, `${minPart}`)
        }
      )
    )
  })
})
