/** What the S3 server of the tests is made of. */
import type * as SigV4 from "./SigV4.ts"
import * as Xml from "./Xml.ts"

export interface StoredObject {
  readonly bytes: Uint8Array
  /** With quotes. */
  readonly etag: string
  /** Milliseconds since 1970, a whole second. */
  readonly lastModified: number
  readonly contentType: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface Upload {
  readonly key: string
  readonly contentType: string
  readonly metadata: Readonly<Record<string, string>>
  readonly parts: Map<number, { readonly bytes: Uint8Array; readonly etag: string }>
}

export interface Bucket {
  readonly region: string
  /** May be read without credentials. */
  readonly isPublic: boolean
  readonly objects: Map<string, StoredObject>
  readonly uploads: Map<string, Upload>
}

export interface Options {
  readonly credentials?: ReadonlyArray<SigV4.Credential>
  /** `bare` is Ceph: `If-Match` of a put must have no quotes, `_` in metadata keys becomes `-`. */
  readonly dialect?: "quoted" | "bare"
  /** Conditions that are accepted and ignored. */
  readonly ignores?: ReadonlyArray<"get" | "put" | "copy" | "multipart">
  /** How a request that is signed for the wrong region is answered (default 400, with the region in the body). */
  readonly wrongRegion?: 301 | 400
  /** `DeleteObjects` is not implemented. */
  readonly noBatchDelete?: boolean
  /** Milliseconds since 1970 (default the system's clock). */
  readonly now?: () => number
}

export interface Request extends SigV4.SignedRequest {
  readonly bucket: string
  readonly key: string
  readonly query: ReadonlyMap<string, string>
  /** As the SDK names it: `PutObject`, `ListObjectsV2`. */
  readonly operation: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
}

/** Thrown to end a request with an error document. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly fields: ReadonlyArray<Xml.Element>
  readonly headers: Readonly<Record<string, string>>
  constructor(
    status: number,
    code: string,
    message = code,
    more: { readonly fields?: ReadonlyArray<Xml.Element>; readonly headers?: Readonly<Record<string, string>> } = {}
  ) {
    super(message)
    this.status = status
    this.code = code
    this.fields = more.fields ?? []
    this.headers = more.headers ?? {}
  }
}

export interface S3Service {
  readonly buckets: Map<string, Bucket>
  readonly createBucket: (name: string, options?: { readonly region?: string; readonly isPublic?: boolean }) => Bucket
  readonly parse: (incoming: SigV4.SignedRequest) => Request
  readonly handle: (request: Request) => Answer
  /** Keys that may not be deleted, whoever asks. */
  readonly undeletable: Set<string>
}

const encoder = new TextEncoder()

/** The answer of a refused request. */
export const refusal = ({ code, fields, headers, message, status }: Refusal): Answer => ({
  status,
  headers: { "content-type": "application/xml", ...headers },
  body: Xml.error([["Code", code], ["Message", message], ...fields, ["RequestId", "test"]])
})

export const bytesOf = (body: Uint8Array | string): Uint8Array =>
  typeof body === "string" ? encoder.encode(body) : body
