/**
 * Repositories whose virtual chunks are on S3: with the credentials of the repository, in other regions, on other
 * endpoints. What goes over the wire is looked at.
 */
import {
  Credentials,
  ObjectStore,
  Platform,
  Repository,
  type RepositoryConfig,
  type VirtualChunkContainer
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { S3ObjectStore, type S3Options, S3Platform } from "@effect-icechunk/s3"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as S3Server from "../../packages/s3/test/support/S3Server.ts"
import { accessKey, fast, optionsFor, real, realOptions } from "../../packages/s3/test/support/TestStores.ts"

type Container = VirtualChunkContainer.VirtualChunkContainer

const bytes = (seed: number): Uint8Array => Uint8Array.from({ length: 100 }, (_, i) => (i * 7 + seed) % 251)

/** Runs a program with a repository's store, as a new program would. */
const within =
  (options: S3Options.S3Options) =>
  <A, E>(effect: Effect.Effect<A, E, Layer.Success<ReturnType<typeof servicesOf>> | Scope.Scope>) =>
    Effect.provide(Effect.scoped(effect), servicesOf(options))

const servicesOf = (options: S3Options.S3Options) =>
  Layer.mergeAll(
    Layer.effect(ObjectStore.ObjectStore, Effect.orDie(S3ObjectStore.make(options))),
    Platform.layer([S3Platform.makeWith({ retry: fast })]),
    NodeZstd.layer
  )

const containers = (...all: ReadonlyArray<Container>): RepositoryConfig.RepositoryConfig => ({
  virtual_chunk_containers: all
})

const on = (endpoint: string | undefined, more: Partial<Container> = {}): Container => ({
  name: "s3",
  protocol: "s3",
  platform: "s3",
  cloud_client_config: { endpoint_url: endpoint },
  ...more
})

/** Writes an object where chunks will be referenced in, beside the repository. */
const putObject = (options: S3Options.S3Options, key: string, content: Uint8Array) =>
  Effect.scoped(Effect.flatMap(Effect.orDie(S3ObjectStore.make(options)), (store) => store.put(key, content)))

/** A repository with an array `/v`, whose chunk `i` is the object at `locations[i]`, referenced with its checksum. */
const writeRefs = Effect.fnUntraced(function* (
  config: RepositoryConfig.RepositoryConfig,
  locations: ReadonlyArray<string>,
  options: Repository.OpenOptions = {}
) {
  const repository = yield* Repository.create({ ...options, persist: config })
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/v", {
    shape: [100 * locations.length],
    chunkShape: [100],
    dataType: "uint8",
    fillValue: 0
  })
  for (const [i, location] of locations.entries()) {
    yield* session.setVirtualRef("/v", [i], { location, offset: 0, length: 100 }, { capture: true })
  }
  yield* session.commit("refs")
})

const read = Effect.fnUntraced(function* (i: number, options: Repository.OpenOptions = {}) {
  const repository = yield* Repository.open(options)
  const session = yield* repository.readonlySession({ branch: "main" })
  return yield* session.chunk("/v", [i])
})

const keyOf = ({ headers }: S3Server.Recorded): string | undefined =>
  /Credential=([^/]+)\//.exec(headers["authorization"] ?? "")?.[1]

const regionOf = ({ headers }: S3Server.Recorded): string | undefined =>
  /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers["authorization"] ?? "")?.[1]

