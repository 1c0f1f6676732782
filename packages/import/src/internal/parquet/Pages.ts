/**
 * Pages of a column, and the values in them. Pure. Source: Apache Parquet, "Data pages" and "Encodings".
 *
 * @since 0.1.0
 */
import type { Column } from "./Footer.ts"
import * as Hybrid from "./Hybrid.ts"
import * as Thrift from "./Thrift.ts"

/** How values are written. */
const encodings = { plain: 0, plainDictionary: 2, dictionary: 8 }

/** A page as it lies in the file. */
export interface Page {
  readonly kind: "dictionary" | "data" | "data 2"
  /** Byte of the file where its header is, for messages. */
  readonly place: number
  /** Its bytes in the file. */
  readonly start: number
  readonly end: number
  /** Bytes when it is decompressed. */
  readonly length: number
  /** Values, missing ones too. */
  readonly values: number
  readonly encoding: number
  /** Of the second kind: bytes of its levels, which are before the values and never compressed. */
  readonly levels: number
  readonly isCompressed: boolean
}

const count = (fields: Thrift.Struct | undefined, field: number, place: number): number => {
  const value = fields === undefined ? undefined : Thrift.count(fields, field)
  return value === undefined ? Thrift.damage(place, "a page has no lengths, or negative ones") : value
}

const kinds = ["data", "index", "dictionary", "data 2"] as const

/** Field of the header that tells more of a page, by its kind. */
const headers = { data: 5, dictionary: 7, "data 2": 8 }

/** Largest header of a page: they have statistics. */
const maxHeader = 64 * 1024

/** The pages of a column, which have `rows` values together. Throws `Thrift.Damage`. */
export const pages = (bytes: Uint8Array, column: Column, rows: number): ReadonlyArray<Page> => {
  const found: Array<Page> = []
  let values = 0
  let at = column.start
  while (values < rows) {
    const place = at
    if (at >= column.end) Thrift.damage(place, `its column \`${column.name}\` ends before its last value`)
    const { end: start, fields } = Thrift.struct(bytes, at, Math.min(column.end, at + maxHeader))
    const kind = kinds[Thrift.count(fields, 1) ?? -1]
    const end = start + count(fields, 3, place)
    if (end > column.end) Thrift.damage(place, "a page ends outside of its column")
    at = end
    if (kind === "index") continue
    if (kind === undefined) return Thrift.damage(place, "a page is of no kind that is known")
    const more = Thrift.inner(fields, headers[kind])
    const isSecond = kind === "data 2"
    const page: Page = {
      kind,
      place,
      start,
      end,
      length: count(fields, 2, place),
      values: count(more, 1, place),
      encoding: count(more, isSecond ? 4 : 2, place),
      levels: isSecond ? count(more, 5, place) + count(more, 6, place) : 0,
      isCompressed: more?.get(7) !== false || !isSecond
    }
    if (kind !== "dictionary") values += page.values
    if (kind === "dictionary" && found.length > 0) Thrift.damage(place, "a dictionary is behind what it is of")
    if (page.levels > end - start || page.levels > page.length) Thrift.damage(place, "its levels end outside of a page")
    if (values > rows) Thrift.damage(place, `its column \`${column.name}\` has more than ${rows} values`)
    found.push(page)
  }
  return found
}

/** Values that are there, in their order: where each is, or which of a dictionary. */
export interface Values {
  /** Position of each among the values of the page; `undefined` when all are there. */
  readonly present: Uint32Array | undefined
  readonly count: number
  /** Their bytes, from `at` on. */
  readonly bytes: Uint8Array
  readonly at: number
  /** Numbers in the dictionary, when they are those. */
  readonly ids: Uint32Array | undefined
}

const presentOf = (levels: Uint32Array): Uint32Array | undefined => {
  let count = 0
  for (const level of levels) if (level === 1) count++
  if (count === levels.length) return undefined
  const present = new Uint32Array(count)
  for (let i = 0, next = 0; i < levels.length; i++) if (levels[i] === 1) present[next++] = i
  return present
}

/** What a data page says, with its bytes decompressed, its levels at their beginning. */
export const values = (page: Page, column: Column, bytes: Uint8Array, dictionarySize: number): Values => {
  const { place } = page
  const { length } = bytes
  let at = page.levels
  let present: Uint32Array | undefined
  if (column.isOptional) {
    let [from, to] = [0, page.levels]
    if (page.kind === "data") {
      const view = new DataView(bytes.buffer, bytes.byteOffset, length)
      to = length < 4 ? length + 1 : 4 + view.getUint32(0, true)
      from = 4
      at = to
      if (to > length) Thrift.damage(place, "its levels end outside of a page")
    }
    const levels = new Uint32Array(page.values)
    Hybrid.read(bytes, from, to, 1, levels, place)
    present = presentOf(levels)
  }
  const count = present?.length ?? page.values
  if (page.encoding === encodings.plain) return { present, count, bytes, at, ids: undefined }
  if (page.encoding !== encodings.dictionary && page.encoding !== encodings.plainDictionary) {
    Thrift.damage(
      place,
      `its column \`${column.name}\` has the encoding ${page.encoding}, of which only plain values and dictionaries are read`
    )
  }
  const ids = new Uint32Array(count)
  if (count > 0) {
    const width = at < length ? bytes[at]! : 255
    if (width > 32) Thrift.damage(place, `its numbers of a dictionary have ${width} bits`)
    Hybrid.read(bytes, at + 1, length, width, ids, place)
    for (const id of ids) {
      if (id >= dictionarySize) Thrift.damage(place, `it uses value ${id} of a dictionary of ${dictionarySize}`)
    }
  }
  return { present, count, bytes, at: length, ids }
}

/** Where texts are in the bytes of a page: each has its length before it. Calls `each` with from where to where. */
export const spans = (
  { at, bytes, count }: Pick<Values, "at" | "bytes" | "count">,
  place: number,
  each: (start: number, end: number, number: number) => void
): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let i = 0; i < count; i++) {
    const start = at + 4
    const end = start > bytes.length ? start : start + view.getUint32(at, true)
    if (start > bytes.length || end > bytes.length) Thrift.damage(place, "a text ends outside of its page")
    each(start, end, i)
    at = end
  }
}

/** Integers in the bytes of a page; those that no number has exactly are damage. */
export const integers = (
  { at, bytes, count }: Pick<Values, "at" | "bytes" | "count">,
  type: "INT32" | "INT64",
  place: number
): Float64Array => {
  const size = type === "INT32" ? 4 : 8
  if (count * size > bytes.length - at) Thrift.damage(place, `a page has not the ${count} integers that it says`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const numbers = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const from = at + i * size
    // Beyond 2^53 these are not exact, nor are they safe integers: a row that uses one is refused.
    numbers[i] =
      size === 4 ? view.getInt32(from, true) : view.getInt32(from + 4, true) * 2 ** 32 + view.getUint32(from, true)
  }
  return numbers
}
