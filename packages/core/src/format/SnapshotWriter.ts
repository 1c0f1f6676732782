/**
 * Writing snapshots, a hundred thousand nodes at a time: measured first, then written from the root to the leaves into one
 * buffer. Tables of a kind share a vtable; all else of a node lies together.
 *
 * @since 0.1.0
 */
import { type FlatWriter, FlatWriter as Writer, type Shape, shape } from "../encoding/FlatWriter.ts"
import * as NodePath from "../values/NodePath.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as Metadata from "./Metadata.ts"
import type { ManifestFileInfo, ManifestRef, NodeData, NodeSnapshot, Snapshot } from "./Snapshot.ts"
import * as Fields from "./SnapshotFields.ts"

type ArrayNodeData = Extract<NodeData, { readonly _tag: "Array" }>

const groupShape = shape(0, [])
const dimensionShape = shape(2, [
  [Fields.DimensionShape.array_length, 8],
  [Fields.DimensionShape.num_chunks, 4]
])
const namedShape = shape(1, [[Fields.DimensionName.name, 4]])
const namelessShape = shape(1, [])
const refShape = shape(2, [
  [Fields.Ref.extents, 4],
  [Fields.Ref.object_id, 12]
])
const itemShape = shape(2, [
  [Metadata.Item.name, 4],
  [Metadata.Item.value, 4]
])

/** A shape with or without one more field at its end. */
const either = (
  slots: number,
  fields: Parameters<typeof shape>[1],
  optional: Parameters<typeof shape>[1][number]
): { readonly with: Shape; readonly without: Shape } => ({
  with: shape(slots, [...fields, optional]),
  without: shape(slots, fields)
})

const nodeShapes = either(
  6,
  [
    [Fields.Node.path, 4],
    [Fields.Node.user_data, 4],
    [Fields.Node.node_data, 4],
    [Fields.Node.id, 8],
    // A byte, and three that keep what follows aligned.
    [Fields.Node.node_data_type, 4]
  ],
  [Fields.Node.extra, 4]
)
const arrayShapes = either(
  4,
  [
    [Fields.ArrayData.shape, 4],
    [Fields.ArrayData.manifests, 4],
    [Fields.ArrayData.shape_v2, 4]
  ],
  [Fields.ArrayData.dimension_names, 4]
)
const fileShapes = either(
  4,
  [
    [Fields.FileInfo.size_bytes, 8],
    [Fields.FileInfo.num_chunk_refs, 4],
    [Fields.FileInfo.id, 12]
  ],
  [Fields.FileInfo.extra, 4]
)
const rootShapes = either(
  9,
  [
    [Fields.Root.flushed_at, 8],
    [Fields.Root.id, 12],
    [Fields.Root.nodes, 4],
    [Fields.Root.message, 4],
    [Fields.Root.metadata, 4],
    [Fields.Root.manifest_files, 4],
    [Fields.Root.manifest_files_v2, 4]
  ],
  [Fields.Root.extra, 4]
)

/** Offsets in flatbuffers have 31 bits. */
const maxPayload = 2 ** 31 - 1

/** Bytes that a text or vector of bytes takes at most, with what aligns it. */
const textRoom = (text: string): number => 12 + 3 * text.length
const bytesRoom = (bytes: Uint8Array | undefined): number => (bytes === undefined ? 0 : 8 + bytes.length)

/** Bytes that a node takes at most, with its place in the vector of nodes. */
const nodeRoom = ({ data, extra, path, userData }: NodeSnapshot): number => {
  let room = 64 + textRoom(path) + bytesRoom(userData) + bytesRoom(extra)
  if (data._tag === "Group") return room
  room += 64 + 32 * data.shape.length
  for (const { extents } of data.manifests) room += 40 + 8 * extents.length
  for (const name of data.dimensionNames ?? []) room += 24 + (name === undefined ? 0 : textRoom(name))
  return room
}

/** One payload. The vtable of a shape is written when the shape is met first, before its table. */
class SnapshotWriter {
  readonly writer: FlatWriter
  readonly #vtables = new Map<Shape, number>()

