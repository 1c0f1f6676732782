/**
 * From a change set to files: which manifests are written, and the new snapshot and transaction log.
 * Design, section 3.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as EffectiveRows from "../../format/manifest/EffectiveRows.ts"
import * as ManifestWriter from "../../format/manifest/ManifestWriter.ts"
import * as MergedRefs from "../../format/manifest/MergedRefs.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type * as TransactionLog from "../../format/TransactionLog.ts"
import type { WriteForbidden } from "../../store/ObjectStore.ts"
import type { ObjectStoreError } from "../../store/ObjectStoreError.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import * as Config from "../../values/RepositoryConfig.ts"
import type { JsonObject } from "../../values/Json.ts"
import type { AssetError, Assets } from "../Assets.ts"
import type { WritableAssets } from "../AssetWrites.ts"
import { gridShape } from "../ChunkReads.ts"
import type { Node } from "../SnapshotView.ts"
import * as Adopted from "./Adopted.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import * as ChangeSet from "./ChangeSet.ts"
import * as ManifestSplit from "./ManifestSplit.ts"
import * as MergedLog from "./MergedLog.ts"
import * as RandomId from "../RandomId.ts"
import type { ArrayNode } from "../Session.ts"
import * as SplitExpressions from "../SplitExpressions.ts"
import type * as Uploads from "./Uploads.ts"

const noIndices = new Uint32Array(0)

/** The changed refs of an array that change anything, `undefined` when none does. */
const settleArray = Effect.fnUntraced(function* (
  assets: Assets,
  node: ArrayNode,
  changes: ChunkRefColumns
): Effect.fn.Return<ChunkRefColumns | undefined, AssetError> {
  const all = changes.rowsInOrder()
  const touched = node.data.manifests.filter(
    ({ extents, problem }) =>
      problem === undefined && EffectiveRows.touches(changes.columns(), changes.rank, all, extents)
  )
  const bases = yield* Effect.forEach(
    touched,
    ({ extents, id }) => Effect.map(assets.manifest(id), (manifest) => ({ manifest, extents })),
    { concurrency: 4 }
  )
  const rows = yield* Effect.fromResult(
    EffectiveRows.effectiveRows({ node: node.id, gridShape: gridShape(node.data), bases, changes })
  )
  return rows.length === 0 ? undefined : rows === all ? changes : changes.only(rows)
})

/**
 * The changes as they are now, without refs that are there already, deletions of what is not there, and chunks outside
 * of a grid that shrank. Reads the manifests that cover changed chunks, and no chunk.
 *
 * @category combinators
 * @since 0.1.0
 */
export const settle = Effect.fnUntraced(function* (
  assets: Assets,
  changed: ChangedSnapshot
): Effect.fn.Return<ChangedSnapshot, AssetError> {
  const { base, changes } = changed
  if (changes.chunks.size === 0) return changed
  // Others may write while manifests are read.
  const taken = ChangeSet.copy(changes)
  const arrays = changed
    .nodes()
    .filter((node): node is ArrayNode => node.data._tag === "Array" && taken.chunks.has(node.id))
  const settled = yield* Effect.forEach(
    arrays,
    (node) => Effect.map(settleArray(assets, node, taken.chunks.get(node.id)!), (chunks) => [node.id, chunks] as const),
    { concurrency: 2 }
  )
  const chunks = new Map(settled.flatMap(([id, chunks]) => (chunks === undefined ? [] : [[id, chunks] as const])))
  return new ChangedSnapshot(base, { ...taken, chunks })
})

/** An array with its new manifests, and what the snapshot has to say of those. */
interface Written {
  readonly node: ArrayNode
  readonly files: ReadonlyArray<Snapshot.ManifestFileInfo>
}

/** The plan for an array, a step at a time, so that a commit can be interrupted while it is made. */
const planned = Effect.fnUntraced(function* (options: ManifestSplit.PlanOptions): Effect.fn.Return<ManifestSplit.Plan> {
  const steps = ManifestSplit.planSteps(options)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    yield* Effect.yieldNow
  }
})

/**
 * Encodes the manifests of an array whose chunks or grid changed. Manifests without a change in them stay.
 * They are written while the next ones are encoded: the snapshot only has to know their ids and sizes.
 */
