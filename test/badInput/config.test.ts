import * as fs from "node:fs"
import * as path from "node:path"
import { Credentials, Repository, RepositoryConfig } from "@effect-icechunk/core"
import * as Flexbuffer from "../../packages/core/src/encoding/Flexbuffer.ts"
import * as IcechunkFile from "../../packages/core/src/format/IcechunkFile.ts"
import * as RepoInfo from "../../packages/core/src/format/RepoInfo.ts"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Support from "../support/DirectoryRepository.ts"
import { services } from "../support/FsServices.ts"

const { refuses } = Support

type Config = RepositoryConfig.RepositoryConfig

const container = (fields: Readonly<Record<string, unknown>>) => ({
  name: "new",
  protocol: "new",
  platform: "s3",
  bucket_prefix: "bucket/runs",
  ...fields
})

const containers = (...all: ReadonlyArray<unknown>) => ({ virtual_chunk_containers: all })

const deep = Array.from({ length: 200 }).reduce<unknown>((inner) => [inner], 0)
const deepRule = Array.from({ length: 200 }).reduce<unknown>((inner) => ({ or: [inner] }), "any_array")

/** Configurations that are wrong, by what is wrong: the field, and what its message says. */
const cases: ReadonlyArray<readonly [string, unknown, string, string]> = [
  ["a threshold as text", { inline_chunk_threshold_bytes: "512" }, "inline_chunk_threshold_bytes", ""],
  ["a negative threshold", { inline_chunk_threshold_bytes: -1 }, "inline_chunk_threshold_bytes", ""],
  ["a fractional threshold", { inline_chunk_threshold_bytes: 1.5 }, "inline_chunk_threshold_bytes", ""],
  ["a threshold beyond 16 bits", { inline_chunk_threshold_bytes: 65_536 }, "inline_chunk_threshold_bytes", ""],
  ["containers that are no list", { virtual_chunk_containers: {} }, "virtual_chunk_containers", ""],
  ["a container that is no object", containers("model"), "virtual_chunk_containers[0]", ""],
  ["a container without name", containers(container({ name: undefined })), "virtual_chunk_containers[0].name", ""],
  ["a container whose name is a number", containers(container({ name: 5 })), "virtual_chunk_containers[0].name", ""],
  [
    "a container without protocol",
    containers(container({ protocol: null })),
    "virtual_chunk_containers[0].protocol",
    ""
  ],
  [
    "a container without platform",
    containers(container({ platform: null })),
    "virtual_chunk_containers[0].platform",
    ""
  ],
  ["a region that is no text", containers(container({ region: 1 })), "virtual_chunk_containers[0].region", ""],
  [
    "a prefix that is no text",
    containers(container({ bucket_prefix: ["a"] })),
    "virtual_chunk_containers[0].bucket_prefix",
    ""
  ],
  [
    "client settings that are no object",
    containers(container({ cloud_client_config: "x" })),
    "virtual_chunk_containers[0].cloud_client_config",
    ""
  ],
  [
    "anonymous access as text",
    containers(container({ cloud_client_config: { anonymous: "yes" } })),
    "virtual_chunk_containers[0].cloud_client_config.anonymous",
    ""
  ],
  ["an empty name", containers(container({ name: "" })), "virtual_chunk_containers[0]", "`name` is empty"],
  ["a name with a slash", containers(container({ name: "a/b" })), "virtual_chunk_containers[0]", "contains `/`: `a/b`"],
  [
    "a name twice",
    containers(container({}), container({ name: "other" }), container({ bucket_prefix: "elsewhere" })),
    "virtual_chunk_containers[2]",
    "another container named `new`"
  ],
  ["a protocol in capitals", containers(container({ protocol: "New" })), "virtual_chunk_containers[0]", "lower-case"],
  ["an empty protocol", containers(container({ protocol: "" })), "virtual_chunk_containers[0]", "`protocol` of `new`"],
  ["the protocol `vcc`", containers(container({ protocol: "vcc" })), "virtual_chunk_containers[0]", "`vcc`"],
  ["the alias of a protocol", containers(container({ protocol: "gs" })), "virtual_chunk_containers[0]", "write `gcs`"],
  [
    "a platform that does not serve the protocol",
    containers(container({ protocol: "gcs", platform: "s3" })),
    "virtual_chunk_containers[0]",
    "are on `gcs`"
  ],
  ["an empty platform", containers(container({ platform: "" })), "virtual_chunk_containers[0]", "`platform` of `new`"],
  [
    "a relative directory",
    containers(container({ platform: "fs", bucket_prefix: "data" })),
    "virtual_chunk_containers[0]",
    "absolute directory"
  ],
  [
    "a directory with `..`",
    containers(container({ platform: "fs", bucket_prefix: "/data/../etc" })),
    "virtual_chunk_containers[0]",
    "`..` segments"
  ],
  [
    "a bucket that begins with a slash",
    containers(container({ bucket_prefix: "/bucket" })),
    "virtual_chunk_containers[0]",
    "starts with the bucket"
  ],
  [
    "an endpoint with user information",
    containers(container({ cloud_client_config: { endpoint_url: "http://user:pass@host" } })),
    "virtual_chunk_containers[0]",
    "endpoint_url"
  ],
  [
    "an endpoint that cloud machines ask for their keys",
    containers(container({ cloud_client_config: { endpoint_url: "http://169.254.169.254" } })),
    "virtual_chunk_containers[0]",
    "cloud metadata"
  ],
  [
    "an endpoint whose port is none",
    containers(
      container({ cloud_client_config: { endpoint_url: "https://minio.example:9000.collects-keys.example" } })
    ),
    "virtual_chunk_containers[0]",
    "endpoint_url"
  ],
  [
    "an endpoint that is no URL",
    containers(container({ cloud_client_config: { endpoint_url: "local host:9000" } })),
    "virtual_chunk_containers[0]",
    "endpoint_url"
  ],
  ["compression that is a number", { compression: 3 }, "compression", ""],
  ["an unknown compression", { compression: { algorithm: "lz4" } }, "compression.algorithm", ""],
  ["level 0", { compression: { level: 0 } }, "compression.level", ""],
  ["level 23", { compression: { level: 23 } }, "compression.level", ""],
  ["a level as text", { compression: { level: "3" } }, "compression.level", ""],
  ["splitting that is a list", { manifest: { splitting: [] } }, "manifest.splitting", ""],
  [
    "split sizes that are an object",
    { manifest: { splitting: { split_sizes: {} } } },
    "manifest.splitting.split_sizes",
    ""
  ],
  [
    "an unknown condition",
    { manifest: { splitting: { split_sizes: [["some_array", []]] } } },
    "manifest.splitting.split_sizes[0][0]",
    ""
  ],
  [
    "manifests of no chunks",
    { manifest: { splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks: 0 }]]] } } },
    "manifest.splitting.split_sizes[0][1][0].num_chunks",
    ""
  ],
  ["values nested too deep", { storage: deep }, "storage", "nested deeper"],
  ["values nested too deep in a field of the user's own", { note: { deep } }, "note", "nested deeper"],
  [
    "a rule nested too deep",
    { manifest: { splitting: { split_sizes: [[deepRule, []]] } } },
    "manifest",
    "nested deeper"
  ],
  ["a key with NUL", { storage: { "a\0b": 1 } }, "storage", "U+0000"],
  ["no requests at once", { max_concurrent_requests: 0 }, "max_concurrent_requests", ""],
  ["no updates at all", { num_updates_per_repo_info_file: 0 }, "num_updates_per_repo_info_file", ""]
]