  constructor(capacity: number) {
    this.writer = new Writer(capacity)
  }

  /** Vtables go before what has to lie together. */
  prepare(shapes: ReadonlyArray<Shape>): void {
    for (const one of shapes) this.#vtables.set(one, this.writer.vtable(one))
  }

  /** Starts a table. Those with a field of 8 bytes are aligned for it. */
  table(of: Shape, wide = false): number {
    if (wide) this.writer.align(8, 4)
    return this.writer.table(of, this.#vtables.get(of)!)
  }

  /** A vector of tables, which `write` writes. */
  tables<A>(values: ReadonlyArray<A>, write: (value: A) => number): number {
    const { writer } = this
    const vector = writer.vector(values.length, 4)
    for (let i = 0; i < values.length; i++) writer.refer(vector + 4 + 4 * i, write(values[i]!))
    return vector
  }

  /** The extents are not those that decoding gave where they were absent, but mean the same. */
  readonly #ref = ({ extents, id }: ManifestRef): number => {
    const { writer } = this
    const table = this.table(refShape)
    ObjectId.write(id, writer.bytes, table + refShape.at[Fields.Ref.object_id.slot]!)
    const ranges = writer.vector(extents.length, 8)
    writer.refer(table + refShape.at[Fields.Ref.extents.slot]!, ranges)
    for (let i = 0; i < extents.length; i++) {
      writer.view.setUint32(ranges + 4 + 8 * i, extents[i]!.from, true)
      writer.view.setUint32(ranges + 8 + 8 * i, extents[i]!.to, true)
    }
    return table
  }

