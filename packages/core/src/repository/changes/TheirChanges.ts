/**
 * What others have committed since a session began, found by comparing two snapshots. Pure. Only which chunks of an array
 * they wrote is not seen so, and taken from their logs.
 *
 * @since 0.1.0
 */
import type * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog, UpdatedChunks } from "../../format/TransactionLog.ts"
import * as Bytes from "../../values/Bytes.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import type { Node } from "../SnapshotView.ts"
import type * as ChangeSet from "./ChangeSet.ts"

/**
 * What others did to the nodes of a snapshot, as far as the snapshots show it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TheirChanges {
  /** Nodes that have another `zarr.json`. */
  readonly updated: ReadonlySet<NodeId>
  /** Arrays with other manifests, whose chunks may have changed. */
  readonly written: ReadonlySet<NodeId>
  /** Nodes that are new, or at another path. */
  readonly placed: ReadonlyArray<Node>
}

const hasSameManifests = (a: Node, b: Node): boolean => {
  const [before, after] = [a, b].map(({ data }) => (data._tag === "Array" ? data.manifests : []))
  return before!.length === after!.length && before!.every(({ id }, i) => id === after![i]!.id)
}

/**
 * Compares two versions node by node: both are in the order of paths.
 *
 * @category constructors
 * @since 0.1.0
 */
export const between = (base: Snapshot.Snapshot, onto: Snapshot.Snapshot): TheirChanges => {
  const updated = new Set<NodeId>()
  const written = new Set<NodeId>()
  const gone = new Map<NodeId, Node>()
  const placed: Array<Node> = []
  const compare = (was: Node, now: Node): void => {
    if (!Bytes.equals(was.userData, now.userData)) updated.add(now.id)
    if (!hasSameManifests(was, now)) written.add(now.id)
  }
  const { nodes: before } = base
  const { nodes: after } = onto
  for (let i = 0, j = 0; i < before.length || j < after.length;) {
    const was = before[i]
    const now = after[j]
    if (was !== undefined && was === now) {
      i++
      j++
      continue
    }
    const order =
      was === undefined ? 1 : now === undefined ? -1 : was.path === now.path ? 0 : NodePath.compare(was.path, now.path)
    if (order === 0 && was!.id === now!.id) compare(was!, now!)
    else {
      if (order <= 0) gone.set(was!.id, was!)
      if (order >= 0) placed.push(now!)
    }
    if (order <= 0) i++
    if (order >= 0) j++
  }
  for (const now of placed) {
    const was = gone.get(now.id)
    if (was !== undefined) compare(was, now)
  }
  return { updated, written, placed }
}

/**
 * Whether the logs are needed to tell which chunks others wrote: only where the session wrote to, or changed, the same
 * arrays. All else two snapshots show.
 *
 * @category decisions
 * @since 0.1.0
 */
export const needsLogs = ({ written }: TheirChanges, changes: ChangeSet.ChangeSet): boolean => {
  const asked = [changes.chunks, changes.adopted, changes.updated, changes.deleted]
  return asked.some((ids) => [...ids.keys()].some((id) => written.has(id)))
}

/**
 * The chunks of the logs, by node: of those with other manifests. What was written and taken away again is nothing, whether
 * or not the logs were read for something else.
 *
 * @category accessors
 * @since 0.1.0
 */
export const chunks = (
  { written }: TheirChanges,
  logs: ReadonlyArray<TransactionLog>
): ReadonlyMap<NodeId, ReadonlyArray<UpdatedChunks>> => {
  const chunks = new Map<NodeId, Array<UpdatedChunks>>()
  for (const { updatedChunks } of logs) {
    for (const one of updatedChunks) {
      if (!written.has(one.node)) continue
      const known = chunks.get(one.node)
      if (known === undefined) chunks.set(one.node, [one])
      else known.push(one)
    }
  }
  return chunks
}
