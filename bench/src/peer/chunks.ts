import * as Meter from "../Meter.ts"
import * as Random from "../Random.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Chunks from "../works/chunks.ts"
import * as Engine from "./Engine.ts"

type Kind = "s3" | "gcs"

const at = (kind: Kind, { directory, server = "" }: Input): Engine.Storage =>
  kind === "s3" ? Engine.s3(server, Chunks.bucket, directory) : Engine.gcs(server, Chunks.bucket, directory)

const read =
  (id: string, kind: Kind, array: Chunks.Array) =>
  async (input: Input): Promise<Samples> => {
    const { delay = 0, server = "" } = input
    await Meter.setDelay(server, delay)
    const repository = await Engine.Repository.open(at(kind, input))
    const { store } = await repository.readonlySession({ branch: "main" })
    const chunk = async (i: number): Promise<void> => {
      const bytes = await store.get(`${array.name}/c/${i}`)
      if (!Chunks.isChunk(array, i, bytes)) throw new Error(`chunk ${i} is another one`)
    }
    await chunk(array.chunks)
    const order = Random.shuffled(
      Array.from({ length: array.chunks }, (_, i) => i),
      3
    )
    return { [id]: await Meter.sample(() => Promise.all(order.map(chunk)), { server }) }
  }

const write =
  (id: string, kind: Kind, array: Chunks.Array) =>
  async (input: Input): Promise<Samples> => {
    const { delay = 0, server = "" } = input
    await Meter.setDelay(server, 0)
    const repository = await Engine.Repository.create(at(kind, input))
    const session = await repository.writableSession("main")
    const { store } = session
    for (const array of Chunks.arrays) {
      await store.set(`${array.name}/zarr.json`, Buffer.from(Chunks.arrayJson(array)))
    }
    await Meter.setDelay(server, delay)
    const all = Array.from({ length: array.chunks }, (_, chunk) => [chunk, Chunks.bytesOf(array, chunk)] as const)
    const sample = await Meter.sample(
      async () => {
        await Promise.all(all.map(([chunk, bytes]) => store.set(`${array.name}/c/${chunk}`, bytes)))
        await session.commit("chunks")
      },
      { server }
    )
    return { [id]: sample }
  }

export const tasks: Tasks = {
  "s3-chunks": read("s3-chunks", "s3", Chunks.small),
  "s3-large": read("s3-large", "s3", Chunks.large),
  "gcs-chunks": read("gcs-chunks", "gcs", Chunks.small),
  "s3-chunks-write": write("s3-chunks-write", "s3", Chunks.small),
  "gcs-chunks-write": write("gcs-chunks-write", "gcs", Chunks.small)
}
