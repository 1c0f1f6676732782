/**
 * Brings the commits of another repository into a branch of this one: of a fork home, or of the source into a fork. The
 * two have a snapshot in common, and nodes keep their ids, so that what was done to one can be done to the other.
 *
 * Each commit that the branch does not have becomes one commit of it, with its message and metadata. Where nothing was
 * committed to the branch since the two parted, the commits go in as they are; else their changes are put on its tip as
 * `rebase` of a session does. All of them become visible with one write, or none; what an interruption leaves behind are
 * objects that nothing refers to, and the same call goes on from there.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ChunkRefColumns, Kind } from "../../format/manifest/ChunkRefColumns.ts"
import type * as ManifestWriter from "../../format/manifest/ManifestWriter.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog } from "../../format/TransactionLog.ts"
import * as DeferredWrites from "../../store/DeferredWrites.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { ManifestId, SnapshotId } from "../../values/ObjectId.ts"
import type { InvalidConfig } from "../../values/RepositoryConfig.ts"
import type { AssetError } from "../Assets.ts"
import * as AssetWrites from "../AssetWrites.ts"
import * as Internals from "../Internals.ts"
import * as Layout from "../Layout.ts"
import type { Opened } from "../Opening.ts"
import type { ReadonlyRepositoryShape } from "../ReadonlyRepository.ts"
import type { RepositoryShape } from "../Repository.ts"
import { RepositoryBusy } from "../RepositoryError.ts"
import * as RepoChange from "../versions/RepoChange.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as TransactionLogs from "../versions/TransactionLogs.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import * as ChangesBetween from "./ChangesBetween.ts"
import type * as ChangeSet from "./ChangeSet.ts"
import * as Commit from "./Commit.ts"
import * as MergePlan from "./MergePlan.ts"
import * as Pace from "./Pace.ts"
import type * as Rebase from "./Rebase.ts"
import * as Rebasing from "./Rebasing.ts"
import * as Uploads from "./Uploads.ts"

export { type Incoming, MergeImpossible, type Plan } from "./MergePlan.ts"

/**
 * How a branch is merged.
 *
 * @category models
 * @since 0.1.0
 */
export interface MergeOptions<E = never> {
  /** The branch that the commits go into (default `main`). */
  readonly branch?: string | undefined
  /** The branch of the other repository that has them (default the same). */
  readonly from?: string | undefined
  /**
   * How conflicts end. The commits that come in are ours, what the branch has is theirs (default `{}`: each of them fails,
   * and nothing is changed).
   */
  readonly rebase?: Rebase.Solver | undefined
  /**
   * Copies an object of the other repository to the same key of this one without that its bytes pass here (default: it is
   * read and written).
   */
  readonly copy?: ((key: string) => Effect.Effect<void, ObjectStoreError | ObjectStore.WriteForbidden>) | undefined
  /**
   * Looks at the changes of each commit as they will be here, before anything of it is written, and refuses those that
   * would refer to what this repository cannot reach.
   */
  readonly check?: ((incoming: IncomingRefs) => Effect.Effect<void, E>) | undefined
}

/**
 * What the refs of a commit that comes in point at outside of the repository.
 *
 * @category models
 * @since 0.1.0
 */
export interface IncomingRefs {
  readonly commit: SnapshotId
  /** Distinct locations, as the refs have them. */
  readonly locations: ReadonlySet<string>
  /** Those of them that some ref checks by the time of its object's last change. */
  readonly dated: ReadonlySet<string>
}

/**
 * What a merge did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Merged {
  /** The last snapshot that both branches had. */
  readonly base: SnapshotId
  /** The tip of the branch now. */
  readonly tip: SnapshotId
  /** Oldest first: the commit of the other repository, and the one that it became. */
  readonly commits: ReadonlyArray<{ readonly from: SnapshotId; readonly to: SnapshotId }>
  readonly isFastForward: boolean
  /** Chunks that were copied, and their bytes. */
  readonly chunks: { readonly count: number; readonly bytes: number }
}

