/**
 * Bytes as values.
 *
 * @since 0.1.0
 */

/**
 * Whether two arrays hold the same bytes.
 *
 * @category predicates
 * @since 0.1.0
 */
export const equals = (a: Uint8Array, b: Uint8Array): boolean =>
  a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]))
