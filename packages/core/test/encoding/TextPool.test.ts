import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { TextPool } from "../../src/encoding/TextPool.ts"

const text = fc.oneof(
  fc.constantFrom("", "a", "ab", "abc", "abcd", "abcde", "s3://bucket/a.nc", "\0", "a\0"),
  fc.string({ maxLength: 40 }),
  { weight: 1, arbitrary: fc.string({ maxLength: 10, unit: "binary" }) }
)

describe("TextPool", () => {
  it("keeps many texts as it keeps one after the other", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.array(text, { maxLength: 20 }),
            text.map((one) => Array<string>(600).fill(one))
          ),
          {
            maxLength: 4
          }
        ),
        fc.boolean(),
        fc.boolean(),
        (lists, distinct, isAscii) => {
          const many = new TextPool({ distinct })
          const each = new TextPool({ distinct })
          for (const list of lists) {
            const texts = isAscii ? list.map((one) => one.replaceAll(/[^ -~]/g, "x")) : list
            const places: Array<number> = []
            many.texts(texts, (number, place) => {
              expect(number).toBe(places.length)
              places.push(place)
            })
            expect(places).toStrictEqual(texts.map((one) => each.text(one)))
            expect(Buffer.compare(many.bytes, each.bytes)).toBe(0)
          }
        }
      ),
      { numRuns: 500 }
    )
  })

  it("keeps thousands of texts, some twice, as it keeps one after the other", () => {
    for (const distinct of [false, true]) {
      const texts = Array.from({ length: 30_000 }, (_, i) => `s3://bucket/${i < 20_000 ? i : (7 * i) % 25_000}.nc`)
      const many = new TextPool({ distinct })
      const each = new TextPool({ distinct })
      const places: Array<number> = []
      many.texts(texts, (_, place) => places.push(place))
      expect(places).toStrictEqual(texts.map((one) => each.text(one)))
      expect(Buffer.compare(many.bytes, each.bytes)).toBe(0)
    }
  })

  it("keeps texts that are likely distinct, and finds out that they are not", () => {
    const texts = Array.from({ length: 30_000 }, (_, i) => `s3://bucket/${i}.nc`)
    const known = new TextPool({ distinct: true })
    known.texts(texts, () => {})
    const likely = new TextPool({ distinct: "likely" })
    const places: Array<number> = []
    const put = (_: number, place: number): void => void places.push(place)
    likely.texts(texts, put)
    expect(Buffer.compare(likely.bytes, known.bytes)).toBe(0)
    const first = [...places]
    // Some of the first ones that come again may be kept again, until one that was looked up comes again.
    likely.texts([...texts, ...texts], put)
    expect(likely.size).toBeLessThan(1.2 * known.size)
    expect(places.slice(60_000)).toStrictEqual(
      places.slice(30_000, 60_000).map((place, i) => Math.min(place, first[i]!))
    )
    const few = new TextPool({ distinct: "likely" })
    few.texts(texts, () => {})
    few.texts(
      Array.from({ length: 200_000 }, (_, i) => `s3://bucket/few/${i % 7}.nc`),
      () => {}
    )
    expect(few.size).toBeLessThan(4 * known.size)
    const text = new TextDecoder()
    for (const [i, place] of places.entries()) {
      const bytes = likely.bytes.subarray(place + 4, place + 4 + likely.length(place))
      if (text.decode(bytes) !== texts[i % texts.length]) throw new Error(`text ${i} is another one`)
    }
  })

  it("leaves room before a pool that becomes large, and none before a small one", () => {
    for (const distinct of [false, true, "likely"] as const) {
      const texts = Array.from({ length: 30_000 }, (_, i) => `s3://bucket/${i}.nc`)
      const plain = new TextPool({ distinct })
      plain.texts(texts, () => {})
      expect([plain.before, plain.whole.length]).toStrictEqual([0, plain.size])
      const large = new TextPool({ distinct })
      large.wantRoom(4096)
      large.texts(texts.slice(0, 100), () => {})
      expect(large.before).toBe(0)
      large.texts(texts.slice(100), () => {})
      expect([large.before, large.whole.length]).toStrictEqual([4096, 4096 + plain.size])
      expect(large.whole.subarray(0, 4096).every((byte) => byte === 0)).toBe(true)
      expect(Buffer.compare(large.whole.subarray(4096), plain.bytes)).toBe(0)
      expect(Buffer.compare(large.bytes, plain.bytes)).toBe(0)
    }
  })

  it("keeps texts that are too long to be encoded at once", () => {
    const texts = [0, 1, 2, 3].map((n) => "x".repeat(400_000 + n))
    const pool = new TextPool()
    const lengths: Array<number> = []
    pool.texts(texts, (_, place) => lengths.push(pool.length(place)))
    expect(lengths).toStrictEqual([400_000, 400_001, 400_002, 400_003])
  })
})
