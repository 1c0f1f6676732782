import * as fs from "node:fs"
import { defineConfig } from "vitepress"
import * as Address from "../src/Address.ts"
import type { Group } from "../src/Navigation.ts"

/** What `main.ts` found in the repository. */
const staged = JSON.parse(fs.readFileSync(new URL("../content/navigation.json", import.meta.url), "utf8")) as {
  readonly guides: ReadonlyArray<Group>
  readonly api: ReadonlyArray<Group>
}
// What is wrong with it `main.ts` has said.
const address = Address.parse(process.env["SITE_URL"])
const first = staged.guides.find(({ text }) => text === "Virtual data")!.items[0]!.link
const backends = staged.guides.find(({ text }) => text === "Backends")?.items[0]?.link ?? "/packages/s3"

export default defineConfig({
  title: "effect-icechunk",
  description: "Icechunk for TypeScript, written for Effect: Zarr arrays with history, branches and atomic commits.",
  lang: "en",
  srcDir: "content",
  outDir: "dist",
  base: "base" in address ? address.base : "/",
  cleanUrls: true,
  metaChunk: true,
  markdown: { theme: { light: "github-light", dark: "github-dark" } },
  vite: { logLevel: "warn", build: { chunkSizeWarningLimit: 4000 } },
  themeConfig: {
    nav: [
      { text: "Guides", link: first },
      { text: "Backends", link: backends },
      { text: "API", link: "/api/" }
    ],
    sidebar: {
      "/api/": staged.api as Array<Group & { items: Array<Group["items"][number]> }>,
      "/": staged.guides as never
    },
    outline: [2, 3],
    search: {
      provider: "local",
      options: {
        // Words are searched, not code: it would be most of the index.
        _render: (text, env, markdown) =>
          env.frontmatter?.search === false || /^---\n[^]*?search: false[^]*?\n---/.test(text)
            ? ""
            : markdown.render(text.replaceAll(/^```[^]*?^```$/gm, ""), env)
      }
    },
    docFooter: { prev: "Before", next: "Next" },
    externalLinkIcon: false
  }
})