/**
 * Why a merge failed. Nothing of it is visible then, except that with `OutcomeUnknown` all of it may be; the same call
 * finds out.
 *
 * @category errors
 * @since 0.1.0
 */
export type MergeError =
  | MergePlan.MergeImpossible
  | RepoChange.RefNotFound
  | Rebase.RebaseError
  | ManifestWriter.ManifestTooLarge
  | InvalidConfig
  | RepoObject.UpdateError

/** Rounds that others may win before the repository is said to be too busy. */
const maxAttempts = 100

/** The objects of their repository, to be written to ours. */
interface Objects {
  /** Starts to copy the chunks that some refs have. */
  readonly chunks: (
    uploads: Commit.CommitUploads,
    commit: SnapshotId,
    changes: ChangeSet.ChangeSet
  ) => Effect.Effect<void, ObjectStoreError | ObjectStore.WriteForbidden>
  readonly file: (key: string) => Effect.Effect<void, ObjectStoreError | ObjectStore.WriteForbidden>
  /** The chunks of these commits are there. */
  readonly finish: (commits: ReadonlyArray<SnapshotId>) => void
  readonly counts: () => Merged["chunks"]
  readonly durable: Effect.Effect<void, ObjectStoreError>
}

/** The native chunks that are referred to, and the bytes of each that are. */
const nativeChunks = (chunks: ReadonlyMap<ObjectId.NodeId, ChunkRefColumns>): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const refs of chunks.values()) {
    const { ids, kinds, lengths, offsets, targets } = refs.columns()
    for (const row of refs.rowsInOrder()) {
      if (kinds[row] !== Kind.Native) continue
      const id = ObjectId.chunkId(ids.subarray(targets[row]))
      found.set(id, Math.max(found.get(id) ?? 0, offsets[row]! + lengths[row]!))
    }
  }
  return found
}

const locationsOf = (
  chunks: ReadonlyMap<ObjectId.NodeId, ChunkRefColumns>
): Pick<IncomingRefs, "locations" | "dated"> => {
  const found = new Set<string>()
  const dated = new Set<string>()
  for (const refs of chunks.values()) {
    const { kinds, locations, targets } = refs.columns()
    for (const row of refs.rowsInOrder()) {
      if (kinds[row]! < Kind.Virtual) continue
      const location = locations[targets[row]!]!
      found.add(location)
      if (kinds[row] === Kind.VirtualLastModified) dated.add(location)
    }
  }
  return { locations: found, dated }
}

/** How long what an interrupted merge has copied is taken as it is, in milliseconds. */
const resumable = 60 * 60 * 1000

/** How many chunks are looked for at once. */
const lookups = 16

