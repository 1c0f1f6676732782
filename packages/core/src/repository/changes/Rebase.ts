/**
 * Puts the changes of a session on top of another snapshot of its branch, as a solver decides about conflicts.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Snapshot from "../../format/Snapshot.ts"
import type { TransactionLog } from "../../format/TransactionLog.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import type { InvalidMetadata } from "../../values/ZarrMetadata.ts"
import type { AssetError, Assets } from "../Assets.ts"
import * as Adopted from "./Adopted.ts"
import { ChangedSnapshot } from "./ChangedSnapshot.ts"
import * as Conflict from "./Conflict.ts"
import * as RebasePlan from "./RebasePlan.ts"

/**
 * A session did something that does not go together with what others committed meanwhile, and nothing says who wins. The
 * session is as it was.
 *
 * @category errors
 * @since 0.1.0
 */
export class RebaseConflict
  extends /*#__PURE__*/ Data.TaggedError("RebaseConflict")<{
    readonly branch: string
    /** The snapshot that the changes are of. */
    readonly expected: string
    /** The snapshot that they were to be put on. */
    readonly actual: string
    /** All conflicts that were not resolved, at least one. */
    readonly conflicts: ReadonlyArray<Conflict.Conflict>
  }>
{
  override get message(): string {
    const [first] = this.conflicts
    const more = this.conflicts.length === 1 ? "" : `, and ${this.conflicts.length - 1} more conflicts`
    return `The changes cannot be put on top of what others committed to branch \`${this.branch}\`: ${Conflict.describe(first!)}${more}. Say who wins with \`rebase\`, as in \`{ ${first!._tag}: "theirs" }\`, or open a new session and apply the changes again.`
  }
}

/**
 * It cannot be told what others committed since the session was opened. The session is as it was.
 *
 * @category errors
 * @since 0.1.0
 */
export class RebaseImpossible
  extends /*#__PURE__*/ Data.TaggedError("RebaseImpossible")<{
    readonly branch: string
    /** The snapshot that the changes are of. */
    readonly expected: string
    /** The snapshot that they were to be put on. */
    readonly actual: string
    readonly because: string
  }>
{
  override get message(): string {
    return `The changes cannot be put on top of snapshot \`${this.actual}\` of branch \`${this.branch}\`: ${this.because}. Open a new session on the branch and apply the changes again.`
  }
}

/**
 * Who wins, by kind of conflict. What is not named fails. Conflicts about nodes that others deleted, and about moves, can
 * only end with what the others did.
 *
 * @category models
 * @since 0.1.0
 */
export type Policies = {
  readonly [Kind in Conflict.Conflict["_tag"]]?: Kind extends
    | "ZarrMetadataUpdateOfDeletedArray"
    | "ZarrMetadataUpdateOfDeletedGroup"
    | "ChunksUpdatedInDeletedArray"
    | "MoveOperationCannotBeRebased"
    ? "theirs" | "fail"
    : "ours" | "theirs" | "fail"
}

/**
 * Decides about one conflict.
 *
 * @category models
 * @since 0.1.0
 */
export type Solve = (conflict: Conflict.Conflict) => RebasePlan.Resolution | Effect.Effect<RebasePlan.Resolution>

/**
 * What decides about conflicts: a policy per kind, or a function. `{}` lets every conflict fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Solver = Policies | Solve

/**
 * How a conflict ends.
 *
 * @category models
 * @since 0.1.0
 */
export type Resolution = RebasePlan.Resolution

/**
 * Why changes could not be put on another snapshot.
 *
 * @category errors
 * @since 0.1.0
 */
export type RebaseError = RebaseConflict | RebaseImpossible | InvalidMetadata | AssetError

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

const keyOf = ({ _tag, node }: Conflict.Conflict): string => `${_tag} ${node}`

/** Puts changes on a snapshot as it was decided before. */
const redo = (input: RebasePlan.Input, decided: ReadonlyMap<string, RebasePlan.Resolution>): ChangedSnapshot => {
  let progress = RebasePlan.start(input)
  for (;;) {
    const found = RebasePlan.conflicts(progress)
    if (found.length === 0) return new ChangedSnapshot(input.onto, RebasePlan.finish(progress))
    const decisions = found.map((conflict): RebasePlan.Decision => {
      const resolution = decided.get(keyOf(conflict)) ?? "ours"
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
  const logs = RebasePlan.needsLogs(changed.changes, base, onto) ? yield* between : []
  const { changes } = yield* Adopted.forRebase(assets, changed, onto, logs)
  const decided = new Map<string, RebasePlan.Resolution>()
  let progress = RebasePlan.start({ base, changes, onto, logs })
  for (;;) {
    const found = RebasePlan.conflicts(progress)
    if (found.length === 0) {
      return {
        changed: new ChangedSnapshot(onto, RebasePlan.finish(progress)),
        again: ({ changes }) => redo({ base, changes, onto, logs }, decided)
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
    for (const { conflict, resolution } of decisions) decided.set(keyOf(conflict), resolution)
    progress = yield* Effect.fromResult(RebasePlan.decide(progress, decisions))
  }
})
