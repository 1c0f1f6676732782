/**
 * Icechunk for Effect: versioned, transactional Zarr arrays whose chunks may live in files that nobody
 * copies.
 *
 * @since 0.1.0
 */
export * as Errors from "./Errors.ts"

export * as ByteRange from "./values/ByteRange.ts"
export * as Checksum from "./values/Checksum.ts"
export * as ChunkIndex from "./values/ChunkIndex.ts"
export * as Credentials from "./values/Credentials.ts"
export * as Location from "./values/Location.ts"
export * as NodePath from "./values/NodePath.ts"
export * as ObjectId from "./values/ObjectId.ts"
export * as RepositoryConfig from "./values/RepositoryConfig.ts"
export * as VirtualChunkContainer from "./values/VirtualChunkContainer.ts"
export * as VirtualChunkRef from "./values/VirtualChunkRef.ts"
export * as ZarrMetadata from "./values/ZarrMetadata.ts"

export * as MemoryObjectStore from "./store/MemoryObjectStore.ts"
export * as DeferredWrites from "./store/DeferredWrites.ts"
export * as ObjectStore from "./store/ObjectStore.ts"
export * as ObjectStoreError from "./store/ObjectStoreError.ts"
export * as RangePlan from "./store/RangePlan.ts"
export * as Readback from "./store/Readback.ts"
export * as RequestMetrics from "./store/RequestMetrics.ts"
export * as RequestSpan from "./store/RequestSpan.ts"

export * as FormatError from "./encoding/FormatError.ts"
export * as Zstd from "./encoding/Zstd.ts"

export * as ChunkResolver from "./virtual/ChunkResolver.ts"
export * as ContainerMatch from "./virtual/ContainerMatch.ts"
export * as Platform from "./virtual/Platform.ts"

export * as ChunkCache from "./repository/ChunkCache.ts"
export * as BranchMerge from "./repository/changes/BranchMerge.ts"
export * as Conflict from "./repository/changes/Conflict.ts"
export * as Pieces from "./repository/changes/Pieces.ts"
export * as Rebase from "./repository/changes/Rebase.ts"
export * as Dependencies from "./repository/Dependencies.ts"
export * as Detection from "./repository/Detection.ts"
export * as History from "./repository/History.ts"
export * as Inspection from "./repository/Inspection.ts"
export * as LocationQuery from "./repository/LocationQuery.ts"
export * as Maintenance from "./repository/Maintenance.ts"
export * as ReadonlyRepository from "./repository/ReadonlyRepository.ts"
export * as Migration from "./repository/upkeep/Migration.ts"
export * as Repository from "./repository/Repository.ts"
export * as RepositoryError from "./repository/RepositoryError.ts"
export * as RepositoryState from "./repository/RepositoryState.ts"
export * as Session from "./repository/Session.ts"
export * as SessionError from "./repository/SessionError.ts"
export * as WritableSession from "./repository/WritableSession.ts"

export * as ZarritaStore from "./zarr/ZarritaStore.ts"
export * as ZarrStore from "./zarr/ZarrStore.ts"
