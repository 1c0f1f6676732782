/**
 * That there is no such version.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * A branch, tag or snapshot does not exist.
 *
 * @category errors
 * @since 0.1.0
 */
export class RefNotFound
  extends /*#__PURE__*/ Data.TaggedError("RefNotFound")<{
    readonly kind: "branch" | "tag" | "snapshot"
    readonly name: string
    /** Names that do exist; empty for snapshots. */
    readonly known: ReadonlyArray<string>
  }>
{
  override get message(): string {
    const known = this.known.length === 0 ? "" : ` There are: ${this.known.map((name) => `\`${name}\``).join(", ")}.`
    return `There is no ${this.kind} \`${this.name}\`.${known}`
  }
}
