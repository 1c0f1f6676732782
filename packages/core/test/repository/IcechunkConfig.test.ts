import { assert, describe, it } from "@effect/vitest"
import * as IcechunkConfig from "../../src/repository/config/IcechunkConfig.ts"
import * as Publication from "../../src/repository/config/Publication.ts"
import type { Json, JsonObject } from "../../src/values/Json.ts"
import * as Config from "@effect-icechunk/core/RepositoryConfig"
import * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const toConfig = (json: Json): Config.RepositoryConfig => Result.getOrThrow(IcechunkConfig.toConfig("repo", json))

/** What the repository object says after `config` was published over `theirs`, which had `before` published. */
const publish = (
  theirs: JsonObject | undefined,
  config: Config.RepositoryConfig,
  before: Config.RepositoryConfig = {}
): JsonObject =>
  Publication.publication([IcechunkConfig.publishable(before)], IcechunkConfig.publishable(config), theirs ?? {})

/** Entries of Icechunk's map of containers. */
const entries = (published: JsonObject): Readonly<Record<string, JsonObject>> =>
  (published["virtual_chunk_containers"] ?? {}) as Readonly<Record<string, JsonObject>>

const publishOne = (
  container: Container.VirtualChunkContainer
): readonly [key: string, entry: JsonObject] | undefined =>
  Object.entries(entries(publish(undefined, { virtual_chunk_containers: [container] })))[0]

const s3Options = {
  region: null,
  endpoint_url: null,
  anonymous: false,
  allow_http: false,
  force_path_style: false,
  network_stream_timeout_seconds: null,
  requester_pays: false,
  checksum_algorithm: null
}

describe("a configuration that is published", () => {
  it.each<readonly [Container.VirtualChunkContainer, string, JsonObject]>([
    [{ name: "a", protocol: "s3", platform: "s3", bucket_prefix: "bucket" }, "s3://bucket/", { s3: s3Options }],
    [
      { name: "a", protocol: "s3", platform: "s3", bucket_prefix: "bucket/x/", region: "eu" },
      "s3://bucket/x/",
      { s3: { ...s3Options, region: "eu" } }
    ],
    [
      {
        name: "a",
        protocol: "s3",
        platform: "s3",
        bucket_prefix: "bucket",
        cloud_client_config: { endpoint_url: "http://localhost:9000", force_path_style: true, anonymous: true }
      },
      "s3://bucket/",
      {
        s3_compatible: {
          ...s3Options,
          endpoint_url: "http://localhost:9000",
          allow_http: true,
          force_path_style: true,
          anonymous: true
        }
      }
    ],
    [{ name: "a", protocol: "gcs", platform: "gcs", bucket_prefix: "bucket" }, "gcs://bucket/", { gcs: {} }],
    [
      { name: "a", protocol: "tigris", platform: "tigris", bucket_prefix: "bucket" },
      "tigris://bucket/",
      { tigris: s3Options }
    ],
    [
      { name: "a", protocol: "file", platform: "fs", bucket_prefix: "/data/" },
      "file:///data/",
      { local_file_system: "/data" }
    ]
  ])("writes %j as Icechunk does", (container, url_prefix, store) => {
    assert.deepStrictEqual(publishOne(container), [url_prefix, { name: "a", url_prefix, store }])
  })

  it("makes a container with a custom protocol a named one of its platform's scheme", () => {
    const models = { name: "m", protocol: "models", bucket_prefix: "bucket/out" }
    assert.strictEqual(publishOne({ ...models, platform: "s3" })?.[1]["url_prefix"], "s3://bucket/out/")
    assert.strictEqual(publishOne({ ...models, platform: "gcs" })?.[1]["url_prefix"], "gcs://bucket/out/")
    assert.strictEqual(publishOne({ ...models, platform: "tigris" })?.[1]["url_prefix"], "tigris://bucket/out/")
    const onFs = publishOne({ ...models, platform: "fs", bucket_prefix: "/srv" })
    assert.deepStrictEqual(onFs?.[1], { name: "m", url_prefix: "file:///srv/", store: { local_file_system: "/srv" } })
  })

  // Icechunk compares the decoded location with `url_prefix` as text.
  it.each(["/data/a b", "/données/été", "/100%/a%20b"])(
    "writes the directory `%s` as it is, not percent-encoded",
    (bucket_prefix) => {
      const container = { name: "a", protocol: "file", platform: "fs", bucket_prefix }
      assert.strictEqual(publishOne(container)?.[1]["url_prefix"], `file://${bucket_prefix}/`)
    }
  )

  it("leaves out containers without a bucket, and those of platforms that Icechunk does not have", () => {
    const published = publish(undefined, {
      virtual_chunk_containers: [
        { name: "a", protocol: "models", platform: "s3" },
        { name: "b", protocol: "s3", platform: "s3", bucket_prefix: "/" },
        { name: "c", protocol: "x", platform: "of-the-users-own", bucket_prefix: "bucket" }
      ]
    })
    assert.deepStrictEqual(published, {})
  })

  it("keeps what other clients wrote: unknown fields, their containers, named or not", () => {
    const theirs = {
      inline_chunk_threshold_bytes: 1,
      from_the_future: { a: [1] },
      virtual_chunk_containers: {
        "s3://unnamed/": { name: null, url_prefix: "s3://unnamed/", store: { s3: s3Options } },
        "s3://old/": { url_prefix: "s3://old/", store: { s3: s3Options } },
        "gcs://named/": { name: "named", url_prefix: "gcs://named/", store: { gcs: { from_the_future: 1 } } },
        "x://odd/": 5
      }
    }
    const published = publish(
      theirs,
      {
        inline_chunk_threshold_bytes: 2,
        additional_fields: { unknown_to_icechunk: true },
        virtual_chunk_containers: [{ name: "ours", protocol: "s3", platform: "s3", bucket_prefix: "ours" }]
      },
      { inline_chunk_threshold_bytes: 1 }
    )
    assert.deepStrictEqual(published, {
      ...theirs,
      inline_chunk_threshold_bytes: 2,
      virtual_chunk_containers: {
        ...theirs.virtual_chunk_containers,
        "s3://ours/": { name: "ours", url_prefix: "s3://ours/", store: { s3: s3Options } }
      }
    })
  })

  it("keeps an unnamed container whose prefix is also one of ours", () => {
    const unnamed = { name: null, url_prefix: "s3://bucket/", store: { s3: { ...s3Options, region: "eu" } } }
    const published = publish(
      { virtual_chunk_containers: { "s3://bucket/": unnamed } },
      { virtual_chunk_containers: [{ name: "ours", protocol: "s3", platform: "s3", bucket_prefix: "bucket" }] }
    )
    assert.deepStrictEqual(entries(published)["s3://bucket/"], unnamed)
    assert.lengthOf(Object.keys(entries(published)), 2)
  })

  it("replaces a container of ours when its prefix has moved", () => {
    const at = (bucket_prefix: string): Config.RepositoryConfig => ({
      virtual_chunk_containers: [{ name: "ours", protocol: "s3", platform: "s3", bucket_prefix }]
    })
    const moved = publish(publish(undefined, at("before")), at("after"), at("before"))
    assert.deepStrictEqual(Object.keys(entries(moved)), ["s3://after/"])
  })

  it("publishes two containers of one prefix", () => {
    const container = (name: string): Container.VirtualChunkContainer => ({
      name,
      protocol: name,
      platform: "s3",
      bucket_prefix: "b"
    })
    const published = publish(undefined, { virtual_chunk_containers: [container("x"), container("y")] })
    assert.deepStrictEqual(new Set(Object.values(entries(published)).map(({ name }) => name)), new Set(["x", "y"]))
  })

  it("does not set what we do not set", () => {
    const theirs = { inline_chunk_threshold_bytes: 1, compression: { level: 5 } }
    const ours = { inline_chunk_threshold_bytes: null, virtual_chunk_containers: null }
    assert.deepStrictEqual(publish(theirs, ours), theirs)
  })
})

