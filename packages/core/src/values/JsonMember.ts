/**
 * One member of a JSON object replaced in its text, so that all else stays as it was written: numbers beyond 2^53, `1.0`,
 * and the order of members, which reading and writing the whole would change. Pure.
 *
 * @since 0.1.0
 */
import type { Json } from "./Json.ts"

const token = /\s+|"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gsy

/** Where the value of a member of the outermost object is, the last if there are several; where the object ends. */
const find = (
  text: string,
  name: string
): { readonly start: number; readonly end: number; readonly isEmpty: boolean; readonly close: number } => {
  let depth = 0
  let start = -1
  let end = -1
  let isEmpty = true
  let close = text.length
  /** The member whose value is being read: its name, and where the value starts. */
  let key: string | undefined
  let from = -1
  const endOfValue = (at: number): void => {
    if (from >= 0 && key === name) {
      start = from
      end = from + text.slice(from, at).trimEnd().length
    }
    key = undefined
    from = -1
  }
  token.lastIndex = 0
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [part] = match
    const at = match.index
    if (part.trim() === "") continue
    if (from < 0 && depth === 1 && key !== undefined && part !== ":") from = at
    if (part === "{" || part === "[") depth++
    else if (part === "}" || part === "]") {
      if (depth === 1) {
        endOfValue(at)
        close = at
      }
      depth--
    } else if (depth === 1 && part === ",") endOfValue(at)
    else if (depth === 1 && key === undefined) {
      key = JSON.parse(part) as string
      isEmpty = false
    }
  }
  return { start, end, isEmpty, close }
}

/**
 * The text of the value of a member, as it was written; `undefined` when there is none. The text is that of a JSON object.
 *
 * @category accessors
 * @since 0.1.0
 */
export const get = (text: string, name: string): string | undefined => {
  const { end, start } = find(text, name)
  return start < 0 ? undefined : text.slice(start, end)
}

/**
 * The text of an object with another value for a member, which is added at the end when there is none. The text is that of
 * a JSON object.
 *
 * @category combinators
 * @since 0.1.0
 */
export const set = (text: string, name: string, value: Json): string => setText(text, name, JSON.stringify(value))

/**
 * The same, with the text of the value, which is JSON.
 *
 * @category combinators
 * @since 0.1.0
 */
export const setText = (text: string, name: string, json: string): string => {
  const { close, end, isEmpty, start } = find(text, name)
  if (start >= 0) return text.slice(0, start) + json + text.slice(end)
  return `${text.slice(0, close)}${isEmpty ? "" : ","}${JSON.stringify(name)}:${json}${text.slice(close)}`
}
