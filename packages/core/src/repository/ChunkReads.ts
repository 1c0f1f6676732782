/**
 * Where the chunks of a session are, and their bytes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { FormatError } from "../encoding/FormatError.ts"
import * as ChunkRef from "../format/manifest/ChunkRef.ts"
import type * as Snapshot from "../format/Snapshot.ts"
import type { ObjectStoreShape } from "../store/ObjectStore.ts"
import { InvalidRange, ObjectStoreError } from "../store/ObjectStoreError.ts"
import * as ByteRange from "../values/ByteRange.ts"
import * as ChunkIndex from "../values/ChunkIndex.ts"
import type { ManifestId } from "../values/ObjectId.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import type { ChecksumPolicy, ChunkResolver, VirtualReadError } from "../virtual/ChunkResolver.ts"
import type { AssetError, Assets } from "./Assets.ts"
import type { CachedReads } from "./ChunkCache.ts"
import * as Layout from "./Layout.ts"
import type { NativeChunks } from "./NativeChunks.ts"
import type { Node, SnapshotView } from "./SnapshotView.ts"

/**
 * An array as the snapshot describes it.
 *
 * @category models
 * @since 0.1.0
 */
export type ArrayNode = Node & { readonly data: Extract<Snapshot.NodeData, { readonly _tag: "Array" }> }

/**
 * Chunks along each dimension of an array.
 *
 * @category accessors
 * @since 0.1.0
 */
export const gridShape = (array: ArrayNode["data"]): ReadonlyArray<number> =>
  array.shape.map(({ numChunks }) => numChunks)

/**
 * The way to virtual chunks. Programs that only read load it when there is one, which makes a page that meets none smaller.
 *
 * @category models
 * @since 0.1.0
 */
export interface VirtualAccess {
  /** `undefined`: still to be loaded. */
  readonly known: ChunkResolver | undefined
  readonly resolver: Effect.Effect<ChunkResolver>
}

/**
 * What reads of one repository have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadContext {
  readonly store: ObjectStoreShape
  readonly native: NativeChunks
  readonly assets: Assets
  readonly virtual: VirtualAccess
  readonly checks: ChecksumPolicy
  /** What was read before, where the program has a cache. */
  readonly cached: CachedReads<VirtualReadError> | undefined
}

/**
 * A manifest has to be loaded to know where a chunk is.
 *
 * @category models
 * @since 0.1.0
 */
export class Unloaded {
  readonly manifest: ManifestId
  constructor(manifest: ManifestId) {
    this.manifest = manifest
  }
}

/**
 * A copy, of a Buffer too, whose own `slice` makes none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const copied = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

const covers = (extents: Snapshot.ManifestRef["extents"], index: ChunkIndex.ChunkIndex): boolean => {
  for (let axis = 0; axis < extents.length; axis++) {
    const at = index[axis]!
    if (at < extents[axis]!.from || at >= extents[axis]!.to) return false
  }
  return true
}

/** The changes of a session, as far as reads look at them. */
type Changes = Pick<SnapshotView, "base" | "chunks">

const damaged = (changes: Changes, array: ArrayNode, manifest: number, problem: string): FormatError =>
  new FormatError({
    file: Layout.snapshot(changes.base.id),
    field: `${array.path} manifests[${manifest}].extents`,
    problem
  })

/**
 * How a chunk is stored, by a change, else by the manifest that covers its index, as far as that is known without a
 * request. Inline bytes are a view.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (
  { assets }: Pick<ReadContext, "assets">,
  changes: Changes,
  array: ArrayNode,
  index: ChunkIndex.ChunkIndex
): ChunkRef.ChunkRef | undefined | FormatError | Unloaded => {
  const changed = changes.chunks(array.id)?.get(index)
  if (changed !== undefined) return changed === "Deleted" ? undefined : changed
  const { manifests } = array.data
  for (let i = 0; i < manifests.length; i++) {
    const { extents, id, problem } = manifests[i]!
    if (problem !== undefined) return damaged(changes, array, i, problem)
    if (!covers(extents, index)) continue
    const manifest = assets.cachedManifest(id)
    if (manifest === undefined) return new Unloaded(id)
    const found = manifest.get(array.id, index)
    if (Result.isFailure(found)) return found.failure
    if (found.success !== undefined) return found.success
  }
  return undefined
}

/**
 * The same, with the manifests that it takes.
 *
 * @category accessors
 * @since 0.1.0
 */
export const lookUp = Effect.fnUntraced(function* (
  context: Pick<ReadContext, "assets">,
  changes: Changes,
  array: ArrayNode,
  index: ChunkIndex.ChunkIndex
): Effect.fn.Return<ChunkRef.ChunkRef | undefined, AssetError> {
  const known = find(context, changes, array, index)
  if (known instanceof FormatError) return yield* known
  if (!(known instanceof Unloaded)) return known
  for (const [i, { extents, id, problem }] of array.data.manifests.entries()) {
    if (problem !== undefined) return yield* damaged(changes, array, i, problem)
    if (!covers(extents, index)) continue
    const manifest = yield* context.assets.manifest(id)
    const found = yield* Effect.fromResult(manifest.get(array.id, index))
    if (found !== undefined) return found
  }
  return undefined
})

/**
 * The part of a chunk that a range means. Fails with `InvalidRange` for a range past its end.
 *
 * @category accessors
 * @since 0.1.0
 */
export const partOf = (
  { store }: Pick<ReadContext, "store">,
  path: string,
  index: ChunkIndex.ChunkIndex,
  ref: ChunkRef.ChunkRef,
  range: ByteRange.ByteRange | undefined
): ByteRange.Span | ObjectStoreError => {
  const size = ChunkRef.byteLength(ref)
  return (
    ByteRange.resolve(range, size) ??
    new ObjectStoreError({
      store: store.description,
      operation: "get",
      key: `${path}${ChunkIndex.format(index)}`,
      reason: new InvalidRange({ size, detail: "the size is the chunk's" })
    })
  )
}

/**
 * The bytes of a chunk, or a range of them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const read = (
  context: ReadContext,
  path: string,
  index: ChunkIndex.ChunkIndex,
  ref: ChunkRef.ChunkRef,
  range: ByteRange.ByteRange | undefined
): Effect.Effect<Uint8Array, VirtualReadError> => {
  const part = partOf(context, path, index, ref, range)
  if (part instanceof ObjectStoreError) return Effect.fail(part)
  switch (ref._tag) {
    case "Inline":
      return Effect.succeed(copied(ref.bytes.subarray(part.start, part.end)))
    case "Native": {
      const { cached, native } = context
      const key = cached === undefined ? undefined : native.cacheKey(ref)
      const bytes = native.read(ref, part)
      return key === undefined ? bytes : cached!.get(`${key}\n${part.start}-${part.end}`, bytes)
    }
    case "Virtual": {
      const { known, resolver } = context.virtual
      return known === undefined
        ? Effect.flatMap(resolver, (loaded) => readVirtual(context, loaded, ref.ref, part))
        : readVirtual(context, known, ref.ref, part)
    }
  }
}

const readVirtual = (
  { cached, checks }: ReadContext,
  resolver: ChunkResolver,
  ref: VirtualChunkRef,
  part: ByteRange.Span
): Effect.Effect<Uint8Array, VirtualReadError> => {
  const bytes = resolver.read(ref, { part, checks })
  if (cached === undefined || checks !== "fail") return bytes
  return Effect.flatMap(resolver.cacheKey(ref), (key) =>
    key === undefined ? bytes : cached.get(`${key}\n${ref.offset + part.start}-${ref.offset + part.end}`, bytes)
  )
}
