/**
 * A snapshot: all groups and arrays of a repository at one commit, with the manifests that have the
 * arrays' chunk refs.
 *
 * Source: Icechunk spec 2, "Snapshot Files", and spec 1 for files that it wrote.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as NodePath from "../values/NodePath.ts"
import * as ObjectId from "../values/ObjectId.ts"
import type { ManifestId, NodeId, SnapshotId } from "../values/ObjectId.ts"
import * as FlatTable from "../encoding/FlatTable.ts"
import type { FormatError } from "../encoding/FormatError.ts"
import * as Metadata from "./Metadata.ts"
import * as Fields from "./SnapshotFields.ts"
import * as SnapshotWriter from "./SnapshotWriter.ts"

/**
 * A manifest that has refs of an array, and the part of the chunk grid that it covers: chunk numbers for
 * each dimension, `to` exclusive.
 *
 * @category models
 * @since 0.1.0
 */
export interface ManifestRef {
  readonly id: ManifestId
  readonly extents: ReadonlyArray<{ readonly from: number; readonly to: number }>
  /**
   * Why the manifest cannot have refs of the array, when it is so: other clients leave manifests behind when an
   * array gets another number of dimensions. Such a manifest is kept as it is; whoever needs its refs fails.
   */
  readonly problem?: string
}

/**
 * One dimension of an array: its length in elements and its number of chunks. A length beyond 2^53 - 1 is
 * rounded; `exactLength` has it then.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dimension {
  readonly length: number
  readonly numChunks: number
  readonly exactLength?: bigint
}

/**
 * What a node is. There are no dimensions for a scalar. An unnamed dimension is `undefined` among `dimensionNames`.
 *
 * @category models
 * @since 0.1.0
 */
export type NodeData =
  | { readonly _tag: "Group" }
  | {
      readonly _tag: "Array"
      readonly shape: ReadonlyArray<Dimension>
      readonly dimensionNames: ReadonlyArray<string | undefined> | undefined
      readonly manifests: ReadonlyArray<ManifestRef>
    }

/**
 * A group or array. `userData` is its Zarr metadata document, as bytes of JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeSnapshot {
  readonly id: NodeId
  /** As it is in the file: other clients write empty and `.` segments, which no path that a user gives has. */
  readonly path: NodePath.NodePath
  readonly userData: Uint8Array
  readonly data: NodeData
  /** Kept for versions that know what it is. */
  readonly extra: Uint8Array | undefined
}

/**
 * A manifest file, the size of the file in bytes and the number of refs in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ManifestFileInfo {
  readonly id: ManifestId
  readonly sizeBytes: number
  readonly numChunkRefs: number
  readonly extra: Uint8Array | undefined
}

/**
 * A snapshot. Bytes in it are views into the payload that it was decoded from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly id: SnapshotId
  /** Only in files of spec 1; in spec 2 the repo object knows it. */
  readonly parentId: SnapshotId | undefined
  /** By the UTF-8 bytes of their paths. */
  readonly nodes: ReadonlyArray<NodeSnapshot>
  /** Microseconds since 1970. */
  readonly flushedAt: number
  readonly message: string
  readonly metadata: Metadata.Metadata
  readonly manifestFiles: ReadonlyArray<ManifestFileInfo>
  /** Kept for versions that know what it is. */
  readonly extra: Uint8Array | undefined
}

/**
 * The position of the first node whose path is `path` or comes after it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const firstFrom = (snapshot: Snapshot, path: string): number => {
  let low = 0
  let high = snapshot.nodes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (NodePath.compare(snapshot.nodes[middle]!.path, path) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The position after all nodes whose paths start with `prefix`, of which the node at `from` is one. The fewer there are,
 * the fewer steps are taken.
 *
 * @category accessors
 * @since 0.1.0
 */
