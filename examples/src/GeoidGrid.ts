/**
 * EGM96 on a regular grid, and the GTX file that it comes in: a header of 40 bytes, then rows from south to
 * north of big-endian float32 heights in metres.
 */

/** The first bytes of a GTX file, all big-endian. */
export interface GtxHeader {
  /** Degrees of the first row and the first column. */
  readonly south: number
  readonly west: number
  /** Degrees from a row to the next, and from a column to the next. */
  readonly stepNorth: number
  readonly stepEast: number
  readonly rows: number
  readonly columns: number
}

export const headerBytes = 40
export const heightBytes = 4

export const parseHeader = (bytes: Uint8Array): GtxHeader => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    south: view.getFloat64(0),
    west: view.getFloat64(8),
    stepNorth: view.getFloat64(16),
    stepEast: view.getFloat64(24),
    rows: view.getInt32(32),
    columns: view.getInt32(36)
  }
}

export interface GeoidGrid {
  readonly rows: number
  readonly columns: number
  /** Degrees. */
  readonly south: number
  readonly west: number
  readonly step: number
  readonly latitudes: ArrayLike<number>
  readonly longitudes: ArrayLike<number>
  /** Metres, row by row. */
  readonly heights: ArrayLike<number>
}

export interface Extreme {
  readonly height: number
  readonly latitude: number
  readonly longitude: number
}

/** The lowest and the highest point. */
export const extremes = (grid: GeoidGrid): { readonly lowest: Extreme; readonly highest: Extreme } => {
  let [low, high] = [0, 0]
  for (let i = 1; i < grid.heights.length; i++) {
    if (grid.heights[i]! < grid.heights[low]!) low = i
    if (grid.heights[i]! > grid.heights[high]!) high = i
  }
  const at = (i: number): Extreme => ({
    height: grid.heights[i]!,
    latitude: grid.latitudes[Math.floor(i / grid.columns)]!,
    longitude: grid.longitudes[i % grid.columns]!
  })
  return { lowest: at(low), highest: at(high) }
}

/** `−106.99 m`. */
export const formatHeight = (height: number): string => `${height < 0 ? "−" : ""}${Math.abs(height).toFixed(2)} m`

/** `4.75° N, 78.75° E`. */
export const formatPlace = ({ latitude, longitude }: Omit<Extreme, "height">): string =>
  `${Math.abs(latitude)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude)}° ${longitude < 0 ? "W" : "E"}`

const metresPerDegree = 111_195
const arcsecondsPerRadian = 206_265

/** How far a plumb line leans from the ellipsoid's vertical: the slope of the geoid, as means of one degree. */
export const deflection = (
  { columns, rows, south, stepEast, stepNorth }: GtxHeader,
  heights: ArrayLike<number>
): { readonly data: Float32Array<ArrayBuffer>; readonly shape: readonly [rows: number, columns: number] } => {
  const [down, across] = [Math.round(1 / stepNorth), Math.round(1 / stepEast)]
  const shape = [Math.floor(rows / down), Math.floor(columns / across)] as const
  const data = new Float32Array(shape[0] * shape[1])
  for (let row = 0; row < shape[0] * down; row++) {
    const [below, above] = [Math.max(0, row - 1) * columns, (row + 1) * columns]
    const northward = (row === 0 ? 1 : 2) * stepNorth * metresPerDegree
    // At the pole itself all meridians meet.
    const eastward =
      2 * stepEast * metresPerDegree * Math.max(0.01, Math.cos(((south + row * stepNorth) * Math.PI) / 180))
    for (let column = 0; column < columns; column++) {
      const west = row * columns + ((column + columns - 1) % columns)
      const east = row * columns + ((column + 1) % columns)
      const slope = Math.hypot(
        (heights[above + column]! - heights[below + column]!) / northward,
        (heights[east]! - heights[west]!) / eastward
      )
      data[Math.floor(row / down) * shape[1] + Math.floor(column / across)]! +=
        (slope * arcsecondsPerRadian) / (down * across)
    }
  }
  return { data, shape }
}
