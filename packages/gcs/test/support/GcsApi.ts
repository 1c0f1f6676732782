/**
 * What the test server answers: the JSON and the XML API as Google documents them, as one function from a
 * request and the state to an answer. It runs in one step, so that preconditions and writes are atomic.
 */
import { createVerify } from "node:crypto"
import { gunzipSync } from "node:zlib"
import * as State from "./GcsState.ts"

export type Permission = "get" | "list" | "create" | "delete"

export interface Token {
  readonly permissions: ReadonlySet<Permission>
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined
}

export interface ApiRequest {
  readonly method: string
  /** Segments of the path, decoded. */
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export interface Settings {
  readonly buckets: Map<string, State.Bucket>
  readonly tokens: Map<string, Token>
  /** Public keys of service accounts by e-mail, for tokens that they sign themselves. */
  readonly serviceAccounts: Map<string, string>
  /** Uploads in parts that have begun, by id. */
  readonly uploads: Map<string, Resumable>
  /** Of a part the server keeps no more than so many bytes, as Google may. */
  keptBytes: number
  readonly rewrites: Map<string, { copied: number; readonly generation: bigint }>
  /** A rewrite copies so many bytes in one call. */
  rewriteBytes: number
  /** Emulators often have none. */
  hasXmlApi: boolean
  now: () => number
}

/** An upload in parts. */
export interface Resumable {
  readonly bucket: string
  readonly query: URLSearchParams
  readonly resource: { readonly contentType?: string; readonly metadata?: Record<string, string> }
  bytes: Buffer
  /** The answer to the last part, once there is one. */
  finished: ApiAnswer | undefined
}

/** A refusal on its way out. */
class Refused extends Error {
  readonly status: number
  readonly reason: string
  readonly extra: Readonly<Record<string, string>>
  constructor(status: number, reason: string, message: string, extra: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.reason = reason
    this.extra = extra
  }
}

const xmlCodes: Readonly<Record<string, string>> = {
  notFound: "NoSuchKey",
  bucketNotFound: "NoSuchBucket",
  forbidden: "AccessDenied",
  authError: "AuthenticationRequired",
  conditionNotMet: "PreconditionFailed",
  requestedRangeNotSatisfiable: "InvalidRange",
  required: "UserProjectMissing"
}

type Style = "json" | "text" | "xml"

const refusal = (style: Style, { extra, message, reason, status }: Refused): ApiAnswer => {
  const json = { domain: "global", reason: reason === "bucketNotFound" ? "notFound" : reason, message }
  const [type, text] =
    style === "json"
      ? ["application/json; charset=UTF-8", JSON.stringify({ error: { code: status, message, errors: [json] } })]
      : style === "text"
        ? ["text/html; charset=UTF-8", message]
        : [
            "application/xml; charset=UTF-8",
            `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${xmlCodes[reason] ?? reason}</Code><Message>${message}</Message></Error>`
          ]
  const body = status === 304 ? Buffer.alloc(0) : Buffer.from(text)
  return { status, headers: { "content-type": type, ...extra, "content-length": String(body.length) }, body }
}

const json = (value: unknown, fields: string | null): ApiAnswer => {
  const body = Buffer.from(JSON.stringify(fields === null ? value : select(value, fields)))
  return {
    status: 200,
    headers: { "content-type": "application/json; charset=UTF-8", "content-length": String(body.length) },
    body
  }
}

/** "Partial responses": `a,b` and `items(a,b),c`. */
const select = (value: unknown, fields: string): unknown => {
  const wanted = new Map<string, string | undefined>()
  for (const match of fields.matchAll(/([\w/]+)(?:\(([^)]*)\))?/g)) wanted.set(match[1]!, match[2])
  return Object.fromEntries(
    Object.entries(value as Record<string, unknown>).flatMap(([name, part]) => {
      if (!wanted.has(name)) return []
      const inner = wanted.get(name)
      return [[name, inner === undefined ? part : (part as ReadonlyArray<unknown>).map((one) => select(one, inner))]]
    })
  )
}

const decodeJwt = (part: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(part ?? "", "base64url").toString()) as Record<string, unknown>

