/**
 * A chunk that lives in a file outside the repository.
 *
 * @since 0.1.0
 */
import type { Checksum } from "./Checksum.ts"

/**
 * `length` bytes from byte `offset` of the object at `location`. Offset and length are whole numbers up
 * to 2^53 - 1; the length is at least 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface VirtualChunkRef {
  readonly location: string
  readonly offset: number
  readonly length: number
  readonly checksum?: Checksum | undefined
}

/**
 * A sentence that says why offset and length address no bytes, or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (offset: number, length: number): string | undefined => {
  if (!Number.isSafeInteger(offset) || offset < 0) return `its offset is ${offset}, not a whole number of bytes from 0`
  if (!Number.isSafeInteger(length) || length < 0) return `its length is ${length}, not a whole number of bytes from 1`
  if (length === 0) return "its length is 0; to record a missing chunk, delete the ref instead"
  if (!Number.isSafeInteger(offset + length)) return "it ends beyond 2^53 - 1 bytes"
  return undefined
}
