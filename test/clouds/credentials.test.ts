/** Whose credentials go where: what requests carried, and what was never sent. */
import * as Repository from "@effect-icechunk/core/Repository"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as RepositoryConfig from "@effect-icechunk/core/RepositoryConfig"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as Redacted from "effect/Redacted"
import * as Clouds from "./Clouds.ts"

/** A repository on S3 with a container on each: its own server, another S3 server, and GCS. */
const onS3 = Effect.gen(function* () {
  const keys = ["owner", "granted"]
  const own = yield* Clouds.s3({ buckets: { home: "us-east-1", data: "us-east-1" }, accessKeys: keys })
  const other = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: keys })
  const google = yield* Clouds.gcs({ buckets: ["data"], tokens: ["granted"] })
  for (const cloud of [own, other, google]) cloud.seed("data", "a.nc", Clouds.object(5))
  const on = Clouds.on(yield* Clouds.storeOnS3(own, "home", Clouds.accessKey("owner")))
  const containers = [
    Clouds.container(own, { name: "own", protocol: "own", platform: "s3" }),
    Clouds.container({ endpoint: `${own.endpoint}/` }, { name: "slash", protocol: "slash", platform: "s3" }),
    Clouds.container(other, { name: "other", protocol: "other", platform: "s3" }),
    Clouds.container(google, { name: "google", protocol: "google", platform: "gcs" })
  ]
  yield* on(
    Clouds.write(containers, Object.fromEntries(containers.map(({ name }) => [`/${name}`, [`${name}://data/a.nc`]])))
  )
  return { on, own, other, google }
})

/** The same the other way round. */
const onGcs = Effect.gen(function* () {
  const own = yield* Clouds.gcs({ buckets: ["home", "data"], tokens: ["owner", "granted"] })
  const other = yield* Clouds.gcs({ buckets: ["data"], tokens: ["owner", "granted"] })
  const amazon = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: ["owner", "granted"] })
  for (const cloud of [own, other, amazon]) cloud.seed("data", "a.nc", Clouds.object(5))
  const on = Clouds.on(yield* Clouds.storeOnGcs(own, "home", Clouds.token("owner")))
  const containers = [
    Clouds.container(own, { name: "own", protocol: "own", platform: "gcs" }),
    Clouds.container({ endpoint: `${own.endpoint}/` }, { name: "slash", protocol: "slash", platform: "gcs" }),
    Clouds.container(other, { name: "other", protocol: "other", platform: "gcs" }),
    Clouds.container(amazon, { name: "amazon", protocol: "amazon", platform: "s3" })
  ]
  yield* on(
    Clouds.write(containers, Object.fromEntries(containers.map(({ name }) => [`/${name}`, [`${name}://data/a.nc`]])))
  )
  return { on, own, other, amazon }
})

const granted = { s3: Clouds.accessKey("granted"), gcs: Clouds.token("granted") }

/** Who asked for the chunk; where nobody may, why not. */
type Row = readonly [container: string, fallback: "same-endpoint" | "strict", isGranted: boolean, as: string]

const none = "nobody: it needs credentials"

const outcome = (
  clouds: ReadonlyArray<Clouds.Cloud>,
  read: Effect.Effect<unknown, { readonly _tag: string }>
): Effect.Effect<string> =>
  Effect.gen(function* () {
    const result = yield* Effect.result(read)
    const sent = clouds.flatMap((cloud) => cloud.sent("data"))
    if (result._tag === "Success") return sent.map(({ as }) => as).join()
    return result.failure._tag === "MissingCredentials" && sent.length === 0 ? none : result.failure._tag
  })

describe("the credentials of a repository on S3", () => {
  it.live.each<Row>([
    ["own", "same-endpoint", false, "owner"],
    ["own", "same-endpoint", true, "granted"],
    ["own", "strict", false, none],
    ["own", "strict", true, "granted"],
    ["slash", "same-endpoint", false, "owner"],
    ["other", "same-endpoint", false, none],
    ["other", "same-endpoint", true, "granted"],
    ["other", "strict", false, none],
    ["google", "same-endpoint", false, none],
    ["google", "same-endpoint", true, "granted"],
    ["google", "strict", true, "granted"]
  ])("container `%s`, fallback %s, with an entry of its own: %s; read by %s", ([name, fallback, isGranted, as]) =>
    Effect.gen(function* () {
      const { google, on, other, own } = yield* onS3
      const entry = name === "google" ? Clouds.grant(google, granted.gcs) : Clouds.grant(other, granted.s3)
      const options: Repository.OpenOptions = {
        credentialsFallback: fallback,
        credentials: isGranted ? { [name]: entry } : {}
      }
      expect(yield* outcome([own, other, google], on(Clouds.read(`/${name}`, 0, options)))).toBe(as)
    })
  )
})

