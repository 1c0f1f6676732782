/**
 * Writing the refs of one array into a manifest: measured first, so that the whole fits into one buffer.
 *
 * Each ref is a table with its index right behind it, in a block of a multiple of 8 bytes.
 *
 * @since 0.1.0
 */
import * as Bytes from "../../values/Bytes.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import { type Columns, Kind } from "./ChunkRefColumns.ts"
import type * as FlatTable from "../../encoding/FlatTable.ts"
import { type FlatWriter, type Shape, shape } from "../../encoding/FlatWriter.ts"
import type { Extents, Manifest } from "./Manifest.ts"
import { type ManifestRows, Ref } from "./ManifestRows.ts"
import type { Base, MergedRefs } from "./MergedRefs.ts"
import { PositionMap } from "../../encoding/PositionMap.ts"
import { TextPool } from "../../encoding/TextPool.ts"
import { TextPlaces } from "./TextPlaces.ts"

/**
 * The refs of one array that go into a manifest.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArrayPart {
  readonly refs: MergedRefs
  /** Positions in `refs`, ascending; all unless given. */
  readonly positions?: Uint32Array | undefined
}

/** Kinds of refs as they are written; times 6, plus 2 for each kind of checksum, plus 1 for `extra`. */
const inline = 0
const native = 6
const virtual = 12
const compressed = 18
const withETag = 2
const withLastModified = 4
const withExtra = 1

/** Where fields are in tables of these shapes. */
const offsetAt = 4
const lengthAt = 12
const indexAt = 20
const targetAt = 24
const checksumAt = 28
const inlineIndexAt = 4
const inlineAt = 8

const shapes: ReadonlyArray<Shape> = Array.from({ length: 24 }, (_, code) => {
  const kind = code - (code % 6)
  const checksum = (code % 6) & ~1
  const fields: Array<readonly [FlatTable.Field, number]> =
    kind === inline
      ? [
          [Ref.index, 4],
          [Ref.inline, 4]
        ]
      : [
          [Ref.offset, 8],
          [Ref.length, 8],
          [Ref.index, 4],
          kind === native ? [Ref.chunk_id, 12] : [kind === virtual ? Ref.location : Ref.compressed_location, 4]
        ]
  if (checksum === withETag) fields.push([Ref.checksum_etag, 4])
  if (checksum === withLastModified) fields.push([Ref.checksum_last_modified, 4])
  if ((code & withExtra) !== 0) fields.push([Ref.extra, 4])
  return shape(10, fields)
})

const codeOfKind: ReadonlyArray<number> = [-1, inline, native, virtual, virtual + withETag, virtual + withLastModified]
if (codeOfKind.length !== Object.keys(Kind).length) throw new Error("a kind of row has no code")

/** Bytes that Icechunk's reader visits for a ref, besides its index and its texts. */
const visitedPerRef = 96

/**
 * Largest payload, in bytes: offsets in flatbuffers have 31 bits.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxPayload: number = 2 ** 31 - 1

const roundUp = (size: number, to: number): number => Math.ceil(size / to) * to

/**
 * What the arrays of a manifest share while it is written.
 *
 * @category models
 * @since 0.1.0
 */
export class SharedParts {
  readonly pool: TextPool
  /** Shapes of refs that occur: 1 at their code. */
  readonly #used = new Uint8Array(shapes.length)
  readonly #vtables = new Float64Array(shapes.length)
  /** The dictionary of compressed locations that are kept. */
  readonly dictionary: Uint8Array | undefined
  /** Bytes that Icechunk's reader visits, where a shared text counts for each ref. */
  visited = 0
  readonly #keepsDictionary = new Map<Manifest, boolean>()

  /** `distinctTexts`: equal texts are known to come once, as from the columns of one array, or are likely to. */
  constructor(dictionary: Uint8Array | undefined, distinctTexts: boolean | "likely") {
    this.pool = new TextPool({ distinct: distinctTexts })
    this.dictionary = dictionary
  }

