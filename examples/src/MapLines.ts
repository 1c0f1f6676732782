/**
 * What is drawn over a map to find one's way: meridians, parallels, the edge, coastlines.
 */
import type * as EqualEarth from "./EqualEarth.ts"
import type { Stroke } from "./StrokeFont.ts"

/** Coastlines from lines of text, `longitude latitude,longitude latitude,...`; `#` starts a comment. */
export const parseCoastlines = (text: string): ReadonlyArray<Stroke> =>
  text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/[ ,]/).map(Number))

/** Meridians and parallels, every 30 degrees. */
export const graticule = (): ReadonlyArray<ReadonlyArray<EqualEarth.Place>> => {
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
export const outline = (): ReadonlyArray<EqualEarth.Place> => [
  ...Array.from({ length: 181 }, (_, i) => ({ latitude: i - 90, longitude: -180 })),
  ...Array.from({ length: 181 }, (_, i) => ({ latitude: 90 - i, longitude: 180 })),
  { latitude: -90, longitude: -180 }
]

/** The pieces of a line that do not jump from one edge of the map to the other. */
export const splitAtEdge = (line: Stroke): ReadonlyArray<ReadonlyArray<EqualEarth.Place>> => {
  const pieces: Array<Array<EqualEarth.Place>> = []
  for (let i = 0; i < line.length; i += 2) {
    const place = { longitude: line[i]!, latitude: line[i + 1]! }
    const before = pieces.at(-1)?.at(-1)
    if (before === undefined || Math.abs(before.longitude - place.longitude) > 180) pieces.push([place])
    else pieces.at(-1)!.push(place)
  }
  return pieces
}
