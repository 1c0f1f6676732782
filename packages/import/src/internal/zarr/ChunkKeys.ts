/**
 * Keys of chunks: from their numbers, and back. Pure. Source: Zarr 3 core specification, "Chunk key encoding"; Zarr 2 specification,
 * "Chunks".
 *
 * @since 0.1.0
 */
import type { Keys } from "./Zarr3.ts"

/** The key of a chunk, below the array. */
export const format = ({ isDefault, separator }: Keys, index: ReadonlyArray<number>): string =>
  isDefault ? ["c", ...index].join(separator) : index.length === 0 ? "0" : index.join(separator)

/**
 * Writes the numbers of a chunk's key from `at` on into `into` at `to`. `false` for keys of anything else, and of chunks outside of
 * the grid, which nobody reads.
 */
export const parse = (
  { isDefault, separator }: Keys,
  key: string,
  at: number,
  grid: ReadonlyArray<number>,
  into: Uint32Array,
  to: number
): boolean => {
  const rank = grid.length
  if (rank === 0) return key.slice(at) === (isDefault ? "c" : "0")
  let i = at
  const between = separator.charCodeAt(0)
  if (isDefault) {
    if (key.charCodeAt(i) !== 0x63 || key.charCodeAt(i + 1) !== between) return false
    i += 2
  }
  for (let axis = 0; axis < rank; axis++) {
    const start = i
    let number = 0
    for (; i < key.length; i++) {
      const digit = key.charCodeAt(i) - 0x30
      if (digit < 0 || digit > 9) break
      number = number * 10 + digit
    }
    // Numbers have no zeros before them.
    if (i === start || (i > start + 1 && key.charCodeAt(start) === 0x30) || number >= grid[axis]!) return false
    into[to + axis] = number
    if (axis < rank - 1 && key.charCodeAt(i++) !== between) return false
  }
  return i === key.length
}
