/**
 * The configuration of an open repository: what is in force.
 *
 * That is, later wins: the built-in defaults, what Icechunk itself carries, `config.json`, the run-time override.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Flexbuffer from "../../encoding/Flexbuffer.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import type { ObjectStoreShape } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as Json from "../../values/Json.ts"
import * as EffectiveConfig from "../../values/EffectiveConfig.ts"
import type * as Config from "../../values/RepositoryConfig.ts"
import * as Layout from "../Layout.ts"
import * as OnDemand from "../OnDemand.ts"
import * as Origin from "../versions/Origin.ts"
import type { Versioned } from "../versions/RepoObject.ts"
import * as StoredConfig from "./StoredConfig.ts"

/**
 * What a program that reads sees of the configuration of an open repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigView {
  /**
   * What is in force, defaults included, as it was when the repository or its last session was opened, or the
   * configuration was last updated here. Makes no request.
   */
  readonly effective: Effect.Effect<Config.RepositoryConfig>
  /** `config.json` as it is in the store now. */
  readonly persisted: Effect.Effect<Config.RepositoryConfig, ObjectStoreError | Config.InvalidConfig>
}

/** What was read last. */
interface Read {
  readonly info: RepoInfo
  readonly stored: StoredConfig.Stored
}

/**
 * The configuration as the parts of a repository use it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigState {
  readonly view: ConfigView
  /** What is in force. */
  readonly current: () => Config.RepositoryConfig
  /** What is persisted, in `config.json` or by Icechunk itself: in force without the defaults and the override. */
  readonly persisted: () => Config.RepositoryConfig
  /** The run-time override. */
  readonly override: Config.RepositoryConfig
  /** The repository that `config.json` has to be of. */
  readonly origin: ReturnType<typeof Origin.of>
  /** The repository object and the file that are in force. */
  readonly read: () => Read
  /** Takes over what both say. */
  readonly take: (
    info: RepoInfo,
    stored: StoredConfig.Stored
  ) => Effect.Effect<void, Config.InvalidConfig | FormatError>
  /** The same file with other notes takes the place of `known`, unless that is not the newest any more. */
  readonly replace: (known: StoredConfig.Stored, settled: StoredConfig.Stored) => void
  /** The newest file. */
  readonly look: Effect.Effect<StoredConfig.Stored, ObjectStoreError | Config.InvalidConfig>
  /**
   * Reads the newest `config.json` while `info` is read, and takes over what both say. A file that has not changed is not
   * sent again.
   */
  readonly beside: <E, R>(
    info: Effect.Effect<Versioned, E, R>
  ) => Effect.Effect<Versioned, E | ObjectStoreError | FormatError | Config.InvalidConfig, R>
}

const configField = "config"

/**
 * What Icechunk's own configuration says. Pure.
 *
 * @category decoding
 * @since 0.1.0
 */
export const carried = (info: RepoInfo): Result.Result<Json.Json, FormatError> =>
  info.config === undefined ? Result.succeed({}) : Flexbuffer.decode(Layout.repo, configField, info.config)

/** Whether Icechunk's own configuration leaves everything as it is by default. */
const isUnconfigured = (json: Json.Json): boolean =>
  Json.isObject(json) &&
  Object.entries(json).every(
    ([name, value]) =>
      value === null ||
      value === undefined ||
      (name === "virtual_chunk_containers" && Json.isObject(value) && Object.keys(value).length === 0)
  )

/** What is persisted: `config.json` over what Icechunk carries. */
const combine = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  carriedIn: typeof carried,
  info: RepoInfo,
  stored: StoredConfig.Stored
): Effect.fn.Return<Config.RepositoryConfig, Config.InvalidConfig | FormatError> {
  const json = yield* Effect.fromResult(carriedIn(info))
  if (isUnconfigured(json)) return stored.config
  const { IcechunkConfig } = yield* OnDemand.configs
  const base = yield* Effect.fromResult(IcechunkConfig.toConfig(`${store.description}/${Layout.repo}`, json))
  return EffectiveConfig.merge(base, stored.config)
})

/**
 * The configuration of a repository whose object and `config.json` were read. `carriedIn` says what Icechunk's own
 * configuration is, where the repository object does not say it itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  read: Read,
  override: Config.RepositoryConfig,
  carriedIn: typeof carried = carried
): Effect.fn.Return<ConfigState, Config.InvalidConfig | FormatError> {
  let info = read.info
  const origin = Origin.of(info)
  let stored = yield* StoredConfig.belonging(store, read.stored, origin)
  let persisted = yield* combine(store, carriedIn, info, stored)
  // Asked for several times in a commit, and with each chunk.
  let effective: { readonly of: Config.RepositoryConfig; readonly config: Config.RepositoryConfig } | undefined
  const current = (): Config.RepositoryConfig => {
    if (effective?.of !== persisted) {
      effective = {
        of: persisted,
        config: EffectiveConfig.merge(EffectiveConfig.merge(EffectiveConfig.defaults, persisted), override)
      }
    }
    return effective.config
  }

  const take: ConfigState["take"] = Effect.fnUntraced(function* (newInfo, newStored) {
    persisted = yield* combine(store, carriedIn, newInfo, newStored)
    info = newInfo
    stored = newStored
  })

  const look: ConfigState["look"] = Effect.gen(function* () {
    for (;;) {
      const known = stored
      const file = yield* StoredConfig.readStored(store, known, origin)
      // Somebody else in this program may have looked, or updated it, since this one was asked for.
      if (stored === known) return file
    }
  })

  return {
    view: {
      effective: Effect.sync(current),
      persisted: Effect.map(StoredConfig.readStored(store, undefined, origin), ({ config }) => config)
    },
    current,
    override,
    persisted: () => persisted,
    origin,
    read: () => ({ info, stored }),
    take,
    replace: (known, settled) => {
      if (stored === known) stored = settled
    },
    look,
    beside: Effect.fnUntraced(function* (read) {
      // What is wrong with the repository itself is said first.
      const [found, file] = yield* Effect.all([read, Effect.result(look)], { concurrency: 2 })
      yield* take(found.info, yield* Effect.fromResult(file))
      return found
    })
  }
})