  readonly #dimension = ({ exactLength, length, numChunks }: ArrayNodeData["shape"][number]): number => {
    const { writer } = this
    const table = this.table(dimensionShape, true)
    const at = table + dimensionShape.at[Fields.DimensionShape.array_length.slot]!
    if (exactLength === undefined) writer.u64(at, length)
    else writer.view.setBigUint64(at, exactLength, true)
    writer.view.setUint32(table + dimensionShape.at[Fields.DimensionShape.num_chunks.slot]!, numChunks, true)
    return table
  }

  readonly #dimensionName = (name: string | undefined): number => {
    if (name === undefined) return this.table(namelessShape)
    const table = this.table(namedShape)
    this.writer.refer(table + namedShape.at[Fields.DimensionName.name.slot]!, this.writer.text(name))
    return table
  }

  #array({ dimensionNames, manifests, shape: dimensions }: ArrayNodeData): number {
    const { writer } = this
    const own = dimensionNames === undefined ? arrayShapes.without : arrayShapes.with
    const table = this.table(own)
    writer.refer(table + own.at[Fields.ArrayData.manifests.slot]!, this.tables(manifests, this.#ref))
    if (dimensionNames !== undefined) {
      const names = this.tables(dimensionNames, this.#dimensionName)
      writer.refer(table + own.at[Fields.ArrayData.dimension_names.slot]!, names)
    }
    writer.refer(table + own.at[Fields.ArrayData.shape_v2.slot]!, this.tables(dimensions, this.#dimension))
    // That of spec 1, which must be there.
    writer.align(8, 4)
    writer.refer(table + own.at[Fields.ArrayData.shape.slot]!, writer.vector(0, 16))
    return table
  }

  readonly node = ({ data, extra, id, path, userData }: NodeSnapshot): number => {
    const { writer } = this
    const own = extra === undefined ? nodeShapes.without : nodeShapes.with
    const table = this.table(own)
    ObjectId.write(id, writer.bytes, table + own.at[Fields.Node.id.slot]!)
    writer.bytes[table + own.at[Fields.Node.node_data_type.slot]!] =
      data._tag === "Group" ? Fields.groupCode : Fields.arrayCode
    writer.refer(table + own.at[Fields.Node.path.slot]!, writer.text(path))
    writer.refer(table + own.at[Fields.Node.user_data.slot]!, writer.vectorOf(userData))
    const at = data._tag === "Group" ? this.table(groupShape) : this.#array(data)
    writer.refer(table + own.at[Fields.Node.node_data.slot]!, at)
    if (extra !== undefined) writer.refer(table + own.at[Fields.Node.extra.slot]!, writer.vectorOf(extra))
    return table
  }

  readonly file = ({ extra, id, numChunkRefs, sizeBytes }: ManifestFileInfo): number => {
    const { writer } = this
    const own = extra === undefined ? fileShapes.without : fileShapes.with
    const table = this.table(own, true)
    ObjectId.write(id, writer.bytes, table + own.at[Fields.FileInfo.id.slot]!)
    writer.u64(table + own.at[Fields.FileInfo.size_bytes.slot]!, sizeBytes)
    writer.view.setUint32(table + own.at[Fields.FileInfo.num_chunk_refs.slot]!, numChunkRefs, true)
    if (extra !== undefined) writer.refer(table + own.at[Fields.FileInfo.extra.slot]!, writer.vectorOf(extra))
    return table
  }

  readonly item = ({ name, value }: { readonly name: string; readonly value: Uint8Array }): number => {
    const { writer } = this
    const table = this.table(itemShape)
    writer.refer(table + itemShape.at[Metadata.Item.name.slot]!, writer.text(name))
    writer.refer(table + itemShape.at[Metadata.Item.value.slot]!, writer.vectorOf(value))
    return table
  }
}

const inOrder = <A>(values: ReadonlyArray<A>, compare: (a: A, b: A) => number): ReadonlyArray<A> =>
  values.every((value, i) => i === 0 || compare(values[i - 1]!, value) <= 0) ? values : values.toSorted(compare)

/**
 * As `Snapshot.encode`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (snapshot: Snapshot): Uint8Array => {
  const { extra, message } = snapshot
  const nodes = inOrder(snapshot.nodes, (a, b) => NodePath.compare(a.path, b.path))
  const files = inOrder(snapshot.manifestFiles, (a, b) => ObjectId.compare(a.id, b.id))
  const items = Metadata.items(snapshot.metadata)
  let capacity = 1024 + textRoom(message) + bytesRoom(extra)
  for (const node of nodes) capacity += nodeRoom(node)
  for (const file of files) capacity += 64 + bytesRoom(file.extra)
  for (const { name, value } of items) capacity += 32 + textRoom(name) + bytesRoom(value)

  const snapshotWriter = new SnapshotWriter(capacity)
  const { writer } = snapshotWriter
  const own = extra === undefined ? rootShapes.without : rootShapes.with
  const nodeAndArray = [nodeShapes, arrayShapes, fileShapes].flatMap((one) => [one.with, one.without])
  snapshotWriter.prepare([
    own,
    ...nodeAndArray,
    groupShape,
    dimensionShape,
    namedShape,
    namelessShape,
    refShape,
    itemShape
  ])
  const root = snapshotWriter.table(own, true)
  ObjectId.write(snapshot.id, writer.bytes, root + own.at[Fields.Root.id.slot]!)
  writer.u64(root + own.at[Fields.Root.flushed_at.slot]!, snapshot.flushedAt)
  writer.refer(root + own.at[Fields.Root.message.slot]!, writer.text(message))
  writer.refer(root + own.at[Fields.Root.metadata.slot]!, snapshotWriter.tables(items, snapshotWriter.item))
  // That of spec 1, which must be there.
  writer.align(8, 4)
  writer.refer(root + own.at[Fields.Root.manifest_files.slot]!, writer.vector(0, 32))
  writer.refer(root + own.at[Fields.Root.nodes.slot]!, snapshotWriter.tables(nodes, snapshotWriter.node))
  writer.refer(root + own.at[Fields.Root.manifest_files_v2.slot]!, snapshotWriter.tables(files, snapshotWriter.file))
  if (extra !== undefined) writer.refer(root + own.at[Fields.Root.extra.slot]!, writer.vectorOf(extra))
  if (writer.at > maxPayload) throw new RangeError(`A snapshot of ${nodes.length} nodes takes ${writer.at} bytes`)
  return writer.finish(root)
}
