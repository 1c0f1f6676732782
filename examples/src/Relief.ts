/**
 * Light on the slopes of a field, and its values between the points of its grid.
 */
import type * as EqualEarth from "./EqualEarth.ts"

/** A regular grid, row by row from south to north, all around the Earth. */
export interface Field {
  readonly rows: number
  readonly columns: number
  /** Degrees. */
  readonly south: number
  readonly west: number
  readonly step: number
  readonly heights: ArrayLike<number>
}

/** Metres at the ends of the colour scale. */
export const scaleEnd = 107

/** How much steeper than true the slopes are lit; the geoid rises some centimetres in a kilometre. */
const exaggeration = 14_000

/** Light that falls on the points of some rows, from -1 to 1, from the north-west; into `light`, as long as the grid. */
export const lightRows = (
  { columns, heights, rows, south: bottom, step }: Field,
  light: Float32Array,
  from: number,
  to: number
): void => {
  const metres = 111_195 * step
  for (let row = from; row < to; row++) {
    const south = Math.max(0, row - 1)
    const north = Math.min(rows - 1, row + 1)
    const across = 2 * metres * Math.max(0.1, Math.cos(((bottom + row * step) * Math.PI) / 180))
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
}

/** Light on all points of the grid. */
export const relief = (field: Field): Float32Array => {
  const light = new Float32Array(field.rows * field.columns)
  lightRows(field, light, 0, field.rows)
  return light
}

/** The value at a place of what is known at the points of the grid, between its four neighbours. */
export const sample = (
  { columns, rows, south, step, west }: Omit<Field, "heights">,
  values: ArrayLike<number>,
  place: EqualEarth.Place
): number => {
  const y = Math.min(rows - 1, Math.max(0, (place.latitude - south) / step))
  const x = ((((place.longitude - west) / step) % columns) + columns) % columns
  const row = Math.min(rows - 2, Math.floor(y))
  const column = Math.floor(x)
  const next = (column + 1) % columns
  const [u, v] = [x - column, y - row]
  const at = row * columns
  const below = values[at + column]! * (1 - u) + values[at + next]! * u
  const above = values[at + columns + column]! * (1 - u) + values[at + columns + next]! * u
  return below * (1 - v) + above * v
}
