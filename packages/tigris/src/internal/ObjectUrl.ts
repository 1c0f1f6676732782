/** URLs of objects: plain, and signed for whoever has them. */
import * as S3 from "@aws-sdk/client-s3"
import { getSignedUrl } from "@aws-sdk/s3-request-presigner"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as S3Client from "@effect-icechunk/s3/S3Client"
import * as S3Error from "@effect-icechunk/s3/S3Error"
import * as TigrisOptions from "../TigrisOptions.ts"

/** Where Tigris serves public buckets; each has a subdomain. */
const publicDomain = "t3.tigrisfiles.io"

/** Limits of Signature Version 4, in seconds. */
const longest = 7 * 24 * 60 * 60

/** RFC 3986 escapes of all but slashes. */
const escapeKey = (key: string): string =>
  encodeURIComponent(key)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%2F", "/")

/** Where a key is for whoever may read it without credentials. */
export const plain = (
  options: TigrisOptions.ConnectionOptions,
  bucket: string,
  key: string,
  style: "host" | "path" | undefined
): string => {
  const isDefault = TigrisOptions.originEndpoint(options.endpoint) === undefined
  if (isDefault && style !== "path") return `https://${bucket}.${publicDomain}/${escapeKey(key)}`
  const base = isDefault ? TigrisOptions.defaultEndpoint : options.endpoint!.replace(/\/+$/, "")
  return style === "path" || (style === undefined && TigrisOptions.usesPathStyle(options))
    ? `${base}/${bucket}/${escapeKey(key)}`
    : `${base.replace("://", `://${bucket}.`)}/${escapeKey(key)}`
}

const credentialsOf = (
  options: TigrisOptions.ConnectionOptions
): Effect.Effect<Credentials.Credentials, TigrisOptions.InvalidTigrisOptions | Credentials.CredentialsUnavailable> =>
  Effect.gen(function* () {
    const source =
      options.anonymous === true ? Credentials.anonymous : (options.credentials ?? Credentials.environment())
    const credentials = Effect.isEffect(source) ? yield* source : source
    if (credentials._tag === "AccessKey" || credentials._tag === "Environment") return credentials
    return yield* new TigrisOptions.InvalidTigrisOptions({
      option: "credentials",
      problem: `are of kind \`${credentials._tag}\`, with which nothing can be signed`
    })
  })

export const presigned = Effect.fnUntraced(function* (
  options: TigrisOptions.ConnectionOptions,
  target: {
    readonly bucket: string
    readonly key: string
    readonly method: "get" | "put"
    readonly expiresIn: Duration.Input
  }
): Effect.fn.Return<Redacted.Redacted, TigrisOptions.InvalidTigrisOptions | Credentials.CredentialsUnavailable> {
  const invalid = (option: string, problem: string): TigrisOptions.InvalidTigrisOptions =>
    new TigrisOptions.InvalidTigrisOptions({ option, problem })
  const expiresIn = Math.floor(Duration.toSeconds(target.expiresIn))
  if (!(expiresIn >= 1 && expiresIn <= longest)) {
    return yield* invalid("expiresIn", "has to be from 1 second to 7 days")
  }
  if (target.key === "" || !target.key.isWellFormed()) return yield* invalid("key", "is not the key of an object")
  const credentials = yield* credentialsOf(options)
  const { endpoint, forcePathStyle, region } = TigrisOptions.toS3(options)
  const client = S3Client.make({
    region,
    endpoint,
    forcePathStyle: forcePathStyle === true,
    credentials,
    connectTimeout: 0,
    connections: 1
  })
  const input = { Bucket: target.bucket, Key: target.key }
  const command = target.method === "get" ? new S3.GetObjectCommand(input) : new S3.PutObjectCommand(input)
  return yield* Effect.tryPromise({
    try: async () => Redacted.make(await getSignedUrl(client, command, { expiresIn }), { label: "presigned URL" }),
    catch: (error) =>
      new Credentials.CredentialsUnavailable({ problem: S3Error.classify(error).reason.detail ?? "none were found" })
  }).pipe(Effect.ensuring(Effect.sync(() => client.destroy())))
})
