/**
 * The name that was probably meant by one that nobody knows. Pure.
 *
 * @since 0.1.0
 */

/** Insertions, deletions, replacements and swaps of neighbours between two texts. */
const editDistance = (a: string, b: string): number => {
  let before: ReadonlyArray<number> = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, replaced, isSwap ? before[j - 2]! + 1 : replaced))
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/**
 * The known name that is nearest: at most a third of its letters differ, and upper case counts as lower case.
 *
 * @category accessors
 * @since 0.1.0
 */
export const nearestName = (name: string, known: Iterable<string>): string | undefined => {
  const written = name.slice(0, 64).toLowerCase()
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const one of known) {
    const distance = editDistance(written, one.toLowerCase())
    if (distance * 3 <= one.length && (best === undefined || distance < best.distance)) best = { name: one, distance }
  }
  return best?.name
}
