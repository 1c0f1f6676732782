/**
 * What sessions and versions of a repository must look like, in plain maps: beside it the real ones are run.
 */
import { ChunkIndex, NodePath } from "@effect-icechunk/core"

/** A chunk: its bytes where it has any of its own, and what tells it from another chunk with the same bytes. */
export interface Chunk {
  readonly kind: "Inline" | "Native" | "Virtual"
  readonly bytes: Uint8Array
  /** The id of a native chunk, or location, offset and length of a virtual one. */
  readonly place: string
  readonly location?: string | undefined
}

export interface Group {
  readonly identity: number
  readonly kind: "group"
  readonly userData: Uint8Array
}

export interface Array {
  readonly identity: number
  readonly kind: "array"
  readonly userData: Uint8Array
  readonly grid: ReadonlyArray<number>
  /** By text of the index. Chunks outside of the grid are hidden, and gone after a commit. */
  readonly chunks: ReadonlyMap<string, Chunk>
}

export type Node = Group | Array

/** Nodes by path; no node is ever changed, only replaced. */
export type Nodes = ReadonlyMap<string, Node>

export const indexOf = (key: string): ReadonlyArray<number> => (key === "" ? [] : key.split(",").map(Number))

export const isInGrid = (index: ReadonlyArray<number>, grid: ReadonlyArray<number>): boolean =>
  index.length === grid.length && index.every((at, axis) => at >= 0 && at < grid[axis]!)

/** The chunks that can be read, by index. */
export const visible = (array: Array): ReadonlyArray<readonly [ReadonlyArray<number>, Chunk]> =>
  [...array.chunks]
    .map(([key, chunk]) => [indexOf(key), chunk] as const)
    .filter(([index]) => isInGrid(index, array.grid))
    .toSorted(([a], [b]) => ChunkIndex.compare(a, b))

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((x, i) => x === b[i])

const sameChunk = (a: Chunk | undefined, b: Chunk | undefined): boolean =>
  a === b ||
  (a !== undefined && b !== undefined && a.kind === b.kind && a.place === b.place && sameBytes(a.bytes, b.bytes))

const paths = (nodes: Nodes): ReadonlyArray<string> => [...nodes.keys()].toSorted(NodePath.compare)

/** The parent of the first commit: a snapshot without nodes that is always there. */
export const root = "root"

/** A snapshot: what it holds, and the one that it was made on. */
export interface Version {
  readonly id: string
  readonly nodes: Nodes
  readonly parent: string
}

const isBelow = (path: string, above: string): boolean =>
  path !== above && (above === "/" || path.startsWith(`${above}/`))

const withoutHidden = (array: Array): Array => ({
  ...array,
  chunks: new Map(visible(array).map(([index, chunk]) => [index.join(), chunk]))
})

/** Nodes as a snapshot holds them: without chunks outside of their grids. */
const readable = (nodes: Nodes): Nodes =>
  new Map([...nodes].map(([path, node]) => [path, node.kind === "group" ? node : withoutHidden(node)]))

export class SessionModel {
  nodes: Nodes = new Map()
  base: Nodes = new Map()
  /** Versions that something was copied from since the last commit. */
  readonly sources = new Set<string>()
  /** The snapshots that are there, those that no branch leads to included. */
  versions: ReadonlyArray<Version> = []
  /** The snapshot that the branch is at. */
  tip = root
  /** Whether somebody has configured the container `model`, and whether the open session knows of it. */
  isModelConfigured = false
  isModelKnown = false
  #identities = 0

  array(path: string): Array | undefined {
    const node = this.nodes.get(path)
    return node?.kind === "array" ? node : undefined
  }

  get arrays(): ReadonlyArray<string> {
    return paths(this.nodes).filter((path) => this.array(path) !== undefined)
  }