const objects = (
  from: ObjectStore.ObjectStoreShape,
  to: ObjectStore.ObjectStoreShape,
  copy: MergeOptions["copy"]
): Objects => {
  const writes = DeferredWrites.make()
  const done = new Set<SnapshotId>()
  // An earlier merge that was interrupted has copied the first chunk, or none but a few.
  let isResumed: boolean | undefined
  let count = 0
  let bytes = 0
  const file: Objects["file"] =
    copy ??
    ((key) =>
      Effect.flatMap(from.get(key), (found) =>
        Effect.asVoid(to.put(key, found.bytes, { contentType: "application/octet-stream", defer: writes.defer(key) }))
      ))
  const isThere = Effect.fnUntraced(function* (key: string): Effect.fn.Return<boolean, ObjectStoreError> {
    // What is in a local store may have lost its bytes with the power.
    if (to.isLocal === true || isResumed === false) return false
    const found = yield* Effect.catchIf(to.head(key), isNotFound, () => Effect.succeed(undefined))
    isResumed ??= found !== undefined
    // What is older may be collected as garbage before it is referred to: a copy is young again.
    const { lastModified = 0 } = found ?? {}
    return found !== undefined && (yield* Clock.currentTimeMillis) - lastModified < resumable
  })
  return {
    chunks: Effect.fnUntraced(function* (uploads, commit, { chunks }) {
      if (done.has(commit)) return
      const all = [...nativeChunks(chunks)].map(([id, size]) => ({ key: Layout.chunk(id as ObjectId.ChunkId), size }))
      const [first, ...rest] = all
      if (first === undefined) return
      // A few at a time are looked for, so that what is to be copied is never listed as a whole.
      const copied = Effect.fnUntraced(function* ({ key, size }: { readonly key: string; readonly size: number }) {
        if (yield* isThere(key)) return
        yield* uploads.start(
          copy === undefined ? size : 0,
          Effect.andThen(
            file(key),
            Effect.sync(() => {
              count++
              bytes += size
            })
          )
        )
      })
      yield* copied(first)
      yield* Effect.forEach(rest, copied, { concurrency: lookups, discard: true })
    }),
    file,
    finish: (commits) => {
      for (const commit of commits) done.add(commit)
    },
    counts: () => ({ count, bytes }),
    durable: DeferredWrites.settleAll(writes)
  }
}

/** The plan, between what is known of both. */
const planned = (
  into: RepositoryShape,
  other: ReadonlyRepositoryShape,
  options: Pick<MergeOptions, "branch" | "from">,
  known: { readonly info: RepoObject.Versioned["info"]; readonly theirs: RepoObject.Versioned["info"] }
): Result.Result<MergePlan.Plan, RepoChange.RefNotFound | MergePlan.MergeImpossible> => {
  const branch = options.branch ?? "main"
  const from = options.from ?? branch
  return MergePlan.plan(known.info, known.theirs, { branch, from, into: into.description, other: other.description })
}

/**
 * What a merge would do; nothing is written. Conflicts are not looked for.
 *
 * @category reading
 * @since 0.1.0
 */
export const plan: (
  into: RepositoryShape,
  other: ReadonlyRepositoryShape,
  options?: Pick<MergeOptions, "branch" | "from">
) => Effect.Effect<MergePlan.Plan, RepoChange.RefNotFound | MergePlan.MergeImpossible | AssetError> = Effect.fn(
  "BranchMerge.plan"
)(function* (into, other, options = {}) {
  const [{ info }, { info: theirs }] = yield* Effect.all(
    [Internals.writing(into).readRepo, Internals.reading(other).readRepo],
    { concurrency: 2 }
  )
  return yield* Effect.fromResult(planned(into, other, options, { info, theirs }))
})

/**
 * Brings the commits of a branch of `other` that a branch of `into` does not have into it, and tells what each became.
 * Done twice, the second time changes nothing.
 *
 * Fails with `RebaseConflict` where a commit does not go together with what the branch has, and `rebase` does not say who
 * wins; with `MergeImpossible` where the two have no snapshot in common, or where the one that a commit was made on has
 * expired in both and its file was collected; with `RebaseImpossible` where a transaction log is missing. Repositories of
 * spec 2 that were created apart have their first, empty snapshot in common.
 *
 * @category writing
 * @since 0.1.0
 */
