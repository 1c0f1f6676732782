/**
 * The repository that the page shows: the geoid's heights as virtual chunks of one file on a web server, the same more
 * coarsely as chunks of its own, and a few versions to switch between.
 */
import {
  type Checksum,
  type ObjectId,
  Platform,
  Repository,
  type VirtualChunkContainer,
  type WritableSession
} from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as GeoidGrid from "../../src/GeoidGrid.ts"

/** Rows of the grid in a chunk: 721 is 7 times 103. */
const rowsPerChunk = 7

/** Each point of an overview is one of several of the grid; how many, and its rows in a chunk. */
const overviews = [
  { every: 2, chunkRows: 19 },
  { every: 4, chunkRows: 31 }
]

const path = "/egm96/geoid"
const overviewPath = (every: number): string => `/egm96/overview-${every}`

interface Gtx {
  readonly header: GeoidGrid.GtxHeader
  readonly heights: Float32Array
}

const parse = (bytes: Uint8Array): Gtx => {
  const header = GeoidGrid.parseHeader(bytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset + GeoidGrid.headerBytes)
  return {
    header,
    heights: Float32Array.from({ length: header.rows * header.columns }, (_, i) =>
      view.getFloat32(i * GeoidGrid.heightBytes)
    )
  }
}

/** The lowest and the highest value, rounded outwards to a centimetre. */
const range = (heights: Float32Array): readonly [number, number] => {
  const known = heights.filter((height) => !Number.isNaN(height))
  const [low, high] = known.reduce(([low, high], height) => [Math.min(low, height), Math.max(high, height)], [0, 0])
  return [Math.floor(low * 100) / 100, Math.ceil(high * 100) / 100]
}

const attributes = (heights: Float32Array, longName: string) => ({
  long_name: longName,
  units: "m",
  actual_range: range(heights)
})

const geoidName = "height of the geoid above the WGS 84 ellipsoid"

const createGeoid = Effect.fnUntraced(function* (session: WritableSession.WritableSession, { header, heights }: Gtx) {
  const { columns, rows, south, stepEast, stepNorth, west } = header
  yield* session.createGroup("/", { title: "EGM96 geoid", institution: "NASA and NGA", license: "public domain" })
  yield* session.createGroup("/egm96")
  const coordinates = [
    { name: "latitude", units: "degrees_north", first: south, step: stepNorth, length: rows },
    { name: "longitude", units: "degrees_east", first: west, step: stepEast, length: columns }
  ]
  for (const { first, length, name, step, units } of coordinates) {
    yield* session.createArray(`/egm96/${name}`, {
      shape: [length],
      chunkShape: [length],
      dataType: "float64",
      fillValue: 0,
      dimensionNames: [name],
      attributes: { standard_name: name, units }
    })
    const values = Float64Array.from({ length }, (_, i) => first + i * step)
    yield* session.setChunk(`/egm96/${name}`, [0], new Uint8Array(values.buffer))
  }
  yield* session.createArray(path, {
    shape: [rows, columns],
    chunkShape: [rowsPerChunk, columns],
    dataType: "float32",
    fillValue: "NaN",
    codecs: [{ name: "bytes", configuration: { endian: "big" } }],
    dimensionNames: ["latitude", "longitude"],
    attributes: attributes(heights, geoidName)
  })
})

/** The chunks of some rows of chunks, where they are in the file. */
const referTo = (
  session: WritableSession.WritableSession,
  { columns }: GeoidGrid.GtxHeader,
  options: {
    readonly location: string
    readonly checksum: Checksum.Checksum
    readonly from: number
    readonly to: number
  }
) => {
  const { checksum, from, location, to } = options
  const bytes = rowsPerChunk * columns * GeoidGrid.heightBytes
  return session.setVirtualRefs(path, {
    indices: Uint32Array.from({ length: (to - from) * 2 }, (_, i) => (i % 2 === 0 ? from + i / 2 : 0)),
    offsets: Float64Array.from({ length: to - from }, (_, i) => GeoidGrid.headerBytes + (from + i) * bytes),
    lengths: new Float64Array(to - from).fill(bytes),
    locations: location,
    checksums: checksum
  })
}

/** Every so many points of the heights, as chunks in the repository. */
const writeOverview = Effect.fnUntraced(function* (
  session: WritableSession.WritableSession,
  { header, heights }: Gtx,
  { chunkRows, every }: (typeof overviews)[number]
) {
  const [rows, columns] = [Math.floor((header.rows - 1) / every) + 1, header.columns / every]
  const chunks = Math.ceil(rows / chunkRows)
  for (let chunk = 0; chunk < chunks; chunk++) {
    const values = Float32Array.from({ length: chunkRows * columns }, (_, i) => {
      const row = chunk * chunkRows + Math.floor(i / columns)
      return row < rows ? heights[row * every * header.columns + (i % columns) * every]! : Number.NaN
    })
    yield* session.setChunk(overviewPath(every), [chunk, 0], new Uint8Array(values.buffer))
  }
})

const createOverviews = Effect.fnUntraced(function* (session: WritableSession.WritableSession, gtx: Gtx) {
  const { header, heights } = gtx
  for (const overview of overviews) {
    const { chunkRows, every } = overview
    yield* session.createArray(overviewPath(every), {
      shape: [Math.floor((header.rows - 1) / every) + 1, header.columns / every],
      chunkShape: [chunkRows, header.columns / every],
      dataType: "float32",
      fillValue: "NaN",
      codecs: [{ name: "bytes", configuration: { endian: "little" } }],
      dimensionNames: ["latitude", "longitude"],
      attributes: { long_name: `every ${every}th point of ${path}`, units: "m" }
    })
    yield* writeOverview(session, gtx, overview)
  }
  yield* session.setAttributes(path, {
    ...attributes(heights, geoidName),
    overviews: overviews.map(({ every }) => overviewPath(every))
  })
})