const signedToken = (settings: Settings, token: string): Token | undefined => {
  const [head, claims, signature] = token.split(".")
  if (signature === undefined) return undefined
  const { exp, iss } = decodeJwt(claims)
  const key = settings.serviceAccounts.get(String(iss))
  if (key === undefined) return undefined
  const isSigned = createVerify("RSA-SHA256").update(`${head}.${claims}`).verify(key, signature, "base64url")
  return isSigned
    ? { permissions: new Set(["get", "list", "create", "delete"]), expiresAt: Number(exp) * 1000 }
    : undefined
}

const authorize = (
  settings: Settings,
  request: ApiRequest,
  bucketName: string,
  permission: Permission
): State.Bucket => {
  const bucket = settings.buckets.get(bucketName)
  const given = /^Bearer (.+)$/.exec(request.headers["authorization"] ?? "")?.[1]
  if (given !== undefined) {
    const token = settings.tokens.get(given) ?? signedToken(settings, given)
    if (token === undefined || (token.expiresAt !== undefined && token.expiresAt <= settings.now())) {
      throw new Refused(401, "authError", "Invalid Credentials", { "www-authenticate": "Bearer" })
    }
    if (!token.permissions.has(permission)) {
      throw new Refused(
        403,
        "forbidden",
        `the caller does not have storage.objects.${permission} access to the Google Cloud Storage object. Permission 'storage.objects.${permission}' denied on resource (or it may not exist).`
      )
    }
  } else if (bucket === undefined || !bucket.isPublic || permission === "create" || permission === "delete") {
    throw new Refused(401, "authError", `Anonymous caller does not have storage.objects.${permission} access`)
  }
  if (bucket === undefined) throw new Refused(404, "bucketNotFound", "The specified bucket does not exist.")
  const payer = request.query.get("userProject") ?? request.headers["x-goog-user-project"]
  if (bucket.requesterPays && payer === undefined) {
    throw new Refused(400, "required", "Bucket is a requester pays bucket but no user project provided.")
  }
  return bucket
}

/** `ifGenerationMatch` and the like; 0 means that there is no object. */
const checkGenerations = (
  stored: State.Stored | undefined,
  parameter: (name: string) => string | null | undefined,
  infix: "" | "Source" = ""
): void => {
  const unmet = (status: number): Refused =>
    new Refused(status, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
  const of = (name: string): bigint | undefined => {
    const value = parameter(`if${infix}${name}`)
    return value === null || value === undefined ? undefined : BigInt(value)
  }
  const generation = stored?.generation ?? 0n
  const metageneration = stored?.metageneration ?? 0n
  const match = of("GenerationMatch")
  const metaMatch = of("MetagenerationMatch")
  if (match !== undefined && match !== generation) throw unmet(412)
  if (metaMatch !== undefined && metaMatch !== metageneration) throw unmet(412)
  if (of("GenerationNotMatch") === generation) throw unmet(304)
  if (of("MetagenerationNotMatch") === metageneration) throw unmet(304)
}

const find = (bucket: State.Bucket, name: string): State.Stored => {
  const stored = bucket.objects.get(name)
  if (stored === undefined) throw new Refused(404, "notFound", `No such object: ${bucket.name}/${name}`)
  return stored
}

/** Bytes of an object, or a range of them. RFC 9110, section 14. */
const media = (api: "json" | "xml", stored: State.Stored, request: ApiRequest): ApiAnswer => {
  const headers: Record<string, string> = { ...State.headers(api, stored), "accept-ranges": "bytes" }
  const acceptsGzip = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "")
  if (stored.contentEncoding === "gzip" && !acceptsGzip) {
    // Decompressive transcoding: the range is ignored.
    const body = gunzipSync(stored.bytes)
    return { status: 200, headers: { ...headers, warning: "214 UploadServer gunzipped" }, body }
  }
  if (stored.contentEncoding !== undefined) headers["content-encoding"] = stored.contentEncoding
  const size = stored.bytes.length
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers["range"] ?? "")
  if (range === null) {
    return { status: 200, headers: { ...headers, "content-length": String(size) }, body: stored.bytes }
  }
  const [, from = "", to = ""] = range
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1)
  if (start >= end) {
    throw new Refused(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.", {
      "content-range": `bytes */${size}`
    })
  }
  return {
    status: 206,
    headers: {
      ...headers,
      "content-length": String(end - start),
      "content-range": `bytes ${start}-${end - 1}/${size}`
    },
    body: stored.bytes.subarray(start, end)
  }
}

