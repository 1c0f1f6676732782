import type { Reason } from "@effect-icechunk/core/ObjectStoreError"
import { describe, expect, it } from "@effect/vitest"
import * as Failures from "../src/internal/Failures.ts"
import { ConnectionFailed } from "@effect-icechunk/core/node/HttpPool"

const json = (status: number, code: string, message = "Refused."): Failures.Refusal => ({ status, code, message })

describe("Failures", () => {
  it.each<readonly [refusal: Failures.Refusal, tag: Reason["_tag"], retried: boolean]>([
    [{ status: 301 }, "InvalidResponse", false],
    [json(400, "invalid"), "Unsupported", false],
    [json(400, "required"), "PermissionDenied", false],
    [json(400, "UserProjectMissing"), "PermissionDenied", false],
    [json(401, "authError"), "Unauthenticated", false],
    [json(401, "required"), "Unauthenticated", false],
    [{ status: 401 }, "Unauthenticated", false],
    [json(403, "forbidden"), "PermissionDenied", false],
    [json(403, "AccessDenied"), "PermissionDenied", false],
    [json(403, "rateLimitExceeded"), "RateLimited", true],
    [json(403, "userRateLimitExceeded"), "RateLimited", true],
    [json(403, "quotaExceeded"), "RateLimited", true],
    [{ status: 404 }, "NotFound", false],
    [json(404, "NoSuchBucket"), "NotFound", false],
    [{ status: 405 }, "Unsupported", false],
    [{ status: 408 }, "Unavailable", true],
    [json(409, "conflict"), "Unavailable", true],
    [{ status: 410 }, "NotFound", false],
    [{ status: 411 }, "InvalidResponse", true],
    [json(412, "conditionNotMet"), "PreconditionFailed", false],
    [json(304, "notModified"), "NotModified", false],
    [json(412, "orgPolicyConstraintFailed"), "PermissionDenied", false],
    [{ status: 413 }, "Unsupported", false],
    [{ status: 416 }, "InvalidRange", false],
    [json(429, "rateLimitExceeded"), "RateLimited", true],
    [{ status: 499 }, "Unavailable", true],
    [{ status: 500 }, "Unavailable", true],
    [{ status: 501 }, "Unsupported", false],
    [{ status: 502 }, "Unavailable", true],
    [{ status: 503 }, "Unavailable", true],
    [{ status: 504 }, "Unavailable", true],
    [{ status: 0 }, "InvalidResponse", true]
  ])("%o is %s (retried: %s)", (refusal, tag, retried) => {
    const reason = Failures.reasonOf(refusal, false)
    expect([reason._tag, reason.isRetryable]).toEqual([tag, retried])
  })

  it("a failed precondition of a put that creates means that the object exists", () => {
    expect(Failures.reasonOf({ status: 412 }, true)._tag).toBe("AlreadyExists")
  })

  const ended = (code: string | undefined, answered: boolean, received: number): ConnectionFailed =>
    new ConnectionFailed({ code, answered, received, problem: "", isOverdue: false })

  it.each<readonly [failed: ConnectionFailed, tag: Reason["_tag"]]>([
    [ended("ECONNREFUSED", false, 0), "Unavailable"],
    [ended("ENOTFOUND", false, 0), "Unavailable"],
    [ended("ECONNRESET", false, 0), "Unavailable"],
    [ended("ETIMEDOUT", false, 0), "Unavailable"],
    [ended(undefined, false, 0), "Unavailable"],
    [ended("ECONNRESET", true, 3), "InvalidResponse"],
    [ended("ERR_INVALID_CHAR", false, 0), "Unsupported"],
    [ended("ERR_CLOSED", false, 0), "Unsupported"]
  ])("a connection that ends with %o is %s", (failed, tag) => {
    expect(Failures.reasonOfConnection(failed)._tag).toBe(tag)
  })

  it("says what the store said, and what to do about requester pays", () => {
    expect(Failures.reasonOf(json(400, "required", "No user project provided."), false).detail).toBe(
      "HTTP 400 required: No user project provided.; set `userProject`, which names the project that pays"
    )
  })

  it.each([
    ["a JSON error", '{"error":{"code":404,"message":"Gone.","errors":[{"reason":"notFound"}]}}', "notFound", "Gone."],
    ["an XML error", "<Error><Code>NoSuchKey</Code><Message>a &lt;b&gt;</Message></Error>", "NoSuchKey", "a <b>"],
    ["plain text", "No such object: data/a", undefined, "No such object: data/a"],
    ["JSON of another kind", '{"hello":1}', undefined, '{"hello":1}']
  ])("reads %s", (_, body, code, message) => {
    const answer = { status: 404, body: Buffer.from(body) }
    expect(Failures.refusal(answer)).toEqual({ status: 404, code, message })
  })

  it("says nothing of a page of HTML", () => {
    const answer = { status: 502, body: Buffer.from("<html>Bad gateway</html>") }
    expect(Failures.refusal(answer)).toEqual({ status: 502, message: undefined })
  })

  it("knows who should pay from plain text", () => {
    const body = Buffer.from("Bucket is a requester pays bucket but no user project provided.")
    expect(Failures.refusal({ status: 400, body }).code).toBe("UserProjectMissing")
  })

  it.each([
    ["the credentials sent", "no access with ya29.secret here", "no access with <redacted> here"],
    ["any bearer token", "Authorization: Bearer abc.def-ghi", "Authorization: Bearer <redacted>"],
    ["query strings", "see https://example.com/a?token=1&b=2 for more", "see https://example.com/a for more"],
    ["line breaks", "a\n  b", "a b"]
  ])("redacts %s", (_, text, expected) => {
    expect(Failures.redact(text, "ya29.secret")).toBe(expected)
  })

  it("keeps messages short", () => {
    expect(Failures.redact("x".repeat(1000)).length).toBeLessThan(310)
  })
})
