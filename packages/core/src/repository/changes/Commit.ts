/**
 * From a change set to files: which manifests are written, and the new snapshot and transaction log.
 * Design, section 3.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as ManifestWriter from "../../format/manifest/ManifestWriter.ts"
import * as MergedRefs from "../../format/manifest/MergedRefs.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type * as TransactionLog from "../../format/TransactionLog.ts"
import type { WriteForbidden } from "../../store/ObjectStore.ts"
import * as NodePath from "../../values/NodePath.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { RepositoryConfig } from "../../values/RepositoryConfig.ts"
import type { JsonObject } from "../../values/Json.ts"
import type { AssetError, Assets } from "../Assets.ts"
import { type ChangeSet, gridShape, type Node } from "./ChangeSet.ts"
import * as ManifestSplit from "./ManifestSplit.ts"
import * as RandomId from "../RandomId.ts"
import * as SplitExpressions from "../SplitExpressions.ts"
import type { ArrayNode } from "../Session.ts"

const noIndices = new Uint32Array(0)

/** A node, an array with its new manifests, and what the snapshot has to say of those. */
interface Written {
  readonly node: Node
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
 * Writes the manifests of an array whose chunks or grid changed. Manifests without a change in them stay.
 */
const writeArray = Effect.fnUntraced(function* (
  assets: Assets,
  config: RepositoryConfig,
  expressions: SplitExpressions.Expressions,
  changes: ChangeSet,
  node: ArrayNode
): Effect.fn.Return<Written, AssetError | ManifestWriter.ManifestTooLarge | WriteForbidden> {
  const changed = changes.chunks(node.id)
  const grid = gridShape(node.data)
  const plan = yield* planned({
    manifests: node.data.manifests,
    gridShape: grid,
    sizes: ManifestSplit.boxSizes(config, expressions, {
      path: node.path,
      gridShape: grid,
      dimensionNames: node.data.dimensionNames
    }),
    changed: changed === undefined ? { count: 0, indices: noIndices } : changed.indicesInOrder()
  })
  if (!plan.writes) return { node, files: [] }
  const bases = yield* Effect.forEach(
    plan.replaced,
    ({ extents, id }) => Effect.map(assets.manifest(id), (manifest) => ({ manifest, extents })),
    { concurrency: 4 }
  )
  const refs = yield* Effect.fromResult(MergedRefs.merge({ node: node.id, gridShape: grid, bases, changes: changed }))
  const isWhole = plan.sizes.every((size, axis) => size >= grid[axis]!)
  const boxes = isWhole ? [undefined] : yield* Effect.fromResult(MergedRefs.byBox(refs, grid, plan.sizes))
  const manifests: Array<Snapshot.ManifestRef> = [...plan.kept]
  const files: Array<Snapshot.ManifestFileInfo> = []
  for (const positions of boxes) {
    const id = yield* RandomId.manifestId
    const encoded = yield* Effect.fromResult(ManifestWriter.encode({ id, arrays: [{ refs, positions }] }))
    const extents = encoded?.extents[0]
    if (encoded === undefined || extents === undefined) continue
    const sizeBytes = yield* assets.writeManifest(id, encoded.payload)
    manifests.push({ id, extents })
    files.push({ id, sizeBytes, numChunkRefs: encoded.count, extra: undefined })
  }
  return { node: { ...node, data: { ...node.data, manifests } }, files }
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
}

/**
 * Writes manifests, transaction log and snapshot of the changes. Nothing of it is visible yet.
 *
 * @category writing
 * @since 0.1.0
 */
export const flush = Effect.fn("Commit.flush")(function* (
  assets: Assets,
  changes: ChangeSet,
  options: {
    readonly config: RepositoryConfig
    readonly message: string
    readonly metadata: JsonObject
    /** Microseconds since 1970. */
    readonly flushedAt: number
  }
): Effect.fn.Return<Flushed, AssetError | ManifestWriter.ManifestTooLarge | WriteForbidden> {
  const id = yield* RandomId.snapshotId
  const log = transactionLog(id, changes)
  const expressions = yield* SplitExpressions.load(options.config)
  const [written] = yield* Effect.all(
    [
      Effect.forEach(
        changes.nodes(),
        (node): Effect.Effect<Written, AssetError | ManifestWriter.ManifestTooLarge | WriteForbidden> =>
          node.data._tag === "Group"
            ? Effect.succeed({ node, files: [] })
            : writeArray(assets, options.config, expressions, changes, node as ArrayNode),
        { concurrency: 2 }
      ),
      assets.writeTransactionLog(log)
    ],
    { concurrency: 2 }
  )
  const nodes = written.map(({ node }) => node)
  const files = written.flatMap(({ files }) => files)
  const snapshot: Snapshot.Snapshot = {
    id,
    parentId: undefined,
    nodes,
    flushedAt: options.flushedAt,
    message: options.message,
    metadata: options.metadata,
    manifestFiles: manifestFiles(nodes, [...changes.base.manifestFiles, ...files]),
    extra: changes.base.extra
  }
  yield* assets.writeSnapshot(snapshot)
  return { snapshot, log }
})

/** The files that the nodes still refer to, sorted by id. Pure. */
const manifestFiles = (
  nodes: ReadonlyArray<Node>,
  known: ReadonlyArray<Snapshot.ManifestFileInfo>
): ReadonlyArray<Snapshot.ManifestFileInfo> => {
  const used = new Set(nodes.flatMap(({ data }) => (data._tag === "Array" ? data.manifests.map(({ id }) => id) : [])))
  return known.filter(({ id }) => used.has(id)).toSorted((a, b) => ObjectId.compare(a.id, b.id))
}

/**
 * What a change set did, for other writers to compare with. Pure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transactionLog = (id: ObjectId.SnapshotId, changes: ChangeSet): TransactionLog.TransactionLog => {
  const ids = (nodes: ReadonlyArray<Node>, kind: Node["data"]["_tag"]): ReadonlyArray<ObjectId.NodeId> =>
    nodes
      .filter(({ data }) => data._tag === kind)
      .map((node) => node.id)
      .toSorted(ObjectId.compare)
  const updatedChunks = changes
    .nodes(NodePath.root)
    .flatMap((node) => {
      const columns = changes.chunks(node.id)
      if (columns === undefined || node.data._tag === "Group") return []
      const { count, indices } = columns.indicesInOrder()
      return count === 0 ? [] : [{ node: node.id, rank: node.data.shape.length, count, coords: indices }]
    })
    .toSorted((a, b) => ObjectId.compare(a.node, b.node))
  return {
    id,
    newGroups: ids(changes.createdNodes, "Group"),
    newArrays: ids(changes.createdNodes, "Array"),
    deletedGroups: ids(changes.deletedNodes, "Group"),
    deletedArrays: ids(changes.deletedNodes, "Array"),
    updatedGroups: ids(changes.updatedNodes, "Group"),
    updatedArrays: ids(changes.updatedNodes, "Array"),
    updatedChunks,
    movedNodes: [],
    extra: undefined
  }
}
