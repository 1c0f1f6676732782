/**
 * From what the AWS SDK throws to the closed set of reasons of `ObjectStoreError`: one pure table.
 *
 * Sources: Amazon S3 API Reference, "Error responses"; the codes of Ceph, MinIO, R2 and Tigris; RFC 9110,
 * section 15.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Reason from "@effect-icechunk/core/ObjectStoreError"
import * as Repetition from "@effect-icechunk/core/store/Repetition"

/**
 * One request failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class S3Failure extends Data.TaggedError("S3Failure")<{
  readonly reason: Reason.Reason
  /** Whether our own policy repeats the request. */
  readonly isRetryable: boolean
  /** Whether a write may have been applied all the same: nothing that tells us otherwise came back. */
  readonly mayBeApplied: boolean
  /** The store's error code, as `NoSuchKey`, or Node's, as `ECONNRESET`. */
  readonly code?: string | undefined
  /** HTTP status; absent when there was no answer. */
  readonly status?: number | undefined
  /** The region where the store says that the bucket is. */
  readonly region?: string | undefined
  /** Milliseconds that the store asks to wait. */
  readonly retryAfter?: number | undefined
}> {
  override get message(): string {
    return `${this.reason.message} (${this.reason.detail ?? this.reason._tag})`
  }
}

type Tag = Reason.Reason["_tag"]

const codes = (tag: Tag, ...names: ReadonlyArray<string>): ReadonlyArray<readonly [string, Tag]> =>
  names.map((name) => [name, tag])

/**
 * Reasons by the store's error code. Codes that are not here are judged by their status.
 *
 * @category tables
 * @since 0.1.0
 */
export const reasonByCode: ReadonlyMap<string, Reason.Reason["_tag"]> = new Map([
  ...codes("NotFound", "NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NoSuchVersion", "NotFound"),
  ...codes("PreconditionFailed", "PreconditionFailed"),
  ...codes("NotModified", "NotModified"),
  ...codes("InvalidRange", "InvalidRange"),
  ...codes("Unauthenticated", "SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken"),
  ...codes("Unauthenticated", "ExpiredTokenException", "TokenRefreshRequired", "InvalidSecurity", "RequestExpired"),
  ...codes("Unauthenticated", "AuthorizationHeaderMalformed", "MissingSecurityHeader", "RequestTimeTooSkewed"),
  ...codes("Unauthenticated", "InvalidClientTokenId", "UnrecognizedClientException", "MissingAuthenticationToken"),
  ...codes("Unauthenticated", "NotSignedUp", "AuthFailure", "CredentialsProviderError", "TokenProviderError"),
  ...codes("PermissionDenied", "AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidObjectState"),
  ...codes("RateLimited", "SlowDown", "SlowDownRead", "SlowDownWrite", "TooManyRequests", "TooManyRequestsException"),
  ...codes("RateLimited", "Throttling", "ThrottlingException", "RequestLimitExceeded", "BandwidthLimitExceeded"),
  ...codes("Unavailable", "InternalError", "ServiceUnavailable", "RequestTimeout", "RequestTimeoutException"),
  // The condition could not be evaluated beside another write; neither is lost.
  ...codes("Unavailable", "ConditionalRequestConflict", "OperationAborted"),
  // The body was damaged or cut on its way to the store.
  ...codes("Unavailable", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
  ...codes("Unsupported", "NotImplemented", "MethodNotAllowed", "EntityTooLarge", "KeyTooLongError", "InvalidURI"),
  ...codes("Unsupported", "MetadataTooLarge", "PermanentRedirect", "IllegalLocationConstraintException"),
  ...codes("Unsupported", "ERR_INVALID_CHAR")
])

/**
 * Reasons by HTTP status, for answers without a known code.
 *
 * @category tables
 * @since 0.1.0
 */
export const reasonByStatus = (status: number): Reason.Reason["_tag"] => {
  switch (status) {
    case 304:
      return "NotModified"
    case 401:
      return "Unauthenticated"
    case 403:
      return "PermissionDenied"
    case 404:
      return "NotFound"
    case 412:
      return "PreconditionFailed"
    case 416:
      return "InvalidRange"
    case 429:
      return "RateLimited"
    case 408:
    case 409:
    case 499:
      return "Unavailable"
    case 501:
      return "Unsupported"
  }
  if (status >= 500) return "Unavailable"
  return status >= 300 ? "Unsupported" : "InvalidResponse"
}

/** Errors of Node that come before a request is sent. */
const unsent: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"])

interface SdkError {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly Code?: unknown
  readonly Region?: unknown
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>>; readonly statusCode?: number }
}

