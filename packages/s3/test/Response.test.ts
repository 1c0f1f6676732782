import * as ByteRange from "@effect-icechunk/core/ByteRange"
import { describe, expect, it } from "vitest"
import * as Response from "../src/internal/Response.ts"
import { S3Failure } from "../src/S3Error.ts"

const headers = (status: number, range?: string, length?: number): Parameters<typeof Response.expected>[1] => ({
  $metadata: { httpStatusCode: status },
  ETag: '"etag"',
  ...(range === undefined ? {} : { ContentRange: range }),
  ...(length === undefined ? {} : { ContentLength: length })
})

describe("Response.expected", () => {
  it.each<readonly [string, ByteRange.ByteRange | undefined, ReturnType<typeof headers>, string | object | undefined]>([
    ["a whole object", undefined, headers(200, undefined, 5), { span: { start: 0, end: 5 }, size: 5 }],
    ["a whole object without length", undefined, headers(200), "InvalidResponse"],
    ["a whole object without ETag", undefined, { ...headers(200, undefined, 5), ETag: "" }, "InvalidResponse"],
    [
      "a range without ETag",
      ByteRange.bounded(2, 3),
      { ...headers(206, "bytes 2-4/10", 3), ETag: "" },
      "InvalidResponse"
    ],
    ["a part for a whole object", undefined, headers(206, "bytes 0-4/5", 5), "InvalidResponse"],
    ["a range", ByteRange.bounded(2, 3), headers(206, "bytes 2-4/10", 3), { span: { start: 2, end: 5 }, size: 10 }],
    ["a suffix", ByteRange.suffix(3), headers(206, "bytes 7-9/10", 3), { span: { start: 7, end: 10 }, size: 10 }],
    [
      "a suffix of more than all",
      ByteRange.suffix(30),
      headers(206, "bytes 0-9/10"),
      { span: { start: 0, end: 10 }, size: 10 }
    ],
    ["an open range", ByteRange.from(7), headers(206, "bytes 7-9/10"), { span: { start: 7, end: 10 }, size: 10 }],
    ["the whole object for a range", ByteRange.bounded(2, 3), headers(200, undefined, 10), "InvalidResponse"],
    ["less than the range", ByteRange.bounded(8, 4), headers(206, "bytes 8-9/10", 2), "InvalidRange"],
    ["another range", ByteRange.bounded(2, 3), headers(206, "bytes 3-5/10", 3), "InvalidResponse"],
    ["more than the range", ByteRange.bounded(2, 3), headers(206, "bytes 2-5/10", 4), "InvalidResponse"],
    ["a length that is not the range's", ByteRange.bounded(2, 3), headers(206, "bytes 2-4/10", 2), "InvalidResponse"],
    ["no Content-Range", ByteRange.bounded(2, 3), headers(206, undefined, 3), "InvalidResponse"],
    ["an unknown size", ByteRange.bounded(2, 3), headers(206, "bytes 2-4/*", 3), "InvalidResponse"],
    ["another unit", ByteRange.bounded(2, 3), headers(206, "items 2-4/10", 3), "InvalidResponse"],
    ["a range that ends before it starts", ByteRange.bounded(2, 3), headers(206, "bytes 4-2/10", 3), "InvalidResponse"]
  ])("judges %s", (_, range, answer, wanted) => {
    const judged = Response.expected(range, answer)
    expect(judged instanceof S3Failure ? judged.reason._tag : judged).toEqual(wanted)
  })
})

describe("Response.mismatch", () => {
  const meta = Response.meta("key", 1, {
    $metadata: {},
    ETag: '"abc"',
    LastModified: new Date(10_000)
  })
  it.each([
    [{}, undefined],
    [{ ifMatch: "abc" }, undefined],
    [{ ifMatch: 'W/"abc"' }, undefined],
    [{ ifMatch: "abd" }, "PreconditionFailed"],
    [{ ifUnmodifiedSince: 10_000 }, undefined],
    [{ ifUnmodifiedSince: 9_999 }, "PreconditionFailed"]
  ])("judges %j", (conditions, wanted) => {
    expect(Response.mismatch(meta, conditions)?.reason._tag).toBe(wanted)
  })
  it("does not agree with an answer that says nothing", () => {
    const silent = Response.meta("key", 1, { $metadata: {} })
    expect(Response.mismatch(silent, { ifMatch: "abc" })?.reason._tag).toBe("PreconditionFailed")
    expect(Response.mismatch(silent, { ifUnmodifiedSince: 1 })?.reason._tag).toBe("PreconditionFailed")
  })
})

describe("Response.conditionEtag", () => {
  it("spells an ETag as the store wants it, and refuses what no header can hold", () => {
    expect(Response.conditionEtag('"a-1"', "quoted")).toBe('"a-1"')
    expect(Response.conditionEtag("a-1", "quoted")).toBe('"a-1"')
    expect(Response.conditionEtag('W/"a-1"', "bare")).toBe("a-1")
    for (const etag of ["", "a\r\nb: c", 'a"b', "é", "x".repeat(2000)]) {
      expect(Response.conditionEtag(etag, "quoted")).toBeUndefined()
    }
  })
})
