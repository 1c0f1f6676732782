/**
 * Whether a repository is whole: every file of every kind can be read, and everything that it refers to is there, as large
 * as it should be.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Zstd } from "../../encoding/Zstd.ts"
import { attempt } from "../../encoding/Attempt.ts"
import { FormatError } from "../../encoding/FormatError.ts"
import type { Manifest } from "../../format/manifest/Manifest.ts"
import type { RepoInfo } from "../../format/RepoInfo.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { ObjectStoreShape } from "../../store/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../store/ObjectStoreError.ts"
import type { ManifestId, SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as TransactionLogs from "../versions/TransactionLogs.ts"
import * as ConfigFile from "../config/ConfigFile.ts"
import type { ObjectCheck } from "../Dependencies.ts"
import * as Internals from "../Internals.ts"
import * as Layout from "../Layout.ts"
import type { ReadonlyRepositoryShape } from "../ReadonlyRepository.ts"
import type { RepositoryOffline } from "../RepositoryError.ts"
import * as IdTable from "./IdTable.ts"
import * as Leftovers from "./Leftovers.ts"
import * as Progress from "./Progress.ts"
import * as RepositoryFiles from "./RepositoryFiles.ts"

/**
 * What is wrong with a repository, or how far the check has come.
 *
 * - `Missing`: a file is not there that another one refers to in a field;
 * - `Damaged`: a field of a file cannot be read;
 * - `Mismatch`: a file is there and is not what another one says of it in a field;
 * - `Virtual`: an object outside of the repository is not what its refs say;
 * - `Ended`: the last one. When the check is not complete it can be gone on with from there.
 *
 * @category models
 * @since 0.1.0
 */
export type Finding = Data.TaggedEnum<{
  readonly Missing: { readonly file: string; readonly referredBy: string; readonly field: string }
  readonly Damaged: { readonly file: string; readonly field: string; readonly problem: string }
  readonly Mismatch: {
    readonly file: string
    readonly referredBy: string
    readonly field: string
    readonly problem: string
  }
  readonly Virtual: { readonly check: ObjectCheck }
  readonly Ended: {
    readonly isComplete: boolean
    /** Files that were looked at. */
    readonly snapshots: number
    readonly manifests: number
    readonly chunks: number
    readonly refs: number
    readonly left: Checked
  }
}>

/**
 * Constructors and pattern matching.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Finding: Data.TaggedEnum.Constructor<Finding> = /*#__PURE__*/ Data.taggedEnum<Finding>()

/**
 * What has been checked, as plain data: ids of twelve bytes, one after the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checked {
  readonly snapshots: Uint8Array
  readonly manifests: Uint8Array
}

/**
 * How a repository is checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckOptions extends Progress.ProgressOptions {
  /** Asks also for each distinct object outside of the repository whether it is what its refs say (default `false`). */
  readonly virtual?: boolean | undefined
  /** After this time the check ends where it is. */
  readonly timeLimit?: Duration.Input | undefined
  /** Goes on with a check that its time limit ended. */
  readonly from?: Checked | undefined
}

/**
 * Why a check ends early. `RepositoryOffline` only when virtual objects are asked for.
 *
 * @category errors
 * @since 0.1.0
 */
export type CheckError = Assets.AssetError | RepositoryOffline

/** Tells of a finding. */
type Tell = (finding: Finding) => Effect.Effect<void>

const damaged = ({ field, file, problem }: FormatError): Finding => Finding.Damaged({ file, field, problem })

/** What a file says, or `undefined` when it is missing or damaged, which is told. */
const readable = <A, R>(
  tell: Tell,
  missing: { readonly file: string; readonly referredBy: string; readonly field: string },
  read: Effect.Effect<A, Assets.AssetError, R>
): Effect.Effect<A | undefined, ObjectStoreError, R> =>
  Effect.matchEffect(read, {
    onSuccess: (value) => Effect.succeed<A | undefined>(value),
    onFailure: (error) => {
      if (error._tag === "FormatError") return Effect.as(tell(damaged(error)), undefined)
      return isNotFound(error) ? Effect.as(tell(Finding.Missing(missing)), undefined) : Effect.fail(error)
    }
  })

