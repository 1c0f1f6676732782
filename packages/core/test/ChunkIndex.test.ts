import { assert, describe, it } from "@effect/vitest"
import * as ChunkIndex from "@effect-icechunk/core/ChunkIndex"
import * as fc from "fast-check"

const index = fc.array(fc.nat({ max: 3 }), { maxLength: 4 })

describe("ChunkIndex", () => {
  it("sorts lexicographically by number", () => {
    fc.assert(
      fc.property(index, index, (a, b) => {
        // Small numbers in one letter each sort as texts do.
        const [x, y] = [a.join(""), b.join("")]
        assert.strictEqual(Math.sign(ChunkIndex.compare(a, b)), x < y ? -1 : x > y ? 1 : 0)
        assert.strictEqual(ChunkIndex.equals(a, b), x === y)
      })
    )
    assert.isBelow(ChunkIndex.compare([2], [10]), 0)
  })

  it("says why an index is no place in the grid", () => {
    assert.isUndefined(ChunkIndex.problem([], []))
    assert.isUndefined(ChunkIndex.problem([1, 0], [2, 1]))
    assert.isUndefined(ChunkIndex.problem(new Uint32Array([1, 0]), [2, 1]))
    assert.include(ChunkIndex.problem([1], [2, 1])!, "1 dimension(s), the array has 2")
    assert.include(ChunkIndex.problem([0, 1], [2, 1])!, "dimension 1 is 1, the grid has 1 chunk(s)")
    for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.include(ChunkIndex.problem([bad], [5])!, "not a whole number")
    }
    assert.include(ChunkIndex.problem([0], [0])!, "has 0 chunk(s)")
    assert.strictEqual(ChunkIndex.format([0, 1]), "[0, 1]")
  })
})
