/**
 * The chunk refs of one array in a manifest, read where they lie: nothing is built per ref, and a ref is
 * checked when it is looked at.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import * as Checksum from "../../values/Checksum.ts"
import type { ChunkIndex } from "../../values/ChunkIndex.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import * as ChunkRef from "./ChunkRef.ts"
import { attempt } from "../../encoding/Attempt.ts"
import * as FlatTable from "../../encoding/FlatTable.ts"
import { FormatError } from "../../encoding/FormatError.ts"
import { PositionMap } from "../../encoding/PositionMap.ts"
import { TextPool } from "../../encoding/TextPool.ts"
import { ZstdError } from "../../encoding/Zstd.ts"

/**
 * The fields of a chunk ref in the schema.
 *
 * @category constants
 * @since 0.1.0
 */
export const Ref = FlatTable.fields(
  "index",
  "inline",
  "offset",
  "length",
  "chunk_id",
  "location",
  "checksum_etag",
  "checksum_last_modified",
  "compressed_location",
  "extra"
)

/** Bytes that each field takes in the table, by slot. */
const widths = [4, 4, 8, 8, 12, 4, 4, 4, 4, 4] as const

/** Longest location that a compressed one may hold, in bytes. Source: Icechunk's reader. */
const maxLocationBytes = 1024

/** No array has more dimensions. */
const maxRank = 1024

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * What all rows of a manifest share.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  /** The key of the file, for errors. */
  readonly file: string
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Throws a `FormatError` or a `ZstdError`. */
  readonly decompress: (bytes: Uint8Array, maxBytes: number) => Uint8Array
}

/**
 * Where the refs of an array are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refs {
  /** Position of the array in the manifest. */
  readonly number: number
  /** Where the vector's first element is in the payload. */
  readonly start: number
  readonly count: number
}

interface SeenTexts {
  readonly pool: TextPool
  readonly ids: PositionMap
}

/**
 * A cursor over the refs of one array. `seek` puts it on a row, which is checked as far as its index;
 * other parts are checked when they are asked for. All methods throw a `FormatError` about a damaged
 * ref: call them inside of `attempt`.
 *
 * @category models
 * @since 0.1.0
 */
export class ManifestRows {
  readonly count: number
  /** Numbers in the row's index. */
  rank = 0
  /** Distinct locations that `locationId` has met, by id. */
  readonly locations: Array<string> = []
  readonly #source: Source
  readonly #refs: Refs
  readonly #view: DataView
  readonly #size: number
  #row = -1
  #table = 0
  #index = 0
  /** The vtable that the following belong to, or -1. */
  #vtable = -1
  #tableSize = 0
  readonly #at = new Uint16Array(widths.length)
  #kind: ChunkRef.ChunkRef["_tag"] | undefined
  /** Position of a location's vector, plain or compressed, to its id. */
  #ids: PositionMap | undefined
  /** Locations as they are stored, plain and compressed, and their ids by place in the pool. */
  #plain: SeenTexts | undefined
  #compressed: SeenTexts | undefined
  /** Only where locations are compressed: one may be stored in several ways. */
  #idsByText: Map<string, number> | undefined
  /** Bytes that texts at other places can still have. */
  #room: number
  #lastLocation = -1
  #lastId = 0

  constructor(source: Source, refs: Refs) {
    this.#source = source
    this.#refs = refs
    this.#view = source.view
    this.#size = source.bytes.length
    this.#room = this.#size
    this.count = refs.count
  }

  /** Throws a `FormatError` about a field of the row. */
  fail(field: FlatTable.Field | undefined, problem: string): never {
    const row = `arrays[${this.#refs.number}].refs[${this.#row}]`
    this.#vtable = -1
    throw new FormatError({
      file: this.#source.file,
      field: field === undefined ? row : `${row}.${field.name}`,
      problem
    })
  }

