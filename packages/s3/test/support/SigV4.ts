/** Verifies AWS Signature Version 4 by computing it again. AWS IAM User Guide, "Create a signed AWS API request". */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

export interface Credential {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Temporary: requests must carry this token. */
  readonly sessionToken?: string
  /** The session is over. */
  readonly expired?: boolean
  /** What these credentials may not do. */
  readonly deny?: ReadonlyArray<"get" | "put" | "delete" | "list" | "bucket">
}

export interface SignedRequest {
  readonly method: string
  /** As it stood in the request line. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export type Verification =
  | { readonly _tag: "Anonymous" }
  | { readonly _tag: "Verified"; readonly credential: Credential; readonly region: string }
  | { readonly _tag: "Refused"; readonly status: number; readonly code: string; readonly message: string }

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")
const hmac = (key: string | Uint8Array, data: string): Buffer => createHmac("sha256", key).update(data).digest()

/** RFC 3986 escapes, as the signature has them. */
export const escapeUri = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

export const parseUrl = (
  url: string
): { readonly path: string; readonly query: ReadonlyArray<readonly [string, string]> } => {
  const mark = url.indexOf("?")
  const path = mark < 0 ? url : url.slice(0, mark)
  const query = (mark < 0 ? "" : url.slice(mark + 1))
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair): readonly [string, string] => {
      const equals = pair.indexOf("=")
      return equals < 0
        ? [decodeURIComponent(pair), ""]
        : [decodeURIComponent(pair.slice(0, equals)), decodeURIComponent(pair.slice(equals + 1))]
    })
  return { path, query }
}

const refused = (status: number, code: string, message: string): Verification => ({
  _tag: "Refused",
  status,
  code,
  message
})

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Largest difference between the clocks, in milliseconds. */
const maxSkew = 15 * 60 * 1000

export const verify = (request: SignedRequest, credentials: ReadonlyArray<Credential>, now: number): Verification => {
  const { body, headers, method, url } = request
  const { path, query } = parseUrl(url)
  const parameters = new Map(query)
  const presigned = parameters.get("X-Amz-Algorithm") !== undefined
  const authorization = headers["authorization"]
  if (authorization === undefined && !presigned) return { _tag: "Anonymous" }

  const found = presigned
    ? ([
        "",
        parameters.get("X-Amz-Credential") ?? "",
        parameters.get("X-Amz-SignedHeaders") ?? "",
        parameters.get("X-Amz-Signature") ?? ""
      ] as const)
    : /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
        authorization ?? ""
      )
  if (found === null) return refused(400, "AuthorizationHeaderMalformed", "The authorization header is malformed")
  const [, scopeText, signedText, signature] = found as unknown as readonly [string, string, string, string]
  const [accessKeyId = "", date = "", region = "", service, end] = scopeText.split("/")
  if (service !== "s3" || end !== "aws4_request") {
    return refused(400, "AuthorizationHeaderMalformed", "The credential scope is wrong")
  }
  const credential = credentials.find((candidate) => candidate.accessKeyId === accessKeyId)
  if (credential === undefined) {
    return refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
  }
  const time = (presigned ? parameters.get("X-Amz-Date") : headers["x-amz-date"]) ?? ""
  const stamp = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))
  if (!time.startsWith(date) || Number.isNaN(stamp)) return refused(403, "AccessDenied", "The date is missing or wrong")
  const life = presigned ? Number(parameters.get("X-Amz-Expires")) * 1000 : maxSkew
  if (now - stamp > life || stamp - now > maxSkew) {
    return presigned
      ? refused(403, "AccessDenied", "Request has expired")
      : refused(
          403,
          "RequestTimeTooSkewed",
          "The difference between the request time and the current time is too large."
        )
  }

  const token = presigned ? parameters.get("X-Amz-Security-Token") : headers["x-amz-security-token"]
  if (credential.expired === true) return refused(400, "ExpiredToken", "The provided token has expired.")
  if (token !== credential.sessionToken) {
    return refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
  }

  const signed = signedText.split(";")
  const mustBeSigned = [
    "host",
    ...Object.keys(headers).filter((name) => name.startsWith("x-amz-") || name === "content-md5")
  ]
  for (const name of mustBeSigned) {
    if (!signed.includes(name))
      return refused(403, "AccessDenied", `There were headers present in the request which were not signed: ${name}`)
  }
  const payload = presigned ? "UNSIGNED-PAYLOAD" : (headers["x-amz-content-sha256"] ?? "")
  if (payload.startsWith("STREAMING-")) return refused(501, "NotImplemented", "Chunked signatures are not implemented")
  if (payload !== "UNSIGNED-PAYLOAD" && payload !== sha256(body)) {
    return refused(
      400,
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed."
    )
  }

  const canonical = [
    method,
    path
      .split("/")
      .map((segment) => escapeUri(decodeURIComponent(segment)))
      .join("/"),
    query
      .filter(([name]) => name !== "X-Amz-Signature")
      .map(([name, value]): readonly [string, string] => [escapeUri(name), escapeUri(value)])
      .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
      .map(([name, value]) => `${name}=${value}`)
      .join("&"),
    ...signed.map((name) => `${name}:${(headers[name] ?? "").trim().replace(/ +/g, " ")}`),
    "",
    signedText,
    payload
  ].join("\n")
  const scope = `${date}/${region}/s3/aws4_request`
  const key = [region, "s3", "aws4_request"].reduce<Buffer>(hmac, hmac(`AWS4${credential.secretAccessKey}`, date))
  const expected = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n"))
  const given = Buffer.from(signature, "hex")
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return refused(
      403,
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided."
    )
  }
  return { _tag: "Verified", credential, region }
}
