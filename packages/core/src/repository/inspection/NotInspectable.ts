/**
 * What inspection refuses.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * A key or id that no file of a repository has.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotInspectable
  extends /*#__PURE__*/ Data.TaggedError("NotInspectable")<{
    readonly key: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.key}\` is not a file of a repository that can be shown: ${this.problem}.`
  }
}
