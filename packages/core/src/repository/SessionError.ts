/**
 * What a caller of a session can get wrong.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

type Kind = "node" | "group" | "array"

const withArticle = (kind: Kind): string => `${kind === "array" ? "an" : "a"} ${kind}`

/**
 * There is no such node at a path.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeNotFound
  extends /*#__PURE__*/ Data.TaggedError("NodeNotFound")<{
    readonly path: string
    /** What was asked for. */
    readonly wanted: Kind
    /** What is there instead. */
    readonly found?: Kind | undefined
  }>
{
  override get message(): string {
    const found = this.found === undefined ? "" : `; it is ${withArticle(this.found)}`
    return `There is no ${this.wanted} at \`${this.path}\`${found}.`
  }
}

/**
 * A node is there already, or an array is where a group would have to be.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeAlreadyExists
  extends /*#__PURE__*/ Data.TaggedError("NodeAlreadyExists")<{
    readonly path: string
    readonly found: Kind
  }>
{
  override get message(): string {
    return `There is ${withArticle(this.found)} at \`${this.path}\` already. Delete it first, or change its metadata instead.`
  }
}

/**
 * A text that is no path of a node.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPath
  extends /*#__PURE__*/ Data.TaggedError("InvalidPath")<{
    readonly path: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.path}\` is no path of a node: ${this.problem}.`
  }
}

/**
 * An index that is no place in an array's chunk grid.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidIndex
  extends /*#__PURE__*/ Data.TaggedError("InvalidIndex")<{
    readonly path: string
    readonly index: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.index}\` is no chunk of \`${this.path}\`: ${this.problem}.`
  }
}

/**
 * Bytes that cannot be a chunk. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidChunk
  extends /*#__PURE__*/ Data.TaggedError("InvalidChunk")<{
    readonly path: string
    readonly index: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `Chunk \`${this.index}\` of \`${this.path}\` cannot be stored: ${this.problem}.`
  }
}

/**
 * A virtual chunk ref that addresses no bytes, or columns of refs that do not fit together. Nothing was
 * set.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidVirtualRef
  extends /*#__PURE__*/ Data.TaggedError("InvalidVirtualRef")<{
    readonly path: string
    /** The chunk, or the row of a bulk form. */
    readonly at: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `The virtual ref of \`${this.path}\` at ${this.at} is invalid: ${this.problem}.`
  }
}

/**
 * A commit without changes.
 *
 * @category errors
 * @since 0.1.0
 */
export class NothingToCommit
  extends /*#__PURE__*/ Data.TaggedError("NothingToCommit")<{
    readonly branch: string
  }>
{
  override get message(): string {
    return `There is nothing to commit to \`${this.branch}\`: the session has no changes. Pass \`allowEmpty: true\` to record a snapshot all the same.`
  }
}
