/**
 * The configuration of a repository: `config.json`. Design, section 5; field names and meanings follow
 * Icechunk's `RepositoryConfig`.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Settings from "./IcechunkSettings.ts"
import * as Json from "./Json.ts"
import * as Container from "./VirtualChunkContainer.ts"

const Fields: Schema.$Record<Schema.String, Schema.Unknown> = Schema.Record(Schema.String, Schema.Unknown)
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const U16 = Count.check(Schema.isLessThanOrEqualTo(0xffff))

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

const SplitCondition: Schema.Codec<SplitCondition> = Schema.Union([
  Schema.Literal("any_array"),
  Schema.Struct({ path_matches: Schema.Struct({ regex: Schema.String }) }),
  Schema.Struct({ name_matches: Schema.Struct({ regex: Schema.String }) }),
  Schema.Struct({ or: Schema.Array(Schema.suspend((): Schema.Codec<SplitCondition> => SplitCondition)) }),
  Schema.Struct({ and: Schema.Array(Schema.suspend((): Schema.Codec<SplitCondition> => SplitCondition)) })
])

/**
 * At most `num_chunks` chunks of a manifest along an axis, by its number or by a regular expression that occurs
 * in the dimension's name, or along any.
 *
 * @category models
 * @since 0.1.0
 */
export interface SplitDimension {
  readonly condition: "Any" | { readonly Axis: number } | { readonly DimensionName: string }
  readonly num_chunks: number
  readonly [field: string]: unknown
}

const SplitDimension: Schema.Codec<SplitDimension> = Schema.StructWithRest(
  Schema.Struct({
    condition: Schema.Union([
      Schema.Literal("Any"),
      Schema.Struct({ Axis: Count }),
      Schema.Struct({ DimensionName: Schema.String })
    ]),
    num_chunks: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1), Schema.isLessThanOrEqualTo(0xffff_ffff))
  }),
  [Fields]
)

/**
 * How the refs of an array are spread over manifests. Each dimension is cut as the first part says that is for it,
 * of all rules whose condition holds.
 *
 * @category models
 * @since 0.1.0
 */
export type SplitRule = readonly [condition: SplitCondition, dimensions: ReadonlyArray<SplitDimension>]

/**
 * The configuration. Every field is optional; fields that are not named here are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface RepositoryConfig {
  /** Chunks of at most this many bytes are stored in the manifest (default 512). */
  readonly inline_chunk_threshold_bytes?: number | null | undefined
  /** Where virtual chunks may be. */
  readonly virtual_chunk_containers?: ReadonlyArray<Container.VirtualChunkContainer> | null | undefined
  /** Compression of metadata files: zstd, level 1 to 22 (default 3). */
  readonly compression?:
    | {
        readonly algorithm?: "zstd" | null | undefined
        readonly level?: number | null | undefined
        readonly [field: string]: unknown
      }
    | null
    | undefined
  readonly manifest?:
    | {
        readonly splitting?:
          | { readonly split_sizes?: ReadonlyArray<SplitRule> | null | undefined; readonly [field: string]: unknown }
          | null
          | undefined
        readonly [field: string]: unknown
      }
    | null
    | undefined
  /** Requests under way at once (default 256). */
  readonly max_concurrent_requests?: number | null | undefined
  /** Operations that the repository object lists before it points at an older one (default 1,000). */
  readonly num_updates_per_repo_info_file?: number | null | undefined
  readonly [field: string]: unknown
}

