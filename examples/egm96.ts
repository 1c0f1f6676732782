/**
 * The demo: a geoid in an Icechunk repository, whose bytes stay in the file that they came in.
 *
 *   npx -y pnpm@12 demo
 */
import { Credentials, Platform, Repository } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Duration, Effect, FileSystem, Layer, Runtime } from "effect"
import * as Comparison from "./src/Comparison.ts"
import * as Contents from "./src/Contents.ts"
import * as GeoidGrid from "./src/GeoidGrid.ts"
import * as GeoidMap from "./src/GeoidMap.ts"
import * as MapLines from "./src/MapLines.ts"
import * as Places from "./src/Places.ts"
import { readGrid } from "./src/ReadGeoid.ts"
import * as Report from "./src/Report.ts"
import * as Unexpected from "./src/Unexpected.ts"
import * as WriteGeoid from "./src/WriteGeoid.ts"

/** The right to read files below one directory, for the container that needs it. */
const credentials = { geoid: Credentials.directory(Places.data) }

/** Opens the repository anew, read-only, at the tip of its branch. */
const openMain = Effect.fnUntraced(function* (options: Repository.OpenOptions = { credentials }) {
  const repository = yield* Repository.open(options)
  return yield* repository.readonlySession({ branch: "main" })
})

const writing = Effect.gen(function* () {
  yield* Places.prepare
  const repository = yield* Repository.create({
    persist: { virtual_chunk_containers: [WriteGeoid.container] },
    credentials
  })
  const session = yield* repository.writableSession("main")
  yield* WriteGeoid.write(session)
  const snapshot = yield* session.commit("EGM96, its heights as virtual chunks")

  yield* Report.step("A repository, written and committed")
  yield* Report.fact("repository", Places.shown(Places.repository), Report.bytes(yield* Places.size(Places.repository)))
  yield* Report.fact("data outside of it", Places.shown(Places.geoid), Report.bytes(yield* Places.size(Places.data)))
  yield* Report.fact("snapshot", snapshot)
  for (const array of yield* Contents.arrays(session)) {
    yield* Report.fact(
      array.path,
      array.shape.join(" × ").padEnd(12),
      Report.count(array.chunks, `${array.kind} chunk`)
    )
  }
})

const reading = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const [duration, grid] = yield* Effect.timed(Effect.flatMap(openMain(), readGrid))
  const { highest, lowest } = GeoidGrid.extremes(grid)
  const [low, high] = [lowest, highest].map(
    (extreme) => `${GeoidGrid.formatHeight(extreme.height).padStart(9)}  ${GeoidGrid.formatPlace(extreme)}`
  )
  const coastlines = MapLines.parseCoastlines(yield* fs.readFileString(Places.coastlines))
  yield* fs.writeFile(Places.map, GeoidMap.render({ grid, lowest, highest, coastlines }))

  yield* Report.step("Opened anew, and read through zarrita")
  yield* Report.fact(
    "heights",
    grid.heights.length.toLocaleString("en"),
    `in ${Duration.toMillis(duration).toFixed(0)} ms`
  )
  yield* Report.fact("lowest", low!)
  yield* Report.fact("highest", high!)
  yield* Report.fact("map", Places.shown(Places.map))
  yield* Unexpected.unless(low === "−106.99 m  4.75° N, 78.75° E", "the lowest point of EGM96 is elsewhere")
  yield* Unexpected.unless(high === "  85.39 m  8.25° S, 147.25° E", "the highest point of EGM96 is elsewhere")
})

const comparing = Effect.gen(function* () {
  const { bytes, chunks, engine, metadata } = yield* Effect.flatMap(openMain(), Comparison.compare)
  yield* Report.step("The same through the official engine")
  yield* Report.fact("engine", engine)
  yield* Report.fact(
    "equal, byte for byte",
    Report.count(chunks.Virtual, "virtual chunk"),
    "whose checksum the engine verified"
  )
  yield* Report.fact("", Report.count(chunks.Native, "native chunk"))
  yield* Report.fact("", Report.count(chunks.Inline, "inline chunk"))
  yield* Report.fact("", Report.count(metadata, "zarr.json", "zarr.json"))
  yield* Report.fact("", `${Report.bytes(bytes)} in all`)
})

const depending = Effect.gen(function* () {
  // Needs no credentials: nothing outside the repository is read.
  const repository = yield* Repository.open()
  const session = yield* repository.readonlySession({ branch: "main" })
  yield* Report.step("What the repository depends on")
  for (const { container, source } of yield* repository.containers) {
    if (source === "default") continue
    const { bucket_prefix: directory = "/", name, platform, protocol } = container
    yield* Report.fact("container", name.padEnd(24), `${protocol}:// on ${platform}, below ${Places.shown(directory)}`)
  }
  for (const { bytes, chunks, location } of yield* Contents.dependencies(session)) {
    yield* Report.fact("object", location, `${Report.count(chunks, "chunk")} of it, ${Report.bytes(bytes)}`)
  }
})

/** Chunk 58 has the lowest point. */
const readChunk = Effect.fnUntraced(function* (options?: Repository.OpenOptions) {
  const session = yield* openMain(options)
  return yield* session.chunk("/egm96/geoid", [58, 0])
})

const tampering = Effect.gen(function* () {
  const before = yield* readChunk()
  const [error] = yield* Places.whileChanged(
    Effect.all([Unexpected.failure("ChecksumMismatch", readChunk()), Comparison.refuses("egm96/geoid/c/58/0")])
  )
  yield* Report.step("The data changed: its chunks are refused")
  yield* Report.error(error)
  yield* Report.fact("official engine", "refuses them too")
  const after = yield* readChunk()
  yield* Unexpected.unless(Contents.sameBytes(before, after), "the restored data reads differently")
  yield* Report.fact("restored", "and read again, byte for byte")
})

const takingAway = Effect.gen(function* () {
  const error = yield* Unexpected.failure("MissingContainer", readChunk({ credentials, withoutContainers: ["geoid"] }))
  yield* Report.step("The container taken away at run time: no access")
  yield* Report.error(error)
})

const services = Layer.mergeAll(
  FsObjectStore.layer({ directory: Places.repository }),
  Platform.layer([FsPlatform.make]),
  NodeZstd.layer
).pipe(Layer.provideMerge(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))

const demo = Effect.gen(function* () {
  yield* Report.title("EGM96 in Icechunk: a geoid whose bytes stay in the file that they came in")
  yield* Effect.scoped(writing)
  yield* Effect.scoped(reading)
  yield* Effect.scoped(comparing)
  yield* Effect.scoped(depending)
  yield* Effect.scoped(tampering)
  yield* Effect.scoped(takingAway)
  yield* Report.end
})

NodeRuntime.runMain(Effect.provide(demo, services), {
  // The official engine's threads would keep the process alive.
  teardown: (exit) => Runtime.defaultTeardown(exit, (code) => process.exit(code))
})
