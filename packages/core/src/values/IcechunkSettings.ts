/**
 * Settings that this engine does not use and keeps for other Icechunk clients, which find them in the
 * repository object. Those refuse to open a repository where one of them has a wrong type, so that all are
 * checked here.
 *
 * Source: Icechunk's `RepositoryConfig`. Fields that are not named here are in `additional_fields`.
 *
 * @since 0.1.0
 */
import * as Shape from "./Shape.ts"

/**
 * What only other versions know; in `config.json` it stands beside the other fields.
 *
 * @category models
 * @since 0.1.0
 */
export interface Open {
  readonly additional_fields?: Readonly<Record<string, unknown>> | undefined
}

const maxU16 = 0xffff
const maxU32 = 0xffff_ffff

const field = <A>(shape: Shape.Shape<A>): Shape.Optional<A | null> => Shape.optional(Shape.nullable(shape))

/**
 * The shape of an object that keeps fields which are not named here.
 *
 * @category shapes
 * @since 0.1.0
 */
export const settings = <F extends Readonly<Record<string, Shape.Shape>>>(
  fields: F
): Shape.Shape<Shape.FieldsOf<F> & Open> => {
  const open: Shape.Shape = Shape.fields({ ...fields, additional_fields: Shape.optional(Shape.record) })
  return open as Shape.Shape<Shape.FieldsOf<F> & Open>
}

type Optional<A> = A | null | undefined

/**
 * Concurrency of reads of many parts.
 *
 * @category shapes
 * @since 0.1.0
 */
export const PartialValuesConcurrency: Shape.Shape<number> = Shape.whole(0, maxU16)

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
 * @category shapes
 * @since 0.1.0
 */
export const Caching: Shape.Shape<Caching> = settings({
  num_snapshot_nodes: field(Shape.whole(0)),
  num_chunk_refs: field(Shape.whole(0)),
  num_transaction_changes: field(Shape.whole(0)),
  num_bytes_attributes: field(Shape.whole(0)),
  num_bytes_chunks: field(Shape.whole(0))
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

const Retries: Shape.Shape<Retries> = settings({
  max_tries: field(Shape.whole(1, maxU16)),
  initial_backoff_ms: field(Shape.whole(0, maxU32)),
  max_backoff_ms: field(Shape.whole(0, maxU32))
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
 * @category shapes
 * @since 0.1.0
 */
export const UpdateRetries: Shape.Shape<UpdateRetries> = settings({ default: field(Retries) })

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
 * @category shapes
 * @since 0.1.0
 */
export const Storage: Shape.Shape<Storage> = settings({
  concurrency: field(
    settings({
      max_concurrent_requests_for_object: field(Shape.whole(1, maxU16)),
      ideal_concurrent_request_size: field(Shape.whole(1))
    })
  ),
  retries: field(Retries),
  timeouts: field(
    settings({
      connect_timeout_ms: field(Shape.whole(0, maxU32)),
      read_timeout_ms: field(Shape.whole(0, maxU32)),
      operation_timeout_ms: field(Shape.whole(0, maxU32)),
      operation_attempt_timeout_ms: field(Shape.whole(0, maxU32))
    })
  ),
  unsafe_use_conditional_update: field(Shape.flag),
  unsafe_use_conditional_create: field(Shape.flag),
  unsafe_use_metadata: field(Shape.flag),
  storage_class: field(Shape.text),
  metadata_storage_class: field(Shape.text),
  chunks_storage_class: field(Shape.text),
  minimum_size_for_multipart_upload: field(Shape.whole(0))
})

const Bound = Shape.union(
  Shape.oneOf("Unbounded"),
  Shape.fields({ Included: Shape.whole(0, maxU32) }),
  Shape.fields({ Excluded: Shape.whole(0, maxU32) })
)

const Regex = Shape.fields({ regex: Shape.text })

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

const PreloadCondition: Shape.Shape<PreloadCondition> = Shape.union(
  Shape.oneOf("true", "false"),
  Shape.fields({ or: Shape.list(Shape.later((): Shape.Shape<PreloadCondition> => PreloadCondition)) }),
  Shape.fields({ and: Shape.list(Shape.later((): Shape.Shape<PreloadCondition> => PreloadCondition)) }),
  Shape.fields({ path_matches: Regex }),
  Shape.fields({ name_matches: Regex }),
  Shape.fields({ num_refs: Shape.fields({ from: Bound, to: Bound }) })
)

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
 * @category shapes
 * @since 0.1.0
 */
export const Preload: Shape.Shape<Preload> = settings({
  max_total_refs: field(Shape.whole(0, maxU32)),
  preload_if: field(PreloadCondition),
  max_arrays_to_scan: field(Shape.whole(0, maxU32))
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
 * @category shapes
 * @since 0.1.0
 */
export const LocationCompression: Shape.Shape<LocationCompression> = settings({
  min_num_chunks: field(Shape.whole(0, maxU16)),
  dictionary_max_training_samples: field(Shape.whole(0, maxU16)),
  dictionary_max_size_bytes: field(Shape.whole(0, maxU32)),
  compression_level: field(Shape.whole(-0x8000_0000, 0x7fff_ffff))
})

/**
 * Manifests that a commit reads at once.
 *
 * @category shapes
 * @since 0.1.0
 */
export const ManifestFetches: Shape.Shape<number> = Shape.whole(0, maxU16)
