/**
 * The configuration of a repository: `config.json`. Field names and meanings follow Icechunk's `RepositoryConfig`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as ConfigFields from "./ConfigFields.ts"
import * as ConfigShape from "./ConfigShape.ts"
import type * as Settings from "./IcechunkSettings.ts"
import * as Json from "./Json.ts"
import * as Shape from "./Shape.ts"
import * as Container from "./VirtualChunkContainer.ts"

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

/**
 * What holds where nothing else is configured.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: RepositoryConfig = {
  inline_chunk_threshold_bytes: 512,
  virtual_chunk_containers: Container.defaults,
  compression: { algorithm: "zstd", level: 3 },
  manifest: { splitting: { split_sizes: [] } },
  max_concurrent_requests: 256,
  num_updates_per_repo_info_file: 1000
}

/**
 * A configuration that cannot be used: `field` says where, `problem` why.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidConfig
  extends /*#__PURE__*/ Data.TaggedError("InvalidConfig")<{
    /** `config.json`, or what else the configuration came from. */
    readonly source: string
    readonly field: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.source}\` is not a valid configuration at \`${this.field}\`: ${this.problem}`
  }
}

const fieldOf = (path: ReadonlyArray<unknown>): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  ) || "(whole file)"

/** What is not JSON in the fields of a configuration, the values of which are at this depth. */
const notJson = (source: string, value: unknown, depth: number): InvalidConfig | undefined => {
  // Before anything else looks at the values, because it goes as deep as they do.
  for (const [field, inner] of ConfigFields.isFields(value) ? Object.entries(value) : []) {
    const problem = inner === undefined ? undefined : Json.problem(inner, depth)
    if (problem !== undefined) return new InvalidConfig({ source, field, problem })
  }
  return undefined
}

/** Fields of `config.json` that are no settings. */
const reserved = ["recent_writes", "published"]

const decode = (source: string, value: unknown): Result.Result<RepositoryConfig, InvalidConfig> => {
  const decoded = Shape.read(ConfigShape.repositoryConfig, value)
  if (Result.isFailure(decoded)) {
    const { path, problem } = decoded.failure
    return Result.fail(new InvalidConfig({ source, field: fieldOf(path), problem }))
  }
  const containers = decoded.success.virtual_chunk_containers?.map(Container.normalise)
  return validate(
    source,
    containers === undefined ? decoded.success : { ...decoded.success, virtual_chunk_containers: containers }
  )
}

/**
 * A configuration from parsed JSON, as a file has it. Fields that this version does not know are in `additional_fields`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromJson = (source: string, json: unknown): Result.Result<RepositoryConfig, InvalidConfig> => {
  // Two more than are written: a file also repeats, in a list, what was published of it.
  const wrong = notJson(source, json, -1)
  if (wrong !== undefined) return Result.fail(wrong)
  return decode(source, ConfigFields.fromFile(ConfigShape.repositoryConfig, json))
}

/**
 * A configuration that a program passes. It has known fields only, others in `additional_fields`, and its containers hold
 * no secrets; `kept` are containers of others, which are taken as they are.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromInput = (
  source: string,
  input: unknown,
  kept: ReadonlyArray<Container.VirtualChunkContainer> = []
): Result.Result<RepositoryConfig, InvalidConfig> => {
  const wrong = notJson(source, input, 1)
  if (wrong !== undefined) return Result.fail(wrong)
  const refuse = (path: ReadonlyArray<unknown>, problem: string): Result.Result<never, InvalidConfig> =>
    Result.fail(new InvalidConfig({ source, field: fieldOf(path), problem }))
  const given = ConfigFields.isFields(input) ? input["virtual_chunk_containers"] : undefined
  const before = new Map(kept.map((container) => [container.name, Json.canonical(container)]))
  const isKept = (container: unknown): boolean => {
    const name = ConfigFields.isFields(container) ? container["name"] : undefined
    return typeof name === "string" && before.get(name) === Json.canonical(container)
  }
  for (const [i, container] of Array.isArray(given) ? given.entries() : []) {
    // Before unknown fields are named: a secret often is one.
    const problem =
      ConfigFields.isFields(container) && !isKept(container) ? Container.secretProblem(container) : undefined
    if (problem !== undefined) return refuse(["virtual_chunk_containers", i], problem)
  }
  const others = ConfigFields.isFields(input) ? input[ConfigFields.additional] : undefined
  const taken = ConfigFields.isFields(others) ? reserved.find((name) => Object.hasOwn(others, name)) : undefined
  if (taken !== undefined) return refuse([ConfigFields.additional, taken], "this library keeps its own notes there")
  const misplaced = ConfigFields.misplaced(ConfigShape.repositoryConfig, input)
  if (misplaced !== undefined) return refuse(misplaced.path, misplaced.problem)
  return Result.flatMap(decode(source, input), (config) => {
    for (const [i, container] of (config.virtual_chunk_containers ?? []).entries()) {
      const problem = isKept(container) ? undefined : Container.inputProblem(container)
      if (problem !== undefined) return refuse(["virtual_chunk_containers", i], problem)
    }
    return Result.succeed(config)
  })
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
    return Result.fail(new InvalidConfig({ source, field: "(whole file)", problem: `it is not JSON: ${problem}` }))
  }
  return fromJson(source, json)
}

/**
 * The configuration as `config.json` has it: the fields of `additional_fields` beside the others.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJson = (config: RepositoryConfig): Json.JsonObject =>
  ConfigFields.toFile(ConfigShape.repositoryConfig, config) as Json.JsonObject

/**
 * The text of `config.json`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const print = (config: RepositoryConfig): string => `${JSON.stringify(toJson(config), undefined, 2)}\n`

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
  Result.flatMap(fromInput(source, next, current.virtual_chunk_containers ?? []), (next) => {
    const kept = new Set((next.virtual_chunk_containers ?? []).map(({ name }) => name))
    const gone = (current.virtual_chunk_containers ?? []).find(({ name }) => !kept.has(name))
    if (gone !== undefined) {
      return Result.fail(
        new InvalidConfig({
          source,
          field: "virtual_chunk_containers",
          problem: `container \`${gone.name}\` is missing; containers are added and edited, never deleted, because older snapshots may refer to them`
        })
      )
    }
    return Result.succeed(next)
  })

const mergeFields = (base: unknown, over: unknown): unknown => {
  if (over === undefined || over === null) return base
  if (!ConfigFields.isFields(base) || !ConfigFields.isFields(over)) return over
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

/**
 * Manifests of an array that a commit reads at once.
 *
 * @category accessors
 * @since 0.1.0
 */
export const manifestFetches = (config: RepositoryConfig): number =>
  Math.max(1, config.manifest?.max_concurrent_manifest_fetches_during_commit ?? 4)
