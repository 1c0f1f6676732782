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
import * as SplitExpressions from "../SplitExpressions.ts"
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
}

const recentWritesField = "recent_writes"

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
  return Result.flatMap(Config.parse(source, text), ({ [recentWritesField]: recent, ...config }) =>
    recent === undefined || (Array.isArray(recent) && recent.every((id) => typeof id === "string"))
      ? Result.succeed({ config, recentWrites: recent ?? [] })
      : Result.fail(new Config.InvalidConfig({ source, field: recentWritesField, problem: "it is no list of strings" }))
  )
}

const sourceOf = (store: ObjectStore.ObjectStoreShape): string => `${store.description}/${Layout.config}`

const readStored = (
  store: ObjectStore.ObjectStoreShape
): Effect.Effect<Stored, ObjectStoreError | Config.InvalidConfig> =>
  store.get(Layout.config).pipe(
    Effect.flatMap(({ bytes, meta }) =>
      Effect.map(Effect.fromResult(decode(sourceOf(store), bytes)), (stored): Stored => ({
        ...stored,
        version: meta.version
      }))
    ),
    Effect.catchIf(isNotFound, () => Effect.succeed<Stored>({ config: {}, version: undefined, recentWrites: [] }))
  )

/**
 * Reads the configuration; a repository without `config.json` has an empty one. Fails with `InvalidConfig`,
 * which names the field.
 *
 * @category reading
 * @since 0.1.0
 */
export const read: (
  store: ObjectStore.ObjectStoreShape
) => Effect.Effect<Versioned, ObjectStoreError | Config.InvalidConfig> = Effect.fn("ConfigFile.read")(
  function* (store) {
    const { config, version } = yield* readStored(store)
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
  options?: { readonly retry?: RetryOptions | undefined }
) => Effect.Effect<Versioned, ObjectStoreError | ObjectStore.WriteForbidden | Config.InvalidConfig | ConfigConflict> =
  Effect.fn("ConfigFile.update")(function* (store, f, options) {
    yield* ObjectStore.ensureWritable(store)
    const retry = options?.retry ?? defaultRetry
    const ours = new Set<string>()
    let failure: ObjectStoreError | undefined
    for (let attempt = 1; ; attempt++) {
      const current = yield* attempt === 1 ? readStored(store) : patiently(readStored(store))
      if (current.recentWrites.some((id) => ours.has(id))) return { config: current.config, version: current.version }
      if (attempt > retry.attempts) {
        if (failure !== undefined && !isConflict(failure)) return yield* failure
        return yield* new ConfigConflict({ store: store.description, attempts: retry.attempts })
      }
      const next = yield* Effect.fromResult(Config.validateUpdate(sourceOf(store), current.config, f(current.config)))
      yield* SplitExpressions.check(sourceOf(store), next)
      const id = yield* RandomId.writeId
      ours.add(id)
      const text = Config.print({
        ...next,
        [recentWritesField]: [id, ...current.recentWrites].slice(0, rememberedWrites)
      })
      const mode = current.version === undefined ? ObjectStore.create : ObjectStore.update(current.version)
      const written = yield* store
        .put(Layout.config, encoder.encode(text), { mode, contentType: "application/json" })
        .pipe(
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