const writeArray = Effect.fnUntraced(function* (
  assets: WritableAssets,
  uploads: Uploads.Uploads<ObjectStoreError | WriteForbidden>,
  config: Config.RepositoryConfig,
  expressions: SplitExpressions.Expressions,
  changed: ChunkRefColumns | undefined,
  adopted: ReadonlyArray<Adopted.Adopted>,
  node: ArrayNode,
  rewrite: "all" | "unfit" | undefined,
  noteStored: (id: ObjectId.ManifestId) => void
): Effect.fn.Return<Written, AssetError | ManifestWriter.ManifestTooLarge> {
  const grid = gridShape(node.data)
  const byWorkers = new Set(adopted.map(({ id }) => id))
  const before = node.data.manifests.filter(({ id }) => !byWorkers.has(id))
  const stay = Adopted.asTheyAre({ adopted, manifests: before, changed, gridShape: grid })
  const own = adopted.filter(({ id }) => stay.has(id))
  const manifests: Array<Snapshot.ManifestRef> = own.map(({ extents, id }) => ({ id, extents }))
  const files = own.map(({ id, runs, sizeBytes }): Snapshot.ManifestFileInfo => ({
    id,
    sizeBytes,
    numChunkRefs: runs.count,
    extra: undefined
  }))
  const options = {
    manifests: node.data.manifests.filter(({ id }) => !stay.has(id)),
    merged: byWorkers,
    gridShape: grid,
    sizes: ManifestSplit.boxSizes(config, expressions, {
      path: node.path,
      gridShape: grid,
      dimensionNames: node.data.dimensionNames
    })
  }
  const plan =
    rewrite === undefined
      ? yield* planned({
          ...options,
          changed: changed === undefined ? { count: 0, indices: noIndices } : changed.indicesInOrder()
        })
      : ManifestSplit.rewritePlan(options, rewrite)
  manifests.push(...plan.kept)
  if (!plan.writes) return { node: { ...node, data: { ...node.data, manifests } }, files }
  const bases = yield* Effect.forEach(
    plan.replaced,
    ({ extents, id }) => Effect.map(assets.manifest(id), (manifest) => ({ manifest, extents })),
    { concurrency: Config.manifestFetches(config) }
  )
  const refs = yield* Effect.fromResult(MergedRefs.merge({ node: node.id, gridShape: grid, bases, changes: changed }))
  const isWhole = plan.sizes.every((size, axis) => size >= grid[axis]!)
  const boxes = isWhole ? [undefined] : yield* Effect.fromResult(MergedRefs.byBox(refs, grid, plan.sizes))
  for (const positions of boxes) {
    const id = yield* RandomId.manifestId
    const encoded = yield* Effect.fromResult(ManifestWriter.encode({ id, arrays: [{ refs, positions }] }))
    const extents = encoded?.extents[0]
    if (encoded === undefined || extents === undefined) continue
    const manifest = yield* assets.encodeManifest(id, encoded.payload)
    yield* uploads.start(
      manifest.bytes.length,
      Effect.tap(assets.writeManifest(manifest), () => Effect.sync(() => noteStored(id)))
    )
    manifests.push({ id, extents })
    files.push({ id, sizeBytes: manifest.bytes.length, numChunkRefs: encoded.count, extra: undefined })
  }
  return { node: { ...node, data: { ...node.data, manifests } }, files }
})

/** What the manifests of an array follow from, beside the changed refs and the configuration. */
const sourceOf = ({ data, path }: ArrayNode): string =>
  JSON.stringify([path, data.shape, data.dimensionNames, data.manifests.map(({ id }) => id)])

/** Manifests of an array, and which of them are in the store. */
interface Made {
  readonly source: string
  readonly changed: ChunkRefColumns | undefined
  readonly written: Written
  readonly stored: ReadonlySet<ObjectId.ManifestId>
}

/**
 * Manifests that were written for changes, to be used again where these are put on another base that has the same array.
 *
 * @category models
 * @since 0.1.0
 */
export type Manifests = Map<ObjectId.NodeId, Made>

/** As `writeArray`, unless that was done for an earlier base. */
const writeOnce = Effect.fnUntraced(function* (
  made: Manifests,
  changed: ChunkRefColumns | undefined,
  adopted: ReadonlyArray<Adopted.Adopted>,
  node: ArrayNode,
  write: (
    noteStored: (id: ObjectId.ManifestId) => void
  ) => Effect.Effect<Written, AssetError | ManifestWriter.ManifestTooLarge>
): Effect.fn.Return<Written, AssetError | ManifestWriter.ManifestTooLarge> {
  const source = sourceOf(node)
  const known = made.get(node.id)
  if (
    known?.source === source &&
    known.changed === changed &&
    known.written.files.every(({ id }) => known.stored.has(id))
  ) {
    const { files, node: before } = known.written
    return { node: { ...node, data: { ...node.data, manifests: before.data.manifests } }, files }
  }
  const stored = new Set(adopted.map(({ id }) => id))
  const written = yield* write((id) => stored.add(id))
  made.set(node.id, { source, changed, written, stored })
  return written
})