/**
 * The schema of `config.json`. Unknown fields pass through.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RepositoryConfig: Schema.Codec<RepositoryConfig> = Schema.StructWithRest(
  Schema.Struct({
    inline_chunk_threshold_bytes: Schema.optional(Schema.NullOr(U16)),
    virtual_chunk_containers: Schema.optional(Schema.NullOr(Schema.Array(Container.VirtualChunkContainer))),
    compression: Schema.optional(
      Schema.NullOr(
        Schema.StructWithRest(
          Schema.Struct({
            algorithm: Schema.optional(Schema.NullOr(Schema.Literal("zstd"))),
            level: Schema.optional(
              Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1), Schema.isLessThanOrEqualTo(22)))
            )
          }),
          [Fields]
        )
      )
    ),
    manifest: Schema.optional(
      Schema.NullOr(
        Schema.StructWithRest(
          Schema.Struct({
            splitting: Schema.optional(
              Schema.NullOr(
                Schema.StructWithRest(
                  Schema.Struct({
                    split_sizes: Schema.optional(
                      Schema.NullOr(Schema.Array(Schema.Tuple([SplitCondition, Schema.Array(SplitDimension)])))
                    )
                  }),
                  [Fields]
                )
              )
            ),
            preload: Schema.optional(Schema.NullOr(Settings.Preload)),
            virtual_chunk_location_compression: Schema.optional(Schema.NullOr(Settings.LocationCompression)),
            max_concurrent_manifest_fetches_during_commit: Schema.optional(Schema.NullOr(Settings.ManifestFetches))
          }),
          [Fields]
        )
      )
    ),
    caching: Schema.optional(Schema.NullOr(Settings.Caching)),
    storage: Schema.optional(Schema.NullOr(Settings.Storage)),
    repo_update_retries: Schema.optional(Schema.NullOr(Settings.UpdateRetries)),
    get_partial_values_concurrency: Schema.optional(Schema.NullOr(Settings.PartialValuesConcurrency)),
    max_concurrent_requests: Schema.optional(Schema.NullOr(U16.check(Schema.isGreaterThanOrEqualTo(1)))),
    num_updates_per_repo_info_file: Schema.optional(Schema.NullOr(U16.check(Schema.isGreaterThanOrEqualTo(1))))
  }),
  [Fields]
)

/**
 * A configuration that cannot be used: `field` says where, `problem` why.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidConfig extends Schema.TaggedError<InvalidConfig>()("InvalidConfig", {
  /** `config.json`, or what else the configuration came from. */
  source: Schema.String,
  field: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `\`${this.source}\` is no valid configuration at \`${this.field}\`: ${this.problem}`
  }
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

const fieldOf = (path: ReadonlyArray<unknown> | undefined): string =>
  (path ?? []).reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  ) || "(whole file)"

/**
 * A configuration from parsed JSON.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromJson = (source: string, json: unknown): Result.Result<RepositoryConfig, InvalidConfig> => {
  // Before the schema looks at the values, for it goes as deep as they do.
  for (const [field, value] of isRecord(json) ? Object.entries(json) : []) {
    const problem = value === undefined ? undefined : Json.problem(value, 1)
    if (problem !== undefined) return Result.fail(new InvalidConfig({ source, field, problem }))
  }
  const decoded = Schema.decodeUnknownResult(RepositoryConfig)(json)
  if (Result.isFailure(decoded)) {
    const [issue] = formatIssue(decoded.failure.issue).issues
    return Result.fail(
      new InvalidConfig({ source, field: fieldOf(issue?.path), problem: issue?.message ?? "it has the wrong type" })
    )
  }
  return validate(source, decoded.success)
}

/**
 * A configuration from the text of `config.json`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (source: string, text: string): Result.Result<RepositoryConfig, InvalidConfig> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : "it cannot be parsed"
    return Result.fail(new InvalidConfig({ source, field: "(whole file)", problem: `it is no JSON: ${problem}` }))
  }
  return fromJson(source, json)
}

/**
 * The text of `config.json`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const print = (config: RepositoryConfig): string => `${JSON.stringify(config, undefined, 2)}\n`

/**
 * The configuration itself when its containers are well formed and their names unique.
 *
 * @category predicates
 * @since 0.1.0
 */
