/**
 * What is in force: defaults, one configuration over another, and what single fields mean where they are not set.
 *
 * @since 0.1.0
 */
import * as Containers from "./DefaultContainers.ts"
import * as Json from "./Json.ts"
import type { RepositoryConfig } from "./RepositoryConfig.ts"
import type { VirtualChunkContainer } from "./VirtualChunkContainer.ts"

/**
 * What holds where nothing else is configured.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: RepositoryConfig = {
  inline_chunk_threshold_bytes: 512,
  virtual_chunk_containers: Containers.defaults,
  compression: { algorithm: "zstd", level: 3 },
  manifest: { splitting: { split_sizes: [] } },
  max_concurrent_requests: 256,
  num_updates_per_repo_info_file: 1000
}

const mergeFields = (base: unknown, over: unknown): unknown => {
  if (over === undefined || over === null) return base
  if (!Json.isObject(base) || !Json.isObject(over)) return over
  // Not by assignment: fields may have names of `Object.prototype`.
  const merged = new Map<string, unknown>(Object.entries(base))
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
  const byName = new Map<string, VirtualChunkContainer>()
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
  (container: VirtualChunkContainer) =>
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
