import { assert, describe, it } from "@effect/vitest"
import * as Config from "@effect-icechunk/core/RepositoryConfig"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const container = (
  name: string,
  change?: Partial<Container.VirtualChunkContainer>
): Container.VirtualChunkContainer => ({ name, protocol: "s3", platform: "s3", bucket_prefix: name, ...change })

const parse = (json: unknown): Result.Result<Config.RepositoryConfig, Config.InvalidConfig> =>
  Config.parse("repo/config.json", JSON.stringify(json))

const refusal = (result: Result.Result<unknown, Config.InvalidConfig>): Config.InvalidConfig =>
  Result.getOrThrow(Result.flip(result))

/** JSON of fields that no version of the schema knows. */
const unknownJson = fc.jsonValue({ maxDepth: 3 }).map((json): unknown => JSON.parse(JSON.stringify(json)))
const unknownName = fc.oneof(
  fc.string({ minLength: 1, maxLength: 10 }).map((name) => `x_${name}`),
  fc.constantFrom("previous_file", "constructor", "toString", "__proto__", "")
)
const unknownFields = fc.dictionary(unknownName, unknownJson, { maxKeys: 4, noNullPrototype: true })

/** Unknown fields where they are kept in memory. */
const others = (fields: Readonly<Record<string, unknown>>) =>
  Object.keys(fields).length === 0 ? {} : { additional_fields: fields }

const splitCondition = fc.letrec<{ readonly condition: Config.SplitCondition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3 },
    fc.constant<Config.SplitCondition>("any_array"),
    fc.constantFrom(".*", "^/a", "temp|salt").map((regex): Config.SplitCondition => ({ path_matches: { regex } })),
    fc.constantFrom("x", "y$").map((regex): Config.SplitCondition => ({ name_matches: { regex } })),
    fc.array(tie("condition"), { maxLength: 2 }).map((or): Config.SplitCondition => ({ or })),
    fc.array(tie("condition"), { maxLength: 2 }).map((and): Config.SplitCondition => ({ and }))
  )
})).condition

const containers = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "s3", "file"), { maxLength: 4 })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc
          .tuple(
            fc.constantFrom("p", "p/q", "r"),
            fc.option(fc.constantFrom("eu", "us"), { nil: undefined }),
            unknownFields
          )
          .map(([bucket_prefix, region, fields]) =>
            container(name, { ...others(fields), bucket_prefix, ...(region === undefined ? {} : { region }) })
          )
      )
    )
  )

/** Configurations as programs write them: fields are set or absent. */
const config: fc.Arbitrary<Config.RepositoryConfig> = fc
  .tuple(
    unknownFields,
    fc.record(
      {
        inline_chunk_threshold_bytes: fc.integer({ min: 0, max: 0xffff }),
        compression: fc.record(
          { algorithm: fc.constant("zstd" as const), level: fc.integer({ min: 1, max: 22 }) },
          { requiredKeys: [], noNullPrototype: true }
        ),
        max_concurrent_requests: fc.integer({ min: 1, max: 0xffff }),
        num_updates_per_repo_info_file: fc.integer({ min: 1, max: 0xffff }),
        manifest: fc.record(
          {
            splitting: fc.record(
              {
                split_sizes: fc.array(
                  fc.tuple(
                    splitCondition,
                    fc.array(
                      fc.record(
                        {
                          condition: fc.oneof(
                            fc.constant("Any" as const),
                            fc.record({ Axis: fc.nat({ max: 5 }) }, { noNullPrototype: true }),
                            fc.record({ DimensionName: fc.string() }, { noNullPrototype: true })
                          ),
                          num_chunks: fc.integer({ min: 1, max: 1e6 })
                        },
                        { noNullPrototype: true }
                      ),
                      { maxLength: 2 }
                    )
                  ),
                  { maxLength: 2 }
                )
              },
              { noNullPrototype: true }
            ),
            preload: fc.record(
              {
                max_total_refs: fc.nat({ max: 0xffff_ffff }),
                additional_fields: fc.record({ x_future: unknownJson }, { noNullPrototype: true })
              },
              { noNullPrototype: true }
            )
          },
          { requiredKeys: [], noNullPrototype: true }
        )
      },
      { requiredKeys: [], noNullPrototype: true }
    ),
    containers
  )
  .map(([unknown, known, virtual_chunk_containers]): Config.RepositoryConfig =>
    Object.fromEntries([
      ...Object.entries(others(unknown)),
      ...Object.entries(known),
      ...(virtual_chunk_containers.length === 0 ? [] : [["virtual_chunk_containers", virtual_chunk_containers]])
    ])
  )