describe("a repository and its virtual chunks on S3, with one set of credentials", () => {
  const oneSet = Effect.fnUntraced(function* (home: S3Options.S3Options, data: S3Options.S3Options) {
    yield* putObject(data, "runs/a b#1.nc", bytes(1))
    const location = `s3://${data.bucket}/runs/a b#1.nc`
    yield* within(home)(writeRefs(containers(on(home.endpoint)), [location]))
    assert.deepStrictEqual(yield* within(home)(read(0)), bytes(1))
    yield* putObject(data, "runs/a b#1.nc", bytes(2))
    const changed = yield* Effect.flip(within(home)(read(0)))
    assert.strictEqual(changed._tag, "ChecksumMismatch")
    const strict = yield* Effect.flip(within(home)(read(0, { credentialsFallback: "strict" })))
    assert.strictEqual(strict._tag, "MissingCredentials")
  })

  it.live("both are read and written with the key of the repository's store", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({
        buckets: { home: {}, data: {} },
        credentials: [{ accessKeyId: "one", secretAccessKey: "secret", sessionToken: "token" }]
      })
      const credentials = accessKey("one", "secret", "token")
      const options = { ...optionsFor(server), credentials }
      yield* oneSet({ ...options, bucket: "home", prefix: "geoid" }, { ...options, bucket: "data" })
      assert.deepStrictEqual([...new Set(server.requests.map(keyOf))], ["one"])
      assert.isFalse(server.requests.some(({ status }) => status === 403))
    })
  )

  it.live("also when an Effect fetches the key", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ buckets: { home: {}, data: {} } })
      let fetched = 0
      const credentials: Credentials.Source = Effect.sync(() => {
        fetched++
        return accessKey("test", "secret")
      })
      yield* oneSet({ ...optionsFor(server), bucket: "home", credentials }, { ...optionsFor(server), bucket: "data" })
      assert.isAbove(fetched, 0)
      assert.isFalse(server.requests.some(({ status }) => status === 403))
    })
  )

  it.live("each chunk is one request, and nothing else is asked of the data's bucket", () =>
    Effect.gen(function* () {
      const server = yield* S3Server.start({ buckets: { home: {}, data: {} } })
      const home = { ...optionsFor(server), bucket: "home" }
      const data = { ...optionsFor(server), bucket: "data" }
      for (const i of [0, 1]) yield* putObject(data, `object-${i}`, bytes(i))
      const locations = [0, 1].map((i) => `s3://data/object-${i}`)
      yield* within(home)(writeRefs(containers(on(server.endpoint)), locations))
      const before = server.requests.length
      yield* within(home)(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const session = yield* repository.readonlySession({ branch: "main" })
          for (const i of [0, 1]) assert.deepStrictEqual(yield* session.chunk("/v", [i]), bytes(i))
        })
      )
      const asked = server.requests.slice(before).filter(({ bucket }) => bucket === "data")
      assert.deepStrictEqual(
        asked.map(({ key, operation }) => `${operation} ${key}`),
        ["GetObject object-0", "GetObject object-1"]
      )
    })
  )

  it.live.skipIf(real.endpoint === undefined)("on the real server of TEST_S3_ENDPOINT", () =>
    Effect.gen(function* () {
      yield* oneSet({ ...(yield* realOptions), prefix: "some/prefix" }, yield* realOptions)
    })
  )
})

describe("virtual chunks in another region", () => {
  /** The repository in us-east-1, and the same object in buckets of two other regions. */
  const prepared = Effect.gen(function* () {
    const server = yield* S3Server.start({
      buckets: { home: {}, frankfurt: { region: "eu-central-1" }, sydney: { region: "ap-southeast-2" } },
      wrongRegion: 301
    })
    const options = optionsFor(server)
    yield* putObject({ ...options, bucket: "frankfurt", region: "eu-central-1" }, "data/a", bytes(1))
    yield* putObject({ ...options, bucket: "sydney", region: "ap-southeast-2" }, "data/a", bytes(1))
    const home = { ...options, bucket: "home" }
    const container = (bucket: string, region?: string) =>
      on(server.endpoint, { name: "model", protocol: "model", region, bucket_prefix: `${bucket}/data` })
    const asked = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E>) {
      const before = server.requests.length
      const result = yield* effect
      const requests = server.requests.slice(before).filter(({ bucket }) => bucket !== "home")
      return { result, requests: requests.map((one) => `${one.status} ${one.bucket} ${regionOf(one)}`) }
    })
    return { asked, container, home }
  })

  it.live("are read from the persisted region with the first request", () =>
    Effect.gen(function* () {
      const { asked, container, home } = yield* prepared
      const config = containers(container("frankfurt", "eu-central-1"))
      yield* within(home)(writeRefs(config, ["model://frankfurt/data/a"]))
      const { requests, result } = yield* asked(within(home)(read(0)))
      assert.deepStrictEqual(result, bytes(1))
      assert.deepStrictEqual(requests, ["206 frankfurt eu-central-1"])
    })
  )

  it.live("are found by a redirect where the container says no region or a wrong one", () =>
    Effect.gen(function* () {
      const { asked, container, home } = yield* prepared
      yield* within(home)(writeRefs(containers(container("frankfurt")), ["model://frankfurt/data/a"]))
      const unknown = yield* asked(within(home)(read(0)))
      assert.deepStrictEqual(unknown.result, bytes(1))
      assert.deepStrictEqual(unknown.requests, ["301 frankfurt us-east-1", "206 frankfurt eu-central-1"])
      const wrong = yield* asked(within(home)(read(0, { config: containers(container("frankfurt", "sa-east-1")) })))
      assert.deepStrictEqual(wrong.result, bytes(1))
      assert.deepStrictEqual(wrong.requests, ["301 frankfurt sa-east-1", "206 frankfurt eu-central-1"])
    })
  )

  it.live("are read from the region and bucket of a run-time override, which is not persisted", () =>
    Effect.gen(function* () {
      const { asked, container, home } = yield* prepared
      const config = containers(container("frankfurt", "eu-central-1"))
      yield* within(home)(writeRefs(config, ["model://frankfurt/data/a"]))
      const override = { config: containers(container("sydney", "ap-southeast-2")) }
      const { requests, result } = yield* asked(within(home)(read(0, override)))
      assert.deepStrictEqual(result, bytes(1))
      assert.deepStrictEqual(requests, ["206 sydney ap-southeast-2"])
      assert.deepStrictEqual((yield* asked(within(home)(read(0)))).requests, ["206 frankfurt eu-central-1"])
    })
  )

  it.live("a container without region is looked for in that of the repository", () =>
    Effect.gen(function* () {
      const region = "eu-west-1"
      const server = yield* S3Server.start({ buckets: { home: { region }, data: { region } } })
      const options = { ...optionsFor(server), region }
      yield* putObject({ ...options, bucket: "data" }, "a", bytes(1))
      const home = { ...options, bucket: "home" }
      yield* within(home)(writeRefs(containers(on(server.endpoint)), ["s3://data/a"]))
      assert.deepStrictEqual(yield* within(home)(read(0)), bytes(1))
      assert.deepStrictEqual([...new Set(server.requests.map(regionOf))], [region])
      assert.isFalse(server.requests.some(({ status }) => status === 301 || status === 400))
    })
  )
})

