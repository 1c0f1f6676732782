/**
 * What a program says and hears of a rebase: who wins, and why it cannot be.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { InvalidMetadata } from "../../values/ZarrMetadata.ts"
import type { AssetError } from "../Assets.ts"
import * as Conflict from "./Conflict.ts"
import type * as RebasePlan from "./RebasePlan.ts"

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
