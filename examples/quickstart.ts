import { Credentials, Platform, Repository, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as zarr from "zarrita"

const data = `${import.meta.dirname}/data`

const program = Effect.gen(function* () {
  // A repository with a container: a named place outside of it, which may hold chunks.
  const container = { name: "geoid", protocol: "geoid", platform: "fs", bucket_prefix: data }
  const repository = yield* Repository.create({
    persist: { virtual_chunk_containers: [container] },
    credentials: { geoid: Credentials.directory(data) }
  })

  // An array whose one chunk is in a file there: 721 × 1440 numbers after a header of 40 bytes.
  const session = yield* repository.writableSession("main")
  yield* session.createGroup("/")
  yield* session.createArray("/heights", {
    shape: [721, 1440],
    chunkShape: [721, 1440],
    dataType: "float32",
    fillValue: 0,
    codecs: [{ name: "bytes", configuration: { endian: "big" } }]
  })
  const chunk = { location: `geoid://${data}/egm96_15.gtx`, offset: 40, length: 721 * 1440 * 4 }
  yield* session.setVirtualRef("/heights", [0, 0], chunk, { capture: true })
  yield* session.commit("EGM96, not copied")

  // A Zarr reader, here zarrita, sees an ordinary array.
  const root = zarr.root(yield* ZarritaStore.make(session))
  const height = yield* ZarritaStore.use(async (signal) => {
    const array = await zarr.open.v3(root.resolve("/heights"), { kind: "array", signal })
    return zarr.get(array, [360, 0], { signal })
  })
  yield* Console.log(`The geoid at 0° N, 180° W is ${Number(height).toFixed(2)} m above the ellipsoid`)
})

const store = FsObjectStore.layer({ directory: process.argv[2] ?? "demo-output/quickstart" })
const services = Layer.mergeAll(store, Platform.layer([FsPlatform.make]), NodeZstd.layer)
const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
program.pipe(Effect.scoped, Effect.provide(Layer.provide(services, files)), NodeRuntime.runMain)
