/**
 * A schema for every error of this package, for programs that send errors elsewhere: to a worker, over RPC, into a
 * queue. What arrives is an instance of the same class. This module loads `effect/Schema`; the errors themselves do not,
 * because a program that opens a repository and reads has no need of it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Errors from "../Errors.ts"
import { Conflict } from "./ConflictSchema.ts"
import * as Reasons from "../store/ObjectStoreError.ts"

/** The class of an error that is made from its fields. */
type ErrorClass = new (fields: never) => Error & { readonly _tag: string }

/**
 * The schema of an error class: its instances on one side, its tag and fields on the other.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorSchema<Class extends ErrorClass, Fields extends Schema.Struct.Fields> = Schema.decodeTo<
  Schema.instanceOf<InstanceType<Class>>,
  Schema.TaggedStruct<InstanceType<Class>["_tag"], Fields>
>

/** Every field that the class has, and with its type. */
type FieldsOf<Class extends ErrorClass> = {
  readonly [K in keyof ConstructorParameters<Class>[0]]-?: Schema.Codec<ConstructorParameters<Class>[0][K], unknown>
}

const of = <Class extends ErrorClass, const Fields extends FieldsOf<Class> & Schema.Struct.Fields>(
  error: Class,
  fields: Fields
): ErrorSchema<Class, Fields> => {
  type Instance = InstanceType<Class>
  const make = error as unknown as new (fields: unknown) => Instance
  const tag = make.prototype.name as Instance["_tag"]
  const struct = Schema.TaggedStruct(tag, fields)
  return struct.pipe(
    Schema.decodeTo(
      Schema.instanceOf(make, { identifier: tag }),
      SchemaTransformation.transform<Instance, (typeof struct)["Type"]>({
        decode: (own) => new make(own),
        // The struct takes its own fields from it.
        encode: (instance) => instance as unknown as (typeof struct)["Type"]
      })
    )
  )
}

/** What every reason may have. */
const reason = { detail: Schema.optional(Schema.String), cause: Schema.optional(Schema.Defect()) }

const waiting = { retryAfter: Schema.optional(Schema.Number) }

/**
 * Why a request to an object store failed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  of(Reasons.NotFound, reason),
  of(Reasons.AlreadyExists, reason),
  of(Reasons.PreconditionFailed, reason),
  of(Reasons.NotModified, reason),
  of(Reasons.InvalidRange, { ...reason, size: Schema.optional(Schema.Number) }),
  of(Reasons.Unauthenticated, {
    ...reason,
    because: Schema.optional(Schema.String),
    unavailable: Schema.optional(Schema.String)
  }),
  of(Reasons.PermissionDenied, reason),
  of(Reasons.RateLimited, { ...reason, ...waiting }),
  of(Reasons.Unavailable, {
    ...reason,
    ...waiting,
    because: Schema.optional(Schema.String),
    isLasting: Schema.optional(Schema.Boolean)
  }),
  of(Reasons.InvalidResponse, {
    ...reason,
    isFinal: Schema.optional(Schema.Boolean),
    isPage: Schema.optional(Schema.Boolean)
  }),
  of(Reasons.Unsupported, reason)
])

const kind = Schema.Literals(["node", "group", "array"])

/** @category schemas @since 0.1.0 */
export const FormatError = of(Errors.FormatError, { file: Schema.String, field: Schema.String, problem: Schema.String })

/** @category schemas @since 0.1.0 */
export const ManifestTooLarge = of(Errors.ManifestTooLarge, { refs: Schema.Int, bytes: Schema.Number })

/** @category schemas @since 0.1.0 */
export const ConfigConflict = of(Errors.ConfigConflict, { store: Schema.String, attempts: Schema.Int })

/** @category schemas @since 0.1.0 */
export const ConfigOutcomeUnknown = of(Errors.ConfigOutcomeUnknown, {
  store: Schema.String,
  problem: Schema.String,
  cause: Schema.Defect()
})

