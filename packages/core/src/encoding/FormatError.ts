/**
 * What every decoder of this room fails with.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * The bytes of a file are not what Icechunk's format says. `file` is the key of the object, `field` the
 * place in it (`header`, `payload`, `nodes[3].path`) and `problem` a sentence about it.
 *
 * @category errors
 * @since 0.1.0
 */
export class FormatError
  extends /*#__PURE__*/ Data.TaggedError("FormatError")<{
    readonly file: string
    readonly field: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.field}\` of \`${this.file}\` cannot be read: ${this.problem}. The file is damaged or was written by a version that this one does not know; restore it from a copy, or read it with a newer version.`
  }
}
