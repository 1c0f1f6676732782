/**
 * Who may read what: credentials reach only whom they are for, files are read only where that is allowed, and no
 * secret is told.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as util from "node:util"
import {
  Credentials,
  type ObjectStore as ObjectStoreModule,
  MemoryObjectStore,
  ObjectStore,
  Platform,
  Repository,
  RepositoryConfig,
  type VirtualChunkContainer,
  ZarrStore
} from "@effect-icechunk/core"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import * as Support from "../support/DirectoryRepository.ts"

const { refuses } = Support

const readOnly = (place: Support.Place, options: Repository.OpenOptions) => (at: string) =>
  Support.inRepository(
    place,
    options
  )((repository) => Effect.flatMap(repository.readonlySession({ branch: "main" }), (one) => one.chunk(at, [0])))

describe("a container of files", () => {
  it.live("is not read without credentials, which the error asks for by the container's name", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      for (const credentials of [{}, { gcs: Credentials.anonymous }, undefined]) {
        const options = { credentials, credentialsFallback: "same-endpoint" } as const
        yield* refuses(place, readOnly(place, options)("/g/virtual"), {
          tag: "MissingCredentials",
          says: ["Container `model` on `fs`", 'credentials: { "model": ... }']
        })
      }
      const names = { model: Credentials.directory(place.data) }
      yield* refuses(
        place,
        Support.inRepository(place, { credentials: names })((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.readonlySession({ branch: "main" })
            yield* session.chunk("/g/virtual", [0])
            yield* session.chunk("/g/plain", [1, 0])
          })
        ),
        { tag: "MissingCredentials", says: ["Container `file` on `fs`", '"file"'] }
      )
    })
  )

  it.live("is not asked for a checksum without credentials either", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      yield* Support.inRepository(
        place,
        {}
      )((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          const ref = { location: `model://${place.data}/a.bin`, offset: 0, length: 1 }
          yield* refuses(
            place,
            session.setVirtualRef("/g/virtual", [0], ref, { capture: true }),
            { tag: "MissingCredentials", says: ["`model`"] },
            session
          )
        })
      )
    })
  )

  it.live("is not read with credentials of another kind, nor with a relative directory", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      for (const [model, says] of [
        [Credentials.anonymous, "they are `Anonymous`"],
        [Credentials.environment(), "they are `Environment`"],
        [Credentials.bearerToken({ token: Redacted.make("s3cr3t-token") }), "they are `BearerToken`, but `fs` takes"],
        [Credentials.directory("data"), "absolute path, not `data`"],
        [Credentials.directory(""), "absolute path"]
      ] as const) {
        yield* refuses(place, readOnly(place, { credentials: { model } })("/g/virtual"), {
          tag: "MissingCredentials",
          says: ["`model`", says]
        })
      }
    })
  )

  it.live("fails as on every platform when its credentials cannot be fetched", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const model = Effect.fail(
        new Credentials.CredentialsUnavailable({ problem: "the vault is closed", cause: new Error("s3cr3t") })
      )
      const error = yield* refuses(place, readOnly(place, { credentials: { model } })("/g/virtual"), {
        tag: "CredentialsUnavailable",
        says: ["container `model`", "the vault is closed"]
      })
      assert.notInclude(everything(error), "s3cr3t")
    })
  )

  it.live("is read in the prefixes of its entry, and nowhere else", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const grant = (prefix: string) => ({
        model: Credentials.grant({ credentials: Credentials.directory(place.data), prefixes: [prefix] })
      })
      const read = (prefix: string) => readOnly(place, { credentials: grant(prefix) })("/g/virtual")
      assert.strictEqual((yield* read(`file://${place.data}/`))?.length, 100)
      assert.strictEqual((yield* read(`file://${place.data}/a.bin`))?.length, 100)
      yield* refuses(place, read(`file://${place.data}/a`), {
        tag: "MissingCredentials",
        says: ["`model`", `file://${place.data}/a.bin`, `\`file://${place.data}/a\``, "`prefixes`"]
      })
    })
  )

  it.live("is read with credentials that come from an Effect", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const credentials = { model: Effect.succeed(Credentials.directory(place.data)) }
      assert.strictEqual((yield* readOnly(place, { credentials })("/g/virtual"))?.length, 100)
    })
  )

  const made = (directory: string): string => {
    fs.mkdirSync(directory)
    return directory
  }
  const allowed: ReadonlyArray<readonly [string, (place: Support.Place) => string, string]> = [
    ["another directory", (place) => place.repository, "may be read"],
    ["a directory below its own", (place) => made(path.join(place.data, "sub")), "may be read"],
    ["a directory whose name begins like its own", (place) => made(place.data.slice(0, -1)), "may be read"],
    ["a directory that does not exist", (place) => path.join(place.data, "none"), "there is no such directory"],
    ["the file itself", (place) => path.join(place.data, Support.dataFile), "may be read"]
  ]
  for (const [name, directory, says] of allowed) {
    it.live(`is not read where the directory that may be read does not contain the file: ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* Support.fresh
        const may = directory(place)
        yield* refuses(place, readOnly(place, { credentials: { model: Credentials.directory(may) } })("/g/virtual"), {
          tag: "ObjectStoreError",
          reason: "PermissionDenied",
          says: [`only files in \`${may}\``, says, "a.bin"]
        })
      })
    )
  }
})

describe("a file outside of the directory that may be read", () => {
  /** A secret beside the data, a link to it in the data, and refs that lead there in every way. */
  const withSecret = Effect.gen(function* () {
    const place = yield* Support.fresh
    const outside = path.join(path.dirname(place.data), "outside")
    fs.mkdirSync(outside)
    fs.writeFileSync(path.join(outside, "secret.bin"), "do not read this, whoever you are")
    fs.symlinkSync(path.join(outside, "secret.bin"), path.join(place.data, "link.bin"))
    fs.symlinkSync("../outside", path.join(place.data, "linked"))
    fs.symlinkSync("link.bin", path.join(place.data, "link-to-link.bin"))
    return { place, outside }
  })

  const escapes: ReadonlyArray<readonly [string, (place: Support.Place, outside: string) => string]> = [
    ["by its own path", (_, outside) => `file://${outside}/secret.bin`],
    ["by `..`", (place) => `file://${place.data}/../outside/secret.bin`],
    ["by `..` in percent-encoding", (place) => `file://${place.data}/%2e%2e/outside/secret.bin`],
    ["by a symbolic link", (place) => `file://${place.data}/link.bin`],
    ["by a symbolic link, in the container", () => "vcc://model/link.bin"],
    ["by a link to a link", () => "vcc://model/link-to-link.bin"],
    ["by a directory that is a link", () => "vcc://model/linked/secret.bin"],
    ["in `/etc`", () => "file:///etc/passwd"],
    ["of the process", () => "file:///proc/self/environ"]
  ]
  for (const [name, location] of escapes) {
    it.live(`is not read: ${name}`, () =>
      Effect.gen(function* () {
        const { outside, place } = yield* withSecret
        yield* Support.inRepository(place)((repository) =>
          Effect.gen(function* () {
            const session = yield* repository.writableSession("main")
            const ref = { location: location(place, outside), offset: 0, length: 10 }
            yield* session.setVirtualRef("/g/virtual", [0], ref)
            const expected = { tag: "ObjectStoreError", reason: "PermissionDenied", says: [place.data] }
            for (const error of [
              yield* refuses(place, session.chunk("/g/virtual", [0]), expected, session),
              yield* refuses(place, ZarrStore.make(session).get("g/virtual/c/0"), expected, session),
              yield* refuses(place, session.setVirtualRef("/g/virtual", [1], ref, { capture: true }), expected, session)
            ]) {
              assert.notInclude(everything(error), "whoever you are")
            }
          })
        )
      })
    )
  }

  it.live("is told neither to exist nor not to", () =>
    Effect.gen(function* () {
      const { outside, place } = yield* withSecret
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          const messages: Array<string> = []
          for (const name of ["secret.bin", "absent.bin"]) {
            const ref = { location: `file://${outside}/${name}`, offset: 0, length: 10 }
            yield* session.setVirtualRef("/g/virtual", [0], ref)
            const error = yield* Effect.flip(session.chunk("/g/virtual", [0]))
            messages.push(`${error._tag} ${error.message.replaceAll(name, "it")}`)
          }
          assert.strictEqual(messages[0], messages[1])
        })
      )
    })
  )

  it.live.skipIf(process.platform === "win32")("is not waited for: a pipe and a device in the directory", () =>
    Effect.gen(function* () {
      const { place } = yield* withSecret
      Support.makePipe(path.join(place.data, "pipe.bin"))
      fs.symlinkSync("/dev/zero", path.join(place.data, "zero.bin"))
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          for (const [name, reason] of [
            ["pipe.bin", "Unsupported"],
            ["zero.bin", "PermissionDenied"]
          ] as const) {
            yield* session.setVirtualRef("/g/virtual", [0], { location: `vcc://model/${name}`, offset: 0, length: 10 })
            const expected = { tag: "ObjectStoreError", reason, says: [name] }
            yield* refuses(place, Effect.timeout(session.chunk("/g/virtual", [0]), "5 seconds"), expected, session)
          }
        })
      )
    })
  )
})

