/**
 * Buckets of Tigris: created, snapshotted, forked and deleted. Design, section 8.
 *
 * A snapshot is the state of a bucket at one moment. A fork is a bucket of its own that begins as a snapshot of another,
 * without copying data. Both need a bucket that was created with `snapshots: true`.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Credentials from "@effect-icechunk/core/Credentials"
import type { ObjectStoreShape } from "@effect-icechunk/core/ObjectStore"
import { ObjectStoreError } from "@effect-icechunk/core/ObjectStoreError"
import type * as S3Error from "@effect-icechunk/s3/S3Error"
import * as BucketError from "./BucketError.ts"
import * as BucketLocations from "./BucketLocations.ts"
import * as BucketName from "./BucketName.ts"
import * as BucketRequests from "./internal/BucketRequests.ts"
import * as ObjectUrl from "./internal/ObjectUrl.ts"
import * as TigrisHeaders from "./TigrisHeaders.ts"
import * as TigrisObjectStore from "./TigrisObjectStore.ts"
import * as TigrisOptions from "./TigrisOptions.ts"

/**
 * A bucket in a list.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bucket {
  readonly name: string
  /** Milliseconds since 1970. */
  readonly createdAt: number | undefined
}

/**
 * What a fork began as.
 *
 * @category models
 * @since 0.1.0
 */
export interface ForkSource {
  readonly bucket: string
  readonly snapshotVersion: string | undefined
}

/**
 * What Tigris says of a bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface BucketInfo {
  readonly name: string
  /** It can be snapshotted and forked. */
  readonly snapshots: boolean
  /** `undefined` for a bucket that is not a fork. */
  readonly forkOf: ForkSource | undefined
  /** Other buckets are forks of it, so that it cannot be deleted. */
  readonly hasForks: boolean
}

/**
 * A snapshot of a bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  /** Nanoseconds since 1970, as text. */
  readonly version: string
  readonly name: string | undefined
  /** Milliseconds since 1970. */
  readonly createdAt: number | undefined
}

/**
 * Options of the stores of buckets; what is not given here is that of the service.
 *
 * @category models
 * @since 0.1.0
 */
export type StoreOptions = Omit<TigrisOptions.TigrisOptions, "bucket" | keyof TigrisOptions.ConnectionOptions>

/**
 * Options of the service: the way to Tigris, and the defaults of stores that it opens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends TigrisOptions.ConnectionOptions, TigrisOptions.ConsistencyOptions {}

/**
 * How a URL is signed.
 *
 * @category models
 * @since 0.1.0
 */
export interface PresignOptions {
  /** What whoever has the URL may do (default `get`). */
  readonly method?: "get" | "put" | undefined
  /** From 1 second to 7 days (default 1 hour). */
  readonly expiresIn?: Duration.Input | undefined
}

/** Why a store could not be made. */
type StoreError = TigrisOptions.InvalidTigrisOptions | TigrisOptions.MissingRegion

/**
 * What can be done with buckets.
 *
 * @category models
 * @since 0.1.0
 */