describe("the repository's own endpoint", () => {
  it.live("receives nothing either in the name of another platform", () =>
    Effect.gen(function* () {
      const { on, own } = yield* onS3
      const disguised = Clouds.container(own, { name: "other", protocol: "other", platform: "gcs" })
      const config = { virtual_chunk_containers: [disguised] }
      const before = own.sent("data").length
      const error = yield* Effect.flip(on(Clouds.read("/other", 0, { config })))
      expect(error).toMatchObject({
        _tag: "MissingCredentials",
        container: "other",
        because: "the repository itself is on another platform"
      })
      expect(own.sent("data")).toHaveLength(before)
    })
  )
})

describe("the credentials of a repository on GCS", () => {
  it.live.each<Row>([
    ["own", "same-endpoint", false, "owner"],
    ["own", "same-endpoint", true, "granted"],
    ["own", "strict", false, none],
    ["slash", "same-endpoint", false, "owner"],
    ["other", "same-endpoint", false, none],
    ["other", "strict", true, "granted"],
    ["amazon", "same-endpoint", false, none],
    ["amazon", "same-endpoint", true, "granted"]
  ])("container `%s`, fallback %s, with an entry of its own: %s; read by %s", ([name, fallback, isGranted, as]) =>
    Effect.gen(function* () {
      const { amazon, on, other, own } = yield* onGcs
      const entry = name === "amazon" ? Clouds.grant(amazon, granted.s3) : Clouds.grant(other, granted.gcs)
      const options: Repository.OpenOptions = {
        credentialsFallback: fallback,
        credentials: isGranted ? { [name]: entry } : {}
      }
      expect(yield* outcome([own, other, amazon], on(Clouds.read(`/${name}`, 0, options)))).toBe(as)
    })
  )
})

describe("an endpoint that somebody wrote into the configuration", () => {
  it.live("receives no request at all, by whatever name and platform", () =>
    Effect.gen(function* () {
      const own = yield* Clouds.s3({ buckets: { home: "us-east-1", data: "us-east-1" }, accessKeys: ["owner"] })
      own.seed("data", "a.nc", Clouds.object(5))
      const evil = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: ["owner"] })
      const evilGcs = yield* Clouds.gcs({ buckets: ["data"], tokens: [] })
      const on = Clouds.on(yield* Clouds.storeOnS3(own, "home", Clouds.accessKey("owner")))
      yield* on(
        Clouds.write(
          [
            // The default containers, replaced, and one of a longer prefix than anybody else's.
            Clouds.container(evil, { name: "s3", protocol: "s3", platform: "s3" }),
            Clouds.container(evil, { name: "deep", protocol: "s3", platform: "s3", bucket_prefix: "data/deep" }),
            Clouds.container(evilGcs, { name: "gcs", protocol: "gcs", platform: "gcs" }),
            Clouds.container(evil, { name: "custom", protocol: "models", platform: "s3" })
          ],
          { "/a": ["s3://data/a.nc", "s3://data/deep/a.nc", "gs://data/a.nc", "models://data/a.nc"] }
        )
      )
      for (const [chunk, container] of ["s3", "deep", "gcs", "custom"].entries()) {
        const error = yield* Effect.flip(on(Clouds.read("/a", chunk)))
        expect(error).toMatchObject({ _tag: "MissingCredentials", container })
        expect(error.message).toContain(`\`${container}\``)
        expect(error.message).not.toContain("secret")
      }
      expect([evil.sent(), evilGcs.sent()]).toEqual([[], []])
    })
  )

  it.live("receives none either when the refs ask it for their checksums", () =>
    Effect.gen(function* () {
      const own = yield* Clouds.s3({ buckets: { home: "us-east-1" }, accessKeys: ["owner"] })
      const evil = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: ["owner"] })
      const on = Clouds.on(yield* Clouds.storeOnS3(own, "home", Clouds.accessKey("owner")))
      const containers = [Clouds.container(evil, { name: "s3", protocol: "s3", platform: "s3" })]
      yield* on(Effect.scoped(Clouds.write(containers, { "/a": ["s3://data/a.nc"] })))
      const error = yield* on(
        Effect.gen(function* () {
          const session = yield* Clouds.openToWrite
          const ref = { location: "s3://data/a.nc", offset: 0, length: 4 }
          return yield* Effect.flip(session.setVirtualRef("/a", [0], ref, { capture: true }))
        }).pipe(Effect.scoped)
      )
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "s3" })
      expect(evil.sent()).toEqual([])
    })
  )

  it.live("receives nothing of an entry either when the program says itself where the container is", () =>
    Effect.gen(function* () {
      const { on, other } = yield* onS3
      const evil = yield* Clouds.s3({ buckets: { data: "us-east-1" }, accessKeys: ["granted"] })
      const at = (cloud: Clouds.Cloud) => Clouds.container(cloud, { name: "other", protocol: "other", platform: "s3" })
      yield* on(
        Effect.scoped(
          Effect.flatMap(Repository.open(), ({ config }) =>
            // A container of the entry's name, and one whose prefix is longer than any.
            config.update(
              flow(
                RepositoryConfig.setContainer(at(evil)),
                RepositoryConfig.setContainer({ ...at(evil), name: "deep", bucket_prefix: "data/deep" })
              )
            )
          )
        )
      )
      const options = {
        config: { virtual_chunk_containers: [at(other)] },
        credentials: { other: Clouds.accessKey("granted") }
      }
      expect(yield* on(Clouds.read("/other", 0, options))).toEqual(Clouds.chunkOf(5))
      expect(other.sent().map(({ as }) => as)).toEqual(["granted"])
      yield* on(
        Effect.gen(function* () {
          const session = yield* Clouds.openToWrite
          yield* session.setVirtualRef("/other", [0], { location: "other://data/deep/a.nc", offset: 2, length: 4 })
          yield* session.commit("deep")
        }).pipe(Effect.scoped)
      )
      const error = yield* Effect.flip(on(Clouds.read("/other", 0, options)))
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: "deep" })
      expect(evil.sent()).toEqual([])
    })
  )

  it.live("is not asked without a signature either, unless anonymous access is granted for it", () =>
    Effect.gen(function* () {
      const { on, other } = yield* onS3
      expect(yield* Effect.flip(on(Clouds.read("/other", 0)))).toMatchObject({ _tag: "MissingCredentials" })
      expect(other.sent()).toEqual([])
      yield* Effect.flip(
        on(Clouds.read("/other", 0, { credentials: { other: Clouds.grant(other, Credentials.anonymous) } }))
      )
      expect(other.sent().map(({ as, status }) => [as, status])).toEqual([["nobody", 403]])
    })
  )
})

