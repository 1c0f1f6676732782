/**
 * What a session has changed and not committed: nodes by path, chunk refs in columns by node.
 *
 * @since 0.1.0
 */
import { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as Snapshot from "../../format/Snapshot.ts"
import * as NodePath from "../../values/NodePath.ts"
import type { NodeId } from "../../values/ObjectId.ts"
import type { ZarrMetadata } from "../../values/ZarrMetadata.ts"

/**
 * A group or array as a session sees it.
 *
 * @category models
 * @since 0.1.0
 */
export type Node = Snapshot.NodeSnapshot

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
  /** Chunks that were written or deleted, counted per array. */
  readonly updatedChunks: ReadonlyMap<NodePath.NodePath, number>
}

/**
 * The changes of one session, over the snapshot that it was opened on.
 *
 * @category models
 * @since 0.1.0
 */
export class ChangeSet {
  readonly base: Snapshot.Snapshot
  /** Nodes that were created or whose metadata was replaced. */
  readonly #written = new Map<NodePath.NodePath, Node>()
  /** Nodes of the base that are gone, also where another node has taken their path. */
  readonly #deleted = new Map<NodeId, Node>()
  readonly #chunks = new Map<NodeId, ChunkRefColumns>()

  constructor(base: Snapshot.Snapshot) {
    this.base = base
  }

  get isEmpty(): boolean {
    return (
      this.#written.size === 0 && this.#deleted.size === 0 && [...this.#chunks.values()].every(({ size }) => size === 0)
    )
  }

  #inBase(path: NodePath.NodePath): Node | undefined {
    const node = Snapshot.find(this.base, path)
    return node === undefined || this.#deleted.has(node.id) ? undefined : node
  }

  /** Whether the node with this id stands in the base, at whatever path. */
  #isNew(node: Node): boolean {
    return Snapshot.find(this.base, node.path)?.id !== node.id
  }

  node(path: NodePath.NodePath): Node | undefined {
    return this.#written.get(path) ?? this.#inBase(path)
  }

  /** All nodes, in the order of paths; with `below`, that node and those below it. */
  nodes(below: NodePath.NodePath = NodePath.root): ReadonlyArray<Node> {
    const wanted = (node: Node): boolean => node.path === below || NodePath.isBelow(node.path, below)
    const base = this.base.nodes.filter(
      (node) => wanted(node) && !this.#deleted.has(node.id) && !this.#written.has(node.path)
    )
    const written = [...this.#written.values()].filter(wanted)
    return written.length === 0 ? base : [...base, ...written].toSorted((a, b) => NodePath.compare(a.path, b.path))
  }

  /** Whether there are nodes below a path. Looks at few nodes of the base, however many there are. */
  hasBelow(path: NodePath.NodePath): boolean {
    const prefix = path === NodePath.root ? "/" : `${path}/`
    for (const written of this.#written.keys()) if (written !== path && written.startsWith(prefix)) return true
    const { nodes } = this.base
    for (let i = Snapshot.firstFrom(this.base, prefix); i < nodes.length; i++) {
      const node = nodes[i]!
      if (!node.path.startsWith(prefix)) return false
      if (node.path !== path && !this.#deleted.has(node.id)) return true
    }
    return false
  }

  create(path: NodePath.NodePath, id: NodeId, userData: Uint8Array, metadata: ZarrMetadata): void {
    this.#written.set(path, { id, path, userData, data: nodeData(metadata, []), extra: undefined })
  }

  /** Replaces a node's metadata; its kind stays. */
  setMetadata(node: Node, userData: Uint8Array, metadata: ZarrMetadata): void {
    const manifests = node.data._tag === "Array" ? node.data.manifests : []
    this.#written.set(node.path, { ...node, userData, data: nodeData(metadata, manifests) })
  }

  delete(node: Node): void {
    for (const one of this.nodes(node.path)) {
      this.#written.delete(one.path)
      this.#chunks.delete(one.id)
      if (!this.#isNew(one)) this.#deleted.set(one.id, one)
    }
  }

  /** The columns of an array's changed chunk refs, `undefined` when none changed. */
  chunks(id: NodeId): ChunkRefColumns | undefined {
    return this.#chunks.get(id)
  }

  /** The same, made on demand, to be written to. */
  chunksForWriting(id: NodeId, rank: number): ChunkRefColumns {
    const known = this.#chunks.get(id)
    if (known !== undefined) return known
    const columns = new ChunkRefColumns(rank)
    this.#chunks.set(id, columns)
    return columns
  }

  get deletedNodes(): ReadonlyArray<Node> {
    return [...this.#deleted.values()]
  }

  get createdNodes(): ReadonlyArray<Node> {
    return [...this.#written.values()].filter((node) => this.#isNew(node))
  }

  get updatedNodes(): ReadonlyArray<Node> {
    return [...this.#written.values()].filter((node) => !this.#isNew(node))
  }

  status(): Status {
    const paths = (nodes: ReadonlyArray<Node>, kind: Node["data"]["_tag"]): ReadonlyArray<NodePath.NodePath> =>
      nodes
        .filter((node) => node.data._tag === kind)
        .map(({ path }) => path)
        .toSorted(NodePath.compare)
    const updatedChunks = new Map<NodePath.NodePath, number>()
    for (const node of this.nodes()) {
      const changed = this.#chunks.get(node.id)?.rowsInOrder().length ?? 0
      if (changed > 0) updatedChunks.set(node.path, changed)
    }
    return {
      newGroups: paths(this.createdNodes, "Group"),
      newArrays: paths(this.createdNodes, "Array"),
      updatedGroups: paths(this.updatedNodes, "Group"),
      updatedArrays: paths(this.updatedNodes, "Array"),
      deletedGroups: paths(this.deletedNodes, "Group"),
      deletedArrays: paths(this.deletedNodes, "Array"),
      updatedChunks
    }
  }
}

const nodeData = (metadata: ZarrMetadata, manifests: ReadonlyArray<Snapshot.ManifestRef>): Snapshot.NodeData =>
  metadata._tag === "Group"
    ? { _tag: "Group" }
    : { _tag: "Array", shape: metadata.shape, dimensionNames: metadata.dimensionNames, manifests }

/**
 * Chunks along each dimension of an array.
 *
 * @category accessors
 * @since 0.1.0
 */
export const gridShape = (array: Extract<Snapshot.NodeData, { readonly _tag: "Array" }>): ReadonlyArray<number> =>
  array.shape.map(({ numChunks }) => numChunks)
