/**
 * Whether an answer is what was asked for. Pure.
 *
 * Sources: RFC 9110, sections 13 (conditions), 14 (ranges) and 15 (statuses); the Fetch standard, which says what CORS
 * hides.
 */
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import { excess, type GetOptions, type ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Repetition from "@effect-icechunk/core/store/Repetition"
import type { Head } from "./Exchange.ts"

/** What was asked, and under which rules the answer comes. */
export interface Asked {
  readonly key: string
  readonly options: GetOptions
  /** Whether the answer is under the rules of CORS: of its headers it shows those that the server says. */
  readonly isCors: boolean
  readonly trustsHiddenRanges: boolean
  /** Whether an HTML page is never what is asked for. */
  readonly refusesHtml: boolean
}

/**
 * - `Whole`: the whole object comes, and is what was asked for;
 * - `Part`: exactly the bytes that were asked for come;
 * - `Ignored`: the whole object comes although a part was asked for.
 */
export type Verdict =
  | { readonly _tag: "Whole"; readonly meta: Omit<ObjectMeta, "size">; readonly length: number | undefined }
  | { readonly _tag: "Ignored"; readonly meta: Omit<ObjectMeta, "size">; readonly length: number | undefined }
  | { readonly _tag: "Part"; readonly meta: ObjectMeta; readonly span: ByteRange.Span }

type Judged = Verdict | ObjectStoreError.Reason

const exposed = "Access-Control-Expose-Headers: ETag, Content-Range, Content-Length, Last-Modified, Accept-Ranges"

const expose = `let the server send \`${exposed}\``

/** Asked again, the same would come. */
export const wrong = (detail: string): ObjectStoreError.InvalidResponse =>
  new ObjectStoreError.InvalidResponse({ detail, isFinal: true })

const count = (text: string | null): number | undefined =>
  text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined

/** What the headers say of the object, but for its size. */
const metaOf = (key: string, { headers }: Head): Omit<ObjectMeta, "size"> => {
  const time = Date.parse(headers.get("last-modified") ?? "")
  return {
    key,
    lastModified: Number.isNaN(time) ? undefined : time,
    version: { etag: headers.get("etag") ?? undefined }
  }
}

/** Bytes of the body, if it comes as it is stored. */
const announced = ({ headers }: Head): number | undefined => count(headers.get("content-length"))

const isEncoded = ({ headers }: Head): boolean => !/^(?:identity)?$/i.test(headers.get("content-encoding") ?? "")

/** Why the object is not the one that was asked for, or `undefined`. */
export const mismatch = (
  { lastModified, version }: Omit<ObjectMeta, "size">,
  { ifMatch, ifNoneMatch, ifUnmodifiedSince }: GetOptions,
  isCors: boolean
): ObjectStoreError.Reason | undefined => {
  const { etag } = version
  const agrees = (wanted: string): boolean => Checksum.agrees(Checksum.etag(wanted), { etag, lastModified })
  if (ifMatch !== undefined && etag === undefined) {
    return wrong(
      isCors
        ? `it is to be checked by its ETag, and no \`ETag\` can be seen in the answer; ${expose}`
        : "it is to be checked by its ETag, and the server sends none; use refs without a checksum, or with a time"
    )
  }
  if (ifMatch !== undefined && !agrees(ifMatch)) {
    return new ObjectStoreError.PreconditionFailed({ detail: `its ETag is now \`${etag}\`` })
  }
  if (ifUnmodifiedSince !== undefined && lastModified === undefined) {
    return wrong(
      `it is to be checked by its time of change, and the answer has no \`Last-Modified\`${isCors ? `; ${expose}` : ""}`
    )
  }
  if (ifUnmodifiedSince !== undefined && lastModified! > ifUnmodifiedSince) {
    const detail = `it was modified at ${new Date(lastModified!).toISOString()}`
    return new ObjectStoreError.PreconditionFailed({ detail })
  }
  return ifNoneMatch !== undefined && etag !== undefined && agrees(ifNoneMatch)
    ? new ObjectStoreError.NotModified({ detail: `its ETag is \`${etag}\`` })
    : undefined
}

/** RFC 9110, section 14.4, for a range that can be satisfied. */
const contentRange = (
  text: string
): { readonly start: number; readonly end: number; readonly size: number } | undefined => {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(text)
  if (found === null) return undefined
  const [start, last, size] = found.slice(1).map(Number) as [number, number, number]
  return start <= last && last < size ? { start, end: last + 1, size } : undefined
}

/** The positions of a range whose `Content-Range` CORS hides, and the least size that the object has. */
const hiddenSpan = (range: ByteRange.ByteRange, length: number | undefined): ByteRange.Span | undefined => {
  switch (range._tag) {
    case "Bounded":
      return { start: range.offset, end: range.offset + range.length }
    case "From":
      return length === undefined ? undefined : { start: range.offset, end: range.offset + length }
    case "Suffix":
      return undefined
  }
}

const judgePart = (range: ByteRange.ByteRange, head: Head, asked: Asked): Judged => {
  if (isEncoded(head)) {
    return wrong(
      `the range came with \`Content-Encoding: ${head.headers.get("content-encoding")?.slice(0, 40)}\`, so that its positions are not those of the object; turn compression off for these files`
    )
  }
  const meta = metaOf(asked.key, head)
  const length = announced(head)
  const text = head.headers.get("content-range")
  if (text === null && asked.isCors) {
    if (!asked.trustsHiddenRanges) {
      return wrong(
        `no \`Content-Range\` can be seen in the answer, so that it is not known which bytes came; ${expose}, or make the store with \`trustHiddenRanges: true\``
      )
    }
    const span = hiddenSpan(range, length)
    if (span === undefined) return wrong(`the last bytes were asked for, and \`Content-Range\` is hidden; ${expose}`)
    return { _tag: "Part", meta: { ...meta, size: span.end }, span }
  }
  const answered = text === null ? undefined : contentRange(text)
  if (answered === undefined) {
    const type = head.headers.get("content-type") ?? ""
    const came = text === null ? "absent" : `\`${text.slice(0, 80)}\``
    return wrong(`\`Content-Range\` is ${came}${type.startsWith("multipart/") ? `, the type \`${type}\`` : ""}`)
  }
  const span = ByteRange.resolve(range, answered.size)
  if (span === undefined) return new ObjectStoreError.InvalidRange({ size: answered.size })
  if (span.start !== answered.start || span.end !== answered.end) {
    return wrong(`\`Content-Range\` is \`${text}\` where \`${ByteRange.toHttpHeader(range)}\` was asked for`)
  }
  if (length !== undefined && length !== span.end - span.start) {
    return wrong(`\`Content-Length\` is ${length} where ${span.end - span.start} bytes were asked for`)
  }
  return { _tag: "Part", meta: { ...meta, size: answered.size }, span }
}

