/**
 * What a commit did, for writers that lost a race to compare with.
 *
 * Source: Icechunk spec 2, "Transaction Log Files"; spec 1 has the same tables without moved nodes.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as NodePath from "../values/NodePath.ts"
import * as ObjectId from "../values/ObjectId.ts"
import * as ChunkOrder from "./manifest/ChunkOrder.ts"
import * as FlatTable from "../encoding/FlatTable.ts"
import { FlatWriter, shape } from "../encoding/FlatWriter.ts"
import { FormatError } from "../encoding/FormatError.ts"
import { TextPool } from "../encoding/TextPool.ts"

/**
 * Chunks of one array that were written or deleted.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpdatedChunks {
  readonly node: ObjectId.NodeId
  readonly rank: number
  readonly count: number
  /** `count` times `rank` chunk numbers, row-major, in lexicographic order. */
  readonly coords: Uint32Array
}

/**
 * A node that has another path than in the parent snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface MovedNode {
  readonly from: NodePath.NodePath
  readonly to: NodePath.NodePath
  readonly node: ObjectId.NodeId
  readonly type: "Group" | "Array"
}

/**
 * A transaction log. Ids and arrays are in ascending order, moved nodes in that of their new paths, segment
 * by segment.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransactionLog {
  readonly id: ObjectId.SnapshotId
  readonly newGroups: ReadonlyArray<ObjectId.NodeId>
  readonly newArrays: ReadonlyArray<ObjectId.NodeId>
  readonly deletedGroups: ReadonlyArray<ObjectId.NodeId>
  readonly deletedArrays: ReadonlyArray<ObjectId.NodeId>
  readonly updatedArrays: ReadonlyArray<ObjectId.NodeId>
  readonly updatedGroups: ReadonlyArray<ObjectId.NodeId>
  readonly updatedChunks: ReadonlyArray<UpdatedChunks>
  readonly movedNodes: ReadonlyArray<MovedNode>
  readonly extra: Uint8Array | undefined
}

/**
 * The log of a snapshot that changed nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty = (id: ObjectId.SnapshotId): TransactionLog => ({
  id,
  newGroups: [],
  newArrays: [],
  deletedGroups: [],
  deletedArrays: [],
  updatedArrays: [],
  updatedGroups: [],
  updatedChunks: [],
  movedNodes: [],
  extra: undefined
})

const Root = FlatTable.fields(
  "id",
  "new_groups",
  "new_arrays",
  "deleted_groups",
  "deleted_arrays",
  "updated_arrays",
  "updated_groups",
  "updated_chunks",
  "moved_nodes",
  "extra"
)
const ArrayChunks = FlatTable.fields("node_id", "chunks")
const Chunk = FlatTable.fields("coords")
const Move = FlatTable.fields("from", "to", "node_id", "node_type")

const nodeTypes = ["Group", "Array"] as const

/** In ascending order, whoever wrote the file. */
const decodeIds = (root: FlatTable.FlatTable, field: FlatTable.Field): ReadonlyArray<ObjectId.NodeId> => {
  const vector = root.vector(field, 8)
  return Array.from({ length: vector.length }, (_, i) => ObjectId.nodeId(vector.struct(i))).toSorted(ObjectId.compare)
}

/** As many indices as a payload can hold: those of different chunks do not share their bytes. */
interface Room {
  indices: number
}

const decodeChunks = (payload: Uint8Array, room: Room, table: FlatTable.FlatTable): UpdatedChunks => {
  const vector = table.vector(ArrayChunks.chunks, 4)
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const node = ObjectId.nodeId(table.struct(ArrayChunks.node_id, 8))
  const rank = vector.length === 0 ? 0 : vector.table(0).vector(Chunk.coords, 4).length
  if ((room.indices -= vector.length * (rank + 1)) < 0) {
    table.fail(ArrayChunks.chunks, "it says more than the payload can hold")
  }
  const coords = new Uint32Array(vector.length * rank)
  for (let i = 0; i < vector.length; i++) {
    const start = indexOf(view, vector, i, rank)
    for (let axis = 0; axis < rank; axis++) coords[i * rank + axis] = view.getUint32(start + 4 * axis, true)
  }
  return { node, rank, ...inOrder(coords, rank, vector.length) }
}

/** Where the numbers of a chunk's index start: the checks of FlatTable, without its objects. */
const indexOf = (view: DataView, vector: FlatTable.FlatVector, i: number, rank: number): number => {
  const size = view.byteLength
  const element = vector.start + 4 * i
  const table = element + view.getUint32(element, true)
  if (table + 4 > size) vector.fail(i, "its offset points outside of the payload")
  const vtable = table - view.getInt32(table, true)
  if (vtable < 0 || vtable + 6 > size || view.getUint16(vtable, true) < 6) {
    return vector.fail(i, "its vtable is malformed or without the field", Chunk.coords)
  }
  const offset = view.getUint16(vtable + 4, true)
  const field = table + offset
  if (offset < 4 || field + 4 > size) vector.fail(i, "the field is required and absent", Chunk.coords)
  const coords = field + view.getUint32(field, true)
  if (coords + 4 > size) vector.fail(i, "its offset points outside of the payload", Chunk.coords)
  const length = view.getUint32(coords, true)
  if (length !== rank) vector.fail(i, `it has ${length} dimension(s), the first chunk has ${rank}`, Chunk.coords)
  if (coords + 4 + 4 * rank > size) vector.fail(i, "its elements reach beyond the payload", Chunk.coords)
  return coords + 4
}

