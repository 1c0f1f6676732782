import { assert, describe, it } from "@effect/vitest"
import * as Credentials from "@effect-icechunk/core/Credentials"
import type { Origin } from "@effect-icechunk/core/ObjectStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import type { Source } from "@effect-icechunk/core/ContainerMatch"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as CredentialsPolicy from "../../src/virtual/CredentialsPolicy.ts"
import { container, key, origin, own } from "./Places.ts"

const given = key("given")
const at = (endpoint_url: string, anonymous?: boolean): Partial<Container.VirtualChunkContainer> => ({
  cloud_client_config: { endpoint_url, anonymous }
})

/** S3 with AWS as its own endpoint, and what else the platforms are like. */
const platformOf = (name: string): Parameters<typeof CredentialsPolicy.credentialsFor>[1] => ({
  name,
  sharesCredentials: !["fs", "http"].includes(name),
  ...(name === "s3" ? { ownEndpoints: /^https:\/\/s3\.[a-z0-9-]+\.amazonaws\.com$/ } : {}),
  ...(name === "s3" ? { accepts: ["AccessKey", "Anonymous", "Environment"] as const } : {}),
  ...(name === "gcs" ? { accepts: ["BearerToken", "ServiceAccount", "Anonymous", "Environment"] as const } : {}),
  ...(name === "fs" ? { ownEndpoints: /^/, accepts: ["Directory"] as const } : {}),
  ...(name === "memory" ? { needsCredentials: false } : {})
})

