/**
 * Places in an array's chunk grid.
 *
 * @since 0.1.0
 */

/**
 * One zero-based chunk number for each dimension; empty for a scalar.
 *
 * @category models
 * @since 0.1.0
 */
export type ChunkIndex = ReadonlyArray<number>

/**
 * Lexicographic order, the order of refs in a manifest.
 *
 * @category ordering
 * @since 0.1.0
 */
export const compare = (a: ChunkIndex, b: ChunkIndex): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!
  }
  return a.length - b.length
}

/**
 * Whether two indices name the same place.
 *
 * @category predicates
 * @since 0.1.0
 */
export const equals = (a: ChunkIndex, b: ChunkIndex): boolean => compare(a, b) === 0

/**
 * A sentence that says why `index` is not a place in a grid of `gridShape` chunks, or `undefined`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const problem = (index: ArrayLike<number>, gridShape: ReadonlyArray<number>): string | undefined => {
  if (index.length !== gridShape.length) {
    return `it has ${index.length} dimension(s), the array has ${gridShape.length}`
  }
  for (let i = 0; i < index.length; i++) {
    const at = index[i]!
    if (!Number.isInteger(at) || at < 0) return `dimension ${i} is ${at}, not a whole number from 0`
    if (at >= gridShape[i]!) return `dimension ${i} is ${at}, the grid has ${gridShape[i]} chunk(s) there`
  }
  return undefined
}

/**
 * As users and messages write it: `[0, 1]`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (index: ArrayLike<number>): string => `[${Array.from(index).join(", ")}]`
