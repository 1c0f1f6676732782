/**
 * Paints fields in the colours of the demo, pixel by pixel.
 */
import * as ColorScale from "../../src/ColorScale.ts"
import * as EqualEarth from "../../src/EqualEarth.ts"
import type { Field } from "./Field.ts"
import { pointAt, type Size, type View } from "./View.ts"

const heightSteps = 1024
const lightSteps = 64

/** Colours by height and light, as the bytes of an image in the order of this machine. */
let table: Uint32Array | undefined

const colors = (): Uint32Array => {
  if (table !== undefined) return table
  const made = new Uint32Array(heightSteps * lightSteps)
  const bytes = new Uint8ClampedArray(made.buffer)
  for (let height = 0; height < heightSteps; height++) {
    for (let light = 0; light < lightSteps; light++) {
      const color = ColorScale.colorAt((2 * height) / (heightSteps - 1) - 1, (2 * light) / (lightSteps - 1) - 1)
      const at = (height * lightSteps + light) * 4
      for (let c = 0; c < 3; c++) bytes[at + c] = Math.round(color[c]! * 255)
      bytes[at + 3] = 255
    }
  }
  table = made
  return made
}

/** The four neighbours of the pixels of a row in one field, as far as the row says. */
interface FieldRow {
  readonly field: Field
  /** Where the row below begins, and the part of the way to the one above. */
  readonly at: number
  readonly v: number
}

/**
 * The image of a view, with `pixelRatio` pixels for each CSS pixel. Where the first field has no value, the next one is
 * taken; what is outside of the world or of all fields is transparent.
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
  }
): void => {
  const { fields, pixelRatio, scaleEnd, size, view } = options
  const [width, height] = [Math.round(size.width * pixelRatio), Math.round(size.height * pixelRatio)]
  const lookup = colors()
  const start = pointAt(view, size, { x: 0.5 / pixelRatio, y: 0.5 / pixelRatio })
  const perPixel = 1 / (view.scale * pixelRatio)
  pixels.fill(0)
  for (let row = 0; row < height; row++) {
    const y = start.y - row * perPixel
    const middle = EqualEarth.unproject({ x: 0, y })
    if (middle === undefined) continue
    // Along a row of pixels, degrees of longitude are all of one width.
    const degrees = 180 / EqualEarth.project({ latitude: middle.latitude, longitude: 180 }).x
    const sources = fields.map((field): FieldRow => {
      const inRows = Math.min(field.rows - 1, Math.max(0, (middle.latitude - field.south) / field.step))
      const below = Math.min(field.rows - 2, Math.floor(inRows))
      return { field, at: below * field.columns, v: inRows - below }
    })
    const first = Math.max(0, Math.ceil((-180 / degrees - start.x) / perPixel))
    const last = Math.min(width - 1, Math.floor((180 / degrees - start.x) / perPixel))
    for (let column = first; column <= last; column++) {
      const longitude = (start.x + column * perPixel) * degrees
      for (const { at, field, v } of sources) {
        const { columns, heights, light } = field
        let inColumns = (longitude - field.west) / field.step
        if (inColumns < 0) inColumns += columns
        const whole = Math.floor(inColumns)
        const u = inColumns - whole
        const left = whole % columns
        const right = (left + 1) % columns
        const [a, b, c, d] = [at + left, at + right, at + columns + left, at + columns + right]
        const low = heights[a]! * (1 - u) + heights[b]! * u
        const value = low + (heights[c]! * (1 - u) + heights[d]! * u - low) * v
        if (Number.isNaN(value)) continue
        const dark = light[a]! * (1 - u) + light[b]! * u
        const lit = dark + (light[c]! * (1 - u) + light[d]! * u - dark) * v
        const position = Math.min(1, Math.max(-1, value / scaleEnd))
        // Next to what was not read yet, slopes are not known.
        const slope = Number.isNaN(lit) ? 0 : lit
        pixels[row * width + column] =
          lookup[
            Math.round(((position + 1) / 2) * (heightSteps - 1)) * lightSteps +
              Math.round(((slope + 1) / 2) * (lightSteps - 1))
          ]!
        break
      }
    }
  }
}
