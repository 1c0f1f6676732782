/**
 * One measured process of this library: `ours.ts write|read|stream DIRECTORY`.
 */
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { Credentials, Platform, Repository } from "@effect-icechunk/core"
import { FsObjectStore, FsPlatform } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Workload from "./Workload.ts"

const [task, directory = "."] = process.argv.slice(2)
const at = Workload.places(directory)

const services = Layer.mergeAll(
  FsObjectStore.layer({ directory: at.repository }),
  Platform.layer([FsPlatform.make]),
  NodeZstd.layer
).pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
const runtime = ManagedRuntime.make(services)

const write = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  yield* session.setMetadata("/data", new TextEncoder().encode(Workload.zarrJson))
  const { gridSize, rows } = Workload
  const indices = new Uint32Array(rows * 2)
  const offsets = new Float64Array(rows)
  const lengths = new Float64Array(rows).fill(Workload.chunkBytes)
  const ids = new Uint32Array(rows)
  for (let row = 0; row < rows; row++) {
    indices[row * 2] = Math.floor(row / gridSize)
    indices[row * 2 + 1] = row % gridSize
    offsets[row] = Workload.offsetOf(row)
    ids[row] = Workload.fileOf(row)
  }
  const values = Array.from({ length: Workload.files }, (_, file) => Workload.location(at, file))
  const start = performance.now()
  yield* session.setVirtualRefs(
    "/data",
    { indices, offsets, lengths, locations: { values, ids } },
    { validateContainers: false }
  )
  const set = (performance.now() - start) / 1000
  const before = performance.now()
  yield* session.commit("a million virtual refs")
  return { set, commit: (performance.now() - before) / 1000 }
})

const open = Effect.gen(function* () {
  const repository = yield* Repository.open({ credentials: { file: Credentials.directory(at.data) } })
  return yield* repository.readonlySession({ branch: "main" })
})

const read = Effect.gen(function* () {
  const session = yield* open
  const bytes = yield* session.chunk("/data", Workload.readIndex)
  if (bytes?.length !== Workload.chunkBytes) return yield* Effect.die("wrong chunk")
})

const stream = Effect.gen(function* () {
  const session = yield* open
  const start = performance.now()
  const counted = yield* Stream.runFold(
    Stream.chunks(session.virtualLocations()),
    () => ({ locations: 0, characters: 0 }),
    (sum, batch) => {
      let characters = 0
      for (const location of batch) characters += location.length
      return { locations: sum.locations + batch.length, characters: sum.characters + characters }
    }
  )
  if (counted.locations !== Workload.rows) return yield* Effect.die(`${counted.locations} locations`)
  return { stream: (performance.now() - start) / 1000 }
})

const run = <A, E>(effect: Effect.Effect<A, E, Layer.Success<typeof services> | Scope.Scope>) =>
  runtime.runPromise(Effect.scoped(effect))

const measured = await (async (): Promise<Workload.Measured> => {
  switch (task) {
    case "write":
      return { ...(await run(write)), writeMemory: Workload.peakMemory() }
    case "read": {
      const [, seconds] = await Workload.timed(() => run(read))
      return { read: seconds }
    }
    case "stream":
      return { ...(await run(stream)), streamMemory: Workload.peakMemory() }
    default:
      throw new Error(`no task ${String(task)}`)
  }
})()
console.log(JSON.stringify(measured))
await runtime.dispose()
