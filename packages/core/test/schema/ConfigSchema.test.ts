import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ConfigSchema from "../../src/schema/ConfigSchema.ts"
import * as ConfigShape from "../../src/values/ConfigShape.ts"
import type { RepositoryConfig } from "../../src/values/RepositoryConfig.ts"
import * as Shape from "../../src/values/Shape.ts"

const whole: RepositoryConfig = {
  inline_chunk_threshold_bytes: 0,
  virtual_chunk_containers: [
    {
      name: "model",
      protocol: "model",
      platform: "s3",
      region: "eu-west-1",
      bucket_prefix: "bucket/a",
      cloud_client_config: {
        endpoint_url: "http://localhost:9000",
        force_path_style: true,
        additional_fields: { x: 1 }
      },
      additional_fields: { y: [null] }
    }
  ],
  compression: { algorithm: "zstd", level: 22 },
  manifest: {
    splitting: {
      split_sizes: [
        ["any_array", [{ condition: "Any", num_chunks: 1 }]],
        [
          { or: [{ and: [{ name_matches: { regex: "a" } }] }, { path_matches: { regex: "b" } }] },
          [
            { condition: { Axis: 0 }, num_chunks: 2 },
            { condition: { DimensionName: "t" }, num_chunks: 3 }
          ]
        ]
      ]
    },
    preload: { preload_if: { num_refs: { from: "Unbounded", to: { Included: 9 } } }, max_total_refs: null }
  },
  caching: { num_bytes_chunks: 7 },
  max_concurrent_requests: 65_535,
  additional_fields: { later: {} }
}

/** Changes of `whole`, and where each is wrong; `undefined` for those that are right. */
const changes: ReadonlyArray<readonly [change: Readonly<Record<string, unknown>>, at: string | undefined]> = [
  [{}, undefined],
  [{ compression: null, manifest: undefined }, undefined],
  [{ inline_chunk_threshold_bytes: 65_536 }, "inline_chunk_threshold_bytes"],
  [{ inline_chunk_threshold_bytes: 0.5 }, "inline_chunk_threshold_bytes"],
  [{ inline_chunk_threshold_bytes: "1" }, "inline_chunk_threshold_bytes"],
  [{ max_concurrent_requests: 0 }, "max_concurrent_requests"],
  [{ compression: [] }, "compression"],
  [{ compression: { algorithm: "gzip" } }, "compression.algorithm"],
  [{ virtual_chunk_containers: [{ name: "a", protocol: "a" }] }, "virtual_chunk_containers.0.platform"],
  [{ virtual_chunk_containers: {} }, "virtual_chunk_containers"],
  [{ manifest: { splitting: { split_sizes: [["any_array"]] } } }, "manifest.splitting.split_sizes.0"],
  [
    { manifest: { splitting: { split_sizes: [[{ or: [{ name_matches: { regex: 1 } }] }, []]] } } },
    "manifest.splitting.split_sizes.0.0.or.0.name_matches.regex"
  ],
  [{ manifest: { splitting: { split_sizes: [[{ unknown: 1 }, []]] } } }, "manifest.splitting.split_sizes.0.0"],
  [{ manifest: { preload: { preload_if: "maybe" } } }, "manifest.preload.preload_if"],
  [{ caching: { num_bytes_chunks: 2 ** 53 } }, "caching.num_bytes_chunks"],
  [{ additional_fields: [] }, "additional_fields"]
]

describe.each(changes)("a configuration with %j", (change, at) => {
  const config = { ...whole, ...change }

  it(`is ${at === undefined ? "read" : `refused at ${at}`}, by the schema as by the shape`, () => {
    const read = Shape.read(ConfigShape.repositoryConfig, config)
    const decoded = Schema.decodeUnknownResult(ConfigSchema.RepositoryConfig)(config)
    assert.strictEqual(Result.isSuccess(decoded), at === undefined)
    if (Result.isFailure(read)) assert.strictEqual(read.failure.path.join("."), at)
    else {
      assert.isUndefined(at)
      assert.deepStrictEqual(read.success, config)
      assert.deepStrictEqual(Result.getOrThrow(decoded), read.success)
    }
  })
})