export interface TigrisBucketsShape {
  /**
   * Creates an empty bucket; only one with `snapshots` can be snapshotted and forked. Its data is kept in the given
   * `locations` (default everywhere). The bucket is asked whether it is there, and
   * whether it is where it should be.
   */
  readonly create: (
    bucket: string,
    options?: {
      readonly snapshots?: boolean | undefined
      readonly locations?: BucketLocations.BucketLocations | undefined
    }
  ) => Effect.Effect<
    BucketInfo,
    BucketError.BucketError | BucketName.InvalidBucketName | TigrisOptions.InvalidTigrisOptions
  >
  /** Creates a bucket that begins as `source` is now, or was at a snapshot. It has snapshots enabled itself. */
  readonly fork: (
    source: string,
    fork: string,
    options?: { readonly snapshotVersion?: string | undefined }
  ) => Effect.Effect<
    BucketInfo,
    BucketError.BucketError | BucketName.InvalidBucketName | TigrisOptions.InvalidTigrisOptions
  >
  /**
   * Lets Tigris take the objects of a fork over into its source, or into another bucket, one by one; the answer is the
   * snapshot that was made. Refused where either bucket holds a repository, which is looked for in the names of all of
   * their objects: its commits could be lost. `Fork.merge` brings those home.
   */
  readonly mergeFork: (
    fork: string,
    options?: { readonly into?: string | undefined }
  ) => Effect.Effect<string | undefined, BucketError.BucketError | ObjectStoreError | StoreError>
  /** Lets Tigris take the objects of its source over into a fork; refused as `mergeFork` is. See `Fork.refresh`. */
  readonly rebaseFork: (
    fork: string
  ) => Effect.Effect<string | undefined, BucketError.BucketError | ObjectStoreError | StoreError>
  /**
   * Copies an object from one bucket to another, or within one, without that its bytes pass here. The copy does not change
   * with what it was made of.
   */
  readonly copyObject: (
    from: BucketRequests.Place,
    to: BucketRequests.Place,
    options?: TigrisOptions.ConsistencyOptions
  ) => Effect.Effect<void, ObjectStoreError>
  /** What reads of a bucket see, as far as where its data is says so; asks for that. */
  readonly consistency: (bucket: string) => Effect.Effect<TigrisOptions.Consistency, BucketError.BucketError>
  /** Deletes a bucket that is empty, or with `contents` everything in it too. A bucket that has forks stays. */
  readonly delete: (
    bucket: string,
    options?: { readonly contents?: boolean | undefined }
  ) => Effect.Effect<void, BucketError.BucketError>
  /** All buckets that the credentials may list. */
  readonly list: Effect.Effect<ReadonlyArray<Bucket>, BucketError.BucketError>
  /** Where the data of a bucket is kept. */
  readonly locations: (bucket: string) => Effect.Effect<BucketLocations.BucketLocations, BucketError.BucketError>
  readonly info: (bucket: string) => Effect.Effect<BucketInfo, BucketError.BucketError>
  /** The buckets that are forks of this one. */
  readonly forks: (bucket: string) => Effect.Effect<ReadonlyArray<BucketInfo>, BucketError.BucketError>
  /** Takes a snapshot of the bucket as it is now. The name need not be unique. */
  readonly createSnapshot: (
    bucket: string,
    options?: { readonly name?: string | undefined }
  ) => Effect.Effect<Snapshot, BucketError.BucketError | TigrisOptions.InvalidTigrisOptions>
  /** Deletes a snapshot of a bucket; the bucket itself and its other snapshots stay. */
  readonly deleteSnapshot: (
    bucket: string,
    version: string
  ) => Effect.Effect<void, BucketError.BucketError | TigrisOptions.InvalidTigrisOptions>
  /** The snapshots of a bucket, newest first. */
  readonly snapshots: (bucket: string) => Effect.Effect<ReadonlyArray<Snapshot>, BucketError.BucketError>
  /** The store of a bucket, as `TigrisObjectStore.make` makes it. */
  readonly store: (bucket: string, options?: StoreOptions) => Effect.Effect<ObjectStoreShape, StoreError, Scope.Scope>
  /** A read-only store of a bucket as it was at a snapshot. */
  readonly snapshotStore: (
    bucket: string,
    version: string,
    options?: Omit<StoreOptions, "snapshotVersion">
  ) => Effect.Effect<ObjectStoreShape, StoreError, Scope.Scope>
  /**
   * Where a key of a bucket is, for whoever may read it without credentials. Buckets on Tigris itself are served under a
   * domain of their own, and only when they are public. `style` says whether the bucket is in the name of the `host` or
   * in the `path`, which is that of the endpoint (default: `host` on Tigris itself, elsewhere as requests are made).
   */
  readonly url: (bucket: string, key: string, options?: { readonly style?: "host" | "path" | undefined }) => string
  /**
   * A URL that lets whoever has it get or put one key until it expires. Redacted, for it is as good as a credential. Reads
   * through it may miss the latest writes: consistency is asked for with headers, which a URL does not have.
   */
  readonly presignedUrl: (
    bucket: string,
    key: string,
    options?: PresignOptions
  ) => Effect.Effect<Redacted.Redacted, TigrisOptions.InvalidTigrisOptions | Credentials.CredentialsUnavailable>
}

