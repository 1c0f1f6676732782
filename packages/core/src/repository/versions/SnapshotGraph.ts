/**
 * All snapshots of a repository as a graph: which descend from which, and which branches and tags are at them. Pure.
 *
 * @since 0.1.0
 */
import type { RepoInfo, SnapshotInfo } from "../../format/RepoInfo.ts"
import * as SnapshotTable from "../../format/SnapshotTable.ts"
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

/** Names by the place of the snapshot that they are at. */
const byPlace = (
  table: SnapshotTable.SnapshotTable,
  refs: ReadonlyMap<string, SnapshotId>
): ReadonlyMap<number, ReadonlyArray<string>> => {
  const names = new Map<number, Array<string>>()
  for (const [name, target] of refs) {
    const place = table.placeOf(target)
    const there = names.get(place)
    if (there === undefined) names.set(place, [name])
    else there.push(name)
  }
  return names
}

/** Which snapshots have which as their parent: all children one after the other, and where those of each start. */
interface Children {
  readonly all: Uint32Array
  readonly starts: Uint32Array
}

const childrenOf = (table: SnapshotTable.SnapshotTable): Children => {
  const { size } = table
  const starts = new Uint32Array(size + 1)
  for (let place = 0; place < size; place++) {
    const parent = table.parentOf(place)
    if (parent >= 0) starts[parent + 1]!++
  }
  for (let place = 0; place < size; place++) starts[place + 1]! += starts[place]!
  const all = new Uint32Array(starts[size]!)
  const next = starts.slice()
  for (let place = 0; place < size; place++) {
    const parent = table.parentOf(place)
    if (parent >= 0) all[next[parent]!++] = place
  }
  return { all, starts }
}

/** Places by their times, newest first, where a snapshot counts as no younger than any that descends from it. */
const inOrder = (table: SnapshotTable.SnapshotTable, { starts }: Children): Uint32Array => {
  const { size } = table
  const places = Uint32Array.from({ length: size }, (_, place) => place)
  const times = Float64Array.from(places, (place) => table.flushedAt(place))
  const depths = new Uint32Array(size)
  const waiting = Uint32Array.from(places, (place) => starts[place + 1]! - starts[place]!)
  const ready = Array.from(places.filter((place) => waiting[place] === 0))
  for (let place = ready.pop(); place !== undefined; place = ready.pop()) {
    const parent = table.parentOf(place)
    if (parent < 0) continue
    times[parent] = Math.min(times[parent]!, times[place]!)
    depths[parent] = Math.max(depths[parent]!, depths[place]! + 1)
    if (--waiting[parent]! === 0) ready.push(parent)
  }
  return places.toSorted((a, b) => times[b]! - times[a]! || depths[a]! - depths[b]! || a - b)
}

/** Which places a branch or tag leads to. */
const reachableFrom = (table: SnapshotTable.SnapshotTable, tips: Iterable<number>): Uint8Array => {
  const reachable = new Uint8Array(table.size)
  for (const tip of tips) {
    for (let place = tip; place >= 0 && reachable[place] === 0; place = table.parentOf(place)) reachable[place] = 1
  }
  return reachable
}

/**
 * The graph, newest first, each snapshot before the one that it was made on, whatever the clocks of their writers said.
 * What is said of a snapshot is made when it is asked for.
 *
 * @category constructors
 * @since 0.1.0
 */
export function* nodes(info: Pick<RepoInfo, "branches" | "tags" | "snapshots">): Generator<GraphNode> {
  const table = SnapshotTable.of(info.snapshots)
  const branches = byPlace(table, info.branches)
  const tags = byPlace(table, info.tags)
  const children = childrenOf(table)
  const reachable = reachableFrom(table, [...branches.keys(), ...tags.keys()])
  for (const place of inOrder(table, children)) {
    yield {
      snapshot: table.infoOf(place),
      children: Array.from(children.all.subarray(children.starts[place], children.starts[place + 1]), (child) =>
        table.idOf(child)
      ),
      branches: branches.get(place) ?? [],
      tags: tags.get(place) ?? [],
      isReachable: reachable[place] === 1
    }
  }
}
