/**
 * The map of the geoid: colours for heights, light from the north-west for slopes, coastlines to find one's way.
 */
import * as ColorScale from "./ColorScale.ts"
import * as EqualEarth from "./EqualEarth.ts"
import * as Grid from "./GeoidGrid.ts"
import { type Color, hex, Raster } from "./Raster.ts"
import { layOut, type Stroke } from "./StrokeFont.ts"

export interface GeoidMap {
  readonly grid: Grid.GeoidGrid
  readonly lowest: Grid.Extreme
  readonly highest: Grid.Extreme
  /** Lines of `longitude, latitude, longitude, latitude, ...`. */
  readonly coastlines: ReadonlyArray<Stroke>
  /** Pixels; everything else follows from it (default 1600). */
  readonly width?: number | undefined
}

/** Coastlines from lines of text, `longitude latitude,longitude latitude,...`; `#` starts a comment. */
export const parseCoastlines = (text: string): ReadonlyArray<Stroke> =>
  text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/[ ,]/).map(Number))

const paper = hex("#fbfaf6")
const ink = hex("#23262e")
const faint = hex("#7b7f8a")
const white = hex("#ffffff")
const shadow = hex("#14101f")

/** Metres at the ends of the colour scale. */
const scaleEnd = 107

/** How much steeper than true the slopes are lit; the geoid rises some centimetres in a kilometre. */
const exaggeration = 14_000

/** Light that falls on each point of the grid, from -1 to 1, from the north-west. */
const relief = ({ columns, heights, latitudes, rows, step }: Grid.GeoidGrid): Float32Array => {
  const metres = 111_195 * step
  const light = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const south = Math.max(0, row - 1)
    const north = Math.min(rows - 1, row + 1)
    const across = 2 * metres * Math.max(0.1, Math.cos((latitudes[row]! * Math.PI) / 180))
    for (let column = 0; column < columns; column++) {
      const east = heights[row * columns + ((column + 1) % columns)]!
      const west = heights[row * columns + ((column + columns - 1) % columns)]!
      const dx = (exaggeration * (east - west)) / across
      const dy =
        (exaggeration * (heights[north * columns + column]! - heights[south * columns + column]!)) /
        ((north - south) * metres)
      light[row * columns + column] = Math.tanh((0.75 * (dx - dy)) / Math.sqrt(1 + 0.25 * (dx * dx + dy * dy)))
    }
  }
  return light
}

/** The value of a field at a place, between its four neighbours. */
const sample = (
  { columns, rows, south, step, west }: Grid.GeoidGrid,
  field: ArrayLike<number>,
  place: EqualEarth.Place
) => {
  const y = Math.min(rows - 1, Math.max(0, (place.latitude - south) / step))
  const x = ((((place.longitude - west) / step) % columns) + columns) % columns
  const row = Math.min(rows - 2, Math.floor(y))
  const column = Math.floor(x)
  const next = (column + 1) % columns
  const [u, v] = [x - column, y - row]
  const at = row * columns
  const below = field[at + column]! * (1 - u) + field[at + next]! * u
  const above = field[at + columns + column]! * (1 - u) + field[at + columns + next]! * u
  return below * (1 - v) + above * v
}

/** Meridians and parallels, every 30 degrees. */
const graticule = (): ReadonlyArray<ReadonlyArray<EqualEarth.Place>> => {
  const line = (point: (i: number) => EqualEarth.Place, steps: number) =>
    Array.from({ length: steps + 1 }, (_, i) => point(i))
  const meridian = (longitude: number) => line((i) => ({ latitude: i * 2 - 90, longitude }), 90)
  const parallel = (latitude: number) => line((i) => ({ latitude, longitude: i * 4 - 180 }), 90)
  return [
    ...Array.from({ length: 11 }, (_, i) => meridian(i * 30 - 150)),
    ...Array.from({ length: 5 }, (_, i) => parallel(i * 30 - 60))
  ]
}

/** The edge of the world, closed. */
const outline = (): ReadonlyArray<EqualEarth.Place> => [
  ...Array.from({ length: 181 }, (_, i) => ({ latitude: i - 90, longitude: -180 })),
  ...Array.from({ length: 181 }, (_, i) => ({ latitude: 90 - i, longitude: 180 })),
  { latitude: -90, longitude: -180 }
]

/** The pieces of a line that do not jump from one edge of the map to the other. */
const splitAtEdge = (line: Stroke): ReadonlyArray<ReadonlyArray<EqualEarth.Place>> => {
  const pieces: Array<Array<EqualEarth.Place>> = []
  for (let i = 0; i < line.length; i += 2) {
    const place = { longitude: line[i]!, latitude: line[i + 1]! }
    const before = pieces.at(-1)?.at(-1)
    if (before === undefined || Math.abs(before.longitude - place.longitude) > 180) pieces.push([place])
    else pieces.at(-1)!.push(place)
  }
  return pieces
}

