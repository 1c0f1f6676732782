/**
 * All snapshots of a repository as a graph: which descend from which, and which branches and tags are at them. Pure.
 *
 * @since 0.1.0
 */
import type { RepoInfo, SnapshotInfo } from "../../format/RepoInfo.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"

/**
 * A snapshot with those that were made on top of it, and with the branches and tags that are at it.
 *
 * @category models
 * @since 0.1.0
 */
export interface GraphNode {
  readonly snapshot: SnapshotInfo
  readonly children: ReadonlyArray<SnapshotId>
  readonly branches: ReadonlyArray<string>
  readonly tags: ReadonlyArray<string>
  /** Whether a branch or tag leads to it; others are collected as garbage one day. */
  readonly isReachable: boolean
}

/** Names by the snapshot that they are at. */
const byTarget = (refs: ReadonlyMap<string, SnapshotId>): ReadonlyMap<SnapshotId, ReadonlyArray<string>> => {
  const names = new Map<SnapshotId, Array<string>>()
  for (const [name, target] of refs) {
    const there = names.get(target)
    if (there === undefined) names.set(target, [name])
    else there.push(name)
  }
  return names
}

interface Place {
  readonly id: SnapshotId
  readonly parent: SnapshotId | undefined
  readonly flushedAt: number
}

/**
 * The graph, newest first, each snapshot before the one that it was made on, whatever the clocks of their writers said.
 * What is said of a snapshot is made when it is asked for.
 *
 * @category constructors
 * @since 0.1.0
 */
export function* nodes(info: Pick<RepoInfo, "branches" | "tags" | "snapshots">): Generator<GraphNode> {
  const { branches, snapshots, tags } = info
  const children = new Map<SnapshotId, Array<SnapshotId>>()
  const places = new Map<SnapshotId, Place>()
  for (const { flushedAt, id, parentId } of snapshots.values()) {
    places.set(id, { id, parent: parentId, flushedAt })
    if (parentId === undefined) continue
    const siblings = children.get(parentId)
    if (siblings === undefined) children.set(parentId, [id])
    else siblings.push(id)
  }
  const reachable = new Set<SnapshotId>()
  for (const tip of [...branches.values(), ...tags.values()]) {
    for (let at: SnapshotId | undefined = tip; at !== undefined && !reachable.has(at); at = places.get(at)?.parent) {
      reachable.add(at)
    }
  }
  const branchesAt = byTarget(branches)
  const tagsAt = byTarget(tags)
  // A parent that claims to be younger than a child takes the time of the child.
  for (const id of inOrder(places, children)) {
    yield {
      snapshot: snapshots.get(id)!,
      children: (children.get(id) ?? []).toSorted(ObjectId.compare),
      branches: branchesAt.get(id) ?? [],
      tags: tagsAt.get(id) ?? [],
      isReachable: reachable.has(id)
    }
  }
}

/** Ids by their times, newest first, where a snapshot counts as no younger than any that descends from it. */
const inOrder = (
  places: ReadonlyMap<SnapshotId, Place>,
  children: ReadonlyMap<SnapshotId, ReadonlyArray<SnapshotId>>
): ReadonlyArray<SnapshotId> => {
  const waiting = new Map(Array.from(children, ([id, { length }]) => [id, length]))
  const times = new Map(Array.from(places.values(), ({ flushedAt, id }) => [id, { time: flushedAt, depth: 0 }]))
  const ready = Array.from(places.keys()).filter((id) => !waiting.has(id))
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    const { parent } = places.get(id)!
    if (parent === undefined) continue
    const own = times.get(id)!
    const above = times.get(parent)!
    if (own.time < above.time) above.time = own.time
    above.depth = Math.max(above.depth, own.depth + 1)
    const left = waiting.get(parent)! - 1
    waiting.set(parent, left)
    if (left === 0) ready.push(parent)
  }
  return Array.from(places.keys()).toSorted((a, b) => {
    const [x, y] = [times.get(a)!, times.get(b)!]
    return y.time - x.time || x.depth - y.depth || ObjectId.compare(a, b)
  })
}