describe("credentials that expire", () => {
  /** An Effect that returns the next ones each time it is run. */
  const sequence = (credentials: ReadonlyArray<Credentials.Credentials>) => {
    let runs = 0
    return { source: Effect.sync(() => credentials[Math.min(runs++, credentials.length - 1)]!), runs: () => runs }
  }

  it.live("on S3 are fetched once for many reads, and again when the store refuses them", () =>
    Effect.gen(function* () {
      const { on, other } = yield* onS3
      const { runs, source } = sequence([Clouds.accessKey("revoked"), Clouds.accessKey("granted")])
      const chunks = yield* on(
        Effect.scoped(
          Effect.flatMap(Clouds.open({ credentials: { other: Clouds.grant(other, source) } }), (session) =>
            Effect.forEach([0, 1, 2], () => session.chunk("/other", [0]))
          )
        )
      )
      expect(chunks).toEqual([5, 5, 5].map(Clouds.chunkOf))
      expect(other.sent().map(({ as, status }) => [as, status])).toEqual([
        ["revoked", 403],
        ["granted", 206],
        ["granted", 206],
        ["granted", 206]
      ])
      expect(runs()).toBe(2)
    })
  )

  it.live("on GCS are fetched once for many reads, and again when the store refuses them", () =>
    Effect.gen(function* () {
      const { google, on } = yield* onS3
      const { runs, source } = sequence([Clouds.token("revoked"), Clouds.token("granted")])
      yield* on(
        Effect.scoped(
          Effect.flatMap(Clouds.open({ credentials: { google: Clouds.grant(google, source) } }), (session) =>
            Effect.forEach([0, 1, 2], () => session.chunk("/google", [0]))
          )
        )
      )
      expect(google.sent().map(({ as, status }) => [as, status])).toEqual([
        ["revoked", 401],
        ["granted", 206],
        ["granted", 206],
        ["granted", 206]
      ])
      expect(runs()).toBe(2)
    })
  )

  it.live.each(["other", "google"] as const)("in `%s` are fetched again before their end", (name) =>
    Effect.gen(function* () {
      const { google, on, other } = yield* onS3
      // The first are at their end as soon as they are used.
      const expiresAt = Date.now()
      const { runs, source } = sequence(
        name === "other"
          ? [Clouds.accessKey("owner", { expiresAt }), Clouds.accessKey("granted")]
          : [Clouds.token("first", { expiresAt }), Clouds.token("granted")]
      )
      if (name === "google") google.server.addToken("first")
      yield* on(
        Effect.scoped(
          Effect.flatMap(
            Clouds.open({ credentials: { [name]: Clouds.grant(name === "other" ? other : google, source) } }),
            (session) => Effect.forEach([0, 1, 2], () => session.chunk(`/${name}`, [0]))
          )
        )
      )
      const sent = (name === "other" ? other : google).sent()
      expect(sent.map(({ as }) => as)).toEqual([name === "other" ? "owner" : "first", "granted", "granted"])
      expect(runs()).toBe(2)
    })
  )

  it.live.each(["other", "google"] as const)(
    "in `%s` that cannot be fetched fail with the same error everywhere, and no request",
    (name) =>
      Effect.gen(function* () {
        const { google, on, other } = yield* onS3
        const source = Effect.fail(new Credentials.CredentialsUnavailable({ problem: "the vault is closed" }))
        const credentials = { [name]: Clouds.grant(name === "other" ? other : google, source) }
        const error = yield* Effect.flip(on(Clouds.read(`/${name}`, 0, { credentials })))
        expect(error).toMatchObject({ _tag: "CredentialsUnavailable", container: name })
        expect(error.message).toBe(
          `The credentials for container \`${name}\` could not be fetched: the vault is closed`
        )
        expect([...other.sent(), ...google.sent()]).toEqual([])
      })
  )

  it.live("of the repository are refreshed for its containers, too", () =>
    Effect.gen(function* () {
      const cloud = yield* Clouds.s3({
        buckets: { home: "us-east-1", data: "us-east-1" },
        accessKeys: ["first", "second"]
      })
      cloud.seed("data", "a.nc", Clouds.object(5))
      let current = "first"
      const source = Effect.sync(() => Clouds.accessKey(current, { expiresAt: Date.now() }))
      const on = Clouds.on(yield* Clouds.storeOnS3(cloud, "home", source))
      const containers = [Clouds.container(cloud, { name: "s3", protocol: "s3", platform: "s3" })]
      yield* on(Clouds.write(containers, { "/a": ["s3://data/a.nc"] }))
      yield* on(
        Effect.gen(function* () {
          const session = yield* Clouds.open()
          yield* session.chunk("/a", [0])
          current = "second"
          yield* session.chunk("/a", [0])
        }).pipe(Effect.scoped)
      )
      expect(cloud.sent("data").map(({ as }) => as)).toEqual(["first", "second"])
    })
  )
})

