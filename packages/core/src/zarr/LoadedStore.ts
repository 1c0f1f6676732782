/**
 * A small part of a session, read into memory, from which zarrita reads without promises.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ChunkRef from "../format/manifest/ChunkRef.ts"
import type { AssetError } from "../repository/Assets.ts"
import type { Session } from "../repository/Session.ts"
import type { InvalidIndex, InvalidPath, NodeNotFound } from "../repository/SessionError.ts"
import type { Node } from "../repository/SnapshotView.ts"
import { InvalidRange, ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import * as NodePath from "../values/NodePath.ts"
import type { VirtualReadError } from "../virtual/VirtualReadError.ts"
import * as Consolidated from "./Consolidated.ts"
import * as ZarrKey from "./ZarrKey.ts"

/**
 * More was to be loaded than was allowed. `bytes` is how much there was when counting stopped.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreTooLarge
  extends /*#__PURE__*/ Data.TaggedError("StoreTooLarge")<{
    readonly path: string
    readonly bytes: number
    readonly maxBytes: number
  }>
{
  override get message(): string {
    return `What is stored at \`${this.path}\` has ${this.bytes} bytes or more, and ${this.maxBytes} may be loaded. Load a node further down, allow more with \`maxBytes\`, or read it as it is needed, through \`ZarritaStore.make\`.`
  }
}

/**
 * Why a part of a session could not be loaded. `InvalidIndex`: the session was written to, and an array made smaller, meanwhile.
 *
 * @category errors
 * @since 0.1.0
 */
export type LoadError = StoreTooLarge | NodeNotFound | InvalidPath | InvalidIndex | AssetError | VirtualReadError

/** What is loaded unless more is allowed. */
const defaultMaxBytes = 64 * 1024 * 1024

/** The chunks that an array has, if all of them together with `before` are not more than is allowed. */
const measured = Effect.fnUntraced(function* (
  session: Session,
  { path: array }: Node,
  before: number,
  limit: { readonly path: string; readonly maxBytes: number }
) {
  const indices: Array<ChunkIndex> = []
  let bytes = before
  yield* Stream.runForEach(session.chunkIndices(array), (index) =>
    Effect.flatMap(session.chunkRef(array, index), (ref) => {
      if (ref === undefined) return Effect.void
      indices.push(index)
      bytes += ChunkRef.byteLength(ref)
      return bytes > limit.maxBytes ? Effect.fail(new StoreTooLarge({ ...limit, bytes })) : Effect.void
    })
  )
  return { bytes, indices }
})

/**
 * The values of the keys of a node and of all below it, and the nodes. Nothing is read before it is known that all of it is
 * not more than `maxBytes`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (
  session: Session,
  path: string,
  maxBytes: number = defaultMaxBytes
): Effect.fn.Return<
  { readonly values: ReadonlyMap<string, Uint8Array>; readonly nodes: ReadonlyArray<Node> },
  LoadError
> {
  // A root may have no metadata.
  if (path !== NodePath.root) yield* session.node(path)
  const nodes = Consolidated.addressable(yield* session.nodes(path))
  const values = new Map<string, Uint8Array>()
  let bytes = 0
  for (const { path: node, userData } of nodes) {
    bytes += userData.length
    values.set(`/${ZarrKey.metadata(node)}`, userData)
  }
  if (bytes > maxBytes) return yield* new StoreTooLarge({ path, bytes, maxBytes })
  const wanted: Array<{ readonly array: string; readonly indices: ReadonlyArray<ChunkIndex> }> = []
  for (const node of nodes) {
    if (node.data._tag === "Group") continue
    const found = yield* measured(session, node, bytes, { path, maxBytes })
    bytes = found.bytes
    wanted.push({ array: node.path, indices: found.indices })
  }
  yield* Effect.forEach(
    wanted,
    ({ array, indices }) =>
      Stream.runForEach(session.chunks(array, indices), ({ bytes, index }) =>
        Effect.sync(() => {
          if (bytes !== undefined) values.set(`/${ZarrKey.chunk(array as NodePath.NodePath, index)}`, bytes)
        })
      ),
    { concurrency: 4, discard: true }
  )
  return { values, nodes }
})

/**
 * A copy of what is stored at a key, or of a range of it. Throws for a range past the end.
 *
 * @category accessors
 * @since 0.1.0
 */
export const valueOf = (
  values: ReadonlyMap<string, Uint8Array>,
  key: string,
  range: ByteRange.ByteRange | undefined
): Uint8Array | undefined => {
  const value = values.get(key)
  if (value === undefined) return undefined
  const span = ByteRange.resolve(range, value.length)
  if (span !== undefined) return value.slice(span.start, span.end)
  const reason = new InvalidRange({ size: value.length })
  throw new ObjectStoreError({ store: "loaded session", operation: "get", key, reason })
}
