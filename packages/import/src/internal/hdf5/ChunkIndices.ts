/**
 * What all indices of chunks share: an index is read in parts, each of which adds chunks to those that were found.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { ImportError } from "../../ImportError.ts"
import type { ByteSource } from "../ByteSource.ts"
import type * as Grid from "./Grid.ts"
import type { Sizes } from "./Layout.ts"

/** An index that is read. */
export interface Context {
  readonly source: ByteSource
  readonly sizes: Sizes
  readonly grid: Grid.Grid
  readonly rows: Grid.Rows
}

/** Reads the next part of an index; `false` when there is none. */
export type Next = Effect.Effect<boolean, ImportError>

/** Bytes of an index that are read at once, at most, as far as its blocks are smaller. */
export const partBytes = 4 * 1024 * 1024