/** A container as `toConfig` spells it: fields are set or absent. */
const onPlatform = (
  platform: string,
  options: {
    readonly bucket: string
    readonly region: string | undefined
    readonly client: Container.CloudClientConfig
  }
): Container.VirtualChunkContainer => {
  const { bucket, client, region } = options
  const name = `a container on ${platform}`
  if (platform === "fs") return { name, protocol: "file", platform, bucket_prefix: `/${bucket}` }
  const container = { name, protocol: platform, platform, bucket_prefix: bucket }
  if (platform === "gcs") return container
  return {
    ...container,
    ...(region === undefined ? {} : { region }),
    ...(Object.keys(client).length === 0 ? {} : { cloud_client_config: client })
  }
}

const configOf = (containers: ReadonlyArray<Container.VirtualChunkContainer>): Config.RepositoryConfig => ({
  inline_chunk_threshold_bytes: 7,
  compression: { level: 9 },
  caching: { num_snapshot_nodes: 5 },
  ...(containers.length === 0 ? {} : { virtual_chunk_containers: containers })
})

const published = fc.constantFrom("s3", "gcs", "tigris", "fs").chain((platform) =>
  fc
    .record({
      bucket: fc.constantFrom("bucket", "a b", "100%", "é", "x/y", "a%20b"),
      region: fc.option(fc.constantFrom("eu", "us"), { nil: undefined }),
      client: fc.record(
        {
          endpoint_url: fc.constantFrom("http://localhost:9000", "https://s3.example"),
          force_path_style: fc.constant(true),
          anonymous: fc.constant(true),
          requester_pays: fc.constant(true)
        },
        { requiredKeys: [], noNullPrototype: true }
      )
    })
    .map((options) => onPlatform(platform, options))
)
const config = fc.uniqueArray(published, { selector: ({ name }) => name, maxLength: 4 }).map(configOf)

