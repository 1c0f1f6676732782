/** Keys between the store's and the bucket's names for objects. Pure. */
import * as S3Error from "../S3Error.ts"

/** S3's limit, in bytes of UTF-8. */
const maxBytes = 1024

const encoder = new TextEncoder()

/** What the bucket's keys start with: a prefix that is not empty ends with a slash. */
export const base = (prefix: string | undefined): string =>
  prefix === undefined || prefix === "" || prefix.endsWith("/") ? (prefix ?? "") : `${prefix}/`

/** Whether a key has a segment `.` or `..`. */
export const hasDotSegment = (key: string): boolean => /(?:^|\/)\.{1,2}(?:\/|$)/.test(key)

/**
 * Why this is not the key of an object, or `undefined`. Where the bucket is in the path of requests, `..` might lead to
 * another one: servers on the way may normalise paths.
 */
export const problem = (key: string, base: string, isPathStyle: boolean): S3Error.S3Failure | undefined => {
  if (key === "") return S3Error.failure("Unsupported", "an object has a key that is not empty")
  if (!key.isWellFormed()) return S3Error.failure("Unsupported", "the key is not well-formed Unicode")
  // A character has three bytes at most for each of its units.
  if (3 * (base.length + key.length) > maxBytes && encoder.encode(base + key).length > maxBytes) {
    return S3Error.failure("Unsupported", `the key with its prefix is longer than ${maxBytes} bytes`)
  }
  if (isPathStyle && hasDotSegment(base + key)) {
    return S3Error.failure(
      "Unsupported",
      "a key with a segment `.` or `..` is not safe where the bucket is in the path of the request, because a server on the way may take it for another path; use an endpoint with the bucket in the host name (`forcePathStyle: false`), or another key"
    )
  }
  return undefined
}

/** A key of a list with `encoding-type=url`; AWS writes a space as `+`, and a plus as `%2B`. */
export const decodeListed = (key: string, encoding: string | undefined): string =>
  encoding === "url" ? decodeURIComponent(key.replaceAll("+", " ")) : key

/** The value of `x-amz-copy-source`, which the SDK takes as it is. */
export const copySource = (bucket: string, key: string): string =>
  `${encodeURIComponent(bucket)}/${key.split("/").map(encodeURIComponent).join("/")}`

/** Whether XML carries the key unchanged: no control characters, no spaces at its ends, no noncharacters. */
export const isSafeInXml = (key: string): boolean => !/^\s|\s$|[\p{Cc}\u2028\u2029\ufffe\uffff]/u.test(key)
