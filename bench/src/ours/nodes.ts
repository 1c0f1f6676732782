import { Repository, ZarrStore } from "@effect-icechunk/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Meter from "../Meter.ts"
import type { Input, Sample, Samples, Tasks } from "../Work.ts"
import * as Nodes from "../works/nodes.ts"
import * as Program from "./Program.ts"

const write = async ({ directory, size = Nodes.groups }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory)
  const session = await program.run(
    Effect.flatMap(Repository.create(), (repository) => repository.writableSession("main"))
  )
  const [groupJson, arrayJson] = [Nodes.groupJson, Nodes.arrayJson].map((json) => new TextEncoder().encode(json))
  const create = await Meter.sample(() =>
    program.run(
      Effect.gen(function* () {
        yield* session.setMetadata("/", groupJson!)
        for (let group = 0; group < size; group++) {
          yield* session.setMetadata(`/${Nodes.groupPath(group)}`, groupJson!)
          for (let array = 0; array < Nodes.arraysPerGroup; array++) {
            yield* session.setMetadata(`/${Nodes.arrayPath(group, array)}`, arrayJson!)
          }
        }
      })
    )
  )
  const commit = await Meter.sample(() => program.run(session.commit("nodes")))
  return { create, commit, write: { value: create.value + commit.value, cpu: create.cpu! + commit.cpu! } }
}

const list = async ({ directory, size = Nodes.groups }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory)
  const session = await program.run(
    Effect.flatMap(Repository.open(), (repository) => repository.readonlySession({ branch: "main" }))
  )
  const store = ZarrStore.make(session)
  const samples: Array<Sample> = []
  for (let i = 0; i < 20; i++) {
    const { result, sample } = await Meter.measure(() =>
      program.run(Stream.runCollect(store.listDir(Nodes.groupPath(Nodes.listedOf(size, i)))))
    )
    if (!Nodes.isListing([...result])) throw new Error(`${result.length} names`)
    samples.push(sample)
  }
  return { "nodes-60k-list": Meter.median(samples) }
}

const commit = async ({ directory, size = Nodes.groups }: Input): Promise<Samples> => {
  const program = Program.onFiles(directory)
  const session = await program.run(
    Effect.flatMap(Repository.open(), (repository) => repository.writableSession("main"))
  )
  const path = `/${Nodes.arrayPath(Nodes.listedOf(size, 0), 3)}`
  const sample = await Meter.sample(() =>
    program.run(
      Effect.gen(function* () {
        yield* session.setChunk(path, [1, 1], new Uint8Array(64).fill(5))
        yield* session.commit("one chunk")
      })
    )
  )
  return { "nodes-60k-commit": sample }
}

export const tasks: Tasks = { write, "nodes-60k-list": list, "nodes-60k-commit": commit }
