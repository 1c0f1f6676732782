/**
 * A repository in a bucket that is a fork: its commits are brought home to the bucket that it was forked from, and what
 * was committed there comes into the fork.
 *
 * Tigris itself merges forks object by object, and knows nothing of commits: the branches of a repository are all in one
 * object, of which one side's would stay. Here each commit becomes a commit of the other side's branch, with its message
 * and metadata, put on top of what is there as `rebase` of a session does, and all of them become visible with one write.
 * Objects are copied by Tigris, their bytes pass no program.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as BranchMerge from "@effect-icechunk/core/BranchMerge"
import * as ContainerMatch from "@effect-icechunk/core/ContainerMatch"
import * as Location from "@effect-icechunk/core/Location"
import * as ObjectStore from "@effect-icechunk/core/ObjectStore"
import { isNotFound, type ObjectStoreError } from "@effect-icechunk/core/ObjectStoreError"
import type { Platforms } from "@effect-icechunk/core/Platform"
import * as Repository from "@effect-icechunk/core/Repository"
import type { Zstd } from "@effect-icechunk/core/Zstd"
import type { BucketError } from "./BucketError.ts"
import * as TigrisBuckets from "./TigrisBuckets.ts"
import type * as TigrisOptions from "./TigrisOptions.ts"
import { forkBucket } from "./TigrisPlatform.ts"

/**
 * A bucket is not a fork, or not of the bucket that was named.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAFork extends Schema.TaggedError<NotAFork>()("NotAFork", {
  bucket: Schema.String,
  /** What it is a fork of, if of anything. */
  forkOf: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return `Bucket \`${this.bucket}\` is ${this.forkOf === undefined ? "not a fork" : `a fork of \`${this.forkOf}\``}: its commits cannot be brought anywhere else. Check its name; \`TigrisBuckets.forks\` lists the forks of a bucket.`
  }
}

/**
 * A commit refers to a virtual object that would be another one, or be taken for a changed one, where the commit is to go.
 *
 * @category errors
 * @since 0.1.0
 */
export class VirtualObjectConflict extends Schema.TaggedError<VirtualObjectConflict>()("VirtualObjectConflict", {
  location: Schema.String,
  /** Where the object of the commit is, bucket and key. */
  from: Schema.String,
  /** Where the same location leads after the merge. */
  to: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `The commits cannot be brought over: \`${this.location}\` is \`${this.from}\` here and \`${this.to}\` there, and ${this.problem}. Nothing was committed.`
  }
}

/**
 * How a fork is merged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<BranchMerge.MergeOptions, "branch" | "from" | "rebase"> {
  /** Where the repository is in both buckets (default: at their roots). */
  readonly prefix?: string | undefined
  /** How the repositories are opened. */
  readonly open?: Repository.OpenOptions | undefined
  /** What the stores of both buckets are opened with. */
  readonly store?: Omit<TigrisBuckets.StoreOptions, "prefix" | "snapshotVersion"> | undefined
}

/**
 * What was brought over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Merged extends BranchMerge.Merged {
  /** The bucket that has the commits now. */
  readonly into: string
  /** Virtual objects that were copied along, because they were in the other bucket only. */
  readonly virtualObjects: number
}

/**
 * Why a fork could not be merged. Nothing of it is visible then, except that with `OutcomeUnknown` it may be; the same call
 * finds out.
 *
 * @category errors
 * @since 0.1.0
 */
export type ForkError =
  | NotAFork
  | VirtualObjectConflict
  | BucketError
  | TigrisOptions.InvalidTigrisOptions
  | TigrisOptions.MissingRegion
  | Repository.OpenError
  | BranchMerge.MergeError

/** What merging needs from the context. */
type Services = TigrisBuckets.TigrisBuckets | Platforms | Zstd

/** A repository in a bucket, open. */
interface Side {
  readonly bucket: string
  readonly store: ObjectStore.ObjectStoreShape
  readonly repository: Repository.RepositoryShape
  readonly containers: ContainerMatch.ContainerSet
}

const side = Effect.fnUntraced(function* (
  bucket: string,
  { open, prefix, store: options }: Options
): Effect.fn.Return<Side, ForkError, Services | Scope.Scope> {
  const buckets = yield* TigrisBuckets.TigrisBuckets
  const store = yield* buckets.store(bucket, { ...options, prefix })
  const repository = yield* Effect.provide(Repository.open(open), Layer.succeed(ObjectStore.ObjectStore, store))
  return { bucket, store, repository, containers: { inOrder: yield* repository.containers } }
})

/** Where the object of a location is: its bucket and key; `undefined` when it is not on Tigris, or nowhere. Pure. */
const placeOf = (containers: ContainerMatch.ContainerSet, text: string): TigrisObject | undefined => {
  const location = Location.parse(text)
  if (Result.isFailure(location)) return undefined
  const found = ContainerMatch.resolve(containers, location.success)
  if (Result.isFailure(found) || found.success.container.platform !== "tigris") return undefined
  const { container, path } = found.success
  const slash = path.indexOf("/")
  if (slash < 0) return undefined
  return { bucket: forkBucket(container) ?? path.slice(0, slash), key: path.slice(slash + 1) }
}

