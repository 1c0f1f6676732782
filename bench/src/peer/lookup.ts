import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Lookup from "../works/lookup.ts"
import * as Engine from "./Engine.ts"

const lookUp =
  (id: string, concurrency: number) =>
  async ({ directory }: Input): Promise<Samples> => {
    const at = Lookup.places(directory)
    const { access, config } = Engine.files(at.data)
    const storage = await Engine.Storage.newLocalFilesystem(at.repository)
    const repository = await Engine.Repository.open(storage, config, access)
    const { store } = await repository.readonlySession({ branch: "main" })
    const readAll = (rows: ReadonlyArray<number>): Promise<void> =>
      Engine.forEach(rows, concurrency, async (row) => {
        const bytes = await store.get(`data/c/${row}`)
        if (!Lookup.isChunk(row, bytes)) throw new Error(`row ${row} is another one`)
      })
    await readAll(Lookup.before)
    const sample = await Meter.sample(() => readAll(Lookup.wanted))
    return { [id]: Meter.per(Lookup.reads, sample) }
  }

export const tasks: Tasks = {
  "lookup-64": lookUp("lookup-64", 64),
  "lookup-1": lookUp("lookup-1", 1),
  "lookup-files": lookUp("lookup-files", 64)
}
