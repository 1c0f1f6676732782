/**
 * Opens repositories to read them. Nothing that writes is in the modules that this one needs, which makes a web page that
 * only reads half as large; `Repository` opens them to write, too. The store comes from the context, as a Layer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { FormatError } from "../encoding/FormatError.ts"
import type { Zstd } from "../encoding/Zstd.ts"
import type * as RepoInfo from "../format/RepoInfo.ts"
import * as ObjectStore from "../store/ObjectStore.ts"
import type { ObjectStoreError } from "../store/ObjectStoreError.ts"
import type * as RangePlan from "../store/RangePlan.ts"
import type * as Credentials from "../values/Credentials.ts"
import type * as ObjectId from "../values/ObjectId.ts"
import type * as Config from "../values/RepositoryConfig.ts"
import type * as ChunkResolver from "../virtual/ChunkResolver.ts"
import type * as ContainerMatch from "../virtual/ContainerMatch.ts"
import type { Platforms } from "../virtual/Platform.ts"
import type { AssetError } from "./Assets.ts"
import type { ConfigView } from "./config/ConfigState.ts"
import type * as Dependencies from "./Dependencies.ts"
import * as Layout from "./Layout.ts"
import * as OnDemand from "./OnDemand.ts"
import * as Opening from "./Opening.ts"
import type { RepositoryNotFound, RepositoryOffline, UnsupportedSpecVersion } from "./RepositoryError.ts"
import type * as Session from "./Session.ts"
import type { RefNotFound } from "./versions/RepoChange.ts"
import type { NoSnapshotAsOf, VersionRef } from "./versions/Version.ts"

export type { VersionRef } from "./versions/Version.ts"

/**
 * How a repository is opened. Nothing of this is persisted.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenOptions {
  /**
   * By container name: credentials, for containers at their platform's own endpoint or the repository's; or a
   * `Credentials.grant` that names further endpoints, or fewer places. Every name is that of a container.
   */
  readonly credentials?: Readonly<Record<string, Credentials.Entry>> | undefined
  /**
   * Whether containers on the repository's own platform and endpoint may be read with the repository's
   * credentials (default `same-endpoint`), or need an entry of their own (`strict`).
   */
  readonly credentialsFallback?: "same-endpoint" | "strict" | undefined
  /** Wins over the persisted configuration, field by field and container by container. */
  readonly config?: Config.RepositoryConfig | undefined
  /** Names of containers that this program does not read. */
  readonly withoutContainers?: ReadonlyArray<string> | undefined
  /** What a changed object does to a read (default `fail`). */
  readonly checks?: ChunkResolver.ChecksumPolicy | undefined
  /** How reads of one object are merged. */
  readonly rangePlan?: RangePlan.Options | undefined
  /** Bytes of chunks that are asked for at once (default 64 MiB); a single larger chunk is read alone. */
  readonly maxBytesInFlight?: number | undefined
  /** How long an unused client of a container is kept (default one minute). */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/**
 * Why a repository could not be opened.
 *
 * @category errors
 * @since 0.1.0
 */
export type OpenError =
  | RepositoryNotFound
  | UnsupportedSpecVersion
  | Config.InvalidConfig
  | ContainerMatch.UnknownContainer
  | ObjectStoreError
  | FormatError

/**
 * An open repository, as far as it is read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadonlyRepositoryShape {
  /** The store, as it names itself. */
  readonly description: string
  readonly config: ConfigView
  /** The containers in the order in which they are matched, with where each came from. */
  readonly containers: Effect.Effect<ReadonlyArray<ContainerMatch.SourcedContainer>>
  /**
   * Where each container is, and whether credentials have to be passed for it. Needs no credentials and makes no
   * request.
   */
  readonly containerAccess: Effect.Effect<ReadonlyArray<Dependencies.ContainerAccess>>
  /** What all snapshots together depend on; a session has the same of its snapshot alone. */
  readonly wholeHistory: Dependencies.DependencyQueries<RepositoryOffline>
  /**
   * Opens a version to read, with the configuration as it is now. Fails with `RepositoryOffline` when the repository has
   * been set offline: sessions that are open then stay so. Fails with `InvalidConfig` when `config.json` is
   * damaged: which bytes a virtual chunk is read from depends on it.
   */
  readonly readonlySession: (
    version: VersionRef
  ) => Effect.Effect<
    Session.Session,
    RefNotFound | NoSnapshotAsOf | RepositoryOffline | Config.InvalidConfig | AssetError
  >
  readonly branches: Effect.Effect<ReadonlyMap<string, ObjectId.SnapshotId>, AssetError>
  readonly tags: Effect.Effect<ReadonlyMap<string, ObjectId.SnapshotId>, AssetError>
  /** A version and those before it, newest first. */
  readonly history: (
    version: VersionRef
  ) => Effect.Effect<ReadonlyArray<RepoInfo.SnapshotInfo>, RefNotFound | NoSnapshotAsOf | AssetError>
}

/**
 * An open repository, for programs that take it from the context and only read it.
 *
 * @category services
 * @since 0.1.0
 */
export class ReadonlyRepository
  extends /*#__PURE__*/ Context.Service<ReadonlyRepository, ReadonlyRepositoryShape>()(
    "@effect-icechunk/core/ReadonlyRepository"
  ) {}

/** What opening needs from the context. */
type Services = ObjectStore.ObjectStore | Platforms | Zstd

/**
 * Whether the store holds a repository.
 *
 * @category reading
 * @since 0.1.0
 */
export const exists: Effect.Effect<boolean, ObjectStoreError, ObjectStore.ObjectStore> = Effect.flatMap(
  ObjectStore.ObjectStore,
  (store) =>
    Effect.flatMap(ObjectStore.exists(store, Layout.repo), (isThere) =>
      isThere ? Effect.succeed(true) : Opening.hasSpec1(store)
    )
)

/**
 * Opens the repository of the store in the context. Clients of containers are released with the Scope.
 *
 * @example
 * ```ts
 * const repository = yield* ReadonlyRepository.open()
 * const session = yield* repository.readonlySession({ tag: "v1" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const open: (
  options?: OpenOptions
) => Effect.Effect<ReadonlyRepositoryShape, OpenError, Services | Scope.Scope> = /*#__PURE__*/ Effect.fn(
  "ReadonlyRepository.open"
)(function* (options = {}) {
  const { shape } = yield* Opening.connect(options, yield* Opening.read, OnDemand.virtual)
  return shape
})

/**
 * Opens the repository as a service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: OpenOptions): Layer.Layer<ReadonlyRepository, OpenError, Services> =>
  Layer.effect(ReadonlyRepository, open(options))