export const firstWithout = ({ nodes }: Snapshot, prefix: string, from: number): number => {
  let low = from + 1
  let high = nodes.length
  for (let step = 1; low + step < high; step *= 2) {
    if (nodes[low + step]!.path.startsWith(prefix)) low += step + 1
    else high = low + step
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if (nodes[middle]!.path.startsWith(prefix)) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The node at `path`, `undefined` when there is none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (snapshot: Snapshot, path: NodePath.NodePath): NodeSnapshot | undefined => {
  const node = snapshot.nodes[firstFrom(snapshot, path)]
  return node?.path === path ? node : undefined
}

const dimension = (exactLength: bigint, numChunks: number): Dimension => {
  const length = Number(exactLength)
  return Number.isSafeInteger(length) ? { length, numChunks } : { length, numChunks, exactLength }
}

const decodeShape = (table: FlatTable.FlatTable): ReadonlyArray<Dimension> => {
  const shape = table.optionalVector(Fields.ArrayData.shape_v2, 4)
  if (shape !== undefined) {
    return shape.mapTables((one) =>
      dimension(one.exactU64(Fields.DimensionShape.array_length), one.u32(Fields.DimensionShape.num_chunks))
    )
  }
  // Spec 1 has the length of a chunk instead of their number.
  const old = table.vector(Fields.ArrayData.shape, 16)
  return Array.from({ length: old.length }, (_, i) => {
    const length = old.exactU64(i)
    const chunkLength = old.exactU64(i, 8)
    if (chunkLength === 0n && length > 0n) old.fail(i, "chunks of length 0 hold no elements")
    return dimension(length, length === 0n ? 0 : Number((length + chunkLength - 1n) / chunkLength))
  })
}

const decodeManifestRef = (table: FlatTable.FlatTable, grid: ManifestRef["extents"]): ManifestRef => {
  const ranges = table.vector(Fields.Ref.extents, 8)
  const id = ObjectId.manifestId(table.struct(Fields.Ref.object_id, 12))
  // Icechunk's way to say that a manifest is for the whole grid.
  if (ranges.length === 0) return { id, extents: grid }
  const extents: Array<{ from: number; to: number }> = []
  for (let i = 0; i < ranges.length; i++) extents.push({ from: ranges.u32(i), to: ranges.u32(i, 4) })
  if (extents.length !== grid.length) {
    return { id, extents, problem: `it has ${extents.length} dimension(s), the array has ${grid.length}` }
  }
  const reversed = extents.find(({ from, to }) => from > to)
  return reversed === undefined
    ? { id, extents }
    : { id, extents, problem: `it starts at chunk ${reversed.from} and ends before chunk ${reversed.to}` }
}

const group: NodeData = { _tag: "Group" }

const decodeNodeData = (table: FlatTable.FlatTable): NodeData => {
  const code = table.u8(Fields.Node.node_data_type)
  if (code !== Fields.arrayCode && code !== Fields.groupCode) {
    table.fail(Fields.Node.node_data_type, `no type of node has the code ${code}`)
  }
  const data = table.table(Fields.Node.node_data)
  if (code === Fields.groupCode) return group
  const shape = decodeShape(data)
  const grid = shape.map(({ numChunks }) => ({ from: 0, to: numChunks }))
  return {
    _tag: "Array",
    shape,
    dimensionNames: data
      .optionalVector(Fields.ArrayData.dimension_names, 4)
      // As in Icechunk, an empty name is none.
      ?.mapTables((dimension) => dimension.optionalString(Fields.DimensionName.name) || undefined),
    manifests: data.vector(Fields.ArrayData.manifests, 4).mapTables((table) => decodeManifestRef(table, grid))
  }
}

/** Empty and `.` segments are kept as another client wrote them; they name the node in lists, and lead nowhere. */
const decodePath = (table: FlatTable.FlatTable): NodePath.NodePath => {
  const text = table.string(Fields.Node.path)
  const path = NodePath.parse(text)
  if (Result.isSuccess(path)) return path.success
  if (text.startsWith("/") && !text.split("/").includes("..")) return text as NodePath.NodePath
  return table.fail(Fields.Node.path, path.failure)
}

const decodeNode = (table: FlatTable.FlatTable): NodeSnapshot => ({
  id: ObjectId.nodeId(table.struct(Fields.Node.id, 8)),
  path: decodePath(table),
  userData: table.bytes(Fields.Node.user_data),
  data: decodeNodeData(table),
  extra: table.optionalBytes(Fields.Node.extra)
})

/** Sorted by path, whoever wrote the file. */
const decodeNodes = (root: FlatTable.FlatTable): ReadonlyArray<NodeSnapshot> => {
  const vector = root.vector(Fields.Root.nodes, 4)
  const nodes = vector.mapTables(decodeNode)
  const byPath = (a: NodeSnapshot, b: NodeSnapshot) => NodePath.compare(a.path, b.path)
  if (nodes.some((node, i) => i > 0 && byPath(nodes[i - 1]!, node) > 0)) nodes.sort(byPath)
  const twin = nodes.findIndex((node, i) => i > 0 && nodes[i - 1]!.path === node.path)
  if (twin >= 0) root.fail(Fields.Root.nodes, `there are two nodes at \`${nodes[twin]!.path}\``)
  return nodes
}

const decodeManifestFiles = (root: FlatTable.FlatTable): ReadonlyArray<ManifestFileInfo> => {
  const files = root.optionalVector(Fields.Root.manifest_files_v2, 4)
  if (files !== undefined) {
    return files.mapTables((file) => ({
      id: ObjectId.manifestId(file.struct(Fields.FileInfo.id, 12)),
      sizeBytes: file.u64(Fields.FileInfo.size_bytes),
      numChunkRefs: file.u32(Fields.FileInfo.num_chunk_refs),
      extra: file.optionalBytes(Fields.FileInfo.extra)
    }))
  }
  // Structs of spec 1: 12 bytes of id, 4 of padding, 8 and 4 of numbers, 4 of padding.
  const old = root.vector(Fields.Root.manifest_files, 32)
  return Array.from({ length: old.length }, (_, i) => ({
    id: ObjectId.manifestId(old.struct(i, 0, 12)),
    sizeBytes: old.u64(i, 16),
    numChunkRefs: old.u32(i, 24),
    extra: undefined
  }))
}

const headingOf = (file: string, decodeValue: Metadata.DecodeValue, root: FlatTable.FlatTable): Heading => {
  const parentId = root.optionalStruct(Fields.Root.parent_id, 12)
  return {
    id: ObjectId.snapshotId(root.struct(Fields.Root.id, 12)),
    parentId: parentId === undefined ? undefined : ObjectId.snapshotId(parentId),
    flushedAt: root.u64(Fields.Root.flushed_at),
    message: root.string(Fields.Root.message),
    metadata: Metadata.decode(file, Fields.Root.metadata.name, decodeValue, root.vector(Fields.Root.metadata, 4))
  }
}

/**
 * The snapshot in a payload. `file` is its key, for the error; `decodeValue` is what its metadata is decoded with,
 * which the version in its header tells: a repository that was migrated has snapshots of both versions.
 *
 * Fails with `FormatError` also when a path has `..` segments or occurs twice. What only one array cannot be read
 * for is in that array: see `ManifestRef`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  file: string,
  decodeValue: Metadata.DecodeValue,
  payload: Uint8Array,
  bounds?: FlatTable.Bounds
): Result.Result<Snapshot, FormatError> =>
  FlatTable.decode(
    file,
    payload,
    (root) => ({
      ...headingOf(file, decodeValue, root),
      nodes: decodeNodes(root),
      manifestFiles: decodeManifestFiles(root),
      extra: root.optionalBytes(Fields.Root.extra)
    }),
    bounds
  )

/**
 * What a snapshot says of itself: all but its nodes and manifests.
 *
 * @category models
 * @since 0.1.0
 */
export type Heading = Pick<Snapshot, "id" | "parentId" | "flushedAt" | "message" | "metadata">

/**
 * What the snapshot in a payload says of itself, without looking at its nodes. As `decode` otherwise.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeHeading = (
  file: string,
  decodeValue: Metadata.DecodeValue,
  payload: Uint8Array,
  bounds?: FlatTable.Bounds
): Result.Result<Heading, FormatError> =>
  FlatTable.decode(file, payload, (root) => headingOf(file, decodeValue, root), bounds)

/**
 * The payload of a snapshot in spec version 2, nodes by path and manifest files by id, without the parent.
 * A payload beyond 2 GiB is a defect.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode: (snapshot: Snapshot) => Uint8Array = SnapshotWriter.encode
