/**
 * What many programs that read never ask of a repository: loaded when it is asked, so that a web page is smaller by it. A
 * page that cannot load it meets a defect.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import type { JsonObject } from "../values/Json.ts"
import type { InvalidMetadata } from "../values/ZarrMetadata.ts"
import type { AssetError } from "./Assets.ts"
import type { ArrayNode, ReadContext } from "./ChunkReads.ts"
import type * as ChunkStream from "./ChunkStream.ts"
import type { DependencyQueries } from "./Dependencies.ts"
import type { SnapshotView } from "./SnapshotView.ts"
import type { Versioned } from "./versions/RepoObject.ts"

const loaded = Effect.promise(() => import("./Queries.ts"))

/**
 * `ChunkStream.make`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunks = (...options: Parameters<typeof ChunkStream.make>): ReturnType<typeof ChunkStream.make> =>
  Stream.unwrap(Effect.map(loaded, ({ ChunkStream }) => ChunkStream.make(...options)))

/**
 * `SessionQueries.indicesOf`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunkIndices = (
  context: ReadContext,
  array: ArrayNode,
  columns: ChunkRefColumns | undefined
): Stream.Stream<ChunkIndex, AssetError> =>
  Stream.unwrap(Effect.map(loaded, ({ SessionQueries }) => SessionQueries.indicesOf(context, array, columns)))

/**
 * `ZarrMetadata.attributes`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const attributes = (path: string, zarrJson: Uint8Array): Effect.Effect<JsonObject, InvalidMetadata> =>
  Effect.flatMap(loaded, ({ ZarrMetadata }) => Effect.fromResult(ZarrMetadata.attributes(path, zarrJson)))

const queries = (load: Effect.Effect<DependencyQueries>): DependencyQueries => ({
  virtualLocations: (query) => Stream.unwrap(Effect.map(load, ({ virtualLocations }) => virtualLocations(query))),
  dependencies: Effect.flatMap(load, ({ dependencies }) => dependencies),
  verifyVirtualChunks: (options) =>
    Stream.unwrap(Effect.map(load, ({ verifyVirtualChunks }) => verifyVirtualChunks(options)))
})

/**
 * `SessionQueries.dependencies`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sessionDependencies = (context: ReadContext, currentChanges: () => SnapshotView): DependencyQueries =>
  queries(Effect.map(loaded, ({ SessionQueries }) => SessionQueries.dependencies(context, currentChanges)))

/**
 * `HistoryDependencies.queries`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const historyDependencies = (
  context: ReadContext,
  repo: Effect.Effect<Versioned, AssetError>
): DependencyQueries =>
  queries(Effect.map(loaded, ({ HistoryDependencies }) => HistoryDependencies.queries(context, repo)))
