/**
 * Writes the repository: groups, coordinates, the geoid as virtual chunks, and a field that is computed from it.
 */
import { type WritableSession, ZarritaStore } from "@effect-icechunk/core"
import { Effect, FileSystem } from "effect"
import * as zarr from "zarrita"
import * as GeoidGrid from "./GeoidGrid.ts"
import * as Places from "./Places.ts"

/** Adds a container with a protocol of its own: `geoid://` locations are files below one directory. */
export const container = { name: "geoid", protocol: "geoid", platform: "fs", bucket_prefix: Places.data }

/** Rows of the grid in a chunk: 721 is 7 times 103. */
const rowsPerChunk = 7

/** Elements of a coordinate in a chunk: 512 bytes, which are stored in the manifest itself. */
const coordinatesPerChunk = 64

const littleEndian = { name: "bytes", configuration: { endian: "little" } }

/** A coordinate in evenly spaced steps, in chunks small enough to be stored inline. */
const writeCoordinate = Effect.fn("writeCoordinate")(function* (
  session: WritableSession.WritableSession,
  name: string,
  options: { readonly units: string; readonly first: number; readonly step: number; readonly length: number }
) {
  const { first, length, step, units } = options
  const path = `/egm96/${name}`
  yield* session.createArray(path, {
    shape: [length],
    chunkShape: [coordinatesPerChunk],
    dataType: "float64",
    fillValue: 0,
    dimensionNames: [name],
    attributes: { standard_name: name, units }
  })
  for (let chunk = 0; chunk * coordinatesPerChunk < length; chunk++) {
    const values = Float64Array.from(
      { length: coordinatesPerChunk },
      (_, i) => first + (chunk * coordinatesPerChunk + i) * step
    )
    yield* session.setChunk(path, [chunk], new Uint8Array(values.buffer))
  }
})

/** The heights, where they are: each chunk is a run of bytes in the file that nobody copies. */
const writeGeoid = Effect.fn("writeGeoid")(function* (
  session: WritableSession.WritableSession,
  { columns, rows }: GeoidGrid.GtxHeader
) {
  yield* session.createArray("/egm96/geoid", {
    shape: [rows, columns],
    chunkShape: [rowsPerChunk, columns],
    dataType: "float32",
    fillValue: 0,
    codecs: [{ name: "bytes", configuration: { endian: "big" } }],
    dimensionNames: ["latitude", "longitude"],
    attributes: { standard_name: "geoid_height_above_reference_ellipsoid", units: "m" }
  })
  const chunks = rows / rowsPerChunk
  const chunkBytes = rowsPerChunk * columns * GeoidGrid.heightBytes
  yield* session.setVirtualRefs(
    "/egm96/geoid",
    {
      indices: Uint32Array.from({ length: chunks * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : 0)),
      offsets: Float64Array.from({ length: chunks }, (_, chunk) => GeoidGrid.headerBytes + chunk * chunkBytes),
      lengths: new Float64Array(chunks).fill(chunkBytes),
      locations: `geoid://${Places.geoid}`
    },
    // Asks once for the time of the file's last change, which every read checks from now on.
    { capture: true }
  )
})

/** The deflection of the vertical, written with zarrita: chunks of 16 kB, stored in the repository. */
const writeDeflection = Effect.fn("writeDeflection")(function* (
  session: WritableSession.WritableSession,
  header: GeoidGrid.GtxHeader
) {
  const root = zarr.root(yield* ZarritaStore.makeWritable(session))
  // The session reads its own refs before they are committed.
  const { data } = yield* ZarritaStore.useWritable(async (signal) => {
    const geoid = await zarr.open.v3(root.resolve("/egm96/geoid"), { kind: "array", signal })
    return zarr.get(geoid, null, { signal })
  })
  const field = GeoidGrid.deflection(header, data as Float32Array)
  yield* ZarritaStore.useWritable(async () => {
    const array = await zarr.create(root.resolve("/derived/deflection"), {
      shape: [...field.shape],
      chunkShape: [45, 90],
      dtype: "float32",
      codecs: [littleEndian],
      fillValue: 0,
      dimensionNames: ["latitude", "longitude"],
      attributes: { long_name: "deflection of the vertical, mean of one degree by one degree", units: "arcsec" }
    })
    await zarr.set(array, null, { data: field.data, shape: [...field.shape], stride: [field.shape[1], 1] })
  })
})

/** Writes everything into the session. */
export const write = Effect.fn("write")(function* (session: WritableSession.WritableSession) {
  const fs = yield* FileSystem.FileSystem
  const header = GeoidGrid.parseHeader(yield* fs.readFile(Places.geoid))
  const { columns, rows, south, stepEast, stepNorth, west } = header

  yield* session.createGroup("/", { title: "EGM96 geoid", institution: "NASA and NGA", license: "public domain" })
  yield* session.createGroup("/egm96", { reference_ellipsoid: "WGS 84" })
  yield* session.createGroup("/derived")
  yield* writeCoordinate(session, "latitude", { units: "degrees_north", first: south, step: stepNorth, length: rows })
  yield* writeCoordinate(session, "longitude", { units: "degrees_east", first: west, step: stepEast, length: columns })
  yield* writeGeoid(session, header)
  yield* writeDeflection(session, header)
})
