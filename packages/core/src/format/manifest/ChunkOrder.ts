/**
 * Putting many chunk indices in order. They lie in one typed array, row-major: `rank` numbers a row.
 *
 * @since 0.1.0
 */

/** Bits that one pass of the sort looks at: 2,048 counters stay in the nearest cache. */
const digitBits = 11

type Rows = Uint32Array<ArrayBuffer>

const identity = (count: number): Rows => {
  const rows = new Uint32Array(count)
  for (let row = 0; row < count; row++) rows[row] = row
  return rows
}

/** Whether each row's index is larger than that of the row before. */
const ascends = (indices: Uint32Array, rank: number, count: number): boolean => {
  for (let at = rank; at < count * rank; at += rank) {
    let axis = 0
    while (axis < rank && indices[at + axis] === indices[at + axis - rank]) axis++
    if (axis === rank || indices[at + axis]! < indices[at + axis - rank]!) return false
  }
  return true
}

/**
 * Sorts by one axis and keeps the order of rows that are equal there: counting sort, from the lowest digit
 * up. `rows` and `spare` are used in turns; the sorted one is returned.
 */
const sortByAxis = (indices: Uint32Array, rank: number, axis: number, rows: Rows, spare: Rows): Rows => {
  const count = rows.length
  let least = 0xffff_ffff
  let most = 0
  for (let row = 0; row < count; row++) {
    const value = indices[row * rank + axis]!
    if (value < least) least = value
    if (value > most) most = value
  }
  const bits = 32 - Math.clz32(most - least)
  const passes = Math.ceil(bits / digitBits)
  const width = Math.ceil(bits / Math.max(passes, 1))
  const mask = (1 << width) - 1
  let from = rows
  let to = spare
  for (let pass = 0; pass < passes; pass++) {
    const shift = pass * width
    const starts = new Uint32Array(mask + 2)
    for (let i = 0; i < count; i++) starts[(((indices[i * rank + axis]! - least) >>> shift) & mask) + 1]!++
    for (let digit = 1; digit <= mask; digit++) starts[digit]! += starts[digit - 1]!
    for (let i = 0; i < count; i++) {
      const row = from[i]!
      to[starts[((indices[row * rank + axis]! - least) >>> shift) & mask]!++] = row
    }
    const filled = to
    to = from
    from = filled
  }
  return from
}

/**
 * The rows by ascending index, lexicographically. Of rows with the same index only the last is kept. Rows
 * that ascend already take one look; others take one or two passes an axis, whatever their disorder.
 *
 * @category ordering
 * @since 0.1.0
 */
export const sort = (indices: Uint32Array, rank: number, count: number): Uint32Array<ArrayBuffer> => {
  if (count <= 1) return identity(count)
  if (rank === 0) return Uint32Array.of(count - 1)
  if (ascends(indices, rank, count)) return identity(count)
  let rows = identity(count)
  let spare = new Uint32Array(count)
  for (let axis = rank - 1; axis >= 0; axis--) {
    const sorted = sortByAxis(indices, rank, axis, rows, spare)
    if (sorted === spare) {
      spare = rows
      rows = sorted
    }
  }
  let kept = 0
  for (let i = 0; i < count; i++) {
    const row = rows[i]!
    // Equal rows kept their order: the last of them is the one that counts.
    if (i + 1 === count || !equal(indices, rank, row, rows[i + 1]!)) rows[kept++] = row
  }
  return kept === count ? rows : rows.slice(0, kept)
}

const equal = (indices: Uint32Array, rank: number, a: number, b: number): boolean => {
  for (let axis = 0; axis < rank; axis++) {
    if (indices[a * rank + axis] !== indices[b * rank + axis]) return false
  }
  return true
}
