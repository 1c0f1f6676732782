/**
 * What sessions on one branch must look like when they commit on top of each other, in plain maps: which conflicts there
 * are, and what comes of each way to end them.
 */

export interface Node {
  readonly identity: number
  readonly path: string
  readonly kind: "group" | "array"
  readonly attributes: number
  /** Chunks of the grid, of one dimension; none of a group. */
  readonly length: number
  /** One of two ways to encode chunks. */
  readonly codec: number
  readonly chunks: ReadonlyMap<number, string>
}

/** Nodes by identity; no node is ever changed, only replaced. */
export type Nodes = ReadonlyMap<number, Node>

type Touched = ReadonlyMap<number, ReadonlySet<number>>

export interface Version {
  readonly id: string
  readonly nodes: Nodes
  /** What its commit says that it wrote, of which a later one may make nothing. */
  readonly touched: Touched
  /** Nodes of the version before whose metadata it changed, and those that it deleted or moved. */
  readonly updated: ReadonlySet<number>
  readonly deleted: ReadonlySet<number>
  readonly moved: ReadonlySet<number>
}

export type Kind =
  | "NewNodeConflictsWithExistingNode"
  | "NewNodeInInvalidGroup"
  | "ZarrMetadataDoubleUpdate"
  | "ZarrMetadataUpdateOfDeletedArray"
  | "ZarrMetadataUpdateOfDeletedGroup"
  | "ZarrMetadataUpdateOfWrittenArray"
  | "ChunkDoubleUpdate"
  | "ChunksUpdatedInDeletedArray"
  | "ChunksUpdatedInUpdatedArray"
  | "DeleteOfUpdatedArray"
  | "DeleteOfUpdatedGroup"
  | "DeleteOfGroupWithNewNodes"

export interface Conflict {
  readonly kind: Kind
  readonly identity: number
  readonly path: string
  readonly chunks?: ReadonlyArray<number>
}

export type Policy = (kind: Kind) => "ours" | "theirs" | "fail"

/** Conflicts that can only end as the others have it. */
export const onlyTheirs: ReadonlySet<string> = new Set<Kind>([
  "ZarrMetadataUpdateOfDeletedArray",
  "ZarrMetadataUpdateOfDeletedGroup",
  "ChunksUpdatedInDeletedArray"
])

export const isBelow = (path: string, above: string): boolean => path.startsWith(`${above}/`)

const above = (path: string): ReadonlyArray<string> => {
  const paths: Array<string> = []
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) paths.push(path.slice(0, at))
  return paths
}

export const at = (nodes: Nodes, path: string): Node | undefined =>
  [...nodes.values()].find((node) => node.path === path)

const isSameMetadata = (a: Node, b: Node): boolean =>
  a.attributes === b.attributes && a.length === b.length && a.codec === b.codec

/** What was done to a version: values that are as they were are no change. */
interface Changes {
  readonly created: Map<number, Node>
  readonly deleted: Set<number>
  readonly updated: Map<number, Node>
  readonly chunks: Map<number, Map<number, string | undefined>>
}

const changesOf = (base: Nodes, nodes: Nodes): Changes => {
  const changes: Changes = { created: new Map(), deleted: new Set(), updated: new Map(), chunks: new Map() }
  for (const id of base.keys()) if (!nodes.has(id)) changes.deleted.add(id)
  for (const [id, node] of nodes) {
    const was = base.get(id)
    if (was === undefined) changes.created.set(id, node)
    else if (!isSameMetadata(was, node)) changes.updated.set(id, node)
    const chunks = new Map<number, string | undefined>()
    for (let i = 0; i < node.length; i++) {
      if (node.chunks.get(i) !== was?.chunks.get(i)) chunks.set(i, node.chunks.get(i))
    }
    if (chunks.size > 0) changes.chunks.set(id, chunks)
  }
  return changes
}

const isNothing = ({ chunks, created, deleted, updated }: Changes): boolean =>
  chunks.size + created.size + deleted.size + updated.size === 0