  /** Whether compressed locations of a manifest can stay as they are. */
  keeps(manifest: Manifest): boolean {
    const known = this.#keepsDictionary.get(manifest)
    if (known !== undefined) return known
    const { locationDictionary: theirs } = manifest
    const keeps = theirs !== undefined && this.dictionary !== undefined && Bytes.equals(theirs, this.dictionary)
    this.#keepsDictionary.set(manifest, keeps)
    return keeps
  }

  /** Notes that there are refs of a shape. */
  use(code: number): void {
    this.#used[code] = 1
  }

  /** Whether there are compressed locations that stay as they are. */
  get needsDictionary(): boolean {
    return this.#used.subarray(compressed).includes(1)
  }

  /** Writes the vtables of the shapes that occur. */
  writeVtables(writer: FlatWriter): void {
    this.#used.forEach((used, code) => {
      if (used === 1) this.#vtables[code] = writer.vtable(shapes[code]!)
    })
  }

  /** Where the vtable of a shape was written. */
  vtable(code: number): number {
    return this.#vtables[code]!
  }
}

/** Texts of one manifest that is read, by where they are in it: their place in the pool. */
class BaseTexts {
  readonly rows: ManifestRows
  readonly #shared: SharedParts
  readonly #keeps: boolean
  readonly #texts = new PositionMap()
  readonly #vectors = new PositionMap()
  readonly #decompressed = new PositionMap()
  /** Bytes that texts at other places can still have. */
  #room: number

  constructor({ manifest, rows }: Base, shared: SharedParts) {
    this.rows = rows
    this.#keeps = shared.keeps(manifest)
    this.#room = manifest.byteLength
    this.#shared = shared
  }

  /** How the row that the cursor is on is written. */
  code(): number {
    const { rows } = this
    const extra = rows.has(Ref.extra) ? withExtra : 0
    if (rows.kind === "Inline") return inline + extra
    if (rows.kind === "Native") return native + extra
    const kind = rows.has(Ref.compressed_location) && this.#keeps ? compressed : virtual
    if (rows.has(Ref.checksum_etag)) return kind + withETag + extra
    return kind + (rows.lastModified === 0 ? 0 : withLastModified) + extra
  }

  /** The location of a virtual ref. */
  location(): number {
    const { rows } = this
    if (!rows.has(Ref.compressed_location)) return this.text(Ref.location)
    if (this.#keeps) return this.vector(Ref.compressed_location)
    const position = rows.vector(Ref.compressed_location)
    let place = this.#decompressed.get(position)
    if (place === undefined) {
      place = this.#shared.pool.text(rows.locations[rows.locationId()]!)
      this.#decompressed.set(position, place)
    }
    return place
  }

  /** A field that has a text, which is checked when it is met first. */
  text(field: FlatTable.Field): number {
    const position = this.rows.vector(field)
    let place = this.#texts.get(position)
    if (place === undefined) {
      this.#room = this.rows.checkRoom(field, this.#room)
      const bytes = this.rows.bytes(field)!
      this.rows.text(field, bytes)
      place = this.#shared.pool.copy(bytes)
      this.#texts.set(position, place)
    }
    return place
  }

  /** A field that has bytes. */
  vector(field: FlatTable.Field): number {
    const position = this.rows.vector(field)
    let place = this.#vectors.get(position)
    if (place === undefined) {
      this.#room = this.rows.checkRoom(field, this.#room)
      place = this.#shared.pool.copy(this.rows.bytes(field)!)
      this.#vectors.set(position, place)
    }
    return place
  }
}

/**
 * The refs of one array: measured when this is made; then the texts of its changes are put into the pool, and it is written.
 *
 * @category models
 * @since 0.1.0
 */
export class ArrayRefsWriter {
  /** The eight bytes of the array's id. */
  readonly node: Uint8Array
  /** Kept for versions that know what it is. */
  readonly extra: Uint8Array | undefined
  readonly count: number
  /** Bytes of all refs without their vector; a multiple of 8. */
  size = 0
  readonly #shared: SharedParts
  readonly #refs: MergedRefs
  readonly #positions: Uint32Array | undefined
  readonly #bases: ReadonlyArray<BaseTexts>
  /** Places in the pool of the changes' locations and entity tags. */
  readonly #locations: TextPlaces
  readonly #etags: TextPlaces
  readonly #from: Array<number>
  readonly #to: Array<number>

