/**
 * What `OnDemand` loads, as one file.
 *
 * @since 0.1.0
 */
export * as Attributes from "./Attributes.ts"
export * as ChunkStream from "./ChunkStream.ts"
export * as SessionQueries from "./SessionQueries.ts"
export * as HistoryDependencies from "./versions/HistoryDependencies.ts"
export * as Spec1 from "./versions/Spec1.ts"
