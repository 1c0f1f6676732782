/**
 * An image to paint on: opaque pixels, anti-aliased strokes and discs, PNG at the end.
 */
import { PNG } from "pngjs"
import type { Color } from "./Color.ts"
import type { Stroke } from "./StrokeFont.ts"

export class Raster {
  readonly width: number
  readonly height: number
  readonly #pixels: Float32Array
  /** How much of each pixel the stroke that is being drawn covers. */
  readonly #coverage: Float32Array

  constructor(width: number, height: number, background: Color) {
    this.width = width
    this.height = height
    this.#pixels = new Float32Array(width * height * 3)
    this.#coverage = new Float32Array(width * height)
    for (let i = 0; i < width * height; i++) this.#pixels.set(background, i * 3)
  }

  blend(x: number, y: number, color: Color, alpha: number): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return
    const at = (y * this.width + x) * 3
    for (let c = 0; c < 3; c++) this.#pixels[at + c]! += (color[c]! - this.#pixels[at + c]!) * alpha
  }

  /** Draws lines of a width, all at once: where they cross they are no darker. */
  stroke(strokes: ReadonlyArray<Stroke>, width: number, color: Color, alpha = 1): void {
    const touched: Array<number> = []
    const reach = width / 2 + 0.5
    for (const stroke of strokes) {
      for (let i = 0; i + 3 < stroke.length; i += 2) {
        const [ax, ay, bx, by] = [stroke[i]!, stroke[i + 1]!, stroke[i + 2]!, stroke[i + 3]!]
        const [dx, dy] = [bx - ax, by - ay]
        const squared = dx * dx + dy * dy
        const right = Math.min(this.width - 1, Math.ceil(Math.max(ax, bx) + reach))
        const bottom = Math.min(this.height - 1, Math.ceil(Math.max(ay, by) + reach))
        for (let y = Math.max(0, Math.floor(Math.min(ay, by) - reach)); y <= bottom; y++) {
          for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - reach)); x <= right; x++) {
            const along = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / squared))
            const covered = Math.min(1, reach - Math.hypot(x - ax - along * dx, y - ay - along * dy))
            const at = y * this.width + x
            if (covered <= this.#coverage[at]!) continue
            if (this.#coverage[at] === 0) touched.push(at)
            this.#coverage[at] = covered
          }
        }
      }
    }
    for (const at of touched) {
      this.blend(at % this.width, Math.floor(at / this.width), color, alpha * this.#coverage[at]!)
      this.#coverage[at] = 0
    }
  }

  toPng(): Uint8Array {
    const png = new PNG({ width: this.width, height: this.height })
    for (let i = 0; i < this.width * this.height; i++) {
      for (let c = 0; c < 3; c++)
        png.data[i * 4 + c] = Math.round(Math.min(1, Math.max(0, this.#pixels[i * 3 + c]!)) * 255)
      png.data[i * 4 + 3] = 255
    }
    return PNG.sync.write(png, { colorType: 2, deflateLevel: 9 })
  }
}
