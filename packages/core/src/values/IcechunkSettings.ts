/**
 * Settings that this engine does not use and keeps for other Icechunk clients, which find them in the
 * repository object. Those refuse to open a repository where one of them has a wrong type, so that all are
 * checked here.
 *
 * Source: Icechunk's `RepositoryConfig`. Fields that are not named here are in `additional_fields`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * What only other versions know; in `config.json` it stands beside the other fields.
 *
 * @category models
 * @since 0.1.0
 */
export interface Open {
  readonly additional_fields?: Readonly<Record<string, unknown>> | undefined
}

const between = (least: number, most: number) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(least), Schema.isLessThanOrEqualTo(most))
const maxU16 = 0xffff
const maxU32 = 0xffff_ffff
const maxU64 = Number.MAX_SAFE_INTEGER

const field = <A, E>(schema: Schema.Codec<A, E>) => Schema.optional(Schema.NullOr(schema))
/**
 * The schema of an object that keeps fields which are not named here.
 *
 * @category schemas
 * @since 0.1.0
 */
export const settings = <F extends Schema.Struct.Fields>(
  fields: F
): Schema.Struct<F & { readonly additional_fields: Schema.optional<Schema.$Record<Schema.String, Schema.Unknown>> }> =>
  Schema.Struct({ ...fields, additional_fields: Schema.optional(Schema.Record(Schema.String, Schema.Unknown)) })

type Optional<A> = A | null | undefined

/**
 * Concurrency of reads of many parts.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PartialValuesConcurrency: Schema.Codec<number> = between(0, maxU16)

/**
 * Sizes of caches.
 *
 * @category models
 * @since 0.1.0
 */
export interface Caching extends Open {
  readonly num_snapshot_nodes?: Optional<number>
  readonly num_chunk_refs?: Optional<number>
  readonly num_transaction_changes?: Optional<number>
  readonly num_bytes_attributes?: Optional<number>
  readonly num_bytes_chunks?: Optional<number>
}

/**
 * @category schemas
 * @since 0.1.0
 */
export const Caching: Schema.Codec<Caching> = settings({
  num_snapshot_nodes: field(between(0, maxU64)),
  num_chunk_refs: field(between(0, maxU64)),
  num_transaction_changes: field(between(0, maxU64)),
  num_bytes_attributes: field(between(0, maxU64)),
  num_bytes_chunks: field(between(0, maxU64))
})

/**
 * How often and how fast something is tried again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retries extends Open {
  readonly max_tries?: Optional<number>
  readonly initial_backoff_ms?: Optional<number>
  readonly max_backoff_ms?: Optional<number>
}

const Retries: Schema.Codec<Retries> = settings({
  max_tries: field(between(1, maxU16)),
  initial_backoff_ms: field(between(0, maxU32)),
  max_backoff_ms: field(between(0, maxU32))
})

/**
 * Retries of updates of the repository object.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdateRetries extends Open {
  readonly default?: Optional<Retries>
}

/**
 * @category schemas
 * @since 0.1.0
 */
export const UpdateRetries: Schema.Codec<UpdateRetries> = settings({ default: field(Retries) })

/**
 * How the repository's storage is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Storage extends Open {
  readonly concurrency?: Optional<
    Open & {
      readonly max_concurrent_requests_for_object?: Optional<number>
      readonly ideal_concurrent_request_size?: Optional<number>
    }
  >
  readonly retries?: Optional<Retries>
  readonly timeouts?: Optional<
    Open & {
      readonly connect_timeout_ms?: Optional<number>
      readonly read_timeout_ms?: Optional<number>
      readonly operation_timeout_ms?: Optional<number>
      readonly operation_attempt_timeout_ms?: Optional<number>
    }
  >
  readonly unsafe_use_conditional_update?: Optional<boolean>
  readonly unsafe_use_conditional_create?: Optional<boolean>
  readonly unsafe_use_metadata?: Optional<boolean>
  readonly storage_class?: Optional<string>
  readonly metadata_storage_class?: Optional<string>
  readonly chunks_storage_class?: Optional<string>
  readonly minimum_size_for_multipart_upload?: Optional<number>
}

/**
 * @category schemas
 * @since 0.1.0
 */