/** The files that are there, with their sizes. */
interface Listed {
  readonly manifests: IdTable.FileTable
  readonly chunks: IdTable.FileTable
}

/**
 * What is wrong with the refs of a manifest: each missing or short chunk once. Fails about a ref that cannot be read. Pure.
 */
const refProblems = (
  manifest: Manifest,
  chunks: IdTable.FileTable,
  told: IdTable.IdTable
): Result.Result<ReadonlyArray<Finding>, FormatError> =>
  attempt(() => {
    const found: Array<Finding> = []
    const { file } = manifest
    manifest.nodes.forEach(({ node }, array) => {
      const rows = manifest.rows(node)!
      let before: ReadonlyArray<number> | undefined
      for (let row = 0; row < rows.count; row++) {
        rows.seek(row)
        if (before !== undefined && rows.compare(before) <= 0) {
          rows.fail({ slot: 0, name: "index" }, "it does not come after the one before it")
        }
        before = rows.index()
        const ref = rows.ref()
        if (ref._tag !== "Native") continue
        const id = rows.chunkId
        const size = chunks.sizeOf(id)
        if (size !== undefined && ref.offset + ref.length <= size) continue
        if (!told.add(id)) continue
        const chunk = Layout.chunk(ref.id)
        const field = `arrays[${array}].refs[${row}]`
        found.push(
          size === undefined
            ? Finding.Missing({ file: chunk, referredBy: file, field })
            : Finding.Mismatch({
                file: chunk,
                referredBy: file,
                field,
                problem: `it has ${size} bytes, the ref ends at byte ${ref.offset + ref.length}`
              })
        )
      }
    })
    return found
  })

/** What a snapshot says that contradicts itself, or the files that are there. Pure. */
const snapshotProblems = (file: string, snapshot: Snapshot.Snapshot, listed: Listed): ReadonlyArray<Finding> => {
  const found: Array<Finding> = []
  const files = new Set<ManifestId>()
  snapshot.manifestFiles.forEach(({ id, sizeBytes }, i) => {
    files.add(id)
    const size = listed.manifests.sizeOfId(id)
    // One that is missing is told when it is read.
    if (size === undefined || size === sizeBytes) return
    found.push(
      Finding.Mismatch({
        file: Layout.manifest(id),
        referredBy: file,
        field: `manifest_files[${i}].size_bytes`,
        problem: `it has ${size} bytes, the snapshot says ${sizeBytes}`
      })
    )
  })
  snapshot.nodes.forEach(({ data, path }, n) => {
    if (data._tag !== "Array") return
    data.manifests.forEach(({ id, problem }, m) => {
      const field = `nodes[${n}].node_data.manifests[${m}]`
      if (problem !== undefined) {
        found.push(Finding.Damaged({ file, field, problem: `array \`${path}\`: ${problem}` }))
      }
      if (files.has(id)) return
      found.push(
        Finding.Mismatch({
          file: Layout.manifest(id),
          referredBy: file,
          field,
          problem: "the snapshot does not list the file among its manifests"
        })
      )
    })
  })
  return found
}

/** What is wrong with the configuration. */
const checkConfig = (store: ObjectStoreShape, tell: Tell): Effect.Effect<void, ObjectStoreError> =>
  Effect.matchEffect(ConfigFile.readStored(store), {
    onSuccess: () => Effect.void,
    onFailure: (error) =>
      error._tag === "InvalidConfig"
        ? tell(Finding.Damaged({ file: Layout.config, field: error.field, problem: error.problem }))
        : Effect.fail(error)
  })

/** The operations log: its pages, and the former objects that the repository object lists. */
const checkLog = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  info: RepoInfo,
  tell: Tell
): Effect.fn.Return<void, ObjectStoreError, Zstd> {
  const prefix = Layout.overwritten("")
  const copies = new Set<string>()
  yield* Stream.runForEach(store.list(prefix), ({ key }) => Effect.sync(() => copies.add(key.slice(prefix.length))))
  for (const [i, { backupPath }] of info.latestUpdates.entries()) {
    if (backupPath === undefined || copies.has(backupPath)) continue
    const field = `latest_updates[${i}].backup_path`
    yield* tell(Finding.Missing({ file: Layout.overwritten(backupPath), referredBy: Layout.repo, field }))
  }
  const pages = Stream.runDrain(Leftovers.pages(store, info))
  yield* Effect.catchTag(pages, "FormatError", (error) => tell(damaged(error)))
})