/** The chunks that changes write, of nodes that are there and in their grids. */
const touchedBy = ({ chunks }: Changes, nodes: Nodes): Touched =>
  new Map(
    [...chunks].flatMap(([id, mine]) => {
      const { length } = nodes.get(id) ?? { length: 0 }
      const indices = [...mine.keys()].filter((index) => index < length)
      return indices.length === 0 ? [] : [[id, new Set(indices)] as const]
    })
  )

/** Nodes without what is outside of their grids. */
const trimmed = (nodes: Nodes): Nodes =>
  new Map(
    [...nodes].map(([id, node]) => [
      id,
      { ...node, chunks: new Map([...node.chunks].filter(([index]) => index < node.length)) }
    ])
  )

/** What others did between two versions. */
interface Theirs {
  readonly onto: Nodes
  readonly base: Nodes
  readonly touched: ReadonlyMap<number, ReadonlySet<number>>
}

const theirsOf = (base: Version, between: ReadonlyArray<Version>): Theirs => {
  const touched = new Map<number, Set<number>>()
  for (const version of between) {
    for (const [id, indices] of version.touched) {
      for (const index of indices) touched.set(id, (touched.get(id) ?? new Set()).add(index))
    }
  }
  const onto = between.at(-1)!.nodes
  for (const id of touched.keys()) {
    // What was written and taken away again is as if it had never been, where nothing else is.
    if ((base.nodes.get(id)?.chunks.size ?? 0) === 0 && (onto.get(id)?.chunks.size ?? 0) === 0) touched.delete(id)
  }
  return { base: base.nodes, onto, touched }
}

const isUpdated = ({ base, onto }: Theirs, id: number): boolean => {
  const was = base.get(id)
  const now = onto.get(id)
  return was !== undefined && now !== undefined && !isSameMetadata(was, now)
}

/** Whether others made a node, or moved it there. */
const isPlaced = ({ base }: Theirs, { identity, path }: Node): boolean => base.get(identity)?.path !== path

const conflictsOf = (
  { chunks, created, deleted, updated }: Changes,
  theirs: Theirs,
  settled: ReadonlySet<string>,
  writtenAs: ReadonlyMap<number, Node>
): ReadonlyArray<Conflict> => {
  const { base, onto, touched } = theirs
  const found: Array<Conflict> = []
  const others = [...onto.values()].filter(({ identity }) => !deleted.has(identity))
  const theirsAt = (path: string): Node | undefined => others.find((node) => node.path === path)
  for (const [identity, { kind, path }] of created) {
    const isTaken =
      theirsAt(path) !== undefined || (kind === "array" && others.some((node) => isBelow(node.path, path)))
    if (isTaken) found.push({ kind: "NewNodeConflictsWithExistingNode", identity, path })
    else {
      const isBlocked = above(path).some((one) => {
        const was = at(base, one)
        const isGone = was?.kind === "group" && at(onto, one) === undefined && !deleted.has(was.identity)
        return theirsAt(one)?.kind === "array" || isGone
      })
      if (isBlocked) found.push({ kind: "NewNodeInInvalidGroup", identity, path })
    }
  }
  for (const [identity, mine] of updated) {
    const was = base.get(identity)!
    const now = onto.get(identity)
    const { path } = was
    if (now === undefined) {
      const kind = was.kind === "array" ? "ZarrMetadataUpdateOfDeletedArray" : "ZarrMetadataUpdateOfDeletedGroup"
      found.push({ kind, identity, path })
      continue
    }
    if (isUpdated(theirs, identity) && !isSameMetadata(now, mine)) {
      found.push({ kind: "ZarrMetadataDoubleUpdate", identity, path })
    }
    const written = touched.get(identity)
    const isCut = [...(written ?? [])].some((index) => index >= mine.length)
    if (written !== undefined && (isCut || was.codec !== mine.codec || now.codec !== mine.codec)) {
      found.push({ kind: "ZarrMetadataUpdateOfWrittenArray", identity, path })
    }
  }
  for (const [identity, mine] of chunks) {
    if (created.has(identity)) continue
    const was = base.get(identity)!
    const now = onto.get(identity)
    const { path } = was
    if (now === undefined) {
      found.push({ kind: "ChunksUpdatedInDeletedArray", identity, path })
      continue
    }
    const isOwn = updated.has(identity) || !(isUpdated(theirs, identity) || writtenAs.has(identity))
    const isCut = [...mine.keys()].some((index) => index >= now.length)
    if (!isOwn && (isCut || (writtenAs.get(identity) ?? was).codec !== now.codec)) {
      found.push({ kind: "ChunksUpdatedInUpdatedArray", identity, path })
    }
    const common = [...mine.keys()].filter((index) => touched.get(identity)?.has(index) === true)
    if (common.length > 0) {
      found.push({ kind: "ChunkDoubleUpdate", identity, path, chunks: common.toSorted((a, b) => a - b) })
    }
  }
  for (const identity of deleted) {
    const was = base.get(identity) ?? onto.get(identity)!
    const now = onto.get(identity)
    const { path } = was
    if (now === undefined) continue
    if (isUpdated(theirs, identity) || touched.has(identity) || now.path !== path) {
      found.push({ kind: was.kind === "array" ? "DeleteOfUpdatedArray" : "DeleteOfUpdatedGroup", identity, path })
    }
    const isFilled = others.some((node) => isPlaced(theirs, node) && isBelow(node.path, now.path))
    if (was.kind === "group" && isFilled) found.push({ kind: "DeleteOfGroupWithNewNodes", identity, path })
  }
  return found.filter(({ identity, kind }) => !settled.has(`${kind} ${identity}`))
}

