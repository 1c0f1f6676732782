import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { maxDepth } from "../../src/values/Json.ts"
import * as JsonDocument from "../../src/values/JsonDocument.ts"

const fromText = (text: string) => JsonDocument.fromBytes(new TextEncoder().encode(text))

/** A text, and whether a key occurs twice in one of its objects. */
interface Document {
  readonly text: string
  readonly hasTwins: boolean
}

const space = fc.constantFrom("", "", " ", "\n\t", "\r\n ")
// Those with escapes have two characters: V8 13.6 reads some of one character wrongly.
const name = fc.constantFrom(
  "a",
  "b",
  ":",
  "{",
  'a"',
  "\\\\",
  '\\"',
  "a\\",
  "[1]",
  "__proto__",
  "constructor",
  "0",
  "1",
  "é",
  "",
  "aa",
  "ab"
)

/** The same text with its first character escaped, as only a parser sees. */
const escaped = (text: string): string =>
  text.length < 2
    ? JSON.stringify(text)
    : `"\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}${JSON.stringify(text.slice(1)).slice(1)}`

const literal = fc
  .tuple(name, fc.boolean())
  .map(([text, isEscaped]) => (isEscaped ? escaped(text) : JSON.stringify(text)))

const { document } = fc.letrec<{ readonly document: Document }>((tie) => ({
  document: fc.oneof(
    { depthSize: "small" },
    fc.oneof(literal, fc.constantFrom("0", "-1.5e3", "true", "null")).map((text) => ({ text, hasTwins: false })),
    fc.tuple(fc.array(tie("document"), { maxLength: 3 }), space).map(([items, space]) => ({
      text: `[${space}${items.map(({ text }) => text + space).join(",")}]`,
      hasTwins: items.some(({ hasTwins }) => hasTwins)
    })),
    fc.tuple(fc.array(fc.tuple(literal, tie("document")), { maxLength: 3 }), space).map(([members, space]) => {
      const keys = members.map(([key]) => JSON.parse(key) as string)
      return {
        text: `{${members.map(([key, { text }]) => `${space}${key}${space}:${space}${text}`).join(",")}${space}}`,
        hasTwins: new Set(keys).size < keys.length || members.some(([, { hasTwins }]) => hasTwins)
      }
    })
  )
}))

describe("JsonDocument.fromBytes", () => {
  it("takes what JSON.parse takes, unless a key occurs twice in an object", () => {
    let twins = 0
    fc.assert(
      fc.property(document, ({ hasTwins, text }) => {
        const found = fromText(text)
        if (hasTwins) {
          twins++
          assert.isTrue(Result.isFailure(found), text)
          assert.include(Result.getOrThrow(Result.flip(found)).problem, "occurs twice")
        } else assert.deepStrictEqual(Result.getOrThrow(found), JSON.parse(text))
      }),
      { numRuns: 5000 }
    )
    assert.isAbove(twins, 100)
  })

  it("refuses texts that are cut off or have a character too many, as JSON.parse does", () => {
    const text = `{"a":[1,{"b\\\\":"c\\""}],"d":{}}`
    for (let end = 0; end < text.length; end++) assert.isTrue(Result.isFailure(fromText(text.slice(0, end))))
    for (const more of `"{}[]:,x\\`) assert.isTrue(Result.isFailure(fromText(text + more)), more)
  })

  it.each([
    ["nested too deep", "[".repeat(maxDepth + 1) + "]".repeat(maxDepth + 1), "nested deeper"],
    ["a number that is none", "[1e999]", "Infinity"],
    ["half of a surrogate pair", `["\\ud800"]`, "surrogate"],
    ["half of a surrogate pair in a key", `{"\\ud800":1}`, "surrogate"],
    ["too many values", `[${"0,".repeat(1_000_000)}0]`, "more than 1000000 values"]
  ])("says of %s what is wrong", (_, text, problem) => {
    const found = fromText(text)
    assert.include(Result.getOrThrow(Result.flip(found)).problem, problem)
  })
})
