import { Repository } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Contention from "../works/contention.ts"
import * as Clouds from "./Clouds.ts"
import * as Program from "./Program.ts"

const at = ({ directory, server = "" }: Input): Program.Program => Clouds.onS3(server, Contention.bucket, directory)

const contend =
  (id: string) =>
  async (input: Input): Promise<Samples> => {
    const { commits, together, writers } = Contention.contentions[id]!
    const numbers = Array.from({ length: writers }, (_, i) => i)
    await at(input).run(
      Effect.gen(function* () {
        const session = yield* (yield* Repository.create()).writableSession(Contention.branch)
        yield* session.createGroup("/")
        for (const i of numbers) {
          yield* session.setMetadata(`/a${i}`, new TextEncoder().encode(Contention.arrayJson))
        }
        yield* session.commit("arrays")
      })
    )
    const one = at(input)
    const shared = await one.run(Repository.open())
    const sessions = await Promise.all(
      numbers.map(async () => {
        const program = together ? one : at(input)
        const repository = together ? shared : await program.run(Repository.open())
        return { program, session: await program.run(repository.writableSession(Contention.branch)) }
      })
    )
    const samples = await Contention.measured(id, input, () =>
      Promise.all(
        sessions.map(({ program, session }, i) =>
          program.run(
            Effect.gen(function* () {
              for (let n = 0; n < commits; n++) {
                yield* session.setChunk(`/a${i}`, [n], Contention.chunk(n))
                yield* session.commit(`commit ${n} of ${i}`, { rebase: {} })
              }
            })
          )
        )
      )
    )
    await at(input).run(
      Effect.gen(function* () {
        const repository = yield* Repository.open()
        const session = yield* repository.readonlySession({ branch: Contention.branch })
        for (const i of numbers) {
          for (let n = 0; n < commits; n++) {
            const bytes = yield* session.chunk(`/a${i}`, [n])
            yield* Program.expect(bytes?.[0] === 1 + n, `chunk ${n} of writer ${i} is lost`)
          }
        }
        const history = yield* repository.history({ branch: Contention.branch })
        yield* Program.expect(history.length === 2 + writers * commits, "a commit is lost, or made twice")
      })
    )
    return samples
  }

export const tasks: Tasks = Object.fromEntries(Object.keys(Contention.contentions).map((id) => [id, contend(id)]))