/** A platform that notes what it is asked for and serves one store. */
const recording = (name: string, objects: ObjectStoreModule.ObjectStoreShape) => {
  const requests: Array<Platform.StoreRequest> = []
  const platform: Platform.Platform = {
    name,
    defaultRegion: undefined,
    hasBuckets: true,
    isBucketInPath: () => true,
    sharesCredentials: true,
    open: (request) => {
      requests.push(request)
      return Effect.succeed(ObjectStore.prefixed(objects, request.bucket))
    }
  }
  return { platform, requests }
}

const own = Credentials.accessKey({
  accessKeyId: "AKIDOFTHEREPOSITORY",
  secretAccessKey: Redacted.make("the-repository's-own-secret")
})

/** A repository in a directory that says it is on S3, at an endpoint of its own or not. */
const onS3 = (place: Support.Place, endpoint?: string) =>
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.map(FsObjectStore.make({ directory: place.repository }), (store) => ({
      ...store,
      origin: { platform: "s3", region: "us-east-1", endpoint, credentials: own }
    }))
  )

const node = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** Writes `config.json` as somebody else may have written it, and reads a chunk of a location. */
const readThrough = (
  containers: ReadonlyArray<VirtualChunkContainer.VirtualChunkContainer>,
  location: string,
  options: Repository.OpenOptions & { readonly endpoint?: string } = {}
) =>
  Effect.gen(function* () {
    const place = yield* Support.copy
    const objects = yield* MemoryObjectStore.make({ description: "memory://objects" })
    yield* objects.put("bucket/a.bin", Support.pattern(10, 1))
    const s3 = recording("s3", objects)
    const gcs = recording("gcs", objects)
    fs.writeFileSync(
      path.join(place.repository, "config.json"),
      RepositoryConfig.print({ virtual_chunk_containers: [Support.container(place), ...containers] })
    )
    const exit = yield* Effect.gen(function* () {
      const repository = yield* Repository.open({ credentials: {}, ...options })
      const session = yield* repository.writableSession("main")
      yield* session.setVirtualRef("/g/virtual", [0], { location, offset: 0, length: 10 })
      const before = Support.tree(place.repository)
      const exit = yield* Effect.exit(session.chunk("/g/virtual", [0]))
      assert.deepStrictEqual(Support.tree(place.repository), before)
      return exit
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(
          onS3(place, options.endpoint),
          Platform.layer([FsPlatform.make, Effect.succeed(s3.platform), Effect.succeed(gcs.platform)]),
          NodeZstd.layer
        ).pipe(Layer.provide(node))
      )
    )
    return { exit, requests: [...s3.requests, ...gcs.requests] }
  })

