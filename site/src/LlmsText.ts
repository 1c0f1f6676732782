/** `llms.txt`, the list of the pages for programs that read, and `llms-full.txt`, the pages one after the other. Pure. */
import * as Address from "./Address.ts"
import type { Group } from "./Navigation.ts"

export interface Source {
  readonly groups: ReadonlyArray<Group>
  /** Markdown by page. */
  readonly pages: ReadonlyMap<string, string>
  /** Where the site will be: whoever reads these files may have them from anywhere. */
  readonly address: Address.Address
}

const pageOf = (link: string): string => {
  const path = link.slice(1)
  return path === "" || path.endsWith("/") ? `${path}index` : path
}

const body = (text: string, address: Address.Address): string =>
  text
    .replace(/^---\n[^]*?\n---\n/, "")
    .replaceAll(/ \{#[\w-]+\}$/gm, "")
    .replaceAll(/\]\(\/([\w/-]+)\.md(#[\w-]+)?\)/g, "](/$1$2)")
    .replaceAll(/\]\((\/[^()\s]*)\)/g, (_, link: string) => `](${Address.of(address, link)})`)
    .trim()

/** The first sentence below the title. */
const summary = (text: string): string => {
  const paragraph = body(text, Address.unknown)
    .replace(/^# .*\n+/, "")
    .split("\n\n")
    .find((part) => /^[\w`*[]/.test(part))
  const sentence = /^[^]*?[.:](?=\s|$)/.exec(paragraph ?? "")?.[0].replaceAll("\n", " ") ?? ""
  return sentence.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1").replace(/:$/, ".")
}

const introduction = `# effect-icechunk

> Icechunk for TypeScript, written for Effect 4: Zarr arrays with history, branches and atomic commits, whose chunks may
> live in files that nobody copies (virtual chunks), with typed errors.

Packages: \`@effect-icechunk/core\`, and a store for each place: \`/fs\`, \`/s3\`, \`/gcs\`, \`/tigris\`, \`/http\`. Effect is version 4:
\`effect/Schema\`, \`effect/FileSystem\` and others are modules of \`effect\`; services are \`Context.Service\`. A repository needs
three services: an \`ObjectStore\`, the \`Platforms\` of its virtual chunks, and \`Zstd\`.
`

export const list = ({ address, groups, pages }: Source): string =>
  [
    introduction,
    ...groups.map(({ items, text }) => {
      const lines = items.flatMap((item) => {
        const page = pages.get(pageOf(item.link))
        if (page === undefined) return []
        const about = summary(page)
        return [`- [${item.text}](${Address.of(address, item.link)})${about === "" ? "" : `: ${about}`}`]
      })
      return `## ${text}\n\n${lines.join("\n")}\n`
    })
  ].join("\n")

export const full = ({ address, groups, pages }: Source): string =>
  [
    introduction,
    ...groups.flatMap(({ items }) =>
      items.flatMap((item) => {
        const page = pages.get(pageOf(item.link))
        return page === undefined
          ? []
          : [`<page path="${Address.of(address, item.link)}">\n\n${body(page, address)}\n\n</page>\n`]
      })
    )
  ].join("\n")
