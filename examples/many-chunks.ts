import { ChunkCache, Credentials, Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const data = `${import.meta.dirname}/data`
const [rows, columns, header] = [721, 1440, 40]

const program = Effect.gen(function* () {
  const repository = yield* Repository.create({
    persist: {
      virtual_chunk_containers: [{ name: "geoid", protocol: "geoid", platform: "fs", bucket_prefix: data }]
    },
    credentials: { geoid: Credentials.directory(data) }
  })

  // A chunk for each row of the file, and one more row that is never written.
  const session = yield* repository.writableSession("main")
  yield* session.createArray("/array", {
    shape: [rows + 1, columns],
    chunkShape: [1, columns],
    dataType: "float32",
    fillValue: 0,
    codecs: [{ name: "bytes", configuration: { endian: "big" } }]
  })
  yield* session.setVirtualRefs("/array", {
    indices: Uint32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? i / 2 : 0)),
    offsets: Float64Array.from({ length: rows }, (_, row) => header + row * columns * 4),
    lengths: Float64Array.from({ length: rows }, () => columns * 4),
    locations: `geoid://${data}/egm96_15.gtx`
  })
  yield* session.commit("EGM96, a chunk for each row")

  const indices = Array.from({ length: rows + 1 }, (_, row) => [row, 0])
  const chunks = yield* Effect.forEach(indices, (index) => session.chunk("/array", index), { concurrency: "unbounded" })
  yield* Console.log(
    `read at once: ${chunks.filter((bytes) => bytes !== undefined).length} of ${indices.length} chunks`
  )

  const total = yield* session.chunks("/array", indices).pipe(
    Stream.runFold(
      () => 0,
      (sum, { bytes }) => sum + (bytes?.length ?? 0)
    )
  )
  yield* Console.log(`streamed: ${total} bytes`)
})

// Who reads the same chunks again keeps them in memory.
const cached = program.pipe(Effect.provide(ChunkCache.layerMemory({ maxBytes: 256 * 1024 * 1024 })))

const store = FsObjectStore.layer({ directory: process.argv[2] ?? "demo-output/many-chunks" })
const services = Layer.mergeAll(store, Platform.layer([FsPlatform.make]), NodeZstd.layer)
const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
cached.pipe(Effect.scoped, Effect.provide(Layer.provide(services, files)), NodeRuntime.runMain)
