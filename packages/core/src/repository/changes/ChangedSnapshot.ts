/**
 * A snapshot with the changes of a session applied: nodes by path, as the session sees them. What was done is kept apart
 * from it, as a change set; the view of a change set over another snapshot is made in the same way.
 *
 * @since 0.1.0
 */
import type { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as Snapshot from "../../format/Snapshot.ts"
import * as Bytes from "../../values/Bytes.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import type { ZarrMetadata } from "../../values/ZarrMetadata.ts"
import * as SnapshotView from "../SnapshotView.ts"
import type { Node } from "../SnapshotView.ts"
import type { Adopted } from "./Adopted.ts"
import * as ChangeSet from "./ChangeSet.ts"

/**
 * What changed since the session was opened, by path, in the order of paths.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly newGroups: ReadonlyArray<NodePath.NodePath>
  readonly newArrays: ReadonlyArray<NodePath.NodePath>
  readonly updatedGroups: ReadonlyArray<NodePath.NodePath>
  readonly updatedArrays: ReadonlyArray<NodePath.NodePath>
  readonly deletedGroups: ReadonlyArray<NodePath.NodePath>
  readonly deletedArrays: ReadonlyArray<NodePath.NodePath>
  /** Nodes that have another path, those below a group that was moved too, in the order of the new paths. */
  readonly movedNodes: ReadonlyArray<{ readonly from: NodePath.NodePath; readonly to: NodePath.NodePath }>
  /** Chunks that were written or deleted, counted per array. */
  readonly updatedChunks: ReadonlyMap<NodePath.NodePath, number>
}

/**
 * The nodes of a snapshot under a change set, which grows with what is done here. Looking at a path takes as many steps
 * as the path has segments, however many nodes there are.
 *
 * @category models
 * @since 0.1.0
 */
export class ChangedSnapshot implements SnapshotView.SnapshotView {
  readonly base: Snapshot.Snapshot
  readonly #changes: ChangeSet.Draft
  /** Nodes that are not as or not where they are in the base, by the path that they have now. */
  readonly #changed = new Map<NodePath.NodePath, Node>()
  /** Paths directly below a path that lead to changed nodes. */
  readonly #children = new Map<NodePath.NodePath, Set<NodePath.NodePath>>()

  constructor(base: Snapshot.Snapshot, changes: ChangeSet.ChangeSet = ChangeSet.empty) {
    this.base = base
    this.#changes = ChangeSet.draft(changes)
    for (const [id, node] of changes.created) this.#put(withManifests(newNode(id, node), changes.adopted.get(id)))
    if (changes.updated.size + changes.moved.size + changes.adopted.size === 0) return
    for (const node of base.nodes) {
      const updated = changes.updated.get(node.id)
      const moved = changes.moved.get(node.id)
      const adopted = changes.adopted.get(node.id)
      if (updated === undefined && moved === undefined && adopted === undefined) continue
      this.#put(withManifests(withMetadata({ ...node, path: moved?.to ?? node.path }, updated), adopted))
    }
  }

  /** What was done, without the base. */
  get changes(): ChangeSet.ChangeSet {
    return this.#changes
  }