/** Without nulls in objects, which stand for absent fields. */
const withoutNulls = (json: unknown): unknown =>
  Array.isArray(json) || typeof json !== "object" || json === null
    ? json
    : Object.fromEntries(
        Object.entries(json)
          .filter(([, value]) => value !== null && value !== undefined)
          .map(([name, value]) => [name, withoutNulls(value)])
      )

describe("RepositoryConfig.parse", () => {
  it("reads back what it prints, unknown fields included", () => {
    fc.assert(
      fc.property(config, (config) => {
        assert.deepStrictEqual(Config.parse("config.json", Config.print(config)), Result.succeed(config))
      })
    )
  })

  it("keeps unknown fields at every level", () => {
    const json = {
      from_the_future: { a: [1, null] },
      compression: { level: 5, from_the_future: 1 },
      manifest: {
        from_the_future: 1,
        splitting: {
          from_the_future: 1,
          split_sizes: [["any_array", [{ condition: "Any", num_chunks: 3, from_the_future: 1 }]]]
        }
      },
      virtual_chunk_containers: [
        {
          name: "a",
          protocol: "s3",
          platform: "s3",
          from_the_future: 1,
          cloud_client_config: { from_the_future: 1, anonymous: true }
        }
      ]
    }
    assert.deepStrictEqual(JSON.parse(Config.print(Result.getOrThrow(parse(json)))), json)
  })

  it("takes the settings of other Icechunk clients in all their forms", () => {
    const regex = { regex: "t.*" }
    const json = {
      caching: { num_snapshot_nodes: 500_000, num_bytes_chunks: null },
      storage: {
        concurrency: { max_concurrent_requests_for_object: 18, ideal_concurrent_request_size: 12_000_000 },
        retries: { max_tries: 10, initial_backoff_ms: 100, max_backoff_ms: 180_000 },
        timeouts: null,
        unsafe_use_metadata: true,
        storage_class: null
      },
      repo_update_retries: { default: null },
      get_partial_values_concurrency: 10,
      manifest: {
        preload: {
          max_total_refs: 10_000,
          preload_if: {
            and: [
              { or: [{ name_matches: regex }, { path_matches: regex }, "true", "false"] },
              { num_refs: { from: "Unbounded", to: { Included: 1000 } } }
            ]
          }
        },
        virtual_chunk_location_compression: { min_num_chunks: 1000, compression_level: -1 }
      }
    }
    assert.deepStrictEqual<unknown>(Result.getOrThrow(parse(json)), json)
  })

  it("takes null for a field that is not set, as Icechunk writes it", () => {
    const json = {
      inline_chunk_threshold_bytes: null,
      virtual_chunk_containers: null,
      compression: { algorithm: null, level: null },
      manifest: { splitting: null },
      max_concurrent_requests: null,
      num_updates_per_repo_info_file: null
    }
    const config = Result.getOrThrow(parse(json))
    assert.strictEqual(Config.inlineThreshold(config), 512)
    assert.strictEqual(Config.compressionLevel(config), 3)
    assert.strictEqual(Config.updatesPerRepoObject(config), 1000)
    assert.strictEqual(Config.maxConcurrentRequests(config), 256)
    assert.isTrue(Result.isSuccess(parse({ ...json, compression: null, manifest: null })))
  })

  it("has defaults that zero overrides", () => {
    assert.strictEqual(Config.inlineThreshold({ inline_chunk_threshold_bytes: 0 }), 0)
    assert.strictEqual(Config.inlineThreshold({}), 512)
  })

  it.each(["", "{", "{} {}", "undefined", "{'a': 1}", "\u{feff}{}", '{"a": NaN}'])(
    "refuses `%s`, which is not JSON",
    (text) => {
      const error = refusal(Config.parse("repo/config.json", text))
      assert.strictEqual(error._tag, "InvalidConfig")
      assert.strictEqual(error.field, "(whole file)")
      assert.include(error.message, "`repo/config.json` is not a valid configuration at `(whole file)`: it is not JSON")
    }
  )

  it.each(["null", "5", '"text"', "true", "[]", '[{"name": "a"}]'])("refuses `%s`, which is no object", (text) => {
    assert.strictEqual(refusal(Config.parse("c", text)).field, "(whole file)")
  })

  const table: ReadonlyArray<readonly [field: string, json: unknown]> = [
    ["inline_chunk_threshold_bytes", { inline_chunk_threshold_bytes: "512" }],
    ["inline_chunk_threshold_bytes", { inline_chunk_threshold_bytes: -1 }],
    ["inline_chunk_threshold_bytes", { inline_chunk_threshold_bytes: 1.5 }],
    ["inline_chunk_threshold_bytes", { inline_chunk_threshold_bytes: 65_536 }],
    ["compression", { compression: "zstd" }],
    ["compression.level", { compression: { level: 0 } }],
    ["compression.level", { compression: { level: 23 } }],
    ["compression.algorithm", { compression: { algorithm: "gzip" } }],
    ["max_concurrent_requests", { max_concurrent_requests: 0 }],
    ["num_updates_per_repo_info_file", { num_updates_per_repo_info_file: 0 }],
    // Other Icechunk clients refuse to open a repository with any of these.
    ["caching", { caching: "large" }],
    ["caching.num_chunk_refs", { caching: { num_chunk_refs: 0.5 } }],
    ["storage", { storage: [] }],
    ["storage.retries.max_tries", { storage: { retries: { max_tries: 0 } } }],
    ["storage.timeouts.read_timeout_ms", { storage: { timeouts: { read_timeout_ms: -1 } } }],
    ["repo_update_retries.default.max_tries", { repo_update_retries: { default: { max_tries: 70_000 } } }],
    ["get_partial_values_concurrency", { get_partial_values_concurrency: 70_000 }],
    ["manifest.preload.preload_if", { manifest: { preload: { preload_if: "sometimes" } } }],
    [
      "manifest.virtual_chunk_location_compression.min_num_chunks",
      { manifest: { virtual_chunk_location_compression: { min_num_chunks: "1000" } } }
    ],
    ["virtual_chunk_containers", { virtual_chunk_containers: {} }],
    ["virtual_chunk_containers", { virtual_chunk_containers: "a" }],
    ["virtual_chunk_containers[0]", { virtual_chunk_containers: ["a"] }],
    [
      "virtual_chunk_containers[1].name",
      { virtual_chunk_containers: [container("a"), { protocol: "s3", platform: "s3" }] }
    ],
    [
      "virtual_chunk_containers[1].name",
      { virtual_chunk_containers: [container("a"), { ...container("b"), name: 5 }] }
    ],
    ["virtual_chunk_containers[0].platform", { virtual_chunk_containers: [{ name: "a", protocol: "s3" }] }],
    ["virtual_chunk_containers[0].region", { virtual_chunk_containers: [{ ...container("a"), region: ["eu"] }] }],
    [
      "virtual_chunk_containers[0].bucket_prefix",
      { virtual_chunk_containers: [{ ...container("a"), bucket_prefix: 1 }] }
    ],
    [
      "virtual_chunk_containers[0].cloud_client_config.endpoint_url",
      { virtual_chunk_containers: [{ ...container("a"), cloud_client_config: { endpoint_url: 9000 } }] }
    ],
    [
      "virtual_chunk_containers[0].cloud_client_config.anonymous",
      { virtual_chunk_containers: [{ ...container("a"), cloud_client_config: { anonymous: "yes" } }] }
    ],
    ["manifest", { manifest: [] }],
    ["manifest.splitting.split_sizes", { manifest: { splitting: { split_sizes: {} } } }],
    [
      "manifest.splitting.split_sizes[0][1][0].num_chunks",
      { manifest: { splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks: 0 }]]] } } }
    ]
  ]
  it.each(table)("names the field `%s` of %j", (field, json) => {
    const error = refusal(parse(json))
    assert.strictEqual(error.field, field)
    assert.strictEqual(error.source, "repo/config.json")
    assert.include(error.message, `\`${field}\``)
    assert.notStrictEqual(error.problem, "")
  })

  it.each([
    [{ name: "" }, "`name` is empty"],
    [{ name: "a/b" }, "`name` contains `/`"],
    [{ name: "a" }, "there is another container named `a`"],
    [{ protocol: "gs", platform: "gcs" }, "write `gcs`"],
    [{ protocol: "fs", platform: "fs", bucket_prefix: "/a" }, "write `file`"],
    [{ protocol: "vcc" }, "Icechunk keeps"],
    [{ cloud_client_config: { endpoint_url: "http://user:secret@host" } }, "without user information"]
  ])("refuses a second container with %j, and says which one", (change, problem) => {
    const error = refusal(parse({ virtual_chunk_containers: [container("a"), container("b", change)] }))
    assert.strictEqual(error.field, "virtual_chunk_containers[1]")
    assert.include(error.problem, problem)
    assert.notInclude(error.message, "secret")
  })
})

