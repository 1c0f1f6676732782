/**
 * One version of a repository: nodes, chunks and virtual refs, to be read.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as ChunkRef from "../format/manifest/ChunkRef.ts"
import { FormatError } from "../encoding/FormatError.ts"
import type * as ByteRange from "../values/ByteRange.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import * as NodePath from "../values/NodePath.ts"
import type { JsonObject } from "../values/Json.ts"
import type { SnapshotId } from "../values/ObjectId.ts"
import type { InvalidMetadata } from "../values/ZarrMetadata.ts"
import type { VirtualReadError } from "../virtual/ChunkResolver.ts"
import type { AssetError } from "./Assets.ts"
import * as ChunkReads from "./ChunkReads.ts"
import type * as ChunkStream from "./ChunkStream.ts"
import type * as Dependencies from "./Dependencies.ts"
import * as OnDemand from "./OnDemand.ts"
import { InvalidIndex, InvalidPath, NodeNotFound } from "./SessionError.ts"
import type { Node, SnapshotView } from "./SnapshotView.ts"

/**
 * An array as the snapshot describes it.
 *
 * @category models
 * @since 0.1.0
 */
export type ArrayNode = ChunkReads.ArrayNode

/**
 * A version of a repository. A session that was opened at a branch stays at the snapshot that the branch
 * was at. Bytes that it returns are the caller's own, to keep and to change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session extends Dependencies.DependencyQueries {
  readonly snapshotId: Effect.Effect<SnapshotId>
  /** The branch at whose tip it was opened, if any. */
  readonly branch: string | undefined
  /** Whether it can change anything. */
  readonly mode: "readonly" | "writable"
  /** The node at a path. */
  readonly node: (path: string) => Effect.Effect<Node, NodeNotFound | InvalidPath>
  /** The attributes of a node. Numbers beyond 2^53 are rounded. */
  readonly attributes: (path: string) => Effect.Effect<JsonObject, NodeNotFound | InvalidPath | InvalidMetadata>
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
  /**
   * Many chunks of an array, as they are when the stream starts, each with its index, in the order in which they arrive.
   * Their requests are planned together, up to 131,072 at a time: chunks that lie close to each other in an object are
   * read at once. No more is asked for than `maxBytes` (default 64 MiB) together with what was not taken yet, and what was
   * taken until more is asked for; a single larger chunk comes alone. `indices` are arrays of chunk numbers, or a
   * `Uint32Array` of one after another. The stream fails with the first chunk that cannot be read, and before any request
   * when an index is not in the array's grid.
   */
  readonly chunks: (
    path: string,
    indices: ReadonlyArray<ChunkIndex.ChunkIndex> | Uint32Array,
    options?: { readonly maxBytes?: number | undefined }
  ) => Stream.Stream<
    ChunkStream.IndexedChunk,
    NodeNotFound | InvalidPath | InvalidIndex | AssetError | VirtualReadError
  >
  /** Indices of the chunks of an array that are written, as they are when the stream starts: each once, in no order. */
  readonly chunkIndices: (path: string) => Stream.Stream<ChunkIndex.ChunkIndex, NodeNotFound | InvalidPath | AssetError>
}

/**
 * What sessions of one repository have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionContext extends ChunkReads.ReadContext {}

/**
 * Whether each `chunk` gets a span `Session.chunk`, with `path` and `index` (default `false`: the requests have spans, and
 * one request may answer thousands of chunks).
 *
 * @category tracing
 * @since 0.1.0
 */
export const ChunkSpans: Context.Reference<boolean> = /*#__PURE__*/ Context.Reference<boolean>(
  "@effect-icechunk/core/Session/ChunkSpans",
  { defaultValue: () => false }
)

/**
 * A path from a user's text.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parsePath = (path: string): Effect.Effect<NodePath.NodePath, InvalidPath> =>
  Effect.fromResult(Result.mapError(NodePath.parse(path), (problem) => new InvalidPath({ path, problem })))

/** A node with bytes of its own: those of a snapshot are shared by all who read it. */
const owned = (node: Node): Node => ({
  ...node,
  userData: ChunkReads.copied(node.userData),
  extra: node.extra === undefined ? undefined : ChunkReads.copied(node.extra)
})

