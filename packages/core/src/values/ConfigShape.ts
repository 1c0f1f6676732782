/**
 * The shape of the configuration in memory. In `config.json` the fields of `additional_fields` stand beside the others.
 *
 * @since 0.1.0
 */
import * as Settings from "./IcechunkSettings.ts"
import type { RepositoryConfig, SplitCondition, SplitDimension } from "./RepositoryConfig.ts"
import * as Shape from "./Shape.ts"
import type { CloudClientConfig, VirtualChunkContainer } from "./VirtualChunkContainer.ts"

const optional = <A>(shape: Shape.Shape<A>): Shape.Optional<A | null> => Shape.optional(Shape.nullable(shape))

const u16 = (least: number): Shape.Shape<number> => Shape.whole(least, 0xffff)

const cloudClientConfig: Shape.Shape<CloudClientConfig> = Settings.settings({
  endpoint_url: Shape.optional(Shape.text),
  force_path_style: Shape.optional(Shape.flag),
  anonymous: Shape.optional(Shape.flag),
  requester_pays: Shape.optional(Shape.flag),
  unsafe_use_distributed_reads: Shape.optional(Shape.flag),
  fork_bucket: Shape.optional(Shape.text),
  user_project: Shape.optional(Shape.text)
})

/**
 * A container.
 *
 * @category shapes
 * @since 0.1.0
 */
export const virtualChunkContainer: Shape.Shape<VirtualChunkContainer> = Settings.settings({
  name: Shape.text,
  protocol: Shape.text,
  platform: Shape.text,
  region: Shape.optional(Shape.text),
  bucket_prefix: Shape.optional(Shape.text),
  cloud_client_config: Shape.optional(cloudClientConfig)
})

const regex = Shape.fields({ regex: Shape.text })

const splitCondition: Shape.Shape<SplitCondition> = Shape.union(
  Shape.oneOf("any_array"),
  Shape.fields({ path_matches: regex }),
  Shape.fields({ name_matches: regex }),
  Shape.fields({ or: Shape.list(Shape.later((): Shape.Shape<SplitCondition> => splitCondition)) }),
  Shape.fields({ and: Shape.list(Shape.later((): Shape.Shape<SplitCondition> => splitCondition)) })
)

const splitDimension: Shape.Shape<SplitDimension> = Settings.settings({
  condition: Shape.union(
    Shape.oneOf("Any"),
    Shape.fields({ Axis: Shape.whole(0) }),
    Shape.fields({ DimensionName: Shape.text })
  ),
  num_chunks: Shape.whole(1, 0xffff_ffff)
})

/**
 * The configuration.
 *
 * @category shapes
 * @since 0.1.0
 */
export const repositoryConfig: Shape.Shape<RepositoryConfig> = Settings.settings({
  inline_chunk_threshold_bytes: optional(u16(0)),
  virtual_chunk_containers: optional(Shape.list(virtualChunkContainer)),
  compression: optional(
    Settings.settings({ algorithm: optional(Shape.oneOf("zstd")), level: optional(Shape.whole(1, 22)) })
  ),
  manifest: optional(
    Settings.settings({
      splitting: optional(
        Settings.settings({
          split_sizes: optional(Shape.list(Shape.tuple(splitCondition, Shape.list(splitDimension))))
        })
      ),
      preload: optional(Settings.Preload),
      virtual_chunk_location_compression: optional(Settings.LocationCompression),
      max_concurrent_manifest_fetches_during_commit: optional(Settings.ManifestFetches)
    })
  ),
  caching: optional(Settings.Caching),
  storage: optional(Settings.Storage),
  repo_update_retries: optional(Settings.UpdateRetries),
  get_partial_values_concurrency: optional(Settings.PartialValuesConcurrency),
  max_concurrent_requests: optional(u16(1)),
  num_updates_per_repo_info_file: optional(u16(1))
})