interface TigrisObject {
  readonly bucket: string
  readonly key: string
}

/** Looks that each virtual object of a commit is where the commit is going, and copies what is in the other bucket only. */
const virtualObjects = Effect.fnUntraced(function* (from: Side, into: Side, options: Options) {
  const buckets = yield* TigrisBuckets.TigrisBuckets
  // Whole buckets: virtual objects are beside the repository.
  const there = yield* buckets.store(from.bucket, options.store)
  const here = yield* buckets.store(into.bucket, options.store)
  const known = new Set<string>()
  let copied = 0
  const etagOf = (store: ObjectStore.ObjectStoreShape, key: string) =>
    store.head(key).pipe(
      Effect.map(({ version }) => ({ etag: version.etag })),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )
  const bring = Effect.fnUntraced(function* (
    location: string,
    isDated: boolean
  ): Effect.fn.Return<void, VirtualObjectConflict | ObjectStoreError> {
    const source = placeOf(from.containers, location)
    const target = placeOf(into.containers, location)
    if (source === undefined || target === undefined) return
    if (source.bucket !== from.bucket || target.bucket !== into.bucket) return
    const conflict = (problem: string): VirtualObjectConflict =>
      new VirtualObjectConflict({
        location,
        from: `${source.bucket}/${source.key}`,
        to: `${target.bucket}/${target.key}`,
        problem
      })
    const found = yield* etagOf(there, source.key)
    // A commit may refer to what is not there, or no more.
    if (found === undefined) return
    const existing = yield* etagOf(here, target.key)
    if (existing !== undefined) {
      if (existing.etag === found.etag) return
      return yield* conflict("these are different objects; give one of them another key")
    }
    if (isDated) {
      return yield* conflict(
        "its refs are checked by the time of its last change, which a copy does not keep; set them with an ETag"
      )
    }
    yield* buckets.copyObject(source, target, options.store)
    const now = yield* etagOf(here, target.key)
    if (now?.etag !== found.etag) {
      return yield* conflict("its copy got another ETag, so that refs that have one would not be read; upload it there")
    }
    copied++
  })
  const check = ({ dated, locations }: BranchMerge.IncomingRefs) =>
    Effect.forEach(
      [...locations].filter((location) => !known.has(location)),
      (location) =>
        Effect.andThen(
          bring(location, dated.has(location)),
          Effect.sync(() => known.add(location))
        ),
      { concurrency: 8, discard: true }
    )
  return { check, copied: () => copied }
})

/** Brings the commits of one bucket's repository into the other's. */
const bring = Effect.fnUntraced(function* (
  from: string,
  into: string,
  options: Options
): Effect.fn.Return<Merged, ForkError, Services> {
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const buckets = yield* TigrisBuckets.TigrisBuckets
      const [theirs, ours] = yield* Effect.all([side(from, options), side(into, options)], { concurrency: 2 })
      const base = options.prefix === undefined || options.prefix === "" ? "" : `${options.prefix.replace(/\/$/, "")}/`
      const { check, copied } = yield* virtualObjects(theirs, ours, options)
      const merged = yield* BranchMerge.merge<VirtualObjectConflict | ObjectStoreError>(
        ours.repository,
        theirs.repository,
        {
          branch: options.branch,
          from: options.from,
          rebase: options.rebase,
          check,
          copy: (key) =>
            buckets.copyObject({ bucket: from, key: base + key }, { bucket: into, key: base + key }, options.store)
        }
      )
      return { ...merged, into, virtualObjects: copied() }
    })
  )
})

const sourceOf = Effect.fnUntraced(function* (
  fork: string
): Effect.fn.Return<string, NotAFork | BucketError, TigrisBuckets.TigrisBuckets> {
  const buckets = yield* TigrisBuckets.TigrisBuckets
  const { forkOf } = yield* buckets.info(fork)
  return forkOf === undefined ? yield* new NotAFork({ bucket: fork }) : forkOf.bucket
})

/**
 * Brings home what was committed to a fork: each commit that the branch of its source does not have becomes a commit of it.
 * Where the source has not moved since, the commits go in as they are, with their ids. Done twice, the second time changes
 * nothing. The fork stays as it is.
 *
 * Fails with `RebaseConflict` where the two do not go together and `rebase` does not say who wins: the commits of the fork
 * are ours, what the source has is theirs.
 *
 * @category writing
 * @since 0.1.0
 */
export const merge: (fork: string, options?: Options) => Effect.Effect<Merged, ForkError, Services> = Effect.fn(
  "Fork.merge"
)(function* (fork, options = {}) {
  return yield* bring(fork, yield* sourceOf(fork), options)
})

/**
 * Brings what was committed to the source of a fork into it, the same way round: the commits of the source are ours, what
 * the fork has is theirs.
 *
 * @category writing
 * @since 0.1.0
 */
export const refresh: (fork: string, options?: Options) => Effect.Effect<Merged, ForkError, Services> = Effect.fn(
  "Fork.refresh"
)(function* (fork, options = {}) {
  return yield* bring(yield* sourceOf(fork), fork, options)
})
