/**
 * Times as numbers since a moment, from one unit into another. Pure. Source: CF conventions, "Time Coordinate".
 *
 * @since 0.1.0
 */

/** Milliseconds. */
const units: Readonly<Record<string, number>> = {
  millisecond: 1,
  msec: 1,
  ms: 1,
  second: 1000,
  sec: 1000,
  s: 1000,
  minute: 60_000,
  min: 60_000,
  hour: 3_600_000,
  hr: 3_600_000,
  h: 3_600_000,
  day: 86_400_000,
  d: 86_400_000
}

/** A unit, and its moment as year, month, day and milliseconds of the day in UTC. */
interface Since {
  readonly unit: number
  readonly year: number
  readonly month: number
  readonly day: number
  readonly rest: number
}

const pattern =
  /^\s*([a-z]+)\s+since\s+(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)?)?\s*(?:Z|UTC|GMT|([+-])(\d{1,2}):?(\d{2})?)?\s*$/i

const parse = (text: string): Since | undefined => {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [
    ,
    name,
    year,
    month,
    day,
    hour = "0",
    minute = "0",
    second = "0",
    fraction = "",
    sign,
    east = "0",
    more = "0"
  ] = match
  const key = name!.toLowerCase()
  const unit = Object.hasOwn(units, key) ? units[key] : key.endsWith("s") ? units[key.slice(0, -1)] : undefined
  const milliseconds = Number(fraction.padEnd(9, "0")) / 1e6
  if (unit === undefined || !Number.isInteger(milliseconds)) return undefined
  const zone = (sign === "-" ? -1 : 1) * (Number(east) * 60 + Number(more)) * 60_000
  const rest = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 + milliseconds - zone
  return { unit, year: Number(year), month: Number(month), day: Number(day), rest }
}

const before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334] as const

const civil = (year: number, month: number, day: number): number | undefined => {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCDate() === day ? date.getTime() / 86_400_000 : undefined
}

/** Days since some day of a calendar; `undefined` where the calendar is not simple there. */
const dayOf = ({ day, month, year }: Since, calendar: string): number | undefined => {
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined
  switch (calendar) {
    case "standard":
    case "gregorian":
      // Before, it is Julian.
      return year < 1583 ? undefined : civil(year, month, day)
    case "proleptic_gregorian":
      return civil(year, month, day)
    case "365_day":
    case "noleap":
      return year * 365 + before[month - 1]! + day - 1
    case "360_day":
      return day > 30 ? undefined : year * 360 + (month - 1) * 30 + day - 1
    default:
      return undefined
  }
}

/** How numbers of one unit become those of another: `number * factor + shift`. `undefined` where that is not so simple. */
export const conversion = (
  from: string,
  to: string,
  calendar: string
): { readonly factor: number; readonly shift: number } | undefined => {
  const a = parse(from)
  const b = parse(to)
  if (a === undefined || b === undefined) return undefined
  const name = calendar.toLowerCase()
  const dayA = dayOf(a, name)
  const dayB = dayOf(b, name)
  if (dayA === undefined || dayB === undefined) return undefined
  const apart = (dayA - dayB) * 86_400_000 + a.rest - b.rest
  return { factor: a.unit / b.unit, shift: apart / b.unit }
}
