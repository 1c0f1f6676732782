/**
 * The columns `path`, `offset`, `size` and `raw` of a Parquet file, as kerchunk writes them.
 *
 * Only what its writers, fastparquet and pyarrow, write of Parquet is read: flat columns, plain or by a dictionary, in pages of both
 * kinds. Every length is checked before it is used, and nothing is allocated for more than `Limits` allow.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { DamagedFile } from "../../ImportError.ts"
import * as Compression from "./Compression.ts"
import * as Footer from "./Footer.ts"
import * as Pages from "./Pages.ts"
import * as Thrift from "./Thrift.ts"

/** References in columns: a row is one that is missing when it has neither a path nor bytes. */
export interface Table {
  readonly rows: number
  /** Distinct paths. */
  readonly paths: ReadonlyArray<string>
  /** Of each row, 1 more than the position in `paths`; 0 for none. */
  readonly pathIds: Uint32Array
  /** `NaN` for none. */
  readonly offsets: Float64Array
  readonly sizes: Float64Array
  /** Bytes inside, by their rows. They share buffers. */
  readonly raw: ReadonlyMap<number, Uint8Array>
}

export interface Limits {
  readonly maxRows: number
  /** Bytes of all pages when they are decompressed, and those inside of all rows. */
  readonly maxBytes: number
}

/** Whether two stretches of bytes are the same. */
const isSame = (a: Uint8Array, aFrom: number, aTo: number, b: Uint8Array, bFrom: number, bTo: number): boolean => {
  if (aTo - aFrom !== bTo - bFrom) return false
  for (let i = 0; i < aTo - aFrom; i++) if (a[aFrom + i] !== b[bFrom + i]) return false
  return true
}

/** Distinct texts of a file, numbered from 1. */
class Texts {
  readonly values: Array<string> = []
  readonly #numbers = new Map<string, number>()
  readonly #decoder = new TextDecoder("utf-8", { fatal: true })
  #bytes: Uint8Array = new Uint8Array(0)
  #start = 0
  #end = 0
  #number = 0

  number(bytes: Uint8Array, start: number, end: number, place: number): number {
    // Texts that follow each other are often the same.
    if (this.#number > 0 && isSame(this.#bytes, this.#start, this.#end, bytes, start, end)) return this.#number
    const text = this.#text(bytes.subarray(start, end), place)
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.values.push(text)
      this.#numbers.set(text, number)
    }
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#number = number
    return number
  }

  #text(bytes: Uint8Array, place: number): string {
    try {
      return this.#decoder.decode(bytes)
    } catch {
      return Thrift.damage(place, "a path is not UTF-8")
    }
  }
}

/** Takes what the pages of a column say, `row` being that of a page's first value. */
interface Sink {
  readonly dictionary: (values: Pick<Pages.Values, "at" | "bytes" | "count">, place: number) => void
  readonly data: (values: Pages.Values, row: number, place: number) => void
}

const rowOf = ({ present }: Pages.Values, row: number, i: number): number =>
  row + (present === undefined ? i : present[i]!)

const integerSink = (into: Float64Array, type: "INT32" | "INT64"): Sink => {
  let dictionary: Float64Array = new Float64Array(0)
  return {
    dictionary: (values, place) => {
      dictionary = Pages.integers(values, type, place)
    },
    data: (values, row, place) => {
      const { count, ids } = values
      const plain = ids === undefined ? Pages.integers(values, type, place) : undefined
      for (let i = 0; i < count; i++) {
        into[rowOf(values, row, i)] = plain === undefined ? dictionary[ids![i]!]! : plain[i]!
      }
    }
  }
}

const textSink = (into: Uint32Array, texts: Texts): Sink => {
  let dictionary: Uint32Array = new Uint32Array(0)
  return {
    dictionary: (values, place) => {
      dictionary = new Uint32Array(values.count)
      Pages.spans(values, place, (start, end, i) => (dictionary[i] = texts.number(values.bytes, start, end, place)))
    },
    data: (values, row, place) => {
      const { bytes, count, ids } = values
      if (ids === undefined) {
        Pages.spans(values, place, (start, end, i) => {
          into[rowOf(values, row, i)] = texts.number(bytes, start, end, place)
        })
      } else for (let i = 0; i < count; i++) into[rowOf(values, row, i)] = dictionary[ids[i]!]!
    }
  }
}

const tooLarge = (maxBytes: number) =>
  `its references have more than ${maxBytes} bytes; raise \`maxBytes\` if they should`

const bytesSink = (into: Map<number, Uint8Array>, maxBytes: number): Sink => {
  let dictionary: Array<Uint8Array> = []
  let held = 0
  const set = (row: number, bytes: Uint8Array, place: number) => {
    held += bytes.length
    if (held > maxBytes) Thrift.damage(place, tooLarge(maxBytes))
    into.set(row, bytes)
  }
  return {
    dictionary: (values, place) => {
      dictionary = []
      Pages.spans(values, place, (start, end) => dictionary.push(values.bytes.subarray(start, end)))
    },
    data: (values, row, place) => {
      const { bytes, count, ids } = values
      if (ids === undefined) {
        Pages.spans(values, place, (start, end, i) => set(rowOf(values, row, i), bytes.subarray(start, end), place))
      } else for (let i = 0; i < count; i++) set(rowOf(values, row, i), dictionary[ids[i]!]!, place)
    }
  }
}

