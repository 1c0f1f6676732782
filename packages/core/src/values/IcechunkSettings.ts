/**
 * Settings that this engine does not use and keeps for other Icechunk clients, which find them in the
 * repository object. Those refuse to open a repository where one of them has a wrong type, so that all are
 * checked here.
 *
 * Source: Icechunk's `RepositoryConfig`. Fields that are not named here pass through.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

type Settings = Readonly<Record<string, unknown>>

const Fields: Schema.$Record<Schema.String, Schema.Unknown> = Schema.Record(Schema.String, Schema.Unknown)

const between = (least: number, most: number) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(least), Schema.isLessThanOrEqualTo(most))
const maxU16 = 0xffff
const maxU32 = 0xffff_ffff
const maxU64 = Number.MAX_SAFE_INTEGER

const field = <A, E>(schema: Schema.Codec<A, E>) => Schema.optional(Schema.NullOr(schema))
const settings = <F extends Schema.Struct.Fields>(fields: F) => Schema.StructWithRest(Schema.Struct(fields), [Fields])

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
 * @category schemas
 * @since 0.1.0
 */
export const Caching: Schema.Codec<Settings> = settings({
  num_snapshot_nodes: field(between(0, maxU64)),
  num_chunk_refs: field(between(0, maxU64)),
  num_transaction_changes: field(between(0, maxU64)),
  num_bytes_attributes: field(between(0, maxU64)),
  num_bytes_chunks: field(between(0, maxU64))
})

const Retries: Schema.Codec<Settings> = settings({
  max_tries: field(between(1, maxU16)),
  initial_backoff_ms: field(between(0, maxU32)),
  max_backoff_ms: field(between(0, maxU32))
})

/**
 * Retries of updates of the repository object.
 *
 * @category schemas
 * @since 0.1.0
 */
export const UpdateRetries: Schema.Codec<Settings> = settings({ default: field(Retries) })

/**
 * How the repository's storage is used.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Storage: Schema.Codec<Settings> = settings({
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

const PreloadCondition: Schema.Codec<unknown> = Schema.Union([
  Schema.Literals(["true", "false"]),
  Schema.Struct({ or: Schema.Array(Schema.suspend((): Schema.Codec<unknown> => PreloadCondition)) }),
  Schema.Struct({ and: Schema.Array(Schema.suspend((): Schema.Codec<unknown> => PreloadCondition)) }),
  Schema.Struct({ path_matches: Regex }),
  Schema.Struct({ name_matches: Regex }),
  Schema.Struct({ num_refs: Schema.Struct({ from: Bound, to: Bound }) })
])

/**
 * Which manifests are read ahead.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Preload: Schema.Codec<Settings> = settings({
  max_total_refs: field(between(0, maxU32)),
  preload_if: field(PreloadCondition),
  max_arrays_to_scan: field(between(0, maxU32))
})

/**
 * How locations of virtual chunks are compressed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const LocationCompression: Schema.Codec<Settings> = settings({
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
