/**
 * Messages of a file and the fields in them, by the lengths of their sections. Data is not read.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { type ImportError, WrongFormat } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import * as Field from "./Field.ts"

/** A field, and the bytes that have it: the message where it is the only one, or else its own sections. */
export interface Located {
  readonly start: number
  readonly end: number
  readonly time: number
  readonly grid: Field.Grid
  readonly product: Field.Product
}

/** A field that is left out. */
interface Unread {
  readonly start: number
  readonly problem: string
}

export interface Message {
  /** Where the next one starts. */
  readonly end: number
  readonly fields: ReadonlyArray<Located>
  readonly unread: ReadonlyArray<Unread>
}

/** Bytes of a section that describes, at most: the rest of it is not looked at. */
const longest = 65_536

/** Sections that are read, and how much of them; of the others the length is. */
const wanted: Readonly<Record<number, number>> = { 1: 21, 3: longest, 4: 80, 5: 21, 6: 6 }

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** What the sections before a field's data say. */
const fieldOf = (
  sections: ReadonlyMap<number, DataView>,
  discipline: number,
  grids: Map<string, Field.Grid>
): Omit<Located, "start" | "end"> | string => {
  const [identification, gridSection, product, representation, bitmap] = [1, 3, 4, 5, 6].map((n) => sections.get(n))
  if (!identification || !gridSection || !product || !representation || !bitmap) return "it has not all of its sections"
  const time = Field.time(identification)
  if (time === undefined) return "its reference time is none"
  const read = Field.grid(gridSection)
  if (typeof read === "string") return read
  const grid = grids.get(read.key) ?? read
  grids.set(grid.key, grid)
  const parsed = Field.product(product, discipline)
  if (typeof parsed === "string") return parsed
  const indicator = bitmap.byteLength > 5 ? bitmap.getUint8(5) : 255
  if (indicator !== 0 && indicator !== 255) return `its bitmap (${indicator}) is elsewhere`
  return { time, grid, product: parsed }
}

/** The message at an offset. */
export const read = Effect.fnUntraced(function* (
  source: ByteSource,
  offset: number,
  grids: Map<string, Field.Grid>
): Effect.fn.Return<Message, ImportError> {
  const head = viewOf(yield* source.read(offset, 16))
  if (head.getUint32(0) !== 0x4752_4942) {
    if (offset > 0)
      return yield* source.damaged(offset, "a message is expected there, and it does not begin with `GRIB`")
    return yield* new WrongFormat({
      location: source.location,
      expected: "GRIB 2",
      problem: "it does not begin with `GRIB`"
    })
  }
  const edition = head.getUint8(7)
  if (edition !== 2) {
    return yield* new WrongFormat({
      location: source.location,
      expected: "GRIB 2",
      problem: `the message at byte ${offset} is of edition ${edition}; convert it with \`grib_set -s edition=2\``
    })
  }
  const length = Number(head.getBigUint64(8))
  const end = offset + length
  if (length < 20 || end > source.size) {
    return yield* source.damaged(offset, `a message of ${length} bytes does not fit the file of ${source.size}`)
  }
  const discipline = head.getUint8(6)
  const sections = new Map<number, DataView>()
  const fields: Array<Located> = []
  const unread: Array<Unread> = []
  let at = offset + 16
  let start = offset
  let previous = 0
  while (at < end - 4) {
    if (at + 5 > end - 4) return yield* source.damaged(at, "a section is cut off by the end of its message")
    const section = viewOf(yield* source.read(at, 5))
    const size = section.getUint32(0)
    const number = section.getUint8(4)
    if (size < 5 || at + size > end - 4) {
      return yield* source.damaged(at, `a section of ${size} bytes does not fit its message, which ends at ${end}`)
    }
    // After its data another field may follow, beginning with section 2, 3 or 4.
    const isNext = previous === 7 && number >= 2 && number <= 4
    if (number < 1 || number > 7 || (number <= previous && !isNext)) {
      return yield* source.damaged(at, `section ${number} follows section ${previous}`)
    }
    if (isNext) {
      start = at
      for (const old of [4, 5, 6]) sections.delete(old)
    }
    const part = wanted[number]
    if (part !== undefined) sections.set(number, viewOf((yield* source.read(at, Math.min(size, part))).slice()))
    at += size
    previous = number
    if (number === 7) {
      const field = fieldOf(sections, discipline, grids)
      if (typeof field === "string") unread.push({ start, problem: field })
      else fields.push({ ...field, start, end: at })
    }
  }
  const last = viewOf(yield* source.read(end - 4, 4))
  if (last.getUint32(0) !== 0x3737_3737) return yield* source.damaged(end - 4, "the message does not end with `7777`")
  const isOne = fields.length === 1 && unread.length === 0
  return { end, fields: isOne ? [{ ...fields[0]!, end }] : fields, unread }
})
