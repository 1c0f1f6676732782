/** Virtual chunks over HTTP: whose they are, where they are asked for, and whom they may not reach. */
import { inspect } from "node:util"
import * as Checksum from "@effect-icechunk/core/Checksum"
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as MemoryObjectStore from "@effect-icechunk/core/MemoryObjectStore"
import { ObjectStore, type ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import * as Platform from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import * as RepositoryConfig from "@effect-icechunk/core/RepositoryConfig"
import type { VirtualChunkContainer } from "@effect-icechunk/core/VirtualChunkContainer"
import type { Zstd } from "@effect-icechunk/core/Zstd"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Fetch, type FetchFunction } from "../src/Fetch.ts"
import * as HttpPlatform from "../src/HttpPlatform.ts"
import * as Browser from "./support/Browser.ts"
import { inBrowser, pattern, reasonOf, retry } from "./support/Harness.ts"
import * as WebServer from "./support/WebServer.ts"

const bytes = pattern(1000)
const time = Date.UTC(2026, 0, 2, 3, 4, 5)
const array = { shape: [50], chunkShape: [50], dataType: "uint8", fillValue: 0 }

const platforms = [
  HttpPlatform.makeWith({ retry }),
  HttpPlatform.anonymousS3With({ retry }),
  HttpPlatform.anonymousGcsWith({ retry })
]

const program =
  (store: ObjectStoreShape) =>
  <A, E>(effect: Effect.Effect<A, E, ObjectStore | Platform.Platforms | Zstd | Scope.Scope>) =>
    Effect.scoped(effect).pipe(
      Effect.provide(Layer.mergeAll(Layer.succeed(ObjectStore, store), Platform.layer(platforms), NodeZstd.layer))
    )

interface Ref {
  readonly location: string
  readonly checksum?: Checksum.Checksum | undefined
}

/** Reads a chunk of bytes 100 to 150 at a location, of a repository with these containers. */
const read = Effect.fnUntraced(function* (
  ref: Ref,
  options: {
    readonly containers?: ReadonlyArray<VirtualChunkContainer>
    readonly credentials?: Readonly<Record<string, Credentials.Entry>>
    readonly override?: ReadonlyArray<VirtualChunkContainer>
    readonly moved?: ReadonlyArray<VirtualChunkContainer>
  }
) {
  const store = yield* MemoryObjectStore.make()
  const run = program(store)
  yield* run(
    Effect.gen(function* () {
      const repository = yield* Repository.create({
        persist: { virtual_chunk_containers: options.containers ?? [] }
      })
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/a", array)
      yield* session.setVirtualRef("/a", [0], { ...ref, offset: 100, length: 50 })
      yield* session.commit("refs")
    })
  )
  if (options.moved !== undefined) {
    const text = RepositoryConfig.print({ virtual_chunk_containers: options.moved })
    yield* store.put("config.json", new TextEncoder().encode(text))
  }
  return yield* run(
    Effect.gen(function* () {
      const repository = yield* Repository.open({
        credentials: options.credentials,
        config: { virtual_chunk_containers: options.override ?? [] }
      })
      const session = yield* repository.readonlySession({ branch: "main" })
      return yield* session.chunk("/a", [0])
    })
  )
})

const serving = Effect.gen(function* () {
  const server = yield* WebServer.make
  server.find = () => ({ bytes, etag: '"one"', lastModified: time })
  const host = server.url.replace("http://", "")
  const container: VirtualChunkContainer = { name: "data", protocol: "http", platform: "http", bucket_prefix: host }
  return { server, host, container }
})

const anonymously = (...endpoints: ReadonlyArray<string>) =>
  Credentials.grant({ credentials: Credentials.anonymous, endpoints })