/** Where only JSON is read from. */
const texts: ReadonlyArray<readonly [string, string | Uint8Array, string, string]> = [
  ["an empty file", "", "(whole file)", "not JSON"],
  ["a file that ends too early", '{ "virtual_chunk_containers": [', "(whole file)", "not JSON"],
  ["text", "inline_chunk_threshold_bytes = 512", "(whole file)", "not JSON"],
  ["bytes that are no UTF-8", Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), "(whole file)", "not UTF-8"],
  ["null", "null", "(whole file)", ""],
  ["a list", "[]", "(whole file)", ""],
  ["a number", "42", "(whole file)", ""],
  ["text in quotes", '"config"', "(whole file)", ""],
  [
    "values nested as deep as a parser goes",
    `{ "note": ${"[".repeat(5000)}${"]".repeat(5000)} }`,
    "note",
    "nested deeper"
  ],
  ["recent writes that are no list", '{ "recent_writes": "x" }', "recent_writes", "list of strings"],
  ["recent writes that are numbers", '{ "recent_writes": [1] }', "recent_writes", "list of strings"],
  ...cases.map(([name, config, field, says]) => [name, JSON.stringify(config), field, says] as const)
]

describe("a config.json that is damaged", () => {
  for (const [name, text, field, says] of texts) {
    it.live(`is refused with its field, by all that read it, and stays as it is: ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const expected = { tag: "InvalidConfig", says: [`${place.repository}/config.json`, `at \`${field}\``, says] }
        const damage = Effect.sync(() => fs.writeFileSync(path.join(place.repository, "config.json"), text))
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const before = yield* repository.config.effective
            yield* damage
            yield* refuses(place, repository.config.persisted, expected)
            yield* refuses(
              place,
              repository.config.update(RepositoryConfig.setContainer(Support.container(place))),
              expected
            )
            yield* refuses(place, repository.config.publish, expected)
            assert.deepStrictEqual(yield* repository.config.effective, before)
          })
        )
        yield* refuses(
          place,
          Support.inRepository(place)(() => Effect.void),
          expected
        )
      })
    )
  }

  it.live("does not keep a session that is open from committing", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          yield* session.createGroup("/late")
          fs.writeFileSync(path.join(place.repository, "config.json"), "{")
          yield* session.commit("late")
          assert.strictEqual(fs.readFileSync(path.join(place.repository, "config.json"), "utf8"), "{")
        })
      )
    })
  )

  it.live("with fields of `Object.prototype` changes no other field", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const file = path.join(place.repository, "config.json")
      const evil = '{ "inline_chunk_threshold_bytes": 7, "virtual_chunk_containers": [{ "name": "" }] }'
      fs.writeFileSync(file, `{ "__proto__": ${evil}, "constructor": ${evil}, "toString": 1 }`)
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const config = yield* repository.config.effective
          assert.strictEqual(RepositoryConfig.inlineThreshold(config), 512)
          assert.notInclude(
            (yield* repository.containers).map(({ container }) => container.name),
            ""
          )
          assert.strictEqual(({} as Config).inline_chunk_threshold_bytes, undefined)
        })
      )
    })
  )
})

