/**
 * Colours.
 */

/** Red, green and blue from 0 to 1, as sRGB. */
export type Color = readonly [number, number, number]

/** `#rrggbb`. */
export const hex = (text: string): Color => {
  const value = Number.parseInt(text.slice(1), 16)
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255]
}