describe("wrong credentials", () => {
  it.live.each<readonly [what: string, name: string, credentials: Credentials.Credentials, reason: string]>([
    ["an access key that does not exist", "other", Clouds.accessKey("nobody-knows"), "Unauthenticated"],
    [
      "a secret that is not the key's",
      "other",
      Credentials.accessKey({ accessKeyId: "granted", secretAccessKey: Redacted.make("a-wrong-secret") }),
      "Unauthenticated"
    ],
    ["a token that does not exist", "google", Clouds.token("nobody-knows"), "Unauthenticated"]
  ])("%s fails with a typed error, after one request, without the secret", ([, name, credentials, reason]) =>
    Effect.gen(function* () {
      const { google, on, other } = yield* onS3
      const entry = Clouds.grant(name === "other" ? other : google, credentials)
      const error = yield* Effect.flip(on(Clouds.read(`/${name}`, 0, { credentials: { [name]: entry } })))
      expect(error).toMatchObject({ _tag: "ObjectStoreError", reason: { _tag: reason }, isRetryable: false })
      expect(error.message).not.toMatch(/secret|nobody-knows/)
      expect([...other.sent(), ...google.sent()]).toHaveLength(1)
    })
  )

  it.live.each<readonly [name: string, credentials: Credentials.Credentials]>([
    ["google", Clouds.accessKey("granted")],
    ["other", Clouds.token("granted")],
    ["own", Credentials.directory("/tmp")]
  ])("of another platform are refused before any request, naming container `%s`", ([name, credentials]) =>
    Effect.gen(function* () {
      const { google, on, other, own } = yield* onS3
      const entry = Credentials.grant({ credentials, endpoints: [own, other, google].map(({ endpoint }) => endpoint) })
      const error = yield* Effect.flip(on(Clouds.read(`/${name}`, 0, { credentials: { [name]: entry } })))
      expect(error).toMatchObject({ _tag: "MissingCredentials", container: name })
      expect(error.message).toContain(`they are \`${credentials._tag}\``)
      expect([...own.sent("data"), ...other.sent(), ...google.sent()]).toEqual([])
    })
  )
})
