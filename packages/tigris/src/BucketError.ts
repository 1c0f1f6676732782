/**
 * Why a request about a bucket failed: one error, one closed set of reasons, each saying what to check.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const ReasonFields = {
  /** What the service said, without secrets and query strings. */
  detail: Schema.optional(Schema.String)
}

/**
 * The credentials are known, and may not do this.
 *
 * @category reasons
 * @since 0.1.0
 */
export class AccessDenied extends Schema.TaggedError<AccessDenied>()("AccessDenied", ReasonFields) {
  readonly isRetryable = false
  override get message(): string {
    return "was denied; check the role of the access key: `Editor` of the bucket to change it, `ReadOnly` to see it, and an administrator's key to create and list buckets"
  }
}

/**
 * The service does not accept the credentials.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CredentialsRefused extends Schema.TaggedError<CredentialsRefused>()("CredentialsRefused", {
  ...ReasonFields,
  /** They were good once. */
  isExpired: Schema.Boolean
}) {
  readonly isRetryable = false
  override get message(): string {
    return this.isExpired
      ? "was refused because the credentials have expired; check that they are refreshed: pass an Effect as `credentials`"
      : "was refused because the credentials are wrong or absent; check access key id, secret and session token, and that they belong to this endpoint"
  }
}

/**
 * Nothing answers at the endpoint.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ConnectionRefused extends Schema.TaggedError<ConnectionRefused>()("ConnectionRefused", {
  ...ReasonFields,
  /** Base URL. */
  endpoint: Schema.String
}) {
  readonly isRetryable = true
  override get message(): string {
    return `could not be made because nothing answers at \`${this.endpoint}\`; check \`endpoint\`, network and name resolution`
  }
}

/**
 * There is a bucket of this name, of one's own or of somebody else.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BucketAlreadyExists extends Schema.TaggedError<BucketAlreadyExists>()(
  "BucketAlreadyExists",
  ReasonFields
) {
  readonly isRetryable = false
  override get message(): string {
    return "failed because the bucket exists already; names are shared by all users of Tigris: check `TigrisBuckets.list` whether it is yours, else choose another name"
  }
}

/**
 * There is no bucket of this name.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BucketNotFound extends Schema.TaggedError<BucketNotFound>()("BucketNotFound", {
  ...ReasonFields,
  bucket: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return `failed because there is no bucket \`${this.bucket}\`; check its name, and that the access key belongs to its organization`
  }
}

/**
 * The bucket was created without snapshots, so that it can be neither snapshotted nor forked.
 *
 * @category reasons
 * @since 0.1.0
 */
export class SnapshotsNotEnabled extends Schema.TaggedError<SnapshotsNotEnabled>()("SnapshotsNotEnabled", {
  ...ReasonFields,
  bucket: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return `failed because snapshots are not enabled for \`${this.bucket}\`; create buckets with \`snapshots: true\`, or enable them in the bucket's settings in Tigris`
  }
}

/**
 * The bucket has no such snapshot.
 *
 * @category reasons
 * @since 0.1.0
 */
export class SnapshotNotFound extends Schema.TaggedError<SnapshotNotFound>()("SnapshotNotFound", {
  ...ReasonFields,
  bucket: Schema.String,
  version: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return `failed because \`${this.bucket}\` has no snapshot \`${this.version}\`; check \`TigrisBuckets.snapshots\``
  }
}

/**
 * Other buckets are forks of the bucket and share its data.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BucketHasForks extends Schema.TaggedError<BucketHasForks>()("BucketHasForks", ReasonFields) {
  readonly isRetryable = false
  override get message(): string {
    return "failed because other buckets are forks of it; delete those first, `TigrisBuckets.forks` lists them"
  }
}

/**
 * The bucket has contents, and was to be deleted only without any.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BucketNotEmpty extends Schema.TaggedError<BucketNotEmpty>()("BucketNotEmpty", ReasonFields) {
  readonly isRetryable = false
  override get message(): string {
    return "failed because it is not empty; check what it holds, then delete it with `contents: true`"
  }
}

/**
 * A bucket holds a repository, whose branches are in one object: objects that are taken over one by one would leave the
 * branches of one side only, and the commits of the other would be lost.
 *
 * @category reasons
 * @since 0.1.0
 */
export class HoldsRepository extends Schema.TaggedError<HoldsRepository>()("HoldsRepository", {
  ...ReasonFields,
  bucket: Schema.String,
  /** The object that tells. */
  key: Schema.String
}) {
  readonly isRetryable = false
  override get message(): string {
    return `was refused because \`${this.bucket}\` holds a repository (\`${this.key}\`): Tigris takes over objects one by one and knows nothing of commits, so that those of one side could be lost; use \`Fork.merge\` and \`Fork.refresh\`, or \`Environments\``
  }
}

/**
 * The service asks for fewer requests, failed, or broke the connection.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", ReasonFields) {
  readonly isRetryable = true
  override get message(): string {
    return "failed on the service's side or on the way; try again later"
  }
}

/**
 * The service answered with something that this protocol does not have. It may be no Tigris.
 *
 * @category reasons
 * @since 0.1.0
 */
