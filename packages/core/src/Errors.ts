/**
 * Every error that a caller of this package can meet, in one place.
 *
 * @since 0.1.0
 */
export { FormatError } from "./encoding/FormatError.ts"
export { ManifestTooLarge } from "./format/manifest/ManifestWriter.ts"
export { MergeImpossible } from "./repository/changes/MergePlan.ts"
export {
  InvalidPiece,
  OutsidePiece,
  PieceAlreadyMerged,
  PieceMismatch,
  PieceOverlap
} from "./repository/changes/PieceError.ts"
export { RebaseConflict, RebaseImpossible } from "./repository/changes/Rebase.ts"
export { ConfigConflict, ConfigOutcomeUnknown } from "./repository/config/ConfigFile.ts"
export { NotARepository } from "./repository/Detection.ts"
export { InvalidLocationQuery } from "./repository/LocationQuery.ts"
export { NotInspectable } from "./repository/inspection/NotInspectable.ts"
export { NotAnAncestor } from "./repository/versions/Diff.ts"
export { OperationsLogIncomplete } from "./repository/versions/OperationsLog.ts"
export { InvalidCutoff } from "./repository/upkeep/Cutoff.ts"
export {
  AmendRefused,
  CommitConflict,
  CommitOutcomeUnknown,
  RefForbidden,
  RefNotFound
} from "./repository/versions/RepoChange.ts"
export { InvalidSetting } from "./repository/versions/Settings.ts"
export { NoSnapshotAsOf } from "./repository/versions/Version.ts"
export {
  ClockSkew,
  ConfigNotPublished,
  NothingToMigrate,
  OutcomeUnknown,
  RepositoryAlreadyExists,
  RepositoryBusy,
  RepositoryNotFound,
  RepositoryOffline,
  UnsupportedSpecVersion
} from "./repository/RepositoryError.ts"
export { MigrationDiverged } from "./repository/upkeep/MigrationPlan.ts"
export {
  InvalidChunk,
  InvalidIndex,
  InvalidMove,
  InvalidPath,
  InvalidReindex,
  InvalidVirtualRef,
  NodeAlreadyExists,
  NodeNotFound,
  NothingToCommit,
  OtherRepository,
  UnsupportedChunkGrid
} from "./repository/SessionError.ts"
export { WriteForbidden } from "./store/ObjectStore.ts"
export { ObjectStoreError } from "./store/ObjectStoreError.ts"
export { CredentialsUnavailable } from "./values/Credentials.ts"
export { InvalidLocation } from "./values/Location.ts"
export { InvalidConfig } from "./values/RepositoryConfig.ts"
export { InvalidMetadata } from "./values/ZarrMetadata.ts"
export { ChecksumMismatch, VirtualObjectNotFound } from "./virtual/ChunkResolver.ts"
export { MissingContainer, UnknownContainer } from "./virtual/ContainerMatch.ts"
export { MissingCredentials, MissingPlatform } from "./virtual/Platform.ts"
export { InvalidKey } from "./zarr/ZarrKey.ts"
