/**
 * Elements of fixed and extensible arrays, one for each chunk in the order of a grid. Source: HDF5 File Format Specification,
 * "Fixed Array Index" and "Extensible Array Index", their elements for chunks.
 *
 * @since 0.1.0
 */
import type { DamagedFile } from "../../ImportError.ts"
import type { Context } from "./ChunkIndices.ts"
import * as IndexFields from "./IndexFields.ts"
import * as Lookup from "./Lookup.ts"

/** How the elements of an index are written. */
export interface Kind {
  /** Whether each has a size and a filter mask. */
  readonly isFiltered: boolean
  readonly bytes: number
}

/** What is wrong with the kind that an index says. */
export const kindProblem = ({ grid, sizes }: Context, client: number, bytes: number): string | undefined => {
  if (client !== (grid.isFiltered ? 1 : 0)) {
    return `its index is for chunks ${client === 1 ? "with" : client === 0 ? "without" : "of an unknown kind, not with or without"} filters, as its layout does not say`
  }
  const size = bytes - sizes.offsetSize - (grid.isFiltered ? 4 : 0)
  return (grid.isFiltered ? size >= 1 && size <= 8 : size === 0)
    ? undefined
    : `its index has elements of ${bytes} bytes`
}

/** The dimensions from the slowest to the fastest. */
export const orderOf = (rank: number, first = 0): ReadonlyArray<number> => [
  first,
  ...Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== first)
]

/** Adds the chunks of `count` elements from `at` on; the first of them is element number `from` of the index. */
export const add = (
  { grid, rows, sizes, source }: Context,
  { bytes, isFiltered }: Kind,
  order: ReadonlyArray<number>,
  run: {
    readonly block: Uint8Array
    readonly at: number
    readonly from: number
    readonly count: number
    /** Byte of the file where the block begins. */
    readonly start: number
  }
): DamagedFile | undefined => {
  const { chunkBytes, maxCounts } = grid
  const { position } = rows
  const view = IndexFields.view(run.block)
  const sizeBytes = bytes - sizes.offsetSize - 4
  let rest = run.from
  for (let i = order.length - 1; i > 0; i--) {
    const axis = order[i]!
    const count = maxCounts[axis]!
    position[axis] = rest % count
    rest = Math.floor(rest / count)
  }
  position[order[0]!] = rest
  for (let i = 0, at = run.at; i < run.count; i++, at += bytes) {
    const address = IndexFields.address(view, at, sizes.offsetSize, sizes.base)
    if (address >= 0) {
      const after = at + sizes.offsetSize
      const wrong = isFiltered
        ? rows.add(address, IndexFields.number(view, after, sizeBytes), view.getUint32(after + sizeBytes, true))
        : rows.add(address, chunkBytes, 0)
      if (wrong !== undefined) return source.damaged(wrong.offset ?? run.start + at, wrong.problem)
    }
    for (let j = order.length - 1; j >= 0; j--) {
      const axis = order[j]!
      const moved = position[axis]! + 1
      position[axis] = moved
      if (j === 0 || moved < maxCounts[axis]!) break
      position[axis] = 0
    }
  }
  return undefined
}

/** What is wrong with a page, which is elements and their checksum. */
export const pageProblem = ({ source }: Context, block: Uint8Array, start: number): DamagedFile | undefined =>
  Lookup.isSound(block)
    ? undefined
    : source.damaged(start, "a page of the chunk index has another checksum than its bytes")