export const merge: <E = never>(
  into: RepositoryShape,
  other: ReadonlyRepositoryShape,
  options?: MergeOptions<E>
) => Effect.Effect<Merged, E | MergeError> = Effect.fn("BranchMerge.merge")(function* <E>(
  into: RepositoryShape,
  other: ReadonlyRepositoryShape,
  options: MergeOptions<E> = {}
): Effect.fn.Return<Merged, E | MergeError> {
  const ours = Internals.writing(into)
  const theirs = Internals.reading(other)
  const branch = options.branch ?? "main"
  const solver = options.rebase ?? {}
  yield* ObjectStore.ensureWritable(ours.store)
  const { info: theirInfo } = yield* theirs.readRepo
  const copies = objects(theirs.store, ours.store, options.copy)
  const chained = yield* ours.withZstd(AssetWrites.chained)
  const pace = Pace.make(RepoObject.randomShare)

  const logsFrom = (
    opened: Opened,
    ids: ReadonlyArray<SnapshotId>,
    rebased: { readonly expected: SnapshotId; readonly actual: SnapshotId }
  ): Effect.Effect<ReadonlyArray<TransactionLog>, Rebase.RebaseImpossible | AssetError> =>
    Rebasing.logsOf((id) => opened.withZstd(TransactionLogs.read(opened.store, id)), ids, { branch, ...rebased })

  /**
   * The snapshot that the changes of one of their commits are of, from whoever lists it. One that has expired in both may
   * still be there, until it is collected.
   */
  const baseOf = (
    { base, commit }: MergePlan.Incoming,
    known: RepoObject.Versioned["info"]
  ): Effect.Effect<Snapshot.Snapshot, MergePlan.MergeImpossible | AssetError> => {
    if (known.snapshots.has(base)) return ours.assets.snapshot(base)
    if (theirInfo.snapshots.has(base)) return theirs.assets.snapshot(base)
    return theirs.assets.snapshot(base).pipe(
      Effect.catchIf(isNotFound, () => ours.assets.snapshot(base)),
      Effect.catchIf(isNotFound, () => {
        const because = `the changes of their commit \`${commit.id}\` are of snapshot \`${base}\`, which has expired in both, and whose file was collected`
        return Effect.fail(new MergePlan.MergeImpossible({ into: into.description, from: other.description, because }))
      })
    )
  }

  /** What one of their commits did. */
  const changesOf = Effect.fnUntraced(function* (
    incoming: MergePlan.Incoming,
    onto: SnapshotId,
    known: RepoObject.Versioned["info"]
  ): Effect.fn.Return<
    { readonly base: Snapshot.Snapshot; readonly next: Snapshot.Snapshot; readonly changes: ChangeSet.ChangeSet },
    MergePlan.MergeImpossible | Rebase.RebaseImpossible | AssetError
  > {
    const { commit, logs: logIds } = incoming
    const [base, next, logs] = yield* Effect.all(
      [
        baseOf(incoming, known),
        theirs.assets.snapshot(commit.id),
        logsFrom(theirs, logIds, { expected: commit.id, actual: onto })
      ],
      { concurrency: 3 }
    )
    const versions = { base, next, logs }
    const manifests = new Map(
      yield* Effect.forEach(
        ChangesBetween.manifestsNeeded(versions),
        (id) => Effect.map(theirs.assets.manifest(id), (manifest) => [id, manifest] as const),
        { concurrency: 4 }
      )
    )
    const changes = yield* Effect.fromResult(ChangesBetween.changesBetween(versions, (id) => manifests.get(id)!))
    return { base, next, changes }
  })

  const checked = (commit: SnapshotId, { chunks }: ChangeSet.ChangeSet): Effect.Effect<void, E> =>
    options.check === undefined ? Effect.void : Effect.suspend(() => options.check!({ commit, ...locationsOf(chunks) }))

  /** Their files as they are, but for the manifests that we have. */
  const adopt = Effect.fnUntraced(function* (
    uploads: Commit.CommitUploads,
    { base, next }: { readonly base: Snapshot.Snapshot; readonly next: Snapshot.Snapshot },
    logs: ReadonlyArray<SnapshotId>
  ) {
    const before = manifestIds(base)
    const keys = [...manifestIds(next)].filter((id) => !before.has(id)).map(Layout.manifest)
    for (const key of [...keys, ...logs.map(Layout.transaction), Layout.snapshot(next.id)]) {
      yield* uploads.start(0, copies.file(key))
    }
  })

  /** Writes what is to be written for all commits of a plan, and returns what the repository object has to say of them. */
  const place = (
    { commits, isFastForward, tip }: MergePlan.Plan,
    known: RepoObject.Versioned["info"],
    files: DeferredWrites.DeferredWrites
  ): Effect.Effect<ReadonlyArray<RepoChange.NewSnapshot>, E | MergeError> =>
    Uploads.during(
      Effect.fnUntraced(function* (
        uploads: Commit.CommitUploads
      ): Effect.fn.Return<ReadonlyArray<RepoChange.NewSnapshot>, E | MergeError> {
        const placed: Array<RepoChange.NewSnapshot> = []
        const own = chained(ours.assets)
        let below: Snapshot.Snapshot | undefined
        for (const incoming of commits) {
          const { commit, unknown } = incoming
          const onto: Snapshot.Snapshot = below ?? (yield* ours.assets.snapshot(tip))
          const { base, changes, next } = yield* changesOf(incoming, onto.id, known)
          if (isFastForward) {
            yield* checked(commit.id, changes)
            yield* copies.chunks(uploads, commit.id, changes)
            yield* adopt(uploads, { base, next }, incoming.logs)
            placed.push({ ...commit, parentId: onto.id })
            below = next
            continue
          }
          const { changed } = yield* Rebasing.rebase({
            assets: own,
            branch,
            changed: new ChangedSnapshot(base, changes),
            onto,
            history: () => Result.succeed(logsFrom(ours, unknown, { expected: base.id, actual: onto.id })),
            solver
          })
          yield* checked(commit.id, changed.changes)
          yield* copies.chunks(uploads, commit.id, changed.changes)
          const now = yield* Clock.currentTimeMillis
          const metadata = MergePlan.metadataFrom(commit)
          const { snapshot } = yield* Commit.flush(own, uploads, changed, {
            config: ours.config.current(),
            message: commit.message,
            metadata,
            flushedAt: Commit.flushedAt(now, onto),
            made: new Map()
          })
          placed.push(RepoChange.newSnapshot(snapshot, onto.id))
          below = snapshot
        }
        return placed
      })
    ).pipe(Effect.provideService(AssetWrites.Deferred, files))

  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    yield* pace.wait
    const begun = yield* Clock.currentTimeMillis
    const { info } = yield* ours.config.beside(ours.readRepo)
    yield* RepoObject.ensureOnline(ours.store, info)
    const plan = yield* Effect.fromResult(planned(into, other, options, { info, theirs: theirInfo }))
    const { base, commits, isFastForward, tip } = plan
    const files = DeferredWrites.make()
    const [first, ...rest] = commits.length === 0 ? [] : yield* place(plan, info, files)
    if (first === undefined) {
      return { base, tip, commits: [], isFastForward: false, chunks: copies.counts() }
    }
    copies.finish(commits.map(({ commit }) => commit.id))
    const last = rest.at(-1) ?? first
    const isIn = yield* ours
      .change(RepoChange.commit(branch, [first, ...rest]), {
        after: Effect.andThen(DeferredWrites.settleAll(files), copies.durable),
        isWrittenIn: ({ snapshots }) => snapshots.has(last.id)
      })
      .pipe(
        Effect.as(true),
        Effect.catchTag("CommitConflict", () => Effect.succeed(false))
      )
    if (isIn) {
      return {
        base,
        tip: last.id,
        commits: [first, ...rest].map(({ id }, i) => ({ from: commits[i]!.commit.id, to: id })),
        isFastForward,
        chunks: copies.counts()
      }
    }
    pace.lost((yield* Clock.currentTimeMillis) - begun)
  }
  return yield* new RepositoryBusy({ store: ours.store.description, attempts: maxAttempts })
})

const manifestIds = ({ manifestFiles, nodes }: Snapshot.Snapshot): ReadonlySet<ManifestId> => {
  const ids = new Set(manifestFiles.map(({ id }) => id))
  for (const { data } of nodes) if (data._tag === "Array") for (const { id } of data.manifests) ids.add(id)
  return ids
}
