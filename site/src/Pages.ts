/**
 * The pages of the site: those of `docs/` as they are, the READMEs of the repository and its packages, and the programs of
 * `examples/`, with links that lead from one to the other on the site as they do in the repository. Pure.
 */
import * as path from "node:path"

/** What a path in the repository becomes on the site. */
export type Target =
  | { readonly _tag: "Page"; readonly page: string }
  /** A file that is served as it is. */
  | { readonly _tag: "File"; readonly file: string }

/** Where a file of the repository, or the README of a directory, is on the site. `undefined` for what has no page there. */
export const targetOf = (file: string): Target | undefined => {
  const page = (name: string): Target => ({ _tag: "Page", page: name })
  if (file === "README.md" || file === "") return page("overview")
  const ofPackage = /^packages\/(\w+)(?:\/README\.md)?$/.exec(file)
  if (ofPackage !== null) return page(`packages/${ofPackage[1]}`)
  const ofDocs = /^docs\/(.*)\.md$/.exec(file)
  if (ofDocs !== null) return page(ofDocs[1]!)
  if (/^docs\/images\/.*\.(svg|png|jpg)$/.test(file)) return { _tag: "File", file: file.slice("docs/".length) }
  if (/^examples\/.*\.(ts|tsx|html)$/.test(file)) return page(file.replace(/\.(\w+)$/, "-$1"))
  if (file === "LICENSE") return { _tag: "File", file: "files/LICENSE.txt" }
  return /\.\w+$/.test(file) ? { _tag: "File", file: `files/${file}` } : undefined
}

export interface Problem {
  readonly file: string
  readonly line: number
  readonly problem: string
}

export const describe = ({ file, line, problem }: Problem): string => `${file}:${line}: ${problem}`

export interface Staged {
  readonly text: string
  /** Files of the repository that the page leads to, which come along. */
  readonly files: ReadonlyArray<string>
  readonly problems: ReadonlyArray<Problem>
}

/** `text` with each run outside of code replaced. */
const outsideCode = (text: string, replace: (part: string, offset: number) => string): string => {
  const code = /^( *)(`{3,}|~{3,})[^\n]*\n[^]*?^\1\2[^\n]*$|`+[^`]+`+/gm
  let result = ""
  let at = 0
  for (const match of text.matchAll(code)) {
    result += replace(text.slice(at, match.index), at) + match[0]
    at = match.index + match[0].length
  }
  return result + replace(text.slice(at), at)
}

/** Comments of the source, which hold what snippets need and readers do not. */
const withoutComments = (text: string): string => text.replaceAll(/^<!--[^]*?-->\n/gm, "")

/**
 * A page of the repository as one of the site.
 *
 * @param exists - whether a file or directory is in the repository
 */
export const stage = (file: string, text: string, exists: (file: string) => boolean): Staged => {
  const files: Array<string> = []
  const problems: Array<Problem> = []
  const staged = outsideCode(text, (part, offset) =>
    part.replaceAll(/\]\(([^()\s]+)\)/g, (link, href: string, at: number) => {
      if (/^[a-z]+:|^#|^\//.test(href)) return link
      const [relative = "", anchor] = href.split("#")
      const wanted = path.posix.join(path.posix.dirname(file), relative).replace(/\/$/, "")
      const target = targetOf(wanted)
      if (!exists(wanted) || target === undefined) {
        const line = text.slice(0, offset + at).split("\n").length
        const problem = target === undefined ? "has no page on the site" : "does not exist"
        problems.push({ file, line, problem: `the link leads to \`${wanted}\`, which ${problem}` })
        return link
      }
      if (target._tag === "Page") return `](/${target.page}.md${anchor === undefined ? "" : `#${anchor}`})`
      files.push(wanted)
      return `](/${target.file})`
    })
  )
  return { text: withoutComments(staged), files, problems }
}

/** The title that a page gives itself. */
export const titleOf = (text: string): string =>
  /^# (.+)$/m.exec(text)?.[1]?.replaceAll("`", "") ?? /^title: (.+)$/m.exec(text)?.[1] ?? ""

/** A program as a page. */
export const ofProgram = (file: string, text: string): string => {
  const language = path.posix.extname(file).slice(1)
  return `---\naside: false\nsearch: false\n---\n\n# \`${file}\`\n\n\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\n`
}
