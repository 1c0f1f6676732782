/** What the pages and the docstrings show is TypeScript that a compiler accepts, and what can be run runs. */
import { describe, expect, it } from "vitest"
import * as Snippets from "../../site/src/Snippets.ts"
import { all, check, run } from "../../site/snippets.ts"

const snippets = all()

describe("snippets", () => {
  it("are accepted by the compiler", () => {
    expect(snippets.length).toBeGreaterThan(80)
    expect(check(snippets)).toEqual([])
  })

  // After the check, which writes them.
  it("run, those that can be run", () => {
    const runnable = snippets.filter(({ runs }) => runs)
    expect(runnable.length).toBeGreaterThan(20)
    expect(run(runnable)).toEqual([])
  })
})

describe("a page", () => {
  const page = [
    "# Title",
    "<!-- snippets",
    "declare const path: string",
    "-->",
    "",
    "```ts",
    'import * as Effect from "effect/Effect"',
    "",
    "const session = yield* repository.readonlySession(path)",
    "```",
    "<!-- run -->",
    "- indented:",
    "  ```ts",
    "  session.discard",
    "  ```",
    "```json",
    "{}",
    "```",
    ""
  ].join("\n")

  it("has snippets with the lines that they are on, what they need, and whether they run", () => {
    expect(Snippets.ofPage("x.md", page)).toEqual([
      {
        file: "x.md",
        line: 7,
        code: 'import * as Effect from "effect/Effect"\n\nconst session = yield* repository.readonlySession(path)\n',
        preamble: "declare const path: string\n",
        runs: false
      },
      { file: "x.md", line: 14, code: "  session.discard\n", preamble: "declare const path: string\n", runs: true }
    ])
  })

  it("becomes modules in which what it declares itself is not there twice, and lines are known again", () => {
    const { lines, text } = Snippets.toModule(Snippets.ofPage("x.md", page)[0]!)
    expect(text).toContain("declare const repository")
    expect(text).not.toContain("declare const session")
    expect(text.match(/import \* as Effect/g)).toHaveLength(1)
    expect(lines[text.split("\n").findIndex((line) => line.includes("readonlySession"))]).toBe(9)
  })
})

describe("a docstring", () => {
  it("has the snippets of its examples", () => {
    const source = "/**\n * Opens it.\n *\n * @example\n * ```ts\n * yield* Repository.open()\n * ```\n */\n"
    expect(Snippets.ofSource("x.ts", source)).toEqual([
      { file: "x.ts", line: 6, code: "yield* Repository.open()\n", preamble: "", runs: false }
    ])
  })
})

describe("a mistake in a snippet", () => {
  const snippet = (code: string, runs = false): Snippets.Snippet => ({
    file: "x.md",
    line: 3,
    code,
    preamble: "",
    runs
  })

  it("is reported with the page and the line", () => {
    expect(check([snippet("// a comment\nyield* session.comit()\n")])).toEqual([
      expect.stringMatching(/^x\.md:4: error TS\d+: Property 'comit' does not exist/)
    ])
  })

  it("is reported when it is found only by running it", () => {
    const wrong = snippet('yield* session.setChunk("/nowhere", [0], Uint8Array.of(1))\n', true)
    expect(check([wrong])).toEqual([])
    expect(run([wrong])).toEqual([expect.stringMatching(/^x\.md:3: .*nowhere/)])
  })
})
