/**
 * One version of a repository: nodes, chunks and virtual refs, to be read.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as ChunkRef from "../format/manifest/ChunkRef.ts"
import type { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import { FormatError } from "../encoding/FormatError.ts"
import type { ManifestRows } from "../format/manifest/ManifestRows.ts"
import type * as Snapshot from "../format/Snapshot.ts"
import { InvalidRange, ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import * as NodePath from "../values/NodePath.ts"
import type { SnapshotId } from "../values/ObjectId.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import type { ChecksumPolicy, ChunkResolver, VirtualReadError } from "../virtual/ChunkResolver.ts"
import type { AssetError, Assets } from "./Assets.ts"
import { type ChangedSnapshot, gridShape, type Node } from "./changes/ChangedSnapshot.ts"
import * as Dependencies from "./Dependencies.ts"
import * as Layout from "./Layout.ts"
import { InvalidIndex, InvalidPath, NodeNotFound } from "./SessionError.ts"

/**
 * An array as the snapshot describes it.
 *
 * @category models
 * @since 0.1.0
 */
export type ArrayNode = Node & { readonly data: Extract<Snapshot.NodeData, { readonly _tag: "Array" }> }

/**
 * A version of a repository. A session that was opened at a branch stays at the snapshot that the branch
 * was at. Bytes that it returns are the caller's own, to keep and to change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session extends Dependencies.DependencyQueries {
  readonly snapshotId: Effect.Effect<SnapshotId>
  /** The branch that it was opened at, if any. */
  readonly branch: string | undefined
  /** The node at a path. */
  readonly node: (path: string) => Effect.Effect<Node, NodeNotFound | InvalidPath>
  /** All nodes by path, or those from `below` down. */
  readonly nodes: (below?: string) => Effect.Effect<ReadonlyArray<Node>, InvalidPath>
  /**
   * Names directly below a path (the root unless given), in their order: those of nodes, and those that lead to nodes
   * where other clients left groups out. Nothing below the names is looked at, however much there is.
   */
  readonly names: (below?: string) => Effect.Effect<ReadonlyArray<string>, InvalidPath>
  /** How a chunk is stored; `undefined` for one that was never written. */
  readonly chunkRef: (
    path: string,
    index: ChunkIndex.ChunkIndex
  ) => Effect.Effect<ChunkRef.ChunkRef | undefined, NodeNotFound | InvalidPath | InvalidIndex | AssetError>
  /** The encoded bytes of a chunk, or a range of them; `undefined` for one that was never written. */
  readonly chunk: (
    path: string,
    index: ChunkIndex.ChunkIndex,
    options?: { readonly range?: ByteRange.ByteRange | undefined }
  ) => Effect.Effect<Uint8Array | undefined, NodeNotFound | InvalidPath | InvalidIndex | AssetError | VirtualReadError>
  /** Indices of the chunks of an array that are written, as they are when the stream starts: each once, in no order. */
  readonly chunkIndices: (path: string) => Stream.Stream<ChunkIndex.ChunkIndex, NodeNotFound | InvalidPath | AssetError>
}

/**
 * What sessions of one repository have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionContext {
  readonly store: ObjectStoreShape
  readonly assets: Assets
  readonly resolver: ChunkResolver
  readonly checks: ChecksumPolicy
}

/**
 * A path from a user's text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parsePath = (path: string): Effect.Effect<NodePath.NodePath, InvalidPath> =>
  Effect.fromResult(Result.mapError(NodePath.parse(path), (problem) => new InvalidPath({ path, problem })))

/** A copy, of a Buffer too, whose own `slice` makes none. */
const copied = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

/** A node with bytes of its own: those of a snapshot are shared by all who read it. */
const owned = (node: Node): Node => ({
  ...node,
  userData: copied(node.userData),
  extra: node.extra === undefined ? undefined : copied(node.extra)
})

const findNode = (changes: ChangedSnapshot, path: string): Effect.Effect<Node, NodeNotFound | InvalidPath> =>
  Effect.flatMap(parsePath(path), (parsed) => {
    const node = changes.node(parsed)
    return node === undefined ? Effect.fail(new NodeNotFound({ path: parsed, wanted: "node" })) : Effect.succeed(node)
  })

/**
 * The array at a path.
 *
 * @category accessors
 * @since 0.1.0
 */
export const findArray = (
  changes: ChangedSnapshot,
  path: string
): Effect.Effect<ArrayNode, NodeNotFound | InvalidPath> =>
  Effect.flatMap(parsePath(path), (parsed) => {
    const node = changes.node(parsed)
    if (node === undefined) return Effect.fail(new NodeNotFound({ path: parsed, wanted: "array" }))
    return node.data._tag === "Array"
      ? Effect.succeed(node as ArrayNode)
      : Effect.fail(new NodeNotFound({ path: parsed, wanted: "array", found: "group" }))
  })

/**
 * Fails with `InvalidIndex` unless `index` lies in the array's grid.
 *
 * @category predicates
 * @since 0.1.0
 */
