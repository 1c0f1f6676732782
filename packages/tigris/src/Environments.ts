/**
 * Environments of a project: one bucket each, as production, staging, and one for every developer, forked in a moment.
 *
 * The bucket of environment `alice` of project `shop` is `shop-bucket-alice`. Neither name may have `bucket` between its
 * hyphens, so that a bucket belongs to one project and environment only.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import type * as Credentials from "@effect-icechunk/core/Credentials"
import type { Platforms } from "@effect-icechunk/core/Platform"
import type { Zstd } from "@effect-icechunk/core/Zstd"
import type { BucketError } from "./BucketError.ts"
import * as BucketName from "./BucketName.ts"
import * as Fork from "./Fork.ts"
import * as TigrisBuckets from "./TigrisBuckets.ts"
import type * as TigrisOptions from "./TigrisOptions.ts"

/**
 * Names of project and environment that do not make a bucket name.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidEnvironment extends Schema.TaggedError<InvalidEnvironment>()("InvalidEnvironment", {
  project: Schema.String,
  environment: Schema.String,
  problem: Schema.String,
  /** Where the name of the current environment came from: `ENV`, or a file. */
  source: Schema.optional(Schema.String)
}) {
  override get message(): string {
    const source = this.source === undefined ? "" : ` (from \`${this.source}\`)`
    return `Project \`${this.project}\` cannot have an environment \`${this.environment}\`${source}: ${this.problem}`
  }
}

/**
 * The file with the name of the current environment is there, but could not be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class CurrentEnvironmentUnreadable extends Schema.TaggedError<CurrentEnvironmentUnreadable>()(
  "CurrentEnvironmentUnreadable",
  { file: Schema.String, problem: Schema.String }
) {
  override get message(): string {
    return `The current environment could not be read from \`${this.file}\`: ${this.problem}. Make it a text file with one name, or set \`ENV\`.`
  }
}

/**
 * An environment and its bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface Environment {
  readonly name: string
  readonly bucket: string
}

/** What is wrong with the name of a project or environment, or `undefined`. */
const nameProblem = (kind: string, name: string): string | undefined => {
  if (name === "") return `the name of the ${kind} is empty`
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(name)) {
    return `the name of the ${kind} is made of lower-case letters, digits and \`-\`, with no \`-\` at its ends`
  }
  if (name.split("-").includes("bucket")) {
    return `the name of the ${kind} has \`bucket\` between hyphens, which separates project and environment`
  }
  return undefined
}

/**
 * The bucket of an environment. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const bucketName = (project: string, environment: string): Result.Result<string, InvalidEnvironment> => {
  const name = `${project}-bucket-${environment}`
  const inBucket = BucketName.problem(name)
  const problem =
    nameProblem("project", project) ??
    nameProblem("environment", environment) ??
    (inBucket === undefined ? undefined : `its bucket would be \`${name}\`, which ${inBucket}`)
  return problem === undefined
    ? Result.succeed(name)
    : Result.fail(new InvalidEnvironment({ project, environment, problem }))
}

/**
 * The environment of a project that a bucket belongs to; `undefined` for any other bucket. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const parseBucketName = (project: string, bucket: string): string | undefined => {
  const prefix = `${project}-bucket-`
  if (!bucket.startsWith(prefix)) return undefined
  const environment = bucket.slice(prefix.length)
  return Result.isSuccess(bucketName(project, environment)) ? environment : undefined
}

/**
 * How an environment is created: empty, or as a fork of another environment's bucket or of any bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreateOptions {
  readonly from?: { readonly environment: string } | { readonly bucket: string } | undefined
  /** The snapshot of `from` to begin with (default: as it is now). */
  readonly snapshotVersion?: string | undefined
  /** Whether an empty environment can be snapshotted and forked later (default true). */
  readonly snapshots?: boolean | undefined
}

/**
 * Options of the service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly project: string
  /** The file with the name of the current environment (default `.current-env` in the working directory). */
  readonly currentFile?: string | undefined
  /** The current environment when nothing names one (default `dev`). */
  readonly default?: string | undefined
}

/** Why the current environment is not known. */
type CurrentError = InvalidEnvironment | CurrentEnvironmentUnreadable | Config.ConfigError

/** Why a store could not be made. */
type StoreError = InvalidEnvironment | TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion

/**
 * The environments of one project.
 *
 * @category models
 * @since 0.1.0
 */
