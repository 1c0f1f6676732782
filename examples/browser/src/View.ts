/**
 * What part of the world is seen, and where on the screen.
 */
import * as EqualEarth from "../../src/EqualEarth.ts"

/** CSS pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

export interface View {
  /** What is in the middle, in units of the projection. */
  readonly center: EqualEarth.Point
  /** CSS pixels for a unit of the projection. */
  readonly scale: number
}

/** Degrees. */
export interface Bounds {
  readonly south: number
  readonly north: number
  readonly west: number
  readonly east: number
}

/** Pixels between the world and the edge of the screen when all of it is seen. */
const margin = 8

const maxZoom = 40

const whole = ({ height, width }: Size): number =>
  Math.max(
    1,
    Math.min((width - 2 * margin) / (2 * EqualEarth.extent.x), (height - 2 * margin) / (2 * EqualEarth.extent.y))
  )

/** All of the world. */
export const fit = (size: Size): View => ({ center: { x: 0, y: 0 }, scale: whole(size) })

/** How many times larger than when all of the world is seen. */
export const zoomOf = (view: View, size: Size): number => view.scale / whole(size)

const within = (value: number, limit: number): number => Math.min(limit, Math.max(-limit, value))

/** The nearest view that is not too far in or out, and that shows no more emptiness than it must. */
export const clamp = (view: View, size: Size): View => {
  const scale = Math.min(maxZoom, Math.max(1, zoomOf(view, size))) * whole(size)
  const limit = (extent: number, pixels: number): number => Math.max(0, extent + margin / scale - pixels / 2 / scale)
  return {
    scale,
    center: {
      x: within(view.center.x, limit(EqualEarth.extent.x, size.width)),
      y: within(view.center.y, limit(EqualEarth.extent.y, size.height))
    }
  }
}

/** Moves the map by so many pixels, to the right and down. */
export const pan = ({ center, scale }: View, size: Size, right: number, down: number): View =>
  clamp({ scale, center: { x: center.x - right / scale, y: center.y + down / scale } }, size)

/** Makes the map larger by a factor; what is at `at`, in pixels from the top left, stays there. */
export const zoom = (view: View, size: Size, factor: number, at: EqualEarth.Point): View => {
  const { scale } = clamp({ ...view, scale: view.scale * factor }, size)
  const [right, up] = [at.x - size.width / 2, size.height / 2 - at.y]
  const by = 1 / view.scale - 1 / scale
  return clamp({ scale, center: { x: view.center.x + right * by, y: view.center.y + up * by } }, size)
}

/** A place in the middle, this many times larger than the whole. */
export const at = (place: EqualEarth.Place, zoom: number, size: Size): View =>
  clamp({ center: EqualEarth.project(place), scale: whole(size) * zoom }, size)

/** The point of the projection at a pixel. */
export const pointAt = (
  { center, scale }: View,
  { height, width }: Size,
  pixel: EqualEarth.Point
): EqualEarth.Point => ({
  x: center.x + (pixel.x - width / 2) / scale,
  y: center.y - (pixel.y - height / 2) / scale
})

/** The pixel of a place. */
export const toPixel = (
  { center, scale }: View,
  { height, width }: Size,
  place: EqualEarth.Place
): EqualEarth.Point => {
  const { x, y } = EqualEarth.project(place)
  return { x: width / 2 + (x - center.x) * scale, y: height / 2 - (y - center.y) * scale }
}

/** The meridians at the left and the right edge, along a parallel. */
export const meridians = (view: View, size: Size, latitude: number): readonly [west: number, east: number] => {
  const perUnit = 180 / EqualEarth.project({ latitude, longitude: 180 }).x
  const [left, right] = [pointAt(view, size, { x: 0, y: 0 }), pointAt(view, size, { x: size.width, y: 0 })]
  return [within(left.x * perUnit, 180), within(right.x * perUnit, 180)]
}

/** The smallest box of meridians and parallels around all that is seen. */
export const bounds = (view: View, size: Size): Bounds => {
  const topLeft = pointAt(view, size, { x: 0, y: 0 })
  const bottomRight = pointAt(view, size, { x: size.width, y: size.height })
  const latitude = (y: number): number =>
    EqualEarth.unproject({ x: 0, y: within(y, EqualEarth.extent.y) })?.latitude ?? Math.sign(y) * 90
  const [south, north] = [latitude(bottomRight.y), latitude(topLeft.y)]
  // Meridians are closest together where one is nearest to a pole, and farthest apart near the equator.
  const edges = [south, north, Math.min(north, Math.max(south, 0))].map((latitude) => meridians(view, size, latitude))
  return {
    south,
    north,
    west: Math.min(...edges.map(([west]) => west)),
    east: Math.max(...edges.map(([, east]) => east))
  }
}