  #put(node: Node): void {
    this.#changed.set(node.path, node)
    for (
      let at = node.path, above = NodePath.parent(at);
      above !== undefined;
      at = above, above = NodePath.parent(at)
    ) {
      const known = this.#children.get(above)
      if (known?.has(at) === true) return
      if (known === undefined) this.#children.set(above, new Set([at]))
      else known.add(at)
    }
  }

  #remove(path: NodePath.NodePath): void {
    this.#changed.delete(path)
    for (let at = path, above = NodePath.parent(at); above !== undefined; at = above, above = NodePath.parent(at)) {
      if (this.#changed.has(at) || this.#children.has(at)) return
      const siblings = this.#children.get(above)
      siblings?.delete(at)
      if (siblings === undefined || siblings.size > 0) return
      this.#children.delete(above)
    }
  }

  /** Whether a node of the base still is at its path there. */
  #isInPlace({ id }: Node): boolean {
    return !this.#changes.deleted.has(id) && !this.#changes.moved.has(id)
  }

  node(path: NodePath.NodePath): Node | undefined {
    const changed = this.#changed.get(path)
    if (changed !== undefined) return changed
    const node = Snapshot.find(this.base, path)
    return node !== undefined && this.#isInPlace(node) ? node : undefined
  }

  /** All nodes, in the order of paths; with `below`, that node and those below it. */
  nodes(below: NodePath.NodePath = NodePath.root): ReadonlyArray<Node> {
    const { deleted, moved } = this.#changes
    const isUnchanged = this.#changed.size === 0 && deleted.size === 0 && moved.size === 0
    // Every path is the root or below it.
    if (isUnchanged && below === NodePath.root) return this.base.nodes
    const found: Array<Node> = []
    for (const node of SnapshotView.nodesFrom(this.base, below)) {
      if (this.#isInPlace(node) && !this.#changed.has(node.path)) found.push(node)
    }
    const unchanged = found.length
    const paths = [below]
    for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
      const node = this.#changed.get(path)
      if (node !== undefined) found.push(node)
      for (const child of this.#children.get(path) ?? []) paths.push(child)
    }
    return found.length === unchanged ? found : found.toSorted((a, b) => NodePath.compare(a.path, b.path))
  }

  /**
   * Names directly below a path of nodes, and of what leads to nodes, in the order of names: as many steps as there are
   * names, and as nodes that were deleted or moved away.
   */
  names(path: NodePath.NodePath): ReadonlyArray<string> {
    const { names } = SnapshotView.namesBelow(this.base, path, (node) => this.#isInPlace(node))
    for (const child of this.#children.get(path) ?? []) names.add(NodePath.name(child))
    return [...names].toSorted(NodePath.compare)
  }

  /** Whether there are nodes below a path. */
  hasBelow(path: NodePath.NodePath): boolean {
    if (this.#children.has(path)) return true
    for (const node of SnapshotView.nodesBelow(this.base, path)) if (this.#isInPlace(node)) return true
    return false
  }

  create(path: NodePath.NodePath, id: NodeId, userData: Uint8Array, metadata: ZarrMetadata): void {
    const node = { path, userData, metadata }
    this.#changes.created.set(id, node)
    this.#put(newNode(id, node))
  }

  /** Replaces a node's metadata; its kind stays. What the base has already is no change. */
  setMetadata(node: Node, userData: Uint8Array, metadata: ZarrMetadata): void {
    const { created, moved, updated } = this.#changes
    const now = { userData, metadata }
    const origin = created.has(node.id) ? undefined : Snapshot.find(this.base, moved.get(node.id)?.from ?? node.path)
    if (origin !== undefined && Bytes.equals(origin.userData, userData)) {
      updated.delete(node.id)
      this.#remove(node.path)
      const adopted = this.#changes.adopted.get(node.id)
      if (moved.has(node.id) || adopted !== undefined) {
        this.#put(withManifests({ ...origin, path: node.path }, adopted))
      }
      return
    }
    if (origin === undefined) created.set(node.id, { path: node.path, ...now })
    else updated.set(node.id, now)
    this.#put(withMetadata(node, now))
  }

  /** Gives a node and those below it other paths. Nothing is at the new one, and it is not below the node. */
  move(node: Node, to: NodePath.NodePath): void {
    const { created, moved } = this.#changes
    for (const one of this.nodes(node.path)) {
      const path = (to + one.path.slice(node.path.length)) as NodePath.NodePath
      const isNew = created.get(one.id)
      const from = moved.get(one.id)?.from ?? one.path
      this.#remove(one.path)
      if (isNew !== undefined) created.set(one.id, { ...isNew, path })
      else if (from === path) moved.delete(one.id)
      else moved.set(one.id, { from, to: path, type: one.data._tag })
      const isOther = this.#changes.updated.has(one.id) || this.#changes.adopted.has(one.id)
      if (isNew !== undefined || from !== path || isOther) this.#put({ ...one, path })
    }
  }

  /** Deletes a node and those below it, with all that was done to them. */
  delete(node: Node): void {
    const { adopted, chunks, created, deleted, moved, updated } = this.#changes
    for (const one of this.nodes(node.path)) {
      this.#remove(one.path)
      chunks.delete(one.id)
      adopted.delete(one.id)
      if (created.delete(one.id)) continue
      deleted.set(one.id, { path: moved.get(one.id)?.from ?? one.path, type: one.data._tag })
      updated.delete(one.id)
      moved.delete(one.id)
    }
  }

  /** The columns of an array's changed chunk refs, `undefined` when none changed. */
  chunks(id: NodeId): ChunkRefColumns | undefined {
    return this.#changes.chunks.get(id)
  }

  /** The same, made on demand, to be written to. */
  chunksForWriting(id: NodeId, make: () => ChunkRefColumns): ChunkRefColumns {
    const known = this.#changes.chunks.get(id)
    if (known !== undefined) return known
    const columns = make()
    this.#changes.chunks.set(id, columns)
    return columns
  }

  /** Replaces the columns of an array's changed chunk refs. */
  setChunks(id: NodeId, columns: ChunkRefColumns | undefined): void {
    if (columns === undefined) this.#changes.chunks.delete(id)
    else this.#changes.chunks.set(id, columns)
  }

  /** Puts manifests before those that an array has; the first of them counts first. */
  adopt(node: Node, manifests: ReadonlyArray<Adopted>): void {
    this.#changes.adopted.set(node.id, [...manifests, ...(this.#changes.adopted.get(node.id) ?? [])])
    this.#put(withManifests(node, manifests))
  }

  status(): Status {
    const { adopted, chunks, created, deleted, moved, updated } = this.#changes
    const sorted = (paths: ReadonlyArray<NodePath.NodePath>): ReadonlyArray<NodePath.NodePath> =>
      paths.toSorted(NodePath.compare)
    const changed = (ids: ReadonlyMap<NodeId, unknown>, type: ChangeSet.NodeType): ReadonlyArray<NodePath.NodePath> =>
      sorted(
        [...this.#changed.values()].filter(({ data, id }) => ids.has(id) && data._tag === type).map(({ path }) => path)
      )
    const gone = (type: ChangeSet.NodeType): ReadonlyArray<NodePath.NodePath> =>
      sorted([...deleted.values()].filter((node) => node.type === type).map(({ path }) => path))
    const updatedChunks = new Map<NodePath.NodePath, number>()
    for (const node of chunks.size + adopted.size === 0 ? [] : this.nodes()) {
      const count = adopted.has(node.id)
        ? ChangeSet.changedChunks(this.#changes, node.id).count
        : (chunks.get(node.id)?.rowsInOrder().length ?? 0)
      if (count > 0) updatedChunks.set(node.path, count)
    }
    return {
      newGroups: changed(created, "Group"),
      newArrays: changed(created, "Array"),
      updatedGroups: changed(updated, "Group"),
      updatedArrays: changed(updated, "Array"),
      deletedGroups: gone("Group"),
      deletedArrays: gone("Array"),
      movedNodes: [...moved.values()]
        .map(({ from, to }) => ({ from, to }))
        .toSorted((a, b) => NodePath.compareSegments(a.to, b.to)),
      updatedChunks
    }
  }
}

const newNode = (id: NodeId, { metadata, path, userData }: ChangeSet.NewNode): Node => ({
  id,
  path,
  userData,
  data: nodeData(metadata, []),
  extra: undefined
})

/** An array with manifests before its own. */
const withManifests = (node: Node, manifests: ReadonlyArray<Adopted> | undefined): Node =>
  manifests === undefined || node.data._tag !== "Array"
    ? node
    : {
        ...node,
        data: {
          ...node.data,
          manifests: [...manifests.map(({ extents, id }) => ({ id, extents })), ...node.data.manifests]
        }
      }

const withMetadata = (node: Node, now: ChangeSet.NodeMetadata | undefined): Node =>
  now === undefined
    ? node
    : {
        ...node,
        userData: now.userData,
        data: nodeData(now.metadata, node.data._tag === "Array" ? node.data.manifests : [])
      }

const nodeData = (metadata: ZarrMetadata, manifests: ReadonlyArray<Snapshot.ManifestRef>): Snapshot.NodeData =>
  metadata._tag === "Group"
    ? { _tag: "Group" }
    : { _tag: "Array", shape: metadata.shape, dimensionNames: metadata.dimensionNames, manifests }
