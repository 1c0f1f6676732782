import type { Input, Samples, Tasks } from "../Work.ts"
import * as Trips from "../works/trips.ts"
import * as Engine from "./Engine.ts"

const at = ({ directory, server = "" }: Input, name: string | number): Engine.Storage =>
  Engine.s3(server, Trips.bucket, `${directory}/${name}`)

const written = async (storage: Engine.Storage): Promise<{ repository: Engine.Repository; id: string }> => {
  const repository = await Engine.Repository.create(storage)
  const session = await repository.writableSession("main")
  await session.store.set("data/zarr.json", Buffer.from(Trips.arrayJson))
  await session.store.set("data/c/0", Trips.chunk(0))
  return { repository, id: await session.commit("one chunk") }
}

const open = async (input: Input): Promise<Samples> => {
  await written(at(input, "read"))
  return Trips.repeated("trips-open", input, () => {
    const storage = at(input, "read")
    return Trips.withDelay(input, async () => {
      const repository = await Engine.Repository.open(storage)
      const { store } = await repository.readonlySession({ branch: "main" })
      const bytes = await store.get("data/c/0")
      if (bytes?.length !== Trips.chunkBytes) throw new Error("the chunk is another one")
    })
  })
}

const commit = async (input: Input): Promise<Samples> => {
  const { repository } = await written(at(input, "commit"))
  return Trips.repeated("trips-commit", input, async (i) => {
    const session = await repository.writableSession("main")
    await session.store.set(`data/c/${i + 1}`, Trips.inlineChunk(i))
    return Trips.withDelay(input, () => session.commit(`commit ${i}`))
  })
}

const create = (input: Input): Promise<Samples> =>
  Trips.repeated("trips-create", input, (i) => {
    const storage = at(input, i)
    return Trips.withDelay(input, () => Engine.Repository.create(storage))
  })

const tag = async (input: Input): Promise<Samples> => {
  const { id, repository } = await written(at(input, "tag"))
  return Trips.repeated("trips-tag", input, (i) => Trips.withDelay(input, () => repository.createTag(`tag-${i}`, id)))
}

export const tasks: Tasks = { "trips-open": open, "trips-commit": commit, "trips-create": create, "trips-tag": tag }
