import { History, Platform, Repository, ZarritaStore } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as zarr from "zarrita"

const program = Effect.gen(function* () {
  const repository = yield* Repository.openOrCreate()

  // 1. Write an array with zarrita, and commit it.
  const session = yield* repository.writableSession("main")
  const writing = zarr.root(yield* ZarritaStore.makeWritable(session))
  yield* ZarritaStore.useWritable(async () => {
    const array = await zarr.create(writing.resolve("/temperature"), {
      shape: [4, 6],
      chunkShape: [2, 3],
      dtype: "float32",
      attributes: { units: "degree_Celsius" }
    })
    await zarr.set(array, null, 15)
  })
  const first = yield* session.commit("15 degrees everywhere")

  // 2. Change a part of it. The session goes on from its commit.
  yield* ZarritaStore.useWritable(async (signal) => {
    const array = await zarr.open.v3(writing.resolve("/temperature"), { kind: "array", signal })
    await zarr.set(array, [0, null], 21)
  })
  yield* session.commit("a warm first row")

  // 3. Read the branch as it is now, and as it was.
  for (const version of [{ branch: "main" }, { snapshotId: first }]) {
    const past = yield* repository.readonlySession(version)
    const reading = zarr.root(yield* ZarritaStore.make(past))
    const mean = yield* ZarritaStore.use(async (signal) => {
      const array = await zarr.open.v3(reading.resolve("/temperature"), { kind: "array", signal })
      const { data } = await zarr.get(array, null, { signal })
      return (data as Float32Array).reduce((sum, value) => sum + value, 0) / data.length
    })
    yield* Console.log(`mean ${mean}`)
  }

  // 4. Look at the history.
  yield* History.ancestry(repository, { branch: "main" }).pipe(Stream.runForEach(({ message }) => Console.log(message)))
})

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
const store = FsObjectStore.layer({ directory: process.argv[2] ?? "my-repository" }).pipe(Layer.provide(files))
const services = Layer.mergeAll(store, Platform.layerNone, NodeZstd.layer)

program.pipe(Effect.scoped, Effect.provide(services), NodeRuntime.runMain)