/**
 * The buckets that some credentials give access to.
 *
 * @category services
 * @since 0.1.0
 */
export class TigrisBuckets extends Context.Service<TigrisBuckets, TigrisBucketsShape>()(
  "@effect-icechunk/tigris/TigrisBuckets"
) {}

/** Answers to a change that Tigris will not make for the bucket as it is; why, the bucket itself tells. */
const isRefusal = ({ status }: S3Error.S3Failure): boolean =>
  status !== undefined && [400, 404, 405, 409, 412, 422, 501].includes(status)

const invalidSnapshot = new TigrisOptions.InvalidTigrisOptions({
  option: "snapshotVersion",
  problem: "is not the version of a snapshot: digits, as `TigrisBuckets.snapshots` lists them"
})

/**
 * The service; its connections are closed with the Scope. No request is made.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<TigrisBucketsShape, TigrisOptions.InvalidTigrisOptions, Scope.Scope> {
  const { region, unsafeUseDistributedReads, ...connection } = options
  // Any bucket and region: what is checked here is the rest.
  const problem = TigrisOptions.problem({ ...connection, bucket: "any", unsafeUseDistributedReads: true })
  if (problem?._tag === "InvalidTigrisOptions") return yield* problem
  const requests = yield* BucketRequests.make(connection).pipe(Effect.mapError(TigrisOptions.fromS3))
  const endpoint = connection.endpoint ?? TigrisOptions.defaultEndpoint

  const failing =
    (operation: BucketError.Operation, bucket: string) =>
    (failure: S3Error.S3Failure): BucketError.BucketError =>
      new BucketError.BucketError({ operation, bucket, reason: BucketError.classify(failure, { bucket, endpoint }) })

  const head = (operation: BucketError.Operation, bucket: string): Effect.Effect<BucketInfo, BucketError.BucketError> =>
    Effect.mapBoth(requests.head(bucket), {
      onFailure: failing(operation, bucket),
      onSuccess: (found): BucketInfo => ({ name: bucket, ...found })
    })

  /** Why a change was refused: what the bucket that it depends on tells, else what the answer says. */
  const explained = Effect.fnUntraced(function* (
    refused: S3Error.S3Failure,
    asked: BucketError.BucketError,
    bucket: string,
    reasonOf: (info: BucketInfo) => Effect.Effect<BucketError.Reason | undefined, BucketError.BucketError>
  ): Effect.fn.Return<never, BucketError.BucketError> {
    if (!isRefusal(refused)) return yield* asked
    const { detail } = asked.reason
    const reason = yield* head(asked.operation, bucket).pipe(
      Effect.flatMap(reasonOf),
      Effect.catch((error) =>
        Effect.succeed(
          error.reason._tag === "BucketNotFound" ? new BucketError.BucketNotFound({ bucket, detail }) : undefined
        )
      )
    )
    return yield* reason === undefined
      ? asked
      : new BucketError.BucketError({ operation: asked.operation, bucket: asked.bucket, reason })
  })

  const unexpected = (operation: BucketError.Operation, bucket: string, detail: string): BucketError.BucketError =>
    new BucketError.BucketError({ operation, bucket, reason: new BucketError.UnexpectedAnswer({ detail }) })

  const listSnapshots = (
    operation: BucketError.Operation,
    bucket: string
  ): Effect.Effect<ReadonlyArray<Snapshot>, BucketError.BucketError> =>
    Effect.mapBoth(requests.list(TigrisHeaders.listSnapshots(bucket)), {
      onFailure: failing(operation, bucket),
      onSuccess: (listed) =>
        listed
          .flatMap(({ createdAt, name }): ReadonlyArray<Snapshot> => {
            const found = TigrisHeaders.parseSnapshot(name)
            return found === undefined ? [] : [{ ...found, createdAt }]
          })
          .toSorted((a, b) => (BigInt(a.version) < BigInt(b.version) ? 1 : -1))
    })

  const where = (
    operation: BucketError.Operation,
    bucket: string
  ): Effect.Effect<BucketLocations.BucketLocations, BucketError.BucketError> =>
    Effect.mapBoth(requests.regions(bucket), {
      onFailure: failing(operation, bucket),
      onSuccess: BucketLocations.parse
    })

  /** What a new bucket says of itself, for which it may take a moment. */
  const told = <A>(question: Effect.Effect<A, BucketError.BucketError>): Effect.Effect<A, BucketError.BucketError> =>
    Effect.retry(question, {
      schedule: Schedule.exponential(connection.retry?.baseDelay ?? "100 millis"),
      times: 4,
      while: ({ reason }) => reason._tag === "UnexpectedAnswer" || reason._tag === "BucketNotFound"
    })

  const createSnapshot: TigrisBucketsShape["createSnapshot"] = Effect.fn("TigrisBuckets.createSnapshot")(function* (
    bucket,
    { name } = {}
  ) {
    if (name !== undefined && !/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(name)) {
      return yield* new TigrisOptions.InvalidTigrisOptions({
        option: "name",
        problem: "is not the name of a snapshot: 1 to 255 printable ASCII characters, no space at the ends"
      })
    }
    // The request is the creation of a bucket but for one header: it is made only of a bucket that is there.
    const info = yield* head("createSnapshot", bucket)
    const notEnabled = new BucketError.BucketError({
      operation: "createSnapshot",
      bucket,
      reason: new BucketError.SnapshotsNotEnabled({ bucket })
    })
    if (!info.snapshots) return yield* notEnabled
    const version = yield* requests.create(bucket, TigrisHeaders.createSnapshot(name)).pipe(
      Effect.mapError((failure) => {
        const error = failing("createSnapshot", bucket)(failure)
        // That it exists is what was asked for.
        return error.reason._tag === "BucketAlreadyExists"
          ? unexpected("createSnapshot", bucket, error.reason.detail ?? "")
          : error
      })
    )
    if (version === undefined || !TigrisHeaders.isSnapshotVersion(version)) {
      return yield* unexpected(
        "createSnapshot",
        bucket,
        "the answer has no version; the snapshot may have been made, see `TigrisBuckets.snapshots`"
      )
    }
    return { version, name, createdAt: Number(BigInt(version) / 1_000_000n) }
  })

  const store: TigrisBucketsShape["store"] = (bucket, options = {}) =>
    TigrisObjectStore.make({ ...connection, region, unsafeUseDistributedReads, ...options, bucket })

  /** Fails when a bucket holds a repository, at its root or anywhere. */
  const holdsNoRepository = Effect.fnUntraced(function* (
    operation: BucketError.Operation,
    fork: string,
    bucket: string
  ) {
    const found = yield* Effect.scoped(
      Effect.flatMap(store(bucket, {}), (store) =>
        store.list("").pipe(
          Stream.filter(({ key }) => /(?:^|\/)(?:repo|refs\/branch\.main\/[^/]+)$/.test(key)),
          Stream.runHead
        )
      )
    )
    if (Option.isNone(found)) return
    const reason = new BucketError.HoldsRepository({ bucket, key: found.value.key })
    return yield* new BucketError.BucketError({ operation, bucket: fork, reason })
  })

  /** A request of Tigris that takes over objects between a fork and what it was made from. */
  const takeOver = Effect.fnUntraced(function* (
    operation: "merge" | "rebase",
    fork: string,
    source: string | undefined,
    request: (source: string) => readonly [bucket: string, headers: TigrisHeaders.Headers]
  ) {
    const { forkOf } = yield* head(operation, fork)
    if (forkOf === undefined) return yield* unexpected(operation, fork, "it is not a fork of any bucket")
    const other = source ?? forkOf.bucket
    yield* head(operation, other)
    yield* holdsNoRepository(operation, fork, fork)
    yield* holdsNoRepository(operation, fork, other)
    const [bucket, headers] = request(other)
    return yield* requests.create(bucket, headers).pipe(
      Effect.mapError((failure) => {
        const error = failing(operation, fork)(failure)
        // That it exists is what was asked for: the service does not know the header.
        return error.reason._tag === "BucketAlreadyExists"
          ? unexpected(operation, fork, error.reason.detail ?? "")
          : error
      })
    )
  })

  return {
    mergeFork: Effect.fn("TigrisBuckets.mergeFork")((fork, { into } = {}) =>
      takeOver("merge", fork, into, (source) => [source, TigrisHeaders.mergeFork(fork)])
    ),
    rebaseFork: Effect.fn("TigrisBuckets.rebaseFork")((fork) =>
      takeOver("rebase", fork, undefined, () => [fork, TigrisHeaders.rebaseFork])
    ),
    copyObject: Effect.fn("TigrisBuckets.copyObject")((from, to, given = {}) => {
      const consistent = given.region ?? region
      return requests
        .copy(from, to, consistent === undefined ? {} : TigrisHeaders.consistentWrite(consistent))
        .pipe(
          Effect.mapError(
            ({ reason }) =>
              new ObjectStoreError({ store: `tigris://${to.bucket}`, operation: "copy", key: to.key, reason })
          )
        )
    }),
    consistency: Effect.fn("TigrisBuckets.consistency")((bucket) =>
      Effect.map(where("locations", bucket), (locations) =>
        TigrisOptions.consistency({
          locations,
          region,
          unsafeUseDistributedReads: unsafeUseDistributedReads ?? region === undefined
        })
      )
    ),
    create: Effect.fn("TigrisBuckets.create")(function* (bucket, { locations, snapshots = false } = {}) {
      yield* BucketName.validate(bucket)
      const regions =
        locations === undefined ? undefined : yield* Effect.fromResult(BucketLocations.toHeader(locations))
      yield* requests
        .create(bucket, TigrisHeaders.createBucket({ snapshots, regions }))
        .pipe(Effect.mapError(failing("create", bucket)))
      const created = yield* told(
        Effect.filterOrFail(
          head("create", bucket),
          (info) => info.snapshots === snapshots,
          () => unexpected("create", bucket, "it exists now, but its snapshots are not what was asked for")
        )
      )
      if (locations !== undefined) {
        yield* told(
          Effect.filterOrFail(
            where("create", bucket),
            (found) => BucketLocations.equals(found, locations),
            () => unexpected("create", bucket, "it exists now, but is not kept where it was asked for")
          )
        )
      }
      return created
    }),
    locations: Effect.fn("TigrisBuckets.locations")((bucket) => where("locations", bucket)),
    deleteSnapshot: Effect.fn("TigrisBuckets.deleteSnapshot")(function* (bucket, version) {
      if (!TigrisHeaders.isSnapshotVersion(version)) return yield* invalidSnapshot
      // The request is the deletion of the bucket but for one header: it is made only where Tigris has the snapshot.
      const { snapshots } = yield* head("deleteSnapshot", bucket)
      const failed = (reason: BucketError.Reason): BucketError.BucketError =>
        new BucketError.BucketError({ operation: "deleteSnapshot", bucket, reason })
      if (!snapshots) return yield* failed(new BucketError.SnapshotsNotEnabled({ bucket }))
      const listed = yield* listSnapshots("deleteSnapshot", bucket)
      if (!listed.some((snapshot) => snapshot.version === version)) {
        return yield* failed(new BucketError.SnapshotNotFound({ bucket, version }))
      }
      yield* requests
        .delete(bucket, TigrisHeaders.deleteSnapshot(version))
        .pipe(Effect.mapError(failing("deleteSnapshot", bucket)))
    }),
    fork: Effect.fn("TigrisBuckets.fork")(function* (source, fork, { snapshotVersion } = {}) {
      yield* BucketName.validate(source)
      yield* BucketName.validate(fork)
      if (snapshotVersion !== undefined && !TigrisHeaders.isSnapshotVersion(snapshotVersion)) {
        return yield* invalidSnapshot
      }
      yield* requests.create(fork, TigrisHeaders.createFork({ source, snapshotVersion })).pipe(
        Effect.catch((refused) => {
          const asked = failing("fork", fork)(refused)
          if (asked.reason._tag === "BucketAlreadyExists") return Effect.fail(asked)
          const { detail } = asked.reason
          return explained(refused, asked, source, (info) => {
            if (!info.snapshots) return Effect.succeed(new BucketError.SnapshotsNotEnabled({ bucket: source, detail }))
            if (snapshotVersion === undefined) return Effect.succeed(undefined)
            return Effect.map(listSnapshots("fork", source), (all) =>
              all.some(({ version }) => version === snapshotVersion)
                ? undefined
                : new BucketError.SnapshotNotFound({ bucket: source, version: snapshotVersion, detail })
            )
          })
        })
      )
      // A service that does not know the headers creates an empty bucket.
      return yield* told(
        Effect.filterOrFail(
          head("fork", fork),
          (info) => info.forkOf?.bucket === source,
          () => unexpected("fork", fork, `it exists now, but is not a fork of \`${source}\``)
        )
      )
    }),
    delete: Effect.fn("TigrisBuckets.delete")(function* (bucket, { contents = false } = {}) {
      yield* requests.delete(bucket, TigrisHeaders.deleteBucket({ contents })).pipe(
        Effect.catch((refused) => {
          const asked = failing("delete", bucket)(refused)
          return explained(refused, asked, bucket, ({ hasForks }) =>
            Effect.succeed(hasForks ? new BucketError.BucketHasForks({ detail: asked.reason.detail }) : undefined)
          )
        })
      )
    }),
    list: requests
      .list(TigrisHeaders.bucketRead)
      .pipe(Effect.mapError(failing("list", "")), Effect.withSpan("TigrisBuckets.list")),
    info: Effect.fn("TigrisBuckets.info")((bucket) => head("info", bucket)),
    forks: Effect.fn("TigrisBuckets.forks")(function* (bucket) {
      // Of a bucket that is missing, all buckets would be asked about.
      yield* head("forks", bucket)
      const listed = yield* requests
        .list(TigrisHeaders.listForks(bucket))
        .pipe(Effect.mapError(failing("forks", bucket)))
      const found = yield* Effect.forEach(
        listed.filter(({ name }) => name !== bucket),
        ({ name }) =>
          Effect.catchIf(
            head("forks", name),
            // One may be deleted meanwhile, and where all are listed some may be out of reach.
            ({ reason }) => reason._tag === "BucketNotFound" || reason._tag === "AccessDenied",
            () => Effect.succeed(undefined)
          ),
        { concurrency: 8 }
      )
      return found.filter((info) => info !== undefined).filter(({ forkOf }) => forkOf?.bucket === bucket)
    }),
    createSnapshot,
    snapshots: Effect.fn("TigrisBuckets.snapshots")(function* (bucket) {
      const { snapshots } = yield* head("snapshots", bucket)
      if (!snapshots) {
        return yield* new BucketError.BucketError({
          operation: "snapshots",
          bucket,
          reason: new BucketError.SnapshotsNotEnabled({ bucket })
        })
      }
      return yield* listSnapshots("snapshots", bucket)
    }),
    store,
    snapshotStore: (bucket, version, options = {}) => store(bucket, { ...options, snapshotVersion: version }),
    url: (bucket, key, { style } = {}) => ObjectUrl.plain(connection, bucket, key, style),
    presignedUrl: Effect.fn("TigrisBuckets.presignedUrl")(
      (bucket, key, { expiresIn = "1 hour", method = "get" } = {}) =>
        ObjectUrl.presigned(connection, { bucket, key, method, expiresIn })
    )
  }
})

/**
 * The service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<TigrisBuckets, TigrisOptions.InvalidTigrisOptions> =>
  Layer.effect(TigrisBuckets, make(options))

const environment: Config.Config<Options> = Config.map(
  Config.all({ connection: TigrisOptions.connectionEnvironment, consistency: TigrisOptions.consistencyEnvironment }),
  ({ connection, consistency }) => ({ ...connection, ...consistency })
)

/**
 * The service with options that are read from Config; by default from the environment, see
 * `TigrisOptions.connectionEnvironment` and `TigrisOptions.consistencyEnvironment`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options> = environment
): Layer.Layer<TigrisBuckets, TigrisOptions.InvalidTigrisOptions | Config.ConfigError> =>
  Layer.effect(TigrisBuckets, Effect.flatMap(Config.unwrap(options), make))