/** The transaction logs of a snapshot and of those that expired before it. */
const checkLogs = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  { id, prunedAncestorTxLogs }: { readonly id: SnapshotId; readonly prunedAncestorTxLogs: ReadonlyArray<SnapshotId> },
  hasOwn: boolean,
  tell: Tell
): Effect.fn.Return<void, ObjectStoreError, Zstd> {
  for (const [i, log] of [id, ...prunedAncestorTxLogs].entries()) {
    if (i === 0 && !hasOwn) continue
    const at = { file: Layout.transaction(log), referredBy: Layout.repo }
    const field = i === 0 ? `snapshots[${id}]` : `snapshots[${id}].pruned_ancestor_tx_logs[${i - 1}]`
    yield* readable(tell, { ...at, field }, TransactionLogs.read(store, log))
  }
})

const checkAll = Effect.fnUntraced(function* (
  repository: ReadonlyRepositoryShape,
  options: CheckOptions,
  tell: Tell
): Effect.fn.Return<void, CheckError, Zstd> {
  const { readRepo, store } = Internals.reading(repository)
  const { isOver, progressed } = yield* Progress.deadline(options.timeLimit)
  const doneSnapshots = IdTable.fromBytes(options.from?.snapshots ?? new Uint8Array(0))
  const doneManifests = IdTable.fromBytes(options.from?.manifests ?? new Uint8Array(0))
  const withRoom = yield* RepositoryFiles.makeRoom
  const concurrency = RepositoryFiles.concurrency(store)
  const counts = { snapshots: 0, manifests: 0, refs: 0 }

  const repo = yield* readable(tell, { file: Layout.repo, referredBy: "", field: "" }, readRepo)
  const listed: Listed = { manifests: new IdTable.FileTable(), chunks: new IdTable.FileTable() }
  const ended = (isComplete: boolean): Effect.Effect<void> =>
    tell(
      Finding.Ended({
        isComplete,
        ...counts,
        chunks: listed.chunks.ids.size,
        left: { snapshots: doneSnapshots.toBytes(), manifests: doneManifests.toBytes() }
      })
    )
  if (repo === undefined) return yield* ended(true)
  const { info } = repo
  for (const kind of ["manifests", "chunks"] as const) {
    yield* RepositoryFiles.list(store, kind, (name, { size }) => listed[kind].add(name, size))
    yield* Progress.tell(options, { phase: "listing", kind, of: listed[kind].ids.size, ...listed[kind].count })
  }
  if (options.from === undefined) {
    yield* checkConfig(store, tell)
    yield* checkLog(store, info, tell)
  }

  const told = new IdTable.IdTable()
  const checkManifest = Effect.fnUntraced(function* (
    id: ManifestId,
    by: { readonly referredBy: string; readonly field: string; readonly refs: number | undefined }
  ) {
    const file = Layout.manifest(id)
    const missing = { file, referredBy: by.referredBy, field: by.field }
    const manifest = yield* readable(tell, missing, Assets.readManifest(store, id))
    counts.manifests++
    doneManifests.addId(id)
    progressed()
    if (manifest === undefined) return
    counts.refs += manifest.count
    if (by.refs !== undefined && by.refs !== manifest.count) {
      const problem = `it has ${manifest.count} refs, the snapshot says ${by.refs}`
      yield* tell(Finding.Mismatch({ ...missing, field: `${by.field}.num_chunk_refs`, problem }))
    }
    const problems = refProblems(manifest, listed.chunks, told)
    if (Result.isFailure(problems)) return yield* tell(damaged(problems.failure))
    yield* Effect.forEach(problems.success, tell, { discard: true })
  })

  const all = [...info.snapshots.keys()].filter((id) => !doneSnapshots.has(id))
  const batchSize = 32
  for (let at = 0; at < all.length; at += batchSize) {
    if (yield* isOver) return yield* ended(false)
    const batch = all.slice(at, at + batchSize)
    const needed = new Map<ManifestId, Parameters<typeof checkManifest>[1] & { readonly size: number }>()
    yield* Effect.forEach(
      batch,
      Effect.fnUntraced(function* (id) {
        const file = Layout.snapshot(id)
        const missing = { file, referredBy: Layout.repo, field: `snapshots[${id}]` }
        const read = yield* readable(tell, missing, RepositoryFiles.versionedSnapshot(store, id))
        const listedAs = info.snapshots.get(id)!
        // Icechunk 1 wrote no log of the first snapshot.
        const hasLog = !(read?.specVersion === 1 && listedAs.parentId === undefined)
        yield* checkLogs(store, listedAs, hasLog, tell)
        counts.snapshots++
        if (read === undefined) return
        const { snapshot } = read
        yield* Effect.forEach(snapshotProblems(file, snapshot, listed), tell, { discard: true })
        const fields = new Map(
          snapshot.manifestFiles.map(({ id, numChunkRefs, sizeBytes }, i) => [
            id,
            { referredBy: file, field: `manifest_files[${i}]`, refs: numChunkRefs, size: sizeBytes }
          ])
        )
        for (const manifest of RepositoryFiles.manifestsOf(snapshot).keys()) {
          if (doneManifests.has(manifest) || needed.has(manifest)) continue
          needed.set(manifest, fields.get(manifest) ?? { referredBy: file, field: "nodes", refs: undefined, size: 0 })
        }
      }),
      { concurrency, discard: true }
    )
    let isCut = false
    yield* Effect.forEach(
      needed,
      Effect.fnUntraced(function* ([id, by]) {
        if (isCut || (yield* isOver)) {
          isCut = true
          return
        }
        yield* withRoom(by.size)(checkManifest(id, by))
      }),
      { concurrency, discard: true }
    )
    if (isCut) return yield* ended(false)
    for (const id of batch) doneSnapshots.addId(id)
    progressed()
    yield* Progress.tell(options, {
      phase: "reading",
      kind: "snapshots",
      files: at + batch.length,
      of: all.length,
      bytes: listed.manifests.count.bytes
    })
  }
  if (options.virtual === true) {
    yield* Stream.runForEach(repository.wholeHistory.verifyVirtualChunks(), (check) =>
      check.verdict === "unchanged" || check.verdict === "unchecked" ? Effect.void : tell(Finding.Virtual({ check }))
    )
  }
  yield* ended(true)
})

