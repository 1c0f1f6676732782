/**
 * A repository and its virtual chunks on S3, with one set of credentials.
 *
 *   npx -y pnpm@12 example examples/s3.ts
 */
import { Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { S3ObjectStore, S3Platform } from "@effect-icechunk/s3"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as GeoidOnS3 from "./src/GeoidOnS3.ts"
import * as Report from "./src/Report.ts"
import * as S3Place from "./src/S3Place.ts"
import * as Unexpected from "./src/Unexpected.ts"

const openMain = Effect.flatMap(Repository.open(), (repository) => repository.readonlySession({ branch: "main" }))

const program = Effect.gen(function* () {
  const place = yield* S3Place.make
  const { credentials, endpoint, region } = place
  const data = yield* place.bucket("data")
  const home = yield* place.bucket("repository")
  const key = "gtx/egm96_15.gtx"
  const location = `s3://${data.name}/${key}`
  const size = yield* GeoidOnS3.upload(place, data, key)

  // The one place where the credentials are given.
  const services = Layer.mergeAll(
    S3ObjectStore.layer({ bucket: home.name, prefix: "geoid", endpoint, region, credentials }),
    Platform.layer([S3Platform.make]),
    NodeZstd.layer
  )

  const writing = Effect.gen(function* () {
    // `s3://` locations are read from AWS, unless the container `s3` says otherwise. On AWS, nothing is to be configured.
    const container = { name: "s3", protocol: "s3", platform: "s3", cloud_client_config: { endpoint_url: endpoint } }
    const repository = yield* Repository.create({ persist: { virtual_chunk_containers: [container] } })
    const session = yield* repository.writableSession("main")
    yield* GeoidOnS3.write(session, () => location)
    const snapshot = yield* session.commit("EGM96, not copied")
    yield* Report.step("Data in one bucket, a repository in another")
    yield* Report.fact("server", place.description)
    yield* Report.fact("data", location, Report.bytes(size))
    yield* Report.fact("repository", repository.description)
    yield* Report.fact("virtual chunks", String(GeoidOnS3.chunks))
    yield* Report.fact("snapshot", snapshot)
  })

  const reading = Effect.gen(function* () {
    const session = yield* openMain
    const [height, traffic] = yield* place.watch(data, GeoidOnS3.heightAt(session, { latitude: 0, longitude: -180 }))
    yield* Report.step("Opened anew, and read with the credentials of the repository's store")
    yield* Report.fact("0° N, 180° W", height)
    yield* Unexpected.unless(height === "21.15 m", "the height of EGM96 is another")
    if (traffic === undefined) return
    const { accessKeys, requests } = traffic
    yield* Report.fact("fetched", Report.bytes(GeoidOnS3.chunkBytes), `in ${Report.count(requests, "request")}`)
    yield* Report.fact("signed by", ...accessKeys.map((key) => `access key \`${key}\``))
    yield* Unexpected.unless(requests === 1 && accessKeys.join() === "example", "more was asked for than a chunk")
  })

  const replacing = Effect.gen(function* () {
    yield* GeoidOnS3.upload(place, data, key, (bytes) => bytes.fill(0))
    const session = yield* openMain
    const error = yield* Unexpected.failure("ChecksumMismatch", session.chunk("/heights", [51, 0]))
    yield* Report.step("Somebody replaces the data: its chunks are refused")
    yield* Report.error(error)
  })

  yield* Report.title("A repository and its virtual chunks on S3, with one set of credentials")
  yield* Effect.all([Effect.scoped(writing), Effect.scoped(reading), Effect.scoped(replacing)], { discard: true }).pipe(
    Effect.provide(services)
  )
  yield* Report.end
})

program.pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
