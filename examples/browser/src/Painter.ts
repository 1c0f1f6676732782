/**
 * Paints fields in the colours of the demo, pixel by pixel.
 */
import * as ColorScale from "../../src/ColorScale.ts"
import * as EqualEarth from "../../src/EqualEarth.ts"
import type { Field } from "./Field.ts"
import { pointAt, type Size, type View } from "./View.ts"

const heightSteps = 1024
const lightSteps = 64

/**
 * Colours by height and light, as the bytes of an image in the order of this machine. Each is made when it is first needed:
 * most of them are in no picture.
 */
const lookup = new Uint32Array(heightSteps * lightSteps)
const lookupBytes = new Uint8ClampedArray(lookup.buffer)

const makeColor = (at: number): number => {
  const [height, light] = [Math.floor(at / lightSteps), at % lightSteps]
  const color = ColorScale.colorAt((2 * height) / (heightSteps - 1) - 1, (2 * light) / (lightSteps - 1) - 1)
  for (let c = 0; c < 3; c++) lookupBytes[at * 4 + c] = Math.round(color[c]! * 255)
  lookupBytes[at * 4 + 3] = 255
  return lookup[at]!
}

/** The pixels of a row that lie in the world. */
interface PixelRow {
  readonly latitude: number
  /** In the image. */
  readonly from: number
  readonly to: number
  /** Of the first pixel, and from one to the next. */
  readonly longitude: number
  readonly step: number
}

/** Paints what a field knows of a row, where nothing was painted yet, and says whether all of it is painted. */
const paintRow = (pixels: Uint32Array, row: PixelRow, field: Field, scaleEnd: number): boolean => {
  const { columns, heights, light, rows, west } = field
  const { from, step, to } = row
  const inRows = Math.min(rows - 1, Math.max(0, (row.latitude - field.south) / field.step))
  const below = Math.min(rows - 2, Math.floor(inRows))
  const v = inRows - below
  const start = below * columns
  const perPixel = step / field.step
  const heightScale = (heightSteps - 1) / 2
  const lightScale = (lightSteps - 1) / 2
  let first = (row.longitude - west) / field.step
  if (first < 0) first += columns
  let isWhole = true
  for (let i = from; i < to; i++) {
    if (pixels[i] !== 0) continue
    const inColumns = first + (i - from) * perPixel
    const floor = Math.floor(inColumns)
    const u = inColumns - floor
    const left = start + (floor % columns)
    const right = start + ((floor + 1) % columns)
    const low = heights[left]! * (1 - u) + heights[right]! * u
    const high = heights[left + columns]! * (1 - u) + heights[right + columns]! * u
    const height = low + (high - low) * v
    // Not a number: not read yet, or not there.
    if (height !== height) {
      isWhole = false
      continue
    }
    const dark = light[left]! * (1 - u) + light[right]! * u
    const lit = dark + (light[left + columns]! * (1 - u) + light[right + columns]! * u - dark) * v
    // Next to what was not read yet, slopes are not known.
    const slope = lit === lit ? lit : 0
    const position = Math.min(1, Math.max(-1, height / scaleEnd))
    const at = Math.round((position + 1) * heightScale) * lightSteps + Math.round((slope + 1) * lightScale)
    const color = lookup[at]!
    pixels[i] = color === 0 ? makeColor(at) : color
  }
  return isWhole
}

/**
 * The image of a view, with `pixelRatio` pixels for each CSS pixel. Where the first field has no value, the next one is
 * taken, and `unknown` where none has; what is outside of the world is transparent.
 */
export const paint = (
  pixels: Uint32Array,
  options: {
    readonly view: View
    readonly size: Size
    readonly pixelRatio: number
    readonly fields: ReadonlyArray<Field>
    /** The height at the ends of the colour scale. */
    readonly scaleEnd: number
    /** A colour as the image has it (default transparent). */
    readonly unknown?: number | undefined
  }
): void => {
  const { fields, pixelRatio, scaleEnd, size, unknown = 0, view } = options
  const [width, height] = [Math.round(size.width * pixelRatio), Math.round(size.height * pixelRatio)]
  const start = pointAt(view, size, { x: 0.5 / pixelRatio, y: 0.5 / pixelRatio })
  const perPixel = 1 / (view.scale * pixelRatio)
  pixels.fill(0)
  for (let row = 0; row < height; row++) {
    const middle = EqualEarth.unproject({ x: 0, y: start.y - row * perPixel })
    if (middle === undefined) continue
    // Along a row of pixels, degrees of longitude are all of one width.
    const degrees = 180 / EqualEarth.project({ latitude: middle.latitude, longitude: 180 }).x
    const first = Math.max(0, Math.ceil((-180 / degrees - start.x) / perPixel))
    const last = Math.min(width - 1, Math.floor((180 / degrees - start.x) / perPixel))
    const pixelRow = {
      latitude: middle.latitude,
      from: row * width + first,
      to: row * width + last + 1,
      longitude: (start.x + first * perPixel) * degrees,
      step: perPixel * degrees
    }
    const isWhole = fields.some((field) => paintRow(pixels, pixelRow, field, scaleEnd))
    if (isWhole || unknown === 0) continue
    for (let i = pixelRow.from; i < pixelRow.to; i++) if (pixels[i] === 0) pixels[i] = unknown
  }
}
