/**
 * Garbage collection: deletes the files that no snapshot of the repository needs.
 *
 * 1. All files that are old enough are candidates.
 * 2. What stays is read, and takes its manifests and chunks out of the candidates. A file that cannot be read ends the
 *    collection: what it needs is not known.
 * 3. One write takes the snapshots that are dropped out of the repository object. It is made only for an object all
 *    of whose snapshots that stay have been read; when somebody was faster, what came is read and the write tried again.
 *    From then on nobody can refer to what is left of the candidates: a commit adds files that are young to what the
 *    snapshot before it has.
 * 4. The candidates that are left are deleted, in batches. Before each batch it is asked whether the repository object has
 *    changed, and what came is read, too.
 *
 * Source: Icechunk's `ops/gc.rs` for what is needed, and for the order.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Zstd } from "../../encoding/Zstd.ts"
import { attempt } from "../../encoding/Attempt.ts"
import type { FormatError } from "../../encoding/FormatError.ts"
import type { Manifest } from "../../format/manifest/Manifest.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import * as ObjectStore from "../../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as Internals from "../Internals.ts"
import * as OpenSessions from "../OpenSessions.ts"
import type { RepositoryShape } from "../Repository.ts"
import { RepositoryBusy } from "../RepositoryError.ts"
import * as RepoObject from "../versions/RepoObject.ts"
import * as CollectionPlan from "./CollectionPlan.ts"
import * as Cutoff from "./Cutoff.ts"
import * as IdTable from "./IdTable.ts"
import * as Progress from "./Progress.ts"
import * as RepositoryFiles from "./RepositoryFiles.ts"

/**
 * How garbage is collected.
 *
 * @category models
 * @since 0.1.0
 */
export type CollectOptions = (
  | (Cutoff.Age & { readonly from?: undefined })
  /** Goes on with a collection that was planned, or that its time limit ended. */
  | {
      readonly from: CollectionPlan.CollectionPlan
      readonly olderThan?: undefined
      readonly before?: undefined
    }
) &
  Progress.ProgressOptions & {
    /** Deletes and writes nothing, and says what would be deleted. */
    readonly dryRun?: boolean | undefined
    /**
     * What is younger than this is never deleted (default 1 hour): files of commits that other processes are about to
     * make. It has to be longer than any session of another process keeps chunks before it commits them.
     */
    readonly minimumAge?: Duration.Input | undefined
    /** After this time the collection stops where it is, and can be gone on with. */
    readonly timeLimit?: Duration.Input | undefined
  }

/**
 * Files by kind, and all together.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileCounts extends Readonly<Record<RepositoryFiles.Kind, IdTable.FileCount>> {
  readonly total: IdTable.FileCount
}

/**
 * What a collection did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Collection {
  /** Whether nothing is left to do. Else go on with `left`. */
  readonly isComplete: boolean
  /** What was deleted; with a dry run, what would be. */
  readonly deleted: FileCounts
  /** What is left to delete; of a dry run all. */
  readonly left: CollectionPlan.CollectionPlan
}

/**
 * Why garbage cannot be collected.
 *
 * @category errors
 * @since 0.1.0
 */
export type CollectError = Cutoff.InvalidCutoff | RepoObject.UpdateError

/** In the order in which files are deleted: what refers to others before those. */
const kinds = ["snapshots", "transactionLogs", "manifests", "chunks"] as const

/**
 * Files by kind, with their sum.
 *
 * @category constructors
 * @since 0.1.0
 */
export const counts = (of: (kind: RepositoryFiles.Kind) => IdTable.FileCount): FileCounts => {
  const [snapshots, transactionLogs, manifests, chunks] = kinds.map(of) as [
    IdTable.FileCount,
    IdTable.FileCount,
    IdTable.FileCount,
    IdTable.FileCount
  ]
  const all = [snapshots, transactionLogs, manifests, chunks]
  const total = {
    files: all.reduce((sum, { files }) => sum + files, 0),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0)
  }
  return { snapshots, transactionLogs, manifests, chunks, total }
}

type Candidates = Readonly<Record<RepositoryFiles.Kind, IdTable.FileTable>>

/** What is known while a collection goes on. */
interface State {
  readonly before: number
  readonly candidates: Candidates
  /** Snapshots and manifests whose needs are taken out of the candidates. */
  readonly readSnapshots: IdTable.IdTable
  readonly readManifests: IdTable.IdTable
  /** Snapshots that nothing leads to and whose file is gone. */
  readonly lost: Set<SnapshotId>
}

