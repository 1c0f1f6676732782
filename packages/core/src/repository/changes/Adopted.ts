/**
 * Manifests that workers have written for a session. What they hold are changes, as refs in columns are, but it stays in the
 * store: a commit takes such a manifest as it is when the array has nothing else where it is, and merges it otherwise.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { attempt } from "../../encoding/Attempt.ts"
import { ChunkRefColumns } from "../../format/manifest/ChunkRefColumns.ts"
import * as EffectiveRows from "../../format/manifest/EffectiveRows.ts"
import * as IndexRuns from "../../format/manifest/IndexRuns.ts"
import type { Extents } from "../../format/manifest/Manifest.ts"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog } from "../../format/TransactionLog.ts"
import type { ManifestId, NodeId } from "../../values/ObjectId.ts"
import type { AssetError, Assets } from "../Assets.ts"
import { gridShape } from "../ChunkReads.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import type * as ChangeSet from "./ChangeSet.ts"
import * as ConflictDetector from "./ConflictDetector.ts"

/**
 * A manifest of one array that is in the store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Adopted {
  readonly id: ManifestId
  readonly extents: Extents
  /** Bytes of its file. */
  readonly sizeBytes: number
  /** The chunks that it has refs of. */
  readonly runs: IndexRuns.IndexRuns
}

/**
 * Whether two parts of a grid have chunks in common.
 *
 * @category predicates
 * @since 0.1.0
 */
export const meet = (a: Extents, b: Extents): boolean =>
  a.every(({ from, to }, axis) => from < b[axis]!.to && b[axis]!.from < to)

/**
 * Those of the manifests that a commit takes as they are: in the grid, and with nothing else of the array in their extents,
 * because readers look into one manifest for a chunk.
 *
 * @category decisions
 * @since 0.1.0
 */
export const asTheyAre = (options: {
  readonly adopted: ReadonlyArray<Adopted>
  readonly manifests: ReadonlyArray<Snapshot.ManifestRef>
  readonly changed: ChunkRefColumns | undefined
  readonly gridShape: ReadonlyArray<number>
}): ReadonlySet<ManifestId> => {
  const { adopted, changed, gridShape, manifests } = options
  const rows = changed?.rowsInOrder()
  const others = manifests.filter(({ problem }) => problem === undefined)
  return new Set(
    adopted
      .filter(
        (one) =>
          one.extents.every(({ to }, axis) => to <= gridShape[axis]!) &&
          adopted.every((other) => other === one || !meet(one.extents, other.extents)) &&
          others.every(({ extents }) => !meet(one.extents, extents)) &&
          (changed === undefined || !EffectiveRows.touches(changed.columns(), changed.rank, rows!, one.extents))
      )
      .map(({ id }) => id)
  )
}

/** The arrays whose manifests have to be looked into to put the changes on another snapshot: others were there, too. */
const inTheWay = (
  { adopted, created, updated }: ChangeSet.ChangeSet,
  base: Snapshot.Snapshot,
  onto: Snapshot.Snapshot,
  logs: ReadonlyArray<TransactionLog>
): ReadonlyArray<NodeId> => {
  const before = new Map(base.nodes.map((node) => [node.id, node]))
  const after = new Map(onto.nodes.map((node) => [node.id, node]))
  return [...adopted].flatMap(([node, manifests]) => {
    if (created.has(node)) return []
    const was = before.get(node)
    const now = after.get(node)
    if (was === undefined || now?.data._tag !== "Array") return [node]
    const written = logs.flatMap(({ updatedChunks }) => updatedChunks.filter((chunks) => chunks.node === node))
    const corners = manifests.map(({ extents }) => ({
      rank: extents.length,
      count: 1,
      coords: Uint32Array.from(extents, ({ to }) => to - 1)
    }))
    const isSame =
      updated.has(node) || ConflictDetector.isSameArray(was.userData, now.userData, gridShape(now.data), corners)
    const meets = written.some(({ coords, count, rank }) =>
      manifests.some(({ runs }) => {
        if (runs.rank !== rank) return false
        for (let i = 0; i < count; i++) if (IndexRuns.has(runs, coords, i * rank)) return true
        return false
      })
    )
    return isSame && !meets ? [] : [node]
  })
}

/** The changes with the refs of some arrays' manifests in columns. Those that were set after them go on counting. */
const inColumns = Effect.fnUntraced(function* (
  assets: Assets,
  { base, changes }: ChangedSnapshot,
  nodes: ReadonlyArray<NodeId>
): Effect.fn.Return<ChangedSnapshot, AssetError> {
  const adopted = new Map(changes.adopted)
  const chunks = new Map(changes.chunks)
  for (const node of nodes) {
    const manifests = adopted.get(node) ?? []
    const [first] = manifests
    if (first === undefined) continue
    const columns = new ChunkRefColumns(first.runs.rank)
    // The last ones count first.
    for (const { id } of manifests.toReversed()) {
      const rows = (yield* assets.manifest(id)).rows(node)
      if (rows === undefined) continue
      yield* Effect.fromResult(
        attempt(() => {
          for (let row = 0; row < rows.count; row++) {
            rows.seek(row)
            columns.set(rows.index(), rows.ref())
          }
        })
      )
    }
    const later = chunks.get(node)
    if (later !== undefined) columns.append(later)
    adopted.delete(node)
    chunks.set(node, columns)
  }
  return new ChangedSnapshot(base, { ...changes, adopted, chunks })
})

/**
 * Reads the manifests of arrays that others have changed, too, so that it can be told, and decided, chunk by chunk what
 * is in conflict. All others stay in the store.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forRebase = (
  assets: Assets,
  changed: ChangedSnapshot,
  onto: Snapshot.Snapshot,
  logs: ReadonlyArray<TransactionLog>
): Effect.Effect<ChangedSnapshot, AssetError> =>
  changed.changes.adopted.size === 0
    ? Effect.succeed(changed)
    : inColumns(assets, changed, inTheWay(changed.changes, changed.base, onto, logs))
