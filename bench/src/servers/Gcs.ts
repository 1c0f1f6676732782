/**
 * The JSON API of Google Cloud Storage; the XML API beside it is that of `S3.ts`.
 *
 * Source: "Objects" of the JSON API (get, insert, list, delete, rewrite).
 */
import * as Objects from "./Objects.ts"
import * as S3 from "./S3.ts"

const json = (status: number, value: unknown): Objects.Answer => ({
  status,
  headers: { "content-type": "application/json; charset=UTF-8" },
  body: Buffer.from(JSON.stringify(value))
})

const refused = (status: number, reason: string): Objects.Answer =>
  json(status, { error: { code: status, message: reason, errors: [{ domain: "global", reason, message: reason }] } })

const resource = (bucket: string, name: string, stored: Objects.Stored): unknown => ({
  kind: "storage#object",
  name,
  bucket,
  generation: stored.generation,
  metageneration: "1",
  contentType: stored.contentType,
  size: String(stored.bytes.length),
  etag: stored.etag,
  updated: new Date(stored.lastModified).toISOString(),
  metadata: stored.metadata
})

const isMet = (query: URLSearchParams, stored: Objects.Stored | undefined): boolean => {
  const wanted = query.get("ifGenerationMatch")
  return wanted === null || wanted === (stored?.generation ?? "0")
}

/** The two parts of a `multipart/related` body: the resource, then the bytes. */
const partsOf = (body: Buffer, contentType: string): { readonly resource: Buffer; readonly bytes: Buffer } => {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1] ?? ""
  const mark = Buffer.from(`--${boundary}`)
  const first = body.indexOf("\r\n\r\n") + 4
  const second = body.indexOf(mark, first)
  const start = body.indexOf("\r\n\r\n", second) + 4
  return {
    resource: body.subarray(first, second - 2),
    bytes: body.subarray(start, body.lastIndexOf(mark) - 2)
  }
}

const insert = (objects: Objects.Objects, bucket: string, request: Objects.Request): Objects.Answer => {
  const { body, headers, query } = request
  const name = query.get("name") ?? ""
  if (!isMet(query, objects.get(`${bucket}/${name}`))) return refused(412, "conditionNotMet")
  const contentType = headers["content-type"] ?? "application/octet-stream"
  if (query.get("uploadType") === "media") {
    const stored = Objects.put(objects, `${bucket}/${name}`, { bytes: body, contentType, metadata: {} })
    return json(200, resource(bucket, name, stored))
  }
  const parts = partsOf(body, contentType)
  const described = JSON.parse(parts.resource.toString()) as Partial<Pick<Objects.Stored, "contentType" | "metadata">>
  const stored = Objects.put(objects, `${bucket}/${name}`, {
    bytes: parts.bytes,
    contentType: described.contentType ?? "application/octet-stream",
    metadata: described.metadata ?? {}
  })
  return json(200, resource(bucket, name, stored))
}

const media = (stored: Objects.Stored, request: Objects.Request): Objects.Answer => {
  // As the JSON API does, which knows no conditions on ETags of a get.
  const { range } = request.headers
  const headers: Objects.Request["headers"] = range === undefined ? {} : { range }
  return S3.answer("goog", new Map([["b/o", stored]]), { ...request, path: "/b/o", headers })
}

const listed = (objects: Objects.Objects, bucket: string, query: URLSearchParams): Objects.Answer => {
  const token = query.get("pageToken")
  const after = token === null ? "" : Buffer.from(token, "base64url").toString()
  const names = Objects.namesOf(objects, bucket, query.get("prefix") ?? "", after)
  const page = names.slice(0, Number(query.get("maxResults") ?? 1000))
  return json(200, {
    kind: "storage#objects",
    items: page.map((name) => resource(bucket, name, objects.get(`${bucket}/${name}`)!)),
    ...(names.length > page.length ? { nextPageToken: Buffer.from(page.at(-1)!).toString("base64url") } : {})
  })
}

export const answer = (objects: Objects.Objects, request: Objects.Request): Objects.Answer => {
  const { method, path, query } = request
  const segments = path.slice(1).split("/").map(decodeURIComponent)
  const isUpload = segments[0] === "upload"
  const [storage, v1, , bucket = "", , name, action, , toBucket, , target = ""] = isUpload
    ? segments.slice(1)
    : segments
  if (storage !== "storage" || v1 !== "v1") return S3.answer("goog", objects, request)
  if (isUpload) return insert(objects, bucket, request)
  if (name === undefined) return listed(objects, bucket, query)
  const stored = objects.get(`${bucket}/${name}`)
  if (stored === undefined) return refused(404, "notFound")
  if (action === "rewriteTo") {
    Objects.put(objects, `${toBucket}/${target}`, stored)
    return json(200, { done: true })
  }
  if (method === "DELETE") {
    objects.delete(`${bucket}/${name}`)
    return { status: 204, headers: {}, body: Objects.empty }
  }
  return query.get("alt") === "media" ? media(stored, request) : json(200, resource(bucket, name, stored))
}
