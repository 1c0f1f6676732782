/**
 * Chunk refs of one array that are being written, as columns: a million of them are tens of megabytes, and
 * no object is made for any.
 *
 * Rows are appended; of rows with the same index the last one counts.
 *
 * @since 0.1.0
 */
import * as Checksum from "../../values/Checksum.ts"
import type { ChunkIndex } from "../../values/ChunkIndex.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { VirtualChunkRef } from "../../values/VirtualChunkRef.ts"
import * as ChunkOrder from "./ChunkOrder.ts"
import * as ChunkRef from "./ChunkRef.ts"

/**
 * What a row is, as a number: a tombstone, which hides a ref of the manifests below; or one of the kinds of
 * ref, virtual ones apart by their checksum.
 *
 * @category models
 * @since 0.1.0
 */
export const Kind = {
  Deleted: 0,
  Inline: 1,
  Native: 2,
  Virtual: 3,
  VirtualETag: 4,
  VirtualLastModified: 5
} as const

/**
 * Virtual refs in columns of `n` rows, for `setVirtualBulk`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BulkVirtualRefs {
  /** `n` times the rank, row-major. */
  readonly indices: Uint32Array
  /** Bytes from the start of the object: whole numbers up to 2^53 - 1. */
  readonly offsets: ArrayLike<number> | BigUint64Array
  /** Bytes: whole numbers up to 2^53 - 1. */
  readonly lengths: ArrayLike<number> | BigUint64Array
  /** One location for all rows; or some, and the position of each row's among them. */
  readonly locations: string | { readonly values: ReadonlyArray<string>; readonly ids: Uint32Array }
  /**
   * One checksum for all rows; or one for each of `locations`; or for each row the last change of its
   * object in seconds since 1970, 0 for no checksum.
   */
  readonly checksums?: Checksum.Checksum | ReadonlyArray<Checksum.Checksum | undefined> | Uint32Array | undefined
}

/**
 * The columns themselves, for those who go over millions of rows. They are read only, and longer than
 * `count`; what lies beyond means nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Columns {
  readonly count: number
  /** `rank` numbers a row. */
  readonly indices: Uint32Array
  /** One of `Kind`. */
  readonly kinds: Uint8Array
  /** Inline: where the bytes start in `inline`. Else the offset in the object. */
  readonly offsets: Float64Array
  readonly lengths: Float64Array
  /** Virtual: position in `locations`. Native: where the 12 bytes of the id start in `ids`. */
  readonly targets: Uint32Array
  /** Position in `etags`, or seconds since 1970. */
  readonly checksums: Uint32Array
  /** The first ones as they were given in bulk, so that one may be there twice. */
  readonly locations: ReadonlyArray<string>
  /** Whether each is known to be there once. */
  readonly areLocationsDistinct: () => boolean
  readonly etags: ReadonlyArray<string>
  readonly inline: Uint8Array
  readonly ids: Uint8Array
}

/** A text for each position, and a position of each text. */
class Texts {
  readonly values: Array<string>
  /** Made when a text is asked for: many are written and never are. */
  #positions: Map<string, number> | undefined

  constructor(values: Array<string> = []) {
    this.values = values
  }

