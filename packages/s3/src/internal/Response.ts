/** Whether an answer is what was asked for. Pure. */
import type { GetObjectCommandOutput, HeadObjectCommandOutput } from "@aws-sdk/client-s3"
import type { GetOptions, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import * as Readback from "@effect-icechunk/core/Readback"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as S3Error from "../S3Error.ts"
import * as Answers from "./Answers.ts"

type Headers = Pick<
  GetObjectCommandOutput & HeadObjectCommandOutput,
  "ETag" | "LastModified" | "Metadata" | "ContentLength" | "ContentRange" | "$metadata"
>

export const meta = (key: string, size: number, headers: Headers): ObjectMeta => ({
  key,
  size,
  lastModified: headers.LastModified?.getTime(),
  version: { etag: headers.ETag },
  metadata: Object.fromEntries(
    Object.entries(headers.Metadata ?? {}).map(([name, value]) => [metadataName(name), value])
  )
})

/** In lower case; the write id under its own name although Ceph spells it with `-`. */
const metadataName = (name: string): string =>
  Readback.writeIdOf({ [name]: "" }) === undefined ? name.toLowerCase() : Readback.metadataKey

/** Why the object is not the one that was asked for, or `undefined`. */
export const mismatch = (
  observed: ObjectMeta,
  { ifMatch, ifNoneMatch, ifUnmodifiedSince }: Omit<GetOptions, "range">
): S3Error.S3Failure | undefined => {
  const { lastModified, version } = observed
  if (ifMatch !== undefined && !Checksum.agrees(Checksum.etag(ifMatch), { etag: version.etag, lastModified })) {
    return S3Error.failure("PreconditionFailed", `its ETag is now \`${version.etag ?? "absent"}\``)
  }
  if (ifUnmodifiedSince !== undefined && (lastModified === undefined || lastModified > ifUnmodifiedSince)) {
    return S3Error.failure(
      "PreconditionFailed",
      lastModified === undefined
        ? "the store does not say when it was modified"
        : `it was modified at ${new Date(lastModified).toISOString()}`
    )
  }
  if (ifNoneMatch !== undefined && Checksum.agrees(Checksum.etag(ifNoneMatch), { etag: version.etag, lastModified })) {
    return S3Error.failure("NotModified", `its ETag is ${version.etag ?? "absent"}`)
  }
  return undefined
}

/** RFC 9110, section 14.4, for a range that can be satisfied. */
const contentRange = (
  header: string
): { readonly start: number; readonly end: number; readonly size: number } | undefined => {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(header)
  if (found === null) return undefined
  const [start, last, size] = found.slice(1).map(Number) as [number, number, number]
  return start <= last && last < size ? { start, end: last + 1, size } : undefined
}

export interface Expected {
  readonly span: ByteRange.Span
  readonly size: number
}

/** An answer to a put that does not say what was stored. */
export const unacknowledged: S3Error.S3Failure = Answers.strange(
  "the answer has no `ETag`, so that it is not known whether the object was stored"
)

/** Throws unless a deletion was answered as every store answers it. */
export const deleted = ({ $metadata: { httpStatusCode } }: Pick<Headers, "$metadata">): void => {
  if (httpStatusCode === 204) return
  throw Answers.strange(`the answer is HTTP status ${httpStatusCode}, and S3 answers a deletion with 204`)
}

/** Every store sends one with an object. */
export const hasEtag = ({ ETag }: Pick<Headers, "ETag">): boolean => ETag !== undefined && ETag !== ""

/**
 * The positions and the whole size that an answer to a get must have, judged by its headers; of a HEAD those of the
 * whole object.
 */
export const expected = (range: ByteRange.ByteRange | undefined, headers: Headers): Expected | S3Error.S3Failure => {
  const { ContentLength: length, ContentRange: said } = headers
  const status = headers.$metadata.httpStatusCode
  if (!hasEtag(headers)) return Answers.strange("the answer has no `ETag`, which S3 sends with every object")
  if (range === undefined) {
    if (status !== 200) {
      return S3Error.failure("InvalidResponse", `HTTP status ${status} where a whole object was asked for`)
    }
    if (length === undefined) {
      return Answers.strange("the answer has no `Content-Length`, which S3 sends with every object")
    }
    return { span: { start: 0, end: length }, size: length }
  }
  if (status !== 206) {
    return S3Error.failure("InvalidResponse", `HTTP status ${status} and not 206: the store ignored the range`)
  }
  const answered = said === undefined ? undefined : contentRange(said)
  if (answered === undefined) {
    return S3Error.failure("InvalidResponse", `Content-Range is ${said === undefined ? "absent" : `\`${said}\``}`)
  }
  const { end, size, start } = answered
  const span = ByteRange.resolve(range, size)
  if (span === undefined) return S3Error.failure("InvalidRange", `object of ${size} bytes`, { size })
  if (start !== span.start || end !== span.end) {
    return S3Error.failure("InvalidResponse", `Content-Range is \`${said}\` for \`${ByteRange.toHttpHeader(range)}\``)
  }
  if (length !== undefined && length !== end - start) {
    return S3Error.failure("InvalidResponse", `Content-Length is ${length} for ${end - start} bytes`)
  }
  return { span, size }
}

/** Whether a range has no bytes whatever the object, which HTTP cannot express. */
export const isEmptyRange = (range: ByteRange.ByteRange): boolean =>
  ByteRange.match(range, {
    Bounded: ({ length }) => length === 0,
    From: () => false,
    Suffix: ({ length }) => length === 0
  })

/** An ETag as conditions of reads want it; `undefined` for a text that cannot be one, as no object has it. */
export const conditionEtag = (etag: string, spelling: "quoted" | "bare"): string | undefined => {
  const opaque = Checksum.opaqueTag(etag)
  if (!/^[\x21\x23-\x7e]{1,1024}$/.test(opaque)) return undefined
  return spelling === "quoted" ? `"${opaque}"` : opaque
}
