import { Credentials, Repository, type Session } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Meter from "../Meter.ts"
import * as Random from "../Random.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Ranges from "../works/ranges.ts"
import * as Clouds from "./Clouds.ts"
import * as Program from "./Program.ts"

/** The container is named at run time: the address of the server is another one in each run. */
const options = (server: string): Repository.OpenOptions => ({
  config: {
    virtual_chunk_containers: [
      {
        name: "s3",
        protocol: "s3",
        platform: "s3",
        region: "us-east-1",
        bucket_prefix: Ranges.bucket,
        cloud_client_config: { endpoint_url: server, force_path_style: true, anonymous: true }
      }
    ]
  },
  credentials: { s3: Credentials.grant({ credentials: Credentials.anonymous, endpoints: [server] }) }
})

const prepare = async ({ directory, server = "" }: Input): Promise<Samples> => {
  const { bucket, chunkBytes, far, key } = Ranges
  await Meter.setDelay(server, 0)
  await Meter.fill(server, { bucket, key, chunkBytes, chunks: far + 1 })
  await Clouds.onFilesAndS3(directory).run(
    Effect.gen(function* () {
      const repository = yield* Repository.create()
      const session = yield* repository.writableSession("main")
      const count = far + 1
      yield* session.createGroup("/")
      yield* session.createArray("/data", {
        shape: [count * chunkBytes],
        chunkShape: [chunkBytes],
        dataType: "uint8",
        fillValue: 0
      })
      const indices = Uint32Array.from({ length: count }, (_, chunk) => chunk)
      yield* session.setVirtualRefs(
        "/data",
        {
          indices,
          offsets: Float64Array.from(indices, (chunk) => chunk * chunkBytes),
          lengths: new Float64Array(count).fill(chunkBytes),
          locations: `s3://${bucket}/${key}`
        },
        { validateContainers: false }
      )
      yield* session.commit("refs")
    })
  )
  return {}
}

const checked = (session: Session.Session, chunk: number) =>
  Effect.flatMap(session.chunk("/data", [chunk]), (bytes) =>
    Program.expect(Ranges.isChunk(chunk, bytes), `chunk ${chunk} is another one`)
  )

/** A session that has read a chunk, on a store that takes its time. */
const opened = async ({ delay = 0, directory, server = "" }: Input) => {
  const program = Clouds.onFilesAndS3(directory)
  await Meter.setDelay(server, delay)
  const session = await program.run(
    Effect.flatMap(Repository.open(options(server)), (repository) => repository.readonlySession({ branch: "main" }))
  )
  await program.run(checked(session, Ranges.far))
  return { program, session }
}

/** What is looked at while chunks are read. */
interface Watch {
  readonly begin: () => void
  readonly answered: () => void
}

const unwatched: Watch = { begin: () => undefined, answered: () => undefined }

const read =
  (id: string, pattern: Ranges.Pattern, watch: Watch = unwatched) =>
  async (input: Input): Promise<Samples> => {
    const { server } = input
    const { program, session } = await opened(input)
    const order = Random.shuffled(Ranges.wanted(pattern), 5)
    watch.begin()
    const sample = await Meter.sample(
      () =>
        program.run(
          Effect.forEach(order, (chunk) => Effect.tap(checked(session, chunk), () => Effect.sync(watch.answered)), {
            concurrency: "unbounded",
            discard: true
          })
        ),
      { server }
    )
    return { [id]: sample }
  }

/** The same through `session.chunks`. */
const readBulk =
  (id: string, pattern: Ranges.Pattern, watch: Watch = unwatched) =>
  async (input: Input): Promise<Samples> => {
    const { server } = input
    const { program, session } = await opened(input)
    const order = Uint32Array.from(Random.shuffled(Ranges.wanted(pattern), 5))
    watch.begin()
    const { result, sample } = await Meter.measure(
      () =>
        program.run(
          Stream.runFold(
            session.chunks("/data", order),
            () => 0,
            (count, { bytes, index }) => {
              if (!Ranges.isChunk(index[0]!, bytes)) throw new Error(`chunk ${index[0]} is another one`)
              return count + 1
            }
          )
        ),
      { server }
    )
    if (result !== order.length) throw new Error(`${result} chunks`)
    return { [id]: sample }
  }

/** The same, of which the memory counts that it takes beyond what the program had before: in all, or until the first answer. */
const memory =
  (id: string, until: "end" | "answer", reading: (id: string, watch: Watch) => (input: Input) => Promise<Samples>) =>
  async (input: Input): Promise<Samples> => {
    let held: Meter.Held | undefined
    let most: number | undefined
    const watch: Watch = {
      begin: () => {
        held = Meter.holding()
      },
      answered: () => {
        if (until === "answer") most ??= held?.most()
      }
    }
    const samples = await reading(id, watch)(input)
    return { [id]: { ...samples[id]!, value: most ?? held!.most() } }
  }

export const tasks: Tasks = {
  prepare,
  "adjacent-10k": read("adjacent-10k", Ranges.adjacent),
  "scattered-5k": read("scattered-5k", Ranges.scattered),
  "memory-waiting-100k": memory("memory-waiting-100k", "answer", (id, watch) => read(id, Ranges.waiting, watch)),
  "adjacent-10k-bulk": readBulk("adjacent-10k-bulk", Ranges.adjacent),
  "scattered-5k-bulk": readBulk("scattered-5k-bulk", Ranges.scattered),
  "memory-bulk-100k": memory("memory-bulk-100k", "end", (id, watch) => readBulk(id, Ranges.waiting, watch)),
  spaced: (input) => read("spaced", Ranges.spaced(Ranges.spacedCount, input.size ?? 1))(input)
}
