/**
 * Named descriptions of the places that hold virtual chunks. Design, section 4.
 *
 * @since 0.1.0
 */
import * as ConfigFields from "./ConfigFields.ts"
import * as Endpoint from "./Endpoint.ts"
import * as Location from "./Location.ts"
import { isMetadataHost } from "./MetadataAddress.ts"

export { defaults } from "./DefaultContainers.ts"

/**
 * The kind of object store: `s3`, `gcs`, `tigris`, `fs` or the name of a platform of the user's own.
 *
 * @category models
 * @since 0.1.0
 */
export type PlatformName = string

/**
 * Settings of a platform's client that are not secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface CloudClientConfig {
  /**
   * Base URL of an S3-compatible or emulated service. Without a scheme, as `localhost:9000`, it is `http` on the loopback
   * and `https` elsewhere.
   */
  readonly endpoint_url?: string | undefined
  /** Address buckets as the first segment of the path instead of as a host name. */
  readonly force_path_style?: boolean | undefined
  /** Send requests without a signature. */
  readonly anonymous?: boolean | undefined
  /** The requester pays for the transfer. */
  readonly requester_pays?: boolean | undefined
  /** Tigris: read from the nearest region without waiting for replication; makes the store read-only. */
  readonly unsafe_use_distributed_reads?: boolean | undefined
  /** Tigris: read from this bucket, a fork of the one in the locations. */
  readonly fork_bucket?: string | undefined
  /** Google Cloud Storage: the project that pays, for a bucket whose requesters pay. */
  readonly user_project?: string | undefined
  /** Settings of a platform of the user's own, and what only other versions know. */
  readonly additional_fields?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A container: locations with this `protocol` whose path starts, on whole segments, with
 * `bucket_prefix` are read from `platform`.
 *
 * `bucket_prefix` includes the bucket (`model-outputs/netcdf`); on `fs` it is an absolute directory. An
 * absent or empty one matches every path.
 *
 * @category models
 * @since 0.1.0
 */
export interface VirtualChunkContainer {
  readonly name: string
  readonly protocol: string
  readonly platform: PlatformName
  readonly region?: string | undefined
  readonly bucket_prefix?: string | undefined
  readonly cloud_client_config?: CloudClientConfig | undefined
  /** What only other versions or programs know; in `config.json` it stands beside the other fields. */
  readonly additional_fields?: Readonly<Record<string, unknown>> | undefined
}

/**
 * The container with its endpoint in full: `localhost:9000` is `http://localhost:9000`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const normalise = (container: VirtualChunkContainer): VirtualChunkContainer => {
  const client = container.cloud_client_config
  const endpoint = Endpoint.withScheme(client?.endpoint_url)
  return endpoint === client?.endpoint_url
    ? container
    : { ...container, cloud_client_config: { ...client, endpoint_url: endpoint } }
}

/**
 * The prefix without slashes at its end; empty for a container that matches every path.
 *
 * @category accessors
 * @since 0.1.0
 */
export const prefix = ({ bucket_prefix = "", platform }: VirtualChunkContainer): string =>
  (platform === "fs" ? Location.fromDrivePath(bucket_prefix) : bucket_prefix).replace(/\/+$/, "")

/** Protocols whose locations Icechunk itself reads, and the platform that each belongs to. */
const protocolPlatform: ReadonlyMap<string, PlatformName> = new Map([
  ["s3", "s3"],
  ["gcs", "gcs"],
  ["tigris", "tigris"],
  ["file", "fs"],
  ["http", "http"],
  ["https", "http"]
])

/**
 * The platform of a protocol: `fs` for `file`, else the one of the same name.
 *
 * @category accessors
 * @since 0.1.0
 */
export const platformOf = (protocol: string): PlatformName => protocolPlatform.get(protocol) ?? protocol

