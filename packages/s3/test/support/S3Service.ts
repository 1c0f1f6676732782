/**
 * The state of a small S3 server and what each request does to it. Synchronous, so that every request is atomic:
 * conditions are real.
 */
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import * as SigV4 from "./SigV4.ts"
import {
  type Answer,
  type Bucket,
  type Options,
  refusal,
  Refusal,
  type Request,
  type S3Service,
  type StoredObject,
  type Upload
} from "./S3Model.ts"
import * as Xml from "./Xml.ts"

const md5 = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex")
const opaque = (etag: string): string =>
  etag
    .trim()
    .replace(/^W\//, "")
    .replace(/^"(.*)"$/, "$1")
const httpDate = (time: number): string => new Date(time).toUTCString()
const decoder = new TextDecoder()

/** Names of hosts that begin with a bucket. */
const hostStyle = /^(.+)\.s3\.test(?::\d+)?$/

/** As AWS encodes keys of a list. */
const listed = (key: string): string => encodeURIComponent(key).replaceAll("%2F", "/").replaceAll("%20", "+")

const operationOf = (
  method: string,
  bucket: string,
  key: string,
  query: ReadonlyMap<string, string>,
  headers: Readonly<Record<string, string>>
): string => {
  if (bucket === "") return "ListBuckets"
  if (key === "") {
    if (method === "POST" && query.has("delete")) return "DeleteObjects"
    return (
      { GET: "ListObjectsV2", PUT: "CreateBucket", HEAD: "HeadBucket", DELETE: "DeleteBucket" }[method] ?? "Unknown"
    )
  }
  if (method === "POST") return query.has("uploads") ? "CreateMultipartUpload" : "CompleteMultipartUpload"
  if (method === "PUT" && query.has("partNumber")) return "UploadPart"
  if (method === "DELETE" && query.has("uploadId")) return "AbortMultipartUpload"
  if (method === "PUT" && headers["x-amz-copy-source"] !== undefined) return "CopyObject"
  return { GET: "GetObject", HEAD: "HeadObject", PUT: "PutObject", DELETE: "DeleteObject" }[method] ?? "Unknown"
}

const permission: Readonly<Record<string, "get" | "put" | "delete" | "list" | "bucket">> = {
  GetObject: "get",
  HeadObject: "get",
  ListObjectsV2: "list",
  DeleteObject: "delete",
  DeleteObjects: "delete",
  ListBuckets: "bucket",
  CreateBucket: "bucket",
  HeadBucket: "list",
  DeleteBucket: "bucket"
}

export const make = (options: Options = {}): S3Service => {
  const credentials = options.credentials ?? [{ accessKeyId: "test", secretAccessKey: "secret" }]
  const now = options.now ?? Date.now
  const ignores = new Set(options.ignores)
  const isBare = options.dialect === "bare"
  const buckets = new Map<string, Bucket>()
  let uploads = 0

  const createBucket: S3Service["createBucket"] = (name, { isPublic = false, region = "us-east-1" } = {}) => {
    const bucket: Bucket = { region, isPublic, objects: new Map(), uploads: new Map() }
    buckets.set(name, bucket)
    return bucket
  }

  const parse = (incoming: SigV4.SignedRequest): Request => {
    const { path, query } = SigV4.parseUrl(incoming.url)
    const ofHost = hostStyle.exec(incoming.headers["host"] ?? "")?.[1]
    const slash = ofHost === undefined ? path.indexOf("/", 1) : 0
    const bucket = ofHost ?? decodeURIComponent(slash < 0 ? path.slice(1) : path.slice(1, slash))
    const key = slash < 0 ? "" : decodeURIComponent(path.slice(slash + 1))
    const parameters = new Map(query)
    const operation = operationOf(incoming.method, bucket, key, parameters, incoming.headers)
    return { ...incoming, bucket, key, query: parameters, operation }
  }

  /** The bucket of a request whose sender may do this. */
  const admit = (request: Request): { readonly bucket: Bucket; readonly mayList: boolean } => {
    const proof = SigV4.verify(request, credentials, now())
    if (proof._tag === "Refused") throw new Refusal(proof.status, proof.code, proof.message)
    const bucket = buckets.get(request.bucket)
    const needed = permission[request.operation] ?? "put"
    if (proof._tag === "Anonymous") {
      if (bucket?.isPublic !== true || needed === "put" || needed === "delete")
        throw new Refusal(403, "AccessDenied", "Access Denied")
      return { bucket, mayList: true }
    }
    if (proof.credential.deny?.includes(needed) === true) throw new Refusal(403, "AccessDenied", "Access Denied")
    if (bucket === undefined) {
      if (["CreateBucket", "ListBuckets"].includes(request.operation))
        return { bucket: undefined as never, mayList: true }
      throw new Refusal(404, "NoSuchBucket", "The specified bucket does not exist", {
        fields: [["BucketName", request.bucket]]
      })
    }
    if (bucket.region !== proof.region) {
      const headers = { "x-amz-bucket-region": bucket.region }
      throw options.wrongRegion === 301
        ? new Refusal(301, "PermanentRedirect", "The bucket must be addressed using another endpoint", { headers })
        : new Refusal(
            400,
            "AuthorizationHeaderMalformed",
            `the region '${proof.region}' is wrong; expecting '${bucket.region}'`,
            {
              headers,
              fields: [["Region", bucket.region]]
            }
          )
    }
    return { bucket, mayList: proof.credential.deny?.includes("list") !== true }
  }

  const metadataOf = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => name.startsWith("x-amz-meta-"))
        .map(([name, value]) => [isBare ? name.slice(11).replaceAll("_", "-") : name.slice(11), value])
    )

  const answer = (
    status: number,
    headers: Readonly<Record<string, string>> = {},
    body: Uint8Array | string = ""
  ): Answer => ({
    status,
    headers: typeof body === "string" && body !== "" ? { "content-type": "application/xml", ...headers } : headers,
    body
  })

  const headersOf = (object: StoredObject): Readonly<Record<string, string>> => ({
    etag: object.etag,
    "last-modified": httpDate(object.lastModified),
    "content-type": object.contentType,
    "accept-ranges": "bytes",
    ...Object.fromEntries(Object.entries(object.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]))
  })

  const checkWrite = (headers: Readonly<Record<string, string>>, stored: StoredObject | undefined): void => {
    if (headers["if-none-match"] !== undefined && stored !== undefined) throw new Refusal(412, "PreconditionFailed")
    const wanted = headers["if-match"]
    if (wanted === undefined) return
    if (stored === undefined) throw isBare ? new Refusal(412, "PreconditionFailed") : new Refusal(404, "NoSuchKey")
    if (wanted !== (isBare ? opaque(stored.etag) : stored.etag)) throw new Refusal(412, "PreconditionFailed")
  }

  const store = (bucket: Bucket, key: string, object: Omit<StoredObject, "lastModified">): StoredObject => {
    const stored = { ...object, lastModified: Math.floor(now() / 1000) * 1000 }
    bucket.objects.set(key, stored)
    return stored
  }

  const find = ({ key }: Request, bucket: Bucket, mayList: boolean): StoredObject => {
    const found = bucket.objects.get(key)
    if (found === undefined)
      throw mayList ? new Refusal(404, "NoSuchKey") : new Refusal(403, "AccessDenied", "Access Denied")
    return found
  }

  const read = (request: Request, bucket: Bucket, mayList: boolean): Answer => {
    const { headers } = request
    const object = find(request, bucket, mayList)
    const ifMatch = ignores.has("get") ? undefined : headers["if-match"]
    const unmodified = ignores.has("get") ? undefined : headers["if-unmodified-since"]
    if (ifMatch !== undefined && opaque(ifMatch) !== opaque(object.etag)) throw new Refusal(412, "PreconditionFailed")
    if (ifMatch === undefined && unmodified !== undefined && object.lastModified > Date.parse(unmodified)) {
      throw new Refusal(412, "PreconditionFailed")
    }
    const known = ignores.has("get") ? undefined : headers["if-none-match"]
    if (known !== undefined && opaque(known) === opaque(object.etag)) {
      return answer(304, { etag: headersOf(object)["etag"]! })
    }
    const size = object.bytes.length
    const range = /^bytes=(\d*)-(\d*)$/.exec(headers["range"] ?? "")
    if (range === null) return answer(200, { ...headersOf(object), "content-length": String(size) }, object.bytes)
    const [, first, last] = range as unknown as readonly [string, string, string]
    const start = first === "" ? Math.max(0, size - Number(last)) : Number(first)
    const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1)
    if (start >= end)
      throw new Refusal(416, "InvalidRange", "The requested range is not satisfiable", {
        headers: { "content-range": `bytes */${size}` }
      })
    return answer(
      206,
      {
        ...headersOf(object),
        "content-length": String(end - start),
        "content-range": `bytes ${start}-${end - 1}/${size}`
      },
      object.bytes.subarray(start, end)
    )
  }

  const list = ({ bucket: name, query }: Request, bucket: Bucket): Answer => {
    const prefix = query.get("prefix") ?? ""
    const limit = Math.min(1000, Number(query.get("max-keys") ?? 1000))
    const token = query.get("continuation-token")
    const after = token === undefined ? (query.get("start-after") ?? "") : Buffer.from(token, "base64url").toString()
    const url = query.get("encoding-type") === "url"
    const shown = (key: string): string => (url ? listed(key) : key)
    const keys = [...bucket.objects.keys()]
      .filter((key) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0)
      .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const page = keys.slice(0, limit)
    const truncated = keys.length > page.length
    return answer(
      200,
      {},
      Xml.document("ListBucketResult", [
        ["Name", name],
        ["Prefix", shown(prefix)],
        ["KeyCount", page.length],
        ["MaxKeys", limit],
        ["EncodingType", url ? "url" : undefined],
        ["IsTruncated", truncated],
        ["NextContinuationToken", truncated ? Buffer.from(page.at(-1)!).toString("base64url") : undefined],
        ...page.map((key): Xml.Element => {
          const { bytes, etag, lastModified } = bucket.objects.get(key)!
          return [
            "Contents",
            [
              ["Key", shown(key)],
              ["LastModified", new Date(lastModified).toISOString()],
              ["ETag", etag],
              ["Size", bytes.length],
              ["StorageClass", "STANDARD"]
            ]
          ]
        })
      ])
    )
  }

  const deleteBatch = ({ body, headers }: Request, bucket: Bucket): Answer => {
    if (options.noBatchDelete === true) throw new Refusal(501, "NotImplemented")
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(body))
    if (headers["x-amz-checksum-crc32"] !== sum.toString("base64") && headers["content-md5"] === undefined) {
      throw new Refusal(400, "InvalidRequest", "Missing required header for this request: Content-MD5")
    }
    const xml = decoder.decode(body)
    const keys = Xml.textsOf(xml, "Key")
    if (keys.length > 1000) throw new Refusal(400, "MalformedXML")
    const quiet = Xml.textsOf(xml, "Quiet")[0] === "true"
    return answer(
      200,
      {},
      Xml.document(
        "DeleteResult",
        keys.flatMap((key): ReadonlyArray<Xml.Element> => {
          if (undeletable.has(key)) {
            return [
              [
                "Error",
                [
                  ["Key", key],
                  ["Code", "AccessDenied"],
                  ["Message", "Access Denied"]
                ]
              ]
            ]
          }
          bucket.objects.delete(key)
          return quiet ? [] : [["Deleted", [["Key", key]]]]
        })
      )
    )
  }

  const copy = (request: Request, bucket: Bucket): Answer => {
    const source = decodeURIComponent(request.headers["x-amz-copy-source"]!).replace(/^\//, "")
    const slash = source.indexOf("/")
    const from = buckets.get(source.slice(0, slash))?.objects.get(source.slice(slash + 1))
    if (from === undefined) throw new Refusal(404, "NoSuchKey")
    const wanted = request.headers["x-amz-copy-source-if-match"]
    if (wanted !== undefined && !ignores.has("copy") && wanted !== from.etag)
      throw new Refusal(412, "PreconditionFailed")
    const { etag, lastModified } = store(bucket, request.key, from)
    return answer(
      200,
      {},
      Xml.document("CopyObjectResult", [
        ["ETag", isBare ? opaque(etag) : etag],
        ["LastModified", new Date(lastModified).toISOString()]
      ])
    )
  }

  const uploadOf = (bucket: Bucket, { key, query }: Request): Upload => {
    const upload = bucket.uploads.get(query.get("uploadId") ?? "")
    if (upload === undefined || upload.key !== key) throw new Refusal(404, "NoSuchUpload")
    return upload
  }

  const complete = (request: Request, bucket: Bucket): Answer => {
    const { contentType, metadata, parts } = uploadOf(bucket, request)
    const xml = decoder.decode(request.body)
    const wanted = Xml.textsOf(xml, "PartNumber").map(Number)
    const etags = Xml.textsOf(xml, "ETag")
    const chosen = wanted.map((number, i) => {
      const part = parts.get(number)
      if (part === undefined || opaque(etags[i] ?? "") !== opaque(part.etag)) throw new Refusal(400, "InvalidPart")
      return part
    })
    if (!ignores.has("multipart")) checkWrite(request.headers, bucket.objects.get(request.key))
    const sums = Buffer.concat(chosen.map(({ etag }) => Buffer.from(opaque(etag), "hex")))
    const { etag } = store(bucket, request.key, {
      bytes: Buffer.concat(chosen.map(({ bytes }) => bytes)),
      etag: `"${md5(sums)}-${chosen.length}"`,
      contentType,
      metadata
    })
    bucket.uploads.delete(request.query.get("uploadId")!)
    return answer(
      200,
      {},
      Xml.document("CompleteMultipartUploadResult", [
        ["Key", request.key],
        ["ETag", isBare ? "" : etag]
      ])
    )
  }

  /** Keys that a batch reports as denied. */
  const undeletable = new Set<string>()

  const route = (request: Request): Answer => {
    const { body, headers, key, operation, query } = request
    const { bucket, mayList } = admit(request)
    const described = {
      contentType: headers["content-type"] ?? "application/octet-stream",
      metadata: metadataOf(headers)
    }
    switch (operation) {
      case "GetObject":
      case "HeadObject":
        return read(request, bucket, mayList)
      case "PutObject": {
        if (!ignores.has("put")) checkWrite(headers, bucket.objects.get(key))
        const { etag } = store(bucket, key, { bytes: body, etag: `"${md5(body)}"`, ...described })
        return answer(200, { etag })
      }
      case "DeleteObject":
        if (undeletable.has(key)) throw new Refusal(403, "AccessDenied", "Access Denied")
        bucket.objects.delete(key)
        return answer(204)
      case "DeleteObjects":
        return deleteBatch(request, bucket)
      case "CopyObject":
        return copy(request, bucket)
      case "ListObjectsV2":
        return list(request, bucket)
      case "CreateMultipartUpload": {
        const id = `upload-${(uploads += 1)}`
        bucket.uploads.set(id, { key, parts: new Map(), ...described })
        return answer(
          200,
          {},
          Xml.document("InitiateMultipartUploadResult", [
            ["Key", key],
            ["UploadId", id]
          ])
        )
      }
      case "UploadPart": {
        const etag = `"${md5(body)}"`
        uploadOf(bucket, request).parts.set(Number(query.get("partNumber")), { bytes: body, etag })
        return answer(200, { etag })
      }
      case "CompleteMultipartUpload":
        return complete(request, bucket)
      case "AbortMultipartUpload":
        uploadOf(bucket, request)
        bucket.uploads.delete(query.get("uploadId")!)
        return answer(204)
      case "CreateBucket":
        if (buckets.has(request.bucket)) throw new Refusal(409, "BucketAlreadyOwnedByYou")
        createBucket(request.bucket, {
          region: Xml.textsOf(decoder.decode(body), "LocationConstraint")[0] ?? "us-east-1"
        })
        return answer(200)
      case "HeadBucket":
        return answer(200, { "x-amz-bucket-region": bucket.region })
      case "DeleteBucket":
        if (bucket.objects.size > 0) throw new Refusal(409, "BucketNotEmpty")
        buckets.delete(request.bucket)
        return answer(204)
      case "ListBuckets":
        return answer(
          200,
          {},
          Xml.document("ListAllMyBucketsResult", [
            ["Buckets", [...buckets.keys()].map((name): Xml.Element => ["Bucket", [["Name", name]]])]
          ])
        )
      default:
        throw new Refusal(405, "MethodNotAllowed")
    }
  }

  const handle = (request: Request): Answer => {
    try {
      return route(request)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return refusal(error)
    }
  }

  return { buckets, createBucket, parse, handle, undeletable }
}
