/**
 * What a caller of a session can get wrong.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const kinds = Schema.Literals(["node", "group", "array"])

const withArticle = (kind: typeof kinds.Type): string => `${kind === "array" ? "an" : "a"} ${kind}`

/**
 * There is no such node at a path.
 *
 * @category errors
 * @since 0.1.0
 */
export class NodeNotFound extends Schema.TaggedError<NodeNotFound>()("NodeNotFound", {
  path: Schema.String,
  /** What was asked for. */
  wanted: kinds,
  /** What is there instead. */
  found: Schema.optional(kinds)
}) {
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
export class NodeAlreadyExists extends Schema.TaggedError<NodeAlreadyExists>()("NodeAlreadyExists", {
  path: Schema.String,
  found: kinds
}) {
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
export class InvalidPath extends Schema.TaggedError<InvalidPath>()("InvalidPath", {
  path: Schema.String,
  problem: Schema.String
}) {
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
export class InvalidIndex extends Schema.TaggedError<InvalidIndex>()("InvalidIndex", {
  path: Schema.String,
  index: Schema.String,
  problem: Schema.String
}) {
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
export class InvalidChunk extends Schema.TaggedError<InvalidChunk>()("InvalidChunk", {
  path: Schema.String,
  index: Schema.String,
  problem: Schema.String
}) {
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
export class InvalidVirtualRef extends Schema.TaggedError<InvalidVirtualRef>()("InvalidVirtualRef", {
  path: Schema.String,
  /** The chunk, or the row of a bulk form. */
  at: Schema.String,
  problem: Schema.String
}) {
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
export class NothingToCommit extends Schema.TaggedError<NothingToCommit>()("NothingToCommit", {
  branch: Schema.String
}) {
  override get message(): string {
    return `There is nothing to commit to \`${this.branch}\`: the session has no changes. Pass \`allowEmpty: true\` to record a snapshot all the same.`
  }
}