export type Rebased =
  | {
      readonly _tag: "Rebased"
      readonly nodes: Nodes
      /** Chunks that were written, also where others wrote the same and the session won. */
      readonly touched: Touched
      readonly isNothing: boolean
    }
  | { readonly _tag: "Conflicts"; readonly conflicts: ReadonlyArray<Conflict> }

/** Nodes with changes, where they are there. */
const applied = ({ chunks, created, deleted, updated }: Changes, onto: Nodes): Nodes => {
  const result = new Map(onto)
  for (const id of deleted) result.delete(id)
  for (const [id, node] of created) result.set(id, { ...node, chunks: new Map() })
  for (const [id, { attributes, codec, length }] of updated) {
    const node = result.get(id)
    if (node !== undefined) result.set(id, { ...node, attributes, codec, length })
  }
  for (const [id, mine] of chunks) {
    const node = result.get(id)
    if (node === undefined) continue
    const all = new Map(node.chunks)
    for (const [index, chunk] of mine) {
      if (chunk === undefined) all.delete(index)
      else all.set(index, chunk)
    }
    result.set(id, { ...node, chunks: all })
  }
  return result
}

/** The nodes of a session on top of what others have committed. */
export const rebase = (base: Version, between: ReadonlyArray<Version>, nodes: Nodes, policy: Policy): Rebased => {
  const changes = changesOf(base.nodes, nodes)
  const { chunks, created, deleted, updated } = changes
  if (between.length === 0) {
    return { _tag: "Rebased", nodes, touched: touchedBy(changes, nodes), isNothing: isNothing(changes) }
  }
  const theirs = theirsOf(base, between)
  const { onto } = theirs
  const settled = new Set<string>()
  const writtenAs = new Map<number, Node>()
  const keep = (path: string): void => {
    for (const one of [path, ...above(path)]) {
      const node = at(onto, one)
      if (node !== undefined) deleted.delete(node.identity)
    }
  }
  const remove = (path: string): void => {
    for (const node of onto.values()) {
      if (node.path !== path && !isBelow(node.path, path)) continue
      updated.delete(node.identity)
      chunks.delete(node.identity)
      deleted.add(node.identity)
      for (const kind of ["DeleteOfUpdatedArray", "DeleteOfUpdatedGroup", "DeleteOfGroupWithNewNodes"]) {
        settled.add(`${kind} ${node.identity}`)
      }
    }
  }
  for (;;) {
    const conflicts = conflictsOf(changes, theirs, settled, writtenAs)
    if (conflicts.length === 0) break
    const open = conflicts.filter(
      ({ kind }) => policy(kind) === "fail" || (policy(kind) === "ours" && onlyTheirs.has(kind))
    )
    if (open.length > 0) return { _tag: "Conflicts", conflicts: open }
    for (const { chunks: common = [], identity, kind, path } of conflicts) {
      if (policy(kind) === "ours") {
        settled.add(`${kind} ${identity}`)
        if (kind === "NewNodeConflictsWithExistingNode") remove(path)
        const array =
          kind === "NewNodeInInvalidGroup" ? above(path).find((one) => at(onto, one)?.kind === "array") : undefined
        if (array !== undefined && !deleted.has(at(onto, array)!.identity)) {
          remove(array)
          settled.delete(`${kind} ${identity}`)
        }
        continue
      }
      const now = onto.get(identity)
      switch (kind) {
        case "NewNodeConflictsWithExistingNode":
        case "NewNodeInInvalidGroup":
          created.delete(identity)
          chunks.delete(identity)
          break
        case "ChunkDoubleUpdate":
          for (const index of common) chunks.get(identity)?.delete(index)
          if (chunks.get(identity)?.size === 0) chunks.delete(identity)
          break
        case "ChunksUpdatedInDeletedArray":
        case "ChunksUpdatedInUpdatedArray":
          chunks.delete(identity)
          break
        case "DeleteOfUpdatedArray":
        case "DeleteOfUpdatedGroup":
          keep(now!.path)
          break
        case "DeleteOfGroupWithNewNodes":
          for (const node of onto.values()) {
            if (isPlaced(theirs, node) && !deleted.has(node.identity) && isBelow(node.path, now!.path)) {
              keep(node.path)
            }
          }
          break
        default: {
          const mine = updated.get(identity)
          if (mine !== undefined && chunks.has(identity)) writtenAs.set(identity, mine)
          updated.delete(identity)
        }
      }
    }
  }
  const result = applied(changes, onto)
  const touched = touchedBy(changes, result)
  return {
    _tag: "Rebased",
    nodes: result,
    touched,
    isNothing: touched.size === 0 && isNothing(changesOf(onto, result))
  }
}

