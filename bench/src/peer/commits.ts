import * as Meter from "../Meter.ts"
import type { Input, Sample, Samples, Tasks } from "../Work.ts"
import * as Commits from "../works/commits.ts"
import * as Engine from "./Engine.ts"

const prepare = async ({ directory, size = 10 }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.create(await Engine.Storage.newLocalFilesystem(directory))
  const first = await repository.writableSession("main")
  await first.store.set(
    "zarr.json",
    Buffer.from(JSON.stringify({ zarr_format: 3, node_type: "group", attributes: {} }))
  )
  await first.store.set("data/zarr.json", Buffer.from(Commits.arrayJson))
  await first.commit("the array")
  for (let i = 1; i < size; i++) {
    const session = await repository.writableSession("main")
    await session.store.set(`data/c/${i % 100}`, Commits.chunk(i))
    await session.commit(`commit ${i}`)
  }
  return {}
}

const commit = async ({ directory }: Input): Promise<Samples> => {
  const repository = await Engine.Repository.open(await Engine.Storage.newLocalFilesystem(directory))
  const samples: Array<Sample> = []
  let tip = ""
  for (let i = 0; i < Commits.commits; i++) {
    // A session of this engine is for one commit; ours goes on, so that opening another one is not counted.
    const session = await repository.writableSession("main")
    samples.push(
      await Meter.sample(async () => {
        await session.store.set(`data/c/${i}`, Commits.chunk(i + 7))
        tip = await session.commit(`measured ${i}`)
      })
    )
  }
  if ((await repository.lookupBranch("main")) !== tip) throw new Error("the branch is elsewhere")
  return { commit: Meter.median(samples), first: samples[0]! }
}

const history = async ({ directory, size = 0 }: Input): Promise<Samples> => {
  const storage = await Engine.Storage.newLocalFilesystem(directory)
  const opened = await Meter.measure(() => Engine.Repository.open(storage))
  const walked = await Meter.measure(() => opened.result.ancestry({ branch: "main" }))
  if (walked.result.length !== size + 1) throw new Error(`${walked.result.length} commits`)
  return { history: walked.sample, open: opened.sample }
}

export const tasks: Tasks = { prepare, commit, history }
