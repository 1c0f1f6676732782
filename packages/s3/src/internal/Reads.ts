/** Reading objects and listing them. */
import * as S3 from "@aws-sdk/client-s3"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type { GetOptions, GetResult, ObjectMeta } from "@effect-icechunk/core/ObjectStore"
import type { Operation } from "@effect-icechunk/core/ObjectStoreError"
import * as ByteRange from "@effect-icechunk/core/ByteRange"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as S3Error from "../S3Error.ts"
import * as Answers from "./Answers.ts"
import * as Keys from "./Keys.ts"
import type { Expectation } from "./ObjectRequest.ts"
import * as Response from "./Response.ts"
import { at, type Target } from "./Target.ts"

interface Fetched {
  readonly result: GetResult
  readonly contentType: string | undefined
}

export interface Reads {
  readonly get: (key: string, options?: GetOptions) => Effect.Effect<GetResult, S3Error.S3Failure>
  /** With what only a copy needs to know. */
  readonly whole: (key: string, options: Omit<GetOptions, "range">) => Effect.Effect<Fetched, S3Error.S3Failure>
  readonly head: (key: string, operation: Operation) => Effect.Effect<ObjectMeta, S3Error.S3Failure>
  /** What is stored now; `undefined` for nothing. */
  readonly stored: (key: string) => Effect.Effect<ObjectMeta | undefined, S3Error.S3Failure>
  readonly list: (prefix: string) => Stream.Stream<ObjectMeta, S3Error.S3Failure>
}

