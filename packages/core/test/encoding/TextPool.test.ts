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

  it("keeps texts that are too long to be encoded at once", () => {
    const texts = [0, 1, 2, 3].map((n) => "x".repeat(400_000 + n))
    const pool = new TextPool()
    const lengths: Array<number> = []
    pool.texts(texts, (_, place) => lengths.push(pool.length(place)))
    expect(lengths).toStrictEqual([400_000, 400_001, 400_002, 400_003])
  })
})