export const validate = (source: string, config: RepositoryConfig): Result.Result<RepositoryConfig, InvalidConfig> => {
  const names = new Set<string>()
  const containers = config.virtual_chunk_containers ?? []
  for (const [i, container] of containers.entries()) {
    const field = `virtual_chunk_containers[${i}]`
    const problem = Container.problem(container)
    if (problem !== undefined) return Result.fail(new InvalidConfig({ source, field, problem }))
    if (names.has(container.name)) {
      return Result.fail(
        new InvalidConfig({ source, field, problem: `there is another container named \`${container.name}\`` })
      )
    }
    names.add(container.name)
  }
  return Result.succeed(config)
}

/**
 * Whether `next` may replace `current` in `config.json`: well formed, and no container of `current` is
 * gone.
 *
 * @category predicates
 * @since 0.1.0
 */
export const validateUpdate = (
  source: string,
  current: RepositoryConfig,
  next: RepositoryConfig
): Result.Result<RepositoryConfig, InvalidConfig> =>
  // What a user's function returned went through no decoder.
  Result.flatMap(fromJson(source, next), (next) => {
    const kept = new Set((next.virtual_chunk_containers ?? []).map(({ name }) => name))
    const gone = (current.virtual_chunk_containers ?? []).find(({ name }) => !kept.has(name))
    if (gone !== undefined) {
      return Result.fail(
        new InvalidConfig({
          source,
          field: "virtual_chunk_containers",
          problem: `container \`${gone.name}\` is missing; containers are added and edited, never deleted, for older snapshots may refer to them`
        })
      )
    }
    return Result.succeed(next)
  })

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const mergeFields = (base: unknown, over: unknown): unknown => {
  if (over === undefined || over === null) return base
  if (!isRecord(base) || !isRecord(over)) return over
  // Not by assignment: fields may have names of `Object.prototype`.
  const merged = new Map(Object.entries(base))
  for (const [field, value] of Object.entries(over)) merged.set(field, mergeFields(merged.get(field), value))
  return Object.fromEntries(merged)
}

/**
 * One configuration over another: fields of `over` win where they are set, containers are merged by name.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (base: RepositoryConfig, over: RepositoryConfig): RepositoryConfig => {
  const { virtual_chunk_containers: baseContainers, ...baseRest } = base
  const { virtual_chunk_containers: overContainers, ...overRest } = over
  const byName = new Map<string, Container.VirtualChunkContainer>()
  for (const container of [...(baseContainers ?? []), ...(overContainers ?? [])]) byName.set(container.name, container)
  return {
    ...(mergeFields(baseRest, overRest) as RepositoryConfig),
    ...(byName.size > 0 ? { virtual_chunk_containers: [...byName.values()] } : {})
  }
}

/**
 * `config` with a container added, or replaced when there is one of that name.
 *
 * @category combinators
 * @since 0.1.0
 */
export const setContainer =
  (container: Container.VirtualChunkContainer) =>
  (config: RepositoryConfig): RepositoryConfig => {
    const containers = config.virtual_chunk_containers ?? []
    const at = containers.findIndex(({ name }) => name === container.name)
    return {
      ...config,
      virtual_chunk_containers: at < 0 ? [...containers, container] : containers.with(at, container)
    }
  }

/**
 * Chunks of at most this many bytes are stored in the manifest.
 *
 * @category accessors
 * @since 0.1.0
 */
export const inlineThreshold = (config: RepositoryConfig): number => config.inline_chunk_threshold_bytes ?? 512

/**
 * The zstd level of metadata files.
 *
 * @category accessors
 * @since 0.1.0
 */
export const compressionLevel = (config: RepositoryConfig): number => config.compression?.level ?? 3

/**
 * Operations that a repository object lists.
 *
 * @category accessors
 * @since 0.1.0
 */
export const updatesPerRepoObject = (config: RepositoryConfig): number => config.num_updates_per_repo_info_file ?? 1000

/**
 * Requests that may be under way at once.
 *
 * @category accessors
 * @since 0.1.0
 */
export const maxConcurrentRequests = (config: RepositoryConfig): number => config.max_concurrent_requests ?? 256