  constructor(shared: SharedParts, { positions, refs }: ArrayPart) {
    this.#shared = shared
    this.#refs = refs
    this.#positions = positions
    this.count = positions?.length ?? refs.count
    this.node = ObjectId.bytes8(refs.node)
    this.extra = refs.bases.map(({ manifest }) => manifest.arrayExtra(refs.node)).find((extra) => extra !== undefined)
    this.#bases = refs.bases.map((base) => new BaseTexts(base, shared))
    this.#from = new Array<number>(refs.rank).fill(0xffff_ffff)
    this.#to = new Array<number>(refs.rank).fill(0)
    this.#locations = new TextPlaces(refs.changes?.locations ?? [], this.count)
    this.#etags = new TextPlaces(refs.changes?.etags ?? [], this.count)
    this.#measure()
  }

  /** The smallest box around the refs. */
  get extents(): Extents {
    return this.#from.map((from, axis) => ({ from, to: this.#to[axis]! }))
  }

  #measure(): void {
    const { changes, rank, rows, sources } = this.#refs
    const { pool } = this.#shared
    const counts = new Float64Array(shapes.length)
    const positions = this.#positions
    let texts = sources === undefined && changes !== undefined ? this.#measureChanges(changes, counts) : 0
    const merged = sources === undefined ? 0 : this.count
    for (let i = 0; i < merged; i++) {
      const position = positions === undefined ? i : positions[i]!
      const row = rows[position]!
      const source = sources![position]!
      if (source === 0) {
        texts += this.#measureChange(row, counts)
        continue
      }
      const base = this.#bases[source - 1]!
      base.rows.seek(row)
      const code = base.code()
      counts[code]!++
      for (let axis = 0; axis < rank; axis++) this.#extend(axis, base.rows.coordinate(axis))
      if (code < native) {
        const { length } = base.rows.bytes(Ref.inline)!
        this.#addInline(length)
        // Refs may share their bytes; what they unfold into must not be more than any manifest can hold.
        if (this.size > maxPayload) base.rows.fail(Ref.inline, "inline chunks take more than a manifest can hold")
        texts += length
      } else if (code >= virtual) {
        texts += pool.length(base.location())
        if (base.rows.has(Ref.checksum_etag)) texts += pool.length(base.text(Ref.checksum_etag))
      }
      if (base.rows.has(Ref.extra)) texts += pool.length(base.vector(Ref.extra))
    }
    for (let code = 0; code < shapes.length; code++) {
      if (counts[code] === 0) continue
      this.#shared.use(code)
      this.size += counts[code]! * this.#blockSize(code)
    }
    this.#shared.visited += texts + this.count * (visitedPerRef + 8 * rank)
  }

  /** Puts the locations and entity tags of the changes into the pool. */
  putTexts(): void {
    const { pool } = this.#shared
    this.#shared.visited += this.#locations.put(pool) + this.#etags.put(pool)
  }

