import { Maintenance, Repository } from "@effect-icechunk/core"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Gc from "../works/gc.ts"
import * as Program from "./Program.ts"

const array = (chunks: number, chunk: number) => ({
  shape: [chunks * chunk],
  chunkShape: [chunk],
  dataType: "uint8",
  fillValue: 0
})

const prepare = async ({ directory }: Input): Promise<Samples> => {
  await Program.onFiles(directory, { flush: false }).run(
    Effect.gen(function* () {
      const repository = yield* Repository.create({
        persist: {
          manifest: {
            splitting: { split_sizes: [["any_array", [{ condition: "Any", num_chunks: Gc.refsPerManifest }]]] }
          }
        }
      })
      const session = yield* repository.writableSession("main")
      yield* session.createArray("/virtual", array(Gc.refs, 64))
      yield* session.createArray("/native", array(100, 1000))
      yield* session.setVirtualRefs(
        "/virtual",
        {
          indices: Uint32Array.from({ length: Gc.refs }, (_, i) => i),
          offsets: Float64Array.from({ length: Gc.refs }, (_, i) => (i % 1000) * 64),
          lengths: new Float64Array(Gc.refs).fill(64),
          locations: {
            values: Array.from({ length: Gc.refs / 1000 }, (_, file) => `s3://bucket/file-${file}.nc`),
            ids: Uint32Array.from({ length: Gc.refs }, (_, i) => Math.floor(i / 1000))
          }
        },
        { validateContainers: false }
      )
      yield* session.commit("the refs")
      for (let i = 1; i < Gc.commits; i++) {
        yield* session.setChunk("/native", [i % 100], Buffer.alloc(1000, 1 + (i % 200)))
        yield* session.commit(`commit ${i}`)
      }
    })
  )
  return {}
}

const everything = { olderThan: 0, minimumAge: 0 } as const

const collect = async ({ directory }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory)
  const repository = await program.run(Repository.open())
  const dry = await Meter.measure(() =>
    program.run(Maintenance.collectGarbage(repository, { ...everything, dryRun: true }))
  )
  if (dry.result.deleted.total.files !== 0) throw new Error("there is garbage")
  const history = await program.run(repository.history({ branch: "main" }))
  const { flushedAt } = history[Gc.kept - 1]!
  const collected = await Meter.measure(() =>
    program.run(
      Effect.andThen(
        Maintenance.expire(repository, { before: DateTime.makeUnsafe(flushedAt / 1000) }),
        Maintenance.collectGarbage(repository, everything)
      )
    )
  )
  const { manifests, snapshots } = collected.result.deleted
  const expired = Gc.commits - Gc.kept
  if (snapshots.files !== expired) throw new Error(`${snapshots.files} snapshots were deleted, of ${expired}`)
  if (manifests.files < expired - 1) throw new Error(`${manifests.files} manifests were deleted`)
  return { dry: dry.sample, collect: { ...collected.sample, bytes: collected.result.deleted.total.bytes } }
}

export const tasks: Tasks = { prepare, collect }