  /** What creating a node or setting its metadata must come to. */
  create(
    path: string,
    userData: Uint8Array,
    grid: ReadonlyArray<number> | undefined,
    replace: boolean
  ): string | undefined {
    const node = this.nodes.get(path)
    const kind = grid === undefined ? "group" : "array"
    if (node !== undefined) {
      if (!replace || node.kind !== kind) return "NodeAlreadyExists"
      if (node.kind === "group") return this.#put(path, { ...node, userData })
      if (node.grid.length === grid!.length) return this.#put(path, { ...node, userData, grid: grid! })
    }
    for (const [above, one] of this.nodes) {
      if (one.kind === "array" && isBelow(path, above)) return "NodeAlreadyExists"
      if (kind === "array" && isBelow(above, path)) return "NodeAlreadyExists"
    }
    const identity = ++this.#identities
    return this.#put(
      path,
      grid === undefined
        ? { identity, kind: "group", userData }
        : { identity, kind: "array", userData, grid, chunks: new Map() }
    )
  }

  #put(path: string, node: Node): undefined {
    this.nodes = new Map([...this.nodes, [path, node]])
  }

  /** Gives a node and those below it other paths, in a group that is there. */
  move(from: string, to: string): string | undefined {
    if (!this.nodes.has(from)) return "NodeNotFound"
    if (from === "/" || to === "/" || to === from || isBelow(to, from)) return "InvalidMove"
    if (this.#isTaken(to)) return "NodeAlreadyExists"
    const group = to.slice(0, to.lastIndexOf("/")) || "/"
    const above = this.nodes.get(group)
    if (above === undefined ? group !== "/" : above.kind === "array") return "NodeNotFound"
    this.nodes = new Map(
      [...this.nodes].map(([path, node]) => [
        path === from || isBelow(path, from) ? to + path.slice(from.length) : path,
        node
      ])
    )
    return undefined
  }

  #isTaken(path: string): boolean {
    return this.nodes.has(path) || [...this.nodes.keys()].some((other) => isBelow(other, path))
  }

  /** Copies what can be read of a node and those below it. */
  copy(source: Nodes, from: string, to: string, version?: string): string | undefined {
    if (!source.has(from)) return "NodeNotFound"
    if (this.#isTaken(to)) return "NodeAlreadyExists"
    if ([...this.nodes].some(([above, { kind }]) => kind === "array" && isBelow(to, above))) return "NodeAlreadyExists"
    const prefix = from === "/" ? "" : from
    if (version !== undefined) this.sources.add(version)
    const copies = [...readable(source)].filter(([path]) => path === from || isBelow(path, from))
    for (const [path, node] of copies) {
      const place = path === from ? to : `${to === "/" ? "" : to}${path.slice(prefix.length)}`
      this.#put(place, { ...node, identity: ++this.#identities })
    }
    return undefined
  }

  setUserData(path: string, userData: Uint8Array): void {
    this.#put(path, { ...this.nodes.get(path)!, userData })
  }

  /** Another grid of as many dimensions: what is outside of it is gone for good. */
  resize(path: string, userData: Uint8Array, grid: ReadonlyArray<number>): void {
    this.#put(path, withoutHidden({ ...this.array(path)!, userData, grid }))
  }

  /** Chunks where `f` says; fails when two go to one place, or one out of the grid. */
  reindex(path: string, f: (index: ReadonlyArray<number>) => ReadonlyArray<number> | undefined): string | undefined {
    const array = this.array(path)!
    const moved = visible(array).flatMap(([index, chunk]) => {
      const to = f(index)
      return to === undefined ? [] : [[to, chunk] as const]
    })
    const chunks = new Map(moved.map(([index, chunk]) => [index.join(), chunk]))
    if (chunks.size < moved.length || !moved.every(([index]) => isInGrid(index, array.grid))) return "InvalidReindex"
    this.#put(path, { ...array, chunks })
    return undefined
  }

  /** Chunks at other indices; those that leave the grid are gone. */
  shift(path: string, offsets: ReadonlyArray<number>): void {
    const { grid } = this.array(path)!
    this.reindex(path, (index) => {
      const to = index.map((at, axis) => at + offsets[axis]!)
      return isInGrid(to, grid) ? to : undefined
    })
  }

  clear(): void {
    this.nodes = new Map()
  }

  delete(path: string): string | undefined {
    if (!this.nodes.has(path)) return "NodeNotFound"
    this.nodes = new Map([...this.nodes].filter(([other]) => other !== path && !isBelow(other, path)))
    return undefined
  }

  /** What setting or deleting a chunk must come to before anything is set. */
  problem(path: string, index: ReadonlyArray<number>): string | undefined {
    const array = this.array(path)
    if (array === undefined) return "NodeNotFound"
    return isInGrid(index, array.grid) ? undefined : "InvalidIndex"
  }

  set(path: string, index: ReadonlyArray<number>, chunk: Chunk | undefined): void {
    const array = this.array(path)!
    const chunks = new Map(array.chunks)
    if (chunk === undefined) chunks.delete(index.join())
    else chunks.set(index.join(), chunk)
    this.#put(path, { ...array, chunks })
  }

  /** What changed, each change that changes nothing left out. */
  status() {
    const before = new Map([...this.base].map(([path, node]) => [node.identity, { path, node }]))
    const now = new Set([...this.nodes.values()].map(({ identity }) => identity))
    const kinds = (nodes: Nodes, kind: Node["kind"], wanted: (node: Node) => boolean): ReadonlyArray<string> =>
      paths(nodes).filter((path) => nodes.get(path)!.kind === kind && wanted(nodes.get(path)!))
    const isNew = ({ identity }: Node): boolean => !before.has(identity)
    const isGone = ({ identity }: Node): boolean => !now.has(identity)
    const isUpdated = (node: Node): boolean =>
      !isNew(node) && !sameBytes(node.userData, before.get(node.identity)!.node.userData)
    const updatedChunks = new Map<string, number>()
    for (const path of this.arrays) {
      const changed = this.changedChunks(path).length
      if (changed > 0) updatedChunks.set(path, changed)
    }
    return {
      newGroups: kinds(this.nodes, "group", isNew),
      newArrays: kinds(this.nodes, "array", isNew),
      updatedGroups: kinds(this.nodes, "group", isUpdated),
      updatedArrays: kinds(this.nodes, "array", isUpdated),
      deletedGroups: kinds(this.base, "group", isGone),
      deletedArrays: kinds(this.base, "array", isGone),
      movedNodes: [...this.nodes]
        .flatMap(([to, { identity }]) => {
          const from = before.get(identity)?.path
          return from === undefined || from === to ? [] : [{ from, to }]
        })
        .toSorted((a, b) => NodePath.compareSegments(a.to as NodePath.NodePath, b.to as NodePath.NodePath)),
      updatedChunks
    }
  }

  /** Indices in the grid where an array has another chunk than its base, or one more or less. */
  changedChunks(path: string): ReadonlyArray<string> {
    const array = this.array(path)!
    const before = [...this.base.values()].find(({ identity }) => identity === array.identity)
    const old = before?.kind === "array" ? before.chunks : new Map<string, Chunk>()
    return [...new Set([...array.chunks.keys(), ...old.keys()])].filter(
      (key) => isInGrid(indexOf(key), array.grid) && !sameChunk(array.chunks.get(key), old.get(key))
    )
  }

  get hasChanges(): boolean {
    return Object.values(this.status()).some((part) => ("size" in part ? part.size : part.length) > 0)
  }

  discard(): void {
    this.nodes = this.base
    this.sources.clear()
  }

  /** Whether chunks were copied from a snapshot that is not listed any more. */
  get hasLost(): boolean {
    return [...this.sources].some((source) => !this.versions.some(({ id }) => id === source))
  }

  /** A snapshot on top of the tip. */
  committed(id: string): void {
    this.#moved(id, this.tip)
  }

  #moved(id: string, parent: string): void {
    this.nodes = readable(this.nodes)
    this.sources.clear()
    this.base = this.nodes
    this.versions = [...this.versions, { id, nodes: this.nodes, parent }]
    this.tip = id
  }

  /** What amending the tip must come to, without a new snapshot. */
  amendProblem(force: boolean): string | undefined {
    const isUsed = this.versions.some(({ parent }) => parent === this.tip)
    return this.tip === root || (!force && isUsed) ? "AmendRefused" : undefined
  }

  /** A snapshot in the place of the tip, which stays until it is collected. */
  amended(id: string): void {
    this.#moved(id, this.versions.find((version) => version.id === this.tip)!.parent)
  }

  /** A snapshot that no branch leads to. */
  flushed(id: string): void {
    this.versions = [...this.versions, { id, nodes: readable(this.nodes), parent: this.tip }]
  }

  /** Snapshots leave the history; those that were made on them go on from the first one. */
  expired(ids: ReadonlySet<string>): void {
    this.versions = this.versions
      .filter(({ id }) => !ids.has(id))
      .map(({ id, nodes, parent }) => ({ id, nodes, parent: ids.has(parent) ? root : parent }))
  }

  /** Drops the snapshots that the branch does not lead to, and says which. */
  collected(): ReadonlyArray<Version> {
    const parents = new Map(this.versions.map(({ id, parent }) => [id, parent]))
    const kept = new Set<string>()
    for (let id: string | undefined = this.tip; id !== undefined; id = parents.get(id)) kept.add(id)
    const dropped = this.versions.filter(({ id }) => !kept.has(id))
    this.versions = this.versions.filter(({ id }) => kept.has(id))
    return dropped
  }
}