export const checkIndex = (array: ArrayNode, index: ChunkIndex.ChunkIndex): Effect.Effect<void, InvalidIndex> => {
  const problem = ChunkIndex.problem(index, gridShape(array.data))
  return problem === undefined
    ? Effect.void
    : Effect.fail(new InvalidIndex({ path: array.path, index: ChunkIndex.format(index), problem }))
}

const covers = ({ extents }: Snapshot.ManifestRef, index: ChunkIndex.ChunkIndex): boolean =>
  extents.every(({ from, to }, i) => from <= index[i]! && index[i]! < to)

/** How a chunk is stored: by a change, else by the manifest that covers its index. Inline bytes are a view. */
const lookUp = Effect.fnUntraced(function* (
  { assets }: SessionContext,
  changes: ChangedSnapshot,
  array: ArrayNode,
  index: ChunkIndex.ChunkIndex
): Effect.fn.Return<ChunkRef.ChunkRef | undefined, AssetError> {
  const changed = changes.chunks(array.id)?.get(index)
  if (changed !== undefined) return changed === "Deleted" ? undefined : changed
  for (const [i, ref] of array.data.manifests.entries()) {
    if (ref.problem !== undefined) {
      return yield* new FormatError({
        file: Layout.snapshot(changes.base.id),
        field: `${array.path} manifests[${i}].extents`,
        problem: ref.problem
      })
    }
    if (!covers(ref, index)) continue
    const manifest = yield* assets.manifest(ref.id)
    const found = yield* Effect.fromResult(manifest.get(array.id, index))
    if (found !== undefined) return found
  }
  return undefined
})

const readRef = (
  { checks, resolver, store }: SessionContext,
  key: string,
  ref: ChunkRef.ChunkRef,
  range: ByteRange.ByteRange | undefined
): Effect.Effect<Uint8Array, VirtualReadError> => {
  const length = ref._tag === "Inline" ? ref.bytes.length : ref._tag === "Native" ? ref.length : ref.ref.length
  const part = ByteRange.resolve(range, length)
  if (part === undefined) {
    const reason = new InvalidRange({ size: length, detail: "the size is the chunk's" })
    return Effect.fail(new ObjectStoreError({ store: store.description, operation: "get", key, reason }))
  }
  switch (ref._tag) {
    case "Inline":
      return Effect.succeed(copied(ref.bytes.subarray(part.start, part.end)))
    case "Native":
      return Effect.map(
        store.get(Layout.chunk(ref.id), {
          range: ByteRange.bounded(ref.offset + part.start, part.end - part.start)
        }),
        ({ bytes }) => bytes
      )
    case "Virtual":
      return resolver.read(ref.ref, { part, checks })
  }
}

/** Rows of a manifest that a stream passes on at once. */
const batchSize = 4096

/**
 * What `read` finds in the rows of a manifest, a batch at a time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rowBatches = <A>(
  { count }: ManifestRows,
  read: (from: number, to: number) => Result.Result<ReadonlyArray<A>, FormatError>
): Stream.Stream<A, FormatError> =>
  Stream.paginate(0, (from) =>
    Effect.map(Effect.fromResult(read(from, Math.min(from + batchSize, count))), (batch) => [
      batch,
      from + batchSize < count ? Option.some(from + batchSize) : Option.none()
    ])
  )

/** The refs of an array in its manifests, a batch of rows at a time. */
const batches = <A>(
  { assets }: SessionContext,
  array: ArrayNode,
  read: (rows: ManifestRows, from: number, to: number) => Result.Result<ReadonlyArray<A>, FormatError>
): Stream.Stream<A, AssetError> =>
  Stream.flatMap(Stream.fromIterable(array.data.manifests), ({ id }) =>
    Stream.unwrap(
      Effect.map(assets.manifest(id), (manifest) => {
        const rows = manifest.rows(array.id)
        return rows === undefined ? Stream.empty : rowBatches(rows, (from, to) => read(rows, from, to))
      })
    )
  )

/** Indices of the chunks of an array that are written: those of the manifests, with the changes applied. */
const indicesOf = (
  context: SessionContext,
  changes: ChangedSnapshot,
  array: ArrayNode
): Stream.Stream<ChunkIndex.ChunkIndex, AssetError> => {
  const columns = changes.chunks(array.id)?.frozen()
  const grid = gridShape(array.data)
  const stored = batches(context, array, (rows, from, to) =>
    Result.map(rows.indices(from, to), (indices) =>
      indices.filter((index) => ChunkIndex.problem(index, grid) === undefined && columns?.get(index) === undefined)
    )
  )
  return columns === undefined ? stored : Stream.concat(stored, Stream.fromIterable(changedIndices(columns, grid)))
}

function* changedIndices(columns: ChunkRefColumns, grid: ReadonlyArray<number>): Generator<ChunkIndex.ChunkIndex> {
  for (const row of columns.rowsInOrder()) {
    const index = columns.indexAt(row)
    if (columns.at(row) !== "Deleted" && ChunkIndex.problem(index, grid) === undefined) yield index
  }
}

