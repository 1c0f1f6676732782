/**
 * Keeping a repository in order: old snapshots expire, files that nothing needs are deleted, manifests are divided anew, and
 * the whole is counted and checked.
 *
 * @since 0.1.0
 */
export { cleanOverwritten, type Cleaned, cleanTemporaryFiles, type OverwrittenOptions } from "./upkeep/Leftovers.ts"
export {
  type CollectError,
  collectGarbage,
  type Collection,
  type CollectOptions,
  type FileCounts
} from "./upkeep/Collection.ts"
export type { CollectionPlan } from "./upkeep/CollectionPlan.ts"
export { type Age, InvalidCutoff } from "./upkeep/Cutoff.ts"
export { expire, type ExpirationPlan, type ExpireOptions, type RefPolicy } from "./upkeep/Expiration.ts"
export { type FileColumns, type FileCount, namesOf } from "./upkeep/IdTable.ts"
export { check, type Checked, type CheckError, type CheckOptions, describe, Finding } from "./upkeep/Integrity.ts"
export {
  type Rewrite,
  type RewriteError,
  rewriteManifests,
  type RewriteOptions,
  type RewrittenArray
} from "./upkeep/ManifestRewrite.ts"
export type { Progress, ProgressOptions } from "./upkeep/Progress.ts"
export { type ChunkUse, type Statistics, statistics } from "./upkeep/Statistics.ts"