describe("IcechunkConfig.toConfig", () => {
  it("reads back what was published", () => {
    fc.assert(
      fc.property(config, (config) => {
        assert.deepStrictEqual(toConfig(publish(undefined, config)), config)
      })
    )
  })

  it("gives a container with a custom protocol the scheme of its platform, under the same name", () => {
    const models = { name: "m", protocol: "models", platform: "s3", bucket_prefix: "bucket/out" }
    const read = toConfig(publish(undefined, { virtual_chunk_containers: [models] }))
    assert.deepStrictEqual(read.virtual_chunk_containers, [{ ...models, protocol: "s3" }])
    // And ours says which protocol it is.
    assert.deepStrictEqual(Config.merge(read, { virtual_chunk_containers: [models] }).virtual_chunk_containers, [
      models
    ])
  })

  it("publishing twice changes nothing more", () => {
    fc.assert(
      fc.property(config, config, (before, after) => {
        const once = publish(publish(undefined, before), after, before)
        assert.deepStrictEqual(publish(once, after, before), once)
        assert.deepStrictEqual(publish(once, after, after), once)
      })
    )
  })

  it("names unnamed containers after their prefix, and reads `gs` as `gcs`", () => {
    const { virtual_chunk_containers } = toConfig({
      virtual_chunk_containers: {
        "gs://bucket/x/": { url_prefix: "gs://bucket/x/", store: { gcs: {} } },
        "s3://b/": { store: { s3: { region: "eu", anonymous: true, endpoint_url: null } } }
      }
    })
    assert.deepStrictEqual(virtual_chunk_containers, [
      { name: "gcs:bucket:x", protocol: "gcs", platform: "gcs", bucket_prefix: "bucket/x" },
      {
        name: "s3:b",
        protocol: "s3",
        platform: "s3",
        bucket_prefix: "b",
        region: "eu",
        cloud_client_config: { anonymous: true }
      }
    ])
    for (const container of virtual_chunk_containers ?? []) assert.isUndefined(Container.problem(container))
  })

  it.each<readonly [string, Json]>([
    ["no object", 5],
    ["no store", { url_prefix: "s3://a/" }],
    ["an empty store", { url_prefix: "s3://a/", store: {} }],
    ["a store in one word", { url_prefix: "s3://a/", store: "in_memory" }],
    ["a list as a store", { url_prefix: "s3://a/", store: ["s3"] }],
    ["a platform of the future", { url_prefix: "s3://a/", store: { quantum: {} } }],
    ["no scheme", { url_prefix: "bucket", store: { s3: {} } }],
    ["a scheme of another platform", { url_prefix: "gcs://a/", store: { s3: {} } }],
    ["a name with a slash", { name: "a/b", url_prefix: "s3://a/", store: { s3: {} } }],
    ["an empty name", { name: "", url_prefix: "s3://a/", store: { s3: {} } }],
    ["an endpoint with a password", { url_prefix: "s3://a/", store: { s3: { endpoint_url: "http://u:p@host" } } }],
    ["a directory that leads elsewhere", { url_prefix: "file:///a/../etc/", store: { local_file_system: "/a" } }],
    ["a directory on a host", { url_prefix: "file://host/a/", store: { local_file_system: "/a" } }]
  ])("leaves out a container with %s, and reads the others", (_, entry) => {
    const good = { name: "good", url_prefix: "s3://good/", store: { s3: {} } }
    const read = toConfig({ virtual_chunk_containers: { "s3://a/": entry, "s3://good/": good } })
    assert.deepStrictEqual(
      read.virtual_chunk_containers?.map(({ name }) => name),
      ["good"]
    )
  })

  it("takes only the fields that both have, and null as not set", () => {
    assert.deepStrictEqual(
      toConfig({
        inline_chunk_threshold_bytes: 3,
        compression: null,
        only_of_icechunk: 1,
        virtual_chunk_containers: null
      }),
      { inline_chunk_threshold_bytes: 3 }
    )
    assert.deepStrictEqual(toConfig({}), {})
    assert.deepStrictEqual(toConfig({ virtual_chunk_containers: [] }), {})
  })

  it.each<Json>([null, 5, "text", []])("refuses %j, which is no configuration", (json) => {
    const error = Result.getOrThrow(Result.flip(IcechunkConfig.toConfig("repo", json)))
    assert.strictEqual(error._tag, "InvalidConfig")
    assert.strictEqual(error.field, "(whole file)")
  })

  it("names the field of a wrong type", () => {
    const error = Result.getOrThrow(Result.flip(IcechunkConfig.toConfig("repo", { compression: { level: "high" } })))
    assert.strictEqual(error.field, "compression.level")
    assert.strictEqual(error.source, "repo")
  })
})
