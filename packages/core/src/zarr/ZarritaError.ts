/**
 * What can go wrong between zarrita and a session.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * The repository, or the scope that a store was made in, was closed before a read or write was done.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreClosed extends /*#__PURE__*/ Data.TaggedError("StoreClosed")<{ readonly key: string }> {
  override get message(): string {
    return `\`${this.key}\` was asked for when the scope of its store or repository was closed. Make both in a scope that lasts as long as what reads through them.`
  }
}

/**
 * Kinds of zarrita's errors.
 *
 * @category models
 * @since 0.1.0
 */
export type ZarritaErrorKind =
  | "NotFoundError"
  | "InvalidMetadataError"
  | "UnknownCodecError"
  | "CodecPipelineError"
  | "InvalidSelectionError"
  | "UnsupportedError"

const remedies: { readonly [Kind in ZarritaErrorKind]: string } = {
  NotFoundError: "The store's `contents()` lists what is there",
  InvalidMetadataError: "Compare the node's `zarr.json` with what this version of zarrita reads",
  UnknownCodecError: "Register the codec with `zarr.registry.set(name, load)` before the array is read",
  CodecPipelineError: "The bytes are as they were stored: compare them with the codecs of the array",
  InvalidSelectionError: "Compare the selection with the shape of the array",
  UnsupportedError: "Write such arrays with another library, or choose other codecs or options"
}

/**
 * What zarrita itself failed with. `cause` is its error, and `kind` that error's tag.
 *
 * @category errors
 * @since 0.1.0
 */
export class ZarritaError
  extends /*#__PURE__*/ Data.TaggedError("ZarritaError")<{
    readonly kind: ZarritaErrorKind
    readonly problem: string
    readonly cause: unknown
  }>
{
  override get message(): string {
    return `zarrita failed: ${this.problem}. ${remedies[this.kind]}.`
  }
}

/**
 * What zarrita failed with, known by its tag: its classes are its own. `undefined` for what is not an error of zarrita's.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofZarrita = (cause: unknown): ZarritaError | undefined => {
  if (!(cause instanceof Error && "_tag" in cause)) return undefined
  const kind = cause._tag as ZarritaErrorKind
  return Object.hasOwn(remedies, kind) ? new ZarritaError({ kind, problem: cause.message, cause }) : undefined
}