const checkEtags = (stored: State.Stored, { headers }: ApiRequest): void => {
  const match = headers["if-match"]
  if (match !== undefined && match !== "*" && !match.split(/\s*,\s*/).includes(State.xmlEtag(stored))) {
    throw new Refused(412, "conditionNotMet", "The If-Match condition did not hold.")
  }
  const known = headers["if-none-match"]
  if (known !== undefined && (known === "*" || known.split(/\s*,\s*/).includes(State.xmlEtag(stored)))) {
    throw new Refused(304, "notModified", "")
  }
  const since = headers["if-unmodified-since"]
  if (since !== undefined && Math.floor(stored.updated / 1000) * 1000 > Date.parse(since)) {
    throw new Refused(412, "conditionNotMet", "The If-Unmodified-Since condition did not hold.")
  }
}

const xmlObject = (settings: Settings, request: ApiRequest): ApiAnswer => {
  const [bucketName = "", ...names] = request.path
  const bucket = authorize(settings, request, bucketName, "get")
  const stored = find(bucket, names.join("/"))
  checkGenerations(
    stored,
    (name) =>
      request.headers[
        name
          .replaceAll(/([A-Z])/g, "-$1")
          .replace(/^/, "x-goog-")
          .toLowerCase()
      ]
  )
  checkEtags(stored, request)
  return media("xml", stored, request)
}

interface Upload {
  readonly name: string | undefined
  readonly contentType: string | undefined
  readonly metadata: Record<string, string> | undefined
  readonly bytes: Buffer
}

/** "Multipart uploads": two parts of `multipart/related`, metadata first. */
const parseMultipart = ({ body, headers }: ApiRequest): Upload => {
  const boundary = /boundary="?([^";]+)"?/.exec(headers["content-type"] ?? "")?.[1]
  if (boundary === undefined) throw new Refused(400, "invalid", "Multipart body without boundary")
  const mark = Buffer.from(`--${boundary}`)
  const parts: Array<Buffer> = []
  let at = body.indexOf(mark)
  for (;;) {
    const next = body.indexOf(mark, at + mark.length)
    if (at < 0 || next < 0) break
    // Between "--boundary CR LF" and "CR LF --boundary".
    parts.push(body.subarray(at + mark.length + 2, next - 2))
    at = next
  }
  const [first, second, ...others] = parts
  if (
    first === undefined ||
    second === undefined ||
    others.length > 0 ||
    !body.subarray(at).toString().startsWith(`--${boundary}--`)
  ) {
    throw new Refused(400, "badContent", "Malformed multipart body.")
  }
  const split = (part: Buffer): readonly [head: string, content: Buffer] => {
    const gap = part.indexOf("\r\n\r\n")
    return [part.subarray(0, gap).toString(), part.subarray(gap + 4)]
  }
  const [, metadata] = split(first)
  const [head, bytes] = split(second)
  const resource = JSON.parse(metadata.toString()) as Partial<Upload>
  return {
    name: resource.name,
    contentType: resource.contentType ?? /content-type:\s*(\S+)/i.exec(head)?.[1],
    metadata: resource.metadata,
    bytes
  }
}

const begin = (settings: Settings, request: ApiRequest, bucketName: string): ApiAnswer => {
  const bucket = authorize(settings, request, bucketName, "create")
  checkGenerations(bucket.objects.get(request.query.get("name") ?? ""), (name) => request.query.get(name))
  const id = `upload-${settings.uploads.size}`
  const resource = JSON.parse(request.body.toString()) as Resumable["resource"]
  settings.uploads.set(id, {
    bucket: bucketName,
    query: request.query,
    resource,
    bytes: Buffer.alloc(0),
    finished: undefined
  })
  const location = `https://elsewhere.example/upload/storage/v1/b/${bucketName}/o?uploadType=resumable&upload_id=${id}`
  return { status: 200, headers: { location, "content-length": "0" }, body: Buffer.alloc(0) }
}

