/**
 * Identifiers of Icechunk's files and nodes.
 *
 * An id is kept as its Crockford base 32 text, which is also its file name. The alphabet is in ASCII
 * order, so comparing two texts compares the bytes. Sources: Icechunk spec 2, "Common Types".
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Result from "effect/Result"

/**
 * Twelve bytes as 20 characters: a snapshot and its transaction log.
 *
 * @category models
 * @since 0.1.0
 */
export type SnapshotId = string & Brand.Brand<"SnapshotId">

/**
 * Twelve bytes as 20 characters: a chunk manifest.
 *
 * @category models
 * @since 0.1.0
 */
export type ManifestId = string & Brand.Brand<"ManifestId">

/**
 * Twelve bytes as 20 characters: a native chunk.
 *
 * @category models
 * @since 0.1.0
 */
export type ChunkId = string & Brand.Brand<"ChunkId">

/**
 * Eight bytes as 13 characters: a group or array, for as long as it lives.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeId = string & Brand.Brand<"NodeId">

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
/** Lower case counts as upper case, and the letters that are not in the alphabet as the digits they look like. */
const values: ReadonlyMap<string, number> = new Map(
  [...alphabet, "O", "I", "L"].flatMap((letter, i): Array<[string, number]> => {
    const value = i < alphabet.length ? i : Math.min(i - alphabet.length, 1)
    return [
      [letter, value],
      [letter.toLowerCase(), value]
    ]
  })
)
const codes: ReadonlyArray<number> = [...alphabet].map((letter) => letter.charCodeAt(0))

/** The same by the code of the letter, for ids that are known to be well formed: upper case. */
const valueOfCode = new Uint8Array(128)
codes.forEach((code, value) => {
  valueOfCode[code] = value
})

/**
 * The Crockford base 32 text of `bytes`: upper case, without padding, zero bits appended.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (bytes: Uint8Array): string => encodeAt(bytes, 0, bytes.length)

/** The text of `size` of the bytes, from `from` on. */
const encodeAt = (bytes: Uint8Array, from: number, size: number): string => {
  const length = Math.ceil((size * 8) / 5)
  // From all codes at once: appending leaves a rope, ten times as large, and there are ids by the 100,000.
  const text = length < shortCodes.length ? shortCodes[length]! : Array.from({ length }, () => 0)
  let at = 0
  let i = from
  // Five bytes are eight letters, written out for those who decode many ids before this is compiled.
  for (; i + 5 <= from + size; i += 5, at += 8) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    const c = bytes[i + 2]!
    const d = bytes[i + 3]!
    const e = bytes[i + 4]!
    text[at] = codes[a >> 3]!
    text[at + 1] = codes[((a & 7) << 2) | (b >> 6)]!
    text[at + 2] = codes[(b >> 1) & 31]!
    text[at + 3] = codes[((b & 1) << 4) | (c >> 4)]!
    text[at + 4] = codes[((c & 15) << 1) | (d >> 7)]!
    text[at + 5] = codes[(d >> 2) & 31]!
    text[at + 6] = codes[((d & 3) << 3) | (e >> 5)]!
    text[at + 7] = codes[e & 31]!
  }
  let buffer = 0
  let bits = 0
  for (; i < from + size; i++) {
    buffer = (buffer << 8) | bytes[i]!
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text[at++] = codes[(buffer >>> bits) & 31]!
    }
    buffer &= (1 << bits) - 1
  }
  if (bits > 0) text[at] = codes[(buffer << (5 - bits)) & 31]!
  return String.fromCharCode.apply(null, text)
}

/** Codes of a text on its way, an array for each length of an id. */
const shortCodes = Array.from({ length: 24 }, (_, length) => Array.from({ length }, () => 0))

/**
 * The bytes of an id, `size` of them, or a sentence that says what is wrong with it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (text: string, size: number): Result.Result<Uint8Array, string> => {
  const expected = Math.ceil((size * 8) / 5)
  if (text.length !== expected) {
    return Result.fail(`an id of ${size} bytes has ${expected} characters, this one has ${text.length}`)
  }
  const bytes = new Uint8Array(size)
  let buffer = 0
  let bits = 0
  let at = 0
  for (const letter of text) {
    const value = values.get(letter)
    if (value === undefined) return Result.fail(`\`${letter}\` is not a character of Crockford base 32`)
    buffer = (buffer << 5) | value
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (buffer >>> bits) & 255
    }
    buffer &= (1 << bits) - 1
  }
  return buffer === 0 ? Result.succeed(bytes) : Result.fail("its last character has bits beyond the id's bytes")
}

/**
 * The bytes of an id that is known to be well formed, as every value of the id types is.
 *
 * @category decoding
 * @since 0.1.0
 */
export const bytes12 = (id: SnapshotId | ManifestId | ChunkId): Uint8Array => Result.getOrThrow(decode(id, 12))

/**
 * The eight bytes of a node id.
 *
 * @category decoding
 * @since 0.1.0
 */
export const bytes8 = (id: NodeId): Uint8Array => Result.getOrThrow(decode(id, 8))

/**
 * Writes the bytes of an id that is known to be well formed, 8 or 12, without making an array of them.
 *
 * @category encoding
 * @since 0.1.0
 */
export const write = (id: SnapshotId | ManifestId | ChunkId | NodeId, to: Uint8Array, at: number): void => {
  let position = at
  let buffer = 0
  let bits = 0
  for (let i = 0; i < id.length; i++) {
    buffer = (buffer << 5) | valueOfCode[id.charCodeAt(i)]!
    bits += 5
    if (bits < 8) continue
    bits -= 8
    to[position++] = (buffer >>> bits) & 255
    buffer &= (1 << bits) - 1
  }
}

const of12 = <Id extends string>(bytes: Uint8Array): Id => encodeAt(bytes, 0, 12) as Id

/**
 * A snapshot id from its twelve bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const snapshotId = (bytes: Uint8Array): SnapshotId => of12(bytes)

/**
 * A snapshot id from its twelve bytes among others, which start at `from`: no array is made of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const snapshotIdAt = (bytes: Uint8Array, from: number): SnapshotId => encodeAt(bytes, from, 12) as SnapshotId

/**
 * A manifest id from its twelve bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const manifestId = (bytes: Uint8Array): ManifestId => of12(bytes)

/**
 * A chunk id from its twelve bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunkId = (bytes: Uint8Array): ChunkId => of12(bytes)

/**
 * A node id from its eight bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const nodeId = (bytes: Uint8Array): NodeId => encodeAt(bytes, 0, 8) as NodeId

/**
 * A snapshot id that a user gave as text, in upper or lower case; `I` and `L` are read as 1, `O` as 0, as Icechunk
 * reads them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseSnapshotId = (text: string): Result.Result<SnapshotId, string> =>
  Result.map(decode(text, 12), snapshotId)

/**
 * The id of the empty first snapshot of every repository (spec 2, "Initialize New Repository").
 *
 * @category constants
 * @since 0.1.0
 */
export const initialSnapshotId: SnapshotId = "1CECHNKREP0F1RSTCMT0" as SnapshotId

/**
 * Orders ids as their bytes are ordered.
 *
 * @category ordering
 * @since 0.1.0
 */
export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
