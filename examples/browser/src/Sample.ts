/**
 * What the page and the server of the sample know of each other.
 */

/** What can go wrong with a web server, or with what is between. */
export type Fault = "none" | "changed" | "unavailable" | "truncated" | "html" | "noRanges" | "stale"

/** All of them, as the page names them. */
export const faults: ReadonlyArray<{ readonly name: Fault; readonly label: string; readonly about: string }> = [
  { name: "none", label: "Nothing", about: "A server as it should be." },
  { name: "changed", label: "The data file changes", about: "One bit of the file that the virtual chunks are in." },
  { name: "unavailable", label: "503 without CORS headers", about: "To a page, it looks like a broken network." },
  { name: "truncated", label: "Bodies cut short", about: "Half of each range, then the connection ends." },
  { name: "html", label: "A login page", about: "HTML with status 200, whatever is asked for." },
  { name: "noRanges", label: "No ranges", about: "The whole file, whatever part is asked for." },
  { name: "stale", label: "A stale cache", about: "It keeps each answer for a day. Nothing should go wrong." }
]

/** What the sample's server says at `sample.json`, beside the page. Elsewhere there is no such file. */
export interface Sample {
  readonly repository: string
  /** Where a fault is switched on. */
  readonly fault: string
}
