/**
 * A repository on S3 whose virtual chunks are on Google Cloud Storage.
 *
 *   node --conditions=@effect-icechunk/source examples/s3-and-gcs.ts
 */
import { ObjectStore, Platform, Repository, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { GcsPlatform } from "@effect-icechunk/gcs"
import { S3Platform } from "@effect-icechunk/s3"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, FileSystem, Layer, Stream } from "effect"
import * as zarr from "zarrita"
import * as CloudPlace from "./src/CloudPlace.ts"
import * as GeoidGrid from "./src/GeoidGrid.ts"
import * as Places from "./src/Places.ts"
import * as Report from "./src/Report.ts"
import * as Unexpected from "./src/Unexpected.ts"

const program = Effect.gen(function* () {
  const home = yield* CloudPlace.s3("home", "us-east-1")
  const [data] = (yield* CloudPlace.gcs("data")) as readonly [CloudPlace.CloudPlace]

  const fs = yield* FileSystem.FileSystem
  const bytes = yield* fs.readFile(Places.source)
  yield* data.store.put("egm96_15.gtx", bytes)

  // Where the repository is, and the clouds in which its chunks may be.
  const services = Layer.mergeAll(
    Layer.succeed(ObjectStore.ObjectStore, home.store),
    Platform.layer([S3Platform.make, GcsPlatform.make]),
    NodeZstd.layer
  )
  // The container's credentials; the repository's own are part of its store.
  const access: Repository.OpenOptions = { credentials: { gcs: data.access } }

  const writing = Effect.gen(function* () {
    const container = { ...data.container, name: "gcs", protocol: "gcs" }
    const repository = yield* Repository.create({ ...access, persist: { virtual_chunk_containers: [container] } })
    const session = yield* repository.writableSession("main")
    yield* session.createGroup("/")
    yield* session.createArray("/heights", {
      shape: [721, 1440],
      chunkShape: [7, 1440],
      dataType: "float32",
      fillValue: 0,
      codecs: [{ name: "bytes", configuration: { endian: "big" } }]
    })
    const length = 7 * 1440 * GeoidGrid.heightBytes
    const chunks = Array.from({ length: 103 }, (_, chunk) => chunk)
    yield* session.setVirtualRefs(
      "/heights",
      {
        indices: Uint32Array.from(chunks.flatMap((chunk) => [chunk, 0])),
        offsets: chunks.map((chunk) => GeoidGrid.headerBytes + chunk * length),
        lengths: chunks.map(() => length),
        locations: `gs://${data.path}/egm96_15.gtx`
      },
      { capture: true }
    )
    yield* session.commit("EGM96, on another cloud")
    const files = yield* Stream.runCollect(home.store.list(""))
    const size = files.reduce((sum, file) => sum + file.size, 0)
    yield* Report.step("A repository on S3, and its data on GCS")
    yield* Report.fact("repository", home.description, Report.bytes(size))
    yield* Report.fact("data", data.description, Report.bytes(bytes.length))
    yield* Report.fact("virtual chunks", String(chunks.length))
  })

  const reading = Effect.gen(function* () {
    const repository = yield* Repository.open(access)
    const session = yield* repository.readonlySession({ branch: "main" })
    const root = zarr.root(yield* ZarritaStore.make(session))
    const height = yield* ZarritaStore.use(async (signal) => {
      const array = await zarr.open.v3(root.resolve("/heights"), { kind: "array", signal })
      return GeoidGrid.formatHeight(Number(await zarr.get(array, [360, 0], { signal })))
    })
    yield* Report.step("Read, each cloud with its own credentials")
    yield* Report.fact("0° N, 180° W", height)
    yield* Unexpected.unless(height === "21.15 m", "the height of EGM96 is another")
    const [onS3, onGcs] = [home.askedBy(), data.askedBy()]
    if (onS3 !== undefined) yield* Report.fact("S3 was asked by", ...onS3)
    if (onGcs !== undefined) yield* Report.fact("GCS was asked by", ...onGcs)
    yield* Unexpected.unless(
      (onS3 ?? ["key-of-home"]).join() === "key-of-home" && (onGcs ?? ["token-of-data"]).join() === "token-of-data",
      "credentials went to the wrong cloud"
    )
  })

  const withoutAccess = Effect.gen(function* () {
    const repository = yield* Repository.open()
    const session = yield* repository.readonlySession({ branch: "main" })
    const error = yield* Unexpected.failure("MissingCredentials", session.chunk("/heights", [0, 0]))
    yield* Report.step("Those of the repository are not sent to the other cloud")
    yield* Report.error(error)
  })

  yield* Report.title("A repository on S3 with virtual chunks on Google Cloud Storage")
  // Each opens the repository anew.
  const parts = [Effect.scoped(writing), Effect.scoped(reading), Effect.scoped(withoutAccess)]
  yield* Effect.provide(Effect.all(parts, { discard: true }), services)
  yield* Report.end
})

program.pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
