/**
 * Imports HDF5 files of 1,000 chunks each into one array, one after another along its first dimension:
 * `importing.ts [FILES] [earliest|latest]`. Prints the time, the requests, the processor time of a ref, and the peak memory.
 */
import * as fs from "node:fs"
import {
  MemoryObjectStore,
  type ObjectStore,
  Platform,
  Repository,
  type WritableSession,
  type Zstd
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { Hdf5, Import, SourceFile } from "@effect-icechunk/import"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const [files = "1000", age = "latest"] = process.argv.slice(2)
const count = Number(files)

const content = new Uint8Array(
  fs.readFileSync(new URL(`../../packages/import/test/files/written/thousand-${age}.h5`, import.meta.url))
)

/** All files are one object under many names: what is measured is not how they are held. */
const sources = (memory: ObjectStore.ObjectStoreShape, seen: { requests: number; bytes: number }) => ({
  ...memory,
  head: () => Effect.suspend(() => (seen.requests++, memory.head("bucket/file"))),
  get: (_: string, options?: Parameters<typeof memory.get>[1]) =>
    memory.get("bucket/file", options).pipe(
      Effect.tap(({ bytes }) =>
        Effect.sync(() => {
          seen.requests++
          seen.bytes += bytes.length
        })
      )
    )
})

const one = Effect.fnUntraced(function* (
  session: WritableSession.WritableSession,
  store: ObjectStore.ObjectStoreShape,
  number: number
) {
  const key = `bucket/run/${number}.h5`
  const dataset = yield* Hdf5.dataset(SourceFile.make(store, key, `s3://${key}`))
  const array = dataset.arrays.find(({ path }) => path === "/t")!
  const placed = array.chunks.pipe(
    Stream.map((chunks) => {
      if (chunks._tag === "Refs") {
        const { indices } = chunks.refs
        for (let at = 0; at < indices.length; at += 3) indices[at] = number
      }
      return chunks
    })
  )
  return yield* Import.chunks(session, "/t", placed)
})

const program = Effect.gen(function* () {
  const memory = yield* MemoryObjectStore.make()
  yield* memory.put("bucket/file", content)
  const seen = { requests: 0, bytes: 0 }
  const store = sources(memory, seen)
  const services: Layer.Layer<ObjectStore.ObjectStore | Platform.Platforms | Zstd.Zstd> = Layer.mergeAll(
    MemoryObjectStore.layer(),
    Platform.layer([Effect.succeed(Platform.fromStore("s3", memory))]),
    NodeZstd.layer
  )
  const context = yield* Layer.build(services)
  const repository = yield* Effect.provide(Repository.create(), context)
  const session = yield* repository.writableSession("main")
  const first = yield* Hdf5.dataset(SourceFile.make(store, "bucket/file", "s3://bucket/file"))
  const array = first.arrays.find(({ path }) => path === "/t")!
  yield* session.createArray("/t", {
    shape: [count, ...array.shape.slice(1)],
    chunkShape: array.chunkShape,
    dataType: array.dataType,
    fillValue: array.fillValue,
    codecs: array.codecs
  })
  const cpu = process.cpuUsage()
  const start = performance.now()
  const counts = yield* Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) => one(session, store, i),
    {
      concurrency: 16
    }
  )
  const imported = performance.now()
  const used = process.cpuUsage(cpu)
  const refs = counts.reduce((sum, { refs }) => sum + refs, 0)
  const peakImport = process.resourceUsage().maxRSS / 1024
  yield* session.commit(`${count} files`)
  const committed = performance.now()
  console.log({
    files: count,
    refs,
    seconds: (imported - start) / 1000,
    commitSeconds: (committed - imported) / 1000,
    requestsPerFile: seen.requests / (count + 1),
    bytesPerFile: seen.bytes / (count + 1),
    cpuMicrosecondsPerRef: (used.user + used.system) / refs,
    peakMebibytes: peakImport,
    peakMebibytesWithCommit: process.resourceUsage().maxRSS / 1024
  })
})

await Effect.runPromise(Effect.scoped(program))
