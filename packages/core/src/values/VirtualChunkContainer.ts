/**
 * Named descriptions of the places that hold virtual chunks. Design, section 4.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Location from "./Location.ts"

/**
 * The kind of object store: `s3`, `gcs`, `tigris`, `fs` or the name of a platform of the user's own.
 *
 * @category models
 * @since 0.1.0
 */
export type PlatformName = string

/**
 * Settings of a platform's client that are no secrets. Fields that this version does not know are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface CloudClientConfig {
  /** Base URL of an S3-compatible or emulated service. */
  readonly endpoint_url?: string | undefined
  /** Address buckets as the first segment of the path instead of as a host name. */
  readonly force_path_style?: boolean | undefined
  /** Send requests without a signature. */
  readonly anonymous?: boolean | undefined
  /** The requester pays for the transfer. */
  readonly requester_pays?: boolean | undefined
  /** Tigris: read from the nearest region without waiting for replication; makes the store read-only. */
  readonly unsafe_use_distributed_reads?: boolean | undefined
  readonly [field: string]: unknown
}

const CloudClientConfigFields: Schema.Codec<CloudClientConfig> = Schema.StructWithRest(
  Schema.Struct({
    endpoint_url: Schema.optional(Schema.String),
    force_path_style: Schema.optional(Schema.Boolean),
    anonymous: Schema.optional(Schema.Boolean),
    requester_pays: Schema.optional(Schema.Boolean),
    unsafe_use_distributed_reads: Schema.optional(Schema.Boolean)
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

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
  readonly [field: string]: unknown
}

/**
 * A container as it stands in `config.json`. Unknown fields are kept.
 *
 * @category schemas
 * @since 0.1.0
 */
export const VirtualChunkContainer: Schema.Codec<VirtualChunkContainer> = Schema.StructWithRest(
  Schema.Struct({
    name: Schema.String,
    protocol: Schema.String,
    platform: Schema.String,
    region: Schema.optional(Schema.String),
    bucket_prefix: Schema.optional(Schema.String),
    cloud_client_config: Schema.optional(CloudClientConfigFields)
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

/**
 * One for each platform: every location with the platform's protocol, without region. A container of
 * the same name replaces it.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: ReadonlyArray<VirtualChunkContainer> = [
  { name: "s3", protocol: "s3", platform: "s3" },
  { name: "gcs", protocol: "gcs", platform: "gcs" },
  { name: "tigris", protocol: "tigris", platform: "tigris" },
  { name: "file", protocol: "file", platform: "fs" }
]

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
  ["file", "fs"]
])

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

/**
 * Addresses at which clouds tell a machine its own secrets: link-local ones, and the names for them. A container is
 * data that anybody may have written, and must not be able to ask there.
 */
const isMetadataHost = (host: string): boolean =>
  host.startsWith("169.254.") ||
  /^\[(fe[89ab][0-9a-f]:|fd00:ec2:|::ffff:a9fe:)/.test(host) ||
  /^(metadata|metadata\.google\.internal|instance-data)\.?$/.test(host)

const endpointProblem = (endpoint: string): string | undefined => {
  // Parsing writes the address in its one form: 0xa9fe0000 and 169.254 are 169.254.0.0.
  const url = /^https?:\/\/[^/@?#]+(\/[^?#]*)?$/.test(endpoint) ? URL.parse(endpoint) : null
  if (url === null) return "is no http or https URL without user information, query and fragment"
  return isMetadataHost(url.hostname) ? "is an address of cloud metadata" : undefined
}