/** Manifests and snapshots that are read between two looks at the clock. */
const batchSize = 32

/** Files that one request deletes at most. */
const deletedAtOnce = 1000

/** How often what came meanwhile is read before the collection gives up. */
const maxRounds = 100

const defaultMinimumAge: Duration.Input = "1 hour"

/** By how many milliseconds a file may seem older than it is: some stores stamp whole seconds. */
const stampSeconds = 1000

/** The object has snapshots that were not read. */
class Unread extends /*#__PURE__*/ Data.TaggedError("Unread")<{}> {}

/** Takes the chunks that a manifest refers to out of the candidates. Fails about the first ref that cannot be read. Pure. */
const takeOutChunks = (manifest: Manifest, chunks: IdTable.FileTable): Result.Result<void, FormatError> =>
  attempt(() => {
    for (const { node } of manifest.nodes) {
      const rows = manifest.rows(node)!
      for (let row = 0; row < rows.count; row++) {
        rows.seek(row)
        if (rows.kind === "Native") chunks.takeOut(rows.chunkId)
      }
    }
  })

const listOld = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  before: number,
  options: Progress.ProgressOptions
): Effect.fn.Return<Candidates, ObjectStoreError> {
  const candidates: Candidates = {
    snapshots: new IdTable.FileTable(),
    transactionLogs: new IdTable.FileTable(),
    manifests: new IdTable.FileTable(),
    chunks: new IdTable.FileTable()
  }
  for (const kind of kinds) {
    let files = 0
    let bytes = 0
    yield* RepositoryFiles.list(store, kind, (name, { lastModified, size }) => {
      files++
      bytes += size
      if (lastModified !== undefined && lastModified < before) candidates[kind].add(name, size)
    })
    yield* Progress.tell(options, { phase: "listing", kind, files, of: files, bytes })
  }
  return candidates
})

/** Reads what the snapshots need that were not read yet; whether all was read before the time was over. */
const readNeeded = Effect.fnUntraced(function* (
  store: ObjectStore.ObjectStoreShape,
  state: State,
  { kept, reachable }: CollectionPlan.Decision,
  { isOver, progressed }: Progress.Deadline,
  options: Progress.ProgressOptions
): Effect.fn.Return<boolean, Assets.AssetError, Zstd> {
  const { candidates, lost, readManifests, readSnapshots } = state
  const unread = [...kept].filter((id) => !readSnapshots.has(id))
  const withRoom = yield* RepositoryFiles.makeRoom
  const concurrency = RepositoryFiles.concurrency(store)
  let bytes = 0
  for (let at = 0; at < unread.length; at += batchSize) {
    if (yield* isOver) return false
    const batch = unread.slice(at, at + batchSize)
    /** Manifests of the batch that have to be read. */
    const needed = new Map<ManifestId, number | undefined>()
    const gone = new Set<SnapshotId>()
    yield* Effect.forEach(
      batch,
      (id) =>
        withRoom(candidates.snapshots.sizeOfId(id) ?? 0)(
          Effect.matchEffect(Assets.readSnapshot(store, id), {
            onFailure: (error) => {
              if (!isNotFound(error) || reachable.has(id)) return Effect.fail(error)
              gone.add(id)
              return Effect.void
            },
            onSuccess: (snapshot) =>
              Effect.sync(() => {
                for (const [manifest, size] of RepositoryFiles.manifestsOf(snapshot)) {
                  candidates.manifests.takeOutId(manifest)
                  if (!readManifests.has(manifest)) needed.set(manifest, size)
                }
              })
          })
        ),
      { concurrency, discard: true }
    )
    // Where no chunk is old there is nothing that a manifest could save.
    const manifests = candidates.chunks.isEmpty ? [] : [...needed]
    let isCut = false
    yield* Effect.forEach(
      manifests,
      ([id, size]) =>
        withRoom(size ?? 0)(
          Effect.gen(function* () {
            if (isCut || (yield* isOver)) {
              isCut = true
              return
            }
            const manifest = yield* Assets.readManifest(store, id)
            yield* Effect.fromResult(takeOutChunks(manifest, candidates.chunks))
            readManifests.addId(id)
            progressed()
            bytes += size ?? 0
          })
        ),
      { concurrency, discard: true }
    )
    if (isCut) return false
    for (const id of batch) {
      if (gone.has(id)) lost.add(id)
      else readSnapshots.addId(id)
    }
    progressed()
    yield* Progress.tell(options, {
      phase: "reading",
      kind: "snapshots",
      files: at + batch.length,
      of: unread.length,
      bytes
    })
  }
  return true
})

