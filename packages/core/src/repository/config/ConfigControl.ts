/**
 * The configuration of an open repository: what is in force, and how it is updated and published.
 *
 * In force is, later wins: the built-in defaults, what Icechunk itself carries, `config.json`, the run-time
 * override.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Flexbuffer from "../../encoding/Flexbuffer.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import { Zstd } from "../../encoding/Zstd.ts"
import type { ObjectStoreShape, WriteForbidden } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { Json, JsonObject } from "../../values/Json.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as ConfigFile from "./ConfigFile.ts"
import * as IcechunkConfig from "./IcechunkConfig.ts"
import * as Publication from "./Publication.ts"
import * as Layout from "../Layout.ts"
import * as Turns from "../Turns.ts"
import * as Origin from "../versions/Origin.ts"
import type { Changed } from "../versions/RepoChange.ts"
import * as RepoChange from "../versions/RepoChange.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import { ConfigNotPublished } from "../RepositoryError.ts"

/**
 * What the function of an update returns: a configuration without fields that there are not.
 *
 * @category models
 * @since 0.1.0
 */
export type Closed<Returned extends Config.RepositoryConfig> = Returned & {
  readonly [Field in Exclude<keyof Returned, keyof Config.RepositoryConfig>]: never
}

/**
 * Why an update of the configuration can fail.
 *
 * @category errors
 * @since 0.1.0
 */
export type UpdateError =
  | ObjectStoreError
  | WriteForbidden
  | FormatError
  | Config.InvalidConfig
  | ConfigFile.ConfigConflict
  | ConfigFile.ConfigOutcomeUnknown
  | ConfigNotPublished

/**
 * What a program can do with the configuration of an open repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigControl {
  /**
   * What is in force, defaults included, as it was when the repository or its last session was opened, or the
   * configuration was last updated here. Makes no request.
   */
  readonly effective: Effect.Effect<Config.RepositoryConfig>
  /** `config.json` as it is in the store now. */
  readonly persisted: Effect.Effect<Config.RepositoryConfig, ObjectStoreError | Config.InvalidConfig>
  /**
   * Applies `f` to `config.json` until the result is written, then publishes it to other Icechunk clients: a field that
   * `f` leaves out is removed there too. An update that changes nothing is not written. `f` may run several times.
   * Sessions that are open keep the containers that they were opened with; their commits follow the new configuration.
   *
   * Fails with `InvalidConfig` when the result is malformed, has a field that does not exist or misses a container, with
   * `ConfigConflict` when others are always faster, and nothing has changed then; with `ConfigOutcomeUnknown` it may have.
   * After `ConfigNotPublished` it is saved, and the next change of the repository publishes it.
   */
  readonly update: <Returned extends Config.RepositoryConfig>(
    f: (config: Config.RepositoryConfig) => Closed<Returned>
  ) => Effect.Effect<Config.RepositoryConfig, UpdateError>
  /**
   * Publishes `config.json` into the repository object, as far as that does not say so already. What another client has
   * changed there since stays as it is.
   */
  readonly publish: Effect.Effect<void, Config.InvalidConfig | RepoObject.UpdateError>
}

/**
 * The configuration as the parts of a repository use it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigState {
  readonly control: ConfigControl
  /** What is in force. */
  readonly current: () => Config.RepositoryConfig
  /** What is persisted, in `config.json` or by Icechunk itself: in force without the defaults and the override. */
  readonly persisted: () => Config.RepositoryConfig
  /** The run-time override. */
  readonly override: Config.RepositoryConfig
  /**
   * Reads the newest `config.json` while `info` is read, and takes over what both say. A file that has not changed is not
   * sent again.
   */
  readonly beside: <E, R>(
    info: Effect.Effect<RepoObject.Versioned, E, R>
  ) => Effect.Effect<RepoObject.Versioned, E | ObjectStoreError | FormatError | Config.InvalidConfig, R>
  /** Adds an outstanding publication to a change of the repository object. */
  readonly publishAlong: (changed: Changed) => Effect.Effect<Changed, ObjectStoreError | FormatError>
  /** After such a change was written: notes what was published along. */
  readonly published: Effect.Effect<void>
}

const configField = "config"

/** What Icechunk's own configuration says. Pure. */
const carried = (info: RepoInfo): Result.Result<Json, FormatError> =>
  info.config === undefined ? Result.succeed({}) : Flexbuffer.decode(Layout.repo, configField, info.config)

const asObject = (json: Json): JsonObject => (IcechunkConfig.isObject(json) ? json : {})

/** What the repository object is to carry after publication, or `undefined` when it does. Pure. */
const publishedInto = (info: RepoInfo, stored: ConfigFile.Stored): Result.Result<JsonObject | undefined, FormatError> =>
  Result.map(carried(info), (json) => {
    const theirs = asObject(json)
    const next = Publication.publication(stored.published, IcechunkConfig.publishable(stored.config), theirs)
    return next === theirs ? undefined : next
  })

const isSettled = (stored: ConfigFile.Stored): boolean =>
  Publication.isSettled(stored.published, IcechunkConfig.publishable(stored.config))