function* changedLocations(columns: ChunkRefColumns): Generator<string> {
  for (const row of columns.rowsInOrder()) {
    const ref = columns.at(row)
    if (ref !== "Deleted" && ref._tag === "Virtual") yield ref.ref.location
  }
}

/** Locations of the virtual chunks of an array. */
const locationsOf = (
  context: SessionContext,
  changes: ChangedSnapshot,
  array: ArrayNode,
  distinct: boolean
): Stream.Stream<string, AssetError> => {
  const columns = changes.chunks(array.id)?.frozen()
  const unchanged =
    columns === undefined ? undefined : (index: ChunkIndex.ChunkIndex) => columns.get(index) === undefined
  const stored = batches(context, array, (rows, from, to) =>
    rows.virtualLocations(from, to, { wanted: unchanged, distinct })
  )
  return columns === undefined ? stored : Stream.concat(stored, Stream.fromIterable(changedLocations(columns)))
}

const arraysOf = (changes: ChangedSnapshot): ReadonlyArray<ArrayNode> =>
  changes.nodes().filter((node): node is ArrayNode => node.data._tag === "Array")

/**
 * Adds the virtual refs of manifest rows to a tally, a batch at a time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const countRows = (
  rows: ManifestRows,
  tally: Dependencies.Tally,
  wanted?: (index: ChunkIndex.ChunkIndex) => boolean
): Effect.Effect<void, FormatError> =>
  Effect.forEach(
    Array.from({ length: Math.ceil(rows.count / batchSize) }, (_, batch) => batch * batchSize),
    (from) => Effect.fromResult(tally.addRows(rows, from, Math.min(from + batchSize, rows.count), wanted)),
    { discard: true }
  )

/** Adds the virtual refs of an array, with the changes applied, to a tally. */
const countRefs = Effect.fnUntraced(function* (
  { assets }: SessionContext,
  changes: ChangedSnapshot,
  array: ArrayNode,
  tally: Dependencies.Tally
): Effect.fn.Return<void, AssetError> {
  const columns = changes.chunks(array.id)?.frozen()
  const wanted = columns === undefined ? undefined : (index: ChunkIndex.ChunkIndex) => columns.get(index) === undefined
  for (const { id } of array.data.manifests) {
    const rows = (yield* assets.manifest(id)).rows(array.id)
    if (rows !== undefined) yield* countRows(rows, tally, wanted)
  }
  for (const row of columns?.rowsInOrder() ?? []) {
    const ref = columns!.at(row)
    if (ref !== "Deleted" && ref._tag === "Virtual") tally.addRef(ref.ref)
  }
})

/**
 * A session over a snapshot and its uncommitted changes. `changes` is asked for at every operation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  context: SessionContext,
  branch: string | undefined,
  currentChanges: () => ChangedSnapshot
): Session => {
  /** The same, of what the session shows now. */
  const refAt = Effect.fnUntraced(function* (path: string, index: ChunkIndex.ChunkIndex) {
    const changes = currentChanges()
    const array = yield* findArray(changes, path)
    yield* checkIndex(array, index)
    return yield* lookUp(context, changes, array, index)
  })
  return {
    branch,
    snapshotId: Effect.sync(() => currentChanges().base.id),
    node: (path) => Effect.suspend(() => Effect.map(findNode(currentChanges(), path), owned)),
    nodes: (below) =>
      Effect.map(below === undefined ? Effect.succeed(NodePath.root) : parsePath(below), (path) =>
        currentChanges().nodes(path).map(owned)
      ),
    names: (below) =>
      Effect.map(below === undefined ? Effect.succeed(NodePath.root) : parsePath(below), (path) =>
        currentChanges().names(path)
      ),
    chunkRef: (path, index) =>
      Effect.map(refAt(path, index), (ref) => (ref?._tag === "Inline" ? ChunkRef.inline(copied(ref.bytes)) : ref)),
    chunk: Effect.fn("Session.chunk")(function* (path, index, options) {
      const ref = yield* refAt(path, index)
      if (ref === undefined) return undefined
      return yield* readRef(context, `${path}${ChunkIndex.format(index)}`, ref, options?.range)
    }),
    chunkIndices: (path) =>
      Stream.unwrap(
        Effect.suspend(() => {
          const changes = currentChanges()
          return Effect.map(findArray(changes, path), (array) => indicesOf(context, changes, array))
        })
      ),
    ...Dependencies.queries({
      resolver: context.resolver,
      locations: (distinct) =>
        Stream.suspend(() => {
          const changes = currentChanges()
          return Stream.flatMap(Stream.fromIterable(arraysOf(changes)), (array) =>
            locationsOf(context, changes, array, distinct)
          )
        }),
      count: (tally) =>
        Effect.suspend(() => {
          const changes = currentChanges()
          return Effect.forEach(arraysOf(changes), (array) => countRefs(context, changes, array, tally), {
            discard: true
          })
        })
    })
  }
}
