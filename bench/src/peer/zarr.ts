import * as zarrita from "zarrita"
import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Zarr from "../works/zarr.ts"
import * as Engine from "./Engine.ts"

const write = async ({ directory }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.create(await Engine.Storage.newLocalFilesystem(directory))
  const session = await repository.writableSession("main")
  const { store } = session
  await store.set("data/zarr.json", Buffer.from(Zarr.arrayJson))
  const chunks = Array.from({ length: Zarr.chunks }, (_, chunk) => [chunk, Zarr.bytesOf(chunk)] as const)
  const sample = await Meter.sample(async () => {
    await Engine.forEach(chunks, 16, ([chunk, bytes]) => store.set(`data/c/${chunk}`, bytes))
    await session.commit("chunks")
  })
  return { write: sample }
}

const read = async ({ directory }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.open(await Engine.Storage.newLocalFilesystem(directory))
  const { store } = await repository.readonlySession({ branch: "main" })
  const { result, sample } = await Meter.measure(async () => {
    const readable = { get: async (key: string) => (await store.get(key.slice(1))) ?? undefined }
    const array = await zarrita.open(zarrita.root(readable).resolve("/data"), { kind: "array" })
    return (await zarrita.get(array)).data as Float32Array
  })
  if (!Zarr.isWhole(result)) throw new Error("the data is another")
  return { "zarr-read": sample }
}

export const tasks: Tasks = { write, "zarr-read": read }
