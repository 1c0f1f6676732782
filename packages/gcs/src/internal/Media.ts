/**
 * Whether a response with bytes is the answer to what was asked. Pure.
 *
 * Sources: RFC 9110, sections 13 (conditions) and 14 (ranges); "Transcoding of gzip-compressed files".
 */
import type { GetOptions, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Result from "effect/Result"
import type { Api } from "./Etags.ts"
import type { Answer, Head } from "./Http.ts"
import * as Metadata from "./Metadata.ts"

/** What a response with bytes is of. */
export interface Media {
  readonly meta: ObjectMeta
  readonly span: ByteRange.Span
}

type Checked<A> = Result.Result<A, ObjectStoreError.Reason>

const invalid = (detail: string): Checked<never> => Result.fail(new ObjectStoreError.InvalidResponse({ detail }))

/** A range as it is asked for: all bytes are asked for without one. */
export const normalize = (range: ByteRange.ByteRange | undefined): ByteRange.ByteRange | undefined =>
  range?._tag === "From" && range.offset === 0 ? undefined : range

/** Fails when no object has the range. */
export const checkRange = (range: ByteRange.ByteRange | undefined): Checked<void> =>
  range === undefined || ByteRange.isValid(range)
    ? Result.succeed(undefined)
    : Result.fail(new ObjectStoreError.InvalidRange({ detail: "offset and length are whole and not negative" }))

/** Whether a range is empty in any object, so that HTTP cannot ask for it. */
export const isEmpty = (range: ByteRange.ByteRange | undefined): boolean =>
  range !== undefined && range._tag !== "From" && range.length === 0

/** Fails with `PreconditionFailed` or `NotModified` when the object is not one that the conditions are for. */
export const checkConditions = (
  meta: ObjectMeta,
  { ifMatch, ifNoneMatch, ifUnmodifiedSince }: GetOptions
): Checked<void> => {
  const changed = (detail: string): Checked<never> => Result.fail(new ObjectStoreError.PreconditionFailed({ detail }))
  const hasEtag = (etag: string): boolean =>
    Checksum.agrees(Checksum.etag(etag), {
      etag: meta.version.etag,
      alternateEtags: meta.alternateEtags,
      lastModified: meta.lastModified
    })
  if (ifMatch !== undefined && !hasEtag(ifMatch)) {
    return changed(`its ETag is \`${meta.version.etag ?? "absent"}\``)
  }
  if (ifUnmodifiedSince !== undefined && (meta.lastModified === undefined || meta.lastModified > ifUnmodifiedSince)) {
    return changed(
      meta.lastModified === undefined
        ? "the response has no time of change"
        : `it was modified at ${new Date(meta.lastModified).toISOString()}`
    )
  }
  return ifNoneMatch !== undefined && hasEtag(ifNoneMatch)
    ? Result.fail(new ObjectStoreError.NotModified({ detail: `its ETag is \`${meta.version.etag ?? "absent"}\`` }))
    : Result.succeed(undefined)
}

/** The span of a range in an object, or `InvalidRange`. */
export const resolve = (range: ByteRange.ByteRange | undefined, size: number): Checked<ByteRange.Span> => {
  const span = ByteRange.resolve(range, size)
  return span === undefined ? Result.fail(new ObjectStoreError.InvalidRange({ size })) : Result.succeed(span)
}

/**
 * Whether the bytes come as they are stored: an object stored with gzip is served decompressed unless the
 * request accepts gzip, and then ranges are ignored.
 */
const checkEncoding = (headers: Head["headers"]): Checked<void> => {
  const encoding = headers["content-encoding"] || "identity"
  const stored = headers["x-goog-stored-content-encoding"] || encoding
  return encoding === stored
    ? Result.succeed(undefined)
    : invalid(`the object is stored with content encoding \`${stored}\` and was sent with \`${encoding}\``)
}

const checkSpan = (range: ByteRange.ByteRange | undefined, size: number, head: Head): Checked<ByteRange.Span> => {
  const { headers, status } = head
  if (range === undefined) return status === 200 ? resolve(range, size) : invalid(`status ${status} for a whole object`)
  if (status !== 206) return invalid(`status ${status} for a range`)
  const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers["content-range"] ?? "")
  if (parts === null || Number(parts[3]) !== size) {
    return invalid(`Content-Range \`${headers["content-range"] ?? ""}\` of an object of ${size} bytes`)
  }
  return Result.flatMap(resolve(range, size), (span) =>
    Number(parts[1]) === span.start && Number(parts[2]) === span.end - 1
      ? Result.succeed(span)
      : invalid(`Content-Range \`${headers["content-range"]}\` for bytes ${span.start} to ${span.end}`)
  )
}

/** Checks status and headers of a response with bytes, before any of them is read. */
export const check = (api: Api, key: string, options: GetOptions, head: Head): Checked<Media> =>
  Result.gen(function* () {
    yield* checkEncoding(head.headers)
    const meta = yield* Metadata.fromHeaders(api, key, head)
    yield* checkConditions(meta, options)
    const span = yield* checkSpan(options.range, meta.size, head)
    return { meta, span }
  })

/** Checks that the body is as long as the headers said. */
export const checkBody = ({ span }: Media, { body, complete }: Answer): Checked<void> => {
  const expected = span.end - span.start
  if (!complete) return invalid(`the body has more than ${expected} bytes`)
  return body.length === expected ? Result.succeed(undefined) : invalid(`${body.length} of ${expected} bytes`)
}
