/**
 * The configuration of an open repository: what is in force, and how it is updated and published.
 *
 * In force is, later wins: the built-in defaults, what Icechunk itself carries, `config.json`, the run-time
 * override. Design, section 5.
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
import type { Json } from "../../values/Json.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as ConfigFile from "./ConfigFile.ts"
import * as IcechunkConfig from "./IcechunkConfig.ts"
import * as Layout from "../Layout.ts"
import * as Turns from "../Turns.ts"
import type { Changed } from "../versions/RepoChange.ts"
import * as RepoChange from "../versions/RepoChange.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as Origin from "../versions/Origin.ts"
import { ConfigNotPublished } from "../RepositoryError.ts"

/**
 * What a program can do with the configuration of an open repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigControl {
  /** What is in force for sessions that are opened now. */
  readonly effective: Effect.Effect<Config.RepositoryConfig>
  /** `config.json` as it is in the store now. */
  readonly persisted: Effect.Effect<Config.RepositoryConfig, ObjectStoreError | Config.InvalidConfig>
  /**
   * Applies `f` to `config.json` until the result is written, then publishes it to other Icechunk clients.
   * `f` may run several times. Sessions that are open keep the containers that they were opened with.
   */
  readonly update: (
    f: (config: Config.RepositoryConfig) => Config.RepositoryConfig
  ) => Effect.Effect<
    Config.RepositoryConfig,
    ObjectStoreError | WriteForbidden | Config.InvalidConfig | ConfigFile.ConfigConflict | ConfigNotPublished
  >
  /** Publishes `config.json` into the repository object, if that does not say the same already. */
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
  /** What is in force without the run-time override. */
  readonly persisted: () => Config.RepositoryConfig
  /** Adds an outstanding publication to a change of the repository object. */
  readonly publishAlong: (changed: Changed) => Effect.Effect<Changed, ObjectStoreError | FormatError>
}

const configField = "config"

/** What Icechunk's own configuration says. Pure. */
const carried = (info: RepoInfo): Result.Result<Json | undefined, FormatError> =>
  info.config === undefined ? Result.succeed(undefined) : Flexbuffer.decode(Layout.repo, configField, info.config)

const publishedInto = (info: RepoInfo, config: Config.RepositoryConfig): Result.Result<Json | undefined, FormatError> =>
  Result.map(carried(info), (before) => {
    const after = IcechunkConfig.publish(before, config)
    return canonical(after) === canonical(before ?? {}) ? undefined : after
  })

/** Text that is equal for equal JSON, whatever the order of fields. */
const canonical = (json: Json): string =>
  JSON.stringify(json, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  )

/**
 * Reads `config.json`, unless it is `known`, and combines it with what the repository object carries and with
 * `override`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  info: RepoInfo,
  override: Config.RepositoryConfig,
  known?: ConfigFile.Versioned
): Effect.fn.Return<ConfigState, ObjectStoreError | Config.InvalidConfig | FormatError, Zstd> {
  const zstd = yield* Zstd
  // Updates of one program take turns, which is cheaper than losing races against each other.
  const exclusive = Turns.inTurn(store, Layout.config)
  const combine = (
    icechunk: Json | undefined,
    file: Config.RepositoryConfig
  ): Result.Result<Config.RepositoryConfig, Config.InvalidConfig> =>
    Result.map(IcechunkConfig.toConfig(`${store.description}/${Layout.repo}`, icechunk ?? {}), (base) =>
      Config.merge(base, file)
    )
  const icechunk = yield* Effect.fromResult(carried(info))
  const origin = Origin.of(info)
  const file = known ?? (yield* ConfigFile.read(store, origin))
  let persisted = yield* Effect.fromResult(combine(icechunk, file.config))
  let outstanding = (yield* Effect.fromResult(publishedInto(info, file.config))) !== undefined
  const current = (): Config.RepositoryConfig => Config.merge(persisted, override)

  // The repository object is read before the file: whoever publishes an older file loses the race.
  const publish = Effect.gen(function* () {
    outstanding = false
    const from = yield* RepoObject.read(store)
    yield* RepoObject.update(
      store,
      Effect.fnUntraced(function* (info) {
        const { config } = yield* ConfigFile.read(store, origin)
        const next = yield* Effect.fromResult(publishedInto(info, config))
        return next === undefined ? undefined : Result.getOrThrow(RepoChange.setConfig(Flexbuffer.encode(next))(info))
      }),
      {
        level: Config.compressionLevel(current()),
        updatesPerObject: Config.updatesPerRepoObject(current()),
        from
      }
    )
  }).pipe(
    Effect.onError(() => Effect.sync(() => void (outstanding = true))),
    Effect.provideService(Zstd, zstd)
  )

  return {
    current,
    persisted: () => persisted,
    publishAlong: Effect.fnUntraced(function* (changed) {
      if (!outstanding) return changed
      // A damaged `config.json` is no reason to refuse a commit; it fails where it is used.
      const file = yield* Effect.catchTag(ConfigFile.read(store, origin), "InvalidConfig", () =>
        Effect.succeed(undefined)
      )
      if (file === undefined) return changed
      const next = yield* Effect.fromResult(publishedInto(changed.info, file.config))
      outstanding = next !== undefined
      return next === undefined ? changed : { ...changed, info: { ...changed.info, config: Flexbuffer.encode(next) } }
    }),
    control: {
      effective: Effect.sync(current),
      persisted: Effect.map(ConfigFile.read(store, origin), ({ config }) => config),
      update: Effect.fn("Config.update")(function* (f) {
        const { config } = yield* exclusive(ConfigFile.update(store, f, { origin }))
        persisted = Config.merge(persisted, config)
        outstanding = true
        // Whoever waited while another published everything has nothing left to do.
        yield* exclusive(Effect.suspend(() => (outstanding ? publish : Effect.void))).pipe(
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
