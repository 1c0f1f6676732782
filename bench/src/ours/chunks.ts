import { Repository } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Meter from "../Meter.ts"
import * as Random from "../Random.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Chunks from "../works/chunks.ts"
import * as Clouds from "./Clouds.ts"
import * as Program from "./Program.ts"

type Kind = "s3" | "gcs"

const at = (kind: Kind, { directory, server = "" }: Input): Program.Program =>
  kind === "s3" ? Clouds.onS3(server, Chunks.bucket, directory) : Clouds.onGcs(server, Chunks.bucket, directory)

const withArrays = Effect.gen(function* () {
  const repository = yield* Repository.create()
  const session = yield* repository.writableSession("main")
  yield* session.createGroup("/")
  for (const array of Chunks.arrays) {
    yield* session.setMetadata(`/${array.name}`, new TextEncoder().encode(Chunks.arrayJson(array)))
  }
  return session
})

const prepare =
  (kind: Kind) =>
  async (input: Input): Promise<Samples> => {
    await Meter.setDelay(input.server!, 0)
    await at(kind, input).run(
      Effect.gen(function* () {
        const session = yield* withArrays
        for (const array of Chunks.arrays) {
          const all = Array.from({ length: array.chunks + 1 }, (_, chunk) => chunk)
          yield* Effect.forEach(
            all,
            (chunk) => session.setChunk(`/${array.name}`, [chunk], Chunks.bytesOf(array, chunk)),
            { concurrency: 16, discard: true }
          )
        }
        yield* session.commit("chunks")
      })
    )
    return {}
  }

const read =
  (id: string, kind: Kind, array: Chunks.Array) =>
  async (input: Input): Promise<Samples> => {
    const { delay = 0, server = "" } = input
    const program = at(kind, input)
    await Meter.setDelay(server, delay)
    const session = await program.run(
      Effect.flatMap(Repository.open(), (repository) => repository.readonlySession({ branch: "main" }))
    )
    const chunk = (i: number) =>
      Effect.flatMap(session.chunk(`/${array.name}`, [i]), (bytes) =>
        Program.expect(Chunks.isChunk(array, i, bytes), `chunk ${i} is another one`)
      )
    await program.run(chunk(array.chunks))
    const order = Random.shuffled(
      Array.from({ length: array.chunks }, (_, i) => i),
      3
    )
    const sample = await Meter.sample(
      () => program.run(Effect.forEach(order, chunk, { concurrency: "unbounded", discard: true })),
      { server }
    )
    return { [id]: sample }
  }

const write =
  (id: string, kind: Kind, array: Chunks.Array) =>
  async (input: Input): Promise<Samples> => {
    const { delay = 0, server = "" } = input
    const program = at(kind, input)
    await Meter.setDelay(server, 0)
    const session = await program.run(withArrays)
    await Meter.setDelay(server, delay)
    const all = Array.from({ length: array.chunks }, (_, chunk) => [chunk, Chunks.bytesOf(array, chunk)] as const)
    const sample = await Meter.sample(
      () =>
        program.run(
          Effect.andThen(
            Effect.forEach(all, ([chunk, bytes]) => session.setChunk(`/${array.name}`, [chunk], bytes), {
              concurrency: "unbounded",
              discard: true
            }),
            session.commit("chunks")
          )
        ),
      { server }
    )
    return { [id]: sample }
  }

export const tasks: Tasks = {
  "s3-prepare": prepare("s3"),
  "gcs-prepare": prepare("gcs"),
  "s3-chunks": read("s3-chunks", "s3", Chunks.small),
  "s3-large": read("s3-large", "s3", Chunks.large),
  "gcs-chunks": read("gcs-chunks", "gcs", Chunks.small),
  "s3-chunks-write": write("s3-chunks-write", "s3", Chunks.small),
  "gcs-chunks-write": write("gcs-chunks-write", "gcs", Chunks.small)
}