describe("CredentialsPolicy.credentialsFor", () => {
  interface Row {
    readonly rule: string
    readonly repository?: Partial<Origin>
    readonly container?: Partial<Container.VirtualChunkContainer>
    readonly byContainer?: Readonly<Record<string, Credentials.Entry>>
    readonly source?: Source
    readonly fallback?: "strict"
    readonly expected: Credentials.Source | string
  }
  const minio = { endpoint: "http://localhost:9000" }
  const explicitly = "always granted explicitly"
  const elsewhere = "is not the repository's"
  const files = Credentials.directory("/data")

  const rows: ReadonlyArray<Row> = [
    { rule: "the same platform, both at its own endpoint", expected: own },
    { rule: "another platform", repository: { platform: "gcs" }, expected: "on another platform" },
    {
      rule: "another platform at the same endpoint",
      repository: { platform: "tigris", ...minio },
      container: at(minio.endpoint),
      expected: "on another platform"
    },
    {
      rule: "a repository on files",
      repository: { platform: "fs", credentials: files },
      expected: "on another platform"
    },
    { rule: "the same endpoint", repository: minio, container: at("http://localhost:9000"), expected: own },
    {
      rule: "the same endpoint but for a last slash",
      repository: minio,
      container: at("http://localhost:9000/"),
      expected: own
    },
    {
      rule: "the same endpoint but for slashes of the repository",
      repository: { endpoint: "http://localhost:9000//" },
      container: at("http://localhost:9000"),
      expected: own
    },
    {
      rule: "the same endpoint in other case",
      repository: minio,
      container: at("HTTP://LocalHost:9000"),
      expected: own
    },
    { rule: "another host", repository: minio, container: at("http://attacker.example:9000"), expected: elsewhere },
    { rule: "another port", repository: minio, container: at("http://localhost:9001"), expected: elsewhere },
    { rule: "another scheme", repository: minio, container: at("https://localhost:9000"), expected: elsewhere },
    {
      rule: "a host that only begins alike",
      repository: minio,
      container: at("http://localhost:9000.attacker.example"),
      expected: elsewhere
    },
    { rule: "another path", repository: minio, container: at("http://localhost:9000/path"), expected: elsewhere },
    {
      rule: "the same path",
      repository: { endpoint: "http://localhost:9000/Tenant" },
      container: at("HTTP://localhost:9000/Tenant/"),
      expected: own
    },
    {
      rule: "another path, but for its case",
      repository: { endpoint: "http://localhost:9000/tenant" },
      container: at("http://localhost:9000/Tenant"),
      expected: elsewhere
    },
    {
      rule: "a container with an endpoint, a repository without",
      container: at("http://localhost:9000"),
      expected: elsewhere
    },
    { rule: "a repository with an endpoint, a container without", repository: minio, expected: elsewhere },
    { rule: "the empty endpoint as none", container: at(""), expected: own },
    { rule: "strict", fallback: "strict", expected: "turned off" },
    { rule: "strict, with given ones", fallback: "strict", byContainer: { model: given }, expected: given },
    {
      rule: "a repository without credentials",
      repository: { credentials: undefined },
      expected: "no credentials to share"
    },
    { rule: "given ones before the repository's", byContainer: { model: given }, expected: given },
    {
      rule: "given ones at the platform's own endpoint, whatever the repository",
      byContainer: { model: given },
      repository: { platform: "gcs" },
      expected: given
    },
    {
      rule: "given ones at the platform's own endpoint by name",
      byContainer: { model: given },
      container: at("https://S3.eu-west-1.amazonaws.com:443/"),
      repository: { platform: "gcs" },
      expected: given
    },
    {
      rule: "given ones at a name of a customer of the platform",
      byContainer: { model: given },
      container: at("https://s3.eu-west-1.elb.amazonaws.com"),
      expected: "at `https://s3.eu-west-1.elb.amazonaws.com`, and they are for `s3`'s own endpoint"
    },
    {
      rule: "given ones at the platform's own endpoint with a path, over http, or at another port",
      byContainer: { model: given },
      container: at("http://s3.eu-west-1.amazonaws.com"),
      expected: "at `http://s3.eu-west-1.amazonaws.com`"
    },
    {
      rule: "given ones at another endpoint",
      byContainer: { model: given },
      container: at("https://collects-keys.example"),
      repository: { endpoint: "https://minio.example:9000" },
      expected:
        "it is at `https://collects-keys.example`, and they are for `s3`'s own endpoint and `https://minio.example:9000`"
    },
    {
      rule: "given ones at the repository's endpoint",
      byContainer: { model: given },
      container: at("https://minio.example"),
      repository: { endpoint: "https://minio.example/" },
      expected: given
    },
    {
      rule: "given ones at the endpoint of a repository on another platform",
      byContainer: { model: Credentials.anonymous },
      container: at("https://minio.example"),
      repository: { platform: "gcs", endpoint: "https://minio.example" },
      expected: "it is at `https://minio.example`"
    },
    {
      rule: "a grant for this endpoint",
      byContainer: { model: Credentials.grant({ credentials: given, endpoints: ["https://MinIO.example:443/"] }) },
      container: at("https://minio.example"),
      expected: given
    },
    {
      rule: "a grant for this endpoint without its scheme",
      byContainer: { model: Credentials.grant({ credentials: given, endpoints: ["localhost:9000"] }) },
      container: at("http://localhost:9000"),
      expected: given
    },
    {
      rule: "a grant for another endpoint",
      byContainer: { model: Credentials.grant({ credentials: given, endpoints: ["https://minio.example"] }) },
      container: at("https://minio.example.collects-keys.example"),
      expected: "they are for `s3`'s own endpoint and `https://minio.example`"
    },
    {
      rule: "a grant for the same host with another path",
      byContainer: { model: Credentials.grant({ credentials: given, endpoints: ["https://shared.example/mine"] }) },
      container: at("https://shared.example/mine/../theirs"),
      expected: "it is at `https://shared.example/theirs`"
    },
    {
      rule: "given ones where the run-time override says that the container is",
      byContainer: { model: given },
      container: at("https://minio.example"),
      source: "override",
      expected: given
    },
    {
      rule: "given ones over http to another machine, where the override says so",
      byContainer: { model: given },
      container: at("http://minio.example"),
      source: "override",
      expected: "plain http"
    },
    {
      rule: "a grant over http to another machine",
      byContainer: { model: Credentials.grant({ credentials: given, endpoints: ["http://minio.example"] }) },
      container: at("http://minio.example"),
      expected: "plain http"
    },
    {
      rule: "a grant over http to another machine that allows it",
      byContainer: {
        model: Credentials.grant({ credentials: given, endpoints: ["http://minio.example"], allowHttp: true })
      },
      container: at("http://minio.example"),
      expected: given
    },
    {
      rule: "a grant of anonymous access over http",
      byContainer: {
        model: Credentials.grant({ credentials: Credentials.anonymous, endpoints: ["http://minio.example"] })
      },
      container: at("http://minio.example"),
      expected: Credentials.anonymous
    },
    {
      rule: "a grant over http to a container that sends nothing",
      byContainer: { model: Credentials.grant({ credentials: given, endpoints: ["http://minio.example"] }) },
      container: at("http://minio.example", true),
      expected: given
    },
    {
      rule: "given ones of a kind that the platform does not take",
      byContainer: { model: Credentials.bearerToken({ token: Redacted.make("secret of the test") }) },
      expected: "they are `BearerToken`, but `s3` takes `AccessKey`, `Anonymous` and `Environment`"
    },
    {
      rule: "an access key after the platform has become another one",
      byContainer: { model: given },
      container: { platform: "gcs" },
      expected: "they are `AccessKey`, but `gcs` takes"
    },
    {
      rule: "an endpoint that is not a URL, of which nothing is told",
      byContainer: { model: given },
      container: at("https://user:secret of the test@minio.example"),
      expected: "an endpoint that is not a URL"
    },
    {
      rule: "an anonymous container at the platform's own endpoint",
      container: { cloud_client_config: { anonymous: true } },
      repository: { platform: "gcs" },
      fallback: "strict",
      expected: Credentials.anonymous
    },
    {
      rule: "an anonymous container elsewhere",
      container: at("https://minio.example", true),
      expected: elsewhere
    },
    { rule: "objects of this process", container: { platform: "memory" }, expected: Credentials.anonymous },
    {
      rule: "ones given to another container",
      byContainer: { other: given },
      fallback: "strict",
      expected: "turned off"
    },
    {
      rule: "ones given by protocol, which is no name",
      byContainer: { models: given },
      fallback: "strict",
      expected: "turned off"
    },
    {
      rule: "a name that every object has",
      container: { name: "constructor" },
      fallback: "strict",
      expected: "turned off"
    },
    {
      rule: "a name that every object has, given",
      container: { name: "toString" },
      byContainer: { toString: given },
      expected: given
    },
    {
      rule: "files, on a repository on files",
      repository: { platform: "fs", credentials: files },
      container: { platform: "fs" },
      expected: explicitly
    },
    {
      rule: "files, given",
      repository: { platform: "fs" },
      container: { platform: "fs" },
      byContainer: { model: files },
      expected: files
    },
    {
      rule: "http, on a repository on http",
      repository: { platform: "http", credentials: Credentials.anonymous },
      container: { platform: "http" },
      expected: explicitly
    },
    {
      rule: "http, given",
      container: { platform: "http" },
      byContainer: { model: Credentials.anonymous },
      expected: Credentials.anonymous
    }
  ]

  it.each(rows)("$rule", (row) => {
    const of = container(row.container)
    const result = CredentialsPolicy.credentialsFor(
      {
        byContainer: row.byContainer ?? {},
        fallback: row.fallback ?? "same-endpoint",
        repository: origin(row.repository)
      },
      platformOf(of.platform),
      { container: of, source: row.source ?? "persisted" }
    )
    if (typeof row.expected !== "string") {
      assert.strictEqual(Result.getOrThrow(result).credentials, row.expected)
      return
    }
    const error = Result.getOrThrow(Result.flip(result))
    assert.strictEqual(error._tag, "MissingCredentials")
    assert.strictEqual(error.container, of.name)
    assert.include(error.because, row.expected)
    assert.include(error.message, `Container \`${of.name}\` on \`${of.platform}\``)
    if (error.remedy === undefined) assert.include(error.message, `credentials: { "${of.name}": ... }`)
    assert.notInclude(error.message, "secret of the test")
  })

  it("shows how the endpoint is named in an entry", () => {
    const result = CredentialsPolicy.credentialsFor(
      { byContainer: { model: given }, fallback: "same-endpoint", repository: origin() },
      platformOf("s3"),
      { container: container(at("http://localhost:9000")), source: "persisted" }
    )
    assert.strictEqual(
      Result.getOrThrow(Result.flip(result)).message,
      'Container `model` on `s3` was not asked with the credentials given for it: it is at `http://localhost:9000`, and they are for `s3`\'s own endpoint. If you trust that endpoint, name it: `"model": Credentials.grant({ credentials, endpoints: ["http://localhost:9000"] })`.'
    )
  })

  it.effect("fetches credentials that are of no use to the platform, and does not pass them on", () =>
    Effect.gen(function* () {
      const token = Credentials.bearerToken({ token: Redacted.make("secret of the test") })
      const { credentials } = Result.getOrThrow(
        CredentialsPolicy.credentialsFor(
          { byContainer: { model: Effect.succeed(token) }, fallback: "same-endpoint", repository: origin() },
          platformOf("s3"),
          { container: container(), source: "persisted" }
        )
      )
      const error = yield* Effect.flip(credentials as Effect.Effect<never, Credentials.CredentialsUnavailable>)
      assert.strictEqual(error._tag, "CredentialsUnavailable")
      assert.include(error.message, "container `model`")
      assert.include(error.message, "they are `BearerToken`")
    })
  )

  it.effect("passes on why credentials could not be fetched, without what caused it", () =>
    Effect.gen(function* () {
      const source = Effect.fail(
        new Credentials.CredentialsUnavailable({ problem: "the vault is closed", cause: "secret of the test" })
      )
      for (const policy of [
        { byContainer: { model: source }, repository: origin() },
        { byContainer: {}, repository: origin({ credentials: source }) }
      ]) {
        const { credentials } = Result.getOrThrow(
          CredentialsPolicy.credentialsFor({ ...policy, fallback: "same-endpoint" }, platformOf("s3"), {
            container: container(),
            source: "persisted"
          })
        )
        const error = yield* Effect.flip(credentials as Effect.Effect<never, Credentials.CredentialsUnavailable>)
        assert.strictEqual(
          error.message,
          "The credentials for container `model` could not be fetched: the vault is closed"
        )
        assert.isUndefined(error.cause)
      }
    })
  )
})