describe("the platform `http`", () => {
  it.live("reads a URL as it is written, and checks the object by the same answer", () =>
    Effect.gen(function* () {
      const { container, host, server } = yield* serving
      const location = `http://${host}/a%2Fb c/ä.nc?version=1`
      const part = yield* read(
        { location, checksum: Checksum.etag('"one"') },
        { containers: [container], credentials: { data: anonymously(server.url) } }
      )
      assert.deepStrictEqual(part, bytes.slice(100, 150))
      assert.deepStrictEqual(
        server.asked.map(({ headers, url }) => [url, headers.range, headers["if-match"]]),
        [["/a%2Fb%20c/%C3%A4.nc?version=1", "bytes=100-149", '"one"']]
      )
    })
  )

  it.live("fails with ChecksumMismatch when the file changed, and with VirtualObjectNotFound when it is gone", () =>
    Effect.gen(function* () {
      const { container, host, server } = yield* serving
      const options = { containers: [container], credentials: { data: anonymously(server.url) } }
      const location = `http://${host}/a.nc`
      for (const checksum of [Checksum.etag('"zero"'), Checksum.lastModified(time - 60_000)]) {
        const error = yield* Effect.flip(read({ location, checksum }, options))
        assert.strictEqual(error._tag, "ChecksumMismatch")
      }
      server.find = () => undefined
      assert.strictEqual((yield* Effect.flip(read({ location }, options)))._tag, "VirtualObjectNotFound")
    })
  )

  it.live("shows no query of a signed URL, whatever fails", () =>
    Effect.gen(function* () {
      const { container, host, server } = yield* serving
      const options = { containers: [container], credentials: { data: anonymously(server.url) } }
      const signed = (path: string) => `http://${host}/${path}?X-Signature=s3cret#more`
      const location = signed("a.nc")
      server.find = (path) => (path.startsWith("/a.nc") ? { bytes, etag: '"one"' } : undefined)
      const errors = [
        yield* Effect.flip(read({ location, checksum: Checksum.etag('"zero"') }, options)),
        yield* Effect.flip(read({ location: signed("gone.nc") }, options)),
        yield* Effect.flip(read({ location }, { credentials: options.credentials })),
        yield* Effect.flip(read({ location, checksum: Checksum.etag("") }, options)),
        yield* Effect.flip(read({ location: signed("a".repeat(2000)) }, options)),
        yield* Effect.flip(read({ location: `http://anna:s3cret@${host}` }, options))
      ]
      const tags = ["ChecksumMismatch", "VirtualObjectNotFound", "MissingContainer", "InvalidVirtualRef"]
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        [...tags, "InvalidLocation", "MissingContainer"]
      )
      for (const error of errors) {
        for (const text of [error.message, JSON.stringify(error), inspect(error, { depth: 9 })]) {
          assert.notInclude(text, "s3cret", error._tag)
        }
      }
    })
  )

  it.live("does not put together what is of two versions, also where refs have no checksum", () =>
    Effect.gen(function* () {
      const { container, host, server } = yield* serving
      const store = yield* MemoryObjectStore.make()
      const options = {
        credentials: { data: anonymously(server.url) },
        config: { virtual_chunk_containers: [container] },
        // Each chunk is a request of its own.
        rangePlan: { maxGap: 0 }
      }
      yield* program(store)(
        Effect.gen(function* () {
          const repository = yield* Repository.create(options)
          const session = yield* repository.writableSession("main")
          yield* session.createArray("/a", { ...array, shape: [100] })
          for (const i of [0, 1]) {
            yield* session.setVirtualRef("/a", [i], { location: `http://${host}/a.nc`, offset: i * 500, length: 50 })
          }
          const both = Effect.forEach([0, 1], (i) => Effect.result(session.chunk("/a", [i])), { concurrency: 2 })
          assert.isTrue((yield* both).every(Result.isSuccess))
          let nth = 0
          server.find = () => ({ bytes, etag: `"${++nth}"` })
          const failed = (yield* both).flatMap((read) => (Result.isFailure(read) ? [read.failure] : []))
          assert.strictEqual(failed.length, 1)
          const { message, reason } = yield* reasonOf(Effect.fail(failed[0]!))
          assert.strictEqual(reason._tag, "PreconditionFailed")
          assert.include(message, "when other parts were read")
        })
      )
    })
  )

  it.live("asks a host only when the program named it", () =>
    Effect.gen(function* () {
      const { container, host, server } = yield* serving
      const ref = { location: `http://${host}/data/a.nc` }
      const token = Credentials.bearerToken({ token: Redacted.make("s3cret") })
      const refused = [
        undefined,
        { data: Credentials.anonymous },
        { data: token },
        { data: anonymously("https://other.example") },
        {
          data: Credentials.grant({ credentials: token, endpoints: [server.url], prefixes: [`http://${host}/other/`] })
        },
        { data: Credentials.grant({ credentials: Credentials.environment(), endpoints: [server.url] }) }
      ]
      for (const credentials of refused) {
        const error = yield* Effect.flip(read(ref, { containers: [container], ...(credentials && { credentials }) }))
        assert.strictEqual(error._tag, "MissingCredentials", error.message)
        assert.notInclude(error.message, "s3cret")
      }
      assert.strictEqual(server.asked.length, 0)
      const named = yield* Effect.flip(
        read(ref, { containers: [container], credentials: { data: Credentials.anonymous } })
      )
      assert.include(named.message, `it is at \`${server.url}\`, and they are for no place`)
      assert.include(named.message, `endpoints: ["${server.url}"]`)

      const granted = Credentials.grant({
        credentials: token,
        endpoints: [server.url],
        prefixes: [`http://${host}/data/`]
      })
      yield* read(ref, { containers: [container], credentials: { data: granted } })
      assert.strictEqual(server.asked[0]?.headers.authorization, "Bearer s3cret")
      // Where the program itself says where the container is, that is the grant.
      yield* read(ref, { override: [container], containers: [container], credentials: { data: Credentials.anonymous } })
      assert.strictEqual(server.asked.length, 2)
    })
  )

  it.live("sends nothing to a host that somebody has put into the container since", () =>
    Effect.gen(function* () {
      const { container, server } = yield* serving
      const thief = yield* WebServer.make
      const custom = { ...container, protocol: "model" }
      const token = Credentials.bearerToken({ token: Redacted.make("s3cret") })
      const grant = Credentials.grant({ credentials: token, endpoints: [server.url] })
      const location = "vcc://data/a.nc"
      for (const moved of [
        { ...container, bucket_prefix: thief.url.replace("http://", "") },
        { ...custom, cloud_client_config: { endpoint_url: thief.url } }
      ]) {
        const error = yield* Effect.flip(
          read({ location }, { containers: [container], moved: [moved], credentials: { data: grant } })
        )
        assert.strictEqual(error._tag, "MissingCredentials", error.message)
      }
      assert.strictEqual(thief.asked.length, 0)
      const below = { ...custom, bucket_prefix: "v1", cloud_client_config: { endpoint_url: `${server.url}/pub` } }
      const named = Credentials.grant({ credentials: token, endpoints: [`${server.url}/pub`] })
      yield* read({ location }, { containers: [container], moved: [below], credentials: { data: named } })
      assert.strictEqual(server.asked[0]?.url, "/pub/v1/a.nc")
    })
  )

  it.live("never asks cloud metadata, nor leaves the host's path by `..`", () =>
    Effect.gen(function* () {
      const { container, host, server } = yield* serving
      const metadata = { ...container, bucket_prefix: "169.254.169.254" }
      const error = yield* Effect.flip(
        read(
          { location: "http://169.254.169.254/latest" },
          { containers: [metadata], credentials: { data: anonymously("http://169.254.169.254") } }
        )
      )
      assert.include(error.message, "an address of cloud metadata")
      const dotted = yield* Effect.flip(
        read(
          { location: `vcc://data/pub/%2e%2e/private` },
          { containers: [container], credentials: { data: anonymously(`http://${host}`) } }
        )
      )
      assert.include(dotted.message, "`.` or `..`")
      assert.strictEqual(server.asked.length, 0)
    })
  )

  it.live("in a page over https refuses plain http early", () =>
    Effect.gen(function* () {
      const container = { name: "data", protocol: "http", platform: "http", bucket_prefix: "data.example" }
      const error = yield* Effect.flip(
        inBrowser(Browser.make("https://app.example"))(
          read(
            { location: "http://data.example/a.nc" },
            { containers: [container], credentials: { data: anonymously("http://data.example") } }
          )
        )
      )
      assert.include(error.message, "a browser does not load into a page that came over https")
    })
  )
})