const findNode = (changes: SnapshotView, path: string): Effect.Effect<Node, NodeNotFound | InvalidPath> =>
  Effect.flatMap(parsePath(path), (parsed) => {
    const node = changes.node(parsed)
    return node === undefined ? Effect.fail(new NodeNotFound({ path: parsed, wanted: "node" })) : Effect.succeed(node)
  })

const arrayAt = (changes: SnapshotView, path: NodePath.NodePath): ArrayNode | NodeNotFound => {
  const node = changes.node(path)
  if (node === undefined) return new NodeNotFound({ path, wanted: "array" })
  return node.data._tag === "Array" ? (node as ArrayNode) : new NodeNotFound({ path, wanted: "array", found: "group" })
}

/**
 * The array at a path.
 *
 * @category accessors
 * @since 0.1.0
 */
export const findArray = (changes: SnapshotView, path: string): Effect.Effect<ArrayNode, NodeNotFound | InvalidPath> =>
  Effect.flatMap(parsePath(path), (parsed) => {
    const array = arrayAt(changes, parsed)
    return array instanceof NodeNotFound ? Effect.fail(array) : Effect.succeed(array)
  })

/**
 * Fails with `InvalidIndex` unless `index` lies in the array's grid.
 *
 * @category predicates
 * @since 0.1.0
 */
export const checkIndex = (array: ArrayNode, index: ChunkIndex.ChunkIndex): Effect.Effect<void, InvalidIndex> => {
  const problem = ChunkIndex.problem(index, ChunkReads.gridShape(array.data))
  return problem === undefined
    ? Effect.void
    : Effect.fail(new InvalidIndex({ path: array.path, index: ChunkIndex.format(index), problem }))
}

/** Bytes of chunks that a stream of them holds or waits for. */
const defaultStreamBytes = 64 * 1024 * 1024

/** The indices of a list; an incomplete one at the end stays as long as it is. */
const indexList = (
  indices: ReadonlyArray<ChunkIndex.ChunkIndex> | Uint32Array,
  rank: number
): ReadonlyArray<ChunkIndex.ChunkIndex> => {
  if (!(indices instanceof Uint32Array)) return indices
  const step = Math.max(1, rank)
  return Array.from({ length: Math.ceil(indices.length / step) }, (_, i) =>
    Array.from(indices.subarray(i * step, (i + 1) * step))
  )
}

/** What a session is made of, for others to copy from. */
interface Known {
  readonly store: SessionContext["store"]
  readonly current: () => SnapshotView
}

const views = new WeakMap<Session, Known>()

/**
 * Notes what a session is made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const remember = <S extends Session>(session: S, known: Known): S => {
  views.set(session, known)
  return session
}

/**
 * What a session is made of. Throws when it is none of ours.
 *
 * @category accessors
 * @since 0.1.0
 */
export const viewOf = (session: Session): Known => {
  const known = views.get(session)
  if (known !== undefined) return known
  throw new TypeError("This session was not opened by a repository, or it is a copy: pass the object itself.")
}

const absent: Effect.Effect<undefined> = Effect.succeed(undefined)

