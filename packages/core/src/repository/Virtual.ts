/**
 * What `OnDemand` loads when a chunk is virtual, as one file.
 *
 * @since 0.1.0
 */
export * as ChunkResolver from "../virtual/ChunkResolver.ts"
export * as ContainerMatch from "../virtual/ContainerMatch.ts"
export * as ContainerStores from "../virtual/ContainerStores.ts"
export * as ContainerAccess from "./ContainerAccess.ts"