/** A part of an upload, or the question how far it has come ("Perform resumable uploads"). */
const continueUpload = (settings: Settings, request: ApiRequest): ApiAnswer => {
  const id = request.query.get("upload_id") ?? ""
  const upload = settings.uploads.get(id)
  if (upload === undefined) throw new Refused(404, "notFound", "No such upload.")
  if (request.method === "DELETE") {
    settings.uploads.delete(id)
    return { status: 499, headers: { "content-length": "0" }, body: Buffer.alloc(0) }
  }
  if (upload.finished !== undefined) return upload.finished
  const [, from, , total] = /^bytes (\d+|\*)(?:-(\d+))?\/(\d+)$/.exec(request.headers["content-range"] ?? "") ?? []
  if (total === undefined) throw new Refused(400, "invalid", "Content-Range is missing.")
  if (from !== "*") {
    if (Number(from) !== upload.bytes.length) throw new Refused(400, "invalid", "The part is out of order.")
    const isLast = Number(from) + request.body.length === Number(total)
    if (!isLast && request.body.length % (256 * 1024) !== 0)
      throw new Refused(400, "invalid", "The part is no multiple.")
    upload.bytes = Buffer.concat([upload.bytes, request.body.subarray(0, settings.keptBytes)])
  }
  if (upload.bytes.length < Number(total)) {
    const range = upload.bytes.length === 0 ? {} : { range: `bytes=0-${upload.bytes.length - 1}` }
    return { status: 308, headers: { ...range, "content-length": "0" }, body: Buffer.alloc(0) }
  }
  const bucket = settings.buckets.get(upload.bucket)!
  const name = upload.query.get("name")!
  checkGenerations(bucket.objects.get(name), (parameter) => upload.query.get(parameter))
  const stored = State.makeObject(name, new Uint8Array(upload.bytes), { ...upload.resource, updated: settings.now() })
  bucket.objects.set(name, stored)
  upload.finished = json(State.resource(upload.bucket, stored), upload.query.get("fields"))
  return upload.finished
}

const insert = (settings: Settings, request: ApiRequest, bucketName: string): ApiAnswer => {
  const { query } = request
  if (query.has("upload_id")) return continueUpload(settings, request)
  if (query.get("uploadType") === "resumable") return begin(settings, request, bucketName)
  const bucket = authorize(settings, request, bucketName, "create")
  const type = query.get("uploadType")
  if (type !== "media" && type !== "multipart") {
    throw new Refused(400, "invalid", `uploadType \`${type}\` is not offered here`)
  }
  const upload =
    type === "multipart"
      ? parseMultipart(request)
      : { name: undefined, contentType: request.headers["content-type"], metadata: undefined, bytes: request.body }
  const name = upload.name ?? query.get("name")
  if (name === null || name === "") throw new Refused(400, "required", "Required parameter: name")
  if (Buffer.byteLength(name) > 1024) throw new Refused(400, "invalid", "The maximum object length is 1024 characters.")
  checkGenerations(bucket.objects.get(name), (parameter) => query.get(parameter))
  const stored = State.makeObject(name, new Uint8Array(upload.bytes), {
    updated: settings.now(),
    ...(upload.contentType === undefined ? {} : { contentType: upload.contentType }),
    ...(upload.metadata === undefined ? {} : { metadata: upload.metadata })
  })
  bucket.objects.set(name, stored)
  return json(State.resource(bucketName, stored), query.get("fields"))
}

const list = (settings: Settings, request: ApiRequest, bucketName: string): ApiAnswer => {
  const { query } = request
  const bucket = authorize(settings, request, bucketName, "list")
  const prefix = query.get("prefix") ?? ""
  const max = Math.min(1000, Number(query.get("maxResults") ?? 1000))
  const after = query.get("pageToken")
  const start = after === null ? undefined : Buffer.from(after, "base64url")
  const names = [...bucket.objects.keys()]
    .filter((name) => name.startsWith(prefix))
    .map((name) => Buffer.from(name))
    .filter((name) => start === undefined || Buffer.compare(name, start) > 0)
    .toSorted((a, b) => Buffer.compare(a, b))
  const page = names.slice(0, max)
  return json(
    {
      kind: "storage#objects",
      ...(page.length === 0
        ? {}
        : { items: page.map((name) => State.resource(bucketName, bucket.objects.get(name.toString())!)) }),
      ...(names.length > page.length ? { nextPageToken: page.at(-1)!.toString("base64url") } : {})
    },
    query.get("fields")
  )
}