/**
 * Checks a whole repository, and tells what is wrong as it goes: the repository object and its log, every snapshot that it
 * lists with its transaction logs, every manifest with every ref, and that each chunk is there and as large as its refs need.
 * The bytes of chunks are not read. The last element says whether the check is complete.
 *
 * What is wrong with a file is a finding; the stream fails only when a store does not answer.
 *
 * @category maintenance
 * @since 0.1.0
 */
export const check = (
  repository: ReadonlyRepositoryShape,
  options: CheckOptions = {}
): Stream.Stream<Finding, CheckError> =>
  Stream.callback<Finding, CheckError>(
    (queue: Queue.Queue<Finding, CheckError | Cause.Done>) => {
      const { withZstd } = Internals.reading(repository)
      const tell: Tell = (finding) => Effect.asVoid(Queue.offer(queue, finding))
      return Effect.andThen(withZstd(checkAll(repository, options, tell)), Queue.end(queue))
    },
    { bufferSize: 64 }
  )

/**
 * What is wrong, in a sentence.
 *
 * @category accessors
 * @since 0.1.0
 */
export const describe: (finding: Finding) => string = /*#__PURE__*/ Finding.$match({
  Missing: ({ field, file, referredBy }) =>
    referredBy === ""
      ? `\`${file}\` is missing`
      : `\`${file}\` is missing: \`${field}\` of \`${referredBy}\` refers to it`,
  Damaged: (error) => new FormatError(error).message,
  Mismatch: ({ field, file, problem, referredBy }) =>
    `\`${file}\` is not what \`${field}\` of \`${referredBy}\` says: ${problem}`,
  Virtual: ({ check: { location, verdict } }) => `\`${location}\` is ${verdict}`,
  Ended: ({ chunks, isComplete, manifests, refs, snapshots }) =>
    `${isComplete ? "Checked" : "The time limit was reached after"} ${snapshots} snapshots, ${manifests} manifests and ${refs} refs to ${chunks} chunks`
})
