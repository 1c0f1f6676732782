import { Repository } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Meter from "../Meter.ts"
import type { Input, Sample, Samples, Tasks } from "../Work.ts"
import * as Commits from "../works/commits.ts"
import * as Program from "./Program.ts"

/** The root group, the array, and so many commits in all. */
const prepare = async ({ directory, size = 10 }: Input): Promise<Samples> => {
  await Program.onFiles(directory, { flush: false }).run(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      yield* session.createGroup("/")
      yield* session.setMetadata("/data", new TextEncoder().encode(Commits.arrayJson))
      yield* session.commit("the array")
      for (let i = 1; i < size; i++) {
        yield* session.setChunk("/data", [i % 100], Commits.chunk(i))
        yield* session.commit(`commit ${i}`)
      }
    })
  )
  return {}
}

const commit = async ({ directory, variant }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory, { flush: variant !== "noflush" })
  const { repository, session } = await program.run(
    Effect.gen(function* () {
      const repository = yield* Repository.open()
      return { repository, session: yield* repository.writableSession("main") }
    })
  )
  const samples: Array<Sample> = []
  let tip = ""
  for (let i = 0; i < Commits.commits; i++) {
    samples.push(
      await Meter.sample(async () => {
        tip = await program.run(
          Effect.andThen(session.setChunk("/data", [i], Commits.chunk(i + 7)), session.commit(`measured ${i}`))
        )
      })
    )
  }
  const tips = await program.run(repository.branches)
  if (tips.get("main") !== tip) throw new Error("the branch is elsewhere")
  return { commit: Meter.median(samples), first: samples[0]! }
}

const history = async ({ directory, size = 0 }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory)
  const opened = await Meter.measure(() => program.run(Repository.open()))
  const walked = await Meter.measure(() => program.run(opened.result.history({ branch: "main" })))
  // The one that creates the repository is a snapshot, too.
  if (walked.result.length !== size + 1) throw new Error(`${walked.result.length} commits`)
  return { history: walked.sample, open: opened.sample }
}

export const tasks: Tasks = { prepare, commit, history }