  /** As `#measureChange` of all rows, where there are only changes. */
  #measureChanges(changes: Columns, counts: Float64Array): number {
    const { rank, rows } = this.#refs
    const { checksums, indices, kinds, lengths, targets } = changes
    const positions = this.#positions
    const locations = this.#locations
    const { count } = this
    const counted = new Float64Array(codeOfKind.length)
    // Which is the first and which the last does not matter here: where all rows are wanted, they are taken as they lie.
    const inOrder = positions === undefined && count === changes.count
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const row = inOrder ? i : rows[positions === undefined ? i : positions[i]!]!
      const kind = kinds[row]!
      counted[kind]!++
      if (kind >= Kind.Virtual) {
        locations.note(targets[row]!)
        if (kind === Kind.VirtualETag) this.#etags.note(checksums[row]!)
      } else if (kind === Kind.Inline) {
        bytes += lengths[row]!
        this.#addInline(lengths[row]!)
      }
    }
    codeOfKind.forEach((code, kind) => {
      if (code >= 0) counts[code]! += counted[kind]!
    })
    if (count === 0) return bytes
    for (let axis = 0; axis < rank; axis++) {
      let least = 0xffff_ffff
      let most = 0
      // Refs ascend, and along the first axis by themselves.
      const step = axis === 0 ? Math.max(1, count - 1) : 1
      for (let i = 0; i < count; i += step) {
        const row = inOrder && axis > 0 ? i : rows[positions === undefined ? i : positions[i]!]!
        const value = indices[row * rank + axis]!
        if (value < least) least = value
        if (value > most) most = value
      }
      this.#extend(axis, least)
      this.#extend(axis, most)
    }
    return bytes
  }

  /** Returns the bytes of an inline chunk; those of texts are counted when they are put. */
  #measureChange(row: number, counts: Float64Array): number {
    const { rank } = this.#refs
    const { checksums, indices, kinds, lengths, targets } = this.#refs.changes!
    const kind = kinds[row]!
    counts[codeOfKind[kind]!]!++
    for (let axis = 0; axis < rank; axis++) this.#extend(axis, indices[row * rank + axis]!)
    if (kind === Kind.Inline) {
      this.#addInline(lengths[row]!)
      return lengths[row]!
    }
    if (kind === Kind.Native) return 0
    this.#locations.note(targets[row]!)
    if (kind === Kind.VirtualETag) this.#etags.note(checksums[row]!)
    return 0
  }

  #extend(axis: number, value: number): void {
    if (value < this.#from[axis]!) this.#from[axis] = value
    if (value >= this.#to[axis]!) this.#to[axis] = value + 1
  }

  /** Bytes of a table and its index, so that the next table is aligned as this one. */
  #blockSize(code: number): number {
    return roundUp(shapes[code]!.size + 4 + 4 * this.#refs.rank, 8)
  }

  #addInline(length: number): void {
    this.size += roundUp(4 + length, 8)
  }

  /** Where the refs end when writing goes on at `at`. */
  end(at: number): number {
    const vector = roundUp(at, 4) + 4 + 4 * this.count
    // Blocks start 4 bytes after a multiple of 8.
    return roundUp(vector - 4, 8) + 4 + this.size
  }

  /** Writes the vector of refs and the refs; `pool` is where the pool will be. */
  write(writer: FlatWriter, pool: number): number {
    const { rows, sources } = this.#refs
    const vector = writer.vector(this.count, 4)
    writer.align(8, 4)
    const positions = this.#positions
    const { words } = writer
    if (sources === undefined && words !== undefined) {
      this.#writeChanges(writer, words, vector, pool)
      return vector
    }
    for (let i = 0; i < this.count; i++) {
      const position = positions === undefined ? i : positions[i]!
      const source = sources === undefined ? 0 : sources[position]!
      writer.refer(vector + 4 + 4 * i, writer.at)
      if (source === 0) this.#writeChange(writer, rows[position]!, pool)
      else this.#writeBase(writer, this.#bases[source - 1]!, rows[position]!, pool)
    }
    return vector
  }

  /** As `write`, where there are only changes: virtual refs a word at a time. */
  #writeChanges(writer: FlatWriter, words: Uint32Array, vector: number, pool: number): void {
    const { rank, rows } = this.#refs
    const { checksums, indices, kinds, lengths, offsets, targets } = this.#refs.changes!
    const positions = this.#positions
    const locations = this.#locations
    const [first = 0, second = 0, third = 0] = [Kind.Virtual, Kind.VirtualETag, Kind.VirtualLastModified].map((kind) =>
      this.#shared.vtable(codeOfKind[kind]!)
    )
    const { count } = this
    let element = (vector + 4) >>> 2
    let at = writer.at
    for (let i = 0; i < count; i++, element++) {
      const row = rows[positions === undefined ? i : positions[i]!]!
      const kind = kinds[row]!
      words[element] = at - 4 * element
      if (kind < Kind.Virtual) {
        writer.at = at
        this.#writeChange(writer, row, pool)
        at = writer.at
        continue
      }
      const word = at >>> 2
      const offset = offsets[row]!
      const length = lengths[row]!
      words[word] = at - (kind === Kind.Virtual ? first : kind === Kind.VirtualETag ? second : third)
      words[word + 1] = offset
      words[word + 2] = offset < 0x1_0000_0000 ? 0 : offset / 0x1_0000_0000
      words[word + 3] = length
      words[word + 4] = length < 0x1_0000_0000 ? 0 : length / 0x1_0000_0000
      words[word + 6] = pool + locations.at(targets[row]!) - (at + targetAt)
      let index = word + 7
      if (kind !== Kind.Virtual) {
        const checksum = checksums[row]!
        words[index++] =
          kind === Kind.VirtualLastModified ? checksum : pool + this.#etags.at(checksum) - (at + checksumAt)
      }
      words[word + 5] = 4 * (index - word) - indexAt
      words[index++] = rank
      for (let from = row * rank, to = from + rank; from < to; from++) words[index++] = indices[from]!
      at += (4 * (index - word) + 7) & ~7
    }
    writer.at = at
  }

  #writeChange(writer: FlatWriter, row: number, pool: number): void {
    const columns = this.#refs.changes!
    const { rank } = this.#refs
    const { view } = writer
    const kind = columns.kinds[row]!
    const code = codeOfKind[kind]!
    const at = writer.at
    const index = at + shapes[code]!.size
    view.setInt32(at, at - this.#shared.vtable(code), true)
    view.setUint32(index, rank, true)
    for (let axis = 0; axis < rank; axis++) {
      view.setUint32(index + 4 + 4 * axis, columns.indices[row * rank + axis]!, true)
    }
    writer.at = at + this.#blockSize(code)
    const offset = columns.offsets[row]!
    const length = columns.lengths[row]!
    if (kind === Kind.Inline) {
      writer.refer(at + inlineIndexAt, index)
      this.#writeInline(writer, at, columns.inline.subarray(offset, offset + length))
      return
    }
    writer.u64(at + offsetAt, offset)
    writer.u64(at + lengthAt, length)
    writer.refer(at + indexAt, index)
    const target = columns.targets[row]!
    if (kind === Kind.Native) {
      writer.bytes.set(columns.ids.subarray(target, target + 12), at + targetAt)
      return
    }
    writer.refer(at + targetAt, pool + this.#locations.at(target))
    const checksum = columns.checksums[row]!
    if (kind === Kind.VirtualETag) writer.refer(at + checksumAt, pool + this.#etags.at(checksum))
    else if (kind === Kind.VirtualLastModified) view.setUint32(at + checksumAt, checksum, true)
  }

  #writeInline(writer: FlatWriter, at: number, bytes: Uint8Array): void {
    const start = writer.at
    writer.refer(at + inlineAt, writer.vectorOf(bytes))
    writer.at = start + roundUp(4 + bytes.length, 8)
  }

  #writeBase(writer: FlatWriter, base: BaseTexts, row: number, pool: number): void {
    const { rank } = this.#refs
    const { rows } = base
    const { view } = writer
    rows.seek(row)
    const code = base.code()
    const at = writer.at
    const { size } = shapes[code]!
    const index = at + size
    view.setInt32(at, at - this.#shared.vtable(code), true)
    view.setUint32(index, rank, true)
    for (let axis = 0; axis < rank; axis++) view.setUint32(index + 4 + 4 * axis, rows.coordinate(axis), true)
    writer.at = at + this.#blockSize(code)
    if ((code & withExtra) !== 0) writer.refer(at + size - 4, pool + base.vector(Ref.extra))
    if (code < native) {
      writer.refer(at + inlineIndexAt, index)
      this.#writeInline(writer, at, rows.bytes(Ref.inline)!)
      return
    }
    writer.u64(at + offsetAt, rows.offset)
    writer.u64(at + lengthAt, rows.length)
    writer.refer(at + indexAt, index)
    if (code < virtual) {
      writer.bytes.set(rows.chunkId, at + targetAt)
      return
    }
    writer.refer(at + targetAt, pool + base.location())
    const checksum = (code % 6) & ~1
    if (checksum === withETag) writer.refer(at + checksumAt, pool + base.text(Ref.checksum_etag))
    else if (checksum === withLastModified) view.setUint32(at + checksumAt, rows.lastModified, true)
  }
}
