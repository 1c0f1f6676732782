/**
 * The fields of a snapshot in the schema. Source: Icechunk spec 2, "Snapshot Files".
 *
 * @since 0.1.0
 */
import * as FlatTable from "../encoding/FlatTable.ts"

/**
 * @category constants
 * @since 0.1.0
 */
export const Root = FlatTable.fields(
  "id",
  "parent_id",
  "nodes",
  "flushed_at",
  "message",
  "metadata",
  "manifest_files",
  "manifest_files_v2",
  "extra"
)
/**
 * @category constants
 * @since 0.1.0
 */
export const Node = FlatTable.fields("id", "path", "user_data", "node_data_type", "node_data", "extra")
/**
 * @category constants
 * @since 0.1.0
 */
export const ArrayData = FlatTable.fields("shape", "dimension_names", "manifests", "shape_v2")
/**
 * @category constants
 * @since 0.1.0
 */
export const DimensionShape = FlatTable.fields("array_length", "num_chunks")
/**
 * @category constants
 * @since 0.1.0
 */
export const DimensionName = FlatTable.fields("name")
/**
 * @category constants
 * @since 0.1.0
 */
export const Ref = FlatTable.fields("object_id", "extents")
/**
 * @category constants
 * @since 0.1.0
 */
export const FileInfo = FlatTable.fields("id", "size_bytes", "num_chunk_refs", "extra")

/**
 * The code of arrays in the union `NodeData`.
 *
 * @category constants
 * @since 0.1.0
 */
export const arrayCode = 1

/**
 * The code of groups in the union `NodeData`.
 *
 * @category constants
 * @since 0.1.0
 */
export const groupCode = 2