type Read = Effect.Success<ReturnType<typeof readThrough>>

const assertRefused = ({ exit, requests }: Read, expected: Support.Expected) =>
  Effect.gen(function* () {
    assert.isTrue(Exit.isFailure(exit), "it was read")
    Support.assertFailure(yield* Effect.flip(exit), expected)
    assert.deepStrictEqual(requests, [])
  })

describe("options for containers that do not exist", () => {
  it.live("are refused when the repository is opened or created, with the names that there are", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      for (const [options, option] of [
        [{ credentials: { modle: Credentials.directory(place.data) } }, "credentials"],
        [{ withoutContainers: ["modle"] }, "withoutContainers"],
        [{ credentials: { constructor: Credentials.anonymous } }, "credentials"]
      ] as const) {
        yield* refuses(
          place,
          Support.inRepository(place, options)(() => Effect.void),
          { tag: "UnknownContainer", says: [`\`${option}\``, "`file`, `gcs`, `model`, `s3`, `tigris`"] }
        )
      }
      // Left out by this program, or of its own making: these exist.
      yield* Support.inRepository(place, {
        withoutContainers: ["model", "mine"],
        config: { virtual_chunk_containers: [{ name: "mine", protocol: "mine", platform: "fs" }] },
        credentials: { model: Credentials.directory(place.data), mine: Credentials.directory(place.data) }
      })(() => Effect.void)
    })
  )

  it.live("and grants that cannot be meant are refused, too", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      const model = Credentials.grant({ credentials: Credentials.directory(place.data), prefixes: [place.data] })
      yield* refuses(
        place,
        Support.inRepository(place, { credentials: { model } })(() => Effect.void),
        { tag: "InvalidConfig", says: ["credentials", "model.prefixes[0]", "protocol://"] }
      )
    })
  )
})

