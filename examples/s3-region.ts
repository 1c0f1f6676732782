/**
 * Virtual chunks in another region than the repository's: the persisted region, and another one at run time.
 *
 *   npx -y pnpm@12 example examples/s3-region.ts
 */
import { Platform, Repository, type RepositoryConfig } from "@effect-icechunk/core"
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
  const { credentials, endpoint, region } = place
  const home = yield* place.bucket("repository")
  const frankfurt = yield* place.bucket("frankfurt", { region: "eu-central-1" })
  const sydney = yield* place.bucket("sydney", { region: "ap-southeast-2" })
  // The same object in both: a simple upload has the same ETag wherever it is.
  for (const bucket of [frankfurt, sydney]) yield* GeoidOnS3.upload(place, bucket, "gtx/egm96_15.gtx")

  const services = Layer.mergeAll(
    S3ObjectStore.layer({ bucket: home.name, endpoint, region, credentials }),
    Platform.layer([S3Platform.make]),
    NodeZstd.layer
  )

  /** A container with a protocol of its own, so that refs do not say in which bucket the objects are. */
  const containerIn = (bucket: S3Place.Bucket): RepositoryConfig.RepositoryConfig => ({
    virtual_chunk_containers: [
      {
        name: "geoid",
        protocol: "geoid",
        platform: "s3",
        region: bucket.region,
        bucket_prefix: `${bucket.name}/gtx`,
        cloud_client_config: { endpoint_url: endpoint }
      }
    ]
  })

  const writing = Effect.gen(function* () {
    const repository = yield* Repository.create({ persist: containerIn(frankfurt) })
    const session = yield* repository.writableSession("main")
    yield* GeoidOnS3.write(session, () => `geoid://${frankfurt.name}/gtx/egm96_15.gtx`)
    yield* session.commit("EGM96, not copied")
    const ref = yield* session.chunkRef("/heights", [51, 0])
    yield* Report.step("A repository, and a container that says its region")
    yield* Report.fact("server", place.description)
    yield* Report.fact("repository", repository.description, `in ${region}`)
    yield* Report.fact("container", `geoid:// is s3://${frankfurt.name}/gtx`, `in ${frankfurt.region}`)
    yield* Report.fact("stored location", ref?._tag === "Virtual" ? ref.ref.location : "none")
  })

  const reading = Effect.fnUntraced(function* (what: string, bucket: S3Place.Bucket, options?: Repository.OpenOptions) {
    const repository = yield* Repository.open(options)
    const session = yield* repository.readonlySession({ branch: "main" })
    const [height, traffic] = yield* place.watch(bucket, GeoidOnS3.heightAt(session, { latitude: 0, longitude: -180 }))
    yield* Report.step(what)
    yield* Report.fact("0° N, 180° W", height)
    yield* Unexpected.unless(height === "21.15 m", "the height of EGM96 is another")
    if (traffic === undefined) return
    yield* Report.fact("read from", bucket.name)
    yield* Report.fact("signed for", traffic.regions.join(", "), `in ${Report.count(traffic.requests, "request")}`)
    yield* Unexpected.unless(
      traffic.requests === 1 && traffic.refused === 0 && traffic.regions.join() === bucket.region,
      "the region was not known beforehand"
    )
  }, Effect.scoped)

  yield* Report.title("Virtual chunks in another region than the repository's")
  yield* Effect.all(
    [
      Effect.scoped(writing),
      reading("Read from the persisted region", frankfurt),
      reading("Read from a replica in a region that this run prefers", sydney, { config: containerIn(sydney) })
    ],
    { discard: true }
  ).pipe(Effect.provide(services))
  yield* Report.end
})

program.pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