const planOf = (
  { before, candidates, readManifests, readSnapshots }: State,
  isComplete: boolean,
  dropped: ReadonlyArray<SnapshotId>
): CollectionPlan.CollectionPlan => ({
  before,
  isComplete,
  dropped,
  snapshots: candidates.snapshots.columns(),
  transactionLogs: candidates.transactionLogs.columns(),
  manifests: candidates.manifests.columns(),
  chunks: candidates.chunks.columns(),
  read: { snapshots: readSnapshots.toBytes(), manifests: readManifests.toBytes() }
})

const stateOf = (plan: CollectionPlan.CollectionPlan): State => ({
  before: plan.before,
  candidates: {
    snapshots: IdTable.fromColumns(plan.snapshots),
    transactionLogs: IdTable.fromColumns(plan.transactionLogs),
    manifests: IdTable.fromColumns(plan.manifests),
    chunks: IdTable.fromColumns(plan.chunks)
  },
  readSnapshots: IdTable.fromBytes(plan.read.snapshots),
  readManifests: IdTable.fromBytes(plan.read.manifests),
  lost: new Set()
})

/** Takes the snapshots that stay, and the logs that are needed, out of the candidates. */
const takeOutListed = (candidates: Candidates, info: RepoInfo): void => {
  for (const id of info.snapshots.keys()) candidates.snapshots.takeOutId(id)
  for (const id of CollectionPlan.neededLogs(info)) candidates.transactionLogs.takeOutId(id)
}

const nothing = (): FileCounts => counts(() => IdTable.noFiles)

/**
 * Deletes the files of a repository that no snapshot needs: chunks, manifests, snapshots and transaction logs that no
 * branch and no tag leads to and that are older than a cutoff, as the store tells their age. With `dryRun` nothing is
 * deleted.
 *
 * Everything that stays is read before anything is deleted. A file of it that cannot be read, down to a single ref, ends
 * the collection with a `FormatError` or an `ObjectStoreError` that names it. Commits, tags and branches that others make
 * meanwhile stay whole. Fails with `InvalidCutoff` when files of open sessions might be old enough.
 *
 * @example
 * ```ts
 * const { deleted } = yield* Maintenance.collectGarbage(repository, { olderThan: "7 days" })
 * yield* Console.log(`${deleted.total.files} files, ${deleted.total.bytes} bytes`)
 * ```
 *
 * @category maintenance
 * @since 0.1.0
 */
