/**
 * A diverging colour scale, even to the eye: colours are interpolated in Oklab (Ottosson, 2020).
 */
import { type Color, hex } from "./Color.ts"

const toLinear = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
const fromLinear = (value: number): number =>
  value <= 0.0031308 ? 12.92 * Math.max(0, value) : 1.055 * value ** (1 / 2.4) - 0.055

type Lab = readonly [number, number, number]

const toLab = (color: Color): Lab => {
  const [r, g, b] = [toLinear(color[0]), toLinear(color[1]), toLinear(color[2])]
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s
  ]
}

const fromLab = ([lightness, a, b]: Lab): Color => {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    fromLinear(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    fromLinear(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    fromLinear(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)
  ]
}

/** From far below zero to far above. */
const stops = ["#1c1a4f", "#27509b", "#4d93c6", "#a5cfdf", "#f3efe4", "#f1c58b", "#dd8046", "#a83a32", "#561325"].map(
  (text) => toLab(hex(text))
)

/** The colour of a value from -1 to 1; `light` from -1 to 1 makes it darker or lighter, as light on a slope. */
export const colorAt = (value: number, light = 0): Color => {
  const position = ((Math.min(1, Math.max(-1, value)) + 1) / 2) * (stops.length - 1)
  const below = Math.min(stops.length - 2, Math.floor(position))
  const part = position - below
  const [from, to] = [stops[below]!, stops[below + 1]!]
  const [lightness, a, b] = [0, 1, 2].map((c) => from[c]! + (to[c]! - from[c]!) * part) as unknown as Lab
  return fromLab([lightness + light * (light < 0 ? 0.3 * lightness : 0.5 * (1 - lightness)), a, b])
}
