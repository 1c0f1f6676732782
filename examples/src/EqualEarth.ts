/**
 * The Equal Earth projection (Šavrič, Patterson and Jenny, 2018): areas are true, continents look familiar.
 * Degrees on one side, units of the Earth's radius on the other, y to the north.
 */

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Place {
  readonly latitude: number
  readonly longitude: number
}

const [a1, a2, a3, a4] = [1.340264, -0.081106, 0.000893, 0.003796]
const half = Math.sqrt(3) / 2
const radians = Math.PI / 180

const northing = (theta: number): number => theta * (a1 + a2 * theta ** 2 + theta ** 6 * (a3 + a4 * theta ** 2))
const slope = (theta: number): number => a1 + 3 * a2 * theta ** 2 + theta ** 6 * (7 * a3 + 9 * a4 * theta ** 2)

export const project = ({ latitude, longitude }: Place): Point => {
  const theta = Math.asin(half * Math.sin(latitude * radians))
  return { x: (longitude * radians * Math.cos(theta)) / (half * slope(theta)), y: northing(theta) }
}

/** Half of the width and of the height of the whole map. */
export const extent: Point = { x: project({ latitude: 0, longitude: 180 }).x, y: northing(Math.PI / 3) }

/** The place at a point, `undefined` outside the map. */
export const unproject = ({ x, y }: Point): Place | undefined => {
  if (Math.abs(y) > extent.y) return undefined
  let theta = y / a1
  for (let i = 0; i < 8; i++) theta -= (northing(theta) - y) / slope(theta)
  const longitude = (x * half * slope(theta)) / Math.cos(theta) / radians
  const latitude = Math.asin(Math.min(1, Math.max(-1, Math.sin(theta) / half))) / radians
  return Math.abs(longitude) > 180 ? undefined : { latitude, longitude }
}
