/**
 * Puts the changes of a session on top of another snapshot of its branch, as a solver decides about conflicts.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog } from "../../format/TransactionLog.ts"
import { isNotFound } from "../../store/ObjectStoreError.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { AssetError, Assets } from "../Assets.ts"
import * as Layout from "../Layout.ts"
import * as Adopted from "./Adopted.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import type * as Conflict from "./Conflict.ts"
import * as ConflictDetector from "./ConflictDetector.ts"
import { RebaseConflict, type RebaseError, RebaseImpossible, type Solver } from "./Rebase.ts"
import * as RebasePlan from "./RebasePlan.ts"
import * as TheirChanges from "./TheirChanges.ts"

const solve = (solver: Solver, conflict: Conflict.Conflict): Effect.Effect<RebasePlan.Resolution> => {
  if (typeof solver !== "function") return Effect.succeed(solver[conflict._tag] ?? "fail")
  return Effect.suspend(() => {
    const resolution = solver(conflict)
    return Effect.isEffect(resolution) ? resolution : Effect.succeed(resolution)
  })
}

/**
 * What was committed to a branch after a snapshot: an effect that reads the logs of it, oldest first. Fails when the
 * snapshot is not among those before the tip.
 *
 * @category models
 * @since 0.1.0
 */
export type History = (
  since: SnapshotId
) => Result.Result<Effect.Effect<ReadonlyArray<TransactionLog>, RebaseImpossible | AssetError>, RebaseImpossible>

/**
 * Reads the logs of commits in their order. Without one of them it is not known what others did.
 *
 * @category reading
 * @since 0.1.0
 */
export const logsOf = (
  read: (id: SnapshotId) => Effect.Effect<TransactionLog, AssetError>,
  ids: ReadonlyArray<SnapshotId>,
  about: Pick<RebaseImpossible, "branch" | "expected" | "actual">
): Effect.Effect<ReadonlyArray<TransactionLog>, RebaseImpossible | AssetError> =>
  Effect.forEach(
    ids,
    (id) =>
      Effect.catchIf(read(id), isNotFound, () => {
        const because = `the transaction log \`${Layout.transaction(id)}\` is missing`
        return Effect.fail(new RebaseImpossible({ ...about, because }))
      }),
    { concurrency: 8 }
  )

/**
 * Changes on another snapshot of their branch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rebased {
  readonly changed: ChangedSnapshot
  /** Does the same once more, to changes that have grown since: what is in conflict now stays as the session has it. */
  readonly again: (grown: ChangedSnapshot) => ChangedSnapshot
}

/**
 * Changes that are where they are to be.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inPlace = (changed: ChangedSnapshot): Rebased => ({ changed, again: (grown) => grown })

/** Puts changes on a snapshot as it was decided before. */
const redo = (input: ConflictDetector.Input, decided: ReadonlyMap<string, RebasePlan.Resolution>): ChangedSnapshot => {
  let progress = RebasePlan.start(input)
  for (;;) {
    const found = ConflictDetector.conflicts(progress)
    if (found.length === 0) return new ChangedSnapshot(input.onto, RebasePlan.finish(progress))
    const decisions = found.map((conflict): RebasePlan.Decision => {
      const resolution = decided.get(ConflictDetector.keyOf(conflict)) ?? "ours"
      return RebasePlan.isResolved({ conflict, resolution })
        ? { conflict, resolution }
        : { conflict, resolution: "theirs" }
    })
    // A given `zarr.json` was accepted before.
    progress = Result.getOrThrow(RebasePlan.decide(progress, decisions))
  }
}

/**
 * The changes on another snapshot of their branch.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rebase = Effect.fn("Rebase.rebase")(function* (options: {
  readonly assets: Assets
  readonly branch: string
  readonly changed: ChangedSnapshot
  readonly onto: Snapshot.Snapshot
  readonly history: History
  readonly solver: Solver
}): Effect.fn.Return<Rebased, RebaseError> {
  const { assets, branch, changed, onto, solver } = options
  const { base } = changed
  if (base.id === onto.id) return inPlace(changed)
  const between = yield* Effect.fromResult(options.history(base.id))
  const theirs = TheirChanges.between(base, onto)
  const logs = TheirChanges.needsLogs(theirs, changed.changes) ? yield* between : []
  const { changes } = yield* Adopted.forRebase(assets, changed, onto, logs)
  const decided = new Map<string, RebasePlan.Resolution>()
  let progress = RebasePlan.start({ base, changes, onto, theirs, logs })
  for (;;) {
    const found = ConflictDetector.conflicts(progress)
    if (found.length === 0) {
      return {
        changed: new ChangedSnapshot(onto, RebasePlan.finish(progress)),
        again: ({ changes }) => redo({ base, changes, onto, theirs, logs }, decided)
      }
    }
    const decisions = yield* Effect.forEach(found, (conflict) =>
      Effect.map(solve(solver, conflict), (resolution) => ({ conflict, resolution }))
    )
    const open = decisions.filter((decision) => !RebasePlan.isResolved(decision))
    if (open.length > 0) {
      const conflicts = open.map(({ conflict }) => conflict)
      return yield* new RebaseConflict({ branch, expected: base.id, actual: onto.id, conflicts })
    }
    for (const { conflict, resolution } of decisions) decided.set(ConflictDetector.keyOf(conflict), resolution)
    progress = yield* Effect.fromResult(RebasePlan.decide(progress, decisions))
  }
})
