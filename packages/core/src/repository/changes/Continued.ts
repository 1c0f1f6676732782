/**
 * The changes of a session that goes on from a commit of its own which it did not know of. Pure.
 *
 * @since 0.1.0
 */
import type * as Snapshot from "../../format/Snapshot.ts"
import * as Bytes from "../../values/Bytes.ts"
import type { ManifestId, NodeId } from "../../values/ObjectId.ts"
import type { Node } from "../SnapshotView.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import type * as ChangeSet from "./ChangeSet.ts"

const metadataOf = ({ data, userData }: Node): ChangeSet.NodeMetadata => ({ userData, metadata: data })

/**
 * What has to be changed in `committed`, which has the first of some changes, so that it has all of them. All chunks
 * that were written are among it; those that `committed` has as they are can be settled. `adopted` are the manifests of
 * workers that it has.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onTopOf = (
  changes: ChangedSnapshot,
  committed: Snapshot.Snapshot,
  adopted: ReadonlySet<ManifestId> = new Set()
): ChangedSnapshot => {
  const before = new Map(committed.nodes.map((node) => [node.id, node]))
  const nodes = changes.nodes()
  const ids = new Set(nodes.map(({ id }) => id))
  const existing = nodes.flatMap((node) => {
    const known = before.get(node.id)
    return known === undefined ? [] : [{ known, node }]
  })
  const deleted = committed.nodes
    .filter(({ id }) => !ids.has(id))
    .map(({ data, id, path }) => [id, { path, type: data._tag }] as const)
  const moved = existing
    .filter(({ known, node }) => known.path !== node.path)
    .map(({ known, node }) => [node.id, { from: known.path, to: node.path, type: node.data._tag }] as const)
  const updated = existing
    .filter(({ known, node }) => !Bytes.equals(known.userData, node.userData))
    .map(({ node }): readonly [NodeId, ChangeSet.NodeMetadata] => [node.id, metadataOf(node)])
  return new ChangedSnapshot(committed, {
    created: new Map([...changes.changes.created].filter(([id]) => !before.has(id))),
    deleted: new Map(deleted),
    moved: new Map(moved),
    updated: new Map(updated),
    chunks: changes.changes.chunks,
    adopted: new Map(
      [...changes.changes.adopted].flatMap(([node, manifests]) => {
        const left = manifests.filter(({ id }) => !adopted.has(id))
        return left.length === 0 ? [] : [[node, left] as const]
      })
    )
  })
}
