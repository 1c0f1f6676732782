/** What the comment above a declaration says. Pure. */

export interface DocComment {
  /** Markdown. */
  readonly text: string
  readonly examples: ReadonlyArray<string>
  readonly category: string
  readonly since: string | undefined
}

/** The text of a comment, without its stars. */
const plain = (comment: string): string =>
  comment
    .replace(/^\/\*\*[ \t]?/, "")
    .replace(/\s*\*\/$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\*( |$)/, ""))
    .join("\n")
    .trim()

export const parse = (comment: string): DocComment => {
  const [text = "", ...tags] = plain(comment).split(/(?:^|\s)(?=@(?:category|since|example)\b)/)
  const values = (tag: string): ReadonlyArray<string> =>
    tags.filter((each) => each.startsWith(`@${tag}`)).map((each) => each.slice(tag.length + 1).trim())
  return {
    text: text.trim(),
    examples: values("example"),
    category: values("category")[0] ?? "others",
    since: values("since")[0]
  }
}

export const none: DocComment = { text: "", examples: [], category: "others", since: undefined }
