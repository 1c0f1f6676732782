/**
 * Google Cloud Storage for Icechunk repositories and virtual chunks.
 *
 * @since 0.1.0
 */

export * as GcsObjectStore from "./GcsObjectStore.ts"
export * as GcsOptions from "./GcsOptions.ts"
export * as GcsPlatform from "./GcsPlatform.ts"
export * as GcsSettings from "./GcsSettings.ts"
