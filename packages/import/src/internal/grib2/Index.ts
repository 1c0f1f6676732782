/**
 * Indices beside GRIB files: those of wgrib2 (`.idx`) and of ECMWF (`.index`, a JSON object a line).
 *
 * @since 0.1.0
 */

/** A line of the index that is none. */
export interface Problem {
  readonly _tag: "Problem"
  readonly line: number
  readonly problem: string
}

export interface Entry {
  readonly offset: number
  /** Bytes of the message, where the index says it. */
  readonly length: number | undefined
}

const isOffset = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0

const ofJson = (line: string): Entry | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== "object" || value === null || !("_offset" in value) || !("_length" in value)) return undefined
    const { _length: length, _offset: offset } = value
    return isOffset(offset) && isOffset(length) ? { offset, length } : undefined
  } catch {
    return undefined
  }
}

const ofWgrib = (line: string): Entry | undefined => {
  const found = /^\d+(?:\.\d+)?:(\d+):/.exec(line)
  return found !== null && isOffset(Number(found[1])) ? { offset: Number(found[1]), length: undefined } : undefined
}

/** Where the messages are, each once, in the order of the file. */
export const parse = (text: string): ReadonlyArray<Entry> | Problem => {
  const entries = new Map<number, Entry>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue
    const entry = line.startsWith("{") ? ofJson(line) : ofWgrib(line)
    if (entry === undefined) {
      return { _tag: "Problem", line: i + 1, problem: "is neither as wgrib2 writes it nor as ECMWF does" }
    }
    entries.set(entry.offset, entry)
  }
  return [...entries.values()].toSorted((a, b) => a.offset - b.offset)
}
