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
        }
      )
    )
  })
})