  position(text: string): number {
    const positions = (this.#positions ??= this.#index())
    const known = positions.get(text)
    if (known !== undefined) return known
    positions.set(text, this.values.length)
    return this.values.push(text) - 1
  }

  /** Whether each is known to be there once; without looking for them, only when they ascend. */
  areDistinct(): boolean {
    const { values } = this
    if (this.#positions !== undefined) return this.#positions.size === values.length
    for (let i = 1; i < values.length; i++) if (values[i]! <= values[i - 1]!) return false
    return true
  }

  #index(): Map<string, number> {
    const positions = new Map<string, number>()
    for (let i = 0; i < this.values.length; i++) {
      if (!positions.has(this.values[i]!)) positions.set(this.values[i]!, i)
    }
    return positions
  }
}

const isColumn = (numbers: ArrayLike<number> | BigUint64Array): numbers is ArrayLike<number> =>
  !(numbers instanceof BigUint64Array)

const setNumbers = (to: Float64Array, at: number, numbers: ArrayLike<number> | BigUint64Array): void => {
  if (isColumn(numbers)) return to.set(numbers, at)
  for (let i = 0; i < numbers.length; i++) to[at + i] = Number(numbers[i])
}

/** Refs whose columns are of the kinds that are kept here. */
type Kept = BulkVirtualRefs & {
  readonly offsets: Float64Array
  readonly lengths: Float64Array
  readonly locations: { readonly ids: Uint32Array }
}

const isKept = (refs: BulkVirtualRefs): refs is Kept =>
  refs.offsets instanceof Float64Array && refs.lengths instanceof Float64Array && typeof refs.locations !== "string"

const areBelow = (limit: number, ids: Uint32Array): boolean => {
  for (let i = 0; i < ids.length; i++) if (ids[i]! >= limit) return false
  return true
}

/** Rows below this number are not worth a second look. */
const smallCount = 4096

/**
 * Growing columns of refs. Indices have `rank` numbers and lie in the array's grid, offsets and lengths are
 * whole numbers up to 2^53 - 1: callers check that.
 *
 * @category models
 * @since 0.1.0
 */
export class ChunkRefColumns {
  readonly rank: number
  #count = 0
  #capacity = 0
  #indices: Uint32Array = new Uint32Array(0)
  #kinds: Uint8Array = new Uint8Array(0)
  #offsets: Float64Array = new Float64Array(0)
  #lengths: Float64Array = new Float64Array(0)
  #targets: Uint32Array = new Uint32Array(0)
  #checksums: Uint32Array = new Uint32Array(0)
  #locations = new Texts()
  #etags = new Texts()
  #inline = new Uint8Array(0)
  #inlineSize = 0
  #ids = new Uint8Array(0)
  #idsSize = 0
  /** Row + 1 by hash of its index, 0 where free. Covers the first `#found` rows. */
  #slots = new Uint32Array(0)
  #found = 0
  #order: Uint32Array<ArrayBuffer> | undefined
  /** The largest number of each dimension, also of rows that do not count. */
  #most: ReadonlyArray<number> | undefined
  /** The rows that are to be found, if not all. */
  #only: Uint32Array | undefined
  /** Whether another one writes to the same memory. */
  #isShared = false

  constructor(rank: number) {
    this.rank = rank
  }

  /** Rows, also those that a later one has taken the place of. */
  get size(): number {
    return this.#count
  }

  /** Bytes of inline chunks, also of rows that a later one has taken the place of. */
  get inlineBytes(): number {
    return this.#inlineSize
  }

  /** The columns as they stand. Rows that are appended later may go into other arrays. */
  columns(): Columns {
    return {
      count: this.#count,
      indices: this.#indices,
      kinds: this.#kinds,
      offsets: this.#offsets,
      lengths: this.#lengths,
      targets: this.#targets,
      checksums: this.#checksums,
      locations: this.#locations.values,
      areLocationsDistinct: () => this.#locations.areDistinct(),
      etags: this.#etags.values,
      inline: this.#inline,
      ids: this.#ids
    }
  }

  /** The rows as they stand, while this is written to. Rows are shared, and copied when they are written to as well. */
  frozen(): ChunkRefColumns {
    const frozen = new ChunkRefColumns(this.rank)
    frozen.#count = this.#count
    frozen.#indices = this.#indices
    frozen.#kinds = this.#kinds
    frozen.#offsets = this.#offsets
    frozen.#lengths = this.#lengths
    frozen.#targets = this.#targets
    frozen.#checksums = this.#checksums
    frozen.#locations = this.#locations
    frozen.#etags = this.#etags
    frozen.#inline = this.#inline
    frozen.#ids = this.#ids
    frozen.#order = this.#order
    frozen.#most = this.#most
    frozen.#only = this.#only
    frozen.#isShared = true
    return frozen
  }