export const collectGarbage = /*#__PURE__*/ Effect.fn("Maintenance.collectGarbage")(function* (
  repository: RepositoryShape,
  options: CollectOptions
): Effect.fn.Return<Collection, CollectError> {
  const { change, readRepo, store, withZstd } = Internals.writing(repository)
  const dryRun = options.dryRun === true
  if (!dryRun) yield* ObjectStore.ensureWritable(store)
  const deadline = yield* Progress.deadline(options.timeLimit)
  const { info: first } = yield* readRepo
  if (!dryRun) yield* RepoObject.ensureOnline(store, first)

  const minimumAge = yield* Effect.fromResult(Cutoff.toMillis(options.minimumAge ?? defaultMinimumAge))
  const { ahead, now } = yield* Cutoff.storeTime(store)
  const before = options.from?.before ?? (yield* Effect.fromResult(Cutoff.resolve(options as Cutoff.Age, now)))
  const checkCutoff = Effect.suspend(() =>
    Effect.fromResult(
      Cutoff.check(before, {
        now,
        minimumAge,
        sessions: OpenSessions.on(store).map(({ branch, since }) => ({ branch, since: since + ahead - stampSeconds }))
      })
    )
  )
  yield* checkCutoff

  const state: State =
    options.from === undefined
      ? {
          before,
          candidates: yield* listOld(store, before, options),
          readSnapshots: new IdTable.IdTable(),
          readManifests: new IdTable.IdTable(),
          lost: new Set()
        }
      : stateOf(options.from)
  const { candidates, lost, readSnapshots } = state
  const oldSnapshots = candidates.snapshots.ids
  const isOld = (id: SnapshotId): boolean => oldSnapshots.has(id) || lost.has(id)
  const decide = (info: RepoInfo): CollectionPlan.Decision => CollectionPlan.decide(info, isOld)
  const read = (decision: CollectionPlan.Decision): Effect.Effect<boolean, Assets.AssetError> =>
    withZstd(readNeeded(store, state, decision, deadline, options))

  /** Reads until everything is read that an object needs; its decision, or `undefined` when the time was over. */
  const readAll = Effect.fnUntraced(function* (
    info: RepoInfo
  ): Effect.fn.Return<CollectionPlan.Decision | undefined, Assets.AssetError> {
    for (;;) {
      const known = lost.size
      const decision = decide(info)
      if (!(yield* read(decision))) return undefined
      if (lost.size === known) return decision
    }
  })

  let written: RepoInfo | undefined
  for (let round = 1; written === undefined; round++) {
    const { info } = yield* readRepo
    const decision = yield* readAll(info)
    if (decision === undefined) {
      return { isComplete: false, deleted: nothing(), left: planOf(state, false, []) }
    }
    const after = CollectionPlan.apply(info, decision).info
    if (dryRun) {
      takeOutListed(candidates, after)
      const left = planOf(state, true, decision.dropped)
      return { isComplete: true, deleted: counts((kind) => candidates[kind].count), left }
    }
    if (decision.dropped.length === 0 && isNothingLeft(candidates, after)) {
      takeOutListed(candidates, after)
      return { isComplete: true, deleted: nothing(), left: planOf(state, true, []) }
    }
    // A session may have been opened, or have written its first chunk, while the repository was read.
    yield* checkCutoff
    const planned = (now: RepoInfo): Result.Result<ReturnType<typeof CollectionPlan.apply>, Unread> => {
      const decision = decide(now)
      for (const id of decision.kept) if (!readSnapshots.has(id)) return Result.fail(new Unread())
      const changed = CollectionPlan.apply(now, decision)
      written = changed.info
      return Result.succeed(changed)
    }
    const isWritten = yield* change(planned).pipe(
      Effect.as(true),
      Effect.catchTag("Unread", () => Effect.succeed(false))
    )
    if (isWritten) break
    written = undefined
    if (round >= maxRounds) return yield* new RepositoryBusy({ store: store.description, attempts: round })
  }

  takeOutListed(candidates, written!)
  const toDelete = counts((kind) => candidates[kind].count)
  const deleted: Record<RepositoryFiles.Kind, IdTable.FileCount> = {
    snapshots: IdTable.noFiles,
    transactionLogs: IdTable.noFiles,
    manifests: IdTable.noFiles,
    chunks: IdTable.noFiles
  }
  const result = (isComplete: boolean): Collection => ({
    isComplete,
    deleted: counts((kind) => deleted[kind]),
    left: planOf(state, true, [])
  })
  let looked = written
  for (const kind of kinds) {
    const files = candidates[kind]
    while (!files.isEmpty) {
      if (yield* deadline.isOver) return result(false)
      const { info } = yield* readRepo
      if (info !== looked) {
        yield* RepoObject.ensureOnline(store, info)
        // What it lists stays, whatever leads to it: it is not written again.
        if (!(yield* read({ ...decide(info), kept: new Set(info.snapshots.keys()) }))) return result(false)
        takeOutListed(candidates, info)
        looked = info
      }
      const batch = files.firstLeft(deletedAtOnce)
      if (batch.length === 0) break
      yield* store.delete(batch.map(({ name }) => RepositoryFiles.directories[kind] + name))
      for (const { name } of batch) files.takeOutId(name as SnapshotId)
      deadline.progressed()
      deleted[kind] = {
        files: deleted[kind].files + batch.length,
        bytes: deleted[kind].bytes + batch.reduce((sum, { size }) => sum + size, 0)
      }
      yield* Progress.tell(options, {
        phase: "deleting",
        kind,
        files: deleted[kind].files,
        of: toDelete[kind].files,
        bytes: deleted[kind].bytes
      })
    }
  }
  return result(true)
})

/** Whether all candidates are needed. */
const isNothingLeft = (candidates: Candidates, info: RepoInfo): boolean => {
  if (!candidates.chunks.isEmpty || !candidates.manifests.isEmpty) return false
  const logs = CollectionPlan.neededLogs(info)
  const isNeeded = (files: IdTable.FileTable, has: (id: SnapshotId) => boolean): boolean => {
    for (let row = 0; row < files.ids.size; row++) {
      const id = files.ids.idOf(row) as SnapshotId
      if (files.hasId(id) && !has(id)) return false
    }
    return true
  }
  return (
    isNeeded(candidates.snapshots, (id) => info.snapshots.has(id)) &&
    isNeeded(candidates.transactionLogs, (id) => logs.has(id))
  )
}
