/** The five ways of using a repository and the places of its chunks. Design, section 4. */
import * as Repository from "@effect-icechunk/core/Repository"
import * as RepositoryConfig from "@effect-icechunk/core/RepositoryConfig"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Clouds from "./Clouds.ts"

describe("one set of credentials", () => {
  it.live("on S3 signs the requests for the repository and for its virtual chunks", () =>
    Effect.gen(function* () {
      const cloud = yield* Clouds.s3({
        buckets: { home: "us-east-1", data: "us-east-1" },
        accessKeys: ["mine"]
      })
      cloud.seed("data", "a.nc", Clouds.object(7))
      const on = Clouds.on(yield* Clouds.storeOnS3(cloud, "home", Clouds.accessKey("mine")))
      const containers = [Clouds.container(cloud, { name: "s3", protocol: "s3", platform: "s3" })]
      yield* on(Clouds.write(containers, { "/a": ["s3://data/a.nc"] }))
      expect(cloud.sent("data")).toEqual([])
      expect(yield* on(Clouds.read("/a", 0))).toEqual(Clouds.chunkOf(7))
      expect(cloud.sent("data")).toEqual([{ object: "data/a.nc", as: "mine", region: "us-east-1", status: 206 }])
      expect(new Set(cloud.sent().map(({ as }) => as))).toEqual(new Set(["mine"]))
    })
  )

  it.live("on GCS goes along with the requests for the repository and for its virtual chunks", () =>
    Effect.gen(function* () {
      const cloud = yield* Clouds.gcs({ buckets: ["home", "data"], tokens: ["mine"] })
      cloud.seed("data", "a.nc", Clouds.object(7))
      const on = Clouds.on(yield* Clouds.storeOnGcs(cloud, "home", Clouds.token("mine")))
      const containers = [Clouds.container(cloud, { name: "gcs", protocol: "gcs", platform: "gcs" })]
      yield* on(Clouds.write(containers, { "/a": ["gs://data/a.nc"] }))
      expect(yield* on(Clouds.read("/a", 0))).toEqual(Clouds.chunkOf(7))
      expect(cloud.sent("data")).toEqual([{ object: "data/a.nc", as: "mine", status: 206 }])
      expect(new Set(cloud.sent().map(({ as }) => as))).toEqual(new Set(["mine"]))
    })
  )
})

describe("another region than the repository's", () => {
  const setup = Effect.gen(function* () {
    const cloud = yield* Clouds.s3({
      buckets: { home: "us-east-1", frankfurt: "eu-central-1", sydney: "ap-southeast-2" },
      accessKeys: ["mine"]
    })
    cloud.seed("frankfurt", "a.nc", Clouds.object(1))
    cloud.seed("sydney", "a.nc", Clouds.object(2))
    const on = Clouds.on(yield* Clouds.storeOnS3(cloud, "home", Clouds.accessKey("mine")))
    const model = (region: string | undefined, bucket: string) =>
      Clouds.container(cloud, {
        name: "model",
        protocol: "model",
        platform: "s3",
        region,
        bucket_prefix: bucket
      })
    yield* on(Clouds.write([model("eu-central-1", "frankfurt")], { "/a": ["model://frankfurt/a.nc"] }))
    return { cloud, on, model }
  })

  it.live("is what the first request is signed for when it is persisted", () =>
    Effect.gen(function* () {
      const { cloud, on } = yield* setup
      expect(yield* on(Clouds.read("/a", 0))).toEqual(Clouds.chunkOf(1))
      expect(cloud.sent("frankfurt")).toEqual([
        { object: "frankfurt/a.nc", as: "mine", region: "eu-central-1", status: 206 }
      ])
    })
  )

  it.live("is the one of the run-time override, which is not persisted", () =>
    Effect.gen(function* () {
      const { cloud, model, on } = yield* setup
      const config = { virtual_chunk_containers: [model("ap-southeast-2", "sydney")] }
      expect(yield* on(Clouds.read("/a", 0, { config }))).toEqual(Clouds.chunkOf(2))
      expect(cloud.sent("sydney")).toEqual([
        { object: "sydney/a.nc", as: "mine", region: "ap-southeast-2", status: 206 }
      ])
      expect(cloud.sent("frankfurt")).toEqual([])
      expect(yield* on(Clouds.read("/a", 0))).toEqual(Clouds.chunkOf(1))
    })
  )

  it.live("is another one after an update of the configuration", () =>
    Effect.gen(function* () {
      const { cloud, model, on } = yield* setup
      yield* on(
        Effect.scoped(
          Effect.flatMap(Repository.open(), ({ config }) =>
            config.update(RepositoryConfig.setContainer(model("ap-southeast-2", "sydney")))
          )
        )
      )
      expect(yield* on(Clouds.read("/a", 0))).toEqual(Clouds.chunkOf(2))
      expect(cloud.sent("sydney").map(({ region }) => region)).toEqual(["ap-southeast-2"])
    })
  )

  it.live("is found with one more request when the configuration is wrong about it", () =>
    Effect.gen(function* () {
      const { cloud, model, on } = yield* setup
      const config = { virtual_chunk_containers: [model(undefined, "frankfurt")] }
      expect(yield* on(Clouds.read("/a", 0, { config }))).toEqual(Clouds.chunkOf(1))
      expect(cloud.sent("frankfurt").map(({ region, status }) => [region, status])).toEqual([
        ["us-east-1", 400],
        ["eu-central-1", 206]
      ])
    })
  )
})