const copyObject = (
  settings: Settings,
  request: ApiRequest,
  [from, source, to, destination]: readonly [string, string, string, string],
  isRewrite: boolean
): ApiAnswer => {
  const { query } = request
  const stored = find(authorize(settings, request, from, "get"), source)
  const bucket = authorize(settings, request, to, "create")
  checkGenerations(stored, (name) => query.get(name), "Source")
  checkGenerations(bucket.objects.get(destination), (name) => query.get(name))
  const token = query.get("rewriteToken")
  const started = token === null ? { copied: 0, generation: stored.generation } : settings.rewrites.get(token)
  if (started === undefined || started.generation !== stored.generation) {
    throw new Refused(400, "invalid", "The rewrite token is not valid for this source.")
  }
  started.copied += isRewrite ? settings.rewriteBytes : Infinity
  const size = String(stored.bytes.length)
  if (started.copied < stored.bytes.length) {
    const rewriteToken = token ?? `token-${settings.rewrites.size}`
    settings.rewrites.set(rewriteToken, started)
    return json(
      { totalBytesRewritten: String(started.copied), objectSize: size, done: false, rewriteToken },
      query.get("fields")
    )
  }
  const copy = { ...State.makeObject(destination, stored.bytes, stored as State.Seed), metadata: stored.metadata }
  bucket.objects.set(destination, copy)
  const resource = State.resource(to, copy)
  return json(
    isRewrite ? { totalBytesRewritten: size, objectSize: size, done: true, resource } : resource,
    query.get("fields")
  )
}

const jsonObject = (settings: Settings, request: ApiRequest, bucketName: string, name: string): ApiAnswer => {
  const { method, query } = request
  if (method === "DELETE") {
    const bucket = authorize(settings, request, bucketName, "delete")
    const stored = find(bucket, name)
    checkGenerations(stored, (parameter) => query.get(parameter))
    bucket.objects.delete(name)
    return { status: 204, headers: {}, body: Buffer.alloc(0) }
  }
  if (method !== "GET") throw new Refused(405, "methodNotAllowed", "Method not allowed.")
  const stored = find(authorize(settings, request, bucketName, "get"), name)
  checkGenerations(stored, (parameter) => query.get(parameter))
  return query.get("alt") === "media"
    ? media("json", stored, request)
    : json(State.resource(bucketName, stored), query.get("fields"))
}

const route = (settings: Settings, request: ApiRequest): ApiAnswer => {
  const { method, path } = request
  const isUpload = path[0] === "upload"
  const [storage, v1, b, bucketName, o, name, action, ...destination] =
    isUpload || path[0] === "download" ? path.slice(1) : path
  const isJson = storage === "storage" && v1 === "v1" && b === "b" && o === "o" && bucketName !== undefined
  if (!isJson) {
    if (settings.hasXmlApi && (method === "GET" || method === "HEAD")) return xmlObject(settings, request)
    throw new Refused(405, "methodNotAllowed", "Method not allowed.")
  }
  if (isUpload) return insert(settings, request, bucketName)
  if (name === undefined) return list(settings, request, bucketName)
  if (action === "rewriteTo" || action === "copyTo") {
    const [, to = "", , target = ""] = destination
    return copyObject(settings, request, [bucketName, name, to, target], action === "rewriteTo")
  }
  return jsonObject(settings, request, bucketName, name)
}

/** Answers a request and applies it, all in one step. */
export const answer = (settings: Settings, request: ApiRequest): ApiAnswer => {
  try {
    return route(settings, request)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const isJson = ["storage", "upload", "download"].includes(request.path[0] ?? "")
    return refusal(!isJson ? "xml" : request.query.get("alt") === "media" ? "text" : "json", error)
  }
}
