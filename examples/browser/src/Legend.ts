/**
 * The colour scale, with its heights.
 */
import * as ColorScale from "../../src/ColorScale.ts"

/** Whole numbers between two values, at most so many. */
export const ticks = (from: number, to: number, most: number): ReadonlyArray<number> => {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((step) => (to - from) / step <= most) ?? 1000
  const first = Math.ceil(from / step)
  return Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step)
}

const formatted = (height: number): string => `${height < 0 ? "−" : ""}${Math.abs(height)}`

export const draw = (
  canvas: HTMLCanvasElement,
  labels: HTMLElement,
  options: { readonly range: readonly [number, number]; readonly scaleEnd: number; readonly units: string }
): void => {
  const { scaleEnd, units } = options
  const [from, to] = options.range
  canvas.width = 512
  canvas.height = 1
  const context = canvas.getContext("2d")!
  const image = context.createImageData(canvas.width, 1)
  for (let x = 0; x < canvas.width; x++) {
    const color = ColorScale.colorAt((from + ((x + 0.5) / canvas.width) * (to - from)) / scaleEnd)
    image.data.set([...color.map((part) => Math.round(part * 255)), 255], x * 4)
  }
  context.putImageData(image, 0, 0)
  const all = ticks(from, to, 8)
  labels.replaceChildren(
    ...all.map((height, i) => {
      const label = document.createElement("span")
      label.textContent = i === all.length - 1 ? `${formatted(height)} ${units}` : formatted(height)
      label.style.left = `${((height - from) / (to - from)) * 100}%`
      return label
    })
  )
}
