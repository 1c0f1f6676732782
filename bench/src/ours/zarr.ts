import { Repository, ZarritaStore } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as zarrita from "zarrita"
import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Zarr from "../works/zarr.ts"
import * as Program from "./Program.ts"

const write = async ({ directory, variant }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory, { flush: variant !== "noflush" })
  const session = await program.run(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.setMetadata("/data", new TextEncoder().encode(Zarr.arrayJson))
      return session
    })
  )
  const chunks = Array.from({ length: Zarr.chunks }, (_, chunk) => Zarr.bytesOf(chunk))
  const sample = await Meter.sample(() =>
    program.run(
      Effect.gen(function* () {
        yield* Effect.forEach(chunks, (bytes, chunk) => session.setChunk("/data", [chunk], bytes), {
          concurrency: 16,
          discard: true
        })
        yield* session.commit("chunks")
      })
    )
  )
  return { write: sample }
}

const read = async ({ directory }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory)
  const session = await program.run(
    Effect.flatMap(Repository.open(), (repository) => repository.readonlySession({ branch: "main" }))
  )
  const { result, sample } = await Meter.measure(async () => {
    const root = zarrita.root(ZarritaStore.fromSession(session))
    const array = await zarrita.open(root.resolve("/data"), { kind: "array" })
    return (await zarrita.get(array)).data as Float32Array
  })
  if (!Zarr.isWhole(result)) throw new Error("the data is another")
  return { "zarr-read": sample }
}

export const tasks: Tasks = { write, "zarr-read": read }
