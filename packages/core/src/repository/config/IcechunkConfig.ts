/**
 * The configuration that Icechunk itself carries, in the repository object (spec 2) or in `config.yaml`
 * (spec 1), from and to ours. Pure.
 *
 * Other clients keep containers in a map from `url_prefix` to name, prefix and store. Source: field names
 * of Icechunk's `RepositoryConfig`, `VirtualChunkContainer` and `S3Options`.
 *
 * @since 0.1.0
 */
import { isObject, type Json, type JsonObject } from "../../values/Json.ts"
import * as Location from "../../values/Location.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as Container from "../../values/VirtualChunkContainer.ts"
import * as Result from "effect/Result"

/** Fields that both configurations have, with the same meaning. */
const sharedFields = [
  "inline_chunk_threshold_bytes",
  "get_partial_values_concurrency",
  "compression",
  "max_concurrent_requests",
  "caching",
  "storage",
  "manifest",
  "repo_update_retries",
  "num_updates_per_repo_info_file"
] as const

const asString = (value: Json | undefined): string | undefined => (typeof value === "string" ? value : undefined)

const platformOfStore: ReadonlyMap<string, Container.PlatformName> = new Map([
  ["s3", "s3"],
  ["s3_compatible", "s3"],
  ["tigris", "tigris"],
  ["gcs", "gcs"],
  ["local_file_system", "fs"],
  ["http", "http"],
  ["azure", "azure"]
])

const wholeProtocols: ReadonlySet<string> = new Set(["s3", "gcs", "gs", "tigris", "file", "az", "http", "https"])

/** A container of ours from an entry of Icechunk's map; `undefined` for one that no platform here could serve. */
const containerFromIcechunk = (key: string, entry: Json): Container.VirtualChunkContainer | undefined => {
  if (!isObject(entry) || !isObject(entry["store"])) return undefined
  const urlPrefix = asString(entry["url_prefix"]) ?? key
  const [kind = "", options] = Object.entries(entry["store"])[0] ?? []
  const platform = platformOfStore.get(kind)
  // Before Icechunk 1.0 the prefix of a container could be a protocol, all of whose locations were meant.
  const split = wholeProtocols.has(urlPrefix) ? urlPrefix.length : urlPrefix.indexOf("://")
  if (split < 0 || platform === undefined) return undefined
  // Not percent-decoded, on files neither: Icechunk compares the prefix with decoded locations.
  const path = urlPrefix.slice(split + 3).replace(/\/+$/, "")
  const protocol = Location.canonicalProtocol(urlPrefix.slice(0, split))
  const settings = isObject(options) ? options : {}
  const endpoint = asString(settings["endpoint_url"])
  const client: Record<string, unknown> = {
    ...(endpoint === undefined ? {} : { endpoint_url: endpoint }),
    ...(settings["force_path_style"] === true ? { force_path_style: true } : {}),
    ...(settings["anonymous"] === true ? { anonymous: true } : {}),
    ...(settings["requester_pays"] === true ? { requester_pays: true } : {})
  }
  const region = asString(settings["region"])
  return {
    // Containers without a name get one that their prefix tells; names have no slash.
    name: asString(entry["name"]) ?? `${protocol}:${path}`.replaceAll("/", ":"),
    protocol,
    platform,
    bucket_prefix: path,
    ...(region === undefined ? {} : { region }),
    ...(Object.keys(client).length === 0 ? {} : { cloud_client_config: client })
  }
}

/**
 * Our configuration from Icechunk's. Containers that are malformed, as persisted data may be, are left out.
 *
 * @category decoding
 * @since 0.1.0
 */
export const toConfig = (source: string, json: Json): Result.Result<Config.RepositoryConfig, Config.InvalidConfig> => {
  if (!isObject(json)) {
    return Result.fail(new Config.InvalidConfig({ source, field: "(whole file)", problem: "it is not an object" }))
  }
  const shared: Record<string, Json> = {}
  for (const field of sharedFields) {
    const value = json[field]
    if (value !== undefined && value !== null) shared[field] = value
  }
  const entries = json["virtual_chunk_containers"]
  const byName = new Map<string, Container.VirtualChunkContainer>()
  if (isObject(entries)) {
    for (const [key, entry] of Object.entries(entries)) {
      const container = containerFromIcechunk(key, entry)
      if (container !== undefined && Container.problem(container) === undefined) byName.set(container.name, container)
    }
  }
  return Config.fromJson(source, {
    ...shared,
    ...(byName.size === 0 ? {} : { virtual_chunk_containers: [...byName.values()] })
  })
}

const s3Options = ({ cloud_client_config: client, region }: Container.VirtualChunkContainer): JsonObject => ({
  region: region ?? null,
  endpoint_url: client?.endpoint_url ?? null,
  anonymous: client?.anonymous ?? false,
  allow_http: client?.endpoint_url?.startsWith("http://") ?? false,
  force_path_style: client?.force_path_style ?? false,
  network_stream_timeout_seconds: null,
  requester_pays: client?.requester_pays ?? false,
  checksum_algorithm: null
})

const schemes: ReadonlyMap<Container.PlatformName, string> = new Map([
  ["s3", "s3"],
  ["tigris", "tigris"],
  ["gcs", "gcs"],
  ["fs", "file"]
])

/** Icechunk's entry for a container; `undefined` where it has none: no bucket, or a platform of the user's own. */
const containerToIcechunk = (container: Container.VirtualChunkContainer): JsonObject | undefined => {
  const scheme = schemes.get(container.platform)
  const prefix = Container.prefix(container)
  if (scheme === undefined || prefix === "") return undefined
  const store = ((): JsonObject => {
    switch (container.platform) {
      case "fs":
        return { local_file_system: prefix }
      case "gcs":
        return { gcs: {} }
      case "tigris":
        return { tigris: s3Options(container) }
      default:
        return {
          [container.cloud_client_config?.endpoint_url === undefined ? "s3" : "s3_compatible"]: s3Options(container)
        }
    }
  })()
  return { name: container.name, url_prefix: `${scheme}://${prefix}/`, store }
}

/** A value as Icechunk reads it: what is not set is absent, also in objects in it. */
const written = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(written)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) =>
      inner === undefined || inner === null ? [] : [[name, written(inner)] as const]
    )
  )
}

/**
 * The part of our configuration that Icechunk knows: shared fields that are set, and containers by name.
 *
 * @category encoding
 * @since 0.1.0
 */
export const publishable = (config: Config.RepositoryConfig): JsonObject => {
  const json = Config.toJson(config)
  const shared: Record<string, Json> = {}
  for (const field of sharedFields) {
    const value = json[field]
    if (value !== undefined && value !== null) shared[field] = written(value)
  }
  const containers = (config.virtual_chunk_containers ?? []).flatMap((container) => {
    const entry = containerToIcechunk(container)
    return entry === undefined ? [] : [[container.name, entry] as const]
  })
  return { ...shared, ...(containers.length === 0 ? {} : { virtual_chunk_containers: Object.fromEntries(containers) }) }
}
