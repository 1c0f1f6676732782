/**
 * Ids of twelve bytes by the million: columns and a hash table over them, instead of texts in a set.
 *
 * @since 0.1.0
 */
import * as ObjectId from "../../values/ObjectId.ts"

/** So that nobody can make ids that all meet in one slot. */
const seed = (Math.random() * 2 ** 32) | 0

const idBytes = 12

/** Of twelve bytes the last character has one bit. */
const canonical = /^[0-9A-HJKMNP-TV-Z]{19}[0G]$/

/**
 * Whether a file name is the id of a snapshot, transaction log, manifest or chunk, spelled as Icechunk spells it.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isId = (name: string): boolean => canonical.test(name)

const grown = <A extends Uint8Array | Uint32Array | Float64Array>(from: A, to: A): A => {
  to.set(from)
  return to
}

/**
 * A set of ids, each with the row at which it was added, counted from 0.
 *
 * @category models
 * @since 0.1.0
 */
export class IdTable {
  #size = 0
  #bytes = new Uint8Array(idBytes * 16)
  /** The same memory, to compare an id in three steps. */
  #words = new Uint32Array(this.#bytes.buffer)
  /** Row + 1, 0 where free. */
  #slots = new Uint32Array(32)
  readonly #wanted = new Uint8Array(idBytes)
  readonly #wantedWords = new Uint32Array(this.#wanted.buffer)

  /** Ids that were added. */
  get size(): number {
    return this.#size
  }

  /** Bytes that the table keeps in memory. */
  get byteLength(): number {
    return this.#bytes.length + this.#slots.byteLength
  }

  /** The row of the id whose bytes begin at a position, or -1. */
  find(bytes: Uint8Array, at = 0): number {
    for (let i = 0; i < idBytes; i++) this.#wanted[i] = bytes[at + i]!
    return this.#slots[this.#slot()]! - 1
  }

  /** Adds the id whose bytes begin at a position; whether it is new. */
  add(bytes: Uint8Array, at = 0): boolean {
    for (let i = 0; i < idBytes; i++) this.#wanted[i] = bytes[at + i]!
    return this.#add()
  }

  /** The row of an id, or -1. */
  findId(id: ObjectId.SnapshotId | ObjectId.ManifestId | ObjectId.ChunkId): number {
    ObjectId.write(id, this.#wanted, 0)
    return this.#slots[this.#slot()]! - 1
  }

  /** Whether an id was added. */
  has(id: ObjectId.SnapshotId | ObjectId.ManifestId | ObjectId.ChunkId): boolean {
    return this.findId(id) >= 0
  }

  /** Adds an id; whether it is new. */
  addId(id: ObjectId.SnapshotId | ObjectId.ManifestId | ObjectId.ChunkId): boolean {
    ObjectId.write(id, this.#wanted, 0)
    return this.#add()
  }

  /** The id of a row, as text. */
  idOf(row: number): string {
    return ObjectId.encode(this.#bytes.subarray(idBytes * row, idBytes * (row + 1)))
  }

  /** The ids in the order of their rows, one after the other. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, idBytes * this.#size)
  }

  #add(): boolean {
    const slot = this.#slot()
    if (this.#slots[slot] !== 0) return false
    const at = 3 * this.#size
    if (at + 3 > this.#words.length) {
      this.#bytes = grown(this.#bytes, new Uint8Array(2 * this.#bytes.length))
      this.#words = new Uint32Array(this.#bytes.buffer)
    }
    const wanted = this.#wantedWords
    this.#words[at] = wanted[0]!
    this.#words[at + 1] = wanted[1]!
    this.#words[at + 2] = wanted[2]!
    this.#slots[slot] = ++this.#size
    if (3 * this.#size > 2 * this.#slots.length) this.#rehash(2 * this.#slots.length)
    return true
  }

  #rehash(length: number): void {
    const slots = new Uint32Array(length)
    const words = this.#words
    const mask = length - 1
    for (let row = 0; row < this.#size; row++) {
      let slot = hash(words[3 * row]!, words[3 * row + 1]!, words[3 * row + 2]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = row + 1
    }
    this.#slots = slots
  }

  /** The slot of the wanted id: its own, or the free one where it belongs. */
  #slot(): number {
    const a = this.#wantedWords[0]!
    const b = this.#wantedWords[1]!
    const c = this.#wantedWords[2]!
    const slots = this.#slots
    const words = this.#words
    const mask = slots.length - 1
    for (let slot = hash(a, b, c) & mask; ; slot = (slot + 1) & mask) {
      const row = slots[slot]!
      if (row === 0) return slot
      const at = 3 * (row - 1)
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c) return slot
    }
  }
}

const hash = (a: number, b: number, c: number): number => {
  let mixed = Math.imul(a ^ seed, 0x9e37_79b1) ^ Math.imul(b, 0x85eb_ca6b) ^ Math.imul(c, 0xc2b2_ae35)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85eb_ca6b)
  return mixed ^ (mixed >>> 13)
}

