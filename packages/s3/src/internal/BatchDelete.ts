/** Many deletions with few requests. */
import * as S3 from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import type { S3Connection } from "../S3Connection.ts"
import * as S3Error from "../S3Error.ts"
import * as Keys from "./Keys.ts"
import * as Response from "./Response.ts"

/** S3's limit of keys in one request. */
const maxKeys = 1000

export interface KeyFailure {
  readonly key: string
  readonly failure: S3Error.S3Failure
}

const chunks = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / maxKeys) }, (_, i) => all.slice(i * maxKeys, (i + 1) * maxKeys))

/** Services that have no batches, or want them with an MD5, which the SDK no longer sends. */
const hasNoBatches = ({ reason, status = 0 }: S3Error.S3Failure): boolean =>
  status >= 400 && reason._tag === "Unsupported"

/** The keys that could not be deleted, and why. Keys that XML does not carry unchanged go one by one. */
export const deleteAll = (options: {
  readonly connection: S3Connection
  readonly base: string
  readonly keys: ReadonlyArray<string>
  readonly request: { readonly RequestPayer?: "requester" }
}): Effect.Effect<ReadonlyArray<KeyFailure>> => {
  const { base, connection, request } = options
  const target = { Bucket: connection.bucket, ...request }

  const one = (key: string): Effect.Effect<ReadonlyArray<KeyFailure>> =>
    connection
      .retrying(
        connection.send({
          operation: "delete",
          key,
          access: "write",
          command: () => new S3.DeleteObjectCommand({ ...target, Key: base + key }),
          answer: "nothing",
          read: Response.deleted
        })
      )
      .pipe(
        Effect.match({
          // A bucket that is not there has nothing left to delete, but nobody asked for that.
          onFailure: (failure) => (failure.code === "NoSuchKey" ? [] : [{ key, failure }]),
          onSuccess: () => []
        })
      )

  const oneByOne = (keys: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<KeyFailure>> =>
    Effect.map(Effect.forEach(keys, one, { concurrency: 8 }), (found) => found.flat())

  const batch = (keys: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<KeyFailure>> =>
    Effect.suspend(() => {
      let left = keys
      const failed: Array<KeyFailure> = []
      return connection
        .retrying(
          connection
            .send({
              operation: "delete",
              key: `${keys[0]} and ${keys.length - 1} more`,
              access: "write",
              command: () =>
                new S3.DeleteObjectsCommand({
                  ...target,
                  Delete: { Quiet: true, Objects: left.map((key) => ({ Key: base + key })) }
                }),
              answer: { document: "DeleteResult" },
              read: ({ Errors = [] }) => Errors
            })
            .pipe(
              Effect.flatMap((errors) => {
                const again: Array<string> = []
                let last: S3Error.S3Failure | undefined
                for (const { Code, Key = "", Message } of errors) {
                  const failure = S3Error.classify({ Code, message: Message, $metadata: { httpStatusCode: 400 } })
                  if (failure.code === "NoSuchKey") continue
                  const key = Key.slice(base.length)
                  if (failure.isRetryable) {
                    again.push(key)
                    last = failure
                  } else failed.push({ key, failure })
                }
                left = again
                return last === undefined ? Effect.void : Effect.fail(last)
              })
            )
        )
        .pipe(
          Effect.matchEffect({
            onSuccess: () => Effect.succeed(failed),
            onFailure: (failure) =>
              hasNoBatches(failure)
                ? Effect.map(oneByOne(left), (more) => [...failed, ...more])
                : Effect.succeed([...failed, ...left.map((key) => ({ key, failure }))])
          })
        )
    })

  const odd = options.keys.filter((key) => !Keys.isSafeInXml(base + key))
  const plain = options.keys.filter((key) => Keys.isSafeInXml(base + key))
  const single = plain.length === 1 ? [...odd, ...plain] : odd
  return Effect.map(
    Effect.all([oneByOne(single), Effect.forEach(plain.length === 1 ? [] : chunks(plain), batch, { concurrency: 4 })], {
      concurrency: 2
    }),
    ([first, rest]) => [...first, ...rest.flat()]
  )
}