/**
 * A session over a snapshot and its uncommitted changes. `changes` is asked for at every operation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  context: SessionContext,
  branch: string | undefined,
  currentChanges: () => SnapshotView
): Session => {
  // Most reads are of the array of the read before.
  let lastPath: { readonly text: string; readonly parsed: Result.Result<NodePath.NodePath, string> } | undefined
  let lastGrid: { readonly data: ArrayNode["data"]; readonly shape: ReadonlyArray<number> } | undefined

  /** The array at a path if an index is in its grid, as the session shows it now. */
  const arrayWith = (
    changes: SnapshotView,
    path: string,
    index: ChunkIndex.ChunkIndex
  ): ArrayNode | NodeNotFound | InvalidPath | InvalidIndex => {
    if (lastPath?.text !== path) lastPath = { text: path, parsed: NodePath.parse(path) }
    const { parsed } = lastPath
    if (Result.isFailure(parsed)) return new InvalidPath({ path, problem: parsed.failure })
    const array = arrayAt(changes, parsed.success)
    if (array instanceof NodeNotFound) return array
    if (lastGrid?.data !== array.data) lastGrid = { data: array.data, shape: ChunkReads.gridShape(array.data) }
    const problem = ChunkIndex.problem(index, lastGrid.shape)
    return problem === undefined
      ? array
      : new InvalidIndex({ path: array.path, index: ChunkIndex.format(index), problem })
  }

  const readNow = (
    path: string,
    index: ChunkIndex.ChunkIndex,
    range: ByteRange.ByteRange | undefined
  ): ReturnType<Session["chunk"]> => {
    const changes = currentChanges()
    const array = arrayWith(changes, path, index)
    if (array instanceof Error) return Effect.fail(array)
    const found = ChunkReads.find(context, changes, array, index)
    if (found instanceof ChunkReads.Unloaded) {
      return Effect.flatMap(ChunkReads.lookUp(context, changes, array, index), (ref) =>
        ref === undefined ? absent : ChunkReads.read(context, path, index, ref, range)
      )
    }
    if (found === undefined) return absent
    return found instanceof FormatError ? Effect.fail(found) : ChunkReads.read(context, path, index, found, range)
  }

  const session: Session = {
    branch,
    mode: "readonly",
    snapshotId: Effect.sync(() => currentChanges().base.id),
    node: (path) => Effect.suspend(() => Effect.map(findNode(currentChanges(), path), owned)),
    attributes: (path) =>
      Effect.suspend(() =>
        Effect.flatMap(findNode(currentChanges(), path), ({ path, userData }) => OnDemand.attributes(path, userData))
      ),
    nodes: (below) =>
      Effect.map(below === undefined ? Effect.succeed(NodePath.root) : parsePath(below), (path) =>
        currentChanges().nodes(path).map(owned)
      ),
    names: (below) =>
      Effect.map(below === undefined ? Effect.succeed(NodePath.root) : parsePath(below), (path) =>
        currentChanges().names(path)
      ),
    chunkRef: (path, index) =>
      Effect.suspend((): ReturnType<Session["chunkRef"]> => {
        const changes = currentChanges()
        const array = arrayWith(changes, path, index)
        if (array instanceof Error) return Effect.fail(array)
        return Effect.map(ChunkReads.lookUp(context, changes, array, index), (ref) =>
          ref?._tag === "Inline" ? ChunkRef.inline(ChunkReads.copied(ref.bytes)) : ref
        )
      }),
    chunk: (path, index, options) =>
      Effect.withFiber((fiber) => {
        const read = readNow(path, index, options?.range)
        return fiber.getRef(ChunkSpans)
          ? Effect.withSpan(read, "Session.chunk", { attributes: { path, index: ChunkIndex.format(index) } })
          : read
      }),
    chunks: (path, indices, options) =>
      Stream.unwrap(
        Effect.suspend(() => {
          const changes = currentChanges()
          return Effect.flatMap(findArray(changes, path), (array) => {
            const grid = ChunkReads.gridShape(array.data)
            const wanted = indexList(indices, grid.length)
            for (const index of wanted) {
              const problem = ChunkIndex.problem(index, grid)
              if (problem !== undefined) {
                return Effect.fail(new InvalidIndex({ path: array.path, index: ChunkIndex.format(index), problem }))
              }
            }
            const columns = changes.chunks(array.id)?.frozen()
            const asNow = { base: changes.base, chunks: () => columns }
            return Effect.succeed(
              OnDemand.chunks(context, asNow, array, wanted, options?.maxBytes ?? defaultStreamBytes)
            )
          })
        })
      ),
    chunkIndices: (path) =>
      Stream.unwrap(
        Effect.suspend(() => {
          const changes = currentChanges()
          return Effect.map(findArray(changes, path), (array) =>
            OnDemand.chunkIndices(context, array, changes.chunks(array.id)?.frozen())
          )
        })
      ),
    ...OnDemand.sessionDependencies(context, currentChanges)
  }
  return remember(session, { store: context.store, current: currentChanges })
}
