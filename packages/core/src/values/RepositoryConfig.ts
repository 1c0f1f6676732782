/**
 * The configuration of a repository: `config.json`. Field names and meanings follow Icechunk's `RepositoryConfig`.
 *
 * @since 0.1.0
 */
import type * as Settings from "./IcechunkSettings.ts"
import type * as Container from "./VirtualChunkContainer.ts"

export { fromInput, fromJson, parse, print, toJson, validate, validateUpdate } from "./ConfigJson.ts"
export {
  compressionLevel,
  defaults,
  inlineThreshold,
  manifestFetches,
  maxConcurrentRequests,
  merge,
  setContainer,
  updatesPerRepoObject
} from "./EffectiveConfig.ts"
export { InvalidConfig } from "./InvalidConfig.ts"

/**
 * Which arrays a rule of manifest splitting is for. Regular expressions have the syntax of RE2, and hold where they
 * occur in the path or in its last name.
 *
 * @category models
 * @since 0.1.0
 */
export type SplitCondition =
  | "any_array"
  | { readonly path_matches: { readonly regex: string } }
  | { readonly name_matches: { readonly regex: string } }
  | { readonly or: ReadonlyArray<SplitCondition> }
  | { readonly and: ReadonlyArray<SplitCondition> }

/**
 * At most `num_chunks` chunks of a manifest along an axis, by its number or by a regular expression that occurs
 * in the dimension's name, or along any.
 *
 * @category models
 * @since 0.1.0
 */
export interface SplitDimension extends Settings.Open {
  readonly condition: "Any" | { readonly Axis: number } | { readonly DimensionName: string }
  readonly num_chunks: number
}

/**
 * How the refs of an array are spread over manifests. Each dimension is cut as the first part says that is for it,
 * of all rules whose condition holds.
 *
 * @category models
 * @since 0.1.0
 */
export type SplitRule = readonly [condition: SplitCondition, dimensions: ReadonlyArray<SplitDimension>]

type Optional<A> = A | null | undefined

/**
 * The configuration. Every field is optional, and no others may be set: what only other versions or programs know is in
 * `additional_fields`, of the configuration or of the object in it that has the field.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepositoryConfig extends Settings.Open {
  /** Chunks of at most this many bytes are stored in the manifest (default 512). */
  readonly inline_chunk_threshold_bytes?: Optional<number>
  /** Where virtual chunks may be. */
  readonly virtual_chunk_containers?: Optional<ReadonlyArray<Container.VirtualChunkContainer>>
  /** Compression of metadata files: zstd, level 1 to 22 (default 3). */
  readonly compression?: Optional<
    Settings.Open & { readonly algorithm?: Optional<"zstd">; readonly level?: Optional<number> }
  >
  readonly manifest?: Optional<
    Settings.Open & {
      /** How the refs of arrays are spread over manifests. */
      readonly splitting?: Optional<Settings.Open & { readonly split_sizes?: Optional<ReadonlyArray<SplitRule>> }>
      /** Which manifests are read ahead when a session is opened (default: small ones of coordinates). */
      readonly preload?: Optional<Settings.Preload>
      /** Not used here; for other Icechunk clients. */
      readonly virtual_chunk_location_compression?: Optional<Settings.LocationCompression>
      /** Manifests of an array that a commit reads at once (default 4). */
      readonly max_concurrent_manifest_fetches_during_commit?: Optional<number>
    }
  >
  /** Not used here; for other Icechunk clients. */
  readonly caching?: Optional<Settings.Caching>
  /** For the stores of other Icechunk clients; `S3Settings` and `GcsSettings` make options of it. */
  readonly storage?: Optional<Settings.Storage>
  /** How often and how fast a write of the repository object that lost a race is tried again. */
  readonly repo_update_retries?: Optional<Settings.UpdateRetries>
  /** Not used here; for other Icechunk clients. */
  readonly get_partial_values_concurrency?: Optional<number>
  /** Requests under way at once (default 256). */
  readonly max_concurrent_requests?: Optional<number>
  /** Operations that the repository object lists before it points at an older one (default 1,000). */
  readonly num_updates_per_repo_info_file?: Optional<number>
}
