/**
 * Chunks of a file as those of a larger array. Pure.
 *
 * @since 0.1.0
 */
import type { Chunks } from "../../Dataset.ts"

/** The same chunks, `by` further along an axis. */
export const along =
  (rank: number, axis: number, by: number) =>
  (some: Chunks): Chunks => {
    if (by === 0) return some
    if (some._tag === "Bytes")
      return { ...some, index: some.index.map((number, i) => (i === axis ? number + by : number)) }
    const indices = some.refs.indices.slice()
    for (let at = axis; at < indices.length; at += rank) indices[at]! += by
    return { _tag: "Refs", refs: { ...some.refs, indices } }
  }

/** The same chunks, at a place of an axis that is before the others. */
export const onto =
  (rank: number, place: number) =>
  (some: Chunks): Chunks => {
    if (some._tag === "Bytes") return { ...some, index: [place, ...some.index] }
    const rows = some.refs.offsets.length
    const indices = new Uint32Array(rows * (rank + 1))
    for (let row = 0; row < rows; row++) {
      const to = row * (rank + 1)
      indices[to] = place
      for (let axis = 0; axis < rank; axis++) indices[to + 1 + axis] = some.refs.indices[row * rank + axis]!
    }
    return { _tag: "Refs", refs: { ...some.refs, indices } }
  }
