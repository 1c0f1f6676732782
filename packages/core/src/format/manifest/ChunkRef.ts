/**
 * Where the bytes of a chunk are.
 *
 * Source: Icechunk spec 2, "ChunkRef".
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { ChunkId } from "../../values/ObjectId.ts"
import type * as VirtualChunkRef from "../../values/VirtualChunkRef.ts"

/**
 * - `Inline`: the bytes are in the manifest;
 * - `Native`: `length` bytes from byte `offset` of a chunk file in the repository;
 * - `Virtual`: in an object outside the repository.
 *
 * @category models
 * @since 0.1.0
 */
export type ChunkRef = Data.TaggedEnum<{
  readonly Inline: { readonly bytes: Uint8Array }
  readonly Native: { readonly id: ChunkId; readonly offset: number; readonly length: number }
  readonly Virtual: { readonly ref: VirtualChunkRef.VirtualChunkRef }
}>

const Constructors: Data.TaggedEnum.Constructor<ChunkRef> = Data.taggedEnum<ChunkRef>()

/**
 * A chunk whose bytes are in the manifest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inline = (bytes: Uint8Array): ChunkRef => Constructors.Inline({ bytes })

/**
 * A chunk in a chunk file of the repository.
 *
 * @category constructors
 * @since 0.1.0
 */
export const native = (id: ChunkId, offset: number, length: number): ChunkRef =>
  Constructors.Native({ id, offset, length })

/**
 * A chunk in an object outside the repository.
 *
 * @category constructors
 * @since 0.1.0
 */
export const virtual = (ref: VirtualChunkRef.VirtualChunkRef): ChunkRef => Constructors.Virtual({ ref })

/**
 * Pattern matching over the three kinds of ref.
 *
 * @category combinators
 * @since 0.1.0
 */
export const match: typeof Constructors.$match = Constructors.$match

/**
 * Bytes of the chunk as it is stored.
 *
 * @category accessors
 * @since 0.1.0
 */
export const byteLength: (ref: ChunkRef) => number = Constructors.$match({
  Inline: ({ bytes }) => bytes.length,
  Native: ({ length }) => length,
  Virtual: ({ ref }) => ref.length
})
