import { assert, describe, it } from "@effect/vitest"
import * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as VirtualChunkRef from "@effect-icechunk/core/VirtualChunkRef"
import * as Config from "@effect-icechunk/core/RepositoryConfig"
import * as Endpoint from "../../src/values/Endpoint.ts"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const good: Container.VirtualChunkContainer = {
  name: "model",
  protocol: "s3",
  platform: "s3",
  region: "us-east-2",
  bucket_prefix: "model-outputs/netcdf",
  cloud_client_config: { endpoint_url: "http://localhost:9000", force_path_style: true }
}

describe("VirtualChunkContainer.problem", () => {
  it("finds nothing wrong with the defaults", () => {
    for (const container of Container.defaults) assert.isUndefined(Container.problem(container))
    assert.deepStrictEqual(
      Container.defaults.map(({ name, protocol, platform }) => [name, protocol, platform]),
      [
        ["s3", "s3", "s3"],
        ["gcs", "gcs", "gcs"],
        ["tigris", "tigris", "tigris"],
        ["file", "file", "fs"]
      ]
    )
  })

  it.each([
    good,
    { name: "a b ü", protocol: "models", platform: "s3" },
    { name: "x", protocol: "my-data.v2+x", platform: "of-the-users-own" },
    { name: "x", protocol: "s3", platform: "tigris", bucket_prefix: "bucket/" },
    { name: "x", protocol: "file", platform: "fs", bucket_prefix: "/data/a b/" },
    { name: "x", protocol: "geoid", platform: "fs", bucket_prefix: "/" },
    { name: "x", protocol: "s3", platform: "s3", bucket_prefix: "bucket/a//../b" },
    { name: "x", protocol: "s3", platform: "s3", cloud_client_config: { endpoint_url: "https://host:1/a/b" } }
  ])("accepts %j", (container) => {
    assert.isUndefined(Container.problem(container))
  })

  const table: ReadonlyArray<readonly [Partial<Container.VirtualChunkContainer>, field: string, problem: string]> = [
    [{ name: "" }, "name", "is empty"],
    [{ name: "a/b" }, "name", "contains `/`: `a/b`"],
    [{ protocol: "" }, "protocol", "lower-case letters"],
    [{ protocol: "S3" }, "protocol", "lower-case letters"],
    [{ protocol: "2d" }, "protocol", "a letter first"],
    [{ protocol: "s3://" }, "protocol", "lower-case letters"],
    [{ protocol: "a_b" }, "protocol", "lower-case letters"],
    [{ protocol: "models\n" }, "protocol", "lower-case letters"],
    [{ protocol: "vcc" }, "protocol", "Icechunk keeps"],
    [{ protocol: "gs", platform: "gcs" }, "protocol", "write `gcs`"],
    [{ protocol: "fs", platform: "fs" }, "protocol", "write `file`"],
    [{ protocol: "gcs" }, "platform", "`gcs://` locations are on `gcs`"],
    [{ protocol: "tigris" }, "platform", "`tigris://` locations are on `tigris`"],
    [{ protocol: "file" }, "platform", "`file://` locations are on `fs`"],
    [{ protocol: "s3", platform: "fs" }, "platform", "`s3://` locations are on `s3`"],
    [{ protocol: "models", platform: "" }, "platform", "is empty"],
    [{ bucket_prefix: "/bucket" }, "bucket_prefix", "starts with the bucket"],
    [{ protocol: "file", platform: "fs", bucket_prefix: "data" }, "bucket_prefix", "absolute directory"],
    [{ protocol: "file", platform: "fs", bucket_prefix: "/data/../etc" }, "bucket_prefix", "`..` segments"],
    [{ protocol: "file", platform: "fs", bucket_prefix: "/data/./x" }, "bucket_prefix", "`.` or"],
    [{ protocol: "file", platform: "fs", bucket_prefix: "/data//x" }, "bucket_prefix", "empty"],
    [{ protocol: "file", platform: "fs", bucket_prefix: "/.." }, "bucket_prefix", "`..` segments"]
  ]
  it.each(table)("refuses %j and names the field", (change, field, problem) => {
    const found = Container.problem({ ...good, ...change })
    assert.include(found, `\`${field}\``)
    assert.include(found, problem)
  })

  it.each([
    "",
    "ftp://host",
    "http://",
    "https:///path",
    "http://user@host",
    "http://user:secret@host",
    "https://user:secret@host/path",
    "file:///etc",
    "http://169.254.169.254",
    "http://169.254.170.2/v2",
    "http://2852039166/latest",
    "http://0xa9fea9fe",
    "http://[fe80::1]",
    "http://[fd00:ec2::254]",
    "http://[::ffff:169.254.169.254]",
    "http://metadata.google.internal/computeMetadata"
  ])("refuses the endpoint `%s`", (endpoint_url) => {
    const found = Container.problem({ ...good, cloud_client_config: { endpoint_url } })
    assert.include(found, "`cloud_client_config.endpoint_url` of `model`")
    assert.notInclude(found, "secret", "the message repeats no password")
  })
})