  /** As `frozen`, with some of the rows that count, by ascending index: the others are as if they had not been set. */
  only(rows: Uint32Array<ArrayBuffer>): ChunkRefColumns {
    const some = this.frozen()
    some.#order = rows
    some.#only = rows
    return some
  }

  /** A chunk whose bytes are in the manifest. The bytes are copied. */
  setInline(index: ChunkIndex, bytes: Uint8Array): void {
    this.#makeRoom()
    this.#inline = room(this.#inline, this.#inlineSize, bytes.length)
    this.#inline.set(bytes, this.#inlineSize)
    this.#append(index, Kind.Inline, this.#inlineSize, bytes.length, 0, 0)
    this.#inlineSize += bytes.length
  }

  /** A chunk in the chunk file whose id is `id`, 12 bytes. */
  setNative(index: ChunkIndex, id: Uint8Array, offset: number, length: number): void {
    this.#makeRoom()
    this.#ids = room(this.#ids, this.#idsSize, 12)
    this.#ids.set(id.subarray(0, 12), this.#idsSize)
    this.#append(index, Kind.Native, offset, length, this.#idsSize, 0)
    this.#idsSize += 12
  }

  /** A chunk in an object outside the repository. */
  setVirtual(index: ChunkIndex, ref: VirtualChunkRef): void {
    this.#makeRoom()
    const { kind, value } = this.#checksum(ref.checksum)
    this.#append(index, kind, ref.offset, ref.length, this.#locations.position(ref.location), value)
  }

  /** No chunk, whatever the manifests below say. */
  setDeleted(index: ChunkIndex): void {
    this.#makeRoom()
    this.#append(index, Kind.Deleted, 0, 0, 0, 0)
  }

  /** A ref of any kind. */
  set(index: ChunkIndex, ref: ChunkRef.ChunkRef): void {
    switch (ref._tag) {
      case "Inline":
        return this.setInline(index, ref.bytes)
      case "Native":
        return this.setNative(index, ObjectId.bytes12(ref.id), ref.offset, ref.length)
      case "Virtual":
        return this.setVirtual(index, ref.ref)
    }
  }

