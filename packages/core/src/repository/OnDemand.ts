/**
 * What many programs that read never ask of a repository: loaded when it is asked, so that a web page is smaller by it. A
 * page that cannot load it meets a defect.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { DecodeValue } from "../format/Metadata.ts"
import type { ChunkRefColumns } from "../format/manifest/ChunkRefColumns.ts"
import type { ChunkIndex } from "../values/ChunkIndex.ts"
import type { JsonObject } from "../values/Json.ts"
import type { InvalidMetadata } from "../values/ZarrMetadata.ts"
import type { AssetError } from "./Assets.ts"
import type { ArrayNode, ReadContext } from "./ChunkReads.ts"
import type * as ChunkStream from "./ChunkStream.ts"
import type * as Configs from "./Configs.ts"
import type { DependencyQueries } from "./Dependencies.ts"
import type * as Preload from "./Preload.ts"
import type { SnapshotView } from "./SnapshotView.ts"
import type { Versioned } from "./versions/RepoObject.ts"
import type * as Spec1 from "./versions/Spec1.ts"
import type * as Virtual from "./Virtual.ts"

/** Loads a module. Who has waited for it once need not wait again. */
const once = <A>(load: () => Promise<A>): Effect.Effect<A> => {
  let known: A | undefined
  return Effect.suspend(() =>
    known === undefined ? Effect.map(Effect.promise(load), (loaded) => (known = loaded)) : Effect.succeed(known)
  )
}

const loaded = /*#__PURE__*/ once(() => import("./Queries.ts"))

const loadedPreload = /*#__PURE__*/ once(() => import("./Preload.ts"))

const loadedMsgpack = /*#__PURE__*/ once(() => import("../encoding/Msgpack.ts"))

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
 * `Attributes.of`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const attributes = (path: string, zarrJson: Uint8Array): Effect.Effect<JsonObject, InvalidMetadata> =>
  Effect.flatMap(loaded, ({ Attributes }) => Effect.fromResult(Attributes.of(path, zarrJson)))

/**
 * `Spec1.open`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openSpec1 = (...options: Parameters<typeof Spec1.open>): ReturnType<typeof Spec1.open> =>
  Effect.flatMap(loaded, ({ Spec1 }) => Spec1.open(...options))

const queries = <E>(load: Effect.Effect<DependencyQueries, AssetError | E>): DependencyQueries<E> => ({
  virtualLocations: (query) => Stream.unwrap(Effect.map(load, ({ virtualLocations }) => virtualLocations(query))),
  dependencies: Effect.flatMap(load, ({ dependencies }) => dependencies),
  verifyVirtualChunks: (options) =>
    Stream.unwrap(Effect.map(load, ({ verifyVirtualChunks }) => verifyVirtualChunks(options)))
})

/** What asks of virtual chunks, with the way to them. */
const withResolver = (context: ReadContext) =>
  Effect.suspend(() => Effect.all([loaded, context.virtual.resolver], { concurrency: 2 }))

/**
 * `SessionQueries.dependencies`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sessionDependencies = (context: ReadContext, currentChanges: () => SnapshotView): DependencyQueries =>
  queries(
    Effect.map(withResolver(context), ([{ SessionQueries }, resolver]) =>
      SessionQueries.dependencies(context, resolver, currentChanges)
    )
  )

/**
 * `HistoryDependencies.queries`, over the repository object that is read whenever they are asked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const historyDependencies = <E>(
  context: ReadContext,
  repo: Effect.Effect<Versioned, AssetError | E>
): DependencyQueries<E> =>
  queries(
    Effect.zipWith(withResolver(context), repo, ([{ HistoryDependencies }, resolver], now) =>
      HistoryDependencies.queries(context, resolver, Effect.succeed(now))
    )
  )

/**
 * `Preload.run`, which fails never: what cannot be loaded or read is read when it is needed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const preload = (...options: Parameters<typeof Preload.run>): Effect.Effect<void> =>
  loadedPreload.pipe(
    Effect.flatMap(({ run }) => run(...options)),
    Effect.ignoreCause
  )

/**
 * `Msgpack.decode`, for the metadata of snapshots of spec 1, which repositories have that were migrated.
 *
 * @category constructors
 * @since 0.1.0
 */
export const decodeSpec1Value: Effect.Effect<DecodeValue> = /*#__PURE__*/ Effect.map(
  loadedMsgpack,
  ({ decode }) => decode
)

/**
 * What decodes and checks configurations.
 *
 * @category constructors
 * @since 0.1.0
 */
export const configs: Effect.Effect<typeof Configs> = /*#__PURE__*/ once(() => import("./Configs.ts"))

/**
 * What is between a ref in a container and its bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const virtual: Effect.Effect<typeof Virtual> = /*#__PURE__*/ once(() => import("./Virtual.ts"))