/**
 * Whether the official engine finds a conflict, of which it knows no way but to fail. It compares a session with the log of
 * each commit, oldest first, and is coarser where it can be told that both go together: chunks against any change of an
 * array's metadata, metadata that is the same, and whatever else there is in a commit that moves a node. It does not look for
 * what is put into a group that is deleted, nor for a group that is gone.
 */
export const officialFindsConflict = (base: Version, between: ReadonlyArray<Version>, nodes: Nodes): boolean => {
  const { chunks, created, deleted, updated } = changesOf(base.nodes, nodes)
  const deletedPaths = new Set([...deleted].map((id) => base.nodes.get(id)!.path))
  return between.some(
    (version) =>
      version.moved.size > 0 ||
      [...created.values()].some(
        ({ path }) =>
          (!deletedPaths.has(path) && at(version.nodes, path) !== undefined) ||
          above(path).some((one) => at(version.nodes, one)?.kind === "array")
      ) ||
      [...updated.keys()].some((id) => version.updated.has(id) || version.deleted.has(id)) ||
      [...chunks].some(
        ([id, mine]) =>
          version.deleted.has(id) ||
          version.updated.has(id) ||
          [...mine.keys()].some((index) => version.touched.get(id)?.has(index) === true)
      ) ||
      [...deletedPaths].some((path) => {
        const now = at(version.nodes, path)
        return now !== undefined && (version.updated.has(now.identity) || version.touched.has(now.identity))
      })
  )
}

/** The nodes of a session of the official engine after a rebase that has found no conflict. */
export const officialRebase = (base: Version, onto: Version, nodes: Nodes): Nodes =>
  applied(changesOf(base.nodes, nodes), onto.nodes)

/** A branch, and what has been committed to it, first to last. */
export class BranchModel {
  readonly versions: Array<Version> = []
  #identities = 0