describe("CredentialsPolicy.isWithin", () => {
  it.each<readonly [place: string, prefixes: ReadonlyArray<string> | undefined, expected: boolean]>([
    ["s3://bucket/data/a", undefined, true],
    ["s3://bucket/data/a", [], false],
    ["s3://bucket/data/a", ["s3://bucket/data/"], true],
    ["s3://bucket/data/a", ["s3://bucket/data"], true],
    ["s3://bucket/data", ["s3://bucket/data"], true],
    ["s3://bucket/data", ["s3://bucket/data/"], false],
    ["s3://bucket/data-2/a", ["s3://bucket/data", "s3://bucket/data/"], false],
    ["s3://bucket-2/data/a", ["s3://bucket", "s3://bucket/"], false],
    ["s3://bucket/data/a", ["s3://other/", "s3://bucket/"], true],
    ["s3://bucket/data/a", ["S3://bucket"], true],
    ["s3://bucket/Data/a", ["s3://bucket/data"], false],
    ["gcs://bucket/a", ["gs://bucket/"], true],
    ["tigris://bucket/a", ["s3://bucket/"], false],
    ["file:///data/a", ["file:///data"], true],
    ["file:///data/a", ["fs:///data/./"], true],
    ["file:///data-2/a", ["file:///data/"], false],
    ["file:///a", ["file:///"], true]
  ])("%s in %s: %s", (place, prefixes, expected) => {
    assert.strictEqual(CredentialsPolicy.isWithin(place, prefixes), expected)
  })
})