/** The indices in ascending order, each once, whoever wrote the file. */
const inOrder = (coords: Uint32Array, rank: number, count: number): Pick<UpdatedChunks, "count" | "coords"> => {
  const rows = ChunkOrder.sort(coords, rank, count)
  let inPlace = rows.length === count
  for (let i = 0; inPlace && i < count; i++) inPlace = rows[i] === i
  if (inPlace) return { count, coords }
  const sorted = new Uint32Array(rows.length * rank)
  rows.forEach((row, i) => sorted.set(coords.subarray(row * rank, (row + 1) * rank), i * rank))
  return { count: rows.length, coords: sorted }
}

const decodePath = (table: FlatTable.FlatTable, field: FlatTable.Field): NodePath.NodePath => {
  const path = NodePath.parse(table.string(field))
  return Result.isSuccess(path) ? path.success : table.fail(field, path.failure)
}

const decodeMove = (table: FlatTable.FlatTable): MovedNode => {
  const code = table.u8(Move.node_type)
  return {
    from: decodePath(table, Move.from),
    to: decodePath(table, Move.to),
    node: ObjectId.nodeId(table.struct(Move.node_id, 8)),
    type: nodeTypes[code] ?? table.fail(Move.node_type, `no type of node has the code ${code}`)
  }
}

/**
 * The transaction log in a payload. `file` is its key, for the error.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  file: string,
  payload: Uint8Array,
  bounds?: FlatTable.Bounds
): Result.Result<TransactionLog, FormatError> =>
  FlatTable.decode(
    file,
    payload,
    (root) => {
      const room: Room = { indices: payload.length / 4 }
      const updatedChunks = root
        .vector(Root.updated_chunks, 4)
        .mapTables((table) => decodeChunks(payload, room, table))
        .toSorted((a, b) => ObjectId.compare(a.node, b.node))
      if (updatedChunks.some(({ node }, i) => node === updatedChunks[i - 1]?.node)) {
        throw new FormatError({ file, field: Root.updated_chunks.name, problem: "an array occurs twice" })
      }
      return {
        id: ObjectId.snapshotId(root.struct(Root.id, 12)),
        newGroups: decodeIds(root, Root.new_groups),
        newArrays: decodeIds(root, Root.new_arrays),
        deletedGroups: decodeIds(root, Root.deleted_groups),
        deletedArrays: decodeIds(root, Root.deleted_arrays),
        updatedArrays: decodeIds(root, Root.updated_arrays),
        updatedGroups: decodeIds(root, Root.updated_groups),
        updatedChunks,
        movedNodes: (root.optionalVector(Root.moved_nodes, 4)?.mapTables(decodeMove) ?? []).toSorted(byNewPath),
        extra: root.optionalCopy(Root.extra)
      }
    },
    bounds
  )

const byNewPath = (a: MovedNode, b: MovedNode): number => NodePath.compareSegments(a.to, b.to)

const rootShape = shape(10, [
  [Root.id, 12],
  [Root.new_groups, 4],
  [Root.new_arrays, 4],
  [Root.deleted_groups, 4],
  [Root.deleted_arrays, 4],
  [Root.updated_arrays, 4],
  [Root.updated_groups, 4],
  [Root.updated_chunks, 4],
  [Root.moved_nodes, 4],
  [Root.extra, 4]
])

const rootShapeWithoutExtra = { ...rootShape, size: rootShape.size - 4, at: rootShape.at.with(Root.extra.slot, 0) }

const arrayShape = shape(2, [
  [ArrayChunks.node_id, 8],
  [ArrayChunks.chunks, 4]
])

const chunkShape = shape(1, [[Chunk.coords, 4]])

const moveShape = shape(4, [
  [Move.from, 4],
  [Move.to, 4],
  [Move.node_id, 8],
  [Move.node_type, 1]
])

/** Flatbuffers have offsets of 31 bits. */
const maxPayload = 2 ** 31 - 1

const chunksSize = ({ count, rank }: UpdatedChunks): number => 64 + count * (chunkShape.size + 8 + 4 * rank)