export interface EnvironmentsShape {
  readonly project: string
  /** The bucket of an environment, whether it exists or not. */
  readonly bucket: (environment: string) => Effect.Effect<string, InvalidEnvironment>
  readonly create: (
    environment: string,
    options?: CreateOptions
  ) => Effect.Effect<
    Environment,
    InvalidEnvironment | BucketError | BucketName.InvalidBucketName | TigrisOptions.InvalidTigrisOptions
  >
  /** The project's environments, by name. */
  readonly list: Effect.Effect<ReadonlyArray<Environment>, BucketError>
  /**
   * Brings the commits of an environment's repository home to the bucket that it was forked from, of another environment or
   * any; see `Fork.merge`.
   */
  readonly merge: (
    environment: string,
    options?: Fork.Options
  ) => Effect.Effect<Fork.Merged, InvalidEnvironment | Fork.ForkError, Platforms | Zstd>
  /** Brings what was committed there since into the environment's repository; see `Fork.refresh`. */
  readonly refresh: (
    environment: string,
    options?: Fork.Options
  ) => Effect.Effect<Fork.Merged, InvalidEnvironment | Fork.ForkError, Platforms | Zstd>
  /** Deletes an environment that is empty, or with `contents` everything in it too. */
  readonly delete: (
    environment: string,
    options?: { readonly contents?: boolean | undefined }
  ) => Effect.Effect<void, InvalidEnvironment | BucketError>
  /** The name in the variable `ENV`, else in the file `.current-env`, else `dev`. Asked again each time. */
  readonly current: Effect.Effect<string, CurrentError>
  /** The store of an environment's bucket. */
  readonly store: (
    environment: string,
    options?: TigrisBuckets.StoreOptions
  ) => Effect.Effect<ObjectStore.ObjectStoreShape, StoreError, Scope.Scope>
  /** Where a key of an environment is, for whoever may read it without credentials. */
  readonly url: (environment: string, key: string) => Effect.Effect<string, InvalidEnvironment>
  /** A URL that lets whoever has it get or put one key until it expires. */
  readonly presignedUrl: (
    environment: string,
    key: string,
    options?: TigrisBuckets.PresignOptions
  ) => Effect.Effect<
    Redacted.Redacted,
    InvalidEnvironment | TigrisOptions.InvalidTigrisOptions | Credentials.CredentialsUnavailable
  >
}

/**
 * The environments of the program's project.
 *
 * @category services
 * @since 0.1.0
 */
export class Environments extends Context.Service<Environments, EnvironmentsShape>()(
  "@effect-icechunk/tigris/Environments"
) {}

/**
 * The service. Fails with `InvalidEnvironment` for a project or default that makes no bucket name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<EnvironmentsShape, InvalidEnvironment, TigrisBuckets.TigrisBuckets | FileSystem.FileSystem> {
  const { project } = options
  const file = options.currentFile ?? ".current-env"
  const fallback = options.default ?? "dev"
  const buckets = yield* TigrisBuckets.TigrisBuckets
  const files = yield* FileSystem.FileSystem
  const inBuckets = Effect.provideService(TigrisBuckets.TigrisBuckets, buckets)
  yield* Effect.fromResult(bucketName(project, fallback))

  const bucket = (environment: string): Effect.Effect<string, InvalidEnvironment> =>
    Effect.fromResult(bucketName(project, environment))

  const inFile = files
    .readFileString(file)
    .pipe(
      Effect.catch((error) =>
        error.reason._tag === "NotFound"
          ? Effect.succeed("")
          : Effect.fail(new CurrentEnvironmentUnreadable({ file, problem: error.reason._tag }))
      )
    )

  const named = (name: string, source: string): Effect.Effect<string, InvalidEnvironment> =>
    Effect.mapBoth(bucket(name), {
      onFailure: ({ environment, problem }) => new InvalidEnvironment({ project, environment, problem, source }),
      onSuccess: () => name
    })

  return {
    project,
    bucket,
    create: Effect.fn("Environments.create")(function* (name, { from, snapshots = true, snapshotVersion } = {}) {
      const created = yield* bucket(name)
      if (from === undefined) yield* buckets.create(created, { snapshots })
      else {
        const source = "bucket" in from ? from.bucket : yield* bucket(from.environment)
        yield* buckets.fork(source, created, { snapshotVersion })
      }
      return { name, bucket: created }
    }),
    list: Effect.map(buckets.list, (all) =>
      all
        .flatMap(({ name: bucket }): ReadonlyArray<Environment> => {
          const name = parseBucketName(project, bucket)
          return name === undefined ? [] : [{ name, bucket }]
        })
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    ),
    merge: Effect.fn("Environments.merge")(function* (name, options) {
      return yield* inBuckets(Fork.merge(yield* bucket(name), options))
    }),
    refresh: Effect.fn("Environments.refresh")(function* (name, options) {
      return yield* inBuckets(Fork.refresh(yield* bucket(name), options))
    }),
    delete: Effect.fn("Environments.delete")(function* (name, options) {
      yield* buckets.delete(yield* bucket(name), options)
    }),
    current: Effect.gen(function* () {
      const variable = Option.getOrElse(yield* Config.option(Config.String("ENV")), () => "").trim()
      if (variable !== "") return yield* named(variable, "ENV")
      const written = (yield* inFile).trim()
      return written === "" ? fallback : yield* named(written, file)
    }),
    store: (name, options) => Effect.flatMap(bucket(name), (bucket) => buckets.store(bucket, options)),
    url: (name, key) => Effect.map(bucket(name), (bucket) => buckets.url(bucket, key)),
    presignedUrl: (name, key, options) =>
      Effect.flatMap(bucket(name), (bucket) => buckets.presignedUrl(bucket, key, options))
  }
})

/**
 * The service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<Environments, InvalidEnvironment, TigrisBuckets.TigrisBuckets | FileSystem.FileSystem> =>
  Layer.effect(Environments, make(options))

/**
 * The store of the environment that is current when the Layer is built.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStore = (
  options?: TigrisBuckets.StoreOptions
): Layer.Layer<ObjectStore.ObjectStore, CurrentError | StoreError, Environments> =>
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.gen(function* () {
      const environments = yield* Environments
      return yield* environments.store(yield* environments.current, options)
    })
  )
