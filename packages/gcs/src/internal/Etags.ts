/**
 * The ETags of an object: Google Cloud Storage gives it one in its JSON API and another one in its XML
 * API. Pure.
 *
 * The XML API's is the MD5 in hexadecimal when the object was uploaded in one piece and is not encrypted
 * with a key of the customer's ("Hashes and ETags"). Everything else is opaque. Other clients of Icechunk
 * read through the XML API, so its ETag is the one to report first where it is certain.
 */
import * as Checksum from "@effect-icechunk/core/Checksum"

/** Through which API an object is read. */
export type Api = "xml" | "json"

/** What a response says of its object. */
export interface Facts {
  /** The ETag as the response gave it. */
  readonly etag: string | undefined
  readonly generation: string | undefined
  readonly metageneration: string | undefined
  /** In base64. */
  readonly md5: string | undefined
  /** Made of several uploads. */
  readonly composite: boolean
  /** With a key of the customer's. */
  readonly encrypted: boolean
}

/** The ETag to report, and those by which the other API knows the same version. */
export interface Etags {
  readonly etag: string | undefined
  readonly alternates: ReadonlyArray<string>
}

const hexOfMd5 = (md5: string | undefined): string | undefined => {
  if (md5 === undefined) return undefined
  const bytes = Buffer.from(md5, "base64")
  return bytes.length === 16 ? bytes.toString("hex") : undefined
}

/** The ETags of an object read through one of the APIs. */
export const known = (api: Api, facts: Facts): Etags => {
  if (api === "xml") {
    const json = jsonEtag(facts)
    return { etag: facts.etag, alternates: json === undefined ? [] : [json] }
  }
  const { etag } = facts
  const md5 = facts.composite || facts.encrypted ? undefined : hexOfMd5(facts.md5)
  if (md5 !== undefined) return { etag: `"${md5}"`, alternates: etag === undefined ? [] : [etag] }
  // Seen on composite and encrypted objects, though Google promises nothing.
  return { etag, alternates: etag === undefined ? [] : [`"-${Checksum.opaqueTag(etag)}"`] }
}

/**
 * The JSON API's ETag: generation and metageneration as a protocol buffer, in base64. Google promises
 * nothing; were it to change, such an ETag would agree with no object.
 */
const jsonEtag = ({ generation, metageneration }: Facts): string | undefined => {
  if (!/^\d{1,19}$/.test(generation ?? "") || !/^\d{1,19}$/.test(metageneration ?? "")) return undefined
  const bytes = [0x08, ...varint(BigInt(generation!)), 0x10, ...varint(BigInt(metageneration!))]
  return Buffer.from(bytes).toString("base64")
}

const varint = (value: bigint): ReadonlyArray<number> =>
  value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...varint(value >> 7n)]

/**
 * The API that can tell whether an object has an ETag: only the XML API knows those that are neither an
 * MD5 nor of the JSON API's form.
 */
export const apiFor = (ifMatch: string | undefined, usual: Api): Api => {
  if (ifMatch === undefined) return usual
  const tag = Checksum.opaqueTag(ifMatch)
  if (/^[0-9a-f]{32}$/i.test(tag)) return usual
  return /^C[A-P][A-Za-z0-9+/]*={0,2}$/.test(tag) ? "json" : "xml"
}
