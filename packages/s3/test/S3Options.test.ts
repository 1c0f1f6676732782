import * as Credentials from "@effect-icechunk/core/Credentials"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as S3Dialect from "../src/S3Dialect.ts"
import * as S3ObjectStore from "../src/S3ObjectStore.ts"
import * as S3Options from "../src/S3Options.ts"

describe("S3Options.problem", () => {
  it.each<readonly [option: string, options: Partial<S3Options.S3Options>]>([
    ["bucket", { bucket: "" }],
    ["bucket", { bucket: "a/b" }],
    ["bucket", { bucket: ".." }],
    ["bucket", { bucket: "a?b" }],
    ["prefix", { prefix: "\ud800" }],
    ["region", { region: "evil.example/#" }],
    ["region", { region: "" }],
    ["endpoint", { endpoint: "localhost:9000" }],
    ["endpoint", { endpoint: "ftp://localhost" }],
    ["endpoint", { endpoint: "http://user:secret@localhost" }],
    ["endpoint", { endpoint: "http://localhost/?a=b" }],
    ["readHeaders", { readHeaders: { "If-Match": "x" } }],
    ["readHeaders", { readHeaders: { "a b": "x" } }],
    ["writeHeaders", { writeHeaders: { Authorization: "x" } }],
    ["writeHeaders", { writeHeaders: { "x-a": "x\r\ny: z" } }],
    ["writeHeaders", { writeHeaders: { "x-amz-meta-a": "x" } }],
    ["concurrency", { concurrency: 0 }],
    ["multipartThreshold", { multipartThreshold: 1.5 }],
    ["partSize", { partSize: -1 }],
    ["listPageSize", { listPageSize: 1001 }],
    ["retry.times", { retry: { times: -1 } }]
  ])("names `%s` for %j", (option, options) => {
    const found = S3Options.problem({ bucket: "bucket", ...options })
    expect(found?.option).toBe(option)
    expect(found?.message).toContain(`\`${option}\``)
    expect(found?.message).not.toContain("secret")
  })

  it.each<Partial<S3Options.S3Options>>([
    {},
    { bucket: "arn:aws:s3:us-east-1:123456789012:accesspoint/name" },
    { bucket: "Old_Bucket.Name" },
    { prefix: "a//b/é" },
    { endpoint: "http://[::1]:9000/base/" },
    { readHeaders: { "x-custom": "1" }, writeHeaders: { "x-amz-storage-class": "STANDARD_IA" } }
  ])("accepts %j", (options) => {
    expect(S3Options.problem({ bucket: "bucket", ...options })).toBeUndefined()
  })
})

describe("a Tigris endpoint", () => {
  it.effect.each([
    "https://t3.storage.dev",
    "https://T3.Storage.Dev.",
    "https://bucket.t3.storage.dev/",
    "https://fly.storage.tigris.dev",
    "https://dev-tigris.tigris.dev:8443",
    "https://t3.tigrisfiles.io"
  ])("%s is refused, and the error names the layer to use", (endpoint) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(S3ObjectStore.make({ bucket: "bucket", endpoint })))
      expect(error._tag).toBe("TigrisEndpoint")
      expect(error.message).toContain("TigrisObjectStore.layer")
      expect(error.message).toContain("@effect-icechunk/tigris")
    })
  )

  it("is told by whole labels of its host", () => {
    expect(S3Dialect.isTigris("https://nottigris.dev")).toBe(false)
    expect(S3Dialect.isTigris("https://tigris.dev.example.com")).toBe(false)
    expect(S3Dialect.isTigris("https://example.com/t3.storage.dev")).toBe(false)
  })
})

describe("S3Dialect.forEndpoint", () => {
  it.each<readonly [string | undefined, S3Dialect.ConditionalEtag, boolean]>([
    [undefined, "quoted", true],
    ["https://s3.eu-west-1.amazonaws.com", "quoted", true],
    ["https://abc.r2.cloudflarestorage.com", "quoted", false],
    ["https://nyc3.digitaloceanspaces.com", "bare", false],
    ["http://localhost:9000", "ask", false]
  ])("%s: ETags %s", (endpoint, conditionalEtag, conditionalCopy) => {
    expect(S3Dialect.forEndpoint(endpoint)).toMatchObject({
      conditionalEtag,
      conditionalCopy,
      conditionalPut: conditionalEtag === "ask" ? "ask" : true
    })
  })
})

describe("S3Options.environment", () => {
  const read = (variables: Readonly<Record<string, string>>): Effect.Effect<S3Options.S3Options, unknown> =>
    S3Options.environment.parse(ConfigProvider.fromEnv({ env: variables }))

  it.effect("reads what AWS tools read, and the bucket", () =>
    Effect.gen(function* () {
      const options = yield* read({
        S3_BUCKET: "data",
        S3_PREFIX: "repo",
        S3_FORCE_PATH_STYLE: "true",
        S3_REQUESTER_PAYS: "true",
        AWS_DEFAULT_REGION: "eu-west-1",
        AWS_ENDPOINT_URL: "http://localhost:9000",
        AWS_ACCESS_KEY_ID: "key",
        AWS_SECRET_ACCESS_KEY: "secret",
        AWS_SESSION_TOKEN: "token"
      })
      expect(options).toMatchObject({
        bucket: "data",
        prefix: "repo",
        region: "eu-west-1",
        endpoint: "http://localhost:9000",
        forcePathStyle: true,
        anonymous: false,
        requesterPays: true
      })
      const { credentials } = options
      if (credentials === undefined || Effect.isEffect(credentials) || credentials._tag !== "AccessKey") {
        throw new Error("these are no access key")
      }
      expect(credentials.accessKeyId).toBe("key")
      expect(Redacted.value(credentials.secretAccessKey)).toBe("secret")
      expect(credentials.sessionToken && Redacted.value(credentials.sessionToken)).toBe("token")
      expect(JSON.stringify(options)).not.toMatch(/"(secret|token)"/)
    })
  )

  it.effect("leaves the rest to the SDK", () =>
    Effect.gen(function* () {
      const options = yield* read({ S3_BUCKET: "data", AWS_PROFILE: "work", AWS_REGION: "" })
      expect(options.credentials).toEqual(Credentials.environment({ profile: "work" }))
      expect(options).toMatchObject({ region: undefined, endpoint: undefined, forcePathStyle: undefined })
    })
  )

  it.effect("fails without a bucket", () =>
    Effect.map(Effect.flip(read({})), (error) => expect(String(error)).toContain("S3_BUCKET"))
  )
})