describe("a location that is not that of one object", () => {
  it.live("is refused when it is written and when it is read, and nothing is asked", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      yield* Support.inRepository(place)((repository) =>
        Effect.gen(function* () {
          const session = yield* repository.writableSession("main")
          for (const location of ["s3://bucket", "s3://bucket/", "gs://bucket", "later://bucket"]) {
            const expected = {
              tag: "InvalidLocation",
              says: [location.replace("gs:", "gcs:"), "a bucket but no object"]
            }
            const ref = { location, offset: 0, length: 1 }
            const options = { validateContainers: false }
            yield* refuses(place, session.setVirtualRef("/g/virtual", [0], ref, options), expected, session)
            const refs = {
              indices: Uint32Array.of(0),
              offsets: [0],
              lengths: [1],
              locations: { values: ["later://bucket/fine", location], ids: Uint32Array.of(0) }
            }
            yield* refuses(place, session.setVirtualRefs("/g/virtual", refs, options), expected, session)
          }
        })
      )
    })
  )

  it.live("has no `.` and `..` segments where the bucket is in the path", () =>
    Effect.gen(function* () {
      const s3 = { name: "mine", protocol: "mine", platform: "s3", bucket_prefix: "bucket/in" }
      for (const location of ["mine://bucket/in/../../other/a", "vcc://mine/../../other/a", "mine://bucket/in/./a"]) {
        const exit = yield* Effect.exit(readThrough([s3], location))
        assert.isTrue(Exit.isFailure(exit), location)
        Support.assertFailure(yield* Effect.flip(exit), {
          tag: "InvalidLocation",
          says: ["`.` or `..` segment", "another bucket"]
        })
      }
    })
  )
})