const nonEmpty = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

/** Names that the SDK makes up where the answer has no code. */
const isCode = (name: string): boolean => !["Error", "Unknown", "UnknownError", "S3ServiceException"].includes(name)

/**
 * What a text says without secrets: known ones, query strings and user information are cut out, and it is
 * shortened to 300 characters.
 *
 * @category formatting
 * @since 0.1.0
 */
export const scrub = (text: string, secrets: ReadonlyArray<string>): string => {
  let clean = text
  for (const secret of secrets) if (secret !== "") clean = clean.replaceAll(secret, "<redacted>")
  clean = clean.replace(/\/\/[^/\s@]*@/g, "//").replace(/\?[^\s"'<>]*=[^\s"'<>]*/g, "?<redacted>")
  return clean.length > 300 ? `${clean.slice(0, 299)}…` : clean
}

/**
 * A reason by its tag.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reason = (tag: Reason.Reason["_tag"], detail: string | undefined, size?: number): Reason.Reason =>
  tag === "InvalidRange" ? new Reason.InvalidRange({ detail, size }) : new Reason[tag]({ detail })

/**
 * A failure that we found ourselves in an answer or before a request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failure = (
  tag: Reason.Reason["_tag"],
  detail: string,
  options?: { readonly isRetryable?: boolean; readonly mayBeApplied?: boolean; readonly size?: number }
): S3Failure =>
  new S3Failure({
    reason: reason(tag, detail, options?.size),
    isRetryable: options?.isRetryable ?? false,
    mayBeApplied: options?.mayBeApplied ?? false
  })

const wrongClock =
  "the clock of this machine differs from the store's by more than the store allows, whatever the credentials; set the clock"

/** What the store said, for whoever reads the error. */
const describe = (
  code: string | undefined,
  status: number | undefined,
  more: { readonly message: string | undefined; readonly request: string | undefined }
): string => {
  const request = more.request === undefined ? "" : `, in answer to request \`${more.request}\``
  const message = more.message === undefined ? "" : `: ${more.message}`
  if (status === undefined)
    return code === undefined ? (more.message ?? "no reason was given") : `\`${code}\`${message}`
  if (code !== undefined) return `the store said \`${code}\`${message}${request}`
  return `the answer was HTTP status ${status}${message === "" ? " without a reason" : message}${request}`
}

/**
 * What an error of the SDK or of Node means. Pure. `secrets` are texts that must not appear in the result;
 * the error itself is not kept, because it holds requests, signatures and tokens.
 *
 * @category combinators
 * @since 0.1.0
 */
export const classify = (
  error: unknown,
  options?: { readonly secrets?: ReadonlyArray<string>; readonly now?: number }
): S3Failure => {
  if (error instanceof S3Failure) return error
  const thrown = (typeof error === "object" && error !== null ? error : { message: String(error) }) as SdkError
  const headers = thrown.$response?.headers ?? {}
  const status = thrown.$metadata?.httpStatusCode ?? thrown.$response?.statusCode
  const named = nonEmpty(thrown.Code) ?? nonEmpty(thrown.name)
  const code = nonEmpty(thrown.code) ?? (named !== undefined && isCode(named) ? named : undefined)
  const tag =
    (code === undefined ? undefined : reasonByCode.get(code)) ??
    (status === undefined ? "Unavailable" : reasonByStatus(status))
  const message = nonEmpty(thrown.message)
  const said = describe(code, status, {
    message:
      message === undefined || message === "UnknownError" || message === code
        ? undefined
        : scrub(message.split("\n", 1)[0]!, options?.secrets ?? []),
    request: nonEmpty(thrown.$metadata?.requestId)
  })
  const size = /^bytes \*\/(\d{1,15})$/.exec(headers["content-range"] ?? "")?.[1]
  const retryAfter = Repetition.retryAfter(headers["retry-after"], options?.now ?? 0)
  return new S3Failure({
    reason:
      code === "RequestTimeTooSkewed"
        ? new Reason.Unauthenticated({ because: wrongClock, detail: said })
        : tag === "RateLimited" || tag === "Unavailable"
          ? new Reason[tag]({ detail: said, retryAfter })
          : reason(tag, said, size === undefined ? undefined : Number(size)),
    isRetryable: tag === "RateLimited" || tag === "Unavailable",
    mayBeApplied:
      tag === "InvalidResponse" ||
      (tag === "Unavailable" && status !== 409 && !(code !== undefined && unsent.has(code))),
    code,
    status,
    region: nonEmpty(headers["x-amz-bucket-region"]) ?? nonEmpty(thrown.Region),
    retryAfter
  })
}