export class UnexpectedAnswer extends Schema.TaggedError<UnexpectedAnswer>()("UnexpectedAnswer", ReasonFields) {
  readonly isRetryable = false
  override get message(): string {
    return "got an answer that Tigris does not give; check that `endpoint` is Tigris"
  }
}

const ReasonSchema = Schema.Union([
  AccessDenied,
  CredentialsRefused,
  ConnectionRefused,
  BucketAlreadyExists,
  BucketNotFound,
  SnapshotsNotEnabled,
  SnapshotNotFound,
  BucketHasForks,
  BucketNotEmpty,
  HoldsRepository,
  Unavailable,
  UnexpectedAnswer
])

/**
 * Every way in which a request about buckets can fail.
 *
 * @category reasons
 * @since 0.1.0
 */
export type Reason = typeof ReasonSchema.Type

/**
 * What is done to buckets, as errors and spans name it.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation =
  | "create"
  | "fork"
  | "merge"
  | "rebase"
  | "delete"
  | "list"
  | "info"
  | "locations"
  | "forks"
  | "createSnapshot"
  | "deleteSnapshot"
  | "snapshots"

/** What failed, as the beginning of a sentence. */
const subject: Readonly<Record<Operation, (bucket: string) => string>> = {
  create: (bucket) => `Creating bucket \`${bucket}\``,
  fork: (bucket) => `Creating fork \`${bucket}\``,
  merge: (bucket) => `Merging fork \`${bucket}\` object by object`,
  rebase: (bucket) => `Rebasing fork \`${bucket}\` object by object`,
  delete: (bucket) => `Deleting bucket \`${bucket}\``,
  list: () => "Listing the buckets",
  info: (bucket) => `Asking about bucket \`${bucket}\``,
  locations: (bucket) => `Asking where bucket \`${bucket}\` is`,
  forks: (bucket) => `Listing the forks of \`${bucket}\``,
  createSnapshot: (bucket) => `Snapshotting bucket \`${bucket}\``,
  deleteSnapshot: (bucket) => `Deleting a snapshot of bucket \`${bucket}\``,
  snapshots: (bucket) => `Listing the snapshots of \`${bucket}\``
}

/**
 * A request about buckets failed. `reason` says why and whether the same request may succeed later.
 *
 * @category errors
 * @since 0.1.0
 */
export class BucketError extends Schema.TaggedError<BucketError>()("BucketError", {
  operation: Schema.Literals([
    "create",
    "fork",
    "merge",
    "rebase",
    "delete",
    "list",
    "info",
    "locations",
    "forks",
    "createSnapshot",
    "deleteSnapshot",
    "snapshots"
  ]),
  /** Empty for lists of all buckets. */
  bucket: Schema.String,
  reason: ReasonSchema
}) {
  /** Whether the same request may succeed later. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
  override get message(): string {
    const detail = this.reason.detail === undefined ? "" : ` (${this.reason.detail})`
    return `${subject[this.operation](this.bucket)} ${this.reason.message}${detail}`
  }
}

/**
 * Whether an error is a `BucketError` for a certain reason.
 *
 * @category predicates
 * @since 0.1.0
 */
export const hasReason =
  <Tag extends Reason["_tag"]>(tag: Tag) =>
  (error: {
    readonly _tag: string
  }): error is BucketError & { readonly reason: Extract<Reason, { readonly _tag: Tag }> } =>
    error instanceof BucketError && error.reason._tag === tag

/** Error codes that mean one thing, whatever was asked. Others are judged by their status. */
const reasonByCode: ReadonlyMap<string, "exists" | "missing" | "notEmpty"> = new Map([
  ["BucketAlreadyExists", "exists"],
  ["BucketAlreadyOwnedByYou", "exists"],
  ["NoSuchBucket", "missing"],
  ["NotFound", "missing"],
  ["BucketNotEmpty", "notEmpty"]
])

/**
 * The part of a failed request that decides on the reason, as `S3Failure` has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly code?: string | undefined
  readonly status?: number | undefined
  readonly reason: { readonly _tag: string; readonly detail?: string | undefined }
}

const unreachable: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"])
const expired: ReadonlySet<string> = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])

/**
 * The reason of a failed request. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const classify = (failure: Failure, about: { readonly bucket: string; readonly endpoint: string }): Reason => {
  const { code = "", status } = failure
  const { detail } = failure.reason
  if (unreachable.has(code)) return new ConnectionRefused({ detail, endpoint: about.endpoint })
  switch (reasonByCode.get(code)) {
    case "exists":
      return new BucketAlreadyExists({ detail })
    case "missing":
      return new BucketNotFound({ detail, bucket: about.bucket })
    case "notEmpty":
      return new BucketNotEmpty({ detail })
  }
  switch (failure.reason._tag) {
    case "Unauthenticated":
      return new CredentialsRefused({ detail, isExpired: expired.has(code) })
    case "PermissionDenied":
      return new AccessDenied({ detail })
    case "NotFound":
      return new BucketNotFound({ detail, bucket: about.bucket })
    case "RateLimited":
      return new Unavailable({ detail })
    case "Unavailable":
      return status === 409 ? new UnexpectedAnswer({ detail }) : new Unavailable({ detail })
    default:
      return new UnexpectedAnswer({ detail })
  }
}