describe("RepositoryConfig.validateUpdate", () => {
  const current: Config.RepositoryConfig = { virtual_chunk_containers: [container("a"), container("b")] }

  it("lets containers be added, edited and reordered", () => {
    for (const names of [
      ["a", "b"],
      ["b", "a"],
      ["c", "a", "b"]
    ]) {
      const next = { virtual_chunk_containers: names.map((name) => container(name, { region: "eu" })) }
      assert.deepStrictEqual(Config.validateUpdate("c", current, next), Result.succeed(next))
    }
  })

  it.each([
    {},
    { virtual_chunk_containers: null },
    { virtual_chunk_containers: [] },
    { virtual_chunk_containers: [container("b")] },
    { virtual_chunk_containers: [container("b"), container("A")] }
  ])("refuses %j, from which a container is gone", (next) => {
    const error = refusal(Config.validateUpdate("c", current, next))
    assert.strictEqual(error.field, "virtual_chunk_containers")
    assert.include(error.problem, "container `a` is missing")
    assert.include(error.problem, "never deleted")
  })

  it("refuses a container twice", () => {
    const next = { virtual_chunk_containers: [container("a"), container("b"), container("a")] }
    const error = refusal(Config.validateUpdate("c", current, next))
    assert.strictEqual(error.field, "virtual_chunk_containers[2]")
  })

  const untyped = [
    undefined,
    null,
    5,
    "text",
    [],
    { virtual_chunk_containers: {} },
    { virtual_chunk_containers: [null] }
  ]
  it.each(untyped.map((next) => ({ next })))("refuses $next, which a function without types may return", ({ next }) => {
    const result = Config.validateUpdate("c", current, next as unknown as Config.RepositoryConfig)
    assert.strictEqual(refusal(result)._tag, "InvalidConfig")
  })
})

