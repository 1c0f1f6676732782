/**
 * Memory for what is read of a file.
 */

/** Small arrays are made faster by the engine itself, and zeroing them costs nothing. */
const small = 4096

/** An array of its own; throws a `RangeError` when there is no such memory. Not zeroed: whoever reads must fill it. */
export const allocate = (length: number): Uint8Array =>
  length <= small ? new Uint8Array(length) : new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
