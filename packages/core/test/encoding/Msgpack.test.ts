import { describe, expect, it } from "@effect/vitest"
import * as msgpack from "@msgpack/msgpack"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as assert from "node:assert"
import * as Msgpack from "../../src/encoding/Msgpack.ts"
import * as arbitraries from "../format/arbitraries.ts"
import * as damage from "../format/damage.ts"

const decode = (bytes: Uint8Array) => Msgpack.decode("snapshots/X", "metadata[0].value", bytes)

const problem = (bytes: ReadonlyArray<number>) => {
  const result = decode(Uint8Array.from(bytes))
  return Result.isFailure(result) ? result.failure.problem : undefined
}

describe("Msgpack", () => {
  it("reads what another library writes", () => {
    fc.assert(
      // That library refuses to write the key `__proto__`, and writes -0 as 0.
      fc.property(arbitraries.json, (value) => {
        fc.pre(!JSON.stringify(value).includes("__proto__"))
        assert.deepStrictEqual(Result.getOrThrow(decode(msgpack.encode(value))), JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 1000 }
    )
  })

  it("reads every width of number, text, array and map", () => {
    for (const value of [
      0,
      127,
      128,
      255,
      256,
      65_535,
      65_536,
      2 ** 32,
      -1,
      -32,
      -33,
      -129,
      -32_769,
      -(2 ** 40),
      0.1
    ]) {
      expect(Result.getOrThrow(decode(msgpack.encode(value, { useBigInt64: true })))).toBe(value)
    }
    expect(Result.getOrThrow(decode(msgpack.encode(0.5, { forceFloat32: true })))).toBe(0.5)
    for (const size of [0, 31, 32, 255, 256, 65_536]) {
      expect(Result.getOrThrow(decode(msgpack.encode("x".repeat(size))))).toBe("x".repeat(size))
      const array = Array.from({ length: size }, (_, i) => i)
      expect(Result.getOrThrow(decode(msgpack.encode(array)))).toStrictEqual(array)
      const map = Object.fromEntries(array.map((i) => [`k${i}`, i]))
      expect(Result.getOrThrow(decode(msgpack.encode(map)))).toStrictEqual(map)
    }
    expect(Result.getOrThrow(decode(Uint8Array.of(0xcf, 0, 0, 0, 1, 0, 0, 0, 0)))).toBe(2 ** 32)
  })

  it("keeps a key `__proto__` as a key", () => {
    const value = Result.getOrThrow(decode(Uint8Array.of(0x81, 0xa9, ...Buffer.from("__proto__"), 1)))
    expect(Object.getOwnPropertyNames(value)).toStrictEqual(["__proto__"])
  })

  it("refuses what is no JSON, and what does not end where it should", () => {
    expect(problem([0xc4, 1, 0])).toMatch("0xc4, which is not JSON")
    expect(problem([0xd4, 1, 0])).toMatch("not JSON")
    expect(problem([0x81, 1, 1])).toMatch("a key is not text")
    expect(problem([0xa1, 0xff])).toMatch("not UTF-8")
    expect(problem([1, 1])).toMatch("after its value")
    expect(problem([])).toMatch("ends in the middle")
    expect(problem(Array.from({ length: 200 }, () => 0x91))).toMatch("deeper")
  })

  it("allocates nothing for lengths that it does not have", () => {
    expect(problem([0xdd, 0xff, 0xff, 0xff, 0xff])).toMatch("ends in the middle")
    expect(problem(Array.from({ length: 100 }, () => [0xdd, 0xff, 0xff, 0xff, 0xff]).flat())).toMatch(
      "ends in the middle"
    )
    expect(problem([0xdb, 0xff, 0xff, 0xff, 0xff])).toMatch("ends in the middle")
  })

  it("fails with a FormatError on damaged bytes", () => {
    const bytes = msgpack.encode({ a: [1, 2, { b: "text", c: null }], d: 1.5, e: { f: -70_000 } })
    expect(damage.truncations(bytes, decode)).toBe(bytes.length)
    damage.flips(bytes, 10_000, 1, decode)
  })
})
