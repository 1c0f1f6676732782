import { assert, describe, it } from "@effect/vitest"
import * as Body from "../../src/store/Body.ts"

const body = Uint8Array.from({ length: 64 }, (_, i) => i)
const everybody = (): boolean => true

const divide = (ranges: ReadonlyArray<readonly [number, number]>, base = 0, bytes = body) =>
  Body.divide(
    bytes,
    base,
    ranges.map(([start, end]) => ({ start, end })),
    everybody
  ).map((part) => part!)

describe("Body.divide", () => {
  it("hands the whole body to a single reader", () => {
    assert.strictEqual(divide([[100, 164]], 100)[0], body)
  })

  it("gives views of the one buffer where they do not overlap", () => {
    const [first, second] = divide(
      [
        [100, 132],
        [132, 164]
      ],
      100
    )
    assert.strictEqual(first!.buffer, body.buffer)
    assert.strictEqual(second!.buffer, body.buffer)
    assert.deepStrictEqual(Array.from(second!), Array.from(body.subarray(32)))
  })

  it("gives copies of bytes that two readers want", () => {
    const parts = divide([
      [0, 40],
      [32, 64],
      [32, 64]
    ])
    for (const part of parts) assert.notStrictEqual(part.buffer, body.buffer)
    parts[0]!.fill(99)
    assert.deepStrictEqual(Array.from(parts[1]!), Array.from(body.subarray(32)))
    assert.strictEqual(new Set(parts.map(({ buffer }) => buffer)).size, 3)
  })

  it("gives a copy of a long range in which a short one lies, and of what follows within it", () => {
    const parts = divide([
      [0, 64],
      [0, 8],
      [16, 24],
      [56, 64]
    ])
    for (const part of parts) assert.notStrictEqual(part.buffer, body.buffer)
  })

  it("copies a small part of a large body, which would keep all of it in memory", () => {
    const [small, large] = divide([
      [0, 7],
      [8, 16]
    ])
    assert.notStrictEqual(small!.buffer, body.buffer)
    assert.strictEqual(large!.buffer, body.buffer)
  })

  it("counts the buffer behind a body that is a view itself", () => {
    const view = new Uint8Array(new ArrayBuffer(10_000), 0, 64)
    for (const part of divide(
      [
        [0, 32],
        [32, 64]
      ],
      0,
      view
    ))
      assert.notStrictEqual(part.buffer, view.buffer)
  })

  it("copies a part from which numbers could not be read in place", () => {
    const [aligned, odd] = divide([
      [0, 25],
      [25, 57]
    ])
    assert.strictEqual(aligned!.buffer, body.buffer)
    assert.notStrictEqual(odd!.buffer, body.buffer)
    assert.doesNotThrow(() => new Float64Array(odd!.buffer, odd!.byteOffset, 4))
  })

  it("makes nothing for a reader that has gone", () => {
    const parts = Body.divide(
      body,
      0,
      [
        { start: 0, end: 32 },
        { start: 32, end: 64 }
      ],
      (i) => i === 1
    )
    assert.isUndefined(parts[0])
    assert.lengthOf(parts[1]!, 32)
  })
})
