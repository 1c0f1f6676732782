import { describe, expect, it } from "vitest"
import * as Keys from "../src/internal/Keys.ts"
import * as Multipart from "../src/internal/Multipart.ts"

describe("Keys", () => {
  it("puts a slash between prefix and key unless there is one", () => {
    expect([undefined, "", "a", "a/", "a/b", "/", "a//"].map(Keys.base)).toEqual([
      "",
      "",
      "a/",
      "a/",
      "a/b/",
      "/",
      "a//"
    ])
  })

  it.each([
    ["", "not empty"],
    ["a\ud800", "well-formed"],
    ["é".repeat(512), "longer than 1024 bytes"]
  ])("refuses %j", (key, problem) => {
    expect(Keys.problem(key, "p", false)?.reason).toMatchObject({
      _tag: "Unsupported",
      detail: expect.stringContaining(problem)
    })
  })

  it.each([".", "..", "a/../b", "../a", "./a", "a/.", "a/..", "/./", "a//../b"])(
    "refuses %j where the bucket is in the path, and nowhere else",
    (key) => {
      expect(Keys.problem(key, "", false)).toBeUndefined()
      expect(Keys.problem(key, "", true)?.reason).toMatchObject({ _tag: "Unsupported" })
      expect(Keys.problem("key", `${key}/`, true)?.reason).toMatchObject({ _tag: "Unsupported" })
    }
  )

  it.each(["...", "a.", ".a", "a/..b", "a../b", "a//b", "/a", "%2E%2E/a"])("takes %j everywhere", (key) => {
    expect(Keys.problem(key, "p/", true)).toBeUndefined()
  })

  it("decodes listed keys only when the store says that it encoded them", () => {
    expect(Keys.decodeListed("a+b%2Bc%2Fd", "url")).toBe("a b+c/d")
    expect(Keys.decodeListed("a+b%2Bc", undefined)).toBe("a+b%2Bc")
  })

  it("escapes the source of a copy but not its slashes", () => {
    expect(Keys.copySource("bucket", "/a//b ?#%+é")).toBe("bucket//a//b%20%3F%23%25%2B%C3%A9")
  })

  it("knows which keys XML does not carry unchanged", () => {
    for (const key of [" a", "a ", "a\nb", "a\u0001", "a\u007f", "a\u0085", "a\u2028", "\ufffe"]) {
      expect(Keys.isSafeInXml(key)).toBe(false)
    }
    for (const key of ["a b", "a&<>\"'", "/a//", "..", "é🧊"]) expect(Keys.isSafeInXml(key)).toBe(true)
  })
})

describe("Multipart.parts", () => {
  it("covers the object without gaps, the last part being the rest", () => {
    expect(Multipart.parts(10, 4)).toEqual([
      { number: 1, start: 0, end: 4 },
      { number: 2, start: 4, end: 8 },
      { number: 3, start: 8, end: 10 }
    ])
    expect(Multipart.parts(8, 4)).toHaveLength(2)
  })
  it("makes larger parts of an object that would have over 10,000", () => {
    const parts = Multipart.parts(100_001, 1)
    expect(parts.length).toBeLessThanOrEqual(10_000)
    expect(parts.at(-1)?.end).toBe(100_001)
  })
})
