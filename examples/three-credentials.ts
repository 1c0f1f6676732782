/**
 * One repository, three arrays: A and B in two buckets on Google Cloud Storage, C on S3, with a protocol and
 * credentials for each.
 *
 *   node --conditions=@effect-icechunk/source examples/three-credentials.ts
 */
import { ObjectStore, Platform, Repository, type Session, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { GcsPlatform } from "@effect-icechunk/gcs"
import { S3Platform } from "@effect-icechunk/s3"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as zarr from "zarrita"
import * as CloudPlace from "./src/CloudPlace.ts"
import * as Report from "./src/Report.ts"
import * as Unexpected from "./src/Unexpected.ts"

/** One number for each degree of latitude, from the south pole to the north pole. */
const rows = 181
const headerBytes = 16

/** The output of a model: a header, and mean temperatures in °C. */
const output = (warmer: number): Uint8Array => {
  const bytes = new Uint8Array(headerBytes + rows * 4)
  const view = new DataView(bytes.buffer)
  for (let row = 0; row < rows; row++) {
    const sine = Math.sin(((row - 90) * Math.PI) / 180)
    view.setFloat32(headerBytes + row * 4, 27 - 48 * sine * sine + warmer, true)
  }
  return bytes
}

const temperature = (session: Session.Session, array: string, latitude: number) =>
  Effect.gen(function* () {
    const root = zarr.root(yield* ZarritaStore.make(session))
    return yield* ZarritaStore.use(async (signal) => {
      const opened = await zarr.open.v3(root.resolve(`/${array}`), { kind: "array", signal })
      return Number(await zarr.get(opened, [latitude + 90], { signal }))
    })
  })

const degrees = (value: number): string => `${value.toFixed(1)} °C`.padStart(8)

const program = Effect.gen(function* () {
  const home = yield* CloudPlace.s3("home", "us-east-1")
  const [a, b] = (yield* CloudPlace.gcs("model-a", "model-b")) as readonly [
    CloudPlace.CloudPlace,
    CloudPlace.CloudPlace
  ]
  const c = yield* CloudPlace.s3("model-c", "eu-west-1")
  const models = [
    { array: "A", name: "modela", place: a, warmer: 0 },
    { array: "B", name: "modelb", place: b, warmer: 0.5 },
    { array: "C", name: "modelc", place: c, warmer: 1.6 }
  ]
  for (const { place, warmer } of models) yield* place.store.put("run-1/t.bin", output(warmer))

  const services = Layer.mergeAll(
    Layer.succeed(ObjectStore.ObjectStore, home.store),
    Platform.layer([S3Platform.make, GcsPlatform.make]),
    NodeZstd.layer
  )
  const credentials = { modela: a.access, modelb: b.access, modelc: c.access }

  const writing = Effect.gen(function* () {
    // Protocols of their own: refs say `modela://`, and only the container says where that is.
    const containers = models.map(({ name, place }) => ({ ...place.container, name, protocol: name }))
    const repository = yield* Repository.create({ credentials, persist: { virtual_chunk_containers: containers } })
    const session = yield* repository.writableSession("main")
    yield* session.createGroup("/")
    yield* Report.step("Three models, each where its makers put it")
    yield* Report.fact("repository", home.description)
    for (const { array, name, place } of models) {
      yield* session.createArray(`/${array}`, { shape: [rows], chunkShape: [rows], dataType: "float32", fillValue: 0 })
      const ref = { location: `${name}://${place.path}/run-1/t.bin`, offset: headerBytes, length: rows * 4 }
      yield* session.setVirtualRef(`/${array}`, [0], ref, { capture: true })
      yield* Report.fact(array, place.description)
    }
    yield* session.commit("three models, not copied")
  })

  const listing = Effect.gen(function* () {
    const repository = yield* Repository.open()
    yield* Report.step("What a program learns before it has any credentials")
    for (const { container, source } of yield* repository.containers) {
      if (source === "default") continue
      const { bucket_prefix: prefix, name, platform, protocol, region } = container
      yield* Report.fact(`${protocol}://`, `container ${name}`, platform, prefix ?? "", region ?? "")
    }
    const session = yield* repository.readonlySession({ branch: "main" })
    const refs = yield* Effect.forEach(models, ({ array }) => session.chunkRef(`/${array}`, [0]))
    const locations = refs.map((ref) => (ref?._tag === "Virtual" ? ref.ref.location : "none"))
    yield* Report.fact("locations", ...locations)
    yield* Unexpected.unless(
      locations.join() === "vcc://modela/run-1/t.bin,vcc://modelb/run-1/t.bin,vcc://modelc/run-1/t.bin",
      "the refs are not relative to their containers"
    )
  })

  const reading = Effect.gen(function* () {
    const repository = yield* Repository.open({ credentials })
    const session = yield* repository.readonlySession({ branch: "main" })
    yield* Report.step("Read together, each with its own credentials")
    for (const [latitude, expected] of [
      [0, "27.7 °C"],
      [52, "-2.1 °C"]
    ] as const) {
      const values = yield* Effect.forEach(models, ({ array }) => temperature(session, array, latitude), {
        concurrency: 3
      })
      const mean = degrees(values.reduce((sum, value) => sum + value, 0) / values.length)
      yield* Report.fact(`${latitude}° N`, ...values.map(degrees), "mean", mean)
      yield* Unexpected.unless(mean.trim() === expected, "the mean is another")
    }
    for (const { array, name, place } of models) {
      const askedBy = place.askedBy()
      if (askedBy === undefined) continue
      yield* Report.fact(`${array} was asked by`, ...askedBy)
      const kind = place.container.platform === "s3" ? "key" : "token"
      yield* Unexpected.unless(
        askedBy.join() === `${kind}-of-${name.replace("model", "model-")}`,
        "credentials went to the wrong place"
      )
    }
  })

  const withoutB = Effect.gen(function* () {
    const { modelb: _, ...others } = credentials
    const repository = yield* Repository.open({ credentials: others })
    const session = yield* repository.readonlySession({ branch: "main" })
    yield* Report.step("Without the credentials of B, A and C are read all the same")
    yield* Report.fact(
      "A, C at 0° N",
      degrees(yield* temperature(session, "A", 0)),
      degrees(yield* temperature(session, "C", 0))
    )
    yield* Report.error(yield* Unexpected.failure("MissingCredentials", session.chunk("/B", [0])))
  })

  yield* Report.title("Three arrays, three buckets, two clouds, three sets of credentials")
  // Each opens the repository anew.
  const parts = [Effect.scoped(writing), Effect.scoped(listing), Effect.scoped(reading), Effect.scoped(withoutB)]
  yield* Effect.provide(Effect.all(parts, { discard: true }), services)
  yield* Report.end
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
