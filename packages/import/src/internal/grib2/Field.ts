/**
 * What the sections of a field say of it. Source: WMO Manual on Codes, FM 92 GRIB.
 *
 * @since 0.1.0
 */
import * as Parameters from "./Parameters.ts"

export interface Grid {
  readonly template: number
  readonly nx: number
  readonly ny: number
  readonly scan: number
  /** All that the section says, as a key. */
  readonly key: string
  /** Coordinates along the axes, of grids that are regular in latitude and longitude. */
  readonly axes: { readonly latitude: Float64Array; readonly longitude: Float64Array } | undefined
}

export interface Product {
  readonly name: readonly [string, string, string]
  readonly typeOfLevel: string
  readonly stepType: string
  /** Top or only level, and the bottom of a layer. */
  readonly levels: readonly [number, number]
  /** Hours. */
  readonly step: number
  readonly member: number | undefined
}

/** Why a field is left out: a sentence. */
export type Unread = string

/** The longest axis that coordinates are made for. */
const longest = 1_000_000

const signMagnitude32 = (view: DataView, at: number): number => {
  const value = view.getUint32(at)
  return value & 0x8000_0000 ? -(value & 0x7fff_ffff) : value
}

/** Where the scanning mode is, by template. */
const scanAt: Readonly<Record<number, number>> = { 0: 71, 1: 71, 10: 59, 20: 64, 30: 64, 40: 71 }

/** Section 3. */
export const grid = (view: DataView): Grid | Unread => {
  if (view.byteLength < 14) return "its grid section is cut off"
  const template = view.getUint16(12)
  const at = scanAt[template]
  if (at === undefined) return `its grid is of template 3.${template}, which is not known`
  if (view.byteLength <= at) return "its grid section is cut off"
  const nx = view.getUint32(30)
  const ny = view.getUint32(34)
  const scan = view.getUint8(at)
  if (view.getUint8(10) !== 0) return "its rows have different lengths (a reduced grid)"
  if (nx === 0 || ny === 0 || nx * ny !== view.getUint32(6)) {
    return `its grid of ${nx} by ${ny} has not the ${view.getUint32(6)} points that it says`
  }
  if ((scan & 0x30) !== 0) return `its points are in an order (scanning mode ${scan}) that is not by rows`
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  return { template, nx, ny, scan, key: bytes.join(","), axes: template === 0 ? axes(view, nx, ny, scan) : undefined }
}

const axes = (view: DataView, nx: number, ny: number, scan: number): Grid["axes"] => {
  if (nx > longest || ny > longest) return undefined
  const basic = view.getUint32(38)
  const subdivisions = view.getUint32(42)
  const unit = basic === 0 || basic === 0xffff_ffff || subdivisions === 0 ? 1e6 : subdivisions / basic
  const along = (n: number, first: number, last: number): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => (n === 1 ? first : first + ((last - first) * i) / (n - 1)) / unit)
  const [la1, lo1, la2, lo2] = [46, 50, 55, 59].map((at) => signMagnitude32(view, at)) as [
    number,
    number,
    number,
    number
  ]
  const turn = 360 * unit
  // Longitudes go on in the direction of the scan, across the date line too.
  const end = (scan & 0x80) === 0 ? (lo2 < lo1 ? lo2 + turn : lo2) : lo2 > lo1 ? lo2 - turn : lo2
  return { latitude: along(ny, la1, la2), longitude: along(nx, lo1, end) }
}

/** Where the statistic is, by template; -1 where there is none. */
const statisticAt: Readonly<Record<number, number>> = { 0: -1, 1: -1, 8: 46, 11: 49 }

const level = (view: DataView, at: number): number => {
  const type = view.getUint8(at)
  const raw = view.getUint8(at + 1)
  const value = signMagnitude32(view, at + 2)
  if (type === 255 || raw === 255) return 0
  const scaled = raw & 0x80 ? value * 10 ** (raw & 0x7f) : value / 10 ** raw
  return type === 100 ? scaled / 100 : scaled
}

/** Section 4. */
export const product = (view: DataView, discipline: number): Product | Unread => {
  if (view.byteLength < 9) return "its product section is cut off"
  const template = view.getUint16(7)
  const at = statisticAt[template]
  if (at === undefined) return `its product is of template 4.${template}, which is not known`
  const isMember = template === 1 || template === 11
  if (view.byteLength < Math.max(isMember ? 37 : 34, at + 7)) return "its product section is cut off"
  const unit = Parameters.hours[view.getUint8(17)]
  const rangeUnit = at < 0 ? 0 : Parameters.hours[view.getUint8(at + 2)]
  if (unit === undefined || rangeUnit === undefined) return "its step is in a unit of time that is not known"
  const range = at < 0 ? 0 : view.getUint32(at + 3) * rangeUnit
  return {
    name: Parameters.parameter(discipline, view.getUint8(9), view.getUint8(10)),
    typeOfLevel: Parameters.level(view.getUint8(22), view.getUint8(28)),
    stepType: Parameters.statistic(at < 0 ? undefined : view.getUint8(at)),
    levels: [level(view, 22), level(view, 28)],
    step: signMagnitude32(view, 18) * unit + range,
    member: isMember ? view.getUint8(35) : undefined
  }
}

/** The reference time of section 1, in seconds since 1970; `undefined` where it is none. */
export const time = (view: DataView): number | undefined => {
  if (view.byteLength < 19) return undefined
  const [month, day, hour, minute, second] = [14, 15, 16, 17, 18].map((at) => view.getUint8(at)) as [
    number,
    number,
    number,
    number,
    number
  ]
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined
  return Date.UTC(view.getUint16(12), month - 1, day, hour, minute, second) / 1000
}
