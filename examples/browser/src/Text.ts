/**
 * Numbers, places and errors as a reader wants to see them.
 */
import type { Place } from "../../src/EqualEarth.ts"

const rounded = (degrees: number): string => String(Math.round(Math.abs(degrees) * 100) / 100)

/** `4.75° N, 78.75° E`. */
export const placeText = ({ latitude, longitude }: Place): string =>
  `${rounded(latitude)}° ${latitude < 0 ? "S" : "N"}, ${rounded(longitude)}° ${longitude < 0 ? "W" : "E"}`

/** `52 kB`, `1.04 MB`. */
export const bytesText = (bytes: number): string =>
  bytes < 1000
    ? `${bytes} B`
    : bytes < 1_000_000
      ? `${(bytes / 1000).toFixed(bytes < 10_000 ? 1 : 0)} kB`
      : `${(bytes / 1_000_000).toFixed(2)} MB`

/** The last two parts of a path, so that it can be told from others. */
export const fileText = (url: string): string => url.split("/").slice(-2).join("/")

const tagOf = (value: unknown): string | undefined =>
  typeof value === "object" && value !== null && "_tag" in value ? String(value._tag) : undefined

/** What to do about a failed request, where it is for the reader of a page to do. */
const hints: Readonly<Record<string, string>> = {
  Unavailable: "If it was the server, it may be over: read again in a moment.",
  RateLimited: "Too many asked at once: read again in a moment.",
  InvalidResponse: "If something on the way has done it, another try or another network helps: read again.",
  NotFound: "Check the URL, or read again: the repository may have been cleaned up while it was read."
}

/** What to show of an error: its tag, and its message, which says what to do. */
export const errorText = (
  error: unknown
): { readonly tag: string; readonly message: string; readonly hint?: string | undefined } => {
  if (!(error instanceof Error)) return { tag: "Error", message: String(error) }
  const reason = "reason" in error ? tagOf(error.reason) : undefined
  const tag = tagOf(error) ?? error.name
  return {
    tag: reason === undefined ? tag : `${tag}: ${reason}`,
    message: error.message,
    hint: reason === undefined ? undefined : hints[reason]
  }
}
