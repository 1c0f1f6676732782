/**
 * The changes of a session that goes on from a commit of its own which it did not know of. Pure.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type * as Snapshot from "../../format/Snapshot.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import * as ZarrMetadata from "../../values/ZarrMetadata.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"

/**
 * What has to be changed in `committed`, which has the first of some changes, so that it has all of them. All chunks
 * that were written are among it; those that `committed` has as they are can be settled.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onTopOf = (changes: ChangedSnapshot, committed: Snapshot.Snapshot): ChangedSnapshot => {
  const next = new ChangedSnapshot(committed)
  const nodes = changes.nodes()
  const wanted = new Set(nodes.map(({ id }) => id))
  for (const node of committed.nodes) {
    if (!wanted.has(node.id) && next.node(node.path)?.id === node.id) next.delete(node)
  }
  for (const { data, id, path, userData } of nodes) {
    const before = next.node(path)
    // What the session took in once is valid.
    const metadata = Result.getOrThrow(ZarrMetadata.parse(path, userData))
    if (before === undefined) next.create(path, id, userData, metadata)
    else next.setMetadata(before, userData, metadata)
    const from = changes.chunks(id)
    if (from === undefined || data._tag === "Group") continue
    const to = next.chunksForWriting(id, data.shape.length)
    for (const row of from.rowsInOrder()) {
      const index = from.indexAt(row)
      const ref = from.at(row)
      if (ref === "Deleted") to.setDeleted(index)
      else if (ref._tag === "Inline") to.setInline(index, ref.bytes)
      else if (ref._tag === "Native") to.setNative(index, ObjectId.bytes12(ref.id), ref.offset, ref.length)
      else to.setVirtual(index, ref.ref)
    }
  }
  return next
}
