/**
 * How the content of a file becomes JSON of bounded size. Pure.
 *
 * @since 0.1.0
 */
import type { Json, JsonObject } from "../../values/Json.ts"

/**
 * How much is shown of a file.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Elements of lists, altogether (default 10,000). */
  readonly maxItems?: number | undefined
  /** Bytes of metadata documents, inline chunks and other opaque fields, altogether (default 1 MiB). */
  readonly maxBytes?: number | undefined
}

const defaultItems = 10_000
const defaultBytes = 1024 * 1024

/** A limit that somebody gave, unless it is no number. */
const wholeOr = (otherwise: number, limit: number | undefined): number =>
  limit === undefined || !(limit >= 0) ? otherwise : Math.floor(limit)

/** Characters at a time that `String.fromCharCode` takes. */
const block = 8192

const base64 = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += block) text += String.fromCharCode(...bytes.subarray(at, at + block))
  return btoa(text)
}

const decoder = new TextDecoder("utf-8", { fatal: true })

/**
 * What may still be shown of a file, and what was left out.
 *
 * @category models
 * @since 0.1.0
 */
export class Budget {
  #items: number
  #bytes: number
  readonly #leftOut = new Map<string, number>()

  constructor({ maxBytes, maxItems }: Limits) {
    this.#items = wholeOr(defaultItems, maxItems)
    this.#bytes = wholeOr(defaultBytes, maxBytes)
  }

  /** How many of `count` elements may be shown; the others are noted under a name. */
  take(name: string, count: number): number {
    const shown = Math.min(count, this.#items)
    this.#items -= shown
    if (shown < count) this.#leftOut.set(name, (this.#leftOut.get(name) ?? 0) + count - shown)
    return shown
  }

  /** A list, or its beginning. */
  list<A>(name: string, items: ReadonlyArray<A>, show: (item: A) => Json): ReadonlyArray<Json> {
    const shown = this.take(name, items.length)
    return (shown === items.length ? items : items.slice(0, shown)).map(show)
  }

  /** The entries of a map, or the first of them. */
  entries<A>(name: string, map: ReadonlyMap<string, A>, show: (value: A) => Json): JsonObject {
    const shown = this.take(name, map.size)
    return Object.fromEntries(
      Array.from(map)
        .slice(0, shown)
        .map(([key, value]) => [key, show(value)])
    )
  }

  #room(length: number): boolean {
    if (length > this.#bytes) return false
    this.#bytes -= length
    return true
  }

  /** Opaque bytes in base64, or their number alone. */
  bytes(bytes: Uint8Array): JsonObject {
    return this.#room(bytes.length) ? { size_bytes: bytes.length, base64: base64(bytes) } : { size_bytes: bytes.length }
  }

  /** A JSON document, or its size alone; bytes that are no JSON are shown as such. */
  document(bytes: Uint8Array): JsonObject {
    if (!this.#room(bytes.length)) return { size_bytes: bytes.length }
    try {
      return { size_bytes: bytes.length, json: JSON.parse(decoder.decode(bytes)) as Json }
    } catch {
      return { size_bytes: bytes.length, base64: base64(bytes) }
    }
  }

  /** Metadata, or nothing when there is no room. */
  json(name: string, json: JsonObject): JsonObject {
    if (this.#room(JSON.stringify(json).length)) return json
    this.#leftOut.set(name, (this.#leftOut.get(name) ?? 0) + Object.keys(json).length)
    return {}
  }

  /** How many elements of which lists were left out; nothing when all is shown. */
  leftOut(): JsonObject {
    return this.#leftOut.size === 0 ? {} : { left_out: Object.fromEntries(this.#leftOut) }
  }
}

/**
 * A field, unless its value is absent.
 *
 * @category combinators
 * @since 0.1.0
 */
export const field = (name: string, value: Json | undefined): JsonObject =>
  value === undefined ? {} : { [name]: value }

/**
 * A time in microseconds since 1970 as text, to the microsecond where there are any.
 *
 * @category formatting
 * @since 0.1.0
 */
export const time = (micros: number): string => {
  const text = new Date(Math.floor(micros / 1000)).toISOString()
  const rest = micros % 1_000_000
  const digits =
    rest === 0
      ? ""
      : rest % 1000 === 0
        ? `.${String(rest / 1000).padStart(3, "0")}`
        : `.${String(rest).padStart(6, "0")}`
  return `${text.slice(0, text.indexOf("."))}${digits}Z`
}
