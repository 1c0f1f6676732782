/**
 * Virtual refs of a session: one, many in columns, or as they come.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import * as ChunkIndices from "../values/ChunkIndex.ts"
import type { InvalidLocation } from "../values/Location.ts"
import type { VirtualChunkRef } from "../values/VirtualChunkRef.ts"
import * as VirtualChunkRefs from "../values/VirtualChunkRef.ts"
import type { MissingContainer } from "../virtual/ContainerMatch.ts"
import * as ChunkChanges from "./ChunkChanges.ts"
import { gridShape } from "./ChunkReads.ts"
import type { Editing } from "./NodeEdits.ts"
import * as Session from "./Session.ts"
import { type InvalidIndex, type InvalidPath, InvalidVirtualRef, type NodeNotFound } from "./SessionError.ts"
import * as VirtualRefStream from "./VirtualRefStream.ts"
import * as VirtualRefs from "./VirtualRefs.ts"

/**
 * Why virtual refs can be refused. Nothing was set then.
 *
 * @category errors
 * @since 0.1.0
 */
export type SetVirtualRefError =
  | NodeNotFound
  | InvalidPath
  | InvalidIndex
  | InvalidVirtualRef
  | InvalidLocation
  | MissingContainer

/**
 * What can be done with virtual refs.
 *
 * @category models
 * @since 0.1.0
 */
export interface VirtualRefEdits {
  /**
   * Points a chunk at bytes outside the repository. Makes a request only to capture a checksum.
   *
   * @example
   * ```ts
   * const ref = { location: "s3://model-output/runs/1.nc", offset: 4096, length: 65536 }
   * yield* session.setVirtualRef("/wind", [0, 0], ref, { capture: true })
   * ```
   */
  readonly setVirtualRef: {
    (
      path: string,
      index: ChunkIndex,
      ref: VirtualChunkRef,
      options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
    ): Effect.Effect<void, SetVirtualRefError>
    (
      path: string,
      index: ChunkIndex,
      ref: VirtualChunkRef,
      options?: VirtualRefs.SetOptions
    ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  }
  /**
   * Points many chunks of an array at bytes outside the repository: all of them or none. The columns are copied.
   * Makes requests only to capture checksums.
   */
  readonly setVirtualRefs: {
    (
      path: string,
      refs: VirtualRefs.VirtualRefs,
      options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
    ): Effect.Effect<void, SetVirtualRefError>
    (
      path: string,
      refs: VirtualRefs.VirtualRefs,
      options?: VirtualRefs.SetOptions
    ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  }
  /**
   * The same for refs that come one by one, from a stream or an iterable: all of them or none, also when the stream fails.
   * Of two for one chunk the later counts. Only columns of them are held.
   */
  readonly setVirtualRefsFrom: {
    <E = never, R = never>(
      path: string,
      refs: VirtualRefStream.Source<E, R>,
      options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
    ): Effect.Effect<void, SetVirtualRefError | E, R>
    <E = never, R = never>(
      path: string,
      refs: VirtualRefStream.Source<E, R>,
      options?: VirtualRefs.SetOptions
    ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError | E, R>
  }
}

/**
 * The virtual refs of a session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  editing: Pick<Editing, "current" | "exclusive">,
  virtual: Session.SessionContext["virtual"]
): VirtualRefEdits => {
  const { current, exclusive } = editing
  const { changeChunk, stillThere } = ChunkChanges.make(editing)

  function setVirtualRef(
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
  ): Effect.Effect<void, SetVirtualRefError>
  function setVirtualRef(
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  function setVirtualRef(
    path: string,
    index: ChunkIndex,
    ref: VirtualChunkRef,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError> {
    return changeChunk(
      path,
      index,
      Effect.fnUntraced(function* ({ array, index }) {
        const { checksum: given, length, location: wanted, offset } = ref
        const problem = VirtualChunkRefs.problem(offset, length)
        if (problem !== undefined) {
          return yield* new InvalidVirtualRef({ path: array.path, at: ChunkIndices.format(index), problem })
        }
        const resolver = yield* virtual.resolver
        const { checksum, location } = yield* VirtualRefs.prepare(resolver, array.path, wanted, given, options)
        return (columns: ChunkRefColumns) => columns.setVirtual(index, { location, offset, length, checksum })
      })
    )
  }

  function setVirtualRefs(
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions & { readonly capture?: false | undefined }
  ): Effect.Effect<void, SetVirtualRefError>
  function setVirtualRefs(
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError>
  function setVirtualRefs(
    path: string,
    refs: VirtualRefs.VirtualRefs,
    options?: VirtualRefs.SetOptions
  ): Effect.Effect<void, SetVirtualRefError | VirtualRefs.CaptureError> {
    return Effect.gen(function* () {
      const array = yield* Session.findArray(current(), path)
      const grid = gridShape(array.data)
      const prepared = yield* VirtualRefs.prepareAll(yield* virtual.resolver, array.path, refs, grid, options)
      yield* exclusive(
        Effect.gen(function* () {
          const now = gridShape((yield* stillThere(array)).data)
          const problem = now.every((chunks, axis) => chunks >= grid[axis]!)
            ? undefined
            : VirtualRefs.indexProblem(array.path, prepared.indices, now)
          if (problem !== undefined) return yield* problem
          current()
            .chunksForWriting(array.id, () => new ChunkRefColumns(grid.length))
            .setVirtualBulk(prepared, { keep: true })
        })
      )
    }).pipe(Effect.withSpan("Session.setVirtualRefs"))
  }

  return {
    setVirtualRef,
    setVirtualRefs,
    setVirtualRefsFrom: <E, R>(
      path: string,
      refs: VirtualRefStream.Source<E, R>,
      options?: VirtualRefs.SetOptions
    ): Effect.Effect<void, SetVirtualRefError | E, R> =>
      Effect.gen(function* () {
        const array = yield* Session.findArray(current(), path)
        const columns = yield* VirtualRefStream.gather(array.path, gridShape(array.data), refs)
        // What capturing can meet is said by the types of those who capture.
        yield* setVirtualRefs(path, columns, options as VirtualRefs.SetOptions & { readonly capture?: false })
      })
  }
}
