/** The S3 requests about buckets, with Tigris's headers, and what their answers mean. */
import * as S3 from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as S3Client from "@effect-icechunk/s3/S3Client"
import * as S3Connection from "@effect-icechunk/s3/S3Connection"
import type * as S3Dialect from "@effect-icechunk/s3/S3Dialect"
import * as S3Error from "@effect-icechunk/s3/S3Error"
import type * as S3Options from "@effect-icechunk/s3/S3Options"
import * as TigrisHeaders from "../TigrisHeaders.ts"
import * as TigrisOptions from "../TigrisOptions.ts"

/** What a HEAD of a bucket says. */
export interface Head {
  readonly snapshots: boolean
  readonly forkOf: { readonly bucket: string; readonly snapshotVersion: string | undefined } | undefined
  readonly hasForks: boolean
}

export interface Listed {
  readonly name: string
  /** Milliseconds since 1970. */
  readonly createdAt: number | undefined
}

/** An object. */
export interface Place {
  readonly bucket: string
  readonly key: string
}

type Request<A> = Effect.Effect<A, S3Error.S3Failure>

export interface BucketRequests {
  /** The version of the snapshot, when one was made. */
  readonly create: (bucket: string, headers: TigrisHeaders.Headers) => Request<string | undefined>
  readonly delete: (bucket: string, headers: TigrisHeaders.Headers) => Request<void>
  readonly head: (bucket: string) => Request<Head>
  /** The regions where all data of a bucket is, with commas between; empty for everywhere. */
  readonly regions: (bucket: string) => Request<string>
  /** Copies an object, on the service's side. */
  readonly copy: (from: Place, to: Place, headers: TigrisHeaders.Headers) => Request<void>
  /** All pages. */
  readonly list: (headers: TigrisHeaders.Headers) => Request<ReadonlyArray<Listed>>
}

/** Headers are given with each request: what they mean differs between objects and buckets. */
const dialect: S3Dialect.S3Dialect = {
  platform: "tigris",
  conditionalEtag: "ask",
  conditionalPut: true,
  conditionalCopy: false,
  conditionalMultipart: false,
  readHeaders: {},
  writeHeaders: {},
  signedHeaders: [TigrisHeaders.names.cacheControl.toLowerCase()]
}

/** Headers of answers, which the SDK does not hand out. */
class Answer {
  private headers: Readonly<Record<string, string>> = {}

  /** The command, whose answer's headers are kept. */
  of<Command extends { readonly middlewareStack: unknown }>(command: Command): Command {
    this.headers = {}
    S3Client.onAnswer(command, "effectIcechunkAnswerHeaders", ({ headers }) => {
      this.headers = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    })
    return command
  }

  header(name: string): string | undefined {
    const value = this.headers[name.toLowerCase()]
    return value === "" ? undefined : value
  }
}

interface QueryStack {
  readonly add: (
    middleware: (
      next: (args: { readonly request: unknown }) => Promise<never>
    ) => (args: { readonly request: unknown }) => Promise<never>,
    options: { readonly step: "build"; readonly name: string }
  ) => void
}

/** What Tigris tells of a bucket in JSON; S3 has no such request, so that one of its questions is put otherwise. */
const metadataCommand = (bucket: string, keep: (body: unknown) => void): S3.GetBucketLocationCommand => {
  const command = new S3.GetBucketLocationCommand({ Bucket: bucket })
  const stack = command.middlewareStack as unknown as QueryStack
  stack.add(
    (next) => (args) => {
      ;(args.request as { query: Readonly<Record<string, string>> }).query = { metadata: "" }
      return next(args)
    },
    { step: "build", name: "effectIcechunkMetadata" }
  )
  S3Client.onAnswer(command, "effectIcechunkMetadataAnswer", (answer) => {
    if (answer.statusCode >= 300) return
    keep(answer.body)
    answer.body = new Uint8Array(0)
  })
  return command
}

/** Bytes of the JSON about a bucket. */
const maxMetadata = 1024 ** 2