/**
 * A table of ids from their bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBytes = (bytes: Uint8Array): IdTable => {
  const table = new IdTable()
  for (let at = 0; at + idBytes <= bytes.length; at += idBytes) table.add(bytes, at)
  return table
}

/**
 * Files of one kind, as plain data: twelve bytes of id and a size for each.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileColumns {
  /** Ids, twelve bytes each, one after the other. */
  readonly ids: Uint8Array
  /** Bytes of each file. */
  readonly sizes: Float64Array
}

/**
 * How many files there are, and the bytes of all of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileCount {
  readonly files: number
  readonly bytes: number
}

/**
 * No files.
 *
 * @category constants
 * @since 0.1.0
 */
export const noFiles: FileCount = { files: 0, bytes: 0 }

/**
 * The names of files, which are their ids as text.
 *
 * @category accessors
 * @since 0.1.0
 */
export function* namesOf({ ids }: FileColumns): Generator<string> {
  for (let at = 0; at + idBytes <= ids.length; at += idBytes) yield ObjectId.encode(ids.subarray(at, at + idBytes))
}

/**
 * The number and the bytes of files.
 *
 * @category accessors
 * @since 0.1.0
 */
export const countOf = ({ sizes }: FileColumns): FileCount => ({
  files: sizes.length,
  bytes: sizes.reduce((sum, size) => sum + size, 0)
})

/**
 * Files of one kind with their sizes, of which some are taken out again.
 *
 * @category models
 * @since 0.1.0
 */
export class FileTable {
  readonly ids: IdTable = new IdTable()
  #sizes = new Float64Array(16)
  #out = new Uint8Array(16)
  #left = 0
  #bytes = 0

  /** Files that have not been taken out, and their bytes. */
  get count(): FileCount {
    return { files: this.#left, bytes: this.#bytes }
  }

  /** Whether all files were taken out. */
  get isEmpty(): boolean {
    return this.#left === 0
  }

  /** Adds a file by its name, which must be an id. */
  add(name: string, size: number): void {
    const { ids } = this
    if (!ids.addId(name as ObjectId.ChunkId)) return
    const row = ids.size - 1
    if (row >= this.#sizes.length) {
      this.#sizes = grown(this.#sizes, new Float64Array(2 * this.#sizes.length))
      this.#out = grown(this.#out, new Uint8Array(2 * this.#out.length))
    }
    this.#sizes[row] = size
    this.#left++
    this.#bytes += size
  }

  /** The size of the file whose id begins at a position, `undefined` when there is none. */
  sizeOf(bytes: Uint8Array, at = 0): number | undefined {
    const row = this.ids.find(bytes, at)
    return row < 0 ? undefined : this.#sizes[row]
  }

  /** The size of a file by its id, `undefined` when there is none. */
  sizeOfId(id: ObjectId.SnapshotId | ObjectId.ManifestId | ObjectId.ChunkId): number | undefined {
    const row = this.ids.findId(id)
    return row < 0 ? undefined : this.#sizes[row]
  }

  /** Whether a file is there and was not taken out. */
  hasId(id: ObjectId.SnapshotId | ObjectId.ManifestId | ObjectId.ChunkId): boolean {
    const row = this.ids.findId(id)
    return row >= 0 && this.#out[row] === 0
  }

  /** Takes out the file whose id begins at a position, if it is there. */
  takeOut(bytes: Uint8Array, at = 0): void {
    this.#takeOut(this.ids.find(bytes, at))
  }

  /** Takes out a file, if it is there. */
  takeOutId(id: ObjectId.SnapshotId | ObjectId.ManifestId | ObjectId.ChunkId): void {
    this.#takeOut(this.ids.findId(id))
  }

  #takeOut(row: number): void {
    if (row < 0 || this.#out[row] !== 0) return
    this.#out[row] = 1
    this.#left--
    this.#bytes -= this.#sizes[row]!
  }

  /** The names of at most `limit` files that were not taken out, from the first one on. */
  firstLeft(limit: number): ReadonlyArray<{ readonly name: string; readonly row: number; readonly size: number }> {
    const found: Array<{ name: string; row: number; size: number }> = []
    for (; this.#next < this.ids.size && this.#out[this.#next] !== 0; this.#next++);
    for (let row = this.#next; row < this.ids.size && found.length < limit; row++) {
      if (this.#out[row] === 0) found.push({ name: this.ids.idOf(row), row, size: this.#sizes[row]! })
    }
    return found
  }

  /** All rows before this one are out. */
  #next = 0

  /** What was not taken out, as data. */
  columns(): FileColumns {
    const ids = new Uint8Array(idBytes * this.#left)
    const sizes = new Float64Array(this.#left)
    const all = this.ids.toBytes()
    let to = 0
    for (let row = 0; row < this.ids.size; row++) {
      if (this.#out[row] !== 0) continue
      ids.set(all.subarray(idBytes * row, idBytes * (row + 1)), idBytes * to)
      sizes[to++] = this.#sizes[row]!
    }
    return { ids, sizes }
  }
}

/**
 * A table of files from their columns.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromColumns = (columns: FileColumns): FileTable => {
  const table = new FileTable()
  let row = 0
  for (const name of namesOf(columns)) table.add(name, columns.sizes[row++] ?? 0)
  return table
}
