/**
 * `config.json`: read, and changed by optimistic writes. Design, section 5.
 *
 * The file remembers the ids of its latest writes in `recent_writes`. A writer whose answer was lost finds
 * its id there, even when others have written since, and does not apply its change twice.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isConflict, isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as Layout from "../Layout.ts"
import * as RandomId from "../RandomId.ts"
import * as Origin from "../versions/Origin.ts"
import { backOff, defaultRetry, patiently, type RetryOptions } from "../versions/RepoObject.ts"

/**
 * `config.json` was changed by others more often than the update was tried. It is unchanged by this update.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigConflict extends Schema.TaggedError<ConfigConflict>()("ConfigConflict", {
  store: Schema.String,
  attempts: Schema.Int
}) {
  override get message(): string {
    return `\`config.json\` of \`${this.store}\` was changed by others during each of ${this.attempts} attempts to update it. Try again when fewer writers are at work.`
  }
}

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

interface Stored extends Versioned {
  readonly recentWrites: ReadonlyArray<string>
  /** The creation of a repository that the file belongs to. */
  readonly creation: string | undefined
}

const recentWritesField = "recent_writes"
const creationField = "creation"

/** As many writers may finish between a write whose answer was lost and the look at what became of it. */
const rememberedWrites = 100

const decoder = new TextDecoder("utf-8", { fatal: true })
const encoder = new TextEncoder()

const decode = (source: string, bytes: Uint8Array): Result.Result<Omit<Stored, "version">, Config.InvalidConfig> => {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return Result.fail(new Config.InvalidConfig({ source, field: "(whole file)", problem: "it is no UTF-8 text" }))
  }
  const wrong = (field: string, problem: string): Result.Result<never, Config.InvalidConfig> =>
    Result.fail(new Config.InvalidConfig({ source, field, problem }))
  return Result.flatMap(
    Config.parse(source, text),
    ({ [creationField]: creation, [recentWritesField]: recent, ...config }) => {
      if (recent !== undefined && !(Array.isArray(recent) && recent.every((id) => typeof id === "string"))) {
        return wrong(recentWritesField, "it is no list of strings")
      }
      if (creation !== undefined && typeof creation !== "string") return wrong(creationField, "it is not a string")
      return Result.succeed({ config, recentWrites: recent ?? [], creation })
    }
  )
}

const encode = (config: Config.RepositoryConfig, writes: ReadonlyArray<string>, creation: string | undefined) =>
  encoder.encode(
    Config.print({
      ...config,
      ...(creation === undefined ? {} : { [creationField]: creation }),
      [recentWritesField]: writes.slice(0, rememberedWrites)
    })
  )

const sourceOf = (store: ObjectStore.ObjectStoreShape): string => `${store.description}/${Layout.config}`

const readStored = (
  store: ObjectStore.ObjectStoreShape,
  origin?: Origin.Origin
): Effect.Effect<Stored, ObjectStoreError | Config.InvalidConfig> =>
  store.get(Layout.config).pipe(
    Effect.flatMap(({ bytes, meta }) =>
      Effect.fromResult(
        Result.flatMap(decode(sourceOf(store), bytes), (stored): Result.Result<Stored, Config.InvalidConfig> => {
          const version = meta.version
          if (stored.creation === undefined || origin === undefined || stored.creation === origin.id) {
            return Result.succeed({ ...stored, version })
          }
          // Another creator left it, who has not made this repository.
          return Result.map(Origin.config(store.description, origin), (config) => ({
            config,
            version,
            recentWrites: [],
            creation: origin.id
          }))
        })
      )
    ),
    Effect.catchIf(isNotFound, () =>
      Effect.succeed<Stored>({ config: {}, version: undefined, recentWrites: [], creation: origin?.id })
    )
  )

/**
 * Whether the file was written by somebody who was about to create a repository, or belongs to one.
 *
 * @category reading
 * @since 0.1.0
 */
export const namesCreation = (store: ObjectStore.ObjectStoreShape): Effect.Effect<boolean, ObjectStoreError> =>
  readStored(store).pipe(
    Effect.map(({ creation }) => creation !== undefined),
    Effect.catchTag("InvalidConfig", () => Effect.succeed(false))
  )

/**
 * Writes the first file of a repository that is being created. Fails with `AlreadyExists` when there is one.
 *
 * @category writing
 * @since 0.1.0
 */
export const create = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  config: Config.RepositoryConfig,
  origin: Origin.Origin
): Effect.fn.Return<Versioned, ObjectStoreError | ObjectStore.WriteForbidden> {
  const bytes = encode(config, [yield* RandomId.writeId], origin.id)
  const options = { mode: ObjectStore.create, contentType: "application/json" }
  return { config, version: yield* store.put(Layout.config, bytes, options) }
})

/**
 * Reads the configuration; a repository without `config.json` has an empty one. Where the file belongs to another
 * creation than `origin`, what was persisted at that one counts. Fails with `InvalidConfig`, which names the field.
 *
 * @category reading
 * @since 0.1.0
 */
export const read: (
  store: ObjectStore.ObjectStoreShape,
  origin?: Origin.Origin
) => Effect.Effect<Versioned, ObjectStoreError | Config.InvalidConfig> = Effect.fn("ConfigFile.read")(
  function* (store, origin) {
    const { config, version } = yield* readStored(store, origin)
    return { config, version }
  }
)

/**
 * Applies `f` to the newest configuration until the result is written, and returns what was written.
 *
 * `f` may run several times. Fails with `InvalidConfig` when the result is malformed or misses a container
 * that was there, with `ConfigConflict` when others are always faster; nothing has changed then.
 *
 * @category writing
 * @since 0.1.0
 */
export const update: (
  store: ObjectStore.ObjectStoreShape,
  f: (config: Config.RepositoryConfig) => Config.RepositoryConfig,
  options?: { readonly retry?: RetryOptions | undefined; readonly origin?: Origin.Origin | undefined }
) => Effect.Effect<Versioned, ObjectStoreError | ObjectStore.WriteForbidden | Config.InvalidConfig | ConfigConflict> =
  Effect.fn("ConfigFile.update")(function* (store, f, options) {
    yield* ObjectStore.ensureWritable(store)
    const retry = options?.retry ?? defaultRetry
    const ours = new Set<string>()
    let failure: ObjectStoreError | undefined
    for (let attempt = 1; ; attempt++) {
      const current = yield* attempt === 1
        ? readStored(store, options?.origin)
        : patiently(readStored(store, options?.origin))
      if (current.recentWrites.some((id) => ours.has(id))) return { config: current.config, version: current.version }
      if (attempt > retry.attempts) {
        if (failure !== undefined && !isConflict(failure)) return yield* failure
        return yield* new ConfigConflict({ store: store.description, attempts: retry.attempts })
      }
      const next = yield* Effect.fromResult(Config.validateUpdate(sourceOf(store), current.config, f(current.config)))
      const id = yield* RandomId.writeId
      ours.add(id)
      const bytes = encode(next, [id, ...current.recentWrites], current.creation)
      const mode = current.version === undefined ? ObjectStore.create : ObjectStore.update(current.version)
      const written = yield* store.put(Layout.config, bytes, { mode, contentType: "application/json" }).pipe(
        Effect.map(Result.succeed),
        Effect.catchTag("ObjectStoreError", (error) =>
          isConflict(error) || error.isRetryable ? Effect.succeed(Result.fail(error)) : Effect.fail(error)
        )
      )
      if (Result.isSuccess(written)) return { config: next, version: written.success }
      failure = written.failure
      yield* backOff(attempt + 1, retry)
    }
  })
