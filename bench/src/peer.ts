/**
 * One measured process of the official engine: `peer.ts write|read|stream DIRECTORY`. Prints `null` when
 * only its WebAssembly build loads, which can set no virtual refs and opens no directory.
 */
import icechunk from "@earthmover/icechunk"
import * as Workload from "./Workload.ts"

const [task, directory = "."] = process.argv.slice(2)
const at = Workload.places(directory)
const { Repository, Storage, Store } = icechunk
const prefix = `file://${at.data}/`

const storage = (): ReturnType<typeof Storage.newLocalFilesystem> => Storage.newLocalFilesystem(at.repository)

const write = async (): Promise<Workload.Measured> => {
  const config = {
    virtualChunkContainers: {
      [prefix]: { urlPrefix: prefix, store: { type: "LocalFileSystem" as const, field0: at.data } }
    }
  }
  const repository = await Repository.create(await storage(), config)
  await repository.saveConfig()
  const session = await repository.writableSession("main")
  const { store } = session
  await store.set("data/zarr.json", Buffer.from(Workload.zarrJson))
  const { gridSize, rows } = Workload
  const locations = Array.from({ length: Workload.files }, (_, file) => Workload.location(at, file))
  const refs = Array.from({ length: rows }, (_, row) => ({
    index: [Math.floor(row / gridSize), row % gridSize],
    location: locations[Workload.fileOf(row)]!,
    offset: Workload.offsetOf(row),
    length: Workload.chunkBytes
  }))
  const [failed, set] = await Workload.timed(() => store.setVirtualRefs("/data", refs, false))
  if (failed !== null) throw new Error("refs were refused")
  const [, commit] = await Workload.timed(() => session.commit("a million virtual refs"))
  return { set, commit, writeMemory: Workload.peakMemory() }
}

const open = async (): Promise<InstanceType<typeof icechunk.Session>> => {
  const repository = await Repository.open(await storage(), undefined, { [prefix]: null })
  return repository.readonlySession({ branch: "main" })
}

const read = async (): Promise<Workload.Measured> => {
  const [, seconds] = await Workload.timed(async () => {
    const session = await open()
    const bytes = await session.store.get(`data/c/${Workload.readIndex.join("/")}`)
    if (bytes?.length !== Workload.chunkBytes) throw new Error("wrong chunk")
  })
  return { read: seconds }
}

const stream = async (): Promise<Workload.Measured> => {
  const session = await open()
  const [, seconds] = await Workload.timed(async () => {
    const locations = await session.allVirtualChunkLocations()
    let characters = 0
    for (const location of locations) characters += location.length
    if (locations.length !== Workload.rows) throw new Error(`${locations.length} locations, ${characters} characters`)
  })
  return { stream: seconds, streamMemory: Workload.peakMemory() }
}

const tasks: Readonly<Record<string, () => Promise<Workload.Measured>>> = { write, read, stream }
const native = "setVirtualRefs" in Store.prototype
console.log(JSON.stringify(native ? await tasks[task ?? ""]!() : null))
process.exit(0)
