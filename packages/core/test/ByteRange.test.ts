import { assert, describe, it } from "@effect/vitest"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as fc from "fast-check"

const count = fc.nat({ max: 1000 })
const range: fc.Arbitrary<ByteRange.ByteRange> = fc.oneof(
  fc.tuple(count, count).map(([offset, length]) => ByteRange.bounded(offset, length)),
  count.map(ByteRange.from),
  count.map(ByteRange.suffix)
)

describe("ByteRange.resolve", () => {
  it("gives what slicing the object gives, or nothing when the object is too short", () => {
    fc.assert(
      fc.property(range, fc.nat({ max: 500 }), (range, size) => {
        const object = Uint8Array.from({ length: size }, (_, i) => i)
        const span = ByteRange.resolve(range, size)
        const expected = ByteRange.match(range, {
          Bounded: ({ length, offset }) =>
            offset + length <= size ? object.slice(offset, offset + length) : undefined,
          From: ({ offset }) => (offset <= size ? object.slice(offset) : undefined),
          Suffix: ({ length }) => (length === 0 ? object.slice(size) : object.slice(-length))
        })
        assert.deepStrictEqual(span && object.slice(span.start, span.end), expected)
      })
    )
  })

  it("stays within the object, and a bounded range keeps its length", () => {
    fc.assert(
      fc.property(range, fc.nat({ max: 1500 }), (range, size) => {
        const span = ByteRange.resolve(range, size)
        if (span === undefined) return
        assert.isTrue(0 <= span.start && span.start <= span.end && span.end <= size)
        if (range._tag === "Bounded") assert.strictEqual(span.end - span.start, range.length)
      })
    )
  })

  it("without a range means the whole object", () => {
    assert.deepStrictEqual(ByteRange.resolve(undefined, 7), { start: 0, end: 7 })
    assert.deepStrictEqual(ByteRange.resolve(undefined, 0), { start: 0, end: 0 })
  })

  it("refuses what is not whole, not positive, or not exact", () => {
    const numbers = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]
    for (const n of numbers) {
      for (const range of [ByteRange.bounded(n, 1), ByteRange.bounded(0, n), ByteRange.from(n), ByteRange.suffix(n)]) {
        assert.isFalse(ByteRange.isValid(range))
        assert.isUndefined(ByteRange.resolve(range, Number.MAX_SAFE_INTEGER))
      }
    }
    assert.isFalse(ByteRange.isValid(ByteRange.bounded(Number.MAX_SAFE_INTEGER, 1)))
    assert.isTrue(ByteRange.isValid(ByteRange.bounded(Number.MAX_SAFE_INTEGER - 1, 1)))
  })

  it("reaches objects of terabytes", () => {
    const size = 2 ** 43
    assert.deepStrictEqual(ByteRange.resolve(ByteRange.suffix(8), size), { start: size - 8, end: size })
    assert.deepStrictEqual(ByteRange.resolve(ByteRange.bounded(2 ** 42, 3), size), {
      start: 2 ** 42,
      end: 2 ** 42 + 3
    })
  })
})

describe("ByteRange.toHttpHeader", () => {
  it("writes inclusive ends", () => {
    assert.strictEqual(ByteRange.toHttpHeader(ByteRange.bounded(0, 1)), "bytes=0-0")
    assert.strictEqual(ByteRange.toHttpHeader(ByteRange.bounded(2 ** 42, 10)), "bytes=4398046511104-4398046511113")
    assert.strictEqual(ByteRange.toHttpHeader(ByteRange.from(5)), "bytes=5-")
    assert.strictEqual(ByteRange.toHttpHeader(ByteRange.suffix(8)), "bytes=-8")
  })
})