/**
 * The payload of a transaction log, all lists in order. A payload beyond 2 GiB is a defect.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (log: TransactionLog): Uint8Array => {
  const { extra } = log
  const lists = [
    [Root.new_groups, log.newGroups],
    [Root.new_arrays, log.newArrays],
    [Root.deleted_groups, log.deletedGroups],
    [Root.deleted_arrays, log.deletedArrays],
    [Root.updated_arrays, log.updatedArrays],
    [Root.updated_groups, log.updatedGroups]
  ] as const
  const arrays = log.updatedChunks.toSorted((a, b) => ObjectId.compare(a.node, b.node))
  const paths = new TextPool()
  const moves = log.movedNodes.toSorted(byNewPath).map(({ from, node, to, type }) => ({
    node,
    type,
    from: paths.text(from),
    to: paths.text(to)
  }))
  const capacity =
    1024 +
    lists.reduce((size, [, ids]) => size + 8 + 8 * ids.length, 0) +
    arrays.reduce((size, array) => size + chunksSize(array), 0) +
    moves.length * (moveShape.size + 4) +
    paths.size +
    (extra?.length ?? 0)
  if (capacity > maxPayload) throw new RangeError(`Transaction log \`${log.id}\` would have ${capacity} bytes`)

  const writer = new FlatWriter(capacity)
  const own = extra === undefined ? rootShapeWithoutExtra : rootShape
  const root = writer.table(own, writer.vtable(own))
  const field = ({ slot }: FlatTable.Field): number => root + rootShape.at[slot]!
  writer.bytes.set(ObjectId.bytes12(log.id), field(Root.id))
  for (const [list, ids] of lists) {
    const vector = writer.vector(ids.length, 8)
    writer.refer(field(list), vector)
    ids.toSorted(ObjectId.compare).forEach((id, i) => writer.bytes.set(ObjectId.bytes8(id), vector + 4 + 8 * i))
  }
  writer.refer(field(Root.updated_chunks), writeArrays(writer, arrays))
  const moved = writer.vector(moves.length, 4)
  const moveVtable = writer.vtable(moveShape)
  const tables = moves.map(() => writer.table(moveShape, moveVtable))
  writer.align(4)
  const pool = writer.at
  writer.bytes.set(paths.bytes, pool)
  writer.at += paths.size
  writer.refer(field(Root.moved_nodes), moved)
  moves.forEach(({ from, node, to, type }, i) => {
    const table = tables[i]!
    writer.refer(moved + 4 + 4 * i, table)
    writer.refer(table + moveShape.at[Move.from.slot]!, pool + from)
    writer.refer(table + moveShape.at[Move.to.slot]!, pool + to)
    writer.bytes.set(ObjectId.bytes8(node), table + moveShape.at[Move.node_id.slot]!)
    writer.bytes[table + moveShape.at[Move.node_type.slot]!] = nodeTypes.indexOf(type)
  })
  if (extra !== undefined) writer.refer(field(Root.extra), writer.vectorOf(extra))
  return writer.finish(root)
}

const writeArrays = (writer: FlatWriter, arrays: ReadonlyArray<UpdatedChunks>): number => {
  const vector = writer.vector(arrays.length, 4)
  const arrayVtable = writer.vtable(arrayShape)
  const chunkVtable = writer.vtable(chunkShape)
  arrays.forEach((array, i) => {
    const table = writer.table(arrayShape, arrayVtable)
    writer.refer(vector + 4 + 4 * i, table)
    writer.bytes.set(ObjectId.bytes8(array.node), table + arrayShape.at[ArrayChunks.node_id.slot]!)
    const chunks = writer.vector(array.count, 4)
    writer.refer(table + arrayShape.at[ArrayChunks.chunks.slot]!, chunks)
    writeChunks(writer, array, chunks, chunkVtable)
  })
  return vector
}

/** Each chunk is a table with its index right behind it. All of it are words. */
const writeChunks = (writer: FlatWriter, array: UpdatedChunks, chunks: number, vtable: number): void => {
  const { coords, count, rank } = array
  const { view, words } = writer
  const { size } = chunkShape
  const stride = size + 4 + 4 * rank
  if (words === undefined) {
    for (let i = 0, at = writer.at; i < count; i++, at += stride) {
      view.setUint32(chunks + 4 + 4 * i, at - chunks - 4 - 4 * i, true)
      view.setInt32(at, at - vtable, true)
      view.setUint32(at + 4, size - 4, true)
      view.setUint32(at + size, rank, true)
      for (let axis = 0; axis < rank; axis++) view.setUint32(at + size + 4 + 4 * axis, coords[i * rank + axis]!, true)
    }
  } else {
    let element = (chunks + 4) >>> 2
    let coordinate = 0
    for (let i = 0, at = writer.at; i < count; i++, at += stride) {
      words[element] = at - 4 * element
      element++
      let word = at >>> 2
      words[word] = at - vtable
      words[word + 1] = size - 4
      words[word + 2] = rank
      word += 3
      for (const end = coordinate + rank; coordinate < end; coordinate++) words[word++] = coords[coordinate]!
    }
  }
  writer.at += count * stride
}
