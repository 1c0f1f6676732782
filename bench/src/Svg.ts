/**
 * Line charts as SVG: several panels side by side, axes in powers of ten, on a ground of their own, so that they are
 * read on a light and on a dark page.
 */

export interface Series {
  readonly name: string
  readonly style: Style
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface Style {
  readonly color: string
  readonly dash?: string
  readonly marker: "circle" | "square" | "diamond"
}

export interface Panel {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly series: ReadonlyArray<Series>
  /** Marks of the x axis, where powers of ten do not do. */
  readonly xTicks?: ReadonlyArray<readonly [x: number, label: string]>
  readonly yFormat?: (value: number) => string
}

const width = 380
const height = 270
const inset = { left: 80, right: 18, top: 34, bottom: 52 }

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
const at = (value: number): string => value.toFixed(1)

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${at(x)}" y="${at(y)}" ${attributes}>${escape(content)}</text>`

const mark = (style: Style, x: number, y: number): string => {
  switch (style.marker) {
    case "circle":
      return `<circle cx="${at(x)}" cy="${at(y)}" r="4" fill="${style.color}"/>`
    case "square":
      return `<rect x="${at(x - 3.5)}" y="${at(y - 3.5)}" width="7" height="7" fill="${style.color}"/>`
    case "diamond":
      return `<path d="M${at(x)} ${at(y - 5)}l5 5-5 5-5-5z" fill="${style.color}"/>`
  }
}

const powers = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: Math.round(Math.log10(to / from)) + 1 }, (_, i) => from * 10 ** i)

/** Powers of ten around the values. */
const bounds = (values: ReadonlyArray<number>): readonly [number, number] => {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values)) - 1e-9)
  return [low, high > low ? high : low * 10]
}

const short = (value: number): string => {
  if (value >= 1e9) return `${value / 1e9}G`
  if (value >= 1e6) return `${value / 1e6}M`
  if (value >= 1e3) return `${value / 1e3}k`
  return String(Number(value.toPrecision(2)))
}

export const seconds = (value: number): string => {
  if (value >= 7200) return `${short(value / 3600)} h`
  if (value >= 120) return `${short(value / 60)} min`
  if (value >= 1) return `${short(value)} s`
  return value >= 1e-3 ? `${short(value * 1e3)} ms` : `${short(value * 1e6)} µs`
}

export const bytes = (value: number): string => {
  if (value >= 1e9) return `${short(value / 1e9)} GB`
  if (value >= 1e6) return `${short(value / 1e6)} MB`
  return value >= 1e3 ? `${short(value / 1e3)} kB` : `${short(value)} B`
}

export const count = short

const drawn = (panel: Panel, left: number, top: number): string => {
  const series = panel.series.filter(({ points }) => points.length > 0)
  const all = series.flatMap(({ points }) => points)
  if (all.length === 0) return ""
  const xs = all.map(([x]) => x)
  const [x0, x1] = panel.xTicks === undefined ? bounds(xs) : [Math.min(...xs), Math.max(...xs)]
  const [y0, y1] = bounds(all.map(([, y]) => y))
  const area = {
    left: left + inset.left,
    right: left + width - inset.right,
    top: top + inset.top,
    bottom: top + height - inset.bottom
  }
  const margin = panel.xTicks === undefined ? 0 : 14
  const xOf = (x: number): number =>
    area.left + margin + ((area.right - area.left - 2 * margin) * Math.log(x / x0)) / Math.log(x1 / x0 || 1)
  const yOf = (y: number): number => area.bottom - ((area.bottom - area.top) * Math.log(y / y0)) / Math.log(y1 / y0)
  const format = panel.yFormat ?? seconds
  const xTicks = panel.xTicks ?? powers(x0, x1).map((x) => [x, short(x)] as const)
  return [
    text(left + inset.left, top + 20, panel.title, `class="title"`),
    ...powers(y0, y1).flatMap((y) => [
      `<path class="grid" d="M${at(area.left)} ${at(yOf(y))}H${at(area.right)}"/>`,
      text(area.left - 7, yOf(y) + 4, format(y), `text-anchor="end"`)
    ]),
    ...xTicks.flatMap(([x, label]) => [
      `<path class="grid" d="M${at(xOf(x))} ${at(area.top)}V${at(area.bottom)}"/>`,
      text(xOf(x), area.bottom + 17, label, `text-anchor="middle"`)
    ]),
    `<path class="axis" d="M${at(area.left)} ${at(area.top)}V${at(area.bottom)}H${at(area.right)}"/>`,
    text((area.left + area.right) / 2, area.bottom + 36, panel.xLabel, `text-anchor="middle" class="label"`),
    `<text class="label" text-anchor="middle" transform="translate(${at(left + 18)} ${at((area.top + area.bottom) / 2)}) rotate(-90)">${escape(panel.yLabel)}</text>`,
    ...series.map(({ points, style }) => {
      const path = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${at(xOf(x))} ${at(yOf(y))}`).join("")
      const dash = style.dash === undefined ? "" : ` stroke-dasharray="${style.dash}"`
      const marks = points.map(([x, y]) => mark(style, xOf(x), yOf(y))).join("")
      return `<path d="${path}" fill="none" stroke="${style.color}" stroke-width="2"${dash}/>${marks}`
    })
  ].join("\n")
}

const legend = (panels: ReadonlyArray<Panel>, left: number, top: number): string => {
  const names = new Map(panels.flatMap(({ series }) => series.map(({ name, style }) => [name, style] as const)))
  let x = left
  return Array.from(names, ([name, style]) => {
    const dash = style.dash === undefined ? "" : ` stroke-dasharray="${style.dash}"`
    const entry = [
      `<path d="M${at(x)} ${top}h34" stroke="${style.color}" stroke-width="2"${dash}/>`,
      mark(style, x + 17, top),
      text(x + 42, top + 4, name, `class="label"`)
    ].join("")
    x += 42 + name.length * 7 + 28
    return entry
  }).join("\n")
}

export const chart = (panels: ReadonlyArray<Panel>, columns: number): string => {
  const rows = Math.ceil(panels.length / columns)
  const size = { width: columns * width + 10, height: rows * height + 44 }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" viewBox="0 0 ${size.width} ${size.height}">
<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #3d4752 }
.title { font-size: 14px; font-weight: 600; fill: #14191f }
.label { fill: #14191f }
.grid { stroke: #dfe4e9; fill: none }
.axis { stroke: #7a8794; fill: none }
</style>
<rect x="0.5" y="0.5" width="${size.width - 1}" height="${size.height - 1}" rx="8" fill="#ffffff" stroke="#c9d1d9"/>
${panels.map((panel, i) => drawn(panel, (i % columns) * width, Math.floor(i / columns) * height)).join("\n")}
${legend(panels, 30, rows * height + 20)}
</svg>
`
}
