import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ConfigYaml from "../../src/repository/config/ConfigYaml.ts"
import * as IcechunkConfig from "../../src/repository/config/IcechunkConfig.ts"
import * as Result from "effect/Result"
import { text } from "./Fixture.ts"

const parse = (yaml: string) => ConfigYaml.parse(text(yaml))

describe("config.yaml", () => {
  for (const [what, yaml, json] of [
    ["nothing", "", null],
    [
      "plain values",
      "a: 1\nb: null\nc: ~\nd: yes\ne: 'x'\nf: 0.5\ng: true\nh:",
      { a: 1, b: null, c: null, d: "yes", e: "x", f: 0.5, g: true, h: null }
    ],
    [
      "a tag on an object",
      "store: !s3\n  region: x\n  anonymous: false",
      { store: { s3: { region: "x", anonymous: false } } }
    ],
    ["a tag on an empty object", "store: !azure {}", { store: { azure: {} } }],
    ["a tag on a text", "store: !local_file_system /data", { store: { local_file_system: "/data" } }],
    ["a tag on an empty text", "store: !local_file_system ''", { store: { local_file_system: "" } }],
    ["a tag on a number", "condition: !Axis 0", { condition: { Axis: 0 } }],
    ["a tag on a quoted number", "condition: !DimensionName '0'", { condition: { DimensionName: "0" } }],
    ["a tag on a truth", "a: !b true", { a: { b: true } }],
    ["a tag on nothing", "store: !in_memory", { store: "in_memory" }],
    [
      "a tag on a list of tags",
      "if: !or\n- 'true'\n- !name_matches\n  regex: t.*",
      { if: { or: ["true", { name_matches: { regex: "t.*" } }] } }
    ],
    ["a list of lists", "s:\n- - !any_array x\n  - - n: 1", { s: [[{ any_array: "x" }, [{ n: 1 }]]] }],
    ["a reference", "a: &x { b: 1 }\nc: *x", { a: { b: 1 }, c: { b: 1 } }],
    ["a field of a dangerous name", "__proto__: 1", JSON.parse(`{ "__proto__": 1 }`)]
  ] as const) {
    it.effect(`has ${what}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* parse(yaml), json)
      })
    )
  }

  for (const [what, yaml, field, problem] of [
    ["what is not YAML", "a: [b", "(whole file)", "Flow sequence"],
    ["a field twice", "a: 1\na: 2", "(whole file)", "unique"],
    ["a name that is a list", "? [a]\n: 1", "", "not a text"],
    ["a number that JSON has not", "a:\n  b: .inf", "a.b", "not a value"],
    ["a reference to itself", "a: &x [*x]", "a[0]", "nested"],
    [
      "references to references",
      `a: &a [1,1,1,1,1,1,1,1,1,1]\n${[..."bcdefgh"].map((name, i) => `${name}: &${name} [${Array(10).fill(`*${"abcdefgh"[i]}`).join(",")}]\n`).join("")}`,
      "",
      "values"
    ]
  ] as const) {
    it.effect(`is refused with ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(parse(yaml))
        assert.deepInclude(error, { _tag: "FormatError", file: "config.yaml" })
        if (problem !== "values") assert.include(error.field, field)
        assert.include(error.problem, problem)
      })
    )
  }

  it.effect("is refused when it is not text", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ConfigYaml.parse(Uint8Array.of(0x61, 0x3a, 0xff)))
      assert.deepInclude(error, { _tag: "FormatError", file: "config.yaml", field: "(whole file)" })
    })
  )

  it.effect("has containers of every kind that Icechunk wrote, also those whose prefix is only a protocol", () =>
    Effect.gen(function* () {
      const json = yield* parse(`
virtual_chunk_containers:
  tigris: { name: tigris, url_prefix: tigris, store: !tigris { region: null, endpoint_url: "https://fly.storage.tigris.dev" } }
  az: { name: az, url_prefix: az, store: !azure {} }
  gs: { name: google, url_prefix: gs, store: !gcs {} }
  file: { name: file, url_prefix: file, store: !local_file_system '' }
  s3: { name: s3, url_prefix: s3, store: !s3 { region: us-east-1, anonymous: true } }
  s3://bucket/data/: { name: null, url_prefix: s3://bucket/data/, store: !s3_compatible { endpoint_url: "http://localhost:1" } }
  nonsense: { name: nonsense, url_prefix: nonsense, store: !s3 {} }
`)
      const { virtual_chunk_containers: containers } = Result.getOrThrow(IcechunkConfig.toConfig("config.yaml", json))
      assert.deepStrictEqual(containers, [
        {
          name: "tigris",
          protocol: "tigris",
          platform: "tigris",
          bucket_prefix: "",
          cloud_client_config: { endpoint_url: "https://fly.storage.tigris.dev" }
        },
        { name: "az", protocol: "az", platform: "azure", bucket_prefix: "" },
        { name: "google", protocol: "gcs", platform: "gcs", bucket_prefix: "" },
        { name: "file", protocol: "file", platform: "fs", bucket_prefix: "" },
        {
          name: "s3",
          protocol: "s3",
          platform: "s3",
          region: "us-east-1",
          bucket_prefix: "",
          cloud_client_config: { anonymous: true }
        },
        {
          name: "s3:bucket:data",
          protocol: "s3",
          platform: "s3",
          bucket_prefix: "bucket/data",
          cloud_client_config: { endpoint_url: "http://localhost:1" }
        }
      ])
    })
  )
})
