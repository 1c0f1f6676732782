/** Large objects in parts. Amazon S3 User Guide, "Uploading and copying objects using multipart upload". */
import * as S3 from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { Version } from "@effect-icechunk/core/ObjectStore"
import type { S3Connection } from "../S3Connection.ts"
import * as S3Error from "../S3Error.ts"
import type { Condition } from "./ConditionalWrite.ts"
import * as Response from "./Response.ts"

/** S3's limits. */
const maxParts = 10_000
export const maxSingle = 5 * 1024 ** 3

/** Attempts to be rid of the parts of an upload that failed. */
const abortions = 5

/** Whether the parts may still be there. */
const isUnfinished = ({ code }: S3Error.S3Failure): boolean => code !== "NoSuchUpload"

/** Positions of the parts of an object. Pure. */
export const parts = (
  size: number,
  partSize: number
): ReadonlyArray<{ readonly number: number; readonly start: number; readonly end: number }> => {
  const each = Math.max(partSize, Math.ceil(size / maxParts))
  return Array.from({ length: Math.ceil(size / each) }, (_, i) => ({
    number: i + 1,
    start: i * each,
    end: Math.min(size, (i + 1) * each)
  }))
}

/**
 * Uploads the parts, then runs `complete`, which may be tried several times; aborts the upload when that does not
 * succeed, so that no parts are left to be paid for.
 */
export const upload = (options: {
  readonly connection: S3Connection
  readonly key: string
  readonly objectKey: string
  readonly bytes: Uint8Array
  readonly partSize: number
  readonly request: { readonly RequestPayer?: "requester" }
  readonly headers: Pick<S3.CreateMultipartUploadCommandInput, "ContentType" | "Metadata">
  readonly settle: (
    submit: (condition: Condition) => Effect.Effect<Version, S3Error.S3Failure>
  ) => Effect.Effect<Version, S3Error.S3Failure>
}): Effect.Effect<Version, S3Error.S3Failure> => {
  const { bytes, connection, headers, key, objectKey, partSize, request, settle } = options
  const target = { Bucket: connection.bucket, Key: objectKey, ...request }
  const span = { operation: "put", key, access: "write" } as const

  const begin = connection.retrying(
    connection.send({
      ...span,
      command: () => new S3.CreateMultipartUploadCommand({ ...target, ...headers }),
      answer: { document: "InitiateMultipartUploadResult" },
      read: ({ UploadId }) => {
        if (UploadId === undefined || UploadId === "") throw S3Error.failure("InvalidResponse", "an upload without id")
        return UploadId
      }
    })
  )
  const abort = (UploadId: string): Effect.Effect<void> =>
    connection
      .send({
        ...span,
        command: () => new S3.AbortMultipartUploadCommand({ ...target, UploadId }),
        answer: "nothing",
        read: Response.deleted
      })
      .pipe(
        Effect.retry({ schedule: Schedule.exponential("100 millis"), times: abortions - 1, while: isUnfinished }),
        // Whoever interrupted the upload waits for this.
        Effect.timeoutOption("20 seconds"),
        Effect.ignore
      )

  const send = (UploadId: string): Effect.Effect<Version, S3Error.S3Failure> =>
    Effect.flatMap(
      Effect.forEach(
        parts(bytes.length, partSize),
        ({ end, number, start }) =>
          connection.retrying(
            connection.send({
              ...span,
              command: () =>
                new S3.UploadPartCommand({ ...target, UploadId, PartNumber: number, Body: bytes.subarray(start, end) }),
              answer: "nothing",
              read: ({ ETag }): S3.CompletedPart => {
                if (ETag === undefined || ETag === "") throw Response.unacknowledged
                return { PartNumber: number, ETag }
              },
              sends: end - start
            })
          ),
        { concurrency: 4 }
      ),
      (Parts) =>
        settle((condition) =>
          connection.send({
            ...span,
            command: () =>
              new S3.CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts }, ...condition }),
            answer: { document: "CompleteMultipartUploadResult" },
            read: ({ ETag }): Version => ({ etag: ETag === "" ? undefined : ETag })
          })
        )
    )

  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(begin), (UploadId) =>
      Effect.onExit(restore(send(UploadId)), (exit) => (Exit.isSuccess(exit) ? Effect.void : abort(UploadId)))
    )
  )
}