export const make = (target: Target): Reads => {
  const { base, connection, dialect, options: store, request } = target
  const { retrying, send } = connection

  const ask = (key: string, operation: Operation): Effect.Effect<ObjectMeta, S3Error.S3Failure> =>
    connection.object({
      operation,
      key,
      objectKey: base + key,
      method: "HEAD",
      input: request,
      open: (output) => {
        const expected = Response.expected(undefined, output)
        if (expected instanceof S3Error.S3Failure) throw expected
        return { length: 0, done: () => Response.meta(key, expected.size, output) }
      }
    })

  /** Why a HEAD was refused, which its answer has no body to say; the same request as a GET has one. */
  const explain = (key: string, operation: Operation): Effect.Effect<void, S3Error.S3Failure> =>
    send({
      operation,
      key,
      access: "read",
      command: () => new S3.GetObjectCommand({ ...at(target, key), ...request, Range: "bytes=0-0" }),
      answer: "object",
      read: ({ Body }) => Answers.discard(Body)
    }).pipe(
      // An empty object has no first byte.
      Effect.catchIf(
        ({ status }) => status === 416,
        () => Effect.void
      )
    )

  const headOnce = (key: string, operation: Operation): Effect.Effect<ObjectMeta, S3Error.S3Failure> =>
    Effect.catchIf(
      ask(key, operation),
      ({ status }) => status === 400 || status === 403,
      // The explanation may have fetched new credentials; then the question is worth another try.
      () => Effect.andThen(explain(key, operation), ask(key, operation))
    )

  const head = (key: string, operation: Operation): Effect.Effect<ObjectMeta, S3Error.S3Failure> =>
    retrying(headOnce(key, operation))

  /** What HTTP has no words for: a range without bytes. */
  const emptyRange = Effect.fnUntraced(function* (
    key: string,
    get: GetOptions,
    refused?: S3Error.S3Failure
  ): Effect.fn.Return<GetResult, S3Error.S3Failure> {
    const meta = yield* head(key, "get")
    const changed = Response.mismatch(meta, get)
    if (changed !== undefined) return yield* changed
    const span = ByteRange.resolve(get.range, meta.size)
    if (span === undefined || span.start !== span.end) {
      return yield* span === undefined || refused === undefined
        ? S3Error.failure("InvalidRange", `object of ${meta.size} bytes`, { size: meta.size })
        : refused
    }
    return { bytes: new Uint8Array(0), span, meta }
  })

  const fetch = (key: string, options: GetOptions): Effect.Effect<Fetched, S3Error.S3Failure> => {
    const { ifMatch, ifNoneMatch, ifUnmodifiedSince, range } = options
    const spelled = (etag: string | undefined): string | undefined =>
      etag === undefined
        ? undefined
        : Response.conditionEtag(etag, dialect.conditionalEtag === "bare" ? "bare" : "quoted")
    const etag = spelled(ifMatch)
    const known = spelled(ifNoneMatch)
    return retrying(
      connection.object({
        operation: "get",
        key,
        objectKey: base + key,
        method: "GET",
        input: {
          ...request,
          Range: range === undefined ? undefined : ByteRange.toHttpHeader(range),
          IfMatch: etag,
          IfNoneMatch: known,
          // HTTP dates are whole seconds; the answer is compared exactly.
          IfUnmodifiedSince:
            ifUnmodifiedSince === undefined ? undefined : new Date(Math.ceil(ifUnmodifiedSince / 1000) * 1000)
        },
        open: (output): Expectation<Fetched> => {
          const expected = Response.expected(range, output)
          const meta = Response.meta(key, expected instanceof S3Error.S3Failure ? 0 : expected.size, output)
          // Of an object that changed the range may be another.
          const changed = Response.hasEtag(output) ? Response.mismatch(meta, options) : undefined
          if (changed !== undefined) throw changed
          if (expected instanceof S3Error.S3Failure) throw expected
          const { span } = expected
          const length = span.end - span.start
          const excess = ObjectStore.excess(length, options)
          if (excess !== undefined) throw S3Error.failure("Unsupported", excess.detail ?? "")
          return {
            length,
            done: (bytes) => {
              if (bytes?.length !== length) {
                throw S3Error.failure("InvalidResponse", `${bytes?.length ?? "more"} of ${length} bytes came`, {
                  isRetryable: bytes !== undefined
                })
              }
              return { result: { bytes, span, meta }, contentType: output.ContentType }
            }
          }
        },
        bytes: ({ result }) => result.bytes.length
      })
    )
  }

  const get = (key: string, options: GetOptions = {}): Effect.Effect<GetResult, S3Error.S3Failure> => {
    const { range } = options
    if (range === undefined) return Effect.map(fetch(key, options), ({ result }) => result)
    if (!ByteRange.isValid(range)) {
      return S3Error.failure("InvalidRange", "offset and length are whole numbers from 0 on")
    }
    if (Response.isEmptyRange(range)) return emptyRange(key, options)
    return fetch(key, options).pipe(
      Effect.map(({ result }) => result),
      Effect.catchIf(
        ({ status }) => status === 416,
        (failure) => emptyRange(key, options, failure)
      )
    )
  }

  const stored = (key: string): Effect.Effect<ObjectMeta | undefined, S3Error.S3Failure> =>
    Effect.catchIf(
      head(key, "put"),
      (failure): failure is S3Error.S3Failure => failure.reason._tag === "NotFound",
      () => Effect.succeed(undefined)
    )

  const list = (prefix: string): Stream.Stream<ObjectMeta, S3Error.S3Failure> =>
    Stream.paginate(undefined as string | undefined, (token) =>
      retrying(
        send({
          operation: "list",
          key: prefix,
          access: "read",
          command: () =>
            new S3.ListObjectsV2Command({
              Bucket: connection.bucket,
              ...request,
              Prefix: base + prefix,
              EncodingType: "url",
              MaxKeys: store.listPageSize ?? 1000,
              ...(token === undefined ? {} : { ContinuationToken: token })
            }),
          answer: { document: "ListBucketResult" },
          read: (page) => {
            if (page.IsTruncated === undefined) {
              throw S3Error.failure("InvalidResponse", "a list that does not say whether it is all")
            }
            const next = page.NextContinuationToken
            if (page.IsTruncated && (next === undefined || next === "" || next === token)) {
              throw S3Error.failure("InvalidResponse", "a truncated list without a new continuation token")
            }
            const found: Array<ObjectMeta> = []
            for (const { ETag, Key, LastModified, Size } of page.Contents ?? []) {
              if (Key === undefined || Size === undefined)
                throw S3Error.failure("InvalidResponse", "a list entry without key or size")
              const key = Keys.decodeListed(Key, page.EncodingType)
              if (!key.startsWith(base + prefix)) {
                throw S3Error.failure("InvalidResponse", "a list entry that does not start with the prefix")
              }
              // What carries the name of the prefix itself is no object of this store.
              if (key === base) continue
              found.push({
                key: key.slice(base.length),
                size: Size,
                lastModified: LastModified?.getTime(),
                version: { etag: ETag }
              })
            }
            return [found, page.IsTruncated ? Option.some(next) : Option.none()] as const
          }
        })
      )
    )

  return { get, whole: fetch, head, stored, list }
}
