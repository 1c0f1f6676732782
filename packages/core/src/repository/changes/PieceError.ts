/**
 * What can be wrong with the pieces of a session. Nothing was merged or written then.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * Chunks that belong to more than one: to two pieces, or to a piece and to the session itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class PieceOverlap
  extends /*#__PURE__*/ Data.TaggedError("PieceOverlap")<{
    /** The array. */
    readonly path: string
    /** The first of the chunks, in order. */
    readonly indices: ReadonlyArray<string>
    /** How many there are. */
    readonly count: number
    /** The piece that was to be merged; `undefined` where regions were given that overlap. */
    readonly piece?: string | undefined
  }>
{
  override get message(): string {
    const more = this.count > this.indices.length ? ` and ${this.count - this.indices.length} more` : ""
    const what = `${this.indices.map((index) => `\`${index}\``).join(", ")}${more} of \`${this.path}\``
    return this.piece === undefined
      ? `The session was not split: chunks ${what} are in the regions of two pieces. Give each chunk to one piece.`
      : `Piece \`${this.piece}\` was not merged: chunks ${what} were changed by the session, or by a piece that was merged before. Give pieces regions that do not overlap, or merge with \`overlap: "last"\`.`
  }
}

/**
 * A piece of another session, of another version, or of another repository.
 *
 * @category errors
 * @since 0.1.0
 */
export class PieceMismatch
  extends /*#__PURE__*/ Data.TaggedError("PieceMismatch")<{
    readonly piece: string
    readonly of: "session" | "base" | "repository"
    readonly because: string
  }>
{
  override get message(): string {
    const remedy =
      this.of === "repository"
        ? "Open the store that the session is of, at the worker too"
        : "Merge it into the session that it was split from, before that commits or rebases, or split again"
    return `Piece \`${this.piece}\` is of another ${this.of === "base" ? "version" : this.of}: ${this.because}. ${remedy}.`
  }
}

/**
 * The piece was merged before, as it was filled then or by another worker.
 *
 * @category errors
 * @since 0.1.0
 */
export class PieceAlreadyMerged
  extends /*#__PURE__*/ Data.TaggedError("PieceAlreadyMerged")<{
    readonly piece: string
  }>
{
  override get message(): string {
    return `Piece \`${this.piece}\` was merged before. Each piece counts once; where messages may come twice, merge with \`again: "ignore"\`.`
  }
}

/**
 * A chunk outside of the regions of a piece.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutsidePiece
  extends /*#__PURE__*/ Data.TaggedError("OutsidePiece")<{
    readonly piece: string
    readonly path: string
    readonly index: string
  }>
{
  override get message(): string {
    return `Chunk \`${this.index}\` of \`${this.path}\` is not in piece \`${this.piece}\`. Write only to the regions of the piece, which \`piece.regions\` names.`
  }
}

/**
 * A value that is not a piece that can be filled or merged.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPiece
  extends /*#__PURE__*/ Data.TaggedError("InvalidPiece")<{
    readonly field: string
    readonly problem: string
    readonly piece?: string | undefined
  }>
{
  override get message(): string {
    const which = this.piece === undefined ? "The pieces are" : `Piece \`${this.piece}\` is`
    return `${which} invalid at \`${this.field}\`: ${this.problem}.`
  }
}
