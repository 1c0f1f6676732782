import { Credentials, Repository, type RepositoryConfig } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Million from "../works/million.ts"
import * as Program from "./Program.ts"

const dataOf = ({ directory, size = Million.million, variant }: Input): Million.Data =>
  Million.dataOf(directory, size, variant === "files" ? 1 : 100)

/** One manifest for each so many rows. */
const split = (rows: number): RepositoryConfig.RepositoryConfig => ({
  manifest: { splitting: { split_sizes: [["any_array", [{ condition: { Axis: 0 }, num_chunks: rows }]]] } }
})

const columnsOf = (data: Million.Data, from: number, to: number, values: ReadonlyArray<string>) => {
  const count = to - from
  const { columns } = Million
  const indices = new Uint32Array(count * 2)
  const offsets = new Float64Array(count)
  const ids = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    const ref = from + i
    indices[i * 2] = Math.floor(ref / columns)
    indices[i * 2 + 1] = ref % columns
    offsets[i] = Million.offsetOf(data, ref)
    ids[i] = Million.fileOf(data, i)
  }
  return { indices, offsets, lengths: new Float64Array(count).fill(Million.chunkBytes), locations: { values, ids } }
}

const locations = (data: Million.Data, from: number, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, file) => Million.locationOf(data, from + file))

const write = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const program = Program.onFiles(data.repository)
  const session = await program.run(
    Effect.gen(function* () {
      const rows = Million.splitRows(input.variant)
      const repository = yield* Repository.create(rows === undefined ? {} : { persist: split(rows) })
      const session = yield* repository.writableSession("main")
      yield* session.setMetadata("/data", new TextEncoder().encode(Million.arrayJson(data.rows)))
      return session
    })
  )
  const columns = columnsOf(data, 0, data.refs, locations(data, 0, data.files))
  const set = await Meter.sample(() =>
    program.run(session.setVirtualRefs("/data", columns, { validateContainers: false }))
  )
  const commit = await Meter.sample(() => program.run(session.commit("a million virtual refs")))
  return { set, commit }
}

const open = (data: Million.Data) =>
  Effect.flatMap(Repository.open({ credentials: { file: Credentials.directory(data.data) } }), (repository) =>
    repository.readonlySession({ branch: "main" })
  )

const first = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const program = Program.onFiles(data.repository)
  const sample = await Meter.sample(() =>
    program.run(
      Effect.gen(function* () {
        const session = yield* open(data)
        const bytes = yield* session.chunk("/data", Million.readIndex(data))
        yield* Program.expect(Million.isChunk(bytes), "wrong chunk")
      })
    )
  )
  return { first: sample }
}

const streamed = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const program = Program.onFiles(data.repository)
  const session = await program.run(open(data))
  const { result, sample } = await Meter.measure(() =>
    program.run(
      Stream.runFold(
        Stream.chunks(session.virtualLocations()),
        () => ({ locations: 0, characters: 0 }),
        (sum, batch) => {
          let characters = 0
          for (const location of batch) characters += location.length
          return { locations: sum.locations + batch.length, characters: sum.characters + characters }
        }
      )
    )
  )
  if (result.locations !== data.refs) throw new Error(`${result.locations} locations`)
  return { locations: sample }
}

/** One more row of chunks, on a repository that is open. */
const append = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const program = Program.onFiles(data.repository)
  const repository = await program.run(Repository.open())
  const from = data.refs
  const columns = columnsOf(data, from, from + Million.columns, locations(data, data.files, Million.columns / 100))
  const sample = await Meter.sample(() =>
    program.run(
      Effect.gen(function* () {
        const session = yield* repository.writableSession("main")
        yield* session.setMetadata("/data", new TextEncoder().encode(Million.arrayJson(data.rows + 1)))
        yield* session.setVirtualRefs("/data", columns, { validateContainers: false })
        yield* session.commit("one more row")
      })
    )
  )
  const appended = await program.run(
    Effect.gen(function* () {
      const session = yield* repository.readonlySession({ branch: "main" })
      return [
        yield* session.chunkRef("/data", [data.rows, Million.columns - 1]),
        yield* session.chunkRef("/data", [0, 0])
      ]
    })
  )
  if (appended.some((ref) => ref?._tag !== "Virtual")) throw new Error("refs are missing")
  return { append: sample }
}

export const tasks: Tasks = { write, first, locations: streamed, append }
