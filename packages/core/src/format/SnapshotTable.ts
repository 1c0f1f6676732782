/**
 * The snapshots that a repo object lists, by id. There may be a hundred thousand of them, and each commit writes the list
 * anew, so they stay in the bytes of their tables, which are copied as one block, and an object is made of one when it is
 * looked at.
 *
 * @since 0.1.0
 */
import * as ObjectId from "../values/ObjectId.ts"
import type { SnapshotId } from "../values/ObjectId.ts"
import type { FlatBuilder } from "../encoding/FlatBuilder.ts"
import * as FlatTable from "../encoding/FlatTable.ts"
import * as FlatWriter from "../encoding/FlatWriter.ts"
import * as Flexbuffer from "../encoding/Flexbuffer.ts"
import * as Metadata from "./Metadata.ts"

/**
 * What the repo object knows of a snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotInfo {
  readonly id: SnapshotId
  /** Only the first snapshot has none. */
  readonly parentId: SnapshotId | undefined
  /** Microseconds since 1970. */
  readonly flushedAt: number
  readonly message: string
  readonly metadata: Metadata.Metadata
  /** Transaction logs of ancestors that expired between this snapshot and its parent, oldest first. */
  readonly prunedAncestorTxLogs: ReadonlyArray<SnapshotId>
}

const Info = FlatTable.fields("id", "parent_offset", "flushed_at", "message", "metadata", "pruned_ancestor_tx_logs")

const always = [
  [Info.flushed_at, 8],
  [Info.parent_offset, 4],
  [Info.message, 4],
  [Info.metadata, 4]
] as const

/** The two shapes of a table; what has been pruned is said only where something was. */
const plain = FlatWriter.shape(6, [...always, [Info.id, 12]])
const pruned = FlatWriter.shape(6, [...always, [Info.pruned_ancestor_tx_logs, 4], [Info.id, 12]])
const at = {
  flushed: plain.at[Info.flushed_at.slot]!,
  parent: plain.at[Info.parent_offset.slot]!,
  message: plain.at[Info.message.slot]!,
  metadata: plain.at[Info.metadata.slot]!,
  plainId: plain.at[Info.id.slot]!,
  prunedId: pruned.at[Info.id.slot]!,
  pruned: pruned.at[Info.pruned_ancestor_tx_logs.slot]!
} as const

const encoder = new TextEncoder()

/** What is written of a snapshot, but for its parent. */
interface Parts {
  readonly id: Uint8Array
  readonly flushedAt: number
  readonly message: Uint8Array
  readonly metadata: ReadonlyArray<Metadata.Item>
  /** Ids, one after the other. */
  readonly pruned: Uint8Array
}

/** Every block starts with these, at the same places. */
const vtables = (writer: FlatWriter.FlatWriter) => ({
  plain: writer.vtable(plain),
  pruned: writer.vtable(pruned),
  item: writer.vtable(Metadata.itemShape)
})

const plainVtable = vtables(new FlatWriter.FlatWriter(128)).plain

/** Tables that are written one after the other, each with all that it refers to behind it. */
class Block {
  writer: FlatWriter.FlatWriter
  readonly vtables: ReturnType<typeof vtables>

  /** `from`: goes on behind the tables of another block. */
  constructor(capacity: number, from?: Uint8Array) {
    this.writer = new FlatWriter.FlatWriter(Math.max(capacity, from?.length ?? 0))
    this.vtables = vtables(this.writer)
    if (from === undefined) return
    this.writer.bytes.set(from)
    this.writer.at = from.length
  }

  /** Adds a table, and returns where it is. */
  add(parts: Parts): number {
    const size = sizeOf(parts)
    if (this.writer.at + size > this.writer.bytes.length) {
      const larger = new FlatWriter.FlatWriter(2 * (this.writer.at + size))
      larger.bytes.set(this.writer.bytes.subarray(0, this.writer.at))
      larger.at = this.writer.at
      this.writer = larger
    }
    const { vtables, writer } = this
    const isPruned = parts.pruned.length > 0
    const shape = isPruned ? pruned : plain
    writer.align(8, 4)
    const table = writer.table(shape, isPruned ? vtables.pruned : vtables.plain)
    writer.u64(table + at.flushed, parts.flushedAt)
    writer.bytes.set(parts.id, table + (isPruned ? at.prunedId : at.plainId))
    writer.refer(table + at.message, writer.textOf(parts.message))
    writer.refer(table + at.metadata, Metadata.write(writer, vtables.item, parts.metadata))
    if (isPruned) {
      const ids = writer.vector(parts.pruned.length / 12, 12)
      writer.bytes.set(parts.pruned, ids + 4)
      writer.refer(table + at.pruned, ids)
    }
    return table
  }

