/**
 * Every error that a caller of this package can meet, in one place.
 *
 * @since 0.1.0
 */
export { FormatError } from "./encoding/FormatError.ts"
export { ManifestTooLarge } from "./format/manifest/ManifestWriter.ts"
export {
  InvalidPiece,
  OutsidePiece,
  PieceAlreadyMerged,
  PieceMismatch,
  PieceOverlap
} from "./repository/changes/PieceError.ts"
export { RebaseConflict, RebaseImpossible } from "./repository/changes/Rebase.ts"
export { ConfigConflict, ConfigOutcomeUnknown } from "./repository/config/ConfigFile.ts"
export { InvalidLocationQuery } from "./repository/LocationQuery.ts"
export { CommitConflict, CommitOutcomeUnknown, RefForbidden, RefNotFound } from "./repository/versions/RepoChange.ts"
export {
  ClockSkew,
  ConfigNotPublished,
  OutcomeUnknown,
  RepositoryAlreadyExists,
  RepositoryBusy,
  RepositoryNotFound,
  UnsupportedSpecVersion
} from "./repository/RepositoryError.ts"
export {
  InvalidChunk,
  InvalidIndex,
  InvalidPath,
  InvalidVirtualRef,
  NodeAlreadyExists,
  NodeNotFound,
  NothingToCommit
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
