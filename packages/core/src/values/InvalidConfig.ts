/**
 * What is wrong with a configuration, and texts that are no JSON.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * A configuration that cannot be used: `field` says where, `problem` why.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidConfig
  extends /*#__PURE__*/ Data.TaggedError("InvalidConfig")<{
    /** `config.json`, or what else the configuration came from. */
    readonly source: string
    readonly field: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.source}\` is not a valid configuration at \`${this.field}\`: ${this.problem}`
  }
}

/**
 * The value of a text that should be JSON.
 *
 * @category decoding
 * @since 0.1.0
 */
export const jsonOf = (source: string, text: string): Result.Result<unknown, InvalidConfig> => {
  try {
    return Result.succeed(JSON.parse(text))
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : "it cannot be parsed"
    return Result.fail(new InvalidConfig({ source, field: "(whole file)", problem: `it is not JSON: ${problem}` }))
  }
}
