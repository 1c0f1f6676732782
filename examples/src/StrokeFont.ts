/**
 * A small font of strokes: a cap is 7 units high, a small letter 5, below the line are 2.
 *
 * Glyphs are written as paths: `M x y` starts a stroke, `L x y` goes on to a point, `A cx cy rx ry from to`
 * along an ellipse by degrees, counter-clockwise when they grow, and `O cx cy rx ry` is a whole ellipse.
 */

/** A line through points, as `x, y, x, y, ...`. */
export type Stroke = ReadonlyArray<number>

interface Glyph {
  readonly width: number
  readonly strokes: ReadonlyArray<Stroke>
}

const glyphs: Readonly<Record<string, readonly [width: number, path: string]>> = {
  " ": [1.8, ""],
  A: [5.2, "M0 0L2.6 7L5.2 0M.9 2.3L4.3 2.3"],
  B: [4.6, "M0 3.7L2.4 3.7A2.4 5.35 1.8 1.65 -90 90L0 7L0 0L2.6 0A2.6 1.85 2 1.85 -90 90"],
  C: [4.9, "A2.9 3.5 2.9 3.5 48 312"],
  D: [5, "M0 0L0 7L1.7 7A1.7 3.5 3.3 3.5 90 -90L0 0"],
  E: [4, "M4 7L0 7L0 0L4 0M0 3.7L3.4 3.7"],
  F: [3.8, "M3.8 7L0 7L0 0M0 3.6L3.2 3.6"],
  G: [5.4, "A2.9 3.5 2.9 3.5 48 335L5.5 3.3L3.2 3.3"],
  H: [4.8, "M0 0L0 7M4.8 0L4.8 7M0 3.7L4.8 3.7"],
  I: [0, "M0 0L0 7"],
  J: [3, "M3 7L3 1.8A1.5 1.8 1.5 1.8 0 -180"],
  K: [4.6, "M0 0L0 7M4.4 7L0 2.6M1.7 4.3L4.6 0"],
  L: [3.8, "M0 7L0 0L3.8 0"],
  M: [6, "M0 0L0 7L3 2L6 7L6 0"],
  N: [4.8, "M0 0L0 7L4.8 0L4.8 7"],
  O: [5.8, "O2.9 3.5 2.9 3.5"],
  P: [4.4, "M0 0L0 7L2.5 7A2.5 5.1 1.9 1.9 90 -90L0 3.2"],
  Q: [5.8, "O2.9 3.5 2.9 3.5M3.7 1.6L5.6 -.4"],
  R: [4.6, "M0 0L0 7L2.5 7A2.5 5.15 1.9 1.85 90 -90L0 3.3M2.5 3.3L4.6 0"],
  S: [4.4, "A2.2 5.25 2 1.75 35 270A2.2 1.75 2.2 1.75 90 -148"],
  T: [5, "M0 7L5 7M2.5 7L2.5 0"],
  U: [4.8, "M0 7L0 2.4A2.4 2.4 2.4 2.4 180 360L4.8 7"],
  V: [5.2, "M0 7L2.6 0L5.2 7"],
  W: [7.4, "M0 7L1.85 0L3.7 6.4L5.55 0L7.4 7"],
  X: [4.8, "M0 7L4.8 0M4.8 7L0 0"],
  Y: [5, "M0 7L2.5 3.4L5 7M2.5 3.4L2.5 0"],
  Z: [4.6, "M0 7L4.6 7L0 0L4.6 0"],
  a: [3.9, "O2 2.5 2 2.5M3.95 5L3.95 0"],
  b: [3.9, "M0 7.3L0 0M0 2.5O2 2.5 2 2.5"],
  c: [3.4, "A2 2.5 2 2.5 48 312"],
  d: [3.9, "O1.95 2.5 2 2.5M3.95 7.3L3.95 0"],
  e: [4, "M0 2.6L4 2.6A2 2.5 2 2.5 0 312"],
  f: [2.4, "M.9 0L.9 5.7A2.4 5.7 1.5 1.6 180 75M0 4.9L2.4 4.9"],
  g: [3.9, "O2 2.5 2 2.5M3.95 5L3.95 -.3A2 -.3 1.95 1.9 0 -150"],
  h: [3.8, "M0 7.3L0 0M0 2.9A1.9 2.9 1.9 2.1 180 0L3.8 0"],
  i: [0, "M0 5L0 0M0 6.9L0 7"],
  j: [0.8, "M.8 5L.8 -.6A-.4 -.6 1.2 1.5 0 -80M.8 6.9L.8 7"],
  k: [3.6, "M0 7.3L0 0M3.5 5L0 1.9M1.3 3.05L3.6 0"],
  l: [0, "M0 7.3L0 0"],
  m: [6.4, "M0 5L0 0M0 3.1A1.6 3.1 1.6 1.9 180 0L3.2 0M3.2 3.1A4.8 3.1 1.6 1.9 180 0L6.4 0"],
  n: [3.8, "M0 5L0 0M0 2.9A1.9 2.9 1.9 2.1 180 0L3.8 0"],
  o: [4.1, "O2.05 2.5 2.05 2.5"],
  p: [3.9, "M0 5L0 -2.2O2 2.5 2 2.5"],
  q: [3.9, "M3.95 5L3.95 -2.2O1.95 2.5 2 2.5"],
  r: [2.3, "M0 5L0 0M0 2.8A1.9 2.8 1.9 2.2 180 75"],
  s: [3.2, "A1.6 3.72 1.45 1.28 38 270A1.6 1.22 1.6 1.22 90 -148"],
  t: [2.4, "M.9 6.7L.9 1.5A2.3 1.5 1.4 1.5 180 285M0 5L2.4 5"],
  u: [3.8, "M0 5L0 2.1A1.9 2.1 1.9 2.1 180 360M3.8 5L3.8 0"],
  v: [4, "M0 5L2 0L4 5"],
  w: [6, "M0 5L1.5 0L3 4.6L4.5 0L6 5"],
  x: [3.7, "M0 5L3.7 0M3.7 5L0 0"],
  y: [4, "M0 5L2.05 0M4 5L1.2 -2.1"],
  z: [3.5, "M0 5L3.5 5L0 0L3.5 0"],
  "0": [4.4, "O2.2 3.5 2.2 3.5"],
  "1": [4.4, "M.9 5.6L2.7 7L2.7 0"],
  "2": [4.4, "A2.15 4.95 2.05 2.05 165 -38L0 0L4.4 0"],
  "3": [4.4, "A2.1 5.3 1.9 1.7 150 -90A2.1 1.8 2.2 1.8 90 -150"],
  "4": [4.4, "M3.4 0L3.4 7L0 2L4.6 2"],
  "5": [4.4, "M4 7L.9 7L.6 3.9A2.1 2.25 2.25 2.25 132 -145"],
  "6": [4.4, "O2.2 2.2 2.2 2.2M0 2.2A4.2 2.2 4.2 4.85 180 103"],
  "7": [4.4, "M0 7L4.4 7L1.6 0"],
  "8": [4.4, "O2.2 5.3 1.8 1.7O2.2 1.8 2.2 1.8"],
  "9": [4.4, "O2.2 4.8 2.2 2.2M4.4 4.8A.2 4.8 4.2 4.85 0 -77"],
  ".": [0.2, "M.1 0L.1 .1"],
  ",": [0.5, "M.4 .1L0 -1.2"],
  ":": [0.2, "M.1 .5L.1 .6M.1 4.2L.1 4.3"],
  "-": [2.2, "M0 2.7L2.2 2.7"],
  "−": [3.8, "M0 3.4L3.8 3.4"],
  "+": [3.8, "M0 3.4L3.8 3.4M1.9 1.5L1.9 5.3"],
  "°": [1.9, "O.95 6.1 .95 .95"],
  "·": [0.2, "M.1 2.9L.1 3"],
  "×": [3.2, "M0 1.7L3.2 4.9M0 4.9L3.2 1.7"],
  "/": [3, "M0 -.8L3 7.6"],
  "(": [1.3, "A3 3.1 3 5.2 122 238"],
  ")": [1.3, "A-1.7 3.1 3 5.2 58 -58"]
}

