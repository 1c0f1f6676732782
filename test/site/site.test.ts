/** The docs as a site: what leads nowhere is found, and all of it is built. */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { beforeAll, describe, expect, it } from "vitest"
import * as Address from "../../site/src/Address.ts"
import * as DocComment from "../../site/src/DocComment.ts"
import * as Links from "../../site/src/Links.ts"
import * as LlmsText from "../../site/src/LlmsText.ts"
import * as Navigation from "../../site/src/Navigation.ts"
import * as Pages from "../../site/src/Pages.ts"

const root = path.resolve(import.meta.dirname, "../..")

describe("links of a page", () => {
  const exists = (file: string): boolean => file !== "docs/gone.md"
  const staged = (text: string): Pages.Staged => Pages.stage("docs/backends/s3.md", text, exists)

  it("lead to pages of the site", () => {
    const text = "[a](../reading.md#settings), [b](gcs.md), [c\nd](../../packages/s3/README.md), [e](../../README.md)"
    expect(staged(text).text).toBe(
      "[a](/reading.md#settings), [b](/backends/gcs.md), [c\nd](/packages/s3.md), [e](/overview.md)"
    )
  })

  it("lead to programs, and to files that come along", () => {
    const { files, text } = staged(
      "[a](../../examples/src/Filling.ts) [b](../../bench/results.json) ![c](../images/x.svg)"
    )
    expect(text).toBe("[a](/examples/src/Filling-ts.md) [b](/files/bench/results.json) ![c](/images/x.svg)")
    expect(files).toEqual(["bench/results.json", "docs/images/x.svg"])
  })

  it("stay as they are elsewhere, within the page, and in code", () => {
    const text = "[a](https://icechunk.io) [b](#there) `[c](gone.md)`\n\n```md\n[d](../gone.md)\n```\n"
    expect(staged(text)).toEqual({ text, files: [], problems: [] })
  })

  it("are reported with their line when nothing is there", () => {
    expect(staged("# Title\n\n[a](../gone.md)").problems.map(Pages.describe)).toEqual([
      "docs/backends/s3.md:3: the link leads to `docs/gone.md`, which does not exist"
    ])
    expect(staged("[a](../../packages/core/src)").problems).toHaveLength(1)
  })

  it("are without the comments of their source", () => {
    expect(staged("# Title\n\n<!-- snippets\nconst a = 1\n-->\n\nText\n").text).toBe("# Title\n\n\nText\n")
  })
})

describe("dead links of a site", () => {
  const pages = new Map([
    [
      "index.html",
      '<h1 id="top">A</h1><a href="/reading#caf%C3%A9">1</a><a href="./reading">2</a><a href="https://x.y">3</a>'
    ],
    ["reading.html", '<h2 id="café">B</h2><a href="/">1</a><a href="#caf%C3%A9">2</a><img src="/a.svg">']
  ])
  const files = new Set([...pages.keys(), "a.svg"])

  it("are none where all is there", () => expect(Links.dead(pages, files)).toEqual([]))

  it("are those that lead out of the path of the site", () => {
    const below = new Map([["index.html", '<a href="/docs/">1</a><a href="./reading">2</a><a href="/reading">3</a>']])
    expect(Links.dead(below, new Set(["index.html", "reading.html"]), "/docs/")).toEqual([
      { page: "index.html", href: "/reading", because: "NoPage" }
    ])
  })

  it("are pages, images and anchors that are not there", () => {
    const wrong = new Map([
      ...pages,
      ["x.html", '<a href="/gone">1</a><a class="y" href="/reading#no">2</a><img src="/b.svg">']
    ])
    expect(Links.dead(wrong, new Set([...files, "x.html"]))).toEqual([
      { page: "x.html", href: "/gone", because: "NoPage" },
      { page: "x.html", href: "/reading#no", because: "NoAnchor" },
      { page: "x.html", href: "/b.svg", because: "NoPage" }
    ])
  })
})

describe("the address of a site", () => {
  it("is the top of any host where none is given", () => {
    expect(Address.parse(undefined)).toEqual({ origin: "", base: "/" })
    expect(Address.parse("")).toEqual(Address.unknown)
    expect(Address.of(Address.unknown, "/reading")).toBe("/reading")
  })

  it("has a path with a slash at its end", () => {
    const address = { origin: "https://docs.example.org:8080", base: "/icechunk/" }
    for (const slash of ["", "/"])
      expect(Address.parse(`https://docs.example.org:8080/icechunk${slash}`)).toEqual(address)
    expect(Address.of(address, "/")).toBe("https://docs.example.org:8080/icechunk/")
    expect(Address.of(address, "/zarr#keys")).toBe("https://docs.example.org:8080/icechunk/zarr#keys")
    expect(Address.parse("https://docs.example.org")).toEqual({ origin: "https://docs.example.org", base: "/" })
  })

  it.each([
    ["docs.example.org", "is not a URL"],
    ["/icechunk", "is not a URL"],
    ["file:///srv/docs", "is not an address of the web"],
    ["https://docs.example.org/?a=1", "has a query or an anchor"],
    ["https://user:secret@docs.example.org/", "has a user or a password"]
  ])("is not %s", (text, because) => {
    const parsed = Address.parse(text)
    expect(parsed).toEqual({ problem: expect.stringMatching(new RegExp(`^SITE_URL ${because}; give`)) as string })
    expect(JSON.stringify(parsed)).not.toContain("secret")
  })
})

