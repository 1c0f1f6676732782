/**
 * A directory of NetCDF-4 files as one array, whose chunks stay in the files: `netcdf.ts DIRECTORY`. Draws it, appends a day, and
 * shows what happens with a file that is packed otherwise, and with one that changes.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Credentials, Repository, type Session, ZarritaStore } from "@effect-icechunk/core"
import { FsObjectStore } from "@effect-icechunk/fs"
import { Concatenation, Hdf5, Import, SourceFile } from "@effect-icechunk/import"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as zarr from "zarrita"
import * as ColorScale from "./src/ColorScale.ts"
import { services } from "./src/Filling.ts"
import { Raster } from "./src/Raster.ts"
import * as Report from "./src/Report.ts"

const output = path.resolve(process.argv[2] ?? "demo-output/netcdf")
const data = path.join(output, "data")
const source = path.join(import.meta.dirname, "data/days")
const days = fs.readdirSync(source).filter((name) => name.endsWith(".nc"))

/** A temperature in °C as a color. */
const color = (celsius: number) => ColorScale.colorAt((celsius - 5) / 35)

/** The last temperatures, as a map of ten pixels a value. */
const draw = Effect.fnUntraced(function* (session: Session.Session, file: string) {
  const root = zarr.root(yield* ZarritaStore.make(session))
  const { attributes, grid, times } = yield* ZarritaStore.use(async (signal) => {
    const array = await zarr.open.v3(root.resolve("/t"), { kind: "array", signal })
    const grid = await zarr.get(array, [array.shape[0]! - 1, null, null], { signal })
    return { attributes: array.attrs, grid, times: array.shape[0]! }
  })
  const [rows, columns] = grid.shape as [number, number]
  const values = grid.data as Int16Array
  const raster = new Raster(columns * 10, rows * 10, [255, 255, 255])
  for (let y = 0; y < rows * 10; y++) {
    for (let x = 0; x < columns * 10; x++) {
      const value = values[(rows - 1 - Math.floor(y / 10)) * columns + Math.floor(x / 10)]!
      const kelvin = value * Number(attributes["scale_factor"]) + Number(attributes["add_offset"])
      raster.blend(x, y, color(kelvin - 273.15), 1)
    }
  }
  fs.writeFileSync(path.join(output, file), raster.toPng())
  yield* Report.fact("times", String(times))
  yield* Report.fact("drawn", file)
})

const program = Effect.gen(function* () {
  fs.mkdirSync(data, { recursive: true })
  for (const day of days) fs.copyFileSync(path.join(source, day), path.join(data, day))
  const store = yield* FsObjectStore.make({ directory: data })
  const read = (day: string) => {
    const file = SourceFile.make(store, day, `days://${data}/${day}`)
    return Effect.map(Hdf5.dataset(file), (dataset) => ({ file, dataset }))
  }

  yield* Report.title("NetCDF-4 files as one array")
  const repository = yield* Repository.create({
    persist: { virtual_chunk_containers: [{ name: "days", protocol: "days", platform: "fs", bucket_prefix: data }] },
    credentials: { days: Credentials.directory(data) }
  })
  const session = yield* repository.writableSession("main")

  yield* Report.step("Three days, put together along time")
  // Each file counts its hours from its own day: the times are written again, in the units of the first.
  const parts = yield* Effect.forEach(days.slice(0, 3), read)
  const together = yield* Concatenation.concatenate(parts, { dimension: "time", recode: true })
  const { refs } = yield* Import.into(session, "/", together)
  yield* session.commit("three days")
  yield* Report.fact("virtual chunks", String(refs))
  yield* draw(session, "three-days.png")

  yield* Report.step("A fourth day, appended")
  yield* Concatenation.append(session, "/", yield* read(days[3]!), { dimension: "time", recode: true })
  yield* session.commit("one day more")
  yield* draw(session, "four-days.png")

  yield* Report.step("A fifth day, whose numbers are packed with another scale")
  const refused = yield* Effect.flip(
    Concatenation.append(session, "/", yield* read(days[4]!), { dimension: "time", recode: true })
  )
  yield* Report.error(refused)

  yield* Report.step("A file changes after it was imported")
  const changed = path.join(data, days[3]!)
  const later = new Date(Date.now() + 10_000)
  fs.copyFileSync(path.join(source, days[0]!), changed)
  fs.utimesSync(changed, later, later)
  const mismatch = yield* Effect.flip(session.chunk("/t", [15, 0, 0]))
  yield* Report.error(mismatch)
  yield* session.chunk("/t", [3, 0, 0])
  yield* Report.fact("the other days", "are read as before")
  yield* Report.end
})

const layers = Layer.merge(services(path.join(output, "repository")), NodeServices.layer)
program.pipe(Effect.scoped, Effect.provide(layers), NodeRuntime.runMain)
