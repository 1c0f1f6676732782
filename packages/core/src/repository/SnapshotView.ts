/**
 * What reads look at of a version: its nodes by path, and the chunk refs that were changed. A version that nobody changes is
 * looked at as it was read; how a session sees one that it changes is `ChangedSnapshot`, which pages that only read do not
 * load.
 *
 * @since 0.1.0
 */
import type { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import * as Snapshot from "../format/Snapshot.ts"
import * as NodePath from "../values/NodePath.ts"
import type { NodeId } from "../values/ObjectId.ts"

/**
 * A group or array as a session sees it.
 *
 * @category models
 * @since 0.1.0
 */
export type Node = Snapshot.NodeSnapshot

/**
 * A version as a session sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotView {
  readonly base: Snapshot.Snapshot
  readonly node: (path: NodePath.NodePath) => Node | undefined
  /** All nodes, in the order of paths; with `below`, that node and those below it. */
  readonly nodes: (below?: NodePath.NodePath) => ReadonlyArray<Node>
  /** Names directly below a path of nodes, and of what leads to nodes, in the order of names. */
  readonly names: (path: NodePath.NodePath) => ReadonlyArray<string>
  /** The columns of an array's changed chunk refs, `undefined` when none changed. */
  readonly chunks: (id: NodeId) => ChunkRefColumns | undefined
}

/**
 * The nodes below a path, in the order of paths.
 *
 * @category accessors
 * @since 0.1.0
 */
export function* nodesBelow(base: Snapshot.Snapshot, path: NodePath.NodePath): Generator<Node> {
  const prefix = path === NodePath.root ? "/" : `${path}/`
  const { nodes } = base
  for (let i = Snapshot.firstFrom(base, prefix); i < nodes.length; i++) {
    const node = nodes[i]!
    if (!node.path.startsWith(prefix)) return
    if (node.path !== path) yield node
  }
}

/**
 * The node at a path, and those below it.
 *
 * @category accessors
 * @since 0.1.0
 */
export function* nodesFrom(base: Snapshot.Snapshot, path: NodePath.NodePath): Generator<Node> {
  const node = Snapshot.find(base, path)
  if (node !== undefined) yield node
  yield* nodesBelow(base, path)
}

/**
 * Names directly below a path of nodes that are there, and of what leads to them: as many steps as there are names, and as
 * nodes that are not there.
 *
 * @category accessors
 * @since 0.1.0
 */
export const namesBelow = (
  base: Snapshot.Snapshot,
  path: NodePath.NodePath,
  isThere: (node: Node) => boolean
): { readonly names: Set<string>; readonly isSorted: boolean } => {
  const prefix = path === NodePath.root ? "/" : `${path}/`
  const { nodes } = base
  const names = new Set<string>()
  // The names of nodes are in the order of their paths. A name that only leads to nodes may come too late: `a/b` is after `a-`.
  let isSorted = true
  for (let i = Snapshot.firstFrom(base, prefix); i < nodes.length;) {
    const node = nodes[i]!
    if (!node.path.startsWith(prefix)) break
    const end = node.path.indexOf("/", prefix.length)
    if (node.path === path || !isThere(node)) i++
    else if (end < 0) {
      names.add(node.path.slice(prefix.length))
      i++
    } else {
      const name = node.path.slice(prefix.length, end)
      if (!names.has(name)) {
        names.add(name)
        isSorted = false
      }
      i = Snapshot.firstWithout(base, node.path.slice(0, end + 1), i)
    }
  }
  return { names, isSorted }
}

/**
 * A version that nobody changes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unchanged = (base: Snapshot.Snapshot): SnapshotView => ({
  base,
  node: (path) => Snapshot.find(base, path),
  // Every path is the root or below it.
  nodes: (below = NodePath.root) => (below === NodePath.root ? base.nodes : [...nodesFrom(base, below)]),
  names: (path) => {
    const { isSorted, names } = namesBelow(base, path, () => true)
    return isSorted ? [...names] : [...names].toSorted(NodePath.compare)
  },
  chunks: () => undefined
})
