import { Repository } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Trips from "../works/trips.ts"
import * as Clouds from "./Clouds.ts"
import * as Program from "./Program.ts"

const at = ({ directory, server = "" }: Input, name: string | number): Program.Program =>
  Clouds.onS3(server, Trips.bucket, `${directory}/${name}`)

/** A repository with one native chunk. */
const written = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  yield* session.createGroup("/")
  yield* session.setMetadata("/data", new TextEncoder().encode(Trips.arrayJson))
  yield* session.setChunk("/data", [0], Trips.chunk(0))
  yield* session.commit("one chunk")
  return { repository, session }
})

const open = async (input: Input): Promise<Samples> => {
  await at(input, "read").run(written)
  return Trips.repeated("trips-open", input, async () => {
    const program = at(input, "read")
    return Trips.withDelay(input, () =>
      program.run(
        Effect.gen(function* () {
          const repository = yield* Repository.open()
          const session = yield* repository.readonlySession({ branch: "main" })
          const bytes = yield* session.chunk("/data", [0])
          yield* Program.expect(bytes?.length === Trips.chunkBytes, "the chunk is another one")
        })
      )
    )
  })
}

const commit = async (input: Input): Promise<Samples> => {
  const program = at(input, "commit")
  const { session } = await program.run(written)
  return Trips.repeated("trips-commit", input, async (i) => {
    await program.run(session.setChunk("/data", [i + 1], Trips.inlineChunk(i)))
    return Trips.withDelay(input, () => program.run(session.commit(`commit ${i}`)))
  })
}

const create = (input: Input): Promise<Samples> =>
  Trips.repeated("trips-create", input, async (i) => {
    const program = at(input, i)
    return Trips.withDelay(input, () => program.run(Repository.create()))
  })

const tag = async (input: Input): Promise<Samples> => {
  const program = at(input, "tag")
  const { repository, session } = await program.run(written)
  const id = await program.run(session.snapshotId)
  return Trips.repeated("trips-tag", input, (i) =>
    Trips.withDelay(input, () => program.run(repository.createTag(`tag-${i}`, id)))
  )
}

export const tasks: Tasks = { "trips-open": open, "trips-commit": commit, "trips-create": create, "trips-tag": tag }