const arc = (cx: number, cy: number, rx: number, ry: number, from: number, to: number): ReadonlyArray<number> => {
  const steps = Math.ceil(Math.abs(to - from) / 9)
  return Array.from({ length: steps + 1 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / steps) * Math.PI) / 180
    return [cx + rx * Math.cos(angle), cy + ry * Math.sin(angle)]
  }).flat()
}

const parse = (path: string): ReadonlyArray<Stroke> => {
  const strokes: Array<Array<number>> = []
  let open = false
  for (const [command] of path.matchAll(/[A-Z][^A-Z]*/g)) {
    const numbers = command.slice(1).trim().split(/\s+/).map(Number)
    const [cx = 0, cy = 0, rx = 0, ry = 0, from = 0, to = 0] = numbers
    if (command.startsWith("O")) {
      strokes.push([...arc(cx, cy, rx, ry, 0, 360)])
      open = false
      continue
    }
    if (!open || command.startsWith("M")) strokes.push([])
    open = true
    strokes.at(-1)!.push(...(command.startsWith("A") ? arc(cx, cy, rx, ry, from, to) : numbers))
  }
  return strokes
}

const parsed = new Map<string, Glyph>()

const glyph = (character: string): Glyph => {
  const known = parsed.get(character)
  if (known !== undefined) return known
  const [width, path] = glyphs[character] ?? glyphs["-"]!
  const made = { width, strokes: parse(path) }
  parsed.set(character, made)
  return made
}

/** Units between two glyphs. */
const gap = 1.75

/** Strokes of a text in pixels, from a point on its base line, and how wide it is. */
export const layOut = (
  text: string,
  options: {
    readonly x: number
    readonly y: number
    readonly capHeight: number
    readonly align?: "left" | "center" | "right"
  }
): { readonly strokes: ReadonlyArray<Stroke>; readonly width: number } => {
  const unit = options.capHeight / 7
  const line = Array.from(text, glyph)
  const width = unit * (line.reduce((sum, { width }) => sum + width + gap, 0) - gap)
  const shift = { left: 0, center: width / 2, right: width }[options.align ?? "left"]
  let x = options.x - shift
  const strokes: Array<Stroke> = []
  for (const { strokes: shapes, width } of line) {
    const left = x
    for (const shape of shapes) {
      strokes.push(shape.map((value, i) => (i % 2 === 0 ? left + value * unit : options.y - value * unit)))
    }
    x += unit * (width + gap)
  }
  return { strokes, width }
}
