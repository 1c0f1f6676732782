/**
 * Why a file cannot be imported. What concerns a part of a file only is no error but a line of its data set's report, see
 * `Dataset.Skipped`.
 *
 * @since 0.1.0
 */
import { Location, type ObjectStoreError } from "@effect-icechunk/core"
import * as Data from "effect/Data"

/** A location without what may be secret in it. */
const shown = <A extends { readonly location: string }>(fields: A): A => ({
  ...fields,
  location: Location.shown(fields.location)
})

const place = (offset: number | undefined): string => (offset === undefined ? "" : `, at byte ${offset}`)

/**
 * A file is not what its format demands: it is cut off, points in circles or out of itself, or has counts that cannot be.
 *
 * @category errors
 * @since 0.1.0
 */
export class DamagedFile
  extends /*#__PURE__*/ Data.TaggedError("DamagedFile")<{
    readonly location: string
    /** Byte of the file where the problem is seen. */
    readonly offset: number | undefined
    readonly problem: string
  }>
{
  constructor(fields: { readonly location: string; readonly offset: number | undefined; readonly problem: string }) {
    super(shown(fields))
  }

  override get message(): string {
    return `\`${this.location}\` is damaged${place(this.offset)}: ${this.problem}. Compare it with its source, or leave it out.`
  }
}

/**
 * A file is of another format than the importer reads, or of a version that it does not read.
 *
 * @category errors
 * @since 0.1.0
 */
export class WrongFormat
  extends /*#__PURE__*/ Data.TaggedError("WrongFormat")<{
    readonly location: string
    /** What was expected, as in `NetCDF-3`. */
    readonly expected: string
    /** What was seen, and what to do. */
    readonly problem: string
  }>
{
  constructor(fields: { readonly location: string; readonly expected: string; readonly problem: string }) {
    super(shown(fields))
  }

  override get message(): string {
    return `\`${this.location}\` is not read as ${this.expected}: ${this.problem}`
  }
}

/**
 * A file was replaced while it was read: what was read first and what is there now do not belong together.
 *
 * @category errors
 * @since 0.1.0
 */
export class FileChanged extends /*#__PURE__*/ Data.TaggedError("FileChanged")<{ readonly location: string }> {
  constructor(fields: { readonly location: string }) {
    super(shown(fields))
  }

  override get message(): string {
    return `\`${this.location}\` changed while it was read. Import it again when it is complete.`
  }
}

/**
 * What reading a file can meet.
 *
 * @category errors
 * @since 0.1.0
 */
export type ImportError = DamagedFile | WrongFormat | FileChanged | ObjectStoreError.ObjectStoreError
