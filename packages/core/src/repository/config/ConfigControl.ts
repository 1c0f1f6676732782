/**
 * How the configuration of an open repository is updated and published. What is in force is in `ConfigState`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Flexbuffer from "../../encoding/Flexbuffer.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import type { Zstd } from "../../encoding/Zstd.ts"
import { ensureWritable, type ObjectStoreShape, type WriteForbidden } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import { isObject, type Json, type JsonObject } from "../../values/Json.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as ConfigFile from "./ConfigFile.ts"
import { carried, type ConfigState, type ConfigView } from "./ConfigState.ts"
import * as IcechunkConfig from "./IcechunkConfig.ts"
import * as Publication from "./Publication.ts"
import * as Layout from "../Layout.ts"
import * as Turns from "../Turns.ts"
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
export interface ConfigControl extends ConfigView {
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
 * The configuration as what writes to a repository uses it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigWrites {
  readonly control: ConfigControl
  /** Adds an outstanding publication to a change of the repository object. */
  readonly publishAlong: (changed: Changed) => Effect.Effect<Changed, ObjectStoreError | FormatError>
  /** After such a change was written: notes what was published along. */
  readonly published: Effect.Effect<void>
}

const asObject = (json: Json): JsonObject => (isObject(json) ? json : {})

/** What the repository object is to carry after publication, or `undefined` when it does. Pure. */
const publishedInto = (info: RepoInfo, stored: ConfigFile.Stored): Result.Result<JsonObject | undefined, FormatError> =>
  Result.map(carried(info), (json) => {
    const theirs = asObject(json)
    const next = Publication.publication(stored.published, IcechunkConfig.publishable(stored.config), theirs)
    return next === theirs ? undefined : next
  })

const isSettled = (stored: ConfigFile.Stored): boolean =>
  Publication.isSettled(stored.published, IcechunkConfig.publishable(stored.config))

/**
 * How the configuration of an open repository is updated and published.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  store: ObjectStoreShape,
  state: ConfigState,
  withZstd: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Zstd>>
): ConfigWrites => {
  const { current, look, origin, take } = state
  // Updates of one program take turns, which is cheaper than losing races against each other.
  const exclusive = Turns.inTurn(store, Layout.config)
  /** An update is under way, or did not end well, so that `config.json` may not be what was read last. */
  let isInDoubt = false
  /** What the change of the repository object that is being written says of `config.json`. */
  let along: ConfigFile.Stored | undefined

  /** That it is published is written down where it can be; whoever finds it missing looks again. */
  const settle = (now: ConfigFile.Stored): Effect.Effect<void> =>
    ConfigFile.settle(store, now).pipe(
      Effect.map((settled) => state.replace(now, settled)),
      Effect.ignore
    )

  // The repository object is read before the file: whoever publishes an older file loses the race.
  const publish = Effect.gen(function* () {
    yield* ensureWritable(store)
    const from = yield* RepoObject.read(store)
    let published = state.read().stored
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
    publishAlong: Effect.fnUntraced(function* (changed) {
      along = undefined
      if (isSettled(state.read().stored) && !isInDoubt) return changed
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
      ...state.view,
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
            yield* take(state.read().info, written)
            isInDoubt = false
            return written
          })
        )
        // Whoever waited while another published everything has nothing left to do.
        yield* exclusive(Effect.suspend(() => (isSettled(state.read().stored) ? Effect.void : publish))).pipe(
          Effect.mapError(
            (cause) => new ConfigNotPublished({ store: store.description, problem: cause.message, cause })
          )
        )
        return config
      }),
      publish: exclusive(publish)
    }
  }
}