  get tip(): Version {
    return this.versions.at(-1)!
  }

  newIdentity(): number {
    return ++this.#identities
  }

  /** A commit on the tip; with `amended`, instead of that one. */
  push(id: string, nodes: Nodes, given?: Touched, amended?: Version): Version {
    if (amended !== undefined) this.versions.splice(this.versions.indexOf(amended), 1)
    const before = this.versions.at(-1)?.nodes ?? new Map<number, Node>()
    const changes = changesOf(before, nodes)
    const { deleted, updated } = changes
    const touched = new Map(given ?? touchedBy(changes, nodes))
    for (const [id, indices] of amended?.touched ?? []) {
      touched.set(id, new Set([...(touched.get(id) ?? []), ...indices]))
    }
    const version: Version = {
      id,
      nodes: trimmed(nodes),
      touched,
      updated: new Set([...updated.keys(), ...(amended?.updated ?? [])]),
      deleted: new Set([...deleted, ...(amended?.deleted ?? [])]),
      moved: new Set(
        [...nodes.values()]
          .filter(({ identity, path }) => (before.get(identity)?.path ?? path) !== path)
          .map(({ identity }) => identity)
      )
    }
    this.versions.push(version)
    return version
  }

  /** What was committed after a version, up to `until`. */
  since(base: Version, until: Version = this.tip): ReadonlyArray<Version> {
    return this.versions.slice(this.versions.indexOf(base) + 1, this.versions.indexOf(until) + 1)
  }
}

/** A session on a branch. */
export class SessionModel {
  readonly branch: BranchModel
  base: Version
  nodes: Nodes

  constructor(branch: BranchModel) {
    this.branch = branch
    this.base = branch.tip
    this.nodes = this.base.nodes
  }

  #put(node: Node): undefined {
    this.nodes = new Map([...this.nodes, [node.identity, node]])
  }

  create(path: string, kind: Node["kind"], attributes: number): string | undefined {
    for (const node of this.nodes.values()) {
      if (node.path === path) return "NodeAlreadyExists"
      if (node.kind === "array" && isBelow(path, node.path)) return "NodeAlreadyExists"
      if (kind === "array" && isBelow(node.path, path)) return "NodeAlreadyExists"
    }
    const identity = this.branch.newIdentity()
    return this.#put({
      identity,
      path,
      kind,
      attributes,
      length: kind === "array" ? 4 : 0,
      codec: 0,
      chunks: new Map()
    })
  }

  update(path: string, change: Partial<Pick<Node, "attributes" | "length" | "codec">>): void {
    this.#put({ ...at(this.nodes, path)!, ...change })
  }

  delete(path: string): string | undefined {
    if (at(this.nodes, path) === undefined) return "NodeNotFound"
    this.nodes = new Map([...this.nodes].filter(([, node]) => node.path !== path && !isBelow(node.path, path)))
    return undefined
  }

  setChunk(path: string, index: number, chunk: string | undefined): string | undefined {
    const node = at(this.nodes, path)
    if (node?.kind !== "array") return "NodeNotFound"
    if (index >= node.length) return "InvalidIndex"
    const chunks = new Map(node.chunks)
    if (chunk === undefined) chunks.delete(index)
    else chunks.set(index, chunk)
    return this.#put({ ...node, chunks })
  }

  get hasChanges(): boolean {
    return !isNothing(changesOf(this.base.nodes, this.nodes))
  }

  discard(): void {
    this.nodes = this.base.nodes
  }

  /** The session on top of a version. */
  onto(version: Version, policy: Policy): Rebased {
    return rebase(this.base, this.branch.since(this.base, version), this.nodes, policy)
  }

  /** Gives a node and those below it other paths, which are free. */
  move(from: string, to: string): void {
    this.nodes = new Map(
      [...this.nodes].map(([id, node]) => [
        id,
        node.path === from || isBelow(node.path, from) ? { ...node, path: to + node.path.slice(from.length) } : node
      ])
    )
  }

  moveTo(version: Version, nodes: Nodes): void {
    this.base = version
    this.nodes = nodes
  }
}