describe("CredentialsPolicy.problem", () => {
  const grant = (options: Partial<Parameters<typeof Credentials.grant>[0]>) => ({
    model: Credentials.grant({ credentials: given, ...options })
  })
  it.each([
    ["model.endpoints[1]", grant({ endpoints: ["https://fine.example", "https://user:word@minio.example"] })],
    ["model.endpoints[0]", grant({ endpoints: ["s3://bucket"] })],
    ["model.endpoints[0]", grant({ endpoints: ["https://minio.example?x=1"] })],
    ["model.prefixes[0]", grant({ prefixes: ["bucket/data"] })],
    ["model.prefixes[0]", grant({ prefixes: ["s3://"] })],
    ["model.prefixes[1]", grant({ prefixes: ["s3://bucket", "file://data"] })]
  ])("names what is wrong: %s", (field, byContainer) => {
    const problem = CredentialsPolicy.problem(byContainer)
    assert.strictEqual(problem?._tag, "InvalidConfig")
    assert.strictEqual(problem?.field, field)
    assert.notInclude(problem?.message, "word")
  })

  it("is undefined for credentials, Effects of them, and grants that can be meant", () => {
    const grants = grant({ endpoints: ["localhost:9000"], prefixes: ["s3://bucket/data/", "file:///"] })
    assert.isUndefined(CredentialsPolicy.problem({ a: given, b: Effect.succeed(given), ...grants }))
  })
})
