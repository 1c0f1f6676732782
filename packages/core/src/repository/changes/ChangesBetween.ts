/**
 * What a commit did, as a change set: from the snapshot before it, its own snapshot and its transaction log. A change set
 * keeps the ids of nodes, so that it can be put on another snapshot that has these nodes. Pure.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import { attempt } from "../../encoding/Attempt.ts"
import { FormatError } from "../../encoding/FormatError.ts"
import { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as EffectiveRows from "../../format/manifest/EffectiveRows.ts"
import type { Manifest } from "../../format/manifest/Manifest.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog, UpdatedChunks } from "../../format/TransactionLog.ts"
import * as Bytes from "../../values/Bytes.ts"
import type { ManifestId, NodeId } from "../../values/ObjectId.ts"
import { type ArrayNode, gridShape } from "../ChunkReads.ts"
import * as Layout from "../Layout.ts"
import type { Node } from "../SnapshotView.ts"
import * as ChangeSet from "./ChangeSet.ts"

/**
 * Two snapshots, and the logs of what was committed after the first up to the second, oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Versions {
  readonly base: Snapshot.Snapshot
  readonly next: Snapshot.Snapshot
  readonly logs: ReadonlyArray<TransactionLog>
}

/** An array of `next` whose refs are asked for: all of them when it is new, else those of the logs. */
interface Asked {
  readonly array: ArrayNode
  readonly written: "all" | ReadonlyArray<UpdatedChunks>
}

const askedOf = ({ base, logs, next }: Versions): ReadonlyArray<Asked> => {
  const before = new Set<NodeId>()
  for (const { id } of base.nodes) before.add(id)
  const written = new Map<NodeId, Array<UpdatedChunks>>()
  for (const { updatedChunks } of logs) {
    for (const one of updatedChunks) {
      if (one.count === 0) continue
      const known = written.get(one.node)
      if (known === undefined) written.set(one.node, [one])
      else known.push(one)
    }
  }
  return next.nodes
    .filter((node): node is ArrayNode => node.data._tag === "Array")
    .flatMap((array): ReadonlyArray<Asked> => {
      if (!before.has(array.id)) return [{ array, written: "all" }]
      const indices = written.get(array.id)
      return indices === undefined ? [] : [{ array, written: indices }]
    })
}

const meets = ({ coords, count, rank }: UpdatedChunks, box: Snapshot.ManifestRef["extents"]): boolean => {
  for (let i = 0; i < count; i++) if (EffectiveRows.isWithin(coords, i * rank, box)) return true
  return false
}

/** The manifests that may have the refs, the first one first. */
const manifestsOf = ({ array, written }: Asked): ReadonlyArray<Snapshot.ManifestRef> =>
  array.data.manifests.filter(
    ({ extents, problem }) =>
      problem === undefined && (written === "all" || written.some((chunks) => meets(chunks, extents)))
  )

/**
 * The manifests of `next` that `changesBetween` needs.
 *
 * @category decisions
 * @since 0.1.0
 */
export const manifestsNeeded = (versions: Versions): ReadonlyArray<ManifestId> => [
  ...new Set(askedOf(versions).flatMap((asked) => manifestsOf(asked).map(({ id }) => id)))
]

const refsOf = (
  asked: Asked,
  manifestOf: (id: ManifestId) => Manifest,
  logs: ReadonlyArray<TransactionLog>
): ChunkRefColumns => {
  const { array, written } = asked
  const { id, data } = array
  const grid = gridShape(data)
  const whole = grid.map((to) => ({ from: 0, to }))
  const columns = new ChunkRefColumns(grid.length)
  const manifests = manifestsOf(asked)
  if (written === "all") {
    // Of refs of one index the first manifest's counts, and of rows the last one.
    for (const { extents, id: manifest } of manifests.toReversed()) {
      const rows = manifestOf(manifest).rows(id)
      if (rows === undefined) continue
      for (let row = 0; row < rows.count; row++) {
        rows.seek(row)
        rows.checkRank(grid.length)
        const index = rows.index()
        if (EffectiveRows.isWithin(index, 0, extents) && EffectiveRows.isWithin(index, 0, whole))
          columns.set(index, rows.ref())
      }
    }
    return columns
  }
  for (const { coords, count, rank } of written) {
    if (rank !== grid.length) {
      const file = Layout.transaction(logs.at(-1)!.id)
      const problem = `array \`${array.path}\` has ${grid.length} dimensions, its chunks here ${rank}`
      throw new FormatError({ file, field: "updated_chunks", problem })
    }
    const found = new Uint8Array(count)
    for (const { extents, id: manifest } of manifests) {
      const refs = manifestOf(manifest)
      for (let i = 0; i < count; i++) {
        if (
          found[i] === 1 ||
          !EffectiveRows.isWithin(coords, i * rank, extents) ||
          !EffectiveRows.isWithin(coords, i * rank, whole)
        )
          continue
        const index = Array.from(coords.subarray(i * rank, (i + 1) * rank))
        const ref = refs.get(id, index)
        if (ref._tag === "Failure") throw ref.failure
        if (ref.success === undefined) continue
        columns.set(index, ref.success)
        found[i] = 1
      }
    }
    for (let i = 0; i < count; i++) {
      if (found[i] === 0 && EffectiveRows.isWithin(coords, i * rank, whole)) {
        columns.setDeleted(Array.from(coords.subarray(i * rank, (i + 1) * rank)))
      }
    }
  }
  return columns
}

const metadataOf = ({ data, userData }: Node): ChangeSet.NodeMetadata => ({ userData, metadata: data })

/**
 * The changes that make `next` of `base`. `manifestOf` has the manifests that `manifestsNeeded` names. Fails about a
 * damaged ref of one of them, and about a log that does not fit its snapshot.
 *
 * @category decisions
 * @since 0.1.0
 */
export const changesBetween = (
  versions: Versions,
  manifestOf: (id: ManifestId) => Manifest
): Result.Result<ChangeSet.ChangeSet, FormatError> =>
  attempt(() => {
    const { base, logs, next } = versions
    const before = new Map(base.nodes.map((node) => [node.id, node]))
    const ids = new Set(next.nodes.map(({ id }) => id))
    const created = new Map<NodeId, ChangeSet.NewNode>()
    const moved = new Map<
      NodeId,
      { readonly from: Node["path"]; readonly to: Node["path"]; readonly type: ChangeSet.NodeType }
    >()
    const updated = new Map<NodeId, ChangeSet.NodeMetadata>()
    for (const node of next.nodes) {
      const was = before.get(node.id)
      if (was === undefined) {
        created.set(node.id, { path: node.path, ...metadataOf(node) })
        continue
      }
      if (was.path !== node.path) moved.set(node.id, { from: was.path, to: node.path, type: node.data._tag })
      if (!Bytes.equals(was.userData, node.userData)) updated.set(node.id, metadataOf(node))
    }
    const deleted = new Map(
      base.nodes.filter(({ id }) => !ids.has(id)).map(({ data, id, path }) => [id, { path, type: data._tag }])
    )
    const chunks = new Map<NodeId, ChunkRefColumns>()
    for (const asked of askedOf(versions)) {
      const columns = refsOf(asked, manifestOf, logs)
      if (columns.size > 0) chunks.set(asked.array.id, columns)
    }
    return { ...ChangeSet.empty, created, deleted, moved, updated, chunks }
  })
