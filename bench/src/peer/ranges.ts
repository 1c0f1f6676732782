import * as Meter from "../Meter.ts"
import * as Random from "../Random.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Ranges from "../works/ranges.ts"
import * as Engine from "./Engine.ts"

const read =
  (id: string, pattern: Ranges.Pattern) =>
  async ({ delay = 0, directory, server = "" }: Input): Promise<Samples> => {
    await Meter.setDelay(server, delay)
    const { access, config } = Engine.objects(server, Ranges.bucket)
    const storage = await Engine.Storage.newLocalFilesystem(directory)
    const repository = await Engine.Repository.open(storage, config, access)
    const { store } = await repository.readonlySession({ branch: "main" })
    const checked = async (chunk: number): Promise<void> => {
      const bytes = await store.get(`data/c/${chunk}`)
      if (!Ranges.isChunk(chunk, bytes)) throw new Error(`chunk ${chunk} is another one`)
    }
    await checked(Ranges.far)
    const order = Random.shuffled(Ranges.wanted(pattern), 5)
    return { [id]: await Meter.sample(() => Promise.all(order.map(checked)), { server }) }
  }

export const tasks: Tasks = {
  "adjacent-10k": read("adjacent-10k", Ranges.adjacent),
  "scattered-5k": read("scattered-5k", Ranges.scattered),
  // Without a call for many chunks, all are asked for at once.
  "adjacent-10k-bulk": read("adjacent-10k-bulk", Ranges.adjacent),
  "scattered-5k-bulk": read("scattered-5k-bulk", Ranges.scattered),
  spaced: (input) => read("spaced", Ranges.spaced(Ranges.spacedCount, input.size ?? 1))(input)
}
