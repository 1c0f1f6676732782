/**
 * A snapshot as JSON, with the names that Icechunk's own inspection has. Pure.
 *
 * @since 0.1.0
 */
import type { NodeSnapshot, Snapshot } from "../../format/Snapshot.ts"
import type { JsonObject } from "../../values/Json.ts"
import { type Budget, field, time } from "./Shown.ts"

const nodeJson =
  (budget: Budget) =>
  ({ data, extra, id, path, userData }: NodeSnapshot): JsonObject => ({
    id,
    path,
    node_type: data._tag === "Group" ? "group" : "array",
    ...(data._tag === "Group"
      ? {}
      : {
          shape: data.shape.map(({ exactLength, length, numChunks }, i) => ({
            ...field("name", data.dimensionNames?.[i]),
            array_length: exactLength === undefined ? length : String(exactLength),
            num_chunks: numChunks
          })),
          manifest_refs: budget.list("nodes.manifest_refs", data.manifests, ({ extents, id, problem }) => ({
            id,
            extents: extents.map(({ from, to }) => [from, to]),
            ...field("problem", problem)
          }))
        }),
    zarr_metadata: budget.document(userData),
    ...(extra === undefined ? {} : { extra: budget.bytes(extra) })
  })

/**
 * A snapshot.
 *
 * @category formatting
 * @since 0.1.0
 */
export const snapshotJson = (snapshot: Snapshot, budget: Budget): JsonObject => ({
  id: snapshot.id,
  ...field("parent_id", snapshot.parentId),
  flushed_at: time(snapshot.flushedAt),
  commit_message: snapshot.message,
  metadata: budget.json("metadata", snapshot.metadata),
  manifests: budget.list("manifests", snapshot.manifestFiles, ({ extra, id, numChunkRefs, sizeBytes }) => ({
    id,
    size_bytes: sizeBytes,
    num_chunk_refs: numChunkRefs,
    ...(extra === undefined ? {} : { extra: budget.bytes(extra) })
  })),
  num_manifests: snapshot.manifestFiles.length,
  nodes: budget.list("nodes", snapshot.nodes, nodeJson(budget)),
  num_nodes: snapshot.nodes.length,
  ...(snapshot.extra === undefined ? {} : { extra: budget.bytes(snapshot.extra) })
})
