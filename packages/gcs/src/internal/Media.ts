/**
 * Whether a response with bytes is the answer to what was asked. Pure.
 *
 * Sources: RFC 9110, sections 13 (conditions) and 14 (ranges); "Transcoding of gzip-compressed files".
 */
import type { Answer, Head } from "@effect-icechunk/core/node/HttpPool"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type { GetOptions, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Result from "effect/Result"
import { hash } from "node:crypto"
import * as Crc32c from "./Crc32c.ts"
import type { Api } from "./Etags.ts"
import * as Metadata from "./Metadata.ts"

/** What a response with bytes is of. */
export interface Media {
  readonly meta: ObjectMeta
  readonly span: ByteRange.Span
}

type Checked<A> = Result.Result<A, ObjectStoreError.Reason>

const invalid = (detail: string): Checked<never> => Result.fail(new ObjectStoreError.InvalidResponse({ detail }))

/** A whole answer that is not one to the request: asked again, the same comes. */
const wrong = (detail: string): Checked<never> =>
  Result.fail(new ObjectStoreError.InvalidResponse({ detail, isFinal: true }))

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
    : wrong(`the object is stored with content encoding \`${stored}\` and was sent with \`${encoding}\``)
}

const checkSpan = (range: ByteRange.ByteRange | undefined, size: number, head: Head): Checked<ByteRange.Span> => {
  const { headers, status } = head
  if (range === undefined) return status === 200 ? resolve(range, size) : wrong(`status ${status} for a whole object`)
  if (status !== 206) return wrong(`status ${status} for a range`)
  const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers["content-range"] ?? "")
  if (parts === null || Number(parts[3]) !== size) {
    return wrong(`Content-Range \`${headers["content-range"] ?? ""}\` of an object of ${size} bytes`)
  }
  return Result.flatMap(resolve(range, size), (span) =>
    Number(parts[1]) === span.start && Number(parts[2]) === span.end - 1
      ? Result.succeed(span)
      : wrong(`Content-Range \`${headers["content-range"]}\` for bytes ${span.start} to ${span.end}`)
  )
}

/** Checks status and headers of a response with bytes, before any of them is read. */
export const check = (api: Api, key: string, options: GetOptions, head: Head): Checked<Media> => {
  const encoding = checkEncoding(head.headers)
  if (Result.isFailure(encoding)) return Result.fail(encoding.failure)
  const meta = Metadata.fromHeaders(api, key, head)
  if (Result.isFailure(meta)) return Result.fail(meta.failure)
  const conditions = checkConditions(meta.success, options)
  if (Result.isFailure(conditions)) return Result.fail(conditions.failure)
  const span = checkSpan(options.range, meta.success.size, head)
  if (Result.isFailure(span)) return Result.fail(span.failure)
  const excess = ObjectStore.excess(span.success.end - span.success.start, options)
  return excess === undefined ? Result.succeed({ meta: meta.success, span: span.success }) : Result.fail(excess)
}

/**
 * Checks the bytes of a whole object against the hash that came with them: CRC32C, which all objects have and Google
 * recommends, else MD5. Source: "Data validation and change detection".
 */
const checkHash = (headers: Head["headers"], body: Uint8Array): Checked<void> => {
  const hashes = headers["x-goog-hash"] ?? ""
  const crc32c = /(?:^|,)\s*crc32c=([^,\s]+)/.exec(hashes)?.[1]
  if (crc32c !== undefined) {
    return Crc32c.base64(body) === crc32c
      ? Result.succeed(undefined)
      : invalid("the bytes do not have the CRC32C of the object")
  }
  const md5 = /(?:^|,)\s*md5=([^,\s]+)/.exec(hashes)?.[1]
  return md5 === undefined || hash("md5", body, "base64") === md5
    ? Result.succeed(undefined)
    : invalid("the bytes do not have the MD5 of the object")
}

/** Checks that the body is as long as the headers said, and a whole object against its hash. */
export const checkBody = ({ meta, span }: Media, { body, complete, headers }: Answer): Checked<void> => {
  const expected = span.end - span.start
  if (!complete) return invalid(`the body has more than ${expected} bytes`)
  if (body.length !== expected) return invalid(`${body.length} of ${expected} bytes`)
  return expected === meta.size ? checkHash(headers, body) : Result.succeed(undefined)
}