describe("a repository on S3 with virtual chunks on GCS", () => {
  it.live("asks each cloud with its own credentials", () =>
    Effect.gen(function* () {
      const amazon = yield* Clouds.s3({ buckets: { home: "us-east-1" }, accessKeys: ["amazon"] })
      const google = yield* Clouds.gcs({ buckets: ["data"], tokens: ["google"] })
      google.seed("data", "a.nc", Clouds.object(3))
      const on = Clouds.on(yield* Clouds.storeOnS3(amazon, "home", Clouds.accessKey("amazon")))
      const containers = [Clouds.container(google, { name: "gcs", protocol: "gcs", platform: "gcs" })]
      yield* on(Clouds.write(containers, { "/a": ["gs://data/a.nc"] }))
      expect(
        yield* on(Clouds.read("/a", 0, { credentials: { gcs: Clouds.grant(google, Clouds.token("google")) } }))
      ).toEqual(Clouds.chunkOf(3))
      expect(google.sent()).toEqual([{ object: "data/a.nc", as: "google", status: 206 }])
      expect(new Set(amazon.sent().map(({ as }) => as))).toEqual(new Set(["amazon"]))
    })
  )
})

describe("a local endpoint for a part of an array", () => {
  it.live("serves the chunks below its prefix, which is the longest, and the other server all others", () =>
    Effect.gen(function* () {
      const remote = yield* Clouds.s3({ buckets: { home: "us-east-1", data: "us-east-1" }, accessKeys: ["remote"] })
      const local = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: ["local"] })
      remote.seed("data", "archive/a.nc", Clouds.object(10))
      remote.seed("data", "recent-not/b.nc", Clouds.object(20))
      // An older copy, which nobody shall see.
      remote.seed("data", "recent/c.nc", Clouds.object(99))
      local.seed("data", "recent/c.nc", Clouds.object(30))
      const on = Clouds.on(yield* Clouds.storeOnS3(remote, "home", Clouds.accessKey("remote")))
      const containers = [
        Clouds.container(remote, { name: "s3", protocol: "s3", platform: "s3" }),
        Clouds.container(remote, { name: "data", protocol: "s3", platform: "s3", bucket_prefix: "data" }),
        Clouds.container(local, { name: "recent", protocol: "s3", platform: "s3", bucket_prefix: "data/recent" })
      ]
      const locations = ["s3://data/archive/a.nc", "s3://data/recent-not/b.nc", "s3://data/recent/c.nc"]
      yield* on(Clouds.write(containers, { "/a": locations }))
      const before = remote.sent().length
      const credentials = { recent: Clouds.grant(local, Clouds.accessKey("local")) }
      const chunks = yield* on(
        Effect.scoped(
          Effect.flatMap(Clouds.open({ credentials }), (session) =>
            Effect.forEach([0, 1, 2], (i) => session.chunk("/a", [i]))
          )
        )
      )
      expect(chunks).toEqual([10, 20, 30].map(Clouds.chunkOf))
      expect(local.sent()).toEqual([{ object: "data/recent/c.nc", as: "local", region: "us-east-1", status: 206 }])
      expect(remote.sent("data").map(({ as, object }) => [object, as])).toEqual([
        ["data/archive/a.nc", "remote"],
        ["data/recent-not/b.nc", "remote"]
      ])
      expect(
        new Set(
          remote
            .sent()
            .slice(before)
            .map(({ as }) => as)
        )
      ).toEqual(new Set(["remote"]))
    })
  )

  it.live("may be a run-time override, of which the repository knows nothing", () =>
    Effect.gen(function* () {
      const remote = yield* Clouds.s3({ buckets: { home: "us-east-1", data: "us-east-1" }, accessKeys: ["remote"] })
      const local = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: ["local"] })
      remote.seed("data", "recent/c.nc", Clouds.object(10))
      local.seed("data", "recent/c.nc", Clouds.object(30))
      const on = Clouds.on(yield* Clouds.storeOnS3(remote, "home", Clouds.accessKey("remote")))
      const containers = [Clouds.container(remote, { name: "s3", protocol: "s3", platform: "s3" })]
      yield* on(Clouds.write(containers, { "/a": ["s3://data/recent/c.nc"] }))
      const mirror = Clouds.container(local, { name: "mirror", protocol: "s3", platform: "s3", bucket_prefix: "data" })
      const config = { virtual_chunk_containers: [mirror] }
      const credentials = { mirror: Clouds.accessKey("local") }
      expect(yield* on(Clouds.read("/a", 0, { config, credentials }))).toEqual(Clouds.chunkOf(30))
      expect(yield* on(Clouds.read("/a", 0))).toEqual(Clouds.chunkOf(10))
      expect(local.sent().map(({ as }) => as)).toEqual(["local"])
    })
  )
})

