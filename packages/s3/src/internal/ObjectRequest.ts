/** A get, head or put of one object as data, which goes through the SDK or directly, and its answer as the SDK gives it. */
import * as S3 from "@aws-sdk/client-s3"
import type { Operation } from "@effect-icechunk/core/ObjectStoreError"
import type { Head } from "@effect-icechunk/core/node/HttpPool"
import type { Request } from "../S3Connection.ts"
import * as Answers from "./Answers.ts"

/** Parameters, as the SDK names them. */
export interface Input {
  readonly Range?: string | undefined
  readonly IfMatch?: string | undefined
  readonly IfNoneMatch?: string | undefined
  readonly IfUnmodifiedSince?: Date | undefined
  readonly ContentType?: string | undefined
  readonly Metadata?: Readonly<Record<string, string>> | undefined
  readonly RequestPayer?: "requester" | undefined
}

/** What the headers of an answer say. */
export type Output = Pick<
  S3.GetObjectCommandOutput & S3.HeadObjectCommandOutput,
  "ETag" | "LastModified" | "Metadata" | "ContentLength" | "ContentRange" | "ContentType" | "$metadata"
>

/** What the headers of an answer promise, and what its bytes then are. */
export interface Expectation<A> {
  /** Bytes that the body has; more are not read. */
  readonly length: number
  /** `undefined`: there were more. Throws an `S3Failure` where they are not what was asked for. */
  readonly done: (bytes: Uint8Array | undefined) => A
}

/** What goes over the wire. */
export interface Wire {
  /** Key within the bucket. */
  readonly objectKey: string
  readonly method: "GET" | "HEAD" | "PUT"
  readonly input: Input
  /** Of a put. */
  readonly body?: Uint8Array | undefined
}

export interface ObjectRequest<A> extends Wire {
  readonly operation: Operation
  /** Key within the store, as spans show it. */
  readonly key: string
  /** Judges an answer by its headers; an `S3Failure` that it throws is kept, and the body is not read. */
  readonly open: (output: Output) => Expectation<A>
  /** Bytes that came, for the span (default those that were sent, if any). */
  readonly bytes?: ((answer: A) => number) | undefined
}

const nothing = new Uint8Array(0)

const given = <T extends object>(parameters: T): { readonly [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined)) as never

/** The request as one of a command of the SDK. */
export const throughSdk = <A, B>(
  request: ObjectRequest<A>,
  bucket: string,
  send: <Input extends S3.ServiceInputTypes, Output extends S3.ServiceOutputTypes>(
    request: Request<Input, Output, A>
  ) => B
): B => {
  const { body, input, key, method, objectKey, open, operation } = request
  const target = { Bucket: bucket, Key: objectKey, ...given(input) }
  const common = { operation, key, sends: body?.length }
  if (method === "PUT") {
    return send({
      ...common,
      access: "write",
      command: () => new S3.PutObjectCommand({ ...target, Metadata: { ...input.Metadata }, Body: body ?? nothing }),
      answer: "nothing",
      read: (output) => open(output).done(nothing)
    })
  }
  if (method === "HEAD") {
    return send({
      ...common,
      access: "read",
      command: () => new S3.HeadObjectCommand(target),
      answer: "object",
      read: (output) => open(output).done(nothing)
    })
  }
  return send({
    ...common,
    access: "read",
    command: () => new S3.GetObjectCommand(target),
    answer: "object",
    read: async (output, collect) => {
      let expected: Expectation<A>
      try {
        expected = open(output)
      } catch (failure) {
        Answers.discard(output.Body)
        throw failure
      }
      return expected.done(await collect(output.Body, expected.length))
    }
  })
}

const prefix = "x-amz-meta-"

/** The headers of a request, names in lower case. */
export const headers = ({ input, method }: Wire): Map<string, string> => {
  const all = new Map<string, string>()
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined) all.set(name, value)
  }
  set("range", input.Range)
  set("if-match", input.IfMatch)
  set("if-none-match", input.IfNoneMatch)
  set("if-unmodified-since", input.IfUnmodifiedSince?.toUTCString())
  set("x-amz-request-payer", input.RequestPayer)
  set("content-type", input.ContentType ?? (method === "PUT" ? "application/octet-stream" : undefined))
  for (const [name, value] of Object.entries(input.Metadata ?? {})) all.set(prefix + name.toLowerCase(), value)
  return all
}

const escapes = /[!'()*]/g

/** A key in the path of a URL: slashes stay, everything else that is not unreserved is escaped. */
export const pathOf = (key: string): string =>
  encodeURIComponent(key)
    .replaceAll("%2F", "/")
    .replaceAll(escapes, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** RFC 9110, section 5.6.7: the one form that servers send. */
const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

export const output = ({ headers, status }: Head): Output => {
  const Metadata: Record<string, string> = {}
  for (const name in headers) if (name.startsWith(prefix)) Metadata[name.slice(prefix.length)] = headers[name]!
  const modified = headers["last-modified"]
  const length = headers["content-length"]
  return {
    ETag: headers["etag"],
    LastModified: modified !== undefined && date.test(modified) ? new Date(modified) : undefined,
    Metadata,
    ContentLength: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
    ContentRange: headers["content-range"],
    ContentType: headers["content-type"],
    $metadata: { httpStatusCode: status }
  }
}
