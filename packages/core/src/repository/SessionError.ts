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
 * A text that is not the path of a node.
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
    return `\`${this.path}\` is not the path of a node: ${this.problem}.`
  }
}

/**
 * An index that is not in an array's chunk grid.
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
    return `\`${this.index}\` is not a chunk of \`${this.path}\`: ${this.problem}.`
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

/**
 * A node that cannot be moved to where it was to go. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidMove
  extends /*#__PURE__*/ Data.TaggedError("InvalidMove")<{
    readonly from: string
    readonly to: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `\`${this.from}\` cannot be moved to \`${this.to}\`: ${this.problem}.`
  }
}

/**
 * Chunks can be given other indices only where all of them have the same shape. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedChunkGrid
  extends /*#__PURE__*/ Data.TaggedError("UnsupportedChunkGrid")<{
    readonly path: string
    /** The name of the array's chunk grid. */
    readonly grid: string
  }>
{
  override get message(): string {
    return `Chunks of \`${this.path}\` cannot be given other indices: its chunk grid is \`${this.grid}\`, where chunks have different shapes, and only those of a \`regular\` grid fit in each other's places. Write a new array instead.`
  }
}

/**
 * A function gave chunks indices that they cannot have. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidReindex
  extends /*#__PURE__*/ Data.TaggedError("InvalidReindex")<{
    readonly path: string
    /** The chunk's index before. */
    readonly from: string
    readonly to: string
    readonly problem: string
  }>
{
  override get message(): string {
    return `Chunk \`${this.from}\` of \`${this.path}\` cannot become \`${this.to}\`: ${this.problem}.`
  }
}

/**
 * A session is not of the same repository. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class OtherRepository
  extends /*#__PURE__*/ Data.TaggedError("OtherRepository")<{
    /** The store of this repository, and that of the other. */
    readonly store: string
    readonly other: string
  }>
{
  override get message(): string {
    return `Nodes are copied from one version of \`${this.store}\` to another, and the given session is of \`${this.other}\`. Read the chunks of another repository and write them.`
  }
}
