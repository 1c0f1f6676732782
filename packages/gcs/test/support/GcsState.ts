/**
 * What the test server stores, and the ETags and times it gives out. Sources: "Objects resource", "Hashes
 * and ETags", "Object versioning".
 */
import { CRC32C } from "@google-cloud/storage"
import { createHash } from "node:crypto"

export interface Stored {
  readonly name: string
  readonly bytes: Uint8Array
  readonly generation: bigint
  readonly metageneration: bigint
  readonly contentType: string
  readonly contentEncoding: string | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly created: number
  readonly updated: number
  /** In base64. */
  readonly crc32c: string
  /** In base64; composite objects have none. */
  readonly md5: string | undefined
  readonly componentCount: number | undefined
  readonly kmsKeyName: string | undefined
  /** The XML API's ETag of an object that was uploaded in parts there. */
  readonly partsEtag: string | undefined
}

export interface Bucket {
  readonly name: string
  readonly objects: Map<string, Stored>
  /** Requests must name the project that pays. */
  readonly requesterPays: boolean
  /** Anybody may read and list. */
  readonly isPublic: boolean
}

export interface Seed {
  readonly contentType?: string
  readonly contentEncoding?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly updated?: number
  readonly componentCount?: number
  readonly kmsKeyName?: string
  readonly partsEtag?: string
}

let clock = 0n

/** Microseconds, as the real ones, and never the same twice. */
const nextGeneration = (): bigint => {
  const now = BigInt(Date.now()) * 1000n
  clock = now > clock ? now : clock + 1n
  return clock
}

const crc32c = (bytes: Uint8Array): string => {
  const sum = new CRC32C()
  sum.update(Buffer.from(bytes))
  return sum.toString()
}

export const makeObject = (name: string, bytes: Uint8Array, seed: Seed): Stored => {
  const now = seed.updated ?? Date.now()
  const isWhole = seed.componentCount === undefined && seed.partsEtag === undefined
  return {
    name,
    bytes,
    generation: nextGeneration(),
    metageneration: 1n,
    contentType: seed.contentType ?? "application/octet-stream",
    contentEncoding: seed.contentEncoding,
    metadata: seed.metadata ?? {},
    created: now,
    updated: now,
    crc32c: crc32c(bytes),
    md5: isWhole ? createHash("md5").update(bytes).digest("base64") : undefined,
    componentCount: seed.componentCount,
    kmsKeyName: seed.kmsKeyName,
    partsEtag: seed.partsEtag
  }
}

const varint = (value: bigint): Array<number> =>
  value < 128n ? [Number(value)] : [Number(value % 128n) + 128, ...varint(value / 128n)]

/** As the real ones look: a protocol buffer of generation and metageneration. */
export const jsonEtag = ({ generation, metageneration }: Stored): string =>
  Buffer.from([8, ...varint(generation), 16, ...varint(metageneration)]).toString("base64")

export const xmlEtag = (stored: Stored): string => {
  if (stored.partsEtag !== undefined) return stored.partsEtag
  return stored.md5 !== undefined && stored.kmsKeyName === undefined
    ? `"${Buffer.from(stored.md5, "base64").toString("hex")}"`
    : `"-${jsonEtag(stored)}"`
}

/** The resource of the JSON API. */
export const resource = (bucket: string, stored: Stored): Record<string, unknown> => ({
  kind: "storage#object",
  id: `${bucket}/${stored.name}/${stored.generation}`,
  name: stored.name,
  bucket,
  generation: String(stored.generation),
  metageneration: String(stored.metageneration),
  contentType: stored.contentType,
  storageClass: "STANDARD",
  size: String(stored.bytes.length),
  etag: jsonEtag(stored),
  timeCreated: new Date(stored.created).toISOString(),
  updated: new Date(stored.updated).toISOString(),
  ...(stored.md5 === undefined ? {} : { md5Hash: stored.md5 }),
  crc32c: stored.crc32c,
  ...(stored.contentEncoding === undefined ? {} : { contentEncoding: stored.contentEncoding }),
  ...(stored.componentCount === undefined ? {} : { componentCount: stored.componentCount }),
  ...(stored.kmsKeyName === undefined ? {} : { kmsKeyName: stored.kmsKeyName }),
  ...(Object.keys(stored.metadata).length === 0 ? {} : { metadata: stored.metadata })
})

/** The headers with which both APIs describe an object whose bytes they send. */
export const headers = (api: "json" | "xml", stored: Stored): Record<string, string> => ({
  "content-type": stored.contentType,
  etag: api === "xml" ? xmlEtag(stored) : jsonEtag(stored),
  "last-modified": new Date(stored.updated).toUTCString(),
  "x-goog-generation": String(stored.generation),
  "x-goog-metageneration": String(stored.metageneration),
  "x-goog-hash": `crc32c=${stored.crc32c}${stored.md5 === undefined ? "" : `,md5=${stored.md5}`}`,
  "x-goog-storage-class": "STANDARD",
  "x-goog-stored-content-encoding": stored.contentEncoding ?? "identity",
  "x-goog-stored-content-length": String(stored.bytes.length),
  ...(stored.componentCount === undefined ? {} : { "x-goog-component-count": String(stored.componentCount) }),
  ...(stored.kmsKeyName === undefined ? {} : { "x-goog-encryption-kms-key-name": stored.kmsKeyName }),
  ...Object.fromEntries(
    Object.entries(stored.metadata).map(([name, value]) => [
      `x-goog-meta-${name}`,
      Buffer.from(value, "utf8").toString("latin1")
    ])
  )
})
