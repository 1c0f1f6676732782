/**
 * Writing chunk manifests, millions of refs at a time.
 *
 * Each ref is a table with its index right behind it; tables of one shape share a vtable, and equal
 * locations and entity tags share their text. Locations are not compressed one by one, for the file is
 * compressed as a whole; those that another writer compressed are kept as they are, with their dictionary.
 *
 * Source: Icechunk spec 2, "Chunk Manifest Files".
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import * as ObjectId from "../values/ObjectId.ts"
import { Kind } from "./ChunkRefColumns.ts"
import * as FlatTable from "./FlatTable.ts"
import { FlatWriter, type Shape, shape } from "./FlatWriter.ts"
import type { FormatError } from "./FormatError.ts"
import { ArrayManifest, type Extents, type Manifest, Root } from "./Manifest.ts"
import { type ManifestRows, Ref } from "./ManifestRows.ts"
import type { MergedRefs } from "./MergedRefs.ts"
import { PositionMap } from "./PositionMap.ts"
import { TextPool } from "./TextPool.ts"

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

/**
 * A manifest that is ready to be compressed and stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encoded {
  readonly payload: Uint8Array
  /** Refs in it. */
  readonly count: number
  /** The smallest box around the refs of each array, in the order of `arrays`; `undefined` where none are. */
  readonly extents: ReadonlyArray<Extents | undefined>
}

/** Largest payload, in bytes: offsets in flatbuffers have 31 bits. */
const maxPayload = 2 ** 31 - 1

/** What Icechunk's reader visits of one manifest at most, where a shared text counts for each ref. */
const maxVisited = 2 ** 31

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

const arrayShape = shape(3, [
  [ArrayManifest.node_id, 8],
  [ArrayManifest.refs, 4],
  [ArrayManifest.extra, 4]
])

const arrayShapeWithoutExtra = shape(3, [
  [ArrayManifest.node_id, 8],
  [ArrayManifest.refs, 4]
])

/** Bytes that Icechunk's reader visits for a ref, besides its index and its texts. */
const visitedPerRef = 96

const roundUp = (size: number, to: number): number => Math.ceil(size / to) * to

/** One manifest while it is written. */
class Encoder {
  readonly pool = new TextPool()
  readonly usedCodes = new Uint8Array(shapes.length)
  /** The dictionary of compressed locations that are kept. */
  readonly dictionary: Uint8Array | undefined
  visited = 0
  readonly #keepsDictionary = new Map<Manifest, boolean>()

  constructor(dictionary: Uint8Array | undefined) {
    this.dictionary = dictionary
  }

  /** Whether compressed locations of a manifest can stay as they are. */
  keeps(manifest: Manifest): boolean {
    const known = this.#keepsDictionary.get(manifest)
    if (known !== undefined) return known
    const keeps = sameBytes(manifest.locationDictionary, this.dictionary)
    this.#keepsDictionary.set(manifest, keeps)
    return keeps
  }
}

const sameBytes = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]))

/** Texts of one manifest that is read, by where they are in it: their place in the pool. */
class BaseTexts {
  readonly rows: ManifestRows
  readonly #encoder: Encoder
  readonly #keeps: boolean
  readonly #places = new PositionMap()
  readonly #decompressed = new PositionMap()