describe("a container that somebody else wrote into the configuration", () => {
  const evil = { cloud_client_config: { endpoint_url: "https://collects-keys.example" } }

  it.live("gets the repository's credentials at the repository's own endpoint, and nowhere else", () =>
    Effect.gen(function* () {
      const mine = yield* readThrough([{ name: "mine", protocol: "mine", platform: "s3" }], "mine://bucket/a.bin")
      assert.deepStrictEqual(mine.exit, Exit.succeed(Support.pattern(10, 1)))
      assert.deepStrictEqual(
        mine.requests.map(({ credentials }) => credentials),
        [own]
      )
      yield* assertRefused(
        yield* readThrough([{ name: "evil", protocol: "evil", platform: "s3", ...evil }], "evil://bucket/a.bin"),
        { tag: "MissingCredentials", says: ["`evil`", "endpoint"] }
      )
    })
  )

  it.live("gets none at the platform's own endpoint when the repository is at another one", () =>
    Effect.gen(function* () {
      const elsewhere = { endpoint: "https://minio.example:9000" }
      yield* assertRefused(
        yield* readThrough([{ name: "aws", protocol: "aws", platform: "s3" }], "aws://bucket/a.bin", elsewhere),
        { tag: "MissingCredentials", says: ["`aws`", "endpoint"] }
      )
      for (const endpoint of [
        "https://minio.example.collects-keys.example:9000",
        "https://minio.example:9000/else",
        "http://minio.example:9000",
        "https://minio.example"
      ]) {
        yield* assertRefused(
          yield* readThrough(
            [{ name: "near", protocol: "near", platform: "s3", cloud_client_config: { endpoint_url: endpoint } }],
            "near://bucket/a.bin",
            elsewhere
          ),
          { tag: "MissingCredentials", says: ["`near`"] }
        )
      }
    })
  )

  it.live("gets none in the place of a default container whose endpoint it changes", () =>
    Effect.gen(function* () {
      yield* assertRefused(
        yield* readThrough([{ name: "s3", protocol: "s3", platform: "s3", ...evil }], "s3://bucket/a.bin"),
        { tag: "MissingCredentials", says: ["`s3`", "endpoint"] }
      )
    })
  )

  it.live("gets none on another platform, nor with the strict policy", () =>
    Effect.gen(function* () {
      yield* assertRefused(yield* readThrough([{ name: "g", protocol: "g", platform: "gcs" }], "g://bucket/a.bin"), {
        tag: "MissingCredentials",
        says: ["`g`", "another platform"]
      })
      yield* assertRefused(
        yield* readThrough([{ name: "mine", protocol: "mine", platform: "s3" }], "mine://bucket/a.bin", {
          credentialsFallback: "strict"
        }),
        { tag: "MissingCredentials", says: ["`mine`", "turned off"] }
      )
    })
  )

  it.live("on a platform that nobody provides is refused with those that are", () =>
    Effect.gen(function* () {
      yield* assertRefused(
        yield* readThrough([{ name: "az", protocol: "az", platform: "azure" }], "az://bucket/a.bin"),
        { tag: "MissingPlatform", says: ["`az`", "`azure`", "`fs`", "`s3`", "`gcs`"] }
      )
    })
  )

  it.live("does not read `/etc`, whatever its name and the directory that is allowed", () =>
    Effect.gen(function* () {
      const place = yield* Support.copy
      for (const [container, location, options] of [
        [{ name: "etc", protocol: "etc", platform: "fs", bucket_prefix: "/etc" }, "etc:///etc/passwd", {}],
        [{ name: "all", protocol: "all", platform: "fs" }, "all:///etc/passwd", {}],
        [{ name: "etc", protocol: "etc", platform: "fs", bucket_prefix: "/etc" }, "vcc://etc/passwd", {}]
      ] as const) {
        yield* assertRefused(yield* readThrough([container], location, options), {
          tag: "MissingCredentials",
          says: [`\`${container.name}\``, "granted explicitly"]
        })
      }
      // In the place of a container that the program has credentials for.
      yield* assertRefused(
        yield* readThrough(
          [{ name: "file", protocol: "file", platform: "fs", bucket_prefix: "/etc" }],
          "file:///etc/passwd",
          { credentials: { file: Credentials.directory(place.data) } }
        ),
        { tag: "ObjectStoreError", reason: "PermissionDenied", says: [place.data] }
      )
    })
  )

  it.live("cannot have the names of an object's own fields to get credentials", () =>
    Effect.gen(function* () {
      for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
        yield* assertRefused(
          yield* readThrough([{ name, protocol: "x", platform: "fs", bucket_prefix: "/etc" }], "x:///etc/passwd"),
          { tag: "MissingCredentials", says: [name] }
        )
      }
    })
  )
})

/** All that a program may print of an error. */
const everything = (error: unknown): string =>
  [
    String(error),
    error instanceof Error ? `${error.message}\n${error.stack}` : "",
    JSON.stringify(error),
    util.inspect(error, { depth: 20, showHidden: true })
  ].join("\n")

