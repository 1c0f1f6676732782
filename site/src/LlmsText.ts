/** `llms.txt`, the list of the pages for programs that read, and `llms-full.txt`, the pages one after the other. Pure. */
import type { Group } from "./Navigation.ts"

export interface Source {
  readonly groups: ReadonlyArray<Group>
  /** Markdown by page. */
  readonly pages: ReadonlyMap<string, string>
}

const pageOf = (link: string): string => {
  const path = link.slice(1)
  return path === "" || path.endsWith("/") ? `${path}index` : path
}

const body = (text: string): string =>
  text
    .replace(/^---\n[^]*?\n---\n/, "")
    .replaceAll(/ \{#[\w-]+\}$/gm, "")
    .replaceAll(/\]\(\/([\w/-]+)\.md(#[\w-]+)?\)/g, "](/$1$2)")
    .trim()

/** The first sentence below the title. */
const summary = (text: string): string => {
  const paragraph = body(text)
    .replace(/^# .*\n+/, "")
    .split("\n\n")
    .find((part) => /^[\w`*[]/.test(part))
  const sentence = /^[^]*?[.:](?=\s|$)/.exec(paragraph ?? "")?.[0].replaceAll("\n", " ") ?? ""
  return sentence.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1").replace(/:$/, ".")
}

const introduction = `# effect-icechunk

> Icechunk for TypeScript, written for Effect 4: Zarr arrays with history, branches and atomic commits, whose chunks may
> live in files that nobody copies (virtual chunks), with typed errors.

Packages: \`@effect-icechunk/core\`, and a store for each place: \`/fs\`, \`/s3\`, \`/gcs\`, \`/tigris\`. Effect is version 4:
\`effect/Schema\`, \`effect/FileSystem\` and others are modules of \`effect\`; services are \`Context.Service\`. A repository needs
three services: an \`ObjectStore\`, the \`Platforms\` of its virtual chunks, and \`Zstd\`.
`

export const list = ({ groups, pages }: Source): string =>
  [
    introduction,
    ...groups.map(({ items, text }) => {
      const lines = items.flatMap((item) => {
        const page = pages.get(pageOf(item.link))
        if (page === undefined) return []
        const about = summary(page)
        return [`- [${item.text}](${item.link})${about === "" ? "" : `: ${about}`}`]
      })
      return `## ${text}\n\n${lines.join("\n")}\n`
    })
  ].join("\n")

export const full = ({ groups, pages }: Source): string =>
  [
    introduction,
    ...groups.flatMap(({ items }) =>
      items.flatMap((item) => {
        const page = pages.get(pageOf(item.link))
        return page === undefined ? [] : [`<page path="${item.link}">\n\n${body(page)}\n\n</page>\n`]
      })
    )
  ].join("\n")