/**
 * A snapshot whose files are written but which no branch points at yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flushed {
  readonly snapshot: Snapshot.Snapshot
  readonly log: TransactionLog.TransactionLog
  /** Manifests of workers whose refs it has. */
  readonly adopted: ReadonlySet<ObjectId.ManifestId>
}

/**
 * Uploads of a commit.
 *
 * @category models
 * @since 0.1.0
 */
export type CommitUploads = Uploads.Uploads<ObjectStoreError | WriteForbidden>

/**
 * When a snapshot on top of another one is made, in microseconds since 1970: `now`, in milliseconds, or just after the other.
 * Icechunk commits only on top of what is older, whatever the clocks of others say.
 *
 * @category combinators
 * @since 0.1.0
 */
export const flushedAt = (now: number, base: Pick<Snapshot.Snapshot, "flushedAt">): number =>
  Math.max(now * 1000, base.flushedAt + 1)

/**
 * How changes become files.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlushOptions {
  readonly config: Config.RepositoryConfig
  readonly message: string
  readonly metadata: JsonObject
  /** Microseconds since 1970. */
  readonly flushedAt: number
  /** What earlier attempts have written. */
  readonly made: Manifests
  /** What the base did, when the new snapshot takes its place. */
  readonly amends?: TransactionLog.TransactionLog | undefined
  /** Writes manifests that nobody changed; only without changes. */
  readonly rewrite?: "all" | "unfit" | undefined
}

/**
 * Starts to write manifests, transaction log and snapshot of the changes, in any order. Nothing of it is visible yet.
 *
 * @category writing
 * @since 0.1.0
 */
export const flush = Effect.fn("Commit.flush")(function* (
  assets: WritableAssets,
  uploads: CommitUploads,
  changed: ChangedSnapshot,
  options: FlushOptions
): Effect.fn.Return<Flushed, AssetError | ManifestWriter.ManifestTooLarge> {
  const id = yield* RandomId.snapshotId
  const { base, changes } = changed
  const own = ChangeSet.transactionLog(id, changes)
  const log = options.amends === undefined ? own : MergedLog.merge(id, options.amends, own)
  const expressions = yield* SplitExpressions.load(options.config)
  // The grid of an array that was updated may be another, and new ones have chunks or no manifests.
  const isTouched = (node: Node): node is ArrayNode =>
    node.data._tag === "Array" &&
    (options.rewrite !== undefined ||
      changes.chunks.has(node.id) ||
      changes.updated.has(node.id) ||
      changes.adopted.has(node.id))
  // The log comes second: it is encoded while the first manifest, which takes longer, is compressed elsewhere.
  const [written] = yield* Effect.all(
    [
      Effect.forEach(
        changed.nodes().filter(isTouched),
        (node) => {
          const refs = changes.chunks.get(node.id)
          const adopted = changes.adopted.get(node.id) ?? []
          return writeOnce(options.made, refs, adopted, node, (noteStored) =>
            writeArray(assets, uploads, options.config, expressions, refs, adopted, node, options.rewrite, noteStored)
          )
        },
        { concurrency: 2 }
      ),
      uploads.start(0, assets.writeTransactionLog(log))
    ],
    { concurrency: 2 }
  )
  const rewritten = new Map<ObjectId.NodeId, Node>(written.map(({ node }) => [node.id, node]))
  const nodes = changed.nodes().map((node) => rewritten.get(node.id) ?? node)
  const files = written.flatMap(({ files }) => files)
  const snapshot: Snapshot.Snapshot = {
    id,
    parentId: undefined,
    nodes,
    flushedAt: options.flushedAt,
    message: options.message,
    metadata: options.metadata,
    manifestFiles: manifestFiles(nodes, [...base.manifestFiles, ...files]),
    extra: base.extra
  }
  yield* uploads.start(0, assets.writeSnapshot(snapshot))
  const adopted = new Set([...changes.adopted.values()].flatMap((manifests) => manifests.map(({ id }) => id)))
  return { snapshot, log, adopted }
})

/** The files that the nodes still refer to, sorted by id. Pure. */
const manifestFiles = (
  nodes: ReadonlyArray<Node>,
  known: ReadonlyArray<Snapshot.ManifestFileInfo>
): ReadonlyArray<Snapshot.ManifestFileInfo> => {
  const used = new Set<ObjectId.ManifestId>()
  for (const { data } of nodes) if (data._tag === "Array") for (const { id } of data.manifests) used.add(id)
  return known.filter(({ id }) => used.has(id)).toSorted((a, b) => ObjectId.compare(a.id, b.id))
}