  constructor(rows: ManifestRows, keeps: boolean, encoder: Encoder) {
    this.rows = rows
    this.#keeps = keeps
    this.#encoder = encoder
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

  location(): number {
    const { rows } = this
    if (!rows.has(Ref.compressed_location)) return this.text(Ref.location)
    if (this.#keeps) return this.vector(Ref.compressed_location)
    const position = rows.vector(Ref.compressed_location)
    let place = this.#decompressed.get(position)
    if (place === undefined) {
      place = this.#encoder.pool.text(rows.locations[rows.locationId()]!)
      this.#decompressed.set(position, place)
    }
    return place
  }

  /** A field that has a text, which is checked when it is met first. */
  text(field: FlatTable.Field): number {
    return this.#place(field, true)
  }

  /** A field that has bytes. */
  vector(field: FlatTable.Field): number {
    return this.#place(field, false)
  }

  #place(field: FlatTable.Field, isText: boolean): number {
    const position = this.rows.vector(field)
    let place = this.#places.get(position)
    if (place === undefined) {
      const bytes = this.rows.bytes(field)!
      if (isText) this.rows.text(field, bytes)
      place = this.#encoder.pool.copy(bytes)
      this.#places.set(position, place)
    }
    return place
  }
}

/** The refs of one array, measured and then written. */
class ArrayEncoder {
  readonly node: Uint8Array
  readonly extra: Uint8Array | undefined
  readonly count: number
  /** Bytes of all refs without their vector; a multiple of 8. */
  size = 0
  readonly #encoder: Encoder
  readonly #refs: MergedRefs
  readonly #positions: Uint32Array | undefined
  readonly #bases: ReadonlyArray<BaseTexts>
  /** Places in the pool of the changes' locations and entity tags. */
  readonly #locations = new PositionMap()
  readonly #etags = new PositionMap()
  readonly #from: Array<number>
  readonly #to: Array<number>

  constructor(encoder: Encoder, { positions, refs }: ArrayPart) {
    this.#encoder = encoder
    this.#refs = refs
    this.#positions = positions
    this.count = positions?.length ?? refs.count
    this.node = ObjectId.bytes8(refs.node)
    this.extra = refs.bases.map(({ manifest }) => manifest.arrayExtra(refs.node)).find((extra) => extra !== undefined)
    this.#bases = refs.bases.map(({ manifest, rows }) => new BaseTexts(rows, encoder.keeps(manifest), encoder))
    this.#from = new Array<number>(refs.rank).fill(0xffff_ffff)
    this.#to = new Array<number>(refs.rank).fill(0)
    this.#measure()
  }

  get extents(): Extents {
    return this.#from.map((from, axis) => ({ from, to: this.#to[axis]! }))
  }

