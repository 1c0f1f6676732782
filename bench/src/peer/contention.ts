import type { Input, Samples, Tasks } from "../Work.ts"
import * as Contention from "../works/contention.ts"
import * as Engine from "./Engine.ts"

const at = ({ directory, server = "" }: Input): Engine.Storage => Engine.s3(server, Contention.bucket, directory)

/** Commits once more after each rebase that was not fast enough. */
const commitRebasing = async (session: Engine.Session, message: string): Promise<void> => {
  for (let attempt = 0; ; attempt++) {
    try {
      await session.commit(message)
      return
    } catch (error) {
      if (attempt === 200) throw error
      // Without a wait all of them lose to each other, again and again.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(1000, 20 * 2 ** attempt)))
      await session.rebase()
    }
  }
}

const contend =
  (id: string) =>
  async (input: Input): Promise<Samples> => {
    const { commits, together, writers } = Contention.contentions[id]!
    const numbers = Array.from({ length: writers }, (_, i) => i)
    const created = await Engine.Repository.create(at(input))
    const first = await created.writableSession(Contention.branch)
    for (const i of numbers) await first.store.set(`a${i}/zarr.json`, Buffer.from(Contention.arrayJson))
    await first.commit("arrays")
    const clients = await Promise.all(numbers.map(async () => (together ? created : Engine.Repository.open(at(input)))))
    return Contention.measured(id, input, () =>
      Promise.all(
        clients.map(async (repository, i) => {
          for (let n = 0; n < commits; n++) {
            const session = await repository.writableSession(Contention.branch)
            await session.store.set(`a${i}/c/${n}`, Contention.chunk(n))
            await commitRebasing(session, `commit ${n} of ${i}`)
          }
        })
      )
    )
  }

export const tasks: Tasks = Object.fromEntries(Object.keys(Contention.contentions).map((id) => [id, contend(id)]))