/** Sends what goes to a cloud to a server of the test's own, with the host as a header. */
const rerouted =
  (server: WebServer.WebServer, hosts: Array<string>): FetchFunction =>
  async (url, init) => {
    const { host, pathname, protocol, search } = new URL(url)
    hosts.push(`${protocol}//${host}${pathname}`)
    const headers = new Headers(init.headers)
    headers.set("x-host", host)
    // A server that resolves redirects sees them at their own hosts.
    const response = await globalThis.fetch(`${server.url}${pathname}${search}`, {
      ...init,
      headers,
      redirect: "manual"
    })
    Object.defineProperty(response, "url", { value: url })
    return response
  }

describe("anonymous buckets", () => {
  const cloud = Effect.gen(function* () {
    const server = yield* WebServer.make
    server.find = () => ({ bytes, etag: '"one"', lastModified: time })
    const hosts: Array<string> = []
    const fetch = rerouted(server, hosts)
    return { server, hosts, fetch, at: Effect.provideService(Fetch, fetch) }
  })

  const s3 = (others?: Partial<VirtualChunkContainer>): VirtualChunkContainer => ({
    name: "s3",
    protocol: "s3",
    platform: "s3",
    ...others
  })

  it.live("on S3 are asked at the endpoint of the container's region, by host or, with dots in the name, by path", () =>
    Effect.gen(function* () {
      const { at, hosts, server } = yield* cloud
      const containers = [s3({ region: "eu-west-1" })]
      assert.deepStrictEqual(
        yield* at(read({ location: "s3://model-data/run 1/a+b.nc" }, { containers })),
        bytes.slice(100, 150)
      )
      yield* at(read({ location: "s3://model.data/a.nc" }, { containers }))
      yield* at(read({ location: "s3://model-data/a.nc" }, { containers: [s3({ region: "cn-north-1" })] }))
      assert.deepStrictEqual(hosts, [
        "https://model-data.s3.eu-west-1.amazonaws.com/run%201/a%2Bb.nc",
        "https://s3.eu-west-1.amazonaws.com/model.data/a.nc",
        "https://model-data.s3.cn-north-1.amazonaws.com.cn/a.nc"
      ])
      assert.isTrue(server.asked.every(({ headers }) => headers.authorization === undefined))
    })
  )

  it.live("on S3 without a region are found by name, or by the first answer, once", () =>
    Effect.gen(function* () {
      const { at, fetch, hosts, server } = yield* cloud
      yield* at(read({ location: "s3://model-data/a.nc" }, {}))
      assert.deepStrictEqual(hosts, ["https://model-data.s3.amazonaws.com/a.nc"])

      const told: ReadonlyArray<WebServer.Fault> = [
        { _tag: "Status", status: 301, headers: { "x-amz-bucket-region": "us-west-2" } },
        { _tag: "Status", status: 400, headers: { "x-amz-bucket-region": "us-west-2" } },
        {
          _tag: "Status",
          status: 400,
          headers: { "content-type": "application/xml" },
          body: "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>"
        },
        {
          _tag: "Status",
          status: 301,
          headers: { "content-type": "application/xml" },
          body: "<Error><Code>PermanentRedirect</Code><Endpoint>model-data.s3.us-west-2.amazonaws.com</Endpoint></Error>"
        }
      ]
      for (const fault of told) {
        hosts.length = 0
        server.fault = ({ headers }) =>
          headers["x-host"] === "model-data.s3.us-west-2.amazonaws.com" ? undefined : fault
        const [platform] = yield* Effect.all([HttpPlatform.anonymousS3With({ retry })]).pipe(
          Effect.provideService(Fetch, fetch)
        )
        const store = yield* platform.open({
          container: s3(),
          bucket: "model-data",
          region: "eu-central-1",
          credentials: Credentials.anonymous
        })
        yield* store.get("a.nc")
        yield* store.get("b.nc")
        assert.deepStrictEqual(hosts, [
          "https://model-data.s3.eu-central-1.amazonaws.com/a.nc",
          "https://model-data.s3.us-west-2.amazonaws.com/a.nc",
          "https://model-data.s3.us-west-2.amazonaws.com/b.nc"
        ])
      }
    })
  )

  it.live("on S3 whose region a page may not see say what to do", () =>
    Effect.gen(function* () {
      const { fetch, server } = yield* cloud
      server.fault = () => ({ _tag: "Status", status: 301, headers: { "x-amz-bucket-region": "us-west-2" } })
      const error = yield* Effect.flip(
        inBrowser(Browser.make("https://app.example", fetch))(read({ location: "s3://model-data/a.nc" }, {}))
      )
      assert.include(error.message, "CORS forbids it")
      assert.include(error.message, "`region`")
    })
  )

  it.live("never end elsewhere", () =>
    Effect.gen(function* () {
      const { at } = yield* cloud
      const elsewhere: FetchFunction = async () => {
        const response = new Response("elsewhere")
        Object.defineProperty(response, "url", { value: "https://elsewhere.example/a" })
        return response
      }
      const error = yield* Effect.flip(
        at(Effect.provideService(read({ location: "s3://model-data/a.nc" }, {}), Fetch, elsewhere))
      )
      assert.include(error.message, "redirects to `https://elsewhere.example`")
    })
  )

  it.live("at an endpoint of their own are asked there, when the program named it", () =>
    Effect.gen(function* () {
      const { hosts, server } = yield* cloud
      const client = { endpoint_url: server.url }
      const ref = { location: "s3://model-data/a.nc" }
      const containers = [s3({ cloud_client_config: client })]
      const error = yield* Effect.flip(read(ref, { containers }))
      assert.strictEqual(error._tag, "MissingCredentials")
      assert.strictEqual(server.asked.length, 0)
      yield* read(ref, { containers, credentials: { s3: anonymously(server.url) } })
      assert.strictEqual(server.asked[0]?.url, "/model-data/a.nc")
      assert.deepStrictEqual(hosts, [])
    })
  )

  it.live("on Google Cloud Storage are asked below its own endpoint", () =>
    Effect.gen(function* () {
      const { at, hosts } = yield* cloud
      assert.deepStrictEqual(yield* at(read({ location: "gs://reference/grid 1.nc" }, {})), bytes.slice(100, 150))
      assert.deepStrictEqual(hosts, ["https://storage.googleapis.com/reference/grid%201.nc"])
    })
  )

  it.live("take no credentials", () =>
    Effect.gen(function* () {
      const { at, hosts } = yield* cloud
      const key = Credentials.accessKey({ accessKeyId: "AKID", secretAccessKey: Redacted.make("s3cret") })
      for (const credentials of [key, Effect.succeed(key), Credentials.environment()]) {
        const error = yield* Effect.flip(
          at(read({ location: "s3://model-data/a.nc" }, { credentials: { s3: credentials } }))
        )
        assert.strictEqual(error._tag, Effect.isEffect(credentials) ? "CredentialsUnavailable" : "MissingCredentials")
        assert.include(error.message, "Anonymous")
        assert.notInclude(error.message, "s3cret")
      }
      assert.deepStrictEqual(hosts, [])
      yield* at(
        read({ location: "s3://model-data/a.nc" }, { credentials: { s3: Effect.succeed(Credentials.anonymous) } })
      )
      assert.strictEqual(hosts.length, 1)
    })
  )
})
