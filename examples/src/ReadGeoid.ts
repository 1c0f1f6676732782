/**
 * Reads the grid through zarrita, which does not know where the chunks are.
 */
import { type Session, ZarritaStore } from "@effect-icechunk/core"
import { Effect } from "effect"
import * as zarr from "zarrita"
import type { GeoidGrid } from "./GeoidGrid.ts"

const numbers = async (root: zarr.Location<ZarritaStore.Readable>, path: string, signal: AbortSignal) => {
  const array = await zarr.open.v3(root.resolve(path), { kind: "array", signal })
  if (!array.is("float32") && !array.is("float64")) throw new TypeError(`${path} has elements of ${array.dtype}`)
  return zarr.get(array, null, { signal })
}

export const readGrid = Effect.fn("readGrid")(function* (session: Session.Session) {
  const root = zarr.root(yield* ZarritaStore.make(session))
  const [latitude, longitude, geoid] = yield* ZarritaStore.use((signal) =>
    Promise.all(["/egm96/latitude", "/egm96/longitude", "/egm96/geoid"].map((path) => numbers(root, path, signal)))
  )
  const [latitudes, longitudes] = [latitude!.data, longitude!.data]
  const grid: GeoidGrid = {
    rows: latitudes.length,
    columns: longitudes.length,
    south: latitudes[0]!,
    west: longitudes[0]!,
    step: latitudes[1]! - latitudes[0]!,
    latitudes,
    longitudes,
    heights: geoid!.data
  }
  return grid
})