describe("Endpoint.withScheme", () => {
  it.each([
    ["localhost:9000", "http://localhost:9000"],
    ["minio.localhost:9000/base", "http://minio.localhost:9000/base"],
    ["127.0.0.1:9000", "http://127.0.0.1:9000"],
    ["127.8.9.1", "http://127.8.9.1"],
    ["[::1]:9000", "http://[::1]:9000"],
    ["0x7f000001:9000", "http://0x7f000001:9000"],
    ["minio.example:9000", "https://minio.example:9000"],
    ["localhost.example:9000", "https://localhost.example:9000"],
    ["127.0.0.1.example", "https://127.0.0.1.example"],
    ["10.0.0.1:9000", "https://10.0.0.1:9000"],
    ["[::2]", "https://[::2]"],
    ["http://minio.example", "http://minio.example"],
    ["HTTPS://localhost", "HTTPS://localhost"],
    ["ftp://localhost", "ftp://localhost"],
    ["", ""],
    ["a b", "a b"]
  ])("of `%s` is `%s`", (endpoint, normal) => {
    assert.strictEqual(Endpoint.withScheme(endpoint), normal)
  })
})

describe("a container that a program sets", () => {
  const input = (container: unknown): Result.Result<Config.RepositoryConfig, Config.InvalidConfig> =>
    Config.fromInput("input", { virtual_chunk_containers: [container] })

  it.each([
    "access_key_id",
    "secretAccessKey",
    "session_token",
    "token",
    "Password",
    "sas",
    "sas_token",
    "account-key",
    "credentials",
    "private_key"
  ])("holds no secret as `%s`, which is not repeated", (name) => {
    for (const container of [
      { ...good, cloud_client_config: { [name]: "hush" } },
      { ...good, cloud_client_config: { additional_fields: { auth: { [name]: "hush" } } } },
      { ...good, [name]: "hush" }
    ]) {
      const error = Result.getOrThrow(Result.flip(input(container)))
      assert.include(error.message, `\`${name}\` looks like a secret`)
      assert.include(error.message, "`credentials`")
      assert.notInclude(error.message, "hush")
    }
  })

  it.each<readonly [Readonly<Record<string, unknown>>, string]>([
    [{ bucket_prefix: "s3://bucket/a" }, "`bucket_prefix` of `model` starts with a protocol"],
    [{ protocol: "m", platform: "S3" }, "write `s3`"],
    [{ protocol: "m", platform: "Tigris" }, "write `tigris`"],
    [{ bucketPrefix: "bucket" }, "Did you mean `bucket_prefix`?"],
    [{ cloud_client_config: { endpointUrl: "http://localhost" } }, "Did you mean `endpoint_url`?"],
    [{ cloud_client_config: { anonimous: true } }, "Did you mean `anonymous`?"],
    [{ additional_fields: { region: "eu" } }, "`region` is a known field"],
    [{ quantum: true }, "there is no such field. A field that only other versions"]
  ])("is refused with %j, which is read where others wrote it", (change, problem) => {
    const container = { ...good, ...change }
    assert.include(Result.getOrThrow(Result.flip(input(container))).problem, problem)
    const read = Config.fromJson("file", { virtual_chunk_containers: [container] })
    assert.isTrue(Result.isSuccess(read))
  })

  it("leaves those as they are that somebody else has written", () => {
    const theirs = { ...good, protocol: "m", platform: "S3", cloud_client_config: { token: "theirs" } }
    const current = Result.getOrThrow(Config.fromJson("file", { virtual_chunk_containers: [theirs] }))
    const next = Config.setContainer({ ...good, name: "another" })(current)
    assert.deepStrictEqual(Config.validateUpdate("file", current, next), Result.succeed(next))
  })

  it("has its endpoint in full", () => {
    const container = { ...good, cloud_client_config: { endpoint_url: "localhost:9000" } }
    for (const config of [input(container), Config.fromJson("file", { virtual_chunk_containers: [container] })]) {
      const [found] = Result.getOrThrow(config).virtual_chunk_containers ?? []
      assert.strictEqual(found?.cloud_client_config?.endpoint_url, "http://localhost:9000")
    }
  })
})

describe("VirtualChunkContainer.prefix", () => {
  it("has no slashes at its end", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "/", "b") }), (bucket_prefix) => {
        const prefix = Container.prefix({ ...good, bucket_prefix })
        assert.isFalse(prefix.endsWith("/"))
        assert.isTrue(bucket_prefix.startsWith(prefix))
        assert.match(bucket_prefix.slice(prefix.length), /^\/*$/)
      })
    )
    assert.strictEqual(Container.prefix({ name: "x", protocol: "s3", platform: "s3" }), "")
  })
})

describe("VirtualChunkContainer.hasCustomProtocol", () => {
  it.each([
    ["s3", "s3", false],
    ["gcs", "gcs", false],
    ["tigris", "tigris", false],
    ["file", "fs", false],
    ["models", "s3", true],
    ["geoid", "fs", true],
    ["s3", "tigris", true]
  ] as const)("of `%s` on `%s` is %s", (protocol, platform, custom) => {
    assert.strictEqual(Container.hasCustomProtocol({ name: "x", protocol, platform }), custom)
  })
})

describe("VirtualChunkRef.problem", () => {
  it("refuses what addresses no bytes, and says why", () => {
    assert.isUndefined(VirtualChunkRef.problem(0, 1))
    assert.isUndefined(VirtualChunkRef.problem(Number.MAX_SAFE_INTEGER - 1, 1))
    for (const offset of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.include(VirtualChunkRef.problem(offset, 1), `its offset is ${offset}`)
    }
    for (const length of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.include(VirtualChunkRef.problem(0, length), `its length is ${length}`)
    }
    assert.include(VirtualChunkRef.problem(5, 0), "delete the ref instead")
    assert.include(VirtualChunkRef.problem(Number.MAX_SAFE_INTEGER, 1), "ends beyond 2^53 - 1")
  })
})
