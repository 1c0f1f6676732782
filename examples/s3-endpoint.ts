/**
 * Virtual chunks on two servers: those below one prefix on a local S3-compatible endpoint, all others where the
 * repository is.
 *
 *   npx -y pnpm@12 example examples/s3-endpoint.ts
 */
import { Credentials, Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { S3ObjectStore, S3Platform } from "@effect-icechunk/s3"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as GeoidOnS3 from "./src/GeoidOnS3.ts"
import * as Report from "./src/Report.ts"
import * as S3Place from "./src/S3Place.ts"
import * as Unexpected from "./src/Unexpected.ts"

const program = Effect.gen(function* () {
  const place = yield* S3Place.make
  // Another server, with other credentials.
  const local = yield* S3Place.inProcess("local")
  const { credentials, endpoint, region } = place
  const home = yield* place.bucket("repository")
  const archived = yield* place.bucket("data")
  const recent = yield* local.bucket("data", { name: archived.name })

  // Chunks of the south are where the repository is, those of the north on the local server.
  yield* GeoidOnS3.upload(place, archived, "archive/egm96_15.gtx")
  yield* GeoidOnS3.upload(local, recent, "recent/egm96_15.gtx")
  const south = `s3://${archived.name}/archive/egm96_15.gtx`
  const north = `s3://${recent.name}/recent/egm96_15.gtx`

  const services = Layer.mergeAll(
    S3ObjectStore.layer({ bucket: home.name, endpoint, region, credentials }),
    Platform.layer([S3Platform.make]),
    NodeZstd.layer
  )

  const on = (endpoint: string) => ({ endpoint_url: endpoint, force_path_style: true })
  const containers = [
    { name: "s3", protocol: "s3", platform: "s3", cloud_client_config: on(endpoint) },
    {
      name: "local",
      protocol: "s3",
      platform: "s3",
      bucket_prefix: `${recent.name}/recent`,
      cloud_client_config: on(local.endpoint)
    }
  ]
  // The endpoint is named here too: the configuration is data that others may write.
  const access: Repository.OpenOptions = {
    credentials: { local: Credentials.grant({ credentials: local.credentials, endpoints: [local.endpoint] }) }
  }

  const writing = Effect.gen(function* () {
    const repository = yield* Repository.create({ ...access, persist: { virtual_chunk_containers: containers } })
    const session = yield* repository.writableSession("main")
    yield* GeoidOnS3.write(session, (chunk) => (chunk < 52 ? south : north))
    yield* session.commit("EGM96, on two servers")
    yield* Report.step("One array, whose chunks are on two servers")
    yield* Report.fact("server", place.description)
    yield* Report.fact("local server", local.description)
    yield* Report.fact("52 chunks", south)
    yield* Report.fact("51 chunks", north)
    for (const { container, source } of yield* repository.containers) {
      if (source === "default") continue
      const { bucket_prefix: prefix = "", cloud_client_config: client, name } = container
      yield* Report.fact("container", name, `s3://${prefix}${prefix === "" ? "" : "/"}* on ${client?.endpoint_url}`)
    }
  })

  const reading = Effect.gen(function* () {
    const repository = yield* Repository.open(access)
    const session = yield* repository.readonlySession({ branch: "main" })
    const places = [
      { name: "8.25° S, 147.25° E", latitude: -8.25, longitude: 147.25, expected: "85.39 m" },
      { name: "4.75° N, 78.75° E", latitude: 4.75, longitude: 78.75, expected: "−106.99 m" }
    ]
    yield* Report.step("Read from both")
    for (const { expected, name, ...at } of places) {
      const [height, traffic] = yield* local.watch(recent, GeoidOnS3.heightAt(session, at))
      const isLocal = at.latitude > 0
      yield* Report.fact(name, height.padStart(9), isLocal ? "from the local server" : "from the other one")
      yield* Unexpected.unless(height === expected, "the height of EGM96 is another")
      yield* Unexpected.unless(traffic?.requests === (isLocal ? 1 : 0), "the chunk was looked for on the wrong server")
    }
  })

  const withoutAccess = Effect.gen(function* () {
    const repository = yield* Repository.open()
    const session = yield* repository.readonlySession({ branch: "main" })
    const [error, traffic] = yield* local.watch(
      recent,
      Unexpected.failure("MissingCredentials", session.chunk("/heights", [60, 0]))
    )
    yield* Report.step("Without credentials for it, the local server is not asked")
    yield* Report.error(error)
    yield* Unexpected.unless(traffic?.requests === 0, "credentials were sent to another endpoint")
  })

  yield* Report.title("Virtual chunks on two servers: a local endpoint for one prefix")
  yield* Effect.all([Effect.scoped(writing), Effect.scoped(reading), Effect.scoped(withoutAccess)], {
    discard: true
  }).pipe(Effect.provide(services))
  yield* Report.end
})

program.pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