/** A column that has no value at all: pyarrow writes it as integers. */
const emptySink = (column: Footer.Column): Sink => ({
  dictionary: () => undefined,
  data: ({ count }, _, place) => {
    if (count > 0) Thrift.damage(place, `its column \`${column.name}\` is of the type ${column.type}`)
  }
})

const names = ["path", "offset", "size", "raw"] as const

/** Why columns are not those of references, or `undefined`. Source: fsspec, `LazyReferenceMapper`. */
const columnsProblem = (has: (name: string) => boolean): string | undefined => {
  const missing = has("path")
    ? names.slice(0, 3).filter((name) => !has(name))
    : has("raw")
      ? []
      : names.filter((name) => !has(name))
  return missing.length === 0 ? undefined : `it has no column ${missing.map((name) => `\`${name}\``).join(", ")}`
}

const attempt = <A>(location: string, run: () => A): Effect.Effect<A, DamagedFile> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (!(error instanceof Thrift.Damage)) throw error
      return Effect.fail(new DamagedFile({ location, offset: error.offset, problem: error.problem }))
    }
  })

/** The bytes of a page, with its levels before them. */
const content = (bytes: Uint8Array, page: Pages.Page, codec: number): Effect.Effect<Uint8Array, string> => {
  const stored = bytes.subarray(page.start, page.end)
  if (page.levels === 0) return Compression.decompress(page.isCompressed ? codec : 0, stored, page.length)
  const length = page.length - page.levels
  // Where no value is there, nothing may be compressed, not even to a frame of nothing.
  const isEmpty = length === 0 && stored.length === page.levels
  const rest = Compression.decompress(page.isCompressed && !isEmpty ? codec : 0, stored.subarray(page.levels), length)
  return Effect.map(rest, (rest) => {
    const whole = new Uint8Array(page.length)
    whole.set(stored.subarray(0, page.levels))
    whole.set(rest, page.levels)
    return whole
  })
}

/** The references of a file. */
export const read = Effect.fnUntraced(function* (
  location: string,
  bytes: Uint8Array,
  limits: Limits
): Effect.fn.Return<Table, DamagedFile> {
  const footer = yield* attempt(location, () => {
    const footer = Footer.read(bytes)
    const at = bytes.length - 8
    if (footer.rows > limits.maxRows) {
      Thrift.damage(at, `it has ${footer.rows} rows, where \`record_size\` is ${limits.maxRows}`)
    }
    const nested = names.find((name) => footer.nested.has(name))
    if (nested !== undefined) Thrift.damage(at, `its column \`${nested}\` has others inside`)
    const [first] = footer.groups
    const problem = first === undefined ? undefined : columnsProblem((name) => first.columns.has(name))
    if (problem !== undefined) Thrift.damage(at, problem)
    return footer
  })
  const texts = new Texts()
  const pathIds = new Uint32Array(footer.rows)
  const offsets = new Float64Array(footer.rows).fill(Number.NaN)
  const sizes = new Float64Array(footer.rows).fill(Number.NaN)
  const raw = new Map<number, Uint8Array>()
  const bytesOf = bytesSink(raw, limits.maxBytes)
  const sinkOf = (column: Footer.Column): Sink => {
    const { name, type } = column
    if (name === "path" && type === "BYTE_ARRAY") return textSink(pathIds, texts)
    if (name === "raw" && type === "BYTE_ARRAY") return bytesOf
    const isInteger = type === "INT32" || type === "INT64"
    if (isInteger && name === "offset") return integerSink(offsets, type)
    if (isInteger && name === "size") return integerSink(sizes, type)
    return emptySink(column)
  }
  let first = 0
  let held = 0
  for (const group of footer.groups) {
    for (const name of names) {
      const column = group.columns.get(name)
      if (column === undefined) continue
      const sink = sinkOf(column)
      let row = first
      let dictionarySize = 0
      for (const page of yield* attempt(location, () => Pages.pages(bytes, column, group.rows))) {
        held += page.length
        if (held > limits.maxBytes) {
          return yield* new DamagedFile({ location, offset: page.place, problem: tooLarge(limits.maxBytes) })
        }
        const plain = yield* content(bytes, page, column.codec).pipe(
          Effect.mapError((problem) => new DamagedFile({ location, offset: page.place, problem }))
        )
        yield* attempt(location, () => {
          if (page.kind === "dictionary") {
            if (page.values > plain.length) Thrift.damage(page.place, "a dictionary has fewer bytes than values")
            sink.dictionary({ at: 0, bytes: plain, count: page.values }, page.place)
            dictionarySize = page.values
          } else {
            sink.data(Pages.values(page, column, plain, dictionarySize), row, page.place)
            row += page.values
          }
        })
      }
    }
    first += group.rows
  }
  return { rows: footer.rows, paths: texts.values, pathIds, offsets, sizes, raw }
})