const isHtml = ({ headers }: Head): boolean => /^text\/html\b/i.test(headers.get("content-type") ?? "")

const html: ObjectStoreError.InvalidResponse = new ObjectStoreError.InvalidResponse({
  detail:
    "a web page came and not the file: something on the way asks for a login, or the server answers so for what it does not have; check the URL",
  isFinal: true,
  isPage: true
})

/** Judges the head of an answer with status 200 or 206. */
export const judge = (head: Head, asked: Asked): Judged => {
  const { options } = asked
  const { range } = options
  if (head.status === 200 && isHtml(head) && (asked.refusesHtml || range !== undefined)) return html
  const meta = metaOf(asked.key, head)
  // Of an object that changed the range may be another.
  const changed = mismatch(meta, options, asked.isCors)
  if (changed !== undefined) return changed
  if (range === undefined) {
    if (head.status !== 200) return wrong(`HTTP status ${head.status} where a whole object was asked for`)
    // Of a body that was compressed on the way, the length is that of the compressed one; CORS hides whether it was.
    const said = isEncoded(head) ? undefined : announced(head)
    const tooLarge = said === undefined ? undefined : excess(said, options)
    return tooLarge ?? { _tag: "Whole", meta, length: asked.isCors ? undefined : said }
  }
  if (head.status === 206) {
    const judged = judgePart(range, head, asked)
    if (judged._tag !== "Part") return judged
    return excess(judged.span.end - judged.span.start, options) ?? judged
  }
  return { _tag: "Ignored", meta, length: isEncoded(head) ? undefined : announced(head) }
}

/** What is known of an object by a HEAD, or why nothing is. */
export const judgeHead = (
  key: string,
  head: Head,
  refusesHtml: boolean
): ObjectMeta | ObjectStoreError.Reason | undefined => {
  if (refusesHtml && isHtml(head)) return html
  const size = isEncoded(head) ? undefined : announced(head)
  return size === undefined ? undefined : { ...metaOf(key, head), size }
}

/** What a refusal is. Pure; `detail` is what the body says, without secrets. */
export const refusal = (status: number, headers: Headers, detail: string, now: number): ObjectStoreError.Reason => {
  const retryAfter = Repetition.retryAfter(headers.get("retry-after"), now)
  switch (status) {
    case 304:
      return new ObjectStoreError.NotModified({ detail })
    case 401:
    case 407:
      return new ObjectStoreError.Unauthenticated({ detail })
    case 403:
      return new ObjectStoreError.PermissionDenied({ detail })
    case 404:
    case 410:
      return new ObjectStoreError.NotFound({ detail })
    case 412:
      return new ObjectStoreError.PreconditionFailed({ detail })
    case 416: {
      const size = count(/^bytes \*\/(\d+)$/i.exec(headers.get("content-range") ?? "")?.[1] ?? null)
      return new ObjectStoreError.InvalidRange({ detail, size })
    }
    case 429:
      return new ObjectStoreError.RateLimited({ detail, retryAfter })
    case 408:
    case 425:
      return new ObjectStoreError.Unavailable({ detail, retryAfter })
    default:
      return status >= 500 && status !== 501 && status !== 505
        ? new ObjectStoreError.Unavailable({ detail, retryAfter })
        : status >= 400
          ? new ObjectStoreError.Unsupported({ detail })
          : wrong(detail)
  }
}