  /**
   * Many virtual refs: all, or none when the columns do not fit together, which is a defect. They are
   * copied, unless they may be kept: nobody else has them then.
   */
  setVirtualBulk(refs: BulkVirtualRefs, options?: { readonly keep?: boolean | undefined }): void {
    const { checksums, indices, lengths, locations, offsets } = refs
    const rows = offsets.length
    const texts = typeof locations === "string" ? [locations] : locations.values
    const ids = typeof locations === "string" ? undefined : locations.ids
    const perRow = checksums instanceof Uint32Array ? checksums : undefined
    const perLocation = Array.isArray(checksums)
      ? (checksums as ReadonlyArray<Checksum.Checksum | undefined>)
      : undefined
    const problem =
      lengths.length !== rows || indices.length !== rows * this.rank || (ids !== undefined && ids.length !== rows)
        ? "columns differ in length"
        : (perRow !== undefined && perRow.length !== rows) ||
            (perLocation !== undefined && perLocation.length !== texts.length)
          ? "checksums are neither one a row nor one a location"
          : ids !== undefined && !areBelow(texts.length, ids)
            ? "a row's location is none of the locations"
            : undefined
    if (problem !== undefined) throw new RangeError(`Refs of rank ${this.rank} in bulk: ${problem}`)
    this.#own()
    const start = this.#count
    const areFirst = this.#locations.values.length === 0
    if (areFirst) this.#locations = new Texts(Array.from(texts))
    const positions = areFirst ? undefined : Uint32Array.from(texts, (text) => this.#locations.position(text))
    const forAll =
      perRow === undefined && perLocation === undefined ? (checksums as Checksum.Checksum | undefined) : undefined
    const one = this.#checksum(forAll)
    if (areFirst && start === 0 && options?.keep === true && isKept(refs)) {
      this.#capacity = rows
      this.#indices = refs.indices
      this.#offsets = refs.offsets
      this.#lengths = refs.lengths
      this.#targets = refs.locations.ids
      this.#kinds = new Uint8Array(rows)
      this.#checksums = new Uint32Array(rows)
    } else {
      this.#reserve(rows)
      this.#indices.set(indices, start * this.rank)
      setNumbers(this.#offsets, start, offsets)
      setNumbers(this.#lengths, start, lengths)
      if (ids === undefined) this.#targets.fill(positions?.[0] ?? 0, start, start + rows)
      else if (positions === undefined) this.#targets.set(ids, start)
      else for (let i = 0; i < rows; i++) this.#targets[start + i] = positions[ids[i]!]!
    }
    if (perRow !== undefined) {
      this.#checksums.set(perRow, start)
      for (let i = 0; i < rows; i++) {
        this.#kinds[start + i] = perRow[i] === 0 ? Kind.Virtual : Kind.VirtualLastModified
      }
    } else if (perLocation !== undefined) {
      const known = perLocation.map((checksum) => this.#checksum(checksum))
      const kinds = Uint8Array.from(known, ({ kind }) => kind)
      const values = Uint32Array.from(known, ({ value }) => value)
      for (let i = 0; i < rows; i++) {
        const location = ids === undefined ? 0 : ids[i]!
        this.#kinds[start + i] = kinds[location]!
        this.#checksums[start + i] = values[location]!
      }
    } else {
      this.#kinds.fill(one.kind, start, start + rows)
      // New memory is zero, and takes none until it is written to.
      if (one.value !== 0) this.#checksums.fill(one.value, start, start + rows)
    }
    this.#count = start + rows
    this.#order = this.#most = undefined
  }

  #checksum(checksum: Checksum.Checksum | undefined): { readonly kind: number; readonly value: number } {
    if (checksum === undefined) return { kind: Kind.Virtual, value: 0 }
    return Checksum.match(checksum, {
      ETag: ({ etag }) => ({ kind: Kind.VirtualETag, value: this.#etags.position(etag) }),
      LastModified: ({ seconds }) =>
        // The format's way to say that there is none.
        seconds === 0 ? { kind: Kind.Virtual, value: 0 } : { kind: Kind.VirtualLastModified, value: seconds }
    })
  }

  #append(index: ChunkIndex, kind: number, offset: number, length: number, target: number, checksum: number): void {
    const row = this.#count++
    const at = row * this.rank
    for (let axis = 0; axis < this.rank; axis++) this.#indices[at + axis] = index[axis]!
    this.#kinds[row] = kind
    this.#offsets[row] = offset
    this.#lengths[row] = length
    this.#targets[row] = target
    this.#checksums[row] = checksum
    this.#order = this.#most = undefined
  }

  /**
   * Room for one more row: by forgetting rows that no longer count, where these are half of all. Comes before anything
   * of the new row is stored, because texts, ids and bytes get other places.
   */
  #makeRoom(): void {
    this.#own()
    if (this.#count < this.#capacity) return
    if (this.#count >= smallCount) {
      const rows = this.rowsInOrder()
      if (rows.length <= this.#count / 2) return this.#keep(rows)
    }
    this.#reserve(1)
  }

  /** Comes before anything is written: what is shared, or has rows that do not count, is copied. */
  #own(): void {
    if (!this.#isShared) return
    this.#isShared = false
    this.#keep(this.rowsInOrder())
  }

  #reserve(rows: number): void {
    const needed = this.#count + rows
    if (needed <= this.#capacity) return
    const capacity = Math.max(needed, this.#count === 0 ? 0 : 2 * this.#capacity, 8)
    this.#indices = grown(this.#indices, new Uint32Array(capacity * this.rank))
    this.#kinds = grown(this.#kinds, new Uint8Array(capacity))
    this.#offsets = grown(this.#offsets, new Float64Array(capacity))
    this.#lengths = grown(this.#lengths, new Float64Array(capacity))
    this.#targets = grown(this.#targets, new Uint32Array(capacity))
    this.#checksums = grown(this.#checksums, new Uint32Array(capacity))
    this.#capacity = capacity
  }

  /** Keeps only `rows`, in that order. */
  #keep(rows: Uint32Array): void {
    const old = this.columns()
    this.clear()
    this.#locations = new Texts()
    this.#reserve(2 * rows.length)
    this.#take(old, rows)
  }

  #take(from: Columns, rows: Uint32Array): void {
    for (const row of rows) {
      const index = Array.from(from.indices.subarray(row * this.rank, (row + 1) * this.rank))
      const offset = from.offsets[row]!
      const length = from.lengths[row]!
      const target = from.targets[row]!
      const checksum = from.checksums[row]!
      const kind = from.kinds[row]!
      if (kind === Kind.Inline) this.setInline(index, from.inline.subarray(offset, offset + length))
      else if (kind === Kind.Native) this.setNative(index, from.ids.subarray(target, target + 12), offset, length)
      else if (kind === Kind.Deleted) this.setDeleted(index)
      else {
        this.#makeRoom()
        const value = kind === Kind.VirtualETag ? this.#etags.position(from.etags[checksum]!) : checksum
        this.#append(index, kind, offset, length, this.#locations.position(from.locations[target]!), value)
      }
    }
  }

  /** Appends rows of other columns of the same rank, or all that count, which are copied. */
  append(from: ChunkRefColumns, rows: Uint32Array = from.rowsInOrder()): void {
    this.appendFrom(from.columns(), rows)
  }

  /** Appends rows, which are copied. */
  appendFrom(from: Columns, rows: Uint32Array): void {
    this.#reserve(rows.length)
    this.#take(from, rows)
  }

  /** Whether a row has an index, a ref or a tombstone; with `at` the one whose numbers stand from there on. */
  has(index: ArrayLike<number>, at?: number): boolean {
    if (this.#count === 0 || (at === undefined && index.length !== this.rank)) return false
    this.#lookUpAll()
    return this.#slots[this.#slot(index, at ?? 0)] !== 0
  }

  /** Forgets all rows. What was handed out before stays as it is. */
  clear(): void {
    this.#count = this.#capacity = this.#found = this.#inlineSize = this.#idsSize = 0
    this.#locations = new Texts()
    this.#etags = new Texts()
    this.#inline = new Uint8Array(0)
    this.#ids = new Uint8Array(0)
    this.#slots = new Uint32Array(0)
    this.#order = this.#most = this.#only = undefined
    this.#isShared = false
    this.#indices = new Uint32Array(0)
    this.#kinds = new Uint8Array(0)
    this.#offsets = new Float64Array(0)
    this.#lengths = new Float64Array(0)
    this.#targets = new Uint32Array(0)
    this.#checksums = new Uint32Array(0)
  }

  /** The ref at an index, `"Deleted"` for a tombstone, `undefined` when no row has that index. */
  get(index: ChunkIndex): ChunkRef.ChunkRef | "Deleted" | undefined {
    if (this.#count === 0 || index.length !== this.rank) return undefined
    this.#lookUpAll()
    const slot = this.#slots[this.#slot(index, 0)]!
    return slot === 0 ? undefined : this.at(slot - 1)
  }

  /** The ref in a row, `"Deleted"` for a tombstone. Inline bytes are a view. */
  at(row: number): ChunkRef.ChunkRef | "Deleted" {
    const offset = this.#offsets[row]!
    const length = this.#lengths[row]!
    const target = this.#targets[row]!
    const value = this.#checksums[row]!
    const location = (checksum: Checksum.Checksum | undefined): ChunkRef.ChunkRef =>
      ChunkRef.virtual({ location: this.#locations.values[target]!, offset, length, checksum })
    switch (this.#kinds[row]) {
      case Kind.Inline:
        return ChunkRef.inline(this.#inline.subarray(offset, offset + length))
      case Kind.Native:
        return ChunkRef.native(ObjectId.chunkId(this.#ids.subarray(target, target + 12)), offset, length)
      case Kind.Virtual:
        return location(undefined)
      case Kind.VirtualETag:
        return location(Checksum.etag(this.#etags.values[value]!))
      case Kind.VirtualLastModified:
        return location(Checksum.lastModified(value * 1000))
      default:
        return "Deleted"
    }
  }

  /** The index of a row. */
  indexAt(row: number): ChunkIndex {
    const index = new Array<number>(this.rank)
    for (let axis = 0; axis < this.rank; axis++) index[axis] = this.#indices[row * this.rank + axis]!
    return index
  }

  /**
   * The rows that count, tombstones too, by ascending index. Computed once until a row is appended; read
   * only.
   */
  rowsInOrder(): Uint32Array<ArrayBuffer> {
    return (this.#order ??= ChunkOrder.sort(this.#indices, this.rank, this.#count))
  }

  /** Whether each row is a ref in a grid, and none a tombstone: then there is no need to look at them one by one. */
  areRefsWithin(gridShape: ReadonlyArray<number>): boolean {
    if (this.#kinds.subarray(0, this.#count).includes(Kind.Deleted)) return false
    this.#most ??= largest(this.#indices, this.rank, this.#count)
    return this.#count === 0 || this.#most.every((number, axis) => number < gridShape[axis]!)
  }

  /** Their indices, `count` times the rank, row-major; read only. */
  indicesInOrder(): { readonly count: number; readonly indices: Uint32Array } {
    const { rank } = this
    const rows = this.rowsInOrder()
    const count = rows.length
    let inPlace = count === this.#count
    for (let i = 0; inPlace && i < count; i++) inPlace = rows[i] === i
    if (inPlace) return { count, indices: this.#indices.subarray(0, count * rank) }
    const indices = new Uint32Array(count * rank)
    for (let i = 0; i < count; i++) {
      const at = rows[i]! * rank
      for (let axis = 0; axis < rank; axis++) indices[i * rank + axis] = this.#indices[at + axis]!
    }
    return { count, indices }
  }

  /** Brings the rows that were appended since the last look into the slots. */
  #lookUpAll(): void {
    if (this.#found === this.#count) return
    if (this.#slots.length < 2 * this.#count) {
      this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(3 * this.#count + 8)))
      this.#found = 0
    }
    for (const row of this.#only ?? []) this.#slots[this.#slot(this.#indices, row * this.rank)] = row + 1
    if (this.#only !== undefined) this.#found = this.#count
    for (; this.#found < this.#count; this.#found++) {
      this.#slots[this.#slot(this.#indices, this.#found * this.rank)] = this.#found + 1
    }
  }

  /** The slot of the index at `indices[at]`: its own or the free one where it belongs. */
  #slot(indices: ArrayLike<number>, at: number): number {
    const { rank } = this
    let hash = 0x9e37_79b9
    for (let axis = 0; axis < rank; axis++) {
      hash = Math.imul(hash ^ indices[at + axis]!, 0x85eb_ca6b)
      hash ^= hash >>> 15
    }
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]!
      if (row === 0) return slot
      const other = (row - 1) * rank
      let axis = 0
      while (axis < rank && this.#indices[other + axis] === indices[at + axis]) axis++
      if (axis === rank) return slot
    }
  }
}

const largest = (indices: Uint32Array, rank: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: rank }, (_, axis) => {
    let most = 0
    for (let at = axis; at < count * rank; at += rank) if (indices[at]! > most) most = indices[at]!
    return most
  })

const grown = <A extends Uint8Array | Uint32Array | Float64Array>(from: A, to: A): A => {
  to.set(from)
  return to
}

/** A buffer with room for `more` bytes after the first `size`. */
const room = (bytes: Uint8Array<ArrayBuffer>, size: number, more: number): Uint8Array<ArrayBuffer> =>
  size + more <= bytes.length ? bytes : grown(bytes, new Uint8Array(Math.max(2 * bytes.length, size + more, 64)))
