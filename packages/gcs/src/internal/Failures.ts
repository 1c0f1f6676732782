/**
 * What a refusal of Google Cloud Storage means: one table, pure.
 *
 * Sources: "HTTP status and error codes" of the JSON API and of the XML API, "Retry strategy".
 */
import type { Answer, ConnectionFailed } from "@effect-icechunk/core/node/HttpPool"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** A refusal as the store put it. */
export interface Refusal {
  readonly status: number
  /** `reason` of the JSON API, `Code` of the XML API. */
  readonly code?: string | undefined
  readonly message?: string | undefined
}

type Tag = ObjectStoreError.Reason["_tag"]

interface Row {
  /** A status, or a whole hundred as in `5xx`. */
  readonly status: number | "3xx" | "4xx" | "5xx"
  /** Only with these codes; absent: with any. */
  readonly codes?: ReadonlyArray<string>
  readonly reason: Tag
  /** The same request would be answered in the same way. */
  readonly isFinal?: boolean
}

/** The first row that fits counts. */
const table: ReadonlyArray<Row> = [
  { status: 304, reason: "NotModified" },
  // Nothing is redirected here: whoever answers so is not the store, and will do so again.
  { status: "3xx", reason: "InvalidResponse", isFinal: true },
  // A requester pays bucket without a project that pays.
  { status: 400, codes: ["required", "UserProjectMissing"], reason: "PermissionDenied" },
  { status: 400, reason: "Unsupported" },
  { status: 401, reason: "Unauthenticated" },
  {
    status: 403,
    codes: ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "SlowDown"],
    reason: "RateLimited"
  },
  { status: 403, reason: "PermissionDenied" },
  { status: 404, reason: "NotFound" },
  { status: 405, reason: "Unsupported" },
  { status: 408, reason: "Unavailable" },
  // Two requests met; neither has lost.
  { status: 409, reason: "Unavailable" },
  { status: 410, reason: "NotFound" },
  { status: 411, reason: "InvalidResponse" },
  { status: 412, codes: ["orgPolicyConstraintFailed", "OrgPolicyConstraintFailed"], reason: "PermissionDenied" },
  { status: 412, reason: "PreconditionFailed" },
  { status: 416, reason: "InvalidRange" },
  { status: 429, reason: "RateLimited" },
  { status: 499, reason: "Unavailable" },
  { status: 501, reason: "Unsupported" },
  { status: "4xx", reason: "Unsupported" },
  { status: "5xx", reason: "Unavailable" }
]

const fits = ({ codes, status }: Row, refusal: Refusal): boolean =>
  (typeof status === "number" ? status === refusal.status : Number(status[0]) === Math.floor(refusal.status / 100)) &&
  (codes === undefined || (refusal.code !== undefined && codes.includes(refusal.code)))

const reasons: { readonly [K in Tag]: (detail: string) => ObjectStoreError.Reason } = {
  NotFound: (detail) => new ObjectStoreError.NotFound({ detail }),
  AlreadyExists: (detail) => new ObjectStoreError.AlreadyExists({ detail }),
  PreconditionFailed: (detail) => new ObjectStoreError.PreconditionFailed({ detail }),
  NotModified: (detail) => new ObjectStoreError.NotModified({ detail }),
  InvalidRange: (detail) => new ObjectStoreError.InvalidRange({ detail }),
  Unauthenticated: (detail) => new ObjectStoreError.Unauthenticated({ detail }),
  PermissionDenied: (detail) => new ObjectStoreError.PermissionDenied({ detail }),
  RateLimited: (detail) => new ObjectStoreError.RateLimited({ detail }),
  Unavailable: (detail) => new ObjectStoreError.Unavailable({ detail }),
  InvalidResponse: (detail) => new ObjectStoreError.InvalidResponse({ detail }),
  Unsupported: (detail) => new ObjectStoreError.Unsupported({ detail })
}

/** Why a request was refused. `create`: its precondition was that there is no object. */
export const reasonOf = (refusal: Refusal, create: boolean, secret?: string): ObjectStoreError.Reason => {
  const { isFinal = false, reason: tag } = table.find((row) => fits(row, refusal)) ?? { reason: "InvalidResponse" }
  const detail = describe(refusal, secret)
  if (isFinal) return new ObjectStoreError.InvalidResponse({ detail, isFinal })
  return reasons[tag === "PreconditionFailed" && create ? "AlreadyExists" : tag](detail)
}

/** Why a request got no complete answer. */
export const reasonOfConnection = ({ answered, code, received }: ConnectionFailed): ObjectStoreError.Reason => {
  if (code === "ERR_CLOSED") return reasons.Unsupported("the store was closed with its scope")
  // A header with such a value cannot be sent.
  if (code?.startsWith("ERR_INVALID")) return reasons.Unsupported(code)
  return answered
    ? reasons.InvalidResponse(`the connection broke after ${received} bytes of the body${code ? `, ${code}` : ""}`)
    : reasons.Unavailable(code ?? "the connection failed")
}

const hints: Readonly<Record<string, string>> = {
  required: "; set `userProject`, which names the project that pays",
  UserProjectMissing: "; set `userProject`, which names the project that pays"
}

const describe = ({ code, message, status }: Refusal, secret: string | undefined): string => {
  const hint = status === 400 && code !== undefined ? (hints[code] ?? "") : ""
  const text = message === undefined || message === "" ? "" : `: ${redact(message, secret)}`
  return `HTTP ${status}${code === undefined ? "" : ` ${code}`}${text}${hint}`
}

/** Text of a server without what may be secret in it: the credentials sent, tokens, query strings. */
export const redact = (text: string, secret?: string): string => {
  const known = secret === undefined || secret === "" ? text : text.replaceAll(secret, "<redacted>")
  const clean = known
    .replaceAll(/\bBearer\s+\S+/gi, "Bearer <redacted>")
    .replaceAll(/(https?:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/g, "$1")
    .replaceAll(/\s+/g, " ")
    .trim()
  return clean.length > 300 ? `${clean.slice(0, 300)}...` : clean
}

const ErrorBody = Schema.fromJsonString(
  Schema.Struct({
    error: Schema.Struct({
      message: Schema.optional(Schema.String),
      errors: Schema.optional(Schema.Array(Schema.Struct({ reason: Schema.optional(Schema.String) })))
    })
  })
)

const decodeErrorBody = Schema.decodeUnknownResult(ErrorBody)

const xmlText = (body: string, element: string): string | undefined => {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(body)?.[1]
  return text?.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&")
}

/** Reads the body of an error: JSON, XML, or the plain text that `alt=media` answers with. */
export const refusal = ({ body, status }: Pick<Answer, "body" | "status">): Refusal => {
  const text = new TextDecoder().decode(body)
  const json = decodeErrorBody(text)
  if (Result.isSuccess(json)) {
    const { errors, message } = json.success.error
    return { status, code: errors?.[0]?.reason, message }
  }
  if (text.includes("<Error>")) return { status, code: xmlText(text, "Code"), message: xmlText(text, "Message") }
  // Proxies answer with pages of HTML, which say nothing; `alt=media` with plain text, whatever it calls it.
  const message = /^\s*</.test(text) ? undefined : text
  const isUnpaid = status === 400 && text.startsWith("Bucket is a requester pays bucket")
  return isUnpaid ? { status, code: "UserProjectMissing", message } : { status, message }
}
