/**
 * The history of a repository of spec version 1, where each snapshot names the one before it in its own file.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { FormatError } from "../../encoding/FormatError.ts"
import type { SnapshotInfo } from "../../format/RepoInfo.ts"
import type { Heading } from "../../format/Snapshot.ts"
import type { ObjectMeta, ObjectStoreShape } from "../../store/ObjectStore.ts"
import * as ObjectId from "../../values/ObjectId.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError } from "../Assets.ts"
import * as Layout from "../Layout.ts"

/** Snapshots that are read at once, ahead of the walk. */
const concurrency = 32

/** The snapshots in a listing, newest first. */
const newestFirst = (found: ReadonlyArray<ObjectMeta>): ReadonlyArray<SnapshotId> =>
  found
    .toSorted((a, b) => (b.lastModified ?? 0) - (a.lastModified ?? 0))
    .flatMap(({ key }) => {
      const id = ObjectId.parseSnapshotId(key.slice(Layout.snapshot("" as SnapshotId).length))
      return id._tag === "Success" ? [id.success] : []
    })

/**
 * How a history is read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Reads what a snapshot says of itself. */
  readonly read: (store: ObjectStoreShape, id: SnapshotId) => Effect.Effect<Heading, AssetError>
  /** Called with the number of snapshots that have been found so far. */
  readonly onFound?: ((count: number) => Effect.Effect<void>) | undefined
  /** Where to stop: what comes before such a snapshot is not looked at. */
  readonly until?: ((info: SnapshotInfo) => boolean) | undefined
  /** Snapshots that were read before. */
  readonly known?: ReadonlyMap<SnapshotId, SnapshotInfo> | undefined
}

/**
 * Some snapshots and all that they descend from, each before those that it descends from.
 *
 * Each file says only which one comes next. So where the store can list its snapshots they are read ahead, newest
 * first, as long as the walk goes on. What the walk does not come to may be damaged.
 *
 * Fails with `FormatError` also when a snapshot descends from itself.
 *
 * @category reading
 * @since 0.1.0
 */
export const reachable = Effect.fnUntraced(function* (
  store: ObjectStoreShape,
  tips: Iterable<SnapshotId>,
  options: Options
): Effect.fn.Return<ReadonlyMap<SnapshotId, SnapshotInfo>, AssetError> {
  const reads = new Map<SnapshotId, Effect.Effect<SnapshotInfo, AssetError>>()
  /** Reads a snapshot, or waits for who reads it. */
  const readOnce = Effect.fnUntraced(function* (id: SnapshotId) {
    const made = reads.get(id)
    if (made !== undefined) return yield* made
    const read = Effect.map(options.read(store, id), (heading) => ({ ...heading, prunedAncestorTxLogs: [] }))
    const once = yield* Effect.cached(read)
    reads.set(id, once)
    return yield* once
  })
  const found = new Map<SnapshotId, SnapshotInfo>()
  const ahead = Stream.runCollect(store.list(Layout.snapshot("" as SnapshotId))).pipe(
    Effect.flatMap((listed) =>
      Effect.forEach(
        newestFirst(listed),
        (id) => (found.has(id) || options.known?.has(id) === true ? Effect.void : Effect.ignore(readOnce(id))),
        {
          concurrency,
          discard: true
        }
      )
    ),
    Effect.ignore
  )
  const walk = Effect.gen(function* () {
    for (const tip of tips) {
      const path = new Set<SnapshotId>()
      let next: SnapshotId | undefined = tip
      while (next !== undefined && !found.has(next)) {
        const info: SnapshotInfo = options.known?.get(next) ?? (yield* readOnce(next))
        reads.delete(next)
        found.set(next, info)
        path.add(next)
        if (options.onFound !== undefined) yield* options.onFound(found.size)
        next = options.until?.(info) === true ? undefined : info.parentId
      }
      if (next !== undefined && path.has(next)) {
        const file = Layout.snapshot([...path].at(-1)!)
        return yield* new FormatError({ file, field: "parent_id", problem: "the snapshot descends from itself" })
      }
    }
    return found
  })
  const reader = yield* Effect.forkChild(ahead)
  return yield* Effect.ensuring(walk, Fiber.interrupt(reader))
})

/**
 * A snapshot and those before it, newest first.
 *
 * @category reading
 * @since 0.1.0
 */
export const ancestry = (
  store: ObjectStoreShape,
  id: SnapshotId,
  options: Options
): Effect.Effect<ReadonlyArray<SnapshotInfo>, AssetError> =>
  Effect.map(reachable(store, [id], options), (found) => [...found.values()])
