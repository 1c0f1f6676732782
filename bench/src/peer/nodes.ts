import * as Meter from "../Meter.ts"
import type { Input, Sample, Samples, Tasks } from "../Work.ts"
import * as Nodes from "../works/nodes.ts"
import * as Engine from "./Engine.ts"

const write = async ({ directory, size = Nodes.groups }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.create(await Engine.Storage.newLocalFilesystem(directory))
  const session = await repository.writableSession("main")
  const { store } = session
  const [groupJson, arrayJson] = [Nodes.groupJson, Nodes.arrayJson].map((json) => Buffer.from(json))
  const create = await Meter.sample(async () => {
    await store.set("zarr.json", groupJson!)
    for (let group = 0; group < size; group++) {
      await store.set(`${Nodes.groupPath(group)}/zarr.json`, groupJson!)
      for (let array = 0; array < Nodes.arraysPerGroup; array++) {
        await store.set(`${Nodes.arrayPath(group, array)}/zarr.json`, arrayJson!)
      }
    }
  })
  const commit = await Meter.sample(() => session.commit("nodes"))
  return { create, commit, write: { value: create.value + commit.value, cpu: create.cpu! + commit.cpu! } }
}

const list = async ({ directory, size = Nodes.groups }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.open(await Engine.Storage.newLocalFilesystem(directory))
  const { store } = await repository.readonlySession({ branch: "main" })
  const samples: Array<Sample> = []
  for (let i = 0; i < 20; i++) {
    const { result, sample } = await Meter.measure(() => store.listDir(Nodes.groupPath(Nodes.listedOf(size, i))))
    if (!Nodes.isListing(result)) throw new Error(`${result.length} names`)
    samples.push(sample)
  }
  return { "nodes-60k-list": Meter.median(samples) }
}

const commit = async ({ directory, size = Nodes.groups }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.open(await Engine.Storage.newLocalFilesystem(directory))
  const session = await repository.writableSession("main")
  const key = `${Nodes.arrayPath(Nodes.listedOf(size, 0), 3)}/c/1/1`
  const sample = await Meter.sample(async () => {
    await session.store.set(key, Buffer.alloc(64, 5))
    await session.commit("one chunk")
  })
  return { "nodes-60k-commit": sample }
}

export const tasks: Tasks = { write, "nodes-60k-list": list, "nodes-60k-commit": commit }
