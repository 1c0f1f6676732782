/**
 * The requests of the JSON and XML APIs as data. Pure.
 *
 * Sources: "Objects" of the JSON API (get, insert, list, delete, rewrite), "GET Object" and "HEAD Object"
 * of the XML API, "Encoding URI path parts".
 */
import type { Request } from "@effect-icechunk/core/node/HttpPool"
import type { GetOptions } from "@effect-icechunk/core/ObjectStore"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Checksum from "@effect-icechunk/core/Checksum"
import type { Api } from "./Etags.ts"
import * as Metadata from "./Metadata.ts"

/** A request without origin and credentials. */
export interface Wire {
  readonly method: Request["method"]
  /** Path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: ReadonlyArray<Uint8Array>
}

/** The bucket, and the project that pays for the requests. */
export interface Target {
  readonly bucket: string
  readonly userProject: string | undefined
}

/** Text as one segment of a path or as one value of a query. */
const encode = (text: string): string => {
  const encoded = encodeURIComponent(text)
  return /[!'()*]/.test(encoded)
    ? encoded.replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    : encoded
}

const query = (parameters: Readonly<Record<string, string | undefined>>): string => {
  let text = ""
  for (const name in parameters) {
    const value = parameters[name]
    if (value !== undefined) text += `${text === "" ? "?" : "&"}${name}=${encode(value)}`
  }
  return text
}

const objectPath = ({ bucket }: Target, key: string): string => `/storage/v1/b/${encode(bucket)}/o/${encode(key)}`

/** Why a name cannot be that of an object, or `undefined`. Source: "Object names". */
export const nameProblem = (name: string): string | undefined => {
  if (name === "") return "a key is never empty"
  if (!name.isWellFormed()) return "the key is not well-formed Unicode"
  if (/[\r\n]/.test(name)) return "a key has no line breaks"
  if (name === "." || name === "..") return "`.` and `..` are not keys"
  return Buffer.byteLength(name) > 1024 ? "a key has at most 1,024 bytes" : undefined
}

/** Reads bytes as they are stored: to accept gzip turns its decompression on the server off. */
export const read = (
  target: Target,
  api: Api,
  key: string,
  { ifMatch, ifNoneMatch, ifUnmodifiedSince, range }: GetOptions
): Wire => {
  const headers: Record<string, string> = { "accept-encoding": "gzip" }
  if (range !== undefined) headers["range"] = ByteRange.toHttpHeader(range)
  if (api === "json") {
    const path = `${objectPath(target, key)}${query({ alt: "media", userProject: target.userProject })}`
    // This API's ETags differ from those that others recorded: only the response tells.
    return { method: "GET", path, headers, body: [] }
  }
  if (ifMatch !== undefined) Object.assign(headers, condition("if-match", ifMatch))
  if (ifNoneMatch !== undefined) Object.assign(headers, condition("if-none-match", ifNoneMatch))
  if (ifUnmodifiedSince !== undefined) {
    headers["if-unmodified-since"] = new Date(Math.ceil(ifUnmodifiedSince / 1000) * 1000).toUTCString()
  }
  if (target.userProject !== undefined) headers["x-goog-user-project"] = target.userProject
  return { method: "GET", path: `/${encode(target.bucket)}/${encode(key)}`, headers, body: [] }
}

/** A tag that no header can carry (RFC 9110, section 8.8.3) agrees with no response either. */
const condition = (header: "if-match" | "if-none-match", etag: string): Readonly<Record<string, string>> => {
  const tag = Checksum.opaqueTag(etag)
  return /^[\x21\x23-\x7e]*$/.test(tag) ? { [header]: `"${tag}"` } : {}
}

/** Asks for the metadata of an object. */
export const head = (target: Target, api: Api, key: string): Wire =>
  api === "xml"
    ? { ...read(target, api, key, {}), method: "HEAD" }
    : {
        method: "GET",
        path: `${objectPath(target, key)}${query({ fields: Metadata.fields, userProject: target.userProject })}`,
        headers: {},
        body: []
      }

const utf8 = new TextEncoder()

/**
 * Writes an object in one request: a simple upload, or a multipart one when there is metadata. The bytes
 * are sent as they are, without a copy.
 */
export const insert = (
  target: Target,
  key: string,
  bytes: Uint8Array,
  options: {
    readonly contentType: string
    readonly metadata: Readonly<Record<string, string>> | undefined
    readonly ifGenerationMatch: string | undefined
    /** Text that is not in the bytes. */
    readonly boundary: string
  }
): Wire => {
  const { boundary, contentType, ifGenerationMatch, metadata } = options
  const preamble =
    metadata === undefined
      ? undefined
      : utf8.encode(
          `--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n` +
            `${JSON.stringify({ contentType, metadata })}\r\n` +
            `--${boundary}\r\ncontent-type: ${contentType}\r\n\r\n`
        )
  const body = preamble === undefined ? [bytes] : [preamble, bytes, utf8.encode(`\r\n--${boundary}--\r\n`)]
  return {
    method: "POST",
    path: `/upload/storage/v1/b/${encode(target.bucket)}/o${query({
      uploadType: preamble === undefined ? "media" : "multipart",
      name: key,
      ifGenerationMatch,
      fields: Metadata.fields,
      userProject: target.userProject
    })}`,
    headers: {
      "content-type": preamble === undefined ? contentType : `multipart/related; boundary=${boundary}`,
      "content-length": String(body.reduce((length, part) => length + part.length, 0))
    },
    body
  }
}

/** Starts an upload in parts. */
export const start = (
  target: Target,
  key: string,
  options: {
    readonly size: number
    readonly contentType: string
    readonly metadata: Readonly<Record<string, string>> | undefined
    readonly ifGenerationMatch: string | undefined
  }
): Wire => {
  const { contentType, ifGenerationMatch, metadata, size } = options
  const body = utf8.encode(JSON.stringify({ contentType, metadata }))
  return {
    method: "POST",
    path: `/upload/storage/v1/b/${encode(target.bucket)}/o${query({
      uploadType: "resumable",
      name: key,
      ifGenerationMatch,
      fields: Metadata.fields,
      userProject: target.userProject
    })}`,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "content-length": String(body.length),
      "x-upload-content-type": contentType,
      "x-upload-content-length": String(size)
    },
    body: [body]
  }
}

/** Bytes `from` to `to` of an upload; without `from`, asks how far it has come. */
export const part = (path: string, bytes: Uint8Array, from: number | undefined, to: number): Wire => {
  const sent = from === undefined ? new Uint8Array(0) : bytes.subarray(from, to)
  return {
    method: "PUT",
    path,
    headers: {
      "content-length": String(sent.length),
      "content-range": `bytes ${sent.length === 0 ? "*" : `${from}-${to - 1}`}/${bytes.length}`
    },
    body: [sent]
  }
}

/** Gives an upload up. */
export const cancel = (path: string): Wire => ({
  method: "DELETE",
  path,
  headers: { "content-length": "0" },
  body: []
})

/** One page of at most 1,000 objects. */
export const list = (target: Target, prefix: string, pageSize: number, pageToken: string | undefined): Wire => ({
  method: "GET",
  path: `/storage/v1/b/${encode(target.bucket)}/o${query({
    prefix: prefix === "" ? undefined : prefix,
    maxResults: String(pageSize),
    pageToken,
    fields: `kind,items(${Metadata.listedFields}),nextPageToken`,
    userProject: target.userProject
  })}`,
  headers: {},
  body: []
})

/** Deletes an object. */
export const remove = (target: Target, key: string): Wire => ({
  method: "DELETE",
  path: `${objectPath(target, key)}${query({ userProject: target.userProject })}`,
  headers: {},
  body: []
})

/** Starts or continues a copy within the bucket. */
export const rewrite = (
  target: Target,
  from: string,
  to: string,
  options: { readonly ifSourceGenerationMatch: string | undefined; readonly rewriteToken: string | undefined }
): Wire => ({
  method: "POST",
  path: `${objectPath(target, from)}/rewriteTo/b/${encode(target.bucket)}/o/${encode(to)}${query({
    ...options,
    fields: "done,rewriteToken",
    userProject: target.userProject
  })}`,
  headers: { "content-length": "0" },
  body: []
})