  #measure(): void {
    const { rank, rows, sources } = this.#refs
    const { pool, usedCodes } = this.#encoder
    const counts = new Float64Array(shapes.length)
    const positions = this.#positions
    let texts = 0
    for (let i = 0; i < this.count; i++) {
      const position = positions === undefined ? i : positions[i]!
      const row = rows[position]!
      const source = sources === undefined ? 0 : sources[position]!
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
        texts += length
      } else if (code >= virtual) {
        texts += pool.length(base.location())
        if (base.rows.has(Ref.checksum_etag)) texts += pool.length(base.text(Ref.checksum_etag))
      }
      if (base.rows.has(Ref.extra)) texts += pool.length(base.vector(Ref.extra))
    }
    for (let code = 0; code < shapes.length; code++) {
      if (counts[code] === 0) continue
      usedCodes[code] = 1
      this.size += counts[code]! * this.#blockSize(code)
    }
    this.#encoder.visited += texts + this.count * (visitedPerRef + 8 * rank)
  }

  #measureChange(row: number, counts: Float64Array): number {
    const { rank } = this.#refs
    const { checksums, etags, indices, kinds, lengths, locations, targets } = this.#refs.changes!
    const { pool } = this.#encoder
    const kind = kinds[row]!
    counts[codeOfKind[kind]!]!++
    for (let axis = 0; axis < rank; axis++) this.#extend(axis, indices[row * rank + axis]!)
    if (kind === Kind.Inline) {
      this.#addInline(lengths[row]!)
      return lengths[row]!
    }
    if (kind === Kind.Native) return 0
    let texts = pool.length(placeOf(this.#locations, targets[row]!, locations, pool))
    if (kind === Kind.VirtualETag) texts += pool.length(placeOf(this.#etags, checksums[row]!, etags, pool))
    return texts
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

  /** Writes the vector of refs and the refs; `pool` is where the pool will be. */
  write(writer: FlatWriter, vtables: Float64Array, pool: number): number {
    const { rows, sources } = this.#refs
    const vector = writer.vector(this.count, 4)
    writer.align(8, 4)
    const positions = this.#positions
    for (let i = 0; i < this.count; i++) {
      const position = positions === undefined ? i : positions[i]!
      const source = sources === undefined ? 0 : sources[position]!
      writer.refer(vector + 4 + 4 * i, writer.at)
      if (source === 0) this.#writeChange(writer, rows[position]!, vtables, pool)
      else this.#writeBase(writer, this.#bases[source - 1]!, rows[position]!, vtables, pool)
    }
    return vector
  }

  #writeChange(writer: FlatWriter, row: number, vtables: Float64Array, pool: number): void {
    const columns = this.#refs.changes!
    const { rank } = this.#refs
    const { view } = writer
    const kind = columns.kinds[row]!
    const code = codeOfKind[kind]!
    const at = writer.at
    const index = at + shapes[code]!.size
    view.setInt32(at, at - vtables[code]!, true)
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
    writer.refer(at + targetAt, pool + this.#locations.get(target)!)
    const checksum = columns.checksums[row]!
    if (kind === Kind.VirtualETag) writer.refer(at + checksumAt, pool + this.#etags.get(checksum)!)
    else if (kind === Kind.VirtualLastModified) view.setUint32(at + checksumAt, checksum, true)
  }

  #writeInline(writer: FlatWriter, at: number, bytes: Uint8Array): void {
    const start = writer.at
    writer.refer(at + inlineAt, writer.vectorOf(bytes))
    writer.at = start + roundUp(4 + bytes.length, 8)
  }

  #writeBase(writer: FlatWriter, base: BaseTexts, row: number, vtables: Float64Array, pool: number): void {
    const { rank } = this.#refs
    const { rows } = base
    const { view } = writer
    rows.seek(row)
    const code = base.code()
    const at = writer.at
    const { size } = shapes[code]!
    const index = at + size
    view.setInt32(at, at - vtables[code]!, true)
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

const placeOf = (places: PositionMap, id: number, texts: ReadonlyArray<string>, pool: TextPool): number => {
  let place = places.get(id)
  if (place === undefined) {
    place = pool.text(texts[id]!)
    places.set(id, place)
  }
  return place
}

/** The dictionary that most of the refs need. */
const chooseDictionary = (arrays: ReadonlyArray<ArrayPart>): Uint8Array | undefined => {
  let most = 0
  let chosen: Uint8Array | undefined
  for (const { refs } of arrays) {
    for (const { manifest, rows } of refs.bases) {
      if (manifest.locationDictionary === undefined || rows.count <= most) continue
      most = rows.count
      chosen = manifest.locationDictionary
    }
  }
  return chosen
}

/**
 * The payload of a manifest; `undefined` when there are no refs. Fails about a damaged ref of a manifest that
 * refs are taken from. A manifest that would be too large for other readers of Icechunk is a defect: its
 * array has to be split.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (options: {
  readonly id: ObjectId.ManifestId
  /** Each array once. */
  readonly arrays: ReadonlyArray<ArrayPart>
}): Result.Result<Encoded | undefined, FormatError> =>
  FlatTable.attempt(() => {
    const encoder = new Encoder(chooseDictionary(options.arrays))
    const all = options.arrays.map((part) => new ArrayEncoder(encoder, part))
    const arrays = all.filter(({ count }) => count > 0).toSorted((a, b) => compareBytes(a.node, b.node))
    if (arrays.length === 0) return undefined
    const count = arrays.reduce((sum, array) => sum + array.count, 0)
    const usesDictionary = encoder.usedCodes.subarray(compressed).includes(1)
    const dictionary = usesDictionary ? encoder.dictionary : undefined
    const extra = options.arrays
      .flatMap(({ refs }) => refs.bases.map(({ manifest }) => manifest.extra))
      .find((bytes) => bytes !== undefined)

    const extras = arrays.reduce((sum, array) => sum + (array.extra?.length ?? 0) + 8, 0)
    const refsSize = arrays.reduce((sum, array) => sum + 64 + 4 * array.count + array.size, 0)
    const capacity = 1024 + refsSize + encoder.pool.size + extras + (dictionary?.length ?? 0) + (extra?.length ?? 0)
    if (capacity > maxPayload || encoder.visited > maxVisited) {
      throw new RangeError(
        `Manifest \`${options.id}\` would have ${count} refs in ${capacity} bytes, too many for one manifest: split it with \`manifest.splitting\` in the configuration.`
      )
    }

    const writer = new FlatWriter(capacity)
    const vtables = new Float64Array(shapes.length)
    encoder.usedCodes.forEach((used, code) => {
      if (used === 1) vtables[code] = writer.vtable(shapes[code]!)
    })
    const arrayVtable = writer.vtable(arrayShape)
    const arrayVtableWithoutExtra = writer.vtable(arrayShapeWithoutExtra)
    // An algorithm of 0 has to be said, for the default is 1.
    const rootShape = shape(5, [
      [Root.id, 12],
      [Root.arrays, 4],
      ...(dictionary === undefined ? [] : [[Root.location_dictionary, 4] as const]),
      ...(extra === undefined ? [] : [[Root.extra, 4] as const]),
      [Root.compression_algorithm, 1]
    ])
    const root = writer.table(rootShape, writer.vtable(rootShape))
    writer.bytes.set(ObjectId.bytes12(options.id), root + rootShape.at[Root.id.slot]!)
    writer.bytes[root + rootShape.at[Root.compression_algorithm.slot]!] = dictionary === undefined ? 0 : 1
    const vector = writer.vector(arrays.length, 4)
    writer.refer(root + rootShape.at[Root.arrays.slot]!, vector)
    const tables = arrays.map((array, i) => {
      const hasExtra = array.extra !== undefined
      const own = hasExtra ? arrayShape : arrayShapeWithoutExtra
      const table = writer.table(own, hasExtra ? arrayVtable : arrayVtableWithoutExtra)
      writer.refer(vector + 4 + 4 * i, table)
      writer.bytes.set(array.node, table + own.at[ArrayManifest.node_id.slot]!)
      return table
    })

    // Texts lie behind all refs, for references point forward.
    const pool = arrays.reduce((at, array) => endOfRefs(at, array), writer.at)
    arrays.forEach((array, i) => {
      const refs = array.write(writer, vtables, pool)
      writer.refer(tables[i]! + arrayShape.at[ArrayManifest.refs.slot]!, refs)
    })
    writer.at = pool
    writer.bytes.set(encoder.pool.bytes, pool)
    writer.at += encoder.pool.size
    arrays.forEach((array, i) => {
      if (array.extra === undefined) return
      writer.refer(tables[i]! + arrayShape.at[ArrayManifest.extra.slot]!, writer.vectorOf(array.extra))
    })
    if (dictionary !== undefined) {
      writer.refer(root + rootShape.at[Root.location_dictionary.slot]!, writer.vectorOf(dictionary))
    }
    if (extra !== undefined) writer.refer(root + rootShape.at[Root.extra.slot]!, writer.vectorOf(extra))
    return {
      payload: writer.finish(root),
      count,
      extents: all.map((array) => (array.count === 0 ? undefined : array.extents))
    }
  })

/** Where an array's refs end when their vector starts at `at`; as `ArrayEncoder.write` goes. */
const endOfRefs = (at: number, array: ArrayEncoder): number => {
  const refs = roundUp(at, 4) + 4 + 4 * array.count
  return (refs % 8 <= 4 ? refs - (refs % 8) + 4 : refs - (refs % 8) + 12) + array.size
}

const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? 0 : a[at]! - b[at]!
}