const regionsIn = (bytes: Uint8Array | undefined): string => {
  const invalid = S3Error.failure("InvalidResponse", "the answer is not the JSON that Tigris has about a bucket")
  let found: unknown
  try {
    found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    throw invalid
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw invalid
  const { object_regions: regions = "" } = found as { readonly object_regions?: unknown }
  if (typeof regions !== "string") throw invalid
  return regions
}

/** Repeated are only failures that may pass: no conflict does, and no wrong endpoint. */
const withoutFutileRepetition = (failure: S3Error.S3Failure): S3Error.S3Failure =>
  failure.isRetryable && (failure.status === 409 || failure.code === "ECONNREFUSED" || failure.code === "ENOTFOUND")
    ? new S3Error.S3Failure({ ...failure, isRetryable: false })
    : failure

export const make = Effect.fnUntraced(function* (
  options: TigrisOptions.ConnectionOptions
): Effect.fn.Return<BucketRequests, S3Options.InvalidS3Options, Scope.Scope> {
  const connection = yield* S3Connection.make({ ...TigrisOptions.toS3(options), bucket: "" }, dialect, "tigris")
  const retrying = <A>(request: Request<A>): Request<A> =>
    connection.retrying(Effect.mapError(request, withoutFutileRepetition))

  /** Repeats a change; when an attempt may have been applied, `isApplied` recognises that in the next failure. */
  const settled = <A>(
    request: Request<A>,
    isApplied: (failure: S3Error.S3Failure) => boolean,
    applied: A
  ): Request<A> =>
    Effect.suspend(() => {
      let inDoubt = false
      return retrying(
        Effect.catch(request, (failure) => {
          if (inDoubt && isApplied(failure)) return Effect.succeed(applied)
          inDoubt ||= failure.mayBeApplied
          return Effect.fail(failure)
        })
      )
    })

  const head = (bucket: string): Request<Head> => {
    const answer = new Answer()
    const request = { operation: "head", key: bucket, access: "read", headers: TigrisHeaders.bucketRead } as const
    return retrying(
      connection.send({
        ...request,
        command: () => answer.of(new S3.HeadBucketCommand({ Bucket: bucket })),
        answer: "nothing",
        read: (): Head => {
          const source = answer.header(TigrisHeaders.names.forkSourceBucket)
          return {
            snapshots: answer.header(TigrisHeaders.names.enableSnapshot)?.toLowerCase() === "true",
            forkOf:
              source === undefined
                ? undefined
                : {
                    bucket: source,
                    snapshotVersion: answer.header(TigrisHeaders.names.forkSourceBucketSnapshot)
                  },
            hasForks: answer.header(TigrisHeaders.names.isForkParent)?.toLowerCase() === "true"
          }
        }
      })
    ).pipe(
      // The failure of a HEAD has no body to say why; a list of nothing has.
      Effect.catchIf(
        ({ status }) => status === 400 || status === 403,
        (failure) =>
          Effect.matchEffect(
            connection.send({
              ...request,
              command: () => new S3.ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }),
              answer: { document: "ListBucketResult" },
              read: () => undefined
            }),
            {
              onFailure: (told) => Effect.fail(told.status === failure.status ? told : failure),
              onSuccess: () => Effect.fail(failure)
            }
          )
      )
    )
  }

  const page = (
    headers: TigrisHeaders.Headers,
    token: string | undefined
  ): Request<{ readonly buckets: ReadonlyArray<Listed>; readonly next: string | undefined }> =>
    retrying(
      connection.send({
        operation: "list",
        key: "",
        access: "read",
        headers,
        command: () => new S3.ListBucketsCommand(token === undefined ? {} : { ContinuationToken: token }),
        answer: { document: "ListAllMyBucketsResult" },
        read: ({ Buckets = [], ContinuationToken }) => ({
          buckets: Buckets.flatMap(({ CreationDate, Name }) =>
            Name === undefined ? [] : [{ name: Name, createdAt: CreationDate?.getTime() }]
          ),
          next: ContinuationToken
        })
      })
    )

  return {
    create: (bucket, headers) => {
      const answer = new Answer()
      return settled(
        connection.send({
          operation: "put",
          key: bucket,
          access: "write",
          headers,
          command: () => answer.of(new S3.CreateBucketCommand({ Bucket: bucket })),
          answer: "nothing",
          read: () => answer.header(TigrisHeaders.names.snapshotVersion)
        }),
        ({ code }) => code === "BucketAlreadyOwnedByYou",
        undefined
      )
    },
    delete: (bucket, headers) =>
      settled(
        connection.send({
          operation: "delete",
          key: bucket,
          access: "write",
          headers,
          command: () => new S3.DeleteBucketCommand({ Bucket: bucket }),
          answer: "nothing",
          read: () => undefined
        }),
        ({ code }) => code === "NoSuchBucket",
        undefined
      ),
    copy: (from, to, headers) =>
      retrying(
        connection.send({
          operation: "copy",
          key: to.key,
          access: "write",
          headers,
          command: () =>
            new S3.CopyObjectCommand({
              Bucket: to.bucket,
              Key: to.key,
              CopySource: [from.bucket, ...from.key.split("/")].map(encodeURIComponent).join("/")
            }),
          answer: { document: "CopyObjectResult" },
          read: () => undefined
        })
      ),
    head,
    regions: (bucket) => {
      let body: unknown
      return retrying(
        connection.send({
          operation: "head",
          key: bucket,
          access: "read",
          headers: { ...TigrisHeaders.bucketRead, accept: "application/json" },
          command: () => metadataCommand(bucket, (found) => (body = found)),
          // Its body is JSON, which is read here.
          answer: "object",
          read: async (_, collect) => regionsIn(await collect(body, maxMetadata))
        })
      )
    },
    list: Effect.fnUntraced(function* (headers) {
      const all: Array<Listed> = []
      const seen = new Set<string>()
      for (let token: string | undefined; ;) {
        const { buckets, next } = yield* page(headers, token)
        all.push(...buckets)
        // The last page of a list of snapshots may have a token too.
        if (next === undefined || next === "" || buckets.length === 0 || seen.has(next)) return all
        seen.add(next)
        token = next
      }
    })
  }
})