describe("secrets", () => {
  /** Texts that do not occur by chance. */
  const secret = fc
    .tuple(fc.base64String({ minLength: 16, maxLength: 60 }), fc.string({ minLength: 4, maxLength: 10 }))
    .map(([base64, more]) => `${base64.slice(0, 60)}!${more}`)

  it.live(
    "are in no error, in no text of one, and in no log",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(secret, secret, secret, (one, two, three) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const place = yield* Support.copy
                const [key, token, account] = [Redacted.make(one), Redacted.make(two), Redacted.make(three)]
                const accessKey = Credentials.accessKey({
                  accessKeyId: "AKID",
                  secretAccessKey: key,
                  sessionToken: token
                })
                const sources: ReadonlyArray<Credentials.Source> = [
                  accessKey,
                  Credentials.bearerToken({ token }),
                  Credentials.serviceAccount(account),
                  Effect.succeed(accessKey),
                  Effect.fail(
                    new Credentials.CredentialsUnavailable({ problem: "no answer", cause: new Error(one + two) })
                  )
                ]
                const told: Array<string> = []
                const logger = Logger.make(({ cause, message }) => told.push(everything(message), Cause.pretty(cause)))
                const failures = yield* Effect.forEach(sources, (source) =>
                  Effect.gen(function* () {
                    const objects = yield* MemoryObjectStore.make()
                    const credentials = Object.fromEntries(
                      ["model", "file", "s3", "gcs", "tigris", "azure", "other"].map((name) => [name, source])
                    )
                    const repository = yield* Repository.open({
                      credentials,
                      checks: "warn",
                      config: {
                        virtual_chunk_containers: [
                          {
                            name: "other",
                            protocol: "other",
                            platform: "s3",
                            cloud_client_config: { endpoint_url: "https://collects-keys.example" }
                          },
                          { name: "azure", protocol: "az", platform: "azure" }
                        ]
                      }
                    }).pipe(
                      Effect.provide(
                        Layer.mergeAll(
                          Layer.effect(
                            ObjectStore.ObjectStore,
                            Effect.map(FsObjectStore.make({ directory: place.repository }), (store) => ({
                              ...store,
                              origin: { platform: "s3", credentials: source }
                            }))
                          ),
                          Platform.layer([FsPlatform.make, Effect.succeed(recording("s3", objects).platform)]),
                          NodeZstd.layer
                        ).pipe(Layer.provide(node))
                      )
                    )
                    const session = yield* repository.writableSession("main")
                    const read = (location: string) =>
                      Effect.andThen(
                        session.setVirtualRef("/g/virtual", [0], { location, offset: 0, length: 10 }),
                        session.chunk("/g/virtual", [0])
                      )
                    return yield* Effect.forEach(
                      [
                        read(`model://${place.data}/a.bin`),
                        read("file:///etc/passwd"),
                        read("s3://bucket/none"),
                        read("gcs://bucket/none"),
                        read("az://bucket/none"),
                        read("other://bucket/none"),
                        read("nope://bucket/none"),
                        read("s3://"),
                        session.setVirtualRef(
                          "/g/virtual",
                          [0],
                          { location: "s3://bucket/none", offset: 0, length: 1 },
                          { capture: true }
                        ),
                        repository.config.update(() => ({})),
                        Repository.create({ credentials }).pipe(
                          Effect.provide(
                            Layer.mergeAll(
                              FsObjectStore.layer({ directory: place.repository }),
                              Platform.layerNone,
                              NodeZstd.layer
                            ).pipe(Layer.provide(node))
                          )
                        )
                      ],
                      (effect) => Effect.exit(effect as Effect.Effect<unknown, unknown>)
                    )
                  })
                ).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
                for (const exit of failures.flat()) {
                  if (Exit.isSuccess(exit)) throw new Error("Something was not refused")
                  told.push(Cause.pretty(exit.cause), everything(Cause.squash(exit.cause)), everything(exit))
                }
                assert.isAbove(told.length, 100)
                for (const text of told) {
                  for (const hidden of [one, two, three]) {
                    assert.notInclude(text, hidden)
                    assert.notInclude(text, hidden.slice(0, 16))
                    assert.notInclude(text, Buffer.from(hidden).toString("base64"))
                    assert.notInclude(text, encodeURIComponent(hidden))
                  }
                }
              })
            )
          ),
          { numRuns: 10 }
        )
      ),
    60_000
  )

  it.live("are never written: neither into the repository nor into what it publishes", () =>
    Effect.gen(function* () {
      const place = Support.newPlace()
      const hidden = "never-to-be-written-0123456789"
      const credentials = {
        s3: Credentials.accessKey({ accessKeyId: hidden, secretAccessKey: Redacted.make(hidden) }),
        gcs: Credentials.bearerToken({ token: Redacted.make(hidden) })
      }
      yield* Effect.gen(function* () {
        const repository = yield* Repository.create({
          credentials,
          persist: { virtual_chunk_containers: [{ name: "m", protocol: "m", platform: "s3", bucket_prefix: "b" }] }
        })
        const session = yield* repository.writableSession("main")
        yield* session.createArray("/v", Support.array([1], [1]))
        yield* session.setVirtualRef("/v", [0], { location: "m://b/x", offset: 0, length: 1 })
        yield* session.commit("refs")
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.mergeAll(onS3(place), Platform.layerNone, NodeZstd.layer).pipe(Layer.provide(node)))
      )
      const zstd = (file: string): Buffer => {
        const content = fs.readFileSync(file)
        return content.subarray(0, 3).toString() === "ICE" ? Buffer.from(content.subarray(39)) : content
      }
      const zlib = yield* Effect.promise(() => import("node:zlib"))
      for (const entry of fs.readdirSync(place.repository, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue
        const file = path.join(entry.parentPath, entry.name)
        const body = zstd(file)
        const plain = body[0] === 0x28 ? zlib.zstdDecompressSync(body) : body
        assert.isFalse(plain.includes(hidden), file)
        assert.isFalse(plain.includes("repository's-own-secret"), file)
      }
    })
  )
})
