/**
 * Metadata of objects, from JSON resources and from the headers of either API. Pure.
 *
 * Sources: "Objects resource" of the JSON API, "HTTP headers and common query string parameters".
 */
import type { Head } from "@effect-icechunk/core/node/HttpPool"
import type { ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import * as ObjectStoreError from "@effect-icechunk/core/ObjectStoreError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Etags from "./Etags.ts"

const Resource = Schema.Struct({
  name: Schema.String,
  size: Schema.String,
  etag: Schema.optional(Schema.String),
  generation: Schema.optional(Schema.String),
  metageneration: Schema.optional(Schema.String),
  updated: Schema.optional(Schema.String),
  md5Hash: Schema.optional(Schema.String),
  componentCount: Schema.optional(Schema.Number),
  kmsKeyName: Schema.optional(Schema.String),
  customerEncryption: Schema.optional(Schema.Unknown),
  metadata: Schema.optional(Schema.Record(Schema.String, Schema.String))
})

/** The `fields` of a resource that are asked for. */
export const fields: string = Object.keys(Resource.fields).join(",")

/** Those of a resource in a listing, which leaves user metadata out. */
export const listedFields: string = Object.keys(Resource.fields)
  .filter((field) => field !== "metadata")
  .join(",")

const Page = Schema.Struct({
  // Also on a page without objects: other JSON is not taken for an empty bucket.
  kind: Schema.Literal("storage#objects"),
  items: Schema.optional(Schema.Array(Resource)),
  nextPageToken: Schema.optional(Schema.String)
})

const Rewrite = Schema.Struct({ done: Schema.Boolean, rewriteToken: Schema.optional(Schema.String) })

const invalid = (detail: string): ObjectStoreError.InvalidResponse => new ObjectStoreError.InvalidResponse({ detail })

const decoder = <A>(
  schema: Schema.Codec<A, A>,
  what: string
): ((body: Uint8Array) => Result.Result<A, ObjectStoreError.Reason>) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  return (body) => Result.mapError(decode(new TextDecoder().decode(body)), () => invalid(`the body is not ${what}`))
}

const decodeAny = decoder(Resource, "an object resource")

/** Reads the resource of the object of a name. */
export const decodeResource = (
  name: string,
  body: Uint8Array
): Result.Result<typeof Resource.Type, ObjectStoreError.Reason> =>
  Result.flatMap(decodeAny(body), (resource) =>
    resource.name === name && resource.generation !== undefined
      ? Result.succeed(resource)
      : Result.fail(invalid("the body is the resource of another object, or has no generation"))
  )

/** Reads a page of a listing. */
export const decodePage = decoder(Page, "a list of object resources")

/** Reads the state of a copy. */
export const decodeRewrite = decoder(Rewrite, "a rewrite response")

const count = (text: string | undefined): number | undefined => {
  const value = text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
  return Number.isSafeInteger(value) ? value : undefined
}

const time = (text: string | undefined): number | undefined => {
  const value = text === undefined ? NaN : Date.parse(text)
  return Number.isNaN(value) ? undefined : value
}

const lowerCase = (metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), value]))

/** Metadata of an object from its resource, under the key that the store knows it by. */
export const fromResource = (
  key: string,
  resource: typeof Resource.Type
): Result.Result<ObjectMeta, ObjectStoreError.Reason> =>
  Result.map(fromListed(key, resource), (meta) => ({ ...meta, metadata: lowerCase(resource.metadata ?? {}) }))

/** Metadata of an object from its resource in a listing: without user metadata. */
export const fromListed = (
  key: string,
  resource: typeof Resource.Type
): Result.Result<ObjectMeta, ObjectStoreError.Reason> => {
  const size = count(resource.size)
  if (size === undefined) return Result.fail(invalid(`the size of the object is \`${resource.size}\``))
  const { alternates, etag } = Etags.known("json", {
    etag: resource.etag,
    generation: resource.generation,
    metageneration: resource.metageneration,
    md5: resource.md5Hash,
    composite: resource.componentCount !== undefined,
    encrypted: resource.kmsKeyName !== undefined || resource.customerEncryption !== undefined
  })
  return Result.succeed({
    key,
    size,
    lastModified: time(resource.updated),
    version: { etag, generation: resource.generation },
    alternateEtags: alternates
  })
}

const prefix = "x-goog-meta-"

/**
 * Metadata of an object from the headers of a response that carries its bytes. The size is that of the
 * stored object, whichever part the response is.
 */
export const fromHeaders = (
  api: Etags.Api,
  key: string,
  { headers, status }: Head
): Result.Result<ObjectMeta, ObjectStoreError.Reason> => {
  // A login page has a length, and may have an ETag; a generation only the store gives.
  if (count(headers["x-goog-generation"]) === undefined) {
    return Result.fail(invalid("it has no generation, so it does not come from Google Cloud Storage"))
  }
  const size =
    count(headers["x-goog-stored-content-length"]) ??
    (status === 206 ? count(/\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1]) : count(headers["content-length"]))
  if (size === undefined) return Result.fail(invalid("the response does not say how large the object is"))
  const { alternates, etag } = Etags.known(api, {
    etag: headers["etag"],
    generation: headers["x-goog-generation"],
    metageneration: headers["x-goog-metageneration"],
    md5: /(?:^|,)\s*md5=([^,\s]+)/.exec(headers["x-goog-hash"] ?? "")?.[1],
    composite: headers["x-goog-component-count"] !== undefined,
    encrypted:
      headers["x-goog-encryption-kms-key-name"] !== undefined || headers["x-goog-encryption-algorithm"] !== undefined
  })
  const metadata: Array<readonly [string, string]> = []
  for (const name in headers) {
    if (name.startsWith(prefix)) metadata.push([name.slice(prefix.length), utf8(headers[name]!)])
  }
  return Result.succeed({
    key,
    size,
    lastModified: time(headers["last-modified"]),
    version: { etag, generation: headers["x-goog-generation"] },
    alternateEtags: alternates,
    metadata: Object.fromEntries(metadata)
  })
}

/** Node reads the bytes of a header as Latin-1. */
const utf8 = (header: string): string => Buffer.from(header, "latin1").toString("utf8")
