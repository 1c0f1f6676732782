/**
 * S3's API, and the XML API of Google Cloud Storage, which is the same but for the names of headers.
 *
 * Sources: "GetObject", "PutObject", "CopyObject", "ListObjectsV2", "DeleteObjects" of S3's API reference; "XML API" of
 * Google's.
 */
import * as Objects from "./Objects.ts"

/** `x-amz` or `x-goog`. */
export type Vendor = "amz" | "goog"

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!)

const xml = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): Objects.Answer => ({
  status,
  headers: { "content-type": "application/xml", ...headers },
  body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`)
})

const refused = (status: number, code: string): Objects.Answer =>
  xml(status, `<Error><Code>${code}</Code><Message>${code}</Message></Error>`)

const described = (vendor: Vendor, stored: Objects.Stored): Record<string, string> => {
  const headers: Record<string, string> = {
    etag: stored.etag,
    "last-modified": new Date(stored.lastModified).toUTCString(),
    "content-type": stored.contentType,
    "accept-ranges": "bytes"
  }
  if (vendor === "goog") {
    headers["x-goog-generation"] = stored.generation
    headers["x-goog-metageneration"] = "1"
    headers["x-goog-stored-content-length"] = String(stored.bytes.length)
  }
  for (const [name, value] of Object.entries(stored.metadata)) headers[`x-${vendor}-meta-${name}`] = value
  return headers
}

const read = (
  vendor: Vendor,
  { headers, method }: Objects.Request,
  stored: Objects.Stored | undefined
): Objects.Answer => {
  if (stored === undefined) return refused(404, "NoSuchKey")
  const { "if-match": match, "if-none-match": known, "if-unmodified-since": since } = headers
  if (match !== undefined && Objects.opaque(match) !== Objects.opaque(stored.etag)) {
    return refused(412, "PreconditionFailed")
  }
  if (match === undefined && since !== undefined && stored.lastModified > Date.parse(since)) {
    return refused(412, "PreconditionFailed")
  }
  if (known !== undefined && Objects.opaque(known) === Objects.opaque(stored.etag)) {
    return { status: 304, headers: { etag: stored.etag }, body: Objects.empty }
  }
  const size = stored.bytes.length
  const range = Objects.rangeOf(headers["range"], size)
  if (range === undefined) {
    return { ...refused(416, "InvalidRange"), headers: { "content-range": `bytes */${size}` } }
  }
  const answer = described(vendor, stored)
  answer["content-length"] = String(range.end - range.start)
  if (!range.isWhole) answer["content-range"] = `bytes ${range.start}-${range.end - 1}/${size}`
  return {
    status: range.isWhole ? 200 : 206,
    headers: answer,
    body: method === "HEAD" ? Objects.empty : stored.bytes.subarray(range.start, range.end)
  }
}

/** Whether the conditions of a write hold. */
const mayWrite = ({ headers }: Objects.Request, stored: Objects.Stored | undefined): boolean => {
  const match = headers["if-match"]
  const generation = headers["x-goog-if-generation-match"]
  return (
    (headers["if-none-match"] === undefined || stored === undefined) &&
    (match === undefined || (stored !== undefined && Objects.opaque(match) === Objects.opaque(stored.etag))) &&
    (generation === undefined || generation === (stored?.generation ?? "0"))
  )
}

const list = (objects: Objects.Objects, bucket: string, query: URLSearchParams): Objects.Answer => {
  const prefix = query.get("prefix") ?? ""
  const limit = Math.min(1000, Number(query.get("max-keys") ?? 1000))
  const delimiter = query.get("delimiter")
  const token = query.get("continuation-token")
  const after = token === null ? (query.get("start-after") ?? "") : Buffer.from(token, "base64url").toString()
  const isUrl = query.get("encoding-type") === "url"
  const shown = (key: string): string => (isUrl ? encodeURIComponent(key).replaceAll("%2F", "/") : escape(key))
  const keys = Objects.namesOf(objects, bucket, prefix, after)
  const common = new Set<string>()
  const own = keys.filter((key) => {
    const cut = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length)
    if (cut >= 0) common.add(key.slice(0, cut + 1))
    return cut < 0
  })
  const page = own.slice(0, limit)
  const isTruncated = own.length > page.length
  const contents = page.map((key) => {
    const { bytes, etag, lastModified } = objects.get(`${bucket}/${key}`)!
    const time = new Date(lastModified).toISOString()
    return `<Contents><Key>${shown(key)}</Key><LastModified>${time}</LastModified><ETag>${escape(etag)}</ETag><Size>${bytes.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  })
  const prefixes = Array.from(common, (one) => `<CommonPrefixes><Prefix>${shown(one)}</Prefix></CommonPrefixes>`)
  const next = isTruncated
    ? `<NextContinuationToken>${Buffer.from(page.at(-1)!).toString("base64url")}</NextContinuationToken>`
    : ""
  return xml(
    200,
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name><Prefix>${shown(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>${limit}</MaxKeys>${isUrl ? "<EncodingType>url</EncodingType>" : ""}<IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join("")}${prefixes.join("")}</ListBucketResult>`
  )
}

const metadataOf = (vendor: Vendor, headers: Objects.Request["headers"]): Readonly<Record<string, string>> => {
  const start = `x-${vendor}-meta-`
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith(start) && value !== undefined ? [[name.slice(start.length), value]] : []
    )
  )
}

/** The content of a body that was sent in chunks with a checksum at the end ("aws-chunked"). */
const unchunked = (body: Buffer): Buffer => {
  const parts: Array<Buffer> = []
  for (let at = 0; at < body.length;) {
    const end = body.indexOf("\r\n", at)
    const size = Number.parseInt(body.toString("latin1", at, end), 16)
    if (!(size > 0)) break
    parts.push(body.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
  return Buffer.concat(parts)
}

const write = (vendor: Vendor, objects: Objects.Objects, name: string, request: Objects.Request): Objects.Answer => {
  const { body, headers } = request
  if (!mayWrite(request, objects.get(name))) return refused(412, "PreconditionFailed")
  const copied = headers[`x-${vendor}-copy-source`]
  if (copied !== undefined) {
    const from = objects.get(decodeURIComponent(copied).replace(/^\//, ""))
    if (from === undefined) return refused(404, "NoSuchKey")
    const wanted = headers[`x-${vendor}-copy-source-if-match`]
    if (wanted !== undefined && Objects.opaque(wanted) !== Objects.opaque(from.etag)) {
      return refused(412, "PreconditionFailed")
    }
    const { etag, lastModified } = Objects.put(objects, name, from)
    const time = new Date(lastModified).toISOString()
    return xml(
      200,
      `<CopyObjectResult><ETag>${escape(etag)}</ETag><LastModified>${time}</LastModified></CopyObjectResult>`
    )
  }
  const isChunked = /aws-chunked/.test(headers["content-encoding"] ?? "")
  const stored = Objects.put(objects, name, {
    bytes: isChunked ? unchunked(body) : body,
    contentType: headers["content-type"] ?? "application/octet-stream",
    metadata: metadataOf(vendor, headers)
  })
  const { etag } = stored
  return {
    status: 200,
    headers: vendor === "goog" ? { etag, "x-goog-generation": stored.generation } : { etag },
    body: Objects.empty
  }
}

const removeMany = (objects: Objects.Objects, bucket: string, body: Buffer): Objects.Answer => {
  const keys = Array.from(body.toString().matchAll(/<Key>([^<]*)<\/Key>/g), ([, key]) => key!)
  for (const key of keys) objects.delete(`${bucket}/${key}`)
  return xml(200, `<DeleteResult>${keys.map((key) => `<Deleted><Key>${key}</Key></Deleted>`).join("")}</DeleteResult>`)
}

export const answer = (vendor: Vendor, objects: Objects.Objects, request: Objects.Request): Objects.Answer => {
  const name = decodeURIComponent(request.path.slice(1))
  const slash = name.indexOf("/")
  const bucket = slash < 0 ? name : name.slice(0, slash)
  const isBucket = slash < 0 || slash === name.length - 1
  switch (request.method) {
    case "GET":
    case "HEAD":
      return isBucket ? list(objects, bucket, request.query) : read(vendor, request, objects.get(name))
    case "PUT":
      return write(vendor, objects, name, request)
    case "DELETE":
      objects.delete(name)
      return { status: 204, headers: {}, body: Objects.empty }
    case "POST":
      return request.query.has("delete") ? removeMany(objects, bucket, request.body) : refused(501, "NotImplemented")
    default:
      return refused(405, "MethodNotAllowed")
  }
}
