/**
 * `config.json`: read, and changed by optimistic writes.
 *
 * The file remembers the ids of its latest writes in `recent_writes`. A writer whose answer was lost finds
 * its id there, even when others have written since, and does not apply its change twice. In `published` it remembers
 * what was published into the repository object; see `Publication`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isConflict, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as Json from "../../values/Json.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import * as Layout from "../Layout.ts"
import * as RandomId from "../RandomId.ts"
import * as SplitExpressions from "../SplitExpressions.ts"
import * as IcechunkConfig from "./IcechunkConfig.ts"
import * as Publication from "./Publication.ts"
import { creationField, publishedField, readStored, recentWritesField, sourceOf, type Stored } from "./StoredConfig.ts"
import type * as Origin from "../versions/Origin.ts"
import { backOff, defaultRetry, patiently, type RetryOptions } from "../versions/RepoObject.ts"

export { nothing, read, readCreators, readStored, type Stored, type Versioned } from "./StoredConfig.ts"

/**
 * `config.json` was changed by others more often than the update was tried. It is unchanged by this update.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigConflict
  extends /*#__PURE__*/ Data.TaggedError("ConfigConflict")<{
    readonly store: string
    readonly attempts: number
  }>
{
  override get message(): string {
    return `\`config.json\` of \`${this.store}\` was changed by others during each of ${this.attempts} attempts to update it. Try again when fewer writers are at work.`
  }
}

/**
 * It is not known whether an update of `config.json` was saved: the write was not answered, and neither was the look at
 * what became of it.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigOutcomeUnknown
  extends /*#__PURE__*/ Data.TaggedError("ConfigOutcomeUnknown")<{
    readonly store: string
    readonly problem: string
    readonly cause: unknown
  }>
{
  override get message(): string {
    return `It is not known whether the update of \`config.json\` in \`${this.store}\` was saved: the write was not answered, and it could not be read back: ${this.problem}. Look at \`config.persisted\` before you update it again.`
  }
}

/** As many writers may finish between a write whose answer was lost and the look at what became of it. */
const rememberedWrites = 100

const encoder = new TextEncoder()

const encode = ({ config, creation, published, recentWrites }: Omit<Stored, "version">): Uint8Array =>
  encoder.encode(
    Config.print({
      ...config,
      additional_fields: {
        ...config.additional_fields,
        ...(creation === undefined ? {} : { [creationField]: creation }),
        [publishedField]: published,
        [recentWritesField]: recentWrites.slice(0, rememberedWrites)
      }
    })
  )

/**
 * Writes the first file of a repository that is being created, all of which is published. Fails with `AlreadyExists`
 * when there is one.
 *
 * @category writing
 * @since 0.1.0
 */
export const create = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  config: Config.RepositoryConfig,
  origin: Origin.Origin
): Effect.fn.Return<Stored, ObjectStoreError | ObjectStore.WriteForbidden> {
  const stored = {
    config,
    published: [IcechunkConfig.publishable(config)],
    recentWrites: [yield* RandomId.writeId],
    creation: origin.id
  }
  return { ...stored, version: yield* put(store, undefined, stored) }
})

/**
 * Applies `f` to the newest configuration until the result is written, and returns what was written. What changes
 * nothing is not written.
 *
 * `f` may run several times. Fails with `InvalidConfig` when the result is malformed or misses a container
 * that was there, with `ConfigConflict` when others are always faster; nothing has changed then. With
 * `ConfigOutcomeUnknown` it may have.
 *
 * `carried` is what the repository object says, which the update is to be published over.
 *
 * @category writing
 * @since 0.1.0
 */
export const update: <E = never>(
  store: ObjectStore.ObjectStoreShape,
  f: (config: Config.RepositoryConfig) => Config.RepositoryConfig,
  options?: {
    readonly retry?: RetryOptions | undefined
    readonly carried?: Effect.Effect<Json.JsonObject, E> | undefined
    readonly origin?: Origin.Origin | undefined
  }
) => Effect.Effect<
  Stored,
  E | ObjectStoreError | ObjectStore.WriteForbidden | Config.InvalidConfig | ConfigConflict | ConfigOutcomeUnknown
> = /*#__PURE__*/ Effect.fn("ConfigFile.update")(function* (store, f, options) {
  yield* ObjectStore.ensureWritable(store)
  const retry = options?.retry ?? defaultRetry
  const carried = options?.carried ?? Effect.succeed({})
  const ours = new Set<string>()
  let failure: ObjectStoreError | undefined
  for (let attempt = 1; ; attempt++) {
    const lost = failure
    // Whether an unanswered write is there is only known from what is there after it.
    const readBack = patiently(readStored(store, undefined, options?.origin)).pipe(
      Effect.mapError((cause) =>
        lost === undefined || isConflict(lost)
          ? cause
          : new ConfigOutcomeUnknown({ store: store.description, problem: cause.message, cause })
      )
    )
    const [current, carries] = yield* Effect.all(
      [attempt === 1 ? readStored(store, undefined, options?.origin) : readBack, Effect.result(carried)],
      { concurrency: 2 }
    )
    if (current.recentWrites.some((id) => ours.has(id))) return current
    const seen = yield* Effect.fromResult(carries)
    if (attempt > retry.attempts) {
      if (failure !== undefined && !isConflict(failure)) return yield* failure
      return yield* new ConfigConflict({ store: store.description, attempts: retry.attempts })
    }
    const next = yield* Effect.fromResult(Config.validateUpdate(sourceOf(store), current.config, f(current.config)))
    yield* SplitExpressions.check(sourceOf(store), next)
    if (Json.canonical(next) === Json.canonical(current.config)) return current
    const id = yield* RandomId.writeId
    ours.add(id)
    const stored = {
      config: next,
      published: Publication.updatedBase(
        current.published,
        IcechunkConfig.publishable(current.config),
        IcechunkConfig.publishable(next),
        seen
      ),
      recentWrites: [id, ...current.recentWrites],
      creation: current.creation ?? options?.origin?.id
    }
    const written = yield* put(store, current.version, stored).pipe(
      Effect.map(Result.succeed),
      Effect.catchTag("ObjectStoreError", (error) =>
        isConflict(error) || error.isRetryable ? Effect.succeed(Result.fail(error)) : Effect.fail(error)
      )
    )
    if (Result.isSuccess(written)) return { ...stored, version: written.success }
    failure = written.failure
    yield* backOff(attempt + 1, retry)
  }
})

const put = (
  store: ObjectStore.ObjectStoreShape,
  version: ObjectStore.Version | undefined,
  stored: Omit<Stored, "version">
): Effect.Effect<ObjectStore.Version, ObjectStoreError | ObjectStore.WriteForbidden> =>
  store.put(Layout.config, encode(stored), {
    mode: version === undefined ? ObjectStore.create : ObjectStore.update(version),
    contentType: "application/json"
  })

/**
 * Notes in `config.json`, as it was read, that all of it is published. Not at all when somebody has changed it since: who
 * changes it publishes it.
 *
 * @category writing
 * @since 0.1.0
 */
export const settle = /*#__PURE__*/ Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  stored: Stored
): Effect.fn.Return<Stored, ObjectStoreError | ObjectStore.WriteForbidden> {
  const ours = IcechunkConfig.publishable(stored.config)
  // Without the file nothing is published but what other clients say.
  if (stored.version === undefined || Publication.isSettled(stored.published, ours)) return stored
  const settled = { ...stored, published: [ours] }
  return { ...settled, version: yield* put(store, stored.version, settled) }
})