describe("arrays on two GCS buckets and on S3, with protocols of their own and three sets of credentials", () => {
  const setup = Effect.gen(function* () {
    const home = yield* Clouds.s3({ buckets: { home: "us-east-1" }, accessKeys: ["owner"] })
    const amazon = yield* Clouds.s3({ buckets: { "model-c": "eu-west-1" }, accessKeys: ["key-c"] })
    const google = yield* Clouds.gcs({ buckets: ["model-a", "model-b"], tokens: ["token-a", "token-b"] })
    google.seed("model-a", "run/a.nc", Clouds.object(10))
    google.seed("model-b", "run/b.nc", Clouds.object(20))
    amazon.seed("model-c", "run/c.nc", Clouds.object(30))
    const on = Clouds.on(yield* Clouds.storeOnS3(home, "home", Clouds.accessKey("owner")))
    yield* on(
      Clouds.write(
        [
          Clouds.container(google, { name: "a", protocol: "modela", platform: "gcs", bucket_prefix: "model-a/run" }),
          Clouds.container(google, { name: "b", protocol: "modelb", platform: "gcs", bucket_prefix: "model-b/run" }),
          Clouds.container(amazon, {
            name: "c",
            protocol: "modelc",
            platform: "s3",
            region: "eu-west-1",
            bucket_prefix: "model-c/run"
          })
        ],
        {
          "/A": ["modela://model-a/run/a.nc"],
          "/B": ["modelb://model-b/run/b.nc"],
          "/C": ["modelc://model-c/run/c.nc"]
        }
      )
    )
    const credentials = {
      a: Clouds.grant(google, Clouds.token("token-a")),
      b: Clouds.grant(google, Clouds.token("token-b")),
      c: Clouds.grant(amazon, Clouds.accessKey("key-c"))
    }
    return { home, amazon, google, on, credentials }
  })

  it.live("each array is read with the credentials of its container, and no others", () =>
    Effect.gen(function* () {
      const { amazon, credentials, google, home, on } = yield* setup
      const chunks = yield* on(
        Effect.scoped(
          Effect.flatMap(Clouds.open({ credentials }), (session) =>
            Effect.forEach(["/A", "/B", "/C"], (path) => session.chunk(path, [0]), { concurrency: 3 })
          )
        )
      )
      expect(chunks).toEqual([10, 20, 30].map(Clouds.chunkOf))
      expect(google.sent("model-a")).toEqual([{ object: "model-a/run/a.nc", as: "token-a", status: 206 }])
      expect(google.sent("model-b")).toEqual([{ object: "model-b/run/b.nc", as: "token-b", status: 206 }])
      expect(google.sent()).toHaveLength(2)
      expect(amazon.sent()).toEqual([{ object: "model-c/run/c.nc", as: "key-c", region: "eu-west-1", status: 206 }])
      expect(new Set(home.sent().map(({ as }) => as))).toEqual(new Set(["owner"]))
    })
  )

  it.live("refs are stored relative to their containers, which other Icechunk clients resolve", () =>
    Effect.gen(function* () {
      const { on } = yield* setup
      const refs = yield* on(
        Effect.scoped(
          Effect.flatMap(Clouds.open(), (session) =>
            Effect.forEach(["/A", "/B", "/C"], (path) => session.chunkRef(path, [0]))
          )
        )
      )
      expect(refs.map((ref) => (ref?._tag === "Virtual" ? ref.ref.location : undefined))).toEqual([
        "vcc://a/a.nc",
        "vcc://b/b.nc",
        "vcc://c/c.nc"
      ])
    })
  )

  it.live("without credentials the containers can be listed, and a read names the one whose are missing", () =>
    Effect.gen(function* () {
      const { amazon, credentials, google, on } = yield* setup
      const { b: _, ...others } = credentials
      const [containers, error, chunk] = yield* on(
        Effect.scoped(
          Effect.gen(function* () {
            const repository = yield* Repository.open({ credentials: others })
            const session = yield* repository.readonlySession({ branch: "main" })
            return [
              yield* repository.containers,
              yield* Effect.flip(session.chunk("/B", [0])),
              yield* session.chunk("/A", [0])
            ] as const
          })
        )
      )
      expect(
        containers
          .filter(({ source }) => source === "persisted")
          .map(({ container: { cloud_client_config, name, platform } }) => [name, platform, cloud_client_config])
      ).toEqual([
        ["a", "gcs", { endpoint_url: google.endpoint }],
        ["b", "gcs", { endpoint_url: google.endpoint }],
        ["c", "s3", { endpoint_url: amazon.endpoint }]
      ])
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "b", platform: "gcs" })
      expect(error.message).toContain('credentials: { "b": ... }')
      expect(chunk).toEqual(Clouds.chunkOf(10))
      expect(google.sent().map(({ as, object }) => [object, as])).toEqual([["model-a/run/a.nc", "token-a"]])
    })
  )
})
