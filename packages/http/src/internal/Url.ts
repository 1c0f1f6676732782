/** URLs of objects. Pure. */
import * as Endpoint from "@effect-icechunk/core/values/Endpoint"

/** Where keys are: everything before them, and the query after them. */
export interface Base {
  /** As `https://example.org:8443`. */
  readonly origin: string
  /** Ends with a slash. */
  readonly path: string
  /** Empty, or with its question mark. It may be a secret. */
  readonly query: string
}

export const mixedContent =
  "is plain http, which a browser does not load into a page that came over https. Use an `https` URL"

const noUrl =
  "is not an http or https URL without user information and fragment. Give user and password as `Credentials.basic`"

/** The base of a URL, as it is written, or a sentence that says why it is none. */
export const parse = (text: string): Base | string => {
  const url = /^https?:\/\/[^/?#@\\]+(?:[/?][^#]*)?$/i.test(text) ? URL.parse(text) : null
  if (url === null) return noUrl
  const path = url.pathname.endsWith("/") ? url.pathname : `${url.pathname}/`
  return { origin: url.origin, path, query: url.search }
}

/** Whether a browser loads it also into a page that came over https. */
export const isLoopback = ({ origin }: Base): boolean => !Endpoint.isExposed(origin)

/** As messages and spans show it. */
export const shown = ({ origin, path }: Base): string => `${origin}${path.replace(/\/+$/, "")}`

/** Also where the dots are written as escapes, which URLs make no difference of. */
const dotSegment = /(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\?#]|$)/i

/** Why a text cannot be a key below a URL, or `undefined`. */
export const keyProblem = (key: string): string | undefined => {
  if (key === "") return "a key is never empty"
  if (!key.isWellFormed()) return "the key is not well-formed Unicode"
  if (dotSegment.test(key)) return "a key with a segment `.` or `..` is another one in a URL"
  return undefined
}

/** Why what follows a host in a URL cannot be an object's, or `undefined`. */
export const pathProblem = (written: string): string | undefined => keyProblem(written.replace(/\?.*$/s, ""))

/** A key's URL, its segments escaped. */
export const ofKey = ({ origin, path, query }: Base, key: string): string =>
  `${origin}${path}${key.split("/").map(encodeURIComponent).join("/")}${query}`

/** The URL of a path that is written as in a URL, query and escapes included: only what no URL can hold is escaped. */
export const ofPath = ({ origin, path }: Base, written: string): string =>
  origin +
  path +
  written
    .replaceAll(/%(?![0-9a-f]{2})/gi, "%25")
    .replaceAll(/[^\w!$&'()*+,./:;=?@~%[\]-]+/g, (text) => encodeURIComponent(text))