/**
 * Whether the protocol is none that Icechunk reads itself, so that refs with it are stored as `vcc://`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const hasCustomProtocol = (container: VirtualChunkContainer): boolean =>
  protocolPlatform.get(container.protocol) !== container.platform

/**
 * A sentence that says what is wrong with a container, naming the field, or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (container: VirtualChunkContainer): string | undefined => {
  const { name, platform, protocol } = container
  if (name === "") return "`name` is empty"
  if (name.includes("/")) return `\`name\` contains \`/\`: \`${name}\``
  if (!/^[a-z][a-z0-9+.-]*$/.test(protocol)) {
    return `\`protocol\` of \`${name}\` is \`${protocol}\`; it is lower-case letters, digits, \`+\`, \`.\` and \`-\`, a letter first`
  }
  if (protocol === "vcc")
    return `\`protocol\` of \`${name}\` is \`vcc\`, which Icechunk keeps for locations relative to a container`
  if (protocol === "gs" || protocol === "fs") {
    return `\`protocol\` of \`${name}\` is the alias \`${protocol}\`; write \`${protocol === "gs" ? "gcs" : "file"}\``
  }
  const owner = protocolPlatform.get(protocol)
  if (owner !== undefined && owner !== platform && !(protocol === "s3" && platform === "tigris")) {
    return `\`platform\` of \`${name}\` is \`${platform}\`, but \`${protocol}://\` locations are on \`${owner}\``
  }
  if (platform === "") return `\`platform\` of \`${name}\` is empty`
  const bucketPrefix = prefix(container)
  if (platform === "fs") {
    if (bucketPrefix !== "" && !bucketPrefix.startsWith("/")) {
      return `\`bucket_prefix\` of \`${name}\` is \`${bucketPrefix}\`; on \`fs\` it is an absolute directory`
    }
    if (
      bucketPrefix.split("/").some((segment, i) => (i > 0 && segment === "") || segment === "." || segment === "..")
    ) {
      return `\`bucket_prefix\` of \`${name}\` has empty, \`.\` or \`..\` segments`
    }
  } else if (bucketPrefix.startsWith("/")) {
    return `\`bucket_prefix\` of \`${name}\` starts with \`/\`; it starts with the bucket`
  }
  const endpoint = container.cloud_client_config?.endpoint_url
  const wrong = endpoint === undefined ? undefined : endpointProblem(endpoint)
  if (wrong !== undefined) return `\`cloud_client_config.endpoint_url\` of \`${name}\` ${wrong}`
  return undefined
}

/** Platforms that the packages of this library provide. */
const knownPlatforms: ReadonlyArray<PlatformName> = ["s3", "gcs", "tigris", "fs", "http", "azure"]

/** Names of secrets, in snake case. */
const secretName =
  /secret|token|passw|credential|signature|(^|_)(sas|pwd)(_|$)|(access|account|api|encryption|hmac|private|shared)_?key/

/** A field below `fields` that is named as a secret is. */
const secretIn = (fields: unknown): string | undefined => {
  if (!ConfigFields.isFields(fields)) return undefined
  for (const [name, value] of Object.entries(fields)) {
    if (secretName.test(ConfigFields.snakeCase(name))) return name
    const inner = secretIn(value)
    if (inner !== undefined) return inner
  }
  return undefined
}

/**
 * A sentence that names a field of a container, well formed or not, which looks like a secret, or `undefined`. Its value
 * is not repeated.
 *
 * @category predicates
 * @since 0.1.0
 */
export const secretProblem = (container: Readonly<Record<string, unknown>>): string | undefined => {
  const { cloud_client_config, name: _, ...others } = container
  const secret = secretIn(cloud_client_config) ?? secretIn(others)
  return secret === undefined
    ? undefined
    : `\`${secret}\` looks like a secret, and everybody who reads the repository can read its configuration; pass it in \`credentials\` when the repository is opened`
}

/**
 * What a container that a program sets must not be, although it is read where somebody else has written it; a sentence
 * that names the field, or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const inputProblem = ({ bucket_prefix, name, platform }: VirtualChunkContainer): string | undefined => {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(bucket_prefix ?? "")) {
    return `\`bucket_prefix\` of \`${name}\` starts with a protocol; it is the bucket and the start of the key only`
  }
  const known = knownPlatforms.find((other) => other !== platform && other === platform.toLowerCase())
  return known === undefined ? undefined : `\`platform\` of \`${name}\` is \`${platform}\`; write \`${known}\``
}

const endpointProblem = (endpoint: string): string | undefined => {
  // Parsing writes the address in its one form: 0xa9fe0000 and 169.254 are 169.254.0.0.
  const url = /^https?:\/\/[^/@?#]+(\/[^?#]*)?$/.test(endpoint) ? URL.parse(endpoint) : null
  if (url === null) return "is not an http or https URL without user information, query and fragment"
  return isMetadataHost(url.hostname) ? "is an address of cloud metadata" : undefined
}