/** The map as a PNG. */
export const render = ({ coastlines, grid, highest, lowest, width = 1600 }: GeoidMap): Uint8Array => {
  const unit = width / 1600
  const margin = 56 * unit
  const radius = (width - 2 * margin) / 2 / EqualEarth.extent.x
  const top = 142 * unit
  const mapHeight = 2 * EqualEarth.extent.y * radius
  const center = { x: width / 2, y: top + mapHeight / 2 }
  const raster = new Raster(width, Math.round(top + mapHeight + 142 * unit), paper)

  const toPixel = (place: EqualEarth.Place): EqualEarth.Point => {
    const { x, y } = EqualEarth.project(place)
    return { x: center.x + x * radius - 0.5, y: center.y - y * radius - 0.5 }
  }
  const toStroke = (places: ReadonlyArray<EqualEarth.Place>): Stroke =>
    places.flatMap((place) => {
      const { x, y } = toPixel(place)
      return [x, y]
    })
  const write = (
    text: string,
    x: number,
    y: number,
    capHeight: number,
    options: {
      readonly color?: Color
      readonly align?: "left" | "center" | "right"
      readonly weight?: number
      readonly halo?: Color
    } = {}
  ): void => {
    const { strokes } = layOut(text, { x, y, capHeight: capHeight * unit, align: options.align ?? "left" })
    const thickness = capHeight * unit * (options.weight ?? 0.14)
    if (options.halo !== undefined) raster.stroke(strokes, thickness + 5 * unit, options.halo, 0.32)
    raster.stroke(strokes, thickness, options.color ?? ink)
  }

  const light = relief(grid)
  const mapTop = Math.floor(top)
  for (let y = mapTop; y < mapTop + mapHeight + 1; y++) {
    for (let x = 0; x < width; x++) {
      const place = EqualEarth.unproject({ x: (x + 0.5 - center.x) / radius, y: (center.y - y - 0.5) / radius })
      if (place === undefined) continue
      const height = sample(grid, grid.heights, place)
      raster.blend(x, y, ColorScale.colorAt(height / scaleEnd, sample(grid, light, place)), 1)
    }
  }

  raster.stroke(graticule().map(toStroke), 1 * unit, ink, 0.16)
  const coast = coastlines.flatMap(splitAtEdge).map(toStroke)
  raster.stroke(coast, 1.15 * unit, ink, 0.62)
  raster.stroke([toStroke(outline())], 2 * unit, ink)

  write("EGM96 geoid", margin, 72 * unit, 34, { weight: 0.13 })
  write("Height of the geoid above the WGS 84 ellipsoid, in metres", margin, 112 * unit, 14.5, {
    color: faint,
    weight: 0.13
  })
  write(`${grid.rows} × ${grid.columns} points, every ${grid.step * 60} minutes`, width - margin, 72 * unit, 14.5, {
    color: faint,
    weight: 0.13,
    align: "right"
  })
  write("NASA and NGA, public domain", width - margin, 112 * unit, 14.5, { color: faint, weight: 0.13, align: "right" })

  for (const [extreme, offset] of [
    [lowest, 29],
    [highest, -38]
  ] as const) {
    const { x, y } = toPixel(extreme)
    const ring = Array.from({ length: 41 }, (_, i) => [
      x + 6.5 * unit * Math.cos((i * Math.PI) / 20),
      y + 6.5 * unit * Math.sin((i * Math.PI) / 20)
    ]).flat()
    raster.stroke([ring], 6 * unit, shadow, 0.35)
    raster.stroke([ring], 2.4 * unit, white)
    const lines = { align: "center", color: white, halo: shadow } as const
    write(Grid.formatHeight(extreme.height), x, y + offset * unit, 13, { ...lines, weight: 0.16 })
    write(Grid.formatPlace(extreme), x, y + (offset + 20) * unit, 10.5, lines)
  }

  const barTop = top + mapHeight + 44 * unit
  const barHeight = 20 * unit
  const barWidth = 860 * unit
  const barLeft = (width - barWidth) / 2
  const [from, to] = [Math.floor(lowest.height / 10) * 10, Math.ceil(highest.height / 10) * 10]
  const toX = (height: number): number => barLeft + ((height - from) / (to - from)) * barWidth
  for (let x = Math.round(barLeft); x < Math.round(barLeft + barWidth); x++) {
    const height = from + ((x + 0.5 - barLeft) / barWidth) * (to - from)
    for (let y = Math.round(barTop); y < Math.round(barTop + barHeight); y++) {
      raster.blend(x, y, ColorScale.colorAt(height / scaleEnd), 1)
    }
  }
  const [left, right, upper, lower] = [barLeft - 0.5, barLeft + barWidth - 0.5, barTop - 0.5, barTop + barHeight - 0.5]
  raster.stroke([[left, upper, right, upper, right, lower, left, lower, left, upper]], 1.4 * unit, ink)
  for (let height = Math.ceil(from / 10) * 10; height <= to; height += 10) {
    const labelled = height % 20 === 0
    raster.stroke([[toX(height) - 0.5, lower, toX(height) - 0.5, lower + (labelled ? 8 : 5) * unit]], 1.4 * unit, ink)
    if (labelled)
      write(`${height < 0 ? "−" : ""}${Math.abs(height)}`, toX(height), lower + 30 * unit, 12.5, { align: "center" })
  }
  write("m", right + 14 * unit, lower - 5 * unit, 14.5, { color: faint, weight: 0.13 })
  return raster.toPng()
}