describe("an update of the configuration", () => {
  for (const [name, config, field, says] of cases) {
    it.live(`is refused with its field, and nothing is written: ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const before = yield* repository.config.effective
            yield* refuses(
              place,
              repository.config.update(() => config as Config),
              { tag: "InvalidConfig", says: [`\`${field}\``, says] }
            )
            assert.deepStrictEqual(yield* repository.config.effective, before)
          })
        )
      })
    )
  }

  const circular: Record<string, unknown> = {}
  circular["self"] = circular
  const refused: ReadonlyArray<readonly [string, (config: Config) => unknown, string, string]> = [
    ["deletes a container", () => ({}), "virtual_chunk_containers", "container `model` is missing"],
    [
      "deletes all containers",
      (config) => ({ ...config, virtual_chunk_containers: [] }),
      "virtual_chunk_containers",
      "never deleted"
    ],
    [
      "renames a container",
      (config) => rename(config, "renamed"),
      "virtual_chunk_containers",
      "container `model` is missing"
    ],
    [
      "sets containers to null",
      (config) => ({ ...config, virtual_chunk_containers: null }),
      "virtual_chunk_containers",
      "`model`"
    ],
    ["returns nothing", () => undefined, "(whole file)", ""],
    ["returns null", () => null, "(whole file)", ""],
    ["returns a promise of it", (config) => Promise.resolve(config), "virtual_chunk_containers", "`model` is missing"],
    [
      "has a rule with an expression that is none",
      (config) => ({
        ...config,
        manifest: { splitting: { split_sizes: [[{ path_matches: { regex: "(" } }, []]] } }
      }),
      "manifest.splitting.split_sizes",
      "`(` is not a regular expression"
    ],
    ["has a big integer, which is not JSON", (config) => ({ ...config, note: 1n }), "note", "bigint"],
    ["has a function, which is not JSON", (config) => ({ ...config, note: { f: () => 1 } }), "note", "function"],
    ["has itself, which is not JSON", (config) => ({ ...config, note: circular }), "note", "nested"]
  ]
  const rename = (config: Config, name: string): Config => ({
    ...config,
    virtual_chunk_containers: [{ ...config.virtual_chunk_containers![0]!, name }]
  })
  for (const [name, f, field, says] of refused) {
    it.live(`is refused, and nothing is written: it ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const before = yield* repository.config.effective
            yield* refuses(
              place,
              repository.config.update((config) => f(config) as Config),
              { tag: "InvalidConfig", says: [`${place.repository}/config.json`, `\`${field}\``, says] }
            )
            assert.deepStrictEqual(yield* repository.config.effective, before)
          })
        )
      })
    )
  }
})