describe("RepositoryConfig.merge", () => {
  it("has the empty configuration as its identity", () => {
    fc.assert(
      fc.property(config, (config) => {
        assert.deepStrictEqual(withoutNulls(Config.merge(config, {})), withoutNulls(config))
        assert.deepStrictEqual(withoutNulls(Config.merge({}, config)), withoutNulls(config))
      })
    )
  })

  it("changes nothing when it is done twice", () => {
    fc.assert(
      fc.property(config, config, (a, b) => {
        const once = Config.merge(a, b)
        assert.deepStrictEqual(Config.merge(once, b), once)
      })
    )
  })

  it("lets the later one win field by field, in nested objects too", () => {
    assert.deepStrictEqual(
      Config.merge(
        { inline_chunk_threshold_bytes: 1, max_concurrent_requests: 2, compression: { level: 3, algorithm: "zstd" } },
        { inline_chunk_threshold_bytes: 0, max_concurrent_requests: null, compression: { level: 4 } }
      ),
      { inline_chunk_threshold_bytes: 0, max_concurrent_requests: 2, compression: { level: 4, algorithm: "zstd" } }
    )
    fc.assert(
      fc.property(config, config, (a, b) => {
        const merged = Config.merge(a, b)
        for (const field of ["inline_chunk_threshold_bytes", "max_concurrent_requests"] as const) {
          assert.strictEqual(merged[field], b[field] ?? a[field])
        }
      })
    )
  })

  it("replaces lists as a whole, except the list of containers", () => {
    const rule = (num_chunks: number): Config.RepositoryConfig => ({
      manifest: { splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks }]]] } }
    })
    assert.deepStrictEqual(Config.merge(rule(1), rule(2)), rule(2))
  })

  it("merges containers by name: a later one replaces an earlier one entirely, all others stay in order", () => {
    fc.assert(
      fc.property(containers, containers, (a, b) => {
        const merged =
          Config.merge({ virtual_chunk_containers: a }, { virtual_chunk_containers: b }).virtual_chunk_containers ?? []
        const names = [...new Set([...a, ...b].map(({ name }) => name))]
        assert.deepStrictEqual(
          merged,
          names.map((name) => b.find((one) => one.name === name) ?? a.find((one) => one.name === name)!)
        )
      })
    )
  })

  it("is a valid configuration when both are", () => {
    fc.assert(
      fc.property(config, config, (a, b) => {
        assert.isTrue(Result.isSuccess(Config.validate("c", Config.merge(a, b))))
      })
    )
  })
})

describe("RepositoryConfig.setContainer", () => {
  it("adds a container at the end, or replaces the one of its name where it stands", () => {
    const config = Config.setContainer(container("b"))(
      Config.setContainer(container("a"))({ max_concurrent_requests: 1 })
    )
    assert.deepStrictEqual(config, {
      max_concurrent_requests: 1,
      virtual_chunk_containers: [container("a"), container("b")]
    })
    assert.deepStrictEqual(Config.setContainer(container("a", { region: "eu" }))(config).virtual_chunk_containers, [
      container("a", { region: "eu" }),
      container("b")
    ])
    assert.deepStrictEqual(Config.setContainer(container("a"))({ virtual_chunk_containers: null }), {
      virtual_chunk_containers: [container("a")]
    })
  })
})
