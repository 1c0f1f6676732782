/**
 * The map of the geoid: colours for heights, light from the north-west for slopes, coastlines to find one's way.
 */
import { type Color, hex } from "./Color.ts"
import * as ColorScale from "./ColorScale.ts"
import * as EqualEarth from "./EqualEarth.ts"
import * as Grid from "./GeoidGrid.ts"
import { graticule, outline, splitAtEdge } from "./MapLines.ts"
import { Raster } from "./Raster.ts"
import { relief, sample, scaleEnd } from "./Relief.ts"
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

const paper = hex("#fbfaf6")
const ink = hex("#23262e")
const faint = hex("#7b7f8a")
const white = hex("#ffffff")
const shadow = hex("#14101f")

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