describe("a local S3-compatible endpoint for a sub-prefix", () => {
  const twoServers = Effect.fnUntraced(function* (
    home: S3Options.S3Options,
    local: { readonly options: S3Options.S3Options; readonly credentials: Credentials.Credentials }
  ) {
    const bucket = local.options.bucket
    const main = { ...home, bucket }
    yield* putObject(main, "archive/a", bytes(1))
    // Not below the prefix, though its name starts so.
    yield* putObject(main, "recent-old/a", bytes(2))
    yield* putObject(main, "recent/a", bytes(3))
    yield* putObject(local.options, "recent/a", bytes(4))
    const config = containers(
      on(home.endpoint),
      on(local.options.endpoint, { name: "local", bucket_prefix: `${bucket}/recent` })
    )
    const open = {
      credentials: {
        local: Credentials.grant({
          credentials: local.credentials,
          endpoints: [local.options.endpoint!],
          allowHttp: true
        })
      }
    }
    const locations = ["archive", "recent-old", "recent"].map((prefix) => `s3://${bucket}/${prefix}/a`)
    yield* within(home)(writeRefs(config, locations, open))
    return { open, config }
  })

  const start = Effect.gen(function* () {
    const main = yield* S3Server.start({ buckets: { home: {}, data: {} } })
    const local = yield* S3Server.start({
      buckets: { data: {} },
      credentials: [{ accessKeyId: "local", secretAccessKey: "of the local server" }]
    })
    const credentials = accessKey("local", "of the local server")
    const options = { ...optionsFor(local), bucket: "data", credentials }
    const home = { ...optionsFor(main), bucket: "home" }
    return { main, local, home, ...(yield* twoServers(home, { options, credentials })) }
  })

  it.live("is asked for what is below the prefix on whole segments, and for nothing else", () =>
    Effect.gen(function* () {
      const { home, local, main, open } = yield* start
      for (const [i, seed] of [1, 2, 4].entries()) {
        assert.deepStrictEqual(yield* within(home)(read(i, open)), bytes(seed))
      }
      assert.deepStrictEqual([...new Set(local.requests.map(({ key }) => key))], ["recent/a"])
      assert.deepStrictEqual([...new Set(local.requests.map(keyOf))], ["local"])
      assert.deepStrictEqual([...new Set(main.requests.map(keyOf))], ["test"])
      assert.isFalse(main.requests.some(({ key, method }) => key === "recent/a" && method !== "PUT"))
    })
  )

  it.live("never gets the credentials of the repository, and is not asked without its own", () =>
    Effect.gen(function* () {
      const { home, local } = yield* start
      const before = local.requests.length
      const error = yield* Effect.flip(within(home)(read(2)))
      assert.strictEqual(error._tag, "MissingCredentials")
      assert.include(error.message, "`local`")
      assert.strictEqual(local.requests.length, before)
      assert.deepStrictEqual(yield* within(home)(read(0)), bytes(1))
    })
  )

  it.live("is left out at run time, and the repository's endpoint is asked instead, whose object is another", () =>
    Effect.gen(function* () {
      const { home, local } = yield* start
      const before = local.requests.length
      const error = yield* Effect.flip(within(home)(read(2, { withoutContainers: ["local"] })))
      assert.strictEqual(error._tag, "ChecksumMismatch")
      assert.strictEqual(local.requests.length, before)
    })
  )

  it.live.skipIf(real.endpoint === undefined)("may be the real server of TEST_S3_ENDPOINT", () =>
    Effect.gen(function* () {
      const options = yield* realOptions
      const main = yield* S3Server.start({ buckets: { home: {}, [options.bucket]: {} } })
      const home = { ...optionsFor(main), bucket: "home" }
      const { open } = yield* twoServers(home, {
        options,
        credentials: accessKey(real.accessKeyId, real.secretAccessKey)
      })
      for (const [i, seed] of [1, 2, 4].entries()) {
        assert.deepStrictEqual(yield* within(home)(read(i, open)), bytes(seed))
      }
    })
  )
})