describe("the navigation", () => {
  it("has the pages that are there, in order, those that are not listed last, and says which are missing", () => {
    const { groups, missing } = Navigation.navigation(
      new Map([
        ["index", "Home"],
        ["new", "Something new"],
        ["errors", "Errors"]
      ])
    )
    expect(groups).toEqual([
      { text: "Start", items: [{ text: "What it is", link: "/" }] },
      { text: "Reference", items: [{ text: "Errors", link: "/errors" }] },
      { text: "More", items: [{ text: "Something new", link: "/new" }] }
    ])
    expect(missing).toContain("reading")
  })
})

describe("a docstring", () => {
  it("is a text, examples, a category and a version", () => {
    const comment =
      "/**\n * Opens it.\n *\n * - one\n *\n * @example\n * ```ts\n * open()\n * ```\n *\n * @category constructors\n * @since 0.1.0\n */"
    expect(DocComment.parse(comment)).toEqual({
      text: "Opens it.\n\n- one",
      examples: ["```ts\nopen()\n```"],
      category: "constructors",
      since: "0.1.0"
    })
    expect(DocComment.parse("/** A thing. @since 0.1.0 */").text).toBe("A thing.")
  })
})

describe("llms.txt", () => {
  const source = {
    groups: [{ text: "Start", items: [{ text: "Reading", link: "/reading" }] }],
    pages: new Map([["reading", "---\nx: y\n---\n# Reading {#a}\n\nIt [reads](/zarr.md#b) chunks. And more.\n"]])
  }
  const address = { origin: "https://docs.example.org", base: "/icechunk/" }

  it("lists pages with their first sentence", () => {
    expect(LlmsText.list({ ...source, address: Address.unknown })).toContain(
      "## Start\n\n- [Reading](/reading): It reads chunks.\n"
    )
    expect(LlmsText.list({ ...source, address })).toContain(
      "- [Reading](https://docs.example.org/icechunk/reading): It reads chunks.\n"
    )
  })

  it("has all of them in its full form", () => {
    expect(LlmsText.full({ ...source, address: Address.unknown })).toContain(
      '<page path="/reading">\n\n# Reading\n\nIt [reads](/zarr#b) chunks. And more.\n\n</page>'
    )
    expect(LlmsText.full({ ...source, address })).toContain(
      '<page path="https://docs.example.org/icechunk/reading">\n\n# Reading\n\nIt [reads](https://docs.example.org/icechunk/zarr#b) chunks.'
    )
  })
})

const vitepress = await import("../../site/src/Loading.ts").then(({ canLoad }) => canLoad())

describe.skipIf(!vitepress)("the site (skipped where VitePress does not load)", () => {
  const dist = path.join(root, "site/dist")
  const page = (file: string): string => fs.readFileSync(path.join(dist, file), "utf8")

  beforeAll(async () => {
    const { code, output } = await new Promise<{ readonly code: number; readonly output: string }>((resolve) => {
      const env = { ...process.env, SITE_URL: "https://docs.example.org/icechunk/" }
      execFile(
        process.execPath,
        [path.join(root, "site/main.ts"), "build"],
        { cwd: root, env },
        (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
      )
    })
    expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" })
  }, 1_200_000)

  it("has every page of docs/, and every public module", () => {
    const guides = fs
      .readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".md"))
    for (const guide of guides) expect(page(guide.replace(/\.md$/, ".html"))).toContain("<h1")
    for (const module of ["core/Repository", "core/node/NodeZstd", "fs/FsObjectStore", "s3/S3ObjectStore"]) {
      expect(page(`api/${module}.html`)).toContain("<h1")
    }
  })

  it("has signatures, docstrings and the errors of functions in the reference", () => {
    const repository = page("api/core/Repository.html")
    expect(repository).toContain('id="create"')
    expect(repository).toContain("<code>persist</code> becomes its <code>config.json</code>")
    expect(repository).toMatch(/Errors: .*href="\/icechunk\/api\/core\/RepositoryError#RepositoryAlreadyExists"/)
    expect(repository).toContain("Example")
  })

  it("has a search index and what programs read", () => {
    expect(fs.readdirSync(path.join(dist, "assets/chunks")).some((file) => file.includes("localSearchIndex"))).toBe(
      true
    )
    expect(page("llms.txt")).toMatch(/^# effect-icechunk\n/)
    expect(page("llms.txt")).toContain("- [Reading chunks](https://docs.example.org/icechunk/reading): ")
    expect(page("llms-full.txt")).toContain('<page path="https://docs.example.org/icechunk/reading">')
    for (const file of ["llms.txt", "llms-full.txt"]) expect(page(file)).not.toMatch(/\]\(\//)
    expect(page("llms-full.txt")).not.toContain("<!-- snippets")
  })

  it("asks no other host for anything", () => {
    for (const file of ["index.html", "reading.html", "api/core/Repository.html"]) {
      expect(page(file)).not.toMatch(/<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?\/\//)
    }
  })
})