export const Storage: Schema.Codec<Storage> = settings({
  concurrency: field(
    settings({
      max_concurrent_requests_for_object: field(between(1, maxU16)),
      ideal_concurrent_request_size: field(between(1, maxU64))
    })
  ),
  retries: field(Retries),
  timeouts: field(
    settings({
      connect_timeout_ms: field(between(0, maxU32)),
      read_timeout_ms: field(between(0, maxU32)),
      operation_timeout_ms: field(between(0, maxU32)),
      operation_attempt_timeout_ms: field(between(0, maxU32))
    })
  ),
  unsafe_use_conditional_update: field(Schema.Boolean),
  unsafe_use_conditional_create: field(Schema.Boolean),
  unsafe_use_metadata: field(Schema.Boolean),
  storage_class: field(Schema.String),
  metadata_storage_class: field(Schema.String),
  chunks_storage_class: field(Schema.String),
  minimum_size_for_multipart_upload: field(between(0, maxU64))
})

const Bound = Schema.Union([
  Schema.Literal("Unbounded"),
  Schema.Struct({ Included: between(0, maxU32) }),
  Schema.Struct({ Excluded: between(0, maxU32) })
])

const Regex = Schema.Struct({ regex: Schema.String })

type Bound = "Unbounded" | { readonly Included: number } | { readonly Excluded: number }

/**
 * Which manifests are read ahead.
 *
 * @category models
 * @since 0.1.0
 */
export type PreloadCondition =
  | "true"
  | "false"
  | { readonly or: ReadonlyArray<PreloadCondition> }
  | { readonly and: ReadonlyArray<PreloadCondition> }
  | { readonly path_matches: { readonly regex: string } }
  | { readonly name_matches: { readonly regex: string } }
  | { readonly num_refs: { readonly from: Bound; readonly to: Bound } }

const PreloadCondition: Schema.Codec<PreloadCondition> = Schema.Union([
  Schema.Literals(["true", "false"]),
  Schema.Struct({ or: Schema.Array(Schema.suspend((): Schema.Codec<PreloadCondition> => PreloadCondition)) }),
  Schema.Struct({ and: Schema.Array(Schema.suspend((): Schema.Codec<PreloadCondition> => PreloadCondition)) }),
  Schema.Struct({ path_matches: Regex }),
  Schema.Struct({ name_matches: Regex }),
  Schema.Struct({ num_refs: Schema.Struct({ from: Bound, to: Bound }) })
])

/**
 * How manifests are read ahead.
 *
 * @category models
 * @since 0.1.0
 */
export interface Preload extends Open {
  readonly max_total_refs?: Optional<number>
  readonly preload_if?: Optional<PreloadCondition>
  readonly max_arrays_to_scan?: Optional<number>
}

/**
 * @category schemas
 * @since 0.1.0
 */
export const Preload: Schema.Codec<Preload> = settings({
  max_total_refs: field(between(0, maxU32)),
  preload_if: field(PreloadCondition),
  max_arrays_to_scan: field(between(0, maxU32))
})

/**
 * How locations of virtual chunks are compressed.
 *
 * @category models
 * @since 0.1.0
 */
export interface LocationCompression extends Open {
  readonly min_num_chunks?: Optional<number>
  readonly dictionary_max_training_samples?: Optional<number>
  readonly dictionary_max_size_bytes?: Optional<number>
  readonly compression_level?: Optional<number>
}

/**
 * @category schemas
 * @since 0.1.0
 */
export const LocationCompression: Schema.Codec<LocationCompression> = settings({
  min_num_chunks: field(between(0, maxU16)),
  dictionary_max_training_samples: field(between(0, maxU16)),
  dictionary_max_size_bytes: field(between(0, maxU32)),
  compression_level: field(between(-0x8000_0000, 0x7fff_ffff))
})

/**
 * Manifests that a commit reads at once.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ManifestFetches: Schema.Codec<number> = between(0, maxU16)
