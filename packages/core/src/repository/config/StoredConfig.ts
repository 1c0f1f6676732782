/**
 * `config.json`, read. What decodes it is loaded when it says anything.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as ObjectStore from "../../store/ObjectStore.ts"
import { hasReason, isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import { InvalidConfig, jsonOf } from "../../values/InvalidConfig.ts"
import * as Json from "../../values/Json.ts"
import type * as Config from "../../values/RepositoryConfig.ts"
import * as Layout from "../Layout.ts"
import * as OnDemand from "../OnDemand.ts"
import type * as Origin from "../versions/Origin.ts"
import type * as Publication from "./Publication.ts"

/**
 * The configuration with the version it was read at; `undefined` before the first write.
 *
 * @category models
 * @since 0.1.0
 */
export interface Versioned {
  readonly config: Config.RepositoryConfig
  readonly version: ObjectStore.Version | undefined
}

/**
 * All that `config.json` says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored extends Versioned {
  /** What may be published of it; see `Publication`. */
  readonly published: Publication.Base
  readonly recentWrites: ReadonlyArray<string>
  /** The creation of a repository that the file belongs to; see `Origin`. */
  readonly creation: string | undefined
}

/** @category constants @since 0.1.0 */
export const recentWritesField = "recent_writes"
/** @category constants @since 0.1.0 */
export const publishedField = "published"
/** @category constants @since 0.1.0 */
export const creationField = "creation"

const decoder = new TextDecoder("utf-8", { fatal: true })
/** The largest `config.json` that is read, in bytes. */
const maxBytes = 16 * 1024 * 1024

const isListOf =
  <A extends Json.Json>(isItem: (item: Json.Json) => item is A) =>
  (value: unknown): value is ReadonlyArray<A> =>
    Array.isArray(value) && value.every(isItem)
const isIds = isListOf((item) => typeof item === "string")
const isConfigs = isListOf(Json.isObject)

/**
 * Whether a file says nothing but that nothing is configured: all that is in it are our own notes. Nothing is loaded to read it.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isUnconfigured = (json: unknown): json is Json.JsonObject =>
  Json.isObject(json) &&
  Object.entries(json).every(([name, value]) =>
    name === publishedField
      ? isConfigs(value) && value.every((one) => Object.keys(one).length === 0)
      : name === recentWritesField || name === creationField
  )

const decode = Effect.fnUntraced(function* (
  source: string,
  bytes: Uint8Array
): Effect.fn.Return<Omit<Stored, "version">, InvalidConfig> {
  const wrong = (field: string, problem: string): InvalidConfig => new InvalidConfig({ source, field, problem })
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return yield* wrong("(whole file)", "it is not UTF-8 text")
  }
  const json = yield* Effect.fromResult(jsonOf(source, text))
  const { additional_fields, ...config }: Config.RepositoryConfig = isUnconfigured(json)
    ? { additional_fields: json }
    : yield* Effect.flatMap(OnDemand.configs, ({ ConfigJson }) => Effect.fromResult(ConfigJson.fromJson(source, json)))
  const {
    [recentWritesField]: recentWrites = [],
    [publishedField]: published = [],
    [creationField]: creation,
    ...others
  } = additional_fields ?? {}
  if (!isIds(recentWrites)) return yield* wrong(recentWritesField, "it is not a list of strings")
  if (!isConfigs(published)) return yield* wrong(publishedField, "it is not a list of objects")
  if (creation !== undefined && typeof creation !== "string") return yield* wrong(creationField, "it is not a string")
  const kept = Object.keys(others).length === 0 ? config : { ...config, additional_fields: others }
  return { config: kept, published, recentWrites, creation }
})

/**
 * How errors name the file.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sourceOf = (store: ObjectStore.ObjectStoreShape): string => `${store.description}/${Layout.config}`

/**
 * Where there is no file.
 *
 * @category constants
 * @since 0.1.0
 */
export const nothing: Stored = { config: {}, version: undefined, published: [], recentWrites: [], creation: undefined }

/**
 * Reads the file; a repository without `config.json` has an empty configuration. When it still is what was read before,
 * `known`, it is not sent again. Where the file belongs to another creation than `origin`, what was persisted at that
 * one counts. Fails with `InvalidConfig`, which names the field.
 *
 * @category reading
 * @since 0.1.0
 */
export const readStored = (
  store: ObjectStore.ObjectStoreShape,
  known?: Stored,
  origin?: Origin.Origin
): Effect.Effect<Stored, ObjectStoreError | InvalidConfig> =>
  store.get(Layout.config, { ifNoneMatch: known?.version?.etag, maxBytes }).pipe(
    Effect.flatMap(({ bytes, meta }) =>
      Effect.map(decode(sourceOf(store), bytes), (stored): Stored => ({ ...stored, version: meta.version }))
    ),
    Effect.catchIf(
      (error) => known !== undefined && hasReason("NotModified")(error),
      () => Effect.succeed(known ?? nothing)
    ),
    Effect.catchIf(isNotFound, () => Effect.succeed(nothing)),
    Effect.flatMap((stored) => belonging(store, stored, origin))
  )

/**
 * What counts of a file that was read: a file that another creator left, who has not made the repository, is as one
 * that its own creator wrote.
 *
 * @category combinators
 * @since 0.1.0
 */
export const belonging = (
  store: ObjectStore.ObjectStoreShape,
  stored: Stored,
  origin: Origin.Origin | undefined
): Effect.Effect<Stored, InvalidConfig> => {
  if (origin === undefined || stored.creation === undefined || stored.creation === origin.id) {
    return Effect.succeed(stored)
  }
  return Effect.flatMap(OnDemand.configs, ({ ConfigJson, IcechunkConfig }) =>
    Effect.map(
      Effect.fromResult(ConfigJson.parse(`${store.description}/${Layout.repo}`, origin.persisted)),
      (config): Stored => ({
        config,
        version: stored.version,
        published: [IcechunkConfig.publishable(config)],
        recentWrites: [],
        creation: origin.id
      })
    )
  )
}

/**
 * The file, when it was written by somebody who was about to create a repository, or belongs to one.
 *
 * @category reading
 * @since 0.1.0
 */
export const readCreators = (
  store: ObjectStore.ObjectStoreShape
): Effect.Effect<Stored | undefined, ObjectStoreError> =>
  readStored(store).pipe(
    Effect.map((stored) => (stored.creation === undefined ? undefined : stored)),
    Effect.catchTag("InvalidConfig", () => Effect.succeed(undefined))
  )

/**
 * Reads the configuration; a repository without `config.json` has an empty one. Fails with `InvalidConfig`,
 * which names the field.
 *
 * @category reading
 * @since 0.1.0
 */
export const read: (store: ObjectStore.ObjectStoreShape) => Effect.Effect<Versioned, ObjectStoreError | InvalidConfig> =
  /*#__PURE__*/ Effect.fn("ConfigFile.read")(function* (store) {
    const { config, version } = yield* readStored(store)
    return { config, version }
  })
