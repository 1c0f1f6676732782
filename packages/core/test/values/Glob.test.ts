import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Result from "effect/Result"
import * as Glob from "../../src/values/Glob.ts"

const matches = (glob: string, text: string): boolean => Result.getOrThrow(Glob.compile(glob))(text)

describe("Glob", () => {
  it.each([
    ["a/*.nc", "a/b.nc", true],
    ["a/*.nc", "a/b/c.nc", false],
    ["a/**.nc", "a/b/c.nc", true],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["a?c", "a\u{1f9ca}c", true],
    ["[a-c]", "b", true],
    ["[!a-c]", "b", false],
    ["[!a-c]", "d", true],
    ["[!a-c]", "/", false],
    ["[/]", "/", false],
    ["[]a]", "]", true],
    ["[a-]", "-", true],
    ["[.]", "a", false],
    ["{a,b*}/c", "bb/c", true],
    ["{a,{b,c}}", "c", true],
    ["{a,b}", "{a,b}", false],
    ["a,b", "a,b", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["\\{a\\,b\\}", "{a,b}", true],
    ["a.b", "axb", false]
  ])("%s against %s: %s", (glob, text, expected) => {
    expect(matches(glob, text)).toBe(expected)
  })

  it("matches its own text when every special character is escaped, and nothing longer", () => {
    const text = fc.string({ unit: fc.constantFrom(..."ab./+()[]{}^$|\\-*?,!é\u{1f9ca}") })
    fc.assert(
      fc.property(text, (text) => {
        const glob = text.replaceAll(/[*?[\]{}\\]/g, "\\$&")
        return matches(glob, text) && !matches(glob, `${text}!`) && matches("**", text)
      })
    )
  })

  it("never throws, whatever the pattern", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."a-/[]{}!\\*?,^") }), (glob) => {
        const compiled = Glob.compile(glob)
        return Result.isFailure(compiled) || typeof compiled.success("a/b") === "boolean"
      })
    )
  })
})
