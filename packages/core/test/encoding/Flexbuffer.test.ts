import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as flexbuffers from "flatbuffers/js/flexbuffers.js"
import * as assert from "node:assert"
import * as Flexbuffer from "../../src/encoding/Flexbuffer.ts"
import type { Json } from "../../src/values/Json.ts"
import * as arbitraries from "../format/arbitraries.ts"
import * as damage from "../format/damage.ts"

const decode = (bytes: Uint8Array) => Flexbuffer.decode("repo", "metadata[0].value", bytes)

const roundTrip = (value: Json): Json => Result.getOrThrow(decode(Flexbuffer.encode(value)))

describe("Flexbuffer", () => {
  it("gives back every JSON value", () => {
    fc.assert(
      fc.property(arbitraries.json, (value) => assert.deepStrictEqual(roundTrip(value), value)),
      { numRuns: 2000 }
    )
  })

  it("gives back vectors whose offsets need one, two and four bytes", () => {
    for (const size of [10, 200, 300, 60_000, 70_000]) {
      const value: Json = { first: "x".repeat(size), second: [1, "y".repeat(size), -1], third: size }
      expect(roundTrip(value)).toStrictEqual(value)
    }
    const many: Json = Array.from({ length: 30_000 }, (_, i) => ({ [`key${i}`]: i, name: `n${i}` }))
    expect(roundTrip(many)).toStrictEqual(many)
  })

  it("is read by the format's own library", () => {
    // Without floats, empty keys and 64-bit numbers, which that library reads otherwise.
    const plain = fc.letrec<{ readonly value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.boolean(),
        fc.integer(),
        fc.string({ unit: "grapheme-ascii", minLength: 1 }),
        fc.array(tie("value"), { maxLength: 5 }),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), tie("value"), { maxKeys: 5, noNullPrototype: true })
      )
    })).value
    fc.assert(
      fc.property(plain, (value) => {
        const bytes = Flexbuffer.encode(value)
        const read = flexbuffers.toObject(bytes.buffer.slice(0, bytes.length) as ArrayBuffer)
        expect(read).toStrictEqual(value)
      })
    )
  })

  it("reads what the format's own library writes", () => {
    const value: Json = { a: [1, 2.5, "x", null, true], b: { c: -70_000, d: [] }, e: 2 ** 40 }
    expect(Result.getOrThrow(decode(flexbuffers.encode(value)))).toStrictEqual(value)
  })

  it("reads typed and fixed vectors, indirect numbers and keys", () => {
    const builder = flexbuffers.builder()
    builder.startVector()
    builder.addInt(-5, true)
    builder.addUInt(70_000, true)
    builder.addFloat(0.5, true)
    builder.end()
    expect(Result.getOrThrow(decode(builder.finish()))).toStrictEqual([-5, 70_000, 0.5])
    // A vector of two unsigned bytes without a length (type 17), one of three bits (type 36), and a key.
    expect(Result.getOrThrow(decode(Uint8Array.of(7, 9, 2, 17 << 2, 1)))).toStrictEqual([7, 9])
    expect(Result.getOrThrow(decode(Uint8Array.of(3, 1, 0, 1, 3, 36 << 2, 1)))).toStrictEqual([true, false, true])
    expect(Result.getOrThrow(decode(Uint8Array.of(0x68, 0x69, 0, 3, 4 << 2, 1)))).toBe("hi")
  })

  it("orders keys by their UTF-8 bytes", () => {
    const text = Buffer.from(Flexbuffer.encode({ "\u{10000}": 1, "\uffff": 2, b: 3, a: 4 })).toString("latin1")
    const places = ["a\0", "b\0", "\xef\xbf\xbf\0", "\xf0\x90\x80\x80\0"].map((name) => text.indexOf(name))
    expect(places).toStrictEqual(places.toSorted((a, b) => a - b))
    expect(places.every((place) => place >= 0)).toBe(true)
  })

  it("writes NaN as null and leaves undefined fields out, as JSON.stringify does", () => {
    expect(roundTrip(Number.NaN)).toBe(null)
    expect(roundTrip({ a: undefined as unknown as Json, b: 1 })).toStrictEqual({ b: 1 })
  })

  it("says what cannot be written", () => {
    expect(Flexbuffer.problem({ a: [1, { "b\0": 1 }] })).toMatch("U+0000")
    expect(Flexbuffer.problem({ a: 1n })).toMatch("bigint")
    let deep: Json = 1
    for (let i = 0; i < Flexbuffer.maxDepth; i++) deep = [deep]
    expect(Flexbuffer.problem(deep)).toBe(undefined)
    expect(roundTrip(deep)).toStrictEqual(deep)
    expect(Flexbuffer.problem([deep])).toMatch("deeper")
    expect(() => Flexbuffer.encode([deep])).toThrow(TypeError)
  })

  it("refuses blobs, bad text, and numbers of a strange width", () => {
    const problems = [
      [Uint8Array.of(), "too few"],
      [Uint8Array.of(0, 0, 3), "root takes 3 bytes"],
      [Uint8Array.of(1, 65, 2, 25 << 2, 1), "not JSON"],
      [Uint8Array.of(1, 0xff, 0, 2, 5 << 2, 1), "not UTF-8"],
      [Uint8Array.of(1, 3 << 2, 1), "float of 1 bytes"],
      [Uint8Array.of(9, 5 << 2, 1), "points outside"]
    ] as const
    for (const [bytes, problem] of problems) {
      const result = decode(bytes)
      expect(Result.isFailure(result) && result.failure.message).toMatch(problem)
      expect(Result.isFailure(result) && result.failure.message).toMatch("`metadata[0].value` of `repo`")
    }
  })

  it("does not unfold vectors that share their elements", () => {
    // Each vector holds the one before it 16 times: 16^20 values in 700 bytes.
    const bytes: Array<number> = [0, 0]
    let inner = 1
    let innerType = 0
    for (let depth = 0; depth < 20; depth++) {
      bytes.push(16)
      const start = bytes.length
      for (let i = 0; i < 16; i++) bytes.push(innerType === 0 ? 1 : start + i - inner)
      for (let i = 0; i < 16; i++) bytes.push(innerType === 0 ? 1 << 2 : innerType)
      inner = start
      innerType = 10 << 2
    }
    const root = bytes.length - inner
    const result = decode(Uint8Array.from([...bytes, root, 10 << 2, 1]))
    expect(Result.isFailure(result) && result.failure.message).toMatch("more than its size allows")
  })

  it("fails with a FormatError, and soon, on damaged bytes", () => {
    const value: Json = { author: "Ada", tags: ["a", "b", { c: [1, 2.5, null, true] }], n: { deep: { er: 1e10 } } }
    const bytes = Flexbuffer.encode(value)
    damage.truncations(bytes, decode)
    expect(damage.flips(bytes, 20_000, 1, decode)).toBeGreaterThan(5000)
    const next = damage.random(2)
    for (let i = 0; i < 5000; i++) {
      const noise = Uint8Array.from({ length: Math.floor(next() * 60) }, () => Math.floor(next() * 256))
      damage.flips(noise.length === 0 ? Uint8Array.of(0) : noise, 1, i, decode)
    }
  })
})
