/** Requests are signed as the SDK signs them, whatever the key, the headers and the time. */
import { S3Client } from "@aws-sdk/client-s3"
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as ObjectRequest from "../src/internal/ObjectRequest.ts"
import * as Signature from "../src/internal/Signature.ts"

const purpose: Signature.Purpose = { region: "eu-central-1", service: "s3" }

interface Signed {
  readonly headers: Record<string, string>
}

/** What the SDK makes of the same request. */
const theirs = async (
  request: Parameters<Signature.Signer["sign"]>[0],
  identity: Signature.Identity,
  now: number,
  alsoSigned?: ReadonlyArray<string>
): Promise<ReadonlyMap<string, string>> => {
  const { sessionToken, ...keys } = identity
  const client = new S3Client({
    region: purpose.region,
    credentials: sessionToken === undefined ? keys : { ...keys, sessionToken }
  })
  const signer = await client.config.signer({
    name: "sigv4",
    signingName: purpose.service,
    signingRegion: purpose.region
  } as never)
  const { body, headers, method, path } = request
  const options = { signingDate: new Date(now), signingRegion: purpose.region, signingService: purpose.service }
  const signed = (await signer.sign(
    { method, path, headers: Object.fromEntries(headers), query: {}, body, protocol: "https:", hostname: "h" },
    alsoSigned === undefined ? options : { ...options, signableHeaders: new Set(alsoSigned) }
  )) as unknown as Signed
  client.destroy()
  return new Map(Object.entries(signed.headers))
}

const sorted = (headers: ReadonlyMap<string, string>): ReadonlyArray<readonly [string, string]> =>
  [...headers].toSorted(([a], [b]) => (a < b ? -1 : 1))

const awkward = [
  "//",
  "..",
  ".",
  "%",
  "%2F",
  "é",
  "名",
  "🧊",
  " ",
  "+",
  "?",
  "#",
  "&",
  "=",
  "\u0001",
  "\n",
  "'()*!",
  "~"
]

const key = fc
  .array(fc.oneof(fc.constantFrom(...awkward), fc.string({ minLength: 1, maxLength: 5, unit: "grapheme" })), {
    minLength: 1,
    maxLength: 8
  })
  .map((parts) => parts.join(""))
  .filter((text) => text.isWellFormed())

const value = fc.oneof(
  fc.stringMatching(/^[\x20-\x7e]{0,20}$/),
  fc.constantFrom("  two  spaces  ", "a\tb", "", " ", "über")
)

const names = [
  "range",
  "if-match",
  "content-type",
  "x-amz-meta-a",
  "x-amz-meta-b",
  "x-amz-request-payer",
  "x-tigris-regions",
  "cache-control",
  "user-agent",
  "proxy-a",
  "sec-b",
  "expect",
  "x-amzn-trace-id",
  "accept"
]

const headers = fc
  .array(fc.tuple(fc.constantFrom(...names), value))
  .map((pairs) => new Map([["host", "bucket.s3.eu-central-1.amazonaws.com"], ...pairs]))

const identity = fc.record(
  {
    accessKeyId: fc.stringMatching(/^[A-Z0-9]{1,20}$/),
    secretAccessKey: fc.stringMatching(/^[\x21-\x7e]{1,40}$/),
    sessionToken: fc.stringMatching(/^[A-Za-z0-9+/=]{1,40}$/)
  },
  { requiredKeys: ["accessKeyId", "secretAccessKey"] }
)

const time = fc.date({ min: new Date("2000-01-01"), max: new Date("2099-12-31"), noInvalidDate: true })

describe("a signature", () => {
  it.each([undefined, ["cache-control"]])("is the SDK's, with %j signed too", async (alsoSigned) => {
    const signer = Signature.make(alsoSigned)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "HEAD", "PUT"),
        key,
        headers,
        fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined }),
        identity,
        time,
        async (method, key, headers, body, identity, date) => {
          const path = `/${ObjectRequest.pathOf(key)}`
          const request = { method, path, headers, body }
          expect(sorted(signer.sign(request, identity, purpose, date.getTime()))).toEqual(
            sorted(await theirs(request, identity, date.getTime(), alsoSigned))
          )
        }
      ),
      { numRuns: 300 }
    )
  })

  it("has the key of its day, region, service and secret, whatever was signed before", async () => {
    const signer = Signature.make()
    const request = { method: "GET", path: "/key", headers: new Map([["host", "h"]]), body: undefined }
    const [one, two] = [
      { accessKeyId: "K", secretAccessKey: "one" },
      { accessKeyId: "K", secretAccessKey: "two" }
    ]
    const midnight = Date.UTC(2026, 0, 1)
    for (const [who, now] of [
      [one, midnight - 1],
      [one, midnight],
      [two, midnight],
      [two, midnight - 1],
      [one, midnight]
    ] as const) {
      expect(signer.sign(request, who, purpose, now)).toEqual(await theirs(request, who, now))
    }
    const elsewhere = signer.sign(request, one, { ...purpose, region: "us-east-1" }, midnight)
    expect(elsewhere.get("authorization")).not.toBe(signer.sign(request, one, purpose, midnight).get("authorization"))
    const express = signer.sign(request, one, { ...purpose, service: "s3express" }, midnight)
    expect(express.get("authorization")).not.toBe(signer.sign(request, one, purpose, midnight).get("authorization"))
  })
})