describe("a configuration for one program", () => {
  for (const [name, config, field, says] of cases) {
    it.live(`is refused with its field when a repository is opened or created: ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.copy
        const override = { config: config as Config }
        yield* refuses(
          place,
          Support.inRepository(place, override)(() => Effect.void),
          { tag: "InvalidConfig", says: ["`run-time override`", `\`${field}\``, says] }
        )
        const empty = Support.newPlace()
        const create = (options: Parameters<typeof Repository.create>[0]) =>
          Effect.scoped(Repository.create(options)).pipe(Effect.provide(services(empty.repository)))
        yield* refuses(empty, create(override), {
          tag: "InvalidConfig",
          says: ["`run-time override`", `\`${field}\``, says]
        })
        yield* refuses(empty, create({ persist: config as Config }), {
          tag: "InvalidConfig",
          says: ["`new configuration`", `\`${field}\``, says]
        })
        assert.deepStrictEqual(Support.tree(empty.repository), { "": "nothing" })
      })
    )
  }

  it.live("with a rule whose expression is none creates nothing", () =>
    Effect.gen(function* () {
      const empty = Support.newPlace()
      const persist: Config = {
        manifest: { splitting: { split_sizes: [[{ name_matches: { regex: "[" } }, []]] } }
      }
      yield* refuses(
        empty,
        Effect.scoped(Repository.create({ persist })).pipe(Effect.provide(services(empty.repository))),
        { tag: "InvalidConfig", says: ["`[` is not a regular expression"] }
      )
      assert.deepStrictEqual(Support.tree(empty.repository), { "": "nothing" })
    })
  )
})

describe("the configuration that the repository object carries", () => {
  const carrying = (change: (info: RepoInfo.RepoInfo) => RepoInfo.RepoInfo) =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const file = path.join(place.repository, "repo")
      const { payload } = yield* IcechunkFile.decode("repo", new Uint8Array(fs.readFileSync(file)), "RepoInfo")
      const info = yield* Effect.fromResult(RepoInfo.decode("repo", payload))
      fs.writeFileSync(file, yield* IcechunkFile.encode("RepoInfo", RepoInfo.encode(change(info))))
      fs.rmSync(path.join(place.repository, "config.json"))
      return place
    }).pipe(Effect.provide(NodeZstd.layer))

  const withConfig = (config: Parameters<typeof Flexbuffer.encode>[0]) =>
    carrying((info) => ({ ...info, config: Flexbuffer.encode(config) }))

  it.live("is refused with its field when it has the wrong type", () =>
    Effect.gen(function* () {
      for (const [config, field] of [
        [{ compression: { level: 99 } }, "compression.level"],
        [{ inline_chunk_threshold_bytes: "many" }, "inline_chunk_threshold_bytes"],
        [[], "(whole file)"]
      ] as const) {
        const place = yield* withConfig(config)
        yield* refuses(
          place,
          Support.inRepository(place)(() => Effect.void),
          { tag: "InvalidConfig", says: [`${place.repository}/repo`, `\`${field}\``] }
        )
      }
    })
  )

  it.live("is refused when it is no flexbuffer", () =>
    Effect.gen(function* () {
      for (const config of [new Uint8Array(0), Uint8Array.of(1), Uint8Array.of(255, 255, 255, 255)]) {
        const place = yield* carrying((info) => ({ ...info, config }))
        yield* refuses(
          place,
          Support.inRepository(place)(() => Effect.void),
          { tag: "FormatError", says: ["`config` of `repo`", "flexbuffer"] }
        )
      }
    })
  )

  it.live("opens when its containers are malformed, which serve nothing then", () =>
    Effect.gen(function* () {
      const store = { s3: { region: null } }
      const place = yield* withConfig({
        virtual_chunk_containers: {
          "s3://empty/": { store: {} },
          "s3://list/": { store: [] },
          "s3://none/": {},
          "s3://text/": "x",
          "s3://null/": null,
          "no prefix": { store },
          "s3://slash/": { name: "a/b", store },
          "s3://nameless/": { name: "", store },
          "S3://%zz/": { name: "percent", store: { local_file_system: 5 } },
          "file:///": { name: "root", store: { local_file_system: "/" } },
          "file:///a/../../etc/": { name: "up", store: { local_file_system: "/" } },
          "ftp://x/": { name: "ftp", store: { ftp: {} } },
          "s3://evil/": { name: "evil", store: { s3: { endpoint_url: "http://user:pass@host" } } },
          "s3://good/": { name: "good", store }
        }
      })
      yield* Support.inRepository(place, { credentials: { root: Credentials.directory(place.data) } })((repository) =>
        Effect.gen(function* () {
          const names = (yield* repository.containers)
            .filter(({ source }) => source === "persisted")
            .map(({ container }) => container.name)
          assert.include(names, "good")
          for (const bad of ["a/b", "", "ftp", "evil", "up"]) assert.notInclude(names, bad)
          const session = yield* repository.readonlySession({ branch: "main" })
          assert.deepStrictEqual(yield* session.chunk("/g/inline", [1]), Support.pattern(2, 1))
        })
      )
    })
  )
})
