import * as Meter from "../Meter.ts"
import type { Input, Samples, Tasks } from "../Work.ts"
import * as Million from "../works/million.ts"
import * as Engine from "./Engine.ts"

const dataOf = ({ directory, size = Million.million, variant }: Input): Million.Data =>
  Million.dataOf(directory, size, variant === "files" ? 1 : 100)

const split = (rows: number) => ({
  splitting: {
    split_sizes: [[{ path_matches: { regex: ".*" } }, [{ condition: { Axis: 0 }, num_chunks: rows }]]]
  }
})

const refsOf = (data: Million.Data, from: number, to: number) => {
  const { columns } = Million
  const files = Array.from({ length: Math.ceil((to - from) / data.refsPerFile) }, (_, file) =>
    Million.locationOf(data, Million.fileOf(data, from) + file)
  )
  return Array.from({ length: to - from }, (_, i) => ({
    index: [Math.floor((from + i) / columns), (from + i) % columns],
    location: files[Million.fileOf(data, i)]!,
    offset: Million.offsetOf(data, from + i),
    length: Million.chunkBytes
  }))
}

const write = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const { config } = Engine.files(data.data)
  const rows = Million.splitRows(input.variant)
  const repository = await Engine.Repository.create(
    await Engine.Storage.newLocalFilesystem(data.repository),
    rows === undefined ? config : { ...config, manifest: split(rows) }
  )
  await repository.saveConfig()
  const session = await repository.writableSession("main")
  const { store } = session
  await store.set("data/zarr.json", Buffer.from(Million.arrayJson(data.rows)))
  const refs = refsOf(data, 0, data.refs)
  const { result, sample: set } = await Meter.measure(() => store.setVirtualRefs("/data", refs, false))
  if (result !== null) throw new Error("refs were refused")
  const commit = await Meter.sample(() => session.commit("a million virtual refs"))
  return { set, commit }
}

const open = async (data: Million.Data): Promise<Engine.Session> => {
  const storage = await Engine.Storage.newLocalFilesystem(data.repository)
  const repository = await Engine.Repository.open(storage, undefined, Engine.files(data.data).access)
  return repository.readonlySession({ branch: "main" })
}

const first = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const sample = await Meter.sample(async () => {
    const session = await open(data)
    const bytes = await session.store.get(`data/c/${Million.readIndex(data).join("/")}`)
    if (!Million.isChunk(bytes)) throw new Error("wrong chunk")
  })
  return { first: sample }
}

const streamed = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const session = await open(data)
  const { result, sample } = await Meter.measure(async () => {
    const locations = await session.allVirtualChunkLocations()
    let characters = 0
    for (const location of locations) characters += location.length
    return { locations: locations.length, characters }
  })
  if (result.locations !== data.refs) throw new Error(`${result.locations} locations`)
  return { locations: sample }
}

const append = async (input: Input): Promise<Samples> => {
  const data = dataOf(input)
  const storage = await Engine.Storage.newLocalFilesystem(data.repository)
  const repository = await Engine.Repository.open(storage)
  const refs = refsOf(data, data.refs, data.refs + Million.columns)
  const sample = await Meter.sample(async () => {
    const session = await repository.writableSession("main")
    await session.store.set("data/zarr.json", Buffer.from(Million.arrayJson(data.rows + 1)))
    const refused = await session.store.setVirtualRefs("/data", refs, false)
    if (refused !== null) throw new Error("refs were refused")
    await session.commit("one more row")
  })
  const { store } = await repository.readonlySession({ branch: "main" })
  for (const key of [`data/c/${data.rows}/${Million.columns - 1}`, "data/c/0/0"]) {
    if (!(await store.exists(key))) throw new Error("refs are missing")
  }
  return { append: sample }
}

export const tasks: Tasks = { write, first, locations: streamed, append }
