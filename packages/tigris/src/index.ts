/**
 * Tigris as the storage of repositories and virtual chunks: consistency, buckets, snapshots, forks, environments.
 *
 * @since 0.1.0
 */
export * as BucketError from "./BucketError.ts"
export * as BucketLocations from "./BucketLocations.ts"
export * as BucketName from "./BucketName.ts"
export * as Environments from "./Environments.ts"
export * as Fork from "./Fork.ts"
export * as ForkRebinding from "./ForkRebinding.ts"
export * as TigrisBuckets from "./TigrisBuckets.ts"
export * as TigrisHeaders from "./TigrisHeaders.ts"
export * as TigrisObjectStore from "./TigrisObjectStore.ts"
export * as TigrisOptions from "./TigrisOptions.ts"
export * as TigrisPlatform from "./TigrisPlatform.ts"