/** What is persisted: `config.json` over what Icechunk carries. Pure. */
const combine = (
  store: ObjectStoreShape,
  info: RepoInfo,
  stored: ConfigFile.Stored
): Result.Result<Config.RepositoryConfig, Config.InvalidConfig | FormatError> =>
  Result.flatMap(carried(info), (json): Result.Result<Config.RepositoryConfig, Config.InvalidConfig> =>
    Result.map(IcechunkConfig.toConfig(`${store.description}/${Layout.repo}`, json), (base) =>
      Config.merge(base, stored.config)
    )
  )

/**
 * The configuration of a repository whose object and `config.json` were read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  read: { readonly info: RepoInfo; readonly stored: ConfigFile.Stored },
  override: Config.RepositoryConfig
): Effect.fn.Return<ConfigState, Config.InvalidConfig | FormatError, Zstd> {
  const zstd = yield* Zstd
  const withZstd = Effect.provideService(Zstd, zstd)
  // Updates of one program take turns, which is cheaper than losing races against each other.
  const exclusive = Turns.inTurn(store, Layout.config)
  let info = read.info
  const origin = Origin.of(info)
  let stored = yield* Effect.fromResult(ConfigFile.belonging(store, read.stored, origin))
  let persisted = yield* Effect.fromResult(combine(store, info, stored))
  /** An update is under way, or did not end well, so that `config.json` may not be what was read last. */
  let isInDoubt = false
  /** What the change of the repository object that is being written says of `config.json`. */
  let along: ConfigFile.Stored | undefined
  const current = (): Config.RepositoryConfig => Config.merge(Config.merge(Config.defaults, persisted), override)

  const take = Effect.fnUntraced(function* (newInfo: RepoInfo, newStored: ConfigFile.Stored) {
    persisted = yield* Effect.fromResult(combine(store, newInfo, newStored))
    info = newInfo
    stored = newStored
  })

  /** The newest file. */
  const look = Effect.gen(function* () {
    for (;;) {
      const known = stored
      const file = yield* ConfigFile.readStored(store, known, origin)
      // Somebody else in this program may have looked, or updated it, since this one was asked for.
      if (stored === known) return file
    }
  })

  /** That it is published is written down where it can be; whoever finds it missing looks again. */
  const settle = (now: ConfigFile.Stored): Effect.Effect<void> =>
    ConfigFile.settle(store, now).pipe(
      Effect.map((settled) => {
        if (stored === now) stored = settled
      }),
      Effect.ignore
    )

  // The repository object is read before the file: whoever publishes an older file loses the race.
  const publish = Effect.gen(function* () {
    const from = yield* RepoObject.read(store)
    let published = stored
    const { info: written } = yield* RepoObject.update(
      store,
      Effect.fnUntraced(function* (info) {
        published = yield* ConfigFile.readStored(store, published, origin)
        const next = yield* Effect.fromResult(publishedInto(info, published))
        return next === undefined ? undefined : Result.getOrThrow(RepoChange.setConfig(Flexbuffer.encode(next))(info))
      }),
      {
        updatesPerObject: Config.updatesPerRepoObject(current()),
        from
      }
    )
    yield* take(written, published)
    yield* settle(published)
  }).pipe(withZstd)

  return {
    current,
    override,
    persisted: () => persisted,
    beside: Effect.fnUntraced(function* (read) {
      // What is wrong with the repository itself is said first.
      const [found, file] = yield* Effect.all([read, Effect.result(look)], { concurrency: 2 })
      yield* take(found.info, yield* Effect.fromResult(file))
      return found
    }),
    publishAlong: Effect.fnUntraced(function* (changed) {
      along = undefined
      if (isSettled(stored) && !isInDoubt) return changed
      // A damaged `config.json` does not stop a commit; it fails where it is used.
      const file = yield* look.pipe(
        Effect.tap((file) => take(changed.info, file)),
        Effect.catchTag("InvalidConfig", () => Effect.succeed(undefined))
      )
      if (file === undefined) return changed
      isInDoubt = false
      const next = yield* Effect.fromResult(publishedInto(changed.info, file))
      along = file
      return next === undefined ? changed : { ...changed, info: { ...changed.info, config: Flexbuffer.encode(next) } }
    }),
    published: Effect.suspend(() => {
      const now = along
      along = undefined
      return now === undefined ? Effect.void : settle(now)
    }),
    control: {
      effective: Effect.sync(current),
      persisted: Effect.map(ConfigFile.readStored(store, undefined, origin), ({ config }) => config),
      update: Effect.fn("Config.update")(function* (f) {
        const seen = RepoObject.read(store).pipe(
          Effect.tap(({ info }) => RepoObject.ensureOnline(store, info)),
          Effect.flatMap(({ info }) => Effect.fromResult(carried(info))),
          Effect.map(asObject),
          withZstd
        )
        const { config } = yield* exclusive(
          Effect.gen(function* () {
            // Until it is known what became of it: whoever is interrupted here may have written.
            isInDoubt = true
            const written = yield* ConfigFile.update(store, f, { carried: seen, origin })
            yield* take(info, written)
            isInDoubt = false
            return written
          })
        )
        // Whoever waited while another published everything has nothing left to do.
        yield* exclusive(Effect.suspend(() => (isSettled(stored) ? Effect.void : publish))).pipe(
          Effect.mapError(
            (cause) => new ConfigNotPublished({ store: store.description, problem: cause.message, cause })
          )
        )
        return config
      }),
      publish: exclusive(publish)
    }
  }
})