/** The mean of each value and its neighbours within so many, along a line whose ends meet or not. */
const smoothLine = (line: Float64Array, half: number, closed: boolean): Float64Array => {
  const n = line.length
  const reach = Math.min(half, Math.floor((n - 1) / 2))
  const sums = new Float64Array(n + 1)
  for (let i = 0; i < n; i++) sums[i + 1] = sums[i]! + line[i]!
  return line.map((_, i) => {
    const [from, to] = [i - reach, i + reach + 1]
    if (!closed) {
      const [low, high] = [Math.max(0, from), Math.min(n, to)]
      return (sums[high]! - sums[low]!) / (high - low)
    }
    const wrapped = from < 0 ? sums[n]! - sums[n + from]! : to > n ? sums[to - n]! : 0
    return (sums[Math.min(n, to)]! - sums[Math.max(0, from)]! + wrapped) / (to - from)
  })
}

/** What is left of the heights without what is wider than so many degrees. */
export const withoutLongWaves = ({ header, heights }: Gtx, degrees: number): Float32Array => {
  const { columns, rows, south, stepEast, stepNorth } = header
  let smooth = Float64Array.from(heights)
  for (let pass = 0; pass < 2; pass++) {
    for (let row = 0; row < rows; row++) {
      const across = Math.max(0.01, Math.cos(((south + row * stepNorth) * Math.PI) / 180)) * stepEast
      const line = smooth.subarray(row * columns, (row + 1) * columns)
      line.set(smoothLine(line.slice(), Math.round(degrees / 2 / across), true))
    }
    for (let column = 0; column < columns; column++) {
      const line = Float64Array.from({ length: rows }, (_, row) => smooth[row * columns + column]!)
      const means = smoothLine(line, Math.round(degrees / 2 / stepNorth), false)
      for (let row = 0; row < rows; row++) smooth[row * columns + column] = means[row]!
    }
  }
  return heights.map((height, i) => height - smooth[i]!)
}

/** Replaces the virtual chunks by chunks in the repository, and the overviews. */
const writeShortWaves = Effect.fnUntraced(function* (session: WritableSession.WritableSession, gtx: Gtx) {
  const { columns, rows } = gtx.header
  const heights = withoutLongWaves(gtx, 20)
  for (let chunk = 0; chunk < rows / rowsPerChunk; chunk++) {
    const bytes = new Uint8Array(rowsPerChunk * columns * GeoidGrid.heightBytes)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < rowsPerChunk * columns; i++) {
      view.setFloat32(i * GeoidGrid.heightBytes, heights[chunk * rowsPerChunk * columns + i]!)
    }
    yield* session.setChunk(path, [chunk, 0], bytes)
  }
  for (const overview of overviews) yield* writeOverview(session, { ...gtx, heights }, overview)
  yield* session.setAttributes(path, {
    ...attributes(heights, `${geoidName}, without what is wider than 20°`),
    overviews: overviews.map(({ every }) => overviewPath(every))
  })
})

export interface Written {
  /** Of the four commits, oldest first; the last one is on the branch `short-waves`. */
  readonly snapshots: ReadonlyArray<ObjectId.SnapshotId>
}

const writing = Effect.fnUntraced(function* (options: {
  readonly gtx: Uint8Array
  readonly container: VirtualChunkContainer.VirtualChunkContainer
  readonly location: string
  readonly checksum: Checksum.Checksum
}) {
  const { checksum, container, location } = options
  const gtx = parse(options.gtx)
  const repository = yield* Repository.create({ persist: { virtual_chunk_containers: [container] } })
  const commit = Effect.fnUntraced(function* <E>(
    branch: string,
    message: string,
    change: (session: WritableSession.WritableSession) => Effect.Effect<unknown, E>
  ) {
    const session = yield* repository.writableSession(branch)
    yield* change(session)
    return yield* session.commit(message)
  })
  const chunks = gtx.header.rows / rowsPerChunk
  const half = Math.ceil(chunks / 2)
  const south = yield* commit("main", "The southern hemisphere, as virtual chunks of one file", (session) =>
    Effect.andThen(createGeoid(session, gtx), referTo(session, gtx.header, { location, checksum, from: 0, to: half }))
  )
  const north = yield* commit("main", "The northern hemisphere, from the same file", (session) =>
    referTo(session, gtx.header, { location, checksum, from: half, to: chunks })
  )
  yield* repository.createTag("egm96", north)
  const overview = yield* commit("main", "Overviews, so that a first look reads less", (session) =>
    createOverviews(session, gtx)
  )
  yield* repository.createBranch("short-waves", overview)
  const waves = yield* commit("short-waves", "Trenches and ridges: heights without the long waves", (session) =>
    writeShortWaves(session, gtx)
  )
  return { snapshots: [south, north, overview, waves] } satisfies Written
})

/** Writes the repository into an empty directory. */
export const write = (options: Parameters<typeof writing>[0] & { readonly directory: string }) =>
  writing(options).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(FsObjectStore.layer({ directory: options.directory }), Platform.layerNone, NodeZstd.layer).pipe(
        Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer))
      )
    )
  )
