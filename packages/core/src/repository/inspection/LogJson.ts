/**
 * A transaction log as JSON, with the names that Icechunk's own inspection has. Pure.
 *
 * @since 0.1.0
 */
import type { TransactionLog, UpdatedChunks } from "../../format/TransactionLog.ts"
import type { JsonObject } from "../../values/Json.ts"
import type { Budget } from "./Shown.ts"

const chunksJson =
  (budget: Budget) =>
  ({ coords, count, node, rank }: UpdatedChunks): JsonObject => ({
    node_id: node,
    num_chunks: count,
    chunks: Array.from({ length: budget.take("updated_chunks.chunks", count) }, (_, i) =>
      Array.from(coords.subarray(i * rank, (i + 1) * rank))
    )
  })

/**
 * A transaction log.
 *
 * @category formatting
 * @since 0.1.0
 */
export const logJson = (log: TransactionLog, budget: Budget): JsonObject => {
  const ids = (name: string, list: ReadonlyArray<string>) => ({ [name]: budget.list(name, list, (id) => id) })
  return {
    id: log.id,
    ...ids("new_groups", log.newGroups),
    ...ids("new_arrays", log.newArrays),
    ...ids("deleted_groups", log.deletedGroups),
    ...ids("deleted_arrays", log.deletedArrays),
    ...ids("updated_groups", log.updatedGroups),
    ...ids("updated_arrays", log.updatedArrays),
    updated_chunks: budget.list("updated_chunks", log.updatedChunks, chunksJson(budget)),
    moved_nodes: budget.list("moved_nodes", log.movedNodes, ({ from, node, to, type }) => ({
      from,
      to,
      node_id: node,
      node_type: type === "Group" ? "group" : "array"
    })),
    ...(log.extra === undefined ? {} : { extra: budget.bytes(log.extra) })
  }
}