/** @category schemas @since 0.1.0 */
export const InvalidLocationQuery = of(Errors.InvalidLocationQuery, {
  field: Schema.Literals(["container", "protocol", "prefix", "glob"]),
  value: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const InvalidCutoff = of(Errors.InvalidCutoff, {
  cutoff: Schema.String,
  latest: Schema.optional(Schema.Number),
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const RebaseConflict = of(Errors.RebaseConflict, {
  branch: Schema.String,
  expected: Schema.String,
  actual: Schema.String,
  conflicts: Schema.Array(Conflict)
})

/** @category schemas @since 0.1.0 */
export const RebaseImpossible = of(Errors.RebaseImpossible, {
  branch: Schema.String,
  expected: Schema.String,
  actual: Schema.String,
  because: Schema.String
})

/** @category schemas @since 0.1.0 */
export const MergeImpossible = of(Errors.MergeImpossible, {
  into: Schema.String,
  from: Schema.String,
  because: Schema.String
})

/** @category schemas @since 0.1.0 */
export const CommitConflict = of(Errors.CommitConflict, {
  branch: Schema.String,
  expected: Schema.String,
  actual: Schema.String
})

/** @category schemas @since 0.1.0 */
export const CommitOutcomeUnknown = of(Errors.CommitOutcomeUnknown, {
  branch: Schema.String,
  snapshotId: Schema.String,
  problem: Schema.String,
  cause: Schema.Defect()
})

/** @category schemas @since 0.1.0 */
export const AmendRefused = of(Errors.AmendRefused, {
  branch: Schema.String,
  snapshotId: Schema.String,
  because: Schema.String,
  canBeForced: Schema.Boolean
})

/** @category schemas @since 0.1.0 */
export const InvalidMove = of(Errors.InvalidMove, { from: Schema.String, to: Schema.String, problem: Schema.String })

/** @category schemas @since 0.1.0 */
export const UnsupportedChunkGrid = of(Errors.UnsupportedChunkGrid, { path: Schema.String, grid: Schema.String })

/** @category schemas @since 0.1.0 */
export const InvalidReindex = of(Errors.InvalidReindex, {
  path: Schema.String,
  from: Schema.String,
  to: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const OtherRepository = of(Errors.OtherRepository, { store: Schema.String, other: Schema.String })

/** @category schemas @since 0.1.0 */
export const RefForbidden = of(Errors.RefForbidden, {
  kind: Schema.Literals(["branch", "tag"]),
  name: Schema.String,
  because: Schema.String
})

/** @category schemas @since 0.1.0 */
export const RefNotFound = of(Errors.RefNotFound, {
  kind: Schema.Literals(["branch", "tag", "snapshot"]),
  name: Schema.String,
  known: Schema.Array(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const ClockSkew = of(Errors.ClockSkew, { store: Schema.String, latest: Schema.Number })

/** @category schemas @since 0.1.0 */
export const ConfigNotPublished = of(Errors.ConfigNotPublished, {
  store: Schema.String,
  problem: Schema.String,
  cause: Schema.Defect()
})

/** @category schemas @since 0.1.0 */
export const NothingToMigrate = of(Errors.NothingToMigrate, { store: Schema.String })

/** @category schemas @since 0.1.0 */
export const MigrationDiverged = of(Errors.MigrationDiverged, {
  store: Schema.String,
  branch: Schema.String,
  spec1: Schema.String,
  spec2: Schema.String
})

/** @category schemas @since 0.1.0 */
export const OutcomeUnknown = of(Errors.OutcomeUnknown, {
  store: Schema.String,
  problem: Schema.String,
  cause: Schema.Defect()
})

/** @category schemas @since 0.1.0 */
export const RepositoryAlreadyExists = of(Errors.RepositoryAlreadyExists, {
  store: Schema.String,
  found: Schema.String
})

/** @category schemas @since 0.1.0 */
export const RepositoryBusy = of(Errors.RepositoryBusy, { store: Schema.String, attempts: Schema.Int })

/** @category schemas @since 0.1.0 */
export const NotARepository = of(Errors.NotARepository, { store: Schema.String, because: Schema.String })

/** @category schemas @since 0.1.0 */
export const RepositoryNotFound = of(Errors.RepositoryNotFound, { store: Schema.String })

/** @category schemas @since 0.1.0 */
export const RepositoryOffline = of(Errors.RepositoryOffline, {
  store: Schema.String,
  reason: Schema.optional(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const NoSnapshotAsOf = of(Errors.NoSnapshotAsOf, {
  branch: Schema.String,
  asOf: Schema.Number,
  oldest: Schema.Number
})

/** @category schemas @since 0.1.0 */
export const NotAnAncestor = of(Errors.NotAnAncestor, {
  from: Schema.String,
  to: Schema.String,
  isDescendant: Schema.Boolean
})

/** @category schemas @since 0.1.0 */
export const OperationsLogIncomplete = of(Errors.OperationsLogIncomplete, {
  store: Schema.String,
  file: Schema.String
})

/** @category schemas @since 0.1.0 */
export const InvalidSetting = of(Errors.InvalidSetting, {
  setting: Schema.Literals(["status", "reason", "feature flag", "value of a feature flag"]),
  value: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const NotInspectable = of(Errors.NotInspectable, { key: Schema.String, problem: Schema.String })

/** @category schemas @since 0.1.0 */
export const UnsupportedSpecVersion = of(Errors.UnsupportedSpecVersion, { store: Schema.String, version: Schema.Int })

/** @category schemas @since 0.1.0 */
export const InvalidChunk = of(Errors.InvalidChunk, {
  path: Schema.String,
  index: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const InvalidIndex = of(Errors.InvalidIndex, {
  path: Schema.String,
  index: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const InvalidPath = of(Errors.InvalidPath, { path: Schema.String, problem: Schema.String })

/** @category schemas @since 0.1.0 */
export const InvalidVirtualRef = of(Errors.InvalidVirtualRef, {
  path: Schema.String,
  at: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const NodeAlreadyExists = of(Errors.NodeAlreadyExists, { path: Schema.String, found: kind })

/** @category schemas @since 0.1.0 */
export const NodeNotFound = of(Errors.NodeNotFound, { path: Schema.String, wanted: kind, found: Schema.optional(kind) })

/** @category schemas @since 0.1.0 */
export const NothingToCommit = of(Errors.NothingToCommit, { branch: Schema.String })

/** @category schemas @since 0.1.0 */
export const WriteForbidden = of(Errors.WriteForbidden, { target: Schema.String, because: Schema.String })

/** @category schemas @since 0.1.0 */
export const ObjectStoreError = of(Errors.ObjectStoreError, {
  store: Schema.String,
  operation: Schema.Literals(["get", "put", "head", "list", "delete", "copy"]),
  key: Schema.String,
  reason: Reason
})

/** @category schemas @since 0.1.0 */
export const CredentialsUnavailable = of(Errors.CredentialsUnavailable, {
  problem: Schema.String,
  container: Schema.optional(Schema.String),
  cause: Schema.optional(Schema.Defect())
})

/** @category schemas @since 0.1.0 */
export const InvalidLocation = of(Errors.InvalidLocation, { location: Schema.String, problem: Schema.String })

/** @category schemas @since 0.1.0 */
export const InvalidConfig = of(Errors.InvalidConfig, {
  source: Schema.String,
  field: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const InvalidMetadata = of(Errors.InvalidMetadata, {
  path: Schema.String,
  field: Schema.String,
  problem: Schema.String
})

/** @category schemas @since 0.1.0 */
export const ChecksumMismatch = of(Errors.ChecksumMismatch, {
  location: Schema.String,
  container: Schema.String,
  expected: Schema.String,
  observed: Schema.optional(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const VirtualObjectNotFound = of(Errors.VirtualObjectNotFound, {
  location: Schema.String,
  container: Schema.String,
  store: Schema.String
})

/** @category schemas @since 0.1.0 */
export const MissingContainer = of(Errors.MissingContainer, {
  location: Schema.String,
  wanted: Schema.String,
  known: Schema.Array(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const UnknownContainer = of(Errors.UnknownContainer, {
  option: Schema.String,
  name: Schema.String,
  known: Schema.Array(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const MissingCredentials = of(Errors.MissingCredentials, {
  container: Schema.String,
  platform: Schema.String,
  because: Schema.String,
  remedy: Schema.optional(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const MissingPlatform = of(Errors.MissingPlatform, {
  container: Schema.String,
  platform: Schema.String,
  known: Schema.Array(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const InvalidKey = of(Errors.InvalidKey, { key: Schema.String, problem: Schema.String })

/** @category schemas @since 0.1.0 */
export const StoreClosed = of(Errors.StoreClosed, { key: Schema.String })

/** @category schemas @since 0.1.0 */
export const StoreTooLarge = of(Errors.StoreTooLarge, {
  path: Schema.String,
  bytes: Schema.Number,
  maxBytes: Schema.Number
})

/** @category schemas @since 0.1.0 */
export const ZarritaError = of(Errors.ZarritaError, {
  kind: Schema.Literals([
    "NotFoundError",
    "InvalidMetadataError",
    "UnknownCodecError",
    "CodecPipelineError",
    "InvalidSelectionError",
    "UnsupportedError"
  ]),
  problem: Schema.String,
  cause: Schema.Defect()
})

/** @category schemas @since 0.1.0 */
export const PieceOverlap = of(Errors.PieceOverlap, {
  path: Schema.String,
  indices: Schema.Array(Schema.String),
  count: Schema.Number,
  piece: Schema.optional(Schema.String)
})

/** @category schemas @since 0.1.0 */
export const PieceMismatch = of(Errors.PieceMismatch, {
  piece: Schema.String,
  of: Schema.Literals(["session", "base", "repository"]),
  because: Schema.String
})

/** @category schemas @since 0.1.0 */
export const PieceAlreadyMerged = of(Errors.PieceAlreadyMerged, { piece: Schema.String })

/** @category schemas @since 0.1.0 */
export const OutsidePiece = of(Errors.OutsidePiece, {
  piece: Schema.String,
  path: Schema.String,
  index: Schema.String
})

/** @category schemas @since 0.1.0 */
export const InvalidPiece = of(Errors.InvalidPiece, {
  field: Schema.String,
  problem: Schema.String,
  piece: Schema.optional(Schema.String)
})