  /** All that was written, in a buffer of its own size. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.writer.bytes.slice(0, this.writer.at)
  }
}

/** Bytes that a table takes at most, with what lies between its parts. */
const sizeOf = ({ message, metadata, pruned }: Parts): number =>
  metadata.reduce(
    (sum, { name, value }) => sum + 48 + 3 * name.length + value.length,
    96 + message.length + pruned.length
  )

const compare = (a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): number => {
  for (let i = 0; i < 12; i++) {
    const difference = a[aAt + i]! - b[bAt + i]!
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * The snapshots in the order of their ids. What it gives is the caller's.
 *
 * @category models
 * @since 0.1.0
 */
export class SnapshotTable implements ReadonlyMap<SnapshotId, SnapshotInfo> {
  readonly size: number
  /** The tables, whose parents are not filled in. */
  readonly #block: Uint8Array<ArrayBuffer>
  /** Where the table of each snapshot is in the block. */
  readonly #tables: Uint32Array
  /** Which snapshot is the parent of each, or -1. */
  readonly #parents: Int32Array
  readonly #view: DataView<ArrayBuffer>

  constructor(block: Uint8Array<ArrayBuffer>, tables: Uint32Array, parents: Int32Array) {
    this.size = tables.length
    this.#block = block
    this.#tables = tables
    this.#parents = parents
    this.#view = new DataView(block.buffer)
  }

  /** Bytes that the list takes in memory. */
  get byteLength(): number {
    return this.#block.length + this.#tables.byteLength + this.#parents.byteLength
  }

  #isPlain(table: number): boolean {
    return table - this.#view.getInt32(table, true) === plainVtable
  }

  #idAt(place: number): number {
    const table = this.#tables[place]!
    return table + (this.#isPlain(table) ? at.plainId : at.prunedId)
  }

  /** The position of what the field at a position refers to. */
  #follow(position: number): number {
    return position + this.#view.getUint32(position, true)
  }

  /** The place of the first snapshot whose id is not before this one. */
  #firstFrom(id: Uint8Array): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compare(this.#block, this.#idAt(middle), id, 0) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The place of a snapshot, or -1. */
  placeOf(id: SnapshotId): number {
    const bytes = ObjectId.bytes12(id)
    const place = this.#firstFrom(bytes)
    return place < this.size && compare(this.#block, this.#idAt(place), bytes, 0) === 0 ? place : -1
  }

  /** The id of the snapshot at a place. */
  idOf(place: number): SnapshotId {
    return ObjectId.snapshotIdAt(this.#block, this.#idAt(place))
  }

  /** When the snapshot at a place was written, in microseconds since 1970. */
  flushedAt(place: number): number {
    const position = this.#tables[place]! + at.flushed
    return this.#view.getUint32(position + 4, true) * 2 ** 32 + this.#view.getUint32(position, true)
  }

  /** The place of the parent of the snapshot at a place, or -1. */
  parentOf(place: number): number {
    return this.#parents[place]!
  }

  /** The snapshot at a place. */
  infoOf(place: number): SnapshotInfo {
    return this.#info(place, this.idOf(place), this.#parentId(place))
  }

  #info(place: number, id: SnapshotId, parentId: SnapshotId | undefined): SnapshotInfo {
    const table = this.#tables[place]!
    const message = this.#follow(table + at.message)
    const metadata = this.#follow(table + at.metadata)
    return {
      id,
      parentId,
      flushedAt: this.flushedAt(place),
      message: FlatTable.text(this.#block, message + 4, this.#view.getUint32(message, true)),
      metadata: this.#view.getUint32(metadata, true) === 0 ? {} : Metadata.at(this.#block, metadata),
      prunedAncestorTxLogs: this.#isPlain(table) ? [] : this.#ids(this.#follow(table + at.pruned))
    }
  }

  #ids(vector: number): ReadonlyArray<SnapshotId> {
    return Array.from({ length: this.#view.getUint32(vector, true) }, (_, i) =>
      ObjectId.snapshotIdAt(this.#block, vector + 4 + 12 * i)
    )
  }

  #parentId(place: number): SnapshotId | undefined {
    const parent = this.#parents[place]!
    return parent < 0 ? undefined : this.idOf(parent)
  }

  has(id: SnapshotId): boolean {
    return this.placeOf(id) >= 0
  }

  get(id: SnapshotId): SnapshotInfo | undefined {
    const place = this.placeOf(id)
    return place < 0 ? undefined : this.infoOf(place)
  }

  /** A snapshot and those before it, newest first; none when there is no such snapshot. */
  *ancestors(id: SnapshotId): Generator<SnapshotInfo> {
    let place = this.placeOf(id)
    let own = place < 0 ? undefined : this.idOf(place)
    while (own !== undefined) {
      const parentId = this.#parentId(place)
      yield this.#info(place, own, parentId)
      place = this.#parents[place]!
      own = parentId
    }
  }

  *keys(): MapIterator<SnapshotId> {
    for (let place = 0; place < this.size; place++) yield this.idOf(place)
  }

  *values(): MapIterator<SnapshotInfo> {
    for (let place = 0; place < this.size; place++) yield this.infoOf(place)
  }

  *entries(): MapIterator<[SnapshotId, SnapshotInfo]> {
    for (const info of this.values()) yield [info.id, info]
  }

  [Symbol.iterator](): MapIterator<[SnapshotId, SnapshotInfo]> {
    return this.entries()
  }

  forEach(callback: (info: SnapshotInfo, id: SnapshotId, map: ReadonlyMap<SnapshotId, SnapshotInfo>) => void): void {
    for (const info of this.values()) callback(info, info.id, this)
  }

  /** The list with another snapshot, which is not in it, and descends from one that is. */
  inserted(parts: Parts, parentId: SnapshotId | undefined): SnapshotTable {
    const place = this.#firstFrom(parts.id)
    const block = new Block(this.#block.length + sizeOf(parts), this.#block)
    const tables = new Uint32Array(this.size + 1)
    tables.set(this.#tables.subarray(0, place))
    tables[place] = block.add(parts)
    tables.set(this.#tables.subarray(place), place + 1)
    const parents = new Int32Array(this.size + 1)
    const moved = (parent: number): number => (parent < place ? parent : parent + 1)
    for (let i = 0; i < this.size; i++) parents[i < place ? i : i + 1] = moved(this.#parents[i]!)
    parents[place] = parentId === undefined ? -1 : moved(known(parentId, this.placeOf(parentId)))
    return new SnapshotTable(block.bytes(), tables, parents)
  }

  /** Writes the list, as a vector. */
  encode(builder: FlatBuilder): number {
    // The vector is in front of the tables, which are moved as a whole, so that what they refer to is where it was.
    const start = 8 * Math.ceil((4 + 4 * this.size) / 8)
    const bytes = new Uint8Array(start + this.#block.length)
    bytes.set(this.#block, start)
    const view = new DataView(bytes.buffer)
    const vector = start - 4 * this.size - 4
    view.setUint32(vector, this.size, true)
    for (let place = 0; place < this.size; place++) {
      const table = start + this.#tables[place]!
      const element = vector + 4 + 4 * place
      view.setUint32(element, table - element, true)
      view.setInt32(table + at.parent, this.#parents[place]!, true)
    }
    return builder.block(bytes) - vector
  }
}

const known = (id: SnapshotId, place: number): number => {
  if (place < 0) throw new TypeError(`Snapshot ${id} is not among the snapshots of the repo object`)
  return place
}

const partsOf = (info: SnapshotInfo): Parts => ({
  id: ObjectId.bytes12(info.id),
  flushedAt: info.flushedAt,
  message: encoder.encode(info.message),
  metadata: Metadata.items(info.metadata),
  pruned: Uint8Array.from(info.prunedAncestorTxLogs.flatMap((id) => Array.from(ObjectId.bytes12(id))))
})

/**
 * The table of these snapshots: the same one when it is one. A parent that is not among them is a defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>): SnapshotTable => {
  if (snapshots instanceof SnapshotTable) return snapshots
  const infos = Array.from(snapshots.values()).toSorted((a, b) => ObjectId.compare(a.id, b.id))
  const places = new Map(infos.map(({ id }, place) => [id, place]))
  const block = new Block(128 + 128 * infos.length)
  const tables = Uint32Array.from(infos, (info) => block.add(partsOf(info)))
  const parents = Int32Array.from(infos, ({ parentId }) =>
    parentId === undefined ? -1 : known(parentId, places.get(parentId) ?? -1)
  )
  return new SnapshotTable(block.bytes(), tables, parents)
}

/**
 * The snapshots with another one. A parent that is not among them is a defect.
 *
 * @category combinators
 * @since 0.1.0
 */
export const including = (snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>, info: SnapshotInfo): SnapshotTable =>
  of(snapshots).inserted(partsOf(info), info.parentId)

/**
 * A snapshot and those before it, newest first, each made when it is asked for; none when there is no such snapshot.
 *
 * @category accessors
 * @since 0.1.0
 */
export function* ancestors(snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>, id: SnapshotId): Generator<SnapshotInfo> {
  if (snapshots instanceof SnapshotTable) return yield* snapshots.ancestors(id)
  for (let info = snapshots.get(id); info !== undefined; info = info.parentId && snapshots.get(info.parentId)) {
    yield info
  }
}

/**
 * A snapshot and those before it, newest first; none when there is no such snapshot.
 *
 * @category accessors
 * @since 0.1.0
 */
export const ancestry = (
  snapshots: ReadonlyMap<SnapshotId, SnapshotInfo>,
  id: SnapshotId
): ReadonlyArray<SnapshotInfo> => Array.from(ancestors(snapshots, id))

/** An index from which following parents never ends. */
const findLoop = (parents: Int32Array): number | undefined => {
  // For each snapshot, the walk that came along first; a walk that meets itself is in a loop.
  const walks = new Int32Array(parents.length)
  for (let start = 0; start < parents.length; start++) {
    let at = start
    while (at >= 0 && walks[at] === 0) {
      walks[at] = start + 1
      at = parents[at]!
    }
    if (at >= 0 && walks[at] === start + 1) return at
  }
  return undefined
}

const noBytes = new Uint8Array(0)

/**
 * A table, and what snapshot a file means by the number that it has there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoded {
  readonly snapshots: SnapshotTable
  readonly numbered: (index: number) => SnapshotId | undefined
}

/**
 * The snapshots in a field of a repo object, checked as a whole. Throws a `FormatError`, as the methods of `FlatTable`
 * do, also when an id occurs twice, when a parent is not in the list, and when a snapshot descends from itself.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (file: string, root: FlatTable.FlatTable, field: FlatTable.Field): Decoded => {
  const vector = root.vector(field, 4)
  const { length } = vector
  const block = new Block(4096)
  const tables = new Uint32Array(length)
  const parents = new Int32Array(length)
  let isSorted = true
  let before: Uint8Array = noBytes
  for (let i = 0; i < length; i++) {
    const table = vector.table(i)
    const id = table.struct(Info.id, 12)
    const order = i === 0 ? 1 : compare(id, 0, before, 0)
    if (order === 0) table.fail(Info.id, sameId)
    if (order < 0) isSorted = false
    before = id
    const parent = table.i32(Info.parent_offset)
    if (parent < -1 || parent >= length) {
      table.fail(Info.parent_offset, `it is ${parent}, there are ${length} snapshots`)
    }
    parents[i] = parent
    const metadata = table.optionalVector(Info.metadata, 4)
    tables[i] = block.add({
      id,
      flushedAt: table.u64(Info.flushed_at),
      message: table.text(Info.message),
      metadata:
        metadata === undefined || metadata.length === 0
          ? []
          : Metadata.origin(Metadata.decode(file, `${field.name}[${i}].metadata`, Flexbuffer.decode, metadata)),
      pruned: table.optionalVector(Info.pruned_ancestor_tx_logs, 12)?.bytes() ?? noBytes
    })
  }
  const loop = findLoop(parents)
  if (loop !== undefined) vector.fail(loop, "the snapshot descends from itself", Info.parent_offset)
  const listed = new SnapshotTable(block.bytes(), tables, parents)
  if (isSorted) return { snapshots: listed, numbered: (index) => (index < length ? listed.idOf(index) : undefined) }
  const ids = Array.from(listed.keys())
  const order = Uint32Array.from(ids.keys()).toSorted((a, b) => ObjectId.compare(ids[a]!, ids[b]!))
  const twin = order.findIndex((index, place) => place > 0 && ids[index] === ids[order[place - 1]!])
  if (twin > 0) vector.fail(Math.max(order[twin]!, order[twin - 1]!), sameId, Info.id)
  const places = new Int32Array(length)
  for (const [place, index] of order.entries()) places[index] = place
  const sorted = new SnapshotTable(
    block.bytes(),
    Uint32Array.from(order, (index) => tables[index]!),
    Int32Array.from(order, (index) => (parents[index]! < 0 ? -1 : places[parents[index]!]!))
  )
  return { snapshots: sorted, numbered: (index) => ids[index] }
}

const sameId = "another snapshot has the same id"
