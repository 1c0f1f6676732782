import { describe, expect, it } from "vitest"
import * as S3Error from "../src/S3Error.ts"

type Tag = ReturnType<typeof S3Error.reasonByStatus>

/** As the SDK throws it: code, status. */
const sdk = (name: string, status?: number, more: object = {}): unknown =>
  Object.assign(
    new Error("UnknownError"),
    { name, ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }) },
    more
  )

describe("S3Error.classify", () => {
  it.each<readonly [name: string, status: number | undefined, tag: Tag, retry: boolean, mayBeApplied: boolean]>([
    ["NoSuchKey", 404, "NotFound", false, false],
    ["NoSuchBucket", 404, "NotFound", false, false],
    ["NotFound", 404, "NotFound", false, false],
    ["NoSuchUpload", 404, "NotFound", false, false],
    ["PreconditionFailed", 412, "PreconditionFailed", false, false],
    ["NotModified", 304, "NotModified", false, false],
    ["InvalidRange", 416, "InvalidRange", false, false],
    ["SignatureDoesNotMatch", 403, "Unauthenticated", false, false],
    ["InvalidAccessKeyId", 403, "Unauthenticated", false, false],
    ["InvalidToken", 400, "Unauthenticated", false, false],
    ["ExpiredToken", 400, "Unauthenticated", false, false],
    ["AuthorizationHeaderMalformed", 400, "Unauthenticated", false, false],
    ["RequestTimeTooSkewed", 403, "Unauthenticated", false, false],
    ["CredentialsProviderError", undefined, "Unauthenticated", false, false],
    ["AccessDenied", 403, "PermissionDenied", false, false],
    ["InvalidObjectState", 403, "PermissionDenied", false, false],
    ["SlowDown", 503, "RateLimited", true, false],
    ["TooManyRequests", 429, "RateLimited", true, false],
    ["Throttling", 400, "RateLimited", true, false],
    ["RequestTimeout", 400, "Unavailable", true, true],
    ["InternalError", 500, "Unavailable", true, true],
    ["ServiceUnavailable", 503, "Unavailable", true, true],
    ["ConditionalRequestConflict", 409, "Unavailable", true, false],
    ["OperationAborted", 409, "Unavailable", true, false],
    ["BadDigest", 400, "Unavailable", true, true],
    ["EntityTooLarge", 400, "Unsupported", false, false],
    ["KeyTooLongError", 400, "Unsupported", false, false],
    ["NotImplemented", 501, "Unsupported", false, false],
    ["PermanentRedirect", 301, "Unsupported", false, false],
    // Ceph's answer to a race that was lost, among others.
    ["UnknownError", 500, "Unavailable", true, true],
    // Answers without a code, of a HEAD or of something on the way.
    ["Unknown", 301, "Unsupported", false, false],
    ["Unknown", 400, "Unsupported", false, false],
    ["Unknown", 401, "Unauthenticated", false, false],
    ["Unknown", 403, "PermissionDenied", false, false],
    ["Unknown", 404, "NotFound", false, false],
    ["Unknown", 405, "Unsupported", false, false],
    ["Unknown", 408, "Unavailable", true, true],
    ["Unknown", 409, "Unavailable", true, false],
    ["Unknown", 412, "PreconditionFailed", false, false],
    ["Unknown", 304, "NotModified", false, false],
    ["Unknown", 416, "InvalidRange", false, false],
    ["Unknown", 429, "RateLimited", true, false],
    ["Unknown", 499, "Unavailable", true, true],
    ["Unknown", 500, "Unavailable", true, true],
    ["Unknown", 502, "Unavailable", true, true],
    ["Unknown", 503, "Unavailable", true, true],
    ["Unknown", 504, "Unavailable", true, true],
    // The body of a success that is no XML.
    ["Error", 200, "InvalidResponse", false, true],
    ["Error", undefined, "Unavailable", true, true]
  ])("%s with status %s is %s", (name, status, tag, isRetryable, mayBeApplied) => {
    const failure = S3Error.classify(sdk(name, status))
    expect({ tag: failure.reason._tag, isRetryable: failure.isRetryable, mayBeApplied: failure.mayBeApplied }).toEqual({
      tag,
      isRetryable,
      mayBeApplied
    })
    expect(failure.status).toBe(status)
  })

  it.each<readonly [code: string, mayBeApplied: boolean]>([
    ["ECONNRESET", true],
    ["EPIPE", true],
    ["ETIMEDOUT", true],
    ["ECONNREFUSED", false],
    ["ENOTFOUND", false],
    ["EAI_AGAIN", false]
  ])("%s of the connection is Unavailable", (code, mayBeApplied) => {
    const failure = S3Error.classify(Object.assign(new Error("socket hang up"), { name: "TimeoutError", code }))
    expect(failure.reason._tag).toBe("Unavailable")
    expect(failure.isRetryable).toBe(true)
    expect(failure.mayBeApplied).toBe(mayBeApplied)
    expect(failure.code).toBe(code)
  })

  it("has a reason for each code of its table that exists", () => {
    for (const [code, tag] of S3Error.reasonByCode) {
      expect(S3Error.classify(sdk(code, 418)).reason._tag).toBe(tag)
    }
  })

  it("takes the size from the Content-Range of a 416", () => {
    const failure = S3Error.classify(
      sdk("InvalidRange", 416, { $response: { headers: { "content-range": "bytes */17" } } })
    )
    expect(failure.reason).toMatchObject({ _tag: "InvalidRange", size: 17 })
  })

  it("takes the region from a header or the body, and the time to wait from Retry-After", () => {
    const header = sdk("Unknown", 301, {
      $response: { headers: { "x-amz-bucket-region": "eu-west-1", "retry-after": "3" } }
    })
    expect(S3Error.classify(header)).toMatchObject({ region: "eu-west-1", retryAfter: 3000 })
    const body = sdk("AuthorizationHeaderMalformed", 400, { Region: "eu-west-2" })
    expect(S3Error.classify(body).region).toBe("eu-west-2")
    const date = sdk("Unknown", 503, { $response: { headers: { "retry-after": "Thu, 01 Jan 1970 00:00:10 GMT" } } })
    expect(S3Error.classify(date, { now: 4000 }).retryAfter).toBe(6000)
    const past = sdk("Unknown", 503, { $response: { headers: { "retry-after": "Thu, 01 Jan 1970 00:00:01 GMT" } } })
    expect(S3Error.classify(past, { now: 4000 }).retryAfter).toBeUndefined()
  })

  it("keeps what the store said, without secrets and query strings", () => {
    const failure = S3Error.classify(
      sdk("SignatureDoesNotMatch", 403, {
        message: "no key k3y for https://user:pw@host/a?X-Amz-Signature=abc in t0ken",
        StringToSign: "k3y",
        CanonicalRequest: "x-amz-security-token:t0ken"
      }),
      { secrets: ["k3y", "t0ken", ""] }
    )
    expect(failure.reason.detail).toBe(
      "the store said `SignatureDoesNotMatch`: no key <redacted> for https://host/a?<redacted> in <redacted>"
    )
    expect(JSON.stringify(failure)).not.toMatch(/k3y|t0ken|pw|abc/)
  })

  it("says that it is the clock when it is the clock", () => {
    const { message } = S3Error.classify(sdk("RequestTimeTooSkewed", 403)).reason
    expect(message).toContain("set the clock")
    expect(message).not.toContain("check them")
  })

  it("shortens what is long", () => {
    expect(S3Error.scrub("x".repeat(1000), [])).toHaveLength(300)
  })
})
