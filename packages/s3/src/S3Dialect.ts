/**
 * What differs between services that speak S3: how they want conditions, and which headers they need.
 *
 * @since 0.1.0
 */

/**
 * How the ETag of a condition on a write is spelled: with its quotes (RFC 9110, section 8.8.3; AWS) or
 * without them (Ceph, DigitalOcean, which refuse the quoted one with 412 always). `ask` finds out with the first
 * update that the store refuses although the object still has the expected ETag.
 *
 * @category models
 * @since 0.1.0
 */
export type ConditionalEtag = "quoted" | "bare" | "ask"

/**
 * A dialect, as data. Packages for one service (as for Tigris) pass their own to `S3ObjectStore.makeWith`.
 *
 * @category models
 * @since 0.1.0
 */
export interface S3Dialect {
  /** `origin.platform` of the stores, and the protocol in their description. */
  readonly platform: string
  readonly conditionalEtag: ConditionalEtag
  /**
   * Conditional puts are enforced. Without, they fail with `Unsupported` before a request. `ask` finds out: after the
   * first conditional put of a kind the same bytes are put again under a condition that cannot hold.
   */
  readonly conditionalPut: boolean | "ask"
  /** `x-amz-copy-source-if-match` is enforced. Without, a conditional copy is a conditional read and a put. */
  readonly conditionalCopy: boolean
  /** Conditions on the completion of a multipart upload are enforced. Without, conditional puts are single requests. */
  readonly conditionalMultipart: boolean
  /** Headers of every get, head and list. They win over headers of the user. */
  readonly readHeaders: Readonly<Record<string, string>>
  /** Headers of every put, delete, copy and part of an upload. They win over headers of the user. */
  readonly writeHeaders: Readonly<Record<string, string>>
  /** Headers that belong to the signature although the SDK leaves them out of it, as `cache-control`; lower case. */
  readonly signedHeaders?: ReadonlyArray<string> | undefined
}

/** A service that is known by nothing but its endpoint. */
const unknown: S3Dialect = {
  platform: "s3",
  conditionalEtag: "ask",
  conditionalPut: "ask",
  conditionalCopy: false,
  conditionalMultipart: false,
  readHeaders: {},
  writeHeaders: {}
}

const aws: S3Dialect = {
  ...unknown,
  conditionalEtag: "quoted",
  conditionalPut: true,
  conditionalCopy: true,
  conditionalMultipart: true
}

/**
 * The host of an endpoint in lower case; empty for a text that is not an http or https URL.
 *
 * @category accessors
 * @since 0.1.0
 */
export const hostOf = (endpoint: string): string => {
  const url = URL.parse(endpoint)
  return url === null || !/^https?:$/.test(url.protocol) ? "" : url.hostname.toLowerCase().replace(/\.$/, "")
}

const isUnder = (host: string, domains: ReadonlyArray<string>): boolean =>
  domains.some((domain) => host === domain || host.endsWith(`.${domain}`))

/**
 * Whether an endpoint is Tigris, which needs a Layer of its own: plain S3 requests read stale objects there.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isTigris = (endpoint: string): boolean =>
  isUnder(hostOf(endpoint), ["storage.dev", "tigris.dev", "tigrisfiles.io"])

/**
 * Whether an endpoint is one of AWS's own.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isAws = (endpoint: string): boolean => isUnder(hostOf(endpoint), ["amazonaws.com", "amazonaws.com.cn"])

/**
 * The dialect of an endpoint; `undefined` is AWS. A condition that is not known to be enforced is not relied
 * upon; conditional puts, without which there are no repositories, are tried out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forEndpoint = (endpoint: string | undefined): S3Dialect => {
  if (endpoint === undefined) return aws
  if (isAws(endpoint)) return aws
  const host = hostOf(endpoint)
  if (isUnder(host, ["r2.cloudflarestorage.com"]))
    return { ...unknown, conditionalEtag: "quoted", conditionalPut: true }
  if (isUnder(host, ["digitaloceanspaces.com"])) return { ...unknown, conditionalEtag: "bare", conditionalPut: true }
  return unknown
}