  /** Goes to a row from 0 below `count`. */
  seek(row: number): void {
    const view = this.#view
    this.#row = row
    const element = this.#refs.start + 4 * row
    const table = element + view.getUint32(element, true)
    if (table + 4 > this.#size) this.fail(undefined, "its offset points outside of the payload")
    const vtable = table - view.getInt32(table, true)
    if (vtable !== this.#vtable) this.#lookAtVtable(vtable)
    if (table + this.#tableSize > this.#size) this.fail(undefined, "the table reaches beyond the payload")
    const field = table + this.#at[0]!
    const vector = field + view.getUint32(field, true)
    if (vector + 4 > this.#size) this.fail(Ref.index, "its offset points outside of the payload")
    const rank = view.getUint32(vector, true)
    if (rank > maxRank) this.fail(Ref.index, `it has ${rank} dimensions, more than ${maxRank}`)
    if (rank > (this.#size - vector - 4) / 4) this.fail(Ref.index, `its ${rank} elements reach beyond the payload`)
    this.#table = table
    this.#index = vector + 4
    this.rank = rank
  }

  #lookAtVtable(vtable: number): void {
    const view = this.#view
    const bytes = this.#size
    if (vtable < 0 || vtable + 4 > bytes) this.fail(undefined, "its vtable lies outside of the payload")
    const vtableSize = view.getUint16(vtable, true)
    if (vtableSize < 4 || vtableSize % 2 !== 0 || vtable + vtableSize > bytes) {
      this.fail(undefined, "its vtable is malformed")
    }
    const tableSize = view.getUint16(vtable + 2, true)
    if (tableSize < 4) this.fail(undefined, "its vtable is malformed")
    const at = this.#at
    for (let slot = 0; slot < widths.length; slot++) {
      const entry = 4 + 2 * slot
      const offset = entry < vtableSize ? view.getUint16(vtable + entry, true) : 0
      if (offset !== 0 && (offset < 4 || offset + widths[slot]! > tableSize)) {
        this.fail(undefined, "a field lies outside of its table")
      }
      at[slot] = offset
    }
    if (at[Ref.index.slot] === 0) this.fail(Ref.index, "the field is required and absent")
    this.#vtable = vtable
    this.#tableSize = tableSize
    // In the order in which Icechunk looks.
    this.#kind =
      at[Ref.chunk_id.slot] !== 0
        ? "Native"
        : at[Ref.compressed_location.slot] !== 0 || at[Ref.location.slot] !== 0
          ? "Virtual"
          : at[Ref.inline.slot] !== 0
            ? "Inline"
            : undefined
  }

  /** Whether the row has the field. */
  has(field: FlatTable.Field): boolean {
    return this.#at[field.slot] !== 0
  }

  /** A number of the row's index. */
  coordinate(axis: number): number {
    return this.#view.getUint32(this.#index + 4 * axis, true)
  }

  /** Fails unless the row's index has `rank` numbers. */
  checkRank(rank: number): void {
    if (this.rank !== rank) this.fail(Ref.index, `it has ${this.rank} dimension(s), the array has ${rank}`)
  }

  /** Negative when the row's index comes before `index`, 0 when it is the same. */
  compare(index: ArrayLike<number>): number {
    this.checkRank(index.length)
    for (let axis = 0; axis < this.rank; axis++) {
      const order = this.coordinate(axis) - index[axis]!
      if (order !== 0) return order
    }
    return 0
  }

  /** Whether the row's index lies in a part of the grid: chunk numbers for each dimension, `to` exclusive. */
  isWithin(extents: ReadonlyArray<{ readonly from: number; readonly to: number }>): boolean {
    this.checkRank(extents.length)
    for (let axis = 0; axis < this.rank; axis++) {
      const at = this.coordinate(axis)
      if (at < extents[axis]!.from || at >= extents[axis]!.to) return false
    }
    return true
  }

  /** What the row refers to. */
  get kind(): ChunkRef.ChunkRef["_tag"] {
    return this.#kind ?? this.fail(undefined, "it has neither bytes nor a chunk nor a location")
  }

  /** Bytes from the start of the chunk file or object. */
  get offset(): number {
    return this.#u64(Ref.offset)
  }

  /** Bytes of a native or virtual chunk. */
  get length(): number {
    return this.#u64(Ref.length)
  }

  #u64(field: FlatTable.Field): number {
    const at = this.#at[field.slot]!
    if (at === 0) return 0
    const high = this.#view.getUint32(this.#table + at + 4, true)
    if (high > 0x1f_ffff) this.fail(field, "the number is larger than 2^53 - 1")
    return high * 0x1_0000_0000 + this.#view.getUint32(this.#table + at, true)
  }

  /** When the object changed last, in seconds since 1970; 0 for no such checksum. */
  get lastModified(): number {
    const at = this.#at[Ref.checksum_last_modified.slot]!
    return at === 0 ? 0 : this.#view.getUint32(this.#table + at, true)
  }

  /** The 12 bytes of a native chunk's id, as a view. */
  get chunkId(): Uint8Array {
    const start = this.#table + this.#at[Ref.chunk_id.slot]!
    return this.#source.bytes.subarray(start, start + 12)
  }

  /**
   * Where a vector of bytes or a text is: the position of its length, which is checked. The row must have
   * the field.
   */
  vector(field: FlatTable.Field): number {
    const at = this.#table + this.#at[field.slot]!
    const vector = at + this.#view.getUint32(at, true)
    if (vector + 4 > this.#size) this.fail(field, "its offset points outside of the payload")
    const length = this.#view.getUint32(vector, true)
    if (length > this.#size - vector - 4) this.fail(field, `its ${length} bytes reach beyond the payload`)
    return vector
  }

  /** The bytes of a field that is a vector or a text, as a view; `undefined` when the row has none. */
  bytes(field: FlatTable.Field): Uint8Array | undefined {
    if (!this.has(field)) return undefined
    const vector = this.vector(field)
    return this.#source.bytes.subarray(vector + 4, vector + 4 + this.#view.getUint32(vector, true))
  }

  /**
   * What is left of `room` after the bytes of a field; fails when it is not enough. Texts at different
   * places do not share their bytes, so that all of them have room in the payload; a file where they do
   * would unfold into any size.
   */
  checkRoom(field: FlatTable.Field, room: number): number {
    const left = room - this.#view.getUint32(this.vector(field), true)
    return left < 0 ? this.fail(field, "it shares its bytes with others") : left
  }

  /** The entity tag of a virtual chunk's object, if there is one. */
  get etag(): string | undefined {
    const bytes = this.bytes(Ref.checksum_etag)
    return bytes === undefined ? undefined : this.text(Ref.checksum_etag, bytes)
  }

  /** Bytes of a field as text. */
  text(field: FlatTable.Field, bytes: Uint8Array): string {
    try {
      return utf8.decode(bytes)
    } catch {
      return this.fail(field, "the text is not UTF-8")
    }
  }

  /** The field of a virtual chunk that has its location. */
  get locationField(): FlatTable.Field {
    return this.has(Ref.compressed_location) ? Ref.compressed_location : Ref.location
  }

  /** The location of a virtual chunk in UTF-8, decompressed where needed. */
  locationBytes(): Uint8Array {
    const { locationField } = this
    const stored = this.bytes(locationField)
    if (stored === undefined) return this.fail(Ref.location, "the chunk is not virtual")
    return locationField === Ref.compressed_location ? this.#decompress(stored) : stored
  }

  #decompress(compressed: Uint8Array): Uint8Array {
    let location: Uint8Array
    try {
      location = this.#source.decompress(compressed, maxLocationBytes)
    } catch (error) {
      if (error instanceof ZstdError) return this.fail(Ref.compressed_location, error.problem)
      throw error
    }
    if (location.length > maxLocationBytes) {
      this.fail(Ref.compressed_location, `it holds ${location.length} bytes, more than ${maxLocationBytes}`)
    }
    return location
  }

  /** The location of a virtual chunk. */
  get location(): string {
    return this.text(this.locationField, this.locationBytes())
  }

  /**
   * The number of a virtual chunk's location among `locations`. Where refs share a location in the file it
   * is read once.
   */
  locationId(): number {
    const at = this.#table + (this.#at[Ref.compressed_location.slot]! || this.#at[Ref.location.slot]!)
    // Most refs are of the object of the one before, whose location has been checked.
    if (at + this.#view.getUint32(at, true) === this.#lastLocation) return this.#lastId
    const vector = this.vector(this.locationField)
    const ids = (this.#ids ??= new PositionMap())
    let id = ids.get(vector)
    if (id === undefined) {
      id = this.#newId()
      ids.set(vector, id)
    }
    this.#lastLocation = vector
    this.#lastId = id
    return id
  }

  /** The id of a location that stands at a position for the first time. */
  #newId(): number {
    const field = this.locationField
    const isPlain = field === Ref.location
    const texts = (isPlain ? this.#plain : this.#compressed) ?? { pool: new TextPool(), ids: new PositionMap() }
    if (isPlain) this.#plain = texts
    else this.#compressed = texts
    // Some writers store a location for each ref anew: the same bytes need not be decoded again.
    this.#room = this.checkRoom(field, this.#room)
    const place = texts.pool.copy(this.bytes(field)!)
    const known = texts.ids.get(place)
    if (known !== undefined) return known
    const { location } = this
    const id = this.#knownId(location) ?? this.locations.push(location) - 1
    texts.ids.set(place, id)
    this.#idsByText?.set(location, id)
    return id
  }

  #knownId(location: string): number | undefined {
    if (this.#compressed === undefined) return undefined
    this.#idsByText ??= new Map(this.locations.map((location, id) => [location, id]))
    return this.#idsByText.get(location)
  }

  /** The row's index. */
  index(): ChunkIndex {
    const index = new Array<number>(this.rank)
    for (let axis = 0; axis < this.rank; axis++) index[axis] = this.coordinate(axis)
    return index
  }

  /** The checksum of a virtual chunk, if there is one. */
  checksum(): Checksum.Checksum | undefined {
    const { etag, lastModified } = this
    if (etag !== undefined) return Checksum.etag(etag)
    return lastModified === 0 ? undefined : Checksum.lastModified(lastModified * 1000)
  }

  /** The indices of the rows from `from` to before `to`. */
  indices(from: number, to: number): Result.Result<ReadonlyArray<ChunkIndex>, FormatError> {
    return attempt(() => {
      const indices: Array<ChunkIndex> = []
      for (let row = from; row < to; row++) {
        this.seek(row)
        indices.push(this.index())
      }
      return indices
    })
  }

  /**
   * The locations of the virtual refs among the rows from `from` to before `to`, or of those whose index is
   * `wanted`. With `distinct`, only those that this cursor has not met before.
   */
  virtualLocations(
    from: number,
    to: number,
    options?: {
      readonly wanted?: ((index: ChunkIndex) => boolean) | undefined
      readonly distinct?: boolean | undefined
    }
  ): Result.Result<ReadonlyArray<string>, FormatError> {
    const { distinct = false, wanted } = options ?? {}
    return attempt(() => {
      const found: Array<string> = []
      let last = -1
      let location = ""
      for (let row = from; row < to; row++) {
        this.seek(row)
        if (this.kind !== "Virtual" || (wanted !== undefined && !wanted(this.index()))) continue
        const known = this.locations.length
        const id = this.locationId()
        if (id !== last) {
          last = id
          location = this.locations[id]!
          if (distinct && id < known) continue
        } else if (distinct) continue
        found.push(location)
        if (wanted !== undefined) continue
        const end = this.#endOfRun(row + 1, to)
        if (!distinct) for (let i = row + 1; i < end; i++) found.push(location)
        row = end - 1
      }
      return found
    })
  }

  /**
   * Of the rows from `row` to before `to`, the first that is not another ref of the location that was asked for last: what
   * `seek` and `locationId` say of each, without going there, for files of many chunks. A row that either would refuse
   * ends the run.
   */
  #endOfRun(row: number, to: number): number {
    const view = this.#view
    const size = this.#size
    const vtable = this.#vtable
    const tableSize = this.#tableSize
    const indexAt = this.#at[Ref.index.slot]!
    const locationAt = this.#at[this.locationField.slot]!
    const location = this.#lastLocation
    for (let element = this.#refs.start + 4 * row; row < to; row++, element += 4) {
      const table = element + view.getUint32(element, true)
      if (table + tableSize > size || table - view.getInt32(table, true) !== vtable) break
      const index = table + indexAt + view.getUint32(table + indexAt, true)
      if (index + 4 > size) break
      const rank = view.getUint32(index, true)
      if (rank > maxRank || 4 * rank > size - index - 4) break
      if (table + locationAt + view.getUint32(table + locationAt, true) !== location) break
    }
    return row
  }

  /** The row as a value. Inline bytes are a view. */
  ref(): ChunkRef.ChunkRef {
    const { kind } = this
    if (kind === "Inline") return ChunkRef.inline(this.bytes(Ref.inline)!)
    const { length, offset } = this
    if (!Number.isSafeInteger(offset + length)) this.fail(Ref.length, "the chunk ends beyond 2^53 - 1 bytes")
    if (kind === "Native") return ChunkRef.native(ObjectId.chunkId(this.chunkId), offset, length)
    return ChunkRef.virtual({ location: this.location, offset, length, checksum: this.checksum() })
  }
}
